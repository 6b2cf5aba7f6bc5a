//! TLS: whom a primary must be, and who we are.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde::Deserialize;

use super::files::{self, Access};
use super::keys::private_file;
use super::problem::{Findings, Mark, quoted};
use super::tree::Node;
use super::walk::{self, Fields, Words};
use crate::tls::{Identity, Pin, TlsClient, TlsServer, Trust};

/// Longest file of certificates, in octets: all authorities that browsers know, with room.
const MAX_CERTIFICATES: u64 = 1 << 20;
/// Most pins of one primary.
const MAX_PINS: usize = 16;

const CLIENT: Words = Words {
    of: "`tls` of a primary",
    known: &["mode", "name", "ca-file", "pins", "cert-file", "key-file"],
    later: &[],
    private: false,
};
const SERVER: Words = Words { of: "`tls`", known: &["cert-file", "key-file"], later: &[], private: false };

/// What a server needs.
const FILES: &str = "expected { cert-file: …, key-file: … }";

/// How a stream is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Tcp,
    Tls,
}

impl Transport {
    /// The port where none is written (RFC 1035 §4.2, RFC 7858 §3.1).
    pub(super) fn port(self) -> u16 {
        match self {
            Transport::Tcp => 53,
            Transport::Tls => 853,
        }
    }
}

/// Reads `transport`.
pub(super) fn transport(fields: &Fields<'_>, findings: &mut Findings) -> Option<Transport> {
    let Some(node) = fields.of("transport") else { return Some(Transport::Tcp) };
    match walk::text(node, "tcp or tls", findings)? {
        "tcp" => Some(Transport::Tcp),
        "tls" => Some(Transport::Tls),
        other => {
            findings.error(node.mark, format!("bad value {}, expected tcp or tls", quoted(other)));
            None
        }
    }
}

/// How a primary proves who it is.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    Strict,
    Opportunistic,
    Pin,
}

/// Reads `tls` of a primary whose map is `primary`. Outer `None`: it is wrong; inner `None`: there is none.
pub(super) fn client(
    primary: &Fields<'_>,
    transport: Option<Transport>,
    folder: &Path,
    findings: &mut Findings,
) -> Option<Option<TlsClient>> {
    match (primary.of("tls"), transport?) {
        (None, Transport::Tcp) => Some(None),
        (Some(node), Transport::Tcp) => {
            findings.error(node.mark, "`tls` is given without `transport: tls`, expected both or none");
            None
        }
        (None, Transport::Tls) => {
            let mark = primary.of("transport").map_or(primary.mark, |node| node.mark);
            let expected = "expected for example { mode: strict, name: primary.example, ca-file: ca.pem }";
            findings.error(mark, format!("`transport: tls` is given without `tls`, {expected}"));
            None
        }
        (Some(node), Transport::Tls) => client_of(node, folder, findings).map(Some),
    }
}

fn client_of(node: &Node, folder: &Path, findings: &mut Findings) -> Option<TlsClient> {
    let fields = walk::fields(node, &CLIENT, findings)?;
    let mode = match fields.of("mode") {
        Some(node) => walk::typed(node, "strict, opportunistic or pin", findings),
        None => Some(Mode::Strict),
    };
    let name = fields.of("name").map(|node| server_name(node, findings));
    let authorities = fields.of("ca-file").map(|node| authorities(node, folder, findings));
    let pins = fields.of("pins").map(|node| pins(node, findings));
    let identity = identity(&fields, folder, findings);
    let (mark, mode) = (fields.of("mode").map_or(fields.mark, |node| node.mark), mode?);
    let (needed, unused): (&[_], &[_]) = match mode {
        Mode::Strict => (&["name", "ca-file"], &["pins"]),
        Mode::Pin => (&["pins"], &["ca-file"]),
        Mode::Opportunistic => {
            findings.warn(mark, "mode opportunistic encrypts for whoever answers, expected strict or pin");
            (&[], &["pins", "ca-file"])
        }
    };
    for word in needed.iter().filter(|word| fields.of(word).is_none()) {
        findings.error(mark, format!("`{word}` is missing, which this mode needs"));
    }
    let superfluous: Vec<_> = unused.iter().filter_map(|word| Some((word, fields.of(word)?))).collect();
    for (word, node) in &superfluous {
        findings.error(node.mark, format!("`{word}` is of no use in this mode, expected another mode"));
    }
    let trust = match mode {
        Mode::Strict => {
            // The name is what an authority vouches for.
            name.as_ref()?;
            authorities??
        }
        Mode::Pin => Trust::Pins(pins??),
        Mode::Opportunistic => Trust::Anybody,
    };
    let name = match name {
        Some(name) => Some(name?),
        None => None,
    };
    let identity = identity?;
    if !superfluous.is_empty() {
        return None;
    }
    let client = TlsClient::new(&trust, name, identity).map_err(|why| findings.error(mark, why)).ok()?;
    let file = fields.of("ca-file").and_then(|node| walk::text(node, "a path", findings));
    Some(match file {
        Some(file) => client.with_authorities_of(&folder.join(file)),
        None => client,
    })
}

