//! TSIG keys and their secrets.
//!
//! Nothing that stands in this part of the file is ever repeated in a message: a secret may stand at a wrong place.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secondo_wire::Name;
use zeroize::Zeroizing;

use super::files::{self, Access};
use super::problem::Findings;
use super::tree::Node;
use super::walk::{self, Words};

/// Longest file of a secret, in octets.
const MAX_SECRET_FILE: u64 = 16 * 1024;
/// Shorter secrets are warned about, in octets. RFC 2104 §3: less than the hash's length weakens the seal.
const SHORT_SECRET: usize = 16;

const WORDS: Words = Words {
    of: "a key",
    known: &["algorithm", "secret", "secret-file"],
    later: &[],
    private: true,
};

/// Key material. Wiped when dropped; shown by nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The octets, for sealing only.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Base64 with padding (RFC 4648 §4), white space around it ignored; `None` when malformed or empty.
    fn from_base64(text: &[u8]) -> Option<Secret> {
        let text = text.trim_ascii();
        let mut octets = Zeroizing::new(Vec::with_capacity(text.len()));
        STANDARD.decode_vec(text, &mut octets).ok()?;
        (!octets.is_empty()).then_some(Secret(octets))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// How a seal is made (RFC 8945 §6), with the length of its MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// HMAC-MD5, long broken for signatures; for old primaries only.
    HmacMd5,
    /// HMAC-SHA1.
    HmacSha1,
    /// HMAC-SHA224.
    HmacSha224,
    /// HMAC-SHA256.
    HmacSha256,
    /// HMAC-SHA256 cut to 128 bits.
    HmacSha256Trunc128,
    /// HMAC-SHA384.
    HmacSha384,
    /// HMAC-SHA384 cut to 192 bits.
    HmacSha384Trunc192,
    /// HMAC-SHA512.
    HmacSha512,
    /// HMAC-SHA512 cut to 256 bits.
    HmacSha512Trunc256,
}

/// Spellings in the configuration.
const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("hmac-sha256", Algorithm::HmacSha256),
    ("hmac-sha384", Algorithm::HmacSha384),
    ("hmac-sha512", Algorithm::HmacSha512),
    ("hmac-sha224", Algorithm::HmacSha224),
    ("hmac-sha256-128", Algorithm::HmacSha256Trunc128),
    ("hmac-sha384-192", Algorithm::HmacSha384Trunc192),
    ("hmac-sha512-256", Algorithm::HmacSha512Trunc256),
    ("hmac-sha1", Algorithm::HmacSha1),
    ("hmac-md5", Algorithm::HmacMd5),
];

impl FromStr for Algorithm {
    type Err = ();

    fn from_str(text: &str) -> Result<Algorithm, ()> {
        ALGORITHMS.iter().find(|(word, _)| *word == text).map(|(_, algorithm)| *algorithm).ok_or(())
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spelled = ALGORITHMS.iter().find(|(_, algorithm)| algorithm == self);
        f.write_str(spelled.map_or("?", |(word, _)| word))
    }
}

/// A key: both sides must have it under the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyConfig {
    /// Its name on the wire (RFC 8945 §4.2).
    pub name: Name,
    /// Its algorithm and the length of its MACs.
    pub algorithm: Algorithm,
    /// The shared secret.
    pub secret: Secret,
}

/// The name alone: equal keys have equal names, and the secret goes nowhere.
impl Hash for KeyConfig {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// All keys by name.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pub(super) defined: BTreeMap<Name, Arc<KeyConfig>>,
    /// Names whose definition is broken: a reference to one is no second error.
    broken: Vec<Name>,
}

impl Keys {
    /// Reads `keys`. Secret files are sought from `folder`.
    pub(super) fn read(node: &Node, folder: &Path, findings: &mut Findings) -> Keys {
        let mut keys = Keys::default();
        for (text, mark, entry) in walk::named(node, "keys", true, findings) {
            let name = match Name::parse(text) {
                Ok(name) => name,
                Err(error) => {
                    findings.error(mark, format!("bad key name: {error}, expected a domain name"));
                    continue;
                }
            };
            if keys.defined.contains_key(&name) || keys.broken.contains(&name) {
                findings.error(mark, "this key is defined twice, expected names that differ in more than case");
                continue;
            }
            match key(&name, entry, folder, findings) {
                Some(key) => drop(keys.defined.insert(name, Arc::new(key))),
                None => keys.broken.push(name),
            }
        }
        keys
    }

