//! The lookup of RFC 1034 §4.3.2 through whole replies: aliases, DNAME, cuts, DS, ANY, negative answers, additional data.

mod common;

use common::{Query, Reply, World, zone};
use secondo_wire::{Rcode, RecordType};

const A: RecordType = RecordType::A;

fn world(text: &str) -> World {
    World::new([zone("example.", text)])
}

fn soa(reply: &Reply) -> bool {
    reply.authority.len() == 1 && reply.authority[0].contains(" SOA ")
}

#[test]
fn a_chain_of_aliases_is_followed_in_the_zone() {
    let world = world("a CNAME b\nb CNAME c\nc A 192.0.2.1");
    let reply = world.get("a.example.", A);
    assert_eq!(
        reply.answer,
        ["a.example. 600 CNAME b.example.", "b.example. 600 CNAME c.example.", "c.example. 600 A 192.0.2.1"]
    );
    assert!(reply.aa && reply.rcode == Rcode::NOERROR && reply.authority.is_empty());
}

#[test]
fn the_response_code_belongs_to_the_last_name_and_authority_to_the_first() {
    let world = World::new([
        zone(
            "example.",
            "a CNAME b.other.\ngone CNAME nowhere\nout CNAME elsewhere.test.\ncut CNAME x.sub\nsub NS ns.sub",
        ),
        zone("other.", "b CNAME missing"),
    ]);
    let reply = world.get("a.example.", A);
    assert_eq!(reply.rcode, Rcode::NXDOMAIN);
    assert!(reply.aa && reply.answer.len() == 2);
    assert!(soa(&reply) && reply.authority[0].starts_with("other. "), "the SOA of the last zone");
    assert_eq!(world.get("gone.example.", A).rcode, Rcode::NXDOMAIN);
    let reply = world.get("gone.example.", RecordType::TXT);
    assert!(reply.rcode == Rcode::NXDOMAIN && soa(&reply));
    // A chain that leaves what we serve is no error.
    let reply = world.get("out.example.", A);
    assert!(reply.rcode == Rcode::NOERROR && reply.answer.len() == 1 && reply.authority.is_empty());
    // A chain that ends in a referral.
    let reply = world.get("cut.example.", A);
    assert!(reply.rcode == Rcode::NOERROR && reply.aa && reply.answer.len() == 1);
    assert_eq!(reply.authority, ["sub.example. 600 NS ns.sub.example."]);
}

#[test]
fn a_chain_without_data_at_its_end_has_the_soa() {
    let reply = world("a CNAME b\nb TXT x").get("a.example.", A);
    assert!(reply.rcode == Rcode::NOERROR && reply.answer.len() == 1 && soa(&reply));
}

#[test]
fn a_chain_that_closes_ends_without_an_error_and_repeats_nothing() {
    let reply = world("a CNAME b\nb CNAME a").get("a.example.", A);
    assert_eq!(reply.answer, ["a.example. 600 CNAME b.example.", "b.example. 600 CNAME a.example."]);
    assert!(reply.rcode == Rcode::NOERROR && reply.authority.is_empty());
    let reply = world("a CNAME a").get("a.example.", A);
    assert_eq!(reply.answer.len(), 1);
    // A wildcard alias that leads to names which it stands for itself.
    let reply = world("* CNAME x.y").get("q.example.", A);
    assert_eq!(reply.answer, ["q.example. 600 CNAME x.y.example.", "x.y.example. 600 CNAME x.y.example."]);
}

#[test]
fn a_chain_ends_at_its_bound() {
    let text: String = (0..40).map(|n| format!("n{n} CNAME n{}\n", n + 1)).collect();
    let reply = world(&text).ask(Query::new("n0.example.", A).edns(1232, 0, &[]));
    assert_eq!(reply.answer.len(), secondo_answer::bounds::CHAIN_LENGTH);
    assert_eq!(reply.rcode, Rcode::NOERROR);
    // A DNAME that makes names ever longer stops there too, or at 255 octets.
    let reply = world("loop DNAME a.b.c.d.loop").ask(Query::new("x.loop.example.", A).edns(1232, 0, &[]));
    assert_eq!(reply.answer.len(), secondo_answer::bounds::CHAIN_LENGTH + 1);
}

