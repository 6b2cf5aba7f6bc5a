//! The harness itself: other secondaries take the place of ours, so that a failure elsewhere is not the harness's.

use interop::bind::Bind;
use interop::dig;
use interop::knot::Knot;
use interop::nsd::Nsd;
use interop::primary::{self, Plan, Primary};
use interop::proxy::{self, Act, Proxy, qtype};
use interop::signer;
use interop::wait::SOON;
use interop::{Key, Port, Software, Zone, each_primary, peers};

/// Every primary feeds another server; a change is notified, transferred and compared.
fn another_secondary_gets_what_the_primary_serves(software: Software) {
    let key = Key::make("feed.test", "hmac-sha256");
    let zone = Zone::ordinary("harness.test.").with_hosts(50);
    let port = Port::free();
    let plan = Plan::of(&zone).key(&key).notify(port.at_loopback());
    let mut primary = primary::start(software, plan);
    let secondary: Box<dyn Primary> = match software {
        Software::Bind => Box::new(Knot::secondary(&[&zone.apex], port, primary.address(), Some(&key))),
        Software::Knot => Box::new(Nsd::secondary(&[&zone.apex], port, primary.address(), Some(&key))),
        Software::Nsd | Software::Pdns => {
            Box::new(Bind::secondary(&[&zone.apex], port, primary.address(), Some(&key)))
        }
    };
    secondary.until_serving(&zone, SOON);
    dig::assert_same_zone(&zone.apex, primary.address(), Some(&key), secondary.address(), None);
    let mut next = zone.plus(&["new 60 IN A 192.0.2.77"]).minus("host7 ");
    next.serial = zone.serial + 1;
    primary.publish(&next);
    let (argument, from) = (key.argument(), format!("IXFR={}", zone.serial));
    let difference = dig::ask(primary.address(), &["-y", &argument, &zone.apex, &from, "+tcp"]);
    // Four SOAs, one record gone, one new, and one that NSD 4.6 adds though it was there; or else the whole zone.
    let count = difference.answer.iter().filter(|r| !r.contains(" TSIG ")).count();
    assert!(
        if software.offers_ixfr() { (6..=7).contains(&count) } else { count > 50 },
        "{}",
        difference.text
    );
    secondary.until_serving(&next, SOON);
    let records = dig::assert_same_zone(&zone.apex, primary.address(), Some(&key), secondary.address(), None);
    assert!(records.iter().any(|r| r.starts_with("new.harness.test. ")), "{records:?}");
    assert!(
        dig::transfer(dig::Client::Dig, primary.address(), &zone.apex, None).is_err(),
        "without the key nothing"
    );
    let wrong = key.with_other_secret();
    assert!(dig::transfer(dig::Client::Dig, primary.address(), &zone.apex, Some(&wrong)).is_err());
    assert!(dig::transfer(dig::Client::Kdig, primary.address(), &zone.apex, Some(&wrong)).is_err());
    primary.stop();
    assert_eq!(dig::serial(primary.address(), &zone.apex), None);
    primary.start();
    primary.until_serving(&next, SOON);
}
each_primary!(another_secondary_gets_what_the_primary_serves);

#[test]
fn the_proxy_changes_what_it_is_told_to() {
    if !peers::ready(&[Software::Bind]) {
        return;
    }
    let zone = Zone::ordinary("proxied.test.").with_hosts(4000);
    let primary = primary::start(Software::Bind, Plan::of(&zone));
    let proxy = Proxy::before(primary.address());
    dig::assert_same_zone(&zone.apex, primary.address(), None, proxy.address(), None);
    assert_eq!(dig::serial(proxy.address(), &zone.apex), Some(zone.serial));

    proxy.rule(|p| if p.asked == qtype::AXFR && p.index == 1 { Act::Cut } else { Act::Pass });
    assert!(
        dig::transfer(dig::Client::Dig, proxy.address(), &zone.apex, None).is_err(),
        "a zone has two messages"
    );
    proxy.rule(|p| if p.udp { Act::Replace(proxy::error(p.bytes, 2)) } else { Act::Pass });
    assert_eq!(dig::ask(proxy.address(), &[&zone.apex, "SOA", "+notcp"]).status, "SERVFAIL");
    assert_eq!(dig::ask(proxy.address(), &[&zone.apex, "SOA", "+tcp"]).status, "NOERROR");
    proxy.honest();
    assert_eq!(dig::ask(proxy.address(), &[&zone.apex, "SOA", "+notcp"]).status, "NOERROR");
}

#[test]
fn signed_zones_are_loaded() {
    if !peers::ready(&[Software::Bind]) || signer::PROGRAMS.iter().any(|p| peers::find(p).is_none()) {
        return;
    }
    let zone = signer::signed(&Zone::ordinary("signed.test."), signer::Denial::Nsec3);
    let primary = primary::start(Software::Bind, Plan::of(&zone));
    let answer = dig::ask(primary.address(), &["nothing.signed.test.", "A", "+dnssec"]);
    assert!(answer.status == "NXDOMAIN" && answer.text.contains("NSEC3"), "{}", answer.text);
}
