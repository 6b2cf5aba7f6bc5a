//! Knot DNS as primary, and as a secondary of what we serve.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::process::{self, Process};
use crate::wait::SOON;
use crate::{Folder, Key, Plan, Port, Primary, Software, Zone, peers, wait};

/// A running `knotd`.
#[derive(Debug)]
pub struct Knot {
    process: Option<Process>,
    zones: Vec<Zone>,
    port: Port,
    folder: Folder,
}

impl Knot {
    /// Knot DNS as primary of the zones of a plan.
    pub fn primary(plan: Plan) -> Self {
        let mut knot = Self::new(plan.zones);
        let mut text = plan.key.as_ref().map(key_section).unwrap_or_default();
        let key = plan.key.as_ref().map(|k| format!("    key: \"{}\"\n", k.name)).unwrap_or_default();
        for (index, secondary) in plan.notify.iter().enumerate() {
            let section = if index == 0 { "remote:\n" } else { "" };
            let _ = write!(
                text,
                "{section}  - id: s{index}\n    address: {}@{}\n{key}",
                secondary.ip(),
                secondary.port()
            );
        }
        let _ = write!(text, "acl:\n  - id: transfer\n    address: 127.0.0.1\n{key}    action: transfer\n");
        text.push_str(&template("    zonefile-load: difference\n    acl: transfer\n"));
        let notify: Vec<String> = (0..plan.notify.len()).map(|i| format!("s{i}")).collect();
        if !notify.is_empty() {
            let _ = writeln!(text, "    notify: [{}]", notify.join(", "));
        }
        text.push_str("zone:\n");
        for (index, zone) in knot.zones.iter().enumerate() {
            let _ = write!(text, "  - domain: \"{}\"\n    file: \"{index}.zone\"\n", zone.apex);
        }
        knot.configure(&text);
        for zone in knot.zones.clone() {
            knot.write(&zone);
        }
        knot.start();
        knot
    }

    /// Knot DNS as secondary of zones that `primary` serves, on a port that the primary may have been told before.
    pub fn secondary(apexes: &[&str], port: Port, primary: SocketAddr, key: Option<&Key>) -> Self {
        let mut knot = Self::new(Vec::new());
        knot.port = port;
        let mut text = key.map(key_section).unwrap_or_default();
        let key = key.map(|k| format!("    key: \"{}\"\n", k.name)).unwrap_or_default();
        let _ =
            write!(text, "remote:\n  - id: primary\n    address: {}@{}\n{key}", primary.ip(), primary.port());
        let _ = write!(text, "acl:\n  - id: notify\n    address: 127.0.0.1\n{key}    action: notify\n");
        text.push_str("  - id: transfer\n    address: 127.0.0.1\n    action: transfer\n");
        text.push_str(&template("    master: primary\n    acl: [notify, transfer]\n"));
        text.push_str("zone:\n");
        for (index, apex) in apexes.iter().enumerate() {
            let _ = write!(text, "  - domain: \"{apex}\"\n    file: \"{index}.zone\"\n");
        }
        knot.configure(&text);
        knot.start();
        knot
    }

    fn new(zones: Vec<Zone>) -> Self {
        Self { process: None, zones, port: Port::free(), folder: Folder::fresh() }
    }

    fn configure(&self, text: &str) {
        let folder = self.folder.path().display();
        let text = format!(
            "server:
    listen: 127.0.0.1@{port}
    rundir: \"{folder}\"
    udp-workers: 1
    tcp-workers: 1
    background-workers: 2
control:
    listen: \"{folder}/knot.sock\"
log:
  - target: stderr
    any: info
database:
    storage: \"{folder}\"
    journal-db-max-size: 100M
    kasp-db-max-size: 10M
    timer-db-max-size: 10M
    catalog-db-max-size: 10M
{text}",
            port = self.port.number(),
        )
        .replace("@FOLDER@", &folder.to_string());
        std::fs::write(self.configuration(), text).expect("our own folder is writable");
    }

    fn configuration(&self) -> PathBuf {
        self.folder.path().join("knot.conf")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("knotd.log")
    }

    fn write(&mut self, zone: &Zone) {
        let index = self.zones.iter().position(|z| z.apex == zone.apex).expect("a zone of the plan");
        let file = self.folder.path().join(format!("{index}.zone"));
        std::fs::write(file, zone.master_file()).expect("our own folder is writable");
        self.zones[index] = zone.clone();
    }

    fn control(&self, arguments: &[&str]) -> (bool, String) {
        let socket = self.folder.path().join("knot.sock");
        let socket = socket.to_string_lossy();
        let all: Vec<&str> = ["-s", &socket, "-b"].into_iter().chain(arguments.iter().copied()).collect();
        process::attempt(&peers::program("knotc"), &all)
    }
}

impl Primary for Knot {
    fn software(&self) -> Software {
        Software::Knot
    }

    fn port(&self) -> &Port {
        &self.port
    }

    fn publish(&mut self, zone: &Zone) {
        self.write(zone);
        if self.process.is_some() {
            let (worked, output) = self.control(&["zone-reload", &zone.apex]);
            assert!(worked, "knotc zone-reload {}: {output}\n{}", zone.apex, self.tail());
            self.until_serving(zone, SOON);
        }
    }

    fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop();
        }
    }

    fn start(&mut self) {
        let program = peers::server("knotd", self.folder.path());
        let configuration = self.configuration();
        let arguments = ["-c", &configuration.to_string_lossy()];
        self.process = Some(Process::start("Knot DNS", &program, &arguments, &self.log()));
        for zone in &self.zones {
            self.until_serving(zone, SOON);
        }
        wait::until(
            "Knot's control socket",
            SOON,
            || self.tail(),
            || self.control(&["status"]).0.then_some(()),
        );
    }

    fn freeze(&mut self, frozen: bool) {
        self.process.as_ref().expect("it runs").freeze(frozen);
    }

    fn tail(&self) -> String {
        process::tail(&self.log())
    }
}

fn key_section(key: &Key) -> String {
    format!("key:\n  - id: \"{}\"\n    algorithm: {}\n    secret: {}\n", key.name, key.algorithm, key.secret)
}

fn template(more: &str) -> String {
    format!(
        "template:\n  - id: default\n    storage: \"@FOLDER@\"\n    zonefile-sync: -1\n    journal-content: changes\n    \
         semantic-checks: off\n{more}"
    )
}

/// Whether Knot DNS would load this zone.
pub fn loads(folder: &Path, zone: &Zone) -> bool {
    std::fs::write(folder.join("trial.zone"), zone.master_file()).expect("our own folder is writable");
    let configuration = folder.join("trial.conf");
    let text = format!(
        "database:\n    storage: \"{0}\"\nzone:\n  - domain: \"{1}\"\n    storage: \"{0}\"\n    file: trial.zone\n",
        folder.display(),
        zone.apex,
    );
    std::fs::write(&configuration, text).expect("our own folder is writable");
    process::attempt(
        &peers::program("knotc"),
        &["-c", &configuration.to_string_lossy(), "zone-check", &zone.apex],
    )
    .0
}
