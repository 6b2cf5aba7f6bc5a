//! The small world: what can happen in it, and what must hold whatever does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secondo_lifecycle::{
    Accept, Action, Activity, AttemptId, BootId, Bounds, Confirmation, Event, Failure, Judgement, Kind,
    Machine, Now, Outcome, Primary, PrimaryId, ProbeAnswer, Question, Restored, Settings, Transferred,
    Validity,
};
use secondo_wire::{Class, Name, Reason, Serial, Soa};

use crate::state::{EPOCH, canonical, digest};

/// Each a multiple of the next but one, and no longer than the search can bear.
const EXPIRE: u64 = 40;
const REFRESH: u64 = 20;
const RETRY: u64 = 10;
const PATIENCE: u64 = 30;
/// Time passes in such steps, unless a deadline comes before.
const TICK: Duration = Duration::from_secs(10);
/// NOTIFYs in a moment.
const NOTIFIES: u8 = 2;
/// A serial that nobody ever has.
const LIE: u32 = 9;
/// How long it may take until an honest primary's version is served: all waits and two attempts that are given up; and as
/// long as the zone lives when that primary is behind us.
const SOON: Duration = Duration::from_secs(2 * REFRESH + 2 * PATIENCE + EXPIRE + RETRY);

/// Something that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Start,
    /// Until the next deadline, or for a tick.
    Pass,
    /// The primary asked answers.
    Answer(Manner),
    /// A NOTIFY from this primary (2: somebody else), with a serial.
    Notify(usize, Option<u32>),
    /// This primary has a new version.
    Change(usize),
    /// It takes over that of the other.
    Follow(usize),
    /// Of the process.
    Restart,
    /// Of the machine: the clock that counts in suspend begins anew, and only the wall clock goes on.
    Reboot,
    /// An operator wants these primaries, in this order.
    Configure(Order),
    Refresh,
    Retransfer,
    ExpireNow,
}

/// Primaries in the order in which they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Both,
    Turned,
    Only(usize),
}

impl Order {
    fn primaries(self) -> Vec<usize> {
        match self {
            Order::Both => vec![0, 1],
            Order::Turned => vec![1, 0],
            Order::Only(primary) => vec![primary],
        }
    }
}

/// How a question is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Honest,
    /// Its own copy has little life left (RFC 7314).
    Expiring,
    Fails(Reason),
}

#[derive(Clone, Debug)]
struct Flight {
    attempt: AttemptId,
    primary: usize,
    question: Option<(Question, Accept)>,
    asked: Duration,
}

/// A NOTIFY that was accepted and is to be answered: by asking its sender, or by serving what it hints at.
#[derive(Clone, Copy, Debug)]
struct Owed {
    /// `None`: whoever, since the primaries are others now.
    sender: Option<usize>,
    hint: Option<Serial>,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    wide: bool,
    machine: Machine,
    now: Now,
    order: Order,
    /// How often the primaries were others; that is few times.
    configured: u8,
    /// How often the machine was started again; that is few times.
    boots: u8,
    serials: [u32; 2],
    flight: Option<Flight>,
    notified: u8,
    /// What was asked in the running round: whom, and what (0 SOA, 1 IXFR, 2 AXFR).
    round: Vec<(usize, u8)>,
    owed: Vec<Owed>,
    /// The version served and until when: from the contacts alone.
    served: Option<Serial>,
    until: Duration,
    /// The last confirmation that was to be written down.
    written: Option<Confirmation>,
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn address(primary: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, primary as u8], 53))
}

fn settings(order: Order) -> Arc<Settings> {
    // Both bounds alike: no jitter.
    let exactly = |n| Bounds::new(seconds(n), seconds(n)).unwrap();
    let primary = |i| Primary { id: PrimaryId(i as u32), addresses: vec![address(i)], ixfr: true };
    let primaries = order.primaries().into_iter().map(primary).collect();
    let settings = Settings::new(exactly(REFRESH), exactly(RETRY), exactly(EXPIRE), primaries);
    Arc::new(settings.unwrap().with_patience(seconds(PATIENCE)))
}

fn soa(serial: Serial) -> Soa {
    let name = Name::parse("ns.example.").unwrap();
    let [refresh, retry, expire] = [REFRESH, RETRY, EXPIRE].map(|n| n as u32);
    Soa { mname: name.clone(), rname: name, serial, refresh, retry, expire, minimum: 1 }
}

impl World {
    pub(crate) fn new(wide: bool) -> World {
        let now = Now { boot: seconds(EPOCH), boot_id: BootId([0; 16]), wall: 0 };
        let mut world = World {
            wide,
            machine: Machine::new(settings(Order::Both), None, now, 1),
            now,
            order: Order::Both,
            configured: 0,
            boots: 0,
            serials: [1, 1],
            flight: None,
            notified: 0,
            round: Vec::new(),
            owed: Vec::new(),
            served: None,
            until: Duration::ZERO,
            written: None,
        };
        world.tell(Event::Timeout).unwrap();
        world
    }

