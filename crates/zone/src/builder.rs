//! Makes a zone of records that come in any order.
//!
//! Records of one owner that come one behind the other are collected; when the next owner comes, they are one body.
//! Owners in canonical order go straight into pages, those of the two trees independently (some primaries send hashed
//! owners among the others, some behind them). An owner out of order is kept aside. Few of those are sorted at the end
//! and worked into the pages that there are, as a change would be; many are sorted in runs as they come, and all is merged
//! at the end ([`merging`]). So a stream in canonical order costs no sorting, one with a few stray owners little, and one
//! in no order at all about twice as much.
//!
//! **Invariant**: each owner that was closed is in the pages of one tree so far, among the strays, or in a run, and `summary`
//! counts it there once for each time it came; at the end it is in one tree, counted once. Asserted of the zone that comes out
//! (`Zone::assemble`), as is the order of what goes into pages ([`PageWriter::push`]).

mod merging;

use crate::border::BorderSecret;
use crate::digest::{Reckoner, Summary};
use crate::limits::{BuildError, Limits, Notes, admit, admit_data};
use crate::node::Node;
use crate::nsec3;
use crate::owner::{Group, MOST_OCTETS};
use crate::page_writer::{PageWriter, Reuse};
use crate::rebuild::{Change, rebuilt};
use crate::run::{PART, RUN, Runs};
use crate::sort::{Folded, Kept, Sorter};
use crate::spill::Spill;
use crate::tree::Tree as PageTree;
use crate::zone::{Entries, Version, Zone};
use secondo_wire::{KeyBuf, Name, NameRef, RecordType};
use std::cmp::Ordering;

/// Collects records and makes a zone of them.
pub struct Builder {
    apex: Name,
    secret: BorderSecret,
    /// The version whose pages are used again.
    previous: Option<Zone>,
    limits: Limits,
    notes: Notes,
    /// The records of the owner that came last.
    group: Group,
    /// Its body, reused.
    body: Vec<u8>,
    main: Run,
    hashed: Run,
    /// Whether an owner of one tree came behind one that stands after it in the other: it may be in both.
    overlap: bool,
    /// Owners out of order, those of the last run.
    strays: Sorter,
    /// Those of the runs before.
    runs: Runs,
    /// Least octets of a run.
    run: usize,
    /// What all owners come to that were closed, strays included.
    summary: Summary,
    reckoner: Reckoner,
}

/// Pages of one tree from owners in canonical order.
struct Run {
    writer: PageWriter,
    /// The last key.
    last: Vec<u8>,
    begun: bool,
}

/// A zone, and what was tolerated while it was made.
#[derive(Debug)]
pub struct Built {
    /// The version.
    pub zone: Zone,
    /// What was tolerated.
    pub notes: Notes,
}

impl Builder {
    /// Begins a zone from nothing. `apex` is spelled as names are to be spelled that came in lower case.
    pub fn new(apex: Name, secret: &BorderSecret, limits: Limits) -> Builder {
        Builder {
            apex,
            secret: secret.clone(),
            previous: None,
            limits,
            notes: Notes::default(),
            group: Group::new(),
            body: Vec::new(),
            main: Run::new(secret, None),
            hashed: Run::new(secret, None),
            overlap: false,
            strays: Sorter::default(),
            runs: Runs::default(),
            run: RUN,
            summary: Summary::default(),
            reckoner: Reckoner::default(),
        }
    }

    /// Begins a version of a zone that we have: each page that comes out equal is shared with `previous` at once.
    pub fn reusing(previous: &Zone, limits: Limits) -> Builder {
        let mut builder = Builder::new(previous.apex().clone(), previous.secret(), limits);
        builder.previous = Some(previous.clone());
        builder.main = Run::new(previous.secret(), Some(Reuse::new(previous.main())));
        builder.hashed = Run::new(previous.secret(), Some(Reuse::new(previous.hashed())));
        builder
    }

    /// Gives a place for owners that come out of order, used beyond `keep` octets of them in memory. Without one, or when
    /// it cannot take them, they stay in memory, about as many octets as the pages that they will be. For streams in
    /// canonical order it is never used.
    pub fn spill_to(&mut self, place: Box<dyn Spill>, keep: usize) {
        self.runs.spill_to(place, keep);
    }

