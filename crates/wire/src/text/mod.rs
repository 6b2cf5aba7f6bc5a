//! Presentation format of records (RFC 1035 §5.1): one line each, absolute names, printable ASCII and nothing else.
//!
//! What a type's fields are is said once, by [`rdata::layout`]; how those are written that are neither names nor
//! character-strings stands in a table beside it. Written in their own form are the types that BIND 9.18, NSD 4.6 and
//! Knot DNS 3.2 all read in that form, and only RDATA that comes back from them octet for octet; all other RDATA is
//! written as `TYPEnnn \# LENGTH HEX` (RFC 3597 §5), which every one of them reads too.

mod address;
mod encoding;
mod form;
mod location;
mod number;
mod service;
mod strings;
mod types;

use std::fmt;

use crate::rdata::{self, Field};
use crate::{NameRef, RecordType};

use form::{Form, forms};

/// A record to be shown: `OWNER TTL IN TYPE RDATA`, without a newline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordText<'a> {
    /// Owner; its spelling is kept.
    pub owner: NameRef<'a>,
    /// TTL, seconds.
    pub ttl: u32,
    /// Type.
    pub rtype: RecordType,
    /// Uncompressed RDATA, any octets.
    pub rdata: &'a [u8],
}

impl fmt::Display for RecordText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Vec::with_capacity(128);
        put_record(&mut line, self.owner, self.ttl, self.rtype, self.rdata);
        f.write_str(std::str::from_utf8(&line).expect("presentation format is ASCII"))
    }
}

/// Appends a record as `OWNER TTL IN TYPE RDATA`, without a newline: for dumps of millions, as it needs no memory but
/// the line's. `rdata` is uncompressed and may be any octets.
pub fn put_record(out: &mut Vec<u8>, owner: NameRef<'_>, ttl: u32, rtype: RecordType, rdata: &[u8]) {
    owner.put_text(out);
    out.push(b' ');
    number::put_decimal(out, ttl);
    out.extend_from_slice(b" IN ");
    let start = out.len();
    types::put_type(out, rtype);
    if put_native(out, rtype, rdata).is_none() {
        out.truncate(start);
        put_generic(out, rtype, rdata);
    }
}

/// RDATA in the form of its type, a space before each part; `None` where that form would not give back its octets, or
/// is not known everywhere. What was written until then is to be taken away.
fn put_native(out: &mut Vec<u8>, rtype: RecordType, rdata: &[u8]) -> Option<()> {
    let mut forms = forms(rtype)?.iter();
    for field in rdata::fields(rtype, rdata) {
        let (field, mut octets) = field.ok()?;
        match field {
            Field::Compressible | Field::Folded | Field::Kept => {
                let (name, rest) = NameRef::split_from(octets)?;
                out.push(b' ');
                name.put_text(out);
                octets = rest;
            }
            Field::Text | Field::Texts => match forms.next() {
                // The form of one string.
                Some(form) => form.put(out, &mut octets)?,
                None => {
                    while !octets.is_empty() {
                        Form::String.put(out, &mut octets)?;
                    }
                }
            },
            Field::Octets(_) => {
                while !octets.is_empty() {
                    forms.next()?.put(out, &mut octets)?;
                }
            }
            Field::Rest(_) => forms.by_ref().try_for_each(|form| form.put(out, &mut octets))?,
        }
        if !octets.is_empty() {
            return None;
        }
    }
    forms.next().is_none().then_some(())
}

/// RFC 3597 §5: RDATA of which nothing is known.
fn put_generic(out: &mut Vec<u8>, rtype: RecordType, rdata: &[u8]) {
    out.extend_from_slice(b"TYPE");
    number::put_decimal(out, u32::from(rtype.0));
    out.extend_from_slice(b" \\# ");
    number::put_decimal(out, rdata.len() as u32);
    if !rdata.is_empty() {
        out.push(b' ');
        encoding::put_hex(out, rdata);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Name;

    fn line(rtype: RecordType, rdata: &[u8]) -> String {
        let owner = Name::parse("A.example.").unwrap();
        let mut out = Vec::new();
        put_record(&mut out, owner.as_ref(), 60, rtype, rdata);
        let shown = RecordText { owner: owner.as_ref(), ttl: 60, rtype, rdata }.to_string();
        assert_eq!(shown.as_bytes(), out);
        shown.strip_prefix("A.example. 60 IN ").unwrap().to_owned()
    }

    #[test]
    fn known_types_are_written_as_a_master_file_has_them() {
        assert_eq!(line(RecordType::A, &[192, 0, 2, 1]), "A 192.0.2.1");
        assert_eq!(line(RecordType::NS, b"\x02Ns\x02x \0"), "NS Ns.x\\032.");
        assert_eq!(
            line(RecordType::SOA, &[&b"\0\x01h\0"[..], &[0, 0, 0, 9].repeat(5)].concat()),
            "SOA . h. 9 9 9 9 9"
        );
        assert_eq!(line(RecordType::MX, b"\0\x0a\x01m\0"), "MX 10 m.");
        assert_eq!(line(RecordType::TXT, b"\x04a\"\\b\0\x02;\xff"), r#"TXT "a\"\\b" "" ";\255""#);
        assert_eq!(line(RecordType::HINFO, b"\x01c\x01o"), "HINFO \"c\" \"o\"");
    }

    #[test]
    fn what_is_not_known_everywhere_is_written_as_octets() {
        assert_eq!(line(RecordType(65_280), &[1, 171]), "TYPE65280 \\# 2 01ab");
        assert_eq!(line(RecordType(65_280), &[]), "TYPE65280 \\# 0");
        assert_eq!(line(RecordType::X25, b"\x041234"), "TYPE19 \\# 5 0431323334");
    }

    #[test]
    fn what_does_not_fit_its_type_is_written_as_octets() {
        assert_eq!(line(RecordType::A, &[1]), "TYPE1 \\# 1 01");
        assert_eq!(line(RecordType::A, &[1; 5]), "TYPE1 \\# 5 0101010101");
        assert_eq!(line(RecordType::MX, b"\0\x0a\x01m"), "TYPE15 \\# 4 000a016d");
        assert_eq!(line(RecordType::TXT, b""), "TYPE16 \\# 0");
        assert_eq!(line(RecordType::APL, b""), "APL");
    }
}
