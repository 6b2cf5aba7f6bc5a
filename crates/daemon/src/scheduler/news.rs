//! What is known of versions that have not come yet, round after round.

use std::time::Duration;

use secondo_lifecycle::{Kind, Now, Outcome, Step, Target, ZoneId};
use secondo_wire::{Reason, Serial};
use tempfile::TempDir;

use super::Scheduler;
use super::storm::{loaded, scheduler};
use super::trouble::Try;
use crate::config;
use crate::control::Problem;

const FIRST: &str = "127.0.0.1:1";
const SECOND: &str = "127.0.0.2:1";

/// A zone that serves serial 1, and the targets that it asks, in order.
fn zone_of(folder: &TempDir, primaries: &str) -> (Scheduler, ZoneId, Vec<Target>) {
    let (mut scheduler, _) =
        scheduler(folder, &format!("  - {{ name: z.test, primaries: [{primaries}] }}\n"));
    scheduler.populate(Vec::new());
    let (id, now) = (*scheduler.zones.keys().next().unwrap(), scheduler.now());
    loaded(&mut scheduler, id, now);
    let targets = targets(&scheduler, id);
    (scheduler, id, targets)
}

fn targets(scheduler: &Scheduler, id: ZoneId) -> Vec<Target> {
    let primaries = scheduler.zones[&id].machine.settings().primaries().iter();
    primaries.map(|primary| Target { primary: primary.id, address: primary.addresses[0] }).collect()
}

fn two(folder: &TempDir) -> (Scheduler, ZoneId, Vec<Target>) {
    zone_of(folder, &format!("{{ addresses: [\"{FIRST}\"] }}, {{ addresses: [\"{SECOND}\"] }}"))
}

/// What a probe is followed by.
fn told(scheduler: &mut Scheduler, id: ZoneId, target: Target, serial: u32, now: Now) {
    let zone = scheduler.zones.get_mut(&id).unwrap();
    zone.facts.primary = Some(target);
    zone.in_order(target, false);
    zone.told_of(Serial(serial), now.boot);
}

fn confirmed(scheduler: &mut Scheduler, id: ZoneId, target: Target, now: Now) {
    told(scheduler, id, target, 1, now);
    let next_in = Duration::from_secs(60);
    scheduler.report(id, Outcome::RefreshCurrent { target, serial: Serial(1), next_in }, None, now);
}

fn published(scheduler: &mut Scheduler, id: ZoneId, target: Target, serial: u32, now: Now) {
    let next_in = Duration::from_secs(60);
    let zone = scheduler.zones.get_mut(&id).unwrap();
    zone.in_order(target, true);
    let (serial, from) = (Serial(serial), Some(Serial(1)));
    scheduler.report(id, Outcome::Published { target, serial, from, kind: Kind::Axfr, next_in }, None, now);
}

fn behind(scheduler: &Scheduler, id: ZoneId) -> Option<u32> {
    scheduler.zones[&id].behind().map(|behind| behind.serial.0)
}

#[test]
fn a_version_that_does_not_come_is_missed_however_often_another_primary_confirms_the_old_one() {
    let folder = TempDir::new().unwrap();
    let (mut scheduler, id, targets) = two(&folder);
    let start = scheduler.now();
    for minute in 0..10 {
        let now = Now { boot: start.boot + Duration::from_secs(60 * minute), ..start };
        // The transfer of it fails, and the next primary is asked.
        told(&mut scheduler, id, targets[0], 9, now);
        confirmed(&mut scheduler, id, targets[1], now);
        let known = scheduler.zones[&id].behind().unwrap();
        assert_eq!((known.target, known.serial, known.since), (targets[0], Serial(9), start.boot));
    }
    let later = start.boot + Duration::from_secs(600);
    let problems = scheduler.zones[&id].problems(later);
    assert!(problems.iter().any(|problem| problem == Problem::Behind.code()), "{problems:?}");
    confirmed(&mut scheduler, id, targets[0], start);
    assert_eq!(behind(&scheduler, id), None, "whoever told of it takes it back");
}

#[test]
fn what_a_primary_of_later_turn_told_does_not_count_while_one_before_it_confirms() {
    let folder = TempDir::new().unwrap();
    let (mut scheduler, id, targets) = two(&folder);
    let now = scheduler.now();
    told(&mut scheduler, id, targets[1], 9, now);
    assert_eq!(behind(&scheduler, id), Some(9));
    confirmed(&mut scheduler, id, targets[0], now);
    assert_eq!(behind(&scheduler, id), None);
}

#[test]
fn a_version_is_missed_until_it_or_one_after_it_is_published_wherever_from() {
    let folder = TempDir::new().unwrap();
    let (mut scheduler, id, targets) = two(&folder);
    let now = scheduler.now();
    told(&mut scheduler, id, targets[0], 9, now);
    published(&mut scheduler, id, targets[1], 8, now);
    assert_eq!(behind(&scheduler, id), Some(9));
    published(&mut scheduler, id, targets[1], 9, now);
    assert_eq!(behind(&scheduler, id), None);
    // Began anew by the operator, with a serial that is not newer.
    told(&mut scheduler, id, targets[0], 9, now);
    published(&mut scheduler, id, targets[0], 1, now);
    assert_eq!(behind(&scheduler, id), None);
}

#[tokio::test]
async fn what_was_heard_from_a_primary_is_forgotten_when_it_is_defined_anew_at_its_address() {
    let folder = TempDir::new().unwrap();
    let (mut scheduler, id, before) = two(&folder);
    let now = scheduler.now();
    let zone = scheduler.zones.get_mut(&id).unwrap();
    zone.trouble().no_ixfr(before[0], Reason::IxfrBrokenChain, "", now.boot);
    zone.facts.primary = Some(before[0]);
    zone.told_of(Serial(9), now.boot);
    for target in &before {
        let (step, reason, serial, detail, at) = (Step::Axfr, Reason::Timeout, None, "".into(), now.boot);
        zone.trouble().note(Try {
            target: *target,
            step,
            reason,
            serial,
            detail,
            key: None,
            cut_short: false,
            at,
        });
    }
    let primaries = format!("{{ addresses: [\"{FIRST}\"], ixfr: false }}, {{ addresses: [\"{SECOND}\"] }}");
    let path = folder.path().join("other.yaml");
    let zones = format!("zones: [{{ name: z.test, primaries: [{primaries}] }}]\n");
    std::fs::write(&path, format!("listen: [\"127.0.0.1:53\"]\n{zones}")).unwrap();
    scheduler.change(&config::load(&path).unwrap().zones, now);
    let after = targets(&scheduler, id);
    assert!(after[0].address == before[0].address && after[0] != before[0] && after[1] == before[1]);
    let zone = &scheduler.zones[&id];
    assert!(zone.facts.primary.is_none() && zone.behind().is_none());
    let trouble = zone.facts.trouble.as_ref().unwrap();
    assert!(trouble.ixfr().is_none());
    assert!(
        trouble.tries().iter().map(|failed| failed.target).eq([after[1]]),
        "the second stayed what it was"
    );
}
