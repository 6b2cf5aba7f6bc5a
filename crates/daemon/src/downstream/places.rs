//! The places of TCP connections. When all are taken, whoever comes next is let in all the same: of the range of addresses that
//! holds the most places, the connection that has rested longest is asked to leave (RFC 7766 §6.2.3). So nobody keeps others out,
//! however many connections he opens; and nobody is hurried who shares the server with himself alone: against his own
//! newcomers his connections have a while. A place that becomes free goes to whoever waits and has the fewest.
//!
//! Who opens or closes a connection takes a lock; a question over it takes none.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use secondo_answer::IpPrefix;
use tokio::sync::Notify;
use tokio::sync::oneshot::{Receiver, Sender, channel};
use tokio::time::{sleep_until, timeout};

/// Addresses that count as one client: an address of IPv4, and of IPv6 what one site has (RFC 6177 §2).
const RANGES: (u8, u8) = (32, 56);
/// Stands for a time of rest that has not begun.
const BUSY: u64 = u64::MAX;
/// How long a connection may rest before it has to make room for another of the same range, milliseconds.
const WHILE: u64 = 1000;
/// How long a connection goes on when its place is wanted: what its client has sent may be on its way.
const CROWDED: Duration = Duration::from_millis(50);
/// How long who was asked to leave may take until another is asked, milliseconds: more than [`CROWDED`], for whoever has not
/// left by then has begun a transfer.
const LEAVING: u64 = 150;
/// How often it is looked for somebody who may be asked to leave.
const LOOK: Duration = Duration::from_millis(50);
/// The least between two looks, milliseconds: one serves all who wait, and goes over all who have a place.
const BREATH: u64 = 10;
/// Those for whom there is always room to wait: each has a descriptor and little more.
const WAITING: usize = 64;

/// All places.
pub(super) struct Places {
    /// How many there are.
    count: usize,
    /// How many may wait.
    room: usize,
    taken: Mutex<Taken>,
    start: Instant,
    /// Hears when nobody is left after the end.
    vacated: Notify,
}

/// Who has a place, and who wants one.
#[derive(Default)]
struct Taken {
    next: u64,
    holders: HashMap<u64, Holder>,
    /// Those of whom somebody is here.
    ranges: HashMap<IpPrefix, Range>,
    /// In the order in which they came; nobody while a place is free.
    waiting: VecDeque<Waiter>,
    /// The last look.
    looked: Option<u64>,
    /// Nobody is let in any more.
    is_closed: bool,
}

/// How many of a range there are.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Range {
    places: usize,
    waiting: usize,
}

struct Holder {
    range: IpPrefix,
    /// Since when it rests, milliseconds, or [`BUSY`].
    rests_since: Arc<AtomicU64>,
    /// Asks it to leave; gone once it was asked.
    leave: Option<Sender<Ask>>,
}

struct Waiter {
    range: IpPrefix,
    place: Sender<Place>,
    /// When somebody was asked to leave for it, milliseconds.
    asked: Option<u64>,
}

/// Why a place has to be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Somebody else wants it.
    Crowded,
    /// The daemon ends: what is under way may come to its end, nothing else is begun.
    Stopping,
}

/// A place, given back when it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    rests_since: Arc<AtomicU64>,
    /// Gone once it was heard.
    wanted: Option<Receiver<Ask>>,
    /// What was heard, and by when a connection with nothing under way has to be gone.
    ends: Option<(Ask, tokio::time::Instant)>,
}

impl Places {
    /// So many places, and room for so many who wait; at least one and [`WAITING`].
    pub(super) fn new(count: usize, room: usize) -> Places {
        Places {
            count: count.max(1),
            room: room.max(WAITING),
            taken: Mutex::default(),
            start: Instant::now(),
            vacated: Notify::new(),
        }
    }

    /// Whether all places are taken.
    pub(super) fn are_taken(&self) -> bool {
        self.taken().holders.len() >= self.count
    }

