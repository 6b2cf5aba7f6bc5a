//! Figures of large zones: time and memory a record, lookups, changes, versions.
//!
//! `cargo bench -p secondo-zone --bench figures [-- NAMES…] [--ten-million]`: a column for each number of names; 55,500
//! and 555,000 (998,608 records) if none is given, `--ten-million` adds 5,550,000. Best of three rounds in time of the thread,
//! but for what several threads do, which is by the clock on the wall.

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, unreachable_pub)]

mod builds;
mod changes;
mod clock;
mod hosting;
mod journal;
mod lookups;
mod memory;

/// As in the daemon, whose figures these are.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A row: what, and a figure for a zone.
type Row = (&'static str, String);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--peak-of", names, way] => return memory::peak(names.parse().unwrap(), way.parse().unwrap()),
        ["--versions-of", names] => return memory::versions(names.parse().unwrap()),
        _ => {}
    }
    let mut sizes: Vec<usize> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![55_500, 555_000];
    }
    if arguments.iter().any(|argument| argument == "--ten-million") {
        sizes.push(5_550_000);
    }
    let columns: Vec<Vec<Row>> = sizes.iter().map(|&names| column(names)).collect();
    for at in 0..columns[0].len() {
        let figures: Vec<String> = columns.iter().map(|rows| format!("{:>16}", rows[at].1)).collect();
        println!("{:<68}{}", columns[0][at].0, figures.concat());
    }
    changes::attack();
}

fn column(names: usize) -> Vec<Row> {
    let (zone, mut rows) = builds::rows(names, &memory::peaks(names));
    rows.extend(lookups::rows(&zone, names));
    let versions = changes::kept_in_time(&zone, names);
    rows.extend(changes::rows(
        &zone,
        &versions,
        &memory::in_its_own_process(&["--versions-of", &names.to_string()]),
    ));
    rows.extend(journal::rows(&versions.0));
    rows
}
