//! Queries written and responses read octet by octet, by nothing that the daemon uses itself.

use std::fmt;

use crate::name::Name;
use crate::record::{Reader, Record, mnemonic, rtype};

/// What the client says of itself by EDNS (RFC 6891 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edns {
    /// The largest datagram that it takes.
    pub size: u16,
    /// The DO bit (RFC 3225 §3).
    pub dnssec: bool,
}

/// How a question travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// In a datagram.
    Udp,
    /// In a stream.
    Tcp,
}

/// One question of class IN.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Question {
    /// As spelled.
    pub name: Name,
    /// Its type's number.
    pub rtype: u16,
    /// Without it the client knows no EDNS.
    pub edns: Option<Edns>,
    /// The RD bit.
    pub recursion: bool,
    /// UDP or TCP.
    pub way: Way,
}

impl Question {
    /// Over UDP without EDNS.
    pub fn plain(name: &Name, rtype: u16) -> Self {
        Self { name: name.clone(), rtype, edns: None, recursion: false, way: Way::Udp }
    }

    /// Whether DNSSEC records are wanted.
    pub fn dnssec(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec)
    }

    /// The most octets of a response; servers offer 1232 themselves.
    pub fn room(&self) -> usize {
        match (self.way, self.edns) {
            (Way::Tcp, _) => 65_535,
            (Way::Udp, None) => 512,
            (Way::Udp, Some(edns)) => usize::from(edns.size.clamp(512, 1232)),
        }
    }

    /// The question section's one entry.
    pub fn entry(&self) -> Vec<u8> {
        let mut entry = self.name.wire();
        entry.extend(self.rtype.to_be_bytes());
        entry.extend([0, 1]);
        entry
    }

    /// The whole query.
    pub fn message(&self, id: u16) -> Vec<u8> {
        let mut message = id.to_be_bytes().to_vec();
        message.extend([u8::from(self.recursion), 0, 0, 1, 0, 0, 0, 0, 0]);
        message.push(u8::from(self.edns.is_some()));
        message.extend(self.entry());
        if let Some(edns) = self.edns {
            message.extend([0, 0, 41]);
            message.extend(edns.size.to_be_bytes());
            message.extend([0, 0, if edns.dnssec { 0x80 } else { 0 }, 0, 0, 0]);
        }
        message
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, mnemonic(self.rtype))?;
        match self.edns {
            Some(edns) => write!(f, " +bufsize={}{}", edns.size, if edns.dnssec { " +dnssec" } else { "" })?,
            None => f.write_str(" +noedns")?,
        }
        f.write_str(if self.recursion { " +rec" } else { " +norec" })?;
        f.write_str(if self.way == Way::Tcp { " +tcp" } else { " +notcp" })
    }
}

/// The OPT record of a response (RFC 6891 §6.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opt {
    /// The largest datagram that the server takes.
    pub size: u16,
    /// Its version.
    pub version: u8,
    /// Its flags; the first is DO.
    pub flags: u16,
    /// Codes of its options.
    pub options: Vec<u16>,
}

/// A response as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The 16 bits after the ID, the four of the response code cleared.
    pub flags: u16,
    /// Response code with its extension (RFC 6891 §6.1.3).
    pub rcode: u16,
    /// The question section as it stands.
    pub question: Vec<u8>,
    /// Sections, in the order of the response, without OPT.
    pub answer: Vec<Record>,
    /// The second.
    pub authority: Vec<Record>,
    /// The third.
    pub additional: Vec<Record>,
    /// Its EDNS.
    pub opt: Option<Opt>,
    /// Octets of the whole.
    pub size: usize,
    /// Types of records whose RDATA was compressed though RFC 3597 §4 forbids it.
    pub compressed: Vec<u16>,
}

/// Flags of a header (RFC 1035 §4.1.1, RFC 4035 §3.1.6).
pub mod flag {
    /// Response.
    pub const QR: u16 = 0x8000;
    /// Authoritative.
    pub const AA: u16 = 0x0400;
    /// Truncated.
    pub const TC: u16 = 0x0200;
    /// Recursion desired.
    pub const RD: u16 = 0x0100;
}

