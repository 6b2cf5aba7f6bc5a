//! A message as received: its header, question and records, walked in place without allocation (RFC 1035 §4.1).

use crate::name::{NameBuf, NameError, read_name, skip_name};
use crate::rtype::RecordType;

/// Flag bits of the header's second word.
pub mod flags {
    /// Response.
    pub const QR: u16 = 0x8000;
    /// Authoritative answer.
    pub const AA: u16 = 0x0400;
    /// Truncated.
    pub const TC: u16 = 0x0200;
    /// Recursion desired.
    pub const RD: u16 = 0x0100;
    /// Recursion available.
    pub const RA: u16 = 0x0080;
}

/// What a message asks for (RFC 1035 §4.1.1, RFC 1996 §3.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opcode(pub u8);

impl Opcode {
    /// A standard query.
    pub const QUERY: Opcode = Opcode(0);
    /// A zone change notification.
    pub const NOTIFY: Opcode = Opcode(4);
}

/// A response code, extended to 12 bits (RFC 1035 §4.1.1, RFC 2136 §2.2, RFC 6891 §6.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Rcode(pub u16);

#[allow(missing_docs)]
impl Rcode {
    pub const NOERROR: Rcode = Rcode(0);
    pub const FORMERR: Rcode = Rcode(1);
    pub const SERVFAIL: Rcode = Rcode(2);
    pub const NXDOMAIN: Rcode = Rcode(3);
    pub const NOTIMP: Rcode = Rcode(4);
    pub const REFUSED: Rcode = Rcode(5);
    pub const YXDOMAIN: Rcode = Rcode(6);
    pub const NOTAUTH: Rcode = Rcode(9);
    pub const BADVERS: Rcode = Rcode(16);
    pub const BADCOOKIE: Rcode = Rcode(23);
}

/// The twelve octets every message begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Matches an answer to its question.
    pub id: u16,
    /// The flag word: see [`flags`].
    pub flags: u16,
    /// Counts of questions and of records in answer, authority and additional section.
    pub counts: [u16; 4],
}

impl Header {
    /// Octets of a header.
    pub const SIZE: usize = 12;

    /// Reads the first twelve octets.
    pub fn read(message: &[u8]) -> Option<Header> {
        let head: &[u8; 12] = message.first_chunk()?;
        let word = |i: usize| u16::from_be_bytes([head[i], head[i + 1]]);
        Some(Header { id: word(0), flags: word(2), counts: [word(4), word(6), word(8), word(10)] })
    }

    /// The twelve octets.
    pub fn to_octets(self) -> [u8; 12] {
        let mut out = [0; 12];
        for (at, word) in [self.id, self.flags].into_iter().chain(self.counts).enumerate() {
            out[2 * at..2 * at + 2].copy_from_slice(&word.to_be_bytes());
        }
        out
    }

    /// Whether all bits of `flag` are set.
    pub fn has(self, flag: u16) -> bool {
        self.flags & flag == flag
    }

    /// The opcode.
    pub fn opcode(self) -> Opcode {
        Opcode((self.flags >> 11 & 15) as u8)
    }

    /// The lower four bits of the response code.
    pub fn rcode(self) -> Rcode {
        Rcode(self.flags & 15)
    }
}

/// The section that a record stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Section {
    Answer,
    Authority,
    Additional,
}

/// Why octets are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The octets end before the message does.
    #[error("message is cut short")]
    Short,
    /// A name is wrong.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Octets are left over behind the last counted record.
    #[error("octets behind the last record")]
    Trailing,
}

/// A question.
#[derive(Clone, Debug)]
pub struct Question {
    /// The name asked for, spelling kept.
    pub name: NameBuf,
    /// The type asked for.
    pub rtype: RecordType,
    /// The class asked for.
    pub class: u16,
    /// Where the records begin.
    pub end: usize,
}

/// A record in its place; offsets count from the start of the message.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// The section it stands in.
    pub section: Section,
    /// Where its owner begins.
    pub owner: usize,
    /// Its type.
    pub rtype: RecordType,
    /// Its class.
    pub class: u16,
    /// Its TTL in seconds, all 32 bits as received.
    pub ttl: u32,
    /// Where its RDATA begins.
    pub rdata: usize,
    /// Where it ends.
    pub end: usize,
}

/// A message: header read, the rest walked on demand.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    octets: &'a [u8],
    /// The header.
    pub header: Header,
}

