//! # transfer: what arrived, and what we send on
//!
//! **Job**: the conversation with a primary about one zone, as messages in and messages out; and a zone as a stream of
//! messages for those who transfer from us.
//! **In**: messages as they came from UDP, TCP or TLS, the version that we have, limits, keys, the time.
//! **Out**: questions ([`Probe`], [`Session`]), a [`Candidate`] that arrived whole and authentic, a [`CheckedZone`] that is
//! fit to serve, [`Outgoing`] messages; a [`Fault`] that names the rule that was broken.
//! **Never**: opens a socket, asks the clock, makes a candidate of a stream that was cut, unsealed or malformed anywhere,
//! shows a zone between two versions.
//! **Source**: RFC 1034 §4.3.5, RFC 1982, RFC 1995, RFC 2181 §5 and §8-9, RFC 3597 §4, RFC 5936, RFC 6891 §7, RFC 6895
//! §3.1, RFC 7314, RFC 8945 §5.3-5.4.
//!
//! The way through the room: [`Probe`] asks for the SOA; [`Session`] asks for the zone and feeds each record of the answer
//! to a decoder whose phases are named for what they await; the decoder builds or patches a zone beside the one that is
//! served; [`check`] is the turnstile behind which a version may be kept and published.
//!
//! Known deviations: a transfer message with AA clear is tolerated and warned about (RFC 5936 §2.2.1 wants it set);
//! a SOA probe over UDP whose seal does not verify is repeated over TCP at once, where the verdict is final, and not
//! waited out (RFC 8945 §5.4 only demands that it is not taken for an answer).

mod candidate;
mod chain;
mod check;
mod decoder;
mod envelope;
mod fault;
mod outgoing;
mod probe;
mod reader;
mod session;
#[cfg(test)]
mod testing;

pub use candidate::{Candidate, Kind, Tally, Warning};
pub use check::{CheckedZone, Policy, check};
pub use fault::Fault;
pub use outgoing::{Asked, Outgoing};
pub use probe::{Found, Probe, ProbeStep, Transport};
pub use session::{Arrived, Request, Session, Step, Want};
