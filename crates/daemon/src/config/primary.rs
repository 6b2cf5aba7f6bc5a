//! Primaries: the servers that zones are taken from.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secondo_lifecycle::{MAX_ADDRESSES, MAX_PRIMARIES};
use secondo_tsig::Key;

use super::access::socket_address;
use super::keys::Keys;
use super::problem::{Findings, quoted};
use super::tls::{self, Transport};
use super::tree::{Node, Value};
use super::walk::{self, Fields, Words};
use crate::tls::TlsClient;

/// Whole transfer, when left out.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(2 * 3600);
/// Silence within a transfer, when left out.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes in a minute, when left out.
const MINIMUM_RATE: u64 = 10 * 1024;
/// Keys of one primary: two during a roll, with room.
const MAX_KEYS: usize = 8;

const WORDS: Words = Words {
    of: "a primary",
    known: &[
        "addresses",
        "key",
        "keys",
        "source",
        "ixfr",
        "transfer-timeout",
        "idle-timeout",
        "minimum-rate",
        "transport",
        "tls",
    ],
    later: &[],
    private: false,
};

/// One primary. Zones that name it share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimaryConfig {
    /// Its name in the configuration; its first address when it was written in place.
    pub name: Arc<str>,
    /// At least one; tried in order.
    pub addresses: Vec<SocketAddr>,
    /// The keys to seal with, the first preferred; empty: unsigned.
    pub keys: Vec<Key>,
    /// TLS for probes and transfers; `None`: UDP and TCP.
    pub tls: Option<TlsClient>,
    /// Local address of probes and transfers over IPv4.
    pub source_ipv4: Option<IpAddr>,
    /// Local address of probes and transfers over IPv6.
    pub source_ipv6: Option<IpAddr>,
    /// Whether IXFR is asked for.
    pub ixfr: bool,
    /// Longest whole transfer.
    pub transfer_timeout: Duration,
    /// Longest silence within a transfer.
    pub idle_timeout: Duration,
    /// Bytes in each minute of a transfer, from its sixth on; 0: no minimum.
    pub minimum_rate: u64,
}

/// By name and addresses: equal primaries have them equal, and no secret is hashed.
impl Hash for PrimaryConfig {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.addresses.hash(state);
    }
}

impl PrimaryConfig {
    /// What carries its transfers, for log and status: `tcp` or `tls`.
    pub fn transport(&self) -> &'static str {
        if self.tls.is_some() { "tls" } else { "tcp" }
    }

    /// The local address to use towards `remote`, if one is configured for its family.
    pub fn source_towards(&self, remote: IpAddr) -> Option<IpAddr> {
        if remote.is_ipv4() { self.source_ipv4 } else { self.source_ipv6 }
    }
}

/// The primaries that have names.
#[derive(Debug)]
pub(super) struct Primaries {
    /// `None`: the definition is broken, and a reference to it is no second error.
    named: HashMap<Arc<str>, Option<Arc<PrimaryConfig>>>,
    /// Where relative paths are sought from.
    folder: PathBuf,
}

impl Primaries {
    /// Reads `primaries` of the top level, if written. Files are sought from `folder`.
    pub(super) fn read(
        node: Option<&Node>,
        keys: &Keys,
        folder: &Path,
        findings: &mut Findings,
    ) -> Primaries {
        let mut primaries = Primaries { named: HashMap::new(), folder: folder.to_owned() };
        let Some(node) = node else { return primaries };
        for (text, mark, entry) in walk::named(node, "primaries", false, findings) {
            if !walk::is_label(text) {
                findings.error(mark, format!("bad name {}, expected {}", quoted(text), walk::LABEL));
                continue;
            }
            let name: Arc<str> = text.into();
            let primary = primary(Some(&name), entry, keys, folder, findings).map(Arc::new);
            primaries.named.insert(name, primary);
        }
        primaries
    }

    /// Reads the `primaries` of a zone: names, or primaries written in place. `None` on any error.
    pub(super) fn of_zone(
        &self,
        node: &Node,
        keys: &Keys,
        findings: &mut Findings,
    ) -> Option<Arc<[Arc<PrimaryConfig>]>> {
        let items = walk::list(
            node,
            "a list of names of primaries, or of primaries such as [{ addresses: […] }]",
            findings,
        )?;
        if items.is_empty() || items.len() > MAX_PRIMARIES {
            let message = format!("{} primaries, expected 1 to {MAX_PRIMARIES}", items.len());
            findings.error(node.mark, message);
            return None;
        }
        let mut chosen: Vec<Option<Arc<PrimaryConfig>>> = Vec::with_capacity(items.len());
        for item in items {
            let primary = match &item.value {
                Value::Map(_) => primary(None, item, keys, &self.folder, findings).map(Arc::new),
                _ => self.named_by(item, findings),
            };
            if primary.is_some() && chosen.contains(&primary) {
                findings.error(item.mark, "this primary is listed twice, expected it once");
            }
            chosen.push(primary);
        }
        chosen.into_iter().collect()
    }

