//! Reloads: all or nothing, and what did not change is not touched.

use std::fs;

use nix::sys::signal::Signal;

use crate::daemon::{Daemon, zone};
use crate::dns::{NS, SOA, ask, rcode, serial};
use crate::primary::Primary;

#[test]
fn a_bad_configuration_changes_nothing_and_names_its_place() {
    let daemon = Daemon::start("", &zone("a.test", Primary::start().address));
    daemon.until_loaded("a.test.");
    daemon.configure("  - { name: b.test, primaries: [nobody] }\n");
    let ended = daemon.order(&["reload"]);
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("secondo.yaml:") && ended.err.contains("nobody"), "{}", ended.err);
    assert_eq!(serial(daemon.address(), "a.test"), Some(1));
    assert_eq!(daemon.order(&["status", "b.test"]).code, 4);
    fs::remove_file(daemon.folder.path().join("secondo.yaml")).unwrap();
    assert_eq!(daemon.order(&["reload"]).code, 1);
    daemon.configure(&zone("a.test", "127.0.0.1:1".parse().unwrap()));
    assert_eq!(daemon.order(&["reload"]).out, "changed a.test.\n", "and the next one is read");
}

#[test]
fn a_zone_that_did_not_change_keeps_its_transfer_and_its_connection() {
    let (slow, other) = (Primary::with_bulk(2), Primary::start());
    slow.set_gate(false);
    let first = zone("slow.test", slow.address);
    let daemon = Daemon::start("", &first);
    daemon.wait("the transfer", |_| slow.transfers() == 1);
    for names in [&["b.test"][..], &["b.test", "c.test"], &[]] {
        let others: String = names.iter().map(|name| zone(name, other.address)).collect();
        daemon.configure(&[first.clone(), others].concat());
        assert_eq!(daemon.order(&["reload"]).code, 0);
        assert_eq!(daemon.status("slow.test")["activity"], "transferring");
    }
    slow.set_gate(true);
    daemon.until_loaded("slow.test.");
    assert_eq!(slow.transfers(), 1);
    assert_eq!(daemon.order(&["reload"]).out, "nothing to change\n");
}

#[test]
fn changed_keys_primaries_and_access_lists_are_in_force_at_once() {
    let (old, new) = (Primary::start(), Primary::start());
    new.set_serial(5);
    let keys =
        "keys: { k: { algorithm: hmac-sha256, secret: \"c2VjcmV0IGtleSBtYXRlcmlhbCBvZiAzMiBieXRlcyE=\" } }";
    let with_key = zone("a.test", old.address).replace("] }], allow", "], key: k }], allow");
    let daemon = Daemon::start(keys, &with_key);
    // The primary knows no seals: what it sends is not taken.
    daemon.wait("a failure", |daemon| daemon.log().contains("tsig-missing"));
    assert_eq!(serial(daemon.address(), "a.test"), None);
    daemon.configure(&zone("a.test", old.address));
    assert_eq!(daemon.order(&["reload"]).code, 0);
    daemon.until_loaded("a.test.");
    assert_eq!(serial(daemon.address(), "a.test"), Some(1));
    daemon.configure(&zone("a.test", new.address));
    assert_eq!(daemon.order(&["reload"]).code, 0);
    daemon.wait("the other primary's serial", |daemon| serial(daemon.address(), "a.test") == Some(5));
    let closed = zone("a.test", new.address).replace("allow-transfer", "allow-query: [], allow-transfer");
    daemon.configure(&closed);
    let probes = new.probes();
    assert_eq!(daemon.order(&["reload"]).out, "changed a.test.\n");
    // Who may have the zone may always have its SOA.
    assert_eq!(rcode(&ask(daemon.address(), "a.test", NS)), 5);
    assert_eq!(new.probes(), probes, "another access list is no reason to ask the primary");
}

/// One key, `k.`, of this secret, and a zone that uses it.
fn sealed(secret: &str, primary: &Primary) -> (String, String) {
    let keys = format!("keys: {{ k: {{ algorithm: hmac-sha256, secret: \"{secret}\" }} }}");
    (keys, zone("a.test", primary.address).replace("] }], allow", "], key: k }], allow"))
}

#[test]
fn another_secret_of_the_same_key_is_in_force_at_once() {
    let primary = Primary::sealed("bmV3IHNlY3JldA==");
    let (old, zones) = sealed("b2xkIHNlY3JldA==", &primary);
    let mut daemon = Daemon::start(&old, &zones);
    daemon.wait("a failure", |daemon| daemon.said("refresh.failed", "a.test."));
    assert_eq!(serial(daemon.address(), "a.test"), None);
    let (new, zones) = sealed("bmV3IHNlY3JldA==", &primary);
    daemon.configure_extra(&new, &zones);
    assert_eq!(daemon.order(&["reload"]).out, "changed a.test.\n");
    daemon.until_loaded("a.test.");
}

#[test]
fn a_primary_whose_clock_is_wrong_is_told_once_until_it_is_right_again() {
    let primary = Primary::sealed("c2VjcmV0");
    let (keys, zones) = sealed("c2VjcmV0", &primary);
    let daemon = Daemon::start(&keys, &zones);
    daemon.until_loaded("a.test.");
    let told = |ahead: u64| {
        primary.set_clock(ahead);
        let count = |event: &str| daemon.events().iter().filter(|e| e["event"] == event).count();
        let before = count("refresh.current");
        assert_eq!(daemon.order(&["refresh", "a.test"]).code, 0);
        // The log comes a moment later than the answer.
        daemon.wait("the outcome in the log", |_| count("refresh.current") > before);
        count("primary.skewed")
    };
    assert_eq!([50, 120, 120, 200, 0, 100].map(told), [0, 1, 1, 1, 1, 2]);
}

