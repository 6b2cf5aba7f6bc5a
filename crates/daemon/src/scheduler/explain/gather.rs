//! A case from what the scheduler keeps: one look, nothing of it slow.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secondo_lifecycle::{Activity, Now, Target, ZoneId};
use secondo_wire::Name;

use super::super::Scheduler;
use super::super::book::Reach;
use super::super::zones::Zone;
use super::{Asks, Case, Doing, Known, KnownDown, explain};
use crate::config::PrimaryConfig;
use crate::control::{Ask, Response};

impl Scheduler {
    /// Answers `explain`; the words are made aside.
    pub(in super::super) fn explain(&self, ask: Ask, now: Now) {
        let case = self.chosen(&ask.request, false).and_then(|ids| match ids[..] {
            [id] => {
                self.case(id, now).ok_or_else(|| Box::new(Response::refused("no-such-zone", "no such zone")))
            }
            _ => Err(Box::new(Response::refused("bad-request", "name one zone"))),
        });
        // One who went away needs no answer.
        match case {
            Err(refused) => drop(ask.answer.send(*refused)),
            Ok(case) => drop(tokio::task::spawn_blocking(move || {
                let explanation = Some(Box::new(explain(&case)));
                let _ = ask.answer.send(Response { explanation, ..Response::default() });
            })),
        }
    }

    fn case(&self, id: ZoneId, now: Now) -> Option<Case> {
        let zone = self.zones.get(&id)?;
        let trouble = zone.facts.trouble.as_deref();
        let tries = trouble.map(|trouble| trouble.tries().to_vec()).unwrap_or_default();
        let definition = |target: Target| self.book.find(target.primary).cloned();
        let server = &self.config().server;
        Some(Case {
            status: self.status_of(zone, now),
            now: now.boot,
            wall: now.wall,
            validity: zone.machine.validity(),
            since: now.boot.saturating_sub(Duration::from_secs(u64::from(zone.facts.since))),
            soa: zone.slot.published().map(|published| published.soa().clone()),
            settings: Arc::clone(&zone.config.settings),
            limits: server.limits.clone(),
            state_dir: server.state_dir.clone(),
            doing: self.doing(zone, now)?,
            tries: tries
                .into_iter()
                .filter_map(|t| definition(t.target).map(|primary| (primary, t)))
                .collect(),
            ixfr: trouble
                .and_then(|trouble| trouble.ixfr())
                .and_then(|ixfr| definition(ixfr.target).map(|primary| (primary, ixfr.clone()))),
            disk: trouble.and_then(|trouble| trouble.disk()).map(str::to_string),
            contacts: self.known(zone, now),
        })
    }

    fn doing(&self, zone: &Zone, now: Now) -> Option<Doing> {
        let left = zone.next_in(now).unwrap_or_default();
        let attempt = match zone.machine.activity() {
            Activity::Waiting { why, .. } => return Some(Doing::Waits(left, *why)),
            Activity::Suspended(suspended) => {
                return Some(Doing::Suspended(left, suspended.reason));
            }
            Activity::Probing(attempt) | Activity::Transferring(attempt) => attempt,
        };
        let asks = Asks {
            primary: Arc::clone(self.book.find(attempt.target.primary)?),
            address: attempt.target.address,
            question: attempt.question,
            since: now.boot.saturating_sub(attempt.asked),
            cause: attempt.cause(),
            waiting: self.admission.waiting(),
        };
        let queued = zone.errand.as_ref().is_some_and(|errand| errand.job.is_none());
        Some(if queued { Doing::Queued(asks) } else { Doing::Asks(asks) })
    }

    fn known(&self, zone: &Zone, now: Now) -> Vec<Known> {
        let primaries = zone.config.settings.primaries.iter();
        let addresses =
            primaries.flat_map(|primary| primary.addresses.iter().map(move |address| (primary, *address)));
        addresses.filter_map(|(primary, address)| self.known_of(primary, address, now)).collect()
    }

    fn known_of(&self, primary: &Arc<PrimaryConfig>, address: SocketAddr, now: Now) -> Option<Known> {
        let reach = self.book.reach_of(primary, address)?;
        let contact = self.contacts.of(reach);
        let asks = |name: &Name| {
            let zone = self.names.get(name).and_then(|id| self.zones.get(id));
            zone.is_some_and(|zone| zone.config.settings.primaries.contains(primary))
        };
        let roll = self.habits.roll(&(self.book.number_of(primary)?, address), &primary.keys, asks);
        if contact.is_none() && roll.is_none() {
            return None;
        }
        let skew = contact.and_then(|contact| contact.skew);
        let down = contact.and_then(|contact| contact.down.as_ref()).map(|down| KnownDown {
            since: now.boot.saturating_sub(down.since),
            reason: down.reason,
            detail: down.detail.clone(),
            again: self.health.down_until(reach).unwrap_or_default().saturating_sub(now.boot),
            zones: self.zones_at(reach),
        });
        Some(Known { primary: Arc::clone(primary), address, skew, roll, down })
    }

    /// How many zones ask there in that way. Zones share settings, so each of those is looked at once.
    fn zones_at(&self, wanted: Reach) -> usize {
        let mut known = HashMap::new();
        let has_it = |zone: &&Zone| {
            let settings = zone.machine.settings();
            *known
                .entry(Arc::as_ptr(settings))
                .or_insert_with(|| self.book.reaches(settings).any(|reach| reach == wanted))
        };
        self.zones.values().map(|zone| &**zone).filter(has_it).count()
    }
}
