//! A difference as octets for a journal: dense, and with one way to write each.
//!
//! ```text
//! version 1 octet
//! records the old SOA, the new SOA, then the removed and added records together, owner by owner in canonical order;
//!         of an owner first those that are removed, in their order, then those that are added, in theirs
//!
//! record: head     1 octet: bit 0: added; bits 1 to 3: another type, TTL, length follows; bits 4 and 5: labels that come;
//!                  bits 6 and 7: labels that go
//!         [go]     1 octet: labels that go, where three or more do
//!         [come]   1 octet: labels that come, where three or more do
//!         labels   those that come, each with its length, first to last
//!         [type]   number
//!         [TTL]    number
//!         [length] number: octets of RDATA
//!         RDATA    of the new SOA: number of octets that it begins with as the old one does, number of octets that it
//!                  ends with as the rest of that does, the octets between
//! ```
//!
//! Everything is told by what differs from the record before (before the first stand the root, SOA, TTL 0, length 0): the
//! owner loses its first labels and gets others, the same owner loses and gets none. What goes and comes is the least that
//! does it, so that there is one way; see [`crate::varint`] for numbers.
//!
//! Memory: an owner takes two octets at least where it is not that of the record before, and then 263 octets at most in
//! memory, beside its RDATA; other records take at most 9. A head and a label of one octet make three: 88 for one.

use crate::difference::{BadDifference, Difference};
use crate::record::{Part, Record};
use crate::varint;
use secondo_wire::{KeyBuf, MAX_LABEL, MAX_NAME, Name, NameRef, RecordType, Serial, Soa};
use std::cmp::Ordering;

/// Version of the form in which a difference is written. Raise it with every change of that form: as with
/// [`crate::PAGE_VERSION`], whoever keeps differences on a disk keeps this number beside them.
pub const VERSION: u8 = 2;

const ADDED: u8 = 1;
const TYPE: u8 = 2;
const TTL: u8 = 4;
const LENGTH: u8 = 8;
/// Where the two numbers of labels stand in the head.
const COME: u8 = 4;
const GO: u8 = 6;
/// The number of labels that says: in an octet of its own.
const MANY: u8 = 3;

/// Writes a difference.
pub(crate) fn written(difference: &Difference) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + difference.wire_bytes() / 2);
    out.push(VERSION);
    let (mut removed, mut added) = (difference.removed().peekable(), difference.added().peekable());
    // Both parts begin with their SOA: whatever makes a difference puts it there.
    let (Some(old), Some(new)) = (removed.next(), added.next()) else { return out };
    let apex = old.owner;
    let mut last = Last::default();
    last.put(&mut out, 0, &old, old.rdata);
    let (front, back) = common(old.rdata, new.rdata);
    last.put(&mut out, ADDED, &new, &[]);
    varint::put(&mut out, front as u32);
    varint::put(&mut out, back as u32);
    out.extend_from_slice(&new.rdata[front..new.rdata.len() - back]);
    let (mut was, mut is) = (KeyBuf::new(), KeyBuf::new());
    let key = |record: &Record<'_>, key: &mut KeyBuf| {
        let inside = key.set(record.owner, apex);
        debug_assert!(inside, "records of a difference are those of one zone");
    };
    removed.peek().inspect(|record| key(record, &mut was));
    added.peek().inspect(|record| key(record, &mut is));
    loop {
        let from_removed = match (removed.peek(), added.peek()) {
            (None, None) => return out,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(_), Some(_)) => was.as_slice() <= is.as_slice(),
        };
        let (part, at, flag) = match from_removed {
            true => (&mut removed, &mut was, 0),
            false => (&mut added, &mut is, ADDED),
        };
        if let Some(record) = part.next() {
            last.put(&mut out, flag, &record, record.rdata);
            if let Some(next) = part.peek()
                && next.owner.as_wire() != record.owner.as_wire()
            {
                key(next, at);
            }
        }
    }
}

