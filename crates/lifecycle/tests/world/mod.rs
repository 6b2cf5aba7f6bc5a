//! A small world around one machine: primaries with manners, a network with delays, a disk that keeps what was
//! confirmed, two clocks; and the reference model, in which validity follows from contacts alone.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "shared by tests")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secondo_lifecycle::{
    Accept, Action, AttemptId, BootId, Bounds, Confirmation, Event, Failure, Judgement, Kind, Machine, Now,
    Primary, PrimaryId, ProbeAnswer, Question, Restored, Settings, Transferred, Validity,
};
use secondo_wire::{Name, Reason, Serial, Soa};

pub const REFRESH: (u64, u64) = (60, 7200);
pub const RETRY: (u64, u64) = (10, 600);
pub const EXPIRE: (u64, u64) = (1000, 20_000);
const PATIENCE: u64 = 900;

pub fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// How a primary behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Honest,
    NoIxfr,
    BrokenIxfr,
    Dead,
    Refusing,
    BadSeal,
    /// Its serial is so far behind.
    Behind(u32),
    /// Its probe shows a new serial, its transfers are broken.
    Malformed,
    /// Its version is rejected.
    Unfit,
    /// We ourselves cannot.
    WeAreBusy,
    /// Honest, with an EXPIRE option of so many seconds.
    Expiring(u32),
    /// It takes the question and never answers.
    Silent,
}

#[derive(Clone, Copy, Debug)]
pub enum Step {
    Pass(u64),
    Change(usize, Manner),
    NewSerial(u32),
    /// From a primary, with a hint so far ahead of the truth, or none.
    Notify(usize, Option<u32>),
    Refresh,
    Retransfer,
    PrimaryUp(usize),
    /// So many primaries from now on.
    Reconfigure(u8),
    Restart,
    /// A restart on another boot, the wall clock off by so much.
    Reboot(i64),
    WallClock(u64),
}

#[derive(Clone, Copy)]
struct Flight {
    attempt: AttemptId,
    address: SocketAddr,
    question: Option<Question>,
    accept: Accept,
    asked: Duration,
    /// When the answer comes; `None` is never.
    ends: Option<Duration>,
}

/// The reference model: nothing but contacts.
#[derive(Clone, Copy, Default, Debug)]
struct Model {
    served: Option<Serial>,
    /// Deadline and the confirmation behind it.
    vouched: Option<(Duration, Confirmation)>,
}

pub struct World {
    machine: Machine,
    settings: Arc<Settings>,
    now: Now,
    serial: u32,
    timers: [u32; 3],
    manners: Vec<Manner>,
    flight: Option<Flight>,
    model: Model,
    asked: u64,
    chance: u64,
    boots: u8,
    /// When the last attempt at each primary ended.
    rested: Vec<Option<Duration>>,
    /// Probes without a rest that each primary may see: something from outside, or expiry, asked for them.
    allowed: Vec<u32>,
    busy: bool,
}

fn address(primary: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, primary as u8], 53))
}

fn settings(primaries: usize) -> Arc<Settings> {
    let bounds = |(min, max)| Bounds::new(seconds(min), seconds(max)).unwrap();
    let primary = |i| Primary { id: PrimaryId(i as u32), addresses: vec![address(i)], ixfr: true };
    let primaries = (0..primaries).map(primary).collect();
    let settings = Settings::new(bounds(REFRESH), bounds(RETRY), bounds(EXPIRE), primaries).unwrap();
    Arc::new(settings.with_patience(seconds(PATIENCE)))
}

impl World {
    pub fn new(seed: u64, serial: u32, timers: [u32; 3], primaries: usize) -> World {
        let now = Now { boot: seconds(500_000), boot_id: BootId([0; 16]), wall: 1_700_000_000 };
        let settings = settings(primaries);
        let mut world = World {
            machine: Machine::new(settings.clone(), None, now, seed),
            settings,
            now,
            serial,
            timers,
            manners: vec![Manner::Honest; 3],
            flight: None,
            model: Model::default(),
            asked: 0,
            chance: seed | 1,
            boots: 0,
            rested: vec![None; 3],
            allowed: vec![0; 3],
            busy: false,
        };
        world.play(Step::Pass(0));
        world
    }

