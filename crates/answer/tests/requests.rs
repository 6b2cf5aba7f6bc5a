//! Requests before the lookup, and answers by zone state and access list.

// Helpers of tests are tests too.
#![allow(clippy::unwrap_used)]

mod common;

use common::{NOW, Query, Reply, UNIX, World, only, zone};
use secondo_answer::{Asked, Cause, Outcome, Refused, Scratch, Transport, Wanted};
use secondo_tsig::{Algorithm, ClientStream, Key, sign_request};
use secondo_wire::{CLASS_ANY, CLASS_CH, CLASS_IN, CLASS_NONE, Rcode, RecordType, Serial};

const A: RecordType = RecordType::A;
const UDP: Transport = Transport::Udp;
const TCP: Transport = Transport::Tcp;

fn world() -> World {
    World::new([zone("example.", "a A 192.0.2.1"), zone("sub.example.", "b A 192.0.2.2")])
}

fn edns(query: Query) -> Query {
    query.edns(1232, 0, &[])
}

fn reply(world: &World, octets: &[u8], transport: Transport) -> Reply {
    let (outcome, out) = world.outcome(octets, transport);
    assert!(matches!(outcome, Outcome::Reply), "{outcome:?}");
    Reply::read(out)
}

fn soa_rdata(serial: u32) -> Vec<u8> {
    [&[0, 0][..], &serial.to_be_bytes(), &[0; 16]].concat()
}

fn key(name: &str) -> Key {
    Key::new(name.parse().unwrap(), Algorithm::HmacSha256, b"0123456789abcdef0123456789abcdef").unwrap()
}

fn signed(query: Query, key: &Key, time: u64) -> (Vec<u8>, ClientStream) {
    let mut octets = query.octets();
    let stream = sign_request(&mut octets, key, time);
    (octets, stream)
}

/// The reply without its verified TSIG record.
fn verified(out: Vec<u8>, mut stream: ClientStream) -> Reply {
    assert!(stream.verify(&out, UNIX).unwrap().signed);
    Reply::read(out)
}

#[test]
fn silence_leaves_nothing() {
    let mut response = Query::new("a.example.", A).octets();
    response[2] |= 0x80;
    for octets in [&response[..], &response[..11], b""] {
        let (outcome, out) = world().outcome(octets, TCP);
        assert!(matches!(outcome, Outcome::Silence) && out.is_empty());
    }
}

#[test]
fn the_header_repeats_id_opcode_and_rd_and_nothing_else() {
    let mut octets = Query::new("a.example.", A).octets();
    // AA, TC, RD, RA, Z, AD, CD set in a query.
    (octets[2], octets[3]) = (0x07, 0xF0);
    let reply = reply(&world(), &octets, UDP);
    assert_eq!(reply.octets[..4], [0x12, 0x34, 0x85, 0]);
    assert_eq!(reply.answer.len(), 1);
}

#[test]
fn other_opcodes_are_not_implemented_and_keep_their_opcode() {
    for opcode in [1, 2, 3, 5, 6, 15] {
        let mut octets = edns(Query::new("a.example.", A)).octets();
        octets[2] = opcode << 3 | 1;
        let reply = reply(&world(), &octets, UDP);
        assert!(reply.rcode == Rcode::NOTIMP && reply.opt.is_some() && reply.is_bare());
        assert_eq!((reply.octets[2], reply.octets[5]), (0x80 | opcode << 3 | 1, 0), "{opcode}");
    }
}

#[test]
fn malformed_requests_get_a_format_error_with_what_could_be_read() {
    let query = edns(Query::new("a.example.", A));
    let ask = |octets: &[u8]| reply(&world(), octets, UDP);
    let mut octets = query.clone().octets();
    octets[7] = 1;
    let reply = ask(&octets);
    assert!(reply.rcode == Rcode::FORMERR && reply.octets[5] == 1 && reply.opt.is_none());
    let reply = ask(&query.clone().record(3, ".", A, 1, &[0; 4]).octets());
    assert!(reply.rcode == Rcode::FORMERR && reply.opt.is_some());
    let mut octets = query.clone().octets();
    octets[3] = 5;
    assert_eq!(ask(&octets).rcode, Rcode::FORMERR);
    // RFC 9619: more than one question.
    let mut octets = query.octets();
    octets[5] = 2;
    let reply = ask(&octets);
    assert!(reply.rcode == Rcode::FORMERR && reply.octets.len() == 12);
}

