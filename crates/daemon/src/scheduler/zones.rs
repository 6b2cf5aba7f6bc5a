//! What the scheduler keeps of a zone, and the zone table that is made of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use secondo_answer::{Cookies, Entry, Limiter, Settings as TableSettings, Slot, Table};
use secondo_lifecycle::{Accept, Activity, AttemptId, Machine, Now, Question, Step, Target, Validity};
use secondo_transfer::Kind;
use secondo_tsig::KeyRing;
use secondo_wire::{Reason, Serial};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::book::Reach;
use super::trouble::{Behind, Trouble, Try};
use crate::config::{Config, ServerConfig, ZoneConfig};
use crate::control::{Health, LastError, NewerVersion, ZoneOutcome, ZoneStatus};
use crate::downstream::Herald;

/// A zone. There may be a million: what most of them do not have most of the time stands in a box.
pub(super) struct Zone {
    pub(super) config: ZoneConfig,
    pub(super) slot: Arc<Slot>,
    pub(super) machine: Machine,
    /// What the machine wants and admission has not let go yet, or what runs.
    pub(super) errand: Option<Box<Errand>>,
    /// Of the confirmation that went to disk with the version published last: its serial, and after how many seconds
    /// the version expires.
    pub(super) committed: Option<(Serial, u64)>,
    pub(super) facts: Facts,
    pub(super) waiters: Vec<Waiter>,
    /// NOTIFYs on their way downstream.
    pub(super) heralds: Vec<Herald>,
}

/// An attempt of the machine.
pub(super) struct Errand {
    pub(super) attempt: AttemptId,
    pub(super) target: Target,
    pub(super) reach: Reach,
    /// `None`: the SOA.
    pub(super) transfer: Option<(Question, Accept)>,
    /// The job, once it runs.
    pub(super) job: Option<AbortHandle>,
    /// Told to the job: from then on it commits nothing.
    pub(super) cancelled: Arc<AtomicBool>,
}

/// For `status`.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) primary: Option<Target>,
    pub(super) source: Option<Source>,
    pub(super) volatile: bool,
    /// Since which second of the boot clock the version is here; without one, since when the zone is configured.
    pub(super) since: u32,
    /// What is wrong, if anything is.
    pub(super) trouble: Option<Box<Trouble>>,
    /// Until then it is not said at level info again that a NOTIFY was ignored.
    pub(super) quiet_until: Duration,
}

/// Where the version served comes from.
#[derive(Clone, Copy)]
pub(super) enum Source {
    Disk,
    Transfer(Kind),
}

/// Someone waits for the outcome of a round.
pub(super) struct Waiter {
    pub(super) tell: oneshot::Sender<ZoneOutcome>,
    /// A round was running already: its outcome is not the one waited for.
    pub(super) skip: bool,
}

impl Errand {
    /// An attempt that waits to be admitted.
    pub(super) fn new(
        attempt: AttemptId,
        target: Target,
        reach: Reach,
        transfer: Option<(Question, Accept)>,
    ) -> Errand {
        Errand { attempt, target, reach, transfer, job: None, cancelled: Arc::default() }
    }

    /// What it is about.
    pub(super) fn step(&self) -> Step {
        match self.transfer {
            None => Step::Probe,
            Some((Question::Axfr, _)) => Step::Axfr,
            Some((Question::Ixfr { .. }, _)) => Step::Ixfr,
        }
    }

    /// Ends its job; whether there was one.
    pub(super) fn abort(&self) -> bool {
        self.cancelled.store(true, Ordering::Release);
        self.job.as_ref().map(AbortHandle::abort).is_some()
    }
}

impl Zone {
    /// The turn of a target among all that may be asked; one that is none of them comes last.
    fn turn_of(settings: &secondo_lifecycle::Settings, wanted: Target) -> usize {
        let mut all = settings.primaries().iter().flat_map(|primary| {
            primary.addresses.iter().map(|address| Target { primary: primary.id, address: *address })
        });
        all.position(|target| target == wanted).unwrap_or(usize::MAX)
    }

