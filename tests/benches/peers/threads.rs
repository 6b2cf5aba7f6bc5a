//! What a datagram costs with one thread and with two.

use crate::cost::{ECHO, SECONDO, names};
use crate::grid::Grid;
use crate::offered::Load;
use crate::round::Bench;
use crate::running::Running;
use crate::server::Server;

/// From how many sockets is asked, so that the kernel has something to spread over the threads.
const SOCKETS: usize = 16;

/// CPU a query of secondo and of the echo.
pub(crate) fn measure(bench: &Bench) -> Result<String, String> {
    let name = |server: &str, threads| format!("{server} × {threads}");
    let mut field = Vec::new();
    for threads in [1, 2] {
        field.push(bench.with_zone(Server::Secondo, &name(SECONDO, threads), threads)?);
    }
    let size = bench.answer_size(&field);
    for threads in [1, 2] {
        let mut echo = Running::echo(&name(ECHO, threads), size, threads);
        echo.until_answering(&bench.questions, bench.options.limit)?;
        field.push(echo);
    }
    let maximum = bench.maximum(&field[2]);
    let mut grid = Grid::default();
    bench.in_turn(&mut field, |running| {
        for (part, name) in [(0.5, "half of the maximum"), (1.0, "the maximum")] {
            let load = Load { rate: maximum * part, burst: bench.options.burst, sockets: SOCKETS };
            bench.offer(&mut grid, running, &bench.questions, load, name);
        }
    });
    let pairs = [SECONDO, ECHO].map(|server| (name(server, 2), name(server, 1)));
    Ok(format!(
        "Offered: {:.0} and {maximum:.0} questions a second from {SOCKETS} sockets, {} at a time: the maximum is that of the \
         echo with one thread.\n\n{}",
        maximum / 2.0,
        bench.options.burst,
        grid.table(&names(&field), &pairs),
    ))
}
