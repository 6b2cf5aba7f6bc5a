//! First bodies of the contract over sorted maps.
use secondo_wire::{
    KeyBuf, Name, NameBuf, NameRef, Reason, RecordType, Serial, Soa, key_common_labels, name_of_key, rdata,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Secret of the page borders, kept by the store.
#[derive(Clone)]
pub struct BorderSecret([u8; 16]);
impl BorderSecret {
    /// Takes 16 octets of chance.
    pub fn new(octets: [u8; 16]) -> BorderSecret {
        BorderSecret(octets)
    }
    /// The octets, for the disk.
    pub fn octets(&self) -> &[u8; 16] {
        &self.0
    }
}
impl std::fmt::Debug for BorderSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BorderSecret(…)")
    }
}

/// Bounds of a zone, enforced while it is received.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Octets of the zone as uncompressed records on the wire.
    pub max_bytes: u64,
    /// Records.
    pub max_records: u64,
    /// Records of one RRset.
    pub rrset_records: u32,
}
impl Default for Limits {
    fn default() -> Limits {
        Limits { max_bytes: 4 << 30, max_records: u64::MAX, rrset_records: 65_535 }
    }
}

/// Why records do not make a zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The owner is outside of the zone.
    #[error("{owner} {rtype} lies outside of the zone")]
    OutOfZone {
        /// Owner.
        owner: Name,
        /// Type.
        rtype: RecordType,
    },
    /// RDATA does not fit its type.
    #[error("{owner} {rtype}: RDATA does not fit its type")]
    BadRdata {
        /// Owner.
        owner: Name,
        /// Type.
        rtype: RecordType,
    },
    /// A type that cannot be zone data (RFC 6895 §3.1).
    #[error("{owner} {rtype}: the type cannot be zone data (RFC 6895 §3.1)")]
    MetaType {
        /// Owner.
        owner: Name,
        /// Type.
        rtype: RecordType,
    },
    /// A SOA at an owner other than the apex.
    #[error("{owner} SOA stands elsewhere than at the apex")]
    SoaForeign {
        /// Owner.
        owner: Name,
    },
    /// No SOA at the apex.
    #[error("{apex} has no SOA")]
    SoaMissing {
        /// Apex.
        apex: Name,
    },
    /// Two different SOAs at the apex.
    #[error("{apex} has two different SOA records (RFC 2181 §5)")]
    SoaTwice {
        /// Apex.
        apex: Name,
    },
    /// Larger than [`Limits::max_bytes`].
    #[error("{owner} {rtype}: the zone is larger than {limit} octets")]
    LimitBytes {
        /// Owner of the record that crossed the limit.
        owner: Name,
        /// Type.
        rtype: RecordType,
        /// The limit.
        limit: u64,
    },
    /// More than [`Limits::max_records`].
    #[error("{owner} {rtype}: the zone has more than {limit} records")]
    LimitRecords {
        /// Owner of the record that crossed the limit.
        owner: Name,
        /// Type.
        rtype: RecordType,
        /// The limit.
        limit: u64,
    },
    /// More than [`Limits::rrset_records`].
    #[error("{owner} {rtype}: the RRset has more than {limit} records")]
    LimitRrset {
        /// Owner.
        owner: Name,
        /// Type.
        rtype: RecordType,
        /// The limit.
        limit: u32,
    },
}
impl BuildError {
    /// Its place in the one enumeration.
    pub fn reason(&self) -> Reason {
        match self {
            BuildError::OutOfZone { .. } | BuildError::BadRdata { .. } => Reason::BadRdata,
            BuildError::MetaType { .. } => Reason::MetaType,
            BuildError::SoaForeign { .. } => Reason::SoaForeign,
            BuildError::SoaMissing { .. } => Reason::SoaMissing,
            BuildError::SoaTwice { .. } => Reason::SoaMismatch,
            BuildError::LimitBytes { .. } => Reason::LimitBytes,
            BuildError::LimitRecords { .. } => Reason::LimitRecords,
            BuildError::LimitRrset { .. } => Reason::LimitRrset,
        }
    }
}

