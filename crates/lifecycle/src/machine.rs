//! The state machine of one zone.
//!
//! ```text
//!  VALIDITY: may the zone be answered from?            RFC 1034 §4.3.5
//!
//!            published                        deadline passed (checked before every event)
//!   Empty ─────────────► Current ─────────────────────────────────────────────────► Expired
//!                        ▲  │ ▲                                                        │
//!                        └──┘ │  same serial from a validated probe, or published      │
//!                   confirmed └────────────────────────────────────────────────────────┘
//!
//!  ACTIVITY: what is being done about it?
//!
//!                 REFRESH or RETRY over · NOTIFY · operator · just expired
//!   ┌─────────┐ ─────────────────────────────────────────────────────────► ┌─────────┐
//!   │ Waiting │                                                            │ Probing │◄── next address,
//!   │  until  │ ◄───── same serial; or no primary left ─────────────────── │   SOA   │    next primary
//!   └─────────┘                                                            └─────────┘         ▲
//!     ▲     │   never loaded, or an operator insists: without probing   newer │                │
//!     │     └──────────────────────────────────────────────────────────────┐  │                │
//!     │                                                                    ▼  ▼                │
//!     │   published, up to date; or no primary left             ┌──────────────┐    failed     │
//!     ├──────────────────────────────────────────────────────── │ Transferring │ ──────────────┘
//!     │                                                         └──────────────┘
//!     │                                         IXFR cannot be had │        ▲ AXFR at the same address,
//!     │                                                            └────────┘ once in a round
//!  ┌───────────┐
//!  │ Suspended │ ◄── from Probing and Transferring when we ourselves could not; resumes where it stood
//!  └───────────┘
//! ```
//!
//! The two are independent: a zone may be transferring while it expires, and expire while it waits. The activities
//! beyond `Waiting` belong to a *round*, in which every primary is asked at most once (file `round`); what an answer
//! leads to is in file `attempts`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use secondo_wire::{Reason, Serial};

use crate::action::{Action, AttemptId, Question, Urgency};
use crate::backoff::{Dice, HoldDown};
use crate::event::{Event, Restored};
use crate::memory::Memory;
use crate::notify::{Pacing, Pending};
use crate::outcome::Outcome;
use crate::round::{Cause, Round};
use crate::timers::{Intervals, Timing};
use crate::{Now, PrimaryId, Settings, Target, Validity};

/// What is being done about the zone.
#[derive(Clone, Debug)]
pub enum Activity {
    /// Nothing before a deadline.
    Waiting {
        /// The deadline, on the boot clock.
        until: Duration,
        /// What happens then.
        why: Cause,
    },
    /// A failure of our own: the attempt stays in the queue.
    Suspended(Box<Suspended>),
    /// A primary was asked for its SOA.
    Probing(Box<Attempt>),
    /// A primary was asked for the zone.
    Transferring(Box<Attempt>),
}

/// A round that goes on where it stood.
#[derive(Clone, Debug)]
pub struct Suspended {
    /// When, on the boot clock.
    pub until: Duration,
    /// Why it had to stop.
    pub reason: Reason,
    pub(crate) round: Round,
}

/// A question to a primary that is not answered yet.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Its name.
    pub id: AttemptId,
    /// Whom it asks.
    pub target: Target,
    /// What it asks; `None` is the SOA.
    pub question: Option<Question>,
    /// When it was asked for, on the boot clock; once it was sent, that moment.
    pub asked: Duration,
    /// The serial that the primary's probe showed.
    pub(crate) probed: Option<Serial>,
    pub(crate) round: Round,
}

impl Attempt {
    /// Why the round was begun.
    pub fn cause(&self) -> Cause {
        self.round.cause
    }
}

/// Work that begins as soon as nothing else is running; the greatest wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Demand {
    PrimaryUp,
    Expired,
    Refresh,
    Retransfer,
}

