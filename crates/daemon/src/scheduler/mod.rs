//! # scheduler: the circle of control
//!
//! **Job**: one loop that drives every zone's machine: takes what happened, does what the machine says, waits for the
//! next deadline.
//! **In**: [`Message`]s (verdicts of jobs, commits, requests of the control socket), NOTIFYs off the board, the clock.
//! **Out**: jobs, commits, publications, log events, answers to the control socket.
//! **Never**: waits for a socket or the disk; decides policy (the lifecycle does).
//! **Source**: ARCHITECTURE.md, "The lifecycle".

mod actions;
mod asks;
mod book;
mod certificates;
mod contacts;
mod disk;
mod explain;
mod fetch;
mod jobs;
mod kept;
#[cfg(test)]
mod news;
mod problems;
mod reload;
mod say;
mod server;
#[cfg(test)]
mod storm;
mod survey;
mod trouble;
mod zones;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secondo_lifecycle::{Admission, AdmissionLimits, Health, Now, Ticket, Wheel, ZoneId};
use secondo_store::{Recovered, Store};
use secondo_transfer::{Fault, Found};
use secondo_wire::Name;
use secondo_zone::BorderSecret;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;

use crate::clock::{self, Clock};
use crate::config::Config;
use crate::control::{Ask, Response};
use crate::descriptors::Descriptors;
use crate::downstream::Heralds;
use crate::primary::{Habits, Lines};
use crate::publish::Publisher;
use crate::respond::Respond;

use book::{PrimaryBook, Reach};
use certificates::Watch;
use contacts::Contacts;
use disk::Disk;
use fetch::Arrival;
use kept::Readers;
use survey::Page;
use zones::Zone;

pub(crate) use reload::Prepared;
pub(crate) use zones::{Secrets, table};

/// The longest wait between two looks at the boot clock: the waiting itself stands still in suspend.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Deadlines handled between two messages.
const AT_ONCE: usize = 256;
/// How often retired zones are looked through.
const PURGE_EVERY: Duration = Duration::from_secs(3600);

/// Something that the scheduler is told.
#[derive(Debug)]
pub(crate) enum Message {
    /// A probe ended.
    Probed(Ticket, Result<Found, Fault>),
    /// A transfer ended without a version to publish.
    Fetched(Ticket, Result<UpToDate, Fault>),
    /// A version went through the store.
    Committed(Box<Arrival>),
    /// The disk said whether it took a confirmation.
    Confirmed(ZoneId, Result<(), String>),
    /// A volatile version is durable now.
    Recovered(Recovered),
    /// A request of the control socket.
    Ask(Ask),
    /// Read the configuration again (SIGHUP).
    Reload,
    /// A configuration was read and is to be applied, or is not in order and the running one stays; someone may wait
    /// for the outcome.
    Prepared(Result<Box<Prepared>, String>, Option<oneshot::Sender<Response>>),
    /// A page of the states of many zones is wanted.
    Page(Page),
    /// Log the state of every zone (SIGUSR1).
    Dump,
    /// End (SIGTERM, SIGINT).
    Stop,
}

/// The primary has what we have.
#[derive(Debug)]
pub(crate) struct UpToDate {
    /// Its EDNS EXPIRE, seconds.
    pub expire: Option<u32>,
    /// Whether it set AA.
    pub authoritative: bool,
}

/// What the scheduler is built from.
pub(crate) struct Parts {
    /// Where the configuration was read from.
    pub path: PathBuf,
    /// It.
    pub config: Config,
    /// What the listeners share.
    pub respond: Arc<Respond>,
    /// The disk.
    pub store: Arc<Store>,
    /// Of page borders.
    pub secret: BorderSecret,
    /// Of the zone table.
    pub secrets: Secrets,
    /// The clocks.
    pub clock: Clock,
    /// Publishes versions.
    pub publisher: Publisher,
    /// The other end of the inbox.
    pub sender: UnboundedSender<Message>,
}

/// The loop's state.
pub(crate) struct Scheduler {
    parts: Parts,
    /// Boxed: nodes of the map are half empty.
    zones: BTreeMap<ZoneId, Box<Zone>>,
    names: HashMap<Name, ZoneId>,
    next_zone: u32,
    book: PrimaryBook,
    wheel: Wheel,
    admission: Admission,
    health: Health<Reach>,
    contacts: Contacts,
    habits: Arc<Habits>,
    heralds: Heralds,
    readers: Readers,
    /// Connections to primaries.
    lines: Lines,
    next_purge: Duration,
    /// What was last said of our certificates.
    certificates: Watch,
    disk: Disk,
    /// What the configuration in force needs.
    descriptors: Descriptors,
    /// A configuration is being read.
    reloading: bool,
    /// It may have changed since that began: SIGHUP came meanwhile.
    reload_again: bool,
    stopping: bool,
}

