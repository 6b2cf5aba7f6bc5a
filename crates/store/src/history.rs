//! The versions of a zone before the newest one on disk: not kept themselves, but made again from what leads back.

use secondo_wire::{Name, Serial};
use secondo_zone::{BadDifference, Difference, PatchError, Zone};

use crate::database::Database;
use crate::facts::{Version, key};
use crate::journal::Step;
use crate::restore::DAMAGED_ROW;
use crate::row::Found;
use crate::verdict::is_damage;

/// Why an earlier version cannot be made again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// It is too old, or there never was one.
    #[error("no version with serial {0} is kept")]
    NotKept(Serial),
    /// The version to begin at is not among those on disk: it may be on its way there.
    #[error("the version with serial {0} that is served is not on disk")]
    Unrelated(Serial),
    /// A step does not fit.
    #[error("the history is damaged: {0}")]
    Damaged(#[from] PatchError),
    /// A step is none.
    #[error("the history is damaged: {0}")]
    Unreadable(#[from] BadDifference),
    /// The steps fit, and lead to something else.
    #[error("the history is damaged: it does not lead to serial {0} as it was")]
    Different(Serial),
}

/// What leads from an earlier version of a zone, the oldest kept if need be, to the newest on disk, checksums verified.
#[derive(Clone, Debug)]
pub struct History {
    /// Oldest first.
    steps: Vec<Step>,
    last: Version,
}

impl History {
    /// The serials of the versions in it, oldest first; the last is that of the newest version on disk.
    pub fn serials(&self) -> impl Iterator<Item = Serial> + '_ {
        self.versions().map(|version| version.serial)
    }

    fn versions(&self) -> impl DoubleEndedIterator<Item = Version> + '_ {
        self.steps.iter().map(|step| step.from).chain([self.last])
    }

    /// The kept version with this serial (of several the latest), made from `served`, which may be any version of the
    /// chain. What comes out has the digest that was noted when that version was committed.
    pub fn version(&self, served: &Zone, serial: Serial) -> Result<Zone, HistoryError> {
        let versions: Vec<Version> = self.versions().collect();
        let here = Version::of(served);
        let start = versions.iter().rposition(|version| *version == here);
        let start = start.ok_or(HistoryError::Unrelated(served.serial()))?;
        let end = versions.iter().rposition(|version| version.serial == serial);
        let end = end.ok_or(HistoryError::NotKept(serial))?;
        // Each step is decoded when it is its turn: a long history is small, its records are not.
        let mut unreadable = None;
        let mut read = |step: &Step| {
            Difference::from_bytes(&step.difference).map_err(|error| unreadable = Some(error)).ok()
        };
        let made = if end < start {
            let back = self.steps.get(end..start).unwrap_or_default().iter().rev();
            Difference::apply_all(served, back.map_while(|step| Some(read(step)?.reversed())))
        } else {
            let on = self.steps.get(start..end).unwrap_or_default().iter();
            Difference::apply_all(served, on.map_while(&mut read))
        };
        if let Some(unreadable) = unreadable {
            return Err(unreadable.into());
        }
        let made = made?;
        if versions.get(end) == Some(&Version::of(&made)) {
            Ok(made)
        } else {
            Err(HistoryError::Different(serial))
        }
    }
}

/// Where a history ends before its beginning, and why.
pub(crate) struct Cut {
    /// The number of the zone whose step it is.
    pub(crate) zone: u32,
    /// The last step that cannot be had.
    pub(crate) step: u32,
    /// The checksum that it should have.
    pub(crate) sum: u32,
    /// What is wrong with it.
    pub(crate) what: String,
}

/// Why there is no history.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoHistory {
    #[error("the disk does not have the zone")]
    NoZone,
    #[error("{DAMAGED_ROW}")]
    Damaged,
    #[error("the store ends")]
    Ending,
    #[error("secondo.db: {0}")]
    Database(#[from] rusqlite::Error),
}

/// Reads the chain of a zone from its end, which the facts vouch for, back to the version with which it is `enough`, to its
/// beginning, or to the first step that is not the one it was.
pub(crate) fn lead_back(
    db: &Database,
    apex: &Name,
    enough: &mut dyn FnMut(Serial) -> bool,
    given_up: impl Fn() -> bool,
) -> Result<(History, Option<Cut>), NoHistory> {
    // One state of the database, whatever is written meanwhile.
    db.begin_reading()?;
    let facts = match db.facts(&key(apex))? {
        Found::Whole(facts) => facts,
        Found::Damaged => return Err(NoHistory::Damaged),
        Found::Missing => return Err(NoHistory::NoZone),
    };
    let (mut steps, mut cut) = (Vec::new(), None);
    let (mut sum, mut ends) = (facts.chain.last_sum, enough(facts.last.serial));
    for number in (facts.chain.first..facts.chain.next).rev() {
        if ends {
            break;
        }
        if given_up() {
            return Err(NoHistory::Ending);
        }
        match linked(db, facts.zone, number, sum)? {
            Ok(step) => {
                sum = step.before;
                ends = enough(step.from.serial);
                steps.push(step);
            }
            Err(what) => {
                cut = Some(Cut { zone: facts.zone, step: number, sum, what });
                break;
            }
        }
    }
    steps.reverse();
    Ok((History { steps, last: facts.last }, cut))
}

