//! The TSIG record on the wire: found and read in a message, written behind one (RFC 8945 §4.2).

use secondo_wire::{CLASS_ANY, Header, Malformed, Message, NameBuf, NameRef, RecordType, Section, read_name};

/// Largest Time Signed, 48 bits.
pub(crate) const MAX_TIME: u64 = 0xFFFF_FFFF_FFFF;

/// A TSIG record of a received message.
pub(crate) struct Tsig<'a> {
    /// The message's header as received.
    pub(crate) header: Header,
    /// Where the record begins: octets of the message before it.
    pub(crate) start: usize,
    /// The key's name, lower case.
    pub(crate) name: NameBuf,
    /// The algorithm's name as received.
    pub(crate) algorithm: NameRef<'a>,
    /// When it was signed, in seconds since 1970, 48 bits.
    pub(crate) time: u64,
    /// Permitted difference of the clocks in seconds.
    pub(crate) fudge: u16,
    /// The MAC as received, of any length.
    pub(crate) mac: &'a [u8],
    /// The ID of the message when it was signed.
    pub(crate) original_id: u16,
    /// The error: see [`crate::tsig_error`].
    pub(crate) error: u16,
    /// Other data, of any length.
    pub(crate) other: &'a [u8],
}

/// Why a message has no readable TSIG record, though it has one or is no message at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misfit {
    #[error("{0} (RFC 1035 §4.1)")]
    Message(#[from] Malformed),
    #[error("a TSIG record is not the last of the additional section, or not the only one (RFC 8945 §5.2)")]
    Misplaced,
    #[error("octets stand behind the TSIG record (RFC 8945 §5.2)")]
    Followed,
    #[error("the TSIG record's class is not ANY (RFC 8945 §4.2)")]
    Class,
    #[error("the TSIG record's TTL is not 0 (RFC 8945 §4.2)")]
    Ttl,
    #[error("the TSIG record's data does not fit its form (RFC 8945 §4.2)")]
    Rdata,
}

/// Looks for the TSIG record; `None` in a well-formed message without one.
pub(crate) fn find(octets: &[u8]) -> Result<Option<Tsig<'_>>, Misfit> {
    let message = Message::new(octets)?;
    let mut records = message.records()?;
    while let Some(record) = records.next() {
        let record = record?;
        if record.rtype != RecordType::TSIG {
            continue;
        }
        // RFC 8945 §5.2: last of the additional section and alone; what stands behind it would be used unsigned.
        if record.section != Section::Additional || records.next().is_some() {
            return Err(Misfit::Misplaced);
        }
        records.finish().map_err(|_| Misfit::Followed)?;
        if record.class != CLASS_ANY {
            return Err(Misfit::Class);
        }
        // RFC 8945 §4.3.3: the digest takes the TTL for 0, so another one would go unnoticed.
        if record.ttl != 0 {
            return Err(Misfit::Ttl);
        }
        let mut name = NameBuf::new();
        read_name(octets, record.owner, &mut name).map_err(Malformed::Name)?;
        name.make_lower();
        let rdata = octets.get(record.rdata..record.end).unwrap_or_default();
        return match read(message.header, record.owner, name, rdata) {
            Some(tsig) => Ok(Some(tsig)),
            None => Err(Misfit::Rdata),
        };
    }
    Ok(None)
}

/// Reads the RDATA, which must be filled exactly.
fn read(header: Header, start: usize, name: NameBuf, rdata: &[u8]) -> Option<Tsig<'_>> {
    let (algorithm, rest) = NameRef::split_from(rdata)?;
    let (&[t0, t1, t2, t3, t4, t5], rest) = rest.split_first_chunk()?;
    let (fudge, rest) = word(rest)?;
    let (size, rest) = word(rest)?;
    let (mac, rest) = rest.split_at_checked(usize::from(size))?;
    let (original_id, rest) = word(rest)?;
    let (error, rest) = word(rest)?;
    let (length, other) = word(rest)?;
    if other.len() != usize::from(length) {
        return None;
    }
    let time = u64::from_be_bytes([0, 0, t0, t1, t2, t3, t4, t5]);
    Some(Tsig { header, start, name, algorithm, time, fudge, mac, original_id, error, other })
}

