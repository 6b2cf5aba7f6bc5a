//! Durations, sizes, addresses and prefixes as they are written in the configuration.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What a duration looks like, for messages.
pub(super) const DURATION: &str = "a duration such as 90, 500ms, 90s, 15m, 2h or 7d";
/// What a size looks like, for messages.
pub(super) const SIZE: &str = "a size such as 65536, 64KiB, 10MiB, 4GiB or 1TiB";

/// Longest duration: about a hundred years, so that sums of deadlines never overflow.
const MAX_DURATION: Duration = Duration::from_secs(36_525 * 86_400);

/// `90` (seconds), `500ms`, `90s`, `15m`, `2h`, `7d`; at most about a hundred years.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text)?;
    let milliseconds = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60 * 1000,
        "h" => 3600 * 1000,
        "d" => 86_400 * 1000,
        _ => return None,
    };
    let duration = Duration::from_millis(number.checked_mul(milliseconds)?);
    (duration <= MAX_DURATION).then_some(duration)
}

/// A plain number of bytes, or with `KiB`, `MiB`, `GiB`, `TiB`.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let shift = match unit {
        "" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.bytes().position(|octet| !octet.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit))
}

/// An address with an optional port: `192.0.2.1`, `192.0.2.1:53`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:53`.
/// Port 0 is refused: UDP and TCP would get different ports.
pub(super) fn parse_socket_address(text: &str, default_port: u16) -> Option<SocketAddr> {
    let address = if let Ok(address) = text.parse::<SocketAddr>() {
        address
    } else {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let ip = match bare {
            Some(bare) => IpAddr::V6(bare.parse().ok()?),
            None => text.parse().ok()?,
        };
        SocketAddr::new(ip, default_port)
    };
    (address.port() != 0).then_some(address)
}

/// Addresses that share their first bits. Invariant: `length` fits the family, bits beyond it are zero, and no
/// IPv4 address is written as IPv6 (`::ffff:0:0/96`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// What is wrong with a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PrefixError {
    /// No address, or a length that does not fit it.
    Malformed,
    /// Bits are set beyond the length; the prefix that was probably meant.
    HostBits(Prefix),
}

impl Prefix {
    /// Any IPv4 address.
    pub const ANY_IPV4: Prefix = Prefix { address: IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), length: 0 };
    /// Any IPv6 address.
    pub const ANY_IPV6: Prefix = Prefix { address: IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED), length: 0 };

    /// One address alone.
    pub fn host(address: IpAddr) -> Prefix {
        let address = address.to_canonical();
        Prefix { address, length: width(address) }
    }

    /// The first address.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// Number of leading bits that must agree: 0 to 32 or 0 to 128.
    pub fn length(self) -> u8 {
        self.length
    }

    /// Whether `address` lies inside; an IPv4 address written as IPv6 counts as IPv4.
    pub fn contains(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        width(address) == width(self.address) && masked(address, self.length) == self.address
    }

    /// `192.0.2.0/24`, `2001:db8::/32`, or one address.
    pub(super) fn parse(text: &str) -> Result<Prefix, PrefixError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| PrefixError::Malformed)?;
        let mut length = match length {
            None => width(address),
            Some(digits) if !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit()) => {
                digits.parse().map_err(|_| PrefixError::Malformed)?
            }
            Some(_) => return Err(PrefixError::Malformed),
        };
        if length > width(address) {
            return Err(PrefixError::Malformed);
        }
        // RFC 4291 §2.5.5.2: an IPv4 client on an IPv6 socket appears as ::ffff:a.b.c.d; rules are kept in one form.
        let canonical = address.to_canonical();
        if canonical != address && length >= 96 {
            length -= 96;
        } else if canonical != address {
            return Err(PrefixError::Malformed);
        }
        let prefix = Prefix { address: masked(canonical, length), length };
        if prefix.address == canonical { Ok(prefix) } else { Err(PrefixError::HostBits(prefix)) }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_every_unit() {
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(parse_duration("90"), seconds(90));
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("90s"), seconds(90));
        assert_eq!(parse_duration("15m"), seconds(900));
        assert_eq!(parse_duration("2h"), seconds(7200));
        assert_eq!(parse_duration("7d"), seconds(604_800));
        for bad in ["", "s", "1w", "-1", "1.5h", "1 h", "1h30m", "18446744073709551615d", "99999999d", "٣s"]
        {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_are_read_in_every_unit() {
        assert_eq!(parse_size("65536"), Some(65_536));
        assert_eq!(parse_size("64KiB"), Some(65_536));
        assert_eq!(parse_size("10MiB"), Some(10 << 20));
        assert_eq!(parse_size("4GiB"), Some(4 << 30));
        assert_eq!(parse_size("1TiB"), Some(1 << 40));
        for bad in ["", "KiB", "1KB", "1kib", "1 KiB", "99999999999TiB", "-1"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }

    #[test]
    fn addresses_take_the_default_port_when_none_is_written() {
        let shown = |text| parse_socket_address(text, 53).map(|address| address.to_string());
        assert_eq!(shown("192.0.2.1").as_deref(), Some("192.0.2.1:53"));
        assert_eq!(shown("192.0.2.1:5353").as_deref(), Some("192.0.2.1:5353"));
        assert_eq!(shown("2001:db8::1").as_deref(), Some("[2001:db8::1]:53"));
        assert_eq!(shown("[2001:db8::1]").as_deref(), Some("[2001:db8::1]:53"));
        assert_eq!(shown("[2001:db8::1]:54").as_deref(), Some("[2001:db8::1]:54"));
        for bad in
            ["", "localhost", "192.0.2.1:0", "192.0.2.1:70000", "192.0.2", "[192.0.2.1]", "*", "192.0.2.1/24"]
        {
            assert_eq!(shown(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_prefix_holds_what_shares_its_bits() {
        let prefix = Prefix::parse("192.0.2.128/25").unwrap();
        assert!(prefix.contains("192.0.2.129".parse().unwrap()));
        assert!(prefix.contains("::ffff:192.0.2.129".parse().unwrap()));
        assert!(!prefix.contains("192.0.2.1".parse().unwrap()));
        assert!(!prefix.contains("2001:db8::1".parse().unwrap()));
        assert!(Prefix::ANY_IPV6.contains("2001:db8::1".parse().unwrap()));
        assert!(!Prefix::ANY_IPV6.contains("192.0.2.1".parse().unwrap()));
        assert_eq!(Prefix::parse("::/0"), Ok(Prefix::ANY_IPV6));
        assert_eq!(Prefix::parse("0.0.0.0/0"), Ok(Prefix::ANY_IPV4));
        assert_eq!(Prefix::parse("::ffff:192.0.2.0/120").unwrap().to_string(), "192.0.2.0/24");
        assert_eq!(Prefix::parse("2001:db8::1").unwrap().length(), 128);
    }

    #[test]
    fn a_bad_prefix_is_refused() {
        for bad in [
            "",
            "192.0.2.0/33",
            "::/129",
            "192.0.2.0/",
            "192.0.2.0/+8",
            "::ffff:0.0.0.0/8",
            "any",
            "192.0.2.0/-1",
        ] {
            assert_eq!(Prefix::parse(bad), Err(PrefixError::Malformed), "{bad}");
        }
        let Err(PrefixError::HostBits(meant)) = Prefix::parse("192.0.2.1/24") else { panic!("not refused") };
        assert_eq!(meant.to_string(), "192.0.2.0/24");
    }
}
