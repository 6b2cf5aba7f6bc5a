//! Numbers for people.

use std::time::Duration;

/// `1 record`, `44 records`.
pub(crate) fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// `412 octets`, `1.9 KB`.
pub(crate) fn size(octets: u64) -> String {
    match octets {
        0..=999 => count(octets, "octet"),
        _ => format!("{:.1} KB", octets as f64 / 1000.0),
    }
}

/// `0.4 ms`, `4 ms`, `1.2 s`.
pub(crate) fn span(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1000.0;
    match millis {
        ..10.0 => format!("{millis:.1} ms"),
        ..1000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.1} s", millis / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(count(1, "record"), "1 record");
        assert_eq!(size(1), "1 octet");
        assert_eq!(size(1945), "1.9 KB");
        assert_eq!(span(Duration::from_micros(420)), "0.4 ms");
        assert_eq!(span(Duration::from_millis(42)), "42 ms");
        assert_eq!(span(Duration::from_millis(5960)), "6.0 s");
    }
}
