//! Answers that are not what was asked for, by what their zone holds: counted here, said elsewhere.

use secondo_wire::{Name, NameBuf, NameRef};

/// Answers that were not what they should have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flawed {
    /// The zone of the last of them.
    pub zone: Name,
    /// How many went without a proof that was wanted, or with less than one: the chain of NSEC or NSEC3 records is not whole.
    pub unproved: u64,
    /// How many went without because the chain has more iterations than are reckoned
    /// ([`crate::Table::with_nsec3_iterations`], RFC 9276 §3.2).
    pub iterations: u64,
    /// How many were SERVFAIL because the zone's chain says that there is what is not there (RFC 5155 §7.2.9).
    pub collided: u64,
    /// How many were SERVFAIL because no message has room for them.
    pub too_large: u64,
}

/// In what an answer is flawed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    Unproved,
    Iterations,
    Collided,
    TooLarge,
}

/// Those of one thread.
#[derive(Debug, Default)]
pub(crate) struct Flaws {
    counts: [u64; 4],
    zone: Option<Box<NameBuf>>,
}

impl Flaws {
    #[cold]
    pub(crate) fn note(&mut self, flaw: Flaw, zone: NameRef<'_>) {
        self.counts[flaw as usize] += 1;
        self.zone.get_or_insert_with(|| Box::new(NameBuf::new())).set(zone);
    }

    /// Those since this was last asked.
    pub(crate) fn take(&mut self) -> Option<Flawed> {
        if self.counts == [0; 4] {
            return None;
        }
        let [unproved, iterations, collided, too_large] = std::mem::take(&mut self.counts);
        let zone = self.zone.as_ref()?.as_ref().as_ref().to_owned();
        Some(Flawed { zone, unproved, iterations, collided, too_large })
    }
}
