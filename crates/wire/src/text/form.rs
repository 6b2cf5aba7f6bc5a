//! How a type's octets are written: the table, and the parts of which it is made.

use super::{address, encoding, location, number, service, strings, types};
use crate::RecordType;

/// How some octets of RDATA are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One octet, as a decimal number.
    U8,
    /// Two.
    U16,
    /// Four.
    U32,
    /// Four, a time in seconds below 2^31 (RFC 2181 §8): NSD takes a longer one for an hour.
    Period,
    /// Seconds since 1970, as YYYYMMDDHHmmSS (RFC 4034 §3.2).
    Time,
    /// A record type.
    Type,
    /// An IPv4 address.
    V4,
    /// An IPv6 address (RFC 5952).
    V6,
    /// A character-string, in quotes.
    String,
    /// A character-string of lower-case letters and digits, without quotes (RFC 8659 §4.1.1).
    Tag,
    /// A character-string in hexadecimal, `-` when it is empty (RFC 5155 §3.3).
    Salt,
    /// A character-string in base32hex (RFC 5155 §3.3).
    Hash,
    /// The rest as one string in quotes, of any length (RFC 7553 §4.4, RFC 8659 §4.1.1).
    LongString,
    /// The rest in hexadecimal, at least one octet.
    Hex,
    /// The rest in base64, at least one octet.
    Base64,
    /// The rest as a list of record types (RFC 4034 §4.1.2).
    Types,
    /// Eight octets as four groups with colons between (RFC 6742 §2.1.2).
    Groups,
    /// So many octets in hexadecimal with hyphens between (RFC 7043 §3.2).
    Pairs(u8),
    /// The rest, a location (RFC 1876 §3).
    Location,
    /// The rest, prefixes of addresses (RFC 3123 §5).
    Prefixes,
    /// Type, algorithm, gateway: the type says what the gateway is (RFC 4025 §3.1).
    Gateway,
    /// The rest, parameters of a service (RFC 9460 §2.1).
    Parameters,
}

use Form::{
    Base64, Gateway, Groups, Hash, Hex, Location, LongString, Pairs, Parameters, Period, Prefixes, Salt, Tag,
    Time, Type, Types, U8, U16, U32, V4, V6,
};

/// The forms of a type's fields other than names and ordinary character-strings, in their order; `None` for a type
/// that is not written in a form of its own.
///
/// Missing here are the types that one of the common servers does not read by their mnemonic: those that were given up
/// (MD, MF, MB, MG, MR, WKS, NULL, NSAP, X25, ISDN, SIG, NXT, PX, GPOS, A6), and those that are little known yet.
pub(super) fn forms(rtype: RecordType) -> Option<&'static [Form]> {
    Some(match rtype {
        RecordType::A => &[V4],
        RecordType::AAAA => &[V6],
        RecordType::NS | RecordType::CNAME | RecordType::DNAME | RecordType::PTR => &[],
        RecordType::MINFO | RecordType::RP => &[],
        RecordType::TXT | RecordType::HINFO => &[],
        // Of several strings, NSD would take the first.
        RecordType::SPF => &[Form::String],
        RecordType::SOA => &[U32, Period, Period, Period, Period],
        RecordType::MX | RecordType::AFSDB | RecordType::RT | RecordType::KX | RecordType::LP => &[U16],
        RecordType::SRV => &[U16, U16, U16],
        RecordType::NAPTR => &[U16, U16],
        RecordType::KEY | RecordType::DNSKEY | RecordType::CDNSKEY => &[U16, U8, U8, Base64],
        RecordType::DS | RecordType::CDS => &[U16, U8, U8, Hex],
        RecordType::RRSIG => &[Type, U8, U8, Period, Time, Time, U16, Base64],
        RecordType::NSEC => &[Types],
        RecordType::NSEC3 => &[U8, U8, U16, Salt, Hash, Types],
        RecordType::NSEC3PARAM => &[U8, U8, U16, Salt],
        RecordType::CSYNC => &[U32, U16, Types],
        RecordType::ZONEMD => &[U32, U8, U8, Hex],
        RecordType::TLSA | RecordType::SMIMEA => &[U8, U8, U8, Hex],
        RecordType::SSHFP => &[U8, U8, Hex],
        RecordType::CERT => &[U16, U16, U8, Base64],
        RecordType::OPENPGPKEY | RecordType::DHCID => &[Base64],
        RecordType::IPSECKEY => &[U8, Gateway, Base64],
        RecordType::LOC => &[Location],
        RecordType::APL => &[Prefixes],
        RecordType::NID | RecordType::L64 => &[U16, Groups],
        RecordType::L32 => &[U16, V4],
        RecordType::EUI48 => &[Pairs(6)],
        RecordType::EUI64 => &[Pairs(8)],
        RecordType::URI => &[U16, U16, LongString],
        RecordType::CAA => &[U8, Tag, LongString],
        RecordType::SVCB | RecordType::HTTPS => &[U16, Parameters],
        _ => return None,
    })
}

