//! Transfers and queries over TLS (RFC 9103, RFC 7858), with secondo on either side.

use std::net::SocketAddr;

use interop::bind::Bind;
use interop::dig::Client;
use interop::nsd::Nsd;
use interop::secondo::Mark;
use interop::tls::{Authority, Identity, Listener};
use interop::wait::SOON;
use interop::{Config, Key, Plan, Port, Primary, Secondo, Software, Zone, dig, peers, primary, wait};

const NAME: &str = "primary.example";

/// The terms of a primary, in its configuration.
fn terms(terms: &str) -> [String; 2] {
    ["transport: tls".to_owned(), format!("tls: {{ {terms} }}")]
}

/// A configuration of one zone that is fetched from `at` on these terms.
fn config(zone: &Zone, at: SocketAddr, key: Option<&Key>, words: &str) -> Config {
    let lines = terms(words);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let own = ["allow-transfer: [{ address: 127.0.0.1 }]", "retry-bounds: [1s, 1s]"];
    Config::new().primary_with("upstream", &[at], key, &lines).zone(&zone.apex, "upstream", &own)
}

/// A primary that lets zones go over TLS alone; where that is.
fn over_tls(
    software: Software,
    plan: Plan,
    identity: &Identity,
    mutual: bool,
) -> (Box<dyn Primary>, SocketAddr) {
    let port = Port::free();
    let at = port.at_loopback();
    (primary::start(software, plan.tls(Listener { identity: identity.clone(), port, mutual })), at)
}

#[test]
fn zones_and_their_changes_arrive_over_tls_from_whoever_is_trusted_in_each_mode() {
    if !peers::ready(&[Software::Bind]) {
        return;
    }
    let authority = Authority::fresh();
    let identity = authority.issue(NAME);
    let key = Key::make("both.key", "hmac-sha256");
    let shown = authority.issue("secondo.example").files();
    for (words, mutual) in [
        (identity.strict(NAME), false),
        (format!("mode: pin, pins: [\"{}\"]", identity.pin()), false),
        ("mode: opportunistic".to_owned(), false),
        (format!("{}, {shown}", identity.strict(NAME)), true),
    ] {
        let zone = Zone::ordinary("tls.test.").with_hosts(3000);
        let ours = Port::free();
        let plan = Plan::of(&zone).key(&key).notify(ours.at_loopback());
        let (mut bind, at) = over_tls(Software::Bind, plan, &identity, mutual);
        // Nothing is said of a zone over UDP, where everybody can hear it (RFC 9103 §7.5).
        let ear = std::net::UdpSocket::bind(at).expect("TLS leaves the port free over UDP");
        ear.set_nonblocking(true).expect("a socket can be told not to wait");
        let secondo = Secondo::start(ours, &config(&zone, at, Some(&key), &words));
        secondo.until_published(Mark::START, &zone.apex, zone.serial);
        let finished = secondo.zone_event(Mark::START, "transfer.finished", &zone.apex);
        assert_eq!((finished.text("transport"), finished.text("key")), ("tls", "both.key."), "{words}");
        let mark = secondo.mark();
        let next = zone.plus(&["new 60 IN A 192.0.2.99"]);
        bind.publish(&next);
        secondo.until_published(mark, &zone.apex, next.serial);
        let finished = secondo.zone_event(mark, "transfer.finished", &zone.apex);
        assert_eq!((finished.text("transport"), finished.text("kind")), ("tls", "ixfr"), "{words}");
        assert_eq!(secondo.zone_status(&zone.apex)["transport"], "tls");
        assert!(ear.recv(&mut [0; 512]).is_err(), "asked over UDP: {words}");
        let (_, refreshed) = secondo.control(&["refresh", &zone.apex]);
        assert!(refreshed.contains("current"), "{words}: {refreshed}");
        assert!(ear.recv(&mut [0; 512]).is_err(), "asked over UDP: {words}");
        let said = secondo.events().iter().any(|e| e.line().contains("opportunistic encrypts"));
        assert_eq!(said, words.contains("opportunistic"), "who trusts anybody is told so");
        let theirs =
            dig::transfer_with(Client::Kdig, at, &zone.apex, Some(&key), &client_of(mutual, &identity));
        let ours = dig::transfer(Client::Kdig, secondo.address(), &zone.apex, None);
        assert!(ours == theirs && ours.is_ok(), "{words}: kdig sees other zones, or none");
    }
}

