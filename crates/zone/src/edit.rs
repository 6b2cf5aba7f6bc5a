//! One owner while it is changed record by record.

use crate::node::Node;
use crate::owner::put_spelling;
use crate::rrset::{self, covered, place};
use secondo_wire::{Name, NameBuf, NameRef, RecordType, rdata};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// An owner and its RRsets, so kept that a change of one record costs the same however many there are.
pub(crate) struct Edit {
    /// The name as received last.
    name: Name,
    /// By type and covered type.
    sets: BTreeMap<u32, Set>,
    /// Types that it had at first, and types that its signatures covered.
    had: [usize; 2],
}

struct Set {
    ttl: u32,
    /// By canonical RDATA; RDATA as received where it differs.
    records: BTreeMap<Box<[u8]>, Option<Box<[u8]>>>,
}

/// What adding a record did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Added {
    /// Whether the record was not there.
    pub(crate) new: bool,
    /// Whether records that were there got another TTL.
    pub(crate) ttl_changed: bool,
    /// Records in the set now.
    pub(crate) set_len: usize,
}

impl Edit {
    /// An owner without records.
    pub(crate) fn new(name: NameRef<'_>) -> Edit {
        Edit { name: name.to_owned(), sets: BTreeMap::new(), had: [0; 2] }
    }

    /// An owner as it is.
    pub(crate) fn of(node: &Node<'_>) -> Edit {
        let mut name = NameBuf::new();
        node.name_into(&mut name);
        let mut edit = Edit::new(name.as_ref());
        for set in node.rrsets() {
            let records = set.rdatas().map(|rdata| spelled(set.rtype(), rdata)).collect();
            edit.sets.insert(set.place(), Set { ttl: set.ttl(), records });
            edit.had[usize::from(set.rtype() == RecordType::RRSIG)] += 1;
        }
        edit
    }

    /// Deletes a record, found by its canonical form; false when it is not there.
    pub(crate) fn delete(&mut self, rtype: RecordType, rdata: &[u8]) -> bool {
        let Entry::Occupied(mut set) = self.sets.entry(place_of(rtype, rdata)) else { return false };
        let deleted = set.get_mut().records.remove(&spelled(rtype, rdata).0).is_some();
        if set.get().records.is_empty() {
            set.remove();
        }
        deleted
    }

    /// Deletes all records of a type other than RRSIG; returns their RDATA as received.
    pub(crate) fn clear(&mut self, rtype: RecordType) -> Vec<Box<[u8]>> {
        let set = self.sets.remove(&place(rtype, None));
        set.into_iter()
            .flat_map(|set| set.records)
            .map(|(canonical, spelled)| spelled.unwrap_or(canonical))
            .collect()
    }

    /// Adds a record. The set takes its TTL; the owner takes its spelling when the record is new.
    pub(crate) fn add(&mut self, owner: NameRef<'_>, rtype: RecordType, ttl: u32, rdata: &[u8]) -> Added {
        let set =
            self.sets.entry(place_of(rtype, rdata)).or_insert_with(|| Set { ttl, records: BTreeMap::new() });
        let (canonical, spelled) = spelled(rtype, rdata);
        let new = match set.records.entry(canonical) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(spelled);
                true
            }
        };
        // RFC 2181 §5.2: one TTL for all records of a set; the last word holds.
        let ttl_changed = set.ttl != ttl;
        set.ttl = ttl;
        let set_len = set.records.len();
        if new && owner.as_wire() != self.name.as_wire() {
            self.name = owner.to_owned();
        }
        Added { new, ttl_changed, set_len }
    }

    /// The type that is one too many: there are more than `limit` and more than there were at first. RRSIG where
    /// it is that of the signatures, which are counted by themselves.
    pub(crate) fn surplus(&self, limit: usize) -> Option<RecordType> {
        let rtypes = || self.sets.keys().map(|place| type_at(*place));
        [false, true].into_iter().zip(self.had).find_map(|(signatures, had)| {
            rtypes().filter(|rtype| (*rtype == RecordType::RRSIG) == signatures).nth(limit.max(had))
        })
    }

    /// The name as received last.
    pub(crate) fn name(&self) -> NameRef<'_> {
        self.name.as_ref()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// Appends the body; true when it begins with a spelling.
    pub(crate) fn write(&self, key: &[u8], apex: NameRef<'_>, body: &mut Vec<u8>) -> bool {
        let is_spelled = put_spelling(body, key, self.name.as_ref(), apex);
        for (place, set) in &self.sets {
            let rdatas =
                set.records.iter().map(|(canonical, spelled)| spelled.as_deref().unwrap_or(canonical));
            rrset::put(body, type_at(*place), set.ttl, rdatas);
        }
        is_spelled
    }
}

