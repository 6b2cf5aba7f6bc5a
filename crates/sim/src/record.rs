//! One record with all that it has on the wire, so that a script can bend any part of it.

use std::fmt;

use secondo_wire::text::RecordText;
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
    /// A line of a master file; the class is told behind it when it is not IN.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rr { ref owner, rtype, class, ttl, ref rdata } = *self;
        RecordText { owner: owner.as_ref(), ttl, rtype, rdata }.fmt(f)?;
        if class == CLASS_IN { Ok(()) } else { write!(f, " ; class {class}") }
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
        let rr = Rr::new(Name::parse("A.example.").unwrap(), RecordType::A, 60, &[192, 0, 2, 1]);
        assert_eq!(rr.to_string(), "A.example. 60 IN A 192.0.2.1");
        assert_eq!(Rr { class: 3, ..rr }.to_string(), "A.example. 60 IN A 192.0.2.1 ; class 3");
    }
}
