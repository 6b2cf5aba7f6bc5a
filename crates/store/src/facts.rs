//! What the row of a zone says: where its base version is, which journal leads on from it, and the checksums that tie
//! them together, so that no mixture of older and newer pieces passes for a version.

use secondo_wire::{Name, Serial};
use secondo_zone::Zone;

/// A version, as the store knows it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) serial: Serial,
    /// The beginning of its digest: no accident makes two versions with one serial pass for each other.
    pub(crate) digest: [u8; 8],
}

impl Version {
    pub(crate) fn of(zone: &Zone) -> Version {
        let [a, b, c, d, e, f, g, h, ..] = zone.digest();
        Version { serial: zone.serial(), digest: [a, b, c, d, e, f, g, h] }
    }
}

/// Where an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the database, under this number.
    Row(i64),
    /// In the page file of this number.
    File(u64),
}

/// Which image, so that no other one passes for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Octets, header and end mark included.
    pub(crate) size: u64,
    /// Its last checksum, which covers those of all pages.
    pub(crate) sum: u32,
}

/// The steps that lead from the base to the newest version. The checksum of each covers that of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Journal {
    /// Number of the first step kept.
    pub(crate) first: u64,
    /// Number that the next step gets; equal to `first`: none.
    pub(crate) next: u64,
    /// Checksum that the first step covers: of the image, or of a step that a newer base has made superfluous.
    pub(crate) before: u32,
    /// Checksum of the last step; `before` if there is none.
    pub(crate) last: u32,
    /// Octets of all steps.
    pub(crate) octets: u64,
}

impl Journal {
    /// Number of steps.
    pub(crate) fn steps(&self) -> u64 {
        self.next.saturating_sub(self.first)
    }
}

/// A zone's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Serial of the base.
    pub(crate) base: Serial,
    /// Serial after all steps.
    pub(crate) last: Serial,
    pub(crate) place: Place,
    pub(crate) stamp: Stamp,
    pub(crate) journal: Journal,
}

/// Octets of encoded facts.
const SIZE: usize = 61;

impl Facts {
    /// A version without steps.
    pub(crate) fn base(serial: Serial, place: Place, stamp: Stamp) -> Facts {
        let journal = Journal { first: 0, next: 0, before: stamp.sum, last: stamp.sum, octets: 0 };
        Facts { base: serial, last: serial, place, stamp, journal }
    }

    /// The page file, if it has one.
    pub(crate) fn file(&self) -> Option<u64> {
        match self.place {
            Place::File(number) => Some(number),
            Place::Row(_) => None,
        }
    }

    /// Fixed-size big-endian form.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SIZE);
        out.extend_from_slice(&self.base.0.to_be_bytes());
        out.extend_from_slice(&self.last.0.to_be_bytes());
        let (tag, number) = match self.place {
            Place::Row(id) => (0, id.to_be_bytes()),
            Place::File(number) => (1, number.to_be_bytes()),
        };
        out.push(tag);
        out.extend_from_slice(&number);
        out.extend_from_slice(&self.stamp.size.to_be_bytes());
        out.extend_from_slice(&self.stamp.sum.to_be_bytes());
        out.extend_from_slice(&self.journal.first.to_be_bytes());
        out.extend_from_slice(&self.journal.next.to_be_bytes());
        out.extend_from_slice(&self.journal.before.to_be_bytes());
        out.extend_from_slice(&self.journal.last.to_be_bytes());
        out.extend_from_slice(&self.journal.octets.to_be_bytes());
        out
    }

    /// `None` for octets of another form.
    pub(crate) fn from_bytes(octets: &[u8]) -> Option<Facts> {
        let (base, rest) = octets.split_first_chunk()?;
        let (last, rest) = rest.split_first_chunk()?;
        let (&tag, rest) = rest.split_first()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (size, rest) = rest.split_first_chunk()?;
        let (sum, rest) = rest.split_first_chunk()?;
        let (first, rest) = rest.split_first_chunk()?;
        let (next, rest) = rest.split_first_chunk()?;
        let (before, rest) = rest.split_first_chunk()?;
        let (last_sum, rest) = rest.split_first_chunk()?;
        let place = match tag {
            0 => Place::Row(i64::from_be_bytes(*number)),
            1 => Place::File(u64::from_be_bytes(*number)),
            _ => return None,
        };
        let [base, last] = [base, last].map(|serial| Serial(u32::from_be_bytes(*serial)));
        let stamp = Stamp { size: u64::from_be_bytes(*size), sum: u32::from_be_bytes(*sum) };
        let journal = Journal {
            first: u64::from_be_bytes(*first),
            next: u64::from_be_bytes(*next),
            before: u32::from_be_bytes(*before),
            last: u32::from_be_bytes(*last_sum),
            octets: u64::from_be_bytes(rest.try_into().ok()?),
        };
        Some(Facts { base, last, place, stamp, journal })
    }
}

/// The key of a zone's rows: lower-case wire form.
pub(crate) fn key(apex: &Name) -> Vec<u8> {
    apex.as_wire().to_ascii_lowercase()
}

/// The name of page file `number`.
pub(crate) fn page_file_name(number: u64) -> String {
    format!("{number:016x}.pages")
}

/// The number of a page file, finished or not; `None` for a file that is not ours.
pub(crate) fn page_file_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".new").unwrap_or(name).strip_suffix(".pages")?;
    (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_survive_a_round_trip() {
        let journal = Journal { first: 3, next: 9, before: 4, last: 5, octets: 1 << 33 };
        let stamp = Stamp { size: 1 << 40, sum: 0xDEAD_BEEF };
        for place in [Place::Row(i64::MIN), Place::File(u64::MAX)] {
            let facts = Facts { last: Serial(2), journal, ..Facts::base(Serial(1), place, stamp) };
            let octets = facts.to_bytes();
            assert_eq!(octets.len(), SIZE);
            assert_eq!(Facts::from_bytes(&octets), Some(facts));
            assert_eq!(Facts::from_bytes(&octets[1..]), None);
        }
    }

    #[test]
    fn only_our_own_files_have_a_number() {
        assert_eq!(page_file_number(&page_file_name(77)), Some(77));
        assert_eq!(page_file_number(&format!("{}.new", page_file_name(u64::MAX))), Some(u64::MAX));
        for foreign in ["README", "1.pages", "00000000000000zz.pages", "0000000000000001.page", ""] {
            assert_eq!(page_file_number(foreign), None);
        }
    }
}
