//! New settings for a zone that lives on.

use std::sync::Arc;

use crate::action::Action;
use crate::machine::{Activity, Demand, Machine};
use crate::notify::Pending;
use crate::round::Cause;
use crate::timers::Intervals;
use crate::{Now, Settings, Validity};

impl Machine {
    /// Takes over new settings. Nothing is confirmed by that: a deadline may come nearer, never move out.
    pub(crate) fn reconfigure(&mut self, settings: Arc<Settings>, now: Now) {
        let old = std::mem::replace(&mut self.settings, settings);
        if old.primaries() != self.settings.primaries() {
            self.memory = self.memory.carried_over(&old, &self.settings);
            self.leave_round(now);
        }
        self.shorten_life();
        let intervals = self.intervals();
        if Intervals::of(&old, self.served) != intervals {
            self.rearm(intervals, now);
        }
    }

    /// Drops the running round, since it names places in the old settings, and begins another.
    fn leave_round(&mut self, now: Now) {
        let waiting = Activity::Waiting { until: now.boot, why: Cause::Reconfigured };
        let round = match std::mem::replace(&mut self.activity, waiting) {
            Activity::Probing(attempt) | Activity::Transferring(attempt) => {
                self.actions.push_back(Action::Cancel { attempt: attempt.id });
                Some(attempt.round)
            }
            Activity::Suspended(suspended) => Some(suspended.round),
            Activity::Waiting { .. } => None,
        };
        if round.is_some_and(|r| r.forced) {
            self.demand(Demand::Retransfer);
        }
        // The bits of the senders belonged to the old settings.
        let hint = self
            .pending
            .take()
            .map(|p| p.hint)
            .or(round.filter(|r| r.cause == Cause::Notify).map(|r| r.hint));
        self.pending = hint.map(|hint| Box::new(Pending { senders: 0, hint }));
    }

    /// A lower bound of EXPIRE holds from the last confirmation on.
    fn shorten_life(&mut self) {
        if let (Validity::Current { until, life }, Some(served)) = (self.validity, self.served) {
            let shorter = life.min(self.settings.expire().clamp(served.expire));
            self.validity = Validity::Current { until: until.saturating_sub(life - shorter), life: shorter };
        }
    }

    /// Derives the deadline of a wait anew.
    fn rearm(&mut self, intervals: Intervals, now: Now) {
        let Activity::Waiting { until, why } = self.activity else { return };
        let until = match (why, self.validity) {
            (Cause::Refresh, Validity::Current { until: expiry, life }) => {
                let ago = life.saturating_sub(expiry.saturating_sub(now.boot));
                now.boot.saturating_add(self.refresh_in(life).saturating_sub(ago))
            }
            _ => until.min(now.boot.saturating_add(intervals.retry)),
        };
        self.activity = Activity::Waiting { until, why };
    }
}
