//! Damage of every kind at many places: never a panic, never a refused start, never wrong data, never a confirmation
//! that was not given.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod world;

use std::collections::BTreeMap;

use secondo_store::{Confirmation, Durability, Notice, Opened, Store};
use secondo_wire::Serial;
use secondo_zone::Zone;
use world::*;

type Files = BTreeMap<String, Vec<u8>>;

/// All that was ever committed and confirmed.
#[derive(Default)]
struct Truth {
    versions: Vec<Zone>,
    confirmations: Vec<(secondo_wire::Name, Confirmation)>,
}

impl Truth {
    fn commit(&mut self, store: &Store, zone: &Zone, old: Option<&Zone>, wall: u64) {
        let checked = old.map_or_else(|| full(zone), |old| incremental(old, zone));
        assert_eq!(*commit(store, checked, wall).durability(), Durability::Durable);
        self.versions.push(zone.clone());
        self.confirmations.push((zone.apex().clone(), confirmation(zone.serial(), wall)));
    }

    fn confirm(&mut self, store: &Store, apex: &str, serial: u32, wall: u64) {
        let confirmation = confirmation(Serial(serial), wall);
        confirm(store, apex, confirmation).unwrap();
        self.confirmations.push((name(apex), confirmation));
    }

    /// Whether all that came back was there once; returns how many zones did.
    fn check(&self, opened: &Opened, what: &str) -> usize {
        for restored in &opened.restored {
            let zone = restored.committed.zone();
            let same = |known: &&Zone| known.serial() == zone.serial() && known.apex() == zone.apex();
            let known =
                self.versions.iter().find(same).unwrap_or_else(|| panic!("{what}: an unknown version"));
            assert_eq!(content(zone), content(known), "{what}");
            if let Some(confirmation) = restored.confirmation {
                assert_eq!(confirmation.serial, zone.serial(), "{what}");
                assert!(self.confirmations.contains(&(zone.apex().clone(), confirmation)), "{what}");
            }
        }
        opened.restored.len()
    }

    /// Whether all versions that are said to be kept are what they were; returns how many there are beside the newest.
    fn check_histories(&self, store: &Store, opened: &Opened, what: &str) -> usize {
        let mut kept = 0;
        for restored in &opened.restored {
            let zone = restored.committed.zone();
            // A zone whose rows are lost altogether only now is none that is kept.
            let Some(history) = history(store, &zone.apex().to_string()) else { continue };
            for serial in history.serials() {
                let made =
                    history.version(zone, serial).unwrap_or_else(|error| panic!("{what}: {serial}: {error}"));
                let known = self.versions.contains(&made);
                assert!(known, "{what}: an unknown version {serial}");
            }
            kept += history.serials().count() - 1;
        }
        kept
    }
}

/// A state directory with small zones and a large one with a journal, as a kill leaves it: with all of it in the log,
/// or with some; and after a clean end.
fn scene() -> (Truth, Vec<Files>) {
    let folder = tempfile::tempdir().unwrap();
    let mut truth = Truth::default();
    let mut scenes = Vec::new();
    let (store, _) = open(folder.path());
    for (apex, serial) in [("a.example.", 1), ("b.example.", 7), ("c.example.", 9)] {
        truth.commit(&store, &small(apex, serial), None, 10);
    }
    truth.commit(&store, &large("large.example.", 1), None, 20);
    truth.commit(&store, &large("large.example.", 2), Some(&large("large.example.", 1)), 21);
    truth.commit(&store, &small("a.example.", 2), Some(&small("a.example.", 1)), 30);
    truth.confirm(&store, "b.example.", 7, 40);
    scenes.push(snapshot(folder.path()));
    drop(store);
    // Now all is in the database; a little goes into a new log.
    let (store, _) = open(folder.path());
    truth.commit(&store, &small("c.example.", 10), Some(&small("c.example.", 9)), 50);
    truth.commit(&store, &large("large.example.", 3), Some(&large("large.example.", 2)), 51);
    truth.confirm(&store, "a.example.", 2, 60);
    scenes.push(snapshot(folder.path()));
    drop(store);
    // After a clean end there is no log.
    scenes.push(snapshot(folder.path()));
    (truth, scenes)
}

/// Opens such a directory, twice, and writes to it in between.
fn survive(truth: &Truth, files: &Files, what: &str) -> usize {
    let folder = tempfile::tempdir().unwrap();
    lay(folder.path(), files);
    let found = {
        let (store, opened) = open(folder.path());
        assert_eq!(opened.refused, None, "{what}");
        let found = truth.check(&opened, what);
        let sound = found == 4 && opened.restored.iter().all(|restored| restored.confirmation.is_some());
        // A log that ends early cannot be told from one that was never longer.
        assert!(sound || !opened.damages.is_empty() || what.contains("-wal"), "{what}: nothing was said");
        truth.check_histories(&store, &opened, what);
        let committed = commit(&store, full(&small("new.example.", 1)), 70);
        assert_eq!(*committed.durability(), Durability::Durable, "{what}");
        found
    };
    let (store, mut opened) = open(folder.path());
    assert_eq!(opened.refused, None, "{what}");
    let new = opened.restored.iter().position(|r| *r.committed.zone().apex() == name("new.example."));
    opened.restored.remove(new.unwrap_or_else(|| panic!("{what}: what was written since is gone")));
    truth.check_histories(&store, &opened, what);
    assert!(
        truth.check(&opened, what) >= found,
        "{what}: more was lost at the second start: {:?}",
        opened.damages
    );
    found
}

