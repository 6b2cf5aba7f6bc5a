//! Opening the state directory, and what is asked of it afterwards.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secondo_transfer::CheckedZone;
use secondo_wire::{Name, Serial};
use secondo_zone::BorderSecret;

use crate::committed::Committed;
use crate::confirmation::Confirmation;
use crate::database::Database;
use crate::disk::{Disk, Folder};
use crate::facts::{page_file_name, page_file_number};
use crate::handle::WriterHandle;
use crate::history::History;
use crate::inventory::{Inventory, Kept};
use crate::ledger::{Ledger, Numbers};
use crate::op::{Ask, Commit, Confirm, Incoming, Notice, Op, Past};
use crate::restore::{Damage, Restored, name_of};
use crate::state_dir::{Refusal, StateDir};
use crate::verdict::is_damage;

/// Why the state directory cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another daemon has it.
    #[error("state directory {0} is in use by another daemon")]
    Locked(PathBuf),
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
    /// Zones that are noted as no longer configured, wanted or not; `None` when that cannot be told.
    pub retired: Option<Vec<Name>>,
    /// What was damaged.
    pub damages: Vec<Damage>,
    /// Why the disk refuses writes, if it does: all versions are volatile until it allows them.
    pub refused: Option<String>,
}

/// The open store. Dropping it ends its writer after all that was asked of it before.
#[derive(Debug)]
pub struct Store {
    writer: WriterHandle,
}

impl Store {
    /// Opens the state directory `folder`, creating it if need be, and restores the zones that `wanted` wants; the
    /// others stay on disk. Nothing but another daemon's lock is an error.
    ///
    /// `fresh_secret` is used when the directory has none yet. `notice` is told, from the writer's thread, what comes
    /// to light later.
    pub fn open(
        folder: &Path,
        fresh_secret: [u8; 16],
        wanted: impl Fn(&Name) -> bool,
        notice: impl Fn(Notice) + Send + 'static,
    ) -> Result<(Store, Opened), OpenError> {
        let dir = StateDir::new(folder);
        let disk = Arc::new(Folder::new(dir.pages(), dir.aside()));
        Store::open_on(folder, disk, fresh_secret, wanted, notice)
    }

