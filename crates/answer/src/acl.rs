//! Who may: access lists of address prefixes and TSIG keys.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use secondo_wire::Name;

/// A range of addresses. IPv4-mapped IPv6 (RFC 4291 §2.5.5.2) is the IPv4 address that it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IpPrefix {
    family: Family,
    length: u8,
    /// Left-aligned, host bits clear.
    bits: u128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Family {
    V4,
    V6,
}

impl Family {
    const fn width(self) -> u8 {
        match self {
            Family::V4 => 32,
            Family::V6 => 128,
        }
    }
}

/// Why text or numbers are no prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// The part before the slash is no address.
    #[error("not an IP address")]
    Address,
    /// Longer than the address, or no number.
    #[error("bad prefix length")]
    Length,
    /// Bits are set behind the prefix.
    #[error("address has bits set behind its prefix length")]
    HostBits,
}

impl IpPrefix {
    /// The range of addresses that share the first `length` bits of `address`, whose other bits must be clear.
    pub fn new(address: IpAddr, length: u8) -> Result<IpPrefix, PrefixError> {
        let asked = match address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        };
        if length > asked.width() {
            return Err(PrefixError::Length);
        }
        let (mut family, mut bits) = split(address);
        let mut length = length;
        if family != asked {
            // A mapped address: with fewer than 96 bits the prefix takes in more than mapped addresses.
            if length < 96 {
                let IpAddr::V6(v6) = address else { return Err(PrefixError::Address) };
                (family, bits) = (Family::V6, u128::from(v6));
            } else {
                length -= 96;
            }
        }
        if bits & !mask(length) != 0 {
            return Err(PrefixError::HostBits);
        }
        Ok(IpPrefix { family, length, bits })
    }

    /// The one address.
    pub fn single(address: IpAddr) -> IpPrefix {
        let (family, bits) = split(address);
        IpPrefix { family, length: family.width(), bits }
    }

    /// The range of `length` bits that `address` lies in; the whole family's width where that is less.
    pub fn around(address: IpAddr, length: u8) -> IpPrefix {
        let (family, bits) = split(address);
        let length = length.min(family.width());
        IpPrefix { family, length, bits: bits & mask(length) }
    }

    /// Family and bits. The length is left out.
    pub(crate) fn octets(self) -> [u8; 17] {
        let mut octets = [self.family as u8; 17];
        octets[1..].copy_from_slice(&self.bits.to_be_bytes());
        octets
    }

    /// Whether `address` lies in the range.
    pub fn contains(self, address: IpAddr) -> bool {
        let (family, bits) = split(address);
        self.family == family && bits & mask(self.length) == self.bits
    }
}

impl FromStr for IpPrefix {
    type Err = PrefixError;

    /// `192.0.2.1`, `192.0.2.0/24`, `2001:db8::/32`.
    fn from_str(text: &str) -> Result<IpPrefix, PrefixError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address = address.parse().map_err(|_| PrefixError::Address)?;
        let Some(length) = length else { return Ok(IpPrefix::single(address)) };
        if !length.bytes().all(|b| b.is_ascii_digit()) {
            return Err(PrefixError::Length);
        }
        IpPrefix::new(address, length.parse().map_err(|_| PrefixError::Length)?)
    }
}

impl fmt::Display for IpPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = match self.family {
            Family::V4 => IpAddr::from(((self.bits >> 96) as u32).to_be_bytes()),
            Family::V6 => IpAddr::from(self.bits.to_be_bytes()),
        };
        write!(f, "{address}/{}", self.length)
    }
}

/// Family and left-aligned bits of an address, mapped IPv6 made IPv4.
fn split(address: IpAddr) -> (Family, u128) {
    match address.to_canonical() {
        IpAddr::V4(v4) => (Family::V4, u128::from(u32::from(v4)) << 96),
        IpAddr::V6(v6) => (Family::V6, u128::from(v6)),
    }
}

fn mask(length: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}

/// One entry of an access list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Admits these addresses; every address when left out.
    pub prefix: Option<IpPrefix>,
    /// Admits only requests with this key's verified seal; any valid seal or none when left out.
    pub key: Option<Name>,
    /// Admits only what comes over TLS.
    pub tls: bool,
}

/// What access lists judge a request by.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'k> {
    /// Who sent it.
    pub address: IpAddr,
    /// The key of its verified seal.
    pub key: Option<&'k Name>,
    /// Whether it came over TLS.
    pub tls: bool,
}

