//! `secondo run`: from a configuration to a daemon that is ready, and back to nothing.

use std::collections::HashSet;
use std::fs::DirBuilder;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::num::NonZero;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use secondo_store::{Damage, Notice, Opened, Store};
use secondo_wire::Name;
use tokio::net::UnixListener;
use tokio::sync::mpsc::unbounded_channel;

use crate::clock::Clock;
use crate::config::{self, Config, Listener};
use crate::control;
use crate::downstream::{Limits, TcpRoom};
use crate::event::{self, Event};
use crate::publish::Publisher;
use crate::respond::Respond;
use crate::scheduler::{self, Message, Parts, Scheduler, Secrets};
use crate::socket::RECEIVE_BUFFER;
use crate::udp::UdpListener;
use crate::{descriptors, signals, socket, user};

/// How long what is not configured any more is kept, when its own setting is not known any more.
const KEEP_UNKNOWN_SECONDS: u64 = 7 * 86_400;

/// Runs the daemon with the configuration at `path` until it is told to stop. Exit code 0 after a clean stop; 1 when
/// it cannot start, with the reasons on standard error.
pub fn run(path: &Path) -> ExitCode {
    let config = match config::load(path) {
        Ok(config) => config,
        Err(problems) => {
            for problem in problems {
                eprintln!("{problem}");
            }
            return ExitCode::FAILURE;
        }
    };
    let log = event::start(&config.server.log);
    event::concerns("daemon.started", &config.warnings);
    descriptors::raise();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("secondo").build();
    let ended = runtime.map_err(|error| format!("no threads: {error}")).and_then(|runtime| {
        runtime.spawn(event::Log::watch(log.lost()));
        let ended = runtime.block_on(serve(path, config));
        // Jobs under way are of no use any more; what was committed is on disk.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            Event { detail: Some(&why), ..Event::new("daemon.stopping", "the daemon cannot run") }.error();
            ExitCode::FAILURE
        }
    }
}

/// All sockets, bound before root is given up.
struct Sockets {
    udp: Vec<(SocketAddr, UdpSocket)>,
    /// Those of each thread; each with whether it speaks TLS.
    tcp: Vec<Vec<(TcpListener, bool)>>,
    control: UnixListener,
}

impl Sockets {
    fn bind(config: &Config) -> Result<Sockets, String> {
        let server = &config.server;
        let named = |address: SocketAddr| move |error: io::Error| format!("listen {address}: {error}");
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let (mut udp, mut tcp) = (Vec::new(), (0..threads).map(|_| Vec::new()).collect::<Vec<_>>());
        for &Listener { address, tls } in &server.listen {
            socket::is_free(address).map_err(named(address))?;
            for of_thread in &mut tcp {
                of_thread.push((socket::tcp_listener(address).map_err(named(address))?, tls));
            }
            let threads = if tls { 0 } else { server.limits.udp_threads.max(1) };
            for _ in 0..threads {
                udp.push((address, socket::udp_listener(address).map_err(named(address))?));
            }
        }
        let control = control::listen(&server.control)
            .map_err(|error| format!("control socket {}: {error}", server.control.display()))?;
        Ok(Sockets { udp, tcp, control })
    }

    /// Says when the system gives listeners less room for bursts than was asked for.
    fn say_room(&self) {
        let room = self.udp.iter().map(|(_, socket)| socket::receive_buffer(socket)).min();
        if let Some(room) = room.filter(|room| *room < RECEIVE_BUFFER) {
            let detail = format!(
                "{} KiB instead of {}: longer bursts of NOTIFY are lost until their senders repeat them; net.core.rmem_max is the bound",
                room >> 10,
                RECEIVE_BUFFER >> 10
            );
            let event =
                Event::new("daemon.started", "the system gives UDP listeners a smaller receive buffer");
            Event { transport: Some("udp"), detail: Some(&detail), ..event }.info();
        }
    }
}

