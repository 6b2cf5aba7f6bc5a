//! `explain` and `status` as an operator reads them, each state with its key sentences.

use std::net::SocketAddr;

use serde_json::Value;

use crate::daemon::{Daemon, line, zone};
use crate::dns;
use crate::primary::{self, Primary};

const SECRET: &str = "c2VjcmV0IGtleSBtYXRlcmlhbCBvZiAzMiBieXRlcyE=";

/// Asserts that a text has all of these.
fn has(text: &str, sentences: &[&str]) {
    for sentence in sentences {
        assert!(text.contains(sentence), "no {sentence:?} in\n{text}");
    }
}

fn explain(daemon: &Daemon, zone: &str, code: i32) -> String {
    let ended = daemon.order(&["explain", zone]);
    assert_eq!(ended.code, code, "{ended:?}");
    ended.out
}

fn keys(names: &[&str]) -> String {
    let keys: Vec<String> = names
        .iter()
        .map(|name| format!("{name}: {{ algorithm: hmac-sha256, secret: \"{SECRET}\" }}"))
        .collect();
    format!("keys: {{ {} }}", keys.join(", "))
}

fn sealed(name: &str, at: SocketAddr, keys: &str, lines: &str) -> String {
    format!("  - {{ name: {name}, primaries: [{{ addresses: [\"{at}\"], keys: [{keys}] }}]{lines} }}\n")
}

#[test]
fn a_zone_that_was_never_loaded_tells_what_was_asked_of_whom_and_how_to_try_it() {
    let place = Primary::place();
    let daemon = Daemon::start("", &zone("a.test", place));
    daemon.wait("a failure", |daemon| daemon.said("refresh.failed", "a.test."));
    let text = explain(&daemon, "a.test", 1);
    has(
        &text,
        &[
            "a.test. was never loaded since it was configured here, ",
            "queries get SERVFAIL (EDE 14, Not Ready).",
            &format!("{place} was asked for the whole zone, over TCP, unsigned: connection-refused"),
            &format!("{place} has given no sign of life for "),
            "No other zone asks there in the same way (transport, TLS settings, source address): again in ",
            "the primaries are asked again.",
            "nothing listens at that port over TCP",
            &format!("dig @127.0.0.1 -p {} -b 127.0.0.1 a.test SOA +norecurse +tcp", place.port()),
        ],
    );
}

#[test]
fn a_quiet_zone_needs_nothing_and_tells_which_timers_do_not_hold() {
    let primary = Primary::start();
    let zones = format!(
        "  - {{ name: a.test, primaries: [{{ addresses: [\"{}\"] }}], refresh-bounds: [1m, 10m] }}\n",
        primary.address
    );
    let daemon = Daemon::start("", &zones);
    daemon.until_loaded("a.test.");
    let text = explain(&daemon, "a.test", 0);
    has(
        &text,
        &[
            "a.test. is current: serial 1 with 2 records is answered from.",
            "This version came by AXFR ",
            &format!("{} confirmed it ", primary.address),
            "it expires in 23h 59m unless one does so before.",
            "The SOA's REFRESH of 1h holds as 10m: `refresh-bounds: [1m, 10m]`.",
            "Nothing has failed since a primary last confirmed the zone.",
            "a primary is asked whether it has a newer version (REFRESH is 10m; ",
            "To do\n  Nothing.",
        ],
    );
    let json: Value = serde_json::from_str(&daemon.order(&["explain", "a.test", "--json"]).out).unwrap();
    assert_eq!((&json["zone"], &json["status"]["state"]), (&"a.test.".into(), &"current".into()));
    assert_eq!(
        (&json["attempts"], &json["status"]["problems"]),
        (&serde_json::json!([]), &serde_json::json!([]))
    );
    assert_eq!(json["sentences"]["advice"], serde_json::json!(["Nothing."]));
    assert_eq!(daemon.order(&["explain", "b.test"]).code, 4);
    assert_eq!(daemon.order(&["explain"]).code, 2);
    let reasons = daemon.order(&["explain", "--reasons"]);
    has(&reasons.out, &["tsig-badkey", "serial-behind", "guard-empty"]);
}

