//! Domain names in wire form (RFC 1035 §3.1): uncompressed labels, spelling kept, compared without regard to case
//! (RFC 4343 §3).

mod read;
mod text;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

pub use read::{read_name, skip_name};

/// Longest name in octets, the root's zero octet included (RFC 1035 §2.3.4).
pub const MAX_NAME: usize = 255;
/// Longest label in octets (RFC 1035 §2.3.4).
pub const MAX_LABEL: usize = 63;

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The octets end inside the name.
    #[error("name is cut short")]
    Short,
    /// A label type other than 00 or 11 (RFC 6891 §5), or an empty label in text.
    #[error("bad label")]
    Label,
    /// A label of more than 63 octets in text.
    #[error("label is longer than 63 octets")]
    LabelTooLong,
    /// More than 255 octets.
    #[error("name is longer than 255 octets")]
    TooLong,
    /// A compression pointer that does not point backwards.
    #[error("compression pointer does not point backwards")]
    Pointer,
    /// `\DDD` above 255, or a lone backslash at the end.
    #[error("bad escape")]
    Escape,
}

/// An owned name, cheap to clone: the name of a zone is held in many places, and once in memory. Invariant: a valid
/// uncompressed wire name.
#[derive(Clone)]
pub struct Name(Arc<[u8]>);

/// A borrowed name. Invariant: a valid uncompressed wire name.
#[derive(Clone, Copy)]
pub struct NameRef<'a>(&'a [u8]);

/// A name on the stack, to be filled again and again without allocation.
#[derive(Clone)]
pub struct NameBuf {
    octets: [u8; MAX_NAME],
    /// `1 <= length <= 255` for a filled buffer.
    length: u8,
}

impl Name {
    /// The root.
    pub fn root() -> Name {
        Name(Arc::new([0]))
    }

    /// Takes exactly one uncompressed wire name.
    pub fn from_wire(wire: &[u8]) -> Result<Name, NameError> {
        match NameRef::split_from(wire) {
            Some((name, [])) => Ok(name.to_owned()),
            Some(_) => Err(NameError::Label),
            None => Err(NameError::Short),
        }
    }

    /// Reads presentation format (RFC 1035 §5.1, escapes `\X` and `\DDD`); always absolute, the last dot is optional.
    pub fn parse(text: &str) -> Result<Name, NameError> {
        NameBuf::parse(text).map(|buf| buf.as_ref().to_owned())
    }

    /// Borrows.
    #[allow(clippy::should_implement_trait)]
    pub fn as_ref(&self) -> NameRef<'_> {
        NameRef(&self.0)
    }

    /// The octets, ending with the root's zero.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// The same name in lower case.
    pub fn to_lower(&self) -> Name {
        Name(self.0.to_ascii_lowercase().into())
    }

    /// Number of labels, the root not counted.
    pub fn label_count(&self) -> usize {
        self.as_ref().label_count()
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// Whether `self` equals `other` or lies below it.
    pub fn is_at_or_below(&self, other: &Name) -> bool {
        self.as_ref().is_at_or_below(other.as_ref())
    }

    /// The name without its first label; `None` for the root.
    pub fn parent(&self) -> Option<Name> {
        self.as_ref().parent().map(NameRef::to_owned)
    }
}

impl<'a> NameRef<'a> {
    /// Splits a valid uncompressed wire name off the front.
    pub fn split_from(wire: &'a [u8]) -> Option<(NameRef<'a>, &'a [u8])> {
        let mut at = 0;
        loop {
            let length = *wire.get(at)? as usize;
            at += 1 + length;
            if length > MAX_LABEL || at > MAX_NAME {
                return None;
            }
            if length == 0 {
                return Some((NameRef(&wire[..at]), &wire[at..]));
            }
        }
    }

    /// The octets, ending with the root's zero.
    pub fn as_wire(self) -> &'a [u8] {
        self.0
    }

    /// Copies into an owned name.
    pub fn to_owned(self) -> Name {
        Name(self.0.into())
    }

    /// The labels from the first to the last, the root left out.
    pub fn labels(self) -> Labels<'a> {
        Labels(self.0)
    }

    /// Number of labels, the root not counted.
    pub fn label_count(self) -> usize {
        self.labels().count()
    }

    /// Whether this is the root.
    pub fn is_root(self) -> bool {
        self.0.len() == 1
    }

    /// The name without its first label; `None` for the root.
    pub fn parent(self) -> Option<NameRef<'a>> {
        match self.0[0] as usize {
            0 => None,
            n => Some(NameRef(&self.0[1 + n..])),
        }
    }

    /// The name without its first `count` labels, or the root when it has fewer.
    pub fn ancestor(self, count: usize) -> NameRef<'a> {
        let mut name = self;
        for _ in 0..count {
            match name.parent() {
                Some(parent) => name = parent,
                None => break,
            }
        }
        name
    }

    /// Whether `self` equals `other` or lies below it.
    pub fn is_at_or_below(self, other: NameRef<'_>) -> bool {
        let (mine, theirs) = (self.label_count(), other.label_count());
        mine >= theirs && self.ancestor(mine - theirs) == other
    }

    /// Octets of the labels of this name that stand before `other` in it, when `other`, in the same spelling, is this name or
    /// an ancestor of it.
    pub fn octets_before(self, other: NameRef<'_>) -> Option<usize> {
        let octets = self.0.len().checked_sub(other.0.len())?;
        let mut at = 0;
        while at < octets {
            at += 1 + usize::from(self.0[at]);
        }
        (at == octets && self.0[octets..] == *other.0).then_some(octets)
    }

    /// Whether the first label is `*` (RFC 4592 §2.1.1).
    pub fn is_wildcard(self) -> bool {
        self.0.starts_with(&[1, b'*'])
    }
}

