//! The state directory: its lock, and its database, opened, or saved out of a damaged one into a new one.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::database::Database;
use crate::disk::{create_folder, make_room, sync_folder};
use crate::log_scan;
use crate::verdict::is_damage;

/// Why the directory is not ours to write to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// Another daemon has it.
    #[error("the state directory is in use by another daemon")]
    Locked,
    #[error("lock: {0}")]
    Disk(#[from] io::Error),
}

/// Why there is no database to write to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unavailable {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("secondo.db: {0}")]
    Database(#[from] rusqlite::Error),
    #[error("secondo.db is damaged and cannot be saved into a new one: {0}")]
    Rescue(io::Error),
}

/// The directory. The lock is held as long as this lives.
#[derive(Debug)]
pub(crate) struct StateDir {
    folder: PathBuf,
    lock: Option<File>,
}

impl StateDir {
    pub(crate) fn new(folder: &Path) -> StateDir {
        StateDir { folder: folder.into(), lock: None }
    }

    /// The file of the database.
    pub(crate) fn database(&self) -> PathBuf {
        self.folder.join("secondo.db")
    }

    /// Octets of the database's log.
    pub(crate) fn log_octets(&self) -> u64 {
        with_suffix(&self.database(), "-wal").metadata().map_or(0, |log| log.len())
    }

    /// The folder of page files.
    pub(crate) fn pages(&self) -> PathBuf {
        self.folder.join("zones")
    }

    /// The folder of what is set aside.
    pub(crate) fn aside(&self) -> PathBuf {
        self.folder.join("damaged")
    }

