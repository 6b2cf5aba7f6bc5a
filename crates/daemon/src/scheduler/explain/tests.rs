//! Cases made by hand, for what is hard to bring about.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use secondo_lifecycle::{Cause, PrimaryId, Step, Target, Validity};
use secondo_tsig::{Algorithm, Key};
use secondo_wire::{Class, Reason, Serial, Soa};

use super::{Case, Doing, Known, KnownDown, explain, lines};
use crate::config::{self, PrimaryConfig};
use crate::control::{Explanation, Health, NewerVersion, Sentences, ZoneStatus};
use crate::primary::{Did, Roll};
use crate::scheduler::trouble::{NoIxfr, Try};

const NOW: Duration = Duration::from_secs(10_000);

/// Whose primary is asked over UDP and TCP.
fn case() -> Case {
    case_of("")
}

/// Whose primary is asked over TLS, and from another address than the system would choose.
fn tls() -> Case {
    case_of(", source: [127.0.0.9], transport: tls, tls: { name: ns.example, ca-file: ca.pem }")
}

fn case_of(more: &str) -> Case {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secondo.yaml");
    let authority = rcgen::generate_simple_self_signed(["ns.example".to_owned()]).unwrap();
    fs::write(folder.path().join("ca.pem"), authority.cert.pem()).unwrap();
    let text = format!(
        "listen: [\"127.0.0.1:53\"]\n\
        keys: {{ k: {{ algorithm: hmac-sha256, secret: \"c2VjcmV0IGtleSBtYXRlcmlhbCBvZiAzMiBieXRlcyE=\" }} }}\n\
        primaries: {{ hidden: {{ addresses: [\"127.0.0.1:5300\"], key: k{more} }} }}\n\
        zones: [{{ name: a.test, primaries: [hidden], max-records: 7 }}]\n"
    );
    fs::write(&path, text).unwrap();
    let config = config::load(&path).unwrap();
    Case {
        status: ZoneStatus {
            zone: "a.test.".into(),
            state: Health::Current,
            activity: "waiting".into(),
            serial: Some(8),
            confirmed_ago: Some(600.0),
            next_in: Some(60.0),
            expires_in: Some(3000.0),
            primary: Some("127.0.0.1:5300".into()),
            transport: None,
            source: Some("ixfr".into()),
            durable: true,
            problems: Vec::new(),
            records: Some(5),
            last_error: None,
            unanswered: Vec::new(),
            newer: None,
        },
        now: NOW,
        wall: 0,
        validity: Validity::Current {
            until: NOW + Duration::from_secs(3000),
            life: Duration::from_secs(3600),
        },
        since: Duration::from_secs(7200),
        soa: None,
        settings: Arc::clone(&config.zones[0].settings),
        limits: config.server.limits.clone(),
        state_dir: "/var/lib/secondo".into(),
        doing: Doing::Waits(Duration::from_secs(60), Cause::Retry),
        tries: Vec::new(),
        ixfr: None,
        disk: None,
        contacts: Vec::new(),
    }
}

/// The case with a failed attempt.
fn failed(mut case: Case, step: Step, reason: Reason, detail: &str) -> Case {
    let primary = Arc::clone(&case.settings.primaries[0]);
    let target = Target { primary: PrimaryId(1), address: primary.addresses[0] };
    let at = case.now.saturating_sub(Duration::from_secs(5));
    case.tries.push((
        primary,
        Try {
            target,
            step,
            reason,
            serial: Some(Serial(9)),
            detail: detail.into(),
            key: None,
            cut_short: false,
            at,
        },
    ));
    case
}

fn assert_has(explanation: &Explanation, sentences: &[&str]) {
    let text = explanation.text();
    for sentence in sentences {
        assert!(text.contains(sentence), "no {sentence:?} in\n{text}");
    }
}

#[test]
fn every_reason_is_told_with_its_cause_what_is_served_what_comes_next_and_what_to_do() {
    for &reason in Reason::ALL {
        let step = if reason.class() == Class::IxfrUnavailable { Step::Ixfr } else { Step::Axfr };
        let told = explain(&failed(tls(), step, reason, "the detail"));
        let Sentences { state, tried, next, advice } = &told.sentences;
        assert!(
            state[0].contains("serial 8") && state[0].contains("is answered from"),
            "{reason}: {state:?}"
        );
        let down = reason == Reason::PrimaryDown;
        assert!(tried[0].contains(if down { "since it is down" } else { reason.code() }), "{tried:?}");
        assert!(down || tried[0].contains("the detail"), "{reason}: {tried:?}");
        assert!(next[0].contains("In 1m ") && next[1].contains("in 50m"), "{reason}: {next:?}");
        let advice = advice.join("\n");
        assert!(advice.contains("hidden") || advice.contains('`'), "{reason}: {advice}");
        assert!(!advice.contains("key - ") && advice.len() > 40, "{reason}: {advice}");
        assert_eq!(told.attempts[0].reason, reason.code());
        assert_eq!(told.attempts[0].keys, ["k."]);
    }
}

