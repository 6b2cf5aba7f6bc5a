//! An owner name with its RRsets, as it lies in a page.

use crate::page::Entry;
use crate::rrset::Rrset;
use secondo_wire::{KeyBuf, MAX_NAME, NameBuf, NameRef, RecordType, key_labels, name_of_key};
use std::cmp::Ordering;

/// An owner name with its RRsets.
#[derive(Clone, Copy)]
pub struct Node<'z> {
    /// The two parts of its key.
    prefix: &'z [u8],
    suffix: &'z [u8],
    /// One bit for each octet of the name, set where the letter is a capital; empty: spelled as the apex's spelling
    /// and lower case make it.
    spelling: &'z [u8],
    /// RRsets, ordered by type and covered type.
    sets: &'z [u8],
    apex: NameRef<'z>,
}

impl<'z> Node<'z> {
    pub(crate) fn new(entry: Entry<'z>, apex: NameRef<'z>) -> Node<'z> {
        let Entry { prefix, suffix, spelled, body } = entry;
        let length = if spelled { spelling_len(parts_len(prefix, suffix, apex)) } else { 0 };
        let (spelling, sets) = body.split_at(length.min(body.len()));
        Node { prefix, suffix, spelling, sets, apex }
    }

    /// Writes its key.
    pub fn key_into(&self, out: &mut KeyBuf) {
        let mut key = [0; 512];
        out.set_key(self.key_in(&mut key));
    }

    /// Its key against another.
    pub fn cmp_key(&self, key: &[u8]) -> Ordering {
        self.entry().cmp_key(key)
    }

    /// Whether it is at or below a key.
    pub(crate) fn is_below(&self, key: &[u8]) -> bool {
        match key.split_at_checked(self.prefix.len()) {
            Some((head, tail)) => self.suffix.starts_with(tail) && self.prefix == head,
            None => self.prefix.starts_with(key),
        }
    }

    /// Labels of its key.
    pub fn depth(&self) -> usize {
        key_labels(self.prefix) + key_labels(self.suffix)
    }

    /// Writes its name, spelled as received.
    pub fn name_into(&self, out: &mut NameBuf) {
        let mut key = [0; 512];
        // Keys in pages are keys of this zone: they were checked when the page was made or loaded.
        let of_zone = name_of_key(self.key_in(&mut key), self.apex, out);
        debug_assert!(of_zone.is_ok(), "a page holds keys of its zone");
        if !self.spelling.is_empty() {
            respell(out, self.spelling);
        }
    }

    /// The RRset of a type. Signatures are not one RRset: see [`Node::signatures`].
    pub fn rrset(&self, rtype: RecordType) -> Option<Rrset<'z>> {
        self.rrsets().take_while(|set| set.rtype() <= rtype).find(|set| set.rtype() == rtype)
    }

    /// The RRSIGs that cover a type.
    pub fn signatures(&self, covered: RecordType) -> Option<Rrset<'z>> {
        self.rrsets().find(|set| set.covered() == Some(covered))
    }

    /// The RRset of a type and the RRSIGs that cover it, found in one pass.
    pub fn signed_rrset(&self, rtype: RecordType) -> (Option<Rrset<'z>>, Option<Rrset<'z>>) {
        let (mut found, mut signatures) = (None, None);
        for set in self.rrsets() {
            if set.rtype() == rtype && rtype != RecordType::RRSIG {
                found = Some(set);
            } else if set.covered() == Some(rtype) {
                signatures = Some(set);
            }
            // What comes behind both, or behind the signatures of types below those, cannot be one of them.
            let past = set.rtype() > rtype && set.rtype() > RecordType::RRSIG;
            if past || found.is_some() && signatures.is_some() {
                break;
            }
        }
        (found, signatures)
    }

    /// Whether it holds records of the type (RRSIG: any signature).
    pub fn has(&self, rtype: RecordType) -> bool {
        self.rrset(rtype).is_some()
    }

    /// All RRsets by ascending type; RRSIGs as one RRset for each type that they cover.
    pub fn rrsets(&self) -> Rrsets<'z> {
        Rrsets { sets: self.sets }
    }

    /// Octets of its name in wire form.
    pub(crate) fn name_len(&self) -> usize {
        parts_len(self.prefix, self.suffix, self.apex)
    }

    /// Whether spelling and RRsets of two nodes of one name are the same octets.
    pub(crate) fn is_octet_for_octet(&self, other: &Node<'_>) -> bool {
        self.spelling == other.spelling
            && self.sets == other.sets
            && self.apex.as_wire() == other.apex.as_wire()
    }

    fn entry(&self) -> Entry<'z> {
        Entry { prefix: self.prefix, suffix: self.suffix, spelled: false, body: self.sets }
    }

    /// Length of the longest ancestor-or-self of `key` that this name is at or below.
    pub fn common_labels(&self, key: &[u8]) -> usize {
        let common = self.entry().common(key);
        key[..common].iter().rposition(|&octet| octet == 0).map_or(0, |at| at + 1)
    }

    fn key_in<'k>(&self, out: &'k mut [u8; 512]) -> &'k [u8] {
        let prefix = self.prefix.len().min(512);
        let length = (prefix + self.suffix.len()).min(512);
        out[..prefix].copy_from_slice(&self.prefix[..prefix]);
        out[prefix..length].copy_from_slice(&self.suffix[..length - prefix]);
        &out[..length]
    }
}