impl Rule {
    /// Whether the rule admits a request.
    pub fn admits(&self, origin: Origin<'_>) -> bool {
        self.prefix.is_none_or(|prefix| prefix.contains(origin.address))
            && (self.key.is_none() || self.key.as_ref() == origin.key)
            && (origin.tls || !self.tls)
    }
}

/// An access list: admits what one of its rules admits. The empty list admits nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AccessList(Box<[Rule]>);

impl AccessList {
    /// Takes the rules.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> AccessList {
        AccessList(rules.into_iter().collect())
    }

    /// Admits everyone.
    pub fn everyone() -> AccessList {
        AccessList::new([Rule { prefix: None, key: None, tls: false }])
    }

    /// Admits nobody.
    pub fn nobody() -> AccessList {
        AccessList::default()
    }

    /// Whether some rule admits a request.
    pub fn admits(&self, origin: Origin<'_>) -> bool {
        self.0.iter().any(|rule| rule.admits(origin))
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.0
    }
}

/// The union of the access lists of all zones: whether some rule of any zone admits, in time that does not grow with
/// the number of zones.
#[derive(Clone, Debug, Default)]
pub(crate) struct RuleUnion {
    /// Of rules that do not ask for TLS, and of those that do.
    any: KeyedSets,
    tls: KeyedSets,
}

#[derive(Clone, Debug, Default)]
struct KeyedSets {
    unsealed: PrefixSet,
    sealed: HashMap<Name, PrefixSet>,
}

impl RuleUnion {
    pub(crate) fn new<'r>(rules: impl IntoIterator<Item = &'r Rule>) -> RuleUnion {
        let mut union = RuleUnion::default();
        for rule in rules {
            let sets = if rule.tls { &mut union.tls } else { &mut union.any };
            let set = match &rule.key {
                None => &mut sets.unsealed,
                Some(key) => sets.sealed.entry(key.clone()).or_default(),
            };
            set.add(rule.prefix);
        }
        for sets in [&mut union.any, &mut union.tls] {
            sets.unsealed.close();
            sets.sealed.values_mut().for_each(PrefixSet::close);
        }
        union
    }

    pub(crate) fn admits(&self, origin: Origin<'_>) -> bool {
        self.any.admit(origin) || (origin.tls && self.tls.admit(origin))
    }
}

impl KeyedSets {
    fn admit(&self, origin: Origin<'_>) -> bool {
        let sealed = origin.key.and_then(|key| self.sealed.get(key));
        self.unsealed.contains(origin.address) || sealed.is_some_and(|set| set.contains(origin.address))
    }
}

/// Prefixes, sorted; searched once for each length that occurs (at most 33 or 129).
#[derive(Clone, Debug, Default)]
pub(crate) struct PrefixSet {
    every: bool,
    sorted: Vec<IpPrefix>,
    /// Family and length of the prefixes that occur, without repetition.
    lengths: Vec<(Family, u8)>,
}

impl PrefixSet {
    pub(crate) fn of(prefixes: impl IntoIterator<Item = IpPrefix>) -> PrefixSet {
        let mut set = PrefixSet { sorted: prefixes.into_iter().collect(), ..PrefixSet::default() };
        set.close();
        set
    }

    fn add(&mut self, prefix: Option<IpPrefix>) {
        match prefix {
            None => self.every = true,
            Some(prefix) => self.sorted.push(prefix),
        }
    }