    /// Adds a record of class IN with uncompressed RDATA; records come in any order, equal ones become one.
    ///
    /// An error leaves the builder as it was, but for limits: behind those it is of no further use.
    pub fn push(
        &mut self,
        owner: NameRef<'_>,
        rtype: RecordType,
        ttl: u32,
        rdata: &[u8],
    ) -> Result<(), BuildError> {
        if !self.group.is_empty() && owner.as_wire() == self.group.name.as_ref().as_wire() {
            admit_data(owner, rtype, rdata, self.group.key.as_slice())?;
        } else {
            let mut key = KeyBuf::new();
            admit(self.apex.as_ref(), owner, rtype, rdata, &mut key)?;
            if self.group.is_empty() {
                (self.group.key, self.group.name) = (key, Default::default());
                self.group.name.set(owner);
            } else if key.as_slice() == self.group.key.as_slice() {
                self.group.spell(owner);
            } else {
                self.close()?;
                self.group.key.set_key(key.as_slice());
                self.group.name.set(owner);
            }
        }
        self.group.push(rtype, ttl, rdata);
        if self.group.is_due() {
            self.group.settle(&self.limits, &mut self.notes)?;
            let (records, bytes) = (self.group.len() as u64, self.group.wire_bytes());
            self.bound(records, bytes, rtype)?;
            if self.group.is_too_large() {
                let owner = owner.to_owned();
                return Err(BuildError::LimitBytes { owner, rtype, limit: MOST_OCTETS as u64 });
            }
        }
        Ok(())
    }

    /// Makes the zone, which must have exactly one SOA.
    pub fn finish(mut self) -> Result<Built, BuildError> {
        if !self.group.is_empty() {
            self.close()?;
        }
        let mut main = PageTree::from_pages(self.main.writer.take_pages());
        let mut hashed = PageTree::from_pages(self.hashed.writer.take_pages());
        if !self.runs.is_empty() {
            [main, hashed] = self.merged(main, hashed)?;
        } else if self.overlap {
            self.find_owners_in_both(&main, &hashed);
        }
        if self.strays.len() > 0 {
            let built = (self.summary.names as usize).saturating_sub(self.strays.len());
            if built < self.strays.len() / 4 {
                // The stream is far from canonical order: what has been built is little, and is sorted with the rest.
                self.take_apart(std::mem::take(&mut main), false);
                self.take_apart(std::mem::take(&mut hashed), true);
            }
            let gone = self.unite(&main, &hashed)?;
            let none = PageTree::default();
            let model = |of: fn(&Version) -> &PageTree| self.previous.as_deref().map_or(&none, of);
            for (tree, gone, of, is_hashed) in [
                (&mut main, &gone.main, model(Version::main), false),
                (&mut hashed, &gone.hashed, model(Version::hashed), true),
            ] {
                let leaving = gone.iter().map(|key| Change { key, body: None });
                *tree = rebuilt(tree, of, &self.secret, leaving);
                let coming = self.strays.of_tree(is_hashed).map(Change::from);
                *tree = rebuilt(tree, of, &self.secret, coming);
            }
        }
        let missing = BuildError::SoaMissing { apex: self.apex.clone() };
        let zone = Zone::assemble(self.apex, self.secret, main, hashed, self.summary).ok_or(missing)?;
        Ok(Built { zone, notes: self.notes })
    }

    /// Makes a body of the records collected and puts it where it belongs.
    fn close(&mut self) -> Result<(), BuildError> {
        self.group.settle(&self.limits, &mut self.notes)?;
        self.body.clear();
        let spelled = self.group.write(self.apex.as_ref(), &mut self.body);
        let mut kept = Kept { key: self.group.key.as_slice(), spelled, hashed: false, body: &self.body };
        let node = kept.node(self.apex.as_ref());
        kept.hashed = nsec3::belongs(kept.key, node.rrsets());
        let summary = self.reckoner.owner(kept.key, node.name_len(), node.rrsets());
        let rtype = node.rrsets().last().map_or(RecordType(0), |set| set.rtype());
        self.bound(summary.records, summary.wire_bytes, rtype)?;
        self.summary.add(&summary);
        let (run, other) =
            if kept.hashed { (&mut self.hashed, &self.main) } else { (&mut self.main, &self.hashed) };
        self.overlap |= other.reaches(kept.key);
        if run.reaches(kept.key) {
            self.strays.push(kept);
            if self.strays.octets() >= self.run.max(self.runs.octets() / PART) {
                self.end_run();
            }
        } else {
            run.push(kept);
        }
        self.group.clear();
        Ok(())
    }

