//! More than one address, more than one primary: who fails is passed over, next address before next primary, each once in a
//! round; and whoever has news brings it.

use secondo_wire::Reason;

use super::{Entry, Expect, Scene, Seals, Second, entry};
use crate::diary::Over;
use crate::fault::Fault;
use crate::script::Kind::{self, Axfr, Ixfr, Soa, Transfer};

/// What the first does, and the round that follows when the second is another address of the same primary; the reasons of
/// the first.
const FIRST: &[(&str, Kind, Fault, &str, Reason)] = &[
    ("refuses the SOA", Soa, Fault::Rcode(5), "soa", Reason::Refused),
    ("fails at the SOA", Soa, Fault::Rcode(2), "soa", Reason::ServerFailure),
    ("is not authoritative", Soa, Fault::NotAuthoritative, "soa", Reason::NotAuthoritative),
    ("says nothing", Soa, Fault::Silence, "soa soa/tcp", Reason::Timeout),
    ("refuses the IXFR", Ixfr, Fault::Rcode(5), "soa ixfr", Reason::Refused),
    ("breaks off the IXFR at once", Ixfr, Fault::CloseAfter(0), "soa ixfr", Reason::TruncatedStream),
];

/// What is wrong with what the first has: its other addresses would have the same.
const MALFORMED: &[(&str, Kind, Fault, &str, &[Reason])] = &[
    ("has a malformed SOA", Soa, Fault::Trailing, "soa soa/tcp", &[Reason::MalformedMessage]),
    ("is behind", Soa, Fault::Serial(6), "soa", &[Reason::SerialBehind]),
    (
        "sends differences and a zone that are malformed",
        Transfer,
        Fault::Trailing,
        "soa ixfr axfr",
        &[Reason::IxfrMalformed, Reason::MalformedMessage],
    ),
];

/// The entries of this chapter.
pub fn entries() -> Vec<Entry> {
    let with = |second| Scene { second, ..Scene::default() };
    let mut all = Vec::new();
    let mut add = |name: String, scene: Scene, kind, fault: &[Fault], expect| {
        all.push(entry("several", &name, scene, kind, fault, expect));
    };
    for (name, kind, fault, asks, reason) in FIRST {
        for (second, what) in [(Second::Address, "another address"), (Second::Honest, "another primary")] {
            let expect = Expect::succeeds(&format!("{asks} 2:soa 2:ixfr"), &[*reason]);
            add(format!("{name}; {what} is honest"), with(second), *kind, &[*fault], expect);
        }
    }
    for (name, kind, fault, asks, reasons) in MALFORMED {
        let expect = Expect::succeeds(&format!("{asks} 2:soa 2:ixfr"), reasons);
        add(format!("{name}; another primary is honest"), with(Second::Honest), *kind, &[*fault], expect);
        let last = *reasons.last().unwrap_or(&Reason::Internal);
        let expect = Expect { reasons: reasons.to_vec(), ..Expect::fails(asks, last) };
        add(
            format!("{name}; its other address is not asked"),
            with(Second::Address),
            *kind,
            &[*fault],
            expect,
        );
    }
    let seals = Scene { seals: Seals::One, ..with(Second::Honest) };
    let expect = Expect::succeeds("soa ixfr 2:soa 2:ixfr", &[Reason::TsigBadSig]);
    add("breaks its seals; another primary does not".into(), seals, Ixfr, &[Fault::BadSignature], expect);
    let shut = Scene { shut: &[Over::Udp, Over::Tcp], ..with(Second::Honest) };
    let expect = Expect::succeeds("2:soa 2:ixfr", &[Reason::ConnectionRefused]);
    add("is down; another primary is there".into(), shut, Kind::Any, &[], expect);
    let honest = Expect::succeeds("soa ixfr", &[]);
    for (name, second) in [
        ("is honest; another primary is stuck", Second::Stuck),
        ("is honest; another primary is down", Second::Down),
        ("is honest; another primary has the serial with other content", Second::Other),
    ] {
        add(name.into(), with(second), Kind::Any, &[], honest.clone());
    }
    let both =
        |asks, reasons: &[Reason], last| Expect { reasons: reasons.to_vec(), ..Expect::fails(asks, last) };
    let refused = both("soa 2:soa", &[Reason::ServerFailure, Reason::Refused], Reason::Refused);
    add("fails; another primary refuses".into(), with(Second::Refusing), Soa, &[Fault::Rcode(2)], refused);
    let down = both("soa", &[Reason::Refused, Reason::ConnectionRefused], Reason::Refused);
    add("refuses; another primary is down".into(), with(Second::Down), Soa, &[Fault::Rcode(5)], down);
    let other = Expect::succeeds("soa 2:soa 2:ixfr", &[Reason::Refused]);
    let name = "refuses; another primary has the serial with other content";
    add(name.into(), with(Second::Other), Soa, &[Fault::Rcode(5)], other);
    // The differences of one may not fit the copy that came from another: then the zone comes whole.
    let expect = Expect::succeeds("soa ixfr axfr", &[Reason::IxfrAbsentRecord]);
    let fault = [Fault::Says("9 7 other h1 h2 9 g1 g2 9")];
    add("sends differences for a copy that another has".into(), with(Second::Stuck), Ixfr, &fault, expect);
    let whole = Scene { ixfr: false, ..with(Second::Honest) };
    let expect = Expect::succeeds("soa axfr 2:soa 2:axfr", &[Reason::SoaMismatch]);
    add(
        "changes under the transfer; another primary does not".into(),
        whole,
        Axfr,
        &[Fault::WrongSoa],
        expect,
    );
    all
}
