//! What the operator laid down for a zone, as far as time and primaries go.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Primaries of one zone, at most: a round keeps them as bits of one word.
pub const MAX_PRIMARIES: usize = 64;
/// Addresses of one primary, at most.
pub const MAX_ADDRESSES: usize = 64;
/// No bound may be shorter: it is what keeps REFRESH=0 and RETRY=0 from spinning.
const SHORTEST: Duration = Duration::from_secs(1);

/// Bounds of an interval that the SOA asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    min: Duration,
    max: Duration,
}

impl Bounds {
    /// `1 s <= min <= max`.
    pub fn new(min: Duration, max: Duration) -> Result<Bounds, SettingsError> {
        if min < SHORTEST {
            return Err(SettingsError::BoundTooShort(min));
        }
        if min > max {
            return Err(SettingsError::BoundsCrossed(min, max));
        }
        Ok(Bounds { min, max })
    }

    /// The shortest that holds.
    pub fn min(self) -> Duration {
        self.min
    }

    /// The longest that holds.
    pub fn max(self) -> Duration {
        self.max
    }

    /// The seconds of a SOA field within the bounds. RFC 1035 §3.3.13: any 32-bit value is legal there.
    pub fn clamp(self, seconds: u32) -> Duration {
        Duration::from_secs(u64::from(seconds)).clamp(self.min, self.max)
    }
}

/// A definition of a primary (its addresses, key, transport). The caller gives a new number when any of that changes,
/// so that what was learnt about the old one is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrimaryId(pub u32);

/// A primary of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Primary {
    /// Its definition.
    pub id: PrimaryId,
    /// Tried in this order; 1 to [`MAX_ADDRESSES`].
    pub addresses: Vec<SocketAddr>,
    /// Whether IXFR may be asked there at all.
    pub ixfr: bool,
}

/// Whom an attempt asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The definition: key, transport, source address.
    pub primary: PrimaryId,
    /// Which of its addresses.
    pub address: SocketAddr,
}

/// What holds for a zone; shared by all zones that have the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    refresh: Bounds,
    retry: Bounds,
    expire: Bounds,
    primaries: Vec<Primary>,
    patience: Duration,
}

/// Why settings are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A lower bound below one second.
    #[error("a lower bound of {0:?} is shorter than 1 s")]
    BoundTooShort(Duration),
    /// Lower bound above the upper.
    #[error("the lower bound {0:?} is above the upper bound {1:?}")]
    BoundsCrossed(Duration, Duration),
    /// None, or more than [`MAX_PRIMARIES`].
    #[error("a zone has 1 to {MAX_PRIMARIES} primaries, not {0}")]
    Primaries(usize),
    /// None, or more than [`MAX_ADDRESSES`].
    #[error("a primary has 1 to {MAX_ADDRESSES} addresses, not {0}")]
    Addresses(usize),
}

impl Settings {
    /// How long an attempt may take, its wait for admission included, before it is given up: a last resort behind
    /// the timeouts of the jobs themselves.
    pub const PATIENCE: Duration = Duration::from_secs(6 * 3600);

    /// Settings from bounds and primaries in the order in which they are asked.
    pub fn new(
        refresh: Bounds,
        retry: Bounds,
        expire: Bounds,
        primaries: Vec<Primary>,
    ) -> Result<Settings, SettingsError> {
        if primaries.is_empty() || primaries.len() > MAX_PRIMARIES {
            return Err(SettingsError::Primaries(primaries.len()));
        }
        for primary in &primaries {
            if primary.addresses.is_empty() || primary.addresses.len() > MAX_ADDRESSES {
                return Err(SettingsError::Addresses(primary.addresses.len()));
            }
        }
        Ok(Settings { refresh, retry, expire, primaries, patience: Settings::PATIENCE })
    }

    /// The same with another patience (see [`Settings::PATIENCE`]); it should exceed the transfer timeout.
    pub fn with_patience(self, patience: Duration) -> Settings {
        Settings { patience: patience.max(SHORTEST), ..self }
    }

    /// Bounds of REFRESH.
    pub fn refresh(&self) -> Bounds {
        self.refresh
    }

    /// Bounds of RETRY, and of every delay after a failure.
    pub fn retry(&self) -> Bounds {
        self.retry
    }

    /// Bounds of EXPIRE.
    pub fn expire(&self) -> Bounds {
        self.expire
    }

    /// The primaries, in order.
    pub fn primaries(&self) -> &[Primary] {
        &self.primaries
    }

    /// See [`Settings::PATIENCE`].
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// The primaries that have the address, one bit each. IPv4-mapped IPv6 counts as IPv4.
    pub(crate) fn primaries_at(&self, address: IpAddr) -> u64 {
        let wanted = address.to_canonical();
        self.mask(|primary| primary.addresses.iter().any(|a| a.ip().to_canonical() == wanted))
    }

    /// The primaries that fit, one bit each.
    pub(crate) fn mask(&self, fits: impl Fn(&Primary) -> bool) -> u64 {
        self.primaries.iter().enumerate().filter(|(_, p)| fits(p)).fold(0, |mask, (i, _)| mask | 1 << i)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn bounds_that_would_spin_or_cross_are_refused() {
        assert!(matches!(Bounds::new(seconds(0), seconds(9)), Err(SettingsError::BoundTooShort(_))));
        assert!(matches!(Bounds::new(seconds(9), seconds(8)), Err(SettingsError::BoundsCrossed(..))));
        let bounds = Bounds::new(seconds(1), seconds(9)).unwrap();
        assert_eq!([0, 5, u32::MAX].map(|s| bounds.clamp(s)), [seconds(1), seconds(5), seconds(9)]);
    }

    #[test]
    fn a_zone_without_primary_or_a_primary_without_address_is_refused() {
        let bounds = Bounds::new(seconds(1), seconds(9)).unwrap();
        let with = |primaries| Settings::new(bounds, bounds, bounds, primaries);
        assert_eq!(with(vec![]), Err(SettingsError::Primaries(0)));
        let homeless = Primary { id: PrimaryId(1), addresses: vec![], ixfr: true };
        assert_eq!(with(vec![homeless]), Err(SettingsError::Addresses(0)));
    }

    #[test]
    fn the_sender_of_a_notify_is_found_by_any_of_its_addresses() {
        let bounds = Bounds::new(seconds(1), seconds(9)).unwrap();
        let primary = |id, text: &[&str]| Primary {
            id: PrimaryId(id),
            addresses: text.iter().map(|t| t.parse().unwrap()).collect(),
            ixfr: true,
        };
        let settings = Settings::new(
            bounds,
            bounds,
            bounds,
            vec![primary(1, &["192.0.2.1:53", "[2001:db8::1]:53"]), primary(2, &["192.0.2.1:5353"])],
        )
        .unwrap();
        assert_eq!(settings.primaries_at("::ffff:192.0.2.1".parse().unwrap()), 0b11);
        assert_eq!(settings.primaries_at("2001:db8::1".parse().unwrap()), 0b01);
        assert_eq!(settings.primaries_at("192.0.2.9".parse().unwrap()), 0);
    }
}
