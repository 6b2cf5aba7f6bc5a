//! The cell that the update path and the query path share: the published version of a zone and, in an atomic beside
//! it, when it expires.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwapOption, Guard};
use secondo_zone::{Version, Zone};

/// One zone's published version. Shared by [`Arc`] between the table, which may be rebuilt, and the publisher.
///
/// Times are milliseconds of a clock that starts with the machine and counts its sleep.
#[derive(Debug, Default)]
pub struct Slot {
    zone: ArcSwapOption<Version>,
    /// 0: never loaded.
    expires_at: AtomicU64,
    confirmed_at: AtomicU64,
}

/// What may be said of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// No version was ever published, or it was withdrawn.
    NeverLoaded,
    /// The version is answered from.
    Current {
        /// Milliseconds until it expires, at least 1.
        expires_in: u64,
    },
    /// The version is not answered from (RFC 1034 §4.3.5).
    Expired {
        /// Milliseconds since a primary last confirmed it.
        confirmed_ago: u64,
    },
}

/// A version held for the time of one answer, and the milliseconds until it expires.
#[derive(Debug)]
pub(crate) struct Held {
    zone: Guard<Option<Arc<Version>>>,
    pub(crate) expires_in: u64,
}

impl Held {
    pub(crate) fn zone(&self) -> &Version {
        self.zone.as_deref().expect("a version is held only when there is one")
    }

    /// The version for longer than an answer takes.
    pub(crate) fn shared(&self) -> Zone {
        (*self.zone).clone().expect("a version is held only when there is one").into()
    }
}

impl Slot {
    /// Nothing published.
    pub fn new() -> Slot {
        Slot::default()
    }

    /// Puts a version in place. It is answered from once [`Slot::renew`] has said until when; a later version takes
    /// over the time of the one before until then. Returns the version replaced: hold it until nobody else does, so
    /// that no query thread is the one to drop it.
    pub fn publish(&self, zone: Zone) -> Option<Zone> {
        self.zone.swap(Some(zone.into_shared())).map(Zone::from)
    }

    /// Sets when the version expires and when a primary confirmed it. Expiry now or earlier is an expired zone.
    pub fn renew(&self, expires_at: u64, confirmed_at: u64) {
        self.confirmed_at.store(confirmed_at, Ordering::Relaxed);
        self.expires_at.store(expires_at.max(1), Ordering::Release);
    }

    /// Takes the version away: the zone counts as never loaded. Returns the version.
    pub fn withdraw(&self) -> Option<Zone> {
        self.expires_at.store(0, Ordering::Release);
        self.zone.swap(None).map(Zone::from)
    }

    /// What may be said at `boot_ms`.
    pub fn state(&self, boot_ms: u64) -> Serving {
        match self.hold(boot_ms) {
            Ok(held) => Serving::Current { expires_in: held.expires_in },
            Err(serving) => serving,
        }
    }

    /// The version, when it may be answered from.
    pub fn current(&self, boot_ms: u64) -> Option<Zone> {
        self.hold(boot_ms).ok().map(|held| held.shared())
    }

    /// The version as it stands, expired or not: for the update path, never for answers.
    pub fn published(&self) -> Option<Zone> {
        self.zone.load_full().map(Zone::from)
    }

    /// Holds the version, or tells why it may not be answered from.
    pub(crate) fn hold(&self, boot_ms: u64) -> Result<Held, Serving> {
        // The time is read first: a publisher stores the version before its time, so a new time is never paired with
        // an older, expired version.
        let expires_at = self.expires_at.load(Ordering::Acquire);
        if expires_at == 0 {
            return Err(Serving::NeverLoaded);
        }
        if boot_ms >= expires_at {
            let confirmed_at = self.confirmed_at.load(Ordering::Relaxed);
            return Err(Serving::Expired { confirmed_ago: boot_ms.saturating_sub(confirmed_at) });
        }
        let zone = self.zone.load();
        if zone.is_none() {
            return Err(Serving::NeverLoaded);
        }
        Ok(Held { zone, expires_in: expires_at - boot_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::zone;

    #[test]
    fn a_slot_is_empty_until_a_version_has_a_time() {
        let slot = Slot::new();
        assert_eq!(slot.state(5), Serving::NeverLoaded);
        slot.publish(zone("example.", ""));
        assert_eq!(slot.state(5), Serving::NeverLoaded);
        slot.renew(100, 3);
        assert_eq!(slot.state(5), Serving::Current { expires_in: 95 });
        slot.withdraw();
        assert_eq!(slot.state(5), Serving::NeverLoaded);
        slot.renew(100, 3);
        assert_eq!(slot.state(5), Serving::NeverLoaded);
    }

    #[test]
    fn expiry_is_compared_at_each_look_and_a_renewal_revives() {
        let slot = Slot::new();
        slot.publish(zone("example.", ""));
        slot.renew(100, 40);
        assert_eq!(slot.state(99), Serving::Current { expires_in: 1 });
        assert_eq!(slot.state(100), Serving::Expired { confirmed_ago: 60 });
        assert!(slot.current(100).is_none() && slot.published().is_some());
        slot.renew(0, 40);
        assert_eq!(slot.state(50), Serving::Expired { confirmed_ago: 10 });
        slot.renew(200, 100);
        assert_eq!(slot.state(100), Serving::Current { expires_in: 100 });
    }
}