/// What was tolerated while a zone was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notes {
    /// Records that were there already (RFC 2181 §5).
    pub duplicates: u64,
    /// RRsets that came with more than one TTL (RFC 2181 §5.2).
    pub mixed_ttls: u64,
}

/// A zone and what was tolerated.
#[derive(Debug)]
pub struct Built {
    /// The version.
    pub zone: Zone,
    /// What was tolerated.
    pub notes: Notes,
}

/// A version made from another.
#[derive(Debug)]
pub struct Patched {
    /// The version.
    pub zone: Zone,
    /// What really changed, old and new SOA included.
    pub difference: Difference,
    /// What was tolerated.
    pub notes: Notes,
}

/// Size of a version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Owner names.
    pub names: u64,
    /// Records.
    pub records: u64,
    /// Octets of all records, uncompressed.
    pub wire_bytes: u64,
    /// Pages of both trees.
    pub pages: u64,
    /// Octets held in memory, shared pages counted whole.
    pub memory_bytes: u64,
}

/// Which tree a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tree {
    /// All owners but those of the other.
    Main,
    /// Owners that hold only NSEC3 and its signatures.
    Nsec3,
}

#[derive(Clone, Debug, PartialEq)]
struct Set {
    rtype: RecordType,
    covered: Option<RecordType>,
    ttl: u32,
    rdatas: Vec<(Vec<u8>, Vec<u8>)>,
}
#[derive(Clone, Debug)]
struct Owner {
    name: Name,
    sets: Vec<Set>,
}
#[derive(Debug)]
struct Inner {
    apex: Name,
    soa: Soa,
    soa_rdata: Vec<u8>,
    soa_ttl: u32,
    secret: BorderSecret,
    nodes: BTreeMap<Vec<u8>, Owner>,
    page: Vec<u8>,
    counts: Counts,
}

/// One immutable version of a zone; cheap to clone.
#[derive(Clone, Debug)]
pub struct Zone(Arc<Inner>);

fn only_nsec3(o: &Owner) -> bool {
    o.sets.iter().any(|s| s.rtype == RecordType::NSEC3)
        && o.sets.iter().all(|s| s.rtype == RecordType::NSEC3 || s.covered == Some(RecordType::NSEC3))
}

