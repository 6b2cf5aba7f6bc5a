//! The SQLite file: statements over sealed rows, nothing else.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use secondo_wire::{Name, Serial};
use secondo_zone::BorderSecret;

use crate::confirmation::Confirmation;
use crate::row::{self, Kind};

/// Stands in the file's header, so that `file` and operators know whose it is: "sec2".
const APPLICATION_ID: i32 = 0x7365_6332;
/// Raised when the schema changes.
const FORMAT: i32 = 1;

const SCHEMA: &str = "
CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE zone(apex BLOB PRIMARY KEY, facts BLOB NOT NULL, image BLOB, retired INTEGER);
CREATE TABLE confirmation(apex BLOB PRIMARY KEY, fact BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE journal(apex BLOB NOT NULL, step INTEGER NOT NULL, difference BLOB NOT NULL, PRIMARY KEY(apex, step));
";

/// Where the image of a zone's base version is, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Serial of the image.
    pub(crate) base: Serial,
    /// Serial after all journal steps.
    pub(crate) last: Serial,
    /// Octets of the image.
    pub(crate) size: u64,
    /// Page file; `None`: the image is in the row.
    pub(crate) file: Option<u64>,
}

impl Facts {
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(25);
        out.extend_from_slice(&self.base.0.to_be_bytes());
        out.extend_from_slice(&self.last.0.to_be_bytes());
        out.extend_from_slice(&self.size.to_be_bytes());
        if let Some(file) = self.file {
            out.extend_from_slice(&file.to_be_bytes());
        }
        out
    }

    fn from_bytes(octets: &[u8]) -> Option<Facts> {
        let (base, rest) = octets.split_first_chunk()?;
        let (last, rest) = rest.split_first_chunk()?;
        let (size, rest) = rest.split_first_chunk()?;
        let file = match rest {
            [] => None,
            file => Some(u64::from_be_bytes(file.try_into().ok()?)),
        };
        let [base, last] = [base, last].map(|serial| Serial(u32::from_be_bytes(*serial)));
        Some(Facts { base, last, size: u64::from_be_bytes(*size), file })
    }
}

/// A zone's rows as found, sums not yet looked at where they say `sealed`.
pub(crate) struct ZoneRow {
    /// The key, lower-case wire form if undamaged.
    pub(crate) apex: Vec<u8>,
    /// `None`: damaged.
    pub(crate) facts: Option<Facts>,
    /// The image of a small zone.
    pub(crate) image: Option<Vec<u8>>,
    /// `None`: missing or damaged.
    pub(crate) confirmation: Option<Confirmation>,
}

const ZONE_ROWS: &str =
    "SELECT z.apex, z.facts, z.image, c.fact FROM zone z LEFT JOIN confirmation c ON c.apex=z.apex";

impl ZoneRow {
    /// Takes a row of [`ZONE_ROWS`].
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<ZoneRow> {
        let (apex, facts): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let (image, fact): (Option<Vec<u8>>, Option<Vec<u8>>) = (row.get(2)?, row.get(3)?);
        let facts = row::open(Kind::Zone, &apex, &facts).and_then(Facts::from_bytes);
        let confirmation =
            fact.and_then(|fact| Confirmation::from_bytes(row::open(Kind::Confirmation, &apex, &fact)?));
        Ok(ZoneRow { apex, facts, image, confirmation })
    }
}

/// An open database.
pub(crate) struct Database {
    connection: Connection,
}

