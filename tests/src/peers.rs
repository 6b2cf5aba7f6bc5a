//! Which of the other servers and tools this machine has, and what to do when one is missing.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The servers that the tests run against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Software {
    /// BIND 9 (`named`).
    Bind,
    /// Knot DNS (`knotd`).
    Knot,
    /// NSD.
    Nsd,
    /// PowerDNS Authoritative with its SQLite backend.
    Pdns,
}

impl Software {
    /// The programs that are needed to run it.
    pub fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Bind => &["named", "named-checkzone"],
            Self::Knot => &["knotd", "knotc"],
            Self::Nsd => &["nsd", "nsd-control", "nsd-checkconf", "nsd-checkzone"],
            Self::Pdns => &["pdns_server", "pdnsutil", "sqlite3"],
        }
    }

    /// Whether it answers an IXFR with differences; PowerDNS sends the whole zone instead.
    pub fn offers_ixfr(self) -> bool {
        self != Self::Pdns
    }
}

impl fmt::Display for Software {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bind => "BIND",
            Self::Knot => "Knot DNS",
            Self::Nsd => "NSD",
            Self::Pdns => "PowerDNS",
        })
    }
}

/// Whether the test that asks can run: the server itself, the clients and the maker of keys are all here.
///
/// A missing one is said loudly and the test skipped, or the test fails when `SECONDO_TESTS_REQUIRE_PEERS` is `1`.
pub fn ready(software: &[Software]) -> bool {
    let clients = ["dig", "kdig", "tsig-keygen"];
    let servers = software.iter().flat_map(|s| s.programs());
    let missing: Vec<&str> = clients.iter().chain(servers).copied().filter(|p| find(p).is_none()).collect();
    if missing.is_empty() {
        return true;
    }
    skip(&format!("this machine has no {}", missing.join(", ")));
    false
}

/// Says loudly that the current test is skipped, and why.
///
/// # Panics
/// When skipping is forbidden.
pub fn skip(why: &str) {
    let thread = std::thread::current();
    let line = format!("SKIPPED: {}: {why}\n", thread.name().unwrap_or("a test"));
    assert!(std::env::var("SECONDO_TESTS_REQUIRE_PEERS").as_deref() != Ok("1"), "{line}");
    // Written past the test runner's capture, which would hide it because the test counts as passed.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("SECONDO_TESTS_SKIPPED")
        && let Ok(mut file) = std::fs::File::options().create(true).append(true).open(path)
    {
        let _ = file.write_all(line.as_bytes());
    }
}

/// Where a program is: on the path, or where systems keep servers.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// A program that [`ready`] has found.
///
/// # Panics
/// When it is not there.
pub fn program(name: &str) -> PathBuf {
    find(name).unwrap_or_else(|| panic!("{name} is not installed"))
}

/// The program of a server, to be run with its files in `folder`.
///
/// Where AppArmor confines programs by their path, the packaged server may not write outside its own places, so a copy
/// of it is run from our folder.
pub fn server(name: &str, folder: &Path) -> PathBuf {
    let installed = program(name);
    let confined =
        std::fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|s| s.starts_with('Y'));
    if !confined {
        return installed;
    }
    let copy = folder.join(name);
    if !copy.is_file() {
        std::fs::copy(&installed, &copy).expect("our own folder is writable");
    }
    copy
}
