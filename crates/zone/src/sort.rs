//! Owners that came out of order: kept compactly until they are a run, or until the stream ends, then put in order.

use crate::node::Node;
use crate::page::Entry;
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
    /// While sorting: sixteen octets of the key, so that comparisons stay in the index.
    head: (u64, u64),
    /// Its chunk; the highest bit says whether it belongs to the tree of hashed owners.
    chunk: u32,
    /// Where it begins there.
    at: u32,
    /// Whether its key is that of the place before, once sorted.
    again: bool,
}

/// The highest bit of [`Place::chunk`].
const HASHED: u32 = 1 << 31;

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

    /// Octets of the owners and of the index to them.
    pub(crate) fn octets(&self) -> usize {
        let index = self.index.len() * std::mem::size_of::<Place>();
        index + self.chunks.iter().map(Vec::len).sum::<usize>()
    }

    /// Forgets all owners; memory for the next ones is kept.
    pub(crate) fn clear(&mut self) {
        self.index.clear();
        self.chunks.truncate(1);
        match self.chunks.first_mut() {
            Some(first) if first.capacity() <= 2 * CHUNK => first.clear(),
            _ => self.chunks.clear(),
        }
    }

    pub(crate) fn push(&mut self, owner: Kept<'_>) {
        let needed = owner.key.len() + owner.body.len() + 7;
        if self.chunks.last().is_none_or(|chunk| chunk.len() + needed > chunk.capacity()) {
            self.chunks.push(Vec::with_capacity(needed.max(CHUNK)));
        }
        let last = self.chunks.len() - 1;
        let chunk = &mut self.chunks[last];
        let tree = if owner.hashed { HASHED } else { 0 };
        let (chunk_number, at) = (last as u32 | tree, chunk.len() as u32);
        self.index.push(Place { head: (0, 0), chunk: chunk_number, at, again: false });
        chunk.extend_from_slice(&(owner.key.len() as u16).to_le_bytes());
        chunk.push(u8::from(owner.spelled));
        chunk.extend_from_slice(&(owner.body.len() as u32).to_le_bytes());
        chunk.extend_from_slice(owner.key);
        chunk.extend_from_slice(owner.body);
    }

    /// Puts the owners in order of their keys, those that came several times one behind the other, as they came.
    pub(crate) fn sort(&mut self) {
        let mut index = std::mem::take(&mut self.index);
        self.sort_from(&mut index, 0);
        self.index = index;
    }

    /// Sorts places whose keys are equal before `depth`.
    fn sort_from(&self, places: &mut [Place], depth: usize) {
        for place in places.iter_mut() {
            place.head = head(self.at(*place).key.get(depth..).unwrap_or_default());
        }
        // Where two keys are equal the order in which they came decides, so that sorting gives the same each time.
        places.sort_unstable_by_key(|place| (place.head, place.chunk & !HASHED, place.at));
        for equal in places.chunk_by_mut(|a, b| a.head == b.head) {
            if equal.len() == 1 {
                continue;
            }
            // No key is another one with zeros behind it, so those that all end here are equal.
            if equal.iter().any(|place| self.at(*place).key.len() > depth + HEAD) {
                self.sort_from(equal, depth + HEAD);
            } else {
                equal.iter_mut().skip(1).for_each(|place| place.again = true);
            }
        }
    }

    /// Shows all owners of one key to `fold`, which may make one of them; owners that came once only if `once`. Call it
    /// sorted.
    pub(crate) fn fold<E>(
        &mut self,
        once: bool,
        mut fold: impl FnMut(&[Kept<'_>]) -> Result<Option<Folded>, E>,
    ) -> Result<(), E> {
        let index = std::mem::take(&mut self.index);
        let mut folded = Vec::with_capacity(index.len());
        for same in index.chunk_by(|_, next| next.again) {
            let one = match same {
                [_] if !once => None,
                [only] => fold(&[self.at(*only)])?,
                _ => fold(&same.iter().map(|place| self.at(*place)).collect::<Vec<_>>())?,
            };
            match one {
                Some(Folded { key, spelled, hashed, body }) => {
                    self.push(Kept { key: &key, spelled, hashed, body: &body });
                    folded.append(&mut self.index);
                }
                None => folded.extend_from_slice(same),
            }
        }
        self.index = folded;
        Ok(())
    }

    /// All owners in the order of the index.
    pub(crate) fn all(&self) -> impl Iterator<Item = Kept<'_>> {
        self.index.iter().map(|place| self.at(*place))
    }

    /// The owners of one tree in the order of the index.
    pub(crate) fn of_tree(&self, hashed: bool) -> impl Iterator<Item = Kept<'_>> {
        let chosen = move |place: &&Place| (place.chunk & HASHED != 0) == hashed;
        self.index.iter().filter(chosen).map(|place| self.at(*place))
    }

    fn at(&self, place: Place) -> Kept<'_> {
        // Written by `push` alone.
        let bytes = &self.chunks[(place.chunk & !HASHED) as usize][place.at as usize..];
        let key = usize::from(u16::from_le_bytes([bytes[0], bytes[1]]));
        let body = u32::from_le_bytes([bytes[3], bytes[4], bytes[5], bytes[6]]) as usize;
        let (spelled, hashed) = (bytes[2] == 1, place.chunk & HASHED != 0);
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

