//! Zones from an earlier run, verified piece by piece.

use std::io;

use secondo_wire::{Name, NameRef};
use secondo_zone::{Difference, Zone};

use crate::chain::Chain;
use crate::committed::Committed;
use crate::confirmation::Confirmation;
use crate::confirmations::Vouched;
use crate::database::Database;
use crate::disk::Disk;
use crate::facts::{Facts, Place, Version, page_file_name};
use crate::image::{self, BadImage};
use crate::row::Found;

/// Something found damaged; it was set aside and is fetched again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The zone concerned; `None`: the store as a whole.
    pub zone: Option<Name>,
    /// What is wrong, for the log.
    pub what: String,
}

/// What is said of the row of a zone that cannot be read.
pub(crate) const DAMAGED_ROW: &str = "its row fails the checksum";

/// A zone from an earlier run.
#[derive(Debug)]
pub struct Restored {
    /// The version, checksums and structure verified.
    pub committed: Committed,
    /// When a primary last vouched for it; `None` when that is not known: the zone is expired until one does.
    pub confirmation: Option<Confirmation>,
}

/// Why a zone cannot be had from disk.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// Its rows or its page file are damaged.
    #[error("{0}")]
    Zone(String),
    /// Its page file of this name is damaged.
    #[error("{0}")]
    File(String, String),
    /// The disk does not give its page file now.
    #[error("{0}")]
    Disk(String),
    /// SQLite does not give its rows.
    #[error("secondo.db: {0}")]
    Database(#[from] rusqlite::Error),
}

impl Broken {
    /// Whether the zone is lost; then a damaged page file of it is set aside.
    pub(crate) fn is_lost(&self, disk: &dyn Disk) -> bool {
        if let Broken::File(_, name) = self {
            // What cannot be moved stays; it is not referred to any more.
            let _ = disk.set_aside(name);
        }
        matches!(self, Broken::Zone(_) | Broken::File(..))
    }
}

/// The name that a key stands for.
pub(crate) fn name_of(key: &[u8]) -> Option<Name> {
    match NameRef::split_from(key) {
        Some((name, [])) => Some(name.to_owned()),
        _ => None,
    }
}

/// One zone out of its rows and its page file, and what is wrong with its confirmation. Nothing is changed.
pub(crate) fn restore_zone(
    db: &Database,
    disk: &dyn Disk,
    key: &[u8],
    facts: &Facts,
) -> Result<(Restored, Option<&'static str>), Broken> {
    let zone = restore_version(db, disk, key, facts)?;
    Ok(vouched(zone, facts, db.confirmation(key)?))
}

/// The newest version of a zone out of its rows and its page file.
pub(crate) fn restore_version(
    db: &Database,
    disk: &dyn Disk,
    key: &[u8],
    facts: &Facts,
) -> Result<Zone, Broken> {
    let image = match facts.place {
        Place::Row(id) => {
            let octets = db.image(id)?.ok_or_else(|| Broken::Zone("its image is missing".into()))?;
            decode_row(&octets, facts)
        }
        Place::File(number) => read_file(disk, number, facts),
    };
    newest(db, key, facts, image?)
}

/// A version together with its confirmation, and what is wrong with that.
pub(crate) fn vouched(zone: Zone, facts: &Facts, found: Found<Vouched>) -> (Restored, Option<&'static str>) {
    // A version and its first confirmation share a transaction: without one, or with that of another version, which says
    // nothing about this one, something was lost.
    let (confirmation, lost) = match found {
        Found::Whole((digest, confirmation))
            if (Version { serial: confirmation.serial, digest }) == facts.last =>
        {
            (Some(confirmation), None)
        }
        Found::Whole(_) => (None, Some("its confirmation is of another version")),
        Found::Damaged => (None, Some("its confirmation fails the checksum")),
        Found::Missing => (None, Some("its confirmation is missing")),
    };
    (Restored { committed: Committed::from_disk(zone), confirmation }, lost)
}

