//! The reader: a thread that reads histories beside the writer, over a connection of its own, so that a long one keeps
//! nobody waiting.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use crate::database::Database;
use crate::history::{Cut, History, NoHistory, lead_back};
use crate::op::{Ask, Op, Past};

/// A history that is wanted.
struct Job {
    past: Past,
    /// Whether the writer has the database open; else nothing may be written beside it either.
    live: bool,
}

/// A history as it was found.
pub(crate) struct Led {
    pub(crate) ask: Ask<History>,
    pub(crate) history: Result<History, String>,
    /// Where it ends before its beginning.
    pub(crate) cut: Option<Cut>,
}

/// The writer's end.
pub(crate) struct Reader {
    /// `None` only while dropping.
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    ending: Arc<AtomicBool>,
}

impl Reader {
    /// Starts the thread, which sends [`Op::Led`] for each history.
    pub(crate) fn spawn(path: PathBuf, ops: Sender<Op>) -> Reader {
        let (jobs, inbox) = channel();
        let ending = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ending);
        let thread =
            thread::Builder::new().name("store-reads".into()).spawn(move || run(&inbox, &path, &ops, &told));
        let thread = Some(thread.expect("a process that starts can start a thread"));
        Reader { jobs: Some(jobs), thread, ending }
    }

    pub(crate) fn read(&self, past: Past, live: bool) {
        if let Some(jobs) = &self.jobs {
            // The thread ends only when this end is dropped.
            let _ = jobs.send(Job { past, live });
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

fn run(inbox: &Receiver<Job>, path: &std::path::Path, ops: &Sender<Op>, ending: &AtomicBool) {
    for Job { past: Past { ask, mut enough }, live } in inbox {
        let mut read = || -> Result<(History, Option<Cut>), NoHistory> {
            let db = if live { Database::open_beside(path)? } else { Database::open_read_only(path)? };
            lead_back(&db, &ask.apex, &mut enough, || ending.load(Ordering::Relaxed))
        };
        // `enough` is the asker's, and so is a panic in it.
        let read = catch_unwind(AssertUnwindSafe(&mut read));
        let (history, cut) = match read {
            Ok(Ok((history, cut))) => (Ok(history), cut),
            Ok(Err(error)) => (Err(error.to_string()), None),
            Err(_) => (Err("the reading of it died".into()), None),
        };
        let _ = ops.send(Op::Led(Led { ask, history, cut }));
    }
}
