//! A chain of difference sequences on its way in: each step from our version towards the one announced (RFC 1995 §4).
//!
//! All of them go into one patch, so that no version between is ever to be seen, and a chain costs what it changes.

use secondo_wire::{Reason, RecordType, Serial, rdata};
use secondo_zone::{BuildError, Limits, Patch, PatchError, Zone};

use crate::Fault;
use crate::opening::Opening;
use crate::reader::{Clean, covered};
use crate::whole::Change;

/// Difference sequences in one answer; more are had cheaper as a whole zone.
pub(crate) const MAX_DIFFERENCES: u64 = 10_000;
/// Octets of differences that are always taken, however small the zone.
const FLOOR: u64 = 1 << 20;

/// See the module.
pub(crate) struct Chain {
    opening: Opening,
    patch: Patch,
    /// The sequence being read leads on from here.
    cur: Serial,
    /// The SOA that the next sequence should delete, canonical.
    old_soa: Vec<u8>,
    /// Sequences begun.
    sequences: u64,
    /// Octets of records that may come before a whole zone is cheaper.
    most: u64,
}

/// What a SOA means that ends the additions of a sequence.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// Another sequence begins with it.
    Sequence,
    /// It closes the stream.
    End,
}

impl Chain {
    /// Begins at `current`, towards the version that `opening` announced.
    pub(crate) fn new(current: &Zone, opening: Opening, limits: Limits) -> Chain {
        let mut old_soa = Vec::new();
        rdata::canonical(RecordType::SOA, current.soa_rdata(), &mut old_soa);
        Chain {
            opening,
            patch: Patch::new(current, limits),
            cur: current.serial(),
            old_soa,
            sequences: 0,
            most: current.counts().wire_bytes.max(FLOOR),
        }
    }

    /// Sequences begun so far.
    pub(crate) fn sequences(&self) -> u64 {
        self.sequences
    }

    /// Differences that outgrow the zone are had cheaper as a whole.
    pub(crate) fn admit(&self, octets: u64) -> Result<(), Fault> {
        if octets <= self.most {
            return Ok(());
        }
        let detail = format!("{octets} octets of differences, more than the zone is worth ({})", self.most);
        Err(Fault::new(Reason::IxfrTooLarge, detail))
    }

    /// The SOA that opens a sequence; its serial is where the chain stands. False when it says otherwise in the rest:
    /// only the serial counts (RFC 1995 §4).
    pub(crate) fn begin_sequence(&mut self, canonical: &[u8]) -> Result<bool, Fault> {
        self.sequences += 1;
        if self.sequences > MAX_DIFFERENCES {
            let detail = format!("more than {MAX_DIFFERENCES} difference sequences");
            return Err(Fault::new(Reason::IxfrTooLarge, detail));
        }
        Ok(self.old_soa == canonical)
    }

    /// A record of the first half of a sequence; with it the stream has `octets` of records.
    pub(crate) fn delete(&mut self, record: Clean<'_>, octets: u64) -> Result<Change, Fault> {
        self.admit(octets)?;
        if covered(&record).is_some_and(RecordType::is_meta) {
            return Ok(Change::SignsNoData);
        }
        // RFC 1995 §4: the RR is deleted as it stands, whatever its TTL.
        change(self.patch.delete(record.owner, record.rtype, record.rdata).map(|()| true))
    }

    /// A record of the second half of a sequence; with it the stream has `octets` of records.
    pub(crate) fn add(&mut self, record: Clean<'_>, octets: u64) -> Result<Change, Fault> {
        self.admit(octets)?;
        if covered(&record).is_some_and(RecordType::is_meta) {
            return Ok(Change::SignsNoData);
        }
        change(self.patch.add(record.owner, record.rtype, record.ttl, record.rdata))
    }

    /// The SOA between the halves of a sequence: of the version that it leads to.
    pub(crate) fn lead_to(&mut self, next: Serial, record: Clean<'_>, canonical: &[u8]) -> Result<(), Fault> {
        let (cur, target) = (self.cur, self.opening.soa.serial);
        // RFC 1982 §3.2: each sequence leads forward, and none beyond the version that the answer announced.
        if !next.newer_than(cur) || !(next == target || target.newer_than(next)) {
            return Err(broken(format!("a sequence leads from {cur} to {next}, the target is {target}")));
        }
        if next == target && !self.opening.equals(canonical) {
            return Err(broken(format!("two different SOAs of serial {target}")));
        }
        // RFC 1995 §4: the new SOA stands in the place of the old one, whole.
        self.patch.replace_soa(record.ttl, record.rdata)?;
        canonical.clone_into(&mut self.old_soa);
        Ok(())
    }

