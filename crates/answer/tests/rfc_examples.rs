//! The examples that the RFCs give, question by question.

mod common;

use common::{Reply, World, zone};
use secondo_wire::{Rcode, RecordType};

/// RFC 1034 §6.1: the zones of C.ISI.EDU, TTLs left aside.
fn c_isi_edu() -> World {
    let root = zone(
        ".",
        "@ NS A.ISI.EDU.
         @ NS C.ISI.EDU.
         @ NS SRI-NIC.ARPA.
         MIL NS SRI-NIC.ARPA.
         MIL NS A.ISI.EDU.
         EDU NS SRI-NIC.ARPA.
         EDU NS C.ISI.EDU.
         SRI-NIC.ARPA A 26.0.0.73
         SRI-NIC.ARPA A 10.0.0.51
         SRI-NIC.ARPA MX 0 SRI-NIC.ARPA.
         SRI-NIC.ARPA HINFO DEC-2060 TOPS20
         ACC.ARPA A 26.6.0.65
         ACC.ARPA HINFO PDP-11/70 UNIX
         ACC.ARPA MX 10 ACC.ARPA.
         USC-ISIC.ARPA CNAME C.ISI.EDU.
         73.0.0.26.IN-ADDR.ARPA PTR SRI-NIC.ARPA.
         65.0.6.26.IN-ADDR.ARPA PTR ACC.ARPA.
         51.0.0.10.IN-ADDR.ARPA PTR SRI-NIC.ARPA.
         52.0.0.10.IN-ADDR.ARPA PTR C.ISI.EDU.
         103.0.3.26.IN-ADDR.ARPA PTR A.ISI.EDU.
         A.ISI.EDU A 26.3.0.103
         C.ISI.EDU A 10.0.0.52",
    );
    let edu = zone(
        "EDU.",
        "@ NS SRI-NIC.ARPA.
         @ NS C.ISI.EDU.
         UCI NS ICS.UCI
         UCI NS ROME.UCI
         ICS.UCI A 192.5.19.1
         ROME.UCI A 192.5.19.31
         ISI NS VAXA.ISI
         ISI NS A.ISI
         ISI NS VENERA.ISI
         VAXA.ISI A 10.2.0.27
         VAXA.ISI A 128.9.0.33
         VENERA.ISI A 10.1.0.52
         VENERA.ISI A 128.9.0.32
         A.ISI A 26.3.0.103
         UDEL NS LOUIE.UDEL
         UDEL NS UMN-REI-UC.ARPA.
         LOUIE.UDEL A 10.0.0.96
         LOUIE.UDEL A 192.5.39.3",
    );
    World::new([root, edu])
}

