//! Signed zones, made by the tools of BIND and of Knot DNS.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::{Folder, Zone, peers, process};

/// How the signed zone denies that a name exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// NSEC (RFC 4034 §4).
    Nsec,
    /// NSEC3 (RFC 5155) with a salt, one iteration, and without opt-out.
    Nsec3,
    /// NSEC3 with a salt.
    Nsec3With {
        /// Further rounds of the hash.
        iterations: u16,
        /// Whether insecure delegations are left out (RFC 5155 §6).
        opt_out: bool,
    },
}

impl Denial {
    /// Iterations and opt-out of NSEC3.
    fn hashed(self) -> Option<(u16, bool)> {
        match self {
            Self::Nsec => None,
            Self::Nsec3 => Some((1, false)),
            Self::Nsec3With { iterations, opt_out } => Some((iterations, opt_out)),
        }
    }
}

/// Whose tool signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `dnssec-signzone`.
    Bind,
    /// `kzonesign`.
    Knot,
}

impl Tool {
    /// The programs that are needed.
    pub fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Bind => &["dnssec-keygen", "dnssec-signzone", "dnssec-dsfromkey"],
            Self::Knot => &["kzonesign", "dnssec-dsfromkey"],
        }
    }
}

/// The programs that [`signed`] needs.
pub const PROGRAMS: [&str; 2] = ["dnssec-keygen", "dnssec-signzone"];

/// The zone with keys, signatures and a chain of denial; the SOA's serial stays.
pub fn signed(zone: &Zone, denial: Denial) -> Zone {
    Signer::new(&zone.apex, Tool::Bind, denial).sign(zone)
}

/// The keys of one zone, and what was signed with them last.
#[derive(Debug)]
pub struct Signer {
    folder: Folder,
    apex: String,
    tool: Tool,
    denial: Denial,
    last: Vec<String>,
}

impl Signer {
    /// With fresh keys.
    pub fn new(apex: &str, tool: Tool, denial: Denial) -> Self {
        let signer = Self { folder: Folder::fresh(), apex: apex.to_owned(), tool, denial, last: Vec::new() };
        match tool {
            Tool::Bind => {
                let keys = signer.folder.path().to_string_lossy();
                for flags in [&["-f", "KSK"][..], &[]] {
                    let arguments =
                        [&["-q", "-K", &keys, "-a", "ECDSAP256SHA256"][..], flags, &[apex]].concat();
                    process::run(&peers::program("dnssec-keygen"), &arguments);
                }
            }
            Tool::Knot => signer.configure(),
        }
        signer
    }

    /// Signs the zone. RRsets that are as they were when it was signed last keep their signatures. `kzonesign` may count
    /// the serial up.
    pub fn sign(&mut self, zone: &Zone) -> Zone {
        let lines = match self.tool {
            Tool::Bind => self.by_bind(zone),
            Tool::Knot => self.by_knot(zone),
        };
        let mut result = zone.clone();
        let (soa, others): (Vec<String>, Vec<String>) =
            lines.into_iter().partition(|line| field(line, 3) == Some("SOA"));
        result.serial =
            soa.iter().find_map(|soa| field(soa, 6)?.parse().ok()).expect("the signer wrote a SOA");
        assert!(
            others.len() > zone.records.len(),
            "the signer wrote {} records for {}",
            others.len(),
            zone.records.len()
        );
        self.last.clone_from(&others);
        result.records = others;
        result
    }

    /// RDATA of DS records for the parent; the zone must have been signed.
    pub fn ds(&self) -> Vec<String> {
        let (worked, output) =
            process::attempt(&peers::program("dnssec-dsfromkey"), &["-2", "-f", &self.output(), &self.apex]);
        assert!(worked, "dnssec-dsfromkey: {output}");
        output.lines().filter_map(|line| Some(line.split_once(" DS ")?.1.trim().to_owned())).collect()
    }

    /// The entry of a trust anchor file as `delv` reads it; the zone must have been signed.
    pub fn anchor(&self) -> String {
        let anchors = self.ds().into_iter().map(|ds| {
            let fields: Vec<&str> = ds.splitn(4, ' ').collect();
            format!(
                "trust-anchors {{ \"{}\" static-ds {} {} {} \"{}\"; }};\n",
                self.apex, fields[0], fields[1], fields[2], fields[3]
            )
        });
        anchors.collect()
    }

