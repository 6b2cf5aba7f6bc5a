//! Answers, compared with the primary's, and where they come from.

use std::net::UdpSocket;
use std::time::Duration;

use interop::secondo::Mark;
use interop::{
    Config, Pair, Plan, Port, Secondo, Software, Zone, datagram, dig, each_primary, peers, primary,
};

/// Names and types that together walk through RFC 1034 §4.3.2, RFC 2308, RFC 4592 and RFC 6672.
const QUESTIONS: &[(&str, &str)] = &[
    ("@", "SOA"),
    ("@", "NS"),
    ("@", "MX"),
    ("@", "TXT"),
    ("www", "A"),
    ("WWW", "A"),
    ("www", "AAAA"),
    ("nothing", "A"),
    ("below.nothing", "A"),
    ("alias", "A"),
    ("alias", "CNAME"),
    ("alias", "MX"),
    ("out", "A"),
    ("chain", "A"),
    ("dangling", "A"),
    ("one.wild", "TXT"),
    ("a.b.wild", "TXT"),
    ("one.wild", "A"),
    ("wild", "TXT"),
    ("*.wild", "TXT"),
    ("branch.tree", "TXT"),
    ("tree", "A"),
    ("leaf.branch.tree", "TXT"),
    ("child", "A"),
    ("child", "NS"),
    ("www.child", "A"),
    ("ns.child", "A"),
    ("here.moved", "A"),
    ("nothing.moved", "A"),
    ("moved", "A"),
    ("moved", "DNAME"),
];

fn answers_agree_with_the_primary(software: Software) {
    let mut zone = Zone::ordinary("agree.test.");
    zone.records.push("chain 300 IN CNAME alias".into());
    zone.records.push("dangling 300 IN CNAME not-there".into());
    let pair = Pair::start(software, &zone, None, &[]);
    let mut differences = String::new();
    for (name, qtype) in QUESTIONS {
        let name = if *name == "@" { zone.apex.clone() } else { format!("{name}.{}", zone.apex) };
        for transport in ["+notcp", "+tcp"] {
            let arguments = [name.as_str(), qtype, transport];
            let theirs = dig::ask(pair.primary.address(), &arguments);
            let ours = dig::ask(pair.secondo.address(), &arguments);
            if !ours.agrees_with(&theirs) {
                differences.push_str(&format!(
                    "{name} {qtype} {transport}\n theirs {}\n ours {}\n",
                    theirs.text, ours.text
                ));
            }
        }
    }
    assert!(differences.is_empty(), "{differences}");
}
each_primary!(answers_agree_with_the_primary);

#[test]
fn an_answer_leaves_from_the_address_that_was_asked() {
    if !peers::ready(&[Software::Knot]) {
        return;
    }
    let zone = Zone::ordinary("wildcard.test.");
    let primary = primary::start(Software::Knot, Plan::of(&zone));
    let port = Port::free();
    let everywhere = format!("0.0.0.0:{}", port.number());
    let config = Config::new().listen(&everywhere).primary("upstream", primary.address(), None).zone(
        &zone.apex,
        "upstream",
        &["allow-transfer: [{ address: 127.0.0.0/8 }]"],
    );
    let secondo = Secondo::start(port, &config);
    secondo.until_published(Mark::START, &zone.apex, zone.serial);
    let question = datagram::question(99, &zone.apex, 6);
    for last in [1, 2, 77] {
        let address = secondo.port().at(std::net::Ipv4Addr::new(127, 0, 0, last).into());
        // One that takes whatever comes tells where it came from.
        let client = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        client.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout can be set");
        client.send_to(&question, address).expect("loopback takes datagrams");
        let mut response = [0; 512];
        let (length, from) = client.recv_from(&mut response).expect("a response");
        assert_eq!(from, address);
        assert!(length > question.len() && datagram::rcode(&response) == 0);
        assert_eq!(dig::serial(address, &zone.apex), Some(zone.serial));
        let records = dig::zone(address, &zone.apex, None);
        assert!(!records.is_empty());
    }
}

#[test]
fn ipv4_and_ipv6_stand_side_by_side() {
    if !peers::ready(&[Software::Nsd]) {
        return;
    }
    if UdpSocket::bind("[::1]:0").is_err() {
        peers::skip("this machine has no IPv6 on loopback");
        return;
    }
    let zone = Zone::ordinary("both.test.");
    let primary = primary::start(Software::Nsd, Plan::of(&zone));
    let port = Port::free();
    let (four, six) = (format!("0.0.0.0:{}", port.number()), format!("[::]:{}", port.number()));
    let config = Config::new().listen(&four).listen(&six).primary("upstream", primary.address(), None).zone(
        &zone.apex,
        "upstream",
        &["allow-transfer: [{ address: 127.0.0.1 }, { address: \"::1\" }]"],
    );
    let secondo = Secondo::start(port, &config);
    secondo.until_published(Mark::START, &zone.apex, zone.serial);
    let six = secondo.port().at(std::net::Ipv6Addr::LOCALHOST.into());
    for address in [secondo.address(), six] {
        for transport in ["+notcp", "+tcp"] {
            let response = dig::ask(address, &[&zone.apex, "SOA", transport]);
            assert_eq!(response.status, "NOERROR", "{address}: {}", response.text);
        }
        dig::assert_same_zone(&zone.apex, primary.address(), None, address, None);
    }
}

#[test]
fn what_we_cannot_answer_is_refused_or_failed_with_the_reason() {
    if !peers::ready(&[]) {
        return;
    }
    let nobody = Port::free();
    let config = Config::new()
        .primary("nobody", nobody.at_loopback(), None)
        .zone("empty.test.", "nobody", &[])
        .zone("private.test.", "nobody", &["allow-query: [{ address: 192.0.2.0/24 }]"]);
    let secondo = Secondo::start(Port::free(), &config);
    let ask = |name: &str, more: &str| dig::ask(secondo.address(), &[name, "A", more]);
    let never_loaded = ask("www.empty.test.", "+edns");
    assert_eq!((never_loaded.status.as_str(), never_loaded.errors.as_slice()), ("SERVFAIL", &[14][..]));
    let not_allowed = ask("www.private.test.", "+edns");
    assert_eq!((not_allowed.status.as_str(), not_allowed.errors.as_slice()), ("REFUSED", &[18][..]));
    let not_ours = ask("www.elsewhere.test.", "+edns");
    assert_eq!((not_ours.status.as_str(), not_ours.errors.as_slice()), ("REFUSED", &[20][..]));
    // The reason goes only to those who speak EDNS.
    let plain = ask("www.empty.test.", "+noedns");
    assert!(
        plain.status == "SERVFAIL" && plain.errors.is_empty() && !plain.text.contains("OPT PSEUDO"),
        "{}",
        plain.text
    );
}

#[test]
fn a_large_answer_is_cut_over_udp_and_whole_over_tcp() {
    if !peers::ready(&[Software::Nsd]) {
        return;
    }
    let mut zone = Zone::ordinary("cut.test.");
    zone.records.extend(interop::zonefile::wide_rrset("wide"));
    let pair = Pair::start(Software::Nsd, &zone, None, &[]);
    let server = pair.secondo.address();
    for size in ["+bufsize=512", "+bufsize=1232", "+bufsize=4096", "+noedns"] {
        let response = dig::ask(server, &["wide.cut.test.", "TXT", "+ignore", "+notcp", size]);
        assert!(response.has_flag("tc"), "{size}: {}", response.text);
    }
    let response = dig::ask(server, &["wide.cut.test.", "TXT"]);
    assert_eq!(response.answer.len(), 100);
    assert!(!response.has_flag("tc"));
}
