//! Versions before the newest: how many are kept, what ends a history, and that the disk gets back what they took.

#![allow(clippy::unwrap_used)]

mod world;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use secondo_store::{Durability, HistoryError, Notice, Store};
use secondo_wire::Serial;
use secondo_zone::Zone;
use world::*;

const LONG: Duration = Duration::from_secs(60);

/// Commits them one after the other, the first whole, the others by what leads to them.
fn commit_all(store: &Store, versions: &[Zone], keep: u32) {
    commit_keeping(store, full(&versions[0]), 1, keep);
    for pair in versions.windows(2) {
        let committed = commit_keeping(store, incremental(&pair[0], &pair[1]), 1, keep);
        assert_eq!(*committed.durability(), Durability::Durable);
    }
}

fn count(folder: &Path, table: &str) -> i64 {
    let db = rusqlite::Connection::open(folder.join("secondo.db")).unwrap();
    db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn so_many_versions_are_kept_and_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let versions: Vec<Zone> = (1..12).map(|serial| small("example.", serial)).collect();
    commit_all(&store, &versions, 4);
    assert_eq!(serials(&store, "example."), [7, 8, 9, 10, 11]);
    assert_eq!(count(folder.path(), "journal"), 4);
    // More from now on, less from now on, none.
    let mut current = versions.last().unwrap().clone();
    for (keep, kept) in [(9, 5), (9, 6), (2, 2), (0, 0), (0, 0), (1, 1)] {
        let next = small("example.", current.serial().0 + 1);
        commit_keeping(&store, incremental(&current, &next), 1, keep);
        current = next;
        assert_eq!(serials(&store, "example.").len(), kept + 1, "{keep} wanted");
        assert_eq!(count(folder.path(), "journal"), kept as i64);
    }
    assert!(history(&store, "other.example.").is_none());
    let history = history(&store, "EXAMPLE.").unwrap();
    assert_eq!(history.version(&current, Serial(1)), Err(HistoryError::NotKept(Serial(1))));
}

#[test]
fn a_history_is_read_as_far_back_as_is_wanted_and_no_further() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let versions: Vec<Zone> = (1..12).map(|serial| small("example.", serial)).collect();
    commit_all(&store, &versions, 9);
    let (tell, told) = channel();
    let history = history_until(&store, "example.", move |serial| {
        tell.send(serial.0).unwrap();
        serial == Serial(9)
    });
    let history = history.unwrap();
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [11, 10, 9]);
    assert!(history.serials().eq([9, 10, 11].map(Serial)));
    assert!(history.version(&versions[10], Serial(9)).unwrap() == versions[8]);
    assert_eq!(history.version(&versions[10], Serial(8)), Err(HistoryError::NotKept(Serial(8))));
    assert_eq!(history_until(&store, "example.", |_| true).unwrap().serials().count(), 1);
    // Who asks learns why there is none, and a panic of his own is not the store's.
    let none = history_until(&store, "other.example.", |_| false).unwrap_err();
    assert_eq!(none, "the disk does not have the zone");
    assert!(history_until(&store, "example.", |_| panic!("an asker's own")).is_err());
    assert_eq!(serials(&store, "example.").len(), 10);
}

#[test]
fn versions_behind_and_before_an_image_that_moved_come_back_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let page_file = || files(folder.path()).into_keys().find(|path| path.starts_with("zones/")).unwrap();
    // Each step is a good part of the image.
    let version = |serial: u32| {
        let mut owners: BTreeMap<u32, (u8, u8)> = (0..400).map(|number| (number, (250, 0))).collect();
        owners.extend((0..40).map(|number| ((serial * 40 + number) % 400, (249, serial as u8))));
        zone("example.", serial, &owners)
    };
    let versions: Vec<Zone> = (1..25).map(version).collect();
    let (store, _) = open(folder.path());
    commit_keeping(&store, full(&versions[0]), 1, 1000);
    let mut images = vec![page_file()];
    for pair in versions.windows(2) {
        commit_keeping(&store, incremental(&pair[0], &pair[1]), 1, 1000);
        images.push(page_file());
    }
    images.dedup();
    assert!(images.len() > 2, "the image never moved");
    let check = |store: &Store| {
        let history = history(store, "example.").unwrap();
        assert!(history.serials().eq((1..25).map(Serial)));
        for version in &versions {
            assert!(history.version(&versions[23], version.serial()).unwrap() == *version);
            assert!(history.version(version, Serial(12)).unwrap() == versions[11]);
        }
    };
    check(&store);
    drop(store);
    let (store, opened) = open(folder.path());
    assert!(opened.damages.is_empty());
    assert!(*opened.restored[0].committed.zone() == versions[23]);
    check(&store);
    // Steps behind the image are needed, the others are not.
    let next = version(25);
    commit_keeping(&store, incremental(&versions[23], &next), 1, 0);
    assert!(serials(&store, "example.").len() < 20);
    drop(store);
    let (_store, opened) = open(folder.path());
    assert!(*opened.restored[0].committed.zone() == next);
}

