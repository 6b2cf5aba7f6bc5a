//! The one writer: a thread that takes what many zones ask for and gives each batch one transaction and one sync.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use secondo_transfer::CheckedZone;
use secondo_wire::{Name, Serial};
use secondo_zone::{BorderSecret, Difference, Zone};

use crate::committed::{Committed, Durability};
use crate::confirmation::Confirmation;
use crate::database::{self, Database, Facts};
use crate::disk::Disk;
use crate::image;
use crate::store::{Restored, restore_zone};

/// Zones up to this many octets of pages live in their row; larger ones have a file and a journal.
const ROW_LIMIT: u64 = 64 * 1024;
/// The journal may grow to this part of its base (1/n) before the base is written anew...
const JOURNAL_SHARE: u64 = 2;
/// ...or to this many steps, so that a restart stays quick.
const JOURNAL_STEPS: u32 = 4096;
/// Most operations that share a transaction.
const BATCH: usize = 4096;
/// Delays between tries while the disk refuses.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

type Done<T> = Box<dyn FnOnce(T) + Send>;

/// What is asked of the writer.
pub(crate) enum Op {
    Commit(CheckedZone, Confirmation, Done<Committed>),
    Confirm(Name, Confirmation, Done<Result<(), String>>),
    Retire(Vec<Name>, Option<u64>),
    Purge(u64),
    Restore(Name, Done<Option<Restored>>),
}

/// A version, or a confirmation alone, that the disk refused and that is tried again.
pub(crate) struct Pending {
    /// The version; `None` when the disk has it and only the confirmation is missing.
    pub(crate) zone: Option<Zone>,
    pub(crate) confirmation: Confirmation,
}

/// A version that was volatile and is durable now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The zone.
    pub apex: Name,
    /// The version.
    pub serial: Serial,
}

/// The end of the channel that the store keeps.
pub(crate) struct WriterHandle {
    /// `None` only while dropping.
    ops: Option<Sender<Op>>,
    thread: Option<JoinHandle<()>>,
}

impl WriterHandle {
    pub(crate) fn spawn(writer: Writer) -> WriterHandle {
        let (ops, inbox) = channel();
        let thread = thread::Builder::new().name("store".into()).spawn(move || writer.run(&inbox));
        WriterHandle { ops: Some(ops), thread: Some(thread.expect("a process that starts can start a thread")) }
    }

    pub(crate) fn send(&self, op: Op) {
        if let Some(ops) = &self.ops {
            // The thread ends only when this end is dropped; were it gone, the caller's `done` would be dropped too.
            let _ = ops.send(op);
        }
    }
}

impl Drop for WriterHandle {
    fn drop(&mut self) {
        self.ops = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for WriterHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WriterHandle")
    }
}

/// The thread's state.
pub(crate) struct Writer {
    path: PathBuf,
    secret: BorderSecret,
    /// `None` while the disk refuses to have it opened.
    database: Option<Database>,
    disk: Box<dyn Disk>,
    next_file: u64,
    pending: BTreeMap<Name, Pending>,
    retry_in: Duration,
    recovered: Box<dyn Fn(Recovered) + Send>,
}

/// Page files touched by a batch: which to remove when it is committed, which when it is not.
#[derive(Default)]
struct Files {
    replaced: Vec<u64>,
    created: Vec<u64>,
}

impl Writer {
    pub(crate) fn new(
        path: PathBuf,
        secret: BorderSecret,
        database: Option<Database>,
        disk: Box<dyn Disk>,
        next_file: u64,
        recovered: Box<dyn Fn(Recovered) + Send>,
    ) -> Writer {
        Writer { path, secret, database, disk, next_file, pending: BTreeMap::new(), retry_in: RETRY.0, recovered }
    }

    /// Notes what the disk refused; a newer version or confirmation of the zone takes its place.
    pub(crate) fn retry_later(&mut self, pending: Pending) {
        let Some(zone) = &pending.zone else { return };
        self.pending.insert(zone.apex().clone(), pending);
    }

    fn run(mut self, inbox: &Receiver<Op>) {
        loop {
            let first = if self.pending.is_empty() {
                inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                inbox.recv_timeout(self.retry_in)
            };
            match first {
                Ok(first) => {
                    let batch = std::iter::once(first).chain(inbox.try_iter()).take(BATCH).collect();
                    self.write(batch);
                }
                Err(RecvTimeoutError::Timeout) => self.retry(),
                Err(RecvTimeoutError::Disconnected) => {
                    if !self.pending.is_empty() {
                        self.retry();
                    }
                    return;
                }
            }
        }
    }

    /// One transaction for all of `batch`; each is told how it went.
    fn write(&mut self, batch: Vec<Op>) {
        let written = self.transaction(|writer, db, files| {
            for op in &batch {
                writer.put(db, op, files)?;
            }
            Ok(())
        });
        for op in batch {
            match op {
                Op::Commit(checked, confirmation, done) => {
                    let zone = checked.zone();
                    let durability = match &written {
                        Ok(()) => {
                            self.pending.remove(zone.apex());
                            Durability::Durable
                        }
                        Err(refused) => {
                            self.retry_later(Pending { zone: Some(zone.clone()), confirmation });
                            Durability::Volatile(refused.clone())
                        }
                    };
                    done(Committed::from_checked(&checked, durability));
                }
                Op::Confirm(apex, confirmation, done) => {
                    match self.pending.get_mut(&apex) {
                        Some(pending) if pending.zone.is_some() || written.is_err() => {
                            pending.confirmation = confirmation;
                        }
                        _ if written.is_err() => {
                            self.pending.insert(apex, Pending { zone: None, confirmation });
                        }
                        _ => drop(self.pending.remove(&apex)),
                    }
                    done(written.clone());
                }
                Op::Restore(apex, done) => done(self.restore(&apex)),
                Op::Retire(..) | Op::Purge(_) => {}
            }
        }
        if written.is_ok() && !self.pending.is_empty() {
            self.retry();
        }
    }

