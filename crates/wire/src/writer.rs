//! Writing messages into a bounded buffer, with name compression (RFC 1035 §4.1.4).
//!
//! Compression is one table lookup a label, from the root outwards: each label written is remembered under a hash of its
//! octets and of the place where the rest of its name stands, so that a name is found label by label, and where one is not
//! found the rest is new. Answers match without regard to case; transfers match exact octets, so that spelling survives
//! (RFC 5936 §3.4). An [`Owner`] of several records is looked for once.

use crate::fold;
use crate::message::Header;
use crate::name::{MAX_NAME, NameRef};
use crate::owner::Owner;
use crate::rdata::{self, Field};
use crate::rtype::RecordType;

/// The message would pass its limit; nothing of the item was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Slots looked at before a label counts as unknown: bounds the work per label.
const PROBES: usize = 4;
/// RFC 1035 §4.1.4: a pointer has 14 bits.
pub(crate) const FARTHEST: usize = 0x3FFF;
/// Octets of a record between its owner and its RDATA.
const HEAD: usize = 10;
/// Where the root stands that every name ends with: nowhere that a pointer could lead to.
const ROOT: u16 = u16::MAX;

/// Remembers where labels of names stand in the message being written. Re-used for message after message.
#[derive(Clone)]
pub struct Compressor {
    /// Open addressing; a slot counts only in its own generation.
    slots: Box<[Slot]>,
    generation: u32,
    /// Fold case when matching.
    fold: bool,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    generation: u32,
    hash: u32,
    offset: u16,
}

impl Compressor {
    /// For answers: suffixes match without regard to case.
    pub fn folding() -> Compressor {
        Compressor::new(256, true)
    }

    /// For transfers: suffixes match octet by octet.
    pub fn exact() -> Compressor {
        Compressor::new(4096, false)
    }

    fn new(slots: usize, fold: bool) -> Compressor {
        Compressor { slots: vec![Slot::default(); slots].into(), generation: 1, fold }
    }

    fn clear(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        if self.generation == 0 {
            self.slots.fill(Slot::default());
            self.generation = 1;
        }
    }
}

/// A message being written. The header is written last, by [`Writer::finish`].
pub struct Writer<'b> {
    out: &'b mut Vec<u8>,
    compressor: &'b mut Compressor,
    /// Where the message begins in `out`.
    base: usize,
    /// Most octets of the message.
    limit: usize,
    /// Octets held back at the end, for OPT and TSIG.
    reserved: usize,
    /// Octets of the first name, right behind the header, as long as its labels are not remembered: no other needed them.
    first: usize,
}

