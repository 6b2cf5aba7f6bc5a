//! What a zone remembers of each of its primaries: only what went wrong, so a zone in good health remembers nothing.

use std::time::Duration;

use secondo_wire::{Class, Reason, Serial};

use crate::Settings;
use crate::backoff::{Dice, delay};
use crate::event::Failure;
use crate::timers::Intervals;

/// How long a primary that said NOTIMP or FORMERR to IXFR is not asked for it.
const NO_IXFR: Duration = Duration::from_secs(86_400);

/// A zone's memory, by place in [`Settings::primaries`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory(Option<Box<[Record]>>);

/// What is remembered of one primary. Moments are on the boot clock.
#[derive(Clone, Copy, Debug, Default)]
struct Record {
    /// Its turn comes at this moment.
    not_before: Duration,
    /// Rounds in a row that failed in the same class.
    failures: u8,
    /// Why the last one failed.
    reason: Option<Reason>,
    /// A version that is not to be fetched again for a while.
    unfit: Option<Unfit>,
    /// Whether IXFR is asked.
    ixfr: Ixfr,
}

#[derive(Clone, Copy, Debug)]
struct Unfit {
    serial: Serial,
    reason: Reason,
    until: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ixfr {
    #[default]
    Asked,
    /// Until another version is served.
    NotForThisChange,
    /// Until this moment.
    NotUntil(Duration),
}

impl Memory {
    fn record(&self, primary: usize) -> Option<&Record> {
        self.0.as_ref()?.get(primary)
    }

    fn record_mut(&mut self, primary: usize, settings: &Settings) -> &mut Record {
        let all = self
            .0
            .get_or_insert_with(|| vec![Record::default(); settings.primaries().len()].into_boxed_slice());
        all.get_mut(primary).expect("a memory has a record for each primary of the settings")
    }

    /// Whether the primary's turn has come.
    pub(crate) fn due(&self, primary: usize, now: Duration) -> bool {
        self.record(primary).is_none_or(|r| r.not_before <= now)
    }

    /// The moment at which the turn of one of the primaries comes.
    pub(crate) fn earliest(&self) -> Duration {
        self.0.iter().flat_map(|all| all.iter()).map(|r| r.not_before).min().unwrap_or_default()
    }

    /// Notes that the primary failed in a round.
    pub(crate) fn failed(
        &mut self,
        primary: usize,
        failure: Failure,
        now: Duration,
        settings: &Settings,
        intervals: Intervals,
        dice: &mut Dice,
    ) {
        let class = failure.reason.class();
        let record = self.record_mut(primary, settings);
        // Asked out of its turn, by a NOTIFY or an operator: the schedule stands, or a flood of NOTIFYs could drive
        // the backoff to its bound.
        let in_turn = record.not_before <= now;
        let again = record.reason.is_some_and(|r| r.class() == class);
        let failures = if !again { 1 } else { record.failures.saturating_add(u8::from(in_turn)) };
        let wait = delay(class, failures, settings, intervals, dice);
        record.failures = failures;
        record.reason = Some(failure.reason);
        if in_turn {
            record.not_before = now.saturating_add(wait).max(failure.again.unwrap_or_default());
        }
        match class {
            // The same version would only fail again: it is not fetched there for as long as the wait is.
            Class::Malformed | Class::Rejected => {
                if let Some(serial) = failure.serial {
                    let until = now.saturating_add(wait);
                    record.unfit = Some(Unfit { serial, reason: failure.reason, until });
                }
                if class == Class::Rejected && record.ixfr == Ixfr::Asked {
                    // Differences applied to a copy that has drifted are rejected for ever; a whole zone heals that.
                    record.ixfr = Ixfr::NotForThisChange;
                }
            }
            _ => {}
        }
    }

    /// Why the version is not to be fetched from the primary now.
    pub(crate) fn unfit(&self, primary: usize, serial: Serial, now: Duration) -> Option<Reason> {
        let unfit = self.record(primary)?.unfit?;
        (unfit.serial == serial && now < unfit.until).then_some(unfit.reason)
    }

