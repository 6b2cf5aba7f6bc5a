//! An answer as a list of records, and the messages that carry it (RFC 5936 §2.2).

use secondo_wire::{
    Compressor, Full, Header, MAX_MESSAGE, Name, RecordType, Writer,
    edns::{OPT_SIZE, option},
    flags,
};

use crate::record::Rr;
use crate::request::Request;

/// Octets after which a message is closed: compression pointers reach no farther (RFC 1035 §4.1.4).
const MESSAGE_SIZE: usize = 16_384;
/// UDP payload that we announce.
const PAYLOAD: u16 = 1232;

/// An answer before it is cut into messages.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) id: u16,
    pub(crate) flags: u16,
    pub(crate) question: (Name, RecordType, u16),
    /// How often the question stands in the first message.
    pub(crate) questions: u16,
    /// The question of the messages behind the first, if they have one.
    pub(crate) question_later: Option<(Name, RecordType, u16)>,
    pub(crate) records: Vec<Rr>,
    /// Records of the first message's authority section.
    pub(crate) authority: Vec<Rr>,
    /// The client sent EDNS.
    pub(crate) edns: bool,
    /// OPT records, when it did.
    pub(crate) opts: u16,
    /// Upper bits of the response code (RFC 6891 §6.1.3).
    pub(crate) extended_rcode: u8,
    /// More options, each a code and its octets.
    pub(crate) options: Vec<(u16, Vec<u8>)>,
    /// Octets after which a message is closed.
    pub(crate) message_size: usize,
    /// Records a message, where that is not for the world to say.
    pub(crate) per_message: Option<usize>,
    /// Seconds until the copy here expires, told in the first message (RFC 7314 §3).
    pub(crate) expire: Option<u32>,
    /// Octets of each message left for the seal.
    pub(crate) seal: usize,
}

impl Draft {
    /// An answer to `request` without records.
    pub(crate) fn to(request: &Request, rcode: u16) -> Draft {
        let copied = request.header.flags & (flags::RD | 15 << 11);
        let authoritative = if rcode == 0 { flags::AA } else { 0 };
        Draft {
            id: request.header.id,
            flags: flags::QR | authoritative | copied | (rcode & 15),
            question: (request.zone.clone(), request.rtype, request.class),
            questions: 1,
            question_later: None,
            records: Vec::new(),
            authority: Vec::new(),
            edns: request.edns.is_some(),
            opts: 1,
            extended_rcode: 0,
            options: Vec::new(),
            message_size: MESSAGE_SIZE,
            per_message: None,
            expire: None,
            seal: 0,
        }
    }

    /// An error instead of the answer.
    pub(crate) fn refuse(&mut self, rcode: u16) {
        self.records.clear();
        self.expire = None;
        self.flags = self.flags & !(flags::AA | 15) | (rcode & 15);
        self.extended_rcode = (rcode >> 4) as u8;
    }

    /// The messages of a stream: the question in the first alone (RFC 5936 §2.2.2), at most `per_message` records each.
    /// A record that fits into no message is left out.
    pub(crate) fn stream(&self, per_message: usize) -> Vec<Vec<u8>> {
        let per_message = self.per_message.unwrap_or(per_message);
        let mut messages = Vec::new();
        let mut rest = &self.records[..];
        let mut compressor = Compressor::exact();
        loop {
            let (octets, taken) = self.message(rest, per_message, messages.is_empty(), &mut compressor);
            rest = &rest[taken..];
            messages.push(octets);
            if rest.is_empty() {
                return messages;
            }
        }
    }

    /// The one message of an answer, in the space that UDP leaves; `None` when it does not fit.
    pub(crate) fn datagram(&self, limit: usize) -> Option<Vec<u8>> {
        let mut compressor = Compressor::exact();
        let (octets, taken) = self.message(&self.records, usize::MAX, true, &mut compressor);
        (taken == self.records.len() && octets.len() + self.seal <= limit).then_some(octets)
    }

    /// A message of the first of `records`, and how many it took: at least one, unless there is none.
    fn message(
        &self,
        records: &[Rr],
        most: usize,
        first: bool,
        compressor: &mut Compressor,
    ) -> (Vec<u8>, usize) {
        let opts = if first && self.edns { self.opts } else { 0 };
        let opt = self.opt();
        let tail = opt.len() * usize::from(opts) + self.seal;
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, compressor, MAX_MESSAGE);
        let (question, questions) = match (first, &self.question_later) {
            (true, _) => (&self.question, self.questions),
            (false, Some(question)) => (question, 1),
            (false, None) => (&self.question, 0),
        };
        for _ in 0..questions {
            let (name, rtype, class) = question;
            writer.question(name.as_ref(), *rtype, *class).expect("a question fits into an empty message");
        }
        let (mut taken, mut written) = (0, 0u16);
        for rr in records.iter().take(most.clamp(1, 60_000)) {
            // The first record of a message may take all of the largest one.
            let limit = if written == 0 { MAX_MESSAGE } else { self.message_size };
            writer.reserve(MAX_MESSAGE - limit + tail);
            match writer.record(rr.owner.as_ref(), rr.rtype, rr.class, rr.ttl, &rr.rdata) {
                Ok(()) => written += 1,
                Err(Full) if written > 0 => break,
                Err(Full) => {}
            }
            taken += 1;
        }
        let mut authority = 0;
        for rr in self.authority.iter().filter(|_| first) {
            authority +=
                u16::from(writer.record(rr.owner.as_ref(), rr.rtype, rr.class, rr.ttl, &rr.rdata).is_ok());
        }
        writer.reserve(0);
        for _ in 0..opts {
            writer.octets(&opt).expect("space was reserved for it");
        }
        writer.finish(Header {
            id: self.id,
            flags: self.flags,
            counts: [questions, written, authority, opts],
        });
        (out, taken)
    }

    fn opt(&self) -> Vec<u8> {
        let mut options = Vec::new();
        let expire = self.expire.map(|seconds| (option::EXPIRE, seconds.to_be_bytes().to_vec()));
        for (code, octets) in expire.iter().chain(&self.options) {
            options.extend_from_slice(&code.to_be_bytes());
            options.extend_from_slice(&u16::try_from(octets.len()).unwrap_or(0).to_be_bytes());
            options.extend_from_slice(octets);
        }
        let mut opt = Vec::with_capacity(OPT_SIZE + options.len());
        opt.push(0);
        opt.extend_from_slice(&RecordType::OPT.0.to_be_bytes());
        opt.extend_from_slice(&PAYLOAD.to_be_bytes());
        opt.extend_from_slice(&[self.extended_rcode, 0, 0, 0]);
        opt.extend_from_slice(&u16::try_from(options.len()).unwrap_or(0).to_be_bytes());
        opt.extend_from_slice(&options);
        opt
    }
}
