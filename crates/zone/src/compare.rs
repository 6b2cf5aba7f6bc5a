//! What differs between two versions, found owner by owner.

use crate::difference::Difference;
use crate::node::Node;
use crate::page::Entry;
use crate::record::{Part, Record};
use crate::rrset::Rrset;
use crate::tree::Tree as PageTree;
use crate::zone::{Entries, Zone};
use secondo_wire::{NameBuf, RecordType, rdata};
use std::cmp::Ordering;

/// What leads from `old` to `new`, unless it takes more than `most` octets. Pages that both share are passed over.
pub(crate) fn difference(old: &Zone, new: &Zone, most: usize) -> Option<Difference> {
    let mut writer = Writer::default();
    let mut main = Walk::new(old.main(), new.main());
    let mut hashed = Walk::new(old.hashed(), new.hashed());
    loop {
        let order = match (main.is_over(), hashed.is_over()) {
            (true, true) => {
                return Some(writer.finish(old, new)).filter(|difference| difference.wire_bytes() <= most);
            }
            (false, true) => Ordering::Less,
            (true, false) => Ordering::Greater,
            // An owner that changed trees is met in both, once as it was and once as it is.
            (false, false) => main.key.cmp(&hashed.key),
        };
        let one = if order.is_le() { main.take() } else { [None; 2] };
        let two = if order.is_ge() { hashed.take() } else { [None; 2] };
        let was = one[0].or(two[0]).map(|entry| Node::new(entry, old.apex().as_ref()));
        let is = one[1].or(two[1]).map(|entry| Node::new(entry, new.apex().as_ref()));
        writer.compare(was, is);
        if writer.removed.wire_bytes() + writer.added.wire_bytes() > most {
            return None;
        }
    }
}

/// Two trees side by side: the owners that are not in pages that both share, in canonical order.
struct Walk<'t> {
    old: Entries<'t>,
    new: Entries<'t>,
    /// Key of the owner at hand.
    key: Vec<u8>,
    /// That owner as it was and as it is; neither at the end.
    owner: [Option<Entry<'t>>; 2],
}

impl<'t> Walk<'t> {
    fn new(old: &'t PageTree, new: &'t PageTree) -> Walk<'t> {
        let (old, new) = (Entries::new(old), Entries::new(new));
        let mut walk = Walk { old, new, key: Vec::new(), owner: [None; 2] };
        walk.step();
        walk
    }

    fn is_over(&self) -> bool {
        self.owner.iter().all(Option::is_none)
    }

    /// The owner at hand; goes on to the next.
    fn take(&mut self) -> [Option<Entry<'t>>; 2] {
        let taken = self.owner;
        self.step();
        taken
    }

    fn step(&mut self) {
        while let (Some(mine), Some(theirs)) = (self.old.whole_page(), self.new.whole_page())
            && mine.is_same(theirs)
        {
            self.old.turn();
            self.new.turn();
        }
        let order = match (self.old.next, self.new.next) {
            (None, None) => return self.owner = [None; 2],
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.cmp_entry(&b),
        };
        let was = if order.is_le() { self.old.advance() } else { None };
        let is = if order.is_ge() { self.new.advance() } else { None };
        if let Some(entry) = was.or(is) {
            entry.key_into(&mut self.key);
        }
        self.owner = [was, is];
    }
}

/// Collects a difference owner by owner, in canonical order.
#[derive(Default)]
pub(crate) struct Writer {
    removed: Part,
    added: Part,
}

fn put(part: &mut Part, name: &NameBuf, set: &Rrset<'_>, rdata: &[u8]) {
    part.put(&Record { owner: name.as_ref(), rtype: set.rtype(), ttl: set.ttl(), rdata });
}

impl Writer {
    /// Notes what differs between an owner as it was and as it is; false when nothing does. SOAs are left to
    /// [`Writer::finish`], but count.
    pub(crate) fn compare(&mut self, old: Option<Node<'_>>, new: Option<Node<'_>>) -> bool {
        if let (Some(old), Some(new)) = (&old, &new)
            && old.is_octet_for_octet(new)
        {
            return false;
        }
        let (mut old_name, mut new_name) = (NameBuf::new(), NameBuf::new());
        old.inspect(|node| node.name_into(&mut old_name));
        new.inspect(|node| node.name_into(&mut new_name));
        let respelled =
            old.is_some() && new.is_some() && old_name.as_ref().as_wire() != new_name.as_ref().as_wire();
        let (mut was, mut is) =
            (old.iter().flat_map(Node::rrsets).peekable(), new.iter().flat_map(Node::rrsets).peekable());
        let mut changed = false;
        loop {
            let order = match (was.peek(), is.peek()) {
                (None, None) => return changed || old.is_some() != new.is_some(),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.place().cmp(&b.place()),
            };
            let a = was.next_if(|_| order.is_le());
            let b = is.next_if(|_| order.is_ge());
            changed |= self.compare_sets(&old_name, a, &new_name, b, respelled);
        }
    }

    /// The same for two sets of one type; all records count as changed when they are `respelled`.
    fn compare_sets(
        &mut self,
        old_name: &NameBuf,
        old: Option<Rrset<'_>>,
        new_name: &NameBuf,
        new: Option<Rrset<'_>>,
        respelled: bool,
    ) -> bool {
        let silent = old.or(new).is_some_and(|set| set.rtype() == RecordType::SOA);
        let all = respelled || old.map(|set| set.ttl()) != new.map(|set| set.ttl());
        let (mut was, mut is) = (records(&old).peekable(), records(&new).peekable());
        let mut changed = false;
        loop {
            let order = match (was.peek(), is.peek()) {
                (None, None) => return changed,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.0.cmp(&b.0),
            };
            let a = was.next_if(|_| order.is_le());
            let b = is.next_if(|_| order.is_ge());
            if !all && a.as_ref().map(|a| a.1) == b.as_ref().map(|b| b.1) {
                continue;
            }
            changed = true;
            if let (Some((_, rdata)), Some(set), false) = (a, &old, silent) {
                put(&mut self.removed, old_name, set, rdata);
            }
            if let (Some((_, rdata)), Some(set), false) = (b, &new, silent) {
                put(&mut self.added, new_name, set, rdata);
            }
        }
    }

    /// Puts the SOAs in front.
    pub(crate) fn finish(self, old: &Zone, new: &Zone) -> Difference {
        let soa = |zone: &Zone| {
            let (mut part, mut name) = (Part::default(), NameBuf::new());
            zone.apex_node().name_into(&mut name);
            if let Some(set) = zone.apex_node().rrset(RecordType::SOA) {
                put(&mut part, &name, &set, zone.soa_rdata());
            }
            part
        };
        let difference = Difference {
            from: old.serial(),
            to: new.serial(),
            removed: self.removed.behind(soa(old)),
            added: self.added.behind(soa(new)),
        };
        debug_assert!(difference.is_sound(), "a difference is as it must be");
        difference
    }
}

/// The records of a set in canonical form and as received.
fn records<'z>(set: &Option<Rrset<'z>>) -> impl Iterator<Item = (Vec<u8>, &'z [u8])> {
    set.iter().copied().flat_map(|set| {
        set.rdatas().map(move |octets| {
            let mut canonical = Vec::new();
            rdata::canonical(set.rtype(), octets, &mut canonical);
            (canonical, octets)
        })
    })
}
