//! The dearest requests there are cost what `bounds` says: they allocate nothing, and what they are answered with is counted.

// Helpers of tests are tests too.
#![allow(clippy::unwrap_used)]

mod common;

use common::signer::{Chain, signed};
use common::{NOW, Query, Reply, UNIX, World, zone};
use secondo_answer::bounds::{ADDITIONAL_NAMES, CHAIN_LENGTH, NSEC3_ITERATIONS, REQUEST_RECORDS};
use secondo_answer::{Client, Clock, Scratch, Transport, respond};
use secondo_wire::{Name, Rcode, RecordType};
use secondo_zone::{Limits, Patch, Zone};

const A: RecordType = RecordType::A;

/// The reply, made without an allocation by a thread that has answered before.
fn free_of_charge(world: &World, request: &[u8], transport: Transport) -> Reply {
    counted(world, request, transport).0
}

/// What was looked for to make a reply: keys in zones, and hashes of names.
#[derive(Debug)]
struct Cost {
    searches: u64,
    hashes: u64,
}

impl Cost {
    /// What this thread has looked for since it was last asked.
    #[cfg(debug_assertions)]
    fn take() -> Cost {
        Cost { searches: secondo_zone::take_searches(), hashes: secondo_answer::bounds::take_hashes() }
    }

    #[cfg(not(debug_assertions))]
    fn take() -> Cost {
        Cost { searches: 0, hashes: 0 }
    }
}

/// The same with what it cost; all of it is zero in builds that do not count.
fn counted(world: &World, request: &[u8], transport: Transport) -> (Reply, Cost) {
    let (table, mut scratch, mut out) = (world.table(), Scratch::new(), Vec::with_capacity(65_535));
    let (client, clock) = (Client { addr: world.client, transport }, Clock { boot_ms: NOW, unix: UNIX });
    respond(request, client, &table, clock, &mut scratch, &mut out);
    out.clear();
    let _before = Cost::take();
    let allocations = allocation_counter::measure(|| {
        respond(request, client, &table, clock, &mut scratch, &mut out);
    });
    let cost = Cost::take();
    assert_eq!(allocations.count_total, 0);
    assert_eq!(cost.searches > 0, cfg!(debug_assertions), "what is looked for is counted");
    (Reply::read(out), cost)
}

fn owners(lines: &[String]) -> usize {
    let mut owners: Vec<&str> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
    owners.sort_unstable();
    owners.dedup();
    owners.len()
}

/// The longest name there is has 127 labels; each of its ancestors may be there, and may have to be hashed.
#[test]
fn the_deepest_name_is_denied_by_three_records_however_long_its_hashes_take() {
    let deep = format!("{}x", "x.".repeat(121));
    for iterations in [0, NSEC3_ITERATIONS] {
        let chain = Chain::nsec3(iterations, &[7; 40], false);
        let world = World::new([signed(&zone("example.", &format!("{deep} A 192.0.2.1")), &[chain])]);
        for name in [format!("y.{}example.", "x.".repeat(121)), format!("{}example.", "y.".repeat(122))] {
            let reply = free_of_charge(&world, &Query::new(&name, A).dnssec().octets(), Transport::Udp);
            assert_eq!(reply.rcode, Rcode::NXDOMAIN);
            assert!(reply.authority.iter().filter(|line| line.contains(" NSEC3 ")).count() <= 3);
        }
    }
    // More iterations than that are not reckoned with: one record that tells of them.
    let chain = Chain::nsec3(NSEC3_ITERATIONS + 1, b"", false);
    let world = World::new([signed(&zone("example.", &format!("{deep} A 192.0.2.1")), &[chain])]);
    let reply = free_of_charge(&world, &Query::new("y.example.", A).dnssec().octets(), Transport::Udp);
    assert_eq!(reply.authority.iter().filter(|line| line.contains(" NSEC3 ")).count(), 1);
}

#[test]
fn a_chain_ends_where_it_is_long_whatever_its_links_are() {
    let links = 2 * CHAIN_LENGTH;
    // From a wildcard each, so that each is proved; from zone to zone; by a DNAME each; by one that leads to itself.
    let wildcards: String = (0..links).map(|n| format!("*.w{n} CNAME a.w{}\n", n + 1)).collect();
    let dnames: String = (0..links).map(|n| format!("d{n} DNAME d{}\n", n + 1)).collect();
    let text = format!("{wildcards}{dnames}into DNAME into.into\n*.out CNAME a.z0.");
    let chain = Chain::nsec3(NSEC3_ITERATIONS, b"salt", false);
    let mut zones = vec![signed(&zone("example.", &text), std::slice::from_ref(&chain))];
    zones.extend((0..links).map(|n| {
        let text = format!("* CNAME a.z{}.", n + 1);
        signed(&zone(&format!("z{n}."), &text), std::slice::from_ref(&chain))
    }));
    let world = World::new(zones);
    for (name, records) in [("a.w0", 1), ("a.out", 1), ("a.d0", 2), ("a.into", 2)] {
        let query = Query::new(&format!("{name}.example."), A);
        let reply = free_of_charge(&world, &query.clone().octets(), Transport::Tcp);
        assert!(reply.answer.len() <= records * CHAIN_LENGTH && reply.answer.len() >= CHAIN_LENGTH, "{name}");
        let proved = free_of_charge(&world, &query.dnssec().octets(), Transport::Tcp);
        let proofs = proved.authority.iter().filter(|line| line.contains(" NSEC3 ")).count();
        assert!(proofs <= CHAIN_LENGTH + 3, "{name}: {proofs}");
    }
}

