//! RDATA by the layout of its type: expanded from messages, checked, put in canonical form.
//!
//! A layout is a list of fields; types without one are opaque octets (RFC 3597 §3).

use crate::name::{NameBuf, NameRef, read_name};
use crate::rtype::RecordType;

/// One field of RDATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// A name that senders compress (RFC 3597 §4: the types of RFC 1035), lower-cased in canonical form.
    Compressible,
    /// A name that is never compressed by us, lower-cased in canonical form (RFC 4034 §6.2).
    Folded,
    /// A name that is never compressed by us and keeps its case (RFC 6840 §5.1; types after RFC 4034).
    Kept,
    /// So many octets.
    Octets(u16),
    /// A character-string: a length octet and as many octets.
    Text,
    /// One or more character-strings up to the end.
    Texts,
    /// At least so many octets, up to the end.
    Rest(u16),
}

use Field::{Compressible, Folded, Kept, Octets, Rest, Text, Texts};

/// What is wrong with RDATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("RDATA does not fit its type: {0}")]
pub struct BadRdata(&'static str);

/// The fields of a type's RDATA; `None` for a type that is carried as opaque octets.
pub fn layout(rtype: RecordType) -> Option<&'static [Field]> {
    Some(match rtype.0 {
        1 => &[Octets(4)],
        2..=5 | 7..=9 | 12 => &[Compressible],
        6 => &[Compressible, Compressible, Octets(20)],
        11 => &[Octets(5), Rest(0)],
        13 => &[Text, Text],
        14 => &[Compressible, Compressible],
        15 => &[Octets(2), Compressible],
        16 | 56 | 99 | 258 | 261 | 262 => &[Texts],
        17 => &[Folded, Folded],
        18 | 21 | 36 => &[Octets(2), Folded],
        19 => &[Text],
        20 => &[Texts],
        23 => &[Kept],
        24 => &[Octets(18), Folded, Rest(0)],
        26 => &[Octets(2), Folded, Folded],
        27 => &[Text, Text, Text],
        28 => &[Octets(16)],
        29 => &[Rest(1)],
        30 => &[Folded, Rest(0)],
        33 => &[Octets(6), Folded],
        35 => &[Octets(4), Text, Text, Text, Folded],
        39 => &[Folded],
        25 | 48 | 60 => &[Rest(4)],
        43 | 59 | 32768 | 32769 => &[Rest(5)],
        44 => &[Rest(2)],
        46 => &[Octets(18), Folded, Rest(0)],
        47 => &[Kept, Rest(0)],
        50 => &[Octets(4), Text, Text, Rest(0)],
        51 => &[Octets(4), Text],
        52 | 53 => &[Rest(3)],
        37 => &[Rest(5)],
        58 => &[Kept, Kept],
        62 => &[Rest(6)],
        63 => &[Rest(6)],
        64 | 65 => &[Octets(2), Kept, Rest(0)],
        66 => &[Octets(5), Kept],
        104 | 106 => &[Octets(10)],
        105 => &[Octets(6)],
        107 => &[Octets(2), Kept],
        108 => &[Octets(6)],
        109 => &[Octets(8)],
        256 => &[Rest(4)],
        257 => &[Octets(1), Text, Rest(0)],
        _ => return None,
    })
}

/// Whether RDATA of the type holds names that senders compress.
#[inline]
pub fn compresses(rtype: RecordType) -> bool {
    // Those of RFC 1035 alone: a test holds this beside the layouts.
    matches!(rtype.0, 2..=9 | 12 | 14 | 15)
}

/// Whether RDATA of the type holds names, so that it cannot be copied as it stands in a message.
pub fn has_names(rtype: RecordType) -> bool {
    layout(rtype).is_some_and(|fields| fields.iter().any(|f| matches!(f, Compressible | Folded | Kept)))
}

/// Expands the RDATA at `start..end` of `message` into `out` (cleared first): names decompressed, layout checked.
///
/// Compression is accepted in every name field that the layout knows (RFC 3597 §4); each name must end inside the RDATA.
/// `end` must not lie behind the message.
pub fn expand(
    rtype: RecordType,
    message: &[u8],
    start: usize,
    end: usize,
    out: &mut Vec<u8>,
) -> Result<(), BadRdata> {
    out.clear();
    let whole = message.get(..end).ok_or(BadRdata("cut short"))?;
    let raw = whole.get(start..).ok_or(BadRdata("cut short"))?;
    let Some(fields) = layout(rtype) else {
        out.extend_from_slice(raw);
        return Ok(());
    };
    let mut at = start;
    let mut name = NameBuf::new();
    for &field in fields {
        let next = match field {
            Compressible | Folded | Kept => {
                let next = read_name(whole, at, &mut name).map_err(|_| BadRdata("bad name"))?;
                out.extend_from_slice(name.as_ref().as_wire());
                next
            }
            _ => {
                let next = at + plain_length(field, &whole[at..])?;
                out.extend_from_slice(&whole[at..next]);
                next
            }
        };
        at = next;
    }
    if at == end { Ok(()) } else { Err(BadRdata("octets left over")) }
}

/// Checks uncompressed RDATA against the layout of its type.
pub fn validate(rtype: RecordType, rdata: &[u8]) -> Result<(), BadRdata> {
    fields(rtype, rdata).try_for_each(|field| field.map(drop))
}

