//! Takes pages from a disk: everything that the rest of the crate relies on is checked, whatever the octets.
//!
//! A checksum says that a page is what was written; this says that it is a page. What passes is what
//! [`crate::page_writer`] writes of the same records: a zone from pages and a fresh build of its content have equal pages.

use crate::border::{BorderSecret, Cutter};
use crate::digest::{Reckoner, Summary};
use crate::node::{Node, Rrsets, name_len, spelling_len};
use crate::nsec3;
use crate::owner::is_spelling;
use crate::page::{Entry, Page, View};
use crate::pieces::{self, PIECE};
use crate::rrset::{Rrset, covered};
use crate::tree::Tree as PageTree;
use crate::zone::{Tree, Zone};
use secondo_wire::{MAX_LABEL, MAX_NAME, Name, NameRef, RecordType, Soa, rdata};
use std::sync::Arc;

/// What is wrong with pages from a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("page {page} of the {tree:?} tree is damaged: {what}")]
pub struct Damage {
    /// Which tree.
    pub tree: Tree,
    /// Which page of it, counted from 0.
    pub page: u64,
    /// What is wrong.
    pub what: &'static str,
}

pub(crate) type Checked<T> = Result<T, &'static str>;

impl Zone {
    /// Makes a version of pages as [`Version::pages`](crate::Version::pages) gave them, in the same order within each tree.
    ///
    /// Structure, order, borders, fingerprints and RDATA are checked; counts and digest are reckoned anew. Large zones
    /// are checked by several threads, which are gone when this returns.
    pub fn from_pages<P: Into<Arc<[u8]>>>(
        apex: Name,
        secret: &BorderSecret,
        pages: impl IntoIterator<Item = (Tree, P)>,
    ) -> Result<Zone, Damage> {
        let (mut main, mut hashed) = (Vec::new(), Vec::new());
        for (tree, octets) in pages {
            // Checked right below; until then only views look at it, which rely on nothing.
            let page = Page::from_checked(octets.into());
            if tree == Tree::Main { main.push(page) } else { hashed.push(page) }
        }
        let summary = pieces::checked(apex.as_ref(), secret, &main, &hashed)?;
        let (main, hashed) = (PageTree::from_pages(main), PageTree::from_pages(hashed));
        let damage = |what| Damage { tree: Tree::Main, page: 0, what };
        if pieces::have_an_owner_in_common(&main, &hashed, PIECE) {
            return Err(damage("an owner is in both trees"));
        }
        Zone::assemble(apex, secret.clone(), main, hashed, summary).ok_or(damage("no SOA at the apex"))
    }
}

/// Consecutive pages of one tree as they are checked, from a place on where what stands before decides nothing but the
/// order.
pub(crate) struct Sequence<'s> {
    tree: Tree,
    apex: NameRef<'s>,
    secret: &'s BorderSecret,
    cutter: Cutter,
    /// Whether a page ends behind the last owner, as far as the owner itself decides.
    closed: bool,
    /// Key of the last owner.
    last: Vec<u8>,
    /// Whether there is none: the tree begins here.
    at_start: bool,
    /// Key of the owner at hand.
    key: Vec<u8>,
    /// Canonical RDATA of the last record and of the one at hand.
    canonical: [Vec<u8>; 2],
    reckoner: Reckoner,
    summary: Summary,
}

