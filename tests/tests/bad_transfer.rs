//! Transfers that break a rule: the current version stays served and the log says which rule it was.
//!
//! A proxy between BIND and secondo changes what BIND sends.

use interop::pair::Setting;
use interop::proxy::{self, Act, Passing, Proxy, qtype};
use interop::secondo::Mark;
use interop::wait::SOON;
use interop::zonefile::Timers;
use interop::{Config, Key, Plan, Port, Primary, Secondo, Software, Zone, config, dig, peers, primary};

/// BIND behind a proxy, and secondo before it, serving the zone at its first serial.
struct Scene {
    primary: Box<dyn Primary>,
    proxy: Proxy,
    secondo: Secondo,
    zone: Zone,
    key: Option<Key>,
}

impl Scene {
    fn new(key: Option<&Key>, primary_lines: &[&str]) -> Self {
        Self::with_zone(Zone::ordinary("lies.test.").with_hosts(4000), key, primary_lines, &[])
    }

    fn with_zone(zone: Zone, key: Option<&Key>, primary_lines: &[&str], zone_lines: &[&str]) -> Self {
        let port = Port::free();
        let mut plan = Plan::of(&zone).notify(port.at_loopback());
        plan.key = key.cloned();
        let primary = primary::start(Software::Bind, plan);
        let proxy = Proxy::before(primary.address());
        let lines = [&["allow-transfer: [{ address: 127.0.0.1 }]"], zone_lines].concat();
        let config = Config::new()
            .primary_with("upstream", &[proxy.address()], key, primary_lines)
            .zone(&zone.apex, "upstream", &lines);
        let secondo = Secondo::start(port, &config);
        secondo.until_published(Mark::START, &zone.apex, zone.serial);
        Self { primary, proxy, secondo, zone, key: key.cloned() }
    }

