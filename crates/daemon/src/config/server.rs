//! What is said once for the whole daemon: listeners, paths, log, limits.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::access::socket_address;
use super::problem::{Findings, quoted};
use super::tls::{self, Transport};
use super::tree::{Node, Value};
use super::walk::{self, Fields, Words};
use crate::tls::TlsServer;

/// Longest path of a unix socket that every system takes, in octets.
const MAX_SOCKET_PATH: usize = 107;
/// Most listeners; each needs its sockets per thread.
const MAX_LISTENERS: usize = 256;

const LISTENER: Words =
    Words { of: "a listener", known: &["address", "transport"], later: &[], private: false };
const LOG: Words = Words { of: "`log`", known: &["format", "level"], later: &[], private: false };
const LIMITS: Words = Words {
    of: "`limits`",
    known: &[
        "transfers",
        "transfers-per-primary",
        "transfers-out",
        "probes-per-primary",
        "tcp-clients",
        "tcp-idle",
        "udp-payload",
        "udp-threads",
        "rrset-records",
        "name-types",
        "nsec3-iterations",
    ],
    later: &[],
    private: false,
};

/// The daemon as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where to answer, no two addresses equal, no port 0.
    pub listen: Vec<Listener>,
    /// For those listeners that speak TLS; shared, so that a reload can put another in its place.
    pub tls: Option<Arc<TlsServer>>,
    /// The only folder written to.
    pub state_dir: PathBuf,
    /// The control socket.
    pub control: PathBuf,
    /// Taken on after binding when started as root.
    pub user: Option<String>,
    /// What is logged, and how.
    pub log: LogConfig,
    /// Bounds of the whole daemon.
    pub limits: Limits,
}

/// A place to answer at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its address.
    pub address: SocketAddr,
    /// TLS alone; otherwise UDP and TCP.
    pub tls: bool,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Lines for people or for programs.
    pub format: LogFormat,
    /// The least important level that is written.
    pub level: LogLevel,
}

/// Form of the log on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Importance of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// What an operator must see to.
    Error,
    /// What should not stay so.
    Warn,
    /// Each outcome.
    Info,
    /// Each step.
    Debug,
    /// Everything.
    Trace,
}

impl From<LogLevel> for tracing::Level {
    fn from(level: LogLevel) -> tracing::Level {
        match level {
            LogLevel::Error => tracing::Level::ERROR,
            LogLevel::Warn => tracing::Level::WARN,
            LogLevel::Info => tracing::Level::INFO,
            LogLevel::Debug => tracing::Level::DEBUG,
            LogLevel::Trace => tracing::Level::TRACE,
        }
    }
}

/// Bounds of the whole daemon; every number is at least 1, unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Incoming transfers at once.
    pub transfers: usize,
    /// Of these, from one primary's address.
    pub transfers_per_primary: usize,
    /// Outgoing transfers at once.
    pub transfers_out: usize,
    /// Unanswered probes at once per primary's address.
    pub probes_per_primary: usize,
    /// TCP connections of clients at once.
    pub tcp_clients: usize,
    /// A silent TCP connection is closed after this.
    pub tcp_idle: Duration,
    /// Largest UDP answer, in octets: 512 (RFC 6891 §6.2.3) to 65535.
    pub udp_payload: u16,
    /// Threads that answer over UDP.
    pub udp_threads: usize,
    /// Most records of one RRset that is taken from a primary.
    pub rrset_records: usize,
    /// Most types at one name of a zone that is taken from a primary, and as many again that its signatures cover.
    pub name_types: usize,
    /// Most iterations of an NSEC3 chain that proofs are made of (RFC 9276 §3.2); 0: only chains without extra ones.
    pub nsec3_iterations: u16,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            transfers: 64,
            transfers_per_primary: 8,
            transfers_out: 64,
            probes_per_primary: 64,
            tcp_clients: 1000,
            tcp_idle: Duration::from_secs(10),
            udp_payload: 1232,
            udp_threads: std::thread::available_parallelism().map_or(1, usize::from),
            rrset_records: 65_535,
            name_types: 200,
            nsec3_iterations: 150,
        }
    }
}

/// Reads the top level's own keys. Relative paths are sought from `folder`. Everything is looked at; `None` when
/// anything that has no default is wrong.
pub(super) fn read(fields: &Fields<'_>, folder: &Path, findings: &mut Findings) -> Option<ServerConfig> {
    let listen = match fields.of("listen") {
        Some(node) => listen(node, findings),
        None => {
            let expected = "expected addresses such as [\"0.0.0.0:53\", \"[::]:53\"]";
            findings.error(fields.mark, format!("`listen` is missing, {expected}"));
            None
        }
    };
    let over_tls = listen.as_ref().is_some_and(|listeners| listeners.iter().any(|listener| listener.tls));
    let listener = fields.of("listen").filter(|_| over_tls).map(|node| node.mark);
    let tls = tls::server(fields, listener, folder, findings);
    let state_dir = path(fields, "state-dir", "/var/lib/secondo", folder, findings);
    let control = control(fields, folder, findings);
    let user = user(fields, findings);
    let log = fields.of("log").filter(|node| !node.is_null()).map(|node| log(node, findings));
    let limits = fields.of("limits").filter(|node| !node.is_null()).map(|node| limits(node, findings));
    Some(ServerConfig {
        listen: listen?,
        tls: tls?,
        state_dir: state_dir?,
        control: control?,
        user,
        log: log.unwrap_or(LogConfig { format: LogFormat::Text, level: LogLevel::Info }),
        limits: limits.unwrap_or_default(),
    })
}

