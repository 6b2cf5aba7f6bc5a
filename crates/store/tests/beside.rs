//! Page files are written beside everything else: a slow one keeps no other zone waiting, and nothing is lost that
//! arrives meanwhile.

#![allow(clippy::unwrap_used)]

mod world;

use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use secondo_store::{Disk, Durability, Folder, NewFile, Store};
use secondo_wire::Serial;
use secondo_zone::Zone;
use world::*;

/// A disk on which new files take as long as the test wants; while none may be finished, none is read either.
struct Gated {
    folder: Folder,
    /// How many files were begun, and how many may be finished.
    gate: Mutex<(usize, usize)>,
    moved: Condvar,
}

impl Gated {
    fn open_for(&self, files: usize) {
        self.gate.lock().unwrap().1 = files;
        self.moved.notify_all();
    }

    fn begun(&self) -> usize {
        self.gate.lock().unwrap().0
    }
}

impl Disk for Gated {
    fn begin(&self, name: &str) -> io::Result<Box<dyn NewFile + '_>> {
        let mut gate = self.gate.lock().unwrap();
        gate.0 += 1;
        let turn = gate.0;
        drop(self.moved.wait_while(gate, |gate| gate.1 < turn).unwrap());
        self.folder.begin(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.folder.rename(from, to)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.folder.sync_names()
    }

    fn open(&self, name: &str) -> io::Result<(u64, Box<dyn Read + '_>)> {
        drop(self.moved.wait_while(self.gate.lock().unwrap(), |gate| gate.1 == 0).unwrap());
        self.folder.open(name)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.folder.remove(name)
    }

    fn set_aside(&self, name: &str) -> io::Result<()> {
        self.folder.set_aside(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.folder.list()
    }
}

fn gated(folder: &Path) -> (Arc<Gated>, Store) {
    let pages = Folder::new(folder.join("zones"), folder.join("damaged"));
    let disk = Arc::new(Gated { folder: pages, gate: Mutex::default(), moved: Condvar::new() });
    let (store, _) = Store::open_on(folder, disk.clone(), [7; 16], |_| true, |_| {}).unwrap();
    (disk, store)
}

#[test]
fn other_zones_go_on_while_a_large_one_is_written_and_its_own_things_wait_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, store) = gated(folder.path());
    let (tell, told) = std::sync::mpsc::channel();
    for serial in 1..4 {
        let tell = tell.clone();
        let version = full(&large("large.example.", serial));
        store.commit(version, confirmation(Serial(serial), 1), 4, move |c| {
            tell.send(c.zone().serial().0).unwrap()
        });
    }
    store.confirm(&name("large.example."), confirmation(Serial(3), 9), move |result| result.unwrap());
    for serial in 1..20 {
        let committed = commit(&store, full(&small("small.example.", serial)), 1);
        assert_eq!(*committed.durability(), Durability::Durable);
    }
    assert!(told.try_recv().is_err());
    disk.open_for(usize::MAX);
    assert_eq!(told.iter().take(3).collect::<Vec<_>>(), [1, 2, 3]);
    drop(store);
    let (_store, opened) = open(folder.path());
    let large =
        opened.restored.iter().find(|restored| restored.committed.zone().counts().records > 100).unwrap();
    assert_eq!(large.confirmation, Some(confirmation(Serial(3), 9)));
}

#[test]
fn other_zones_go_on_while_a_large_one_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, store) = gated(folder.path());
    disk.open_for(1);
    commit(&store, full(&large("large.example.", 1)), 1);
    disk.open_for(0);
    let (tell, told) = std::sync::mpsc::channel();
    for _ in 0..2 {
        let tell = tell.clone();
        store.restore(&name("large.example."), move |found| tell.send(found).unwrap());
    }
    for serial in 1..20 {
        let committed = commit(&store, full(&small("small.example.", serial)), 1);
        assert_eq!(*committed.durability(), Durability::Durable);
    }
    assert!(told.try_recv().is_err());
    // What is asked for is had, even at the end, and is what the disk has by then.
    let next = small("large.example.", 2);
    commit(&store, full(&next), 2);
    disk.open_for(usize::MAX);
    drop(store);
    let found: Vec<_> = told.try_iter().map(Option::unwrap).collect();
    assert!(found.len() == 2 && found.iter().all(|found| *found.committed.zone() == next));
    assert!(found.iter().all(|found| found.confirmation == Some(confirmation(Serial(2), 2))));
}

