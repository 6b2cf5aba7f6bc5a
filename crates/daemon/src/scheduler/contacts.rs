//! What is known of primaries beyond their health, by all zones together: how far their clocks are off, why
//! they are down and who waits for them.

use std::collections::HashMap;
use std::time::Duration;

use secondo_lifecycle::Validity;
use secondo_wire::{Name, Reason};

use super::book::Reach;

/// Difference of clocks that an operator should see to before seals fail (RFC 8945 §5.2.3 fails them at 300 s).
pub(super) const SKEWED_SECONDS: u64 = 60;
/// How long the zones that wait for a primary gather before they are told of for the first time; doubled each time.
const FIRST_SUMMARY: Duration = Duration::from_secs(5);
/// The longest time between two such lines.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// So many of them are named.
const NAMED: usize = 3;

/// How far a primary's clock, `skew` seconds ahead of ours, is off.
pub(super) fn off_by(skew: i64) -> String {
    let side = if skew > 0 { "ahead of" } else { "behind" };
    format!("{} s {side} ours", skew.unsigned_abs())
}

/// The primaries, by how they are reached, of which there is something to know.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    known: HashMap<Reach, Contact>,
    /// Those for which zones wait that were not told of.
    gathering: Vec<Reach>,
}

/// One of them.
#[derive(Debug, Default)]
pub(super) struct Contact {
    /// Its clock minus ours, seconds, when that is worth a word.
    pub(super) skew: Option<i64>,
    pub(super) down: Option<Down>,
}

impl Contact {
    fn is_quiet(&self) -> bool {
        self.skew.is_none() && self.down.is_none()
    }
}

/// Why a primary is taken to be down.
#[derive(Debug)]
pub(super) struct Down {
    /// Since when, on the boot clock.
    pub(super) since: Duration,
    pub(super) reason: Reason,
    pub(super) detail: String,
    waiting: Waiting,
    /// When those who wait are told of.
    due: Duration,
    pause: Duration,
}

/// Zones that could not ask a dead primary since they were last told of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    /// Each with whether it is served: many ask more than once.
    zones: HashMap<Name, bool>,
    /// When the first of those expires that are, on the boot clock.
    first_expiry: Option<Duration>,
    named: Vec<Name>,
}

impl Waiting {
    /// In words, at `now` on the boot clock.
    pub(super) fn words(&self, now: Duration) -> String {
        let all = self.zones.len();
        let served = self.zones.values().filter(|is_served| **is_served).count();
        let names: Vec<String> = self.named.iter().map(ToString::to_string).collect();
        let more = if all > names.len() { " …" } else { "" };
        let zones = if all == 1 { "zone waits" } else { "zones wait" };
        let mut words = format!("{all} {zones} for it ({}{more})", names.join(" "));
        if served > 0 {
            let left = self.first_expiry.map_or(0, |at| at.saturating_sub(now).as_secs());
            words += &format!("; {served} served, the first expires in {left} s");
        }
        if served < all {
            words += &format!("; {} not served", all - served);
        }
        words
    }
}

impl Contacts {
    /// What is known of a primary.
    pub(super) fn of(&self, reach: Reach) -> Option<&Contact> {
        self.known.get(&reach)
    }

    /// Whether some clock is off.
    pub(super) fn any_skewed(&self) -> bool {
        self.known.values().any(|contact| contact.skew.is_some())
    }

    /// A seal told how far a clock is from ours: whether that is worth a line, once until they agree again.
    pub(super) fn clock_differs(&mut self, reach: Reach, skew: i64) -> bool {
        if skew.unsigned_abs() < SKEWED_SECONDS {
            if let Some(contact) = self.known.get_mut(&reach) {
                contact.skew = None;
            }
            self.tidy(reach);
            return false;
        }
        self.known.entry(reach).or_default().skew.replace(skew).is_none()
    }

    /// An attempt at a silent primary failed so: what is kept as the cause, once it is down.
    pub(super) fn is_down(&mut self, reach: Reach, reason: Reason, detail: &str, now: Duration) {
        let contact = self.known.entry(reach).or_default();
        let known = contact.down.get_or_insert_with(|| Down {
            since: now,
            reason,
            detail: String::new(),
            waiting: Waiting::default(),
            due: now.saturating_add(FIRST_SUMMARY),
            pause: FIRST_SUMMARY,
        });
        (known.reason, known.detail) = (reason, detail.to_string());
    }

    /// It answers again.
    pub(super) fn is_up(&mut self, reach: Reach) {
        if let Some(contact) = self.known.get_mut(&reach) {
            contact.down = None;
        }
        self.tidy(reach);
    }