fn sorted(lines: &[String]) -> Vec<&str> {
    let mut lines: Vec<&str> = lines.iter().map(|line| &**line).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn rfc_1034_section_6_2_1_an_address_is_answered_with_authority() {
    let reply = c_isi_edu().get("SRI-NIC.ARPA.", RecordType::A);
    assert!(reply.aa && reply.rcode == Rcode::NOERROR);
    assert_eq!(sorted(&reply.answer), ["SRI-NIC.ARPA. 600 A 10.0.0.51", "SRI-NIC.ARPA. 600 A 26.0.0.73"]);
    assert!(reply.authority.is_empty() && reply.additional.is_empty());
}

#[test]
fn rfc_1034_section_6_2_2_any_over_tcp_gives_all_types() {
    let reply = c_isi_edu().ask_tcp(common::Query::new("SRI-NIC.ARPA.", RecordType::ANY));
    assert!(reply.aa && reply.rcode == Rcode::NOERROR);
    let types: Vec<_> = sorted(&reply.answer).iter().map(|l| l.split(' ').nth(2).unwrap()).collect();
    assert_eq!(types, ["A", "A", "HINFO", "MX"]);
}

#[test]
fn rfc_1034_section_6_2_3_an_exchange_brings_its_addresses() {
    let reply = c_isi_edu().get("SRI-NIC.ARPA.", RecordType::MX);
    assert!(reply.aa);
    assert_eq!(reply.answer, ["SRI-NIC.ARPA. 600 MX 0 SRI-NIC.ARPA."]);
    assert_eq!(sorted(&reply.additional), ["SRI-NIC.ARPA. 600 A 10.0.0.51", "SRI-NIC.ARPA. 600 A 26.0.0.73"]);
}

#[test]
fn rfc_1034_section_6_2_4_a_name_without_the_type_has_no_data() {
    let reply = c_isi_edu().get("SRI-NIC.ARPA.", RecordType::NS);
    assert!(reply.aa && reply.rcode == Rcode::NOERROR && reply.answer.is_empty());
    assert!(reply.authority[0].starts_with(". 300 SOA "), "{:?}", reply.authority);
}

#[test]
fn rfc_1034_section_6_2_5_a_mistyped_name_does_not_exist() {
    let reply = c_isi_edu().get("SIR-NIC.ARPA.", RecordType::A);
    assert!(reply.aa && reply.rcode == Rcode::NXDOMAIN && reply.answer.is_empty());
    assert!(reply.authority.len() == 1 && reply.authority[0].starts_with(". 300 SOA "));
}

#[test]
fn rfc_1034_section_6_2_6_a_name_of_another_zone_is_referred() {
    let reply = c_isi_edu().get("BRL.MIL.", RecordType::A);
    assert!(!reply.aa && reply.rcode == Rcode::NOERROR && reply.answer.is_empty());
    assert_eq!(sorted(&reply.authority), ["MIL. 600 NS A.ISI.EDU.", "MIL. 600 NS SRI-NIC.ARPA."]);
    assert_eq!(
        sorted(&reply.additional),
        ["A.ISI.EDU. 600 A 26.3.0.103", "SRI-NIC.ARPA. 600 A 10.0.0.51", "SRI-NIC.ARPA. 600 A 26.0.0.73"]
    );
}

#[test]
fn rfc_1034_section_6_2_7_an_alias_into_another_zone_ends_in_a_referral() {
    let reply = c_isi_edu().get("USC-ISIC.ARPA.", RecordType::A);
    assert!(reply.aa && reply.rcode == Rcode::NOERROR);
    assert_eq!(reply.answer, ["USC-ISIC.ARPA. 600 CNAME C.ISI.EDU."]);
    assert_eq!(
        sorted(&reply.authority),
        ["ISI.EDU. 600 NS A.ISI.EDU.", "ISI.EDU. 600 NS VAXA.ISI.EDU.", "ISI.EDU. 600 NS VENERA.ISI.EDU."]
    );
    assert_eq!(reply.additional.len(), 5);
}

#[test]
fn rfc_1034_section_6_2_8_an_alias_asked_for_is_not_followed() {
    let reply = c_isi_edu().get("USC-ISIC.ARPA.", RecordType::CNAME);
    assert!(reply.aa && reply.authority.is_empty() && reply.additional.is_empty());
    assert_eq!(reply.answer, ["USC-ISIC.ARPA. 600 CNAME C.ISI.EDU."]);
}

/// RFC 4592 §2.2.1.
fn wildcards() -> World {
    World::new([zone(
        "example.",
        "@ NS ns.example.com.
         @ NS ns.example.net.
         * TXT this-is-a-wildcard
         * MX 10 host1
         sub.* TXT this-is-not-a-wildcard
         host1 A 192.0.2.1
         _ssh._tcp.host1 SRV host1
         _ssh._tcp.host2 SRV host1
         subdel NS ns.example.com.
         subdel NS ns.example.net.",
    )])
}

fn no_data(reply: &Reply) -> bool {
    reply.aa && reply.rcode == Rcode::NOERROR && reply.answer.is_empty() && reply.authority.len() == 1
}

#[test]
fn rfc_4592_section_2_2_1_names_that_do_not_exist_are_synthesised() {
    let world = wildcards();
    let reply = world.get("host3.example.", RecordType::MX);
    assert!(reply.aa && reply.rcode == Rcode::NOERROR);
    assert_eq!(reply.answer, ["host3.example. 600 MX 10 host1.example."]);
    assert_eq!(reply.additional, ["host1.example. 600 A 192.0.2.1"]);
    // The wildcard stands for the name, but has no A.
    assert!(no_data(&world.get("host3.example.", RecordType::A)));
    let reply = world.get("foo.bar.example.", RecordType::TXT);
    assert_eq!(reply.answer, ["foo.bar.example. 600 TXT this-is-a-wildcard"]);
}

#[test]
fn rfc_4592_section_2_2_1_names_that_exist_are_not_synthesised() {
    let world = wildcards();
    // It exists.
    assert!(no_data(&world.get("host1.example.", RecordType::MX)));
    // So does this.
    assert!(no_data(&world.get("sub.*.example.", RecordType::MX)));
    // Its parent exists, so the wildcard at the apex does not reach it.
    let reply = world.get("_telnet._tcp.host1.example.", RecordType::SRV);
    assert!(reply.rcode == Rcode::NXDOMAIN && reply.aa);
    // It lies below a cut.
    let reply = world.get("host.subdel.example.", RecordType::A);
    assert!(!reply.aa && reply.rcode == Rcode::NOERROR && reply.answer.is_empty());
    assert_eq!(
        sorted(&reply.authority),
        ["subdel.example. 600 NS ns.example.com.", "subdel.example. 600 NS ns.example.net."]
    );
    // The closest encloser is the wildcard itself, which has no wildcard below it.
    let reply = world.get("ghost.*.example.", RecordType::MX);
    assert_eq!(reply.rcode, Rcode::NXDOMAIN);
    // RFC 4592 §2.2.2: an empty non-terminal exists, and blocks the wildcard.
    assert!(no_data(&world.get("host2.example.", RecordType::MX)));
    assert!(no_data(&world.get("_tcp.host2.example.", RecordType::TXT)));
    assert_eq!(world.get("x.host2.example.", RecordType::TXT).rcode, Rcode::NXDOMAIN);
}

#[test]
fn rfc_4592_section_2_1_3_the_wildcard_itself_can_be_asked_for() {
    let world = wildcards();
    assert_eq!(world.get("*.example.", RecordType::MX).answer, ["*.example. 600 MX 10 host1.example."]);
    assert!(no_data(&world.get("*.example.", RecordType::A)));
}

#[test]
fn rfc_4592_section_4_wildcards_with_ns_dname_and_cname_are_ordinary_data() {
    let world = World::new([zone(
        "example.",
        "*.ns NS elsewhere.test.
         *.alias CNAME target
         target A 192.0.2.9
         *.dname DNAME elsewhere.test.
         below.*.empty A 192.0.2.1",
    )]);
    let reply = world.get("a.ns.example.", RecordType::NS);
    assert!(reply.aa);
    assert_eq!(reply.answer, ["a.ns.example. 600 NS elsewhere.test."]);
    assert!(no_data(&world.get("a.ns.example.", RecordType::A)));
    let reply = world.get("a.b.alias.example.", RecordType::A);
    assert_eq!(
        reply.answer,
        ["a.b.alias.example. 600 CNAME target.example.", "target.example. 600 A 192.0.2.9"]
    );
    assert!(no_data(&world.get("x.a.dname.example.", RecordType::A)));
    let reply = world.get("a.dname.example.", RecordType::DNAME);
    assert_eq!(reply.answer, ["a.dname.example. 600 DNAME elsewhere.test."]);
    // RFC 4592 §4.9: an empty non-terminal wildcard.
    assert!(no_data(&world.get("a.empty.example.", RecordType::A)));
}
