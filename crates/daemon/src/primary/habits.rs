//! What was learnt of how primaries want to be asked, for all zones that ask there.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secondo_lifecycle::PrimaryId;
use secondo_tsig::Key;
use secondo_wire::Name;

use super::roll::{Did, Roll};

/// How long a primary is asked without EDNS; then the ordinary way is tried again.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// How an address of a primary wants to be asked, as far as that differs from the ordinary way, and which of several keys
/// did there. A primary of one key in good order leaves nothing here.
#[derive(Debug, Default)]
pub(crate) struct Habits(Mutex<HashMap<Place, Habit>>);

/// A primary, and which of its addresses. By its number and not its name: of primaries written in place several may be at
/// one address, with other keys each.
pub(crate) type Place = (PrimaryId, SocketAddr);

#[derive(Clone, Debug, Default)]
struct Habit {
    /// RFC 6891 §7: it does not understand EDNS, until this moment (boot clock).
    without_edns: Option<Duration>,
    /// Of its several keys.
    roll: Option<Roll>,
}

impl Habit {
    fn is_ordinary(&self) -> bool {
        self.without_edns.is_none() && self.roll.is_none()
    }
}

/// The order in which one question is tried.
#[derive(Debug)]
pub(crate) struct Manner {
    /// With EDNS first.
    pub edns: bool,
    /// The keys to try, one after another; a single `None` for a primary without keys.
    pub seals: Vec<Option<Key>>,
}

/// A question was answered in order.
#[derive(Debug)]
pub(super) struct Worked {
    /// With EDNS.
    pub(super) edns: bool,
    /// Which of several keys did, and whether it is the first of them.
    pub(super) key: Option<(Did, bool)>,
    /// Other keys were tried before it.
    pub(super) in_vain: bool,
}

impl Habits {
    /// How a primary with these keys is best asked. All of them are tried and no other seal: what was learnt decides about
    /// the order alone.
    pub(super) fn manner(&self, place: &Place, keys: &[Key], now: Duration) -> Manner {
        let habits = self.lock();
        let habit = habits.get(place);
        let mut seals: Vec<_> = keys.iter().cloned().map(Some).collect();
        if let Some(preferred) = habit.and_then(|habit| habit.roll.as_ref()?.preferred(now))
            && let Some(place) = keys.iter().position(|key| key.name() == preferred)
            && let Some(front) = seals.get_mut(..=place)
        {
            front.rotate_right(1);
        }
        if seals.is_empty() {
            seals.push(None);
        }
        let without_edns = habit.and_then(|habit| habit.without_edns);
        Manner { edns: without_edns.is_none_or(|until| until <= now), seals }
    }

    /// Learns from a question that was answered in order.
    pub(super) fn worked(&self, place: Place, Worked { edns, key, in_vain }: Worked, now: Duration) {
        let mut habits = self.lock();
        if habits.is_empty() && edns && key.is_none() {
            return;
        }
        let mut habit = habits.remove(&place).unwrap_or_default();
        // Something that holds on is tried the ordinary way again in time: what is confirmed is not prolonged.
        let known = habit.without_edns.filter(|until| now < *until);
        habit.without_edns = (!edns).then(|| known.unwrap_or(now.saturating_add(REMEMBERED)));
        match key {
            Some((did, is_first)) => habit.roll.get_or_insert_default().note(did, is_first, in_vain),
            None => habit.roll = None,
        }
        if !habit.is_ordinary() {
            habits.insert(place, habit);
        }
    }

    /// What is known of a primary's keys, when it has several, for the zones that ask there.
    pub(crate) fn roll(&self, place: &Place, keys: &[Key], asks: impl Fn(&Name) -> bool) -> Option<Roll> {
        let roll = self.lock().get(place)?.roll.clone()?;
        roll.among(&keys.iter().map(|key| key.name().clone()).collect::<Vec<Name>>(), asks)
    }

    /// An operator asks: everything is tried the ordinary way again.
    pub(crate) fn ask_anew(&self, place: &Place) {
        if let Some(habit) = self.lock().get_mut(place) {
            habit.without_edns = None;
            if let Some(roll) = &mut habit.roll {
                roll.until = Duration::ZERO;
            }
        }
    }