/// Octets of a head.
const HEAD: usize = 16;

/// The first octets of a key as numbers that compare as they do.
fn head(key: &[u8]) -> (u64, u64) {
    let mut octets = [0; HEAD];
    let length = key.len().min(HEAD);
    octets[..length].copy_from_slice(&key[..length]);
    let both = u128::from_be_bytes(octets);
    ((both >> 64) as u64, both as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_come_out_in_order_and_those_that_came_twice_as_one() {
        let mut sorter = Sorter::default();
        let keys: [&[u8]; 6] =
            [b"longer-than-sixteen2\0", b"b\0", b"longer-than-sixteen1\0", b"", b"b\0", b"a\0"];
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
        sorter.fold(true, fold).unwrap();
        let mut all: Vec<_> =
            sorter.of_tree(false).map(|kept| (kept.key.to_vec(), kept.spelled, kept.body.to_vec())).collect();
        let hashed: Vec<_> = sorter.of_tree(true).collect();
        assert_eq!((hashed.len(), hashed[0].key, hashed[0].body), (1, keys[2], &[2][..]));
        all.insert(3, (hashed[0].key.to_vec(), hashed[0].spelled, hashed[0].body.to_vec()));
        let expected: [(&[u8], bool, &[u8]); 5] = [
            (b"", false, &[3]),
            (b"a\0", false, &[5]),
            (b"b\0", true, &[1, 4]),
            (b"longer-than-sixteen1\0", false, &[2]),
            (b"longer-than-sixteen2\0", false, &[0]),
        ];
        let expected: Vec<_> = expected.iter().map(|(k, s, b)| (k.to_vec(), *s, b.to_vec())).collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn keys_that_share_whole_heads_are_told_apart() {
        let long = [b'a'; 40];
        let keys: Vec<Vec<u8>> =
            (1..40).flat_map(|n| [[&long[..n], b"\0"].concat(), [&long[..n], b"\0b\0"].concat()]).collect();
        let forwards: Vec<_> = keys.iter().chain(&keys[10..12]).collect();
        let backwards = forwards.iter().rev().copied().collect();
        let mut expected = [&keys[..], &keys[10..12]].concat();
        expected.sort();
        for order in [forwards, backwards] {
            let mut sorter = Sorter::default();
            for key in order {
                sorter.push(Kept { key, spelled: false, hashed: false, body: b"x" });
            }
            sorter.sort();
            assert!(sorter.of_tree(false).map(|kept| kept.key).eq(expected.iter().map(|key| &key[..])));
            assert_eq!(sorter.index.iter().filter(|place| place.again).count(), 2);
        }
    }

    #[test]
    fn an_owner_larger_than_a_chunk_is_kept() {
        let mut sorter = Sorter::default();
        let body = vec![1; CHUNK * 2];
        sorter.push(Kept { key: b"a\0", spelled: false, hashed: false, body: &body });
        sorter.push(Kept { key: b"b\0", spelled: false, hashed: false, body: b"x" });
        assert_eq!(sorter.of_tree(false).map(|kept| kept.body.len()).collect::<Vec<_>>(), [CHUNK * 2, 1]);
    }
}