    /// Puts the owners that came out of order since the last run in order, as another one.
    fn end_run(&mut self) {
        self.strays.sort();
        self.runs.push(self.strays.all());
        self.strays.clear();
    }

    /// Checks the limits of the whole zone, with so many records and octets more than are closed.
    fn bound(&self, records: u64, bytes: u64, rtype: RecordType) -> Result<(), BuildError> {
        let owner = || self.group.name.as_ref().to_owned();
        let (max_records, max_bytes) = (self.limits.max_records, self.limits.max_bytes);
        if self.summary.records + records > max_records {
            return Err(BuildError::LimitRecords { owner: owner(), rtype, limit: max_records });
        }
        if self.summary.wire_bytes + bytes > max_bytes {
            return Err(BuildError::LimitBytes { owner: owner(), rtype, limit: max_bytes });
        }
        Ok(())
    }

    /// Keeps aside, without records, each owner that came as a hashed and as an ordinary one.
    fn find_owners_in_both(&mut self, main: &PageTree, hashed: &PageTree) {
        let (mut main, mut hashed) = (Entries::new(main), Entries::new(hashed));
        let mut key = Vec::new();
        while let (Some(ordinary), Some(other)) = (main.next, hashed.next) {
            match ordinary.cmp_entry(&other) {
                Ordering::Less => main.advance(),
                Ordering::Greater => hashed.advance(),
                Ordering::Equal => {
                    other.key_into(&mut key);
                    self.strays.push(Kept { key: &key, spelled: false, hashed: false, body: &[] });
                    // What is added here `unite` takes away.
                    self.summary.add(&self.reckoner.owner(&key, 0, std::iter::empty()));
                    main.advance();
                    hashed.advance()
                }
            };
        }
    }

    /// Keeps the owners of a tree aside with the others.
    fn take_apart(&mut self, tree: PageTree, hashed: bool) {
        let mut key = Vec::new();
        for entry in tree.pages().flat_map(|page| page.view().entries()) {
            entry.key_into(&mut key);
            self.strays.push(Kept { key: &key, spelled: entry.spelled, hashed, body: entry.body });
        }
    }

    /// Makes one owner of each that came several times. Returns those that leave a tree for the other.
    fn unite(&mut self, main: &PageTree, hashed: &PageTree) -> Result<Gone, BuildError> {
        let (apex, secret) = (self.apex.as_ref(), &self.secret);
        let (group, notes, summary, reckoner) =
            (&mut self.group, &mut self.notes, &mut self.summary, &mut self.reckoner);
        let mut gone = Gone::default();
        self.strays.sort();
        // Without pages, owners that came once are what they are.
        let once = main.len() + hashed.len() > 0;
        self.strays.fold(once, |same| {
            let key = same.first().map_or(&[][..], |kept| kept.key);
            let fingerprint = secret.hash(key).fingerprint();
            let built = [main, hashed].map(|tree| tree.locate(key)?.page.view().find(key, fingerprint));
            if same.len() == 1 && built.iter().all(Option::is_none) {
                return Ok::<_, BuildError>(None);
            }
            group.clear();
            let built_nodes = built.iter().flatten().map(|entry| Node::new(*entry, apex));
            for node in built_nodes.chain(same.iter().map(|kept| kept.node(apex))) {
                summary.subtract(&reckoner.owner(key, node.name_len(), node.rrsets()));
                // Those of `find_owners_in_both` have no records, hence no spelling.
                if node.rrsets().next().is_some() {
                    group.pour(&node);
                }
            }
            group.settle(&self.limits, notes)?;
            let mut body = Vec::new();
            let spelled = group.write(apex, &mut body);
            let node = Kept { key, spelled, hashed: false, body: &body }.node(apex);
            summary.add(&reckoner.owner(key, node.name_len(), node.rrsets()));
            let hashed = nsec3::belongs(key, node.rrsets());
            match (hashed, built) {
                (true, [Some(_), _]) => gone.main.push(key.to_vec()),
                (false, [_, Some(_)]) => gone.hashed.push(key.to_vec()),
                _ => {}
            }
            Ok(Some(Folded { key: key.to_vec(), spelled, hashed, body }))
        })?;
        Ok(gone)
    }
}

