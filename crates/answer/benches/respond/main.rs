//! What one answer costs, request bytes to response bytes: `cargo bench -p secondo-answer [-- --names 555000]`.
//!
//! Each figure is the median of many blocks of calls for uniformly random names, beside what the machine does at best: a
//! read from memory at a random place that the last one told.

#![allow(clippy::expect_used, clippy::print_stdout)]

mod hosting;
mod questions;

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hosting::Denial;
use questions::Questions;
use secondo_answer::{
    AccessList, Client, Clock, Entry, Outcome, Scratch, Settings, Slot, Table, Transport, respond,
};
use secondo_tsig::KeyRing;
use secondo_zone::Zone;

/// Calls in a block, and blocks that the median is taken of.
const BLOCK: usize = 64;
const BLOCKS: usize = 20_001;
/// Octets of the memory that the reads go through.
const RING: usize = 32 << 20;

fn main() {
    let mut arguments = std::env::args();
    let names = arguments.find(|argument| argument == "--names").and_then(|_| arguments.next());
    let names = names.map_or(555_000, |names| names.parse().expect("a number of names"));
    println!("| {names} names, median a call | ns | allocations |\n| --- | --- | --- |");
    println!("| a random dependent read of {} MiB | {:.0} | |", RING >> 20, dependent_read());
    for denial in [Denial::None, Denial::Nsec, Denial::Nsec3] {
        let table = serving(hosting::zone(names, denial));
        for (what, questions) in questions::kinds(names, denial) {
            let mut asker = Asker::new(&table);
            let (took, allocations) = asker.median(&questions);
            println!("| {denial}, {what} | {took:.0} | {allocations} |");
        }
    }
}

/// The median of blocks, nanoseconds a call.
fn median(mut block: impl FnMut()) -> f64 {
    let mut took: Vec<Duration> = (0..BLOCKS)
        .map(|_| {
            let begun = Instant::now();
            block();
            begun.elapsed()
        })
        .collect();
    let (_, median, _) = took.select_nth_unstable(BLOCKS / 2);
    median.as_nanos() as f64 / BLOCK as f64
}

fn dependent_read() -> f64 {
    let places = RING / size_of::<u32>();
    let mut order: Vec<u32> = (0..places as u32).collect();
    (1..places).rev().for_each(|at| order.swap(at, hosting::mixed(at as u64) as usize % at));
    let mut ring = vec![0_u32; places];
    (0..places).for_each(|at| ring[order[at] as usize] = order[(at + 1) % places]);
    drop(order);
    let mut at = 0;
    let took = median(|| (0..BLOCK).for_each(|_| at = ring[at as usize]));
    black_box(at);
    took
}

/// A table with one current zone that everybody may ask.
fn serving(zone: Zone) -> Table {
    let (nobody, everyone) = (Arc::new(AccessList::nobody()), Arc::new(AccessList::everyone()));
    let (apex, slot) = (zone.apex().clone(), Arc::new(Slot::new()));
    slot.publish(zone);
    slot.renew(u64::MAX, 0);
    let entry = Entry { apex, query: everyone, notify: nobody.clone(), transfer: nobody, slot };
    let settings = Settings { udp_payload: 1232, hash_secret: [3; 16] };
    Table::new([entry], KeyRing::new([]), &settings).expect("one zone")
}

/// Asks again and again with the same buffers.
struct Asker<'t> {
    table: &'t Table,
    scratch: Scratch,
    out: Vec<u8>,
}

impl Asker<'_> {
    fn new(table: &Table) -> Asker<'_> {
        Asker { table, scratch: Scratch::new(), out: Vec::with_capacity(4096) }
    }

    fn ask(&mut self, request: &[u8]) -> u16 {
        self.out.clear();
        let from = SocketAddr::from(([127, 0, 0, 1], 5353));
        let client = Client { addr: from, transport: Transport::Udp };
        let clock = Clock { boot_ms: 1, unix: 1_800_000_000 };
        let outcome = respond(request, client, self.table, clock, &mut self.scratch, &mut self.out);
        assert!(matches!(outcome, Outcome::Reply));
        u16::from_be_bytes([self.out[2], self.out[3]])
    }

    /// The median, and how many allocations all questions together cost.
    fn median(&mut self, questions: &Questions) -> (f64, u64) {
        for request in questions.iter() {
            let flags = self.ask(request);
            assert_eq!(
                (flags & 0xF, flags & 0x0200),
                (questions.rcode, 0),
                "the answer is not the one meant"
            );
        }
        let counted = allocation_counter::measure(|| {
            for request in questions.iter() {
                black_box(self.ask(request));
            }
        });
        let mut next = questions.iter().cycle();
        let took = median(|| {
            for request in next.by_ref().take(BLOCK) {
                black_box(self.ask(request));
            }
        });
        (took, counted.count_total)
    }
}
