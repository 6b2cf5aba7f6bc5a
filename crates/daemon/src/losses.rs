//! Datagrams that came to our listeners and found no room: the kernel drops them, and alone counts them (proc_net(5)).

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use nix::sys::stat::fstat;

use crate::control::ServerProblem;
use crate::event::Event;
use crate::socket::RECEIVE_BUFFER;

/// How often the kernel's tables are read, milliseconds.
const LOOK: u64 = 30_000;
/// How long nothing more is said, milliseconds.
const QUIET: u64 = 60_000;
/// How long status tells of it, milliseconds.
const SHOWN: u64 = 3_600_000;

/// What all UDP listeners lost since the start.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The sockets by their inode numbers.
    sockets: BTreeSet<u64>,
    lost: u64,
    said: u64,
    /// Of the last loss, milliseconds since boot.
    at: u64,
    next_look: u64,
    quiet_until: u64,
}

impl Losses {
    /// Counts what this listener loses.
    pub(crate) fn watch(&self, socket: &impl AsFd) {
        // What cannot be told apart is not counted.
        if let Ok(status) = fstat(socket) {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).sockets.insert(status.st_ino);
        }
    }

    /// Looks whether something was lost, and says so; not too often.
    pub(crate) fn look(&self, boot_ms: u64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if boot_ms >= seen.next_look {
            seen.read(boot_ms);
        }
        if let Some(news) = seen.news(boot_ms) {
            let detail = format!("{news} since this was last said; {}", advice());
            let event =
                Event::new("query.limited", "datagrams were lost: they came faster than they were read");
            Event { transport: Some("udp"), detail: Some(&detail), ..event }.warn();
        }
    }

    /// What status tells of it: what was lost until now, if the last of it was within the hour.
    pub(crate) fn problem(&self, boot_ms: u64) -> Option<ServerProblem> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.read(boot_ms);
        let minutes = boot_ms.saturating_sub(seen.at) / 60_000;
        (seen.lost > 0 && boot_ms.saturating_sub(seen.at) < SHOWN).then(|| ServerProblem {
            code: "datagrams-lost".into(),
            detail: format!(
                "{} datagrams came faster than they were read, the last of them {minutes} minutes ago or less; {}",
                seen.lost,
                advice()
            ),
        })
    }
}

impl Seen {
    fn read(&mut self, boot_ms: u64) {
        self.next_look = boot_ms.saturating_add(LOOK);
        // Where there is no such table, nothing is known.
        let tables = ["/proc/self/net/udp", "/proc/self/net/udp6"].map(std::fs::read_to_string);
        let lost = tables.iter().flatten().map(|table| dropped(table, &self.sockets)).sum();
        if lost > self.lost {
            (self.lost, self.at) = (lost, boot_ms);
        }
    }

    /// How many were lost that were not said, when it is time to say it.
    fn news(&mut self, boot_ms: u64) -> Option<u64> {
        let news = self.lost - self.said;
        if news == 0 || boot_ms < self.quiet_until {
            return None;
        }
        (self.said, self.quiet_until) = (self.lost, boot_ms.saturating_add(QUIET));
        Some(news)
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
    fn the_kernel_counts_what_finds_no_room_and_it_is_said_once_a_minute() {
        let losses = Losses::default();
        let listener = UdpSocket::bind("127.0.0.1:0").unwrap();
        losses.watch(&listener);
        assert_eq!(losses.problem(1000), None);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        // More than any buffer takes that is not asked for.
        for _ in 0..5000 {
            let _ = client.send_to(&[0; 1024], listener.local_addr().unwrap());
        }
        let problem = losses.problem(2000).unwrap();
        assert!(problem.detail.contains("came faster"), "{}", problem.detail);
        assert_eq!(losses.problem(2000 + SHOWN), None);
        let mut seen = losses.seen.lock().unwrap();
        let all = seen.lost;
        assert_eq!(seen.news(3000), Some(all));
        seen.lost += 1;
        assert_eq!(seen.news(3000 + QUIET - 1), None);
        assert_eq!(seen.news(3000 + QUIET), Some(1));
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
