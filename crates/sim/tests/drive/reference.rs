//! The reference model: what a secondary may serve, told from the answers of honest primaries alone. All that the rooms
//! do must stay within it, however they do it.
//!
//! - What is served is a version that some primary published, content and serial (RFC 5936 §6).
//! - It is served until EXPIRE has run out since the last honest answer that vouched for it, or a transfer that brought it
//!   (RFC 1034 §4.3.5); a primary whose own copy has less to live vouches for no longer than that (RFC 7314 §4).
//! - Neither a restart nor a reboot nor an operator lengthens that.
//! - When all primaries are honest and have the same, that is served soon (see `Stage::quiet`).

use std::collections::BTreeSet;
use std::time::Duration;

use secondo_sim::Zone;
use secondo_wire::Serial;

/// An honest answer: the serial, and the seconds left to the primary's own copy, if it told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vouched {
    pub(crate) serial: Serial,
    pub(crate) left: Option<u32>,
}

/// Moments are on a clock that no reboot sets back.
#[derive(Debug)]
pub(crate) struct Reference {
    /// EXPIRE within its bounds.
    expire: Duration,
    /// Versions that an honest primary had: serial and content.
    published: BTreeSet<(u32, [u8; 32])>,
    /// Until when the version held may be served.
    allowed: Duration,
}

impl Reference {
    pub(crate) fn new(expire: Duration) -> Reference {
        Reference { expire, published: BTreeSet::new(), allowed: Duration::ZERO }
    }

    /// A primary has this version from now on.
    pub(crate) fn publishes(&mut self, zone: &Zone) {
        self.published.insert((zone.serial().0, zone.digest()));
    }

    /// This one takes the place of what was served: what allowed that counts no more.
    pub(crate) fn replaced(&mut self, zone: &Zone) {
        let known = self.published.contains(&(zone.serial().0, zone.digest()));
        assert!(known, "serial {} was published and is nobody's version", zone.serial());
        self.allowed = Duration::ZERO;
    }

    /// An honest answer that vouches for what is served arrives now, asked for at `asked`.
    pub(crate) fn vouched(&mut self, vouched: Vouched, asked: Duration, now: Duration) {
        let left = vouched.left.map_or(Duration::MAX, |left| Duration::from_secs(left.into()));
        // At its end, a primary vouches for nothing (RFC 7314 §3).
        if left > Duration::from_secs(1) {
            let life = left.saturating_sub(now - asked).min(self.expire);
            self.allowed = self.allowed.max(now + life);
        }
    }

    /// An operator has it expired.
    pub(crate) fn expired(&mut self, now: Duration) {
        self.allowed = now;
    }

    /// What was on disk is held again, with what was allowed when it was written.
    pub(crate) fn restored(&mut self, allowed: Duration) {
        self.allowed = allowed;
    }

    pub(crate) fn allowed(&self) -> Duration {
        self.allowed
    }

    /// It is served until then; `rounding`: parts of seconds that the wall clock does not tell.
    pub(crate) fn check(&self, until: Duration, now: Duration, rounding: Duration) {
        let allowed = self.allowed + rounding;
        assert!(
            until <= now || until <= allowed,
            "served until {until:?}, while honest answers allow {allowed:?}, at {now:?}"
        );
    }
}
