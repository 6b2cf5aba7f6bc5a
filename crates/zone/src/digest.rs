//! The digest of a zone's content: a sum over its RRsets, so that it is kept up to date with each change and depends
//! neither on the order of changes nor on page borders, and over canonical forms, so that spelling has no part in it.
//!
//! One RRset is hashed with SipHash-2-4-128 under the fixed key 00 01 … 0F over: length of the owner's key (two
//! octets), key, type, covered type (0 when it has none), TTL (four octets), then for each record length (two octets) and
//! canonical RDATA in canonical order, all big-endian. Four sums modulo 2^64 are kept: of both halves of the hash and
//! of both halves scrambled (the finalizer of SplitMix64).
//!
//! It protects against accident: a lost update, a bug, a flipped bit. It does not protect against somebody who chooses
//! records so that sums collide; that is what ZONEMD and TSIG are for.

use crate::diversions::Diversions;
use crate::rrset::Rrset;
use secondo_wire::{RecordType, rdata};
use siphasher::sip128::SipHasher24;

const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// Four sums modulo 2^64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest([u64; 4]);

impl Digest {
    pub(crate) fn add(&mut self, other: &Digest) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, n)| *sum = sum.wrapping_add(n));
    }

    pub(crate) fn subtract(&mut self, other: &Digest) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, n)| *sum = sum.wrapping_sub(n));
    }

    /// The sums, big-endian, one behind the other.
    pub(crate) fn octets(&self) -> [u8; 32] {
        let mut out = [0; 32];
        out.chunks_exact_mut(8)
            .zip(self.0)
            .for_each(|(chunk, sum)| chunk.copy_from_slice(&sum.to_be_bytes()));
        out
    }
}

/// What the records of some owners come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) names: u64,
    pub(crate) records: u64,
    /// Octets of the records in uncompressed wire form.
    pub(crate) wire_bytes: u64,
    pub(crate) digest: Digest,
    pub(crate) diversions: Diversions,
    /// Owners that are wildcards or stand below one.
    pub(crate) wild: u64,
}

impl Summary {
    pub(crate) fn add(&mut self, other: &Summary) {
        self.names += other.names;
        self.records += other.records;
        self.wire_bytes += other.wire_bytes;
        self.digest.add(&other.digest);
        self.diversions.add(&other.diversions);
        self.wild += other.wild;
    }

    /// Takes away what was added before.
    pub(crate) fn subtract(&mut self, other: &Summary) {
        debug_assert!(self.names >= other.names && self.records >= other.records, "it was added");
        debug_assert!(self.wire_bytes >= other.wire_bytes && self.wild >= other.wild, "it was added");
        self.names = self.names.saturating_sub(other.names);
        self.records = self.records.saturating_sub(other.records);
        self.wire_bytes = self.wire_bytes.saturating_sub(other.wire_bytes);
        self.digest.subtract(&other.digest);
        self.diversions.subtract(&other.diversions);
        self.wild = self.wild.saturating_sub(other.wild);
    }
}

/// Reckons summaries, with buffers that are used again and again.
#[derive(Default)]
pub(crate) struct Reckoner {
    hashed: Vec<u8>,
    canonical: Vec<u8>,
}

impl Reckoner {
    /// What one owner comes to: its key, the octets of its name in wire form, its RRsets.
    pub(crate) fn owner<'s>(
        &mut self,
        key: &[u8],
        name_len: usize,
        sets: impl Iterator<Item = Rrset<'s>>,
    ) -> Summary {
        let wild = key.contains(&b'*') && key.split(|&octet| octet == 0).any(|label| label == b"*");
        let mut summary = Summary { names: 1, wild: u64::from(wild), ..Summary::default() };
        for set in sets {
            let folds = rdata::folds(set.rtype());
            let covered = set.covered().unwrap_or(RecordType(0));
            self.begin(key, set.rtype(), covered, set.ttl());
            for rdata in set.rdatas() {
                summary.records += 1;
                // Type, class, TTL and length: ten octets (RFC 1035 §3.2.1).
                summary.wire_bytes += (name_len + 10 + rdata.len()) as u64;
                self.hashed.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
                if folds {
                    rdata::canonical(set.rtype(), rdata, &mut self.canonical);
                    self.hashed.extend_from_slice(&self.canonical);
                } else {
                    self.hashed.extend_from_slice(rdata);
                }
            }
            summary.digest.add(&self.end());
            summary.diversions.note(key, &set);
        }
        summary
    }

    fn begin(&mut self, key: &[u8], rtype: RecordType, covered: RecordType, ttl: u32) {
        self.hashed.clear();
        self.hashed.extend_from_slice(&(key.len() as u16).to_be_bytes());
        self.hashed.extend_from_slice(key);
        self.hashed.extend_from_slice(&rtype.0.to_be_bytes());
        self.hashed.extend_from_slice(&covered.0.to_be_bytes());
        self.hashed.extend_from_slice(&ttl.to_be_bytes());
    }

    fn end(&self) -> Digest {
        let hash = SipHasher24::new_with_key(&KEY).hash(&self.hashed);
        Digest([hash.h1, hash.h2, scramble(hash.h1), scramble(hash.h2)])
    }
}

/// The finalizer of SplitMix64.
fn scramble(mut n: u64) -> u64 {
    n = (n ^ n >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    n = (n ^ n >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ n >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rrset;

    fn digest(key: &[u8], rtype: u16, ttl: u32, rdatas: &[&[u8]]) -> Digest {
        let mut body = vec![];
        rrset::put(&mut body, RecordType(rtype), ttl, rdatas.iter().copied());
        let set = Rrset::take(&body).unwrap().0;
        Reckoner::default().owner(key, 1, std::iter::once(set)).digest
    }

    #[test]
    fn the_digest_has_a_value_that_never_changes() {
        let hex: String = digest(b"a\0", 1, 300, &[b"\xC0\0\x02\x01"])
            .octets()
            .iter()
            .map(|o| format!("{o:02x}"))
            .collect();
        assert_eq!(hex, "808c8d6b70c94803ae411e464573ae119c19327567ac9c82a5088704166b4dc9");
    }

    #[test]
    fn spelling_has_no_part_in_it_and_all_else_has() {
        let ns = digest(b"a\0", 2, 300, &[b"\x01n\0"]);
        assert_eq!(ns, digest(b"a\0", 2, 300, &[b"\x01N\0"]));
        let others = [
            digest(b"b\0", 2, 300, &[b"\x01n\0"]),
            digest(b"a\0", 2, 301, &[b"\x01n\0"]),
            digest(b"a\0", 2, 300, &[b"\x01m\0"]),
            digest(b"a\0", 12, 300, &[b"\x01n\0"]),
            digest(b"a\0", 2, 300, &[b"\x01m\0", b"\x01n\0"]),
            // In TXT case counts.
            digest(b"a\0", 16, 300, &[b"\x01n"]),
            digest(b"a\0", 16, 300, &[b"\x01N"]),
        ];
        for (at, other) in others.iter().enumerate() {
            assert!(*other != ns && others[..at].iter().all(|before| before != other), "{at}");
        }
    }

    #[test]
    fn what_was_added_can_be_taken_away() {
        let (a, b) = (digest(b"a\0", 1, 1, &[b"abcd"]), digest(b"b\0", 1, 1, &[b"abcd"]));
        let mut sum = Digest::default();
        sum.add(&a);
        sum.add(&b);
        sum.subtract(&a);
        assert_eq!(sum, b);
    }
}
