//! One record on its own, and a run of them in wire form.

use secondo_wire::{CLASS_IN, NameRef, RecordType, rdata};

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

impl<'a> Record<'a> {
    /// Appends it in uncompressed wire form (RFC 1035 §3.2.1).
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.owner.as_wire());
        out.extend_from_slice(&self.rtype.0.to_be_bytes());
        out.extend_from_slice(&CLASS_IN.to_be_bytes());
        out.extend_from_slice(&self.ttl.to_be_bytes());
        out.extend_from_slice(&(self.rdata.len() as u16).to_be_bytes());
        out.extend_from_slice(self.rdata);
    }

    /// Takes a record off the front; `None` when there is none of class IN. RDATA is not looked at.
    pub(crate) fn take(bytes: &'a [u8]) -> Option<(Record<'a>, &'a [u8])> {
        let (owner, rest) = NameRef::split_from(bytes)?;
        let (&[t0, t1, c0, c1, a, b, c, d, l0, l1], rest) = rest.split_first_chunk::<10>()?;
        let (rdata, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
        let rtype = RecordType(u16::from_be_bytes([t0, t1]));
        let record = Record { owner, rtype, ttl: u32::from_be_bytes([a, b, c, d]), rdata };
        (u16::from_be_bytes([c0, c1]) == CLASS_IN).then_some((record, rest))
    }

    /// Whether RDATA fits the type.
    pub(crate) fn is_valid(&self) -> bool {
        !self.rtype.is_meta() && rdata::validate(self.rtype, self.rdata).is_ok()
    }
}

/// Records in wire form, one behind the other.
#[derive(Clone, Debug)]
pub struct Records<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let (record, rest) = Record::take(self.0)?;
        self.0 = rest;
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secondo_wire::Name;

    #[test]
    fn records_come_back_and_other_classes_do_not() {
        let owner = Name::parse("A.example.").unwrap();
        let record = Record { owner: owner.as_ref(), rtype: RecordType::A, ttl: 7, rdata: b"abcd" };
        let mut bytes = vec![];
        record.put(&mut bytes);
        record.put(&mut bytes);
        assert_eq!(Records(&bytes).collect::<Vec<_>>(), [record, record]);
        assert!(record.is_valid());
        bytes[owner.as_wire().len() + 3] = 3;
        assert_eq!(Records(&bytes).count(), 0);
    }
}
