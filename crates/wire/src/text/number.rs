//! Numbers: decimal, points in time, groups of hexadecimal digits.

use super::encoding::put_hex;

const SECONDS_A_DAY: u32 = 86_400;

/// A decimal number without leading zeros.
pub(super) fn put_decimal(out: &mut Vec<u8>, mut number: u32) {
    // 4294967295 has ten digits.
    let mut digits = [0; 10];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// A decimal number of exactly so many digits; higher ones are left out.
pub(super) fn put_digits<const N: usize>(out: &mut Vec<u8>, mut number: u32) {
    let mut digits = [0; N];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&digits);
}

/// RFC 4034 §3.2: a point in time in UTC, as YYYYMMDDHHmmSS. Times on the wire go round after 2106; readers take the
/// number of seconds modulo 2^32 again.
pub(super) fn put_time(out: &mut Vec<u8>, seconds: u32) {
    let (year, month, day) = date(seconds / SECONDS_A_DAY);
    let time = seconds % SECONDS_A_DAY;
    put_digits::<4>(out, year);
    for part in [month, day, time / 3600, time / 60 % 60, time % 60] {
        put_digits::<2>(out, part);
    }
}

/// Year, month and day of the day so many days after 1970-01-01, in the Gregorian calendar.
fn date(days: u32) -> (u32, u32, u32) {
    // Reckoned in years that begin in March, so that the leap day is a year's last. The calendar repeats itself after
    // 400 years, which have 146,097 days; 1970-01-01 is day 719,468 from 0000-03-01.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // Months from March on: 31, 30, 31, 30, 31 days, and so again.
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

/// RFC 6742 §2.1.2: four groups of four hexadecimal digits, all of them written.
pub(super) fn put_groups(out: &mut Vec<u8>, octets: [u8; 8]) {
    put_parted(out, &octets, 2, b':');
}

/// RFC 7043 §3.2: two hexadecimal digits an octet.
pub(super) fn put_pairs(out: &mut Vec<u8>, octets: &[u8]) {
    put_parted(out, octets, 1, b'-');
}

fn put_parted(out: &mut Vec<u8>, octets: &[u8], size: usize, between: u8) {
    for (i, part) in octets.chunks(size).enumerate() {
        if i > 0 {
            out.push(between);
        }
        put_hex(out, part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(seconds: u32) -> String {
        let mut out = Vec::new();
        put_time(&mut out, seconds);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_have_all_their_digits_and_no_more() {
        for number in [0, 9, 10, 65_535, 1_000_000_000, u32::MAX] {
            let mut out = Vec::new();
            put_decimal(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }

    #[test]
    fn times_are_calendar_dates_in_utc() {
        for (seconds, text) in [
            (0, "19700101000000"),
            (951_782_399, "20000228235959"),
            (951_782_400, "20000229000000"),
            (951_868_800, "20000301000000"),
            (1_077_926_399, "20040227235959"),
            // RFC 4034 §3.3: 20030220173103 and 20030322173103.
            (1_045_762_263, "20030220173103"),
            (1_048_354_263, "20030322173103"),
            (2_147_483_648, "20380119031408"),
            // 2100 is no leap year.
            (4_107_542_399, "21000228235959"),
            (4_107_542_400, "21000301000000"),
            (u32::MAX, "21060207062815"),
        ] {
            assert_eq!(time(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn every_day_follows_the_day_before() {
        let mut before = date(0);
        for day in 1..=u32::MAX / SECONDS_A_DAY {
            let today = date(day);
            let (year, month, last) = before;
            let length = match month {
                2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            let expected = match (month, last) {
                (12, 31) => (year + 1, 1, 1),
                (_, last) if last == length => (year, month + 1, 1),
                _ => (year, month, last + 1),
            };
            assert_eq!(today, expected);
            before = today;
        }
    }
}
