//! What an answer leads to: the failure table and the ladder from IXFR to AXFR to the next primary.

use secondo_wire::{Class, Reason, Serial, SerialOrder, Soa};

use crate::accept::{Accept, at_its_end};
use crate::action::{Action, AttemptId, Question};
use crate::event::{Failure, Kind, ProbeAnswer, Transferred};
use crate::expiry::Version;
use crate::ladder::{Next, next};
use crate::machine::{Activity, Attempt, Machine, Suspended};
use crate::outcome::{Outcome, Step};
use crate::round::{Cause, Contact, Round};
use crate::timers::{Intervals, Timing};
use crate::{Now, Validity};

impl Attempt {
    fn step(&self) -> Step {
        match self.question {
            None => Step::Probe,
            Some(Question::Axfr) => Step::Axfr,
            Some(Question::Ixfr { .. }) => Step::Ixfr,
        }
    }
}

impl Machine {
    /// Asks the next primary of the round, or ends it.
    pub(crate) fn next_primary(&mut self, mut round: Round, now: Now) {
        if round.next_primary(&self.settings, &self.memory, now.boot) {
            self.ask(round, now);
        } else {
            self.conclude(round, now);
        }
    }

    /// Asks the present address of the round.
    pub(crate) fn ask(&mut self, round: Round, now: Now) {
        // RFC 1034 §4.3.5 wants the SOA first, to save a transfer; a zone never loaded has nothing to save, unless
        // the primary's version was found unfit a moment ago.
        let blind = self.served.is_none() && !self.memory.has_unfit(round.primary(), now.boot);
        if round.forced || blind {
            self.transfer(round, None, Question::Axfr, Accept::Any, now);
        } else if let Some(ours) = self.told(&round) {
            let question = Question::Ixfr { from: ours };
            self.transfer(round, None, question, Accept::NewerThan(ours), now);
        } else {
            self.probe(round, now);
        }
    }

    /// Our serial, when the present primary told of a newer one by NOTIFY. It is asked at once for what is new:
    /// an IXFR tells the serial as a probe does (RFC 1995 §2: a lone SOA when nothing is new), and saves an exchange with
    /// every change. A NOTIFY is easily forged: it gets no whole zone, and only the word of a primary counts against
    /// which nothing is held.
    fn told(&self, round: &Round) -> Option<Serial> {
        let ours = self.served.filter(|_| matches!(self.validity, Validity::Current { .. }))?.serial;
        let told = round.cause == Cause::Notify && round.is_called() && self.unmet(round).is_some();
        let primary = round.primary();
        let willing = self.settings.primaries().get(primary).is_some_and(|p| p.ixfr);
        (told && willing && self.memory.is_trusted(primary)).then_some(ours)
    }

    fn probe(&mut self, round: Round, now: Now) {
        let attempt = self.attempt(round, None, now);
        let urgency = self.urgency(round.cause, now);
        self.actions.push_back(Action::Probe { attempt: attempt.id, target: attempt.target, urgency });
        self.activity = Activity::Probing(Box::new(attempt));
    }

    fn transfer(
        &mut self,
        round: Round,
        probed: Option<Serial>,
        question: Question,
        accept: Accept,
        now: Now,
    ) {
        let attempt = Attempt { probed, ..self.attempt(round, Some(question), now) };
        let urgency = self.urgency(round.cause, now);
        let (id, target) = (attempt.id, attempt.target);
        self.actions.push_back(Action::Transfer { attempt: id, target, question, accept, urgency });
        self.activity = Activity::Transferring(Box::new(attempt));
    }

    fn attempt(&mut self, round: Round, question: Option<Question>, now: Now) -> Attempt {
        self.attempts = self.attempts.wrapping_add(1);
        let target = round.target(&self.settings);
        Attempt { id: AttemptId(self.attempts), target, question, asked: now.boot, probed: None, round }
    }

    /// Takes the running attempt, when it is the one that an event is about. The caller begins another or concludes.
    fn take(&mut self, id: AttemptId, step: fn(Step) -> bool, now: Now) -> Option<Attempt> {
        let (Activity::Probing(attempt) | Activity::Transferring(attempt)) = &self.activity else {
            return None;
        };
        if attempt.id != id || !step(attempt.step()) {
            return None;
        }
        let waiting = Activity::Waiting { until: now.boot, why: Cause::Retry };
        match std::mem::replace(&mut self.activity, waiting) {
            Activity::Probing(attempt) | Activity::Transferring(attempt) => Some(*attempt),
            Activity::Waiting { .. } | Activity::Suspended(_) => None,
        }
    }

