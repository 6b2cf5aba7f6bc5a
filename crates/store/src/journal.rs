//! The journal: the steps of all chains, one row each, in one table under the zone's number and the step's.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, params};
use secondo_wire::Serial;

use crate::database::Database;
use crate::facts::{Facts, Version};
use crate::row::{self, Found, Kind, blob, found};

/// Octets of a row beside the difference: checksum of the step before, serial and digest of the version, own checksum.
const AROUND: usize = 4 + 4 + 8 + 4;

/// One step of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Checksum of the step before it.
    pub(crate) before: u32,
    /// The version that it leads on from.
    pub(crate) from: Version,
    /// What leads to the next one, encoded.
    pub(crate) difference: Vec<u8>,
}

impl Step {
    fn seal(id: i64, before: u32, from: Version, difference: &[u8]) -> Vec<u8> {
        let mut content = Vec::with_capacity(difference.len() + AROUND);
        content.extend_from_slice(&before.to_be_bytes());
        content.extend_from_slice(&from.serial.0.to_be_bytes());
        content.extend_from_slice(&from.digest);
        content.extend_from_slice(difference);
        row::seal(Kind::Journal, &id.to_be_bytes(), content)
    }

    fn open(id: i64, sealed: &[u8]) -> Option<Step> {
        let content = row::open(Kind::Journal, &id.to_be_bytes(), sealed)?;
        let (before, rest) = content.split_first_chunk()?;
        let (serial, rest) = rest.split_first_chunk()?;
        let (digest, difference) = rest.split_first_chunk()?;
        let from = Version { serial: Serial(u32::from_be_bytes(*serial)), digest: *digest };
        Some(Step { before: u32::from_be_bytes(*before), from, difference: difference.to_vec() })
    }
}

/// Octets of the row of a difference of so many.
pub(crate) fn row_octets(difference: usize) -> u64 {
    (difference + AROUND) as u64
}

/// Where a step is: steps of one zone are neighbours.
fn id(zone: u32, step: u32) -> i64 {
    (i64::from(zone) << 32) | i64::from(step)
}

impl Database {
    /// Stores a step of a zone; returns its checksum.
    pub(crate) fn append(
        &self,
        zone: u32,
        step: u32,
        before: u32,
        from: Version,
        difference: &[u8],
    ) -> rusqlite::Result<u32> {
        let id = id(zone, step);
        let sealed = Step::seal(id, before, from, difference);
        self.connection()
            .prepare_cached("INSERT OR REPLACE INTO journal(id, step) VALUES(?, ?)")?
            .execute(params![id, sealed])?;
        Ok(row::sum_of(&sealed))
    }

    /// A step of a zone, with its checksum.
    pub(crate) fn step(&self, zone: u32, step: u32) -> rusqlite::Result<Found<(Step, u32)>> {
        let id = id(zone, step);
        let mut statement = self.connection().prepare_cached("SELECT step FROM journal WHERE id=?")?;
        let sealed = statement.query_row([id], |row| blob(row, 0)).optional()?;
        Ok(found(sealed, |sealed| Some((Step::open(id, sealed)?, row::sum_of(sealed)))))
    }

    /// Removes a step of a zone; returns how many octets its row had.
    pub(crate) fn drop_step(&self, zone: u32, step: u32) -> rusqlite::Result<u64> {
        let octets: Option<i64> = self
            .connection()
            .prepare_cached("DELETE FROM journal WHERE id=? RETURNING length(step)")?
            .query_row([id(zone, step)], |row| row.get(0))
            .optional()?;
        Ok(octets.map_or(0, i64::unsigned_abs))
    }

    /// Removes the steps of a zone before `step`; `u32::MAX` for all.
    pub(crate) fn drop_steps(&self, zone: u32, step: u32) -> rusqlite::Result<()> {
        self.connection()
            .prepare_cached("DELETE FROM journal WHERE id>=? AND id<?")?
            .execute([id(zone, 0), id(zone, step)])
            .map(drop)
    }

    /// Removes what the row of a zone refers to in the database: its image, if that is here, and its steps.
    pub(crate) fn remove_beside(&self, facts: &Facts) -> rusqlite::Result<()> {
        if let Some(id) = facts.place.row() {
            self.remove_image(id)?;
        }
        self.drop_steps(facts.zone, u32::MAX)
    }

