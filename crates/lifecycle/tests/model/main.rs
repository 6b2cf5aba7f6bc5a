//! Every state that a machine can come to in a small world (one zone, two primaries, few serials) within so many steps, and
//! every way on from it: what must always hold is looked at in each. Waits are without jitter and on a grid of time, and
//! states that differ in nothing but the date are one.
//!
//! `SECONDO_MODEL_STEPS=n` goes so many steps deep. In the wide world of `SECONDO_MODEL=wide` an operator gives orders too, we
//! ourselves fail, primaries refuse, expire and tell no serial, and a zone has three versions.

#![allow(clippy::unwrap_used)]

mod held;
mod state;
mod world;

use std::collections::{HashMap, VecDeque};

use world::{Choice, World};

/// How a state was come to: from which, and by what. Enough to tell the whole way.
type Ways = HashMap<u128, (u128, Choice)>;

/// Steps from the start, unless told otherwise.
const STEPS: u32 = 7;

#[test]
fn in_no_state_of_a_small_world_a_promise_is_broken() {
    let wide = std::env::var("SECONDO_MODEL").is_ok_and(|size| size == "wide");
    let steps = std::env::var("SECONDO_MODEL_STEPS").map_or(STEPS, |steps| steps.parse().unwrap());
    let found = explore(wide, steps);
    println!("{steps} steps: {found:?}");
    assert!(found.states > 3_000, "the world has become too small to tell anything: {found:?}");
}

#[derive(Debug, Default)]
struct Found {
    /// Different states.
    states: usize,
    /// Steps between them.
    steps: usize,
    /// Honest primaries that were followed to the end.
    hopes: usize,
}

/// Breadth first, so that a broken promise is told by the shortest way that leads to it.
fn explore(wide: bool, steps: u32) -> Found {
    let start = World::new(wide);
    let mut found = Found { states: 1, ..Found::default() };
    let mut ways: Ways = HashMap::from([(start.key(), (0, Choice::Start))]);
    let mut waiting = VecDeque::from([(start.key(), start, 0)]);
    while let Some((key, world, depth)) = waiting.pop_front() {
        for hope in world.hopes() {
            found.hopes += 1;
            if let Err(broken) = world.clone().trust(hope) {
                panic!("{broken}\nfrom now on, after:\n{}\n{world:?}", story(&ways, key));
            }
        }
        if depth == steps {
            continue;
        }
        for choice in world.choices() {
            found.steps += 1;
            let mut next = world.clone();
            if let Err(broken) = next.take(choice) {
                panic!("{broken}\nafter:\n{}\n{choice:?}\n{next:?}", story(&ways, key));
            }
            let next_key = next.key();
            if let std::collections::hash_map::Entry::Vacant(place) = ways.entry(next_key) {
                place.insert((key, choice));
                found.states += 1;
                waiting.push_back((next_key, next, depth + 1));
            }
        }
    }
    found
}

/// The choices that lead to a state, one a line.
fn story(ways: &Ways, mut key: u128) -> String {
    let mut lines = Vec::new();
    while let Some((from, choice)) = ways.get(&key) {
        lines.push(format!("{choice:?}"));
        key = *from;
    }
    lines.reverse();
    lines.join("\n")
}
