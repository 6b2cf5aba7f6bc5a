//! What the store promises, one test for each.

#![allow(clippy::unwrap_used)]

mod world;

use std::collections::BTreeMap;
use std::fs;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secondo_store::{Durability, Notice, OpenError, Store};
use secondo_wire::Serial;
use world::*;

const LONG: Duration = Duration::from_secs(60);

fn page_files(folder: &std::path::Path) -> Vec<String> {
    files(folder).into_keys().filter(|path| path.starts_with("zones/")).collect()
}

#[test]
fn small_and_large_zones_come_back_with_their_confirmations() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("a/b");
    let zones = [small("Small.example.", 5), large("large.example.", 9)];
    {
        let (store, opened) = open(&state);
        assert!(opened.restored.is_empty() && opened.damages.is_empty() && opened.refused.is_none());
        for (zone, wall) in zones.iter().zip(1..) {
            let committed = commit(&store, full(zone), wall);
            assert_eq!(*committed.durability(), Durability::Durable);
        }
        assert_eq!(confirm(&store, "small.example.", confirmation(Serial(5), 77)), Ok(()));
    }
    assert_eq!(page_files(&state).len(), 1);
    let (_store, opened) = open(&state);
    assert!(opened.damages.is_empty(), "{:?}", opened.damages);
    assert_eq!(opened.restored.len(), 2);
    for restored in &opened.restored {
        let zone = restored.committed.zone();
        let expected = zones.iter().find(|expected| expected.apex() == zone.apex()).unwrap();
        assert_eq!(content(zone), content(expected));
        let wall = if zone.serial() == Serial(5) { 77 } else { 2 };
        assert_eq!(restored.confirmation, Some(confirmation(zone.serial(), wall)));
    }
}

#[test]
fn hundreds_of_zones_come_back_each_with_its_own_and_a_damaged_one_costs_itself() {
    const ZONES: u32 = 300;
    let folder = tempfile::tempdir().unwrap();
    let apex = |number: u32| format!("z{number:03}.example.");
    {
        let (store, opened) = open(folder.path());
        assert_eq!(opened.retired, Some(Vec::new()));
        let (tell, told) = channel();
        for number in 0..ZONES {
            let (version, tell) = (full(&small(&apex(number), number + 1)), tell.clone());
            let confirmation = confirmation(Serial(number + 1), number.into());
            store.commit(version, confirmation, 0, move |_| tell.send(()).unwrap());
        }
        (0..ZONES).for_each(|_| told.recv().unwrap());
        store.retire(vec![name(&apex(7))], 1_000_000);
    }
    let db = rusqlite::Connection::open(folder.path().join("secondo.db")).unwrap();
    let damaged = "UPDATE image SET octets = zeroblob(100) WHERE id = 170";
    assert_eq!(db.execute(damaged, []).unwrap(), 1);
    drop(db);
    let (_store, opened) = open(folder.path());
    assert_eq!(opened.damages.len(), 1, "{:?}", opened.damages);
    assert_eq!(opened.retired, Some(vec![name(&apex(7))]));
    let lost = opened.damages[0].zone.clone().unwrap();
    let left: Vec<u32> = (0..ZONES).filter(|number| name(&apex(*number)) != lost).collect();
    assert_eq!(opened.restored.len(), left.len());
    for (restored, number) in opened.restored.iter().zip(left) {
        let zone = restored.committed.zone();
        assert_eq!((zone.apex(), zone.serial()), (&name(&apex(number)), Serial(number + 1)));
        assert_eq!(restored.confirmation, Some(confirmation(Serial(number + 1), number.into())));
    }
}

#[test]
fn differences_go_into_the_journal_until_a_new_image_is_cheaper() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let mut current = large("example.", 1);
    commit(&store, full(&current), 1);
    let first = page_files(folder.path());
    let octets = |folder: &std::path::Path| files(folder)[&first[0]].len();
    let size = octets(folder.path());
    let mut steps = 0;
    while page_files(folder.path()) == first {
        let next = large("example.", current.serial().0 + 1);
        assert_eq!(*commit(&store, incremental(&current, &next), 1).durability(), Durability::Durable);
        current = next;
        steps += 1;
        assert!(steps < 5000, "the image is never written anew");
    }
    // Steps of some hundred octets: not too often, and long before there is as much in them as in the image.
    assert!(steps > 20 && steps * 300 < size, "{steps} steps for {size} octets");
    drop(store);
    let (_store, opened) = open(folder.path());
    assert_eq!(page_files(folder.path()).len(), 1);
    assert_eq!(content(opened.restored[0].committed.zone()), content(&current));
    assert!(opened.damages.is_empty());
}

