//! Zones from records and from pages, and the memory that they take.

use crate::Row;
use crate::changes;
use crate::clock::{self, best, best_by_the_wall};
use crate::hosting::{self, Order, Pool, build};
use secondo_zone::{Tree, Zone};
use std::hint::black_box;
use std::sync::Arc;

pub fn rows(names: usize, memory: &[f64; 4]) -> (Zone, Vec<Row>) {
    let mut records = 0u64;
    let sum = |order| {
        let (sum, time) = best(3, || {
            let mut sum = (0u64, 0u64);
            hosting::records(names, order, |owner, rtype, _, rdata| {
                let octets = owner.as_wire().len() + rdata.len();
                sum = (sum.0 + 1, sum.1 + black_box(u64::from(rtype) + octets as u64));
            });
            sum
        });
        (sum.0, time)
    };
    let (zone, canonical) = best(3, || build(names, Order::Canonical, None, None));
    let mut per_record = |time: std::time::Duration, order: Order| {
        let (count, making) = sum(order);
        records = count;
        time.saturating_sub(making).as_nanos() as f64 / count as f64
    };
    let canonical = per_record(canonical, Order::Canonical);
    let (again, over) = best(3, || build(names, Order::Canonical, Some(&zone), None));
    assert_eq!(shared(&zone, &again), zone.counts().pages);
    let over = per_record(over, Order::Canonical);
    drop(again);
    let (other, any) = best(3, || build(names, Order::Any, None, None));
    assert!(other == zone && other.digest() == zone.digest());
    let any = per_record(any, Order::Any);
    drop(other);
    let (again, any_over) = best(3, || build(names, Order::Any, Some(&zone), Some(Pool::new())));
    assert_eq!(shared(&zone, &again), zone.counts().pages);
    let any_over = per_record(any_over, Order::Any);
    drop(again);
    let pages: Vec<(Tree, Vec<u8>)> = zone.pages().map(|(tree, page)| (tree, page.to_vec())).collect();
    let octets: usize = pages.iter().map(|(_, page)| page.len()).sum();
    let given = || pages.iter().map(|(tree, page)| (*tree, Arc::from(&page[..])));
    let (back, loaded) = best_by_the_wall(3, || {
        Zone::from_pages::<Arc<[u8]>>(hosting::apex(), zone.secret(), given()).unwrap()
    });
    assert_eq!(back.digest(), zone.digest());
    let rows = vec![
        ("records", format!("{records}")),
        ("memory, octets a record", format!("{:.1}", zone.counts().memory_bytes as f64 / records as f64)),
        ("on disk, octets a record", format!("{:.1}", octets as f64 / records as f64)),
        ("build, canonical order, ns a record", format!("{canonical:.0}")),
        ("build, any order", ratio(any, canonical)),
        ("build over the same zone, canonical order", ratio(over, canonical)),
        ("build over the same zone, any order, runs in a file", ratio(any_over, canonical)),
        ("peak memory of that in sizes of the zone, canonical order", format!("{:.2}", memory[0])),
        ("peak memory of that in sizes of the zone, any order, runs in a file", format!("{:.2}", memory[1])),
        ("peak memory of that in sizes of the zone, any order, runs in memory", format!("{:.2}", memory[2])),
        ("from pages, ms on the wall", format!("{:.1}", loaded.as_secs_f64() * 1e3)),
        ("from pages, ns a record", format!("{:.0}", loaded.as_nanos() as f64 / records as f64)),
    ];
    (zone, rows)
}

fn ratio(figure: f64, base: f64) -> String {
    format!("{figure:.0} ({:.2}x)", figure / base)
}

fn shared(old: &Zone, new: &Zone) -> u64 {
    let places: std::collections::HashSet<_> = old.pages().map(|(_, page)| page.as_ptr()).collect();
    new.pages().filter(|(_, page)| places.contains(&page.as_ptr())).count() as u64
}

/// Peaks of three ways to build a zone over the same one, in sizes of the zone, and KiB of a kept version; each measured where
/// nothing else was ever in memory.
pub fn in_its_own_process(names: usize) -> [f64; 4] {
    let program = std::env::current_exe().unwrap();
    let figures = ["--peaks-of", "--versions-of"].map(|mode| {
        let run = std::process::Command::new(&program).args([mode, &names.to_string()]).output().unwrap();
        String::from_utf8_lossy(&run.stdout).into_owned()
    });
    let figures = figures.concat();
    let mut figures = figures.split_whitespace().map(|figure| figure.parse().unwrap());
    std::array::from_fn(|_| figures.next().expect("four figures"))
}

/// Prints those peaks.
pub fn peaks(names: usize) {
    let before = clock::resident();
    let zone = build(names, Order::Canonical, None, None);
    let settled = clock::resident() - before;
    for (order, spilled) in [(Order::Canonical, false), (Order::Any, true), (Order::Any, false)] {
        clock::forget_peak();
        let again = build(names, order, Some(&zone), spilled.then(Pool::new));
        println!("{}", (clock::peak() - before) / settled);
        drop(again);
    }
}

/// Prints that of the versions.
pub fn versions(names: usize) {
    let zone = build(names, Order::Canonical, None, None);
    let before = clock::resident();
    let versions = changes::kept(&zone, names);
    println!("{}", (clock::resident() - before) / 1024.0 / f64::from(changes::KEPT));
    drop(versions);
}