#[test]
fn later_links_use_only_zones_that_are_served_to_the_asker() {
    let mut world = World::new([zone("example.", "a CNAME b.other."), zone("other.", "b A 192.0.2.1")]);
    assert_eq!(world.get("a.example.", A).answer.len(), 2);
    world.entry("other.").query = std::sync::Arc::default();
    let reply = world.get("a.example.", A);
    assert!(reply.answer.len() == 1 && reply.rcode == Rcode::NOERROR && reply.authority.is_empty());
    world.entry("other.").query = world.entry("example.").query.clone();
    world.slot("other.").renew(common::NOW, 0);
    assert_eq!(world.get("a.example.", A).answer.len(), 1);
}

#[test]
fn a_dname_redirects_what_is_below_it_and_not_itself() {
    let world = world("d DNAME t\nd TXT own\na.t A 192.0.2.1\nhidden.d A 192.0.2.9");
    let reply = world.get("a.d.example.", A);
    assert_eq!(
        reply.answer,
        [
            "d.example. 600 DNAME t.example.",
            "a.d.example. 600 CNAME a.t.example.",
            "a.t.example. 600 A 192.0.2.1"
        ]
    );
    assert!(reply.aa && reply.rcode == Rcode::NOERROR);
    assert_eq!(world.get("d.example.", RecordType::TXT).answer, ["d.example. 600 TXT own"]);
    assert_eq!(world.get("d.example.", RecordType::DNAME).answer, ["d.example. 600 DNAME t.example."]);
    // RFC 6672 §2.4: what stands below a DNAME is not seen.
    let reply = world.get("hidden.d.example.", A);
    assert!(reply.rcode == Rcode::NXDOMAIN && reply.answer.len() == 2 && soa(&reply));
    // Asked for the alias, the synthesised one is the answer; for anything, too.
    for qtype in [RecordType::CNAME, RecordType::ANY] {
        assert_eq!(world.get("a.d.example.", qtype).answer.len(), 2, "{qtype}");
    }
}

#[test]
fn a_dname_at_the_apex_redirects_the_zone() {
    let world = World::new([zone("example.", "@ DNAME other."), zone("other.", "a.b A 192.0.2.1")]);
    let reply = world.get("A.b.example.", A);
    assert_eq!(reply.answer[1..], ["A.b.example. 600 CNAME A.b.other.", "A.b.other. 600 A 192.0.2.1"]);
    assert!(world.get("example.", RecordType::SOA).answer[0].contains("SOA"));
}

#[test]
fn a_dname_used_twice_is_answered_once() {
    let reply = world("d DNAME t\na.t CNAME b.d\nb.t A 192.0.2.1").get("a.d.example.", A);
    assert_eq!(
        reply.answer,
        [
            "d.example. 600 DNAME t.example.",
            "a.d.example. 600 CNAME a.t.example.",
            "a.t.example. 600 CNAME b.d.example.",
            "b.d.example. 600 CNAME b.t.example.",
            "b.t.example. 600 A 192.0.2.1",
        ]
    );
}

#[test]
fn a_dname_that_leads_to_itself_is_answered_once() {
    let world = world("d DNAME @\nd RRSIG DNAME\nd TXT t\nd RRSIG TXT");
    let reply = world.ask(Query::new("d.d.example.", RecordType::DNAME).dnssec());
    let types = |reply: &Reply| -> Vec<String> {
        reply.answer.iter().map(|line| line.split(' ').nth(2).unwrap().to_string()).collect()
    };
    assert_eq!(types(&reply), ["DNAME", "RRSIG", "CNAME"]);
    // Of the signatures asked for one is there already.
    let reply = world.ask_tcp(Query::new("d.d.example.", RecordType::RRSIG).dnssec());
    assert_eq!(types(&reply), ["DNAME", "RRSIG", "CNAME", "RRSIG"]);
    let reply = world.ask_tcp(Query::new("d.d.example.", RecordType::RRSIG));
    assert_eq!(types(&reply), ["DNAME", "CNAME", "RRSIG", "RRSIG"]);
}

#[test]
fn a_redirected_name_that_is_too_long_is_yxdomain() {
    let label = "x".repeat(63);
    let world = world(&format!("d DNAME {label}.{label}.{label}"));
    let reply = world.get(&format!("{}.d.example.", "y".repeat(60)), A);
    assert!(reply.rcode == Rcode::YXDOMAIN && reply.aa && !reply.tc);
    assert!(reply.answer.len() == 1 && reply.answer[0].contains(" DNAME "));
    assert_eq!(world.get("y.d.example.", A).rcode, Rcode::NXDOMAIN);
}

