//! The rooms that decide, ask, build and keep, driven together in virtual time against scripted primaries: random worlds with
//! deaths, lies, wrong keys, lost differences, NOTIFYs that are lost, doubled and forged, new settings, restarts, power cuts,
//! clocks that step, and disks that refuse or damage what they have. What must hold is in `reference`.
//!
//! `SECONDO_SEED=n` plays one world again; `SECONDO_WORLDS=n` plays so many of each kind, for as long as that takes.

#![allow(clippy::unwrap_used)]

mod archive;
mod content;
mod manner;
mod reference;
mod secondary;
mod stage;
#[path = "../state/mod.rs"]
mod state;
mod tally;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use archive::End;
use manner::Manner;
use secondo_sim::Chance;
use stage::Stage;
use tally::Tally;

/// Steps in a world.
const STEPS: u64 = 80;
/// Seeds of worlds of years begin here; those before are worlds of weeks.
const YEARS: u64 = 1 << 32;

#[test]
fn in_any_world_a_zone_is_true_while_it_is_served_and_whole_again_when_all_is_quiet() {
    println!("{:#?}", play_all(1, 400));
}

#[test]
fn in_any_world_of_years_too() {
    println!("{:#?}", play_all(YEARS, 12));
}

/// Plays worlds from this seed on, or the one that was asked for; fails if they were too kind.
fn play_all(first: u64, ordinary: u64) -> Tally {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let (first, worlds) = match number("SECONDO_SEED") {
        Some(seed) if (seed < YEARS) == (first < YEARS) => (seed, 1),
        Some(_) => return Tally::default(),
        None => (first, number("SECONDO_WORLDS").unwrap_or(ordinary)),
    };
    let next = AtomicU64::new(first);
    let some = || {
        let mut tally = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + worlds {
                return tally;
            }
            match catch_unwind(AssertUnwindSafe(|| play(seed))) {
                Ok(one) => tally += &one,
                Err(broken) => {
                    next.store(u64::MAX >> 1, Ordering::Relaxed);
                    eprintln!(
                        "to play this world again: SECONDO_SEED={seed} cargo test -p secondo-sim --test drive"
                    );
                    resume_unwind(broken);
                }
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(8);
    let mut tally = Tally::default();
    thread::scope(|scope| {
        let players: Vec<_> = (0..threads).map(|_| scope.spawn(some)).collect();
        for player in players {
            match player.join() {
                Ok(some) => tally += &some,
                Err(broken) => resume_unwind(broken),
            }
        }
    });
    let missing = if first == 1 && worlds >= ordinary { tally.missing() } else { Vec::new() };
    assert!(missing.is_empty(), "the worlds are too kind: {missing:?}");
    tally
}

/// Plays one world; what came to pass in it.
fn play(seed: u64) -> Tally {
    let mut chance = Chance::new(seed);
    let mut stage = Stage::new(&mut chance);
    let years = seed >= YEARS;
    for _ in 0..STEPS {
        match chance.below(20) {
            0..6 => {
                // Mostly minutes and hours, at times days; in worlds of years, at times months.
                let rare = if years { 120 * 86_400 } else { 8 * 86_400 };
                let longest = if chance.one_in(if years { 3 } else { 8 }) { rare } else { 3 * 3600 };
                stage.pass(chance.below(longest));
            }
            6..9 => stage.change(&mut chance),
            9 => stage.follow(),
            10 | 11 => {
                let primary = chance.below(2) as usize;
                stage.behave(primary, Manner::any(&mut chance));
            }
            12 => stage.behave(chance.below(2) as usize, Manner::Honest),
            13 => stage.notify(&mut chance),
            14 if chance.one_in(2) => {
                let (end, reboot) = chance.of(&[
                    (End::Clean, false),
                    (End::Clean, true),
                    (End::Kill, false),
                    (End::PowerCut, true),
                ]);
                stage.restart(end, reboot, chance.below(6 * 3600), chance.one_in(4));
            }
            14 => stage.forget(chance.below(2) as usize),
            15 if chance.one_in(4) => stage.order(&mut chance),
            15 => stage.pass(chance.below(60)),
            16 => stage.reconfigure(&mut chance),
            17 if chance.one_in(2) => stage.step_clock(&mut chance),
            17 | 18 => stage.pass(chance.below(3600)),
            _ => stage.trouble(&mut chance),
        }
    }
    stage.quiet();
    stage.settle();
    stage.tally()
}
