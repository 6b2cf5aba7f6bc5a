//! The SQLite file: statements over sealed rows, nothing else. Each table is one tree, without an index that could
//! disagree with it.

use std::path::Path;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, MAIN_DB, OpenFlags, OptionalExtension, ffi, params};
use secondo_zone::{BorderSecret, DIFFERENCE_VERSION, PAGE_VERSION};

use crate::facts::Facts;
use crate::row::{self, Found, Kind, blob, found};
use crate::verdict::{foreign, is_writable_format};

/// Stands in the file's header, so that `file` and operators know whose it is: "sec2".
const APPLICATION_ID: i32 = 0x7365_6332;
/// Raised when the schema changes.
const SCHEMA_VERSION: u8 = 2;
/// Of the schema and of what stands in its images, page files and steps: with another of these numbers a database is another
/// release's, earlier or later. It is set aside, that is said once, and zones are fetched again.
const FORMAT: i32 = i32::from_be_bytes([0, SCHEMA_VERSION, PAGE_VERSION, DIFFERENCE_VERSION]);

/// The format stands in it too: a number in the file's header alone may be a flipped bit, and then rows are to be saved.
fn schema() -> String {
    format!(
        "
CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE zone(apex BLOB PRIMARY KEY, facts BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE image(id INTEGER PRIMARY KEY, octets BLOB NOT NULL /* of format {FORMAT:x} */);
CREATE TABLE journal(id INTEGER PRIMARY KEY, step BLOB NOT NULL);
CREATE TABLE confirmation(apex BLOB PRIMARY KEY, fact BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE retired(apex BLOB PRIMARY KEY, due BLOB NOT NULL) WITHOUT ROWID;
"
    )
}

/// The log shrinks to so many octets when it was longer.
pub(crate) const LOG_LIMIT: u64 = 8 << 20;

/// How long a stranger who writes to the file is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// An open database.
#[derive(Debug)]
pub(crate) struct Database {
    connection: Connection,
}

impl Database {
    /// Opens or creates for writing; refuses files of another program or format.
    pub(crate) fn open(path: &Path) -> rusqlite::Result<Database> {
        // Before SQLite has it open: to close the file again would give up SQLite's own locks.
        if !is_writable_format(path) {
            return Err(foreign("its header asks for a newer SQLite"));
        }
        let connection = Connection::open(path)?;
        if connection.is_readonly(MAIN_DB)? {
            return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_READONLY), None));
        }
        connection.busy_timeout(PATIENCE)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        // Takes effect in a new file alone, and only before anything is written into it.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        if mode != "wal" {
            return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CANTOPEN), None));
        }
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -4096)?;
        connection.pragma_update(None, "journal_size_limit", LOG_LIMIT as i64)?;
        let database = Database { connection };
        let format: i32 = database.connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let tables: i64 =
            database.connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        match (format, tables) {
            (0, 0) => database.connection.execute_batch(&format!(
                "BEGIN IMMEDIATE; {} PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={FORMAT}; COMMIT;",
                schema()
            ))?,
            (FORMAT, _) => database.check_schema()?,
            _ => return Err(database.another_format(format)),
        }
        Ok(database)
    }

    /// What is said of a file that another program wrote, or another release of this one.
    fn another_format(&self, format: i32) -> rusqlite::Error {
        let application = self.connection.pragma_query_value(None, "application_id", |row| row.get(0));
        match application {
            Ok(APPLICATION_ID) => foreign(&format!(
                "another release wrote it, in format {format:x}; this one reads format {FORMAT:x}"
            )),
            _ => foreign("it is of another program"),
        }
    }

    /// The schema is text in the file, as open to damage as the rest.
    fn check_schema(&self) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare("SELECT sql FROM sqlite_schema ORDER BY rowid")?;
        let found: Vec<String> =
            statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        let schema = schema();
        let expected = schema.split(';').map(str::trim).filter(|sql| !sql.is_empty());
        if found.iter().map(String::as_str).eq(expected) {
            Ok(())
        } else {
            Err(foreign("its schema is not ours"))
        }
    }

    /// Opens for reading alone, on a disk that refuses writes, or to save what can be read; creates no file, not even
    /// beside the database. Only for one who holds the lock of the state directory, or cannot have it.
    pub(crate) fn open_read_only(path: &Path) -> rusqlite::Result<Database> {
        let escaped = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
        let log = path.with_extension("db-wal").metadata().is_ok_and(|log| log.len() > 0);
        // With a log its index is kept in memory; without one there is nothing that `immutable` could leave out.
        let how = if log { "vfs=unix-none" } else { "immutable=1" };
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(format!("file:{escaped}?{how}"), flags)?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "cell_size_check", true)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        let database = Database { connection };
        database.check_schema()?;
        Ok(database)
    }

    /// Opens for reading while another connection of this process writes. Only as long as that one is open.
    pub(crate) fn open_beside(path: &Path) -> rusqlite::Result<Database> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        let database = Database { connection };
        database.check_schema()?;
        Ok(database)
    }

    /// The secret of page borders, if it is there and undamaged.
    pub(crate) fn border_secret(&self) -> rusqlite::Result<Option<BorderSecret>> {
        let mut statement = self.connection.prepare("SELECT value FROM meta WHERE key='border-secret'")?;
        let sealed = statement.query_row([], |row| blob(row, 0)).optional()?.flatten();
        let secret =
            sealed.and_then(|sealed| row::open(Kind::Meta, b"border-secret", &sealed)?.try_into().ok());
        Ok(secret.map(BorderSecret::new))
    }

    /// Stores the secret of page borders.
    pub(crate) fn set_border_secret(&self, secret: &BorderSecret) -> rusqlite::Result<()> {
        let sealed = row::seal(Kind::Meta, b"border-secret", *secret.octets());
        let sql = "INSERT OR REPLACE INTO meta(key, value) VALUES('border-secret', ?)";
        self.connection.execute(sql, [sealed]).map(drop)
    }

    /// Writes something of no meaning, so that the COMMIT that follows puts an end to what an earlier one, which
    /// failed, may have left in the log.
    pub(crate) fn settle(&self) -> rusqlite::Result<()> {
        self.connection
            .execute("INSERT OR REPLACE INTO meta(key, value) VALUES('settled', x'')", [])
            .map(drop)
    }

    /// Begins a transaction.
    pub(crate) fn begin(&self) -> rusqlite::Result<()> {
        self.connection.execute_batch("BEGIN IMMEDIATE")
    }

    /// Begins a transaction that only reads: it sees one state of the database.
    pub(crate) fn begin_reading(&self) -> rusqlite::Result<()> {
        self.connection.execute_batch("BEGIN")
    }

    /// Ends it: after `Ok` everything in it survives a crash.
    pub(crate) fn commit(&self) -> rusqlite::Result<()> {
        self.connection.execute_batch("COMMIT")
    }

    /// Throws it away.
    pub(crate) fn rollback(&self) {
        // After some errors SQLite has rolled back itself.
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    /// The facts of one zone.
    pub(crate) fn facts(&self, key: &[u8]) -> rusqlite::Result<Found<Facts>> {
        let mut statement = self.connection.prepare_cached("SELECT facts FROM zone WHERE apex=?")?;
        let sealed = statement.query_row([key], |row| blob(row, 0)).optional()?;
        Ok(found(sealed, |sealed| Facts::from_bytes(row::open(Kind::Zone, key, sealed)?)))
    }

    /// Sets the facts of one zone.
    pub(crate) fn set_facts(&self, key: &[u8], facts: &Facts) -> rusqlite::Result<()> {
        let sealed = row::seal(Kind::Zone, key, facts.to_bytes());
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO zone(apex, facts) VALUES(?, ?)")?
            .execute(params![key, sealed])
            .map(drop)
    }

    /// Pages that the file could do without, and all pages of it.
    pub(crate) fn free_pages(&self) -> rusqlite::Result<(u32, u32)> {
        let count = |name| self.connection.pragma_query_value(None, name, |row| row.get(0));
        Ok((count("freelist_count")?, count("page_count")?))
    }

    /// Gives back so many free pages, in a transaction of its own.
    pub(crate) fn shrink(&self, pages: u32) -> rusqlite::Result<()> {
        // It takes a step for each page.
        let mut statement = self.connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        Ok(())
    }

    /// Empties the log into the file, unless somebody reads from it just now.
    pub(crate) fn empty_log(&self) -> rusqlite::Result<()> {
        self.connection.busy_timeout(Duration::ZERO)?;
        let emptied = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        self.connection.busy_timeout(PATIENCE)?;
        emptied
    }

    /// Checks the trees and free pages of the whole file, but not what rows say. A damaged count of free octets harms
    /// nobody who reads; one who writes would write over the rows of other zones.
    pub(crate) fn check(&self) -> rusqlite::Result<()> {
        let verdict: String = self.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict == "ok" { Ok(()) } else { Err(foreign(&verdict.replace('\n', " "))) }
    }

    /// Calls `each` with key and facts of all zones in order; facts that are damaged are `None`. After an error of
    /// SQLite it goes on from the other end, so that no more is left out than must be, and returns the error.
    pub(crate) fn walk(&self, mut each: impl FnMut(Vec<u8>, Option<Facts>)) -> rusqlite::Result<()> {
        let mut seen: Option<Vec<u8>> = None;
        let Err(error) = self.scan(true, &mut |apex, facts| {
            if seen.as_ref().is_some_and(|seen| *seen >= apex) {
                return Err(foreign("rows are out of order"));
            }
            seen.get_or_insert_default().clone_from(&apex);
            each(apex, facts);
            Ok(())
        }) else {
            return Ok(());
        };
        let mut limit: Option<Vec<u8>> = None;
        // The first error says what is wrong.
        let _ = self.scan(false, &mut |apex, facts| {
            let met = seen.as_ref().is_some_and(|seen| *seen >= apex);
            if met || limit.as_ref().is_some_and(|limit| *limit <= apex) {
                return Err(foreign("both ends have met"));
            }
            limit = Some(apex.clone());
            each(apex, facts);
            Ok(())
        });
        Err(error)
    }

    fn scan(
        &self,
        upwards: bool,
        each: &mut dyn FnMut(Vec<u8>, Option<Facts>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let order = if upwards { "ASC" } else { "DESC" };
        let mut statement =
            self.connection.prepare(&format!("SELECT apex, facts FROM zone ORDER BY apex {order}"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let apex = blob(row, 0)?.ok_or_else(|| foreign("a key is of another type"))?;
            let facts = match row.get_ref(1)? {
                ValueRef::Blob(sealed) => row::open(Kind::Zone, &apex, sealed).and_then(Facts::from_bytes),
                _ => None,
            };
            each(apex, facts)?;
        }
        Ok(())
    }

    /// Marks a zone as no longer configured, to be removed after `due` (Unix seconds), or as configured again.
    pub(crate) fn set_retired(&self, key: &[u8], due: Option<u64>) -> rusqlite::Result<()> {
        let Some(due) = due else {
            return self
                .connection
                .prepare_cached("DELETE FROM retired WHERE apex=?")?
                .execute([key])
                .map(drop);
        };
        // A zone that is retired already keeps its first date.
        if self.retired(key)?.is_none() {
            let sealed = row::seal(Kind::Retired, key, due.to_be_bytes());
            self.connection
                .prepare_cached("INSERT OR REPLACE INTO retired(apex, due) VALUES(?, ?)")?
                .execute(params![key, sealed])?;
        }
        Ok(())
    }

    /// When a retired zone is to be removed.
    fn retired(&self, key: &[u8]) -> rusqlite::Result<Option<u64>> {
        let mut statement = self.connection.prepare_cached("SELECT due FROM retired WHERE apex=?")?;
        let sealed = statement.query_row([key], |row| blob(row, 0)).optional()?.flatten();
        Ok(sealed.and_then(|sealed| due(key, &sealed)))
    }

    /// The keys of zones to be removed before `wall`.
    pub(crate) fn retired_before(&self, wall: u64) -> rusqlite::Result<Vec<Vec<u8>>> {
        let mut statement = self.connection.prepare("SELECT apex, due FROM retired")?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let (Some(apex), Some(sealed)) = (blob(row, 0)?, blob(row, 1)?) else { continue };
            if due(&apex, &sealed).is_some_and(|due| due < wall) {
                found.push(apex);
            }
        }
        Ok(found)
    }

    /// Removes the rows of a zone, its image and its steps apart.
    pub(crate) fn remove(&self, key: &[u8]) -> rusqlite::Result<()> {
        for table in ["zone", "confirmation", "retired"] {
            self.connection.execute(&format!("DELETE FROM {table} WHERE apex=?"), [key])?;
        }
        Ok(())
    }

    /// Removes the row of a zone that cannot be read, and the confirmation that says nothing without it.
    pub(crate) fn remove_facts(&self, key: &[u8]) -> rusqlite::Result<()> {
        for table in ["zone", "confirmation"] {
            self.connection.execute(&format!("DELETE FROM {table} WHERE apex=?"), [key])?;
        }
        Ok(())
    }

    /// The connection, for statements over the journal, and to copy rows as they are.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }
}

fn due(key: &[u8], sealed: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(row::open(Kind::Retired, key, sealed)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Place, Stamp, Version};
    use crate::verdict::is_damage;
    use secondo_wire::Serial;
    use std::fs;

    fn facts(serial: u32) -> Facts {
        let version = Version { serial: Serial(serial), digest: [9; 8] };
        Facts::new(1, version, Place::File(serial.into()), Stamp { size: 1, sum: 2 })
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn reading_alone_finds_what_is_in_the_log_and_leaves_no_trace() {
        let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let [path, copied] = [&folder, &copy].map(|folder| folder.path().join("secondo.db"));
        let db = Database::open(&path).unwrap();
        db.set_facts(b"\x01a\0", &facts(1)).unwrap();
        for suffix in ["db", "db-wal"] {
            fs::copy(path.with_extension(suffix), copied.with_extension(suffix)).unwrap();
        }
        let before = [fs::read(&copied).unwrap(), fs::read(copied.with_extension("db-wal")).unwrap()];
        let reading = Database::open_read_only(&copied).unwrap();
        assert_eq!(reading.facts(b"\x01a\0").unwrap().whole(), Some(facts(1)));
        assert_eq!(names(copy.path()), ["secondo.db", "secondo.db-wal"]);
        assert!(reading.set_facts(b"\x01a\0", &facts(2)).is_err());
        drop(reading);
        assert_eq!(before, [fs::read(&copied).unwrap(), fs::read(copied.with_extension("db-wal")).unwrap()]);
        // After a clean end there is no log.
        drop(db);
        assert_eq!(names(folder.path()), ["secondo.db"]);
        let reading = Database::open_read_only(&path).unwrap();
        assert_eq!(reading.facts(b"\x01a\0").unwrap().whole(), Some(facts(1)));
        assert_eq!(names(folder.path()), ["secondo.db"]);
    }

    #[test]
    fn one_who_reads_beside_leaves_alone_what_took_the_place_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secondo.db");
        let db = Database::open(&path).unwrap();
        db.set_facts(b"\x01a\0", &facts(1)).unwrap();
        let beside = Database::open_beside(&path).unwrap();
        beside.begin_reading().unwrap();
        assert_eq!(beside.facts(b"\x01a\0").unwrap().whole(), Some(facts(1)));
        assert!(beside.set_facts(b"\x01a\0", &facts(9)).is_err());
        // It sees one state, and holds up nobody.
        db.set_facts(b"\x01a\0", &facts(2)).unwrap();
        db.empty_log().unwrap();
        assert_eq!(beside.facts(b"\x01a\0").unwrap().whole(), Some(facts(1)));
        drop(db);
        for name in names(folder.path()) {
            fs::rename(folder.path().join(&name), folder.path().join(format!("old-{name}"))).unwrap();
        }
        let db = Database::open(&path).unwrap();
        db.set_facts(b"\x01a\0", &facts(3)).unwrap();
        drop(beside);
        assert!(names(folder.path()).contains(&"secondo.db-wal".into()));
        let beside = Database::open_beside(&path).unwrap();
        assert_eq!(beside.facts(b"\x01a\0").unwrap().whole(), Some(facts(3)));
    }

    #[test]
    fn a_file_of_another_program_or_format_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secondo.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE other(x)").unwrap();
        assert!(is_damage(&Database::open(&path).unwrap_err()));
        fs::write(&path, "not a database at all, but long enough to have a header of one".repeat(20))
            .unwrap();
        assert!(is_damage(&Database::open(&path).unwrap_err()));
        fs::remove_file(&path).unwrap();
        drop(Database::open(&path).unwrap());
        let whole = fs::read(&path).unwrap();
        let mut newer = whole.clone();
        newer[18] = 6;
        fs::write(&path, newer).unwrap();
        assert!(is_damage(&Database::open(&path).unwrap_err()));
        fs::write(&path, whole).unwrap();
        Connection::open(&path).unwrap().execute_batch("ALTER TABLE zone RENAME TO zones").unwrap();
        assert!(is_damage(&Database::open(&path).unwrap_err()));
        assert!(!is_damage(&Database::open(&folder.path().join("no/such/folder")).unwrap_err()));
    }

    #[test]
    fn a_value_of_another_type_is_a_damaged_row_not_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::open(&folder.path().join("secondo.db")).unwrap();
        db.connection.execute("INSERT INTO zone VALUES(x'00', 'text'), (x'0161', 7)", []).unwrap();
        assert!(matches!(db.facts(b"\0").unwrap(), Found::Damaged));
        let mut seen = Vec::new();
        db.walk(|key, facts| seen.push((key, facts))).unwrap();
        assert_eq!(seen, [(b"\0".to_vec(), None), (b"\x01a".to_vec(), None)]);
    }
}
