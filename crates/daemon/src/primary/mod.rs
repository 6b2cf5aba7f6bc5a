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

    /// What came of asking with the key at this place: the end, or else the fault with which the next key is tried. With
    /// several keys the fault tells what became of each.
    fn judge<T>(&self, place: usize, verdict: Result<T, Fault>, before: Option<Fault>) -> Judged<T> {
        let fault = match verdict {
            Err(fault) if is_seal(&fault) => fault,
            verdict => {
                self.roll.note(place);
                return Judged::End(verdict);
            }
        };
        let Some(key) = self.primary.keys.get(place).filter(|_| self.primary.keys.len() > 1) else {
            return Judged::NextKey(fault);
        };
        let before = before.map_or_else(String::new, |before| format!("{}; ", before.detail));
        let detail = format!("{before}key {}: {}", key.name(), fault.detail);
        Judged::NextKey(Fault { detail, ..fault })
    }
}

/// See [`Way::judge`].
enum Judged<T> {
    End(Result<T, Fault>),
    NextKey(Fault),
}

/// Whether the next key of a roll is worth a try. A connection that could not be sealed is the same with every key.
fn is_seal(fault: &Fault) -> bool {
    fault.reason == Reason::NotAuth || fault.reason.class() == Class::Seal && !fault.reason.is_tls()
}
