//! The grammar of AXFR and IXFR answers, record by record; message borders have no meaning here (RFC 1995 §4, RFC 5936
//! §2.2).
//!
//! ```text
//!                                  ┌───────────────┐
//!                                  │ AwaitFirstSoa │
//!                                  └───────┬───────┘
//!              SOA S1 at the apex; serial: │ ours ─► Ended: UpToDate     older, 2^31 apart ─► fault
//!                                          │ newer (any, when forced or when there is no version)
//!                  AXFR was asked ┌────────┴────────┐ IXFR was asked
//!                                 │                 ▼
//!                                 │       ┌───────────────────┐ any other SOA ─► fault
//!                                 │       │ AwaitSecondRecord │ SOA = S1 ─► Ended: Whole (an empty zone)
//!                                 │       └─┬───────────────┬─┘
//!                                 ▼  no SOA │               │ SOA of our serial
//!                     ┌─────────────────┐   │               ▼
//!              ┌─────►│ AwaitClosingSoa │◄──┘       ┌─────────────┐◄─── no SOA: delete
//!    no SOA:   │      └──┬───┬──────────┘           │ AwaitAddSoa │
//!    insert    └─────────┘   │ SOA = S1             └──────┬──────┘◄──────────────────────┐
//!                            ▼                             │ SOA X: cur < X <= S1          │
//!                     Ended: Whole                         ▼                               │
//!                                                   ┌──────────────┐ SOA of serial X,      │
//!                        no SOA: add ──────────────►│ AwaitNextSoa │ X not yet S1: cur = X │
//!                                                   └──────┬───────┴───────────────────────┘
//!                                                          │ X is S1: SOA = S1
//!                                                          ▼
//!                                                   Ended: Changed
//! ```
//!
//! "SOA = S1" compares all RDATA, names without regard to case, TTL ignored. After an end any record is a fault; only
//! what follows an UpToDate is ignored. A fault leaves the decoder spent: nothing can be had of it any more.

use std::mem;

use secondo_wire::{Name, Reason, RecordType, Serial, Soa, rdata};
use secondo_zone::{BorderSecret, Builder, Difference, Limits, Spill, Zone};

use crate::candidate::{Tally, Warnings};
use crate::chain::{After, Chain};
use crate::opening::Opening;
use crate::reader::Clean;
use crate::whole::{Change, Whole};
use crate::{Fault, Kind};

/// What is said about tolerated records.
mod tolerated {
    pub(super) const OUT_OF_ZONE: &str = "records outside of the zone were dropped (RFC 5936 §3.1)";
    pub(super) const SIGNED_META: &str =
        "signatures over a type that is no data were dropped (RFC 6895 §3.1)";
    pub(super) const ADDED_TWICE: &str = "differences add records that were there already (RFC 1995 §4)";
    pub(super) const OTHER_OLD_SOA: &str =
        "the SOA that differences start from has our serial, but other data (RFC 1995 §4)";
    pub(super) const DUPLICATES: &str = "records came more than once (RFC 2181 §5)";
    pub(super) const MIXED_TTLS: &str = "RRsets came with more than one TTL (RFC 2181 §5.2)";
}

/// What is awaited next. Each phase holds what it needs, and nothing else.
enum Phase {
    AwaitFirstSoa,
    AwaitSecondRecord(Box<Opening>),
    /// Records of the zone, up to the SOA that closes it.
    AwaitClosingSoa(Box<Whole>),
    /// Records to delete, up to the SOA of the version they lead to.
    AwaitAddSoa(Box<Chain>),
    /// Records to add for the version `next`, up to the SOA that opens another sequence or closes the stream.
    AwaitNextSoa {
        chain: Box<Chain>,
        next: Serial,
    },
    Ended(End),
    /// Moved out of, by a fault or for good.
    Spent,
}

enum End {
    UpToDate(Box<Opening>),
    Whole(Box<Whole>),
    Changed(Box<Chain>),
}

/// What a decoder that ended leaves behind.
#[derive(Debug)]
pub(crate) enum Outcome {
    UpToDate(Soa),
    Version { zone: Zone, difference: Option<Difference>, kind: Kind },
}

/// See the module.
pub(crate) struct Decoder {
    apex: Name,
    secret: BorderSecret,
    pub(crate) limits: Limits,
    current: Option<Zone>,
    forced: bool,
    /// In what form the zone comes; `None` while that is open.
    form: Option<Kind>,
    phase: Phase,
    /// Where a whole zone's records go that come out of order, until one begins.
    spill: Option<(Box<dyn Spill>, usize)>,
    /// Octets of answer records taken.
    octets: u64,
    /// Canonical RDATA of the SOA at hand.
    canonical: Vec<u8>,
    pub(crate) tally: Tally,
    pub(crate) warnings: Warnings,
    pub(crate) has_cname: bool,
}

