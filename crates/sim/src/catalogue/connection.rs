//! The network, and what a primary does with its connections: the end of a connection is never the end of a zone
//! (RFC 5936 §2.2), and a primary that closes after each answer does nothing wrong (RFC 7766 §6.2.3).

use std::time::Duration;

use secondo_wire::Reason;

use super::{Entry, Expect, Scene, entry};
use crate::diary::Over;
use crate::fault::{At, Fault};
use crate::script::Kind;

/// Lies in both forms of a transfer: the reason of AXFR, and that of IXFR when the differences had begun.
const LIES: &[(&str, Fault, Reason, Reason)] = &[
    ("closes at once", Fault::CloseAfter(0), Reason::TruncatedStream, Reason::TruncatedStream),
    (
        "closes inside the first length",
        Fault::CloseAfter(1),
        Reason::TruncatedStream,
        Reason::TruncatedStream,
    ),
    (
        "closes inside the first message",
        Fault::CloseAfter(60),
        Reason::TruncatedStream,
        Reason::TruncatedStream,
    ),
    ("closes inside a later message", Fault::CloseAfter(260), Reason::TruncatedStream, Reason::IxfrCut),
    ("closes before the closing SOA", Fault::NoClosingSoa, Reason::TruncatedStream, Reason::IxfrCut),
    ("resets the connection at once", Fault::Reset(0), Reason::ConnectionReset, Reason::ConnectionReset),
    ("resets the connection in the middle", Fault::Reset(260), Reason::ConnectionReset, Reason::IxfrCut),
    ("says nothing", Fault::Silence, Reason::Timeout, Reason::Timeout),
    ("falls silent in the middle", Fault::Stall(260), Reason::Timeout, Reason::IxfrCut),
];

/// What is slow, and what has no end.
const SLOW: &[(&str, Fault, Reason)] = &[
    ("sends an octet a second", Fault::Drip(Duration::from_secs(1)), Reason::TooSlow),
    ("sends messages without records for ever", Fault::EndlessEmpty, Reason::LimitEmptyMessages),
    ("sends the same records for ever", Fault::Endless, Reason::LimitRecords),
];

/// What is in order.
const ODD: &[(&str, Fault)] = &[
    ("closes the connection after each answer", Fault::CloseEach),
    ("sends its answer again behind its end", Fault::AnswerAgain),
    ("sends garbage behind its end", Fault::Junk),
];

/// The entries of this chapter.
pub fn entries() -> Vec<Entry> {
    let whole = Scene { ixfr: false, ..Scene::default() };
    let mut all = Vec::new();
    let mut add = |name: String, scene: &Scene, kind, fault, expect| {
        all.push(entry("connection", &name, scene.clone(), kind, &[fault], expect));
    };
    for (name, fault, axfr, ixfr) in LIES {
        add(format!("AXFR: {name}"), &whole, Kind::Axfr, *fault, Expect::fails("soa axfr", *axfr));
        let expect = match ixfr {
            // What had not begun says nothing about the differences.
            Reason::TruncatedStream | Reason::ConnectionReset | Reason::Timeout => {
                Expect::fails("soa ixfr", *ixfr)
            }
            _ => Expect::succeeds("soa ixfr axfr", &[*ixfr]),
        };
        add(format!("IXFR: {name}"), &Scene::default(), Kind::Ixfr, *fault, expect);
    }
    for (name, fault, reason) in SLOW {
        add(format!("AXFR: {name}"), &whole, Kind::Axfr, *fault, Expect::fails("soa axfr", *reason));
    }
    for (name, fault) in ODD {
        add(format!("AXFR: {name}"), &whole, Kind::Any, *fault, Expect::succeeds("soa axfr", &[]));
        add(format!("IXFR: {name}"), &Scene::default(), Kind::Any, *fault, Expect::succeeds("soa ixfr", &[]));
    }
    let frames = [("without octets", 0), ("of one octet", 1), ("of eleven octets", 11)];
    for (name, octets) in frames {
        for (place, at) in [("first", At::First), ("in the middle", At::Middle), ("last", At::Last)] {
            let (fault, axfr) =
                (Fault::Frame(at, octets), Expect::fails("soa axfr", Reason::MalformedMessage));
            add(format!("AXFR: sends a frame {name} {place}"), &whole, Kind::Axfr, fault, axfr);
            let kept = Some("soa ixfr ixfr axfr");
            let ixfr = Expect { kept, ..Expect::succeeds("soa ixfr axfr", &[Reason::IxfrMalformed]) };
            add(format!("IXFR: sends a frame {name} {place}"), &Scene::default(), Kind::Ixfr, fault, ixfr);
        }
    }
    let ended = Scene { ended: true, ..Scene::default() };
    let fine = Expect::succeeds("soa ixfr", &[]);
    add("closes all connections beforehand".into(), &ended, Kind::Any, Fault::CloseEach, fine);
    let doors: [(&str, &'static [Over], Expect); 3] = [
        ("listens on TCP alone", &[Over::Udp], Expect::succeeds("soa/tcp ixfr", &[])),
        ("listens on UDP alone", &[Over::Tcp], Expect::fails("soa", Reason::ConnectionRefused)),
        ("does not listen at all", &[Over::Udp, Over::Tcp], Expect::fails("", Reason::ConnectionRefused)),
    ];
    for (name, shut, expect) in doors {
        let scene = Scene { shut, ..Scene::default() };
        all.push(Entry { group: "connection", name: name.into(), scene, script: vec![], expect });
    }
    all
}
