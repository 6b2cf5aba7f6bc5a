//! Answers that were not whole by fault of what a zone holds: counted without waiting, said now and then.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use secondo_answer::Flawed;
use secondo_wire::Name;

use crate::control::ServerProblem;
use crate::event::Event;

/// How long nothing more is said, milliseconds.
const QUIET: u64 = 60_000;
/// How long status tells of it, milliseconds.
const SHOWN: u64 = 3_600_000;
const ADVICE: &str = "`secondo explain` tells where the zone comes from: mend it there";

/// Those since the start.
#[derive(Debug, Default)]
pub(crate) struct Flaws {
    /// Without a proof; failures by another's hash; too large.
    counts: [AtomicU64; 3],
    /// Of the last, milliseconds since boot.
    at: AtomicU64,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    /// The zone of the last. A thread that answers never waits to set it.
    zone: Option<Name>,
    counts: [u64; 3],
    quiet_until: u64,
}

impl Flaws {
    /// Counts those of a batch.
    pub(crate) fn note(&self, flawed: Flawed, boot_ms: u64) {
        let news = [flawed.unproved, flawed.collided, flawed.too_large];
        self.counts.iter().zip(news).for_each(|(count, news)| _ = count.fetch_add(news, Relaxed));
        self.at.store(boot_ms, Relaxed);
        if let Ok(mut said) = self.said.try_lock() {
            said.zone = Some(flawed.zone);
        }
    }

    /// Says what was counted since it was last said; not too often.
    pub(crate) fn look(&self, boot_ms: u64) {
        if let Some((zone, detail)) = self.news(boot_ms) {
            let event = Event::new("query.limited", "answers were not whole, by fault of what a zone holds");
            Event { zone: zone.as_ref(), detail: Some(&detail), ..event }.warn();
        }
    }

    /// What status tells of it: all since the start, if the last was within the hour.
    pub(crate) fn problem(&self, boot_ms: u64) -> Option<ServerProblem> {
        let all = self.all();
        let ago = boot_ms.saturating_sub(self.at.load(Relaxed));
        if all == [0; 3] || ago >= SHOWN {
            return None;
        }
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let of = said.zone.as_ref().map_or_else(String::new, |zone| format!(" of {zone}"));
        let detail =
            format!("{}; the last{of} {} minutes ago or less; {ADVICE}", told(all), ago / 60_000 + 1);
        Some(ServerProblem { code: "answers-flawed".into(), detail })
    }

    fn all(&self) -> [u64; 3] {
        array::from_fn(|at| self.counts[at].load(Relaxed))
    }

    fn news(&self, boot_ms: u64) -> Option<(Option<Name>, String)> {
        let all = self.all();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if all == said.counts || boot_ms < said.quiet_until {
            return None;
        }
        let news = array::from_fn(|at| all[at].saturating_sub(said.counts[at]));
        (said.counts, said.quiet_until) = (all, boot_ms.saturating_add(QUIET));
        Some((
            said.zone.clone(),
            format!("{} since this was last said, the last of this zone; {ADVICE}", told(news)),
        ))
    }
}

/// Numbers in words; what is none is left out.
fn told(counts: [u64; 3]) -> String {
    let words = [
        "without the proof that was asked for",
        "SERVFAIL because an NSEC3 record has the hash of a name that does not exist",
        "SERVFAIL because no message has room for them",
    ];
    let some = counts.iter().zip(words).filter(|(count, _)| **count > 0);
    some.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flawed(zone: &str, [unproved, collided, too_large]: [u64; 3]) -> Flawed {
        Flawed { zone: zone.parse().unwrap(), unproved, collided, too_large }
    }

    #[test]
    fn flaws_are_said_once_a_minute_with_the_last_zone_and_shown_for_an_hour() {
        let flaws = Flaws::default();
        assert_eq!((flaws.news(1000), flaws.problem(1000)), (None, None));
        flaws.note(flawed("a.example.", [3, 0, 0]), 2000);
        flaws.note(flawed("b.example.", [1, 0, 2]), 2001);
        let (zone, detail) = flaws.news(2002).unwrap();
        assert_eq!(zone.unwrap().to_string(), "b.example.");
        let both = "4 without the proof that was asked for, 2 SERVFAIL because no message has room for them";
        assert!(detail.starts_with(both), "{detail}");
        flaws.note(flawed("a.example.", [0, 5, 0]), 3000);
        assert_eq!(flaws.news(2002 + QUIET - 1), None);
        let (zone, detail) = flaws.news(2002 + QUIET).unwrap();
        assert_eq!(zone.unwrap().to_string(), "a.example.");
        assert!(detail.starts_with("5 SERVFAIL because an NSEC3 record"), "{detail}");
        assert_eq!(flaws.news(2002 + 5 * QUIET), None);
        let problem = flaws.problem(3000 + 2 * 60_000).unwrap();
        assert_eq!(problem.code, "answers-flawed");
        assert!(
            problem.detail.starts_with("4 without") && problem.detail.contains("of a.example. 3 minutes")
        );
        assert_eq!(flaws.problem(3000 + SHOWN), None);
    }
}
