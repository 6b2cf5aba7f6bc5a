//! The places of TCP connections. When all are taken, whoever comes next is let in all the same: of the range of addresses that
//! holds the most places, the connection that has rested longest is asked to leave (RFC 7766 §6.2.3). So nobody keeps others out,
//! however many connections he opens; and nobody is hurried who shares the server with himself alone: against his own
//! newcomers his connections have a while. A place that becomes free goes to whoever waits and has the fewest.
//!
//! Who opens or closes a connection takes a lock; a question over it takes none.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
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
/// How many may wait, at least and at most: each has a descriptor and little more, and a flood must not take those that UDP,
/// control and transfers need.
const WAITING: (usize, usize) = (64, 1024);

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
    /// In the order in which they came; nobody while a place is free, and nobody who is gone.
    waiting: BTreeMap<u64, Waiter>,
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
    standing: Arc<Standing>,
}

/// What a connection and those who want its place know of each other.
struct Standing {
    /// Since when it rests, milliseconds, or [`BUSY`].
    rests_since: AtomicU64,
    /// The gravest [`Ask`] so far, or zero.
    ask: AtomicU8,
    /// Hears when that has risen.
    risen: Notify,
}

struct Waiter {
    range: IpPrefix,
    place: Sender<Place>,
    /// When somebody was asked to leave for it, milliseconds.
    asked: Option<u64>,
}

/// Somebody who waits; dropped, he waits no longer.
struct Waiting {
    places: Arc<Places>,
    number: u64,
    granted: Receiver<Place>,
}

/// Why a place has to be left, the graver the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ask {
    /// Somebody else wants it.
    Crowded = 1,
    /// The daemon ends: what is under way may come to its end, nothing else is begun.
    Stopping,
    /// It has ended: so has what is under way.
    Stopped,
}

/// A place, given back when it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    standing: Arc<Standing>,
    /// What was heard, and by when a connection with nothing under way has to be gone.
    ends: Option<(Ask, tokio::time::Instant)>,
}

/// How many may wait where there is room for so many.
pub(super) fn waiting(room: usize) -> usize {
    room.clamp(WAITING.0, WAITING.1)
}

