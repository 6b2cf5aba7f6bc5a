//! What an operator may want: a probe, a whole zone, other settings.

mod stage;

use std::sync::Arc;

use secondo_lifecycle::{Bounds, Cause, Event, Settings};
use secondo_wire::{Reason, Serial};
use stage::*;

fn one() -> Stage {
    Stage::loaded(settings(vec![primary(1, 1)]))
}

#[test]
fn new_bounds_bring_a_deadline_nearer_and_never_move_it_out() {
    let bounds = |min, max| Bounds::new(seconds(min), seconds(max)).unwrap();
    let with_expire = |expire| {
        let settings =
            Settings::new(bounds(60, 86_400), bounds(10, 3600), expire, vec![primary(1, 1)]).unwrap();
        Event::Reconfigure(Arc::new(settings))
    };
    let mut stage = one();
    stage.pass(seconds(1000));
    stage.tell(with_expire(bounds(3600, 5000)));
    assert_eq!(stage.left(), seconds(4000));
    stage.tell(with_expire(bounds(86_400 * 30, 86_400 * 60)));
    assert_eq!(stage.left(), seconds(4000));
    assert_eq!(stage.asks(), None, "primaries that stay are not asked for it");
}

#[test]
fn a_shorter_refresh_bound_counts_from_the_last_contact() {
    let bounds = |min, max| Bounds::new(seconds(min), seconds(max)).unwrap();
    let mut stage = one();
    stage.pass(seconds(1000));
    let short =
        Settings::new(bounds(60, 600), bounds(10, 3600), bounds(3600, 86_400 * 60), vec![primary(1, 1)]);
    stage.tell(Event::Reconfigure(Arc::new(short.unwrap())));
    assert_eq!(stage.asks(), probe(1, 1));
}

#[test]
fn an_operator_gets_a_probe_at_once_and_a_whole_zone_without_a_probe() {
    let mut stage = one();
    stage.tell(Event::Refresh);
    assert_eq!(stage.asks(), probe(1, 1));
    stage.tell(Event::Retransfer);
    stage.show(1);
    assert_eq!(stage.asks(), axfr(1, 1), "what came during the attempt is not lost");
    stage.publish(soa(0), None);
    assert_eq!(stage.machine.serial(), Some(Serial(0)), "an operator may go back");
}

#[test]
fn an_order_outlives_a_change_of_the_primaries() {
    let mut stage = one();
    stage.tell(Event::Retransfer);
    stage.tell(Event::Reconfigure(Arc::new(settings(vec![primary(2, 1)]))));
    assert_eq!((stage.cancelled, stage.asks()), (1, axfr(2, 1)));
}

#[test]
fn new_primaries_are_asked_at_once() {
    let mut stage = one();
    stage.tell(Event::Reconfigure(Arc::new(settings(vec![primary(2, 1), primary(1, 1)]))));
    assert_eq!(stage.asks(), probe(2, 1));
}

#[test]
fn an_operator_ends_a_pause_of_our_own_making_and_the_backoff() {
    for (order, asked) in [(Event::Refresh, probe(1, 1)), (Event::Retransfer, axfr(1, 1))] {
        let mut stage = one();
        stage.pass_until_asked();
        stage.fail(Reason::Busy);
        assert_eq!(stage.asks(), None);
        stage.tell(order);
        assert_eq!(stage.asks(), asked);
    }
    let mut stage = one();
    stage.pass_until_asked();
    for _ in 0..4 {
        stage.fail(Reason::Refused);
        stage.pass_until_asked();
    }
    stage.fail(Reason::Refused);
    stage.tell(Event::Refresh);
    stage.fail(Reason::Refused);
    assert!(stage.pass_until_asked() <= seconds(RETRY));
}

#[test]
fn a_published_version_is_a_fact_even_when_its_attempt_was_cancelled() {
    let mut stage = one();
    stage.notify(1, None);
    stage.show(2);
    let attempt = stage.ask.unwrap().attempt;
    stage.tell(Event::Reconfigure(Arc::new(settings(vec![primary(2, 1)]))));
    assert!(!stage.machine.awaits(attempt));
    let kind = secondo_lifecycle::Kind::Ixfr;
    let result = Ok(secondo_lifecycle::Transferred::Published { soa: soa(2), expire: None, kind });
    stage.tell(Event::Transferred { attempt, result });
    assert_eq!(stage.machine.serial(), Some(Serial(2)));
    assert_eq!(stage.asks(), probe(2, 1), "the attempt that runs goes on");
}

#[test]
fn the_cause_of_a_wait_can_be_told() {
    let stage = one();
    let activity = stage.machine.activity();
    assert!(
        matches!(activity, secondo_lifecycle::Activity::Waiting { why: Cause::Refresh, .. }),
        "{activity:?}"
    );
}