impl Zone {
    /// The apex, as received.
    pub fn apex(&self) -> &Name {
        &self.0.apex
    }
    /// The SOA.
    pub fn soa(&self) -> &Soa {
        &self.0.soa
    }
    /// The SOA's RDATA, spelling kept.
    pub fn soa_rdata(&self) -> &[u8] {
        &self.0.soa_rdata
    }
    /// The SOA's TTL.
    pub fn soa_ttl(&self) -> u32 {
        self.0.soa_ttl
    }
    /// The version's serial.
    pub fn serial(&self) -> Serial {
        self.0.soa.serial
    }
    /// Size.
    pub fn counts(&self) -> Counts {
        self.0.counts
    }
    /// Digest of the content, independent of spelling and page borders.
    pub fn digest(&self) -> [u8; 32] {
        [0; 32]
    }
    /// Secret of the borders.
    pub fn secret(&self) -> &BorderSecret {
        &self.0.secret
    }
    /// The node of exactly this key; never an owner of only NSEC3.
    pub fn find(&self, key: &[u8]) -> Option<Node<'_>> {
        self.0.nodes.get_key_value(key).filter(|(_, o)| !only_nsec3(o)).map(|(k, o)| Node {
            key: k,
            owner: o,
            apex: &self.0.apex,
        })
    }
    /// The node of this key, or what lies around its place.
    pub fn seek(&self, key: &[u8]) -> Seek<'_> {
        if let Some(node) = self.find(key) {
            return Seek::Found(node);
        }
        let node = |(k, o): (&'_ Vec<u8>, &'_ Owner)| -> Option<()> {
            let _ = (k, o);
            None
        };
        let _ = node;
        let before = self
            .0
            .nodes
            .range(..key.to_vec())
            .rev()
            .find(|(_, o)| !only_nsec3(o))
            .map(|(k, o)| Node { key: k, owner: o, apex: &self.0.apex })
            .unwrap_or_else(|| self.apex_node());
        let after = self.0.nodes.range(key.to_vec()..).find(|(_, o)| !only_nsec3(o)).map(|(k, o)| Node {
            key: k,
            owner: o,
            apex: &self.0.apex,
        });
        let encloser =
            key_common_labels(key, before.key).max(after.map_or(0, |a| key_common_labels(key, a.key)));
        Seek::Missing(Gap { before, after, encloser })
    }
    /// The node of the apex, which always exists.
    pub fn apex_node(&self) -> Node<'_> {
        let (key, owner) = self.0.nodes.iter().next().expect("a zone has its SOA");
        Node { key, owner, apex: &self.0.apex }
    }
    /// All nodes in canonical order, both trees merged.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        self.0.nodes.iter().map(|(key, owner)| Node { key, owner, apex: &self.0.apex })
    }
    /// The nodes at or behind `key` in canonical order, both trees merged: a transfer goes on by it after each message.
    pub fn nodes_from(&self, key: &[u8]) -> impl Iterator<Item = Node<'_>> {
        let from = (std::ops::Bound::Included(key), std::ops::Bound::Unbounded);
        self.0.nodes.range::<[u8], _>(from).map(|(key, owner)| Node { key, owner, apex: &self.0.apex })
    }
    /// The pages for the disk, in order, the main tree first.
    pub fn pages(&self) -> impl Iterator<Item = (Tree, &[u8])> {
        std::iter::once((Tree::Main, &self.0.page[..]))
    }
    /// Takes pages as they come from the disk, checking all.
    pub fn from_pages(
        apex: Name,
        secret: &BorderSecret,
        pages: impl IntoIterator<Item = (Tree, Vec<u8>)>,
    ) -> Result<Zone, Damage> {
        let mut builder = Builder::new(apex, secret, Limits::default());
        for (_, page) in pages {
            let mut at = &page[..];
            while !at.is_empty() {
                let (r, rest) = Record::read(at).ok_or(Damage { what: "record" })?;
                builder.push(r.owner, r.rtype, r.ttl, r.rdata).map_err(|_| Damage { what: "zone" })?;
                at = rest;
            }
        }
        Ok(builder.finish().map_err(|_| Damage { what: "zone" })?.zone)
    }
}

/// What is wrong with pages from a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("pages are damaged: {what}")]
pub struct Damage {
    what: &'static str,
}

/// Where a key stands in a zone.
#[derive(Clone, Copy, Debug)]
pub enum Seek<'z> {
    /// At this node.
    Found(Node<'z>),
    /// Between nodes.
    Missing(Gap<'z>),
}

/// What lies around a key without a node.
#[derive(Clone, Copy, Debug)]
pub struct Gap<'z> {
    /// The last node before.
    pub before: Node<'z>,
    /// The first node after.
    pub after: Option<Node<'z>>,
    /// Length of the key of the longest existing ancestor or self; the key's own length means an empty non-terminal.
    pub encloser: usize,
}

/// An owner name with its RRsets.
#[derive(Clone, Copy)]
pub struct Node<'z> {
    key: &'z [u8],
    owner: &'z Owner,
    apex: &'z Name,
}
impl std::fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node({})", self.owner.name)
    }
}
impl<'z> Node<'z> {
    /// Writes its key.
    pub fn key_into(&self, out: &mut KeyBuf) {
        out.set_key(self.key);
    }
    /// Writes its name, spelled as received.
    pub fn name_into(&self, out: &mut NameBuf) {
        let _ = self.apex;
        out.set(self.owner.name.as_ref());
    }
    /// The RRset of this type; for RRSIG use [`Node::signatures`].
    pub fn rrset(&self, rtype: RecordType) -> Option<Rrset<'z>> {
        self.rrsets().find(|s| s.set.rtype == rtype && s.set.covered.is_none())
    }
    /// The RRSIGs that cover this type.
    pub fn signatures(&self, covered: RecordType) -> Option<Rrset<'z>> {
        self.rrsets().find(|s| s.set.covered == Some(covered))
    }
    /// Whether it holds this type; for RRSIG, any signature.
    pub fn has(&self, rtype: RecordType) -> bool {
        self.rrsets().any(|s| s.rtype() == rtype)
    }
    /// All RRsets.
    pub fn rrsets(&self) -> impl Iterator<Item = Rrset<'z>> + use<'z> {
        self.owner.sets.iter().map(|set| Rrset { set })
    }
}

