//! What we let in: licences, crates that never come in, versions below which we do not go, and from where. `deny.toml`
//! says the same to `cargo deny`, which also knows the advisories.

use crate::spdx::is_met;
use crate::{cargo, read, root};
use std::collections::BTreeSet;
use std::process::Command;

/// Licences that any dependency may come under.
const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "0BSD",
    "ISC",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that never come in, and why.
const BANNED: &[(&str, &str)] = &[
    ("openssl", "C code with a history; TLS is rustls"),
    ("openssl-sys", "C code with a history; TLS is rustls"),
    ("native-tls", "whatever TLS the machine happens to have"),
    ("ring", "one cryptography library is enough"),
    ("serde_yml", "unsound and unmaintained"),
    ("rustls-pemfile", "unmaintained; rustls-pki-types reads PEM"),
    ("im", "unmaintained"),
    ("lru", "two unsound releases in one year"),
];

/// Versions below which known faults lie.
const FLOORS: &[(&str, [u64; 3])] = &[("hickory-proto", [0, 26, 2]), ("tracing-subscriber", [0, 3, 20])];

/// A package that is built for this machine, tests included.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Built {
    name: String,
    version: String,
    /// Whatever else cargo says of it: a path, a repository.
    from: String,
    licence: String,
}

/// All packages that are built, by cargo's precise resolution: an optional dependency that nobody switched on is in
/// `Cargo.lock` and not here.
fn built() -> BTreeSet<Built> {
    let tree = cargo(&[
        "tree",
        "--workspace",
        "--all-features",
        "--no-dedupe",
        "--edges=normal,build,dev",
        "--prefix=none",
        "--format={p}|{l}",
    ]);
    let built: BTreeSet<Built> = tree.lines().filter(|line| !line.is_empty()).map(built_package).collect();
    assert!(built.len() > 50, "cargo tree printed too little:\n{tree}");
    built
}

/// Reads `name v1.2.3 (where)|licence`.
fn built_package(line: &str) -> Built {
    let (package, licence) = line.split_once('|').unwrap_or_else(|| panic!("cargo tree printed {line:?}"));
    let mut words = package.splitn(3, ' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let (name, version, from) = (word(), word(), word());
    Built { name, version: version.trim_start_matches('v').to_owned(), from, licence: licence.to_owned() }
}

fn version_numbers(version: &str) -> [u64; 3] {
    let plain = version.split(['-', '+']).next().unwrap_or_default();
    let mut numbers = plain.split('.').map(|number| number.parse().expect("a version is made of numbers"));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}

#[test]
fn all_dependencies_come_under_licences_that_we_accept() {
    let mut wrong = Vec::new();
    for package in built() {
        match is_met(&package.licence, &|licence| LICENCES.contains(&licence)) {
            Ok(true) => {}
            Ok(false) => wrong.push(format!("{} {}: {}", package.name, package.version, package.licence)),
            Err(why) => wrong.push(format!("{} {}: {why}", package.name, package.version)),
        }
    }
    assert!(wrong.is_empty(), "licences that are not on the list:\n{}", wrong.join("\n"));
}

#[test]
fn banned_crates_are_not_built() {
    let built = built();
    for (name, why) in BANNED {
        let found = built.iter().any(|package| package.name == *name);
        assert!(!found, "{name} is built ({why}); `cargo tree --workspace -i {name}` says who asks for it");
    }
}

#[test]
fn no_version_lies_below_its_floor() {
    for package in built() {
        let floor = FLOORS.iter().find(|(name, _)| *name == package.name);
        if let Some((name, floor)) = floor {
            assert!(
                version_numbers(&package.version) >= *floor,
                "{name} {} is below {floor:?}",
                package.version
            );
        }
    }
    assert!([0, 26, 2] > version_numbers("0.26.1") && [0, 26, 2] <= version_numbers("0.26.10-beta.1"));
}

#[test]
fn everything_comes_from_the_registry_or_from_this_workspace() {
    // Cargo.lock speaks for all platforms and all features.
    for line in read(&root().join("Cargo.lock")).lines() {
        let foreign = line.starts_with("source = ") && !line.starts_with("source = \"registry+");
        assert!(!foreign, "Cargo.lock has a source that is no registry: {line}");
    }
    for package in built() {
        let inside =
            !package.from.starts_with("(/") || package.from[1..].starts_with(&root().display().to_string());
        assert!(inside, "{} comes from outside this workspace: {}", package.name, package.from);
    }
}

#[test]
fn the_lock_file_is_committed() {
    if !root().join(".git").exists() {
        eprintln!("not a git checkout: nothing to see");
        return;
    }
    let listed = Command::new("git")
        .args(["ls-files", "--error-unmatch", "Cargo.lock"])
        .current_dir(root())
        .output()
        .expect("git can be started");
    // A checkout that belongs to another user is one that git does not want to read: that says nothing of the file.
    let said = String::from_utf8_lossy(&listed.stderr);
    assert!(
        listed.status.success() || said.contains("dubious ownership"),
        "Cargo.lock is not committed: {said}"
    );
}

#[test]
fn cargo_deny_is_told_the_same() {
    let deny = read(&root().join("deny.toml"));
    let quoted = |name: &str| deny.contains(&format!("\"{name}\""));
    for licence in LICENCES {
        let licence = licence.split(" WITH ").next().unwrap_or_default();
        assert!(quoted(licence), "deny.toml does not allow {licence}");
    }
    for (name, _) in BANNED {
        assert!(deny.contains(&format!("name = \"{name}\"")), "deny.toml does not ban {name}");
    }
    for (name, _) in FLOORS {
        assert!(
            quoted(name) || deny.contains(&format!("\"{name}:")) || deny.contains(name),
            "no floor for {name}"
        );
    }
}
