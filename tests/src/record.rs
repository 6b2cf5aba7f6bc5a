//! Records as they stand in responses, read without trust.

use std::fmt;

use crate::name::Name;

/// RR types by their numbers, where the tests speak of them.
pub mod rtype {
    #![allow(missing_docs, reason = "each is the mnemonic of the registry")]
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const PTR: u16 = 12;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const SRV: u16 = 33;
    pub const DNAME: u16 = 39;
    pub const OPT: u16 = 41;
    pub const DS: u16 = 43;
    pub const RRSIG: u16 = 46;
    pub const NSEC: u16 = 47;
    pub const DNSKEY: u16 = 48;
    pub const NSEC3: u16 = 50;
    pub const NSEC3PARAM: u16 = 51;
    pub const CDS: u16 = 59;
    pub const HTTPS: u16 = 65;
    pub const ANY: u16 = 255;
    pub const CAA: u16 = 257;
}

/// The mnemonic of a type, where there is one here.
pub fn mnemonic(number: u16) -> String {
    let known = match number {
        rtype::A => "A",
        rtype::NS => "NS",
        rtype::CNAME => "CNAME",
        rtype::SOA => "SOA",
        rtype::PTR => "PTR",
        rtype::MX => "MX",
        rtype::TXT => "TXT",
        rtype::AAAA => "AAAA",
        rtype::SRV => "SRV",
        rtype::DNAME => "DNAME",
        rtype::DS => "DS",
        rtype::RRSIG => "RRSIG",
        rtype::NSEC => "NSEC",
        rtype::DNSKEY => "DNSKEY",
        rtype::NSEC3 => "NSEC3",
        rtype::NSEC3PARAM => "NSEC3PARAM",
        rtype::CDS => "CDS",
        rtype::HTTPS => "HTTPS",
        rtype::ANY => "ANY",
        rtype::CAA => "CAA",
        _ => return format!("TYPE{number}"),
    };
    known.to_owned()
}

/// One record of a response. Names in it, its owner and those in RDATA that compression may reach, are in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record {
    /// Its owner in lower case.
    pub owner: Name,
    /// Its type's number.
    pub rtype: u16,
    /// Its class.
    pub class: u16,
    /// In seconds.
    pub ttl: u32,
    /// Names in it uncompressed.
    pub rdata: Vec<u8>,
}

impl Record {
    /// The type that a signature covers (RFC 4034 §3.1.1).
    pub fn covers(&self) -> Option<u16> {
        let field = self.rdata.get(..2).filter(|_| self.rtype == rtype::RRSIG)?;
        Some(u16::from_be_bytes([field[0], field[1]]))
    }

    /// The name that comes next in the zone (RFC 4034 §4.1.1).
    pub fn next(&self) -> Option<Name> {
        let mut reader = Reader::at(&self.rdata, 0);
        reader.name().ok().filter(|_| self.rtype == rtype::NSEC)
    }

    /// The name in its RDATA that leads on: of NS, CNAME, DNAME, PTR, MX, SRV, HTTPS.
    pub fn target(&self) -> Option<Name> {
        let from = match self.rtype {
            rtype::NS | rtype::CNAME | rtype::DNAME | rtype::PTR => 0,
            rtype::MX | rtype::HTTPS => 2,
            rtype::SRV => 6,
            _ => return None,
        };
        let mut reader = Reader::at(&self.rdata, from);
        reader.name().ok().map(|name| name.lower())
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.owner, self.ttl, mnemonic(self.rtype))?;
        let mut reader = Reader::at(&self.rdata, 0);
        match self.rtype {
            rtype::RRSIG => {
                let covers = self.covers().map(mnemonic).unwrap_or_default();
                let labels = self.rdata.get(3).copied().unwrap_or_default();
                let tag = self.rdata.get(16..18).unwrap_or_default();
                reader.at = 18;
                let signer = reader.name().unwrap_or_default();
                write!(f, " {covers} labels {labels} tag {tag:?} {signer}")
            }
            rtype::NSEC => {
                let next = reader.name().unwrap_or_default();
                let rest = self.rdata.get(reader.at..).unwrap_or_default();
                write!(f, " {next} {}", hex(rest))
            }
            _ => match self.target() {
                Some(target) => write!(f, " {target}"),
                None => write!(f, " {}", hex(self.rdata.get(..40).unwrap_or(&self.rdata))),
            },
        }
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Reads a message, or RDATA by itself.
pub(crate) struct Reader<'m> {
    whole: &'m [u8],
    pub(crate) at: usize,
    /// Whether a name read so far was compressed.
    jumped: bool,
}

