//! How large things may become, and what is decided by it.

use secondo_zone::Zone;

use crate::facts::{Facts, Stamp};

/// Zones up to this size live in the database; larger ones have a file and a journal.
pub(crate) const ROW_LIMIT: u64 = 64 * 1024;
/// A step that is a larger part of the image (1/n) is worth a new one at once.
const STEP_SHARE: u64 = 2;
/// The steps behind the image may grow to this part of it (1/n) before it is written anew, so that a restart has little
/// to do beside reading the image...
const JOURNAL_SHARE: u64 = 32;
/// ...at least to so many octets, so that files are not written too often...
const JOURNAL_OCTETS: u64 = 32 << 10;
/// ...and at most to so many steps.
const JOURNAL_STEPS: u32 = 4096;
/// While the new image cannot be written they may become so many...
const MOST_STEPS: u32 = 2 * JOURNAL_STEPS;
/// A difference of more octets is no step: SQLite would not take much more.
pub(crate) const LARGEST_DIFFERENCE: u64 = 256 << 20;
/// ...and all steps of a zone may take so many times as much as its image...
const HISTORY_SHARE: u64 = 2;
/// ...or this many octets.
const HISTORY_OCTETS: u64 = 16 << 20;

/// Octets of a version, about: those of its pages.
pub(crate) fn size(zone: &Zone) -> u64 {
    zone.counts().memory_bytes
}

/// Whether a version is to have a page file.
pub(crate) fn is_large(zone: &Zone) -> bool {
    size(zone) > ROW_LIMIT
}

/// Octets that all steps of a zone may have.
pub(crate) fn history_limit(image: Stamp) -> u64 {
    image.size.saturating_mul(HISTORY_SHARE).max(HISTORY_OCTETS)
}

/// Octets that one step may have: while it is written it is on disk twice, beside two images and the steps before it.
pub(crate) fn step_limit(image: Stamp) -> u64 {
    history_limit(image) / 4 * 3
}

/// Whether the steps behind the image are so many that a new one is better.
pub(crate) fn has_outgrown(facts: &Facts) -> bool {
    let limit = (facts.stamp.size / JOURNAL_SHARE).max(JOURNAL_OCTETS);
    facts.chain.on > limit || facts.chain.steps_on() >= JOURNAL_STEPS
}

/// Whether a step whose row has so many octets is better than a new image, and there is room for it behind the old one.
pub(crate) fn is_worth(facts: &Facts, row: u64) -> bool {
    let chain = &facts.chain;
    row <= facts.stamp.size / STEP_SHARE
        && chain.on.saturating_add(row) <= history_limit(facts.stamp)
        && chain.steps_on() < MOST_STEPS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Chain;
    use crate::facts::{Place, Version};
    use secondo_wire::Serial;

    #[test]
    fn steps_behind_an_image_that_cannot_be_renewed_have_an_end() {
        let version = Version { serial: Serial(1), digest: [1; 8] };
        let facts = Facts::new(1, version, Place::File(1), Stamp { size: 1 << 20, sum: 2 });
        let with = |next, on| Facts { chain: Chain { next, on, ..facts.chain }, ..facts };
        assert!(!has_outgrown(&with(JOURNAL_STEPS - 1, 1)) && has_outgrown(&with(JOURNAL_STEPS, 1)));
        assert!(is_worth(&with(MOST_STEPS - 1, 1), 1000) && !is_worth(&with(MOST_STEPS, 1), 1000));
        let room = HISTORY_OCTETS - 1000;
        assert!(is_worth(&with(9, room), 1000) && !is_worth(&with(9, room), 1001));
        assert!(is_worth(&facts, 1 << 19) && !is_worth(&facts, (1 << 19) + 1));
    }
}
