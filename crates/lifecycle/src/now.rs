//! The time, as it is given to this crate.

use std::time::Duration;

/// Which run of the kernel a boot clock belongs to (`/proc/sys/kernel/random/boot_id` on Linux).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BootId(pub [u8; 16]);

/// The two clocks, read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since boot, suspend counted (CLOCK_BOOTTIME): all deadlines are points on this clock.
    pub boot: Duration,
    /// Which boot that was.
    pub boot_id: BootId,
    /// Seconds since 1970: for what outlives the boot. May step in either direction at any time.
    pub wall: u64,
}
