//! The rooms that decide, ask, build and keep, driven together in virtual time against scripted primaries: random worlds with
//! deaths, lies, wrong keys, lost differences, NOTIFYs that are lost, doubled and forged, new settings, restarts, power cuts,
//! clocks that step, and disks that refuse or damage what they have. The zones of a world share primaries, one scheduler and one
//! store. What must hold is in `reference`.
//!
//! `SECONDO_SEED=n` plays one world again; `SECONDO_WORLDS=n` plays so many of weeks, and of the others as many more;
//! `SECONDO_FIRST=n` begins with other ones.

#![allow(clippy::unwrap_used)]

mod archive;
mod content;
mod holding;
mod manner;
mod pace;
mod reference;
mod schedule;
mod secondary;
mod shelf;
mod stage;
#[path = "../state/mod.rs"]
mod state;
mod tally;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use archive::End;
use manner::Manner;
use pace::{Pace, QUICK, SLOW};
use secondo_sim::Chance;
use stage::Stage;
use tally::Tally;

/// What worlds there are; seeds have their place here in their upper half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    /// Two to five zones of three primaries over weeks.
    Weeks,
    /// A zone or two, over years.
    Years,
    /// Hundreds of zones of five primaries, over years.
    Hundreds,
}

impl Scale {
    /// The first seed, unless told otherwise.
    fn first(self) -> u64 {
        1 + ((self as u64) << 32)
    }
    fn of(seed: u64) -> Scale {
        match seed >> 32 {
            0 => Scale::Weeks,
            1 => Scale::Years,
            _ => Scale::Hundreds,
        }
    }

    /// Worlds, unless told otherwise.
    fn worlds(self) -> u64 {
        match self {
            Scale::Weeks => 2000,
            Scale::Years => 12,
            Scale::Hundreds => 1,
        }
    }

    fn stage(self, chance: &mut Chance) -> Stage {
        let (pace, zones, primaries): (&'static Pace, _, _) = match self {
            Scale::Weeks => (&QUICK, 2 + chance.below(4), 3),
            Scale::Years => (&QUICK, 1 + chance.below(2), 2),
            Scale::Hundreds => (&SLOW, 200 + chance.below(200), 5),
        };
        Stage::new(pace, zones as usize, primaries, chance)
    }

    /// Steps in a world.
    fn steps(self) -> u64 {
        match self {
            Scale::Weeks => 64,
            Scale::Years => 80,
            Scale::Hundreds => 500,
        }
    }

    /// How long a step lasts at times, and how rarely; seconds.
    fn long(self) -> (u64, u64) {
        match self {
            Scale::Weeks => (8 * 86_400, 8),
            Scale::Years => (120 * 86_400, 3),
            Scale::Hundreds => (20 * 86_400, 2),
        }
    }
}

#[test]
fn in_any_world_zones_are_true_while_they_are_served_and_whole_again_when_all_is_quiet() {
    println!("{:#?}", play_all(Scale::Weeks));
}

#[test]
fn in_any_world_of_years_too() {
    println!("{:#?}", play_all(Scale::Years));
}

#[test]
fn in_any_world_of_hundreds_of_zones_over_years_too() {
    println!("{:#?}", play_all(Scale::Hundreds));
}

/// Plays the worlds of a scale, or the one that was asked for; fails if they were too kind.
fn play_all(scale: Scale) -> Tally {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    // Of all kinds as many more as of those of weeks.
    let more = |worlds: u64| (worlds * scale.worlds()).div_ceil(Scale::Weeks.worlds());
    let (first, worlds) = match number("SECONDO_SEED") {
        Some(seed) if Scale::of(seed) == scale => (seed, 1),
        Some(_) => return Tally::default(),
        None => (
            scale.first() + number("SECONDO_FIRST").unwrap_or(0),
            number("SECONDO_WORLDS").map_or(scale.worlds(), more),
        ),
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
    let enough = scale == Scale::Weeks && worlds >= scale.worlds();
    let missing = if enough { tally.missing() } else { Vec::new() };
    assert!(missing.is_empty(), "the worlds are too kind: {missing:?}");
    tally
}

/// Plays one world; what came to pass in it.
fn play(seed: u64) -> Tally {
    let (scale, mut chance) = (Scale::of(seed), Chance::new(seed));
    let mut stage = scale.stage(&mut chance);
    for _ in 0..scale.steps() {
        let (zone, primary) = (stage.any_zone(&mut chance), stage.any_primary(&mut chance));
        match chance.below(20) {
            0..6 => {
                // Mostly minutes and hours, at times days or months.
                let (rare, times) = scale.long();
                let longest = if chance.one_in(times) { rare } else { 3 * 3600 };
                stage.pass(chance.below(longest));
            }
            6..9 => stage.change(zone, &mut chance),
            9 => stage.follow(zone),
            10 | 11 => stage.behave(primary, Manner::any(&mut chance)),
            12 => stage.behave(primary, Manner::Honest),
            13 => stage.notify(zone, &mut chance),
            14 if chance.one_in(2) => {
                let (end, reboot) = chance.of(&[
                    (End::Clean, false),
                    (End::Clean, true),
                    (End::Kill, false),
                    (End::PowerCut, true),
                ]);
                stage.restart(end, reboot, chance.below(6 * 3600), chance.one_in(4));
            }
            14 => stage.forget(zone, primary),
            15 if chance.one_in(4) => stage.order(zone, &mut chance),
            15 => stage.pass(chance.below(60)),
            16 => stage.reconfigure(zone, &mut chance),
            17 if chance.one_in(2) => stage.step_clock(&mut chance),
            17 | 18 => stage.pass(chance.below(3600)),
            _ => stage.trouble(&mut chance),
        }
    }
    stage.quiet();
    stage.settle();
    stage.tally()
}