async fn serve(path: &Path, config: Config) -> Result<(), String> {
    let server = &config.server;
    let sockets = Sockets::bind(&config)?;
    // It holds a secret. Where it cannot be made, opening the store tells why.
    let _ = DirBuilder::new().recursive(true).mode(0o700).create(&server.state_dir);
    if let Some(name) = &server.user {
        user::become_user(name, &[&server.state_dir, &server.control])
            .map_err(|why| format!("user: {why}"))?;
        // A reload reads it as this user: better to know now.
        config::load(path).map_err(|problems| {
            let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
            format!("user {name} cannot read the configuration again: {}", texts.join("; "))
        })?;
    }
    let (sender, inbox) = unbounded_channel();
    let (store, opened) = open_store(&config, &sender)?;
    let secrets = Secrets::random();
    let empty = scheduler::table([], &config, &secrets, None);
    let respond = Arc::new(Respond::new(empty, server.tls.clone()));
    let publisher = Publisher::start().map_err(|error| format!("no thread: {error}"))?;
    let control_path = server.control.clone();
    let limits = Limits {
        clients: server.limits.tcp_clients,
        idle: server.limits.tcp_idle,
        transfers: server.limits.transfers_out,
    };
    let named =
        |Listener { address, tls }: &Listener| format!("{address}{}", if *tls { " (TLS)" } else { "" });
    let listen_on: Vec<String> = server.listen.iter().map(named).collect();
    let detail = format!("{}, listening on {}", path.display(), listen_on.join(" "));
    let event = Event::new("daemon.started", concat!("secondo ", env!("CARGO_PKG_VERSION"), " started"));
    Event { detail: Some(&detail), ..event }.info();
    sockets.say_room();
    let store = Arc::new(store);
    let mut scheduler = Scheduler::new(Parts {
        path: path.into(),
        respond: Arc::clone(&respond),
        store: Arc::clone(&store),
        secret: opened.secret,
        secrets,
        clock: Clock::new(),
        publisher,
        sender: sender.clone(),
        config,
    });
    signals::listen(&sender).map_err(|error| format!("signals: {error}"))?;
    // From here on: zones that the disk kept are answered with the first packet that is taken.
    let detail =
        format!("{} zones, {} of them from disk", scheduler.config().zones.len(), opened.restored.len());
    scheduler.populate(opened.restored);
    let tcp = listen(sockets, &respond, limits, &sender)?;
    Event { detail: Some(&detail), ..Event::new("daemon.ready", "ready") }.info();
    tell_systemd(&[sd_notify::NotifyState::Ready]);
    scheduler.run(inbox).await;
    Event::new("daemon.stopping", "stopping").info();
    tell_systemd(&[sd_notify::NotifyState::Stopping]);
    tcp.stop().await;
    respond.stop();
    // Nobody is there to say the rest in a minute.
    respond.look(u64::MAX);
    // A socket file that stays is replaced at the next start.
    let _ = std::fs::remove_file(control_path);
    // The store's writer ends with its last holder, after all that was asked of it.
    drop(store);
    Ok(())
}

fn open_store(
    config: &Config,
    sender: &tokio::sync::mpsc::UnboundedSender<Message>,
) -> Result<(Store, Opened), String> {
    let configured: HashSet<&Name> = config.zones.iter().map(|zone| &zone.name).collect();
    let notice = {
        let sender = sender.clone();
        move |notice| match notice {
            // The scheduler is gone only when the daemon stops.
            Notice::Recovered(recovered) => drop(sender.send(Message::Recovered(recovered))),
            Notice::Damaged(damage) => say_damage(&damage),
        }
    };
    let folder = &config.server.state_dir;
    let (store, mut opened) = Store::open(folder, rand::random(), |name| configured.contains(name), notice)
        .map_err(|error| error.to_string())?;
    opened.damages.iter().for_each(say_damage);
    if let Some(refused) = &opened.refused {
        let detail = format!("{}: {refused}", folder.display());
        let event =
            Event::new("zone.volatile", "the state directory cannot be written: zones live in memory alone");
        Event { detail: Some(&detail), ..event }.error();
    }
    // Of most zones there is nothing to be noted.
    let back: Vec<Name> = match opened.retired.take() {
        Some(retired) => retired.into_iter().filter(|name| configured.contains(name)).collect(),
        None => configured.iter().copied().cloned().collect(),
    };
    if !back.is_empty() {
        store.unretire(back);
    }
    let others = std::mem::take(&mut opened.others);
    store.retire(others, crate::clock::unix().saturating_add(KEEP_UNKNOWN_SECONDS));
    Ok((store, opened))
}

fn say_damage(damage: &Damage) {
    let event = Event::new("store.damaged", "damage on disk: set aside, to be fetched again");
    Event { zone: damage.zone.as_ref(), detail: Some(&damage.what), ..event }.error();
}

fn listen(
    sockets: Sockets,
    respond: &Arc<Respond>,
    limits: Limits,
    sender: &tokio::sync::mpsc::UnboundedSender<Message>,
) -> Result<Arc<TcpRoom>, String> {
    for (address, socket) in sockets.udp {
        respond.losses.watch(&socket);
        let listener = UdpListener { socket, address, respond: Arc::clone(respond) };
        let thread = thread::Builder::new().name("udp".into());
        thread.spawn(move || listener.run()).map_err(|error| format!("no thread: {error}"))?;
    }
    let room = Arc::new(TcpRoom::new(Arc::clone(respond), limits));
    for listeners in sockets.tcp {
        let room = Arc::clone(&room);
        let serving = move || {
            if let Err(error) = room.run(listeners) {
                let detail = error.to_string();
                let event = Event::new("query.limited", "a thread cannot serve TCP");
                Event { transport: Some("tcp"), detail: Some(&detail), ..event }.error();
            }
        };
        let thread = thread::Builder::new().name("tcp".into());
        thread.spawn(serving).map_err(|error| format!("no thread: {error}"))?;
    }
    let sender = sender.clone();
    let forward = move |ask| {
        // The scheduler is gone only when the daemon stops.
        let _ = sender.send(Message::Ask(ask));
    };
    tokio::spawn(control::serve(sockets.control, forward));
    Ok(room)
}

/// Without a service manager nobody listens, and that is no error.
fn tell_systemd(states: &[sd_notify::NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}
