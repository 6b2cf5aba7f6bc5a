//! A scripted primary on a loopback port, UDP and TCP.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secondo_tsig::Key;
use secondo_wire::{Name, Serial};
use secondo_zone::Zone;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::change::{Change, ChangeError};
use crate::deliver::{Delivery, Then};
use crate::diary::{Asked, Over};
use crate::notify::{Notified, NotifyError, notify, unix_now};
use crate::script::Script;
use crate::world::World;

/// Connections at once; more wait in the backlog.
const CONNECTIONS: usize = 256;
/// A connection on which nothing is asked ends.
const IDLE: Duration = Duration::from_secs(30);
/// Ports below those that systems hand out by themselves, so that ours is still free when a dead primary comes back.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// Ports tried before there is none.
const TRIES: usize = 200;

/// How a primary begins.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Where it listens: a loopback address; the port is chosen.
    pub address: IpAddr,
    /// Keys that a transfer needs one of; the first signs NOTIFY. None: everybody may transfer.
    pub keys: Vec<Key>,
    /// Who is notified.
    pub secondaries: Vec<SocketAddr>,
    /// How often a NOTIFY is sent, and how long an answer is waited for each time (RFC 1996 §3.6).
    pub notify_tries: u32,
    /// See [`Setup::notify_tries`].
    pub notify_wait: Duration,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            address: Ipv4Addr::LOCALHOST.into(),
            keys: Vec::new(),
            secondaries: Vec::new(),
            notify_tries: 5,
            notify_wait: Duration::from_secs(1),
        }
    }
}

