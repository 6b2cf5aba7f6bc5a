//! Access lists, and the servers that we notify.

use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;

use secondo_tsig::Key;
use secondo_wire::Name;

use super::keys::Keys;
use super::problem::{Findings, quoted};
use super::tree::Node;
use super::units::{Prefix, PrefixError, parse_socket_address};
use super::walk::{self, Words};

/// Port of DNS (RFC 1035 §4.2).
pub(super) const DNS_PORT: u16 = 53;

const ENTRY: Words =
    Words { of: "an access list entry", known: &["address", "key"], later: &["transport"], private: false };
const TARGET: Words =
    Words { of: "an also-notify entry", known: &["address", "key"], later: &["transport"], private: false };

/// One rule. With a key it admits only that key's seal; without one, any valid seal or none.
/// Invariant: at least one of the two is there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccessEntry {
    /// Whose addresses; `None`: any.
    pub prefix: Option<Prefix>,
    /// The key that must have sealed the message; defined among the configuration's keys.
    pub key: Option<Name>,
}

/// Who may: whoever one of the rules admits. Empty: nobody.
pub type AccessList = Arc<[AccessEntry]>;

/// A server that is told of each new version (`also-notify`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyTarget {
    /// Where to.
    pub address: SocketAddr,
    /// The key that seals the NOTIFY.
    pub key: Option<Key>,
}

/// By address alone: equal targets have equal addresses, and no secret is hashed.
impl Hash for NotifyTarget {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address.hash(state);
    }
}

/// Everybody.
pub(super) fn everyone() -> AccessList {
    [Prefix::ANY_IPV4, Prefix::ANY_IPV6].map(|prefix| AccessEntry { prefix: Some(prefix), key: None }).into()
}

/// Reads an access list.
pub(super) fn access_list(node: &Node, keys: &Keys, findings: &mut Findings) -> Option<AccessList> {
    let expected = "a list such as [{ address: 192.0.2.0/24, key: name }], or [] for nobody";
    let items = walk::list(node, expected, findings)?;
    items.iter().map(|item| entry(item, keys, findings)).collect::<Vec<_>>().into_iter().collect()
}

fn entry(node: &Node, keys: &Keys, findings: &mut Findings) -> Option<AccessEntry> {
    let fields = walk::fields(node, &ENTRY, findings)?;
    if fields.of("address").is_none() && fields.of("key").is_none() {
        findings.error(fields.mark, "the entry admits nobody, expected `address`, `key` or both");
        return None;
    }
    let prefix = fields.of("address").map(|node| prefix(node, findings));
    let key = fields.of("key").map(|node| keys.named_by(node, findings));
    // Outer `None`: left out; inner `None`: wrong. A wrong part must not widen the rule.
    let prefix = match prefix {
        Some(prefix) => Some(prefix?),
        None => None,
    };
    let key = match key {
        Some(key) => Some(key?.name().clone()),
        None => None,
    };
    Some(AccessEntry { prefix, key })
}

fn prefix(node: &Node, findings: &mut Findings) -> Option<Prefix> {
    let expected = "an address or prefix such as 192.0.2.1, 192.0.2.0/24 or \"2001:db8::/32\"";
    let text = walk::text(node, expected, findings)?;
    match Prefix::parse(text) {
        Ok(prefix) => Some(prefix),
        Err(PrefixError::Malformed) => {
            findings.error(node.mark, format!("bad address {}, expected {expected}", quoted(text)));
            None
        }
        Err(PrefixError::HostBits(meant)) => {
            let message = format!("{} has bits set beyond its length, expected `{meant}`", quoted(text));
            findings.error(node.mark, message);
            None
        }
    }
}

/// Reads `also-notify`.
pub(super) fn notify_targets(
    node: &Node,
    keys: &Keys,
    findings: &mut Findings,
) -> Option<Arc<[NotifyTarget]>> {
    let expected = "a list such as [{ address: \"192.0.2.1:53\", key: name }]";
    let items = walk::list(node, expected, findings)?;
    items.iter().map(|item| target(item, keys, findings)).collect::<Vec<_>>().into_iter().collect()
}

fn target(node: &Node, keys: &Keys, findings: &mut Findings) -> Option<NotifyTarget> {
    let fields = walk::fields(node, &TARGET, findings)?;
    let key = fields.of("key").map(|node| keys.named_by(node, findings));
    let Some(address) = fields.of("address") else {
        findings
            .error(fields.mark, "`address` is missing, expected one such as 192.0.2.1 or \"192.0.2.1:53\"");
        return None;
    };
    let address = socket_address(address, findings)?;
    let key = match key {
        Some(key) => Some(key?),
        None => None,
    };
    Some(NotifyTarget { address, key })
}

/// An address with an optional port, 53 when left out.
pub(super) fn socket_address(node: &Node, findings: &mut Findings) -> Option<SocketAddr> {
    let expected = "an address such as 192.0.2.1, \"192.0.2.1:53\" or \"[2001:db8::1]:53\"";
    walk::parsed(node, expected, |text| parse_socket_address(text, DNS_PORT), findings)
}