impl<'s> Sequence<'s> {
    /// Begins behind the page `before`, or at the beginning of the tree.
    pub(crate) fn new(
        tree: Tree,
        apex: NameRef<'s>,
        secret: &'s BorderSecret,
        before: Option<&Page>,
    ) -> Sequence<'s> {
        let mut last = Vec::new();
        if let Some(owner) = before.and_then(|page| page.view().last()) {
            owner.key_into(&mut last);
        }
        Sequence {
            tree,
            apex,
            secret,
            cutter: Cutter::default(),
            closed: true,
            last,
            at_start: before.is_none(),
            key: Vec::new(),
            canonical: Default::default(),
            reckoner: Reckoner::default(),
            summary: Summary::default(),
        }
    }

    /// What all owners come to, once all pages were taken; an error when another piece follows though the last page does
    /// not end where whatever follows stands on its own.
    pub(crate) fn end(self, another_follows: bool) -> Checked<Summary> {
        if another_follows && !self.closed {
            return Err("a border stands at the wrong place");
        }
        Ok(self.summary)
    }

    /// Checks the next page.
    pub(crate) fn page(&mut self, bytes: &[u8]) -> Checked<()> {
        let view = View::new(bytes).ok_or("its head does not fit")?;
        let count = view.len();
        if count == 0 || !view.is_filled() {
            return Err("its head does not fit");
        }
        let mut common_with_first = view.prefix.len();
        for index in 0..count {
            let entry = view.entry(index).ok_or("an entry does not fit")?;
            entry.key_into(&mut self.key);
            self.owner(&entry, index, count, view.fingerprints[index])?;
            if index + 1 == count
                && let Some(first) = view.first()
            {
                common_with_first = first.common(&self.key);
            }
            std::mem::swap(&mut self.last, &mut self.key);
        }
        if common_with_first == view.prefix.len() { Ok(()) } else { Err("its prefix is not the longest") }
    }

    /// Checks the owner whose key is in `self.key`.
    fn owner(&mut self, entry: &Entry<'_>, index: usize, count: usize, fingerprint: u8) -> Checked<()> {
        let key = &self.key[..];
        if !is_key(key, self.apex) {
            return Err("a key is no name of the zone");
        }
        if !std::mem::take(&mut self.at_start) && self.last[..] >= *key {
            return Err("owners are out of order");
        }
        let hash = self.secret.hash(key);
        if hash.fingerprint() != fingerprint {
            return Err("a fingerprint does not fit");
        }
        let cut = self.cutter.before(entry.weight()) || self.closed;
        if cut != (index == 0) {
            return Err("a border stands at the wrong place");
        }
        self.closed = self.cutter.behind(hash, entry.weight());
        if self.closed && index + 1 != count {
            return Err("a border stands at the wrong place");
        }
        if entry.spelled {
            let length = spelling_len(name_len(key, self.apex));
            if !entry.body.get(..length).is_some_and(|bits| is_spelling(bits, key, self.apex)) {
                return Err("a spelling does not fit");
            }
        }
        let node = Node::new(*entry, self.apex);
        sets(key, node.rrsets(), &mut self.canonical)?;
        if nsec3::belongs(key, node.rrsets()) != (self.tree == Tree::Nsec3) {
            return Err("an owner is in the wrong tree");
        }
        self.summary.add(&self.reckoner.owner(key, node.name_len(), node.rrsets()));
        Ok(())
    }
}

/// Checks the RRsets of an owner.
fn sets(key: &[u8], sets: Rrsets<'_>, canonical: &mut [Vec<u8>; 2]) -> Checked<()> {
    let mut bytes = sets.rest();
    let mut last = None;
    while let Some(&head) = bytes.first() {
        let (set, rest) = Rrset::take(bytes).ok_or("an RRset does not fit")?;
        if !set.is_shortest(head) {
            return Err("an RRset is not in its shortest form");
        }
        if last.is_some_and(|last| last >= set.place()) {
            return Err("RRsets are out of order");
        }
        if set.rtype().is_meta() || set.rtype() == RecordType::SOA && !(key.is_empty() && set.len() == 1) {
            return Err("a type does not belong there");
        }
        records(&set, canonical)?;
        (last, bytes) = (Some(set.place()), rest);
    }
    last.map(drop).ok_or("an owner has no records")
}

/// Checks the records of an RRset.
fn records(set: &Rrset<'_>, canonical: &mut [Vec<u8>; 2]) -> Checked<()> {
    let folds = rdata::folds(set.rtype());
    let covers = set.covered();
    let mut rdatas = set.rdatas();
    let mut before: Option<&[u8]> = None;
    for _ in 0..set.len() {
        let rdata = rdatas.next().ok_or("a record does not fit")?;
        let fits = rdata.len() <= usize::from(u16::MAX) && rdata::validate(set.rtype(), rdata).is_ok();
        if !fits || covers.is_some_and(|covers| covers != covered(rdata)) {
            return Err("RDATA does not fit its type");
        }
        if set.rtype() == RecordType::SOA && Soa::from_rdata(rdata).is_none() {
            return Err("RDATA does not fit its type");
        }
        let ascending = match before {
            None => true,
            Some(before) if folds => {
                let [one, two] = canonical;
                rdata::canonical(set.rtype(), before, one);
                rdata::canonical(set.rtype(), rdata, two);
                *one < *two
            }
            Some(before) => before < rdata,
        };
        if !ascending {
            return Err("records are out of order");
        }
        before = Some(rdata);
    }
    if rdatas.rest().is_empty() { Ok(()) } else { Err("a record does not fit") }
}

