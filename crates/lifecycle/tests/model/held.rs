//! Two zones of one primary, one that asks again soon and one that has time: every state that its health can come to within
//! so many steps. Whoever has time neither holds up the other nor asks beside it, and a primary that lives again is asked no
//! later than the shorter of the two waits.

use std::collections::HashSet;
use std::time::Duration;

use secondo_lifecycle::{Health, HoldDown, Permit};

use crate::state::{EPOCH, canonical, digest};

/// Steps from the start.
const STEPS: u32 = 20;
const HOLDS: [HoldDown; 2] = [
    HoldDown { first: Duration::from_secs(2), longest: Duration::from_secs(8) },
    HoldDown { first: Duration::from_secs(16), longest: Duration::from_secs(64) },
];
/// How long an answer is on its way, and how long one waits in vain.
const WAY: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zone {
    /// It asks at this moment.
    Waits(Duration),
    /// It asks, and knew that the primary was down.
    Asks(bool),
}

impl Zone {
    fn asks(self) -> bool {
        matches!(self, Zone::Asks(_))
    }
}

#[derive(Clone, Copy, Debug)]
enum Choice {
    /// Until a zone is due, at most for a moment.
    Pass,
    Fail(usize),
    Answer(usize),
    Abandon(usize),
    Notify,
}

#[derive(Clone, Debug)]
struct World {
    now: Duration,
    health: Health<u8>,
    zones: [Zone; 2],
    /// When it last failed, if nothing was heard since; nobody asks sooner than the shortest hold after that.
    failed: Option<Duration>,
    notified: bool,
}

impl World {
    fn key(&self) -> u128 {
        let World { health, zones, failed, notified, .. } = self;
        digest(&canonical(&format!("{health:?} {zones:?} {failed:?} {notified}"), self.now))
    }

    fn choices(&self) -> Vec<Choice> {
        let mut all = vec![Choice::Pass, Choice::Notify];
        for zone in (0..2).filter(|zone| self.zones[*zone].asks()) {
            all.extend([Choice::Fail(zone), Choice::Answer(zone), Choice::Abandon(zone)]);
        }
        all
    }

    fn take(&mut self, choice: Choice) -> Result<(), String> {
        match choice {
            Choice::Pass => return self.pass(),
            Choice::Notify => {
                self.health.notified(1, self.now);
                self.notified = true;
                // As the scheduler does: the machine of a zone that is told asks at once.
                self.zones = self.zones.map(|zone| if zone.asks() { zone } else { Zone::Waits(self.now) });
            }
            Choice::Fail(zone) => {
                self.health.failed(1, self.now, HOLDS[zone]);
                let down = self.health.down_until(1);
                // One that asked before it was known to be down tells nothing new.
                if self.failed.is_none() || self.zones[zone] == Zone::Asks(true) {
                    self.failed = down.map(|_| self.now);
                    self.notified &= down.is_none();
                } else {
                    self.is_taken_for_the_other(zone);
                }
                self.zones[zone] = Zone::Waits(down.unwrap_or(self.now + HOLDS[zone].first));
            }
            Choice::Answer(zone) => {
                let turn = self.health.answered(1, self.now);
                self.failed = None;
                self.is_taken_for_the_other(zone);
                self.zones[zone] = Zone::Waits(self.now + HOLDS[zone].longest);
                if turn.is_some() {
                    let wakes = |zone: Zone| if zone.asks() { zone } else { Zone::Waits(self.now) };
                    self.zones = self.zones.map(wakes);
                }
            }
            Choice::Abandon(zone) => {
                self.health.abandoned(1);
                if self.zones[zone] == Zone::Asks(false) {
                    self.is_taken_for_the_other(zone);
                }
                self.zones[zone] = Zone::Waits(self.now + HOLDS[zone].first);
            }
        }
        Ok(())
    }

    /// An attempt that began before it was known to be down ends behind the hold, or was answered: that is taken for the
    /// end of the one that asks for all, and another may.
    fn is_taken_for_the_other(&mut self, zone: usize) {
        if self.zones[1 - zone] == Zone::Asks(true) {
            self.zones[1 - zone] = Zone::Asks(false);
        }
    }

    /// The zones that are due ask.
    fn pass(&mut self) -> Result<(), String> {
        let dues =
            self.zones.iter().filter_map(|zone| if let Zone::Waits(at) = zone { Some(*at) } else { None });
        self.now = dues.min().unwrap_or(Duration::MAX).clamp(self.now, self.now + WAY);
        for (zone, hold) in HOLDS.into_iter().enumerate() {
            if !matches!(self.zones[zone], Zone::Waits(at) if at <= self.now) {
                continue;
            }
            match self.health.ask(1, self.now, hold) {
                Permit::Go => {
                    let soonest = self.failed.map(|failed| failed + HOLDS[0].first);
                    if !self.notified && soonest.is_some_and(|soonest| self.now < soonest) {
                        return Err(format!("zone {zone} asks before {soonest:?}"));
                    }
                    let other = self.zones[1 - zone] == Zone::Asks(true);
                    if other && self.failed.is_some() {
                        return Err(format!("zone {zone} asks beside the other, of a primary that is down"));
                    }
                    self.zones[zone] = Zone::Asks(self.failed.is_some());
                }
                Permit::Down { again } => {
                    let latest = self.now + hold.longest;
                    if again <= self.now || again > latest {
                        return Err(format!("zone {zone} waits until {again:?}, at {:?}", self.now));
                    }
                    self.zones[zone] = Zone::Waits(again);
                }
            }
        }
        Ok(())
    }

    /// From now on whoever asks is answered: soon somebody is.
    fn trust(mut self) -> Result<(), String> {
        let end = self.now + HOLDS[0].longest + WAY;
        while self.now <= end {
            if self.zones.iter().any(|zone| zone.asks()) {
                return Ok(());
            }
            self.pass()?;
        }
        Err(format!("nobody asks before {end:?}"))
    }
}

#[test]
fn in_no_state_of_a_primary_of_two_zones_the_patient_one_holds_up_the_other() {
    let now = Duration::from_secs(EPOCH);
    let zones = [Zone::Waits(now); 2];
    let start = World { now, health: Health::new(), zones, failed: None, notified: false };
    let (mut seen, mut layer) = (HashSet::from([start.key()]), vec![(start, Vec::new())]);
    for _ in 0..STEPS {
        let mut next = Vec::new();
        for (world, story) in layer {
            for choice in world.choices() {
                let (mut world, mut story) = (world.clone(), story.clone());
                story.push(choice);
                let result = world.take(choice).and_then(|()| world.clone().trust());
                assert_eq!(result, Ok(()), "after {story:?}\n{world:?}");
                if seen.insert(world.key()) {
                    next.push((world, story));
                }
            }
        }
        layer = next;
    }
    println!("{} states", seen.len());
    assert!(seen.len() > 1_000, "{} states tell nothing", seen.len());
}