/// Arguments of kdig towards a server that may want a certificate.
fn client_of(mutual: bool, identity: &Identity) -> Vec<&str> {
    let mut arguments = vec!["+tls"];
    let files: &'static str = if mutual {
        let (certificate, key) = (identity.certificate.display(), identity.key.display());
        format!("+tls-certfile={certificate} +tls-keyfile={key}").leak()
    } else {
        ""
    };
    arguments.extend(files.split_whitespace());
    arguments
}

#[test]
fn nobody_else_is_trusted_and_the_reason_is_told() {
    if !peers::ready(&[Software::Bind]) {
        return;
    }
    let (authority, stranger) = (Authority::fresh(), Authority::fresh());
    let identity = authority.issue(NAME);
    let zone = Zone::ordinary("wary.test.");
    let (bind, at) = over_tls(Software::Bind, Plan::of(&zone), &identity, false);
    let (_mutual, picky) = over_tls(Software::Bind, Plan::of(&zone), &identity, true);
    let nobody = "mode: pin, pins: [\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"]";
    let strict = identity.strict(NAME);
    for (words, at, reason) in [
        (identity.strict("other.example"), at, "tls-wrong-name"),
        (stranger.issue("x").strict(NAME), at, "tls-untrusted"),
        (nobody.to_owned(), at, "tls-pin-mismatch"),
        // BIND closes without a word.
        (strict.clone(), picky, "connection-reset"),
        (format!("{strict}, {}", stranger.issue("x").files()), picky, "connection-reset"),
    ] {
        let secondo = Secondo::start(Port::free(), &config(&zone, at, None, &words));
        let failed = secondo.zone_event(Mark::START, "transfer.failed", &zone.apex);
        let told = failed.text("reason");
        let right = told == reason || (at == picky && told == "tls-client-refused");
        assert!(right && failed.text("transport") == "tls", "{reason} expected: {}", failed.line());
        assert_eq!(secondo.zone_status(&zone.apex)["state"], "never-loaded");
    }
    // At the port of plain DNS.
    let secondo = Secondo::start(Port::free(), &config(&zone, bind.address(), None, "mode: opportunistic"));
    let failed = secondo.zone_event(Mark::START, "transfer.failed", &zone.apex);
    let reasons = ["tls-not-spoken", "tls-handshake", "timeout", "connection-reset"];
    assert!(reasons.contains(&failed.text("reason")), "{}", failed.line());
    assert_eq!(secondo.zone_status(&zone.apex)["state"], "never-loaded");
}

#[test]
fn nsd_gives_zones_over_tls_where_it_chooses_the_token() {
    if !peers::ready(&[Software::Nsd]) {
        return;
    }
    let identity = Authority::fresh();
    let identity = (identity.issue(NAME), identity);
    let zone = Zone::ordinary("nsd.test.").with_hosts(500);
    let (nsd, at) = over_tls(Software::Nsd, Plan::of(&zone), &identity.0, false);
    let secondo = Secondo::start(Port::free(), &config(&zone, at, None, &identity.0.strict(NAME)));
    let ended = || secondo.events().into_iter().find(|e| e.name().starts_with("transfer."));
    let ended = wait::until("the end of a transfer", SOON, || secondo.tail(), ended);
    if ended.name() == "transfer.failed" {
        // Releases before 4.11.1 do not choose it, and RFC 9103 §7.1 has no transfer without.
        assert_eq!(ended.text("reason"), "tls-alpn", "{}", ended.line());
        return;
    }
    secondo.until_published(Mark::START, &zone.apex, zone.serial);
    dig::assert_same_zone(&zone.apex, nsd.address(), None, secondo.address(), None);
}

