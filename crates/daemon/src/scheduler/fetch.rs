//! The job of a transfer: fetch, check, commit, a straight line.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use secondo_lifecycle::{Accept, Confirmation as Vouched, Ticket};
use secondo_store::{Committed, Confirmation, Store};
use secondo_transfer::{Fault, Kind, Policy, Tally, check};
use secondo_wire::{Class, Name, Reason, Serial};

use super::actions::to_record;
use super::jobs::Ending;
use super::{Message, UpToDate};
use crate::clock::Clock;
use crate::event::Event;
use crate::primary::{Fetched, TransferJob, transfer};

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
    pub(super) from: Option<Serial>,
    pub(super) expire: Option<u32>,
    pub(super) tally: Tally,
    pub(super) warnings: Vec<String>,
    pub(super) key: Option<Name>,
    pub(super) took: Duration,
    pub(super) skew: Option<i64>,
}

/// Fetches, checks and commits; the store's answer is the end of a job that brought a version.
pub(super) async fn fetch(
    job: TransferJob,
    settings: Arc<secondo_lifecycle::Settings>,
    clock: Clock,
    store: Weak<Store>,
    cancelled: Arc<AtomicBool>,
    ending: Ending,
) {
    let ticket = ending.ticket;
    let (candidate, key, took) = match transfer(&job).await {
        Ok(Fetched::Version { candidate, key, took }) => (candidate, key, took),
        Ok(Fetched::UpToDate { expire }) => {
            return ending.tell(Message::Fetched(ticket, Ok(UpToDate { expire })));
        }
        Err(fault) => return ending.tell(Message::Fetched(ticket, Err(fault))),
    };
    let policy = Policy { forced: job.accept == Accept::Any, ..Policy::default() };
    let arrived = (candidate.kind(), candidate.zone().serial(), candidate.tally());
    let checked = tokio::task::block_in_place(|| check(*candidate, job.current.as_ref(), &policy));
    let checked = match checked {
        Ok(checked) => checked,
        Err(fault) => {
            say_rejected(&job, arrived, took, &fault);
            return ending.tell(Message::Fetched(ticket, Err(fault)));
        }
    };
    let report = Report {
        kind: checked.kind(),
        from: checked.from(),
        expire: checked.expire(),
        tally: checked.tally(),
        warnings: checked.warnings().iter().map(ToString::to_string).collect(),
        key,
        took,
        skew: checked.skew(),
    };
    let (soa, expire) = (checked.zone().soa(), checked.expire());
    let confirmation = to_record(Vouched::of_transfer(soa, expire, took, &settings, clock.now()));
    // Jobs do not hold the store, so that it ends with the daemon, not with a slow primary.
    let Some(store) = store.upgrade() else { return };
    // Nothing is waited for between the check and here: a job that was aborted meanwhile ends here.
    if cancelled.load(Ordering::Acquire) {
        return ending.tell(Message::Fetched(ticket, Err(Fault::new(Reason::Cancelled, "no longer wanted"))));
    }
    store.commit(checked, confirmation, move |committed| {
        ending.tell(Message::Committed(Box::new(Arrival { ticket, committed, confirmation, report })));
    });
}

/// A version came whole and is not fit to serve. Faults of other classes are told as those of the transfer.
fn say_rejected(job: &TransferJob, arrived: (Kind, Serial, Tally), took: Duration, fault: &Fault) {
    if fault.reason.class() != Class::Rejected {
        return;
    }
    let (kind, serial, tally) = arrived;
    let (zone, primary) = (Some(&job.way.zone), Some(job.way.address));
    let event =
        Event { zone, primary, serial: Some(serial), kind: Some(kind_word(kind)), ..Event::default() };
    Event {
        name: "transfer.finished",
        phrase: "transfer finished",
        transport: Some("tcp"),
        bytes: Some(tally.bytes),
        records: Some(tally.records),
        ms: Some(crate::clock::millis(took)),
        ..event
    }
    .info();
    let (reason, detail) = (Some(fault.reason), Some(fault.detail.as_str()));
    let (name, phrase) = ("zone.rejected", "version is not fit to serve: the one before stays");
    Event { name, phrase, reason, detail, ..event }.warn();
}

/// The word for it in the log.
pub(super) fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Axfr => "axfr",
        Kind::Ixfr => "ixfr",
        Kind::AxfrStyle => "axfr-style",
    }
}
