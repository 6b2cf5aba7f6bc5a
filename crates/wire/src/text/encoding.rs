//! Octets as digits of base 16, 32 and 64 (RFC 4648), without spaces.

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE32HEX: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
const BASE16: &[u8; 16] = b"0123456789abcdef";

/// RFC 4648 §8, in lower case.
pub(super) fn put_hex(out: &mut Vec<u8>, octets: &[u8]) {
    out.extend(
        octets.iter().flat_map(|&octet| [BASE16[usize::from(octet >> 4)], BASE16[usize::from(octet & 15)]]),
    );
}

/// RFC 4648 §4, padded.
pub(super) fn put_base64(out: &mut Vec<u8>, octets: &[u8]) {
    let digits = |three: [u8; 3]| {
        let number = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        [18, 12, 6, 0].map(|shift| BASE64[(number >> shift) as usize & 63])
    };
    let (threes, rest) = octets.as_chunks::<3>();
    out.extend(threes.iter().flat_map(|&three| digits(three)));
    match *rest {
        [one] => {
            out.extend_from_slice(&digits([one, 0, 0])[..2]);
            out.extend_from_slice(b"==");
        }
        [one, two] => {
            out.extend_from_slice(&digits([one, two, 0])[..3]);
            out.push(b'=');
        }
        _ => {}
    }
}

/// RFC 4648 §7, in lower case and not padded (RFC 5155 §3.3).
pub(super) fn put_base32hex(out: &mut Vec<u8>, octets: &[u8]) {
    for five in octets.chunks(5) {
        let mut number = 0u64;
        for i in 0..5 {
            number = number << 8 | u64::from(five.get(i).copied().unwrap_or(0));
        }
        for digit in 0..(five.len() * 8).div_ceil(5) {
            out.push(BASE32HEX[(number >> (35 - 5 * digit)) as usize & 31]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_vectors_of_the_rfc_hold() {
        // RFC 4648 §10; base32hex without its padding.
        let vectors = [
            ("", "", "", ""),
            ("f", "Zg==", "co", "66"),
            ("fo", "Zm8=", "cpng", "666f"),
            ("foo", "Zm9v", "cpnmu", "666f6f"),
            ("foob", "Zm9vYg==", "cpnmuog", "666f6f62"),
            ("fooba", "Zm9vYmE=", "cpnmuoj1", "666f6f6261"),
            ("foobar", "Zm9vYmFy", "cpnmuoj1e8", "666f6f626172"),
        ];
        for (plain, base64, base32hex, base16) in vectors {
            let (mut a, mut b, mut c) = (Vec::new(), Vec::new(), Vec::new());
            put_base64(&mut a, plain.as_bytes());
            put_base32hex(&mut b, plain.as_bytes());
            put_hex(&mut c, plain.as_bytes());
            assert_eq!(a, base64.as_bytes());
            assert_eq!(b, base32hex.as_bytes());
            assert_eq!(c, base16.as_bytes());
        }
    }
}
