//! Whether the addresses of primaries give signs of life: learnt by one zone, known to all.
//!
//! ```text
//!            failed (twice in a row, when it lived before)
//!     Up ─────────────────────────────────────────────────► Down, held until a moment
//!      ▲                                                      │  the hold is over, or a NOTIFY came from there:
//!      │ answered                                             ▼  one zone asks for all
//!      └───────────────────────────────────────────────── Down, being asked ──► failed: held twice as long
//! ```

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::HoldDown;

/// How long the zone that asks for all may take before another does.
const LEASE: Duration = Duration::from_secs(60);

/// The addresses of all primaries that were asked.
#[derive(Clone, Debug, Default)]
pub struct Health {
    addresses: HashMap<SocketAddr, Record>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Record {
    /// It has answered, so that a single failure may be an accident.
    answered: bool,
    /// Failures in a row.
    failures: u8,
    down: Option<Down>,
}

#[derive(Clone, Copy, Debug)]
struct Down {
    since: Duration,
    /// Nobody asks before this moment.
    until: Duration,
    /// Until this moment another zone asks for all.
    leased: Option<Duration>,
}

/// Whether an attempt is worth making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// Go; report the end by [`Health::answered`], [`Health::failed`] or [`Health::abandoned`].
    Go,
    /// The address is down: the attempt failed with [`Reason::PrimaryDown`](secondo_wire::Reason::PrimaryDown), and
    /// it is not worth asking before this moment.
    Down {
        /// On the boot clock.
        again: Duration,
    },
}

/// An address changed sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// `primary.down`.
    Down {
        /// Nobody asks before this moment.
        until: Duration,
    },
    /// `primary.up`: tell every zone that has a primary there ([`Event::PrimaryUp`](crate::Event::PrimaryUp)).
    Up {
        /// How long it was down.
        after: Duration,
    },
}

impl Health {
    /// Nothing is known, so all may be asked.
    pub fn new() -> Health {
        Health::default()
    }

    /// Before an attempt.
    pub fn ask(&mut self, address: SocketAddr, now: Duration) -> Permit {
        let Some(down) = self.addresses.get_mut(&address).and_then(|r| r.down.as_mut()) else {
            return Permit::Go;
        };
        if now < down.until {
            return Permit::Down { again: down.until };
        }
        match down.leased {
            Some(leased) if now < leased => Permit::Down { again: leased },
            _ => {
                down.leased = Some(now.saturating_add(LEASE));
                Permit::Go
            }
        }
    }

    /// Something came from the address, were it a refusal: it lives. Call it as soon as that is seen.
    pub fn answered(&mut self, address: SocketAddr, now: Duration) -> Option<Turn> {
        let record = self.addresses.entry(address).or_default();
        record.answered = true;
        record.failures = 0;
        record.down.take().map(|down| Turn::Up { after: now.saturating_sub(down.since) })
    }

    /// An attempt ended without a sign of life. `hold` is that of the zone that asked.
    pub fn failed(&mut self, address: SocketAddr, now: Duration, hold: HoldDown) -> Option<Turn> {
        let record = self.addresses.entry(address).or_default();
        if record.down.is_some_and(|down| now < down.until) {
            // It was asked before it was known to be down; one hold for all of those.
            return None;
        }
        record.failures = record.failures.saturating_add(1);
        if record.answered && record.failures == 1 {
            return None;
        }
        let in_vain = record.failures - u8::from(record.answered);
        let until = now.saturating_add(hold.after(in_vain));
        let since = record.down.map(|down| down.since);
        record.down = Some(Down { since: since.unwrap_or(now), until, leased: None });
        since.is_none().then_some(Turn::Down { until })
    }

    /// An attempt ended without having asked: the next zone may.
    pub fn abandoned(&mut self, address: SocketAddr) {
        if let Some(down) = self.addresses.get_mut(&address).and_then(|r| r.down.as_mut()) {
            down.leased = None;
        }
    }

