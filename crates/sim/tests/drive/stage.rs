//! One zone, one machine, two primaries, two clocks; and the oracle: what honest answers alone allow.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secondo_lifecycle::{
    Accept, Action, AttemptId, BootId, Bounds, Confirmation, Event, Failure, Kind as Form, Machine, Now,
    Outcome, Primary, PrimaryId, ProbeAnswer, Question, Restored, Settings, Transferred, Validity,
};
use secondo_sim::{Algorithm, Chance, Change, Fault, Key, Name, Script, World, Zone, read_zone};
use secondo_transfer::CheckedZone;
use secondo_wire::{Reason, Serial};

use crate::archive::{Archive, End, from_record, to_record};
use crate::content;
use crate::manner::Manner;
use crate::reference::{Reference, Vouched};
use crate::secondary::{Asker, Fetched};
use crate::tally::Tally;

const PRIMARIES: usize = 2;
const REFRESH: (u64, u64) = (60, 3600);
const RETRY: (u64, u64) = (10, 600);
const EXPIRE: (u64, u64) = (3600, 86_400);
/// The boot clock when a process can start.
const BOOTED: Duration = Duration::from_secs(5);

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
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
    /// What the primary honestly vouched for.
    vouched: Option<Vouched>,
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
    /// What is served, and what keeps it.
    zone: Option<Zone>,
    archive: Archive,
    /// In this world the zone is large at times.
    large: bool,
    reference: Reference,
    tally: Tally,
    delays: Chance,
    boots: u8,
    /// How long the boots before this one took.
    before: Duration,
    hosts: u32,
}

fn address(primary: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1 + primary as u8], 53))
}

/// With these primaries, each once.
fn settings(primaries: &[usize], refresh: (u64, u64), retry: (u64, u64)) -> Arc<Settings> {
    let bounds = |(min, max)| Bounds::new(seconds(min), seconds(max)).unwrap();
    let mut primaries = primaries.to_vec();
    primaries.dedup();
    let primary = |i: usize| Primary { id: PrimaryId(i as u32), addresses: vec![address(i)], ixfr: true };
    let primaries = primaries.into_iter().map(primary).collect();
    Arc::new(Settings::new(bounds(refresh), bounds(retry), bounds(EXPIRE), primaries).unwrap())
}

impl Stage {
    pub(crate) fn new(chance: &mut Chance) -> Stage {
        let apex = Name::parse("drive.example.").unwrap();
        let serial = if chance.one_in(2) { u32::MAX - 2 } else { 1000 };
        let large = chance.one_in(2);
        let text = content::whole(serial, large);
        let zone = read_zone(&text, &apex).unwrap();
        let name = Name::parse("drive-key.").unwrap();
        let keys = [&b"the right secret"[..], b"the wrong secret"]
            .map(|secret| Key::new(name.clone(), Algorithm::HmacSha256, secret).unwrap());
        let settings = settings(&[0, 1], REFRESH, RETRY);
        let now = Now { boot: seconds(1000), boot_id: BootId([0; 16]), wall: 1_800_000_000 };
        let mut stage = Stage {
            machine: Machine::new(settings.clone(), None, now, chance.below(u64::MAX)),
            primaries: (0..PRIMARIES).map(|_| World::new([zone.clone()])).collect(),
            manners: vec![Manner::Honest; PRIMARIES],
            reference: Reference::new(seconds(43_200.clamp(EXPIRE.0, EXPIRE.1))),
            tally: Tally { worlds: 1, ..Tally::default() },
            archive: Archive::new(&apex, chance),
            large,
            apex,
            keys,
            settings,
            now,
            flight: None,
            zone: None,
            delays: Chance::new(chance.below(u64::MAX)),
            boots: 0,
            before: Duration::ZERO,
            hosts: 0,
        };
        stage.reference.publishes(&zone);
        for primary in 0..PRIMARIES {
            stage.primaries[primary].records_per_message(if large { 40 } else { 4 });
            stage.behave(primary, Manner::Honest);
        }
        stage.pass(0);
        stage
    }

    pub(crate) fn tally(self) -> Tally {
        let mut tally = Tally { days: self.real().as_secs() / 86_400, ..self.tally };
        tally += &self.archive.tally;
        tally
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
        let zone = self.primaries[0].zone(&self.apex).unwrap();
        let lines = content::change(zone, self.hosts, self.large, chance);
        self.hosts += 1;
        let change = Change::parse(&lines, &self.apex).unwrap();
        self.primaries[0].change(&self.apex, &change).unwrap();
        let zone = self.primaries[0].zone(&self.apex).unwrap().clone();
        self.reference.publishes(&zone);
        if chance.one_in(2) {
            self.primaries[1].publish(zone);
        }
        // It is told once, twice, or the network loses it.
        let serial = self.primaries[0].zone(&self.apex).unwrap().serial();
        let told = chance.of(&[0, 1, 1, 2]);
        self.tally.untold += u64::from(told == 0);
        self.tally.notifies += told;
        for _ in 0..told {
            self.tell(Event::Notify { from: address(0).ip(), hint: Some(serial) });
        }
    }

