//! # primary: the way to a primary
//!
//! **Job**: one question to one address, over the network: [`probe`] asks for the SOA, [`transfer`] for the zone.
//! **In**: what to ask and whom ([`Way`]), limits of time and rate.
//! **Out**: one verdict, a straight line each; what follows is the lifecycle's business.
//! **Never**: decides what to try next, beyond what belongs to one question (UDP then TCP, with EDNS then without, the
//! next key of a key roll).
//! **Source**: RFC 1034 §4.3.5, RFC 5452 §9, RFC 5936 §4, RFC 7766 §6 to §8, RFC 9103 §6 and §7.
//!
//! ```text
//! probe, transfer ─► exchange ─► line ─► connect ─► the primary
//!  one question      a place     one     a socket
//!                                 ▲
//!                               lines, which are kept for the next question
//! ```

mod connect;
mod exchange;
mod frames;
mod habits;
mod line;
mod lines;
mod overflow;
mod probe;
#[cfg(test)]
mod testing;
mod transfer;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use secondo_transfer::Fault;
use secondo_tsig::Key;
use secondo_wire::{Class, Name, Reason};

use crate::clock;
use crate::config::PrimaryConfig;
use habits::Manner;

pub(crate) use habits::Habits;
pub(crate) use lines::Lines;
pub(crate) use probe::probe;
pub(crate) use transfer::{Fetched, TransferJob, aside, transfer};

/// One zone at one address of a primary.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// The zone.
    pub zone: Name,
    /// The address.
    pub address: SocketAddr,
    /// The primary that it belongs to.
    pub primary: Arc<PrimaryConfig>,
    /// The connections that there are.
    pub lines: Lines,
    /// Notes which key did.
    pub roll: KeyRoll,
    /// What was learnt of primaries.
    pub habits: Arc<Habits>,
}

/// Which of several keys was the last that did; of a single key there is nothing to note.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyRoll(Option<Arc<AtomicUsize>>);

impl KeyRoll {
    /// For a primary with these keys.
    pub(crate) fn of(primary: &PrimaryConfig) -> KeyRoll {
        KeyRoll((primary.keys.len() > 1).then(|| Arc::new(AtomicUsize::new(0))))
    }

    /// The place of the key that did.
    pub(crate) fn place(&self) -> usize {
        self.0.as_ref().map_or(0, |place| place.load(Ordering::Acquire))
    }

    fn note(&self, place: usize) {
        if let Some(noted) = &self.0 {
            noted.store(place, Ordering::Release);
        }
    }
}

impl Way {
    /// The local address to ask from, if the operator chose one.
    fn source(&self) -> Option<IpAddr> {
        self.primary.source_towards(self.address.ip())
    }

    /// How the question is best asked.
    fn manner(&self) -> Manner {
        self.habits.manner(&self.primary.name, self.address, &self.primary.keys, clock::boot())
    }

    /// A question asked so was answered in order.
    fn worked(&self, key: Option<&Key>, edns: bool) {
        let first = self.primary.keys.first().map(Key::name);
        let another = key.map(Key::name).filter(|name| first != Some(name));
        self.habits.worked(&self.primary.name, self.address, edns, another, clock::boot());
    }

    /// Asks with one key after another until one does, in the order in which they are worth a try. `ask` is told whether
    /// EDNS should go along, and tells whether it did. With several keys a fault tells what became of each.
    async fn with_keys<T, F>(&self, ask: impl Fn(Option<Key>, bool) -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<(T, bool), Fault>>,
    {
        let Manner { edns, seals } = self.manner();
        let several = seals.len() > 1;
        let mut details: Vec<String> = Vec::new();
        let mut last = None;
        for (place, key) in seals {
            match ask(key.clone(), edns).await {
                Err(fault) if is_seal(&fault) => {
                    if let Some(key) = key.filter(|_| several) {
                        details.push(format!("key {}: {}", key.name(), fault.detail));
                    }
                    last = Some(fault);
                }
                verdict => {
                    self.roll.note(place);
                    let (brought, edns) = verdict?;
                    self.worked(key.as_ref(), edns);
                    return Ok(brought);
                }
            }
        }
        let fault = last.unwrap_or_else(|| Fault::new(Reason::Internal, "no key to ask with"));
        Err(if several { Fault { detail: details.join("; "), ..fault } } else { fault })
    }
}

/// Whether the next key of a roll is worth a try. A connection that could not be sealed is the same with every key.
fn is_seal(fault: &Fault) -> bool {
    fault.reason == Reason::NotAuth || fault.reason.class() == Class::Seal && !fault.reason.is_tls()
}
