//! The servers, each with the configuration that its manual advises for a secondary that keeps its zone on disk, and with
//! one thread for queries.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use interop::{Config, peers, process, secondo};

use crate::zone::APEX;

/// A server to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Server {
    Secondo,
    Nsd,
    Knot,
    Bind,
}

impl Server {
    /// All that there are.
    pub(crate) const ALL: [Self; 4] = [Self::Secondo, Self::Nsd, Self::Knot, Self::Bind];

    /// How it is called on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Secondo => "secondo",
            Self::Nsd => "nsd",
            Self::Knot => "knot",
            Self::Bind => "bind",
        }
    }

    /// Its program, unless it is not installed.
    fn program(self) -> Option<PathBuf> {
        peers::find(match self {
            Self::Secondo => return Some(secondo::binary().to_owned()),
            Self::Nsd => "nsd",
            Self::Knot => "knotd",
            Self::Bind => "named",
        })
    }

    /// Its version, unless it is not installed.
    pub(crate) fn version(self) -> Option<String> {
        let option = match self {
            Self::Nsd | Self::Bind => "-v",
            Self::Secondo | Self::Knot => "--version",
        };
        let said = process::outcome(&self.program()?, &[option]);
        let text = said.output + &said.errors;
        let word =
            text.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
        Some(word.unwrap_or("of unknown version").to_owned())
    }

    /// The program to run, with its files in `folder`, and its arguments. Writes its configuration there; what it keeps
    /// of the zone, and nothing else, is in `state`.
    pub(crate) fn prepare(self, setting: Setting<'_>) -> (PathBuf, Vec<String>) {
        let folder = setting.folder;
        let file = folder.join(match self {
            Self::Secondo => "secondo.yaml",
            Self::Nsd => "nsd.conf",
            Self::Knot => "knot.conf",
            Self::Bind => "named.conf",
        });
        let write = |text: String| std::fs::write(&file, text).expect("our own folder is writable");
        let path = file.display().to_string();
        match self {
            Self::Secondo => {
                write(setting.secondo());
                (secondo::binary().to_owned(), vec!["run".into(), "--config".into(), path])
            }
            Self::Nsd => {
                // Releases before 4.8 can have a database, too; it takes more memory, and was given up.
                write(setting.nsd("  database: \"\"\n"));
                if !process::attempt(&peers::program("nsd-checkconf"), &[&path]).0 {
                    write(setting.nsd(""));
                }
                (peers::server("nsd", folder), vec!["-d".into(), "-c".into(), path])
            }
            Self::Knot => {
                write(setting.knot());
                (peers::server("knotd", folder), vec!["-c".into(), path])
            }
            Self::Bind => {
                write(setting.bind());
                let threads = setting.threads.to_string();
                let arguments = ["-g", "-n", &threads, "-c", &path];
                (peers::server("named", folder), arguments.map(str::to_owned).to_vec())
            }
        }
    }

    /// Lets a server that does it only from time to time write to disk what it has; `configuration` is the file that
    /// [`Server::prepare`] wrote. nsd-control(8): `write`.
    pub(crate) fn write(self, configuration: &str) {
        if self == Self::Nsd {
            process::attempt(&peers::program("nsd-control"), &["-c", configuration, "write"]);
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secondo => "secondo",
            Self::Nsd => "NSD",
            Self::Knot => "Knot DNS",
            Self::Bind => "BIND",
        })
    }
}

/// Where a server finds what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) folder: &'a Path,
    /// Where it keeps the zone, below `folder`.
    pub(crate) state: &'a Path,
    pub(crate) address: SocketAddr,
    pub(crate) primary: SocketAddr,
    /// The zone's wire size in octets.
    pub(crate) size: usize,
    /// Threads for queries.
    pub(crate) threads: usize,
    /// TCP connections at once.
    pub(crate) connections: usize,
}

