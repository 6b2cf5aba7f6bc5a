//! The examples of DNSSEC answers that the RFCs give, question by question. Where they show the NS of the zone beside an
//! answer, ours leaves it out.

// Helpers of tests are tests too.
#![allow(clippy::unwrap_used)]

mod common;

use common::signer::{Chain, signed};
use common::validator::{fault, shown};
use common::{Query, World, zone};
use secondo_wire::{Rcode, RecordType};

const GOOD: Rcode = Rcode::NOERROR;
const ERROR: Rcode = Rcode::NXDOMAIN;

/// RFC 4035 Appendix A and RFC 5155 Appendix A have most of their zones in common.
const COMMON: &str = "@ NS ns1
    @ NS ns2
    @ MX 1 xx
    @ DNSKEY key
    a NS ns1.a
    a NS ns2.a
    a DS -
    ns1.a A 192.0.2.5
    ns2.a A 192.0.2.6
    ai A 192.0.2.9
    ai HINFO KLH-10 ITS
    ai AAAA 2001:db8::f00:baa9
    ns1 A 192.0.2.1
    ns2 A 192.0.2.2
    *.w MX 1 ai
    x.w MX 1 xx
    x.y.w MX 1 xx
    xx A 192.0.2.10
    xx HINFO KLH-10 TOPS-20
    xx AAAA 2001:db8::f00:baaa";

