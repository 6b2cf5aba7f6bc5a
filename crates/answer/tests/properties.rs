//! What holds for every request: no octets panic, no reply passes its limit, every reply can be read by others, and
//! the answers of small random zones are those of a plain reading of the RFCs.

// Helpers of tests are tests too.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::model::{Line, PARENT, absolute, relative, seen, small_types, small_world, zones};
use common::signer::{Chain, signed};
use common::{Query, World, only, zone};
use proptest::prelude::*;
use secondo_answer::{
    Answered, Arrival, Client, Clock, Limiter, Outcome, RateLimit, Scratch, Transport, respond, respond_each,
};
use secondo_tsig::{Algorithm, Key, sign_request};
use secondo_wire::RecordType;

/// A zone with everything in it.
const MIXED: &str = "a A 192.0.2.1
    a AAAA 2001:db8::1
    * MX 10 a
    c CNAME a
    loop CNAME loop
    d DNAME t
    x.t TXT text
    sub NS ns.sub
    ns.sub A 192.0.2.2
    sub DS -
    deep.er.ent SRV a
    big TXT 0123456789012345678901234567890123456789012345678901234567890123456789";

fn world() -> World {
    let signed = |zone, chain| signed(&zone, &[chain]);
    let mut world = World::new([
        signed(zone("example.", MIXED), Chain::Nsec),
        signed(zone("other.", "b CNAME a.example.\n* CNAME z.d.example."), Chain::nsec3(1, b"", true)),
        zone(".", ""),
    ]);
    world.entry("example.").transfer = only(None, None);
    world.entry("example.").notify = only(None, None);
    world.keys = vec![key()];
    world
}

fn key() -> Key {
    Key::new("k.".parse().unwrap(), Algorithm::HmacSha256, b"0123456789abcdef").unwrap()
}

/// The reply is whole, within its limit and can be read; its length.
fn sound(world: &World, request: &[u8], transport: Transport) {
    let (outcome, out) = world.outcome(request, transport);
    match outcome {
        Outcome::Silence | Outcome::Transfer(_) => assert!(out.is_empty()),
        Outcome::Reply | Outcome::Notify { .. } => {
            // Over UDP a reply without records may repeat what the request held, and no more than a TSIG record.
            let limit = match transport {
                Transport::Udp => usize::from(world.udp_payload).max(request.len() + 128),
                Transport::Tcp | Transport::Tls => 65_535,
            };
            assert!(out.len() <= limit, "{} octets", out.len());
            assert_eq!(out[..2], request[..2]);
            // A name of the question may hold octets that the other library refuses to print, never to read.
            if out.len() > 12 {
                hickory_proto::op::Message::from_vec(&out).unwrap();
            }
        }
    }
}

fn names() -> impl Strategy<Value = String> {
    let label = prop::sample::select(vec![
        "a", "b", "c", "d", "x", "t", "sub", "ns", "ent", "er", "deep", "*", "big", "loop", "Q",
    ]);
    let apex = prop::sample::select(vec!["example.", "other.", ""]);
    (prop::collection::vec(label, 0..4), apex).prop_map(|(labels, apex)| {
        let name = labels.iter().map(|label| format!("{label}.")).collect::<String>() + apex;
        if name.is_empty() { ".".into() } else { name }
    })
}

fn types() -> impl Strategy<Value = RecordType> {
    let known = vec![1, 2, 5, 6, 15, 16, 28, 33, 39, 43, 46, 47, 251, 252, 255];
    prop_oneof![4 => prop::sample::select(known), 1 => any::<u16>()].prop_map(RecordType)
}

fn requests() -> impl Strategy<Value = Vec<u8>> {
    let edns =
        prop::option::of((any::<u16>(), prop::bool::ANY, prop::sample::select(vec![&[][..], &[0, 9, 0, 0]])));
    (names(), types(), edns, 0u8..12, prop::bool::ANY).prop_map(|(name, rtype, edns, kind, sealed)| {
        let soa = [&[0, 0][..], &[0; 20]].concat();
        let query = match kind {
            0 => Query::notify(&name).record(1, &name, RecordType::SOA, 1, &soa),
            1 => Query::new(&name, RecordType::IXFR).record(2, &name, RecordType::SOA, 1, &soa),
            _ => Query::new(&name, rtype),
        };
        let query = match edns {
            Some((payload, dnssec, options)) => query.edns(payload, u32::from(dnssec) << 15, options),
            None => query,
        };
        let mut octets = query.octets();
        if sealed {
            sign_request(&mut octets, &key(), common::UNIX);
        }
        octets
    })
}