impl Setting<'_> {
    fn secondo(self) -> String {
        Config::new()
            .more(&limits(self.threads, self.connections))
            .primary("primary", self.primary, None)
            .zone(APEX, "primary", &[])
            .text(self.folder, self.address)
    }

    /// nsd.conf(5): the zone file is written each hour (`zonefiles-write`), or when [`Server::write`] says so.
    fn nsd(self, database: &str) -> String {
        format!(
            "server:
  ip-address: {ip}@{port}
  server-count: {threads}
  tcp-count: {connections}
  tcp-timeout: 300
  username: \"\"
  zonesdir: \"{state}\"
  zonelistfile: \"{state}/zone.list\"
  xfrdfile: \"{state}/xfrd.state\"
  xfrdir: \"{state}\"
  pidfile: \"{folder}/nsd.pid\"
  rrl-ratelimit: 0
{database}remote-control:
  control-enable: yes
  control-interface: \"{folder}/nsd.sock\"
zone:
  name: \"{APEX}\"
  zonefile: \"{APEX}zone\"
  request-xfr: {primary_ip}@{primary_port} NOKEY
  allow-notify: {primary_ip} NOKEY
",
            ip = self.address.ip(),
            port = self.address.port(),
            threads = self.threads,
            connections = self.connections,
            state = self.state.display(),
            folder = self.folder.display(),
            primary_ip = self.primary.ip(),
            primary_port = self.primary.port(),
        )
    }

    /// Knot's manual, "Journal behaviour" and `zonefile-sync`: for large zones with frequent updates no zone file, and all
    /// in the journal, which must have room for it.
    fn knot(self) -> String {
        format!(
            "server:
    listen: {ip}@{port}
    rundir: \"{folder}\"
    udp-workers: {threads}
    tcp-workers: {threads}
    tcp-max-clients: {connections}
    tcp-idle-timeout: 300
    tcp-io-timeout: 0
log:
  - target: stderr
    any: info
database:
    storage: \"{state}\"
remote:
  - id: primary
    address: {primary_ip}@{primary_port}
acl:
  - id: notify
    address: {primary_ip}
    action: notify
zone:
  - domain: \"{APEX}\"
    storage: \"{state}\"
    zonefile-sync: -1
    zonefile-load: none
    journal-content: all
    journal-max-usage: {journal}M
    semantic-checks: off
    master: primary
    acl: notify
",
            ip = self.address.ip(),
            port = self.address.port(),
            threads = self.threads,
            connections = self.connections,
            state = self.state.display(),
            folder = self.folder.display(),
            journal = 100 + (self.size >> 20) * 8,
            primary_ip = self.primary.ip(),
            primary_port = self.primary.port(),
        )
    }

    /// BIND's reference manual: a secondary with a `file` keeps it in raw format, and a journal beside it.
    fn bind(self) -> String {
        format!(
            "options {{
    directory \"{state}\"; pid-file \"{folder}/pid\"; session-keyfile \"{folder}/session.key\";
    listen-on port {port} {{ {ip}; }}; listen-on-v6 {{ none; }};
    recursion no; dnssec-validation no; minimal-responses yes; notify no; allow-query {{ any; }};
    tcp-clients {connections}; tcp-listen-queue 1024; tcp-idle-timeout 1200; tcp-initial-timeout 1200;
}};
controls {{ }};
zone \"{APEX}\" {{
    type secondary; file \"{APEX}db\";
    primaries {{ {primary_ip} port {primary_port}; }}; allow-notify {{ {primary_ip}; }};
}};
",
            ip = self.address.ip(),
            port = self.address.port(),
            connections = self.connections,
            state = self.state.display(),
            folder = self.folder.display(),
            primary_ip = self.primary.ip(),
            primary_port = self.primary.port(),
        )
    }
}

/// secondo's limits. Connections may be silent for five minutes here and elsewhere; BIND allows two at most.
pub(crate) fn limits(threads: usize, connections: usize) -> String {
    format!("limits: {{ udp-threads: {threads}, tcp-clients: {connections}, tcp-idle: 300s }}")
}
