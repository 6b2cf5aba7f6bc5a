//! Answers that are not whole by fault of their zone are counted, each once, under that zone's name, and no others.

// Helpers of tests are tests too.
#![allow(clippy::unwrap_used)]

mod common;

use common::signer::{Chain, signed};
use common::{Query, World, zone};
use secondo_answer::{Flawed, Scratch, Transport};
use secondo_wire::{Name, NameBuf, RecordType};
use secondo_zone::{BorderSecret, Builder, Limits, Node, Zone};

const A: RecordType = RecordType::A;
const TEXT: &str = "a A 192.0.2.1\n*.w A 192.0.2.2\nx.y A 192.0.2.3\nsub NS ns.sub\nc CNAME gone.other.";

/// The zone with those nodes' RRsets of these types alone that are `kept`.
fn only(zone: &Zone, kept: impl Fn(&Node<'_>, RecordType) -> bool) -> Zone {
    with_only(zone, kept).finish().unwrap().zone
}

/// The same, to be added to.
fn with_only(zone: &Zone, kept: impl Fn(&Node<'_>, RecordType) -> bool) -> Builder {
    let mut builder = Builder::new(zone.apex().clone(), &BorderSecret::new([5; 16]), Limits::default());
    let mut name = NameBuf::new();
    for node in zone.nodes() {
        node.name_into(&mut name);
        for set in node.rrsets().filter(|set| kept(&node, set.rtype())) {
            let mut put = |rdata| builder.push(name.as_ref(), set.rtype(), set.ttl(), rdata).unwrap();
            set.rdatas().for_each(&mut put);
        }
    }
    builder
}

fn counted(world: &World, query: Query, transport: Transport) -> Option<(String, [u64; 4])> {
    let mut scratch = Scratch::new();
    world.outcome_in(&query.octets(), transport, &mut scratch);
    let flawed = scratch.take_flawed();
    assert_eq!(scratch.take_flawed(), None, "taken is taken");
    flawed.map(|Flawed { zone, counts }| (zone.to_string(), counts))
}

fn flaw(zone: &str, counts: [u64; 4]) -> Option<(String, [u64; 4])> {
    Some((zone.into(), counts))
}

#[test]
fn an_answer_without_the_proof_that_was_wanted_counts_once_and_one_that_wants_none_does_not() {
    for chain in [Chain::Nsec, Chain::nsec3(1, b"s", false)] {
        let whole = signed(&zone("example.", TEXT), std::slice::from_ref(&chain));
        let chainless = only(&whole, |node, rtype| {
            let proof = matches!(rtype, RecordType::NSEC | RecordType::NSEC3);
            // The apex still tells that there is a chain.
            !proof || node.depth() == 0
        });
        let other = signed(&zone("other.", "b A 192.0.2.9"), &[chain]);
        let (whole, broken) = (World::new([whole, other.clone()]), World::new([chainless, other]));
        let negative = ["gone.a.example.", "y.example.", "q.w.example.", "b.sub.example."];
        for name in negative {
            for (size, transport) in [(1232, Transport::Udp), (512, Transport::Udp), (512, Transport::Tcp)] {
                let wanted = || Query::new(name, A).edns(size, 0x8000, &[]);
                assert_eq!(counted(&whole, wanted(), transport), None, "{name}");
                assert_eq!(counted(&broken, wanted(), transport), flaw("example.", [1, 0, 0, 0]), "{name}");
                assert_eq!(counted(&broken, Query::new(name, A), transport), None, "{name}");
            }
        }
        assert_eq!(counted(&broken, Query::new("a.example.", A).dnssec(), Transport::Udp), None);
        // Nothing is missing where the chain of aliases goes on.
        assert_eq!(counted(&broken, Query::new("c.example.", A).dnssec(), Transport::Udp), None);
    }
    // A zone that nobody signed proves nothing.
    let plain = World::new([zone("example.", TEXT)]);
    assert_eq!(counted(&plain, Query::new("gone.example.", A).dnssec(), Transport::Udp), None);
    // One that was signed and has no chain should.
    let signed = signed(&zone("example.", TEXT), &[Chain::Nsec]);
    let world = World::new([only(&signed, |_, rtype| rtype != RecordType::NSEC)]);
    assert_eq!(
        counted(&world, Query::new("gone.example.", A).dnssec(), Transport::Udp),
        flaw("example.", [1, 0, 0, 0])
    );
}

#[test]
fn a_chain_of_too_many_iterations_is_counted_and_under_the_zone_that_has_it() {
    let first = signed(&zone("example.", TEXT), &[Chain::nsec3(2, b"", false)]);
    let mut world = World::new([first, signed(&zone("other.", ""), &[Chain::nsec3(3, b"", false)])]);
    let wanted = |name: &str| Query::new(name, A).dnssec();
    world.dress = |table| table.with_nsec3_iterations(3);
    assert_eq!(counted(&world, wanted("c.example."), Transport::Udp), None);
    world.dress = |table| table.with_nsec3_iterations(2);
    assert_eq!(counted(&world, wanted("gone.example."), Transport::Udp), None);
    assert_eq!(counted(&world, wanted("c.example."), Transport::Udp), flaw("other.", [0, 1, 0, 0]));
    assert_eq!(counted(&world, wanted("gone.other."), Transport::Udp), flaw("other.", [0, 1, 0, 0]));
}

#[test]
fn a_proof_by_nsec3_that_says_nothing_of_the_wildcard_counts_as_none() {
    let chain = |opt_out| [Chain::nsec3(1, b"s", opt_out)];
    let asked = |world: &World, name: &str| counted(world, Query::new(name, A).dnssec(), Transport::Udp);
    // The one speaks of a wildcard that is gone, in the other its record is.
    let with = signed(&zone("example.", "a A 192.0.2.1\nx.w A 192.0.2.2\n*.w TXT t\n* TXT t"), &chain(false));
    let without = signed(&zone("example.", "a A 192.0.2.1\nx.w A 192.0.2.2"), &chain(false));
    let gone = |node: &Node<'_>| {
        let mut name = NameBuf::new();
        node.name_into(&mut name);
        name.as_ref().to_string().starts_with("*.")
    };
    let stale = World::new([only(&with, |node, _| !gone(node))]);
    for name in ["q.w.example.", "q.example."] {
        assert_eq!(asked(&World::new([with.clone()]), name), None);
        assert_eq!(asked(&World::new([without.clone()]), name), None);
        assert_eq!(asked(&stale, name), flaw("example.", [1, 0, 0, 0]), "{name}");
    }
    let mut builder = with_only(&without, |_, _| true);
    let wildcard = "*.w.example.".parse::<Name>().unwrap();
    builder.push(wildcard.as_ref(), RecordType::TXT, 60, b"\x01t").unwrap();
    let lacking = World::new([builder.finish().unwrap().zone]);
    assert_eq!(asked(&lacking, "q.w.example."), flaw("example.", [1, 0, 0, 0]));
    // Where only an opt-out says so, a wildcard above cuts alone is rightly not in the chain.
    let hidden = zone("example.", "x.w A 192.0.2.2\nsub.*.w NS ns.elsewhere.");
    assert_eq!(asked(&World::new([signed(&hidden, &chain(true))]), "q.w.example."), None);
    assert_eq!(asked(&World::new([signed(&hidden, &chain(false))]), "q.w.example."), None);
}

#[test]
fn the_hash_of_another_and_what_no_message_has_room_for_are_counted_apart() {
    let text: String = (0..300).map(|n| format!("huge TXT {n:0>250}\n")).collect();
    let whole =
        signed(&zone("example.", &format!("{text}ghost A 192.0.2.1")), &[Chain::nsec3(1, b"s", false)]);
    let mut name = NameBuf::new();
    let world = World::new([only(&whole, |node, _| {
        let mut name = name.clone();
        node.name_into(&mut name);
        name.as_ref().to_string() != "ghost.example."
    })]);
    name.set(whole.apex().as_ref());
    let mut scratch = Scratch::new();
    let mut ask = |query: Query, transport| {
        world.outcome_in(&query.octets(), transport, &mut scratch);
    };
    for _ in 0..3 {
        ask(Query::new("ghost.example.", A).dnssec(), Transport::Udp);
    }
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        ask(Query::new("huge.example.", RecordType::TXT), transport);
    }
    let [unproved, _, collided, too_large] = scratch.take_flawed().unwrap().counts;
    assert_eq!((unproved, collided, too_large), (0, 3, 2), "over UDP there is TC");
}
