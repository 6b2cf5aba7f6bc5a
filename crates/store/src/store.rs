//! Opening the state directory, and what it holds from earlier.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use secondo_transfer::CheckedZone;
use secondo_wire::{Name, NameRef};
use secondo_zone::{BorderSecret, Difference, Zone};

use crate::committed::Committed;
use crate::confirmation::Confirmation;
use crate::database::{Database, ZoneRow};
use crate::disk::{Disk, Folder};
use crate::image;
use crate::writer::{Op, Pending, Recovered, Writer, WriterHandle, page_file_name};

/// Why the state directory cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another daemon has it.
    #[error("state directory {0} is in use by another daemon")]
    Locked(PathBuf),
}

/// Something found damaged; it was set aside and is fetched again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The zone concerned; `None`: the store as a whole.
    pub zone: Option<Name>,
    /// What is wrong, for the log.
    pub what: String,
}

/// A zone from an earlier run.
#[derive(Debug)]
pub struct Restored {
    /// The version, checksums and structure verified.
    pub committed: Committed,
    /// When a primary last vouched for it; `None` when that is not known: the zone is expired until one does.
    pub confirmation: Option<Confirmation>,
}

/// What opening found.
#[derive(Debug)]
pub struct Opened {
    /// The secret of page borders, for all builders.
    pub secret: BorderSecret,
    /// The zones wanted that were there.
    pub restored: Vec<Restored>,
    /// Zones that are on disk and not wanted.
    pub others: Vec<Name>,
    /// What was damaged.
    pub damages: Vec<Damage>,
    /// Why the disk refuses writes, if it does: all versions are volatile until it allows them.
    pub refused: Option<String>,
}

/// The open store. Dropping it ends its writer after all that was asked of it before.
#[derive(Debug)]
pub struct Store {
    writer: WriterHandle,
    /// Held as long as the store lives.
    _lock: Option<File>,
}

impl Store {
    /// Opens the state directory `folder`, creating it if need be, and restores the zones that `wanted` wants; the
    /// others stay on disk. Nothing but another daemon's lock is an error.
    ///
    /// `fresh_secret` is used when the directory has none yet. `recovered` is told, from the writer's thread, when a
    /// volatile version has become durable.
    pub fn open(
        folder: &Path,
        fresh_secret: [u8; 16],
        wanted: impl Fn(&Name) -> bool,
        recovered: impl Fn(Recovered) + Send + 'static,
    ) -> Result<(Store, Opened), OpenError> {
        let mut refused = fs::create_dir_all(folder).err().map(|error| error.to_string());
        let lock = match lock(folder) {
            Ok(lock) => Some(lock),
            Err(TryLockError::WouldBlock) => return Err(OpenError::Locked(folder.into())),
            Err(TryLockError::Error(error)) => {
                refused.get_or_insert(error.to_string());
                None
            }
        };
        let mut disk = Folder::new(folder.join("zones"), folder.join("damaged"));
        let path = folder.join("secondo.db");
        let mut damages = Vec::new();
        let mut database = open_database(&path, &mut damages, &mut refused);
        let secret = database.as_ref().and_then(|(db, _)| db.border_secret().ok().flatten());
        let mut found = Found::default();
        if let (Some((db, writable)), Some(secret)) = (&database, &secret) {
            found = restore(db, *writable, &mut disk, secret, &wanted, &mut damages);
        }
        if found.broken && matches!(database, Some((_, true))) {
            drop(database.take());
            set_database_aside(&path);
            database = open_database(&path, &mut damages, &mut refused);
        }
        let secret = secret.unwrap_or_else(|| BorderSecret::new(fresh_secret));
        let writable = database.and_then(|(db, writable)| writable.then_some(db));
        let next_file = 1 + found.files.iter().copied().max().unwrap_or(0);
        let database = writable.filter(|db| match db.border_secret() {
            Ok(Some(_)) => true,
            _ => db.set_border_secret(&secret).is_ok(),
        });
        if let (Some(_), false) = (&database, found.broken) {
            remove_orphans(&mut disk, &found.files);
        }
        let mut writer = Writer::new(path, secret.clone(), database, Box::new(disk), next_file, Box::new(recovered));
        if found.broken {
            // What could still be read goes into the new database at the first chance.
            for restored in &found.restored {
                if let Some(confirmation) = restored.confirmation {
                    writer.retry_later(Pending { zone: Some(restored.committed.zone().clone()), confirmation });
                }
            }
        }
        let opened = Opened { secret, restored: found.restored, others: found.others, damages, refused };
        Ok((Store { writer: WriterHandle::spawn(writer), _lock: lock }, opened))
    }

