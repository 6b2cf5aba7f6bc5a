//! One zone, one machine, two primaries, two clocks; and the oracle: what honest answers alone allow.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secondo_lifecycle::{
    Accept, Action, AttemptId, BootId, Bounds, Confirmation, Event, Failure, Kind as Form, Machine, Now,
    Primary, PrimaryId, ProbeAnswer, Question, Restored, Settings, Transferred, Validity,
};
use secondo_sim::{Algorithm, Change, Fault, Key, Kind, Name, Script, World, Zone, read_zone};
use secondo_wire::{Reason, Serial};

use crate::chance::Chance;
use crate::secondary::{Asker, Fetched};

const PRIMARIES: usize = 2;
const REFRESH: (u64, u64) = (60, 3600);
const RETRY: (u64, u64) = (10, 600);
const EXPIRE: (u64, u64) = (3600, 86_400);

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// How a primary behaves until it behaves otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    Honest,
    Dead,
    /// It has another secret.
    WrongKey,
    /// It lies in all answers of a kind, or in the next few.
    Lies(Kind, Fault, Option<u32>),
    /// Honest about how long its own copy lives (RFC 7314).
    Expiring(u32),
}

impl Manner {
    pub(crate) fn any(chance: &mut Chance) -> Manner {
        const PROBE: &[Fault] = &[
            Fault::Silence,
            Fault::CloseAfter(9),
            Fault::Rcode(5),
            Fault::Rcode(2),
            Fault::Truncate,
            Fault::WrongId,
            Fault::WrongQuestion,
            Fault::ForeignSoa,
            Fault::BadClass,
            Fault::Trailing,
            Fault::CutMessage,
            Fault::CountTooHigh,
            Fault::PointerLoop,
            Fault::Garbage,
            Fault::BadSignature,
            Fault::Unsigned,
            Fault::Clock(90_000),
        ];
        const TRANSFER: &[Fault] = &[
            Fault::InnerSoa,
            Fault::WrongSoa,
            Fault::NoClosingSoa,
            Fault::MetaType,
            Fault::BadRdata,
            Fault::AbsentDelete,
            Fault::BrokenChain,
            Fault::Empty,
            Fault::UnsignedEnd,
            Fault::Rcode(4),
            Fault::Rcode(1),
            Fault::Drip(Duration::from_secs(1)),
            Fault::CloseAfter(300),
        ];
        let times = (!chance.one_in(3)).then(|| 1 + chance.below(4) as u32);
        match chance.below(10) {
            0 | 1 => Manner::Dead,
            2 => Manner::WrongKey,
            3 => Manner::Expiring(chance.of(&[0, 1, 2, 600, 7200, 1 << 20])),
            // AA clear is tolerated in transfers; a zone that has another serial throughout is another zone. No world
            // comes to serial 500.
            4 if chance.one_in(4) => {
                Manner::Lies(Kind::Soa, chance.of(&[Fault::NotAuthoritative, Fault::Serial(500)]), times)
            }
            4 => Manner::Lies(Kind::Soa, chance.of(PROBE), times),
            // Not of differences: without its opening SOA, a difference from our version says that we are up to date.
            5 if chance.one_in(4) => Manner::Lies(Kind::Axfr, Fault::NoOpeningSoa, times),
            5 | 6 => Manner::Lies(Kind::Transfer, chance.of(PROBE), times),
            7 => Manner::Lies(Kind::Ixfr, chance.of(TRANSFER), times),
            _ => Manner::Lies(Kind::Transfer, chance.of(TRANSFER), times),
        }
    }
}

/// What an attempt will bring, decided when it was sent, told when its answer arrives.
enum Brought {
    Probed(Result<ProbeAnswer, Failure>),
    Fetched(Result<Fetched, Failure>),
}

struct Flight {
    attempt: AttemptId,
    sent: Duration,
    ends: Duration,
    result: Brought,
    /// The serial that the primary honestly vouched for, and the life that it told of.
    vouched: Option<(Serial, Option<u32>)>,
}

pub(crate) struct Stage {
    apex: Name,
    keys: [Key; 2],
    primaries: Vec<World>,
    manners: Vec<Manner>,
    settings: Arc<Settings>,
    machine: Machine,
    now: Now,
    flight: Option<Flight>,
    /// What is served, and what the disk keeps beside it.
    zone: Option<Zone>,
    confirmation: Option<Confirmation>,
    /// Versions that an honest primary had: serial and content.
    published: BTreeSet<(u32, [u8; 32])>,
    /// Until when honest answers allow the zone to be served, at most.
    allowed: Duration,
    delays: Chance,
    boots: u8,
    hosts: u32,
    lies: usize,
}

