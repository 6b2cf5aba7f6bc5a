//! NOTIFY: a hint that is never lost, never doubled and never believed (RFC 1996 §3).

mod stage;

use secondo_lifecycle::{Accept, Event, NotifyIgnored, Outcome, Urgency};
use secondo_wire::{Reason, Serial};
use stage::*;

fn three() -> Stage {
    Stage::loaded(settings(vec![primary(1, 1), primary(2, 1), primary(3, 1)]))
}

#[test]
fn a_notify_acts_at_once_as_if_refresh_had_run_out() {
    let mut stage = three();
    stage.notify(1, None);
    assert_eq!(stage.asks(), probe(1, 1));
    assert_eq!(stage.ask.unwrap().urgency, Urgency::Asked);
    assert!(matches!(stage.outcomes[..], [Outcome::NotifyAccepted { later: false, .. }]));
}

#[test]
fn a_sender_that_tells_of_a_newer_serial_is_asked_for_what_is_new_without_a_probe() {
    let mut stage = three();
    stage.notify(2, Some(2));
    assert_eq!(stage.asks(), ixfr(2, 1, 1));
    assert_eq!(stage.ask.unwrap().accept, Some(Accept::NewerThan(Serial(1))));
    assert_eq!(stage.ask.unwrap().urgency, Urgency::Asked);
    stage.publish(soa(2), None);
    assert_eq!((stage.asks(), stage.asked), (None, 2));
}

#[test]
fn a_lie_costs_one_lone_soa_and_a_probe_of_the_others_and_the_next_one_costs_no_transfer() {
    let mut stage = three();
    stage.notify(2, Some(9));
    assert_eq!(stage.asks(), ixfr(2, 1, 1));
    stage.up_to_date(None);
    for other in [1, 3] {
        assert_eq!(stage.asks(), probe(other, 1));
        stage.show(1);
    }
    assert_eq!(stage.asks(), None);
    stage.notify(2, Some(10));
    assert_eq!(stage.asks(), probe(2, 1), "it is taken at its word no more");
    stage.show(10);
    assert_eq!(stage.asks(), ixfr(2, 1, 1));
    stage.publish(soa(10), None);
    stage.notify(2, Some(11));
    assert_eq!(stage.asks(), ixfr(2, 1, 10), "it kept it again");
}

#[test]
fn a_lone_soa_that_nobody_vouches_for_renews_nothing_before_a_probe_does() {
    let mut stage = three();
    let until = stage.until();
    stage.pass(std::time::Duration::from_secs(10));
    stage.notify(1, Some(2));
    assert_eq!(stage.asks(), ixfr(1, 1, 1));
    stage.up_to_date_with(None, false);
    assert_eq!((stage.asks(), stage.until()), (probe(1, 1), until));
    stage.fail(Reason::NotAuthoritative);
    assert_eq!((stage.asks(), stage.until()), (probe(2, 1), until));
    stage.show(2);
    assert_eq!(stage.asks(), ixfr(2, 1, 1));
    stage.up_to_date_with(None, false);
    assert_eq!((stage.asks(), stage.until()), (probe(3, 1), until), "its SOA told of more");
    stage.show(1);
    assert!(stage.until() > until);
}

#[test]
fn a_failure_that_knows_no_serial_does_not_hold_the_one_that_a_notify_told_for_unfit() {
    for reason in [Reason::BadAnswer, Reason::NoApexNs] {
        let mut stage = Stage::loaded(settings(vec![primary(1, 1)]));
        stage.notify(1, Some(2));
        assert_eq!(stage.asks(), ixfr(1, 1, 1));
        while stage.ask.is_some() {
            stage.fail(reason);
        }
        let told = stage.outcomes.iter().find_map(|outcome| match outcome {
            Outcome::AttemptFailed { serial, .. } => Some(*serial),
            _ => None,
        });
        assert_eq!(told, Some(None));
        stage.notify(1, Some(2));
        assert_eq!(stage.asks(), probe(1, 1));
        stage.show(2);
        assert_eq!(stage.asks().map(|(_, question)| question.is_some()), Some(true), "{reason}");
    }
}

/// Whether a NOTIFY from the first primary that tells of serial 2 leads to a probe.
fn probes(stage: &mut Stage) -> bool {
    stage.notify(1, Some(2));
    let asked = stage.asks();
    assert!(asked == probe(1, 1) || asked == ixfr(1, 1, 1), "{asked:?}");
    asked == probe(1, 1)
}

