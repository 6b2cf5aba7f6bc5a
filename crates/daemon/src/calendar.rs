//! Moments as people and certificates write them.

/// Days from 0000-03-01 to 1970-01-01.
const TO_1970: u64 = 719_468;

/// Seconds since 1970 as `2026-11-22 20:56:01 UTC` (the proleptic Gregorian calendar).
pub(crate) fn utc(unix: u64) -> String {
    let (days, second) = (unix / 86_400, unix % 86_400);
    // Years begin in March here, so that the leap day is the last one.
    let days = days + TO_1970;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + next;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{date:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// The same the other way: month, day, hour, minute and second of a year up to 9999. 0 for what lies before 1970; `None`
/// for what no calendar has.
pub(crate) fn unix_of(year: u64, [month, date, hour, minute, second]: [u64; 5]) -> Option<u64> {
    let sound = year <= 9999
        && (1..=12).contains(&month)
        && (1..=31).contains(&date)
        && hour < 24
        && minute < 60
        && second <= 60;
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * month + 2) / 5 + date.checked_sub(1)?;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    let seconds = (hour * 60 + minute) * 60 + second;
    sound.then(|| days.checked_sub(TO_1970).map_or(0, |days| days * 86_400 + seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_calendar_both_ways() {
        for (unix, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (951_868_800, "2000-03-01 00:00:00 UTC"),
            (1_735_689_599, "2024-12-31 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(utc(unix), text);
            let part = |at: usize, length: usize| text[at..at + length].parse::<u64>().unwrap();
            let parts = [part(5, 2), part(8, 2), part(11, 2), part(14, 2), part(17, 2)];
            assert_eq!(unix_of(part(0, 4), parts), Some(unix));
        }
        assert_eq!(unix_of(1969, [12, 31, 23, 59, 59]), Some(0));
        assert_eq!(unix_of(0, [1, 1, 0, 0, 0]), None);
        for parts in [[0, 1, 0, 0, 0], [13, 1, 0, 0, 0], [1, 0, 0, 0, 0], [1, 1, 24, 0, 0], [1, 1, 0, 60, 0]]
        {
            assert_eq!(unix_of(2000, parts), None, "{parts:?}");
        }
    }
}
