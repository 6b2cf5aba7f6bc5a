//! TLS towards a primary.

use std::cell::Cell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::ServerName;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, SignatureScheme};
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
    /// For people: where the authorities were read from. What it held is in the fingerprint.
    authorities: Option<Arc<Path>>,
    fingerprint: Fingerprint,
}

impl PartialEq for TlsClient {
    fn eq(&self, other: &TlsClient) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for TlsClient {}

impl Hash for TlsClient {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fingerprint.0.hash(state);
    }
}

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
            None => builder.with_client_cert_resolver(Arc::new(Nobody)),
        };
        config.alpn_protocols = vec![DOT.to_vec()];
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Ok(TlsClient { config: Arc::new(config), name, authorities: None, fingerprint })
    }

    /// The same; its authorities were read from that file.
    #[must_use]
    pub fn with_authorities_of(self, file: &Path) -> TlsClient {
        TlsClient { authorities: Some(file.into()), ..self }
    }

    /// Where its authorities were read from, if it has any and that was told.
    pub fn authorities(&self) -> Option<&Path> {
        self.authorities.as_deref()
    }

    /// The name that it expects.
    pub fn name(&self) -> Option<String> {
        self.name.as_ref().map(|name| name.to_str().into_owned())
    }

    /// The handshake with a primary at `address`, on a connection that was just made. With it, whether the primary asked
    /// who we are and was told nothing: then it may still not want us (RFC 8446 §4.4.2.4), and not all say so.
    pub(crate) async fn handshake(
        &self,
        stream: TcpStream,
        address: IpAddr,
    ) -> Result<(Stream, bool), Fault> {
        self.handshake_within(HANDSHAKE, stream, address).await
    }

    async fn handshake_within(
        &self,
        limit: Duration,
        stream: TcpStream,
        address: IpAddr,
    ) -> Result<(Stream, bool), Fault> {
        let name = self.name.clone().unwrap_or_else(|| ServerName::from(address));
        let connecting = TlsConnector::from(Arc::clone(&self.config)).connect(name, stream);
        let connecting = ASKED_FOR.scope(Cell::new(false), async {
            connecting.await.map(|stream| (stream, ASKED_FOR.with(Cell::get)))
        });
        let (stream, unintroduced) = match timeout(limit, connecting).await {
            Ok(Ok(made)) => made,
            Ok(Err(error)) => return Err(failed(&error)),
            Err(_) => {
                let detail = format!("no TLS handshake within {} s", limit.as_secs());
                return Err(Fault::new(Reason::Timeout, detail));
            }
        };
        // RFC 9103 §7.1: the token must be chosen. A server that knows no tokens at all goes on without a word.
        if stream.get_ref().1.alpn_protocol() != Some(DOT) {
            return Err(Fault::new(Reason::TlsAlpn, "the primary chose no ALPN token, expected `dot`"));
        }
        Ok((Stream::Tls(Box::new(TlsStream::Client(stream))), unintroduced))
    }
}

tokio::task_local! {
    /// The server of the handshake under way asked for a certificate that we do not have. One configuration serves many
    /// connections: with another for each, no session would be resumed.
    static ASKED_FOR: Cell<bool>;
}

/// We, when we have no certificate; notes who asks for one.
#[derive(Debug)]
struct Nobody;

