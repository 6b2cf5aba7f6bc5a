//! The ledger: database and page files together, with transactions that leave both in order whatever happens.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use secondo_wire::Name;
use secondo_zone::{BorderSecret, Zone};

use crate::database::{Database, LOG_LIMIT};
use crate::disk::Disk;
use crate::facts::{Facts, Held, Version, key, page_file_name, page_file_number};
use crate::inventory::Kept;
use crate::op::Op;
use crate::restore::{Broken, DAMAGED_ROW, Damage, Restored, restore_zone};
use crate::row::Found;
use crate::state_dir::{StateDir, Unavailable};
use crate::transaction::{Fate, Mark, Transaction};
use crate::verdict::{is_damage, is_doubtful};

/// The database may have so many free pages, a mebibyte of them...
const FREE_PAGES: u32 = 256;
/// ...or this part of all (1/n).
const FREE_SHARE: u32 = 4;
/// Free pages that are given back at once.
const PIECE: u32 = 256;

/// What is on disk.
pub(crate) struct Ledger {
    dir: StateDir,
    secret: BorderSecret,
    /// `None` while the disk refuses to have it opened.
    database: Option<Database>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) numbers: Numbers,
    /// Damage that came to light and was not told yet.
    pub(crate) damages: Vec<Damage>,
    /// Page files of a transaction whose COMMIT failed in such a way that it may be on disk all the same.
    doubtful: Vec<u64>,
    /// Free pages were given back.
    shrunk: bool,
    /// Held by one who reads beside: nobody may have a database open that is exchanged.
    pub(crate) reading: Arc<Mutex<()>>,
}

impl Ledger {
    pub(crate) fn new(
        dir: StateDir,
        secret: BorderSecret,
        database: Option<Database>,
        disk: Arc<dyn Disk>,
        numbers: Numbers,
    ) -> Ledger {
        Ledger {
            dir,
            secret,
            database,
            disk,
            numbers,
            damages: Vec::new(),
            doubtful: Vec::new(),
            shrunk: false,
            reading: Arc::default(),
        }
    }

    /// Writes `batch`, and the retirements in `marks`, in one transaction; the error is what the disk said, for the log. A database that turns out to be
    /// damaged is saved into a new one first.
    pub(crate) fn transact(
        &mut self,
        batch: &[Op],
        marks: &mut BTreeMap<Name, Mark>,
    ) -> Result<Vec<Fate>, String> {
        let reading = batch.iter().all(Op::is_reading);
        if reading && marks.is_empty() {
            return Ok(batch.iter().map(|_| Fate::Written(None)).collect());
        }
        let mut saved = false;
        loop {
            let db = match self.database.take() {
                Some(db) => db,
                None => self.open(None).map_err(|error| error.to_string())?,
            };
            let error = match self.attempt(&db, batch, marks) {
                Ok(fates) => {
                    self.database = Some(db);
                    marks.clear();
                    return Ok(fates);
                }
                Err(error) => error,
            };
            if saved || !is_damage(&error) {
                self.database = Some(db);
                return Err(error.to_string());
            }
            drop(db);
            self.database = Some(self.open(Some(&error)).map_err(|error| error.to_string())?);
            saved = true;
        }
    }

    fn attempt(
        &mut self,
        db: &Database,
        batch: &[Op],
        marks: &BTreeMap<Name, Mark>,
    ) -> rusqlite::Result<Vec<Fate>> {
        let begun = Transaction::begin(db, marks, !self.doubtful.is_empty(), &mut self.numbers.zone);
        let (mut created, mut damages) = (Vec::new(), Vec::new());
        let put = begun.and_then(|mut transaction| {
            let fates = batch.iter().map(|op| transaction.put(op)).collect::<rusqlite::Result<Vec<Fate>>>();
            created = std::mem::take(&mut transaction.files.created);
            damages = transaction.damages;
            Ok((fates?, transaction.files.replaced))
        });
        let error = match put {
            Ok((fates, replaced)) => match db.commit() {
                Ok(()) => {
                    self.damages.append(&mut damages);
                    // A file that stays is removed at the next start.
                    let done = replaced.into_iter().chain(std::mem::take(&mut self.doubtful));
                    done.for_each(|number| drop(self.disk.remove(&page_file_name(number))));
                    return Ok(fates);
                }
                Err(error) if is_doubtful(&error) => {
                    // After a crash this COMMIT may turn out to be on disk: until a later one is, its files stay.
                    self.doubtful.append(&mut created);
                    error
                }
                Err(error) => error,
            },
            Err(error) => error,
        };
        db.rollback();
        if !is_damage(&error) {
            created.iter().for_each(|&number| drop(self.disk.remove(&page_file_name(number))));
        }
        Err(error)
    }