/// The next version, as a difference; it is durable at once.
fn step(store: &Store, current: &mut Zone, keep: u32) {
    let next = large("example.", current.serial().0 + 1);
    let committed = commit_keeping(store, incremental(current, &next), 1, keep);
    assert_eq!(*committed.durability(), Durability::Durable);
    *current = next;
}

/// A zone that has outgrown its image: the gate is shut before the new one.
fn outgrown(folder: &Path, keep: u32) -> (Arc<Gated>, Store, Zone) {
    let (disk, store) = gated(folder);
    disk.open_for(1);
    let mut current = large("example.", 1);
    commit(&store, full(&current), 1);
    while disk.begun() < 2 {
        step(&store, &mut current, keep);
    }
    (disk, store, current)
}

/// Opens the gate, and waits until the new image has taken the place of the old one.
fn renew(disk: &Gated, folder: &Path) {
    let before = files(folder).into_keys().find(|path| path.starts_with("zones/")).unwrap();
    disk.open_for(usize::MAX);
    while folder.join(&before).exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn steps_that_arrive_while_the_image_is_written_anew_stay() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, store, mut current) = outgrown(folder.path(), KEEP);
    // The gate is shut, and still each step is durable at once.
    (0..10).for_each(|_| step(&store, &mut current, KEEP));
    renew(&disk, folder.path());
    (0..10).for_each(|_| step(&store, &mut current, KEEP));
    assert_eq!(disk.begun(), 2, "the new image has room for a journal of its own");
    drop(store);
    let (_store, opened) = open(folder.path());
    assert!(opened.damages.is_empty(), "{:?}", opened.damages);
    assert_eq!(content(opened.restored[0].committed.zone()), content(&current));
    assert!(opened.restored[0].confirmation.is_some());
}

#[test]
fn versions_that_are_wanted_only_since_a_new_image_was_begun_stay() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, store, mut current) = outgrown(folder.path(), 1);
    (0..4).for_each(|_| step(&store, &mut current, 100_000));
    let kept = serials(&store, "example.");
    assert!(kept.len() > 5);
    renew(&disk, folder.path());
    assert_eq!(serials(&store, "example."), kept);
    // With the next version those go that are not wanted, and not needed behind the image.
    step(&store, &mut current, 1);
    assert!(serials(&store, "example.").len() < kept.len());
}

#[test]
fn the_database_keeps_no_images_and_steps_that_nothing_refers_to() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let count = |table: &str| {
        let db = rusqlite::Connection::open(folder.path().join("secondo.db")).unwrap();
        db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap()
    };
    for serial in 1..5 {
        commit(&store, full(&small("example.", serial)), 1);
        assert_eq!((count("image"), count("zone")), (1, 1));
    }
    commit(&store, full(&large("example.", 5)), 1);
    assert_eq!((count("image"), count("journal")), (0, 0));
    commit(&store, incremental(&large("example.", 5), &large("example.", 6)), 1);
    assert_eq!((count("image"), count("journal")), (0, 1));
    commit(&store, full(&small("example.", 7)), 1);
    assert_eq!((count("image"), count("journal")), (1, 0));
    commit(&store, incremental(&small("example.", 7), &small("example.", 8)), 1);
    assert_eq!((count("image"), count("journal")), (1, 1));
    store.retire(vec![name("example.")], 1);
    store.purge(2);
    restore(&store, "example.");
    for table in ["image", "journal", "zone", "confirmation", "retired"] {
        assert_eq!(count(table), 0, "{table}");
    }
}
