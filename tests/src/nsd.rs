//! NSD as primary, and as a secondary of what we serve.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::process::{self, Process};
use crate::tls::Listener;
use crate::wait::SOON;
use crate::{Folder, Key, Plan, Port, Primary, Software, Zone, peers, wait};

/// A running `nsd`.
#[derive(Debug)]
pub struct Nsd {
    process: Option<Process>,
    zones: Vec<Zone>,
    port: Port,
    /// Lines of its `server` that are about TLS.
    tls: String,
    folder: Folder,
}

impl Nsd {
    /// NSD as primary of the zones of a plan.
    pub fn primary(plan: Plan) -> Self {
        let mut nsd = Self::new(plan.zones);
        if let Some(Listener { identity, port, .. }) = &plan.tls {
            nsd.tls = format!(
                "  ip-address: 127.0.0.1@{port}\n  tls-port: {port}\n  tls-service-key: \"{}\"\n  \
                 tls-service-pem: \"{}\"\n",
                identity.key.display(),
                identity.certificate.display(),
                port = port.number(),
            );
        }
        let mut text = plan.key.as_ref().map(key_section).unwrap_or_default();
        let key = plan.key.as_ref().map_or("NOKEY", |k| &k.name);
        for (index, zone) in nsd.zones.iter().enumerate() {
            let _ = write!(
                text,
                "zone:\n  name: \"{}\"\n  zonefile: \"{index}.zone\"\n  provide-xfr: 127.0.0.1 {key}\n  \
                 store-ixfr: yes\n  create-ixfr: yes\n",
                zone.apex
            );
            for secondary in &plan.notify {
                let _ = writeln!(text, "  notify: {}@{} {key}", secondary.ip(), secondary.port());
            }
        }
        nsd.configure(&text);
        for zone in nsd.zones.clone() {
            nsd.write(&zone);
        }
        nsd.start();
        nsd
    }

    /// NSD as secondary of zones that `primary` serves, on a port that the primary may have been told before.
    pub fn secondary(apexes: &[&str], port: Port, primary: SocketAddr, key: Option<&Key>) -> Self {
        let section = key.map(key_section).unwrap_or_default();
        let key = key.map_or("NOKEY", |k| &k.name);
        Self::secondary_with(apexes, port, primary, (section, String::new()), key, "")
    }

    /// The same over TLS, from a primary of that name whom the authority vouches for.
    pub fn secondary_over_tls(
        apex: &str,
        port: Port,
        primary: SocketAddr,
        name: &str,
        authority: &Path,
    ) -> Self {
        let section = format!("tls-auth:\n  name: strict\n  auth-domain-name: \"{name}\"\n");
        let server = format!("  tls-cert-bundle: \"{}\"\n", authority.display());
        Self::secondary_with(&[apex], port, primary, (section, server), "NOKEY", " strict")
    }

    fn secondary_with(
        apexes: &[&str],
        port: Port,
        primary: SocketAddr,
        (section, server): (String, String),
        key: &str,
        how: &str,
    ) -> Self {
        let mut nsd = Self::new(Vec::new());
        (nsd.port, nsd.tls) = (port, server);
        let mut text = section;
        for (index, apex) in apexes.iter().enumerate() {
            let _ = write!(
                text,
                "zone:\n  name: \"{apex}\"\n  zonefile: \"{index}.zone\"\n  request-xfr: {}@{} {key}{how}\n  \
                 allow-notify: 127.0.0.1 {key}\n  provide-xfr: 127.0.0.1 NOKEY\n",
                primary.ip(),
                primary.port(),
            );
        }
        nsd.configure(&text);
        nsd.start();
        nsd
    }

    fn new(zones: Vec<Zone>) -> Self {
        Self { process: None, zones, port: Port::free(), tls: String::new(), folder: Folder::fresh() }
    }

    fn configure(&self, text: &str) {
        let head = |database: &str| {
            format!(
                "server:
  ip-address: 127.0.0.1@{port}
  server-count: 1
  username: \"\"
  zonesdir: \"{folder}\"
  zonelistfile: \"{folder}/zone.list\"
  xfrdfile: \"{folder}/xfrd.state\"
  xfrdir: \"{folder}\"
  pidfile: \"{folder}/nsd.pid\"
  verbosity: 3
  rrl-ratelimit: 0
{tls}{database}remote-control:
  control-enable: yes
  control-interface: \"{folder}/nsd.sock\"
",
                port = self.port.number(),
                folder = self.folder.path().display(),
                tls = self.tls,
            )
        };
        let configuration = self.configuration();
        let write = |head: String| {
            std::fs::write(&configuration, head + text).expect("our own folder is writable");
            process::attempt(&peers::program("nsd-checkconf"), &[&configuration.to_string_lossy()])
        };
        // Releases before 4.8 keep a database at a place of their own unless told otherwise; later ones may not know it.
        if !write(head("  database: \"\"\n")).0 {
            let (worked, output) = write(head(""));
            assert!(worked, "nsd-checkconf: {output}");
        }
    }

    fn configuration(&self) -> PathBuf {
        self.folder.path().join("nsd.conf")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("nsd.log")
    }

    fn write(&mut self, zone: &Zone) {
        let index = self.zones.iter().position(|z| z.apex == zone.apex).expect("a zone of the plan");
        let file = self.folder.path().join(format!("{index}.zone"));
        std::fs::write(file, zone.master_file()).expect("our own folder is writable");
        self.zones[index] = zone.clone();
    }

    fn control(&self, arguments: &[&str]) -> (bool, String) {
        let configuration = self.configuration();
        let configuration = configuration.to_string_lossy();
        let all: Vec<&str> = ["-c", &configuration].into_iter().chain(arguments.iter().copied()).collect();
        process::attempt(&peers::program("nsd-control"), &all)
    }
}

impl Primary for Nsd {
    fn software(&self) -> Software {
        Software::Nsd
    }

    fn port(&self) -> &Port {
        &self.port
    }

    fn publish(&mut self, zone: &Zone) {
        self.write(zone);
        if self.process.is_some() {
            let (worked, output) = self.control(&["reload", &zone.apex]);
            assert!(worked, "nsd-control reload {}: {output}\n{}", zone.apex, self.tail());
            self.until_serving(zone, SOON);
        }
    }

    fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop();
        }
    }

    fn start(&mut self) {
        let program = peers::server("nsd", self.folder.path());
        let configuration = self.configuration();
        let arguments = ["-d", "-c", &configuration.to_string_lossy()];
        self.process = Some(Process::start("NSD", &program, &arguments, &self.log()));
        for zone in &self.zones {
            self.until_serving(zone, SOON);
        }
        wait::until(
            "NSD's control socket",
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
    format!("key:\n  name: \"{}\"\n  algorithm: {}\n  secret: \"{}\"\n", key.name, key.algorithm, key.secret)
}

/// Whether NSD would load this zone.
pub fn loads(folder: &Path, zone: &Zone) -> bool {
    let file = folder.join("trial.zone");
    std::fs::write(&file, zone.master_file()).expect("our own folder is writable");
    process::attempt(&peers::program("nsd-checkzone"), &[&zone.apex, &file.to_string_lossy()]).0
}