    fn output(&self) -> String {
        let name = match self.tool {
            Tool::Bind => "signed".to_owned(),
            Tool::Knot => "out/plain".to_owned(),
        };
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    fn by_bind(&self, zone: &Zone) -> Vec<String> {
        let plain = self.folder.path().join("plain");
        let mut text = zone.master_file();
        for line in self.kept(zone) {
            text.push_str(line);
            text.push('\n');
        }
        std::fs::write(&plain, text).expect("our own folder is writable");
        let (keys, plain, output) =
            (self.folder.path().to_string_lossy(), plain.to_string_lossy(), self.output());
        let mut arguments =
            vec!["-q", "-S", "-K", &keys, "-d", &keys, "-O", "full", "-o", &self.apex, "-f", &output];
        let iterations;
        if let Some((count, opt_out)) = self.denial.hashed() {
            iterations = count.to_string();
            arguments.extend(["-3", "aabbccdd", "-H", &iterations]);
            arguments.extend(opt_out.then_some("-A"));
        }
        arguments.push(&plain);
        process::run(&peers::program("dnssec-signzone"), &arguments);
        records(Path::new(&output))
    }

    /// Signatures of the last time over RRsets that may still be the same; the tool verifies them.
    fn kept(&self, zone: &Zone) -> impl Iterator<Item = &str> {
        let mut there = BTreeSet::new();
        for record in &zone.records {
            let (Some(owner), Some(rtype)) = (field(record, 0), field(record, 3)) else { continue };
            let owner = match owner {
                "@" => self.apex.to_lowercase(),
                _ if owner.ends_with('.') => owner.to_lowercase(),
                _ => format!("{owner}.{}", self.apex).to_lowercase(),
            };
            there.insert((owner.clone(), rtype.to_owned()));
            there.insert((owner, "NSEC".to_owned()));
        }
        self.last.iter().map(String::as_str).filter(move |line| {
            let key = field(line, 0).zip(field(line, 4));
            field(line, 3) == Some("RRSIG")
                && key
                    .is_some_and(|(owner, covers)| there.contains(&(owner.to_lowercase(), covers.to_owned())))
        })
    }

    fn configuration(&self) -> PathBuf {
        self.folder.path().join("knot.conf")
    }

    fn configure(&self) {
        let denial = match self.denial.hashed() {
            None => String::new(),
            Some((iterations, opt_out)) => format!(
                "    nsec3: on\n    nsec3-iterations: {iterations}\n    nsec3-salt-length: 4\n    nsec3-opt-out: {}\n",
                if opt_out { "on" } else { "off" }
            ),
        };
        let text = format!(
            "database:\n    storage: \"{folder}\"\npolicy:\n  - id: ours\n    algorithm: ecdsap256sha256\n{denial}\
             zone:\n  - domain: \"{apex}\"\n    storage: \"{folder}\"\n    file: plain\n    dnssec-signing: on\n    \
             dnssec-policy: ours\n    semantic-checks: off\n    journal-content: none\n",
            folder = self.folder.path().display(),
            apex = self.apex,
        );
        std::fs::write(self.configuration(), text).expect("our own folder is writable");
    }

    fn by_knot(&self, zone: &Zone) -> Vec<String> {
        std::fs::write(self.folder.path().join("plain"), zone.master_file())
            .expect("our own folder is writable");
        let out = self.folder.inner("out");
        let (configuration, out) = (self.configuration(), out.to_string_lossy());
        let configuration = configuration.to_string_lossy();
        let (worked, said) =
            process::attempt(&peers::program("kzonesign"), &["-c", &configuration, "-o", &out, &self.apex]);
        assert!(worked, "kzonesign: {said}");
        // Knot writes owner, TTL, type and RDATA: the class goes in between.
        records(Path::new(&self.output()))
            .into_iter()
            .map(|line| {
                let fields: Vec<&str> = line.split_ascii_whitespace().collect();
                format!("{} {} IN {}", fields[0], fields[1], fields[2..].join(" "))
            })
            .collect()
    }
}

/// The lines of a zone file in which every record is on a line of its own.
fn records(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file)
        .unwrap_or_else(|error| panic!("the signer wrote no {}: {error}", file.display()));
    text.lines().filter(|line| !line.is_empty() && !line.starts_with(';')).map(str::to_owned).collect()
}

fn field(line: &str, nth: usize) -> Option<&str> {
    line.split_ascii_whitespace().nth(nth)
}
