//! What follows an answer and a failure: the rows of the failure table, one by one.

mod stage;

use secondo_lifecycle::{Accept, Event, Failure, Kind, Outcome, Step};
use secondo_wire::{Reason, Serial};
use stage::*;

fn one() -> Stage {
    Stage::loaded(settings(vec![primary(1, 1)]))
}

/// Two primaries of two addresses each; a probe is under way.
fn two() -> Stage {
    let mut stage = Stage::loaded(settings(vec![primary(1, 2), primary(2, 2)]));
    stage.pass_until_asked();
    assert_eq!(stage.asks(), probe(1, 1));
    stage
}

/// The first primary showed serial 2 and is asked for the differences.
fn two_transferring() -> Stage {
    let mut stage = two();
    stage.show(2);
    assert_eq!(stage.asks(), ixfr(1, 1, 1));
    stage
}

fn assert_between(time: std::time::Duration, low: u64, high: u64) {
    assert!(time >= seconds(low) && time <= seconds(high), "{time:?} is not within {low} and {high} s");
}

#[test]
fn a_zone_never_loaded_asks_for_the_whole_zone_without_probing_first() {
    let stage = Stage::empty(settings(vec![primary(1, 1)]));
    assert_eq!(stage.asks(), axfr(1, 1));
    assert_eq!(stage.ask.unwrap().accept, Some(Accept::Any));
}

#[test]
fn the_same_serial_is_a_success_and_the_next_probe_is_a_refresh_away() {
    let mut stage = one();
    let wait = stage.pass_until_asked();
    assert_between(wait, REFRESH / 4 * 3, REFRESH);
    stage.show(1);
    assert!(matches!(stage.outcomes[..], [Outcome::RefreshCurrent { serial: Serial(1), .. }]));
    assert_between(stage.pass_until_asked(), REFRESH / 4 * 3, REFRESH);
}

#[test]
fn a_newer_serial_is_fetched_by_ixfr_and_published() {
    let mut stage = one();
    stage.pass_until_asked();
    stage.show(5);
    assert_eq!(stage.asks(), ixfr(1, 1, 1));
    assert_eq!(stage.ask.unwrap().accept, Some(Accept::NewerThan(Serial(1))));
    stage.publish(soa(6), None);
    let [Outcome::Published { serial, from, kind, .. }] = stage.outcomes[..] else {
        panic!("{:?}", stage.outcomes)
    };
    assert_eq!((serial, from, kind), (Serial(6), Some(Serial(1)), Kind::Ixfr));
    assert_eq!(stage.machine.serial(), Some(Serial(6)));
}

#[test]
fn a_serial_behind_the_wrap_is_newer() {
    let mut stage = Stage::empty(settings(vec![primary(1, 1)]));
    stage.publish(soa(u32::MAX), None);
    stage.pass_until_asked();
    stage.show(0);
    assert_eq!(stage.asks(), ixfr(1, 1, u32::MAX));
}

#[test]
fn a_primary_that_is_not_asked_for_ixfr_gets_axfr() {
    let mut without = primary(1, 1);
    without.ixfr = false;
    let mut stage = Stage::loaded(settings(vec![without]));
    stage.pass_until_asked();
    stage.show(2);
    assert_eq!(stage.asks(), axfr(1, 1));
}

#[test]
fn ixfr_that_cannot_be_had_falls_back_to_axfr_at_the_same_address_once() {
    for reason in [
        Reason::IxfrNotImplemented,
        Reason::IxfrFormatError,
        Reason::IxfrServerFailure,
        Reason::IxfrEmpty,
        Reason::IxfrMalformed,
        Reason::IxfrBrokenChain,
        Reason::IxfrAbsentRecord,
        Reason::IxfrCut,
        Reason::BadRdata,
    ] {
        let mut stage = two_transferring();
        stage.fail(reason);
        assert_eq!(stage.asks(), axfr(1, 1), "{reason}");
        assert_eq!(stage.ask.unwrap().accept, Some(Accept::NewerThan(Serial(1))));
        assert!(stage.outcomes.iter().any(|o| matches!(o, Outcome::Fallback { .. })));
        stage.fail(Reason::SoaMismatch);
        assert_eq!(stage.asks(), probe(2, 1), "{reason}");
    }
}