    /// Whether some version of the primary was found unfit and its time is not over.
    pub(crate) fn has_unfit(&self, primary: usize, now: Duration) -> bool {
        self.record(primary).and_then(|r| r.unfit).is_some_and(|u| now < u.until)
    }

    /// The primary vouched for our version: its failures are over.
    pub(crate) fn succeeded(&mut self, primary: usize) {
        if let Some(record) = self.0.as_mut().and_then(|all| all.get_mut(primary)) {
            *record = Record { ixfr: record.ixfr, ..Record::default() };
        }
        self.forget_if_empty();
    }

    /// Another version is served: what held for the last change holds no longer.
    pub(crate) fn changed(&mut self) {
        for record in self.0.iter_mut().flat_map(|all| all.iter_mut()) {
            if record.ixfr == Ixfr::NotForThisChange {
                record.ixfr = Ixfr::Asked;
            }
        }
        self.forget_if_empty();
    }

    /// All have their turn now, and their backoff begins anew.
    pub(crate) fn reset_backoff(&mut self) {
        for record in self.0.iter_mut().flat_map(|all| all.iter_mut()) {
            (record.not_before, record.failures, record.reason) = (Duration::ZERO, 0, None);
        }
        self.forget_if_empty();
    }

    /// Those that were lost by the network have their turn now. True when there was one among `primaries` (bits).
    pub(crate) fn network_is_back(&mut self, primaries: u64) -> bool {
        let mut any = false;
        for (i, record) in self.0.iter_mut().flat_map(|all| all.iter_mut()).enumerate() {
            let lost = record.reason.is_some_and(|r| r.class() == Class::Network);
            if lost && primaries & 1 << i != 0 {
                record.not_before = Duration::ZERO;
                any = true;
            }
        }
        any
    }

    /// IXFR could not be had from the primary.
    pub(crate) fn bar_ixfr(&mut self, primary: usize, reason: Reason, now: Duration, settings: &Settings) {
        self.record_mut(primary, settings).ixfr = match reason {
            Reason::IxfrNotImplemented | Reason::IxfrFormatError => {
                Ixfr::NotUntil(now.saturating_add(NO_IXFR))
            }
            _ => Ixfr::NotForThisChange,
        };
    }

    /// Whether IXFR is worth asking.
    pub(crate) fn ixfr(&self, primary: usize, now: Duration) -> bool {
        match self.record(primary).map_or(Ixfr::Asked, |r| r.ixfr) {
            Ixfr::Asked => true,
            Ixfr::NotForThisChange => false,
            Ixfr::NotUntil(until) => now >= until,
        }
    }

    /// The memory for new settings: what is known of primaries whose definition stays is kept.
    pub(crate) fn carried_over(&self, old: &Settings, new: &Settings) -> Memory {
        let Some(records) = &self.0 else { return Memory::default() };
        let kept = new.primaries().iter().map(|primary| {
            let place = old.primaries().iter().position(|p| p.id == primary.id);
            place.and_then(|i| records.get(i)).copied().unwrap_or_default()
        });
        let mut memory = Memory(Some(kept.collect()));
        memory.forget_if_empty();
        memory
    }