    /// A primary is in order: what was wrong with it, and with those that are asked only after it, is forgotten. A SOA alone
    /// tells nothing of `transfers`.
    pub(super) fn in_order(&mut self, target: Target, transfers: bool) {
        let settings = Arc::clone(self.machine.settings());
        let settled = Zone::turn_of(&settings, target);
        if let Some(trouble) = &mut self.facts.trouble {
            trouble.settle(transfers, |target| Zone::turn_of(&settings, target) >= settled);
        }
        self.facts.trouble.take_if(|trouble| trouble.is_over());
    }

    /// A primary vouches for the serial, which is served. What one told that comes before it is news still: however often
    /// another confirms an old version, the newer one has not come.
    pub(super) fn vouched(&mut self, target: Target, serial: Serial) {
        let settings = Arc::clone(self.machine.settings());
        let goes_on = |behind: Behind| {
            behind.serial.newer_than(serial)
                && Zone::turn_of(&settings, behind.target) < Zone::turn_of(&settings, target)
        };
        if !self.behind().is_some_and(goes_on) {
            self.caught_up();
        }
    }

    fn caught_up(&mut self) {
        if let Some(trouble) = &mut self.facts.trouble {
            trouble.caught_up();
        }
        self.facts.trouble.take_if(|trouble| trouble.is_over());
    }

    /// Primaries changed: what was heard from those that are none of its any more is no news, even where another is at their
    /// address now.
    pub(super) fn forget_all_but(&mut self, settings: &secondo_lifecycle::Settings) {
        let is_gone = |target: Target| Zone::turn_of(settings, target) == usize::MAX;
        self.facts.primary.take_if(|target| is_gone(*target));
        if let Some(trouble) = &mut self.facts.trouble {
            trouble.settle(true, is_gone);
            trouble.forget(is_gone);
        }
        self.facts.trouble.take_if(|trouble| trouble.is_over());
    }

    /// Where it is noted what is wrong.
    pub(super) fn trouble(&mut self) -> &mut Trouble {
        self.facts.trouble.get_or_insert_default()
    }

    /// A round is over: the next failure begins another.
    pub(super) fn end_round(&mut self) {
        if let Some(trouble) = &mut self.facts.trouble {
            trouble.end_round();
        }
    }

    /// What the disk said of the version served, when it refused it.
    pub(super) fn note_disk(&mut self, refused: Option<String>) {
        if refused.is_some() || self.facts.trouble.is_some() {
            self.trouble().note_disk(refused);
            self.facts.trouble.take_if(|trouble| trouble.is_over());
        }
    }

    /// Differences were had from a primary.
    pub(super) fn ixfr_works(&mut self) {
        if let Some(trouble) = &mut self.facts.trouble {
            trouble.ixfr_works();
        }
        self.facts.trouble.take_if(|trouble| trouble.is_over());
    }

    /// What failed last, unless something worked since.
    pub(super) fn last_try(&self) -> Option<&Try> {
        self.facts.trouble.as_ref().and_then(|trouble| trouble.last())
    }

    /// Whether it has more than one address to ask.
    pub(super) fn has_other_addresses(&self) -> bool {
        self.machine.settings().primaries().iter().map(|primary| primary.addresses.len()).sum::<usize>() > 1
    }

    /// The primary heard from last has that serial.
    pub(super) fn told_of(&mut self, serial: Serial, now: Duration) {
        let Some(target) = self.facts.primary else { return };
        if self.machine.serial().is_some_and(|ours| serial.newer_than(ours)) {
            self.trouble().fell_behind(target, serial, now);
        } else if self.behind().is_some_and(|behind| behind.target == target) {
            self.caught_up();
        }
    }

    /// The version that it should have, and has not.
    pub(super) fn behind(&self) -> Option<Behind> {
        self.facts.trouble.as_ref().and_then(|trouble| trouble.behind())
    }