/// Puts uncompressed RDATA in canonical form into `out` (cleared first): the names of RFC 4034 §6.2 in lower case.
/// RDATA that does not fit its layout is copied as it is.
pub fn canonical(rtype: RecordType, rdata: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(rdata);
    let mut at = 0;
    for field in fields(rtype, rdata) {
        let Ok((field, octets)) = field else { return };
        if matches!(field, Compressible | Folded) {
            out[at..at + octets.len()].make_ascii_lowercase();
        }
        at += octets.len();
    }
}

/// Whether canonical form differs from the form received only by the case of names, that is, whether the type has any.
pub fn folds(rtype: RecordType) -> bool {
    layout(rtype).is_some_and(|fields| fields.iter().any(|f| matches!(f, Compressible | Folded)))
}

/// The fields of uncompressed RDATA with their octets, an error as the last item where it does not fit. An opaque
/// type has one field, all of it.
pub fn fields(rtype: RecordType, rdata: &[u8]) -> Fields<'_> {
    Fields { fields: layout(rtype).unwrap_or(&[Rest(0)]), rdata }
}

/// See [`fields`].
pub struct Fields<'a> {
    fields: &'static [Field],
    rdata: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(Field, &'a [u8]), BadRdata>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some((&field, later)) = self.fields.split_first() else {
            if self.rdata.is_empty() {
                return None;
            }
            self.rdata = &[];
            return Some(Err(BadRdata("octets left over")));
        };
        let length = match field {
            Compressible | Folded | Kept => NameRef::split_from(self.rdata)
                .map(|(name, _)| name.as_wire().len())
                .ok_or(BadRdata("bad name")),
            _ => plain_length(field, self.rdata),
        };
        match length {
            Ok(length) => {
                let (octets, rest) = self.rdata.split_at(length);
                (self.fields, self.rdata) = (later, rest);
                Some(Ok((field, octets)))
            }
            Err(bad) => {
                (self.fields, self.rdata) = (&[], &[]);
                Some(Err(bad))
            }
        }
    }
}

/// Octets that a field other than a name takes of `octets`.
fn plain_length(field: Field, octets: &[u8]) -> Result<usize, BadRdata> {
    let length = match field {
        Octets(n) => usize::from(n),
        Text => 1 + usize::from(*octets.first().ok_or(BadRdata("character-string missing"))?),
        Texts => {
            let mut at = 0;
            while at < octets.len() {
                at += 1 + usize::from(octets[at]);
            }
            if at == 0 {
                return Err(BadRdata("character-string missing"));
            }
            at
        }
        Rest(least) if octets.len() < usize::from(least) => return Err(BadRdata("too short")),
        _ => octets.len(),
    };
    if length > octets.len() { Err(BadRdata("too short")) } else { Ok(length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand_all(rtype: RecordType, message: &[u8], start: usize) -> Result<Vec<u8>, BadRdata> {
        let mut out = vec![9];
        expand(rtype, message, start, message.len(), &mut out).map(|()| out)
    }

    #[test]
    fn names_are_expanded_and_must_end_inside() {
        let message = b"\x03Com\0\x00\x0A\x02mx\xC0\x00";
        assert_eq!(expand_all(RecordType::MX, message, 5).unwrap(), b"\x00\x0A\x02mx\x03Com\0");
        assert!(expand_all(RecordType::MX, &[&message[..], b"\0"].concat(), 5).is_err());
        assert!(expand_all(RecordType::MX, &message[..message.len() - 1], 5).is_err());
        let mut out = vec![];
        // The name would go on behind the RDATA.
        assert!(expand(RecordType::NS, b"\x02ab\0", 0, 3, &mut out).is_err());
    }

    #[test]
    fn the_types_that_are_compressed_are_those_with_such_fields() {
        for number in 0..=u16::MAX {
            let fields = layout(RecordType(number)).unwrap_or_default();
            assert_eq!(compresses(RecordType(number)), fields.contains(&Compressible), "{number}");
        }
    }

    #[test]
    fn opaque_and_fixed_types_are_copied_and_measured() {
        assert_eq!(expand_all(RecordType(65280), b"\xC0\x00", 0).unwrap(), b"\xC0\x00");
        assert_eq!(expand_all(RecordType(65280), b"", 0).unwrap(), b"");
        assert!(expand_all(RecordType::A, b"abc", 0).is_err());
        assert!(expand_all(RecordType::A, b"abcde", 0).is_err());
        assert!(expand_all(RecordType::TXT, b"", 0).is_err());
        assert!(expand_all(RecordType::TXT, b"\x02a", 0).is_err());
        assert_eq!(expand_all(RecordType::TXT, b"\x01a\0", 0).unwrap(), b"\x01a\0");
        assert_eq!(expand_all(RecordType::APL, b"", 0).unwrap(), b"");
    }

    #[test]
    fn canonical_form_folds_the_old_names_only() {
        let mut out = vec![];
        canonical(RecordType::MX, b"\x00\x0A\x01M\0", &mut out);
        assert_eq!(out, b"\x00\x0A\x01m\0");
        canonical(RecordType::NSEC, b"\x01N\0\x00\x01\x40", &mut out);
        assert_eq!(out, b"\x01N\0\x00\x01\x40");
        canonical(RecordType::TXT, b"\x01N", &mut out);
        assert_eq!(out, b"\x01N");
    }
}
