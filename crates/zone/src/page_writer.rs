//! Makes pages of owners that come in canonical order.

use crate::border::{BorderSecret, Cutter, LARGEST, MOST};
use crate::page::{self, HEAD, Page, VERSION};
use crate::tree::Tree;
use std::sync::Arc;

/// Collects the owners of one page, closes it where [`Cutter`] says so, goes on with the next.
pub(crate) struct PageWriter {
    secret: BorderSecret,
    cutter: Cutter,
    /// Keys of the page's owners, one behind the other.
    keys: Vec<u8>,
    /// Their bodies.
    bodies: Vec<u8>,
    owners: Vec<Staged>,
    /// The page being put together.
    scratch: Vec<u8>,
    pages: Vec<Page>,
    reuse: Option<Reuse>,
}

struct Staged {
    /// Where the key ends in `keys`.
    key_end: u32,
    /// Where the body ends in `bodies`.
    body_end: u32,
    fingerprint: u8,
    spelled: bool,
}

/// The pages of another version, to be used again where they come out equal.
pub(crate) struct Reuse {
    tree: Tree,
    /// The next page to compare with.
    next: u64,
}

impl Reuse {
    pub(crate) fn new(tree: &Tree) -> Reuse {
        Reuse { tree: tree.clone(), next: 0 }
    }

    /// The page that holds the same octets, if there is one.
    fn equal_to(&mut self, bytes: &[u8]) -> Option<Page> {
        let first = page::View::new(bytes)?.first()?;
        while let Some((_, old)) = self.tree.page_at(self.next) {
            match old.view().first()?.cmp_entry(&first) {
                std::cmp::Ordering::Less => self.next += 1,
                std::cmp::Ordering::Equal if old.bytes() == bytes => {
                    self.next += 1;
                    return Some(old.clone());
                }
                _ => return None,
            }
        }
        None
    }
}

impl PageWriter {
    pub(crate) fn new(secret: &BorderSecret, reuse: Option<Reuse>) -> PageWriter {
        PageWriter {
            secret: secret.clone(),
            cutter: Cutter::default(),
            keys: Vec::new(),
            bodies: Vec::new(),
            owners: Vec::new(),
            scratch: Vec::new(),
            pages: Vec::new(),
            reuse,
        }
    }

    /// Adds an owner, whose key must be greater than the last one's. `body` begins with a spelling if `spelled`.
    pub(crate) fn push(&mut self, key: &[u8], spelled: bool, body: &[u8]) {
        debug_assert!(self.last_key().is_none_or(|last| last < key), "owners come in canonical order");
        let weight = key.len() + body.len();
        if self.cutter.before(weight) {
            self.close();
        }
        let hash = self.secret.hash(key);
        self.keys.extend_from_slice(key);
        self.bodies.extend_from_slice(body);
        self.owners.push(Staged {
            key_end: self.keys.len() as u32,
            body_end: self.bodies.len() as u32,
            fingerprint: hash.fingerprint(),
            spelled,
        });
        let ends = self.cutter.behind(hash, weight);
        debug_assert!(weight > 0 && self.cutter.is_bounded(), "a page is bounded");
        if ends {
            self.close();
        }
    }

    /// Whether the page before is closed behind a natural border, so that what follows does not depend on it.
    pub(crate) fn is_fresh(&self) -> bool {
        self.cutter.is_fresh()
    }

    /// Looks for equal pages from that of `key` on: a run of pages begins there.
    pub(crate) fn seek(&mut self, key: &[u8]) {
        if let Some(reuse) = &mut self.reuse {
            reuse.next = reuse.tree.place_of(key).unwrap_or(0);
        }
    }

    /// All pages.
    #[cfg(test)]
    pub(crate) fn finish(mut self) -> Vec<Page> {
        self.take_pages()
    }

    /// Ends the last page and takes all; what follows begins anew.
    pub(crate) fn take_pages(&mut self) -> Vec<Page> {
        if !self.owners.is_empty() {
            self.close();
        }
        self.cutter = Cutter::default();
        std::mem::take(&mut self.pages)
    }

    fn last_key(&self) -> Option<&[u8]> {
        let start = self.owners.iter().rev().nth(1).map_or(0, |owner| owner.key_end);
        self.owners.last().map(|owner| &self.keys[start as usize..owner.key_end as usize])
    }

