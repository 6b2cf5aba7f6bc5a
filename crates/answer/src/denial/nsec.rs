//! Proofs from a chain of NSEC records (RFC 4035 §3.1.3).

use secondo_wire::{KeyBuf, NameRef, RecordType, key_labels, key_parent};
use secondo_zone::{Node, Version};

use super::{Denial, Place, Proof, Ready, Witness, depth};
use crate::lookup::hiding;

/// What proves the denial of `name` by NSEC records. `key` is scratch space.
///
/// Work: for each node one `find` for each of its ancestors that are not the name's.
pub(super) fn prove<'z>(
    zone: &'z Version,
    denial: &Denial<'z>,
    name: NameRef<'_>,
    key: &mut KeyBuf,
    ready: Option<&'z Ready>,
) -> Proof<'z> {
    let proof = |first, second| {
        let witnesses = [Some(first), second, None];
        Proof { rtype: RecordType::NSEC, witnesses, flaw: None }
    };
    match *denial {
        // RFC 4035 §3.1.4: the cut's own NSEC shows that there is no DS.
        Denial::InsecureReferral { cut } => proof(Witness::Node(cut), None),
        // RFC 4035 §3.1.3.1; §3.1.3.3: no name that would have been closer than the wildcard.
        Denial::NoData { name: place } | Denial::Expansion { name: place, .. } => {
            proof(Witness::Node(witness(zone, place, || keyed(key, name, zone))), None)
        }
        // RFC 4035 §3.1.3.2: the name and the wildcard; §3.1.3.4: the name, and the type at the wildcard.
        Denial::NameError { name: place, below, .. } | Denial::WildcardNoData { name: place, below, .. } => {
            let own = Witness::Node(witness(zone, place, || keyed(key, name, zone)));
            // Mostly it is right below the apex that there is neither. What is ready goes first, while the other comes from memory.
            if let (Denial::NameError { .. }, Some(ready)) = (denial, ready.and_then(|r| r.nsec.as_ref()))
                && below == depth(name, zone)
            {
                return proof(Witness::Ready(ready), Some(own));
            }
            key.set(name.ancestor(below), zone.apex().as_ref());
            key.push_label(b"*");
            let wildcard = match *denial {
                Denial::NameError { wildcard: Some(place), .. } => place,
                Denial::WildcardNoData { wildcard, .. } => wildcard,
                // In a zone without wildcards none was looked for.
                _ => zone.seek(key.as_slice()).into(),
            };
            proof(own, Some(Witness::Node(witness(zone, wildcard, || key.as_slice()))))
        }
    }
}

/// The key of a name of the zone.
fn keyed<'k>(key: &'k mut KeyBuf, name: NameRef<'_>, zone: &Version) -> &'k [u8] {
    key.set(name, zone.apex().as_ref());
    key.as_slice()
}

/// The node whose NSEC speaks of the name at `place`: its own, or the one before it in the chain. Names hidden below
/// a cut or DNAME are not in the chain; the topmost cut or DNAME above them is (RFC 4035 §2.3). `key`: that of the name, made
/// where it is needed.
pub(super) fn witness<'z, 'k>(
    zone: &'z Version,
    place: Place<'z>,
    key: impl FnOnce() -> &'k [u8],
) -> Node<'z> {
    let before = match place {
        Place::At(node) => return node,
        Place::Behind(node) => node,
    };
    // Mostly nothing hides anything.
    if zone.diverting_depths() <= 1 {
        return before;
    }
    let key = key();
    // The lookup came down through the ancestors that both have: none of them hides anything.
    let seen = before.common_labels(key);
    if before.depth() <= key_labels(&key[..seen]) + 1 {
        return before;
    }
    let mut own = KeyBuf::new();
    before.key_into(&mut own);
    let own = own.as_slice();
    let reach = key_parent(own).map_or(0, <[u8]>::len);
    hiding(zone, own, seen, reach).map_or(before, |(node, _)| node)
}