/// The newest version of a zone of which the image was read.
pub(crate) fn newest(db: &Database, key: &[u8], facts: &Facts, image: Zone) -> Result<Zone, Broken> {
    if image.apex().as_wire().to_ascii_lowercase() != key || Version::of(&image) != facts.image {
        return Err(Broken::Zone("its image is of another version".into()));
    }
    let zone = if facts.chain.steps_on() > 0 { lead_on(db, facts, &image)? } else { image };
    if Version::of(&zone) != facts.last {
        return Err(Broken::Zone("its journal is of another version".into()));
    }
    Ok(zone)
}

/// The newest version, made from the image by the steps behind it: one change, however many they are.
fn lead_on(db: &Database, facts: &Facts, image: &Zone) -> Result<Zone, Broken> {
    let Chain { image: first, next, image_sum, last_sum, .. } = facts.chain;
    let (mut sum, mut broken) = (image_sum, None);
    let steps = (first..next).map_while(|number| {
        let mut read = || -> Result<Difference, Broken> {
            let broken = |what: &str| Broken::Zone(format!("step {number} of its journal {what}"));
            let (step, own) = match db.step(facts.zone, number)? {
                Found::Whole(found) => found,
                Found::Missing => return Err(broken("is missing")),
                Found::Damaged => return Err(broken("fails the checksum")),
            };
            if step.before != std::mem::replace(&mut sum, own) {
                return Err(broken("does not follow the one before it"));
            }
            Difference::from_bytes(&step.difference)
                .map_err(|error| broken(&format!("cannot be read: {error}")))
        };
        read().map_err(|error| broken = Some(error)).ok()
    });
    let made = Difference::apply_all(image, steps);
    match (broken, made) {
        (Some(broken), _) => Err(broken),
        (None, Ok(zone)) if sum == last_sum => Ok(zone),
        (None, Ok(_)) => Err(Broken::Zone("its journal does not end as it should".into())),
        (None, Err(error)) => Err(Broken::Zone(format!("its journal does not apply: {error}"))),
    }
}

/// The image that is a row of these octets.
pub(crate) fn decode_row(octets: &[u8], facts: &Facts) -> Result<Zone, Broken> {
    image::decode(octets, facts.stamp).map_err(|bad| Broken::Zone(format!("its image: {bad}")))
}

