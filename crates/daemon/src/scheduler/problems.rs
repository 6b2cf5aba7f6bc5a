//! Which zones need a person, and why.

use std::time::Duration;

use secondo_lifecycle::{Now, Validity};

use super::Scheduler;
use super::trouble::Behind;
use super::zones::Zone;
use crate::control::{Problem, ZoneStatus};

/// So many times in a row IXFR may fail before a person should look.
const IXFR_FAILS: u32 = 2;
/// So long a newer version may take to come.
const LATE: Duration = Duration::from_secs(300);

impl Scheduler {
    /// A zone's state, with what only all zones together know.
    pub(super) fn status_of(&self, zone: &Zone, now: Now) -> ZoneStatus {
        let mut status = zone.status(now);
        let skewed = |reach| self.contacts.of(reach).is_some_and(|contact| contact.skew.is_some());
        if self.contacts.any_skewed() && self.book.reaches(zone.machine.settings()).any(skewed) {
            status.problems.push(Problem::ClockSkewed.code().into());
        }
        status
    }
}

impl Zone {
    /// What needs a person: codes of [`Problem`], and of reasons that do not go away by themselves.
    pub(super) fn problems(&self, now: Duration) -> Vec<String> {
        let mut problems = Vec::new();
        match self.machine.validity() {
            Validity::Empty => problems.push(Problem::NeverLoaded),
            Validity::Current { until, .. } if until <= now => problems.push(Problem::Expired),
            // A long REFRESH may take half of a zone's life without anything being wrong.
            Validity::Current { until, life } => {
                let failed = self.machine.last_failure().is_some();
                problems.extend((failed && until - now < life / 2).then_some(Problem::Expiring));
            }
            Validity::Expired { .. } => problems.push(Problem::Expired),
        }
        let late = |behind: Behind| now.saturating_sub(behind.since) >= LATE;
        problems.extend(self.behind().is_some_and(late).then_some(Problem::Behind));
        problems.extend(self.facts.volatile.then_some(Problem::NotDurable));
        let trouble = self.facts.trouble.as_deref();
        let ixfr = trouble.and_then(|trouble| trouble.ixfr());
        let broken = ixfr.is_some_and(|ixfr| ixfr.times >= IXFR_FAILS && !ixfr.reason.is_incapacity());
        problems.extend(broken.then_some(Problem::IxfrBroken));
        let mut codes: Vec<String> = problems.into_iter().map(|problem| problem.code().into()).collect();
        for failed in trouble.map(|trouble| trouble.tries()).unwrap_or_default() {
            let code = failed.reason.code();
            if failed.reason.needs_person() && !codes.iter().any(|known| known == code) {
                codes.push(code.into());
            }
        }
        codes
    }
}