    fn close(&mut self) {
        let count = self.owners.len();
        let weight = self.keys.len() + self.bodies.len();
        debug_assert!(
            count == 1 || count > 1 && weight < LARGEST + MOST,
            "a page is bounded whatever the names"
        );
        let first = &self.keys[..self.owners.first().map_or(0, |owner| owner.key_end as usize)];
        let last_start = count.checked_sub(2).map_or(0, |at| self.owners[at].key_end as usize);
        let prefix = page::common(first, &self.keys[last_start..]);
        let suffixes = self.keys.len() - count * prefix;
        let width = page::width(suffixes, suffixes + self.bodies.len());
        let out = &mut self.scratch;
        out.clear();
        out.reserve(HEAD + count * (1 + 2 * width) + prefix + suffixes + self.bodies.len());
        out.extend_from_slice(&[VERSION, width as u8]);
        out.extend_from_slice(&(prefix as u16).to_le_bytes());
        out.extend_from_slice(&(count as u32).to_le_bytes());
        out.extend(self.owners.iter().map(|owner| owner.fingerprint));
        let mut key_start = 0;
        for (index, owner) in self.owners.iter().enumerate() {
            let at = key_start - index * prefix;
            out.extend_from_slice(&((at << 1 | usize::from(owner.spelled)) as u32).to_le_bytes()[..width]);
            key_start = owner.key_end as usize;
        }
        let mut body_start = 0;
        for owner in &self.owners {
            out.extend_from_slice(&((suffixes + body_start) as u32).to_le_bytes()[..width]);
            body_start = owner.body_end as usize;
        }
        out.extend_from_slice(&first[..prefix]);
        let mut key_start = 0;
        for owner in &self.owners {
            out.extend_from_slice(&self.keys[key_start + prefix..owner.key_end as usize]);
            key_start = owner.key_end as usize;
        }
        out.extend_from_slice(&self.bodies);
        debug_assert!(page::View::new(out).is_some_and(page::View::is_sound), "a page is as it must be");
        let reused = self.reuse.as_mut().and_then(|reuse| reuse.equal_to(out));
        self.pages.push(reused.unwrap_or_else(|| Page::from_checked(Arc::from(&out[..]))));
        self.keys.clear();
        self.bodies.clear();
        self.owners.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_beyond_64_kib_has_a_page_of_its_own_with_wide_offsets() {
        let mut writer = PageWriter::new(&BorderSecret::new([3; 16]), None);
        let giant = vec![9; 100_000];
        writer.push(b"a\0", false, b"small");
        writer.push(b"b\0", false, &giant);
        writer.push(b"c\0", true, b"small");
        let pages = writer.finish();
        assert_eq!(pages.len(), 3);
        let view = pages[1].view();
        assert_eq!((view.width(), view.len()), (4, 1));
        assert_eq!(view.entry(0).unwrap().body, giant);
        assert!(pages[2].view().entry(0).unwrap().spelled);
    }

    #[test]
    fn equal_pages_of_another_version_are_used_again() {
        let secret = BorderSecret::new([3; 16]);
        let write = |reuse: Option<Reuse>, changed: u32| {
            let mut writer = PageWriter::new(&secret, reuse);
            for n in 0..2000u32 {
                let body = if n == changed { b"other body" } else { b"a body of 20 octets." as &[u8] };
                writer.push(format!("{n:06}\0").as_bytes(), false, body);
            }
            writer.finish()
        };
        let old = write(None, 9999);
        let tree = Tree::from_pages(old.clone());
        let new = write(Some(Reuse::new(&tree)), 1000);
        let shared = new.iter().filter(|page| old.iter().any(|o| o.is_same(page))).count();
        assert!(old.len() > 20 && shared + 3 >= old.len() && shared < old.len(), "{shared} of {}", old.len());
    }

    /// Sizes of the pages of these keys in octets, ascending; the last, which ends with the zone, left out.
    fn sizes(keys: &[Vec<u8>], secret: &BorderSecret) -> Vec<usize> {
        let mut writer = PageWriter::new(secret, None);
        keys.iter().for_each(|key| writer.push(key, false, &[7; 12]));
        let mut sizes: Vec<usize> = writer.finish().iter().map(|page| page.bytes().len()).collect();
        sizes.pop();
        sizes.sort_unstable();
        sizes
    }

    #[test]
    fn names_ground_against_another_secret_make_the_pages_of_any_names() {
        const NAMES: usize = 6_000;
        let (guessed, real) = (BorderSecret::new([1; 16]), BorderSecret::new([42; 16]));
        let all = || (0..NAMES * 34).map(|n| format!("h{n:08}\0").into_bytes());
        let any: Vec<_> = all().step_by(32).take(NAMES).collect();
        let borders: Vec<_> = all().filter(|key| guessed.hash(key).is_border()).take(NAMES).collect();
        let none = all().filter(|key| !guessed.hash(key).is_border());
        let none: Vec<_> = none.step_by(31).take(NAMES).collect();
        assert_eq!([any.len(), borders.len(), none.len()], [NAMES; 3]);
        let expected = sizes(&any, &real);
        let at = |sizes: &[usize], tenth: usize| sizes[(sizes.len() - 1) * tenth / 10];
        for ground in [&borders, &none] {
            let sizes = sizes(ground, &real);
            for tenth in [1, 3, 5, 7, 9] {
                let ratio = at(&sizes, tenth) as f64 / at(&expected, tenth) as f64;
                assert!((0.7..1.4).contains(&ratio), "at {tenth} of ten: {sizes:?}, {expected:?}");
            }
            assert!(sizes[sizes.len() - 1] < MOST, "{sizes:?}");
        }
        // Against the secret itself they make larger ones, within the bounds: beside key and body an owner takes 5 octets.
        let most = |keys: &[Vec<u8>]| sizes(keys, &guessed).last().copied().unwrap_or_default();
        let octets = |weight: usize| HEAD + weight + 5 * weight / (10 + 12);
        assert!(most(&none) <= octets(MOST), "{}", most(&none));
        assert!((LARGEST / 2..octets(LARGEST + MOST)).contains(&most(&borders)), "{}", most(&borders));
    }
}