/// One RRset; the RRSIGs that cover one type are one.
#[derive(Clone, Copy)]
pub struct Rrset<'z> {
    set: &'z Set,
}
impl std::fmt::Debug for Rrset<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rrset({})", self.set.rtype)
    }
}
impl<'z> Rrset<'z> {
    /// The type; RRSIG for signatures.
    pub fn rtype(&self) -> RecordType {
        self.set.rtype
    }
    /// The type that signatures cover.
    pub fn covered(&self) -> Option<RecordType> {
        self.set.covered
    }
    /// TTL in seconds.
    pub fn ttl(&self) -> u32 {
        self.set.ttl
    }
    /// Number of records, at least one.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.set.rdatas.len()
    }
    /// RDATA in canonical order, uncompressed, spelling kept.
    pub fn rdatas(&self) -> impl Iterator<Item = &'z [u8]> + use<'z> {
        self.set.rdatas.iter().map(|(_, r)| &r[..])
    }
}

/// One record, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Owner name.
    pub owner: NameRef<'a>,
    /// Type.
    pub rtype: RecordType,
    /// TTL, seconds.
    pub ttl: u32,
    /// Uncompressed RDATA.
    pub rdata: &'a [u8],
}
impl<'a> Record<'a> {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.owner.as_wire());
        out.extend_from_slice(&self.rtype.0.to_be_bytes());
        out.extend_from_slice(&self.ttl.to_be_bytes());
        out.extend_from_slice(&(self.rdata.len() as u16).to_be_bytes());
        out.extend_from_slice(self.rdata);
    }
    fn read(bytes: &'a [u8]) -> Option<(Record<'a>, &'a [u8])> {
        let (owner, rest) = NameRef::split_from(bytes)?;
        let (head, rest) = rest.split_at_checked(8)?;
        let (rdata, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([head[6], head[7]])))?;
        Some((
            Record {
                owner,
                rtype: RecordType(u16::from_be_bytes([head[0], head[1]])),
                ttl: u32::from_be_bytes([head[2], head[3], head[4], head[5]]),
                rdata,
            },
            rest,
        ))
    }
}

