//! Changes a version: all changes are collected by owner first, each checked as it comes, then each page that is touched is
//! written once. Time and memory are in proportion to the changes and to the owners they touch.

use crate::difference::{Difference, Writer};
use crate::digest::Reckoner;
use crate::edit::Edit;
use crate::limits::{BuildError, Limits, Notes, admit};
use crate::nsec3;
use crate::rebuild::{Change, rebuilt};
use crate::sort::Kept;
use crate::zone::{Tree, Zone};
use secondo_wire::{KeyBuf, Name, NameBuf, NameRef, Reason, RecordType, Serial};
use std::collections::BTreeMap;

/// Why a change cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The record to be deleted is not there: the copies differ (RFC 1995 §4).
    #[error("{owner} {rtype}: the record to be deleted is not there (RFC 1995 §4)")]
    Absent {
        /// Owner.
        owner: Name,
        /// Type.
        rtype: RecordType,
    },
    /// The difference begins at another version.
    #[error("the difference begins at serial {from}, the zone's is {base}")]
    OtherBase {
        /// Where the difference begins.
        from: Serial,
        /// The version that it was applied to.
        base: Serial,
    },
    /// The record cannot be part of the zone.
    #[error(transparent)]
    Bad(#[from] BuildError),
}

impl PatchError {
    /// Its place in the one enumeration of reasons.
    pub fn reason(&self) -> Reason {
        match self {
            PatchError::Absent { .. } => Reason::IxfrAbsentRecord,
            PatchError::OtherBase { .. } => Reason::IxfrBrokenChain,
            PatchError::Bad(bad) => bad.reason(),
        }
    }
}

/// Net changes on a version; all difference sequences of an IXFR go into one.
pub struct Patch {
    base: Zone,
    limits: Limits,
    /// Owners that were touched, as they are now, by key.
    touched: BTreeMap<Vec<u8>, Edit>,
    /// Records and octets of the whole zone now.
    records: u64,
    wire_bytes: u64,
    notes: Notes,
    key: KeyBuf,
}

/// A version made from another.
#[derive(Debug)]
pub struct Patched {
    /// The version.
    pub zone: Zone,
    /// What really changed, both SOAs included.
    pub difference: Difference,
    /// What was tolerated.
    pub notes: Notes,
}

impl Patch {
    /// No change yet.
    pub fn new(base: &Zone, limits: Limits) -> Patch {
        let (records, wire_bytes) = (base.summary().records, base.summary().wire_bytes);
        let (touched, notes, key) = (BTreeMap::new(), Notes::default(), KeyBuf::new());
        Patch { base: base.clone(), limits, touched, records, wire_bytes, notes, key }
    }

    /// Deletes a record, found by owner, type and canonical RDATA whatever its TTL. An error changes nothing.
    pub fn delete(&mut self, owner: NameRef<'_>, rtype: RecordType, rdata: &[u8]) -> Result<(), PatchError> {
        admit(self.base.apex().as_ref(), owner, rtype, rdata, &mut self.key)?;
        if !self.owner(owner).delete(rtype, rdata) {
            return Err(PatchError::Absent { owner: owner.to_owned(), rtype });
        }
        self.forget(owner, rdata);
        Ok(())
    }

    /// Adds a record; false when it was there already. A set that has another TTL takes this one (RFC 2181 §5.2). An
    /// error other than of limits changes nothing.
    pub fn add(
        &mut self,
        owner: NameRef<'_>,
        rtype: RecordType,
        ttl: u32,
        rdata: &[u8],
    ) -> Result<bool, PatchError> {
        admit(self.base.apex().as_ref(), owner, rtype, rdata, &mut self.key)?;
        let limits = self.limits;
        let added = self.owner(owner).add(owner, rtype, ttl, rdata);
        self.notes.duplicates += u64::from(!added.new);
        self.notes.mixed_ttls += u64::from(added.ttl_changed);
        let refused = |error: fn(Name, RecordType, u64) -> BuildError, limit| {
            Err(PatchError::Bad(error(owner.to_owned(), rtype, limit)))
        };
        if added.new {
            self.records += 1;
            self.wire_bytes += (owner.as_wire().len() + 10 + rdata.len()) as u64;
        }
        if rtype == RecordType::SOA && added.set_len > 1 {
            return Err(BuildError::SoaTwice { apex: owner.to_owned() }.into());
        }
        if added.set_len > limits.rrset_records as usize {
            let limit = limits.rrset_records;
            return Err(BuildError::LimitRrset { owner: owner.to_owned(), rtype, limit }.into());
        }
        if self.records > limits.max_records {
            return refused(
                |owner, rtype, limit| BuildError::LimitRecords { owner, rtype, limit },
                limits.max_records,
            );
        }
        if self.wire_bytes > limits.max_bytes {
            return refused(
                |owner, rtype, limit| BuildError::LimitBytes { owner, rtype, limit },
                limits.max_bytes,
            );
        }
        Ok(added.new)
    }

