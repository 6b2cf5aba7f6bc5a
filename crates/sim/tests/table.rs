//! `CATALOGUE.md` is what the catalogue says.

use std::collections::BTreeSet;

use secondo_sim::catalogue::{CHAPTERS, entries, table};

#[test]
fn the_table_is_in_step_with_the_catalogue() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/CATALOGUE.md");
    let written = std::fs::read_to_string(path).expect("the table is there");
    assert!(written == table(), "make it anew: cargo run -p secondo-sim --example catalogue > {path}");
}

#[test]
fn each_entry_has_a_name_of_its_own_and_stands_in_a_chapter() {
    let all = entries();
    let names: BTreeSet<_> = all.iter().map(|entry| (entry.group, entry.name.as_str())).collect();
    assert_eq!(names.len(), all.len());
    assert!(all.iter().all(|entry| CHAPTERS.iter().any(|(title, _)| *title == entry.group)));
}
