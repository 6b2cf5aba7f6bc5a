//! Durations, sizes and addresses as they are written in the configuration.

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
}