/// secondo with a TLS listener beside its plain one, for a zone that BIND has; the port of the former.
fn serving(zone: &Zone, identity: &Identity, lines: &[&str]) -> (Box<dyn Primary>, Secondo, Port) {
    let ours = Port::free();
    let secure = Port::free();
    let bind = primary::start(Software::Bind, Plan::of(zone).notify(ours.at_loopback()));
    let config = Config::new()
        .listen(&ours.at_loopback().to_string())
        .more(&format!("tls: {{ {} }}", identity.files()))
        .primary("upstream", bind.address(), None)
        .zone(&zone.apex, "upstream", lines);
    let secondo = Secondo::prepare(ours, &config);
    let text = std::fs::read_to_string(secondo.configuration()).expect("it was just written");
    let both = format!("\", {{ address: \"{}\", transport: tls }}]", secure.at_loopback());
    secondo.configure_text(&text.replacen("\"]", &both, 1));
    let mut secondo = secondo;
    secondo.start_again();
    secondo.until_published(Mark::START, &zone.apex, zone.serial);
    (bind, secondo, secure)
}

#[test]
fn dig_and_kdig_are_answered_over_tls_in_whole_blocks_where_they_pad() {
    if !peers::ready(&[Software::Bind]) {
        return;
    }
    let authority = Authority::fresh();
    let identity = authority.issue("secondo.example");
    let zone = Zone::ordinary("dot.test.").with_hosts(300);
    let (_bind, _secondo, secure) = serving(&zone, &identity, &[]);
    let port = secure.number().to_string();
    let ca = format!("+tls-ca={}", identity.authority.display());
    for (program, padding, size) in [
        ("kdig", "+padding=128", ";; Received 468 B"),
        ("dig", "+padding=128", ";; MSG SIZE  rcvd: 468"),
        ("kdig", "+nopadding", ";; Received "),
        ("dig", "+qr", ";; MSG SIZE  rcvd: "),
    ] {
        let arguments = [
            "@127.0.0.1",
            "-p",
            &port,
            &ca,
            "+tls-hostname=secondo.example",
            padding,
            "+edns",
            &zone.apex,
            "SOA",
        ];
        let text = dig::run(program, &arguments);
        assert!(text.contains("NOERROR") && text.contains(size), "{program}: {text}");
        let whole = text.contains("rcvd: 468") || text.contains("Received 468");
        assert_eq!(whole, padding == "+padding=128", "{program}: {text}");
    }
    // Who does not know the authority is warned by its own client.
    let stranger = format!("+tls-ca={}", Authority::fresh().issue("x").authority.display());
    let text = dig::run(
        "dig",
        &["@127.0.0.1", "-p", &port, &stranger, "+tls-hostname=secondo.example", &zone.apex, "SOA"],
    );
    assert!(!text.contains("NOERROR"), "{text}");
}

#[test]
fn others_take_zones_over_tls_and_only_so_where_that_is_asked_for() {
    if !peers::ready(&[Software::Bind, Software::Nsd]) {
        return;
    }
    let authority = Authority::fresh();
    let identity = authority.issue("secondo.example");
    let zone = Zone::ordinary("onward.test.").with_hosts(2000);
    let (below_bind, below_nsd) = (Port::free(), Port::free());
    let told = format!(
        "also-notify: [{{ address: \"{}\" }}, {{ address: \"{}\" }}]",
        below_bind.at_loopback(),
        below_nsd.at_loopback()
    );
    let lines = ["allow-transfer: [{ address: 127.0.0.1, transport: tls }]", &told];
    let (mut top, secondo, secure) = serving(&zone, &identity, &lines);
    assert_eq!(dig::refusal(secondo.address(), &zone.apex, "AXFR", None), "REFUSED");
    for client in [Client::Dig, Client::Kdig] {
        let records = dig::transfer_with(client, secure.at_loopback(), &zone.apex, None, &["+tls"]);
        let source = dig::transfer(client, top.address(), &zone.apex, None);
        assert!(records == source && source.is_ok(), "{client:?} sees other zones, or none");
    }
    let sent = secondo.zone_event(Mark::START, "downstream.transfer", &zone.apex);
    assert_eq!(sent.text("transport"), "tls", "{}", sent.line());

    let (ca, at) = (&identity.authority, secure.at_loopback());
    let bind = Bind::secondary_over_tls(&zone.apex, below_bind, at, "secondo.example", ca);
    let nsd = Nsd::secondary_over_tls(&zone.apex, below_nsd, at, "secondo.example", ca);
    let bottoms: [&dyn Primary; 2] = [&bind, &nsd];
    bottoms.iter().for_each(|bottom| bottom.until_serving(&zone, SOON));
    let next = zone.plus(&["new 60 IN A 192.0.2.99"]);
    top.publish(&next);
    for bottom in bottoms {
        bottom.until_serving(&next, SOON);
        dig::assert_same_zone(&zone.apex, top.address(), None, bottom.address(), None);
    }
}