#[test]
fn a_cut_hides_all_below_it_whatever_stands_there() {
    let world = world(
        "sub NS ns.sub\nns.sub A 192.0.2.1\nsub TXT hidden\n*.sub A 192.0.2.9\nc.sub CNAME ns.sub\nd.sub DNAME x\nx.y.sub NS ns.y.sub",
    );
    for (name, qtype) in [
        ("sub.example.", A),
        ("sub.example.", RecordType::NS),
        ("sub.example.", RecordType::TXT),
        ("sub.example.", RecordType::ANY),
        ("sub.example.", RecordType::SOA),
        ("ns.sub.example.", A),
        ("any.sub.example.", A),
        ("c.sub.example.", A),
        ("a.d.sub.example.", A),
        ("x.y.sub.example.", RecordType::DS),
        ("y.sub.example.", RecordType::DS),
    ] {
        let reply = world.get(name, qtype);
        assert!(!reply.aa && reply.rcode == Rcode::NOERROR && reply.answer.is_empty(), "{name} {qtype}");
        assert_eq!(reply.authority, ["sub.example. 600 NS ns.sub.example."], "{name} {qtype}");
        assert_eq!(reply.additional, ["ns.sub.example. 600 A 192.0.2.1"], "{name} {qtype}");
    }
}

#[test]
fn ds_is_answered_by_the_parent_side_of_a_cut() {
    let parent = || zone("example.", "sub NS ns.sub\nsub DS -\nplain NS ns.plain\nother NS ns.other");
    let world = World::new([parent(), zone("sub.example.", "")]);
    let reply = world.get("sub.example.", RecordType::DS);
    assert!(reply.aa && reply.answer.len() == 1 && reply.answer[0].starts_with("sub.example. 600 DS "));
    // Not signed: no data, said by the parent.
    let reply = world.get("plain.example.", RecordType::DS);
    assert!(reply.aa && reply.answer.is_empty() && soa(&reply));
    assert!(reply.authority[0].starts_with("example. "));
    // Everything else at the apex comes from the child.
    assert!(world.get("sub.example.", RecordType::NS).aa);
    // A child whose parent is not ours says itself that it has none.
    let alone = World::new([zone("sub.example.", "")]);
    let reply = alone.get("sub.example.", RecordType::DS);
    assert!(reply.aa && reply.answer.is_empty() && reply.authority[0].starts_with("sub.example. 300 SOA"));
    // The root has no parent.
    assert!(soa(&World::new([zone(".", "")]).get(".", RecordType::DS)));
}

#[test]
fn negative_answers_carry_the_soa_with_the_lower_of_its_ttl_and_its_minimum() {
    let world = world("ent.deep A 192.0.2.1");
    for (name, rcode) in [("none.example.", Rcode::NXDOMAIN), ("deep.example.", Rcode::NOERROR)] {
        let reply = world.get(name, A);
        assert!(reply.aa && reply.rcode == rcode && reply.answer.is_empty(), "{name}");
        assert_eq!(
            reply.authority,
            ["example. 300 SOA ns1.example. admin.example. 7 60 30 3600 300"],
            "{name}"
        );
    }
    // Asked for itself, it has its own TTL.
    assert!(world.get("example.", RecordType::SOA).answer[0].starts_with("example. 3600 SOA "));
}

#[test]
fn any_over_udp_gives_one_rrset_and_is_not_an_alias_question() {
    let world =
        world("a TXT t\na A 192.0.2.1\na A 192.0.2.2\na RRSIG A\nc CNAME a\nonly NSEC z\nonly RRSIG NSEC");
    let reply = world.get("a.example.", RecordType::ANY);
    assert_eq!(reply.answer, ["a.example. 600 A 192.0.2.1", "a.example. 600 A 192.0.2.2"]);
    assert_eq!(world.get("c.example.", RecordType::ANY).answer, ["c.example. 600 CNAME a.example."]);
    assert!(world.get("only.example.", RecordType::ANY).answer[0].contains(" NSEC "));
    let reply = world.ask_tcp(Query::new("a.example.", RecordType::ANY));
    assert_eq!(reply.answer.len(), 4);
    assert_eq!(world.get("none.example.", RecordType::ANY).rcode, Rcode::NXDOMAIN);
}