impl Scheduler {
    /// A scheduler without zones.
    pub(crate) fn new(parts: Parts) -> Scheduler {
        let limits = &parts.config.server.limits;
        let admission = Admission::new(AdmissionLimits {
            transfers: limits.transfers,
            transfers_per_primary: limits.transfers_per_primary,
            probes_per_primary: limits.probes_per_primary,
            ..AdmissionLimits::default()
        });
        Scheduler {
            zones: BTreeMap::new(),
            names: HashMap::new(),
            next_zone: 0,
            book: PrimaryBook::default(),
            wheel: Wheel::new(),
            admission,
            health: Health::new(),
            habits: Arc::default(),
            contacts: Contacts::default(),
            heralds: Heralds::default(),
            readers: Readers::new(),
            lines: Lines::default(),
            next_purge: Duration::ZERO,
            certificates: Watch::default(),
            disk: Disk::default(),
            descriptors: Descriptors::default(),
            reloading: false,
            reload_again: false,
            stopping: false,
            parts,
        }
    }

    /// Runs until told to stop.
    pub(crate) async fn run(mut self, mut inbox: UnboundedReceiver<Message>) {
        let respond = Arc::clone(&self.parts.respond);
        while !self.stopping {
            let wait = self.turn_wheel();
            // Whatever is there has the same chance: however many jobs end, NOTIFYs do not wait for the last of them.
            tokio::select! {
                message = inbox.recv() => match message {
                    Some(message) => self.take(message),
                    None => return,
                },
                () = respond.notices.rung() => self.take_notices(),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Handles deadlines that have come, not so many that messages would wait; how long until the next.
    fn turn_wheel(&mut self) -> Duration {
        let now = self.now();
        for _ in 0..AT_ONCE {
            let Some(id) = self.wheel.pop_due(now.boot) else { break };
            self.tell(id, secondo_lifecycle::Event::Timeout, now);
        }
        if now.boot >= self.next_purge {
            self.next_purge = now.boot.saturating_add(PURGE_EVERY);
            self.parts.store.purge(now.wall);
        }
        self.certificates.look(&self.parts.config.certificates, now);
        self.parts.respond.look(clock::boot_ms());
        self.say_who_waits(now);
        let next = self.wheel.next().map_or(LONGEST_WAIT, |at| at.saturating_sub(clock::boot()));
        next.min(LONGEST_WAIT)
    }

    fn take(&mut self, message: Message) {
        let now = self.now();
        match message {
            Message::Probed(ticket, result) => self.probed(ticket, result, now),
            Message::Fetched(ticket, result) => self.fetched(ticket, result, now),
            Message::Committed(arrival) => self.committed(*arrival, now),
            Message::Confirmed(id, result) => self.confirmed(id, result, now.boot),
            Message::Recovered(recovered) => self.recovered(&recovered, now.boot),
            Message::Ask(ask) => self.asked(ask, now),
            Message::Reload if self.reloading => self.reload_again = true,
            Message::Reload => self.reload(None, false),
            Message::Prepared(prepared, answer) => self.prepared(prepared, answer, now),
            Message::Page(page) => self.page(page, now),
            Message::Dump => self.dump(),
            Message::Stop => self.stopping = true,
        }
    }

    fn take_notices(&mut self) {
        let now = self.now();
        for notice in self.parts.respond.notices.take() {
            let Some(&id) = self.names.get(&notice.apex) else { continue };
            if let Some(zone) = self.zones.get(&id) {
                let reaches = self.book.reaches(zone.machine.settings());
                let callers: Vec<Reach> = reaches.filter(|reach| is_at(*reach, notice.from)).collect();
                for reach in callers {
                    self.health.notified(reach, now.boot);
                    self.show_life(reach.address);
                }
            }
            let event = secondo_lifecycle::Event::Notify { from: notice.from, hint: notice.hint };
            self.tell_sealed(id, event, notice.key.as_ref(), now);
        }
    }

    /// Tells admission, which counts by address, whether one lives: it does if it lives for any of the ways there.
    fn show_life(&mut self, address: SocketAddr) {
        let alive = self.book.ways_to(address).any(|reach| self.health.is_alive(reach));
        self.admission.set_alive(address, alive);
    }

    /// The configuration in force.
    pub(crate) fn config(&self) -> &Config {
        &self.parts.config
    }

    fn now(&self) -> Now {
        self.parts.clock.now()
    }
}

/// Whether a primary is on that host. IPv4-mapped IPv6 counts as IPv4.
fn is_at(reach: Reach, host: IpAddr) -> bool {
    reach.address.ip().to_canonical() == host.to_canonical()
}
