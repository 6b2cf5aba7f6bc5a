//! EDNS options that are answered, and who answers: COOKIE, NSID, keepalive, ZONEVERSION, and the names of class CHAOS.

// Helpers of tests are tests too.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{Query, Reply, UNIX, World, only, zone};
use secondo_answer::{Cookies, Identity, Outcome, Table, Transport};
use secondo_tsig::{Algorithm, Key, sign_request};
use secondo_wire::edns::{OPT_SIZE, Opt};
use secondo_wire::{CLASS_CH, Rcode, RecordType};

const A: RecordType = RecordType::A;
const TXT: RecordType = RecordType::TXT;
const NSID: u16 = 3;
const COOKIE: u16 = 10;
const KEEPALIVE: u16 = 11;
const ZONEVERSION: u16 = 19;
const PADDING: u16 = 12;
const EDE: u16 = 15;

fn dress(table: Table) -> Table {
    let text = |text: &str| Some(text.into());
    let identity = Identity { id: text("ns2.example"), version: text("two"), nsid: text("ns2") };
    table
        .with_identity(identity)
        .with_cookies(Cookies::new([7; 16], []))
        .with_tcp_idle(Duration::from_secs(10))
}

fn world() -> World {
    let mut world = World::new([
        zone("example.", "a A 192.0.2.1\nc CNAME a.sub.example.\nsub2 NS ns.other.\n* TXT t"),
        zone("sub.example.", "a A 192.0.2.2"),
        zone(".", ""),
    ]);
    world.dress = dress;
    world
}

fn option(code: u16, value: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat()
}

fn with(name: &str, rtype: RecordType, options: &[u8]) -> Query {
    Query::new(name, rtype).edns(1232, 0, options)
}

fn codes(reply: &Reply) -> Vec<u16> {
    let mut codes: Vec<u16> = reply.opt.as_ref().unwrap().options.iter().map(|option| option.0).collect();
    codes.sort_unstable();
    codes
}

// --- who answers -----------------------------------------------------------------------------------------------------

#[test]
fn the_names_of_class_chaos_tell_what_they_stand_for_and_only_as_text() {
    let ask = |name: &str, rtype| world().ask(Query::new(name, rtype).class(CLASS_CH).edns(1232, 0, &[]));
    for (name, text) in [
        ("id.server.", "ns2.example"),
        ("HOSTNAME.bind.", "ns2.example"),
        ("version.server.", "two"),
        ("Version.Bind.", "two"),
    ] {
        for rtype in [TXT, RecordType::ANY] {
            let reply = ask(name, rtype);
            assert_eq!((reply.rcode, reply.answer.len()), (Rcode::NOERROR, 1), "{name}");
            // The owner is the question's, octet for octet; class CH, TTL 0.
            let record =
                [&[0xC0, 12, 0, 16, 0, 3, 0, 0, 0, 0, 0][..], &[text.len() as u8 + 1], &[text.len() as u8]];
            let record = [&record.concat()[..], text.as_bytes()].concat();
            assert!(reply.octets.windows(record.len()).any(|window| window == record), "{name}");
        }
        let reply = ask(name, A);
        assert_eq!((reply.rcode, reply.ede(), reply.is_bare()), (Rcode::REFUSED, Some(21), true));
    }
    for name in ["authors.bind.", "bind.", ".", "example.", "a.id.server."] {
        assert_eq!(ask(name, TXT).rcode, Rcode::REFUSED, "{name}");
    }
    // In class IN they are names like any other.
    assert_eq!(world().get("id.server.", TXT).rcode, Rcode::NXDOMAIN);
}

#[test]
fn what_is_hidden_is_refused_and_not_told() {
    let mut world = world();
    world.dress = |table| table;
    for name in ["id.server.", "hostname.bind.", "version.server.", "version.bind."] {
        let reply = world.ask(Query::new(name, TXT).class(CLASS_CH).edns(1232, 0, &option(NSID, &[])));
        assert_eq!((reply.rcode, codes(&reply)), (Rcode::REFUSED, vec![EDE]), "{name}");
    }
    let asked = [option(NSID, &[]), option(COOKIE, &[1; 8]), option(KEEPALIVE, &[])].concat();
    assert_eq!(codes(&world.ask_tcp(with("a.example.", A, &asked))), []);
    // Without cookies no length of one is wrong.
    assert_eq!(world.ask(with("a.example.", A, &option(COOKIE, &[1; 3]))).rcode, Rcode::NOERROR);
}

