//! Authorities, certificates and connections for the tests of this folder.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData as _, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use tokio::net::{TcpListener, TcpStream};

use super::{DOT, Identity, Pin, provider};

/// Someone whose certificates are good.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) certificate: CertificateDer<'static>,
}

/// A certificate and its key.
pub(crate) struct Issued {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
    pub(crate) pin: Pin,
}

impl Issued {
    /// For that name, signed with its own key; `authority`: and marked as an authority's.
    pub(crate) fn by_itself(name: &str, authority: bool) -> Issued {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.is_ca = if authority { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::NoCa };
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let pin = Sha256::digest(key.subject_public_key_info()).into();
        Issued { chain: vec![certificate.der().clone()], key: key.serialize_der(), pin }
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.clone()).unwrap()
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity::new(self.chain.clone(), self.key()).unwrap()
    }
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, format!("authority {}", rand::random::<u64>()));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Authority { issuer: Issuer::new(params, key), certificate }
    }

    /// For that name, good from now to the next millennium.
    pub(crate) fn issue(&self, name: &str) -> Issued {
        self.issue_until(name, 3000)
    }

    /// Good up to the beginning of a year.
    pub(crate) fn issue_until(&self, name: &str, year: i32) -> Issued {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(year, 1, 1));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let pin = Sha256::digest(key.subject_public_key_info()).into();
        Issued { chain: vec![certificate.der().clone()], key: key.serialize_der(), pin }
    }
}

pub(crate) fn name(text: &str) -> Option<ServerName<'static>> {
    Some(ServerName::try_from(text.to_owned()).unwrap())
}

/// A server with the token `dot` that lets everybody in, and asks who they are where it is given an authority for that.
pub(crate) fn curious(issued: &Issued, clients: Option<&Authority>) -> Arc<ServerConfig> {
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.certificate.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
            builder.with_client_cert_verifier(verifier.allow_unauthenticated().build().unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(issued.chain.clone(), issued.key()).unwrap();
    config.alpn_protocols = vec![DOT.to_vec()];
    Arc::new(config)
}

/// Both ends of a connection, the client's first.
pub(crate) async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, accepted) =
        tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (client.unwrap(), accepted.unwrap().0)
}
