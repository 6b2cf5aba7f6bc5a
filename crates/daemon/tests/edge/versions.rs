//! `dump` and `diff`: kept versions, read by those who read all, little, slowly or not at all.

use std::fs::{self, File};
use std::io::{BufRead, Write};
use std::net::Shutdown;
use std::process::Stdio;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::daemon::{BINARY, Daemon, Ended, Ordering, line, zone};
use crate::dns::{PATIENCE, serial};
use crate::primary::Primary;

/// A zone that keeps so many versions.
fn keeping(name: &str, primary: &Primary, versions: u32) -> String {
    zone(name, primary.address)
        .replace("allow-transfer", &format!("keep-versions: {versions}, allow-transfer"))
}

/// The primary and its secondary, after this many versions, the first with serial 1.
fn after(versions: u32, keep: u32) -> (Primary, Daemon) {
    let primary = Primary::start();
    let daemon = Daemon::start("", &keeping("a.test", &primary, keep));
    daemon.until_loaded("a.test.");
    (2..=versions).for_each(|serial| next(&primary, &daemon, serial));
    (primary, daemon)
}

fn next(primary: &Primary, daemon: &Daemon, serial: u32) {
    primary.change(serial);
    let ended = daemon.order(&["refresh", "a.test"]);
    assert_eq!(ended.out, format!("a.test. updated serial {serial}\n"));
}

fn soa(serial: u32) -> String {
    format!("a.test. 60 IN SOA ns.test. mail.test. {serial} 3600 600 86400 60\n")
}

fn dumped(serial: u32) -> (i32, String) {
    (0, format!("; a.test. serial {serial}, 2 records\n{}a.test. 60 IN NS ns.test.\n", soa(serial)))
}

fn changed(from: u32, to: u32) -> (i32, String) {
    (0, format!("- {}+ {}", soa(from), soa(to)))
}

fn done(ended: Ended) -> (i32, String) {
    assert_eq!(ended.err, "");
    (ended.code, ended.out)
}

#[track_caller]
fn refused(ended: &Ended, code: i32, why: &str) {
    assert_eq!((ended.code, ended.out.as_str()), (code, ""), "{}", ended.err);
    assert!(ended.err.contains(why) && ended.err.lines().count() == 1, "{:?}, not: {why}", ended.err);
}

#[test]
fn versions_that_came_whole_are_kept_too() {
    let (primary, daemon) = after(2, 4);
    for serial in 3..=4 {
        // It knows no way there from where we are, so the whole zone is sent.
        primary.set_serial(serial);
        assert_eq!(daemon.order(&["refresh", "a.test"]).code, 0);
    }
    daemon.wait("a log of it", |daemon| daemon.said("transfer.finished", "a.test."));
    let kinds = daemon.events().into_iter().filter(|event| event["event"] == "zone.published");
    assert!(kinds.skip(2).all(|event| event["kind"] != "ixfr"), "{}", daemon.log());
    assert_eq!(done(daemon.order(&["diff", "a.test"])), changed(3, 4));
    assert_eq!(done(daemon.order(&["dump", "a.test", "--serial", "1"])), dumped(1));
}

#[test]
fn every_kept_version_is_told_and_none_that_is_not() {
    let (primary, mut daemon) = after(7, 3);
    let check = |daemon: &Daemon| {
        let told = |arguments: &[&str]| done(daemon.order(arguments));
        assert_eq!(told(&["dump", "a.test"]), dumped(7));
        for serial in 4..=7 {
            assert_eq!(told(&["dump", "A.Test.", "--serial", &serial.to_string()]), dumped(serial));
        }
        assert_eq!(told(&["diff", "a.test"]), changed(6, 7));
        assert_eq!(told(&["diff", "a.test", "4"]), changed(4, 7));
        assert_eq!(told(&["diff", "a.test", "4", "6"]), changed(4, 6));
        assert_eq!(told(&["diff", "a.test", "7", "5"]), changed(7, 5));
        assert_eq!(told(&["diff", "a.test", "5", "5"]), (0, String::new()));
        let kept = "is not kept; kept: 7, 6, 5, 4\n";
        for arguments in [
            &["dump", "a.test", "--serial", "3"][..],
            &["diff", "a.test", "3"],
            &["diff", "a.test", "3", "7"],
        ] {
            refused(&daemon.order(arguments), 1, &format!("serial 3 of a.test. {kept}"));
        }
        refused(&daemon.order(&["diff", "a.test", "4", "9"]), 1, &format!("serial 9 of a.test. {kept}"));
    };
    check(&daemon);
    // The same after a restart, with nobody to ask.
    daemon.configure(&zone("a.test", "127.0.0.1:1".parse().unwrap()));
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        daemon.signal(signal);
        daemon.ended();
        daemon.run();
        check(&daemon);
    }
    drop(primary);
}

