//! What a connection takes on which nothing happens.

use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::cost::{names, pairs};
use crate::grid::Grid;
use crate::memory;
use crate::round::Bench;
use crate::tcp::{ask_once, connection};

/// Descriptors that are needed beside the connections, here and at the servers.
const OTHERS: usize = 500;

/// How long a server may take to come to rest: less than those close idle connections after that are least patient.
const BRIEF: Duration = Duration::from_secs(20);

/// Memory with and without idle connections.
pub(crate) fn measure(bench: &Bench) -> Result<String, String> {
    // Inherited by the servers, which are started from now on.
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|error| error.to_string())?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_err(|error| error.to_string())?;
    let room = usize::try_from(hard).unwrap_or(usize::MAX).saturating_sub(OTHERS);
    let count = bench.options.idle.min(room);
    let mut field = bench.field(1)?;
    let mut grid = Grid::default();
    for running in &mut field {
        let mut add = |what: &str, value: f64| grid.add(what, &running.name, value);
        let mebi = |octets: u64| octets as f64 / f64::from(1 << 20);
        let before = memory::of(&running.group.members());
        let mut streams: Vec<_> = (0..count).filter_map(|_| connection(running.address).ok()).collect();
        let message = bench.questions.message(0);
        streams.retain_mut(|stream| ask_once(stream, message));
        running.group.settle(BRIEF);
        let with = memory::of(&running.group.members());
        // Those that are still there answer once more.
        let held = streams.iter_mut().filter_map(|stream| ask_once(stream, message).then_some(())).count();
        add("memory without connections, MiB", mebi(before));
        add("memory with idle connections, MiB", mebi(with));
        add("memory of a connection, KiB", with.saturating_sub(before) as f64 / 1024.0 / held.max(1) as f64);
        add("connections that were held", held as f64);
        eprintln!("{} holds {held}", running.name);
    }
    let order = names(&field);
    let fewer = if count < bench.options.idle {
        " That is as many as this process may have descriptors for."
    } else {
        ""
    };
    Ok(format!(
        "{count} connections, each of which has asked one question before.{fewer} Memory of the kernel is not counted.\n\n{}",
        grid.table(&order, &pairs(&order))
    ))
}
