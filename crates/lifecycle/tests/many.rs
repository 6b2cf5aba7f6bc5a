//! Many zones of one dead primary beside one of a living primary: machines, wheel, admission and health together, as
//! a daemon drives them.

#![allow(clippy::unwrap_used, reason = "a test")]

mod stage;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secondo_lifecycle::{
    Action, Admission, AdmissionLimits, Confirmation, Errand, Event, Failure, Health, Kind, Machine, Now,
    Permit, ProbeAnswer, Restored, Settings, Ticket, Transferred, Turn, Validity, Wheel, ZoneId,
};
use secondo_wire::Reason;
use stage::{BOOT, EXPIRE, address, primary, seconds, settings, soa, soa_with};

/// How long a dead address keeps an attempt busy, and a living one.
const TIMEOUT: Duration = Duration::from_secs(15);
const ANSWER: Duration = Duration::from_millis(5);

const NOW: Now = Now { boot: Duration::from_secs(1000), boot_id: BOOT, wall: 1_700_000_000 };

struct House {
    now: Now,
    zones: Vec<Machine>,
    wheel: Wheel,
    admission: Admission,
    health: Health<SocketAddr>,
    /// Ends of running attempts.
    jobs: BTreeMap<(Duration, Ticket), (Errand, SocketAddr)>,
    dead: Vec<SocketAddr>,
    /// Attempts that reached the network, by address.
    sent: BTreeMap<SocketAddr, u32>,
}

impl House {
    fn new(zones: &[Arc<Settings>], dead: Vec<SocketAddr>) -> House {
        House::with(zones, |_| None, dead)
    }

    /// The zones have what `restored` says of them.
    fn with(
        zones: &[Arc<Settings>],
        restored: impl Fn(usize) -> Option<Restored>,
        dead: Vec<SocketAddr>,
    ) -> House {
        let now = NOW;
        let machine = |(i, settings): (usize, &Arc<Settings>)| {
            Machine::new(settings.clone(), restored(i), now, i as u64)
        };
        let zones: Vec<_> = zones.iter().enumerate().map(machine).collect();
        let mut wheel = Wheel::new();
        for (i, zone) in (0..).zip(&zones) {
            wheel.schedule(ZoneId(i), zone.next_deadline());
        }
        House {
            now,
            zones,
            wheel,
            admission: Admission::new(AdmissionLimits::default()),
            health: Health::new(),
            jobs: BTreeMap::new(),
            dead,
            sent: BTreeMap::new(),
        }
    }

    fn tell(&mut self, zone: ZoneId, event: Event) {
        let machine = &mut self.zones[zone.0 as usize];
        machine.handle(event, self.now);
        while let Some(action) = machine.poll_action() {
            match action {
                Action::Probe { attempt, target, urgency } => {
                    self.admission.request(Ticket { zone, attempt }, Errand::Probe, target.address, urgency);
                }
                Action::Transfer { attempt, target, urgency, .. } => {
                    self.admission.request(
                        Ticket { zone, attempt },
                        Errand::Transfer,
                        target.address,
                        urgency,
                    );
                }
                Action::Cancel { attempt } => self.admission.release(Ticket { zone, attempt }),
                Action::Confirm(_) | Action::Expire { .. } | Action::Revive { .. } | Action::Report(_) => {}
            }
        }
        self.wheel.schedule(zone, machine.next_deadline());
    }

    fn end(&mut self, ticket: Ticket, errand: Errand, result: Result<(), Failure>) {
        self.admission.release(ticket);
        let attempt = ticket.attempt;
        let event = match errand {
            Errand::Probe => {
                Event::Probed { attempt, result: result.map(|()| ProbeAnswer { soa: soa(1), expire: None }) }
            }
            Errand::Transfer => {
                let published = Transferred::Published { soa: soa(1), expire: None, kind: Kind::Axfr };
                Event::Transferred { attempt, result: result.map(|()| published) }
            }
        };
        self.tell(ticket.zone, event);
    }

    fn run(&mut self, time: Duration) {
        let end = self.now.boot + time;
        loop {
            while let Some((ticket, errand, address)) = self.admission.admit() {
                let hold = self.zones[ticket.zone.0 as usize].hold_down();
                match self.health.ask(address, self.now.boot, hold) {
                    Permit::Go => {
                        *self.sent.entry(address).or_default() += 1;
                        let takes = if self.dead.contains(&address) { TIMEOUT } else { ANSWER };
                        self.jobs.insert((self.now.boot + takes, ticket), (errand, address));
                    }
                    Permit::Down { again } => {
                        self.end(ticket, errand, Err(Failure::from(Reason::PrimaryDown).until(again)));
                    }
                }
            }
            let job = self.jobs.keys().next().map_or(Duration::MAX, |(at, _)| *at);
            let next = job.min(self.wheel.next().unwrap_or(Duration::MAX));
            if next > end {
                break;
            }
            self.now.boot = next.max(self.now.boot);
            if job <= self.now.boot {
                self.finish_job();
            } else if let Some(zone) = self.wheel.pop_due(self.now.boot) {
                self.tell(zone, Event::Timeout);
            }
        }
        self.now.boot = end;
    }

