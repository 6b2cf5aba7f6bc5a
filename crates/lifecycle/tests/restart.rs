//! What a zone is worth after a restart: the confirmation and two clocks (RFC 1034 §4.3.5).

mod stage;

use secondo_lifecycle::{BootId, Confirmation, Event, Now, Restored, Validity};
use secondo_wire::Serial;
use stage::*;

fn one() -> Stage {
    Stage::loaded(settings(vec![primary(1, 1)]))
}

fn at(boot: u64, boot_id: BootId, wall: u64) -> Now {
    Now { boot: seconds(boot), boot_id, wall }
}

fn restart(confirmation: Option<Confirmation>, now: Now) -> Stage {
    let restored = Restored { soa: soa(1), confirmation };
    Stage::start(settings(vec![primary(1, 1)]), Some(restored), now)
}

#[test]
fn a_restart_goes_on_with_what_was_left() {
    let confirmation = one().confirmations[0];
    let later = at(1_000_000 + 50_000, BOOT, 0);
    let stage = restart(Some(confirmation), later);
    assert_eq!(stage.left(), seconds(EXPIRE - 50_000));
    assert_eq!(stage.asks(), probe(1, 1), "an overdue refresh begins at once");
    let stage = restart(Some(confirmation), at(1_000_000 + 100, BOOT, 0));
    assert_eq!(stage.asks(), None, "a refresh that is not due keeps its time");
    let wait = stage.machine.next_deadline() - stage.now.boot;
    assert!(wait >= seconds(REFRESH / 4 * 3 - 100) && wait <= seconds(REFRESH - 100));
}

#[test]
fn a_start_looks_early_within_the_window_given_and_never_later_than_due() {
    let confirmation = one().confirmations[0];
    let now = at(1_000_000 + 100, BOOT, 0);
    let mut waits = Vec::new();
    for _ in 0..2 {
        let mut stage = restart(Some(confirmation), now);
        stage.machine.look_within(seconds(10), now);
        waits.push(stage.machine.next_deadline() - now.boot);
        stage.machine.look_within(seconds(1_000_000_000), now);
        assert!(stage.machine.next_deadline() - now.boot <= seconds(10), "a wide window delays nothing");
    }
    assert!(waits.iter().all(|wait| *wait <= seconds(10)));
}

#[test]
fn a_restart_after_the_deadline_begins_expired() {
    let confirmation = one().confirmations[0];
    for now in [at(1_000_000 + EXPIRE, BOOT, 0), at(5, BootId([9; 16]), 1_700_000_000 + EXPIRE)] {
        let mut stage = restart(Some(confirmation), now);
        let expired = Validity::Expired { since: now.boot, age: Some(seconds(EXPIRE)) };
        assert_eq!(stage.machine.validity(), expired);
        stage.show(1);
        assert_eq!(stage.revived, 1);
    }
}

#[test]
fn a_wall_clock_that_went_back_over_a_reboot_gives_no_extra_life_and_a_probe_at_once() {
    let confirmation = one().confirmations[0];
    let stage = restart(Some(confirmation), at(5, BootId([9; 16]), 1_600_000_000));
    assert_eq!(stage.left(), seconds(EXPIRE));
    assert_eq!(stage.asks(), probe(1, 1));
}

#[test]
fn a_version_without_a_confirmation_of_its_own_is_not_served() {
    let confirmation = one().confirmations[0];
    let later = Confirmation { serial: Serial(2), ..confirmation };
    for unfounded in [None, Some(later)] {
        assert!(!restart(unfounded, at(1_000_000, BOOT, 0)).is_current());
    }
    let earlier = Confirmation { serial: Serial(0), ..confirmation };
    assert!(restart(Some(earlier), at(1_000_000, BOOT, 0)).is_current());
}

#[test]
fn wall_clock_steps_while_running_change_nothing() {
    let mut stage = one();
    for wall in [0, u64::MAX / 2, 1_700_000_000] {
        stage.now.wall = wall;
        stage.tell(Event::Timeout);
        assert_eq!(stage.left(), seconds(EXPIRE));
    }
}

#[test]
fn a_drill_expires_the_zone_across_a_restart_and_the_next_retry_revives_it() {
    let mut stage = one();
    stage.tell(Event::ExpireNow);
    assert_eq!((stage.expired, stage.is_current(), stage.asks()), (1, false, None));
    let written = *stage.confirmations.last().unwrap();
    assert!(!restart(Some(written), stage.now).is_current());
    assert!(stage.pass_until_asked() <= seconds(RETRY));
    stage.show(1);
    assert_eq!(stage.revived, 1);
}
