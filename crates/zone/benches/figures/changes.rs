//! Changes, differences, chains of them, kept versions; and what names chosen by others do to pages.

use crate::Row;
use crate::clock::{best, best_by_the_wall};
use crate::hosting::{apex, mixed, owner, soa};
use secondo_wire::{KeyBuf, Name, RecordType};
use secondo_zone::{BorderSecret, Builder, Difference, Limits, Patch, Zone};
use std::time::Duration;

/// The version after a change of the addresses of 20 random names.
fn changed(base: &Zone, round: u32, names: usize) -> Zone {
    let mut patch = Patch::new(base, Limits::default());
    patch.replace_soa(3600, &soa(base.serial().0 + 1)).unwrap();
    let mut key = KeyBuf::new();
    for n in 0..20u64 {
        let owner = owner((mixed(u64::from(round) << 32 | n) % names as u64) as usize);
        key.set(owner.as_ref(), apex().as_ref());
        let set = base.find(key.as_slice()).unwrap().rrset(RecordType::A).unwrap();
        let old = set.rdatas().next().unwrap().to_vec();
        // Of a name that was drawn twice the address is gone already.
        patch.delete(owner.as_ref(), RecordType::A, &old).unwrap_or_default();
        patch
            .add(owner.as_ref(), RecordType::A, 300, &[10, n as u8, round as u8, (round >> 8) as u8])
            .unwrap();
    }
    patch.finish().unwrap().zone
}

/// Versions kept.
pub const KEPT: u32 = 1000;

/// A version and those that came of it by [`KEPT`] changes.
pub fn kept(zone: &Zone, names: usize) -> Vec<Zone> {
    let mut versions = vec![zone.clone()];
    for round in 1..=KEPT {
        versions.push(changed(&versions[versions.len() - 1], round, names));
    }
    versions
}

/// The same, and the time that it took.
pub fn kept_in_time(zone: &Zone, names: usize) -> (Vec<Zone>, Duration) {
    best(1, || kept(zone, names))
}

pub fn rows(zone: &Zone, (versions, time): &(Vec<Zone>, Duration), memory: &[String]) -> Vec<Row> {
    let last = &versions[KEPT as usize];
    let (difference, between) = best_by_the_wall(5, || Difference::between(zone, last));
    let count = difference.removed_count() + difference.added_count();
    let chains = [1000, 2000].map(|steps| best_by_the_wall(5, || chain(zone, steps)).1.as_secs_f64() * 1e3);
    vec![
        ("change of 20 random names, µs", format!("{:.0}", time.as_micros() as f64 / f64::from(KEPT))),
        ("1,000 versions kept, 20 changes each, KiB a version", memory[0].clone()),
        ("MiB of the process before them, with them, without them again", memory[1].clone()),
        ("difference over those 1,000, ms", format!("{:.1}", between.as_secs_f64() * 1e3)),
        (
            "the same, ns a record of the difference",
            format!("{:.0}", between.as_nanos() as f64 / count as f64),
        ),
        ("chain of 1,000 differences on one RRset, ms", format!("{:.2}", chains[0])),
        ("of 2,000", format!("{:.2} ({:.2}x)", chains[1], chains[1] / chains[0])),
    ]
}

/// Differences that all touch one RRset: each adds a record and, when there are ten, deletes the oldest; all end up in one
/// version, as in an IXFR of many sequences.
fn chain(zone: &Zone, steps: u32) {
    let owner = owner(7);
    let mut patch = Patch::new(zone, Limits::default());
    let address = |n: u32| [&[11][..], &n.to_be_bytes()[1..]].concat();
    for n in 0..steps {
        patch.replace_soa(3600, &soa(n + 2)).unwrap();
        if let Some(oldest) = n.checked_sub(10) {
            patch.delete(owner.as_ref(), RecordType::A, &address(oldest)).unwrap();
        }
        patch.add(owner.as_ref(), RecordType::A, 300, &address(n)).unwrap();
    }
    assert_eq!(patch.finish().unwrap().zone.serial().0, steps + 1);
}

/// Names that were chosen so that, under a secret that somebody guessed, each ends a page or none does: pages of a zone of
/// them under that secret, and under another.
pub fn attack() {
    const NAMES: usize = 20_000;
    let guessed = BorderSecret::new([1; 16]);
    println!("\npages of {NAMES} names, octets: least, one of ten, median, nine of ten, most");
    let plain: Vec<Name> = (0..NAMES).map(owner).collect();
    let (borders, inner) = chosen(&guessed);
    let real = BorderSecret::new([42; 16]);
    for (what, names) in [("any", &plain), ("that each end a page", &borders), ("that end no page", &inner)] {
        for (whose, secret) in [("under the guessed secret", &guessed), ("under the real one", &real)] {
            let sizes = sizes(names, secret);
            let at = |part: usize| sizes[(sizes.len() - 1) * part / 10];
            let spread = format!("{} {} {} {} {}", at(0), at(1), at(5), at(9), at(10));
            println!("{what:<24}{whose:<26}{:>6} pages: {spread}", sizes.len());
        }
    }
}

/// Names that end a page under a secret, and names that do not: as one who knows the secret would find them, from pages.
fn chosen(secret: &BorderSecret) -> (Vec<Name>, Vec<Name>) {
    const NAMES: usize = 20_000;
    let zone = zone(&(0..NAMES * 70).map(owner).collect::<Vec<_>>(), secret);
    let (mut borders, mut inner) = (Vec::new(), Vec::new());
    let mut nodes = zone.nodes();
    let mut name = secondo_wire::NameBuf::new();
    for (_, page) in zone.pages() {
        // The number of owners stands in octets 4 to 7 of a page.
        let count = u32::from_le_bytes(page[4..8].try_into().unwrap());
        for at in 1..=count {
            let Some(node) = nodes.next() else { break };
            node.name_into(&mut name);
            let owner = name.as_ref().to_owned();
            if owner == apex() {
                continue;
            }
            if at < count { inner.push(owner) } else { borders.push(owner) }
        }
    }
    borders.truncate(NAMES);
    inner.truncate(NAMES);
    (borders, inner)
}

fn zone(names: &[Name], secret: &BorderSecret) -> Zone {
    let mut builder = Builder::new(apex(), secret, Limits::default());
    builder.push(apex().as_ref(), RecordType::SOA, 3600, &soa(1)).unwrap();
    for name in names {
        builder.push(name.as_ref(), RecordType::A, 300, &[10, 0, 0, 1]).unwrap();
    }
    builder.finish().unwrap().zone
}

/// Sizes of the pages of a zone of these names, ascending; the last page, which ends with the zone, left out.
fn sizes(names: &[Name], secret: &BorderSecret) -> Vec<usize> {
    let zone = zone(names, secret);
    let mut sizes: Vec<usize> = zone.pages().map(|(_, page)| page.len()).collect();
    if sizes.len() > 1 {
        sizes.pop();
    }
    sizes.sort_unstable();
    sizes
}
