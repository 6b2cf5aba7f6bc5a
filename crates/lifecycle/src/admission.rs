//! Who may go next, when more attempts want to run than may.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::SocketAddr;

use crate::{AttemptId, Urgency, ZoneId};

/// How many attempts may run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// Transfers of all zones.
    pub transfers: usize,
    /// Transfers from one address.
    pub transfers_per_primary: usize,
    /// Unanswered probes of all zones.
    pub probes: usize,
    /// Unanswered probes at one address.
    pub probes_per_primary: usize,
}

impl Default for AdmissionLimits {
    fn default() -> AdmissionLimits {
        AdmissionLimits { transfers: 64, transfers_per_primary: 8, probes: 1024, probes_per_primary: 64 }
    }
}

/// What an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Errand {
    /// A question for the SOA.
    Probe,
    /// A transfer.
    Transfer,
}

/// Names an attempt among those of all zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    /// Whose.
    pub zone: ZoneId,
    /// Which.
    pub attempt: AttemptId,
}

/// The queue of all attempts. An address that is full holds up nobody but those who want to go there, and addresses that
/// do not answer hold up nobody elsewhere, however many they are: a quarter of all places, and at least one of several, is for those that
/// do.
#[derive(Clone, Debug)]
pub struct Admission {
    probes: Lane,
    transfers: Lane,
    holders: HashMap<Ticket, Holder>,
    /// Requests so far: among equals, first come first served.
    arrivals: u64,
}

/// Place in the queue: the urgency, then the order of arrival.
type Rank = (Urgency, u64);

#[derive(Clone, Copy, Debug)]
struct Holder {
    errand: Errand,
    address: SocketAddr,
    /// `None` once it runs.
    waiting: Option<Rank>,
}

/// The attempts of one kind.
#[derive(Clone, Debug)]
struct Lane {
    limit: usize,
    limit_per_address: usize,
    addresses: HashMap<SocketAddr, Queue>,
    alive: HashSet<SocketAddr>,
    /// At addresses that are alive, and at others.
    sides: [Side; 2],
}

const ALIVE: usize = 0;
const DOUBTFUL: usize = 1;

/// What is of one kind of addresses.
#[derive(Clone, Debug, Default)]
struct Side {
    running: usize,
    /// The head of each queue whose address has room.
    heads: BTreeSet<(Rank, SocketAddr)>,
}

/// The attempts at one address.
#[derive(Clone, Debug, Default)]
struct Queue {
    running: usize,
    waiting: BTreeMap<Rank, Ticket>,
    /// What stands in `heads` for this queue.
    head: Option<Rank>,
}

impl Side {
    fn attach(&mut self, address: SocketAddr, queue: &Queue) {
        self.running += queue.running;
        self.heads.extend(queue.head.map(|head| (head, address)));
    }

    fn detach(&mut self, address: SocketAddr, queue: &Queue) {
        self.running -= queue.running;
        if let Some(head) = queue.head {
            self.heads.remove(&(head, address));
        }
    }
}

impl Lane {
    fn new(limit: usize, limit_per_address: usize) -> Lane {
        let (addresses, alive) = (HashMap::new(), HashSet::new());
        Lane { limit, limit_per_address, addresses, alive, sides: Default::default() }
    }

    /// Places for addresses that are alive alone. Some are left for all others, or none would ever be found to live.
    fn reserve(&self) -> usize {
        (self.limit / 4).max(1).min(self.limit - 1)
    }

    fn running(&self) -> usize {
        self.sides.iter().map(|side| side.running).sum()
    }

    fn side(&mut self, address: SocketAddr) -> &mut Side {
        let side = if self.alive.contains(&address) { ALIVE } else { DOUBTFUL };
        &mut self.sides[side]
    }

    /// Changes the queue of an address, or on which side it is.
    fn change(&mut self, address: SocketAddr, change: impl FnOnce(&mut Queue, &mut HashSet<SocketAddr>)) {
        let mut queue = self.addresses.remove(&address).unwrap_or_default();
        self.side(address).detach(address, &queue);
        change(&mut queue, &mut self.alive);
        let room = queue.running < self.limit_per_address;
        queue.head = queue.waiting.keys().next().copied().filter(|_| room);
        self.side(address).attach(address, &queue);
        if queue.running > 0 || !queue.waiting.is_empty() {
            self.addresses.insert(address, queue);
        }
    }

    fn set_alive(&mut self, address: SocketAddr, lives: bool) {
        self.change(address, |_, alive| {
            if lives {
                alive.insert(address);
            } else {
                alive.remove(&address);
            }
        });
    }