    fn close(&mut self) {
        self.sorted.sort_unstable();
        self.sorted.dedup();
        self.lengths = self.sorted.iter().map(|prefix| (prefix.family, prefix.length)).collect();
        self.lengths.dedup();
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let (family, bits) = split(address);
        let here = |length| IpPrefix { family, length, bits: bits & mask(length) };
        self.every
            || self
                .lengths
                .iter()
                .any(|&(of, length)| of == family && self.sorted.binary_search(&here(length)).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> IpPrefix {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn rule(prefix: Option<&str>, key: Option<&str>) -> Rule {
        let (prefix, key) = (prefix.map(|p| p.parse().unwrap()), key.map(|k| k.parse().unwrap()));
        Rule { prefix, key, tls: false }
    }

    fn clear<'k>(address: &str, key: Option<&'k Name>) -> Origin<'k> {
        Origin { address: ip(address), key, tls: false }
    }

    #[test]
    fn a_prefix_holds_its_addresses_and_no_others() {
        assert!(prefix("192.0.2.0/24").contains(ip("192.0.2.255")));
        assert!(!prefix("192.0.2.0/24").contains(ip("192.0.3.0")));
        assert!(prefix("192.0.2.1").contains(ip("192.0.2.1")));
        assert!(!prefix("192.0.2.1").contains(ip("192.0.2.2")));
        assert!(prefix("2001:db8::/32").contains(ip("2001:db8:ffff::1")));
        assert!(!prefix("2001:db8::/32").contains(ip("2001:db9::")));
        assert!(prefix("0.0.0.0/0").contains(ip("255.255.255.255")));
        assert!(!prefix("0.0.0.0/0").contains(ip("::1")));
        assert!(prefix("::/0").contains(ip("::1")) && !prefix("::/0").contains(ip("192.0.2.1")));
    }

    #[test]
    fn a_mapped_address_is_its_ipv4_address() {
        assert!(prefix("192.0.2.0/24").contains(ip("::ffff:192.0.2.7")));
        assert!(prefix("::ffff:192.0.2.0/120").contains(ip("192.0.2.7")));
        assert_eq!(prefix("::ffff:0:0/96"), prefix("0.0.0.0/0"));
        assert!(!prefix("::/0").contains(ip("::ffff:192.0.2.7")));
    }

    #[test]
    fn text_that_is_no_prefix_is_an_error() {
        for (text, error) in [
            ("192.0.2", PrefixError::Address),
            ("192.0.2.0/33", PrefixError::Length),
            ("192.0.2.0/+8", PrefixError::Length),
            ("192.0.2.0/", PrefixError::Length),
            ("::/129", PrefixError::Length),
            ("192.0.2.1/24", PrefixError::HostBits),
            ("::ffff:0:0/95", PrefixError::HostBits),
        ] {
            assert_eq!(text.parse::<IpPrefix>(), Err(error), "{text}");
        }
        assert_eq!(prefix("192.0.2.0/24").to_string(), "192.0.2.0/24");
        assert_eq!(prefix("2001:db8::/32").to_string(), "2001:db8::/32");
    }

    #[test]
    fn a_rule_with_a_key_admits_only_that_seal_and_one_without_admits_any_or_none() {
        let (mine, other): (Name, Name) = ("Mine.".parse().unwrap(), "other.".parse().unwrap());
        let sealed = rule(Some("192.0.2.1"), Some("mine."));
        assert!(sealed.admits(clear("192.0.2.1", Some(&mine))));
        assert!(!sealed.admits(clear("192.0.2.1", Some(&other))));
        assert!(!sealed.admits(clear("192.0.2.1", None)));
        assert!(!sealed.admits(clear("192.0.2.2", Some(&mine))));
        let open = rule(Some("192.0.2.1"), None);
        assert!(open.admits(clear("192.0.2.1", None)) && open.admits(clear("192.0.2.1", Some(&other))));
        assert!(AccessList::everyone().admits(clear("::1", None)));
        assert!(!AccessList::nobody().admits(clear("::1", Some(&mine))));
    }

    #[test]
    fn a_rule_with_tls_admits_nothing_that_could_be_read_on_its_way() {
        let sealed = Rule { tls: true, ..rule(Some("192.0.2.1"), None) };
        let from = clear("192.0.2.1", None);
        assert!(!sealed.admits(from));
        assert!(sealed.admits(Origin { tls: true, ..from }));
        assert!(!sealed.admits(Origin { tls: true, ..clear("192.0.2.2", None) }));
        assert!(rule(Some("192.0.2.1"), None).admits(Origin { tls: true, ..from }));
    }

    #[test]
    fn the_union_admits_exactly_what_some_rule_admits() {
        let rules = [
            rule(Some("192.0.2.0/24"), None),
            rule(Some("192.0.0.0/16"), Some("k.")),
            rule(Some("2001:db8::/32"), None),
            rule(None, Some("everywhere.")),
            rule(Some("198.51.100.7"), None),
            Rule { tls: true, ..rule(Some("198.51.100.8"), None) },
            Rule { tls: true, ..rule(Some("::1"), Some("k.")) },
        ];
        let union = RuleUnion::new(&rules);
        let keys = [None, Some("k."), Some("everywhere."), Some("unknown.")];
        for address in ["192.0.2.3", "192.0.3.3", "198.51.100.7", "198.51.100.8", "2001:db8::1", "::1"] {
            for key in keys.map(|k| k.map(|k| k.parse::<Name>().unwrap())) {
                for tls in [false, true] {
                    let origin = Origin { tls, ..clear(address, key.as_ref()) };
                    let list = rules.iter().any(|rule| rule.admits(origin));
                    assert_eq!(union.admits(origin), list, "{origin:?}");
                }
            }
        }
        assert!(!RuleUnion::default().admits(clear("::1", None)));
    }
}