#[test]
fn a_firewall_that_lets_udp_alone_pass_is_told_by_what_came_over_udp() {
    let mut case = failed(case(), Step::Ixfr, Reason::Timeout, "no connection within 5 s");
    case.status.newer = Some(NewerVersion { serial: 9, ago: 400.0 });
    assert_has(
        &explain(&case),
        &[
            "A primary told of serial 9, which is newer, 6m 40s ago; it is not served yet.",
            "its SOA comes, over UDP, but a connection over TCP, which every transfer needs, does not: a firewall drops it",
        ],
    );
}

#[test]
fn advice_is_on_the_key_that_the_reason_is_of() {
    for (reason, said) in [
        (Reason::Refused, "must have the zone a.test and let key second (hmac-sha256) transfer it"),
        (Reason::TsigBadKey, "does not know a key second with algorithm hmac-sha256"),
        (Reason::TsigBadSig, "The secrets of key second differ"),
        (Reason::TsigMissing, "we asked with key second"),
    ] {
        let mut case = failed(case(), Step::Axfr, reason, "");
        let (primary, failed) = &mut case.tries[0];
        let second = Key::new("second.".parse().unwrap(), Algorithm::HmacSha256, b"secret").unwrap();
        failed.key = Some(second.name().clone());
        Arc::make_mut(primary).keys.push(second);
        let told = explain(&case).sentences.advice.join("\n");
        assert!(told.contains(said) && !told.contains("key k "), "{reason}: {told}");
    }
}

#[test]
fn a_transfer_that_stops_is_not_told_to_be_one_that_cannot_begin() {
    let mut case = failed(case(), Step::Axfr, Reason::Timeout, "ended after 2 records; silent for 30 s");
    case.status.newer = Some(NewerVersion { serial: 9, ago: 400.0 });
    case.tries[0].1.cut_short = true;
    let told = explain(&case);
    assert_has(
        &told,
        &[
            "the connection is made, and then the answer stops. The primary is stuck, or packets of full size do not pass",
            "  dig @127.0.0.1 -p 5300 -b 127.0.0.1 -y hmac-sha256:k:SECRET a.test AXFR +tcp\n",
            "  ping -c 3 -M do -s 1472 127.0.0.1\n",
            "to ask at once: `secondo refresh a.test`.",
        ],
    );
    assert!(!told.text().contains("lets no TCP pass") && !told.text().contains("does not: a firewall"));
}

#[test]
fn files_in_commands_are_found_from_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().canonicalize().unwrap();
    fs::create_dir(real.join("sec")).unwrap();
    assert_eq!(lines::absolute(&real.join("sec/../ca.pem")), real.join("ca.pem"));
    let here = std::env::current_dir().unwrap().canonicalize().unwrap();
    assert_eq!(lines::absolute("ca.pem".as_ref()), here.join("ca.pem"));
    assert!(lines::absolute("missing/ca.pem".as_ref()).is_absolute());
}

#[test]
fn commands_for_a_primary_over_tls_ask_over_tls_and_from_the_address_that_we_ask_from() {
    let (plain, over_tls) =
        ("127.0.0.1:5300", "@127.0.0.1 -p 5300 -b 127.0.0.9 a.test SOA +norecurse +tls +tls-ca=");
    let told = explain(&failed(tls(), Step::Probe, Reason::Timeout, ""));
    assert_has(
        &told,
        &[
            over_tls,
            "ca.pem +tls-hostname=ns.example",
            "-connect 127.0.0.1:5300 -alpn dot -servername ns.example",
        ],
    );
    let told = explain(&failed(case(), Step::Probe, Reason::Timeout, ""));
    assert_has(&told, &[plain, " -b 127.0.0.1 a.test SOA +norecurse +tcp"]);
    assert!(!told.text().contains("+tls"), "{}", told.text());
}

