//! A machine on a stage: the test plays clock and primaries, the stage keeps what the machine wants and says.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file plays its own scenes")]

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use secondo_lifecycle::{
    Accept, Action, AttemptId, BootId, Bounds, Confirmation, Event, Failure, Kind, Machine, Now, Outcome,
    Primary, PrimaryId, ProbeAnswer, Question, Restored, Settings, Transferred, Urgency, Validity,
};
use secondo_wire::{Name, Reason, Serial, Soa};

pub const BOOT: BootId = BootId([7; 16]);
pub const REFRESH: u64 = 3600;
pub const RETRY: u64 = 400;
pub const EXPIRE: u64 = 86_400 * 7;

pub fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub fn soa(serial: u32) -> Soa {
    soa_with(serial, [REFRESH as u32, RETRY as u32, EXPIRE as u32])
}

pub fn soa_with(serial: u32, [refresh, retry, expire]: [u32; 3]) -> Soa {
    let name = Name::parse("ns.example.").unwrap();
    Soa { mname: name.clone(), rname: name, serial: Serial(serial), refresh, retry, expire, minimum: 60 }
}

pub fn address(primary: u8, place: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, primary, place], 53))
}

pub fn ip(primary: u8) -> IpAddr {
    address(primary, 1).ip()
}

pub fn primary(id: u8, addresses: u8) -> Primary {
    let addresses = (1..=addresses).map(|place| address(id, place)).collect();
    Primary { id: PrimaryId(u32::from(id)), addresses, ixfr: true }
}

pub fn settings(primaries: Vec<Primary>) -> Settings {
    let bounds = |min, max| Bounds::new(seconds(min), seconds(max)).unwrap();
    Settings::new(bounds(60, 86_400), bounds(10, 3600), bounds(3600, 86_400 * 60), primaries).unwrap()
}

/// What the machine asks of a primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    pub attempt: AttemptId,
    pub address: SocketAddr,
    /// `None` is a probe.
    pub question: Option<Question>,
    pub accept: Option<Accept>,
    pub urgency: Urgency,
}

pub struct Stage {
    pub machine: Machine,
    pub now: Now,
    /// The one attempt in flight.
    pub ask: Option<Ask>,
    pub outcomes: Vec<Outcome>,
    pub confirmations: Vec<Confirmation>,
    pub expired: u32,
    pub revived: u32,
    pub cancelled: u32,
    /// Attempts so far.
    pub asked: u32,
}

impl Stage {
    /// A zone never loaded, at its first deadline.
    pub fn empty(settings: Settings) -> Stage {
        Stage::start(settings, None, Now { boot: seconds(1_000_000), boot_id: BOOT, wall: 1_700_000_000 })
    }

    /// A zone that has serial 1 from its first primary.
    pub fn loaded(settings: Settings) -> Stage {
        let mut stage = Stage::empty(settings);
        stage.publish(soa(1), None);
        stage.outcomes.clear();
        stage
    }

    pub fn start(settings: Settings, restored: Option<Restored>, now: Now) -> Stage {
        let mut stage = Stage {
            machine: Machine::new(Arc::new(settings), restored, now, 42),
            now,
            ask: None,
            outcomes: Vec::new(),
            confirmations: Vec::new(),
            expired: 0,
            revived: 0,
            cancelled: 0,
            asked: 0,
        };
        if stage.machine.next_deadline() <= now.boot {
            stage.tell(Event::Timeout);
        }
        stage
    }

