//! A process that commits as fast as it can is killed at any moment: what it was told is durable comes back.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod world;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use secondo_store::Durability;
use secondo_wire::Serial;
use world::*;

const FOLDER: &str = "SECONDO_KILL_FOLDER";
const ZONES: [&str; 3] = ["small.example.", "large.example.", "other.example."];

fn version(apex: &str, serial: u32) -> secondo_zone::Zone {
    if apex.starts_with("small") { small(apex, serial) } else { large(apex, serial) }
}

/// The process to be killed: goes on from what it finds, and says on standard output what is durable.
fn toil(folder: &Path) {
    let (store, opened) = open(folder);
    assert!(opened.damages.is_empty(), "{:?}", opened.damages);
    assert!(opened.refused.is_none());
    let mut current = ZONES.map(|apex| {
        let found = opened.restored.iter().find(|restored| *restored.committed.zone().apex() == name(apex));
        found.map(|restored| restored.committed.zone().clone())
    });
    for round in 1.. {
        for (index, apex) in ZONES.iter().enumerate() {
            let serial = current[index].as_ref().map_or(1, |zone| zone.serial().0 + 1);
            let next = version(apex, serial);
            // Full transfers too, so that files are replaced.
            let checked = match &current[index] {
                Some(old) if round % 7 != 0 => incremental(old, &next),
                _ => full(&next),
            };
            store.commit(checked, confirmation(Serial(serial), 0), 4, move |committed| {
                assert_eq!(*committed.durability(), Durability::Durable);
                println!("\ndurable {index} {serial} 0");
                std::io::stdout().flush().unwrap();
            });
            store.confirm(&name(apex), confirmation(Serial(serial), round), move |result| {
                result.unwrap();
                println!("\ndurable {index} {serial} {round}");
                std::io::stdout().flush().unwrap();
            });
            current[index] = Some(next);
        }
    }
}

#[test]
fn what_was_durable_survives_a_kill() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return toil(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut durable = [(0_u32, 0_u64); ZONES.len()];
    for life in 0..12_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "what_was_durable_survives_a_kill", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let reader = thread::spawn(move || {
            let mut told = Vec::new();
            let mut first = None;
            for line in stdout.lines().map_while(Result::ok) {
                if let Some(rest) = line.strip_prefix("durable ") {
                    first.get_or_insert_with(std::time::Instant::now);
                    told.push(rest.to_owned());
                }
            }
            told
        });
        // Any moment will do, the first ones too.
        thread::sleep(Duration::from_millis(60 + life * life * 12));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in reader.join().unwrap() {
            let mut numbers = line.split(' ').map(|number| number.parse::<u64>());
            // The last line may have been cut.
            let [Some(Ok(index)), Some(Ok(serial)), Some(Ok(wall))] = [(); 3].map(|()| numbers.next()) else {
                continue;
            };
            durable[index as usize] = (serial as u32, wall);
        }
        let (_store, opened) = open(folder.path());
        assert!(opened.damages.is_empty() && opened.refused.is_none(), "{:?}", opened.damages);
        for (apex, (serial, wall)) in ZONES.iter().zip(durable) {
            let found =
                opened.restored.iter().find(|restored| *restored.committed.zone().apex() == name(apex));
            let Some(found) = found else {
                assert_eq!(serial, 0, "{apex} is gone");
                continue;
            };
            let zone = found.committed.zone();
            assert!(zone.serial().0 >= serial, "{apex}: {} came back, {serial} was durable", zone.serial().0);
            assert_eq!(content(zone), content(&version(apex, zone.serial().0)));
            let confirmation = found.confirmation.expect("a version has a confirmation of its own");
            assert!(
                zone.serial().0 > serial || confirmation.wall >= wall,
                "{apex}: an older confirmation came back"
            );
        }
    }
    println!("{durable:?}");
    assert!(durable.iter().all(|(serial, _)| *serial > 20), "the lives were too short to tell: {durable:?}");
}
