//! Answers that were not whole, by what a zone holds.

use std::sync::{Mutex, PoisonError};

use secondo_answer::{Flaw, FlawCounts, Flawed};
use secondo_wire::Name;

use crate::control::ServerProblem;
use crate::event::Event;
use crate::tally::Tally;

/// Those since the start.
#[derive(Debug, Default)]
pub(crate) struct Flaws {
    tally: Tally<{ Flaw::ALL.len() }>,
    /// The zone of the last. A thread that answers never waits to set it.
    zone: Mutex<Option<Name>>,
}

impl Flaws {
    /// Counts those of a batch.
    pub(crate) fn note(&self, flawed: Flawed, boot_ms: u64) {
        self.tally.note(flawed.counts, boot_ms);
        if let Ok(mut zone) = self.zone.try_lock() {
            *zone = Some(flawed.zone);
        }
    }

    /// Says what was counted since it was last said; not too often.
    pub(crate) fn look(&self, boot_ms: u64) {
        if let Some(news) = self.tally.news(boot_ms) {
            let said = match has_faults(news) {
                true => "answers were not whole, by fault of what a zone holds",
                false => "answers went without proofs, as `nsec3-iterations` says",
            };
            let detail =
                format!("{} since this was last said, the last of this zone; {}", told(news), advice(news));
            let event = Event::new("query.limited", said);
            Event { zone: self.zone().as_ref(), detail: Some(&detail), ..event }.warn();
        }
    }

    /// What status tells of it.
    pub(crate) fn problem(&self, boot_ms: u64) -> Option<ServerProblem> {
        let (all, when) = self.tally.shown(boot_ms)?;
        let of = self.zone().map_or_else(String::new, |zone| format!(" of {zone}"));
        let detail = format!("{}; the last{of} {when}; {}", told(all), advice(all));
        Some(ServerProblem { code: "answers-flawed".into(), detail })
    }

    fn zone(&self) -> Option<Name> {
        self.zone.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The flaws that there are, each with how many.
fn some(counts: FlawCounts) -> impl Iterator<Item = (Flaw, u64)> {
    Flaw::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0)
}

/// Whether some are a zone's fault, not the operator's choice.
fn has_faults(counts: FlawCounts) -> bool {
    some(counts).any(|(flaw, _)| flaw != Flaw::Iterations)
}

/// What to do.
fn advice(counts: FlawCounts) -> String {
    let mend = "`secondo explain` tells where the zone comes from: mend it there";
    let raise =
        "raise `limits: nsec3-iterations`, or have the zone signed with fewer: best with 0 (RFC 9276 §3.1)";
    let has_many = some(counts).any(|(flaw, _)| flaw == Flaw::Iterations);
    let due = [(has_faults(counts), mend), (has_many, raise)];
    due.into_iter().filter(|(due, _)| *due).map(|(_, what)| what).collect::<Vec<_>>().join("; ")
}

/// Numbers in words; what is none is left out.
fn told(counts: FlawCounts) -> String {
    let words = |flaw| match flaw {
        Flaw::Unproved => "without the proof that was asked for",
        Flaw::Iterations => {
            "without it because the zone's NSEC3 chain has more iterations than `nsec3-iterations` (validators whose \
             own limit is higher, BIND 9.18 and Unbound: 150, find such answers bogus)"
        }
        Flaw::Collided => "SERVFAIL because an NSEC3 record has the hash of a name that does not exist",
        Flaw::TooLarge => "SERVFAIL because no message has room for them",
    };
    some(counts).map(|(flaw, count)| format!("{count} {}", words(flaw))).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flawed(zone: &str, counts: FlawCounts) -> Flawed {
        Flawed { zone: zone.parse().unwrap(), counts }
    }

    #[test]
    fn flaws_are_told_by_their_kinds_with_the_last_zone() {
        let flaws = Flaws::default();
        assert_eq!(flaws.problem(1000), None);
        flaws.note(flawed("b.example.", [3, 0, 0, 2]), 2000);
        flaws.note(flawed("a.example.", [1, 0, 5, 0]), 2001);
        let all = "4 without the proof that was asked for, 5 SERVFAIL because an NSEC3 record has the hash of a name that \
                   does not exist, 2 SERVFAIL because no message has room for them";
        assert_eq!(told(flaws.tally.news(2002).unwrap()), all);
        let ServerProblem { code, detail } = flaws.problem(2001 + 2 * 60_000).unwrap();
        assert_eq!(code, "answers-flawed");
        assert!(
            detail.starts_with(&format!("{all}; the last of a.example. 2m ago; `secondo explain`")),
            "{detail}"
        );
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
