//! A disk that is full, and one that is read-only. It needs a small file system of its own, and the right to mount it
//! anew: `mount -t tmpfs -o size=4m none DIR; SECONDO_SMALL_DISK=DIR cargo test -p secondo-store --test small_disk --
//! --ignored`.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod world;

use std::fs::{self, File};
use std::io::Write;
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::Duration;

use secondo_store::{Durability, Notice, Store};
use secondo_wire::Serial;
use world::*;

const LONG: Duration = Duration::from_secs(90);

fn remount(disk: &std::path::Path, how: &str) {
    let done = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(disk).status().unwrap();
    assert!(done.success());
}

#[test]
#[ignore = "needs a small file system"]
fn a_full_disk_makes_versions_volatile_until_there_is_room_and_a_read_only_one_serves() {
    let disk = std::path::PathBuf::from(std::env::var_os("SECONDO_SMALL_DISK").expect("a small file system"));
    let state = disk.join("state");
    let (tell, told) = channel();
    let (store, _) =
        Store::open(&state, [7; 16], |_| true, move |notice| tell.send(notice).unwrap()).unwrap();
    assert_eq!(*commit(&store, full(&small("small.example.", 1)), 1).durability(), Durability::Durable);
    assert_eq!(*commit(&store, full(&large("large.example.", 1)), 1).durability(), Durability::Durable);
    let filler = disk.join("filler");
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
    remount(&disk, "ro");
    let (tell, told) = channel();
    let opened = Store::open(&state, [7; 16], |_| true, move |notice| tell.send(notice).unwrap());
    let (store, opened) = opened.unwrap_or_else(|error| {
        remount(&disk, "rw");
        panic!("{error}")
    });
    println!("refused: {:?}, damages: {:?}", opened.refused, opened.damages);
    let volatile = commit(&store, full(&large("large.example.", 3)), 5);
    let kept = restore(&store, "small.example.");
    remount(&disk, "rw");
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
