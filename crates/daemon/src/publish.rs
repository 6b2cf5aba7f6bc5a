//! The last turnstile: what is served was committed, and what was served before is dropped away from the query path.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use secondo_answer::Slot;
use secondo_store::Committed;
use secondo_zone::Zone;

/// How often the reaper looks whether a version is still read.
const LOOK: Duration = Duration::from_millis(20);

/// Publishes versions and drops old ones.
#[derive(Clone, Debug)]
pub(crate) struct Publisher {
    old: Sender<Arc<Zone>>,
}

impl Publisher {
    /// Starts the reaper, which ends with the last publisher.
    pub(crate) fn start() -> std::io::Result<Publisher> {
        let (old, inbox) = channel();
        thread::Builder::new().name("reaper".into()).spawn(move || reap(&inbox))?;
        Ok(Publisher { old })
    }

    /// Serves a committed version from now on.
    pub(crate) fn publish(&self, slot: &Slot, committed: &Committed) {
        self.bury(slot.publish(committed.zone().clone()));
    }

    /// Serves nothing any more.
    pub(crate) fn withdraw(&self, slot: &Slot) {
        self.bury(slot.withdraw());
    }

    fn bury(&self, old: Option<Arc<Zone>>) {
        if let Some(old) = old {
            // Without a reaper the version is dropped here: slower, not wrong.
            let _ = self.old.send(old);
        }
    }
}

/// Drops each version once nobody else reads it: an answer that is being written must not pay for that.
fn reap(inbox: &Receiver<Arc<Zone>>) {
    let mut waiting: Vec<Arc<Zone>> = Vec::new();
    loop {
        let next = if waiting.is_empty() {
            inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            inbox.recv_timeout(LOOK)
        };
        match next {
            Ok(old) => waiting.push(old),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        waiting.retain(|old| Arc::strong_count(old) > 1);
    }
}
