//! Jobs: started when admission lets them go, each ends in exactly one message.

use std::sync::Arc;

use secondo_answer::Serving;
use secondo_lifecycle::{
    AttemptId, Confirmation as Vouched, Errand, Event as Happened, Failure, Kind as Form, Now, ProbeAnswer,
    Question, Ticket, Transferred, Turn, ZoneId,
};
use secondo_store::Durability;
use secondo_transfer::{Fault, Found, Kind};
use secondo_wire::{Class, Reason, Soa};
use tokio::sync::mpsc::UnboundedSender;

use super::actions::from_record;
use super::book::Reach;
use super::contacts::off_by;
use super::fetch::{Arrival, fetch};
use super::trouble::Try;
use super::zones::{Source, Zone};
use super::{Message, Scheduler, UpToDate};
use crate::clock::{millis, whole_seconds};
use crate::event::Event;
use crate::primary::{TransferJob, Way, probe};

/// Sends the end of a job; a job that dies without one has failed by our own fault.
pub(super) struct Ending {
    pub(super) sender: UnboundedSender<Message>,
    pub(super) ticket: Ticket,
    errand: Errand,
    told: bool,
}

impl Ending {
    pub(super) fn tell(mut self, message: Message) {
        self.told = true;
        // The scheduler is gone only when the daemon stops.
        let _ = self.sender.send(message);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if !self.told {
            let fault = Fault::new(Reason::Internal, "the job ended without a verdict");
            let message = match self.errand {
                Errand::Probe => Message::Probed(self.ticket, Err(fault)),
                Errand::Transfer => Message::Fetched(self.ticket, Err(fault)),
            };
            let _ = self.sender.send(message);
        }
    }
}

/// What a machine is told when an attempt of that kind failed.
pub(super) fn ended(attempt: AttemptId, errand: Errand, failure: Failure) -> Happened {
    match errand {
        Errand::Probe => Happened::Probed { attempt, result: Err(failure) },
        Errand::Transfer => Happened::Transferred { attempt, result: Err(failure) },
    }
}

impl Scheduler {
    /// Starts the job of a ticket; false when nobody wants it any more, or the primary is not in the book.
    pub(super) fn start(&mut self, ticket: Ticket) -> bool {
        let clock = self.parts.clock;
        let limits = &self.parts.config.server.limits;
        let Some(zone) = self.zones.get_mut(&ticket.zone) else { return false };
        let Some(errand) = zone.errand.as_mut().filter(|errand| errand.attempt == ticket.attempt) else {
            return false;
        };
        let Some(primary) = self.book.find(errand.target.primary) else { return false };
        let way = Way {
            zone: zone.config.name.clone(),
            address: errand.target.address,
            id: errand.target.primary,
            primary: Arc::clone(primary),
            habits: Arc::clone(&self.habits),
            lines: self.lines.clone(),
        };
        let sender = self.parts.sender.clone();
        let job = match errand.transfer {
            None => {
                let ending = Ending { sender, ticket, errand: Errand::Probe, told: false };
                let about = Event { zone: Some(&way.zone), primary: Some(way.address), ..Event::default() };
                Event { name: "refresh.started", phrase: "asking for the SOA", ..about }.debug();
                tokio::spawn(async move {
                    let result = probe(&way).await;
                    ending.tell(Message::Probed(ticket, result));
                })
            }
            Some((question, accept)) => {
                let settings = &zone.config.settings;
                let limits = secondo_zone::Limits {
                    max_bytes: settings.max_size,
                    max_records: settings.max_records.unwrap_or(u64::MAX),
                    rrset_records: u32::try_from(limits.rrset_records).unwrap_or(u32::MAX),
                    name_types: u32::try_from(limits.name_types).unwrap_or(u32::MAX),
                };
                let current = zone.slot.published();
                let kind = if matches!(question, Question::Ixfr { .. }) { "ixfr" } else { "axfr" };
                let about = Event { zone: Some(&way.zone), primary: Some(way.address), ..Event::default() };
                Event { name: "transfer.started", phrase: "asking for the zone", kind: Some(kind), ..about }
                    .debug();
                let secret = self.parts.secret.clone();
                let overflow = self.parts.config.server.state_dir.join("zones");
                let job = TransferJob { way, question, accept, current, secret, limits, overflow };
                let lifecycle = Arc::clone(zone.machine.settings());
                let store = Arc::downgrade(&self.parts.store);
                let ending = Ending { sender, ticket, errand: Errand::Transfer, told: false };
                let cancelled = Arc::clone(&errand.cancelled);
                tokio::spawn(fetch(job, settings.keep_versions, lifecycle, clock, store, cancelled, ending))
            }
        };
        errand.job = Some(job.abort_handle());
        true
    }

