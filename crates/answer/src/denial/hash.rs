//! The hash of NSEC3 (RFC 5155 §5) and the names made of it (§3.3).

use secondo_wire::{MAX_NAME, NameRef};
use sha1::{Digest, Sha1};

use crate::bounds;

/// SHA-1 of a name, as often as the chain says.
pub(super) type Hash = [u8; 20];

/// Digits of base32 with extended hex alphabet (RFC 4648 §7), which keeps the order of what it writes.
const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

/// `labels`, then `suffix`, hashed: iterations and salt are the chain's.
pub(super) fn hash(label: Option<&[u8]>, suffix: NameRef<'_>, salt: &[u8], iterations: u16) -> Hash {
    bounds::hash(1 + u64::from(iterations));
    let mut octets = [0; MAX_NAME];
    let wire = suffix.as_wire();
    let name = &mut octets[..wire.len()];
    name.copy_from_slice(wire);
    // RFC 5155 §5: the name in wire form, uncompressed, in lower case; length octets stand below 'A'.
    name.make_ascii_lowercase();
    let mut sha1 = Sha1::new();
    if let Some(label) = label {
        sha1.update([label.len() as u8]);
        sha1.update(label);
    }
    sha1.update(name);
    sha1.update(salt);
    let mut digest: Hash = sha1.finalize().into();
    for _ in 0..iterations {
        digest = Sha1::new().chain_update(digest).chain_update(salt).finalize().into();
    }
    digest
}

/// The key of the owner one label below the apex that the hash names.
pub(super) fn key(hash: &Hash) -> [u8; 33] {
    let mut key = [0; 33];
    for (digits, octets) in key.chunks_exact_mut(8).zip(hash.chunks_exact(5)) {
        let bits = octets.iter().fold(0u64, |bits, &octet| bits << 8 | u64::from(octet));
        for (at, digit) in digits.iter_mut().enumerate() {
            *digit = DIGITS[(bits >> (35 - 5 * at) & 31) as usize];
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use secondo_wire::Name;

    #[test]
    fn names_hash_as_in_rfc_5155_appendix_a() {
        for (name, expected) in [
            ("example.", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"),
            ("A.Example.", "35mthgpgcu1qg68fab165klnsnk3dpvl"),
            ("x.y.w.example.", "2vptu5timamqttgl4luu9kg21e0aor3s"),
            ("xx.example.", "t644ebqk9bibcna874givr6joj62mlhv"),
        ] {
            let name: Name = name.parse().unwrap();
            let key = key(&hash(None, name.as_ref(), &[0xAA, 0xBB, 0xCC, 0xDD], 12));
            assert_eq!(std::str::from_utf8(&key).unwrap(), format!("{expected}\0"), "{name}");
        }
        let suffix: Name = "W.example.".parse().unwrap();
        let key = key(&hash(Some(b"*"), suffix.as_ref(), &[0xAA, 0xBB, 0xCC, 0xDD], 12));
        assert_eq!(&key, b"r53bq7cc2uvmubfu5ocmm6pers9tk9en\0");
    }
}