impl Places {
    /// So many places, at least one, and room for so many who wait, within [`WAITING`].
    pub(super) fn new(count: usize, room: usize) -> Places {
        Places {
            count: count.max(1),
            room: waiting(room),
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
        let mut waiting = match self.enter(range) {
            Ok(place) => return Some(place),
            Err(waiting) => waiting,
        };
        loop {
            self.look(self.now());
            if let Ok(granted) = timeout(LOOK, &mut waiting.granted).await {
                return granted.ok();
            }
        }
    }

    /// A place, or somebody who waits for one.
    fn enter(self: &Arc<Self>, range: IpPrefix) -> Result<Place, Waiting> {
        let mut taken = self.taken();
        if !taken.is_closed && taken.holders.len() < self.count {
            return Ok(self.give(&mut taken, range));
        }
        let (place, granted) = channel();
        let number = taken.number();
        if !taken.is_closed {
            taken.waiting.insert(number, Waiter { range, place, asked: None });
            taken.count(range, |range| range.waiting += 1);
            if taken.waiting.len() > self.room {
                taken.turn_away();
            }
        }
        Err(Waiting { places: Arc::clone(self), number, granted })
    }

    fn give(self: &Arc<Self>, taken: &mut Taken, range: IpPrefix) -> Place {
        let rests_since = AtomicU64::new(self.now());
        let standing = Arc::new(Standing { rests_since, ask: AtomicU8::new(0), risen: Notify::new() });
        let number = taken.number();
        taken.holders.insert(number, Holder { range, standing: Arc::clone(&standing) });
        taken.count(range, |range| range.places += 1);
        Place { places: Arc::clone(self), number, standing, ends: None }
    }

    /// Asks somebody to leave for each who waits, as far as there is anybody for whom that is right.
    fn look(&self, now: u64) {
        let mut taken = self.taken();
        if taken.looked.is_some_and(|looked| now < looked + BREATH) {
            return;
        }
        taken.looked = Some(now);
        let Taken { holders, ranges, waiting, .. } = &mut *taken;
        let due = waiting.values_mut().filter(|waiter| waiter.asked.is_none_or(|at| now >= at + LEAVING));
        let mut due = due.peekable();
        if due.peek().is_none() {
            return;
        }
        let places_of = |range: &IpPrefix| ranges.get(range).map_or(0, |range| range.places);
        let resting = holders.values().filter_map(|Holder { range, standing }| {
            let since = standing.rests_since.load(Relaxed);
            (since != BUSY && standing.ask().is_none())
                .then(|| ((Reverse(places_of(range)), since), standing))
        });
        let mut resting: Vec<_> = resting.collect();
        resting.sort_unstable_by_key(|(order, _)| *order);
        let mut resting = resting.into_iter().peekable();
        for waiter in due {
            let own = places_of(&waiter.range);
            // If the first may not be asked, nobody behind it may.
            let first = resting.next_if(|((Reverse(places), since), _)| {
                *places > own || *places == own && now.saturating_sub(*since) >= WHILE
            });
            if let Some((_, standing)) = first {
                standing.raise(Ask::Crowded);
                waiter.asked = Some(now);
            }
        }
    }

    /// Lets nobody in any more, and asks all to leave.
    pub(super) fn close(&self) {
        let mut taken = self.taken();
        taken.is_closed = true;
        taken.waiting.clear();
        taken.holders.values().for_each(|holder| holder.standing.raise(Ask::Stopping));
    }

    /// Gives nobody who is left, after `close`, any more time.
    pub(super) fn cut(&self) {
        self.taken().holders.values().for_each(|holder| holder.standing.raise(Ask::Stopped));
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
    /// A number for who comes, greater than all before.
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Of the range of which the most wait, the last to come waits no longer.
    fn turn_away(&mut self) {
        let Some((&range, _)) = self.ranges.iter().max_by_key(|(_, range)| range.waiting) else { return };
        let last = self.waiting.iter().rfind(|(_, waiter)| waiter.range == range).map(|(&number, _)| number);
        last.and_then(|last| self.call(last));
    }

    /// Somebody who waits, and from now on does not.
    fn call(&mut self, number: u64) -> Option<Waiter> {
        let waiter = self.waiting.remove(&number)?;
        self.count(waiter.range, |range| range.waiting -= 1);
        Some(waiter)
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
        let (&next, _) = self.waiting.iter().min_by_key(|(_, waiter)| places_of(waiter))?;
        self.call(next)
    }
}

impl Standing {
    /// Asks it to leave, unless it was for as good a reason.
    fn raise(&self, ask: Ask) {
        if self.ask.fetch_max(ask as u8, Relaxed) < ask as u8 {
            self.risen.notify_one();
        }
    }

    /// Why it was asked to leave.
    fn ask(&self) -> Option<Ask> {
        let ask = self.ask.load(Relaxed);
        [Ask::Stopped, Ask::Stopping, Ask::Crowded].into_iter().find(|one| *one as u8 == ask)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.places.taken().call(self.number);
    }
}

impl Place {
    /// Says that the connection rests from now on, or has something under way.
    pub(super) fn rest(&self, is_busy: bool) {
        self.standing.rests_since.store(if is_busy { BUSY } else { self.places.now() }, Relaxed);
    }

    /// Waits to be asked to leave, for a graver reason than was heard so far.
    pub(super) async fn asked(&mut self) {
        let heard = self.ends.map(|(ask, _)| ask);
        let ask = loop {
            match self.standing.ask() {
                Some(ask) if Some(ask) > heard => break ask,
                _ => self.standing.risen.notified().await,
            }
        };
        let grace = if ask == Ask::Crowded { CROWDED } else { Duration::ZERO };
        self.ends = Some((ask, tokio::time::Instant::now() + grace));
    }

    /// What was heard, and by when a connection with nothing under way has to be gone.
    pub(super) fn ends(&self) -> Option<(Ask, tokio::time::Instant)> {
        self.ends
    }

    /// By when a step has to be done, were it not for anybody else `until` then; `is_busy`: of what is under way.
    pub(super) fn bound(&self, until: tokio::time::Instant, is_busy: bool) -> tokio::time::Instant {
        match self.ends {
            Some((Ask::Crowded, ends)) if !is_busy => until.min(ends),
            Some((Ask::Stopped, ends)) => until.min(ends),
            _ => until,
        }
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
                // It arrives: whoever goes takes the lock first. Was it not so, it would come back, and need the lock for that.
                let arrived = waiter.place.send(place);
                drop(taken);
                drop(arrived);
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

    /// What a future comes to at once.
    async fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = future => Some(done),
            () = std::future::ready(()) => None,
        }
    }

    async fn take(places: &Arc<Places>, peer: [u8; 4]) -> Place {
        places.take(peer.into()).await.unwrap()
    }

    /// Whether it was asked to leave since it was asked last.
    async fn is_asked(place: &mut Place) -> bool {
        at_once(place.asked()).await.is_some()
    }

    /// Somebody who waits and does not look.
    fn wait(places: &Arc<Places>, peer: [u8; 4]) -> Waiting {
        let range = IpPrefix::around(peer.into(), RANGES.0);
        places.enter(range).err().expect("all places are taken")
    }

    fn rests_since(place: &Place, since: u64) {
        place.standing.rests_since.store(since, Relaxed);
    }

    #[tokio::test]
    async fn of_who_holds_more_places_the_one_that_rests_longest_is_asked() {
        let places = Arc::new(Places::new(4, 0));
        let mut few = take(&places, FEW).await;
        let [mut busy, mut first, mut second] =
            [take(&places, MANY).await, take(&places, MANY).await, take(&places, MANY).await];
        assert!(places.are_taken());
        busy.rest(true);
        for (place, since) in [(&few, 1), (&second, 5), (&first, 6)] {
            rests_since(place, since);
        }
        let one = wait(&places, FEW);
        places.look(10);
        assert!(is_asked(&mut second).await && !is_asked(&mut first).await && !is_asked(&mut few).await);
        // Each newcomer has somebody of his own asked.
        let two = wait(&places, FEW);
        places.look(10 + BREATH);
        assert!(is_asked(&mut first).await && !is_asked(&mut few).await && !is_asked(&mut busy).await);
        drop((first, second));
        drop((one, two));
        drop((few, busy));
        let taken = places.taken();
        assert!(taken.holders.is_empty() && taken.ranges.is_empty(), "nothing is left of those who went");
    }

    #[tokio::test]
    async fn a_range_takes_no_place_of_another_that_has_fewer_and_gives_its_own_connections_a_while() {
        let places = Arc::new(Places::new(3, 0));
        let mut few = take(&places, FEW).await;
        let [mut first, mut second] = [take(&places, MANY).await, take(&places, MANY).await];
        for (place, since) in [(&few, 0), (&first, 100), (&second, 101)] {
            rests_since(place, since);
        }
        let _newcomer = wait(&places, MANY);
        places.look(WHILE + 99);
        for place in [&mut few, &mut first, &mut second] {
            assert!(!is_asked(place).await);
        }
        places.look(WHILE + 150);
        assert!(is_asked(&mut first).await && !is_asked(&mut second).await && !is_asked(&mut few).await);
    }

    #[tokio::test]
    async fn when_the_one_asked_does_not_leave_another_is_asked() {
        let places = Arc::new(Places::new(2, 0));
        let [mut first, mut second] = [take(&places, MANY).await, take(&places, MANY).await];
        rests_since(&first, 0);
        rests_since(&second, 1);
        let mut newcomer = wait(&places, FEW);
        places.look(10);
        assert!(is_asked(&mut first).await);
        places.look(LEAVING);
        assert!(!is_asked(&mut second).await, "the first may still leave");
        places.look(LEAVING + BREATH);
        assert!(is_asked(&mut second).await && second.ends().is_some());
        drop(second);
        assert!(at_once(&mut newcomer.granted).await.is_some_and(|granted| granted.is_ok()));
    }

    #[tokio::test]
    async fn who_waits_is_looked_for_until_somebody_leaves() {
        let places = Arc::new(Places::new(1, 0));
        let mut held = take(&places, MANY).await;
        let holding = async {
            held.is_over().await;
            drop(held);
        };
        // The while of who shares a range with the newcomer has to pass before.
        let (newcomer, ()) = tokio::join!(places.take(MANY.into()), holding);
        assert!(newcomer.is_some());
    }

    #[tokio::test]
    async fn of_thousands_who_went_before_there_was_a_place_nothing_is_left() {
        let places = Arc::new(Places::new(1, usize::MAX));
        let held = take(&places, FEW).await;
        for _ in 0..5000 {
            assert!(at_once(places.take(MANY.into())).await.is_none());
        }
        assert!(places.taken().waiting.is_empty());
        let gone: Vec<_> = (0..1000).map(|_| wait(&places, MANY)).collect();
        let mut alive = Box::pin(places.take(MANY.into()));
        assert!(at_once(alive.as_mut()).await.is_none());
        // The first of them has the place already when he goes, and so has each after him.
        drop(held);
        drop(gone);
        let place = at_once(alive).await.flatten().expect("the others are gone");
        assert_eq!(places.taken().holders.len(), 1);
        drop(place);
        let taken = places.taken();
        assert!(taken.holders.is_empty() && taken.waiting.is_empty() && taken.ranges.is_empty());
    }

    #[tokio::test]
    async fn who_was_asked_for_want_of_places_hears_of_the_end_too() {
        let places = Arc::new(Places::new(1, 0));
        let mut held = take(&places, MANY).await;
        let _newcomer = wait(&places, FEW);
        places.look(10);
        assert!(is_asked(&mut held).await && !is_asked(&mut held).await);
        assert_eq!(held.ends().map(|(ask, _)| ask), Some(Ask::Crowded));
        places.close();
        assert!(is_asked(&mut held).await && !is_asked(&mut held).await);
        assert_eq!(held.ends().map(|(ask, _)| ask), Some(Ask::Stopping));
    }

    #[tokio::test]
    async fn a_place_goes_to_who_has_the_fewest_and_not_to_who_came_first_nor_to_who_is_gone() {
        let places = Arc::new(Places::new(2, 0));
        let [first, second] = [take(&places, MANY).await, take(&places, MANY).await];
        let mut waiting: Vec<_> = (0..20).map(|_| Box::pin(places.take(MANY.into()))).collect();
        for waiter in &mut waiting {
            assert!(at_once(waiter).await.is_none());
        }
        let mut few = Box::pin(places.take(FEW.into()));
        assert!(at_once(few.as_mut()).await.is_none());
        drop(first);
        let few = at_once(few).await.expect("it did not come first").unwrap();
        let last = waiting.split_off(19);
        drop(waiting);
        drop(second);
        for waiter in last {
            assert!(at_once(waiter).await.expect("the others are gone").is_some());
        }
        drop(few);
        assert!(!places.are_taken());
    }

    #[tokio::test]
    async fn when_too_many_wait_the_last_of_the_most_is_turned_away() {
        assert_eq!(Places::new(1 << 20, 1 << 20).room, 1024, "descriptors are for others too");
        let places = Arc::new(Places::new(1, 0));
        let held = take(&places, MANY).await;
        let mut few = Box::pin(places.take(FEW.into()));
        assert!(at_once(few.as_mut()).await.is_none());
        let mut waiting = Vec::new();
        for _ in 0..WAITING.0 - 1 {
            let mut waiter = Box::pin(places.take(MANY.into()));
            assert!(at_once(waiter.as_mut()).await.is_none());
            waiting.push(waiter);
        }
        assert!(at_once(places.take(MANY.into())).await.is_some_and(|place| place.is_none()));
        let mut other = Box::pin(places.take([192, 0, 2, 3].into()));
        assert!(at_once(other.as_mut()).await.is_none(), "there is room for it");
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
        assert!(at_once(waiting.as_mut()).await.is_none());
        places.close();
        assert!(waiting.await.is_none() && places.take(MANY.into()).await.is_none());
        first.is_over().await;
        assert_eq!(first.ends().map(|(ask, _)| ask), Some(Ask::Stopping));
        drop(first);
        assert!(at_once(places.vacated()).await.is_none(), "one is still there");
        drop(second);
        places.vacated().await;
    }
}