/// Section, question, response code, records of the answer section with signatures, authority section.
type Example<'e> = (&'e str, &'e str, RecordType, Rcode, usize, &'e [&'e str]);

fn check(world: &World, examples: &[Example<'_>]) {
    for &(section, name, qtype, rcode, answers, authority) in examples {
        let reply = world.ask(Query::new(name, qtype).dnssec());
        let mut expected = authority.to_vec();
        expected.sort_unstable();
        assert_eq!(shown(&reply), expected, "{section}");
        assert_eq!((reply.rcode, reply.answer.len(), reply.tc), (rcode, answers, false), "{section}");
        assert_eq!(fault(&reply, name, qtype), Ok(()), "{section}");
    }
}

#[test]
fn rfc_4035_appendix_b() {
    let text = format!("{COMMON}\nb NS ns1.b\nb NS ns2.b\nns1.b A 192.0.2.7\nns2.b A 192.0.2.8");
    let world = World::new([signed(&zone("example.", &text), &[Chain::Nsec])]);
    let (a, mx) = (RecordType::A, RecordType::MX);
    let soa = "example. SOA";
    let (b, x) = ("b.example. NSEC ns1.example.", "x.y.w.example. NSEC xx.example.");
    let [b1, b2, b3, b4]: [Example<'_>; 4] = [
        ("B.1", "x.w.example.", mx, GOOD, 2, &[]),
        ("B.2", "ml.example.", a, ERROR, 0, &[soa, b, "example. NSEC a.example."]),
        ("B.3", "ns1.example.", mx, GOOD, 0, &[soa, "ns1.example. NSEC ns2.example."]),
        ("B.4", "mc.a.example.", mx, GOOD, 0, &["a.example. NS", "a.example. NS", "a.example. DS"]),
    ];
    let [b5, b6, b7, b8]: [Example<'_>; 4] = [
        ("B.5", "mc.b.example.", mx, GOOD, 0, &["b.example. NS", "b.example. NS", b]),
        ("B.6", "a.z.w.example.", mx, GOOD, 2, &[x]),
        ("B.7", "a.z.w.example.", RecordType::AAAA, GOOD, 0, &[soa, x, "*.w.example. NSEC x.w.example."]),
        ("B.8", "example.", RecordType::DS, GOOD, 0, &[soa, "example. NSEC a.example."]),
    ];
    check(&world, &[b1, b2, b3, b4, b5, b6, b7, b8]);
    let reply = world.ask(Query::new("mc.b.example.", RecordType::MX).dnssec());
    assert_eq!(reply.additional, ["ns1.b.example. 600 A 192.0.2.7", "ns2.b.example. 600 A 192.0.2.8"]);
}

#[test]
fn rfc_5155_appendix_b() {
    // One owner of NSEC3 has an address too.
    let text = format!(
        "{COMMON}\nc NS ns1.c\nc NS ns2.c\nns1.c A 192.0.2.7\nns2.c A 192.0.2.8
         2t7b4g4vsa5smi47k61mv5bv1a22bojr A 192.0.2.127"
    );
    let chain = Chain::nsec3(12, &[0xAA, 0xBB, 0xCC, 0xDD], true);
    let world = World::new([signed(&zone("example.", &text), &[chain])]);
    let apex = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. NSEC3";
    let encloser = "b4um86eghhds6nea196smvmlo4ors995.example. NSEC3";
    let a = "35mthgpgcu1qg68fab165klnsnk3dpvl.example. NSEC3";
    let ns2 = "q04jkcevqvmu85r014c7dkba38o0ji5r.example. NSEC3";
    let w = "k8udemvp1j2f7eg6jebps17vp3n8i58h.example. NSEC3";
    let soa = "example. SOA";
    let (b2, b21) = ("2t7b4g4vsa5smi47k61mv5bv1a22bojr", "ji6neoaepv8b5o6k4ev33abha8ht9fgc");
    let (b2, b21) = (format!("{b2}.example. NSEC3"), format!("{b21}.example. NSEC3"));
    let wildcard = "r53bq7cc2uvmubfu5ocmm6pers9tk9en.example. NSEC3";
    let mx = RecordType::MX;
    check(
        &world,
        &[
            ("B.1", "a.c.x.w.example.", RecordType::A, ERROR, 0, &[soa, apex, encloser, a]),
            ("B.2", "ns1.example.", mx, GOOD, 0, &[soa, &b2]),
            ("B.2.1", "y.w.example.", RecordType::A, GOOD, 0, &[soa, &b21]),
            ("B.3", "mc.c.example.", mx, GOOD, 0, &["c.example. NS", "c.example. NS", a, apex]),
            ("B.4", "a.z.w.example.", mx, GOOD, 2, &[ns2]),
            ("B.5", "a.z.w.example.", RecordType::AAAA, GOOD, 0, &[soa, w, ns2, wildcard]),
            ("B.6", "example.", RecordType::DS, GOOD, 0, &[soa, apex]),
            // Not in the appendix: DS of a cut that is not in the chain.
            ("§7.2.4", "c.example.", RecordType::DS, GOOD, 0, &[soa, a, apex]),
        ],
    );
    // §7.2.8: the owner of an NSEC3 record is no name; the one with an address is.
    let reply =
        world.ask(Query::new("q04jkcevqvmu85r014c7dkba38o0ji5r.example.", RecordType::NSEC3).dnssec());
    assert_eq!(reply.rcode, ERROR);
    assert_eq!(fault(&reply, "q04jkcevqvmu85r014c7dkba38o0ji5r.example.", RecordType::NSEC3), Ok(()));
    let name = "2t7b4g4vsa5smi47k61mv5bv1a22bojr.example.";
    assert_eq!(world.ask(Query::new(name, RecordType::A).dnssec()).answer.len(), 2);
    let own = "kohar7mbb8dc2ce8a9qvl8hon4k53uhi.example. NSEC3";
    assert_eq!(shown(&world.ask(Query::new(name, mx).dnssec())), [soa, own]);
}

/// RFC 4592 §2.2.1 under each kind of chain.
#[test]
fn rfc_4592_section_2_2_1_proved() {
    let text = "@ NS ns.example.com.
        @ NS ns.example.net.
        * TXT this-is-a-wildcard
        * MX 10 host1
        sub.* TXT this-is-not-a-wildcard
        host1 A 192.0.2.1
        _ssh._tcp.host1 SRV host1
        _ssh._tcp.host2 SRV host1
        subdel NS ns.example.com.
        subdel NS ns.example.net.";
    for chain in [Chain::Nsec, Chain::nsec3(0, b"", false), Chain::nsec3(5, b"salt", true)] {
        let world = World::new([signed(&zone("example.", text), std::slice::from_ref(&chain))]);
        for (name, qtype, rcode, answered) in [
            ("host3.example.", RecordType::MX, GOOD, true),
            ("host3.example.", RecordType::A, GOOD, false),
            ("foo.bar.example.", RecordType::TXT, GOOD, true),
            ("host1.example.", RecordType::MX, GOOD, false),
            ("sub.*.example.", RecordType::MX, GOOD, false),
            ("_telnet._tcp.host1.example.", RecordType::SRV, ERROR, false),
            ("host.subdel.example.", RecordType::A, GOOD, false),
            ("ghost.*.example.", RecordType::MX, ERROR, false),
            ("host2.example.", RecordType::MX, GOOD, false),
            ("_tcp.host2.example.", RecordType::TXT, GOOD, false),
            ("x.host2.example.", RecordType::TXT, ERROR, false),
            ("*.example.", RecordType::MX, GOOD, true),
            ("*.example.", RecordType::A, GOOD, false),
        ] {
            let reply = world.ask(Query::new(name, qtype).dnssec());
            assert_eq!(
                (reply.rcode, !reply.answer.is_empty()),
                (rcode, answered),
                "{name} {qtype} {chain:?}"
            );
            assert_eq!(fault(&reply, name, qtype), Ok(()), "{name} {qtype} {chain:?}");
        }
    }
}