    /// The question leaves.
    pub(crate) fn sent(&mut self, id: AttemptId, now: Now) {
        if let Activity::Probing(attempt) | Activity::Transferring(attempt) = &mut self.activity
            && attempt.id == id
        {
            attempt.asked = now.boot;
        }
    }

    /// A probe ended.
    pub(crate) fn probed(&mut self, id: AttemptId, result: Result<ProbeAnswer, Failure>, now: Now) {
        let Some(attempt) = self.take(id, |s| s == Step::Probe, now) else { return };
        let answer = match result {
            Ok(answer) => answer,
            Err(failure) => return self.failed(attempt, failure, now),
        };
        let theirs = answer.soa.serial;
        let fail = |reason| Failure::from(reason).of_serial(theirs);
        let on_the_way = now.boot.saturating_sub(attempt.asked);
        let left = answer.expire.map(|e| u64::from(e).saturating_sub(on_the_way.as_secs()));
        // RFC 7314 §3: a primary whose own copy has no life left has none to give.
        if left.is_some_and(|seconds| seconds <= 1) {
            return self.failed(attempt, fail(Reason::PrimaryExpiring), now);
        }
        // RFC 1034 §4.3.5 with RFC 1982 §3.2; a zone that is not answered from takes any serial.
        let current = matches!(self.validity, Validity::Current { .. });
        match self.served.map(|ours| (ours, theirs.compare(ours.serial))) {
            Some((ours, SerialOrder::Equal)) => {
                self.confirm(ours.life(&self.settings, answer.expire, on_the_way), Version::Same, now);
                self.succeeded(attempt, None, now);
            }
            Some((_, SerialOrder::Older)) if current => {
                self.failed(attempt, fail(Reason::SerialBehind), now);
            }
            Some((_, SerialOrder::Undefined)) if current => {
                self.failed(attempt, fail(Reason::SerialIncomparable), now);
            }
            _ => self.fetch(attempt, theirs, now),
        }
    }

    /// The probe showed a version worth having.
    fn fetch(&mut self, attempt: Attempt, theirs: Serial, now: Now) {
        let round = attempt.round;
        if round.cause != Cause::Operator
            && let Some(reason) = self.memory.unfit(round.primary(), theirs, now.boot)
        {
            // It was fetched a moment ago and is unfit; the time that it is left alone does not begin anew.
            return self.failed(attempt, Failure::from(reason), now);
        }
        let ours = self.served.filter(|_| matches!(self.validity, Validity::Current { .. }));
        let willing = self.settings.primaries().get(round.primary()).is_some_and(|p| p.ixfr)
            && self.memory.ixfr(round.primary(), now.boot);
        let (question, accept) = match ours {
            Some(ours) if willing => (Question::Ixfr { from: ours.serial }, Accept::NewerThan(ours.serial)),
            Some(ours) => (Question::Axfr, Accept::NewerThan(ours.serial)),
            // RFC 1995 §3: IXFR starts from a version that is served; what has expired is replaced as a whole.
            None => (Question::Axfr, Accept::Any),
        };
        self.transfer(round, Some(theirs), question, accept, now);
    }

    /// A transfer ended.
    pub(crate) fn transferred(&mut self, id: AttemptId, result: Result<Transferred, Failure>, now: Now) {
        let attempt = self.take(id, |s| s != Step::Probe, now);
        match (attempt, result) {
            (attempt, Ok(Transferred::Published { soa, expire, kind })) => {
                self.published(attempt, &soa, expire, kind, now);
            }
            // RFC 1034 §4.3.5 renews by the word of an authority: neither this answer nor a probe before it was one.
            (Some(attempt), Ok(Transferred::UpToDate { authoritative: false, .. }))
                if attempt.probed.is_none() =>
            {
                self.probe(attempt.round, now);
            }
            (Some(attempt), Ok(Transferred::UpToDate { expire, .. })) => match self.served {
                Some(_) if at_its_end(expire) => self.failed(attempt, Reason::PrimaryExpiring.into(), now),
                // Its SOA told of more a moment ago: RFC 1034 §4.3.5 renews by what an authority has, and two answers that
                // differ do not say which of them is that.
                Some(ours) if attempt.probed.is_some_and(|told| told.newer_than(ours.serial)) => {
                    self.failed(attempt, Reason::SerialBehind.into(), now);
                }
                Some(ours) => {
                    let on_the_way = now.boot.saturating_sub(attempt.asked);
                    self.confirm(ours.life(&self.settings, expire, on_the_way), Version::Same, now);
                    self.succeeded(attempt, None, now);
                }
                // Nothing is served that could be up to date.
                None => self.failed(attempt, Reason::Internal.into(), now),
            },
            (Some(attempt), Err(failure)) => self.failed(attempt, failure, now),
            (None, _) => {}
        }
    }

