//! A sequence of pages in canonical order under inner nodes, shared between versions.
//!
//! Which inner nodes there are depends on history (ordinary splits); which pages there are does not. Two trees are
//! equal when their sequences of pages are.
//!
//! **Invariant**: keys ascend from page to page, and a separator parts them: no key before it is as great, none behind it is
//! smaller. All leaves are equally deep, a node has one to [`FAN_OUT`] children of one kind, the root more than one. Asserted
//! where pages are put side by side, and in [`Branch::new`].

use crate::branch::{Below, Branch, Child, ChildRef, FAN_OUT, between};
use crate::page::Page;
use crate::work;
use std::borrow::Cow;
use std::sync::Arc;

/// The tree; cheap to clone. One page stands without inner nodes.
#[derive(Clone, Default)]
pub(crate) struct Tree {
    root: Option<Child>,
}

/// A replacement of consecutive pages.
pub(crate) struct Edit {
    /// Place of the first page that goes.
    pub(crate) start: u64,
    /// How many go, at least one.
    pub(crate) count: u64,
    /// What comes in their place, in order.
    pub(crate) pages: Vec<Page>,
}

/// Where a key belongs.
#[derive(Clone, Copy)]
pub(crate) struct Spot<'t> {
    pub(crate) page: &'t Page,
    /// What ends right before the page.
    left: Option<ChildRef<'t>>,
    /// What begins right behind it.
    right: Option<ChildRef<'t>>,
}

impl<'t> Spot<'t> {
    pub(crate) fn page_before(&self) -> Option<&'t Page> {
        self.left?.rightmost()
    }

    pub(crate) fn page_behind(&self) -> Option<&'t Page> {
        self.right?.leftmost()
    }
}

impl Tree {
    /// Puts pages under a tree.
    pub(crate) fn from_pages(pages: Vec<Page>) -> Tree {
        let mut separators: Vec<Cow<'static, [u8]>> = Vec::with_capacity(pages.len());
        separators.push(Cow::Borrowed(&[]));
        separators.extend(pages.windows(2).map(|pair| Cow::Owned(separator(&pair[0], &pair[1]))));
        Tree::over(separators.into_iter().zip(pages.into_iter().map(Child::Page)).collect())
    }

    /// Puts nodes of one level under as many levels as it takes.
    fn over(mut level: Vec<Below<'_>>) -> Tree {
        while level.len() > 1 {
            level = parted(&level);
        }
        let mut root = level.pop().map(|(_, child)| child);
        // A node with one child is none.
        while let Some(Child::Branch(branch)) = &root
            && branch.len() == 1
        {
            root = branch.child(0).map(ChildRef::to_owned);
        }
        Tree { root }
    }