    /// How long until it acts again by itself; `None` while it acts.
    pub(super) fn next_in(&self, now: Now) -> Option<Duration> {
        let until = match self.machine.activity() {
            Activity::Waiting { until, .. } => *until,
            Activity::Suspended(suspended) => suspended.until,
            Activity::Probing(_) | Activity::Transferring(_) => return None,
        };
        // When it expires, it acts, too.
        let until = match self.machine.validity() {
            Validity::Current { until: expiry, .. } => until.min(expiry),
            Validity::Empty | Validity::Expired { .. } => until,
        };
        Some(until.saturating_sub(now.boot))
    }

    /// What it does now, for people.
    pub(super) fn doing(&self) -> &'static str {
        match self.machine.activity() {
            Activity::Waiting { .. } | Activity::Suspended(_) => "its primaries are asked again later",
            Activity::Probing(_) | Activity::Transferring(_) => "its primaries are being asked",
        }
    }

    /// What carries transfers from a primary of its.
    pub(super) fn transport_towards(&self, target: Target) -> Option<&'static str> {
        let place = self.machine.settings().primaries().iter().position(|p| p.id == target.primary)?;
        Some(self.config.settings.primaries.get(place)?.transport())
    }

    /// How long ago a primary vouched for it, as far as that is known.
    pub(super) fn confirmed_ago(&self, now: Now) -> Option<Duration> {
        match self.machine.validity() {
            Validity::Empty => None,
            Validity::Current { until, life } => Some(life.saturating_sub(until.saturating_sub(now.boot))),
            Validity::Expired { since, age } => Some(age?.saturating_add(now.boot.saturating_sub(since))),
        }
    }

    /// Its row of the zone table.
    pub(super) fn entry(&self) -> Entry {
        let settings = &self.config.settings;
        Entry {
            apex: self.config.name.clone(),
            query: Arc::clone(&settings.allow_query),
            notify: Arc::clone(&settings.allow_notify),
            transfer: Arc::clone(&settings.allow_transfer),
            slot: Arc::clone(&self.slot),
        }
    }

    /// Tells all who wait for the outcome of a round.
    pub(super) fn tell_waiters(&mut self, outcome: &str, serial: Option<Serial>, reason: Option<Reason>) {
        for mut waiter in std::mem::take(&mut self.waiters) {
            if std::mem::take(&mut waiter.skip) {
                self.waiters.push(waiter);
                continue;
            }
            // One that went away needs no answer.
            let _ = waiter.tell.send(ZoneOutcome {
                zone: self.config.name.to_string(),
                outcome: outcome.into(),
                serial: serial.map(|serial| serial.0),
                reason: reason.map(|reason| reason.to_string()),
            });
        }
    }

    /// Nothing more will come.
    pub(super) fn dismiss_waiters(&mut self) {
        self.waiters.iter_mut().for_each(|waiter| waiter.skip = false);
        self.tell_waiters("failed", None, Some(Reason::Cancelled));
    }

    /// Its state.
    pub(super) fn status(&self, clocks: Now) -> ZoneStatus {
        let now = clocks.boot;
        let (state, expires_in) = match self.machine.validity() {
            Validity::Empty => (Health::NeverLoaded, None),
            Validity::Current { until, .. } if until > now => (Health::Current, Some(until - now)),
            Validity::Current { .. } | Validity::Expired { .. } => (Health::Expired, None),
        };
        let activity = match self.machine.activity() {
            Activity::Waiting { .. } => "waiting",
            Activity::Suspended(_) => "queued",
            _ if self.errand.as_ref().is_some_and(|errand| errand.job.is_none()) => "queued",
            Activity::Probing(_) => "probing",
            Activity::Transferring(_) => "transferring",
        };
        let seconds = |time: Duration| (time.as_secs_f64() * 1000.0).round() / 1000.0;
        let published = self.slot.published();
        ZoneStatus {
            zone: self.config.name.to_string(),
            state,
            activity: activity.into(),
            serial: self.machine.serial().map(|serial| serial.0),
            confirmed_ago: self.confirmed_ago(clocks).map(seconds),
            next_in: self.next_in(clocks).map(seconds),
            expires_in: expires_in.map(seconds),
            primary: self.facts.primary.map(|target| target.address.to_string()),
            transport: self.facts.primary.and_then(|at| self.transport_towards(at)).map(Into::into),
            source: self.facts.source.map(|source| match source {
                Source::Disk => "disk".into(),
                Source::Transfer(kind) => kind.to_string(),
            }),
            durable: !self.facts.volatile,
            unanswered: self.heralds.iter().filter_map(|herald| herald.unanswered(now)).collect(),
            problems: self.problems(now),
            newer: self.behind().map(|behind| NewerVersion {
                serial: behind.serial.0,
                ago: seconds(now.saturating_sub(behind.since)),
            }),
            records: published.map(|zone| zone.counts().records),
            last_error: self.last_try().map(|failed| LastError {
                reason: failed.reason.to_string(),
                help: failed.reason.help().into(),
                detail: (!failed.detail.is_empty()).then(|| failed.detail.clone()),
                ago: seconds(now.saturating_sub(failed.at)),
            }),
        }
    }
}

