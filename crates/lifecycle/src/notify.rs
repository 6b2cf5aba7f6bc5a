//! NOTIFYs that wait for their turn, and the pace at which a zone acts on them (RFC 1996 §3, §4).

use std::net::IpAddr;
use std::time::Duration;

use secondo_wire::{Serial, SerialOrder};

use crate::machine::{Activity, Machine};
use crate::outcome::{NotifyIgnored, Outcome};
use crate::{Now, Validity};

/// Attempts that NOTIFYs may cause at once.
pub const BURST: u8 = 10;
/// After which time one more is allowed.
pub const REFILL: Duration = Duration::from_millis(100);

/// A bucket of allowances: full at rest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pacing {
    left: u8,
    /// When `left` was last brought up to date (boot clock); of no meaning while it is full.
    since: Duration,
}

impl Pacing {
    pub(crate) fn full() -> Pacing {
        Pacing { left: BURST, since: Duration::ZERO }
    }

    /// The moment from which an attempt is allowed.
    pub(crate) fn next_allowance(&self) -> Duration {
        if self.left > 0 { self.since } else { self.since.saturating_add(REFILL) }
    }

    /// Takes an allowance if there is one.
    pub(crate) fn take(&mut self, now: Duration) -> bool {
        self.refill(now);
        if self.left == 0 {
            return false;
        }
        if self.left == BURST {
            self.since = now;
        }
        self.left -= 1;
        true
    }

    fn refill(&mut self, now: Duration) {
        let elapsed = now.saturating_sub(self.since);
        let refills = elapsed.as_millis() / REFILL.as_millis();
        let missing = BURST.saturating_sub(self.left);
        match u8::try_from(refills) {
            Ok(n) if n < missing => {
                self.left += n;
                self.since += REFILL * u32::from(n);
            }
            _ => self.left = BURST,
        }
    }
}

/// NOTIFYs not yet acted on, as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    /// The primaries that sent them, one bit each: every sender is remembered, not only the last.
    pub(crate) senders: u64,
    /// The newest serial hinted at; `None` when only asking can tell.
    pub(crate) hint: Option<Serial>,
}

impl Pending {
    /// One more NOTIFY.
    pub(crate) fn join(self, senders: u64, hint: Option<Serial>) -> Pending {
        let hint = match (self.hint, hint) {
            (Some(old), Some(new)) => match new.compare(old) {
                SerialOrder::Newer => Some(new),
                SerialOrder::Equal | SerialOrder::Older => Some(old),
                SerialOrder::Undefined => None,
            },
            _ => None,
        };
        Pending { senders: self.senders | senders, hint }
    }
}

impl Machine {
    /// RFC 1996 §3.11: an accepted NOTIFY acts as if REFRESH had run out.
    pub(crate) fn notified(&mut self, from: IpAddr, hint: Option<Serial>, now: Now) {
        let senders = self.settings.primaries_at(from);
        if let Some(why) = self.reason_to_ignore(senders, hint, now) {
            self.report(Outcome::NotifyIgnored { from, hint, why });
            return;
        }
        if !matches!(self.validity, Validity::Current { .. }) {
            // The zone is not answered from: nothing is gained by patience.
            self.memory.reset_backoff();
        }
        if let Activity::Probing(a) | Activity::Transferring(a) = &mut self.activity {
            a.round.preferred |= senders;
        }
        let waiting = matches!(self.activity, Activity::Waiting { .. });
        let later = !waiting || self.pacing.next_allowance() > now.boot;
        let news = self.pending.is_none();
        let pending = self.pending.take().map_or(Pending { senders, hint }, |p| p.join(senders, hint));
        self.pending = Some(Box::new(pending));
        if news || !later {
            self.report(Outcome::NotifyAccepted { from, hint, later });
        }
    }

    fn reason_to_ignore(&self, senders: u64, hint: Option<Serial>, now: Now) -> Option<NotifyIgnored> {
        let hint = hint?;
        // RFC 1996 §3.7: the hint serves for one thing, to see that there is nothing to do. An expired zone has to ask.
        if self.serves(hint) {
            return Some(NotifyIgnored::AlreadyServed);
        }
        let mut asked =
            (0..self.settings.primaries().len()).filter(|i| senders == 0 || senders & 1 << i != 0);
        let first = self.memory.unfit(asked.next()?, hint, now.boot)?;
        let all = asked.all(|i| self.memory.unfit(i, hint, now.boot).is_some());
        all.then_some(NotifyIgnored::Rejected(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn ten_at_once_then_one_every_hundred_milliseconds() {
        let mut pacing = Pacing::full();
        assert!((0..10).all(|_| pacing.take(ms(5000))));
        assert!(!pacing.take(ms(5000)) && !pacing.take(ms(5099)));
        assert_eq!(pacing.next_allowance(), ms(5100));
        assert!(pacing.take(ms(5100)) && !pacing.take(ms(5199)) && pacing.take(ms(5200)));
    }

    #[test]
    fn a_rest_fills_the_burst_and_no_more() {
        let mut pacing = Pacing::full();
        assert!((0..10).all(|_| pacing.take(ms(0))));
        assert_eq!((0..20).filter(|_| pacing.take(ms(500))).count(), 5);
        assert_eq!((0..20).filter(|_| pacing.take(ms(u64::MAX))).count(), 10);
    }

    #[test]
    fn hints_join_to_the_newest_across_the_wrap_and_senders_to_all() {
        let first = Pending { senders: 1, hint: Some(Serial(u32::MAX)) };
        assert_eq!(first.join(2, Some(Serial(1))), Pending { senders: 3, hint: Some(Serial(1)) });
        assert_eq!(first.join(0, Some(Serial(u32::MAX - 1))).hint, Some(Serial(u32::MAX)));
    }

    #[test]
    fn without_a_comparable_hint_only_asking_can_tell() {
        let first = Pending { senders: 1, hint: Some(Serial(0)) };
        assert_eq!(first.join(1, None).hint, None);
        assert_eq!(first.join(1, None).join(1, Some(Serial(5))).hint, None);
        assert_eq!(first.join(1, Some(Serial(1 << 31))).hint, None);
    }
}