fn read_file(disk: &dyn Disk, number: u64, facts: &Facts) -> Result<Zone, Broken> {
    let name = page_file_name(number);
    let opened = disk.open(&name).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Broken::Zone(format!("zones/{name} is missing")),
        _ => Broken::Disk(format!("zones/{name}: {error}")),
    });
    let (size, reader) = opened?;
    let decoded = if size == facts.stamp.size {
        image::decode(io::BufReader::with_capacity(1 << 18, reader), facts.stamp)
    } else {
        Err(if size < facts.stamp.size { BadImage::Torn } else { BadImage::Trailing })
    };
    decoded.map_err(|bad| {
        let what = format!("zones/{name}: {bad}");
        match bad {
            BadImage::Disk(_) => Broken::Disk(what),
            // A whole image, perhaps that of another zone: it is not touched.
            BadImage::Other => Broken::Zone(what),
            _ => Broken::File(what, name.clone()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Folder;
    use secondo_wire::{RecordType, Serial, Soa};
    use secondo_zone::{BorderSecret, Builder, Limits};

    fn zone(serial: u32) -> Zone {
        let apex = Name::parse("example.").unwrap();
        let (mname, rname) = (apex.clone(), apex.clone());
        let soa = Soa { mname, rname, serial: Serial(serial), refresh: 1, retry: 2, expire: 3, minimum: 4 };
        let mut builder = Builder::new(apex.clone(), &BorderSecret::new([9; 16]), Limits::default());
        builder.push(apex.as_ref(), RecordType::SOA, 300, &soa.to_rdata()).unwrap();
        builder.finish().unwrap().zone
    }

    fn image(zone: &Zone) -> (Vec<u8>, crate::facts::Stamp) {
        let mut octets = Vec::new();
        let stamp = image::encode(zone, &mut octets).unwrap();
        (octets, stamp)
    }

    #[test]
    fn pieces_of_different_versions_are_not_put_together() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::open(&folder.path().join("secondo.db")).unwrap();
        let disk = Folder::new(folder.path().join("zones"), folder.path().join("damaged"));
        let key = crate::facts::key(zone(1).apex());
        let (octets, stamp) = image(&zone(7));
        let version = |serial| Version::of(&zone(serial));
        let facts = Facts::new(3, version(7), db.set_image(&octets, None).unwrap(), stamp);
        let confirm = |serial: u32| {
            let serial = Serial(serial);
            let confirmation = Confirmation { serial, wall: 1, boot_ms: 2, boot_id: [3; 16], expire_in: 4 };
            db.set_confirmation(&key, version(confirmation.serial.0), confirmation).unwrap();
            confirmation
        };
        // A confirmation of another version does not extend this one's life.
        assert!(restore_zone(&db, &disk, &key, &facts).unwrap().1.is_some());
        confirm(8);
        let (restored, lost) = restore_zone(&db, &disk, &key, &facts).unwrap();
        assert!(restored.confirmation.is_none() && lost.is_some());
        // Nor does one of a version with the same serial and other content.
        let own = confirm(7);
        db.set_confirmation(&key, Version { digest: [0; 8], ..version(7) }, own).unwrap();
        let (restored, lost) = restore_zone(&db, &disk, &key, &facts).unwrap();
        assert!(restored.confirmation.is_none() && lost.is_some());
        let own = confirm(7);
        assert_eq!(restore_zone(&db, &disk, &key, &facts).unwrap().0.confirmation, Some(own));
        // Another image in its place, of the same size.
        let (other, _) = image(&zone(6));
        db.set_image(&other, Some(facts.place)).unwrap();
        assert!(matches!(restore_zone(&db, &disk, &key, &facts), Err(Broken::Zone(_))));
        db.set_image(&octets, Some(facts.place)).unwrap();
        // Steps that lead on from another image.
        let difference = Difference::between(&zone(7), &zone(8)).to_bytes();
        let append = |before: u32| db.append(3, 0, before, version(7), &difference).unwrap();
        let sum = append(stamp.sum);
        let chain = facts.chain.appended(sum, 1);
        let stepped = Facts { last: version(8), chain, ..facts };
        let (restored, _) = restore_zone(&db, &disk, &key, &stepped).unwrap();
        assert_eq!(restored.committed.zone().serial(), Serial(8));
        assert!(restored.confirmation.is_none());
        append(!stamp.sum);
        assert!(matches!(restore_zone(&db, &disk, &key, &stepped), Err(Broken::Zone(_))));
        // Fewer steps than there should be, more, another version at the end, and the zone of another name.
        append(stamp.sum);
        for chain in [chain.appended(sum, 1), facts.chain, Chain { last_sum: !sum, ..chain }] {
            let other = Facts { chain, ..stepped };
            assert!(matches!(restore_zone(&db, &disk, &key, &other), Err(Broken::Zone(_))));
        }
        // An earlier step of another chain.
        let (between, forged) = (Difference::between(&zone(8), &zone(9)).to_bytes(), append(1));
        let second = db.append(3, 1, forged, version(8), &between).unwrap();
        let two = Facts { last: version(9), chain: chain.appended(second, 1), ..facts };
        append(stamp.sum);
        let error = restore_zone(&db, &disk, &key, &two).unwrap_err();
        assert!(error.to_string().contains("step 1 of its journal does not follow"), "{error}");
        let other = Facts { last: Version { digest: [0; 8], ..stepped.last }, ..stepped };
        assert!(matches!(restore_zone(&db, &disk, &key, &other), Err(Broken::Zone(_))));
        assert!(restore_zone(&db, &disk, &key, &stepped).is_ok());
        assert!(matches!(restore_zone(&db, &disk, b"\x05other\0", &facts), Err(Broken::Zone(_))));
    }
}
