//! All processes of a server, as one group: their end, the processor time that they took, the memory that they hold.
//!
//! A server may fork and let its children outlive each other. Its descendants stay in the process group that it leads, and
//! those whose parent has gone become children of ours, so that nothing that was used is lost from the account.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use interop::peers;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::time::TimeValLike;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::{Pid, SysconfVar, sysconf};

use crate::interrupt;

/// A running process group. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Group {
    leader: Pid,
    /// Waited for with all others of the group, and so never by itself.
    _child: Child,
    /// What those took that ended and became ours.
    inherited: Duration,
    over: bool,
}

/// A process, as `/proc/PID/stat` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    dead: bool,
    group: i32,
    /// Its own time and that of its children that it has waited for, in ticks of the clock.
    own: u64,
    children: u64,
}

impl Group {
    /// Starts `program` in `folder`; what it prints goes to `log`.
    pub(crate) fn start(program: &Path, arguments: &[String], folder: &Path, log: &Path) -> Self {
        nix::sys::prctl::set_child_subreaper(true).expect("Linux adopts orphans for us");
        let output = File::options().create(true).append(true).open(log).expect("our own folder is writable");
        let errors = output.try_clone().expect("a file can be shared");
        // Ended by the kernel when we end in a way that runs no destructor.
        let mut command = match peers::find("setpriv") {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL", "--"]).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.args(arguments).current_dir(folder);
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let child = interrupt::start(&mut command)
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        let leader = Pid::from_raw(child.id().cast_signed());
        Self { leader, _child: child, inherited: Duration::ZERO, over: false }
    }

    /// Its processes that live.
    pub(crate) fn members(&self) -> Vec<Pid> {
        self.all().filter(|(_, stat)| !stat.dead).map(|(id, _)| id).collect()
    }

    /// Its processes, and what is left of those that have ended until somebody has waited for them. A process of which
    /// only the first thread has ended is called dead, too.
    fn all(&self) -> impl Iterator<Item = (Pid, Stat)> {
        let entries = std::fs::read_dir("/proc").expect("/proc is mounted");
        let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        ids.filter_map(|id| Some((Pid::from_raw(id), Stat::of(id)?)))
            .filter(|(_, stat)| stat.group == self.leader.as_raw())
    }

    /// The processor time that it took so far.
    pub(crate) fn cpu(&mut self) -> Duration {
        self.reap();
        let tick = sysconf(SysconfVar::CLK_TCK).ok().flatten().map_or(100, i64::cast_unsigned);
        let ticks = |count: u64| Duration::from_millis(count * 1000 / tick);
        let live: Duration = self
            .all()
            .map(|(id, stat)| {
                // To the nanosecond, with all threads, those that have ended included.
                let own = clock_getcpuclockid(id).and_then(clock_gettime).map(Duration::from);
                own.unwrap_or_else(|_| ticks(stat.own)) + ticks(stat.children)
            })
            .sum();
        live + self.inherited
    }

    /// Waits until it has nothing more to do, at most for `patience`.
    pub(crate) fn settle(&mut self, patience: Duration) {
        const LOOK: Duration = Duration::from_millis(250);
        const QUIET: u32 = 4;
        let start = Instant::now();
        let (mut quiet, mut before) = (0, self.cpu());
        while quiet < QUIET && start.elapsed() < patience {
            std::thread::sleep(LOOK);
            let now = self.cpu();
            quiet = if now.saturating_sub(before) < LOOK / 50 { quiet + 1 } else { 0 };
            before = now;
        }
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        let _ = kill(self.leader, Signal::SIGTERM);
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&self) {
        if !self.over {
            let _ = killpg(self.leader, Signal::SIGKILL);
        }
    }

    /// Whether all of it has ended.
    pub(crate) fn is_over(&mut self) -> bool {
        self.reap();
        if !self.over && self.all().next().is_none() {
            self.over = true;
            interrupt::ended(self.leader);
        }
        self.over
    }

    /// Takes note of those that have ended.
    fn reap(&mut self) {
        let before = children_time();
        let whole_group = Pid::from_raw(-self.leader.as_raw());
        while let Ok(status) = waitpid(whole_group, Some(WaitPidFlag::WNOHANG)) {
            if status == WaitStatus::StillAlive {
                break;
            }
        }
        self.inherited += children_time().saturating_sub(before);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        let start = Instant::now();
        while !self.is_over() && start.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Stat {
    fn of(id: i32) -> Option<Self> {
        Self::read(&std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
    }

    /// proc_pid_stat(5). The second field is a name that may hold anything, in parentheses.
    fn read(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            dead: matches!(*fields.first()?, "Z" | "X"),
            group: fields.get(2)?.parse().ok()?,
            own: number(14)? + number(15)?,
            children: number(16)? + number(17)?,
        })
    }
}

/// What our children took that we have waited for.
fn children_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("we may know what our children took");
    let microseconds = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(microseconds.cast_unsigned())
}
