//! Answers that are limited, and those that never are.

// Helpers of tests are tests too.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use common::{Query, Reply, UNIX, World, only, zone};
use proptest::prelude::*;
use secondo_answer::{
    Client, Clock, Cookies, Identity, Limited, Limiter, Outcome, RateLimit, Scratch, Table, Transport,
    respond,
};
use secondo_tsig::{Algorithm, Key, sign_request};
use secondo_wire::{CLASS_CH, Rcode, RecordType};

const A: RecordType = RecordType::A;
const MX: RecordType = RecordType::MX;

/// A table that is asked again and again, and the thread that asks it.
struct Room {
    table: Table,
    scratch: Scratch,
}

fn room(responses_per_second: u32, slip: u8) -> Room {
    let mut world = World::new([
        zone(
            "example.",
            "a A 192.0.2.1\nb A 192.0.2.2\n*.w A 192.0.2.3\nd DNAME t\nsub NS ns.other.\nc CNAME gone",
        ),
        zone("other.", "a A 192.0.2.1"),
    ]);
    world.keys = vec![key()];
    world.entry("other.").query = only(Some("198.51.100.1"), None);
    world.entry("example.").notify = only(None, None);
    let exempt = vec!["203.0.113.0/24".parse().unwrap()];
    let limit = RateLimit { responses_per_second, slip, ipv4_prefix: 24, ipv6_prefix: 56, exempt };
    let identity = Identity { id: Some("id".into()), ..Identity::default() };
    let table = world.table().with_cookies(Cookies::new([7; 16], [])).with_identity(identity);
    Room { table: table.with_limiter(Arc::new(Limiter::new(limit, &[9; 16]))), scratch: Scratch::new() }
}

fn key() -> Key {
    Key::new("k.".parse().unwrap(), Algorithm::HmacSha256, b"0123456789abcdef").unwrap()
}

const CLIENT: &str = "192.0.2.1";

impl Room {
    fn send(&mut self, request: &[u8], client: &str, transport: Transport, boot_ms: u64) -> Option<Reply> {
        let addr = SocketAddr::new(client.parse::<IpAddr>().unwrap(), 53);
        let mut out = Vec::new();
        let client = Client { addr, transport };
        let clock = Clock { boot_ms, unix: UNIX };
        match respond(request, client, &self.table, clock, &mut self.scratch, &mut out) {
            Outcome::Silence => {
                assert!(out.is_empty());
                None
            }
            _ => Some(Reply::read(out)),
        }
    }

    fn ask(&mut self, query: Query) -> Option<Reply> {
        self.send(&query.octets(), CLIENT, Transport::Udp, common::NOW)
    }

    /// Whether a query is answered as if there were no limit.
    fn passes(&mut self, query: Query) -> bool {
        self.ask(query).is_some_and(|reply| !reply.tc)
    }
}

fn cookie(value: &[u8]) -> Vec<u8> {
    [&[0, 10, 0, value.len() as u8][..], value].concat()
}

#[test]
fn what_is_alike_is_counted_together_whatever_names_are_made_up() {
    let new = Query::new;
    let edns = |version: u32| new("a.example.", A).edns(1232, version << 16, &[]);
    for alike in [
        vec![new("a.example.", A), new("A.example.", RecordType::ANY)],
        vec![new("a.example.", MX), new("a.example.", RecordType::TXT)],
        vec![new("x.example.", A), new("y.z.example.", MX), new("a.a.example.", A)],
        vec![new("x.w.example.", A), new("y.z.w.example.", A)],
        vec![new("x.w.example.", MX), new("y.z.w.example.", RecordType::TXT)],
        vec![new("x.d.example.", A), new("y.z.d.example.", MX)],
        vec![new("x.sub.example.", A), new("sub.example.", A), new("y.z.sub.example.", MX)],
        // Aliases are what their own name is.
        vec![new("c.example.", A), new("C.example.", RecordType::CNAME)],
        vec![
            new("nowhere.", A),
            new("a.other.", A),
            new("a.example.", RecordType(0)),
            new("a.example.", RecordType(200)),
            edns(1),
            new("a.example.", A).record(3, ".", A, 1, &[0; 4]),
            Query::notify("none."),
        ],
    ] {
        for first in &alike {
            let mut room = room(1, 0);
            assert!(room.passes(first.clone()));
            for other in &alike {
                assert!(room.ask(other.clone()).is_none());
            }
            // Everything else is another matter.
            let matters = [
                new("b.example.", A),
                new("b.example.", MX),
                new("id.server.", RecordType::TXT).class(CLASS_CH),
            ];
            for other in matters {
                assert!(room.passes(other.clone()) && !room.passes(other));
            }
        }
    }
}