    pub fn asked(&self) -> u64 {
        self.asked
    }

    pub fn true_serial(&self) -> u32 {
        self.serial
    }

    pub fn served(&self) -> Option<u32> {
        matches!(self.machine.validity(), Validity::Current { .. }).then(|| self.machine.serial().unwrap().0)
    }

    pub fn left(&self) -> Duration {
        self.model.vouched.map_or(Duration::ZERO, |(until, _)| until.saturating_sub(self.now.boot))
    }

    /// Only this primary is configured, and it is honest.
    pub fn leave_only(&mut self, honest: usize) {
        for (i, manner) in self.manners.iter_mut().enumerate() {
            *manner = if i == honest { Manner::Honest } else { Manner::Dead };
        }
    }

    /// How long it may take until an honest primary was asked.
    pub fn longest_wait(&self) -> Duration {
        let ours = self.model.served.unwrap_or(Serial(self.serial));
        let comparable = ours == Serial(self.serial) || Serial(self.serial).newer_than(ours);
        // Behind ours, its version is taken when ours has expired. An unfit version may cost a second wait; answers
        // that never come, the patience for each primary.
        let expiry = if comparable { 0 } else { EXPIRE.1 + RETRY.1 };
        seconds(expiry + 2 * REFRESH.1 + 4 * PATIENCE + 60)
    }

