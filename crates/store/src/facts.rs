//! What the row of a zone says: where its image is, which chain of steps leads back and on from it, and what ties them
//! together, so that no mixture of older and newer pieces passes for a version.

use secondo_wire::{Name, Serial};
use secondo_zone::Zone;

use crate::chain::Chain;

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

impl Place {
    /// The page file, if it is one.
    pub(crate) fn file(self) -> Option<u64> {
        match self {
            Place::File(number) => Some(number),
            Place::Row(_) => None,
        }
    }

    /// The row, if it is one.
    pub(crate) fn row(self) -> Option<i64> {
        match self {
            Place::Row(id) => Some(id),
            Place::File(_) => None,
        }
    }
}

/// Which image, so that no other one passes for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Octets, header and end mark included.
    pub(crate) size: u64,
    /// Its last checksum, which covers those of all pages.
    pub(crate) sum: u32,
}

/// A zone's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The zone's number: half of that of its steps.
    pub(crate) zone: u32,
    /// The version that the image has.
    pub(crate) image: Version,
    /// The newest version: the one after all steps.
    pub(crate) last: Version,
    pub(crate) place: Place,
    pub(crate) stamp: Stamp,
    pub(crate) chain: Chain,
}

/// What is kept for a zone beside its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// The number of its steps.
    pub(crate) zone: u32,
    /// Its image.
    pub(crate) place: Place,
}

/// Octets of encoded facts.
const SIZE: usize = 4 + 2 * 12 + 9 + 12 + 36;

impl Facts {
    /// A version without steps.
    pub(crate) fn new(zone: u32, version: Version, place: Place, stamp: Stamp) -> Facts {
        Facts { zone, image: version, last: version, place, stamp, chain: Chain::new(stamp.sum) }
    }

    /// What is kept beside it.
    pub(crate) fn held(&self) -> Held {
        Held { zone: self.zone, place: self.place }
    }

    /// The page file, if it has one.
    pub(crate) fn file(&self) -> Option<u64> {
        self.place.file()
    }

    /// Fixed-size big-endian form.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SIZE + 4);
        out.extend_from_slice(&self.zone.to_be_bytes());
        for version in [self.image, self.last] {
            out.extend_from_slice(&version.serial.0.to_be_bytes());
            out.extend_from_slice(&version.digest);
        }
        let (tag, number) = match self.place {
            Place::Row(id) => (0, id.to_be_bytes()),
            Place::File(number) => (1, number.to_be_bytes()),
        };
        out.push(tag);
        out.extend_from_slice(&number);
        out.extend_from_slice(&self.stamp.size.to_be_bytes());
        out.extend_from_slice(&self.stamp.sum.to_be_bytes());
        let Chain { first, image, next, image_sum, last_sum, back, on } = self.chain;
        for number in [first, image, next, image_sum, last_sum] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&back.to_be_bytes());
        out.extend_from_slice(&on.to_be_bytes());
        out
    }

    /// `None` for octets of another form.
    pub(crate) fn from_bytes(mut octets: &[u8]) -> Option<Facts> {
        let from = &mut octets;
        let zone = u32::from_be_bytes(take(from)?);
        let (image, last) = (take_version(from)?, take_version(from)?);
        let [tag] = take(from)?;
        let place = match tag {
            0 => Place::Row(i64::from_be_bytes(take(from)?)),
            1 => Place::File(u64::from_be_bytes(take(from)?)),
            _ => return None,
        };
        let stamp = Stamp { size: u64::from_be_bytes(take(from)?), sum: u32::from_be_bytes(take(from)?) };
        let chain = Chain {
            first: u32::from_be_bytes(take(from)?),
            image: u32::from_be_bytes(take(from)?),
            next: u32::from_be_bytes(take(from)?),
            image_sum: u32::from_be_bytes(take(from)?),
            last_sum: u32::from_be_bytes(take(from)?),
            back: u64::from_be_bytes(take(from)?),
            on: u64::from_be_bytes(take(from)?),
        };
        (octets.is_empty() && chain.is_sound()).then_some(Facts { zone, image, last, place, stamp, chain })
    }
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*taken)
}

fn take_version(from: &mut &[u8]) -> Option<Version> {
    Some(Version { serial: Serial(u32::from_be_bytes(take(from)?)), digest: take(from)? })
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
        let chain =
            Chain { first: 3, image: 5, next: 9, image_sum: 4, last_sum: 6, back: 1 << 33, on: 1 << 34 };
        let stamp = Stamp { size: 1 << 40, sum: 0xDEAD_BEEF };
        for place in [Place::Row(i64::MIN), Place::File(u64::MAX)] {
            let [image, last] =
                [1, 2].map(|serial| Version { serial: Serial(serial), digest: [serial as u8; 8] });
            let facts = Facts { last, chain, ..Facts::new(9, image, place, stamp) };
            let octets = facts.to_bytes();
            assert_eq!(octets.len(), SIZE);
            assert_eq!(Facts::from_bytes(&octets), Some(facts));
            assert_eq!(Facts::from_bytes(&octets[1..]), None);
            assert_eq!(Facts::from_bytes(&[&octets[..], &[0]].concat()), None);
            let unsound = Facts { chain: Chain { first: 6, ..chain }, ..facts };
            assert_eq!(Facts::from_bytes(&unsound.to_bytes()), None);
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
