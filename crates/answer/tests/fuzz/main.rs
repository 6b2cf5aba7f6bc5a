//! What the fuzz targets of this room judge (`tests/fuzz`), over the inputs that they found worth keeping. Neither a
//! fuzzing engine nor chance is needed here: what held of an input once holds of it for ever.

// Helpers of tests are tests too.
#![allow(unreachable_pub, clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod foreign;
mod grown;
mod seen;

use std::path::Path;

/// Hands every kept input of a target to its judge.
fn replay(target: &str, judge: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target);
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        let input = std::fs::read(&path).unwrap();
        // A panic that follows belongs to this input; the line is shown with it.
        eprintln!("{}", path.display());
        judge(&input);
        seen += 1;
    }
    assert!(seen > 20, "no inputs in {}", folder.display());
}

#[test]
fn any_octets_are_answered_within_bounds() {
    replay("requests", foreign::judge);
}

#[test]
fn lawful_zones_are_answered_as_the_model_says_and_proved() {
    replay("zones", grown::judge_lawful);
}

#[test]
fn lawless_zones_are_answered_soundly() {
    replay("records", grown::judge_lawless);
}
