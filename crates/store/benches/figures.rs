//! Figures of the disk: `cargo bench -p secondo-store [-- RECORDS…]`: a column for each number of records of a large
//! zone; 100,000 and 1,000,000 if none is given. By the clock on the wall; octets written as the system counts them.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

#[path = "../tests/world/mod.rs"]
mod world;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use secondo_store::{Committed, Durability};
use secondo_wire::{RecordType, Serial, Soa};
use secondo_zone::{Builder, Limits, Patch, Zone};
use world::{commit_keeping, confirmation, full, history, incremental, name, open, secret, zone};

/// A row: what, and a figure for a zone.
type Row = (&'static str, String);

const ZONES: u32 = 20_000;
const STEPS: u32 = 1000;
const CHANGES: u32 = 20;

fn main() {
    let mut sizes: Vec<u32> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![100_000, 1_000_000];
    }
    // Beside the build, so that it is on the disk that is there, not in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for (what, figure) in
        bare_sync(folder.path()).into_iter().chain(small_zones(&folder.path().join("small")))
    {
        println!("{what:<68}{figure:>16}");
    }
    let column = |size: &u32| large_zone(&folder.path().join(size.to_string()), *size);
    let columns: Vec<Vec<Row>> = sizes.iter().map(column).collect();
    for at in 0..columns[0].len() {
        let figures: Vec<String> = columns.iter().map(|rows| format!("{:>16}", rows[at].1)).collect();
        println!("{:<68}{}", columns[0][at].0, figures.concat());
    }
}

/// Octets of all files.
fn octets(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |path: &Path| path.metadata().map_or(0, |found| found.len());
    files.map(|file| file.path()).map(|path| if path.is_dir() { octets(&path) } else { size(&path) }).sum()
}

/// Octets that this process has had written to a disk (proc_pid_io).
fn written() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap();
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.unwrap().parse().unwrap()
}

/// `run`, and the time it took.
fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let done = run();
    (done, begun.elapsed())
}

/// Time that threads of this process have run, those with that name (proc_pid_schedstat).
fn on_cpu(thread: &str) -> Duration {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten().map(|task| task.path());
    let named =
        tasks.filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == thread));
    let nanos = named.map(|task| {
        let stat = fs::read_to_string(task.join("schedstat")).unwrap();
        stat.split(' ').next().unwrap().parse::<u64>().unwrap()
    });
    Duration::from_nanos(nanos.sum())
}

fn ms(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}

fn per_second(count: u32, time: Duration) -> String {
    format!("{:.0}", f64::from(count) / time.as_secs_f64())
}

fn share(of: u64, whole: u64) -> String {
    format!("{:.2}", of as f64 / whole as f64)
}

/// The median and what 99 of 100 stay below.
fn spread(mut times: Vec<Duration>) -> [String; 2] {
    times.sort_unstable();
    [times.len() / 2, times.len() * 99 / 100].map(|at| ms(times[at]))
}

/// What everything durable is to be measured by.
fn bare_sync(folder: &Path) -> Vec<Row> {
    let mut file = File::create(folder.join("sync")).unwrap();
    let once = |_| {
        file.write_all(&[1; 8192]).unwrap();
        timed(|| file.sync_data().unwrap()).1
    };
    let [median, most] = spread((0..500).map(once).collect());
    vec![("bare sync of 8 KiB, ms: median", median), ("  99 of 100 below", most)]
}

fn small_zones(folder: &Path) -> Vec<Row> {
    let owners = (0..8).map(|number| (number, (60, 1))).collect();
    let apexes: Vec<String> = (0..ZONES).map(|number| format!("z{number}.example.")).collect();
    let versions: Vec<_> = apexes.iter().map(|apex| full(&zone(apex, 1, &owners))).collect();
    let (store, _) = open(folder);
    let (tell, told) = channel();
    let ((), committed) = timed(|| {
        for version in versions {
            let tell = tell.clone();
            store.commit(version, confirmation(Serial(1), 1), 4, move |committed| {
                tell.send(committed).unwrap()
            });
        }
        for _ in 0..ZONES {
            assert_eq!(*told.recv().unwrap().durability(), Durability::Durable);
        }
    });
    let (tell, told) = channel();
    let ((), confirmed) = timed(|| {
        for apex in &apexes {
            let tell = tell.clone();
            store.confirm(&name(apex), confirmation(Serial(1), 2), move |result| tell.send(result).unwrap());
        }
        apexes.iter().for_each(|_| told.recv().unwrap().unwrap());
    });
    let ((), ended) = timed(|| drop(store));
    let disk = octets(folder);
    let ((_store, opened), restored) = timed(|| open(folder));
    assert_eq!(opened.restored.len(), ZONES as usize);
    vec![
        ("20,000 zones of 10 records: durable zones a second", per_second(ZONES, committed)),
        ("  confirmed zones a second", per_second(ZONES, confirmed)),
        ("  octets on disk a zone", (disk / u64::from(ZONES)).to_string()),
        ("  clean end, ms", ms(ended)),
        ("  restored, ms", ms(restored)),
    ]
}

fn soa(serial: u32) -> Vec<u8> {
    let (mname, rname) = (name("ns.example."), name("hostmaster.example."));
    let serial = Serial(serial);
    Soa { mname, rname, serial, refresh: 3600, retry: 600, expire: 86_400, minimum: 60 }.to_rdata()
}

/// A primary of a large zone: hosts with two addresses each, which move.
struct Primary {
    /// How often each host has moved.
    moved: Vec<u8>,
    current: Zone,
}