fn address(primary: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1 + primary as u8], 53))
}

impl Stage {
    pub(crate) fn new(chance: &mut Chance) -> Stage {
        let apex = Name::parse("drive.example.").unwrap();
        let serial = if chance.one_in(2) { u32::MAX - 2 } else { 1000 };
        let text = format!(
            "$TTL 300\n@ SOA ns h {serial} 1800 300 43200 60\n@ NS ns\nns A 192.0.2.1\n* TXT \"wild\"\n\
             cut NS ns.cut\nns.cut A 192.0.2.2\nTwo A 192.0.2.3\nTwo A 192.0.2.4\n"
        );
        let zone = read_zone(&text, &apex).unwrap();
        let name = Name::parse("drive-key.").unwrap();
        let keys = [&b"the right secret"[..], b"the wrong secret"]
            .map(|secret| Key::new(name.clone(), Algorithm::HmacSha256, secret).unwrap());
        let bounds = |(min, max)| Bounds::new(seconds(min), seconds(max)).unwrap();
        let primary = |i: usize| Primary { id: PrimaryId(i as u32), addresses: vec![address(i)], ixfr: true };
        let primaries = (0..PRIMARIES).map(primary).collect();
        let settings =
            Arc::new(Settings::new(bounds(REFRESH), bounds(RETRY), bounds(EXPIRE), primaries).unwrap());
        let now = Now { boot: seconds(1000), boot_id: BootId([0; 16]), wall: 1_800_000_000 };
        let mut stage = Stage {
            machine: Machine::new(settings.clone(), None, now, chance.below(u64::MAX)),
            primaries: (0..PRIMARIES).map(|_| World::new([zone.clone()])).collect(),
            manners: vec![Manner::Honest; PRIMARIES],
            published: BTreeSet::from([(serial, zone.digest())]),
            apex,
            keys,
            settings,
            now,
            flight: None,
            zone: None,
            confirmation: None,
            allowed: Duration::ZERO,
            delays: Chance::new(chance.below(u64::MAX)),
            boots: 0,
            hosts: 0,
            lies: 0,
        };
        for primary in 0..PRIMARIES {
            stage.primaries[primary].records_per_message(4);
            stage.behave(primary, Manner::Honest);
        }
        stage.pass(0);
        stage
    }

    pub(crate) fn lies(&self) -> usize {
        self.lies
    }

    pub(crate) fn behave(&mut self, primary: usize, manner: Manner) {
        self.manners[primary] = manner;
        let world = &mut self.primaries[primary];
        let key = if let Manner::WrongKey = manner { &self.keys[1] } else { &self.keys[0] };
        world.require(std::slice::from_ref(key));
        world.follow(match manner {
            Manner::Lies(kind, fault, Some(times)) => Script::honest().times(kind, fault, times),
            Manner::Lies(kind, fault, None) => Script::honest().always(kind, fault),
            _ => Script::honest(),
        });
        world.tell_expire(if let Manner::Expiring(life) = manner { Some(life) } else { None });
    }

    /// The first primary gets a version; the second at times at once, else when it follows.
    pub(crate) fn change(&mut self, chance: &mut Chance) {
        let host = self.hosts;
        self.hosts += 1;
        let mut lines = format!("+ host{host} 300 A 192.0.2.{}\n", host % 250);
        if host > 0 && chance.one_in(2) {
            let gone = chance.below(u64::from(host));
            let zone = self.primaries[0].zone(&self.apex).unwrap();
            let text = format!("- host{gone} A 192.0.2.{}\n", gone % 250);
            let change = Change::parse(&text, &self.apex).unwrap();
            let mut key = secondo_wire::KeyBuf::new();
            key.set(change.removed[0].owner.as_ref(), self.apex.as_ref());
            if zone.find(key.as_slice()).is_some() {
                lines += &text;
            }
        }
        let change = Change::parse(&lines, &self.apex).unwrap();
        self.primaries[0].change(&self.apex, &change).unwrap();
        let zone = self.primaries[0].zone(&self.apex).unwrap().clone();
        self.published.insert((zone.serial().0, zone.digest()));
        if chance.one_in(2) {
            self.primaries[1].publish(zone);
        }
    }

    /// The second primary takes the first one's version.
    pub(crate) fn follow(&mut self, _: &mut Chance) {
        let zone = self.primaries[0].zone(&self.apex).unwrap().clone();
        if self.primaries[1].zone(&self.apex).unwrap().serial() != zone.serial() {
            self.primaries[1].publish(zone);
        }
    }