#[test]
fn a_zone_that_changed_altogether_has_a_new_image_and_its_old_version() {
    let folder = tempfile::tempdir().unwrap();
    let page_files =
        || files(folder.path()).into_keys().filter(|path| path.starts_with("zones/")).collect::<Vec<_>>();
    let version = |serial: u32| {
        let owners = (0..6000).map(|number| (number, (9, serial as u8))).collect();
        zone("example.", serial, &owners)
    };
    let versions: Vec<Zone> = (1..5).map(version).collect();
    let (store, _) = open(folder.path());
    commit_keeping(&store, full(&versions[0]), 1, 3);
    for pair in versions.windows(2) {
        let before = page_files();
        commit_keeping(&store, incremental(&pair[0], &pair[1]), 1, 3);
        assert_ne!(page_files(), before);
        assert_eq!(page_files().len(), 1);
    }
    let history = history(&store, "example.").unwrap();
    for version in &versions {
        assert!(history.version(&versions[3], version.serial()).unwrap() == *version);
    }
}

#[test]
fn a_history_takes_no_more_octets_than_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    // Small zones, of which little stays; as many are wanted as there may be.
    let version = |serial: u32| {
        let owners = (0..200).map(|number| (number, (230, (serial + number) as u8))).collect();
        zone("example.", serial, &owners)
    };
    let mut current = version(1);
    commit_keeping(&store, full(&current), 1, 100_000);
    for serial in 2..300 {
        let next = version(serial);
        commit_keeping(&store, incremental(&current, &next), 1, 100_000);
        current = next;
    }
    let db = rusqlite::Connection::open(folder.path().join("secondo.db")).unwrap();
    let octets: i64 = db.query_row("SELECT sum(length(step)) FROM journal", [], |row| row.get(0)).unwrap();
    assert!((15 << 20..=16 << 20).contains(&octets), "{octets}");
    let history = history(&store, "example.").unwrap();
    let oldest = history.serials().next().unwrap();
    assert!(history.version(&current, oldest).unwrap() == version(oldest.0));
}

#[test]
fn a_version_that_leads_on_from_nothing_on_disk_begins_a_new_history() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    for version in [small as fn(&str, u32) -> Zone, large] {
        commit_all(&store, &[1, 2, 3].map(|serial| version("example.", serial)), 9);
        assert_eq!(serials(&store, "example."), [1, 2, 3]);
        commit_keeping(&store, full(&version("example.", 4)), 1, 9);
        assert_eq!(serials(&store, "example."), [4]);
        assert_eq!(count(folder.path(), "journal"), 0);
        // Differences from a version that the disk never had.
        let [other, next] = [5, 6].map(|serial| version("example.", serial));
        commit_keeping(&store, incremental(&other, &next), 1, 9);
        assert_eq!(serials(&store, "example."), [6]);
        commit_keeping(&store, incremental(&next, &version("example.", 7)), 1, 9);
        assert_eq!(serials(&store, "example."), [6, 7]);
    }
}

/// The folder of page files, or that of everything, is taken away for a while: the disk refuses.
fn refuse(path: &Path) -> impl FnOnce() + use<> {
    let (path, away) = (path.to_path_buf(), path.with_extension("away"));
    fs::rename(&path, &away).unwrap();
    fs::write(&path, "in the way").unwrap();
    move || {
        fs::remove_file(&path).unwrap();
        fs::rename(&away, &path).unwrap();
    }
}

#[test]
fn what_leads_on_from_a_version_that_the_disk_refused_is_no_step_whatever_its_serial() {
    let folder = tempfile::tempdir().unwrap();
    let (tell, told) = channel();
    let (store, _) =
        Store::open(folder.path(), [7; 16], |_| true, move |notice| tell.send(notice).unwrap()).unwrap();
    let version = |serial: u32, value: u8| {
        let owners = (0..400).map(|number| (number, (250, value.wrapping_add(number as u8)))).collect();
        zone("example.", serial, &owners)
    };
    commit(&store, full(&version(1, 0)), 1);
    let allow = refuse(&folder.path().join("zones"));
    // The same serial with another content, as a transfer that an operator forced may bring it.
    let forced = version(1, 100);
    assert!(matches!(commit(&store, full(&forced), 1).durability(), Durability::Volatile(_)));
    let unrelated = history(&store, "example.").unwrap();
    assert_eq!(unrelated.version(&forced, Serial(1)), Err(HistoryError::Unrelated(Serial(1))));
    let mut owners: BTreeMap<u32, (u8, u8)> =
        (0..400).map(|number| (number, (250, 100_u8.wrapping_add(number as u8)))).collect();
    owners.insert(1000, (7, 7));
    let next = zone("example.", 2, &owners);
    // Its difference alone would go into the journal, which the disk takes.
    commit(&store, incremental(&forced, &next), 1);
    allow();
    while serials(&store, "example.").last() != Some(&2) {
        assert!(matches!(told.recv_timeout(LONG).unwrap(), Notice::Recovered(_)));
    }
    assert_eq!(serials(&store, "example."), [2]);
    drop(store);
    let (_store, opened) = open(folder.path());
    assert!(opened.damages.is_empty(), "{:?}", opened.damages);
    assert!(*opened.restored[0].committed.zone() == next);
}