fn word(octets: &[u8]) -> Option<(u16, &[u8])> {
    octets.split_first_chunk().map(|(word, rest)| (u16::from_be_bytes(*word), rest))
}

/// A time of day that a TSIG record can hold.
pub(crate) fn clamp(unix_now: u64) -> u64 {
    unix_now.min(MAX_TIME)
}

/// How far the clock that gave `theirs` is ahead of the one that gave `ours`, in seconds; both within 48 bits.
pub(crate) fn ahead(theirs: u64, ours: u64) -> i64 {
    // RFC 8945 §10: 48-bit times in wider signed integers cannot wrap, whatever a peer sends.
    clamp(theirs) as i64 - clamp(ours) as i64
}

/// A TSIG record to be written.
pub(crate) struct Outgoing<'a> {
    /// The key's name in canonical form.
    pub(crate) name: NameRef<'a>,
    /// The algorithm's wire name.
    pub(crate) algorithm: &'a [u8],
    /// Seconds since 1970, 48 bits.
    pub(crate) time: u64,
    /// Seconds.
    pub(crate) fudge: u16,
    /// At most 64 octets.
    pub(crate) mac: &'a [u8],
    /// The error: see [`crate::tsig_error`].
    pub(crate) error: u16,
    /// Empty or 6 octets.
    pub(crate) other: &'a [u8],
}

/// Octets that a TSIG record takes, its owner not compressed.
pub(crate) fn len(name: usize, algorithm: usize, mac: usize, other: usize) -> usize {
    name + 10 + algorithm + 16 + mac + other
}

impl Outgoing<'_> {
    /// Appends the record to the message that begins at `from` of `out`, and counts it. The Original ID is the ID that
    /// the message bears (RFC 8945 §4.2).
    pub(crate) fn append(&self, out: &mut Vec<u8>, from: usize) {
        let header = header_mut(out, from);
        let id = [header[0], header[1]];
        let count = u16::from_be_bytes([header[10], header[11]]);
        header[10..].copy_from_slice(
            &count.checked_add(1).expect("our own messages count few additional records").to_be_bytes(),
        );
        out.reserve(len(self.name.as_wire().len(), self.algorithm.len(), self.mac.len(), self.other.len()));
        out.extend_from_slice(self.name.as_wire());
        out.extend_from_slice(&RecordType::TSIG.0.to_be_bytes());
        out.extend_from_slice(&CLASS_ANY.to_be_bytes());
        out.extend_from_slice(&0u32.to_be_bytes());
        // At most 255 + 16 + 64 + 6 octets.
        let rdata = (self.algorithm.len() + 16 + self.mac.len() + self.other.len()) as u16;
        out.extend_from_slice(&rdata.to_be_bytes());
        out.extend_from_slice(self.algorithm);
        out.extend_from_slice(&clamp(self.time).to_be_bytes()[2..]);
        out.extend_from_slice(&self.fudge.to_be_bytes());
        out.extend_from_slice(&(self.mac.len() as u16).to_be_bytes());
        out.extend_from_slice(self.mac);
        out.extend_from_slice(&id);
        out.extend_from_slice(&self.error.to_be_bytes());
        out.extend_from_slice(&(self.other.len() as u16).to_be_bytes());
        out.extend_from_slice(self.other);
    }
}