    fn root(&self) -> Option<ChildRef<'_>> {
        self.root.as_ref().map(|root| match root {
            Child::Page(page) => ChildRef::Page(page),
            Child::Branch(branch) => ChildRef::Branch(branch),
        })
    }

    /// Number of pages.
    pub(crate) fn len(&self) -> u64 {
        self.root().map_or(0, ChildRef::pages)
    }

    /// Octets of memory, those shared with other versions included.
    pub(crate) fn memory(&self) -> u64 {
        match &self.root {
            None => 0,
            Some(Child::Page(page)) => page.memory() as u64,
            Some(Child::Branch(branch)) => branch.memory(),
        }
    }

    /// The page that `key` belongs to; `None` in an empty tree.
    #[inline]
    pub(crate) fn locate(&self, key: &[u8]) -> Option<Spot<'_>> {
        work::search();
        let (mut left, mut right) = (None, None);
        let mut child = self.root()?;
        loop {
            match child {
                ChildRef::Page(page) => return Some(Spot { page, left, right }),
                ChildRef::Branch(branch) => {
                    let at = branch.index_of(key);
                    left = at.checked_sub(1).and_then(|at| branch.child(at)).or(left);
                    right = branch.child(at + 1).or(right);
                    child = branch.child(at)?;
                }
            }
        }
    }

    /// The place in the sequence of the page that `key` belongs to.
    pub(crate) fn place_of(&self, key: &[u8]) -> Option<u64> {
        let mut place = 0;
        let mut child = self.root()?;
        while let ChildRef::Branch(branch) = child {
            let at = branch.index_of(key);
            place += (0..at).filter_map(|at| branch.child(at)).map(ChildRef::pages).sum::<u64>();
            child = branch.child(at)?;
        }
        Some(place)
    }

    /// The page at a place and the separator before it (of no meaning at the first place).
    pub(crate) fn page_at(&self, place: u64) -> Option<(&[u8], &Page)> {
        let mut left = place;
        let mut child = self.root()?;
        let mut separator: &[u8] = &[];
        loop {
            match child {
                ChildRef::Page(page) => return (left == 0).then_some((separator, page)),
                ChildRef::Branch(branch) => {
                    let mut at = 0;
                    loop {
                        let next = branch.child(at)?;
                        match left.checked_sub(next.pages()) {
                            Some(rest) => left = rest,
                            None => {
                                child = next;
                                break;
                            }
                        }
                        at += 1;
                    }
                    separator = branch.separator(at);
                }
            }
        }
    }

    /// The first page.
    pub(crate) fn first(&self) -> Option<&Page> {
        self.root()?.leftmost()
    }

    /// The last page.
    pub(crate) fn last(&self) -> Option<&Page> {
        self.root()?.rightmost()
    }

    /// All pages in order.
    pub(crate) fn pages(&self) -> Pages<'_> {
        Pages { stack: self.root().map(|root| vec![root]).unwrap_or_default() }
    }

    /// The page that `key` belongs to and all behind it.
    pub(crate) fn pages_from(&self, key: &[u8]) -> Pages<'_> {
        let mut stack = Vec::new();
        let mut child = self.root();
        while let Some(ChildRef::Branch(branch)) = child {
            let at = branch.index_of(key);
            stack.extend((at + 1..branch.len()).rev().filter_map(|at| branch.child(at)));
            child = branch.child(at);
        }
        stack.extend(child);
        Pages { stack }
    }

    /// The tree with pages replaced; `edits` ascend and do not overlap. Nodes beside the edits are shared.
    pub(crate) fn edited(&self, edits: &[Edit]) -> Tree {
        if edits.is_empty() {
            return self.clone();
        }
        let ascend = edits.windows(2).all(|pair| pair[0].start + pair[0].count <= pair[1].start);
        debug_assert!(ascend && edits.iter().all(|edit| edit.count > 0), "edits ascend and do not overlap");
        match self.root() {
            None => Tree::from_pages(edits.iter().flat_map(|edit| edit.pages.iter().cloned()).collect()),
            Some(ChildRef::Branch(branch)) => Tree::over(edited(branch, 0, edits)),
            Some(root) => {
                let mut level = Vec::new();
                put_page(&mut level, 0, (Cow::Borrowed(&[]), root.to_owned()), edits);
                Tree::over(level)
            }
        }
    }
}

/// The pages of a tree, see [`Tree::pages`].
pub(crate) struct Pages<'t> {
    /// What is still to be walked, the next on top.
    stack: Vec<ChildRef<'t>>,
}

impl<'t> Iterator for Pages<'t> {
    type Item = &'t Page;

    fn next(&mut self) -> Option<&'t Page> {
        loop {
            match self.stack.pop()? {
                ChildRef::Page(page) => return Some(page),
                ChildRef::Branch(branch) => {
                    self.stack.extend((0..branch.len()).rev().filter_map(|at| branch.child(at)));
                }
            }
        }
    }
}

/// The separator between two pages.
fn separator(before: &Page, behind: &Page) -> Vec<u8> {
    let (mut last, mut first) = (Vec::new(), Vec::new());
    if let (Some(b), Some(a)) = (before.view().last(), behind.view().first()) {
        b.key_into(&mut last);
        a.key_into(&mut first);
    }
    debug_assert!(last < first, "keys ascend from page to page");
    between(&last, &first).to_vec()
}

