//! What answers say beside the zones' own data: identity, cookies, times; and how far proofs go.

use std::fs::{self, Permissions};
use std::io::Read;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::daemon::{Daemon, zone};
use crate::dns::{self, SOA, connect, edns, exchange, exchange_tcp, option, query, rcode, told};
use crate::primary::{Primary, record};

const TXT: u16 = 16;
const NSID: u16 = 3;
const EXPIRE: u16 = 9;
const COOKIE: u16 = 10;
const KEEPALIVE: u16 = 11;
const ZONEVERSION: u16 = 19;
const BADCOOKIE: u16 = 23;

fn serving(extra: &str) -> Daemon {
    let daemon = Daemon::start(extra, &zone("a.test", Primary::start().address));
    daemon.until_loaded("a.test.");
    daemon
}

/// The text that a name of class CHAOS stands for.
fn identity(server: SocketAddr, name: &str) -> Option<String> {
    let mut asked = query(1, name, TXT);
    let class = asked.len() - 1;
    asked[class] = 3;
    let answer = exchange(server, &asked);
    assert_eq!(rcode(&answer), if dns::answers(&answer) == 1 { 0 } else { 5 });
    // A pointer, type, class, TTL, length; and of the text.
    let text = answer.get(asked.len() + 13..)?;
    Some(String::from_utf8(text.to_vec()).unwrap())
}

fn nsid(server: SocketAddr) -> Option<Vec<u8>> {
    told(&exchange(server, &edns(query(1, "a.test", SOA), &option(NSID, &[]))), NSID).1
}

#[test]
fn the_identity_is_told_as_configured_and_changes_with_a_reload() {
    let mut daemon = serving("identity: { id: ns2.example, nsid: two }");
    let shown = |text: &str| Some(text.to_owned());
    let server = daemon.address();
    assert_eq!(identity(server, "id.server"), shown("ns2.example"));
    assert_eq!(identity(server, "HOSTNAME.BIND"), shown("ns2.example"));
    assert_eq!((identity(server, "version.bind"), nsid(server)), (None, Some(b"two".to_vec())));
    daemon.configure_extra("identity: { version: \"0\" }", &zone("a.test", Primary::start().address));
    assert_eq!(daemon.order(&["reload"]).code, 0);
    assert_eq!(identity(server, "version.server"), shown("0"));
    assert_eq!((identity(server, "id.server"), nsid(server)), (None, None));
}

