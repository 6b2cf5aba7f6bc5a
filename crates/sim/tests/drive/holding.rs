//! One zone of the secondary: its machine, what is served, and what honest answers allow.

use std::sync::Arc;

use secondo_lifecycle::{Accept, AttemptId, Machine, Question, Settings, Validity};
use secondo_sim::{Chance, Name, Zone};

use crate::reference::Reference;

/// An attempt that the machine wants: it waits for admission, or it is under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) attempt: AttemptId,
    /// The primary.
    pub(crate) primary: usize,
    /// `None`: the SOA.
    pub(crate) question: Option<(Question, Accept)>,
}

pub(crate) struct Holding {
    pub(crate) apex: Name,
    /// Its primaries: the one that makes versions, and the one that follows.
    pub(crate) pair: [usize; 2],
    pub(crate) settings: Arc<Settings>,
    pub(crate) machine: Machine,
    /// What is served.
    pub(crate) zone: Option<Zone>,
    pub(crate) wanted: Option<Wanted>,
    pub(crate) reference: Reference,
    /// It is large at times.
    pub(crate) large: bool,
    /// Hosts that it ever had.
    pub(crate) hosts: u32,
}

impl Holding {
    pub(crate) fn is_served(&self) -> bool {
        matches!(self.machine.validity(), Validity::Current { .. })
    }

    /// Two of the primaries.
    pub(crate) fn any_pair(primaries: usize, chance: &mut Chance) -> [usize; 2] {
        let first = chance.below(primaries as u64) as usize;
        let second = (first + 1 + chance.below(primaries as u64 - 1) as usize) % primaries;
        [first, second]
    }
}
