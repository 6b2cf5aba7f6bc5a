//! The disk refuses.

use std::time::Duration;

use secondo_sim::Trouble;
use secondo_store::{Durability, Notice, Recovered};

use crate::scene::*;
use crate::state::{Running, StateDir};

const LONG: Duration = Duration::from_secs(60);

/// Refusals, and a word of what is said of each.
const REFUSALS: [(Trouble, &str); 4] = [
    (Trouble::Full, "no storage space"),
    (Trouble::BadWrite, "input/output"),
    (Trouble::BadSync, "input/output"),
    (Trouble::ReadOnly, "read-only"),
];

/// A version on disk, and another one, confirmed since, that the disk refuses.
fn refused(trouble: Trouble, word: &str) -> (StateDir, Running, Truth, secondo_sim::World) {
    let (state, mut truth, mut primary) = (StateDir::new(5), Truth::default(), primary());
    let running = state.open();
    assert_eq!(truth.commit_whole(&running, &mut primary), Durability::Durable);
    assert_eq!(truth.confirm(&running), Ok(()));
    change(&mut primary, 0..3);
    state.disk.refuse(Some(trouble));
    let durability = truth.commit_whole(&running, &mut primary);
    let said = |why: &String| why.contains(word) && why.contains("zones/");
    assert!(matches!(&durability, Durability::Volatile(why) if said(why)), "{trouble:?}: {durability:?}");
    let confirmed = truth.confirm(&running);
    assert!(confirmed.as_ref().is_err_and(said), "{trouble:?}: {confirmed:?}");
    // A zone that needs no page file is not affected.
    let beside = transfer(&mut primary, &small(), None);
    let confirmation = truth.confirmations[0];
    assert_eq!(*running.commit(beside, confirmation, 4).durability(), Durability::Durable);
    (state, running, truth, primary)
}

#[test]
fn what_is_volatile_is_gone_after_a_crash_and_what_was_durable_is_back() {
    for (trouble, word) in REFUSALS {
        let (state, running, mut truth, mut primary) = refused(trouble, word);
        let state = if trouble == Trouble::Full { state.after_kill() } else { state.after_power_cut(3) };
        drop(running);
        let found = reopen(&state, &mut truth, &mut primary, &format!("{trouble:?}"));
        assert_eq!(found, Some(0), "{trouble:?}");
    }
}

#[test]
fn what_is_volatile_becomes_durable_when_the_disk_allows_and_that_is_said() {
    // All at once: the store's patience is a matter of seconds.
    let all = REFUSALS.map(|(trouble, word)| (trouble, refused(trouble, word)));
    for (trouble, (state, running, mut truth, mut primary)) in all {
        state.disk.refuse(None);
        let recovered = Recovered { apex: large(), serial: truth.versions[1].serial() };
        assert_eq!(running.notices.recv_timeout(LONG), Ok(Notice::Recovered(recovered)), "{trouble:?}");
        truth.durable();
        let state = state.after_power_cut(3);
        drop(running);
        assert_eq!(reopen(&state, &mut truth, &mut primary, &format!("{trouble:?}")), Some(1));
    }
}

#[test]
fn a_clean_end_is_another_try() {
    for (trouble, word) in REFUSALS {
        for seed in 0..4 {
            let (state, running, mut truth, mut primary) = refused(trouble, word);
            state.disk.refuse(None);
            drop(running);
            truth.durable();
            // After a sync that failed, only a new file is durable.
            let state = state.after_power_cut(seed);
            assert_eq!(reopen(&state, &mut truth, &mut primary, &format!("{trouble:?}")), Some(1));
        }
    }
}

#[test]
fn a_refusal_at_any_one_operation_of_a_zone_s_life_costs_nothing() {
    let count = operations().len();
    for number in 0..count {
        for clean in [true, false] {
            let what = format!("refused at operation {number} of {count}, ended cleanly: {clean}");
            let (mut truth, mut primary) = (Truth::default(), primary());
            let (state, running) = struck(number, Trouble::Full, &mut truth, &mut primary);
            let cut = || state.after_power_cut(number as u64);
            let state = if clean {
                // The end writes what was kept back.
                drop(running);
                truth.durable();
                cut()
            } else {
                let state = cut();
                drop(running);
                state
            };
            reopen(&state, &mut truth, &mut primary, &what);
        }
    }
}

#[test]
fn a_folder_that_is_read_only_at_start_gives_its_zones() {
    let (state, mut truth, mut primary) = (StateDir::new(6), Truth::default(), primary());
    drop(live(&state, &mut truth, &mut primary));
    state.disk.refuse(Some(Trouble::ReadOnly));
    let running = state.open();
    assert!(running.opened.damages.is_empty(), "{:?}", running.opened.damages);
    assert_eq!(truth.check(&running.opened, "read-only"), Some(4));
    change(&mut primary, 0..3);
    assert!(matches!(truth.commit_whole(&running, &mut primary), Durability::Volatile(_)));
    state.disk.refuse(None);
    drop(running);
    truth.durable();
    assert_eq!(reopen(&state, &mut truth, &mut primary, "writable again"), Some(5));
}

#[test]
fn a_page_file_that_cannot_be_read_now_is_said_and_there_at_a_later_start() {
    let (state, mut truth, mut primary) = (StateDir::new(7), Truth::default(), primary());
    drop(live(&state, &mut truth, &mut primary));
    let first = state.disk.count();
    drop(state.open());
    let reads = state.disk.count() - first;
    let mut said = 0;
    for number in 0..reads {
        let state = state.after_kill();
        let operation = number + state.disk.count();
        state.disk.strike(operation, Trouble::BadRead);
        let running = state.open();
        if find(&running.opened, &large()).is_none() {
            let [damage] = &running.opened.damages[..] else { panic!("{:?}", running.opened.damages) };
            assert!(damage.zone == Some(large()) && damage.what.contains("input/output"), "{damage:?}");
            said += 1;
        }
        drop(running);
        assert!(state.disk.aside().is_empty(), "nothing is wrong with the file");
        let found = truth.clone().check(&state.open().opened, &format!("read {number}"));
        assert_eq!(found, Some(4));
    }
    // Only listing the folder may fail unheard.
    assert!(reads > 10 && said + 3 > reads, "{said} of {reads}");
}
