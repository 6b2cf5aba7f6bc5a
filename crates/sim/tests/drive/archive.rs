//! What the secondary keeps: the real store, with page files on a disk that fails; and what it must give back.

use std::sync::mpsc::channel;
use std::time::Duration;

use secondo_lifecycle::BootId;
use secondo_sim::{Chance, Name, Trouble, Zone};
use secondo_store::{Confirmation, Durability};
use secondo_transfer::CheckedZone;

use crate::shelf::{Kept, Shelf, Volatile};
use crate::state::{Running, StateDir};
use crate::tally::Tally;

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Clean,
    Kill,
    PowerCut,
}

pub(crate) struct Archive {
    state: StateDir,
    /// `None` only while it is started again.
    running: Option<Running>,
    refusing: bool,
    /// One for each zone.
    shelves: Vec<Shelf>,
    pub(crate) tally: Tally,
}

impl Archive {
    pub(crate) fn new(zones: &[Name], chance: &mut Chance) -> Archive {
        let state = StateDir::new(chance.below(u64::MAX));
        let running = Some(state.open());
        let shelves = zones.iter().map(|apex| Shelf::new(apex, chance.of(&[0, 1, 4, 20]))).collect();
        Archive { state, running, refusing: false, shelves, tally: Tally::default() }
    }

    /// From now on until the process ends, the disk refuses; or the next version meets with a power cut.
    pub(crate) fn trouble(&mut self, chance: &mut Chance) {
        let trouble = chance.of(&[
            Trouble::Full,
            Trouble::BadWrite,
            Trouble::BadSync,
            Trouble::ReadOnly,
            Trouble::PowerCut,
            Trouble::PowerCut,
        ]);
        if trouble != Trouble::PowerCut {
            self.state.disk.refuse(Some(trouble));
            self.refusing = true;
        } else if !self.refusing {
            let number = self.state.disk.count() + chance.below(30) as usize;
            self.state.disk.strike(number, trouble);
        }
    }

    /// Commits a version as the daemon does, before it is published; `None`: there is no power any more.
    pub(crate) fn commit(
        &mut self,
        zone: usize,
        checked: CheckedZone,
        confirmation: Confirmation,
        allowed: Duration,
        chance: &mut Chance,
    ) -> Option<Zone> {
        self.settle();
        let running = self.running.as_ref().expect(RUNS);
        let shelf = &mut self.shelves[zone];
        let zone = checked.zone().clone();
        let leads_on = |kept: &Kept| checked.difference().is_some_and(|step| step.from == kept.zone.serial());
        let step = shelf.volatile.is_none() && shelf.kept.as_ref().is_some_and(leads_on);
        let committed = running.commit(checked, confirmation, shelf.keep);
        let kept = Kept { zone: zone.clone(), confirmation, allowed };
        let power = self.state.disk.has_power();
        match committed.durability() {
            Durability::Durable => {
                shelf.put(kept, step);
                shelf.volatile = None;
            }
            Durability::Volatile(why) => {
                assert!(self.refusing || !power, "a sound disk refuses: {why}");
                shelf.volatile = Some(Volatile { kept, step });
                self.tally.volatile += u64::from(power);
            }
        }
        if !power {
            self.tally.cut += 1;
            return None;
        }
        if shelf.volatile.is_none() {
            shelf.remake(running, chance, &mut self.tally);
        }
        Some(zone)
    }

    /// Writes that a primary vouched for the version that is served; nobody waits for that.
    pub(crate) fn confirm(
        &mut self,
        apex: &Name,
        zone: usize,
        confirmation: Confirmation,
        allowed: Duration,
    ) {
        let (tell, told) = channel();
        let shelf = &mut self.shelves[zone];
        let running = self.running.as_ref().expect(RUNS);
        running.store.confirm(apex, confirmation, move |result| drop(tell.send(result)));
        shelf.asked.push((told, shelf.volatile.is_none()));
        let kept = shelf.newest_mut().expect("what is served was committed");
        assert_eq!(kept.zone.serial(), confirmation.serial, "of another version than is served");
        (kept.confirmation, kept.allowed) = (confirmation, allowed);
    }

