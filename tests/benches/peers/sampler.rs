//! Watches what a server holds while it works, for the peaks.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use crate::{disk, memory};

/// The most that was seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Peaks {
    /// Octets of memory.
    pub(crate) memory: u64,
    /// Octets on disk.
    pub(crate) disk: u64,
}

/// A thread that looks as often as it can without being in the way.
#[derive(Debug)]
pub(crate) struct Sampler {
    done: Arc<AtomicBool>,
    /// Who is looked at. A server that forks has others after a while.
    processes: Arc<RwLock<Vec<Pid>>>,
    thread: JoinHandle<Peaks>,
    /// The only process of the server, and how much larger its resident set was than its proportional one.
    only: Option<(Pid, u64)>,
}

impl Sampler {
    /// Begins to watch the processes and the folder of a server.
    pub(crate) fn start(processes: Vec<Pid>, folder: &Path) -> Self {
        let only = match *processes {
            [one] => {
                memory::mark_peak(one);
                let shared = memory::resident(one).unwrap_or(0).saturating_sub(memory::of(&[one]));
                Some((one, shared))
            }
            _ => None,
        };
        let done = Arc::new(AtomicBool::new(false));
        let processes = Arc::new(RwLock::new(processes));
        let (until, whom, folder) = (Arc::clone(&done), Arc::clone(&processes), folder.to_owned());
        let thread = thread::spawn(move || watch(&until, &whom, folder));
        Self { done, processes, thread, only }
    }

    /// Says whom to look at from now on.
    pub(crate) fn look_at(&mut self, processes: Vec<Pid>) {
        if self.only.is_some_and(|(one, _)| processes != [one]) {
            self.only = None;
        }
        *self.processes.write().unwrap_or_else(PoisonError::into_inner) = processes;
    }

    /// Ends the watch.
    pub(crate) fn stop(self) -> Peaks {
        self.done.store(true, Ordering::Relaxed);
        let mut peaks = self.thread.join().expect("looking does not panic");
        // Between two looks it may have been more. Of a single process the kernel knows.
        if let Some((one, shared)) = self.only {
            let exact = memory::resident_peak(one).unwrap_or(0).saturating_sub(shared);
            peaks.memory = peaks.memory.max(exact);
        }
        peaks
    }
}

fn watch(until: &AtomicBool, whom: &RwLock<Vec<Pid>>, folder: PathBuf) -> Peaks {
    let mut peaks = Peaks::default();
    while !until.load(Ordering::Relaxed) {
        let start = Instant::now();
        let processes = whom.read().unwrap_or_else(PoisonError::into_inner).clone();
        peaks.memory = peaks.memory.max(memory::of(&processes));
        peaks.disk = peaks.disk.max(disk::allocated(&folder));
        // At most a twentieth of the time: the kernel walks all pages of the process for us.
        thread::sleep((start.elapsed() * 20).max(Duration::from_millis(5)));
    }
    peaks
}