/// What a server makes of a client's cookie, and the cookie that it gives.
fn cookie(server: SocketAddr, presented: &[u8]) -> (u16, Vec<u8>) {
    // No question: then what the cookie is worth is all that is told (RFC 7873 §5.4).
    let bare = vec![0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let (rcode, cookie) = told(&exchange(server, &edns(bare, &option(COOKIE, presented))), COOKIE);
    (rcode, cookie.unwrap_or_default())
}

#[test]
fn cookies_stay_good_over_reloads_and_over_a_roll_of_their_secret() {
    let [old, new] = ["000102030405060708090a0b0c0d0e0f\n", "ffeeddccbbaa99887766554433221100\n"];
    let zones = zone("a.test", Primary::start().address);
    let mut daemon = serving("");
    let server = daemon.address();
    let (_, random) = cookie(server, b"clientck");
    assert_eq!((random.len(), &random[..8]), (24, &b"clientck"[..]));
    assert_eq!(daemon.order(&["reload"]).code, 0);
    assert_eq!(cookie(server, &random), (0, random.clone()), "the secret made at start stays");
    assert_eq!(cookie(server, &random[..9]).0, 1, "FORMERR");
    let answer = exchange(server, &edns(query(1, "a.test", SOA), &option(COOKIE, &random)));
    assert_eq!((told(&answer, COOKIE), dns::answers(&answer)), ((0, Some(random.clone())), 1));
    // From a file, then with the next secret beside it, then with that alone.
    let file = daemon.folder.path().join("cookies");
    let mut roll = |secrets: &[&str]| {
        fs::write(&file, secrets.concat()).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        daemon.configure_extra("cookies: { secret-file: cookies }", &zones);
        assert_eq!(daemon.order(&["reload"]).code, 0);
    };
    roll(&[old, new]);
    assert_eq!(cookie(server, &random).0, BADCOOKIE);
    let (_, first) = cookie(server, b"clientck");
    roll(&[new, old]);
    let (rcode, second) = cookie(server, &first);
    assert!(rcode == 0 && second != first, "good still, and made anew");
    roll(&[new]);
    assert_eq!((cookie(server, &first).0, cookie(server, &second)), (BADCOOKIE, (0, second.clone())));
    // A file that all may read leaves the running configuration in force.
    fs::set_permissions(daemon.folder.path().join("cookies"), Permissions::from_mode(0o644)).unwrap();
    assert_eq!(daemon.order(&["reload"]).code, 1);
    assert_eq!(cookie(server, &second).0, 0);
}

#[test]
fn the_idle_time_is_told_over_tcp_and_kept() {
    let daemon = serving("limits: { tcp-idle: 700ms }");
    let asked = edns(query(1, "a.test", SOA), &option(KEEPALIVE, &[]));
    assert_eq!(told(&exchange_tcp(daemon.address(), &asked), KEEPALIVE), (0, Some(vec![0, 7])));
    assert_eq!(told(&exchange(daemon.address(), &asked), KEEPALIVE), (0, None));
    let wrong = edns(query(1, "a.test", SOA), &option(KEEPALIVE, &[0, 9]));
    assert_eq!(told(&exchange_tcp(daemon.address(), &wrong), KEEPALIVE), (1, None), "FORMERR");
    let mut stream = connect(daemon.address());
    std::io::Write::write_all(&mut stream, &dns::framed(&asked)).unwrap();
    dns::read(&mut stream).unwrap().unwrap();
    let began = Instant::now();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    assert!(began.elapsed() > Duration::from_millis(500));
}

#[test]
fn the_zones_version_and_its_time_to_expiry_are_told() {
    let daemon = serving("");
    let asked = edns(query(1, "a.test", SOA), &[option(EXPIRE, &[]), option(ZONEVERSION, &[])].concat());
    for answer in [exchange(daemon.address(), &asked), exchange_tcp(daemon.address(), &asked)] {
        assert_eq!(told(&answer, ZONEVERSION), (0, Some(vec![2, 0, 0, 0, 0, 1])));
        let (_, expire) = told(&answer, EXPIRE);
        let seconds = u32::from_be_bytes(expire.unwrap().try_into().unwrap());
        assert!((86_000..=86_400).contains(&seconds), "{seconds}");
    }
}

/// Sends a query so many times from ports of a host and takes what comes back: answers with data, those that say to come
/// over TCP, and how long it took.
fn flood(server: SocketAddr, from: &str, query: &[u8], times: usize) -> (usize, usize, Duration) {
    let ports: Vec<UdpSocket> = (0..10).map(|_| UdpSocket::bind((from, 0)).unwrap()).collect();
    for port in &ports {
        port.connect(server).unwrap();
        port.set_nonblocking(true).unwrap();
    }
    let began = Instant::now();
    for n in 0..times {
        ports[n % ports.len()].send(query).unwrap();
    }
    let (mut whole, mut cut, mut last) = (0, 0, Instant::now());
    while whole + cut < times && last.elapsed() < Duration::from_millis(500) {
        for port in &ports {
            let mut answer = [0; 1500];
            if port.recv(&mut answer).is_ok() {
                let truncated = answer[2] & 2 > 0;
                assert_eq!(dns::answers(&answer), u16::from(!truncated));
                *(if truncated { &mut cut } else { &mut whole }) += 1;
                last = Instant::now();
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
    (whole, cut, last - began)
}

#[test]
fn answers_that_are_alike_are_limited_over_all_threads_for_those_whom_nothing_vouches_for() {
    let limit = "limits: { udp-threads: 3 }\nrate-limit: { responses-per-second: 5, exempt: [127.0.0.9] }";
    let mut daemon = serving(limit);
    let (server, asked) = (daemon.address(), query(1, "a.test", SOA));
    let cookie = cookie(server, b"clientck").1;
    let limited = |daemon: &Daemon| {
        let status: Value = serde_json::from_str(&daemon.order(&["status", "--json"]).out).unwrap();
        status["limited"].clone()
    };
    assert_eq!(limited(&daemon), json!({ "dropped": 0, "slipped": 0, "last_ago": null, "began_ago": null }));
    let (whole, cut, took) = flood(server, "127.0.0.1", &asked, 200);
    let most = 5 + (5.0 * took.as_secs_f64()).ceil() as usize;
    assert!((5..=most).contains(&whole), "{whole} in {took:?}");
    // Of those beyond, every second one says to come over TCP.
    assert_eq!(cut, (200 - whole) / 2);
    let counted = limited(&daemon);
    assert_eq!(counted["dropped"], 200 - whole - cut, "{counted}");
    assert!(counted["slipped"] == cut && counted["began_ago"].is_f64(), "{counted}");
    let ended = daemon.order(&["status", "--problems"]);
    let line = format!("rate limit: {} answers dropped, {cut} cut short since the start;", 200 - whole - cut);
    assert!(ended.code == 0 && ended.out.contains(&line), "a flood is no problem: {ended:?}");
    let with_cookie = edns(asked.clone(), &option(COOKIE, &cookie));
    assert_eq!(flood(server, "127.0.0.1", &with_cookie, 50).0, 50);
    assert_eq!(flood(server, "127.0.0.9", &asked, 50).0, 50);
    for _ in 0..20 {
        assert_eq!(dns::answers(&exchange_tcp(server, &asked)), 1);
    }
    // Said once a minute, with the range and what became of its answers.
    let limited_in = |daemon: &Daemon| {
        daemon.events().into_iter().filter(|event| event["event"] == "query.limited").collect::<Vec<_>>()
    };
    daemon.wait("a word about it", |daemon| !limited_in(daemon).is_empty());
    assert!(flood(server, "127.0.0.1", &asked, 50).0 < 50);
    let said = limited_in(&daemon);
    assert_eq!(said.len(), 1);
    let detail = said[0]["detail"].as_str().unwrap();
    assert!(detail.contains("since this was last said, to 1 range at least (127.0.0.0/24)"), "{detail}");
    // A reload changes it.
    daemon.configure_extra("", &zone("a.test", Primary::start().address));
    let ended = daemon.order(&["reload"]);
    assert!(ended.code == 0 && ended.out.contains("`rate-limit` changed\n"), "{ended:?}");
    assert!(daemon.log().contains("1 changed, `rate-limit` changed"), "{}", daemon.log());
    assert_eq!(flood(server, "127.0.0.1", &asked, 50).0, 50);
    assert_eq!(limited(&daemon), Value::Null);
    // What came since it was said is said at the end.
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.ended().0.success());
    assert_eq!(limited_in(&daemon).len(), 2);
}

/// RFC 4648 §7.
fn from_base32(text: &str) -> Vec<u8> {
    let digits = text.chars().map(|digit| digit.to_digit(32).unwrap());
    let bits: Vec<u32> = digits.flat_map(|digit| (0..5).rev().map(move |bit| digit >> bit & 1)).collect();
    bits.chunks(8).map(|octet| octet.iter().fold(0, |octet, bit| octet << 1 | *bit as u8)).collect()
}

#[test]
fn chains_of_more_iterations_than_configured_prove_nothing() {
    // Hashed with one extra iteration and no salt (RFC 5155 §5): a.test, n0.a.test.
    let (apex, node) = ("l5frdvsq4egv9b8avfud2krtc5vrp8co", "if69dftt44ojgjmqf6tf0v8qf6davg91");
    let mut more = vec![
        record(&dns::name("a.test"), 51, &[1, 0, 0, 1, 0]),
        record(&dns::name("n0.a.test"), 1, &[192, 0, 2, 1]),
    ];
    for (label, next) in [(apex, node), (node, apex)] {
        let rdata = [&[1, 0, 0, 1, 0, 20][..], &from_base32(next), &[0, 1, 0x40]].concat();
        more.push(record(&dns::name(&format!("{label}.a.test")), 50, &rdata));
    }
    let primary = Primary::with_records(more);
    let flawed = |event: &Value| event["event"] == "query.limited" && event["zone"] == "a.test.";
    let proofs = |extra: &str| {
        let daemon = Daemon::start(extra, &zone("a.test", primary.address));
        daemon.until_loaded("a.test.");
        let answer = exchange(daemon.address(), &edns(query(1, "e.a.test", 1), &[]));
        assert_eq!(rcode(&answer), 3);
        // That there is less than was asked for is said, over UDP as over TCP, and shown; nothing else is.
        if extra.ends_with("0 }") {
            daemon.wait("a word about it", |daemon| daemon.events().iter().any(flawed));
            exchange_tcp(daemon.address(), &edns(query(1, "e.a.test", 1), &[]));
            let status = daemon.order(&["status"]).out;
            assert!(status.contains("2 without it because the zone's NSEC3 chain"), "{status}");
        } else {
            assert!(!daemon.order(&["status"]).out.contains("answers-flawed"));
        }
        // The SOA, the proof of the closest encloser and that of the next closer name.
        u16::from_be_bytes([answer[8], answer[9]]) - 1
    };
    assert_eq!(proofs(""), 2);
    assert_eq!(proofs("limits: { nsec3-iterations: 1 }"), 2);
    // One record tells how many iterations there are (RFC 9276 §3.2).
    assert_eq!(proofs("limits: { nsec3-iterations: 0 }"), 1);
}
