//! An RRset as it lies in a page, and how it is written there.
//!
//! ```text
//! head      type (high four bits) and TTL (low four) as places in two tables; 15: written out
//! [type]    two octets, when the head says 15
//! [ttl]     a number, when the head says 15
//! size      a number; even: one record of size / 2 octets; odd: size / 2 records (two or more)
//! [total]   a number, with several records: octets of all that follow
//! RDATA     with several records each behind its length
//! ```
//!
//! Nothing here depends on what stands before it, so bodies are copied from page to page as they are. There is one way
//! to write a set: equal sets are equal octets.

use crate::varint;
use secondo_wire::RecordType;

/// The commonest types.
const TYPES: [u16; 15] = [1, 2, 5, 6, 12, 15, 16, 28, 33, 43, 46, 47, 48, 50, 65];
/// The commonest TTLs, seconds.
const TTLS: [u32; 15] =
    [0, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800];
/// Place that stands for "written out".
const OTHER: u8 = 15;

/// One RRset; the RRSIGs that cover one type are one (RFC 4034 §3: each set of signatures has the TTL of what it covers).
#[derive(Clone, Copy)]
pub struct Rrset<'z> {
    rtype: RecordType,
    ttl: u32,
    /// Number of records, at least one.
    count: u32,
    /// The RDATA, with several records each behind its length.
    list: &'z [u8],
}

impl<'z> Rrset<'z> {
    /// The type; RRSIG for signatures.
    pub fn rtype(&self) -> RecordType {
        self.rtype
    }

    /// The type that signatures cover; `None` for all other sets.
    pub fn covered(&self) -> Option<RecordType> {
        (self.rtype == RecordType::RRSIG).then(|| covered(self.rdatas().next().unwrap_or_default()))
    }

    /// TTL in seconds, one for the whole set (RFC 2181 §5.2).
    pub fn ttl(&self) -> u32 {
        self.ttl
    }

    /// Number of records, at least one.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// RDATA in canonical order (RFC 4034 §6.3), uncompressed, spelling kept.
    pub fn rdatas(&self) -> Rdatas<'z> {
        Rdatas { left: self.count, single: self.count == 1, list: self.list }
    }

    /// Takes a set off the front of a body; `None` when the octets are no set. The RDATA are not looked at.
    #[inline]
    pub(crate) fn take(bytes: &'z [u8]) -> Option<(Rrset<'z>, &'z [u8])> {
        let (&head, rest) = bytes.split_first()?;
        let (rtype, rest) = match TYPES.get(usize::from(head >> 4)) {
            Some(&rtype) => (rtype, rest),
            None => rest.split_first_chunk().map(|(rtype, rest)| (u16::from_be_bytes(*rtype), rest))?,
        };
        let (ttl, rest) = match TTLS.get(usize::from(head & 15)) {
            Some(&ttl) => (ttl, rest),
            None => varint::take(rest)?,
        };
        let (size, rest) = varint::take(rest)?;
        let (count, total, rest) = match size & 1 {
            0 => (1, size >> 1, rest),
            // One record is never written as several.
            _ if size < 4 => return None,
            _ => varint::take(rest).map(|(total, rest)| (size >> 1, total, rest))?,
        };
        let (list, rest) = rest.split_at_checked(total as usize)?;
        Some((Rrset { rtype: RecordType(rtype), ttl, count, list }, rest))
    }

    /// Its place among the sets of an owner: by type, signatures by the type they cover.
    pub(crate) fn place(&self) -> u32 {
        place(self.rtype, self.covered())
    }

    /// Whether `head`, its first octet, uses the tables wherever it can.
    pub(crate) fn is_shortest(&self, head: u8) -> bool {
        let shortest = |place: u8, known: bool| place != OTHER || !known;
        shortest(head >> 4, TYPES.contains(&self.rtype.0)) && shortest(head & 15, TTLS.contains(&self.ttl))
    }
}

impl std::fmt::Debug for Rrset<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rrset")
            .field("rtype", &self.rtype)
            .field("ttl", &self.ttl)
            .field("len", &self.count)
            .finish()
    }
}

