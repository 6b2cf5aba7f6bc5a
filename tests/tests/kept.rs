//! Versions as an operator reads them: `dump` and `diff`, read again by BIND, Knot DNS and NSD.

use std::collections::BTreeSet;
use std::path::Path;

use interop::signer::{self, Denial};
use interop::types::{self, Specimen};
use interop::{Folder, Pair, Software, Zone, each_primary, peers, process, zonefile};

/// What BIND reads in a master file: one record a line, names and data in its own spelling.
fn records(folder: &Path, apex: &str, text: &str) -> BTreeSet<String> {
    let file = folder.join("read.zone");
    std::fs::write(&file, text).expect("our own folder is writable");
    let ignored =
        ["-i", "none", "-k", "ignore", "-m", "ignore", "-n", "ignore", "-r", "ignore", "-T", "ignore"];
    let path = file.to_string_lossy();
    let shown = ["-D", "-q", "-s", "full", "-o", "-", apex, &path];
    let text = process::run(&peers::program("named-checkzone"), &[&ignored[..], &shown].concat());
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with(';'));
    lines.map(|line| line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Loads a master file into each server that is there, as it stands.
fn loads_everywhere(folder: &Path, apex: &str, text: &str) {
    let file = folder.join("dump.zone");
    std::fs::write(&file, text).expect("our own folder is writable");
    let path = file.to_string_lossy();
    let read = records(folder, apex, text);
    assert_eq!(read.len(), text.lines().count() - 1, "BIND reads as many records as there are lines");
    process::run(&peers::program("nsd-checkzone"), &[apex, &path]);
    let configuration = folder.join("knot.conf");
    let lines = format!(
        "database:\n    storage: \"{0}\"\nzone:\n  - domain: \"{apex}\"\n    storage: \"{0}\"\n    file: dump.zone\n",
        folder.display()
    );
    std::fs::write(&configuration, lines).expect("our own folder is writable");
    process::run(&peers::program("knotc"), &["-c", &configuration.to_string_lossy(), "zone-check", apex]);
}

/// The text of `secondo dump`, its first two lines looked at.
fn dump(pair: &Pair, zone: &Zone, arguments: &[&str]) -> String {
    let outcome = pair.secondo.order(&[&["dump", &zone.apex][..], arguments].concat());
    assert_eq!((outcome.code, outcome.errors.as_str()), (Some(0), ""), "{}", pair.secondo.tail());
    let mut lines = outcome.output.lines();
    let count = outcome.output.lines().count() - 1;
    let first = format!("; {} serial {}, {count} records", zone.apex, zone.serial);
    assert_eq!(lines.next(), Some(first.as_str()));
    assert!(lines.next().is_some_and(|soa| soa.contains(" IN SOA ")), "the SOA comes first");
    outcome.output
}

/// Looks at the difference between two versions: it leads from one dump to the other, and is no longer than it must be.
fn assert_difference(
    pair: &Pair,
    arguments: &[&str],
    old: &(Zone, String),
    new: &(Zone, String),
    folder: &Path,
) {
    let apex = &old.0.apex;
    let outcome = pair.secondo.order(&[&["diff", apex][..], arguments].concat());
    assert_eq!((outcome.code, outcome.errors.as_str()), (Some(0), ""));
    let lines: Vec<(&str, &str)> = outcome.output.lines().map(|line| line.split_at(2)).collect();
    assert!(lines.iter().all(|(sign, _)| ["- ", "+ "].contains(sign)), "{}", outcome.output);
    assert!(lines[0].0 == "- " && lines[0].1.contains(" IN SOA "), "{}", outcome.output);
    assert!(lines[1].0 == "+ " && lines[1].1.contains(" IN SOA "), "{}", outcome.output);
    let of = |sign| lines.iter().filter(move |line| line.0 == sign).map(|line| line.1);
    let mut whole: BTreeSet<&str> = old.1.lines().skip(1).collect();
    assert!(of("- ").all(|line| whole.remove(line)), "what goes was there\n{}", outcome.output);
    assert!(of("+ ").all(|line| whole.insert(line)), "what comes was not there\n{}", outcome.output);
    assert!(whole.into_iter().eq(new.1.lines().skip(1).collect::<BTreeSet<_>>()), "{}", outcome.output);
    let (was, is) =
        (records(folder, apex, &old.0.master_file()), records(folder, apex, &new.0.master_file()));
    assert_eq!(of("- ").count(), was.difference(&is).count(), "{}", outcome.output);
    assert_eq!(of("+ ").count(), is.difference(&was).count(), "{}", outcome.output);
}

/// The specimens that all three servers can load.
fn known_to_all(base: &Zone, folder: &Path) -> Vec<Specimen> {
    let mut specimens = types::every_type();
    specimens.extend(types::odd_names(base.apex_length()));
    let mut unknown = BTreeSet::new();
    for software in [Software::Bind, Software::Knot, Software::Nsd] {
        unknown.extend(types::loadable(software, base, &specimens, folder).1);
    }
    specimens.retain(|specimen| !unknown.contains(&specimen.label));
    assert!(specimens.len() > 100, "{} specimens, not: {unknown:?}", specimens.len());
    specimens
}

#[test]
fn every_kept_version_is_what_its_primary_had_and_loads_everywhere() {
    if !peers::ready(&[Software::Bind, Software::Knot, Software::Nsd]) {
        return;
    }
    let base = Zone::of("types.test.", vec!["@ 300 IN NS ns.elsewhere.test.".into()]).with_hosts(300);
    let folder = Folder::fresh();
    let specimens = known_to_all(&base, folder.path());
    let mut zone = types::loadable(Software::Bind, &base, &specimens, folder.path()).0;
    zone.records.extend(zonefile::wide_rrset("wide"));
    zone.records.push("ttl-zero 0 IN TXT \"never cached\"".into());
    zone.records.push("ttl-longest 2147483647 IN TXT \"for 68 years\"".into());

    let mut pair = Pair::start(Software::Bind, &zone, None, &["keep-versions: 4"]);
    let mut versions = vec![zone.clone()];
    let mut change = |next: Zone| {
        let finished = pair.change(&next);
        assert_eq!(finished.text("kind"), "ixfr", "{}", finished.line());
        versions.push(next.clone());
        next
    };
    let next = change(zone.plus(&["new 60 IN A 192.0.2.80", "new 60 IN TXT \"came \\\"later\\\"\""]));
    let next = change(
        next.minus("host7 ")
            .minus("type-16 ")
            .minus("wide 300 IN TXT \"007")
            .plus(&["type-16 300 IN TXT \"another\""]),
    );
    let mut ttl = next.minus("host8 ");
    ttl.records.push("host8 77 IN A 198.51.100.8".into());
    let next = change(ttl);
    // Half of all types go, and come back.
    let (gone, stay): (Vec<String>, Vec<String>) =
        next.records.iter().cloned().partition(|record| record.starts_with("type-") && record.len() % 2 == 0);
    assert!(gone.len() > 20);
    let mut without = next.clone();
    (without.serial, without.records) = (next.serial + 1, stay);
    let next = change(without);
    let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
    let next = change(next.plus(&gone));
    let last = change(next.minus("new 60 IN A"));

    // From what the disk kept, with nobody to ask.
    pair.primary.stop();
    pair.secondo.stop();
    pair.secondo.start_again();
    let (lost, kept) = versions.split_at(versions.len() - 5);
    for zone in lost {
        let serial = zone.serial.to_string();
        let outcome = pair.secondo.order(&["dump", &zone.apex, "--serial", &serial]);
        assert_eq!(outcome.code, Some(1), "serial {serial} is kept: {}", outcome.errors);
        assert_eq!(outcome.output, "");
        let named: Vec<String> = kept.iter().rev().map(|zone| zone.serial.to_string()).collect();
        assert!(outcome.errors.ends_with(&format!("kept: {}\n", named.join(", "))), "{}", outcome.errors);
    }
    assert_eq!(dump(&pair, &last, &[]), dump(&pair, &last, &["--serial", &last.serial.to_string()]));
    let kept: Vec<(Zone, String)> = kept
        .iter()
        .map(|zone| {
            let text = dump(&pair, zone, &["--serial", &zone.serial.to_string()]);
            let (theirs, ours) = (
                records(folder.path(), &zone.apex, &zone.master_file()),
                records(folder.path(), &zone.apex, &text),
            );
            let only =
                |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>();
            assert!(
                theirs == ours,
                "at the primary: {:#?}\nhere: {:#?}",
                only(&theirs, &ours),
                only(&ours, &theirs)
            );
            loads_everywhere(folder.path(), &zone.apex, &text);
            (zone.clone(), text)
        })
        .collect();
    for pair_of in kept.windows(2) {
        let serials = [pair_of[0].0.serial.to_string(), pair_of[1].0.serial.to_string()];
        assert_difference(&pair, &[&serials[0], &serials[1]], &pair_of[0], &pair_of[1], folder.path());
    }
    let (first, last) = (&kept[0], &kept[kept.len() - 1]);
    assert_difference(&pair, &[], &kept[kept.len() - 2], last, folder.path());
    assert_difference(&pair, &[&first.0.serial.to_string()], first, last, folder.path());
    let back = [last.0.serial.to_string(), first.0.serial.to_string()];
    assert_difference(&pair, &[&back[0], &back[1]], last, first, folder.path());
}

/// A signed zone keeps its proofs: the hashed owners stand in canonical order among the others.
#[test]
fn a_dump_of_a_signed_zone_is_verified_by_others() {
    if !peers::ready(&[Software::Bind, Software::Knot, Software::Nsd]) {
        return;
    }
    let needed = [&signer::PROGRAMS[..], &["dnssec-verify"]].concat();
    if let Some(missing) = needed.iter().find(|program| peers::find(program).is_none()) {
        return peers::skip(&format!("this machine has no {missing}"));
    }
    let folder = Folder::fresh();
    let file = folder.path().join("dump.zone");
    for denial in [Denial::Nsec, Denial::Nsec3] {
        let zone = signer::signed(&Zone::ordinary("signed.test."), denial);
        let pair = Pair::start(Software::Bind, &zone, None, &[]);
        let text = dump(&pair, &zone, &[]);
        loads_everywhere(folder.path(), &zone.apex, &text);
        process::run(&peers::program("dnssec-verify"), &["-q", "-o", &zone.apex, &file.to_string_lossy()]);
        let owners: Vec<String> = text
            .lines()
            .skip(1)
            .map(|line| line.split(' ').next().unwrap_or_default().to_lowercase())
            .map(|owner| owner.trim_end_matches('.').split('.').rev().collect::<Vec<_>>().join("\0"))
            .collect();
        assert!(owners.is_sorted(), "{text}");
    }
}

fn the_dump_is_what_the_primary_has(software: Software) {
    if !peers::ready(&[Software::Bind, Software::Knot, Software::Nsd]) {
        return;
    }
    let folder = Folder::fresh();
    let zone = Zone::ordinary("shown.test.").with_hosts(200);
    let mut pair = Pair::start(software, &zone, None, &[]);
    let next = zone.plus(&["new 60 IN A 192.0.2.80"]).minus("host7 ");
    pair.change(&next);
    let text = dump(&pair, &next, &[]);
    assert_eq!(
        records(folder.path(), &next.apex, &text),
        records(folder.path(), &next.apex, &next.master_file())
    );
    loads_everywhere(folder.path(), &next.apex, &text);
    if software.offers_ixfr() {
        let old = dump(&pair, &zone, &["--serial", &zone.serial.to_string()]);
        assert_difference(&pair, &[], &(zone, old), &(next, text), folder.path());
    }
}
each_primary!(the_dump_is_what_the_primary_has);
