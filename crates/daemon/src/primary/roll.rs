//! What is known of a primary's keys while it has several: whether the first does, and whether another was needed.

use std::time::Duration;

use secondo_wire::Name;

/// How long another key than the first goes before it; then the first is tried again.
const PREFERRED: Duration = Duration::from_secs(3600);

/// So many zones that needed another key than the first are kept of one address.
const KEPT: usize = 1000;

/// A roll of keys, as far as one address of a primary went along with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roll {
    /// The first of the keys did, when it was last tried.
    pub(crate) first: Option<Did>,
    /// For these zones another did, after the first had not; each until the first does for it. The latest stands last.
    pub(crate) others: Vec<Did>,
    /// More zones needed another than are kept: nobody knows when the last of them does not any more.
    pub(crate) more: bool,
    /// The other that was needed last.
    pub(crate) ahead: Option<Name>,
    /// Until then it goes first.
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
        self.ahead.as_ref().filter(|_| now < self.until)
    }

    /// A key did. `is_first`: of all; `in_vain`: others were tried before it, the first among them if it is not.
    pub(super) fn note(&mut self, did: Did, is_first: bool, in_vain: bool) {
        if is_first {
            let transferred = self.first.as_ref().is_some_and(|first| first.key == did.key && first.transfer);
            self.others.retain(|other| other.zone != did.zone || other.transfer && !did.transfer);
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
            self.ahead = Some(did.key.clone());
            self.needed(did);
        }
    }

    fn needed(&mut self, did: Did) {
        let known = self.others.iter().position(|other| other.zone == did.zone);
        // What does not even do for the SOA does not transfer either.
        let transfer = known.is_some_and(|place| self.others.remove(place).transfer);
        if self.others.len() >= KEPT {
            self.others.remove(0);
            self.more = true;
        }
        self.others.push(Did { transfer: did.transfer || transfer, ..did });
    }

    /// What of it holds for these keys, in their order, and for zones that ask there.
    pub(super) fn among(mut self, keys: &[Name], asks: impl Fn(&Name) -> bool) -> Option<Roll> {
        let (first, others) = keys.split_first().filter(|(_, others)| !others.is_empty())?;
        self.first.take_if(|did| did.key != *first);
        self.others.retain(|did| others.contains(&did.key) && asks(&did.zone));
        (self.first.is_some() || !self.others.is_empty()).then_some(self)
    }

    /// Another key than the first, as it was last needed.
    pub(crate) fn other(&self) -> Option<&Did> {
        self.others.last()
    }

    /// Whether the first key did after another was last needed.
    pub(crate) fn is_over(&self) -> bool {
        let at = |did: Option<&Did>| did.map(|did| did.at);
        self.first.is_some() && at(self.first.as_ref()) >= at(self.other())
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
        assert_eq!(roll.others, [did("old.", "a.", false, 10)]);
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
        assert!(roll.is_over() && roll.other().is_some(), "for a transfer nobody knows yet");
        assert_eq!(preferred(&roll, 20), None);
        roll.note(did("new.", "b.", true, 30), true, false);
        assert!(roll.other().is_some(), "that was another zone");
        roll.note(did("new.", "a.", true, 40), true, false);
        assert_eq!(roll.other(), None);
        roll.note(did("new.", "a.", false, 50), true, false);
        assert!(roll.first.as_ref().unwrap().transfer, "once it did, it does until it does not");
        roll.note(did("old.", "a.", true, 60), false, true);
        assert_eq!(roll.first, Some(did("new.", "a.", false, 50)));
        assert!(!roll.is_over());
        roll.note(did("old.", "a.", false, 70), false, true);
        assert_eq!(roll.first, None);
    }

    #[test]
    fn each_zone_that_needed_another_key_is_kept_until_the_first_does_for_it() {
        let mut roll = Roll::default();
        roll.note(did("old.", "b.", true, 10), false, true);
        roll.note(did("old.", "a.", true, 20), false, true);
        roll.note(did("old.", "b.", false, 25), false, true);
        roll.note(did("new.", "a.", true, 30), true, false);
        assert_eq!(roll.others, [did("old.", "b.", true, 25)], "it needed it for a transfer, too");
        roll.note(did("new.", "b.", true, 40), true, false);
        assert!(roll.others.is_empty() && !roll.more);
    }

    #[test]
    fn of_zones_beyond_the_bound_it_is_known_that_there_were_some() {
        let mut roll = Roll::default();
        let all: Vec<String> = (0..=KEPT).map(|n| format!("z{n}.")).collect();
        for zone in &all {
            roll.note(did("old.", zone, true, 10), false, true);
        }
        assert!(roll.others.len() == KEPT && roll.more);
        for zone in &all {
            roll.note(did("new.", zone, true, 20), true, false);
        }
        assert!(roll.others.is_empty() && roll.more);
    }

    #[test]
    fn what_was_learnt_of_keys_and_zones_that_are_gone_is_not_told() {
        let names = |keys: &[&str]| -> Vec<Name> { keys.iter().map(|key| key.parse().unwrap()).collect() };
        let mut roll = Roll::default();
        roll.note(did("old.", "a.", true, 10), false, true);
        let told = |keys: &[&str], asks: bool| roll.clone().among(&names(keys), |_| asks);
        assert_eq!(told(&["new.", "old."], true), Some(roll.clone()));
        assert_eq!(told(&["new.", "old."], false), None, "its zone is gone");
        assert_eq!(told(&["new.", "other."], true), None);
        assert_eq!(told(&["old.", "new."], true), None);
        assert_eq!(told(&["old."], true), None);
    }
}