#[test]
fn no_backoff_follows_when_axfr_works() {
    let mut stage = two_transferring();
    stage.fail(Reason::IxfrBrokenChain);
    stage.publish(soa(2), None);
    assert_between(stage.pass_until_asked(), REFRESH / 4 * 3, REFRESH);
    assert_eq!(stage.asks(), probe(1, 1));
}

#[test]
fn after_notimp_ixfr_is_not_asked_for_a_day_and_after_a_broken_chain_at_the_next_change() {
    for (reason, again) in [(Reason::IxfrNotImplemented, false), (Reason::IxfrBrokenChain, true)] {
        let mut stage = two_transferring();
        stage.fail(reason);
        stage.publish(soa(2), None);
        stage.pass_until_asked();
        stage.show(3);
        assert_eq!(stage.asks(), if again { ixfr(1, 1, 2) } else { axfr(1, 1) }, "{reason}");
    }
    let mut stage = two_transferring();
    stage.fail(Reason::IxfrNotImplemented);
    stage.publish(soa(2), None);
    let learnt = stage.now.boot;
    let mut serial = 2;
    while stage.now.boot < learnt + seconds(86_400) {
        stage.pass_until_asked();
        serial += 1;
        stage.show(serial);
        let barred = stage.now.boot < learnt + seconds(86_400);
        assert_eq!(stage.asks(), if barred { axfr(1, 1) } else { ixfr(1, 1, serial - 1) });
        stage.publish(soa(serial), None);
    }
}

#[test]
fn refusals_seals_and_the_network_lead_to_the_next_address_and_then_the_next_primary() {
    for reason in
        [Reason::Refused, Reason::NotAuth, Reason::TsigBadSig, Reason::Timeout, Reason::ConnectionReset]
    {
        let mut stage = two();
        for next in [probe(1, 2), probe(2, 1), probe(2, 2), None] {
            stage.fail(reason);
            assert_eq!(stage.asks(), next, "{reason}");
        }
        assert!(stage.is_current());
        assert_eq!(stage.machine.last_failure().map(|(r, _)| r), Some(reason));
    }
}

#[test]
fn a_transfer_that_fails_on_the_way_is_probed_for_at_the_next_address() {
    for reason in [Reason::Refused, Reason::TsigMissing, Reason::TruncatedStream] {
        let mut stage = two_transferring();
        stage.fail(reason);
        assert_eq!(stage.asks(), probe(1, 2), "{reason}");
    }
}

#[test]
fn malformed_behind_and_rejected_lead_to_the_next_primary() {
    let mut stage = two();
    stage.show(0);
    assert_eq!(stage.asks(), probe(2, 1));
    let mut stage = two();
    stage.show(1 + (1 << 31));
    assert_eq!(stage.asks(), probe(2, 1));
    assert!(stage.outcomes.iter().any(|o| matches!(
        o,
        Outcome::AttemptFailed { reason: Reason::SerialIncomparable, step: Step::Probe, .. }
    )));
    let mut stage = two_transferring();
    stage.fail(Reason::NoApexNs);
    assert_eq!(stage.asks(), probe(2, 1));
}

#[test]
fn the_wait_after_a_failure_is_that_of_its_class() {
    for (reason, first, second) in [
        (Reason::Refused, RETRY, RETRY * 2),
        (Reason::TsigBadTime, RETRY, RETRY * 2),
        (Reason::Timeout, RETRY / 4, RETRY / 2),
    ] {
        let mut stage = one();
        stage.pass_until_asked();
        for wait in [first, second] {
            stage.fail(reason);
            assert_between(stage.pass_until_asked(), wait / 4 * 3, wait);
        }
    }
    let mut stage = one();
    stage.pass_until_asked();
    stage.show(0);
    assert_between(stage.pass_until_asked(), REFRESH / 4 * 3, REFRESH);
}

