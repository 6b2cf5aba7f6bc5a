//! An inner node: up to [`FAN_OUT`] children and the separators between them, laid out for the cache.
//!
//! A separator is the shortest beginning of a page's first key that is greater than the last key of the page before.
//! What all separators of a node have in common is skipped; of the rest the first eight octets lie side by side as one
//! number each, so that a search touches a few cache lines and looks at whole separators only where the numbers tie.

use crate::page::Page;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

/// Most children of a node.
pub(crate) const FAN_OUT: usize = 64;

/// Octets of what separators have in common that a search finds without them.
const COMMON: usize = 16;
/// Octets of a cache line, in numbers.
const LINE: usize = 8;

/// What stands under a node.
#[derive(Clone)]
pub(crate) enum Child {
    Page(Page),
    Branch(Arc<Branch>),
}

/// A child and the separator before it: no key under it is smaller, all keys before it are.
pub(crate) type Below<'b> = (Cow<'b, [u8]>, Child);

/// An inner node.
pub(crate) struct Branch {
    /// Octets that all separators but the first begin with.
    skipped: usize,
    /// The first of them.
    common: [u8; COMMON],
    /// The eight octets behind them, padded with zeros, one number for each separator but the first; behind those the greatest
    /// there is. Here, not in an allocation of their own, so that they come from memory together with the above.
    heads: [u64; FAN_OUT],
    /// Where each separator ends in `separators`. The first is no bound for searches; it is what a node above takes.
    ends: Box<[u16]>,
    separators: Box<[u8]>,
    children: Children,
    /// Pages below.
    pages: u64,
    /// Octets of memory below, this node included.
    memory: u64,
}

enum Children {
    Pages(Box<[Page]>),
    Branches(Box<[Arc<Branch>]>),
}

impl Children {
    fn len(&self) -> usize {
        match self {
            Children::Pages(pages) => pages.len(),
            Children::Branches(branches) => branches.len(),
        }
    }
}

impl Branch {
    /// Puts one to [`FAN_OUT`] children of one kind under a node.
    pub(crate) fn new(below: &[Below<'_>]) -> Arc<Branch> {
        debug_assert!((1..=FAN_OUT).contains(&below.len()), "a node has some children and not too many");
        // The first separator is no bound of this node.
        let separators_ascend = || below.windows(2).skip(1).all(|pair| pair[0].0 < pair[1].0);
        debug_assert!(separators_ascend(), "separators ascend");
        let mut separators = Vec::with_capacity(below.iter().map(|(separator, _)| separator.len()).sum());
        let mut ends = Vec::with_capacity(below.len());
        for (separator, _) in below {
            separators.extend_from_slice(separator);
            // At most 64 separators of at most 510 octets.
            ends.push(separators.len() as u16);
        }
        // Separators ascend, so what the outer two have in common all have.
        let skipped = match below {
            [_, (first, _), .., (last, _)] => crate::page::common(first, last),
            [_, (only, _)] => only.len(),
            _ => 0,
        };
        let mut common = [0; COMMON];
        if let Some((separator, _)) = below.get(1) {
            let length = skipped.min(COMMON);
            common[..length].copy_from_slice(&separator[..length]);
        }
        let mut heads = [u64::MAX; FAN_OUT];
        for (place, (separator, _)) in heads.iter_mut().zip(below.iter().skip(1)) {
            *place = head(separator.get(skipped..).unwrap_or_default());
        }
        let pages_of = |child: &Child| if let Child::Page(page) = child { Some(page.clone()) } else { None };
        let branches_of =
            |child: &Child| if let Child::Branch(branch) = child { Some(branch.clone()) } else { None };
        let children = match below.first() {
            Some((_, Child::Branch(_))) => {
                Children::Branches(below.iter().filter_map(|b| branches_of(&b.1)).collect())
            }
            _ => Children::Pages(below.iter().filter_map(|b| pages_of(&b.1)).collect()),
        };
        debug_assert!(children.len() == below.len(), "children are of one kind");
        let (pages, memory) = match &children {
            Children::Pages(pages) => {
                (pages.len() as u64, pages.iter().map(|page| page.memory() as u64).sum::<u64>())
            }
            Children::Branches(branches) => {
                (branches.iter().map(|b| b.pages).sum(), branches.iter().map(|b| b.memory).sum())
            }
        };
        // The node, three allocations beside it, and for each child its pointer and end.
        let own = size_of::<Branch>() + 4 * 16 + separators.len() + below.len() * (16 + 2);
        Arc::new(Branch {
            skipped,
            common,
            heads,
            ends: ends.into(),
            separators: separators.into(),
            children,
            pages,
            memory: memory + own as u64,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn memory(&self) -> u64 {
        self.memory
    }

    /// The separator before the child at `index`.
    pub(crate) fn separator(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.separators[usize::from(start)..usize::from(self.ends[index])]
    }

    /// The child at `index`.
    pub(crate) fn child(&self, index: usize) -> Option<ChildRef<'_>> {
        match &self.children {
            Children::Pages(pages) => pages.get(index).map(ChildRef::Page),
            Children::Branches(branches) => branches.get(index).map(ChildRef::Branch),
        }
    }

    /// The child that `key` belongs under.
    #[inline]
    pub(crate) fn index_of(&self, key: &[u8]) -> usize {
        let bounds = self.len() - 1;
        if bounds == 0 {
            return 0;
        }
        let common = match self.common.get(..self.skipped) {
            Some(common) => common,
            None => &self.separator(1)[..self.skipped],
        };
        let (start, rest) = key.split_at(key.len().min(self.skipped));
        match start.cmp(common) {
            Ordering::Less => return 0,
            Ordering::Greater => return bounds,
            Ordering::Equal => {}
        }
        let wanted = head(rest);
        // The last number of each line, then one line: those are read side by side, and nothing is guessed.
        let mut line = 0;
        for last in self.heads.chunks_exact(LINE).filter_map(<[u64]>::last) {
            line += usize::from(*last < wanted) * LINE;
        }
        let mut at = line;
        for &head in self.heads[line..].iter().take(LINE) {
            at += usize::from(head < wanted);
        }
        while at < bounds && self.heads[at] == wanted && self.separator(at + 1) <= key {
            at += 1;
        }
        at
    }

    /// All children with their separators.
    pub(crate) fn below(&self) -> impl Iterator<Item = Below<'_>> {
        (0..self.len()).filter_map(|at| Some((Cow::Borrowed(self.separator(at)), self.child(at)?.to_owned())))
    }
}

/// A child, borrowed.
#[derive(Clone, Copy)]
pub(crate) enum ChildRef<'b> {
    Page(&'b Page),
    Branch(&'b Arc<Branch>),
}

impl ChildRef<'_> {
    pub(crate) fn to_owned(self) -> Child {
        match self {
            ChildRef::Page(page) => Child::Page(page.clone()),
            ChildRef::Branch(branch) => Child::Branch(branch.clone()),
        }
    }
}

impl<'b> ChildRef<'b> {
    pub(crate) fn pages(self) -> u64 {
        match self {
            ChildRef::Page(_) => 1,
            ChildRef::Branch(branch) => branch.pages,
        }
    }

    /// The last page below.
    pub(crate) fn rightmost(self) -> Option<&'b Page> {
        let mut child = self;
        loop {
            match child {
                ChildRef::Page(page) => return Some(page),
                ChildRef::Branch(branch) => child = branch.child(branch.len() - 1)?,
            }
        }
    }

    /// The first page below.
    pub(crate) fn leftmost(self) -> Option<&'b Page> {
        let mut child = self;
        loop {
            match child {
                ChildRef::Page(page) => return Some(page),
                ChildRef::Branch(branch) => child = branch.child(0)?,
            }
        }
    }
}

