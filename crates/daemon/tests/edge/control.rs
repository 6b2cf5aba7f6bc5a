//! The control socket, with clients that do not keep to its grammar or do not wait.

use std::io::{BufRead, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;

use crate::daemon::{Daemon, line, zone};
use crate::primary::Primary;

fn code(answer: &serde_json::Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or("none")
}

#[test]
fn what_is_no_request_is_refused_and_the_next_one_served() {
    let daemon = Daemon::start("", &zone("a.test", Primary::start().address));
    let mut control = daemon.control();
    for bad in [
        "\n",
        "nonsense\n",
        "{}\n",
        "[]\n",
        "{\"command\":\"dance\"}\n",
        "{\"command\":\"status\",\"zone\":\"a.test\"}\n",
        "{\"command\":\"status\"} {\"command\":\"stop\"}\n",
        "{\"command\":\"refresh\"}\n",
        "{\"command\":\"status\",\"zones\":[\"..\"]}\n",
        "\u{0}\u{1}\n",
    ] {
        assert_eq!(code(&line(&mut control, bad.as_bytes())), "bad-request", "{bad:?}");
    }
    let missing = line(&mut control, b"{\"command\":\"retransfer\",\"zones\":[\"b.test\"]}\n");
    assert_eq!(code(&missing), "no-such-zone");
    let status = line(&mut control, b"{\"command\":\"status\"}\n");
    assert_eq!(status["zones"][0]["zone"], "a.test.");
    let mode = std::fs::metadata(daemon.folder.path().join("control.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[test]
fn an_endless_line_is_refused_and_ends_the_connection() {
    let daemon = Daemon::start("", "");
    let mut control = daemon.control();
    let mut writing = control.get_ref().try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        let piece = [b'x'; 65_536];
        while writing.write_all(&piece).is_ok() {}
    });
    let mut answer = String::new();
    control.read_line(&mut answer).unwrap();
    assert!(answer.contains("bad-request") && answer.contains("1048576"), "{answer}");
    let _ = control.read_to_end(&mut Vec::new());
    writer.join().unwrap();
    assert_eq!(daemon.order(&["status"]).code, 0);
}

#[test]
fn half_a_line_is_no_request_and_a_whole_one_without_its_end_is() {
    let daemon = Daemon::start("", "");
    for (part, answered) in
        [("{\"command\":\"st", "bad-request"), ("{\"command\":\"status\"}", "\"zones\":[]")]
    {
        let mut control = daemon.control();
        control.get_mut().write_all(part.as_bytes()).unwrap();
        control.get_ref().shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        control.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(answered), "{part}: {answer}");
    }
}

#[test]
fn those_who_went_away_while_they_waited_hold_up_nobody() {
    let primary = Primary::start();
    primary.set_gate(false);
    let daemon = Daemon::start("", &zone("a.test", primary.address));
    for _ in 0..2 {
        let waiting: Vec<_> = (0..30).map(|_| daemon.ordering(&["refresh", "a.test"])).collect();
        std::thread::sleep(std::time::Duration::from_millis(200));
        waiting.into_iter().for_each(crate::daemon::Ordering::interrupt);
    }
    assert_eq!(daemon.order(&["status"]).code, 0);
    primary.set_gate(true);
    daemon.until_loaded("a.test.");
}

#[test]
fn a_primary_that_is_back_is_asked_at_once_when_an_operator_says_so() {
    let place = Primary::place();
    let daemon = Daemon::start("", &zone("a.test", place));
    daemon.wait("its death", |daemon| daemon.log().contains("primary.down"));
    let _primary = Primary::start_at(place);
    let ended = daemon.order(&["refresh", "a.test"]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "a.test. updated serial 1\n"));
}

#[test]
fn orders_end_with_the_codes_that_scripts_read() {
    let primary = Primary::start();
    let dead = "127.0.0.1:1".parse().unwrap();
    let daemon = Daemon::start("", &[zone("a.test", primary.address), zone("b.test", dead)].concat());
    daemon.until_loaded("a.test.");
    let ends = |arguments: &[&str]| daemon.order(arguments).code;
    assert_eq!(ends(&["status", "a.test"]), 0);
    assert_eq!(ends(&["status", "a.test", "--problems"]), 0);
    assert_eq!(ends(&["status", "--problems"]), 1);
    assert_eq!(ends(&["status", "c.test"]), 4);
    assert_eq!(ends(&["refresh", "a.test"]), 0);
    assert_eq!(ends(&["refresh", "b.test"]), 1);
    assert_eq!(ends(&["refresh", "b.test", "--no-wait"]), 0);
    assert_eq!(ends(&["retransfer", "a.test"]), 0);
    assert_eq!(ends(&["refresh"]), 2);
    assert_eq!(ends(&["refresh", ".."]), 2);
    assert_eq!(ends(&["stop"]), 0);
    daemon.wait("the end", |daemon| daemon.log().contains("daemon.stopping"));
    daemon.wait("no daemon", |daemon| daemon.order(&["status"]).code == 3);
}
