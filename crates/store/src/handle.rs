//! The store's end of what it has in common with its writer.

use std::fmt;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use crate::inventory::Kept;
use crate::ledger::Ledger;
use crate::op::{Notice, Op};
use crate::writer::Writer;

/// The end of the channel that the store keeps.
pub(crate) struct WriterHandle {
    ops: Sender<Op>,
    thread: Option<JoinHandle<()>>,
}

impl WriterHandle {
    /// Starts it. Its first work is to remove from the database what is not in `kept`, when that is known: it takes a look at every
    /// row, for which no start waits.
    pub(crate) fn spawn(
        ledger: Ledger,
        kept: Option<Kept>,
        notice: Box<dyn Fn(Notice) + Send>,
    ) -> WriterHandle {
        let (ops, inbox) = channel();
        let writer = Writer::new(ledger, notice, &ops);
        let work = move || {
            if let Some(kept) = kept {
                writer.sweep(&kept);
            }
            writer.run(&inbox);
        };
        let thread = thread::Builder::new().name("store".into()).spawn(work);
        WriterHandle { ops, thread: Some(thread.expect("a process that starts can start a thread")) }
    }

    pub(crate) fn send(&self, op: Op) {
        // Were the thread gone, dropping the operation would answer it.
        let _ = self.ops.send(op);
    }
}

impl Drop for WriterHandle {
    fn drop(&mut self) {
        self.send(Op::End);
        // The last holder may be an answer called on the thread itself.
        if let Some(thread) =
            self.thread.take().filter(|thread| thread.thread().id() != thread::current().id())
        {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for WriterHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WriterHandle")
    }
}