impl Form {
    /// Writes what it describes, taken off the front of `octets`, a space before each part; `None` where that cannot be
    /// written, or would not be read as the same octets.
    pub(super) fn put(self, out: &mut Vec<u8>, octets: &mut &[u8]) -> Option<()> {
        match self {
            // Lists, which may be empty, write their own spaces.
            Types => return types::put_types(out, all(octets)),
            Prefixes => return address::put_prefixes(out, all(octets)),
            Parameters => return service::put_parameters(out, all(octets)),
            _ => out.push(b' '),
        }
        match self {
            U8 => number::put_decimal(out, u32::from(u8::from_be_bytes(take(octets)?))),
            U16 => number::put_decimal(out, u32::from(u16::from_be_bytes(take(octets)?))),
            U32 => number::put_decimal(out, u32::from_be_bytes(take(octets)?)),
            Period => match u32::from_be_bytes(take(octets)?) {
                period @ 0..0x8000_0000 => number::put_decimal(out, period),
                _ => return None,
            },
            Time => number::put_time(out, u32::from_be_bytes(take(octets)?)),
            Type => match RecordType(u16::from_be_bytes(take(octets)?)) {
                // NSD does not take TYPE0 for a type.
                RecordType(0) => return None,
                rtype => types::put_type(out, rtype),
            },
            V4 => address::put_v4(out, take(octets)?),
            V6 => address::put_v6(out, take(octets)?),
            Form::String => strings::put_quoted(out, string(octets)?),
            Tag => strings::put_tag(out, string(octets)?)?,
            Salt => match string(octets)? {
                [] => out.push(b'-'),
                salt => encoding::put_hex(out, salt),
            },
            // RFC 5155 §11 names SHA-1 alone; hashes of another length are not read everywhere.
            Hash => encoding::put_base32hex(out, string(octets).filter(|hash| hash.len() == 20)?),
            LongString => strings::put_quoted(out, all(octets)),
            Hex => encoding::put_hex(out, some(octets)?),
            Base64 => encoding::put_base64(out, some(octets)?),
            Groups => number::put_groups(out, take(octets)?),
            Pairs(count) => {
                let (pairs, rest) = octets.split_at_checked(usize::from(count))?;
                *octets = rest;
                number::put_pairs(out, pairs);
            }
            Location => location::put_location(out, take(octets)?)?,
            Gateway => address::put_gateway(out, octets)?,
            Types | Prefixes | Parameters => {}
        }
        Some(())
    }
}

/// The first octets.
pub(super) fn take<const N: usize>(octets: &mut &[u8]) -> Option<[u8; N]> {
    let (&first, rest) = octets.split_first_chunk()?;
    *octets = rest;
    Some(first)
}

/// The octets of the character-string at the front.
fn string<'a>(octets: &mut &'a [u8]) -> Option<&'a [u8]> {
    let [length] = take(octets)?;
    let (string, rest) = octets.split_at_checked(usize::from(length))?;
    *octets = rest;
    Some(string)
}

/// All that is left.
fn all<'a>(octets: &mut &'a [u8]) -> &'a [u8] {
    std::mem::take(octets)
}

/// All that is left, and it is not nothing.
fn some<'a>(octets: &mut &'a [u8]) -> Option<&'a [u8]> {
    Some(all(octets)).filter(|left| !left.is_empty())
}
