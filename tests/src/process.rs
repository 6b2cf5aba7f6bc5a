//! A server as a child process: its output in a file of its own, its life bounded, ended by its id.

use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::wait::{self, SOON};

/// No test needs a server for longer than this.
const LIFE: Duration = Duration::from_secs(240);

/// A running server. Dropping it ends it and all that it forked.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    copier: Option<JoinHandle<()>>,
    _watchdog: Sender<()>,
}

impl Process {
    /// Starts `program`; what it prints goes to the end of `log`.
    pub fn start(name: &str, program: &Path, arguments: &[&str], log: &Path) -> Self {
        let output = File::options().create(true).append(true).open(log).expect("our own folder is writable");
        let errors = output.try_clone().expect("a file can be shared");
        let mut command = bound_to_our_life(program);
        command.args(arguments).stdout(output).stderr(errors);
        Self::spawn(name, command, log)
    }

    /// Starts `program` so that [`Process::limit_files`] can be used on it: its log goes through a pipe, which no such
    /// limit touches, and the signal that goes with the limit is ignored.
    /// With `full`, the limit is 0 octets from the start.
    pub fn start_limitable(name: &str, program: &Path, arguments: &[&str], log: &Path, full: bool) -> Self {
        let mut output =
            File::options().create(true).append(true).open(log).expect("our own folder is writable");
        let mut command = bound_to_our_life(Path::new("/bin/sh"));
        let limit = if full { "ulimit -S -f 0;" } else { "" };
        let script = format!("trap '' XFSZ; {limit} exec \"$@\"");
        command.args(["-c", &script, "sh"]).arg(program).args(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = Self::spawn(name, command, log);
        let mut errors = process.child.stderr.take().expect("it was asked for");
        process.copier = Some(std::thread::spawn(move || {
            let _ = std::io::copy(&mut errors, &mut output);
        }));
        process
    }

    fn spawn(name: &str, mut command: Command, log: &Path) -> Self {
        // A group of its own, so that what the server forks can be ended with it, by this one id.
        command.process_group(0).stdin(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let watchdog = watch(Pid::from_raw(child.id().cast_signed()));
        Self { name: name.to_owned(), child, log: log.to_owned(), copier: None, _watchdog: watchdog }
    }

    /// The process id.
    pub fn id(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.id(), signal)
            .unwrap_or_else(|error| panic!("cannot send {signal} to {}: {error}", self.name));
    }

    /// Stops or resumes everything that it forked too, as a machine that hangs would.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { Signal::SIGSTOP } else { Signal::SIGCONT };
        killpg(self.id(), signal)
            .unwrap_or_else(|error| panic!("cannot send {signal} to {}: {error}", self.name));
    }

    /// Refuses it writes that would make a file longer than this many octets, as a full disk would.
    pub fn limit_files(&self, octets: u64) {
        let size = if octets == u64::MAX { "unlimited".to_owned() } else { octets.to_string() };
        let arguments = [format!("--pid={}", self.id()), format!("--fsize={size}:unlimited")];
        run(&crate::peers::program("prlimit"), &[&arguments[0], &arguments[1]]);
    }

    /// Asks it to end and waits until it has ended.
    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ended("SIGTERM")
    }

    /// Ends it at once, as a crash would.
    pub fn crash(mut self) {
        // The whole group: a server that forks would else leave its children behind.
        let _ = killpg(self.id(), Signal::SIGKILL);
        let status = self.ended("SIGKILL");
        assert_eq!(status.signal(), Some(9), "{} had ended on its own: {status}", self.name);
    }

    /// Waits until it has ended on its own or after a signal.
    pub fn ended(&mut self, after: &str) -> ExitStatus {
        let log = self.log.clone();
        let status = wait::until(
            &format!("the end of {} after {after}", self.name),
            SOON,
            || tail(&log),
            || self.child.try_wait().expect("a child of ours can be waited for"),
        );
        if let Some(copier) = self.copier.take() {
            copier.join().expect("copying a log does not panic");
        }
        status
    }

    /// The last lines of its log.
    pub fn tail(&self) -> String {
        tail(&self.log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.runs() {
            let _ = killpg(self.id(), Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// The program, ended by the kernel when the test ends in a way that runs no destructor, where `setpriv` can ask for it.
fn bound_to_our_life(program: &Path) -> Command {
    match crate::peers::find("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(program);
            command
        }
        None => Command::new(program),
    }
}

/// Ends the process when it outlives its bound; dropping the sender calls the watch off.
fn watch(id: Pid) -> Sender<()> {
    let (sender, receiver) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        if receiver.recv_timeout(LIFE) == Err(RecvTimeoutError::Timeout) {
            let _ = killpg(id, Signal::SIGKILL);
        }
    });
    sender
}

/// The last 40 lines of a log, with its name.
pub fn tail(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(40);
    format!("--- {} ---\n{}\n", log.display(), lines[from..].join("\n"))
}

/// Runs a tool to its end and gives back what it printed on standard output.
///
/// # Panics
/// When it fails, with what it said.
pub fn run(program: &Path, arguments: &[&str]) -> String {
    let (worked, output) = attempt(program, arguments);
    assert!(worked, "{} {arguments:?} failed:\n{output}", program.display());
    output
}

/// Runs a tool to its end: whether it worked, and all that it printed.
pub fn attempt(program: &Path, arguments: &[&str]) -> (bool, String) {
    let outcome = outcome(program, arguments);
    let worked = outcome.code == Some(0);
    (worked, if worked { outcome.output } else { outcome.output + &outcome.errors })
}

/// How a tool ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it printed on standard output.
    pub output: String,
    /// What it printed on standard error.
    pub errors: String,
}

/// Runs a tool to its end.
pub fn outcome(program: &Path, arguments: &[&str]) -> Outcome {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
    Outcome {
        code: output.status.code(),
        output: String::from_utf8_lossy(&output.stdout).into_owned(),
        errors: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_a_process_ends_what_it_forked_too() {
        let folder = crate::Folder::fresh();
        let log = folder.path().join("log");
        let script = "sleep 1000 & echo $!; wait";
        let process = Process::start("a shell", Path::new("/bin/sh"), &["-c", script], &log);
        let forked: i32 = wait::until(
            "its line",
            SOON,
            || tail(&log),
            || std::fs::read_to_string(&log).ok()?.trim().parse().ok(),
        );
        drop(process);
        // An orphan may remain as an unreaped entry where nobody adopts it: dead is what counts.
        wait::until("the end of its child", SOON, String::new, || {
            let stat = std::fs::read_to_string(format!("/proc/{forked}/stat")).unwrap_or_default();
            (stat.is_empty() || stat.contains(") Z ")).then_some(())
        });
    }
}