#[test]
fn another_number_of_versions_holds_from_the_next_one_on() {
    let (primary, daemon) = after(4, 3);
    daemon.configure(&keeping("a.test", &primary, 1));
    assert_eq!(daemon.order(&["reload"]).out, "changed a.test.\n");
    next(&primary, &daemon, 5);
    refused(&daemon.order(&["dump", "a.test", "--serial", "3"]), 1, "kept: 5, 4\n");
    daemon.configure(&keeping("a.test", &primary, 0));
    daemon.order(&["reload"]);
    next(&primary, &daemon, 6);
    let ended = daemon.order(&["diff", "a.test"]);
    refused(&ended, 1, "no version of a.test. before serial 6 is kept; kept: 6\n");
    daemon.configure(&keeping("a.test", &primary, 2));
    daemon.order(&["reload"]);
    next(&primary, &daemon, 7);
    assert_eq!(done(daemon.order(&["diff", "a.test"])), changed(6, 7));
}

#[test]
fn of_many_kept_serials_the_newest_are_named() {
    let (_primary, daemon) = after(12, 100);
    refused(&daemon.order(&["diff", "a.test", "99"]), 1, "kept: 12, 11, 10, 9, 8, 7, 6, 5 and 4 earlier\n");
}

#[test]
fn wrong_use_an_unknown_zone_one_never_loaded_and_no_daemon_are_told_apart() {
    let (primary, dead) = (Primary::start(), "127.0.0.1:1".parse().unwrap());
    let daemon = Daemon::start("", &[zone("a.test", primary.address), zone("never.test", dead)].concat());
    daemon.until_loaded("a.test.");
    for command in ["dump", "diff"] {
        refused(&daemon.order(&[command, "b.test"]), 4, "no zone b.test.");
        refused(&daemon.order(&[command, ".."]), 2, "bad label");
        refused(&daemon.order(&[command, "never.test"]), 1, "never.test. was never loaded");
        for wrong in [&[][..], &["a.test", "nineteen"], &["a.test", "-1"], &["a.test", "1", "2", "3"]] {
            assert_eq!(daemon.order(&[&[command][..], wrong].concat()).code, 2, "{command} {wrong:?}");
        }
        let missing = [command, "a.test", "--socket", "/nonexistent/socket"];
        let ended = std::process::Command::new(BINARY).args(missing).output().unwrap();
        assert_eq!(ended.status.code(), Some(3));
    }
    assert_eq!(daemon.order(&["dump", "a.test", "--serial", "4294967296"]).code, 2);
    let mut control = daemon.control();
    for zones in ["[]", "[\"a.test\",\"never.test\"]"] {
        let asked = format!("{{\"command\":\"dump\",\"zones\":{zones}}}\n");
        assert_eq!(line(&mut control, asked.as_bytes())["error"]["code"], "bad-request", "{zones}");
    }
    let asked = line(&mut control, b"{\"command\":\"dump\",\"zones\":[\"a.test\"]}\n");
    assert!(asked["text"].as_str().unwrap().starts_with("; a.test. serial 1, 2 records\n"));
    let last = line(&mut control, b"{\"command\":\"status\"}\n");
    assert_eq!(last, serde_json::json!({ "serial": 1, "records": 2 }));
}

#[test]
fn an_expired_zone_is_told_with_a_note() {
    let primary = Primary::start();
    let daemon = Daemon::start("", &zone("a.test", primary.address));
    daemon.until_loaded("a.test.");
    let dead = zone("a.test", "127.0.0.1:1".parse().unwrap());
    daemon.configure(&dead.replace("allow-transfer", "expire-bounds: [1s, 1s], allow-transfer"));
    assert_eq!(daemon.order(&["reload"]).out, "changed a.test.\n");
    daemon.wait("its end", |daemon| daemon.said("zone.expired", "a.test."));
    let ended = daemon.order(&["dump", "a.test"]);
    assert_eq!((ended.code, ended.out), dumped(1));
    assert_eq!(ended.err, "secondo: a.test. has expired: the last version, serial 1, is not answered from\n");
}

#[test]
fn a_version_that_is_not_on_disk_is_told_and_those_before_it_are_not() {
    let primary = Primary::start();
    let mut daemon = Daemon::prepare("", &zone("a.test", primary.address));
    fs::write(daemon.folder.path().join("state"), "in the way").unwrap();
    daemon.run();
    daemon.until_loaded("a.test.");
    next(&primary, &daemon, 2);
    assert_eq!(done(daemon.order(&["dump", "a.test"])), dumped(2));
    refused(&daemon.order(&["diff", "a.test"]), 1, "serial 2, is not on disk");
}

/// A zone of 8 MB, more than pipes and sockets hold.
fn large() -> (Primary, Daemon) {
    let primary = Primary::with_bulk(200);
    let daemon = Daemon::start("", &zone("a.test", primary.address));
    daemon.until_loaded("a.test.");
    (primary, daemon)
}

