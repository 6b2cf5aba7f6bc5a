//! Differences (RFC 1995): every form that they may have, and every way in which they may not fit. Ours is 7; the primary
//! has 9, by way of 8.

use secondo_wire::Reason;

use super::{Entry, Expect, Scene, entry};
use crate::fault::Fault;
use crate::script::Kind;

/// In order: the new version comes of it.
const RIGHT: &[(&str, &str)] = &[
    ("sends each step", "9 7 h1 8 g1 8 h2 9 g2 9"),
    ("sends one condensed step", "9 7 h1 h2 9 g1 g2 9"),
    ("takes away and brings back on the way", "9 7 h1 h3 8 g1 8 h2 9 g2 h3 9"),
    ("adds what is there", "9 7 h1 8 g1 h3 8 h2 9 g2 9"),
    ("adds the same twice", "9 7 h1 8 g1 g1 8 h2 9 g2 9"),
    ("has steps that change nothing but the SOA", "9 7 8 8 h1 h2 9 g1 g2 9"),
    ("starts from a SOA with other data", "9 7~ h1 h2 9 g1 g2 9"),
    ("deletes and adds outside of the zone", "9 7 OUT h1 h2 9 OUT g1 g2 9"),
    ("sends the whole zone instead", "9 @ ns h3 h4 h5 h6 h7 h8 h9 h10 h11 h12 g1 g2 9"),
];

/// Out of order: the zone is asked for whole.
const WRONG: &[(&str, &str, Reason)] = &[
    ("starts at a serial that is not ours", "9 6 h1 8 g1 8 h2 9 g2 9", Reason::IxfrBrokenChain),
    ("starts behind ours", "9 8 h2 9 g2 9", Reason::IxfrBrokenChain),
    ("leaves a gap", "9 7 h1 8 g1 9 h2 9 g2 9", Reason::IxfrBrokenChain),
    ("goes on at a serial it did not reach", "10 7 h1 8 g1 9 h2 10 g2 10", Reason::IxfrBrokenChain),
    ("stops short of what it promised", "9 7 h1 8 g1 9", Reason::IxfrBrokenChain),
    ("goes past what it promised", "9 7 h1 10 g1 9", Reason::IxfrBrokenChain),
    ("stands still", "9 7 h1 7 g1 7 h2 9 g2 9", Reason::IxfrBrokenChain),
    ("goes back", "9 7 h1 6 g1 6 h2 9 g2 9", Reason::IxfrBrokenChain),
    ("goes in a circle", "9 7 h1 8 g1 8 g1 7 h1 7 h1 9 g1 9", Reason::IxfrBrokenChain),
    (
        "goes around all serials",
        "9 7 h1 1500000007 g1 1500000007 3000000007 3000000007 9 9",
        Reason::IxfrBrokenChain,
    ),
    ("closes with another serial", "9 7 h1 h2 9 g1 g2 10", Reason::IxfrBrokenChain),
    ("closes with other data", "9 7 h1 h2 9 g1 g2 9~", Reason::IxfrBrokenChain),
    ("has two different new SOAs", "9 7 h1 h2 9~ g1 g2 9", Reason::IxfrBrokenChain),
    ("deletes what is not there", "9 7 absent h1 h2 9 g1 g2 9", Reason::IxfrAbsentRecord),
    ("deletes the same twice", "9 7 h1 h1 h2 9 g1 g2 9", Reason::IxfrAbsentRecord),
    ("deletes what it brings later", "9 7 h1 g2 8 g1 8 h2 9 g2 9", Reason::IxfrAbsentRecord),
    ("has a SOA below the apex among them", "9 7 h1 h2 9 8_ g1 g2 9", Reason::IxfrMalformed),
    ("has the SOA of another zone among them", "9 7 h1 h2 9 8^ g1 g2 9", Reason::IxfrMalformed),
    ("sends a record behind the end", "9 7 h1 h2 9 g1 g2 9 h3", Reason::IxfrMalformed),
    ("sends a SOA behind the end", "9 7 h1 h2 9 g1 g2 9 9", Reason::IxfrMalformed),
    ("takes the NS records away", "9 7 @ h1 h2 9 g1 g2 9", Reason::IxfrMalformed),
    ("sends no SOA first", "h1 9 7 h2 9 g1 g2 9", Reason::IxfrMalformed),
    ("promises and sends no more (a single newer SOA)", "9", Reason::IxfrCut),
];

/// The entries of this chapter.
pub fn entries() -> Vec<Entry> {
    let new = |name: &str, faults: &[Fault], expect| {
        entry("ixfr", name, Scene::default(), Kind::Ixfr, faults, expect)
    };
    let mut all = Vec::new();
    for (name, text) in RIGHT {
        all.push(new(name, &[Fault::Says(text)], Expect::succeeds("soa ixfr", &[])));
        let name = format!("{name}, a record a message");
        all.push(new(&name, &[Fault::Says(text), Fault::OneEach], Expect::succeeds("soa ixfr", &[])));
    }
    for (name, text, reason) in WRONG {
        all.push(new(
            name,
            &[Fault::Says(text), Fault::LargeMessages],
            Expect::succeeds("soa ixfr axfr", &[*reason]),
        ));
    }
    let behind = Fault::Says("9 7 h1 h2 9 g1 g2 9 h3");
    let fine = Expect::succeeds("soa ixfr", &[]);
    all.push(new("sends another message behind the end", &[behind, Fault::OneEach], fine));
    let empty = Expect::succeeds("soa ixfr axfr", &[Reason::IxfrEmpty]);
    all.push(new("answers with nothing", &[Fault::Empty], empty));
    all.push(new(
        "closes behind a single newer SOA",
        &[Fault::Says("9"), Fault::CloseEach],
        Expect::succeeds("soa ixfr axfr", &[Reason::IxfrCut]),
    ));
    all.push(new(
        "breaks off the whole zone behind its first SOA",
        &[Fault::Says("9 @ ns h3 9"), Fault::OneEach, Fault::Stall(115)],
        Expect::succeeds("soa ixfr axfr", &[Reason::IxfrCut]),
    ));
    all.push(new(
        "breaks off the whole zone in the middle",
        &[Fault::Says("9 @ ns h3 h4 h5 h6 9"), Fault::OneEach, Fault::CloseAfter(200)],
        Expect::fails("soa ixfr", Reason::TruncatedStream),
    ));
    all.push(new(
        "has differences that are broken, and a whole zone that is",
        &[Fault::Says("9 7 absent 9 9")],
        Expect {
            reasons: vec![Reason::IxfrAbsentRecord, Reason::SoaMismatch],
            ..Expect::fails("soa ixfr axfr", Reason::SoaMismatch)
        },
    ));
    if let Some(entry) = all.last_mut() {
        entry.script.push((Kind::Axfr, vec![Fault::WrongSoa]));
    }
    all
}