#[test]
fn what_slips_has_lost_its_data_and_says_to_come_over_tcp() {
    for name in ["a.example.", "gone.example.", "x.sub.example.", "x.w.example."] {
        let mut room = room(1, 1);
        let query = || Query::new(name, A).edns(1232, 0x8000, &[0, 19, 0, 0]);
        assert!(room.ask(query()).is_some_and(|reply| !reply.tc && !reply.is_bare()));
        let reply = room.ask(query()).unwrap();
        assert!(reply.tc && reply.is_bare() && !reply.aa, "{name}");
        assert_eq!((reply.rcode, reply.octets[5], reply.opt.unwrap().options), (Rcode::NOERROR, 1, vec![]));
    }
    // An error has nothing to lose.
    let mut room = room(1, 2);
    let codes = [0; 5].map(|_| room.ask(Query::new("nowhere.", A)).map(|reply| (reply.rcode, reply.tc)));
    let refused = Some((Rcode::REFUSED, false));
    assert_eq!(codes, [refused, None, refused, None, refused]);
}

#[test]
fn who_is_known_is_never_limited() {
    let query = || Query::new("a.example.", A);
    let full = || {
        let mut room = room(1, 0);
        assert!(room.passes(query()) && !room.passes(query()));
        room
    };
    let all_pass = |request: &[u8], client: &str, transport| {
        let mut room = full();
        (0..5)
            .all(|_| room.send(request, client, transport, common::NOW).is_some_and(|reply| !reply.is_bare()))
    };
    let plain = query().octets();
    assert!(!all_pass(&plain, CLIENT, Transport::Udp));
    assert!(all_pass(&plain, CLIENT, Transport::Tcp));
    assert!(all_pass(&plain, "203.0.113.77", Transport::Udp));
    let mut sealed = plain.clone();
    sign_request(&mut sealed, &key(), UNIX);
    assert!(all_pass(&sealed, CLIENT, Transport::Udp));
    // A broken seal is an error like any other.
    let mut broken = sealed.clone();
    let length = broken.len();
    broken[length - 10] ^= 1;
    let mut room = full();
    assert!(room.send(&broken, CLIENT, Transport::Udp, common::NOW).is_some());
    assert!(room.send(&broken, CLIENT, Transport::Udp, common::NOW).is_none());
    // What a NOTIFY is told is no larger than it.
    for _ in 0..5 {
        assert!(room.ask(Query::notify("example.")).is_some());
    }
}

#[test]
fn a_client_with_a_good_cookie_is_known_and_another_is_given_one_in_place_of_data() {
    let mut room = room(1, 2);
    let query = |value: &[u8]| Query::new("a.example.", A).edns(1232, 0, &cookie(value));
    let first = room.ask(query(b"clientck")).unwrap();
    let good = first.option(10).unwrap().to_vec();
    // Dropped, then told; and so is a bad one.
    let bad = [&good[..23], &[!good[23]]].concat();
    for value in [&b"clientck"[..], &bad] {
        assert!(room.ask(query(value)).is_none());
        let reply = room.ask(query(value)).unwrap();
        assert_eq!((reply.rcode, reply.tc, reply.is_bare()), (Rcode::BADCOOKIE, false, true));
        assert_eq!(reply.option(10), Some(&good[..]));
    }
    for _ in 0..9 {
        assert!(room.ask(query(&good)).is_some_and(|reply| reply.answer.len() == 1));
    }
    // It is good at its own address alone.
    let other = query(&good).octets();
    assert!(room.send(&other, "192.0.2.2", Transport::Udp, common::NOW).is_none());
}

