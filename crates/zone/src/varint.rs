//! Lengths of one to five octets: seven bits each, the lowest first, the top bit set on all but the last.

/// Appends `n`.
pub(crate) fn put(out: &mut Vec<u8>, mut n: u32) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Octets that [`put`] takes for `n`.
pub(crate) fn length(n: u32) -> usize {
    match n {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        0x20_0000..0x1000_0000 => 4,
        _ => 5,
    }
}

/// Takes a number off the front; `None` when it is cut short, too large, or not the shortest form.
#[inline]
pub(crate) fn take(bytes: &[u8]) -> Option<(u32, &[u8])> {
    match bytes {
        [n @ 0..0x80, rest @ ..] => Some((u32::from(*n), rest)),
        [low, high @ 1..0x80, rest @ ..] => Some((u32::from(*low & 0x7F) | u32::from(*high) << 7, rest)),
        _ => take_long(bytes),
    }
}

fn take_long(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut n = 0u64;
    for (at, &octet) in bytes.iter().take(5).enumerate() {
        n |= u64::from(octet & 0x7F) << (7 * at);
        if octet < 0x80 {
            // The shortest form alone, so that equal content is equal octets.
            let shortest = octet != 0 || at == 0;
            return u32::try_from(n).ok().filter(|_| shortest).map(|n| (n, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_and_only_the_shortest_form_is_read() {
        for n in [0, 1, 127, 128, 16_383, 16_384, 1 << 21, (1 << 28) - 1, 1 << 28, u32::MAX] {
            let mut out = vec![];
            put(&mut out, n);
            assert_eq!(out.len(), length(n));
            assert_eq!(take(&out), Some((n, &[][..])));
            assert_eq!(take(&out[..out.len() - 1]), None);
        }
        assert_eq!(take(&[0x80, 0]), None);
        assert_eq!(take(&[0x80, 0x80, 0]), None);
        assert_eq!(take(&[0xFF, 0xFF, 0xFF, 0xFF, 0x1F]), None);
        assert_eq!(take(&[0xFF; 9]), None);
    }
}