/// Every `step`th offset of a file, beginning with `first`; `SECONDO_EVERY` in the environment sets another step.
fn offsets(length: usize, first: usize, step: usize) -> impl Iterator<Item = usize> {
    let step = std::env::var("SECONDO_EVERY").ok().and_then(|every| every.parse().ok()).unwrap_or(step);
    (first % step..length).step_by(step)
}

fn flip(path: &str, step: usize) {
    let (truth, scenes) = scene();
    for (number, scene) in scenes.iter().enumerate() {
        let Some(file) = scene.keys().find(|name| name.ends_with(path)).cloned() else { continue };
        let (mut worst, mut sum, mut count) = (4, 0, 0);
        for at in offsets(scene[&file].len(), number * 7, step) {
            let mut files = scene.clone();
            files.get_mut(&file).unwrap()[at] ^= 1 << (at % 8);
            let found = survive(&truth, &files, &format!("{file} of scene {number}, octet {at} flipped"));
            (worst, sum, count) = (worst.min(found), sum + found, count + 1);
        }
        println!(
            "{file} of scene {number}: {count} flips, {sum} of {} zones back, at least {worst}",
            count * 4
        );
        if path.contains("pages") {
            // One zone's page file is of no account to the others.
            assert_eq!((worst, sum), (3, count * 3), "every flip is found");
        } else if !path.ends_with("-wal") {
            // A flip costs a zone, seldom more.
            assert!(sum >= count * 3, "{sum} zones in {count} tries");
        }
    }
}

fn cut(path: &str, step: usize) {
    let (truth, scenes) = scene();
    for (number, scene) in scenes.iter().enumerate() {
        let Some(file) = scene.keys().find(|name| name.ends_with(path)).cloned() else { continue };
        for at in offsets(scene[&file].len(), number * 5, step) {
            let mut files = scene.clone();
            files.get_mut(&file).unwrap().truncate(at);
            survive(&truth, &files, &format!("{file} of scene {number}, cut at {at}"));
        }
        let mut files = scene.clone();
        files.remove(&file);
        let found = survive(&truth, &files, &format!("{file} of scene {number}, missing"));
        assert!(found == 3 || !path.contains("pages"), "a missing page file costs its zone alone");
    }
}

#[test]
fn flipped_bits_in_the_database() {
    flip("secondo.db", 197);
}

#[test]
fn flipped_bits_in_the_log() {
    flip("secondo.db-wal", 997);
}

#[test]
fn flipped_bits_in_a_page_file() {
    flip(".pages", 2999);
}

#[test]
fn a_database_cut_short() {
    cut("secondo.db", 2039);
}

#[test]
fn a_log_cut_short() {
    cut("secondo.db-wal", 1997);
}

#[test]
fn a_page_file_cut_short() {
    cut(".pages", 9973);
}

#[test]
fn many_pages_of_noise() {
    let (truth, scenes) = scene();
    let mut state = 0x1234_5678_9ABC_DEF1_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    for number in 0..60 {
        let mut files = scenes[number % scenes.len()].clone();
        for octets in files.values_mut() {
            for _ in 0..random() % 20 {
                let at = random() % octets.len().max(1);
                let end = (at + random() % 300).min(octets.len());
                octets[at..end].iter_mut().for_each(|octet| *octet = random() as u8);
            }
        }
        survive(&truth, &files, &format!("noise {number}, -wal too"));
    }
}

#[test]
fn one_damaged_row_costs_its_own_zone_and_that_one_is_named() {
    let (truth, scenes) = scene();
    let scene = scenes.last().unwrap();
    let octets = &scene["secondo.db"];
    let needle = b"\x01b\x07example";
    let places = (0..octets.len() - needle.len()).filter(|&at| octets[at..].starts_with(needle));
    let (mut gone, mut unconfirmed) = (0, 0);
    for at in places {
        let mut files = scene.clone();
        files.get_mut("secondo.db").unwrap()[at + needle.len() + 8] ^= 1;
        let folder = tempfile::tempdir().unwrap();
        lay(folder.path(), &files);
        let (_store, opened) = open(folder.path());
        truth.check(&opened, "a row of b.example.");
        let b = name("b.example.");
        let (b_itself, others): (Vec<_>, Vec<_>) =
            opened.restored.iter().partition(|restored| *restored.committed.zone().apex() == b);
        assert!(others.len() == 3 && others.iter().all(|restored| restored.confirmation.is_some()));
        match b_itself.first() {
            None => gone += 1,
            Some(restored) if restored.confirmation.is_none() => unconfirmed += 1,
            // An old copy of a row, in a place that is free.
            Some(_) => continue,
        }
        assert_eq!(opened.damages.len(), 1);
        assert_eq!(opened.damages[0].zone, Some(b));
    }
    assert!(gone >= 2 && unconfirmed >= 1, "facts, image and confirmation: {gone}, {unconfirmed}");
}