/// Whether octets are the key of a name in the zone at `apex`.
fn is_key(key: &[u8], apex: NameRef<'_>) -> bool {
    let mut length = apex.as_wire().len();
    let mut label = 0;
    let mut octets = key.iter();
    while let Some(&octet) = octets.next() {
        match octet {
            0 if label == 0 => return false,
            0 => {
                length += label + 1;
                label = 0;
                continue;
            }
            1 if !matches!(octets.next(), Some(1 | 2)) => return false,
            b'A'..=b'Z' => return false,
            _ => label += 1,
        }
        if label > MAX_LABEL {
            return false;
        }
    }
    label == 0 && length <= MAX_NAME
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rrset;
    use secondo_wire::Serial;

    const SECRET: [u8; 16] = [4; 16];

    /// A page by hand: `spoil` sees its parts before they are joined.
    #[derive(Clone)]
    struct Plan {
        width: u8,
        prefix: usize,
        /// Key, whether spelled, body.
        owners: Vec<(Vec<u8>, bool, Vec<u8>)>,
        fingerprint: u8,
    }

    fn set(rtype: u16, ttl: u32, rdatas: &[&[u8]]) -> Vec<u8> {
        let mut out = vec![];
        rrset::put(&mut out, RecordType(rtype), ttl, rdatas.iter().copied());
        out
    }

    fn plan() -> Plan {
        let (mname, rname) = (Name::root(), Name::root());
        let soa = Soa { mname, rname, serial: Serial(1), refresh: 1, retry: 2, expire: 3, minimum: 4 };
        let owners = vec![
            (vec![], false, set(6, 300, &[&soa.to_rdata()])),
            (b"a\0".to_vec(), false, set(2, 300, &[b"\x01M\0", b"\x01n\0"])),
            (b"b\0".to_vec(), false, set(1, 300, &[b"abcd"])),
        ];
        Plan { width: 2, prefix: 0, owners, fingerprint: 0 }
    }

    impl Plan {
        fn page(&self) -> Vec<u8> {
            let secret = BorderSecret::new(SECRET);
            let count = self.owners.len();
            let prefix = &self.owners[0].0[..self.prefix];
            let mut out = vec![crate::page::VERSION, self.width];
            out.extend((prefix.len() as u16).to_le_bytes());
            out.extend((count as u32).to_le_bytes());
            out.extend(self.owners.iter().map(|(key, ..)| secret.hash(key).fingerprint() ^ self.fingerprint));
            let suffixes: Vec<&[u8]> = self.owners.iter().map(|(key, ..)| &key[prefix.len()..]).collect();
            let width = usize::from(self.width);
            let mut at = 0;
            for (suffix, (_, spelled, _)) in suffixes.iter().zip(&self.owners) {
                out.extend(&(at << 1 | u32::from(*spelled)).to_le_bytes()[..width]);
                at += suffix.len() as u32;
            }
            for (_, _, body) in &self.owners {
                out.extend(&at.to_le_bytes()[..width]);
                at += body.len() as u32;
            }
            let bodies: Vec<u8> = self.owners.iter().flat_map(|(_, _, body)| body).copied().collect();
            [&out[..], prefix, &suffixes.concat(), &bodies].concat()
        }

        fn load(&self, tree: Tree) -> Result<Zone, &'static str> {
            let apex = Name::parse("example.").unwrap();
            Zone::from_pages(apex, &BorderSecret::new(SECRET), [(tree, self.page())])
                .map_err(|damage| damage.what)
        }

        fn with(mut self, at: usize, body: Vec<u8>) -> Plan {
            self.owners[at].2 = body;
            self
        }
    }

    #[test]
    fn a_page_of_good_parts_is_taken() {
        let zone = plan().load(Tree::Main).unwrap();
        assert_eq!((zone.counts().names, zone.counts().records), (3, 4));
    }

    #[test]
    fn each_rule_of_a_page_is_checked() {
        let refused = |plan: &Plan| plan.load(Tree::Main).unwrap_err();
        assert_eq!(refused(&Plan { width: 4, ..plan() }), "its head does not fit");
        assert_eq!(refused(&Plan { width: 3, ..plan() }), "its head does not fit");
        assert_eq!(
            refused(&Plan { owners: vec![plan().owners[0].clone(); 2], ..plan() }),
            "owners are out of order"
        );
        assert_eq!(refused(&Plan { fingerprint: 1, ..plan() }), "a fingerprint does not fit");
        assert_eq!(refused(&Plan { owners: plan().owners[1..].to_vec(), ..plan() }), "no SOA at the apex");
        assert_eq!(plan().load(Tree::Nsec3).unwrap_err(), "an owner is in the wrong tree");
        // One owner alone has its whole key as prefix.
        let mut alone = Plan { owners: vec![plan().owners[1].clone()], ..plan() };
        assert_eq!(refused(&alone), "its prefix is not the longest");
        alone.prefix = 2;
        assert_eq!(refused(&alone), "no SOA at the apex");
        for key in [&b"A\0"[..], b"a", b"\0", b"a\0\0", b"\x01\0", b"\x01\x03\0", &[b'a'; 64]] {
            let mut plan = plan();
            plan.owners[1].0 = key.to_vec();
            assert_eq!(refused(&plan), "a key is no name of the zone", "{key:?}");
        }
        // Two pages where one should be.
        let parts = [&plan().owners[..1], &plan().owners[1..]]
            .map(|owners| (Tree::Main, Plan { owners: owners.to_vec(), ..plan() }.page()));
        let apex = Name::parse("example.").unwrap();
        let damage = Zone::from_pages(apex, &BorderSecret::new(SECRET), parts).unwrap_err();
        assert_eq!((damage.page, damage.what), (1, "a border stands at the wrong place"));
        let mut giant = plan();
        giant.owners[1].2 = set(65_280, 300, &[&[0; 9000]]);
        assert_eq!(refused(&giant), "a border stands at the wrong place");
    }

    #[test]
    fn each_rule_of_an_owner_is_checked() {
        let refused = |body: Vec<u8>| plan().with(1, body).load(Tree::Main).unwrap_err();
        assert_eq!(refused(vec![]), "an owner has no records");
        assert_eq!(refused(vec![0xFF]), "an RRset does not fit");
        assert_eq!(refused([set(2, 1, &[b"\0"]), set(1, 1, &[b"abcd"])].concat()), "RRsets are out of order");
        assert_eq!(
            refused([set(1, 1, &[b"abcd"]), set(1, 1, &[b"abcd"])].concat()),
            "RRsets are out of order"
        );
        assert_eq!(refused(set(1, 1, &[b"abcd", b"abcc"])), "records are out of order");
        assert_eq!(refused(set(2, 1, &[b"\x01N\0", b"\x01n\0"])), "records are out of order");
        assert_eq!(refused(set(1, 1, &[b"abc"])), "RDATA does not fit its type");
        assert_eq!(refused(set(6, 1, &[b"abc"])), "a type does not belong there");
        assert_eq!(refused(set(255, 1, &[b"abc"])), "a type does not belong there");
        // Type and TTL written out though the tables have them.
        assert_eq!(refused(b"\xF8\0\x01\x08abcd".to_vec()), "an RRset is not in its shortest form");
        assert_eq!(refused(b"\x0F\x3C\x08abcd".to_vec()), "an RRset is not in its shortest form");
        // One record written as several; a list with octets left over.
        assert_eq!(refused(b"\x08\x03\x05\x04abcd".to_vec()), "an RRset does not fit");
        assert_eq!(refused(b"\x08\x05\x0B\x04abcd\x04abce!".to_vec()), "a record does not fit");
        let signature = |covers: u8| [&[0, covers][..], &[0; 16], b"\0sig"].concat();
        assert_eq!(refused(set(46, 1, &[&signature(1), &signature(2)])), "RDATA does not fit its type");
        let twice = set(6, 1, &[&[0; 22], &[&[0; 21][..], &[1]].concat()]);
        assert_eq!(plan().with(0, twice).load(Tree::Main).unwrap_err(), "a type does not belong there");
    }

    #[test]
    fn a_spelling_has_capitals_where_letters_are() {
        let load = |bits: &[u8]| {
            let mut plan = plan().with(1, [bits, &set(1, 1, &[b"abcd"])].concat());
            plan.owners[1].1 = true;
            plan.load(Tree::Main).map(drop)
        };
        // 1 a 7 e x a m p | l e 0
        assert_eq!(load(&[0b10, 0]), Ok(()));
        for bits in [[0, 0], [0b1, 0], [0b100, 0], [0b10, 0b100], [0b10, 0b1000]] {
            assert_eq!(load(&bits), Err("a spelling does not fit"), "{bits:?}");
        }
    }
}
