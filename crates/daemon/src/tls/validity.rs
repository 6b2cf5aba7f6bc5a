//! When a certificate is good, and whether it vouches for itself: the few fields that are read of X.509
//! (RFC 5280 §4.1), for words and warnings. Who is trusted is decided elsewhere.

use std::fmt;

use rustls::pki_types::CertificateDer;

use crate::calendar::{unix_of, utc};

/// The first and the last moment, seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// notBefore.
    pub from: u64,
    /// notAfter.
    pub until: u64,
}

/// A warning begins when so much of the time is left, or [`SOON`] if that is less: certificates of a week should not be
/// warned about all their life.
const FRACTION: u64 = 4;
/// Seconds.
const SOON: u64 = 14 * 86_400;

/// Whether a certificate is good at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// And will be for some time.
    Good,
    /// But not for long.
    Ending,
    /// Its time has not begun.
    Early,
    /// Its time is over.
    Over,
}

impl Validity {
    /// What a certificate says of itself; `None` when that cannot be read.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Validity> {
        let times = Fields::of(certificate)?.validity;
        let (from, rest) = time(times)?;
        let (until, rest) = time(rest)?;
        rest.is_empty().then_some(Validity { from, until })
    }

    /// What both have in common.
    pub(super) fn within(self, other: Validity) -> Validity {
        Validity { from: self.from.max(other.from), until: self.until.min(other.until) }
    }

    /// How things stand at that moment, seconds since 1970.
    pub fn standing(self, unix: u64) -> Standing {
        let left = (self.until.saturating_sub(self.from) / FRACTION).min(SOON);
        match unix {
            _ if unix < self.from => Standing::Early,
            _ if unix > self.until => Standing::Over,
            _ if unix.saturating_add(left) >= self.until => Standing::Ending,
            _ => Standing::Good,
        }
    }
}

/// `from … until …`.
impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from {} until {}", utc(self.from), utc(self.until))
    }
}

/// Whether a certificate names as its issuer whom it is for.
pub(super) fn is_its_own_issuer(certificate: &CertificateDer<'_>) -> bool {
    Fields::of(certificate).is_some_and(|fields| fields.issuer == fields.subject)
}

/// The contents of some fields of the part that is signed.
struct Fields<'c> {
    issuer: &'c [u8],
    validity: &'c [u8],
    subject: &'c [u8],
}

impl<'c> Fields<'c> {
    fn of(certificate: &'c CertificateDer<'_>) -> Option<Fields<'c>> {
        let (_, certificate, _) = element(certificate.as_ref())?;
        let (_, signed, _) = element(certificate)?;
        // The version is left out of the first form of certificates.
        let (tag, _, behind_version) = element(signed)?;
        let rest = if tag == VERSION { behind_version } else { signed };
        let (_, _serial, rest) = element(rest)?;
        let (_, _algorithm, rest) = element(rest)?;
        let (_, issuer, rest) = element(rest)?;
        let (_, validity, rest) = element(rest)?;
        let (_, subject, _) = element(rest)?;
        Some(Fields { issuer, validity, subject })
    }
}

const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The first element of DER: its tag, its contents, and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        ..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |length, octet| length << 8 | usize::from(*octet)), rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

/// A moment in one of the two forms (RFC 5280 §4.1.2.5), and what follows.
fn time(der: &[u8]) -> Option<(u64, &[u8])> {
    let (tag, text, rest) = element(der)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, text) = text.split_at_checked(match tag {
        UTC_TIME => 2,
        GENERALIZED_TIME => 4,
        _ => return None,
    })?;
    let year = match (tag, number(year)?) {
        (UTC_TIME, year @ 50..) => 1900 + year,
        (UTC_TIME, year) => 2000 + year,
        (_, year) => year,
    };
    let mut parts = [0; 5];
    let mut left = text;
    for part in &mut parts {
        let (digits, behind) = left.split_at_checked(2)?;
        (*part, left) = (number(digits)?, behind);
    }
    left.is_empty().then(|| unix_of(year, parts)).flatten().map(|unix| (unix, rest))
}

fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing::Authority;

    const DAY: u64 = 86_400;

    #[test]
    fn the_dates_of_a_certificate_are_read_in_both_forms() {
        let authority = Authority::new();
        // UTCTime up to 2049, GeneralizedTime from then on.
        for (year, until) in [(2030, "2030-01-01 00:00:00 UTC"), (3000, "3000-01-01 00:00:00 UTC")] {
            let validity = Validity::of(&authority.issue_until("x.example", year).chain[0]).unwrap();
            assert_eq!(utc(validity.from), "2000-01-01 00:00:00 UTC");
            assert_eq!(utc(validity.until), until);
        }
        assert!(is_its_own_issuer(&authority.certificate));
        assert!(!is_its_own_issuer(&authority.issue("x.example").chain[0]));
    }

    #[test]
    fn what_is_no_certificate_has_no_dates() {
        let whole = Authority::new().issue("x.example").chain[0].to_vec();
        for end in 0..150.min(whole.len()) {
            assert_eq!(Validity::of(&CertificateDer::from(whole[..end].to_vec())), None, "{end}");
        }
        for octet in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[octet] ^= 0xff;
            // Whatever it says: it does not panic.
            let _ = Validity::of(&CertificateDer::from(flipped));
        }
    }

    #[test]
    fn a_warning_begins_two_weeks_or_a_quarter_of_the_time_before_the_end() {
        let year = Validity { from: 1000 * DAY, until: 1365 * DAY };
        let week = Validity { from: 1000 * DAY, until: 1008 * DAY };
        for (validity, day, standing) in [
            (year, 999, Standing::Early),
            (year, 1350, Standing::Good),
            (year, 1351, Standing::Ending),
            (year, 1365, Standing::Ending),
            (year, 1366, Standing::Over),
            (week, 1005, Standing::Good),
            (week, 1006, Standing::Ending),
        ] {
            assert_eq!(validity.standing(day * DAY), standing, "day {day}");
        }
    }
}