    /// The database, opened again; with `damage`, saved into a new one.
    fn open(&mut self, damage: Option<&rusqlite::Error>) -> Result<Database, Unavailable> {
        let mut damages = Vec::new();
        let reading = Arc::clone(&self.reading);
        let _still = reading.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = match damage {
            Some(error) => self.dir.rescue(error, &mut damages),
            None => self.dir.open(&mut damages),
        };
        self.damages.extend(damages.into_iter().map(|what| Damage { zone: None, what }));
        let db = opened?;
        if db.border_secret()?.is_none() {
            db.set_border_secret(&self.secret)?;
        }
        let mut held = Vec::new();
        db.walk(|_, facts| held.extend(facts.map(|facts| facts.held())))?;
        self.numbers = self.numbers.max(Numbers::behind(&held, Some(&db), &*self.disk));
        Ok(db)
    }

    /// Removes rows of no use, and images and steps that no row refers to: of versions replaced, of a commit that a crash cut
    /// short, of zones whose row was damaged. What cannot be removed is found again at the next start.
    pub(crate) fn sweep(&self, kept: &Kept) {
        if let Some(db) = self.database.as_ref().filter(|db| sweep(db, kept).is_err()) {
            db.rollback();
        }
    }

    /// Puts a little of the database in order; returns how long the next of it has time, `None` when there is none.
    /// Errors are those of the next transaction too.
    pub(crate) fn chore(&mut self) -> Option<Duration> {
        let db = self.database.as_ref()?;
        let begun = Instant::now();
        let (free, all) = db.free_pages().ok()?;
        if free > FREE_PAGES && free > all / FREE_SHARE {
            db.shrink(PIECE).ok()?;
            self.shrunk = true;
            // Most of the time is for others.
            return Some(begun.elapsed() * 9);
        }
        // The file ends earlier only when the log is in it.
        if std::mem::take(&mut self.shrunk) || self.dir.log_octets() > LOG_LIMIT {
            let _ = db.empty_log();
        }
        None
    }

    /// A zone as the disk has it.
    pub(crate) fn restore(&mut self, apex: &Name) -> Option<Restored> {
        let opened;
        let db = match &self.database {
            Some(db) => db,
            None => {
                opened = Database::open_read_only(&self.dir.database()).ok()?;
                &opened
            }
        };
        let key = key(apex);
        let (facts, broken) = match db.facts(&key) {
            Ok(Found::Missing) => return None,
            Ok(Found::Whole(facts)) => match restore_zone(db, &*self.disk, &key, &facts) {
                Ok((restored, _)) => return Some(restored),
                Err(broken) => (Some(facts), broken),
            },
            Ok(Found::Damaged) => (None, Broken::Zone(DAMAGED_ROW.into())),
            Err(error) => (None, Broken::Database(error)),
        };
        if broken.is_lost(&*self.disk) && remove(db, &key, facts.as_ref()).is_err() {
            // What cannot be removed is found damaged again at the next start.
            db.rollback();
        }
        self.damages.push(Damage { zone: Some(apex.clone()), what: broken.to_string() });
        None
    }

    /// Whether that is the newest version of its zone; what was read while the disk refuses is as good as any.
    pub(crate) fn is_newest(&self, zone: &Zone) -> bool {
        let Some(db) = &self.database else { return true };
        let found = db.facts(&key(zone.apex())).map(Found::whole);
        matches!(found, Ok(Some(facts)) if facts.last == Version::of(zone))
    }

    /// Whether the database is open.
    pub(crate) fn is_open(&self) -> bool {
        self.database.is_some()
    }

    /// The file of the database.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.database()
    }
}

/// Looks through the database, and writes to it only if there is something to remove.
fn sweep(db: &Database, kept: &Kept) -> rusqlite::Result<()> {
    db.begin()?;
    kept.unusable.iter().try_for_each(|key| db.remove(key))?;
    let rows = kept.held.iter().filter_map(|held| held.place.row());
    db.keep_images(&rows.collect())?;
    db.keep_journals(&kept.held.iter().map(|held| held.zone).collect())?;
    db.commit()
}

/// Removes a zone that cannot be restored; its page file goes at the next start, if it is still there.
fn remove(db: &Database, key: &[u8], facts: Option<&Facts>) -> rusqlite::Result<()> {
    db.begin()?;
    facts.map_or(Ok(()), |facts| db.remove_beside(facts))?;
    db.remove(key)?;
    db.commit()
}

/// Numbers that nothing has had, as far as anybody remembers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    /// Of the next page file.
    pub(crate) file: u64,
    /// Of the next zone.
    pub(crate) zone: u32,
}

impl Numbers {
    /// Those behind all that is held and all that lies about.
    pub(crate) fn behind(held: &[Held], db: Option<&Database>, disk: &dyn Disk) -> Numbers {
        let names = disk.list().unwrap_or_default();
        let files = held.iter().filter_map(|held| held.place.file());
        let file = files.chain(names.iter().filter_map(|name| page_file_number(name))).max();
        let steps = db.and_then(|db| db.last_journal().ok().flatten());
        let zone = held.iter().map(|held| held.zone).chain(steps).max();
        Numbers {
            file: file.map_or(1, |highest| highest.saturating_add(1)),
            zone: zone.map_or(1, |highest| highest.saturating_add(1)),
        }
    }

    fn max(self, other: Numbers) -> Numbers {
        Numbers { file: self.file.max(other.file), zone: self.zone.max(other.zone) }
    }
}
