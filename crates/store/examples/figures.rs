//! Figures of the store: `cargo run --release -p secondo-store --example figures`.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/world/mod.rs"]
mod world;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use secondo_store::Durability;
use world::{confirmation, content, files, full, incremental, name, open, zone};

const ZONES: u32 = 20_000;
const RECORDS: u32 = 100_000;
const STEPS: u32 = 200;

fn main() {
    let folder = std::env::args().nth(1).map(|below| tempfile::tempdir_in(below).expect("a folder"));
    let folder = folder.unwrap_or_else(|| tempfile::tempdir().expect("a folder"));
    bare_sync(folder.path());
    small_zones(&folder.path().join("small"));
    large_zone(&folder.path().join("large"));
}

/// What everything durable is to be measured by.
fn bare_sync(folder: &Path) {
    let mut file = File::create(folder.join("sync")).expect("a file");
    let mut times: Vec<Duration> = (0..200)
        .map(|_| {
            file.write_all(&[1; 8192]).expect("room");
            let start = Instant::now();
            file.sync_data().expect("a sync");
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!("a bare sync of 8 KiB: median {:?}, 99 of 100 below {:?}", times[100], times[198]);
}

fn octets(folder: &Path) -> usize {
    files(folder).values().map(Vec::len).sum()
}

fn small_zones(folder: &Path) {
    let owners = (0..8).map(|number| (number, (60, 1))).collect();
    let versions: Vec<_> =
        (0..ZONES).map(|number| full(&zone(&format!("z{number}.example."), 1, &owners))).collect();
    let image: usize = versions[0].zone().pages().map(|(_, page)| page.len()).sum();
    let (store, _) = open(folder);
    let (tell, told) = channel();
    let start = Instant::now();
    for version in versions {
        let (tell, confirmation) = (tell.clone(), confirmation(version.zone().serial(), 1));
        store.commit(version, confirmation, 4, move |committed| {
            tell.send(committed).expect("it is waited for")
        });
    }
    for _ in 0..ZONES {
        let committed = told.recv().expect("each is answered");
        assert_eq!(*committed.durability(), Durability::Durable);
    }
    let took = start.elapsed();
    println!("{ZONES} zones of {image} octets: {:.0} zones/s durable", f64::from(ZONES) / took.as_secs_f64());
    let (tell, told) = channel();
    let start = Instant::now();
    for number in 0..ZONES {
        let tell = tell.clone();
        let confirmation = confirmation(secondo_wire::Serial(1), 2);
        store.confirm(&name(&format!("z{number}.example.")), confirmation, move |result| {
            tell.send(result).expect("it is waited for");
        });
    }
    (0..ZONES).for_each(|_| told.recv().expect("each is answered").expect("the disk takes it"));
    println!("  confirmed: {:.0} zones/s durable", f64::from(ZONES) / start.elapsed().as_secs_f64());
    let open_size = octets(folder);
    let start = Instant::now();
    drop(store);
    println!("  clean end {:?}; disk {open_size} octets open, {} ended", start.elapsed(), octets(folder));
    let start = Instant::now();
    let (_store, opened) = open(folder);
    println!("  restored: {:?}", start.elapsed());
    assert_eq!(opened.restored.len(), ZONES as usize);
}

fn large_zone(folder: &Path) {
    let mut owners: std::collections::BTreeMap<u32, (u8, u8)> =
        (0..RECORDS).map(|number| (number, (16, number as u8))).collect();
    let mut current = zone("large.example.", 1, &owners);
    let version = full(&current);
    let (store, _) = open(folder);
    let start = Instant::now();
    world::commit(&store, version, 1);
    println!(
        "a zone of {} records: durable after {:?}, {} octets",
        content(&current).len(),
        start.elapsed(),
        octets(folder)
    );
    let mut times = Vec::new();
    for step in 0..STEPS {
        for change in 0..10 {
            owners.insert((step * 7919 + change * 104_729) % RECORDS, (16, (step + change) as u8));
        }
        let next = zone("large.example.", 2 + step, &owners);
        let version = incremental(&current, &next);
        let start = Instant::now();
        world::commit(&store, version, 1);
        times.push(start.elapsed());
        current = next;
    }
    times.sort_unstable();
    let pick = |share: usize| times[times.len() * share / 100];
    println!("  a difference of 20 records: median {:?}, 99 of 100 below {:?}", pick(50), pick(99));
    let before = octets(folder);
    let start = Instant::now();
    drop(store);
    println!("  clean end {:?}; disk {before} octets open, {} ended", start.elapsed(), octets(folder));
    let mut restored = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        let (_store, opened) = open(folder);
        restored = restored.min(start.elapsed());
        assert_eq!(opened.restored[0].committed.zone().serial(), current.serial());
    }
    println!("  restored with {STEPS} steps: {restored:?}");
}
