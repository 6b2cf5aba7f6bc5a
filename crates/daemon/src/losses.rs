//! Datagrams that came to our listeners and found no room: the kernel drops them, and alone counts them (proc_net(5)).

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::stat::fstat;

use crate::control::ServerProblem;
use crate::event::Event;
use crate::socket::RECEIVE_BUFFER;
use crate::tally::Tally;

/// How often the kernel's tables are read, milliseconds.
const LOOK: u64 = 30_000;

/// What all UDP listeners lost since the start.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    tally: Tally<1>,
    listeners: Mutex<Listeners>,
}

#[derive(Debug, Default)]
struct Listeners {
    /// Their sockets by inode numbers.
    sockets: BTreeSet<u64>,
    next_look: u64,
}

impl Losses {
    /// Counts what this listener loses.
    pub(crate) fn watch(&self, socket: &impl AsFd) {
        // What cannot be told apart is not counted.
        if let Ok(status) = fstat(socket) {
            self.listeners().sockets.insert(status.st_ino);
        }
    }

    /// Looks whether something was lost, and says so; not too often.
    pub(crate) fn look(&self, boot_ms: u64) {
        let listeners = self.listeners();
        if boot_ms >= listeners.next_look {
            self.read(listeners, boot_ms);
        }
        if let Some([news]) = self.tally.news(boot_ms) {
            let detail = format!("{news} since this was last said; {}", advice());
            let event =
                Event::new("query.limited", "datagrams were lost: they came faster than they were read");
            Event { transport: Some("udp"), detail: Some(&detail), ..event }.warn();
        }
    }

    /// What status tells of it.
    pub(crate) fn problem(&self, boot_ms: u64) -> Option<ServerProblem> {
        self.read(self.listeners(), boot_ms);
        let ([lost], when) = self.tally.shown(boot_ms)?;
        let detail =
            format!("{lost} datagrams came faster than they were read, the last {when}; {}", advice());
        Some(ServerProblem { code: "datagrams-lost".into(), detail })
    }

    /// Counts what the kernel has counted since this was last done.
    fn read(&self, mut listeners: MutexGuard<'_, Listeners>, boot_ms: u64) {
        listeners.next_look = boot_ms.saturating_add(LOOK);
        // Where there is no such table, nothing is known.
        let tables = ["/proc/self/net/udp", "/proc/self/net/udp6"].map(std::fs::read_to_string);
        let lost: u64 = tables.iter().flatten().map(|table| dropped(table, &listeners.sockets)).sum();
        let [known] = self.tally.all();
        if lost > known {
            self.tally.note([lost - known], boot_ms);
        }
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn advice() -> String {
    format!(
        "a primary repeats a NOTIFY that is not answered; to have room for longer bursts raise net.core.rmem_max to {RECEIVE_BUFFER}, for more at once `udp-threads`"
    )
}

/// The last column of the lines whose tenth is one of `sockets`.
fn dropped(table: &str, sockets: &BTreeSet<u64>) -> u64 {
    let of_line = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let socket = fields.nth(9)?.parse().ok()?;
        sockets.contains(&socket).then(|| fields.last()?.parse::<u64>().ok())?
    };
    table.lines().skip(1).filter_map(of_line).sum()
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn the_kernel_counts_what_finds_no_room() {
        let losses = Losses::default();
        let listener = UdpSocket::bind("127.0.0.1:0").unwrap();
        losses.watch(&listener);
        assert_eq!(losses.problem(1000), None);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        // More than any buffer takes that is not asked for.
        let flood =
            || (0..5000).for_each(|_| drop(client.send_to(&[0; 1024], listener.local_addr().unwrap())));
        flood();
        let problem = losses.problem(2000).unwrap();
        assert!(problem.detail.contains("came faster"), "{}", problem.detail);
        let all = losses.tally.all();
        assert!(losses.problem(3000).is_some());
        assert_eq!(losses.tally.all(), all, "what was counted is not counted again");
        assert_eq!(losses.tally.ago(3000), Some(1000));
        assert_eq!(losses.tally.news(3000), Some(all));
        flood();
        losses.look(3000 + LOOK - 1);
        assert_eq!(losses.tally.all(), all, "the tables are not read that often");
        losses.look(3000 + LOOK);
        let once = Losses::default();
        once.watch(&listener);
        once.look(0);
        assert!(losses.tally.all() > all && losses.tally.all() == once.tally.all());
    }

    #[test]
    fn sockets_of_others_are_not_counted() {
        let table = "  sl  local_address …\n \
            1: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 18372 2 0000000000000000 5\n \
            2: 0100007F:0036 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 18373 2 0000000000000000 7\n \
            3: junk\n";
        assert_eq!(dropped(table, &BTreeSet::from([18_373])), 7);
        assert_eq!(dropped(table, &BTreeSet::from([18_372, 18_373])), 12);
        assert_eq!(dropped(table, &BTreeSet::new()), 0);
    }
}
