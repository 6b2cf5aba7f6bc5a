//! What holds for every message of a primary, whatever it carries: framing, identity, seal, question, EDNS.

use secondo_tsig::{self as tsig, ClientStream};
use secondo_wire::{
    CLASS_IN, Header, Message, Name, Opcode, Rcode, Reason, Record, RecordType, edns::Opt, flags,
};

use crate::Fault;

/// Reads the header; a message shorter than that is none.
pub(crate) fn header(octets: &[u8]) -> Result<Header, Fault> {
    Header::read(octets).ok_or_else(|| {
        Fault::new(
            Reason::MalformedMessage,
            format!("a message of {} octets (RFC 1035 §4.1.1)", octets.len()),
        )
    })
}

/// Whether the message answers ours: ID, QR, opcode. The only checks that come before the seal.
pub(crate) fn identity(header: Header, id: u16) -> Result<(), Fault> {
    let wrong = |what: &str| Err(Fault::new(Reason::BadAnswer, format!("{what} (RFC 5936 §2.2.1)")));
    if header.id != id {
        return wrong("another message ID");
    }
    if !header.has(flags::QR) {
        return wrong("QR is clear: a question, no answer");
    }
    if header.opcode() != Opcode::QUERY {
        return wrong("another opcode");
    }
    Ok(())
}

/// A message whose seal, if one was asked for, holds so far.
pub(crate) struct Opened<'m> {
    /// The message without its TSIG record.
    pub(crate) message: Message<'m>,
    /// The primary's clock minus ours, seconds.
    pub(crate) skew: Option<i64>,
}

/// Verifies the seal and takes it off. With a key each message goes through here in its order, once.
pub(crate) fn open<'m>(
    octets: &'m [u8],
    seal: Option<&mut ClientStream>,
    unix_now: u64,
) -> Result<Opened<'m>, Fault> {
    let Some(stream) = seal else {
        let message = Message::new(octets)?;
        if message.header.counts[3] > 0 {
            tsig::reject_unexpected(octets)?;
        }
        return Ok(Opened { message, skew: None });
    };
    let verified = stream.verify(octets, unix_now)?;
    let mut message = Message::new(octets.get(..verified.len).unwrap_or(octets))?;
    if verified.signed {
        message.header.counts[3] = message.header.counts[3].saturating_sub(1);
    }
    Ok(Opened { message, skew: verified.skew })
}

/// Checks the question against ours and tells where the records begin. `required`: it must be there.
pub(crate) fn question(
    message: &Message<'_>,
    zone: &Name,
    rtype: RecordType,
    required: bool,
) -> Result<usize, Fault> {
    let wrong = |what: String| Err(Fault::new(Reason::BadAnswer, format!("{what} (RFC 5936 §2.2.2)")));
    match message.header.counts[0] {
        0 if required => return wrong("the first message has no question".into()),
        0 => return Ok(Header::SIZE),
        1 => {}
        n => return wrong(format!("{n} questions in a message")),
    }
    let Some(question) = message.question()? else { return Ok(Header::SIZE) };
    // RFC 4343 §3: the case of the name is not significant.
    if question.name.as_ref() != zone.as_ref() || question.rtype != rtype || question.class != CLASS_IN {
        return wrong(format!(
            "the answer is to another question: {} {}",
            question.name.as_ref(),
            question.rtype
        ));
    }
    Ok(question.end)
}

/// What the additional section of a message says about it.
#[derive(Default)]
pub(crate) struct Additional {
    /// Upper bits of the response code, in place.
    extended_rcode: u16,
    /// The EXPIRE option (RFC 7314 §3), seconds.
    pub(crate) expire: Option<u32>,
    opts: u8,
}

impl Additional {
    /// Looks at one record of the section: only OPT matters.
    pub(crate) fn record(&mut self, message: &Message<'_>, record: &Record) -> Result<(), Fault> {
        if record.rtype != RecordType::OPT {
            return Ok(());
        }
        // RFC 6891 §6.1.1: one OPT at most.
        self.opts = self.opts.saturating_add(1);
        let rdata = message.octets().get(record.rdata..record.end).unwrap_or_default();
        match Opt::new(record.class, record.ttl, rdata) {
            Some(opt) if self.opts == 1 => {
                self.extended_rcode = u16::from(opt.extended_rcode) << 4;
                self.expire = opt.expire();
                Ok(())
            }
            _ => Err(Fault::new(
                Reason::MalformedMessage,
                "two OPT records, or a broken one (RFC 6891 §6.1.1)",
            )),
        }
    }

    /// The whole response code (RFC 6891 §6.1.3).
    pub(crate) fn rcode(&self, header: Header) -> Rcode {
        Rcode(self.extended_rcode | header.rcode().0)
    }
}