    fn finish_job(&mut self) {
        let ((_, ticket), (errand, address)) = self.jobs.pop_first().unwrap();
        let now = self.now.boot;
        if self.dead.contains(&address) {
            let hold = self.zones[ticket.zone.0 as usize].hold_down();
            self.health.failed(address, now, hold);
            let failure = Failure::from(Reason::Timeout);
            let failure = self.health.down_until(address).map_or(failure, |again| failure.until(again));
            self.end(ticket, errand, Err(failure));
        } else {
            let turn = self.health.answered(address, now);
            self.end(ticket, errand, Ok(()));
            if let Some(Turn::Up { .. }) = turn {
                for zone in 0..self.zones.len() as u32 {
                    self.tell(ZoneId(zone), Event::PrimaryUp(address));
                }
            }
        }
    }

    fn current(&self) -> usize {
        self.zones.iter().filter(|z| matches!(z.validity(), Validity::Current { .. })).count()
    }
}

#[test]
fn a_dead_primary_costs_one_attempt_a_hold_and_delays_nobody_else() {
    let (dead, alive) = (address(1, 1), address(2, 1));
    let of_dead = Arc::new(settings(vec![primary(1, 1)]));
    let mut zones = vec![of_dead; 1000];
    zones.push(Arc::new(settings(vec![primary(2, 1)])));
    let mut house = House::new(&zones, vec![dead]);
    house.run(Duration::from_millis(100));
    assert_eq!(house.current(), 1, "the zone of the living primary waited for the dead one");
    house.run(seconds(3600));
    // Those under way before it was known: as many as may run at once. Then one for each hold, which doubles up to
    // five minutes.
    let sent = house.sent[&dead];
    assert!((8..=8 + 10 + 3600 / 225).contains(&sent), "{sent} attempts at a dead address");
    assert!(house.sent[&alive] <= 3);

    house.dead.clear();
    let before = house.now.boot;
    while house.current() < 1001 {
        house.run(seconds(1));
        assert!(house.now.boot < before + seconds(400), "{} are current", house.current());
    }
    assert_eq!(house.sent[&dead] - sent, 1000, "each zone once");
}

#[test]
fn all_zones_come_back_within_seconds_once_one_has_found_the_primary_alive() {
    let shared = Arc::new(settings(vec![primary(1, 1)]));
    let mut house = House::new(&vec![shared; 500], vec![address(1, 1)]);
    house.run(seconds(600));
    house.dead.clear();
    house.health.notified(address(1, 1), house.now.boot);
    house.tell(ZoneId(7), Event::Notify { from: address(1, 1).ip(), hint: None });
    house.run(seconds(1));
    assert_eq!(house.current(), 500);
}

#[test]
fn zones_in_good_health_wait_no_longer_for_a_dead_primary_than_they_would_by_themselves() {
    const RETRY: u64 = 60;
    let dead = address(1, 1);
    let shared = Arc::new(settings(vec![primary(1, 1)]));
    // Most were never loaded, and so become more patient than those that are served, before those that are served come to ask.
    let soa = soa_with(1, [4 * 3600, RETRY as u32, EXPIRE as u32]);
    let confirmation = Confirmation {
        serial: soa.serial,
        boot: NOW.boot,
        boot_id: NOW.boot_id,
        wall: NOW.wall,
        expire_in: EXPIRE,
    };
    let restored = Restored { soa, confirmation: Some(confirmation) };
    let loaded = |zone: usize| (zone >= 200).then(|| restored.clone());
    let mut house = House::with(&vec![shared; 205], loaded, vec![dead]);
    while house.zones[200..].iter().all(|zone| zone.last_failure().is_none()) {
        house.run(seconds(1));
    }
    let sent = u64::from(house.sent[&dead]);
    assert!(sent < 20 + 4 * 3600 / 225, "{sent} attempts: one zone asks for all");
    let until = house.health.down_until(dead).unwrap();
    assert!(until <= house.now.boot + seconds(RETRY), "held for {:?}", until - house.now.boot);
    house.run(seconds(8 * 3600));
    let asked = u64::from(house.sent[&dead]) - sent;
    assert!((300..8 * 3600 / RETRY + 8).contains(&asked), "{asked} attempts: one zone asks for all");
    let sent = sent + asked;
    house.dead.clear();
    house.run(seconds(RETRY) + TIMEOUT);
    assert_eq!(house.current(), 205);
    let asked = u64::from(house.sent[&dead]) - sent;
    assert!((205..215).contains(&asked), "{asked}");
}