impl<'b> Writer<'b> {
    /// Begins a message of at most `limit` octets behind what `out` holds, leaving space for the header.
    pub fn new(out: &'b mut Vec<u8>, compressor: &'b mut Compressor, limit: usize) -> Writer<'b> {
        compressor.clear();
        let base = out.len();
        out.resize(base + Header::SIZE, 0);
        Writer { out, compressor, base, limit: limit.min(crate::MAX_MESSAGE), reserved: 0, first: 0 }
    }

    /// Octets written.
    pub fn len(&self) -> usize {
        self.out.len() - self.base
    }

    /// Whether nothing but the space for the header was written.
    pub fn is_empty(&self) -> bool {
        self.len() == Header::SIZE
    }

    /// Octets that may still be written.
    pub fn room(&self) -> usize {
        (self.limit.saturating_sub(self.reserved)).saturating_sub(self.len())
    }

    /// Holds back `octets` at the end; released by calling with 0.
    pub fn reserve(&mut self, octets: usize) {
        self.reserved = octets;
    }

    /// Back to an earlier [`Writer::len`]. Suffixes remembered behind it are not found again.
    pub fn rewind(&mut self, len: usize) {
        self.out.truncate(self.base + len.max(Header::SIZE));
    }

    /// What was written since the message had so many octets.
    pub(crate) fn since(&mut self, len: usize) -> &mut [u8] {
        &mut self.out[self.base + len..]
    }

    /// Raw octets.
    pub fn octets(&mut self, octets: &[u8]) -> Result<(), Full> {
        if octets.len() > self.room() {
            return Err(Full);
        }
        self.out.extend_from_slice(octets);
        Ok(())
    }

    /// A question; its name is remembered for compression.
    pub fn question(&mut self, name: NameRef<'_>, rtype: RecordType, class: u16) -> Result<(), Full> {
        let start = self.len();
        self.name(name)?;
        let [[a, b], [c, d]] = [rtype.0.to_be_bytes(), class.to_be_bytes()];
        self.octets(&[a, b, c, d]).inspect_err(|Full| self.out.truncate(self.base + start))
    }

    /// A whole record from uncompressed RDATA; compresses the owner and the names of the RFC 1035 types
    /// (RFC 3597 §4). When it does not fit, nothing is left of it.
    pub fn record(
        &mut self,
        owner: NameRef<'_>,
        rtype: RecordType,
        class: u16,
        ttl: u32,
        rdata: &[u8],
    ) -> Result<(), Full> {
        self.record_of(&mut owner.into(), rtype, class, ttl, rdata)
    }

    /// The same, one of several records of an owner, which is looked for only once. After [`Writer::rewind`] to a place before
    /// them the owner is of no use any more.
    pub fn record_of(
        &mut self,
        owner: &mut Owner<'_>,
        rtype: RecordType,
        class: u16,
        ttl: u32,
        rdata: &[u8],
    ) -> Result<(), Full> {
        let (start, before) = (self.len(), *owner);
        let written = self.try_record(owner, rtype, class, ttl, rdata);
        if written.is_err() {
            self.rewind(start);
            *owner = before;
        }
        written
    }

    fn try_record(
        &mut self,
        owner: &mut Owner<'_>,
        rtype: RecordType,
        class: u16,
        ttl: u32,
        rdata: &[u8],
    ) -> Result<(), Full> {
        let length = u16::try_from(rdata.len()).map_err(|_| Full)?;
        let place = match owner.place {
            Some(place) => place,
            None => {
                owner.place = self.place_name(owner.name)?;
                return self.try_body(rtype, class, ttl, rdata);
            }
        };
        let labels = owner.name.as_wire().get(..usize::from(owner.own)).unwrap_or_default();
        let plain = !rdata::compresses(rtype);
        if labels.len() + 2 + HEAD + if plain { rdata.len() } else { 0 } > self.room() {
            return Err(Full);
        }
        if !labels.is_empty() {
            let here = self.len();
            self.out.extend_from_slice(labels);
            // Where no pointer reaches, the next record of this owner is written in full again.
            if here <= FARTHEST {
                (owner.own, owner.place) = (0, Some(here as u16));
            }
        }
        let mut front = [0; 2 + HEAD];
        front[..2].copy_from_slice(&(0xC000 | place).to_be_bytes());
        front[2..].copy_from_slice(&head(rtype, class, ttl, length));
        self.out.extend_from_slice(&front);
        if plain {
            self.out.extend_from_slice(rdata);
            return Ok(());
        }
        self.compressed_rdata(rtype, rdata)
    }

    /// A record behind its owner.
    fn try_body(&mut self, rtype: RecordType, class: u16, ttl: u32, rdata: &[u8]) -> Result<(), Full> {
        self.octets(&head(rtype, class, ttl, rdata.len() as u16))?;
        match rdata::compresses(rtype) {
            false => self.octets(rdata),
            true => self.compressed_rdata(rtype, rdata),
        }
    }

    /// RDATA with its names compressed, and its length, which stands right before it, made that which it has then.
    fn compressed_rdata(&mut self, rtype: RecordType, rdata: &[u8]) -> Result<(), Full> {
        let start = self.out.len();
        self.compressed_fields(rtype, rdata)?;
        let length = u16::try_from(self.out.len() - start).map_err(|_| Full)?;
        self.out[start - 2..start].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    fn compressed_fields(&mut self, rtype: RecordType, rdata: &[u8]) -> Result<(), Full> {
        let mut written = 0;
        for field in rdata::fields(rtype, rdata) {
            let Ok((field, octets)) = field else { break };
            match NameRef::split_from(octets) {
                Some((name, _)) if field == Field::Compressible => self.name(name)?,
                _ => self.octets(octets)?,
            }
            written += octets.len();
        }
        self.octets(&rdata[written..])
    }

    /// A name, compressed against those written before.
    pub fn name(&mut self, name: NameRef<'_>) -> Result<(), Full> {
        self.place_name(name).map(drop)
    }

    /// Writes a name; returns where it, or one equal to it, stands, as far as a pointer reaches.
    fn place_name(&mut self, name: NameRef<'_>) -> Result<Option<u16>, Full> {
        let wire = name.as_wire();
        if self.is_empty() && wire.len() <= self.room() {
            self.out.extend_from_slice(wire);
            self.first = wire.len();
            return Ok(Some(Header::SIZE as u16).filter(|_| !name.is_root()));
        }
        self.remember_first();
        let (starts, mut count) = label_starts(wire);
        // From the root outwards as far as the message has the name.
        let (mut end, mut rest, mut missing) = (wire.len() - 1, ROOT, None);
        while count > 0 {
            let start = usize::from(starts[count - 1]);
            let hash = self.hash(rest, &wire[start..end]);
            let Some(place) = self.find(hash, rest, &wire[start..end]) else {
                missing = Some(hash);
                break;
            };
            (end, rest, count) = (start, place, count - 1);
        }
        let tail = if rest == ROOT { 1 } else { 2 };
        if end + tail > self.room() {
            return Err(Full);
        }
        let here = self.len();
        self.out.extend_from_slice(&wire[..end]);
        match rest {
            ROOT => self.out.push(0),
            _ => self.out.extend_from_slice(&(0xC000 | rest).to_be_bytes()),
        }
        if count == 0 {
            return Ok(Some(rest).filter(|&rest| rest != ROOT));
        }
        if here + end > FARTHEST {
            return Ok(u16::try_from(here).ok().filter(|&here| usize::from(here) <= FARTHEST));
        }
        for &start in starts[..count].iter().rev() {
            let start = usize::from(start);
            let hash = missing.take().unwrap_or_else(|| self.hash(rest, &wire[start..end]));
            rest = (here + start) as u16;
            self.remember(hash, rest);
            end = start;
        }
        Ok(Some(rest))
    }

    /// Remembers the labels of the first name.
    fn remember_first(&mut self) {
        let length = std::mem::take(&mut self.first);
        let Some(mut end) = length.checked_sub(1) else { return };
        // The first name stands there whole, unless the writer went back behind it.
        let stands = self.out.get(self.base + Header::SIZE..).and_then(NameRef::split_from);
        let Some((name, _)) = stands.filter(|(name, _)| name.as_wire().len() == length) else { return };
        let mut wire = [0; MAX_NAME];
        wire[..length].copy_from_slice(name.as_wire());
        let (starts, count) = label_starts(&wire);
        let mut rest = ROOT;
        for &start in starts[..count].iter().rev() {
            let start = usize::from(start);
            let hash = self.hash(rest, &wire[start..end]);
            rest = (Header::SIZE + start) as u16;
            self.remember(hash, rest);
            end = start;
        }
    }

    /// The hash of a label with its length octet, the rest of whose name stands at `rest`.
    #[inline]
    fn hash(&self, rest: u16, label: &[u8]) -> u32 {
        const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
        // With this bit set letters are equal whatever their case; so are some others, which the comparison tells apart.
        let fold = if self.compressor.fold { u64::from_ne_bytes([0x20; 8]) } else { 0 };
        let mut hash = u64::from(rest);
        let mut add = |word: u64| hash = ((hash ^ (word | fold)).wrapping_mul(MIX)).rotate_left(29);
        match label.len() {
            0..8 => add(fold::short_word(label)),
            length => fold::places(length).for_each(|at| add(fold::word(label, at))),
        }
        (hash ^ hash >> 32) as u32
    }

    /// Where a label stands that is followed by the rest of its name, which stands at `rest`.
    #[inline]
    fn find(&self, hash: u32, rest: u16, label: &[u8]) -> Option<u16> {
        let slots = &self.compressor.slots;
        let mask = slots.len() - 1;
        (0..PROBES)
            .map(|probe| slots[(hash as usize + probe) & mask])
            .take_while(|slot| slot.generation == self.compressor.generation)
            .find(|slot| slot.hash == hash && self.stands_at(slot.offset, label, rest))
            .map(|slot| slot.offset)
    }

    fn remember(&mut self, hash: u32, offset: u16) {
        let generation = self.compressor.generation;
        let slots = &mut self.compressor.slots;
        let mask = slots.len() - 1;
        for probe in 0..PROBES {
            let slot = &mut slots[(hash as usize + probe) & mask];
            if slot.generation != generation {
                *slot = Slot { generation, hash, offset };
                return;
            }
        }
    }

    /// Whether `label` stands at `offset` of the message, and behind it what stands at `rest` or a pointer to it. A message
    /// that was rewound and rewritten may hold anything there.
    #[inline]
    fn stands_at(&self, offset: u16, label: &[u8], rest: u16) -> bool {
        let message = &self.out[self.base..];
        let behind = usize::from(offset) + label.len();
        let Some(mine) = message.get(usize::from(offset)..behind) else { return false };
        let same = if self.compressor.fold { fold::equal(mine, label) } else { mine == label };
        same && match rest {
            ROOT => message.get(behind) == Some(&0),
            _ if usize::from(rest) == behind => true,
            _ => message.get(behind..).is_some_and(|tail| tail.starts_with(&(0xC000 | rest).to_be_bytes())),
        }
    }

    /// Writes the header and ends the message; returns its length.
    pub fn finish(self, header: Header) -> usize {
        self.out[self.base..self.base + Header::SIZE].copy_from_slice(&header.to_octets());
        self.len()
    }
}