/// The type that an RRSIG covers (RFC 4034 §3.1.1): its first two octets.
pub(crate) fn covered(rdata: &[u8]) -> RecordType {
    RecordType(rdata.first_chunk().map_or(0, |first| u16::from_be_bytes(*first)))
}

/// Where a set stands among the sets of an owner.
pub(crate) fn place(rtype: RecordType, covered: Option<RecordType>) -> u32 {
    u32::from(rtype.0) << 16 | covered.map_or(0, |covered| u32::from(covered.0))
}

/// The RDATA of a set. See [`Rrset::rdatas`].
#[derive(Clone, Debug)]
pub struct Rdatas<'z> {
    left: u32,
    single: bool,
    list: &'z [u8],
}

impl<'z> Rdatas<'z> {
    /// What follows those that were taken.
    pub(crate) fn rest(&self) -> &'z [u8] {
        self.list
    }
}

impl<'z> Iterator for Rdatas<'z> {
    type Item = &'z [u8];

    #[inline]
    fn next(&mut self) -> Option<&'z [u8]> {
        self.left = self.left.checked_sub(1)?;
        if self.single {
            return Some(std::mem::take(&mut self.list));
        }
        let (length, rest) = varint::take(self.list)?;
        let (rdata, rest) = rest.split_at_checked(length as usize)?;
        self.list = rest;
        Some(rdata)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

/// Appends a set: at least one RDATA, each of at most 65,535 octets, in canonical order, without duplicates.
/// The sum of their lengths must stay below 2^31.
pub(crate) fn put<'r>(
    out: &mut Vec<u8>,
    rtype: RecordType,
    ttl: u32,
    rdatas: impl Iterator<Item = &'r [u8]> + Clone,
) {
    let in_types = TYPES.iter().position(|&t| t == rtype.0);
    let in_ttls = TTLS.iter().position(|&t| t == ttl);
    out.push((in_types.map_or(OTHER, |at| at as u8) << 4) | in_ttls.map_or(OTHER, |at| at as u8));
    if in_types.is_none() {
        out.extend_from_slice(&rtype.0.to_be_bytes());
    }
    if in_ttls.is_none() {
        varint::put(out, ttl);
    }
    let mut more = rdatas.clone();
    if let (Some(only), None) = (more.next(), more.next()) {
        varint::put(out, (only.len() as u32) << 1);
        out.extend_from_slice(only);
        return;
    }
    let (mut count, mut total) = (0u32, 0);
    for rdata in rdatas.clone() {
        count += 1;
        total += varint::length(rdata.len() as u32) + rdata.len();
    }
    varint::put(out, count << 1 | 1);
    varint::put(out, total as u32);
    for rdata in rdatas {
        varint::put(out, rdata.len() as u32);
        out.extend_from_slice(rdata);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(rtype: u16, ttl: u32, rdatas: &[&[u8]]) -> Vec<u8> {
        let mut out = vec![];
        put(&mut out, RecordType(rtype), ttl, rdatas.iter().copied());
        out
    }

    #[test]
    fn a_set_comes_back_as_it_was_written() {
        let long = vec![7; 65_535];
        for (rtype, ttl, rdatas) in [
            (1, 3600, vec![&b"abcd"[..]]),
            (1, 1, vec![b"abcd", b"abce"]),
            (65_280, 300, vec![b""]),
            (65_280, u32::MAX, vec![b"", &long]),
            (16, 60, vec![&long]),
        ] {
            let mut bytes = written(rtype, ttl, &rdatas);
            let whole = bytes.len();
            bytes.extend_from_slice(b"rest");
            let (set, rest) = Rrset::take(&bytes).unwrap();
            assert_eq!((set.rtype(), set.ttl(), set.len()), (RecordType(rtype), ttl, rdatas.len()));
            assert_eq!(set.rdatas().collect::<Vec<_>>(), rdatas);
            assert_eq!(rest, b"rest");
            assert!(set.is_shortest(bytes[0]));
            for cut in 0..whole.min(80) {
                assert!(Rrset::take(&bytes[..cut]).is_none());
            }
        }
    }

    #[test]
    fn an_address_costs_two_octets_more_than_itself() {
        assert_eq!(written(1, 3600, &[b"abcd"]).len(), 6);
    }
}
