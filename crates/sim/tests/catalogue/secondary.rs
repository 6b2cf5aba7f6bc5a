//! A secondary in virtual time: the machine of one zone, the health of its primaries, the version that it serves and the
//! store that keeps it; and the primaries that it asks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secondo_answer::{
    self as answer, AccessList, Client, Clock, IpPrefix, Rule, Scratch, Slot, Table, Transport, respond,
};
use secondo_lifecycle::{
    Action, AttemptId, BootId, Bounds, Confirmation, Event, Failure, Health, Kind as Form, Machine, Now,
    Outcome, Permit, Primary, PrimaryId, ProbeAnswer, Settings, Transferred, Turn, Validity,
};
use secondo_sim::catalogue::{Begin, Entry, Second, Timers, words};
use secondo_sim::{Key, Name, Tidings, World, Zone};
use secondo_transfer::{Fault, Found};
use secondo_tsig::KeyRing;
use secondo_wire::{Class, Header, Reason, Serial, flags};

use crate::line::{Fetched, Habit, Line};
use crate::state::Running;

pub(crate) const TIMERS: Timers = Timers { refresh: 3600, retry: 600, expire: 86_400 };
pub(crate) const RETRY: (u64, u64) = (10, 3600);
/// Longer than any attempt may take: each key with EDNS and without, over UDP and TCP.
const ATTEMPT: Duration = Duration::from_secs(120);
const REFRESH: (u64, u64) = (60, 86_400);
const EXPIRE: (u64, u64) = (3600, 604_800);

enum Brought {
    Probed(Result<Found, Fault>),
    Fetched(Result<Fetched, Fault>),
}

struct Flight {
    attempt: AttemptId,
    address: SocketAddr,
    sent: Duration,
    ends: Duration,
    result: Brought,
}

pub(crate) struct Secondary<'a> {
    entry: &'a Entry,
    pub(crate) apex: Name,
    keys: Vec<Key>,
    pub(crate) worlds: [World; 2],
    store: &'a Running,
    settings: Arc<Settings>,
    pub(crate) machine: Machine,
    health: Health<SocketAddr>,
    habits: [Habit; 2],
    pub(crate) now: Now,
    flight: Option<Flight>,
    pub(crate) zone: Option<Zone>,
    /// Digests that may be served.
    allowed: Vec<[u8; 32]>,
    /// Why attempts failed.
    pub(crate) reasons: Vec<Reason>,
    /// What the primaries were asked.
    pub(crate) asked: Vec<String>,
    /// Who may send NOTIFY.
    door: Table,
    /// With which codes they were answered.
    pub(crate) told: Vec<Option<u16>>,
    /// How many versions were served.
    pub(crate) versions: u64,
}

/// The zone table of one zone, with the access list of NOTIFY that is the default: the primaries' addresses.
fn door(apex: &Name, keys: &[Key]) -> Table {
    let rule = Rule { prefix: Some(IpPrefix::single(address(0).ip())), key: None, tls: false };
    let entry = answer::Entry {
        apex: apex.clone(),
        query: Arc::new(AccessList::nobody()),
        notify: Arc::new(AccessList::new([rule])),
        transfer: Arc::new(AccessList::nobody()),
        slot: Arc::new(Slot::new()),
    };
    let settings = answer::Settings { udp_payload: 1232, hash_secret: [7; 16] };
    Table::new([entry], KeyRing::new(keys.iter().cloned()), &settings).unwrap()
}

fn address(number: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5301 + number as u16))
}