#[test]
fn a_rejected_version_is_told_with_its_serial_and_when_it_is_asked_for_again() {
    let told = explain(&failed(case(), Step::Axfr, Reason::GuardEmpty, "5 records before, 2 now"));
    assert_has(
        &told,
        &[
            "5s ago hidden (127.0.0.1:5300) was asked for the whole zone, over TCP, with key k. (hmac-sha256): guard-empty, \
             5 records before, 2 now. Serial 9 arrived whole and is not fit to serve.",
            "Until it expires, in 50m, the zone is answered from.",
            "Mend the zone at hidden (127.0.0.1:5300) and raise its serial;",
        ],
    );
}

#[test]
fn limits_are_told_by_the_name_that_the_configuration_has_for_them() {
    for (reason, limit) in [
        (Reason::LimitBytes, "`max-size: 4GiB` (so much). If it should be, raise `max-size` for this zone"),
        (
            Reason::LimitRecords,
            "`max-records: 7` (so much). If it should be, raise `max-records` for this zone",
        ),
        (Reason::LimitRrset, "`limits: rrset-records: 65535` (so much)."),
        (Reason::LimitTypes, "`limits: name-types: 200` (so much)."),
        (Reason::TooSlow, "`minimum-rate: 10KiB`"),
    ] {
        assert_has(&explain(&failed(case(), Step::Axfr, reason, "so much")), &[limit]);
    }
}

#[test]
fn of_a_primary_that_is_down_the_cause_is_told_and_advised_on() {
    let mut case = failed(case(), Step::Probe, Reason::PrimaryDown, "");
    let primary = Arc::clone(&case.settings.primaries[0]);
    let down = KnownDown {
        since: Duration::from_secs(3600),
        reason: Reason::Timeout,
        detail: "no answer".into(),
        again: Duration::from_secs(90),
        zones: 3000,
    };
    case.contacts.push(Known {
        address: primary.addresses[0],
        primary,
        skew: None,
        roll: None,
        down: Some(down),
    });
    assert_has(
        &explain(&case),
        &[
            "5s ago hidden (127.0.0.1:5300) was not asked, since it is down.",
            "has given no sign of life for 1h (timeout, no answer). 3000 zones ask there in the same way, and one of them asks for all: again in \
             1m 30s.",
            "it is down, the address is wrong, or a firewall drops packets (UDP and TCP must pass both ways).",
        ],
    );
}

#[test]
fn a_zone_whose_primaries_were_found_down_by_others_is_not_told_to_ask_at_once_and_to_need_nothing() {
    let mut case = case();
    case.doing = Doing::Waits(Duration::ZERO, Cause::Refresh);
    let primary = Arc::clone(&case.settings.primaries[0]);
    let (reason, detail) = (Reason::ConnectionRefused, "connecting".into());
    let again = Duration::from_secs(147);
    let down = KnownDown { since: Duration::from_secs(3), reason, detail, again, zones: 2 };
    let address = primary.addresses[0];
    case.contacts.push(Known { address, primary, skew: None, roll: None, down: Some(down) });
    let told = explain(&case);
    assert_has(
        &told,
        &[
            "again in 2m 27s.",
            "Next\n  In 2m 27s a primary is asked whether it has a newer version",
            "To do\n  See that hidden (127.0.0.1:5300) runs and can be reached from here: the host is there",
        ],
    );
    assert!(!told.text().contains("Nothing.") && !told.text().contains("In 0s"), "{}", told.text());
    // Before that it has something else to do.
    case.doing = Doing::Waits(Duration::from_secs(600), Cause::Refresh);
    assert_has(&explain(&case), &["In 10m a primary is asked"]);
    // With another that lives, it is asked when it is time.
    let mut settings = (*case.settings).clone();
    let mut other = PrimaryConfig::clone(&settings.primaries[0]);
    other.name = "other".into();
    settings.primaries = [Arc::clone(&settings.primaries[0]), Arc::new(other)].into();
    case.settings = Arc::new(settings);
    case.doing = Doing::Waits(Duration::from_secs(1), Cause::Refresh);
    assert_has(&explain(&case), &["In 1s a primary is asked", "To do\n  Nothing."]);
}

#[test]
fn differences_that_fail_again_and_again_are_told_with_what_to_purge() {
    let mut case = case();
    let primary = Arc::clone(&case.settings.primaries[0]);
    let target = Target { primary: PrimaryId(1), address: primary.addresses[0] };
    let at = NOW.saturating_sub(Duration::from_secs(30));
    case.ixfr = Some((
        primary,
        NoIxfr { target, reason: Reason::IxfrAbsentRecord, detail: String::new(), at, times: 3 },
    ));
    assert_has(
        &explain(&case),
        &[
            "IXFR from hidden (127.0.0.1:5300) did not do, 3 times in a row, last 30s ago (ixfr-absent-record)",
            "`rndc sync -clean a.test`",
            "`primaries: hidden: ixfr: false`",
        ],
    );
}

