//! The canonical sort key of an owner name, relative to its zone's apex (RFC 4034 §6.1).
//!
//! Labels from the apex outwards, in lower case, each closed by a zero octet; inside a label 0x00 is written 01 01 and
//! 0x01 is written 01 02. Plain octet comparison of keys is then canonical order, "is at or below" is "starts with",
//! a zero octet stands nowhere but at the end of a label, and the apex is the empty key.

use crate::fold;
use crate::name::{NameBuf, NameError, NameRef};

/// Longest key: 254 octets of labels, each octet escaped.
const MAX_KEY: usize = 510;

/// A key on the stack, to be filled again and again without allocation.
#[derive(Clone)]
pub struct KeyBuf {
    octets: [u8; MAX_KEY],
    length: u16,
}

impl KeyBuf {
    /// Holds the apex.
    pub fn new() -> KeyBuf {
        KeyBuf { octets: [0; MAX_KEY], length: 0 }
    }

    /// The key.
    pub fn as_slice(&self) -> &[u8] {
        &self.octets[..self.length as usize]
    }

    /// Makes it the key of `name` in the zone at `apex`; false, and the apex, when the name is outside of the zone.
    pub fn set(&mut self, name: NameRef<'_>, apex: NameRef<'_>) -> bool {
        self.length = 0;
        let (wire, tail) = (name.as_wire(), apex.as_wire());
        let Some(own) = wire.len().checked_sub(tail.len()) else { return false };
        if !fold::equal(&wire[own..], tail) {
            return false;
        }
        // The tail must begin at a border of labels.
        let (mut starts, mut count, mut at) = ([0u8; 128], 0, 0);
        while at < own {
            starts[count] = at as u8;
            count += 1;
            at += wire[at] as usize + 1;
        }
        if at != own {
            return false;
        }
        for &start in starts[..count].iter().rev() {
            let start = start as usize;
            self.push_label(&wire[start + 1..start + 1 + wire[start] as usize]);
        }
        true
    }

    /// Makes it a copy of `key`, which must be one (at most 510 octets; the rest is cut).
    pub fn set_key(&mut self, key: &[u8]) {
        debug_assert!(key.len() <= MAX_KEY && key.last().is_none_or(|&last| last == 0), "a key ends a label");
        let n = key.len().min(MAX_KEY);
        self.octets[..n].copy_from_slice(&key[..n]);
        self.length = n as u16;
    }

    /// Appends one label, farther from the apex than those before.
    pub fn push_label(&mut self, label: &[u8]) {
        if !self.push_plain(label) {
            self.push_escaped(label);
        }
    }

    /// Appends a label if it is long enough for words and nothing in it is escaped.
    #[inline]
    fn push_plain(&mut self, label: &[u8]) -> bool {
        let start = self.length as usize;
        let Some(space) = self.octets.get_mut(start..start + label.len() + 1) else { return false };
        if label.len() < 8 {
            return false;
        }
        for at in fold::places(label.len()) {
            let word = fold::word(label, at);
            if fold::has_zero_or_one(word) {
                return false;
            }
            space[at..at + 8].copy_from_slice(&fold::lower(word).to_le_bytes());
        }
        space[label.len()] = 0;
        self.length += label.len() as u16 + 1;
        true
    }

    fn push_escaped(&mut self, label: &[u8]) {
        for &octet in label {
            match octet {
                0 | 1 => {
                    self.push(1);
                    self.push(octet + 1);
                }
                _ => self.push(octet.to_ascii_lowercase()),
            }
        }
        self.push(0);
    }

    /// Cuts it to its first `length` octets, which must end a label.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length as u16);
        debug_assert!(self.as_slice().last().is_none_or(|&last| last == 0), "a key ends a label");
    }

    fn push(&mut self, octet: u8) {
        if let Some(slot) = self.octets.get_mut(self.length as usize) {
            *slot = octet;
            self.length += 1;
        }
    }
}

impl Default for KeyBuf {
    fn default() -> KeyBuf {
        KeyBuf::new()
    }
}

/// Number of labels below the apex.
pub fn key_labels(key: &[u8]) -> usize {
    key.iter().filter(|&&octet| octet == 0).count()
}

/// The key of the parent; `None` at the apex.
pub fn key_parent(key: &[u8]) -> Option<&[u8]> {
    let body = &key[..key.len().checked_sub(1)?];
    Some(&key[..body.iter().rposition(|&octet| octet == 0).map_or(0, |at| at + 1)])
}

