//! Accepting connections within limits; with TLS, after the handshake.

use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::connection;
use super::farewell::{self, Farewells};
use super::places::{self, Place, Places};
use crate::event::Event;
use crate::respond::Respond;
use crate::tls::Stream;

/// Pause after an accept that failed for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// How long that is not said again.
const QUIET: Duration = Duration::from_secs(60);
/// How long what is under way may take at the end of the daemon.
const STOP: Duration = Duration::from_secs(3);
/// Of how many places one may be held by a connection that is not yet through with its handshake: whoever holds up many of those
/// keeps nobody else out.
const HANDSHAKES: usize = 4;

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

/// The most connections of clients that are open at once where so many have a place: there are those that wait for one too, with
/// TLS for their handshake before that, and those at their end.
pub(crate) fn most_connections(clients: usize, over_tls: bool) -> usize {
    clients + places::waiting(clients) * if over_tls { 2 } else { 1 } + farewell::AT_ONCE
}

/// What connections share.
pub(super) struct Shared {
    pub(super) respond: Arc<Respond>,
    pub(super) limits: Limits,
    pub(super) transfers: Arc<Semaphore>,
    /// Where transfers are composed: they would hold up the answers of a thread.
    pub(super) aside: Handle,
    /// Connections that we have ended.
    pub(super) farewells: Farewells,
}

/// All TCP listeners. Each thread has listeners and connections of its own, as with UDP: a question is taken, answered
/// and forgotten where it arrived, and nobody is woken for it.
pub(crate) struct TcpRoom {
    shared: Arc<Shared>,
    places: Arc<Places>,
    /// Those of connections that are not yet through with their handshakes, beside the others.
    handshakes: Arc<Places>,
    /// Until when it is not said that connections have to wait.
    quiet_until: Mutex<Instant>,
    is_stopping: watch::Sender<bool>,
}

impl TcpRoom {
    /// Answers with `respond`, and composes transfers on the runtime of the caller.
    pub(crate) fn new(respond: Arc<Respond>, limits: Limits) -> TcpRoom {
        let transfers = Arc::new(Semaphore::new(limits.transfers.clamp(1, Semaphore::MAX_PERMITS)));
        let shared =
            Shared { respond, limits, transfers, aside: Handle::current(), farewells: Farewells::new() };
        TcpRoom {
            shared: Arc::new(shared),
            places: Arc::new(Places::new(limits.clients, limits.clients)),
            handshakes: Arc::new(Places::new(limits.clients / HANDSHAKES, limits.clients)),
            quiet_until: Mutex::new(Instant::now()),
            is_stopping: watch::Sender::new(false),
        }
    }

    /// Serves these listeners, each clear or with TLS, on the thread of the caller, for ever; after `stop` those connections alone
    /// that have something under way.
    ///
    /// # Errors
    /// The thread cannot wait for events.
    pub(crate) fn run(self: &Arc<Self>, listeners: Vec<(StdListener, bool)>) -> io::Result<()> {
        Builder::new_current_thread().enable_all().build()?.block_on(async {
            for (listener, tls) in listeners {
                let (room, listener) = (Arc::clone(self), TcpListener::from_std(listener)?);
                let mut is_stopping = self.is_stopping.subscribe();
                tokio::spawn(async move {
                    tokio::select! {
                        () = room.accept(listener, tls) => {}
                        // The room is there as long as this runs.
                        _ = is_stopping.wait_for(|is_stopping| *is_stopping) => {}
                    }
                });
            }
            pending().await
        })
    }

    /// Lets nobody in any more, and waits until all that is under way has come to its end, for three seconds at most: then it
    /// is cut, which leaves a word about each transfer.
    pub(crate) async fn stop(&self) {
        self.is_stopping.send_replace(true);
        self.shared.transfers.close();
        self.handshakes.close();
        self.places.close();
        if timeout(STOP, self.left()).await.is_err() {
            self.places.cut();
            // What has not ended by then ends with the process.
            let _ = timeout(farewell::LINGER, self.left()).await;
        }
    }

    /// Waits, after all were asked to leave, until nobody has a place, and nobody lingers who had one before.
    async fn left(&self) {
        self.places.vacated().await;
        self.shared.farewells.over().await;
    }

    /// Accepts connections for ever, clear or with TLS. Those for whom there is no place wait, each by itself.
    async fn accept(self: &Arc<Self>, listener: TcpListener, tls: bool) {
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    self.say_waiting(&error.to_string());
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            if tls && self.handshakes.are_taken() {
                self.say_waiting("as many as may be are in the midst of their handshakes; of whoever has the most, the one that has taken longest is closed");
            } else if self.places.are_taken() {
                self.say_waiting("`tcp-clients` is reached; of whoever has the most connections, the one idle longest is closed");
            }
            let room = Arc::clone(self);
            tokio::spawn(async move {
                // Whoever gets no place, or is not through with the handshake, is closed; why that failed is of no use to anybody.
                if let Some((stream, place)) = room.welcome(stream, peer, tls).await {
                    connection::serve(stream, peer, place, Arc::clone(&room.shared)).await;
                }
            });
        }
    }

    /// Gives a connection its place, and makes it what its listener promises.
    async fn welcome(&self, stream: TcpStream, peer: SocketAddr, tls: bool) -> Option<(Stream, Place)> {
        let peer = peer.ip();
        if !tls {
            return Some((Stream::Tcp(stream), self.places.take(peer).await?));
        }
        let mut handshake = self.handshakes.take(peer).await?;
        tokio::select! {
            opened = self.shake_hands(stream, peer) => opened,
            () = handshake.is_over() => None,
        }
    }

    async fn shake_hands(&self, stream: TcpStream, peer: IpAddr) -> Option<(Stream, Place)> {
        let mut place = self.places.take(peer).await?;
        // A listener with TLS is configured together with who we are.
        let server = self.shared.respond.tls.load_full()?;
        tokio::select! {
            stream = server.handshake(stream) => Some((stream.ok()?, place)),
            () = place.is_over() => None,
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
