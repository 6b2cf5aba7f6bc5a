//! Zones come and go: at start, and when the configuration is read again. All or nothing, and what did not change is
//! not touched.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secondo_lifecycle::{Event as Happened, Machine, Now, Restored as Kept, Ticket, ZoneId};
use secondo_store::{Restored, Store};
use secondo_wire::Name;
use tokio::sync::oneshot;

use super::actions::from_record;
use super::zones::{Facts, Source, Zone, table};
use super::{Message, Scheduler};
use crate::config::{self, Config, ServerConfig, ZoneConfig};
use crate::control::Response;
use crate::event::Event;

/// A configuration that was read and found in order, with what the disk has of the zones that it adds.
#[derive(Debug)]
pub(crate) struct Prepared {
    config: Config,
    restored: Vec<Restored>,
    dry_run: bool,
}

impl Scheduler {
    /// Takes over all zones of the configuration, with what the disk kept of them; called once, at start.
    pub(crate) fn populate(&mut self, restored: Vec<Restored>) {
        let now = self.now();
        let zones = self.parts.config.zones.clone();
        self.add(&zones, restored, now);
        self.replace_table();
    }

    /// Reads the configuration again, beside the loop.
    pub(super) fn reload(&mut self, answer: Option<oneshot::Sender<Response>>, dry_run: bool) {
        let refuse = |answer: Option<oneshot::Sender<Response>>, code: &str, message: String| {
            if let Some(answer) = answer {
                // One who went away needs no answer.
                let _ = answer.send(Response::refused(code, message));
            }
        };
        if self.reloading {
            return refuse(answer, "busy", "the configuration is being read already".into());
        }
        self.reloading = true;
        let (path, known) = (self.parts.path.clone(), self.names.keys().cloned().collect::<Vec<_>>());
        let (sender, store) = (self.sender(), Arc::clone(&self.parts.store));
        tokio::task::spawn_blocking(move || {
            let prepared = prepare(&path, &known, &store, dry_run);
            // The scheduler is gone only when the daemon stops.
            let _ = sender.send(match prepared {
                Ok(prepared) => Message::Apply(Box::new(prepared), answer),
                Err(problems) => {
                    refuse(answer, "bad-configuration", problems);
                    Message::ReloadFailed
                }
            });
        });
    }

    /// Puts a configuration in force.
    pub(super) fn apply(&mut self, prepared: Prepared, answer: Option<oneshot::Sender<Response>>, now: Now) {
        self.reloading = false;
        let Prepared { config, restored, dry_run } = prepared;
        let names = |zones: &[ZoneConfig]| zones.iter().map(|zone| zone.name.to_string()).collect::<Vec<_>>();
        let changes = self.parts.config.zone_changes(&config);
        let added: Vec<ZoneConfig> = changes.added.into_iter().cloned().collect();
        let removed: Vec<ZoneConfig> = changes.removed.into_iter().cloned().collect();
        let changed: Vec<ZoneConfig> = changes.changed.into_iter().map(|(_, new)| new.clone()).collect();
        let response = Response {
            added: Some(names(&added)),
            removed: Some(names(&removed)),
            changed: Some(names(&changed)),
            after_restart: after_restart(&self.parts.config.server, &config.server),
            ..Response::default()
        };
        if !dry_run {
            // What holds only after a restart stays as it is, so that the next reload still tells of it.
            let server = self.parts.config.server.clone();
            self.parts.config = Config { server, ..config };
            self.remove(&removed, now);
            self.change(&changed, now);
            self.add(&added, restored, now);
            for zone in &added {
                Event { zone: Some(&zone.name), ..Event::new("zone.added", "zone is configured") }.info();
            }
            self.replace_table();
            let detail =
                format!("{} added, {} removed, {} changed", added.len(), removed.len(), changed.len());
            let event = Event::new("daemon.reloaded", "configuration is in force");
            Event { detail: Some(&detail), ..event }.info();
        }
        if let Some(answer) = answer {
            // One who went away needs no answer.
            let _ = answer.send(response);
        }
    }

    /// Adds zones that are not there yet.
    fn add(&mut self, zones: &[ZoneConfig], restored: Vec<Restored>, now: Now) {
        let mut kept: std::collections::HashMap<Name, Restored> =
            restored.into_iter().map(|r| (r.committed.zone().apex().clone(), r)).collect();
        let mut events = Vec::with_capacity(zones.len());
        for config in zones {
            let settings = match self.book.settings(&config.settings) {
                Ok(settings) => settings,
                Err(error) => {
                    let detail = format!("its settings cannot be used: {error}");
                    let event = Event::new("zone.rejected", "zone is not served");
                    Event { zone: Some(&config.name), detail: Some(&detail), ..event }.error();
                    continue;
                }
            };
            let id = ZoneId(self.next_zone);
            self.next_zone += 1;
            let restored = kept.remove(&config.name);
            let memory = restored.as_ref().map(|restored| Kept {
                soa: restored.committed.zone().soa().clone(),
                confirmation: restored.confirmation.map(from_record),
            });
            let machine = Machine::new(settings, memory, now, rand::random());
            let mut zone = Zone {
                config: config.clone(),
                slot: Arc::default(),
                machine,
                errand: None,
                committed: None,
                facts: Facts::default(),
                waiters: Vec::new(),
                heralds: Vec::new(),
            };
            if let Some(restored) = &restored {
                zone.facts.source = Some(Source::Disk);
                zone.facts.confirmed = restored.confirmation.map(from_record);
                self.parts.publisher.publish(&zone.slot, &restored.committed);
            }
            self.names.insert(config.name.clone(), id);
            self.zones.insert(id, zone);
            if restored.is_some() {
                self.show_validity(id, now);
                self.say_restored(id, now);
            }
            events.push((id, Happened::Timeout));
        }
        self.book.forget_identities();
        self.tell_all(events, now);
    }

