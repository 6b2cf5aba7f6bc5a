//! Transfers out: beside each other, beside queries, to those who do not read.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::daemon::{Daemon, zone};
use crate::dns::{self, AXFR, IXFR, SOA, ask, connect, framed, query, rcode, read};
use crate::primary::{self, Primary};

/// Twelve megabytes: more than the kernel takes for a client that does not read.
const BULK: usize = 300;

fn serving(extra: &str) -> Daemon {
    let daemon = Daemon::start(extra, &zone("big.test", Primary::with_bulk(BULK).address));
    daemon.until_loaded("big.test.");
    daemon
}

fn ask_axfr(stream: &mut TcpStream, id: u16) {
    stream.write_all(&framed(&query(id, "big.test", AXFR))).unwrap();
}

/// Records of whole transfers: SOA, NS, bulk, SOA.
const WHOLE: usize = BULK + 3;

/// Reads until the transfers have brought `records` in all; how many each has brought.
fn records(stream: &mut TcpStream, records: usize) -> BTreeMap<u16, usize> {
    let mut seen = BTreeMap::new();
    while seen.values().sum::<usize>() < records {
        let message = read(stream).unwrap().expect("the stream is not closed before its end");
        assert_eq!(rcode(&message), 0);
        *seen.entry(dns::id(&message)).or_default() += usize::from(dns::answers(&message));
    }
    seen
}

#[test]
fn transfers_and_queries_of_one_connection_go_beside_each_other() {
    let daemon = serving("");
    let mut stream = connect(daemon.address());
    for id in 1..=4 {
        ask_axfr(&mut stream, id);
    }
    stream.write_all(&framed(&query(9, "big.test", SOA))).unwrap();
    let mut order = Vec::new();
    let mut seen = BTreeMap::<u16, usize>::new();
    while seen.values().sum::<usize>() < 4 * WHOLE + 1 {
        let message = read(&mut stream).unwrap().unwrap();
        order.push(dns::id(&message));
        *seen.entry(dns::id(&message)).or_default() += usize::from(dns::answers(&message));
    }
    assert_eq!(seen, BTreeMap::from([(1, WHOLE), (2, WHOLE), (3, WHOLE), (4, WHOLE), (9, 1)]));
    let place = |id| order.iter().position(|seen| *seen == id).unwrap();
    assert!(place(9) < order.len() - 100, "the query did not wait for the transfers");
    assert!(place(4) < order.iter().rposition(|seen| *seen == 1).unwrap(), "one after the other");
}

#[test]
fn a_transfer_under_way_is_not_idle() {
    let daemon = serving("limits: { tcp-idle: 300ms }");
    let mut stream = connect(daemon.address());
    ask_axfr(&mut stream, 1);
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(records(&mut stream, WHOLE), BTreeMap::from([(1, WHOLE)]));
    assert!(read(&mut stream).unwrap().is_none(), "and then it is");
}

#[test]
fn clients_wait_for_a_place_while_everybody_has_a_transfer_under_way() {
    let daemon = serving("limits: { tcp-clients: 2, tcp-idle: 60s }");
    let holders = [1, 2].map(|id| {
        let mut deaf = connect(daemon.address());
        ask_axfr(&mut deaf, id);
        read(&mut deaf).unwrap().expect("it has a place");
        deaf
    });
    let mut third = connect(daemon.address());
    third.write_all(&framed(&query(3, "big.test", SOA))).unwrap();
    third.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(read(&mut third).is_err(), "there is no place");
    assert_eq!(rcode(&ask(daemon.address(), "big.test", SOA)), 0, "UDP goes on");
    drop(holders);
    third.set_read_timeout(Some(dns::PATIENCE)).unwrap();
    assert_eq!(dns::id(&read(&mut third).unwrap().unwrap()), 3);
}