/// Keys of owners that leave a tree for the other.
#[derive(Default)]
struct Gone {
    main: Vec<Vec<u8>>,
    hashed: Vec<Vec<u8>>,
}

impl Run {
    fn new(secret: &BorderSecret, reuse: Option<Reuse>) -> Run {
        Run { writer: PageWriter::new(secret, reuse), last: Vec::new(), begun: false }
    }

    /// Whether an owner at or behind `key` has been written.
    fn reaches(&self, key: &[u8]) -> bool {
        self.begun && self.last[..] >= *key
    }

    fn push(&mut self, owner: Kept<'_>) {
        self.writer.push(owner.key, owner.spelled, owner.body);
        self.last.clear();
        self.last.extend_from_slice(owner.key);
        self.begun = true;
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("apex", &self.apex)
            .field("records", &self.summary.records)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secondo_wire::{Reason, Soa};

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn soa(serial: u32) -> Vec<u8> {
        let (mname, rname) = (name("ns.example."), name("Host.example."));
        Soa { mname, rname, serial: serial.into(), refresh: 1, retry: 2, expire: 3, minimum: 4 }.to_rdata()
    }

    fn builder(limits: Limits) -> Builder {
        let mut builder = Builder::new(name("example."), &BorderSecret::new([1; 16]), limits);
        builder.push(name("example.").as_ref(), RecordType::SOA, 3600, &soa(1)).unwrap();
        builder
    }

    fn reason(records: &[(&str, u16, &[u8])], limits: Limits) -> Option<Reason> {
        let mut builder = builder(limits);
        for &(owner, rtype, rdata) in records {
            if let Err(error) = builder.push(name(owner).as_ref(), RecordType(rtype), 300, rdata) {
                return Some(error.reason());
            }
        }
        builder.finish().err().map(|error| error.reason())
    }

    #[test]
    fn records_that_cannot_be_zone_data_are_refused() {
        let limits = Limits::default();
        assert_eq!(reason(&[("a.example.", 1, b"abcd")], limits), None);
        assert_eq!(reason(&[("a.example.", 1, b"abc")], limits), Some(Reason::BadRdata));
        assert_eq!(reason(&[("a.example.", 65_280, &vec![0; 65_536])], limits), Some(Reason::BadRdata));
        assert_eq!(reason(&[("a.example.", 46, b"\0")], limits), Some(Reason::BadRdata));
        assert_eq!(reason(&[("a.example.", 255, b"")], limits), Some(Reason::MetaType));
        assert_eq!(reason(&[("a.example.", 6, &soa(1))], limits), Some(Reason::SoaForeign));
        assert_eq!(reason(&[("example.", 6, &soa(2))], limits), Some(Reason::SoaMismatch));
        let mut builder = Builder::new(name("example."), &BorderSecret::new([1; 16]), limits);
        let outside = builder.push(name("example.com.").as_ref(), RecordType::A, 300, b"abcd");
        assert!(matches!(outside, Err(BuildError::OutOfZone { .. })));
        builder.push(name("a.example.").as_ref(), RecordType::A, 300, b"abcd").unwrap();
        assert!(matches!(builder.finish(), Err(BuildError::SoaMissing { .. })));
    }

    #[test]
    fn a_closing_soa_is_a_duplicate_also_in_another_case() {
        let mut builder = builder(Limits::default());
        for n in 0..3000 {
            builder.push(name(&format!("h{n:05}.example.")).as_ref(), RecordType::A, 300, b"abcd").unwrap();
        }
        builder.push(name("EXAMPLE.").as_ref(), RecordType::SOA, 60, &soa(1).to_ascii_lowercase()).unwrap();
        let built = builder.finish().unwrap();
        assert_eq!(built.notes, Notes { duplicates: 1, mixed_ttls: 1 });
        assert_eq!((built.zone.counts().records, built.zone.soa_ttl()), (3001, 60));
    }

    #[test]
    fn a_wildcard_that_came_as_a_hashed_owner_too_is_counted_once() {
        let (wild, nsec3) = (name("*.example."), [1, 0, 0, 0, 0, 1, 0]);
        for rtypes in [[RecordType::NSEC3, RecordType::A], [RecordType::A, RecordType::NSEC3]] {
            let mut builder = builder(Limits::default());
            for rtype in rtypes {
                let rdata = if rtype == RecordType::A { &b"abcd"[..] } else { &nsec3 };
                builder.push(wild.as_ref(), rtype, 300, rdata).unwrap();
                builder.push(name("example.").as_ref(), RecordType::A, 300, b"abcd").unwrap();
            }
            builder.push(name("*.z.example.").as_ref(), RecordType::A, 300, b"abcd").unwrap();
            let zone = builder.finish().unwrap().zone;
            assert_eq!((zone.summary().wild, zone.summary().names), (2, 3), "{rtypes:?}");
        }
    }

    #[test]
    fn limits_hold_while_records_come_and_duplicates_do_not_count() {
        let unlimited = Limits::default();
        let three: [(&str, u16, &[u8]); 4] = [
            ("a.example.", 1, b"aaaa"),
            ("a.example.", 1, b"bbbb"),
            ("a.example.", 1, b"aaaa"),
            ("b.example.", 1, b"aaaa"),
        ];
        assert_eq!(reason(&three, Limits { max_records: 4, ..unlimited }), None);
        assert_eq!(reason(&three, Limits { max_records: 3, ..unlimited }), Some(Reason::LimitRecords));
        assert_eq!(reason(&three, Limits { rrset_records: 2, ..unlimited }), None);
        assert_eq!(reason(&three, Limits { rrset_records: 1, ..unlimited }), Some(Reason::LimitRrset));
        let octets = (9 + 10 + soa(1).len() + 3 * (11 + 10 + 4)) as u64;
        assert_eq!(reason(&three, Limits { max_bytes: octets, ..unlimited }), None);
        assert_eq!(reason(&three, Limits { max_bytes: octets - 1, ..unlimited }), Some(Reason::LimitBytes));
        // One owner without end is stopped before it ends.
        let mut endless = builder(Limits { max_records: 1000, ..unlimited });
        let refused_at = (0..100_000u32).position(|n| {
            endless.push(name("a.example.").as_ref(), RecordType::A, 300, &n.to_be_bytes()).is_err()
        });
        assert!(refused_at.is_some_and(|at| at < 5000), "{refused_at:?}");
    }

    #[test]
    fn an_owner_may_come_as_a_hashed_one_first_and_get_other_records_later() {
        let nsec3 = [1, 0, 0, 0, 0, 1, 7];
        let build = |order: [usize; 4]| {
            let mut builder = builder(Limits::default());
            let records: [(&str, u16, &[u8]); 4] = [
                ("x.example.", 50, &nsec3),
                ("a.example.", 1, b"aaaa"),
                ("X.example.", 1, b"aaaa"),
                ("z.example.", 50, &nsec3),
            ];
            for at in order {
                let (owner, rtype, rdata) = records[at];
                builder.push(name(owner).as_ref(), RecordType(rtype), 300, rdata).unwrap();
            }
            builder.finish().unwrap().zone
        };
        let zone = build([0, 1, 2, 3]);
        assert_eq!(
            zone.pages().map(|(tree, _)| tree).collect::<Vec<_>>(),
            [crate::Tree::Main, crate::Tree::Nsec3]
        );
        assert!(zone.find(b"x\0").is_some() && zone.find(b"z\0").is_none());
        assert_eq!(zone.counts().names, 4);
        for order in [[2, 1, 0, 3], [3, 0, 1, 2], [1, 2, 3, 0], [0, 3, 2, 1]] {
            let other = build(order);
            assert!(
                other == zone && other.digest() == zone.digest() && other.counts() == zone.counts(),
                "{order:?}"
            );
        }
    }
}