    fn named_by(&self, node: &Node, findings: &mut Findings) -> Option<Arc<PrimaryConfig>> {
        let expected = "a name defined under `primaries`, or { addresses: […] }";
        let text = walk::text(node, expected, findings)?;
        if let Some(primary) = self.named.get(text) {
            return primary.clone();
        }
        let names = self.named.keys().map(|name| &**name);
        let message = walk::undefined(&format!("primary {}", quoted(text)), text, names, expected, findings);
        findings.error(node.mark, message);
        None
    }
}

/// Reads one primary; every part is looked at, whatever else is wrong.
fn primary(
    name: Option<&Arc<str>>,
    node: &Node,
    keys: &Keys,
    folder: &Path,
    findings: &mut Findings,
) -> Option<PrimaryConfig> {
    let fields = walk::fields(node, &WORDS, findings)?;
    let second = Duration::from_secs(1);
    let duration = |word: &str, default: Duration, findings: &mut Findings| match fields.of(word) {
        Some(node) => walk::duration(node, second, findings),
        None => Some(default),
    };
    let transfer_timeout = duration("transfer-timeout", TRANSFER_TIMEOUT, findings);
    let idle_timeout = duration("idle-timeout", IDLE_TIMEOUT, findings);
    let minimum_rate = match fields.of("minimum-rate") {
        Some(node) => walk::size(node, 0, findings),
        None => Some(MINIMUM_RATE),
    };
    let ixfr = match fields.of("ixfr") {
        Some(node) => walk::boolean(node, findings),
        None => Some(true),
    };
    let transport = tls::transport(&fields, findings);
    let tls = tls::client(&fields, transport, folder, findings);
    let addresses = addresses(&fields, transport.unwrap_or(Transport::Tcp), findings);
    let keys = keys_of(&fields, keys, findings);
    let source = source(&fields, findings);
    let addresses = addresses?;
    let (source_ipv4, source_ipv6) = source?;
    let name = match name {
        Some(name) => Arc::clone(name),
        None => addresses.first()?.to_string().into(),
    };
    Some(PrimaryConfig {
        name,
        addresses,
        keys: keys?,
        tls: tls?,
        source_ipv4,
        source_ipv6,
        ixfr: ixfr?,
        transfer_timeout: transfer_timeout?,
        idle_timeout: idle_timeout?,
        minimum_rate: minimum_rate?,
    })
}

fn addresses(fields: &Fields<'_>, transport: Transport, findings: &mut Findings) -> Option<Vec<SocketAddr>> {
    let Some(node) = fields.of("addresses") else {
        findings.error(fields.mark, "`addresses` is missing, expected a list such as [\"192.0.2.1\"]");
        return None;
    };
    let items =
        walk::list(node, "a list of addresses such as [\"192.0.2.1\", \"[2001:db8::1]:53\"]", findings)?;
    if items.is_empty() || items.len() > MAX_ADDRESSES {
        let message = format!("{} addresses, expected 1 to {MAX_ADDRESSES}", items.len());
        findings.error(node.mark, message);
        return None;
    }
    let read: Vec<_> = items.iter().map(|item| socket_address(item, transport.port(), findings)).collect();
    for (n, (item, address)) in items.iter().zip(&read).enumerate() {
        if address.is_some() && read.iter().take(n).any(|before| before == address) {
            findings.error(item.mark, "this address is listed twice, expected it once");
        }
    }
    read.into_iter().collect()
}

fn keys_of(fields: &Fields<'_>, keys: &Keys, findings: &mut Findings) -> Option<Vec<Key>> {
    match (fields.of("key"), fields.of("keys")) {
        (None, None) => Some(Vec::new()),
        (Some(node), None) => Some(vec![keys.named_by(node, findings)?]),
        (Some(_), Some(node)) => {
            findings.error(node.mark, "both `key` and `keys` are given, expected one of them");
            None
        }
        (None, Some(node)) => {
            let items = walk::list(node, "a list of names of keys, the preferred one first", findings)?;
            if items.is_empty() || items.len() > MAX_KEYS {
                findings.error(node.mark, format!("{} keys, expected 1 to {MAX_KEYS}", items.len()));
                return None;
            }
            items.iter().map(|item| keys.named_by(item, findings)).collect::<Vec<_>>().into_iter().collect()
        }
    }
}

/// One address per family.
fn source(fields: &Fields<'_>, findings: &mut Findings) -> Option<(Option<IpAddr>, Option<IpAddr>)> {
    let Some(node) = fields.of("source") else { return Some((None, None)) };
    let items = walk::list(node, "a list of local addresses, one per family", findings)?;
    let expected = "a local address without port, such as 192.0.2.53 or \"2001:db8::53\"";
    let (mut ipv4, mut ipv6, mut sound) = (None, None, true);
    for item in items {
        let Some(address) = walk::parsed(item, expected, |text| text.parse::<IpAddr>().ok(), findings) else {
            sound = false;
            continue;
        };
        let place = if address.is_ipv4() { &mut ipv4 } else { &mut ipv6 };
        if place.replace(address).is_some() {
            findings.error(item.mark, "a second source address of this family, expected one per family");
            sound = false;
        }
    }
    sound.then_some((ipv4, ipv6))
}
