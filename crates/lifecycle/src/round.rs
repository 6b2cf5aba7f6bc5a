//! A round: every primary asked at most once, in order, until one vouches for the zone.

use std::time::Duration;

use secondo_wire::{Reason, Serial};

use crate::memory::{Detour, Memory, Place};
use crate::{Kind, PrimaryId, Settings, Target};

/// Why primaries are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The zone was configured, or the daemon started.
    Start,
    /// REFRESH ran out.
    Refresh,
    /// The last round failed.
    Retry,
    /// A NOTIFY came.
    Notify,
    /// A NOTIFY hinted at this serial and no primary had it yet: once more.
    Hint(Serial),
    /// An operator asked.
    Operator,
    /// The zone has just expired: any serial is good now.
    Expired,
    /// The primaries were changed.
    Reconfigured,
    /// An address that was down answers again.
    PrimaryUp,
}

impl Cause {
    /// Whether primaries are asked that wait out a failure.
    pub(crate) fn out_of_turn(self) -> bool {
        match self {
            Cause::Notify | Cause::Operator | Cause::Expired | Cause::Reconfigured => true,
            Cause::Start | Cause::Refresh | Cause::Retry | Cause::Hint(_) | Cause::PrimaryUp => false,
        }
    }
}

/// Where a round stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) cause: Cause,
    /// A serial that some primary should have: from a NOTIFY, or from a SOA that the transfer after it did not bear out.
    pub(crate) hint: Option<Serial>,
    /// Fetch the whole zone without asking for the serial.
    pub(crate) forced: bool,
    /// Primaries to be asked first, one bit each.
    pub(crate) preferred: u64,
    /// Primaries of which each has to be asked, since no serial tells whether another has what they told of.
    pub(crate) owed: u64,
    /// Primaries asked, the present one included.
    tried: u64,
    /// The present primary.
    primary: u8,
    /// The present address of it.
    address: u8,
    /// The address with which it began.
    first: u8,
    /// What failed so far.
    pub(crate) detour: Detour,
    /// A primary vouched for the zone.
    pub(crate) contact: Option<Contact>,
    /// The last failure.
    pub(crate) failure: Option<(Reason, PrimaryId)>,
}

/// A primary vouched for the zone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contact {
    pub(crate) target: Target,
    /// The serial replaced and the form, when it brought another version.
    pub(crate) news: Option<(Option<Serial>, Kind)>,
}

impl Round {
    pub(crate) fn new(cause: Cause) -> Round {
        Round {
            cause,
            hint: None,
            forced: false,
            preferred: 0,
            owed: 0,
            tried: 0,
            primary: 0,
            address: 0,
            first: 0,
            detour: Detour::None,
            contact: None,
            failure: None,
        }
    }

    /// Some primary should have this serial; the newest that was told of counts.
    pub(crate) fn expect(&mut self, told: Option<Serial>) {
        let newest = |told: &Serial| self.hint.is_none_or(|hint| told.newer_than(hint));
        self.hint = told.filter(newest).or(self.hint);
    }

    /// The place of the present primary in the settings.
    pub(crate) fn primary(&self) -> usize {
        usize::from(self.primary)
    }

    /// The present address.
    pub(crate) fn target(&self, settings: &Settings) -> Target {
        let primary = settings.primaries().get(self.primary());
        let address = primary.and_then(|p| p.addresses.get(usize::from(self.address)));
        let (primary, address) =
            primary.zip(address).expect("a round ends before its settings change and steps only within them");
        Target { primary: primary.id, address: *address }
    }

    /// The place of the present address in the settings.
    pub(crate) fn place(&self) -> Place {
        Place { primary: self.primary, address: self.address }
    }

    /// Whether the present primary sent a NOTIFY.
    pub(crate) fn is_called(&self) -> bool {
        self.preferred & 1 << self.primary != 0
    }

    /// Whether somebody has yet to be asked whatever the others said.
    pub(crate) fn owes(&self) -> bool {
        self.owed & !self.tried != 0
    }

    /// Goes to the next address of the present primary, from the last on to the first; false when all were asked.
    pub(crate) fn next_address(&mut self, settings: &Settings) -> bool {
        let count = settings.primaries().get(self.primary()).map_or(0, |p| p.addresses.len());
        let next = self.address.saturating_add(1);
        let next = if usize::from(next) < count { next } else { 0 };
        let more = next != self.first;
        if more {
            self.address = next;
        }
        more
    }

