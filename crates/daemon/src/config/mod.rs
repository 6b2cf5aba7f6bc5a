//! # config: the operator's wishes
//!
//! **Job**: one YAML file, with the files it includes, becomes plain values that the daemon uses as they are.
//! **In**: a path ([`load`]).
//! **Out**: [`Config`], resolved: zones hold their primaries, primaries their keys; or every [`Problem`] of all files,
//! each with file, line and column.
//! **Never**: repeats a secret (in an error, in `Debug`, anywhere), ignores a word it does not know, starts anything,
//! panics, or works without bound on a file made to hurt.
//! **Source**: RFC 8945 §6 (algorithms), RFC 4648 §4 (secrets).
//!
//! How: `saphyr-parser` gives events with places, of which `tree` builds one small marked tree; `walk` has the few
//! functions that expect a map, list, word or number at a node and report what stands there instead; the other files
//! are the parts of the configuration by noun. Scalars that YAML itself has a type for (booleans, numbers, words of a
//! fixed set) are read by `serde_yaml`; those with a grammar of their own (names, addresses, durations) are read here.
//! A derived `Deserialize` of the whole document would stop at the first error and take double keys in silence.

mod access;
mod answers;
mod certificates;
mod files;
mod keys;
mod primary;
mod problem;
mod server;
mod tls;
mod tree;
mod units;
mod walk;
mod zone;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use secondo_tsig::Key;
use secondo_wire::Name;

pub use access::NotifyTarget;
pub use answers::AnswersConfig;
pub use certificates::OwnCertificate;
pub use primary::PrimaryConfig;
pub use problem::Problem;
pub use server::{Limits, Listener, LogConfig, LogFormat, LogLevel, ServerConfig};
pub use zone::{Bounds, ZoneConfig, ZoneSettings};

use files::Access;
use keys::Keys;
use primary::Primaries;
use problem::{Findings, Mark};
use tree::Node;
use walk::Words;
use zone::{Include, Zones};

/// Largest file, in octets: a million zones with a few keys each.
const MAX_FILE: u64 = 128 * 1024 * 1024;

const TOP: Words = Words {
    of: "the configuration",
    known: &[
        "listen",
        "tls",
        "state-dir",
        "control",
        "user",
        "log",
        "identity",
        "cookies",
        "rate-limit",
        "limits",
        "keys",
        "primaries",
        "zone-defaults",
        "templates",
        "zones",
    ],
    later: &["sandbox", "metrics", "hooks"],
    private: false,
};

/// A whole configuration, checked and resolved.
#[derive(Clone, Debug)]
pub struct Config {
    /// The daemon as a whole.
    pub server: ServerConfig,
    /// What answers say beside the zones' own data.
    pub answers: AnswersConfig,
    /// All keys, also those that only access lists name.
    pub keys: BTreeMap<Name, Key>,
    /// The zones in the order of the files, no two of one name.
    pub zones: Vec<ZoneConfig>,
    /// Who we are, towards clients and towards primaries.
    pub certificates: Vec<OwnCertificate>,
    /// What works but should not stay so.
    pub warnings: Vec<Problem>,
}

/// What a reload does to the zones, in the order of the files.
#[derive(Debug, Default)]
pub struct ZoneChanges<'c> {
    /// In the new configuration only.
    pub added: Vec<&'c ZoneConfig>,
    /// In the old configuration only.
    pub removed: Vec<&'c ZoneConfig>,
    /// In both with different settings: old and new.
    pub changed: Vec<(&'c ZoneConfig, &'c ZoneConfig)>,
}

impl Config {
    /// The zones that `new` adds, removes and changes; all others are equal in every setting.
    pub fn zone_changes<'c>(&'c self, new: &'c Config) -> ZoneChanges<'c> {
        let old_by_name: HashMap<&Name, &ZoneConfig> =
            self.zones.iter().map(|zone| (&zone.name, zone)).collect();
        let new_by_name: HashMap<&Name, &ZoneConfig> =
            new.zones.iter().map(|zone| (&zone.name, zone)).collect();
        let mut changes = ZoneChanges::default();
        for zone in &new.zones {
            match old_by_name.get(&zone.name) {
                None => changes.added.push(zone),
                Some(old) if old.settings != zone.settings => changes.changed.push((old, zone)),
                Some(_) => {}
            }
        }
        changes.removed = self.zones.iter().filter(|zone| !new_by_name.contains_key(&zone.name)).collect();
        changes
    }
}

