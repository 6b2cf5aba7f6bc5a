//! What survives a stop and a crash while every primary is dead.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use interop::config::SHORT_BOUNDS;
use interop::wait::SOON;
use interop::zonefile::Timers;
use interop::{Key, Pair, Software, Zone, dig, each_primary, peers};

fn the_zone_is_served_again_at_once_though_its_primary_is_dead(software: Software) {
    let key = Key::make("restart.key", "hmac-sha512");
    let zone = Zone::ordinary("kept.test.").with_hosts(300);
    let mut pair = Pair::start(software, &zone, Some(&key), &[]);
    let next = zone.plus(&["new 60 IN A 192.0.2.96", "MixedCase 60 IN A 192.0.2.97"]);
    pair.change(&next);
    let before = pair.assert_same(&next);
    pair.primary.stop();

    for crash in [false, true, true, false] {
        if crash {
            pair.secondo.crash();
        } else {
            pair.secondo.stop();
        }
        let mark = pair.secondo.mark();
        pair.secondo.start_again();
        // Ready means that it answers.
        assert_eq!(
            dig::serial(pair.secondo.address(), &zone.apex),
            Some(next.serial),
            "{}",
            pair.secondo.tail()
        );
        let restored = pair.secondo.zone_event(mark, "zone.restored", &zone.apex);
        assert_eq!(restored.number("serial"), Some(next.serial.into()), "{}", restored.line());
        let after = dig::zone(pair.secondo.address(), &zone.apex, None);
        dig::assert_same_records(&zone.apex, &before, &after);
    }

    // And life goes on from there.
    let last = next.plus(&["newer 60 IN A 192.0.2.98"]);
    pair.primary.publish(&last);
    let mark = pair.secondo.mark();
    pair.primary.start();
    pair.secondo.control(&["refresh", "--no-wait", &zone.apex]);
    pair.secondo.until_published(mark, &zone.apex, last.serial);
    pair.assert_same(&last);
}
each_primary!(the_zone_is_served_again_at_once_though_its_primary_is_dead);

#[test]
fn the_expiry_clock_goes_on_across_crashes() {
    if !peers::ready(&[Software::Nsd]) {
        return;
    }
    let zone = Zone::ordinary("clock.test.").timers(Timers { expire: 9, ..Timers::SHORT });
    let mut pair = Pair::start(Software::Nsd, &zone, None, SHORT_BOUNDS);
    pair.primary.stop();
    // From here on nothing confirms the zone; a probe may have been under way.
    let dead_since = Instant::now();
    let limit = Duration::from_secs(9 + 2);
    let mut restarts = 0;
    loop {
        pair.secondo.crash();
        pair.secondo.start_again();
        restarts += 1;
        let asked = dead_since.elapsed();
        let response = dig::ask(pair.secondo.address(), &[&zone.apex, "SOA"]);
        if response.status == "SERVFAIL" {
            assert_eq!(response.errors, [24], "{}", response.text);
            assert!(asked > Duration::from_secs(7), "expired after {asked:?}, too early");
            break;
        }
        assert_eq!(response.status, "NOERROR", "{}", response.text);
        assert!(
            asked < limit,
            "not expired after {asked:?} and {restarts} restarts\n{}",
            pair.secondo.tail()
        );
    }
    assert!(restarts > 2, "the clock was looked at across {restarts} restarts only");

    // Expired stays expired across a restart, and is still revived by its primary.
    pair.secondo.stop();
    pair.secondo.start_again();
    pair.until_servfail(&zone, 24, SOON);
    pair.primary.start();
    pair.secondo.until_serving(&zone.apex, zone.serial, SOON);
}

#[test]
fn a_hundred_zones_are_all_there_after_a_crash() {
    if !peers::ready(&[Software::Knot]) {
        return;
    }
    let zones: Vec<Zone> = (0..100).map(|i| Zone::ordinary(&format!("z{i}.test."))).collect();
    let mut plan = interop::Plan::of(&zones[0]);
    plan.zones.clone_from(&zones);
    let mut primary = interop::primary::start(Software::Knot, plan);
    let config = interop::Config::new().primary("upstream", primary.address(), None);
    let config = zones.iter().fold(config, |config, zone| config.zone(&zone.apex, "upstream", &[]));
    let mut secondo = interop::Secondo::start(interop::Port::free(), &config);
    for zone in &zones {
        secondo.until_published(interop::secondo::Mark::START, &zone.apex, zone.serial);
    }
    primary.stop();
    secondo.crash();
    secondo.start_again();
    for zone in &zones {
        assert_eq!(dig::serial(secondo.address(), &zone.apex), Some(zone.serial), "{}", zone.apex);
    }
}

/// Killed again and again while versions arrive: what it comes back with is one of them, whole.
#[test]
fn a_crash_at_any_moment_leaves_a_whole_version() {
    if !peers::ready(&[Software::Knot]) {
        return;
    }
    let mut zone = Zone::ordinary("crash.test.").with_hosts(400);
    let mut pair = Pair::start(Software::Knot, &zone, None, &[]);
    let mut versions = BTreeMap::new();
    versions.insert(zone.serial, dig::zone(pair.primary.address(), &zone.apex, None));
    let mut seen = 0;
    for round in 0..12 {
        for step in 0..3 {
            let host = format!("host{} ", round * 3 + step);
            zone = zone.minus(&host);
            zone.records.push(format!("r{round}-{step} 60 IN TXT \"{}\"", "x".repeat(200)));
            pair.primary.publish(&zone);
            versions.insert(zone.serial, dig::zone(pair.primary.address(), &zone.apex, None));
        }
        // No waiting: the NOTIFY, the transfer or the commit is under way, or over.
        pair.secondo.crash();
        pair.primary.freeze(true);
        pair.secondo.start_again();
        let serial = dig::serial(pair.secondo.address(), &zone.apex).expect("something was kept");
        assert!(serial >= seen, "{serial} after {seen}");
        seen = serial;
        let ours = dig::zone(pair.secondo.address(), &zone.apex, None);
        dig::assert_same_records(&zone.apex, &versions[&serial], &ours);
        pair.primary.freeze(false);
    }
    pair.secondo.order(&["refresh", &zone.apex]);
    pair.secondo.until_serving(&zone.apex, zone.serial, SOON);
    pair.assert_same(&zone);
}
