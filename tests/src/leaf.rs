//! What random names own: labels, TTLs, addresses, records of many types.

use std::collections::BTreeSet;

use crate::dice::Dice;

const LABELS: [&str; 22] = [
    "a",
    "b",
    "c",
    "d",
    "aa",
    "ab",
    "x",
    "y",
    "z",
    "www",
    "mail",
    "ns",
    "_tcp",
    "_sip",
    "0",
    "1",
    "a-b",
    "xn--p1ai",
    "deep",
    "Zz",
    "longer-label-than-most-others-are-in-a-zone",
    "*b",
];

/// A label of those that names are made of.
pub(crate) fn label(dice: &mut Dice) -> &'static str {
    LABELS[dice.below(LABELS.len())]
}

/// A TTL.
pub(crate) fn ttl(dice: &mut Dice) -> u32 {
    *dice.pick(&[0, 60, 299, 300, 301, 3600, 86_400])
}

/// An IPv4 address.
pub(crate) fn address(dice: &mut Dice) -> String {
    format!("198.51.{}.{}", dice.below(256), dice.below(256))
}

/// Records of several types; `target` gives names to lead to.
pub(crate) fn data(
    dice: &mut Dice,
    target: impl Fn(&mut Dice) -> String,
) -> Vec<(u32, &'static str, String)> {
    // Of the records of one set two at most lead into the zone: Knot DNS 3.2 hangs where several lead through one wildcard.
    let lead = |nth: usize, dice: &mut Dice| match nth {
        0 => target(dice),
        1 => "ns1".to_owned(),
        _ => format!("{}{nth}.outside.invalid.", label(dice)),
    };
    let mut records = Vec::new();
    for rtype in ["A", "AAAA", "TXT", "MX", "SRV", "PTR", "TYPE731", "CAA", "HTTPS", "TYPE65280"] {
        if !dice.percent(if rtype == "A" { 55 } else { 13 }) {
            continue;
        }
        let ttl = ttl(dice);
        let count = match dice.below(20) {
            0 => 40,
            1..6 => dice.between(2, 4),
            _ => 1,
        };
        let mut seen = BTreeSet::new();
        for nth in 0..count {
            let rdata = match rtype {
                "A" => address(dice),
                "AAAA" => format!("2001:db8::{:x}", dice.below(65_536)),
                "TXT" => format!("\"{nth}{}\"", "t".repeat(dice.below(90))),
                "MX" => format!("{} {}", dice.below(100), lead(nth, dice)),
                "SRV" => format!("0 {} 443 {}", dice.below(100), lead(nth, dice)),
                "PTR" => lead(nth, dice),
                "TYPE731" => format!("\\# 4 {:08x}", dice.below(1 << 30)),
                "CAA" => format!("0 issue \"ca{nth}.example\""),
                "HTTPS" => format!("{} {}", nth + 1, lead(nth, dice)),
                _ => format!("\\# 1 {:02x}", nth),
            };
            if seen.insert(rdata.to_lowercase()) {
                records.push((ttl, rtype, rdata));
            }
        }
    }
    if records.is_empty() {
        records.push((ttl(dice), "TXT", "\"alone\"".to_owned()));
    }
    records
}
