//! What is known of a primary's keys while it has several: whether the first does, and whether another was needed.

use std::time::Duration;

use secondo_wire::Name;

/// How long another key than the first goes before it; then the first is tried again.
const PREFERRED: Duration = Duration::from_secs(3600);

/// A roll of keys, as far as one address of a primary went along with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roll {
    /// The first of the keys did, when it was last tried.
    pub(crate) first: Option<Did>,
    /// Another did, after the first had not; until the first does for the same zone.
    pub(crate) other: Option<Did>,
    /// Until then the other goes first.
    pub(crate) until: Duration,
}

/// A key did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Did {
    /// The key.
    pub(crate) key: Name,
    /// For this zone.
    pub(crate) zone: Name,
    /// For a transfer, which may need more than the question for the SOA.
    pub(crate) transfer: bool,
    /// When, on the boot clock.
    pub(crate) at: Duration,
}

impl Roll {
    /// The key that goes before the first now.
    pub(super) fn preferred(&self, now: Duration) -> Option<&Name> {
        self.other.as_ref().filter(|_| now < self.until).map(|did| &did.key)
    }

    /// A key did. `is_first`: of all; `in_vain`: others were tried before it, the first among them if it is not.
    pub(super) fn note(&mut self, did: Did, is_first: bool, in_vain: bool) {
        if is_first {
            let transferred = self.first.as_ref().is_some_and(|first| first.key == did.key && first.transfer);
            let settled = |other: &mut Did| other.zone == did.zone && did.transfer >= other.transfer;
            self.other.take_if(settled);
            self.until = Duration::ZERO;
            self.first = Some(Did { transfer: did.transfer || transferred, ..did });
        } else if in_vain {
            // Tried the ordinary way again in time: success does not prolong it.
            if self.preferred(did.at) != Some(&did.key) {
                self.until = did.at.saturating_add(PREFERRED);
            }
            // A key that may not transfer may do for the SOA all the same.
            self.first =
                self.first.take().filter(|_| did.transfer).map(|first| Did { transfer: false, ..first });
            self.other = Some(did);
        }
    }

    /// What of it holds for these keys, in their order.
    pub(super) fn among(mut self, keys: &[Name]) -> Option<Roll> {
        let (first, others) = keys.split_first().filter(|(_, others)| !others.is_empty())?;
        self.first.take_if(|did| did.key != *first);
        self.other.take_if(|did| !others.contains(&did.key));
        (self.first.is_some() || self.other.is_some()).then_some(self)
    }

    /// Whether the first key did after another was last needed.
    pub(crate) fn is_over(&self) -> bool {
        let at = |did: &Option<Did>| did.as_ref().map(|did| did.at);
        self.first.is_some() && at(&self.first) >= at(&self.other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn did(key: &str, zone: &str, transfer: bool, at: u64) -> Did {
        let name = |text: &str| text.parse().unwrap();
        Did { key: name(key), zone: name(zone), transfer, at: Duration::from_secs(at) }
    }

    fn preferred(roll: &Roll, at: u64) -> Option<String> {
        roll.preferred(Duration::from_secs(at)).map(ToString::to_string)
    }

    #[test]
    fn a_key_that_was_needed_goes_first_for_an_hour_and_that_does_not_count_as_need() {
        let mut roll = Roll::default();
        roll.note(did("old.", "a.", false, 10), false, true);
        assert_eq!(preferred(&roll, 3609), Some("old.".into()));
        roll.note(did("old.", "a.", true, 3000), false, false);
        assert_eq!(roll.other, Some(did("old.", "a.", false, 10)));
        assert_eq!(preferred(&roll, 3610), None, "success does not prolong it");
        roll.note(did("old.", "a.", false, 3700), false, true);
        assert_eq!(preferred(&roll, 7000), Some("old.".into()));
        roll.note(did("older.", "a.", false, 7000), false, true);
        assert_eq!(preferred(&roll, 10_599), Some("older.".into()));
    }

    #[test]
    fn the_roll_is_over_for_a_zone_when_the_first_key_does_for_what_needed_the_other() {
        let mut roll = Roll::default();
        roll.note(did("old.", "a.", true, 10), false, true);
        assert!(!roll.is_over());
        roll.note(did("new.", "a.", false, 20), true, false);
        assert!(roll.is_over() && roll.other.is_some(), "for a transfer nobody knows yet");
        assert_eq!(preferred(&roll, 20), None);
        roll.note(did("new.", "b.", true, 30), true, false);
        assert!(roll.other.is_some(), "that was another zone");
        roll.note(did("new.", "a.", true, 40), true, false);
        assert_eq!(roll.other, None);
        roll.note(did("new.", "a.", false, 50), true, false);
        assert!(roll.first.as_ref().unwrap().transfer, "once it did, it does until it does not");
        roll.note(did("old.", "a.", true, 60), false, true);
        assert_eq!(roll.first, Some(did("new.", "a.", false, 50)));
        assert!(!roll.is_over());
        roll.note(did("old.", "a.", false, 70), false, true);
        assert_eq!(roll.first, None);
    }

    #[test]
    fn what_was_learnt_of_keys_that_are_gone_is_not_told() {
        let names = |keys: &[&str]| -> Vec<Name> { keys.iter().map(|key| key.parse().unwrap()).collect() };
        let mut roll = Roll::default();
        roll.note(did("old.", "a.", true, 10), false, true);
        assert_eq!(roll.clone().among(&names(&["new.", "old."])), Some(roll.clone()));
        assert_eq!(roll.clone().among(&names(&["new.", "other."])), None);
        assert_eq!(roll.clone().among(&names(&["old.", "new."])), None);
        assert_eq!(roll.among(&names(&["old."])), None);
    }
}
