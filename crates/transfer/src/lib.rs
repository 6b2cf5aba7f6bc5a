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
//! served; [`check()`] is the turnstile behind which a version may be kept and published.
//!
//! Both ends of a transfer, without a socket between them:
//!
//! ```
//! use secondo_transfer::{Arrived, Asked, Outgoing, Policy, Request, Session, Step, Want, check};
//! use secondo_wire::{Name, RecordType, Serial, Soa};
//! use secondo_zone::{BorderSecret, Builder, Limits};
//!
//! let (apex, secret) = (Name::parse("example.")?, BorderSecret::new([0; 16]));
//! let (mname, rname) = (Name::parse("ns.example.")?, Name::parse("hostmaster.example.")?);
//! let soa = Soa { mname, rname, serial: Serial(7), refresh: 3600, retry: 600, expire: 86400, minimum: 60 };
//! let mut builder = Builder::new(apex.clone(), &secret, Limits::default());
//! builder.push(apex.as_ref(), RecordType::SOA, 3600, &soa.to_rdata())?;
//! builder.push(apex.as_ref(), RecordType::NS, 3600, soa.mname.as_wire())?;
//! let zone = builder.finish()?.zone;
//!
//! let (mut session, request) = Session::new(Request {
//!     zone: &apex, want: Want::Axfr, current: None, secret: &secret, limits: Limits::default(),
//!     key: None, id: 4711, edns: true, unix_now: 0, forced: false,
//! });
//! let asked = Asked::read(&request, None, 86400).expect("a request has a question");
//! let mut outgoing = Outgoing::axfr(zone, asked);
//! let mut message = Vec::new();
//! while outgoing.next_message(&mut message, 0)? {
//!     if let Step::Done(Arrived::Candidate(candidate)) = session.receive(&message, 0)? {
//!         let checked = check(candidate, None, &Policy::default())?;
//!         assert_eq!(checked.zone().serial(), Serial(7));
//!         assert_eq!(checked.expire(), Some(86400));
//!     }
//!     message.clear();
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Known deviations: a transfer message with AA clear is tolerated (RFC 5936 §2.2.1 wants it set; Knot DNS does not);
//! a SOA probe over UDP whose seal does not verify is repeated over TCP at once, where the verdict is final, and not
//! waited out (RFC 8945 §5.4 only demands that it is not taken for an answer).

mod candidate;
mod chain;
mod check;
mod decoder;
mod envelope;
mod fault;
mod opening;
mod outgoing;
mod probe;
mod reader;
mod request;
mod session;
#[cfg(test)]
mod testing;
mod whole;

pub use candidate::{Candidate, Kind, Tally, Warning};
pub use check::{CheckedZone, Policy, check};
pub use fault::Fault;
pub use outgoing::{Asked, Outgoing};
pub use probe::{Found, Probe, ProbeStep, Transport};
pub use request::{Arrived, Request, Step, Want};
pub use session::Session;
