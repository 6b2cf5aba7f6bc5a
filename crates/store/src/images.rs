//! The table of images, one row for each small zone.

use std::collections::BTreeSet;

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, params};

use crate::database::Database;
use crate::facts::Place;
use crate::row::blob;

impl Database {
    /// Stores an image, in the place of `replaced` if that is one here; returns where.
    pub(crate) fn set_image(&self, octets: &[u8], replaced: Option<Place>) -> rusqlite::Result<Place> {
        if let Some(id) = replaced.and_then(Place::row) {
            let changed = self
                .connection()
                .prepare_cached("UPDATE image SET octets=? WHERE id=?")?
                .execute(params![octets, id])?;
            if changed == 1 {
                return Ok(Place::Row(id));
            }
        }
        self.connection().prepare_cached("INSERT INTO image(octets) VALUES(?)")?.execute([octets])?;
        Ok(Place::Row(self.connection().last_insert_rowid()))
    }

    /// An image; `None`: it is not there.
    pub(crate) fn image(&self, id: i64) -> rusqlite::Result<Option<Vec<u8>>> {
        let mut statement = self.connection().prepare_cached("SELECT octets FROM image WHERE id=?")?;
        Ok(statement.query_row([id], |row| blob(row, 0)).optional()?.flatten())
    }

    /// Calls `each` with the images from number `first` to `last`, in order; values of another type are passed over.
    pub(crate) fn images(
        &self,
        first: i64,
        last: i64,
        mut each: impl FnMut(i64, &[u8]),
    ) -> rusqlite::Result<()> {
        let sql = "SELECT id, octets FROM image WHERE id>=? AND id<=? ORDER BY id";
        let mut statement = self.connection().prepare_cached(sql)?;
        let mut rows = statement.query([first, last])?;
        while let Some(row) = rows.next()? {
            if let ValueRef::Blob(octets) = row.get_ref(1)? {
                each(row.get(0)?, octets);
            }
        }
        Ok(())
    }

    /// Removes an image.
    pub(crate) fn remove_image(&self, id: i64) -> rusqlite::Result<()> {
        self.connection().prepare_cached("DELETE FROM image WHERE id=?")?.execute([id]).map(drop)
    }

    /// Removes all images but these.
    pub(crate) fn keep_images(&self, known: &BTreeSet<i64>) -> rusqlite::Result<()> {
        let mut statement = self.connection().prepare("SELECT id FROM image")?;
        let ids: Vec<i64> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        ids.into_iter().filter(|id| !known.contains(id)).try_for_each(|id| self.remove_image(id))
    }
}