    /// The same with page files on a disk of the caller's.
    pub fn open_on(
        folder: &Path,
        disk: Arc<dyn Disk>,
        fresh_secret: [u8; 16],
        wanted: impl Fn(&Name) -> bool,
        notice: impl Fn(Notice) + Send + 'static,
    ) -> Result<(Store, Opened), OpenError> {
        let mut dir = StateDir::new(folder);
        if let Err(Refusal::Locked) = dir.claim() {
            return Err(OpenError::Locked(folder.into()));
        }
        let mut whole = Vec::new();
        let (mut database, mut refused) = match dir.open(&mut whole) {
            Ok(database) => (Some(database), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let mut reading = None;
        if database.is_none() {
            reading = Database::open_read_only(&dir.database()).ok();
        }
        let mut damages = Vec::new();
        let (live, path) = (database.is_some(), dir.database());
        let beside = || if live { Database::open_beside(&path) } else { Database::open_read_only(&path) };
        let mut take = |db: &Database| {
            let (mut found, error) = Inventory::take(db, &beside, &*disk, &wanted);
            damages.append(&mut found.damages);
            (found, error)
        };
        let (mut found, mut failed) =
            database.as_ref().or(reading.as_ref()).map(&mut take).unwrap_or_default();
        if let Some(error) = failed.as_ref().filter(|error| database.is_some() && is_damage(error)) {
            drop(database.take());
            match dir.rescue(error, &mut whole) {
                Ok(fresh) => {
                    (found, failed) = take(&fresh);
                    database = Some(fresh);
                }
                Err(error) => refused = Some(error.to_string()),
            }
        }
        damages.extend(whole.into_iter().map(|what| Damage { zone: None, what }));
        let noted = database.as_ref().or(reading.as_ref()).and_then(|db| db.border_secret().ok().flatten());
        let retired = database.as_ref().and_then(|db| db.retired_before(u64::MAX).ok());
        let retired = retired.map(|keys| keys.iter().filter_map(|key| name_of(key)).collect());
        let secret = noted.clone().unwrap_or_else(|| {
            let some_zone = found.restored.first().map(|restored| restored.committed.zone().secret().clone());
            some_zone.unwrap_or_else(|| BorderSecret::new(fresh_secret))
        });
        if let Some(db) = database.as_ref().filter(|_| noted.is_none()) {
            // Without it the next start takes another one; images keep their own.
            let _ = db.set_border_secret(&secret);
        }
        let Inventory { restored, others, kept, .. } = found;
        let sound = database.is_some() && failed.is_none();
        if sound {
            remove_files(&*disk, &kept);
        }
        let numbers = Numbers::behind(&kept.held, database.as_ref(), &*disk);
        let ledger = Ledger::new(dir, secret.clone(), database, disk, numbers);
        let opened = Opened { secret, restored, others, retired, damages, refused };
        let writer = WriterHandle::spawn(ledger, sound.then_some(kept), Box::new(notice));
        Ok((Store { writer }, opened))
    }

    /// Writes a version with its confirmation, and keeps from now on up to `keep` versions of the zone before it; `done`
    /// is called exactly once, from the writer's thread. Many calls at once share one sync.
    pub fn commit(
        &self,
        checked: CheckedZone,
        confirmation: Confirmation,
        keep: u32,
        done: impl FnOnce(Committed) + Send + 'static,
    ) {
        let incoming = Incoming::new(checked, keep);
        self.writer.send(Op::Commit(Box::new(Commit::new(incoming, confirmation, Some(Box::new(done))))));
    }

    /// Writes that a primary vouched again for the version we have; `done` is called exactly once, from the writer's
    /// thread, and gets what the disk said when it refused.
    pub fn confirm(
        &self,
        apex: &Name,
        confirmation: Confirmation,
        done: impl FnOnce(Result<(), String>) + Send + 'static,
    ) {
        self.writer.send(Op::Confirm(Confirm::new(apex.clone(), confirmation, Some(Box::new(done)))));
    }

    /// Notes that zones are no longer configured; they stay on disk until a purge after `due` (Unix seconds). A zone
    /// that is retired already keeps its date.
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

    /// Reads one zone back, for a zone that is configured again; `done` is called exactly once, from the writer's
    /// thread.
    pub fn restore(&self, apex: &Name, done: impl FnOnce(Option<Restored>) + Send + 'static) {
        let done = |found: Result<Restored, String>| done(found.ok());
        self.writer.send(Op::Restore(Ask::new(apex.clone(), Box::new(done))));
    }

    /// Reads what leads back from the newest version of a zone on disk. `enough` is told the serials of the versions on the
    /// way, the newest first; where it says so, or at the oldest version, the history begins: it is held in memory.
    ///
    /// `done` is called exactly once, from the writer's thread; the error says, for operators, why the disk does not give
    /// it.
    pub fn history(
        &self,
        apex: &Name,
        enough: impl FnMut(Serial) -> bool + Send + 'static,
        done: impl FnOnce(Result<History, String>) + Send + 'static,
    ) {
        let ask = Ask::new(apex.clone(), Box::new(done));
        self.writer.send(Op::History(Past { ask, enough: Box::new(enough) }));
    }
}

/// Removes page files that no row refers to. What cannot be removed is found again at the next start.
fn remove_files(disk: &dyn Disk, kept: &Kept) {
    let known: BTreeSet<String> =
        kept.held.iter().filter_map(|held| held.place.file().map(page_file_name)).collect();
    for name in disk.list().unwrap_or_default() {
        if page_file_number(&name).is_some() && !known.contains(&name) {
            let _ = disk.remove(&name);
        }
    }
}
