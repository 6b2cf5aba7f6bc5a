//! A request, as far as a primary looks at it.

use secondo_wire::{
    CLASS_IN, Header, Malformed, Message, Name, Opcode, RecordType, Section, Serial, Soa,
    edns::{Opt, option},
    flags, rdata,
};

/// A question and what came with it.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) header: Header,
    pub(crate) zone: Name,
    pub(crate) rtype: RecordType,
    pub(crate) class: u16,
    pub(crate) edns: Option<Edns>,
    /// The serial that an IXFR asks from (RFC 1995 §3).
    pub(crate) from: Option<Serial>,
}

/// What the OPT record said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edns {
    /// UDP payload that the client takes.
    pub(crate) payload: u16,
    /// An empty EXPIRE option (RFC 7314 §2).
    pub(crate) wants_expire: bool,
}

impl Request {
    /// Reads a request; `None` for what is none.
    pub(crate) fn read(octets: &[u8]) -> Option<Request> {
        let message = Message::new(octets).ok()?;
        if message.header.has(flags::QR) {
            return None;
        }
        Request::walk(message).ok().flatten()
    }

    fn walk(message: Message<'_>) -> Result<Option<Request>, Malformed> {
        let Some(question) = message.question()? else { return Ok(None) };
        let mut request = Request {
            header: message.header,
            zone: question.name.as_ref().to_owned(),
            rtype: question.rtype,
            class: question.class,
            edns: None,
            from: None,
        };
        for record in message.records_from(question.end) {
            let record = record?;
            let octets = message.octets();
            match (record.section, record.rtype) {
                (Section::Authority, RecordType::SOA) => {
                    let mut plain = Vec::new();
                    let expanded =
                        rdata::expand(RecordType::SOA, octets, record.rdata, record.end, &mut plain);
                    request.from = expanded.ok().and_then(|()| Soa::serial_of(&plain));
                }
                (Section::Additional, RecordType::OPT) => {
                    let opt = Opt::new(record.class, record.ttl, &octets[record.rdata..record.end]);
                    request.edns = opt.map(|opt| Edns {
                        payload: opt.payload,
                        wants_expire: opt.option(option::EXPIRE).is_some(),
                    });
                }
                _ => {}
            }
        }
        Ok(Some(request))
    }

    /// Whether it is a standard query in the Internet class.
    pub(crate) fn is_query(&self) -> bool {
        self.header.opcode() == Opcode::QUERY && self.class == CLASS_IN
    }
}
