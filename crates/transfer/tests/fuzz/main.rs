//! What the fuzz target of this room judges (`tests/fuzz`), over the inputs that it found worth keeping.

// Helpers of tests are tests too.
#![allow(unreachable_pub, clippy::unwrap_used)]

mod stream;
#[allow(dead_code, unreachable_pub)]
#[path = "../../src/testing.rs"]
mod testing;

use std::path::Path;

#[test]
fn only_a_whole_stream_is_a_version() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/streams");
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        // A panic that follows belongs to this input; the line is shown with it.
        eprintln!("{}", path.display());
        stream::judge(&std::fs::read(&path).unwrap());
        seen += 1;
    }
    assert!(seen > 20, "no inputs in {}", folder.display());
}