    /// Forgets all but what is still configured.
    pub(crate) fn keep(&self, is_there: impl Fn(&Place) -> bool) {
        self.lock().retain(|place, _| is_there(place));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Habit>> {
        // Each change is one insertion or removal: what a panic left behind is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secondo_tsig::Algorithm;

    const fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn keys() -> Vec<Key> {
        let key = |name: &str| Key::new(name.parse().unwrap(), Algorithm::HmacSha256, b"secret").unwrap();
        ["new.", "old.", "oldest."].map(key).to_vec()
    }

    fn place() -> Place {
        (PrimaryId(1), "192.0.2.1:53".parse().unwrap())
    }

    /// Whether EDNS goes along, and the names of the keys in the order in which they are tried.
    fn asked(habits: &Habits, now: u64) -> (bool, Vec<String>) {
        let manner = habits.manner(&place(), &keys(), seconds(now));
        (manner.edns, manner.seals.iter().map(|key| key.as_ref().unwrap().name().to_string()).collect())
    }

    fn worked(habits: &Habits, edns: bool, key: Option<&str>, in_vain: bool, now: u64) {
        let key = key.map(|text| {
            let did = Did {
                key: text.parse().unwrap(),
                zone: "a.".parse().unwrap(),
                transfer: true,
                at: seconds(now),
            };
            (did, text == "new.")
        });
        habits.worked(place(), Worked { edns, key, in_vain }, seconds(now));
    }

    #[test]
    fn the_key_that_was_needed_goes_first_for_an_hour_and_all_others_follow() {
        let habits = Habits::default();
        assert_eq!(asked(&habits, 0).1, ["new.", "old.", "oldest."]);
        worked(&habits, true, Some("oldest."), true, 10);
        assert_eq!(asked(&habits, 3609).1, ["oldest.", "new.", "old."]);
        assert_eq!(asked(&habits, 3610).1, ["new.", "old.", "oldest."]);
        worked(&habits, true, Some("old."), true, 3700);
        assert_eq!(asked(&habits, 3700).1, ["old.", "new.", "oldest."]);
        worked(&habits, true, Some("new."), true, 3800);
        assert_eq!(asked(&habits, 3800).1, ["new.", "old.", "oldest."]);
    }

    #[test]
    fn an_operator_who_asks_has_the_first_key_tried_at_once() {
        let habits = Habits::default();
        worked(&habits, false, Some("old."), true, 10);
        habits.ask_anew(&place());
        assert_eq!(asked(&habits, 11), (true, vec!["new.".into(), "old.".into(), "oldest.".into()]));
        assert!(
            habits.roll(&place(), &keys(), |_| true).unwrap().other().is_some(),
            "what was is still told"
        );
    }

    #[test]
    fn a_primary_that_understands_no_edns_is_asked_without_for_an_hour() {
        let habits = Habits::default();
        worked(&habits, false, None, false, 10);
        assert!(!asked(&habits, 3609).0);
        worked(&habits, false, None, false, 3000);
        assert!(asked(&habits, 3610).0);
        worked(&habits, false, Some("old."), true, 4000);
        worked(&habits, true, Some("old."), false, 4001);
        assert_eq!(asked(&habits, 4001), (true, vec!["old.".into(), "new.".into(), "oldest.".into()]));
    }

    #[test]
    fn nothing_is_left_of_a_primary_of_one_key_in_good_order_nor_of_what_is_gone() {
        let habits = Habits::default();
        worked(&habits, true, None, false, 0);
        assert!(habits.lock().is_empty());
        worked(&habits, false, None, false, 0);
        worked(&habits, true, None, false, 1);
        assert!(habits.lock().is_empty());
        worked(&habits, true, Some("new."), false, 2);
        habits.keep(|there| *there == place());
        assert_eq!(habits.lock().len(), 1);
        habits.keep(|_| false);
        assert!(habits.lock().is_empty());
    }

    #[test]
    fn a_primary_without_keys_is_asked_without_a_seal_and_one_with_keys_never_is() {
        let habits = Habits::default();
        worked(&habits, true, Some("gone."), true, 0);
        assert!(matches!(habits.manner(&place(), &[], seconds(0)).seals[..], [None]));
        let seals = habits.manner(&place(), &keys(), seconds(0)).seals;
        assert!(seals.len() == 3 && seals.iter().all(Option::is_some));
    }
}
