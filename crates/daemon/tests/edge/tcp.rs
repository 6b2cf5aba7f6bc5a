//! TCP as RFC 7766 wants it, with clients that behave and clients that do not.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, zone};
use crate::dns::{self, SOA, ask, ask_tcp, connect, framed, query, rcode, read};
use crate::primary::Primary;

pub(crate) fn serving(extra: &str) -> Daemon {
    let daemon = Daemon::start(extra, &zone("a.test", Primary::start().address));
    daemon.until_loaded("a.test.");
    daemon
}

/// Waits for the end of a stream that sends nothing more; how long it took.
fn closed(stream: &mut TcpStream) -> Duration {
    let began = Instant::now();
    match stream.read(&mut [0]) {
        Ok(0) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        other => panic!("{other:?}"),
    }
    began.elapsed()
}

#[test]
fn queries_in_one_go_and_octet_by_octet_are_all_answered() {
    let daemon = serving("");
    let mut stream = connect(daemon.address());
    let all: Vec<u8> = (0..200).flat_map(|id| framed(&query(id, "a.test", SOA))).collect();
    stream.write_all(&all).unwrap();
    let seen: BTreeSet<u16> = (0..200).map(|_| dns::id(&read(&mut stream).unwrap().unwrap())).collect();
    assert_eq!(seen, (0..200).collect());
    stream.set_nodelay(true).unwrap();
    for octet in framed(&query(777, "a.test", SOA)) {
        stream.write_all(&[octet]).unwrap();
    }
    let answer = read(&mut stream).unwrap().unwrap();
    assert_eq!((dns::id(&answer), dns::answers(&answer)), (777, 1));
}

#[test]
fn a_client_that_ends_its_side_is_answered_and_then_closed() {
    let daemon = serving("");
    let mut stream = connect(daemon.address());
    let all: Vec<u8> = (0..50).flat_map(|id| framed(&query(id, "a.test", SOA))).collect();
    stream.write_all(&all).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    for _ in 0..50 {
        assert_eq!(rcode(&read(&mut stream).unwrap().unwrap()), 0);
    }
    assert!(read(&mut stream).unwrap().is_none());
}

#[test]
fn a_silent_client_is_closed_after_its_time_and_not_before() {
    let daemon = serving("limits: { tcp-idle: 700ms }");
    let mut stream = connect(daemon.address());
    assert_eq!(rcode(&ask_on(&mut stream)), 0);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(rcode(&ask_on(&mut stream)), 0);
    let silent = closed(&mut stream);
    assert!(silent > Duration::from_millis(500) && silent < Duration::from_secs(10), "{silent:?}");
}

fn ask_on(stream: &mut TcpStream) -> Vec<u8> {
    stream.write_all(&framed(&query(5, "a.test", SOA))).unwrap();
    read(stream).unwrap().unwrap()
}

#[test]
fn a_client_that_never_ends_a_message_is_closed() {
    let daemon = serving("limits: { tcp-idle: 60s }");
    let mut parts: Vec<TcpStream> = [&[0_u8][..], &[0, 29], &framed(&query(1, "a.test", SOA))[..20]]
        .into_iter()
        .map(|part| {
            let mut stream = connect(daemon.address());
            stream.write_all(part).unwrap();
            stream
        })
        .collect();
    for stream in &mut parts {
        assert!(closed(stream) < Duration::from_secs(20));
    }
}

#[test]
fn an_octet_now_and_then_puts_off_no_end() {
    let daemon = serving("limits: { tcp-idle: 60s }");
    let mut stream = connect(daemon.address());
    stream.set_read_timeout(Some(Duration::from_millis(600))).unwrap();
    let began = Instant::now();
    // It would take twenty seconds, none of them without an octet.
    for octet in framed(&query(1, "aaaaaaaaaaaaa.test", SOA)) {
        let is_gone = stream.write_all(&[octet]).is_err();
        match stream.read(&mut [0]) {
            _ if is_gone => return,
            Ok(0) => return,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
            Err(_) => {}
            Ok(_) => break,
        }
        assert!(began.elapsed() < Duration::from_secs(14), "it goes on and on");
    }
    panic!("the question was taken");
}

#[test]
fn who_never_asks_is_closed_before_the_time_of_those_who_did() {
    let daemon = serving("limits: { tcp-idle: 60s }");
    let mut silent = connect(daemon.address());
    let mut other = connect(daemon.address());
    ask_on(&mut other);
    let took = closed(&mut silent);
    assert!(took > Duration::from_secs(4) && took < Duration::from_secs(20), "{took:?}");
    assert_eq!(rcode(&ask_on(&mut other)), 0);
}

