//! Each lie of the catalogue, told to the rooms that take transfers: none of them becomes a version, and each is named.

#![allow(clippy::unwrap_used)]

use secondo_sim::{Change, Fault, Key, Kind, Name, Over, Script, World, Zone, read_zone};
use secondo_transfer::{Arrived, Fault as Verdict, Request, Session, Step, Want};
use secondo_tsig::Algorithm;
use secondo_wire::Reason;
use secondo_zone::{BorderSecret, Limits};

const NOW: u64 = 1_800_000_000;

fn apex() -> Name {
    Name::parse("example.").unwrap()
}

fn zone() -> Zone {
    let hosts: String = (1..200).map(|n| format!("host{n} A 192.0.2.{n}\n")).collect();
    let text = format!("$TTL 300\n@ SOA ns hostmaster 7 3600 600 86400 60\n@ NS ns\nns A 192.0.2.1\n{hosts}");
    read_zone(&text, &apex()).unwrap()
}

fn key(secret: &[u8]) -> Key {
    Key::new(Name::parse("transfer-key.").unwrap(), Algorithm::HmacSha256, secret).unwrap()
}

fn transfer(
    world: &mut World,
    want: Want,
    current: Option<&Zone>,
    key: Option<&Key>,
) -> Result<Arrived, Verdict> {
    let (mut session, question) = Session::new(Request {
        zone: &apex(),
        want,
        current,
        secret: &BorderSecret::new([7; 16]),
        limits: Limits::default(),
        key,
        id: 4711,
        edns: true,
        unix_now: NOW,
        forced: false,
    });
    let mut frames = &world.respond(&question, None, Over::Tcp, NOW).frames()[..];
    while let Some((length, rest)) = frames.split_first_chunk() {
        let Some((message, rest)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))) else {
            break;
        };
        match session.receive(message, NOW)? {
            Step::More => frames = rest,
            Step::Done(arrived) => return Ok(arrived),
        }
    }
    Err(session.cut())
}

fn arrives(world: &mut World, want: Want, current: Option<&Zone>, key: Option<&Key>) -> Zone {
    match transfer(world, want, current, key).unwrap() {
        Arrived::Candidate(candidate) => candidate.zone().clone(),
        Arrived::UpToDate { .. } => panic!("a version was expected"),
    }
}

/// A world two versions after `zone()`.
fn changed() -> (Zone, World) {
    let old = zone();
    let mut world = World::new([old.clone()]);
    for lines in ["- host7 A 192.0.2.7\n+ host7 300 A 198.51.100.7", "+ new 300 TXT \"second step\""] {
        world.change(&apex(), &Change::parse(lines, &apex()).unwrap()).unwrap();
    }
    (old, world)
}

#[test]
fn an_honest_world_gives_the_zone_whole_and_in_steps() {
    let (old, mut world) = changed();
    let new = world.zone(&apex()).unwrap().clone();
    assert_eq!(arrives(&mut world, Want::Axfr, None, None).digest(), new.digest());
    assert_eq!(arrives(&mut world, Want::Ixfr, Some(&old), None).digest(), new.digest());
    let arrived = transfer(&mut world, Want::Ixfr, Some(&new), None).unwrap();
    assert!(matches!(arrived, Arrived::UpToDate { expire: Some(86_400), .. }));
    // Without the past: the whole zone as the answer to IXFR.
    world.forget(&apex());
    assert_eq!(arrives(&mut world, Want::Ixfr, Some(&old), None).digest(), new.digest());
    let asked = world.asked();
    assert_eq!(asked.len(), 4);
    assert_eq!(asked[1].from, Some(old.serial()));
    assert!(asked.iter().all(|asked| asked.rcode == Some(0)));
}