impl std::fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut name = NameBuf::new();
        self.name_into(&mut name);
        write!(f, "Node({}", name.as_ref())?;
        self.rrsets().try_for_each(|set| write!(f, " {}", set.rtype()))?;
        f.write_str(")")
    }
}

/// The RRsets of a node. See [`Node::rrsets`].
#[derive(Clone, Debug)]
pub struct Rrsets<'z> {
    sets: &'z [u8],
}

impl<'z> Rrsets<'z> {
    #[cfg(test)]
    pub(crate) fn of(sets: &'z [u8]) -> Rrsets<'z> {
        Rrsets { sets }
    }

    /// What follows those that were taken.
    pub(crate) fn rest(&self) -> &'z [u8] {
        self.sets
    }
}

impl<'z> Iterator for Rrsets<'z> {
    type Item = Rrset<'z>;

    #[inline]
    fn next(&mut self) -> Option<Rrset<'z>> {
        if self.sets.is_empty() {
            return None;
        }
        let (set, rest) = Rrset::take(self.sets)?;
        self.sets = rest;
        Some(set)
    }
}

/// Octets of the name of a key in two parts, which may part an escape from its octet.
fn parts_len(prefix: &[u8], suffix: &[u8], apex: NameRef<'_>) -> usize {
    let mut escaped = false;
    relative_len(prefix, &mut escaped) + relative_len(suffix, &mut escaped) + apex.as_wire().len()
}

/// Octets of the name of `key` in wire form.
pub(crate) fn name_len(key: &[u8], apex: NameRef<'_>) -> usize {
    relative_len(key, &mut false) + apex.as_wire().len()
}

/// Octets that a part of a key takes in wire form: an escape with its octet is one, a separator is the length octet.
/// `escaped`: whether the part before ended inside of such a pair, and whether this one does.
fn relative_len(part: &[u8], escaped: &mut bool) -> usize {
    if !*escaped && !part.contains(&1) {
        return part.len();
    }
    let mut length = part.len();
    for &octet in part {
        *escaped = octet == 1 && !*escaped;
        length -= usize::from(*escaped);
    }
    length
}

/// Octets of a spelling of a name of so many octets.
pub(crate) fn spelling_len(name_len: usize) -> usize {
    name_len.div_ceil(8)
}

/// The spelling of a name: one bit for each octet, the lowest first, set where the letter is a capital.
pub(crate) fn spelling(name: NameRef<'_>) -> impl Iterator<Item = u8> {
    let bits = |eight: &[u8]| {
        eight
            .iter()
            .enumerate()
            .fold(0, |bits, (at, octet)| bits | u8::from(octet.is_ascii_uppercase()) << at)
    };
    name.as_wire().chunks(8).map(bits)
}

/// Puts a name in a spelling.
fn respell(name: &mut NameBuf, spelling: &[u8]) {
    let mut octets = [0; MAX_NAME];
    let wire = name.as_ref().as_wire();
    let length = wire.len();
    octets[..length].copy_from_slice(wire);
    octets[..length].make_ascii_lowercase();
    for (at, octet) in octets[..length].iter_mut().enumerate() {
        if spelling.get(at / 8).is_some_and(|bits| bits >> (at % 8) & 1 == 1) {
            octet.make_ascii_uppercase();
        }
    }
    if let Some((spelled, _)) = NameRef::split_from(&octets[..length]) {
        name.set(spelled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secondo_wire::Name;

    #[test]
    fn the_length_of_a_name_is_known_from_its_key() {
        let apex = Name::parse("example.").unwrap();
        for text in
            ["example.", "a.example.", "\\000\\001\\002\\001.\\255z.example.", "\\001\\001.\\001.a.example."]
        {
            let name = Name::parse(text).unwrap();
            let mut key = KeyBuf::new();
            assert!(key.set(name.as_ref(), apex.as_ref()));
            assert_eq!(name_len(key.as_slice(), apex.as_ref()), name.as_wire().len(), "{text}");
            for at in 0..key.as_slice().len() {
                let (prefix, suffix) = key.as_slice().split_at(at);
                assert_eq!(parts_len(prefix, suffix, apex.as_ref()), name.as_wire().len(), "{text} at {at}");
            }
        }
    }

    #[test]
    fn a_spelling_comes_back() {
        let name = Name::parse("WwW.A-1.eXAMPLe.").unwrap();
        let bits: Vec<u8> = spelling(name.as_ref()).collect();
        assert_eq!(bits.len(), spelling_len(name.as_wire().len()));
        let mut out = NameBuf::new();
        out.set(Name::parse("www.a-1.Example.").unwrap().as_ref());
        respell(&mut out, &bits);
        assert_eq!(out.as_ref().as_wire(), name.as_wire());
    }
}