#[test]
fn a_clock_that_is_off_is_told_with_both_times_and_the_zone_expires_of_it() {
    let primary = Primary::sealed(SECRET);
    let zones = sealed(
        "a.test",
        primary.address,
        "k",
        ", refresh-bounds: [1s, 1s], retry-bounds: [1s, 1s], expire-bounds: [1s, 4s]",
    );
    let daemon = Daemon::start(&keys(&["k"]), &zones);
    daemon.until_loaded("a.test.");
    primary.set_clock(7200);
    daemon.wait("expiry", |daemon| daemon.said("zone.expired", "a.test."));
    daemon
        .wait("a failure since", |daemon| daemon.status("a.test")["last_error"]["reason"] == "tsig-badtime");
    let text = explain(&daemon, "a.test", 1);
    has(
        &text,
        &[
            "a.test. has expired, ",
            "Serial 1 is kept but not answered from; queries get SERVFAIL (EDE 24, Invalid Data).",
            "Whatever serial a primary has now will be taken.",
            "with key k. (hmac-sha256): tsig-badtime",
            "Set the clocks: ours shows ",
            " s ahead of ours, and 300 s are allowed.",
            "`chronyc tracking`",
        ],
    );
    assert!(text.contains("it is 7200 s ahead") || text.contains("it is 7199 s ahead"), "{text}");
    let problems = daemon.status("a.test")["problems"].clone();
    let problems: Vec<&str> =
        problems.as_array().unwrap().iter().map(|code| code.as_str().unwrap()).collect();
    assert!(problems.starts_with(&["expired"]) && problems.contains(&"clock-skewed"), "{problems:?}");
    // It recovers by itself, and nothing of it is left.
    primary.set_clock(0);
    daemon.wait("recovery", |daemon| daemon.order(&["explain", "a.test"]).out.ends_with("Nothing.\n"));
}

#[test]
fn a_serial_that_went_back_is_told_with_both_serials_and_both_ways_out() {
    let primary = Primary::start();
    primary.set_serial(7);
    let daemon = Daemon::start("", &zone("a.test", primary.address));
    daemon.until_loaded("a.test.");
    primary.set_serial(5);
    assert_eq!(daemon.order(&["refresh", "a.test"]).code, 1);
    let text = explain(&daemon, "a.test", 1);
    has(
        &text,
        &[
            "over UDP and, where that does not tell, TCP, unsigned: serial-behind",
            "has serial 5, which is older than serial 7 that is served here.",
            "raise its serial there (newer are 8 to 2147483654).",
            "take what it has now, whatever the serial: `secondo retransfer a.test`.",
            "the zone is answered from.",
        ],
    );
    let failed =
        daemon.events().into_iter().rfind(|e| e["event"] == "refresh.failed" && e["level"] == "WARN");
    let detail = failed.unwrap()["detail"].as_str().unwrap().to_string();
    assert!(detail.contains("the primary has serial 5; expires in 863"), "{detail}");
    let table = daemon.order(&["status", "--problems"]);
    has(&table.out, &["serial-behind", "1 zone: 1 current; 1 needs a person"]);
    assert_eq!(table.code, 1);
}

