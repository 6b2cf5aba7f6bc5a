//! The memory that builds and versions take, as the system tells it, each measured where nothing else was ever in memory.

use crate::changes;
use crate::clock;
use crate::hosting::{Order, Pool, build, build_version};

const MIB: f64 = 1024.0 * 1024.0;

/// Ways to build a zone over one that is there: which version, in what order, whether runs go to a file.
const WAYS: [(u8, Order, bool); 5] = [
    (1, Order::Canonical, false),
    (1, Order::Any, true),
    (1, Order::Any, false),
    (2, Order::Canonical, false),
    (2, Order::Any, true),
];

/// What a process of its own prints: a figure a line.
pub fn in_its_own_process(arguments: &[&str]) -> Vec<String> {
    let program = std::env::current_exe().unwrap();
    let run = std::process::Command::new(&program).args(arguments).output().unwrap();
    assert!(run.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8_lossy(&run.stdout).lines().map(String::from).collect()
}

/// The peaks of three ways to build a zone over the same one and of two to build one of which every record changed, in sizes of
/// the zone, each followed by what is left of it when the zone there was is gone.
pub fn peaks(names: usize) -> Vec<String> {
    let way = |way: usize| in_its_own_process(&["--peak-of", &names.to_string(), &way.to_string()]);
    (0..WAYS.len()).flat_map(way).collect()
}

/// Prints them for one way.
pub fn peak(names: usize, way: usize) {
    let before = clock::resident();
    let zone = build(names, Order::Canonical, None, None);
    let settled = settled() - before;
    let (version, order, spilled) = WAYS[way];
    clock::forget_peak();
    let again = build_version(version, names, order, Some(&zone), spilled.then(Pool::new));
    println!("{:.2}", (clock::peak() - before) / settled);
    drop(zone);
    println!("{:.2}", (self::settled() - before) / settled);
    drop(again);
}

/// Resident memory once the allocator has given back what it will: its thread looks every ten seconds at what has not been used
/// for as long.
fn settled() -> f64 {
    std::thread::sleep(std::time::Duration::from_secs(25));
    clock::resident()
}

/// Prints KiB for each of many kept versions; then MiB of the process before them, with them, and without them again.
pub fn versions(names: usize) {
    let zone = build(names, Order::Canonical, None, None);
    let before = settled();
    let versions = changes::kept(&zone, names);
    let with = settled();
    println!("{:.0}", (with - before) / 1024.0 / f64::from(changes::KEPT));
    drop(versions);
    println!("{:.1}, {:.1}, {:.1}", before / MIB, with / MIB, settled() / MIB);
}
