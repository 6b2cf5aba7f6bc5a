//! The daemon under test, as a process of its own.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::events::{self, Event};
use crate::process::{self, Outcome, Process};
use crate::wait::{self, SOON};
use crate::{Config, Folder, Port, dig};

/// A running `secondo run`, with its configuration, its state and its log.
#[derive(Debug)]
pub struct Secondo {
    process: Option<Process>,
    port: Port,
    folder: Folder,
    disk: Disk,
}

/// What its disk is like from its next start on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// As it is.
    Plain,
    /// [`Process::limit_files`] works on it.
    Limitable,
    /// The same, and every write is refused from the start.
    Full,
}

/// A place in the log: what comes after it is new.
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

impl Mark {
    /// The beginning of the log.
    pub const START: Self = Self(0);
}

impl Secondo {
    /// Starts it and waits until it says that it is ready.
    pub fn start(port: Port, config: &Config) -> Self {
        let mut secondo = Self::prepare(port, config);
        secondo.start_again();
        secondo
    }

    /// Writes the configuration, starts nothing.
    pub fn prepare(port: Port, config: &Config) -> Self {
        let secondo = Self { process: None, port, folder: Folder::fresh(), disk: Disk::Plain };
        secondo.configure(config);
        secondo
    }

    /// Gives it another disk from its next start on.
    pub fn disk(&mut self, disk: Disk) {
        self.disk = disk;
    }

    /// Starts it with what it left on disk, and waits until it says that it is ready.
    pub fn start_again(&mut self) {
        let mark = self.mark();
        self.launch();
        self.event(mark, "daemon.ready", |_| true);
    }

    /// Starts it and waits for nothing.
    pub fn launch(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let configuration = self.configuration();
        let arguments = ["run", "--config", &configuration.to_string_lossy()];
        self.process = Some(match self.disk {
            Disk::Plain => Process::start("secondo", binary(), &arguments, &self.log()),
            Disk::Limitable => Process::start_limitable("secondo", binary(), &arguments, &self.log(), false),
            Disk::Full => Process::start_limitable("secondo", binary(), &arguments, &self.log(), true),
        });
    }

    /// Replaces the configuration file; a running daemon has to be told.
    pub fn configure(&self, config: &Config) {
        self.configure_text(&config.text(self.folder.path(), self.address()));
    }

    /// Replaces the configuration file by any text.
    pub fn configure_text(&self, text: &str) {
        std::fs::write(self.configuration(), text).expect("our own folder is writable");
        // It holds secrets.
        let mode = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(self.configuration(), mode).expect("the file is ours");
    }

    /// Its configuration file.
    pub fn configuration(&self) -> PathBuf {
        self.folder.path().join("secondo.yaml")
    }

    /// The folder of its configuration, state and log.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where it answers, unless the configuration says otherwise.
    pub fn address(&self) -> SocketAddr {
        self.port.at_loopback()
    }

    /// Its port.
    pub fn port(&self) -> &Port {
        &self.port
    }

