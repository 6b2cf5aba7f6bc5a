//! The one fact that is written down about time: who is vouched for, when, and for how long.

use std::time::Duration;

use secondo_wire::{Serial, Soa};

use crate::timers::Timing;
use crate::{BootId, Now, Settings};

/// A primary vouched for a version. Every deadline is derived from this and the version's SOA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// The version.
    pub serial: Serial,
    /// When, on the boot clock.
    pub boot: Duration,
    /// Of which boot that was.
    pub boot_id: BootId,
    /// When, in seconds since 1970.
    pub wall: u64,
    /// Seconds from then until the version expires: after bounds and EDNS EXPIRE.
    pub expire_in: u64,
}

/// What a confirmation is worth later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How long ago it was given, as far as can be known.
    pub ago: Duration,
    /// How long the version lives from the confirmation on; expired when not above `ago`.
    pub life: Duration,
    /// The clock that should tell went back: probe at once.
    pub doubtful: bool,
}

impl Standing {
    /// The life that is left; zero when expired.
    pub fn left(&self) -> Duration {
        self.life.saturating_sub(self.ago)
    }
}

impl Confirmation {
    /// What goes to disk with a version that a primary sent just now, asked for `on_the_way` ago; `expire` is the EDNS
    /// EXPIRE that came with it, seconds (RFC 7314 §4).
    pub fn of_transfer(
        soa: &Soa,
        expire: Option<u32>,
        on_the_way: Duration,
        settings: &Settings,
        now: Now,
    ) -> Confirmation {
        let life = Timing::from(soa).life(settings, expire, on_the_way);
        Confirmation::given(soa.serial, life, now)
    }

    /// A confirmation given now. Whole seconds, so that what is written down and what holds are the same.
    pub(crate) fn given(serial: Serial, life: Duration, now: Now) -> Confirmation {
        let expire_in = life.as_secs();
        Confirmation { serial, boot: now.boot, boot_id: now.boot_id, wall: now.wall, expire_in }
    }

    /// The moment at which the version expires, on the boot clock of the boot in which the confirmation was given:
    /// what the published version is compared with at every answer.
    pub fn until(&self) -> Duration {
        self.boot.saturating_add(Duration::from_secs(self.expire_in))
    }

    /// What the confirmation is worth now, given the longest life that the version may have (its bounded EXPIRE).
    ///
    /// RFC 1034 §4.3.5: the interval runs from the last contact, whatever happened to this process since.
    pub fn restore(&self, now: Now, longest: Duration) -> Standing {
        let life = Duration::from_secs(self.expire_in).min(longest);
        let ago = if now.boot_id == self.boot_id {
            // The boot clock counts suspend and knows no steps: within one boot it alone decides.
            now.boot.checked_sub(self.boot)
        } else {
            now.wall.checked_sub(self.wall).map(Duration::from_secs)
        };
        // A clock that went back tells nothing: no time has passed for sure, and the primaries must be asked.
        Standing { ago: ago.unwrap_or_default(), life, doubtful: ago.is_none() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;
    const HERE: BootId = BootId([1; 16]);
    const ELSEWHERE: BootId = BootId([2; 16]);

    fn confirmation() -> Confirmation {
        Confirmation {
            serial: Serial(1),
            boot: Duration::from_secs(1000),
            boot_id: HERE,
            wall: 1_700_000_000,
            expire_in: 7 * DAY,
        }
    }

    fn restored(boot_id: BootId, boot: u64, wall: u64) -> Standing {
        let now = Now { boot: Duration::from_secs(boot), boot_id, wall };
        confirmation().restore(now, Duration::from_secs(30 * DAY))
    }

    #[test]
    fn within_one_boot_steps_of_the_wall_clock_change_nothing() {
        for wall in [0, 1_700_000_000, 1_700_000_000 + 3650 * DAY, u64::MAX] {
            let standing = restored(HERE, 1000 + DAY, wall);
            assert_eq!(standing.left(), Duration::from_secs(6 * DAY));
            assert!(!standing.doubtful);
        }
    }

    #[test]
    fn after_a_reboot_the_wall_clock_decides() {
        assert_eq!(restored(ELSEWHERE, 5, 1_700_000_000 + DAY).left(), Duration::from_secs(6 * DAY));
        assert_eq!(restored(ELSEWHERE, 5, 1_700_000_000 + 8 * DAY).left(), Duration::ZERO);
    }

    #[test]
    fn a_wall_clock_that_went_back_gives_doubt_and_no_extra_life() {
        let standing = restored(ELSEWHERE, 5, 1);
        assert_eq!((standing.left(), standing.doubtful), (Duration::from_secs(7 * DAY), true));
    }

    #[test]
    fn no_more_life_is_left_than_the_bounds_allow_now() {
        let now = Now { boot: Duration::from_secs(1000), boot_id: HERE, wall: 0 };
        let mut huge = confirmation();
        huge.expire_in = u64::MAX;
        assert_eq!(huge.restore(now, Duration::from_secs(DAY)).left(), Duration::from_secs(DAY));
    }
}
