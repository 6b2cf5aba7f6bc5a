//! Transfers and NOTIFYs under a key (RFC 8945), with keys as `tsig-keygen` makes them.

use interop::pair::Setting;
use interop::secondo::Mark;
use interop::{Config, Key, Pair, Plan, Port, Secondo, Software, Zone, each_primary, peers, primary};

fn a_zone_arrives_under(algorithm: &str, software: Software) {
    let key = Key::make("transfer.key", algorithm);
    let zone = Zone::ordinary("sealed.test.").with_hosts(3000);
    let mut pair = Pair::start(software, &zone, Some(&key), &[]);
    let finished = pair.secondo.zone_event(Mark::START, "transfer.finished", &zone.apex);
    assert_eq!(finished.text("key").trim_end_matches('.'), key.name, "{}", finished.line());
    pair.assert_same(&zone);
    let next = zone.plus(&["new 60 IN A 192.0.2.80"]);
    pair.change(&next);
    pair.assert_same(&next);
}

fn a_zone_arrives_under_hmac_sha256(software: Software) {
    a_zone_arrives_under("hmac-sha256", software);
}
each_primary!(a_zone_arrives_under_hmac_sha256);

fn a_zone_arrives_under_hmac_sha512(software: Software) {
    a_zone_arrives_under("hmac-sha512", software);
}
each_primary!(a_zone_arrives_under_hmac_sha512);

fn a_wrong_secret_is_named_and_its_correction_taken(software: Software) {
    let key = Key::make("transfer.key", "hmac-sha256");
    let zone = Zone::ordinary("typo.test.");
    // Never loaded: the error is said, nothing is served.
    let wrong = key.with_other_secret();
    let mut pair = Setting::of(software, &zone).key(&key).our_key(&wrong).launch();
    let failed = pair.secondo.event(Mark::START, "transfer.failed", |e| e.is_about(&zone.apex));
    let reason = failed.text("reason");
    assert!(
        reason.starts_with("tsig") || reason == "refused" || reason == "not-authoritative",
        "{}",
        failed.line()
    );
    if matches!(software, Software::Bind | Software::Knot) {
        assert_eq!(reason, "tsig-badsig", "{}", failed.line());
    }
    pair.until_servfail(&zone, 14, interop::wait::SOON);
    // The operator corrects it.
    let mark = pair.secondo.mark();
    pair.secondo.configure(&pair.config(&zone, Some(&key), &[]));
    pair.secondo.hang_up();
    pair.secondo.event(mark, "daemon.reloaded", |_| true);
    pair.secondo.until_published(mark, &zone.apex, zone.serial);
    pair.assert_same(&zone);
    // A wrong secret later: the version that we have stays served.
    let mark = pair.secondo.mark();
    pair.secondo.configure(&pair.config(&zone, Some(&wrong), &[]));
    pair.secondo.hang_up();
    pair.secondo.event(mark, "daemon.reloaded", |_| true);
    let mark = pair.secondo.mark();
    pair.primary.publish(&zone.plus(&["new 60 IN A 192.0.2.80"]));
    pair.secondo.control(&["refresh", "--no-wait", &zone.apex]);
    pair.secondo.event(mark, "refresh.failed", |e| e.is_about(&zone.apex) && e.has("reason"));
    pair.secondo.until_serving(&zone.apex, zone.serial, interop::wait::SOON);
}
each_primary!(a_wrong_secret_is_named_and_its_correction_taken);

#[test]
fn a_key_that_the_primary_does_not_know_is_named() {
    if !peers::ready(&[Software::Bind]) {
        return;
    }
    let key = Key::make("known.key", "hmac-sha256");
    let stranger = Key::make("stranger.key", "hmac-sha256");
    let zone = Zone::ordinary("stranger.test.");
    let pair = Setting::of(Software::Bind, &zone).key(&key).our_key(&stranger).launch();
    let failed = pair.secondo.event(Mark::START, "transfer.failed", |e| e.is_about(&zone.apex));
    assert_eq!(failed.text("reason"), "tsig-badkey", "{}", failed.line());
}

#[test]
fn a_primary_that_refuses_is_named_though_another_confirms() {
    if !peers::ready(&[Software::Bind]) {
        return;
    }
    let stranger = Key::make("stranger.key", "hmac-sha256");
    let zone = Zone::ordinary("pair.test.");
    let primary = primary::start(Software::Bind, Plan::of(&zone));
    let config = Config::new()
        .key(&stranger)
        .primary("refuses", primary.address(), Some(&stranger))
        .primary("confirms", primary.address(), None)
        .zone(&zone.apex, "refuses, confirms", &["allow-transfer: [{ address: 127.0.0.1 }]"]);
    let secondo = Secondo::start(Port::free(), &config);
    secondo.until_published(Mark::START, &zone.apex, zone.serial);
    let mark = secondo.mark();
    secondo.control(&["refresh", &zone.apex]);
    secondo.event(mark, "refresh.current", |e| e.is_about(&zone.apex));
    secondo.event(mark, "refresh.failed", |e| e.is_about(&zone.apex) && e.text("reason") == "tsig-badkey");
}

#[test]
fn every_algorithm_works_with_bind() {
    if !peers::ready(&[Software::Bind]) {
        return;
    }
    for algorithm in ["hmac-md5", "hmac-sha1", "hmac-sha224", "hmac-sha384"] {
        a_zone_arrives_under(algorithm, Software::Bind);
    }
}

#[test]
fn every_algorithm_works_with_knot() {
    if !peers::ready(&[Software::Knot]) {
        return;
    }
    for algorithm in ["hmac-md5", "hmac-sha1", "hmac-sha224", "hmac-sha384"] {
        a_zone_arrives_under(algorithm, Software::Knot);
    }
}

/// RFC 8945 §5.2.2.1: a MAC may be cut to no less than half.
#[test]
fn truncated_macs_work_with_bind() {
    if !peers::ready(&[Software::Bind]) {
        return;
    }
    for (algorithm, bits) in [("hmac-sha256", 128), ("hmac-sha512", 256), ("hmac-sha1", 128)] {
        // BIND's name for a key that cuts: on the wire it is the plain algorithm with shorter MACs.
        let ours = Key::make("short.key", algorithm);
        let key = Key { algorithm: format!("{algorithm}-{bits}"), ..ours.clone() };
        let zone = Zone::ordinary("truncated.test.").with_hosts(3000);
        let pair = Setting::of(Software::Bind, &zone).key(&key).our_key(&ours).start();
        let theirs = interop::dig::zone(pair.primary.address(), &zone.apex, Some(&key));
        let ours = interop::dig::zone(pair.secondo.address(), &zone.apex, None);
        interop::dig::assert_same_records(&zone.apex, &theirs, &ours);
    }
}
