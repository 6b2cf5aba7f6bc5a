//! Every reason is given by some room: one that nobody gives explains nothing.

use crate::{code_and_tests, packages, read, root, sources};

#[test]
fn every_reason_is_given_somewhere() {
    let table = root().join("crates/wire/src/reason.rs");
    let text = read(&table);
    let variants: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim().split_once(" \""))
        .map(|(variant, _)| variant)
        .filter(|variant| variant.chars().all(char::is_alphanumeric))
        .collect();
    assert!(variants.len() > 50, "the table of reasons is read: {variants:?}");
    let mut code = String::new();
    for path in packages().iter().flat_map(sources).filter(|path| *path != table) {
        code += code_and_tests(&read(&path)).0;
    }
    // `Reason::X`, not followed by more of a name.
    let given = |variant: &str| {
        let wanted = format!("Reason::{variant}");
        let ends = code.match_indices(&wanted).map(|(at, _)| code[at + wanted.len()..].chars().next());
        ends.into_iter().any(|next| !next.is_some_and(char::is_alphanumeric))
    };
    let idle: Vec<&str> = variants.into_iter().filter(|variant| !given(variant)).collect();
    assert!(idle.is_empty(), "nobody gives these reasons: use them or remove them: {idle:?}");
}