    /// Its process.
    ///
    /// # Panics
    /// When it does not run.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it runs")
    }

    /// Sends SIGHUP: read the configuration again.
    pub fn hang_up(&mut self) {
        self.process().signal(Signal::SIGHUP);
    }

    /// Stops it as an operator does; it must end by itself with 0.
    pub fn stop(&mut self) {
        let status = self.process.take().expect("it runs").stop();
        assert!(status.success(), "after SIGTERM it ended with {status}\n{}", self.tail());
    }

    /// Ends it without a chance to write anything down.
    pub fn crash(&mut self) {
        self.process.take().expect("it runs").crash();
    }

    /// Waits until it has ended by itself.
    pub fn ended(&mut self) -> ExitStatus {
        self.process.take().expect("it was started").ended("its start")
    }

    /// All events so far, those of earlier runs included.
    pub fn events(&self) -> Vec<Event> {
        events::read(&self.log())
    }

    /// The events after a place.
    pub fn events_since(&self, mark: Mark) -> Vec<Event> {
        self.events().split_off(mark.0)
    }

    /// The end of the log as it is now.
    pub fn mark(&self) -> Mark {
        Mark(self.events().len())
    }

    /// Waits for an event of this name after `mark` that is `right`.
    pub fn event(&self, mark: Mark, name: &str, right: impl Fn(&Event) -> bool) -> Event {
        wait::until(
            &format!("the event {name}"),
            SOON,
            || self.tail(),
            || self.events_since(mark).into_iter().find(|e| e.name() == name && right(e)),
        )
    }

    /// Waits for an event about a zone.
    pub fn zone_event(&self, mark: Mark, name: &str, zone: &str) -> Event {
        self.event(mark, name, |event| event.is_about(zone))
    }

    /// Waits until this serial of a zone is published and answered with.
    pub fn until_published(&self, mark: Mark, zone: &str, serial: u32) -> Event {
        let event = self
            .event(mark, "zone.published", |e| e.is_about(zone) && e.number("serial") == Some(serial.into()));
        assert_eq!(
            dig::serial(self.address(), zone),
            Some(serial),
            "what is published is served\n{}",
            self.tail()
        );
        event
    }

    /// Waits until this serial of a zone is answered with.
    pub fn until_serving(&self, zone: &str, serial: u32, limit: Duration) {
        dig::until_serial(self.address(), zone, serial, limit, || self.tail());
    }

    /// Runs a command of the binary against its control socket.
    pub fn order(&self, arguments: &[&str]) -> Outcome {
        let socket = self.folder.path().join("control.sock");
        let socket = socket.to_string_lossy();
        let mut all = arguments.to_vec();
        all.extend(["--socket", &socket]);
        process::outcome(binary(), &all)
    }

    /// The same: whether it worked, and all that it printed.
    pub fn control(&self, arguments: &[&str]) -> (bool, String) {
        let outcome = self.order(arguments);
        (outcome.code == Some(0), outcome.output + &outcome.errors)
    }

    /// `secondo status --json`. It exits with 1 when a zone needs a person.
    pub fn status(&self) -> Value {
        let Outcome { code, output, errors } = self.order(&["status", "--json"]);
        assert!(code == Some(0) || code == Some(1), "status: {code:?} {errors}\n{}", self.tail());
        serde_json::from_str(&output).unwrap_or_else(|error| panic!("status is not JSON ({error}): {output}"))
    }

    /// What `status` says of one zone.
    pub fn zone_status(&self, zone: &str) -> Value {
        let status = self.status();
        let zones = status["zones"].as_array().unwrap_or_else(|| panic!("no list of zones in {status}"));
        let found =
            zones.iter().find(|z| z["zone"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(zone)));
        found.unwrap_or_else(|| panic!("no {zone} in {status}")).clone()
    }

    /// The end of its log.
    pub fn tail(&self) -> String {
        process::tail(&self.log())
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("secondo.log")
    }
}

impl Drop for Secondo {
    /// Whatever a test was about: nothing may panic, and no error may be of our own making.
    fn drop(&mut self) {
        drop(self.process.take());
        if std::thread::panicking() {
            return;
        }
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let bad =
            log.lines().find(|line| line.contains("panicked at") || line.contains("\"reason\":\"internal\""));
        assert!(bad.is_none(), "in the log: {}\n{}", bad.unwrap_or_default(), self.tail());
    }
}

/// The binary under test: `SECONDO_BIN`, else the one that the workspace builds, brought up to date first.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("SECONDO_BIN") {
            return path.into();
        }
        let test = std::env::current_exe().expect("a program knows where it is");
        // …/target/PROFILE/deps/test-…
        let folder =
            test.parent().and_then(Path::parent).expect("cargo puts tests two folders deep").to_owned();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "-p", "secondo-daemon", "--bin", "secondo"]);
        cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
        if let Some(target) = folder.parent() {
            cargo.arg("--target-dir").arg(target);
        }
        if folder.ends_with("release") {
            cargo.arg("--release");
        }
        let status = cargo.status().expect("cargo runs");
        assert!(status.success(), "secondo does not build");
        folder.join("secondo")
    })
}