#[test]
fn nothing_but_the_word_of_a_primary_in_good_standing_saves_a_probe() {
    assert!(!probes(&mut three()));
    for reason in [Reason::Timeout, Reason::Refused, Reason::TsigBadSig, Reason::NotAuthoritative] {
        let mut stage = three();
        stage.pass_until_asked();
        stage.fail(reason);
        stage.show(1);
        assert!(probes(&mut stage), "{reason}");
        stage.show(1);
        let mut trusted = three();
        trusted.pass_until_asked();
        trusted.show(1);
        assert!(!probes(&mut trusted), "{reason}");
    }
    for reason in [Reason::IxfrNotImplemented, Reason::IxfrBrokenChain] {
        let mut stage = three();
        stage.pass_until_asked();
        stage.show(3);
        stage.fail(reason);
        stage.fail(Reason::Timeout);
        stage.show(1);
        assert!(probes(&mut stage), "{reason}");
    }
    let mut unwilling = primary(1, 1);
    unwilling.ixfr = false;
    assert!(probes(&mut Stage::loaded(settings(vec![unwilling]))));
    let mut expired = three();
    expired.tell(Event::ExpireNow);
    assert!(probes(&mut expired));
    let mut stranger = three();
    stranger.notify(200, Some(2));
    assert_eq!(stranger.asks(), probe(1, 1));
    for old in [0, 1 + (1 << 31)] {
        let mut stage = three();
        stage.notify(1, Some(old));
        assert_eq!(stage.asks(), probe(1, 1), "{old}");
    }
}

#[test]
fn the_sender_is_asked_first_then_the_rest_in_order() {
    let mut stage = three();
    stage.notify(2, Some(2));
    assert_eq!(stage.asks(), ixfr(2, 1, 1));
    stage.fail(Reason::Timeout);
    assert_eq!(stage.asks(), probe(1, 1));
    stage.fail(Reason::Timeout);
    assert_eq!(stage.asks(), probe(3, 1));
}

#[test]
fn a_hint_at_what_we_serve_leads_to_nothing() {
    let mut stage = three();
    stage.notify(1, Some(1));
    assert_eq!(stage.asks(), None);
    assert!(matches!(stage.outcomes[..], [Outcome::NotifyIgnored { why: NotifyIgnored::AlreadyServed, .. }]));
}

#[test]
fn an_older_hint_and_none_at_all_lead_to_a_probe() {
    for hint in [Some(0), None] {
        let mut stage = three();
        stage.notify(1, hint);
        assert_eq!(stage.asks(), probe(1, 1));
    }
}

#[test]
fn a_notify_during_an_attempt_is_remembered_and_leads_to_one_more_probe() {
    let mut stage = three();
    stage.notify(1, Some(2));
    for _ in 0..100 {
        stage.notify(3, Some(3));
    }
    assert_eq!(stage.asks(), ixfr(1, 1, 1));
    stage.publish(soa(2), None);
    assert_eq!(stage.asks(), ixfr(3, 1, 2), "the sender first");
    stage.publish(soa(3), None);
    assert_eq!(stage.asks(), None);
    let told = stage.outcomes.iter().filter(|o| matches!(o, Outcome::NotifyAccepted { later: true, .. }));
    assert_eq!(told.count(), 1, "a flood is told once");
}

#[test]
fn of_several_notifies_during_an_attempt_the_newest_serial_and_every_sender_count() {
    let mut stage = three();
    stage.notify(1, Some(2));
    stage.notify(2, Some(2));
    stage.notify(3, Some(3));
    stage.publish(soa(2), None);
    assert_eq!(stage.asks(), ixfr(2, 1, 2));
    stage.up_to_date(None);
    assert_eq!(stage.asks(), ixfr(3, 1, 2));
}

#[test]
fn a_notify_that_the_running_transfer_satisfies_leads_to_nothing_more() {
    let mut stage = three();
    stage.notify(1, Some(2));
    stage.notify(2, Some(2));
    stage.publish(soa(2), None);
    assert_eq!(stage.asks(), None);
}

#[test]
fn a_notify_without_hint_during_an_attempt_is_satisfied_by_nothing_but_a_probe() {
    let mut stage = three();
    stage.notify(1, Some(2));
    stage.notify(2, None);
    stage.publish(soa(2), None);
    assert_eq!(stage.asks(), probe(2, 1));
}

#[test]
fn of_several_senders_of_which_not_all_told_a_serial_each_is_asked() {
    let mut stage = three();
    stage.pass_until_asked();
    stage.notify(1, None);
    stage.notify(3, Some(2));
    stage.show(1);
    assert_eq!(stage.asks(), probe(1, 1));
    stage.show(1);
    assert_eq!(stage.asks(), probe(3, 1), "the first has nothing new, and that says nothing of the third");
    stage.show(2);
    stage.publish(soa(2), None);
    assert_eq!(stage.asks(), None, "the second told nothing");
}