impl Decoder {
    /// For an answer to an IXFR question when `incremental`; then `current` is the version asked from.
    pub(crate) fn new(
        apex: Name,
        secret: BorderSecret,
        limits: Limits,
        current: Option<Zone>,
        incremental: bool,
        forced: bool,
    ) -> Decoder {
        Decoder {
            apex,
            secret,
            limits,
            current,
            forced,
            form: if incremental { None } else { Some(Kind::Axfr) },
            phase: Phase::AwaitFirstSoa,
            spill: None,
            octets: 0,
            canonical: Vec::with_capacity(128),
            tally: Tally::default(),
            warnings: Warnings::default(),
            has_cname: false,
        }
    }

    /// See [`crate::Session::spill_to`].
    pub(crate) fn spill_to(&mut self, place: Box<dyn Spill>, keep: usize) {
        self.spill = Some((place, keep));
    }

    /// Whether the stream is, or may still become, one of differences.
    pub(crate) fn in_differences(&self) -> bool {
        matches!(self.form, None | Some(Kind::Ixfr))
    }

    /// Whether the stream came to its end.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }

    /// Whether what follows is ignored.
    pub(crate) fn is_up_to_date(&self) -> bool {
        matches!(self.phase, Phase::Ended(End::UpToDate(_)))
    }

    /// Takes one record that stands on `size` octets of its message.
    pub(crate) fn take(&mut self, record: Clean<'_>, size: usize) -> Result<(), Fault> {
        self.tally.records += 1;
        self.octets += size as u64;
        if record.rtype == RecordType::SOA {
            return self.soa(record);
        }
        if let Phase::AwaitSecondRecord(_) = self.phase {
            // RFC 1995 §4: a second record other than a SOA says that the whole zone follows.
            let Phase::AwaitSecondRecord(opening) = mem::replace(&mut self.phase, Phase::Spent) else {
                return Err(spent());
            };
            self.form = Some(Kind::AxfrStyle);
            self.phase = Phase::AwaitClosingSoa(self.whole(*opening)?);
        }
        let octets = self.octets;
        let (change, adding) = match &mut self.phase {
            Phase::AwaitClosingSoa(whole) => (whole.insert(record, octets)?, true),
            Phase::AwaitAddSoa(chain) => (chain.delete(record, octets)?, false),
            Phase::AwaitNextSoa { chain, .. } => (chain.add(record, octets)?, true),
            // RFC 5936 §2.2: the first record is the zone's SOA.
            Phase::AwaitFirstSoa => {
                let detail = format!("the first record is {} {} (RFC 5936 §2.2)", record.owner, record.rtype);
                return Err(Fault::new(Reason::SoaMissing, detail));
            }
            Phase::Ended(End::UpToDate(_)) => return Ok(()),
            Phase::Ended(_) => return Err(behind_the_end(record)),
            Phase::AwaitSecondRecord(_) | Phase::Spent => return Err(spent()),
        };
        self.has_cname |= adding && record.rtype == RecordType::CNAME;
        match change {
            Change::Made => return Ok(()),
            Change::Idle => self.warnings.at(tolerated::ADDED_TWICE, record.owner, record.rtype),
            Change::SignsNoData => self.warnings.at(tolerated::SIGNED_META, record.owner, record.rtype),
            Change::OutOfZone => {
                self.tally.dropped_out_of_zone += 1;
                self.warnings.at(tolerated::OUT_OF_ZONE, record.owner, record.rtype);
            }
        }
        Ok(())
    }

