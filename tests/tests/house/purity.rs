//! What stays below the purity line: no clock, no socket, no file, no async, no log; no thread that outlives a call (one
//! that is waited for, and only reckons, is pure).

use crate::{code_and_tests, is_for_tests, packages, read, shown, sources, text};

/// The rooms below the line.
const PURE: &[&str] = &[
    "secondo-wire",
    "secondo-tsig",
    "secondo-zone",
    "secondo-transfer",
    "secondo-lifecycle",
    "secondo-answer",
];

/// Crates that bring the outside in.
const OUTSIDE_CRATES: &[&str] = &[
    "tokio",
    "mio",
    "nix",
    "rustix",
    "libc",
    "socket2",
    "rusqlite",
    "tracing",
    "tracing-subscriber",
    "log",
    "sd-notify",
];

/// What code that touches the outside is spelled like.
const OUTSIDE_WORDS: &[&str] = &[
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "std::os::unix",
    "std::fs",
    "std::env",
    "std::process",
    "thread::spawn",
    ".spawn(",
    "thread::sleep",
    "thread::park",
    "Instant::now",
    "SystemTime::now",
    "async fn",
    ".await",
    "println!",
    "eprintln!",
];

/// Says whether a line of code, comments taken off, touches the outside, and with which word.
fn outside_word(line: &str) -> Option<&'static str> {
    let code = line.split("//").next().unwrap_or_default();
    let grouped = code.contains("use std::{")
        && [" fs", "{fs", " net::{", " env"].iter().any(|part| code.contains(part));
    if grouped {
        return Some("use std::{…}");
    }
    OUTSIDE_WORDS.iter().copied().find(|word| code.contains(word))
}

#[test]
fn pure_rooms_depend_on_nothing_that_reaches_outside() {
    for package in packages().iter().filter(|package| PURE.contains(&text(package, "name"))) {
        for dependency in package["dependencies"].as_array().expect("a package lists its dependencies") {
            let name = text(dependency, "name");
            let outside = OUTSIDE_CRATES.contains(&name) && dependency["kind"].is_null();
            assert!(!outside, "{} is below the purity line and depends on {name}", text(package, "name"));
        }
    }
}

#[test]
fn pure_rooms_name_no_clock_socket_file_thread_or_log() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for package in packages().iter().filter(|package| PURE.contains(&text(package, "name"))) {
        for path in sources(package).into_iter().filter(|path| !is_for_tests(path)) {
            seen += 1;
            let source = read(&path);
            for (number, line) in code_and_tests(&source).0.lines().enumerate() {
                if let Some(word) = outside_word(line) {
                    wrong.push(format!("{}:{}: {word}", shown(&path), number + 1));
                }
            }
        }
    }
    assert!(seen >= PURE.len(), "no sources found");
    assert!(
        wrong.is_empty(),
        "below the purity line (ARCHITECTURE.md) there is no outside:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn words_of_the_outside_are_seen_in_code_and_not_in_comments() {
    assert_eq!(outside_word("let now = std::time::Instant::now();"), Some("Instant::now"));
    assert_eq!(outside_word("use std::net::{IpAddr, UdpSocket};"), Some("UdpSocket"));
    assert_eq!(outside_word("use std::{fs, io};"), Some("use std::{…}"));
    assert_eq!(outside_word("// the daemon asks Instant::now"), None);
    assert_eq!(outside_word("use std::net::IpAddr;"), None);
}
