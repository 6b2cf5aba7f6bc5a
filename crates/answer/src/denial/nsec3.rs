//! Proofs from a chain of NSEC3 records (RFC 5155 §7.2).

use secondo_wire::{KeyBuf, NameRef, RecordType};
use secondo_zone::{Node, Version};

use super::hash::{self, Hash};
use super::{Denial, Proof, Ready, Shown, Unproved, Witness, depth};
use crate::bounds::{CHAIN_STEPS, NSEC3_ITERATIONS};
use crate::flaws::Flaw;

/// What proves the denial of `name` by NSEC3 records.
///
/// RFC 5155 §7.3: of several chains any may be taken: the one with the fewest iterations that has the whole proof, which
/// is the first in canonical order. A chain of more than `limit` iterations is not reckoned with (RFC 9276 §3.3 lets a
/// secondary have a limit). One of its records, found without hashing, then stands for the proof: it shows its
/// iterations, by which a validator with no higher a limit takes the zone for unsigned (RFC 9276 §3.2) instead of
/// calling the answer forged.
pub(super) fn prove<'z>(
    zone: &'z Version,
    denial: &Denial<'z>,
    name: NameRef<'_>,
    limit: u16,
    approached: Option<Hash>,
    ready: Option<&'z Ready>,
) -> Result<Proof<'z>, Unproved> {
    // What is ready, and what was approached, is the first chain's.
    let mut first = Some((approached, ready.and_then(|ready| ready.nsec3.as_ref())));
    let mut unproved = Unproved::Broken;
    for chain in chains(zone) {
        let proved = if chain.iterations <= limit {
            let (approached, ready) = first.take().unwrap_or_default();
            let hash = approached.unwrap_or_else(|| chain.hash(denial.crucial(name)));
            chain.prove(denial, name, hash, ready)
        } else {
            // Behind a chain that is not whole it is not the limit that is to blame.
            let flaw = if first.is_some() { Flaw::Iterations } else { Flaw::Unproved };
            chain
                .at_or_before(&[])
                .map(|(node, _)| Proof { flaw: Some(flaw), ..proof([Some(Witness::Node(node)), None, None]) })
        };
        match proved {
            Ok(proof) => return Ok(proof),
            Err(Unproved::Collision) => unproved = Unproved::Collision,
            Err(Unproved::Broken) => {}
        }
    }
    Err(unproved)
}

/// The hash of a denial's crucial name in the first chain; what is said of it is on its way from memory.
pub(super) fn approach(zone: &Version, denial: &Denial<'_>, name: NameRef<'_>, limit: u16) -> Option<Hash> {
    let chain = chains(zone).next().filter(|chain| chain.iterations <= limit)?;
    let hash = chain.hash(denial.crucial(name));
    zone.approach_hashed(&hash::key(&hash));
    Some(hash)
}

/// The node of the first chain that matches the apex, and the one that covers the wildcard right below it.
pub(super) fn at_apex(zone: &Version) -> Option<(Node<'_>, Option<Node<'_>>)> {
    let chain = chains(zone).next().filter(|chain| chain.iterations <= NSEC3_ITERATIONS)?;
    let apex = zone.apex().as_ref();
    let matched = chain.seek(&chain.hash(apex)).ok()?.matched()?;
    Some((matched, chain.seek(&chain.wildcard(apex)).ok().and_then(Seen::covered)))
}

/// The chains of a zone, in canonical order of their parameters.
fn chains(zone: &Version) -> impl Iterator<Item = Chain<'_>> {
    let has = zone.apex_has(RecordType::NSEC3PARAM);
    let parameters = has.then(|| zone.apex_node().rrset(RecordType::NSEC3PARAM)).flatten();
    parameters.into_iter().flat_map(|set| set.rdatas()).filter_map(|rdata| Chain::of(zone, rdata))
}

