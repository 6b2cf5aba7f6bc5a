//! # tls: streams that nobody reads or changes on their way
//!
//! **Job**: TLS 1.3 over a TCP connection, as client of a primary ([`TlsClient`]) and as server ([`TlsServer`]); and one
//! type for a connection with TLS or without (`Stream`), so that all else knows no difference.
//! **In**: whom to trust and who we are, as octets of files that were read; a TCP connection.
//! **Out**: a `Stream`, or a [`Fault`](secondo_transfer::Fault) with a reason of the class `Seal`.
//! **Never**: speaks less than TLS 1.3, sends data before the handshake is over, goes on without the token `dot`, falls
//! back to anything weaker.
//! **Source**: RFC 9103 §7 and §9, RFC 7858 §3 and §4.2, RFC 8310 §8, RFC 8446 §6.1.

mod client;
mod fault;
mod server;
mod stream;
#[cfg(test)]
pub(crate) mod testing;
mod trust;
mod validity;

use std::fmt;
use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};

pub use client::TlsClient;
pub(crate) use fault::fault;
pub use server::TlsServer;
pub(crate) use stream::Stream;
pub use trust::{Pin, Trust};
pub use validity::{Standing, Validity};

/// The token of DNS over TLS (RFC 7858 §3.2, RFC 9103 §7.1).
const DOT: &[u8] = b"dot";

/// The cryptography.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));
    Arc::clone(&PROVIDER)
}

/// Who we are: a chain of certificates, our own first, and its key. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    key: Arc<CertifiedKey>,
    fingerprint: Fingerprint,
    /// `None`: its dates cannot be read.
    validity: Option<Validity>,
}

impl Identity {
    /// Takes at least one certificate, and the key of the first.
    ///
    /// # Errors
    /// In words: the key is of no use, or not that of the certificate.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Identity, String> {
        let certificates = chain.iter().map(|certificate| certificate.as_ref());
        let fingerprint = Fingerprint::of(certificates.chain([key.secret_der()]));
        let validity = chain.iter().map(Validity::of).reduce(|a, b| Some(a?.within(b?))).flatten();
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => String::from("the key is not that of the certificate"),
            other => format!("certificate and key cannot be used: {other}"),
        })?;
        Ok(Identity { key: Arc::new(key), fingerprint, validity })
    }

    /// Of chain and key.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// When all certificates of the chain are good; `None` when that cannot be read.
    pub fn validity(&self) -> Option<Validity> {
        self.validity
    }
}

/// Never the key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// By which configurations are told apart: what one was made of, digested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of all parts in order, each with its length before it.
    fn of<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Fingerprint {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Fingerprint(digest.finalize().into())
    }
}