/// The first eight octets as a number that compares as they do.
#[inline]
pub(crate) fn head(octets: &[u8]) -> u64 {
    match octets.first_chunk() {
        Some(eight) => u64::from_be_bytes(*eight),
        None => octets.iter().fold((0, 56), |(sum, shift), &o| (sum | u64::from(o) << shift, shift - 8)).0,
    }
}

/// The separator between two pages: the shortest beginning of `first` that is greater than `last`, the key before it.
pub(crate) fn between<'k>(last: &[u8], first: &'k [u8]) -> &'k [u8] {
    &first[..first.len().min(crate::page::common(last, first) + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(separators: &[&[u8]]) -> Arc<Branch> {
        let page = || Child::Page(Page::from_checked(Arc::from(&[][..])));
        Branch::new(&separators.iter().map(|s| (Cow::Borrowed(*s), page())).collect::<Vec<_>>())
    }

    #[test]
    fn a_search_agrees_with_a_walk_over_the_separators() {
        let sets: [&[&[u8]]; 6] = [
            &[b""],
            &[b"", b"b"],
            &[b"zzz", b"a", b"b"],
            &[b"", b"comm", b"common", b"commonprefix1", b"commonprefix12", b"commonprefix2"],
            &[b"", b"x12345678", b"x12345678\0", b"x123456789", b"x12345679"],
            &[b"", b"x", b"x\0", b"x\0\0\0\0\0\0\0\0", b"x\0\0\0\0\0\0\0\x01"],
        ];
        let keys: Vec<Vec<u8>> = sets
            .iter()
            .flat_map(|set| set.iter())
            .flat_map(|s| {
                [s.to_vec(), [s, &b"\0"[..]].concat(), [s, &b"0"[..]].concat(), s[..s.len() / 2].to_vec()]
            })
            .collect();
        for set in sets {
            let branch = branch(set);
            for key in &keys {
                let expected = set[1..].iter().filter(|s| **s <= &key[..]).count();
                assert_eq!(branch.index_of(key), expected, "{key:?} in {set:?}");
            }
        }
    }

    #[test]
    fn a_separator_is_as_short_as_can_be() {
        assert_eq!(between(b"abc\0", b"abd\0"), b"abd");
        assert_eq!(between(b"", b"a\0"), b"a");
        assert_eq!(between(b"a\0", b"a\0b\0"), b"a\0b");
    }
}
