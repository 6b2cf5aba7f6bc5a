//! Keys: a name, an algorithm and a secret that both ends share (RFC 8945 §2, §9), and the ring that holds them.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secondo_wire::{Name, NameBuf, NameRef};
use zeroize::Zeroizing;

use crate::Algorithm;
use crate::digest::{Digest, MacOctets};

/// A shared key. Cloning is cheap; the secret is wiped with the last clone and never shown.
#[derive(Clone)]
pub struct Key(Arc<Inner>);

struct Inner {
    /// Spelled as given.
    name: Name,
    /// In canonical form (RFC 4034 §6.2).
    canonical: Name,
    algorithm: Algorithm,
    /// `1 <= secret.len()`.
    secret: Zeroizing<Vec<u8>>,
    /// The HMAC with the work on the secret done.
    prepared: Digest,
}

/// Why a key is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The secret has no octets.
    #[error("the secret is empty")]
    Empty,
    /// The secret's text is not base64.
    #[error("the secret is not base64 (RFC 4648 §4)")]
    Base64,
}

impl Key {
    /// A key with the secret's octets.
    pub fn new(name: Name, algorithm: Algorithm, secret: &[u8]) -> Result<Key, KeyError> {
        if secret.is_empty() {
            return Err(KeyError::Empty);
        }
        let prepared = Digest::new(algorithm, secret);
        let secret = Zeroizing::new(secret.to_vec());
        Ok(Key(Arc::new(Inner { canonical: name.to_lower(), name, algorithm, secret, prepared })))
    }

    /// A key with the secret in base64, as configurations and key files write it; white space is skipped.
    pub fn from_base64(name: Name, algorithm: Algorithm, secret: &str) -> Result<Key, KeyError> {
        let text: Zeroizing<Vec<u8>> =
            Zeroizing::new(secret.bytes().filter(|b| !b.is_ascii_whitespace()).collect());
        let octets = Zeroizing::new(STANDARD.decode(text.as_slice()).map_err(|_| KeyError::Base64)?);
        Key::new(name, algorithm, &octets)
    }

    /// Its name, spelled as given.
    pub fn name(&self) -> &Name {
        &self.0.name
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// Whether the secret is shorter than half the hash, so that configurations deserve a warning.
    pub fn is_short(&self) -> bool {
        2 * self.0.secret.len() < self.0.algorithm.hash_len()
    }

    /// Octets of the TSIG record that this key puts behind a message.
    pub fn tsig_len(&self) -> usize {
        let (name, algorithm) = (self.canonical_name().as_wire(), self.algorithm());
        crate::record::len(name.len(), algorithm.as_wire().len(), algorithm.mac_len(), 0)
    }

    /// Its name in canonical form.
    pub(crate) fn canonical_name(&self) -> NameRef<'_> {
        self.0.canonical.as_ref()
    }

    /// Begins a MAC.
    pub(crate) fn begin(&self) -> Digest {
        self.0.prepared.clone()
    }

    /// Begins a MAC that builds on an earlier one.
    pub(crate) fn begin_after(&self, prior: &MacOctets) -> Digest {
        let mut digest = self.begin();
        digest.prior(prior);
        digest
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.canonical == other.0.canonical
                && self.0.algorithm == other.0.algorithm
                && self.0.secret == other.0.secret)
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} {})", self.0.name, self.0.algorithm)
    }
}

/// All keys that may ask us. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct KeyRing {
    /// In order of canonical name octets, then algorithm.
    keys: Arc<[Key]>,
}

impl KeyRing {
    /// Holds `keys`; of two with the same name and algorithm only the first.
    pub fn new(keys: impl IntoIterator<Item = Key>) -> KeyRing {
        let mut keys: Vec<Key> = keys.into_iter().collect();
        keys.sort_by(|a, b| rank(a).cmp(&rank(b)));
        keys.dedup_by(|b, a| rank(a) == rank(b));
        KeyRing { keys: keys.into() }
    }

