//! The real daemon against primaries that break one rule each: the current version stays served, whole, and the log
//! names the rule; when the primary is honest again, the next version comes.

use std::path::Path;
use std::time::{Duration, Instant};

use secondo_demo::{Daemon, Event, Folder};
use secondo_sim::{
    Algorithm, Fault, Key, Kind, Name, Primary, RecordType, Script, Setup, Zone, ask, fetch, read_zone,
};

/// For what should take milliseconds, on a machine under load.
const LIMIT: Duration = Duration::from_secs(30);

fn apex() -> Name {
    Name::parse("lies.example.").expect("a valid name")
}

fn zone() -> Zone {
    let hosts: String = (1..200).map(|n| format!("host{n} A 192.0.2.{n}\n")).collect();
    let text = format!("$TTL 300\n@ SOA ns hostmaster 7 3600 600 86400 60\n@ NS ns\nns A 192.0.2.1\n{hosts}");
    read_zone(&text, &apex()).expect("a zone")
}

fn key() -> Key {
    let name = Name::parse("transfer-key.").expect("a valid name");
    Key::new(name, Algorithm::HmacSha256, b"a secret that both sides know...").expect("a key")
}

/// A primary and the daemon, which serves the zone at its first serial.
struct Scene {
    primary: Primary,
    daemon: Daemon,
    /// Dropped after the daemon.
    _folder: Folder,
}

impl Scene {
    /// `lines`: more of the primary in the configuration.
    fn new(sealed: bool, lines: &str) -> Scene {
        let folder = Folder::fresh().expect("a folder");
        let program = Path::new(env!("CARGO_BIN_EXE_secondo-demo"));
        let mut daemon = Daemon::new(program, folder.path()).expect("a free port");
        let keys = if sealed { vec![key()] } else { Vec::new() };
        let secondaries = vec![daemon.address()];
        let setup = Setup { keys, secondaries, notify_tries: 20, ..Setup::default() };
        let primary = Primary::start([zone()], setup).expect("a primary");
        let known = "keys: { transfer-key: { algorithm: hmac-sha256, \
                     secret: \"YSBzZWNyZXQgdGhhdCBib3RoIHNpZGVzIGtub3cuLi4=\" } }\n";
        let using = if sealed { "    key: transfer-key\n" } else { "" };
        let address = primary.address();
        daemon
            .configure(&format!(
                "{known}primaries:\n  liar:\n    addresses: [\"{address}\"]\n{using}{lines}\
                 zones:\n  - name: lies.example\n    primaries: [liar]\n    allow-transfer: [{{ address: 127.0.0.1 }}]\n"
            ))
            .expect("the folder can be written");
        daemon.start().expect("the daemon can be started");
        let scene = Scene { primary, daemon, _folder: folder };
        scene.event(0, "zone.published", |e| e.serial() == Some(7));
        scene
    }

    fn event(&self, mark: usize, name: &str, right: impl Fn(&Event) -> bool) -> Event {
        let start = Instant::now();
        let found =
            || self.daemon.log().find(mark, Duration::from_millis(50), |e| e.name() == name && right(e));
        loop {
            if let Some(event) = found() {
                return event;
            }
            assert!(start.elapsed() < LIMIT, "no {name} in:\n{}", self.daemon.log().tail(40));
        }
    }

    /// The next version at the primary, and a NOTIFY.
    fn change(&self, lines: &str) {
        self.primary.change(&apex(), lines).expect("a change");
        self.primary.notify(&apex()).expect("the NOTIFY is answered");
    }

    fn served(&self) -> Zone {
        fetch(self.daemon.address(), &apex(), None, LIMIT).expect("the zone can be fetched")
    }

    /// The primary lies by `script` about its next version; the failed transfer as the log tells it. Afterwards the
    /// version before is served, record by record, and an honest version after it comes.
    fn fails(&self, script: Script) -> Event {
        let mark = self.daemon.log().mark();
        self.primary.follow(script);
        self.change("+ new 300 A 192.0.2.201");
        let failed = self.event(mark, "transfer.failed", |_| true);
        self.event(mark, "refresh.failed", |_| true);
        assert_eq!(self.served().digest(), zone().digest(), "{}", self.daemon.log().tail(20));
        self.recovers();
        failed
    }

