//! The demo as people run it: to its end, interrupted, and with wrong words.

use std::io::Read;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The longest that the demo may take (and that a machine under load is given).
const LIMIT: Duration = Duration::from_secs(40);

fn demo() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_secondo-demo"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).env_remove("NO_COLOR");
    command
}

/// Waits for the end; a demo that does not end is killed by its id.
fn ended(mut child: Child, limit: Duration) -> Output {
    let start = Instant::now();
    while child.try_wait().expect("our child can be waited for").is_none() {
        if start.elapsed() > limit {
            child.kill().expect("our child can be killed");
            let output = child.wait_with_output().expect("its output can be read");
            panic!("not ended after {limit:?}:\n{}", String::from_utf8_lossy(&output.stdout));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().expect("its output can be read")
}

fn folders_of(process: u32) -> Vec<String> {
    let start = format!("secondo-demo-{process}-");
    let entries = std::fs::read_dir(std::env::temp_dir()).expect("there are temporary files");
    entries
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| name.starts_with(&start))
        .collect()
}

#[test]
fn the_whole_story_is_seen_and_nothing_is_left_behind() {
    let child = demo().spawn().expect("the demo can be started");
    let process = child.id();
    let output = ended(child, LIMIT);
    let told = String::from_utf8_lossy(&output.stdout);
    let grumbled = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{grumbled}");
    assert_eq!(grumbled, "");
    for act in
        ["first transfer", "NOTIFY and IXFR", "wrong key", "dies", "killed", "Expiry", "Revival", "dig @"]
    {
        assert!(told.contains(act), "nothing about {act:?} in:\n{told}");
    }
    // Not a terminal: no colours, nothing overwritten.
    assert!(!told.contains('\x1b') && !told.contains('\r'));
    assert!(told.lines().all(|line| line.chars().count() <= 110), "{told}");
    assert_eq!(folders_of(process), Vec::<String>::new());
}

/// Starts the demo and reads its opening, which tells the daemon's process.
#[expect(clippy::zombie_processes, reason = "the caller waits for it")]
fn opened(words: &[&str]) -> (Child, ChildStdout, String, u32) {
    let mut child = demo().args(words).spawn().expect("the demo can be started");
    let (mut told, mut stdout) = (String::new(), child.stdout.take().expect("it is piped"));
    loop {
        let mut octets = [0; 4096];
        let length = stdout.read(&mut octets).expect("its output can be read");
        assert!(length > 0, "it ended early:\n{told}");
        told.push_str(&String::from_utf8_lossy(&octets[..length]));
        let rest = told.split("process ").nth(1).and_then(|rest| rest.split_once('\n'));
        if let Some((number, _)) = rest {
            let daemon = number.trim().parse().expect("a process has a number");
            return (child, stdout, told, daemon);
        }
    }
}

fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args([name, &process.to_string()]).status();
    assert!(sent.expect("there is a kill command").success());
}

fn assert_nothing_left(demo: u32, daemon: u32) {
    let alive = std::path::Path::new("/proc").join(daemon.to_string());
    assert!(!alive.exists(), "the daemon, process {daemon}, lives on");
    assert_eq!(folders_of(demo), Vec::<String>::new());
}

#[test]
fn an_interrupt_ends_everything() {
    let (child, mut stdout, mut told, daemon) = opened(&["--stay"]);
    let process = child.id();
    signal(process, "-INT");
    let output = ended(child, LIMIT);
    stdout.read_to_string(&mut told).expect("its output can be read");
    assert!(output.status.success(), "{told}");
    assert_nothing_left(process, daemon);
}

#[test]
fn what_was_not_seen_is_told_with_the_end_of_the_log() {
    let (child, mut stdout, mut told, daemon) = opened(&[]);
    let process = child.id();
    signal(daemon, "-KILL");
    let output = ended(child, LIMIT);
    stdout.read_to_string(&mut told).expect("its output can be read");
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("the daemon ended") || told.contains("no answer"), "{told}");
    assert!(!told.contains("All of it was seen"), "{told}");
    assert_nothing_left(process, daemon);
}

#[test]
fn wrong_words_are_told_the_usage() {
    let output = demo().arg("--stey").output().expect("the demo can be started");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Usage"));
    let output = demo().arg("--help").output().expect("the demo can be started");
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("--stay"));
}
