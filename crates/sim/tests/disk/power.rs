//! The power is cut.

use secondo_sim::Trouble;
use secondo_store::Durability;

use crate::scene::*;
use crate::state::StateDir;

/// Fates of what was not synced, tried at each operation.
const SEEDS: u64 = 4;

#[test]
fn at_every_operation_that_writes_a_page_file() {
    let count = operations().len();
    assert!(count > 60, "only {count} operations");
    for number in 0..count {
        let (mut truth, mut primary) = (Truth::default(), primary());
        let (state, _running) = struck(number, Trouble::PowerCut, &mut truth, &mut primary);
        assert!(!state.disk.has_power());
        for seed in 0..SEEDS {
            let what = format!("power cut at operation {number} of {count}, seed {seed}");
            let state = state.after_power_cut(number as u64 * SEEDS + seed);
            reopen(&state, &mut truth.clone(), &mut primary.clone(), &what);
        }
    }
}

#[test]
fn an_answer_is_durable_at_the_moment_it_is_given() {
    let mut primary = primary();
    let (mut state, mut truth) = (StateDir::new(1), Truth::default());
    for seed in 0..20 {
        let running = state.open();
        let durability = if seed % 3 == 1 {
            truth.commit_on(&running, &mut primary)
        } else {
            truth.commit_whole(&running, &mut primary)
        };
        assert_eq!(durability, Durability::Durable);
        if seed % 2 == 0 {
            truth.confirm(&running).unwrap();
        }
        let next = state.after_power_cut(seed);
        drop(running);
        state = next;
        let found = truth.check(&state.open().opened, &format!("seed {seed}"));
        assert_eq!(found, Some(seed as usize));
        change(&mut primary, 0..4);
    }
}