    /// Writes a version with its confirmation; `done` is called from the writer's thread. Many calls at once share
    /// one sync.
    pub fn commit(&self, checked: CheckedZone, confirmation: Confirmation, done: impl FnOnce(Committed) + Send + 'static) {
        self.writer.send(Op::Commit(checked, confirmation, Box::new(done)));
    }

    /// Writes that a primary vouched again for the version we have; `done` gets what the disk said when it refused.
    pub fn confirm(
        &self,
        apex: &Name,
        confirmation: Confirmation,
        done: impl FnOnce(Result<(), String>) + Send + 'static,
    ) {
        self.writer.send(Op::Confirm(apex.clone(), confirmation, Box::new(done)));
    }

    /// Notes that zones are no longer configured; they stay on disk until a purge after `due` (Unix seconds).
    pub fn retire(&self, apexes: Vec<Name>, due: u64) {
        self.writer.send(Op::Retire(apexes, Some(due)));
    }

    /// Notes that zones are configured again.
    pub fn unretire(&self, apexes: Vec<Name>) {
        self.writer.send(Op::Retire(apexes, None));
    }

    /// Removes retired zones whose time was over before `wall` (Unix seconds).
    pub fn purge(&self, wall: u64) {
        self.writer.send(Op::Purge(wall));
    }

    /// Reads one zone back, for a zone that is configured again; `done` is called from the writer's thread.
    pub fn restore(&self, apex: &Name, done: impl FnOnce(Option<Restored>) + Send + 'static) {
        self.writer.send(Op::Restore(apex.clone(), Box::new(done)));
    }
}

fn lock(folder: &Path) -> Result<File, TryLockError> {
    let path = folder.join("lock");
    let opened = File::options().create(true).append(true).open(&path).or_else(|_| File::open(&path));
    let file = opened.map_err(TryLockError::Error)?;
    file.try_lock()?;
    Ok(file)
}

/// The database and whether it can be written; a damaged one is set aside, once.
fn open_database(path: &Path, damages: &mut Vec<Damage>, refused: &mut Option<String>) -> Option<(Database, bool)> {
    let error = match Database::open(path) {
        Ok(database) => return Some((database, true)),
        Err(error) => error,
    };
    if is_damage(&error) {
        damages.push(Damage { zone: None, what: format!("secondo.db: {error}") });
        set_database_aside(path);
        if let Ok(database) = Database::open(path) {
            return Some((database, true));
        }
    }
    refused.get_or_insert(error.to_string());
    Database::open_read_only(path).ok().map(|database| (database, false))
}

/// Whether SQLite says that the file is not, or no longer, what it should be.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => matches!(failure.code, DatabaseCorrupt | NotADatabase),
        rusqlite::Error::InvalidPath(_) => true,
        rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::FromSqlConversionFailure(..) => true,
        _ => false,
    }
}

fn set_database_aside(path: &Path) {
    let Some(aside) = path.parent().map(|folder| folder.join("damaged")) else { return };
    // What cannot be moved stays where it is; opening it fails again and the store runs from memory.
    let _ = fs::create_dir_all(&aside);
    for suffix in ["", "-wal", "-shm"] {
        let from = PathBuf::from(format!("{}{suffix}", path.display()));
        let _ = fs::rename(&from, aside.join(format!("secondo.db{suffix}")));
    }
}

