//! What the tests of several files are made from.

use proptest::collection::vec;
use proptest::prelude::*;
use secondo_wire::Name;

/// Names of up to six labels, made of octets that are hard: zero, one, dots, letters of both cases, high ones.
pub(crate) fn name() -> impl Strategy<Value = Name> {
    let octet = prop_oneof![
        Just(0u8),
        Just(1),
        Just(2),
        Just(b'.'),
        Just(b'*'),
        Just(b'\\'),
        prop::sample::select(b"abcABCzZ09-_".to_vec()),
        any::<u8>(),
    ];
    let label = prop_oneof![4 => vec(octet.clone(), 1..4), 1 => vec(octet, 1..=63)];
    vec(label, 0..6).prop_filter_map("too long", |labels| {
        let mut wire = Vec::new();
        for label in labels {
            wire.push(label.len() as u8);
            wire.extend(label);
        }
        wire.push(0);
        Name::from_wire(&wire).ok()
    })
}
