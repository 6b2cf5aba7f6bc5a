//! Which room knows which.

use crate::{packages, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The rooms that a room may name in its `Cargo.toml`, tests included.
const ARROWS: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("tsig", &["wire"]),
    ("zone", &["wire"]),
    ("lifecycle", &["wire"]),
    ("transfer", &["zone", "tsig", "wire"]),
    ("answer", &["zone", "tsig", "wire"]),
    ("store", &["transfer", "zone", "wire"]),
    ("daemon", &["store", "answer", "transfer", "lifecycle", "zone", "tsig", "wire"]),
    ("sim", &["store", "answer", "transfer", "lifecycle", "zone", "tsig", "wire"]),
    ("demo", &["daemon", "sim"]),
    ("interop", &[]),
];

/// A package's name without the prefix that all rooms share.
fn room(package: &str) -> &str {
    package.strip_prefix("secondo-").unwrap_or(package)
}

fn dependencies(package: &Value) -> impl Iterator<Item = &Value> {
    package["dependencies"].as_array().expect("a package lists its dependencies").iter()
}

#[test]
fn rooms_know_only_the_rooms_below_them() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let rooms: BTreeSet<&str> = packages().iter().map(|package| room(text(package, "name"))).collect();
    let expected: BTreeSet<&str> = allowed.keys().copied().collect();
    assert_eq!(
        rooms, expected,
        "a room was added or removed: give it its arrows here and in ARCHITECTURE.md"
    );

    let mut wrong = Vec::new();
    for package in packages() {
        let from = room(text(package, "name"));
        for dependency in dependencies(package) {
            let to = room(text(dependency, "name"));
            if rooms.contains(to) && !allowed[from].contains(&to) {
                wrong.push(format!("{from} -> {to}"));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that ARCHITECTURE.md does not draw: {}", wrong.join(", "));
}

#[test]
fn all_versions_and_sources_are_decided_in_one_place() {
    // A dependency is described once, in the workspace's table, with the reason why it is there. Cargo.toml does not
    // tell through its metadata where a version was written, so the manifests are read.
    let mut wrong = Vec::new();
    for package in packages() {
        let manifest = crate::folder(package).join("Cargo.toml");
        let mut inside = false;
        for line in crate::read(&manifest).lines().map(str::trim) {
            if line.starts_with('[') {
                inside = line.contains("dependencies");
            } else if inside && !line.is_empty() && !line.starts_with('#') && !line.contains("workspace") {
                wrong.push(format!("{}: {line}", crate::shown(&manifest)));
            }
        }
    }
    assert!(wrong.is_empty(), "not from [workspace.dependencies]:\n{}", wrong.join("\n"));
}

#[test]
fn no_room_may_hold_unsafe_code() {
    let workspace = crate::read(&crate::root().join("Cargo.toml"));
    assert!(workspace.contains("unsafe_code = \"forbid\""), "the workspace must forbid unsafe code");
    for package in packages() {
        let manifest = crate::folder(package).join("Cargo.toml");
        assert!(
            crate::read(&manifest).contains("[lints]\nworkspace = true"),
            "{} does not take the workspace's lints, which forbid unsafe code",
            crate::shown(&manifest)
        );
    }
}
