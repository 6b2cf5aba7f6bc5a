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

use secondo_wire::{Name, Reason, RecordType, Serial, SerialOrder, Soa, rdata};
use secondo_zone::{BorderSecret, BuildError, Builder, Difference, Limits, Patch, PatchError, Zone};

use crate::candidate::{Tally, Warnings};
use crate::reader::{Clean, covered};
use crate::{Fault, Kind};

/// Difference sequences in one answer; more are had cheaper as a whole zone.
pub(crate) const MAX_DIFFERENCES: u64 = 10_000;
/// Octets of differences that are always taken, however small the zone.
pub(crate) const DIFFERENCES_FLOOR: u64 = 1 << 20;
/// Octets of a stream beyond the zone's limit: room for the closing SOA.
const STREAM_SLACK: u64 = 1 << 16;

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

/// The SOA that a stream opens with, and must close with.
#[derive(Debug)]
struct Opening {
    soa: Soa,
    ttl: u32,
    rdata: Vec<u8>,
    canonical: Vec<u8>,
}

impl Opening {
    fn equals(&self, canonical: &[u8]) -> bool {
        self.canonical == canonical
    }
}

/// A whole zone on its way in.
struct Whole {
    opening: Opening,
    builder: Builder,
}

/// Differences on their way in.
struct Chain {
    opening: Opening,
    patch: Patch,
    /// The sequence being read leads on from here.
    cur: Serial,
    /// The SOA that the next sequence should delete, canonical.
    old_soa: Vec<u8>,
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
    limits: Limits,
    current: Option<Zone>,
    forced: bool,
    /// In what form the zone comes; `None` while that is open.
    form: Option<Kind>,
    phase: Phase,
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
            octets: 0,
            canonical: Vec::with_capacity(128),
            tally: Tally::default(),
            warnings: Warnings::default(),
            has_cname: false,
        }
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
        match &mut self.phase {
            Phase::AwaitClosingSoa(whole) => {
                if self.octets > self.limits.max_bytes.saturating_add(STREAM_SLACK) {
                    let limit = self.limits.max_bytes;
                    return Err(BuildError::LimitBytes {
                        owner: record.owner.to_owned(),
                        rtype: record.rtype,
                        limit,
                    }
                    .into());
                }
                self.has_cname |= record.rtype == RecordType::CNAME;
                if covered(&record).is_some_and(RecordType::is_meta) {
                    self.warnings.at(tolerated::SIGNED_META, record.owner, record.rtype);
                    return Ok(());
                }
                match whole.builder.push(record.owner, record.rtype, record.ttl, record.rdata) {
                    Ok(()) => Ok(()),
                    Err(BuildError::OutOfZone { .. }) => {
                        self.dropped(record);
                        Ok(())
                    }
                    Err(error) => Err(error.into()),
                }
            }
            Phase::AwaitAddSoa(_) | Phase::AwaitNextSoa { .. } => self.change(record),
            // RFC 5936 §2.2: the first record is the zone's SOA.
            Phase::AwaitFirstSoa => {
                let detail = format!("the first record is {} {} (RFC 5936 §2.2)", record.owner, record.rtype);
                Err(Fault::new(Reason::SoaMissing, detail))
            }
            Phase::Ended(End::UpToDate(_)) => Ok(()),
            Phase::Ended(_) => Err(behind_the_end(record)),
            Phase::AwaitSecondRecord(_) | Phase::Spent => Err(spent()),
        }
    }

    /// A record of a difference sequence.
    fn change(&mut self, record: Clean<'_>) -> Result<(), Fault> {
        self.check_size_of_differences()?;
        if covered(&record).is_some_and(RecordType::is_meta) {
            self.warnings.at(tolerated::SIGNED_META, record.owner, record.rtype);
            return Ok(());
        }
        let done = match &mut self.phase {
            // RFC 1995 §4: the RR is deleted as it stands, whatever its TTL.
            Phase::AwaitAddSoa(chain) => {
                chain.patch.delete(record.owner, record.rtype, record.rdata).map(|()| true)
            }
            Phase::AwaitNextSoa { chain, .. } => {
                self.has_cname |= record.rtype == RecordType::CNAME;
                chain.patch.add(record.owner, record.rtype, record.ttl, record.rdata)
            }
            _ => return Err(spent()),
        };
        match done {
            Ok(true) => {}
            Ok(false) => self.warnings.at(tolerated::ADDED_TWICE, record.owner, record.rtype),
            Err(PatchError::Bad(BuildError::OutOfZone { .. })) => self.dropped(record),
            Err(error) => return Err(error.into()),
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
                // RFC 5936 §2.2: the last message ends with the SOA that the first began with.
                if !whole.opening.equals(&self.canonical) {
                    let detail = format!(
                        "it began with serial {} and closes with {serial}{} (RFC 5936 §2.2)",
                        whole.opening.soa.serial,
                        if serial == whole.opening.soa.serial { ", but other data" } else { "" },
                    );
                    return Err(Fault::new(Reason::SoaMismatch, detail));
                }
                Phase::Ended(End::Whole(whole))
            }
            Phase::AwaitAddSoa(chain) => self.add_soa(chain, serial, record)?,
            Phase::AwaitNextSoa { chain, next } => self.next_soa(chain, next, serial)?,
            ended @ Phase::Ended(End::UpToDate(_)) => ended,
            Phase::Ended(_) => return Err(behind_the_end(record)),
            Phase::Spent => return Err(spent()),
        };
        Ok(())
    }

    fn open(&mut self, soa: Soa, record: Clean<'_>) -> Result<Phase, Fault> {
        let serial = soa.serial;
        let opening =
            Opening { soa, ttl: record.ttl, rdata: record.rdata.into(), canonical: self.canonical.clone() };
        if let Some(ours) = self.current.as_ref().map(Zone::serial).filter(|_| !self.forced) {
            // RFC 1982 §3.2: "newer" on the circle of serials.
            match serial.compare(ours) {
                SerialOrder::Newer => {}
                SerialOrder::Equal => return Ok(Phase::Ended(End::UpToDate(Box::new(opening)))),
                SerialOrder::Older => {
                    let detail = format!("the primary has serial {serial}, ours is {ours} (RFC 1982 §3.2)");
                    return Err(Fault::new(Reason::SerialBehind, detail));
                }
                SerialOrder::Undefined => {
                    let detail = format!("serial {serial} is 2^31 away from our {ours} (RFC 1982 §3.2)");
                    return Err(Fault::new(Reason::SerialIncomparable, detail));
                }
            }
        }
        Ok(match self.form {
            None => Phase::AwaitSecondRecord(Box::new(opening)),
            Some(_) => Phase::AwaitClosingSoa(self.whole(opening)?),
        })
    }

    fn whole(&self, opening: Opening) -> Result<Box<Whole>, Fault> {
        let mut builder = match &self.current {
            Some(current) => Builder::reusing(current, self.limits),
            None => Builder::new(self.apex.clone(), &self.secret, self.limits),
        };
        builder.push(self.apex.as_ref(), RecordType::SOA, opening.ttl, &opening.rdata)?;
        Ok(Box::new(Whole { opening, builder }))
    }

    fn second_soa(&mut self, opening: Opening, serial: Serial) -> Result<Phase, Fault> {
        let Some(current) = &self.current else { return Err(spent()) };
        let ours = current.serial();
        if serial == ours {
            // RFC 1995 §4: differences begin with the SOA of the version they lead on from.
            let mut old_soa = Vec::new();
            rdata::canonical(RecordType::SOA, current.soa_rdata(), &mut old_soa);
            let patch = Patch::new(current, self.limits);
            self.form = Some(Kind::Ixfr);
            let chain = Box::new(Chain { opening, patch, cur: ours, old_soa });
            return self.sequence(chain);
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

    /// A sequence opens with the SOA at hand, whose serial is `chain.cur`.
    fn sequence(&mut self, chain: Box<Chain>) -> Result<Phase, Fault> {
        self.tally.differences += 1;
        if self.tally.differences > MAX_DIFFERENCES {
            let detail = format!("more than {MAX_DIFFERENCES} difference sequences");
            return Err(Fault::new(Reason::IxfrTooLarge, detail));
        }
        if chain.old_soa != self.canonical {
            self.warnings.at(tolerated::OTHER_OLD_SOA, self.apex.as_ref(), RecordType::SOA);
        }
        Ok(Phase::AwaitAddSoa(chain))
    }

    fn add_soa(&mut self, mut chain: Box<Chain>, next: Serial, record: Clean<'_>) -> Result<Phase, Fault> {
        self.check_size_of_differences()?;
        let (cur, target) = (chain.cur, chain.opening.soa.serial);
        // RFC 1982 §3.2: each sequence leads forward, and none beyond the version that the answer announced.
        if !next.newer_than(cur) || !(next == target || target.newer_than(next)) {
            let detail =
                format!("a sequence leads from {cur} to {next}, the target is {target} (RFC 1995 §4)");
            return Err(Fault::new(Reason::IxfrBrokenChain, detail));
        }
        if next == target && !chain.opening.equals(&self.canonical) {
            let detail = format!("two different SOAs of serial {target} (RFC 1995 §4)");
            return Err(Fault::new(Reason::IxfrBrokenChain, detail));
        }
        // RFC 1995 §4: the new SOA stands in the place of the old one, whole.
        chain.patch.replace_soa(record.ttl, record.rdata)?;
        chain.old_soa.clone_from(&self.canonical);
        Ok(Phase::AwaitNextSoa { chain, next })
    }

    fn next_soa(&mut self, mut chain: Box<Chain>, next: Serial, serial: Serial) -> Result<Phase, Fault> {
        self.check_size_of_differences()?;
        let target = chain.opening.soa.serial;
        if next != target {
            // A closing SOA alone does not prove that the chain reached it.
            if serial != next {
                let detail = format!(
                    "after {next} the chain goes on at {serial}, the target is {target} (RFC 1995 §4)"
                );
                return Err(Fault::new(Reason::IxfrBrokenChain, detail));
            }
            chain.cur = next;
            return self.sequence(chain);
        }
        // RFC 1995 §4: the answer ends with the SOA that it began with.
        if !chain.opening.equals(&self.canonical) {
            let detail =
                format!("the differences to {target} close with another SOA of {serial} (RFC 1995 §4)");
            return Err(Fault::new(Reason::IxfrBrokenChain, detail));
        }
        Ok(Phase::Ended(End::Changed(chain)))
    }

    /// Differences that outgrow the zone are had cheaper as a whole.
    fn check_size_of_differences(&self) -> Result<(), Fault> {
        let zone = self.current.as_ref().map_or(0, |zone| zone.counts().wire_bytes);
        if self.octets <= zone.max(DIFFERENCES_FLOOR) {
            return Ok(());
        }
        let detail = format!("{} octets of differences, the zone has {zone}", self.octets);
        Err(Fault::new(Reason::IxfrTooLarge, detail))
    }

    fn dropped(&mut self, record: Clean<'_>) {
        self.tally.dropped_out_of_zone += 1;
        self.warnings.at(tolerated::OUT_OF_ZONE, record.owner, record.rtype);
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
                let built = whole.builder.finish()?;
                self.warnings.add(tolerated::DUPLICATES, built.notes.duplicates);
                self.warnings.add(tolerated::MIXED_TTLS, built.notes.mixed_ttls);
                let kind = self.form.unwrap_or(Kind::Axfr);
                Ok(Outcome::Version { zone: built.zone, difference: None, kind })
            }
            Phase::Ended(End::Changed(chain)) => {
                let patched = chain.patch.finish()?;
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
