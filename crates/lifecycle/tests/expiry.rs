//! Until when a zone is answered from (RFC 1034 §4.3.5, RFC 7314).

mod stage;

use std::sync::Arc;

use secondo_lifecycle::{Confirmation, Event, Machine, Outcome, Urgency};
use secondo_wire::Reason;
use stage::*;

fn one() -> Stage {
    Stage::loaded(settings(vec![primary(1, 1)]))
}

/// Lets the primary be dead for so long.
fn dead_for(stage: &mut Stage, time: u64) {
    let end = stage.now.boot + seconds(time);
    while stage.now.boot < end {
        if stage.ask.is_some() {
            stage.fail(Reason::Timeout);
        }
        stage.pass(end - stage.now.boot);
    }
}

#[test]
fn a_zone_expires_at_its_deadline_and_polling_goes_on() {
    let mut stage = one();
    let until = stage.until().unwrap();
    dead_for(&mut stage, EXPIRE - 1);
    assert!(stage.is_current());
    dead_for(&mut stage, 1);
    assert_eq!(stage.now.boot, until);
    assert!(!stage.is_current());
    assert_eq!(stage.expired, 1);
    let before = stage.asked;
    dead_for(&mut stage, 86_400);
    assert!(stage.asked - before >= 24);
}

#[test]
fn an_event_after_the_deadline_meets_an_expired_zone() {
    let mut stage = one();
    stage.now.boot += seconds(EXPIRE);
    stage.notify(1, Some(1));
    assert_eq!(stage.expired, 1);
    assert_eq!(
        stage.asks(),
        probe(1, 1),
        "a hint at the serial held does not keep an expired zone from asking"
    );
}

#[test]
fn an_answer_after_the_deadline_revives_and_does_not_pretend() {
    let mut stage = one();
    stage.pass_until_asked();
    stage.now.boot += seconds(EXPIRE);
    stage.show(1);
    assert_eq!((stage.expired, stage.revived, stage.is_current()), (1, 1, true));
}

#[test]
fn a_version_whose_life_was_spent_on_the_way_is_not_served() {
    let mut stage = one();
    stage.notify(1, None);
    stage.show(2);
    stage.pass(seconds(6000));
    stage.publish(soa(2), Some(5000));
    assert_eq!((stage.expired, stage.is_current()), (1, false));
}

#[test]
fn a_notify_to_an_expired_zone_is_acted_on_whatever_its_hint() {
    let mut stage = one();
    dead_for(&mut stage, EXPIRE + 100_000);
    if stage.ask.is_some() {
        stage.fail(Reason::Timeout);
    }
    stage.notify(1, Some(1));
    assert_eq!(stage.asks(), probe(1, 1));
}

#[test]
fn a_zone_past_half_of_its_life_goes_before_the_ordinary_ones() {
    let mut stage = one();
    let until = stage.until().unwrap();
    stage.pass_until_asked();
    assert_eq!(stage.ask.unwrap().urgency, Urgency::Routine(until));
    dead_for(&mut stage, EXPIRE / 2);
    if stage.ask.is_none() {
        stage.pass_until_asked();
    }
    assert_eq!(stage.ask.unwrap().urgency, Urgency::Expiring(until));
    dead_for(&mut stage, EXPIRE);
    if stage.ask.is_none() {
        stage.pass_until_asked();
    }
    assert_eq!(stage.ask.unwrap().urgency, Urgency::NotServed);
}

#[test]
fn a_transfer_under_way_does_not_put_expiry_off() {
    let mut stage = one();
    dead_for(&mut stage, EXPIRE - 7200);
    stage.notify(1, Some(2));
    if stage.asks() != probe(1, 1) {
        stage.fail(Reason::Timeout);
    }
    stage.show(2);
    assert_eq!(stage.asks(), ixfr(1, 1, 1));
    stage.pass(seconds(7300));
    assert_eq!((stage.expired, stage.is_current()), (1, false));
    stage.publish(soa(2), None);
    assert_eq!((stage.revived, stage.left()), (1, seconds(EXPIRE)));
    assert_eq!(stage.asks(), None, "what expiry asked for has been done");
}

