//! Signed zones, made by BIND's tools.

use crate::{Folder, Zone, peers, process};

/// How the signed zone denies that a name exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// NSEC (RFC 4034 §4).
    Nsec,
    /// NSEC3 with a salt and without opt-out (RFC 5155).
    Nsec3,
}

/// The programs that are needed.
pub const PROGRAMS: [&str; 2] = ["dnssec-keygen", "dnssec-signzone"];

/// The zone with keys, signatures and a chain of denial; the SOA's serial stays.
pub fn signed(zone: &Zone, denial: Denial) -> Zone {
    let folder = Folder::fresh();
    let keys = folder.path().to_string_lossy().into_owned();
    for flags in [&["-f", "KSK"][..], &[]] {
        let arguments = [&["-q", "-K", &keys, "-a", "ECDSAP256SHA256"][..], flags, &[&zone.apex]].concat();
        process::run(&peers::program("dnssec-keygen"), &arguments);
    }
    let (plain, output) = (folder.path().join("plain"), folder.path().join("signed"));
    std::fs::write(&plain, zone.master_file()).expect("our own folder is writable");
    let (plain, output) = (plain.to_string_lossy(), output.to_string_lossy());
    let mut arguments =
        vec!["-q", "-S", "-K", &keys, "-d", &keys, "-O", "full", "-o", &zone.apex, "-f", &output];
    if denial == Denial::Nsec3 {
        arguments.extend(["-3", "aabbccdd", "-H", "1"]);
    }
    arguments.push(&plain);
    process::run(&peers::program("dnssec-signzone"), &arguments);
    let text = std::fs::read_to_string(&*output).expect("the signer wrote it");
    let mut result = zone.clone();
    result.records = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with(';'))
        .filter(|line| line.split_ascii_whitespace().nth(3) != Some("SOA"))
        .map(str::to_owned)
        .collect();
    assert!(
        result.records.len() > zone.records.len() * 2,
        "dnssec-signzone wrote {} records",
        result.records.len()
    );
    result
}
