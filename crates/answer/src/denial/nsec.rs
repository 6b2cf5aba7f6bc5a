//! Proofs from a chain of NSEC records (RFC 4035 §3.1.3).

use secondo_wire::{KeyBuf, NameRef, key_common_labels, key_parent};
use secondo_zone::{Node, Zone};

use super::{Denial, Place};
use crate::lookup::hiding;

/// The nodes whose NSEC records prove the denial of `name`. `key` is scratch space.
///
/// Work: for each node one `find` for each of its ancestors that are not the name's.
pub(super) fn prove<'z>(
    zone: &'z Zone,
    denial: &Denial<'z>,
    name: NameRef<'_>,
    key: &mut KeyBuf,
) -> [Option<Node<'z>>; 2] {
    let mut at = |place, name, wildcard: bool| {
        key.set(name, zone.apex().as_ref());
        if wildcard {
            key.push_label(b"*");
        }
        Some(witness(zone, key.as_slice(), place))
    };
    match *denial {
        // RFC 4035 §3.1.4: the cut's own NSEC shows that there is no DS.
        Denial::InsecureReferral { cut } => [Some(cut), None],
        // RFC 4035 §3.1.3.1; §3.1.3.3: no name that would have been closer than the wildcard.
        Denial::NoData { name: place } | Denial::Expansion { name: place, .. } => {
            [at(place, name, false), None]
        }
        // RFC 4035 §3.1.3.2: the name and the wildcard; §3.1.3.4: the name, and the type at the wildcard.
        Denial::NameError { name: place, below, wildcard }
        | Denial::WildcardNoData { name: place, below, wildcard } => {
            [at(place, name, false), at(wildcard, name.ancestor(below), true)]
        }
    }
}

/// The node whose NSEC speaks of the name with this key: its own, or the one before it in the chain. Names hidden below
/// a cut or DNAME are not in the chain; the topmost cut or DNAME above them is (RFC 4035 §2.3).
fn witness<'z>(zone: &'z Zone, key: &[u8], place: Place<'z>) -> Node<'z> {
    let before = match place {
        Place::At(node) => return node,
        Place::Behind(node) => node,
    };
    let mut own = KeyBuf::new();
    before.key_into(&mut own);
    let own = own.as_slice();
    // The lookup came down through the ancestors that both have: none of them hides anything.
    let seen = key_common_labels(own, key);
    let reach = key_parent(own).map_or(0, <[u8]>::len);
    hiding(zone, own, seen, reach).map_or(before, |(node, _)| node)
}
