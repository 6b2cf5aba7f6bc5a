//! Until when a zone is answered from.

use std::time::Duration;

use crate::event::Restored;
use crate::machine::{Activity, Demand, Machine};
use crate::outcome::Outcome;
use crate::round::Cause;
use crate::timers::Timing;
use crate::{Action, Confirmation, Now};

/// Early warnings: per cent of a zone's life that has gone since it was confirmed.
const WARNINGS: [u8; 3] = [50, 75, 90];

/// Whether the zone may be answered from. Moments are on the boot clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Never loaded.
    Empty,
    /// A primary vouched for it.
    Current {
        /// The moment at which it expires.
        until: Duration,
        /// From the confirmation to that moment.
        life: Duration,
    },
    /// Nobody vouched for it in time.
    Expired {
        /// The moment at which that was so.
        since: Duration,
        /// How long before that moment it was confirmed, when known.
        age: Option<Duration>,
    },
}

/// What a primary vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// What was held before.
    Same,
    /// Another, just published.
    New,
    /// Another with other timers.
    NewTimers,
}

impl Machine {
    /// Takes over what the disk kept.
    pub(crate) fn restore(&mut self, restored: &Restored, now: Now) {
        let timing = Timing::from(&restored.soa);
        self.served = Some(timing);
        let longest = self.settings.expire().clamp(timing.expire);
        // A confirmation of a later version says nothing for an earlier one; of an earlier one, it is the older and
        // therefore the safe of two facts.
        let standing = restored
            .confirmation
            .filter(|c| c.serial == timing.serial || timing.serial.newer_than(c.serial))
            .map(|c| c.restore(now, longest));
        let Some(standing) = standing.filter(|s| !s.left().is_zero()) else {
            self.validity = Validity::Expired { since: now.boot, age: standing.map(|s| s.ago) };
            return;
        };
        self.validity =
            Validity::Current { until: now.boot.saturating_add(standing.left()), life: standing.life };
        let refresh = self.refresh_in(standing.life).saturating_sub(standing.ago);
        if !standing.doubtful && !refresh.is_zero() {
            self.activity =
                Activity::Waiting { until: now.boot.saturating_add(refresh), why: Cause::Refresh };
        }
    }

    /// After a start: what was announced while nobody listened should not wait for REFRESH. Brings the next look
    /// forward to a random moment within `window`, which the caller chooses by how many zones start together.
    pub fn look_within(&mut self, window: Duration, now: Now) {
        let soon = now.boot.saturating_add(self.dice.within(window));
        if let Activity::Waiting { until, .. } = &mut self.activity {
            *until = soon.min(*until);
        }
    }

    /// RFC 1034 §4.3.5: expires the zone when its time has come; else gives the early warnings that are due.
    pub(crate) fn lapse(&mut self, now: Now) {
        let Validity::Current { until, life } = self.validity else { return };
        if now.boot >= until {
            self.validity = Validity::Expired { since: until, age: Some(life) };
            let confirmed_ago = life.saturating_add(now.boot.saturating_sub(until));
            self.actions.push_back(Action::Expire { confirmed_ago });
            // What forbade asking, a serial behind ours above all, is void now: any serial is good.
            self.memory.reset_backoff();
            self.demand(Demand::Expired);
        } else {
            self.warn(now);
        }
    }

    pub(crate) fn warn(&mut self, now: Now) {
        while let (Some((percent, at)), Some((reason, _)), Validity::Current { until, .. }) =
            (self.next_warning(), self.last_failure, self.validity)
            && now.boot >= at
        {
            self.warned += 1;
            // Of several that are due only the last is said.
            if self.next_warning().is_none_or(|(_, next)| now.boot < next) {
                let expires_in = until.saturating_sub(now.boot);
                self.report(Outcome::Expiring { percent, expires_in, reason });
            }
        }
    }

    /// A zone whose REFRESH is long passes half of its life in good health: warnings need a failed round.
    pub(crate) fn next_warning(&self) -> Option<(u8, Duration)> {
        let (Validity::Current { until, life }, Some(_)) = (self.validity, self.last_failure) else {
            return None;
        };
        let percent = *WARNINGS.get(usize::from(self.warned))?;
        Some((percent, until.saturating_sub(life / 100 * u32::from(100 - percent))))
    }

    /// A primary vouches for the version held, which lives so long from now.
    pub(crate) fn confirm(&mut self, life: Duration, version: Version, now: Now) {
        let Some(served) = self.served else { return };
        let new = now.boot.saturating_add(life);
        let raised = |validity: Validity| match validity {
            Validity::Current { life, .. } => life.as_secs() > u64::from(served.expire),
            Validity::Empty | Validity::Expired { .. } => false,
        };
        let was_raised = raised(self.validity);
        let (same, is_news) = (version == Version::Same, version == Version::NewTimers);
        let until = match self.validity {
            // RFC 7314 §4: for an unchanged zone the option never shortens what an earlier contact gave.
            Validity::Current { until, .. } if same => until.max(new),
            _ => new,
        };
        if matches!(self.validity, Validity::Expired { .. }) {
            self.actions.push_back(Action::Revive { serial: served.serial });
        }
        let confirmation = Confirmation::given(served.serial, until.saturating_sub(now.boot), now);
        let life = Duration::from_secs(confirmation.expire_in);
        self.validity = Validity::Current { until: confirmation.until(), life };
        self.actions.push_back(Action::Confirm(confirmation));
        (self.warned, self.last_failure, self.local_failures) = (0, None, 0);
        self.demand = self.demand.filter(|d| *d >= Demand::Refresh);
        if is_news || !was_raised && raised(self.validity) {
            self.warn_of_bounds();
        }
    }

    /// The drill: expires the zone by order. It is written down, or a restart would undo it.
    pub(crate) fn expire_now(&mut self, now: Now) {
        let (Validity::Current { until, life }, Some(served)) = (self.validity, self.served) else { return };
        let confirmed_ago = life.saturating_sub(until.saturating_sub(now.boot));
        let over = Confirmation::given(served.serial, Duration::ZERO, now);
        self.actions.push_back(Action::Confirm(over));
        self.validity = Validity::Expired { since: now.boot, age: Some(confirmed_ago) };
        self.actions.push_back(Action::Expire { confirmed_ago });
        if let Activity::Waiting { .. } = self.activity {
            let until = now.boot.saturating_add(self.intervals().retry);
            self.activity = Activity::Waiting { until, why: Cause::Retry };
        }
    }
}