    fn recovers(&self) {
        let mark = self.daemon.log().mark();
        self.primary.follow(Script::honest());
        self.change("+ newer 300 A 192.0.2.202");
        let serial = self.primary.serial(&apex()).map(|serial| serial.0);
        self.event(mark, "zone.published", |e| e.serial() == serial);
        let theirs = self.primary.zone(&apex()).expect("the zone is there");
        assert_eq!(self.served().digest(), theirs.digest());
        let answer = ask(
            self.daemon.address(),
            &Name::parse("newer.lies.example.").expect("a name"),
            RecordType::A,
            LIMIT,
        );
        assert_eq!(answer.expect("an answer").answers.len(), 1);
    }
}

/// The reason, and words of the detail that tell which rule was broken.
fn assert_named(failed: &Event, reasons: &[&str], rule: &str) {
    let (reason, detail) = (failed.text("reason"), failed.text("detail"));
    assert!(reasons.contains(&reason), "{reason}: {detail}; expected one of {reasons:?}");
    assert!(detail.contains(rule), "{reason}: {detail:?} does not tell {rule:?}");
}

/// Lies in a full transfer.
macro_rules! full {
    ($($name:ident: $fault:expr => [$($reason:literal)|+], $rule:literal;)+) => {
        mod a_full_transfer {
            use super::*;
            $(
                #[test]
                fn $name() {
                    let scene = Scene::new(false, "    ixfr: false\n    idle-timeout: 1s\n    transfer-timeout: 3s\n");
                    let failed = scene.fails(Script::honest().always(Kind::Axfr, $fault));
                    assert_named(&failed, &[$($reason),+], $rule);
                }
            )+
        }
    };
}

full! {
    that_ends_early: Fault::CloseAfter(700) => ["truncated-stream" | "connection-reset"], "";
    that_ends_inside_a_length: Fault::CloseAfter(1) => ["truncated-stream" | "connection-reset"], "";
    that_ends_without_its_closing_soa: Fault::NoClosingSoa => ["truncated-stream"], "RFC 5936 §2.2";
    that_never_comes: Fault::Silence => ["timeout" | "too-slow"], "";
    that_comes_octet_by_octet: Fault::Drip(Duration::from_millis(400)) => ["too-slow"], "";
    that_begins_with_another_record: Fault::NoOpeningSoa => ["soa-missing"], "RFC 5936 §2.2";
    with_the_soa_of_another_owner: Fault::ForeignSoa => ["soa-missing" | "soa-foreign"], "RFC 5936 §2.2";
    with_a_soa_below_the_apex: Fault::InnerSoa => ["soa-foreign"], "inner.lies.example.";
    with_another_closing_soa: Fault::WrongSoa => ["soa-mismatch"], "RFC 5936 §2.2";
    with_a_record_behind_its_end: Fault::BehindEnd => ["soa-misplaced"], "RFC 5936 §2.2";
    of_another_class: Fault::BadClass => ["wrong-class"], "RFC";
    with_a_record_that_is_no_data: Fault::MetaType => ["meta-type"], "RFC 6895 §3.1";
    with_data_that_does_not_fit: Fault::BadRdata => ["bad-rdata"], "short.lies.example.";
    with_a_count_too_high: Fault::CountTooHigh => ["malformed-message"], "RFC 1035 §4.1";
    with_octets_left_over: Fault::Trailing => ["malformed-message"], "RFC 1035 §4.1";
    with_octets_missing: Fault::CutMessage => ["malformed-message"], "RFC 1035 §4.1";
    with_a_pointer_to_itself: Fault::PointerLoop => ["malformed-message"], "RFC 1035 §4.1";
    with_garbage: Fault::Garbage => ["bad-answer" | "malformed-message"], "RFC";
    with_another_id: Fault::WrongId => ["bad-answer"], "RFC";
    with_another_question: Fault::WrongQuestion => ["bad-answer"], "RFC";
    that_is_truncated: Fault::Truncate => ["bad-answer"], "RFC";
    that_is_refused: Fault::Rcode(5) => ["refused"], "REFUSED";
    that_fails: Fault::Rcode(2) => ["server-failure"], "SERVFAIL";
}

/// Lies under a seal.
macro_rules! sealed {
    ($($name:ident: $fault:expr => $reason:literal, $rule:literal;)+) => {
        mod a_sealed_transfer {
            use super::*;
            $(
                #[test]
                fn $name() {
                    let scene = Scene::new(true, "    ixfr: false\n");
                    let failed = scene.fails(Script::honest().always(Kind::Axfr, $fault));
                    assert_named(&failed, &[$reason], $rule);
                }
            )+
        }
    };
}

