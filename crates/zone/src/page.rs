//! A page: a run of consecutive owners in one immutable allocation, which goes to disk as it stands.
//!
//! ```text
//! version       1 octet
//! width         1 octet: octets of an offset, 2 in a page below 64 KiB, else 4
//! prefix length 2 octets
//! count         4 octets: owners, at least one
//! fingerprints  1 octet each: the low octet of the keyed hash of the owner's key
//! offsets       2 or 4 octets each: where the owner's entry begins, from the beginning of the page
//! prefix        what the keys of all owners begin with
//! entries       one behind the other up to the end
//!
//! entry:  number: suffix length * 2, + 1 when a spelling follows
//!         suffix: the key without the prefix
//!         [spelling]: one bit for each octet of the name in wire form, set where the letter is a capital
//!         RRsets
//! ```
//!
//! Numbers are little-endian. One prefix for all keys of the page costs an octet or two more a name than one for each,
//! but each entry then stands alone: a search needs no walk from the entry before. Equal owners are equal octets.
//!
//! **Invariant** ([`View::is_sound`]): there is an owner, entries fill the page, keys ascend, the prefix is all that the first and
//! the last key, and hence all, begin with. Asserted of each page that is written; [`crate::check`] refuses others from a disk.

use crate::branch;
use crate::varint;
use std::cmp::Ordering;
use std::sync::Arc;

/// Version of the layout.
pub(crate) const VERSION: u8 = 1;
/// Octets before the fingerprints.
pub(crate) const HEAD: usize = 8;

/// One page; cheap to clone.
#[derive(Clone)]
pub(crate) struct Page(Arc<[u8]>);

/// One owner in a page.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'p> {
    /// What the key begins with.
    pub(crate) prefix: &'p [u8],
    /// What it ends with.
    pub(crate) suffix: &'p [u8],
    /// Whether the body begins with a spelling.
    pub(crate) spelled: bool,
    /// Spelling and RRsets.
    pub(crate) body: &'p [u8],
}

impl Page {
    /// Takes octets that [`crate::page_writer`] wrote or [`crate::check`] has checked.
    pub(crate) fn from_checked(bytes: Arc<[u8]>) -> Page {
        Page(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn is_same(&self, other: &Page) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Octets that it takes in memory: those of the page, of the two counters before them, and of the allocator.
    pub(crate) fn memory(&self) -> usize {
        (self.0.len() + 16 + 8).next_multiple_of(16)
    }

    /// Has it fetched from memory, all lines side by side, while there is something else to do. Of a page larger than most, what
    /// a search reads first.
    #[inline]
    pub(crate) fn touch(&self) {
        touch(self.0.get(..4096).unwrap_or(&self.0));
    }

    pub(crate) fn view(&self) -> View<'_> {
        View::new(&self.0).unwrap_or(View {
            width: 2,
            fingerprints: &[],
            offsets: &[],
            prefix: &[],
            bytes: &[],
        })
    }
}

/// A page taken apart.
#[derive(Clone, Copy)]
pub(crate) struct View<'p> {
    pub(crate) width: usize,
    pub(crate) fingerprints: &'p [u8],
    pub(crate) offsets: &'p [u8],
    pub(crate) prefix: &'p [u8],
    bytes: &'p [u8],
}

impl<'p> View<'p> {
    /// `None` when the head does not fit the octets. Entries are not looked at.
    #[inline]
    pub(crate) fn new(bytes: &'p [u8]) -> Option<View<'p>> {
        let (&[version, width, p0, p1, n0, n1, n2, n3], rest) = bytes.split_first_chunk::<HEAD>()?;
        let count = u32::from_le_bytes([n0, n1, n2, n3]) as usize;
        let width = usize::from(width);
        if version != VERSION || !(width == 2 || width == 4) {
            return None;
        }
        let (fingerprints, rest) = rest.split_at_checked(count)?;
        let (offsets, rest) = rest.split_at_checked(count.checked_mul(width)?)?;
        let prefix = rest.get(..usize::from(u16::from_le_bytes([p0, p1])))?;
        Some(View { width, fingerprints, offsets, prefix, bytes })
    }

    /// Number of owners.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.fingerprints.len()
    }

    /// Where the entry at `index` begins; where the page ends for the index behind the last.
    #[inline]
    pub(crate) fn start(&self, index: usize) -> Option<usize> {
        if index == self.len() {
            return Some(self.bytes.len());
        }
        match self.width {
            2 => Some(usize::from(u16::from_le_bytes(*self.offsets.get(index * 2..)?.first_chunk()?))),
            _ => Some(u32::from_le_bytes(*self.offsets.get(index * 4..)?.first_chunk()?) as usize),
        }
    }