#[test]
fn the_same_serial_revives_an_expired_zone_without_transfer() {
    let mut stage = one();
    dead_for(&mut stage, EXPIRE + 100_000);
    if stage.ask.is_none() {
        stage.pass_until_asked();
    }
    assert_eq!(stage.asks(), probe(1, 1));
    stage.show(1);
    assert_eq!((stage.revived, stage.left(), stage.asks()), (1, seconds(EXPIRE), None));
}

#[test]
fn an_expired_zone_takes_any_serial_as_a_whole() {
    for serial in [0, 1 + (1 << 31), 2] {
        let mut stage = one();
        dead_for(&mut stage, EXPIRE + 10_000);
        if stage.ask.is_none() {
            stage.pass_until_asked();
        }
        stage.show(serial);
        assert_eq!(stage.asks(), axfr(1, 1));
        stage.publish(soa(serial), None);
        assert!(stage.is_current());
    }
}

#[test]
fn a_primary_behind_us_does_not_renew_and_serves_when_we_have_expired() {
    let mut stage = one();
    let until = stage.until();
    while stage.is_current() {
        stage.pass_until_asked();
        if stage.is_current() {
            stage.show(0);
            assert!(stage.until().is_none_or(|u| Some(u) == until));
        }
    }
    assert_eq!(stage.now.boot, until.unwrap(), "expiry itself begins a round");
    stage.show(0);
    assert_eq!(stage.asks(), axfr(1, 1));
}

#[test]
fn what_an_expired_zone_waited_for_while_it_was_served_binds_it_no_more() {
    let mut stage = one();
    stage.pass(seconds(EXPIRE - 100_000));
    while stage.is_current() {
        if stage.ask.is_some() {
            stage.show(0);
        }
        stage.pass(seconds(100_000));
    }
    stage.show(0);
    stage.fail(Reason::Timeout);
    assert!(
        stage.pass_until_asked() <= seconds(RETRY / 4),
        "a refresh is too long to wait when nothing is served"
    );
}

#[test]
fn bounds_that_override_the_owner_are_told_once_for_a_set_of_timers() {
    let mut stage = Stage::empty(settings(vec![primary(1, 1)]));
    for serial in 1..5 {
        stage.publish(soa_with(serial, [1, 1, 1]), None);
        stage.notify(1, None);
        stage.show(serial + 1);
    }
    let told = stage.outcomes.iter().filter(|o| matches!(o, Outcome::TimersBounded { .. }));
    assert_eq!(told.count(), 1);
}

/// What was said to hold for EXPIRE, in order.
fn told_of_expire(stage: &Stage) -> Vec<u64> {
    let told = stage.outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::TimersBounded { expire, .. } => Some(expire.1.as_secs()),
        _ => None,
    });
    told.collect()
}

#[test]
fn a_minimum_of_expire_is_said_to_hold_where_it_does_and_not_against_a_life_that_a_primary_told() {
    let owner = |serial| soa_with(serial, [60, 60, 600]);
    let mut stage = Stage::empty(settings(vec![primary(1, 1)]));
    stage.publish(owner(1), Some(600));
    assert_eq!(stage.left(), seconds(600), "RFC 7314 §4: no bound of ours lengthens what was told");
    assert_eq!(told_of_expire(&stage), []);
    // The same primary, or another, tells nothing: from now on the owner is overridden, and that is said once.
    for serial in 1..3 {
        stage.pass_until_asked();
        stage.show_with(1, None);
        assert_eq!(stage.left(), seconds(3600));
        assert_eq!(told_of_expire(&stage), [3600], "{serial}");
    }
    stage.pass_until_asked();
    stage.show_with(1, Some(600));
    assert!(stage.left() > seconds(3500), "it never shortens what an earlier contact gave");
    assert_eq!(told_of_expire(&stage), [3600]);
    // A new version begins with what is told of it.
    stage.notify(1, None);
    stage.show(2);
    stage.publish(owner(2), Some(500));
    assert_eq!(stage.left(), seconds(500));
    assert_eq!(told_of_expire(&stage), [3600]);
    for (serial, expire) in [(3, 600), (4, 600), (5, 700)] {
        stage.notify(1, None);
        stage.show(serial);
        stage.publish(soa_with(serial, [60, 60, expire]), None);
    }
    assert_eq!(told_of_expire(&stage), [3600; 3]);
}