fn place_of(rtype: RecordType, rdata: &[u8]) -> u32 {
    place(rtype, (rtype == RecordType::RRSIG).then(|| covered(rdata)))
}

/// The type of the set at a place.
fn type_at(place: u32) -> RecordType {
    RecordType((place >> 16) as u16)
}

/// Canonical RDATA, and RDATA as received where it differs.
fn spelled(rtype: RecordType, rdata: &[u8]) -> (Box<[u8]>, Option<Box<[u8]>>) {
    let mut canonical = Vec::new();
    rdata::canonical(rtype, rdata, &mut canonical);
    let differs = canonical != rdata;
    (canonical.into(), differs.then(|| rdata.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_on_ttl_and_spelling_holds() {
        let lower = Name::parse("a.example.").unwrap();
        let upper = Name::parse("A.example.").unwrap();
        let mut edit = Edit::new(lower.as_ref());
        let ns = |edit: &mut Edit, ttl, rdata: &[u8]| edit.add(upper.as_ref(), RecordType::NS, ttl, rdata);
        assert_eq!(ns(&mut edit, 60, b"\x01N\0"), Added { new: true, ttl_changed: false, set_len: 1 });
        assert_eq!(ns(&mut edit, 60, b"\x01n\0"), Added { new: false, ttl_changed: false, set_len: 1 });
        assert_eq!(ns(&mut edit, 50, b"\x01m\0"), Added { new: true, ttl_changed: true, set_len: 2 });
        assert_eq!(ns(&mut edit, 40, b"\x01m\0"), Added { new: false, ttl_changed: true, set_len: 2 });
        assert_eq!(edit.name.as_wire(), upper.as_wire());
        assert!(edit.delete(RecordType::NS, b"\x01n\0"), "found by canonical form");
        assert!(!edit.delete(RecordType::NS, b"\x01n\0"));
        assert!(edit.delete(RecordType::NS, b"\x01m\0"));
        assert!(edit.is_empty());
    }

    #[test]
    fn types_are_counted_and_those_of_signatures_by_themselves() {
        let owner = Name::parse("a.example.").unwrap();
        let mut edit = Edit::new(owner.as_ref());
        let signature = |covered: u8| [&[0, covered][..], &[0; 16], b"\0sig"].concat();
        let add = |edit: &mut Edit, rtype: u16, rdata: &[u8]| {
            edit.add(owner.as_ref(), RecordType(rtype), 60, rdata);
        };
        add(&mut edit, 1, b"aaaa");
        add(&mut edit, 1, b"bbbb");
        add(&mut edit, 46, &signature(1));
        assert_eq!((edit.surplus(0), edit.surplus(1)), (Some(RecordType::A), None));
        add(&mut edit, 46, &signature(2));
        assert_eq!((edit.surplus(1), edit.surplus(2)), (Some(RecordType::RRSIG), None));
        add(&mut edit, 731, b"x");
        assert_eq!((edit.surplus(1), edit.surplus(2)), (Some(RecordType(731)), None));
        edit.had = [2, 1];
        assert_eq!(edit.surplus(1), Some(RecordType::RRSIG), "one more than there was");
        assert!(edit.delete(RecordType::RRSIG, &signature(1)));
        assert_eq!(edit.surplus(1), None);
    }
}
