//! **Job**: secondo beside its peers, end to end, as a user can run it: one large zone through every server, the figures in
//! one table. `cargo bench -p interop --bench peers -- --help` says how.
//! **In**: the servers that this machine has, each in its own processes and folder, with one thread for queries. **Out**: a
//! table in Markdown on standard output, and what every round brought on standard error.
//! **Never**: needs root or a control group; leaves loopback; leaves a process or a folder behind.
//! **Source**: the manuals of the servers for their configurations; proc(5) for processor time and memory.
//!
//! "Served" means that all marks of a version are answered with: records scattered over the zone whose addresses carry the
//! serial. Processor time is that of all processes and threads of a server, in user and kernel mode, until it has come to
//! rest. Memory is the proportional set size of all its processes.

mod churn;
mod cost;
mod dead;
mod disk;
mod echo;
mod figures;
mod grid;
mod group;
mod idle;
mod interrupt;
mod many;
mod memory;
mod message;
mod offered;
mod options;
mod primary;
mod probe;
mod questions;
mod round;
mod running;
mod sampler;
mod server;
mod stream;
mod table;
mod tcp;
mod threads;
mod zone;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use crate::options::{HELP, Options, Part};
use crate::primary::Primary;
use crate::questions::Questions;
use crate::round::Bench;
use crate::server::Server;
use crate::table::thousands;
use crate::zone::Order;

fn main() -> ExitCode {
    let (mine, words): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|word| word == "--bench");
    if words.iter().any(|word| word == "--help" || word == "-h") {
        say(HELP);
        return ExitCode::SUCCESS;
    }
    if let Some((_, words)) = words.split_first().filter(|(word, _)| *word == echo::WORD) {
        return if echo::run(words).is_some() { ExitCode::SUCCESS } else { ExitCode::from(2) };
    }
    // Without this word it is not cargo's `bench` that runs us, but one of its ways to run everything.
    if mine.is_empty() {
        say("Not measured: `cargo bench -p interop --bench peers` does it.\n");
        return ExitCode::SUCCESS;
    }
    let outcome = Options::read(&words).and_then(measure);
    match outcome {
        Ok(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}\n\n{HELP}");
            ExitCode::from(2)
        }
    }
}

fn measure(mut options: Options) -> Result<String, String> {
    interrupt::watch();
    let (mut versions, mut missing) = (Vec::new(), Vec::new());
    options.servers.retain(|server| match server.version() {
        Some(version) => {
            versions.push(format!("{server} {version}"));
            true
        }
        None => {
            missing.push(server.to_string());
            false
        }
    });
    if options.servers.is_empty() {
        return Err(format!("Nothing to measure. Not installed here: {}.", missing.join(", ")));
    }
    let mut heading = format!("{}.", versions.join(", "));
    if !missing.is_empty() {
        heading += &format!(" Not installed here, and left out: {}.", missing.join(", "));
    }
    let primary = Primary::start(options.rule(), options.message)
        .map_err(|error| format!("cannot start the primary: {error}"))?;
    heading += &format!(
        "\n\nOne zone of {} records, {} octets as AXFR in {} order; {} cores; {}.\n",
        thousands(primary.stream().records() as f64),
        thousands(primary.stream().octets() as f64),
        if options.order == Order::Canonical { "canonical" } else { "random" },
        std::thread::available_parallelism().map_or(1, usize::from),
        match options.rounds {
            1 => "one round".to_owned(),
            more => format!("medians of {more} rounds"),
        },
    );
    eprintln!("{heading}");
    let questions = Questions::about(options.rule());
    let bench = Bench { options, primary, questions };
    if let Some(part) = bench.options.part {
        let before = load_average();
        let table = match part {
            Part::Cost => cost::measure(&bench)?,
            Part::Churn => churn::measure(&bench)?,
            Part::Threads => threads::measure(&bench)?,
            Part::Zones => many::measure(&bench)?,
            Part::Tcp => tcp::measure(&bench)?,
            Part::Idle => idle::measure(&bench)?,
            Part::Dead => dead::measure(&bench)?,
        };
        let load = format!("Load of the machine before and after: {before}; {}.", load_average());
        return Ok(format!("{heading}\n{load}\n\n{table}"));
    }
    let mut samples: BTreeMap<Server, Vec<_>> = BTreeMap::new();
    for round in 0..bench.options.rounds as usize {
        // Each round begins with another one, so that nobody always comes first.
        let mut servers = bench.options.servers.clone();
        let first = round % servers.len().max(1);
        servers.rotate_left(first);
        for server in servers {
            let sample = bench.round(server);
            eprintln!("round {}, {server}: {}", round + 1, table::line(&sample, bench.options.changes));
            for note in &sample.notes {
                eprintln!("    {note}");
            }
            samples.entry(server).or_default().push(sample);
        }
    }
    Ok(format!("{heading}\n{}", table::table(&samples, bench.options.changes)))
}

/// Processes that want a processor: in the mean of one, five and fifteen minutes (proc_loadavg(5)).
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn say(text: &str) {
    // Nobody reads on: nothing left to do.
    let _ = std::io::stdout().write_all(text.as_bytes());
}
