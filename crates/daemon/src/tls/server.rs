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
        let Identity { key, fingerprint, .. } = identity;
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
        self.handshake_within(HANDSHAKE, stream).await
    }

    async fn handshake_within(&self, limit: Duration, stream: TcpStream) -> io::Result<Stream> {
        let accepting = TlsAcceptor::from(Arc::clone(&self.config)).accept(stream);
        let stream = timeout(limit, accepting).await??;
        Ok(Stream::Tls(Box::new(TlsStream::Server(stream))))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::tls::testing::{Authority, Issued, connection, name};
    use crate::tls::{TlsClient, Trust};

    fn server(issued: &Issued) -> TlsServer {
        TlsServer::new(issued.identity()).unwrap()
    }

    #[tokio::test]
    async fn a_client_of_ours_is_let_in_and_both_may_carry_zones() {
        let authority = Authority::new();
        let trust = Trust::authorities(std::slice::from_ref(&authority.certificate)).unwrap();
        let client = TlsClient::new(&trust, name("ns.example"), None).unwrap();
        let server = server(&authority.issue("ns.example"));
        // The second time with a ticket.
        for _ in 0..2 {
            let (ours, theirs) = connection().await;
            let (asking, serving) =
                tokio::join!(client.handshake(ours, Ipv4Addr::LOCALHOST.into()), server.handshake(theirs));
            let ((mut asking, _), mut serving) = (asking.unwrap(), serving.unwrap());
            assert!(asking.carries_zones() && serving.carries_zones());
            serving.write_all(b"!").await.unwrap();
            serving.flush().await.unwrap();
            assert_eq!(asking.read_u8().await.unwrap(), b'!');
        }
    }

    #[tokio::test]
    async fn without_a_token_a_client_is_let_in_for_all_but_zones_and_with_another_it_is_not() {
        let server = server(&Authority::new().issue("ns.example"));
        for (tokens, expected) in
            [(vec![], Some(false)), (vec![b"dot".to_vec()], Some(true)), (vec![b"h2".to_vec()], None)]
        {
            let (ours, theirs) = connection().await;
            let mut config = rustls::ClientConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()
                .unwrap()
                .dangerous()
                .with_custom_certificate_verifier(Trust::Anybody.verifier().unwrap())
                .with_no_client_auth();
            config.alpn_protocols = tokens;
            let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
            let asking = connector.connect(name("ns.example").unwrap(), ours);
            let (_asking, serving) = tokio::join!(asking, server.handshake(theirs));
            assert_eq!(serving.ok().map(|stream| stream.carries_zones()), expected);
        }
    }

    #[tokio::test]
    async fn a_handshake_octet_by_octet_has_an_end() {
        let server = server(&Authority::new().issue("ns.example"));
        let (mut ours, theirs) = connection().await;
        let dripping = async {
            // The beginning of a long record, of which little ever comes.
            for octet in [22, 3, 1, 2, 0].into_iter().chain([0; 1000]) {
                if ours.write_u8(octet).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            ended = server.handshake_within(Duration::from_millis(100), theirs) => {
                assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
            }
            () = dripping => panic!("the handshake goes on and on"),
        }
    }

    #[test]
    fn servers_are_equal_when_made_of_equal_octets() {
        let (one, other) = (Authority::new().issue("a.example"), Authority::new().issue("a.example"));
        assert_eq!(server(&one), server(&one));
        assert_ne!(server(&one), server(&other));
        assert!(Identity::new(one.chain.clone(), other.key()).is_err());
    }
}
