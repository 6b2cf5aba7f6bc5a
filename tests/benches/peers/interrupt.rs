//! What runs must end when the person at the terminal says so: no server and no folder stays behind.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// How long killed servers are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is there to be ended.
#[derive(Debug)]
struct Held {
    groups: BTreeSet<Pid>,
    folders: BTreeSet<PathBuf>,
}

static HELD: Mutex<Held> = Mutex::new(Held { groups: BTreeSet::new(), folders: BTreeSet::new() });

fn held() -> MutexGuard<'static, Held> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn signals() -> SigSet {
    SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP])
}

/// Takes note of a child that has ended; whether there are more.
fn wait_for_any() -> bool {
    waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok()
}

/// From now on a signal that asks us to end ends the servers first. To be called before any thread is started.
pub(crate) fn watch() {
    signals().thread_block().expect("signals can be blocked");
    std::thread::spawn(|| {
        let signal = signals().wait().expect("blocked signals can be waited for");
        eprintln!("\n{signal}: ending the servers");
        // Held until the end of the process, so that no server is started in between.
        let held = held();
        for &group in &held.groups {
            let _ = killpg(group, Signal::SIGKILL);
        }
        // Waited for too, where nobody else would: until the last child has gone, but not for ever.
        let start = Instant::now();
        while wait_for_any() && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        for folder in &held.folders {
            let _ = std::fs::remove_dir_all(folder);
        }
        std::process::exit(128 + signal as i32);
    });
}

/// Starts a process in a group of its own; a signal ends the group from now on. A child inherits what its parent blocks, so
/// nothing is blocked while it is made.
///
/// # Errors
/// That of starting it.
pub(crate) fn start(command: &mut Command) -> io::Result<Child> {
    let mut held = held();
    signals().thread_unblock().expect("signals can be let through");
    let child = command.process_group(0).spawn();
    signals().thread_block().expect("signals can be blocked");
    let child = child?;
    held.groups.insert(Pid::from_raw(child.id().cast_signed()));
    Ok(child)
}

/// A process group has ended: its number may soon be somebody else's.
pub(crate) fn ended(group: Pid) {
    held().groups.remove(&group);
}

/// A folder to be removed.
pub(crate) fn hold(folder: &Path) {
    held().folders.insert(folder.to_owned());
}

/// A folder whose owner removes it.
pub(crate) fn release(folder: &Path) {
    held().folders.remove(folder);
}