    fn admit(&mut self) -> Option<Ticket> {
        if self.running() >= self.limit {
            return None;
        }
        let [alive, doubtful] = &self.sides;
        let has_room = doubtful.running < self.limit - self.reserve();
        let doubtful = doubtful.heads.first().filter(|_| has_room);
        let (rank, address) = alive.heads.first().into_iter().chain(doubtful).min().copied()?;
        let mut admitted = None;
        self.change(address, |queue, _| {
            admitted = queue.waiting.remove(&rank);
            queue.running += 1;
        });
        admitted
    }

    fn leave(&mut self, address: SocketAddr, waiting: Option<Rank>) {
        self.change(address, |queue, _| match waiting {
            Some(rank) => {
                queue.waiting.remove(&rank);
            }
            None => queue.running = queue.running.saturating_sub(1),
        });
    }
}

impl Admission {
    /// With limits; one of zero would stop everything and counts as one.
    pub fn new(limits: AdmissionLimits) -> Admission {
        Admission {
            probes: Lane::new(limits.probes.max(1), limits.probes_per_primary.max(1)),
            transfers: Lane::new(limits.transfers.max(1), limits.transfers_per_primary.max(1)),
            holders: HashMap::new(),
            arrivals: 0,
        }
    }

    /// An attempt wants to run. Asking twice with one ticket moves it.
    pub fn request(&mut self, ticket: Ticket, errand: Errand, address: SocketAddr, urgency: Urgency) {
        self.release(ticket);
        self.arrivals += 1;
        let rank = (urgency, self.arrivals);
        self.holders.insert(ticket, Holder { errand, address, waiting: Some(rank) });
        self.lane(errand).change(address, |queue, _| {
            queue.waiting.insert(rank, ticket);
        });
    }

    /// An attempt that may run now. Ask until there is none.
    pub fn admit(&mut self) -> Option<(Ticket, Errand, SocketAddr)> {
        let ticket = self.transfers.admit().or_else(|| self.probes.admit())?;
        let holder = self.holders.get_mut(&ticket)?;
        holder.waiting = None;
        Some((ticket, holder.errand, holder.address))
    }

    /// The attempt ended or is no longer wanted, whether it waits or runs.
    pub fn release(&mut self, ticket: Ticket) {
        if let Some(holder) = self.holders.remove(&ticket) {
            self.lane(holder.errand).leave(holder.address, holder.waiting);
        }
    }

    /// Whether an address has given a sign of life, and is not down. Until it is said, it has not.
    pub fn set_alive(&mut self, address: SocketAddr, alive: bool) {
        self.probes.set_alive(address, alive);
        self.transfers.set_alive(address, alive);
    }

    /// Attempts that run, probes and transfers.
    pub fn running(&self) -> (usize, usize) {
        (self.probes.running(), self.transfers.running())
    }

    /// Attempts that wait.
    pub fn waiting(&self) -> usize {
        self.holders.len() - self.probes.running() - self.transfers.running()
    }