/// A running primary; it ends when dropped. Its methods block and belong on a thread without a runtime.
pub struct Primary {
    world: Arc<Mutex<World>>,
    setup: Mutex<Setup>,
    address: SocketAddr,
    /// Empty while it is dead.
    tasks: Mutex<JoinSet<()>>,
    /// One permit for each connection that is not open.
    places: Arc<Semaphore>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Primary {
    /// Starts to serve `zones` on a free port.
    pub fn start(zones: impl IntoIterator<Item = Zone>, setup: Setup) -> io::Result<Primary> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (udp, tcp) = runtime.block_on(bind_anywhere(setup.address))?;
        let mut world = World::new(zones);
        world.require(&setup.keys);
        let primary = Primary {
            world: Arc::new(Mutex::new(world)),
            setup: Mutex::new(setup),
            address: udp.local_addr()?,
            tasks: Mutex::new(JoinSet::new()),
            places: Arc::new(Semaphore::new(CONNECTIONS)),
            runtime: Some(runtime),
        };
        primary.serve(udp, tcp);
        Ok(primary)
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether a client keeps a connection open.
    pub fn is_connected(&self) -> bool {
        self.places.available_permits() < CONNECTIONS
    }

    /// Its world, to be changed while it runs.
    pub fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    /// The newest version of a zone.
    pub fn zone(&self, apex: &Name) -> Option<Zone> {
        self.world().zone(apex).cloned()
    }

    /// The serial of the newest version of a zone.
    pub fn serial(&self, apex: &Name) -> Option<Serial> {
        self.world().zone(apex).map(|zone| zone.serial())
    }

    /// Makes the next version of a zone from `-` and `+` lines; tells nobody.
    pub fn change(&self, apex: &Name, lines: &str) -> Result<Serial, ChangeError> {
        let change = Change::parse(lines, apex)?;
        let mut world = self.world();
        world.change(apex, &change)?;
        world.zone(apex).map(|zone| zone.serial()).ok_or_else(|| ChangeError::NoZone(apex.clone()))
    }

    /// From now on transfers need one of these keys, and the first signs NOTIFY; none: everybody may.
    pub fn require(&self, keys: &[Key]) {
        lock(&self.setup).keys = keys.to_vec();
        self.world().require(keys);
    }

    /// From now on lies by this script; [`Script::honest`] ends it.
    pub fn follow(&self, script: Script) {
        self.world().follow(script);
    }

    /// From now on notifies these.
    pub fn tell(&self, secondaries: &[SocketAddr]) {
        lock(&self.setup).secondaries = secondaries.to_vec();
    }

    /// What it was asked, the newest last.
    pub fn asked(&self) -> Vec<Asked> {
        self.world().asked()
    }

    /// Notifies all secondaries of a zone's newest version and waits for their answers; the first failure ends it.
    pub fn notify(&self, apex: &Name) -> Result<Vec<Notified>, NotifyError> {
        let zone = self.zone(apex).ok_or(NotifyError::NoZone)?;
        let setup = lock(&self.setup).clone();
        let (tries, wait) = (setup.notify_tries, setup.notify_wait);
        self.runtime().block_on(async {
            let mut answers = Vec::new();
            for &secondary in &setup.secondaries {
                let key = setup.keys.first().cloned();
                answers.push(notify(zone.clone(), key, secondary, tries, wait).await?);
            }
            Ok(answers)
        })
    }

    /// Closes all sockets: from now on the port is shut.
    pub fn die(&self) {
        let mut tasks = std::mem::take(&mut *lock(&self.tasks));
        self.runtime().block_on(tasks.shutdown());
    }

    /// Comes back on the same port.
    pub fn revive(&self) -> io::Result<()> {
        self.world().shut(&[]);
        self.reopen()
    }

    /// Listens where its world is open (see [`World::shut`]), and nowhere else.
    pub fn reopen(&self) -> io::Result<()> {
        self.die();
        let address = self.address;
        // One guard at a time.
        let open = |over| self.world().is_open(over);
        let udp = open(Over::Udp);
        let tcp = open(Over::Tcp);
        let world = || Arc::clone(&self.world);
        let (runtime, mut tasks) = (self.runtime(), lock(&self.tasks));
        if udp {
            let socket = runtime.block_on(UdpSocket::bind(address))?;
            tasks.spawn_on(serve_udp(socket, world()), runtime.handle());
        }
        if tcp {
            let listener = runtime.block_on(async { TcpListener::bind(address).await })?;
            tasks.spawn_on(serve_tcp(listener, world(), Arc::clone(&self.places)), runtime.handle());
        }
        Ok(())
    }

    fn serve(&self, udp: UdpSocket, tcp: TcpListener) {
        let mut tasks = lock(&self.tasks);
        let runtime = self.runtime().handle();
        tasks.spawn_on(serve_udp(udp, Arc::clone(&self.world)), runtime);
        tasks.spawn_on(serve_tcp(tcp, Arc::clone(&self.world), Arc::clone(&self.places)), runtime);
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it is there until the primary is dropped")
    }
}

impl Drop for Primary {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A poisoned lock holds what was there before the panic; that is good enough for a script.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn bind(address: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let tcp = TcpListener::bind(address).await?;
    Ok((UdpSocket::bind(address).await?, tcp))
}

/// A port of `address` that nobody has just now, for UDP and TCP, below those that systems hand out by themselves.
pub fn free_port(address: IpAddr) -> io::Result<u16> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..TRIES {
        let port = rand::random_range(PORTS);
        let both = std::net::TcpListener::bind((address, port))
            .and_then(|tcp| Ok((tcp, std::net::UdpSocket::bind((address, port))?)));
        match both {
            Ok(_) => return Ok(port),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Both sockets on one free port.
async fn bind_anywhere(address: IpAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..TRIES {
        match bind((address, rand::random_range(PORTS)).into()).await {
            Ok(both) => return Ok(both),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn serve_udp(socket: UdpSocket, world: Arc<Mutex<World>>) {
    let mut buffer = vec![0; secondo_wire::MAX_MESSAGE];
    loop {
        // An unreachable client shows as an error of the next call.
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else { continue };
        let delivery = lock(&world).respond(&buffer[..length], Some(client), Over::Udp, unix_now());
        if !delivery.elsewhere.is_empty()
            && let Ok(stranger) = UdpSocket::bind((client.ip(), 0)).await
        {
            for message in &delivery.elsewhere {
                let _ = stranger.send_to(message, client).await;
            }
        }
        for message in &delivery.messages {
            let _ = socket.send_to(message, client).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, world: Arc<Mutex<World>>, places: Arc<Semaphore>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = listener.accept().await;
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, client)) = accepted else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let world = Arc::clone(&world);
        connections.spawn(async move {
            // How a client leaves is its own affair.
            let _ = converse(stream, client, &world).await;
            drop(place);
        });
    }
}

/// Question after question on one connection (RFC 7766 §6.2.1).
async fn converse(mut stream: TcpStream, client: SocketAddr, world: &Mutex<World>) -> io::Result<()> {
    loop {
        let Ok(length) = tokio::time::timeout(IDLE, stream.read_u16()).await else { return Ok(()) };
        let mut request = vec![0; usize::from(length?)];
        stream.read_exact(&mut request).await?;
        let delivery = lock(world).respond(&request, Some(client), Over::Tcp, unix_now());
        send(&mut stream, &delivery).await?;
        match delivery.then {
            Then::Open => {}
            Then::Closed => return stream.shutdown().await,
            Then::Reset => return stream.set_zero_linger(),
            Then::Stalled => {
                // Whatever is asked; until the client goes.
                while stream.read_u8().await.is_ok() {}
                return Ok(());
            }
        }
    }
}

async fn send(stream: &mut TcpStream, delivery: &Delivery) -> io::Result<()> {
    let frames = delivery.frames();
    let Some(pace) = delivery.pace else {
        stream.write_all(&frames).await?;
        if let Some(refrain) = delivery.refrain() {
            loop {
                stream.write_all(&refrain).await?;
            }
        }
        return Ok(());
    };
    for octet in frames {
        stream.write_all(&[octet]).await?;
        tokio::time::sleep(pace).await;
    }
    Ok(())
}
