//! The end of the connection behind each octet of a small zone, and of small differences. Only behind the last one is what
//! came whole (RFC 5936 §2.2); where differences had begun, the zone is asked for whole at once.

use secondo_wire::Reason;

use super::{Entry, Expect, Scene, entry};
use crate::fault::Fault;
use crate::script::Kind;

/// Two records a message, and few of them.
fn small(ixfr: bool) -> Scene {
    Scene { ixfr, to: &[8], hosts: 1, per_message: 2, ..Scene::default() }
}

/// The entries of this chapter.
pub fn entries() -> Vec<Entry> {
    let mut all = Vec::new();
    for (form, kind, ixfr) in [("AXFR", Kind::Axfr, false), ("IXFR", Kind::Ixfr, true)] {
        let scene = small(ixfr);
        let lengths: Vec<usize> = scene.answer(&[]).iter().map(|message| message.len() + 2).collect();
        let (first, whole) = (lengths[0], lengths.iter().sum());
        for octets in 0..=whole {
            let expect = match (ixfr, octets) {
                (true, _) if octets == whole => Expect::succeeds("soa ixfr", &[]),
                (false, _) if octets == whole => Expect::succeeds("soa axfr", &[]),
                (true, _) if octets >= first => Expect::succeeds("soa ixfr axfr", &[Reason::IxfrCut]),
                (true, _) => Expect::fails("soa ixfr", Reason::TruncatedStream),
                (false, _) => Expect::fails("soa axfr", Reason::TruncatedStream),
            };
            let name = format!("{form}: closes behind octet {octets}");
            all.push(entry("octets", &name, scene.clone(), kind, &[Fault::CloseAfter(octets)], expect));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Served;

    #[test]
    fn a_stream_is_whole_behind_its_last_octet_alone() {
        let all = entries();
        let right = |entry: &&Entry| entry.expect.served == Served::New && entry.expect.reasons.is_empty();
        let whole: Vec<_> = all.iter().filter(right).map(|entry| &entry.name).collect();
        assert_eq!(whole.len(), 2, "{whole:?}");
        assert!(all.len() > 400);
    }
}
