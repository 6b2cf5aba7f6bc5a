//! Words against plain references: order, serial arithmetic, text, compression; and any octets at all.

mod common;

use std::cmp::Ordering;

use common::name;
use proptest::collection::vec;
use proptest::prelude::*;
use secondo_wire::edns::Opt;
use secondo_wire::{
    Compressor, Header, KeyBuf, Message, Name, NameBuf, RecordType, Serial, SerialOrder, Soa, Writer,
    key_parent, name_of_key, rdata, read_name, skip_name,
};

/// RFC 4034 §6.1 as it is written: labels from the root, lower-cased, as octet strings.
fn reference_order(a: &Name, b: &Name) -> Ordering {
    let labels = |name: &Name| {
        let mut labels: Vec<Vec<u8>> = name.as_ref().labels().map(<[u8]>::to_ascii_lowercase).collect();
        labels.reverse();
        labels
    };
    labels(a).cmp(&labels(b))
}

fn key(name: &Name, apex: &Name) -> Option<KeyBuf> {
    let mut key = KeyBuf::new();
    key.set(name.as_ref(), apex.as_ref()).then_some(key)
}

proptest! {
    #[test]
    fn names_and_keys_stand_in_canonical_order(a in name(), b in name()) {
        let expected = reference_order(&a, &b);
        prop_assert_eq!(a.cmp(&b), expected);
        prop_assert_eq!(a == b, expected == Ordering::Equal);
        let root = Name::root();
        let (key_a, key_b) = (key(&a, &root).unwrap(), key(&b, &root).unwrap());
        prop_assert_eq!(key_a.as_slice().cmp(key_b.as_slice()), expected);
        prop_assert_eq!(key_a.as_slice().starts_with(key_b.as_slice()), a.is_at_or_below(&b));
    }

    #[test]
    fn a_key_is_of_the_zone_or_there_is_none(name in name(), cut in 0usize..6, other in name()) {
        let apex = name.as_ref().ancestor(cut).to_owned();
        let key_in_zone = key(&name, &apex).unwrap();
        let mut back = NameBuf::new();
        name_of_key(key_in_zone.as_slice(), apex.as_ref(), &mut back).unwrap();
        prop_assert_eq!(back.as_ref(), name.as_ref());
        prop_assert_eq!(key(&name, &other).is_some(), name.is_at_or_below(&other));
        let parent = name.parent().filter(|_| name != apex);
        let parent_key = parent.map(|parent| key(&parent, &apex).unwrap());
        prop_assert_eq!(key_parent(key_in_zone.as_slice()), parent_key.as_ref().map(KeyBuf::as_slice));
    }

    #[test]
    fn text_gives_back_the_name(name in name()) {
        let text = name.to_string();
        prop_assert!(text.is_ascii());
        let parsed = Name::parse(&text).unwrap();
        prop_assert_eq!(parsed.as_wire(), name.as_wire());
    }

    #[test]
    fn any_text_is_a_name_or_an_error(text in ".{0,80}") {
        if let Ok(name) = Name::parse(&text) {
            prop_assert!(Name::from_wire(name.as_wire()).is_ok());
        }
    }

    #[test]
    fn serials_stand_on_a_circle(a: u32, step: u32) {
        let b = a.wrapping_add(step);
        // RFC 1982 §3.2, word by word, in wide numbers.
        let (i1, i2) = (u64::from(b), u64::from(a));
        let half = 1u64 << 31;
        let less = (i1 < i2 && i2 - i1 < half) || (i1 > i2 && i1 - i2 > half);
        let greater = (i1 < i2 && i2 - i1 > half) || (i1 > i2 && i1 - i2 < half);
        let expected = match (i1 == i2, less, greater) {
            (true, ..) => SerialOrder::Equal,
            (_, true, _) => SerialOrder::Older,
            (_, _, true) => SerialOrder::Newer,
            _ => SerialOrder::Undefined,
        };
        prop_assert_eq!(Serial(b).compare(Serial(a)), expected);
        prop_assert!(!(Serial(a).newer_than(Serial(b)) && Serial(b).newer_than(Serial(a))));
    }

    #[test]
    fn what_is_compressed_is_read_back(names in vec(name(), 1..20), exact: bool) {
        let mut compressor = if exact { Compressor::exact() } else { Compressor::folding() };
        let mut out = vec![7; 3];
        let mut at = Vec::new();
        let mut writer = Writer::new(&mut out, &mut compressor, 65_535);
        for name in &names {
            at.push(writer.len());
            writer.name(name.as_ref()).unwrap();
        }
        writer.finish(Header { id: 0, flags: 0, counts: [0; 4] });
        let message = &out[3..];
        let mut back = NameBuf::new();
        for (name, &at) in names.iter().zip(&at) {
            prop_assert_eq!(read_name(message, at, &mut back), skip_name(message, at));
            prop_assert_eq!(back.as_ref(), name.as_ref());
            if exact {
                prop_assert_eq!(back.as_ref().as_wire(), name.as_wire());
            }
        }
    }

    #[test]
    fn a_rewound_message_is_as_if_never_written(kept in vec(name(), 0..4), undone in vec(name(), 0..4), more in vec(name(), 0..4)) {
        let mut compressor = Compressor::folding();
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, &mut compressor, 65_535);
        let mut at = Vec::new();
        for name in &kept {
            at.push(writer.len());
            writer.name(name.as_ref()).unwrap();
        }
        let mark = writer.len();
        for name in &undone {
            writer.name(name.as_ref()).unwrap();
        }
        writer.rewind(mark);
        for name in &more {
            at.push(writer.len());
            writer.name(name.as_ref()).unwrap();
        }
        writer.finish(Header { id: 0, flags: 0, counts: [0; 4] });
        let mut back = NameBuf::new();
        for (name, at) in kept.iter().chain(&more).zip(at) {
            read_name(&out, at, &mut back).unwrap();
            prop_assert_eq!(back.as_ref(), name.as_ref());
        }
    }

    #[test]
    fn any_octets_are_walked_without_panic(octets in vec(any::<u8>(), 0..200), start in 0usize..220, rtype: u16) {
        let mut name = NameBuf::new();
        let _ = read_name(&octets, start, &mut name);
        let _ = skip_name(&octets, start);
        if let Ok(message) = Message::new(&octets) {
            let _ = message.question();
            if let Ok(records) = message.records() {
                let _ = records.count();
            }
        }
        let mut out = Vec::new();
        let _ = rdata::expand(RecordType(rtype), &octets, start, octets.len(), &mut out);
        rdata::canonical(RecordType(rtype), &octets, &mut out);
        let _ = Soa::from_rdata(&octets);
        let _ = name_of_key(&octets, Name::root().as_ref(), &mut name);
        if let Some(opt) = Opt::new(0, 0, &octets) {
            let _ = opt.options().count();
        }
    }

    #[test]
    fn every_layout_takes_what_it_expands(octets in vec(any::<u8>(), 0..80), rtype in 0u16..300) {
        let rtype = RecordType(rtype);
        let mut expanded = Vec::new();
        if rdata::expand(rtype, &octets, 0, octets.len(), &mut expanded).is_ok() {
            prop_assert!(rdata::validate(rtype, &expanded).is_ok());
            let (mut compressor, mut out) = (Compressor::exact(), Vec::new());
            let mut writer = Writer::new(&mut out, &mut compressor, 65_535);
            writer.record(Name::root().as_ref(), rtype, 1, 0, &expanded).unwrap();
            writer.finish(Header { id: 0, flags: 0, counts: [0, 1, 0, 0] });
            let record = Message::new(&out).unwrap().records().unwrap().next().unwrap().unwrap();
            let mut again = Vec::new();
            rdata::expand(rtype, &out, record.rdata, record.end, &mut again).unwrap();
            prop_assert_eq!(again, expanded);
        }
    }
}
