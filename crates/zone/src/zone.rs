//! One version of a zone.

use crate::border::BorderSecret;
use crate::digest::Summary;
use crate::node::Node;
use crate::nsec3;
use crate::page::{Entry, Page};
use crate::pieces::have_an_owner_in_common;
use crate::tree::{self, Tree as PageTree};
use secondo_wire::{Name, RecordType, Serial, Soa};
use std::any::Any;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// A version of a zone in shared hands; cheap to clone.
#[derive(Clone)]
pub struct Zone(Arc<Version>);

/// One immutable version of a zone, shared between threads.
pub struct Version {
    apex: Name,
    secret: BorderSecret,
    soa: Soa,
    soa_ttl: u32,
    /// As received.
    soa_rdata: Box<[u8]>,
    main: PageTree,
    hashed: PageTree,
    summary: Summary,
    /// Its first page, which holds the apex.
    first: Page,
    /// Depths at which there may be a cut or a DNAME.
    diverting: u128,
    /// Bit n: the apex holds records of type n.
    apex_types: u64,
    /// See [`Version::made`].
    made: OnceLock<Box<dyn Any + Send + Sync>>,
    /// Whether somebody makes it, or has made it.
    is_claimed: AtomicBool,
}

/// Size of a version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Owner names.
    pub names: u64,
    /// Records.
    pub records: u64,
    /// Octets of all records in uncompressed wire form.
    pub wire_bytes: u64,
    /// Pages of both trees.
    pub pages: u64,
    /// Octets in memory, those shared with other versions included; without what is [`Version::made`], so that it stays the same.
    pub memory_bytes: u64,
}

/// Which tree a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tree {
    /// All owners but those of the other.
    Main,
    /// Owners one label below the apex that hold nothing but NSEC3 and its signatures.
    Nsec3,
}

impl Zone {
    /// Puts a version together; `None` without a SOA at the apex.
    pub(crate) fn assemble(
        apex: Name,
        secret: BorderSecret,
        main: PageTree,
        hashed: PageTree,
        summary: Summary,
    ) -> Option<Zone> {
        let first = main.first()?.clone();
        let node = first.view().first().filter(|entry| entry.key_len() == 0)?;
        let node = Node::new(node, apex.as_ref());
        let set = node.rrset(RecordType::SOA)?;
        let rdata = set.rdatas().next()?;
        let types = node.rrsets().map(|set| set.rtype().0);
        let apex_types = types.filter(|&rtype| rtype < 64).fold(0, |types, rtype| types | 1 << rtype);
        let owners = |tree: &PageTree| tree.pages().map(|page| page.view().len() as u64).sum::<u64>();
        debug_assert_eq!(owners(&main) + owners(&hashed), summary.names, "what is counted is what is there");
        let is_small = hashed.len() <= 16;
        debug_assert!(
            !(is_small && have_an_owner_in_common(&main, &hashed, usize::MAX)),
            "an owner is in one tree"
        );
        let (soa, soa_ttl, soa_rdata) = (Soa::from_rdata(rdata)?, set.ttl(), rdata.into());
        let diverting = summary.diversions.depths();
        let version = Version {
            apex,
            secret,
            soa,
            soa_ttl,
            soa_rdata,
            main,
            hashed,
            summary,
            first,
            diverting,
            apex_types,
            made: OnceLock::new(),
            is_claimed: AtomicBool::new(false),
        };
        Some(Zone(Arc::new(version)))
    }

    /// Shares it with whoever holds versions by one pointer.
    pub fn into_shared(self) -> Arc<Version> {
        self.0
    }
}

impl From<Arc<Version>> for Zone {
    fn from(version: Arc<Version>) -> Zone {
        Zone(version)
    }
}

impl Deref for Zone {
    type Target = Version;

    fn deref(&self) -> &Version {
        &self.0
    }
}

impl Version {
    /// The zone's name, in the spelling given when it was built.
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// The SOA.
    pub fn soa(&self) -> &Soa {
        &self.soa
    }

    /// RDATA of the SOA, uncompressed, as received.
    pub fn soa_rdata(&self) -> &[u8] {
        &self.soa_rdata
    }

    /// TTL of the SOA, seconds.
    pub fn soa_ttl(&self) -> u32 {
        self.soa_ttl
    }

    /// The version's serial.
    pub fn serial(&self) -> Serial {
        self.soa.serial
    }

    /// Its size.
    pub fn counts(&self) -> Counts {
        let Summary { names, records, wire_bytes, .. } = self.summary;
        let own = std::mem::size_of::<Version>() + self.apex.as_wire().len() + 3 * self.soa_rdata.len();
        Counts {
            names,
            records,
            wire_bytes,
            pages: self.main.len() + self.hashed.len(),
            memory_bytes: self.main.memory() + self.hashed.memory() + own as u64,
        }
    }