/// Parts children among as few nodes as there need be, all about equally full.
fn parted<'b>(below: &[Below<'b>]) -> Vec<Below<'b>> {
    let nodes = below.len().div_ceil(FAN_OUT);
    let mut out = Vec::with_capacity(nodes);
    for node in 0..nodes {
        let part = &below[below.len() * node / nodes..below.len() * (node + 1) / nodes];
        if let Some((separator, _)) = part.first() {
            out.push((separator.clone(), Child::Branch(Branch::new(part))));
        }
    }
    out
}

/// The edits that touch the places from `start` on, `count` of them.
fn touching(edits: &[Edit], start: u64, count: u64) -> &[Edit] {
    let first = edits.partition_point(|edit| edit.start + edit.count <= start);
    let behind = edits.partition_point(|edit| edit.start < start + count);
    &edits[first..behind.max(first)]
}

/// The children of a node after the edits; `start` is the place of its first page.
fn edited<'b>(branch: &'b Branch, start: u64, edits: &[Edit]) -> Vec<Below<'b>> {
    /// Children of one node: as it was, or taken apart.
    enum Group<'b> {
        Whole(Cow<'b, [u8]>, Arc<Branch>),
        Apart(Vec<Below<'b>>),
    }
    let mut level = Vec::new();
    let mut groups: Vec<Group<'b>> = Vec::new();
    let mut place = start;
    for at in 0..branch.len() {
        let Some(child) = branch.child(at) else { break };
        let separator = Cow::Borrowed(branch.separator(at));
        let near = touching(edits, place, child.pages());
        match child {
            ChildRef::Page(_) => put_page(&mut level, place, (separator, child.to_owned()), near),
            ChildRef::Branch(below) if near.is_empty() => groups.push(Group::Whole(separator, below.clone())),
            ChildRef::Branch(below) => groups.push(Group::Apart(edited(below, place, near))),
        }
        place += child.pages();
    }
    // A node that has become small is put together with the one before or behind it.
    let mut pending: Vec<Below<'b>> = Vec::new();
    let small = |pending: &Vec<Below<'b>>| (1..FAN_OUT / 4).contains(&pending.len());
    for (at, group) in groups.iter().enumerate() {
        match group {
            Group::Apart(children) => {
                if !small(&pending) {
                    level.append(&mut parted(&pending));
                    pending.clear();
                }
                pending.extend(children.iter().cloned());
            }
            // Its children live as long as the old tree: it is found there again, not in `groups`.
            Group::Whole(..) if small(&pending) => {
                if let Some(ChildRef::Branch(below)) = branch.child(at) {
                    pending.extend(below.below());
                }
            }
            Group::Whole(separator, below) => {
                level.append(&mut parted(&pending));
                pending.clear();
                level.push((separator.clone(), Child::Branch(below.clone())));
            }
        }
    }
    level.append(&mut parted(&pending));
    level
}