    fn throw(&mut self, below: u64) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance % below
    }

    pub fn play(&mut self, step: Step) {
        match step {
            Step::Pass(time) => self.pass(seconds(time)),
            Step::Change(primary, manner) => self.manners[primary] = manner,
            Step::NewSerial(ahead) => self.serial = self.serial.wrapping_add(ahead),
            Step::Notify(from, ahead) => {
                let hint = ahead.map(|ahead| Serial(self.serial.wrapping_add(ahead)));
                self.stimulus(Event::Notify { from: address(from).ip(), hint });
            }
            Step::Refresh => self.stimulus(Event::Refresh),
            Step::Retransfer => self.stimulus(Event::Retransfer),
            Step::PrimaryUp(primary) => self.stimulus(Event::PrimaryUp(address(primary))),
            Step::Reconfigure(primaries) => {
                // The honest one of a test must stay, so only the count goes up and down behind it.
                self.settings = settings(usize::from(primaries.max(3)));
                self.stimulus(Event::Reconfigure(self.settings.clone()));
            }
            Step::Restart => self.restart(),
            Step::Reboot(skew) => {
                self.boots = self.boots.wrapping_add(1);
                self.now.boot_id = BootId([self.boots; 16]);
                self.now.boot = seconds(3);
                self.now.wall = self.now.wall.saturating_add_signed(skew);
                self.restart();
            }
            Step::WallClock(wall) => self.now.wall = wall % 4_000_000_000,
        }
    }

    /// Something from outside: attempts that follow are not the machine's own idea.
    fn stimulus(&mut self, event: Event) {
        self.allow();
        self.tell(event);
        self.pass(Duration::ZERO);
    }

    fn allow(&mut self) {
        // One out of turn, and one in its turn soon after: an attempt out of turn leaves the schedule as it was.
        for allowed in &mut self.allowed {
            *allowed += 2;
        }
    }

    fn restart(&mut self) {
        self.rested.fill(None);
        self.flight = None;
        let soa = |serial: Serial| self.soa(serial.0);
        let kept = self.model.served.map(|serial| Restored {
            soa: soa(serial),
            confirmation: self.model.vouched.map(|(_, confirmation)| confirmation),
        });
        // The model's own arithmetic of what is left.
        if let Some((until, confirmation)) = self.model.vouched {
            let elapsed = if confirmation.boot_id == self.now.boot_id {
                (self.now.boot - confirmation.boot).as_millis() as i128
            } else {
                (self.now.wall as i128 - confirmation.wall as i128).max(0) * 1000
            };
            let left = confirmation.expire_in as i128 * 1000 - elapsed;
            let millis = |n: i128| Duration::from_millis(n.max(0) as u64);
            self.model.vouched = (left > 0).then_some((self.now.boot + millis(left), confirmation));
            if confirmation.boot_id == self.now.boot_id && left > 0 {
                self.model.vouched = Some((until, confirmation));
            }
        }
        let seed = self.throw(u64::MAX);
        self.machine = Machine::new(self.settings.clone(), kept, self.now, seed);
        self.check();
        self.pass(Duration::ZERO);
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now.boot + time;
        let mut standing_still = 0;
        loop {
            let answer = self.flight.and_then(|f| f.ends).unwrap_or(Duration::MAX);
            let next = self.machine.next_deadline().min(answer);
            if next > end {
                break;
            }
            standing_still = if next > self.now.boot { 0 } else { standing_still + 1 };
            assert!(standing_still < 20, "the machine spins: {:?}", self.machine);
            self.set(next.max(self.now.boot));
            if answer <= self.now.boot {
                self.answer();
            } else {
                self.tell(Event::Timeout);
            }
        }
        self.set(end);
        self.check();
    }

    fn set(&mut self, boot: Duration) {
        self.now.wall += boot.as_secs() - self.now.boot.as_secs();
        self.now.boot = boot;
    }

    fn soa(&self, serial: u32) -> Soa {
        let name = Name::parse("ns.example.").unwrap();
        let [refresh, retry, expire] = self.timers;
        Soa { mname: name.clone(), rname: name, serial: Serial(serial), refresh, retry, expire, minimum: 1 }
    }

    /// The answer to the attempt in flight arrives.
    fn answer(&mut self) {
        let flight = self.flight.take().unwrap();
        let primary =
            usize::from(flight.address.ip().to_string().rsplit('.').next().unwrap().parse::<u8>().unwrap());
        let manner = self.manners.get(primary).copied().unwrap_or(Manner::Honest);
        self.rested[primary] = Some(self.now.boot);
        self.busy = manner == Manner::WeAreBusy;
        let serial = match manner {
            Manner::Behind(distance) => Serial(self.serial.wrapping_sub(distance)),
            _ => Serial(self.serial),
        };
        let expire = if let Manner::Expiring(seconds) = manner { Some(seconds) } else { None };
        let failure = match (manner, flight.question) {
            (Manner::Dead, _) => Some(Reason::Timeout),
            (Manner::Refusing, _) => Some(Reason::Refused),
            (Manner::BadSeal, _) => Some(Reason::TsigBadSig),
            (Manner::WeAreBusy, _) => Some(Reason::Busy),
            (Manner::NoIxfr, Some(Question::Ixfr { .. })) => Some(Reason::IxfrNotImplemented),
            (Manner::BrokenIxfr, Some(Question::Ixfr { .. })) => Some(Reason::IxfrBrokenChain),
            (Manner::Malformed, Some(_)) => Some(Reason::SoaMismatch),
            (Manner::Unfit, Some(_)) => Some(Reason::NoApexNs),
            _ => None,
        };
        let attempt = flight.attempt;
        let Some(question) = flight.question else {
            let result = match failure {
                Some(reason) => Err(reason.into()),
                None => Ok(ProbeAnswer { soa: self.soa(serial.0), expire }),
            };
            if result.is_ok() && self.model.served == Some(serial) {
                let left =
                    expire.map(|e| u64::from(e).saturating_sub((self.now.boot - flight.asked).as_secs()));
                if left.is_none_or(|left| left > 1) {
                    self.contact(expire, flight.asked, true);
                }
            }
            return self.tell(Event::Probed { attempt, result });
        };
        let result = match failure {
            Some(reason) => Err(Failure::from(reason).of_serial(serial)),
            None => match flight.accept.judge(serial, expire) {
                Judgement::Refuse(reason) => Err(Failure::from(reason).of_serial(serial)),
                Judgement::UpToDate => {
                    self.contact(expire, flight.asked, true);
                    Ok(Transferred::UpToDate { expire, authoritative: true })
                }
                Judgement::Publish => {
                    self.model.served = Some(serial);
                    self.contact(expire, flight.asked, false);
                    let kind = if question == Question::Axfr { Kind::Axfr } else { Kind::Ixfr };
                    Ok(Transferred::Published { soa: self.soa(serial.0), expire, kind })
                }
            },
        };
        self.tell(Event::Transferred { attempt, result });
    }

    /// The model's rule: RFC 1034 §4.3.5 and RFC 7314 §4, and nothing else.
    fn contact(&mut self, expire: Option<u32>, asked: Duration, same: bool) {
        let own = u64::from(self.timers[2]).clamp(EXPIRE.0, EXPIRE.1);
        let way = self.now.boot - asked;
        let life =
            expire.map_or(seconds(own), |e| seconds(u64::from(e)).saturating_sub(way).min(seconds(own)));
        let fresh = self.now.boot + life;
        let until = match self.model.vouched {
            Some((until, _)) if same && until > self.now.boot => until.max(fresh),
            _ => fresh,
        };
        let expire_in = (until - self.now.boot).as_secs();
        let confirmation = Confirmation {
            serial: self.model.served.unwrap(),
            boot: self.now.boot,
            boot_id: self.now.boot_id,
            wall: self.now.wall,
            expire_in,
        };
        self.model.vouched = Some((self.now.boot + seconds(expire_in), confirmation));
    }

    fn tell(&mut self, event: Event) {
        self.machine.handle(event, self.now);
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Probe { attempt, target, .. } => {
                    self.launch(attempt, target.address, None, Accept::Any)
                }
                Action::Transfer { attempt, target, question, accept, .. } => {
                    self.launch(attempt, target.address, Some(question), accept);
                }
                Action::Cancel { attempt } => {
                    let flight = self.flight.take().expect("cancels what runs");
                    assert_eq!(flight.attempt, attempt);
                }
                Action::Confirm(confirmation) => {
                    let written = self.model.vouched.map(|(_, c)| c);
                    assert_eq!(written, Some(confirmation), "a confirmation without a contact");
                }
                Action::Expire { .. } => self.allow(),
                Action::Revive { .. } | Action::Report(_) => {}
            }
        }
        self.check();
    }

    fn launch(
        &mut self,
        attempt: AttemptId,
        address: SocketAddr,
        question: Option<Question>,
        accept: Accept,
    ) {
        assert!(self.flight.is_none(), "two attempts in flight");
        let std::net::IpAddr::V4(ip) = address.ip() else { panic!("no such primary") };
        let primary = usize::from(ip.octets()[3]);
        if question.is_none()
            && let Some(rested) = self.rested[primary]
        {
            let least = seconds(if self.busy { 1 } else { RETRY.0 });
            if self.now.boot < rested + least {
                assert!(self.allowed[primary] > 0, "a primary is asked again without a rest");
                self.allowed[primary] -= 1;
            }
        }
        self.asked += 1;
        let silent = self.manners.get(primary) == Some(&Manner::Silent);
        let delay = Duration::from_millis(self.throw(8000) + 1);
        let ends = (!silent).then_some(self.now.boot + delay);
        self.flight = Some(Flight { attempt, address, question, accept, asked: self.now.boot, ends });
    }

    /// What must hold at every moment.
    fn check(&self) {
        let until = match self.machine.validity() {
            Validity::Current { until, .. } => Some(until),
            Validity::Empty | Validity::Expired { .. } => None,
        };
        // A deadline that has come and is not yet handled: the published version compares the clock itself.
        let vouched = self.model.vouched.map(|(until, _)| until);
        assert_eq!(
            until.filter(|until| *until > self.now.boot),
            vouched.filter(|until| *until > self.now.boot),
            "the machine and the contacts disagree"
        );
        assert_eq!(self.machine.serial(), self.model.served);
        let longest = seconds(REFRESH.1.max(RETRY.1).max(PATIENCE));
        assert!(self.machine.next_deadline() <= self.now.boot + longest, "idle without a deadline");
    }
}