fn transports() -> impl Strategy<Value = Transport> {
    prop::sample::select(vec![Transport::Udp, Transport::Tcp, Transport::Tls])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..200), transport in transports()) {
        sound(&world(), &octets, transport);
    }

    #[test]
    fn no_damaged_request_panics(
        mut octets in requests(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        transport in transports(),
    ) {
        for (at, octet) in damage {
            let at = at.index(octets.len());
            octets[at] = octet;
        }
        if let Some(cut) = cut {
            octets.truncate(cut.index(octets.len()));
        }
        sound(&world(), &octets, transport);
    }

    #[test]
    fn requests_that_come_together_are_answered_as_each_by_itself(
        several in prop::collection::vec(
            prop_oneof![6 => requests(), 1 => prop::collection::vec(any::<u8>(), 0..40)],
            0..12,
        ),
        limited: bool,
    ) {
        let mut world = world();
        if limited {
            world.dress = |table| {
                let (slip, exempt) = (2, vec![]);
                let rate = RateLimit { responses_per_second: 1, slip, ipv4_prefix: 24, ipv6_prefix: 56, exempt };
                table.with_limiter(Arc::new(Limiter::new(rate, &[5; 16])))
            };
        }
        let client = Client { addr: world.client, transport: Transport::Tcp };
        let client = |at: usize| Client { transport: if at % 3 == 1 { client.transport } else { Transport::Udp }, ..client };
        let clock = Clock { boot_ms: common::NOW, unix: common::UNIX };
        // Each way with a table of its own: a limiter remembers.
        let (table, mut scratch, mut out) = (world.table(), Scratch::new(), vec![1, 2]);
        let mut expected = Vec::new();
        for (at, request) in several.iter().enumerate() {
            let from = out.len();
            let outcome = respond(request, client(at), &table, clock, &mut scratch, &mut out);
            let refused = scratch.refused().map(|refused| format!("{refused:?}"));
            expected.push((at, format!("{outcome:?}"), from..out.len(), refused));
        }
        let limits = scratch.take_limited();
        let (table, mut scratch, mut together) = (world.table(), Scratch::new(), vec![1, 2]);
        let arrivals = several.iter().enumerate();
        let arrivals = arrivals.map(|(at, request)| Arrival { request, client: client(at), mark: at });
        let mut told = Vec::new();
        respond_each(arrivals, &table, clock, &mut scratch, &mut together, |Arrival { mark, .. }, answered| {
            let Answered { outcome, reply, refused } = answered;
            told.push((mark, format!("{outcome:?}"), reply, refused.map(|refused| format!("{refused:?}"))));
        });
        prop_assert_eq!(told, expected);
        prop_assert_eq!(together, out);
        prop_assert_eq!(scratch.take_limited(), limits);
    }

    #[test]
    fn small_zones_are_answered_as_the_rfcs_read(
        parent in zones(),
        child in prop::option::of(zones()),
        question in relative(),
        qtype in small_types(),
    ) {
        let (world, model) = small_world(&parent, child.as_deref(), &[]);
        let name = absolute(&question, PARENT);
        let reply = world.ask_tcp(Query::new(&name, qtype));
        prop_assert_eq!(seen(&reply), model.answer(&name, qtype, false), "{} {}", name, qtype);
    }

    #[test]
    fn a_datagram_says_the_same_as_a_stream_or_that_something_is_missing(
        parent in zones(),
        padding in 0usize..60,
        payload in prop::option::of(400u16..1500),
        question in relative(),
        qtype in small_types(),
    ) {
        let padded = (0..padding).map(|n| ("a.b".to_string(), RecordType::A, format!("10.0.0.{n}")));
        let records: Vec<Line> = parent.iter().cloned().chain(padded).collect();
        let aliased = |line: &Line| line.0 == "a.b" && line.1 == RecordType::CNAME;
        prop_assume!(!parent.iter().any(aliased));
        let (world, _) = small_world(&records, None, &[]);
        let query = Query::new(&absolute(&question, PARENT), qtype);
        let query = payload.map_or(query.clone(), |payload| query.edns(payload, 0, &[]));
        let (datagram, stream) = (world.ask(query.clone()), world.ask_tcp(query));
        let limit = payload.map_or(512, |payload| usize::from(payload).clamp(512, 1232));
        prop_assert!(datagram.octets.len() <= limit && !stream.tc);
        prop_assert_eq!((datagram.rcode, datagram.aa), (stream.rcode, stream.aa));
        match datagram.tc {
            true => prop_assert!(stream.octets.len() > limit),
            false => prop_assert_eq!(datagram.summary(), stream.summary()),
        }
        prop_assert!(datagram.additional.iter().all(|line| stream.additional.contains(line)));
    }
}
