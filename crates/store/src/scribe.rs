//! The scribe: a thread that writes page files beside the writer, so that a large zone keeps no other one waiting.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use secondo_zone::Zone;

use crate::disk::Disk;
use crate::facts::{Facts, Stamp, page_file_name};
use crate::image;
use crate::op::{Commit, Op};

/// What a page file is for.
pub(crate) enum Purpose {
    /// A version that cannot be durable before.
    Commit(Box<Commit>),
    /// A new image for a zone whose journal has outgrown the old one. Can be given up at any time.
    Rebase(Rebase),
}

/// What a new image is for.
pub(crate) struct Rebase {
    /// The version that it has.
    pub(crate) zone: Zone,
    /// The zone's row when that was the newest version.
    pub(crate) facts: Facts,
}

impl Purpose {
    fn zone(&self) -> &Zone {
        match self {
            Purpose::Commit(commit) => commit.zone(),
            Purpose::Rebase(rebase) => &rebase.zone,
        }
    }
}

/// A page file to write.
pub(crate) struct Job {
    pub(crate) number: u64,
    pub(crate) purpose: Purpose,
}

/// How that went.
pub(crate) struct Filed {
    pub(crate) job: Job,
    pub(crate) result: Result<Stamp, String>,
}

/// The writer's end.
pub(crate) struct Scribe {
    /// `None` only while dropping.
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    ending: Arc<AtomicBool>,
}

impl Scribe {
    /// Starts the thread, which sends [`Op::Filed`] for each job.
    pub(crate) fn spawn(disk: Arc<dyn Disk>, ops: Sender<Op>) -> Scribe {
        let (jobs, inbox) = channel();
        let ending = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ending);
        let thread =
            thread::Builder::new().name("store-pages".into()).spawn(move || run(&inbox, &*disk, &ops, &told));
        let thread = Some(thread.expect("a process that starts can start a thread"));
        Scribe { jobs: Some(jobs), thread, ending }
    }

    pub(crate) fn write(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // The thread ends only when this end is dropped.
            let _ = jobs.send(job);
        }
    }

    /// From now on work that can be given up is.
    pub(crate) fn hurry(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }
}

impl Drop for Scribe {
    fn drop(&mut self) {
        self.hurry();
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(inbox: &Receiver<Job>, disk: &dyn Disk, ops: &Sender<Op>, ending: &AtomicBool) {
    for job in inbox {
        let name = page_file_name(job.number);
        let written = catch_unwind(AssertUnwindSafe(|| {
            let mut stamp = Err(io::Error::other("the disk did not ask for the octets"));
            disk.create(&name, &mut |out| {
                let given_up = matches!(job.purpose, Purpose::Rebase(..)).then_some(ending);
                let written = image::encode(job.purpose.zone(), &mut Leave { out, given_up })?;
                stamp = Ok(written);
                Ok(())
            })?;
            stamp
        }));
        let result = match written {
            Ok(result) => result.map_err(|error| format!("zones/{name}: {error}")),
            Err(_) => Err(format!("zones/{name}: the writing of it died")),
        };
        // The writer waits for what it is promised; without it there is nobody to tell.
        let _ = ops.send(Op::Filed(Filed { job, result }));
    }
}

/// Writes until it is given up.
struct Leave<'a> {
    out: &'a mut dyn Write,
    given_up: Option<&'a AtomicBool>,
}

impl Write for Leave<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.given_up.is_some_and(|given_up| given_up.load(Ordering::Relaxed)) {
            return Err(io::Error::other("given up: the store ends"));
        }
        self.out.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
