//! The deadlines of all zones, the nearest first.
//!
//! Every zone has one deadline at a time, so the wheel is a heap that knows where each zone stands in it: to move a
//! deadline moves one entry, nothing stale is left behind, and a zone costs 20 bytes whether it is idle or not
//! (8 bytes of moment, 4 of zone, 4 of padding, 4 of place).

use std::time::Duration;

/// The place of a zone in the caller's table: small and dense, since the wheel keeps an array over them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZoneId(pub u32);

/// Children of a node: four keep the heap half as deep as two would, in the same cache lines.
const FAN: usize = 4;
/// The place of a zone that is not in the heap.
const ABSENT: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Nanoseconds of the boot clock.
    at: u64,
    zone: u32,
}

/// Deadlines of many zones. `places[zone]` is the index of the zone's entry in `heap`.
#[derive(Clone, Debug, Default)]
pub struct Wheel {
    heap: Vec<Entry>,
    places: Vec<u32>,
}

impl Wheel {
    /// Without zones.
    pub fn new() -> Wheel {
        Wheel::default()
    }

    /// Sets or moves the deadline of a zone (boot clock).
    pub fn schedule(&mut self, zone: ZoneId, at: Duration) {
        let at = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        let entry = Entry { at, zone: zone.0 };
        let index = zone.0 as usize;
        if index >= self.places.len() {
            self.places.resize(index + 1, ABSENT);
        }
        match self.place(zone.0) {
            Some(place) => {
                self.heap[place] = entry;
                self.settle(place);
            }
            None => {
                self.heap.push(entry);
                self.settle(self.heap.len() - 1);
            }
        }
    }

    /// Forgets a zone.
    pub fn remove(&mut self, zone: ZoneId) {
        if let Some(place) = self.place(zone.0) {
            self.take(place);
        }
    }

    /// Takes out a zone whose deadline has come, the longest overdue first.
    pub fn pop_due(&mut self, now: Duration) -> Option<ZoneId> {
        let first = self.heap.first()?;
        (u128::from(first.at) <= now.as_nanos()).then(|| self.take(0))
    }

    /// The nearest deadline.
    pub fn next(&self) -> Option<Duration> {
        self.heap.first().map(|e| Duration::from_nanos(e.at))
    }

    /// Zones with a deadline.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether no zone has a deadline.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    fn place(&self, zone: u32) -> Option<usize> {
        self.places.get(zone as usize).filter(|p| **p != ABSENT).map(|p| *p as usize)
    }

    fn take(&mut self, place: usize) -> ZoneId {
        let taken = self.heap.swap_remove(place);
        self.places[taken.zone as usize] = ABSENT;
        if place < self.heap.len() {
            self.settle(place);
        }
        ZoneId(taken.zone)
    }

    /// Moves the entry at a place to where it belongs. Zones are 32 bits wide, so every place fits its array.
    fn settle(&mut self, mut place: usize) {
        let entry = self.heap[place];
        while place > 0 {
            let parent = (place - 1) / FAN;
            if self.heap[parent].at <= entry.at {
                break;
            }
            self.put(place, self.heap[parent]);
            place = parent;
        }
        loop {
            let first = place * FAN + 1;
            let children = first..(first + FAN).min(self.heap.len());
            let Some(least) = children.min_by_key(|child| self.heap[*child].at) else { break };
            if self.heap[least].at >= entry.at {
                break;
            }
            self.put(place, self.heap[least]);
            place = least;
        }
        self.put(place, entry);
    }

    fn put(&mut self, place: usize, entry: Entry) {
        self.heap[place] = entry;
        self.places[entry.zone as usize] = place as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_zone_comes_out_when_its_deadline_has_come_and_not_before() {
        let mut wheel = Wheel::new();
        wheel.schedule(ZoneId(7), ms(20));
        wheel.schedule(ZoneId(3), ms(10));
        assert_eq!(wheel.next(), Some(ms(10)));
        assert_eq!(wheel.pop_due(ms(9)), None);
        assert_eq!(wheel.pop_due(ms(30)), Some(ZoneId(3)));
        assert_eq!(wheel.pop_due(ms(30)), Some(ZoneId(7)));
        assert_eq!((wheel.pop_due(ms(30)), wheel.next()), (None, None));
    }

    #[test]
    fn a_deadline_that_moves_leaves_nothing_behind() {
        let mut wheel = Wheel::new();
        for turn in 0..1000_u64 {
            wheel.schedule(ZoneId(1), ms(turn * 7919 % 1000));
            wheel.schedule(ZoneId(2), ms(500));
        }
        assert_eq!(wheel.len(), 2);
        wheel.remove(ZoneId(1));
        wheel.remove(ZoneId(1));
        assert_eq!(wheel.pop_due(ms(1000)), Some(ZoneId(2)));
        assert!(wheel.is_empty());
    }

    #[test]
    fn the_far_end_of_time_is_a_deadline_like_any_other() {
        let mut wheel = Wheel::new();
        wheel.schedule(ZoneId(0), Duration::MAX);
        assert_eq!(wheel.pop_due(ms(u64::MAX / 1_000_000)), None);
        assert_eq!(wheel.pop_due(Duration::MAX), Some(ZoneId(0)));
    }

    #[test]
    fn a_zone_costs_twenty_bytes() {
        assert_eq!(size_of::<Entry>() + size_of::<u32>(), 20);
    }
}
