//! PowerDNS Authoritative with its SQLite backend, as primary, and as a secondary of what we serve.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::process::{self, Process};
use crate::wait::SOON;
use crate::{Folder, Key, Plan, Port, Primary, Software, Zone, peers, wait};

/// Where packages put the schema of the database.
const SCHEMAS: [&str; 3] = [
    "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql",
    "/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql",
    "/usr/share/doc/pdns/schema.sqlite3.sql",
];

/// A running `pdns_server`.
#[derive(Debug)]
pub struct Pdns {
    process: Option<Process>,
    zones: Vec<Zone>,
    port: Port,
    folder: Folder,
}

impl Pdns {
    /// PowerDNS as primary of the zones of a plan.
    pub fn primary(plan: Plan) -> Self {
        let mut pdns =
            Self { process: None, zones: plan.zones.clone(), port: Port::free(), folder: Folder::fresh() };
        // An address that is admitted needs no key, so with a key no address may be.
        let admitted = if plan.key.is_some() { "192.0.2.1" } else { "127.0.0.1" };
        pdns.configure(&format!("primary=yes\nallow-axfr-ips={admitted}\n"));
        for zone in &plan.zones {
            pdns.load(zone);
            pdns.util(&["set-kind", &zone.apex, "primary"]);
            if !plan.notify.is_empty() {
                let secondaries: Vec<String> = plan.notify.iter().map(ToString::to_string).collect();
                let mut arguments = vec!["set-meta", zone.apex.as_str(), "ALSO-NOTIFY"];
                arguments.extend(secondaries.iter().map(String::as_str));
                pdns.util(&arguments);
            }
            if let Some(key) = &plan.key {
                pdns.util(&["import-tsig-key", &key.name, &key.algorithm, &key.secret]);
                pdns.util(&["activate-tsig-key", &zone.apex, &key.name, "primary"]);
            }
        }
        pdns.start();
        pdns
    }

    /// PowerDNS as secondary of zones that `primary` serves, on a port that the primary may have been told before.
    pub fn secondary(apexes: &[&str], port: Port, primary: SocketAddr, key: Option<&Key>) -> Self {
        let mut pdns = Self { process: None, zones: Vec::new(), port, folder: Folder::fresh() };
        pdns.configure("secondary=yes\nallow-axfr-ips=127.0.0.1\nallow-notify-from=127.0.0.1\n");
        for apex in apexes {
            pdns.util(&["create-secondary-zone", apex, &primary.to_string()]);
            if let Some(key) = key {
                pdns.util(&["import-tsig-key", &key.name, &key.algorithm, &key.secret]);
                pdns.util(&["activate-tsig-key", apex, &key.name, "secondary"]);
            }
        }
        pdns.start();
        pdns
    }

    /// `role` are the settings that make it a primary or a secondary.
    fn configure(&self, role: &str) {
        create_database(self.folder.path());
        let mut text = configuration(self.folder.path());
        let _ = write!(
            text,
            "local-address=127.0.0.1:{port}
socket-dir={folder}
{role}only-notify=
xfr-cycle-interval=1
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=0
zone-metadata-cache-ttl=0
distributor-threads=1
receiver-threads=1
log-timestamp=yes
loglevel=5
dname-processing=yes
",
            port = self.port.number(),
            folder = self.folder.path().display(),
        );
        std::fs::write(self.folder.path().join("pdns.conf"), text).expect("our own folder is writable");
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("pdns.log")
    }

    fn load(&self, zone: &Zone) {
        let file = self.folder.path().join("load.zone");
        std::fs::write(&file, zone.master_file()).expect("our own folder is writable");
        self.util(&["load-zone", &zone.apex, &file.to_string_lossy()]);
        // Without this it does not know its empty non-terminals.
        self.util(&["rectify-zone", &zone.apex]);
    }

    fn util(&self, arguments: &[&str]) {
        let (worked, output) = util(self.folder.path(), arguments);
        assert!(worked, "pdnsutil {arguments:?}: {output}");
    }

    fn control(&self, arguments: &[&str]) -> (bool, String) {
        let socket = format!("--socket-dir={}", self.folder.path().display());
        let directory = format!("--config-dir={}", self.folder.path().display());
        let all: Vec<&str> =
            [socket.as_str(), &directory].into_iter().chain(arguments.iter().copied()).collect();
        process::attempt(&peers::program("pdns_control"), &all)
    }
}

impl Primary for Pdns {
    fn software(&self) -> Software {
        Software::Pdns
    }

    fn port(&self) -> &Port {
        &self.port
    }

    fn publish(&mut self, zone: &Zone) {
        self.load(zone);
        let known = self.zones.iter_mut().find(|z| z.apex == zone.apex).expect("a zone of the plan");
        *known = zone.clone();
        if self.process.is_some() {
            self.until_serving(zone, SOON);
        }
        // Its own cycle of one second notices the new serial and notifies.
    }

    fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop();
        }
    }

    fn start(&mut self) {
        let program = peers::server("pdns_server", self.folder.path());
        let directory = format!("--config-dir={}", self.folder.path().display());
        let arguments = [directory.as_str(), "--daemon=no", "--guardian=no", "--disable-syslog=yes"];
        self.process = Some(Process::start("PowerDNS", &program, &arguments, &self.log()));
        for zone in &self.zones {
            self.until_serving(zone, SOON);
        }
        wait::until(
            "PowerDNS's control socket",
            SOON,
            || self.tail(),
            || self.control(&["rping"]).0.then_some(()),
        );
    }

    fn freeze(&mut self, frozen: bool) {
        self.process.as_ref().expect("it runs").freeze(frozen);
    }

    fn tail(&self) -> String {
        process::tail(&self.log())
    }
}

fn create_database(folder: &Path) {
    let schema =
        SCHEMAS.iter().find(|s| Path::new(s).is_file()).expect("the schema comes with the backend's package");
    let database = folder.join("pdns.sqlite3");
    process::run(&peers::program("sqlite3"), &[&database.to_string_lossy(), &format!(".read {schema}")]);
}

fn configuration(folder: &Path) -> String {
    format!(
        "launch=gsqlite3\ngsqlite3-database={}/pdns.sqlite3\ngsqlite3-pragma-synchronous=0\n",
        folder.display()
    )
}

fn util(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let directory = format!("--config-dir={}", folder.display());
    let all: Vec<&str> = std::iter::once(directory.as_str()).chain(arguments.iter().copied()).collect();
    process::attempt(&peers::program("pdnsutil"), &all)
}

/// Whether PowerDNS would load this zone.
pub fn loads(folder: &Path, zone: &Zone) -> bool {
    if !folder.join("pdns.conf").is_file() {
        create_database(folder);
        std::fs::write(folder.join("pdns.conf"), configuration(folder)).expect("our own folder is writable");
    }
    let file = folder.join("trial.zone");
    std::fs::write(&file, zone.master_file()).expect("our own folder is writable");
    util(folder, &["load-zone", &zone.apex, &file.to_string_lossy()]).0
}