    /// A probe ended.
    pub(super) fn probed(&mut self, ticket: Ticket, result: Result<Found, Fault>, now: Now) {
        let verdict = result.as_ref().map(|found| found.skew).map_err(Fault::clone);
        let Some(mut events) = self.end(ticket, verdict, now) else { return };
        if let (Some(zone), Ok(found)) = (self.zones.get_mut(&ticket.zone), &result) {
            zone.told_of(found.soa.serial, now.boot);
        }
        let result = result
            .map(|found| ProbeAnswer { soa: found.soa, expire: found.expire })
            .map_err(|fault| self.failure(ticket.zone, fault.reason));
        events.push((ticket.zone, Happened::Probed { attempt: ticket.attempt, result }));
        self.tell_all(events, now);
    }

    /// A transfer ended without a version to publish.
    pub(super) fn fetched(&mut self, ticket: Ticket, result: Result<UpToDate, Fault>, now: Now) {
        let verdict = result.as_ref().map(|_| None).map_err(Fault::clone);
        let Some(mut events) = self.end(ticket, verdict, now) else { return };
        let result = result
            .map(|UpToDate { expire, authoritative }| Transferred::UpToDate { expire, authoritative })
            .map_err(|fault| self.failure(ticket.zone, fault.reason));
        events.push((ticket.zone, Happened::Transferred { attempt: ticket.attempt, result }));
        self.tell_all(events, now);
    }

    /// Whoever found an address down asks it again when it is worth asking, not shortly before.
    fn failure(&self, zone: ZoneId, reason: Reason) -> Failure {
        let target = self.zones.get(&zone).and_then(|zone| zone.facts.primary);
        let again =
            target.and_then(|target| self.book.reach(target)).and_then(|reach| self.health.down_until(reach));
        Failure { again, ..Failure::from(reason) }
    }

    /// Frees what the attempt held and notes how its primary fared (when well: by how much its clock is ahead of ours,
    /// if that was told); `None` when the attempt was cancelled. The events returned are for other zones.
    fn end(
        &mut self,
        ticket: Ticket,
        verdict: Result<Option<i64>, Fault>,
        now: Now,
    ) -> Option<Vec<(ZoneId, Happened)>> {
        self.admission.release(ticket);
        let zone = self.zones.get_mut(&ticket.zone)?;
        let errand = zone.errand.take_if(|errand| errand.attempt == ticket.attempt)?;
        let (target, reach) = (errand.target, errand.reach);
        zone.facts.primary = Some(target);
        let hold = zone.machine.hold_down();
        let (skew, fault) = match verdict {
            Ok(skew) => (skew, None),
            Err(fault) => (fault.skew, Some(fault)),
        };
        let turn = match &fault {
            None => self.health.answered(reach, now.boot),
            Some(fault) if fault.reason.is_silence() => self.health.failed(reach, now.boot, hold),
            Some(fault) if fault.reason.class() == Class::Local => {
                self.health.abandoned(reach);
                None
            }
            Some(_) => self.health.answered(reach, now.boot),
        };
        self.show_life(reach.address);
        let zone = self.zones.get_mut(&ticket.zone)?;
        match fault {
            Some(fault) => {
                let kind = errand.transfer.map(|(question, _)| match question {
                    Question::Axfr => "axfr",
                    Question::Ixfr { .. } => "ixfr",
                });
                let event = Event {
                    zone: Some(&zone.config.name),
                    primary: Some(target.address),
                    key: fault.key.as_ref(),
                    transport: zone.transport_towards(target).filter(|_| kind.is_some()),
                    serial: zone.machine.serial(),
                    kind,
                    reason: Some(fault.reason),
                    detail: Some(&fault.detail),
                    ..Event::default()
                };
                match kind {
                    // The transfer was in order; `zone.rejected` was said of what it brought.
                    Some(_) if fault.reason.class() == Class::Rejected => {}
                    Some(_) => Event { name: "transfer.failed", phrase: "transfer failed", ..event }.warn(),
                    None => {
                        Event { name: "refresh.failed", phrase: "the SOA cannot be had", ..event }.debug()
                    }
                }
                if fault.reason.is_silence() && self.health.down_until(reach).is_some() {
                    self.contacts.is_down(reach, fault.reason, &fault.detail, now.boot);
                }
                let step = errand.step();
                let Fault { reason, detail, key, cut_short, .. } = fault;
                let at = now.boot;
                zone.trouble().note(Try { target, step, reason, serial: None, detail, key, cut_short, at });
            }
            None => zone.in_order(target, errand.transfer.is_some()),
        }
        if let Some(skew) = skew {
            self.note_skew(reach, skew);
        }
        Some(self.turned(reach, turn, now))
    }

