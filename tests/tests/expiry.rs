//! Refresh, retry, expiry and revival (RFC 1034 §4.3.5, RFC 1035 §3.3.13).

use std::time::{Duration, Instant};

use interop::config::SHORT_BOUNDS;
use interop::pair::Setting;
use interop::secondo::Mark;
use interop::wait::SOON;
use interop::zonefile::Timers;
use interop::{Config, Key, Pair, Plan, Port, Secondo, Software, Zone, dig, each_primary, peers, primary};

fn a_dead_primary_leads_to_retry_expiry_and_revival(software: Software) {
    let key = Key::make("expiry.key", "hmac-sha256");
    let zone = Zone::ordinary("mortal.test.").timers(Timers::SHORT);
    let mut pair = Pair::start(software, &zone, Some(&key), SHORT_BOUNDS);
    let dead_since = Instant::now();
    let mark = pair.secondo.mark();
    pair.primary.stop();

    // Retried, said, and answered from meanwhile.
    let failed = pair.secondo.event(mark, "refresh.failed", |e| e.is_about(&zone.apex));
    assert!(failed.has("reason") && failed.has("next_in"), "{}", failed.line());
    assert_eq!(dig::serial(pair.secondo.address(), &zone.apex), Some(zone.serial), "still answering");

    pair.secondo.zone_event(mark, "zone.expired", &zone.apex);
    let after = dead_since.elapsed();
    // The last confirmation was at most a refresh interval before the death.
    assert!(after > Duration::from_secs(3), "expired after {after:?} already");
    pair.until_servfail(&zone, 24, SOON);
    let transfer = dig::transfer(dig::Client::Dig, pair.secondo.address(), &zone.apex, None);
    assert!(transfer.is_err(), "an expired zone is not sent on either");

    // Back with the serial that we have: a confirmation is enough.
    let mark = pair.secondo.mark();
    pair.primary.start();
    pair.secondo.zone_event(mark, "zone.revived", &zone.apex);
    pair.secondo.until_serving(&zone.apex, zone.serial, SOON);
    pair.assert_same(&zone);
}
each_primary!(a_dead_primary_leads_to_retry_expiry_and_revival);

fn a_primary_that_comes_back_changed_revives_the_zone_too(software: Software) {
    let zone = Zone::ordinary("changed.test.").timers(Timers::SHORT);
    let mut pair = Pair::start(software, &zone, None, SHORT_BOUNDS);
    pair.primary.stop();
    pair.until_servfail(&zone, 24, SOON);
    let next = zone.plus(&["new 60 IN A 192.0.2.95"]);
    pair.primary.publish(&next);
    let mark = pair.secondo.mark();
    pair.primary.start();
    pair.secondo.until_published(mark, &zone.apex, next.serial);
    pair.assert_same(&next);
}
each_primary!(a_primary_that_comes_back_changed_revives_the_zone_too);

#[test]
fn a_primary_that_answers_keeps_the_zone_alive_past_its_expire_time() {
    if !peers::ready(&[Software::Nsd]) {
        return;
    }
    let zone = Zone::ordinary("alive.test.").timers(Timers { expire: 3, ..Timers::SHORT });
    let pair = Pair::start(Software::Nsd, &zone, None, SHORT_BOUNDS);
    let start = Instant::now();
    // Looked at all the time for twice its expire time.
    while start.elapsed() < Duration::from_secs(6) {
        assert_eq!(
            dig::serial(pair.secondo.address(), &zone.apex),
            Some(zone.serial),
            "{}",
            pair.secondo.tail()
        );
    }
    let expired = pair.secondo.events().iter().any(|e| e.name() == "zone.expired");
    assert!(!expired, "{}", pair.secondo.tail());
}

#[test]
fn a_primary_that_hangs_is_a_dead_primary() {
    if !peers::ready(&[Software::Bind]) {
        return;
    }
    let zone = Zone::ordinary("hung.test.").timers(Timers::SHORT);
    let mut pair = Pair::start(Software::Bind, &zone, None, SHORT_BOUNDS);
    let mark = pair.secondo.mark();
    pair.primary.freeze(true);
    pair.secondo.zone_event(mark, "zone.expired", &zone.apex);
    pair.until_servfail(&zone, 24, SOON);
    pair.primary.freeze(false);
    pair.secondo.zone_event(mark, "zone.revived", &zone.apex);
    pair.secondo.until_serving(&zone.apex, zone.serial, SOON);
}

#[test]
fn a_zone_is_fetched_as_soon_as_its_primary_first_appears() {
    if !peers::ready(&[Software::Knot]) {
        return;
    }
    let zone = Zone::ordinary("late.test.");
    let mut pair = Setting::of(Software::Knot, &zone).zone_lines(SHORT_BOUNDS).dead().launch();
    pair.until_servfail(&zone, 14, SOON);
    pair.primary.start();
    pair.secondo.until_published(interop::secondo::Mark::START, &zone.apex, zone.serial);
    pair.assert_same(&zone);
}

/// A primary that never notifies: the refresh timer alone finds the change.
fn a_change_is_found_by_the_refresh_timer(software: Software) {
    let zone = Zone::ordinary("silent.test.").timers(Timers { expire: 600, ..Timers::SHORT });
    let mut primary = primary::start(software, Plan::of(&zone));
    let config = Config::new().primary("upstream", primary.address(), None);
    let lines = [SHORT_BOUNDS, &["allow-transfer: [{ address: 127.0.0.1 }]"]].concat();
    let secondo = Secondo::start(Port::free(), &config.zone(&zone.apex, "upstream", &lines));
    secondo.until_published(Mark::START, &zone.apex, zone.serial);
    let mark = secondo.mark();
    let next = zone.plus(&["new 60 IN A 192.0.2.150"]);
    primary.publish(&next);
    secondo.until_published(mark, &zone.apex, next.serial);
    let notified = secondo.events().iter().any(|e| e.name().starts_with("notify."));
    assert!(!notified, "{}", secondo.tail());
    dig::assert_same_zone(&zone.apex, primary.address(), None, secondo.address(), None);
}
each_primary!(a_change_is_found_by_the_refresh_timer);