/// The labels of a name, first to last.
#[derive(Clone)]
pub struct Labels<'a>(&'a [u8]);

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let n = self.0[0] as usize;
        if n == 0 {
            return None;
        }
        let label = &self.0[1..1 + n];
        self.0 = &self.0[1 + n..];
        Some(label)
    }
}

impl NameBuf {
    /// Holds the root.
    pub fn new() -> NameBuf {
        NameBuf { octets: [0; MAX_NAME], length: 1 }
    }

    /// Borrows the name it holds.
    #[allow(clippy::should_implement_trait)]
    pub fn as_ref(&self) -> NameRef<'_> {
        NameRef(&self.octets[..self.length as usize])
    }

    /// Copies `name` in.
    pub fn set(&mut self, name: NameRef<'_>) {
        self.octets[..name.0.len()].copy_from_slice(name.0);
        self.length = name.0.len() as u8;
    }

    /// Makes it the lower-case spelling.
    pub fn make_lower(&mut self) {
        self.octets[..self.length as usize].make_ascii_lowercase();
    }

    /// Makes it `labels` followed by `suffix`: each label of 1 to 63 octets.
    pub fn set_labels<'l>(
        &mut self,
        labels: impl Iterator<Item = &'l [u8]>,
        suffix: NameRef<'_>,
    ) -> Result<(), NameError> {
        let mut at = 0;
        for label in labels {
            if label.is_empty() || label.len() > MAX_LABEL {
                return Err(NameError::Label);
            }
            if at + 1 + label.len() + suffix.0.len() > MAX_NAME {
                return Err(NameError::TooLong);
            }
            self.octets[at] = label.len() as u8;
            self.octets[at + 1..at + 1 + label.len()].copy_from_slice(label);
            at += 1 + label.len();
        }
        self.octets[at..at + suffix.0.len()].copy_from_slice(suffix.0);
        self.length = (at + suffix.0.len()) as u8;
        Ok(())
    }
}

impl Default for NameBuf {
    fn default() -> NameBuf {
        NameBuf::new()
    }
}

impl PartialEq for NameRef<'_> {
    fn eq(&self, other: &NameRef<'_>) -> bool {
        // RFC 4343 §3: case is not significant; length octets stand below 'A', so folding them is harmless.
        crate::fold::equal(self.0, other.0)
    }
}

impl Eq for NameRef<'_> {}

impl Hash for NameRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for octet in self.0 {
            state.write_u8(octet.to_ascii_lowercase());
        }
    }
}

impl Ord for NameRef<'_> {
    /// Canonical order (RFC 4034 §6.1): by label from the root outwards.
    fn cmp(&self, other: &NameRef<'_>) -> Ordering {
        let (mine, theirs) = (self.label_count(), other.label_count());
        for back in 1..=mine.min(theirs) {
            let (a, b) = (self.labels().nth(mine - back), other.labels().nth(theirs - back));
            let (a, b) = (a.unwrap_or_default(), b.unwrap_or_default());
            let lower = |l: &[u8]| l.to_ascii_lowercase();
            match lower(a).cmp(&lower(b)) {
                Ordering::Equal => {}
                decided => return decided,
            }
        }
        mine.cmp(&theirs)
    }
}

impl PartialOrd for NameRef<'_> {
    fn partial_cmp(&self, other: &NameRef<'_>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ref().hash(state);
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Name) -> Ordering {
        self.as_ref().cmp(&other.as_ref())
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Debug for NameBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Name, NameError> {
        Name::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_compare_without_case_and_in_canonical_order() {
        // RFC 4034 §6.1: the example of the section.
        let sorted = [
            "example.",
            "a.example.",
            "yljkjljk.a.example.",
            "Z.a.example.",
            "zABC.a.EXAMPLE.",
            "z.example.",
            "\\001.z.example.",
            "*.z.example.",
            "\\200.z.example.",
        ];
        let names: Vec<Name> = sorted.iter().map(|t| Name::parse(t).unwrap()).collect();
        assert!(names.windows(2).all(|w| w[0] < w[1]));
        assert_eq!(Name::parse("EXAMPLE.").unwrap(), names[0]);
        assert!(names[4].is_at_or_below(&names[1]) && !names[5].is_at_or_below(&names[1]));
        let before = |name: &str, other: &str| {
            let [name, other] = [name, other].map(|text| Name::parse(text).unwrap());
            name.as_ref().octets_before(other.as_ref())
        };
        assert_eq!(before("x.y.example.", "y.example."), Some(2));
        assert_eq!(before("y.example.", "y.example."), Some(0));
        assert_eq!(before("x.y.example.", "Y.example."), None);
        assert_eq!(before("x\\001y.example.", "y.example."), None);
        assert_eq!(before("example.", "x.example."), None);
    }
}