impl<'a> Message<'a> {
    /// Takes a message of at least a header.
    pub fn new(octets: &'a [u8]) -> Result<Message<'a>, Malformed> {
        Ok(Message { octets, header: Header::read(octets).ok_or(Malformed::Short)? })
    }

    /// All octets.
    pub fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// The first question; `None` when the header counts none.
    pub fn question(&self) -> Result<Option<Question>, Malformed> {
        if self.header.counts[0] == 0 {
            return Ok(None);
        }
        let mut name = NameBuf::new();
        let at = read_name(self.octets, Header::SIZE, &mut name)?;
        let four: &[u8; 4] =
            self.octets.get(at..).and_then(|rest| rest.first_chunk()).ok_or(Malformed::Short)?;
        let rtype = RecordType(u16::from_be_bytes([four[0], four[1]]));
        Ok(Some(Question { name, rtype, class: u16::from_be_bytes([four[2], four[3]]), end: at + 4 }))
    }

    /// Where the first record stands, behind all questions.
    pub fn records_start(&self) -> Result<usize, Malformed> {
        let mut at = Header::SIZE;
        for _ in 0..self.header.counts[0] {
            at = skip_name(self.octets, at)? + 4;
        }
        if at > self.octets.len() { Err(Malformed::Short) } else { Ok(at) }
    }

    /// Walks all records of the three sections.
    pub fn records(&self) -> Result<Records<'a>, Malformed> {
        Ok(self.records_from(self.records_start()?))
    }

    /// Walks all records, the first of which stands at `start` (as [`Question::end`] of an only question tells).
    pub fn records_from(&self, start: usize) -> Records<'a> {
        let [_, answer, authority, additional] = self.header.counts;
        Records { octets: self.octets, at: start, left: [answer, authority, additional] }
    }
}

/// A walk over the records of a message.
#[derive(Clone)]
pub struct Records<'a> {
    octets: &'a [u8],
    at: usize,
    left: [u16; 3],
}

impl Records<'_> {
    /// Where the walk stands.
    pub fn position(&self) -> usize {
        self.at
    }

    /// An error when octets are left over after the last record.
    pub fn finish(&self) -> Result<(), Malformed> {
        if self.left == [0; 3] && self.at == self.octets.len() { Ok(()) } else { Err(Malformed::Trailing) }
    }

    fn step(&mut self, section: Section) -> Result<Record, Malformed> {
        let owner = self.at;
        let at = skip_name(self.octets, owner)?;
        let head: &[u8; 10] =
            self.octets.get(at..).and_then(|rest| rest.first_chunk()).ok_or(Malformed::Short)?;
        let rdata = at + 10;
        let end = rdata + usize::from(u16::from_be_bytes([head[8], head[9]]));
        if end > self.octets.len() {
            return Err(Malformed::Short);
        }
        self.at = end;
        Ok(Record {
            section,
            owner,
            rtype: RecordType(u16::from_be_bytes([head[0], head[1]])),
            class: u16::from_be_bytes([head[2], head[3]]),
            ttl: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            rdata,
            end,
        })
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.left.iter().position(|&left| left > 0)?;
        self.left[index] -= 1;
        let section = [Section::Answer, Section::Authority, Section::Additional][index];
        let record = self.step(section);
        if record.is_err() {
            self.left = [0; 3];
        }
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLY: &[u8] = b"\x12\x34\x84\x00\x00\x01\x00\x01\x00\x00\x00\x00\x01a\0\x00\x01\x00\x01\
        \xC0\x0C\x00\x01\x00\x01\x00\x00\x00\x07\x00\x04\x7F\x00\x00\x01";

    #[test]
    fn a_message_is_walked_in_place() {
        let message = Message::new(REPLY).unwrap();
        assert_eq!(message.header.id, 0x1234);
        assert!(message.header.has(flags::QR | flags::AA));
        let question = message.question().unwrap().unwrap();
        assert_eq!((question.rtype, question.class, question.end), (RecordType::A, 1, 19));
        let mut records = message.records().unwrap();
        let record = records.next().unwrap().unwrap();
        assert_eq!((record.ttl, &REPLY[record.rdata..record.end]), (7, &[127, 0, 0, 1][..]));
        assert!(records.next().is_none());
        assert_eq!(records.finish(), Ok(()));
    }

    #[test]
    fn every_cut_is_an_error_and_no_panic() {
        for cut in 0..REPLY.len() {
            let whole = Message::new(&REPLY[..cut]).and_then(|m| m.records()?.collect::<Result<Vec<_>, _>>());
            assert!(whole.is_err(), "{cut}");
        }
        let longer = [REPLY, &[0]].concat();
        let mut records = Message::new(&longer).unwrap().records().unwrap();
        assert!(records.by_ref().all(|r| r.is_ok()));
        assert_eq!(records.finish(), Err(Malformed::Trailing));
    }
}