#[test]
fn nsid_is_told_to_those_who_ask_for_it_whatever_else_they_are_told() {
    let asked = option(NSID, &[]);
    for (name, ttl) in [("a.example.", 0), ("none.a.example.", 0), ("a.example.", 0x0001_0000)] {
        let reply = world().ask(Query::new(name, A).edns(1232, ttl, &asked));
        assert_eq!(reply.option(NSID), Some(&b"ns2"[..]), "{name} {ttl}");
    }
    assert_eq!(world().ask(with("a.example.", A, &[])).option(NSID), None);
    // RFC 5001 §2.2: what a request has in it is ignored.
    assert_eq!(world().ask(with("a.example.", A, &option(NSID, b"x"))).option(NSID), Some(&b"ns2"[..]));
    let twice = [asked.clone(), asked].concat();
    assert_eq!(codes(&world().ask(with("a.example.", A, &twice))), [NSID]);
}

// --- cookies ---------------------------------------------------------------------------------------------------------

/// The cookie that a client of the world has got.
fn baked(world: &World) -> Vec<u8> {
    let reply = world.ask(with("a.example.", A, &option(COOKIE, b"clientck")));
    let cookie = reply.option(COOKIE).unwrap().to_vec();
    assert_eq!(
        (reply.rcode, reply.answer.len(), cookie.len(), &cookie[..8]),
        (Rcode::NOERROR, 1, 24, &b"clientck"[..])
    );
    cookie
}

#[test]
fn a_cookie_is_answered_by_one_that_is_good_from_then_on() {
    let cookie = baked(&world());
    let reply = world().ask(with("a.example.", A, &option(COOKIE, &cookie)));
    assert_eq!((reply.option(COOKIE), reply.answer.len()), (Some(&cookie[..]), 1));
    // A bad one, too, is answered, by one that is good.
    let mut bad = cookie.clone();
    bad[20] ^= 1;
    for option in [option(COOKIE, &bad), option(COOKIE, &[&bad[..], &[0; 16]].concat())] {
        let reply = world().ask(with("a.example.", A, &option));
        assert_eq!((reply.rcode, reply.answer.len()), (Rcode::NOERROR, 1));
        assert_eq!(reply.option(COOKIE), Some(&cookie[..]));
    }
    // At another address it is none.
    let mut elsewhere = world();
    elsewhere.client = "192.0.2.2:5353".parse().unwrap();
    assert_ne!(baked(&elsewhere), cookie);
}

#[test]
fn a_cookie_of_a_length_that_none_has_is_a_format_error() {
    for length in [0, 1, 7, 9, 15, 41, 100] {
        let reply = world().ask(with("a.example.", A, &option(COOKIE, &vec![1; length])));
        assert_eq!((reply.rcode, codes(&reply)), (Rcode::FORMERR, vec![]), "{length}");
    }
    // The first counts.
    let two = [option(COOKIE, &[1; 8]), option(COOKIE, &[1; 3])].concat();
    assert_eq!(world().ask(with("a.example.", A, &two)).rcode, Rcode::NOERROR);
    // RFC 6891 §6.1.3: the version comes first.
    let reply = world().ask(Query::new("a.example.", A).edns(1232, 0x0001_0000, &option(COOKIE, &[1; 3])));
    assert_eq!(reply.rcode, Rcode::BADVERS);
}

#[test]
fn whoever_has_no_question_but_a_cookie_is_told_what_it_is_worth() {
    let ask = |options: &[u8]| {
        let opt =
            [&[0, 0, 41, 4, 208, 0, 0, 0, 0][..], &(options.len() as u16).to_be_bytes(), options].concat();
        let octets = [&[0x12, 0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..], &opt].concat();
        let (_, out) = world().outcome(&octets, Transport::Udp);
        let reply = Reply::read(out);
        (reply.rcode, reply.octets[5], reply.is_bare(), reply.option(COOKIE).map(<[u8]>::to_vec))
    };
    let cookie = baked(&world());
    let told = Some(cookie.clone());
    assert_eq!(ask(&option(COOKIE, b"clientck")), (Rcode::NOERROR, 0, true, told.clone()));
    assert_eq!(ask(&option(COOKIE, &cookie)), (Rcode::NOERROR, 0, true, told.clone()));
    let bad = [&cookie[..23], &[cookie[23] ^ 1]].concat();
    assert_eq!(ask(&option(COOKIE, &bad)), (Rcode::BADCOOKIE, 0, true, told));
    assert_eq!(ask(&option(COOKIE, &bad[..9])), (Rcode::FORMERR, 0, true, None));
    assert_eq!(ask(&option(NSID, &[])).0, Rcode::FORMERR);
    // A NOTIFY without a question is none.
    let opt = [&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 12][..], &option(COOKIE, b"clientck")].concat();
    let notify = [&[0x12, 0x34, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 1][..], &opt].concat();
    assert_eq!(Reply::read(world().outcome(&notify, Transport::Udp).1).rcode, Rcode::FORMERR);
}