/// The header of our own message at `from`.
fn header_mut(out: &mut [u8], from: usize) -> &mut [u8; Header::SIZE] {
    out.get_mut(from..)
        .and_then(|message| message.first_chunk_mut())
        .expect("a message to be signed has a header")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Forgery, NOW, answer, key, question};
    use crate::{Algorithm, FUDGE};

    fn sealed() -> Vec<u8> {
        Forgery::new(&key(Algorithm::HmacSha256), None).seal(&answer())
    }

    fn misfit(message: &[u8]) -> Misfit {
        find(message).err().expect("the message is no good")
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let message = sealed();
        let tsig = find(&message).unwrap().unwrap();
        assert_eq!(tsig.start, answer().len());
        assert_eq!(tsig.name.as_ref().as_wire(), b"\x08transfer\x03key\x07example\0");
        assert_eq!(tsig.algorithm.as_wire(), Algorithm::HmacSha256.as_wire());
        assert_eq!((tsig.time, tsig.fudge, tsig.mac.len()), (NOW, FUDGE, 32));
        assert_eq!((tsig.original_id, tsig.error, tsig.other), (0x1234, 0, &[][..]));
        assert_eq!(tsig.header.counts, [1, 1, 0, 2]);
        assert!(find(&answer()).unwrap().is_none() && find(&question()).unwrap().is_none());
    }

    #[test]
    fn an_owner_in_another_case_or_compressed_is_the_same_key() {
        let mut message = sealed();
        let start = answer().len();
        message[start + 1] = b'T';
        // "example" of the key's name as a pointer to the question's.
        let tail = message.split_off(start + 13 + 9);
        message.truncate(start + 13);
        message.extend([0xC0, 0x0C]);
        message.extend(tail);
        let tsig = find(&message).unwrap().unwrap();
        assert_eq!(tsig.name.as_ref().as_wire(), b"\x08transfer\x03key\x07example\0");
    }

    #[test]
    fn it_must_be_the_last_and_only_one_of_the_additional_section() {
        let mut twice = sealed();
        twice.extend_from_slice(&sealed()[answer().len()..]);
        twice[11] = 3;
        assert_eq!(misfit(&twice), Misfit::Misplaced);

        let mut before_opt = sealed();
        before_opt.extend_from_slice(b"\x00\x00\x29\x04\xD0\x00\x00\x00\x00\x00\x00");
        before_opt[11] = 3;
        assert_eq!(misfit(&before_opt), Misfit::Misplaced);

        // The same octets with the counts shifted: OPT and TSIG in the answer or authority section.
        for counts in [[0, 3, 0, 0], [0, 1, 2, 0]] {
            let mut shifted = sealed();
            for (i, count) in counts.into_iter().enumerate().skip(1) {
                shifted[5 + 2 * i] = count;
            }
            assert_eq!(misfit(&shifted), Misfit::Misplaced);
        }

        let mut followed = sealed();
        followed.push(0);
        assert_eq!(misfit(&followed), Misfit::Followed);
    }

    #[test]
    fn class_ttl_and_form_are_strict() {
        let rr = answer().len() + 22;
        for (at, misfit) in [(rr + 2, Misfit::Class), (rr + 3, Misfit::Class), (rr + 7, Misfit::Ttl)] {
            let mut message = sealed();
            message[at] ^= 1;
            assert_eq!(super::tests::misfit(&message), misfit);
        }
        // RDATA of every other length, from none to one octet more.
        let whole = sealed();
        let rdata = rr + 10;
        for length in (0..whole.len() - rdata).chain([whole.len() - rdata + 1]) {
            let mut message = whole.clone();
            message.resize(rdata + length, 0);
            message[rdata - 2..rdata].copy_from_slice(&(length as u16).to_be_bytes());
            assert_eq!(misfit(&message), Misfit::Rdata, "{length}");
        }
        // Lengths inside that do not fit, and an algorithm's name that is compressed.
        let mac_size = rdata + 13 + 8;
        for (at, octet) in [(mac_size, 0xFF), (mac_size + 1, 31), (whole.len() - 1, 1), (rdata, 0xC0)] {
            let mut message = whole.clone();
            message[at] = octet;
            assert_eq!(misfit(&message), Misfit::Rdata, "{at}");
        }
    }

    #[test]
    fn every_cut_is_an_error() {
        for cut in 0..sealed().len() {
            assert!(matches!(misfit(&sealed()[..cut]), Misfit::Message(_)), "{cut}");
        }
    }
}
