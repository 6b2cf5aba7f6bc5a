//! Answers that are not what was asked for, by what their zone holds: counted here, said elsewhere.

use secondo_wire::{Name, NameBuf, NameRef};

/// In what an answer is flawed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It went without a proof that was wanted, or with less than one: the chain of NSEC or NSEC3 records is not whole.
    Unproved,
    /// It went without one because the chain has more iterations than are reckoned
    /// ([`crate::Table::with_nsec3_iterations`], RFC 9276 §3.2).
    Iterations,
    /// It was SERVFAIL because the zone's chain says that there is what is not there (RFC 5155 §7.2.9).
    Collided,
    /// It was SERVFAIL because no message has room for it.
    TooLarge,
}

impl Flaw {
    /// All of them, each at the place of its counts.
    pub const ALL: [Flaw; 4] = [Flaw::Unproved, Flaw::Iterations, Flaw::Collided, Flaw::TooLarge];
}

/// How many answers there were with each flaw, in the order of [`Flaw::ALL`].
pub type FlawCounts = [u64; Flaw::ALL.len()];

/// Answers that were not what they should have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flawed {
    /// The zone of the last of them.
    pub zone: Name,
    /// How many there were; not all are zero.
    pub counts: FlawCounts,
}

/// Those of one thread.
#[derive(Debug, Default)]
pub(crate) struct Flaws {
    counts: FlawCounts,
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
        if self.counts == FlawCounts::default() {
            return None;
        }
        let zone = self.zone.as_ref()?.as_ref().as_ref().to_owned();
        Some(Flawed { zone, counts: std::mem::take(&mut self.counts) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flaw_has_a_place_among_the_counts() {
        let (mut flaws, zone) = (Flaws::default(), Name::root());
        assert_eq!(flaws.take(), None);
        for (place, flaw) in Flaw::ALL.into_iter().enumerate() {
            flaws.note(flaw, zone.as_ref());
            assert_eq!(flaws.take().map(|flawed| flawed.counts[place]), Some(1), "{flaw:?}");
        }
        assert_eq!(flaws.take(), None);
    }
}