#[test]
fn a_client_that_never_reads_loses_its_place() {
    let daemon = serving("limits: { tcp-clients: 1, transfers-out: 1, tcp-idle: 60s }");
    let mut deaf = connect(daemon.address());
    ask_axfr(&mut deaf, 1);
    read(&mut deaf).unwrap().expect("it has the place");
    let mut next = connect(daemon.address());
    // Beside the time that the deaf one is given.
    next.set_read_timeout(Some(Duration::from_secs(25) + dns::PATIENCE)).unwrap();
    ask_axfr(&mut next, 2);
    assert_eq!(records(&mut next, WHOLE), BTreeMap::from([(2, WHOLE)]));
    daemon.wait("a word about it", |daemon| daemon.log().contains("zone was not sent whole"));
}

#[test]
fn more_transfers_than_places_wait_for_one() {
    let daemon = serving("limits: { transfers-out: 1 }");
    let (mut first, mut second) = (connect(daemon.address()), connect(daemon.address()));
    ask_axfr(&mut first, 1);
    let opening = read(&mut first).unwrap().unwrap();
    ask_axfr(&mut second, 2);
    second.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(read(&mut second).is_err(), "there is no place");
    records(&mut first, WHOLE - usize::from(dns::answers(&opening)));
    second.set_read_timeout(Some(dns::PATIENCE)).unwrap();
    assert_eq!(records(&mut second, WHOLE), BTreeMap::from([(2, WHOLE)]));
}

#[test]
fn more_transfers_than_go_at_once_on_a_connection_are_held_back_and_none_is_lost() {
    let daemon = Daemon::start("", &zone("big.test", Primary::with_bulk(20).address));
    daemon.until_loaded("big.test.");
    let mut stream = connect(daemon.address());
    let asked = (1..=50).flat_map(|id| framed(&query(id, "big.test", AXFR)));
    let asked: Vec<u8> = asked.chain(framed(&query(99, "big.test", SOA))).collect();
    stream.write_all(&asked).unwrap();
    let mut expected: BTreeMap<u16, usize> = (1..=50).map(|id| (id, 23)).collect();
    expected.insert(99, 1);
    assert_eq!(records(&mut stream, 50 * 23 + 1), expected);
    // It goes on, and ends like any other.
    ask_axfr(&mut stream, 7);
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(records(&mut stream, 23), BTreeMap::from([(7, 23)]));
    assert!(read(&mut stream).unwrap().is_none());
}

#[test]
fn ixfrs_of_many_zones_in_one_go_are_all_answered() {
    let primary = Primary::start();
    let zones: String = (0..20).map(|n| zone(&format!("z{n}.test"), primary.address)).collect();
    let daemon = Daemon::start("", &zones);
    let mut asked = Vec::new();
    for id in 0..20 {
        daemon.until_loaded(&format!("z{id}.test."));
        let mut question = query(id, &format!("z{id}.test"), IXFR);
        question[9] = 1;
        question.extend(primary::soa(&dns::name(&format!("z{id}.test")), 1));
        asked.extend(framed(&question));
    }
    let mut stream = connect(daemon.address());
    stream.write_all(&asked).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(records(&mut stream, 20), (0..20).map(|id| (id, 1)).collect());
    assert!(read(&mut stream).unwrap().is_none());
}

#[test]
fn who_ends_his_side_still_gets_the_transfer_that_runs_and_the_one_that_waits() {
    let daemon = serving("limits: { transfers-out: 1 }");
    let (mut runs, mut waits) = (connect(daemon.address()), connect(daemon.address()));
    ask_axfr(&mut runs, 1);
    let opening = read(&mut runs).unwrap().unwrap();
    runs.shutdown(Shutdown::Write).unwrap();
    ask_axfr(&mut waits, 2);
    waits.shutdown(Shutdown::Write).unwrap();
    let rest = WHOLE - usize::from(dns::answers(&opening));
    assert_eq!(records(&mut runs, rest), BTreeMap::from([(1, rest)]));
    assert_eq!(records(&mut waits, WHOLE), BTreeMap::from([(2, WHOLE)]));
    for mut stream in [runs, waits] {
        assert!(read(&mut stream).unwrap().is_none());
    }
}
