//! Sorted runs of owners that came out of order, and the merge that brings them and the pages there are into one order.
//!
//! A run lies in blocks, each a number of whole owners: `number: key length * 4, + 2 when hashed, + 1 when spelled; number:
//! body length; key; body`. Blocks are kept in memory or handed to a [`Spill`]; the merge holds one block of each run.

use crate::page::Entry;
use crate::sort::Kept;
use crate::spill::{Spill, SpillError};
use crate::tree::{self, Tree};
use crate::varint;
use std::cmp::Ordering;
use std::ops::Range;

/// Least octets of a run while it is sorted, index included: small enough for the cache.
pub(crate) const RUN: usize = 1 << 20;
/// A run has at least this part of what is in runs already, so that a large zone has not too many.
pub(crate) const PART: usize = 16;
/// Octets of a block, or a few more.
const BLOCK: usize = 1 << 14;

/// Sorted runs in the order in which they came.
#[derive(Default)]
pub(crate) struct Runs {
    runs: Vec<Vec<Block>>,
    /// Octets of blocks in memory.
    here: usize,
    spill: Option<Spilling>,
}

struct Spilling {
    to: Box<dyn Spill>,
    /// Octets of blocks that are kept in memory before the first goes there.
    keep: usize,
    /// Octets that went there.
    written: u64,
    failed: bool,
}

enum Block {
    Here(Box<[u8]>),
    Spilled { at: u64, length: usize, sum: u32 },
}

impl Runs {
    /// Where blocks go beyond `keep` octets of them.
    pub(crate) fn spill_to(&mut self, to: Box<dyn Spill>, keep: usize) {
        self.spill = Some(Spilling { to, keep, written: 0, failed: false });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Octets of all runs, wherever they are.
    pub(crate) fn octets(&self) -> usize {
        self.here + self.spill.as_ref().map_or(0, |spill| spill.written as usize)
    }

    /// Takes a run of owners in order of their keys, equal ones in the order in which they came.
    pub(crate) fn push<'k>(&mut self, owners: impl Iterator<Item = Kept<'k>>) {
        let (mut blocks, mut filling) = (Vec::new(), Vec::with_capacity(2 * BLOCK));
        for owner in owners {
            put(&mut filling, &owner);
            if filling.len() >= BLOCK {
                blocks.push(self.block(&filling));
                filling.clear();
            }
        }
        if !filling.is_empty() {
            blocks.push(self.block(&filling));
        }
        self.runs.push(blocks);
    }

    fn block(&mut self, octets: &[u8]) -> Block {
        if let Some(spill) = &mut self.spill
            && !spill.failed
            && self.here + octets.len() > spill.keep
        {
            match spill.to.append(octets) {
                Ok(()) => {
                    let (at, length) = (spill.written, octets.len());
                    spill.written += length as u64;
                    return Block::Spilled { at, length, sum: crc32fast::hash(octets) };
                }
                // Without room out of memory there is still memory.
                Err(_) => spill.failed = true,
            }
        }
        self.here += octets.len();
        Block::Here(octets.into())
    }

    /// All runs and the owners of both trees in one order; of equal keys those in the trees first, then as they came.
    pub(crate) fn merge<'t>(self, main: &'t Tree, hashed: &'t Tree) -> Result<Merge<'t>, SpillError> {
        let trees = [(main, false), (hashed, true)];
        let pages = trees.into_iter().map(|(tree, hashed)| Origin::Tree(tree.pages(), hashed));
        let runs = self.runs.into_iter().map(|blocks| Origin::Run(blocks.into_iter()));
        let mut merge = Merge {
            sources: pages.chain(runs).map(Source::new).collect(),
            heap: Vec::new(),
            spill: self.spill.map(|spill| spill.to),
        };
        for at in 0..merge.sources.len() {
            if merge.sources[at].advance(&mut merge.spill)? {
                merge.heap.push(at);
            }
        }
        let Merge { sources, heap, .. } = &mut merge;
        // What is sorted is a heap.
        heap.sort_unstable_by(|&a, &b| order(sources, a, b));
        Ok(merge)
    }
}

fn put(out: &mut Vec<u8>, owner: &Kept<'_>) {
    let marks = u32::from(owner.hashed) << 1 | u32::from(owner.spelled);
    varint::put(out, (owner.key.len() as u32) << 2 | marks);
    varint::put(out, owner.body.len() as u32);
    out.extend_from_slice(owner.key);
    out.extend_from_slice(owner.body);
}

/// Owners from many sources in one order.
pub(crate) struct Merge<'t> {
    sources: Vec<Source<'t>>,
    /// Those that have an owner left, as a heap: none stands before its half.
    heap: Vec<usize>,
    spill: Option<Box<dyn Spill>>,
}

