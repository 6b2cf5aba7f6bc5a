//! The places of TCP connections. When all are taken, whoever comes next is let in all the same: of the range of addresses that
//! holds the most places, the connection that has rested longest is asked to leave (RFC 7766 §6.2.3). So nobody keeps others out,
//! however many connections he opens; and nobody is hurried who shares the server with himself alone: against his own
//! newcomers his connections have a while.
//!
//! Who opens or closes a connection takes a lock; a question over it takes none.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use secondo_answer::IpPrefix;
use tokio::sync::oneshot::{Receiver, Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Addresses that count as one client: an address of IPv4, and of IPv6 what one site has (RFC 6177 §2).
const RANGES: (u8, u8) = (32, 56);
/// Stands for a time of rest that has not begun.
const BUSY: u64 = u64::MAX;
/// How long a connection may rest before it has to make room for another of the same range, milliseconds.
const WHILE: u64 = 1000;
/// How often somebody is looked for who may be asked to leave.
const LOOK: Duration = Duration::from_millis(50);

/// All places.
pub(super) struct Places {
    free: Arc<Semaphore>,
    taken: Mutex<Taken>,
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
            start: Instant::now(),
        }
    }

    /// Whether all places are taken.
    pub(super) fn are_taken(&self) -> bool {
        self.free.available_permits() == 0
    }

    /// A place for a connection from `peer`, as soon as there is one.
    pub(super) async fn take(self: &Arc<Self>, peer: IpAddr) -> Place {
        let (ipv4, ipv6) = RANGES;
        let range = IpPrefix::around(peer, if peer.to_canonical().is_ipv4() { ipv4 } else { ipv6 });
        let mut free = pin!(Arc::clone(&self.free).acquire_owned());
        let (mut wait, mut is_met) = (Duration::ZERO, false);
        let permit = loop {
            if let Ok(permit) = timeout(wait, free.as_mut()).await {
                break permit.expect("places are never closed");
            }
            is_met = is_met || self.make_room(&range);
            wait = LOOK;
        };
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

    /// Asks somebody to leave for a newcomer of `range`; false when there is nobody now.
    fn make_room(&self, range: &IpPrefix) -> bool {
        let now = self.now();
        let mut taken = self.taken();
        let Taken { holders, ranges, .. } = &mut *taken;
        let places_of = |range: &IpPrefix| ranges.get(range).copied().unwrap_or_default();
        let own = places_of(range);
        let asked = holders.values_mut().filter_map(|holder| {
            let since = holder.rests_since.load(Relaxed);
            let places = places_of(&holder.range);
            let may_be = places > own || places == own && now.saturating_sub(since) >= WHILE;
            (since != BUSY && holder.leave.is_some() && may_be).then_some(((Reverse(places), since), holder))
        });
        let longest = asked.min_by_key(|(order, _)| *order);
        longest.and_then(|(_, holder)| holder.leave.take()).is_some_and(|leave| leave.send(()).is_ok())
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
    /// Says that the connection rests from now on, or has something under way.
    pub(super) fn rest(&self, is_busy: bool) {
        self.rests_since.store(if is_busy { BUSY } else { self.places.now() }, Relaxed);
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

    /// What a future comes to in no more than a few looks.
    async fn soon<T>(future: impl Future<Output = T>) -> Option<T> {
        timeout(2 * LOOK, future).await.ok()
    }

    fn is_asked(place: &mut Place) -> bool {
        place.wanted.try_recv().is_ok()
    }

    #[tokio::test]
    async fn of_who_holds_more_places_the_one_that_rests_longest_is_asked() {
        let places = Arc::new(Places::new(4));
        let mut few = places.take(FEW.into()).await;
        let [mut busy, mut first, mut second] =
            [places.take(MANY.into()).await, places.take(MANY.into()).await, places.take(MANY.into()).await];
        assert!(places.are_taken());
        few.rests_since.store(1, Relaxed);
        busy.rest(true);
        second.rests_since.store(5, Relaxed);
        first.rests_since.store(6, Relaxed);
        let mut one = Box::pin(places.take(FEW.into()));
        assert!(soon(one.as_mut()).await.is_none());
        assert!(is_asked(&mut second) && !is_asked(&mut first) && !is_asked(&mut few));
        // Each newcomer has somebody of his own asked.
        let mut two = Box::pin(places.take(FEW.into()));
        assert!(soon(two.as_mut()).await.is_none());
        assert!(is_asked(&mut first) && !is_asked(&mut few) && !is_asked(&mut busy));
        drop((first, second));
        let held = (one.await, two.await);
        drop((few, busy, held));
        let taken = places.taken();
        assert!(taken.holders.is_empty() && taken.ranges.is_empty(), "nothing is left of those who went");
    }

    #[tokio::test]
    async fn a_range_takes_no_place_of_another_that_has_fewer_and_gives_its_own_connections_a_while() {
        let places = Arc::new(Places::new(3));
        let mut few = places.take(FEW.into()).await;
        let [mut first, mut second] = [places.take(MANY.into()).await, places.take(MANY.into()).await];
        few.rests_since.store(0, Relaxed);
        let mut newcomer = Box::pin(places.take(MANY.into()));
        assert!(soon(newcomer.as_mut()).await.is_none());
        assert!(![&mut few, &mut first, &mut second].into_iter().any(is_asked));
        let asked = tokio::select! {
            _ = newcomer.as_mut() => None,
            asked = &mut first.wanted => Some(asked),
            asked = &mut second.wanted => Some(asked),
        };
        assert_eq!(asked, Some(Ok(())), "when it has rested for a while");
        assert!(!is_asked(&mut few));
    }
}