#[test]
fn what_is_said_to_come_next_comes_no_later_than_the_expiry() {
    let mut stage = Stage::empty(settings(vec![primary(1, 1)]));
    stage.publish(soa_with(1, [60, 3600, 3600]), Some(300));
    stage.pass_until_asked();
    loop {
        let left = stage.left();
        stage.outcomes.clear();
        stage.fail(Reason::Refused);
        let next = stage.outcomes.iter().find_map(|outcome| match outcome {
            Outcome::RefreshFailed { next_in, .. } => Some(*next_in),
            _ => None,
        });
        assert!(next.unwrap() <= left, "{next:?} with {left:?} left");
        if stage.pass_until_asked() >= left {
            break;
        }
    }
    assert_eq!(stage.expired, 1);
}

#[test]
fn nothing_but_a_contact_renews() {
    let mut stage = one();
    let until = stage.until();
    stage.notify(1, None);
    stage.show(2);
    stage.fail(Reason::IxfrCut);
    stage.fail(Reason::TruncatedStream);
    stage.notify(1, Some(1));
    stage.tell(Event::Refresh);
    stage.fail(Reason::TsigBadSig);
    stage.tell(Event::Reconfigure(Arc::new(settings(vec![primary(1, 1), primary(2, 1)]))));
    stage.fail(Reason::Refused);
    assert_eq!(stage.until(), until);
    assert_eq!(stage.confirmations.len(), 1);
}

#[test]
fn the_expire_option_shortens_a_transferred_zone_and_never_an_unchanged_one() {
    let mut stage = one();
    stage.notify(1, None);
    stage.show(2);
    stage.publish(soa(2), Some(5000));
    assert_eq!(stage.left(), seconds(5000));
    stage.notify(1, None);
    stage.show_with(2, Some(100));
    assert_eq!(stage.left(), seconds(5000));
    stage.notify(1, None);
    stage.show_with(2, Some(9000));
    assert_eq!(stage.left(), seconds(9000));
    stage.notify(1, None);
    stage.show(2);
    assert_eq!(stage.left(), seconds(EXPIRE));
}

#[test]
fn time_spent_in_a_transfer_is_taken_from_the_option() {
    let mut stage = one();
    stage.notify(1, None);
    stage.show(2);
    stage.pass(seconds(4000));
    stage.publish(soa(2), Some(5000));
    assert_eq!(stage.left(), seconds(1000));
}

#[test]
fn the_wait_for_admission_is_not_time_on_the_way() {
    let mut stage = one();
    stage.notify(1, None);
    stage.show(2);
    stage.pass(seconds(4000));
    stage.tell(Event::Sent { attempt: stage.ask.unwrap().attempt });
    stage.pass(seconds(100));
    let brought =
        Confirmation::of_transfer(&soa(2), Some(5000), seconds(100), stage.machine.settings(), stage.now);
    stage.publish(soa(2), Some(5000));
    assert_eq!(stage.left(), seconds(4900));
    assert_eq!(
        stage.confirmations.last(),
        Some(&brought),
        "what goes to disk with the version is what holds"
    );
}

