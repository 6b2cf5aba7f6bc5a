//! Checks the pages of a zone in pieces, by several threads when there are many.
//!
//! A piece begins at a page that does not depend on those before it: its borders and fingerprints can be told from
//! itself, and the order from the last owner of the page before. That the page before really ends such a run is checked
//! at the end of the piece that holds it, so pieces that all pass are a sequence that passes.

use crate::border::BorderSecret;
use crate::check::{Damage, Sequence};
use crate::digest::Summary;
use crate::page::Page;
use crate::rebuild::is_fresh_behind;
use crate::tree::Tree as PageTree;
use crate::zone::{Entries, Tree};
use secondo_wire::NameRef;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Pages of a piece: some milliseconds of work, so that a thread is worth its start and none waits long for the last.
pub(crate) const PIECE: usize = 1024;
/// Most threads at work, the caller's included.
const MOST_THREADS: usize = 8;

/// Consecutive pages of one tree.
struct Piece<'p> {
    tree: Tree,
    /// All pages of the tree.
    all: &'p [Page],
    from: usize,
    to: usize,
}

/// Checks all pages and reckons what they hold. Of several damages the first in order is told.
pub(crate) fn checked(
    apex: NameRef<'_>,
    secret: &BorderSecret,
    main: &[Page],
    hashed: &[Page],
) -> Result<Summary, Damage> {
    let mut pieces = cut(Tree::Main, main, secret, PIECE);
    pieces.extend(cut(Tree::Nsec3, hashed, secret, PIECE));
    let mut all = Summary::default();
    for summary in shared_out(pieces.len(), |at| pieces[at].check(apex, secret)) {
        all.add(&summary?);
    }
    Ok(all)
}

/// Whether an owner is in both trees; looked for in pieces of so many pages of the second.
pub(crate) fn have_an_owner_in_common(main: &PageTree, hashed: &PageTree, piece: usize) -> bool {
    let pages: Vec<&Page> = hashed.pages().collect();
    let pieces: Vec<&[&Page]> = pages.chunks(piece).collect();
    shared_out(pieces.len(), |at| is_any_in(pieces[at], main)).contains(&true)
}

/// Whether any owner of these pages, which ascend, is in a tree.
fn is_any_in(pages: &[&Page], tree: &PageTree) -> bool {
    let mut key = Vec::new();
    if let Some(first) = pages.first().and_then(|page| page.view().first()) {
        first.key_into(&mut key);
    }
    let mut others = Entries::from_key(tree, &key);
    for entry in pages.iter().flat_map(|page| page.view().entries()) {
        while others.next.is_some_and(|other| other.cmp_entry(&entry).is_lt()) {
            others.advance();
        }
        if others.next.is_some_and(|other| other.cmp_entry(&entry).is_eq()) {
            return true;
        }
    }
    false
}

/// Does `work` for all numbers below `count`, by as many threads as the machine has processors; what comes of it, in order.
fn shared_out<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let threads = if count < 2 { 1 } else { thread::available_parallelism().map_or(1, usize::from) };
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        loop {
            match next.fetch_add(1, Ordering::Relaxed) {
                at if at < count => done.push((at, work(at))),
                _ => return done,
            }
        }
    };
    let mut all = thread::scope(|scope| {
        // A thread that the system refuses is not missed: the others take its pieces.
        let start = |_| thread::Builder::new().name("pages".into()).spawn_scoped(scope, take).ok();
        let helpers: Vec<_> = (1..threads.min(MOST_THREADS).min(count)).filter_map(start).collect();
        let mut all = take();
        for helper in helpers {
            all.extend(helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        all
    });
    all.sort_unstable_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, made)| made).collect()
}

/// Cuts pages into pieces of at least `least` each, but for the last.
fn cut<'p>(tree: Tree, all: &'p [Page], secret: &BorderSecret, least: usize) -> Vec<Piece<'p>> {
    let mut pieces = Vec::new();
    let mut from = 0;
    while from < all.len() {
        let fresh = |&to: &usize| is_fresh_behind(&all[to - 1], &all[to], secret);
        let to = (from + least..all.len()).find(fresh).unwrap_or(all.len());
        pieces.push(Piece { tree, all, from, to });
        from = to;
    }
    pieces
}

