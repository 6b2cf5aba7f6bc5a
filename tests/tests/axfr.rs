//! Full transfers (RFC 5936).

use interop::proxy::Proxy;
use interop::secondo::Mark;
use interop::signer::{self, Denial};
use interop::{Config, Pair, Plan, Port, Secondo, Software, Zone, dig, each_primary, peers, primary};

fn the_whole_zone_arrives(software: Software) {
    let zone = Zone::ordinary("whole.test.");
    let mut pair = Pair::start(software, &zone, None, &[]);
    let finished = pair.secondo.zone_event(Mark::START, "transfer.finished", &zone.apex);
    assert_eq!(finished.text("kind"), "axfr", "{}", finished.line());
    assert_eq!(finished.number("serial"), Some(zone.serial.into()), "{}", finished.line());
    pair.assert_same(&zone);
    pair.secondo.stop();
}
each_primary!(the_whole_zone_arrives);

fn a_zone_of_many_messages_arrives(software: Software) {
    let zone = Zone::ordinary("many.test.").with_hosts(20_000);
    let pair = Pair::start(software, &zone, None, &[]);
    let records = pair.assert_same(&zone);
    assert!(records.len() > 20_000);
}
each_primary!(a_zone_of_many_messages_arrives);

#[test]
fn the_second_primary_is_asked_when_the_first_is_dead() {
    if !peers::ready(&[Software::Nsd]) {
        return;
    }
    let zone = Zone::ordinary("second.test.");
    let primary = primary::start(Software::Nsd, Plan::of(&zone));
    let nobody = Port::free();
    let config = Config::new()
        .primary("dead", nobody.at_loopback(), None)
        .primary("alive", primary.address(), None)
        .zone(&zone.apex, "dead, alive", &["allow-transfer: [{ address: 127.0.0.1 }]"]);
    let secondo = Secondo::start(Port::free(), &config);
    secondo.until_published(Mark::START, &zone.apex, zone.serial);
    let failed = secondo.event(Mark::START, "transfer.failed", |e| e.is_about(&zone.apex) && e.has("reason"));
    assert!(
        failed.text("primary").contains("dead")
            || failed.text("primary").contains(&nobody.number().to_string())
    );
    dig::assert_same_zone(&zone.apex, primary.address(), None, secondo.address(), None);
}

#[test]
fn the_second_address_is_asked_when_the_first_is_dead() {
    if !peers::ready(&[Software::Knot]) {
        return;
    }
    let zone = Zone::ordinary("address.test.");
    let primary = primary::start(Software::Knot, Plan::of(&zone));
    let nobody = Port::free();
    let config = Config::new()
        .primary_with("upstream", &[nobody.at_loopback(), primary.address()], None, &[])
        .zone(&zone.apex, "upstream", &["allow-transfer: [{ address: 127.0.0.1 }]"]);
    let secondo = Secondo::start(Port::free(), &config);
    secondo.until_published(Mark::START, &zone.apex, zone.serial);
    dig::assert_same_zone(&zone.apex, primary.address(), None, secondo.address(), None);
}

#[test]
fn several_zones_of_one_primary_arrive() {
    if !peers::ready(&[Software::Bind]) {
        return;
    }
    let zones: Vec<Zone> = (0..30).map(|i| Zone::ordinary(&format!("zone{i}.test."))).collect();
    let mut plan = Plan::of(&zones[0]);
    plan.zones.clone_from(&zones);
    let primary = primary::start(Software::Bind, plan);
    let config = Config::new().primary("upstream", primary.address(), None);
    let lines = ["allow-transfer: [{ address: 127.0.0.1 }]"];
    let config = zones.iter().fold(config, |config, zone| config.zone(&zone.apex, "upstream", &lines));
    let secondo = Secondo::start(Port::free(), &config);
    for zone in &zones {
        secondo.until_published(Mark::START, &zone.apex, zone.serial);
    }
    for zone in zones.iter().step_by(7) {
        dig::assert_same_zone(&zone.apex, primary.address(), None, secondo.address(), None);
    }
}

#[test]
fn a_transfer_comes_from_the_source_address_that_is_configured() {
    if !peers::ready(&[Software::Bind]) {
        return;
    }
    let zone = Zone::ordinary("source.test.");
    let mut plan = Plan::of(&zone);
    plan.only_from = Some("127.0.0.53".parse().expect("an address"));
    let primary = primary::start(Software::Bind, plan);
    let lines: &[&str] = &["source: [\"127.0.0.53\"]"];
    let config = Config::new().primary_with("upstream", &[primary.address()], None, lines).zone(
        &zone.apex,
        "upstream",
        &["allow-transfer: [{ address: 127.0.0.1 }]"],
    );
    let secondo = Secondo::start(Port::free(), &config);
    secondo.until_published(Mark::START, &zone.apex, zone.serial);
    assert!(
        dig::transfer(dig::Client::Dig, primary.address(), &zone.apex, None).is_err(),
        "others are refused there"
    );
}

fn a_signed_zone_arrives_and_changes(software: Software) {
    if let Some(missing) = signer::PROGRAMS.iter().find(|p| peers::find(p).is_none()) {
        peers::skip(&format!("this machine has no {missing}"));
        return;
    }
    for denial in [Denial::Nsec, Denial::Nsec3] {
        let plain = Zone::ordinary("signed.test.").with_hosts(50);
        let zone = signer::signed(&plain, denial);
        let mut pair = Pair::start(software, &zone, None, &[]);
        pair.assert_same(&zone);
        // Other keys, so every signature changes.
        let next = signer::signed(&plain.plus(&["new 60 IN A 192.0.2.140"]), denial);
        pair.change(&next);
        pair.assert_same(&next);
    }
}
each_primary!(a_signed_zone_arrives_and_changes, bind Bind, knot Knot, nsd Nsd);

#[test]
fn a_primary_is_asked_over_ipv6() {
    if !peers::ready(&[Software::Knot]) {
        return;
    }
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        peers::skip("this machine has no IPv6 on loopback");
        return;
    }
    let zone = Zone::ordinary("six.test.");
    let mut primary = primary::start(Software::Knot, Plan::of(&zone));
    let six = Proxy::on(std::net::Ipv6Addr::LOCALHOST.into(), primary.address());
    let config = Config::new().primary("upstream", six.address(), None).zone(
        &zone.apex,
        "upstream",
        &["allow-transfer: [{ address: 127.0.0.1 }]"],
    );
    let secondo = Secondo::start(Port::free(), &config);
    secondo.until_published(Mark::START, &zone.apex, zone.serial);
    let next = zone.plus(&["new 60 IN A 192.0.2.141"]);
    primary.publish(&next);
    let mark = secondo.mark();
    secondo.order(&["refresh", &zone.apex]);
    secondo.until_published(mark, &zone.apex, next.serial);
    dig::assert_same_zone(&zone.apex, primary.address(), None, secondo.address(), None);
}
