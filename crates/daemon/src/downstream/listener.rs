//! Accepting connections within limits; with TLS, after the handshake.

use std::io;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::connection;
use crate::event::Event;
use crate::respond::Respond;
use crate::tls::Stream;

/// Pause after an accept that failed for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// How long that is not said again.
const QUIET: Duration = Duration::from_secs(60);

/// Limits of all TCP listeners together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections at once.
    pub clients: usize,
    /// Silence after which a connection with nothing under way is closed.
    pub idle: Duration,
    /// Transfers out at once.
    pub transfers: usize,
}

/// What connections share.
pub(super) struct Shared {
    pub(super) respond: Arc<Respond>,
    pub(super) limits: Limits,
    pub(super) transfers: Arc<Semaphore>,
}

impl Shared {
    /// Makes a connection what its listener promises.
    async fn open(&self, stream: TcpStream, tls: bool) -> io::Result<Stream> {
        if !tls {
            return Ok(Stream::Tcp(stream));
        }
        // A listener with TLS is configured together with who we are.
        let server = self.respond.tls.load_full().ok_or(io::ErrorKind::NotFound)?;
        server.handshake(stream).await
    }
}

/// All TCP listeners.
pub(crate) struct TcpRoom {
    shared: Arc<Shared>,
    clients: Arc<Semaphore>,
}

impl TcpRoom {
    /// Answers with `respond`.
    pub(crate) fn new(respond: Arc<Respond>, limits: Limits) -> TcpRoom {
        let transfers = Arc::new(Semaphore::new(limits.transfers.clamp(1, Semaphore::MAX_PERMITS)));
        let clients = Arc::new(Semaphore::new(limits.clients.clamp(1, Semaphore::MAX_PERMITS)));
        TcpRoom { shared: Arc::new(Shared { respond, limits, transfers }), clients }
    }

    /// Accepts connections for ever, clear or with TLS. When all places are taken, new ones wait in the kernel's queue.
    pub(crate) async fn accept(&self, listener: StdListener, tls: bool) -> std::io::Result<()> {
        let listener = TcpListener::from_std(listener)?;
        let mut quiet_until = Instant::now();
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    say_waiting(&mut quiet_until, &error.to_string());
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            if self.clients.available_permits() == 0 {
                say_waiting(&mut quiet_until, "`tcp-clients` is reached");
            }
            // Only now: a listener that nobody connects to must not keep a place from the others.
            let Ok(place) = Arc::clone(&self.clients).acquire_owned().await else { return Ok(()) };
            let shared = Arc::clone(&self.shared);
            tokio::spawn(async move {
                // A handshake has its place like all else that follows; why one failed is of no use to anybody.
                if let Ok(stream) = shared.open(stream, tls).await {
                    connection::serve(stream, peer, shared).await;
                }
                drop(place);
            });
        }
    }
}

/// Says why connections wait, now and then.
fn say_waiting(quiet_until: &mut Instant, why: &str) {
    if Instant::now() >= *quiet_until {
        *quiet_until = Instant::now() + QUIET;
        let event = Event::new("query.limited", "TCP connections have to wait");
        Event { transport: Some("tcp"), detail: Some(why), ..event }.warn();
    }
}
