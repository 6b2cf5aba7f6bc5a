//! An answer on its way: its messages, and how they are put on the wire.

use std::time::Duration;

/// What becomes of a TCP connection behind the octets that are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Then {
    /// It stays open for the next question.
    #[default]
    Open,
    /// It is closed in order.
    Closed,
    /// It is reset.
    Reset,
    /// It stays open, and nothing comes any more, whatever is asked.
    Stalled,
}

/// What is sent, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// The messages, without TCP's lengths. None: no answer.
    pub messages: Vec<Vec<u8>>,
    /// UDP: datagrams that come from another port before the messages.
    pub elsewhere: Vec<Vec<u8>>,
    /// TCP: octets that are no message, behind the messages.
    pub junk: Vec<u8>,
    /// TCP: no more than so many octets are sent, lengths counted.
    pub close_after: Option<usize>,
    /// TCP: what becomes of the connection then.
    pub then: Then,
    /// TCP: one octet in each such time.
    pub pace: Option<Duration>,
    /// TCP: the last message again and again, without an end.
    pub endless: bool,
}

impl Delivery {
    /// No answer.
    pub fn silence() -> Delivery {
        Delivery::default()
    }

    /// What goes over TCP: each message behind its length (RFC 1035 §4.2.2), up to where it is cut. Of an endless one,
    /// the last message once.
    pub fn frames(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.messages.iter().map(|message| message.len() + 2).sum());
        for message in &self.messages {
            frame(message, &mut out);
        }
        out.extend_from_slice(&self.junk);
        out.truncate(self.close_after.unwrap_or(usize::MAX));
        out
    }

    /// The frame that comes again and again.
    pub fn refrain(&self) -> Option<Vec<u8>> {
        let last = self.messages.last().filter(|_| self.endless)?;
        let mut out = Vec::new();
        frame(last, &mut out);
        Some(out)
    }

    /// Whether a client sees anything else than in this honest one.
    pub(crate) fn differs_from(&self, honest: &Delivery) -> bool {
        let odd = self.pace.is_some() || self.endless || !self.elsewhere.is_empty();
        odd || self.frames() != honest.frames()
    }
}

fn frame(message: &[u8], out: &mut Vec<u8>) {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&message[..usize::from(length)]);
}
