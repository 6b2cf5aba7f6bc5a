//! What the store must give back of one zone.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use secondo_sim::{Chance, Name, Zone};
use secondo_store::Confirmation;
use secondo_wire::Serial;

use crate::archive::End;
use crate::state::Running;
use crate::tally::Tally;

/// A version, who vouched for it last, and until when honest answers allowed it to be served when that was written.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) zone: Zone,
    pub(crate) confirmation: Confirmation,
    pub(crate) allowed: Duration,
}

/// What was served and could not be written.
pub(crate) struct Volatile {
    pub(crate) kept: Kept,
    /// It leads on from the newest version on disk.
    pub(crate) step: bool,
}

pub(crate) struct Shelf {
    apex: Name,
    /// Versions to be kept beside the newest.
    pub(crate) keep: u32,
    /// What the disk has.
    pub(crate) kept: Option<Kept>,
    /// Versions that lead from one to the next, up to that on disk: it must know the newest of them.
    chain: Vec<Zone>,
    pub(crate) volatile: Option<Volatile>,
    /// Confirmations on their way, and whether the disk must take them.
    pub(crate) asked: Vec<(Receiver<Result<(), String>>, bool)>,
}

impl Shelf {
    pub(crate) fn new(apex: &Name, keep: u32) -> Shelf {
        Shelf { apex: apex.clone(), keep, kept: None, chain: Vec::new(), volatile: None, asked: Vec::new() }
    }

    /// What counts as kept now: served, on disk or not.
    pub(crate) fn newest_mut(&mut self) -> Option<&mut Kept> {
        self.volatile.as_mut().map(|volatile| &mut volatile.kept).or(self.kept.as_mut())
    }

    /// This version is on disk now; `step`: as one more behind those before.
    pub(crate) fn put(&mut self, kept: Kept, step: bool) {
        if !step {
            self.chain.clear();
        }
        self.chain.push(kept.zone.clone());
        self.kept = Some(kept);
    }

    /// Waits for the answers to all that was asked.
    pub(crate) fn settle(&mut self) {
        for (told, must) in self.asked.drain(..) {
            let result = told.recv().unwrap();
            assert_eq!(result.is_ok(), must, "{}: {result:?}", self.apex);
        }
    }

    /// What was restored is what must be there; `damaged`: files were.
    pub(crate) fn check(&mut self, running: &Running, end: End, damaged: bool, tally: &mut Tally) {
        let apex = &self.apex;
        let opened = &running.opened;
        let mut said = opened.damages.iter().filter(|damage| damage.zone.as_ref() == Some(apex));
        let restored = opened.restored.iter().find(|restored| restored.committed.zone().apex() == apex);
        let Some(restored) = restored else {
            let said = said.next().is_some();
            assert!(self.kept.is_none() || damaged && said, "{end:?}: {apex} is gone: {:?}", opened.damages);
            tally.damaged += u64::from(said);
            self.kept = None;
            self.chain.clear();
            return;
        };
        assert!(said.next().is_none(), "{end:?}: {:?}", opened.damages);
        let kept =
            self.kept.as_ref().unwrap_or_else(|| panic!("{end:?}: of {apex} nothing was ever durable"));
        let zone = restored.committed.zone();
        assert_eq!(zone.serial(), kept.zone.serial(), "{end:?}: {apex}");
        assert!(*zone == kept.zone && zone.digest() == kept.zone.digest(), "{end:?}: {apex}: other content");
        assert_eq!(restored.confirmation, Some(kept.confirmation), "{end:?}: {apex}");
        tally.restored += 1;
    }

    /// The history has the versions that were published, as they were.
    pub(crate) fn remake(&self, running: &Running, chance: &mut Chance, tally: &mut Tally) {
        let Some(newest) = self.chain.last() else { return };
        let history = running.history(&self.apex).expect("the disk has the zone");
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
            tally.remade += 1;
        }
    }
}
