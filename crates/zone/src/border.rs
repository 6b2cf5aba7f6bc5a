//! Where pages end: a keyed hash of the owner's key decides, so equal content gives equal pages whatever the history.
//!
//! A *natural* border stands behind each key whose hash says so, one in 32. Two bounds keep sizes sane, both counted
//! in octets from the last natural border, kept or not:
//!
//! * a natural border less than [`LEAST`] behind the last one is skipped;
//! * a page that has grown by [`MOST`] since the last natural border (or since the last such cut) is cut.
//!
//! An owner of [`MOST`] or more has a page of its own. So a border depends on what stands between it and the natural
//! border before it, and on nothing else: a change moves borders up to the next natural border and no farther, and
//! the order in which changes came leaves no trace. Counting from the last border *kept* would let one skipped border
//! move all those that follow.
//!
//! The hash is keyed with a secret: with a public one, who may register names could choose them so that no border ever comes,
//! or so that each name is one, too near to the last and skipped. For somebody who knows the secret all the same there is a
//! third bound: in a page of [`LARGEST`] octets no natural border is skipped. It takes a hundred borders in a row that are too
//! near to come there, which chance does not do: the bound leaves all borders of other zones where they are.
//!
//! **Invariant**: whatever the names, a page holds one owner, or less than [`LARGEST`] + [`MOST`] octets of keys and bodies.
//! Asserted by the writer; checked of pages from a disk, since their borders are.

use siphasher::sip::SipHasher13;

/// A natural border nearer than this to the last one is skipped, octets of keys and bodies.
pub(crate) const LEAST: usize = 512;
/// A page is cut when this many octets have come since the last natural border.
pub(crate) const MOST: usize = 8192;
/// In a page of so many octets no natural border is skipped.
pub(crate) const LARGEST: usize = 4 * MOST;
/// One key in 2^5 is a natural border.
const BITS: u32 = 5;

/// The secret that decides where pages end. One for all zones of a state directory, kept there.
#[derive(Clone, PartialEq, Eq)]
pub struct BorderSecret([u8; 16]);

impl BorderSecret {
    /// Takes 16 octets that nobody else knows.
    pub fn new(octets: [u8; 16]) -> BorderSecret {
        BorderSecret(octets)
    }

    /// The octets, to be kept on disk.
    pub fn octets(&self) -> &[u8; 16] {
        &self.0
    }

    /// The hash of an owner's key.
    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> KeyHash {
        KeyHash(SipHasher13::new_with_key(&self.0).hash(key))
    }
}

impl std::fmt::Debug for BorderSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BorderSecret(…)")
    }
}

/// The keyed hash of an owner's key: its low octet is the fingerprint, its high bits decide the border.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyHash(u64);

impl KeyHash {
    /// One octet, kept at the head of the page.
    pub(crate) fn fingerprint(self) -> u8 {
        self.0 as u8
    }

    /// Whether a natural border stands behind the key.
    pub(crate) fn is_border(self) -> bool {
        self.0 >> (64 - BITS) == 0
    }
}

/// Says where to cut while owners go by in canonical order.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cutter {
    /// Octets since the last natural border.
    segment: usize,
    /// Octets since the last natural border or cut.
    piece: usize,
    /// Octets of the page; 0: it holds no owner.
    page: usize,
}

impl Cutter {
    /// Whether the page ends before an owner of `weight` octets.
    #[inline]
    pub(crate) fn before(&mut self, weight: usize) -> bool {
        let cut = self.page > 0 && (weight >= MOST || self.piece > 0 && self.piece + weight > MOST);
        if cut {
            self.piece = 0;
            self.page = 0;
        }
        cut
    }

    /// Whether the page ends behind an owner of `weight` octets, which it now holds.
    #[inline]
    pub(crate) fn behind(&mut self, hash: KeyHash, weight: usize) -> bool {
        if weight >= MOST {
            *self = Cutter::default();
            return true;
        }
        self.page += weight;
        self.segment += weight;
        self.piece += weight;
        if !hash.is_border() {
            return false;
        }
        let cut = self.segment >= LEAST || self.page >= LARGEST;
        *self = Cutter { page: if cut { 0 } else { self.page }, ..Cutter::default() };
        cut
    }

    /// Whether the page at hand is as large as pages get. One below LARGEST that skipped its last border has grown by less than
    /// MOST since, or it would have been cut; only octets from a disk may be otherwise.
    pub(crate) fn is_bounded(&self) -> bool {
        self.page < LARGEST + MOST
    }

    /// Whether it stands where it stood at the beginning: right behind a natural border that was kept, or behind an
    /// owner with a page of its own.
    pub(crate) fn is_fresh(&self) -> bool {
        self.page == 0 && self.segment == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BORDER: KeyHash = KeyHash(0);
    const INSIDE: KeyHash = KeyHash(u64::MAX);

    #[test]
    fn a_border_too_near_to_the_last_is_skipped_and_still_counted_from() {
        let mut cutter = Cutter::default();
        assert!(!cutter.behind(BORDER, LEAST - 1));
        assert!(!cutter.is_fresh());
        assert!(!cutter.behind(BORDER, LEAST - 1), "counted from the border that was skipped");
        assert!(cutter.behind(BORDER, LEAST));
        assert!(cutter.is_fresh());
    }

    #[test]
    fn a_page_without_a_border_is_cut_at_the_cap() {
        let mut cutter = Cutter::default();
        for _ in 0..8 {
            assert!(!cutter.before(MOST / 8));
            assert!(!cutter.behind(INSIDE, MOST / 8));
        }
        assert!(cutter.before(1));
        assert!(!cutter.is_fresh(), "a cut is no natural border");
        assert!(!cutter.behind(INSIDE, 1));
    }

    #[test]
    fn a_giant_has_a_page_of_its_own() {
        let mut cutter = Cutter::default();
        assert!(!cutter.before(MOST));
        assert!(cutter.behind(INSIDE, MOST));
        assert!(!cutter.behind(BORDER, 1));
        assert!(cutter.before(MOST));
        assert!(cutter.behind(INSIDE, MOST) && cutter.is_fresh());
    }

    #[test]
    fn no_border_is_skipped_in_the_largest_page() {
        let mut cutter = Cutter::default();
        let borders = (LARGEST / 400) as u32;
        assert_eq!((0..borders).filter(|_| cutter.behind(BORDER, 400)).count(), 0);
        assert!(cutter.behind(BORDER, 400), "the page has grown beyond it");
        assert!(cutter.is_fresh());
        assert!(!cutter.behind(BORDER, 400), "and the next page begins anew");
        // The largest of all: one below the bound, then as much as fits before a cut.
        let mut cutter = Cutter::default();
        (0..LARGEST / 256 - 1).for_each(|_| assert!(!cutter.behind(BORDER, 256)));
        assert!(!cutter.behind(BORDER, 255));
        assert!(!cutter.before(MOST - 1) && !cutter.behind(INSIDE, MOST - 1));
        assert!(!cutter.before(1) && !cutter.behind(INSIDE, 1));
        assert!(cutter.before(1));
    }

    #[test]
    fn one_key_in_32_is_a_border() {
        let secret = BorderSecret::new([7; 16]);
        let hits = (0..32_000u32).filter(|n| secret.hash(&n.to_be_bytes()).is_border()).count();
        assert!((850..1150).contains(&hits), "{hits}");
    }
}