impl Reply {
    /// Whether a flag is set.
    pub fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// Reads a response to its last octet.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(message: &[u8]) -> Result<Self, String> {
        let mut reader = Reader::at(message, 2);
        let word = reader.u16()?;
        let counts = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
        let question_from = reader.at;
        for _ in 0..counts[0] {
            reader.name()?;
            reader.take(4)?;
        }
        let mut reply = Self {
            flags: word & !15,
            rcode: word & 15,
            question: message[question_from..reader.at].to_vec(),
            answer: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
            opt: None,
            size: message.len(),
            compressed: Vec::new(),
        };
        for (section, count) in counts[1..].iter().enumerate() {
            for _ in 0..*count {
                let record = reader.record(&mut reply.compressed)?;
                if record.rtype == rtype::OPT {
                    if reply.opt.is_some() || section != 2 || record.owner != Name::root() {
                        return Err("an OPT too many or misplaced".to_owned());
                    }
                    reply.rcode |= u16::try_from(record.ttl >> 24).expect("eight bits") << 4;
                    reply.opt = Some(opt(&record)?);
                    continue;
                }
                [&mut reply.answer, &mut reply.authority, &mut reply.additional][section].push(record);
            }
        }
        if reader.at != message.len() {
            return Err(format!("{} octets follow the last record", message.len() - reader.at));
        }
        Ok(reply)
    }
}

/// More records of a section are not shown.
const SHOWN: usize = 12;

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [(flag::AA, " aa"), (flag::TC, " tc"), (flag::RD, " rd"), (0x80, " ra"), (0x20, " ad")];
        let flags: String = names.iter().filter(|(bit, _)| self.has(*bit)).map(|(_, name)| *name).collect();
        writeln!(f, "    rcode {}{flags} ({} octets)", self.rcode, self.size)?;
        let sections =
            [("answer", &self.answer), ("authority", &self.authority), ("additional", &self.additional)];
        for (name, records) in sections {
            let mut records = records.clone();
            records.sort();
            for record in records.iter().take(SHOWN) {
                writeln!(f, "    {name}: {record}")?;
            }
            if records.len() > SHOWN {
                writeln!(f, "    {name}: and {} more", records.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}

fn opt(record: &Record) -> Result<Opt, String> {
    let mut reader = Reader::at(&record.rdata, 0);
    let mut options = Vec::new();
    while reader.at < record.rdata.len() {
        options.push(reader.u16()?);
        let length = reader.u16()?;
        reader.take(usize::from(length))?;
    }
    let [_, version, high, low] = record.ttl.to_be_bytes();
    Ok(Opt { size: record.class, version, flags: u16::from_be_bytes([high, low]), options })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_read_with_its_compression() {
        let question = Question::plain(&Name::of("A.test."), rtype::MX);
        let mut message = question.message(7);
        message[2] = 0x84;
        message[7] = 1;
        message.extend([0xc0, 12, 0, 15, 0, 1, 0, 0, 1, 0, 0, 6, 0, 10, 1, b'M', 0xc0, 14]);
        let reply = Reply::read(&message).unwrap();
        assert!(reply.has(flag::AA) && !reply.has(flag::TC));
        assert_eq!(reply.question, question.entry());
        assert_eq!(reply.answer[0].target(), Some(Name::of("m.test.")));
        assert_eq!(reply.answer[0].ttl, 256);
        assert!(reply.compressed.is_empty());
        // The same in a type that must not be compressed.
        message[question.message(7).len() + 3] = 36;
        assert_eq!(Reply::read(&message).unwrap().compressed, [36]);
        assert!(Reply::read(&message[..message.len() - 1]).is_err());
        message.push(0);
        assert!(Reply::read(&message).is_err());
    }

    #[test]
    fn an_opt_is_kept_apart_and_extends_the_response_code() {
        let mut question = Question::plain(&Name::of("test."), rtype::A);
        question.edns = Some(Edns { size: 1232, dnssec: true });
        let mut message = question.message(7);
        message[3] = 1;
        let opt_ttl = message.len() - 6;
        message[opt_ttl] = 1;
        let reply = Reply::read(&message).unwrap();
        assert_eq!(reply.rcode, 17);
        let opt = reply.opt.unwrap();
        assert_eq!((opt.size, opt.version, opt.flags), (1232, 0, 0x8000));
        assert!(reply.additional.is_empty());
    }
}