#[test]
fn signatures_are_data_when_asked_for_and_go_along_when_wanted() {
    let world = world(
        "a A 192.0.2.1\na RRSIG A\na TXT t\na RRSIG TXT\nc CNAME a\nc RRSIG CNAME\n@ RRSIG SOA\nx TXT t",
    );
    let reply = world.get("a.example.", A);
    assert_eq!(reply.answer.len(), 1);
    let types =
        |lines: &[String]| lines.iter().map(|l| l.split(' ').nth(2).unwrap().to_string()).collect::<Vec<_>>();
    let reply = world.ask(Query::new("c.example.", A).dnssec());
    assert_eq!(types(&reply.answer), ["CNAME", "RRSIG", "A", "RRSIG"]);
    assert_eq!(reply.opt.as_ref().unwrap().flags, 0x8000);
    // RFC 2308 §5: the signature of a negative SOA has its lower TTL.
    let reply = world.ask(Query::new("none.example.", A).dnssec());
    assert_eq!(types(&reply.authority), ["SOA", "RRSIG"]);
    assert!(reply.authority.iter().all(|line| line.starts_with("example. 300 ")));
    assert_eq!(world.get("a.example.", RecordType::RRSIG).answer.len(), 1);
    assert_eq!(world.ask_tcp(Query::new("a.example.", RecordType::RRSIG)).answer.len(), 2);
    // Not signed: no data; an alias that is not signed is followed.
    assert!(soa(&world.get("x.example.", RecordType::RRSIG)));
}

#[test]
fn a_signed_referral_has_ds_and_never_signs_ns_or_glue() {
    let world =
        world("sub NS ns.sub\nsub DS -\nsub RRSIG DS\nns.sub A 192.0.2.1\nns.sub RRSIG A\nsub RRSIG NS");
    let reply = world.ask(Query::new("a.sub.example.", A).dnssec());
    let types: Vec<_> = reply.authority.iter().map(|l| l.split(' ').nth(2).unwrap()).collect();
    assert_eq!(types, ["NS", "DS", "RRSIG"]);
    assert_eq!(reply.additional, ["ns.sub.example. 600 A 192.0.2.1"]);
    let reply = world.get("a.sub.example.", A);
    assert_eq!(reply.authority.len(), 1);
    // In a zone that is not signed a DS says nothing.
    let reply = self::world("sub NS ns.sub\nsub DS -").ask(Query::new("a.sub.example.", A).dnssec());
    assert_eq!(reply.authority.len(), 1);
}

#[test]
fn glue_is_found_by_exact_name_and_never_behind_a_dname() {
    let world = world(
        "one NS ns.two\none NS ns.gone.one\none NS ns.redirected\none NS ns.plain\none NS away.test.
         two NS ns.two\nns.two A 192.0.2.2\n*.gone.one A 192.0.2.9
         redirected DNAME x\nns.redirected A 192.0.2.9\nns.plain AAAA 2001:db8::1\nns.plain A 192.0.2.3",
    );
    let mut reply = world.get("one.example.", A);
    reply.additional.sort_unstable();
    assert_eq!(
        reply.additional,
        [
            "ns.plain.example. 600 A 192.0.2.3",
            "ns.plain.example. 600 AAAA 2001:db8::1",
            "ns.two.example. 600 A 192.0.2.2"
        ]
    );
}