    /// A seal told how far a primary's clock is from ours: said once, until they agree again.
    fn note_skew(&mut self, reach: Reach, skew: i64) {
        if self.contacts.clock_differs(reach, skew) {
            let detail = format!("its clock is {}", off_by(skew));
            let event = Event::new("primary.skewed", "clocks differ: seals fail beyond 300 s");
            Event { primary: Some(reach.address), detail: Some(&detail), ..event }.warn();
        }
    }

    /// An address went down or came up: says so, and in the latter case calls all zones that have a primary there.
    fn turned(&mut self, reach: Reach, turn: Option<Turn>, now: Now) -> Vec<(ZoneId, Happened)> {
        let (primary, transport) = (Some(reach.address), self.book.transport(reach));
        match turn {
            None => Vec::new(),
            Some(Turn::Down { until }) => {
                let next_in = Some(until.saturating_sub(now.boot));
                let known = self.contacts.of(reach).and_then(|contact| contact.down.as_ref());
                let (reason, detail) =
                    (known.map(|down| down.reason), known.map(|down| down.detail.as_str()));
                let phrase = "primary gives no sign of life: one zone asks again for all";
                let event = Event { primary, transport, next_in, ..Event::new("primary.down", phrase) };
                Event { reason, detail, ..event }.warn();
                Vec::new()
            }
            Some(Turn::Up { after }) => {
                self.contacts.is_up(reach);
                let detail = format!("after {} s", after.as_secs());
                let event = Event::new("primary.up", "primary answers again");
                Event { primary, transport, detail: Some(&detail), ..event }.info();
                let has_it =
                    |zone: &Zone| self.book.reaches(zone.machine.settings()).any(|other| other == reach);
                let zones = self.zones.iter().filter(|(_, zone)| has_it(zone));
                zones.map(|(&id, _)| (id, Happened::PrimaryUp(reach.address))).collect()
            }
        }
    }

    /// A version went through the store: it is published, whether or not its attempt is still awaited, unless the
    /// zone is gone.
    pub(super) fn committed(&mut self, arrival: Arrival, now: Now) {
        let Arrival { ticket, committed, confirmation, report } = arrival;
        let others = self.end(ticket, Ok(report.skew), now).unwrap_or_default();
        let Some(zone) = self.zones.get_mut(&ticket.zone) else { return };
        let (soa, name) = (committed.zone().soa().clone(), zone.config.name.clone());
        report.finished(&name).info();
        for warning in &report.warnings {
            let event = Event::new("transfer.finished", "tolerated in the transfer");
            Event { zone: Some(&name), serial: Some(soa.serial), detail: Some(warning), ..event }.warn();
        }
        let refused = match committed.durability() {
            Durability::Durable => None,
            Durability::Volatile(refused) => {
                self.disk.refused(ticket.zone, refused, now.boot);
                let event =
                    Event::new("zone.volatile", "the disk refused the zone: it is served from memory");
                let reason = Some(Reason::Disk);
                Event { zone: Some(&name), serial: Some(soa.serial), reason, detail: Some(refused), ..event }
                    .warn();
                Some(refused.clone())
            }
        };
        let volatile = refused.is_some();
        zone.facts.volatile = volatile;
        zone.note_disk(refused);
        zone.facts.source = Some(Source::Transfer(report.kind));
        zone.facts.since = whole_seconds(now.boot);
        zone.committed = (!volatile).then_some((confirmation.serial, confirmation.expire_in));
        // A version that expires before the one that it replaces is not served for the longer time, not for a moment.
        let until = millis(Vouched::until(&from_record(confirmation)));
        if let Serving::Current { expires_in } = zone.slot.state(millis(now.boot))
            && millis(now.boot).saturating_add(expires_in) > until
        {
            zone.slot.renew(until, millis(now.boot));
        }
        self.parts.publisher.publish(&zone.slot, &committed);
        if !volatile {
            self.disk_took(now.boot);
        }
        let form = if report.kind == Kind::Ixfr { Form::Ixfr } else { Form::Axfr };
        let result = Ok(Transferred::Published { soa: soa.clone(), expire: report.expire, kind: form });
        let published = Happened::Transferred { attempt: ticket.attempt, result };
        self.tell_all(std::iter::once((ticket.zone, published)).chain(others), now);
        // RFC 1996 §4.3: first the new version is served, then it is told.
        self.notify_downstream(ticket.zone, &soa, committed.zone().soa_ttl());
    }

    fn notify_downstream(&mut self, id: ZoneId, soa: &Soa, ttl: u32) {
        let Some(zone) = self.zones.get_mut(&id) else { return };
        // A newer version replaces the NOTIFY of the one before (RFC 1996 §4.4).
        zone.heralds.drain(..).for_each(|herald| herald.abort());
        for target in zone.config.settings.also_notify.iter() {
            zone.heralds.push(self.heralds.send(&zone.config.name, soa, ttl, target));
        }
    }
}
