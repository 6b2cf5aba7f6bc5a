//! Requests of the control socket.

use secondo_lifecycle::{Activity, Event as Happened, Now, ZoneId};
use secondo_wire::Name;
use tokio::sync::oneshot;

use super::Scheduler;
use super::zones::Waiter;
use crate::control::{Ask, Command, Request, Response, ZoneOutcome};

impl Scheduler {
    /// Answers a request, now or when what it asks for is done.
    pub(super) fn asked(&mut self, ask: Ask, now: Now) {
        let response = match ask.request.command {
            Command::Reload => return self.reload(Some(ask.answer), ask.request.dry_run),
            Command::Dump | Command::Diff => return self.read_versions(ask, now),
            Command::Status => return self.survey(ask),
            Command::Explain => return self.explain(ask, now),
            Command::Stop => {
                self.stopping = true;
                Response::default()
            }
            Command::Refresh | Command::Retransfer => match self.chosen(&ask.request, false) {
                Ok(chosen) => return self.ask_primaries(&ask.request, &chosen, ask.answer, now),
                Err(refused) => *refused,
            },
        };
        // One who went away needs no answer.
        let _ = ask.answer.send(response);
    }

    /// The zones of a request, in the order of their names; `all_by_default`: none named means all.
    pub(super) fn chosen(
        &self,
        request: &Request,
        all_by_default: bool,
    ) -> Result<Vec<ZoneId>, Box<Response>> {
        let refused = |code: &str, message: String| Box::new(Response::refused(code, message));
        if request.zones.is_empty() {
            if !request.all && !all_by_default {
                return Err(refused("bad-request", "name zones, or say that all are meant".into()));
            }
            let mut all: Vec<(&Name, ZoneId)> = self.names.iter().map(|(name, &id)| (name, id)).collect();
            all.sort_unstable();
            return Ok(all.into_iter().map(|(_, id)| id).collect());
        }
        let find = |text: &String| {
            let name =
                Name::parse(text).map_err(|error| refused("bad-request", format!("{text}: {error}")))?;
            let found = self.names.get(&name).copied();
            found.ok_or_else(|| refused("no-such-zone", format!("no zone {name}")))
        };
        request.zones.iter().map(find).collect()
    }

    fn ask_primaries(
        &mut self,
        request: &Request,
        chosen: &[ZoneId],
        answer: oneshot::Sender<Response>,
        now: Now,
    ) {
        let event = match request.command {
            Command::Retransfer => Happened::Retransfer,
            _ => Happened::Refresh,
        };
        let mut outcomes = Vec::new();
        let mut awaited = Vec::new();
        for id in chosen {
            let Some(zone) = self.zones.get_mut(id) else { continue };
            // The operator may know that a dead primary is back: as after a NOTIFY, one zone asks it at once.
            for reach in self.book.reaches(zone.machine.settings()) {
                self.health.release(reach, now.boot);
            }
            // Or that it knows the first key now.
            for primary in zone.machine.settings().primaries() {
                for address in &primary.addresses {
                    self.habits.ask_anew(&(primary.id, *address));
                }
            }
            if request.no_wait {
                let serial = zone.machine.serial().map(|serial| serial.0);
                let zone = zone.config.name.to_string();
                outcomes.push(ZoneOutcome { zone, outcome: "started".into(), serial, reason: None });
            } else {
                let (tell, told) = oneshot::channel();
                let skip =
                    matches!(zone.machine.activity(), Activity::Probing(_) | Activity::Transferring(_));
                zone.waiters.push(Waiter { tell, skip });
                awaited.push(told);
            }
        }
        self.tell_all(chosen.iter().map(|&id| (id, event.clone())), now);
        tokio::spawn(async move {
            for told in awaited {
                // Without an outcome the daemon is stopping; that is what the one who asked is told, then.
                let Ok(outcome) = told.await else { return };
                outcomes.push(outcome);
            }
            let _ = answer.send(Response { outcomes: Some(outcomes), ..Response::default() });
        });
    }
}