/// A name or address that a certificate can be for.
fn server_name(node: &Node, findings: &mut Findings) -> Option<ServerName<'static>> {
    let expected = "the name in the primary's certificate, such as primary.example, or an address in it";
    let read = |text: &str| ServerName::try_from(text.strip_suffix('.').unwrap_or(text).to_owned()).ok();
    walk::parsed(node, expected, read, findings)
}

fn pins(node: &Node, findings: &mut Findings) -> Option<Vec<Pin>> {
    let items = walk::list(node, "a list of pins", findings)?;
    if items.is_empty() || items.len() > MAX_PINS {
        findings.error(node.mark, format!("{} pins, expected 1 to {MAX_PINS}", items.len()));
        return None;
    }
    let expected = "base64 of the SHA-256 of a public key (SubjectPublicKeyInfo), 44 characters";
    let pin = |text: &str| STANDARD.decode(text).ok()?.try_into().ok();
    items
        .iter()
        .map(|item| walk::parsed(item, expected, pin, findings))
        .collect::<Vec<_>>()
        .into_iter()
        .collect()
}

fn authorities(node: &Node, folder: &Path, findings: &mut Findings) -> Option<Trust> {
    let certificates = certificates(node, folder, findings)?;
    Trust::authorities(&certificates).map_err(|why| findings.error(node.mark, why)).ok()
}

/// Reads `cert-file` and `key-file`, which stand together. Outer `None`: they are wrong; inner `None`: there are none.
fn identity(fields: &Fields<'_>, folder: &Path, findings: &mut Findings) -> Option<Option<Identity>> {
    let (certificate, key) = match (fields.of("cert-file"), fields.of("key-file")) {
        (None, None) => return Some(None),
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(node), None) | (None, Some(node)) => {
            findings.error(node.mark, "one of `cert-file` and `key-file` is missing, expected both or none");
            return None;
        }
    };
    let chain = certificates(certificate, folder, findings);
    let key = private_key(key, folder, findings);
    let identity = Identity::new(chain?, key?).map_err(|why| findings.error(certificate.mark, why)).ok()?;
    let file = folder.join(walk::text(certificate, "a path", findings)?);
    findings.own_certificate(&file, &identity);
    Some(Some(identity))
}

/// All certificates of a file, at least one.
fn certificates(node: &Node, folder: &Path, findings: &mut Findings) -> Option<Vec<CertificateDer<'static>>> {
    let path = walk::text(node, "the path of a file of certificates", findings)?;
    let read = files::read(&folder.join(path), MAX_CERTIFICATES, Access::Regular)
        .map_err(|error| error.to_string())
        .and_then(|read| {
            let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read.octets).collect();
            match found {
                Ok(found) if found.is_empty() => {
                    Err("has no certificate, expected one or more in PEM".into())
                }
                found => found.map_err(|_| "cannot be read as PEM, expected certificates".into()),
            }
        });
    read.map_err(|why| findings.error(node.mark, format!("the file {} {why}", quoted(path)))).ok()
}

fn private_key(node: &Node, folder: &Path, findings: &mut Findings) -> Option<PrivateKeyDer<'static>> {
    let expected = "the path of a file that holds the private key";
    let (named, octets) = private_file(node, "the key file", expected, folder, findings)?;
    let key = PrivateKeyDer::from_pem_slice(&octets);
    // What exactly is wrong would repeat the file.
    let told = |_| findings.error(node.mark, format!("{named} has no private key, expected one in PEM"));
    key.map_err(told).ok()
}

/// Reads `tls` of the top level, for which `listener` asks, if any does. Outer `None`: it is wrong, or missing.
pub(super) fn server(
    top: &Fields<'_>,
    listener: Option<Mark>,
    folder: &Path,
    findings: &mut Findings,
) -> Option<Option<Arc<TlsServer>>> {
    let Some(node) = top.of("tls") else {
        let Some(mark) = listener else { return Some(None) };
        findings.error(mark, format!("a listener with `transport: tls` needs `tls` at the top, {FILES}"));
        return None;
    };
    let fields = walk::fields(node, &SERVER, findings)?;
    let Some(identity) = identity(&fields, folder, findings)? else {
        findings.error(fields.mark, format!("`cert-file` and `key-file` are missing, {FILES}"));
        return None;
    };
    if listener.is_none() {
        findings.warn(fields.mark, "no listener has `transport: tls`: this is of no use");
    }
    let server = TlsServer::new(identity).map_err(|why| findings.error(fields.mark, why)).ok()?;
    Some(Some(Arc::new(server)))
}
