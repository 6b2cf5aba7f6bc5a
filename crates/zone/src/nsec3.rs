//! The tree of hashed owners: names that hold only NSEC3 records and their signatures (RFC 5155 §3).
//!
//! They stand one label below the apex, make no empty non-terminals and exist for no query but as proofs, so they have a
//! tree of their own, in which the record that covers a hash is the one before it. Base32hex keeps the order of the
//! hashes (RFC 4648 §7), so the tree is ordered by hash as its keys are. An owner that holds anything else too is
//! an ordinary one.

use crate::node::{Node, Rrsets};
use crate::tree::{Spot, Tree};
use secondo_wire::{NameRef, RecordType};

/// Whether an owner belongs to the tree of hashed owners.
pub(crate) fn belongs(key: &[u8], sets: Rrsets<'_>) -> bool {
    let mut hashed = false;
    for set in sets {
        hashed |= set.rtype() == RecordType::NSEC3;
        if set.rtype() != RecordType::NSEC3 && set.covered() != Some(RecordType::NSEC3) {
            return false;
        }
    }
    // One label below the apex: one separator, at the end.
    hashed && !key.is_empty() && key.iter().position(|&octet| octet == 0) == key.len().checked_sub(1)
}

/// Where a key belongs; has the page there fetched from memory.
pub(crate) fn approach<'z>(tree: &'z Tree, key: &[u8]) -> Option<Spot<'z>> {
    let spot = tree.locate(key)?;
    spot.page.touch_hashed();
    Some(spot)
}

/// The hashed owner at or before `key`, around the end of the chain if need be; `None` when there are none.
pub(crate) fn at_or_before<'z>(tree: &'z Tree, key: &[u8], apex: NameRef<'z>) -> Option<Node<'z>> {
    let spot = approach(tree, key)?;
    let view = spot.page.view();
    let rank = view.rank(key);
    let exact = view.entry(rank).filter(|entry| entry.cmp_key(key).is_eq());
    let before = || match rank.checked_sub(1) {
        Some(at) => view.entry(at),
        None => spot.page_before().or_else(|| tree.last()).and_then(|page| page.view().last()),
    };
    exact.or_else(before).map(|entry| Node::new(entry.touch(), apex))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rrset;

    fn body(sets: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = vec![];
        sets.iter().for_each(|&(rtype, rdata)| {
            rrset::put(&mut body, RecordType(rtype), 60, std::iter::once(rdata));
        });
        body
    }

    #[test]
    fn only_owners_of_nothing_but_nsec3_one_label_down_belong() {
        let (nsec3, signature, other) = (&[1; 20][..], &[0, 50, 0, 0][..], &[0, 1, 0, 0][..]);
        let belongs = |key: &[u8], sets: &[(u16, &[u8])]| belongs(key, Rrsets::of(&body(sets)));
        assert!(belongs(b"0p9\0", &[(50, nsec3)]));
        assert!(belongs(b"0p9\0", &[(46, signature), (50, nsec3)]));
        assert!(!belongs(b"0p9\0", &[(46, signature)]));
        assert!(!belongs(b"0p9\0", &[(46, other), (50, nsec3)]));
        assert!(!belongs(b"0p9\0", &[(1, b"abcd"), (50, nsec3)]));
        assert!(!belongs(b"", &[(50, nsec3)]));
        assert!(!belongs(b"a\0b\0", &[(50, nsec3)]));
    }
}