#[test]
fn who_sends_garbage_is_told_three_times_and_then_closed() {
    let daemon = serving("");
    let garbage = |id: u16| {
        let message = [&id.to_be_bytes()[..], &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xff]].concat();
        framed(&message)
    };
    let mut stream = connect(daemon.address());
    let question = framed(&query(9, "a.test", SOA));
    // With a question now and then it may be anybody behind one resolver.
    for _ in 0..5 {
        stream.write_all(&[garbage(1), garbage(2), question.clone()].concat()).unwrap();
        for (id, code) in [(1, 1), (2, 1), (9, 0)] {
            let answer = read(&mut stream).unwrap().unwrap();
            assert_eq!((dns::id(&answer), rcode(&answer)), (id, code));
        }
    }
    stream.write_all(&[garbage(3), garbage(4), garbage(5), question].concat()).unwrap();
    for id in 3..6 {
        assert_eq!(dns::id(&read(&mut stream).unwrap().unwrap()), id);
    }
    assert!(read(&mut stream).unwrap().is_none(), "an end, and no reset");
}

#[test]
fn questions_that_cannot_be_asked_close_no_connection_and_responses_do() {
    let daemon = serving("");
    let mut stream = connect(daemon.address());
    // Well made, and of a type that nobody is asked for (RFC 6895 §3.1).
    for id in 0..10 {
        stream.write_all(&framed(&query(id, "a.test", 0))).unwrap();
        let answer = read(&mut stream).unwrap().unwrap();
        assert_eq!((dns::id(&answer), rcode(&answer)), (id, 1), "FORMERR");
    }
    let mut response = query(1, "a.test", SOA);
    response[2] |= 0x80;
    let question = framed(&query(9, "a.test", SOA));
    let two = framed(&response).repeat(2);
    stream.write_all(&[two.clone(), question.clone(), two, question.clone()].concat()).unwrap();
    for _ in 0..2 {
        assert_eq!(dns::id(&read(&mut stream).unwrap().unwrap()), 9);
    }
    stream.write_all(&[framed(&response).repeat(3), question].concat()).unwrap();
    assert!(read(&mut stream).unwrap().is_none(), "an end, and no answer");
}

#[test]
fn what_was_answered_arrives_though_more_was_sent_than_is_read() {
    let daemon = serving("");
    for _ in 0..5 {
        let mut stream = connect(daemon.address());
        let asked: Vec<u8> = (0..50).flat_map(|id| framed(&query(id, "a.test", SOA))).collect();
        stream.write_all(&[&asked[..], &[0, 1, 0], &[0; 100_000]].concat()).unwrap();
        // By now all of it is there.
        std::thread::sleep(Duration::from_millis(100));
        for _ in 0..50 {
            assert_eq!(rcode(&read(&mut stream).unwrap().unwrap()), 0);
        }
        assert!(read(&mut stream).unwrap().is_none(), "an end, and no reset");
    }
}

#[test]
fn what_is_shorter_than_a_header_closes_the_connection_after_what_was_asked_before() {
    let daemon = serving("");
    for bad in [&[0_u8, 0][..], &[0, 5, 1, 2, 3, 4, 5], &[0, 11, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0]] {
        let mut stream = connect(daemon.address());
        stream.write_all(&[&framed(&query(9, "a.test", SOA))[..], bad].concat()).unwrap();
        assert_eq!(dns::id(&read(&mut stream).unwrap().unwrap()), 9);
        assert!(closed(&mut stream) < Duration::from_secs(20));
    }
}

#[test]
fn a_message_that_is_no_query_costs_nobody_else_the_connection() {
    let daemon = serving("");
    let mut stream = connect(daemon.address());
    // A response, silently dropped; then rubbish with a header; then a query.
    let mut response = query(1, "a.test", SOA);
    response[2] |= 0x80;
    let rubbish = [&2_u16.to_be_bytes()[..], &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xff]].concat();
    let all = [framed(&response), framed(&rubbish), framed(&query(3, "a.test", SOA))].concat();
    stream.write_all(&all).unwrap();
    let answer = read(&mut stream).unwrap().unwrap();
    assert_eq!((dns::id(&answer), rcode(&answer)), (2, 1), "FORMERR");
    assert_eq!(dns::id(&read(&mut stream).unwrap().unwrap()), 3);
}

#[test]
fn without_descriptors_udp_goes_on_and_tcp_comes_back() {
    let mut daemon = Daemon::prepare("limits: { udp-threads: 1 }", &zone("a.test", Primary::start().address));
    let plain = daemon.command();
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 60 && exec \"$@\"", "sh"]).arg(plain.get_program()).args(plain.get_args());
    daemon.run_as(limited);
    daemon.until_loaded("a.test.");
    let many: Vec<TcpStream> = (0..100).map(|_| connect(daemon.address())).collect();
    daemon.wait("a word about it", |daemon| daemon.log().contains("query.limited"));
    assert_eq!(rcode(&ask(daemon.address(), "a.test", SOA)), 0);
    drop(many);
    assert_eq!(rcode(&ask_tcp(daemon.address(), "a.test", SOA)), 0);
    assert_eq!(daemon.log().matches("query.limited").count(), 1, "said once");
}