    fn say_restored(&self, id: ZoneId, now: Now) {
        let Some(zone) = self.zones.get(&id) else { return };
        let status = zone.status(now);
        let detail = match status.expires_in {
            Some(left) => format!("{}, expires in {left} s", status.state.word()),
            None => status.state.word().to_string(),
        };
        Event {
            zone: Some(&zone.config.name),
            serial: zone.machine.serial(),
            records: status.records,
            detail: Some(&detail),
            next_in: Some(zone.machine.next_deadline().saturating_sub(now.boot)),
            ..Event::new("zone.restored", "zone is back from disk")
        }
        .info();
    }

    /// Gives zones new settings; what is served goes on being served.
    fn change(&mut self, zones: &[ZoneConfig], now: Now) {
        for config in zones {
            let Some(&id) = self.names.get(&config.name) else { continue };
            let Ok(settings) = self.book.settings(&config.settings) else { continue };
            if let Some(zone) = self.zones.get_mut(&id) {
                zone.config = config.clone();
                if zone.machine.settings() != &settings {
                    self.tell(id, Happened::Reconfigure(settings), now);
                }
            }
        }
        self.book.forget_identities();
    }

    /// Ends zones: no longer served at once; the disk keeps them for their time.
    fn remove(&mut self, zones: &[ZoneConfig], now: Now) {
        for config in zones {
            let Some(id) = self.names.remove(&config.name) else { continue };
            let Some(mut zone) = self.zones.remove(&id) else { continue };
            self.wheel.remove(id);
            if let Some(errand) = zone.errand.take() {
                self.admission.release(Ticket { zone: id, attempt: errand.attempt });
                if let Some(job) = errand.job {
                    job.abort();
                    self.health.abandoned(errand.target.address);
                }
            }
            zone.heralds.drain(..).for_each(|herald| herald.abort());
            self.parts.publisher.withdraw(&zone.slot);
            let keep: Duration = config.settings.purge_after;
            self.parts.store.retire(vec![config.name.clone()], now.wall.saturating_add(keep.as_secs()));
            let serial = zone.machine.serial();
            Event {
                zone: Some(&config.name),
                serial,
                ..Event::new("zone.removed", "zone is no longer served")
            }
            .info();
        }
    }

    fn replace_table(&mut self) {
        let entries = self.zones.values().map(Zone::entry);
        let table = table(entries, &self.parts.config.keys, self.server(), self.parts.hash_secret);
        self.parts.publisher.bury(self.parts.respond.table.replace(table));
    }
}

/// Reads the configuration, and from disk the zones that it adds; the error has a line for each problem.
fn prepare(path: &Path, known: &[Name], store: &Store, dry_run: bool) -> Result<Prepared, String> {
    let config = config::load(path).map_err(|problems| {
        for problem in &problems {
            let text = problem.to_string();
            let event = Event::new("daemon.reloaded", "bad configuration: the running one stays in force");
            Event { detail: Some(&text), ..event }.error();
        }
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    })?;
    let known: std::collections::HashSet<&Name> = known.iter().collect();
    let added: Vec<Name> =
        config.zones.iter().map(|zone| &zone.name).filter(|name| !known.contains(name)).cloned().collect();
    let mut restored = Vec::new();
    if !dry_run {
        store.unretire(added.clone());
        let (tell, told) = std::sync::mpsc::channel();
        for name in &added {
            let tell = tell.clone();
            // The receiver waits below until all have answered.
            store.restore(name, move |found| drop(tell.send(found)));
        }
        drop(tell);
        restored.extend(told.iter().flatten());
    }
    Ok(Prepared { config, restored, dry_run })
}

/// Settings that differ and are read only at start.
fn after_restart(old: &ServerConfig, new: &ServerConfig) -> Vec<String> {
    let changed = [
        ("listen", old.listen != new.listen),
        ("state-dir", old.state_dir != new.state_dir),
        ("control", old.control != new.control),
        ("user", old.user != new.user),
        ("log", old.log != new.log),
        ("limits", old.limits != new.limits),
    ];
    changed.iter().filter(|(_, differs)| *differs).map(|(key, _)| (*key).to_string()).collect()
}
