//! The two clocks, read here and nowhere else.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use secondo_lifecycle::{BootId, Now};

/// Reads the clocks of this machine; cheap to copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    boot_id: BootId,
}

impl Clock {
    /// Learns which boot this is. Where the kernel does not tell, a random one: then only the wall clock counts
    /// across restarts.
    pub(crate) fn new() -> Clock {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let hex: String = text.chars().filter(char::is_ascii_hexdigit).collect();
        let octets = u128::from_str_radix(&hex, 16).map(u128::to_be_bytes);
        Clock { boot_id: BootId(octets.unwrap_or_else(|_| rand::random())) }
    }

    /// Both clocks.
    pub(crate) fn now(self) -> Now {
        Now { boot: boot(), boot_id: self.boot_id, wall: unix() }
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::new()
    }
}

/// Time since boot, suspend counted.
pub(crate) fn boot() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
}

/// [`boot`] in milliseconds.
pub(crate) fn boot_ms() -> u64 {
    millis(boot())
}

/// Whole milliseconds, as many as fit.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Whole seconds of a boot clock, as many as fit: it would have to run for 136 years.
pub(crate) fn whole_seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

/// Seconds since 1970; 0 when the clock stands before.
pub(crate) fn unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_runs_and_the_boot_has_an_id() {
        let (clock, first) = (Clock::new(), boot());
        assert!(first > Duration::ZERO && boot() >= first);
        assert_eq!(clock.now().boot_id, Clock::new().now().boot_id);
        assert!(unix() > 1_600_000_000);
    }
}
