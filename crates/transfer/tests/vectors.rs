//! What other primaries really send: the same three versions of a zone from each, recorded on loopback. The first line
//! of a file under `vectors/` says from whom and what; each other line is one message.
//!
//! The versions are cross-checked: the first version and the differences must make what the full transfer of the last
//! version makes.

#[allow(dead_code, unreachable_pub, clippy::unwrap_used)]
#[path = "../src/testing.rs"]
mod testing;

use std::path::Path;

use secondo_transfer::{Arrived, Candidate, Fault, Kind, Request, Session, Step, Want};
use secondo_wire::{Serial, Soa};
use secondo_zone::{Limits, Zone};
use testing::{ID, NOW, content, name};

/// Recorded primaries, and how each answers IXFR.
const PRIMARIES: [(&str, Kind); 5] = [
    ("bind-many", Kind::Ixfr),
    ("bind-one", Kind::Ixfr),
    ("knot", Kind::Ixfr),
    ("nsd", Kind::Ixfr),
    ("pdns", Kind::AxfrStyle),
];

fn recorded(primary: &str, what: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let text =
        std::fs::read_to_string(folder.join(format!("{primary}-{what}.hex"))).expect("a recorded stream");
    let octet = |pair: &[u8]| {
        let digits = std::str::from_utf8(pair).expect("hexadecimal digits");
        u8::from_str_radix(digits, 16).expect("hexadecimal digits")
    };
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.as_bytes().chunks(2).map(octet).collect())
        .collect()
}

fn hear(want: Want, current: Option<&Zone>, messages: &[Vec<u8>]) -> Result<Arrived, Fault> {
    let (apex, secret) = (name("example."), testing::secret());
    let (mut session, _) = Session::new(Request {
        zone: &apex,
        want,
        current,
        secret: &secret,
        limits: Limits::default(),
        key: None,
        id: ID,
        edns: false,
        unix_now: NOW,
        forced: false,
    });
    for message in messages {
        if let Step::Done(arrived) = session.receive(message, NOW)? {
            return Ok(arrived);
        }
    }
    Err(session.cut())
}

fn version(want: Want, current: Option<&Zone>, messages: &[Vec<u8>]) -> Candidate {
    match hear(want, current, messages) {
        Ok(Arrived::Candidate(candidate)) => candidate,
        other => panic!("{other:?}"),
    }
}

fn first_and_last(primary: &str) -> (Zone, Zone) {
    let [first, last] = ["axfr-1", "axfr-3"].map(|what| {
        let candidate = version(Want::Axfr, None, &recorded(primary, what));
        assert_eq!(candidate.warnings(), [], "{primary}");
        candidate.zone().clone()
    });
    assert_eq!((first.serial(), last.serial()), (Serial(1), Serial(3)));
    (first, last)
}

#[test]
fn differences_of_every_primary_lead_to_what_its_full_transfer_gives() {
    for (primary, kind) in PRIMARIES {
        let (first, last) = first_and_last(primary);
        let candidate = version(Want::Ixfr, Some(&first), &recorded(primary, "ixfr"));
        assert_eq!(candidate.kind(), kind, "{primary}");
        assert_eq!(content(candidate.zone()), content(&last), "{primary}");
        assert_eq!(candidate.zone().digest(), last.digest(), "{primary}");
        let said: Vec<_> = candidate.warnings().iter().map(ToString::to_string).collect();
        match primary {
            // NSD 4.6.1 adds a record in each sequence that it did not delete and that is there: no harm.
            "nsd" => assert!(said.len() == 1 && said[0].contains("there already"), "{said:?}"),
            _ => assert!(said.is_empty(), "{primary}: {said:?}"),
        }
    }
}

#[test]
fn who_has_the_current_version_hears_so_from_every_primary() {
    for (primary, _) in PRIMARIES {
        let (_, last) = first_and_last(primary);
        let arrived = hear(Want::Ixfr, Some(&last), &recorded(primary, "same"));
        assert!(matches!(arrived, Ok(Arrived::UpToDate { soa, .. }) if soa.serial == Serial(3)), "{primary}");
    }
}

#[test]
fn a_version_that_a_primary_does_not_know_is_answered_with_the_whole_zone() {
    for (primary, _) in PRIMARIES {
        let (first, last) = first_and_last(primary);
        let mut older = content(&first);
        older[0].rdata = Soa { serial: Serial(0), ..first.soa().clone() }.to_rdata();
        let older = testing::build(&older);
        let candidate = version(Want::Ixfr, Some(&older), &recorded(primary, "unknown"));
        assert_eq!(candidate.kind(), Kind::AxfrStyle, "{primary}");
        assert_eq!(content(candidate.zone()), content(&last), "{primary}");
    }
}

#[test]
fn a_recorded_stream_that_is_cut_is_no_version() {
    for (primary, _) in PRIMARIES {
        let (first, _) = first_and_last(primary);
        for (want, what) in [(Want::Axfr, "axfr-3"), (Want::Ixfr, "ixfr")] {
            let messages = recorded(primary, what);
            for end in 0..messages.len() {
                assert!(hear(want, Some(&first), &messages[..end]).is_err(), "{primary} {what} {end}");
            }
        }
    }
}

#[test]
fn all_primaries_mean_the_same_zone() {
    let (_, expected) = first_and_last("bind-many");
    for (primary, _) in PRIMARIES {
        let (_, last) = first_and_last(primary);
        // Some fold the case of names; the digest does not look at it.
        let line = |rr: &testing::Rr| format!("{} {} {}", rr.owner.to_lower(), rr.rtype, rr.ttl);
        let lines = |zone: &Zone| content(zone).iter().map(line).collect::<Vec<_>>();
        assert_eq!(lines(&last), lines(&expected), "{primary}");
        assert_eq!(last.digest(), expected.digest(), "{primary}");
    }
}
