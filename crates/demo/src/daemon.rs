//! The daemon as a child process: the real one, by its command line, its configuration file and its log.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use secondo_daemon::control::{self, Request};

use crate::log::Log;

/// How long a clean stop may take before it becomes a kill.
const PATIENCE: Duration = Duration::from_secs(5);

/// A daemon that ends with us, whatever happens.
#[derive(Debug)]
pub struct Daemon {
    program: PathBuf,
    folder: PathBuf,
    address: SocketAddr,
    child: Option<Child>,
    log: Log,
}

impl Daemon {
    /// Prepares one whose files are in `folder`; `program` is a binary that takes `run --config FILE`.
    pub fn new(program: &Path, folder: &Path) -> io::Result<Daemon> {
        let loopback = Ipv4Addr::LOCALHOST.into();
        let address = SocketAddr::new(loopback, secondo_sim::free_port(loopback)?);
        Ok(Daemon { program: program.into(), folder: folder.into(), address, child: None, log: Log::new() })
    }

    /// Writes its configuration: where it listens and keeps its files, followed by `rest`.
    pub fn configure(&self, rest: &str) -> io::Result<()> {
        self.configure_within("tcp-clients: 1000", rest)
    }

    /// The same with more `limits`.
    pub fn configure_within(&self, limits: &str, rest: &str) -> io::Result<()> {
        let (address, folder) = (self.address, self.folder.display());
        let head = format!(
            "listen: [\"{address}\"]\nstate-dir: {folder}/state\ncontrol: {folder}/control.sock\n\
             log: {{ format: json }}\nlimits: {{ udp-threads: 1, {limits} }}\n"
        );
        fs::write(self.configuration(), head + rest)
    }

    /// Starts it; it says `daemon.ready` in its log when it is.
    pub fn start(&mut self) -> io::Result<()> {
        let mut child = Command::new(&self.program)
            .arg("run")
            .arg("--config")
            .arg(self.configuration())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C is for us; we end it ourselves.
            .process_group(0)
            .spawn()?;
        if let Some(stderr) = child.stderr.take() {
            self.log.follow(stderr);
        }
        self.child = Some(child);
        Ok(())
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id while it runs.
    pub fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// What it says.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Whether it ended by itself, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok()?
    }

    /// Orders a refresh of these zones; answered at once.
    pub fn refresh(&self, zones: Vec<String>) -> Result<(), String> {
        let order = Request { no_wait: true, ..Request::new(control::Command::Refresh, zones) };
        let response = control::ask(&self.socket(), &order).map_err(|error| error.to_string())?;
        response.error.map_or(Ok(()), |refused| Err(format!("{refused:?}")))
    }

    /// Ends it without a chance to write anything down.
    pub fn kill(&mut self) -> io::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child.kill()?;
        child.wait().map(drop)
    }

    /// Asks it to end, and waits until it did.
    pub fn stop(&mut self) -> Result<(), String> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let asked = control::ask(&self.socket(), &Request::new(control::Command::Stop, Vec::new()));
        let deadline = Instant::now() + PATIENCE;
        while asked.is_ok() && Instant::now() < deadline {
            match child.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(5)),
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("the daemon ended with {status}")),
                Err(_) => break,
            }
        }
        let _ = child.kill();
        let _ = child.wait();
        Err(match asked {
            Ok(_) => "the daemon did not stop when it was asked to".into(),
            Err(error) => format!("the daemon could not be asked to stop: {error}"),
        })
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("secondo.yaml")
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("control.sock")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // On the way of a panic too: by its process id, and waited for.
        let _ = self.kill();
    }
}
