//! Owners that came out of order: kept compactly until the stream ends, then put in order.
//!
//! What comes out is a sorted run. A zone too large to be kept like this would hand runs to a sink of its caller and
//! merge them at the end; [`Sorter::sort`] is where a run ends.

use crate::node::Node;
use crate::page::{Entry, common};
use secondo_wire::NameRef;

/// Octets of one piece of memory, so that growing never copies.
const CHUNK: usize = 1 << 20;

/// Owners with their bodies, in the order in which they came until [`Sorter::sort`] is called.
#[derive(Default)]
pub(crate) struct Sorter {
    chunks: Vec<Vec<u8>>,
    index: Vec<Place>,
}

#[derive(Clone, Copy)]
struct Place {
    /// Eight octets of the key, so that most comparisons stay in the index; known when it is sorted.
    head: u64,
    chunk: u32,
    at: u32,
}

/// An owner that was kept.
#[derive(Clone, Copy)]
pub(crate) struct Kept<'s> {
    pub(crate) key: &'s [u8],
    /// Whether the name was spelled otherwise than in lower case and with the apex's spelling.
    pub(crate) spelled: bool,
    /// Whether it belongs to the tree of hashed owners.
    pub(crate) hashed: bool,
    /// Spelling and RRsets.
    pub(crate) body: &'s [u8],
}

impl Sorter {
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(crate) fn push(&mut self, owner: Kept<'_>) {
        let needed = owner.key.len() + owner.body.len() + 7;
        if self.chunks.last().is_none_or(|chunk| chunk.len() + needed > chunk.capacity()) {
            self.chunks.push(Vec::with_capacity(needed.max(CHUNK)));
        }
        let last = self.chunks.len() - 1;
        let chunk = &mut self.chunks[last];
        self.index.push(Place { head: 0, chunk: last as u32, at: chunk.len() as u32 });
        chunk.extend_from_slice(&(owner.key.len() as u16).to_le_bytes());
        chunk.push(u8::from(owner.spelled) | u8::from(owner.hashed) << 1);
        chunk.extend_from_slice(&(owner.body.len() as u32).to_le_bytes());
        chunk.extend_from_slice(owner.key);
        chunk.extend_from_slice(owner.body);
    }

    /// Puts the owners in order of their keys; those that came several times one behind the other.
    pub(crate) fn sort(&mut self) {
        let mut index = std::mem::take(&mut self.index);
        // What all keys begin with tells nothing: the eight octets behind it do.
        let first = index.first().map_or(&[][..], |place| self.at(*place).key);
        let skipped =
            index.iter().fold(first.len(), |all, place| all.min(common(first, self.at(*place).key)));
        for place in &mut index {
            place.head = head(self.at(*place).key.get(skipped..).unwrap_or_default());
        }
        index.sort_unstable_by(|a, b| {
            let by_key = || self.at(*a).key.cmp(self.at(*b).key);
            a.head.cmp(&b.head).then_with(by_key).then((a.chunk, a.at).cmp(&(b.chunk, b.at)))
        });
        self.index = index;
    }