/// The state machine of one zone. See the crate's documentation for how it is driven.
#[derive(Clone, Debug)]
pub struct Machine {
    pub(crate) settings: Arc<Settings>,
    pub(crate) served: Option<Timing>,
    pub(crate) validity: Validity,
    pub(crate) activity: Activity,
    pub(crate) memory: Memory,
    pub(crate) pacing: Pacing,
    pub(crate) pending: Option<Box<Pending>>,
    pub(crate) demand: Option<Demand>,
    /// Empty, and without an allocation, whenever the machine is at rest.
    pub(crate) actions: VecDeque<Action>,
    pub(crate) dice: Dice,
    pub(crate) attempts: u32,
    /// Failures of our own in a row.
    pub(crate) local_failures: u8,
    /// How many early warnings were given since the last confirmation.
    pub(crate) warned: u8,
    /// Why the last round failed; `None` after a success.
    pub(crate) last_failure: Option<(Reason, PrimaryId)>,
}

impl Machine {
    /// A zone, with what the disk kept of it. `seed` feeds the jitter. The caller reads [`Machine::validity`]: no
    /// `Expire` is said for a zone that is expired from the start.
    pub fn new(settings: Arc<Settings>, restored: Option<Restored>, now: Now, seed: u64) -> Machine {
        let mut machine = Machine {
            settings,
            served: None,
            validity: Validity::Empty,
            activity: Activity::Waiting { until: now.boot, why: Cause::Start },
            memory: Memory::default(),
            pacing: Pacing::full(),
            pending: None,
            demand: None,
            actions: VecDeque::new(),
            dice: Dice(seed),
            attempts: 0,
            local_failures: 0,
            warned: 0,
            last_failure: None,
        };
        if let Some(restored) = restored {
            machine.restore(&restored, now);
        }
        machine
    }

    /// Tells the machine what happened. Afterwards drain [`Machine::poll_action`].
    pub fn handle(&mut self, event: Event, now: Now) {
        // The deadline goes first: whatever the event is, it meets a zone that has expired if it has.
        self.lapse(now);
        match event {
            Event::Timeout => self.give_up_late_attempt(now),
            Event::Notify { from, hint } => self.notified(from, hint, now),
            Event::Sent { attempt } => self.sent(attempt, now),
            Event::Probed { attempt, result } => self.probed(attempt, result, now),
            Event::Transferred { attempt, result } => self.transferred(attempt, result, now),
            Event::Refresh => self.demand(Demand::Refresh),
            Event::Retransfer => self.demand(Demand::Retransfer),
            Event::ExpireNow => self.expire_now(now),
            Event::Reconfigure(settings) => self.reconfigure(settings, now),
            Event::PrimaryUp(address) => {
                let back = self.settings.mask(|p| p.addresses.contains(&address));
                if self.memory.network_is_back(back) {
                    self.demand(Demand::PrimaryUp);
                }
            }
        }
        // A life that was over when it was confirmed (RFC 7314 §4) ends here.
        self.lapse(now);
        self.settle(now);
    }

    /// The next thing to do; `None` when all was said.
    pub fn poll_action(&mut self) -> Option<Action> {
        let action = self.actions.pop_front();
        if self.actions.is_empty() {
            self.actions = VecDeque::new();
        }
        action
    }

    /// The moment (boot clock) at which [`Event::Timeout`] is due. There always is one.
    pub fn next_deadline(&self) -> Duration {
        let activity = match &self.activity {
            Activity::Waiting { until, .. } => match self.pending {
                Some(_) => self.pacing.next_allowance().min(*until),
                None => *until,
            },
            Activity::Suspended(suspended) => suspended.until,
            Activity::Probing(a) | Activity::Transferring(a) => {
                a.asked.saturating_add(self.settings.patience())
            }
        };
        let warning = self.next_warning().map_or(Duration::MAX, |(_, at)| at);
        match self.validity {
            Validity::Current { until, .. } => activity.min(until).min(warning),
            Validity::Empty | Validity::Expired { .. } => activity,
        }
    }

    /// Whether the zone may be answered from.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// What is being done about it.
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    /// The serial of the version held, served or not.
    pub fn serial(&self) -> Option<Serial> {
        self.served.map(|s| s.serial)
    }

    /// Why the last round failed; `None` when it succeeded.
    pub fn last_failure(&self) -> Option<(Reason, PrimaryId)> {
        self.last_failure
    }

