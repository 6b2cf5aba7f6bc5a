//! What the disk refused and is asked for again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use secondo_wire::Name;

use crate::bounds::{ROW_LIMIT, size};
use crate::committed::{Committed, Durability};
use crate::confirmation::Confirmation;
use crate::op::{Commit, Confirm, Incoming, Op};
use crate::restore::Restored;

/// Delays between tries while the disk refuses: the first, and the longest.
pub(crate) const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Something of a zone that waits for the disk.
pub(crate) struct Pending {
    /// The version; `None` when the disk has it and only the confirmation is missing.
    pub(crate) version: Option<Incoming>,
    pub(crate) confirmation: Confirmation,
    /// What the disk said.
    pub(crate) why: String,
}

impl Pending {
    /// Whether it is a version with this serial.
    fn is_version(&self, confirmation: Confirmation) -> bool {
        self.version.as_ref().is_some_and(|version| version.zone().serial() == confirmation.serial)
    }
}

/// All that waits: of each zone the newest.
pub(crate) struct Backlog {
    pending: BTreeMap<Name, Pending>,
    retry_at: Instant,
    retry_in: Duration,
}

impl Backlog {
    pub(crate) fn new() -> Backlog {
        Backlog { pending: BTreeMap::new(), retry_at: Instant::now(), retry_in: RETRY.0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// When the next try is due.
    pub(crate) fn due(&self) -> Instant {
        self.retry_at
    }

    /// What waits of a zone.
    pub(crate) fn of(&self, apex: &Name) -> Option<&Pending> {
        self.pending.get(apex)
    }

    /// The version of a zone that waits.
    pub(crate) fn version(&self, apex: &Name) -> Option<Restored> {
        let Pending { version, confirmation, why } = self.of(apex)?;
        let version = version.as_ref()?;
        let committed = Committed::from_checked(&version.checked, Durability::Volatile(why.clone()));
        let confirmation = Some(*confirmation).filter(|c| c.serial == version.zone().serial());
        Some(Restored { committed, confirmation })
    }

    /// Whether a version of the zone waits.
    pub(crate) fn has_version(&self, apex: &Name) -> bool {
        self.of(apex).is_some_and(|pending| pending.version.is_some())
    }

    /// A version waits, in the place of an older one. That one the disk will never have, so that nothing leads on from
    /// it there.
    pub(crate) fn wait_for_version(&mut self, mut version: Incoming, confirmation: Confirmation, why: &str) {
        let apex = version.zone().apex().clone();
        if self.has_version(&apex) {
            version.detach();
        }
        self.wait(apex, Pending { version: Some(version), confirmation, why: why.into() });
    }

    /// A confirmation waits, beside its version if that waits too. One of another version than the one that waits is of
    /// no use any more.
    pub(crate) fn wait_for_confirmation(&mut self, apex: &Name, confirmation: Confirmation, why: &str) {
        match self.pending.get_mut(apex) {
            Some(pending) if pending.version.is_none() || pending.is_version(confirmation) => {
                pending.confirmation = confirmation;
            }
            Some(_) => {}
            None => self.wait(apex.clone(), Pending { version: None, confirmation, why: why.into() }),
        }
    }

    fn wait(&mut self, apex: Name, pending: Pending) {
        if self.pending.is_empty() {
            self.retry_at = Instant::now() + self.retry_in;
        }
        self.pending.insert(apex, pending);
    }

    /// The disk has a version of the zone that is newer than what waits.
    pub(crate) fn done(&mut self, apex: &Name) {
        self.pending.remove(apex);
    }

    /// The disk has answered for a confirmation.
    pub(crate) fn done_confirmation(&mut self, apex: &Name) {
        if !self.has_version(apex) {
            self.pending.remove(apex);
        }
    }

    /// A confirmation of the version that waits here waits beside it; what the disk said of that. `None`: it is of
    /// another one.
    pub(crate) fn vouch(&mut self, apex: &Name, confirmation: Confirmation) -> Option<&str> {
        let pending = self.pending.get_mut(apex).filter(|pending| pending.is_version(confirmation))?;
        pending.confirmation = confirmation;
        Some(&pending.why)
    }

    /// The disk takes what is written to it: if something waits, now is its time.
    pub(crate) fn allowed(&mut self) {
        self.retry_at = Instant::now();
    }

    /// The disk took what it had refused: on with the rest, without delay.
    pub(crate) fn recovered(&mut self) {
        self.retry_in = RETRY.0;
        self.allowed();
    }

    /// When nothing waits, the next delay is the first again.
    pub(crate) fn rest(&mut self) {
        if self.pending.is_empty() {
            self.retry_in = RETRY.0;
        }
    }

    /// What is to be tried now: all that goes into the database, and one page file, the smallest. Zones that are `busy`
    /// wait on.
    pub(crate) fn retry(&mut self, busy: impl Fn(&Name) -> bool) -> Vec<Op> {
        self.retry_at = Instant::now() + self.retry_in;
        self.retry_in = (self.retry_in * 2).min(RETRY.1);
        let octets = |pending: &Pending| pending.version.as_ref().map_or(0, |version| size(version.zone()));
        let sizes = self.pending.iter().map(|(apex, pending)| (octets(pending), apex.clone()));
        let mut waiting: Vec<(u64, Name)> = sizes.filter(|(_, apex)| !busy(apex)).collect();
        waiting.sort_unstable_by_key(|(size, _)| *size);
        let small = waiting.partition_point(|(size, _)| *size <= ROW_LIMIT);
        waiting.truncate(small + 1);
        let again = |(_, apex)| {
            let Pending { version, confirmation, .. } = self.pending.remove(&apex)?;
            Some(match version {
                Some(version) => Op::Commit(Box::new(Commit::new(version, confirmation, None))),
                None => Op::Confirm(Confirm::new(apex, confirmation, None)),
            })
        };
        waiting.into_iter().filter_map(again).collect()
    }
}