#[test]
fn a_zone_that_the_disk_refused_is_told_with_what_the_disk_said() {
    let mut case = case();
    case.status.durable = false;
    case.disk = Some("No space left on device".into());
    assert_has(
        &explain(&case),
        &[
            "It is not on disk: the disk refused it (No space left on device).",
            "See to the disk under /var/lib/secondo: No space left on device: free space and inodes (`df -h`, `df -i`)",
        ],
    );
}

#[test]
fn a_roll_of_keys_is_told_step_by_step_to_its_end() {
    let name = |text: &str| text.parse().unwrap();
    let did = |key: &str, zone: &str, transfer, ago| {
        let at = NOW.saturating_sub(Duration::from_secs(ago));
        Some(Did { key: name(key), zone: name(zone), transfer, at })
    };
    let told_of = |first, others: Vec<Did>, more| {
        let mut case = case();
        let mut primary = PrimaryConfig::clone(&case.settings.primaries[0]);
        let key = |key: &str| Key::new(name(key), Algorithm::HmacSha256, b"secret").unwrap();
        primary.keys = ["new.", "old."].map(key).to_vec();
        let until = NOW + Duration::from_secs(60);
        let roll = Some(Roll { first, others, more, until, ..Roll::default() });
        let address = primary.addresses[0];
        case.contacts.push(Known { address, primary: Arc::new(primary), skew: None, roll, down: None });
        explain(&case)
    };
    let told = |first, other: Option<Did>| told_of(first, other.into_iter().collect(), false);
    let new = |transfer, ago| did("new.", "a.test.", transfer, ago);
    assert_has(
        &told(None, did("old.", "a.test.", true, 5)),
        &[
            "hidden (127.0.0.1:5300) accepted key old. and not key new., for a transfer of a.test, 5s ago: it goes first for \
             1m more.",
            "Add key new at hidden (127.0.0.1:5300), and let it transfer there; `secondo retransfer a.test` tries it at once.",
        ],
    );
    assert_has(
        &told(new(true, 2), did("old.", "b.test.", false, 5)),
        &[
            "accepts key new., last 2s ago; key old. was last needed 5s ago, for the SOA of b.test.",
            "Whether b.test still needs key old, `secondo retransfer b.test` shows. As soon as no zone does, leave old out of",
        ],
    );
    let both = [did("old.", "c.test.", true, 6), did("old.", "b.test.", true, 5)];
    assert_has(
        &told_of(new(true, 2), both.into_iter().flatten().collect(), false),
        &[
            "key old. was last needed 5s ago, for a transfer of b.test and for another zone.",
            "As soon as no zone does, leave old out of",
        ],
    );
    assert_has(
        &told_of(new(true, 2), Vec::new(), true),
        &[
            "accepts key new., last 2s ago; another was needed for many zones.",
            "whether one still does, the log of hidden (127.0.0.1:5300) tells. As soon as none does, leave old out of",
        ],
    );
    assert_has(
        &told(new(false, 2), None),
        &["Key new does for the SOA; whether it may transfer, too, `secondo retransfer a.test` shows."],
    );
    assert_has(
        &told(new(true, 2), None),
        &[
            "accepts key new., last 2s ago; no other was needed since.",
            "As far as zones transferred since the start, or since this primary was last changed, the roll is at its end at hidden \
             (127.0.0.1:5300): leave old out of `primaries: hidden: keys`, then `secondo reload`.",
        ],
    );
}

#[test]
fn a_minimum_of_expire_is_told_to_hold_only_where_the_primary_did_not_tell_a_shorter_life() {
    let soa = |expire| Soa {
        mname: "ns.".parse().unwrap(),
        rname: "h.".parse().unwrap(),
        serial: Serial(8),
        refresh: 3600,
        retry: 600,
        expire,
        minimum: 60,
    };
    // The case's zone lives for an hour from its confirmation on, which is the least of the bounds.
    let mut case = Case { soa: Some(soa(600)), ..case() };
    assert_has(&explain(&case), &["The SOA's EXPIRE of 10m holds as 1h: `expire-bounds: [1h, 60d]`."]);
    case.validity =
        Validity::Current { until: NOW + Duration::from_secs(500), life: Duration::from_secs(600) };
    assert_has(
        &explain(&case),
        &["The SOA's EXPIRE of 10m is less than `expire-bounds` allow and is not raised: "],
    );
    case.soa = Some(soa(86_400 * 90));
    assert_has(&explain(&case), &["The SOA's EXPIRE of 90d holds as 60d: "]);
}
