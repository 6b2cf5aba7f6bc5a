//! What leads from one version of a zone to another.
//!
//! A record whose TTL or spelling changed, or the spelling of its owner, is in both parts, so that applying a difference gives the
//! new version octet for octet, and applying it backwards the old one.
//!
//! **Invariant** ([`Difference::is_sound`]): each part begins with its only SOA, that of the version it belongs to; both SOAs have
//! one owner, and the owners of the rest ascend from there, in one part as in the other. Asserted of each that is found between
//! versions; octets of which it does not hold are refused.

use crate::compare;
use crate::dense;
use crate::limits::Limits;
use crate::patch::{Patch, PatchError};
use crate::record::{Part, Record, Records};
use crate::zone::Zone;
use secondo_wire::{KeyBuf, RecordType, Serial, Soa};
use std::borrow::Borrow;

/// The net difference of two versions, both SOAs included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The old version's serial.
    pub from: Serial,
    /// The new version's serial.
    pub to: Serial,
    pub(crate) removed: Part,
    pub(crate) added: Part,
}

/// Octets that are no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the difference is damaged: {0}")]
pub struct BadDifference(pub(crate) &'static str);

impl Difference {
    /// What leads from `old` to `new`, two versions of one zone. Pages that both share are passed over.
    pub fn between(old: &Zone, new: &Zone) -> Difference {
        compare::difference(old, new, usize::MAX).expect("no difference takes more")
    }

    /// The same, unless it takes more than `most` octets ([`Difference::wire_bytes`]): it is not looked for any longer then.
    pub fn between_within(old: &Zone, new: &Zone, most: usize) -> Option<Difference> {
        compare::difference(old, new, most)
    }

    /// The records of the old version that are not in the new one; the old SOA first, the rest in canonical order of
    /// their owners.
    pub fn removed(&self) -> Records<'_> {
        self.removed.records()
    }

    /// The records of the new version that are not in the old one, ordered alike.
    pub fn added(&self) -> Records<'_> {
        self.added.records()
    }

    /// Number of removed records, the SOA included.
    pub fn removed_count(&self) -> usize {
        self.removed.len()
    }

    /// Number of added records, the SOA included.
    pub fn added_count(&self) -> usize {
        self.added.len()
    }

    /// Octets of its records in uncompressed wire form: about what an IXFR takes, and no less than they take in memory.
    pub fn wire_bytes(&self) -> usize {
        self.removed.wire_bytes() + self.added.wire_bytes()
    }

    /// For a journal: some ten octets a changed address (the form is described in `dense.rs`).
    pub fn to_bytes(&self) -> Vec<u8> {
        dense::written(self)
    }

    /// Reads what [`Difference::to_bytes`] wrote. Any octets may come: they are checked as far as can be without the zone,
    /// take at most some 90 octets of memory each, and there is one way to write each difference: what is read is written again
    /// as the same octets.
    pub fn from_bytes(bytes: &[u8]) -> Result<Difference, BadDifference> {
        dense::read(bytes)
    }

    /// The invariant of differences.
    pub(crate) fn is_sound(&self) -> bool {
        let apex = self.removed().next().map(|soa| soa.owner);
        let part = |mut records: Records<'_>, serial: Serial| {
            let (mut last, mut key) = (KeyBuf::new(), KeyBuf::new());
            let ascends = |record: Record<'_>| {
                std::mem::swap(&mut last, &mut key);
                apex.is_some_and(|apex| key.set(record.owner, apex)) && last.as_slice() <= key.as_slice()
            };
            let mut first = records.clone();
            let soa = first.next().filter(|soa| soa.rtype == RecordType::SOA && apex == Some(soa.owner));
            soa.and_then(|soa| Soa::from_rdata(soa.rdata)).is_some_and(|soa| soa.serial == serial)
                && first.all(|record| record.rtype != RecordType::SOA)
                && records.all(ascends)
        };
        part(self.removed(), self.from) && part(self.added(), self.to)
    }

    /// The way back: what leads from the new version to the old one, octet for octet as well.
    pub fn reversed(&self) -> Difference {
        Difference { from: self.to, to: self.from, removed: self.added.clone(), added: self.removed.clone() }
    }

    /// Makes the new version out of the old one.
    pub fn apply(&self, base: &Zone) -> Result<Zone, PatchError> {
        Difference::apply_all(base, [self])
    }

    /// Makes the version at the end of a chain of differences, each of which begins where the one before it ends. They are one
    /// change of `base`: time is in proportion to them, and each page that they touch is written once. Each is asked
    /// for when the one before it has been taken in, so that a chain on a disk need not be in memory.
    pub fn apply_all<D: Borrow<Difference>>(
        base: &Zone,
        steps: impl IntoIterator<Item = D>,
    ) -> Result<Zone, PatchError> {
        // What was accepted once is not measured again.
        let unlimited = Limits {
            max_bytes: u64::MAX,
            max_records: u64::MAX,
            rrset_records: u32::MAX,
            name_types: u32::MAX,
        };
        let mut patch = Patch::new(base, unlimited);
        let mut reached = base.serial();
        for step in steps {
            let step = step.borrow();
            if step.from != reached {
                return Err(PatchError::OtherBase { from: step.from, base: reached });
            }
            for record in step.removed().skip(1) {
                patch.delete(record.owner, record.rtype, record.rdata)?;
            }
            for record in step.added() {
                if record.rtype == RecordType::SOA {
                    patch.replace_soa_of(record.owner, record.ttl, record.rdata)?;
                } else {
                    patch.add(record.owner, record.rtype, record.ttl, record.rdata)?;
                }
            }
            reached = step.to;
        }
        Ok(patch.finish()?.zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BorderSecret, Builder};
    use secondo_wire::Name;

    /// A zone with its apex spelled so, and an address.
    fn zone(apex: &str, serial: u32, address: &[u8; 4]) -> Zone {
        let name = |text: &str| Name::parse(text).unwrap();
        let (mname, rname) = (name("ns.example."), name("host.example."));
        let soa = Soa { mname, rname, serial: Serial(serial), refresh: 1, retry: 2, expire: 3, minimum: 4 };
        let mut builder =
            Builder::new(name("example."), &BorderSecret::new([1; 16]), crate::Limits::default());
        builder.push(name(apex).as_ref(), RecordType::SOA, 300, &soa.to_rdata()).unwrap();
        builder.push(name(&format!("a.{apex}")).as_ref(), RecordType::A, 300, address).unwrap();
        builder.finish().unwrap().zone
    }

    #[test]
    fn a_zone_may_be_spelled_otherwise_in_its_next_version() {
        let (old, new) = (zone("example.", 1, b"abcd"), zone("EXAMPLE.", 2, b"abcd"));
        let difference = Difference::between(&old, &new);
        assert_eq!((difference.removed_count(), difference.added_count()), (2, 2));
        let read = Difference::from_bytes(&difference.to_bytes()).unwrap();
        assert_eq!(read, difference);
        assert_eq!(read.apply(&old).unwrap(), new);
        assert_eq!(read.reversed().apply(&new).unwrap(), old);
    }

    #[test]
    fn a_difference_that_is_too_large_is_none() {
        let (old, new) = (zone("example.", 1, b"abcd"), zone("example.", 2, b"efgh"));
        let difference = Difference::between(&old, &new);
        let most = difference.wire_bytes();
        assert_eq!(Difference::between_within(&old, &new, most).as_ref(), Some(&difference));
        for less in [0, 1, most - 1] {
            assert_eq!(Difference::between_within(&old, &new, less), None);
        }
    }

    #[test]
    fn a_chain_has_no_gaps_and_an_empty_one_changes_nothing() {
        let zones = [1, 2, 3].map(|serial| zone("example.", serial, &[serial as u8; 4]));
        let steps = [0, 1].map(|at| Difference::between(&zones[at], &zones[at + 1]));
        assert_eq!(Difference::apply_all(&zones[0], &steps).unwrap(), zones[2]);
        assert_eq!(Difference::apply_all(&zones[0], &steps[..0]).unwrap(), zones[0]);
        let gap = |steps: [&Difference; 2]| Difference::apply_all(&zones[0], steps).unwrap_err();
        let other = |from, base| PatchError::OtherBase { from: Serial(from), base: Serial(base) };
        assert_eq!(gap([&steps[0], &steps[0]]), other(1, 2));
        assert_eq!(gap([&steps[1], &steps[0]]), other(2, 1));
    }
}