    pub fn tell(&mut self, event: Event) {
        self.machine.handle(event, self.now);
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Probe { attempt, target, urgency } => {
                    self.begin(Ask {
                        attempt,
                        address: target.address,
                        question: None,
                        accept: None,
                        urgency,
                    });
                }
                Action::Transfer { attempt, target, question, accept, urgency } => {
                    let (question, accept) = (Some(question), Some(accept));
                    self.begin(Ask { attempt, address: target.address, question, accept, urgency });
                }
                Action::Cancel { attempt } => {
                    assert_eq!(self.ask.take().map(|a| a.attempt), Some(attempt));
                    self.cancelled += 1;
                }
                Action::Confirm(confirmation) => self.confirmations.push(confirmation),
                Action::Expire { .. } => self.expired += 1,
                Action::Revive { .. } => self.revived += 1,
                Action::Report(outcome) => self.outcomes.push(outcome),
            }
        }
    }

    fn begin(&mut self, ask: Ask) {
        assert_eq!(self.ask, None, "two attempts in flight");
        self.asked += 1;
        self.ask = Some(ask);
    }

    /// Lets time pass, with every deadline on the way; stops early when something is asked.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now.boot + time;
        loop {
            let deadline = self.machine.next_deadline();
            if deadline > end {
                break;
            }
            self.set(deadline.max(self.now.boot));
            let before = self.asked;
            self.tell(Event::Timeout);
            if self.asked > before {
                return;
            }
            assert!(self.machine.next_deadline() > self.now.boot, "a deadline that does not move");
        }
        self.set(end);
    }

    /// Lets time pass until something is asked; how long that took.
    pub fn pass_until_asked(&mut self) -> Duration {
        let (start, before) = (self.now.boot, self.asked);
        for _ in 0..1000 {
            let deadline = self.machine.next_deadline();
            self.pass(deadline.saturating_sub(self.now.boot));
            if self.asked > before {
                return self.now.boot - start;
            }
        }
        panic!("nothing was asked any more");
    }

    fn set(&mut self, boot: Duration) {
        let passed = boot - self.now.boot;
        self.now.wall += passed.as_secs();
        self.now.boot = boot;
    }

    fn end(&mut self) -> Ask {
        self.ask.take().expect("nothing is asked")
    }

    pub fn notify(&mut self, from: u8, hint: Option<u32>) {
        self.tell(Event::Notify { from: ip(from), hint: hint.map(Serial) });
    }

    /// The primary answers a probe.
    pub fn show(&mut self, serial: u32) {
        self.show_with(serial, None);
    }

    pub fn show_with(&mut self, serial: u32, expire: Option<u32>) {
        let ask = self.end();
        assert_eq!(ask.question, None, "a transfer is asked, not a probe");
        let result = Ok(ProbeAnswer { soa: soa(serial), expire });
        self.tell(Event::Probed { attempt: ask.attempt, result });
    }

    /// The primary delivers a version, and it is published.
    pub fn publish(&mut self, soa: Soa, expire: Option<u32>) {
        let ask = self.end();
        let kind = match ask.question.expect("a probe is asked, not a transfer") {
            Question::Axfr => Kind::Axfr,
            Question::Ixfr { .. } => Kind::Ixfr,
        };
        let result = Ok(Transferred::Published { soa, expire, kind });
        self.tell(Event::Transferred { attempt: ask.attempt, result });
    }

    pub fn up_to_date(&mut self, expire: Option<u32>) {
        self.up_to_date_with(expire, true);
    }

    pub fn up_to_date_with(&mut self, expire: Option<u32>, authoritative: bool) {
        let ask = self.end();
        let result = Ok(Transferred::UpToDate { expire, authoritative });
        self.tell(Event::Transferred { attempt: ask.attempt, result });
    }

    pub fn fail(&mut self, reason: Reason) {
        self.fail_with(reason.into());
    }

    pub fn fail_with(&mut self, failure: Failure) {
        let ask = self.end();
        let attempt = ask.attempt;
        self.tell(match ask.question {
            None => Event::Probed { attempt, result: Err(failure) },
            Some(_) => Event::Transferred { attempt, result: Err(failure) },
        });
    }

    /// The address asked, and the question.
    pub fn asks(&self) -> Option<(SocketAddr, Option<Question>)> {
        self.ask.map(|a| (a.address, a.question))
    }

    pub fn until(&self) -> Option<Duration> {
        match self.machine.validity() {
            Validity::Current { until, .. } => Some(until),
            Validity::Empty | Validity::Expired { .. } => None,
        }
    }

    pub fn is_current(&self) -> bool {
        self.until().is_some()
    }

    /// Time until the zone expires.
    pub fn left(&self) -> Duration {
        self.until().expect("the zone is current") - self.now.boot
    }
}

/// A probe there.
pub fn probe(primary: u8, place: u8) -> Option<(SocketAddr, Option<Question>)> {
    Some((address(primary, place), None))
}

/// A full transfer there.
pub fn axfr(primary: u8, place: u8) -> Option<(SocketAddr, Option<Question>)> {
    Some((address(primary, place), Some(Question::Axfr)))
}

/// An incremental transfer there.
pub fn ixfr(primary: u8, place: u8, from: u32) -> Option<(SocketAddr, Option<Question>)> {
    Some((address(primary, place), Some(Question::Ixfr { from: Serial(from) })))
}