    /// The key of that name, in any case, for that algorithm.
    pub fn find(&self, name: NameRef<'_>, algorithm: Algorithm) -> Option<&Key> {
        let mut lower = NameBuf::new();
        lower.set(name);
        lower.make_lower();
        let wanted = (lower.as_ref().as_wire(), algorithm);
        let at = self.keys.binary_search_by(|key| rank(key).cmp(&wanted)).ok()?;
        self.keys.get(at)
    }

    /// Whether a key of that name is here, for whichever algorithm.
    pub fn knows(&self, name: NameRef<'_>) -> bool {
        Algorithm::ALL.into_iter().any(|algorithm| self.find(name, algorithm).is_some())
    }

    /// All keys.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter()
    }
}

fn rank(key: &Key) -> (&[u8], Algorithm) {
    (key.0.canonical.as_wire(), key.0.algorithm)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn secrets_are_read_from_base64_and_must_not_be_empty() {
        let key = |text| Key::from_base64(name("k"), Algorithm::HmacSha256, text);
        let plain = Key::new(name("K."), Algorithm::HmacSha256, b"secret secret secret").unwrap();
        assert_eq!(key("c2VjcmV0IHNlY3JldCBzZWNyZXQ="), Ok(plain.clone()));
        assert_eq!(key(" c2VjcmV0IHNl\n\tY3JldCBzZWNyZXQ= "), Ok(plain.clone()));
        assert!(!plain.is_short());
        assert!(key("c2VjcmV0").unwrap().is_short());
        assert_eq!(key(""), Err(KeyError::Empty));
        for bad in ["c2VjcmV0I", "c2Vj*mV0", "c2VjcmV0IHNlY3JldCBzZWNyZXQ"] {
            assert_eq!(key(bad), Err(KeyError::Base64), "{bad}");
        }
        assert_eq!(Key::new(name("k"), Algorithm::HmacMd5, b""), Err(KeyError::Empty));
    }

    #[test]
    fn keys_are_equal_by_name_without_case_algorithm_and_secret() {
        let key = |n, a, s: &[u8]| Key::new(name(n), a, s).unwrap();
        let one = key("a.b", Algorithm::HmacSha256, b"1");
        assert_eq!(one, key("A.B.", Algorithm::HmacSha256, b"1"));
        assert_ne!(one, key("a.c", Algorithm::HmacSha256, b"1"));
        assert_ne!(one, key("a.b", Algorithm::HmacSha512, b"1"));
        assert_ne!(one, key("a.b", Algorithm::HmacSha256, b"2"));
        assert_eq!(format!("{one:?}"), "Key(a.b. hmac-sha256)");
    }

    #[test]
    fn a_ring_finds_by_name_and_algorithm() {
        let names = ["b.example", "a.example", "Z.example", "example", "."];
        let keys = names.iter().flat_map(|n| {
            [Algorithm::HmacSha512, Algorithm::HmacSha1].map(|a| Key::new(name(n), a, n.as_bytes()).unwrap())
        });
        let first = Key::new(name("A.EXAMPLE"), Algorithm::HmacSha1, b"first").unwrap();
        let ring = KeyRing::new([first.clone()].into_iter().chain(keys));
        assert_eq!(ring.iter().count(), 10);
        for n in names {
            let upper = name(&n.to_uppercase());
            let found = ring.find(upper.as_ref(), Algorithm::HmacSha512).unwrap();
            assert_eq!((found.name(), found.algorithm()), (&upper, Algorithm::HmacSha512));
            assert!(ring.find(upper.as_ref(), Algorithm::HmacSha256).is_none());
            assert!(ring.knows(upper.as_ref()));
        }
        assert_eq!(ring.find(name("a.example").as_ref(), Algorithm::HmacSha1), Some(&first));
        assert!(!ring.knows(name("c.example").as_ref()) && !KeyRing::default().knows(Name::root().as_ref()));
    }
}
