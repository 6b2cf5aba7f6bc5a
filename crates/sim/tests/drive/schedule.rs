//! The scheduler: what is due, who may go, what comes back; as the daemon drives machines, wheel, admission and health.

use std::time::Duration;

use secondo_lifecycle::{
    Action, Confirmation, Errand, Event, Failure, Kind as Form, Outcome, Permit, Ticket, Transferred, Turn,
    ZoneId,
};
use secondo_sim::Fault;
use secondo_transfer::CheckedZone;
use secondo_wire::{Reason, Serial};

use crate::archive::{End, to_record};
use crate::holding::Wanted;
use crate::manner::Manner;
use crate::reference::Vouched;
use crate::secondary::{Asker, Fetched};
use crate::stage::{Brought, Flight, Stage, address, seconds};

/// Longest way of an answer, milliseconds.
const WAY: u64 = 4000;

impl Stage {
    /// Everything that happens within so many seconds.
    pub(crate) fn pass(&mut self, time: u64) {
        let end = self.real() + seconds(time);
        let spins = 30 * (1 + self.holdings.len());
        let mut standing_still = 0;
        loop {
            self.admit();
            let answer = self.flights.keys().next().map_or(Duration::MAX, |(at, _)| *at);
            let next = answer.min(self.wheel.next().unwrap_or(Duration::MAX));
            if self.before + next.min(seconds(1 << 40)) > end {
                break;
            }
            standing_still = if next > self.now.boot { 0 } else { standing_still + 1 };
            assert!(standing_still < spins, "the scheduler spins");
            self.set(next.max(self.now.boot));
            if answer <= self.now.boot {
                self.land();
            } else if let Some(ZoneId(zone)) = self.wheel.pop_due(self.now.boot) {
                self.tell(zone as usize, Event::Timeout);
            }
        }
        // The machine may have been off beyond it.
        self.set(end.saturating_sub(self.before).max(self.now.boot));
        (0..self.holdings.len()).for_each(|zone| self.check(zone));
    }

    fn set(&mut self, boot: Duration) {
        self.now.wall += boot.as_secs() - self.now.boot.as_secs();
        self.now.boot = boot;
    }

    /// A NOTIFY that an access list admitted.
    pub(crate) fn notified(&mut self, zone: usize, from: usize, hint: Option<Serial>) {
        if self.holdings[zone].pair.contains(&from) {
            self.health.notified(address(from), self.now.boot);
        }
        self.tell(zone, Event::Notify { from: address(from).ip(), hint });
        self.admit();
    }

    pub(crate) fn tell(&mut self, zone: usize, event: Event) {
        self.holdings[zone].machine.handle(event, self.now);
        while let Some(action) = self.holdings[zone].machine.poll_action() {
            self.act(zone, action);
        }
        self.wheel.schedule(ZoneId(zone as u32), self.holdings[zone].machine.next_deadline());
        self.check(zone);
    }

    fn act(&mut self, zone: usize, action: Action) {
        let ticket = |attempt| Ticket { zone: ZoneId(zone as u32), attempt };
        let (attempt, target, urgency, question) = match action {
            Action::Probe { attempt, target, urgency } => (attempt, target, urgency, None),
            Action::Transfer { attempt, target, question, accept, urgency, .. } => {
                (attempt, target, urgency, Some((question, accept)))
            }
            Action::Cancel { attempt } => {
                let wanted = self.holdings[zone].wanted.take().expect("cancels what is wanted");
                assert_eq!(wanted.attempt, attempt);
                self.admission.release(ticket(attempt));
                self.health.abandoned(address(wanted.primary));
                self.flights.retain(|(_, flying), _| *flying != ticket(attempt));
                return;
            }
            Action::Confirm(confirmation) => {
                let holding = &self.holdings[zone];
                let allowed = holding.reference.allowed();
                return self.archive.confirm(&holding.apex, zone, to_record(confirmation), allowed);
            }
            Action::Expire { .. } => {
                self.tally.expiries += 1;
                return assert!(!self.holdings[zone].is_served(), "expired and served");
            }
            Action::Revive { .. } => return self.tally.revivals += 1,
            Action::Report(outcome) => return self.count(&outcome),
        };
        let errand = if question.is_none() { Errand::Probe } else { Errand::Transfer };
        let primary = (0..self.primaries.len()).find(|i| address(*i) == target.address).unwrap();
        let wanted = self.holdings[zone].wanted.replace(Wanted { attempt, primary, question });
        assert!(wanted.is_none(), "two attempts at once");
        self.admission.request(ticket(attempt), errand, target.address, urgency);
    }