    pub(crate) fn forget(&mut self, primary: usize) {
        self.primaries[primary].forget(&self.apex);
    }

    pub(crate) fn notify(&mut self, chance: &mut Chance) {
        let primary = chance.primary();
        let serial = self.primaries[primary].zone(&self.apex).unwrap().serial();
        let hint = match chance.below(4) {
            0 => None,
            1 => Some(Serial(chance.below(1 << 32) as u32)),
            _ => Some(serial),
        };
        self.tell(Event::Notify { from: address(primary).ip(), hint });
    }

    pub(crate) fn order(&mut self, chance: &mut Chance) {
        match chance.below(3) {
            0 => self.tell(Event::Refresh),
            1 => self.tell(Event::Retransfer),
            _ => {
                self.tell(Event::ExpireNow);
                self.allowed = self.now.boot;
            }
        }
    }

    /// The process ends and starts again; or the machine does, after it was off for a while.
    pub(crate) fn restart(&mut self, reboot: bool, off: u64) {
        self.now.wall += off;
        if reboot {
            self.boots += 1;
            let left = self.allowed.saturating_sub(self.now.boot).saturating_sub(seconds(off));
            self.now.boot_id = BootId([self.boots; 16]);
            self.now.boot = seconds(5);
            // Whole seconds on one clock, parts of them on the other.
            self.allowed = if left.is_zero() { left } else { self.now.boot + left + seconds(1) };
        } else {
            self.now.boot += seconds(off);
        }
        self.flight = None;
        let kept = self
            .zone
            .as_ref()
            .map(|zone| Restored { soa: zone.soa().clone(), confirmation: self.confirmation });
        let seed = self.delays.below(u64::MAX);
        self.machine = Machine::new(self.settings.clone(), kept, self.now, seed);
        self.check();
        self.pass(0);
    }

    pub(crate) fn pass(&mut self, time: u64) {
        let end = self.now.boot + seconds(time);
        let mut standing_still = 0;
        loop {
            let answer = self.flight.as_ref().map_or(Duration::MAX, |flight| flight.ends);
            let next = self.machine.next_deadline().min(answer);
            if next > end {
                break;
            }
            standing_still = if next > self.now.boot { 0 } else { standing_still + 1 };
            assert!(standing_still < 30, "the machine spins: {:?}", self.machine);
            self.set(next.max(self.now.boot));
            if answer <= self.now.boot {
                self.land();
            } else {
                self.tell(Event::Timeout);
            }
        }
        self.set(end);
        self.check();
    }

    /// All are honest and have the same: soon the zone is served, and equal in all.
    pub(crate) fn quiet(&mut self) {
        self.follow(&mut Chance::new(1));
        for primary in 0..PRIMARIES {
            self.behave(primary, Manner::Honest);
        }
        self.pass(2 * REFRESH.1 + 2 * RETRY.1 + 60);
        let theirs = self.primaries[0].zone(&self.apex).unwrap();
        let ours = self.zone.as_ref().expect("nothing is served though all primaries are honest");
        assert_eq!(ours.serial(), theirs.serial());
        assert_eq!(ours.digest(), theirs.digest(), "the content is not the primary's");
        assert!(matches!(self.machine.validity(), Validity::Current { .. }), "{:?}", self.machine);
    }

    fn set(&mut self, boot: Duration) {
        self.now.wall += boot.as_secs() - self.now.boot.as_secs();
        self.now.boot = boot;
    }