    /// A place for a connection from `peer`, as soon as there is one; `None` when too many wait, and of its range the most, or
    /// when nobody is let in any more.
    pub(super) async fn take(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let (ipv4, ipv6) = RANGES;
        let range = IpPrefix::around(peer, if peer.to_canonical().is_ipv4() { ipv4 } else { ipv6 });
        let mut granted = match self.enter(range) {
            Ok(place) => return Some(place),
            Err(granted) => granted,
        };
        loop {
            self.look();
            if let Ok(granted) = timeout(LOOK, &mut granted).await {
                return granted.ok();
            }
        }
    }

    /// A place, or what hears of one.
    fn enter(self: &Arc<Self>, range: IpPrefix) -> Result<Place, Receiver<Place>> {
        let mut taken = self.taken();
        if !taken.is_closed && taken.holders.len() < self.count {
            return Ok(self.give(&mut taken, range));
        }
        let (place, granted) = channel();
        if !taken.is_closed {
            taken.waiting.push_back(Waiter { range, place, asked: None });
            taken.count(range, |range| range.waiting += 1);
            if taken.waiting.len() > self.room {
                taken.turn_away();
            }
        }
        Err(granted)
    }

    fn give(self: &Arc<Self>, taken: &mut Taken, range: IpPrefix) -> Place {
        let (leave, wanted) = channel();
        let rests_since = Arc::new(AtomicU64::new(self.now()));
        let holder = Holder { range, rests_since: Arc::clone(&rests_since), leave: Some(leave) };
        let number = taken.next;
        taken.next += 1;
        taken.holders.insert(number, holder);
        taken.count(range, |range| range.places += 1);
        Place { places: Arc::clone(self), number, rests_since, wanted: Some(wanted), ends: None }
    }

    /// Asks somebody to leave for each who waits, as far as there is anybody for whom that is right.
    fn look(&self) {
        let now = self.now();
        let mut taken = self.taken();
        if taken.looked.is_some_and(|looked| now < looked + BREATH) {
            return;
        }
        taken.looked = Some(now);
        let Taken { holders, ranges, waiting, .. } = &mut *taken;
        let places_of = |range: &IpPrefix| ranges.get(range).map_or(0, |range| range.places);
        let resting = holders.values_mut().filter_map(|holder| {
            let since = holder.rests_since.load(Relaxed);
            (since != BUSY && holder.leave.is_some())
                .then(|| ((Reverse(places_of(&holder.range)), since), holder))
        });
        let mut resting: Vec<_> = resting.collect();
        resting.sort_unstable_by_key(|(order, _)| *order);
        let mut resting = resting.into_iter().peekable();
        for waiter in waiting.iter_mut().filter(|w| w.asked.is_none_or(|at| now >= at + LEAVING)) {
            let own = places_of(&waiter.range);
            // If the first may not be asked, nobody behind it may.
            let first = resting.next_if(|((Reverse(places), since), _)| {
                *places > own || *places == own && now.saturating_sub(*since) >= WHILE
            });
            if let Some((_, holder)) = first {
                holder.ask(Ask::Crowded);
                waiter.asked = Some(now);
            }
        }
    }

    /// Lets nobody in any more, and asks all to leave.
    pub(super) fn close(&self) {
        let mut taken = self.taken();
        taken.is_closed = true;
        taken.waiting.clear();
        taken.holders.values_mut().for_each(|holder| holder.ask(Ask::Stopping));
    }

    /// Waits, after `close`, until all have left.
    pub(super) async fn vacated(&self) {
        while !self.taken().holders.is_empty() {
            self.vacated.notified().await;
        }
    }

    /// Milliseconds of its own clock.
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(BUSY - 1)
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Of the range of which the most wait, the last to come waits no longer.
    fn turn_away(&mut self) {
        let Some((&range, _)) = self.ranges.iter().max_by_key(|(_, range)| range.waiting) else { return };
        if let Some(last) = self.waiting.iter().rposition(|waiter| waiter.range == range) {
            self.waiting.remove(last);
            self.count(range, |range| range.waiting -= 1);
        }
    }

    /// Changes what is counted of a range. Of those of whom nobody is here nothing is kept.
    fn count(&mut self, range: IpPrefix, change: impl FnOnce(&mut Range)) {
        let counted = self.ranges.entry(range).or_default();
        change(counted);
        if *counted == Range::default() {
            self.ranges.remove(&range);
        }
    }

