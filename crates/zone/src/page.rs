//! A page: a run of consecutive owners in one immutable allocation, which goes to disk as it stands.
//!
//! ```text
//! version       1 octet
//! width         1 octet: octets of an offset, 2 where offsets fit (see [`width`]), else 4
//! prefix length 2 octets
//! count         4 octets: owners, at least one
//! fingerprints  1 octet each: the low octet of the keyed hash of the owner's key
//! keys          2 or 4 octets each: where the owner's suffix begins * 2, + 1 when its body begins with a spelling
//! bodies        2 or 4 octets each: where its body begins
//! prefix        what the keys of all owners begin with
//! rest          suffixes, one behind the other: the keys without the prefix; behind them bodies in the same order
//!
//! body:  [spelling]: one bit for each octet of the name in wire form, set where the letter is a capital
//!        RRsets
//! ```
//!
//! Numbers are little-endian; offsets count from where the rest begins. One prefix for all keys of the page costs an octet or
//! two more a name than one for each, but a search needs no walk. What a search reads stands together at the front, some
//! hundred octets that come from memory side by side; then one body. Equal owners are equal octets.
//!
//! **Invariant** ([`View::is_sound`]): there is an owner, suffixes and bodies fill the page, keys ascend, the prefix is all that
//! the first and the last key, and hence all, begin with. Asserted of each page that is written; [`crate::check`] refuses others from a disk.

use crate::branch;
use std::cmp::Ordering;
use std::sync::Arc;

/// Version of the layout of pages. Raise it with every change of what stands in a page or of where pages end: whoever keeps pages
/// on a disk keeps this number beside them, and takes those of another number for none at all, not for damage.
pub const VERSION: u8 = 2;
/// Octets before the fingerprints.
pub(crate) const HEAD: usize = 8;

/// A page of so few octets is fetched from memory whole.
const SMALL: usize = 4096;
/// Octets at the front of others in which mostly all stands that a search reads.
const FRONT: usize = 512;
/// The same where keys are hashes, of some 31 octets each.
const HASHED_FRONT: usize = 1536;

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

    /// Has what a search reads fetched from memory, all lines side by side, while there is something else to do.
    #[inline]
    pub(crate) fn touch(&self) {
        self.touch_front(FRONT);
    }

    /// The same where keys are hashes.
    #[inline]
    pub(crate) fn touch_hashed(&self) {
        self.touch_front(HASHED_FRONT);
    }

    #[inline]
    fn touch_front(&self, front: usize) {
        let length = self.0.len();
        touch(&self.0[..if length <= SMALL { length } else { front }]);
    }

    pub(crate) fn view(&self) -> View<'_> {
        View::new(&self.0).unwrap_or(View {
            fingerprints: &[],
            keys: Places::Narrow(&[]),
            bodies: Places::Narrow(&[]),
            prefix: &[],
            rest: &[],
        })
    }
}

/// A page taken apart.
#[derive(Clone, Copy)]
pub(crate) struct View<'p> {
    pub(crate) fingerprints: &'p [u8],
    keys: Places<'p>,
    bodies: Places<'p>,
    pub(crate) prefix: &'p [u8],
    /// Suffixes and bodies.
    rest: &'p [u8],
}

