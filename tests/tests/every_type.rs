//! Every RR type and odd names, byte for byte (RFC 3597, RFC 1035 §5.1, RFC 4343).

use interop::types::{self, Specimen};
use interop::{
    Config, Folder, Key, Plan, Port, Secondo, Software, Zone, dig, each_primary, primary, zonefile,
};

/// All types in one zone with odd names and an RRset of 60 KiB.
fn every_type_and_odd_names_arrive_byte_for_byte(software: Software) {
    let base = Zone::of("types.test.", vec!["@ 300 IN NS ns.elsewhere.test.".into()]);
    let mut specimens = types::every_type();
    specimens.extend(types::odd_names(base.apex_length()));
    let folder = Folder::fresh();
    let (mut zone, refused) = types::loadable(software, &base, &specimens, folder.path());
    zone.records.extend(zonefile::wide_rrset("wide"));
    zone.records.push("ttl-zero 0 IN TXT \"never cached\"".into());
    zone.records.push("ttl-longest 2147483647 IN TXT \"for 68 years\"".into());
    eprintln!(
        "{software} loads {} of {}; not: {refused:?}",
        specimens.len() - refused.len(),
        specimens.len()
    );
    assert!(refused.len() * 4 < specimens.len(), "{software} refuses more than expected: {refused:?}");

    let key = Key::make("types-key", "hmac-sha256");
    let port = Port::free();
    let primary = primary::start(software, Plan::of(&zone).key(&key).notify(port.at_loopback()));
    let config = Config::new().primary("upstream", primary.address(), Some(&key)).zone(
        &zone.apex,
        "upstream",
        &["allow-transfer: [{ address: 127.0.0.1 }]"],
    );
    let secondo = Secondo::start(port, &config);
    secondo.until_serving(&zone.apex, zone.serial, interop::wait::SOON);
    let records = dig::assert_same_zone(&zone.apex, primary.address(), Some(&key), secondo.address(), None);
    assert!(records.len() > 150, "the zone holds {} records", records.len());
}
each_primary!(every_type_and_odd_names_arrive_byte_for_byte);

/// The example of RFC 2317 §4: a zone whose own name holds a slash.
fn a_zone_named_as_rfc_2317_says(software: Software) {
    let records = ["@ 300 IN NS ns.elsewhere.test.", "1 300 IN PTR host1.test.", "2 300 IN PTR Host2.test."];
    let zone = Zone::of("0/25.2.0.192.in-addr.arpa.", records.map(str::to_owned).to_vec());
    let primary = primary::start(software, Plan::of(&zone));
    let config = Config::new().primary("upstream", primary.address(), None).zone(
        &zone.apex,
        "upstream",
        &["allow-transfer: [{ address: 127.0.0.1 }]"],
    );
    let secondo = Secondo::start(Port::free(), &config);
    secondo.until_serving(&zone.apex, zone.serial, interop::wait::SOON);
    dig::assert_same_zone(&zone.apex, primary.address(), None, secondo.address(), None);
    let question = ["2.0/25.2.0.192.in-addr.arpa.", "PTR"];
    let (theirs, ours) = (dig::ask(primary.address(), &question), dig::ask(secondo.address(), &question));
    assert_eq!(ours.answer.len(), 1, "{}", ours.text);
    assert!(ours.agrees_with(&theirs), "{}", ours.text);
}
each_primary!(a_zone_named_as_rfc_2317_says);

/// What each primary loads is looked at without a secondary: the table itself must be right.
fn the_primary_loads_most_specimens(software: Software) {
    let base = Zone::of("types.test.", vec!["@ 300 IN NS ns.elsewhere.test.".into()]);
    let mut specimens: Vec<Specimen> = types::every_type();
    specimens.extend(types::odd_names(base.apex_length()));
    let folder = Folder::fresh();
    let (mut zone, refused) = types::loadable(software, &base, &specimens, folder.path());
    zone.records.extend(zonefile::wide_rrset("wide"));
    let primary = primary::start(software, Plan::of(&zone));
    let records = dig::zone(primary.address(), &zone.apex, None);
    assert!(refused.len() < 8, "{software} refuses {refused:?}");
    assert!(records.len() > 200, "{software} serves {} records", records.len());
}
each_primary!(the_primary_loads_most_specimens);