impl Database {
    /// Opens or creates; refuses files of another program or format.
    pub(crate) fn open(path: &Path) -> rusqlite::Result<Database> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -4096)?;
        let database = Database { connection };
        let format: i32 = database.connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match format {
            0 => database.connection.execute_batch(&format!(
                "BEGIN IMMEDIATE; {SCHEMA} PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={FORMAT}; COMMIT;"
            ))?,
            FORMAT => {}
            _ => return Err(rusqlite::Error::InvalidPath(path.into())),
        }
        Ok(database)
    }

    /// Opens for reading alone, on a disk that refuses writes.
    pub(crate) fn open_read_only(path: &Path) -> rusqlite::Result<Database> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let usable = |connection: Connection| -> rusqlite::Result<Database> {
            connection.query_row("SELECT count(*) FROM meta", [], |_| Ok(()))?;
            Ok(Database { connection })
        };
        Connection::open_with_flags(path, flags).and_then(usable).or_else(|error| {
            // Without a log there is nothing that `immutable` could leave out; it needs no file beside the database.
            let log = path.with_extension("db-wal");
            if log.exists() {
                return Err(error);
            }
            let escaped = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
            Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags).and_then(usable)
        })
    }

    /// The secret of page borders, if it is there and undamaged.
    pub(crate) fn border_secret(&self) -> rusqlite::Result<Option<BorderSecret>> {
        let sealed: Option<Vec<u8>> = self
            .connection
            .query_row("SELECT value FROM meta WHERE key='border-secret'", [], |row| row.get(0))
            .optional()?;
        let secret = sealed.and_then(|sealed| row::open(Kind::Meta, b"border-secret", &sealed)?.try_into().ok());
        Ok(secret.map(BorderSecret::new))
    }

    /// Stores the secret of page borders.
    pub(crate) fn set_border_secret(&self, secret: &BorderSecret) -> rusqlite::Result<()> {
        let sealed = row::seal(Kind::Meta, b"border-secret", secret.octets());
        let sql = "INSERT OR REPLACE INTO meta(key, value) VALUES('border-secret', ?)";
        self.connection.execute(sql, [sealed]).map(drop)
    }

    /// Begins a transaction.
    pub(crate) fn begin(&self) -> rusqlite::Result<()> {
        self.connection.execute_batch("BEGIN IMMEDIATE")
    }

    /// Ends it: after `Ok` everything in it survives a crash.
    pub(crate) fn commit(&self) -> rusqlite::Result<()> {
        self.connection.execute_batch("COMMIT")
    }

    /// Throws it away.
    pub(crate) fn rollback(&self) {
        // After some errors SQLite has rolled back itself; there is nothing more to do then.
        let _ = self.connection.execute_batch("ROLLBACK");
    }

    /// The facts of one zone, if undamaged.
    pub(crate) fn facts(&self, apex: &Name) -> rusqlite::Result<Option<Facts>> {
        let key = key(apex);
        let mut statement = self.connection.prepare_cached("SELECT facts FROM zone WHERE apex=?")?;
        let sealed: Option<Vec<u8>> = statement.query_row([&key], |row| row.get(0)).optional()?;
        Ok(sealed.and_then(|sealed| Facts::from_bytes(row::open(Kind::Zone, &key, &sealed)?)))
    }

    /// Sets a zone's base version; its journal begins anew.
    pub(crate) fn set_base(&self, apex: &Name, facts: &Facts, image: Option<&[u8]>) -> rusqlite::Result<()> {
        let key = key(apex);
        let sealed = row::seal(Kind::Zone, &key, &facts.to_bytes());
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO zone(apex, facts, image, retired) VALUES(?, ?, ?, NULL)")?
            .execute(params![key, sealed, image])?;
        self.connection.prepare_cached("DELETE FROM journal WHERE apex=?")?.execute([&key]).map(drop)
    }

    /// Octets and steps of a zone's journal.
    pub(crate) fn journal_size(&self, apex: &Name) -> rusqlite::Result<(u64, u32)> {
        let sql = "SELECT coalesce(sum(length(difference)), 0), count(*) FROM journal WHERE apex=?";
        self.connection.prepare_cached(sql)?.query_row([key(apex)], |row| {
            let used: i64 = row.get(0)?;
            Ok((used.unsigned_abs(), row.get(1)?))
        })
    }

    /// Appends a step to a zone's journal, and moves its last serial.
    pub(crate) fn append(&self, apex: &Name, facts: &Facts, step: u32, difference: &[u8]) -> rusqlite::Result<()> {
        let key = key(apex);
        let sealed = row::seal(Kind::Journal, &step_key(&key, step), difference);
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO journal(apex, step, difference) VALUES(?, ?, ?)")?
            .execute(params![key, step, sealed])?;
        let sealed = row::seal(Kind::Zone, &key, &facts.to_bytes());
        self.connection
            .prepare_cached("UPDATE zone SET facts=?, retired=NULL WHERE apex=?")?
            .execute(params![sealed, key])
            .map(drop)
    }

    /// The steps of a zone's journal in order; `None` for a damaged one.
    pub(crate) fn journal(&self, apex: &[u8]) -> rusqlite::Result<Vec<Option<Vec<u8>>>> {
        let mut statement =
            self.connection.prepare_cached("SELECT step, difference FROM journal WHERE apex=? ORDER BY step")?;
        let rows = statement.query_map([apex], |row| {
            let (step, sealed): (u32, Vec<u8>) = (row.get(0)?, row.get(1)?);
            Ok(row::open(Kind::Journal, &step_key(apex, step), &sealed).map(<[u8]>::to_vec))
        })?;
        rows.collect()
    }

    /// Sets when a primary last vouched for the zone.
    pub(crate) fn set_confirmation(&self, apex: &Name, confirmation: Confirmation) -> rusqlite::Result<()> {
        let key = key(apex);
        let sealed = row::seal(Kind::Confirmation, &key, &confirmation.to_bytes());
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO confirmation(apex, fact) VALUES(?, ?)")?
            .execute(params![key, sealed])
            .map(drop)
    }

    /// Calls `each` for all zones; an error of SQLite ends the walk.
    pub(crate) fn for_each_zone(&self, mut each: impl FnMut(ZoneRow)) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare(ZONE_ROWS)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            each(ZoneRow::read(row)?);
        }
        Ok(())
    }

    /// One zone's row.
    pub(crate) fn zone_row(&self, key: &[u8]) -> rusqlite::Result<Option<ZoneRow>> {
        let mut statement = self.connection.prepare_cached(&format!("{ZONE_ROWS} WHERE z.apex=?"))?;
        statement.query_row([key], ZoneRow::read).optional()
    }

    /// Marks a zone as no longer configured, to be removed after `due` (Unix seconds), or as configured again.
    pub(crate) fn set_retired(&self, apex: &Name, due: Option<u64>) -> rusqlite::Result<()> {
        // A zone that is retired already keeps its first date.
        let sql = match due {
            Some(_) => "UPDATE zone SET retired=coalesce(retired, ?1) WHERE apex=?2",
            None => "UPDATE zone SET retired=?1 WHERE apex=?2",
        };
        self.connection.prepare_cached(sql)?.execute(params![due.map(to_sql), key(apex)]).map(drop)
    }

    /// Zones retired before `wall`, as (key, page file).
    pub(crate) fn retired_before(&self, wall: u64) -> rusqlite::Result<Vec<(Vec<u8>, Option<u64>)>> {
        let mut statement = self.connection.prepare("SELECT apex, facts FROM zone WHERE retired < ?")?;
        let rows = statement.query_map([to_sql(wall)], |row| {
            let (apex, sealed): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
            let facts = row::open(Kind::Zone, &apex, &sealed).and_then(Facts::from_bytes);
            Ok((apex, facts.and_then(|facts| facts.file)))
        })?;
        rows.collect()
    }

    /// Removes all rows of a zone.
    pub(crate) fn remove(&self, apex: &[u8]) -> rusqlite::Result<()> {
        for table in ["zone", "confirmation", "journal"] {
            self.connection.execute(&format!("DELETE FROM {table} WHERE apex=?"), [apex])?;
        }
        Ok(())
    }
}

/// The key of a zone's rows: lower-case wire form.
pub(crate) fn key(apex: &Name) -> Vec<u8> {
    apex.as_wire().to_ascii_lowercase()
}

/// SQLite's integers have a sign.
fn to_sql(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

fn step_key(apex: &[u8], step: u32) -> Vec<u8> {
    [apex, &step.to_be_bytes()].concat()
}
