//! Telling machines what happened, and doing what they say.

use std::collections::VecDeque;
use std::time::Duration;

use secondo_lifecycle::{
    Accept, Action, AttemptId, Event as Happened, Failure, Now, Permit, Question, Target, Ticket, Urgency,
    Validity, ZoneId,
};
use secondo_store::Confirmation;
use secondo_wire::{Name, Reason};

use super::zones::Errand;
use super::{Message, Scheduler, jobs};
use crate::clock::millis;
use crate::event::Event;

impl Scheduler {
    /// Tells a zone's machine something, does all that follows, and lets go whom admission lets go.
    pub(super) fn tell(&mut self, id: ZoneId, event: Happened, now: Now) {
        self.tell_all([(id, event)], now);
    }

    /// The same for a message that a key sealed, if one did.
    pub(super) fn tell_sealed(&mut self, id: ZoneId, event: Happened, key: Option<&Name>, now: Now) {
        let Some(zone) = self.zones.get_mut(&id) else { return };
        zone.machine.handle(event, now);
        self.follow(id, key, now);
        self.tell_all([], now);
    }

    /// The same for several zones at once.
    pub(super) fn tell_all(&mut self, events: impl IntoIterator<Item = (ZoneId, Happened)>, now: Now) {
        let mut todo: VecDeque<(ZoneId, Happened)> = events.into_iter().collect();
        loop {
            while let Some((id, event)) = todo.pop_front() {
                if let Some(zone) = self.zones.get_mut(&id) {
                    zone.machine.handle(event, now);
                    self.follow(id, None, now);
                }
            }
            self.admit(&mut todo, now);
            if todo.is_empty() {
                return;
            }
        }
    }

    /// Does what a machine says, and notes its next deadline. `key`: what sealed the message that it was told of.
    pub(super) fn follow(&mut self, id: ZoneId, key: Option<&Name>, now: Now) {
        while let Some(action) = self.zones.get_mut(&id).and_then(|zone| zone.machine.poll_action()) {
            self.act(id, action, key, now);
        }
        if let Some(zone) = self.zones.get(&id) {
            self.wheel.schedule(id, zone.machine.next_deadline());
        }
    }

    fn act(&mut self, id: ZoneId, action: Action, key: Option<&Name>, now: Now) {
        let Some(zone) = self.zones.get_mut(&id) else { return };
        match action {
            Action::Probe { attempt, target, urgency } => {
                self.want(id, attempt, target, None, urgency, now);
            }
            Action::Transfer { attempt, target, question, accept, urgency } => {
                self.want(id, attempt, target, Some((question, accept)), urgency, now);
            }
            Action::Cancel { attempt } => {
                self.admission.release(Ticket { zone: id, attempt });
                // The round that it belonged to may never be told of: the next one is the one waited for.
                zone.waiters.iter_mut().for_each(|waiter| waiter.skip = false);
                let errand = zone.errand.take_if(|errand| errand.attempt == attempt);
                // A commit that has begun goes on in the store, and is reported as a fact.
                if let Some(errand) = errand
                    && errand.abort()
                {
                    self.health.abandoned(errand.reach);
                }
            }
            Action::Confirm(confirmation) => self.confirm(id, confirmation),
            Action::Expire { confirmed_ago } => self.expire(id, confirmed_ago, now),
            Action::Revive { serial } => Event {
                zone: Some(&zone.config.name),
                serial: Some(serial),
                ..Event::new("zone.revived", "zone is valid again")
            }
            .info(),
            Action::Report(outcome) => self.report(id, outcome, key, now),
        }
    }

    /// Puts an attempt into the queue.
    fn want(
        &mut self,
        id: ZoneId,
        attempt: AttemptId,
        target: Target,
        transfer: Option<(Question, Accept)>,
        urgency: Urgency,
        now: Now,
    ) {
        let Some(zone) = self.zones.get_mut(&id) else { return };
        let errand = match transfer {
            None => secondo_lifecycle::Errand::Probe,
            Some(_) => secondo_lifecycle::Errand::Transfer,
        };
        let Some(reach) = self.book.reach(target) else {
            // The book has all primaries of all zones. If it had not, the zone would not wait for ever.
            zone.machine.handle(jobs::ended(attempt, errand, Failure::from(Reason::Internal)), now);
            return;
        };
        zone.errand = Some(Errand::new(attempt, target, reach, transfer).into());
        self.admission.request(Ticket { zone: id, attempt }, errand, target.address, urgency);
    }

