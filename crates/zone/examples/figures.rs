//! Figures of a large zone: time and memory a record, lookups, changes. `cargo run --release -p secondo-zone --example
//! figures [NAMES]`; 555,000 names (998,609 records) if left out.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use secondo_wire::{KeyBuf, Name, NameBuf, NameRef, RecordType, Soa};
use secondo_zone::{BorderSecret, Builder, Difference, Limits, Patch, Seek, Tree, Zone};
use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

/// Records of a zone as they come out of messages: owner, type, TTL, RDATA.
#[derive(Default)]
struct Stream {
    octets: Vec<u8>,
    records: Vec<(u32, u32, u32, u16, u32)>,
}

impl Stream {
    fn put(&mut self, owner: &str, rtype: u16, ttl: u32, rdata: &[u8]) {
        let start = self.octets.len() as u32;
        self.octets.extend_from_slice(Name::parse(owner).unwrap().as_wire());
        let middle = self.octets.len() as u32;
        self.octets.extend_from_slice(rdata);
        self.records.push((start, middle, self.octets.len() as u32, rtype, ttl));
    }

    /// The same records in another order.
    fn in_order(&self, order: impl Iterator<Item = usize>) -> Stream {
        let mut stream = Stream::default();
        for at in order {
            let (start, middle, end, rtype, ttl) = self.records[at];
            let here = stream.octets.len() as u32;
            stream.octets.extend_from_slice(&self.octets[start as usize..end as usize]);
            stream.records.push((here, here + middle - start, here + end - start, rtype, ttl));
        }
        stream
    }

    fn push_to(&self, builder: &mut Builder, at: usize) {
        let (start, middle, end, rtype, ttl) = self.records[at];
        let owner = NameRef::split_from(&self.octets[start as usize..middle as usize]).unwrap().0;
        let rdata = &self.octets[middle as usize..end as usize];
        builder.push(owner, RecordType(rtype), ttl, rdata).unwrap();
    }
}