#[test]
fn each_primary_has_its_own_backoff() {
    let mut stage = Stage::loaded(settings(vec![primary(1, 1), primary(2, 1)]));
    stage.pass_until_asked();
    stage.fail(Reason::Refused);
    stage.fail(Reason::Timeout);
    assert_between(stage.pass_until_asked(), RETRY / 16 * 3, RETRY / 4);
    assert_eq!(stage.asks(), probe(2, 1));
    stage.fail(Reason::Timeout);
    assert_eq!(stage.asks(), None);
}

#[test]
fn a_success_anywhere_ends_the_round_and_what_worked_is_asked_first_until_that_is_forgotten() {
    for (reason, time) in [(Reason::Timeout, 3600), (Reason::Refused, 86_400), (Reason::NotAuth, 86_400)] {
        let mut stage = two();
        for next in [probe(1, 2), probe(2, 1), probe(2, 2)] {
            stage.fail(reason);
            assert_eq!(stage.asks(), next);
        }
        stage.show(1);
        assert_eq!(stage.asks(), None);
        let learnt = stage.now.boot;
        stage.pass_until_asked();
        let mut firsts = 0;
        while stage.now.boot < learnt + seconds(time) {
            assert_eq!(stage.asks(), probe(2, 2), "{reason}");
            firsts += 1;
            stage.show(1);
            stage.pass_until_asked();
        }
        assert!(firsts > 0, "{reason}");
        assert_eq!(stage.asks(), probe(1, 1), "{reason}");
    }
}

#[test]
fn what_worked_is_left_for_the_next_address_and_the_next_primary_as_all_are() {
    let mut stage = two();
    for _ in 0..3 {
        stage.fail(Reason::Refused);
    }
    stage.show(1);
    stage.pass_until_asked();
    for asked in [probe(2, 2), probe(2, 1), probe(1, 1), probe(1, 2), None] {
        assert_eq!(stage.asks(), asked);
        if asked.is_some() {
            stage.fail(Reason::Timeout);
        }
    }
}

#[test]
fn an_operator_has_all_asked_in_the_order_of_the_settings() {
    let mut stage = two();
    stage.fail(Reason::Refused);
    stage.show(1);
    stage.tell(Event::Refresh);
    assert_eq!(stage.asks(), probe(1, 1));
}

#[test]
fn ixfr_that_a_notify_brought_falls_back_like_any_other() {
    for reason in [Reason::IxfrNotImplemented, Reason::IxfrCut, Reason::IxfrAbsentRecord, Reason::BadRdata] {
        let mut stage = Stage::loaded(settings(vec![primary(1, 2), primary(2, 2)]));
        stage.notify(1, Some(2));
        assert_eq!(stage.asks(), ixfr(1, 1, 1));
        stage.fail(reason);
        assert_eq!(stage.asks(), axfr(1, 1), "{reason}");
        assert_eq!(stage.ask.unwrap().accept, Some(Accept::NewerThan(Serial(1))));
        stage.fail(Reason::SoaMismatch);
        assert_eq!(stage.asks(), probe(2, 1), "{reason}");
    }
}

#[test]
fn a_version_found_unfit_is_not_fetched_again_until_its_time_is_over() {
    let mut stage = one();
    stage.pass_until_asked();
    stage.show(2);
    stage.fail(Reason::GuardEmpty);
    stage.notify(1, Some(2));
    assert_eq!(stage.asks(), None);
    stage.notify(1, None);
    stage.show(2);
    assert_eq!(stage.asks(), None);
    stage.tell(Event::Refresh);
    stage.show(2);
    assert_eq!(stage.asks(), axfr(1, 1), "an operator may insist");
    stage.fail(Reason::GuardEmpty);
    stage.notify(1, Some(3));
    stage.show(3);
    assert_eq!(stage.asks(), axfr(1, 1), "a whole zone heals a copy that drifted");
}

