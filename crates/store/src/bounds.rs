//! How large things may become, and what is decided by it.

use secondo_zone::Zone;

use crate::facts::{Facts, Stamp};

/// Zones up to this size live in the database; larger ones have a file and a journal.
pub(crate) const ROW_LIMIT: u64 = 64 * 1024;
/// A step that is a larger part of the image (1/n) is worth a new one at once.
pub(crate) const STEP_SHARE: u64 = 2;
/// The steps behind the image may grow to this part of it (1/n) before it is written anew, so that a restart has little
/// to do beside reading the image...
const JOURNAL_SHARE: u64 = 32;
/// ...at least to so many octets, so that files are not written too often...
const JOURNAL_OCTETS: u64 = 32 << 10;
/// ...and at most to so many steps.
const JOURNAL_STEPS: u32 = 4096;
/// A difference of more octets is no step: SQLite would not take much more.
pub(crate) const LARGEST_DIFFERENCE: u64 = 256 << 20;
/// All steps of a zone may take so many times as much as its image...
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
    facts.chain.on > limit || facts.chain.steps_on() > JOURNAL_STEPS
}
