//! Lookups beside what the machine does at best.

use crate::Row;
use crate::clock::best;
use crate::hosting::{key, mixed};
use secondo_wire::RecordType;
use secondo_zone::{Seek, Zone};
use std::collections::HashMap;
use std::hint::black_box;

const MANY: usize = 1 << 20;

/// Nanoseconds of each of many runs.
fn each(mut run: impl FnMut(usize)) -> f64 {
    best(6, || (0..MANY).for_each(&mut run)).1.as_nanos() as f64 / MANY as f64
}

pub fn rows(zone: &Zone, names: usize) -> Vec<Row> {
    let wanted: Vec<usize> = (0..MANY).map(|n| mixed(n as u64) as usize % names).collect();
    let keys: Vec<Vec<u8>> = wanted.iter().map(|&i| key(i, "")).collect();
    let missing: Vec<Vec<u8>> = wanted.iter().map(|&i| key(i, "x")).collect();
    // A walk along a ring of random places: each step waits for the memory of the last.
    let ring = ring(1 << 23);
    let mut at = 0u32;
    let read = each(|_| at = ring[at as usize]);
    black_box(at);
    drop(ring);
    let map: HashMap<Vec<u8>, usize> = (0..names).map(|i| (key(i, ""), i)).collect();
    let hash = each(|n| assert!(map.contains_key(black_box(&keys[n]))));
    drop(map);
    let find = each(|n| assert!(zone.find(black_box(&keys[n])).is_some()));
    let rrset = each(|n| {
        let node = zone.find(black_box(&keys[n])).unwrap();
        black_box(node.rrset(RecordType::A).unwrap().rdatas().next());
    });
    let seek = each(|n| assert!(matches!(zone.seek(black_box(&missing[n])), Seek::Missing(_))));
    vec![
        ("a random dependent read of 32 MiB, ns", format!("{read:.0}")),
        ("a lookup in a standard hash map of the same names, ns", format!("{hash:.0}")),
        ("lookup of a random existing name, ns", format!("{find:.0} ({:.2}x map)", find / hash)),
        ("the same with its RRset, ns", format!("{rrset:.0}")),
        ("lookup of a missing name with its neighbours, ns", format!("{seek:.0} ({:.2}x map)", seek / hash)),
    ]
}

fn ring(places: u32) -> Vec<u32> {
    let mut order: Vec<u32> = (0..places).collect();
    (1..order.len()).rev().for_each(|at| order.swap(at, mixed(at as u64) as usize % at));
    let mut ring = vec![0; order.len()];
    (0..order.len()).for_each(|at| ring[order[at] as usize] = order[(at + 1) % order.len()]);
    ring
}