    /// Goes to the next primary; false when there is none. RFC 1996 §3.11: the sender of a NOTIFY first; then what
    /// worked of late.
    pub(crate) fn next_primary(&mut self, settings: &Settings, memory: &Memory, now: Duration) -> bool {
        let waiting = |i: &usize| self.tried & 1 << i == 0;
        let called = |i: &usize| self.preferred & 1 << i != 0;
        let due = |i: &usize| self.cause.out_of_turn() || memory.due(*i, now);
        let good = memory.good(now);
        let is_good = |i: &usize| good.is_some_and(|place| usize::from(place.primary) == *i);
        let all = || (0..settings.primaries().len()).filter(waiting);
        let next = all().find(called).or_else(|| all().filter(due).find(is_good)).or_else(|| all().find(due));
        let Some(next) = next else { return false };
        self.tried |= 1 << next;
        self.primary = u8::try_from(next).expect("a zone has at most 64 primaries");
        self.first = good.filter(|place| place.primary == self.primary).map_or(0, |place| place.address);
        self.address = self.first;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backoff::Dice;
    use crate::timers::Intervals;
    use crate::{Bounds, Primary};

    fn settings() -> Settings {
        let bounds = Bounds::new(Duration::from_secs(1), Duration::from_secs(100)).unwrap();
        let addresses: Vec<_> =
            ["192.0.2.1:53", "192.0.2.2:53"].iter().map(|text| text.parse().unwrap()).collect();
        let primary = |id| Primary { id: PrimaryId(id), addresses: addresses.clone(), ixfr: true };
        Settings::new(bounds, bounds, bounds, (0..3).map(primary).collect()).unwrap()
    }

    fn order(mut round: Round, memory: &Memory) -> Vec<usize> {
        let settings = settings();
        let mut order = Vec::new();
        while round.next_primary(&settings, memory, Duration::ZERO) {
            order.push(round.primary());
        }
        order
    }

    #[test]
    fn primaries_are_asked_in_order_and_once() {
        assert_eq!(order(Round::new(Cause::Refresh), &Memory::default()), [0, 1, 2]);
    }

    #[test]
    fn the_senders_of_notifies_are_asked_first() {
        let round = Round { preferred: 0b110, ..Round::new(Cause::Notify) };
        assert_eq!(order(round, &Memory::default()), [1, 2, 0]);
    }

    #[test]
    fn a_primary_that_waits_out_a_failure_is_passed_over_unless_somebody_asks() {
        let mut memory = Memory::default();
        let second = Duration::from_secs(1);
        let intervals =
            Intervals { refresh: second, retry: second, silence: second, refusal: Duration::from_secs(100) };
        memory.failed(0, Reason::Refused.into(), Duration::ZERO, &settings(), intervals, &mut Dice(1));
        for cause in [Cause::Refresh, Cause::Retry, Cause::PrimaryUp, Cause::Start] {
            assert_eq!(order(Round::new(cause), &memory), [1, 2]);
        }
        for cause in [Cause::Notify, Cause::Operator, Cause::Expired, Cause::Reconfigured] {
            assert_eq!(order(Round::new(cause), &memory), [0, 1, 2]);
        }
    }

    #[test]
    fn addresses_of_a_primary_are_tried_in_order() {
        let settings = settings();
        let mut round = Round::new(Cause::Start);
        assert!(round.next_primary(&settings, &Memory::default(), Duration::ZERO));
        assert_eq!(round.target(&settings).address.to_string(), "192.0.2.1:53");
        assert!(round.next_address(&settings));
        assert_eq!(round.target(&settings).address.to_string(), "192.0.2.2:53");
        assert!(!round.next_address(&settings));
    }

    #[test]
    fn what_worked_goes_first_but_behind_the_sender_of_a_notify() {
        let mut memory = Memory::default();
        let good = Place { primary: 1, address: 1 };
        memory.succeeded(good, Detour::Failed, Duration::ZERO, &settings());
        assert_eq!(order(Round::new(Cause::Refresh), &memory), [1, 0, 2]);
        assert_eq!(order(Round { preferred: 0b100, ..Round::new(Cause::Notify) }, &memory), [2, 1, 0]);
        let mut round = Round::new(Cause::Refresh);
        assert!(round.next_primary(&settings(), &memory, Duration::ZERO));
        assert_eq!(round.place(), good);
        assert!(round.next_address(&settings()));
        assert_eq!(round.place(), Place { address: 0, ..good });
        assert!(!round.next_address(&settings()), "each address once");
        assert!(round.next_primary(&settings(), &memory, Duration::ZERO));
        assert_eq!(round.place(), Place { primary: 0, address: 0 });
    }
}
