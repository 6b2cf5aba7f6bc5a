//! The control socket and its commands, as an operator uses them.

use interop::pair::Setting;
use interop::process;
use interop::secondo::{self, Mark};
use interop::wait::{self, SOON};
use interop::zonefile::Timers;
use interop::{Config, Pair, Plan, Port, Secondo, Software, Zone, config, dig, peers, primary};
use nix::sys::signal::Signal;

#[test]
fn status_tells_the_state_of_each_zone() {
    if !peers::ready(&[Software::Nsd]) {
        return;
    }
    let zone = Zone::ordinary("told.test.");
    let primary = primary::start(Software::Nsd, Plan::of(&zone));
    let nobody = Port::free();
    let config = Config::new()
        .primary("upstream", primary.address(), None)
        .primary("nobody", nobody.at_loopback(), None)
        .zone(&zone.apex, "upstream", &[])
        .zone("never.test.", "nobody", &[]);
    let secondo = Secondo::start(Port::free(), &config);
    secondo.until_published(Mark::START, &zone.apex, zone.serial);
    secondo.zone_event(Mark::START, "transfer.failed", "never.test.");

    let status = secondo.zone_status(&zone.apex);
    assert_eq!(status["state"], "current", "{status}");
    assert_eq!(status["serial"], zone.serial, "{status}");
    assert_eq!(status["source"], "axfr", "{status}");
    assert_eq!(status["durable"], true, "{status}");
    assert!(
        status["primary"].as_str().is_some_and(|p| p.contains(&primary.address().to_string())),
        "{status}"
    );
    let seconds = |field: &str| status[field].as_f64().unwrap_or_else(|| panic!("no {field} in {status}"));
    assert!(seconds("confirmed_ago") < 60.0);
    let expire = f64::from(zone.timers.expire);
    assert!((expire - 60.0..=expire).contains(&seconds("expires_in")), "{status}");
    // Jitter only shortens.
    let refresh = f64::from(zone.timers.refresh);
    assert!((refresh * 0.5..=refresh).contains(&seconds("next_in")), "{status}");

    let never = secondo.zone_status("never.test.");
    assert_eq!(never["state"], "never-loaded", "{never}");
    assert_eq!(never["last_error"]["reason"], "connection-refused", "{never}");

    let table = secondo.order(&["status"]);
    assert!(table.output.contains("told.test.") && table.output.contains("never.test."), "{}", table.output);
    let problems = secondo.order(&["status", "--problems"]);
    assert!(
        !problems.output.contains("told.test.") && problems.output.contains("never.test."),
        "{}",
        problems.output
    );
    assert_eq!(secondo.order(&["status", "unknown.test."]).code, Some(4));
}

#[test]
fn refresh_waits_and_tells_the_outcome() {
    if !peers::ready(&[Software::Nsd]) {
        return;
    }
    let zone = Zone::ordinary("asked.test.");
    let mut pair = Pair::start(Software::Nsd, &zone, None, &[]);
    let outcome = pair.secondo.order(&["refresh", &zone.apex]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.output.contains("current"), "{outcome:?}");
    pair.primary.stop();
    let next = zone.plus(&["new 60 IN A 192.0.2.130"]);
    pair.primary.publish(&next);
    let outcome = pair.secondo.order(&["refresh", &zone.apex]);
    assert_eq!(outcome.code, Some(1), "a dead primary: {outcome:?}");
    assert!(outcome.output.contains("connection-refused"), "{outcome:?}");
    pair.primary.start();
    wait::until(
        "the new version by an order",
        SOON,
        || pair.secondo.tail(),
        || (pair.secondo.order(&["refresh", "--all"]).code == Some(0)).then_some(()),
    );
    // Done means served.
    pair.secondo.until_serving(&zone.apex, next.serial, SOON);
    assert_eq!(pair.secondo.order(&["refresh", "unknown.test."]).code, Some(4));
}

#[test]
fn retransfer_fetches_the_whole_zone_though_nothing_changed() {
    if !peers::ready(&[Software::Bind]) {
        return;
    }
    let zone = Zone::ordinary("again.test.");
    let pair = Pair::start(Software::Bind, &zone, None, &[]);
    let mark = pair.secondo.mark();
    let outcome = pair.secondo.order(&["retransfer", &zone.apex]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}\n{}", pair.secondo.tail());
    let finished = pair.secondo.zone_event(mark, "transfer.finished", &zone.apex);
    assert_eq!(finished.text("kind"), "axfr", "{}", finished.line());
    pair.assert_same(&zone);
}

