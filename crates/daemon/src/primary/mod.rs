//! # primary: the way to a primary
//!
//! **Job**: one question to one address, over the network: [`probe`] asks for the SOA, [`transfer`] for the zone.
//! **In**: what to ask and whom ([`Way`]), limits of time and rate.
//! **Out**: one verdict, a straight line each; what follows is the lifecycle's business.
//! **Never**: decides what to try next, beyond what belongs to one question (UDP then TCP, with EDNS then without, the
//! next key of a key roll).
//! **Source**: RFC 1034 §4.3.5, RFC 5452 §9, RFC 5936 §4, RFC 7766 §8, RFC 9103 §7.

mod connect;
mod frames;
mod overflow;
mod probe;
mod transfer;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use secondo_transfer::Fault;
use secondo_tsig::Key;
use secondo_wire::{Class, Name, Reason};

use crate::config::PrimaryConfig;

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
}

impl Way {
    /// The local address to ask from, if the operator chose one.
    fn source(&self) -> Option<IpAddr> {
        self.primary.source_towards(self.address.ip())
    }

    /// The keys to try, one after another; a single `None` for a primary without keys.
    fn seals(&self) -> Vec<Option<Key>> {
        let keys = &self.primary.keys;
        if keys.is_empty() { vec![None] } else { keys.iter().cloned().map(Some).collect() }
    }
}

/// Whether the next key of a roll is worth a try. A connection that could not be sealed is the same with every key.
fn is_seal(fault: &Fault) -> bool {
    fault.reason == Reason::NotAuth || fault.reason.class() == Class::Seal && !fault.reason.is_tls()
}