    /// Tries all that the disk refused before.
    fn retry(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let written = self.transaction(|writer, db, files| {
            for (apex, Pending { zone, confirmation }) in &pending {
                if let Some(zone) = zone {
                    writer.put_version(db, zone, None, files)?;
                }
                db.set_confirmation(apex, *confirmation)?;
            }
            Ok(())
        });
        if written.is_err() {
            self.pending = pending;
            self.retry_in = (self.retry_in * 2).min(RETRY.1);
            return;
        }
        self.retry_in = RETRY.0;
        for (apex, Pending { zone, .. }) in pending {
            if let Some(zone) = zone {
                (self.recovered)(Recovered { apex, serial: zone.serial() });
            }
        }
    }

    /// Runs `work` between BEGIN and COMMIT; the error is what the disk said, for the log.
    fn transaction(
        &mut self,
        work: impl FnOnce(&mut Writer, &Database, &mut Files) -> Result<(), WriteError>,
    ) -> Result<(), String> {
        let db = match self.database.take() {
            Some(db) => db,
            None => self.reopen().map_err(|error| error.to_string())?,
        };
        let mut files = Files::default();
        let result = db
            .begin()
            .map_err(WriteError::from)
            .and_then(|()| work(self, &db, &mut files))
            .and_then(|()| db.commit().map_err(WriteError::from));
        let obsolete = match &result {
            Ok(()) => files.replaced,
            Err(_) => {
                db.rollback();
                files.created
            }
        };
        self.database = Some(db);
        for number in obsolete {
            // A file that stays is removed at the next start.
            let _ = self.disk.remove(&page_file_name(number));
        }
        result.map_err(|error| error.to_string())
    }

    fn reopen(&self) -> rusqlite::Result<Database> {
        if let Some(folder) = self.path.parent() {
            // If that fails, so does opening, with the better message.
            let _ = std::fs::create_dir_all(folder);
        }
        let db = Database::open(&self.path)?;
        if db.border_secret()?.is_none() {
            db.set_border_secret(&self.secret)?;
        }
        Ok(db)
    }

    fn put(&mut self, db: &Database, op: &Op, files: &mut Files) -> Result<(), WriteError> {
        match op {
            Op::Commit(checked, confirmation, _) => {
                self.put_version(db, checked.zone(), checked.difference(), files)?;
                db.set_confirmation(checked.zone().apex(), *confirmation)?;
            }
            Op::Confirm(apex, confirmation, _) => {
                // With a version that is not on disk yet, its confirmation waits beside it.
                if self.pending.get(apex).is_none_or(|pending| pending.zone.is_none()) {
                    db.set_confirmation(apex, *confirmation)?;
                }
            }
            Op::Retire(apexes, wall) => {
                for apex in apexes {
                    db.set_retired(apex, *wall)?;
                }
            }
            Op::Purge(wall) => {
                for (key, file) in db.retired_before(*wall)? {
                    db.remove(&key)?;
                    files.replaced.extend(file);
                }
            }
            Op::Restore(..) => {}
        }
        Ok(())
    }

    /// A small zone goes into its row; of a large one the difference into the journal, or all into a new file.
    fn put_version(
        &mut self,
        db: &Database,
        zone: &Zone,
        difference: Option<&Difference>,
        files: &mut Files,
    ) -> Result<(), WriteError> {
        let apex = zone.apex();
        let stored = db.facts(apex)?;
        let size: u64 = zone.pages().map(|(_, page)| page.len() as u64).sum();
        if size > ROW_LIMIT {
            if let (Some(difference), Some(facts)) = (difference, &stored)
                && facts.file.is_some()
                && facts.last == difference.from
            {
                let octets = difference.to_bytes();
                let (used, steps) = db.journal_size(apex)?;
                if used + octets.len() as u64 <= facts.size / JOURNAL_SHARE && steps < JOURNAL_STEPS {
                    let facts = Facts { last: zone.serial(), ..facts.clone() };
                    db.append(apex, &facts, steps, &octets)?;
                    return Ok(());
                }
            }
            let number = self.next_file;
            self.next_file += 1;
            let size = self.disk.create(&page_file_name(number), &mut |mut out| image::encode(zone, &mut out))?;
            files.created.push(number);
            let facts = Facts { base: zone.serial(), last: zone.serial(), size, file: Some(number) };
            db.set_base(apex, &facts, None)?;
        } else {
            let mut octets = Vec::with_capacity(size as usize + 64);
            image::encode(zone, &mut octets)?;
            let facts =
                Facts { base: zone.serial(), last: zone.serial(), size: octets.len() as u64, file: None };
            db.set_base(apex, &facts, Some(&octets))?;
        }
        files.replaced.extend(stored.and_then(|facts| facts.file));
        Ok(())
    }

    fn restore(&mut self, apex: &Name) -> Option<Restored> {
        let db = self.database.as_ref()?;
        let row = db.zone_row(&database::key(apex)).ok()??;
        restore_zone(db, self.disk.as_mut(), &self.secret, row).ok()
    }
}

#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    #[error(transparent)]
    File(#[from] std::io::Error),
}

/// The name of page file `number`.
pub(crate) fn page_file_name(number: u64) -> String {
    format!("{number:016x}.pages")
}