/// The record before, as the writer sees it.
struct Last<'a> {
    owner: &'a [u8],
    rtype: RecordType,
    ttl: u32,
    length: usize,
}

impl Default for Last<'_> {
    fn default() -> Self {
        Last { owner: &[0], rtype: RecordType::SOA, ttl: 0, length: 0 }
    }
}

impl<'a> Last<'a> {
    /// Appends a record with these octets for its RDATA.
    fn put(&mut self, out: &mut Vec<u8>, flag: u8, record: &Record<'a>, rdata: &[u8]) {
        let Record { owner, rtype, ttl, rdata: whole } = *record;
        let owner = owner.as_wire();
        let (go, come, labels) = steps(self.owner, owner);
        let differs = |bit: u8, differs: bool| if differs { bit } else { 0 };
        let (typed, lasting) = (differs(TYPE, rtype != self.rtype), differs(TTL, ttl != self.ttl));
        let long = differs(LENGTH, whole.len() != self.length);
        out.push(flag | typed | lasting | long | come.min(MANY) << COME | go.min(MANY) << GO);
        out.extend([go, come].into_iter().filter(|&labels| labels >= MANY));
        out.extend_from_slice(&owner[..labels]);
        if typed != 0 {
            varint::put(out, u32::from(rtype.0));
        }
        if lasting != 0 {
            varint::put(out, ttl);
        }
        if long != 0 {
            varint::put(out, whole.len() as u32);
        }
        out.extend_from_slice(rdata);
        *self = Last { owner, rtype, ttl, length: whole.len() };
    }
}

/// Labels that go, labels that come, octets of those, to get from one name in wire form to another.
fn steps(from: &[u8], to: &[u8]) -> (u8, u8, usize) {
    if from == to {
        return (0, 0, 0);
    }
    let (mut old, mut new) = ([0; MAX_NAME], [0; MAX_NAME]);
    let (mut go, mut come) = (starts(from, &mut old), starts(to, &mut new));
    let mut labels = to.len() - 1;
    let (mut a, mut b) = (from.len() - 1, to.len() - 1);
    while go > 0 && come > 0 {
        let (c, d) = (usize::from(old[go - 1]), usize::from(new[come - 1]));
        if from[c..a] != to[d..b] {
            break;
        }
        (a, b, labels, go, come) = (c, d, d, go - 1, come - 1);
    }
    // At most 127 labels.
    (go as u8, come as u8, labels)
}

/// Where each label of a name in wire form begins, and how many there are.
fn starts(wire: &[u8], out: &mut [u8; MAX_NAME]) -> usize {
    let (mut at, mut count) = (0, 0);
    while wire[at] > 0 {
        out[count] = at as u8;
        count += 1;
        at += 1 + usize::from(wire[at]);
    }
    count
}

/// Octets that both begin with, and octets that both end with behind those.
fn common(one: &[u8], two: &[u8]) -> (usize, usize) {
    let front = one.iter().zip(two).take_while(|(a, b)| a == b).count();
    let back = one[front..].iter().rev().zip(two[front..].iter().rev()).take_while(|(a, b)| a == b).count();
    (front, back)
}

const CUT_SHORT: BadDifference = BadDifference("cut short");
const NOT_LEAST: BadDifference = BadDifference("not written in the one way that there is");
const DISORDER: BadDifference = BadDifference("owners are out of order");

