//! One record with all that it has on the wire, so that a script can bend any part of it.

use std::fmt;

use domain::base::iana::Rtype;
use domain::base::{ParseRecordData, ParsedName};
use domain::dep::octseq::Parser;
use domain::rdata::ZoneRecordData;
use secondo_wire::{CLASS_IN, Name, NameBuf, RecordType, Soa};
use secondo_zone::{Difference, Zone};

/// A record, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rr {
    /// Owner, spelling kept.
    pub owner: Name,
    /// Type.
    pub rtype: RecordType,
    /// Class; IN in everything honest.
    pub class: u16,
    /// TTL, seconds.
    pub ttl: u32,
    /// Uncompressed RDATA.
    pub rdata: Vec<u8>,
}

impl Rr {
    /// A record of class IN.
    pub fn new(owner: Name, rtype: RecordType, ttl: u32, rdata: &[u8]) -> Rr {
        Rr { owner, rtype, class: CLASS_IN, ttl, rdata: rdata.to_vec() }
    }

    /// The SOA of a version, its owner spelled as in the zone.
    pub(crate) fn soa_of(zone: &Zone) -> Rr {
        let mut apex = NameBuf::new();
        zone.apex_node().name_into(&mut apex);
        Rr::new(apex.as_ref().to_owned(), RecordType::SOA, zone.soa_ttl(), zone.soa_rdata())
    }

    /// The same SOA with another serial; any other record unchanged.
    pub(crate) fn with_serial(mut self, change: impl FnOnce(u32) -> u32) -> Rr {
        if let Some(mut soa) = Soa::from_rdata(&self.rdata).filter(|_| self.rtype == RecordType::SOA) {
            soa.serial.0 = change(soa.serial.0);
            self.rdata = soa.to_rdata();
        }
        self
    }
}

impl fmt::Display for Rr {
    /// Owner, TTL, type and data as in a master file; data that does not fit its type in the form of RFC 3597 §5.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.owner, self.ttl, self.rtype)?;
        let mut parser = Parser::from_ref(&self.rdata[..]);
        let parsed: Option<ZoneRecordData<&[u8], ParsedName<&[u8]>>> =
            ZoneRecordData::parse_rdata(Rtype::from_int(self.rtype.0), &mut parser).ok().flatten();
        match parsed.filter(|_| parser.remaining() == 0) {
            Some(data) => write!(f, "{data}"),
            None => {
                write!(f, "\\# {}", self.rdata.len())?;
                self.rdata
                    .iter()
                    .enumerate()
                    .try_for_each(|(at, octet)| write!(f, "{}{octet:02x}", if at == 0 { " " } else { "" }))
            }
        }
    }
}

/// All records of a version but its SOA, in canonical order.
pub(crate) fn body(zone: &Zone) -> Vec<Rr> {
    let mut records = Vec::new();
    let mut owner = NameBuf::new();
    for node in zone.nodes() {
        node.name_into(&mut owner);
        for set in node.rrsets().filter(|set| set.rtype() != RecordType::SOA) {
            let owner = owner.as_ref().to_owned();
            records.extend(set.rdatas().map(|rdata| Rr::new(owner.clone(), set.rtype(), set.ttl(), rdata)));
        }
    }
    records
}

/// What a difference takes away and what it brings, the SOAs left out.
pub(crate) fn halves(difference: &Difference) -> (Vec<Rr>, Vec<Rr>) {
    let own = |r: secondo_zone::Record<'_>| Rr::new(r.owner.to_owned(), r.rtype, r.ttl, r.rdata);
    let data = |r: &Rr| r.rtype != RecordType::SOA;
    (difference.removed().map(own).filter(data).collect(), difference.added().map(own).filter(data).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_shown_as_a_master_file_has_them() {
        let rr =
            |rtype, rdata: &[u8]| Rr::new(Name::parse("A.example.").unwrap(), rtype, 60, rdata).to_string();
        assert_eq!(rr(RecordType::A, &[192, 0, 2, 1]), "A.example. 60 A 192.0.2.1");
        assert_eq!(rr(RecordType::TXT, b"\x03a b"), "A.example. 60 TXT \"a b\"");
        assert_eq!(rr(RecordType::MX, b"\0\x0a\x01m\0"), "A.example. 60 MX 10 m.");
        assert_eq!(rr(RecordType(65_280), &[1, 171]), "A.example. 60 TYPE65280 \\# 2 01 ab");
        // Data that does not fit its type.
        assert_eq!(rr(RecordType::A, &[1]), "A.example. 60 A \\# 1 01");
    }
}
