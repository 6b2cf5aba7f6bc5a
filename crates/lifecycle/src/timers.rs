//! The timers of a version: three fields of its SOA, within bounds.

use std::time::Duration;

use secondo_wire::{Serial, Soa};

use crate::{Settings, Validity};

/// REFRESH assumed while no version is known.
const UNKNOWN_REFRESH: u32 = 3600;

/// The longest wait while no version is known, within the bounds of RETRY: each query fails meanwhile, and asking costs
/// one question at each address.
const UNKNOWN_LONGEST: Duration = Duration::from_secs(300);

/// What a machine keeps of the SOA of the version served.
///
/// RFC 1034 §4.3.5: timers come from the zone as it is held; never from the SOA of a probe or a NOTIFY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timing {
    pub(crate) serial: Serial,
    /// Seconds, as in the SOA; so are the next two.
    pub(crate) refresh: u32,
    pub(crate) retry: u32,
    pub(crate) expire: u32,
}

impl From<&Soa> for Timing {
    fn from(soa: &Soa) -> Timing {
        Timing { serial: soa.serial, refresh: soa.refresh, retry: soa.retry, expire: soa.expire }
    }
}

impl Timing {
    /// Whether two versions ask for the same intervals.
    pub(crate) fn same_intervals(&self, other: &Timing) -> bool {
        (self.refresh, self.retry, self.expire) == (other.refresh, other.retry, other.expire)
    }

    /// How long a version lives when it was confirmed just now.
    ///
    /// `option` is the EDNS EXPIRE of the answer and `on_the_way` the time since the question left: the option was
    /// true no earlier than that, and time spent on the way must not lengthen the life of a chain of secondaries.
    pub(crate) fn life(&self, settings: &Settings, option: Option<u32>, on_the_way: Duration) -> Duration {
        let own = settings.expire().clamp(self.expire);
        match option {
            None => own,
            // RFC 7314 §4: the option can only shorten; our lower bound does not raise what came from it.
            Some(seconds) => Duration::from_secs(u64::from(seconds)).saturating_sub(on_the_way).min(own),
        }
    }
}

impl Timing {
    /// What holds for EXPIRE, for a version with this validity. A lower bound raises the owner's EXPIRE, but not a life that
    /// a primary told (RFC 7314 §4): it holds only where a longer life than the owner's was given.
    pub(crate) fn expire_that_holds(&self, settings: &Settings, validity: Validity) -> Duration {
        let owner = Duration::from_secs(u64::from(self.expire));
        let bounded = settings.expire().clamp(self.expire);
        match validity {
            Validity::Current { life, .. } if bounded > owner => life.clamp(owner, bounded),
            _ => bounded,
        }
    }
}

/// REFRESH and RETRY within their bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Intervals {
    pub(crate) refresh: Duration,
    pub(crate) retry: Duration,
    /// The longest that a primary without a sign of life is left alone.
    pub(crate) silence: Duration,
    /// The longest that one is left alone that refuses us, or cannot prove who it is.
    pub(crate) refusal: Duration,
}

impl Intervals {
    /// Those of the version served; without one the shortest retry, from which the backoff doubles to a few minutes.
    pub(crate) fn of(settings: &Settings, served: Option<Timing>) -> Intervals {
        let unknown = UNKNOWN_LONGEST.clamp(settings.retry().min(), settings.retry().max());
        match served {
            Some(timing) => Intervals {
                refresh: settings.refresh().clamp(timing.refresh),
                retry: settings.retry().clamp(timing.retry),
                silence: settings.retry().clamp(timing.retry),
                refusal: settings.retry().max(),
            },
            None => Intervals {
                refresh: settings.refresh().clamp(UNKNOWN_REFRESH),
                retry: settings.retry().min(),
                silence: unknown,
                refusal: unknown,
            },
        }
    }

