//! Who answers: CHAOS names (RFC 4892) and NSID (RFC 5001), for those who look which of several servers they reach.

use secondo_wire::RecordType;

use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::request::Question;

/// What the server tells of itself. Each part is hidden when left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Told to those who ask for TXT of `id.server.` or `hostname.bind.` in class CH; at most 255 octets.
    pub id: Option<Box<str>>,
    /// Told to those who ask for TXT of `version.server.` or `version.bind.` in class CH; at most 255 octets.
    pub version: Option<Box<str>>,
    /// Told in the NSID option to those who send one; at most 255 octets.
    pub nsid: Option<Box<str>>,
}

/// Longest text of an [`Identity`], octets: that of a character string (RFC 1035 §3.3).
pub(crate) const TEXT: usize = 255;

impl Identity {
    /// What a name of class CH stands for.
    fn of(&self, name: &[u8]) -> Option<&str> {
        let is = |known: &[&[u8]]| known.iter().any(|known| known.eq_ignore_ascii_case(name));
        let text = if is(&[b"\x02id\x06server\0", b"\x08hostname\x04bind\0"]) {
            &self.id
        } else if is(&[b"\x07version\x06server\0", b"\x07version\x04bind\0"]) {
            &self.version
        } else {
            &None
        };
        text.as_deref().filter(|text| text.len() <= TEXT)
    }

    /// Answers a query of class CH.
    pub(crate) fn answer(&self, question: Question<'_>, reply: &mut Reply<'_>) -> Result<(), Refusal> {
        if !matches!(question.rtype, RecordType::TXT | RecordType::ANY) {
            return Err(Refusal::CLASS);
        }
        let text = self.of(question.name.as_wire()).ok_or(Refusal::CLASS)?;
        reply.identify(question.name, text);
        Ok(())
    }
}
