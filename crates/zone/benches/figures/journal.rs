//! Differences as a journal keeps them, and what they lead to.

use crate::Row;
use crate::clock::best_by_the_wall;
use secondo_zone::{Difference, Zone};

/// Of the steps from each version to the next.
pub fn rows(versions: &[Zone]) -> Vec<Row> {
    let (first, last) = (&versions[0], &versions[versions.len() - 1]);
    let steps: Vec<Difference> =
        versions.windows(2).map(|pair| Difference::between(&pair[0], &pair[1])).collect();
    let records: usize = steps.iter().map(|step| step.removed_count() + step.added_count()).sum();
    let wire: usize = steps.iter().map(Difference::wire_bytes).sum();
    let (journal, written) =
        best_by_the_wall(5, || steps.iter().map(Difference::to_bytes).collect::<Vec<_>>());
    let (read, taken) = best_by_the_wall(5, || {
        journal.iter().map(|step| Difference::from_bytes(step).unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(read, steps);
    drop(read);
    let octets: usize = journal.iter().map(Vec::len).sum();
    let (there, one_by_one) =
        best_by_the_wall(3, || steps.iter().fold(first.clone(), |zone, step| step.apply(&zone).unwrap()));
    assert!(there == *last);
    drop(there);
    let (there, at_once) = best_by_the_wall(3, || Difference::apply_all(first, &steps).unwrap());
    assert!(there == *last && there.digest() == last.digest());
    drop(there);
    let back: Vec<Difference> = steps.iter().rev().map(Difference::reversed).collect();
    let (back, reversed) = best_by_the_wall(3, || Difference::apply_all(last, &back).unwrap());
    assert!(back == *first);
    let each = |octets: usize| octets as f64 / records as f64;
    let nanoseconds = |time: std::time::Duration| format!("{:.0}", time.as_nanos() as f64 / records as f64);
    let milliseconds = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    vec![
        (
            "the steps between those versions in a journal, octets a record (in an IXFR)",
            format!("{:.1} ({:.1})", each(octets), each(wire)),
        ),
        ("the same, written, ns a record", nanoseconds(written)),
        ("read and checked, ns a record", nanoseconds(taken)),
        ("applied one by one, ms", format!("{:.1}", milliseconds(one_by_one))),
        (
            "applied at once, ms",
            format!(
                "{:.1} ({:.2}x)",
                milliseconds(at_once),
                milliseconds(at_once) / milliseconds(one_by_one)
            ),
        ),
        ("applied at once backwards, ms", format!("{:.1}", milliseconds(reversed))),
    ]
}