    /// A SOA: the only record that moves from one phase to another, but for the second.
    fn soa(&mut self, record: Clean<'_>) -> Result<(), Fault> {
        if record.owner != self.apex.as_ref() {
            // RFC 5936 §2.2, §3.1: a zone has one SOA, at its apex.
            let detail = format!("{} SOA in the zone {} (RFC 5936 §2.2)", record.owner, self.apex);
            return Err(Fault::new(Reason::SoaForeign, detail));
        }
        let Some(soa) = Soa::from_rdata(record.rdata) else {
            return Err(Fault::new(Reason::BadRdata, format!("{} SOA (RFC 1035 §3.3.13)", record.owner)));
        };
        rdata::canonical(RecordType::SOA, record.rdata, &mut self.canonical);
        let serial = soa.serial;
        self.phase = match mem::replace(&mut self.phase, Phase::Spent) {
            Phase::AwaitFirstSoa => self.open(soa, record)?,
            Phase::AwaitSecondRecord(opening) => self.second_soa(*opening, serial)?,
            Phase::AwaitClosingSoa(whole) => {
                whole.close(serial, &self.canonical)?;
                Phase::Ended(End::Whole(whole))
            }
            Phase::AwaitAddSoa(mut chain) => {
                chain.admit(self.octets)?;
                chain.lead_to(serial, record, &self.canonical)?;
                Phase::AwaitNextSoa { chain, next: serial }
            }
            Phase::AwaitNextSoa { mut chain, next } => {
                chain.admit(self.octets)?;
                match chain.after(next, serial, &self.canonical)? {
                    After::Sequence => self.sequence(chain)?,
                    After::End => Phase::Ended(End::Changed(chain)),
                }
            }
            ended @ Phase::Ended(End::UpToDate(_)) => ended,
            Phase::Ended(_) => return Err(behind_the_end(record)),
            Phase::Spent => return Err(spent()),
        };
        Ok(())
    }

    fn open(&mut self, soa: Soa, record: Clean<'_>) -> Result<Phase, Fault> {
        let opening = Opening::new(soa, record, &self.canonical);
        if let Some(ours) = self.current.as_ref().map(|zone| zone.serial()).filter(|_| !self.forced)
            && !opening.is_news_to(ours)?
        {
            return Ok(Phase::Ended(End::UpToDate(Box::new(opening))));
        }
        Ok(match self.form {
            None => Phase::AwaitSecondRecord(Box::new(opening)),
            Some(_) => Phase::AwaitClosingSoa(self.whole(opening)?),
        })
    }

    fn whole(&mut self, opening: Opening) -> Result<Box<Whole>, Fault> {
        let mut builder = match &self.current {
            Some(current) => Builder::reusing(current, self.limits),
            None => Builder::new(self.apex.clone(), &self.secret, self.limits),
        };
        if let Some((place, keep)) = self.spill.take() {
            builder.spill_to(place, keep);
        }
        Whole::new(opening, self.apex.as_ref(), builder, self.limits.max_bytes).map(Box::new)
    }

    fn second_soa(&mut self, opening: Opening, serial: Serial) -> Result<Phase, Fault> {
        let Some(current) = &self.current else { return Err(spent()) };
        let ours = current.serial();
        if serial == ours {
            // RFC 1995 §4: differences begin with the SOA of the version they lead on from.
            let chain = Chain::new(current, opening, self.limits);
            self.form = Some(Kind::Ixfr);
            return self.sequence(Box::new(chain));
        }
        if opening.equals(&self.canonical) {
            // The whole of an empty zone: SOA and SOA.
            self.form = Some(Kind::AxfrStyle);
            return Ok(Phase::Ended(End::Whole(self.whole(opening)?)));
        }
        let target = opening.soa.serial;
        let detail = format!("differences to {target} begin at {serial}, ours is {ours} (RFC 1995 §4)");
        Err(Fault::new(Reason::IxfrBrokenChain, detail))
    }

    /// A sequence opens with the SOA at hand.
    fn sequence(&mut self, mut chain: Box<Chain>) -> Result<Phase, Fault> {
        if !chain.begin_sequence(&self.canonical)? {
            self.warnings.at(tolerated::OTHER_OLD_SOA, self.apex.as_ref(), RecordType::SOA);
        }
        self.tally.differences = chain.sequences();
        Ok(Phase::AwaitAddSoa(chain))
    }

    /// What it means that the connection ended here.
    pub(crate) fn cut(&self) -> Fault {
        let n = self.tally.records;
        let (reason, detail) = match (&self.phase, self.form) {
            (Phase::AwaitFirstSoa, _) => (Reason::TruncatedStream, "it ended before the first SOA".into()),
            // RFC 1995 §2: over TCP a single newer SOA is no answer.
            (Phase::AwaitSecondRecord(_), _) => {
                (Reason::IxfrCut, "it ended after a single newer SOA (RFC 1995 §4)".into())
            }
            (_, None | Some(Kind::Ixfr)) => {
                (Reason::IxfrCut, format!("it ended after {n} records, before the closing SOA (RFC 1995 §4)"))
            }
            (_, Some(Kind::Axfr | Kind::AxfrStyle)) => (
                Reason::TruncatedStream,
                format!("it ended after {n} records, before the closing SOA (RFC 5936 §2.2)"),
            ),
        };
        Fault::new(reason, detail)
    }

