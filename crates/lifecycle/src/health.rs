//! Whether primaries give signs of life: learnt by one zone, known to all that reach them the same way.
//!
//! ```text
//!            failed (twice in a row, when it lived before)
//!     Up ─────────────────────────────────────────────────► Down, held until a moment
//!      ▲                                                      │  the hold is over, or a NOTIFY came from there:
//!      │ answered                                             ▼  one zone asks for all
//!      └───────────────────────────────────────────────── Down, being asked ──► failed: held twice as long
//! ```
//!
//! How long a hold is, each zone has its own mind about; the shortest of all that want to ask holds, so that no zone waits
//! for another's patience.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use crate::HoldDown;

/// How long the zone that asks for all may take before another does.
const LEASE: Duration = Duration::from_secs(60);

/// All ways to primaries that were gone. `W` is what tells one from another: an address, and what else decides whether
/// a primary can be reached there.
#[derive(Clone, Debug)]
pub struct Health<W> {
    ways: HashMap<W, Record>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Record {
    /// It has answered, so that a single failure may be an accident.
    answered: bool,
    /// It has sent a NOTIFY.
    called: bool,
    /// Failures in a row.
    failures: u8,
    down: Option<Down>,
}

#[derive(Clone, Copy, Debug)]
struct Down {
    since: Duration,
    /// It last failed.
    failed: Duration,
    /// Failures in a row that count.
    in_vain: u8,
    /// Nobody asks before this moment.
    until: Duration,
    /// Until when nobody would have asked, had it not been released.
    released: Option<Duration>,
    /// Until this moment another zone asks for all.
    leased: Option<Duration>,
}

impl Down {
    /// A zone that would hold it for no longer wants to ask too.
    fn shorten(&mut self, hold: HoldDown) {
        self.until = self.until.min(self.failed.saturating_add(hold.after(self.in_vain)));
    }
}

/// Whether an attempt is worth making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// Go; report the end by [`Health::answered`], [`Health::failed`] or [`Health::abandoned`].
    Go,
    /// The primary is down: the attempt failed with [`Reason::PrimaryDown`](secondo_wire::Reason::PrimaryDown), and
    /// it is not worth asking before this moment.
    Down {
        /// On the boot clock.
        again: Duration,
    },
}

/// A primary changed sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// `primary.down`.
    Down {
        /// Nobody asks before this moment.
        until: Duration,
    },
    /// `primary.up`: tell every zone that has it ([`Event::PrimaryUp`](crate::Event::PrimaryUp)).
    Up {
        /// How long it was down.
        after: Duration,
    },
}

impl<W: Copy + Eq + Hash> Health<W> {
    /// Nothing is known, so all may be asked.
    pub fn new() -> Health<W> {
        Health { ways: HashMap::new() }
    }

    fn down(&mut self, way: W) -> Option<&mut Down> {
        self.ways.get_mut(&way)?.down.as_mut()
    }

    /// Before an attempt of a zone that would hold the primary down for `hold`.
    pub fn ask(&mut self, way: W, now: Duration, hold: HoldDown) -> Permit {
        let Some(down) = self.down(way) else { return Permit::Go };
        down.shorten(hold);
        if now < down.until {
            return Permit::Down { again: down.until };
        }
        match down.leased {
            // By then the one who asks may have failed, and its hold, as this zone sees it, be over.
            Some(leased) if now < leased => {
                Permit::Down { again: leased.min(now.saturating_add(hold.first)) }
            }
            _ => {
                down.leased = Some(now.saturating_add(LEASE));
                Permit::Go
            }
        }
    }

    /// Something came from there, were it a refusal: it lives. Call it as soon as that is seen.
    pub fn answered(&mut self, way: W, now: Duration) -> Option<Turn> {
        let record = self.ways.entry(way).or_default();
        record.answered = true;
        record.failures = 0;
        record.down.take().map(|down| Turn::Up { after: now.saturating_sub(down.since) })
    }

