//! Damage that is met while running is said, and nothing stays of what no row refers to.

#![allow(clippy::unwrap_used)]

mod world;

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

use rusqlite::Connection;
use secondo_store::{Damage, Durability, Notice, Store};
use world::*;

fn database(folder: &Path) -> Connection {
    Connection::open(folder.join("secondo.db")).unwrap()
}

/// How many images, steps, zones and confirmations there are.
fn counts(folder: &Path) -> [i64; 4] {
    let db = database(folder);
    ["image", "journal", "zone", "confirmation"]
        .map(|table| db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap())
}

fn listening(folder: &Path) -> (Store, Receiver<Notice>) {
    let (tell, told) = channel();
    let (store, opened) =
        Store::open(folder, [7; 16], |_| true, move |notice| tell.send(notice).unwrap()).unwrap();
    assert!(opened.damages.is_empty(), "{:?}", opened.damages);
    (store, told)
}

/// A small zone with one earlier version.
fn scene() -> (tempfile::TempDir, Store, Receiver<Notice>) {
    let folder = tempfile::tempdir().unwrap();
    let (store, told) = listening(folder.path());
    commit(&store, full(&small("example.", 1)), 1);
    commit(&store, incremental(&small("example.", 1), &small("example.", 2)), 1);
    assert_eq!(counts(folder.path()), [1, 1, 1, 1]);
    (folder, store, told)
}

fn damage(folder: &Path, sql: &str) {
    assert_eq!(database(folder).execute(sql, []).unwrap(), 1);
}

const DAMAGED_ROW: &str = "UPDATE zone SET facts=substr(facts, 1, 10) || x'ff' || substr(facts, 12)";

fn said(told: &Receiver<Notice>) -> Vec<String> {
    let zone = Some(name("example."));
    let what = |notice| match notice {
        Notice::Damaged(Damage { zone: of, what }) if of == zone => what,
        other => panic!("{other:?}"),
    };
    told.try_iter().map(what).collect()
}

#[test]
fn a_damaged_row_that_a_commit_meets_is_said_and_what_it_referred_to_goes() {
    let (folder, store, told) = scene();
    damage(folder.path(), DAMAGED_ROW);
    let next = small("example.", 3);
    let committed = commit(&store, incremental(&small("example.", 2), &next), 1);
    assert_eq!(*committed.durability(), Durability::Durable);
    assert_eq!(said(&told), ["its row fails the checksum"]);
    drop(store);
    // What no row refers to is removed after the next start.
    drop(listening(folder.path()));
    assert_eq!(counts(folder.path()), [1, 0, 1, 1]);
    let (store, _told) = listening(folder.path());
    assert!(*restore(&store, "example.").unwrap().committed.zone() == next);
}

#[test]
fn a_damaged_row_that_a_purge_or_a_restore_meets_is_said_and_what_it_referred_to_goes() {
    for purge in [true, false] {
        let (folder, store, told) = scene();
        damage(folder.path(), DAMAGED_ROW);
        if purge {
            store.retire(vec![name("example.")], 1);
            store.purge(2);
        }
        assert!(restore(&store, "example.").is_none());
        assert_eq!(said(&told), ["its row fails the checksum"]);
        drop(store);
        drop(listening(folder.path()));
        assert_eq!(counts(folder.path()), [0, 0, 0, 0]);
    }
}

#[test]
fn of_a_zone_that_cannot_be_restored_nothing_stays() {
    let (folder, store, told) = scene();
    damage(folder.path(), "UPDATE image SET octets=zeroblob(length(octets))");
    assert!(restore(&store, "example.").is_none());
    assert_eq!(said(&told).len(), 1);
    assert_eq!(counts(folder.path()), [0, 0, 0, 0]);
}

#[test]
fn damage_behind_an_image_is_said_once_and_the_next_version_has_an_image_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (store, told) = listening(folder.path());
    commit(&store, full(&large("example.", 1)), 1);
    for serial in 1..4 {
        let [old, new] = [serial, serial + 1].map(|serial| large("example.", serial));
        commit(&store, incremental(&old, &new), 1);
    }
    damage(folder.path(), "UPDATE journal SET step=zeroblob(length(step)) WHERE id & 0xff = 1");
    assert_eq!(serials(&store, "example."), [3, 4]);
    assert_eq!(serials(&store, "example."), [3, 4]);
    let [what] = &said(&told)[..] else { panic!("it is said once") };
    assert!(what.contains("step 1 of its journal"), "{what}");
    commit(&store, incremental(&large("example.", 4), &large("example.", 5)), 1);
    // Now it is before the image, and is cut off.
    assert_eq!(serials(&store, "example."), [3, 4, 5]);
    assert_eq!(said(&told).len(), 1);
    assert_eq!(counts(folder.path())[1], 2);
    commit(&store, incremental(&large("example.", 5), &large("example.", 6)), 1);
    drop(store);
    let (store, _told) = listening(folder.path());
    assert!(*restore(&store, "example.").unwrap().committed.zone() == large("example.", 6));
    assert_eq!(serials(&store, "example."), [3, 4, 5, 6]);
}