#[test]
fn a_confirmation_of_another_version_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    commit(&store, full(&small("example.", 5)), 1);
    assert!(confirm(&store, "example.", confirmation(Serial(4), 99)).is_err());
    assert!(confirm(&store, "other.example.", confirmation(Serial(5), 99)).is_err());
    drop(store);
    let (_store, opened) = open(folder.path());
    assert_eq!(opened.restored[0].confirmation, Some(confirmation(Serial(5), 1)));
}

#[test]
fn a_second_daemon_is_told_and_a_third_after_the_first_has_ended_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let second = Store::open(folder.path(), [0; 16], |_| true, |_| {});
    assert!(matches!(second, Err(OpenError::Locked(_))));
    drop(store);
    open(folder.path());
}

#[test]
fn zones_live_in_memory_until_the_disk_can_be_had() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("blocked");
    // Where the directory should be there is a file: nothing can be created.
    fs::write(&blocked, "in the way").unwrap();
    let state = blocked.join("state");
    let (tell, told) = channel();
    let (store, opened) =
        Store::open(&state, [7; 16], |_| true, move |notice| tell.send(notice).unwrap()).unwrap();
    assert!(opened.refused.is_some());
    let zones = [small("small.example.", 5), large("large.example.", 9)];
    for zone in &zones {
        let committed = commit(&store, full(zone), 1);
        assert!(matches!(committed.durability(), Durability::Volatile(_)));
        assert_eq!(content(committed.zone()), content(zone));
    }
    store.retire(vec![name("small.example.")], 100);
    // A confirmation waits beside its version; one of another version does not replace it.
    assert!(confirm(&store, "small.example.", confirmation(Serial(5), 2)).is_err());
    assert!(confirm(&store, "small.example.", confirmation(Serial(4), 3)).is_err());
    let restored = restore(&store, "small.example.").unwrap();
    assert_eq!(restored.confirmation, Some(confirmation(Serial(5), 2)));
    assert!(matches!(restored.committed.durability(), Durability::Volatile(_)));
    fs::remove_file(&blocked).unwrap();
    let mut recovered: Vec<_> = (0..2)
        .map(|_| told.recv_timeout(LONG).unwrap())
        .map(|notice| match notice {
            Notice::Recovered(recovered) => recovered.serial.0,
            Notice::Damaged(damage) => panic!("{damage:?}"),
        })
        .collect();
    recovered.sort_unstable();
    assert_eq!(recovered, [5, 9]);
    // The retirement waited with them.
    store.purge(100);
    assert!(restore(&store, "small.example.").is_some());
    store.unretire(vec![name("small.example.")]);
    store.purge(101);
    drop(store);
    let (_store, opened) = open(&state);
    assert_eq!(opened.restored.len(), 2);
    for restored in opened.restored {
        let wall = if restored.committed.zone().serial() == Serial(5) { 2 } else { 1 };
        assert_eq!(restored.confirmation.unwrap().wall, wall);
    }
}

#[test]
fn a_clean_end_writes_what_waits() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("blocked");
    fs::write(&blocked, "in the way").unwrap();
    let state = blocked.join("state");
    let (store, _) = Store::open(&state, [7; 16], |_| true, |_| {}).unwrap();
    commit(&store, full(&small("small.example.", 5)), 1);
    commit(&store, full(&large("large.example.", 9)), 1);
    fs::remove_file(&blocked).unwrap();
    drop(store);
    let (_store, opened) = open(&state);
    // Of large zones one is tried at a time, and here is only one.
    assert_eq!(opened.restored.len(), 2);
}

#[test]
fn a_late_database_of_an_earlier_run_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let (state, away) = (folder.path().join("state"), folder.path().join("away"));
    {
        let (store, _) = open(&state);
        commit(&store, full(&large("one.example.", 1)), 1);
    }
    // The directory is not there yet when the daemon starts.
    fs::rename(&state, &away).unwrap();
    fs::write(&state, "in the way").unwrap();
    let (tell, told) = channel();
    let (store, _) =
        Store::open(&state, [8; 16], |_| true, move |notice| tell.send(notice).unwrap()).unwrap();
    commit(&store, full(&large("two.example.", 2)), 2);
    fs::remove_file(&state).unwrap();
    fs::rename(&away, &state).unwrap();
    assert!(matches!(told.recv_timeout(LONG).unwrap(), Notice::Recovered(_)));
    drop(store);
    let (_store, opened) = open(&state);
    assert!(opened.damages.is_empty(), "{:?}", opened.damages);
    assert_eq!(opened.restored.len(), 2);
}