    /// Digest of the content: equal for equal records whatever their spelling, the page borders and the history. It
    /// protects against accident, not against somebody who chooses records to make digests equal.
    pub fn digest(&self) -> [u8; 32] {
        self.summary.digest.octets()
    }

    /// What decides where pages end.
    pub fn secret(&self) -> &BorderSecret {
        &self.secret
    }

    /// What somebody made of this version when it was first needed, kept as long as the version is. There is place for a thing of
    /// one type; `None` for others, and while it is being made: the first who asks makes it, nobody waits, and it is made once.
    #[inline]
    pub fn made<T: Any + Send + Sync>(&self, make: impl FnOnce(&Version) -> T) -> Option<&T> {
        match self.made.get() {
            Some(made) => made.downcast_ref(),
            None => self.make(make),
        }
    }

    #[cold]
    fn make<T: Any + Send + Sync>(&self, make: impl FnOnce(&Version) -> T) -> Option<&T> {
        if self.is_claimed.swap(true, Ordering::Relaxed) {
            return None;
        }
        // Only who has the claim comes here, so that there is nobody to wait for.
        self.made.get_or_init(|| Box::new(make(self))).downcast_ref()
    }

    /// The node of exactly this key ([`secondo_wire::KeyBuf`]); never a hashed owner.
    #[inline]
    pub fn find(&self, key: &[u8]) -> Option<Node<'_>> {
        let page = self.main.locate(key)?.page;
        page.touch();
        let entry = page.view().find(key, self.secret.hash(key).fingerprint())?;
        Some(self.node(entry.touch()))
    }

    /// Bit n: a node n labels below the apex may hold a cut (NS below the apex) or a DNAME; where it is clear, none does.
    pub fn diverting_depths(&self) -> u128 {
        self.diverting
    }

    /// Whether any wildcard exists (RFC 4592 §2.1.1), be it an empty non-terminal.
    pub fn has_wildcards(&self) -> bool {
        self.summary.wild > 0
    }

    /// Whether the apex holds records of a type.
    pub fn apex_has(&self, rtype: RecordType) -> bool {
        match rtype.0 {
            0..64 => self.apex_types >> rtype.0 & 1 == 1,
            _ => self.apex_node().has(rtype),
        }
    }

    /// The node of the apex.
    pub fn apex_node(&self) -> Node<'_> {
        let first = self.first.view().first();
        self.node(first.unwrap_or(Entry { prefix: &[], suffix: &[], spelled: false, body: &[] }))
    }

    /// Has the page fetched from memory that [`Version::hashed_at_or_before`] will read for `key`.
    pub fn approach_hashed(&self, key: &[u8]) {
        let _spot = nsec3::approach(&self.hashed, key);
    }

    /// The hashed owner (RFC 5155 §3) at `key` or before it, around the end of the chain if need be: the one that
    /// matches or covers. `None` in a zone without NSEC3.
    pub fn hashed_at_or_before(&self, key: &[u8]) -> Option<Node<'_>> {
        nsec3::at_or_before(&self.hashed, key, self.apex.as_ref())
    }

    /// All nodes in canonical order, both trees merged.
    pub fn nodes(&self) -> Nodes<'_> {
        Nodes { zone: self, main: Entries::new(&self.main), hashed: Entries::new(&self.hashed) }
    }

    /// The nodes at `key` and behind it in canonical order, both trees merged: where a transfer goes on.
    pub fn nodes_from(&self, key: &[u8]) -> Nodes<'_> {
        Nodes {
            zone: self,
            main: Entries::from_key(&self.main, key),
            hashed: Entries::from_key(&self.hashed, key),
        }
    }

    /// The pages for the disk: those of the main tree, then those of the other, each in order.
    pub fn pages(&self) -> impl Iterator<Item = (Tree, &[u8])> {
        let main = self.main.pages().map(|page| (Tree::Main, page.bytes()));
        main.chain(self.hashed.pages().map(|page| (Tree::Nsec3, page.bytes())))
    }

    pub(crate) fn main(&self) -> &PageTree {
        &self.main
    }

    pub(crate) fn hashed(&self) -> &PageTree {
        &self.hashed
    }

    pub(crate) fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The node of this key in either tree.
    pub(crate) fn find_anywhere(&self, key: &[u8]) -> Option<(Tree, Node<'_>)> {
        if let Some(node) = self.find(key) {
            return Some((Tree::Main, node));
        }
        let spot = self.hashed.locate(key)?;
        let entry = spot.page.view().find(key, self.secret.hash(key).fingerprint())?;
        Some((Tree::Nsec3, self.node(entry)))
    }

    pub(crate) fn node<'z>(&'z self, entry: Entry<'z>) -> Node<'z> {
        Node::new(entry, self.apex.as_ref())
    }
}

