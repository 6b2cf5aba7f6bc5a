//! Answers that were not whole, by what a zone holds: counted without waiting, said now and then.

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
/// How many kinds there are.
const KINDS: usize = 4;
/// Of these, the one that is the operator's choice.
const ITERATIONS: usize = 1;

/// Those since the start.
#[derive(Debug, Default)]
pub(crate) struct Flaws {
    /// Without a proof; without one because of too many iterations; failures by another's hash; too large.
    counts: [AtomicU64; KINDS],
    /// Of the last, milliseconds since boot.
    at: AtomicU64,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    /// The zone of the last. A thread that answers never waits to set it.
    zone: Option<Name>,
    counts: [u64; KINDS],
    quiet_until: u64,
}

impl Flaws {
    /// Counts those of a batch.
    pub(crate) fn note(&self, flawed: Flawed, boot_ms: u64) {
        let news = [flawed.unproved, flawed.iterations, flawed.collided, flawed.too_large];
        self.counts.iter().zip(news).for_each(|(count, news)| _ = count.fetch_add(news, Relaxed));
        self.at.store(boot_ms, Relaxed);
        if let Ok(mut said) = self.said.try_lock() {
            said.zone = Some(flawed.zone);
        }
    }

    /// Says what was counted since it was last said; not too often.
    pub(crate) fn look(&self, boot_ms: u64) {
        if let Some((zone, news)) = self.news(boot_ms) {
            let said = match has_faults(news) {
                true => "answers were not whole, by fault of what a zone holds",
                false => "answers went without proofs, as `nsec3-iterations` says",
            };
            let detail =
                format!("{} since this was last said, the last of this zone; {}", told(news), advice(news));
            let event = Event::new("query.limited", said);
            Event { zone: zone.as_ref(), detail: Some(&detail), ..event }.warn();
        }
    }

    /// What status tells of it: all since the start, if the last was within the hour.
    pub(crate) fn problem(&self, boot_ms: u64) -> Option<ServerProblem> {
        let all = self.all();
        let ago = boot_ms.saturating_sub(self.at.load(Relaxed));
        if all == [0; KINDS] || ago >= SHOWN {
            return None;
        }
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let of = said.zone.as_ref().map_or_else(String::new, |zone| format!(" of {zone}"));
        let detail =
            format!("{}; the last{of} {} minutes ago or less; {}", told(all), ago / 60_000 + 1, advice(all));
        Some(ServerProblem { code: "answers-flawed".into(), detail })
    }

    fn all(&self) -> [u64; KINDS] {
        array::from_fn(|at| self.counts[at].load(Relaxed))
    }

    /// The zone of the last, and how many there were since this was last asked.
    fn news(&self, boot_ms: u64) -> Option<(Option<Name>, [u64; KINDS])> {
        let all = self.all();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if all == said.counts || boot_ms < said.quiet_until {
            return None;
        }
        let news = array::from_fn(|at| all[at].saturating_sub(said.counts[at]));
        (said.counts, said.quiet_until) = (all, boot_ms.saturating_add(QUIET));
        Some((said.zone.clone(), news))
    }
}

/// Whether some are a zone's fault.
fn has_faults(counts: [u64; KINDS]) -> bool {
    counts.iter().enumerate().any(|(kind, count)| kind != ITERATIONS && *count > 0)
}

/// What to do.
fn advice(counts: [u64; KINDS]) -> String {
    let mend = "`secondo explain` tells where the zone comes from: mend it there";
    let raise =
        "raise `limits: nsec3-iterations`, or have the zone signed with fewer: best with 0 (RFC 9276 §3.1)";
    let due = [(has_faults(counts), mend), (counts[ITERATIONS] > 0, raise)];
    due.into_iter().filter(|(due, _)| *due).map(|(_, what)| what).collect::<Vec<_>>().join("; ")
}

/// Numbers in words; what is none is left out.
fn told(counts: [u64; KINDS]) -> String {
    let words = [
        "without the proof that was asked for",
        "without it because the zone's NSEC3 chain has more iterations than `nsec3-iterations` (validators whose \
         own limit is higher, BIND 9.18 and Unbound: 150, find such answers bogus)",
        "SERVFAIL because an NSEC3 record has the hash of a name that does not exist",
        "SERVFAIL because no message has room for them",
    ];
    let some = counts.iter().zip(words).filter(|(count, _)| **count > 0);
    some.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flawed(zone: &str, [unproved, iterations, collided, too_large]: [u64; KINDS]) -> Flawed {
        Flawed { zone: zone.parse().unwrap(), unproved, iterations, collided, too_large }
    }

    #[test]
    fn flaws_are_said_once_a_minute_with_the_last_zone_and_shown_for_an_hour() {
        let flaws = Flaws::default();
        assert_eq!((flaws.news(1000), flaws.problem(1000)), (None, None));
        flaws.note(flawed("a.example.", [3, 0, 0, 0]), 2000);
        flaws.note(flawed("b.example.", [1, 0, 0, 2]), 2001);
        let (zone, news) = flaws.news(2002).unwrap();
        let detail = told(news);
        assert_eq!(zone.unwrap().to_string(), "b.example.");
        let both = "4 without the proof that was asked for, 2 SERVFAIL because no message has room for them";
        assert!(detail.starts_with(both), "{detail}");
        flaws.note(flawed("a.example.", [0, 0, 5, 0]), 3000);
        assert_eq!(flaws.news(2002 + QUIET - 1), None);
        let (zone, news) = flaws.news(2002 + QUIET).unwrap();
        let detail = told(news);
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

    #[test]
    fn a_limit_of_iterations_is_told_as_the_operators_choice() {
        let flaws = Flaws::default();
        flaws.note(flawed("a.example.", [0, 7, 0, 0]), 1000);
        let detail = flaws.problem(1000).unwrap().detail;
        assert!(
            detail.starts_with("7 without it because") && detail.contains("raise `limits: nsec3-iterations`")
        );
        assert!(!detail.contains("mend it there") && !has_faults([0, 7, 0, 0]), "{detail}");
        flaws.note(flawed("a.example.", [1, 0, 0, 0]), 1000);
        let detail = flaws.problem(1000).unwrap().detail;
        assert!(detail.contains("mend it there; raise"), "{detail}");
        assert!(has_faults([1, 7, 0, 0]) && advice([1, 0, 0, 0]).ends_with("mend it there"));
    }
}
