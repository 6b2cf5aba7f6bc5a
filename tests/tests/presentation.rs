//! What `secondo dump` prints is a master file (RFC 1035 §5): the servers load it, and have the same zone again.

use interop::types;
use interop::{
    Config, Folder, Plan, Port, Secondo, Software, Zone, dig, each_primary, primary, wait, zonefile,
};

/// Every type and odd names, from a server through us to another of its kind, which has nothing but our text.
fn a_dump_is_loaded_as_the_same_zone(software: Software) {
    let base = Zone::of("types.test.", vec!["@ 300 IN NS ns.elsewhere.test.".into()]);
    let mut specimens = types::every_type();
    specimens.extend(types::odd_names(base.apex_length()));
    let folder = Folder::fresh();
    let (mut zone, refused) = types::loadable(software, &base, &specimens, folder.path());
    assert!(refused.len() < 8, "{software} refuses {refused:?}");
    zone.records.extend(zonefile::wide_rrset("wide"));
    let first = primary::start(software, Plan::of(&zone));
    let config = Config::new().primary("upstream", first.address(), None).zone(&zone.apex, "upstream", &[]);
    let secondo = Secondo::start(Port::free(), &config);
    secondo.until_serving(&zone.apex, zone.serial, wait::SOON);

    let dump = secondo.order(&["dump", &zone.apex]);
    assert_eq!(dump.code, Some(0), "{}\n{}", dump.errors, secondo.tail());
    let (soa, records): (Vec<&str>, Vec<&str>) =
        dump.output.lines().partition(|line| line.split(' ').nth(3) == Some("SOA"));
    assert_eq!(soa.len(), 1, "{soa:?}");
    assert!(soa[0].starts_with(&format!("{} 3600 IN SOA ", zone.apex)), "{}", soa[0]);
    // The SOA of a master file here is the same one; everything else is what we wrote.
    let copy = Zone { records: records.into_iter().map(str::to_owned).collect(), ..zone.clone() };
    assert!(copy.records.len() > 200, "the dump has {} records", copy.records.len());
    let second = primary::start(software, Plan::of(&copy));
    dig::assert_same_zone(&zone.apex, first.address(), None, second.address(), None);
}
each_primary!(a_dump_is_loaded_as_the_same_zone, bind Bind, knot Knot, nsd Nsd);
