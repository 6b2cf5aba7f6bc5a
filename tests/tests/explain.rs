//! `explain` names what to change on each of the usual primaries.

use interop::pair::Setting;
use interop::secondo::Mark;
use interop::{Config, Key, Pair, Plan, Port, Secondo, Software, Zone, each_primary, peers, primary, wait};

/// The words of `explain` once a primary gave this kind of answer.
fn explained(pair: &Pair, zone: &Zone, right: impl Fn(&str) -> bool) -> String {
    pair.secondo.zone_event(Mark::START, "transfer.failed", &zone.apex);
    let mut last = String::new();
    wait::until(
        "the explanation",
        wait::SOON,
        || pair.secondo.tail(),
        || {
            let outcome = pair.secondo.order(&["explain", &zone.apex]);
            assert_eq!(outcome.code, Some(1), "{outcome:?}");
            last.clone_from(&outcome.output);
            right(&outcome.output).then_some(())
        },
    );
    last
}

fn assert_has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no {word:?} in\n{text}");
    }
}

/// The lines for this software among those that `explain` gives, without their common indent.
fn lines_for(text: &str, software: Software) -> String {
    let name = match software {
        Software::Bind => "BIND",
        Software::Knot => "Knot DNS",
        Software::Nsd => "NSD",
        Software::Pdns => "PowerDNS",
    };
    // Advice is indented by two, its lines to copy stand below a head with four.
    let is_head =
        |line: &&str| line.starts_with("    ") && !line.starts_with("     ") && line.trim().starts_with(name);
    let lines: Vec<&str> = text
        .lines()
        .skip_while(|line| !is_head(line))
        .skip(1)
        .take_while(|line| line.starts_with("      "))
        .map(|line| &line[6..])
        .collect();
    assert!(!lines.is_empty(), "no lines for {name} in\n{text}");
    lines.join("\n") + "\n"
}

/// The software itself takes the lines that it was told, each where they belong.
fn assert_taken(software: Software, permission: &str, definition: &str, key: &Key) {
    let folder = interop::Folder::fresh();
    let definition = definition.replace('…', &key.secret);
    let (program, text) = match software {
        Software::Bind => (
            "named-checkconf",
            format!("{definition}zone \"closed.test\" {{ type primary; file \"z\"; {permission} }};\n"),
        ),
        Software::Knot => ("knotc", format!("{definition}{permission}")),
        Software::Nsd => {
            ("nsd-checkconf", format!("{definition}zone:\n  name: closed.test\n  zonefile: z\n{permission}"))
        }
        Software::Pdns => return,
    };
    let path = folder.path().join("conf");
    std::fs::write(&path, &text).expect("our own folder is writable");
    let path = path.to_string_lossy();
    let arguments: &[&str] = if program == "knotc" { &["-c", &path, "conf-check"] } else { &[&path] };
    let outcome = interop::process::outcome(&peers::program(program), arguments);
    assert_eq!(outcome.code, Some(0), "{program}: {outcome:?}\n{text}");
}

/// The primary wants a key, and we come without one: whatever it calls that, the access list is named.
fn a_missing_permission_names_the_line_to_add(software: Software) {
    let key = Key::make("transfer.key", "hmac-sha256");
    let zone = Zone::ordinary("closed.test.");
    let primary = primary::start(software, Plan::of(&zone).key(&key));
    let config = Config::new().primary("upstream", primary.address(), None).zone(&zone.apex, "upstream", &[]);
    let pair = Pair { primary, secondo: Secondo::start(Port::free(), &config), key: None };
    let failed = pair.secondo.zone_event(Mark::START, "transfer.failed", &zone.apex);
    assert!(["refused", "notauth"].contains(&failed.text("reason")), "{}", failed.line());
    let text = explained(&pair, &zone, |text| text.contains("On the primary:"));
    let us = "127.0.0.1";
    assert_has(&text, &["upstream", "must have the zone closed.test", us]);
    let line = lines_for(&text, software);
    match software {
        Software::Bind => assert_has(&line, &["allow-transfer { 127.0.0.1; };"]),
        Software::Knot => assert_has(&line, &["acl:", "address: 127.0.0.1", "action: transfer"]),
        Software::Nsd => assert_has(&line, &["provide-xfr: 127.0.0.1 NOKEY"]),
        Software::Pdns => assert_has(&line, &["ALLOW-AXFR-FROM 127.0.0.1"]),
    }
    assert_taken(software, &line, "", &key);
}
each_primary!(a_missing_permission_names_the_line_to_add);

/// As the software's own manual has it.
fn definition_of(key: &Key, software: Software) -> String {
    let (name, algorithm) = (&key.name, &key.algorithm);
    match software {
        Software::Bind => format!("key \"{name}\" {{ algorithm {algorithm}; secret \"…\"; }};\n"),
        Software::Knot => format!("key:\n  - id: {name}\n    algorithm: {algorithm}\n    secret: …\n"),
        _ => format!("key:\n  name: {name}\n  algorithm: {algorithm}\n  secret: \"…\"\n"),
    }
}

