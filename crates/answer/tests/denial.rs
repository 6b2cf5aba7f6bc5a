//! Denials in the corners: names hidden below cuts, chains of aliases, zones in transition, zones that are broken.

// Helpers of tests are tests too.
#![allow(clippy::unwrap_used)]

mod common;

use common::signer::{Chain, hashed_owner, nsec3_hash, signed};
use common::validator::{fault, records, shown};
use common::{Query, Reply, World, zone};
use secondo_wire::{Name, Rcode, RecordType, Section};
use secondo_zone::{BorderSecret, Builder, Limits, Zone};

const A: RecordType = RecordType::A;

/// Asks for DNSSEC; the reply is a validator's to judge.
fn ask(world: &World, name: &str, qtype: RecordType) -> Reply {
    let reply = world.ask(Query::new(name, qtype).dnssec());
    assert_eq!(fault(&reply, name, qtype), Ok(()), "{name} {qtype}");
    reply
}

fn nsec(text: &str) -> World {
    World::new([signed(&zone("example.", text), &[Chain::Nsec])])
}

fn nsec3(text: &str, opt_out: bool) -> World {
    World::new([signed(&zone("example.", text), &[Chain::nsec3(1, b"s", opt_out)])])
}

/// The owner in a chain of one iteration and the salt "s".
fn hashed(name: &str) -> String {
    let name: Name = name.parse().unwrap();
    format!("{} NSEC3", hashed_owner(&nsec3_hash(&name, b"s", 1), &"example.".parse().unwrap()))
}

/// A copy of the zone that leaves records out.
fn without(zone: &Zone, out: impl Fn(&Name, RecordType) -> bool) -> Zone {
    altered(zone, out, None)
}

/// A copy of the zone that leaves records out and has one more at the apex.
fn altered(zone: &Zone, out: impl Fn(&Name, RecordType) -> bool, more: Option<(RecordType, &[u8])>) -> Zone {
    let mut builder = Builder::new(zone.apex().clone(), &BorderSecret::new([5; 16]), Limits::default());
    let mut name = secondo_wire::NameBuf::new();
    for node in zone.nodes() {
        node.name_into(&mut name);
        for set in node.rrsets().filter(|set| !out(&name.as_ref().to_owned(), set.rtype())) {
            for rdata in set.rdatas() {
                builder.push(name.as_ref(), set.rtype(), set.ttl(), rdata).unwrap();
            }
        }
    }
    if let Some((rtype, rdata)) = more {
        builder.push(zone.apex().as_ref(), rtype, 0, rdata).unwrap();
    }
    builder.finish().unwrap().zone
}

#[test]
fn the_nsec_before_hidden_names_is_at_the_topmost_cut() {
    let world = nsec(
        "b NS ns.b\nns.b A 192.0.2.1\nz.y.x.b A 192.0.2.2\nx.b NS ns.b
         d DNAME t\nz.d A 192.0.2.3\nz A 192.0.2.4",
    );
    let soa = "example. SOA";
    let reply = ask(&world, "c.example.", A);
    assert_eq!(shown(&reply), ["b.example. NSEC d.example.", "example. NSEC b.example.", soa]);
    let reply = ask(&world, "e.example.", A);
    assert_eq!(shown(&reply), ["d.example. NSEC z.example.", "example. NSEC b.example.", soa]);
    // The cut itself, and what lies below it, are referred.
    let reply = ask(&world, "q.y.x.b.example.", A);
    assert_eq!(shown(&reply), ["b.example. NS", "b.example. NSEC d.example."]);
    // A wildcard that would be behind a cut's glue in canonical order.
    let world = nsec("w A 192.0.2.1\n\\041.w NS ns.\\041.w\nns.\\041.w A 192.0.2.2\nzz.w A 192.0.2.3");
    let reply = ask(&world, "x.w.example.", A);
    assert_eq!(shown(&reply), ["\\).w.example. NSEC zz.w.example.", soa]);
}