#[test]
fn a_lower_bound_of_expire_ends_a_zone_sooner_in_log_and_answers() {
    let daemon = Daemon::start("", &zone("a.test", Primary::start().address));
    daemon.until_loaded("a.test.");
    let dead = zone("a.test", "127.0.0.1:1".parse().unwrap());
    daemon.configure(&dead.replace("allow-transfer", "expire-bounds: [1s, 2s], allow-transfer"));
    assert_eq!(daemon.order(&["reload"]).code, 0);
    daemon.wait("SERVFAIL", |daemon| rcode(&ask(daemon.address(), "a.test", SOA)) == 2);
    daemon.wait("a word about it", |daemon| daemon.said("zone.expired", "a.test."));
    assert_eq!(daemon.status("a.test")["state"], "expired");
}

#[test]
fn what_holds_after_a_restart_is_told_each_time() {
    let zones = zone("a.test", Primary::start().address);
    let mut daemon = Daemon::start("", &zones);
    daemon.listen = "\"127.0.0.1:1\"".into();
    daemon.configure_extra("limits: { tcp-clients: 7 }", &zones);
    for _ in 0..2 {
        let ended = daemon.order(&["reload"]);
        assert_eq!(ended.code, 0);
        assert!(ended.out.contains("`listen`") && ended.out.contains("`limits`"), "{}", ended.out);
    }
    daemon.until_loaded("a.test.");
    assert_eq!(serial(daemon.address(), "a.test"), Some(1));
}

#[test]
fn a_dry_run_tells_and_changes_nothing_and_a_hangup_is_a_reload() {
    let primary = Primary::start();
    let daemon = Daemon::start("", &zone("a.test", primary.address));
    daemon.until_loaded("a.test.");
    daemon.configure(&zone("b.test", primary.address));
    let told = daemon.order(&["reload", "--dry-run"]);
    assert!(told.out.starts_with("added b.test.\nremoved a.test.\n"), "{}", told.out);
    assert_eq!(serial(daemon.address(), "a.test"), Some(1));
    assert_eq!(rcode(&ask(daemon.address(), "b.test", SOA)), 5);
    daemon.signal(Signal::SIGHUP);
    daemon.until_loaded("b.test.");
    assert_eq!(rcode(&ask(daemon.address(), "a.test", SOA)), 5);
    // Many at once: the last state of the file is the one in force.
    for _ in 0..20 {
        daemon.configure(&zone("b.test", primary.address));
        daemon.signal(Signal::SIGHUP);
    }
    daemon.configure(&zone("c.test", primary.address));
    daemon.signal(Signal::SIGHUP);
    daemon.wait("the last one", |daemon| daemon.said("zone.published", "c.test."));
}

#[test]
fn a_zone_that_comes_back_is_answered_from_disk_with_its_clock_unchanged() {
    let primary = Primary::start();
    let both = [zone("a.test", primary.address), zone("b.test", primary.address)].concat();
    let daemon = Daemon::start("", &both);
    daemon.until_loaded("a.test.");
    daemon.until_loaded("b.test.");
    let before = daemon.status("a.test")["expires_in"].as_f64().unwrap();
    daemon.configure(&zone("b.test", primary.address));
    assert_eq!(daemon.order(&["reload"]).out, "removed a.test.\n");
    assert_eq!(rcode(&ask(daemon.address(), "a.test", SOA)), 5, "REFUSED");
    for command in ["status", "refresh", "retransfer"] {
        assert_eq!(daemon.order(&[command, "a.test"]).code, 4);
    }
    std::thread::sleep(std::time::Duration::from_secs(2));
    // Its primary is dead when it comes back.
    let back = [zone("a.test", "127.0.0.1:1".parse().unwrap()), zone("b.test", primary.address)].concat();
    daemon.configure(&back);
    assert_eq!(daemon.order(&["reload"]).out, "added a.test.\n");
    assert_eq!(serial(daemon.address(), "a.test"), Some(1));
    let after = daemon.status("a.test")["expires_in"].as_f64().unwrap();
    assert!(before - after >= 1.5 && before - after < 30.0, "{before} {after}");
    daemon.wait("a word about it", |daemon| daemon.said("zone.restored", "a.test."));
}

#[test]
fn one_who_waits_for_a_round_hears_of_its_end_whatever_becomes_of_the_zone() {
    let (hanging, good) = (Primary::start(), Primary::start());
    hanging.set_gate(false);
    let hang = [zone("a.test", hanging.address), zone("b.test", hanging.address)].concat();
    let daemon = Daemon::start("", &hang);
    daemon.wait("transfers", |_| hanging.transfers() == 2);
    let waiting: Vec<_> =
        ["a.test", "a.test", "b.test"].map(|zone| daemon.ordering(&["refresh", zone])).into();
    std::thread::sleep(std::time::Duration::from_millis(300));
    // One gets another primary, one goes.
    daemon.configure(&zone("a.test", good.address));
    assert_eq!(daemon.order(&["reload"]).code, 0);
    let ends: Vec<_> = waiting.into_iter().map(crate::daemon::Ordering::wait).collect();
    assert_eq!(ends.iter().map(|end| end.code).collect::<Vec<_>>(), [0, 0, 1], "{ends:?}");
    assert!(ends[2].out.contains("cancelled"), "{ends:?}");
}
