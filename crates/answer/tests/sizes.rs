//! EDNS, sizes and truncation (RFC 6891, RFC 2181 §9, RFC 9471).

mod common;

use common::{Query, World, zone};
use secondo_answer::Transport;
use secondo_wire::{Rcode, RecordType};

const A: RecordType = RecordType::A;
const EXPIRE: [u8; 4] = [0, 9, 0, 0];

fn addresses(count: usize) -> String {
    (0..count).map(|n| format!("many A 10.0.{}.{}\n", n / 250, n % 250)).collect()
}

#[test]
fn opt_is_answered_by_opt_and_never_sent_unasked() {
    let world = World::new([zone("example.", "a A 192.0.2.1")]);
    for name in ["a.example.", "none.example.", "a.other."] {
        assert!(world.get(name, A).opt.is_none());
        let reply = world.ask(Query::new(name, A).edns(4096, 0x0000_FFFF, b"\xFF\xF0\x00\x03abc"));
        let common::SeenOpt { payload, flags, options } = reply.opt.unwrap();
        assert_eq!((payload, flags), (1232, 0x8000), "{name}: DO is copied, other bits are not");
        assert!(options.iter().all(|option| option.0 == 15), "{name}: unknown options are ignored");
    }
}

#[test]
fn a_later_version_of_edns_is_answered_with_the_version_that_we_know() {
    let world = World::new([zone("example.", "a A 192.0.2.1")]);
    let reply = world.ask(Query::new("a.example.", A).edns(1232, 0x0001_0000, &EXPIRE));
    assert_eq!(reply.rcode, Rcode::BADVERS);
    assert!(reply.is_bare() && !reply.aa && reply.octets[5] == 1, "the question stays");
}

#[test]
fn a_later_version_of_edns_is_told_whatever_else_a_request_has_and_never_that_of_what_is_no_message() {
    let world = World::new([zone("example.", "a A 192.0.2.1")]);
    let asks = |octets: &[u8]| {
        let reply = common::Reply::read(world.outcome(octets, Transport::Udp).1);
        assert!(reply.is_bare() && !reply.aa && !reply.tc);
        (reply.rcode, reply.opt.is_some())
    };
    // RFC 6891 §6.1.3: no rule of version 0 is applied to what another one has.
    let later = |options: &[u8]| Query::new("a.example.", A).edns(1232, 0x0001_0000, options);
    let with = |at: usize, octet: u8| {
        let mut query = later(&[]).octets();
        query[at] = octet;
        query
    };
    let bare = [&[0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..], &later(&[]).octets()[12 + 15..]].concat();
    let badvers = (Rcode::BADVERS, true);
    for (what, query) in [
        ("a cut option", later(&[0, 10, 0, 8]).octets()),
        ("a scrap", later(&[7]).octets()),
        ("a cookie that is none", later(&[0, 10, 0, 1, 9]).octets()),
        ("a response code", with(3, 5)),
        ("a stray record", later(&[]).record(3, "x.", A, 1, &[0; 4]).octets()),
        (
            "an answer",
            Query::new("a.example.", A).record(1, "x.", A, 1, &[0; 4]).edns(0, 0x00FF_0000, &[]).octets(),
        ),
        ("no question", bare),
        ("another opcode", with(2, 5 << 3)),
        (
            "a type that nobody is asked for",
            Query::new("a.example.", RecordType::OPT).edns(0, 0x0001_0000, &[]).octets(),
        ),
    ] {
        assert_eq!(asks(&query), badvers, "{what}");
    }
    // RFC 6891 §6.1.1, RFC 9619 §4: what is no message, or has no OPT record that is one.
    let whole = later(&[]).octets();
    for (what, query, told) in [
        ("two questions", with(5, 2), false),
        ("records that are not there", with(11, 2), true),
        ("cut", whole[..whole.len() - 1].to_vec(), false),
        ("twice", later(&[]).edns(1232, 0x0001_0000, &[]).octets(), false),
        ("twice, of two versions", later(&[]).edns(1232, 0, &[]).octets(), false),
        (
            "of another owner",
            Query::new("a.example.", A).record(3, "a.", RecordType::OPT, 1232, &[]).octets(),
            false,
        ),
        (
            "version 0 with a cut option",
            Query::new("a.example.", A).edns(1232, 0, &[0, 10, 0, 8]).octets(),
            false,
        ),
    ] {
        assert_eq!(asks(&query), (Rcode::FORMERR, told), "{what}");
    }
}

