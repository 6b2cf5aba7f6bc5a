//! Parameters of a service (RFC 9460 §2.1, §7, appendix A).

use super::address::{put_v4, put_v6};
use super::encoding::put_base64;
use super::form::take;
use super::number::put_decimal;
use super::strings::put_quoted;

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6HINT: u16 = 6;

/// The keys of RFC 9460 §14.3.2, by their number; later ones are not known to every reader.
const KEYS: [&str; 7] = ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint"];

/// Keys and values, a space before each. `None` where keys are not in ascending order (§2.2), or a value is not in the
/// form that its key demands.
pub(super) fn put_parameters(out: &mut Vec<u8>, parameters: &[u8]) -> Option<()> {
    let (mut rest, mut least) = (parameters, 0);
    while !rest.is_empty() {
        let (key, value) = parameter(&mut rest)?;
        if u32::from(key) < least {
            return None;
        }
        least = u32::from(key) + 1;
        out.push(b' ');
        put_key(out, key);
        put_value(out, key, value, parameters)?;
    }
    Some(())
}

/// The parameter at the front.
fn parameter<'a>(octets: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    let key = u16::from_be_bytes(take(octets)?);
    let length = u16::from_be_bytes(take(octets)?);
    let (value, rest) = octets.split_at_checked(usize::from(length))?;
    *octets = rest;
    Some((key, value))
}

fn put_key(out: &mut Vec<u8>, key: u16) {
    match KEYS.get(usize::from(key)) {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => {
            out.extend_from_slice(b"key");
            put_decimal(out, u32::from(key));
        }
    }
}

/// `=VALUE`, or nothing for an empty one of a key that may have that.
fn put_value(out: &mut Vec<u8>, key: u16, value: &[u8], parameters: &[u8]) -> Option<()> {
    match (key, value) {
        // §7.1.1: its value is empty; an unknown key's may be.
        (NO_DEFAULT_ALPN, []) => return Some(()),
        (NO_DEFAULT_ALPN, _) => return None,
        (..=IPV6HINT, []) => return None,
        (_, []) => return Some(()),
        _ => out.push(b'='),
    }
    match key {
        MANDATORY => put_mandatory(out, value, parameters)?,
        ALPN => put_alpn(out, value)?,
        PORT => put_decimal(out, u32::from(u16::from_be_bytes(value.try_into().ok()?))),
        IPV4HINT => put_list(out, value, put_v4)?,
        ECH => put_base64(out, value),
        IPV6HINT => put_list(out, value, put_v6)?,
        _ => put_quoted(out, value),
    }
    Some(())
}

/// Items of one size with commas between.
fn put_list<const N: usize>(
    out: &mut Vec<u8>,
    mut value: &[u8],
    put: impl Fn(&mut Vec<u8>, [u8; N]),
) -> Option<()> {
    loop {
        put(out, take(&mut value)?);
        if value.is_empty() {
            return Some(());
        }
        out.push(b',');
    }
}

/// RFC 9460 §8: keys in ascending order, each of them there, itself not among them.
fn put_mandatory(out: &mut Vec<u8>, value: &[u8], parameters: &[u8]) -> Option<()> {
    let (mut others, mut before) = (parameters, MANDATORY);
    put_list(out, value, |out, key| put_key(out, u16::from_be_bytes(key)))?;
    for key in value.as_chunks::<2>().0 {
        let key = u16::from_be_bytes(*key);
        if key <= before {
            return None;
        }
        before = key;
        // Both are in ascending order: one walk finds them all.
        while parameter(&mut others)?.0 != key {}
    }
    Some(())
}

/// RFC 9460 §7.1.1: identifiers, with commas between. `None` for those that readers have been seen to differ about, and
/// that no protocol has: of one octet, or of octets that would have to be escaped (appendix A.1).
fn put_alpn(out: &mut Vec<u8>, mut value: &[u8]) -> Option<()> {
    let plain = |octet: &u8| octet.is_ascii_graphic() && !matches!(octet, b',' | b'"' | b'\\');
    out.push(b'"');
    loop {
        let [length] = take(&mut value)?;
        let (identifier, rest) = value.split_at_checked(usize::from(length))?;
        if identifier.len() < 2 || !identifier.iter().all(plain) {
            return None;
        }
        out.extend_from_slice(identifier);
        value = rest;
        if value.is_empty() {
            break;
        }
        out.push(b',');
    }
    out.push(b'"');
    Some(())
}
