//! When two states are the same: when nothing but the date and the names of attempts differ.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Moments are later than this, and lengths of time are shorter: that is how one is told from the other.
pub(crate) const EPOCH: u64 = 1_000_000;

/// Fields whose numbers are names or chance, or are counted further than they matter; and how far they do.
const COUNTED: [(&str, u64); 5] =
    [("AttemptId(", 0), ("attempts: ", 0), ("Dice(", 0), ("local_failures: ", 7), ("failures: ", 2)];

/// The text with moments told by how far ahead they are, all past ones alike.
pub(crate) fn canonical(text: &str, now: Duration) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(digits) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, number) = rest.split_at(digits);
        out.push_str(before);
        let end = number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(number.len());
        let (number, behind) = number.split_at(end);
        let counted = COUNTED.iter().find(|(field, _)| out.ends_with(field));
        match (counted, number.parse::<f64>()) {
            (Some((_, most)), _) => {
                let count = number.parse::<u64>().unwrap().min(*most);
                write!(out, "{count}").unwrap();
            }
            (None, Ok(moment)) if behind.starts_with('s') && moment >= EPOCH as f64 => {
                let ahead = (moment - now.as_secs_f64()).max(-0.001);
                write!(out, "+{ahead:.3}").unwrap();
            }
            _ => out.push_str(number),
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// As good as the text itself.
pub(crate) fn digest(text: &str) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, text).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

#[test]
fn states_that_differ_in_the_date_alone_are_one() {
    let at = |text: &str, now| canonical(text, Duration::from_secs(now));
    assert_eq!(at("until: 1000020s, life: 40s", 1_000_010), "until: +10.000s, life: 40s");
    assert_eq!(at("until: 1000120s, life: 40s", 1_000_110), "until: +10.000s, life: 40s");
    assert_eq!(at("since: 1000003s", 1_000_010), at("since: 1000007.5s", 1_000_010));
    assert_eq!(at("AttemptId(77), failures: 9, 1: 12ms", 0), "AttemptId(0), failures: 2, 1: 12ms");
}
