//! How files are: not too long, opening with their room's card, finished, and all there.

use crate::{code_and_tests, files_below, folder, is_for_tests, packages, read, root, shown, sources, text};
use std::collections::BTreeMap;

/// The longest a source may be: its code, and with its unit tests.
const CODE_LINES: usize = 400;
const ALL_LINES: usize = 600;

/// Files that may be longer, and why. An entry that is no longer needed fails too.
const LONGER: &[(&str, &str)] = &[];

#[test]
fn sources_stay_short_enough_to_be_read_in_one_sitting() {
    let longer: BTreeMap<&str, &str> = LONGER.iter().copied().collect();
    let mut wrong = Vec::new();
    let mut excused = Vec::new();
    for package in packages() {
        for path in sources(package) {
            let (source, name) = (read(&path), shown(&path));
            let all = source.lines().count();
            let code = if is_for_tests(&path) { 0 } else { code_and_tests(&source).0.lines().count() };
            match (code > CODE_LINES || all > ALL_LINES, longer.contains_key(name.as_str())) {
                (true, false) => wrong.push(format!("{name}: {code} lines of code, {all} with its tests")),
                (true, true) => excused.push(name),
                (false, _) => {}
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "over {CODE_LINES} lines of code or {ALL_LINES} with tests; split by noun, or list it here with its reason:\n{}",
        wrong.join("\n")
    );
    for (name, reason) in LONGER {
        assert!(reason.split_whitespace().count() >= 4, "{name} needs a reason that says something");
        assert!(
            excused.iter().any(|excused| excused == name),
            "{name} is short enough now: take it off the list"
        );
    }
}

#[test]
fn every_room_opens_with_its_card() {
    let mut wrong = Vec::new();
    for package in packages().iter().filter(|package| text(package, "name") != "interop") {
        let library = folder(package).join("src/lib.rs");
        let opening = if library.exists() { library } else { folder(package).join("src/main.rs") };
        let card: String = read(&opening).lines().take_while(|line| line.starts_with("//!")).collect();
        for part in ["Job", "In", "Out", "Never"] {
            if !card.contains(&format!("**{part}")) {
                wrong.push(format!("{}: no **{part}**", shown(&opening)));
            }
        }
    }
    assert!(wrong.is_empty(), "a room card says Job, In, Out and Never:\n{}", wrong.join("\n"));
}

#[test]
fn nothing_is_left_half_done() {
    // Written in two halves, so that this file may be read like any other.
    let marks: Vec<String> =
        [("TO", "DO"), ("FIX", "ME"), ("HA", "CK"), ("todo", "!"), ("unimplemented", "!"), ("#[ign", "ore")]
            .iter()
            .map(|(first, second)| format!("{first}{second}"))
            .collect();
    let is_word =
        |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    let mut wrong = Vec::new();
    let mut seen = 0;
    for path in files_below(root()) {
        // Binary files (captures, keys) are not prose.
        let Ok(content) = std::fs::read_to_string(&path) else { continue };
        seen += 1;
        for (number, line) in content.lines().enumerate() {
            let marked = marks.iter().any(|mark| {
                line.match_indices(mark.as_str()).any(|(at, _)| {
                    !is_word(line[..at].chars().next_back())
                        && !is_word(line[at + mark.len()..].chars().next())
                })
            });
            if marked {
                wrong.push(format!("{}:{}: {}", shown(&path), number + 1, line.trim()));
            }
        }
    }
    assert!(seen > 20, "no files found");
    assert!(wrong.is_empty(), "finish it, or say elsewhere what is missing:\n{}", wrong.join("\n"));
}

#[test]
fn what_a_stranger_looks_for_is_there() {
    let expected = [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "Cargo.lock",
        "deny.toml",
        "etc/secondo.yaml",
        "packaging/build-deb",
        "packaging/secondo.service",
        "tests/run",
        ".ci/run",
    ];
    for name in expected {
        assert!(root().join(name).is_file(), "{name} is missing");
    }
    let configurations = files_below(&root().join("etc"))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .count();
    assert!(configurations >= 2, "etc/ holds an annotated configuration and a minimal one");
}

#[test]
fn scripts_can_be_run() {
    use std::os::unix::fs::PermissionsExt;
    for name in ["tests/run", ".ci/run", "packaging/build-deb"] {
        let mode = std::fs::metadata(root().join(name))
            .unwrap_or_else(|error| panic!("{name}: {error}"))
            .permissions();
        assert!(mode.mode() & 0o111 == 0o111, "{name} is not executable");
    }
}

#[test]
fn documents_point_only_at_what_is_there() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for document in files_below(root()).into_iter().filter(|path| path.extension().is_some_and(|e| e == "md"))
    {
        let content = read(&document);
        let targets = content.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        for target in targets.filter(|target| !target.is_empty() && !target.contains("://")) {
            seen += 1;
            if !document.parent().unwrap_or(root()).join(target).exists() {
                wrong.push(format!("{}: {target}", shown(&document)));
            }
        }
    }
    assert!(seen > 0, "no links found");
    assert!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
}

#[test]
fn the_map_shows_every_room() {
    let map = read(&root().join("ARCHITECTURE.md"));
    for package in packages() {
        let place = shown(&folder(package));
        assert!(map.contains(&format!("`{place}")), "ARCHITECTURE.md does not say what {place} is");
    }
}