    fn lane(&mut self, errand: Errand) -> &mut Lane {
        match errand {
            Errand::Probe => &mut self.probes,
            Errand::Transfer => &mut self.transfers,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIMITS: AdmissionLimits =
        AdmissionLimits { transfers: 3, transfers_per_primary: 2, probes: 100, probes_per_primary: 1 };

    fn ticket(zone: u32) -> Ticket {
        Ticket { zone: ZoneId(zone), attempt: AttemptId(1) }
    }

    fn address(n: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, n], 53))
    }

    fn routine(seconds: u64) -> Urgency {
        Urgency::Routine(Duration::from_secs(seconds))
    }

    fn admitted(admission: &mut Admission) -> Vec<u32> {
        std::iter::from_fn(|| admission.admit()).map(|(ticket, ..)| ticket.zone.0).collect()
    }

    #[test]
    fn the_order_is_asked_then_expiring_then_not_served_then_the_rest() {
        let mut admission = Admission::new(AdmissionLimits { probes_per_primary: 100, ..LIMITS });
        let expiring = |s| Urgency::Expiring(Duration::from_secs(s));
        let wishes = [
            routine(5),
            Urgency::NotServed,
            expiring(9),
            routine(3),
            Urgency::Asked,
            expiring(8),
            Urgency::NotServed,
        ];
        for (zone, urgency) in (0..).zip(wishes) {
            admission.request(ticket(zone), Errand::Probe, address(1), urgency);
        }
        assert_eq!(admitted(&mut admission), [4, 5, 2, 1, 6, 3, 0]);
    }

    #[test]
    fn transfers_are_limited_per_address_and_over_all() {
        let mut admission = Admission::new(LIMITS);
        admission.set_alive(address(2), true);
        for zone in 0..4 {
            admission.request(ticket(zone), Errand::Transfer, address(1), routine(1));
        }
        assert_eq!(admitted(&mut admission), [0, 1]);
        for zone in 4..8 {
            admission.request(ticket(zone), Errand::Transfer, address(2), routine(1));
        }
        assert_eq!(admitted(&mut admission), [4]);
        admission.release(ticket(4));
        assert_eq!(admitted(&mut admission), [2_u32; 0].into_iter().chain([5]).collect::<Vec<_>>());
        admission.release(ticket(0));
        assert_eq!(admitted(&mut admission), [2]);
        assert_eq!((admission.running(), admission.waiting()), ((0, 3), 3));
    }

    #[test]
    fn a_thousand_zones_of_a_full_address_hold_up_nobody_elsewhere() {
        let mut admission = Admission::new(LIMITS);
        for zone in 0..1000 {
            admission.request(ticket(zone), Errand::Probe, address(1), Urgency::Asked);
        }
        assert_eq!(admitted(&mut admission), [0]);
        admission.request(ticket(1000), Errand::Probe, address(2), routine(1));
        assert_eq!(admitted(&mut admission), [1000]);
    }

    #[test]
    fn however_many_addresses_do_not_answer_those_that_do_find_a_place() {
        let mut admission = Admission::new(AdmissionLimits { transfers: 8, ..LIMITS });
        for zone in 0..200 {
            admission.request(ticket(zone), Errand::Transfer, address(zone as u8), Urgency::Asked);
        }
        assert_eq!(admitted(&mut admission), [0, 1, 2, 3, 4, 5]);
        // What is not known to live is no better off for being late.
        admission.request(ticket(300), Errand::Transfer, address(250), routine(9));
        assert!(admitted(&mut admission).is_empty());
        admission.set_alive(address(250), true);
        assert_eq!(admitted(&mut admission), [300]);
        admission.release(ticket(300));
        // Nothing is lost where all live, and order holds among all.
        for n in 0..8 {
            admission.set_alive(address(n), true);
        }
        assert_eq!(admitted(&mut admission), [6, 7]);
        (0..8).for_each(|zone| admission.release(ticket(zone)));
        assert_eq!(admitted(&mut admission), [8, 9, 10, 11, 12, 13]);
        // One that dies stands behind the bound again, with what it has under way.
        admission.request(ticket(301), Errand::Transfer, address(250), routine(9));
        admission.set_alive(address(250), false);
        assert!(admitted(&mut admission).is_empty());
        (8..200).for_each(|zone| admission.release(ticket(zone)));
        assert_eq!(admitted(&mut admission), [301]);
        assert_eq!((admission.running(), admission.waiting()), ((0, 1), 0));
    }

    #[test]
    fn few_places_have_a_reserve_too_and_a_single_one_is_for_all_in_turn() {
        for (transfers, of_dead) in [(1, 1), (2, 1), (3, 2), (4, 3), (7, 6), (8, 6)] {
            let mut admission = Admission::new(AdmissionLimits { transfers, ..LIMITS });
            for zone in 0..20 {
                admission.request(ticket(zone), Errand::Transfer, address(zone as u8), Urgency::Asked);
            }
            assert_eq!(admitted(&mut admission).len(), of_dead, "of {transfers}");
            admission.set_alive(address(100), true);
            for zone in 100..120 {
                admission.request(ticket(zone), Errand::Transfer, address(100), routine(9));
            }
            let of_alive = (transfers - of_dead).min(LIMITS.transfers_per_primary);
            assert_eq!(admitted(&mut admission).len(), of_alive, "of {transfers}");
            // However many wait of those that live, every other has its turn.
            let of_dead = of_dead as u32;
            (0..20 - of_dead).for_each(|zone| {
                admission.release(ticket(zone));
                assert_eq!(admitted(&mut admission), [zone + of_dead], "of {transfers}");
            });
        }
    }

    #[test]
    fn what_is_released_while_it_waits_never_runs() {
        let mut admission = Admission::new(LIMITS);
        for zone in 0..3 {
            admission.request(ticket(zone), Errand::Probe, address(1), routine(1));
        }
        assert_eq!(admitted(&mut admission), [0]);
        admission.release(ticket(1));
        admission.release(ticket(0));
        admission.release(ticket(0));
        assert_eq!(admitted(&mut admission), [2]);
        admission.release(ticket(2));
        assert_eq!((admission.running(), admission.waiting()), ((0, 0), 0));
        assert!(admission.probes.addresses.is_empty());
        assert!(admission.probes.sides.iter().all(|side| side.heads.is_empty()));
    }

    #[test]
    fn asking_again_with_the_same_ticket_moves_it() {
        let mut admission = Admission::new(LIMITS);
        admission.request(ticket(1), Errand::Probe, address(1), routine(1));
        admission.request(ticket(1), Errand::Transfer, address(2), routine(1));
        assert_eq!(admission.waiting(), 1);
        assert_eq!(admission.admit(), Some((ticket(1), Errand::Transfer, address(2))));
        assert_eq!(admission.admit(), None);
    }
}
