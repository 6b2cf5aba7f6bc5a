//! The memory that builds and versions take, as the system tells it, each measured where nothing else was ever in memory.

use crate::changes;
use crate::clock;
use crate::hosting::{Order, Pool, build, build_version};

const MIB: f64 = 1024.0 * 1024.0;

/// What a process of its own prints for such a zone: a figure a line.
pub fn in_its_own_process(mode: &str, names: usize) -> Vec<String> {
    let program = std::env::current_exe().unwrap();
    let run = std::process::Command::new(&program).args([mode, &names.to_string()]).output().unwrap();
    assert!(run.status.success(), "{mode}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8_lossy(&run.stdout).lines().map(String::from).collect()
}

/// Prints the peaks of three ways to build a zone over the same one and of two to build one of which every record changed, in
/// sizes of the zone.
pub fn peaks(names: usize) {
    let before = clock::resident();
    let zone = build(names, Order::Canonical, None, None);
    let settled = clock::resident() - before;
    let ways = [
        (1, Order::Canonical, false),
        (1, Order::Any, true),
        (1, Order::Any, false),
        (2, Order::Canonical, false),
        (2, Order::Any, true),
    ];
    for (version, order, spilled) in ways {
        clock::forget_peak();
        let again = build_version(version, names, order, Some(&zone), spilled.then(Pool::new));
        println!("{:.2}", (clock::peak() - before) / settled);
        drop(again);
    }
}

/// Prints KiB for each of many kept versions; then MiB of the process before them, with them, and without them again.
pub fn versions(names: usize) {
    let zone = build(names, Order::Canonical, None, None);
    let before = clock::resident();
    let versions = changes::kept(&zone, names);
    let with = clock::resident();
    println!("{:.0}", (with - before) / 1024.0 / f64::from(changes::KEPT));
    drop(versions);
    println!("{:.1}, {:.1}, {:.1}", before / MIB, with / MIB, clock::resident() / MIB);
}
