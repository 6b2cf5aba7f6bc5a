//! The rules of the house, read from the house itself: which room may know which, what stays below the purity line,
//! how long a file may grow, what every room's card says, and under which licences our dependencies come.
//!
//! Works offline with cargo alone. `ARCHITECTURE.md` says the same in prose.

mod arrows;
mod dependencies;
mod files;
mod purity;
mod reasons;
mod spdx;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The root of the checkout.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent")
}

/// What one cargo command prints, without touching the network and without changing `Cargo.lock`.
fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(arguments)
        .args(["--offline", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo can be started");
    assert!(
        output.status.success(),
        "cargo {} failed; if it wants to download, run `cargo fetch` once; if it wants to change Cargo.lock, commit the \
         change:\n{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

/// The workspace's own packages, as `cargo metadata` tells them.
fn packages() -> &'static [Value] {
    static PACKAGES: OnceLock<Vec<Value>> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let metadata: Value =
            serde_json::from_str(&cargo(&["metadata", "--format-version", "1", "--no-deps"]))
                .expect("cargo metadata prints JSON");
        metadata["packages"].as_array().expect("metadata lists packages").clone()
    })
}

/// A text field of a JSON object that is known to have it.
fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no text field {field:?} in {value}"))
}

/// The folder that holds a package's `Cargo.toml`.
fn folder(package: &Value) -> PathBuf {
    Path::new(text(package, "manifest_path")).parent().expect("a manifest lies in a folder").to_path_buf()
}

/// Every file below a folder that is ours: not built, not hidden from the checkout.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let path = entry.expect("a folder can be read to its end").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_symlink()
                || [".git", "target", "build", "corpus", "artifacts"].contains(&name.as_str())
            {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The Rust sources of a package's `src`.
fn sources(package: &Value) -> Vec<PathBuf> {
    let mut sources = files_below(&folder(package).join("src"));
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    sources
}

/// A source split into its code and its unit tests, which begin at the first `#[cfg(test)]` before a module.
fn code_and_tests(source: &str) -> (&str, &str) {
    match test_modules(source).into_iter().find(|(_, declaration)| declaration.ends_with('{')) {
        Some((offset, _)) => source.split_at(offset),
        None => (source, ""),
    }
}

/// The modules that only tests see: where their attributes begin, and their declarations.
fn test_modules(source: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut marked = None;
    let mut offset = 0;
    for line in source.split_inclusive('\n') {
        let trimmed = line.trim();
        if trimmed == "#[cfg(test)]" {
            marked = Some(offset);
        } else if !trimmed.starts_with("#[") {
            let private = trimmed.trim_start_matches("pub").trim_start_matches("(crate)").trim_start();
            if let Some(marked) = marked.take().filter(|_| private.starts_with("mod ")) {
                found.push((marked, private));
            }
        }
        offset += line.len();
    }
    found
}

/// Whether a source as a whole is for tests only: its module is declared so, in the file that owns its folder.
fn is_for_tests(path: &Path) -> bool {
    let declaration = format!("mod {};", path.file_stem().unwrap_or_default().to_string_lossy());
    let folder = path.parent().expect("a source lies in a folder");
    let owners =
        [folder.join("lib.rs"), folder.join("main.rs"), folder.join("mod.rs"), folder.with_extension("rs")];
    owners
        .iter()
        .filter_map(|owner| std::fs::read_to_string(owner).ok())
        .any(|owner| test_modules(&owner).iter().any(|(_, found)| *found == declaration))
}

/// How a path is called in a message: from the root of the checkout.
fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", shown(path)))
}

#[test]
fn the_tests_of_a_file_begin_where_its_test_module_does() {
    let source = "a\n#[cfg(test)]\nuse x;\nb\n#[cfg(test)]\n#[allow(y)]\nmod tests {\n}\n";
    assert_eq!(code_and_tests(source).0, "a\n#[cfg(test)]\nuse x;\nb\n");
    assert_eq!(code_and_tests("a\n").1, "");
    let declared = "#[cfg(test)]\npub(crate) mod naive;\nmod real;\n";
    assert_eq!(test_modules(declared), [(0, "mod naive;")]);
    assert_eq!(code_and_tests(declared).1, "", "code goes on behind it");
}