#[test]
fn a_record_that_proves_twice_is_written_once() {
    // Name and wildcard lie between the same neighbours.
    let world = nsec("z A 192.0.2.1");
    assert_eq!(shown(&ask(&world, "b.example.", A)), ["example. NSEC z.example.", "example. SOA"]);
    // Two links from wildcards, each covered by one record.
    let text = "*.a CNAME x.b\n*.b CNAME gone\nb TXT t\nzz A 192.0.2.1";
    let reply = ask(&nsec(text), "q.a.example.", A);
    assert_eq!(reply.rcode, Rcode::NXDOMAIN);
    assert_eq!(
        shown(&reply),
        [
            "*.a.example. NSEC b.example.",
            "*.b.example. NSEC zz.example.",
            "example. NSEC *.a.example.",
            "example. SOA"
        ]
    );
    assert_eq!(ask(&nsec3(text, false), "q.a.example.", A).rcode, Rcode::NXDOMAIN);
}

#[test]
fn each_zone_of_a_chain_brings_its_own_proofs() {
    let zones = |chains: &[Chain]| {
        World::new([
            signed(&zone("example.", "*.a CNAME x.sub.other.\ns NS ns.s"), chains),
            signed(&zone("other.", "*.sub DNAME t\n* CNAME y.third."), chains),
            signed(&zone("third.", "d DNAME d.example.\n*.deep.er A 192.0.2.1\ny CNAME z.deep.er"), chains),
        ])
    };
    for chains in [vec![Chain::Nsec], vec![Chain::nsec3(0, b"", false)], vec![Chain::nsec3(0, b"x", true)]] {
        let world = zones(&chains);
        // A wildcard DNAME is no DNAME for the names that it stands for.
        let reply = ask(&world, "q.a.example.", A);
        assert_eq!((reply.rcode, reply.aa, reply.answer.len()), (Rcode::NOERROR, true, 2));
        let reply = ask(&world, "q.other.", A);
        assert_eq!((reply.rcode, reply.answer.len()), (Rcode::NOERROR, 6));
        let reply = ask(&world, "q.d.third.", A);
        assert_eq!((reply.rcode, reply.answer.len()), (Rcode::NXDOMAIN, 3));
    }
}

#[test]
fn proofs_of_both_sides_of_a_cut_never_meet() {
    // The NSEC of the cut and that of the child's apex have one owner.
    let text = "sub NS ns.sub\n* CNAME gone.sub\na CNAME gone.sub";
    let world = |chain: Chain| {
        let chains = [chain];
        let zones = [zone("example.", text), zone("sub.example.", "*.w CNAME gone.example.")];
        World::new(zones.iter().map(|zone| signed(zone, &chains)))
    };
    let nsec = world(Chain::Nsec);
    let reply = ask(&nsec, "x.example.", A);
    assert_eq!((reply.rcode, reply.answer.len(), reply.authority.len()), (Rcode::NOERROR, 2, 2));
    // Another record proves the expansion; no proof is needed; none is wanted; the records have owners of their own.
    assert_eq!(ask(&nsec, "0.example.", A).rcode, Rcode::NXDOMAIN);
    assert_eq!(ask(&nsec, "a.example.", A).rcode, Rcode::NXDOMAIN);
    assert_eq!(nsec.get("x.example.", A).rcode, Rcode::NXDOMAIN);
    assert_eq!(ask(&world(Chain::nsec3(0, b"", false)), "x.example.", A).rcode, Rcode::NXDOMAIN);
    // From below upwards.
    let reply = ask(&nsec, "\\033.w.sub.example.", A);
    assert_eq!((reply.rcode, reply.answer.len()), (Rcode::NOERROR, 2));
    assert_eq!(ask(&nsec, "x.w.sub.example.", A).rcode, Rcode::NXDOMAIN);
}