/// Reads a configuration with everything it includes.
///
/// # Errors
/// Every problem of all files, sorted by file and place; an error of YAML itself is reported alone.
pub fn load(path: &Path) -> Result<Config, Vec<Problem>> {
    let mut findings = Findings::default();
    let folder = path.parent().unwrap_or(Path::new(""));
    let root = parse_file(path, Access::Any, None, &mut findings);
    let config = root.and_then(|root| read(&root, folder, &mut findings));
    let certificates = std::mem::take(&mut findings.certificates);
    let warnings = findings.verdict()?;
    match config {
        Some((server, answers, keys, zones)) => {
            Ok(Config { server, answers, keys, zones, certificates, warnings })
        }
        // A part is missing only where an error was reported, and then the verdict was not good.
        None => Err(vec![Problem {
            file: path.to_owned(),
            line: 1,
            column: 1,
            message: "the configuration cannot be used".to_owned(),
        }]),
    }
}

type Parts = (ServerConfig, AnswersConfig, BTreeMap<Name, Key>, Vec<ZoneConfig>);

fn read(root: &Node, folder: &Path, findings: &mut Findings) -> Option<Parts> {
    let top = walk::fields(root, &TOP, findings)?;
    let server = server::read(&top, folder, findings);
    let answers = answers::read(&top, folder, findings);
    let keys = top.of("keys").map_or_else(Keys::default, |node| Keys::read(node, folder, findings));
    let primaries = Primaries::read(top.of("primaries"), &keys, folder, findings);
    let mut zones = Zones::new(&keys, &primaries, top.of("zone-defaults"), top.of("templates"), findings);
    if let Some(node) = top.of("zones") {
        for include in zones.read(node, findings) {
            read_included(&include, folder, &mut zones, findings);
        }
    }
    let zones = zones.into_zones();
    Some((server?, answers, keys.defined, zones))
}

fn read_included(include: &Include<'_>, folder: &Path, zones: &mut Zones<'_>, findings: &mut Findings) {
    let paths = match files::expand(folder, include.pattern) {
        Ok(paths) => paths,
        Err(error) => return findings.error(include.mark, error.to_string()),
    };
    for path in paths {
        let Some(root) = parse_file(&path, Access::Regular, Some(include.mark), findings) else { continue };
        for nested in zones.read(&root, findings) {
            findings.error(nested.mark, "an included file includes another, expected zones only");
        }
    }
}

/// Reads one file into a marked tree. When it cannot be read, the error stands at `cause`, where it was asked for.
fn parse_file(path: &Path, access: Access, cause: Option<Mark>, findings: &mut Findings) -> Option<Node> {
    let start = findings.open(path);
    let read = match files::read(path, MAX_FILE, access) {
        Ok(read) => read,
        Err(error) => {
            let message = format!("{} {error}", problem::quoted(&path.display().to_string()));
            findings.error(cause.unwrap_or(start), message);
            return None;
        }
    };
    if read.world_readable {
        findings.set_world_readable(start);
    }
    let text = match std::str::from_utf8(&read.octets) {
        Ok(text) => text,
        Err(error) => {
            let sound = read.octets.get(..error.valid_up_to()).unwrap_or_default();
            let (line, column) = tree::line_and_column(std::str::from_utf8(sound).unwrap_or_default());
            let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            let mark = Mark { line: narrow(line), column: narrow(column + 1), ..start };
            findings.syntax(mark, "not UTF-8, expected a text in UTF-8");
            return None;
        }
    };
    match tree::parse(text, start) {
        Ok(root) => Some(root),
        Err(error) => {
            findings.syntax(error.mark, error.message);
            None
        }
    }
}