    /// An attempt ended without a sign of life. `hold` is that of the zone that asked; others may shorten it.
    pub fn failed(&mut self, way: W, now: Duration, hold: HoldDown) -> Option<Turn> {
        let record = self.ways.entry(way).or_default();
        if let Some(down) = record.down.as_mut().filter(|down| now < down.until) {
            // It was asked before it was known to be down; one hold for all of those, the shortest.
            down.shorten(hold);
            return None;
        }
        if let Some(down) = &mut record.down
            && let Some(before) = down.released.take().filter(|before| now < *before)
        {
            // A NOTIFY promised what was not so: that counts for nothing, but that nobody asks again at once.
            (down.until, down.failed, down.leased) = (before.max(now.saturating_add(hold.first)), now, None);
            down.shorten(hold);
            return None;
        }
        record.failures = record.failures.saturating_add(1);
        if record.answered && record.failures == 1 {
            return None;
        }
        let in_vain = record.failures - u8::from(record.answered);
        let until = now.saturating_add(hold.after(in_vain));
        let since = record.down.map(|down| down.since);
        record.down = Some(Down {
            since: since.unwrap_or(now),
            failed: now,
            in_vain,
            until,
            released: None,
            leased: None,
        });
        since.is_none().then_some(Turn::Down { until })
    }

    /// An attempt ended without having asked: the next zone may.
    pub fn abandoned(&mut self, way: W) {
        if let Some(down) = self.down(way) {
            down.leased = None;
        }
    }

    /// A NOTIFY came from there: it may be asked at once, and lives unless it is down. Only an answer ends that: anybody
    /// may forge a NOTIFY.
    pub fn notified(&mut self, way: W, now: Duration) {
        self.ways.entry(way).or_default().called = true;
        self.release(way, now);
    }

    /// An operator may know better: it may be asked at once.
    pub fn release(&mut self, way: W, now: Duration) {
        if let Some(down) = self.down(way).filter(|down| now < down.until) {
            down.released = Some(down.until);
            down.until = now;
        }
    }

    /// Whether something has come from there, and it is not down.
    pub fn is_alive(&self, way: W) -> bool {
        let lives = |record: &Record| (record.answered || record.called) && record.down.is_none();
        self.ways.get(&way).is_some_and(lives)
    }

    /// The moment before which it is not worth asking, when it is down.
    pub fn down_until(&self, way: W) -> Option<Duration> {
        self.ways.get(&way)?.down.map(|down| down.until)
    }

    /// No zone reaches a primary so any more.
    pub fn forget(&mut self, way: W) {
        self.ways.remove(&way);
    }
}

impl<W: Copy + Eq + Hash> Default for Health<W> {
    fn default() -> Health<W> {
        Health::new()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

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
        assert_eq!(health.ask(address(), seconds(0), HOLD), Permit::Go);
        assert_eq!(health.failed(address(), seconds(5), HOLD), Some(Turn::Down { until: seconds(15) }));
        assert_eq!(health.ask(address(), seconds(14), HOLD), Permit::Down { again: seconds(15) });
        assert_eq!(health.ask(SocketAddr::from(([192, 0, 2, 2], 53)), seconds(14), HOLD), Permit::Go);
    }

    #[test]
    fn a_single_failure_of_an_address_that_lived_is_an_accident() {
        let mut health = Health::new();
        assert_eq!(health.answered(address(), seconds(0)), None);
        assert_eq!(health.failed(address(), seconds(1), HOLD), None);
        assert_eq!(health.ask(address(), seconds(1), HOLD), Permit::Go);
        assert_eq!(health.failed(address(), seconds(2), HOLD), Some(Turn::Down { until: seconds(12) }));
    }

