//! The reader: a thread that reads histories and zones beside the writer, over a connection of its own, so that a large
//! one keeps nobody waiting. It changes nothing: what it finds wrong is looked at again by the writer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};

use secondo_wire::Name;

use crate::database::Database;
use crate::disk::Disk;
use crate::facts::key;
use crate::history::{Cut, History, lead_back};
use crate::ledger::Ledger;
use crate::op::{Ask, Op, Past};
use crate::restore::{Restored, restore_zone};

/// Something that is wanted.
enum Job {
    History(Past),
    Restore(Ask<Restored>),
}

/// A history as it was found.
pub(crate) struct Led {
    pub(crate) ask: Ask<History>,
    pub(crate) history: Result<History, String>,
    /// Where it ends before its beginning.
    pub(crate) cut: Option<Cut>,
}

/// A zone as it was found.
pub(crate) struct Brought {
    pub(crate) ask: Ask<Restored>,
    /// `None`: it was not found, or found wrong. The error: nobody should try again.
    pub(crate) found: Result<Option<Restored>, String>,
}

/// The writer's end.
pub(crate) struct Reader {
    /// `None` only while dropping.
    jobs: Option<Sender<(Job, bool)>>,
    thread: Option<JoinHandle<()>>,
    ending: Arc<AtomicBool>,
}

impl Reader {
    /// Starts the thread, which sends [`Op::Led`] for each history and [`Op::Brought`] for each zone.
    pub(crate) fn spawn(ledger: &Ledger, ops: Sender<Op>) -> Reader {
        let (path, disk, still) = (ledger.path(), Arc::clone(&ledger.disk), Arc::clone(&ledger.reading));
        let (jobs, inbox) = channel();
        let ending = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ending);
        let thread = thread::Builder::new().name("store-reads".into()).spawn(move || {
            for (job, live) in inbox {
                let _reading = still.lock().unwrap_or_else(PoisonError::into_inner);
                // The writer may be gone; then dropping the operation answers it.
                let _ = ops.send(read(job, live, &path, &*disk, &told));
            }
        });
        let thread = Some(thread.expect("a process that starts can start a thread"));
        Reader { jobs: Some(jobs), thread, ending }
    }

    /// `live`: the writer has the database open; else nothing may be written beside it either.
    pub(crate) fn lead_back(&self, past: Past, live: bool) {
        self.send(Job::History(past), live);
    }

    pub(crate) fn restore(&self, ask: Ask<Restored>, live: bool) {
        self.send(Job::Restore(ask), live);
    }

    fn send(&self, job: Job, live: bool) {
        if let Some(jobs) = &self.jobs {
            // The thread ends only when this end is dropped.
            let _ = jobs.send((job, live));
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What is said when something that should not panic did.
const DIED: &str = "the reading of it died";

fn read(job: Job, live: bool, path: &Path, disk: &dyn Disk, ending: &AtomicBool) -> Op {
    let open = || if live { Database::open_beside(path) } else { Database::open_read_only(path) };
    match job {
        Job::History(Past { ask, mut enough }) => {
            let read = || lead_back(&open()?, &ask.apex, &mut enough, || ending.load(Ordering::Relaxed));
            // `enough` is the asker's, and so is a panic in it.
            let (history, cut) = match catch_unwind(AssertUnwindSafe(read)) {
                Ok(Ok((history, cut))) => (Ok(history), cut),
                Ok(Err(error)) => (Err(error.to_string()), None),
                Err(_) => (Err(DIED.into()), None),
            };
            Op::Led(Led { ask, history, cut })
        }
        Job::Restore(ask) => {
            let read = || open().map(|db| restore(&db, disk, &ask.apex)).ok().flatten();
            let found = catch_unwind(AssertUnwindSafe(read)).map_err(|_| DIED.into());
            Op::Brought(Brought { ask, found })
        }
    }
}

fn restore(db: &Database, disk: &dyn Disk, apex: &Name) -> Option<Restored> {
    // One state of the database, whatever is written meanwhile.
    db.begin_reading().ok()?;
    let key = key(apex);
    let facts = db.facts(&key).ok()?.whole()?;
    Some(restore_zone(db, disk, &key, &facts).ok()?.0)
}