#[test]
fn an_empty_zone_whose_version_is_unfit_probes_before_it_fetches_again() {
    let mut stage = Stage::empty(settings(vec![primary(1, 1)]));
    stage.fail_with(Failure::from(Reason::BadRdata).of_serial(Serial(9)));
    stage.notify(1, None);
    assert_eq!(stage.asks(), probe(1, 1));
    stage.show(9);
    assert_eq!(stage.asks(), None);
    stage.notify(1, Some(10));
    stage.show(10);
    assert_eq!(stage.asks(), axfr(1, 1));
}

#[test]
fn our_own_failure_stays_in_the_queue_at_the_same_primary() {
    let mut stage = two();
    for wait in [1, 2, 4] {
        stage.fail(Reason::Busy);
        assert_eq!(stage.pass_until_asked(), seconds(wait));
        assert_eq!(stage.asks(), probe(1, 1));
    }
    stage.show(1);
    stage.pass_until_asked();
    stage.fail(Reason::Busy);
    assert_eq!(stage.pass_until_asked(), seconds(1), "a success ends the backoff");
}

#[test]
fn a_success_ends_the_backoff() {
    let mut stage = one();
    stage.pass_until_asked();
    for _ in 0..4 {
        stage.fail(Reason::Refused);
        stage.pass_until_asked();
    }
    stage.show(1);
    stage.pass_until_asked();
    stage.fail(Reason::Refused);
    assert_between(stage.pass_until_asked(), RETRY / 4 * 3, RETRY);
}

#[test]
fn after_a_fallback_the_second_address_is_not_asked_for_ixfr_either() {
    let mut stage = two_transferring();
    stage.fail(Reason::IxfrCut);
    stage.fail(Reason::Timeout);
    assert_eq!(stage.asks(), probe(1, 2));
    stage.show(2);
    assert_eq!(stage.asks(), axfr(1, 2));
}

#[test]
fn a_transfer_that_brings_what_we_have_renews_where_no_soa_told_of_more() {
    let mut stage = one();
    stage.pass(seconds(10));
    stage.notify(1, Some(2));
    assert_eq!(stage.asks(), ixfr(1, 1, 1));
    stage.up_to_date(None);
    assert_eq!(stage.asks(), None);
    assert_eq!(stage.left(), seconds(EXPIRE));
}

#[test]
fn a_stale_answer_is_not_heard() {
    let mut stage = two();
    let attempt = stage.ask.unwrap().attempt;
    stage.fail(Reason::Timeout);
    let asked = stage.asks();
    stage.tell(Event::Probed { attempt, result: Err(Reason::Refused.into()) });
    assert_eq!(stage.asks(), asked);
    assert!(!stage.machine.awaits(attempt) && stage.machine.awaits(stage.ask.unwrap().attempt));
}

#[test]
fn a_job_that_never_answers_is_given_up() {
    let mut stage = two();
    stage.pass(seconds(6 * 3600));
    assert_eq!(stage.cancelled, 1);
    assert_eq!(stage.asks(), probe(1, 2));
}

#[test]
fn the_health_of_an_address_sets_the_time_of_the_next_attempt() {
    let mut stage = one();
    stage.pass_until_asked();
    let again = stage.now.boot + seconds(5000);
    stage.fail_with(Failure::from(Reason::PrimaryDown).until(again));
    stage.pass_until_asked();
    assert_eq!(stage.now.boot, again);
}

#[test]
fn an_address_that_answers_again_is_asked_at_once_by_those_that_lost_it() {
    let mut stage = one();
    stage.tell(Event::PrimaryUp(address(1, 1)));
    assert_eq!(stage.asks(), None);
    stage.pass_until_asked();
    stage.fail(Reason::Timeout);
    stage.tell(Event::PrimaryUp(address(2, 1)));
    assert_eq!(stage.asks(), None);
    stage.tell(Event::PrimaryUp(address(1, 1)));
    assert_eq!(stage.asks(), probe(1, 1));
    stage.fail(Reason::Refused);
    stage.tell(Event::PrimaryUp(address(1, 1)));
    assert_eq!(stage.asks(), None, "a refusal is not the network's fault");
}

