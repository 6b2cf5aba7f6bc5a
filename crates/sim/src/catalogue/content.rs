//! The records of a zone: what cannot be data refuses the version; what does not belong there is dropped; and there are
//! bounds to what is taken.

use secondo_wire::Reason;

use super::{Entry, Expect, MAX_RECORDS, MAX_SIZE, NAME_TYPES, RRSET_RECORDS, Scene, entry};
use crate::fault::Fault;
use crate::script::Kind;

/// Lies in both forms: the reason of AXFR. In IXFR it is `ixfr-malformed`, and AXFR follows.
const BAD: &[(&str, Fault, Reason)] = &[
    ("has a record of type 0", Fault::OfType(0), Reason::MetaType),
    ("has an OPT record as data", Fault::OfType(41), Reason::MetaType),
    ("has a TKEY record as data", Fault::OfType(249), Reason::MetaType),
    ("has a TSIG record as data", Fault::OfType(250), Reason::MetaType),
    ("has an IXFR record as data", Fault::OfType(251), Reason::MetaType),
    ("has an AXFR record as data", Fault::OfType(252), Reason::MetaType),
    ("has a record of type ANY", Fault::MetaType, Reason::MetaType),
    ("has an address of three octets", Fault::BadRdata, Reason::BadRdata),
];

/// Bounds, which hold for both forms: AXFR would bring the same.
const TOO_MUCH: &[(&str, Fault, Reason)] = &[
    ("has an RRset beyond `rrset-records`", Fault::Rrset(RRSET_RECORDS as u16 + 1), Reason::LimitRrset),
    ("has a name beyond `name-types`", Fault::Types(NAME_TYPES as u16 + 1), Reason::LimitTypes),
    ("has more octets than `max-size`", Fault::Bulk((MAX_SIZE / 200) as u16), Reason::LimitBytes),
];

/// What is dropped, or taken once: the version is in order.
const ODD: &[(&str, Fault)] =
    &[("has a record outside of the zone", Fault::OutOfZone), ("sends each record twice", Fault::Twice)];

/// The entries of this chapter.
pub fn entries() -> Vec<Entry> {
    let whole = Scene { ixfr: false, ..Scene::default() };
    let mut all = Vec::new();
    let mut add = |name: String, scene: &Scene, kind, fault, expect| {
        all.push(entry("content", &name, scene.clone(), kind, &[fault], expect));
    };
    let differences = Scene::default();
    for (name, fault, reason) in BAD {
        add(format!("AXFR: {name}"), &whole, Kind::Axfr, *fault, Expect::fails("soa axfr", *reason));
        let expect = Expect::succeeds("soa ixfr axfr", &[Reason::IxfrMalformed]);
        add(format!("IXFR: {name}"), &differences, Kind::Ixfr, *fault, expect);
    }
    for (name, fault, reason) in TOO_MUCH {
        add(format!("AXFR: {name}"), &whole, Kind::Axfr, *fault, Expect::fails("soa axfr", *reason));
    }
    let small = Scene { ixfr: false, per_message: 100, ..Scene::default() };
    let records = Fault::Rrset(MAX_RECORDS as u16);
    add(
        "AXFR: has an RRset and a zone beyond their bounds".into(),
        &small,
        Kind::Axfr,
        records,
        Expect::fails("soa axfr", Reason::LimitRrset),
    );
    for (name, fault) in ODD {
        add(format!("AXFR: {name}"), &whole, Kind::Axfr, *fault, Expect::succeeds("soa axfr", &[]));
    }
    add(
        "IXFR: has a record outside of the zone".into(),
        &differences,
        Kind::Ixfr,
        Fault::OutOfZone,
        Expect::succeeds("soa ixfr", &[]),
    );
    let naked = Fault::Says("9 h3 9");
    add("AXFR: has no NS".into(), &whole, Kind::Axfr, naked, Expect::fails("soa axfr", Reason::NoApexNs));
    let bare = Fault::Says("9 @ 9");
    add(
        "AXFR: lost all but SOA and NS".into(),
        &whole,
        Kind::Axfr,
        bare,
        Expect::fails("soa axfr", Reason::GuardEmpty),
    );
    let none = Fault::Says("9 9");
    add(
        "AXFR: lost all but its SOA".into(),
        &whole,
        Kind::Axfr,
        none,
        Expect::fails("soa axfr", Reason::NoApexNs),
    );
    let style = Expect::fails("soa ixfr", Reason::NoApexNs);
    add("IXFR: answers with SOA and SOA, an empty zone".into(), &differences, Kind::Ixfr, none, style);
    let fine = |asks| Expect::succeeds(asks, &[]);
    let name = "AXFR: fills messages of 65,535 octets";
    add(name.into(), &crowd(), Kind::Axfr, Fault::LargeMessages, fine("soa axfr"));
    let crowded = Scene { ixfr: false, per_message: 100, ..Scene::default() };
    let more = Fault::Names(MAX_RECORDS as u16);
    let limit = Expect::fails("soa axfr", Reason::LimitRecords);
    add("AXFR: has more records than `max-records`".into(), &crowded, Kind::Axfr, more, limit);
    // All but SOA, NS, its address, and the hosts, of which as many go as come.
    let just = Fault::Names(MAX_RECORDS as u16 - 14);
    let limit = Expect::fails("soa axfr", Reason::LimitRecords);
    add("AXFR: has one record more than `max-records`".into(), &crowded, Kind::Axfr, just, limit);
    let mut honest = |name: &str, scene, asks| {
        all.push(Entry { group: "content", name: name.into(), scene, script: vec![], expect: fine(asks) });
    };
    let full = Scene { hosts: MAX_RECORDS as u16 - 3, ..crowded };
    honest("AXFR: has as many records as `max-records` allows", full, "soa axfr");
    let whole = Scene { ixfr: false, ..giant() };
    honest("AXFR: has a record that takes all of a message of 65,535 octets", whole, "soa axfr");
    honest("IXFR: has a record that takes all of a message of 65,535 octets", giant(), "soa ixfr");
    all
}

/// So many records that they do not fit into the largest message.
fn crowd() -> Scene {
    Scene { ixfr: false, hosts: 3300, ..Scene::default() }
}

/// With a record that just fits into the largest message: header, owner, and what stands before its RDATA.
fn giant() -> Scene {
    Scene { large: u16::MAX - 12 - 21 - 10, ..Scene::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_messages_are_as_large_as_messages_can_be() {
        let longest = |scene: Scene, faults: &[Fault]| scene.answer(faults).iter().map(Vec::len).max();
        assert_eq!(longest(giant(), &[]), Some(65_535));
        assert_eq!(longest(Scene { ixfr: false, ..giant() }, &[]), Some(65_535));
        assert!(longest(crowd(), &[Fault::LargeMessages]) > Some(65_500));
    }
}