/// Reads a difference.
pub(crate) fn read(bytes: &[u8]) -> Result<Difference, BadDifference> {
    let (&version, rest) = bytes.split_first().ok_or(CUT_SHORT)?;
    if version != VERSION {
        return Err(BadDifference("unknown version"));
    }
    let mut reader = Reader::new(rest);
    let (mut removed, mut added) = (Part::default(), Part::default());
    reader.head()?;
    let old = reader.rdata()?;
    let soa = reader.record(old)?;
    let from = serial(&soa, !reader.added)?;
    removed.put(&soa);
    reader.apex = Some(soa.owner.to_owned());
    reader.head()?;
    let new = reader.spliced(old)?;
    let soa = reader.record(&new)?;
    let to = serial(&soa, reader.added)?;
    if reader.apex.as_ref().is_none_or(|apex| apex.as_ref() != soa.owner) {
        return Err(BadDifference("its SOAs have two owners"));
    }
    added.put(&soa);
    // Other records of the apex begin anew with those that are removed.
    reader.added = false;
    while !reader.rest.is_empty() {
        reader.head()?;
        let rdata = reader.rdata()?;
        let record = reader.record(rdata)?;
        if record.rtype == RecordType::SOA {
            return Err(BadDifference("each part has one SOA, in front"));
        }
        if !record.is_valid() {
            return Err(BadDifference("RDATA does not fit its type"));
        }
        if reader.added { added.put(&record) } else { removed.put(&record) }
    }
    let difference = Difference { from, to, removed, added };
    debug_assert!(difference.is_sound(), "what is read is a difference");
    Ok(difference)
}

/// The serial of a SOA that stands in its place.
fn serial(soa: &Record<'_>, in_place: bool) -> Result<Serial, BadDifference> {
    if soa.rtype != RecordType::SOA || !in_place {
        return Err(BadDifference("each part has one SOA, in front"));
    }
    let fields = Soa::from_rdata(soa.rdata).filter(|_| soa.is_valid());
    fields.map(|soa| soa.serial).ok_or(BadDifference("no SOA"))
}

/// What is left to read, and the record at hand without its RDATA.
struct Reader<'b> {
    rest: &'b [u8],
    /// Its owner, up to the end of the octets, and where it begins: labels go and come in front.
    octets: [u8; MAX_NAME],
    start: usize,
    added: bool,
    rtype: RecordType,
    ttl: u32,
    length: usize,
    /// What all owners must be at or below, once it is known.
    apex: Option<Name>,
}

impl<'b> Reader<'b> {
    fn new(rest: &'b [u8]) -> Reader<'b> {
        let (octets, rtype) = ([0; MAX_NAME], RecordType::SOA);
        Reader { rest, octets, start: MAX_NAME - 1, added: false, rtype, ttl: 0, length: 0, apex: None }
    }

    /// Reads a record up to its RDATA.
    fn head(&mut self) -> Result<(), BadDifference> {
        let head = self.octet()?;
        let mut labels = |bits: u8| match bits & MANY {
            MANY => self.octet().and_then(|labels| if labels >= MANY { Ok(labels) } else { Err(NOT_LEAST) }),
            few => Ok(few),
        };
        let go = labels(head >> GO)?;
        let come = labels(head >> COME)?;
        let (was_added, added) = (self.added, head & ADDED != 0);
        let is_same = if (go, come) == (0, 0) { true } else { self.respell(go, come)? };
        if is_same && was_added && !added {
            return Err(DISORDER);
        }
        self.added = added;
        if head & TYPE != 0 {
            let rtype = u16::try_from(self.number()?).map_err(|_| BadDifference("no type"))?;
            let before = std::mem::replace(&mut self.rtype, RecordType(rtype));
            least(self.rtype != before)?;
        }
        if head & TTL != 0 {
            let ttl = self.number()?;
            let before = std::mem::replace(&mut self.ttl, ttl);
            least(self.ttl != before)?;
        }
        if head & LENGTH != 0 {
            let length = u16::try_from(self.number()?).map_err(|_| BadDifference("no length of RDATA"))?;
            let before = std::mem::replace(&mut self.length, usize::from(length));
            least(self.length != before)?;
        }
        Ok(())
    }

    /// Takes labels off the owner and puts others on; whether it is the same but for its spelling.
    fn respell(&mut self, go: u8, come: u8) -> Result<bool, BadDifference> {
        // An owner that only loses labels would stand before the one it was.
        least(come > 0)?;
        let (mut kept, mut gone) = (self.start, self.start);
        for _ in 0..go {
            (gone, kept) = (kept, kept + 1 + usize::from(self.octets[kept]));
            // The root does not go.
            if kept == gone + 1 {
                return Err(BadDifference("more labels go than there are"));
            }
        }
        let (mut end, mut last) = (0, 0);
        for _ in 0..come {
            let length = usize::from(*self.rest.get(end).ok_or(CUT_SHORT)?);
            if !(1..=MAX_LABEL).contains(&length) {
                return Err(BadDifference("no label"));
            }
            (last, end) = (end, end + 1 + length);
        }
        let (labels, rest) = self.rest.split_at_checked(end).ok_or(CUT_SHORT)?;
        let start = kept.checked_sub(labels.len()).ok_or(BadDifference("a name is too long"))?;
        // What is kept is the same, so the labels before it decide the order (RFC 4034 §6.1).
        let (lost, won) = (self.octets.get(gone + 1..kept).unwrap_or_default(), &labels[last + 1..]);
        least(go == 0 || lost != won)?;
        let order = if go == 0 { Ordering::Less } else { lower(lost).cmp(lower(won)) };
        let before = (order == Ordering::Equal).then_some(self.octets);
        let (name, length) = (self.start, labels.len());
        self.octets[start..start + length].copy_from_slice(labels);
        (self.start, self.rest) = (start, rest);
        let owner = self.owner()?;
        let order = match before.as_ref().and_then(|octets| NameRef::split_from(&octets[name..])) {
            Some((before, _)) => before.cmp(&owner),
            None => order,
        };
        if order == Ordering::Greater {
            return Err(DISORDER);
        }
        if self.apex.as_ref().is_some_and(|apex| {
            MAX_NAME - kept < apex.as_wire().len() && !owner.is_at_or_below(apex.as_ref())
        }) {
            return Err(BadDifference("an owner is outside of the zone"));
        }
        Ok(order == Ordering::Equal)
    }

    fn owner(&self) -> Result<NameRef<'_>, BadDifference> {
        let name = NameRef::split_from(&self.octets[self.start..]);
        name.map(|(name, _)| name).ok_or(BadDifference("no name"))
    }

