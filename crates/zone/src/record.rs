//! One record on its own, and a run of them in memory.

use secondo_wire::{NameRef, RecordType, rdata};

/// One record of class IN, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Owner, as received.
    pub owner: NameRef<'a>,
    /// Type.
    pub rtype: RecordType,
    /// TTL, seconds.
    pub ttl: u32,
    /// Uncompressed RDATA, as received.
    pub rdata: &'a [u8],
}

impl Record<'_> {
    /// Whether RDATA fits the type.
    pub(crate) fn is_valid(&self) -> bool {
        !self.rtype.is_meta() && rdata::validate(self.rtype, self.rdata).is_ok()
    }

    /// Octets in uncompressed wire form (RFC 1035 §3.2.1).
    fn wire_len(&self) -> usize {
        self.owner.as_wire().len() + 10 + self.rdata.len()
    }
}

/// Stands in the place of an owner that is that of the record before, octet for octet; no name begins with it.
const SAME: u8 = 0xFF;

/// Records one behind the other, each as owner (or [`SAME`]), type, TTL, length of RDATA, RDATA. There is one way to write each
/// sequence: an owner is never repeated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    octets: Vec<u8>,
    records: usize,
    /// What they take in uncompressed wire form.
    wire_bytes: usize,
    /// Where the owner of the last one stands.
    owner: usize,
}

impl Part {
    pub(crate) fn put(&mut self, record: &Record<'_>) {
        let owner = record.owner.as_wire();
        // A name says where it ends, so one that begins with another is that other.
        if self.records > 0 && self.octets[self.owner..].starts_with(owner) {
            self.octets.push(SAME);
        } else {
            self.owner = self.octets.len();
            self.octets.extend_from_slice(owner);
        }
        self.octets.extend_from_slice(&record.rtype.0.to_be_bytes());
        self.octets.extend_from_slice(&record.ttl.to_be_bytes());
        debug_assert!(record.rdata.len() <= usize::from(u16::MAX), "RDATA is at most 64 KiB");
        self.octets.extend_from_slice(&(record.rdata.len() as u16).to_be_bytes());
        self.octets.extend_from_slice(record.rdata);
        self.records += 1;
        self.wire_bytes += record.wire_len();
    }

    /// Puts all behind `first`.
    pub(crate) fn behind(&self, mut first: Part) -> Part {
        first.octets.reserve(self.octets.len());
        self.records().for_each(|record| first.put(&record));
        first
    }

    pub(crate) fn records(&self) -> Records<'_> {
        Records { octets: &self.octets, owner: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.records
    }

    pub(crate) fn wire_bytes(&self) -> usize {
        self.wire_bytes
    }

    /// Octets in memory.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        self.octets.capacity()
    }
}

/// Records of a part of a difference.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    octets: &'a [u8],
    /// The owner of the last one.
    owner: Option<NameRef<'a>>,
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        let (owner, rest) = match (self.octets.split_first()?, self.owner) {
            ((&SAME, rest), Some(owner)) => (owner, rest),
            _ => NameRef::split_from(self.octets)?,
        };
        let (&[t0, t1, a, b, c, d, l0, l1], rest) = rest.split_first_chunk::<8>()?;
        let (rdata, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
        (self.octets, self.owner) = (rest, Some(owner));
        let rtype = RecordType(u16::from_be_bytes([t0, t1]));
        Some(Record { owner, rtype, ttl: u32::from_be_bytes([a, b, c, d]), rdata })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secondo_wire::Name;

    fn part(owners: &[&str]) -> Part {
        let mut part = Part::default();
        for (n, owner) in owners.iter().enumerate() {
            let owner = Name::parse(owner).unwrap();
            let rdata = (n as u32).to_be_bytes();
            let record = Record { owner: owner.as_ref(), rtype: RecordType::A, ttl: 7, rdata: &rdata };
            assert!(record.is_valid());
            part.put(&record);
        }
        part
    }

    fn owners(part: &Part) -> Vec<String> {
        part.records().map(|record| record.owner.to_string()).collect()
    }

    #[test]
    fn records_come_back_and_an_owner_is_written_once() {
        let all = ["a.example.", "a.example.", "A.example.", "example.", "example.", ".", "."];
        let part = part(&all);
        assert_eq!(owners(&part), all);
        assert_eq!(part.octets.len(), 7 * (8 + 4) + 3 + 2 * 11 + 9 + 1);
        let wire: usize = part.records().map(|record| record.wire_len()).sum();
        assert_eq!((part.len(), part.wire_bytes()), (7, wire));
    }
}
