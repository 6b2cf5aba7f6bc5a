//! What the daemon says: one event a line, a fixed phrase and fields. Names and fields are a contract.

use std::fmt::Display;
use std::io::IsTerminal;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use secondo_wire::{Name, Reason, Serial};
use tracing::Level;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::LevelFilter;

use crate::config::{LogConfig, LogFormat, LogLevel, Problem};

/// Lines that wait for whoever reads the log; more are lost.
const LINES: usize = 16_384;
/// How often it is looked whether lines were lost.
const LOOK: Duration = Duration::from_secs(1);

/// An event to be: name, phrase, and the fields that apply.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Event<'e> {
    /// Stable name, as `zone.published`.
    pub name: &'static str,
    /// The same for people.
    pub phrase: &'static str,
    /// The zone.
    pub zone: Option<&'e Name>,
    /// The serial that it is about.
    pub serial: Option<Serial>,
    /// The serial before.
    pub from_serial: Option<Serial>,
    /// The primary's address.
    pub primary: Option<SocketAddr>,
    /// The address of another who asks us or is told by us.
    pub peer: Option<Peer>,
    /// The TSIG key.
    pub key: Option<&'e Name>,
    /// `udp`, `tcp`, `tls`.
    pub transport: Option<&'static str>,
    /// `axfr`, `ixfr`, `axfr-style`.
    pub kind: Option<&'static str>,
    /// Octets received or sent.
    pub bytes: Option<u64>,
    /// Records received or sent.
    pub records: Option<u64>,
    /// Milliseconds that it took.
    pub ms: Option<u64>,
    /// Why.
    pub reason: Option<Reason>,
    /// More about it, in words.
    pub detail: Option<&'e str>,
    /// Seconds until the zone acts again by itself.
    pub next_in: Option<Duration>,
}

impl<'e> Event<'e> {
    /// An event without fields.
    pub(crate) fn new(name: &'static str, phrase: &'static str) -> Event<'e> {
        Event { name, phrase, ..Event::default() }
    }

    /// The outcome of something: one line each.
    pub(crate) fn info(self) {
        self.emit(Level::INFO);
    }

    /// Something that a person should know.
    pub(crate) fn warn(self) {
        self.emit(Level::WARN);
    }

    /// Something that a person should act on now.
    pub(crate) fn error(self) {
        self.emit(Level::ERROR);
    }

    /// A start, a schedule, a single step.
    pub(crate) fn debug(self) {
        self.emit(Level::DEBUG);
    }

    fn emit(self, level: Level) {
        macro_rules! say {
            ($level:ident) => {
                tracing::$level!(
                    event = self.name,
                    zone = self.zone.map(display),
                    serial = self.serial.map(|s| s.0),
                    from_serial = self.from_serial.map(|s| s.0),
                    primary = self.primary.map(display),
                    peer = self.peer.map(display),
                    key = self.key.map(display),
                    transport = self.transport,
                    kind = self.kind,
                    bytes = self.bytes,
                    records = self.records,
                    ms = self.ms,
                    reason = self.reason.map(display),
                    detail = self.detail,
                    next_in = self.next_in.map(seconds),
                    "{}",
                    self.phrase
                )
            };
        }
        match level {
            Level::ERROR => say!(error),
            Level::WARN => say!(warn),
            Level::INFO => say!(info),
            _ => say!(debug),
        }
    }
}

/// Who is not a primary, or may not be: a client, a downstream server, the sender of a NOTIFY.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Peer {
    /// The port is of no meaning, or not known.
    Host(IpAddr),
    /// With its port.
    Socket(SocketAddr),
}

impl Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Peer::Host(host) => host.fmt(f),
            Peer::Socket(socket) => socket.fmt(f),
        }
    }
}

/// Says what works in a configuration but should not stay so.
pub(crate) fn concerns(name: &'static str, warnings: &[Problem]) {
    for warning in warnings {
        let detail = warning.to_string();
        let event = Event::new(name, "the configuration gives cause for concern");
        Event { detail: Some(&detail), ..event }.warn();
    }
}

/// Seconds, to the millisecond.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

/// The running log. Dropping it writes what is still on its way, for a second at most.
pub(crate) struct Log {
    lost: ErrorCounter,
    _writer: WorkerGuard,
}

impl Log {
    /// Says now and then, for ever, how many lines were lost.
    pub(crate) async fn watch(lost: ErrorCounter) {
        let mut said = 0;
        loop {
            tokio::time::sleep(LOOK).await;
            let now = lost.dropped_lines();
            if now > said {
                let detail = format!("{} lines", now - said);
                let event = Event::new("log.lost", "whoever reads the log was too slow: lines are missing");
                Event { detail: Some(&detail), ..event }.warn();
                said = now;
            }
        }
    }

    /// How many lines were lost.
    pub(crate) fn lost(&self) -> ErrorCounter {
        self.lost.clone()
    }
}

/// Starts logging to standard error, from a thread of its own: one who does not read the log must not hold up zones. A
/// second call in one process is ignored.
pub(crate) fn start(log: &LogConfig) -> Log {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(LINES)
        .lossy(true)
        .thread_name("log")
        .finish(std::io::stderr());
    let running = Log { lost: writer.error_counter(), _writer: guard };
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt()
        .with_writer(writer)
        .with_max_level(level)
        .with_target(false)
        // It would write of its own failure to where it just failed, and panic: a log that nobody reads any more is no
        // reason to stop answering.
        .log_internal_errors(false)
        .with_ansi(colour);
    // Only a subscriber set before makes it fail, and then that one stays.
    let _ = match log.format {
        LogFormat::Text => tracing::subscriber::set_global_default(lines.finish()),
        LogFormat::Json => tracing::subscriber::set_global_default(lines.json().flatten_event(true).finish()),
    };
    running
}