impl Piece<'_> {
    fn check(&self, apex: NameRef<'_>, secret: &BorderSecret) -> Result<Summary, Damage> {
        let damage = |page: usize, what| Damage { tree: self.tree, page: page as u64, what };
        let before = self.from.checked_sub(1).map(|before| &self.all[before]);
        let mut sequence = Sequence::new(self.tree, apex, secret, before);
        for at in self.from..self.to {
            sequence.page(self.all[at].bytes()).map_err(|what| damage(at, what))?;
        }
        sequence.end(self.to < self.all.len()).map_err(|what| damage(self.to - 1, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page_writer::PageWriter;
    use crate::rrset;
    use secondo_wire::{Name, RecordType};

    fn secret() -> BorderSecret {
        BorderSecret::new([3; 16])
    }

    /// Pages of `count` owners, now and then one with a page of its own; without a SOA, which is nobody's concern here.
    fn pages(count: u32) -> Vec<Page> {
        let mut writer = PageWriter::new(&secret(), None);
        for n in 0..count {
            let mut body = vec![];
            let long = vec![7; if n % 97 == 0 { 9000 } else { 20 + (n % 7) as usize * 40 }];
            rrset::put(&mut body, RecordType(65_280), 300, std::iter::once(&long[..]));
            writer.push(format!("{n:06}\0").as_bytes(), false, &body);
        }
        writer.finish()
    }

    fn in_pieces(all: &[Page], least: usize) -> Result<Summary, Damage> {
        let apex = Name::parse("example.").unwrap();
        let mut sum = Summary::default();
        for piece in cut(Tree::Main, all, &secret(), least) {
            sum.add(&piece.check(apex.as_ref(), &secret())?);
        }
        Ok(sum)
    }

    #[test]
    fn pieces_of_any_size_come_to_the_same() {
        let all = pages(3000);
        let whole = in_pieces(&all, usize::MAX / 2).unwrap();
        assert_eq!(whole.names, 3000);
        for least in [1, 2, 3, 10, 64] {
            let count = cut(Tree::Main, &all, &secret(), least).len();
            assert!(count * least * 3 >= all.len(), "{count} pieces of {} pages", all.len());
            assert_eq!(in_pieces(&all, least), Ok(whole), "{least}");
        }
        let apex = Name::parse("example.").unwrap();
        assert_eq!(checked(apex.as_ref(), &secret(), &all, &[]), Ok(whole));
    }

    #[test]
    fn pages_missing_doubled_or_swapped_are_found_wherever_pieces_begin() {
        let all = pages(1000);
        for at in 1..all.len() - 1 {
            let (mut without, mut twice, mut swapped) = (all.clone(), all.clone(), all.clone());
            without.remove(at);
            twice.insert(at, all[at].clone());
            swapped.swap(at, at + 1);
            for least in [1, 2, 5] {
                assert!(in_pieces(&twice, least).is_err() && in_pieces(&swapped, least).is_err());
                // A page that is missing between two that stand on their own is missing records, which the digest tells.
                let whole = in_pieces(&without, usize::MAX / 2).map_err(|damage| damage.what);
                assert_eq!(in_pieces(&without, least).map_err(|damage| damage.what), whole, "{at}");
            }
        }
    }

    #[test]
    fn a_seam_behind_a_page_that_should_not_end_there_is_found() {
        // Parted right behind a natural border that is too near to the one before.
        let mut writer = PageWriter::new(&secret(), None);
        let mut near: Vec<Vec<u8>> = (0..4000u32).map(|n| format!("{n:06}\0").into_bytes()).collect();
        near.retain(|key| secret().hash(key).is_border());
        near.truncate(2);
        let mut body = vec![];
        rrset::put(&mut body, RecordType::A, 300, std::iter::once(&b"abcd"[..]));
        let mut all = vec![];
        for key in &near {
            writer.push(key, false, &body);
            all.append(&mut writer.take_pages());
        }
        assert_eq!(all.len(), 2);
        assert_eq!(cut(Tree::Main, &all, &secret(), 1).len(), 2, "by its looks a piece");
        let damage = in_pieces(&all, 1).unwrap_err();
        assert_eq!((damage.page, damage.what), (0, "a border stands at the wrong place"));
    }

    #[test]
    fn an_owner_in_both_trees_is_found_wherever_it_stands() {
        let write = |numbers: &mut dyn Iterator<Item = u32>| {
            let mut writer = PageWriter::new(&secret(), None);
            numbers.for_each(|n| writer.push(format!("{n:06}\0").as_bytes(), false, &[7; 50]));
            PageTree::from_pages(writer.finish())
        };
        let even = write(&mut (0..4000).step_by(2));
        for piece in [1, 3, 1000] {
            let odd = write(&mut (1..4000).step_by(2));
            assert!(odd.len() > 30 && !have_an_owner_in_common(&even, &odd, piece));
            assert!(!have_an_owner_in_common(&PageTree::default(), &odd, piece));
            for stray in [0, 2, 1998, 2000, 3998] {
                let with_stray = write(&mut (0..4000).filter(|n| n % 2 == 1 || *n == stray));
                assert!(have_an_owner_in_common(&even, &with_stray, piece), "{stray}");
            }
        }
    }

    #[test]
    fn work_is_done_once_each_and_comes_back_in_order() {
        for count in [0, 1, 2, 100] {
            assert_eq!(shared_out(count, |at| at * 2), (0..count).map(|at| at * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_of_several_damages_is_told() {
        let mut all = pages(3000);
        let bad = Page::from_checked(vec![0; 9].into());
        let places = [all.len() - 1, all.len() / 2, 7];
        places.iter().for_each(|&at| all[at] = bad.clone());
        let apex = Name::parse("example.").unwrap();
        assert_eq!(checked(apex.as_ref(), &secret(), &all, &[]).unwrap_err().page, 7);
    }
}