    /// Creates the directory if need be and takes its lock, unless that was done before.
    pub(crate) fn claim(&mut self) -> Result<(), Refusal> {
        if self.lock.is_some() {
            return Ok(());
        }
        let created = create_folder(&self.folder);
        let path = self.folder.join("lock");
        // On a disk that refuses writes, a lock file from earlier serves as well.
        let opened = File::options().create(true).append(true).open(&path);
        let file = opened.or_else(|error| File::open(&path).map_err(|_| created.err().unwrap_or(error)))?;
        match file.try_lock() {
            Ok(()) => self.lock = Some(file),
            Err(TryLockError::WouldBlock) => return Err(Refusal::Locked),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        Ok(())
    }

    /// The database, for writing; a damaged one is saved into a new one, which is said in `damage`. Errors mean that
    /// the disk refuses.
    pub(crate) fn open(&mut self, damage: &mut Vec<String>) -> Result<Database, Unavailable> {
        self.claim()?;
        if let Some(what) = self.lost() {
            damage.push(what);
        }
        let log = with_suffix(&self.database(), "-wal");
        if let Some(what) = log_scan::lost_commits(&log) {
            damage.push(format!(
                "secondo.db-wal: {what}; zones may be older than they were, with the clocks of that time"
            ));
        }
        match Database::open(&self.database()) {
            Err(error) if is_damage(&error) => self.rescue(&error, damage),
            other => Ok(other?),
        }
    }

    /// What is to be said of a database that is gone while other files tell that there was one.
    fn lost(&self) -> Option<String> {
        let octets = |path: &Path| path.metadata().map_or(0, |found| found.len());
        let path = self.database();
        let some_zone = || fs::read_dir(self.pages()).is_ok_and(|mut found| found.next().is_some());
        let others = octets(&with_suffix(&path, "-wal")) > 0 || some_zone();
        (octets(&path) == 0 && others)
            .then(|| "secondo.db is missing or empty: nothing of an earlier run is left".into())
    }

    /// Copies all rows that can be read into a new database and sets the old one aside, which nobody may have open.
    /// The rows are taken as they are: their own checksums decide later.
    pub(crate) fn rescue(
        &mut self,
        why: &rusqlite::Error,
        damage: &mut Vec<String>,
    ) -> Result<Database, Unavailable> {
        self.claim()?;
        let (path, fresh) = (self.database(), self.folder.join("secondo.db.new"));
        remove_database(&fresh).map_err(Unavailable::Rescue)?;
        let saved = {
            let new = Database::open(&fresh)?;
            let saved = match Database::open_read_only(&path) {
                Ok(old) => copy(&old, &new)?,
                // Not even its schema is left.
                Err(_) => 0,
            };
            new.empty_log()?;
            saved
        };
        self.exchange(&path, &fresh).map_err(Unavailable::Rescue)?;
        let saved = match saved {
            0 => "no zone in it can be used, all are fetched again".into(),
            some => format!("{some} zones in it could be saved"),
        };
        damage.push(format!("secondo.db: {why}; {saved}"));
        Ok(Database::open(&path)?)
    }

    /// Puts the new database in the place of the old: at no moment is there none. The log goes first, lest it be taken
    /// for one of the new database.
    fn exchange(&self, path: &Path, fresh: &Path) -> io::Result<()> {
        let aside = self.aside();
        for suffix in ["-wal", "-shm", ""] {
            let from = with_suffix(path, suffix);
            let to = aside.join(format!("secondo.db{suffix}"));
            make_room(&aside)?;
            remove_if_there(&to)?;
            match if suffix.is_empty() { fs::hard_link(&from, &to) } else { fs::rename(&from, &to) } {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // Not every file system has links; then the old one is lost, not the new one.
                Err(_) if suffix.is_empty() => {}
                other => other?,
            }
        }
        sync_folder(&self.folder)?;
        fs::rename(fresh, path)?;
        sync_folder(&self.folder)
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn remove_database(path: &Path) -> io::Result<()> {
    ["", "-wal", "-shm"].iter().try_for_each(|suffix| remove_if_there(&with_suffix(path, suffix)))
}

/// Copies what can be read; returns how many zones. Errors are those of the new database.
fn copy(old: &Database, new: &Database) -> rusqlite::Result<usize> {
    new.begin()?;
    let (old, connection) = (old.connection(), new.connection());
    copy_table(old, connection, "meta", &["key", "value"])?;
    let zones = copy_table(old, connection, "zone", &["apex", "facts"])?;
    copy_table(old, connection, "image", &["id", "octets"])?;
    copy_table(old, connection, "journal", &["id", "step"])?;
    copy_table(old, connection, "confirmation", &["apex", "fact"])?;
    copy_table(old, connection, "retired", &["apex", "due"])?;
    new.commit()?;
    Ok(zones)
}

/// Rows refused before a table is given up: the ends have met, or damage leads in circles.
const MOST_REFUSED: u32 = 1000;

/// From both ends towards the middle, as far as either leads.
fn copy_table(old: &Connection, new: &Connection, table: &str, columns: &[&str]) -> rusqlite::Result<usize> {
    let places = vec!["?"; columns.len()].join(", ");
    let names = columns.join(", ");
    let mut insert = new.prepare(&format!("INSERT OR IGNORE INTO {table}({names}) VALUES({places})"))?;
    let keys = &columns[..columns.len() - 1];
    let (mut copied, mut refused) = (0, 0);
    for order in ["ASC", "DESC"] {
        let sorted = keys.iter().map(|key| format!("{key} {order}")).collect::<Vec<_>>().join(", ");
        let Ok(mut select) = old.prepare(&format!("SELECT {names} FROM {table} ORDER BY {sorted}")) else {
            continue;
        };
        let Ok(mut rows) = select.query([]) else { continue };
        let whole = loop {
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => break true,
                Err(_) => break false,
            };
            let values: rusqlite::Result<Vec<Value>> =
                (0..columns.len()).map(|column| row.get(column)).collect();
            let Ok(values) = values else { continue };
            match insert.execute(rusqlite::params_from_iter(values)) {
                Ok(1) => copied += 1,
                Err(error) if !is_damage(&error) => return Err(error),
                // Copied before, or of a type that the column does not take.
                _ => refused += 1,
            }
            if refused > MOST_REFUSED {
                break false;
            }
        };
        if whole {
            break;
        }
    }
    Ok(copied)
}