#[test]
fn a_transfer_that_waits_for_its_turn_tells_for_which_limit() {
    let primary = Primary::start();
    primary.set_gate(false);
    let zones = [zone("a.test", primary.address), zone("b.test", primary.address)].concat();
    let daemon = Daemon::start("limits: { transfers: 1 }", &zones);
    daemon.wait("one transfer", |_| primary.transfers() == 1);
    let texts = ["a.test", "b.test"].map(|name| daemon.order(&["explain", name]).out);
    let (waits, runs) = if texts[0].contains("admission") { (0, 1) } else { (1, 0) };
    has(
        &texts[waits],
        &[
            "for the whole zone has been waiting for admission for ",
            "`limits: transfers: 1` and `transfers-per-primary: 8` let no more run at once",
            "No primary has answered yet, and none has failed.",
        ],
    );
    has(&texts[runs], &["is being asked for the whole zone, since ", ", for the first time."]);
    primary.set_gate(true);
}

#[test]
fn a_notify_ahead_of_the_primary_is_told_with_its_serial() {
    let primary = Primary::start();
    let daemon = Daemon::start("", &zone("a.test", primary.address));
    daemon.until_loaded("a.test.");
    // NOTIFY with the SOA of serial 9 (RFC 1996 §3.7).
    let mut notify = dns::query(77, "a.test", dns::SOA);
    notify[2..4].copy_from_slice(&[0x24, 0]);
    notify[6..8].copy_from_slice(&[0, 1]);
    notify.extend(primary::soa(&dns::name("a.test"), 9));
    assert_eq!(dns::rcode(&dns::exchange(daemon.address(), &notify)), 0);
    daemon.wait("its hint", |daemon| daemon.order(&["explain", "a.test"]).out.contains("serial 9"));
    daemon.wait("the end of the round", |daemon| {
        daemon.order(&["explain", "a.test"]).out.contains(
            "A NOTIFY spoke of serial 9, which no primary had when it was asked: they are asked once more in ",
        )
    });
}

#[test]
fn a_dead_primary_of_many_zones_is_a_line_of_its_own_and_its_zones_are_summed_up() {
    const ZONES: usize = 600;
    let place = Primary::place();
    let zones: String = (0..ZONES).map(|n| zone(&format!("z{n}.test"), place)).collect();
    let daemon = Daemon::start("limits: { transfers: 4, transfers-per-primary: 4 }", &zones);
    let summed = |daemon: &Daemon| {
        daemon.events().into_iter().find(|e| e["event"] == "refresh.failed" && e["zone"].is_null())
    };
    daemon.wait("the summary", |daemon| summed(daemon).is_some());
    let said = summed(&daemon).unwrap();
    assert_eq!((&said["reason"], &said["primary"]), (&"primary-down".into(), &place.to_string().into()));
    has(said["detail"].as_str().unwrap(), &[" zones wait for it (z", " …); ", " not served"]);
    let loud = |e: &&Value| e["level"] == "WARN" || e["level"] == "ERROR";
    let lines = daemon.events().iter().filter(loud).count();
    assert!(lines < 30, "{lines} lines for one dead primary");
    // Zones come in the order of their names, in several lines, and are summed up.
    let status: Value = serde_json::from_str(&daemon.order(&["status", "--json"]).out).unwrap();
    let names: Vec<&str> =
        status["zones"].as_array().unwrap().iter().map(|zone| zone["zone"].as_str().unwrap()).collect();
    assert_eq!(names.len(), ZONES);
    assert!(names[0] == "z0.test." && names[ZONES - 1] == "z99.test.", "{} {}", names[0], names[ZONES - 1]);
    assert_eq!(
        (&status["summary"]["zones"], &status["summary"]["never_loaded"]),
        (&ZONES.into(), &ZONES.into())
    );
    let mut control = daemon.control();
    let first = line(&mut control, b"{\"command\":\"status\"}\n");
    assert_eq!(first["more"], true);
    assert!(first["zones"].as_array().unwrap().len() < ZONES);
    has(
        &explain(&daemon, "z5.test", 1),
        &["600 zones ask there in the same way, and one of them asks for all: again in "],
    );
    // One that is asked about by name comes alone.
    let named = daemon.order(&["status", "z5.test"]);
    has(&named.out, &["z5.test.", "1 zone: 1 never loaded; 1 needs a person"]);
}