#[test]
fn each_lie_in_a_full_transfer_is_named() {
    use Reason::*;
    let lies = [
        (Fault::Silence, TruncatedStream),
        (Fault::CloseAfter(700), TruncatedStream),
        (Fault::Rcode(5), Refused),
        (Fault::Rcode(2), ServerFailure),
        (Fault::Truncate, BadAnswer),
        (Fault::WrongId, BadAnswer),
        (Fault::WrongQuestion, BadAnswer),
        (Fault::NoOpeningSoa, SoaMissing),
        (Fault::ForeignSoa, SoaForeign),
        (Fault::InnerSoa, SoaForeign),
        (Fault::WrongSoa, SoaMismatch),
        (Fault::NoClosingSoa, TruncatedStream),
        (Fault::BehindEnd, SoaMisplaced),
        (Fault::BadClass, WrongClass),
        (Fault::MetaType, MetaType),
        (Fault::BadRdata, BadRdata),
        (Fault::CountTooHigh, MalformedMessage),
        (Fault::Trailing, MalformedMessage),
        (Fault::CutMessage, MalformedMessage),
        (Fault::PointerLoop, MalformedMessage),
        (Fault::Garbage, BadAnswer),
    ];
    let mut world = World::new([zone()]);
    let mut wrong = Vec::new();
    for (lie, reason) in lies {
        world.follow(Script::honest().times(Kind::Axfr, lie, 1));
        match transfer(&mut world, Want::Axfr, None, None) {
            Err(fault) if fault.reason == reason => {}
            other => wrong.push(format!("{lie:?}: expected {reason}, got {:?}", other.map(drop))),
        }
        arrives(&mut world, Want::Axfr, None, None);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    world.follow(Script::honest().always(Kind::Axfr, Fault::OutOfZone));
    assert_eq!(arrives(&mut world, Want::Axfr, None, None).digest(), zone().digest());
}

#[test]
fn each_lie_about_the_seal_is_named() {
    use Reason::*;
    let lies = [
        (Fault::BadSignature, TsigBadSig),
        (Fault::Unsigned, TsigMissing),
        (Fault::UnsignedEnd, TsigMissing),
        (Fault::Clock(4000), TsigBadTime),
    ];
    let ours = key(b"the shared secret of both");
    let mut world = World::new([zone()]);
    world.require(std::slice::from_ref(&ours));
    for (lie, reason) in lies {
        world.follow(Script::honest().times(Kind::Axfr, lie, 1));
        let fault = transfer(&mut world, Want::Axfr, None, Some(&ours)).unwrap_err();
        assert_eq!(fault.reason, reason, "{lie:?}: {fault}");
        assert_eq!(arrives(&mut world, Want::Axfr, None, Some(&ours)).digest(), zone().digest());
    }
    let fault = transfer(&mut world, Want::Axfr, None, Some(&key(b"another secret altogether"))).unwrap_err();
    assert_eq!(fault.reason, TsigBadSig, "{fault}");
    let fault = transfer(&mut world, Want::Axfr, None, None).unwrap_err();
    assert_eq!(fault.reason, Refused, "{fault}");
}

#[test]
fn each_lie_in_differences_is_named_and_of_the_class_that_leads_to_a_full_transfer() {
    use Reason::*;
    let lies = [
        (Fault::AbsentDelete, IxfrAbsentRecord),
        (Fault::BrokenChain, IxfrBrokenChain),
        (Fault::Empty, IxfrEmpty),
        (Fault::Rcode(4), IxfrNotImplemented),
        (Fault::Rcode(1), IxfrFormatError),
        (Fault::Rcode(2), IxfrServerFailure),
        (Fault::NoClosingSoa, IxfrCut),
        (Fault::BadClass, IxfrMalformed),
        (Fault::BadRdata, IxfrMalformed),
    ];
    let mut wrong = Vec::new();
    for (lie, reason) in lies {
        let (old, mut world) = changed();
        world.follow(Script::honest().always(Kind::Ixfr, lie));
        match transfer(&mut world, Want::Ixfr, Some(&old), None) {
            Err(fault) if fault.reason == reason => {}
            other => wrong.push(format!("{lie:?}: expected {reason}, got {:?}", other.map(drop))),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
