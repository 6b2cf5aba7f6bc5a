//! The ticket to publication.

use secondo_transfer::CheckedZone;
use secondo_zone::Zone;

/// Whether a version would survive a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Durability {
    /// On disk, synced.
    Durable,
    /// In memory alone, with what the disk said; it is written as soon as the disk allows.
    Volatile(String),
}

/// A version that may be published: it went through the store, or came out of it.
#[derive(Debug)]
pub struct Committed {
    zone: Zone,
    durability: Durability,
}

impl Committed {
    /// The version.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Whether it would survive a crash.
    pub fn durability(&self) -> &Durability {
        &self.durability
    }

    /// The door for versions that arrived.
    pub(crate) fn from_checked(checked: &CheckedZone, durability: Durability) -> Committed {
        Committed { zone: checked.zone().clone(), durability }
    }

    /// The door for versions read back from disk, checksums and structure verified.
    pub(crate) fn from_disk(zone: Zone) -> Committed {
        Committed { zone, durability: Durability::Durable }
    }
}