    #[test]
    fn a_notify_from_where_nobody_answers_leaves_the_hold_as_it_was() {
        let mut health = Health::new();
        health.failed(address(), seconds(0), HOLD);
        assert_eq!(health.ask(address(), seconds(10), HOLD), Permit::Go);
        assert_eq!(health.failed(address(), seconds(12), HOLD), None);
        for notified in [13, 17, 20] {
            health.notified(address(), seconds(notified));
            assert_eq!(health.ask(address(), seconds(notified), HOLD), Permit::Go);
            assert_eq!(health.failed(address(), seconds(notified + 1), HOLD), None);
            assert_eq!(health.down_until(address()), Some(seconds(32)));
        }
        // An attempt that ends behind the hold is one as any other.
        health.notified(address(), seconds(31));
        assert_eq!(health.ask(address(), seconds(31), HOLD), Permit::Go);
        assert_eq!(health.failed(address(), seconds(33), HOLD), None);
        assert_eq!(health.down_until(address()), Some(seconds(33 + 40)));
    }

    #[test]
    fn one_zone_asks_for_all_and_each_failure_doubles_the_hold() {
        let mut health = Health::new();
        health.failed(address(), seconds(0), HOLD);
        for (asked, until) in [(10, 30), (30, 70), (70, 150), (150, 250), (250, 350)] {
            assert_eq!(health.ask(address(), seconds(asked), HOLD), Permit::Go);
            let waiting = Permit::Down { again: seconds(asked) + HOLD.first };
            assert_eq!(health.ask(address(), seconds(asked), HOLD), waiting);
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
        assert_eq!(health.ask(address(), seconds(3), HOLD), Permit::Go);
        assert!(matches!(health.ask(address(), seconds(3), HOLD), Permit::Down { .. }));
        assert_eq!(health.answered(address(), seconds(4)), Some(Turn::Up { after: seconds(4) }));
        assert_eq!(health.ask(address(), seconds(4), HOLD), Permit::Go);
    }

    #[test]
    fn what_answers_or_calls_lives_until_it_is_down_and_then_only_an_answer_shows_that_it_does() {
        let mut health = Health::new();
        assert!(!health.is_alive(address()));
        health.release(address(), seconds(0));
        assert!(!health.is_alive(address()), "an operator is no sign of life");
        health.notified(address(), seconds(0));
        assert!(health.is_alive(address()));
        // A call is no answer: one failure is enough.
        health.failed(address(), seconds(1), HOLD);
        assert!(!health.is_alive(address()));
        health.notified(address(), seconds(2));
        assert!(!health.is_alive(address()));
        assert_eq!(health.ask(address(), seconds(2), HOLD), Permit::Go);
        health.answered(address(), seconds(3));
        assert!(health.is_alive(address()));
    }

    #[test]
    fn a_zone_that_gave_up_or_takes_too_long_leaves_the_asking_to_another() {
        let mut health = Health::new();
        health.failed(address(), seconds(0), HOLD);
        assert_eq!(health.ask(address(), seconds(10), HOLD), Permit::Go);
        health.abandoned(address());
        assert_eq!(health.ask(address(), seconds(10), HOLD), Permit::Go);
        assert_eq!(health.ask(address(), seconds(10) + LEASE, HOLD), Permit::Go);
    }

    #[test]
    fn the_shortest_hold_of_all_who_want_to_ask_holds() {
        let long = HoldDown { first: seconds(10), longest: seconds(3600) };
        let mut health = Health::new();
        let mut now = seconds(0);
        for _ in 0..12 {
            health.failed(address(), now, long);
            now = health.down_until(address()).unwrap();
            assert_eq!(health.ask(address(), now, long), Permit::Go);
        }
        let failed = now;
        health.failed(address(), failed, long);
        assert_eq!(health.down_until(address()), Some(failed + seconds(3600)));
        // A zone comes that asks at least every 100 s: all wait no longer than it would, counted from the failure.
        let again = failed + HOLD.longest;
        assert_eq!(health.ask(address(), failed + seconds(30), HOLD), Permit::Down { again });
        assert_eq!(health.ask(address(), failed + seconds(31), long), Permit::Down { again });
        assert_eq!(health.ask(address(), again, long), Permit::Go);
        // And where it has waited longer than that, it asks at once.
        health.failed(address(), again, long);
        assert_eq!(health.ask(address(), again + HOLD.longest, HOLD), Permit::Go);
        assert_eq!(
            health.ask(address(), again + HOLD.longest, long),
            Permit::Down { again: again + HOLD.longest + long.first }
        );
    }
}
