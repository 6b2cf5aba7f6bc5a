//! Changes a tree: only the pages that are touched are written again.
//!
//! Writing begins at a page that stands right behind a natural border that was kept, where what stands before has no
//! influence, and goes on until the new pages come to such a border at a place where the old ones had one too. From
//! there on old and new pages are equal, because equal owners follow. See [`crate::border`].

use crate::border::{BorderSecret, MOST};
use crate::page::Page;
use crate::page_writer::{PageWriter, Reuse};
use crate::sort::Kept;
use crate::tree::{Edit, Tree};
use std::cmp::Ordering;
use std::iter::Peekable;

/// What becomes of one owner.
#[derive(Clone, Copy)]
pub(crate) struct Change<'c> {
    pub(crate) key: &'c [u8],
    /// The new body, and whether it begins with a spelling; `None`: the owner goes.
    pub(crate) body: Option<(bool, &'c [u8])>,
}

impl<'c> From<Kept<'c>> for Change<'c> {
    fn from(kept: Kept<'c>) -> Change<'c> {
        Change { key: kept.key, body: Some((kept.spelled, kept.body)) }
    }
}

/// The tree after `changes`, which come in order of their keys, one for a key. Pages that come out equal to those of
/// `model` (the tree itself, or another version) are shared with it.
pub(crate) fn rebuilt<'c>(
    tree: &Tree,
    model: &Tree,
    secret: &BorderSecret,
    changes: impl Iterator<Item = Change<'c>>,
) -> Tree {
    let mut changes = changes.peekable();
    let mut edits = Vec::new();
    let mut writer = PageWriter::new(secret, Some(Reuse::new(model)));
    while let Some(first) = changes.peek().map(|change| change.key) {
        let Some(place) = tree.place_of(first) else {
            changes.by_ref().for_each(|change| apply(&mut writer, change));
            return Tree::from_pages(writer.take_pages());
        };
        edits.push(window(tree, secret, place, &mut writer, &mut changes));
        assert!(
            changes.peek().is_none_or(|next| next.key != first),
            "each window takes the change it was made for"
        );
    }
    tree.edited(&edits)
}

/// Rewrites pages from the one at `place`, or one before it, until old and new agree.
fn window<'c>(
    tree: &Tree,
    secret: &BorderSecret,
    place: u64,
    writer: &mut PageWriter,
    changes: &mut Peekable<impl Iterator<Item = Change<'c>>>,
) -> Edit {
    let start = (0..=place).rev().find(|&place| begins_fresh(tree, place, secret)).unwrap_or(0);
    let mut at = start;
    let mut key = Vec::new();
    if let Some(first) = tree.page_at(start).and_then(|(_, page)| page.view().first()) {
        first.key_into(&mut key);
        writer.seek(&key);
    }
    while let Some((_, page)) = tree.page_at(at) {
        at += 1;
        // The changes that belong to this page: those before the separator of the next.
        let end = tree.page_at(at).map(|(separator, _)| separator);
        let belongs = |change: &Change<'c>| end.is_none_or(|end| change.key < end);
        for entry in page.view().entries() {
            let mut kept = true;
            while let Some(change) = changes.next_if(|change| entry.cmp_key(change.key) != Ordering::Less) {
                kept &= entry.cmp_key(change.key).is_ne();
                apply(writer, change);
            }
            if kept {
                entry.key_into(&mut key);
                writer.push(&key, entry.spelled, entry.body);
            }
        }
        while let Some(change) = changes.next_if(belongs) {
            apply(writer, change);
        }
        if writer.is_fresh() && begins_fresh(tree, at, secret) {
            break;
        }
    }
    Edit { start, count: at - start, pages: writer.take_pages() }
}

fn apply(writer: &mut PageWriter, change: Change<'_>) {
    if let Some((spelled, body)) = change.body {
        writer.push(change.key, spelled, body);
    }
}

/// Whether the page at a place does not depend on those before it.
fn begins_fresh(tree: &Tree, place: u64, secret: &BorderSecret) -> bool {
    let Some((_, before)) = place.checked_sub(1).and_then(|before| tree.page_at(before)) else { return true };
    tree.page_at(place).is_some_and(|(_, page)| is_fresh_behind(before, page, secret))
}