impl<'m> Reader<'m> {
    pub(crate) fn at(whole: &'m [u8], at: usize) -> Self {
        Self { whole, at, jumped: false }
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let taken = self.whole.get(self.at..self.at + count).ok_or("the message ends early")?;
        self.at += count;
        Ok(taken)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, String> {
        self.take(2).map(|octets| u16::from_be_bytes([octets[0], octets[1]]))
    }

    pub(crate) fn name(&mut self) -> Result<Name, String> {
        let mut labels = Vec::new();
        let (mut at, mut end, mut size) = (self.at, None, 1);
        loop {
            let length = usize::from(*self.whole.get(at).ok_or("a name ends early")?);
            match length {
                0 => break,
                1..=63 => {
                    labels.push(self.whole.get(at + 1..=at + length).ok_or("a label ends early")?.to_vec());
                    at += length + 1;
                    size += length + 1;
                }
                192.. => {
                    let low = usize::from(*self.whole.get(at + 1).ok_or("a pointer ends early")?);
                    end.get_or_insert(at + 2);
                    self.jumped = true;
                    let to = (length & 63) << 8 | low;
                    // RFC 1035 §4.1.4: to a *prior* occurrence.
                    if to >= at {
                        return Err("a pointer leads forward".to_owned());
                    }
                    at = to;
                }
                _ => return Err("a label of no known type".to_owned()),
            }
            if size > 255 {
                return Err("a name is too long".to_owned());
            }
        }
        self.at = end.unwrap_or(at + 1);
        Ok(Name::from_labels(labels))
    }

    pub(crate) fn record(&mut self, compressed: &mut Vec<u16>) -> Result<Record, String> {
        let owner = self.name()?.lower();
        let (rtype, class) = (self.u16()?, self.u16()?);
        let ttl = u32::from(self.u16()?) << 16 | u32::from(self.u16()?);
        let length = usize::from(self.u16()?);
        let end = self.at + length;
        // How many octets come before the names in RDATA, how many names, and whether they may be compressed
        // (RFC 1035 §3.3; RFC 3597 §4).
        let (before, names, may) = match rtype {
            rtype::NS | rtype::CNAME | rtype::PTR | 3 | 4 | 7 | 8 | 9 => (0, 1, true),
            rtype::SOA | 14 => (0, 2, true),
            rtype::MX => (2, 1, true),
            17 => (0, 2, false),
            18 | 21 | 36 => (2, 1, false),
            26 => (2, 2, false),
            rtype::SRV => (6, 1, false),
            rtype::DNAME | rtype::NSEC => (0, 1, false),
            64 | rtype::HTTPS => (2, 1, false),
            rtype::RRSIG => (18, 1, false),
            _ => (0, 0, false),
        };
        let mut rdata = self.take(if names > 0 { before } else { 0 })?.to_vec();
        self.jumped = false;
        for _ in 0..names {
            rdata.extend(self.name()?.lower().wire());
        }
        if self.jumped && !may {
            compressed.push(rtype);
        }
        let rest = end.checked_sub(self.at).ok_or("a name leaves its RDATA")?;
        rdata.extend(self.take(rest)?);
        Ok(Record { owner, rtype, class, ttl, rdata })
    }
}