/// Collects records and makes a zone of them.
#[derive(Debug)]
pub struct Builder {
    apex: Name,
    secret: BorderSecret,
    limits: Limits,
    nodes: BTreeMap<Vec<u8>, Owner>,
    notes: Notes,
    counts: Counts,
}
impl Builder {
    /// A zone from nothing.
    pub fn new(apex: Name, secret: &BorderSecret, limits: Limits) -> Builder {
        Builder {
            apex,
            secret: secret.clone(),
            limits,
            nodes: BTreeMap::new(),
            notes: Notes::default(),
            counts: Counts::default(),
        }
    }
    /// A new version of `previous`, which shares all pages that come out equal.
    pub fn reusing(previous: &Zone, limits: Limits) -> Builder {
        Builder::new(previous.apex().clone(), previous.secret(), limits)
    }
    /// Adds a record, in any order: uncompressed RDATA.
    pub fn push(
        &mut self,
        owner: NameRef<'_>,
        rtype: RecordType,
        ttl: u32,
        rdata: &[u8],
    ) -> Result<(), BuildError> {
        let mut key = KeyBuf::new();
        let name = || owner.to_owned();
        if !key.set(owner, self.apex.as_ref()) {
            return Err(BuildError::OutOfZone { owner: name(), rtype });
        }
        if rtype.is_meta() {
            return Err(BuildError::MetaType { owner: name(), rtype });
        }
        if rdata::validate(rtype, rdata).is_err() || rdata.len() > 65_535 {
            return Err(BuildError::BadRdata { owner: name(), rtype });
        }
        if rtype == RecordType::SOA && !key.as_slice().is_empty() {
            return Err(BuildError::SoaForeign { owner: name() });
        }
        let covered =
            (rtype == RecordType::RRSIG).then(|| RecordType(u16::from_be_bytes([rdata[0], rdata[1]])));
        let node =
            self.nodes.entry(key.as_slice().to_vec()).or_insert_with(|| Owner { name: name(), sets: vec![] });
        let at = match node.sets.binary_search_by_key(&(rtype, covered), |s| (s.rtype, s.covered)) {
            Ok(at) => at,
            Err(at) => {
                node.sets.insert(at, Set { rtype, covered, ttl, rdatas: vec![] });
                at
            }
        };
        let set = &mut node.sets[at];
        if set.ttl != ttl {
            self.notes.mixed_ttls += 1;
            set.ttl = set.ttl.min(ttl);
        }
        let mut canonical = vec![];
        rdata::canonical(rtype, rdata, &mut canonical);
        match set.rdatas.binary_search_by(|(c, _)| c.cmp(&canonical)) {
            Ok(_) => self.notes.duplicates += 1,
            Err(at) => {
                if rtype == RecordType::SOA && !set.rdatas.is_empty() {
                    return Err(BuildError::SoaTwice { apex: self.apex.clone() });
                }
                set.rdatas.insert(at, (canonical, rdata.to_vec()));
                self.counts.records += 1;
                self.counts.wire_bytes += (owner.as_wire().len() + 10 + rdata.len()) as u64;
            }
        }
        if set.rdatas.len() > self.limits.rrset_records as usize {
            return Err(BuildError::LimitRrset { owner: name(), rtype, limit: self.limits.rrset_records });
        }
        if self.counts.records > self.limits.max_records {
            return Err(BuildError::LimitRecords { owner: name(), rtype, limit: self.limits.max_records });
        }
        if self.counts.wire_bytes > self.limits.max_bytes {
            return Err(BuildError::LimitBytes { owner: name(), rtype, limit: self.limits.max_bytes });
        }
        Ok(())
    }
    /// Ends it: exactly one SOA at the apex.
    pub fn finish(self) -> Result<Built, BuildError> {
        let soa_set =
            self.nodes.get(&[][..]).and_then(|n| n.sets.iter().find(|s| s.rtype == RecordType::SOA));
        let Some(soa_set) = soa_set else { return Err(BuildError::SoaMissing { apex: self.apex }) };
        let (soa_ttl, soa_rdata) = (soa_set.ttl, soa_set.rdatas[0].1.clone());
        let Some(soa) = Soa::from_rdata(&soa_rdata) else {
            return Err(BuildError::SoaMissing { apex: self.apex });
        };
        let mut page = vec![];
        for owner in self.nodes.values() {
            for set in &owner.sets {
                for (_, rdata) in &set.rdatas {
                    Record { owner: owner.name.as_ref(), rtype: set.rtype, ttl: set.ttl, rdata }
                        .write(&mut page);
                }
            }
        }
        let counts = Counts {
            names: self.nodes.len() as u64,
            pages: 1,
            memory_bytes: page.len() as u64,
            ..self.counts
        };
        Ok(Built {
            zone: Zone(Arc::new(Inner {
                apex: self.apex,
                soa,
                soa_rdata,
                soa_ttl,
                secret: self.secret,
                nodes: self.nodes,
                page,
                counts,
            })),
            notes: self.notes,
        })
    }
}

/// Why a change cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The record to be deleted is not there (RFC 1995 §4).
    #[error("{owner} {rtype}: the record to be deleted is not there (RFC 1995 §4)")]
    Absent {
        /// Owner.
        owner: Name,
        /// Type.
        rtype: RecordType,
    },
    /// The record cannot be part of the zone.
    #[error(transparent)]
    Bad(#[from] BuildError),
}
impl PatchError {
    /// Its place in the one enumeration.
    pub fn reason(&self) -> Reason {
        match self {
            PatchError::Absent { .. } => Reason::IxfrAbsentRecord,
            PatchError::Bad(bad) => bad.reason(),
        }
    }
}