#[test]
fn ds_is_denied_by_the_parent_and_the_rest_of_the_apex_by_the_child() {
    for chains in [vec![Chain::Nsec], vec![Chain::nsec3(1, b"s", false)], vec![Chain::nsec3(1, b"s", true)]] {
        let parent = signed(&zone("example.", "sub NS ns.sub\nsub TXT hidden\nplain NS ns.plain"), &chains);
        let child = signed(&zone("sub.example.", "a A 192.0.2.1"), &chains);
        let world = World::new([parent, child.clone()]);
        let reply = ask(&world, "sub.example.", RecordType::DS);
        assert!(reply.aa && reply.authority[0].starts_with("example. 300 SOA"), "{chains:?}");
        let reply = ask(&world, "sub.example.", RecordType::TXT);
        assert!(reply.aa && reply.authority[0].starts_with("sub.example. 300 SOA"), "{chains:?}");
        ask(&world, "a.plain.example.", RecordType::DS);
        ask(&world, "plain.example.", RecordType::DS);
        let alone = World::new([child]);
        let reply = ask(&alone, "sub.example.", RecordType::DS);
        assert!(reply.aa && reply.authority[0].starts_with("sub.example. 300 SOA"), "{chains:?}");
    }
}

#[test]
fn a_child_whose_parent_is_not_ours_denies_its_ds_itself_though_a_zone_above_is_ours() {
    let above = || signed(&zone("example.", "b NS ns.b\n*.w TXT t"), &[Chain::Nsec]);
    let child = signed(&zone("a.b.example.", ""), &[Chain::Nsec]);
    let mut world = World::new([above(), child]);
    let reply = ask(&world, "a.b.example.", RecordType::DS);
    assert!(reply.aa && reply.authority[0].starts_with("a.b.example. 300 SOA"));
    // Not to those who may not ask it.
    world.entry("a.b.example.").query = Default::default();
    let reply = ask(&world, "a.b.example.", RecordType::DS);
    assert_eq!((reply.aa, &shown(&reply)[0][..]), (false, "b.example. NS"));
}

#[test]
fn types_of_the_chain_are_asked_for_as_any_others() {
    let world = nsec("a A 192.0.2.1\n*.w TXT t");
    let reply = ask(&world, "a.example.", RecordType::NSEC);
    assert_eq!((reply.answer.len(), reply.authority.len()), (2, 0));
    assert_eq!(world.get("a.example.", RecordType::NSEC).answer.len(), 1);
    assert_eq!(ask(&world, "a.example.", RecordType::NSEC3).rcode, Rcode::NOERROR);
    assert_eq!(ask(&world, "a.example.", RecordType::RRSIG).answer.len(), 1);
    assert_eq!(ask(&world, "x.w.example.", RecordType::ANY).answer.len(), 2);
    let reply = world.ask_tcp(Query::new("x.w.example.", RecordType::ANY).dnssec());
    assert_eq!(reply.answer.len(), 4);
    assert_eq!(shown(&reply).len(), 1, "no name that is closer");
    // Hashed owners are no names.
    let world = nsec3("a A 192.0.2.1", false);
    let owner = hashed("a.example.").replace(" NSEC3", "");
    for qtype in [RecordType::NSEC3, RecordType::RRSIG, RecordType::ANY, A] {
        assert_eq!(ask(&world, &owner, qtype).rcode, Rcode::NXDOMAIN, "{qtype}");
    }
    let world = nsec3("a A 192.0.2.1\n* TXT t", false);
    assert_eq!(ask(&world, &owner, RecordType::TXT).answer.len(), 2, "the wildcard stands for them");
}

#[test]
fn opt_out_leaves_unsigned_cuts_and_what_exists_by_them_to_the_encloser() {
    let world = nsec3("un.e.f NS ns.un.e.f\nsi NS ns.si\nsi DS -\nz A 192.0.2.1", true);
    let apex = hashed("example.");
    let matched = |name: &str, qtype| {
        let reply = ask(&world, name, qtype);
        let all = shown(&reply).into_iter().filter(|line| line.ends_with("NSEC3"));
        all.filter(|line| *line == apex).count()
    };
    // An empty non-terminal that is not in the chain, an unsigned cut below it, names beside and below.
    for (name, qtype) in [
        ("e.f.example.", A),
        ("f.example.", A),
        ("un.e.f.example.", RecordType::DS),
        ("x.un.e.f.example.", A),
        ("gone.e.f.example.", A),
        ("gone.example.", A),
    ] {
        assert_eq!(matched(name, qtype), 1, "{name} {qtype}");
    }
    // A signed cut proves itself with DS.
    assert_eq!(matched("x.si.example.", A), 0);
    assert_eq!(ask(&world, "e.f.example.", A).rcode, Rcode::NOERROR);
    assert_eq!(ask(&world, "gone.e.f.example.", A).rcode, Rcode::NXDOMAIN);
}

