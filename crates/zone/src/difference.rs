//! What leads from one version of a zone to another.
//!
//! Both parts are records in uncompressed wire form, the SOA first. A record whose TTL or spelling changed, or the spelling of its owner, is in
//! both, so that applying a difference gives the new version octet for octet.

use crate::limits::Limits;
use crate::node::Node;
use crate::patch::{Patch, PatchError};
use crate::record::{Record, Records};
use crate::rrset::Rrset;
use crate::tree::Tree as PageTree;
use crate::zone::{Entries, Zone};
use secondo_wire::{NameBuf, RecordType, Serial, Soa, rdata};
use std::borrow::Borrow;
use std::cmp::Ordering;

/// Version of the form of [`Difference::to_bytes`].
const VERSION: u8 = 1;

/// The net difference of two versions, both SOAs included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The old version's serial.
    pub from: Serial,
    /// The new version's serial.
    pub to: Serial,
    removed: Part,
    added: Part,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Part {
    octets: Vec<u8>,
    records: usize,
}

/// Octets that are no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the difference is damaged: {0}")]
pub struct BadDifference(&'static str);

impl Difference {
    /// What leads from `old` to `new`, two versions of one zone. Pages that both share are passed over.
    pub fn between(old: &Zone, new: &Zone) -> Difference {
        let mut writer = Writer::default();
        let old_node = |entry| Node::new(entry, old.apex().as_ref());
        let new_node = |entry| Node::new(entry, new.apex().as_ref());
        walk(old.main(), new.main(), |key, a, b| {
            // An owner that changed trees is met here: its other side is in the other tree.
            let was = a.map(old_node).or_else(|| old.find_anywhere(key).map(|(_, node)| node));
            let is = b.map(new_node).or_else(|| new.find_anywhere(key).map(|(_, node)| node));
            writer.compare(was, is);
        });
        walk(old.hashed(), new.hashed(), |key, a, b| {
            let moved = a.is_none() && old.find(key).is_some() || b.is_none() && new.find(key).is_some();
            if !moved {
                writer.compare(a.map(old_node), b.map(new_node));
            }
        });
        writer.finish(old, new)
    }

    /// The records of the old version that are not in the new one; the old SOA first, the rest in canonical order (hashed
    /// owners last).
    pub fn removed(&self) -> Records<'_> {
        Records(&self.removed.octets)
    }

    /// The records of the new version that are not in the old one, ordered alike.
    pub fn added(&self) -> Records<'_> {
        Records(&self.added.octets)
    }

    /// Number of removed records, the SOA included.
    pub fn removed_count(&self) -> usize {
        self.removed.records
    }

    /// Number of added records, the SOA included.
    pub fn added_count(&self) -> usize {
        self.added.records
    }

    /// Octets that it takes, in memory and about the same in an IXFR.
    pub fn wire_bytes(&self) -> usize {
        self.removed.octets.len() + self.added.octets.len()
    }

    /// For a journal: version (1), octets of the first part (8, big-endian), removed records, added records.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(9 + self.wire_bytes());
        out.push(VERSION);
        out.extend_from_slice(&(self.removed.octets.len() as u64).to_be_bytes());
        out.extend_from_slice(&self.removed.octets);
        out.extend_from_slice(&self.added.octets);
        out
    }

    /// Reads what [`Difference::to_bytes`] wrote; any octets are checked as far as can be without the zone.
    pub fn from_bytes(bytes: &[u8]) -> Result<Difference, BadDifference> {
        let (&[version, length @ ..], rest) =
            bytes.split_first_chunk::<9>().ok_or(BadDifference("cut short"))?;
        if version != VERSION {
            return Err(BadDifference("unknown version"));
        }
        let length = usize::try_from(u64::from_be_bytes(length)).ok();
        let (removed, added) =
            length.and_then(|length| rest.split_at_checked(length)).ok_or(BadDifference("cut short"))?;
        let (removed, from, old) = part(removed)?;
        let (added, to, new) = part(added)?;
        if old != new {
            return Err(BadDifference("its SOAs have two owners"));
        }
        Ok(Difference { from, to, removed, added })
    }

    /// The way back: what leads from the new version to the old one, octet for octet as well.
    pub fn reversed(&self) -> Difference {
        Difference { from: self.to, to: self.from, removed: self.added.clone(), added: self.removed.clone() }
    }

    /// Makes the new version out of the old one.
    pub fn apply(&self, base: &Zone) -> Result<Zone, PatchError> {
        Difference::apply_all(base, [self])
    }

    /// Makes the version at the end of a chain of differences, each of which begins where the one before it ends. They are one
    /// change of `base`: time is in proportion to them, and each page that they touch is written once. Each is asked
    /// for when the one before it has been taken in, so that a chain on a disk need not be in memory.
    pub fn apply_all<D: Borrow<Difference>>(
        base: &Zone,
        steps: impl IntoIterator<Item = D>,
    ) -> Result<Zone, PatchError> {
        // What was accepted once is not measured again.
        let unlimited = Limits { max_bytes: u64::MAX, max_records: u64::MAX, rrset_records: u32::MAX };
        let mut patch = Patch::new(base, unlimited);
        let mut reached = base.serial();
        for step in steps {
            let step = step.borrow();
            if step.from != reached {
                return Err(PatchError::OtherBase { from: step.from, base: reached });
            }
            for record in step.removed().skip(1) {
                patch.delete(record.owner, record.rtype, record.rdata)?;
            }
            for record in step.added() {
                if record.rtype == RecordType::SOA {
                    patch.replace_soa_of(record.owner, record.ttl, record.rdata)?;
                } else {
                    patch.add(record.owner, record.rtype, record.ttl, record.rdata)?;
                }
            }
            reached = step.to;
        }
        Ok(patch.finish()?.zone)
    }
}

