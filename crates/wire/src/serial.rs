//! Serial numbers (RFC 1982): a circle, so there is deliberately no `Ord` and no `<`.

use std::fmt;

/// The serial of a zone version (RFC 1035 §3.3.13), an unsigned 32-bit number on a circle.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Serial(pub u32);

/// How one serial stands to another (RFC 1982 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SerialOrder {
    /// The same number.
    Equal,
    /// Ahead by less than 2^31.
    Newer,
    /// Behind by less than 2^31.
    Older,
    /// Exactly 2^31 apart: neither is newer.
    Undefined,
}

impl Serial {
    /// How `self` stands to `other` (RFC 1982 §3.2).
    pub fn compare(self, other: Serial) -> SerialOrder {
        // RFC 1982 §3.2: the distance forward from `other` decides.
        match self.0.wrapping_sub(other.0) {
            0 => SerialOrder::Equal,
            d if d < 1 << 31 => SerialOrder::Newer,
            d if d > 1 << 31 => SerialOrder::Older,
            _ => SerialOrder::Undefined,
        }
    }

    /// Whether `self` is newer than `other`; false for the undefined distance of 2^31.
    pub fn newer_than(self, other: Serial) -> bool {
        self.compare(other) == SerialOrder::Newer
    }

    /// The serial `step` ahead; defined for steps below 2^31 (RFC 1982 §3.1).
    pub fn advanced_by(self, step: u32) -> Serial {
        Serial(self.0.wrapping_add(step))
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({})", self.0)
    }
}

impl From<u32> for Serial {
    fn from(n: u32) -> Serial {
        Serial(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SerialOrder::*;

    #[test]
    fn the_vectors_of_the_wrap_hold() {
        let c = |remote: u32, local: u32| Serial(remote).compare(Serial(local));
        assert_eq!(c(0, 4_294_967_295), Newer);
        assert_eq!(c(1, 4_294_967_295), Newer);
        assert_eq!(c(4_294_967_295, 0), Older);
        assert_eq!(c(2_147_483_648, 1), Newer);
        assert_eq!(c(2_147_483_648, 0), Undefined);
        assert_eq!(c(2_147_483_649, 0), Older);
        assert_eq!(c(0, 2_147_483_648), Undefined);
        assert_eq!(c(7, 7), Equal);
    }
}
