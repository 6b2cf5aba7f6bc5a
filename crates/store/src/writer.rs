//! The one writer: a thread that takes what many zones ask for and gives each batch one transaction and one sync.
//!
//! ```text
//! asked ─► batch ─► transaction ─► answered: durable
//!            ▲           │  └─ large zone: parked while the scribe writes its page file; what is asked
//!            └───────────┼──── of the zone meanwhile waits behind it, and both come back here
//!                        └─ refused: answered as volatile, pending, asked again by the writer itself
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use secondo_wire::Name;

use crate::backlog::Backlog;
use crate::batch::collect;
use crate::bounds::is_large;
use crate::committed::Durability;
use crate::inventory::Kept;
use crate::ledger::Ledger;
use crate::op::{Ask, Commit, Confirm, Notice, Op, Recovered};
use crate::reader::{Brought, Led, Reader};
use crate::renewals::Renewals;
use crate::restore::{Damage, Restored};
use crate::scribe::{Filed, Job, Purpose, Rebase, Scribe};
use crate::transaction::{Fate, Mark};

/// How long after something was written the database is put in order.
const CHORES: Duration = Duration::from_secs(1);

/// The thread's state. The threads beside it end before the ledger gives up the state directory: they stand first.
pub(crate) struct Writer {
    scribe: Scribe,
    reader: Reader,
    ledger: Ledger,
    notice: Box<dyn Fn(Notice) + Send>,
    /// What the disk refused.
    backlog: Backlog,
    /// Zones whose retirement, or the end of it, the disk does not know yet.
    marks: BTreeMap<Name, Mark>,
    /// Zones whose page file is being written, with what is asked of them meanwhile.
    parked: BTreeMap<Name, VecDeque<Op>>,
    /// Images that are to be written anew.
    renewals: Renewals,
    /// Zones that the reader has not brought yet.
    restoring: usize,
    /// The last transaction failed.
    refusing: bool,
    /// When the database is to be put in order.
    chores: Option<Instant>,
}

impl Writer {
    /// Starts the threads beside it; they send what they have done to `ops`.
    pub(crate) fn new(ledger: Ledger, notice: Box<dyn Fn(Notice) + Send>, ops: &Sender<Op>) -> Writer {
        let scribe = Scribe::spawn(Arc::clone(&ledger.disk), ops.clone());
        let reader = Reader::spawn(&ledger, ops.clone());
        Writer {
            ledger,
            notice,
            scribe,
            reader,
            backlog: Backlog::new(),
            marks: BTreeMap::new(),
            parked: BTreeMap::new(),
            renewals: Renewals::default(),
            restoring: 0,
            refusing: false,
            chores: Some(Instant::now() + CHORES),
        }
    }

    /// Removes from the database what is not in use. To be called before anything is written.
    pub(crate) fn sweep(&self, kept: &Kept) {
        self.ledger.sweep(kept);
    }