#[test]
fn types_that_are_no_data_are_refused_each_in_its_way() {
    let rcode = |rtype: u16| world().get("a.example.", RecordType(rtype)).rcode;
    for rtype in [0, 41, 128, 249, 250] {
        assert_eq!(rcode(rtype), Rcode::FORMERR, "{rtype}");
    }
    for rtype in [129, 200, 248, 253, 254] {
        assert_eq!(rcode(rtype), Rcode::NOTIMP, "{rtype}");
    }
    for rtype in [3, 54, 100, 127, 256, 65280, 65535] {
        assert_eq!(rcode(rtype), Rcode::NOERROR, "{rtype}");
    }
    let reply = world().ask(edns(Query::new("a.example.", RecordType::NXNAME)));
    assert_eq!(reply.ede(), Some(30));
}

#[test]
fn other_classes_are_refused() {
    for class in [0, 2, CLASS_CH, CLASS_NONE, CLASS_ANY] {
        let reply = world().ask(edns(Query::new("a.example.", A).class(class)));
        assert!(reply.rcode == Rcode::REFUSED && reply.is_bare() && !reply.aa);
        assert_eq!(reply.ede(), Some(21), "{class}");
    }
}

#[test]
fn names_that_are_not_ours_are_refused_without_a_word_about_others() {
    for name in ["a.test.", ".", "test.", "notexample."] {
        let reply = world().ask(edns(Query::new(name, A)));
        assert!(reply.rcode == Rcode::REFUSED && reply.is_bare() && !reply.aa, "{name}");
        assert_eq!(reply.ede(), Some(20), "{name}");
        assert!(world().get(name, A).opt.is_none());
    }
}

#[test]
fn the_access_list_decides_who_may_query() {
    let mut world = world();
    world.entry("example.").query = only(Some("198.51.100.0/24"), None);
    let reply = world.ask(edns(Query::new("a.example.", A)));
    assert!(reply.rcode == Rcode::REFUSED && reply.is_bare());
    assert_eq!(reply.ede(), Some(18));
    // Another zone has another list.
    assert_eq!(world.get("b.sub.example.", A).rcode, Rcode::NOERROR);
    world.client = "198.51.100.7:5353".parse().unwrap();
    assert_eq!(world.get("a.example.", A).rcode, Rcode::NOERROR);
    world.client = "[::ffff:198.51.100.7]:5353".parse().unwrap();
    assert_eq!(world.get("a.example.", A).rcode, Rcode::NOERROR);
}

#[test]
fn those_who_may_transfer_may_ask_for_the_soa() {
    let mut world = world();
    world.entry("example.").query = Default::default();
    assert_eq!(world.get("example.", RecordType::SOA).rcode, Rcode::REFUSED);
    world.entry("example.").transfer = only(Some("192.0.2.1"), None);
    assert_eq!(world.get("example.", RecordType::SOA).answer.len(), 1);
    assert_eq!(world.get("example.", RecordType::NS).rcode, Rcode::REFUSED);
    assert_eq!(world.get("a.example.", RecordType::SOA).rcode, Rcode::REFUSED);
}

#[test]
fn a_zone_that_was_never_loaded_is_a_server_failure() {
    let world = world();
    world.slot("sub.example.").withdraw();
    for name in ["b.sub.example.", "sub.example."] {
        let reply = world.ask(edns(Query::new(name, RecordType::SOA)));
        assert!(reply.rcode == Rcode::SERVFAIL && !reply.aa && reply.is_bare(), "{name}");
        assert_eq!(reply.ede(), Some(14));
    }
}

#[test]
fn an_expired_zone_is_a_server_failure_that_tells_its_age_and_never_falls_to_the_parent() {
    let world = world();
    world.slot("sub.example.").renew(NOW, NOW - 7_260_000.min(NOW));
    let reply = world.ask(edns(Query::new("b.sub.example.", A)));
    assert!(reply.rcode == Rcode::SERVFAIL && !reply.aa && reply.is_bare());
    assert_eq!(reply.ede(), Some(24));
    let text = String::from_utf8(reply.option(15).unwrap()[2..].to_vec()).unwrap();
    assert_eq!(text, "zone expired, last confirmed 16m40s ago");
    assert!(world.get("b.sub.example.", A).opt.is_none());
    // One millisecond earlier it is answered from.
    world.slot("sub.example.").renew(NOW + 1, 0);
    assert_eq!(world.get("b.sub.example.", A).answer.len(), 1);
    // RFC 1034 §4.3.5: the parent's DS question is not touched by the child's state.
    world.slot("sub.example.").renew(NOW, 0);
    assert_eq!(world.get("sub.example.", RecordType::DS).rcode, Rcode::NXDOMAIN);
}