    fn count(&mut self, outcome: &Outcome) {
        let tally = &mut self.tally;
        let count = match outcome {
            Outcome::RefreshCurrent { .. } => &mut tally.refreshes,
            Outcome::Published { kind: Form::Axfr, .. } => &mut tally.axfrs,
            Outcome::Published { kind: Form::Ixfr, .. } => &mut tally.ixfrs,
            Outcome::Fallback { .. } => &mut tally.fallbacks,
            Outcome::AttemptFailed { .. } => &mut tally.failures,
            Outcome::HintForgotten { .. } => &mut tally.forgotten,
            _ => return,
        };
        *count += 1;
    }

    /// Whoever may go goes; who would go to a dead address waits for the one who asks there for all.
    fn admit(&mut self) {
        while let Some((ticket, errand, address)) = self.admission.admit() {
            let zone = ticket.zone.0 as usize;
            let hold = self.holdings[zone].machine.hold_down();
            match self.health.ask(address, self.now.boot, hold) {
                Permit::Go => {
                    self.tell(zone, Event::Sent { attempt: ticket.attempt });
                    self.launch(ticket);
                }
                Permit::Down { again } => {
                    self.tally.spared += 1;
                    let failure = Failure::from(Reason::PrimaryDown).until(again);
                    self.end(ticket, errand, failure);
                }
            }
        }
    }

    fn end(&mut self, ticket: Ticket, errand: Errand, failure: Failure) {
        let (zone, attempt) = (ticket.zone.0 as usize, ticket.attempt);
        self.admission.release(ticket);
        self.holdings[zone].wanted = None;
        self.tell(
            zone,
            match errand {
                Errand::Probe => Event::Probed { attempt, result: Err(failure) },
                Errand::Transfer => Event::Transferred { attempt, result: Err(failure) },
            },
        );
    }

    /// The question goes out and is answered by the primary as it is now; the answer arrives later.
    fn launch(&mut self, ticket: Ticket) {
        let holding = &self.holdings[ticket.zone.0 as usize];
        let Wanted { primary, question, .. } = holding.wanted.expect("only what is wanted is admitted");
        let asker = Asker { apex: &holding.apex, key: &self.keys[0], unix: self.now.wall };
        let world = &mut self.primaries[primary];
        let dead = matches!(self.manners[primary], Manner::Dead);
        world.clear_asked();
        let refused = || Failure::from(Reason::ConnectionRefused);
        let result = match question {
            None if dead => Brought::Probed(Err(refused())),
            None => Brought::Probed(asker.probe(world)),
            Some(_) if dead => Brought::Fetched(Err(refused())),
            Some((question, accept)) => {
                Brought::Fetched(asker.transfer(world, question, accept, holding.zone.as_ref()))
            }
        };
        // Over UDP first, then over TCP: only the last answer counts.
        let asked = world.asked();
        self.tally.lies += asked.iter().filter(|asked| asked.fault.is_some()).count() as u64;
        // Behind a first message that says that we are up to date, nothing is read: what is wrong there is no lie.
        let up_to_date = matches!(result, Brought::Fetched(Ok(Fetched::UpToDate { .. })));
        let spoils = |fault| {
            let seal = matches!(fault, Fault::BadSignature | Fault::Unsigned | Fault::Clock(_));
            seal || !up_to_date
        };
        let honest =
            asked.last().is_some_and(|asked| !asked.fault.is_some_and(spoils) && asked.rcode == Some(0));
        let left = if let Manner::Expiring(left) = self.manners[primary] { Some(left) } else { None };
        let serial = world.zone(&holding.apex).unwrap().serial();
        let vouched = (honest && !dead).then_some(Vouched { serial, left });
        let sent = self.now.boot;
        let ends = sent + Duration::from_millis(1 + self.delays.below(WAY));
        self.flights.insert((ends, ticket), Flight { address: address(primary), sent, result, vouched });
    }

