//! What is asked of the writer. Whatever becomes of it, each asker is answered exactly once.

use std::panic::{AssertUnwindSafe, catch_unwind};

use secondo_transfer::CheckedZone;
use secondo_wire::{Name, Serial};
use secondo_zone::Zone;

use crate::bounds::{LARGEST_DIFFERENCE, is_large};
use crate::committed::{Committed, Durability};
use crate::confirmation::Confirmation;
use crate::facts::Stamp;
use crate::history::History;
use crate::reader::{Brought, Led};
use crate::restore::{Damage, Restored};
use crate::scribe::Filed;

/// What the store tells unasked, from the writer's thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A version that was volatile is durable now.
    Recovered(Recovered),
    /// Damage came to light while running.
    Damaged(Damage),
}

/// A version that was volatile and is durable now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The zone.
    pub apex: Name,
    /// The version.
    pub serial: Serial,
}

/// What stands in for a reason when the writer ended before it could do what was asked.
const ENDED: &str = "the store has ended";

/// Calls `done`; a panic in it is the asker's, not the store's.
fn call<T>(done: Option<Done<T>>, answer: T) {
    if let Some(done) = done {
        // The panic hook has told of it.
        let _ = catch_unwind(AssertUnwindSafe(|| done(answer)));
    }
}

pub(crate) type Done<T> = Box<dyn FnOnce(T) + Send>;

pub(crate) enum Op {
    Commit(Box<Commit>),
    Confirm(Confirm),
    Retire(Vec<Name>, Option<u64>),
    Purge(u64),
    Restore(Ask<Restored>),
    History(Past),
    /// From the reader: a history as it was found.
    Led(Led),
    /// From the reader: a zone as it was found.
    Brought(Brought),
    /// From the scribe: a page file is written, or is not.
    Filed(Filed),
    /// The last word of the store.
    End,
}

impl Op {
    /// The zone, of what waits its turn while the zone's page file is written.
    pub(crate) fn apex(&self) -> Option<&Name> {
        match self {
            Op::Commit(commit) => Some(commit.apex()),
            Op::Confirm(confirm) => Some(&confirm.apex),
            Op::Restore(ask) => Some(&ask.apex),
            Op::History(past) => Some(&past.ask.apex),
            Op::Retire(..) | Op::Purge(_) | Op::Led(_) | Op::Brought(_) | Op::Filed(_) | Op::End => None,
        }
    }

    /// Whether it changes nothing.
    pub(crate) fn is_reading(&self) -> bool {
        match self {
            Op::Restore(_) | Op::History(_) | Op::Brought(_) => true,
            Op::Led(led) => led.cut.is_none(),
            Op::Commit(_) | Op::Confirm(_) | Op::Retire(..) | Op::Purge(_) | Op::Filed(_) | Op::End => false,
        }
    }
}

/// A version on its way to the disk.
pub(crate) struct Incoming {
    pub(crate) checked: CheckedZone,
    /// Where its difference leads on from, and the difference, encoded: for the journal.
    pub(crate) step: Option<(Serial, Vec<u8>)>,
    /// How many versions before it are wanted.
    pub(crate) keep: u32,
}

impl Incoming {
    /// The difference is encoded here, by the asker: the writer has others to serve.
    pub(crate) fn new(checked: CheckedZone, keep: u32) -> Incoming {
        let wanted = |zone: &Zone| keep > 0 || is_large(zone);
        let difference = checked.difference().filter(|difference| {
            wanted(checked.zone())
                && difference.to == checked.zone().serial()
                && difference.wire_bytes() as u64 <= LARGEST_DIFFERENCE
        });
        let step = difference.map(|difference| (difference.from, difference.to_bytes()));
        Incoming { checked, step, keep }
    }

    pub(crate) fn zone(&self) -> &Zone {
        self.checked.zone()
    }

    /// Forgets what leads to it: that begins at a version that the disk did not get.
    pub(crate) fn detach(&mut self) {
        self.step = None;
    }
}

/// Why a commit has its version.
const GIVEN: &str = "it is given away only by finish, which takes self";

/// A version with its confirmation.
pub(crate) struct Commit {
    /// `None` only once it was given away.
    incoming: Option<Incoming>,
    pub(crate) confirmation: Confirmation,
    /// Its page file, once written.
    pub(crate) file: Option<(u64, Stamp)>,
    /// It is to have an image of its own: what is behind the old one is damaged.
    pub(crate) renew: bool,
    /// `None`: another try of what was answered before.
    done: Option<Done<Committed>>,
}

impl Commit {
    pub(crate) fn new(
        incoming: Incoming,
        confirmation: Confirmation,
        done: Option<Done<Committed>>,
    ) -> Commit {
        Commit { incoming: Some(incoming), confirmation, file: None, renew: false, done }
    }

    /// Whether it was volatile before.
    pub(crate) fn is_retry(&self) -> bool {
        self.done.is_none()
    }

    pub(crate) fn incoming(&self) -> &Incoming {
        self.incoming.as_ref().expect(GIVEN)
    }

    pub(crate) fn incoming_mut(&mut self) -> &mut Incoming {
        self.incoming.as_mut().expect(GIVEN)
    }

    pub(crate) fn zone(&self) -> &Zone {
        self.incoming().zone()
    }

    pub(crate) fn apex(&self) -> &Name {
        self.zone().apex()
    }

    /// Answers, and gives the version back.
    pub(crate) fn finish(mut self, durability: Durability) -> Incoming {
        let incoming = self.incoming.take().expect(GIVEN);
        call(self.done.take(), Committed::from_checked(&incoming.checked, durability));
        incoming
    }
}

impl Drop for Commit {
    fn drop(&mut self) {
        if let Some(incoming) = &self.incoming {
            let durability = Durability::Volatile(ENDED.into());
            call(self.done.take(), Committed::from_checked(&incoming.checked, durability));
        }
    }
}

/// A confirmation alone.
pub(crate) struct Confirm {
    pub(crate) apex: Name,
    pub(crate) confirmation: Confirmation,
    /// `None`: another try of what was answered before.
    done: Option<Done<Result<(), String>>>,
}

impl Confirm {
    pub(crate) fn new(
        apex: Name,
        confirmation: Confirmation,
        done: Option<Done<Result<(), String>>>,
    ) -> Confirm {
        Confirm { apex, confirmation, done }
    }

    /// Whether it was refused before.
    pub(crate) fn is_retry(&self) -> bool {
        self.done.is_none()
    }

    /// Answers.
    pub(crate) fn finish(mut self, result: Result<(), String>) {
        call(self.done.take(), result);
    }
}

impl Drop for Confirm {
    fn drop(&mut self) {
        call(self.done.take(), Err(ENDED.into()));
    }
}

/// Earlier versions that are wanted.
pub(crate) struct Past {
    pub(crate) ask: Ask<History>,
    /// Told each version, the newest first; `true` for the last that is wanted.
    pub(crate) enough: Box<dyn FnMut(Serial) -> bool + Send>,
}

/// Something of a zone that is wanted.
pub(crate) struct Ask<T> {
    pub(crate) apex: Name,
    done: Option<Done<Result<T, String>>>,
}

impl<T> Ask<T> {
    pub(crate) fn new(apex: Name, done: Done<Result<T, String>>) -> Ask<T> {
        Ask { apex, done: Some(done) }
    }

    /// Answers; the error says why there is none.
    pub(crate) fn finish(mut self, found: Result<T, String>) {
        call(self.done.take(), found);
    }
}

impl<T> Drop for Ask<T> {
    fn drop(&mut self) {
        call(self.done.take(), Err(ENDED.into()));
    }
}