    /// Another version is served: a fact, whether or not the attempt was still awaited.
    fn published(&mut self, attempt: Option<Attempt>, soa: &Soa, expire: Option<u32>, kind: Kind, now: Now) {
        let new = Timing::from(soa);
        let old = self.served.replace(new);
        self.memory.changed();
        let on_the_way = attempt.as_ref().map(|a| now.boot.saturating_sub(a.asked)).unwrap_or_default();
        let known = old.is_some_and(|old| old.same_intervals(&new));
        let version = if known { Version::New } else { Version::NewTimers };
        self.confirm(new.life(&self.settings, expire, on_the_way), version, now);
        if let Some(attempt) = attempt {
            self.succeeded(attempt, Some((old.map(|o| o.serial), kind)), now);
        }
    }

    /// Says which of the owner's timers do not hold.
    pub(crate) fn warn_of_bounds(&mut self) {
        let Some(ours) = self.served else { return };
        let settings = &self.settings;
        let refresh = (ours.refresh, settings.refresh().clamp(ours.refresh));
        let retry = (ours.retry, settings.retry().clamp(ours.retry));
        let expire = (ours.expire, ours.expire_that_holds(settings, self.validity));
        if [refresh, retry, expire].iter().any(|(soa, holds)| holds.as_secs() != u64::from(*soa)) {
            self.report(Outcome::TimersBounded { refresh, retry, expire });
        }
    }

    /// A primary vouched for the version held. The round ends, unless a NOTIFY or a SOA promised more than it has, or
    /// may have.
    fn succeeded(&mut self, attempt: Attempt, news: Option<(Option<Serial>, Kind)>, now: Now) {
        let mut round = attempt.round;
        self.memory.succeeded(round.place(), round.detour, now.boot, &self.settings);
        if round.is_called() && self.unmet(&round).is_some() {
            self.memory.boasted(round.primary(), &self.settings);
        }
        round.expect(attempt.probed);
        let news = news.or(round.contact.and_then(|c| c.news));
        round.contact = Some(Contact { target: attempt.target, news });
        if self.unmet(&round).is_some() || round.owes() {
            self.next_primary(round, now);
        } else {
            self.conclude(round, now);
        }
    }

    /// The serial that a NOTIFY or a SOA promised and that is newer than ours.
    fn unmet(&self, round: &Round) -> Option<Serial> {
        round.hint.filter(|hint| self.serial().is_some_and(|ours| hint.newer_than(ours)))
    }

    /// An attempt brought nothing: the failure table.
    fn failed(&mut self, attempt: Attempt, failure: Failure, now: Now) {
        let (mut round, target, step) = (attempt.round, attempt.target, attempt.step());
        if step != Step::Probe && failure.reason.class() == Class::Serial {
            round.expect(attempt.probed);
        }
        let failure = Failure { serial: failure.serial.or(attempt.probed), ..failure };
        let reason = failure.reason;
        self.report(Outcome::AttemptFailed { target, step, reason, serial: failure.serial });
        let next = next(reason.class(), step);
        if matches!(next, Next::Address | Next::Primary) {
            round.detour = round.detour.after(reason.class());
        }
        match next {
            Next::Axfr => {
                self.report(Outcome::Fallback { target, reason });
                self.memory.bar_ixfr(round.primary(), reason, now.boot, &self.settings);
                let accept = match self.validity {
                    Validity::Current { .. } => self.serial().map_or(Accept::Any, Accept::NewerThan),
                    Validity::Empty | Validity::Expired { .. } => Accept::Any,
                };
                self.transfer(round, attempt.probed, Question::Axfr, accept, now);
            }
            Next::Address if round.next_address(&self.settings) => self.ask(round, now),
            Next::Address | Next::Primary => {
                round.failure = Some((reason, target.primary));
                let intervals = self.intervals();
                let settings = self.settings.clone();
                self.memory.failed(round.primary(), failure, now.boot, &settings, intervals, &mut self.dice);
                self.next_primary(round, now);
            }
            Next::Later => self.suspend(round, attempt, reason, now),
        }
    }

