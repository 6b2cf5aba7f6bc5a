//! # answer: what we say
//!
//! **Job**: request bytes, zone table and policy in; response bytes out.
//! **In**: one request, who sent it, the [`Table`], the time as an argument.
//! **Out**: the reply, or the word that something is to be done: act on a NOTIFY, send a transfer ([`Outcome`]); what was
//! limited ([`Limited`]), or not whole by fault of a zone ([`Flawed`]).
//! **Never**: waits, opens a socket, asks the clock, panics on foreign octets, answers from an expired zone, works
//! without a bound (see [`bounds`]); no answer on the common path allocates.
//! **Source**: RFC 1034 §4.3.2, RFC 1035 §4, RFC 1995 §2, RFC 1996 §3, RFC 2181, RFC 2308, RFC 4035 §3.1, RFC 4592,
//! RFC 4892, RFC 5001, RFC 5155 §7.2, RFC 5936 §2.2, RFC 6604, RFC 6672, RFC 6891, RFC 7314 §3.2, RFC 7828,
//! RFC 7830 §4, RFC 7873 §5.2, RFC 8467 §4.1, RFC 8482, RFC 8914, RFC 8945 §5, RFC 9018, RFC 9276 §3, RFC 9460 §4.1,
//! RFC 9471, RFC 9609 §4.1, RFC 9619, RFC 9660.
//!
//! ```text
//! request ─► framed ─► seal ─► version, opcode ─┬─► NOTIFY    ─► access list ─► hint
//!            request   tsig    options          ├─► transfer  ─► access list ─► what kind
//!                              respond          ├─► CHAOS     ─► identity
//!                                               └─► query     ─► table ─► access list ─► slot ─► chain of look-ups
//!                                                                                          lookup, denial, additional
//! `together` makes the steps up to the slot, and to the name's page, for several requests before any of them is answered
//! all replies are composed in place by `reply`; what is not there is denied by `denial`, which proves it by the zone's
//! chain of NSEC or NSEC3 records; over UDP the `limiter` has the last word, for those whom no `cookies` vouch for
//! ```

mod acl;
mod additional;
pub mod bounds;
mod cookies;
mod denial;
mod flaws;
mod identity;
mod limiter;
mod lookup;
mod notify;
mod options;
mod query;
mod refusal;
mod reply;
mod request;
mod respond;
mod scene;
mod slot;
mod table;
#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod testing;
mod together;
mod transfer;

// The tests inside and outside of the crate share their tools, which name the crate from outside.
#[cfg(test)]
extern crate self as secondo_answer;

use std::net::SocketAddr;

pub use acl::{AccessList, IpPrefix, Origin, PrefixError, Rule};
pub use cookies::Cookies;
pub use flaws::{Flaw, FlawCounts, Flawed};
pub use identity::Identity;
pub use limiter::{Limiter, RateLimit};
pub use refusal::{Asked, Cause, Refused};
pub use respond::{Limited, Outcome, Scratch, respond};
pub use slot::{Serving, Slot};
pub use table::{DuplicateZone, Entry, Settings, Table, TableCell};
pub use together::{Answered, Arrival, respond_each};
pub use transfer::{TransferOpt, TransferRequest, Wanted};

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A datagram: the reply has a limit.
    Udp,
    /// A stream that others may read on its way.
    Tcp,
    /// A stream that nobody can read on its way: DNS over TLS (RFC 7858), where zones may go too (RFC 9103).
    Tls,
}

/// Who sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Where it came from.
    pub addr: SocketAddr,
    /// How.
    pub transport: Transport,
}

/// The time of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Milliseconds of the clock that [`Slot`] counts in.
    pub boot_ms: u64,
    /// Seconds since 1970, for TSIG.
    pub unix: u64,
}