    fn forget_if_empty(&mut self) {
        let blank = |r: &Record| {
            r.not_before == Duration::ZERO && r.reason.is_none() && r.unfit.is_none() && r.ixfr == Ixfr::Asked
        };
        if self.0.as_ref().is_some_and(|all| all.iter().all(blank)) {
            self.0 = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bounds, Primary, PrimaryId};

    const fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    const INTERVALS: Intervals =
        Intervals { refresh: seconds(7200), retry: seconds(400), silence: seconds(400) };

    fn settings(ids: &[u32]) -> Settings {
        let bounds = |min, max| Bounds::new(seconds(min), seconds(max)).unwrap();
        let addresses = vec!["192.0.2.1:53".parse().unwrap()];
        let primaries = ids
            .iter()
            .map(|id| Primary { id: PrimaryId(*id), addresses: addresses.clone(), ixfr: true })
            .collect();
        Settings::new(bounds(60, 86_400), bounds(10, 3600), bounds(3600, 86_400 * 60), primaries).unwrap()
    }

    fn fail(memory: &mut Memory, primary: usize, failure: Failure, now: Duration) {
        memory.failed(primary, failure, now, &settings(&[1, 2]), INTERVALS, &mut Dice(1));
    }

    #[test]
    fn a_success_leaves_nothing_to_remember() {
        let mut memory = Memory::default();
        fail(&mut memory, 1, Reason::Refused.into(), seconds(10));
        assert!(memory.due(0, seconds(10)) && !memory.due(1, seconds(10)));
        memory.succeeded(1);
        assert!(memory.0.is_none());
    }

    #[test]
    fn a_failure_out_of_turn_leaves_the_schedule_as_it_was() {
        let mut memory = Memory::default();
        fail(&mut memory, 0, Reason::Timeout.into(), seconds(0));
        let turn = memory.record(0).unwrap().not_before;
        for _ in 0..100 {
            fail(&mut memory, 0, Reason::Timeout.into(), seconds(1));
        }
        assert_eq!(memory.record(0).unwrap().not_before, turn);
        assert_eq!(memory.record(0).unwrap().failures, 1);
    }

    #[test]
    fn a_failure_of_another_class_begins_its_own_backoff() {
        let mut memory = Memory::default();
        for n in 0..5 {
            fail(&mut memory, 0, Reason::Timeout.into(), seconds(10_000 * n));
        }
        fail(&mut memory, 0, Reason::Refused.into(), seconds(90_000));
        assert!(memory.due(0, seconds(90_000 + 400)));
    }

    #[test]
    fn the_health_of_the_address_can_put_the_turn_off() {
        let mut memory = Memory::default();
        let failure = Failure::from(Reason::PrimaryDown).until(seconds(5000));
        fail(&mut memory, 0, failure, seconds(0));
        assert_eq!(memory.record(0).unwrap().not_before, seconds(5000));
    }

    #[test]
    fn ixfr_is_barred_for_a_day_after_notimp_and_until_the_next_change_otherwise() {
        let (mut memory, settings) = (Memory::default(), settings(&[1, 2]));
        memory.bar_ixfr(0, Reason::IxfrNotImplemented, seconds(0), &settings);
        memory.bar_ixfr(1, Reason::IxfrBrokenChain, seconds(0), &settings);
        assert!(!memory.ixfr(0, seconds(86_399)) && !memory.ixfr(1, seconds(86_400 * 9)));
        memory.succeeded(0);
        memory.changed();
        assert!(!memory.ixfr(0, seconds(86_399)) && memory.ixfr(0, seconds(86_400)));
        assert!(memory.ixfr(1, seconds(0)));
    }

    #[test]
    fn an_unfit_version_is_known_by_its_serial_until_its_time_is_over() {
        let mut memory = Memory::default();
        fail(&mut memory, 0, Failure::from(Reason::NoApexNs).of_serial(Serial(7)), seconds(0));
        assert_eq!(memory.unfit(0, Serial(7), seconds(5000)), Some(Reason::NoApexNs));
        assert_eq!(memory.unfit(0, Serial(8), seconds(5000)), None);
        assert_eq!(memory.unfit(0, Serial(7), seconds(7200)), None);
        assert_eq!(memory.unfit(1, Serial(7), seconds(0)), None);
    }

    #[test]
    fn new_settings_keep_what_is_known_of_primaries_that_stay() {
        let mut memory = Memory::default();
        fail(&mut memory, 1, Reason::Refused.into(), seconds(10));
        let moved = memory.carried_over(&settings(&[1, 2]), &settings(&[2, 3]));
        assert!(!moved.due(0, seconds(10)) && moved.due(1, seconds(10)));
        assert!(memory.carried_over(&settings(&[1, 2]), &settings(&[1, 3])).0.is_none());
    }
}
