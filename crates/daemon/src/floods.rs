//! Answers that were limited: counted without a lock, and said now and then.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use secondo_answer::{IpPrefix, Limited};

use crate::event::Event;

/// How long nothing more is said, milliseconds.
const QUIET: u64 = 60_000;
/// Ranges that are told apart.
const RANGES: usize = 64;
/// So many of them are named.
const NAMED: usize = 3;

/// What was limited since the start, and how much of it was said. Query threads write here only while there is a flood,
/// and once for a batch.
#[derive(Debug, Default)]
pub(crate) struct Floods {
    dropped: Counter,
    slipped: Counter,
    /// Milliseconds since boot; 0: nothing was said yet, or all of it.
    quiet_until: AtomicU64,
    /// Where it came from since this was last said. A query thread never waits for it.
    ranges: Mutex<HashSet<IpPrefix>>,
}

#[derive(Debug, Default)]
struct Counter {
    all: AtomicU64,
    said: AtomicU64,
}

impl Counter {
    /// How many came since this was last asked.
    fn news(&self) -> u64 {
        let all = self.all.load(Relaxed);
        all.saturating_sub(self.said.swap(all, Relaxed))
    }
}

impl Floods {
    /// Counts what was limited, and says so if nothing was said for a while.
    pub(crate) fn note(&self, limited: Limited, boot_ms: u64) {
        if self.count(limited, boot_ms) {
            let detail = format!("to {}; how many there are is said in a minute", limited.range);
            let event = Event::new("query.limited", "answers are limited: too many are alike");
            Event { transport: Some("udp"), detail: Some(&detail), ..event }.info();
        }
    }

    /// Says what came since the last word, a minute after that: whether the flood is over or not.
    pub(crate) fn sum_up(&self, boot_ms: u64) {
        if let Some(detail) = self.sum(boot_ms) {
            let event = Event::new("query.limited", "answers were limited: too many were alike");
            Event { transport: Some("udp"), detail: Some(&detail), ..event }.info();
        }
    }

    /// Whether this is the first of a flood.
    fn count(&self, limited: Limited, boot_ms: u64) -> bool {
        self.dropped.all.fetch_add(limited.dropped, Relaxed);
        self.slipped.all.fetch_add(limited.slipped, Relaxed);
        if let Ok(mut ranges) = self.ranges.try_lock()
            && ranges.len() < RANGES
        {
            ranges.insert(limited.range);
        }
        let next = boot_ms.saturating_add(QUIET);
        // Of several threads one has the word.
        self.quiet_until.load(Relaxed) == 0
            && self.quiet_until.compare_exchange(0, next, Relaxed, Relaxed).is_ok()
    }

    /// What is to be said after a while, if anything is. The next minute begins with it; one without a flood ends it.
    fn sum(&self, boot_ms: u64) -> Option<String> {
        let quiet_until = self.quiet_until.load(Relaxed);
        if quiet_until == 0 || boot_ms < quiet_until {
            return None;
        }
        let ranges = std::mem::take(&mut *self.ranges.lock().unwrap_or_else(PoisonError::into_inner));
        let (dropped, slipped) = (self.dropped.news(), self.slipped.news());
        if dropped == 0 && slipped == 0 {
            self.quiet_until.store(0, Relaxed);
            return None;
        }
        self.quiet_until.store(boot_ms.saturating_add(QUIET), Relaxed);
        let mut names: Vec<String> = ranges.iter().map(ToString::to_string).collect();
        names.sort_unstable();
        let count = if names.len() < RANGES { names.len().to_string() } else { format!("{RANGES} or more") };
        let more = if names.len() > NAMED { " …" } else { "" };
        names.truncate(NAMED);
        Some(format!(
            "in the last minute {dropped} answers were dropped and {slipped} cut short, to {count} {} ({}{more})",
            if names.len() == 1 { "range" } else { "ranges" },
            names.join(" ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_said_at_once_and_summed_up_each_minute_until_it_is_over() {
        let floods = Floods::default();
        let from =
            |range: &str, dropped, slipped| Limited { range: range.parse().unwrap(), dropped, slipped };
        assert_eq!(floods.sum(4000), None);
        assert!(floods.count(from("192.0.2.0/24", 1, 0), 5000));
        assert!(!floods.count(from("192.0.2.0/24", 10, 9), 5001));
        assert!(!floods.count(from("198.51.100.0/24", 20, 0), 64_999));
        assert_eq!(floods.sum(64_999), None);
        let all = "in the last minute 31 answers were dropped and 9 cut short, to 2 ranges (192.0.2.0/24 198.51.100.0/24)";
        assert_eq!(floods.sum(65_000).as_deref(), Some(all));
        assert_eq!(floods.sum(66_000), None);
        for n in 0..5 {
            assert!(!floods.count(from(&format!("10.0.{n}.0/24"), 0, 1), 70_000));
        }
        let all = "in the last minute 0 answers were dropped and 5 cut short, to 5 ranges (10.0.0.0/24 10.0.1.0/24 10.0.2.0/24 …)";
        assert_eq!(floods.sum(125_000).as_deref(), Some(all));
        assert_eq!(floods.sum(185_000), None);
        assert!(floods.count(from("192.0.2.0/24", 3, 0), 186_000), "another flood");
        assert!(
            floods
                .sum(246_000)
                .unwrap()
                .contains("3 answers were dropped and 0 cut short, to 1 range (192.0.2.0/24)")
        );
    }
}