    /// A zone could not ask, since the primary is down.
    pub(super) fn waits(&mut self, reach: Reach, zone: &Name, validity: Validity) {
        let Some(down) = self.known.get_mut(&reach).and_then(|contact| contact.down.as_mut()) else {
            return;
        };
        let waiting = &mut down.waiting;
        if waiting.zones.is_empty() {
            self.gathering.push(reach);
        }
        let until = match validity {
            Validity::Current { until, .. } => Some(until),
            Validity::Empty | Validity::Expired { .. } => None,
        };
        waiting.first_expiry = waiting.first_expiry.into_iter().chain(until).min();
        if waiting.zones.insert(zone.clone(), until.is_some()).is_none() && waiting.named.len() < NAMED {
            waiting.named.push(zone.clone());
        }
    }

    /// The primaries whose waiting zones are to be told of now.
    pub(super) fn due(&mut self, now: Duration) -> Vec<(Reach, Waiting)> {
        let mut due = Vec::new();
        let known = &mut self.known;
        self.gathering.retain(|reach| {
            let Some(down) = known.get_mut(reach).and_then(|contact| contact.down.as_mut()) else {
                return false;
            };
            if now < down.due {
                return true;
            }
            down.pause = (down.pause * 2).min(LONGEST_PAUSE);
            down.due = now.saturating_add(down.pause);
            due.push((*reach, std::mem::take(&mut down.waiting)));
            false
        });
        due
    }

    /// No zone has it any more.
    pub(super) fn forget(&mut self, reach: Reach) {
        self.known.remove(&reach);
    }

    fn tidy(&mut self, reach: Reach) {
        if self.known.get(&reach).is_some_and(|contact| contact.is_quiet()) {
            self.known.remove(&reach);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::book::Carrier;

    const fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn hidden() -> Reach {
        Reach { address: ([192, 0, 2, 1], 53).into(), carrier: Carrier(0) }
    }

    fn zone(n: usize) -> Name {
        format!("z{n}.test.").parse().unwrap()
    }

    #[test]
    fn ten_thousand_zones_that_wait_for_one_primary_are_one_line_and_then_ever_fewer() {
        let mut contacts = Contacts::default();
        contacts.is_down(hidden(), Reason::Timeout, "no answer", seconds(0));
        let mut lines = 0;
        for second in 0..3600 {
            for n in 0..3 {
                let validity = Validity::Current { until: seconds(90_000 + n), life: seconds(86_400) };
                contacts.waits(hidden(), &zone(n as usize), validity);
            }
            lines += contacts.due(seconds(second)).len();
        }
        assert!((5..16).contains(&lines), "{lines}");
    }

    #[test]
    fn those_who_wait_are_counted_by_whether_they_are_served() {
        let mut contacts = Contacts::default();
        let current = |until| Validity::Current { until: seconds(until), life: seconds(100) };
        contacts.waits(hidden(), &zone(0), Validity::Empty);
        assert!(contacts.due(seconds(99)).is_empty(), "it is not down");
        contacts.is_down(hidden(), Reason::Timeout, "", seconds(100));
        for n in 0..9 {
            contacts.waits(hidden(), &zone(n), current(500 - n as u64));
        }
        // Who asks again is one zone still, and what it is by then.
        contacts.waits(hidden(), &zone(9), current(900));
        contacts.waits(hidden(), &zone(9), Validity::Empty);
        contacts.waits(hidden(), &zone(3), current(497));
        assert!(contacts.due(seconds(104)).is_empty(), "they gather first");
        let due = contacts.due(seconds(105));
        assert_eq!(
            due[0].1.words(seconds(105)),
            "10 zones wait for it (z0.test. z1.test. z2.test. …); 9 served, the first expires in 387 s; 1 not served"
        );
        assert!(contacts.due(seconds(9999)).is_empty(), "nobody waits any more");
        contacts.is_up(hidden());
        assert!(contacts.of(hidden()).is_none());
    }

    #[test]
    fn a_clock_that_differs_is_news_until_it_agrees_again() {
        let mut contacts = Contacts::default();
        assert!(!contacts.clock_differs(hidden(), 59));
        assert!(contacts.of(hidden()).is_none());
        assert!(contacts.clock_differs(hidden(), -61) && !contacts.clock_differs(hidden(), -62));
        assert_eq!(contacts.of(hidden()).and_then(|contact| contact.skew), Some(-62));
        assert!(!contacts.clock_differs(hidden(), 0) && contacts.of(hidden()).is_none());
        assert!(contacts.clock_differs(hidden(), 61));
    }
}