#[derive(Default)]
struct Found {
    restored: Vec<Restored>,
    others: Vec<Name>,
    /// Page files that belong to some zone.
    files: Vec<u64>,
    /// SQLite could not read its file to the end.
    broken: bool,
}

fn restore(
    db: &Database,
    writable: bool,
    disk: &mut dyn Disk,
    secret: &BorderSecret,
    wanted: &dyn Fn(&Name) -> bool,
    damages: &mut Vec<Damage>,
) -> Found {
    let mut found = Found::default();
    let mut unusable = Vec::new();
    let walked = db.for_each_zone(|row| {
        let name = match NameRef::split_from(&row.apex) {
            Some((name, [])) => Some(name.to_owned()),
            _ => None,
        };
        found.files.extend(row.facts.as_ref().and_then(|facts| facts.file));
        if let Some(name) = name.as_ref().filter(|name| !wanted(name)) {
            found.others.push(name.clone());
            return;
        }
        let key = row.apex.clone();
        match restore_zone(db, disk, secret, row) {
            Ok(restored) => found.restored.push(restored),
            Err(what) => {
                damages.push(Damage { zone: name, what });
                unusable.push(key);
            }
        }
    });
    if let Err(error) = walked {
        damages.push(Damage { zone: None, what: format!("secondo.db: {error}") });
        found.broken = true;
    } else if writable {
        for key in unusable {
            // A row that cannot be removed is found damaged again at the next start.
            let _ = db.remove(&key);
        }
    }
    found
}

/// One zone out of its rows and its page file; the error says what is damaged, for the log.
pub(crate) fn restore_zone(
    db: &Database,
    disk: &mut dyn Disk,
    secret: &BorderSecret,
    row: ZoneRow,
) -> Result<Restored, String> {
    let facts = row.facts.ok_or("its row fails the checksum")?;
    let (octets, file) = match (facts.file, row.image) {
        (None, Some(image)) => (image, None),
        (Some(number), _) => {
            let file = page_file_name(number);
            (disk.read(&file).map_err(|error| format!("zones/{file}: {error}"))?, Some(file))
        }
        (None, None) => return Err("its image is missing".into()),
    };
    let decoded = image::decode(&octets, secret);
    let mut zone = decoded.map_err(|bad| {
        if let Some(file) = &file {
            // What cannot be moved stays; it is not referred to any more.
            let _ = disk.set_aside(file);
        }
        format!("{}: {bad}", file.as_deref().unwrap_or("its row"))
    })?;
    if zone.apex().as_wire().to_ascii_lowercase() != row.apex || zone.serial() != facts.base {
        return Err("its image is of another version".into());
    }
    let steps = db.journal(&row.apex).map_err(|error| error.to_string())?;
    for (number, step) in steps.iter().enumerate() {
        let octets = step.as_deref().ok_or_else(|| format!("step {number} of its journal fails the checksum"))?;
        zone = apply_step(&zone, octets).map_err(|what| format!("step {number} of its journal: {what}"))?;
    }
    if zone.serial() != facts.last {
        return Err("steps are missing at the end of its journal".into());
    }
    // A confirmation of another version says nothing about this one.
    let confirmation = row.confirmation.filter(|confirmation| confirmation.serial == zone.serial());
    Ok(Restored { committed: Committed::from_disk(zone), confirmation })
}

fn apply_step(zone: &Zone, octets: &[u8]) -> Result<Zone, String> {
    let difference = Difference::from_bytes(octets).map_err(|error| error.to_string())?;
    difference.apply(zone).map_err(|error| error.to_string())
}

/// Page files that no row refers to: of versions replaced, or of a commit that a crash cut short.
fn remove_orphans(disk: &mut dyn Disk, files: &[u64]) {
    let Ok(names) = disk.list() else { return };
    let known: std::collections::BTreeSet<String> = files.iter().map(|&number| page_file_name(number)).collect();
    for name in names.iter().filter(|name| !known.contains(*name)) {
        let _: io::Result<()> = disk.remove(name);
    }
}
