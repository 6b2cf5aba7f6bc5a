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
use crate::zone::Tree;
use secondo_wire::NameRef;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Pages of a piece: some milliseconds of work, so that a thread is worth its start and none waits long for the last.
const PIECE: usize = 1024;
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
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS).min(pieces.len());
    let next = AtomicUsize::new(0);
    // Takes pieces until none is left or one is damaged: those before it are in hands already.
    let work = || {
        let mut sum = Summary::default();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(piece) = pieces.get(at) else { return Ok(sum) };
            match piece.check(apex, secret) {
                Ok(summary) => sum.add(&summary),
                Err(damage) => return Err((at, damage)),
            }
        }
    };
    let sums = thread::scope(|scope| {
        // A thread that the system refuses is not missed: the others take its pieces.
        let start = |_| thread::Builder::new().name("pages".into()).spawn_scoped(scope, work).ok();
        let helpers: Vec<_> = (1..threads).filter_map(start).collect();
        let mut sums = vec![work()];
        for helper in helpers {
            sums.push(helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        sums
    });
    let mut all = Summary::default();
    let mut first: Option<(usize, Damage)> = None;
    for sum in sums {
        match sum {
            Ok(summary) => all.add(&summary),
            Err((at, damage)) if first.is_none_or(|(first, _)| at < first) => first = Some((at, damage)),
            Err(_) => {}
        }
    }
    first.map_or(Ok(all), |(_, damage)| Err(damage))
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
    fn the_first_of_several_damages_is_told() {
        let mut all = pages(3000);
        let bad = Page::from_checked(vec![0; 9].into());
        let places = [all.len() - 1, all.len() / 2, 7];
        places.iter().for_each(|&at| all[at] = bad.clone());
        let apex = Name::parse("example.").unwrap();
        assert_eq!(checked(apex.as_ref(), &secret(), &all, &[]).unwrap_err().page, 7);
    }
}