    /// The key that a node names; `None` (and an error) when there is none. What stands there is not repeated: people
    /// write secrets at the place of names.
    pub(super) fn named_by(&self, node: &Node, findings: &mut Findings) -> Option<Arc<KeyConfig>> {
        let expected = "the name of a key defined under `keys`";
        let text = walk::text(node, expected, findings)?;
        let name = Name::parse(text).ok();
        if let Some(key) = name.as_ref().and_then(|name| self.defined.get(name)) {
            return Some(Arc::clone(key));
        }
        if name.is_some_and(|name| self.broken.contains(&name)) {
            return None;
        }
        let names: Vec<String> = self.defined.keys().map(|name| name.to_string()).collect();
        let bare = names.iter().map(|name| name.trim_end_matches('.'));
        let message = match walk::nearest(text.trim_end_matches('.'), bare) {
            Some(near) => format!("undefined key, did you mean `{near}`?"),
            None => format!("undefined key, expected {expected}"),
        };
        findings.error(node.mark, message);
        None
    }
}

fn key(name: &Name, node: &Node, folder: &Path, findings: &mut Findings) -> Option<KeyConfig> {
    let fields = walk::fields(node, &WORDS, findings)?;
    let algorithm = match fields.of("algorithm") {
        Some(node) => algorithm(node, findings),
        None => {
            findings.error(fields.mark, "`algorithm` is missing, expected one such as hmac-sha256");
            None
        }
    };
    let secret = match (fields.of("secret"), fields.of("secret-file")) {
        (Some(node), None) => inline_secret(node, findings),
        (None, Some(node)) => secret_from_file(node, folder, findings),
        (Some(_), Some(node)) => {
            findings.error(node.mark, "both `secret` and `secret-file` are given, expected one of them");
            None
        }
        (None, None) => {
            findings.error(fields.mark, "the secret is missing, expected `secret` or `secret-file`");
            None
        }
    };
    let key = KeyConfig { name: name.clone(), algorithm: algorithm?, secret: secret? };
    if key.secret.expose().len() < SHORT_SECRET {
        let advice = format!("this secret is short, expected at least {SHORT_SECRET} octets");
        findings.warn(fields.mark, advice);
    }
    Some(key)
}

fn algorithm(node: &Node, findings: &mut Findings) -> Option<Algorithm> {
    let words: Vec<&str> = ALGORITHMS.iter().map(|(word, _)| *word).collect();
    let expected = walk::one_of(&words);
    let text = walk::text(node, &expected, findings)?;
    let Ok(algorithm) = text.parse() else {
        let message = match walk::nearest(text, words.iter().copied()) {
            Some(word) => format!("unknown algorithm, did you mean `{word}`?"),
            None => format!("unknown algorithm, expected {expected}"),
        };
        findings.error(node.mark, message);
        return None;
    };
    // RFC 8945 §6: both must not be used for new keys; old primaries know nothing else.
    if matches!(algorithm, Algorithm::HmacMd5 | Algorithm::HmacSha1) {
        findings.warn(node.mark, format!("`{algorithm}` is weak, expected hmac-sha256 or better"));
    }
    Some(algorithm)
}

const EXPECTED_SECRET: &str = "base64 of the shared secret (RFC 4648, with padding)";

fn inline_secret(node: &Node, findings: &mut Findings) -> Option<Secret> {
    let text = walk::text(node, EXPECTED_SECRET, findings)?;
    let secret = Secret::from_base64(text.as_bytes());
    if secret.is_none() {
        findings.error(node.mark, format!("bad secret, expected {EXPECTED_SECRET}"));
    } else if findings.is_world_readable(node.mark) {
        findings.warn(node.mark, "everybody may read this file, expected mode 0640 or `secret-file`");
    }
    secret
}

fn secret_from_file(node: &Node, folder: &Path, findings: &mut Findings) -> Option<Secret> {
    let path = walk::text(node, "the path of a file that holds the secret", findings)?;
    let problem = match files::read(&folder.join(path), MAX_SECRET_FILE, Access::Private) {
        Ok(read) => match Secret::from_base64(&read.octets) {
            Some(secret) => return Some(secret),
            None => format!("bad secret in the secret file, expected {EXPECTED_SECRET}"),
        },
        Err(error) => format!("the secret file {error}"),
    };
    findings.error(node.mark, problem);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_by_nothing() {
        let secret = Secret::from_base64(b" c2VjcmV0\n").unwrap();
        assert_eq!(secret.expose(), b"secret");
        assert_eq!(format!("{secret:?} {secret:#?}"), "[secret] [secret]");
    }

    #[test]
    fn base64_is_read_strictly() {
        for bad in ["", " ", "c2VjcmV", "c2Vj cmV0", "c2VjcmV0!", "=", "c2VjcmV0=="] {
            assert!(Secret::from_base64(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn every_algorithm_is_read_as_it_is_shown() {
        for (word, algorithm) in ALGORITHMS {
            assert_eq!(word.parse(), Ok(algorithm));
            assert_eq!(algorithm.to_string(), word);
        }
    }
}
