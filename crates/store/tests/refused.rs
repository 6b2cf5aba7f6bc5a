//! What a disk that takes rows and no page files keeps, and how often it is asked.

#![allow(clippy::unwrap_used)]

mod world;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use secondo_store::{Disk, Durability, Folder, NewFile, Store};
use secondo_wire::Serial;
use secondo_zone::Zone;
use world::*;

/// A folder that counts the files it is asked for, and refuses them when told to.
struct Refusing {
    folder: Folder,
    refuses: AtomicBool,
    asked: AtomicUsize,
}

impl Disk for Refusing {
    fn begin(&self, name: &str) -> io::Result<Box<dyn NewFile + '_>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.refuses.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.folder.begin(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.folder.rename(from, to)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.folder.sync_names()
    }

    fn open(&self, name: &str) -> io::Result<(u64, Box<dyn Read + '_>)> {
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

fn refusing(folder: &Path) -> (Arc<Refusing>, Store) {
    let pages = Folder::new(folder.join("zones"), folder.join("damaged"));
    let disk = Refusing { folder: pages, refuses: AtomicBool::new(false), asked: AtomicUsize::new(0) };
    let disk = Arc::new(disk);
    let (store, _) = Store::open_on(folder, disk.clone(), [7; 16], |_| true, |_| {}).unwrap();
    (disk, store)
}

/// About a mebibyte, of which each version has another part.
fn version(serial: u32) -> Zone {
    let mut owners: BTreeMap<u32, (u8, u8)> = (0..4000).map(|number| (number, (250, 0))).collect();
    owners.extend((0..400).map(|number| ((serial * 400 + number) % 4000, (249, serial as u8))));
    zone("example.", serial, &owners)
}

#[test]
fn an_image_that_cannot_be_written_anew_is_not_tried_with_every_step_and_the_steps_have_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, store) = refusing(folder.path());
    let mut current = version(1);
    commit(&store, full(&current), 1);
    disk.refuses.store(true, Ordering::SeqCst);
    let (mut durable, mut refused) = (0, 0);
    let begun = std::time::Instant::now();
    while refused < 5 {
        let next = version(current.serial().0 + 1);
        match commit(&store, incremental(&current, &next), 1).durability() {
            Durability::Durable => durable += 1,
            Durability::Volatile(_) => refused += 1,
        }
        current = next;
        assert!(durable < 200, "the steps have no end");
    }
    assert!(durable > 20, "{durable}");
    // One whole image, its first try, that of the first volatile version; and as many as there were seconds.
    let (asked, most) = (disk.asked.load(Ordering::SeqCst), 3 + 2 * begun.elapsed().as_secs() as usize);
    assert!(asked <= most, "{asked} files for {durable} steps and {refused} versions, not {most}");
    disk.refuses.store(false, Ordering::SeqCst);
    drop(store);
    let (_store, opened) = open(folder.path());
    assert!(*opened.restored[0].committed.zone() == current);
}

#[test]
fn who_vouches_for_a_version_that_the_disk_refused_does_not_vouch_for_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, store) = refusing(folder.path());
    // A transfer that an operator forced may bring the same serial with other content.
    let [kept, forced] = [1, 2].map(|value| {
        let owners = (0..400).map(|number| (number, (250, value))).collect();
        zone("example.", 2, &owners)
    });
    commit(&store, full(&kept), 1);
    disk.refuses.store(true, Ordering::SeqCst);
    assert!(matches!(commit(&store, full(&forced), 50).durability(), Durability::Volatile(_)));
    assert!(confirm(&store, "example.", confirmation(Serial(2), 99)).is_err());
    let after_a_crash = tempfile::tempdir().unwrap();
    lay(after_a_crash.path(), &snapshot(folder.path()));
    let (_store, opened) = open(after_a_crash.path());
    let [restored] = &opened.restored[..] else { panic!("{:?}", opened.damages) };
    assert!(*restored.committed.zone() == kept);
    assert_eq!(restored.confirmation, Some(confirmation(Serial(2), 1)));
    // One who vouches for a version that takes its place in the same moment vouches for that.
    let (tell, told) = std::sync::mpsc::channel();
    let small = small("example.", 3);
    store.commit(full(&small), confirmation(Serial(3), 100), KEEP, |_| {});
    store.confirm(&name("example."), confirmation(Serial(3), 101), move |result| tell.send(result).unwrap());
    assert_eq!(told.recv().unwrap(), Ok(()));
    drop(store);
    let (_store, opened) = open(folder.path());
    assert_eq!(opened.restored[0].confirmation, Some(confirmation(Serial(3), 101)));
}
