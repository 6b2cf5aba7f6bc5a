//! What a datagram costs with one zone, and with many zones that have the same names.

use std::path::Path;
use std::time::Duration;

use interop::crowd::{APEX, Crowd, HOSTS, RECORDS, apex};
use interop::{Config, secondo};

use crate::cost::{ECHO, SECONDO, names};
use crate::grid::Grid;
use crate::offered::Load;
use crate::questions::Questions;
use crate::round::Bench;
use crate::running::Running;
use crate::server::limits;
use crate::table::thousands;

/// How long a zone may take to be served, at most.
const EACH: Duration = Duration::from_millis(10);

/// CPU a query of secondo.
pub(crate) fn measure(bench: &Bench) -> Result<String, String> {
    let zones = bench.options.zones;
    let primary = Crowd::start(zones).map_err(|error| format!("cannot start the primary: {error}"))?;
    // Once all zones, then over and over: scattered, as everywhere.
    let questions = Questions::for_addresses(zones, |zone, random| {
        format!("h{}.{}", random % u64::from(HOSTS), apex(zone))
    });
    let start = |name: &str, zones: &mut dyn Iterator<Item = String>| {
        let config = Config::new().more(&limits(1, 1000)).primary("primary", primary.address(), None);
        let config = zones.fold(config, |config, zone| config.zone(&zone, "primary", &[]));
        Running::start(name, |folder: &Path, _: &Path, address| {
            let file = folder.join("secondo.yaml");
            std::fs::write(&file, config.text(folder, address)).expect("our own folder is writable");
            let path = file.display().to_string();
            (secondo::binary().to_owned(), vec!["run".into(), "--config".into(), path])
        })
    };
    let (one, many) = (format!("{SECONDO}, one zone"), format!("{SECONDO}, {zones} zones"));
    let mut field =
        vec![start(&one, &mut std::iter::once(APEX.to_owned())), start(&many, &mut (0..zones).map(apex))];
    for running in &mut field {
        running.until_all_right(&questions, bench.options.limit + EACH * zones)?;
    }
    let size = questions.mean_answer(field[0].address);
    let mut echo = Running::echo(ECHO, size, 1);
    echo.until_answering(&questions, bench.options.limit)?;
    let maximum = bench.maximum(&echo);
    field.push(echo);
    let mut grid = Grid::default();
    bench.in_turn(&mut field, |running| {
        for (part, name) in [(0.5, "half of the maximum"), (1.0, "the maximum")] {
            let load = Load { rate: maximum * part, burst: bench.options.burst, sockets: 1 };
            bench.offer(&mut grid, running, &questions, load, name);
        }
    });
    Ok(format!(
        "Offered: {:.0} and {maximum:.0} questions a second, {} at a time. {} records in one zone, and {RECORDS} in each of \
         the many.\n\n{}",
        maximum / 2.0,
        bench.options.burst,
        thousands(f64::from(zones) * f64::from(RECORDS)),
        grid.table(&names(&field), &[(many, one)]),
    ))
}