#[test]
fn a_signed_query_gets_a_signed_reply_whatever_it_says() {
    let mut world = world();
    let key = key("k.");
    world.keys = vec![key.clone()];
    world.entry("example.").query = only(None, Some("K."));
    for (name, rcode) in
        [("a.example.", Rcode::NOERROR), ("none.example.", Rcode::NXDOMAIN), ("other.test.", Rcode::REFUSED)]
    {
        for query in [Query::new(name, A), edns(Query::new(name, A))] {
            let (octets, stream) = signed(query, &key, UNIX);
            let (_, out) = world.outcome(&octets, UDP);
            assert_eq!(verified(out, stream).rcode, rcode, "{name}");
        }
    }
    // Unsigned, the list does not admit.
    assert_eq!(world.get("a.example.", A).rcode, Rcode::REFUSED);
    // A format error and an unknown version of EDNS, signed too.
    for query in
        [Query::new("a.example.", RecordType::OPT), Query::new("a.example.", A).edns(512, 1 << 16, &[])]
    {
        let (octets, stream) = signed(query, &key, UNIX);
        let (_, out) = world.outcome(&octets, UDP);
        let reply = verified(out, stream);
        assert!(reply.is_bare(), "{reply:?}");
    }
}

#[test]
fn a_broken_seal_is_answered_by_its_own_rules_and_never_taken_as_none() {
    let mut world = world();
    let (known, unknown) = (key("k."), key("stranger."));
    world.keys = vec![known.clone()];
    // Everyone may query unsigned.
    let bad = |octets: &[u8]| {
        let reply = reply(&world, octets, UDP);
        assert!(reply.answer.is_empty() && !reply.aa);
        reply
    };
    let (octets, _) = signed(Query::new("a.example.", A), &unknown, UNIX);
    assert_eq!(bad(&octets).rcode, Rcode::NOTAUTH);
    let (mut octets, _) = signed(Query::new("a.example.", A), &known, UNIX);
    octets[13] ^= 1;
    assert_eq!(bad(&octets).rcode, Rcode::NOTAUTH);
    let (octets, _) = signed(Query::new("a.example.", A), &known, UNIX - 1000);
    assert_eq!(bad(&octets).rcode, Rcode::NOTAUTH);
    // A record behind TSIG.
    let (mut octets, _) = signed(Query::new("a.example.", A), &known, UNIX);
    octets.extend_from_slice(&[0, 0, 41, 2, 0, 0, 0, 0, 0, 0, 0]);
    octets[11] += 1;
    assert_eq!(bad(&octets).rcode, Rcode::FORMERR);
}

#[test]
fn the_space_of_the_seal_is_held_back() {
    let key = key("a-key-with-a-rather-long-name.keys.example.");
    for count in 20..40 {
        let text: String = (0..count).map(|n| format!("many A 10.0.0.{n}\n")).collect();
        let mut world = World::new([zone("example.", &text)]);
        world.keys = vec![key.clone()];
        let (octets, stream) = signed(Query::new("many.example.", A), &key, UNIX);
        let (_, out) = world.outcome(&octets, UDP);
        assert!(out.len() <= 512);
        let reply = verified(out, stream);
        assert_eq!(reply.answer.len(), if reply.tc { 0 } else { count });
    }
}

fn notified(world: &World, query: Query) -> (Option<(String, Option<Serial>)>, Reply) {
    let (outcome, out) = world.outcome(&query.octets(), UDP);
    let accepted = match outcome {
        Outcome::Notify { entry, hint, key: None } => Some((entry.apex.to_string(), hint)),
        Outcome::Reply => None,
        other => panic!("{other:?}"),
    };
    (accepted, Reply::read(out))
}

