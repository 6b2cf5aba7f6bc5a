//! TLS towards clients.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::sign::SingleCertAndKey;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::{DOT, Fingerprint, Identity, Stream, provider};

/// How long a handshake may take, however slowly its octets come.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// How clients are spoken to over TLS; equal when made of equal octets.
pub struct TlsServer {
    config: Arc<ServerConfig>,
    fingerprint: Fingerprint,
}

impl PartialEq for TlsServer {
    fn eq(&self, other: &TlsServer) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for TlsServer {}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer").finish_non_exhaustive()
    }
}

impl TlsServer {
    /// Shows `identity` to everybody. What a session's ticket needs to be known again is in the ticket: nothing is kept for
    /// clients that are gone.
    ///
    /// # Errors
    /// In words: there is no randomness for tickets.
    pub fn new(identity: Identity) -> Result<TlsServer, String> {
        let Identity { key, fingerprint } = identity;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| error.to_string())?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        config.alpn_protocols = vec![DOT.to_vec()];
        config.ticketer = Ticketer::new().map_err(|error| error.to_string())?;
        Ok(TlsServer { config: Arc::new(config), fingerprint })
    }

    /// The handshake with a client. One that offers tokens must offer `dot`; one that offers none is let in
    /// (RFC 7858 §3.2 came before the token).
    pub(crate) async fn handshake(&self, stream: TcpStream) -> io::Result<Stream> {
        let accepting = TlsAcceptor::from(Arc::clone(&self.config)).accept(stream);
        let stream = timeout(HANDSHAKE, accepting).await??;
        Ok(Stream::Tls(Box::new(TlsStream::Server(stream))))
    }
}
