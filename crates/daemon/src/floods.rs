//! Answers that were limited: counted without a lock, and said now and then.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use secondo_answer::Limited;

use crate::event::Event;

/// How long nothing more is said, milliseconds.
const QUIET: u64 = 60_000;

/// What was limited since the start, and how much of it was said. Query threads write here only while there is a flood,
/// and once for a batch.
#[derive(Debug, Default)]
pub(crate) struct Floods {
    dropped: Counter,
    slipped: Counter,
    /// Milliseconds since boot; 0: nothing was said yet.
    quiet_until: AtomicU64,
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
        if let Some((dropped, slipped)) = self.count(limited, boot_ms) {
            let detail = format!(
                "{}; {dropped} answers were dropped and {slipped} cut short since this was last said",
                limited.range
            );
            let event = Event::new("query.limited", "answers are limited: too many are alike");
            Event { transport: Some("udp"), detail: Some(&detail), ..event }.info();
        }
    }

    /// What is to be said, if anything is: dropped and cut short.
    fn count(&self, limited: Limited, boot_ms: u64) -> Option<(u64, u64)> {
        self.dropped.all.fetch_add(limited.dropped, Relaxed);
        self.slipped.all.fetch_add(limited.slipped, Relaxed);
        let quiet_until = self.quiet_until.load(Relaxed);
        let next = boot_ms.saturating_add(QUIET);
        // Of several threads one has the word.
        let is_news = boot_ms >= quiet_until
            && self.quiet_until.compare_exchange(quiet_until, next, Relaxed, Relaxed).is_ok();
        is_news.then(|| (self.dropped.news(), self.slipped.news()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_said_once_a_minute_with_all_that_came_since() {
        let floods = Floods::default();
        let range = "192.0.2.0/24".parse().unwrap();
        let limited = |dropped, slipped| Limited { range, dropped, slipped };
        assert_eq!(floods.count(limited(1, 0), 5000), Some((1, 0)));
        assert_eq!(floods.count(limited(10, 9), 5001), None);
        assert_eq!(floods.count(limited(20, 0), 64_999), None);
        assert_eq!(floods.count(limited(0, 1), 65_000), Some((30, 10)));
        assert_eq!(floods.count(limited(3, 0), 1_000_000), Some((3, 0)));
    }
}