#[test]
fn no_more_addresses_are_looked_for_than_are_wanted_or_fit() {
    let many = |owner: &str, rtype: &str, below: &str| -> String {
        (0..400).map(|n| format!("{owner} {rtype} n{n}.{below}\nn{n}.{below} A 192.0.2.1\n")).collect()
    };
    let text = many("service", "SRV", "a") + &many("beside", "NS", "b") + &many("inside", "NS", "inside");
    let world = World::new([zone("example.", &text)]);
    // Of servers at the cut or below it each is wanted, and stands in a record that fitted.
    for (name, beside) in [("service", ADDITIONAL_NAMES), ("beside", ADDITIONAL_NAMES), ("inside", 400)] {
        let query = || Query::new(&format!("{name}.example."), RecordType::SRV);
        let reply = free_of_charge(&world, &query().octets(), Transport::Tcp);
        assert_eq!(reply.answer.len() + reply.authority.len(), 400, "{name}");
        assert_eq!(owners(&reply.additional), beside, "{name}");
        let datagram = free_of_charge(&world, &query().dnssec().octets(), Transport::Udp);
        assert!(datagram.tc && datagram.octets.len() <= 1232);
    }
}

#[test]
fn a_name_below_a_hundred_zones_is_looked_up_in_one() {
    let apex = |depth: usize| format!("{}example.", "x.".repeat(depth));
    let world = World::new((0..100).map(|depth| zone(&apex(depth), "")));
    let reply = free_of_charge(&world, &Query::new(&apex(122), A).dnssec().octets(), Transport::Udp);
    assert_eq!(reply.rcode, Rcode::NXDOMAIN);
    assert!(reply.authority[0].to_ascii_lowercase().starts_with(&apex(99)));
    // For DS of an apex the zone above answers.
    let reply = free_of_charge(&world, &Query::new(&apex(99), RecordType::DS).octets(), Transport::Udp);
    assert!(reply.authority[0].starts_with(&apex(98)), "{:?}", reply.authority);
}

/// What a request holds beside its question is walked once, and not at all when there is too much of it.
#[test]
fn a_request_as_large_as_can_be_is_walked_once() {
    let world = World::new([zone("example.", "a A 192.0.2.1")]);
    let ask = || Query::new("a.example.", A);
    let crowd = (0..REQUEST_RECORDS + 1).fold(ask(), |query, _| query.record(3, ".", A, 1, &[0; 1900]));
    let opts = (0..16).fold(ask(), |query, _| query.edns(1232, 0, &[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]));
    for query in [crowd, opts] {
        let reply = free_of_charge(&world, &query.octets(), Transport::Tcp);
        assert!(reply.rcode == Rcode::FORMERR && reply.is_bare());
    }
    // Sixteen thousand options in one record: of each kind the first counts.
    let options = [0, 3, 0, 0].repeat(16_000);
    let reply = free_of_charge(&world, &ask().edns(1232, 0, &options).octets(), Transport::Tcp);
    assert_eq!((reply.rcode, reply.answer.len()), (Rcode::NOERROR, 1));
    // Octets behind the last record that is counted are nobody's.
    let mut padded = ask().octets();
    padded.resize(65_535, 0xC0);
    assert_eq!(free_of_charge(&world, &padded, Transport::Tcp).answer.len(), 1);
}

/// A zone with an address added that its chains know nothing of.
fn with_stranger(zone: &Zone, owner: &str) -> Zone {
    let mut patch = Patch::new(zone, Limits::default());
    patch.add(owner.parse::<Name>().unwrap().as_ref(), A, 300, &[192, 0, 2, 1]).unwrap();
    patch.finish().unwrap().zone
}

/// Labels of the deepest name below `example.`.
const DEPTH: u64 = 122;