/// Offsets, all of one width.
#[derive(Clone, Copy)]
enum Places<'p> {
    Narrow(&'p [[u8; 2]]),
    Wide(&'p [[u8; 4]]),
}

impl<'p> Places<'p> {
    /// `None` for another width than the two there are.
    #[inline]
    fn new(width: usize, octets: &'p [u8]) -> Option<Places<'p>> {
        match width {
            2 => Some(Places::Narrow(octets.as_chunks().0)),
            4 => Some(Places::Wide(octets.as_chunks().0)),
            _ => None,
        }
    }

    #[inline]
    fn at(self, index: usize) -> Option<usize> {
        match self {
            Places::Narrow(places) => places.get(index).map(|place| usize::from(u16::from_le_bytes(*place))),
            Places::Wide(places) => places.get(index).map(|place| u32::from_le_bytes(*place) as usize),
        }
    }
}

/// Octets of an offset in a page with so many octets of suffixes, and of suffixes and bodies.
pub(crate) fn width(suffixes: usize, rest: usize) -> usize {
    if suffixes <= usize::from(u16::MAX >> 1) && rest <= usize::from(u16::MAX) { 2 } else { 4 }
}

impl<'p> View<'p> {
    /// `None` when the head does not fit the octets. Entries are not looked at.
    #[inline]
    pub(crate) fn new(bytes: &'p [u8]) -> Option<View<'p>> {
        let (&[version, width, p0, p1, n0, n1, n2, n3], rest) = bytes.split_first_chunk::<HEAD>()?;
        let count = u32::from_le_bytes([n0, n1, n2, n3]) as usize;
        let width = usize::from(width);
        let (fingerprints, rest) = rest.split_at_checked(count)?;
        let (keys, rest) = rest.split_at_checked(count.checked_mul(width)?)?;
        let (bodies, rest) = rest.split_at_checked(keys.len())?;
        let (prefix, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([p0, p1])))?;
        let (keys, bodies) = (Places::new(width, keys)?, Places::new(width, bodies)?);
        (version == VERSION).then_some(View { fingerprints, keys, bodies, prefix, rest })
    }

    /// Octets of an offset.
    pub(crate) fn width(&self) -> usize {
        match self.keys {
            Places::Narrow(_) => 2,
            Places::Wide(_) => 4,
        }
    }

    /// Number of owners.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.fingerprints.len()
    }

    /// Where the suffix at `index` begins and ends.
    #[inline]
    fn suffix_bounds(&self, index: usize) -> Option<(usize, usize)> {
        let start = self.keys.at(index)? >> 1;
        let end = self.keys.at(index + 1).map(|key| key >> 1).or_else(|| self.bodies.at(0))?;
        Some((start, end))
    }

    /// Where the body at `index` begins and ends.
    #[inline]
    fn body_bounds(&self, index: usize) -> Option<(usize, usize)> {
        Some((self.bodies.at(index)?, self.bodies.at(index + 1).unwrap_or(self.rest.len())))
    }

    /// The owner at `index`.
    #[inline]
    pub(crate) fn entry(&self, index: usize) -> Option<Entry<'p>> {
        let spelled = self.keys.at(index)? & 1 == 1;
        let (suffix, body) = (self.suffix_bounds(index)?, self.body_bounds(index)?);
        let (suffix, body) = (self.rest.get(suffix.0..suffix.1)?, self.rest.get(body.0..body.1)?);
        Some(Entry { prefix: self.prefix, suffix, spelled, body })
    }

    /// The suffix of the key at `index`, for searches.
    #[inline]
    fn suffix(&self, index: usize) -> &'p [u8] {
        let bounds = self.suffix_bounds(index);
        bounds.and_then(|(start, end)| self.rest.get(start..end)).unwrap_or_default()
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
        let ties_below = |at| self.suffix_head(at) == wanted && self.suffix(at) < suffix;
        // Of up to eight places at a time: they are looked at side by side, not each after the one before, and nothing is guessed.
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let step = (high - low).div_ceil(8);
            let (mut place, mut below) = (low + step - 1, 0);
            while place < high {
                below += usize::from(self.suffix_head(place) < wanted);
                place += step;
            }
            low += below * step;
            while low + step <= high && ties_below(low + step - 1) {
                low += step;
            }
            high = high.min(low + step - 1);
        }
        low
    }

    /// The first eight octets of a suffix as a number that compares as they do, see [`branch::head`].
    #[inline(always)]
    fn suffix_head(&self, index: usize) -> u64 {
        let Some((start, end)) = self.suffix_bounds(index) else { return 0 };
        match self.rest.get(start..).and_then(<[u8]>::first_chunk::<8>) {
            Some(&eight) => {
                // What stands behind the suffix is another's.
                let kept = 8 * end.saturating_sub(start).min(8) as u32;
                u64::from_be_bytes(eight) & !u64::MAX.checked_shr(kept).unwrap_or(0)
            }
            // The end of the page is near.
            None => branch::head(self.suffix(index)),
        }
    }

    /// The invariant of pages, but for what only the zone's secret and its apex tell.
    pub(crate) fn is_sound(self) -> bool {
        let mut pairs = self.entries().zip(self.entries().skip(1));
        let common = |(first, last): (Entry<'_>, Entry<'_>)| common(first.suffix, last.suffix);
        self.entries().count() == self.len()
            && pairs.all(|(one, next)| one.cmp_entry(&next).is_lt())
            && self.is_filled()
            && self.first().zip(self.last()).is_some_and(|ends| self.len() == 1 || common(ends) == 0)
    }

    /// Whether suffixes begin where they must, and offsets have the width they must.
    pub(crate) fn is_filled(&self) -> bool {
        let suffixes = self.bodies.at(0).unwrap_or_default();
        self.keys.at(0).map(|key| key >> 1) == Some(0) && self.width() == width(suffixes, self.rest.len())
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
