//! What a zone remembers of its primaries: what went wrong, and what worked instead. A zone in good health remembers
//! nothing, and nothing is remembered for ever.

use std::time::Duration;

use secondo_wire::{Class, Reason, Serial};

use crate::Settings;
use crate::backoff::{Dice, delay};
use crate::event::Failure;
use crate::timers::Intervals;

/// How long a primary that said NOTIMP or FORMERR to IXFR is not asked for it.
const NO_IXFR: Duration = Duration::from_secs(86_400);
/// How long what worked goes before what was lost by the network: such troubles pass.
const AFTER_LOSS: Duration = Duration::from_secs(3600);
/// How long it goes before what refused us or could not prove who it is: somebody has to mend that.
const AFTER_FAILURE: Duration = Duration::from_secs(86_400);

/// A zone's memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory(Option<Box<Known>>);

#[derive(Clone, Debug)]
struct Known {
    /// By place in [`Settings::primaries`].
    records: Box<[Record]>,
    good: Option<Good>,
}

/// What vouched for the zone when something before it, in the order of the settings, did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Good {
    place: Place,
    /// Until then it is asked first.
    until: Duration,
}

/// An address of a primary, by its place in the settings; in the order in which they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) primary: u8,
    pub(crate) address: u8,
}

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
    /// It sent a NOTIFY with a serial that it had not.
    boasted: bool,
}

impl Record {
    /// Nothing is held against the primary.
    fn is_blank(&self) -> bool {
        let good_health = self.not_before == Duration::ZERO && self.reason.is_none();
        good_health && self.unfit.is_none() && self.ixfr == Ixfr::Asked && !self.boasted
    }
}

#[derive(Clone, Copy, Debug)]
struct Unfit {
    serial: Serial,
    reason: Reason,
    until: Duration,
}

/// What failed in a round before something worked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Detour {
    /// Nothing.
    #[default]
    None,
    /// Something would not give us the zone, or cannot prove who it is: that does not pass by itself.
    Failed,
    /// Something by the network.
    Lost,
}

