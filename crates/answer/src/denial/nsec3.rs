//! Proofs from a chain of NSEC3 records (RFC 5155 §7.2).

use secondo_wire::{KeyBuf, NameRef, RecordType};
use secondo_zone::{Node, Zone};

use super::hash::{self, Hash};
use super::{Denial, depth};
use crate::bounds::CHAIN_STEPS;

/// The records of a proof: at most the closest encloser's, and two that cover.
type Proof<'z> = [Option<Node<'z>>; 3];

/// The nodes whose NSEC3 records prove the denial of `name`; `None` when no chain of the zone does, or none is there.
///
/// RFC 5155 §7.3: of several chains any may be taken: the one with the fewest iterations that has the whole proof, which
/// is the first in canonical order. A chain of more than `limit` iterations is not reckoned with (RFC 9276 §3.3 lets a
/// secondary have a limit). One of its records, found without hashing, then stands for the proof: it shows its
/// iterations, by which a validator with no higher a limit takes the zone for unsigned (RFC 9276 §3.2) instead of
/// calling the answer forged.
pub(super) fn prove<'z>(
    zone: &'z Zone,
    denial: &Denial<'z>,
    name: NameRef<'_>,
    limit: u16,
) -> Option<Proof<'z>> {
    if !zone.apex_has(RecordType::NSEC3PARAM) {
        return None;
    }
    let parameters = zone.apex_node().rrset(RecordType::NSEC3PARAM)?;
    let mut chains = parameters.rdatas().filter_map(|rdata| Chain::of(zone, rdata));
    chains.find_map(|chain| match chain.iterations <= limit {
        true => chain.prove(denial, name),
        false => Some([Some(chain.at_or_before(&[])?.0), None, None]),
    })
}

/// One chain of a zone.
struct Chain<'z> {
    zone: &'z Zone,
    /// As in NSEC3PARAM: algorithm, flags, iterations, and the salt behind its length (RFC 5155 §4.2).
    parameters: &'z [u8],
    iterations: u16,
    salt: &'z [u8],
}

/// What a chain says of a hash.
enum Seen<'z> {
    /// It is this node's.
    Matched(Node<'z>),
    /// It lies between this node's and the next.
    Covered(Node<'z>),
}

impl<'z> Seen<'z> {
    fn matched(self) -> Option<Node<'z>> {
        match self {
            Seen::Matched(node) => Some(node),
            Seen::Covered(_) => None,
        }
    }

    fn covered(self) -> Option<Node<'z>> {
        match self {
            Seen::Matched(_) => None,
            Seen::Covered(node) => Some(node),
        }
    }
}

