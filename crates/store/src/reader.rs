//! The reader: a thread that reads histories beside the writer, over a connection of its own, so that a long one keeps
//! nobody waiting.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use crate::database::Database;
use crate::history::{Cut, History, lead_back};
use crate::op::{Ask, Op};

/// A history that is wanted.
struct Job {
    ask: Ask<History>,
    /// Whether the writer has the database open; else nothing may be written beside it either.
    live: bool,
}

/// A history as it was found.
pub(crate) struct Led {
    pub(crate) ask: Ask<History>,
    pub(crate) history: Option<History>,
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

    pub(crate) fn read(&self, ask: Ask<History>, live: bool) {
        if let Some(jobs) = &self.jobs {
            // The thread ends only when this end is dropped.
            let _ = jobs.send(Job { ask, live });
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
    for Job { ask, live } in inbox {
        let read = || {
            let db = if live { Database::open_beside(path)? } else { Database::open_read_only(path)? };
            lead_back(&db, &ask.apex, || ending.load(Ordering::Relaxed))
        };
        // What cannot be read at all is told by the writer, who reads the same file.
        let (history, cut) = read().ok().flatten().unzip();
        let _ = ops.send(Op::Led(Led { ask, history, cut: cut.flatten() }));
    }
}