impl<'a> Secondary<'a> {
    pub(crate) fn new(entry: &'a Entry, apex: &Name, store: &'a Running, seed: u64) -> Secondary<'a> {
        let scene = &entry.scene;
        let bounds = |(min, max)| Bounds::new(Duration::from_secs(min), Duration::from_secs(max)).unwrap();
        let primary = |id, addresses| Primary { id: PrimaryId(id), addresses, ixfr: scene.ixfr };
        let primaries = match scene.second {
            Second::Absent => vec![primary(1, vec![address(0)])],
            Second::Address => vec![primary(1, vec![address(0), address(1)])],
            _ => vec![primary(1, vec![address(0)]), primary(2, vec![address(1)])],
        };
        let settings =
            Arc::new(Settings::new(bounds(REFRESH), bounds(RETRY), bounds(EXPIRE), primaries).unwrap());
        let now = Now { boot: Duration::from_secs(1000), boot_id: BootId([0; 16]), wall: 1_800_000_000 };
        let world = || scene.world(apex, TIMERS);
        let mut secondary = Secondary {
            entry,
            apex: apex.clone(),
            keys: scene.keys(),
            worlds: [world(), world()],
            store,
            machine: Machine::new(settings.clone(), None, now, seed),
            settings,
            health: Health::new(),
            habits: [Habit::default(); 2],
            now,
            flight: None,
            zone: None,
            allowed: Vec::new(),
            reasons: Vec::new(),
            asked: Vec::new(),
            door: door(apex, &scene.keys()),
            told: Vec::new(),
            versions: 0,
        };
        secondary.allow();
        secondary.pass(Duration::from_secs(60));
        assert!(secondary.zone.is_some(), "{}: the first version does not come", entry.name);
        secondary
    }

    /// Notes what the primaries have now as good.
    pub(crate) fn allow(&mut self) {
        for world in &self.worlds {
            let digest = world.zone(&self.apex).unwrap().digest();
            if !self.allowed.contains(&digest) {
                self.allowed.push(digest);
            }
        }
    }

    /// The primaries misbehave, and an operator orders a refresh.
    pub(crate) fn mislead(&mut self) {
        self.entry.mislead(&mut self.worlds[0], &self.apex);
        self.entry.mislead_second(&mut self.worlds[1], &self.apex);
        self.allow();
        self.reasons.clear();
        self.asked.clear();
        match self.entry.scene.begins {
            Begin::Ordered => {
                // An operator who asks has everything tried the ordinary way again.
                self.habits = Default::default();
                self.tell(Event::Refresh);
            }
            Begin::Told { tidings, times } => {
                for id in 1..=times {
                    let rcode = self.notify(tidings, id);
                    self.told.push(rcode);
                }
            }
        }
    }

    /// A NOTIFY arrives, is answered and acted on as the daemon does that; with which code it is answered.
    pub(crate) fn notify(&mut self, tidings: Tidings, id: u16) -> Option<u16> {
        let zone = self.worlds[0].zone(&self.apex).unwrap();
        let message = tidings.message(zone, self.keys.last(), id, self.now.wall);
        let stranger = SocketAddr::from(([203, 0, 113, 9], 1024));
        let addr = if tidings == Tidings::Stranger { stranger } else { address(0) };
        let clock = Clock { boot_ms: 0, unix: self.now.wall };
        let client = Client { addr, transport: Transport::Udp };
        let (mut scratch, mut out) = (Scratch::new(), Vec::new());
        let outcome = respond(&message, client, &self.door, clock, &mut scratch, &mut out);
        if let answer::Outcome::Notify { hint, .. } = outcome {
            self.health.notified(addr, self.now.boot);
            self.tell(Event::Notify { from: addr.ip(), hint });
        }
        let header = Header::read(&out)?;
        assert_eq!((header.id, header.has(flags::QR)), (id, true));
        Some(header.rcode().0)
    }

    pub(crate) fn relent(&mut self) {
        self.entry.relent(&mut self.worlds[0]);
    }

    pub(crate) fn newest(&self) -> Serial {
        self.worlds[0].zone(&self.apex).unwrap().serial()
    }

    pub(crate) fn serves(&self, serial: Serial) -> bool {
        matches!(self.machine.validity(), Validity::Current { .. })
            && self.zone.as_ref().is_some_and(|zone| zone.serial() == serial)
    }

    /// Runs until `done`, at most so long; how long it took.
    pub(crate) fn until(&mut self, most: Duration, done: impl Fn(&Self) -> bool) -> Option<Duration> {
        let began = self.now.boot;
        while !done(self) {
            if !self.step(began + most) {
                return None;
            }
        }
        Some(self.now.boot - began)
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now.boot + time;
        while self.step(end) {}
        self.set(end);
    }

    /// The next thing that happens; false when there is none before `end`.
    fn step(&mut self, end: Duration) -> bool {
        let answer = self.flight.as_ref().map_or(Duration::MAX, |flight| flight.ends);
        let next = self.machine.next_deadline().min(answer);
        if next > end {
            return false;
        }
        self.set(next.max(self.now.boot));
        if answer <= self.now.boot {
            self.land();
        } else {
            self.tell(Event::Timeout);
        }
        true
    }

    fn set(&mut self, boot: Duration) {
        self.now.wall += boot.as_secs() - self.now.boot.as_secs();
        self.now.boot = boot;
    }

    pub(crate) fn tell(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            self.machine.handle(event, self.now);
            while let Some(action) = self.machine.poll_action() {
                events.extend(self.act(action));
            }
        }
        if let (Validity::Current { .. }, Some(zone)) = (self.machine.validity(), &self.zone) {
            assert!(
                self.allowed.contains(&zone.digest()),
                "{}: serial {} is nobody's",
                self.entry.name,
                zone.serial()
            );
        }
        let deadline = self.machine.next_deadline();
        let longest = Duration::from_secs(TIMERS.refresh.into()).max(Settings::PATIENCE);
        assert!(deadline <= self.now.boot + longest, "{}: no deadline before {deadline:?}", self.entry.name);
    }

    fn act(&mut self, action: Action) -> Option<Event> {
        let (attempt, target, transfer) = match action {
            Action::Probe { attempt, target, .. } => (attempt, target, None),
            Action::Transfer { attempt, target, question, accept, .. } => {
                (attempt, target, Some((question, accept)))
            }
            Action::Cancel { .. } => panic!("{}: nothing here is cancelled", self.entry.name),
            Action::Report(Outcome::AttemptFailed { reason, .. }) => {
                self.reasons.push(reason);
                return None;
            }
            _ => return None,
        };
        assert!(self.flight.is_none(), "{}: two attempts at once", self.entry.name);
        let address = target.address;
        if let Permit::Down { again } = self.health.ask(address, self.now.boot, self.machine.hold_down()) {
            let failure = Failure::from(Reason::PrimaryDown).until(again);
            return Some(match transfer {
                None => Event::Probed { attempt, result: Err(failure) },
                Some(_) => Event::Transferred { attempt, result: Err(failure) },
            });
        }
        let number = usize::from(address == self::address(1));
        let world = &mut self.worlds[number];
        let unix = self.now.wall;
        let habit = &mut self.habits[number];
        let mut line =
            Line { world, apex: &self.apex, keys: &self.keys, unix, elapsed: Duration::ZERO, habit };
        let result = match transfer {
            None => Brought::Probed(line.probe()),
            Some((question, accept)) => Brought::Fetched(line.transfer(question, accept, self.zone.as_ref())),
        };
        // A way there and back.
        let took = line.elapsed + Duration::from_millis(20);
        assert!(took < ATTEMPT, "{}: an attempt of {took:?}", self.entry.name);
        self.asked.extend(words(&world.asked(), &self.entry.scene, number + 1));
        world.clear_asked();
        let sent = self.now.boot;
        self.flight = Some(Flight { attempt, address, sent, ends: sent + took, result });
        Some(Event::Sent { attempt })
    }

    /// An answer arrives.
    fn land(&mut self) {
        let Flight { attempt, address, sent, result, .. } = self.flight.take().unwrap();
        let fault = match &result {
            Brought::Probed(result) => result.as_ref().err(),
            Brought::Fetched(result) => result.as_ref().err(),
        };
        let silent = fault.is_some_and(|fault| fault.reason.is_silence());
        let turn = match silent {
            true => self.health.failed(address, self.now.boot, self.machine.hold_down()),
            false => self.health.answered(address, self.now.boot),
        };
        let again = self.health.down_until(address);
        let failed = |fault: Fault| Failure { again, ..Failure::from(fault.reason) };
        let event = match result {
            Brought::Probed(result) => {
                let result = result.map(|found| ProbeAnswer { soa: found.soa, expire: found.expire });
                Event::Probed { attempt, result: result.map_err(failed) }
            }
            Brought::Fetched(result) => {
                let result = result.map(|fetched| self.publish(fetched, sent)).map_err(failed);
                Event::Transferred { attempt, result }
            }
        };
        self.tell(event);
        if let Some(Turn::Up { .. }) = turn {
            self.tell(Event::PrimaryUp(address));
        }
    }

    fn publish(&mut self, fetched: Fetched, sent: Duration) -> Transferred {
        let checked = match fetched {
            Fetched::UpToDate { expire, authoritative } => {
                return Transferred::UpToDate { expire, authoritative };
            }
            Fetched::Version(checked) => checked,
        };
        let (soa, expire) = (checked.zone().soa().clone(), checked.expire());
        let kind = if checked.kind() == secondo_transfer::Kind::Ixfr { Form::Ixfr } else { Form::Axfr };
        let way = self.now.boot - sent;
        let confirmed = Confirmation::of_transfer(&soa, expire, way, &self.settings, self.now);
        let record = secondo_store::Confirmation {
            serial: confirmed.serial,
            wall: confirmed.wall,
            boot_ms: confirmed.boot.as_millis() as u64,
            boot_id: confirmed.boot_id.0,
            expire_in: confirmed.expire_in,
        };
        if let (Validity::Current { .. }, Some(old)) = (self.machine.validity(), &self.zone) {
            let (old, new) = (old.serial(), soa.serial);
            assert!(new.newer_than(old), "{}: from serial {old} to {new}", self.entry.name);
        }
        self.versions += 1;
        let committed = self.store.commit(*checked, record, 2);
        self.zone = Some(committed.zone().clone());
        Transferred::Published { soa, expire, kind }
    }
}

/// Whether a failure of this class lets a primary be asked again soon however often it fails.
pub(crate) fn is_network(reason: Reason) -> bool {
    reason.class() == Class::Network
}