    /// Makes the version. The caller has verified the seal of the last message.
    pub(crate) fn finish(&mut self) -> Result<Outcome, Fault> {
        match mem::replace(&mut self.phase, Phase::Spent) {
            Phase::Ended(End::UpToDate(opening)) => Ok(Outcome::UpToDate(opening.soa)),
            Phase::Ended(End::Whole(whole)) => {
                let built = whole.build()?;
                self.warnings.add(tolerated::DUPLICATES, built.notes.duplicates);
                self.warnings.add(tolerated::MIXED_TTLS, built.notes.mixed_ttls);
                let kind = self.form.unwrap_or(Kind::Axfr);
                Ok(Outcome::Version { zone: built.zone, difference: None, kind })
            }
            Phase::Ended(End::Changed(chain)) => {
                let patched = chain.into_patch().finish()?;
                self.warnings.add(tolerated::MIXED_TTLS, patched.notes.mixed_ttls);
                let (zone, difference) = (patched.zone, Some(patched.difference));
                Ok(Outcome::Version { zone, difference, kind: Kind::Ixfr })
            }
            other => {
                self.phase = other;
                Err(self.cut())
            }
        }
    }
}

/// RFC 5936 §2.2: nothing follows the closing SOA in its message.
fn behind_the_end(record: Clean<'_>) -> Fault {
    let detail = format!("{} {} stands behind the closing SOA (RFC 5936 §2.2)", record.owner, record.rtype);
    Fault::new(Reason::SoaMisplaced, detail)
}