#[test]
fn the_file_shrinks_when_much_of_it_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let octets = || fs::metadata(folder.path().join("secondo.db")).unwrap().len();
    let (store, _) = open(folder.path());
    let owners = (0..200).map(|number| (number, (200, 1))).collect();
    let apexes: Vec<String> = (0..200).map(|number| format!("z{number}.example.")).collect();
    let (tell, told) = channel();
    for apex in &apexes {
        let tell = tell.clone();
        let version = full(&zone(apex, 1, &owners));
        store.commit(version, confirmation(Serial(1), 1), KEEP, move |_| tell.send(()).unwrap());
    }
    commit(&store, full(&small("stays.example.", 1)), 1);
    apexes.iter().for_each(|_| told.recv().unwrap());
    store.retire(apexes.iter().map(|apex| name(apex)).collect(), 1);
    store.purge(2);
    assert!(restore(&store, "z1.example.").is_none());
    let begun = Instant::now();
    while octets() == 0 || octets() > 2 << 20 {
        assert!(begun.elapsed() < LONG, "the file has still {} octets", octets());
        std::thread::sleep(Duration::from_millis(10));
    }
    // Others were served all the while.
    commit(&store, full(&small("stays.example.", 2)), 1);
    drop(store);
    let (_store, opened) = open(folder.path());
    assert!(opened.damages.is_empty());
    assert!(*opened.restored[0].committed.zone() == small("stays.example.", 2));
}

/// Pages of an earlier layout are not damage: of such a database nothing else tells than what its format was.
#[test]
fn pages_of_another_release_are_said_once_whatever_their_number_and_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    {
        let (store, _) = open(folder.path());
        commit(&store, full(&large("large.example.", 1)), 1);
        for number in 0..20 {
            commit(&store, full(&small(&format!("n{number}.example."), 1)), 1);
        }
    }
    // The tables are the same; what stands in them is said to be what an earlier release wrote.
    let db = rusqlite::Connection::open(folder.path().join("secondo.db")).unwrap();
    let format: i32 = db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    let earlier = format - 1;
    db.execute_batch(&format!(
        "PRAGMA writable_schema=ON;
        UPDATE sqlite_schema SET sql=replace(sql, '{format:x}', '{earlier:x}');
        PRAGMA user_version={earlier};",
    ))
    .unwrap();
    drop(db);
    {
        let (store, opened) = open(folder.path());
        assert!(opened.restored.is_empty() && opened.others.is_empty() && opened.refused.is_none());
        let [said] = &opened.damages[..] else { panic!("{:?}", opened.damages) };
        assert_eq!(said.zone, None);
        for part in [&format!("another release wrote it, in format {earlier:x};"), "all are fetched again"] {
            assert!(said.what.contains(part), "{}", said.what);
        }
        assert_eq!(folder.path().join("zones").read_dir().unwrap().count(), 0, "page files are of no use");
        commit(&store, full(&large("large.example.", 2)), 1);
    }
    let (_store, opened) = open(folder.path());
    assert!(opened.damages.is_empty() && opened.restored.len() == 1, "{:?}", opened.damages);
}

/// A number in the file's header may be a flipped bit: the tables tell whose they are.
#[test]
fn rows_are_saved_though_the_number_of_the_format_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    {
        let (store, _) = open(folder.path());
        commit(&store, full(&small("small.example.", 1)), 1);
    }
    let db = rusqlite::Connection::open(folder.path().join("secondo.db")).unwrap();
    db.execute_batch("PRAGMA user_version=2").unwrap();
    drop(db);
    let (_store, opened) = open(folder.path());
    assert_eq!((opened.restored.len(), opened.damages.len()), (1, 1), "{:?}", opened.damages);
    assert!(opened.damages[0].what.contains("1 zones in it could be saved"), "{:?}", opened.damages);
}

#[test]
fn a_database_of_an_earlier_format_is_said_and_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    {
        let (store, _) = open(folder.path());
        commit(&store, full(&small("small.example.", 1)), 1);
        commit(&store, full(&large("large.example.", 1)), 1);
    }
    let db = rusqlite::Connection::open(folder.path().join("secondo.db")).unwrap();
    db.execute_batch(
        "DROP TABLE journal; PRAGMA user_version=1;
        CREATE TABLE journal(apex BLOB, step INTEGER, difference BLOB NOT NULL, PRIMARY KEY(apex, step));",
    )
    .unwrap();
    drop(db);
    {
        let (store, opened) = open(folder.path());
        assert!(opened.restored.is_empty() && opened.refused.is_none());
        assert!(opened.damages.iter().any(|damage| damage.what.contains("format 1")), "{:?}", opened.damages);
        commit(&store, full(&small("small.example.", 2)), 1);
    }
    assert!(folder.path().join("damaged/secondo.db").exists());
    let (_store, opened) = open(folder.path());
    assert!(opened.damages.is_empty());
    assert_eq!(opened.restored.len(), 1);
}
