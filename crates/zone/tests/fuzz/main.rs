//! What the fuzz targets of this room judge (`tests/fuzz`), over the inputs that they found worth keeping.

// Helpers of tests are tests too.
#![allow(unreachable_pub, clippy::unwrap_used)]

mod stored;

use std::path::Path;

use secondo_zone::Difference;

/// Whether octets are taken; a panic when they should not have been.
type Judge = fn(&[u8]) -> bool;

fn replay(target: &str, judge: Judge) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target);
    let (mut seen, mut taken) = (0, 0);
    for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        // A panic that follows belongs to this input; the line is shown with it.
        eprintln!("{}", path.display());
        taken += usize::from(judge(&std::fs::read(&path).unwrap()));
        seen += 1;
    }
    assert!(seen > 10 && taken > 0, "{taken} of {seen} inputs in {}", folder.display());
}

#[test]
fn pages_are_taken_as_they_would_be_written_or_not_at_all() {
    replay("pages", stored::judge_pages);
}

#[test]
fn steps_of_a_journal_are_taken_as_they_would_be_written_or_not_at_all() {
    replay("steps", stored::judge_step);
}

#[test]
fn good_octets_are_taken_and_those_with_a_bit_flipped_or_cut_short_are_judged_alike() {
    let pages = stored::framed(stored::base());
    let step = Difference::between(stored::base(), &stored::grown(2, 9)).to_bytes();
    let judges: [(&[u8], Judge); 2] = [(&pages, stored::judge_pages), (&step, stored::judge_step)];
    for (good, judge) in judges {
        assert!(judge(good));
        for at in 0..good.len() {
            judge(&good[..at]);
            let mut bad = good.to_vec();
            bad[at] ^= 1 << (at % 8);
            judge(&bad);
        }
    }
}
