//! Descriptors: all that the system gives are taken, and when these are too few it is said how many are needed.

use std::fs;
use std::net::TcpStream;
use std::process::Command;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::daemon::{Daemon, zone};
use crate::dns::{SOA, answers, ask_tcp, connect, serial};
use crate::primary::Primary;

const LIMITS: &str = "limits: { tcp-clients: 300, tcp-idle: 60s, udp-threads: 1, transfers: 4 }";

/// Configured as `daemon` is and started, where it may take no more than `hard` descriptors, of which it is given few.
fn run(daemon: &mut Daemon, hard: u64) {
    let run = daemon.command();
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -Sn 40 && ulimit -Hn {hard} && exec \"$@\""), "sh"]);
    limited.arg(run.get_program()).args(run.get_args());
    daemon.run_as(limited);
}

/// What the log says of it, by the names of its events.
fn said(daemon: &Daemon) -> Vec<(String, String)> {
    let text = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
    let all = daemon.events().into_iter().map(|event| (text(&event, "event"), text(&event, "detail")));
    all.filter(|(_, detail)| detail.contains("descriptors are allowed")).collect()
}

/// How many are said to be needed.
fn needed(detail: &str) -> u64 {
    let (before, _) = detail.split_once(" may be needed").unwrap();
    before.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Whether the limits of a process (proc(5)) let it have so many descriptors, and no more.
fn is_all(limits: &str, hard: u64) -> bool {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    line.split_whitespace().take(2).all(|limit| limit == hard.to_string())
}

#[test]
fn where_the_hard_limit_is_too_low_the_number_needed_is_said_and_it_is_enough() {
    let primary = Primary::start();
    let zones = zone("a.test", primary.address);
    let mut daemon = Daemon::prepare(LIMITS, &zones);
    run(&mut daemon, 200);
    let said_at_start = said(&daemon);
    let [(event, detail)] = &said_at_start[..] else { panic!("{said_at_start:?}") };
    assert_eq!(event, "daemon.started");
    assert!(detail.starts_with("200 descriptors are allowed"), "{detail}");
    let status = daemon.order(&["status", "--problems"]);
    assert!(status.code == 1 && status.out.contains(&format!("descriptors: {detail}")), "{status:?}");
    let needed = needed(detail);
    daemon.signal(Signal::SIGTERM);
    daemon.ended();

    run(&mut daemon, needed);
    assert_eq!(said(&daemon).len(), 1, "nothing more");
    daemon.until_loaded("a.test.");
    assert_eq!(daemon.order(&["status", "--problems"]).code, 0);
    // All places, all that may wait for one, and more: at once, and of one address, so that no place is given up for another.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let crowd: Vec<TcpStream> = (0..800).map(|_| connect(daemon.address())).collect();
    primary.set_serial(2);
    assert_eq!(daemon.order(&["refresh", "a.test"]).code, 0);
    assert_eq!(serial(daemon.address(), "a.test"), Some(2));
    drop(crowd);
    assert_eq!(answers(&ask_tcp(daemon.address(), "a.test", SOA)), 1);
    assert!(!daemon.log().contains("os error 24"), "{}", daemon.log());
    // A reload takes all again that there may be, and what it adds may need more.
    let pid = daemon.pid();
    let lowered =
        Command::new("prlimit").args([format!("--nofile=100:{needed}"), format!("--pid={pid}")]).status();
    assert!(lowered.unwrap().success());
    let allowed = || fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    assert!(!is_all(&allowed(), needed));
    daemon.configure(&[zones, zone("b.test", Primary::start().address)].concat());
    assert_eq!(daemon.order(&["reload"]).code, 0);
    assert!(is_all(&allowed(), needed), "{}", allowed());
    let said = said(&daemon);
    assert!(said.len() == 2 && said[1].0 == "daemon.reloaded", "{said:?}");
    assert!(daemon.order(&["status"]).out.contains("\ndescriptors: "));
}