/// Length of the longest common ancestor's key: the last label border within the common prefix.
pub fn key_common_labels(a: &[u8], b: &[u8]) -> usize {
    let common = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    a[..common].iter().rposition(|&octet| octet == 0).map_or(0, |at| at + 1)
}

/// The name of a key, in lower case, in the zone at `apex`; an error when `key` is no key (bytes from disk).
pub fn name_of_key(key: &[u8], apex: NameRef<'_>, out: &mut NameBuf) -> Result<(), NameError> {
    if key.contains(&1) {
        return name_of_escaped(key, apex, out);
    }
    match key.split_last() {
        None => out.set_labels(std::iter::empty(), apex),
        Some((0, labels)) => out.set_labels(labels.rsplit(|&octet| octet == 0), apex),
        Some(_) => Err(NameError::Short),
    }
}

/// The name of a key with octets that are written as two.
fn name_of_escaped(key: &[u8], apex: NameRef<'_>, out: &mut NameBuf) -> Result<(), NameError> {
    let mut plain = [0u8; MAX_KEY];
    // (start, end) of each label in `plain`.
    let (mut ends, mut count, mut at) = ([0u16; 128], 0, 0);
    let mut octets = key.iter();
    while let Some(&octet) = octets.next() {
        match octet {
            0 => {
                *ends.get_mut(count).ok_or(NameError::TooLong)? = at as u16;
                count += 1;
                continue;
            }
            1 => match octets.next() {
                Some(&escaped @ (1 | 2)) => *plain.get_mut(at).ok_or(NameError::TooLong)? = escaped - 1,
                _ => return Err(NameError::Escape),
            },
            _ => *plain.get_mut(at).ok_or(NameError::TooLong)? = octet,
        }
        at += 1;
    }
    if key.last().is_some_and(|&last| last != 0) {
        return Err(NameError::Short);
    }
    let label = |i: usize| &plain[if i == 0 { 0 } else { ends[i - 1] as usize }..ends[i] as usize];
    out.set_labels((0..count).rev().map(label), apex)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Name;

    fn key(name: &str, apex: &str) -> Option<Vec<u8>> {
        let mut buf = KeyBuf::new();
        buf.set(Name::parse(name).unwrap().as_ref(), Name::parse(apex).unwrap().as_ref())
            .then(|| buf.as_slice().to_vec())
    }

    #[test]
    fn a_key_runs_from_the_apex_outwards() {
        assert_eq!(key("Example.", "example.").unwrap(), b"");
        assert_eq!(key("B.a.example.", "EXAMPLE.").unwrap(), b"a\0b\0");
        assert_eq!(key("\\000\\001\\002.", ".").unwrap(), b"\x01\x01\x01\x02\x02\0");
        assert_eq!(key("bexample.", "example."), None);
        assert_eq!(key("com.", "example.com."), None);
        assert_eq!(key("a.example.org.", "example.com."), None);
        // Octets equal to the apex's that do not begin at a label.
        assert_eq!(key("x\\003com.", "com."), None);
    }

    #[test]
    fn parents_and_common_ancestors_are_prefixes() {
        assert_eq!(key_parent(b"a\0b\0"), Some(&b"a\0"[..]));
        assert_eq!(key_parent(b"a\0"), Some(&b""[..]));
        assert_eq!(key_parent(b""), None);
        assert_eq!(key_common_labels(b"a\0bc\0", b"a\0bd\0"), 2);
        assert_eq!(key_common_labels(b"ab\0", b"ac\0"), 0);
        assert_eq!(key_labels(b"a\0b\0"), 2);
    }

    #[test]
    fn a_key_gives_back_its_name_in_lower_case() {
        let apex = Name::parse("example.").unwrap();
        let mut out = NameBuf::new();
        for text in ["example.", "a.b.example.", "\\000\\001.\\255z.example."] {
            name_of_key(&key(text, "example.").unwrap(), apex.as_ref(), &mut out).unwrap();
            assert_eq!(out.as_ref().to_string(), text);
        }
        assert!(name_of_key(b"a", apex.as_ref(), &mut out).is_err());
        assert!(name_of_key(b"\x01\x03\0", apex.as_ref(), &mut out).is_err());
        assert!(name_of_key(b"\0", apex.as_ref(), &mut out).is_err());
        assert!(name_of_key(&[b'a'; 600], apex.as_ref(), &mut out).is_err());
    }
}
