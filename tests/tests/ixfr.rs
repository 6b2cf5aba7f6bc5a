//! Incremental transfers (RFC 1995).

use interop::pair::Setting;
use interop::{Key, Pair, Software, Zone, each_primary, peers};

fn a_change_arrives_as_a_difference(software: Software) {
    let key = Key::make("ixfr-key", "hmac-sha256");
    let zone = Zone::ordinary("diff.test.").with_hosts(500);
    let mut pair = Pair::start(software, &zone, Some(&key), &[]);

    let next = zone.plus(&["new 60 IN A 192.0.2.80", "new 60 IN TXT \"came later\""]);
    let finished = pair.change(&next);
    let kind = finished.text("kind");
    if software.offers_ixfr() {
        assert_eq!(kind, "ixfr", "{}", finished.line());
        assert_eq!(finished.number("from_serial"), Some(zone.serial.into()), "{}", finished.line());
    } else {
        assert!(kind == "axfr" || kind == "axfr-style", "{}", finished.line());
    }
    pair.assert_same(&next);

    // Deletions, a whole name gone, a TTL changed, and the apex touched.
    let mut last = next.minus("host7 ").minus("www ").minus("@ 3600 IN MX");
    last.records.push("@ 1800 IN MX 20 mail".into());
    last.records.retain(|r| !r.starts_with("mail "));
    last.records.push("mail 77 IN A 192.0.2.2".into());
    let finished = pair.change(&last);
    if software.offers_ixfr() {
        assert_eq!(finished.text("kind"), "ixfr", "{}", finished.line());
    }
    let records = pair.assert_same(&last);
    assert!(!records.iter().any(|r| r.starts_with("host7.")), "what was deleted is gone");
}
each_primary!(a_change_arrives_as_a_difference);

fn a_chain_of_changes_missed_while_down_arrives_at_once(software: Software) {
    let zone = Zone::ordinary("chain.test.").with_hosts(200);
    let mut pair = Pair::start(software, &zone, None, &[]);
    pair.secondo.stop();
    let mut current = zone.clone();
    for round in 0..4 {
        let added = format!("round{round} 60 IN TXT \"{round}\"");
        current = current.plus(&[&added]);
        if round > 0 {
            current = current.minus(&format!("round{} ", round - 1));
        }
        pair.primary.publish(&current);
    }
    let mark = pair.secondo.mark();
    pair.secondo.start_again();
    // What was kept is served before the primary is asked.
    pair.secondo.zone_event(mark, "zone.restored", &zone.apex);
    pair.secondo.order(&["refresh", "--no-wait", &zone.apex]);
    pair.secondo.until_published(mark, &zone.apex, current.serial);
    if software.offers_ixfr() {
        let finished = pair.secondo.zone_event(mark, "transfer.finished", &zone.apex);
        assert_eq!(finished.text("kind"), "ixfr", "{}", finished.line());
        assert_eq!(finished.number("from_serial"), Some(zone.serial.into()), "{}", finished.line());
    }
    pair.assert_same(&current);
}
each_primary!(a_chain_of_changes_missed_while_down_arrives_at_once);

#[test]
fn a_primary_that_has_no_difference_sends_the_zone() {
    if !peers::ready(&[Software::Knot]) {
        return;
    }
    let zone = Zone::ordinary("nodiff.test.");
    let mut pair = Pair::start(Software::Knot, &zone, None, &[]);
    // The zone file moves on while the primary is down: its journal knows nothing of the step.
    pair.primary.stop();
    let next = zone.plus(&["new 60 IN A 192.0.2.81"]);
    let mut far = next.clone();
    far.serial += 100;
    pair.primary.publish(&far);
    let mark = pair.secondo.mark();
    pair.primary.start();
    pair.secondo.control(&["refresh", "--no-wait", &zone.apex]);
    pair.secondo.until_published(mark, &zone.apex, far.serial);
    let finished = pair.secondo.zone_event(mark, "transfer.finished", &zone.apex);
    assert!(["axfr", "axfr-style"].contains(&finished.text("kind")), "{}", finished.line());
    pair.assert_same(&far);
}

#[test]
fn a_primary_that_must_not_be_asked_is_not_asked() {
    if !peers::ready(&[Software::Bind]) {
        return;
    }
    let zone = Zone::ordinary("full.test.").with_hosts(100);
    let mut pair = Setting::of(Software::Bind, &zone).primary_lines(&["ixfr: false"]).start();
    let next = zone.plus(&["new 60 IN A 192.0.2.82"]);
    let finished = pair.change(&next);
    assert_eq!(finished.text("kind"), "axfr", "{}", finished.line());
    pair.assert_same(&next);
}
