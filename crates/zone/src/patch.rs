//! Changes a version: all changes are collected by owner first, each checked as it comes, then each page that is touched is
//! written once. Time and memory are in proportion to the changes and to the owners they touch.

use crate::compare::Writer;
use crate::difference::Difference;
use crate::digest::Reckoner;
use crate::edit::Edit;
use crate::limits::{BuildError, Limits, Notes, admit};
use crate::nsec3;
use crate::owner::MOST_OCTETS;
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

    /// Makes the version. Types are counted only here: a name may have more than the limit in between, and as many as
    /// it had before where that was more.
    pub fn finish(self) -> Result<Patched, BuildError> {
        let Patch { base, limits, touched, notes, .. } = self;
        let apex = base.apex().as_ref();
        let (mut summary, mut reckoner) = (*base.summary(), Reckoner::default());
        let mut writer = Writer::default();
        let mut bodies = Vec::with_capacity(touched.len());
        for (key, edit) in &touched {
            if let Some(rtype) = edit.surplus(limits.name_types as usize) {
                let (owner, limit) = (edit.name().to_owned(), limits.name_types);
                return Err(BuildError::LimitTypes { owner, rtype, limit });
            }
            let mut body = Vec::new();
            let spelled = edit.write(key, apex, &mut body);
            if body.len() >= MOST_OCTETS {
                let (owner, limit) = (edit.name().to_owned(), MOST_OCTETS as u64);
                return Err(BuildError::LimitBytes { owner, rtype: RecordType(0), limit });
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::border::BorderSecret;
    use crate::builder::Builder;
    use secondo_wire::Soa;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn soa(serial: u32) -> Vec<u8> {
        let (mname, rname) = (name("ns.example."), name("host.example."));
        Soa { mname, rname, serial: Serial(serial), refresh: 1, retry: 2, expire: 3, minimum: 4 }.to_rdata()
    }

    fn base() -> Zone {
        let mut builder = Builder::new(name("example."), &BorderSecret::new([1; 16]), Limits::default());
        let mut put = |owner: &str, rtype, ttl, rdata: &[u8]| {
            builder.push(name(owner).as_ref(), rtype, ttl, rdata).unwrap();
        };
        put("example.", RecordType::SOA, 3600, &soa(1));
        put("a.example.", RecordType::A, 300, b"aaaa");
        put("a.example.", RecordType::A, 300, b"bbbb");
        put("B.example.", RecordType::NS, 300, b"\x01N\0");
        builder.finish().unwrap().zone
    }

    #[test]
    fn deleting_what_is_not_there_is_an_error_and_changes_nothing() {
        let (a, b, c) = (name("a.example."), name("b.example."), name("c.example."));
        let mut patch = Patch::new(&base(), Limits::default());
        for (owner, rtype, rdata) in [
            (&a, RecordType::A, &b"cccc"[..]),
            (&a, RecordType(65_280), b"aaaa"),
            (&c, RecordType::A, b"aaaa"),
            (&b, RecordType::NS, b"\x01x\0"),
        ] {
            let error = patch.delete(owner.as_ref(), rtype, rdata).unwrap_err();
            assert_eq!(error, PatchError::Absent { owner: owner.clone(), rtype });
            assert_eq!(error.reason(), Reason::IxfrAbsentRecord);
        }
        patch.delete(b.as_ref(), RecordType::NS, b"\x01n\0").unwrap();
        assert!(patch.delete(b.as_ref(), RecordType::NS, b"\x01n\0").is_err(), "it is gone now");
        let patched = patch.finish().unwrap();
        assert_eq!((patched.difference.removed_count(), patched.difference.added_count()), (2, 1));
        assert_eq!(patched.zone.counts().names, 2);
    }

    #[test]
    fn a_set_takes_the_ttl_of_the_record_added_last() {
        let a = name("a.example.");
        let mut patch = Patch::new(&base(), Limits::default());
        // RFC 2181 §5.2: one of two is added again with another TTL.
        assert!(!patch.add(a.as_ref(), RecordType::A, 60, b"aaaa").unwrap());
        let patched = patch.finish().unwrap();
        let mut key = KeyBuf::new();
        key.set(a.as_ref(), name("example.").as_ref());
        let set = patched.zone.find(key.as_slice()).unwrap().rrset(RecordType::A).unwrap();
        assert_eq!((set.ttl(), set.len()), (60, 2));
        assert_eq!(patched.notes, Notes { duplicates: 1, mixed_ttls: 1 });
        // Both records changed, beside the SOA.
        assert_eq!((patched.difference.removed_count(), patched.difference.added_count()), (3, 3));
    }

    #[test]
    fn changes_that_cancel_out_leave_every_page_as_it_was() {
        let (base, a) = (base(), name("a.example."));
        let mut patch = Patch::new(&base, Limits::default());
        patch.delete(a.as_ref(), RecordType::A, b"aaaa").unwrap();
        assert!(patch.add(a.as_ref(), RecordType::A, 300, b"aaaa").unwrap());
        let patched = patch.finish().unwrap();
        assert!(patched.zone.pages().zip(base.pages()).all(|(new, old)| new.1.as_ptr() == old.1.as_ptr()));
        assert_eq!(patched.zone.digest(), base.digest());
    }

    #[test]
    fn the_soa_is_replaced_and_never_doubled() {
        let (base, apex) = (base(), name("example."));
        let mut patch = Patch::new(&base, Limits::default());
        let twice = patch.add(apex.as_ref(), RecordType::SOA, 60, &soa(2));
        assert!(matches!(twice, Err(PatchError::Bad(BuildError::SoaTwice { .. }))));
        let mut patch = Patch::new(&base, Limits::default());
        patch.replace_soa(60, &soa(2)).unwrap();
        patch.replace_soa(50, &soa(3)).unwrap();
        let patched = patch.finish().unwrap();
        assert_eq!((patched.zone.serial(), patched.zone.soa_ttl()), (Serial(3), 50));
        assert_eq!((patched.difference.from, patched.difference.to), (Serial(1), Serial(3)));
        let mut patch = Patch::new(&base, Limits::default());
        patch.delete(apex.as_ref(), RecordType::SOA, &soa(1)).unwrap();
        assert!(matches!(patch.finish(), Err(BuildError::SoaMissing { .. })));
    }

    #[test]
    fn limits_hold_for_the_version_that_comes_out() {
        let (base, a) = (base(), name("a.example."));
        let (records, bytes) = (base.counts().records, base.counts().wire_bytes);
        let add = |limits: Limits| {
            let mut patch = Patch::new(&base, limits);
            patch.delete(a.as_ref(), RecordType::A, b"aaaa").unwrap();
            patch.add(a.as_ref(), RecordType::A, 300, b"cccc").unwrap();
            patch.add(a.as_ref(), RecordType::A, 300, b"dddd").map_err(|error| error.reason())
        };
        let unlimited = Limits::default();
        assert_eq!(add(unlimited), Ok(true));
        assert_eq!(add(Limits { max_records: records, ..unlimited }), Err(Reason::LimitRecords));
        assert_eq!(add(Limits { max_records: records + 1, ..unlimited }), Ok(true));
        assert_eq!(add(Limits { max_bytes: bytes, ..unlimited }), Err(Reason::LimitBytes));
        assert_eq!(add(Limits { max_bytes: bytes + 25, ..unlimited }), Ok(true));
        assert_eq!(add(Limits { rrset_records: 2, ..unlimited }), Err(Reason::LimitRrset));
        assert_eq!(add(Limits { rrset_records: 3, ..unlimited }), Ok(true));
    }

    /// What comes of changes of the types at `owner`: `+` and `-`, with one record each.
    fn typed(base: &Zone, owner: &str, name_types: u32, changes: &[(char, u16)]) -> Result<Zone, BuildError> {
        let mut patch = Patch::new(base, Limits { name_types, ..Limits::default() });
        let owner = name(owner);
        for &(sign, rtype) in changes {
            match sign {
                '+' => assert!(patch.add(owner.as_ref(), RecordType(rtype), 300, b"x").unwrap()),
                _ => patch.delete(owner.as_ref(), RecordType(rtype), b"x").unwrap(),
            }
        }
        patch.finish().map(|patched| patched.zone)
    }

    #[test]
    fn types_beyond_the_limit_are_refused_in_what_comes_out_alone() {
        let refused = typed(&base(), "a.example.", 3, &[('+', 731), ('+', 732), ('+', 800)]).unwrap_err();
        assert_eq!(refused.to_string(), "a.example. TYPE800: the name has more than 3 types");
        let between = [('+', 731), ('+', 732), ('+', 800), ('-', 731)];
        assert!(typed(&base(), "a.example.", 3, &between).is_ok());
        assert!(typed(&base(), "new.example.", 1, &[('+', 731), ('+', 732)]).is_err());
    }

    #[test]
    fn an_owner_that_has_more_types_than_the_limit_may_lose_them_and_change_but_not_grow() {
        for owner in ["a.example.", "example."] {
            // Three, kept from a time with another limit.
            let three = typed(&base(), owner, 200, &[('+', 731), ('+', 732)]).unwrap();
            let of_three = |changes: &[(char, u16)]| typed(&three, owner, 2, changes);
            assert!(of_three(&[('-', 731), ('+', 731)]).is_ok());
            assert!(of_three(&[('-', 731), ('+', 733)]).is_ok(), "another in its place");
            assert!(of_three(&[('+', 733), ('-', 731)]).is_ok(), "four in between");
            let refused = of_three(&[('+', 733)]).unwrap_err();
            assert_eq!(refused.to_string(), format!("{owner} TYPE733: the name has more than 2 types"));
            assert_eq!(refused.reason(), Reason::LimitTypes);
            let two = of_three(&[('-', 731)]).unwrap();
            assert!(typed(&two, owner, 2, &[('+', 731)]).is_err(), "what was lost does not come back");
        }
    }

    #[test]
    fn the_soa_of_an_apex_beyond_the_limit_of_types_is_replaced() {
        let many: Vec<_> = (0..250).map(|n| ('+', 65_280 + n)).collect();
        let kept = typed(&base(), "example.", 251, &many).unwrap();
        let mut patch = Patch::new(&kept, Limits { name_types: 200, ..Limits::default() });
        patch.replace_soa(60, &soa(2)).unwrap();
        assert_eq!(patch.finish().unwrap().zone.serial(), Serial(2));
    }

    #[test]
    fn signatures_beyond_the_limit_may_be_made_anew_but_not_cover_more() {
        let signature = |covered: u8, by: u8| [&[0, covered][..], &[by; 16], b"\0sig"].concat();
        let a = name("a.example.");
        let mut patch = Patch::new(&base(), Limits::default());
        for covered in 1..=3 {
            patch.add(a.as_ref(), RecordType::RRSIG, 300, &signature(covered, 0)).unwrap();
        }
        let kept = patch.finish().unwrap().zone;
        let anew = |last: u8| {
            let mut patch = Patch::new(&kept, Limits { name_types: 2, ..Limits::default() });
            (1..=3).for_each(|covered| {
                patch.delete(a.as_ref(), RecordType::RRSIG, &signature(covered, 0)).unwrap();
            });
            for covered in 1..=last {
                patch.add(a.as_ref(), RecordType::RRSIG, 300, &signature(covered, 1)).unwrap();
            }
            patch.finish().map(drop)
        };
        assert_eq!(anew(3), Ok(()));
        assert_eq!(
            anew(4),
            Err(BuildError::LimitTypes { owner: a.clone(), rtype: RecordType::RRSIG, limit: 2 })
        );
    }
}