    /// Takes note that a place is free; who gets it.
    fn leave(&mut self, number: u64) -> Option<Waiter> {
        let holder = self.holders.remove(&number)?;
        self.count(holder.range, |range| range.places -= 1);
        let places_of = |waiter: &Waiter| self.ranges.get(&waiter.range).map_or(0, |range| range.places);
        let (at, _) = self.waiting.iter().enumerate().min_by_key(|(_, waiter)| places_of(waiter))?;
        let waiter = self.waiting.remove(at)?;
        self.count(waiter.range, |range| range.waiting -= 1);
        Some(waiter)
    }
}

impl Holder {
    fn ask(&mut self, ask: Ask) {
        if let Some(leave) = self.leave.take() {
            // Who does not hear it is leaving.
            let _ = leave.send(ask);
        }
    }
}

impl Place {
    /// Says that the connection rests from now on, or has something under way.
    pub(super) fn rest(&self, is_busy: bool) {
        self.rests_since.store(if is_busy { BUSY } else { self.places.now() }, Relaxed);
    }

    /// Waits to be asked to leave; for ever when that was heard.
    pub(super) async fn asked(&mut self) {
        let Some(wanted) = &mut self.wanted else { return pending().await };
        // Who asks is there as long as the place is.
        let ask = wanted.await.unwrap_or(Ask::Stopping);
        self.wanted = None;
        let grace = if ask == Ask::Crowded { CROWDED } else { Duration::ZERO };
        self.ends = Some((ask, tokio::time::Instant::now() + grace));
    }

    /// What was heard, and by when a connection with nothing under way has to be gone.
    pub(super) fn ends(&self) -> Option<(Ask, tokio::time::Instant)> {
        self.ends
    }