    pub(crate) fn key(&self) -> u128 {
        // The wall clock says nothing within one boot.
        let written = self.written.map(|c| {
            let age = (c.boot_id != self.now.boot_id).then_some(self.now.wall - c.wall);
            (c.serial, c.boot, c.expire_in, age)
        });
        let asked = self.flight.as_ref().map(|f| (f.primary, f.question, f.asked));
        let World { machine, serials, notified, round, owed, configured, boots, .. } = self;
        let text = format!(
            "{machine:?} {serials:?} {asked:?} {notified} {round:?} {owed:?} {written:?} {configured} {boots}"
        );
        digest(&canonical(&text, self.now.boot))
    }

    /// All that can happen now.
    pub(crate) fn choices(&self) -> Vec<Choice> {
        let mut all = vec![Choice::Pass];
        let at_rest = matches!(self.machine.activity(), Activity::Waiting { .. });
        if self.wide || at_rest {
            all.push(Choice::Restart);
            if self.served.is_some() && self.boots == 0 {
                all.push(Choice::Reboot);
            }
        }
        if self.configured < if self.wide { 2 } else { 1 } {
            let orders = [Order::Both, Order::Turned, Order::Only(0), Order::Only(1)];
            all.extend(orders.into_iter().filter(|order| *order != self.order).map(Choice::Configure));
        }
        if let Some(flight) = &self.flight {
            all.push(Choice::Answer(Manner::Honest));
            let mut reasons = match &flight.question {
                None => vec![Reason::Timeout],
                Some((Question::Axfr, _)) => vec![Reason::SoaMismatch],
                Some((Question::Ixfr { .. }, _)) => vec![Reason::IxfrNotImplemented, Reason::IxfrBrokenChain],
            };
            if self.wide {
                all.push(Choice::Answer(Manner::Expiring));
                reasons.extend([Reason::Refused, Reason::NoApexNs, Reason::Busy]);
            }
            all.extend(reasons.into_iter().map(|reason| Choice::Answer(Manner::Fails(reason))));
        }
        let last = if self.wide { 3 } else { 2 };
        for primary in 0..2 {
            let (its, other) = (self.serials[primary], self.serials[1 - primary]);
            if its.max(other) < last {
                all.push(Choice::Change(primary));
            }
            if its < other {
                all.push(Choice::Follow(primary));
            }
            if self.notified < if self.wide { NOTIFIES } else { 1 } {
                all.extend([Choice::Notify(primary, Some(its)), Choice::Notify(primary, Some(LIE))]);
                let silent = self.wide || primary == 0;
                all.extend(silent.then_some(Choice::Notify(primary, None)));
            }
        }
        if self.wide {
            all.extend([Choice::Refresh, Choice::Retransfer, Choice::ExpireNow]);
        }
        all
    }

    /// Lets it happen; what is wrong then.
    pub(crate) fn take(&mut self, choice: Choice) -> Result<(), String> {
        match choice {
            Choice::Start => Ok(()),
            Choice::Pass => self.pass(),
            Choice::Answer(manner) => self.answer(manner),
            Choice::Notify(from, hint) => {
                self.notified += 1;
                let hint = hint.map(Serial);
                self.tell(Event::Notify { from: address(from).ip(), hint })
            }
            Choice::Change(primary) => {
                self.serials[primary] = self.serials[0].max(self.serials[1]) + 1;
                Ok(())
            }
            Choice::Follow(primary) => {
                self.serials[primary] = self.serials[1 - primary];
                Ok(())
            }
            Choice::Restart => self.restart(),
            Choice::Reboot => self.reboot(),
            Choice::Configure(order) => {
                (self.order, self.configured) = (order, self.configured + 1);
                // A new round begins, and the NOTIFYs of the old one are whoever's.
                self.round.clear();
                self.owed.iter_mut().for_each(|owed| owed.sender = None);
                self.tell(Event::Reconfigure(settings(order)))
            }
            Choice::Refresh => self.tell(Event::Refresh),
            Choice::Retransfer => self.tell(Event::Retransfer),
            Choice::ExpireNow => {
                self.until = self.until.min(self.now.boot);
                self.tell(Event::ExpireNow)
            }
        }
    }

    /// The primaries that may be trusted, each with what the other does meanwhile.
    pub(crate) fn hopes(&self) -> Vec<(usize, Manner)> {
        let others = [Manner::Honest, Manner::Fails(Reason::Timeout), Manner::Fails(Reason::Refused)];
        self.order.primaries().into_iter().flat_map(|primary| others.map(|other| (primary, other))).collect()
    }

