//! The places of TCP connections. When all are taken, whoever comes next is let in all the same where somebody is idle: of the
//! range of addresses that holds the most places, the connection that has been idle longest is closed (RFC 7766 §6.2.3). So
//! nobody keeps others out, however many connections he opens, and nobody is held back while there is room.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secondo_answer::IpPrefix;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Addresses that count as one client: an address of IPv4, and of IPv6 what one site has (RFC 6177 §2).
const RANGES: (u8, u8) = (32, 56);

/// All places.
pub(super) struct Places {
    free: Arc<Semaphore>,
    taken: Mutex<HashMap<IpPrefix, Taken>>,
}

/// What one range of addresses holds.
#[derive(Default)]
struct Taken {
    places: usize,
    leave: Arc<Notify>,
}

/// A place, given back when it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    range: IpPrefix,
    leave: Arc<Notify>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(places: usize) -> Places {
        let free = Arc::new(Semaphore::new(places.clamp(1, Semaphore::MAX_PERMITS)));
        Places { free, taken: Mutex::default() }
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
                self.make_room();
                Arc::clone(&self.free).acquire_owned().await.expect("places are never closed")
            }
        };
        let (ipv4, ipv6) = RANGES;
        let range = IpPrefix::around(peer, if peer.to_canonical().is_ipv4() { ipv4 } else { ipv6 });
        let mut taken = self.taken();
        let of_range = taken.entry(range).or_default();
        of_range.places += 1;
        let leave = Arc::clone(&of_range.leave);
        Place { places: Arc::clone(self), range, leave, _permit: permit }
    }

    /// Has the range with the most places give one up: the first of it that is idle, or the next to be.
    fn make_room(&self) {
        if let Some(most) = self.taken().values().max_by_key(|taken| taken.places) {
            most.leave.notify_one();
        }
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<IpPrefix, Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Ends when the place is wanted for somebody else. Of a range's connections, the one that has waited here longest is asked.
    pub(super) async fn wanted(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some(of_range) = taken.get_mut(&self.range) {
            of_range.places -= 1;
            if of_range.places == 0 {
                taken.remove(&self.range);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: [u8; 4] = [192, 0, 2, 1];
    const MANY: [u8; 4] = [192, 0, 2, 2];

    /// Whether a future is over without waiting.
    async fn is_over(future: impl Future<Output = ()>) -> bool {
        tokio::select! {
            biased;
            () = future => true,
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test]
    async fn who_holds_the_most_places_gives_one_up_the_longest_idle_first() {
        let places = Arc::new(Places::new(3));
        let few = places.take(FEW.into()).await;
        let (first, second) = (places.take(MANY.into()).await, places.take(MANY.into()).await);
        assert!(places.are_taken());
        let (mut few_wanted, mut second_wanted) = (Box::pin(few.wanted()), Box::pin(second.wanted()));
        let mut first_wanted = Box::pin(first.wanted());
        // The second is idle before the first.
        assert!(!is_over(few_wanted.as_mut()).await);
        assert!(!is_over(second_wanted.as_mut()).await);
        assert!(!is_over(first_wanted.as_mut()).await);
        let mut newcomer = Box::pin(places.take(FEW.into()));
        tokio::select! {
            biased;
            _ = newcomer.as_mut() => panic!("there is no place yet"),
            () = second_wanted.as_mut() => {}
        }
        assert!(!is_over(few_wanted.as_mut()).await && !is_over(first_wanted.as_mut()).await);
        drop(second_wanted);
        drop(second);
        let newcomer = newcomer.await;
        assert!(places.are_taken());
        drop((few_wanted, first_wanted));
        drop((few, first, newcomer));
        assert!(places.taken().is_empty(), "nothing is left of those who went");
    }

    #[tokio::test]
    async fn who_is_busy_is_asked_when_he_is_idle() {
        let places = Arc::new(Places::new(1));
        let place = places.take(MANY.into()).await;
        assert!(!is_over(async { drop(places.take(FEW.into()).await) }).await);
        assert!(is_over(place.wanted()).await);
    }
}