/// What stands between the owner of a record and its RDATA (RFC 1035 §3.2.1).
#[inline]
fn head(rtype: RecordType, class: u16, ttl: u32, length: u16) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..2].copy_from_slice(&rtype.0.to_be_bytes());
    head[2..4].copy_from_slice(&class.to_be_bytes());
    head[4..8].copy_from_slice(&ttl.to_be_bytes());
    head[8..].copy_from_slice(&length.to_be_bytes());
    head
}

/// Where the labels of a name start, and how many there are.
#[inline]
fn label_starts(wire: &[u8]) -> ([u8; 128], usize) {
    let (mut starts, mut count, mut at) = ([0; 128], 0, 0);
    while wire[at] != 0 {
        starts[count] = at as u8;
        count += 1;
        at += usize::from(wire[at]) + 1;
    }
    (starts, count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Name, NameBuf, read_name};

    fn n(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn suffixes_are_shared_and_case_decides_only_for_transfers() {
        for (mut compressor, shared) in [(Compressor::folding(), true), (Compressor::exact(), false)] {
            let mut out = vec![];
            let mut w = Writer::new(&mut out, &mut compressor, 512);
            w.name(n("www.example.com.").as_ref()).unwrap();
            let before = w.len();
            w.name(n("mail.EXAMPLE.com.").as_ref()).unwrap();
            let second = w.len() - before;
            assert_eq!(second, if shared { 7 } else { 5 + 8 + 2 });
            w.finish(Header { id: 0, flags: 0, counts: [0; 4] });
            let mut name = NameBuf::new();
            read_name(&out, before, &mut name).unwrap();
            let expected = if shared { "mail.example.com." } else { "mail.EXAMPLE.com." };
            assert_eq!(name.as_ref().to_string(), expected);
        }
    }

    #[test]
    fn a_record_that_does_not_fit_leaves_nothing() {
        let mut compressor = Compressor::folding();
        let mut out = vec![];
        let mut w = Writer::new(&mut out, &mut compressor, 12 + 9 + 10 + 4);
        assert_eq!(w.record(n("example.").as_ref(), RecordType::A, 1, 5, &[0; 5]), Err(Full));
        assert_eq!(w.len(), 12);
        assert_eq!(w.record(n("example.").as_ref(), RecordType::A, 1, 5, &[0; 4]), Ok(()));
        assert_eq!(w.room(), 0);
    }

    #[test]
    fn pointers_reach_no_farther_than_14_bits() {
        let mut compressor = Compressor::exact();
        let mut out = vec![];
        let mut w = Writer::new(&mut out, &mut compressor, 65_535);
        w.octets(&[0; 0x4000]).unwrap();
        let at = w.len();
        w.name(n("far.example.").as_ref()).unwrap();
        let again = w.len();
        w.name(n("far.example.").as_ref()).unwrap();
        assert_eq!(w.len() - again, again - at);
    }

    #[test]
    fn rdata_names_of_old_types_only_are_compressed() {
        let mut compressor = Compressor::folding();
        let mut out = vec![];
        let mut w = Writer::new(&mut out, &mut compressor, 512);
        let apex = n("example.");
        w.record(apex.as_ref(), RecordType::NS, 1, 5, n("ns.example.").as_wire()).unwrap();
        assert_eq!(w.len(), 12 + 9 + 10 + 5);
        let before = w.len();
        w.record(apex.as_ref(), RecordType::DNAME, 1, 5, n("ns.example.").as_wire()).unwrap();
        assert_eq!(w.len() - before, 2 + 10 + 12);
    }

    #[test]
    fn an_owner_whose_end_is_known_to_stand_there_is_not_looked_for() {
        let (apex, name) = (n("example."), n("a.b.Example."));
        for (own, place, length, again) in
            [(4, 12, 6, 6), (0, 12, 2, 2), (12, 20, 6, 2), (4, FARTHEST + 1, 6, 2)]
        {
            let mut compressor = Compressor::folding();
            let mut out = vec![];
            let mut w = Writer::new(&mut out, &mut compressor, 512);
            w.name(apex.as_ref()).unwrap();
            let start = w.len();
            let name = if own == 0 { apex.as_ref() } else { name.as_ref() };
            let mut owner = Owner::below(name, own, place);
            assert_eq!(w.record_of(&mut owner, RecordType::A, 1, 5, &[0; 500]), Err(Full));
            w.record_of(&mut owner, RecordType::A, 1, 5, &[0; 4]).unwrap();
            assert_eq!(w.len() - start, length + 14, "{own} {place}");
            let second = w.len();
            w.record_of(&mut owner, RecordType::NS, 1, 5, name.as_wire()).unwrap();
            assert_eq!(w.len() - second, 2 + 10 + again, "{own} {place}");
            w.finish(Header { id: 0, flags: 0, counts: [0; 4] });
            for at in [start, second] {
                let mut read = NameBuf::new();
                read_name(&out, at, &mut read).unwrap();
                assert!(read.as_ref() == name);
            }
        }
    }
}