/// The first primary, of one address, told of serial 2 and is asked for the differences; another is behind it.
fn promised() -> Stage {
    let mut stage = Stage::loaded(settings(vec![primary(1, 1), primary(2, 1)]));
    stage.pass_until_asked();
    stage.show(2);
    assert_eq!(stage.asks(), ixfr(1, 1, 1));
    stage
}

#[test]
fn a_transfer_that_brings_less_than_its_soa_told_of_renews_nothing_and_the_others_are_asked() {
    let mut stage = two_transferring();
    let left = stage.left();
    stage.up_to_date(None);
    assert_eq!(stage.asks(), probe(1, 2), "behind another address there may be another server");
    stage.show(2);
    stage.up_to_date(None);
    assert_eq!(stage.asks(), probe(2, 1));
    assert!(stage.left() <= left);
    let failed = |o: &&Outcome| {
        let behind = Reason::SerialBehind;
        matches!(o, Outcome::AttemptFailed { step: Step::Ixfr, reason, serial: Some(Serial(2)), .. } if *reason == behind)
    };
    assert_eq!(stage.outcomes.iter().filter(failed).count(), 2);
    stage.show(2);
    stage.publish(soa(2), None);
    assert_eq!(stage.machine.serial(), Some(Serial(2)));
    assert_between(stage.pass_until_asked(), REFRESH / 4 * 3, REFRESH);
}

#[test]
fn a_zone_whose_only_primary_never_sends_what_it_tells_of_waits_a_refresh_each_time_and_expires() {
    let mut stage = one();
    stage.pass_until_asked();
    while stage.is_current() {
        stage.show(2);
        stage.up_to_date(None);
        assert!(matches!(
            stage.outcomes.last(),
            Some(Outcome::RefreshFailed { reason: Reason::SerialBehind, .. } | Outcome::Expiring { .. })
        ));
        let wait = stage.pass_until_asked();
        assert!(wait >= seconds(REFRESH / 4 * 3) || !stage.is_current(), "{wait:?}");
    }
}

#[test]
fn what_one_told_of_is_looked_for_again_though_another_confirms_what_we_have() {
    let mut stage = promised();
    stage.up_to_date(None);
    assert_eq!(stage.asks(), probe(2, 1));
    stage.show(1);
    assert!(stage.asks().is_none());
    assert_between(stage.pass_until_asked(), RETRY / 4 * 3, RETRY);
    assert_eq!(stage.asks(), probe(2, 1));
}

#[test]
fn a_version_that_is_newer_than_ours_but_older_than_its_soa_told_is_served_and_the_rest_looked_for() {
    let mut stage = promised();
    stage.machine.serial().unwrap();
    stage.publish(soa(2), None);
    assert!(stage.asks().is_none(), "it brought what it told of");
    stage.pass_until_asked();
    stage.show(9);
    stage.publish(soa(5), None);
    assert_eq!(stage.machine.serial(), Some(Serial(5)));
    assert_eq!(stage.asks(), probe(2, 1));
    stage.show(5);
    assert_between(stage.pass_until_asked(), RETRY / 4 * 3, RETRY);
    assert_eq!(stage.asks(), probe(1, 1));
}

#[test]
fn an_order_to_fetch_the_zone_takes_what_it_gets() {
    let mut stage = promised();
    stage.tell(Event::Retransfer);
    stage.up_to_date(None);
    stage.show(1);
    assert_eq!(stage.asks(), axfr(1, 1));
    stage.publish(soa(1), None);
    assert!(stage.is_current() && stage.asks().is_none());
}

#[test]
fn a_zone_never_loaded_is_asked_for_every_five_minutes_at_least_while_its_primary_is_of_no_use() {
    for reason in [Reason::Timeout, Reason::Refused, Reason::TsigBadKey] {
        let mut stage = Stage::empty(settings(vec![primary(1, 1)]));
        for _ in 0..20 {
            stage.fail(reason);
            assert!(stage.pass_until_asked() <= seconds(300), "{reason}");
        }
    }
}