#[test]
fn a_wildcard_that_exists_only_by_unsigned_cuts_is_not_taken_for_another() {
    let world = nsec3("* TXT t\na.*.g NS ns.test.\nd.*.d NS ns.test.\nd A 192.0.2.1", true);
    let reply = ask(&world, "a.g.example.", A);
    assert_eq!((reply.rcode, shown(&reply).len()), (Rcode::NOERROR, 3));
    assert!(!shown(&reply).contains(&hashed("*.example.")));
    let reply = ask(&world, "a.d.example.", A);
    assert_eq!((reply.rcode, shown(&reply).len()), (Rcode::NOERROR, 3));
}

#[test]
fn of_several_chains_one_with_the_fewest_iterations_is_used_whole() {
    let text = "a A 192.0.2.1\n*.w A 192.0.2.2\nx.y A 192.0.2.3\nsub NS ns.sub";
    let chains = [Chain::nsec3(9, b"a", false), Chain::nsec3(1, b"s", false), Chain::Nsec];
    let both = signed(&zone("example.", text), &chains);
    let world = World::new([both.clone()]);
    for (name, qtype) in
        [("gone.a.example.", A), ("q.w.example.", RecordType::MX), ("y.example.", A), ("b.sub.example.", A)]
    {
        let reply = ask(&world, name, qtype);
        let all = records(&reply);
        let used = all.iter().filter(|seen| seen.rtype == RecordType::NSEC3);
        assert!(used.clone().count() > 0 && used.clone().all(|seen| seen.rdata[2..4] == [0, 1]), "{name}");
        assert!(all.iter().all(|seen| seen.rtype != RecordType::NSEC));
    }
    // Where that chain has a gap the other is whole.
    let encloser = hashed("example.");
    let gap = without(&both, |name, _| format!("{name} NSEC3") == encloser);
    let reply = ask(&World::new([gap]), "gone.example.", A);
    assert!(records(&reply).iter().all(|s| s.rtype != RecordType::NSEC3 || s.rdata[2..4] == [0, 9]));
    // RFC 5155 §10.5: without NSEC3PARAM the NSEC records count; §4.1.2: so they do where it has flags.
    let flagged = (RecordType::NSEC3PARAM, &[1, 1, 0, 1, 1, b's'][..]);
    for more in [None, Some(flagged)] {
        let zone = altered(&both, |_, rtype| rtype == RecordType::NSEC3PARAM, more);
        let reply = ask(&World::new([zone]), "gone.example.", A);
        assert!(records(&reply).iter().all(|seen| seen.rtype != RecordType::NSEC3));
    }
}

#[test]
fn above_the_limit_of_iterations_one_record_tells_how_many_there_are() {
    let text = "a A 192.0.2.1\n*.w A 192.0.2.2\nsub NS ns.sub";
    let zone = signed(&zone("example.", text), &[Chain::nsec3(151, b"", false)]);
    let world = World::new([zone]);
    for (name, qtype) in
        [("gone.example.", A), ("a.example.", RecordType::MX), ("q.w.example.", A), ("b.sub.example.", A)]
    {
        let reply = world.ask(Query::new(name, qtype).dnssec());
        let all = records(&reply);
        let told: Vec<_> = all.iter().filter(|seen| seen.rtype == RecordType::NSEC3).collect();
        assert!(told.len() == 1 && told[0].rdata[2..4] == [0, 151], "{name}");
    }
    let reply = world.ask(Query::new("a.example.", A).dnssec());
    assert_eq!((reply.answer.len(), reply.authority.len()), (2, 0));
}