#[test]
fn reload_adds_removes_and_changes_zones_and_leaves_the_rest_alone() {
    if !peers::ready(&[Software::Knot]) {
        return;
    }
    let zones: Vec<Zone> = ["stays.test.", "goes.test.", "comes.test."].map(Zone::ordinary).to_vec();
    let mut plan = Plan::of(&zones[0]);
    plan.zones.clone_from(&zones);
    let primary = primary::start(Software::Knot, plan);
    let base = Config::new().primary("upstream", primary.address(), None);
    let lines = ["allow-transfer: [{ address: 127.0.0.1 }]"];
    let first = base.clone().zone("stays.test.", "upstream", &[]).zone("goes.test.", "upstream", &[]);
    let second = base.zone("stays.test.", "upstream", &[]).zone("comes.test.", "upstream", &lines);
    let mut secondo = Secondo::start(Port::free(), &first);
    secondo.until_published(Mark::START, "stays.test.", 2024);
    secondo.until_published(Mark::START, "goes.test.", 2024);

    secondo.configure(&second);
    let mark = secondo.mark();
    let dry = secondo.order(&["reload", "--dry-run"]);
    assert_eq!(dry.code, Some(0), "{dry:?}");
    assert!(dry.output.contains("added comes.test.") && dry.output.contains("removed goes.test."), "{dry:?}");
    assert_eq!(dig::serial(secondo.address(), "goes.test."), Some(2024), "nothing happened yet");

    let done = secondo.order(&["reload"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    secondo.zone_event(mark, "zone.added", "comes.test.");
    secondo.zone_event(mark, "zone.removed", "goes.test.");
    secondo.until_published(mark, "comes.test.", 2024);
    let gone = dig::ask(secondo.address(), &["goes.test.", "SOA"]);
    assert_eq!((gone.status.as_str(), gone.errors.as_slice()), ("REFUSED", &[20][..]));
    let touched = secondo.events_since(mark).iter().any(|e| e.is_about("stays.test."));
    assert!(!touched, "{}", secondo.tail());

    // A zone that comes back is served from what was kept.
    secondo.configure(&first);
    let mark = secondo.mark();
    secondo.hang_up();
    secondo.event(mark, "daemon.reloaded", |_| true);
    secondo.until_serving("goes.test.", 2024, SOON);
    secondo.stop();
}

#[test]
fn zones_in_files_of_their_own_come_and_go_with_them() {
    if !peers::ready(&[Software::Nsd]) {
        return;
    }
    let zones: Vec<Zone> = ["one.test.", "two.test."].map(Zone::ordinary).to_vec();
    let mut plan = Plan::of(&zones[0]);
    plan.zones.clone_from(&zones);
    let primary = primary::start(Software::Nsd, plan);
    let template = "templates:\n  customer: { primaries: [upstream], refresh-bounds: [1m, 1d] }";
    let config =
        Config::new().more(template).primary("upstream", primary.address(), None).include("zones.d/*.yaml");
    let secondo = Secondo::prepare(Port::free(), &config);
    let folder = secondo.folder().join("zones.d");
    std::fs::create_dir(&folder).expect("our own folder is writable");
    let write =
        |file: &str, text: &str| std::fs::write(folder.join(file), text).expect("our own folder is writable");
    write("one.yaml", "- name: one.test\n  template: customer\n");
    let mut secondo = secondo;
    secondo.start_again();
    secondo.until_published(Mark::START, "one.test.", 2024);

    // A mistake in one file is named with that file, and nothing of the rest is taken.
    write("two.yaml", "- name: two.test\n  template: custmer\n");
    let refused = secondo.order(&["reload"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.errors.contains("two.yaml:2:"), "{refused:?}");
    assert_eq!(dig::ask(secondo.address(), &["two.test.", "SOA"]).status, "REFUSED");

    write("two.yaml", "- name: two.test\n  template: customer\n");
    let mark = secondo.mark();
    assert_eq!(secondo.order(&["reload"]).code, Some(0));
    secondo.until_published(mark, "two.test.", 2024);
    std::fs::remove_file(folder.join("one.yaml")).expect("it was there");
    assert_eq!(secondo.order(&["reload"]).code, Some(0));
    assert_eq!(dig::ask(secondo.address(), &["one.test.", "SOA"]).status, "REFUSED");
    assert_eq!(dig::serial(secondo.address(), "two.test."), Some(2024));
}

#[test]
fn stop_ends_the_daemon() {
    if !peers::ready(&[]) {
        return;
    }
    let nobody = Port::free();
    let config = Config::new().primary("nobody", nobody.at_loopback(), None).zone("a.test.", "nobody", &[]);
    let mut secondo = Secondo::start(Port::free(), &config);
    let mark = secondo.mark();
    assert_eq!(secondo.order(&["stop"]).code, Some(0));
    assert!(secondo.ended().success());
    assert!(secondo.events_since(mark).iter().any(|e| e.name() == "daemon.stopping"));
    assert_eq!(secondo.order(&["status"]).code, Some(3), "nobody is there");
    // And again from the same state, with SIGINT this time.
    secondo.start_again();
    secondo.process().signal(Signal::SIGINT);
    assert!(secondo.ended().success());
}

#[test]
fn a_stop_in_the_middle_of_a_transfer_is_quick() {
    if !peers::ready(&[Software::Bind]) {
        return;
    }
    let zone = Zone::ordinary("slow.test.");
    let mut pair = Setting::of(Software::Bind, &zone).start();
    pair.primary.freeze(true);
    pair.secondo.order(&["refresh", "--no-wait", &zone.apex]);
    let start = std::time::Instant::now();
    pair.secondo.stop();
    assert!(start.elapsed() < std::time::Duration::from_secs(8), "it took {:?}", start.elapsed());
}

#[test]
fn sigusr1_logs_the_state_and_stops_nothing() {
    if !peers::ready(&[Software::Nsd]) {
        return;
    }
    let zone = Zone::ordinary("usr.test.");
    let mut pair = Pair::start(Software::Nsd, &zone, None, &[]);
    let mark = pair.secondo.mark();
    pair.secondo.process().signal(Signal::SIGUSR1);
    pair.secondo.event(mark, "zone.state", |e| e.is_about(&zone.apex));
    assert_eq!(dig::serial(pair.secondo.address(), &zone.apex), Some(zone.serial));
}

#[test]
fn wrong_use_is_told_apart() {
    let code = |arguments: &[&str]| process::outcome(secondo::binary(), arguments).code;
    assert_eq!(code(&["--version"]), Some(0));
    assert_eq!(code(&["--help"]), Some(0));
    assert_eq!(code(&["run"]), Some(2));
    assert_eq!(code(&["nonsense"]), Some(2));
    assert_eq!(code(&["dump"]), Some(2));
    assert_eq!(code(&["diff", "a.test", "one"]), Some(2));
    for command in [&["status"][..], &["dump", "a.test"], &["diff", "a.test", "1", "2"]] {
        assert_eq!(code(&[command, &["--socket", "/nonexistent/socket"]].concat()), Some(3), "{command:?}");
    }
    assert_eq!(code(&["check", "--config", "/nonexistent/file"]), Some(1));
    assert_ne!(code(&["run", "--config", "/nonexistent/file"]), Some(0));
}

/// RFC 7314: what is left of a secondary's expiry, not the SOA's expire time, counts for those behind it.
#[test]
fn the_expiry_of_a_secondary_upstream_is_ours_too() {
    if !peers::ready(&[Software::Nsd, Software::Knot]) {
        return;
    }
    let zone =
        Zone::ordinary("behind.test.").timers(Timers { refresh: 2, retry: 2, expire: 600, minimum: 1 });
    let mut top = primary::start(Software::Nsd, Plan::of(&zone));
    let middle = interop::knot::Knot::secondary(&[&zone.apex], Port::free(), top.address(), None);
    interop::Primary::until_serving(&middle, &zone, SOON);
    top.stop();
    let config = Config::new().primary("middle", interop::Primary::address(&middle), None).zone(
        &zone.apex,
        "middle",
        config::SHORT_BOUNDS,
    );
    let secondo = Secondo::start(Port::free(), &config);
    secondo.until_published(Mark::START, &zone.apex, zone.serial);
    wait::until(
        "an expiry that follows the one upstream",
        SOON,
        || secondo.status().to_string(),
        || {
            let status = secondo.zone_status(&zone.apex);
            let (left, ago) = (status["expires_in"].as_f64()?, status["confirmed_ago"].as_f64()?);
            // Confirmed again and again, and yet less and less is left.
            (ago < 4.0 && left < 594.0).then_some(())
        },
    );
}
