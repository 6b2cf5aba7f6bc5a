//! Zones from records and from pages.

use crate::Row;
use crate::clock::{best, best_by_the_wall};
use crate::hosting::{self, Order, Pool, build, build_version};
use secondo_zone::{Tree, Zone};
use std::hint::black_box;
use std::sync::Arc;

pub fn rows(names: usize, peaks: &[String]) -> (Zone, Vec<Row>) {
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
    let (other, changed) = best(3, || build_version(2, names, Order::Canonical, Some(&zone), None));
    assert!(shared(&zone, &other) <= 1);
    let changed = per_record(changed, Order::Canonical);
    drop(other);
    let octets: usize = zone.pages().map(|(_, page)| page.len()).sum();
    let loaded = loaded(&zone);
    let hashed = hosting::hashed(names);
    let of_hashed = self::loaded(&hashed).as_nanos() as f64 / hashed.counts().records as f64;
    drop(hashed);
    let rows = vec![
        ("records", format!("{records}")),
        ("memory, octets a record", format!("{:.1}", zone.counts().memory_bytes as f64 / records as f64)),
        ("on disk, octets a record", format!("{:.1}", octets as f64 / records as f64)),
        ("build, canonical order, ns a record", format!("{canonical:.0}")),
        ("build, any order", ratio(any, canonical)),
        ("build over the same zone, canonical order", ratio(over, canonical)),
        ("build over the same zone, any order, runs in a file", ratio(any_over, canonical)),
        ("peak memory of that in sizes of the zone, canonical order", peaks[0].clone()),
        ("peak memory of that in sizes of the zone, any order, runs in a file", peaks[2].clone()),
        ("peak memory of that in sizes of the zone, any order, runs in memory", peaks[4].clone()),
        ("build over a zone of which every record changed, canonical order", ratio(changed, canonical)),
        ("peak memory of that in sizes of the zone, canonical order", peaks[6].clone()),
        ("what is left of it when the version before is gone", peaks[7].clone()),
        ("peak memory of that in sizes of the zone, any order, runs in a file", peaks[8].clone()),
        ("from pages, ms on the wall", format!("{:.1}", loaded.as_secs_f64() * 1e3)),
        ("from pages, ns a record", format!("{:.0}", loaded.as_nanos() as f64 / records as f64)),
        ("the same of a zone with NSEC3 and signatures for all names", format!("{of_hashed:.0}")),
    ];
    (zone, rows)
}

/// What it takes to make a zone of its pages.
fn loaded(zone: &Zone) -> std::time::Duration {
    let pages: Vec<(Tree, Vec<u8>)> = zone.pages().map(|(tree, page)| (tree, page.to_vec())).collect();
    let given = || pages.iter().map(|(tree, page)| (*tree, Arc::from(&page[..])));
    let (back, loaded) = best_by_the_wall(3, || {
        Zone::from_pages::<Arc<[u8]>>(hosting::apex(), zone.secret(), given()).unwrap()
    });
    assert_eq!(back.digest(), zone.digest());
    loaded
}

fn ratio(figure: f64, base: f64) -> String {
    format!("{figure:.0} ({:.2}x)", figure / base)
}

fn shared(old: &Zone, new: &Zone) -> u64 {
    let places: std::collections::HashSet<_> = old.pages().map(|(_, page)| page.as_ptr()).collect();
    new.pages().filter(|(_, page)| places.contains(&page.as_ptr())).count() as u64
}
