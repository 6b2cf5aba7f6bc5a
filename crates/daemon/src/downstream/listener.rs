//! Accepting connections within limits; with TLS, after the handshake.

use std::future::pending;
use std::io;
use std::net::TcpListener as StdListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle};
use tokio::sync::Semaphore;

use super::connection;
use super::places::Places;
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
    /// Where transfers are composed: they would hold up the answers of a thread.
    pub(super) aside: Handle,
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

/// All TCP listeners. Each thread has listeners and connections of its own, as with UDP: a question is taken, answered
/// and forgotten where it arrived, and nobody is woken for it.
pub(crate) struct TcpRoom {
    shared: Arc<Shared>,
    places: Arc<Places>,
    /// Until when it is not said that connections have to wait.
    quiet_until: Mutex<Instant>,
}

impl TcpRoom {
    /// Answers with `respond`, and composes transfers on the runtime of the caller.
    pub(crate) fn new(respond: Arc<Respond>, limits: Limits) -> TcpRoom {
        let transfers = Arc::new(Semaphore::new(limits.transfers.clamp(1, Semaphore::MAX_PERMITS)));
        let places = Arc::new(Places::new(limits.clients));
        let shared = Shared { respond, limits, transfers, aside: Handle::current() };
        TcpRoom { shared: Arc::new(shared), places, quiet_until: Mutex::new(Instant::now()) }
    }

    /// Serves these listeners, each clear or with TLS, on the thread of the caller, for ever.
    ///
    /// # Errors
    /// The thread cannot wait for events.
    pub(crate) fn run(self: &Arc<Self>, listeners: Vec<(StdListener, bool)>) -> io::Result<()> {
        Builder::new_current_thread().enable_all().build()?.block_on(async {
            for (listener, tls) in listeners {
                let (room, listener) = (Arc::clone(self), TcpListener::from_std(listener)?);
                tokio::spawn(async move { room.accept(listener, tls).await });
            }
            pending().await
        })
    }

    /// Accepts connections for ever, clear or with TLS. When all places are taken and nobody is idle, new ones wait in the
    /// kernel's queue.
    async fn accept(&self, listener: TcpListener, tls: bool) {
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    self.say_waiting(&error.to_string());
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            if self.places.are_taken() {
                self.say_waiting("`tcp-clients` is reached; of whoever has the most connections, the one idle longest is closed");
            }
            // Only now: a listener that nobody connects to must not keep a place from the others.
            let place = self.places.take(peer.ip()).await;
            let shared = Arc::clone(&self.shared);
            tokio::spawn(async move {
                // A handshake has its place like all else that follows; why one failed is of no use to anybody.
                if let Ok(stream) = shared.open(stream, tls).await {
                    connection::serve(stream, peer, place, shared).await;
                }
            });
        }
    }

    /// Says why connections wait, now and then.
    fn say_waiting(&self, why: &str) {
        let mut quiet_until = self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner);
        if Instant::now() >= *quiet_until {
            *quiet_until = Instant::now() + QUIET;
            let event = Event::new("query.limited", "TCP connections have to wait");
            Event { transport: Some("tcp"), detail: Some(why), ..event }.warn();
        }
    }
}