/// What keys the hashes of one run of the daemon: nobody outside may know it.
#[derive(Clone)]
pub(crate) struct Secrets {
    zones: [u8; 16],
    cookies: [u8; 16],
    limiter: [u8; 16],
}

impl Secrets {
    /// New ones.
    pub(crate) fn random() -> Secrets {
        Secrets { zones: rand::random(), cookies: rand::random(), limiter: rand::random() }
    }
}

/// The zone table of these entries. Where answers are limited as they were by `former`, they go on being counted.
pub(crate) fn table(
    entries: impl IntoIterator<Item = Entry>,
    config: &Config,
    secrets: &Secrets,
    former: Option<&Arc<Limiter>>,
) -> Table {
    let Config { server: ServerConfig { limits, .. }, answers, keys, .. } = config;
    let settings = TableSettings { udp_payload: limits.udp_payload, hash_secret: secrets.zones };
    let keys = KeyRing::new(keys.values().cloned());
    let table = Table::new(entries, keys, &settings).expect("a configuration has no two zones of one name");
    let cookies = answers.cookies.clone().unwrap_or_else(|| Cookies::new(secrets.cookies, []));
    let table = table
        .with_nsec3_iterations(limits.nsec3_iterations)
        .with_identity(answers.identity.clone())
        .with_cookies(cookies)
        .with_tcp_idle(limits.tcp_idle);
    let Some(limit) = &answers.rate_limit else { return table };
    let same = former.filter(|former| former.settings() == limit).cloned();
    let limiter = same.unwrap_or_else(|| Arc::new(Limiter::new(limit.clone(), &secrets.limiter)));
    table.with_limiter(limiter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn answers_go_on_being_counted_while_their_limit_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.yaml");
        let secrets = Secrets::random();
        let limiter = |limit: &str, former: Option<&Arc<Limiter>>| {
            std::fs::write(&path, format!("listen: [\"127.0.0.1:53\"]\nrate-limit: {limit}\n")).unwrap();
            table([], &config::load(&path).unwrap(), &secrets, former).limiter().cloned()
        };
        let first = limiter("{ responses-per-second: 5 }", None).unwrap();
        let same = limiter("{ responses-per-second: 5, slip: 2 }", Some(&first)).unwrap();
        assert!(Arc::ptr_eq(&first, &same));
        let other = limiter("{ responses-per-second: 6 }", Some(&first)).unwrap();
        assert!(!Arc::ptr_eq(&first, &other));
        assert!(limiter("{ responses-per-second: 0 }", Some(&first)).is_none());
    }
}
