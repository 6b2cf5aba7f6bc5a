//! What we send on: AXFR, IXFR and NOTIFY to secondaries behind us (RFC 5936, RFC 1995, RFC 1996).

use std::time::Duration;

use interop::bind::Bind;
use interop::dig::Client;
use interop::knot::Knot;
use interop::nsd::Nsd;
use interop::pdns::Pdns;
use interop::secondo::Mark;
use interop::wait::SOON;
use interop::{Config, Key, Plan, Port, Primary, Secondo, Software, Zone, dig, each_primary, peers, primary};

/// BIND at the top, secondo in the middle, the software at the bottom.
fn a_chain_of_three_carries_every_change(software: Software) {
    if !peers::ready(&[Software::Bind]) {
        return;
    }
    let upper = Key::make("upper.key", "hmac-sha256");
    let lower = Key::make("lower.key", "hmac-sha512");
    let zone = Zone::ordinary("relay.test.").with_hosts(2000);
    let ours = Port::free();
    let below = Port::free();
    let plan = Plan::of(&zone).key(&upper).notify(ours.at_loopback());
    let mut top = primary::start(Software::Bind, plan);
    let config = Config::new().primary("top", top.address(), Some(&upper)).key(&lower).zone(
        &zone.apex,
        "top",
        &[
            "allow-transfer: [{ address: 127.0.0.1, key: lower.key }]",
            &format!("also-notify: [{{ address: \"{}\", key: lower.key }}]", below.at_loopback()),
        ],
    );
    let secondo = Secondo::start(ours, &config);
    secondo.until_published(Mark::START, &zone.apex, zone.serial);
    let apexes = [zone.apex.as_str()];
    let bottom: Box<dyn Primary> = match software {
        Software::Bind => Box::new(Bind::secondary(&apexes, below, secondo.address(), Some(&lower))),
        Software::Knot => Box::new(Knot::secondary(&apexes, below, secondo.address(), Some(&lower))),
        Software::Nsd => Box::new(Nsd::secondary(&apexes, below, secondo.address(), Some(&lower))),
        Software::Pdns => Box::new(Pdns::secondary(&apexes, below, secondo.address(), Some(&lower))),
    };
    bottom.until_serving(&zone, SOON);
    dig::assert_same_zone(&zone.apex, top.address(), Some(&upper), bottom.address(), None);

    let mut current = zone;
    for round in 0..3 {
        let mark = secondo.mark();
        current = current.plus(&[&format!("r{round} 60 IN A 192.0.2.100")]);
        top.publish(&current);
        // Timers are long: only our NOTIFY can have told it.
        bottom.until_serving(&current, SOON);
        secondo.zone_event(mark, "downstream.notified", &current.apex);
        secondo.zone_event(mark, "downstream.transfer", &current.apex);
    }
    dig::assert_same_zone(&current.apex, top.address(), Some(&upper), bottom.address(), None);
}
each_primary!(a_chain_of_three_carries_every_change);

#[test]
fn only_those_named_may_transfer() {
    if !peers::ready(&[Software::Knot]) {
        return;
    }
    let key = Key::make("allowed.key", "hmac-sha256");
    let other = Key::make("other.key", "hmac-sha256");
    let zone = Zone::ordinary("closed.test.");
    let primary = primary::start(Software::Knot, Plan::of(&zone));
    let config = Config::new()
        .key(&key)
        .key(&other)
        .primary("upstream", primary.address(), None)
        .zone(&zone.apex, "upstream", &["allow-transfer: [{ address: 127.0.0.1, key: allowed.key }]"])
        .zone("nobody.test.", "upstream", &[])
        .zone("safe.test.", "upstream", &["allow-transfer: [{ address: 127.0.0.1, transport: tls }]"]);
    let secondo = Secondo::start(Port::free(), &config);
    secondo.until_published(Mark::START, &zone.apex, zone.serial);
    let server = secondo.address();

    assert_eq!(dig::refusal(server, "safe.test.", "AXFR", None), "REFUSED");
    let refused = secondo.event(Mark::START, "downstream.refused", |e| e.is_about("safe.test."));
    assert!(refused.text("detail").contains("asks for TLS"), "{}", refused.line());
    for client in [Client::Dig, Client::Kdig] {
        assert!(dig::transfer(client, server, &zone.apex, Some(&key)).is_ok(), "{client:?}");
        for stranger in [None, Some(&other), Some(&key.with_other_secret())] {
            assert!(dig::transfer(client, server, &zone.apex, stranger).is_err(), "{client:?} {stranger:?}");
        }
    }
    for kind in ["AXFR", "IXFR=1"] {
        assert_eq!(dig::refusal(server, &zone.apex, kind, Some(&key)), "");
        assert_eq!(dig::refusal(server, &zone.apex, kind, None), "REFUSED");
        // The list is asked first: whoever may not transfer does not learn whether there is something.
        assert_eq!(dig::refusal(server, "nobody.test.", kind, None), "REFUSED");
        assert_eq!(dig::refusal(server, "nobody.test.", kind, Some(&key)), "REFUSED");
        // Not ours: NOTAUTH to whom some rule admits, REFUSED to strangers.
        assert_eq!(dig::refusal(server, "unknown.test.", kind, Some(&key)), "NOTAUTH");
        assert_eq!(dig::refusal(server, "unknown.test.", kind, None), "REFUSED");
    }
    secondo.event(Mark::START, "downstream.refused", |e| e.is_about(&zone.apex));
}