    /// Waits until a connection with nothing under way has to be gone.
    pub(super) async fn is_over(&mut self) {
        loop {
            match self.ends {
                Some((_, by)) => return sleep_until(by).await,
                None => self.asked().await,
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        match taken.leave(self.number) {
            Some(waiter) => {
                let place = self.places.give(&mut taken, waiter.range);
                drop(taken);
                // Who does not wait any more gives it back by that.
                let _ = waiter.place.send(place);
            }
            None if taken.holders.is_empty() => self.places.vacated.notify_one(),
            None => {}
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

    async fn take(places: &Arc<Places>, peer: [u8; 4]) -> Place {
        places.take(peer.into()).await.unwrap()
    }

    /// Whether it was asked to leave since it was asked last.
    async fn is_asked(place: &mut Place) -> bool {
        timeout(Duration::ZERO, place.asked()).await.is_ok()
    }

    #[tokio::test]
    async fn of_who_holds_more_places_the_one_that_rests_longest_is_asked() {
        let places = Arc::new(Places::new(4, 0));
        let mut few = take(&places, FEW).await;
        let [mut busy, mut first, mut second] =
            [take(&places, MANY).await, take(&places, MANY).await, take(&places, MANY).await];
        assert!(places.are_taken());
        few.rests_since.store(1, Relaxed);
        busy.rest(true);
        second.rests_since.store(5, Relaxed);
        first.rests_since.store(6, Relaxed);
        let mut one = Box::pin(places.take(FEW.into()));
        assert!(soon(one.as_mut()).await.is_none());
        assert!(is_asked(&mut second).await && !is_asked(&mut first).await && !is_asked(&mut few).await);
        // Each newcomer has somebody of his own asked.
        let mut two = Box::pin(places.take(FEW.into()));
        assert!(soon(two.as_mut()).await.is_none());
        assert!(is_asked(&mut first).await && !is_asked(&mut few).await && !is_asked(&mut busy).await);
        drop((first, second));
        let held = (one.await, two.await);
        drop((few, busy, held));
        let taken = places.taken();
        assert!(taken.holders.is_empty() && taken.ranges.is_empty(), "nothing is left of those who went");
    }

    #[tokio::test]
    async fn a_range_takes_no_place_of_another_that_has_fewer_and_gives_its_own_connections_a_while() {
        let places = Arc::new(Places::new(3, 0));
        let mut few = take(&places, FEW).await;
        let [mut first, mut second] = [take(&places, MANY).await, take(&places, MANY).await];
        few.rests_since.store(0, Relaxed);
        let mut newcomer = Box::pin(places.take(MANY.into()));
        assert!(soon(newcomer.as_mut()).await.is_none());
        for place in [&mut few, &mut first, &mut second] {
            assert!(!is_asked(place).await);
        }
        tokio::select! {
            _ = newcomer.as_mut() => panic!("nobody has left"),
            () = few.asked() => panic!("it has fewer"),
            () = first.asked() => {}
            () = second.asked() => {}
        }
    }

    #[tokio::test]
    async fn when_the_one_asked_does_not_leave_another_is_asked() {
        let places = Arc::new(Places::new(2, 0));
        let [mut first, mut second] = [take(&places, MANY).await, take(&places, MANY).await];
        first.rests_since.store(0, Relaxed);
        second.rests_since.store(1, Relaxed);
        let mut newcomer = Box::pin(places.take(FEW.into()));
        assert!(soon(newcomer.as_mut()).await.is_none());
        assert!(is_asked(&mut first).await && !is_asked(&mut second).await);
        let heard = async { tokio::join!(second.asked(), async { newcomer.as_mut().await.is_some() }) };
        assert!(timeout(Duration::from_millis(400), heard).await.is_err(), "it was heard, nobody left");
        assert!(second.ends().is_some());
        drop(second);
        assert!(newcomer.await.is_some());
    }

    #[tokio::test]
    async fn a_place_goes_to_who_has_the_fewest_and_not_to_who_came_first_nor_to_who_is_gone() {
        let places = Arc::new(Places::new(2, 0));
        let [first, second] = [take(&places, MANY).await, take(&places, MANY).await];
        let mut waiting: Vec<_> = (0..20).map(|_| Box::pin(places.take(MANY.into()))).collect();
        for waiter in &mut waiting {
            assert!(timeout(Duration::ZERO, waiter).await.is_err());
        }
        let mut few = Box::pin(places.take(FEW.into()));
        assert!(timeout(Duration::ZERO, few.as_mut()).await.is_err());
        drop(first);
        let few = soon(few).await.expect("it did not come first").unwrap();
        let last = waiting.split_off(19);
        drop(waiting);
        drop(second);
        for waiter in last {
            assert!(soon(waiter).await.expect("the others are gone").is_some());
        }
        drop(few);
        assert!(!places.are_taken());
    }

    #[tokio::test]
    async fn when_too_many_wait_the_last_of_the_most_is_turned_away() {
        let places = Arc::new(Places::new(1, 0));
        let held = take(&places, MANY).await;
        let mut few = Box::pin(places.take(FEW.into()));
        assert!(timeout(Duration::ZERO, few.as_mut()).await.is_err());
        let mut waiting = Vec::new();
        for _ in 0..WAITING - 1 {
            let mut waiter = Box::pin(places.take(MANY.into()));
            assert!(timeout(Duration::ZERO, waiter.as_mut()).await.is_err());
            waiting.push(waiter);
        }
        assert!(soon(places.take(MANY.into())).await.is_some_and(|place| place.is_none()));
        let mut other = Box::pin(places.take([192, 0, 2, 3].into()));
        assert!(timeout(Duration::ZERO, other.as_mut()).await.is_err(), "there is room for it");
        assert!(waiting.pop().unwrap().await.is_none(), "in place of one of the many");
        drop(held);
        assert!(few.await.is_some());
    }

    #[tokio::test]
    async fn at_the_end_all_are_asked_to_leave_and_nobody_is_let_in() {
        let places = Arc::new(Places::new(2, 0));
        let [mut first, second] = [take(&places, FEW).await, take(&places, FEW).await];
        first.rest(true);
        second.rest(true);
        let mut waiting = Box::pin(places.take(MANY.into()));
        assert!(timeout(Duration::ZERO, waiting.as_mut()).await.is_err());
        places.close();
        assert!(waiting.await.is_none() && places.take(MANY.into()).await.is_none());
        first.is_over().await;
        assert_eq!(first.ends().map(|(ask, _)| ask), Some(Ask::Stopping));
        drop(first);
        assert!(soon(places.vacated()).await.is_none(), "one is still there");
        drop(second);
        places.vacated().await;
    }
}