#[test]
fn a_reload_shows_another_certificate_and_a_broken_one_changes_nothing() {
    if !peers::ready(&[Software::Bind]) {
        return;
    }
    let (old, new) = (Authority::fresh(), Authority::fresh());
    let identity = old.issue("secondo.example");
    let renewed = new.issue("secondo.example");
    let zone = Zone::ordinary("renewed.test.");
    let (_bind, mut secondo, secure) = serving(&zone, &identity, &[]);
    let port = secure.number().to_string();
    let trusts = |identity: &Identity| {
        let ca = format!("+tls-ca={}", identity.authority.display());
        let arguments =
            ["@127.0.0.1", "-p", &port, &ca, "+tls-hostname=secondo.example", "+retry=0", &zone.apex, "SOA"];
        dig::run("kdig", &arguments).contains("NOERROR")
    };
    assert!(trusts(&identity) && !trusts(&renewed));

    let sound = std::fs::read(&identity.certificate).expect("it is there");
    std::fs::write(&identity.certificate, "of no use").expect("it is ours");
    let mark = secondo.mark();
    secondo.hang_up();
    secondo.event(mark, "daemon.reloaded", |e| e.line().contains("has no certificate"));
    assert!(trusts(&identity));
    std::fs::write(&identity.certificate, sound).expect("it is ours");

    for (from, to) in [(&renewed.certificate, &identity.certificate), (&renewed.key, &identity.key)] {
        std::fs::copy(from, to).expect("both are ours");
    }
    let mark = secondo.mark();
    secondo.hang_up();
    secondo.event(mark, "daemon.reloaded", |e| {
        e.line().contains("another certificate") && e.line().contains(" until 4096-01-01 ")
    });
    assert!(trusts(&renewed) && !trusts(&identity));

    // One that has ended: taken, for a broken one would be worse than an old one, but said wherever one looks.
    let ended = new.issue_until("secondo.example", 2020);
    for (from, to) in [(&ended.certificate, &identity.certificate), (&ended.key, &identity.key)] {
        std::fs::copy(from, to).expect("both are ours");
    }
    let mark = secondo.mark();
    let reload = secondo.order(&["reload"]);
    let file = identity.certificate.display();
    let words = format!(
        "another certificate is shown from now on: {file}, good from 1975-01-01 00:00:00 UTC until 2020-01-01"
    );
    assert!(reload.output.starts_with(&words), "{reload:?}");
    secondo.event(mark, "certificate.expired", |e| e.text("detail").contains("ended 2020-01-01"));
    let status = secondo.order(&["status", "--problems"]);
    let words = format!("certificate-expired: the certificate in {file} ended 2020-01-01 00:00:00 UTC");
    assert!(status.code == Some(1) && status.output.contains(&words), "{status:?}");
    assert_eq!(secondo.status()["server"][0]["code"], "certificate-expired");
    let configuration = secondo.configuration();
    let arguments = ["check", "--config", &configuration.to_string_lossy()];
    let check = interop::process::outcome(interop::secondo::binary(), &arguments);
    assert!(check.code == Some(0) && check.errors.contains("ended 2020-01-01"), "{check:?}");
}