    /// Whether the attempt is the one whose answer is awaited.
    pub fn awaits(&self, attempt: AttemptId) -> bool {
        match &self.activity {
            Activity::Probing(a) | Activity::Transferring(a) => a.id == attempt,
            Activity::Waiting { .. } | Activity::Suspended(_) => false,
        }
    }

    /// How long the addresses of this zone's primaries are left alone when they are dead.
    pub fn hold_down(&self) -> HoldDown {
        HoldDown::of(&self.settings, self.intervals())
    }

    /// The settings in force.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    pub(crate) fn intervals(&self) -> Intervals {
        Intervals::of(&self.settings, self.served)
    }

    /// A jittered wait until the next probe, for a version confirmed just now.
    pub(crate) fn refresh_in(&mut self, life: Duration) -> Duration {
        let interval = self.intervals().until_refresh(&self.settings, life);
        self.dice.shorten(interval, self.settings.refresh().min())
    }

    pub(crate) fn urgency(&self, cause: Cause, now: Now) -> Urgency {
        match (cause, self.validity) {
            (Cause::Notify | Cause::Operator, _) => Urgency::Asked,
            (_, Validity::Empty | Validity::Expired { .. }) => Urgency::NotServed,
            (_, Validity::Current { until, life }) => {
                let endangered = until.saturating_sub(now.boot) < life / 2;
                if endangered { Urgency::Expiring(until) } else { Urgency::Routine(until) }
            }
        }
    }

    pub(crate) fn report(&mut self, outcome: Outcome) {
        self.actions.push_back(Action::Report(outcome));
    }

    pub(crate) fn demand(&mut self, demand: Demand) {
        self.demand = self.demand.max(Some(demand));
    }

    /// Whether the serial is being answered from.
    pub(crate) fn serves(&self, serial: Serial) -> bool {
        matches!(self.validity, Validity::Current { .. }) && self.serial() == Some(serial)
    }

    /// Begins what is due, when nothing is running.
    fn settle(&mut self, now: Now) {
        match &self.activity {
            Activity::Waiting { until, why } => {
                let (until, why) = (*until, *why);
                self.pending = self.pending.take().filter(|p| p.hint.is_none_or(|hint| !self.serves(hint)));
                if let Some(demand) = self.demand.take() {
                    self.begin_demanded(demand, now);
                } else if self.pending.is_some() && self.pacing.take(now.boot) {
                    self.begin(Round::new(Cause::Notify), now);
                } else if now.boot >= until {
                    let hint = if let Cause::Hint(serial) = why { Some(serial) } else { None };
                    let mut round = Round::new(why);
                    round.hint = hint;
                    self.begin(round, now);
                }
            }
            Activity::Suspended(suspended) => {
                let insists = self.demand >= Some(Demand::Refresh);
                if insists || now.boot >= suspended.until {
                    let mut round = suspended.round;
                    if insists {
                        round.forced |= self.demand.take() == Some(Demand::Retransfer);
                    }
                    self.ask(round, now);
                }
            }
            Activity::Probing(_) | Activity::Transferring(_) => {}
        }
    }

    fn begin_demanded(&mut self, demand: Demand, now: Now) {
        let (cause, forced) = match demand {
            Demand::PrimaryUp => (Cause::PrimaryUp, false),
            Demand::Expired => (Cause::Expired, false),
            Demand::Refresh => (Cause::Operator, false),
            Demand::Retransfer => (Cause::Operator, true),
        };
        if cause == Cause::Operator {
            self.memory.reset_backoff();
        }
        let mut round = Round::new(cause);
        round.forced = forced;
        self.begin(round, now);
    }

    /// Begins a round. One that asks all primaries answers the NOTIFYs that wait, too.
    fn begin(&mut self, mut round: Round, now: Now) {
        if round.cause.out_of_turn()
            && let Some(pending) = self.pending.take()
        {
            round.preferred |= pending.senders;
            round.hint = pending.hint;
            round.owed = if pending.hint.is_none() { pending.senders } else { 0 };
        }
        self.next_primary(round, now);
    }
}
