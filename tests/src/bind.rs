//! BIND 9 as primary, and as a secondary of what we serve.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use crate::process::{self, Process};
use crate::tls::Listener;
use crate::wait::SOON;
use crate::{Folder, Key, Plan, Port, Primary, Software, Zone, peers};

/// A running `named`.
#[derive(Debug)]
pub struct Bind {
    process: Option<Process>,
    zones: Vec<Zone>,
    port: Port,
    tls: Option<Listener>,
    folder: Folder,
}

impl Bind {
    /// BIND as primary of the zones of a plan.
    pub fn primary(plan: Plan) -> Self {
        let mut bind = Self::new(plan.zones);
        bind.tls = plan.tls;
        let over_tls = bind.tls.as_ref().map(|_| " transport tls").unwrap_or_default();
        let mut clauses = plan.key.as_ref().map(Key::clause).unwrap_or_default();
        let named = plan.key.as_ref().map(|k| format!(" key \"{}\"", k.name)).unwrap_or_default();
        let admitted = match (plan.only_from, &plan.key) {
            (Some(address), _) => format!(" {address};"),
            (None, Some(_)) => format!("{named};"),
            (None, None) => " any;".into(),
        };
        let notified: String =
            plan.notify.iter().map(|s| format!(" {} port {}{named};", s.ip(), s.port())).collect();
        for (index, zone) in bind.zones.iter().enumerate() {
            clauses.push_str(&format!(
                "zone \"{}\" {{ type primary; file \"{index}.zone\"; allow-transfer{over_tls} {{{admitted} }}; \
                 also-notify {{{notified} }}; notify explicit; }};\n",
                zone.apex
            ));
        }
        bind.configure(&clauses);
        for zone in bind.zones.clone() {
            bind.write(&zone);
        }
        bind.start();
        bind
    }

    /// BIND as secondary of zones that `primary` serves, on a port that the primary may have been told before.
    pub fn secondary(apexes: &[&str], port: Port, primary: SocketAddr, key: Option<&Key>) -> Self {
        let named = key.map(|k| format!(" key \"{}\"", k.name)).unwrap_or_default();
        Self::secondary_with(apexes, port, primary, &key.map(Key::clause).unwrap_or_default(), &named)
    }

    /// The same over TLS, from a primary of that name whom the authority vouches for.
    pub fn secondary_over_tls(
        apex: &str,
        port: Port,
        primary: SocketAddr,
        name: &str,
        authority: &Path,
    ) -> Self {
        let clause = format!(
            "tls strict {{ remote-hostname \"{name}\"; ca-file \"{}\"; protocols {{ TLSv1.3; }}; }};\n",
            authority.display()
        );
        Self::secondary_with(&[apex], port, primary, &clause, " tls strict")
    }

    fn secondary_with(apexes: &[&str], port: Port, primary: SocketAddr, clause: &str, how: &str) -> Self {
        let mut bind = Self::new(Vec::new());
        bind.port = port;
        let mut clauses = clause.to_owned();
        for (index, apex) in apexes.iter().enumerate() {
            clauses.push_str(&format!(
                "zone \"{apex}\" {{ type secondary; file \"{index}.zone\"; primaries {{ {} port {}{how}; }}; \
                 allow-transfer {{ any; }}; notify no; }};\n",
                primary.ip(),
                primary.port(),
            ));
        }
        bind.configure(&clauses);
        bind.start();
        bind
    }

    fn new(zones: Vec<Zone>) -> Self {
        Self { process: None, zones, port: Port::free(), tls: None, folder: Folder::fresh() }
    }