/// A step that is the one with this checksum, or what is wrong with it. Errors say nothing of the step.
pub(crate) fn linked(
    db: &Database,
    zone: u32,
    number: u32,
    sum: u32,
) -> rusqlite::Result<Result<Step, String>> {
    Ok(match db.step(zone, number) {
        Ok(Found::Whole((step, own))) if own == sum => Ok(step),
        Ok(Found::Whole(_)) => Err("is of another history".into()),
        Ok(Found::Damaged) => Err("fails the checksum".into()),
        Ok(Found::Missing) => Err("is missing".into()),
        Err(error) if is_damage(&error) => Err(format!("cannot be read: {error}")),
        Err(error) => return Err(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use secondo_wire::{RecordType, Soa};
    use secondo_zone::{BorderSecret, Builder, Limits};

    fn zone(serial: u32, host: u8) -> Zone {
        let apex = Name::parse("example.").unwrap();
        let (mname, rname) = (apex.clone(), apex.clone());
        let soa = Soa { mname, rname, serial: Serial(serial), refresh: 1, retry: 2, expire: 3, minimum: 4 };
        let mut builder = Builder::new(apex.clone(), &BorderSecret::new([9; 16]), Limits::default());
        builder.push(apex.as_ref(), RecordType::SOA, 300, &soa.to_rdata()).unwrap();
        builder.push(apex.as_ref(), RecordType::A, 300, &[192, 0, 2, host]).unwrap();
        builder.finish().unwrap().zone
    }

    fn history(versions: &[Zone]) -> History {
        let steps = versions.windows(2).map(|pair| Step {
            before: 0,
            from: Version::of(&pair[0]),
            difference: Difference::between(&pair[0], &pair[1]).to_bytes(),
        });
        History { steps: steps.collect(), last: Version::of(versions.last().unwrap()) }
    }

    #[test]
    fn a_step_that_cannot_be_read_now_is_not_a_wrong_one() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::open(&folder.path().join("secondo.db")).unwrap();
        let sum = db.append(3, 0, 1, Version::of(&zone(1, 1)), b"step").unwrap();
        assert!(linked(&db, 3, 0, sum).unwrap().is_ok());
        assert!(linked(&db, 3, 0, !sum).unwrap().is_err() && linked(&db, 3, 1, sum).unwrap().is_err());
        // Reading is broken off for some reason of its own.
        let mut other = db.connection().prepare("SELECT 1 UNION SELECT 2").unwrap();
        let mut rows = other.query([]).unwrap();
        rows.next().unwrap();
        db.connection().get_interrupt_handle().interrupt();
        assert!(!is_damage(&linked(&db, 3, 0, sum).unwrap_err()));
    }

    #[test]
    fn every_version_is_made_again_from_every_other() {
        let versions = [zone(7, 1), zone(9, 2), zone(4, 3), zone(5, 3)];
        let history = history(&versions);
        assert!(history.serials().eq([7, 9, 4, 5].map(Serial)));
        for served in &versions {
            for wanted in &versions {
                assert_eq!(history.version(served, wanted.serial()).as_ref(), Ok(wanted));
            }
        }
        assert_eq!(history.version(&versions[3], Serial(6)), Err(HistoryError::NotKept(Serial(6))));
    }

    #[test]
    fn a_version_of_the_same_serial_and_other_content_is_unrelated() {
        let history = history(&[zone(1, 1), zone(2, 2)]);
        assert_eq!(history.version(&zone(2, 3), Serial(1)), Err(HistoryError::Unrelated(Serial(2))));
    }

    #[test]
    fn of_several_versions_with_one_serial_it_is_the_latest() {
        let versions = [zone(1, 1), zone(2, 2), zone(1, 3), zone(3, 4)];
        assert_eq!(history(&versions).version(&versions[3], Serial(1)).as_ref(), Ok(&versions[2]));
    }

    #[test]
    fn steps_that_are_none_or_lead_elsewhere_give_no_version() {
        let versions = [zone(1, 1), zone(2, 2)];
        let mut broken = history(&versions);
        broken.steps[0].difference.pop();
        let unreadable = broken.version(&versions[1], Serial(1));
        assert!(matches!(unreadable, Err(HistoryError::Unreadable(_))), "{unreadable:?}");
        let mut other = history(&versions);
        other.steps[0].difference = Difference::between(&zone(1, 9), &versions[1]).to_bytes();
        let different = other.version(&versions[1], Serial(1));
        assert_eq!(different, Err(HistoryError::Different(Serial(1))));
        other.steps[0].difference = Difference::between(&versions[0], &zone(2, 9)).to_bytes();
        let damaged = other.version(&versions[1], Serial(1));
        assert!(matches!(damaged, Err(HistoryError::Damaged(_))), "{damaged:?}");
    }
}