    /// The SOA behind a sequence that led to `next`.
    pub(crate) fn after(&mut self, next: Serial, serial: Serial, canonical: &[u8]) -> Result<After, Fault> {
        let target = self.opening.soa.serial;
        if next != target {
            // A closing SOA alone does not prove that the chain reached it.
            if serial != next {
                return Err(broken(format!("after {next} it goes on at {serial}, the target is {target}")));
            }
            self.cur = next;
            return Ok(After::Sequence);
        }
        // RFC 1995 §4: the answer ends with the SOA that it began with.
        if !self.opening.equals(canonical) {
            return Err(broken(format!("the differences to {target} close with another SOA of {serial}")));
        }
        Ok(After::End)
    }

    /// All changes together.
    pub(crate) fn into_patch(self) -> Patch {
        self.patch
    }
}

fn change(done: Result<bool, PatchError>) -> Result<Change, Fault> {
    match done {
        Ok(true) => Ok(Change::Made),
        Ok(false) => Ok(Change::Idle),
        Err(PatchError::Bad(BuildError::OutOfZone { .. })) => Ok(Change::OutOfZone),
        Err(error) => Err(error.into()),
    }
}

fn broken(detail: String) -> Fault {
    Fault::new(Reason::IxfrBrokenChain, format!("{detail} (RFC 1995 §4)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use crate::decoder::tests::{after, decoder, feed, reason, whole};
    use crate::decoder::{Decoder, Outcome};
    use crate::testing::{self, a, ixfr, rr, soa};

    #[test]
    fn one_condensed_difference_and_many_small_ones_give_the_same_zone() {
        let versions = [
            testing::zone(4_294_967_290, &[a("a.example.", 1), a("b.example.", 1)]),
            testing::zone(4_294_967_295, &[a("b.example.", 1), a("c.example.", 9)]),
            testing::zone(0, &[a("b.example.", 1), a("b.example.", 2)]),
            testing::zone(5, &[a("a.example.", 1), a("d.example.", 4)]),
        ];
        let newest = testing::content(&versions[3]);
        let mut decoder = decoder(Some(&versions[0]), true, false);
        feed(&mut decoder, &ixfr(&versions)).unwrap();
        let Ok(Outcome::Version { zone: stepwise, .. }) = decoder.finish() else { panic!() };
        assert!(decoder.warnings.as_slice().is_empty());
        let condensed = after(&versions[0], &ixfr(&[versions[0].clone(), versions[3].clone()])).unwrap();
        assert_eq!(testing::content(&stepwise), newest);
        assert_eq!(testing::content(&condensed), newest);
    }

    #[test]
    fn a_difference_may_change_the_soa_alone() {
        let current = testing::zone(1, &[]);
        let got = after(&current, &[soa(2), soa(1), soa(2), soa(2)]).unwrap();
        assert_eq!(testing::content(&got), testing::content(&testing::zone(2, &[])));
    }

    #[test]
    fn a_chain_that_does_not_lead_to_its_target_is_broken() {
        let current = testing::zone(1, &[]);
        let quarters = (0..4u32).map(|quarter| 4 + (quarter << 30));
        let around: Vec<_> = quarters.flat_map(|serial| [soa(serial), soa(serial)]).collect();
        for broken in [
            // The closing SOA stands where the chain has only reached 2.
            vec![soa(3), soa(1), soa(2), soa(3)],
            // A gap: from 2 to 3, but the chain stands at 2 and goes on at 4.
            vec![soa(9), soa(1), soa(2), soa(4), soa(9)],
            // Beyond the target.
            vec![soa(3), soa(1), soa(4), soa(3)],
            // No step at all, and a step back, from the first version and from a later one.
            vec![soa(3), soa(1), soa(1), soa(1), soa(3), soa(3)],
            vec![soa(3), soa(1), soa(0), soa(0), soa(3), soa(3)],
            vec![soa(9), soa(1), soa(3), soa(3), soa(2), soa(2), soa(9), soa(9)],
            // Once around the circle of serials.
            [&[soa(3), soa(1)][..], &around, &[soa(3), soa(3)]].concat(),
        ] {
            assert_eq!(reason(&current, &broken), Reason::IxfrBrokenChain, "{broken:?}");
        }
        let mut other = soa(2);
        *other.rdata.last_mut().unwrap() += 1;
        assert_eq!(reason(&current, &[soa(2), soa(1), other.clone()]), Reason::IxfrBrokenChain);
        assert_eq!(reason(&current, &[soa(2), soa(1), soa(2), other]), Reason::IxfrBrokenChain);
    }

    #[test]
    fn deleting_what_is_not_there_stops_and_adding_what_is_there_warns() {
        let current = testing::zone(1, &[a("www.example.", 1)]);
        let absent = [soa(2), soa(1), a("www.example.", 2), soa(2), soa(2)];
        assert_eq!(reason(&current, &absent), Reason::IxfrAbsentRecord);
        let mut decoder = decoder(Some(&current), true, false);
        feed(&mut decoder, &[soa(2), soa(1), soa(2), a("www.example.", 1), soa(2)]).unwrap();
        assert!(matches!(decoder.finish(), Ok(Outcome::Version { kind: Kind::Ixfr, .. })));
        assert_eq!(decoder.warnings.as_slice()[0].first, "www.example. A");
    }

    #[test]
    fn a_record_deleted_in_one_difference_and_added_in_the_next_is_there() {
        let current = testing::zone(1, &[a("www.example.", 1)]);
        let www = || a("www.example.", 1);
        let got = after(&current, &[soa(3), soa(1), www(), soa(2), soa(2), soa(3), www(), soa(3)]).unwrap();
        assert_eq!(testing::content(&got), testing::content(&testing::zone(3, &[www()])));
    }

    #[test]
    fn a_deletion_disregards_ttl_and_case_and_the_old_soa_counts_by_its_serial() {
        let current = testing::zone(1, &[a("www.example.", 1)]);
        let mut old = soa(1);
        *old.rdata.last_mut().unwrap() += 1;
        let mut www = a("WWW.Example.", 1);
        www.ttl = 5;
        let mut decoder = decoder(Some(&current), true, false);
        feed(&mut decoder, &[soa(2), old, www, soa(2), soa(2)]).unwrap();
        let Ok(Outcome::Version { zone, .. }) = decoder.finish() else { panic!() };
        assert_eq!(testing::content(&zone), testing::content(&testing::zone(2, &[])));
        assert!(decoder.warnings.as_slice()[0].what.contains("SOA"));
    }

    #[test]
    fn differences_are_bounded_by_the_zone_and_whole_zones_by_their_limit() {
        let current = testing::zone(1, &[]);
        let big = |i: u32| rr(&format!("n{i}.example."), RecordType::TXT, &[0; 60_000]);
        let mut stream = vec![soa(2), soa(1), soa(2)];
        stream.extend((0..18).map(big));
        assert_eq!(reason(&current, &stream), Reason::IxfrTooLarge);
        let mut stream = vec![soa(2)];
        stream.extend((0..18).map(big).chain([soa(2)]));
        assert_eq!(whole(&stream).unwrap_err().reason, Reason::LimitBytes);
        // Duplicates add nothing to a zone, but a stream of them ends too.
        let stream = [vec![soa(2)], vec![big(0); 19]].concat();
        assert_eq!(whole(&stream).unwrap_err().reason, Reason::LimitBytes);
    }

    #[test]
    fn the_number_of_differences_is_bounded() {
        // Large enough for all those SOAs.
        let big = |i: u32| rr(&format!("n{i}.example."), RecordType::TXT, &[0; 60_000]);
        let current = testing::zone(0, &(0..40).map(big).collect::<Vec<_>>());
        let mut stream = vec![soa(1 << 30)];
        for serial in 0..=MAX_DIFFERENCES as u32 {
            stream.extend([soa(serial), soa(serial + 1)]);
        }
        let (apex, limits) = (testing::name("example."), Limits::default());
        let mut decoder = Decoder::new(apex, testing::secret(), limits, Some(current), true, false);
        let fault = feed(&mut decoder, &stream).unwrap_err();
        assert_eq!(fault.reason, Reason::IxfrTooLarge);
        assert!(fault.detail.contains("10000"), "{fault}");
    }
}