#[test]
fn the_limit_is_the_lesser_of_both_payload_sizes_and_never_below_512() {
    for (payload, ours, limit) in [
        (None, 1232, 512),
        (Some(0), 1232, 512),
        (Some(800), 1232, 800),
        (Some(65535), 1232, 1232),
        (Some(4096), 4096, 4096),
    ] {
        for count in 1..=90 {
            let text = addresses(count);
            let size = 12 + 18 + 16 * count + if payload.is_some() { 11 } else { 0 };
            let mut small = World::new([zone("example.", &text)]);
            small.udp_payload = ours;
            let query = Query::new("many.example.", A);
            let reply = small.ask(payload.map_or(query.clone(), |payload| query.edns(payload, 0, &[])));
            assert_eq!(reply.tc, size > limit, "{payload:?} {count}");
            assert!(reply.octets.len() <= limit);
            assert_eq!(reply.answer.len(), if reply.tc { 0 } else { count });
            if reply.tc {
                assert!(reply.is_bare() && reply.aa && reply.octets[5] == 1);
            }
        }
    }
}

#[test]
fn over_tcp_everything_fits_or_is_a_server_failure() {
    let world = World::new([zone("example.", &addresses(1000))]);
    let reply = world.ask_tcp(Query::new("many.example.", A));
    assert!(reply.answer.len() == 1000 && !reply.tc);
    let text: String = (0..300).map(|n| format!("huge TXT {n:0>250}\n")).collect();
    let world = World::new([zone("example.", &text)]);
    let reply = world.ask_tcp(Query::new("huge.example.", RecordType::TXT));
    assert!(reply.rcode == Rcode::SERVFAIL && reply.is_bare() && !reply.tc && !reply.aa);
}

#[test]
fn missing_in_domain_glue_is_told_and_missing_sibling_glue_is_not() {
    // 13 servers in the domain with 3 addresses each: more than 512 octets.
    let own: String = (0..13)
        .flat_map(|n| {
            let addresses = (0..3).map(move |m| format!("ns{n}.sub A 192.0.{n}.{m}\n"));
            std::iter::once(format!("sub NS ns{n}.sub\n")).chain(addresses)
        })
        .collect();
    let reply = World::new([zone("example.", &own)]).get("a.sub.example.", A);
    assert!(reply.tc && reply.authority.len() == 13, "whole RRsets stay");
    assert!(reply.octets.len() <= 512 && reply.additional.len().is_multiple_of(3));
    let reply = World::new([zone("example.", &own)]).ask_tcp(Query::new("a.sub.example.", A));
    assert!(!reply.tc && reply.additional.len() == 39);
    let sibling = format!("other NS ns0.sub\n{}", own.replace("sub NS", "other NS"))
        .replace("other NS ns0.sub\nother", "sub NS ns0.sub\nother");
    let reply = World::new([zone("example.", &sibling)]).get("a.other.example.", A);
    assert!(!reply.tc && reply.authority.len() == 13 && !reply.additional.is_empty());
}

#[test]
fn additional_data_never_truncates() {
    let text: String =
        (0..20).map(|n| format!("m MX 1 t{n}\nt{n} A 192.0.2.1\nt{n} AAAA 2001:db8::1\n")).collect();
    let reply = World::new([zone("example.", &text)]).get("m.example.", RecordType::MX);
    assert!(!reply.tc && reply.answer.len() == 20 && reply.octets.len() <= 512);
}

#[test]
fn expire_is_told_when_asked_at_the_apex_of_a_served_zone() {
    let world = World::new([zone("example.", "a A 192.0.2.1")]);
    let ask = |name: &str, qtype| world.ask(Query::new(name, qtype).edns(1232, 0, &EXPIRE));
    assert_eq!(ask("example.", RecordType::SOA).option(9), Some(&3600u32.to_be_bytes()[..]));
    assert_eq!(ask("example.", RecordType::NS).option(9), None);
    assert_eq!(ask("none.example.", RecordType::SOA).option(9), None);
    let plain = world.ask(Query::new("example.", RecordType::SOA).edns(1232, 0, &[]));
    assert_eq!(plain.option(9), None);
    // RFC 7314 §3.2: never zero.
    world.slot("example.").renew(common::NOW + 1, 0);
    assert_eq!(ask("example.", RecordType::SOA).option(9), Some(&1u32.to_be_bytes()[..]));
    world.slot("example.").renew(common::NOW + 1999, 0);
    assert_eq!(ask("example.", RecordType::SOA).option(9), Some(&1u32.to_be_bytes()[..]));
    world.slot("example.").renew(common::NOW, 0);
    assert_eq!(ask("example.", RecordType::SOA).option(9), None);
}

#[test]
fn the_longest_question_is_answered_within_512_octets() {
    let label = "y".repeat(63);
    let name = format!("{label}.{label}.{label}.{}.example.", "z".repeat(53));
    let world = World::new([zone("example.", "")]);
    let query = Query::new(&name, A).edns(512, 0, &[]);
    let (_, octets) = world.outcome(&query.octets(), Transport::Udp);
    let reply = common::Reply::read(octets);
    assert!(reply.rcode == Rcode::NXDOMAIN && reply.octets.len() <= 512);
}