fn mixed(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn soa(serial: u32) -> Vec<u8> {
    let name = |text| Name::parse(text).unwrap();
    let (mname, rname) = (name("ns.bench.example."), name("host.bench.example."));
    Soa { mname, rname, serial: serial.into(), refresh: 3600, retry: 600, expire: 86_400, minimum: 300 }
        .to_rdata()
}

/// A hosting zone: every name has an address, some a second one, a text, a mail exchange.
fn hosting(names: usize) -> Stream {
    let mut stream = Stream::default();
    stream.put("bench.example.", 6, 3600, &soa(1));
    stream.put("bench.example.", 2, 3600, b"\x02ns\x05bench\x07example\0");
    for i in 0..names {
        let h = mixed(i as u64);
        let owner = format!("h{i:08}.bench.example.");
        stream.put(&owner, 1, 300, &[10, (h >> 8) as u8, (h >> 16) as u8, (h >> 24) as u8]);
        if h % 10 < 5 {
            let mut six = [0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            six[4..12].copy_from_slice(&h.to_be_bytes());
            six[12..].copy_from_slice(&(i as u32).to_be_bytes());
            stream.put(&owner, 28, 300, &six);
        }
        if h % 10 == 7 || h % 10 == 8 {
            let text = format!("v=spf1 ip4:10.{}.{}.0/24 -all", h as u8, (h >> 8) as u8);
            stream.put(&owner, 16, 300, &[&[text.len() as u8], text.as_bytes()].concat());
        }
        if h % 10 == 9 {
            stream.put(&owner, 15, 300, b"\x00\x0A\x04mail\x05bench\x07example\0");
        }
    }
    stream
}

fn build(stream: &Stream, order: impl Iterator<Item = usize>, previous: Option<&Zone>) -> (Zone, f64) {
    let secret = BorderSecret::new([42; 16]);
    let begun = Instant::now();
    let mut builder = match previous {
        Some(previous) => Builder::reusing(previous, Limits::default()),
        None => Builder::new(Name::parse("bench.example.").unwrap(), &secret, Limits::default()),
    };
    order.for_each(|at| stream.push_to(&mut builder, at));
    let zone = builder.finish().unwrap().zone;
    (zone, begun.elapsed().as_nanos() as f64 / stream.records.len() as f64)
}

/// Nanoseconds for each of `count` runs.
fn each(count: usize, mut run: impl FnMut(usize)) -> f64 {
    let begun = Instant::now();
    (0..count).for_each(&mut run);
    begun.elapsed().as_nanos() as f64 / count as f64
}

/// Resident memory of the process, octets.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    status.split(' ').nth(1).and_then(|pages| pages.parse().ok()).map_or(0.0, |pages: f64| pages * 4096.0)
}

fn main() {
    let names = std::env::args().nth(1).map_or(555_000, |n| n.parse().unwrap());
    let stream = hosting(names);
    let records = stream.records.len() as f64;
    let before = resident();
    let (zone, ns) = build(&stream, 0..stream.records.len(), None);
    let counts = zone.counts();
    println!("{} names, {} records, {} octets on the wire", counts.names, counts.records, counts.wire_bytes);
    println!("build, canonical order     {ns:8.0} ns a record");
    println!(
        "memory                     {:8.1} octets a record by count, {:.1} by the system; {} pages of {:.0}",
        counts.memory_bytes as f64 / records,
        (resident() - before) / records,
        counts.pages,
        counts.memory_bytes as f64 / counts.pages as f64,
    );
    let best = (0..5).map(|_| build(&stream, 0..stream.records.len(), None).1).fold(f64::MAX, f64::min);
    println!("build, best of five        {best:8.0} ns a record");
    let (again, ns) = build(&stream, 0..stream.records.len(), Some(&zone));
    println!("build over the same zone   {ns:8.0} ns a record, {}", shared(&zone, &again));
    // Owners far from canonical order, each with its records.
    let mut owners: Vec<Vec<usize>> = vec![];
    for at in 0..stream.records.len() {
        let owner = |at: usize| &stream.octets[stream.records[at].0 as usize..stream.records[at].1 as usize];
        match owners.last_mut() {
            Some(last) if owner(last[0]) == owner(at) => last.push(at),
            _ => owners.push(vec![at]),
        }
    }
    let order = (0..owners.len()).flat_map(|n| &owners[n * 1_000_003 % owners.len()]).copied();
    let mixed = stream.in_order(order);
    let all = 0..stream.records.len();
    let (other, ns) = build(&mixed, all.clone(), None);
    println!("build, any order           {ns:8.0} ns a record, equal: {}", other == zone);
    let (other, ns) = build(&mixed, all, Some(&zone));
    println!("the same over the zone     {ns:8.0} ns a record, {}", shared(&zone, &other));
    drop((again, other, mixed));

    lookups(&zone, names);
    changes(&zone, names);
    disk(&zone, records);
}

fn lookups(zone: &Zone, names: usize) {
    const MANY: usize = 1 << 20;
    let key_of = |text: &str| {
        let mut key = KeyBuf::new();
        assert!(key.set(Name::parse(text).unwrap().as_ref(), zone.apex().as_ref()));
        key.as_slice().to_vec()
    };
    let wanted: Vec<usize> = (0..MANY).map(|n| mixed(n as u64) as usize % names).collect();
    let keys: Vec<Vec<u8>> = wanted.iter().map(|i| key_of(&format!("h{i:08}.bench.example."))).collect();
    let missing: Vec<Vec<u8>> = wanted.iter().map(|i| key_of(&format!("h{i:08}x.bench.example."))).collect();
    let map: HashMap<Vec<u8>, usize> =
        (0..names).map(|i| (key_of(&format!("h{i:08}.bench.example.")), i)).collect();
    // A walk along a ring of random places: each step waits for the memory of the last.
    let ring: Vec<u32> = {
        let mut order: Vec<u32> = (0..1u32 << 23).collect();
        (1..order.len()).rev().for_each(|at| order.swap(at, mixed(at as u64) as usize % at));
        let mut ring = vec![0; order.len()];
        (0..order.len()).for_each(|at| ring[order[at] as usize] = order[(at + 1) % order.len()]);
        ring
    };
    let mut at = 0u32;
    let read = each(MANY, |_| at = ring[at as usize]);
    black_box(at);
    drop(ring);
    // The best of some rounds: others may be at work on the machine.
    let mut best = [f64::MAX; 4];
    for _ in 0..8 {
        let hash = each(MANY, |n| assert!(map.contains_key(black_box(&keys[n]))));
        let find = each(MANY, |n| assert!(zone.find(black_box(&keys[n])).is_some()));
        let rrset = each(MANY, |n| {
            let node = zone.find(black_box(&keys[n])).unwrap();
            black_box(node.rrset(RecordType::A).unwrap().rdatas().next());
        });
        let seek = each(MANY, |n| assert!(matches!(zone.seek(black_box(&missing[n])), Seek::Missing(_))));
        best.iter_mut().zip([find, rrset, seek, hash]).for_each(|(best, ns)| *best = best.min(ns));
    }
    let [find, rrset, seek, hash] = best;
    println!(
        "lookup                     {find:8.0} ns find, {rrset:.0} with its RRset, {seek:.0} missing with neighbours; \
         {hash:.0} in a hash map, {read:.0} a random dependent read of 32 MiB"
    );
}

fn changes(zone: &Zone, names: usize) {
    let mut current = zone.clone();
    let (rounds, mut copied) = (200u32, 0);
    let begun = Instant::now();
    let mut octets = 0;
    for round in 1..=rounds {
        let mut patch = Patch::new(&current, Limits::default());
        patch.replace_soa(3600, &soa(round + 1)).unwrap();
        for n in 0..20u64 {
            let i = mixed(u64::from(round) << 32 | n) as usize % names;
            let owner = Name::parse(&format!("h{i:08}.bench.example.")).unwrap();
            let mut key = KeyBuf::new();
            key.set(owner.as_ref(), zone.apex().as_ref());
            let old = current.find(key.as_slice()).unwrap().rrset(RecordType::A).unwrap();
            let old = old.rdatas().next().unwrap().to_vec();
            patch.delete(owner.as_ref(), RecordType::A, &old).unwrap_or_default();
            patch.add(owner.as_ref(), RecordType::A, 300, &[10, n as u8, round as u8, 1]).unwrap();
        }
        let patched = patch.finish().unwrap();
        octets += patched.difference.wire_bytes();
        current = patched.zone;
    }
    let micros = begun.elapsed().as_micros() as f64 / f64::from(rounds);
    let mut versions = vec![current.clone()];
    let memory = resident();
    for round in 0..rounds {
        let mut patch = Patch::new(versions.last().unwrap(), Limits::default());
        patch.replace_soa(3600, &soa(round + 1000)).unwrap();
        for n in 0..20u64 {
            let i = mixed(u64::from(round) << 40 | n) as usize % names;
            let owner = Name::parse(&format!("h{i:08}.bench.example.")).unwrap();
            patch.add(owner.as_ref(), RecordType::A, 300, &[11, n as u8, round as u8, 1]).unwrap();
        }
        versions.push(patch.finish().unwrap().zone);
    }
    copied += ((resident() - memory) / f64::from(rounds)) as usize;
    println!(
        "change of 20 names         {micros:8.0} µs, {} KiB a version kept, {} octets of difference",
        copied / 1024,
        octets / rounds as usize
    );
    let begun = Instant::now();
    let difference = Difference::between(zone, &current);
    println!(
        "difference of both         {:8.1} ms, {} removed, {} added; {}",
        begun.elapsed().as_secs_f64() * 1e3,
        difference.removed_count(),
        difference.added_count(),
        shared(zone, &current)
    );
}

fn disk(zone: &Zone, records: f64) {
    let pages: Vec<(Tree, Vec<u8>)> = zone.pages().map(|(tree, page)| (tree, page.to_vec())).collect();
    let octets: usize = pages.iter().map(|(_, page)| page.len()).sum();
    let begun = Instant::now();
    let back = Zone::from_pages(zone.apex().clone(), zone.secret(), pages).unwrap();
    let ms = begun.elapsed().as_secs_f64() * 1e3;
    assert_eq!(back.digest(), zone.digest());
    println!(
        "from pages, all checked    {ms:8.1} ms, {:.0} ns a record, {octets} octets",
        ms * 1e6 / records
    );
    let begun = Instant::now();
    let mut name = NameBuf::new();
    let mut sum = 0;
    for node in zone.nodes() {
        node.name_into(&mut name);
        sum += node.rrsets().flat_map(|set| set.rdatas()).map(<[u8]>::len).sum::<usize>()
            + name.as_ref().as_wire().len();
    }
    black_box(sum);
    println!("walk over all nodes        {:8.1} ms", begun.elapsed().as_secs_f64() * 1e3);
}

fn shared(old: &Zone, new: &Zone) -> String {
    let places: std::collections::HashSet<_> = old.pages().map(|(_, page)| page.as_ptr()).collect();
    let shared = new.pages().filter(|(_, page)| places.contains(&page.as_ptr())).count();
    format!("{shared} of {} pages shared", new.counts().pages)
}
