//! Questions that somebody who knows the zones would ask to find fault.

use std::collections::BTreeSet;

use interop::dice::Dice;
use interop::message::{Edns, Question, Way};
use interop::name::Name;
use interop::record::rtype;

const TYPES: [u16; 24] = [
    rtype::A,
    rtype::A,
    rtype::A,
    rtype::NS,
    rtype::NS,
    rtype::CNAME,
    rtype::SOA,
    rtype::PTR,
    rtype::MX,
    rtype::TXT,
    rtype::AAAA,
    rtype::SRV,
    rtype::DNAME,
    rtype::DS,
    rtype::DS,
    rtype::RRSIG,
    rtype::NSEC,
    rtype::DNSKEY,
    rtype::NSEC3,
    rtype::NSEC3PARAM,
    rtype::ANY,
    rtype::HTTPS,
    731,
    64_999,
];

/// About so many different questions around these names.
pub(crate) fn around(names: &[Name], count: usize, dice: &mut Dice) -> Vec<Question> {
    let mut asked = BTreeSet::new();
    let mut tries = 0;
    while asked.len() < count && tries < count * 3 {
        // Every name is asked for first of all.
        let name = match names.get(tries) {
            Some(name) => name.clone(),
            None => near(dice.pick(names), dice),
        };
        tries += 1;
        asked.insert(Question {
            name: spelled(name, dice),
            rtype: TYPES[dice.below(TYPES.len())],
            edns: edns(dice),
            recursion: dice.percent(10),
            way: if dice.percent(25) { Way::Tcp } else { Way::Udp },
        });
    }
    let mut asked: Vec<Question> = asked.into_iter().collect();
    dice.shuffle(&mut asked);
    asked
}

fn edns(dice: &mut Dice) -> Option<Edns> {
    match dice.below(20) {
        0..9 => Some(Edns { size: 1232, dnssec: true }),
        9..12 => Some(Edns { size: 1232, dnssec: false }),
        12..14 => Some(Edns { size: 512, dnssec: true }),
        14 => Some(Edns { size: 512, dnssec: false }),
        15 => Some(Edns { size: 4096, dnssec: true }),
        16 => Some(Edns { size: 0, dnssec: true }),
        _ => None,
    }
}

/// A name, its ancestors, what is below it, beside it, before and after it in canonical order.
fn near(name: &Name, dice: &mut Dice) -> Name {
    let labels: [&[u8]; 9] = [b"a", b"www", b"*", b"0", b"zzz", b"\0", b"ns", b"_tcp", b"nothing-here"];
    let any = labels[dice.below(labels.len())];
    let beside = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut labels = name.labels().to_vec();
        match labels.first_mut() {
            Some(first) if first.len() < 60 => change(first),
            _ => return name.clone(),
        }
        let beside = Name::from_labels(labels);
        if beside.size() <= 255 { beside } else { name.clone() }
    };
    match dice.below(20) {
        0..6 => name.clone(),
        6..9 => name.parent(),
        9 => name.parent().parent(),
        10..13 => name.child(any).unwrap_or_else(|| name.clone()),
        13 => name.child(any).and_then(|name| name.child(b"x")).unwrap_or_else(|| name.clone()),
        14 => beside(&|label| label.push(b'0')),
        15 => beside(&|label| label.push(0)),
        16 => beside(&|label| {
            if let Some(last) = label.last_mut() {
                *last = last.saturating_sub(1);
            }
        }),
        17 => beside(&|label| *label = any.to_vec()),
        18 => name.child(b"*").unwrap_or_else(|| name.clone()),
        // As long as a name can be: what a redirection makes of it is too long.
        _ => {
            let mut long = name.clone();
            while let Some(longer) = long.child(&[b'l'; 30]).or_else(|| long.child(b"l")) {
                long = longer;
            }
            long
        }
    }
}

/// RFC 4343 §4.1: the question comes back as it was spelled.
fn spelled(name: Name, dice: &mut Dice) -> Name {
    if dice.percent(70) {
        return name;
    }
    let labels = name.labels().iter().map(|label| {
        label
            .iter()
            .map(
                |octet| {
                    if dice.percent(50) { octet.to_ascii_uppercase() } else { octet.to_ascii_lowercase() }
                },
            )
            .collect()
    });
    Name::from_labels(labels.collect())
}
