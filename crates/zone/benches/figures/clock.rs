//! Time and memory of this process (Linux).

use std::time::{Duration, Instant};

/// The least that `run` took in some rounds, as time of this thread: others may be at work on the machine.
pub fn best<T>(rounds: u32, mut run: impl FnMut() -> T) -> (T, Duration) {
    let mut least = Duration::MAX;
    let mut once = || {
        let begun = on_cpu();
        let made = run();
        least = least.min(on_cpu().saturating_sub(begun));
        made
    };
    let mut made = once();
    for _ in 1..rounds {
        drop(made);
        made = once();
    }
    (made, least)
}

/// The same by the clock on the wall.
pub fn best_by_the_wall<T>(rounds: u32, mut run: impl FnMut() -> T) -> (T, Duration) {
    let mut least = Duration::MAX;
    let mut once = || {
        let begun = Instant::now();
        let made = run();
        least = least.min(begun.elapsed());
        made
    };
    let mut made = once();
    for _ in 1..rounds {
        drop(made);
        made = once();
    }
    (made, least)
}

/// Time that this thread has run (proc_pid_schedstat); without it, time that went by.
fn on_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = stat.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(0);
    Duration::from_nanos(nanoseconds)
}

/// A field of /proc/self/status in octets.
fn status(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).map_or(0.0, |kib: f64| kib * 1024.0)
}

/// Resident memory, octets.
pub fn resident() -> f64 {
    status("VmRSS:")
}

/// The most memory that was resident since [`forget_peak`], octets.
pub fn peak() -> f64 {
    status("VmHWM:")
}

pub fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}
