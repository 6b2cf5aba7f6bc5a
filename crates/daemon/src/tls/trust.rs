//! Whom a client trusts.

use std::sync::Arc;
use std::{fmt, iter};

use super::{provider, validity};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, PeerIncompatible, RootCertStore,
    SignatureScheme,
};
use sha2::{Digest, Sha256};

/// SHA-256 of a certificate's SubjectPublicKeyInfo (RFC 7858 §4.2).
pub type Pin = [u8; 32];

/// Whom a client trusts (RFC 8310 §5 and §8).
#[derive(Debug)]
pub enum Trust {
    /// Who has a certificate for the right name, in its time, that one of these authorities vouches for.
    Authorities(Arc<RootCertStore>),
    /// Who has the key of one of these pins; certificates' names and times do not count.
    Pins(Vec<Pin>),
    /// Anybody: encrypted, and open to whoever sits between.
    Anybody,
}

impl Trust {
    /// Trusts these authorities.
    ///
    /// # Errors
    /// In words: which of them is none.
    pub fn authorities(certificates: &[CertificateDer<'static>]) -> Result<Trust, String> {
        let mut roots = RootCertStore::empty();
        for (n, certificate) in certificates.iter().enumerate() {
            let added = roots.add(certificate.clone());
            added
                .map_err(|error| format!("certificate {} cannot be used as an authority: {error}", n + 1))?;
        }
        Ok(Trust::Authorities(Arc::new(roots)))
    }

    /// The judge of certificates.
    ///
    /// # Errors
    /// In words: there is no authority.
    pub(super) fn verifier(&self) -> Result<Arc<dyn ServerCertVerifier>, String> {
        let pins = match self {
            Trust::Authorities(roots) => {
                let builder = WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), provider());
                let judge = builder.build().map_err(|error| error.to_string())?;
                return Ok(Arc::new(Judge(judge)));
            }
            Trust::Pins(pins) => Some(pins.clone().into()),
            Trust::Anybody => None,
        };
        Ok(Arc::new(Holder { pins, algorithms: provider().signature_verification_algorithms }))
    }

    /// What makes it differ from another.
    pub(super) fn parts(&self) -> Vec<&[u8]> {
        match self {
            Trust::Authorities(roots) => {
                let mut parts: Vec<&[u8]> = vec![b"authorities"];
                for anchor in &roots.roots {
                    let constraints = anchor.name_constraints.as_deref().unwrap_or_default();
                    parts.extend([&anchor.subject, &anchor.subject_public_key_info, constraints]);
                }
                parts
            }
            Trust::Pins(pins) => iter::once(&b"pins"[..]).chain(pins.iter().map(|pin| &pin[..])).collect(),
            Trust::Anybody => vec![b"anybody"],
        }
    }
}

/// Asks the authorities, and says more of a certificate that none of them vouches for than the library does.
#[derive(Debug)]
struct Judge(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged = self.0.verify_server_cert(certificate, chain, name, ocsp, now);
        judged.map_err(|error| match error {
            // The library has no name of its own for an authority's certificate that stands for a server.
            Error::InvalidCertificate(
                why @ (CertificateError::UnknownIssuer | CertificateError::Other(_)),
            ) => {
                let Ok(parsed) = ParsedCertificate::try_from(certificate) else {
                    return Error::InvalidCertificate(why);
                };
                let unvouched = Unvouched {
                    own: validity::is_its_own_issuer(certificate),
                    pin: Sha256::digest(parsed.subject_public_key_info()).into(),
                    why: match why {
                        CertificateError::Other(OtherError(other)) => Some(other.to_string()),
                        _ => None,
                    },
                };
                CertificateError::Other(OtherError(Arc::new(unvouched))).into()
            }
            error => error,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Takes who proves to hold the key of a certificate: one with a pin, or any.
#[derive(Debug)]
struct Holder {
    pins: Option<Box<[Pin]>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Holder {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let key = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
        let pin: Pin = Sha256::digest(&key).into();
        match &self.pins {
            Some(pins) if !pins.contains(&pin) => {
                Err(CertificateError::Other(OtherError(Arc::new(Unpinned(pin)))).into())
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    /// Not offered, so never asked.
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The pin that was found, and is none of ours.
#[derive(Debug)]
pub(super) struct Unpinned(pub(super) Pin);

impl fmt::Display for Unpinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the primary's key has the pin {}, which is none of those configured", base64_of(&self.0))
    }
}

impl std::error::Error for Unpinned {}

/// The certificate that was found, and that no authority vouches for.
#[derive(Debug)]
struct Unvouched {
    /// It is its own issuer.
    own: bool,
    pin: Pin,
    /// What the library says of it, when it is more than that.
    why: Option<String>,
}

impl fmt::Display for Unvouched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.own {
            true => "the primary's certificate is signed by itself",
            false => "the primary's certificate is signed by none of the authorities",
        })?;
        match self.why.as_deref() {
            // What `openssl req -x509` makes unless it is told otherwise.
            Some("CaUsedAsEndEntity") => f.write_str(
                ", and marked as an authority's (CA:TRUE), which no server's may be even if it stands in `ca-file`",
            )?,
            Some(why) => write!(f, " ({why})")?,
            None => {}
        }
        write!(f, "; its key has the pin {}", base64_of(&self.pin))
    }
}

impl std::error::Error for Unvouched {}

fn base64_of(pin: &Pin) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(pin)
}
