//! The daemon as a child process, with a folder of its own.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::dns::PATIENCE;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_secondo");

/// A daemon; killed when dropped.
pub(crate) struct Daemon {
    child: Option<Child>,
    pub(crate) folder: TempDir,
    port: u16,
    /// Top-level keys besides those that every daemon needs.
    extra: String,
    pub(crate) listen: String,
}

/// How a command of the control socket ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A port that nobody has, UDP and TCP.
fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        if UdpSocket::bind(("0.0.0.0", port)).is_ok() && UdpSocket::bind(("::", port)).is_ok() {
            return port;
        }
    }
}

/// A zone of the configuration with one primary.
pub(crate) fn zone(name: &str, primary: SocketAddr) -> String {
    format!(
        "  - {{ name: {name}, primaries: [{{ addresses: [\"{primary}\"] }}], allow-transfer: [{{ address: 127.0.0.0/8 }}] }}\n"
    )
}

impl Daemon {
    /// Configured, not started. `extra` are top-level keys of the configuration, `zones` its list of zones.
    pub(crate) fn prepare(extra: &str, zones: &str) -> Daemon {
        let port = free_port();
        let listen = format!("\"127.0.0.1:{port}\"");
        let folder = TempDir::with_prefix("secondo-edge-").unwrap();
        let daemon = Daemon { child: None, folder, port, extra: extra.into(), listen };
        daemon.configure(zones);
        daemon
    }

    /// Configured, started and ready.
    pub(crate) fn start(extra: &str, zones: &str) -> Daemon {
        let mut daemon = Daemon::prepare(extra, zones);
        daemon.run();
        daemon
    }

    /// Replaces the zones of the configuration file.
    pub(crate) fn configure(&self, zones: &str) {
        let zones = if zones.is_empty() { "[]\n".into() } else { format!("\n{zones}") };
        let text = format!(
            "listen: [{}]\nstate-dir: state\ncontrol: control.sock\nlog: {{ format: json, level: debug }}\n{}\nzones: {zones}",
            self.listen, self.extra
        );
        fs::write(self.folder.path().join("secondo.yaml"), text).unwrap();
    }

    /// Other top-level keys, with these zones.
    pub(crate) fn configure_extra(&mut self, extra: &str, zones: &str) {
        self.extra = extra.into();
        self.configure(zones);
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(BINARY);
        command.arg("run").arg("--config").arg(self.path("secondo.yaml"));
        command
    }

    /// Starts it and waits until it is ready.
    pub(crate) fn run(&mut self) {
        let command = self.command();
        self.run_as(command);
    }

    /// The same by a command of the caller's.
    pub(crate) fn run_as(&mut self, mut command: Command) {
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        let before = self.events().len();
        self.child = Some(command.stdin(Stdio::null()).stderr(log).spawn().unwrap());
        self.wait("ready", |daemon| daemon.events()[before..].iter().any(|e| e["event"] == "daemon.ready"));
    }

    /// Takes over a child that the caller started.
    pub(crate) fn adopt(&mut self, child: Child) {
        self.child = Some(child);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The events of the log.
    pub(crate) fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("log")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Whether there is an event of this name about a zone.
    pub(crate) fn said(&self, event: &str, zone: &str) -> bool {
        self.events().iter().any(|e| e["event"] == event && e["zone"] == zone)
    }

    /// Waits for a condition.
    pub(crate) fn wait(&self, what: &str, condition: impl Fn(&Daemon) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(Instant::now() < end, "in vain: {what}\n{}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Waits until a zone is published.
    pub(crate) fn until_loaded(&self, zone: &str) {
        self.wait(zone, |daemon| daemon.said("zone.published", zone));
    }

    /// Runs a command against the control socket.
    pub(crate) fn order(&self, arguments: &[&str]) -> Ended {
        self.ordering(arguments).wait()
    }

    /// Starts such a command.
    pub(crate) fn ordering(&self, arguments: &[&str]) -> Ordering {
        self.ordering_into(arguments, Stdio::piped())
    }

    /// The same, with what it says going elsewhere.
    pub(crate) fn ordering_into(&self, arguments: &[&str], out: Stdio) -> Ordering {
        let mut command = Command::new(BINARY);
        command.args(arguments).arg("--socket").arg(self.path("control.sock"));
        Ordering(command.stdout(out).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// One zone's `status`.
    pub(crate) fn status(&self, zone: &str) -> Value {
        let ended = self.order(&["status", zone, "--json"]);
        let all: Value = serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{ended:?}"));
        all["zones"][0].clone()
    }

    /// A connection to the control socket.
    pub(crate) fn control(&self) -> BufReader<UnixStream> {
        let stream = UnixStream::connect(self.path("control.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        BufReader::new(stream)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.pid()).unwrap()), signal).unwrap();
    }

    /// Waits for its end; how it ended and how long that took.
    pub(crate) fn ended(&mut self) -> (ExitStatus, Duration) {
        let began = Instant::now();
        let mut child = self.child.take().unwrap();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return (status, began.elapsed());
            }
            assert!(began.elapsed() < PATIENCE, "it does not end");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A command under way.
pub(crate) struct Ordering(Child);

impl Ordering {
    /// Its end, which must come.
    pub(crate) fn wait(mut self) -> Ended {
        let began = Instant::now();
        // What it says may be more than a pipe holds.
        let reader = |stream: Option<Box<dyn Read + Send>>| {
            thread::spawn(move || {
                let mut text = String::new();
                // It may have been closed.
                stream.map(|mut stream| stream.read_to_string(&mut text).unwrap());
                text
            })
        };
        let out = reader(self.0.stdout.take().map(|s| Box::new(s) as _));
        let err = reader(self.0.stderr.take().map(|s| Box::new(s) as _));
        while self.0.try_wait().unwrap().is_none() {
            if began.elapsed() > PATIENCE {
                let _ = self.0.kill();
                panic!("the command hangs");
            }
            thread::sleep(Duration::from_millis(5));
        }
        let (out, err) = (out.join().unwrap(), err.join().unwrap());
        Ended { code: self.0.wait().unwrap().code().unwrap(), out, err }
    }

    /// Reads so many octets of what it says, and no more.
    pub(crate) fn read_only(&mut self, octets: usize) -> String {
        let mut out = self.0.stdout.take().unwrap();
        let (tell, told) = channel();
        thread::spawn(move || {
            let mut text = vec![0; octets];
            out.read_exact(&mut text).unwrap();
            let _ = tell.send((String::from_utf8(text).unwrap(), out));
        });
        let (text, out) = told.recv_timeout(PATIENCE).expect("it says nothing");
        self.0.stdout = Some(out);
        text
    }

    /// Closes what it speaks into, as `head` does when it has seen enough, and waits for its end.
    pub(crate) fn close(mut self) -> Ended {
        drop(self.0.stdout.take());
        self.wait()
    }

    /// As an operator's ^C does.
    pub(crate) fn interrupt(mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends a line as it is and reads one.
pub(crate) fn line(control: &mut BufReader<UnixStream>, line: &[u8]) -> Value {
    control.get_mut().write_all(line).unwrap();
    let mut answer = String::new();
    control.read_line(&mut answer).unwrap();
    serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{answer:?}"))
}