impl Detour {
    /// After one more failure. A primary whose version is no good stays in its place: its next one may be good and newer
    /// than all that others have.
    pub(crate) fn after(self, class: Class) -> Detour {
        match (self, class) {
            (Detour::Lost, _) | (_, Class::Network) => Detour::Lost,
            (_, Class::Refused | Class::Seal) => Detour::Failed,
            _ => self,
        }
    }
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
        self.0.as_ref()?.records.get(primary)
    }

    fn records_mut(&mut self) -> impl Iterator<Item = &mut Record> {
        self.0.iter_mut().flat_map(|known| known.records.iter_mut())
    }

    fn known_mut(&mut self, settings: &Settings) -> &mut Known {
        self.0.get_or_insert_with(|| {
            let records = vec![Record::default(); settings.primaries().len()].into_boxed_slice();
            Box::new(Known { records, good: None })
        })
    }

    fn record_mut(&mut self, primary: usize, settings: &Settings) -> &mut Record {
        let record = self.known_mut(settings).records.get_mut(primary);
        record.expect("a memory has a record for each primary of the settings")
    }

    /// Whether the primary's turn has come.
    pub(crate) fn due(&self, primary: usize, now: Duration) -> bool {
        self.record(primary).is_none_or(|r| r.not_before <= now)
    }

    /// The moment at which the turn of one of the primaries comes.
    pub(crate) fn earliest(&self) -> Duration {
        self.0.iter().flat_map(|known| known.records.iter()).map(|r| r.not_before).min().unwrap_or_default()
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
        let mut wait = delay(class, failures, settings, intervals, dice);
        // What is held for unfit is looked at again when that is over, however often it was found held meanwhile.
        let held = record.unfit.filter(|unfit| failure.serial.is_none() && unfit.reason == failure.reason);
        if let Some(unfit) = held.filter(|unfit| now < unfit.until) {
            wait = wait.min(unfit.until - now);
        }
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

    /// The primary vouched for our version at `place`: its failures are over. `instead_of`: the classes of what failed
    /// on the way there.
    pub(crate) fn succeeded(&mut self, place: Place, instead_of: Detour, now: Duration, settings: &Settings) {
        let preferred = match instead_of {
            Detour::None => None,
            Detour::Lost => Some(AFTER_LOSS),
            Detour::Failed => Some(AFTER_FAILURE),
        };
        if let Some(time) = preferred.filter(|_| place > Place { primary: 0, address: 0 }) {
            let until = now.saturating_add(time);
            self.known_mut(settings).good = Some(Good { place, until });
        }
        if let Some(known) = &mut self.0 {
            // What works and comes before it in the settings takes its place again.
            known.good = known.good.filter(|good| now < good.until && place >= good.place);
            if let Some(record) = known.records.get_mut(usize::from(place.primary)) {
                *record = Record { ixfr: record.ixfr, boasted: record.boasted, ..Record::default() };
            }
        }
        self.forget_if_empty();
    }

    /// What is asked before all that comes before it in the settings.
    pub(crate) fn good(&self, now: Duration) -> Option<Place> {
        let good = self.0.as_ref()?.good?;
        (now < good.until).then_some(good.place)
    }

    /// The primary sent a NOTIFY with a serial that it has not: those to come are no longer taken at their word.
    pub(crate) fn boasted(&mut self, primary: usize, settings: &Settings) {
        self.record_mut(primary, settings).boasted = true;
    }

    /// Whether nothing at all is held against the primary.
    pub(crate) fn is_trusted(&self, primary: usize) -> bool {
        self.record(primary).is_none_or(Record::is_blank)
    }

    /// Another version is served: what held for the last change holds no longer.
    pub(crate) fn changed(&mut self) {
        for record in self.records_mut() {
            if record.ixfr == Ixfr::NotForThisChange {
                record.ixfr = Ixfr::Asked;
            }
            record.boasted = false;
        }
        self.forget_if_empty();
    }

    /// All have their turn now, in the order of the settings, and their backoff begins anew.
    pub(crate) fn reset_backoff(&mut self) {
        for record in self.records_mut() {
            (record.not_before, record.failures, record.reason) = (Duration::ZERO, 0, None);
        }
        if let Some(known) = &mut self.0 {
            known.good = None;
        }
        self.forget_if_empty();
    }

    /// Those that were lost by the network have their turn now. True when there was one among `primaries` (bits).
    pub(crate) fn network_is_back(&mut self, primaries: u64) -> bool {
        let mut any = false;
        for (i, record) in self.records_mut().enumerate() {
            let lost = record.reason.is_some_and(|r| r.class() == Class::Network);
            if lost && primaries & 1 << i != 0 {
                record.not_before = Duration::ZERO;
                any = true;
            }
        }
        if any && let Some(known) = &mut self.0 {
            known.good =
                known.good.filter(|good| primaries.trailing_zeros() >= u32::from(good.place.primary));
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
        let Some(known) = &self.0 else { return Memory::default() };
        let kept = new.primaries().iter().map(|primary| {
            let place = old.primaries().iter().position(|p| p.id == primary.id);
            place.and_then(|i| known.records.get(i)).copied().unwrap_or_default()
        });
        // Which goes first is for the new settings to say.
        let mut memory = Memory(Some(Box::new(Known { records: kept.collect(), good: None })));
        memory.forget_if_empty();
        memory
    }

    fn forget_if_empty(&mut self) {
        let empty = |known: &Known| known.good.is_none() && known.records.iter().all(Record::is_blank);
        if self.0.as_deref().is_some_and(empty) {
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

    const INTERVALS: Intervals = Intervals {
        refresh: seconds(7200),
        retry: seconds(400),
        silence: seconds(400),
        refusal: seconds(3600),
    };

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

    fn works(memory: &mut Memory, (primary, address): (u8, u8), instead_of: Detour, now: Duration) {
        memory.succeeded(Place { primary, address }, instead_of, now, &settings(&[1, 2]));
    }

    #[test]
    fn a_success_leaves_nothing_to_remember() {
        let mut memory = Memory::default();
        fail(&mut memory, 1, Reason::Refused.into(), seconds(10));
        assert!(memory.due(0, seconds(10)) && !memory.due(1, seconds(10)));
        works(&mut memory, (1, 0), Detour::None, seconds(20));
        assert!(memory.0.is_none());
    }

    #[test]
    fn what_worked_goes_first_for_an_hour_or_a_day_by_what_failed_before_it() {
        for (class, time) in [(Class::Network, 3600), (Class::Refused, 86_400), (Class::Seal, 86_400)] {
            let mut memory = Memory::default();
            works(&mut memory, (1, 2), Detour::None.after(class), seconds(0));
            assert_eq!(memory.good(seconds(time - 1)), Some(Place { primary: 1, address: 2 }), "{class:?}");
            assert_eq!(memory.good(seconds(time)), None, "{class:?}");
            works(&mut memory, (1, 2), Detour::None, seconds(time - 1));
            assert_eq!(memory.good(seconds(time)), None, "success there does not prolong it");
        }
        assert_eq!(Detour::None.after(Class::Malformed).after(Class::Serial), Detour::None);
        assert_eq!(Detour::None.after(Class::Network).after(Class::Seal), Detour::Lost);
    }

    #[test]
    fn what_worked_goes_first_no_longer_once_what_comes_before_it_works_too() {
        let mut memory = Memory::default();
        works(&mut memory, (1, 0), Detour::Failed, seconds(0));
        works(&mut memory, (1, 1), Detour::None, seconds(1));
        assert!(memory.good(seconds(1)).is_some(), "what comes behind it changes nothing");
        works(&mut memory, (0, 1), Detour::None, seconds(1));
        assert!(memory.0.is_none());
        works(&mut memory, (0, 0), Detour::Failed, seconds(2));
        assert!(memory.0.is_none(), "the very first goes first anyway");
    }

    #[test]
    fn what_worked_is_forgotten_when_an_earlier_primary_is_back_an_operator_asks_or_the_settings_change() {
        let fresh = || {
            let mut memory = Memory::default();
            fail(&mut memory, 0, Reason::Timeout.into(), seconds(0));
            works(&mut memory, (1, 0), Detour::Lost, seconds(0));
            memory
        };
        let mut memory = fresh();
        assert!(!memory.network_is_back(0b10) && memory.good(seconds(1)).is_some());
        assert!(memory.network_is_back(0b01) && memory.good(seconds(1)).is_none());
        let mut memory = fresh();
        memory.reset_backoff();
        assert!(memory.0.is_none());
        assert_eq!(fresh().carried_over(&settings(&[1, 2]), &settings(&[2, 1])).good(seconds(1)), None);
    }

    #[test]
    fn a_boaster_is_not_trusted_until_another_version_comes() {
        let mut memory = Memory::default();
        assert!(memory.is_trusted(0));
        memory.boasted(0, &settings(&[1, 2]));
        works(&mut memory, (0, 0), Detour::None, seconds(1));
        assert!(!memory.is_trusted(0) && memory.is_trusted(1));
        memory.changed();
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
        works(&mut memory, (0, 0), Detour::None, seconds(1));
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
        // Found held shortly before the end of its time, it is looked at when that is over.
        memory.record_mut(0, &settings(&[1, 2])).not_before = seconds(5300);
        fail(&mut memory, 0, Reason::NoApexNs.into(), seconds(5300));
        assert!(!memory.due(0, seconds(5300)) && memory.due(0, seconds(7200)));
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