#[test]
fn addresses_come_in_the_order_of_the_askers_family() {
    let mut world = world("s NS ns.s\nns.s A 192.0.2.2\nns.s AAAA 2001:db8::2");
    let order = |world: &World| {
        let reply = world.get("s.example.", A);
        reply.additional.iter().map(|l| l.split(' ').nth(2).unwrap().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(order(&world), ["A", "AAAA"]);
    world.client = "[::ffff:192.0.2.1]:99".parse().unwrap();
    assert_eq!(order(&world), ["A", "AAAA"]);
    world.client = "[2001:db8::7]:99".parse().unwrap();
    assert_eq!(order(&world), ["AAAA", "A"]);
}

#[test]
fn targets_of_ns_mx_and_srv_bring_authoritative_addresses_once() {
    let world = world(
        "ns1 A 192.0.2.1
         m MX 1 a\nm MX 2 A\nm MX 3 glue.sub\nm MX 4 alias\nm MX 5 wild.w\nm MX 6 .\nm MX 7 sub
         a A 192.0.2.2\nalias CNAME a\n*.w A 192.0.2.3\nsub NS glue.sub\nsub A 192.0.2.8\nglue.sub A 192.0.2.4
         s SRV a",
    );
    assert_eq!(world.get("example.", RecordType::NS).additional, ["ns1.example. 600 A 192.0.2.1"]);
    assert_eq!(world.get("m.example.", RecordType::MX).additional, ["a.example. 600 A 192.0.2.2"]);
    assert_eq!(world.get("s.example.", RecordType::SRV).additional, ["a.example. 600 A 192.0.2.2"]);
    assert!(world.get("m.example.", RecordType::ANY).additional.is_empty());
}

// RFC 9609 §4.1, RFC 1034 §4.3.2 step 6.
#[test]
fn the_servers_of_a_zone_come_with_their_glue_unsigned_and_as_far_as_there_is_room() {
    let text = "@ NS a.root-servers.net.\n@ NS b.root-servers.net.\n@ NS ns.org.\n@ NS ns.d\n@ RRSIG NS
        net NS a.gtld-servers.net.\na.gtld-servers.net A 192.0.2.1
        a.root-servers.net A 198.51.100.1\na.root-servers.net RRSIG A\na.root-servers.net AAAA 2001:db8::1
        b.root-servers.net A 198.51.100.2\nns.org A 192.0.2.7\nns.org RRSIG A\nd DNAME org\nns.d A 192.0.2.8
        mx MX 1 a.root-servers.net.";
    let root = World::new([zone(".", text)]);
    let priming = root.ask(Query::new(".", RecordType::NS).dnssec());
    assert!(priming.aa && !priming.tc && priming.answer.len() == 5 && priming.authority.is_empty());
    let summary = |line: &String| match line.split_once(" RRSIG ") {
        Some((owner, _)) => format!("{owner} RRSIG"),
        None => line.clone(),
    };
    let mut additional: Vec<String> = priming.additional.iter().map(summary).collect();
    additional.sort_unstable();
    // Of what lies below a cut no signature, of the zone's own each; nothing that a DNAME hides.
    assert_eq!(
        additional,
        [
            "a.root-servers.net. 600 A 198.51.100.1",
            "a.root-servers.net. 600 AAAA 2001:db8::1",
            "b.root-servers.net. 600 A 198.51.100.2",
            "ns.org. 600 A 192.0.2.7",
            "ns.org. 600 RRSIG",
        ]
    );
    // A referral is what it was, and mail is not brought to what is not known for sure (RFC 2181 §5.4.1).
    assert_eq!(root.get("x.net.", A).additional, ["a.gtld-servers.net. 600 A 192.0.2.1"]);
    assert!(root.get("mx.", RecordType::MX).additional.is_empty());
    // 20 servers with two addresses each have no room; nothing is truncated for that.
    let many: String = (10..30)
        .map(|n| format!("@ NS h{n}.net.\nh{n}.net A 192.0.2.{n}\nh{n}.net AAAA 2001:db8::{n}\n"))
        .collect();
    let reply = World::new([zone(".", &format!("net NS h10.net.\n{many}"))]).get(".", RecordType::NS);
    assert!(!reply.tc && reply.answer.len() == 20 && reply.octets.len() <= 512);
    assert!((1..13).contains(&reply.additional.len()));
}

#[test]
fn rfc_9460_section_4_1_services_bring_what_is_at_their_targets() {
    let world = world(
        "own HTTPS 1 .\nown A 192.0.2.1\nown HTTPS 2 own\nown HTTPS 3 other
         other A 192.0.2.2\nother AAAA 2001:db8::2\nother HTTPS 1 .\nother SVCB 1 .
         alias HTTPS 0 other\nnone SVCB 0 .\nnone A 192.0.2.3\nself SVCB 0 self\nself A 192.0.2.4
         away HTTPS 1 elsewhere.test.\n*.w HTTPS 1 .\n*.w A 192.0.2.5",
    );
    let (https, svcb) = (RecordType::HTTPS, RecordType::SVCB);
    for (name, qtype, additional) in [
        ("own.example.", https, &["own A", "other A", "other AAAA"][..]),
        ("alias.example.", https, &["other HTTPS", "other A", "other AAAA"]),
        ("other.example.", svcb, &["other A", "other AAAA"]),
        ("none.example.", svcb, &[]),
        ("self.example.", svcb, &["self A"]),
        ("away.example.", https, &[]),
        ("x.w.example.", https, &[]),
    ] {
        let reply = world.get(name, qtype);
        let pair = |line: &String| {
            let words: Vec<&str> = line.split(' ').collect();
            format!("{} {}", words[0].trim_end_matches(".example."), words[2])
        };
        let seen: Vec<String> = reply.additional.iter().map(pair).collect();
        assert!(reply.aa && !reply.answer.is_empty(), "{name}");
        assert_eq!(seen, additional, "{name}");
    }
}

#[test]
fn no_more_than_thirteen_targets_are_looked_up() {
    let text: String = (10..30).map(|n| format!("m MX {n} t{n}\nt{n} A 192.0.2.1\n")).collect();
    let reply = world(&text).ask_tcp(Query::new("m.example.", RecordType::MX));
    assert_eq!((reply.answer.len(), reply.additional.len()), (20, 13));
}

#[test]
fn names_keep_the_spelling_of_the_question() {
    let world = world("WWW A 192.0.2.1");
    let query = Query::new("wWw.ExAmPlE.", A).octets();
    let (_, octets) = world.outcome(&query, secondo_answer::Transport::Udp);
    assert_eq!(octets[12..29], query[12..29]);
}

// RFC 4035 §3.1.1.
#[test]
fn addresses_beside_an_answer_come_with_their_signatures_or_not_at_all() {
    let mut seen = std::collections::BTreeSet::new();
    // Ever less room beside the answer.
    for length in 1..=180usize {
        let long = format!("{}.{}.{}", "x".repeat(60), "y".repeat(60), "z".repeat(length.div_ceil(3)));
        let text =
            format!("m MX 1 a\nm MX 2 {long}.\na A 192.0.2.1\na AAAA 2001:db8::1\na RRSIG A\na RRSIG AAAA");
        let mut small = world(&format!("{text}\nm MX 3 {}.{}.", "w".repeat(1 + length % 60), "v".repeat(60)));
        small.udp_payload = 512;
        let reply = small.ask(Query::new("m.example.", RecordType::MX).edns(512, 0x8000, &[0; 0]));
        assert!(!reply.tc && reply.answer.len() == 3);
        let types: Vec<&str> = reply.additional.iter().map(|line| line.split(' ').nth(2).unwrap()).collect();
        seen.insert(types.join(" "));
        let plain = small.ask(Query::new("m.example.", RecordType::MX).edns(512, 0, &[]));
        assert!(plain.additional.len() == 2 && plain.octets.len() < reply.octets.len() + 100);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["A RRSIG", "A RRSIG AAAA RRSIG"]);
}

// RFC 4035 §3.1.4.1: a DS belongs to the zone above; what is said of that zone is said of its DS.
#[test]
fn a_ds_at_the_apex_of_a_zone_is_asked_of_the_zone_above_and_fails_with_it() {
    let both = || {
        World::new([
            zone("example.", "sub NS ns.sub\nsub DS -\nns.sub A 192.0.2.1"),
            zone("sub.example.", "a A 192.0.2.1"),
        ])
    };
    let ask = |world: &World, rtype| {
        let reply = world.ask(Query::new("sub.example.", rtype).edns(1232, 0, &[]));
        assert!(reply.rcode == Rcode::NOERROR || reply.is_bare() && !reply.aa);
        (reply.rcode, reply.ede(), reply.answer.len())
    };
    assert_eq!(ask(&both(), RecordType::DS), (Rcode::NOERROR, None, 1));
    let never_loaded = both();
    never_loaded.slot("example.").withdraw();
    assert_eq!(ask(&never_loaded, RecordType::DS), (Rcode::SERVFAIL, Some(14), 0));
    let expired = both();
    expired.slot("example.").renew(common::NOW, 0);
    assert_eq!(ask(&expired, RecordType::DS), (Rcode::SERVFAIL, Some(24), 0));
    let mut closed = both();
    closed.entry("example.").query = common::only(Some("198.51.100.1"), None);
    assert_eq!(ask(&closed, RecordType::DS), (Rcode::REFUSED, Some(18), 0));
    // Of the child's own nothing is kept back.
    for world in [&never_loaded, &expired, &closed] {
        assert_eq!(ask(world, RecordType::SOA), (Rcode::NOERROR, None, 1));
    }
    // And the other way round: the zone above answers, whatever the one below can.
    let mut childless = both();
    childless.slot("sub.example.").withdraw();
    childless.entry("sub.example.").query = common::only(Some("198.51.100.1"), None);
    assert_eq!(ask(&childless, RecordType::DS), (Rcode::NOERROR, None, 1));
    // With nobody above, the zone itself says that it has none (RFC 4035 §3.1.4.1).
    let alone = World::new([zone("sub.example.", "a A 192.0.2.1")]);
    let reply = alone.get("sub.example.", RecordType::DS);
    assert!(reply.aa && reply.rcode == Rcode::NOERROR && reply.answer.is_empty());
    assert!(reply.authority.len() == 1 && reply.authority[0].starts_with("sub.example. 300 SOA "));
}