    /// Publishes the next version while the proxy lies, and gives the reason that the log names.
    fn fails(&mut self, rule: impl FnMut(Passing<'_>) -> Act + Send + 'static) -> String {
        let before = dig::zone(self.secondo.address(), &self.zone.apex, None);
        let served = dig::serial(self.secondo.address(), &self.zone.apex).expect("it serves something");
        let mark = self.secondo.mark();
        self.proxy.rule(rule);
        self.zone = self.zone.plus(&[&format!("new{} 60 IN A 192.0.2.120", self.zone.serial)]);
        self.primary.publish(&self.zone);
        let failed = self.secondo.event(mark, "transfer.failed", |e| e.is_about(&self.zone.apex));
        let after = dig::zone(self.secondo.address(), &self.zone.apex, None);
        dig::assert_same_records(&self.zone.apex, &before, &after);
        assert_eq!(
            dig::serial(self.secondo.address(), &self.zone.apex),
            Some(served),
            "{}",
            self.secondo.tail()
        );
        failed.text("reason").to_owned()
    }

    /// The proxy is honest again: the next attempt brings the version.
    fn recovers(&self) {
        self.proxy.honest();
        self.secondo.control(&["refresh", "--no-wait", &self.zone.apex]);
        self.secondo.until_serving(&self.zone.apex, self.zone.serial, SOON);
        let key = self.key.as_ref();
        dig::assert_same_zone(&self.zone.apex, self.primary.address(), key, self.secondo.address(), None);
    }
}

/// Changes the first message of a full transfer in which `edit` finds something to change.
fn once(
    edit: impl Fn(&Passing<'_>) -> Option<Vec<u8>> + Send + 'static,
) -> impl FnMut(Passing<'_>) -> Act + Send {
    move |passing| {
        if passing.asked != qtype::AXFR {
            return Act::Pass;
        }
        edit(&passing).map_or(Act::Pass, Act::Replace)
    }
}

/// An address record's type, class, TTL and length, as the zone's hosts have them.
const HOST: &[u8] = &[0, 1, 0, 1, 0, 0, 0x0e, 0x10, 0, 4];
/// The apex's SOA in the first message: a pointer to the question, type and class.
const SOA: &[u8] = &[0xc0, 12, 0, 6, 0, 1];

#[test]
fn every_broken_rule_is_named_and_loses_nothing() {
    if !peers::ready(&[Software::Bind]) {
        return;
    }
    let mut scene = Scene::new(None, &["ixfr: false"]);

    let reason = scene.fails(|p| if p.asked == qtype::AXFR && p.index == 1 { Act::Cut } else { Act::Pass });
    assert!(
        reason == "truncated-stream" || reason == "connection-reset",
        "a stream that ends early: {reason}"
    );
    scene.recovers();

    let serial = scene.zone.serial + 1;
    let reason = scene.fails(once(move |p| {
        (p.index > 0)
            .then(|| proxy::with_last(p.bytes, &serial.to_be_bytes(), &(serial + 1).to_be_bytes()))
            .flatten()
    }));
    assert_eq!(reason, "soa-mismatch", "another serial in the closing SOA");
    scene.recovers();

    // The parent's name instead of the zone's.
    let parent = 12 + 1 + u8::try_from("lies".len()).expect("short");
    let other = [0xc0, parent, 0, 6, 0, 1];
    let reason =
        scene.fails(once(move |p| (p.index == 0).then(|| proxy::with_first(p.bytes, SOA, &other)).flatten()));
    assert!(reason == "soa-missing" || reason == "soa-foreign", "a SOA of another owner: {reason}");

    let reason = scene.fails(once(|p| {
        (p.index == 0).then(|| proxy::with_first(p.bytes, SOA, &[0xc0, 12, 0, 6, 0, 3])).flatten()
    }));
    assert!(reason == "wrong-class" || reason == "soa-missing", "a SOA of another class: {reason}");

    let reason = scene.fails(once(|p| {
        (p.index == 1)
            .then(|| proxy::with_first(p.bytes, HOST, &[0, 1, 0, 3, 0, 0, 0x0e, 0x10, 0, 4]))
            .flatten()
    }));
    assert_eq!(reason, "wrong-class", "a record of another class in the middle");

    let reason = scene.fails(once(|p| {
        (p.index == 1)
            .then(|| proxy::with_first(p.bytes, HOST, &[0, 1, 0, 1, 0, 0, 0x0e, 0x10, 0xff, 0xff]))
            .flatten()
    }));
    assert_eq!(reason, "malformed-message", "a length that reaches past the message");

    let reason = scene.fails(once(|p| {
        (p.index == 1)
            .then(|| proxy::with_first(p.bytes, HOST, &[0, 255, 0, 1, 0, 0, 0x0e, 0x10, 0, 4]))
            .flatten()
    }));
    assert_eq!(reason, "meta-type", "a record of type ANY");

    let reason = scene.fails(once(|p| (p.index == 1).then(|| proxy::replaced(p.bytes, 6, &[0xff, 0xff]))));
    assert_eq!(reason, "malformed-message", "more records promised than sent");

    let reason = scene.fails(once(|p| (p.index == 1).then(|| p.bytes[..p.bytes.len() - 3].to_vec())));
    assert_eq!(reason, "malformed-message", "a message cut short");

    let reason = scene.fails(once(|p| (p.index == 1).then(|| [p.bytes, &[0, 0, 1]].concat())));
    assert_eq!(reason, "malformed-message", "octets behind the last record");

    let reason = scene.fails(once(|p| (p.index == 1).then(|| proxy::replaced(p.bytes, 0, &[!p.bytes[0]]))));
    assert_eq!(reason, "bad-answer", "another message id");

    let reason = scene.fails(once(|p| (p.index == 0).then(|| proxy::error(p.bytes, 5))));
    assert_eq!(reason, "refused");

    let reason = scene.fails(once(|p| (p.index == 1).then(|| proxy::error(p.bytes, 2))));
    assert_eq!(reason, "server-failure", "an error in the middle");
    scene.recovers();

    let panicked = scene.secondo.tail().contains("panicked");
    assert!(!panicked, "{}", scene.secondo.tail());
}

#[test]
fn a_record_outside_the_zone_is_dropped_with_one_warning() {
    if !peers::ready(&[Software::Bind]) {
        return;
    }
    let mut scene = Scene::new(None, &["ixfr: false"]);
    let parent = 12 + 1 + u8::try_from("lies".len()).expect("short");
    scene.proxy.rule(once(move |p| {
        let outside = [b"\x05host1\xc0".as_slice(), &[parent]].concat();
        (p.index == 0).then(|| proxy::with_first(p.bytes, b"\x05host1\xc0\x0c", &outside)).flatten()
    }));
    let mark = scene.secondo.mark();
    scene.zone = scene.zone.plus(&["new 60 IN A 192.0.2.121"]);
    scene.primary.publish(&scene.zone);
    scene.secondo.until_published(mark, &scene.zone.apex, scene.zone.serial);
    let theirs = dig::zone(scene.primary.address(), &scene.zone.apex, None);
    let ours = dig::zone(scene.secondo.address(), &scene.zone.apex, None);
    assert_eq!(theirs.len(), ours.len() + 1);
    assert!(!ours.iter().any(|r| r.starts_with("host1.")));
}

#[test]
fn one_octet_changed_under_a_key_is_a_bad_signature() {
    if !peers::ready(&[Software::Bind]) {
        return;
    }
    let key = Key::make("watch.key", "hmac-sha256");
    let mut scene = Scene::new(Some(&key), &["ixfr: false"]);
    let reason = scene.fails(once(|p| {
        // The last octet of an address: the message stays well-formed.
        let at = p.bytes.windows(HOST.len()).position(|window| window == HOST)? + HOST.len() + 3;
        (p.index == 1).then(|| proxy::replaced(p.bytes, at, &[!p.bytes[at]]))
    }));
    assert_eq!(reason, "tsig-badsig");
    scene.recovers();
    // The signature taken off: the TSIG is the last record of a message (RFC 8945 §5.1).
    let reason = scene.fails(once(|p| {
        (p.index == 0).then(|| {
            let at = p.bytes.windows(4).rposition(|window| window == [0, 250, 0, 255])?;
            let owner = at - interop::types::wire_name("watch.key.").len();
            Some(proxy::replaced(&p.bytes[..owner], 11, &[p.bytes[11] - 1]))
        })?
    }));
    assert_eq!(reason, "tsig-missing");
    scene.recovers();
}

#[test]
fn a_broken_difference_leads_to_the_whole_zone() {
    if !peers::ready(&[Software::Bind]) {
        return;
    }
    type Edit = fn(&Passing<'_>) -> Option<Act>;
    let edits: &[(&str, Edit)] = &[
        ("ixfr-not-implemented", |p| Some(Act::Replace(proxy::error(p.bytes, 4)))),
        ("ixfr-format-error", |p| Some(Act::Replace(proxy::error(p.bytes, 1)))),
        ("ixfr-server-failure", |p| Some(Act::Replace(proxy::error(p.bytes, 2)))),
        ("ixfr-cut", |p| {
            // RFC 1995 §4: the closing SOA is lost with the connection.
            let last = p.bytes.windows(4).rposition(|w| w == [0, 6, 0, 1])? - 2;
            let short = &p.bytes[..last];
            let count = u16::from_be_bytes([p.bytes[6], p.bytes[7]]) - 1;
            (p.index == 0).then(|| Act::Replace(proxy::replaced(short, 6, &count.to_be_bytes())))
        }),
        ("ixfr-absent-record", |p| {
            let gone = [192, 0, 2, 123];
            proxy::with_first(p.bytes, &gone, &[192, 0, 2, 124]).map(Act::Replace)
        }),
    ];
    for (expected, edit) in edits {
        let mut zone = Zone::ordinary("lies.test.").with_hosts(50);
        zone.records.push("leaving 60 IN A 192.0.2.123".into());
        let mut scene = Scene::with_zone(zone, None, &[], &[]);
        let mark = scene.secondo.mark();
        let cut_after = *expected == "ixfr-cut";
        let edit = *edit;
        let mut lied = false;
        scene.proxy.rule(move |passing| {
            if passing.asked != qtype::IXFR {
                return Act::Pass;
            }
            if lied && cut_after {
                return Act::Cut;
            }
            lied = true;
            edit(&passing).unwrap_or(Act::Pass)
        });
        scene.zone = scene.zone.minus("leaving ").plus(&["arriving 60 IN A 192.0.2.122"]);
        scene.zone.serial -= 1;
        scene.primary.publish(&scene.zone);
        if !cut_after {
            let fallback = scene.secondo.zone_event(mark, "transfer.fallback", &scene.zone.apex);
            assert_eq!(fallback.text("reason"), *expected, "{}", fallback.line());
            scene.secondo.until_published(mark, &scene.zone.apex, scene.zone.serial);
            let finished = scene.secondo.zone_event(mark, "transfer.finished", &scene.zone.apex);
            assert_eq!(finished.text("kind"), "axfr", "{}", finished.line());
        }
        scene.recovers();
    }
}

#[test]
fn a_probe_goes_over_tcp_when_udp_is_lost_or_cut() {
    if !peers::ready(&[Software::Bind]) {
        return;
    }
    let mut scene = Scene::with_zone(Zone::ordinary("lies.test.").with_hosts(50), None, &[], &[]);
    for round in 0..2 {
        let mark = scene.secondo.mark();
        scene.proxy.rule(move |passing| match (passing.udp, round) {
            (false, _) => Act::Pass,
            (true, 0) => Act::Cut,
            // RFC 7766 §5: TC set, nothing else worth reading.
            (true, _) => {
                let short = proxy::error(passing.bytes, 0);
                Act::Replace(proxy::replaced(&short, 2, &[short[2] | 2]))
            }
        });
        scene.zone = scene.zone.plus(&[&format!("r{round} 60 IN A 192.0.2.125")]);
        scene.primary.publish(&scene.zone);
        scene.secondo.until_published(mark, &scene.zone.apex, scene.zone.serial);
    }
    scene.recovers();
}

/// Neither a refusal, nor an answer without authority, nor an older serial renews a zone.
#[test]
fn only_a_good_answer_keeps_a_zone_alive() {
    if !peers::ready(&[Software::Bind]) {
        return;
    }
    type Edit = fn(&[u8]) -> Vec<u8>;
    let edits: [(&str, Edit); 4] = [
        ("refused", |m| proxy::error(m, 5)),
        ("server-failure", |m| proxy::error(m, 2)),
        ("not-authoritative", |m| proxy::replaced(m, 2, &[m[2] & !4])),
        ("serial-behind", |m| {
            let old = 2024_u32;
            proxy::with_first(m, &old.to_be_bytes(), &(old - 1).to_be_bytes()).unwrap_or_else(|| m.to_vec())
        }),
    ];
    for (expected, edit) in edits {
        let zone = Zone::ordinary("lies.test.").timers(Timers { expire: 3, ..Timers::SHORT });
        let scene = Scene::with_zone(zone, None, &[], config::SHORT_BOUNDS);
        let mark = scene.secondo.mark();
        scene.proxy.rule(move |passing| Act::Replace(edit(passing.bytes)));
        let failed = scene.secondo.event(mark, "refresh.failed", |e| e.text("reason") == expected);
        assert!(failed.is_about(&scene.zone.apex), "{}", failed.line());
        scene.secondo.zone_event(mark, "zone.expired", &scene.zone.apex);
        let response = dig::ask(scene.secondo.address(), &[&scene.zone.apex, "SOA"]);
        assert_eq!((response.status.as_str(), response.errors.as_slice()), ("SERVFAIL", &[24][..]));
        scene.proxy.honest();
        scene.secondo.until_serving(&scene.zone.apex, scene.zone.serial, SOON);
    }
}

/// A serial that went back at the primary is said, and `retransfer` takes it when the operator wants it.
#[test]
fn a_serial_that_went_back_is_taken_only_on_order() {
    if !peers::ready(&[Software::Nsd]) {
        return;
    }
    let zone = Zone::ordinary("back.test.");
    let mut pair = Setting::of(Software::Nsd, &zone).start();
    let mut older = zone.plus(&["new 60 IN A 192.0.2.126"]);
    older.serial = zone.serial - 10;
    pair.primary.stop();
    pair.primary.publish(&older);
    let mark = pair.secondo.mark();
    pair.primary.start();
    pair.secondo.control(&["refresh", "--no-wait", &zone.apex]);
    pair.secondo.event(mark, "refresh.failed", |e| e.text("reason") == "serial-behind");
    assert_eq!(dig::serial(pair.secondo.address(), &zone.apex), Some(zone.serial));
    let (worked, output) = pair.secondo.control(&["retransfer", &zone.apex]);
    assert!(worked, "{output}\n{}", pair.secondo.tail());
    pair.secondo.until_serving(&zone.apex, older.serial, SOON);
    pair.assert_same(&older);
}