#[test]
fn errors_and_sealed_answers_carry_the_cookie_and_its_space_is_held_back() {
    let asked = option(COOKIE, b"clientck");
    let cookie = baked(&world());
    for (query, rcode) in [
        (Query::new("a.example.", A).edns(1232, 0x0001_0000, &asked), Rcode::BADVERS),
        (with("a.example.", RecordType(0), &asked), Rcode::FORMERR),
        (with("a.example.", RecordType(200), &asked), Rcode::NOTIMP),
        (Query::notify("a.example.").edns(1232, 0, &asked), Rcode::REFUSED),
    ] {
        let reply = world().ask(query);
        assert_eq!((reply.rcode, reply.option(COOKIE)), (rcode, Some(&cookie[..])));
    }
    // Every size of an answer: whole with its cookie, or cut with its cookie.
    for count in 1..=40 {
        let text: String = (0..count).map(|n| format!("many A 10.0.0.{n}\n")).collect();
        let mut small = World::new([zone("example.", &text)]);
        (small.dress, small.udp_payload) = (dress, 512);
        let key = Key::new("k.".parse().unwrap(), Algorithm::HmacSha256, b"0123456789abcdef").unwrap();
        small.keys = vec![key.clone()];
        for sealed in [false, true] {
            let mut query = with("many.example.", A, &asked).octets();
            if sealed {
                sign_request(&mut query, &key, UNIX);
            }
            let reply = Reply::read(small.outcome(&query, Transport::Udp).1);
            let size = 12 + 18 + 16 * count + 11 + 28;
            assert!(reply.octets.len() <= 512 && reply.option(COOKIE).is_some());
            assert!(sealed || reply.tc == (size > 512), "{count}");
            assert_eq!(reply.answer.len(), if reply.tc { 0 } else { count });
        }
    }
}

// --- the connection and the zone -------------------------------------------------------------------------------------

#[test]
fn over_tls_whoever_pads_gets_answers_of_whole_blocks() {
    let text: String = (0..200).map(|n| format!("many A 10.0.0.{n}\nt{n} A 10.0.0.1\n")).collect();
    let mut world = World::new([zone("example.", &text)]);
    world.dress = dress;
    let key = Key::new("k.".parse().unwrap(), Algorithm::HmacSha512, b"0123456789abcdef").unwrap();
    world.keys = vec![key.clone()];
    let asked = [option(PADDING, &[0; 9]), option(COOKIE, b"clientck"), option(NSID, &[])].concat();
    for name in ["many.example.", "t1.example.", "t12.example.", "none.example."] {
        for (sealed, rtype) in [(false, A), (true, A), (false, RecordType(200)), (true, RecordType(200))] {
            let mut query = with(name, rtype, &asked).octets();
            if sealed {
                sign_request(&mut query, &key, UNIX);
            }
            let reply = Reply::read(world.outcome(&query, Transport::Tls).1);
            // RFC 8467 §4.1, with all that is sealed.
            assert_eq!(reply.octets.len() % 468, 0, "{name} {sealed}");
            let padding = reply.option(PADDING).unwrap();
            assert!(padding.len() < 468 && padding.iter().all(|&octet| octet == 0));
            assert!(reply.option(COOKIE).is_some() && reply.option(NSID).is_some());
            // RFC 7830 §4: never where everybody can read it.
            for clear in [Transport::Tcp, Transport::Udp] {
                assert_eq!(Reply::read(world.outcome(&query, clear).1).option(PADDING), None);
            }
        }
    }
    // Nor for those who do not pad.
    let plain = with("t1.example.", A, &[]).octets();
    assert_eq!(codes(&Reply::read(world.outcome(&plain, Transport::Tls).1)), []);
}