    /// Octets of the rows of the steps `first..end` of a zone.
    pub(crate) fn octets_of_steps(&self, zone: u32, first: u32, end: u32) -> rusqlite::Result<u64> {
        let sql = "SELECT ifnull(sum(length(step)), 0) FROM journal WHERE id>=? AND id<?";
        let octets: i64 =
            self.connection().query_row(sql, [id(zone, first), id(zone, end)], |row| row.get(0))?;
        Ok(octets.unsigned_abs())
    }

    /// The highest number of a zone that has steps.
    pub(crate) fn last_journal(&self) -> rusqlite::Result<Option<u32>> {
        let id: Option<i64> =
            self.connection().query_row("SELECT max(id) FROM journal", [], |row| row.get(0))?;
        Ok(id.and_then(|id| u32::try_from(id >> 32).ok()))
    }

    /// Removes the steps of all zones but these.
    pub(crate) fn keep_journals(&self, known: &BTreeSet<u32>) -> rusqlite::Result<()> {
        let mut statement =
            self.connection().prepare("SELECT id FROM journal WHERE id>=? ORDER BY id LIMIT 1")?;
        let mut next = Some(i64::MIN);
        while let Some(from) = next {
            let Some(found) = statement.query_row([from], |row| row.get::<_, i64>(0)).optional()? else {
                return Ok(());
            };
            let behind = ((found >> 32) + 1).checked_mul(1 << 32);
            // As it was put in: high numbers stand before the low ones.
            if !known.contains(&((found >> 32) as u32)) {
                let sql = "DELETE FROM journal WHERE id>=? AND id<=?";
                self.connection().execute(sql, [found, behind.map_or(i64::MAX, |behind| behind - 1)])?;
            }
            next = behind;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(serial: u32) -> Version {
        Version { serial: Serial(serial), digest: [serial as u8; 8] }
    }

    #[test]
    fn a_step_is_read_back_from_its_own_place_alone() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::open(&folder.path().join("secondo.db")).unwrap();
        let sum = db.append(3, 0, 77, version(5), b"one").unwrap();
        let (step, own) = db.step(3, 0).unwrap().whole().unwrap();
        assert_eq!(own, sum);
        assert_eq!(step, Step { before: 77, from: version(5), difference: b"one".to_vec() });
        assert_eq!(row_octets(step.difference.len()), 23);
        assert!(matches!(db.step(3, 1).unwrap(), Found::Missing));
        db.connection().execute("UPDATE journal SET id=id+1", []).unwrap();
        assert!(matches!(db.step(3, 1).unwrap(), Found::Damaged));
        assert_eq!(db.drop_step(3, 1).unwrap(), 23);
        assert_eq!(db.drop_step(3, 1).unwrap(), 0);
    }

    #[test]
    fn steps_of_other_zones_stay() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::open(&folder.path().join("secondo.db")).unwrap();
        for zone in [1, 2, 3, u32::MAX >> 1, u32::MAX] {
            for step in [0, 1, 2, u32::MAX - 1] {
                db.append(zone, step, 0, version(1), b"x").unwrap();
            }
        }
        let kept = |zone| [0, 1, 2, u32::MAX - 1].map(|step| db.step(zone, step).unwrap().whole().is_some());
        assert_eq!(db.last_journal().unwrap(), Some(u32::MAX >> 1));
        db.drop_steps(2, 2).unwrap();
        assert_eq!([kept(1), kept(2), kept(3)], [[true; 4], [false, false, true, true], [true; 4]]);
        db.keep_journals(&BTreeSet::from([2, u32::MAX])).unwrap();
        assert_eq!(kept(u32::MAX), [true; 4]);
        let all = [kept(1), kept(2), kept(3), kept(u32::MAX >> 1)];
        assert_eq!(all, [[false; 4], [false, false, true, true], [false; 4], [false; 4]]);
        db.keep_journals(&BTreeSet::new()).unwrap();
        assert_eq!(db.last_journal().unwrap(), None);
    }
}