sealed! {
    with_a_bad_signature: Fault::BadSignature => "tsig-badsig", "RFC 8945";
    without_its_seal: Fault::Unsigned => "tsig-missing", "RFC 8945";
    without_its_last_seal: Fault::UnsignedEnd => "tsig-missing", "RFC 8945";
    from_another_time: Fault::Clock(7200) => "tsig-badtime", "RFC 8945";
    of_another_class: Fault::BadClass => "wrong-class", "RFC";
}

/// Lies in differences: the whole zone is fetched instead, at once.
macro_rules! differences {
    ($($name:ident: $fault:expr => $reason:literal;)+) => {
        mod differences {
            use super::*;
            $(
                #[test]
                fn $name() {
                    let scene = Scene::new(false, "");
                    let mark = scene.daemon.log().mark();
                    scene.primary.follow(Script::honest().always(Kind::Ixfr, $fault));
                    scene.change("- host9 A 192.0.2.9\n+ host9 300 A 192.0.2.209");
                    let fallback = scene.event(mark, "transfer.fallback", |_| true);
                    assert_eq!(fallback.text("reason"), $reason);
                    let published = scene.event(mark, "zone.published", |e| e.serial() == Some(8));
                    assert_eq!(published.text("kind"), "axfr");
                    let theirs = scene.primary.zone(&apex()).expect("the zone is there");
                    assert_eq!(scene.served().digest(), theirs.digest());
                }
            )+
        }
    };
}

differences! {
    that_delete_what_is_not_there: Fault::AbsentDelete => "ixfr-absent-record";
    that_start_elsewhere: Fault::BrokenChain => "ixfr-broken-chain";
    that_are_cut: Fault::NoClosingSoa => "ixfr-cut";
    that_are_empty: Fault::Empty => "ixfr-empty";
    that_are_malformed: Fault::BadRdata => "ixfr-malformed";
    of_another_class: Fault::BadClass => "ixfr-malformed";
    that_are_not_implemented: Fault::Rcode(4) => "ixfr-not-implemented";
    that_are_not_understood: Fault::Rcode(1) => "ixfr-format-error";
    that_fail: Fault::Rcode(2) => "ixfr-server-failure";
}

/// Lies in the answer to a probe: no renewal, no transfer.
macro_rules! probes {
    ($($name:ident: $fault:expr => $reason:literal;)+) => {
        mod a_probe {
            use super::*;
            $(
                #[test]
                fn $name() {
                    // A primary that is asked for differences gets no probe after its NOTIFY.
                    let scene = Scene::new(false, "    ixfr: false\n");
                    let mark = scene.daemon.log().mark();
                    scene.primary.world().clear_asked();
                    scene.primary.follow(Script::honest().always(Kind::Soa, $fault));
                    scene.change("+ new 300 A 192.0.2.201");
                    let failed = scene.event(mark, "refresh.failed", |_| true);
                    assert_eq!(failed.text("reason"), $reason, "{}", failed.text("detail"));
                    assert_eq!(scene.served().digest(), zone().digest());
                    let asked = scene.primary.asked();
                    assert!(asked.iter().all(|asked| asked.rtype == RecordType::SOA), "{asked:?}");
                    scene.recovers();
                }
            )+
        }
    };
}

probes! {
    that_is_refused: Fault::Rcode(5) => "refused";
    that_fails: Fault::Rcode(2) => "server-failure";
    without_authority: Fault::NotAuthoritative => "not-authoritative";
    with_an_older_serial: Fault::Serial(6) => "serial-behind";
    with_a_serial_that_cannot_be_compared: Fault::Serial(0x8000_0007) => "serial-incomparable";
    of_another_owner: Fault::ForeignSoa => "bad-answer";
    of_another_class: Fault::BadClass => "bad-answer";
    that_is_malformed: Fault::Trailing => "malformed-message";
    of_another_id: Fault::WrongId => "bad-answer";
}

#[test]
fn records_outside_the_zone_are_dropped_and_told_once() {
    let scene = Scene::new(false, "    ixfr: false\n");
    let mark = scene.daemon.log().mark();
    scene.primary.follow(Script::honest().always(Kind::Axfr, Fault::OutOfZone));
    scene.change("+ new 300 A 192.0.2.201");
    scene.event(mark, "zone.published", |e| e.serial() == Some(8));
    let theirs = scene.primary.zone(&apex()).expect("the zone is there");
    assert_eq!(scene.served().digest(), theirs.digest());
    let told = scene.daemon.log().since(mark);
    let warnings = told.iter().filter(|e| e.text("level") == "WARN" && e.name() == "transfer.finished");
    assert_eq!(warnings.count(), 1, "{}", scene.daemon.log().tail(20));
}
