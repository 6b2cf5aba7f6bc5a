//! What the listeners share: the zone table, the clocks, who we are over TLS, and the way of NOTIFYs to the scheduler.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwapOption, Guard};
use secondo_answer::{Client, Clock, Outcome, Scratch, Table, TableCell, respond};

use crate::clock;
use crate::control::ServerProblem;
use crate::flaws::Flaws;
use crate::floods::Floods;
use crate::losses::Losses;
use crate::notices::{Notice, Notices};
use crate::refusals::Refusals;
use crate::tls::TlsServer;

/// Shared by all listeners.
pub(crate) struct Respond {
    /// The zones that we serve.
    pub table: TableCell,
    /// NOTIFYs for the scheduler.
    pub notices: Notices,
    /// For connections over TLS that begin from now on.
    pub tls: ArcSwapOption<TlsServer>,
    refusals: Refusals,
    /// Answers that were limited.
    pub floods: Floods,
    /// Answers that were not whole.
    pub flaws: Flaws,
    /// Datagrams that never came so far.
    pub losses: Losses,
    stopping: AtomicBool,
}

/// The table and the time, held for a batch of requests.
pub(crate) struct Batch<'r> {
    notices: &'r Notices,
    refusals: &'r Refusals,
    floods: &'r Floods,
    flaws: &'r Flaws,
    table: Guard<Arc<Table>>,
    clock: Clock,
}

impl Respond {
    /// Answers from `table`, over TLS as `tls` says.
    pub(crate) fn new(table: Table, tls: Option<Arc<TlsServer>>) -> Respond {
        Respond {
            table: TableCell::new(table),
            notices: Notices::default(),
            tls: ArcSwapOption::new(tls),
            refusals: Refusals::default(),
            floods: Floods::default(),
            flaws: Flaws::default(),
            losses: Losses::default(),
            stopping: AtomicBool::new(false),
        }
    }

    /// Holds the table for a batch.
    pub(crate) fn batch(&self) -> Batch<'_> {
        let clock = Clock { boot_ms: clock::boot_ms(), unix: clock::unix() };
        let Respond { table, notices, refusals, floods, flaws, .. } = self;
        Batch { notices, refusals, floods, flaws, table: table.load(), clock }
    }

    /// Says in the log what should not be of answers and datagrams, as far as it is time to.
    pub(crate) fn look(&self, boot_ms: u64) {
        self.floods.look(boot_ms);
        self.flaws.look(boot_ms);
        self.losses.look(boot_ms);
    }

    /// What status tells of that: what needs a person.
    pub(crate) fn problems(&self, boot_ms: u64) -> impl Iterator<Item = ServerProblem> {
        [self.losses.problem(boot_ms), self.flaws.problem(boot_ms)].into_iter().flatten()
    }

    /// Tells listeners to end.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether to end.
    pub(crate) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

impl Batch<'_> {
    /// Answers a datagram; whether `out` holds a reply.
    pub(crate) fn udp(
        &self,
        request: &[u8],
        client: Client,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> bool {
        match self.answer(request, client, scratch, out) {
            Outcome::Silence => false,
            Outcome::Transfer(_) => {
                debug_assert!(false, "transfers go over TCP");
                false
            }
            _ => true,
        }
    }

    /// Ends a batch of datagrams: the zones are let go, and what was limited or flawed of it is counted.
    pub(crate) fn close(self, scratch: &mut Scratch) {
        if let Some(limited) = scratch.take_limited() {
            self.floods.note(limited, self.clock.boot_ms);
        }
        self.count(scratch);
    }

    /// Answers a request by itself.
    pub(crate) fn any(
        &self,
        request: &[u8],
        client: Client,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let outcome = self.answer(request, client, scratch, out);
        self.count(scratch);
        outcome
    }

    fn count(&self, scratch: &mut Scratch) {
        if let Some(flawed) = scratch.take_flawed() {
            self.flaws.note(flawed, self.clock.boot_ms);
        }
    }

    /// Answers a request; NOTIFYs are pinned for the scheduler on the way.
    fn answer(&self, request: &[u8], client: Client, scratch: &mut Scratch, out: &mut Vec<u8>) -> Outcome {
        let outcome = respond(request, client, &self.table, self.clock, scratch, out);
        if let Outcome::Notify { entry, hint, key } = &outcome {
            let (apex, from) = (entry.apex.clone(), client.addr.ip());
            self.notices.pin(Notice { apex, from, hint: *hint, key: key.clone() });
        }
        if let Some(refused) = scratch.refused() {
            self.refusals.note(refused, request, client, &self.table);
        }
        outcome
    }
}
