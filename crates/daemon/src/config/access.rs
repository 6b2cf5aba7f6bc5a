//! Access lists, and the servers that we notify.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use secondo_answer::{AccessList, IpPrefix, PrefixError, Rule};
use secondo_tsig::Key;

use super::keys::Keys;
use super::problem::{Findings, quoted};
use super::tls::Transport;
use super::tree::Node;
use super::units::parse_socket_address;
use super::walk::{self, Words};

const ENTRY: Words =
    Words { of: "an access list entry", known: &["address", "key", "transport"], later: &[], private: false };
const TARGET: Words =
    Words { of: "an also-notify entry", known: &["address", "key"], later: &["transport"], private: false };

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
pub(super) fn everyone() -> Arc<AccessList> {
    let all = ["0.0.0.0/0", "::/0"].map(|text| Rule { prefix: text.parse().ok(), key: None, tls: false });
    Arc::new(AccessList::new(all))
}

/// All who send from one of `addresses`, with whichever seal or none.
pub(super) fn senders(addresses: impl Iterator<Item = IpAddr>) -> Arc<AccessList> {
    let rule = |address| Rule { prefix: Some(IpPrefix::single(address)), key: None, tls: false };
    Arc::new(AccessList::new(addresses.map(rule)))
}

/// Reads an access list.
pub(super) fn access_list(node: &Node, keys: &Keys, findings: &mut Findings) -> Option<Arc<AccessList>> {
    let expected = "a list such as [{ address: 192.0.2.0/24, key: name }], or [] for nobody";
    let items = walk::list(node, expected, findings)?;
    let rules: Vec<Option<Rule>> = items.iter().map(|item| rule(item, keys, findings)).collect();
    let rules: Option<Vec<Rule>> = rules.into_iter().collect();
    Some(Arc::new(AccessList::new(rules?)))
}

fn rule(node: &Node, keys: &Keys, findings: &mut Findings) -> Option<Rule> {
    let fields = walk::fields(node, &ENTRY, findings)?;
    if fields.of("address").is_none() && fields.of("key").is_none() {
        findings.error(fields.mark, "the entry admits nobody, expected `address`, `key` or both");
        return None;
    }
    let prefix = fields.of("address").map(|node| prefix(node, findings));
    let key = fields.of("key").map(|node| keys.named_by(node, findings));
    let tls = match fields.of("transport") {
        Some(node) => only_tls(node, findings),
        None => Some(false),
    };
    // Outer `None`: left out; inner `None`: wrong. A wrong part must not widen the rule.
    let prefix = match prefix {
        Some(prefix) => Some(prefix?),
        None => None,
    };
    let key = match key {
        Some(key) => Some(key?.name().clone()),
        None => None,
    };
    Some(Rule { prefix, key, tls: tls? })
}

/// `transport: tls` is all that an entry can ask for.
fn only_tls(node: &Node, findings: &mut Findings) -> Option<bool> {
    walk::parsed(node, "tls, or nothing for all transports", |text| (text == "tls").then_some(true), findings)
}

/// An address, or a range of them.
pub(super) fn prefix(node: &Node, findings: &mut Findings) -> Option<IpPrefix> {
    let expected = "an address or prefix such as 192.0.2.1, 192.0.2.0/24 or \"2001:db8::/32\"";
    let text = walk::text(node, expected, findings)?;
    let wrong = match text.parse() {
        Ok(prefix) => return Some(prefix),
        Err(PrefixError::HostBits) => format!("{} has bits set behind its length", quoted(text)),
        Err(PrefixError::Length) => format!("bad prefix length in {}", quoted(text)),
        Err(PrefixError::Address) => format!("bad address {}", quoted(text)),
    };
    findings.error(node.mark, format!("{wrong}, expected {expected}"));
    None
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
    let address = socket_address(address, Transport::Tcp.port(), findings)?;
    let key = match key {
        Some(key) => Some(key?),
        None => None,
    };
    Some(NotifyTarget { address, key })
}

/// An address with an optional port.
pub(super) fn socket_address(node: &Node, default_port: u16, findings: &mut Findings) -> Option<SocketAddr> {
    let expected = "an address such as 192.0.2.1, \"192.0.2.1:53\" or \"[2001:db8::1]:53\"";
    walk::parsed(node, expected, |text| parse_socket_address(text, default_port), findings)
}
