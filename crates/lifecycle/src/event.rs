//! What a machine is told.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use secondo_wire::{Reason, Serial, Soa};

use crate::{AttemptId, Confirmation, Settings};

/// Something that happened to a zone.
#[derive(Clone, Debug)]
pub enum Event {
    /// The deadline has come. Harmless when early.
    Timeout,
    /// A NOTIFY that the access list admitted (RFC 1996 §3.7): a hint and no more.
    Notify {
        /// Who sent it.
        from: IpAddr,
        /// The serial in its answer section, when there was one.
        hint: Option<Serial>,
    },
    /// The question of an attempt leaves now, after its wait for admission: from here the time on the way counts
    /// (RFC 7314 §4), and the patience. Without this event both count from the action.
    Sent {
        /// Which.
        attempt: AttemptId,
    },
    /// A probe ended. Ignored when the attempt is no longer awaited.
    Probed {
        /// Which.
        attempt: AttemptId,
        /// What the primary said, authenticated and checked, or why not.
        result: Result<ProbeAnswer, Failure>,
    },
    /// A transfer ended. A failure of an attempt no longer awaited is ignored; a publication is a fact and is taken
    /// over even then.
    Transferred {
        /// Which.
        attempt: AttemptId,
        /// How.
        result: Result<Transferred, Failure>,
    },
    /// An operator wants the primaries asked now.
    Refresh,
    /// An operator wants the whole zone fetched, whatever its serial.
    Retransfer,
    /// An operator wants the zone expired now (a drill); the next retry may revive it.
    ExpireNow,
    /// The settings changed.
    Reconfigure(Arc<Settings>),
    /// An address that was down answers again (see [`Turn::Up`](crate::Turn::Up)).
    PrimaryUp(SocketAddr),
}

/// What a primary's SOA said: authoritative, answering our question, its seal verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// The SOA.
    pub soa: Soa,
    /// The EDNS EXPIRE that came with it, seconds (RFC 7314 §3).
    pub expire: Option<u32>,
}

/// How a transfer ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transferred {
    /// A version was received whole, verified, checked, committed and published.
    Published {
        /// Its SOA.
        soa: Soa,
        /// The EDNS EXPIRE of the first message, seconds (RFC 7314 §3).
        expire: Option<u32>,
        /// In what form it came, which may differ from what was asked.
        kind: Kind,
    },
    /// The primary has what we have (RFC 1995 §2: the answer is a lone SOA with our serial).
    UpToDate {
        /// As above.
        expire: Option<u32>,
        /// Whether AA was set. Without it, and without a probe before, the primary is probed: a primary whose own copy has
        /// expired may still send its SOA.
        authoritative: bool,
    },
}

/// In what form a version came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Whole (RFC 5936).
    Axfr,
    /// As differences (RFC 1995).
    Ixfr,
}

/// Why an attempt brought nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The reason; its class decides what follows.
    pub reason: Reason,
    /// The serial of the version that was refused, when it was seen: it is not fetched again from there for a while.
    pub serial: Option<Serial>,
    /// Not before this moment (boot clock) is the address worth asking, as [`Health`](crate::Health) says.
    pub again: Option<Duration>,
}

impl Failure {
    /// The same, with the serial of the version it is about.
    pub fn of_serial(self, serial: Serial) -> Failure {
        Failure { serial: Some(serial), ..self }
    }

    /// The same, with the moment before which the address is not worth asking.
    pub fn until(self, again: Duration) -> Failure {
        Failure { again: Some(again), ..self }
    }
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Failure {
        Failure { reason, serial: None, again: None }
    }
}

/// What the disk kept of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// SOA of the version kept.
    pub soa: Soa,
    /// Who vouched for it and when; without it the version counts as expired.
    pub confirmation: Option<Confirmation>,
}
