//! What an answer costs in processor time when more goes on than one zone being asked by one thread. Both sides of a comparison
//! take turns, and the median of the turns counts: the machine is the same for both.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use secondo_answer::Table;
use secondo_wire::{Name, RecordType};
use secondo_zone::{Limits, Patch, Zone};

use crate::hosting::{self, Denial};
use crate::questions::{self, Questions};
use crate::{Asker, BLOCK, serving};

/// Turns of each side.
const TURNS: usize = 9;
/// Calls of one turn, for the threads that count.
const CALLS: usize = 3125 * BLOCK;
const SMALL_ZONES: usize = 100_000;

/// Nanoseconds that this thread has had a processor (Linux); `None` where that is not told.
fn processor_time() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}

/// Nanoseconds of processor time a call, of one turn that begins with question `from`.
fn turn(table: &Table, questions: &Questions, from: usize) -> f64 {
    measured(table, |asker| {
        for request in questions.iter().cycle().skip(from).take(CALLS) {
            asker.ask(request);
        }
    })
}

/// The same for questions that come in batches, as a listener answers them.
fn turn_in_batches(table: &Table, questions: &Questions) -> f64 {
    measured(table, |asker| {
        let mut requests = questions.iter().cycle();
        for _ in 0..CALLS / BLOCK {
            asker.ask_all(requests.by_ref().take(BLOCK));
        }
    })
}

fn measured(table: &Table, ask_calls: impl FnOnce(&mut Asker<'_>)) -> f64 {
    let mut asker = Asker::new(table);
    let begun = processor_time().expect("the processor time of a thread");
    ask_calls(&mut asker);
    (processor_time().expect("the processor time of a thread") - begun) as f64 / CALLS as f64
}

/// The medians of both sides, which take turns.
fn compared(mut one: impl FnMut() -> f64, mut other: impl FnMut() -> f64) -> (f64, f64) {
    let (mut ones, mut others): (Vec<f64>, Vec<f64>) = (0..TURNS).map(|_| (one(), other())).unzip();
    let median = |turns: &mut Vec<f64>| {
        turns.sort_unstable_by(f64::total_cmp);
        turns[TURNS / 2]
    };
    (median(&mut ones), median(&mut others))
}

fn print(what: &str, (one, other): (f64, f64)) {
    println!("| {what} | {one:.0}, {other:.0} | {:+.0} % |", 100.0 * (other / one - 1.0));
}

/// All comparisons, as rows of a table.
pub(crate) fn compare(names: usize) {
    println!("\n| processor time a call, in turn | ns | more |\n| --- | --- | --- |");
    let zone = hosting::zone(names, Denial::None);
    let questions = &questions::kinds(names, Denial::None)[0].1;
    let table = serving([zone.clone()]);
    print("an address: one thread, two threads", two_threads(&table, questions));
    print(
        "an address: quiet, while the zone changes five times a second",
        changing(&table, &zone, questions),
    );
    let sides = compared(|| turn(&table, questions, 0), || turn_in_batches(&table, questions));
    print("an address: by itself, in a batch", sides);
    drop((table, zone));
    let questions = questions::of_small_zones(SMALL_ZONES);
    let one = serving([hosting::joined_zone(SMALL_ZONES)]);
    let many = serving((0..SMALL_ZONES).map(hosting::small_zone));
    let sides = compared(|| turn(&one, &questions, 0), || turn(&many, &questions, 0));
    print(&format!("an address: one zone, {SMALL_ZONES} zones of the same records"), sides);
    let sides = compared(|| turn_in_batches(&one, &questions), || turn_in_batches(&many, &questions));
    print("the same in batches", sides);
}

fn two_threads(table: &Table, questions: &Questions) -> (f64, f64) {
    let both = || {
        thread::scope(|scope| {
            let other = scope.spawn(|| turn(table, questions, CALLS / 2));
            let one = turn(table, questions, 0);
            (one + other.join().expect("a thread that answers")) / 2.0
        })
    };
    compared(|| turn(table, questions, 0), both)
}

fn changing(table: &Table, zone: &Zone, questions: &Questions) -> (f64, f64) {
    let slot = &table.entries().next().expect("one zone").slot;
    let change = |zone: &Zone, version: u32| {
        let mut patch = Patch::new(zone, Limits::default());
        for n in 0..10 {
            let owner = Name::parse(&format!("change{n}.bench.example.")).expect("a name");
            let owner = owner.as_ref();
            if version > 1 {
                patch.delete(owner, RecordType::A, &(version - 1).to_be_bytes()).expect("what was added");
            }
            patch.add(owner, RecordType::A, 300, &version.to_be_bytes()).expect("a record");
        }
        patch.finish().expect("a version").zone
    };
    let done = AtomicBool::new(false);
    let while_changing = || {
        done.store(false, Ordering::Relaxed);
        thread::scope(|scope| {
            scope.spawn(|| {
                let (mut zone, mut version) = (zone.clone(), 0);
                while !done.load(Ordering::Relaxed) {
                    version += 1;
                    zone = change(&zone, version);
                    slot.publish(zone.clone());
                    thread::sleep(Duration::from_millis(200));
                }
                slot.publish(zone.clone());
            });
            // Long enough for some changes.
            let turns: Vec<f64> = (0..5).map(|_| turn(table, questions, 0)).collect();
            done.store(true, Ordering::Relaxed);
            turns.iter().sum::<f64>() / turns.len() as f64
        })
    };
    compared(|| turn(table, questions, 0), while_changing)
}