/// Checks one part: records, the first of them the only SOA.
fn part(octets: &[u8]) -> Result<(Part, Serial, &[u8]), BadDifference> {
    let (mut rest, mut records) = (octets, 0);
    let mut soa = None;
    while !rest.is_empty() {
        let (record, behind) = Record::take(rest).ok_or(BadDifference("no record"))?;
        if !record.is_valid() {
            return Err(BadDifference("RDATA does not fit its type"));
        }
        match (&soa, record.rtype) {
            (None, RecordType::SOA) => soa = Some(record),
            (Some(_), rtype) if rtype != RecordType::SOA => {}
            _ => return Err(BadDifference("each part has one SOA, in front")),
        }
        (rest, records) = (behind, records + 1);
    }
    let soa = soa.ok_or(BadDifference("each part has one SOA, in front"))?;
    let serial = Soa::from_rdata(soa.rdata).ok_or(BadDifference("no SOA"))?.serial;
    Ok((Part { octets: octets.to_vec(), records }, serial, soa.owner.as_wire()))
}

/// Walks two trees side by side and shows what is not in pages that they share.
fn walk<'t>(
    old: &'t PageTree,
    new: &'t PageTree,
    mut show: impl FnMut(&[u8], Option<crate::page::Entry<'t>>, Option<crate::page::Entry<'t>>),
) {
    let (mut a, mut b) = (Entries::new(old), Entries::new(new));
    let mut key = Vec::new();
    loop {
        if let (Some(mine), Some(theirs)) = (a.whole_page(), b.whole_page())
            && mine.is_same(theirs)
        {
            a.turn();
            b.turn();
            continue;
        }
        let order = match (a.next, b.next) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.cmp_entry(&b),
        };
        let one = if order.is_le() { a.advance() } else { None };
        let two = if order.is_ge() { b.advance() } else { None };
        if let Some(entry) = one.or(two) {
            entry.key_into(&mut key);
            show(&key, one, two);
        }
    }
}

/// Collects a difference owner by owner.
#[derive(Default)]
pub(crate) struct Writer {
    removed: Part,
    added: Part,
}

