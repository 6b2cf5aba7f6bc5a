//! A whole zone on its way in, between the SOA that opens it and the one that closes it (RFC 5936 §2.2).

use secondo_wire::{NameRef, Reason, RecordType, Serial};
use secondo_zone::{BuildError, Builder, Built};

use crate::Fault;
use crate::opening::Opening;
use crate::reader::{Clean, covered};

/// Octets of a stream beyond the zone's limit: room for the closing SOA.
const SLACK: u64 = 1 << 16;

/// What a record did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Made,
    /// An addition of what was there.
    Idle,
    /// Dropped: its owner is outside of the zone.
    OutOfZone,
    /// Dropped: it signs a type that cannot be data (RFC 6895 §3.1).
    SignsNoData,
}

/// See the module.
pub(crate) struct Whole {
    opening: Opening,
    builder: Builder,
    /// Octets that a zone may have.
    max_bytes: u64,
}

impl Whole {
    /// Begins with the first SOA.
    pub(crate) fn new(
        opening: Opening,
        apex: NameRef<'_>,
        mut builder: Builder,
        max_bytes: u64,
    ) -> Result<Whole, Fault> {
        builder.push(apex, RecordType::SOA, opening.ttl, &opening.rdata)?;
        Ok(Whole { opening, builder, max_bytes })
    }

    /// Takes a record other than a SOA; with it the stream has `octets` of records.
    pub(crate) fn insert(&mut self, record: Clean<'_>, octets: u64) -> Result<Change, Fault> {
        // What adds nothing to the zone, as duplicates do, must come to an end too.
        if octets > self.max_bytes.saturating_add(SLACK) {
            let (owner, rtype, limit) = (record.owner.to_owned(), record.rtype, self.max_bytes);
            return Err(BuildError::LimitBytes { owner, rtype, limit }.into());
        }
        if covered(&record).is_some_and(RecordType::is_meta) {
            return Ok(Change::SignsNoData);
        }
        match self.builder.push(record.owner, record.rtype, record.ttl, record.rdata) {
            Ok(()) => Ok(Change::Made),
            Err(BuildError::OutOfZone { .. }) => Ok(Change::OutOfZone),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the SOA that closes the zone, or an error when it is not the one that opened it.
    pub(crate) fn close(&self, serial: Serial, canonical: &[u8]) -> Result<(), Fault> {
        // RFC 5936 §2.2: the last message ends with the SOA that the first began with.
        if self.opening.equals(canonical) {
            return Ok(());
        }
        let first = self.opening.soa.serial;
        let how = if serial == first { ", but other data" } else { "" };
        let detail = format!("it began with serial {first} and closes with {serial}{how} (RFC 5936 §2.2)");
        Err(Fault::new(Reason::SoaMismatch, detail))
    }

    /// Makes the zone.
    pub(crate) fn build(self) -> Result<Built, Fault> {
        Ok(self.builder.finish()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::Outcome;
    use crate::decoder::tests::{after, decoder, feed, whole};
    use crate::testing::{self, a, ns, rr, soa};
    use secondo_zone::{Spill, SpillError};
    use std::sync::{Arc, Mutex};

    #[test]
    fn the_closing_soa_equals_the_first_but_for_case_and_ttl() {
        let data = [soa(1), ns("example.", "ns.example.")];
        let mut other_case = soa(1);
        other_case.rdata[1..3].make_ascii_uppercase();
        other_case.ttl = 1;
        assert!(whole(&[&data[..], &[other_case]].concat()).is_ok());
        let mut other_minimum = soa(1);
        *other_minimum.rdata.last_mut().unwrap() += 1;
        for closing in [soa(2), other_minimum] {
            let fault = whole(&[&data[..], &[closing]].concat()).unwrap_err();
            assert_eq!(fault.reason, Reason::SoaMismatch);
        }
    }

    #[test]
    fn records_outside_of_the_zone_are_dropped_with_one_warning() {
        let current = testing::zone(1, &[]);
        let out = [a("www.example.org.", 1), a("badexample.", 2), a("com.", 3)];
        let mut decoder = decoder(None, false, false);
        feed(&mut decoder, &[&[soa(1), ns("example.", "ns.example.")][..], &out, &[soa(1)]].concat())
            .unwrap();
        let Ok(Outcome::Version { zone, .. }) = decoder.finish() else { panic!() };
        assert_eq!(zone.counts().records, 2);
        assert_eq!(decoder.tally.dropped_out_of_zone, 3);
        let warnings = decoder.warnings.as_slice();
        assert_eq!((warnings.len(), warnings[0].count), (1, 3));
        assert_eq!(warnings[0].first, "www.example.org. A");
        // In both parts of a difference too.
        let stream = [&[soa(2), soa(1)][..], &out, &[soa(2)], &out, &[soa(2)]].concat();
        assert_eq!(after(&current, &stream).unwrap().counts().records, current.counts().records);
    }

    #[test]
    fn a_signature_over_a_type_that_is_no_data_is_dropped() {
        let mut rdata = vec![0, 41, 8, 1, 0, 0, 1, 44, 0, 0, 0, 9, 0, 0, 0, 1, 0, 7];
        rdata.extend_from_slice(b"\0sig");
        let signature = rr("example.", RecordType::RRSIG, &rdata);
        let Ok(Outcome::Version { zone, .. }) = whole(&[soa(1), signature.clone(), soa(1)]) else { panic!() };
        assert_eq!(zone.counts().records, 1);
        // In both parts of a difference too.
        let stream = [soa(2), soa(1), signature.clone(), soa(2), signature, soa(2)];
        assert_eq!(after(&zone, &stream).unwrap().counts().records, 1);
    }

    /// Counts what is put; keeps it, and fails to read it back if so told.
    #[derive(Clone, Default)]
    struct Place {
        octets: Arc<Mutex<Vec<u8>>>,
        unreadable: bool,
    }

    impl Spill for Place {
        fn append(&mut self, octets: &[u8]) -> Result<(), SpillError> {
            self.octets.lock().unwrap().extend_from_slice(octets);
            Ok(())
        }

        fn read(&mut self, at: u64, octets: &mut [u8]) -> Result<(), SpillError> {
            if self.unreadable {
                return Err(SpillError("it is gone".into()));
            }
            octets.copy_from_slice(&self.octets.lock().unwrap()[at as usize..][..octets.len()]);
            Ok(())
        }
    }

    #[test]
    fn a_large_zone_in_no_order_goes_where_the_caller_says() {
        let backwards: Vec<_> = (0..30_000).rev().map(|n| a(&format!("h{n:05}.example."), 1)).collect();
        let stream = [&[soa(1)][..], &backwards, &[soa(1)]].concat();
        let arrive = |place: &Place| {
            let mut decoder = decoder(None, false, false);
            decoder.limits.max_bytes = 1 << 30;
            decoder.spill_to(Box::new(place.clone()), 0);
            feed(&mut decoder, &stream)?;
            decoder.finish()
        };
        let place = Place::default();
        let Ok(Outcome::Version { zone, .. }) = arrive(&place) else { panic!() };
        assert!(place.octets.lock().unwrap().len() > 100_000);
        assert!(zone == testing::build(&stream));
        let fault = arrive(&Place { unreadable: true, ..Place::default() }).unwrap_err();
        assert_eq!(fault.reason, Reason::Disk);
        assert!(fault.detail.contains("it is gone"), "{fault}");
    }
}
