//! The versions of a zone that a primary keeps, and the differences between them.

use std::collections::VecDeque;

use secondo_wire::{RecordType, Serial, Soa};
use secondo_zone::{Difference, Limits, Patch, Zone};

use crate::change::{Change, ChangeError};

/// Differences kept; a client further behind gets the whole zone (RFC 1995 §4).
const KEPT: usize = 64;

/// A zone and its past.
#[derive(Clone, Debug)]
pub struct History {
    newest: Zone,
    /// Each difference with the version it starts from, oldest first; each starts where the one before ends.
    past: VecDeque<(Zone, Difference)>,
}

impl History {
    /// A zone without a past.
    pub fn new(zone: Zone) -> History {
        History { newest: zone, past: VecDeque::new() }
    }

    /// The version that is served.
    pub fn newest(&self) -> &Zone {
        &self.newest
    }

    /// Puts a version in the place of the newest, with the difference between both.
    pub fn publish(&mut self, zone: Zone) {
        let difference = Difference::between(&self.newest, &zone);
        self.keep(zone, difference);
    }

    /// Makes the next version. The serial goes one up unless the change names another.
    pub fn change(&mut self, change: &Change) -> Result<(), ChangeError> {
        let mut patch = Patch::new(&self.newest, Limits::default());
        for rr in &change.removed {
            patch.delete(rr.owner.as_ref(), rr.rtype, &rr.rdata)?;
        }
        let mut soa = None;
        for rr in &change.added {
            match rr.rtype {
                RecordType::SOA => soa = Soa::from_rdata(&rr.rdata).map(|soa| (soa, rr.ttl)),
                _ => drop(patch.add(rr.owner.as_ref(), rr.rtype, rr.ttl, &rr.rdata)?),
            }
        }
        let (mut soa, ttl) = soa.unwrap_or_else(|| (self.newest.soa().clone(), self.newest.soa_ttl()));
        soa.serial = change.serial.unwrap_or_else(|| self.newest.serial().advanced_by(1));
        patch.replace_soa(ttl, &soa.to_rdata())?;
        let patched = patch.finish()?;
        self.keep(patched.zone, patched.difference);
        Ok(())
    }

    /// Forgets the past, as a primary does that was restarted without its journal.
    pub fn forget(&mut self) {
        self.past.clear();
    }

    /// The versions from `from` to the one before the newest, each with the difference to the next; `None` when `from`
    /// is not kept.
    pub(crate) fn since(&self, from: Serial) -> Option<impl Iterator<Item = &(Zone, Difference)>> {
        // The last of that serial: a primary that went back may have had it twice.
        let start = self.past.iter().rposition(|(zone, _)| zone.serial() == from)?;
        Some(self.past.iter().skip(start))
    }

    fn keep(&mut self, zone: Zone, difference: Difference) {
        let old = std::mem::replace(&mut self.newest, zone);
        self.past.push_back((old, difference));
        if self.past.len() > KEPT {
            self.past.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read_zone;
    use secondo_wire::Name;

    #[test]
    fn changes_lead_from_each_kept_version_to_the_newest() {
        let apex = Name::parse("example.").unwrap();
        let text = "@ 60 SOA ns h 4294967295 1 1 1 1\n@ 60 NS ns\nns 60 A 192.0.2.1\n";
        let mut history = History::new(read_zone(text, &apex).unwrap());
        let first = history.newest().clone();
        history.change(&Change::parse("+ a 60 A 192.0.2.2", &apex).unwrap()).unwrap();
        history.change(&Change::parse("- a A 192.0.2.2\n+ b 60 A 192.0.2.3", &apex).unwrap()).unwrap();
        assert_eq!(history.newest().serial(), Serial(1));
        assert!(history.since(Serial(1)).is_none() && history.since(Serial(9)).is_none());
        let chain: Vec<_> = history.since(first.serial()).unwrap().collect();
        assert_eq!(chain.len(), 2);
        let last = chain.iter().fold(first, |zone, (_, difference)| difference.apply(&zone).unwrap());
        assert_eq!(last.digest(), history.newest().digest());
        assert!(history.change(&Change::parse("- a A 192.0.2.2", &apex).unwrap()).is_err());
        history.forget();
        assert!(history.since(Serial(0)).is_none());
    }
}
