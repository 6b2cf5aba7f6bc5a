//! The records of one owner while they are collected, in any order, and the body that they make.

use crate::limits::{BuildError, Limits, Notes};
use crate::node::{Node, spelling, spelling_len};
use crate::rrset::{self, covered, place};
use secondo_wire::{KeyBuf, NameBuf, NameRef, RecordType, name_of_key, rdata};

/// Records are put in order and freed of duplicates when so many have come, again when they have doubled.
const FIRST_SETTLING: usize = 1024;
/// Octets of one owner, canonical forms included.
pub(crate) const MOST_OCTETS: usize = 1 << 31;

/// The records of one owner. Equal records become one, in the spelling that sorts last, so that the order in which
/// they come is of no importance; the same goes for the spelling of the name.
pub(crate) struct Group {
    pub(crate) key: KeyBuf,
    pub(crate) name: NameBuf,
    records: Vec<Collected>,
    /// RDATA, and canonical forms where they differ.
    octets: Vec<u8>,
    /// Number of records at which they are settled.
    settle_at: usize,
}

#[derive(Clone, Copy)]
struct Collected {
    /// Type and covered type.
    place: u32,
    ttl: u32,
    /// Where RDATA and its canonical form begin, in `octets`; they are equally long.
    start: u32,
    canonical: u32,
    length: u32,
    /// Whether its RRset had another TTL too.
    mixed: Mixed,
}

/// Whether an RRset had several TTLs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mixed {
    No,
    Seen,
    Noted,
}

impl Collected {
    fn rtype(&self) -> RecordType {
        RecordType((self.place >> 16) as u16)
    }
}

