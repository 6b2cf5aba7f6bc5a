//! What holds for every request: no octets panic, no reply passes its limit, every reply can be read by others, and
//! the answers of small random zones are those of a plain reading of the RFCs.

// Helpers of tests are tests too.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::{Query, Reply, World, only, zone};
use proptest::prelude::*;
use secondo_answer::{Outcome, Transport};
use secondo_tsig::{Algorithm, Key, sign_request};
use secondo_wire::RecordType;

/// A zone with everything in it.
const MIXED: &str = "a A 192.0.2.1
    a AAAA 2001:db8::1
    a RRSIG A
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
    let mut world =
        World::new([zone("example.", MIXED), zone("other.", "b CNAME a.example."), zone(".", "")]);
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
                Transport::Tcp => 65_535,
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..200), tcp in prop::bool::ANY) {
        sound(&world(), &octets, if tcp { Transport::Tcp } else { Transport::Udp });
    }

    #[test]
    fn no_damaged_request_panics(
        mut octets in requests(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        tcp in prop::bool::ANY,
    ) {
        for (at, octet) in damage {
            let at = at.index(octets.len());
            octets[at] = octet;
        }
        if let Some(cut) = cut {
            octets.truncate(cut.index(octets.len()));
        }
        sound(&world(), &octets, if tcp { Transport::Tcp } else { Transport::Udp });
    }

    #[test]
    fn small_zones_are_answered_as_the_rfcs_read(
        parent in zones(),
        child in prop::option::of(zones()),
        question in relative(),
        qtype in small_types(),
    ) {
        let (world, model) = small_world(&parent, child.as_deref());
        let name = absolute(&question, PARENT);
        let reply = world.ask_tcp(Query::new(&name, qtype));
        prop_assert_eq!(seen(&reply), model.answer(&name, qtype), "{} {}", name, qtype);
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
        let (world, _) = small_world(&records, None);
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

const PARENT: &str = "example.";
const CHILD: &str = "b.example.";

/// Two zones, one below the other, to be asked and to be read.
fn small_world(parent: &[Line], child: Option<&[Line]>) -> (World, Model) {
    let zones = [(PARENT, Some(parent)), (CHILD, child)];
    let zones = zones.into_iter().filter_map(|(apex, lines)| Some((apex, lines?)));
    let text = |lines: &[Line]| -> String {
        lines.iter().map(|(owner, rtype, data)| format!("{owner} {rtype} {data}\n")).collect()
    };
    let world = World::new(zones.clone().map(|(apex, lines)| zone(apex, &text(lines))));
    (world, Model(zones.map(|(apex, lines)| (apex, read(apex, lines))).collect()))
}

/// Names of up to three labels, relative to the apex.
fn relative() -> impl Strategy<Value = String> {
    let label = prop::sample::select(vec!["a", "b", "c", "*"]);
    prop::collection::vec(label, 0..4)
        .prop_map(|labels| if labels.is_empty() { "@".into() } else { labels.join(".") })
}

fn small_types() -> impl Strategy<Value = RecordType> {
    use RecordType as T;
    prop::sample::select(vec![T::A, T::TXT, T::NS, T::CNAME, T::DNAME, T::DS, T::SOA])
}

type Line = (String, RecordType, String);

/// Small zones with cuts, wildcards, empty non-terminals, aliases and redirections. An owner of CNAME holds nothing
/// else (RFC 2181 §10.1), and types with one record an owner have one.
fn zones() -> impl Strategy<Value = Vec<Line>> {
    use RecordType as T;
    let data = prop_oneof![
        4 => Just((T::A, None)),
        2 => Just((T::TXT, None)),
        2 => relative().prop_map(|name| (T::NS, Some(name))),
        2 => relative().prop_map(|name| (T::CNAME, Some(name))),
        1 => relative().prop_map(|name| (T::DNAME, Some(name))),
        1 => Just((T::DS, None)),
    ];
    prop::collection::vec((relative(), data), 0..10).prop_map(|lines| {
        let mut kept: Vec<Line> = Vec::new();
        for (owner, (rtype, target)) in lines {
            let here = |kept: &[Line], rtype: Option<T>| {
                kept.iter().any(|line| line.0 == owner && rtype.is_none_or(|rtype| line.1 == rtype))
            };
            let alone = owner == "@" || here(&kept, None);
            let taken = here(&kept, Some(rtype)) || here(&kept, Some(T::CNAME));
            if taken || (rtype == T::CNAME && alone) || (owner == "@" && matches!(rtype, T::NS | T::DS)) {
                continue;
            }
            let data = match (rtype, target) {
                (_, Some(name)) => absolute(&name, PARENT),
                (T::A, _) => "192.0.2.1".into(),
                _ => "t".into(),
            };
            kept.push((owner, rtype, data));
        }
        kept
    })
}

fn absolute(relative: &str, apex: &str) -> String {
    if relative == "@" { apex.into() } else { format!("{relative}.{apex}") }
}

/// What matters of a reply: code, AA, the answer as (owner, type) in order, the authority as (owner, type), sorted.
type Seen = (u16, bool, Vec<(String, String)>, Vec<(String, String)>);

fn seen(reply: &Reply) -> Seen {
    let pairs = |lines: &[String]| {
        let pair = |line: &String| {
            let mut words = line.split(' ');
            (words.next().unwrap().to_string(), words.nth(1).unwrap().to_string())
        };
        lines.iter().map(pair).collect::<Vec<_>>()
    };
    let mut authority = pairs(&reply.authority);
    authority.sort();
    (reply.rcode.0, reply.aa, pairs(&reply.answer), authority)
}

/// Names to types to data.
type Map = BTreeMap<String, BTreeMap<RecordType, String>>;

fn read(apex: &str, records: &[Line]) -> Map {
    let mut map = Map::new();
    let top = map.entry(apex.to_string()).or_default();
    top.insert(RecordType::SOA, String::new());
    top.insert(RecordType::NS, String::new());
    for (owner, rtype, data) in records {
        map.entry(absolute(owner, apex)).or_default().insert(*rtype, data.clone());
    }
    map
}

/// Zones with their apexes, read by the letter: every step asks the whole map.
struct Model(Vec<(&'static str, Map)>);

fn is_at_or_below(name: &str, ancestor: &str) -> bool {
    name == ancestor || name.ends_with(&format!(".{ancestor}"))
}

fn pair(name: &str, rtype: &str) -> (String, String) {
    (name.to_string(), rtype.to_string())
}

impl Model {
    /// RFC 1034 §4.3.2 step 2, with RFC 4035 §3.1.4.1 for DS.
    fn zone(&self, name: &str, qtype: RecordType) -> Option<&(&'static str, Map)> {
        let above = |apex: &str| qtype != RecordType::DS || name != apex || apex == PARENT;
        let all = self.0.iter().filter(|(apex, _)| is_at_or_below(name, apex) && above(apex));
        all.max_by_key(|(apex, _)| apex.len())
    }

    fn answer(&self, question: &str, qtype: RecordType) -> Seen {
        let (mut answer, mut name, mut seen) = (Vec::new(), question.to_string(), Vec::new());
        let mut aa = true;
        loop {
            let closed = seen.contains(&name) || seen.len() > secondo_answer::bounds::CHAIN_LENGTH - 1;
            let Some((apex, map)) = self.zone(&name, qtype).filter(|_| !closed) else {
                return (0, aa, answer, vec![]);
            };
            seen.push(name.clone());
            let has = |name: &str, rtype| map.get(name).is_some_and(|types| types.contains_key(&rtype));
            // RFC 4592 §2.2.2: a name exists when it, or a name below it, has records.
            let exists = |name: &str| map.keys().any(|owner| is_at_or_below(owner, name));
            let soa = || vec![pair(apex, "SOA")];
            // From the apex down: the ancestors of the name, and the name itself as a cut.
            let labels: Vec<&str> = name.strip_suffix(apex).unwrap().split_terminator('.').collect();
            let nodes = (0..=labels.len()).rev().map(|from| {
                labels[from..].iter().map(|label| format!("{label}.")).collect::<String>() + apex
            });
            let mut diverted = None;
            for node in nodes {
                let cut = node != *apex && has(&node, RecordType::NS);
                if cut && !(node == name && qtype == RecordType::DS) {
                    aa &= seen.len() > 1;
                    return (0, aa, answer, vec![pair(&node, "NS")]);
                }
                if node != name && has(&node, RecordType::DNAME) {
                    diverted = Some(node);
                    break;
                }
            }
            if let Some(owner) = diverted {
                if !answer.contains(&pair(&owner, "DNAME")) {
                    answer.push(pair(&owner, "DNAME"));
                }
                answer.push(pair(&name, "CNAME"));
                if qtype == RecordType::CNAME {
                    return (0, aa, answer, vec![]);
                }
                let head = name.strip_suffix(&owner).unwrap().to_string();
                name = head + &map[&owner][&RecordType::DNAME];
                continue;
            }
            let source = if exists(&name) {
                name.clone()
            } else {
                let mut encloser = name.clone();
                while !exists(&encloser) {
                    encloser = encloser.split_once('.').unwrap().1.to_string();
                }
                let wildcard = format!("*.{encloser}");
                if !exists(&wildcard) {
                    return (3, aa, answer, soa());
                }
                wildcard
            };
            if has(&source, qtype) {
                answer.push(pair(&name, &qtype.to_string()));
                return (0, aa, answer, vec![]);
            }
            if !has(&source, RecordType::CNAME) {
                return (0, aa, answer, soa());
            }
            answer.push(pair(&name, "CNAME"));
            name = map[&source][&RecordType::CNAME].clone();
        }
    }
}