fn spent() -> Fault {
    Fault::new(Reason::Internal, "a message after the end of the session")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::testing::{self, Rr, a, ixfr, ns, rr, soa};

    pub(crate) fn decoder(current: Option<&Zone>, incremental: bool, forced: bool) -> Decoder {
        let apex = testing::name("example.");
        let limits = Limits { max_bytes: 1 << 20, ..Limits::default() };
        Decoder::new(apex, testing::secret(), limits, current.cloned(), incremental, forced)
    }

    pub(crate) fn feed(decoder: &mut Decoder, rrs: &[Rr]) -> Result<(), Fault> {
        rrs.iter().try_for_each(|rr| {
            let size = rr.owner.as_wire().len() + 10 + rr.rdata.len();
            let clean = Clean { owner: rr.owner.as_ref(), rtype: rr.rtype, ttl: rr.ttl, rdata: &rr.rdata };
            decoder.take(clean, size)
        })
    }

    pub(crate) fn after(current: &Zone, rrs: &[Rr]) -> Result<Zone, Fault> {
        let mut decoder = decoder(Some(current), true, false);
        feed(&mut decoder, rrs)?;
        match decoder.finish()? {
            Outcome::Version { zone, .. } => Ok(zone),
            Outcome::UpToDate(soa) => panic!("up to date at {}", soa.serial),
        }
    }

    pub(crate) fn reason(current: &Zone, rrs: &[Rr]) -> Reason {
        after(current, rrs).map(|zone| zone.serial()).unwrap_err().reason
    }

    pub(crate) fn whole(rrs: &[Rr]) -> Result<Outcome, Fault> {
        let mut decoder = decoder(None, false, false);
        feed(&mut decoder, rrs)?;
        decoder.finish()
    }

    #[test]
    fn a_whole_zone_ends_at_its_second_soa() {
        let zone = testing::zone(1, &[a("www.example.", 2)]);
        let mut decoder = decoder(None, false, false);
        let records = testing::axfr(&zone);
        feed(&mut decoder, &records[..records.len() - 1]).unwrap();
        assert!(!decoder.has_ended());
        feed(&mut decoder, &records[records.len() - 1..]).unwrap();
        assert!(decoder.has_ended());
        let Ok(Outcome::Version { zone: got, kind, .. }) = decoder.finish() else { panic!() };
        assert_eq!((testing::content(&got), kind), (testing::content(&zone), Kind::Axfr));
    }

    #[test]
    fn a_stream_that_does_not_begin_with_a_soa_is_refused() {
        assert_eq!(whole(&[a("www.example.", 1)]).unwrap_err().reason, Reason::SoaMissing);
    }

    #[test]
    fn a_soa_elsewhere_than_at_the_apex_is_refused_at_once() {
        for owner in ["www.example.", "com.", "."] {
            let foreign = Rr { owner: testing::name(owner), ..soa(1) };
            assert_eq!(whole(std::slice::from_ref(&foreign)).unwrap_err().reason, Reason::SoaForeign);
            assert_eq!(whole(&[soa(1), foreign.clone()]).unwrap_err().reason, Reason::SoaForeign);
            let current = testing::zone(1, &[]);
            assert_eq!(reason(&current, &[soa(2), foreign.clone()]), Reason::SoaForeign);
            assert_eq!(reason(&current, &[soa(2), soa(1), foreign]), Reason::SoaForeign);
        }
    }

    #[test]
    fn a_record_behind_the_closing_soa_is_refused() {
        let stream = [soa(1), ns("example.", "ns.example."), soa(1)];
        for extra in [a("www.example.", 1), soa(1)] {
            let fault = whole(&[&stream[..], &[extra]].concat()).unwrap_err();
            assert_eq!(fault.reason, Reason::SoaMisplaced);
        }
        let current = testing::zone(1, &[]);
        let stream = ixfr(&[current.clone(), testing::zone(2, &[])]);
        assert_eq!(reason(&current, &[&stream[..], &[soa(2)]].concat()), Reason::SoaMisplaced);
    }

    #[test]
    fn duplicates_and_several_ttls_of_a_set_are_said_and_a_cname_is_remembered() {
        let said = |decoder: &Decoder| decoder.warnings.as_slice().iter().map(|w| w.what).collect::<Vec<_>>();
        let other_ttl = Rr { ttl: 5, ..a("www.example.", 2) };
        let mut whole = decoder(None, false, false);
        let www = a("www.example.", 1);
        feed(&mut whole, &[soa(1), www.clone(), www.clone(), other_ttl.clone()]).unwrap();
        assert!(!whole.has_cname);
        feed(&mut whole, &[rr("x.example.", RecordType::CNAME, b"\0"), soa(1)]).unwrap();
        assert!(whole.finish().is_ok() && whole.has_cname);
        assert_eq!(said(&whole), [tolerated::DUPLICATES, tolerated::MIXED_TTLS]);
        let mut changed = decoder(Some(&testing::zone(1, &[www])), true, false);
        feed(&mut changed, &[soa(2), soa(1), soa(2), other_ttl, soa(2)]).unwrap();
        assert!(changed.finish().is_ok() && !changed.has_cname);
        assert_eq!(said(&changed), [tolerated::MIXED_TTLS]);
    }

    #[test]
    fn a_second_record_other_than_a_soa_means_the_whole_zone() {
        let current = testing::zone(1, &[]);
        let next = testing::zone(2, &[a("www.example.", 2)]);
        let mut decoder = decoder(Some(&current), true, false);
        feed(&mut decoder, &testing::axfr(&next)).unwrap();
        assert!(!decoder.in_differences());
        let Ok(Outcome::Version { zone, kind, difference }) = decoder.finish() else { panic!() };
        assert_eq!((testing::content(&zone), kind), (testing::content(&next), Kind::AxfrStyle));
        assert!(difference.is_none());
    }

    #[test]
    fn two_equal_newer_soas_are_an_empty_zone_and_any_other_second_soa_is_refused() {
        let current = testing::zone(1, &[]);
        assert_eq!(after(&current, &[soa(2), soa(2)]).unwrap().counts().records, 1);
        for second in [0, 3, 4_000_000_000] {
            assert_eq!(reason(&current, &[soa(2), soa(second)]), Reason::IxfrBrokenChain);
        }
        let mut other = soa(2);
        *other.rdata.last_mut().unwrap() += 1;
        assert_eq!(reason(&current, &[soa(2), other]), Reason::IxfrBrokenChain);
    }

    #[test]
    fn where_the_stream_is_cut_decides_what_is_said() {
        let current = testing::zone(1, &[]);
        let cut = |incremental, rrs: &[Rr]| {
            let mut decoder = decoder(Some(&current), incremental, false);
            feed(&mut decoder, rrs).unwrap();
            decoder.cut().reason
        };
        assert_eq!(cut(true, &[]), Reason::TruncatedStream);
        assert_eq!(cut(true, &[soa(2)]), Reason::IxfrCut);
        assert_eq!(cut(true, &[soa(2), soa(1)]), Reason::IxfrCut);
        assert_eq!(cut(true, &[soa(2), soa(1), soa(2)]), Reason::IxfrCut);
        assert_eq!(cut(true, &[soa(2), a("www.example.", 1)]), Reason::TruncatedStream);
        assert_eq!(cut(false, &[soa(2)]), Reason::TruncatedStream);
        assert_eq!(cut(false, &[soa(2), a("www.example.", 1)]), Reason::TruncatedStream);
    }
}