#[test]
fn neither_limits_nor_cookies_allocate() {
    let mut room = room(2, 2);
    let query = Query::new("a.example.", A).edns(1232, 0, &cookie(b"clientck")).octets();
    let client = Client { addr: "192.0.2.1:53".parse().unwrap(), transport: Transport::Udp };
    let clock = Clock { boot_ms: common::NOW, unix: UNIX };
    let mut out = Vec::with_capacity(2048);
    let counted = allocation_counter::measure(|| {
        for _ in 0..20 {
            out.clear();
            respond(&query, client, &room.table, clock, &mut room.scratch, &mut out);
        }
    });
    assert_eq!(counted.count_total, 0);
    assert_eq!(room.scratch.take_limited().map(|limited| (limited.dropped, limited.slipped)), Some((9, 9)));
}

#[test]
fn what_was_limited_is_counted_until_it_is_told() {
    let mut room = room(1, 3);
    for _ in 0..8 {
        room.ask(Query::new("a.example.", A));
    }
    let range = "192.0.2.0/24".parse().unwrap();
    assert_eq!(room.scratch.take_limited(), Some(Limited { range, dropped: 5, slipped: 2 }));
    assert_eq!(room.scratch.take_limited(), None);
    // Errors that slip are sent as they are.
    let sent = (0..8).filter(|_| room.ask(Query::new("elsewhere.", A)).is_some()).count();
    let dropped = room.scratch.take_limited().map(|limited| (limited.dropped, limited.slipped));
    assert_eq!((sent, dropped), (3, Some((5, 0))));
    let query = Query::new("a.example.", A).octets();
    for _ in 0..3 {
        room.send(&query, "2001:db8:1:2:3::4", Transport::Udp, common::NOW);
    }
    let range = "2001:db8:1::/56".parse().unwrap();
    assert_eq!(room.scratch.take_limited(), Some(Limited { range, dropped: 2, slipped: 0 }));
}

/// Queries, each with what it is counted as.
const QUERIES: [(&str, RecordType, &str); 8] = [
    ("a.example.", A, "a"),
    ("b.example.", A, "b"),
    ("b.example.", MX, "no data of b"),
    ("x.example.", A, "no name in example"),
    ("y.example.", MX, "no name in example"),
    ("x.w.example.", A, "wildcard"),
    ("nowhere.", A, "error"),
    ("a.example.", RecordType(0), "error"),
];

/// Clients, each with its range.
const CLIENTS: [(&str, &str); 5] = [
    ("192.0.2.1", "one"),
    ("192.0.2.200", "one"),
    ("192.0.3.1", "two"),
    ("2001:db8::1", "three"),
    ("2001:db8:0:ff::1", "three"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// The model keeps what is left of each second in thousandths of an answer.
    #[test]
    fn answers_pass_as_a_plain_count_says(
        rate in prop::sample::select(vec![1u32, 2, 4, 5, 10, 20]),
        slip in 0u8..4,
        steps in prop::collection::vec((0usize..8, 0usize..5, prop_oneof![9 => Just(0u64), 1 => 1u64..1500]), 1..400),
    ) {
        let mut room = room(rate, slip);
        let mut left: HashMap<(&str, &str), (u64, u64, u64)> = HashMap::new();
        let mut now = 1_000_000;
        for (query, client, pause) in steps {
            now += pause;
            let ((name, rtype, what), (address, range)) = (QUERIES[query], CLIENTS[client]);
            let full = u64::from(rate) * 1000;
            let (tokens, since, over) = left.entry((range, what)).or_insert((full, now, 0));
            *tokens = full.min(*tokens + u64::from(rate) * (now - *since));
            *since = now;
            let expected = if *tokens >= 1000 {
                *tokens -= 1000;
                "passes"
            } else {
                *over += 1;
                if slip > 0 && *over % u64::from(slip) == 0 { "slips" } else { "dropped" }
            };
            let reply = room.send(&Query::new(name, rtype).octets(), address, Transport::Udp, now);
            let seen = match reply {
                None => "dropped",
                Some(reply) if reply.tc => "slips",
                // An error that slips cannot be told from one that passes.
                Some(_) if what == "error" && expected == "slips" => "slips",
                Some(_) => "passes",
            };
            prop_assert_eq!(seen, expected, "{} for {} at {}", what, range, now);
        }
    }
}