impl<'z> Chain<'z> {
    /// The chain of an NSEC3PARAM record. RFC 5155 §4.1.2: with flags set it is not to be used.
    fn of(zone: &'z Zone, parameters: &'z [u8]) -> Option<Chain<'z>> {
        let &[1, 0, high, low, length, ref salt @ ..] = parameters else { return None };
        let iterations = u16::from_be_bytes([high, low]);
        (salt.len() == usize::from(length)).then_some(Chain { zone, parameters, iterations, salt })
    }

    fn prove(&self, denial: &Denial<'z>, name: NameRef<'_>) -> Option<Proof<'z>> {
        match *denial {
            // RFC 5155 §7.2.3, §7.2.4, §7.2.7.
            Denial::NoData { .. } | Denial::InsecureReferral { .. } => {
                let hash = self.hash(name);
                match self.seek(&hash)? {
                    Seen::Matched(node) => Some([Some(node), None, None]),
                    // Opt-out: a cut without DS, and what exists only by such cuts, need not be in the chain.
                    Seen::Covered(_) => {
                        let Enclosed { matched, covered, .. } = self.closest(name, 1, Some(hash))?;
                        Some([Some(matched), Some(covered), None])
                    }
                }
            }
            // RFC 5155 §7.2.6: the next closer name is enough, the signature tells the closest encloser.
            Denial::Expansion { below, .. } => {
                let hash = self.hash(name.ancestor(below.saturating_sub(1)));
                Some([Some(self.seek(&hash)?.covered()?), None, None])
            }
            // RFC 5155 §7.2.2.
            Denial::NameError { below, .. } => {
                let Enclosed { matched, covered, encloser } = self.closest(name, below, None)?;
                // Where opt-out hides the true encloser there may be a wildcard at the provable one: nothing to deny.
                let wildcard = self.seek(&self.wildcard(encloser))?.covered();
                Some([Some(matched), Some(covered), wildcard])
            }
            // RFC 5155 §7.2.5.
            Denial::WildcardNoData { below, .. } => {
                let Enclosed { matched, covered, encloser } = self.closest(name, below, None)?;
                // One that exists only by cuts left out is no more in the chain than what it stands for; then the wildcard
                // at the provable encloser is another.
                let wildcard = match encloser == name.ancestor(below) {
                    true => self.seek(&self.wildcard(encloser))?.matched(),
                    false => None,
                };
                Some([Some(matched), Some(covered), wildcard])
            }
        }
    }

    /// RFC 5155 §7.2.1: the closest provable encloser of `name`, from `below` labels above it on, and the cover of the
    /// next closer name. `known`: the hash of the name before, if it was reckoned.
    fn closest<'n>(&self, name: NameRef<'n>, below: usize, known: Option<Hash>) -> Option<Enclosed<'z, 'n>> {
        let mut next_closer = known;
        for below in below..=depth(name, self.zone) {
            let encloser = name.ancestor(below);
            let hash = self.hash(encloser);
            if let Seen::Matched(matched) = self.seek(&hash)? {
                let next_closer =
                    next_closer.unwrap_or_else(|| self.hash(name.ancestor(below.saturating_sub(1))));
                let covered = self.seek(&next_closer)?.covered()?;
                return Some(Enclosed { matched, covered, encloser });
            }
            next_closer = Some(hash);
        }
        None
    }

    fn hash(&self, name: NameRef<'_>) -> Hash {
        hash::hash(None, name, self.salt, self.iterations)
    }

    fn wildcard(&self, encloser: NameRef<'_>) -> Hash {
        hash::hash(Some(b"*"), encloser, self.salt, self.iterations)
    }

    /// What the chain says of a hash; `None` where it is broken.
    fn seek(&self, hash: &Hash) -> Option<Seen<'z>> {
        let key = hash::key(hash);
        let (mut node, mut next) = self.at_or_before(&key)?;
        // An owner that holds other types beside NSEC3 is an ordinary one for the zone, so the one found may stand too
        // early: from there the chain itself leads on.
        for _ in 0..CHAIN_STEPS {
            let own = node.cmp_key(&key);
            if own.is_eq() {
                return Some(Seen::Matched(node));
            }
            let behind = hash::key(next);
            // The last of a chain points back to the first.
            let around = node.cmp_key(&behind).is_ge();
            if (own.is_lt() && (around || key < behind)) || (around && key < behind) {
                return Some(Seen::Covered(node));
            }
            (node, next) = self.record(self.zone.find(&behind)?)?;
        }
        None
    }

    /// The last record of the chain at or before a key, around its end if need be, and the hash it points to.
    fn at_or_before(&self, key: &[u8]) -> Option<(Node<'z>, &'z Hash)> {
        let mut node = self.zone.hashed_at_or_before(key)?;
        let mut own = KeyBuf::new();
        for _ in 0..CHAIN_STEPS {
            if let Some(found) = self.record(node) {
                return Some(found);
            }
            // Another chain's. Without its closing octet a key stands right before itself.
            node.key_into(&mut own);
            node = self.zone.hashed_at_or_before(own.as_slice().split_last()?.1)?;
        }
        None
    }

    /// The node, if it has a record of this chain, and the hash that it points to. Flags do not count: opt-out is said
    /// record by record (RFC 5155 §3.1.2.1).
    fn record(&self, node: Node<'z>) -> Option<(Node<'z>, &'z Hash)> {
        let records = node.rrset(RecordType::NSEC3)?;
        let next = |rdata: &'z [u8]| match rdata.get(2..)?.strip_prefix(self.parameters.get(2..)?)? {
            [20, rest @ ..] if rdata.first() == self.parameters.first() => rest.first_chunk(),
            _ => None,
        };
        Some((node, records.rdatas().find_map(next)?))
    }
}

/// What a closest encloser proof is made of (RFC 5155 §7.2.1).
struct Enclosed<'z, 'n> {
    matched: Node<'z>,
    covered: Node<'z>,
    encloser: NameRef<'n>,
}