fn host(number: u32) -> secondo_wire::Name {
    name(&format!("host{number}.large.example."))
}

fn address(net: u8, number: u32) -> [u8; 4] {
    let [_, a, b, c] = number.to_be_bytes();
    [net, a, b, c]
}

impl Primary {
    fn new(records: u32) -> Primary {
        let apex = name("large.example.");
        let mut builder = Builder::new(apex.clone(), &secret(), Limits::default());
        builder.push(apex.as_ref(), RecordType::SOA, 300, &soa(1)).unwrap();
        builder.push(apex.as_ref(), RecordType::NS, 300, name("ns.example.").as_wire()).unwrap();
        for number in 0..records / 2 {
            for net in [0, 200] {
                builder.push(host(number).as_ref(), RecordType::A, 300, &address(net, number)).unwrap();
            }
        }
        Primary { moved: vec![0; records as usize / 2], current: builder.finish().unwrap().zone }
    }

    /// Those hosts move; returns the version before.
    fn change(&mut self, hosts: impl Iterator<Item = u32>) -> Zone {
        let limits = Limits {
            max_bytes: u64::MAX,
            max_records: u64::MAX,
            rrset_records: u32::MAX,
            name_types: u32::MAX,
        };
        let mut patch = Patch::new(&self.current, limits);
        for number in hosts {
            let (owner, moved) = (host(number), &mut self.moved[number as usize]);
            patch.delete(owner.as_ref(), RecordType::A, &address(*moved, number)).unwrap();
            *moved += 1;
            patch.add(owner.as_ref(), RecordType::A, 300, &address(*moved, number)).unwrap();
        }
        patch.replace_soa(300, &soa(self.current.serial().0 + 1)).unwrap();
        std::mem::replace(&mut self.current, patch.finish().unwrap().zone)
    }
}

fn large_zone(folder: &Path, records: u32) -> Vec<Row> {
    let mut primary = Primary::new(records);
    let wire = primary.current.counts().wire_bytes;
    let first = primary.current.clone();
    let (store, _) = open(folder);
    let ((), whole) = timed(|| durable(&commit_keeping(&store, full(&first), 1, STEPS)));
    let image = octets(&folder.join("zones"));
    let (before, busy) = (written(), on_cpu("store"));
    let mut times = Vec::new();
    for step in 0..STEPS {
        let hosts = records / 2;
        let old = primary.change((0..CHANGES).map(|change| (step * 7919 + change * 104_729) % hosts));
        let checked = incremental(&old, &primary.current);
        times.push(timed(|| durable(&commit_keeping(&store, checked, 1, STEPS))).1);
    }
    let [median, most] = spread(times);
    let a_step = (written() - before) / u64::from(STEPS);
    let busy = (on_cpu("store") - busy) / STEPS;
    let ((), ended) = timed(|| drop(store));
    let disk = octets(folder);
    let steps = (disk - octets(&folder.join("zones"))) / u64::from(STEPS);
    let mut restored = Duration::MAX;
    for _ in 0..3 {
        let ((store, opened), took) = timed(|| open(folder));
        assert!(*opened.restored[0].committed.zone() == primary.current);
        restored = restored.min(took);
        drop(store);
    }
    let (store, _) = open(folder);
    let (found, read) = timed(|| history(&store, "large.example.").unwrap());
    let this = fs::read_to_string("/proc/thread-self/comm").unwrap();
    let begun = on_cpu(this.trim());
    let oldest = found.version(&primary.current, Serial(1)).unwrap();
    let made = on_cpu(this.trim()) - begun;
    assert!(oldest == first);
    // As many as an IXFR may change: nearly half of all records.
    let old = primary.change((0..records / 2).filter(|number| number % 20 != 0));
    let checked = incremental(&old, &primary.current);
    let (most_octets, altogether) = at_most(folder, || durable(&commit_keeping(&store, checked, 1, STEPS)));
    drop(store);
    let settled = octets(folder);
    vec![
        ("zone: records", records.to_string()),
        ("  octets of its image a record", share(image, records.into())),
        ("  durable, ms", ms(whole)),
        ("  20 changes: durable, ms: median", median),
        ("    99 of 100 below", most),
        ("    the writer's processor time, ms", ms(busy)),
        ("    octets written a commit", a_step.to_string()),
        ("    octets on disk a version kept", steps.to_string()),
        ("  on disk with 1,000 versions, in sizes of the transfer", share(disk, wire)),
        ("  clean end, ms", ms(ended)),
        ("  restored, ms", ms(restored)),
        ("  history of 1,000 versions read, ms", ms(read)),
        ("    the oldest made again, ms of processor time", ms(made)),
        ("  19 of 40 records changed at once: durable, ms", ms(altogether)),
        ("    on disk meanwhile, in sizes of the transfer", share(most_octets, wire)),
        ("    on disk afterwards", share(settled, wire)),
    ]
}

fn durable(committed: &Committed) {
    assert_eq!(*committed.durability(), Durability::Durable);
}

/// The most octets in the folder while `run` runs, and how long it does.
fn at_most(folder: &Path, run: impl FnOnce()) -> (u64, Duration) {
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0;
            while !ended.load(Ordering::Relaxed) {
                most = most.max(octets(folder));
                thread::sleep(Duration::from_millis(1));
            }
            most
        });
        let ((), took) = timed(run);
        ended.store(true, Ordering::Relaxed);
        (watch.join().unwrap(), took)
    })
}