    fn configure(&self, clauses: &str) {
        let (mut server, mut listen) = (String::new(), String::new());
        if let Some(Listener { identity, port, mutual }) = &self.tls {
            let authority = format!("ca-file \"{}\"; ", identity.authority.display());
            server = format!(
                "tls own {{ cert-file \"{}\"; key-file \"{}\"; {}protocols {{ TLSv1.3; }}; }};\n",
                identity.certificate.display(),
                identity.key.display(),
                if *mutual { &authority } else { "" },
            );
            listen = format!("listen-on port {} tls own {{ 127.0.0.1; }};", port.number());
        }
        let text = format!(
            "{server}options {{
    directory \"{folder}\"; pid-file \"{folder}/pid\"; session-keyfile \"{folder}/session.key\";
    listen-on port {port} {{ 127.0.0.1; }}; {listen} listen-on-v6 {{ none; }};
    recursion no; dnssec-validation no; allow-query {{ any; }}; notify-delay 0;
    ixfr-from-differences yes; max-ixfr-ratio unlimited; max-journal-size 100m; max-records-per-type 0; max-types-per-name 0;
    check-names primary ignore; check-names secondary ignore; check-integrity no; check-mx ignore;
    check-mx-cname ignore; check-srv-cname ignore; check-spf ignore; check-sibling no;
    min-refresh-time 1; min-retry-time 1;
}};
controls {{ }};
{clauses}",
            folder = self.folder.path().display(),
            port = self.port.number(),
        );
        // Releases before the two limits existed do not know their names, and do not need them.
        let text = if self.accepts(&text) {
            text
        } else {
            text.replace("max-records-per-type 0; max-types-per-name 0;", "")
        };
        std::fs::write(self.configuration(), text).expect("our own folder is writable");
    }

    fn accepts(&self, text: &str) -> bool {
        let trial = self.folder.path().join("trial.conf");
        std::fs::write(&trial, text).expect("our own folder is writable");
        let checker = peers::program("named-checkconf");
        process::attempt(&checker, &[&trial.to_string_lossy()]).0
    }

    fn configuration(&self) -> PathBuf {
        self.folder.path().join("named.conf")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("named.log")
    }

    fn write(&mut self, zone: &Zone) {
        let index = self.zones.iter().position(|z| z.apex == zone.apex).expect("a zone of the plan");
        let file = self.folder.path().join(format!("{index}.zone"));
        std::fs::write(file, zone.master_file()).expect("our own folder is writable");
        self.zones[index] = zone.clone();
    }
}

impl Primary for Bind {
    fn software(&self) -> Software {
        Software::Bind
    }

    fn port(&self) -> &Port {
        &self.port
    }

    fn publish(&mut self, zone: &Zone) {
        self.write(zone);
        if let Some(process) = &self.process {
            // Reads changed zone files again; the differences go to the journal and serve IXFR.
            process.signal(Signal::SIGHUP);
            self.until_serving(zone, SOON);
        } else {
            // A journal that leads elsewhere than the zone file keeps the zone from being loaded.
            let index = self.zones.iter().position(|z| z.apex == zone.apex).expect("a zone of the plan");
            let _ = std::fs::remove_file(self.folder.path().join(format!("{index}.zone.jnl")));
        }
    }

    fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop();
        }
    }

    fn start(&mut self) {
        let program = peers::server("named", self.folder.path());
        let configuration = self.configuration();
        let arguments = ["-g", "-n", "1", "-c", &configuration.to_string_lossy()];
        self.process = Some(Process::start("BIND", &program, &arguments, &self.log()));
        for zone in &self.zones {
            self.until_serving(zone, SOON);
        }
    }

    fn freeze(&mut self, frozen: bool) {
        self.process.as_ref().expect("it runs").freeze(frozen);
    }

    fn tail(&self) -> String {
        process::tail(&self.log())
    }
}

/// Whether BIND would load this zone.
pub fn loads(folder: &Path, zone: &Zone) -> bool {
    let file = folder.join("trial.zone");
    std::fs::write(&file, zone.master_file()).expect("our own folder is writable");
    let arguments =
        ["-i", "none", "-k", "ignore", "-m", "ignore", "-n", "ignore", "-r", "ignore", "-T", "ignore"];
    let mut arguments = arguments.to_vec();
    let path = file.to_string_lossy();
    arguments.extend([zone.apex.as_str(), &path]);
    process::attempt(&peers::program("named-checkzone"), &arguments).0
}
