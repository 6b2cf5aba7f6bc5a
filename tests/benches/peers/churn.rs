//! What a datagram costs while the zone changes, and at rest.

use crate::cost::{ECHO, names, pairs};
use crate::grid::Grid;
use crate::offered::Load;
use crate::round::Bench;
use crate::running::{REST, Running};

/// CPU a query with and without five changes a second.
pub(crate) fn measure(bench: &Bench) -> Result<String, String> {
    let mut field = bench.field(1)?;
    let rate = bench.maximum_here(bench.answer_size(&field))? / 2.0;
    let load = Load { rate, burst: bench.options.burst, sockets: 1 };
    let mut grid = Grid::default();
    bench.in_turn(&mut field, |running| {
        let quiet = bench.offer(&mut grid, running, &bench.questions, load, "at rest");
        let busy = bench.while_changing(running.address, || {
            bench.offer(&mut grid, running, &bench.questions, load, "changing")
        });
        grid.add("CPU a query, changing : at rest", &running.name, busy / quiet);
        running.group.settle(REST);
    });
    let order = names(&field);
    Ok(format!(
        "Offered: {rate:.0} questions a second, {} at a time: half of what a bare echo answers. Changing: five times a second \
         {} records are taken away or added. The CPU for the changes themselves is in it.\n\n{}",
        bench.options.burst,
        bench.options.changes,
        grid.table(&order, &pairs(&order)),
    ))
}

impl Bench {
    /// What the machine can do at most, told by an echo that is there for this alone.
    pub(crate) fn maximum_here(&self, size: usize) -> Result<f64, String> {
        let mut echo = Running::echo(ECHO, size, 1);
        echo.until_answering(&self.questions, self.options.limit)?;
        Ok(self.maximum(&echo))
    }
}