#[test]
fn a_damaged_step_costs_the_versions_before_it_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let (versions, mut truth) = ((1..6).map(|serial| small("a.example.", serial)), Truth::default());
    truth.versions = versions.collect();
    {
        let (store, _) = open(folder.path());
        commit(&store, full(&truth.versions[0]), 1);
        for pair in truth.versions.windows(2) {
            commit(&store, incremental(&pair[0], &pair[1]), 1);
        }
    }
    let scene = files(folder.path());
    let rows: Vec<(i64, Vec<u8>)> = {
        let db = rusqlite::Connection::open(folder.path().join("secondo.db")).unwrap();
        let mut statement = db.prepare("SELECT id, step FROM journal ORDER BY id").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    assert_eq!(rows.len(), 4);
    for (place, (id, step)) in rows.iter().enumerate() {
        // `None`: the row is missing.
        for at in offsets(step.len(), place, 11).map(Some).chain([None]) {
            let what = format!("step {place}, octet {at:?}");
            let folder = tempfile::tempdir().unwrap();
            lay(folder.path(), &scene);
            let db = rusqlite::Connection::open(folder.path().join("secondo.db")).unwrap();
            let changed = if let Some(at) = at {
                let mut step = step.clone();
                step[at] ^= 1 << (at % 8);
                db.execute("UPDATE journal SET step=? WHERE id=?", rusqlite::params![step, id])
            } else {
                db.execute("DELETE FROM journal WHERE id=?", [id])
            };
            assert_eq!(changed.unwrap(), 1);
            drop(db);
            let (tell, told) = std::sync::mpsc::channel();
            let notice = move |notice| tell.send(notice).unwrap();
            let (store, opened) = Store::open(folder.path(), [7; 16], |_| true, notice).unwrap();
            assert!(opened.damages.is_empty(), "{what}");
            let found = &opened.restored[0];
            assert_eq!(content(found.committed.zone()), content(&truth.versions[4]), "{what}");
            assert!(found.confirmation.is_some());
            assert_eq!(truth.check_histories(&store, &opened, &what), 3 - place, "{what}");
            let said = told.try_iter().filter(
                |notice| matches!(notice, Notice::Damaged(damage) if damage.zone == Some(name("a.example."))),
            );
            assert_eq!(said.count(), 1, "{what}");
            // It is said once: what is left is whole.
            assert_eq!(truth.check_histories(&store, &opened, &what), 3 - place, "{what}");
            drop(store);
            assert_eq!(told.try_iter().count(), 0);
            let (store, opened) = open(folder.path());
            assert_eq!(truth.check_histories(&store, &opened, &what), 3 - place, "{what}");
            // And goes on.
            let next = small("a.example.", 6);
            commit(&store, incremental(&truth.versions[4], &next), 1);
            assert_eq!(serials(&store, "a.example.").len(), 5 - place, "{what}");
        }
    }
}

#[test]
fn a_step_of_an_earlier_history_does_not_pass_for_one_of_this() {
    let folder = tempfile::tempdir().unwrap();
    let versions: Vec<Zone> = (1..8).map(|serial| small("a.example.", serial)).collect();
    let database = || rusqlite::Connection::open(folder.path().join("secondo.db")).unwrap();
    let first = |db: &rusqlite::Connection| -> (i64, Vec<u8>) {
        let sql = "SELECT id, step FROM journal ORDER BY id LIMIT 1";
        db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    let (store, _) = open(folder.path());
    commit(&store, full(&versions[0]), 1);
    commit(&store, incremental(&versions[0], &versions[1]), 1);
    let (id, old) = first(&database());
    // A zone that begins anew has another number, until nobody remembers the old one.
    commit(&store, full(&versions[4]), 1);
    commit(&store, incremental(&versions[4], &versions[5]), 1);
    assert_ne!(first(&database()).0, id);
    store.retire(vec![name("a.example.")], 1);
    store.purge(2);
    drop(store);
    let (store, _) = open(folder.path());
    commit(&store, full(&versions[4]), 1);
    commit(&store, incremental(&versions[4], &versions[5]), 1);
    commit(&store, incremental(&versions[5], &versions[6]), 1);
    assert_eq!(first(&database()).0, id);
    assert_eq!(serials(&store, "a.example."), [5, 6, 7]);
    database().execute("UPDATE journal SET step=? WHERE id=?", rusqlite::params![old, id]).unwrap();
    assert_eq!(serials(&store, "a.example."), [6, 7]);
}