    /// A NOTIFY came from the address: it may be asked at once.
    pub fn notified(&mut self, address: SocketAddr, now: Duration) {
        if let Some(down) = self.addresses.get_mut(&address).and_then(|r| r.down.as_mut()) {
            down.until = down.until.min(now);
        }
    }

    /// The moment before which the address is not worth asking, when it is down.
    pub fn down_until(&self, address: SocketAddr) -> Option<Duration> {
        self.addresses.get(&address)?.down.map(|down| down.until)
    }

    /// The address belongs to no primary any more.
    pub fn forget(&mut self, address: SocketAddr) {
        self.addresses.remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLD: HoldDown = HoldDown { first: Duration::from_secs(10), longest: Duration::from_secs(100) };

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn address() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 53))
    }

    #[test]
    fn an_address_that_never_answered_is_down_at_the_first_failure() {
        let mut health = Health::new();
        assert_eq!(health.ask(address(), seconds(0)), Permit::Go);
        assert_eq!(health.failed(address(), seconds(5), HOLD), Some(Turn::Down { until: seconds(15) }));
        assert_eq!(health.ask(address(), seconds(14)), Permit::Down { again: seconds(15) });
        assert_eq!(health.ask(SocketAddr::from(([192, 0, 2, 2], 53)), seconds(14)), Permit::Go);
    }

    #[test]
    fn a_single_failure_of_an_address_that_lived_is_an_accident() {
        let mut health = Health::new();
        assert_eq!(health.answered(address(), seconds(0)), None);
        assert_eq!(health.failed(address(), seconds(1), HOLD), None);
        assert_eq!(health.ask(address(), seconds(1)), Permit::Go);
        assert_eq!(health.failed(address(), seconds(2), HOLD), Some(Turn::Down { until: seconds(12) }));
    }

    #[test]
    fn one_zone_asks_for_all_and_each_failure_doubles_the_hold() {
        let mut health = Health::new();
        health.failed(address(), seconds(0), HOLD);
        for (asked, until) in [(10, 30), (30, 70), (70, 150), (150, 250), (250, 350)] {
            assert_eq!(health.ask(address(), seconds(asked)), Permit::Go);
            let waiting = Permit::Down { again: seconds(asked) + LEASE };
            assert_eq!(health.ask(address(), seconds(asked)), waiting);
            assert_eq!(health.failed(address(), seconds(asked), HOLD), None);
            assert_eq!(health.down_until(address()), Some(seconds(until)));
        }
    }

    #[test]
    fn failures_of_attempts_that_were_under_way_count_once() {
        let mut health = Health::new();
        health.failed(address(), seconds(0), HOLD);
        for _ in 0..64 {
            assert_eq!(health.failed(address(), seconds(1), HOLD), None);
        }
        assert_eq!(health.down_until(address()), Some(seconds(10)));
    }

    #[test]
    fn an_answer_brings_it_up_and_a_notify_lets_one_zone_ask_at_once() {
        let mut health = Health::new();
        health.failed(address(), seconds(0), HOLD);
        health.notified(address(), seconds(3));
        assert_eq!(health.ask(address(), seconds(3)), Permit::Go);
        assert!(matches!(health.ask(address(), seconds(3)), Permit::Down { .. }));
        assert_eq!(health.answered(address(), seconds(4)), Some(Turn::Up { after: seconds(4) }));
        assert_eq!(health.ask(address(), seconds(4)), Permit::Go);
    }

    #[test]
    fn a_zone_that_gave_up_or_takes_too_long_leaves_the_asking_to_another() {
        let mut health = Health::new();
        health.failed(address(), seconds(0), HOLD);
        assert_eq!(health.ask(address(), seconds(10)), Permit::Go);
        health.abandoned(address());
        assert_eq!(health.ask(address(), seconds(10)), Permit::Go);
        assert_eq!(health.ask(address(), seconds(10) + LEASE), Permit::Go);
    }
}
