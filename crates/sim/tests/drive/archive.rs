//! What the secondary keeps: the real store, with page files on a disk that fails; and what it must give back.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use secondo_lifecycle::BootId;
use secondo_sim::{Chance, Name, Trouble, Zone};
use secondo_store::{Confirmation, Durability};
use secondo_transfer::CheckedZone;
use secondo_wire::Serial;

use crate::state::{Running, StateDir};
use crate::tally::Tally;

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Clean,
    Kill,
    PowerCut,
}

/// A version, who vouched for it last, and until when honest answers allowed it to be served when that was written.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) zone: Zone,
    pub(crate) confirmation: Confirmation,
    pub(crate) allowed: Duration,
}

/// What was served and could not be written.
struct Volatile {
    kept: Kept,
    /// It leads on from the newest version on disk.
    step: bool,
}

pub(crate) struct Archive {
    apex: Name,
    keep: u32,
    state: StateDir,
    /// `None` only while it is started again.
    running: Option<Running>,
    /// What the disk has.
    kept: Option<Kept>,
    /// Versions that lead from one to the next, up to that on disk: it must know the newest of them.
    chain: Vec<Zone>,
    volatile: Option<Volatile>,
    refusing: bool,
    /// Confirmations on their way, and whether the disk must take them.
    asked: Vec<(Receiver<Result<(), String>>, bool)>,
    pub(crate) tally: Tally,
}

impl Archive {
    pub(crate) fn new(apex: &Name, chance: &mut Chance) -> Archive {
        let state = StateDir::new(chance.below(u64::MAX));
        let running = Some(state.open());
        Archive {
            apex: apex.clone(),
            keep: chance.of(&[0, 1, 4, 20]),
            state,
            running,
            kept: None,
            chain: Vec::new(),
            volatile: None,
            refusing: false,
            asked: Vec::new(),
            tally: Tally::default(),
        }
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
        checked: CheckedZone,
        confirmation: Confirmation,
        allowed: Duration,
        chance: &mut Chance,
    ) -> Option<Zone> {
        self.settle();
        let zone = checked.zone().clone();
        let leads_on = |kept: &Kept| checked.difference().is_some_and(|step| step.from == kept.zone.serial());
        let step = self.volatile.is_none() && self.kept.as_ref().is_some_and(leads_on);
        let committed = self.running().commit(checked, confirmation, self.keep);
        let kept = Kept { zone: zone.clone(), confirmation, allowed };
        match committed.durability() {
            Durability::Durable => {
                self.keep(kept, step);
                self.volatile = None;
            }
            Durability::Volatile(why) => {
                let power = self.state.disk.has_power();
                assert!(self.refusing || !power, "a sound disk refuses: {why}");
                self.volatile = Some(Volatile { kept, step });
                self.tally.volatile += u64::from(power);
            }
        }
        if !self.state.disk.has_power() {
            self.tally.cut += 1;
            return None;
        }
        if self.volatile.is_none() {
            self.remake(chance);
        }
        Some(zone)
    }

    /// Writes that a primary vouched for the version that is served; nobody waits for that.
    pub(crate) fn confirm(&mut self, confirmation: Confirmation, allowed: Duration) {
        let (tell, told) = channel();
        self.running().store.confirm(&self.apex, confirmation, move |result| drop(tell.send(result)));
        self.asked.push((told, self.volatile.is_none()));
        let kept = self.volatile.as_mut().map(|volatile| &mut volatile.kept).or(self.kept.as_mut());
        let kept = kept.expect("what is served was committed");
        assert_eq!(kept.zone.serial(), confirmation.serial, "of another version than is served");
        (kept.confirmation, kept.allowed) = (confirmation, allowed);
    }

    /// The wall clock went back: what was written down is worth so much more after a reboot, which no clock tells.
    pub(crate) fn clock_went_back(&mut self, by: Duration) {
        let volatile = self.volatile.as_mut().map(|volatile| &mut volatile.kept);
        for kept in volatile.into_iter().chain(self.kept.as_mut()) {
            kept.allowed += by;
        }
    }

    /// From now on the disk is sound.
    pub(crate) fn allow(&mut self) {
        self.state.disk.refuse(None);
        self.state.disk.spare();
        self.refusing = false;
    }

    /// Ends the process, and damages what lies on the disk if that is to be; what the next one is given.
    pub(crate) fn restart(&mut self, end: End, harm: bool, chance: &mut Chance) -> Option<Kept> {
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
        match (state, self.volatile.take()) {
            (Some(state), _) => self.state = state,
            // The clean end is another try.
            (None, Some(Volatile { kept, step })) if !self.refusing => self.keep(kept, step),
            (None, _) => {}
        }
        self.allow();
        let damaged = harm && self.damage(chance);
        self.running = Some(self.state.open());
        self.check(end, damaged);
        if self.kept.is_some() {
            self.remake(chance);
        }
        self.kept.clone()
    }

    /// What was restored is what must be there.
    fn check(&mut self, end: End, damaged: bool) {
        let Running { opened, .. } = self.running.as_ref().expect("it was just started");
        assert_eq!(opened.refused, None, "{end:?}");
        let Some(restored) = opened.restored.first() else {
            let said = opened.damages.iter().any(|damage| damage.zone.as_ref() == Some(&self.apex));
            assert!(self.kept.is_none() || damaged && said, "{end:?}: it is gone: {:?}", opened.damages);
            self.tally.damaged += u64::from(said);
            self.kept = None;
            self.chain.clear();
            return;
        };
        assert!(opened.damages.is_empty(), "{end:?}: {:?}", opened.damages);
        let kept = self.kept.as_ref().unwrap_or_else(|| panic!("{end:?}: nothing was ever durable"));
        let zone = restored.committed.zone();
        assert_eq!(zone.serial(), kept.zone.serial(), "{end:?}");
        assert!(*zone == kept.zone && zone.digest() == kept.zone.digest(), "{end:?}: other content");
        assert_eq!(restored.confirmation, Some(kept.confirmation), "{end:?}");
        self.tally.restored += 1;
    }

    /// The history has the versions that were published, as they were.
    fn remake(&mut self, chance: &mut Chance) {
        let newest = &self.chain[self.chain.len() - 1];
        let history = self.running().history(&self.apex).expect("the disk has the zone");
        let serials: Vec<Serial> = history.serials().collect();
        let known: Vec<Serial> = self.chain.iter().map(|zone| zone.serial()).collect();
        assert!(known.ends_with(&serials), "kept are {serials:?}, published were {known:?}");
        let least = known.len().min(self.keep as usize + 1);
        assert!(serials.len() >= least, "{} of {known:?} are wanted, {serials:?} are kept", self.keep);
        if serials.len() > 1 {
            let back = 1 + chance.below(serials.len() as u64 - 1) as usize;
            let serial = serials[serials.len() - 1 - back];
            // Of several with one serial it is the latest.
            let published = self.chain.iter().rfind(|zone| zone.serial() == serial).unwrap();
            let remade = history.version(newest, serial).unwrap();
            assert!(remade == *published && remade.digest() == published.digest(), "{serial} is another");
            self.tally.remade += 1;
        }
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("between restarts it runs")
    }

    fn keep(&mut self, kept: Kept, step: bool) {
        if !step {
            self.chain.clear();
        }
        self.chain.push(kept.zone.clone());
        self.kept = Some(kept);
    }

    /// Waits for the answers to all that was asked.
    fn settle(&mut self) {
        for (told, must) in self.asked.drain(..) {
            let result = told.recv().unwrap();
            assert_eq!(result.is_ok(), must, "{result:?}");
        }
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