#[test]
fn a_name_that_is_not_there_costs_few_searches_and_hashes_however_deep_it_is() {
    let deep = "x.".repeat(DEPTH as usize - 1);
    let (below, above) = (format!("y.{deep}example."), "y.example.".to_string());
    let text = format!("{deep}x A 192.0.2.1\n*.w A 192.0.2.1");
    let ask = |zone: &Zone, name: &str| {
        let query = Query::new(name, A).dnssec().octets();
        let (reply, cost) = counted(&World::new([zone.clone()]), &query, Transport::Udp);
        assert_eq!(reply.rcode, Rcode::NXDOMAIN, "{name}");
        cost
    };
    let plain = zone("example.", &text);
    for iterations in [0, NSEC3_ITERATIONS] {
        let each = 1 + u64::from(iterations);
        let whole = signed(&plain, &[Chain::nsec3(iterations, b"salt", false)]);
        // The name and its wildcard; right below the apex one hash, approached and found, elsewhere three.
        let cost = ask(&whole, &above);
        assert!(cost.searches <= 2 + 2 && cost.hashes <= each, "{cost:?}");
        let cost = ask(&whole, &below);
        assert!(cost.searches <= 2 + 4 && cost.hashes <= 3 * each, "{cost:?}");
        // Where the chain does not know what is there each ancestor is hashed.
        let shallow =
            signed(&zone("example.", "*.w A 192.0.2.1"), &[Chain::nsec3(iterations, b"salt", false)]);
        let cost = ask(&with_stranger(&shallow, &format!("{deep}x.example.")), &below);
        assert!(cost.searches <= 2 * (DEPTH + 2) && cost.hashes <= (DEPTH + 2) * each, "{cost:?}");
        assert!(!cfg!(debug_assertions) || cost.hashes > DEPTH / 2 * each, "it is the dear case: {cost:?}");
    }
    let nsec = signed(&plain, &[Chain::Nsec]);
    for name in [&above, &below] {
        let cost = ask(&nsec, name);
        assert!(cost.searches <= 2 + 1 && cost.hashes == 0, "{cost:?}");
    }
}

#[test]
fn a_proof_that_does_not_fit_is_hashed_for_no_more_often() {
    let deep = "x.".repeat(DEPTH as usize - 1);
    let name = format!("y.{deep}example.");
    let chain = Chain::nsec3(NSEC3_ITERATIONS, b"salt", false);
    let shallow = signed(&zone("example.", "*.w A 192.0.2.1"), &[chain]);
    let world = World::new([with_stranger(&shallow, &format!("{deep}x.example."))]);
    let [large, small] = [1232, 512].map(|room| {
        let query = Query::new(&name, A).edns(room, 0x8000, &[]).octets();
        let (reply, cost) = counted(&world, &query, Transport::Udp);
        assert_eq!(reply.tc, room == 512, "{room}");
        cost
    });
    assert!(small.hashes <= large.hashes, "{small:?}, where it fits {large:?}");
    assert!(small.searches <= large.searches + 4, "{small:?}, where it fits {large:?}");
}

#[test]
fn an_ancestor_is_looked_for_once_where_cuts_can_be() {
    // A cut at each depth, none above the name.
    let depth = DEPTH - 4;
    let up = |labels: u64| "x.".repeat(labels as usize);
    let cuts: String = (0..depth).map(|above| format!("cut.{}ns NS ns\n", up(above))).collect();
    let deep = format!("{}ns", up(depth));
    let world = World::new([zone("example.", &format!("{cuts}{deep} A 192.0.2.1"))]);
    let query = |name: &str| Query::new(&format!("{name}.example."), A).dnssec().octets();
    let (reply, cost) = counted(&world, &query(&deep), Transport::Udp);
    assert_eq!(reply.answer.len(), 1);
    assert!(cost.searches <= 1 + depth && cost.hashes == 0, "{cost:?}");
    assert!(!cfg!(debug_assertions) || cost.searches > depth / 2, "it is the dear case: {cost:?}");
}

#[test]
fn each_link_of_a_chain_costs_the_same() {
    let links = 2 * CHAIN_LENGTH;
    let text: String = (0..links).map(|n| format!("*.w{n} CNAME a.w{}\n", n + 1)).collect();
    let chain = Chain::nsec3(NSEC3_ITERATIONS, b"salt", false);
    let world = World::new([signed(&zone("example.", &text), &[chain])]);
    let query = Query::new("a.w0.example.", A).dnssec().octets();
    let (_, cost) = counted(&world, &query, Transport::Tcp);
    // The name, its wildcard; its proof, approached and found, with one hash.
    let (links, each) = (CHAIN_LENGTH as u64 + 1, 1 + u64::from(NSEC3_ITERATIONS));
    assert!(cost.searches <= 4 * links && cost.hashes <= links * each, "{cost:?}");
}

#[test]
fn each_server_that_fits_the_message_is_looked_for_once() {
    let text: String = (0..400)
        .map(|n| format!("in NS n{n}.in\nn{n}.in A 192.0.2.1\nby NS n{n}.x\nn{n}.x A 192.0.2.1\n"))
        .collect();
    let world = World::new([zone("example.", &text)]);
    for (name, servers) in [("in", 400), ("by", ADDITIONAL_NAMES as u64)] {
        let query = Query::new(&format!("{name}.example."), A).octets();
        let (reply, cost) = counted(&world, &query, Transport::Tcp);
        assert_eq!(reply.authority.len(), 400);
        // The name; of a server beside the cut its ancestors too.
        assert!(cost.searches <= 1 + 2 * servers, "{name}: {cost:?}");
    }
}