#[test]
fn an_admitted_notify_is_answered_at_once_and_handed_on_with_its_hint() {
    let mut world = world();
    world.entry("example.").notify = only(Some("192.0.2.1"), None);
    let (accepted, reply) = notified(&world, Query::notify("EXAMPLE."));
    assert_eq!(accepted, Some(("example.".into(), None)));
    assert_eq!(reply.octets[..4], [0x12, 0x34, 0xA4, 0]);
    assert!(reply.rcode == Rcode::NOERROR && reply.is_bare() && reply.octets[5] == 1);
    let hinted = |class, rdata: &[u8]| {
        notified(&world, Query::notify("example.").record(1, "example.", RecordType::SOA, class, rdata))
    };
    assert_eq!(hinted(CLASS_IN, &soa_rdata(9)).0, Some(("example.".into(), Some(Serial(9)))));
    assert_eq!(hinted(CLASS_CH, &soa_rdata(9)).0, Some(("example.".into(), None)));
    let (accepted, reply) = hinted(CLASS_IN, &soa_rdata(9)[..21]);
    assert!(accepted.is_none() && reply.rcode == Rcode::FORMERR);
    // Whether the zone is loaded does not matter.
    world.slot("example.").withdraw();
    assert!(notified(&world, edns(Query::notify("example."))).0.is_some());
}

#[test]
fn a_notify_that_is_not_to_be_acted_on_is_told_why() {
    let mut world = world();
    let rcode = |world: &World, query: Query| {
        let (accepted, reply) = notified(world, query);
        assert!(accepted.is_none() && reply.is_bare() && !reply.aa);
        reply.rcode
    };
    // A stranger learns nothing.
    assert_eq!(rcode(&world, Query::notify("example.")), Rcode::REFUSED);
    assert_eq!(rcode(&world, Query::notify("other.")), Rcode::REFUSED);
    world.entry("sub.example.").notify = only(Some("192.0.2.1"), None);
    assert_eq!(rcode(&world, Query::notify("example.")), Rcode::REFUSED);
    assert_eq!(rcode(&world, Query::notify("other.")), Rcode::NOTAUTH);
    // No ancestor stands for a name.
    assert_eq!(rcode(&world, Query::notify("x.sub.example.")), Rcode::NOTAUTH);
    for class in [CLASS_ANY, CLASS_NONE] {
        assert_eq!(rcode(&world, Query::notify("sub.example.").class(class)), Rcode::FORMERR);
    }
    assert_eq!(rcode(&world, Query::notify("sub.example.").class(CLASS_CH)), Rcode::NOTAUTH);
    let mut cds = Query::new("sub.example.", RecordType::CDS).octets();
    cds[2] = 0x24;
    assert_eq!(reply(&world, &cds, UDP).rcode, Rcode::NOTIMP);
    let mut none = Query::notify("sub.example.").octets();
    none[5] = 0;
    assert_eq!(reply(&world, &none[..12], UDP).rcode, Rcode::FORMERR);
}

