//! TSIG (RFC 8945): what is not sealed, or not well, is not believed, whatever it says; and the secondary never asks with
//! less. Where only the seal is wrong the differences are not to blame: AXFR is not tried.

use secondo_wire::Reason;

use super::{Entry, Expect, Scene, Seals, entry};
use crate::fault::{At, Fault, Wax};
use crate::script::Kind;

/// What is wrong with a seal, and the reason.
const BENT: &[(&str, Wax, Reason)] = &[
    ("a seal that does not verify", Wax::Flipped, Reason::TsigBadSig),
    ("the MAC of its answer before", Wax::Replayed, Reason::TsigBadSig),
    ("the seal of another key", Wax::OtherKey, Reason::TsigBadKey),
    ("the seal of another algorithm", Wax::OtherAlgorithm, Reason::TsigBadKey),
    ("a MAC of 10 octets", Wax::Length(10), Reason::TsigMalformed),
    ("a MAC of 15 octets", Wax::Length(15), Reason::TsigMalformed),
    ("a MAC of 33 octets", Wax::Length(33), Reason::TsigMalformed),
    ("a seal two hours old", Wax::Time(-7200), Reason::TsigBadTime),
    ("a seal of in two hours", Wax::Time(7200), Reason::TsigBadTime),
    ("a seal 330 seconds old", Wax::Time(-330), Reason::TsigBadTime),
    ("another Original ID under its seal", Wax::OriginalId, Reason::TsigBadSig),
    ("two seals", Wax::Twice, Reason::TsigMalformed),
    ("a record behind its seal", Wax::Followed, Reason::TsigMalformed),
    ("a seal of class IN", Wax::Class, Reason::TsigMalformed),
    ("a bare BADKEY", Wax::Bare(17), Reason::TsigBadKey),
    ("a bare BADSIG", Wax::Bare(16), Reason::TsigBadSig),
    ("a bare BADTRUNC", Wax::Bare(22), Reason::TsigBadTrunc),
];

const PLACES: &[(&str, At)] = &[("first", At::First), ("in the middle", At::Middle), ("last", At::Last)];

