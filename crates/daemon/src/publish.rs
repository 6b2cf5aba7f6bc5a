//! The last turnstile: what is served was committed, and what was served before is dropped away from the query path.

use std::any::Any;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use secondo_answer::Slot;
use secondo_store::Committed;

/// How often the reaper looks whether a version is still read.
const LOOK: Duration = Duration::from_millis(20);
/// No answer takes so long: who still reads a version then has it for something else, and may be the one to drop it.
const ANSWER: Duration = Duration::from_secs(1);

/// Publishes versions and drops old ones.
#[derive(Clone, Debug)]
pub(crate) struct Publisher {
    old: Sender<Old>,
}

/// Something that query threads may still read.
type Old = Arc<dyn Any + Send + Sync>;

impl Publisher {
    /// Starts the reaper, which ends with the last publisher.
    pub(crate) fn start() -> std::io::Result<Publisher> {
        let (old, inbox) = channel();
        thread::Builder::new().name("reaper".into()).spawn(move || reap(&inbox))?;
        Ok(Publisher { old })
    }

    /// Serves a committed version from now on.
    pub(crate) fn publish(&self, slot: &Slot, committed: &Committed) {
        if let Some(old) = slot.publish(committed.zone().clone()) {
            self.bury(old.into_shared());
        }
    }

    /// Drops what was replaced, once no query thread reads it any more.
    pub(crate) fn bury(&self, old: Arc<impl Any + Send + Sync>) {
        // Without a reaper it is dropped here: slower, not wrong.
        let _ = self.old.send(old);
    }
}

/// Drops each once nobody else reads it: an answer that is being written must not pay for that.
fn reap(inbox: &Receiver<Old>) {
    let mut waiting: Vec<(Old, Instant)> = Vec::new();
    loop {
        let next = if waiting.is_empty() {
            inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            inbox.recv_timeout(LOOK)
        };
        match next {
            Ok(old) => waiting.push((old, Instant::now())),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        waiting.retain(|(old, since)| Arc::strong_count(old) > 1 && since.elapsed() < ANSWER);
    }
}
