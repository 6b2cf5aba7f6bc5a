//! What one answer costs, request bytes to response bytes: `cargo bench -p secondo-answer [-- --names 555000]`, with
//! `--only TEXT` the rows that hold the text, `--blocks N` for a shorter run; `--only load` for the comparisons at the end.
//!
//! Each figure is the median of many blocks of calls for uniformly random names, beside what the machine does at best: a
//! read from memory at a random place that the last one told.

#![allow(clippy::expect_used, clippy::print_stdout)]

mod hosting;
mod load;
mod questions;

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hosting::Denial;
use questions::Questions;
use secondo_answer::{
    AccessList, Arrival, Client, Clock, Entry, Outcome, Scratch, Settings, Slot, Table, Transport, respond,
    respond_each,
};
use secondo_tsig::KeyRing;
use secondo_zone::Zone;

/// Calls in a block, and blocks that the median is taken of.
const BLOCK: usize = 64;
const BLOCKS: usize = 20_001;
/// Octets of the memory that the reads go through.
const RING: usize = 32 << 20;

fn main() {
    let names = argument("--names").map_or(555_000, |names| names.parse().expect("a number of names"));
    let blocks = argument("--blocks").map_or(BLOCKS, |blocks| blocks.parse().expect("a number of blocks"));
    let only = argument("--only").unwrap_or_default();
    println!("| {names} names, median a call | ns | allocations |\n| --- | --- | --- |");
    println!("| a random dependent read of {} MiB | {:.0} | |", RING >> 20, dependent_read());
    for denial in [Denial::None, Denial::Nsec, Denial::Nsec3] {
        let mut kinds = questions::kinds(names, denial);
        kinds.retain(|(what, _)| format!("{denial}, {what}").contains(&only));
        if kinds.is_empty() {
            continue;
        }
        let table = serving([hosting::zone(names, denial)]);
        for (what, questions) in kinds {
            let mut asker = Asker::new(&table);
            let (took, allocations) = asker.median(&questions, blocks);
            println!("| {denial}, {what} | {took:.0} | {allocations} |");
        }
    }
    if only.is_empty() || only == "load" {
        load::compare(names);
    }
}

/// What stands behind `name` on the command line.
fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args();
    arguments.find(|argument| argument == name).and_then(|_| arguments.next())
}

/// The median of blocks, nanoseconds a call.
fn median(blocks: usize, mut block: impl FnMut()) -> f64 {
    let mut took: Vec<Duration> = (0..blocks)
        .map(|_| {
            let begun = Instant::now();
            block();
            begun.elapsed()
        })
        .collect();
    let (_, median, _) = took.select_nth_unstable(blocks / 2);
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
    let took = median(BLOCKS, || (0..BLOCK).for_each(|_| at = ring[at as usize]));
    black_box(at);
    took
}

/// A table with current zones that everybody may ask.
fn serving(zones: impl IntoIterator<Item = Zone>) -> Table {
    let (nobody, everyone) = (Arc::new(AccessList::nobody()), Arc::new(AccessList::everyone()));
    let entries = zones.into_iter().map(|zone| {
        let (apex, slot) = (zone.apex().clone(), Arc::new(Slot::new()));
        slot.publish(zone);
        slot.renew(u64::MAX, 0);
        Entry { apex, query: everyone.clone(), notify: nobody.clone(), transfer: nobody.clone(), slot }
    });
    let settings = Settings { udp_payload: 1232, hash_secret: [3; 16] };
    Table::new(entries, KeyRing::new([]), &settings).expect("different zones")
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

    #[inline(never)]
    fn ask(&mut self, request: &[u8]) -> u16 {
        self.out.clear();
        let from = SocketAddr::from(([127, 0, 0, 1], 5353));
        let client = Client { addr: from, transport: Transport::Udp };
        let clock = Clock { boot_ms: 1, unix: 1_800_000_000 };
        let outcome = respond(request, client, self.table, clock, &mut self.scratch, &mut self.out);
        assert!(matches!(outcome, Outcome::Reply));
        u16::from_be_bytes([self.out[2], self.out[3]])
    }

    /// As a listener does that finds many datagrams.
    #[inline(never)]
    fn ask_all<'q>(&mut self, requests: impl Iterator<Item = &'q [u8]>) {
        self.out.clear();
        let from = SocketAddr::from(([127, 0, 0, 1], 5353));
        let client = Client { addr: from, transport: Transport::Udp };
        let clock = Clock { boot_ms: 1, unix: 1_800_000_000 };
        let arrivals = requests.map(|request| Arrival { request, client, mark: () });
        let Asker { table, scratch, out } = self;
        respond_each(arrivals, table, clock, scratch, out, |_, answered| {
            assert!(matches!(answered.outcome, Outcome::Reply));
        });
    }

    /// The median, and how many allocations all questions together cost.
    fn median(&mut self, questions: &Questions, blocks: usize) -> (f64, u64) {
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
        let took = median(blocks, || {
            for request in next.by_ref().take(BLOCK) {
                black_box(self.ask(request));
            }
        });
        (took, counted.count_total)
    }
}
