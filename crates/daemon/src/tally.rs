//! What should not be, counted since the start without a lock: said in the log once a minute at most, and what needs a person
//! shown by `status` for an hour. Whoever counts says itself what there is to say.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::table::span;

/// How long nothing more is said, milliseconds.
const QUIET: u64 = 60_000;
/// How long status tells of it, milliseconds.
const SHOWN: u64 = 3_600_000;

/// Counts of `N` kinds. Times are milliseconds since boot.
#[derive(Debug)]
pub(crate) struct Tally<const N: usize> {
    counts: [AtomicU64; N],
    /// When the last was counted, and when the first of those between which there was always less than [`QUIET`].
    at: AtomicU64,
    began: AtomicU64,
    said: Mutex<Said<N>>,
}

#[derive(Debug)]
struct Said<const N: usize> {
    counts: [u64; N],
    quiet_until: u64,
}

impl<const N: usize> Default for Tally<N> {
    fn default() -> Self {
        Tally {
            counts: [const { AtomicU64::new(0) }; N],
            at: AtomicU64::new(0),
            began: AtomicU64::new(0),
            said: Mutex::new(Said { counts: [0; N], quiet_until: 0 }),
        }
    }
}

impl<const N: usize> Tally<N> {
    /// Counts so many more of each kind.
    pub(crate) fn note(&self, more: [u64; N], boot_ms: u64) {
        let before = self.at.swap(boot_ms, Relaxed);
        if before == 0 || boot_ms.saturating_sub(before) >= QUIET {
            self.began.store(boot_ms, Relaxed);
        }
        let some = self.counts.iter().zip(more).filter(|(_, more)| *more > 0);
        some.for_each(|(count, more)| _ = count.fetch_add(more, Relaxed));
    }

    /// All since the start.
    pub(crate) fn all(&self) -> [u64; N] {
        self.counts.each_ref().map(|count| count.load(Relaxed))
    }

    /// How long ago the last was counted, milliseconds; `None`: there was none.
    pub(crate) fn ago(&self, boot_ms: u64) -> Option<u64> {
        (self.all() != [0; N]).then(|| boot_ms.saturating_sub(self.at.load(Relaxed)))
    }

    /// For how long it has gone on, milliseconds; `None`: it does not, for the last is a while ago.
    pub(crate) fn goes_on(&self, boot_ms: u64) -> Option<u64> {
        self.ago(boot_ms).filter(|ago| *ago < QUIET).map(|_| boot_ms.saturating_sub(self.began.load(Relaxed)))
    }

    /// What is to be said: how many came since this last gave any, when there were some and that was a while ago.
    pub(crate) fn news(&self, boot_ms: u64) -> Option<[u64; N]> {
        let all = self.all();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if all == said.counts || boot_ms < said.quiet_until {
            return None;
        }
        let before =
            std::mem::replace(&mut *said, Said { counts: all, quiet_until: boot_ms.saturating_add(QUIET) });
        Some(std::array::from_fn(|kind| all[kind].saturating_sub(before.counts[kind])))
    }

    /// What is to be shown: all since the start, and in words when the last was, if within the hour.
    pub(crate) fn shown(&self, boot_ms: u64) -> Option<([u64; N], String)> {
        let ago = self.ago(boot_ms).filter(|ago| *ago < SHOWN)?;
        Some((self.all(), format!("{} ago", span(Duration::from_millis(ago).as_secs_f64()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_said_once_a_minute_and_shown_for_an_hour() {
        let tally = Tally::<2>::default();
        assert_eq!((tally.news(5000), tally.shown(5000), tally.ago(5000)), (None, None, None));
        tally.note([3, 0], 5000);
        tally.note([1, 2], 5001);
        assert_eq!(tally.news(5002), Some([4, 2]), "at once, for nothing was said before");
        tally.note([0, 5], 6000);
        assert_eq!(tally.news(5002 + QUIET - 1), None);
        assert_eq!(tally.news(5002 + QUIET), Some([0, 5]));
        assert_eq!(tally.news(5002 + 9 * QUIET), None, "there is nothing new");
        assert_eq!(tally.ago(9000), Some(3000));
        assert_eq!(tally.shown(6000 + 150_000), Some(([4, 7], "2m 30s ago".into())));
        assert_eq!((tally.shown(6000 + SHOWN), tally.all()), (None, [4, 7]));
    }

    #[test]
    fn it_goes_on_until_there_is_none_for_a_while() {
        let tally = Tally::<1>::default();
        assert_eq!(tally.goes_on(5000), None);
        for n in 0..5 {
            tally.note([1], 5000 + n * (QUIET - 1));
            assert_eq!(tally.goes_on(5000 + n * (QUIET - 1)), Some(n * (QUIET - 1)));
        }
        let last = 5000 + 4 * (QUIET - 1);
        assert_eq!(tally.goes_on(last + QUIET - 1), Some(5 * (QUIET - 1)));
        assert_eq!(tally.goes_on(last + QUIET), None);
        tally.note([1], last + QUIET);
        assert_eq!(tally.goes_on(last + QUIET + 7), Some(7));
    }
}