    /// The second primary takes the first one's version.
    pub(crate) fn follow(&mut self) {
        let zone = self.primaries[0].zone(&self.apex).unwrap().clone();
        if self.primaries[1].zone(&self.apex).unwrap().serial() != zone.serial() {
            self.primaries[1].publish(zone);
        }
    }

    pub(crate) fn forget(&mut self, primary: usize) {
        self.primaries[primary].forget(&self.apex);
    }

    /// A NOTIFY that is forged, or says nothing, or nothing new; at times many at once.
    pub(crate) fn notify(&mut self, chance: &mut Chance) {
        for _ in 0..chance.of(&[1, 1, 1, 40]) {
            let primary = chance.below(3) as usize;
            let serial = self.primaries[0].zone(&self.apex).unwrap().serial();
            let hint = match chance.below(4) {
                0 => None,
                1 => Some(Serial(chance.below(1 << 32) as u32)),
                2 => Some(serial.advanced_by(1 + chance.below(9) as u32)),
                _ => Some(serial),
            };
            self.tally.forged += 1;
            self.tell(Event::Notify { from: address(primary).ip(), hint });
        }
    }

    /// An operator takes primaries away, puts them into another order, or changes the bounds.
    pub(crate) fn reconfigure(&mut self, chance: &mut Chance) {
        let primaries = chance.of(&[[0, 1], [1, 0], [0, 0], [1, 1]]);
        let (refresh, retry) =
            chance.of(&[(REFRESH, RETRY), ((600, 1200), (60, 90)), ((300, 7200), (600, 600))]);
        self.configure(settings(&primaries, refresh, retry));
    }

    fn configure(&mut self, settings: Arc<Settings>) {
        self.tally.reconfigured += 1;
        self.settings = settings;
        self.tell(Event::Reconfigure(Arc::clone(&self.settings)));
    }

    /// The wall clock is set, by an operator or by what it is set from.
    pub(crate) fn step_clock(&mut self, chance: &mut Chance) {
        let by = chance.of(&[1, 60, 3600, 86_400, 86_400 * 400]);
        self.tally.steps += 1;
        if chance.one_in(2) {
            self.now.wall += by;
        } else {
            self.now.wall -= by;
            self.archive.clock_went_back(seconds(by));
        }
    }

    pub(crate) fn order(&mut self, chance: &mut Chance) {
        match chance.below(3) {
            0 => self.tell(Event::Refresh),
            1 => self.tell(Event::Retransfer),
            _ => {
                self.reference.expired(self.real());
                self.tell(Event::ExpireNow);
            }
        }
    }

    /// From now on the disk is in trouble.
    pub(crate) fn trouble(&mut self, chance: &mut Chance) {
        self.archive.trouble(chance);
    }

    /// The process ends and starts again; or the machine does, after it was off for a while.
    pub(crate) fn restart(&mut self, end: End, reboot: bool, off: u64, harm: bool) {
        self.now.wall += off;
        self.tally.restarts += 1;
        self.tally.reboots += u64::from(reboot);
        if reboot {
            self.boots += 1;
            self.before += self.now.boot + seconds(off) - BOOTED;
            self.now.boot_id = BootId([self.boots; 16]);
            self.now.boot = BOOTED;
        } else {
            self.now.boot += seconds(off);
        }
        self.flight = None;
        let kept = self.archive.restart(end, harm, &mut self.delays);
        self.zone = kept.as_ref().map(|kept| kept.zone.clone());
        self.reference.restored(kept.as_ref().map_or(Duration::ZERO, |kept| kept.allowed));
        let restored = kept.map(|kept| Restored {
            soa: kept.zone.soa().clone(),
            confirmation: Some(from_record(kept.confirmation)),
        });
        let seed = self.delays.below(u64::MAX);
        self.machine = Machine::new(self.settings.clone(), restored, self.now, seed);
        self.check();
        self.pass(0);
    }

