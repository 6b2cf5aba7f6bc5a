//! Every entry of the catalogue of misbehaving primaries, in virtual time: the lifecycle, the transfers, the zones and the
//! store as they are, without sockets. What is written down must come of it, and nothing else.

#![allow(clippy::unwrap_used)]

mod line;
mod mixture;
mod secondary;
#[path = "../state/mod.rs"]
mod state;

use std::fmt::Write;
use std::time::Duration;

use secondo_lifecycle::Activity;
use secondo_sim::catalogue::{Back, Entry, Served, entries};
use secondo_sim::{Fault, Kind, Name, Zone};

use secondary::{RETRY, Secondary, TIMERS, is_network};
use state::{Running, StateDir};

/// The way there and back, and limits that were waited out.
const SLACK: Duration = Duration::from_secs(60);
/// Beyond the life of a version that nobody confirms.
const LONG: Duration = Duration::from_secs(2 * 86_400);

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn apex(number: usize) -> Name {
    Name::parse(&format!("c{number:04}.example.")).unwrap()
}

/// Plays all entries that are wanted; what went otherwise than it is written down.
fn all(mut play: impl FnMut(&Entry, usize, &Running) -> Result<Zone, String>) {
    let state = StateDir::new(1);
    let running = state.open();
    let (mut wrong, mut served) = (String::new(), Vec::new());
    let wanted = std::env::var("SECONDO_ENTRY").unwrap_or_default();
    let entries = entries();
    for (number, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.name.contains(&wanted)) {
        match play(entry, number, &running) {
            Ok(zone) => served.push(zone),
            Err(what) => drop(writeln!(wrong, "{} / {}: {what}", entry.group, entry.name)),
        }
    }
    assert!(wrong.is_empty(), "{} of {} entries:\n{wrong}", wrong.lines().count(), entries.len());
    // What was served is what the next process serves.
    drop(running);
    let restored = state.open().opened.restored;
    for zone in &served {
        let again = restored.iter().find(|restored| restored.committed.zone().apex() == zone.apex());
        assert_eq!(
            again.map(|again| again.committed.zone().digest()),
            Some(zone.digest()),
            "{}",
            zone.apex()
        );
    }
    assert_eq!(restored.len(), served.len());
}

#[test]
fn each_entry_ends_as_it_is_written_down_and_a_primary_that_relents_is_heard_within_the_bound() {
    all(|entry, number, store| {
        let mut secondary = Secondary::new(entry, &apex(number), store, number as u64);
        let old = secondary.zone.as_ref().unwrap().serial();
        secondary.mislead();
        let waiting = |s: &Secondary<'_>| matches!(s.machine.activity(), Activity::Waiting { .. });
        secondary.until(secs(300), waiting).ok_or("the round does not end")?;
        let (expect, new) = (&entry.expect, secondary.newest());
        if secondary.told.iter().any(|rcode| *rcode != expect.rcode) {
            return Err(format!(
                "NOTIFY answered: expected {:?}, seen {:?}",
                expect.rcode, secondary.told[0]
            ));
        }
        differ("asked", &expect.asks, &secondary.asked.join(" "))?;
        differ("reasons", &expect.reasons, &secondary.reasons)?;
        differ("served", &expect.served, &if secondary.serves(new) { Served::New } else { Served::Old })?;
        if expect.served == Served::Old && !secondary.serves(old) {
            return Err("the old version is not served".into());
        }
        secondary.relent();
        let bound = match expect.back {
            Back::Now => secs(0),
            Back::QuarterRetry => secs(u64::from(TIMERS.retry) / 4),
            Back::Retry => secs(TIMERS.retry.into()),
            Back::Refresh => secs(TIMERS.refresh.into()),
        };
        let took = secondary.until(bound + SLACK, |s| s.serves(new)).ok_or("no way back within the bound")?;
        // Who asked for nothing waits from the contact before on.
        if took + SLACK < bound / 4 * 3 {
            return Err(format!("asked again after {took:?}, the bound being {bound:?}"));
        }
        Ok(secondary.zone.unwrap())
    });
}

#[test]
fn a_primary_that_lies_for_days_is_not_believed_not_pestered_and_heard_when_it_relents() {
    all(|entry, number, store| {
        let mut secondary = Secondary::new(entry, &apex(number), store, number as u64);
        // What has expired is replaced by any serial: such a primary is then believed, and has to be.
        let goes_back = |(kind, faults): &(Kind, Vec<Fault>)| {
            *kind == Kind::Axfr && matches!(faults[..], [Fault::Serial(_)])
        };
        if entry.script.iter().any(goes_back) {
            return Ok(secondary.zone.unwrap());
        }
        secondary.mislead();
        secondary.pass(LONG);
        // One probe in three quarters of the shortest wait, and what follows it.
        let most = 4 * LONG.as_secs() / (u64::from(TIMERS.retry) / 4 * 3);
        if secondary.asked.len() as u64 > most {
            return Err(format!("{} questions in {LONG:?}", secondary.asked.len()));
        }
        let new = secondary.newest();
        secondary.relent();
        let network =
            !secondary.reasons.is_empty() && secondary.reasons.iter().all(|reason| is_network(*reason));
        let longest = if network { TIMERS.retry.into() } else { RETRY.1.max(TIMERS.refresh.into()) };
        secondary.until(secs(longest) + SLACK, |s| s.serves(new)).ok_or("no way back within the bound")?;
        Ok(secondary.zone.unwrap())
    });
}

fn differ<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, seen: &T) -> Result<(), String> {
    if expected == seen { Ok(()) } else { Err(format!("{what}: expected {expected:?}, seen {seen:?}")) }
}