impl Group {
    pub(crate) fn new() -> Group {
        Group {
            key: KeyBuf::new(),
            name: NameBuf::new(),
            records: Vec::new(),
            octets: Vec::new(),
            settle_at: FIRST_SETTLING,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Number of records, duplicates included.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Octets of all records in wire form, duplicates included.
    pub(crate) fn wire_bytes(&self) -> u64 {
        let each = self.name.as_ref().as_wire().len() + 10;
        self.records.iter().map(|record| (each + record.length as usize) as u64).sum()
    }

    pub(crate) fn clear(&mut self) {
        self.records.clear();
        self.octets.clear();
        self.settle_at = FIRST_SETTLING;
    }

    /// Takes the spelling of the owner in another record.
    pub(crate) fn spell(&mut self, name: NameRef<'_>) {
        if name.as_wire() > self.name.as_ref().as_wire() {
            self.name.set(name);
        }
    }

    /// Adds a record that was admitted.
    #[inline]
    pub(crate) fn push(&mut self, rtype: RecordType, ttl: u32, rdata: &[u8]) {
        let covers = (rtype == RecordType::RRSIG).then(|| covered(rdata));
        let start = self.octets.len() as u32;
        self.octets.extend_from_slice(rdata);
        let mut canonical = start;
        if rdata::folds(rtype) && rdata.iter().any(u8::is_ascii_uppercase) {
            let mut folded = Vec::new();
            rdata::canonical(rtype, rdata, &mut folded);
            if folded != rdata {
                canonical = self.octets.len() as u32;
                self.octets.extend_from_slice(&folded);
            }
        }
        let length = rdata.len() as u32;
        self.records.push(Collected {
            place: place(rtype, covers),
            ttl,
            start,
            canonical,
            length,
            mixed: Mixed::No,
        });
    }

    /// Adds all records of a node, and takes its name.
    pub(crate) fn pour(&mut self, node: &Node<'_>) {
        let mut name = NameBuf::new();
        node.name_into(&mut name);
        if self.is_empty() {
            node.key_into(&mut self.key);
            self.name.set(name.as_ref());
        }
        self.spell(name.as_ref());
        for set in node.rrsets() {
            set.rdatas().for_each(|rdata| self.push(set.rtype(), set.ttl(), rdata));
        }
    }

    /// Whether so many records have come that they should be settled.
    pub(crate) fn is_due(&self) -> bool {
        self.records.len() >= self.settle_at || self.is_too_large()
    }

    /// Whether the owner has reached 2^31 octets: places are 32 bits wide, here and in pages.
    pub(crate) fn is_too_large(&self) -> bool {
        self.octets.len() >= MOST_OCTETS
    }

    /// Drops the octets of records that were dropped.
    fn compact(&mut self) {
        let old = std::mem::take(&mut self.octets);
        for record in &mut self.records {
            let part = |start: u32| &old[start as usize..][..record.length as usize];
            let start = self.octets.len() as u32;
            self.octets.extend_from_slice(part(record.start));
            let folded = record.canonical != record.start;
            let canonical = if folded { self.octets.len() as u32 } else { start };
            if folded {
                self.octets.extend_from_slice(part(record.canonical));
            }
            (record.start, record.canonical) = (start, canonical);
        }
    }

    /// Puts the records in order, drops duplicates, gives each RRset its lowest TTL, checks its size and how
    /// many there are.
    pub(crate) fn settle(&mut self, limits: &Limits, notes: &mut Notes) -> Result<(), BuildError> {
        let octets = &self.octets;
        let part = |start: u32, length: u32| &octets[start as usize..][..length as usize];
        let canonical = |r: &Collected| (r.place, part(r.canonical, r.length));
        if !self.records.is_sorted_by(|a, b| canonical(a) < canonical(b)) {
            // The spelling that sorts last comes first, so that it is the one kept.
            self.records.sort_unstable_by(|a, b| {
                canonical(a)
                    .cmp(&canonical(b))
                    .then_with(|| part(b.start, b.length).cmp(part(a.start, a.length)))
            });
            let before = self.records.len();
            self.records.dedup_by(|gone, kept| {
                let equal = canonical(gone) == canonical(kept);
                if equal && gone.ttl != kept.ttl {
                    kept.ttl = kept.ttl.min(gone.ttl);
                    kept.mixed = kept.mixed.max(gone.mixed).max(Mixed::Seen);
                }
                equal
            });
            notes.duplicates += (before - self.records.len()) as u64;
            if self.records.len() < before {
                self.compact();
            }
        }
        let mut types = [0; 2];
        for set in self.records.chunk_by_mut(|a, b| a.place == b.place) {
            let Some(&Collected { ttl, .. }) = set.first() else { continue };
            let rtype = set[0].rtype();
            if rtype == RecordType::SOA && set.len() > 1 {
                return Err(BuildError::SoaTwice { apex: self.name.as_ref().to_owned() });
            }
            if set.len() > limits.rrset_records as usize {
                let owner = self.name.as_ref().to_owned();
                return Err(BuildError::LimitRrset { owner, rtype, limit: limits.rrset_records });
            }
            let types = &mut types[usize::from(rtype == RecordType::RRSIG)];
            *types += 1;
            if *types > limits.name_types {
                let owner = self.name.as_ref().to_owned();
                return Err(BuildError::LimitTypes { owner, rtype, limit: limits.name_types });
            }
            let mixed = set.iter().map(|record| record.mixed).max().unwrap_or(Mixed::No);
            // RFC 2181 §5.2: the TTLs of a set must be the same; of several the lowest is safe.
            if mixed == Mixed::Seen || set.iter().any(|record| record.ttl != ttl) {
                let lowest = set.iter().map(|record| record.ttl).min().unwrap_or(ttl);
                notes.mixed_ttls += u64::from(mixed != Mixed::Noted);
                set.iter_mut().for_each(|record| (record.ttl, record.mixed) = (lowest, Mixed::Noted));
            }
        }
        self.settle_at = FIRST_SETTLING.max(self.records.len() * 2);
        Ok(())
    }

    /// Appends the body that the settled records make; true when it begins with a spelling.
    pub(crate) fn write(&self, apex: NameRef<'_>, body: &mut Vec<u8>) -> bool {
        let spelled = put_spelling(body, self.key.as_slice(), self.name.as_ref(), apex);
        for set in self.records.chunk_by(|a, b| a.place == b.place) {
            let Some(first) = set.first() else { continue };
            let rdatas =
                set.iter().map(|record| &self.octets[record.start as usize..][..record.length as usize]);
            rrset::put(body, first.rtype(), first.ttl, rdatas);
        }
        spelled
    }
}

/// Appends the spelling of a name if it is not the one that lower case and the apex's spelling make.
pub(crate) fn put_spelling(body: &mut Vec<u8>, key: &[u8], name: NameRef<'_>, apex: NameRef<'_>) -> bool {
    let wire = name.as_wire();
    let (own, tail) = wire.split_at(wire.len().saturating_sub(apex.as_wire().len()));
    if tail == apex.as_wire() && !own.iter().any(u8::is_ascii_uppercase) {
        return false;
    }
    debug_assert_eq!(crate::node::name_len(key, apex), wire.len());
    body.extend(spelling(name));
    true
}

/// Checks a spelling from a disk: of capitals where letters are, and needed at all.
pub(crate) fn is_spelling(bits: &[u8], key: &[u8], apex: NameRef<'_>) -> bool {
    let mut plain = NameBuf::new();
    if name_of_key(key, apex, &mut plain).is_err() {
        return false;
    }
    let wire = plain.as_ref().as_wire();
    let set = |at: usize| bits[at / 8] >> (at % 8) & 1 == 1;
    bits.len() == spelling_len(wire.len())
        && (0..bits.len() * 8).all(|at| !set(at) || wire.get(at).is_some_and(u8::is_ascii_alphabetic))
        && (0..wire.len()).any(|at| set(at) != wire[at].is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use secondo_wire::Name;

    /// Type, TTL, RDATA.
    type PlainSet = (u16, u32, Vec<Vec<u8>>);

    fn settled(records: &[(u16, u32, &[u8])], limits: Limits) -> Result<(Vec<PlainSet>, Notes), BuildError> {
        let (mut group, mut notes, mut body) = (Group::new(), Notes::default(), vec![]);
        records.iter().for_each(|&(rtype, ttl, rdata)| group.push(RecordType(rtype), ttl, rdata));
        group.settle(&limits, &mut notes)?;
        assert!(!group.write(Name::root().as_ref(), &mut body));
        let all =
            |set: rrset::Rrset<'_>| (set.rtype().0, set.ttl(), set.rdatas().map(<[u8]>::to_vec).collect());
        Ok((crate::node::Rrsets::of(&body).map(all).collect(), notes))
    }

    #[test]
    fn records_are_ordered_and_duplicates_fold() {
        let records: [(u16, u32, &[u8]); 6] = [
            (2, 60, b"\x01n\0"),
            (1, 60, b"bbbb"),
            (2, 60, b"\x01N\0"),
            (1, 60, b"aaaa"),
            (2, 60, b"\x01M\0"),
            (1, 60, b"bbbb"),
        ];
        let expected = vec![
            (1, 60, vec![b"aaaa".to_vec(), b"bbbb".to_vec()]),
            (2, 60, vec![b"\x01M\0".to_vec(), b"\x01n\0".to_vec()]),
        ];
        let (sets, notes) = settled(&records, Limits::default()).unwrap();
        assert_eq!(sets, expected);
        assert_eq!(notes, Notes { duplicates: 2, mixed_ttls: 0 });
    }

    #[test]
    fn a_set_takes_its_lowest_ttl_also_from_a_duplicate() {
        let two: [(u16, u32, &[u8]); 3] = [(1, 60, b"aaaa"), (1, 50, b"bbbb"), (16, 70, b"\x00")];
        let (sets, notes) = settled(&two, Limits::default()).unwrap();
        assert_eq!((sets[0].1, sets[1].1), (50, 70));
        assert_eq!(notes.mixed_ttls, 1);
        let twice: [(u16, u32, &[u8]); 2] = [(1, 60, b"aaaa"), (1, 50, b"aaaa")];
        for order in [[0, 1], [1, 0]] {
            let (sets, notes) = settled(&order.map(|at| twice[at]), Limits::default()).unwrap();
            assert_eq!((sets[0].1, notes), (50, Notes { duplicates: 1, mixed_ttls: 1 }));
        }
    }

    #[test]
    fn duplicates_without_end_take_no_memory_without_end() {
        let (mut group, mut notes) = (Group::new(), Notes::default());
        for n in 0..10 * FIRST_SETTLING {
            group.push(RecordType::NS, 60, if n % 2 == 0 { b"\x01N\0" } else { b"\x01m\0" });
            if group.is_due() {
                group.settle(&Limits::default(), &mut notes).unwrap();
                assert_eq!((group.len(), group.octets.len()), (2, 9), "two records and one canonical form");
            }
        }
        assert!(notes.duplicates > 9 * FIRST_SETTLING as u64);
    }

    #[test]
    fn signatures_are_sets_by_what_they_cover() {
        let signature = |covered: u8| [&[0, covered][..], &[0; 16], b"\0sig"].concat();
        let (a, b) = (signature(16), signature(1));
        let (sets, notes) = settled(&[(46, 60, &a), (46, 50, &b)], Limits::default()).unwrap();
        assert_eq!(sets, vec![(46, 50, vec![b]), (46, 60, vec![a])]);
        assert_eq!(notes, Notes::default());
    }

    #[test]
    fn a_set_beyond_the_limit_is_refused_and_duplicates_do_not_count() {
        let limits = Limits { rrset_records: 2, ..Limits::default() };
        let three: [(u16, u32, &[u8]); 3] = [(1, 60, b"aaaa"), (1, 60, b"bbbb"), (1, 60, b"aaaa")];
        assert!(settled(&three, limits).is_ok());
        let limits = Limits { rrset_records: 1, ..limits };
        assert!(matches!(settled(&three, limits), Err(BuildError::LimitRrset { limit: 1, .. })));
    }

    #[test]
    fn a_name_of_more_types_than_the_limit_is_refused_and_signatures_count_by_themselves() {
        let signature = |covered: u8| [&[0, covered][..], &[0; 16], b"\0sig"].concat();
        let signatures: Vec<Vec<u8>> = (1..=3).map(signature).collect();
        let two: [(u16, u32, &[u8]); 3] = [(1, 60, b"aaaa"), (1, 60, b"bbbb"), (731, 60, b"cc")];
        let signed = |count: usize| {
            let signatures = signatures[..count].iter().map(|rdata| (46, 60, &rdata[..]));
            two.into_iter().chain(signatures).collect::<Vec<_>>()
        };
        let limits = |name_types| Limits { name_types, ..Limits::default() };
        let refused = |records: &[(u16, u32, &[u8])], limit| match settled(records, limits(limit)) {
            Err(BuildError::LimitTypes { rtype, limit, .. }) => Some((rtype.0, limit)),
            other => other.map(|_| None).unwrap(),
        };
        assert_eq!(refused(&signed(2), 2), None);
        assert_eq!(refused(&signed(2), 1), Some((46, 1)));
        assert_eq!(refused(&two, 1), Some((731, 1)));
        assert_eq!(refused(&signed(3), 2), Some((46, 2)));
    }
}