#[test]
fn a_notify_rule_with_a_key_wants_that_seal() {
    let mut world = world();
    let (mine, other) = (key("mine."), key("other."));
    world.keys = vec![mine.clone(), other.clone()];
    world.entry("example.").notify = only(Some("192.0.2.1"), Some("mine."));
    assert!(notified(&world, Query::notify("example.")).0.is_none());
    let (octets, stream) = signed(Query::notify("example."), &other, UNIX);
    let (outcome, out) = world.outcome(&octets, UDP);
    assert!(matches!(outcome, Outcome::Reply));
    assert_eq!(verified(out, stream).rcode, Rcode::REFUSED);
    let (octets, stream) = signed(Query::notify("example."), &mine, UNIX);
    let (outcome, out) = world.outcome(&octets, UDP);
    let Outcome::Notify { key, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(key.unwrap().to_string(), "mine.");
    assert_eq!(verified(out, stream).rcode, Rcode::NOERROR);
}

fn ixfr(serial: u32) -> Query {
    Query::new("example.", RecordType::IXFR).record(
        2,
        "example.",
        RecordType::SOA,
        CLASS_IN,
        &soa_rdata(serial),
    )
}

fn axfr(name: &str) -> Query {
    Query::new(name, RecordType::AXFR)
}

#[test]
fn an_admitted_transfer_is_handed_on_with_its_version_and_seal() {
    let mut world = world();
    let key = key("k.");
    world.keys = vec![key.clone()];
    world.entry("example.").transfer = only(None, Some("k."));
    let (octets, mut stream) = signed(axfr("Example.").edns(4096, 0x8000, &[0, 9, 0, 0]), &key, UNIX);
    let (outcome, out) = world.outcome(&octets, TCP);
    let Outcome::Transfer(transfer) = outcome else { panic!("{outcome:?}") };
    assert!(out.is_empty());
    assert_eq!((transfer.wanted, transfer.id), (Wanted::Full, 0x1234));
    assert_eq!((transfer.name.as_wire(), transfer.rtype), (&b"\x07Example\0"[..], RecordType::AXFR));
    assert_eq!(transfer.zone.serial(), Serial(7));
    assert!(transfer.recursion_desired);
    // RFC 3225 §3: DO is copied; RFC 7314 §3.2: the time to expiry was asked for.
    let opt = [0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 8, 0, 9, 0, 4, 0, 0, 14, 16];
    assert_eq!(transfer.opt.as_ref().unwrap().sent, opt);
    // When our own limit says no after all, that is signed too.
    let mut out = vec![0; 2];
    transfer.decline(Rcode::SERVFAIL, UNIX, &mut out);
    assert!(stream.verify(&out[2..], UNIX).unwrap().signed);
    let reply = Reply::read(out.split_off(2));
    assert!(reply.rcode == Rcode::SERVFAIL && reply.octets[5] == 1 && reply.option(9).is_none());
    assert_eq!(reply.opt.map(|opt| (opt.payload, opt.flags)), Some((1232, 0x8000)));
}

#[test]
fn an_incremental_request_is_told_apart_by_the_askers_serial() {
    let mut world = world();
    world.entry("example.").transfer = only(Some("192.0.2.1"), None);
    let wanted = |serial: u32| match world.outcome(&ixfr(serial).octets(), TCP).0 {
        Outcome::Transfer(transfer) => transfer.wanted,
        other => panic!("{other:?}"),
    };
    assert_eq!(wanted(6), Wanted::Incremental { from: Serial(6) });
    assert_eq!(wanted(7), Wanted::UpToDate);
    assert_eq!(wanted(8), Wanted::UpToDate);
    assert_eq!(wanted(7 + (1 << 31)), Wanted::Incremental { from: Serial(7 + (1 << 31)) });
    assert_eq!(wanted(8 + (1 << 31)), Wanted::Incremental { from: Serial(8 + (1 << 31)) });
    // Without exactly one usable SOA it is a format error.
    let none = Query::new("example.", RecordType::IXFR);
    let two = ixfr(1).record(2, "example.", RecordType::SOA, CLASS_IN, &soa_rdata(2));
    for query in [none.clone(), two, none.record(2, "sub.example.", RecordType::SOA, 1, &soa_rdata(1))] {
        assert_eq!(world.ask_tcp(query).rcode, Rcode::FORMERR);
    }
}

#[test]
fn over_udp_an_incremental_request_gets_the_soa_and_a_full_one_a_format_error() {
    let mut world = world();
    world.entry("example.").transfer = only(Some("192.0.2.1"), None);
    assert_eq!(world.ask(axfr("example.")).rcode, Rcode::FORMERR);
    for serial in [1, 7, 9] {
        let reply = world.ask(ixfr(serial).edns(1232, 0, &[0, 9, 0, 0]));
        assert!(reply.aa && reply.answer.len() == 1 && reply.answer[0].starts_with("example. 3600 SOA "));
        assert_eq!(reply.option(9), Some(&3600u32.to_be_bytes()[..]));
    }
    world.entry("example.").transfer = Default::default();
    assert_eq!(world.ask(ixfr(1)).rcode, Rcode::REFUSED);
}

#[test]
fn a_transfer_that_is_not_admitted_learns_by_the_table_of_states() {
    let mut world = world();
    // A stranger: refused, whether the zone is ours, expired, or not ours.
    for name in ["example.", "a.example.", "other."] {
        assert_eq!(world.ask_tcp(axfr(name)).rcode, Rcode::REFUSED, "{name}");
    }
    world.slot("example.").renew(NOW, 0);
    assert_eq!(world.ask_tcp(edns(axfr("example."))).ede(), Some(18));
    // One that some rule admits.
    world.entry("example.").transfer = only(Some("192.0.2.1"), None);
    assert_eq!(world.ask_tcp(axfr("other.")).rcode, Rcode::NOTAUTH);
    assert_eq!(world.ask_tcp(axfr("a.example.")).rcode, Rcode::NOTAUTH);
    assert_eq!(world.ask_tcp(axfr("sub.example.")).rcode, Rcode::REFUSED);
    assert_eq!(world.ask_tcp(axfr("example.").class(CLASS_CH)).rcode, Rcode::NOTAUTH);
    // Expired, never loaded.
    let reply = world.ask_tcp(edns(axfr("example.")));
    assert_eq!((reply.rcode, reply.ede()), (Rcode::SERVFAIL, Some(24)));
    world.slot("example.").withdraw();
    let reply = world.ask_tcp(edns(ixfr(1)));
    assert_eq!((reply.rcode, reply.ede()), (Rcode::SERVFAIL, Some(14)));
}

#[test]
fn the_log_can_tell_why_a_notify_or_a_transfer_was_not_granted() {
    let mut world = world();
    world.keys = vec![key("k.")];
    let mut scratch = Scratch::new();
    let mut refused = |world: &World, octets: &[u8]| {
        world.outcome_in(octets, TCP, &mut scratch);
        scratch.refused().cloned()
    };
    let because = |asked, rcode, cause| Some(Refused { asked, rcode, cause });
    let (notify, transfer) = (Query::notify("example.").octets(), axfr("example.").octets());
    assert_eq!(refused(&world, &notify), because(Asked::Notify, Rcode::REFUSED, Cause::AccessList));
    assert_eq!(refused(&world, &transfer), because(Asked::Transfer, Rcode::REFUSED, Cause::AccessList));
    let other = axfr("other.").octets();
    assert_eq!(refused(&world, &other), because(Asked::Transfer, Rcode::REFUSED, Cause::NotOurs));
    world.entry("example.").transfer = only(None, None);
    assert_eq!(refused(&world, &transfer), None);
    world.slot("example.").withdraw();
    assert_eq!(refused(&world, &transfer), because(Asked::Transfer, Rcode::SERVFAIL, Cause::NotServed));
    let class = axfr("example.").class(CLASS_CH).octets();
    assert_eq!(refused(&world, &class), because(Asked::Transfer, Rcode::NOTAUTH, Cause::Unsupported));
    // Queries are told of only when their seal is broken.
    assert_eq!(refused(&world, &Query::new("a.other.", A).octets()), None);
    let (late, _) = signed(Query::new("a.example.", A), &key("k."), UNIX - 1000);
    let Some(Refused { asked: Asked::Query, cause: Cause::Seal { skew, .. }, .. }) = refused(&world, &late)
    else {
        panic!("a late seal is told of")
    };
    assert_eq!(skew, Some(-1000));
    assert_eq!(refused(&world, b""), None);
}

// RFC 1035 §2.3.4, §4.1.4; RFC 6891 §5: of the four kinds of first octets one begins a label.
#[test]
fn a_question_whose_name_is_too_long_or_has_another_kind_of_label_is_a_format_error() {
    let ask = |name: &[u8]| {
        let octets = [&[0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], name, &[0, 1, 0, 1]].concat();
        let reply = reply(&world(), &octets, UDP);
        (reply.rcode, reply.octets[5], reply.octets.len())
    };
    let label = |length: usize| [&[length as u8][..], &vec![b'x'; length]].concat();
    let of = |last: usize| [label(63), label(63), label(63), label(last), b"\x07example\0".to_vec()].concat();
    let (longest, longer) = (of(53), of(54));
    assert_eq!((longest.len(), longer.len()), (255, 256));
    assert_eq!((ask(&longest).0, ask(&longest).1), (Rcode::NXDOMAIN, 1));
    let fault = (Rcode::FORMERR, 0, 12);
    assert_eq!(ask(&longer), fault);
    for kind in [0x40, 0x41, 0x7F, 0x80, 0xBF, 0xC0, 0xFF] {
        assert_eq!(ask(&[&[kind][..], b"x\x07example\0"].concat()), fault, "{kind:#x}");
        assert_eq!(ask(&[b"\x01a", &[kind][..], b"x\x07example\0"].concat()), fault, "{kind:#x}");
    }
}