    /// Puts another SOA in the place of the one there is.
    pub fn replace_soa(&mut self, ttl: u32, rdata: &[u8]) -> Result<(), PatchError> {
        let mut name = NameBuf::new();
        self.base.apex_node().name_into(&mut name);
        self.replace_soa_of(name.as_ref(), ttl, rdata)
    }

    /// The same with the apex spelled as in `owner`.
    pub(crate) fn replace_soa_of(
        &mut self,
        owner: NameRef<'_>,
        ttl: u32,
        rdata: &[u8],
    ) -> Result<(), PatchError> {
        admit(self.base.apex().as_ref(), owner, RecordType::SOA, rdata, &mut self.key)?;
        for gone in self.owner(owner).clear(RecordType::SOA) {
            self.forget(owner, &gone);
        }
        self.add(owner, RecordType::SOA, ttl, rdata).map(drop)
    }

    /// Makes the version.
    pub fn finish(self) -> Result<Patched, BuildError> {
        let Patch { base, touched, notes, .. } = self;
        let apex = base.apex().as_ref();
        let (mut summary, mut reckoner) = (*base.summary(), Reckoner::default());
        let mut writer = Writer::default();
        let mut bodies = Vec::with_capacity(touched.len());
        for (key, edit) in &touched {
            let mut body = Vec::new();
            let spelled = edit.write(key, apex, &mut body);
            let kept = Kept { key, spelled, hashed: false, body: &body };
            let new = (!edit.is_empty()).then(|| kept.node(apex));
            let old = base.find_anywhere(key);
            if !writer.compare(old.map(|(_, node)| node), new) {
                continue;
            }
            if let Some((_, old)) = old {
                summary.subtract(&reckoner.owner(key, old.name_len(), old.rrsets()));
            }
            let becomes = new.map(|new| {
                summary.add(&reckoner.owner(key, new.name_len(), new.rrsets()));
                if nsec3::belongs(key, new.rrsets()) { Tree::Nsec3 } else { Tree::Main }
            });
            bodies.push((key, old.map(|(tree, _)| tree), becomes, spelled, body));
        }
        let changes = |of: Tree| {
            bodies.iter().filter(move |(_, was, becomes, ..)| *was == Some(of) || *becomes == Some(of)).map(
                move |(key, _, becomes, spelled, body)| Change {
                    key,
                    body: (*becomes == Some(of)).then_some((*spelled, &body[..])),
                },
            )
        };
        let main = rebuilt(base.main(), base.main(), base.secret(), changes(Tree::Main));
        let hashed = rebuilt(base.hashed(), base.hashed(), base.secret(), changes(Tree::Nsec3));
        let missing = || BuildError::SoaMissing { apex: base.apex().clone() };
        let zone = Zone::assemble(base.apex().clone(), base.secret().clone(), main, hashed, summary)
            .ok_or_else(missing)?;
        let difference = writer.finish(&base, &zone);
        Ok(Patched { zone, difference, notes })
    }

    /// The owner of `self.key` as it is now.
    fn owner(&mut self, owner: NameRef<'_>) -> &mut Edit {
        let key = self.key.as_slice();
        if !self.touched.contains_key(key) {
            let edit = match self.base.find_anywhere(key) {
                Some((_, node)) => Edit::of(&node),
                None => Edit::new(owner),
            };
            self.touched.insert(key.to_vec(), edit);
        }
        self.touched.entry(key.to_vec()).or_insert_with(|| Edit::new(owner))
    }

    /// Takes a record out of the reckoning.
    fn forget(&mut self, owner: NameRef<'_>, rdata: &[u8]) {
        self.records = self.records.saturating_sub(1);
        let octets = (owner.as_wire().len() + 10 + rdata.len()) as u64;
        self.wire_bytes = self.wire_bytes.saturating_sub(octets);
    }
}

impl std::fmt::Debug for Patch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Patch")
            .field("base", &self.base)
            .field("owners", &self.touched.len())
            .finish_non_exhaustive()
    }
}