/// A key that the primary does not have.
fn an_unknown_key_is_named_with_its_algorithm(software: Software) {
    let key = Key::make("transfer.key", "hmac-sha256");
    let stranger = Key::make("stranger.key", "hmac-sha256");
    let zone = Zone::ordinary("stranger.test.");
    let pair = Setting::of(software, &zone).key(&key).our_key(&stranger).launch();
    let text =
        explained(&pair, &zone, |text| text.contains("On the primary:") || text.contains("on the primary:"));
    assert_has(&text, &["with key stranger.key. (hmac-sha256): ", "stranger.key"]);
    let line = lines_for(&text, software);
    assert_has(&line, &["stranger.key"]);
    if text.contains("add the key on the primary:") {
        assert_taken(software, "", &line, &stranger);
    } else if text.contains("must have the zone") {
        let key = definition_of(&stranger, software);
        assert_taken(software, &line, &key, &stranger);
    }
    let status = pair.secondo.zone_status(&zone.apex);
    let reason = status["last_error"]["reason"].as_str().unwrap_or_default().to_owned();
    eprintln!("{software:?}: {reason}\n{text}");
    if reason == "tsig-badkey" {
        assert_has(&text, &["does not know a key stranger.key with algorithm hmac-sha256"]);
    }
    let problems = status["problems"].as_array().cloned().unwrap_or_default();
    assert!(problems.contains(&reason.into()) && problems.contains(&"never-loaded".into()), "{status}");
}
each_primary!(an_unknown_key_is_named_with_its_algorithm);

/// The same name, another secret.
fn a_wrong_secret_is_told_as_such(software: Software) {
    let key = Key::make("transfer.key", "hmac-sha256");
    let zone = Zone::ordinary("typo.test.");
    let pair = Setting::of(software, &zone).key(&key).our_key(&key.with_other_secret()).launch();
    let text =
        explained(&pair, &zone, |text| text.contains("transfer.key") && !text.contains("\n  Nothing."));
    let failed = pair.secondo.zone_event(Mark::START, "transfer.failed", &zone.apex);
    assert_eq!(failed.text("key"), "transfer.key.");
    let status = pair.secondo.zone_status(&zone.apex);
    let reason = status["last_error"]["reason"].as_str().unwrap_or_default().to_owned();
    eprintln!("{software:?}: {reason}\n{text}");
    match reason.as_str() {
        "tsig-badsig" => assert_has(
            &text,
            &["The secrets of key transfer.key differ between here and upstream", "`secret-file`"],
        ),
        // Those that do not tell a bad seal from a missing permission.
        _ => assert_has(&text, &["transfer.key"]),
    }
}
each_primary!(a_wrong_secret_is_told_as_such);

/// Two keys during a roll, of which the primary has the second only.
fn during_a_key_roll_the_key_that_works_is_told(software: Software) {
    let old = Key::make("old.key", "hmac-sha256");
    let new = Key::make("new.key", "hmac-sha256");
    let zone = Zone::ordinary("rolled.test.");
    let primary = primary::start(software, Plan::of(&zone).key(&old));
    let config = Config::new()
        .key(&old)
        .key(&new)
        .primary_with("upstream", &[primary.address()], None, &["keys: [new.key, old.key]"])
        .zone(&zone.apex, "upstream", &[]);
    let secondo = Secondo::start(Port::free(), &config);
    secondo.until_published(Mark::START, &zone.apex, zone.serial);
    let outcome = secondo.order(&["explain", &zone.apex]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_has(
        &outcome.output,
        &[
            "accepted key old.key. and not key new.key., for a transfer of rolled.test, ",
            "Add key new.key at upstream (",
            "the roll is at its end: leave old.key out of `primaries: upstream: keys`, then `secondo reload`.",
        ],
    );
}
each_primary!(during_a_key_roll_the_key_that_works_is_told, bind Bind, knot Knot, nsd Nsd);

/// What the disk refuses is served, and what that means is told.
#[test]
fn a_zone_that_the_disk_refuses_is_told_with_what_to_look_at() {
    if !interop::peers::ready(&[Software::Nsd]) {
        return;
    }
    let zone = Zone::ordinary("memory.test.");
    let primary = primary::start(Software::Nsd, Plan::of(&zone));
    let config = Config::new().primary("upstream", primary.address(), None).zone(&zone.apex, "upstream", &[]);
    let mut secondo = Secondo::prepare(Port::free(), &config);
    secondo.disk(interop::secondo::Disk::Full);
    secondo.start_again();
    secondo.until_published(Mark::START, &zone.apex, zone.serial);
    let outcome = secondo.order(&["explain", &zone.apex]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert_has(
        &outcome.output,
        &[
            "It is not on disk: the disk refused it (",
            "It is served from memory, would be lost by a restart, and is written as soon as the disk allows.",
            "See to the disk under ",
            "`df -h`",
        ],
    );
    assert_eq!(secondo.zone_status(&zone.apex)["problems"], serde_json::json!(["not-durable"]));
}