    /// Now, on a clock that no reboot sets back.
    fn real(&self) -> Duration {
        self.before + self.now.boot
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
        self.follow();
        for primary in 0..PRIMARIES {
            self.behave(primary, Manner::Honest);
        }
        self.configure(settings(&[0, 1], REFRESH, RETRY));
        self.pass(2 * REFRESH.1 + 2 * RETRY.1 + 60);
        let theirs = self.primaries[0].zone(&self.apex).unwrap();
        let ours = self.zone.as_ref().expect("nothing is served though all primaries are honest");
        assert_eq!(ours.serial(), theirs.serial());
        assert_eq!(ours.digest(), theirs.digest(), "the content is not the primary's");
        assert!(matches!(self.machine.validity(), Validity::Current { .. }), "{:?}", self.machine);
    }

    /// A sound disk with all that is served: after another start that is served at once.
    pub(crate) fn settle(&mut self) {
        self.archive.allow();
        let served = self.zone.as_ref().map(|zone| zone.serial());
        self.restart(End::Clean, false, 1, false);
        assert_eq!(self.zone.as_ref().map(|zone| zone.serial()), served);
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
                Action::Confirm(confirmation) => {
                    self.archive.confirm(to_record(confirmation), self.reference.allowed());
                }
                Action::Expire { .. } => {
                    self.tally.expiries += 1;
                    let served = matches!(self.machine.validity(), Validity::Current { .. });
                    assert!(!served, "expired and served");
                }
                Action::Revive { .. } => self.tally.revivals += 1,
                Action::Report(outcome) => self.count(&outcome),
            }
        }
        self.check();
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
        let serial = world.zone(&self.apex).unwrap().serial();
        let vouched = (honest && !dead).then_some(Vouched { serial, left });
        let delay = Duration::from_millis(1 + self.delays.below(4000));
        let sent = self.now.boot;
        self.flight = Some(Flight { attempt, sent, ends: sent + delay, result, vouched });
    }

    /// The answer arrives.
    fn land(&mut self) {
        let Flight { attempt, sent, result, vouched, .. } = self.flight.take().unwrap();
        let served = self.zone.as_ref().map(|zone| zone.serial());
        let event = match result {
            Brought::Probed(result) => {
                self.vouched(vouched.filter(|vouched| Some(vouched.serial) == served), sent);
                Event::Probed { attempt, result }
            }
            Brought::Fetched(Ok(Fetched::UpToDate { expire, authoritative })) => {
                self.vouched(vouched.filter(|vouched| Some(vouched.serial) == served), sent);
                let result = Ok(Transferred::UpToDate { expire, authoritative });
                Event::Transferred { attempt, result }
            }
            Brought::Fetched(Ok(Fetched::Version(checked))) => {
                assert!(vouched.is_some(), "a version was made of a lie");
                match self.publish(*checked, vouched, sent) {
                    Some(published) => Event::Transferred { attempt, result: Ok(published) },
                    None => {
                        let off = self.delays.below(3600);
                        return self.restart(End::PowerCut, true, off, false);
                    }
                }
            }
            Brought::Fetched(Err(failure)) => Event::Transferred { attempt, result: Err(failure) },
        };
        self.tell(event);
    }

    /// Commits a version, then serves it; `None`: the power went before.
    fn publish(
        &mut self,
        checked: CheckedZone,
        vouched: Option<Vouched>,
        sent: Duration,
    ) -> Option<Transferred> {
        let (soa, expire) = (checked.zone().soa().clone(), checked.expire());
        let kind = if checked.difference().is_some() { Form::Ixfr } else { Form::Axfr };
        self.reference.replaced(checked.zone());
        self.vouched(vouched, sent);
        let way = self.now.boot - sent;
        let confirmation = Confirmation::of_transfer(&soa, expire, way, &self.settings, self.now);
        let confirmation = to_record(confirmation);
        self.zone =
            Some(self.archive.commit(checked, confirmation, self.reference.allowed(), &mut self.delays)?);
        Some(Transferred::Published { soa, expire, kind })
    }

    /// An honest answer to what was sent then arrives now.
    fn vouched(&mut self, vouched: Option<Vouched>, sent: Duration) {
        if let Some(vouched) = vouched {
            self.reference.vouched(vouched, self.before + sent, self.real());
        }
    }

    /// What must hold at every moment.
    fn check(&self) {
        if let Validity::Current { until, .. } = self.machine.validity() {
            self.reference.check(self.before + until, self.real(), seconds(self.boots.into()));
            assert_eq!(self.machine.serial(), self.zone.as_ref().map(|zone| zone.serial()));
        }
        let longest = seconds(REFRESH.1.max(RETRY.1)).max(Settings::PATIENCE);
        assert!(self.machine.next_deadline() <= self.now.boot + longest, "idle without a deadline");
    }
}
