//! Places for connections: who gets one, who gives one up, and that none is lost.

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::daemon::{Daemon, zone};
use crate::dns::{self, SOA, ask_tcp, connect, connect_from, framed, query, rcode, read};
use crate::primary::Primary;
use crate::tcp::serving;

const TXT: u16 = 16;
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// A connection that has had an answer, and so has a place; none when it was turned away.
fn holder(daemon: &Daemon) -> Option<TcpStream> {
    let mut holder = connect(daemon.address());
    holder.write_all(&framed(&query(0, "a.test", SOA))).ok()?;
    read(&mut holder).ok()?.map(|_| holder)
}

/// Connections that have a place each.
fn holders<const N: usize>(daemon: &Daemon) -> [TcpStream; N] {
    std::array::from_fn(|_| holder(daemon).unwrap())
}

#[test]
fn one_of_the_idle_makes_room_for_a_newcomer() {
    let daemon = serving("limits: { tcp-clients: 2, tcp-idle: 60s }");
    let holders: [_; 2] = holders(&daemon);
    assert_eq!(rcode(&ask_tcp(daemon.address(), "a.test", SOA)), 0);
    let answered = holders.into_iter().filter_map(|mut holder| {
        // To write to one that was closed may fail.
        let _ = holder.write_all(&framed(&query(8, "a.test", SOA)));
        read(&mut holder).ok().flatten()
    });
    assert_eq!(answered.count(), 1, "the other goes on as if nothing had been");
}

#[test]
fn who_is_always_in_the_middle_of_a_message_keeps_nobody_out() {
    let daemon = serving("limits: { tcp-clients: 2, tcp-idle: 60s }");
    let mut holders: [_; 2] = holders(&daemon);
    // Each time the rest of a question and the first octets of the next.
    let whole = framed(&query(1, "a.test", SOA));
    let rest_and_more = [&whole[3..], &whole[..3]].concat();
    holders.iter_mut().for_each(|holder| holder.write_all(&whole[..3]).unwrap());
    let (done, until_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            while until_done.recv_timeout(Duration::from_millis(10)) == Err(RecvTimeoutError::Timeout) {
                holders.iter_mut().for_each(|holder| drop(holder.write_all(&rest_and_more)));
            }
        });
        // Gone with the answer, or with a panic.
        let _done = done;
        let mut newcomer = connect_from(STRANGER, daemon.address());
        newcomer.write_all(&framed(&query(2, "a.test", SOA))).unwrap();
        assert_eq!(dns::id(&read(&mut newcomer).unwrap().unwrap()), 2);
    });
    daemon.wait("a word about it", |daemon| daemon.log().contains("`tcp-clients` is reached"));
}

#[test]
fn a_listener_without_clients_keeps_no_place_from_another() {
    let mut daemon = Daemon::prepare("limits: { tcp-clients: 1 }", "");
    let port = daemon.address().port();
    daemon.listen = format!("\"127.0.0.1:{port}\", \"127.0.0.2:{port}\", \"[::1]:{port}\"");
    daemon.configure(&zone("a.test", Primary::start().address));
    daemon.run();
    daemon.until_loaded("a.test.");
    for host in ["127.0.0.1", "127.0.0.2", "[::1]", "127.0.0.1"] {
        let server = format!("{host}:{port}").parse().unwrap();
        assert_eq!(rcode(&ask_tcp(server, "a.test", SOA)), 0, "{host}");
    }
}

/// A question on a connection from elsewhere, and how long its answer took.
fn as_a_stranger(server: SocketAddr) -> Duration {
    let began = Instant::now();
    let mut newcomer = connect_from(STRANGER, server);
    newcomer.write_all(&framed(&query(2, "a.test", SOA))).unwrap();
    assert_eq!(dns::id(&read(&mut newcomer).unwrap().unwrap()), 2);
    began.elapsed()
}

/// Asks for twelve megabytes in single answers, and does not read them.
fn deaf(server: SocketAddr) -> TcpStream {
    let mut deaf = connect(server);
    let asked: Vec<u8> = (0..300).flat_map(|n| framed(&query(n, &format!("n{n}.a.test"), TXT))).collect();
    deaf.write_all(&asked).unwrap();
    // The first is on its way.
    deaf.peek(&mut [0]).unwrap();
    deaf
}

fn serving_bulk(extra: &str) -> Daemon {
    let daemon = Daemon::start(extra, &zone("a.test", Primary::with_bulk(300).address));
    daemon.until_loaded("a.test.");
    daemon
}

#[test]
fn who_does_not_read_makes_room_for_a_newcomer() {
    let daemon = serving_bulk("limits: { tcp-clients: 2, tcp-idle: 60s }");
    let deaf = [deaf(daemon.address()), deaf(daemon.address())];
    // They are given ten seconds when nobody wants their places.
    let took = as_a_stranger(daemon.address());
    assert!(took < Duration::from_secs(5), "{took:?}");
    drop(deaf);
}