impl std::fmt::Debug for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Zone").field(&self.0).finish()
    }
}

impl std::fmt::Debug for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Version")
            .field("apex", &self.apex)
            .field("serial", &self.serial())
            .finish_non_exhaustive()
    }
}

/// Two zones are equal when their names, ignoring case, and their pages are.
impl PartialEq for Zone {
    fn eq(&self, other: &Zone) -> bool {
        self.apex() == other.apex() && self.pages().eq(other.pages())
    }
}

impl Eq for Zone {}

/// The nodes of a zone. See [`Version::nodes`].
pub struct Nodes<'z> {
    zone: &'z Version,
    main: Entries<'z>,
    hashed: Entries<'z>,
}

impl<'z> Iterator for Nodes<'z> {
    type Item = Node<'z>;

    fn next(&mut self) -> Option<Node<'z>> {
        let from = match (&self.main.next, &self.hashed.next) {
            (Some(main), Some(hashed)) if hashed.cmp_entry(main).is_lt() => &mut self.hashed,
            (None, Some(_)) => &mut self.hashed,
            _ => &mut self.main,
        };
        from.advance().map(|entry| self.zone.node(entry))
    }
}

/// The owners of a tree, page by page; a page that both have can be passed over.
pub(crate) struct Entries<'t> {
    pages: tree::Pages<'t>,
    page: Option<&'t Page>,
    /// The next owner.
    pub(crate) next: Option<Entry<'t>>,
    /// Its place in the page.
    at: usize,
}

impl<'t> Entries<'t> {
    pub(crate) fn new(tree: &'t PageTree) -> Entries<'t> {
        let mut entries = Entries { pages: tree.pages(), page: None, next: None, at: 0 };
        entries.turn();
        entries
    }

    /// The owners at `key` and behind it.
    pub(crate) fn from_key(tree: &'t PageTree, key: &[u8]) -> Entries<'t> {
        let mut entries = Entries { pages: tree.pages_from(key), page: None, next: None, at: 0 };
        entries.turn();
        entries.at = entries.page.map_or(0, |page| page.view().rank(key));
        entries.next = entries.page.and_then(|page| page.view().entry(entries.at));
        if entries.next.is_none() {
            entries.turn();
        }
        entries
    }

    /// Takes the next owner.
    pub(crate) fn advance(&mut self) -> Option<Entry<'t>> {
        let taken = self.next?;
        self.at += 1;
        self.next = self.page.and_then(|page| page.view().entry(self.at));
        if self.next.is_none() {
            self.turn();
        }
        Some(taken)
    }

    /// The page, if none of its owners has been taken yet.
    pub(crate) fn whole_page(&self) -> Option<&'t Page> {
        self.page.filter(|_| self.at == 0)
    }

    /// Goes on with the next page.
    pub(crate) fn turn(&mut self) {
        self.page = self.pages.next();
        self.at = 0;
        self.next = self.page.and_then(|page| page.view().first());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Builder, Limits};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    fn zone() -> Zone {
        let apex: Name = "example.".parse().unwrap();
        let (mname, rname) = (apex.clone(), apex.clone());
        let soa = Soa { mname, rname, serial: Serial(7), refresh: 1, retry: 2, expire: 3, minimum: 4 };
        let mut builder = Builder::new(apex.clone(), &BorderSecret::new([1; 16]), Limits::default());
        builder.push(apex.as_ref(), RecordType::SOA, 300, &soa.to_rdata()).unwrap();
        builder.finish().unwrap().zone
    }

    #[test]
    fn nobody_waits_for_what_another_makes_of_a_version_and_it_is_made_once() {
        let zone = zone();
        let made = zone.made(|version| {
            let (tell, told) = mpsc::channel();
            let other = Zone::from(Arc::clone(&zone.0));
            thread::spawn(move || tell.send(other.made(|_| 0_u32).copied()));
            assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(None), "it goes on without");
            version.serial().0
        });
        assert_eq!(made, Some(&7));
        assert_eq!(zone.made(|_| 8_u32), Some(&7));
        assert_eq!(zone.made(|_| "of another type"), None);
    }

    #[test]
    fn what_is_made_of_a_version_does_not_change_its_size() {
        let zone = zone();
        let before = zone.counts();
        zone.made(|_| vec![7_u8; 1000]);
        assert_eq!(zone.counts(), before);
    }
}