impl Part {
    fn put(&mut self, name: &NameBuf, set: &Rrset<'_>, rdata: &[u8]) {
        let record = Record { owner: name.as_ref(), rtype: set.rtype(), ttl: set.ttl(), rdata };
        record.put(&mut self.octets);
        self.records += 1;
    }

    /// Puts a part behind `first`.
    fn behind(mut self, mut first: Part) -> Part {
        first.octets.append(&mut self.octets);
        first.records += self.records;
        first
    }
}

impl Writer {
    /// Notes what differs between an owner as it was and as it is; false when nothing does. SOAs are left to
    /// [`Writer::finish`], but count.
    pub(crate) fn compare(&mut self, old: Option<Node<'_>>, new: Option<Node<'_>>) -> bool {
        if let (Some(old), Some(new)) = (&old, &new)
            && old.is_octet_for_octet(new)
        {
            return false;
        }
        let (mut old_name, mut new_name) = (NameBuf::new(), NameBuf::new());
        old.inspect(|node| node.name_into(&mut old_name));
        new.inspect(|node| node.name_into(&mut new_name));
        let respelled =
            old.is_some() && new.is_some() && old_name.as_ref().as_wire() != new_name.as_ref().as_wire();
        let (mut was, mut is) =
            (old.iter().flat_map(Node::rrsets).peekable(), new.iter().flat_map(Node::rrsets).peekable());
        let mut changed = false;
        loop {
            let order = match (was.peek(), is.peek()) {
                (None, None) => return changed || old.is_some() != new.is_some(),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.place().cmp(&b.place()),
            };
            let a = was.next_if(|_| order.is_le());
            let b = is.next_if(|_| order.is_ge());
            changed |= self.compare_sets(&old_name, a, &new_name, b, respelled);
        }
    }

    /// The same for two sets of one type; all records count as changed when they are `respelled`.
    fn compare_sets(
        &mut self,
        old_name: &NameBuf,
        old: Option<Rrset<'_>>,
        new_name: &NameBuf,
        new: Option<Rrset<'_>>,
        respelled: bool,
    ) -> bool {
        let silent = old.or(new).is_some_and(|set| set.rtype() == RecordType::SOA);
        let all = respelled || old.map(|set| set.ttl()) != new.map(|set| set.ttl());
        let (mut was, mut is) = (records(&old).peekable(), records(&new).peekable());
        let mut changed = false;
        loop {
            let order = match (was.peek(), is.peek()) {
                (None, None) => return changed,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.0.cmp(&b.0),
            };
            let a = was.next_if(|_| order.is_le());
            let b = is.next_if(|_| order.is_ge());
            if !all && a.as_ref().map(|a| a.1) == b.as_ref().map(|b| b.1) {
                continue;
            }
            changed = true;
            if let (Some((_, rdata)), Some(set), false) = (a, &old, silent) {
                self.removed.put(old_name, set, rdata);
            }
            if let (Some((_, rdata)), Some(set), false) = (b, &new, silent) {
                self.added.put(new_name, set, rdata);
            }
        }
    }

    /// Puts the SOAs in front.
    pub(crate) fn finish(self, old: &Zone, new: &Zone) -> Difference {
        let soa = |zone: &Zone| {
            let (mut part, mut name) = (Part::default(), NameBuf::new());
            zone.apex_node().name_into(&mut name);
            if let Some(set) = zone.apex_node().rrset(RecordType::SOA) {
                part.put(&name, &set, zone.soa_rdata());
            }
            part
        };
        Difference {
            from: old.serial(),
            to: new.serial(),
            removed: self.removed.behind(soa(old)),
            added: self.added.behind(soa(new)),
        }
    }
}

/// The records of a set in canonical form and as received.
fn records<'z>(set: &Option<Rrset<'z>>) -> impl Iterator<Item = (Vec<u8>, &'z [u8])> {
    set.iter().copied().flat_map(|set| {
        set.rdatas().map(move |octets| {
            let mut canonical = Vec::new();
            rdata::canonical(set.rtype(), octets, &mut canonical);
            (canonical, octets)
        })
    })
}