#[test]
fn a_broken_chain_costs_the_proof_and_nothing_else() {
    let text = "a A 192.0.2.1\n*.w A 192.0.2.2\nx.y A 192.0.2.3\nsub NS ns.sub";
    let questions = [
        ("gone.a.example.", A, Rcode::NXDOMAIN),
        ("a.example.", RecordType::MX, Rcode::NOERROR),
        ("y.example.", A, Rcode::NOERROR),
        ("q.w.example.", A, Rcode::NOERROR),
        ("q.w.example.", RecordType::MX, Rcode::NOERROR),
        ("b.sub.example.", A, Rcode::NOERROR),
    ];
    for chain in [Chain::Nsec, Chain::nsec3(1, b"s", false)] {
        let whole = signed(&zone("example.", text), &[chain]);
        let proves = |rtype| matches!(rtype, RecordType::NSEC | RecordType::NSEC3);
        let names: Vec<Name> = {
            let mut name = secondo_wire::NameBuf::new();
            let all = whole.nodes().filter(|node| node.rrsets().any(|set| proves(set.rtype())));
            all.map(|node| {
                node.name_into(&mut name);
                name.as_ref().to_owned()
            })
            .collect()
        };
        // Each record missing alone, and all of them.
        for missing in names.iter().map(Some).chain([None]) {
            let gone = |name: &Name, rtype| proves(rtype) && missing.is_none_or(|missing| missing == name);
            let world = World::new([without(&whole, gone)]);
            for (name, qtype, rcode) in questions {
                let reply = world.ask(Query::new(name, qtype).dnssec());
                assert_eq!((reply.rcode, reply.tc), (rcode, false), "{name} {qtype} without {missing:?}");
                let soa = records(&reply).iter().filter(|seen| seen.rtype == RecordType::SOA).count();
                let negative = reply.answer.is_empty() && reply.aa;
                assert_eq!(soa, usize::from(negative), "{name} {qtype} without {missing:?}");
            }
        }
    }
}

/// RFC 5155 §7.2.9: a name that is not there though its hash is cannot be denied, so those who want proof get no answer.
#[test]
fn a_name_with_the_hash_of_another_is_a_failure_to_those_who_want_proof() {
    for opt_out in [false, true] {
        let text = "a A 192.0.2.1\nghost A 192.0.2.1\nz A 192.0.2.1\nc CNAME ghost\n*.w A 192.0.2.1\nq.w A 192.0.2.1";
        let whole = signed(&zone("example.", text), &[Chain::nsec3(1, b"s", opt_out)]);
        let gone: [Name; 2] = ["ghost.example.", "q.w.example."].map(|name| name.parse().unwrap());
        let world = World::new([without(&whole, |name, _| gone.contains(name))]);
        for (name, qtype, rcode) in [
            ("ghost.example.", A, Rcode::NXDOMAIN),
            ("ghost.example.", RecordType::DS, Rcode::NXDOMAIN),
            ("x.ghost.example.", A, Rcode::NXDOMAIN),
            ("c.example.", A, Rcode::NXDOMAIN),
            ("q.w.example.", A, Rcode::NOERROR),
            ("q.w.example.", RecordType::MX, Rcode::NOERROR),
        ] {
            let reply = world.ask(Query::new(name, qtype).dnssec());
            assert_eq!((reply.rcode, reply.aa, reply.tc), (Rcode::SERVFAIL, false, false), "{name} {qtype}");
            assert_eq!(records(&reply), [], "{name} {qtype}");
            assert_eq!(reply.ede(), Some(0), "{name} {qtype}");
            let plain = world.ask(Query::new(name, qtype));
            assert_eq!((plain.rcode, plain.aa), (rcode, true), "{name} {qtype}");
        }
        // The chain goes on to prove what else is not there.
        let reply = world.ask(Query::new("other.example.", A).dnssec());
        assert!(records(&reply).iter().any(|seen| seen.rtype == RecordType::NSEC3));
    }
}

/// While a zone goes from one kind of chain to the other, the other proves what the first cannot.
#[test]
fn what_the_hash_of_another_hides_another_chain_proves() {
    let whole = signed(
        &zone("example.", "a A 192.0.2.1\nghost A 192.0.2.1"),
        &[Chain::nsec3(0, b"", false), Chain::Nsec],
    );
    let ghost: Name = "ghost.example.".parse().unwrap();
    let world = World::new([without(&whole, |name, _| *name == ghost)]);
    let reply = world.ask(Query::new("ghost.example.", A).dnssec());
    assert_eq!(reply.rcode, Rcode::NXDOMAIN);
    assert!(records(&reply).iter().any(|seen| seen.rtype == RecordType::NSEC));
}