/// Whether a page does not depend on the one before it nor on those before that.
pub(crate) fn is_fresh_behind(before: &Page, page: &Page, secret: &BorderSecret) -> bool {
    // A giant ends the page before it even behind a border that is otherwise skipped; without the giant it would not.
    let before_giant = is_giant(page) && !is_giant(before);
    !before_giant && ends_fresh(before, secret)
}

/// Whether a page ends behind a natural border, or holds an owner that has a page of its own. A page that ends behind a
/// key that is a natural border ends because of it: the cap never cuts there.
fn ends_fresh(page: &Page, secret: &BorderSecret) -> bool {
    let mut key = Vec::new();
    let border = page.view().last().is_some_and(|last| {
        last.key_into(&mut key);
        secret.hash(&key).is_border()
    });
    border || is_giant(page)
}

fn is_giant(page: &Page) -> bool {
    page.view().len() == 1 && page.view().first().is_some_and(|owner| owner.weight() >= MOST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    type Model = BTreeMap<Vec<u8>, Vec<u8>>;

    fn fresh(model: &Model, secret: &BorderSecret) -> Tree {
        let mut writer = PageWriter::new(secret, None);
        model.iter().for_each(|(key, body)| writer.push(key, false, body));
        Tree::from_pages(writer.finish())
    }

    /// Numbers by the rule of Knuth's linear generator.
    fn chance(state: &mut u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *state >> 33
    }

    #[test]
    fn any_history_of_changes_gives_the_pages_of_a_fresh_build() {
        let secret = BorderSecret::new([5; 16]);
        let mut seed = 1;
        let (mut model, mut tree) = (Model::new(), Tree::default());
        for round in 0..400 {
            let mut changes: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
            for _ in 0..=chance(&mut seed) % if round % 50 == 0 { 300 } else { 6 } {
                let key = format!("{:04}\0", chance(&mut seed) % 1500).into_bytes();
                let length = match chance(&mut seed) % 40 {
                    0 => MOST,
                    1 => MOST - 200,
                    2 => 3000,
                    _ => chance(&mut seed) as usize % 60,
                };
                changes.insert(key, (chance(&mut seed) % 5 > 1).then(|| vec![round as u8; length]));
            }
            let list = changes
                .iter()
                .map(|(key, body)| Change { key, body: body.as_ref().map(|b| (false, &b[..])) });
            let new = rebuilt(&tree, &tree, &secret, list);
            for (key, body) in changes {
                match body {
                    Some(body) => model.insert(key, body),
                    None => model.remove(&key),
                };
            }
            let expected = fresh(&model, &secret);
            assert!(
                new.pages().map(Page::bytes).eq(expected.pages().map(Page::bytes)),
                "round {round}: {} pages, {} expected",
                new.len(),
                expected.len()
            );
            tree = new;
        }
        assert!(tree.len() > 30);
    }

    #[test]
    fn names_ground_against_the_secret_leave_no_trace_of_history_either() {
        let secret = BorderSecret::new([5; 16]);
        // All keys are borders, too near to each other: pages end where they are largest.
        let keys = (0..120_000).map(|n| format!("{n:06}\0").into_bytes());
        let keys: Vec<Vec<u8>> = keys.filter(|key| secret.hash(key).is_border()).collect();
        let mut model: Model = keys.iter().step_by(2).map(|key| (key.clone(), vec![1; 30])).collect();
        assert!((2..10).contains(&fresh(&model, &secret).len()));
        let mut seed = 7;
        for round in 0..20 {
            let mut new = model.clone();
            for _ in 0..=round % 4 {
                let key = &keys[chance(&mut seed) as usize % keys.len()];
                if new.remove(key).is_none() {
                    new.insert(key.clone(), vec![2; 1 + chance(&mut seed) as usize % 300]);
                }
            }
            assert_change(&model, &new, &secret);
            model = new;
        }
    }

    /// Owners in order with the weights given; `true`: a natural border stands behind the key.
    fn owners(secret: &BorderSecret, plan: &[(bool, usize)]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut number = 0;
        let mut next = |border: bool| {
            loop {
                number += 1;
                let key = format!("{number:06}\0").into_bytes();
                if secret.hash(&key).is_border() == border {
                    return key;
                }
            }
        };
        plan.iter().map(|&(border, weight)| (next(border), vec![1; weight - 7])).collect()
    }

    fn assert_change(old: &Model, new: &Model, secret: &BorderSecret) {
        let keys: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
        let changed = keys.into_iter().filter(|key| old.get(*key) != new.get(*key));
        let changes = changed.map(|key| Change { key, body: new.get(key).map(|body| (false, &body[..])) });
        let tree = fresh(old, secret);
        let (got, expected) = (rebuilt(&tree, &tree, secret, changes), fresh(new, secret));
        assert!(got.pages().map(Page::bytes).eq(expected.pages().map(Page::bytes)));
    }

    #[test]
    fn without_its_giant_a_page_goes_on_behind_a_border_too_near() {
        let secret = BorderSecret::new([5; 16]);
        let all = owners(&secret, &[(false, 100), (true, 100), (false, MOST), (false, 100), (true, 600)]);
        let with: Model = all.iter().cloned().collect();
        let mut without = with.clone();
        without.remove(&all[2].0);
        assert_eq!((fresh(&with, &secret).len(), fresh(&without, &secret).len()), (3, 1));
        assert_change(&with, &without, &secret);
        assert_change(&without, &with, &secret);
    }

    #[test]
    fn old_and_new_agree_only_behind_a_border_of_both() {
        let secret = BorderSecret::new([5; 16]);
        let plan = [
            (false, 300),
            (true, 20),
            (false, 8000),
            (false, 200),
            (true, 100),
            (false, 300),
            (true, 300),
            (false, 50),
        ];
        let all = owners(&secret, &plan);
        let old: Model = all.iter().cloned().collect();
        // The border behind the second is kept now, and the owner that the cap cut behind is gone.
        let mut new = old.clone();
        new.insert(all[0].0.clone(), vec![2; 600]);
        new.remove(&all[2].0);
        assert_change(&old, &new, &secret);
        assert_change(&new, &old, &secret);
    }

    #[test]
    fn a_giant_behind_a_border_and_what_is_around_it_change_in_any_combination() {
        let secret = BorderSecret::new([5; 16]);
        for plan in [
            vec![(false, 300), (true, 600), (false, MOST), (false, 100), (true, 600)],
            vec![(true, 600), (false, 300), (true, 600), (false, MOST), (false, MOST), (true, 600)],
        ] {
            let all = owners(&secret, &plan);
            let old: Model = all.iter().cloned().collect();
            for changed in 1_u32..1 << all.len() {
                let mut new = old.clone();
                let others = all.iter().enumerate().filter(|(at, _)| changed >> at & 1 == 1);
                new.extend(others.map(|(_, (key, body))| (key.clone(), vec![2; body.len()])));
                assert_change(&old, &new, &secret);
                let kept = old.iter().zip(0..).filter(|(_, at)| changed >> at & 1 == 0);
                let fewer: Model = kept.map(|((key, body), _)| (key.clone(), body.clone())).collect();
                assert_change(&old, &fewer, &secret);
                assert_change(&fewer, &old, &secret);
            }
        }
    }

    #[test]
    fn a_change_of_one_owner_rewrites_few_pages() {
        let secret = BorderSecret::new([5; 16]);
        let model: Model = (0..20_000).map(|n| (format!("{n:06}\0").into_bytes(), vec![1; 30])).collect();
        let tree = fresh(&model, &secret);
        let change = Change { key: b"010000x\0", body: Some((false, b"new")) };
        let new = rebuilt(&tree, &tree, &secret, std::iter::once(change));
        let old: std::collections::HashSet<_> = tree.pages().map(|page| page.bytes().as_ptr()).collect();
        let written = new.pages().filter(|page| !old.contains(&page.bytes().as_ptr())).count();
        assert!((1..=2).contains(&written), "{written} of {}", new.len());
    }
}