    /// From a confirmation to the next probe, for a version that lives so long after it. A REFRESH beyond EXPIRE is
    /// legal (RFC 1035 §3.3.13) and would let a zone expire in good health: three quarters of its life are the most.
    pub(crate) fn until_refresh(&self, settings: &Settings, life: Duration) -> Duration {
        self.refresh.min((life / 4 * 3).max(settings.retry().min()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bounds;

    const fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn settings() -> Settings {
        let bounds = |min, max| Bounds::new(seconds(min), seconds(max)).unwrap();
        let primary = crate::Primary {
            id: crate::PrimaryId(1),
            addresses: vec!["192.0.2.1:53".parse().unwrap()],
            ixfr: true,
        };
        Settings::new(bounds(60, 86_400), bounds(10, 3600), bounds(3600, 86_400 * 60), vec![primary]).unwrap()
    }

    fn timing(refresh: u32, retry: u32, expire: u32) -> Timing {
        Timing { serial: Serial(1), refresh, retry, expire }
    }

    #[test]
    fn zero_and_huge_values_are_clamped() {
        let settings = settings();
        let low = Intervals::of(&settings, Some(timing(0, 0, 0)));
        assert_eq!(
            low,
            Intervals {
                refresh: seconds(60),
                retry: seconds(10),
                silence: seconds(10),
                refusal: seconds(3600)
            }
        );
        let high = Intervals::of(&settings, Some(timing(u32::MAX, u32::MAX, u32::MAX)));
        assert_eq!(
            high,
            Intervals {
                refresh: seconds(86_400),
                retry: seconds(3600),
                silence: seconds(3600),
                refusal: seconds(3600)
            }
        );
        assert_eq!(timing(0, 0, 0).life(&settings, None, seconds(0)), seconds(3600));
        assert_eq!(timing(0, 0, u32::MAX).life(&settings, None, seconds(0)), seconds(86_400 * 60));
    }

    #[test]
    fn without_a_version_no_wait_is_longer_than_five_minutes_within_the_bounds_of_retry() {
        for (min, max, longest) in [(10, 3600, 300), (10, 60, 60), (600, 3600, 600)] {
            let bounds = |min, max| Bounds::new(seconds(min), seconds(max)).unwrap();
            let primaries = settings().primaries().to_vec();
            let settings =
                Settings::new(bounds(60, 86_400), bounds(min, max), bounds(3600, 86_400), primaries).unwrap();
            let intervals = Intervals::of(&settings, None);
            assert_eq!((intervals.silence, intervals.refusal), (seconds(longest), seconds(longest)));
            assert_eq!(Intervals::of(&settings, Some(timing(1, 1, 1))).refusal, seconds(max));
        }
    }

    #[test]
    fn the_expire_option_shortens_and_the_lower_bound_does_not_raise_it() {
        let (settings, timing) = (settings(), timing(60, 60, 7200));
        assert_eq!(timing.life(&settings, Some(100), seconds(0)), seconds(100));
        assert_eq!(timing.life(&settings, Some(9000), seconds(0)), seconds(7200));
        assert_eq!(timing.life(&settings, Some(u32::MAX), seconds(0)), seconds(7200));
    }

    #[test]
    fn time_on_the_way_is_taken_from_the_option_but_not_from_the_soa() {
        let (settings, timing) = (settings(), timing(60, 60, 7200));
        assert_eq!(timing.life(&settings, Some(1000), seconds(400)), seconds(600));
        assert_eq!(timing.life(&settings, Some(100), seconds(400)), seconds(0));
        assert_eq!(timing.life(&settings, None, seconds(400)), seconds(7200));
    }

    #[test]
    fn a_zone_is_probed_before_it_expires_even_when_refresh_is_longer() {
        let settings = settings();
        let intervals = Intervals::of(&settings, Some(timing(80_000, 60, 4000)));
        assert_eq!(intervals.until_refresh(&settings, seconds(4000)), seconds(3000));
        assert_eq!(intervals.until_refresh(&settings, seconds(4)), seconds(10));
        assert_eq!(intervals.until_refresh(&settings, seconds(1_000_000)), seconds(80_000));
    }
}
