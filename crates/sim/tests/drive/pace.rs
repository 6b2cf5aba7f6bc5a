//! How fast the zones of a world live: their timers, and the bounds within which we keep them.

use std::sync::Arc;
use std::time::Duration;

use secondo_lifecycle::{Bounds, Primary, PrimaryId, Settings};

use crate::stage::address;

/// A least and a greatest number of seconds.
pub(crate) type Range = (u64, u64);

pub(crate) struct Pace {
    /// REFRESH, RETRY and EXPIRE as the SOA says them, seconds.
    pub(crate) soa: [u32; 3],
    pub(crate) refresh: Range,
    pub(crate) retry: Range,
    pub(crate) expire: Range,
    /// Bounds of refresh and retry that an operator may set instead.
    pub(crate) others: [(Range, Range); 2],
}

/// Half an hour between questions, half a day to live.
pub(crate) const QUICK: Pace = Pace {
    soa: [1800, 300, 43_200],
    refresh: (60, 3600),
    retry: (10, 600),
    expire: (3600, 86_400),
    others: [((600, 1200), (60, 90)), ((300, 7200), (600, 600))],
};

/// A day between questions, two weeks to live.
pub(crate) const SLOW: Pace = Pace {
    soa: [86_400, 7200, 1_209_600],
    refresh: (3600, 172_800),
    retry: (600, 14_400),
    expire: (86_400, 2_592_000),
    others: [((14_400, 86_400), (3600, 5400)), ((3600, 345_600), (7200, 7200))],
};

impl Pace {
    /// With these primaries, each once.
    pub(crate) fn settings(&self, primaries: &[usize]) -> Arc<Settings> {
        settings(primaries, self.refresh, self.retry, self.expire)
    }

    /// With other bounds, the one or the other.
    pub(crate) fn other(&self, which: usize, primaries: &[usize]) -> Arc<Settings> {
        let (refresh, retry) = self.others[which];
        settings(primaries, refresh, retry, self.expire)
    }

    /// EXPIRE within its bounds.
    pub(crate) fn life(&self) -> Duration {
        Duration::from_secs(u64::from(self.soa[2]).clamp(self.expire.0, self.expire.1))
    }

    /// Until all is in order when all are honest.
    pub(crate) fn quiet(&self) -> u64 {
        2 * self.refresh.1 + 2 * self.retry.1 + 60
    }

    /// The longest time without a deadline.
    pub(crate) fn longest(&self) -> Duration {
        let all = self.others.iter().map(|(refresh, retry)| refresh.1.max(retry.1)).max();
        Duration::from_secs(all.unwrap_or(0).max(self.refresh.1).max(self.retry.1)).max(Settings::PATIENCE)
    }
}

fn settings(primaries: &[usize], refresh: Range, retry: Range, expire: Range) -> Arc<Settings> {
    let bounds = |(min, max)| Bounds::new(Duration::from_secs(min), Duration::from_secs(max)).unwrap();
    let mut primaries = primaries.to_vec();
    primaries.dedup();
    let primary = |i: usize| Primary { id: PrimaryId(i as u32), addresses: vec![address(i)], ixfr: true };
    let primaries = primaries.into_iter().map(primary).collect();
    Arc::new(Settings::new(bounds(refresh), bounds(retry), bounds(expire), primaries).unwrap())
}