    /// The next answer arrives. The power may go meanwhile, and then all begins anew, on another clock.
    fn land(&mut self) {
        let Some(((_, ticket), flight)) = self.flights.pop_first() else { return };
        let Flight { address, sent, result, vouched } = flight;
        let (zone, attempt) = (ticket.zone.0 as usize, ticket.attempt);
        self.admission.release(ticket);
        self.holdings[zone].wanted = None;
        let failure = match &result {
            Brought::Probed(result) => result.as_ref().err(),
            Brought::Fetched(result) => result.as_ref().err(),
        };
        let silent = failure.is_some_and(|failure| failure.reason.is_silence());
        let turn = match silent {
            true => self.health.failed(address, self.now.boot, self.holdings[zone].machine.hold_down()),
            false => self.health.answered(address, self.now.boot),
        };
        let again = self.health.down_until(address);
        let failed = |failure: Failure| Failure { again, ..failure };
        let serial = self.holdings[zone].zone.as_ref().map(|zone| zone.serial());
        let same = vouched.filter(|vouched| Some(vouched.serial) == serial);
        let event = match result {
            Brought::Probed(result) => {
                self.vouched(zone, same, sent);
                Event::Probed { attempt, result: result.map_err(failed) }
            }
            Brought::Fetched(Ok(Fetched::UpToDate { expire, authoritative })) => {
                self.vouched(zone, same, sent);
                let result = Ok(Transferred::UpToDate { expire, authoritative });
                Event::Transferred { attempt, result }
            }
            Brought::Fetched(Ok(Fetched::Version(checked))) => {
                assert!(vouched.is_some(), "a version was made of a lie");
                match self.publish(zone, *checked, vouched, sent) {
                    Some(published) => Event::Transferred { attempt, result: Ok(published) },
                    None => {
                        let off = self.delays.below(3600);
                        return self.restart(End::PowerCut, true, off, false);
                    }
                }
            }
            Brought::Fetched(Err(failure)) => Event::Transferred { attempt, result: Err(failed(failure)) },
        };
        self.tell(zone, event);
        match turn {
            Some(Turn::Up { .. }) => self.up(address),
            Some(Turn::Down { .. }) => self.tally.deaths += 1,
            None => {}
        }
    }

    /// Who has a primary there is told that it lives.
    fn up(&mut self, address: std::net::SocketAddr) {
        for zone in 0..self.holdings.len() {
            let primaries = self.holdings[zone].settings.primaries();
            if primaries.iter().any(|primary| primary.addresses.contains(&address)) {
                self.tell(zone, Event::PrimaryUp(address));
            }
        }
    }

    /// Commits a version, then serves it; `None`: the power went before.
    fn publish(
        &mut self,
        zone: usize,
        checked: CheckedZone,
        vouched: Option<Vouched>,
        sent: Duration,
    ) -> Option<Transferred> {
        let (soa, expire) = (checked.zone().soa().clone(), checked.expire());
        let kind = if checked.difference().is_some() { Form::Ixfr } else { Form::Axfr };
        self.holdings[zone].reference.replaced(checked.zone());
        self.vouched(zone, vouched, sent);
        let holding = &mut self.holdings[zone];
        let way = self.now.boot - sent;
        let confirmation = Confirmation::of_transfer(&soa, expire, way, &holding.settings, self.now);
        let allowed = holding.reference.allowed();
        let committed =
            self.archive.commit(zone, checked, to_record(confirmation), allowed, &mut self.delays)?;
        holding.zone = Some(committed);
        Some(Transferred::Published { soa, expire, kind })
    }

    /// An honest answer to what was sent then arrives now.
    fn vouched(&mut self, zone: usize, vouched: Option<Vouched>, sent: Duration) {
        if let Some(vouched) = vouched {
            let (sent, real) = (self.before + sent, self.real());
            self.holdings[zone].reference.vouched(vouched, sent, real);
        }
    }
}