#[test]
fn a_primary_at_the_end_of_its_own_life_does_not_renew() {
    for left in [0, 1] {
        let mut stage = Stage::loaded(settings(vec![primary(1, 1), primary(2, 1)]));
        let until = stage.until();
        stage.notify(1, None);
        stage.show_with(1, Some(left));
        assert_eq!((stage.asks(), stage.until()), (probe(2, 1), until));
        stage.show(2);
        stage.up_to_date(Some(left));
        assert_eq!((stage.asks(), stage.until()), (None, until));
        assert_eq!(stage.machine.last_failure().map(|(r, _)| r), Some(Reason::PrimaryExpiring));
    }
}

#[test]
fn early_warnings_come_at_half_three_quarters_and_nine_tenths_of_the_life() {
    let mut stage = one();
    dead_for(&mut stage, EXPIRE);
    let warned: Vec<_> = stage
        .outcomes
        .iter()
        .filter_map(|o| match o {
            Outcome::Expiring { percent, expires_in, .. } => Some((*percent, expires_in.as_secs())),
            _ => None,
        })
        .collect();
    assert_eq!(warned, [(50, EXPIRE / 2), (75, EXPIRE / 4), (90, EXPIRE / 10)]);
}

#[test]
fn of_several_warnings_that_are_due_the_last_is_told() {
    let mut stage = Stage::empty(settings(vec![primary(1, 1)]));
    stage.publish(soa_with(1, [86_400, 400, 90_000]), None);
    stage.outcomes.clear();
    stage.pass_until_asked();
    stage.pass(seconds(90_000 / 5 * 4) - (stage.now.boot - stage.confirmations[0].boot));
    stage.fail(Reason::Timeout);
    let warned = |o: &&Outcome| matches!(o, Outcome::Expiring { .. });
    let told: Vec<_> = stage.outcomes.iter().filter(warned).collect();
    assert!(matches!(told[..], [Outcome::Expiring { percent: 75, .. }]), "{told:?}");
}

#[test]
fn a_success_takes_back_the_failure_and_the_warnings() {
    let mut stage = one();
    dead_for(&mut stage, EXPIRE / 2 + 10_000);
    assert!(stage.machine.last_failure().is_some());
    if stage.ask.is_none() {
        stage.pass_until_asked();
    }
    stage.show(1);
    assert_eq!(stage.machine.last_failure(), None);
    stage.outcomes.clear();
    dead_for(&mut stage, EXPIRE / 2 + 10_000);
    let warned = stage.outcomes.iter().filter(|o| matches!(o, Outcome::Expiring { percent: 50, .. }));
    assert_eq!(warned.count(), 1, "a new life has its own warnings");
}

#[test]
fn a_zone_in_good_health_is_never_warned_about_however_long_its_refresh() {
    let mut stage = Stage::empty(settings(vec![primary(1, 1)]));
    stage.publish(soa_with(1, [86_400, 400, 90_000]), None);
    for _ in 0..20 {
        stage.pass_until_asked();
        stage.show(1);
    }
    assert!(!stage.outcomes.iter().any(|o| matches!(o, Outcome::Expiring { .. })));
    assert_eq!(stage.expired, 0, "a refresh beyond expire must not let it expire in good health");
}

#[test]
fn timers_of_zero_and_of_the_largest_value_neither_spin_nor_overflow() {
    for value in [0, 1, u32::MAX] {
        let mut stage = Stage::empty(settings(vec![primary(1, 1)]));
        stage.publish(soa_with(1, [value; 3]), None);
        let bounded = stage.outcomes.iter().filter(|o| matches!(o, Outcome::TimersBounded { .. }));
        assert_eq!(bounded.count(), 1);
        assert!(stage.left() >= seconds(3600) && stage.left() <= seconds(86_400 * 60));
        let wait = stage.pass_until_asked();
        assert!(wait >= seconds(60) && wait <= seconds(86_400));
        stage.fail(Reason::Refused);
        let wait = stage.pass_until_asked();
        assert!(wait >= seconds(10) && wait <= seconds(3600));
    }
}

#[test]
fn an_idle_machine_is_small() {
    assert!(size_of::<Machine>() <= 200, "{} bytes", size_of::<Machine>());
}