/// Net changes on a base version.
#[derive(Debug)]
pub struct Patch {
    base: Zone,
    limits: Limits,
    now: BTreeMap<Vec<u8>, Owner>,
    notes: Notes,
}
impl Patch {
    /// No change yet.
    pub fn new(base: &Zone, limits: Limits) -> Patch {
        Patch { base: base.clone(), limits, now: base.0.nodes.clone(), notes: Notes::default() }
    }
    /// Deletes a record; compared in canonical form, whatever its TTL. The SOA is replaced, never deleted.
    pub fn delete(&mut self, owner: NameRef<'_>, rtype: RecordType, rdata: &[u8]) -> Result<(), PatchError> {
        let absent = || PatchError::Absent { owner: owner.to_owned(), rtype };
        let mut key = KeyBuf::new();
        if !key.set(owner, self.base.apex().as_ref()) {
            return Err(BuildError::OutOfZone { owner: owner.to_owned(), rtype }.into());
        }
        let mut canonical = vec![];
        rdata::canonical(rtype, rdata, &mut canonical);
        let node = self.now.get_mut(key.as_slice()).ok_or_else(absent)?;
        for i in 0..node.sets.len() {
            if node.sets[i].rtype == rtype
                && let Ok(at) = node.sets[i].rdatas.binary_search_by(|(c, _)| c.cmp(&canonical))
            {
                node.sets[i].rdatas.remove(at);
                if node.sets[i].rdatas.is_empty() {
                    node.sets.remove(i);
                }
                if node.sets.is_empty() {
                    self.now.remove(key.as_slice());
                }
                return Ok(());
            }
        }
        Err(absent())
    }
    /// Adds a record; false when it was there already. A set that has another TTL takes this one (RFC 2181 §5.2).
    pub fn add(
        &mut self,
        owner: NameRef<'_>,
        rtype: RecordType,
        ttl: u32,
        rdata: &[u8],
    ) -> Result<bool, PatchError> {
        let mut probe = Builder::new(self.base.apex().clone(), self.base.secret(), self.limits);
        probe.push(owner, rtype, ttl, rdata)?;
        let (key, fresh) = probe.nodes.pop_first().expect("one record was pushed");
        let node = self.now.entry(key).or_insert_with(|| Owner { name: owner.to_owned(), sets: vec![] });
        node.name = owner.to_owned();
        let new = fresh.sets.into_iter().next().expect("one record was pushed");
        match node.sets.binary_search_by_key(&(new.rtype, new.covered), |s| (s.rtype, s.covered)) {
            Err(at) => {
                node.sets.insert(at, new);
                Ok(true)
            }
            Ok(at) => {
                let set = &mut node.sets[at];
                if set.ttl != ttl {
                    self.notes.mixed_ttls += 1;
                    set.ttl = ttl;
                }
                let record = new.rdatas.into_iter().next().expect("one record was pushed");
                match set.rdatas.binary_search_by(|(c, _)| c.cmp(&record.0)) {
                    Ok(_) => {
                        self.notes.duplicates += 1;
                        Ok(false)
                    }
                    Err(at) => {
                        set.rdatas.insert(at, record);
                        Ok(true)
                    }
                }
            }
        }
    }
    /// Puts another SOA in the place of the one there.
    pub fn replace_soa(&mut self, ttl: u32, rdata: &[u8]) -> Result<(), PatchError> {
        if let Some(apex) = self.now.get_mut(&[][..]) {
            apex.sets.retain(|s| s.rtype != RecordType::SOA);
        }
        let apex = self.base.apex().clone();
        self.add(apex.as_ref(), RecordType::SOA, ttl, rdata).map(drop)
    }
    /// Makes the version.
    pub fn finish(self) -> Result<Patched, BuildError> {
        let mut builder = Builder::reusing(&self.base, self.limits);
        for owner in self.now.values() {
            for set in &owner.sets {
                for (_, rdata) in &set.rdatas {
                    builder.push(owner.name.as_ref(), set.rtype, set.ttl, rdata)?;
                }
            }
        }
        let built = builder.finish()?;
        Ok(Patched {
            difference: Difference::between(&self.base, &built.zone),
            zone: built.zone,
            notes: self.notes,
        })
    }
}

