//! Addresses of hosts and networks.

use std::io::Write;
use std::net::Ipv6Addr;

use super::form::take;
use super::number::put_decimal;
use crate::NameRef;

/// Four numbers with dots between.
pub(super) fn put_v4(out: &mut Vec<u8>, octets: [u8; 4]) {
    for (i, octet) in octets.into_iter().enumerate() {
        if i > 0 {
            out.push(b'.');
        }
        put_decimal(out, u32::from(octet));
    }
}

/// RFC 5952.
pub(super) fn put_v6(out: &mut Vec<u8>, octets: [u8; 16]) {
    write!(out, "{}", Ipv6Addr::from(octets)).expect("memory takes what is written");
}

/// RFC 3123 §5: `[!]FAMILY:ADDRESS/PREFIX`, a space before each. `None` for what is not in the form of §4, which forbids
/// zeros at the end of an address, and for other families.
pub(super) fn put_prefixes(out: &mut Vec<u8>, mut items: &[u8]) -> Option<()> {
    while let Some((&[0, family, prefix, length], rest)) = items.split_first_chunk() {
        let (address, rest) = rest.split_at_checked(usize::from(length & 0x7F))?;
        items = rest;
        if address.last() == Some(&0) {
            return None;
        }
        out.extend_from_slice(if length & 0x80 == 0 { b" " } else { b" !" });
        put_decimal(out, u32::from(family));
        out.push(b':');
        match family {
            1 if prefix <= 32 => put_v4(out, filled(address)?),
            2 if prefix <= 128 => put_v6(out, filled(address)?),
            _ => return None,
        }
        out.push(b'/');
        put_decimal(out, u32::from(prefix));
    }
    items.is_empty().then_some(())
}

/// An address of which the zeros at the end were left out.
fn filled<const N: usize>(address: &[u8]) -> Option<[u8; N]> {
    let mut whole = [0; N];
    whole.get_mut(..address.len())?.copy_from_slice(address);
    Some(whole)
}

/// RFC 4025 §3.1: `TYPE ALGORITHM GATEWAY`, off the front of `octets`.
pub(super) fn put_gateway(out: &mut Vec<u8>, octets: &mut &[u8]) -> Option<()> {
    let [kind, algorithm] = take(octets)?;
    // RFC 4025 §2.4: no key; BIND demands one all the same, and Knot DNS refuses it.
    if algorithm == 0 {
        return None;
    }
    put_decimal(out, u32::from(kind));
    out.push(b' ');
    put_decimal(out, u32::from(algorithm));
    out.push(b' ');
    match kind {
        0 => out.push(b'.'),
        1 => put_v4(out, take(octets)?),
        2 => put_v6(out, take(octets)?),
        3 => {
            let (name, rest) = NameRef::split_from(octets)?;
            let start = out.len();
            name.put_text(out);
            // NSD takes escapes off twice.
            if out[start..].contains(&b'\\') {
                return None;
            }
            *octets = rest;
        }
        _ => return None,
    }
    Some(())
}
