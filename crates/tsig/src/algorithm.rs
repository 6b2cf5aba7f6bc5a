//! The algorithms of RFC 8945 §6: their names, the lengths of their hashes and of their MACs.

use std::fmt;
use std::str::FromStr;

use secondo_wire::NameRef;

/// How a MAC is computed. The three with two numbers cut the hash to the second number of bits; they are algorithms of
/// their own, with names of their own on the wire (RFC 8945 §6).
///
/// BIND means something else by `hmac-sha256-128` in its configuration: the algorithm hmac-sha256 on the wire, with MACs
/// cut to 128 bits (RFC 8945 §5.2.2.1). The key to use with it here is one for hmac-sha256, which takes such MACs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Algorithm {
    HmacMd5,
    HmacSha1,
    HmacSha224,
    HmacSha256,
    HmacSha384,
    HmacSha512,
    HmacSha256_128,
    HmacSha384_192,
    HmacSha512_256,
}

/// A text that names no algorithm of RFC 8945 §6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown TSIG algorithm: expected hmac-md5, hmac-sha1, hmac-sha224, hmac-sha256, hmac-sha384, hmac-sha512, \
     hmac-sha256-128, hmac-sha384-192 or hmac-sha512-256"
)]
pub struct UnknownAlgorithm;

/// Shortest MAC that we accept as proof, in octets: 128 bits, the local policy of RFC 8945 §5.2.4. It bears on
/// truncated MACs of MD5, SHA-1 and SHA-224 only; RFC 8945 §5.2.2.1 asks for as much of all others.
const POLICY: usize = 16;

impl Algorithm {
    /// All of them.
    pub const ALL: [Algorithm; 9] = [
        Algorithm::HmacMd5,
        Algorithm::HmacSha1,
        Algorithm::HmacSha224,
        Algorithm::HmacSha256,
        Algorithm::HmacSha384,
        Algorithm::HmacSha512,
        Algorithm::HmacSha256_128,
        Algorithm::HmacSha384_192,
        Algorithm::HmacSha512_256,
    ];

    /// The name as configurations write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::HmacMd5 => "hmac-md5",
            Algorithm::HmacSha1 => "hmac-sha1",
            Algorithm::HmacSha224 => "hmac-sha224",
            Algorithm::HmacSha256 => "hmac-sha256",
            Algorithm::HmacSha384 => "hmac-sha384",
            Algorithm::HmacSha512 => "hmac-sha512",
            Algorithm::HmacSha256_128 => "hmac-sha256-128",
            Algorithm::HmacSha384_192 => "hmac-sha384-192",
            Algorithm::HmacSha512_256 => "hmac-sha512-256",
        }
    }

    /// The name as a wire name in canonical form (RFC 8945 §6, table 3).
    pub fn as_wire(self) -> &'static [u8] {
        match self {
            Algorithm::HmacMd5 => b"\x08hmac-md5\x07sig-alg\x03reg\x03int\0",
            Algorithm::HmacSha1 => b"\x09hmac-sha1\0",
            Algorithm::HmacSha224 => b"\x0Bhmac-sha224\0",
            Algorithm::HmacSha256 => b"\x0Bhmac-sha256\0",
            Algorithm::HmacSha384 => b"\x0Bhmac-sha384\0",
            Algorithm::HmacSha512 => b"\x0Bhmac-sha512\0",
            Algorithm::HmacSha256_128 => b"\x0Fhmac-sha256-128\0",
            Algorithm::HmacSha384_192 => b"\x0Fhmac-sha384-192\0",
            Algorithm::HmacSha512_256 => b"\x0Fhmac-sha512-256\0",
        }
    }

    /// The algorithm that a wire name names, in any case.
    pub fn from_name(name: NameRef<'_>) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|a| a.as_wire().eq_ignore_ascii_case(name.as_wire()))
    }

    /// Octets of the whole hash: 16 to 64.
    pub fn hash_len(self) -> usize {
        match self {
            Algorithm::HmacMd5 => 16,
            Algorithm::HmacSha1 => 20,
            Algorithm::HmacSha224 => 28,
            Algorithm::HmacSha256 | Algorithm::HmacSha256_128 => 32,
            Algorithm::HmacSha384 | Algorithm::HmacSha384_192 => 48,
            Algorithm::HmacSha512 | Algorithm::HmacSha512_256 => 64,
        }
    }

    /// Octets of the MACs that we make, the most that we take: 16 to 64.
    pub fn mac_len(self) -> usize {
        match self {
            Algorithm::HmacSha256_128 => 16,
            Algorithm::HmacSha384_192 => 24,
            Algorithm::HmacSha512_256 => 32,
            whole => whole.hash_len(),
        }
    }

    /// Octets below which a MAC is malformed: the larger of 10 and half the hash (RFC 8945 §5.2.2.1).
    pub fn least_mac_len(self) -> usize {
        (self.hash_len() / 2).max(10)
    }

    /// Octets below which a well-formed MAC is refused by local policy (RFC 8945 §5.2.4): 128 bits.
    pub fn accepted_mac_len(self) -> usize {
        self.least_mac_len().max(POLICY)
    }

    /// Whether the hash is broken or ageing, so that configurations deserve a warning: MD5 and SHA-1.
    pub fn is_legacy(self) -> bool {
        matches!(self, Algorithm::HmacMd5 | Algorithm::HmacSha1)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    /// In any case, with or without the last dot; for MD5 the long name too.
    fn from_str(text: &str) -> Result<Algorithm, UnknownAlgorithm> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.eq_ignore_ascii_case("hmac-md5.sig-alg.reg.int") {
            return Ok(Algorithm::HmacMd5);
        }
        Algorithm::ALL.into_iter().find(|a| a.as_str().eq_ignore_ascii_case(text)).ok_or(UnknownAlgorithm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secondo_wire::Name;

    #[test]
    fn names_survive_a_round_trip_in_text_and_on_the_wire() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
            assert_eq!(algorithm.to_string().to_uppercase().parse(), Ok(algorithm));
            let wire = Name::from_wire(algorithm.as_wire()).unwrap();
            assert_eq!(wire, wire.to_lower());
            assert_eq!(wire.to_string().parse(), Ok(algorithm));
            let upper = Name::parse(&wire.to_string().to_uppercase()).unwrap();
            assert_eq!(Algorithm::from_name(upper.as_ref()), Some(algorithm));
        }
        for unknown in ["", ".", "hmac-sha25", "hmac-sha256-", "sha256", "hmac-sha512-128", "gss-tsig"] {
            assert_eq!(unknown.parse::<Algorithm>(), Err(UnknownAlgorithm), "{unknown}");
        }
        assert_eq!(Algorithm::from_name(Name::parse("hmac-md5").unwrap().as_ref()), None);
    }

    #[test]
    fn lengths_are_in_order() {
        for a in Algorithm::ALL {
            assert!(10 <= a.least_mac_len() && a.least_mac_len() <= a.accepted_mac_len(), "{a}");
            assert!(a.accepted_mac_len() <= a.mac_len() && a.mac_len() <= a.hash_len(), "{a}");
        }
        assert_eq!(Algorithm::HmacMd5.least_mac_len(), 10);
        assert_eq!(Algorithm::HmacSha224.least_mac_len(), 14);
        assert_eq!(Algorithm::HmacSha512_256.least_mac_len(), 32);
    }
}
