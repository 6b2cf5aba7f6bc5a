//! Zones come and go: at start, and when the configuration is read again. All or nothing, and what did not change is
//! not touched.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use secondo_lifecycle::{Event as Happened, Machine, Now, Restored as Kept, Ticket, ZoneId};
use secondo_store::{Restored, Store};
use secondo_wire::Name;
use tokio::sync::oneshot;
use tracing::{Level, enabled};

use super::actions::from_record;
use super::certificates::Watch;
use super::zones::{Facts, Source, Zone, table};
use super::{Message, Scheduler};
use crate::clock::whole_seconds;
use crate::config::{self, Config, OwnCertificate, ServerConfig, ZoneConfig};
use crate::control::Response;
use crate::event::{self, Event};

/// The time over which zones that start together spread their first look, for each of them.
const EACH: Duration = Duration::from_millis(1);

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
        self.weigh_descriptors("daemon.started");
    }

    /// Reads the configuration again, beside the loop.
    pub(super) fn reload(&mut self, answer: Option<oneshot::Sender<Response>>, dry_run: bool) {
        if self.reloading {
            let busy = Response::refused("busy", "the configuration is being read already");
            return reply(answer, busy);
        }
        self.reloading = true;
        let (path, known) = (self.parts.path.clone(), self.names.keys().cloned().collect());
        let (sender, store) = (self.parts.sender.clone(), Arc::downgrade(&self.parts.store));
        tokio::spawn(async move {
            let reading = tokio::task::spawn_blocking(move || prepare(&path, &known, &store, dry_run));
            // A panic while reading is our own fault; it must not be the end of all reloads.
            let prepared = reading.await.unwrap_or_else(|_| Err("an error of our own".into()));
            // The scheduler is gone only when the daemon stops.
            let _ = sender.send(Message::Prepared(prepared.map(Box::new), answer));
        });
    }

    /// A configuration was read: puts it in force, if it is in order.
    pub(super) fn prepared(
        &mut self,
        prepared: Result<Box<Prepared>, String>,
        answer: Option<oneshot::Sender<Response>>,
        now: Now,
    ) {
        self.reloading = false;
        let response = match prepared {
            Ok(prepared) => self.apply(*prepared, now),
            Err(problems) => Response::refused("bad-configuration", problems),
        };
        reply(answer, response);
        if std::mem::take(&mut self.reload_again) {
            self.reload(None, false);
        }
    }

    fn apply(&mut self, prepared: Prepared, now: Now) -> Response {
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
            settings: self.parts.config.answers.changes(&config.answers),
            after_restart: after_restart(&self.parts.config.server, &config.server),
            certificates: OwnCertificate::renewed(&self.parts.config.certificates, &config.certificates),
            ..Response::default()
        };
        if !dry_run {
            // What holds only after a restart stays as it is, so that the next reload still tells of it.
            let server = self.parts.config.server.clone();
            let tls = config.server.tls.clone().or(server.tls.clone());
            if server.tls != tls {
                self.parts.respond.tls.store(tls.clone());
            }
            for renewed in &response.certificates {
                let event =
                    Event::new("daemon.reloaded", "another certificate is shown over TLS from now on");
                Event { detail: Some(renewed), ..event }.info();
            }
            self.certificates = Watch::default();
            self.parts.config = Config { server: ServerConfig { tls, ..server }, ..config };
            self.remove(&removed, now);
            self.change(&changed, now);
            self.add(&added, restored, now);
            self.replace_table();
            self.forget_primaries();
            event::concerns("daemon.reloaded", &self.parts.config.warnings);
            self.weigh_descriptors("daemon.reloaded");
            for what in &response.after_restart {
                let detail = format!("`{what}` holds after a restart");
                let event = Event::new("daemon.reloaded", "a changed setting is not in force");
                Event { detail: Some(&detail), ..event }.warn();
            }
            let settings: String =
                response.settings.iter().map(|what| format!(", `{what}` changed")).collect();
            let (added, removed, changed) = (added.len(), removed.len(), changed.len());
            let detail = format!("{added} added, {removed} removed, {changed} changed{settings}");
            let event = Event::new("daemon.reloaded", "configuration is in force");
            Event { detail: Some(&detail), ..event }.info();
        }
        response
    }

    /// Adds zones that are not there yet.
    pub(super) fn add(&mut self, zones: &[ZoneConfig], restored: Vec<Restored>, now: Now) {
        let mut kept: HashMap<Name, Restored> =
            restored.into_iter().map(|r| (r.committed.zone().apex().clone(), r)).collect();
        self.names.reserve(zones.len());
        // What was announced while nobody listened is looked for soon, but not by all zones at once.
        let together = Duration::from_secs(1).max(EACH * u32::try_from(zones.len()).unwrap_or(u32::MAX));
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
            let mut machine = Machine::new(settings, memory, now, rand::random());
            machine.look_within(together, now);
            let mut zone = Zone {
                config: config.clone(),
                slot: Arc::default(),
                machine,
                errand: None,
                committed: None,
                facts: Facts { since: whole_seconds(now.boot), ..Facts::default() },
                waiters: Vec::new(),
                heralds: Vec::new(),
            };
            if let Some(restored) = &restored {
                zone.facts.source = Some(Source::Disk);
                self.parts.publisher.publish(&zone.slot, &restored.committed);
            }
            self.names.insert(config.name.clone(), id);
            self.zones.insert(id, Box::new(zone));
            if restored.is_some() {
                self.show_validity(id, now);
                self.say_restored(id, now);
            } else {
                let event = Event::new("zone.added", "zone is configured, and not loaded yet");
                Event { zone: Some(&config.name), next_in: Some(Duration::ZERO), ..event }.info();
            }
            // What is due at once is so with the next turn of the wheel.
            self.follow(id, None, now);
        }
        self.book.forget_identities();
    }

    fn say_restored(&self, id: ZoneId, now: Now) {
        let Some(zone) = self.zones.get(&id).filter(|_| enabled!(Level::INFO)) else { return };
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
            next_in: zone.next_in(now),
            ..Event::new("zone.restored", "zone is back from disk")
        }
        .info();
    }

    /// Gives zones new settings; what is served goes on being served.
    pub(super) fn change(&mut self, zones: &[ZoneConfig], now: Now) {
        for config in zones {
            let Some(&id) = self.names.get(&config.name) else { continue };
            let Ok(settings) = self.book.settings(&config.settings) else { continue };
            if let Some(zone) = self.zones.get_mut(&id) {
                zone.config = config.clone();
                if zone.machine.settings() != &settings {
                    zone.forget_all_but(&settings);
                    self.tell(id, Happened::Reconfigure(settings), now);
                    // A lower bound of EXPIRE brings the end nearer.
                    self.show_validity(id, now);
                }
            }
        }
        self.book.forget_identities();
    }

    /// Ends zones: no longer served at once; the disk keeps them for their time.
    pub(super) fn remove(&mut self, zones: &[ZoneConfig], now: Now) {
        for config in zones {
            let Some(id) = self.names.remove(&config.name) else { continue };
            let Some(mut zone) = self.zones.remove(&id) else { continue };
            self.wheel.remove(id);
            if let Some(errand) = zone.errand.take() {
                self.admission.release(Ticket { zone: id, attempt: errand.attempt });
                if errand.abort() {
                    self.health.abandoned(errand.reach);
                }
            }
            zone.heralds.drain(..).for_each(|herald| herald.abort());
            zone.dismiss_waiters();
            let keep = config.settings.purge_after.as_secs();
            self.parts.store.retire(vec![config.name.clone()], now.wall.saturating_add(keep));
            let detail = format!("its state is kept on disk for {keep} s");
            Event {
                zone: Some(&config.name),
                serial: zone.machine.serial(),
                detail: Some(&detail),
                ..Event::new("zone.removed", "zone is no longer served")
            }
            .info();
        }
    }

    /// Primaries that no zone has any more.
    pub(super) fn forget_primaries(&mut self) {
        let settings = self.zones.values().map(|zone| zone.machine.settings());
        let in_use = settings.flat_map(|settings| settings.primaries().iter().map(|primary| primary.id));
        for reach in self.book.keep(&in_use.collect()) {
            self.health.forget(reach);
            self.show_life(reach.address);
            self.contacts.forget(reach);
        }
        let places = self.book.places();
        self.habits.keep(|place| places.contains(place));
    }

    /// What is answered from changes here, all at once; versions of zones that are gone go with the former table.
    fn replace_table(&mut self) {
        let entries = self.zones.values().map(|zone| zone.entry());
        let former = self.parts.respond.table.load();
        let table = table(entries, &self.parts.config, &self.parts.secrets, former.limiter());
        // Nothing may hold the former while it waits to be dropped.
        drop(former);
        self.parts.publisher.bury(self.parts.respond.table.replace(table));
    }
}

/// Reads the configuration, and from disk the zones that it adds; the error has a line for each problem.
fn prepare(
    path: &Path,
    known: &HashSet<Name>,
    store: &Weak<Store>,
    dry_run: bool,
) -> Result<Prepared, String> {
    let config = config::load(path).map_err(|problems| {
        for problem in problems.iter().filter(|_| !dry_run) {
            let text = problem.to_string();
            let event = Event::new("daemon.reloaded", "bad configuration: the running one stays in force");
            Event { detail: Some(&text), ..event }.error();
        }
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    })?;
    let added: Vec<Name> =
        config.zones.iter().map(|zone| &zone.name).filter(|name| !known.contains(*name)).cloned().collect();
    let mut restored = Vec::new();
    if !dry_run {
        let store = store.upgrade().ok_or("the daemon is stopping")?;
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

/// Answers whoever asked; one who went away needs no answer.
fn reply(answer: Option<oneshot::Sender<Response>>, response: Response) {
    if let Some(answer) = answer {
        let _ = answer.send(response);
    }
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
