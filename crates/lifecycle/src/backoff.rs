//! How long to wait after a failure, by its class.

use std::time::Duration;

use secondo_wire::Class;

use crate::Settings;
use crate::timers::Intervals;

/// First wait after a failure of our own.
const LOCAL_FIRST: Duration = Duration::from_secs(1);
/// Longest wait after a failure of our own.
const LOCAL_LONGEST: Duration = Duration::from_secs(60);

/// A small deterministic source of chance (splitmix64): jitter needs no more, and a seed replays a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A moment between now and `window` from now.
    pub(crate) fn within(&mut self, window: Duration) -> Duration {
        let share = u32::try_from(self.throw() >> 48).unwrap_or(0);
        window / (1 << 16) * share
    }

    /// Takes 0 to 25 % off, never going below `floor`. Jitter only shortens: no deadline moves out.
    pub(crate) fn shorten(&mut self, interval: Duration, floor: Duration) -> Duration {
        let share = u32::try_from(self.throw() >> 56).unwrap_or(0);
        (interval - interval / 4 / 255 * share).max(floor.min(interval))
    }
}

/// How long an address that gives no sign of life is left alone, for [`Health`](crate::Health).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldDown {
    /// After the first failure; doubled after each.
    pub first: Duration,
    /// The longest.
    pub longest: Duration,
}

impl HoldDown {
    /// RFC 1034 §4.3.5: RETRY is how often a primary that cannot be reached is tried; sooner at first. One zone asks
    /// for all, so there is no need to ask less often than that.
    pub(crate) fn of(settings: &Settings, intervals: Intervals) -> HoldDown {
        let first = (intervals.retry / 4).max(settings.retry().min());
        HoldDown { first, longest: intervals.silence }
    }

    /// The hold after so many failures in a row, the first being 1.
    pub(crate) fn after(self, failures: u8) -> Duration {
        doubled(self.first, failures).min(self.longest)
    }
}

/// The third column of the failure table: the wait of a zone at a primary after its `failures`-th failure of the
/// class in a row, the first being 1.
pub(crate) fn delay(
    class: Class,
    failures: u8,
    settings: &Settings,
    intervals: Intervals,
    dice: &mut Dice,
) -> Duration {
    let bounds = settings.retry();
    match class {
        Class::Network => dice.shorten(HoldDown::of(settings, intervals).after(failures), bounds.min()),
        Class::Refused | Class::Seal => {
            let wait = doubled(intervals.retry, failures).clamp(bounds.min(), intervals.refusal);
            dice.shorten(wait, bounds.min())
        }
        // What it costs to find it again is a transfer.
        Class::IxfrUnavailable | Class::Malformed => {
            let wait = doubled(intervals.retry, failures).clamp(bounds.min(), bounds.max());
            dice.shorten(wait, bounds.min())
        }
        // Asking again sooner brings the same serial or the same unfit version: this is bounded as a refresh is.
        Class::Serial | Class::Rejected => dice.shorten(intervals.refresh, settings.refresh().min()),
        // Nobody else is burdened by it.
        Class::Local => doubled(LOCAL_FIRST, failures).min(LOCAL_LONGEST),
    }
}

fn doubled(first: Duration, failures: u8) -> Duration {
    let times = 1_u32.checked_shl(u32::from(failures.saturating_sub(1))).unwrap_or(u32::MAX);
    first.checked_mul(times).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bounds, Primary, PrimaryId};

    const fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn settings() -> Settings {
        let bounds = |min, max| Bounds::new(seconds(min), seconds(max)).unwrap();
        let primary =
            Primary { id: PrimaryId(1), addresses: vec!["192.0.2.1:53".parse().unwrap()], ixfr: true };
        Settings::new(bounds(60, 86_400), bounds(10, 3600), bounds(3600, 86_400 * 60), vec![primary]).unwrap()
    }

    fn waits(class: Class) -> Vec<Duration> {
        let intervals = Intervals {
            refresh: seconds(7200),
            retry: seconds(400),
            silence: seconds(400),
            refusal: seconds(3600),
        };
        (1..=8).map(|n| delay(class, n, &settings(), intervals, &mut Dice(u64::from(n)))).collect()
    }

    fn assert_within(waits: &[Duration], expected: [u64; 8]) {
        for (wait, full) in waits.iter().zip(expected) {
            assert!(*wait <= seconds(full) && *wait >= seconds(full) / 4 * 3, "{wait:?} for {full}");
        }
    }

    #[test]
    fn a_dead_primary_is_asked_again_after_a_quarter_of_retry_doubling_to_retry() {
        assert_within(&waits(Class::Network), [100, 200, 400, 400, 400, 400, 400, 400]);
    }

    #[test]
    fn refusals_bad_seals_and_malformed_zones_wait_retry_doubling_to_the_bound() {
        for class in [Class::Refused, Class::Seal, Class::Malformed, Class::IxfrUnavailable] {
            assert_within(&waits(class), [400, 800, 1600, 3200, 3600, 3600, 3600, 3600]);
        }
    }

    #[test]
    fn a_serial_behind_or_a_rejected_version_waits_a_refresh() {
        for class in [Class::Serial, Class::Rejected] {
            assert_within(&waits(class), [7200; 8]);
        }
    }

    #[test]
    fn our_own_failures_wait_a_second_doubling_to_a_minute() {
        assert_eq!(waits(Class::Local), [1, 2, 4, 8, 16, 32, 60, 60].map(seconds));
    }

    #[test]
    fn no_count_of_failures_overflows_or_falls_below_the_bound() {
        let intervals = Intervals {
            refresh: seconds(60),
            retry: seconds(10),
            silence: seconds(10),
            refusal: seconds(3600),
        };
        for failures in 0..=u8::MAX {
            for class in [Class::Network, Class::Refused] {
                let wait = delay(class, failures, &settings(), intervals, &mut Dice(7));
                assert!((seconds(10)..=seconds(3600)).contains(&wait));
            }
        }
    }

    #[test]
    fn jitter_shortens_by_a_quarter_at_most_and_spreads() {
        let mut dice = Dice(1);
        let thrown: Vec<_> = (0..1000).map(|_| dice.shorten(seconds(1000), seconds(1))).collect();
        assert!(thrown.iter().all(|t| (seconds(750)..=seconds(1000)).contains(t)));
        assert!(thrown.iter().any(|t| *t < seconds(775)) && thrown.iter().any(|t| *t > seconds(975)));
        assert_eq!(dice.shorten(seconds(2), seconds(9)), seconds(2));
    }
}