/// The entries of this chapter.
pub fn entries() -> Vec<Entry> {
    let sealed = Scene { seals: Seals::One, ..Scene::default() };
    let whole = Scene { ixfr: false, ..sealed.clone() };
    let long = Scene { hosts: 240, ..whole.clone() };
    let mut all = Vec::new();
    let mut add = |name: &str, scene: &Scene, kind, faults: &[Fault], expect| {
        all.push(entry("seal", name, scene.clone(), kind, faults, expect));
    };
    for (name, wax, reason) in BENT {
        for (place, at) in PLACES {
            let fault = [Fault::Seal(*at, *wax)];
            add(
                &format!("AXFR: {name} {place}"),
                &whole,
                Kind::Axfr,
                &fault,
                Expect::fails("soa axfr", *reason),
            );
        }
        let fault = [Fault::Seal(At::Last, *wax)];
        add(&format!("IXFR: {name} last"), &sealed, Kind::Ixfr, &fault, Expect::fails("soa ixfr", *reason));
        // A MAC that verifies proves that the primary itself keeps another time: UDP tells that as well as TCP.
        if *reason == Reason::TsigBadTime {
            add(&format!("SOA: {name}"), &sealed, Kind::Soa, &fault, Expect::fails("soa", *reason));
            continue;
        }
        add(&format!("SOA: {name}"), &sealed, Kind::Soa, &fault, Expect::fails("soa soa/tcp", *reason));
        let over_tcp = Expect::succeeds("soa soa/tcp ixfr", &[]);
        add(&format!("SOA: {name} over UDP alone"), &sealed, Kind::SoaUdp, &fault, over_tcp);
    }
    let missing = |asks| Expect::fails(asks, Reason::TsigMissing);
    add("AXFR: no seals", &whole, Kind::Axfr, &[Fault::Unsigned], missing("soa axfr"));
    add("IXFR: no seals", &sealed, Kind::Ixfr, &[Fault::Unsigned], missing("soa ixfr"));
    add("SOA: no seal", &sealed, Kind::Soa, &[Fault::Unsigned], missing("soa soa/tcp"));
    add(
        "AXFR: no seal first",
        &whole,
        Kind::Axfr,
        &[Fault::Seal(At::First, Wax::Missing)],
        missing("soa axfr"),
    );
    add("AXFR: no seal last", &whole, Kind::Axfr, &[Fault::UnsignedEnd], missing("soa axfr"));
    add("IXFR: no seal last", &sealed, Kind::Ixfr, &[Fault::UnsignedEnd], missing("soa ixfr"));
    let broken = Expect::fails("soa axfr", Reason::TsigBadSig);
    // What went unsealed must be under the next seal, and there it is not.
    add(
        "AXFR: a seal taken off in the middle",
        &whole,
        Kind::Axfr,
        &[Fault::Seal(At::Middle, Wax::Missing)],
        broken,
    );
    let fine = Expect::succeeds("soa axfr", &[]);
    add("AXFR: every other message is sealed", &whole, Kind::Axfr, &[Fault::SealEach(2)], fine.clone());
    let runs = |each| [Fault::OneEach, Fault::SealEach(each)];
    add("AXFR: 99 messages in a row are not sealed", &long, Kind::Axfr, &runs(100), fine.clone());
    add("AXFR: 100 messages in a row are not sealed", &long, Kind::Axfr, &runs(101), missing("soa axfr"));
    add(
        "AXFR: a MAC of 16 octets last",
        &whole,
        Kind::Axfr,
        &[Fault::Seal(At::Last, Wax::Length(16))],
        fine.clone(),
    );
    add("AXFR: seals of a clock 200 seconds behind", &whole, Kind::Any, &[Fault::Clock(-200)], fine);
    // The error is under the MAC of the first message, and beside that of the others.
    for (error, told, reason) in
        [("BADTIME", 18, Reason::TsigBadTime), ("BADTRUNC", 22, Reason::TsigBadTrunc)]
    {
        for (place, at, reason) in [("first", At::First, Reason::TsigBadSig), ("last", At::Last, reason)] {
            let fault = [Fault::Seal(at, Wax::Error(told))];
            let name = format!("AXFR: {error} in the error field {place}");
            add(&name, &whole, Kind::Axfr, &fault, Expect::fails("soa axfr", reason));
        }
    }
    let heavy = Scene { large: 65_400, ..whole.clone() };
    let name = "AXFR: has a record of 65,400 octets, sealed";
    add(name, &heavy, Kind::Any, &[], Expect::succeeds("soa axfr", &[]));
    let plain = Scene { ixfr: false, ..Scene::default() };
    let unasked = Expect::fails("soa axfr", Reason::TsigUnexpected);
    add("AXFR: seals though the question had none", &plain, Kind::Axfr, &[Fault::Unasked], unasked);
    let unasked = Expect::fails("soa soa/tcp", Reason::TsigUnexpected);
    add("SOA: seals though the question had none", &plain, Kind::Soa, &[Fault::Unasked], unasked);
    // FORMERR and NOTIMP without a seal may mean EDNS, or IXFR: asked again with the same key, and nothing believed.
    let unsigned = |rcode| [Fault::Rcode(rcode), Fault::Unsigned];
    for (name, rcode) in [("FORMERR", 1), ("NOTIMP", 4)] {
        let expect = Expect::succeeds("soa ixfr ixfr-edns axfr", &[Reason::IxfrServerFailure]);
        add(&format!("IXFR: {name} without a seal"), &sealed, Kind::Ixfr, &unsigned(rcode), expect);
        let name = format!("AXFR: {name} without a seal");
        add(&name, &whole, Kind::Axfr, &unsigned(rcode), missing("soa axfr axfr-edns"));
    }
    add("AXFR: REFUSED without a seal", &whole, Kind::Axfr, &unsigned(5), missing("soa axfr"));
    add("SOA: REFUSED without a seal", &sealed, Kind::Soa, &unsigned(5), missing("soa soa/tcp"));
    add(
        "SOA: NXDOMAIN under a seal",
        &sealed,
        Kind::Soa,
        &[Fault::Rcode(3)],
        Expect::fails("soa", Reason::NoSuchZone),
    );
    add("sends a zone of 240 hosts, all sealed", &long, Kind::Any, &[], Expect::succeeds("soa axfr", &[]));
    let roll = Scene { seals: Seals::Roll, ..Scene::default() };
    let old = Expect::succeeds("soa soa/tcp soa+old ixfr+old", &[]);
    add("knows only the key that is on its way out", &roll, Kind::Any, &[], old);
    all
}
