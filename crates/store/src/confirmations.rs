//! The table of confirmations, one row for each zone.

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, params};

use crate::confirmation::Confirmation;
use crate::database::Database;
use crate::facts::Version;
use crate::row::{self, Found, Kind, blob, found};

/// A confirmation, and the digest of the version that it is of.
pub(crate) type Vouched = ([u8; 8], Confirmation);

impl Database {
    /// When a primary last vouched for the zone, and for which version: its digest.
    pub(crate) fn confirmation(&self, key: &[u8]) -> rusqlite::Result<Found<Vouched>> {
        let mut statement = self.connection().prepare_cached("SELECT fact FROM confirmation WHERE apex=?")?;
        let sealed = statement.query_row([key], |row| blob(row, 0)).optional()?;
        Ok(found(sealed, |sealed| open_confirmation(key, sealed)))
    }

    /// Calls `each` with the confirmations of the zones from key `first` to `last`, in order; rows whose key or value is of
    /// another type are passed over.
    pub(crate) fn confirmations_between(
        &self,
        first: &[u8],
        last: &[u8],
        mut each: impl FnMut(&[u8], Found<Vouched>),
    ) -> rusqlite::Result<()> {
        let sql = "SELECT apex, fact FROM confirmation WHERE apex>=? AND apex<=? ORDER BY apex";
        let mut statement = self.connection().prepare_cached(sql)?;
        let mut rows = statement.query([first, last])?;
        while let Some(row) = rows.next()? {
            if let (ValueRef::Blob(key), ValueRef::Blob(sealed)) = (row.get_ref(0)?, row.get_ref(1)?) {
                each(key, open_confirmation(key, sealed).map_or(Found::Damaged, Found::Whole));
            }
        }
        Ok(())
    }

    /// Sets when a primary last vouched for the zone, of which that is the `version`.
    pub(crate) fn set_confirmation(
        &self,
        key: &[u8],
        version: Version,
        confirmation: Confirmation,
    ) -> rusqlite::Result<()> {
        let fact = [&version.digest[..], &confirmation.to_bytes()].concat();
        let sealed = row::seal(Kind::Confirmation, key, fact);
        self.connection()
            .prepare_cached("INSERT OR REPLACE INTO confirmation(apex, fact) VALUES(?, ?)")?
            .execute(params![key, sealed])
            .map(drop)
    }

    /// How many zones have a confirmation.
    pub(crate) fn confirmations(&self) -> rusqlite::Result<u64> {
        let count: i64 =
            self.connection().query_row("SELECT count(*) FROM confirmation", [], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }
}

fn open_confirmation(key: &[u8], sealed: &[u8]) -> Option<Vouched> {
    let (digest, fact) = row::open(Kind::Confirmation, key, sealed)?.split_first_chunk()?;
    Some((*digest, Confirmation::from_bytes(fact)?))
}