fn listen(node: &Node, findings: &mut Findings) -> Option<Vec<Listener>> {
    let items = walk::list(node, "a list of addresses such as [\"0.0.0.0:53\", \"[::]:53\"]", findings)?;
    if items.is_empty() || items.len() > MAX_LISTENERS {
        findings.error(node.mark, format!("{} addresses, expected 1 to {MAX_LISTENERS}", items.len()));
        return None;
    }
    let mut listeners: Vec<Option<Listener>> = Vec::with_capacity(items.len());
    for item in items {
        let listener = match &item.value {
            Value::Map(_) => listener(item, findings),
            _ => socket_address(item, Transport::Tcp.port(), findings)
                .map(|address| Listener { address, tls: false }),
        };
        if let Some(new) = listener
            && listeners.iter().flatten().any(|former| former.address == new.address)
        {
            findings.error(item.mark, "this address is listed twice, expected it once");
        }
        listeners.push(listener);
    }
    listeners.into_iter().collect()
}

fn listener(node: &Node, findings: &mut Findings) -> Option<Listener> {
    let fields = walk::fields(node, &LISTENER, findings)?;
    let transport = tls::transport(&fields, findings);
    let Some(address) = fields.of("address") else {
        findings.error(fields.mark, "`address` is missing, expected one such as \"0.0.0.0:53\"");
        return None;
    };
    let address = socket_address(address, transport.unwrap_or(Transport::Tcp).port(), findings);
    Some(Listener { tls: transport? == Transport::Tls, address: address? })
}

fn path(
    fields: &Fields<'_>,
    word: &str,
    default: &str,
    folder: &Path,
    findings: &mut Findings,
) -> Option<PathBuf> {
    let Some(node) = fields.of(word) else { return Some(PathBuf::from(default)) };
    let text = walk::text(node, "a path", findings)?;
    if text.is_empty() {
        findings.error(node.mark, "an empty path, expected one such as /var/lib/secondo");
        return None;
    }
    Some(folder.join(text))
}

fn control(fields: &Fields<'_>, folder: &Path, findings: &mut Findings) -> Option<PathBuf> {
    let path = path(fields, "control", "/run/secondo/control.sock", folder, findings)?;
    if path.as_os_str().len() > MAX_SOCKET_PATH {
        let mark = fields.of("control").map_or(fields.mark, |node| node.mark);
        let message = format!(
            "the path of the socket is {} octets long, expected at most {MAX_SOCKET_PATH}",
            path.as_os_str().len()
        );
        findings.error(mark, message);
        return None;
    }
    Some(path)
}

fn user(fields: &Fields<'_>, findings: &mut Findings) -> Option<String> {
    let node = fields.of("user")?;
    let text = walk::text(node, "the name of a user", findings)?;
    // POSIX: portable user names; a leading hyphen would be taken for an option.
    if walk::is_label(text) && !text.starts_with('-') {
        return Some(text.to_owned());
    }
    findings.error(node.mark, format!("bad user {}, expected {}", quoted(text), walk::LABEL));
    None
}

fn log(node: &Node, findings: &mut Findings) -> LogConfig {
    let default = LogConfig { format: LogFormat::Text, level: LogLevel::Info };
    let Some(fields) = walk::fields(node, &LOG, findings) else { return default };
    let format = fields.of("format").and_then(|node| {
        let journald = matches!(&node.value, Value::Scalar(scalar) if scalar.text() == "journald");
        if journald {
            findings.error(node.mark, "`format: journald` is not supported yet, expected text or json");
            return None;
        }
        walk::typed(node, "text or json", findings)
    });
    let level =
        fields.of("level").and_then(|node| walk::typed(node, "error, warn, info, debug or trace", findings));
    LogConfig { format: format.unwrap_or(default.format), level: level.unwrap_or(default.level) }
}

fn limits(node: &Node, findings: &mut Findings) -> Limits {
    let mut limits = Limits::default();
    let Some(fields) = walk::fields(node, &LIMITS, findings) else { return limits };
    let mut count = |word: &str, most: u64, place: &mut usize| {
        let value = fields.of(word).and_then(|node| walk::number(node, 1, most, findings));
        if let Some(value) = value.and_then(|value| usize::try_from(value).ok()) {
            *place = value;
        }
    };
    count("transfers", 100_000, &mut limits.transfers);
    count("transfers-per-primary", 100_000, &mut limits.transfers_per_primary);
    count("transfers-out", 100_000, &mut limits.transfers_out);
    count("probes-per-primary", 100_000, &mut limits.probes_per_primary);
    count("tcp-clients", 1_000_000, &mut limits.tcp_clients);
    count("udp-threads", 1024, &mut limits.udp_threads);
    count("rrset-records", 65_535, &mut limits.rrset_records);
    count("name-types", 65_535, &mut limits.name_types);
    if let Some(idle) =
        fields.of("tcp-idle").and_then(|node| walk::duration(node, Duration::from_millis(100), findings))
    {
        limits.tcp_idle = idle;
    }
    let payload = fields.of("udp-payload").and_then(|node| walk::number(node, 512, 65_535, findings));
    if let Some(payload) = payload.and_then(|payload| u16::try_from(payload).ok()) {
        limits.udp_payload = payload;
    }
    let iterations = fields.of("nsec3-iterations").and_then(|node| walk::number(node, 0, 65_535, findings));
    if let Some(iterations) = iterations.and_then(|iterations| u16::try_from(iterations).ok()) {
        limits.nsec3_iterations = iterations;
    }
    limits
}