/// One chain of a zone.
struct Chain<'z> {
    zone: &'z Version,
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
    fn of(zone: &'z Version, parameters: &'z [u8]) -> Option<Chain<'z>> {
        let &[1, 0, high, low, length, ref salt @ ..] = parameters else { return None };
        let iterations = u16::from_be_bytes([high, low]);
        (salt.len() == usize::from(length)).then_some(Chain { zone, parameters, iterations, salt })
    }

    /// `hash`: that of the crucial name.
    fn prove(
        &self,
        denial: &Denial<'z>,
        name: NameRef<'_>,
        hash: Hash,
        ready: Option<&'z (Shown, Option<Shown>)>,
    ) -> Result<Proof<'z>, Unproved> {
        match *denial {
            // RFC 5155 §7.2.3, §7.2.4, §7.2.7.
            Denial::NoData { .. } | Denial::InsecureReferral { .. } => match self.seek(&hash)? {
                Seen::Matched(node) => Ok(proof([Some(Witness::Node(node)), None, None])),
                // Opt-out: a cut without DS, and what exists only by such cuts, need not be in the chain.
                Seen::Covered(_) => {
                    let Enclosed { matched, covered, .. } = self.closest(name, 1, hash, ready)?;
                    Ok(proof([Some(matched), Some(covered), None]))
                }
            },
            // RFC 5155 §7.2.6: the next closer name is enough, the signature tells the closest encloser.
            Denial::Expansion { .. } => Ok(proof([Some(self.cover(&hash)?), None, None])),
            // RFC 5155 §7.2.2.
            Denial::NameError { below, .. } => {
                let Enclosed { matched, covered, encloser } = self.closest(name, below, hash, ready)?;
                // Where opt-out hides the true encloser there may be a wildcard at the provable one: nothing to deny.
                let wildcard = match (matched, ready) {
                    (Witness::Ready(_), Some((_, wildcard))) => wildcard.as_ref().map(Witness::Ready),
                    _ => self.seek(&self.wildcard(encloser))?.covered().map(Witness::Node),
                };
                let lacks = wildcard.is_none() && encloser == name.ancestor(below);
                let flaw = lacks.then_some(Flaw::Unproved);
                Ok(Proof { flaw, ..proof([Some(matched), Some(covered), wildcard]) })
            }
            // RFC 5155 §7.2.5.
            Denial::WildcardNoData { below, .. } => {
                let Enclosed { matched, covered, encloser } = self.closest(name, below, hash, ready)?;
                // One that exists only by cuts left out is no more in the chain than what it stands for; then the wildcard
                // at the provable encloser is another.
                let (wildcard, flaw) = match encloser == name.ancestor(below) {
                    true => match self.seek(&self.wildcard(encloser))? {
                        Seen::Matched(node) => (Some(Witness::Node(node)), None),
                        Seen::Covered(node) => (None, (!self.opts_out(node)).then_some(Flaw::Unproved)),
                    },
                    false => (None, None),
                };
                Ok(Proof { flaw, ..proof([Some(matched), Some(covered), wildcard]) })
            }
        }
    }

    /// RFC 5155 §7.2.1: the closest provable encloser of `name`, from `below` labels above it on, and the cover of the
    /// next closer name. `next_closer`: the hash of the name before; `ready`: what matches the apex.
    fn closest<'n>(
        &self,
        name: NameRef<'n>,
        below: usize,
        mut next_closer: Hash,
        ready: Option<&'z (Shown, Option<Shown>)>,
    ) -> Result<Enclosed<'z, 'n>, Unproved> {
        let depth = depth(name, self.zone);
        for below in below..depth {
            let encloser = name.ancestor(below);
            let hash = self.hash(encloser);
            if let Seen::Matched(matched) = self.seek(&hash)? {
                let matched = Witness::Node(matched);
                return Ok(Enclosed { matched, covered: self.cover(&next_closer)?, encloser });
            }
            next_closer = hash;
        }
        // The apex has none above it.
        let encloser = (below <= depth).then(|| name.ancestor(depth)).ok_or(Unproved::Broken)?;
        let matched = match ready {
            Some((apex, _)) => Witness::Ready(apex),
            None => {
                let matched = self.seek(&self.hash(encloser))?.matched();
                Witness::Node(matched.ok_or(Unproved::Broken)?)
            }
        };
        Ok(Enclosed { matched, covered: self.cover(&next_closer)?, encloser })
    }

    /// The node that covers the hash of a name that is not there.
    fn cover(&self, hash: &Hash) -> Result<Witness<'z>, Unproved> {
        self.seek(hash)?.covered().map(Witness::Node).ok_or(Unproved::Collision)
    }

    fn hash(&self, name: NameRef<'_>) -> Hash {
        hash::hash(None, name, self.salt, self.iterations)
    }

    fn wildcard(&self, encloser: NameRef<'_>) -> Hash {
        hash::hash(Some(b"*"), encloser, self.salt, self.iterations)
    }

    /// What the chain says of a hash.
    fn seek(&self, hash: &Hash) -> Result<Seen<'z>, Unproved> {
        let key = hash::key(hash);
        let (mut node, mut next) = self.at_or_before(&key)?;
        // An owner that holds other types beside NSEC3 is an ordinary one for the zone, so the one found may stand too
        // early: from there the chain itself leads on.
        for _ in 0..CHAIN_STEPS {
            let own = node.cmp_key(&key);
            if own.is_eq() {
                return Ok(Seen::Matched(node));
            }
            let behind = hash::key(next);
            // The last of a chain points back to the first.
            let around = node.cmp_key(&behind).is_ge();
            if (own.is_lt() && (around || key < behind)) || (around && key < behind) {
                return Ok(Seen::Covered(node));
            }
            (node, next) =
                self.zone.find(&behind).and_then(|node| self.record(node)).ok_or(Unproved::Broken)?;
        }
        Err(Unproved::Broken)
    }

    /// The last record of the chain at or before a key, around its end if need be, and the hash it points to.
    fn at_or_before(&self, key: &[u8]) -> Result<(Node<'z>, &'z Hash), Unproved> {
        let mut own = KeyBuf::new();
        let mut place = self.zone.hashed_at_or_before(key);
        for _ in 0..CHAIN_STEPS {
            let Some(node) = place else { break };
            if let Some(found) = self.record(node) {
                return Ok(found);
            }
            // Another chain's. Without its closing octet a key stands right before itself.
            node.key_into(&mut own);
            place = own.as_slice().split_last().and_then(|(_, own)| self.zone.hashed_at_or_before(own));
        }
        Err(Unproved::Broken)
    }

    /// The node, if it has a record of this chain, and the hash that it points to.
    fn record(&self, node: Node<'z>) -> Option<(Node<'z>, &'z Hash)> {
        let records = node.rrset(RecordType::NSEC3)?;
        Some((node, records.rdatas().find_map(|rdata| self.next(rdata))?))
    }

    /// The hash that a record points to if it is one of this chain. Flags do not count: opt-out is said record by record
    /// (RFC 5155 §3.1.2.1).
    fn next(&self, rdata: &'z [u8]) -> Option<&'z Hash> {
        match rdata.get(2..)?.strip_prefix(self.parameters.get(2..)?)? {
            [20, rest @ ..] if rdata.first() == self.parameters.first() => rest.first_chunk(),
            _ => None,
        }
    }

    /// Whether what the node covers may be there and not in the chain (RFC 5155 §6).
    fn opts_out(&self, node: Node<'z>) -> bool {
        let records = node.rrset(RecordType::NSEC3).into_iter().flat_map(|set| set.rdatas());
        records.filter(|rdata| self.next(rdata).is_some()).any(|rdata| rdata.get(1) == Some(&1))
    }
}

fn proof(witnesses: [Option<Witness<'_>>; 3]) -> Proof<'_> {
    Proof { rtype: RecordType::NSEC3, witnesses, flaw: None }
}

/// What a closest encloser proof is made of (RFC 5155 §7.2.1).
struct Enclosed<'z, 'n> {
    matched: Witness<'z>,
    covered: Witness<'z>,
    encloser: NameRef<'n>,
}