#[test]
fn retired_zones_stay_until_their_day_and_return_if_wanted() {
    let folder = tempfile::tempdir().unwrap();
    {
        let (store, _) = open(folder.path());
        for (apex, serial) in [("kept.example.", 1), ("gone.example.", 2), ("back.example.", 3)] {
            commit(&store, full(&large(apex, serial)), 1);
        }
        store.retire(vec![name("gone.example."), name("back.example.")], 100);
        // The first date holds.
        store.retire(vec![name("gone.example.")], 500);
        store.purge(100);
        assert!(restore(&store, "gone.example.").is_some());
        store.unretire(vec![name("back.example.")]);
        store.purge(101);
        assert!(restore(&store, "gone.example.").is_none());
        assert!(restore(&store, "back.example.").is_some());
    }
    {
        // All in one batch: first back, then retired anew.
        let (store, _) = open(folder.path());
        store.retire(vec![name("back.example.")], 200);
        restore(&store, "back.example.");
        store.unretire(vec![name("back.example.")]);
        store.retire(vec![name("back.example.")], 300);
        store.retire(vec![name("back.example.")], 900);
        store.purge(300);
        assert!(restore(&store, "back.example.").is_some());
    }
    assert_eq!(page_files(folder.path()).len(), 2);
    let (_store, opened) =
        Store::open(folder.path(), [0; 16], |apex| *apex == name("kept.example."), |_| {}).unwrap();
    assert_eq!(opened.restored.len(), 1);
    assert_eq!(opened.others, [name("back.example.")]);
}

#[test]
fn each_asker_is_answered_exactly_once_even_when_others_panic() {
    let folder = tempfile::tempdir().unwrap();
    let answers = Arc::new(Mutex::new(BTreeMap::<String, u32>::new()));
    let count = |what: String| {
        let answers = Arc::clone(&answers);
        move || *answers.lock().unwrap().entry(what).or_default() += 1
    };
    {
        let (store, _) = open(folder.path());
        store.commit(full(&small("panic.example.", 1)), confirmation(Serial(1), 1), 4, |_| {
            panic!("an asker's own")
        });
        store.confirm(&name("panic.example."), confirmation(Serial(1), 1), |_| panic!("an asker's own"));
        store.restore(&name("panic.example."), |_| panic!("an asker's own"));
        for serial in 1..30 {
            let zone = if serial % 5 == 0 { large("example.", serial) } else { small("example.", serial) };
            let call = count(format!("commit {serial}"));
            store.commit(full(&zone), confirmation(Serial(serial), 1), 4, move |_| call());
            let call = count(format!("confirm {serial}"));
            store.confirm(&name("example."), confirmation(Serial(serial), 2), move |result| {
                result.unwrap();
                call();
            });
            let call = count(format!("restore {serial}"));
            store.restore(&name("example."), move |found| {
                let found = found.unwrap();
                // What was asked before is in it; what shares its transaction may be.
                if found.committed.zone().serial().0 >= serial && found.confirmation.is_some() {
                    call();
                }
            });
        }
    }
    let answers = answers.lock().unwrap();
    assert_eq!(answers.len(), 29 * 3);
    assert!(answers.values().all(|times| *times == 1), "{answers:?}");
}

#[test]
fn files_that_no_row_refers_to_are_removed_and_foreign_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    {
        let (store, _) = open(folder.path());
        commit(&store, full(&large("example.", 1)), 1);
        commit(&store, full(&large("example.", 2)), 1);
    }
    let kept = page_files(folder.path());
    assert_eq!(kept.len(), 1);
    let zones = folder.path().join("zones");
    for (orphan, content) in
        [("00000000000000aa.pages", "x"), ("00000000000000ab.pages.new", "x"), ("NOTES", "mine")]
    {
        fs::write(zones.join(orphan), content).unwrap();
    }
    let (_store, opened) = open(folder.path());
    assert_eq!(opened.restored.len(), 1);
    assert_eq!(page_files(folder.path()), [kept[0].clone(), "zones/NOTES".into()]);
}