    fn record<'r>(&'r self, rdata: &'r [u8]) -> Result<Record<'r>, BadDifference> {
        Ok(Record { owner: self.owner()?, rtype: self.rtype, ttl: self.ttl, rdata })
    }

    fn rdata(&mut self) -> Result<&'b [u8], BadDifference> {
        self.take(self.length)
    }

    /// RDATA that is told by how it differs from another.
    fn spliced(&mut self, other: &[u8]) -> Result<Vec<u8>, BadDifference> {
        let (front, back) = (self.number()? as usize, self.number()? as usize);
        let shared = front.saturating_add(back);
        let between = self.length.checked_sub(shared).ok_or(NOT_LEAST)?;
        least(shared <= other.len())?;
        let rdata = [&other[..front], self.take(between)?, &other[other.len() - back..]].concat();
        least(common(other, &rdata) == (front, back))?;
        Ok(rdata)
    }

    fn octet(&mut self) -> Result<u8, BadDifference> {
        let (&octet, rest) = self.rest.split_first().ok_or(CUT_SHORT)?;
        self.rest = rest;
        Ok(octet)
    }

    fn number(&mut self) -> Result<u32, BadDifference> {
        let (number, rest) = varint::take(self.rest).ok_or(CUT_SHORT)?;
        self.rest = rest;
        Ok(number)
    }

    fn take(&mut self, octets: usize) -> Result<&'b [u8], BadDifference> {
        let (taken, rest) = self.rest.split_at_checked(octets).ok_or(CUT_SHORT)?;
        self.rest = rest;
        Ok(taken)
    }
}

fn least(is_least: bool) -> Result<(), BadDifference> {
    if is_least { Ok(()) } else { Err(NOT_LEAST) }
}

