//! Writing messages into a bounded buffer, with name compression (RFC 1035 §4.1.4).
//!
//! Compression is one table lookup a label: each suffix written is remembered under a hash of its octets. Answers
//! match without regard to case; transfers match exact octets, so that spelling survives (RFC 5936 §3.4).

use crate::message::Header;
use crate::name::NameRef;
use crate::rdata::{self, Field};
use crate::rtype::RecordType;

/// The message would pass its limit; nothing of the item was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Slots looked at before a suffix counts as unknown: bounds the work per label.
const PROBES: usize = 4;

/// Remembers where suffixes of names stand in the message being written. Re-used for message after message.
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
}

impl<'b> Writer<'b> {
    /// Begins a message of at most `limit` octets behind what `out` holds, leaving space for the header.
    pub fn new(out: &'b mut Vec<u8>, compressor: &'b mut Compressor, limit: usize) -> Writer<'b> {
        compressor.clear();
        let base = out.len();
        out.resize(base + Header::SIZE, 0);
        Writer { out, compressor, base, limit: limit.min(crate::MAX_MESSAGE), reserved: 0 }
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
        let start = self.len();
        let written = self.try_record(owner, rtype, class, ttl, rdata);
        if written.is_err() {
            self.rewind(start);
        }
        written
    }

    fn try_record(
        &mut self,
        owner: NameRef<'_>,
        rtype: RecordType,
        class: u16,
        ttl: u32,
        rdata: &[u8],
    ) -> Result<(), Full> {
        self.name(owner)?;
        let mut head = [0; 10];
        head[..2].copy_from_slice(&rtype.0.to_be_bytes());
        head[2..4].copy_from_slice(&class.to_be_bytes());
        head[4..8].copy_from_slice(&ttl.to_be_bytes());
        self.octets(&head)?;
        let start = self.out.len();
        let compresses = rdata::layout(rtype).is_some_and(|fields| fields.contains(&Field::Compressible));
        if compresses {
            self.compressed_rdata(rtype, rdata)?;
        } else {
            self.octets(rdata)?;
        }
        let length = u16::try_from(self.out.len() - start).map_err(|_| Full)?;
        self.out[start - 2..start].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    fn compressed_rdata(&mut self, rtype: RecordType, rdata: &[u8]) -> Result<(), Full> {
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
        let wire = name.as_wire();
        let (mut starts, mut hashes, mut count, mut at) = ([0u8; 128], [0u32; 128], 0, 0);
        while wire[at] != 0 {
            starts[count] = at as u8;
            count += 1;
            at += wire[at] as usize + 1;
        }
        // One pass from the root outwards gives the hash of every suffix.
        let mut hash = 0x811C_9DC5u32;
        for i in (0..count).rev() {
            let start = starts[i] as usize;
            for &octet in &wire[start..=start + wire[start] as usize] {
                let octet = if self.compressor.fold { octet.to_ascii_lowercase() } else { octet };
                hash = (hash ^ u32::from(octet)).wrapping_mul(0x0100_0193);
            }
            hashes[i] = hash;
        }
        let found = (0..count).find_map(|i| Some((i, self.find(hashes[i], &wire[starts[i] as usize..])?)));
        let (fresh, tail): (usize, Option<u16>) =
            found.map_or((count, None), |(i, offset)| (i, Some(offset)));
        let own = if fresh == count { wire.len() - 1 } else { starts[fresh] as usize };
        if own + if tail.is_some() { 2 } else { 1 } > self.room() {
            return Err(Full);
        }
        let here = self.len();
        for i in 0..fresh {
            self.remember(hashes[i], here + starts[i] as usize);
        }
        self.out.extend_from_slice(&wire[..own]);
        match tail {
            Some(offset) => self.out.extend_from_slice(&(0xC000 | offset).to_be_bytes()),
            None => self.out.push(0),
        }
        Ok(())
    }

    fn find(&self, hash: u32, suffix: &[u8]) -> Option<u16> {
        let slots = &self.compressor.slots;
        let mask = slots.len() - 1;
        (0..PROBES)
            .map(|probe| slots[(hash as usize + probe) & mask])
            .take_while(|slot| slot.generation == self.compressor.generation)
            .find(|slot| slot.hash == hash && self.stands_at(slot.offset, suffix))
            .map(|slot| slot.offset)
    }

    fn remember(&mut self, hash: u32, offset: usize) {
        // RFC 1035 §4.1.4: a pointer has 14 bits.
        let Ok(offset @ 0..=0x3FFF) = u16::try_from(offset) else { return };
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

    /// Whether the name at `offset` of the message equals `suffix`.
    fn stands_at(&self, offset: u16, mut suffix: &[u8]) -> bool {
        let message = &self.out[self.base..];
        let mut at = offset as usize;
        loop {
            let Some(&head) = message.get(at) else { return false };
            if head >= 0xC0 {
                let Some(&low) = message.get(at + 1) else { return false };
                let target = usize::from(u16::from_be_bytes([head & 0x3F, low]));
                // A rewound and rewritten message could hold anything here: pointers still only go back.
                if target >= at {
                    return false;
                }
                at = target;
                continue;
            }
            let n = head as usize + 1;
            let (Some(mine), Some(theirs)) = (message.get(at..at + n), suffix.get(..n)) else { return false };
            let same = if self.compressor.fold { mine.eq_ignore_ascii_case(theirs) } else { mine == theirs };
            if !same {
                return false;
            }
            if n == 1 {
                return true;
            }
            at += n;
            suffix = &suffix[n..];
        }
    }

    /// Writes the header and ends the message; returns its length.
    pub fn finish(self, header: Header) -> usize {
        self.out[self.base..self.base + Header::SIZE].copy_from_slice(&header.to_octets());
        self.len()
    }
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
}
