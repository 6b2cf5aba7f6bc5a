//! TSIG keys and their secrets.
//!
//! Nothing that stands in this part of the file is ever repeated in a message: a secret may stand at a wrong place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use secondo_tsig::{Algorithm, Key, KeyError};
use secondo_wire::Name;
use zeroize::Zeroizing;

use super::files::{self, Access};
use super::problem::{Findings, quoted};
use super::tree::Node;
use super::walk::{self, Words};

/// Longest file of a secret, in octets.
const MAX_SECRET_FILE: u64 = 16 * 1024;

const WORDS: Words =
    Words { of: "a key", known: &["algorithm", "secret", "secret-file"], later: &[], private: true };

/// All keys by name.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pub(super) defined: BTreeMap<Name, Key>,
    /// Their names as written.
    names: Vec<String>,
    /// Names whose definition is broken: a reference to one is no second error.
    broken: BTreeSet<Name>,
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
                findings
                    .error(mark, "this key is defined twice, expected names that differ in more than case");
                continue;
            }
            match key(&name, entry, folder, findings) {
                Some(key) => {
                    keys.names.push(text.to_owned());
                    keys.defined.insert(name, key);
                }
                None => {
                    keys.broken.insert(name);
                }
            }
        }
        keys
    }

    /// The key that a node names; `None` (and an error) when there is none. What stands there is not repeated: people
    /// write secrets at the place of names.
    pub(super) fn named_by(&self, node: &Node, findings: &mut Findings) -> Option<Key> {
        let expected = "the name of a key defined under `keys`";
        let text = walk::text(node, expected, findings)?;
        let name = Name::parse(text).ok();
        if let Some(key) = name.as_ref().and_then(|name| self.defined.get(name)) {
            return Some(key.clone());
        }
        if name.is_some_and(|name| self.broken.contains(&name)) {
            return None;
        }
        let message =
            walk::undefined("key", bare(text), self.names.iter().map(|name| bare(name)), expected, findings);
        findings.error(node.mark, message);
        None
    }
}

/// Without the last dot.
fn bare(text: &str) -> &str {
    text.strip_suffix('.').unwrap_or(text)
}

fn key(name: &Name, node: &Node, folder: &Path, findings: &mut Findings) -> Option<Key> {
    let fields = walk::fields(node, &WORDS, findings)?;
    let algorithm = match fields.of("algorithm") {
        Some(node) => algorithm(node, findings),
        None => {
            findings.error(fields.mark, "`algorithm` is missing, expected one such as hmac-sha256");
            None
        }
    };
    // The secret is looked at even when the algorithm is wrong, so that both errors come in one pass.
    let seal_with = algorithm.unwrap_or(Algorithm::HmacSha256);
    let key = match (fields.of("secret"), fields.of("secret-file")) {
        (Some(node), None) => inline(name, seal_with, node, findings),
        (None, Some(node)) => from_file(name, seal_with, node, folder, findings),
        (Some(_), Some(node)) => {
            findings.error(node.mark, "both `secret` and `secret-file` are given, expected one of them");
            None
        }
        (None, None) => {
            findings.error(fields.mark, "the secret is missing, expected `secret` or `secret-file`");
            None
        }
    };
    algorithm?;
    let key = key?;
    if key.is_short() {
        let least = key.algorithm().hash_len() / 2;
        findings.warn(fields.mark, format!("this secret is short, expected at least {least} octets"));
    }
    Some(key)
}

fn algorithm(node: &Node, findings: &mut Findings) -> Option<Algorithm> {
    let words = Algorithm::ALL.map(Algorithm::as_str);
    let expected = walk::one_of(&words);
    let text = walk::text(node, &expected, findings)?;
    let Ok(algorithm) = text.parse::<Algorithm>() else {
        let message = match walk::nearest(text, words.into_iter()) {
            Some(word) => format!("unknown algorithm, did you mean `{word}`?"),
            None => format!("unknown algorithm, expected {expected}"),
        };
        findings.error(node.mark, message);
        return None;
    };
    if algorithm.is_legacy() {
        findings.warn(node.mark, format!("`{algorithm}` is weak, expected hmac-sha256 or better"));
    }
    Some(algorithm)
}

/// What a secret looks like, for messages.
const SECRET: &str = "base64 of the shared secret (RFC 4648, with padding)";

fn inline(name: &Name, algorithm: Algorithm, node: &Node, findings: &mut Findings) -> Option<Key> {
    let text = walk::text(node, SECRET, findings)?;
    match Key::from_base64(name.clone(), algorithm, text) {
        Ok(key) => {
            if findings.is_world_readable(node.mark) {
                findings.warn(node.mark, "everybody may read this file, expected mode 0640 or `secret-file`");
            }
            Some(key)
        }
        Err(error) => {
            findings.error(node.mark, bad_secret(error));
            None
        }
    }
}

fn from_file(
    name: &Name,
    algorithm: Algorithm,
    node: &Node,
    folder: &Path,
    findings: &mut Findings,
) -> Option<Key> {
    let (named, octets) =
        private_file(node, SECRET_FILE, "the path of a file that holds the secret", folder, findings)?;
    let text = std::str::from_utf8(&octets).map_err(|_| KeyError::Base64);
    let key = text.and_then(|text| Key::from_base64(name.clone(), algorithm, secret_of(text)));
    let told = |error| format!("in {named}: {}", bad_secret(error));
    key.map_err(|error| findings.error(node.mark, told(error))).ok()
}

/// How a file that holds a secret is called in errors.
pub(super) const SECRET_FILE: &str = "the secret file";

/// What a file of secrets holds, and what it is to be called in an error: `called`, with its name where that is known to be
/// one.
pub(super) fn private_file(
    node: &Node,
    called: &str,
    expected: &str,
    folder: &Path,
    findings: &mut Findings,
) -> Option<(String, Zeroizing<Vec<u8>>)> {
    let path = walk::text(node, expected, findings)?;
    let file = folder.join(path);
    // People write secrets at the place of paths: only a path that leads somewhere is repeated.
    let named = if file.exists() { format!("{called} {}", quoted(path)) } else { called.into() };
    match files::read(&file, MAX_SECRET_FILE, Access::Private) {
        Ok(read) => Some((named, read.octets)),
        Err(error) => {
            findings.error(node.mark, format!("{named} {error}"));
            None
        }
    }
}

/// The secret in a file: all of it, or what a clause as BIND's tools write it has between the quotes behind `secret`.
fn secret_of(text: &str) -> &str {
    let clause = text.find("secret").and_then(|at| text.get(at..)?.split('"').nth(1));
    clause.unwrap_or(text)
}

fn bad_secret(error: KeyError) -> String {
    match error {
        KeyError::Empty => format!("the secret is empty, expected {SECRET}"),
        KeyError::Base64 => format!("bad secret, expected {SECRET}"),
    }
}