    /// The owner at `index`.
    #[inline]
    pub(crate) fn entry(&self, index: usize) -> Option<Entry<'p>> {
        let entry = self.bytes.get(self.start(index)?..self.start(index + 1)?)?;
        let (head, rest) = varint::take(entry)?;
        let (suffix, body) = rest.split_at_checked((head >> 1) as usize)?;
        Some(Entry { prefix: self.prefix, suffix, spelled: head & 1 == 1, body })
    }

    /// The suffix of the key at `index`, for searches.
    #[inline]
    fn suffix(&self, index: usize) -> &'p [u8] {
        let suffix = || {
            let (head, rest) = varint::take(self.bytes.get(self.start(index)?..)?)?;
            rest.get(..(head >> 1) as usize)
        };
        suffix().unwrap_or_default()
    }

    /// The owner of exactly this key.
    #[inline]
    pub(crate) fn find(&self, key: &[u8], fingerprint: u8) -> Option<Entry<'p>> {
        let suffix = key.strip_prefix(self.prefix)?;
        let mut from = 0;
        while let Some(at) = position(&self.fingerprints[from..], fingerprint) {
            let index = from + at;
            if self.suffix(index) == suffix {
                return self.entry(index);
            }
            from = index + 1;
        }
        None
    }

    /// How many owners stand before `key`.
    pub(crate) fn rank(&self, key: &[u8]) -> usize {
        let head = &key[..key.len().min(self.prefix.len())];
        match head.cmp(self.prefix) {
            Ordering::Less => return 0,
            Ordering::Greater => return self.len(),
            Ordering::Equal => {}
        }
        let suffix = &key[head.len()..];
        let wanted = branch::head(suffix);
        let (mut low, mut high) = (0, self.len());
        while low < high {
            // Seven owners at a time: their octets come from memory side by side, not each after the one before.
            let pivots: [usize; 7] = std::array::from_fn(|nth| low + (high - low) * (nth + 1) / 8);
            let mut heads = [0; 7];
            for (head, pivot) in heads.iter_mut().zip(pivots) {
                *head = self.suffix_head(pivot);
            }
            let is_less = |nth: usize| match heads[nth].cmp(&wanted) {
                Ordering::Equal => self.suffix(pivots[nth]) < suffix,
                order => order.is_lt(),
            };
            // They ascend.
            let mut below = 0;
            for nth in 0..pivots.len() {
                below += usize::from(is_less(nth));
            }
            if let Some(&pivot) = pivots.get(below) {
                high = pivot;
            }
            if let Some(last) = below.checked_sub(1) {
                low = pivots[last] + 1;
            }
        }
        low
    }

    /// The first eight octets of a suffix as a number that compares as they do, see [`branch::head`].
    #[inline]
    fn suffix_head(&self, index: usize) -> u64 {
        let entry = self.start(index).and_then(|start| self.bytes.get(start..));
        match entry.and_then(<[u8]>::first_chunk::<9>) {
            // A length of one octet, and no end of the page near.
            Some(&[head @ 0..0x80, a, b, c, d, e, f, g, h]) => {
                let beyond = 8_u32.saturating_sub(u32::from(head >> 1)) * 8;
                u64::from_be_bytes([a, b, c, d, e, f, g, h])
                    .checked_shr(beyond)
                    .map_or(0, |kept| kept << beyond)
            }
            _ => branch::head(self.suffix(index)),
        }
    }

    /// The invariant of pages, but for what only the zone's secret and its apex tell.
    pub(crate) fn is_sound(self) -> bool {
        let mut pairs = self.entries().zip(self.entries().skip(1));
        let common = |(first, last): (Entry<'_>, Entry<'_>)| common(first.suffix, last.suffix);
        let heads = HEAD + self.len() * (1 + self.width) + self.prefix.len();
        self.entries().count() == self.len()
            && pairs.all(|(one, next)| one.cmp_entry(&next).is_lt())
            && self.start(0) == Some(heads)
            && self.first().zip(self.last()).is_some_and(|ends| self.len() == 1 || common(ends) == 0)
    }

    pub(crate) fn entries(self) -> impl Iterator<Item = Entry<'p>> {
        (0..self.len()).map_while(move |index| self.entry(index))
    }

    pub(crate) fn first(&self) -> Option<Entry<'p>> {
        self.entry(0)
    }

    pub(crate) fn last(&self) -> Option<Entry<'p>> {
        self.entry(self.len().checked_sub(1)?)
    }
}

impl Entry<'_> {
    /// Has its body fetched from memory, see [`Page::touch`].
    #[inline]
    pub(crate) fn touch(self) -> Self {
        touch(self.body.get(..512).unwrap_or(self.body));
        self
    }

    /// Length of its key.
    pub(crate) fn key_len(&self) -> usize {
        self.prefix.len() + self.suffix.len()
    }

    /// What the page's borders count.
    pub(crate) fn weight(&self) -> usize {
        self.key_len() + self.body.len()
    }

    /// Its key against another.
    pub(crate) fn cmp_key(&self, other: &[u8]) -> Ordering {
        let (head, tail) = other.split_at(other.len().min(self.prefix.len()));
        self.prefix.cmp(head).then_with(|| self.suffix.cmp(tail))
    }

    /// Its key against that of another entry, of whatever page.
    pub(crate) fn cmp_entry(&self, other: &Entry<'_>) -> Ordering {
        if std::ptr::eq(self.prefix, other.prefix) {
            return self.suffix.cmp(other.suffix);
        }
        self.prefix.iter().chain(self.suffix).cmp(other.prefix.iter().chain(other.suffix))
    }

    /// How many octets its key has in common with another, from the front.
    pub(crate) fn common(&self, other: &[u8]) -> usize {
        let (head, tail) = other.split_at(other.len().min(self.prefix.len()));
        match common(self.prefix, head) {
            all if all == self.prefix.len() => all + common(self.suffix, tail),
            some => some,
        }
    }

    /// Writes its key.
    pub(crate) fn key_into(&self, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(self.prefix);
        out.extend_from_slice(self.suffix);
    }
}