    /// The wall clock went back: what was written down is worth so much more after a reboot, which no clock tells.
    pub(crate) fn clock_went_back(&mut self, by: Duration) {
        for shelf in &mut self.shelves {
            let volatile = shelf.volatile.as_mut().map(|volatile| &mut volatile.kept);
            for kept in volatile.into_iter().chain(shelf.kept.as_mut()) {
                kept.allowed += by;
            }
        }
    }

    /// From now on the disk is sound.
    pub(crate) fn allow(&mut self) {
        self.state.disk.refuse(None);
        self.state.disk.spare();
        self.refusing = false;
    }

    /// Ends the process, damages what lies on the disk if that is to be, and starts the next one, which is given what it
    /// must be given.
    pub(crate) fn restart(&mut self, end: End, harm: bool, chance: &mut Chance) {
        self.settle();
        // Without power nothing ends cleanly.
        let end = if self.state.disk.has_power() { end } else { End::PowerCut };
        let state = match end {
            End::Clean => None,
            End::Kill => Some(self.state.after_kill()),
            End::PowerCut => Some(self.state.after_power_cut(chance.below(u64::MAX))),
        };
        if chance.one_in(2) {
            self.allow();
        }
        drop(self.running.take());
        let clean = state.is_none();
        if let Some(state) = state {
            self.state = state;
        }
        for shelf in &mut self.shelves {
            // The clean end is another try.
            if let Some(Volatile { kept, step }) = shelf.volatile.take()
                && clean
                && !self.refusing
            {
                shelf.put(kept, step);
            }
        }
        self.allow();
        let damaged = harm && self.damage(chance);
        let running = self.running.insert(self.state.open());
        assert_eq!(running.opened.refused, None, "{end:?}");
        for shelf in &mut self.shelves {
            shelf.check(running, end, damaged, &mut self.tally);
        }
        let looked_at = chance.below(self.shelves.len() as u64) as usize;
        self.shelves[looked_at].remake(running, chance, &mut self.tally);
    }

    /// What the process was given of a zone when it started.
    pub(crate) fn kept(&self, zone: usize) -> Option<Kept> {
        self.shelves[zone].kept.clone()
    }

    /// Waits for the answers to all that was asked.
    fn settle(&mut self) {
        self.shelves.iter_mut().for_each(Shelf::settle);
    }

    /// Damages all page files; whether there are any.
    fn damage(&self, chance: &mut Chance) -> bool {
        let disk = &self.state.disk;
        let files = disk.files();
        for name in &files {
            let length = disk.content(name).map_or(0, |content| content.len()) as u64;
            match chance.below(3) {
                0 => disk.lose(name),
                1 => drop(disk.damage(name, |octets| octets.truncate(octets.len() / 2))),
                _ => drop(disk.flip(name, chance.below(length.max(1)) as usize, 1)),
            }
        }
        !files.is_empty()
    }
}

const RUNS: &str = "between restarts it runs";

/// A confirmation in the form in which the store keeps it.
pub(crate) fn to_record(confirmed: secondo_lifecycle::Confirmation) -> Confirmation {
    Confirmation {
        serial: confirmed.serial,
        wall: confirmed.wall,
        boot_ms: confirmed.boot.as_millis() as u64,
        boot_id: confirmed.boot_id.0,
        expire_in: confirmed.expire_in,
    }
}

/// And back.
pub(crate) fn from_record(record: Confirmation) -> secondo_lifecycle::Confirmation {
    secondo_lifecycle::Confirmation {
        serial: record.serial,
        boot: Duration::from_millis(record.boot_ms),
        boot_id: BootId(record.boot_id),
        wall: record.wall,
        expire_in: record.expire_in,
    }
}
