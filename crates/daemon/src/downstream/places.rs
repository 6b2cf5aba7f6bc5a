//! The places of TCP connections. When all are taken, whoever comes next is let in all the same: of the range of addresses that
//! holds the most places among those with somebody idle, the connection that has been idle longest is asked to leave (RFC 7766
//! §6.2.3). So nobody keeps others out, however many connections he opens, and nobody is held back while there is room.
//!
//! Who opens or closes a connection takes a lock; a question over it takes none.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use secondo_answer::IpPrefix;
use tokio::sync::oneshot::{Receiver, Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Addresses that count as one client: an address of IPv4, and of IPv6 what one site has (RFC 6177 §2).
const RANGES: (u8, u8) = (32, 56);
/// Stands for a time of rest that has not begun.
const BUSY: u64 = u64::MAX;

/// All places.
pub(super) struct Places {
    free: Arc<Semaphore>,
    taken: Mutex<Taken>,
    /// Newcomers for whom nobody could be asked to leave: everybody was busy.
    unmet: AtomicUsize,
    start: Instant,
}

/// Who has a place.
#[derive(Default)]
struct Taken {
    next: u64,
    holders: HashMap<u64, Holder>,
    /// Places of each range.
    ranges: HashMap<IpPrefix, usize>,
}

struct Holder {
    range: IpPrefix,
    /// Since when it rests, milliseconds, or [`BUSY`].
    rests_since: Arc<AtomicU64>,
    /// Asks it to leave; gone once it was asked.
    leave: Option<Sender<()>>,
}

/// A place, given back when it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    rests_since: Arc<AtomicU64>,
    /// Hears that somebody else wants the place, once.
    pub(super) wanted: Receiver<()>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(places: usize) -> Places {
        Places {
            free: Arc::new(Semaphore::new(places.clamp(1, Semaphore::MAX_PERMITS))),
            taken: Mutex::default(),
            unmet: AtomicUsize::new(0),
            start: Instant::now(),
        }
    }

    /// Whether all places are taken.
    pub(super) fn are_taken(&self) -> bool {
        self.free.available_permits() == 0
    }

    /// A place for a connection from `peer`, as soon as there is one.
    pub(super) async fn take(self: &Arc<Self>, peer: IpAddr) -> Place {
        let permit = match Arc::clone(&self.free).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let is_met = self.make_room();
                self.unmet.fetch_add(usize::from(!is_met), Relaxed);
                let permit = Arc::clone(&self.free).acquire_owned().await.expect("places are never closed");
                // Whoever left may have done so for reasons of his own.
                if !is_met {
                    self.meet();
                }
                permit
            }
        };
        let (ipv4, ipv6) = RANGES;
        let range = IpPrefix::around(peer, if peer.to_canonical().is_ipv4() { ipv4 } else { ipv6 });
        let (leave, wanted) = channel();
        let rests_since = Arc::new(AtomicU64::new(self.now()));
        let holder = Holder { range, rests_since: Arc::clone(&rests_since), leave: Some(leave) };
        let mut taken = self.taken();
        let number = taken.next;
        taken.next += 1;
        taken.holders.insert(number, holder);
        *taken.ranges.entry(range).or_default() += 1;
        Place { places: Arc::clone(self), number, rests_since, wanted, _permit: permit }
    }

    /// Asks somebody who rests to leave; false when there is nobody.
    fn make_room(&self) -> bool {
        let mut taken = self.taken();
        let Taken { holders, ranges, .. } = &mut *taken;
        let resting = holders.values_mut().filter_map(|holder| {
            let since = holder.rests_since.load(Relaxed);
            (since != BUSY && holder.leave.is_some()).then_some((since, holder))
        });
        let longest =
            resting.min_by_key(|(since, holder)| (Reverse(ranges.get(&holder.range).copied()), *since));
        longest.and_then(|(_, holder)| holder.leave.take()).is_some_and(|leave| leave.send(()).is_ok())
    }

    /// Takes one of those off for whom nobody could be asked, if there is one.
    fn meet(&self) -> bool {
        self.unmet.load(Relaxed) > 0
            && self.unmet.fetch_update(Relaxed, Relaxed, |unmet| unmet.checked_sub(1)).is_ok()
    }

    /// Milliseconds of its own clock.
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(BUSY - 1)
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Says that the connection rests from now on, or has something under way. True when it is to leave: somebody waits for whom
    /// nobody could be asked.
    pub(super) fn rest(&self, is_busy: bool) -> bool {
        self.rests_since.store(if is_busy { BUSY } else { self.places.now() }, Relaxed);
        !is_busy && self.places.meet()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        let Some(holder) = taken.holders.remove(&self.number) else { return };
        if let Some(places) = taken.ranges.get_mut(&holder.range) {
            *places -= 1;
            if *places == 0 {
                taken.ranges.remove(&holder.range);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: [u8; 4] = [192, 0, 2, 1];
    const MANY: [u8; 4] = [192, 0, 2, 2];

    /// What a future comes to without waiting.
    async fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            value = future => Some(value),
            () = std::future::ready(()) => None,
        }
    }

    fn is_asked(place: &mut Place) -> bool {
        place.wanted.try_recv().is_ok()
    }

    #[tokio::test]
    async fn of_who_holds_the_most_places_the_one_that_rests_longest_is_asked() {
        let places = Arc::new(Places::new(4));
        let mut few = places.take(FEW.into()).await;
        let [mut busy, mut first, mut second] =
            [places.take(MANY.into()).await, places.take(MANY.into()).await, places.take(MANY.into()).await];
        assert!(places.are_taken());
        few.rests_since.store(1, Relaxed);
        assert!(!busy.rest(true));
        second.rests_since.store(5, Relaxed);
        first.rests_since.store(6, Relaxed);
        let mut newcomers = [FEW, FEW, FEW].map(|peer| Box::pin(places.take(peer.into())));
        assert!(at_once(newcomers[0].as_mut()).await.is_none());
        assert!(is_asked(&mut second) && !is_asked(&mut first) && !is_asked(&mut few));
        // Each newcomer has somebody of his own asked; then there is nobody left.
        assert!(at_once(newcomers[1].as_mut()).await.is_none());
        assert!(is_asked(&mut first) && !is_asked(&mut few));
        drop((first, second));
        let [one, two, third] = newcomers;
        let held = [one.await, two.await];
        assert!(at_once(third).await.is_none());
        assert!(!is_asked(&mut busy));
        drop((few, busy, held));
        let taken = places.taken();
        assert!(taken.holders.is_empty() && taken.ranges.is_empty(), "nothing is left of those who went");
    }

    #[tokio::test]
    async fn who_was_busy_leaves_when_it_rests_unless_the_newcomer_has_found_a_place() {
        let places = Arc::new(Places::new(2));
        let (place, other) = (places.take(MANY.into()).await, places.take(MANY.into()).await);
        assert!(!place.rest(true) && !other.rest(true));
        let mut newcomer = Box::pin(places.take(FEW.into()));
        assert!(at_once(newcomer.as_mut()).await.is_none());
        assert!(place.rest(false), "somebody waits");
        assert!(!other.rest(false), "one is enough");
        drop(place);
        let newcomer = newcomer.await;
        assert!(!other.rest(true) && !newcomer.rest(true));
        let mut next = Box::pin(places.take(FEW.into()));
        assert!(at_once(next.as_mut()).await.is_none());
        drop(newcomer);
        let _next = next.await;
        assert!(!other.rest(false), "nobody waits any more");
    }
}