/// One who has asked for a dump, has read a little, and is in no hurry.
fn slow(daemon: &Daemon) -> Ordering {
    let mut reader = daemon.ordering(&["dump", "a.test"]);
    assert_eq!(reader.read_only(10), "; a.test. ");
    reader
}

fn is_whole(ended: &Ended) {
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert_eq!(ended.out.lines().count(), 203);
}

#[test]
fn slow_readers_get_their_version_and_hold_up_nobody_else() {
    let (primary, daemon) = large();
    let mut readers: Vec<Ordering> = (0..4).map(|_| slow(&daemon)).collect();
    let waiting = daemon.ordering(&["dump", "a.test"]);
    next(&primary, &daemon, 2);
    assert_eq!(serial(daemon.address(), "a.test"), Some(2));
    assert_eq!(daemon.order(&["status", "a.test"]).code, 0);
    // The one who waits comes in when another has gone, and all get what was served when they asked.
    readers.pop().unwrap().interrupt();
    is_whole(&waiting.wait());
    for reader in readers {
        let ended = reader.wait();
        assert_eq!(ended.code, 0);
        assert_eq!(ended.out.lines().count(), 203);
        assert!(ended.out.contains(" mail.test. 1 3600 "), "the version asked for");
    }
    let now = daemon.order(&["dump", "a.test"]);
    is_whole(&now);
    assert!(now.out.contains(" mail.test. 2 3600 "));
}

#[test]
fn more_readers_than_there_are_places_for_are_refused_at_once() {
    let (_primary, daemon) = large();
    let (tell, told) = std::sync::mpsc::channel();
    // Each reads one line and no more.
    let readers: Vec<_> = (0..17)
        .map(|_| {
            let (mut control, tell) = (daemon.control(), tell.clone());
            let reader = control.get_ref().try_clone().unwrap();
            reader.set_read_timeout(None).unwrap();
            std::thread::spawn(move || {
                let answer = line(&mut control, b"{\"command\":\"dump\",\"zones\":[\"a.test\"]}\n");
                let _ = tell.send((answer, control));
            });
            reader
        })
        .collect();
    let first: Vec<(Value, _)> = (0..5).map(|_| told.recv_timeout(PATIENCE).unwrap()).collect();
    let refused: Vec<_> = first.iter().filter(|(answer, _)| answer["error"]["code"] == "busy").collect();
    assert_eq!(refused.len(), 1, "four are served, twelve wait, one is refused");
    assert_eq!(daemon.order(&["status"]).code, 0);
    readers.iter().for_each(|reader| reader.shutdown(Shutdown::Both).unwrap());
    daemon.wait("places left", |daemon| daemon.order(&["dump", "a.test"]).code == 0);
}

#[test]
fn a_text_comes_in_lines_of_a_bounded_length_and_the_next_request_behind_it() {
    let (_primary, daemon) = large();
    let mut control = daemon.control();
    let asked =
        b"{\"command\":\"dump\",\"zones\":[\"a.test\"]}\n{\"command\":\"status\",\"zones\":[\"b.test\"]}\n";
    control.get_mut().write_all(asked).unwrap();
    let (mut records, mut pieces, mut line) = (0, 0, String::new());
    let last: Value = loop {
        line.clear();
        control.read_line(&mut line).unwrap();
        assert!(line.len() < 160_000, "{}", line.len());
        let answer: Value = serde_json::from_str(&line).unwrap();
        let Some(text) = answer["text"].as_str() else { break answer };
        assert!(text.ends_with('\n'));
        records += text.lines().filter(|line| !line.starts_with(';')).count();
        pieces += 1;
    };
    assert!(pieces > 100);
    assert_eq!((records, last), (202, serde_json::json!({ "serial": 1, "records": 202 })));
    line.clear();
    control.read_line(&mut line).unwrap();
    assert!(line.contains("no-such-zone"), "{line}");
}

#[test]
fn one_who_has_seen_enough_ends_quietly_and_a_full_disk_is_said() {
    let (_primary, daemon) = large();
    let ended = slow(&daemon).close();
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    let full = Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let ended = daemon.ordering_into(&["dump", "a.test"], full).wait();
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("cannot be written"), "{}", ended.err);
}

#[test]
fn a_daemon_that_ends_in_the_middle_of_a_text_waits_for_nobody_and_the_text_is_not_taken_for_whole() {
    let (_primary, mut daemon) = large();
    let reader = slow(&daemon);
    daemon.signal(Signal::SIGTERM);
    let (status, took) = daemon.ended();
    assert!(status.success() && took.as_secs() < 5, "{status} after {took:?}");
    let ended = reader.wait();
    assert_eq!(ended.code, 3);
    assert!(ended.err.contains("closed the connection"), "{}", ended.err);
}
