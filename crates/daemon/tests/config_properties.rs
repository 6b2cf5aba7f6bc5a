//! Whatever stands in a file: an answer, never a panic; and nothing of a secret in it.

// Clippy lets tests unwrap, but not the functions that they share.
#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use secondo_daemon::config;

const ANNOTATED: &str = include_str!("../../../etc/secondo.yaml");

/// The secrets in the annotated example.
const SECRETS: [&str; 2] =
    ["c2VjcmV0IGtleSBtYXRlcmlhbCBvZiAzMiBieXRlcyE=", "dGhlIG5leHQga2V5LCBhbHNvIG9mIDMyIGJ5dGVzIS4="];

/// Loads a text as a configuration beside a folder of zones, and gives back all that is said of it.
fn said_of(octets: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.yaml");
    fs::create_dir(folder.path().join("zones.d")).unwrap();
    fs::write(&path, octets).unwrap();
    match config::load(&path) {
        Ok(config) => format!("{config:?}"),
        Err(problems) => {
            assert!(!problems.is_empty(), "an error without a problem");
            for problem in &problems {
                assert!(problem.line >= 1 && problem.column >= 1);
                assert!(!problem.message.is_empty() && !problem.message.contains('\n'));
            }
            problems.iter().map(|problem| format!("{problem}\n")).collect()
        }
    }
}

/// Pieces that meet often in such files.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "listen",
        "keys",
        "primaries",
        "zones",
        "name",
        "include",
        "secret",
        "algorithm",
        "zone-defaults",
        "templates",
        "template",
        "addresses",
        "key",
        "limits",
        "log",
        ": ",
        ":\n",
        "\n",
        "\n  ",
        "\n    ",
        "- ",
        "\n  - ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "\"",
        "'",
        "&a ",
        "*a",
        "*a\n",
        "|",
        ">",
        "? ",
        "#",
        "!x ",
        "~",
        "%",
        "@",
        "---\n",
        "...\n",
        "<<",
        "1",
        "-1",
        "::1",
        "192.0.2.1",
        "a.example",
        "hmac-sha256",
        "YQ==",
        "\t",
        "\r",
        "\u{feff}",
        "ü",
        "\\",
        "\"\\x",
        "zones.d/*",
    ];
    prop_oneof![proptest::sample::select(words.to_vec()).prop_map(str::to_owned), "\\PC{0,4}"]
}

/// One change of a text.
#[derive(Clone, Debug)]
enum Change {
    Delete(usize, usize),
    Insert(usize, String),
    Octet(usize, u8),
    Repeat(usize, usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<usize>(), 1..40_usize).prop_map(|(at, length)| Change::Delete(at, length)),
        (any::<usize>(), piece()).prop_map(|(at, text)| Change::Insert(at, text)),
        (any::<usize>(), any::<u8>()).prop_map(|(at, octet)| Change::Octet(at, octet)),
        (any::<usize>(), 1..40_usize, any::<usize>())
            .prop_map(|(at, length, to)| Change::Repeat(at, length, to)),
    ]
}

/// Every change is shorter than a secret: none can carry one to a place where words are repeated.
fn mutated(changes: &[Change]) -> Vec<u8> {
    let mut octets = ANNOTATED.as_bytes().to_vec();
    for change in changes {
        let at = |n: &usize| n % (octets.len() + 1);
        match change {
            Change::Delete(from, length) => {
                let from = at(from);
                let to = (from + length).min(octets.len());
                octets.drain(from..to);
            }
            Change::Insert(to, text) => {
                let to = at(to);
                octets.splice(to..to, text.bytes());
            }
            Change::Octet(to, octet) => {
                let to = at(to).min(octets.len().saturating_sub(1));
                octets[to] = *octet;
            }
            Change::Repeat(from, length, to) => {
                let (from, to) = (at(from), at(to));
                let piece = octets[from..(from + length).min(octets.len())].to_vec();
                octets.splice(to..to, piece);
            }
        }
    }
    octets
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn random_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        said_of(&octets);
    }

    #[test]
    fn random_yaml_never_panics(pieces in proptest::collection::vec(piece(), 0..60)) {
        said_of(pieces.concat().as_bytes());
    }

    #[test]
    fn mutations_of_the_annotated_example_never_panic_and_show_no_secret(
        changes in proptest::collection::vec(change(), 1..6),
    ) {
        let octets = mutated(&changes);
        let said = said_of(&octets);
        for secret in SECRETS {
            prop_assert!(!said.contains(secret), "{said}");
        }
    }
}

/// Every place at which a line can be lost, and every value at which the text can end.
#[test]
fn the_annotated_example_without_any_one_of_its_lines_is_answered() {
    let lines: Vec<&str> = ANNOTATED.lines().collect();
    for missing in 0..lines.len() {
        let kept =
            lines.iter().enumerate().filter(|(n, _)| *n != missing).map(|(_, line)| format!("{line}\n"));
        said_of(kept.collect::<String>().as_bytes());
        said_of(lines[..missing].join("\n").as_bytes());
    }
}

#[test]
fn files_made_to_hurt_are_answered_soon() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..30 {
        bomb += &format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", "));
    }
    let entries = vec!["{ address: 192.0.2.1 }"; 2000].join(", ");
    let names: String = (0..2000).map(|n| format!("  primary-{n:04}: {{ addresses: [::1] }}\n")).collect();
    let lost: String =
        (0..50_000).map(|n| format!("  - {{ name: z{n}, primaries: [Primary_0{n:03}] }}\n")).collect();
    let texts = [
        format!("listen: [::1]\nprimaries:\n{names}zones:\n{lost}"),
        bomb,
        "[".repeat(200_000),
        "- ".repeat(200_000),
        "{a: ".repeat(200_000),
        "x".repeat(4_000_000),
        format!("listen: [{}]\n", "\"::1\", ".repeat(100_000)),
        format!("listen: [::1]\nzones:\n{}", "  - name: a\n".repeat(100_000)),
        format!("listen: [::1]\nkeys:\n{}", (0..20_000).map(|n| format!("  k{n}: x\n")).collect::<String>()),
        format!(
            "listen: [::1]\nzone-defaults:\n  allow-query: &q [{entries}]\nzones:\n{}",
            (0..5000).map(|n| format!("  - {{ name: z{n}, allow-query: *q }}\n")).collect::<String>()
        ),
    ];
    for text in texts {
        let begun = Instant::now();
        said_of(text.as_bytes());
        let took = begun.elapsed();
        let begins: String = text.chars().take(40).collect();
        assert!(took < Duration::from_secs(60), "{begins} took {took:?}");
    }
}

#[test]
fn a_file_without_end_is_refused() {
    let problems = config::load(Path::new("/dev/zero")).unwrap_err();
    assert_eq!(problems[0].message, "`/dev/zero` is too large, expected at most 134217728 bytes");
    assert!(File::open("/dev/zero").is_ok());
}