    fn tell(&mut self, event: Event) {
        self.machine.handle(event, self.now);
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Probe { attempt, target, .. } => self.launch(attempt, target.address, None),
                Action::Transfer { attempt, target, question, accept, .. } => {
                    self.launch(attempt, target.address, Some((question, accept)));
                }
                Action::Cancel { attempt } => {
                    let flight = self.flight.take().expect("cancels what runs");
                    assert_eq!(flight.attempt, attempt);
                }
                Action::Confirm(confirmation) => self.confirmation = Some(confirmation),
                Action::Expire { .. } => assert!(
                    !matches!(self.machine.validity(), Validity::Current { .. }),
                    "expired and served"
                ),
                Action::Revive { .. } | Action::Report(_) => {}
            }
        }
        self.check();
    }

    /// The question goes out and is answered by the primary as it is now; the answer arrives later.
    fn launch(&mut self, attempt: AttemptId, to: SocketAddr, question: Option<(Question, Accept)>) {
        assert!(self.flight.is_none(), "two attempts at once");
        let primary = (0..PRIMARIES).find(|&i| address(i) == to).unwrap();
        let unix = self.now.wall;
        let asker = Asker { apex: &self.apex, key: &self.keys[0], unix };
        let world = &mut self.primaries[primary];
        let dead = matches!(self.manners[primary], Manner::Dead);
        world.clear_asked();
        let refused = || Failure::from(Reason::ConnectionRefused);
        let result = match question {
            None if dead => Brought::Probed(Err(refused())),
            None => Brought::Probed(asker.probe(world)),
            Some(_) if dead => Brought::Fetched(Err(refused())),
            Some((question, accept)) => {
                let current = self.zone.as_ref();
                Brought::Fetched(asker.transfer(world, question, accept, current))
            }
        };
        // Over UDP first, then over TCP: only the last answer counts.
        let asked = world.asked();
        self.lies += asked.iter().filter(|asked| asked.fault.is_some()).count();
        // Behind a first message that says that we are up to date, nothing is read: what is wrong there is no lie.
        let up_to_date = matches!(result, Brought::Fetched(Ok(Fetched::UpToDate { .. })));
        let spoils = |fault| {
            let seal = matches!(fault, Fault::BadSignature | Fault::Unsigned | Fault::Clock(_));
            seal || !up_to_date
        };
        let honest =
            asked.last().is_some_and(|asked| !asked.fault.is_some_and(spoils) && asked.rcode == Some(0));
        let life = if let Manner::Expiring(life) = self.manners[primary] { Some(life) } else { None };
        let serial = world.zone(&self.apex).unwrap().serial();
        let vouched = (honest && !dead).then_some((serial, life));
        let delay = Duration::from_millis(1 + self.delays.below(4000));
        let sent = self.now.boot;
        self.flight = Some(Flight { attempt, sent, ends: sent + delay, result, vouched });
    }

    /// The answer arrives.
    fn land(&mut self) {
        let Flight { attempt, sent, result, vouched, .. } = self.flight.take().unwrap();
        let served = self.zone.as_ref().map(Zone::serial);
        let event = match result {
            Brought::Probed(result) => {
                self.allow(vouched.filter(|(serial, _)| Some(*serial) == served), sent);
                Event::Probed { attempt, result }
            }
            Brought::Fetched(Ok(Fetched::UpToDate { expire })) => {
                self.allow(vouched.filter(|(serial, _)| Some(*serial) == served), sent);
                Event::Transferred { attempt, result: Ok(Transferred::UpToDate { expire }) }
            }
            Brought::Fetched(Ok(Fetched::Version(version))) => {
                let (soa, expire) = (version.zone.soa().clone(), version.expire);
                let known = self.published.contains(&(soa.serial.0, version.zone.digest()));
                assert!(known, "serial {} was published and is nobody's version", soa.serial);
                assert!(vouched.is_some(), "a version was made of a lie");
                // Another version: what allowed the one before counts no more.
                self.allowed = Duration::ZERO;
                self.allow(vouched, sent);
                let way = self.now.boot - sent;
                self.confirmation =
                    Some(Confirmation::of_transfer(&soa, expire, way, &self.settings, self.now));
                self.zone = Some(version.zone);
                let kind = if version.incremental { Form::Ixfr } else { Form::Axfr };
                Event::Transferred { attempt, result: Ok(Transferred::Published { soa, expire, kind }) }
            }
            Brought::Fetched(Err(failure)) => Event::Transferred { attempt, result: Err(failure) },
        };
        self.tell(event);
    }

    /// An honest primary vouched for what is served (RFC 1034 §4.3.5, RFC 7314 §4).
    fn allow(&mut self, vouched: Option<(Serial, Option<u32>)>, sent: Duration) {
        let Some((_, life)) = vouched else { return };
        let own = seconds(43_200.clamp(EXPIRE.0, EXPIRE.1));
        let way = self.now.boot - sent;
        let told = life.map_or(Duration::MAX, |life| seconds(life.into()));
        // At its end, a primary vouches for nothing.
        if told > seconds(1) {
            self.allowed = self.allowed.max(self.now.boot + own.min(told.saturating_sub(way)));
        }
    }

    /// What must hold at every moment.
    fn check(&self) {
        if let Validity::Current { until, .. } = self.machine.validity() {
            assert!(
                until <= self.now.boot || until <= self.allowed,
                "served until {until:?}, while honest answers allow {:?}, at {:?}",
                self.allowed,
                self.now.boot
            );
            assert_eq!(self.machine.serial(), self.zone.as_ref().map(Zone::serial));
        }
        let longest = seconds(REFRESH.1.max(RETRY.1)).max(Settings::PATIENCE);
        assert!(self.machine.next_deadline() <= self.now.boot + longest, "idle without a deadline");
    }
}
