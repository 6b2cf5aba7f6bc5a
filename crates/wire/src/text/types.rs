//! Record types, one and many.

use super::form::forms;
use super::number::put_decimal;
use crate::RecordType;

/// Lists of more types than this are not written as such: readers have been seen to run out of their stack at some
/// thousands.
const MOST_TYPES: usize = 1000;

/// A type by the mnemonic that readers know, or by its number (RFC 3597 §5).
pub(super) fn put_type(out: &mut Vec<u8>, rtype: RecordType) {
    match rtype.mnemonic().filter(|_| forms(rtype).is_some()) {
        Some(mnemonic) => out.extend_from_slice(mnemonic.as_bytes()),
        None => {
            out.extend_from_slice(b"TYPE");
            put_decimal(out, u32::from(rtype.0));
        }
    }
}

/// RFC 4034 §4.1.2: windows of bits, each a number, a length and so many octets; a space before each type. `None` for
/// what the list of types would not give back: windows out of order, empty, or with zeros at their end, and type 0.
pub(super) fn put_types(out: &mut Vec<u8>, mut windows: &[u8]) -> Option<()> {
    let (mut least, mut count) = (0, 0);
    while let Some((&[window, length], rest)) = windows.split_first_chunk() {
        let (bits, rest) = rest.split_at_checked(usize::from(length))?;
        if u16::from(window) < least || bits.len() > 32 || bits.last().is_none_or(|&last| last == 0) {
            return None;
        }
        for (at, octet) in (0..).zip(bits) {
            for bit in (0..8).filter(|bit| octet & 0x80 >> bit != 0) {
                let rtype = RecordType(u16::from(window) << 8 | at << 3 | bit);
                count += 1;
                if rtype.0 == 0 || count > MOST_TYPES {
                    return None;
                }
                out.push(b' ');
                put_type(out, rtype);
            }
        }
        (least, windows) = (u16::from(window) + 1, rest);
    }
    windows.is_empty().then_some(())
}