#[test]
fn an_ixfr_of_the_current_serial_gets_the_soa_alone() {
    if !peers::ready(&[Software::Nsd]) {
        return;
    }
    let zone = Zone::ordinary("current.test.").with_hosts(20);
    let primary = primary::start(Software::Nsd, Plan::of(&zone));
    let config = Config::new().primary("upstream", primary.address(), None).zone(
        &zone.apex,
        "upstream",
        &["allow-transfer: [{ address: 127.0.0.1 }]"],
    );
    let secondo = Secondo::start(Port::free(), &config);
    secondo.until_published(Mark::START, &zone.apex, zone.serial);
    let server = secondo.address();
    let current = format!("IXFR={}", zone.serial);
    let older = format!("IXFR={}", zone.serial - 1);
    for transport in ["+tcp", "+notcp"] {
        // RFC 1995 §2: the same or a newer serial gets the single SOA.
        let response = dig::ask(server, &[&zone.apex, &current, transport]);
        assert_eq!(response.answer.len(), 1, "{}", response.text);
        assert!(
            response.answer[0]
                .contains(&format!(" SOA ns1.current.test. hostmaster.current.test. {}", zone.serial))
        );
    }
    let response = dig::ask(server, &[&zone.apex, &older, "+tcp"]);
    assert!(response.answer.len() > 20, "{}", response.text);
    assert_eq!(response.answer.first(), response.answer.last(), "{}", response.text);
}

#[test]
fn a_notify_is_repeated_until_it_is_answered() {
    if !peers::ready(&[Software::Knot]) {
        return;
    }
    let zone = Zone::ordinary("patient.test.");
    let ours = Port::free();
    let below = Port::free();
    let mut top = primary::start(Software::Knot, Plan::of(&zone).notify(ours.at_loopback()));
    let silent = std::net::UdpSocket::bind(below.at_loopback()).expect("the port is ours");
    silent.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
    let line = format!("also-notify: [{{ address: \"{}\" }}]", below.at_loopback());
    let config = Config::new().primary("top", top.address(), None).zone(&zone.apex, "top", &[&line]);
    let secondo = Secondo::start(ours, &config);
    secondo.until_published(Mark::START, &zone.apex, zone.serial);
    let next = zone.plus(&["new 60 IN A 192.0.2.101"]);
    top.publish(&next);
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let mut message = [0; 512];
        let (length, sender) = silent.recv_from(&mut message).expect("a NOTIFY comes, and comes again");
        // RFC 1996 §3.3: opcode NOTIFY, a question for the SOA.
        assert_eq!(message[2] & 0xf8, 0x20, "{:02x?}", &message[..length]);
        let told = message[..length].windows(4).any(|w| w == next.serial.to_be_bytes());
        if told {
            seen.push((message[..length].to_vec(), sender));
        }
    }
    // That nobody answers is told, and what to see to there.
    let status = secondo.zone_status(&zone.apex);
    let unanswered = &status["unanswered"][0];
    assert_eq!(unanswered["address"], below.at_loopback().to_string(), "{status}");
    assert_eq!(unanswered["serial"], next.serial, "{status}");
    assert!(unanswered["sent"].as_u64() >= Some(1), "{status}");
    let explained = secondo.order(&["explain", &zone.apex]).output;
    for words in ["(`also-notify`) was sent ", "and is not answered (no answer)", "takes NOTIFY from us"] {
        assert!(explained.contains(words), "{explained}");
    }
    // Answered at last: that is the end of it.
    let (message, sender) = seen.pop().expect("two were seen");
    let mut answer = message;
    answer[2] |= 0x80;
    let mark = secondo.mark();
    silent.send_to(&answer, sender).expect("loopback takes datagrams");
    secondo.zone_event(mark, "downstream.notified", &zone.apex);
    let gone = || secondo.zone_status(&zone.apex)["unanswered"].is_null().then_some(());
    interop::wait::until("nothing unanswered", SOON, || secondo.tail(), gone);
}