#[test]
fn what_proves_is_required_and_never_left_out_for_space() {
    // Three signed proofs of some ninety octets and a signed SOA do not fit into 512 beside a long name.
    let world = nsec3("a A 192.0.2.1\nb A 192.0.2.1\nc A 192.0.2.1\nd A 192.0.2.1", false);
    let name = format!("{}.example.", ["x".repeat(60), "y".repeat(60), "z".repeat(60)].join("."));
    let reply = world.ask(Query::new(&name, A).edns(512, 0x8000, &[]));
    assert!(reply.tc && reply.authority.is_empty() && reply.rcode == Rcode::NXDOMAIN);
    assert!(!ask(&world, &name, A).tc);
}

#[test]
fn without_do_nothing_of_dnssec_is_added() {
    let text = "a A 192.0.2.1\n*.w A 192.0.2.2\nsub NS ns.sub\nd DNAME t";
    for world in [nsec(text), nsec3(text, true)] {
        for name in ["gone.example.", "q.w.example.", "x.sub.example.", "x.d.example."] {
            let reply = world.get(name, A);
            let all = records(&reply);
            assert!(all.iter().all(|seen| !matches!(seen.rtype.0, 43 | 46 | 47 | 50)), "{name}");
            assert!(all.iter().filter(|seen| seen.section == Section::Authority).count() <= 1);
        }
    }
}

/// RFC 2308 §3, §5: the negative TTL is the lesser of the SOA's own and its MINIMUM; so is that of the signature that goes with
/// it. What is prepared with the first answer says the same as what is written.
#[test]
fn the_negative_ttl_is_that_of_the_soa_where_it_is_the_lower() {
    let plain = zone("example.", "a A 192.0.2.1\nsub NS ns.sub");
    let mut builder = Builder::new(plain.apex().clone(), &BorderSecret::new([5; 16]), Limits::default());
    let mut name = secondo_wire::NameBuf::new();
    for node in plain.nodes() {
        node.name_into(&mut name);
        for set in node.rrsets() {
            let ttl = if set.rtype() == RecordType::SOA { 60 } else { set.ttl() };
            set.rdatas().for_each(|rdata| builder.push(name.as_ref(), set.rtype(), ttl, rdata).unwrap());
        }
    }
    let low = builder.finish().unwrap().zone;
    assert_eq!((low.soa_ttl(), low.soa().minimum), (60, 300));
    for (zone, ttl) in [(&plain, 300), (&low, 60)] {
        for chains in [vec![], vec![Chain::Nsec], vec![Chain::nsec3(0, b"", false)]] {
            let sealed = !chains.is_empty();
            let zone = if sealed { signed(zone, &chains) } else { zone.clone() };
            let world = World::new([zone]);
            // Once with nothing prepared, then again; the type and the name may be what is not there.
            for turn in 0..3 {
                for (name, dnssec) in [
                    ("gone.example.", false),
                    ("gone.example.", true),
                    ("a.example.", true),
                    ("a.example.", false),
                ] {
                    let query = Query::new(name, RecordType::MX);
                    let reply = world.ask(if dnssec { query.dnssec() } else { query });
                    // Six, in base64, is the type that the signature covers.
                    let ttl_of = |line: &String| match line.split(' ').collect::<Vec<_>>()[..] {
                        [_, ttl, "SOA", ..] => ttl.parse().ok(),
                        [_, ttl, "RRSIG", data] if data.starts_with("AAY") => ttl.parse().ok(),
                        _ => None,
                    };
                    let ttls: Vec<u32> = reply.authority.iter().filter_map(ttl_of).collect();
                    let count = if dnssec && sealed { 2 } else { 1 };
                    assert_eq!(ttls, vec![ttl; count], "{name} {dnssec} {turn}");
                }
            }
        }
    }
}
