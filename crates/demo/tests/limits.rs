//! The real daemon and zones beyond the bounds of its configuration: each is refused with a reason of its own, what was
//! served before stays served, and a version within the bounds comes.

use std::path::Path;
use std::time::{Duration, Instant};

use secondo_demo::{Daemon, Event, Folder};
use secondo_sim::{Name, Primary, Setup, fetch, read_zone};

/// For what should take milliseconds, on a machine under load.
const LIMIT: Duration = Duration::from_secs(30);

fn event(daemon: &Daemon, mark: usize, name: &str, right: impl Fn(&Event) -> bool) -> Event {
    let start = Instant::now();
    loop {
        let wait = Duration::from_millis(50);
        if let Some(event) = daemon.log().find(mark, wait, |e| e.name() == name && right(e)) {
            return event;
        }
        assert!(start.elapsed() < LIMIT, "no {name} in:\n{}", daemon.log().tail(40));
    }
}

/// `limits` and `zone`: more of these in the configuration. By IXFR and by AXFR alike, a hundred records of `more` are too
/// many.
fn refused(limits: &str, zone: &str, more: impl Fn(u32) -> String, reason: &str) {
    let apex = Name::parse("limits.example.").expect("a valid name");
    for ixfr in [true, false] {
        let folder = Folder::fresh().expect("a folder");
        let program = Path::new(env!("CARGO_BIN_EXE_secondo-demo"));
        let mut daemon = Daemon::new(program, folder.path()).expect("a free port");
        let secondaries = vec![daemon.address()];
        let setup = Setup { secondaries, notify_tries: 20, ..Setup::default() };
        let text = "$TTL 300\n@ SOA ns h 1 3600 600 86400 60\n@ NS ns\nns A 192.0.2.1\n";
        let primary = Primary::start([read_zone(text, &apex).expect("a zone")], setup).expect("a primary");
        let address = primary.address();
        daemon
            .configure(&format!(
                "primaries:\n  p:\n    addresses: [\"{address}\"]\n    ixfr: {ixfr}\n\
                 zones:\n  - name: limits.example\n    primaries: [p]\n    allow-transfer: [{{ address: 127.0.0.1 }}]\n{zone}"
            ))
            .expect("the folder can be written");
        let file = folder.path().join("secondo.yaml");
        let written = std::fs::read_to_string(&file).expect("the configuration");
        let more_limits = written.replace("limits: { ", &format!("limits: {{ {limits}"));
        std::fs::write(&file, more_limits).expect("the folder can be written");
        daemon.start().expect("the daemon can be started");
        event(&daemon, 0, "zone.published", |e| e.serial() == Some(1));
        let change = |sign: &str| {
            let mark = daemon.log().mark();
            let lines: String = (0..100).map(|n| format!("{sign} {}\n", more(n))).collect();
            primary.change(&apex, &lines).expect("a change");
            primary.notify(&apex).expect("the NOTIFY is answered");
            mark
        };
        let mark = change("+");
        event(&daemon, mark, "transfer.failed", |e| e.text("reason") == reason);
        event(&daemon, mark, "refresh.failed", |_| true);
        let served = fetch(daemon.address(), &apex, None, LIMIT).expect("the zone can be fetched");
        assert_eq!((served.serial().0, served.counts().records), (1, 3));
        let mark = change("-");
        event(&daemon, mark, "zone.published", |e| e.serial() == Some(3));
    }
}

#[test]
fn a_zone_larger_than_max_size_is_refused() {
    refused("", "    max-size: 4KiB\n", |n| format!("h{n} 300 TXT \"{}\"", "x".repeat(100)), "limit-bytes");
}

#[test]
fn a_zone_of_more_records_than_max_records_is_refused() {
    refused("", "    max-records: 50\n", |n| format!("h{n} 300 A 192.0.2.2"), "limit-records");
}

#[test]
fn an_rrset_of_more_records_than_rrset_records_is_refused() {
    refused("rrset-records: 50, ", "", |n| format!("h 300 A 192.0.2.{n}"), "limit-rrset");
}

#[test]
fn a_name_of_more_types_than_name_types_is_refused() {
    // `TYPE` and number, data of one octet (RFC 3597 §5).
    let types = |n| format!("h 300 TYPE{} \\# 1 07", 65_280 + n);
    refused("name-types: 50, ", "", types, "limit-types");
}

#[test]
fn a_zone_kept_from_before_is_served_though_name_types_is_lower_now() {
    let apex = Name::parse("limits.example.").expect("a valid name");
    let folder = Folder::fresh().expect("a folder");
    let mut daemon =
        Daemon::new(Path::new(env!("CARGO_BIN_EXE_secondo-demo")), folder.path()).expect("a free port");
    let setup = Setup { secondaries: vec![daemon.address()], notify_tries: 20, ..Setup::default() };
    let types: String = (0..60).map(|n| format!("h TYPE{} \\# 1 07\n", 65_280 + n)).collect();
    let text = format!("$TTL 300\n@ SOA ns h 1 3600 600 86400 60\n@ NS ns\nns A 192.0.2.1\n{types}");
    let primary = Primary::start([read_zone(&text, &apex).expect("a zone")], setup).expect("a primary");
    let address = primary.address();
    let configure = |daemon: &Daemon, limits: &str| {
        let zone = "zones:\n  - name: limits.example\n    primaries: [p]\n    allow-transfer: [{ address: 127.0.0.1 }]\n";
        let rest = format!("primaries:\n  p:\n    addresses: [\"{address}\"]\n{zone}");
        daemon.configure_within(limits, &rest).expect("the folder can be written");
    };
    configure(&daemon, "name-types: 60");
    daemon.start().expect("the daemon can be started");
    event(&daemon, 0, "zone.published", |e| e.serial() == Some(1));
    daemon.stop().expect("the daemon stops");
    let mark = daemon.log().mark();
    configure(&daemon, "name-types: 50");
    daemon.start().expect("what is kept is no obstacle");
    event(&daemon, mark, "zone.restored", |e| e.serial() == Some(1));
    let served = fetch(daemon.address(), &apex, None, LIMIT).expect("the zone can be fetched");
    assert_eq!((served.serial().0, served.counts().records), (1, 63));
    // Elsewhere, and there: what is there may change and become less, but not more.
    let change = |lines: &str| {
        let mark = daemon.log().mark();
        primary.change(&apex, lines).expect("a change");
        primary.notify(&apex).expect("the NOTIFY is answered");
        mark
    };
    let mark = change("- h TYPE65282 \\# 1 07\n+ h 300 TYPE65282 \\# 1 08\n");
    event(&daemon, mark, "zone.published", |e| e.serial() == Some(2));
    let mark = change("+ x 300 A 192.0.2.9\n- h TYPE65281 \\# 1 07\n");
    event(&daemon, mark, "zone.published", |e| e.serial() == Some(3));
    let mark = change("+ h 300 TYPE65281 \\# 1 07\n");
    event(&daemon, mark, "transfer.failed", |e| e.text("reason") == "limit-types");
}