/// Puts a page at its place, or what an edit puts there instead.
fn put_page<'b>(level: &mut Vec<Below<'b>>, place: u64, page: Below<'b>, edits: &[Edit]) {
    let Some(edit) = touching(edits, place, 1).first() else {
        level.push(page);
        return;
    };
    if edit.start == place {
        // The first new page takes the separator of the first old one: no key between them has been left out.
        let mut before = page.0;
        for (at, new) in edit.pages.iter().enumerate() {
            if at > 0 {
                before = Cow::Owned(separator(&edit.pages[at - 1], new));
            }
            level.push((std::mem::take(&mut before), Child::Page(new.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::border::BorderSecret;
    use crate::page_writer::PageWriter;

    fn page(n: u32) -> Page {
        let mut writer = PageWriter::new(&BorderSecret::new([3; 16]), None);
        writer.push(format!("{n:06}\0").as_bytes(), false, b"body");
        writer.finish().remove(0)
    }

    fn numbers(tree: &Tree) -> Vec<u32> {
        let number = |page: &Page| {
            let key = page.view().first().map(|e| [e.prefix, e.suffix].concat()).unwrap();
            String::from_utf8_lossy(&key[..6]).parse().unwrap()
        };
        tree.pages().map(number).collect()
    }

    fn assert_sound(tree: &Tree) {
        for (at, n) in numbers(tree).into_iter().enumerate() {
            let key = format!("{n:06}\0");
            let spot = tree.locate(key.as_bytes()).unwrap();
            assert!(spot.page.view().first().unwrap().cmp_key(key.as_bytes()).is_eq(), "{n} is found");
            assert_eq!(tree.place_of(key.as_bytes()), Some(at as u64));
            assert!(tree.page_at(at as u64).unwrap().1.is_same(spot.page));
            let neighbour = |page: Option<&Page>, place: Option<u64>| {
                let expected = place.and_then(|place| tree.page_at(place)).map(|(_, page)| page);
                assert_eq!(page.map(Page::bytes), expected.map(Page::bytes));
            };
            neighbour(spot.page_before(), (at as u64).checked_sub(1));
            neighbour(spot.page_behind(), Some(at as u64 + 1));
        }
        assert_eq!(tree.len(), numbers(tree).len() as u64);
        assert!(tree.page_at(tree.len()).is_none());
    }

    #[test]
    fn trees_of_all_heights_are_walked_and_searched() {
        for count in [0, 1, 2, 63, 64, 65, 200, 4097] {
            let tree = Tree::from_pages((0..count).map(page).collect());
            assert_eq!(numbers(&tree), (0..count).collect::<Vec<_>>());
            assert_sound(&tree);
        }
    }

    #[test]
    fn nodes_that_become_small_are_put_together() {
        let tree = Tree::from_pages((0..6400).map(page).collect());
        // Of each hundred pages five stay.
        let edits: Vec<Edit> = (0..64).map(|n| Edit { start: n * 100, count: 95, pages: vec![] }).collect();
        let thin = tree.edited(&edits);
        assert_sound(&thin);
        let leaves = |tree: &Tree| match tree.root() {
            Some(ChildRef::Branch(root)) => root.len(),
            _ => 0,
        };
        assert_eq!(thin.len(), 320);
        assert!((5..=20).contains(&leaves(&thin)), "{} nodes for 320 pages", leaves(&thin));
        // One node becomes small between two that stay whole.
        let tree = Tree::from_pages((0..130).map(page).collect());
        let thin = tree.edited(&[Edit { start: 45, count: 38, pages: vec![] }]);
        assert_sound(&thin);
        assert_eq!((leaves(&tree), leaves(&thin)), (3, 2));
    }

    #[test]
    fn edits_replace_pages_and_share_the_rest() {
        let mut expected: Vec<u32> = (0..3000).map(|n| n * 10).collect();
        let mut tree = Tree::from_pages(expected.iter().map(|&n| page(n)).collect());
        // (place, pages that go, pages that come), from many pages to none and back to many.
        let rounds: &[&[(u64, u64, u32)]] = &[
            &[(0, 1, 1), (5, 3, 0), (70, 1, 9), (2999, 1, 2)],
            &[(0, 100, 1), (200, 1, 9), (300, 2000, 9)],
            &[(10, 60, 0), (71, 60, 1)],
            &[(0, 300, 0)],
        ];
        for round in rounds {
            let mut edits = Vec::new();
            for &(start, count, new) in round.iter() {
                let first = expected[start as usize];
                edits.push(Edit { start, count, pages: (0..new).map(|n| page(first + n)).collect() });
            }
            let before = numbers(&tree);
            let new = tree.edited(&edits);
            for edit in edits.iter().rev() {
                let first = expected[edit.start as usize];
                let range = edit.start as usize..(edit.start + edit.count) as usize;
                expected.splice(range, (0..edit.pages.len() as u32).map(|n| first + n));
            }
            assert_eq!(numbers(&new), expected);
            assert_eq!(numbers(&tree), before, "the old version stays as it was");
            assert_sound(&new);
            tree = new;
        }
        let all = Edit { start: 0, count: tree.len(), pages: vec![] };
        assert_eq!(tree.edited(&[all]).len(), 0);
        let grown =
            Tree::default().edited(&[Edit { start: 0, count: 1, pages: (0..300).map(page).collect() }]);
        assert_eq!(grown.len(), 300);
        assert_sound(&grown);
    }
}