    /// Shows all owners of one key to `fold`, which may make one of them. Call it sorted.
    pub(crate) fn fold<E>(
        &mut self,
        mut fold: impl FnMut(&[Kept<'_>]) -> Result<Option<Folded>, E>,
    ) -> Result<(), E> {
        let index = std::mem::take(&mut self.index);
        let mut folded = Vec::with_capacity(index.len());
        let mut left = &index[..];
        while let Some(first) = left.first() {
            let equal =
                |place: &Place| place.head == first.head && self.at(*place).key == self.at(*first).key;
            let length = left.iter().position(|place| !equal(place)).unwrap_or(left.len());
            let (same, behind) = left.split_at(length);
            left = behind;
            let one = match same {
                [only] => fold(&[self.at(*only)])?,
                _ => fold(&same.iter().map(|place| self.at(*place)).collect::<Vec<_>>())?,
            };
            match one {
                Some(one) => {
                    self.push(Kept {
                        key: &one.key,
                        spelled: one.spelled,
                        hashed: one.hashed,
                        body: &one.body,
                    });
                    folded.append(&mut self.index);
                }
                None => folded.extend_from_slice(same),
            }
        }
        self.index = folded;
        Ok(())
    }

    /// The owners in the order of the index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Kept<'_>> {
        self.index.iter().map(|place| self.at(*place))
    }

    fn at(&self, place: Place) -> Kept<'_> {
        // Written by `push` alone.
        let bytes = &self.chunks[place.chunk as usize][place.at as usize..];
        let key = usize::from(u16::from_le_bytes([bytes[0], bytes[1]]));
        let body = u32::from_le_bytes([bytes[3], bytes[4], bytes[5], bytes[6]]) as usize;
        let (spelled, hashed) = (bytes[2] & 1 == 1, bytes[2] & 2 == 2);
        Kept { key: &bytes[7..7 + key], spelled, hashed, body: &bytes[7 + key..7 + key + body] }
    }
}

/// An owner put together from several.
pub(crate) struct Folded {
    pub(crate) key: Vec<u8>,
    pub(crate) spelled: bool,
    pub(crate) hashed: bool,
    pub(crate) body: Vec<u8>,
}

impl<'s> Kept<'s> {
    /// The owner as one of the zone at `apex`.
    pub(crate) fn node(&self, apex: NameRef<'s>) -> Node<'s> {
        Node::new(Entry { prefix: self.key, suffix: &[], spelled: self.spelled, body: self.body }, apex)
    }
}

fn head(key: &[u8]) -> u64 {
    let mut eight = [0; 8];
    let length = key.len().min(8);
    eight[..length].copy_from_slice(&key[..length]);
    u64::from_be_bytes(eight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_come_out_in_order_and_those_that_came_twice_as_one() {
        let mut sorter = Sorter::default();
        let keys: [&[u8]; 6] =
            [b"longer-than-eight2\0", b"b\0", b"longer-than-eight1\0", b"", b"b\0", b"a\0"];
        for (at, key) in keys.iter().enumerate() {
            sorter.push(Kept { key, spelled: at == 1, hashed: at == 2, body: &[at as u8] });
        }
        sorter.sort();
        let fold = |same: &[Kept<'_>]| {
            assert!(same.len() == 1 || same.iter().all(|kept| kept.key == b"b\0"));
            let body = same.iter().flat_map(|kept| kept.body).copied().collect();
            let one = Folded { key: same[0].key.to_vec(), spelled: same[0].spelled, hashed: false, body };
            Ok::<_, ()>((same.len() > 1).then_some(one))
        };
        sorter.fold(fold).unwrap();
        let all: Vec<_> =
            sorter.iter().map(|kept| (kept.key.to_vec(), kept.spelled, kept.body.to_vec())).collect();
        let expected: [(&[u8], bool, &[u8]); 5] = [
            (b"", false, &[3]),
            (b"a\0", false, &[5]),
            (b"b\0", true, &[1, 4]),
            (b"longer-than-eight1\0", false, &[2]),
            (b"longer-than-eight2\0", false, &[0]),
        ];
        let expected: Vec<_> = expected.iter().map(|(k, s, b)| (k.to_vec(), *s, b.to_vec())).collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn an_owner_larger_than_a_chunk_is_kept() {
        let mut sorter = Sorter::default();
        let body = vec![1; CHUNK * 2];
        sorter.push(Kept { key: b"a\0", spelled: false, hashed: false, body: &body });
        sorter.push(Kept { key: b"b\0", spelled: false, hashed: false, body: b"x" });
        assert_eq!(sorter.iter().map(|kept| kept.body.len()).collect::<Vec<_>>(), [CHUNK * 2, 1]);
    }
}