    /// Works until the end is asked for.
    pub(crate) fn run(mut self, inbox: &Receiver<Op>) {
        let mut ending = false;
        while !ending || !self.parked.is_empty() || self.restoring > 0 {
            let first = match self.due().filter(|_| !ending) {
                Some(due) => inbox.recv_timeout(due.saturating_duration_since(Instant::now())),
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match first {
                Ok(first) => {
                    let (batch, last) = collect(first, inbox);
                    self.handle(batch);
                    if last {
                        ending = true;
                        self.scribe.hurry();
                        self.retry();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if !ending {
                self.wake();
            }
            // What the disk takes at the end is followed by the next that it refused.
            while ending && self.parked.is_empty() && self.is_retry_due() {
                self.retry();
            }
        }
    }

    /// When there is something to do though nothing is asked.
    fn due(&self) -> Option<Instant> {
        self.retry_due().into_iter().chain(self.chores).min()
    }

    /// When the disk is asked again for what it refused.
    fn retry_due(&self) -> Option<Instant> {
        (!self.backlog.is_empty() || !self.marks.is_empty()).then(|| self.backlog.due())
    }

    /// Whether that is now.
    fn is_retry_due(&self) -> bool {
        self.retry_due().is_some_and(|due| due <= Instant::now())
    }

    /// Does what is due.
    fn wake(&mut self) {
        let now = Instant::now();
        if self.is_retry_due() {
            self.retry();
        }
        if self.chores.is_some_and(|due| due <= now) {
            self.chores = self.ledger.chore().map(|pause| Instant::now() + pause);
        }
    }

    /// Takes what is asked in its order: of one zone, one thing after the other.
    fn handle(&mut self, batch: Vec<Op>) {
        let mut todo = VecDeque::from(batch);
        // Once in any case: retirements may wait.
        loop {
            let mut ready = Vec::with_capacity(todo.len());
            for op in std::mem::take(&mut todo) {
                match op {
                    Op::Retire(apexes, due) => {
                        apexes.into_iter().for_each(|apex| self.marks.entry(apex).or_default().next(due));
                    }
                    Op::Filed(Filed {
                        job: Job { number, purpose: Purpose::Commit(mut commit) },
                        result,
                    }) => match result {
                        Ok(stamp) => {
                            commit.file = Some((number, stamp));
                            ready.push(Op::Commit(commit));
                        }
                        Err(why) => {
                            let apex = commit.apex().clone();
                            self.refuse(Op::Commit(commit), &why);
                            todo.extend(self.parked.remove(&apex).into_iter().flatten());
                        }
                    },
                    Op::Commit(commit) if self.is_refused_already(&commit) => {
                        let why = self.backlog.of(commit.apex()).map(|pending| pending.why.clone());
                        self.refuse(Op::Commit(commit), &why.unwrap_or_default());
                    }
                    Op::Confirm(confirm) if self.is_of_what_waits(&confirm, &ready) => self.vouched(confirm),
                    op => match op.apex().and_then(|apex| self.parked.get_mut(apex)) {
                        Some(queue) => queue.push_back(op),
                        None => ready.push(self.prepared(op)),
                    },
                }
            }
            let filed: Vec<Name> = ready.iter().filter_map(filed).cloned().collect();
            self.write(ready);
            for apex in filed {
                todo.extend(self.parked.remove(&apex).into_iter().flatten());
            }
            if todo.is_empty() {
                return;
            }
        }
    }

    /// Whether a version needs a page file that the disk refused an earlier one: it waits in the place of that, and is
    /// not tried before that would be.
    fn is_refused_already(&self, commit: &Commit) -> bool {
        let free = !commit.is_retry() && commit.file.is_none() && !self.parked.contains_key(commit.apex());
        let refused = self.backlog.of(commit.apex()).and_then(|pending| pending.version.as_ref());
        free && is_large(commit.zone()) && refused.is_some_and(|version| is_large(version.zone()))
    }

    /// Whether somebody vouches for a version that the disk does not have: what the disk has may have the same serial,
    /// and must not live longer for it. One that stands behind another version in this batch is for that one.
    fn is_of_what_waits(&self, confirm: &Confirm, ready: &[Op]) -> bool {
        let apex = &confirm.apex;
        let commit = |op: &Op| matches!(op, Op::Commit(commit) if commit.apex() == apex);
        self.backlog.has_version(apex) && !self.parked.contains_key(apex) && !ready.iter().any(commit)
    }

    /// A confirmation waits beside its version.
    fn vouched(&mut self, confirm: Confirm) {
        let why = match self.backlog.vouch(&confirm.apex, confirm.confirmation) {
            Some(why) => format!("it waits for its version, which the disk refused: {why}"),
            None => "it is not of the version that waits for the disk".into(),
        };
        confirm.finish(Err(why));
    }

    /// A version that comes while an earlier one waits for the disk leads on from what the disk does not have, even if
    /// that has the serial of what it has. One behind damage has an image of its own.
    fn prepared(&self, mut op: Op) -> Op {
        if let Op::Commit(commit) = &mut op {
            if self.backlog.has_version(commit.apex()) {
                commit.incoming_mut().detach();
            }
            commit.renew = self.renewals.is_damaged(commit.apex());
        }
        op
    }

    /// One transaction for all of `batch`; each is told how it went.
    fn write(&mut self, batch: Vec<Op>) {
        let written = self.ledger.transact(&batch, &mut self.marks);
        self.say_damages();
        match written {
            Ok(fates) => {
                if std::mem::take(&mut self.refusing) {
                    self.backlog.allowed();
                }
                self.chores.get_or_insert_with(|| Instant::now() + CHORES);
                batch.into_iter().zip(fates).for_each(|(op, fate)| self.settle(op, fate));
                self.backlog.rest();
            }
            Err(why) => {
                self.refusing = true;
                batch.into_iter().for_each(|op| self.refuse(op, &why));
            }
        }
    }

    /// Does for one operation what follows from a transaction that is committed.
    fn settle(&mut self, op: Op, fate: Fate) {
        match (op, fate) {
            (Op::Commit(commit), Fate::NeedsFile) => {
                self.parked.insert(commit.apex().clone(), VecDeque::new());
                let number = self.file_number();
                self.scribe.write(Job { number, purpose: Purpose::Commit(commit) });
            }
            (op, Fate::Behind) => {
                if let Some(queue) = op.apex().and_then(|apex| self.parked.get_mut(apex)) {
                    queue.push_back(op);
                }
            }
            (Op::Commit(commit), Fate::Written(outgrown)) => {
                self.backlog.done(commit.apex());
                if commit.renew {
                    self.renewals.mended(commit.apex());
                }
                let retry = commit.is_retry();
                let zone = commit.finish(Durability::Durable).zone().clone();
                let (apex, serial) = (zone.apex().clone(), zone.serial());
                match outgrown {
                    Some(facts) if self.renewals.begin(&apex, Instant::now()) => {
                        let number = self.file_number();
                        self.scribe.write(Job { number, purpose: Purpose::Rebase(Rebase { zone, facts }) });
                    }
                    Some(_) => {}
                    None => self.renewals.forget(&apex),
                }
                if retry {
                    self.backlog.recovered();
                    (self.notice)(Notice::Recovered(Recovered { apex, serial }));
                }
            }
            (Op::Commit(commit), Fate::Refused(why)) => self.refuse(Op::Commit(commit), &why),
            (Op::Confirm(confirm), fate) => {
                self.backlog.done_confirmation(&confirm.apex);
                if confirm.is_retry() {
                    self.backlog.recovered();
                }
                confirm.finish(if let Fate::Refused(why) = fate { Err(why) } else { Ok(()) });
            }
            (Op::Restore(ask), _) => {
                self.restore(ask);
            }
            (Op::History(past), _) => self.reader.lead_back(past, self.ledger.is_open()),
            (Op::Brought(brought), _) => self.brought(brought),
            (Op::Led(mut led), Fate::Written(Some(_))) => {
                // It cannot be cut off: it would be found, and said, each time.
                led.cut = led.cut.filter(|_| self.renewals.damaged(&led.ask.apex));
                self.led(led);
            }
            (Op::Led(led), Fate::Refused(why)) => led.ask.finish(Err(why)),
            (Op::Led(led), _) => self.led(led),
            (Op::Filed(Filed { job, result }), _) => self.renewed(&job, result.is_ok()),
            (Op::Purge(_) | Op::Retire(..) | Op::End, _) => {}
        }
    }

    /// Does for one operation what follows from the disk's refusal.
    fn refuse(&mut self, op: Op, why: &str) {
        match op {
            Op::Commit(commit) => {
                let confirmation = commit.confirmation;
                let version = commit.finish(Durability::Volatile(why.into()));
                self.backlog.wait_for_version(version, confirmation, why);
            }
            Op::Confirm(confirm) => {
                self.backlog.wait_for_confirmation(&confirm.apex, confirm.confirmation, why);
                confirm.finish(Err(why.into()));
            }
            Op::Restore(ask) => {
                self.restore(ask);
            }
            Op::History(past) => self.reader.lead_back(past, self.ledger.is_open()),
            Op::Brought(brought) => self.brought(brought),
            Op::Led(led) => self.led(led),
            Op::Filed(Filed { job, .. }) => self.renewed(&job, false),
            Op::Purge(_) | Op::Retire(..) | Op::End => {}
        }
    }

    /// Gives a history to whom it was read for, and says where it ends too early.
    fn led(&mut self, led: Led) {
        if let Some(cut) = led.cut {
            let what =
                format!("step {} of its journal {}: what leads back to it is lost", cut.step, cut.what);
            (self.notice)(Notice::Damaged(Damage { zone: Some(led.ask.apex.clone()), what }));
        }
        led.ask.finish(led.history);
    }

    fn renewed(&mut self, job: &Job, well: bool) {
        match &job.purpose {
            Purpose::Rebase(rebase) if well => self.renewals.done(rebase.zone.apex()),
            Purpose::Rebase(rebase) => self.renewals.refused(rebase.zone.apex(), Instant::now()),
            Purpose::Commit(_) => {}
        }
    }

    /// Tries what the disk refused before.
    fn retry(&mut self) {
        let batch = self.backlog.retry(|apex| self.parked.contains_key(apex));
        self.handle(batch);
    }

    fn file_number(&mut self) -> u64 {
        let number = self.ledger.numbers.file;
        self.ledger.numbers.file += 1;
        number
    }

    /// A zone as it is here: in memory if the disk does not have it, else read beside the writer.
    fn restore(&mut self, ask: Ask<Restored>) {
        match self.backlog.version(&ask.apex) {
            Some(waiting) => ask.finish(Ok(waiting)),
            None => {
                self.restoring += 1;
                self.reader.restore(ask, self.ledger.is_open());
            }
        }
    }

    /// Gives a zone to whom it was read for. What was not found there, or is not the newest any more, is
    /// looked for here, where nothing is written meanwhile.
    fn brought(&mut self, Brought { ask, found }: Brought) {
        self.restoring -= 1;
        let found = match found {
            Ok(Some(restored)) if self.ledger.is_newest(restored.committed.zone()) => Some(restored),
            Ok(_) => self.ledger.restore(&ask.apex),
            Err(why) => return ask.finish(Err(why)),
        };
        self.say_damages();
        let mut found = self.backlog.version(&ask.apex).or(found);
        if let (Some(restored), Some(pending)) = (&mut found, self.backlog.of(&ask.apex))
            && pending.confirmation.serial == restored.committed.zone().serial()
        {
            restored.confirmation = Some(pending.confirmation);
        }
        ask.finish(found.ok_or_else(|| "the disk does not have the zone, or not whole".into()));
    }

    fn say_damages(&mut self) {
        for damage in std::mem::take(&mut self.ledger.damages) {
            (self.notice)(Notice::Damaged(damage));
        }
    }
}

/// The zone of a commit that came back from the scribe.
fn filed(op: &Op) -> Option<&Name> {
    match op {
        Op::Commit(commit) if commit.file.is_some() => Some(commit.apex()),
        _ => None,
    }
}
