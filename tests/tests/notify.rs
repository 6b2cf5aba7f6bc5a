//! NOTIFY (RFC 1996): from the primaries to publish, and what strangers get.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use interop::datagram::{self, rcode};
use interop::{Key, Pair, Software, Zone, dig, each_primary, peers};

const PATIENCE: Duration = Duration::from_secs(5);

fn a_notify_leads_to_publish(software: Software) {
    let key = Key::make("notify.key", "hmac-sha256");
    // Timers so long that only the NOTIFY can be the reason.
    let zone = Zone::ordinary("told.test.").with_hosts(100);
    let mut pair = Pair::start(software, &zone, Some(&key), &[]);
    for round in 0..3 {
        let mark = pair.secondo.mark();
        let next =
            Zone { serial: zone.serial + 1 + round, ..zone.plus(&[&format!("r{round} 60 IN A 192.0.2.90")]) };
        pair.primary.publish(&next);
        pair.secondo.zone_event(mark, "notify.accepted", &zone.apex);
        pair.secondo.until_published(mark, &zone.apex, next.serial);
        if round == 2 {
            pair.assert_same(&next);
        }
    }
}
each_primary!(a_notify_leads_to_publish);

fn unsigned_notifies_are_a_hint_too(software: Software) {
    let zone = Zone::ordinary("hint.test.");
    let mut pair = Pair::start(software, &zone, None, &[]);
    let next = zone.plus(&["new 60 IN A 192.0.2.91"]);
    pair.change(&next);
    pair.assert_same(&next);
}
each_primary!(unsigned_notifies_are_a_hint_too);

#[test]
fn a_burst_of_changes_ends_at_the_last() {
    if !peers::ready(&[Software::Knot]) {
        return;
    }
    let zone = Zone::ordinary("burst.test.").with_hosts(100);
    let mut pair = Pair::start(Software::Knot, &zone, None, &[]);
    let mut current = zone;
    for round in 0..20 {
        current = current.plus(&[&format!("b{round} 60 IN A 192.0.2.92")]);
        pair.primary.publish(&current);
    }
    pair.secondo.until_serving(&current.apex, current.serial, interop::wait::SOON);
    pair.assert_same(&current);
}

#[test]
fn a_notify_is_answered_as_the_rfc_says() {
    if !peers::ready(&[Software::Nsd]) {
        return;
    }
    let zone = Zone::ordinary("asked.test.");
    let pair = Pair::start(Software::Nsd, &zone, None, &["allow-notify: [{ address: 127.0.0.1 }]"]);
    let server = pair.secondo.address();
    let notify = datagram::notify(4711, &zone.apex);

    for response in [
        datagram::over_udp(server, &notify, PATIENCE).expect("a response over UDP"),
        datagram::over_tcp(server, &datagram::framed(&notify), Duration::from_secs(2)).expect("TCP works")
            [2..]
            .to_vec(),
    ] {
        assert_eq!(response[..2], notify[..2], "the id is returned");
        // RFC 1996 §4.7: a response, opcode NOTIFY.
        assert_eq!(response[2] & 0xf8, 0xa0, "{response:02x?}");
        assert_eq!(rcode(&response), 0);
        assert_eq!(response[12..], notify[12..], "the question is returned");
    }

    // Not ours: NOTAUTH to those whom some rule admits, REFUSED to all others.
    let unknown = datagram::notify(4712, "unknown.test.");
    assert_eq!(rcode(&datagram::over_udp(server, &unknown, PATIENCE).expect("a response")), 9);
    let stranger = UdpSocket::bind("127.0.0.9:0").expect("loopback has many addresses");
    stranger.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let mark = pair.secondo.mark();
    for message in [&notify, &unknown] {
        stranger.send_to(message, server).expect("loopback takes datagrams");
        let mut response = [0; 512];
        let length = stranger.recv(&mut response).expect("a response to the stranger");
        assert_eq!(rcode(&response[..length]), 5);
    }
    pair.secondo.zone_event(mark, "notify.refused", &zone.apex);
    assert_eq!(dig::serial(server, &zone.apex), Some(zone.serial));
}

#[test]
fn only_the_key_that_the_rule_names_admits_a_notify() {
    if !peers::ready(&[Software::Knot]) {
        return;
    }
    let key = Key::make("named.key", "hmac-sha256");
    let zone = Zone::ordinary("rule.test.");
    let lines = ["allow-notify: [{ address: 127.0.0.1, key: named.key }]"];
    let mut pair = Pair::start(Software::Knot, &zone, Some(&key), &lines);
    let unsigned = datagram::notify(4713, &zone.apex);
    let response = datagram::over_udp(pair.secondo.address(), &unsigned, PATIENCE).expect("a response");
    assert_eq!(rcode(&response), 5, "unsigned is refused");
    let mark = pair.secondo.mark();
    let next = zone.plus(&["new 60 IN A 192.0.2.93"]);
    pair.change(&next);
    let accepted = pair.secondo.zone_event(mark, "notify.accepted", &zone.apex);
    assert_eq!(accepted.text("key"), "named.key.");
}

/// A reader sees one version or the next, never none and never a mixture.
#[test]
fn readers_see_whole_versions_while_they_change() {
    if !peers::ready(&[Software::Knot]) {
        return;
    }
    let version = |serial: u32| format!("version 60 IN TXT \"{serial}\"");
    let mut zone = Zone::ordinary("read.test.").with_hosts(200);
    zone.records.push(version(zone.serial));
    let mut pair = Pair::start(Software::Knot, &zone, None, &[]);
    let server = pair.secondo.address();
    let over = AtomicBool::new(false);
    let asked = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let question = datagram::question(1, "version.read.test.", 16);
            let mut last = 0;
            let mut asked = 0;
            while !over.load(Ordering::Relaxed) {
                let response = datagram::over_udp(server, &question, PATIENCE).expect("always a response");
                assert_eq!((rcode(&response), response[7]), (0, 1), "always one record: {response:02x?}");
                let digits: String = response[response.len() - 4..].iter().map(|&b| char::from(b)).collect();
                let seen: u32 = digits.parse().expect("the text is a serial");
                assert!(seen >= last, "{seen} after {last}");
                last = seen;
                asked += 1;
            }
            asked
        });
        for _ in 0..10 {
            zone = zone.minus("version ");
            zone.records.push(version(zone.serial));
            pair.primary.publish(&zone);
            pair.secondo.until_serving(&zone.apex, zone.serial, interop::wait::SOON);
        }
        over.store(true, Ordering::Relaxed);
        reader.join().expect("the reader found nothing wrong")
    });
    assert!(asked > 100, "asked {asked} times");
    pair.assert_same(&zone);
}

/// RFC 8945 §5.2: a bad seal is never taken for none.
#[test]
fn a_notify_under_a_wrong_secret_changes_nothing() {
    if !peers::ready(&[Software::Nsd, Software::Knot]) {
        return;
    }
    let key = Key::make("seal.key", "hmac-sha256");
    let zone = Zone::ordinary("sealed.test.");
    let pair = Pair::start(Software::Nsd, &zone, Some(&key), &[]);
    let mark = pair.secondo.mark();
    // Another server that means to notify us, under the right name and a wrong secret.
    let forger = interop::Plan::of(&zone).key(&key.with_other_secret()).notify(pair.secondo.address());
    let _forger = interop::primary::start(Software::Knot, forger);
    pair.secondo.zone_event(mark, "notify.refused", &zone.apex);
    assert!(
        pair.secondo.events_since(mark).iter().all(|e| e.name() != "notify.accepted"),
        "{}",
        pair.secondo.tail()
    );
}