#[test]
fn who_never_reads_is_closed_though_nobody_wants_the_place() {
    let daemon = serving_bulk("limits: { tcp-idle: 60s }");
    let mut deaf = deaf(daemon.address());
    let began = Instant::now();
    while deaf.write_all(&framed(&query(1, "a.test", SOA))).is_ok() {
        assert!(began.elapsed() < dns::PATIENCE, "it is waited for");
        thread::sleep(Duration::from_millis(50));
    }
    assert!(began.elapsed() > Duration::from_secs(4), "it might have read on: {:?}", began.elapsed());
}

/// With a listener for TLS beside the other; the address of that.
fn serving_tls(extra: &str) -> (Daemon, SocketAddr) {
    let mut daemon =
        Daemon::prepare(&format!("{extra}\ntls: {{ cert-file: cert.pem, key-file: key.pem }}"), "");
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(["ns.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    let write = |file: &str, text: String| {
        use std::os::unix::fs::PermissionsExt;
        let path = daemon.folder.path().join(file);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    };
    write("cert.pem", certificate.pem());
    write("key.pem", key.serialize_pem());
    let (clear, tls) = (daemon.address(), SocketAddr::from(([127, 0, 0, 3], daemon.address().port())));
    daemon.listen = format!("\"{clear}\", {{ address: \"{tls}\", transport: tls }}");
    daemon.configure(&zone("a.test", Primary::start().address));
    daemon.run();
    daemon.until_loaded("a.test.");
    (daemon, tls)
}

#[test]
fn a_handshake_that_goes_nowhere_makes_room_for_a_newcomer() {
    let (daemon, tls) = serving_tls("limits: { tcp-clients: 1, tcp-idle: 60s }");
    let stalled = connect(tls);
    // A handshake is given five seconds when nobody wants its place.
    for _ in 0..3 {
        let took = as_a_stranger(daemon.address());
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
    drop(stalled);
}

#[test]
fn handshakes_that_go_nowhere_take_no_places_of_those_without() {
    let (daemon, tls) = serving_tls("limits: { tcp-clients: 8, tcp-idle: 60s }");
    let mut holders: [_; 6] = holders(&daemon);
    let stalled = [(); 8].map(|()| connect_from(STRANGER, tls));
    // Time enough to be asked to leave.
    thread::sleep(Duration::from_millis(500));
    assert_eq!(holders.iter_mut().filter_map(ask_once_more).count(), 6);
    daemon.wait("a word about it", |daemon| daemon.log().contains("in the midst of their handshakes"));
    drop(stalled);
}

/// What is answered on a connection, if that is still there.
fn ask_once_more(holder: &mut TcpStream) -> Option<Vec<u8>> {
    // To write to one that was closed may fail.
    let _ = holder.write_all(&framed(&query(8, "a.test", SOA)));
    read(holder).ok().flatten()
}

/// Ends with a reset, and so leaves nothing behind.
fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

#[test]
fn whatever_becomes_of_a_connection_its_place_is_given_back() {
    let (daemon, tls) = serving_tls("limits: { tcp-clients: 4, tcp-idle: 60s }");
    let question = framed(&query(1, "a.test", SOA));
    // Of so many some are turned away before they have said anything.
    let say = |stream: &mut TcpStream, octets: &[u8]| drop(stream.write_all(octets));
    for n in 0..1000 {
        // Before anything, in the midst of a message, with answers under way.
        reset(connect(daemon.address()));
        let mut part = connect(daemon.address());
        say(&mut part, &question[..n % question.len()]);
        reset(part);
        let mut answered = connect(daemon.address());
        say(&mut answered, &question.repeat(n % 20));
        reset(answered);
        // Before a handshake, in the midst of it, and instead of it.
        reset(connect(tls));
        let mut hello = connect(tls);
        say(&mut hello, &[22, 3, 1, 2, 0, 1]);
        reset(hello);
        let mut wrong = connect(tls);
        say(&mut wrong, b"GET / HTTP/1.1\r\n\r\n");
    }
    // A place that is lost would cost one of them its own, however often it is tried.
    daemon.wait("as many at once as there are places", |daemon| {
        let holders: Option<Vec<_>> = (0..4).map(|_| holder(daemon)).collect();
        holders.is_some_and(|mut holders| holders.iter_mut().filter_map(ask_once_more).count() == 4)
    });
}

#[test]
fn a_handshake_that_hangs_gives_its_place_back() {
    let (daemon, tls) = serving_tls("limits: { tcp-clients: 2, tcp-idle: 60s }");
    let mut hanging = connect(tls);
    let began = Instant::now();
    match std::io::Read::read(&mut hanging, &mut [0; 100]) {
        Ok(0) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        other => panic!("{other:?}"),
    }
    assert!(began.elapsed() < Duration::from_secs(20));
    let mut holders: [_; 2] = holders(&daemon);
    assert_eq!(holders.iter_mut().filter_map(ask_once_more).count(), 2);
}
