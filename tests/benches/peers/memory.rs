//! The memory of processes.

use nix::unistd::Pid;

/// The proportional set size of processes together, in octets: what they share is counted once.
pub(crate) fn of(processes: &[Pid]) -> u64 {
    processes.iter().filter_map(|id| field(&format!("/proc/{id}/smaps_rollup"), "Pss:")).sum()
}

/// A figure of a file of the kernel, given in kB.
fn field(file: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// The exact peak of the resident set of a single process since [`mark_peak`], which the kernel keeps.
pub(crate) fn resident_peak(process: Pid) -> Option<u64> {
    field(&format!("/proc/{process}/status"), "VmHWM:")
}

/// The resident set of a single process.
pub(crate) fn resident(process: Pid) -> Option<u64> {
    field(&format!("/proc/{process}/status"), "VmRSS:")
}

/// Lets the kernel forget the peak of a process.
pub(crate) fn mark_peak(process: Pid) {
    // proc_pid_clear_refs(5). Where it is refused the peak is at most too high, and the samples still tell.
    let _ = std::fs::write(format!("/proc/{process}/clear_refs"), "5");
}
