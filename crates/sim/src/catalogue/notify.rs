//! NOTIFYs (RFC 1996): a hint and nothing more. What is none is answered, or not even that, and nothing is asked because of
//! it; what is one leads to questions, and those alone tell what there is.

use super::{Back, Begin, Entry, Expect, Scene, Seals, Served};
use crate::fault::Fault;
use crate::script::Kind;
use crate::tidings::Tidings;

/// What leads to nothing, and how it is answered. The RCODEs: FORMERR 1, NOTIMP 4, REFUSED 5, NOTAUTH 9.
const VAIN: &[(&str, Seals, Tidings, Option<u16>)] = &[
    ("comes from a stranger", Seals::None, Tidings::Stranger, Some(5)),
    ("is of class CH", Seals::None, Tidings::OtherClass, Some(9)),
    ("is of type A", Seals::None, Tidings::OtherType, Some(4)),
    ("is of a zone that is not served", Seals::None, Tidings::OtherZone, Some(9)),
    ("has no question", Seals::None, Tidings::NoQuestion, Some(1)),
    ("has two questions", Seals::None, Tidings::TwoQuestions, Some(1)),
    ("is an answer (QR set)", Seals::None, Tidings::Response, None),
    ("has a SOA that is cut", Seals::None, Tidings::CutSoa, Some(1)),
    ("tells of the serial that is served", Seals::None, Tidings::Of(7), Some(0)),
    ("is sealed with another secret", Seals::One, Tidings::OtherSecret, Some(9)),
    ("is sealed with a key that nobody knows", Seals::One, Tidings::OtherKey, Some(9)),
    ("has a seal two hours old", Seals::One, Tidings::Clock(-7200), Some(9)),
    ("has a seal of in two hours", Seals::One, Tidings::Clock(7200), Some(9)),
    ("is sealed though there is no key", Seals::None, Tidings::OtherKey, Some(9)),
];

/// What brings the new version, how often it is sent, and what is asked.
const HEARD: &[(&str, Seals, Tidings, u16, &str)] = &[
    ("is in order", Seals::None, Tidings::Newest, 1, "ixfr"),
    ("is sealed", Seals::One, Tidings::Newest, 1, "ixfr"),
    ("is not sealed though there is a key", Seals::One, Tidings::Unsealed, 1, "ixfr"),
    ("has no SOA", Seals::None, Tidings::Bare, 1, "soa ixfr"),
    ("comes a thousand times", Seals::None, Tidings::Newest, 1000, "ixfr"),
    // Those that came meanwhile may tell of what came behind.
    ("has no SOA and comes a thousand times", Seals::None, Tidings::Bare, 1000, "soa ixfr soa"),
    ("has octets behind its SOA", Seals::None, Tidings::Trailing, 1, "ixfr"),
    ("tells of a serial before ours", Seals::None, Tidings::Of(6), 1, "soa ixfr"),
    ("tells a thousand times of a serial before ours", Seals::None, Tidings::Of(6), 1000, "soa ixfr soa"),
    ("tells of a serial behind around the circle", Seals::None, Tidings::Of(7 + 0x8000_0001), 1, "soa ixfr"),
    ("tells of a serial on the way", Seals::None, Tidings::Of(8), 1, "ixfr"),
    ("tells of a serial far ahead", Seals::None, Tidings::Of(7 + 0x7FFF_FFFF), 1, "ixfr"),
    ("tells of a serial half the circle away", Seals::None, Tidings::Of(7 + 0x8000_0000), 1, "soa ixfr"),
];

/// The entries of this chapter.
pub fn entries() -> Vec<Entry> {
    let told = |name: &str, seals, tidings, times, expect| {
        let scene = Scene { seals, begins: Begin::Told { tidings, times }, ..Scene::default() };
        Entry { group: "notify", name: name.into(), scene, script: vec![], expect }
    };
    let mut all = Vec::new();
    for &(name, seals, tidings, rcode) in VAIN {
        let nothing = Expect {
            served: Served::Old,
            asks: String::new(),
            reasons: vec![],
            back: Back::Refresh,
            rcode,
            kept: None,
        };
        all.push(told(name, seals, tidings, 1, nothing.clone()));
        let name = format!("{name}, and comes a thousand times");
        all.push(told(&name, seals, tidings, 1000, nothing));
    }
    for &(name, seals, tidings, times, asks) in HEARD {
        let expect = Expect { rcode: Some(0), ..Expect::succeeds(asks, &[]) };
        all.push(told(name, seals, tidings, times, expect));
    }
    // What nobody has is asked for, once more after a while, and forgotten: no flood of it wakes more.
    for (name, times, asks) in [
        ("tells of a serial that nobody has", 1, "ixfr"),
        ("tells a thousand times of one", 1000, "ixfr soa"),
    ] {
        let stays = Expect {
            served: Served::Old,
            asks: asks.into(),
            reasons: vec![],
            back: Back::Retry,
            rcode: Some(0),
            kept: None,
        };
        let mut entry = told(name, Seals::None, Tidings::Of(500), times, stays);
        entry.script.push((Kind::Any, vec![Fault::Serial(7)]));
        all.push(entry);
    }
    all
}