    /// From now on this primary is honest: soon nothing older than what it has is served, and something is. If the other
    /// answers too, with whatever it has, it takes NOTIFYs: a zone follows the first who vouches for it.
    pub(crate) fn trust(mut self, (honest, other): (usize, Manner)) -> Result<(), String> {
        let end = self.now.boot + SOON;
        let theirs = Serial(self.serials[honest]);
        let there =
            |world: &World| world.serves().is_some_and(|ours| ours == theirs || ours.newer_than(theirs));
        while !there(&self) {
            if other == Manner::Honest {
                self.tell(Event::Notify { from: address(honest).ip(), hint: Some(theirs) })?;
            }
            if self.now.boot > end {
                return Err(format!("{theirs} of the honest primary {honest} is not reached: {other:?}"));
            }
            match self.flight.as_ref().map(|flight| flight.primary) {
                Some(primary) if primary == honest => self.answer(Manner::Honest)?,
                Some(_) => self.answer(other)?,
                None => self.pass()?,
            }
        }
        Ok(())
    }

    fn serves(&self) -> Option<Serial> {
        self.served.filter(|_| self.until > self.now.boot)
    }

    fn pass(&mut self) -> Result<(), String> {
        let deadline = self.machine.next_deadline();
        if deadline <= self.now.boot {
            return Err(format!("a deadline that does not move: {deadline:?}"));
        }
        let before = self.now.boot;
        self.now.boot = deadline.min(before + TICK);
        self.now.wall += self.now.boot.as_secs() - before.as_secs();
        self.notified = 0;
        if self.now.boot < deadline { Ok(()) } else { self.tell(Event::Timeout) }
    }

    fn restart(&mut self) -> Result<(), String> {
        self.flight = None;
        self.round.clear();
        self.owed.clear();
        let restored = self.served.map(|serial| Restored { soa: soa(serial), confirmation: self.written });
        self.machine = Machine::new(settings(self.order), restored, self.now, 1);
        self.check()?;
        if self.machine.next_deadline() <= self.now.boot { self.tell(Event::Timeout) } else { Ok(()) }
    }

    /// As a restart, but that the time since the last confirmation is the wall clock's, which counts whole seconds.
    fn reboot(&mut self) -> Result<(), String> {
        self.boots += 1;
        self.now.boot_id = BootId([self.boots; 16]);
        let restored = self.served.map(|serial| Restored { soa: soa(serial), confirmation: self.written });
        let until = match Machine::new(settings(self.order), restored, self.now, 1).validity() {
            Validity::Current { until, .. } => until,
            Validity::Empty | Validity::Expired { .. } => self.now.boot,
        };
        let allowed = self.until.max(self.now.boot);
        if until > allowed + seconds(1) || until + seconds(1) < allowed {
            return Err(format!("served until {until:?} after a reboot, while contacts allow {allowed:?}"));
        }
        self.until = until;
        self.restart()
    }

    fn answer(&mut self, manner: Manner) -> Result<(), String> {
        let flight = self.flight.take().ok_or("nothing is asked")?;
        let Flight { attempt, primary, question, asked } = flight;
        let (theirs, way) = (Serial(self.serials[primary]), self.now.boot - asked);
        let expire = (manner == Manner::Expiring).then_some(16);
        let life = expire.map_or(seconds(EXPIRE), |life| seconds(life.into()).saturating_sub(way));
        let failure = |reason: Reason| Failure::from(reason).of_serial(theirs);
        let Some((question, accept)) = question else {
            let result = match manner {
                Manner::Fails(reason) => Err(reason.into()),
                Manner::Honest | Manner::Expiring => {
                    // RFC 7314 §3: at its end, a primary vouches for nothing.
                    if self.served == Some(theirs) && life > seconds(1) {
                        self.vouch(theirs, life, true);
                    }
                    Ok(ProbeAnswer { soa: soa(theirs), expire })
                }
            };
            return self.tell(Event::Probed { attempt, result });
        };
        let result = match (manner, accept.judge(theirs, expire)) {
            (Manner::Fails(reason), _) | (_, Judgement::Refuse(reason)) => Err(failure(reason)),
            (_, Judgement::UpToDate) => {
                self.vouch(theirs, life, true);
                Ok(Transferred::UpToDate { expire, authoritative: true })
            }
            (_, Judgement::Publish) => {
                self.vouch(theirs, life, false);
                let kind = if question == Question::Axfr { Kind::Axfr } else { Kind::Ixfr };
                Ok(Transferred::Published { soa: soa(theirs), expire, kind })
            }
        };
        let no_ixfr = matches!(&result, Err(failure) if failure.reason.class() == Class::IxfrUnavailable);
        self.tell(Event::Transferred { attempt, result })?;
        // RFC 1995 §4: the zone may still be had as a whole, there and at once.
        let whole = |flight: &Flight| {
            flight.primary == primary && matches!(flight.question, Some((Question::Axfr, _)))
        };
        if no_ixfr && !self.flight.as_ref().is_some_and(whole) {
            return Err(format!("no AXFR follows at primary {primary}: {:?}", self.flight));
        }
        Ok(())
    }

