//! Answers that were limited, for too many were alike.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use secondo_answer::{IpPrefix, Limited};

use crate::control;
use crate::event::Event;
use crate::tally::Tally;

/// Ranges that are told apart.
const RANGES: usize = 64;
/// So many of them are named.
const NAMED: usize = 3;

/// Those since the start.
#[derive(Debug, Default)]
pub(crate) struct Floods {
    /// Dropped; cut short.
    tally: Tally<2>,
    /// Where they were to go since this was last said. A thread that answers never waits for it.
    ranges: Mutex<HashSet<IpPrefix>>,
}

impl Floods {
    /// Counts those of a batch.
    pub(crate) fn note(&self, limited: Limited, boot_ms: u64) {
        // First, so that who says the numbers knows of it.
        if let Ok(mut ranges) = self.ranges.try_lock()
            && ranges.len() < RANGES
        {
            ranges.insert(limited.range);
        }
        self.tally.note([limited.dropped, limited.slipped], boot_ms);
    }

    /// Says what was counted since it was last said; not too often.
    pub(crate) fn look(&self, boot_ms: u64) {
        if let Some(detail) = self.news(boot_ms) {
            let event = Event::new("query.limited", "answers were limited: too many were alike");
            Event { transport: Some("udp"), detail: Some(&detail), ..event }.info();
        }
    }

    /// What status tells of it.
    pub(crate) fn limited(&self, boot_ms: u64) -> control::Limited {
        let [dropped, slipped] = self.tally.all();
        let seconds = |ms| Duration::from_millis(ms).as_secs_f64();
        control::Limited {
            dropped,
            slipped,
            last_ago: self.tally.ago(boot_ms).map(seconds),
            began_ago: self.tally.goes_on(boot_ms).map(seconds),
        }
    }

    fn news(&self, boot_ms: u64) -> Option<String> {
        let [dropped, slipped] = self.tally.news(boot_ms)?;
        let ranges = std::mem::take(&mut *self.ranges.lock().unwrap_or_else(PoisonError::into_inner));
        let mut names: Vec<String> = ranges.iter().map(ToString::to_string).collect();
        names.sort_unstable();
        let (count, more) = (names.len(), if names.len() > NAMED { " …" } else { "" });
        let ranges = if count == 1 { "range" } else { "ranges" };
        names.truncate(NAMED);
        // Of a batch one is known, and none when another thread was at it.
        let to = match count {
            0 => String::new(),
            _ => format!(", to {count} {ranges} at least ({}{more})", names.join(" ")),
        };
        Some(format!("{dropped} were dropped and {slipped} cut short since this was last said{to}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_limited_is_shown_since_the_start_and_whether_it_goes_on() {
        let floods = Floods::default();
        let shown = |dropped, slipped, last_ago, began_ago| control::Limited {
            dropped,
            slipped,
            last_ago,
            began_ago,
        };
        assert_eq!(floods.limited(5000), shown(0, 0, None, None));
        for (dropped, boot_ms) in [(7, 4000), (4, 5000)] {
            let range = "192.0.2.0/24".parse().unwrap();
            floods.note(Limited { range, dropped, slipped: 3 }, boot_ms);
        }
        assert_eq!(floods.limited(5250), shown(11, 6, Some(0.25), Some(1.25)));
        assert!(floods.news(5250).is_some(), "what was said is shown all the same");
        assert_eq!(floods.limited(4_005_000), shown(11, 6, Some(4000.0), None));
    }

    #[test]
    fn a_flood_is_said_with_what_became_of_it_and_whom_it_was_for() {
        let floods = Floods::default();
        let note = |range: &str, dropped, slipped| {
            floods.note(Limited { range: range.parse().unwrap(), dropped, slipped }, 5000);
        };
        note("192.0.2.0/24", 11, 9);
        note("198.51.100.0/24", 20, 0);
        let both = "31 were dropped and 9 cut short since this was last said, to 2 ranges at least (192.0.2.0/24 198.51.100.0/24)";
        assert_eq!(floods.news(5001).as_deref(), Some(both));
        note("192.0.2.0/24", 3, 0);
        assert_eq!(floods.news(5002), None);
        let one =
            "3 were dropped and 0 cut short since this was last said, to 1 range at least (192.0.2.0/24)";
        assert_eq!(floods.news(70_000).as_deref(), Some(one));
        assert_eq!(floods.news(140_000), None);
        for n in 0..5 {
            note(&format!("10.0.{n}.0/24"), 0, 1);
        }
        let some = floods.news(140_000).unwrap();
        assert!(some.ends_with("to 5 ranges at least (10.0.0.0/24 10.0.1.0/24 10.0.2.0/24 …)"), "{some}");
        for n in 0..200 {
            note(&format!("10.0.{n}.0/24"), 0, 1);
        }
        let many = floods.news(210_000).unwrap();
        assert!(many.contains("200 cut short") && many.contains("to 64 ranges at least"), "{many}");
    }
}
