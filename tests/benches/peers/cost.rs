//! What a datagram costs: secondo, its peers and the bare echo under the same load, in turn.

use std::time::Duration;

use crate::grid::Grid;
use crate::offered::Load;
use crate::questions::Questions;
use crate::round::Bench;
use crate::running::Running;
use crate::server::Server;

/// How the echo is called.
pub(crate) const ECHO: &str = "echo";
/// How secondo is called.
pub(crate) const SECONDO: &str = "secondo";

/// Loads at which is measured, as parts of what the machine can do at most.
const LOADS: [(f64, &str); 2] = [(0.5, "half of the maximum"), (1.0, "the maximum")];

/// CPU a query at half of the maximum and at the maximum.
pub(crate) fn measure(bench: &Bench) -> Result<String, String> {
    let mut field = bench.field(1)?;
    let size = bench.answer_size(&field);
    let mut echo = Running::echo(ECHO, size, 1);
    echo.until_answering(&bench.questions, bench.options.limit)?;
    let maximum = bench.maximum(&echo);
    field.insert(0, echo);
    let mut grid = Grid::default();
    bench.in_turn(&mut field, |running| {
        for (part, name) in LOADS {
            let load = Load { rate: maximum * part, burst: bench.options.burst, sockets: 1 };
            bench.offer(&mut grid, running, &bench.questions, load, name);
        }
    });
    let order = names(&field);
    Ok(format!(
        "Offered: {:.0} and {:.0} questions a second, {} at a time; the maximum is what the echo answers to somebody with a fixed \
         number of questions under way. The echo pads to {size} octets, the mean of secondo's answers.\n\n{}",
        maximum / 2.0,
        maximum,
        bench.options.burst,
        grid.table(&order, &pairs(&order)),
    ))
}

/// The heads of the columns.
pub(crate) fn names(field: &[Running]) -> Vec<String> {
    field.iter().map(|running| running.name.clone()).collect()
}

/// secondo to each of the others.
pub(crate) fn pairs(order: &[String]) -> Vec<(String, String)> {
    order.iter().filter(|name| *name != SECONDO).map(|name| (SECONDO.to_owned(), name.clone())).collect()
}

impl Bench {
    /// All servers with the zone, at rest, with so many threads for queries.
    pub(crate) fn field(&self, threads: usize) -> Result<Vec<Running>, String> {
        self.options
            .servers
            .iter()
            .map(|&server| self.with_zone(server, &server.to_string(), threads))
            .collect()
    }

    /// A server with the zone, at rest.
    pub(crate) fn with_zone(&self, server: Server, name: &str, threads: usize) -> Result<Running, String> {
        let mut running = Running::start(name, |folder, state, address| {
            server.prepare(self.setting(folder, state, address, threads))
        });
        running.until_answering(&self.questions, self.options.limit)?;
        eprintln!("{name} serves the zone");
        Ok(running)
    }

    /// The mean size of secondo's answers, or of another server's if it is not there, in octets.
    pub(crate) fn answer_size(&self, field: &[Running]) -> usize {
        let running = field.iter().find(|running| running.name == SECONDO).or(field.first());
        running.map_or(100, |running| self.questions.mean_answer(running.address))
    }

    /// What the machine can do at most, in questions a second.
    pub(crate) fn maximum(&self, echo: &Running) -> f64 {
        self.options.rate.map_or_else(
            || {
                let asked = (0..3).map(|_| self.questions.ask(echo.address, Duration::from_secs(1)));
                asked.map(|asked| asked.answered as f64 / asked.elapsed.as_secs_f64()).fold(0.0, f64::max)
            },
            f64::from,
        )
    }

    /// Every round begins with another server, so that nobody always comes first.
    pub(crate) fn in_turn(&self, field: &mut [Running], mut each: impl FnMut(&mut Running)) {
        let count = field.len();
        for round in 0..self.options.rounds as usize {
            for place in 0..count {
                each(&mut field[(round + place) % count]);
            }
            eprint!(".");
        }
        eprintln!();
    }

    /// Offers a load to a server, and takes its figures into rows that begin with `name`; the CPU of a query, in
    /// microseconds.
    pub(crate) fn offer(
        &self,
        grid: &mut Grid,
        running: &mut Running,
        questions: &Questions,
        load: Load,
        name: &str,
    ) -> f64 {
        let time = Duration::from_secs(self.options.seconds);
        let checked = running.answers;
        let (cpu, offered) = running.cpu_of(|address| load.offer(questions, address, time, checked));
        let mut add = |what: &str, value: f64| grid.add(&format!("{name}: {what}"), &running.name, value);
        let each = cpu.as_secs_f64() * 1e6 / offered.answered.max(1) as f64;
        add("CPU a query, µs", each);
        add("lost, of a thousand", offered.lost());
        add("wait, median, µs", offered.wait(0.5));
        add("wait, 99 of 100, µs", offered.wait(0.99));
        if offered.wrong > 0 {
            add("wrong answers", offered.wrong as f64);
        }
        each
    }
}
