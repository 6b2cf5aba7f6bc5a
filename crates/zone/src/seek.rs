//! Where a key stands in a version, in two steps: the way to its page, and the search in it.

use crate::node::Node;
use crate::tree::Spot;
use crate::zone::Version;
use secondo_wire::key_parent;

/// Where a key stands in a zone.
#[derive(Clone, Copy, Debug)]
pub enum Seek<'z> {
    /// At this node.
    Found(Node<'z>),
    /// Between nodes.
    Missing(Gap<'z>),
}

/// What lies around a key that has no node.
#[derive(Clone, Copy, Debug)]
pub struct Gap<'z> {
    /// The last node before it in canonical order; there is always one, the apex at least.
    pub before: Node<'z>,
    /// The first node behind it.
    pub after: Option<Node<'z>>,
    /// Octets of the key that make the longest existing ancestor-or-self (RFC 4592 §2.2: a name exists when it or a
    /// name below it holds records). All octets: the key is an empty non-terminal.
    pub encloser: usize,
}

impl Version {
    /// The node of this key, or what lies around its place; hashed owners do not exist here.
    pub fn seek(&self, key: &[u8]) -> Seek<'_> {
        self.approach(key).seek(key)
    }

    /// Finds the page that a key belongs to and has it fetched from memory: whoever has something else to do before
    /// [`Approach::seek`] need not wait for it.
    #[inline]
    pub fn approach(&self, key: &[u8]) -> Approach<'_> {
        let spot = self.main().locate(key);
        if let Some(spot) = &spot {
            spot.page.touch();
        }
        Approach { zone: self, spot }
    }
}

/// The way to a key's place. See [`Version::approach`].
#[derive(Clone, Copy)]
pub struct Approach<'z> {
    zone: &'z Version,
    /// `None` in a tree without pages.
    spot: Option<Spot<'z>>,
}

impl<'z> Approach<'z> {
    /// The zone that was approached.
    pub fn zone(&self) -> &'z Version {
        self.zone
    }

    /// As [`Version::seek`], of the same key.
    pub fn seek(&self, key: &[u8]) -> Seek<'z> {
        let Approach { zone, spot } = *self;
        let Some(spot) = spot else { return Seek::Found(zone.apex_node()) };
        let fingerprint = zone.secret().hash(key).fingerprint();
        let view = spot.page.view();
        if let Some(entry) = view.find(key, fingerprint) {
            return Seek::Found(zone.node(entry.touch()));
        }
        let rank = view.rank(key);
        let before = match rank.checked_sub(1) {
            Some(at) => view.entry(at),
            None => spot.page_before().and_then(|page| page.view().last()),
        };
        let after = view.entry(rank).or_else(|| spot.page_behind().and_then(|page| page.view().first()));
        // It is what speaks of the key, in a zone that proves.
        let before = before.map_or_else(|| zone.apex_node(), |entry| zone.node(entry.touch()));
        let after = after.map(|entry| zone.node(entry));
        // The longest existing ancestor is one of a neighbour's: nothing stands between them and the key.
        let mut encloser = before.common_labels(key);
        // The last is the parent already, unless the next makes the key an empty non-terminal.
        if let Some(after) = after
            && (encloser < key_parent(key).map_or(0, <[u8]>::len) || after.is_below(key))
        {
            encloser = encloser.max(after.common_labels(key));
        }
        Seek::Missing(Gap { before, after, encloser })
    }
}

impl std::fmt::Debug for Approach<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Approach").field("zone", self.zone).finish_non_exhaustive()
    }
}
