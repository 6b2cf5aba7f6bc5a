//! The one fact that every deadline of a zone is derived from.

use secondo_wire::Serial;

/// Which serial a primary vouched for, when, and for how long.
///
/// The time stands in two clocks: the boot clock counts suspend and no steps, and holds within one boot; the wall
/// clock holds across boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// The version vouched for.
    pub serial: Serial,
    /// Unix seconds of the contact.
    pub wall: u64,
    /// Milliseconds since boot of the contact.
    pub boot_ms: u64,
    /// Which boot `boot_ms` counts from.
    pub boot_id: [u8; 16],
    /// Seconds from the contact until the zone expires, bounds and EXPIRE option applied.
    pub expire_in: u64,
}

/// Octets of an encoded confirmation.
const SIZE: usize = 44;

impl Confirmation {
    /// Fixed-size big-endian form.
    pub(crate) fn to_bytes(self) -> [u8; SIZE] {
        let mut out = [0; SIZE];
        out[..4].copy_from_slice(&self.serial.0.to_be_bytes());
        out[4..12].copy_from_slice(&self.wall.to_be_bytes());
        out[12..20].copy_from_slice(&self.boot_ms.to_be_bytes());
        out[20..36].copy_from_slice(&self.boot_id);
        out[36..].copy_from_slice(&self.expire_in.to_be_bytes());
        out
    }

    /// `None` for octets of another length.
    pub(crate) fn from_bytes(octets: &[u8]) -> Option<Confirmation> {
        let octets: &[u8; SIZE] = octets.try_into().ok()?;
        let (serial, rest) = octets.split_first_chunk()?;
        let (wall, rest) = rest.split_first_chunk()?;
        let (boot_ms, rest) = rest.split_first_chunk()?;
        let (boot_id, rest) = rest.split_first_chunk()?;
        Some(Confirmation {
            serial: Serial(u32::from_be_bytes(*serial)),
            wall: u64::from_be_bytes(*wall),
            boot_ms: u64::from_be_bytes(*boot_ms),
            boot_id: *boot_id,
            expire_in: u64::from_be_bytes(rest.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confirmation_survives_a_round_trip() {
        let c = Confirmation {
            serial: Serial(7),
            wall: 1 << 40,
            boot_ms: 3,
            boot_id: [5; 16],
            expire_in: u64::MAX,
        };
        assert_eq!(Confirmation::from_bytes(&c.to_bytes()), Some(c));
        assert_eq!(Confirmation::from_bytes(&c.to_bytes()[1..]), None);
    }
}