#[test]
fn a_sender_not_asked_yet_comes_next_in_the_running_round() {
    let mut stage = three();
    stage.notify(1, Some(2));
    stage.notify(3, Some(2));
    stage.fail(Reason::Timeout);
    assert_eq!(stage.asks(), ixfr(3, 1, 1));
}

#[test]
fn a_hint_that_the_sender_does_not_have_sends_us_round_all_primaries() {
    let mut stage = three();
    stage.notify(2, Some(9));
    stage.up_to_date(None);
    assert_eq!(stage.asks(), probe(1, 1));
    stage.show(9);
    stage.publish(soa(9), None);
    assert_eq!(stage.asks(), None);
}

#[test]
fn a_hint_ahead_of_everything_is_forgotten_after_a_round_and_one_retry() {
    let mut stage = Stage::loaded(settings(vec![primary(1, 1)]));
    stage.notify(1, Some(9));
    stage.up_to_date(None);
    assert_eq!(stage.asks(), None);
    let wait = stage.pass_until_asked();
    assert!(wait <= seconds(RETRY) && wait >= seconds(RETRY / 4 * 3));
    assert_eq!(stage.asks(), probe(1, 1));
    stage.show(1);
    assert!(stage.outcomes.contains(&Outcome::HintForgotten { hint: Serial(9), serial: Serial(1) }));
    assert!(stage.pass_until_asked() >= seconds(REFRESH / 4 * 3));
}

#[test]
fn ten_attempts_in_a_burst_then_one_every_hundred_milliseconds_and_the_last_is_never_lost() {
    let mut stage = Stage::loaded(settings(vec![primary(1, 1)]));
    let before = stage.asked;
    for _ in 0..1000 {
        stage.notify(1, None);
        if stage.ask.is_some() {
            stage.show(1);
        }
    }
    assert_eq!(stage.asked - before, 10);
    stage.pass(std::time::Duration::from_millis(99));
    assert_eq!(stage.asked - before, 10);
    stage.pass(std::time::Duration::from_millis(1));
    assert_eq!(stage.asks(), probe(1, 1));
    stage.show(1);
    assert!(stage.pass_until_asked() > seconds(60), "nothing is left over");
}

#[test]
fn a_round_that_asks_only_some_primaries_does_not_swallow_a_notify() {
    let mut stage = Stage::loaded(settings(vec![primary(1, 1), primary(2, 1)]));
    stage.pass_until_asked();
    stage.fail(Reason::Refused);
    stage.fail(Reason::Timeout);
    let just_before = stage.machine.next_deadline() - stage.now.boot - std::time::Duration::from_millis(50);
    stage.pass(just_before);
    for _ in 0..10 {
        stage.notify(200, None);
        stage.fail(Reason::Refused);
        stage.fail(Reason::Timeout);
    }
    stage.notify(200, None);
    assert_eq!(stage.asks(), None, "the allowance is used up");
    stage.pass(std::time::Duration::from_millis(50));
    assert_eq!(stage.asks(), probe(2, 1), "its turn");
    stage.fail(Reason::Timeout);
    stage.pass(std::time::Duration::from_millis(50));
    assert_eq!(stage.asks(), probe(1, 1), "the NOTIFY");
}

#[test]
fn a_notify_to_a_zone_that_is_not_served_resets_the_backoff() {
    let mut stage = Stage::empty(settings(vec![primary(1, 1)]));
    for _ in 0..6 {
        stage.fail(Reason::Refused);
        stage.pass_until_asked();
    }
    stage.fail(Reason::Refused);
    stage.notify(1, Some(1));
    assert_eq!(stage.asks(), axfr(1, 1));
    stage.fail(Reason::Refused);
    assert!(stage.pass_until_asked() <= seconds(10));
}

#[test]
fn notifies_from_strangers_do_not_raise_the_backoff() {
    let mut stage = Stage::loaded(settings(vec![primary(1, 1)]));
    stage.pass_until_asked();
    stage.fail(Reason::Timeout);
    let turn = stage.machine.next_deadline();
    for _ in 0..9 {
        stage.notify(200, Some(7));
        stage.fail(Reason::Timeout);
    }
    assert_eq!(stage.machine.next_deadline(), turn);
}

#[test]
fn a_notify_outlives_a_change_of_the_primaries() {
    let mut stage = three();
    stage.notify(1, Some(2));
    stage.notify(2, Some(3));
    stage.tell(Event::Reconfigure(std::sync::Arc::new(settings(vec![primary(9, 1)]))));
    assert_eq!(stage.cancelled, 1);
    assert_eq!(stage.asks(), probe(9, 1));
    stage.show(1);
    let wait = stage.pass_until_asked();
    assert!(wait <= seconds(RETRY), "the hint is still looked for: {wait:?}");
}