impl ResolvesClientCert for Nobody {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        // All handshakes are within its scope; outside of it nobody wants to know.
        let _ = ASKED_FOR.try_with(|asked| asked.set(true));
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

fn failed(error: &io::Error) -> Fault {
    match fault(error) {
        Some(fault) if fault.reason.is_tls() => fault,
        // Some say nothing to those who speak what they do not.
        _ if error.kind() == io::ErrorKind::UnexpectedEof => Fault::new(
            Reason::TlsHandshake,
            "the primary closed the connection in the TLS handshake without a word, as those do that have no TLS 1.3 \
             (RFC 9103 §7.2) or no TLS at all",
        ),
        _ => Fault::new(Reason::TlsHandshake, format!("the connection ended in the TLS handshake: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use rustls::ServerConfig;
    use rustls::server::WebPkiClientVerifier;
    use secondo_wire::Class;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::tls::testing::{Authority, Issued, connection, name};

    /// A server with that certificate that offers these tokens, and lets nobody in whom `clients` did not vouch for.
    fn server(issued: &Issued, tokens: &[&[u8]], clients: Option<&Authority>) -> Arc<ServerConfig> {
        let builder =
            ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let builder = match clients {
            Some(authority) => {
                let Ok(Trust::Authorities(roots)) =
                    Trust::authorities(std::slice::from_ref(&authority.certificate))
                else {
                    panic!("an authority is one");
                };
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots, provider()).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(issued.chain.clone(), issued.key()).unwrap();
        config.alpn_protocols = tokens.iter().map(|token| token.to_vec()).collect();
        Arc::new(config)
    }

    /// What the client makes of that server, and then of its first octet.
    async fn meets(client: &TlsClient, server: Arc<ServerConfig>) -> Result<u8, Fault> {
        let (ours, theirs) = connection().await;
        let serving = async {
            let mut stream = tokio_rustls::TlsAcceptor::from(server).accept(theirs).await?;
            stream.write_all(b"!").await?;
            stream.shutdown().await
        };
        let asking = async {
            let (mut stream, _) = client.handshake(ours, Ipv4Addr::LOCALHOST.into()).await?;
            stream.read_u8().await.map_err(|error| fault(&error).expect("an error of TLS"))
        };
        tokio::join!(asking, serving).0
    }

    async fn reason(client: &TlsClient, server: Arc<ServerConfig>) -> Reason {
        meets(client, server).await.unwrap_err().reason
    }

    fn strict(authority: &Authority, expected: &str) -> TlsClient {
        let trust = Trust::authorities(std::slice::from_ref(&authority.certificate)).unwrap();
        TlsClient::new(&trust, name(expected), None).unwrap()
    }

    fn pinned(pins: &[super::super::Pin]) -> TlsClient {
        TlsClient::new(&Trust::Pins(pins.to_vec()), None, None).unwrap()
    }

    #[tokio::test]
    async fn strict_takes_the_right_name_of_a_known_authority_in_its_time_and_nothing_else() {
        let (authority, stranger) = (Authority::new(), Authority::new());
        let dot = |issued: &Issued| server(issued, &[DOT], None);
        let good = authority.issue("ns.example");
        let client = strict(&authority, "ns.example");
        assert_eq!(meets(&client, dot(&good)).await.unwrap(), b'!');
        let wrong = meets(&client, dot(&authority.issue("other.example"))).await.unwrap_err();
        assert_eq!(wrong.reason, Reason::TlsWrongName);
        let both = ["ns.example", "other.example"];
        assert!(both.iter().all(|name| wrong.detail.contains(name)), "both names are told: {}", wrong.detail);
        let ended = meets(&client, dot(&authority.issue_until("ns.example", 2020))).await.unwrap_err();
        assert_eq!(ended.reason, Reason::TlsExpired);
        let when = "the primary's certificate ended 2020-01-01 00:00:00 UTC; here it is 20";
        assert!(ended.detail.starts_with(when), "{}", ended.detail);
        assert_eq!(reason(&client, dot(&stranger.issue("ns.example"))).await, Reason::TlsUntrusted);
        assert_eq!(reason(&strict(&stranger, "ns.example"), dot(&good)).await, Reason::TlsUntrusted);
        // An address in the certificate is as good as a name.
        let by_address = strict(&authority, "127.0.0.1");
        assert!(meets(&by_address, dot(&authority.issue("127.0.0.1"))).await.is_ok());
        assert_eq!(reason(&by_address, dot(&good)).await, Reason::TlsWrongName);
    }

    #[tokio::test]
    async fn a_certificate_that_vouches_for_itself_is_told_as_such_with_its_pin() {
        let stranger = Authority::new().issue("ns.example");
        for (own, words) in [
            (
                Issued::by_itself("ns.example", true),
                "is signed by itself, and marked as an authority's (CA:TRUE)",
            ),
            (Issued::by_itself("ns.example", false), "is signed by itself; its key"),
            (stranger, "is signed by none of the authorities; its key"),
        ] {
            // What is marked as an authority's is no server's even where it is trusted as an authority.
            let trusted = Trust::authorities(&own.chain[..]);
            let trust = match words.contains("CA:TRUE") {
                true => trusted.unwrap(),
                false => Trust::authorities(&[Authority::new().certificate]).unwrap(),
            };
            let client = TlsClient::new(&trust, name("ns.example"), None).unwrap();
            let fault = meets(&client, server(&own, &[DOT], None)).await.unwrap_err();
            assert_eq!(fault.reason, Reason::TlsUntrusted);
            use base64::Engine as _;
            let pin = base64::engine::general_purpose::STANDARD.encode(own.pin);
            assert!(fault.detail.contains(words) && fault.detail.ends_with(&pin), "{}", fault.detail);
        }
    }

    #[tokio::test]
    async fn a_pin_is_all_that_counts_where_there_are_pins() {
        let (own, other) =
            (Authority::new().issue_until("x.example", 2020), Authority::new().issue("x.example"));
        let dot = |issued: &Issued| server(issued, &[DOT], None);
        assert!(meets(&pinned(&[own.pin]), dot(&own)).await.is_ok());
        assert!(meets(&pinned(&[[0; 32], own.pin]), dot(&own)).await.is_ok());
        let fault = meets(&pinned(&[own.pin]), dot(&other)).await.unwrap_err();
        assert_eq!(fault.reason, Reason::TlsPinMismatch);
        use base64::Engine as _;
        let found = base64::engine::general_purpose::STANDARD.encode(other.pin);
        assert!(fault.detail.contains(&found), "the pin found is told: {}", fault.detail);
    }

    #[tokio::test]
    async fn whoever_has_a_pinned_certificate_without_its_key_is_not_taken() {
        let (own, thief) = (Authority::new().issue("x.example"), Authority::new().issue("x.example"));
        // Nobody builds such a server by accident: the library is told not to look.
        let key = provider().key_provider.load_private_key(thief.key()).unwrap();
        let stolen = CertifiedKey::new(own.chain.clone(), key);
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(stolen)));
        config.alpn_protocols = vec![DOT.to_vec()];
        let config = Arc::new(config);
        assert_eq!(reason(&pinned(&[own.pin]), Arc::clone(&config)).await.class(), Class::Seal);
        let anybody = TlsClient::new(&Trust::Anybody, None, None).unwrap();
        assert_eq!(reason(&anybody, config).await.class(), Class::Seal);
    }

    #[tokio::test]
    async fn opportunistic_takes_anybody_but_no_less_than_tls_with_the_token() {
        let client = TlsClient::new(&Trust::Anybody, None, None).unwrap();
        let anybody = Authority::new().issue_until("whoever.example", 2020);
        assert!(meets(&client, server(&anybody, &[DOT], None)).await.is_ok());
        assert_eq!(reason(&client, server(&anybody, &[], None)).await, Reason::TlsAlpn);
        assert_eq!(reason(&client, server(&anybody, &[b"h2"], None)).await, Reason::TlsAlpn);
    }

    #[tokio::test]
    async fn who_wants_to_know_us_is_shown_our_certificate() {
        let authority = Authority::new();
        let trust = Trust::Anybody;
        let dot = || server(&authority.issue("ns.example"), &[DOT], Some(&authority));
        let known = TlsClient::new(&trust, None, Some(authority.issue("us.example").identity())).unwrap();
        assert!(meets(&known, dot()).await.is_ok());
        // TLS 1.3: that we are not let in is told only when something is read.
        let nobody = TlsClient::new(&trust, None, None).unwrap();
        assert_eq!(reason(&nobody, dot()).await, Reason::TlsClientRefused);
        let stranger = Authority::new().issue("us.example").identity();
        let stranger = TlsClient::new(&trust, None, Some(stranger)).unwrap();
        assert_eq!(reason(&stranger, dot()).await, Reason::TlsClientRefused);
    }

    #[tokio::test]
    async fn a_server_that_asks_who_we_are_is_noted_for_its_connection_alone() {
        let authority = Authority::new();
        let issued = authority.issue("ns.example");
        let nobody = TlsClient::new(&Trust::Anybody, None, None).unwrap();
        let known = TlsClient::new(&Trust::Anybody, None, Some(issued.identity())).unwrap();
        for (client, clients, unintroduced) in
            [(&nobody, Some(&authority), true), (&nobody, None, false), (&known, Some(&authority), false)]
        {
            let (ours, theirs) = connection().await;
            let acceptor = tokio_rustls::TlsAcceptor::from(server(&issued, &[DOT], clients));
            let (made, _) =
                tokio::join!(client.handshake(ours, Ipv4Addr::LOCALHOST.into()), acceptor.accept(theirs));
            assert_eq!(made.unwrap().1, unintroduced);
        }
    }

    /// What the client makes of one who answers its first octets with these, and closes.
    async fn hears(answer: &[u8]) -> Fault {
        let client = TlsClient::new(&Trust::Anybody, None, None).unwrap();
        let (ours, mut theirs) = connection().await;
        let answering = async {
            let mut hello = [0; 16];
            theirs.read_exact(&mut hello).await.unwrap();
            theirs.write_all(answer).await.unwrap();
            // Its end, but no reset: what it said is still read.
            theirs.shutdown().await.unwrap();
            let _ = theirs.read_to_end(&mut Vec::new()).await;
        };
        tokio::join!(client.handshake(ours, Ipv4Addr::LOCALHOST.into()), answering).0.unwrap_err()
    }

    #[tokio::test]
    async fn who_speaks_no_tls_or_an_older_one_is_told_apart() {
        // A ServerHello of TLS 1.2, with a random, no session, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 and no extensions.
        let body = [&[3, 3][..], &[7; 32], &[0, 0xc0, 0x2f, 0]].concat();
        let hello = [&[22, 3, 3, 0, body.len() as u8 + 4, 2, 0, 0, body.len() as u8][..], &body].concat();
        for (answer, expected) in [
            (&hello[..], Reason::TlsVersion),
            // The alert protocol_version.
            (&[21, 3, 3, 0, 2, 2, 70][..], Reason::TlsVersion),
            // The alert handshake_failure.
            (&[21, 3, 3, 0, 2, 2, 40][..], Reason::TlsHandshake),
            // The alert no_application_protocol.
            (&[21, 3, 3, 0, 2, 2, 120][..], Reason::TlsAlpn),
            // A DNS message: a name server that speaks TCP.
            (&b"\x00\x0c\x16\x03\x80\x01\x00\x00\x00\x00\x00\x00\x00\x00"[..], Reason::TlsNotSpoken),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", Reason::TlsNotSpoken),
            (b"", Reason::TlsHandshake),
        ] {
            let fault = hears(answer).await;
            assert_eq!(fault.reason, expected, "{answer:?}: {}", fault.detail);
            // Whoever says nothing at all may be too old as well: BIND is silent then.
            let old = expected == Reason::TlsVersion || answer.is_empty();
            assert_eq!(fault.detail.contains("TLS 1.3"), old, "{}", fault.detail);
        }
    }

    #[tokio::test]
    async fn a_handshake_that_takes_too_long_is_given_up() {
        let client = TlsClient::new(&Trust::Anybody, None, None).unwrap();
        let (ours, theirs) = connection().await;
        let limit = Duration::from_millis(50);
        let fault = client.handshake_within(limit, ours, Ipv4Addr::LOCALHOST.into()).await.unwrap_err();
        assert_eq!(fault.reason, Reason::Timeout);
        drop(theirs);
    }

    #[tokio::test]
    async fn an_end_without_notice_is_an_error_and_one_with_notice_is_an_end() {
        let issued = Authority::new().issue("ns.example");
        for notice in [true, false] {
            let (ours, theirs) = connection().await;
            let acceptor = tokio_rustls::TlsAcceptor::from(server(&issued, &[DOT], None));
            let serving = async {
                let mut stream = acceptor.accept(theirs).await.unwrap();
                stream.write_all(b"part").await.unwrap();
                stream.flush().await.unwrap();
                if notice {
                    stream.shutdown().await.unwrap();
                } else {
                    stream.get_mut().0.shutdown().await.unwrap();
                }
                let _ = stream.get_mut().0.read_to_end(&mut Vec::new()).await;
            };
            let asking = async {
                let client = pinned(&[issued.pin]);
                let (mut stream, _) = client.handshake(ours, Ipv4Addr::LOCALHOST.into()).await.unwrap();
                let mut read = Vec::new();
                let end = stream.read_to_end(&mut read).await.map_err(|error| error.kind());
                drop(stream);
                (read, end)
            };
            let ((read, end), ()) = tokio::join!(asking, serving);
            assert_eq!(read, b"part");
            assert_eq!(end, if notice { Ok(4) } else { Err(io::ErrorKind::UnexpectedEof) });
        }
    }

    #[test]
    fn clients_are_equal_when_made_of_equal_parts() {
        let authority = Authority::new();
        let issued = authority.issue("us.example");
        let make = |expected: &str, identity: Option<&Issued>| {
            let trust = Trust::authorities(std::slice::from_ref(&authority.certificate)).unwrap();
            TlsClient::new(&trust, name(expected), identity.map(Issued::identity)).unwrap()
        };
        let client = make("a.example", Some(&issued));
        assert_eq!(client, make("a.example", Some(&issued)));
        assert_ne!(client, make("b.example", Some(&issued)));
        assert_ne!(client, make("a.example", None));
        assert_ne!(client, make("a.example", Some(&authority.issue("us.example"))));
        assert_ne!(make("a.example", None), strict(&Authority::new(), "a.example"));
        assert_ne!(pinned(&[[1; 32]]), pinned(&[[2; 32]]));
        assert!(!format!("{client:?} {:?}", issued.identity()).contains("key"));
    }
}
