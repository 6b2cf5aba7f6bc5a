//! UDP: answers leave from the address asked, rubbish costs nothing.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use crate::daemon::{Daemon, zone};
use crate::dns::{self, SOA, ask, query, rcode, socket};
use crate::primary::Primary;

#[test]
fn thousands_of_datagrams_to_five_addresses_are_each_answered_from_theirs() {
    let mut daemon = Daemon::prepare("limits: { udp-threads: 2 }", "");
    let port = daemon.address().port();
    daemon.listen = format!("\"0.0.0.0:{port}\", \"[::]:{port}\"");
    daemon.configure(&zone("a.test", Primary::start().address));
    daemon.run();
    daemon.until_loaded("a.test.");
    let addresses = (1..=5).map(|n| IpAddr::from([127, 0, 0, n])).chain([Ipv6Addr::LOCALHOST.into()]);
    let askers: Vec<_> = addresses
        .map(|address| {
            let server = SocketAddr::new(address, port);
            thread::spawn(move || {
                // Connected: what comes from elsewhere is not heard. In bursts, so that batches are full.
                let socket = socket(server, Duration::from_secs(5));
                let mut answered = 0;
                for burst in 0..50_u16 {
                    for n in 0..20 {
                        socket.send(&query(burst * 20 + n, "a.test", SOA)).unwrap();
                    }
                    for _ in 0..20 {
                        let mut answer = [0; 512];
                        let length =
                            socket.recv(&mut answer).unwrap_or_else(|error| panic!("{server}: {error}"));
                        assert_eq!((rcode(&answer), dns::answers(&answer[..length])), (0, 1));
                        answered += 1;
                    }
                }
                answered
            })
        })
        .collect();
    let answered: usize = askers.into_iter().map(|asker| asker.join().unwrap()).sum();
    assert_eq!(answered, 6000);
}

#[test]
fn rubbish_gets_formerr_or_silence_and_the_next_query_its_answer() {
    let daemon = Daemon::start("limits: { udp-threads: 1 }", &zone("a.test", Primary::start().address));
    daemon.until_loaded("a.test.");
    let good = query(1, "a.test", SOA);
    let with = |at: usize, octet: u8| {
        let mut message = good.clone();
        message[at] = octet;
        message
    };
    let formerr = [
        // No question where one is announced; a label beyond the end; a pointer to itself; two questions.
        good[..12].to_vec(),
        good[..20].to_vec(),
        [&good[..12], &[0xc0, 12, 0, 6, 0, 1]].concat(),
        with(5, 2),
    ];
    let silence = [vec![], vec![0], good[..11].to_vec(), with(2, 0x80)];
    let socket = socket(daemon.address(), Duration::from_secs(5));
    for rubbish in silence.iter().chain(&formerr) {
        socket.send(rubbish).unwrap();
    }
    let mut seen = Vec::new();
    for _ in 0..formerr.len() {
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer).unwrap();
        assert!(length >= 12);
        seen.push(rcode(&answer));
    }
    assert_eq!(seen, [1; 4], "FORMERR");
    // What is far too large, and every octet in turn made wrong.
    socket.send(&[&good[..], &[0; 20_000]].concat()).unwrap();
    for at in 0..good.len() {
        for octet in [0, 1, 0x3f, 0x40, 0x80, 0xc0, 0xff] {
            socket.send(&with(at, octet)).unwrap();
        }
    }
    assert_eq!(rcode(&ask(daemon.address(), "a.test", SOA)), 0);
}
