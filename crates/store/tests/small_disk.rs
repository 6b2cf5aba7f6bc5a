//! A disk that is full, and one that is read-only: a small file system of its own, which takes the right to mount one.
//! Without it the test says that it is skipped.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod world;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::Duration;

use secondo_store::{Durability, Notice, Store};
use secondo_wire::Serial;
use tempfile::TempDir;
use world::*;

const LONG: Duration = Duration::from_secs(90);

/// Four mebibytes, mounted as long as it lives.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` without the right to mount.
    fn mount() -> Option<SmallDisk> {
        let folder = tempfile::tempdir().unwrap();
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "none"]).arg(folder.path()).output();
        mount.is_ok_and(|output| output.status.success()).then_some(SmallDisk(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn remount(&self, how: &str) {
        let option = format!("remount,{how}");
        assert!(Command::new("mount").args(["-o", &option]).arg(self.path()).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").args(["--lazy"]).arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[test]
fn a_full_disk_makes_versions_volatile_until_there_is_room_and_a_read_only_one_serves() {
    let Some(disk) = SmallDisk::mount() else {
        println!("SKIPPED: no right to mount a small file system");
        return;
    };
    let state = disk.path().join("state");
    let (tell, told) = channel();
    let (store, _) =
        Store::open(&state, [7; 16], |_| true, move |notice| tell.send(notice).unwrap()).unwrap();
    assert_eq!(*commit(&store, full(&small("small.example.", 1)), 1).durability(), Durability::Durable);
    assert_eq!(*commit(&store, full(&large("large.example.", 1)), 1).durability(), Durability::Durable);
    let filler = disk.path().join("filler");
    let mut file = File::create(&filler).unwrap();
    while file.write_all(&[1; 512]).is_ok() {}
    drop(file);
    assert!(matches!(
        commit(&store, full(&large("large.example.", 2)), 2).durability(),
        Durability::Volatile(_)
    ));
    // What the log has room for is still durable.
    let mut serial = 1;
    let durability = loop {
        serial += 1;
        let durability = commit(&store, full(&small("small.example.", serial)), 2).durability().clone();
        if durability != Durability::Durable {
            break durability;
        }
    };
    println!("volatile from serial {serial}: {durability:?}");
    assert!(confirm(&store, "large.example.", confirmation(Serial(2), 3)).is_err());
    fs::remove_file(&filler).unwrap();
    for _ in 0..2 {
        assert!(matches!(told.recv_timeout(LONG).unwrap(), Notice::Recovered(_)));
    }
    assert_eq!(confirm(&store, "large.example.", confirmation(Serial(2), 4)), Ok(()));
    // Killed, and the disk is mounted read-only before the next start.
    let files = snapshot(&state);
    drop(store);
    fs::remove_dir_all(&state).unwrap();
    lay(&state, &files);
    assert!(files.contains_key("secondo.db-wal"));
    disk.remount("ro");
    let (tell, told) = channel();
    let opened = Store::open(&state, [7; 16], |_| true, move |notice| tell.send(notice).unwrap());
    let (store, opened) = opened.unwrap_or_else(|error| {
        disk.remount("rw");
        panic!("{error}")
    });
    println!("refused: {:?}, damages: {:?}", opened.refused, opened.damages);
    let volatile = commit(&store, full(&large("large.example.", 3)), 5);
    let kept = restore(&store, "small.example.");
    disk.remount("rw");
    assert!(opened.refused.is_some() && opened.damages.is_empty());
    assert_eq!(opened.restored.len(), 2);
    assert!(opened.restored.iter().any(|restored| restored.confirmation == Some(confirmation(Serial(2), 4))));
    assert!(matches!(volatile.durability(), Durability::Volatile(_)));
    assert_eq!(kept.unwrap().committed.zone().serial(), Serial(serial));
    assert!(matches!(told.recv_timeout(LONG).unwrap(), Notice::Recovered(_)));
    drop(store);
    let (_store, opened) = open(&state);
    assert_eq!(opened.restored.len(), 2);
    assert!(opened.restored.iter().any(|restored| restored.confirmation == Some(confirmation(Serial(3), 5))));
}
