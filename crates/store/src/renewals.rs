//! Images that are to be written anew: those that the steps behind them have outgrown, with what the disk said of it, and
//! those with damage behind them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use secondo_wire::Name;

use crate::backlog::RETRY;

/// See the module.
#[derive(Default)]
pub(crate) struct Renewals {
    zones: BTreeMap<Name, Renewal>,
    /// Zones with a damaged step behind their image.
    damaged: BTreeSet<Name>,
}

enum Renewal {
    Written {
        /// How long the next try waits should this one fail.
        delay: Duration,
    },
    Refused {
        until: Instant,
        delay: Duration,
    },
}

impl Renewals {
    /// Whether the image of a zone is to be written anew now; then it is on its way. An image is large: after a refusal
    /// not every step that follows is worth another try.
    pub(crate) fn begin(&mut self, apex: &Name, now: Instant) -> bool {
        let delay = match self.zones.get(apex) {
            None => RETRY.0,
            Some(Renewal::Refused { until, delay }) if *until <= now => *delay,
            Some(_) => return false,
        };
        self.zones.insert(apex.clone(), Renewal::Written { delay });
        true
    }

    /// The disk has it, or it is of no use any more.
    pub(crate) fn done(&mut self, apex: &Name) {
        self.zones.remove(apex);
    }

    /// The disk refused it.
    pub(crate) fn refused(&mut self, apex: &Name, now: Instant) {
        if let Some(renewal) = self.zones.get_mut(apex)
            && let Renewal::Written { delay } = *renewal
        {
            *renewal = Renewal::Refused { until: now + delay, delay: (delay * 2).min(RETRY.1) };
        }
    }

    /// A step behind the image of a zone is damaged; whether that is news.
    pub(crate) fn damaged(&mut self, apex: &Name) -> bool {
        self.damaged.insert(apex.clone())
    }

    /// Whether the next version of a zone needs an image.
    pub(crate) fn is_damaged(&self, apex: &Name) -> bool {
        self.damaged.contains(apex)
    }

    /// It has one.
    pub(crate) fn mended(&mut self, apex: &Name) {
        self.damaged.remove(apex);
    }

    /// A zone has an image that is good for some time: what was refused before is of no account.
    pub(crate) fn forget(&mut self, apex: &Name) {
        if let Some(Renewal::Refused { .. }) = self.zones.get(apex) {
            self.zones.remove(apex);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_each_refusal_the_next_try_waits_longer_and_success_forgets() {
        let (apex, mut renewals) = (Name::parse("example.").unwrap(), Renewals::default());
        let mut now = Instant::now();
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(renewals.begin(&apex, now));
            assert!(!renewals.begin(&apex, now), "it is on its way");
            renewals.forget(&apex);
            assert!(!renewals.begin(&apex, now), "it still is");
            renewals.refused(&apex, now);
            now += Duration::from_secs(seconds) - Duration::from_millis(1);
            assert!(!renewals.begin(&apex, now));
            now += Duration::from_millis(1);
        }
        assert!(renewals.begin(&apex, now));
        renewals.done(&apex);
        assert!(renewals.begin(&apex, now));
        renewals.refused(&apex, now);
        renewals.forget(&apex);
        assert!(renewals.begin(&apex, now));
    }
}
