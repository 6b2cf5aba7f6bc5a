//! TLS towards a primary.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use secondo_transfer::Fault;
use secondo_wire::Reason;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, TlsStream};

use super::{DOT, Fingerprint, Identity, Stream, Trust, fault, provider};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Sessions remembered: one for each address of a primary.
const SESSIONS: usize = 8;

/// How a primary is spoken to over TLS. Cheap to clone; equal when made of equal octets.
#[derive(Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    /// The name that is sent, and that certificates of authorities are made out to.
    name: Option<ServerName<'static>>,
    fingerprint: Fingerprint,
}

impl PartialEq for TlsClient {
    fn eq(&self, other: &TlsClient) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for TlsClient {}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient").field("name", &self.name).finish_non_exhaustive()
    }
}

impl TlsClient {
    /// Trusts `trust`, expects `name` (with authorities, the address is expected where it is left out), and shows
    /// `identity` when asked who we are.
    ///
    /// # Errors
    /// In words: there is no authority.
    pub fn new(
        trust: &Trust,
        name: Option<ServerName<'static>>,
        identity: Option<Identity>,
    ) -> Result<TlsClient, String> {
        let sent = name.as_ref().map(|name| name.to_str().into_owned()).unwrap_or_default();
        let shown = identity.as_ref().map(|identity| &identity.fingerprint.0[..]).unwrap_or_default();
        let fingerprint = Fingerprint::of(trust.parts().into_iter().chain([sent.as_bytes(), shown]));
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(trust.verifier()?);
        let mut config = match identity {
            Some(Identity { key, .. }) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![DOT.to_vec()];
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Ok(TlsClient { config: Arc::new(config), name, fingerprint })
    }

    /// The handshake with a primary at `address`, on a connection that was just made.
    pub(crate) async fn handshake(&self, stream: TcpStream, address: IpAddr) -> Result<Stream, Fault> {
        let name = self.name.clone().unwrap_or_else(|| ServerName::from(address));
        let connecting = TlsConnector::from(Arc::clone(&self.config)).connect(name, stream);
        let stream = match timeout(HANDSHAKE, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(failed(&error)),
            Err(_) => {
                let detail = format!("no TLS handshake within {} s", HANDSHAKE.as_secs());
                return Err(Fault::new(Reason::Timeout, detail));
            }
        };
        // RFC 9103 §7.1: the token must be chosen. A server that knows no tokens at all goes on without a word.
        if stream.get_ref().1.alpn_protocol() != Some(DOT) {
            return Err(Fault::new(Reason::TlsAlpn, "the primary chose no ALPN token, expected `dot`"));
        }
        Ok(Stream::Tls(Box::new(TlsStream::Client(stream))))
    }
}

fn failed(error: &io::Error) -> Fault {
    match fault(error) {
        Some(fault) => fault,
        None => {
            Fault::new(Reason::TlsHandshake, format!("the connection ended in the TLS handshake: {error}"))
        }
    }
}