fn lower(label: &[u8]) -> impl Iterator<Item = u8> + '_ {
    label.iter().map(u8::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn soa(serial: u32) -> Vec<u8> {
        let (mname, rname) = (name("ns.example."), name("host.example."));
        Soa { mname, rname, serial: Serial(serial), refresh: 1, retry: 2, expire: 3, minimum: 4 }.to_rdata()
    }

    fn part(serial: u32, records: &[(&str, u16, u32, &[u8])]) -> Part {
        let mut part = Part::default();
        let soa = soa(serial);
        for &(owner, rtype, ttl, rdata) in [&[("example.", 6, 3600, &soa[..])], records].concat().iter() {
            part.put(&Record { owner: name(owner).as_ref(), rtype: RecordType(rtype), ttl, rdata });
        }
        part
    }

    type Rr = (&'static str, u16, u32, &'static [u8]);

    fn difference(removed: &[Rr], added: &[Rr]) -> Difference {
        Difference { from: Serial(1), to: Serial(2), removed: part(1, removed), added: part(2, added) }
    }

    /// The SOAs of [`difference`] as octets.
    fn head() -> Vec<u8> {
        written(&difference(&[], &[]))
    }

    fn refused(records: &[u8]) -> &'static str {
        read(&[&head(), records].concat()).unwrap_err().0
    }

    #[test]
    fn a_record_is_told_by_what_differs_from_the_one_before() {
        let soa = soa(1);
        let mut expected = vec![VERSION, TTL | LENGTH | 1 << COME];
        expected.extend(b"\x07example\x90\x1C");
        expected.push(soa.len() as u8);
        expected.extend(&soa);
        // The new one: all but the last octet of the serial is as it was.
        expected.extend([ADDED, soa.len() as u8 - 17, 16, 2]);
        assert_eq!(head(), expected);
        let difference = difference(
            &[("a1.example.", 1, 300, b"abcd"), ("c.b.a.A1.example.", 1, 300, b"abcd")],
            &[
                ("example.", 2, 300, b"\0"),
                ("a1.example.", 1, 300, b"abce"),
                ("a2.example.", 28, 60, &[1; 16]),
            ],
        );
        expected.extend([ADDED | TYPE | TTL | LENGTH, 2, 0xAC, 2, 1, 0]);
        expected.extend([&[TYPE | LENGTH | 1 << COME][..], b"\x02a1", &[1, 4], b"abcd"].concat());
        expected.extend([&[ADDED][..], b"abce"].concat());
        // Four labels in the place of one, for the spelling.
        expected.extend([&[1 << GO | MANY << COME, 4][..], b"\x01c\x01b\x01a\x02A1", b"abcd"].concat());
        expected.extend([&[ADDED | TYPE | TTL | LENGTH | MANY << GO | 1 << COME, 4][..], b"\x02a2"].concat());
        expected.extend([&[28, 60, 16][..], &[1; 16]].concat());
        assert_eq!(written(&difference), expected);
        assert_eq!(read(&expected), Ok(difference));
        for at in 0..expected.len() {
            // Cut off between records it is another difference.
            if let Ok(shorter) = read(&expected[..at]) {
                assert_eq!(written(&shorter), &expected[..at]);
            }
        }
    }

    #[test]
    fn a_changed_address_takes_some_ten_octets() {
        let owners: Vec<Name> = (0..20).map(|n| name(&format!("d{}.example.", 100 + n))).collect();
        let mut difference = difference(&[], &[]);
        for (n, owner) in owners.iter().enumerate() {
            let (owner, rtype) = (owner.as_ref(), RecordType::A);
            difference.removed.put(&Record { owner, rtype, ttl: 300, rdata: &[10, 1, 2, n as u8] });
            difference.added.put(&Record { owner, rtype, ttl: 300, rdata: &[10, 4, 3, n as u8] });
        }
        let octets = written(&difference);
        assert_eq!(octets.len(), head().len() + 4 + 20 * (1 + 5 + 4 + 1 + 4));
        assert_eq!(read(&octets), Ok(difference));
    }

    #[test]
    fn other_ways_to_write_it_are_refused() {
        let least = NOT_LEAST.0;
        assert_eq!(refused(&[ADDED | TYPE, 6]), least, "the type that it is already");
        assert_eq!(refused(&[ADDED | TTL, 0x90, 0x1C]), least, "the TTL that it is already");
        assert_eq!(refused(&[ADDED | LENGTH, soa(1).len() as u8]), least, "the length that it is already");
        assert_eq!(refused(&[MANY << COME, 2, 1, b'a', 1, b'b']), least, "two labels counted apart");
        assert_eq!(refused(b"\x50\x07example"), least, "a label that goes and comes again");
        assert_eq!(refused(&[1 << GO]), least, "labels that only go");
        assert_eq!(refused(&[ADDED | TYPE, 0x82, 0]), "cut short", "a number that is longer than need be");
        let mut spliced = head();
        let end = spliced.len();
        spliced.splice(end - 3.., [soa(1).len() as u8 - 17, 15, 2, 0]);
        assert_eq!(read(&spliced).unwrap_err(), NOT_LEAST, "an octet that is as it was");
    }

    #[test]
    fn owners_ascend_within_the_zone_and_what_goes_stands_first() {
        let a = |owner: &[u8]| [owner, &[1, 4], b"abcd"].concat();
        let (b, low) = (a(b"\x1A\x01b"), [&b"\x50\x01a"[..], b"abcd"].concat());
        assert_eq!(refused(&[&b[..], &low].concat()), DISORDER.0);
        assert!(read(&[&head()[..], &b, b"\x50\x01cabcd"].concat()).is_ok());
        let capital = b"\x50\x01Babcd";
        assert!(read(&[&head()[..], &b, capital].concat()).is_ok());
        let added: Vec<u8> = [&[b[0] | ADDED], &b[1..]].concat();
        assert_eq!(
            refused(&[&added[..], capital].concat()),
            DISORDER.0,
            "the same owner in another spelling"
        );
        assert_eq!(refused(&[&added[..], &[0][..], b"abcd"].concat()), DISORDER.0);
        assert_eq!(refused(b"\x5A\x01z\x01\x04abcd"), "an owner is outside of the zone");
        assert_eq!(refused(b"\x9A\x01z\x01\x04abcd"), "more labels go than there are");
    }

    #[test]
    fn a_part_has_one_soa_and_both_are_those_of_one_zone() {
        let one = "each part has one SOA, in front";
        assert_eq!(refused(&[&[0][..], &soa(1)].concat()), one);
        let all = head();
        let mut wrong = all.clone();
        wrong[1] |= ADDED;
        assert_eq!(read(&wrong).unwrap_err().0, one);
        let mut wrong = all.clone();
        let last = wrong.len() - 4;
        wrong[last] = 0;
        assert_eq!(read(&wrong).unwrap_err().0, one);
        wrong.splice(last..=last, *b"\x11\x01x");
        assert_eq!(read(&wrong).unwrap_err().0, "its SOAs have two owners");
        // In another spelling it is the same owner.
        wrong.splice(last..last + 3, *b"\x51\x07EXAMPLE");
        let read = read(&wrong).unwrap();
        assert_eq!(read.added().next().map(|soa| soa.owner.to_string()), Some("EXAMPLE.".into()));
        assert_eq!(written(&read), wrong);
    }

    #[test]
    fn octets_take_little_memory_whatever_they_are() {
        // Names of 255 octets, each with another first label, no RDATA: the most that an octet can come to.
        let labels = [&[1, 0][..], &[62; 63], &[62; 63], &[62; 63], &[54; 55]];
        let mut octets = head();
        octets
            .extend([&[TYPE | LENGTH | MANY << COME, 5][..], &labels.concat(), &[0x80, 0xFE, 3, 0]].concat());
        for first in (1..=255u8).filter(|octet| !octet.is_ascii_uppercase()) {
            octets.extend([1 << GO | 1 << COME, 1, first]);
        }
        let read = read(&octets).unwrap();
        assert_eq!(read.removed_count(), 2 + 255 - 26);
        assert!(read.removed.memory() <= 2 * 90 * octets.len());
        assert_eq!(written(&read), octets);
    }
}