/// The net difference of two versions, both SOAs included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The old version's serial.
    pub from: Serial,
    /// The new version's serial.
    pub to: Serial,
    removed: Vec<u8>,
    added: Vec<u8>,
}
/// What is wrong with the octets of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the difference is damaged")]
pub struct BadDifference;

fn records(mut at: &[u8]) -> impl Iterator<Item = Record<'_>> {
    std::iter::from_fn(move || {
        let (r, rest) = Record::read(at)?;
        at = rest;
        Some(r)
    })
}
impl Difference {
    /// The records of `old` that are not in `new`, the SOA first.
    pub fn removed(&self) -> impl Iterator<Item = Record<'_>> {
        records(&self.removed)
    }
    /// The records of `new` that are not in `old`, the SOA first.
    pub fn added(&self) -> impl Iterator<Item = Record<'_>> {
        records(&self.added)
    }
    /// Number of removed records.
    pub fn removed_count(&self) -> usize {
        self.removed().count()
    }
    /// Number of added records.
    pub fn added_count(&self) -> usize {
        self.added().count()
    }
    /// For the journal.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&(self.removed.len() as u64).to_be_bytes()[..], &self.removed, &self.added].concat()
    }
    /// From the journal.
    pub fn from_bytes(bytes: &[u8]) -> Result<Difference, BadDifference> {
        let (n, rest) = bytes.split_first_chunk::<8>().ok_or(BadDifference)?;
        let n = usize::try_from(u64::from_be_bytes(*n)).map_err(|_| BadDifference)?;
        let (removed, added) = rest.split_at_checked(n).ok_or(BadDifference)?;
        let serial = |b: &[u8]| {
            let (r, _) = Record::read(b)?;
            (r.rtype == RecordType::SOA).then(|| Soa::from_rdata(r.rdata)).flatten().map(|s| s.serial)
        };
        for mut part in [removed, added] {
            while !part.is_empty() {
                part = Record::read(part).ok_or(BadDifference)?.1;
            }
        }
        Ok(Difference {
            from: serial(removed).ok_or(BadDifference)?,
            to: serial(added).ok_or(BadDifference)?,
            removed: removed.to_vec(),
            added: added.to_vec(),
        })
    }
    /// Makes the new version out of the old.
    pub fn apply(&self, base: &Zone) -> Result<Zone, PatchError> {
        let mut patch = Patch::new(base, Limits::default());
        for r in self.removed().skip(1) {
            patch.delete(r.owner, r.rtype, r.rdata)?;
        }
        for r in self.added() {
            if r.rtype == RecordType::SOA {
                patch.replace_soa(r.ttl, r.rdata)?;
            } else {
                patch.add(r.owner, r.rtype, r.ttl, r.rdata)?;
            }
        }
        Ok(patch.finish()?.zone)
    }
    /// What leads from `old` to `new`.
    pub fn between(old: &Zone, new: &Zone) -> Difference {
        type Key = (bool, Vec<u8>, RecordType, Option<RecordType>, Vec<u8>, u32);
        let all = |z: &Zone| {
            let mut m: BTreeMap<Key, (Name, Vec<u8>)> = BTreeMap::new();
            for (k, o) in &z.0.nodes {
                for s in &o.sets {
                    for (_, r) in &s.rdatas {
                        m.insert(
                            (s.rtype != RecordType::SOA, k.clone(), s.rtype, s.covered, r.clone(), s.ttl),
                            (o.name.clone(), r.clone()),
                        );
                    }
                }
            }
            m
        };
        let (a, b) = (all(old), all(new));
        let part = |x: &BTreeMap<Key, (Name, Vec<u8>)>, y: &BTreeMap<Key, (Name, Vec<u8>)>| {
            let mut out = vec![];
            for (k, (name, r)) in x {
                if !k.0 || !y.contains_key(k) {
                    Record { owner: name.as_ref(), rtype: k.2, ttl: k.5, rdata: r }.write(&mut out);
                }
            }
            out
        };
        Difference { from: old.serial(), to: new.serial(), removed: part(&a, &b), added: part(&b, &a) }
    }
}
fn _unused(k: &[u8], a: NameRef<'_>, o: &mut NameBuf) {
    let _ = name_of_key(k, a, o);
}