    /// The rule of RFC 1034 §4.3.5 and RFC 7314 §4, and nothing else.
    fn vouch(&mut self, serial: Serial, life: Duration, same: bool) {
        let fresh = self.now.boot + life;
        // Of an unchanged zone the life is never shortened.
        let until = if same && self.until > self.now.boot { self.until.max(fresh) } else { fresh };
        // Whole seconds, as they are written down.
        self.until = self.now.boot + seconds((until - self.now.boot).as_secs());
        self.served = Some(serial);
    }

    fn tell(&mut self, event: Event) -> Result<(), String> {
        self.machine.handle(event, self.now);
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Probe { attempt, target, .. } => self.launch(attempt, target.address, None)?,
                Action::Transfer { attempt, target, question, accept, .. } => {
                    self.launch(attempt, target.address, Some((question, accept)))?;
                }
                Action::Cancel { attempt } => {
                    let flight = self.flight.take().ok_or("cancels what does not run")?;
                    if flight.attempt != attempt {
                        return Err("cancels another attempt".into());
                    }
                }
                Action::Confirm(confirmation) => self.written = Some(confirmation),
                Action::Report(outcome) => self.hear(outcome),
                Action::Expire { .. } | Action::Revive { .. } => {}
            }
        }
        self.check()
    }

    fn hear(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::RefreshCurrent { .. } | Outcome::Published { .. } | Outcome::RefreshFailed { .. } => {
                self.round.clear();
            }
            Outcome::NotifyAccepted { from, hint, .. } => {
                let sender = (0..2).find(|i| address(*i).ip() == from).unwrap();
                // Who is no primary any more has nothing to be asked.
                let sender = Some(sender).filter(|sender| self.order.primaries().contains(sender));
                self.owed.push(Owed { sender, hint });
            }
            _ => {}
        }
    }

    fn launch(
        &mut self,
        attempt: AttemptId,
        to: SocketAddr,
        question: Option<(Question, Accept)>,
    ) -> Result<(), String> {
        let primary = (0..2).find(|i| address(*i) == to).ok_or("asks nobody's address")?;
        if self.flight.is_some() {
            return Err("two attempts in flight".into());
        }
        let what = match question {
            None => 0,
            Some((Question::Ixfr { .. }, _)) => 1,
            Some((Question::Axfr, _)) => 2,
        };
        if self.round.contains(&(primary, what)) {
            return Err(format!("asks primary {primary} the same twice in a round: {:?}", self.round));
        }
        self.round.push((primary, what));
        self.owed.retain(|owed| owed.sender.is_some_and(|sender| sender != primary));
        self.flight = Some(Flight { attempt, primary, question, asked: self.now.boot });
        Ok(())
    }

    /// What holds at every moment.
    fn check(&mut self) -> Result<(), String> {
        let until = match self.machine.validity() {
            Validity::Current { until, .. } => Some(until),
            Validity::Empty | Validity::Expired { .. } => None,
        };
        let vouched = self.served.map(|_| self.until);
        let live = |until: &Duration| *until > self.now.boot;
        if until.is_some_and(|until| !live(&until)) {
            return Err(format!("current, and its time has been over since {until:?}"));
        }
        if until.filter(live) != vouched.filter(live) {
            return Err(format!("served until {until:?}, while contacts allow {vouched:?}"));
        }
        if self.machine.serial() != self.served {
            return Err(format!("holds {:?} and published {:?}", self.machine.serial(), self.served));
        }
        let deadline = self.machine.next_deadline();
        if deadline > self.now.boot + seconds(PATIENCE.max(EXPIRE)) {
            return Err(format!("nothing is to happen before {deadline:?}"));
        }
        if let Some(ours) = self.serves() {
            let met = |hint: Serial| hint == ours || ours.newer_than(hint);
            self.owed.retain(|owed| !owed.hint.is_some_and(met));
        }
        match self.machine.activity() {
            Activity::Waiting { .. } if !self.owed.is_empty() => {
                Err(format!("a NOTIFY is lost: {:?}", self.owed))
            }
            Activity::Waiting { .. } | Activity::Suspended(_) if self.flight.is_some() => {
                Err("an attempt that nobody waits for".into())
            }
            Activity::Probing(_) | Activity::Transferring(_) if self.flight.is_none() => {
                Err("waits for an attempt that nobody makes".into())
            }
            _ => Ok(()),
        }
    }
}