    /// We ourselves could not: the round stays where it is, since another primary would not help.
    fn suspend(&mut self, round: Round, attempt: Attempt, reason: Reason, now: Now) {
        self.local_failures = self.local_failures.saturating_add(1);
        let intervals = self.intervals();
        let wait = crate::backoff::delay(
            Class::Local,
            self.local_failures,
            &self.settings,
            intervals,
            &mut self.dice,
        );
        let primary = attempt.target.primary;
        if round.contact.is_none() {
            self.last_failure = Some((reason, primary));
        }
        let next_in = self.acts_in(wait, now);
        self.report(Outcome::RefreshFailed { reason, primary, next_in });
        let until = now.boot.saturating_add(wait);
        self.activity = Activity::Suspended(Box::new(Suspended { until, reason, round }));
        self.warn(now);
    }

    /// The round is over.
    fn conclude(&mut self, round: Round, now: Now) {
        let intervals = self.intervals();
        let (wait, why) = match (round.contact, self.validity) {
            (Some(contact), Validity::Current { life, .. }) => {
                let (wait, why) = self.after_contact(&round, life, intervals);
                self.report_contact(contact, self.acts_in(wait, now));
                (wait, why)
            }
            _ => {
                let wait = self.memory.earliest().saturating_sub(now.boot);
                if let Some((reason, primary)) = round.failure {
                    self.last_failure = Some((reason, primary));
                    let next_in = self.acts_in(wait, now);
                    self.report(Outcome::RefreshFailed { reason, primary, next_in });
                }
                (wait, Cause::Retry)
            }
        };
        self.activity = Activity::Waiting { until: now.boot.saturating_add(wait), why };
        self.warn(now);
    }

    fn after_contact(
        &mut self,
        round: &Round,
        life: std::time::Duration,
        intervals: Intervals,
    ) -> (std::time::Duration, Cause) {
        let refresh = self.refresh_in(life);
        match (self.unmet(round), round.cause) {
            // A primary may send NOTIFY before all of its servers have the version: once more, then no more, or a
            // hint from nowhere would keep us asking for ever.
            (Some(hint), Cause::Hint(_)) => {
                let serial = self.serial().unwrap_or(hint);
                self.report(Outcome::HintForgotten { hint, serial });
                (refresh, Cause::Refresh)
            }
            (Some(hint), _) => {
                let again = self.dice.shorten(intervals.retry, self.settings.retry().min());
                if again < refresh { (again, Cause::Hint(hint)) } else { (refresh, Cause::Refresh) }
            }
            (None, _) => (refresh, Cause::Refresh),
        }
    }

    /// How long until it acts by itself, when it would wait so long: it does when it expires, too.
    fn acts_in(&self, wait: std::time::Duration, now: Now) -> std::time::Duration {
        match self.validity {
            Validity::Current { until, .. } => wait.min(until.saturating_sub(now.boot)),
            Validity::Empty | Validity::Expired { .. } => wait,
        }
    }

    fn report_contact(&mut self, contact: Contact, next_in: std::time::Duration) {
        let Some(serial) = self.serial() else { return };
        let target = contact.target;
        self.report(match contact.news {
            Some((from, kind)) => Outcome::Published { target, serial, from, kind, next_in },
            None => Outcome::RefreshCurrent { target, serial, next_in },
        });
    }

    /// The last resort against a job that never answers.
    pub(crate) fn give_up_late_attempt(&mut self, now: Now) {
        let (Activity::Probing(attempt) | Activity::Transferring(attempt)) = &self.activity else { return };
        if now.boot < attempt.asked.saturating_add(self.settings.patience()) {
            return;
        }
        let id = attempt.id;
        self.actions.push_back(Action::Cancel { attempt: id });
        if let Some(attempt) = self.take(id, |_| true, now) {
            self.failed(attempt, Reason::Timeout.into(), now);
        }
    }
}
