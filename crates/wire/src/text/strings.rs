//! Strings of octets, in quotes or bare.

use super::number::put_digits;

/// Octets in quotes; what is not printable by its number (RFC 1035 §5.1).
pub(super) fn put_quoted(out: &mut Vec<u8>, octets: &[u8]) {
    out.push(b'"');
    for &octet in octets {
        match octet {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', octet]),
            b' '..=b'~' => out.push(octet),
            _ => {
                out.push(b'\\');
                put_digits::<3>(out, u32::from(octet));
            }
        }
    }
    out.push(b'"');
}

/// RFC 8659 §4.1.1: a property's tag, letters and digits. NSD refuses those in upper case, though the RFC only
/// discourages them.
pub(super) fn put_tag(out: &mut Vec<u8>, tag: &[u8]) -> Option<()> {
    let plain = |octet: &u8| octet.is_ascii_lowercase() || octet.is_ascii_digit();
    if tag.is_empty() || !tag.iter().all(plain) {
        return None;
    }
    out.extend_from_slice(tag);
    Some(())
}
