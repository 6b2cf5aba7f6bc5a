//! The ledger: database and page files together, with transactions that leave both in order whatever happens.

use std::collections::BTreeMap;
use std::sync::Arc;

use secondo_wire::Name;
use secondo_zone::BorderSecret;

use crate::database::Database;
use crate::disk::Disk;
use crate::facts::{Place, key, page_file_name, page_file_number};
use crate::op::Op;
use crate::restore::{Broken, Damage, Restored, restore_zone};
use crate::state_dir::{StateDir, Unavailable};
use crate::transaction::{Fate, Mark, Transaction};
use crate::verdict::{is_damage, is_doubtful};

/// What is on disk.
pub(crate) struct Ledger {
    dir: StateDir,
    secret: BorderSecret,
    /// `None` while the disk refuses to have it opened.
    database: Option<Database>,
    pub(crate) disk: Arc<dyn Disk>,
    /// The number of the next page file.
    pub(crate) next_file: u64,
    /// Damage that came to light and was not told yet.
    pub(crate) damages: Vec<Damage>,
    /// Page files of a transaction whose COMMIT failed in such a way that it may be on disk all the same.
    doubtful: Vec<u64>,
}

impl Ledger {
    pub(crate) fn new(
        dir: StateDir,
        secret: BorderSecret,
        database: Option<Database>,
        disk: Arc<dyn Disk>,
        next_file: u64,
    ) -> Ledger {
        Ledger { dir, secret, database, disk, next_file, damages: Vec::new(), doubtful: Vec::new() }
    }

    /// Writes `batch`, and the retirements in `marks`, in one transaction; the error is what the disk said, for the log. A database that turns out to be
    /// damaged is saved into a new one first.
    pub(crate) fn transact(
        &mut self,
        batch: &[Op],
        marks: &mut BTreeMap<Name, Mark>,
    ) -> Result<Vec<Fate>, String> {
        let reading = batch.iter().all(|op| matches!(op, Op::Restore(_) | Op::History(_)));
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
        let begun = Transaction::begin(db, marks, !self.doubtful.is_empty());
        let mut created = Vec::new();
        let put = begun.and_then(|mut transaction| {
            let fates = batch.iter().map(|op| transaction.put(op)).collect::<rusqlite::Result<Vec<Fate>>>();
            created = std::mem::take(&mut transaction.files.created);
            Ok((fates?, transaction.files.replaced))
        });
        let error = match put {
            Ok((fates, replaced)) => match db.commit() {
                Ok(()) => {
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
        let opened = match damage {
            Some(error) => self.dir.rescue(error, &mut damages),
            None => self.dir.open(&mut damages),
        };
        self.damages.extend(damages.into_iter().map(|what| Damage { zone: None, what }));
        let db = opened?;
        if db.border_secret()?.is_none() {
            db.set_border_secret(&self.secret)?;
        }
        let mut places = Vec::new();
        db.walk(|_, facts| places.extend(facts.map(|facts| facts.place)))?;
        self.next_file = self.next_file.max(next_file(&places, &*self.disk));
        Ok(db)
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
        let facts = db.facts_of(apex).ok()??;
        let broken = match restore_zone(db, &*self.disk, &key, &facts) {
            Ok((restored, _)) => return Some(restored),
            Err(broken) => broken,
        };
        if let Broken::Zone(_) = broken {
            // Rows that cannot be removed are found damaged again at the next start.
            let _ = db.remove(&key);
        }
        self.damages.push(Damage { zone: Some(apex.clone()), what: broken.to_string() });
        None
    }
}

/// A number that no page file has had, as far as anybody remembers.
pub(crate) fn next_file(places: &[Place], disk: &dyn Disk) -> u64 {
    let known = places.iter().filter_map(|place| match place {
        Place::File(number) => Some(*number),
        Place::Row(_) => None,
    });
    let names = disk.list().unwrap_or_default();
    let found = names.iter().filter_map(|name| page_file_number(name));
    known.chain(found).max().map_or(1, |highest| highest.saturating_add(1))
}
