//! What the listeners share: the zone table, the clocks, who we are over TLS, and the way of NOTIFYs to the scheduler.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwapOption, Guard};
use secondo_answer::{
    Answered, Arrival, Client, Clock, Outcome, Refused, Scratch, Table, TableCell, respond, respond_each,
};

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
    /// Answers datagrams; `add` hears of each that has a reply, and where in `out` it stands.
    pub(crate) fn udp<'r, T>(
        &self,
        datagrams: impl Iterator<Item = Arrival<'r, T>>,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
        mut add: impl FnMut(T, Range<usize>),
    ) {
        respond_each(datagrams, &self.table, self.clock, scratch, out, |arrival, answered| {
            let Answered { outcome, reply, refused } = answered;
            self.pass_on(&outcome, refused, arrival.request, arrival.client);
            debug_assert!(!matches!(outcome, Outcome::Transfer(_)), "transfers go over TCP");
            if !reply.is_empty() {
                add(arrival.mark, reply);
            }
        });
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
        let outcome = respond(request, client, &self.table, self.clock, scratch, out);
        self.pass_on(&outcome, scratch.refused(), request, client);
        self.count(scratch);
        outcome
    }

    fn count(&self, scratch: &mut Scratch) {
        if let Some(flawed) = scratch.take_flawed() {
            self.flaws.note(flawed, self.clock.boot_ms);
        }
    }

    /// Pins a NOTIFY for the scheduler, and notes what was not granted.
    fn pass_on(&self, outcome: &Outcome, refused: Option<&Refused>, request: &[u8], client: Client) {
        if let Outcome::Notify { entry, hint, key } = outcome {
            let (apex, from) = (entry.apex.clone(), client.addr.ip());
            self.notices.pin(Notice { apex, from, hint: *hint, key: key.clone() });
        }
        if let Some(refused) = refused {
            self.refusals.note(refused, request, client, &self.table);
        }
    }
}