/// Has octets fetched from memory, all lines side by side, while there is something else to do.
#[inline]
fn touch(octets: &[u8]) {
    const LINE: usize = 64;
    for line in octets.chunks(LINE) {
        branches::prefetch_read_data::<_, 0>(line.as_ptr());
    }
}

/// How many octets two keys have in common, from the front.
#[inline]
pub(crate) fn common(a: &[u8], b: &[u8]) -> usize {
    let mut at = 0;
    while let (Some(x), Some(y)) = (word(a, at), word(b, at)) {
        if x != y {
            return at + ((x ^ y).trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    // What is left of one is less than a word.
    at + a[at..].iter().zip(&b[at..]).take_while(|(x, y)| x == y).count()
}

/// The eight octets at a place, if there are so many.
#[inline]
fn word(octets: &[u8], at: usize) -> Option<u64> {
    octets.get(at..)?.first_chunk().map(|eight| u64::from_le_bytes(*eight))
}

/// The first place of an octet, eight places at a time.
#[inline]
fn position(octets: &[u8], wanted: u8) -> Option<usize> {
    const LOW: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let pattern = LOW.wrapping_mul(u64::from(wanted));
    let mut chunks = octets.chunks_exact(8);
    for (at, chunk) in chunks.by_ref().enumerate() {
        let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default()) ^ pattern;
        // The lowest zero octet of `word` is the lowest one whose top bit is set here.
        let zeros = word.wrapping_sub(LOW) & !word & HIGH;
        if zeros != 0 {
            return Some(at * 8 + (zeros.trailing_zeros() / 8) as usize);
        }
    }
    let whole = octets.len() - chunks.remainder().len();
    chunks.remainder().iter().position(|&octet| octet == wanted).map(|at| whole + at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::border::BorderSecret;
    use crate::page_writer::PageWriter;

    fn page(keys: &[&[u8]]) -> Page {
        let mut writer = PageWriter::new(&BorderSecret::new([1; 16]), None);
        let body = vec![b'x'; 20];
        keys.iter().for_each(|key| writer.push(key, false, &body));
        let mut pages = writer.finish();
        assert_eq!(pages.len(), 1);
        pages.remove(0)
    }

    #[test]
    fn all_keys_of_a_page_are_found_and_no_others() {
        let keys: [&[u8]; 5] = [b"ab\0", b"ab\0c\0", b"aba\0", b"ac\0", b"ad\0"];
        let page = page(&keys);
        let view = page.view();
        assert_eq!(view.prefix, b"a");
        let secret = BorderSecret::new([1; 16]);
        for (at, key) in keys.iter().enumerate() {
            let entry = view.find(key, secret.hash(key).fingerprint()).unwrap();
            assert_eq!([entry.prefix, entry.suffix].concat(), *key);
            assert_eq!(view.rank(key), at);
            assert_eq!(entry.cmp_key(key), Ordering::Equal);
        }
        for (key, rank) in
            [(&b""[..], 0), (b"a\0", 0), (b"ab\0d\0", 2), (b"b\0", 5), (b"ae\0", 5), (b"Z\0", 0)]
        {
            assert!((0..=255).all(|fingerprint| view.find(key, fingerprint).is_none()));
            assert_eq!(view.rank(key), rank, "{key:?}");
        }
    }

    #[test]
    fn the_place_of_an_octet_is_found_at_any_length() {
        for length in 0..40 {
            let octets: Vec<u8> = (0..length).collect();
            for wanted in 0..=length {
                assert_eq!(position(&octets, wanted), octets.iter().position(|&o| o == wanted));
            }
        }
        assert_eq!(position(&[0xFF, 0, 0x80, 1, 0, 0, 0, 0, 9], 0x80), Some(2));
    }

    #[test]
    fn a_view_of_foreign_octets_is_refused_or_harmless() {
        let good = page(&[b"a\0", b"b\0"]);
        for cut in 0..good.bytes().len() {
            if let Some(view) = View::new(&good.bytes()[..cut]) {
                assert!(view.entries().count() <= 2);
            }
        }
        assert!(View::new(&[VERSION, 2, 0, 0, 255, 255, 255, 255]).is_none());
        assert!(View::new(&[VERSION, 3, 0, 0, 0, 0, 0, 0]).is_none());
    }
}