    /// A primary vouched for the version served: extends what the query path compares with, and writes it down.
    fn confirm(&mut self, id: ZoneId, confirmed: secondo_lifecycle::Confirmation) {
        let Some(zone) = self.zones.get_mut(&id) else { return };
        let until = confirmed.boot.saturating_add(Duration::from_secs(confirmed.expire_in));
        zone.slot.renew(millis(until), millis(confirmed.boot));
        let record = to_record(confirmed);
        // The version just published brought its own confirmation to disk.
        let written = zone.committed.take();
        if written == Some((record.serial, record.expire_in)) {
            return;
        }
        let sender = self.parts.sender.clone();
        self.parts.store.confirm(&zone.config.name, record, move |result| {
            // The scheduler is gone only when the daemon stops.
            let _ = sender.send(Message::Confirmed(id, result));
        });
    }

    fn expire(&mut self, id: ZoneId, confirmed_ago: Duration, now: Now) {
        // The query path sees for itself; but it must not have been told of a later moment.
        self.show_validity(id, now);
        let Some(zone) = self.zones.get(&id) else { return };
        let detail = format!("last confirmed {} s ago; {}", confirmed_ago.as_secs(), zone.doing());
        Event {
            zone: Some(&zone.config.name),
            serial: zone.machine.serial(),
            detail: Some(&detail),
            reason: zone.machine.last_failure().map(|(reason, _)| reason),
            next_in: zone.next_in(now),
            ..Event::new("zone.expired", "zone expired: it is no longer answered from")
        }
        .error();
    }

    /// Starts the attempts whose turn has come; those that are not worth making are answered at once.
    fn admit(&mut self, todo: &mut VecDeque<(ZoneId, Happened)>, now: Now) {
        while let Some((ticket, errand, _)) = self.admission.admit() {
            let wanted = self.zones.get(&ticket.zone).and_then(|zone| {
                let errand = zone.errand.as_ref().filter(|errand| errand.attempt == ticket.attempt)?;
                Some((errand.reach, zone.machine.hold_down()))
            });
            // Nobody wants it any more.
            let Some((reach, hold)) = wanted else {
                self.admission.release(ticket);
                continue;
            };
            match self.health.ask(reach, now.boot, hold) {
                Permit::Go if self.start(ticket) => {
                    // From here, not from its place in the queue, time counts (RFC 7314 §4).
                    todo.push_back((ticket.zone, Happened::Sent { attempt: ticket.attempt }));
                }
                refused => {
                    self.admission.release(ticket);
                    if let Some(zone) = self.zones.get_mut(&ticket.zone) {
                        zone.errand.take_if(|errand| errand.attempt == ticket.attempt);
                    }
                    let failure = match refused {
                        Permit::Down { again } => Failure::from(Reason::PrimaryDown).until(again),
                        Permit::Go => {
                            self.health.abandoned(reach);
                            Failure::from(Reason::Internal)
                        }
                    };
                    todo.push_back((ticket.zone, jobs::ended(ticket.attempt, errand, failure)));
                }
            }
        }
    }

    /// Tells the query path what the machine says of a zone's validity, where no confirmation does.
    pub(super) fn show_validity(&mut self, id: ZoneId, now: Now) {
        let Some(zone) = self.zones.get_mut(&id) else { return };
        match zone.machine.validity() {
            Validity::Current { until, .. } => {
                let ago = zone.confirmed_ago(now).unwrap_or_default();
                zone.slot.renew(millis(until), millis(now.boot.saturating_sub(ago)));
            }
            Validity::Expired { since, age } => {
                let confirmed_at = since.saturating_sub(age.unwrap_or_default());
                zone.slot.renew(millis(since.min(now.boot)), millis(confirmed_at));
            }
            Validity::Empty => {}
        }
    }
}

/// The form in which the store keeps a confirmation.
pub(super) fn to_record(confirmed: secondo_lifecycle::Confirmation) -> Confirmation {
    Confirmation {
        serial: confirmed.serial,
        wall: confirmed.wall,
        boot_ms: millis(confirmed.boot),
        boot_id: confirmed.boot_id.0,
        expire_in: confirmed.expire_in,
    }
}

/// A confirmation that the store kept.
pub(super) fn from_record(record: Confirmation) -> secondo_lifecycle::Confirmation {
    secondo_lifecycle::Confirmation {
        serial: record.serial,
        boot: Duration::from_millis(record.boot_ms),
        boot_id: secondo_lifecycle::BootId(record.boot_id),
        wall: record.wall,
        expire_in: record.expire_in,
    }
}