#[test]
fn what_answers_a_broken_seal_has_whole_blocks_too() {
    let key =
        |name: &str, algorithm, secret: &[u8]| Key::new(name.parse().unwrap(), algorithm, secret).unwrap();
    let ours = key("k.", Algorithm::HmacSha1, b"0123456789abcdef");
    let mut world = world();
    world.keys = vec![ours.clone()];
    let signed = |key: &Key, unix| {
        let asked = [option(PADDING, &[0; 9]), option(COOKIE, b"clientck")].concat();
        let mut query = with("a.example.", A, &asked).octets();
        sign_request(&mut query, key, unix);
        query
    };
    // RFC 8945 §5.2.4: of the MAC's 20 octets the first 10; behind it stand six more of the record.
    let mut short = signed(&ours, UNIX);
    let mac = short.len() - 6 - 20;
    short[mac - 1] = 10;
    short.drain(mac + 10..mac + 20);
    // The name of the algorithm, time and fudge, the MAC's length.
    let rdata = mac - 2 - 8 - 11;
    short[rdata - 1] -= 10;
    let unknown = key("another.", Algorithm::HmacSha512, b"0123456789abcdef");
    let wrong = key("k.", Algorithm::HmacSha1, b"fedcba9876543210");
    for (what, query, error) in [
        ("unknown key", signed(&unknown, UNIX), 17),
        ("wrong secret", signed(&wrong, UNIX), 16),
        ("wrong time", signed(&ours, UNIX - 10_000), 18),
        ("short MAC", short, 22),
    ] {
        let reply = Reply::read(world.outcome(&query, Transport::Tls).1);
        // Where the error stands: before the length of what else is told, which is a time for BADTIME alone.
        let other = if error == 18 { 6 } else { 0 };
        let at = reply.octets.len() - other - 4;
        let told = u16::from_be_bytes([reply.octets[at], reply.octets[at + 1]]);
        assert_eq!((reply.rcode, told), (Rcode::NOTAUTH, error), "{what}");
        // RFC 8467 §4.1, with the record of TSIG.
        assert!(reply.option(PADDING).is_some(), "{what}");
        assert_eq!(reply.octets.len() % 468, 0, "{what}");
        // RFC 8945 §5.3.2, RFC 6891 §6.2.3: in a datagram there is room for both.
        let reply = Reply::read(world.outcome(&query, Transport::Udp).1);
        assert!(reply.octets.len() <= 512 && reply.option(PADDING).is_none(), "{what}");
    }
}

#[test]
fn the_idle_time_is_told_over_tcp_alone() {
    let query = |value: &[u8]| with("a.example.", A, &option(KEEPALIVE, value));
    // In tenths of a second.
    assert_eq!(world().ask_tcp(query(&[])).option(KEEPALIVE), Some(&[0, 100][..]));
    assert_eq!(world().ask_tcp(with("a.example.", A, &[])).option(KEEPALIVE), None);
    assert_eq!(world().ask_tcp(query(&[0, 1])).rcode, Rcode::FORMERR);
    // RFC 7828 §3.3.1: over UDP it is ignored, whatever it holds.
    for value in [&[][..], &[0, 1], &[1]] {
        let reply = world().ask(query(value));
        assert_eq!((reply.rcode, codes(&reply)), (Rcode::NOERROR, vec![]));
    }
    let mut long = world();
    long.dress = |table| table.with_tcp_idle(Duration::from_secs(1_000_000));
    assert_eq!(long.ask_tcp(query(&[])).option(KEEPALIVE), Some(&[255, 255][..]));
}

#[test]
fn the_version_is_that_of_the_zone_that_answers() {
    let asked = option(ZONEVERSION, &[]);
    let told =
        |name: &str, rtype| world().ask(with(name, rtype, &asked)).option(ZONEVERSION).map(<[u8]>::to_vec);
    let version = |labels| Some(vec![labels, 0, 0, 0, 0, 7]);
    for (name, rtype, labels) in [
        ("a.example.", A, 1),
        ("a.example.", RecordType::MX, 1),
        ("none.a.example.", A, 1),
        // Where a chain begins; where a referral comes from; a DS is of the zone above.
        ("c.example.", A, 1),
        ("x.sub2.example.", A, 1),
        ("sub.example.", RecordType::DS, 1),
        ("a.sub.example.", A, 2),
        ("none.", A, 0),
    ] {
        assert_eq!(told(name, rtype), version(labels), "{name} {rtype}");
    }
    assert_eq!(world().ask(with("a.example.", A, &[])).option(ZONEVERSION), None);
    assert_eq!(world().ask(with("a.example.", A, &option(ZONEVERSION, &[0]))).rcode, Rcode::FORMERR);
    // RFC 9660 §3.2.1.
    for between in [vec![], option(NSID, &[]), option(65001, &[1])] {
        let twice = [&asked[..], &between, &asked].concat();
        let reply = world().ask(with("a.example.", A, &twice));
        assert_eq!((reply.rcode, reply.option(ZONEVERSION)), (Rcode::FORMERR, None));
    }
    // RFC 9660 §3.2: of one that should and cannot, its version is.
    let text: String = (0..300).map(|n| format!("huge TXT {n:0>250}\n")).collect();
    let large = World::new([zone("example.", &text)]);
    let reply = large.ask_tcp(with("huge.example.", TXT, &asked));
    assert_eq!((reply.rcode, reply.option(ZONEVERSION)), (Rcode::SERVFAIL, version(1).as_deref()));
    // Nothing is told of a zone that does not answer.
    let mut closed = world();
    closed.entry("example.").query = only(Some("198.51.100.1"), None);
    closed.slot("sub.example.").withdraw();
    for name in ["a.example.", "a.sub.example."] {
        let reply = closed.ask(with(name, A, &asked));
        assert!(reply.ede().is_some() && reply.option(ZONEVERSION).is_none(), "{name}");
    }
    // IXFR over UDP is answered by the SOA.
    let mut open = world();
    open.entry("example.").transfer = only(None, None);
    let soa = [&[0, 0][..], &[0; 20]].concat();
    let query = Query::new("example.", RecordType::IXFR).record(2, "example.", RecordType::SOA, 1, &soa);
    let reply = open.ask(query.edns(1232, 0, &asked));
    assert_eq!(reply.option(ZONEVERSION), version(1).as_deref());
}

