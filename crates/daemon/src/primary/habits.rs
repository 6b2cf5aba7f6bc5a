//! What was learnt of how primaries want to be asked, for all zones that ask there.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secondo_tsig::Key;
use secondo_wire::Name;

/// How long something learnt is acted upon; then the ordinary way is tried again.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// How an address of a primary wants to be asked, as far as that differs from the ordinary way. A primary in good
/// order leaves nothing here.
#[derive(Debug, Default)]
pub(crate) struct Habits(Mutex<HashMap<(Arc<str>, SocketAddr), Habit>>);

#[derive(Clone, Debug, Default)]
struct Habit {
    /// RFC 6891 §7: it does not understand EDNS, until this moment (boot clock).
    without_edns: Option<Duration>,
    /// Another than its first key works, until this moment.
    key: Option<(Name, Duration)>,
}

impl Habit {
    fn forget(&mut self, now: Duration) {
        self.without_edns = self.without_edns.filter(|until| now < *until);
        self.key = self.key.take().filter(|(_, until)| now < *until);
    }

    fn is_ordinary(&self) -> bool {
        self.without_edns.is_none() && self.key.is_none()
    }
}

/// The order in which one question is tried.
#[derive(Debug)]
pub(crate) struct Manner {
    /// With EDNS first.
    pub edns: bool,
    /// The keys to try, one after another, each with its place in the configuration; a single `None` for a primary
    /// without keys.
    pub seals: Vec<(usize, Option<Key>)>,
}

impl Habits {
    /// How the primary of that name is best asked at `address`. All of its keys are tried and no other seal: what was
    /// learnt decides about the order alone.
    pub(crate) fn manner(&self, name: &Arc<str>, address: SocketAddr, keys: &[Key], now: Duration) -> Manner {
        let mut habit = self.lock().get(&(Arc::clone(name), address)).cloned().unwrap_or_default();
        habit.forget(now);
        let mut seals: Vec<_> = keys.iter().cloned().map(Some).enumerate().collect();
        if let Some((name, _)) = habit.key
            && let Some(place) = keys.iter().position(|key| *key.name() == name)
            && let Some(front) = seals.get_mut(..=place)
        {
            front.rotate_right(1);
        }
        if seals.is_empty() {
            seals.push((0, None));
        }
        Manner { edns: habit.without_edns.is_none(), seals }
    }

    /// A question was answered in order. `edns`: with it; `key`: its name, when it was not the first of the primary's.
    pub(crate) fn worked(
        &self,
        name: &Arc<str>,
        address: SocketAddr,
        edns: bool,
        key: Option<&Name>,
        now: Duration,
    ) {
        let mut habits = self.lock();
        if habits.is_empty() && edns && key.is_none() {
            return;
        }
        habits.retain(|_, habit| {
            habit.forget(now);
            !habit.is_ordinary()
        });
        let until = now.saturating_add(REMEMBERED);
        let place = (Arc::clone(name), address);
        let old = habits.remove(&place).unwrap_or_default();
        // Something that holds on is tried the ordinary way again in time: what is confirmed is not prolonged.
        let habit = Habit {
            without_edns: (!edns).then(|| old.without_edns.unwrap_or(until)),
            key: key.map(|key| match old.key {
                Some((same, until)) if same == *key => (same, until),
                _ => (key.clone(), until),
            }),
        };
        if !habit.is_ordinary() {
            habits.insert(place, habit);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Arc<str>, SocketAddr), Habit>> {
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

    fn place() -> (Arc<str>, SocketAddr) {
        ("hidden".into(), "192.0.2.1:53".parse().unwrap())
    }

    /// Whether EDNS goes along, and the names of the keys in the order in which they are tried.
    fn asked(habits: &Habits, now: u64) -> (bool, Vec<String>) {
        let (name, address) = place();
        let manner = habits.manner(&name, address, &keys(), seconds(now));
        (manner.edns, manner.seals.iter().map(|(_, key)| key.as_ref().unwrap().name().to_string()).collect())
    }

    fn worked(habits: &Habits, edns: bool, key: Option<&str>, now: u64) {
        let (name, address) = place();
        let key: Option<Name> = key.map(|key| key.parse().unwrap());
        habits.worked(&name, address, edns, key.as_ref(), seconds(now));
    }

    #[test]
    fn the_key_that_works_goes_first_for_an_hour_and_all_others_follow() {
        let habits = Habits::default();
        assert_eq!(asked(&habits, 0).1, ["new.", "old.", "oldest."]);
        worked(&habits, true, Some("oldest."), 10);
        assert_eq!(asked(&habits, 3609).1, ["oldest.", "new.", "old."]);
        worked(&habits, true, Some("oldest."), 3000);
        assert_eq!(asked(&habits, 3610).1, ["new.", "old.", "oldest."], "success does not prolong it");
        worked(&habits, true, Some("old."), 3700);
        assert_eq!(asked(&habits, 3700).1, ["old.", "new.", "oldest."]);
        worked(&habits, true, None, 3800);
        assert_eq!(asked(&habits, 3800).1, ["new.", "old.", "oldest."]);
    }

    #[test]
    fn a_primary_that_understands_no_edns_is_asked_without_for_an_hour() {
        let habits = Habits::default();
        worked(&habits, false, None, 10);
        assert!(!asked(&habits, 3609).0);
        worked(&habits, false, None, 3000);
        assert!(asked(&habits, 3610).0);
        worked(&habits, false, Some("old."), 4000);
        worked(&habits, true, Some("old."), 4001);
        assert_eq!(asked(&habits, 4001), (true, vec!["old.".into(), "new.".into(), "oldest.".into()]));
    }

    #[test]
    fn nothing_is_left_of_a_primary_in_good_order_nor_of_what_is_over() {
        let habits = Habits::default();
        worked(&habits, true, None, 0);
        assert!(habits.lock().is_empty());
        worked(&habits, false, Some("old."), 0);
        assert_eq!(habits.lock().len(), 1);
        habits.worked(&"other".into(), place().1, true, None, seconds(3600));
        assert!(habits.lock().is_empty());
    }

    #[test]
    fn a_primary_without_keys_is_asked_without_a_seal_and_one_with_keys_never_is() {
        let (name, address) = place();
        let habits = Habits::default();
        worked(&habits, true, Some("gone."), 0);
        assert!(matches!(habits.manner(&name, address, &[], seconds(0)).seals[..], [(0, None)]));
        let seals = habits.manner(&name, address, &keys(), seconds(0)).seals;
        assert!(seals.len() == 3 && seals.iter().all(|(_, key)| key.is_some()));
    }
}
