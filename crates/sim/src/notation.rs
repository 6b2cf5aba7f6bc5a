//! Answers written down by hand: how a script says exactly which records it sends.
//!
#![doc = include_str!("catalogue/notation.md")]

use secondo_wire::{Name, NameBuf, RecordType};

use crate::record::Rr;

/// TTL of all that is made here, seconds.
const TTL: u32 = 300;

/// A name in no zone of ours (RFC 6761 §6.4).
pub(crate) fn foreign() -> Name {
    Name::parse("foreign.invalid.").expect("a valid name")
}

/// The name one label below the apex; the apex where that would be too long.
pub(crate) fn below(label: &[u8], apex: &Name) -> Name {
    let mut name = NameBuf::new();
    match name.set_labels([label].into_iter(), apex.as_ref()) {
        Ok(()) => name.as_ref().to_owned(),
        Err(_) => apex.clone(),
    }
}

/// The records that the words stand for; SOAs are made after this one.
pub(crate) fn records(text: &str, apex: &Name, soa: &Rr) -> Vec<Rr> {
    text.split_whitespace().map(|word| record(word, apex, soa)).collect()
}

fn record(word: &str, apex: &Name, soa: &Rr) -> Rr {
    let (digits, mark) = match word.char_indices().last() {
        Some((at, mark @ ('~' | '^' | '_'))) => (&word[..at], Some(mark)),
        _ => (word, None),
    };
    let Ok(serial) = digits.parse() else { return data(word, apex) };
    let mut soa = soa.clone().with_serial(|_| serial);
    match mark {
        Some('~') => {
            if let Some(octet) = soa.rdata.last_mut() {
                *octet ^= 1;
            }
        }
        Some('^') => soa.owner = foreign(),
        Some('_') => soa.owner = below(b"inner", apex),
        _ => {}
    }
    soa
}

/// A record other than a SOA.
pub(crate) fn data(word: &str, apex: &Name) -> Rr {
    if word == "@" {
        return Rr::new(apex.clone(), RecordType::NS, TTL, below(b"ns", apex).as_wire());
    }
    let number = |prefix: char| word.strip_prefix(prefix).and_then(|rest| rest.parse::<u16>().ok());
    let address = match (number('h'), number('g')) {
        (Some(n), _) => [192, 0, 2 + (n >> 8) as u8, n as u8],
        (_, Some(n)) => [198, 51, 100 + (n >> 8) as u8, n as u8],
        _ => [203, 0, 113, 7],
    };
    let owner = if word == "OUT" { foreign() } else { below(word.as_bytes(), apex) };
    Rr::new(owner, RecordType::A, TTL, &address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use secondo_wire::{Serial, Soa};

    #[test]
    fn words_are_records() {
        let apex = Name::parse("example.").unwrap();
        let soa = crate::read_records("@ 60 SOA ns h 1 2 3 4 5\n", &apex).unwrap().remove(0);
        let all = records("9 7~ h4 @ 8^ 8_ other OUT", &apex, &soa);
        let shown: Vec<_> = all.iter().map(|rr| format!("{} {}", rr.owner, rr.rtype)).collect();
        let expected = "example. SOA, example. SOA, h4.example. A, example. NS, foreign.invalid. SOA, \
                        inner.example. SOA, other.example. A, foreign.invalid. A";
        assert_eq!(shown.join(", "), expected);
        assert_eq!(Soa::serial_of(&all[0].rdata), Some(Serial(9)));
        assert_eq!(Soa::from_rdata(&all[1].rdata).unwrap().minimum, 4);
        assert_eq!(all[2].rdata, [192, 0, 2, 4]);
    }
}
