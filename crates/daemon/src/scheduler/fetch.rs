//! The job of a transfer: fetch, check, commit, a straight line.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use secondo_lifecycle::{Accept, Confirmation as Vouched, Ticket};
use secondo_store::{Committed, Confirmation, Store};
use secondo_transfer::{Candidate, Fault, Kind, Policy, Tally, check};
use secondo_wire::{Class, Name, Reason, Serial};

use super::actions::to_record;
use super::jobs::Ending;
use super::{Message, UpToDate};
use crate::clock::{Clock, millis};
use crate::event::Event;
use crate::primary::{Fetched, TransferJob, Way, aside, transfer};

/// A version on its way from the store to publication.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(super) ticket: Ticket,
    pub(super) committed: Committed,
    pub(super) confirmation: Confirmation,
    pub(super) report: Report,
}

/// What is told of a transfer.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) kind: Kind,
    pub(super) expire: Option<u32>,
    pub(super) warnings: Vec<String>,
    pub(super) skew: Option<i64>,
    serial: Serial,
    from: Option<Serial>,
    tally: Tally,
    primary: SocketAddr,
    transport: &'static str,
    key: Option<Name>,
    took: Duration,
}

impl Report {
    fn of(candidate: &Candidate, way: &Way, key: Option<Name>, took: Duration) -> Report {
        Report {
            kind: candidate.kind(),
            expire: candidate.expire(),
            warnings: Vec::new(),
            skew: candidate.skew(),
            serial: candidate.zone().serial(),
            from: candidate.from(),
            tally: candidate.tally(),
            primary: way.address,
            transport: way.primary.transport(),
            key,
            took,
        }
    }

    /// `transfer.finished`, whatever becomes of the version.
    pub(super) fn finished<'e>(&'e self, zone: &'e Name) -> Event<'e> {
        Event {
            zone: Some(zone),
            serial: Some(self.serial),
            from_serial: self.from,
            primary: Some(self.primary),
            key: self.key.as_ref(),
            transport: Some(self.transport),
            kind: Some(self.kind.as_str()),
            bytes: Some(self.tally.bytes),
            records: Some(self.tally.records),
            ms: Some(millis(self.took)),
            ..Event::new("transfer.finished", "transfer finished")
        }
    }

    /// `zone.rejected`: it came whole and is not fit to serve. Faults of other classes are told as those of the transfer.
    fn say_rejected(&self, zone: &Name, fault: &Fault) {
        if fault.reason.class() != Class::Rejected {
            return;
        }
        self.finished(zone).info();
        Event {
            zone: Some(zone),
            serial: Some(self.serial),
            primary: Some(self.primary),
            kind: Some(self.kind.as_str()),
            reason: Some(fault.reason),
            detail: Some(&fault.detail),
            ..Event::new("zone.rejected", "version is not fit to serve: the one before stays")
        }
        .warn();
    }
}

/// Fetches, checks and commits, and has so many earlier versions kept; the store's answer is the end of a job that
/// brought a version.
pub(super) async fn fetch(
    job: TransferJob,
    keep: u32,
    settings: Arc<secondo_lifecycle::Settings>,
    clock: Clock,
    store: Weak<Store>,
    cancelled: Arc<AtomicBool>,
    ending: Ending,
) {
    let ticket = ending.ticket;
    let (candidate, key, took) = match transfer(&job).await {
        Ok(Fetched::Version { candidate, key, took }) => (candidate, key, took),
        Ok(Fetched::UpToDate { expire, authoritative }) => {
            return ending.tell(Message::Fetched(ticket, Ok(UpToDate { expire, authoritative })));
        }
        Err(fault) => return ending.tell(Message::Fetched(ticket, Err(fault))),
    };
    // What a whole zone changed is found by looking at both versions, however little came.
    let work = match (candidate.kind(), &job.current) {
        (Kind::Ixfr, _) | (_, None) => candidate.tally().bytes,
        (_, Some(current)) => candidate.tally().bytes.max(current.counts().memory_bytes),
    };
    let arrived = move || {
        let policy = Policy { forced: job.accept == Accept::Any, ..Policy::default() };
        let mut report = Report::of(&candidate, &job.way, key, took);
        let checked = match check(*candidate, job.current.as_ref(), &policy) {
            Ok(checked) => checked,
            Err(fault) => {
                report.say_rejected(&job.way.zone, &fault);
                return ending.tell(Message::Fetched(ticket, Err(fault)));
            }
        };
        // The check may have added some.
        report.warnings = checked.warnings().iter().map(ToString::to_string).collect();
        let (soa, expire) = (checked.zone().soa(), checked.expire());
        let confirmation = to_record(Vouched::of_transfer(soa, expire, took, &settings, clock.now()));
        // Jobs do not hold the store, so that it ends with the daemon, not with a slow primary.
        let Some(store) = store.upgrade() else { return };
        // Nothing is waited for between the check and here: a job that was aborted meanwhile ends here.
        if cancelled.load(Ordering::Acquire) {
            let fault = Fault::new(Reason::Cancelled, "no longer wanted");
            return ending.tell(Message::Fetched(ticket, Err(fault)));
        }
        store.commit(checked, confirmation, keep, move |committed| {
            ending.tell(Message::Committed(Box::new(Arrival { ticket, committed, confirmation, report })));
        });
    };
    aside(usize::try_from(work).unwrap_or(usize::MAX), arrived);
}