impl Merge<'_> {
    /// The next owner.
    pub(crate) fn next(&self) -> Option<Kept<'_>> {
        Some(self.sources[*self.heap.first()?].owner())
    }

    /// Goes on behind it.
    pub(crate) fn advance(&mut self) -> Result<(), SpillError> {
        let Some(&first) = self.heap.first() else { return Ok(()) };
        if !self.sources[first].advance(&mut self.spill)? {
            self.heap.swap_remove(0);
        }
        let mut at = 0;
        loop {
            let children = [2 * at + 1, 2 * at + 2].into_iter().filter(|&child| child < self.heap.len());
            let before = |&a: &usize, &b: &usize| order(&self.sources, self.heap[a], self.heap[b]);
            match children.min_by(before) {
                Some(child) if before(&child, &at).is_lt() => {
                    self.heap.swap(child, at);
                    at = child;
                }
                _ => return Ok(()),
            }
        }
    }
}

/// Which of two sources comes first.
#[inline]
fn order(sources: &[Source<'_>], a: usize, b: usize) -> Ordering {
    let (one, two) = (&sources[a], &sources[b]);
    one.head.cmp(&two.head).then_with(|| one.owner().key.cmp(two.owner().key)).then(a.cmp(&b))
}

/// One of the sequences that are merged.
struct Source<'t> {
    from: Origin<'t>,
    /// The block at hand.
    octets: Vec<u8>,
    /// Where its next owner begins.
    next: usize,
    /// The owner at hand.
    key: Range<usize>,
    body: Range<usize>,
    spelled: bool,
    hashed: bool,
    /// The first octets of its key, as a number that compares as they do.
    head: u128,
}

enum Origin<'t> {
    Tree(tree::Pages<'t>, bool),
    Run(std::vec::IntoIter<Block>),
}

impl<'t> Source<'t> {
    fn new(from: Origin<'t>) -> Source<'t> {
        Source {
            from,
            octets: Vec::new(),
            next: 0,
            key: 0..0,
            body: 0..0,
            spelled: false,
            hashed: false,
            head: 0,
        }
    }

    fn owner(&self) -> Kept<'_> {
        let (key, body) = (&self.octets[self.key.clone()], &self.octets[self.body.clone()]);
        Kept { key, spelled: self.spelled, hashed: self.hashed, body }
    }

    /// Goes on to the next owner; false when there is none.
    fn advance(&mut self, spill: &mut Option<Box<dyn Spill>>) -> Result<bool, SpillError> {
        while self.next >= self.octets.len() {
            if !self.turn(spill)? {
                return Ok(false);
            }
        }
        // Written by `put` alone, and checked where it was out of memory.
        self.take().map(|()| true).ok_or_else(|| SpillError("a block is none".into()))
    }

    fn take(&mut self) -> Option<()> {
        let rest = self.octets.get(self.next..)?;
        let (marks, rest) = varint::take(rest)?;
        let (body, rest) = varint::take(rest)?;
        let start = self.octets.len() - rest.len();
        let middle = start + (marks >> 2) as usize;
        let end = middle + body as usize;
        let key = self.octets.get(start..middle)?;
        let mut head = [0; 16];
        let length = key.len().min(16);
        head[..length].copy_from_slice(&key[..length]);
        self.head = u128::from_be_bytes(head);
        self.octets.get(middle..end)?;
        (self.key, self.body, self.next) = (start..middle, middle..end, end);
        (self.spelled, self.hashed) = (marks & 1 == 1, marks & 2 == 2);
        Some(())
    }

    /// Goes on to the next block; false when there is none.
    fn turn(&mut self, spill: &mut Option<Box<dyn Spill>>) -> Result<bool, SpillError> {
        self.octets.clear();
        self.next = 0;
        match &mut self.from {
            Origin::Tree(pages, hashed) => {
                let Some(page) = pages.next() else { return Ok(false) };
                let mut key = Vec::new();
                for entry in page.view().entries() {
                    entry.key_into(&mut key);
                    let Entry { spelled, body, .. } = entry;
                    put(&mut self.octets, &Kept { key: &key, spelled, hashed: *hashed, body });
                }
            }
            Origin::Run(blocks) => match blocks.next() {
                None => return Ok(false),
                // The block before is given back: as pages grow, runs shrink.
                Some(Block::Here(octets)) => self.octets = octets.into_vec(),
                Some(Block::Spilled { at, length, sum }) => {
                    self.octets.resize(length, 0);
                    let Some(spill) = spill else { return Err(SpillError("there is none".into())) };
                    spill.read(at, &mut self.octets)?;
                    if crc32fast::hash(&self.octets) != sum {
                        return Err(SpillError("what is read is not what was written".into()));
                    }
                }
            },
        }
        Ok(true)
    }
}