#[test]
fn options_that_do_not_fit_are_left_out_and_never_cost_data() {
    let asked = [NSID, 9, ZONEVERSION].map(|code| option(code, &[])).concat();
    let asked = [asked, option(COOKIE, b"clientck")].concat();
    let mut seen = Vec::new();
    for length in 1..=255 {
        // One answer of so many octets, so that every number of octets is left.
        let text = format!("@ TXT {}\n@ TXT {}", "x".repeat(length), "y".repeat(200));
        let mut small = World::new([zone("example.", &text)]);
        small.udp_payload = 512;
        small.dress = |table| {
            let identity = Identity { nsid: Some("n".repeat(20).into()), ..Identity::default() };
            dress(table).with_identity(identity)
        };
        let reply = small.ask(with("example.", TXT, &asked));
        let size = 12 + 13 + 12 + 1 + length + 12 + 201 + 11 + 28;
        assert_eq!((reply.tc, reply.octets.len() <= 512), (size > 512, true), "{length}");
        if !reply.tc {
            // The first that fit, in this order: the zone's version, then the name.
            let left = 512 - size;
            let expected = match left {
                0..10 => vec![COOKIE],
                10..34 => vec![COOKIE, ZONEVERSION],
                _ => vec![NSID, COOKIE, ZONEVERSION],
            };
            assert_eq!(codes(&reply), expected, "{left}");
            seen.push(expected.len());
        }
    }
    seen.dedup();
    assert_eq!(seen, [3, 2, 1]);
}

#[test]
fn all_options_together_stand_once_each() {
    let asked = [NSID, 9, KEEPALIVE].map(|code| option(code, &[])).concat();
    let version = option(ZONEVERSION, &[]);
    let asked = [asked.clone(), version, option(COOKIE, &[1; 8]), option(65001, b"unknown"), asked].concat();
    let reply = world().ask_tcp(with("example.", RecordType::SOA, &asked));
    assert_eq!(codes(&reply), [NSID, 9, COOKIE, KEEPALIVE, ZONEVERSION]);
    assert_eq!(reply.answer.len(), 1);
}

// --- transfers -------------------------------------------------------------------------------------------------------

#[test]
fn a_transfer_tells_what_any_answer_tells_and_a_declined_one_nothing_of_the_zone() {
    let mut world = world();
    world.entry("example.").transfer = only(None, None);
    let cookie = option(COOKIE, b"clientck");
    let asks = [cookie, option(NSID, &[]), option(KEEPALIVE, &[]), option(ZONEVERSION, &[])].concat();
    let (outcome, _) = world.outcome(&with("example.", RecordType::AXFR, &asks).octets(), Transport::Tcp);
    let Outcome::Transfer(transfer) = outcome else { panic!("{outcome:?}") };
    let opt = &transfer.opt.as_ref().unwrap().sent;
    let read = Opt::new(1232, 0, &opt[OPT_SIZE..]).unwrap();
    let told: Vec<u16> = read.options().map(|option| option.0).collect();
    assert_eq!(told, [COOKIE, ZONEVERSION, KEEPALIVE, NSID]);
    assert_eq!(read.option(COOKIE).map(|cookie| (cookie.len(), &cookie[..8])), Some((24, &b"clientck"[..])));
    assert_eq!(read.option(ZONEVERSION), Some(&[1, 0, 0, 0, 0, 7][..]));
    let mut out = Vec::new();
    transfer.decline(Rcode::SERVFAIL, UNIX, &mut out);
    assert_eq!(codes(&Reply::read(out)), [NSID, COOKIE, KEEPALIVE]);
}
