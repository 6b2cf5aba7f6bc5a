//! # tsig: the seal
//!
//! **Job**: proves who sent a message and that nobody changed it on the way: transaction signatures over a shared key.
//! **In**: messages as octets, a [`Key`] or a [`KeyRing`], the time of day in seconds since 1970 as an argument.
//! **Out**: signed messages; of received ones either what the seal proved ([`Verified`], [`Seal`]) or which rule was
//! broken ([`SealError`], [`Rejected`]).
//! **Never**: asks the clock, accepts less than was asked for, copies a message to digest it, shows a secret, panics on
//! foreign octets.
//! **Source**: RFC 8945 (with RFC 2104 for HMAC, RFC 4034 §6.2 for the canonical form of names).
//!
//! Two conversations, each with its two ends:
//!
//! ```text
//!  asking   sign_request ──► ClientStream::verify, once for each message of the answer ──► finish
//!  asked    verify_request ──► Seal::sign, once for each message of the answer
//!                         └──► Rejected::respond
//! ```
//!
//! What is left out, on purpose: GSS-TSIG and TKEY (RFC 3645, RFC 2930), and the memory of the last time signed by each
//! key (RFC 8945 §5.2.3 "SHOULD"), since all that we accept signed may safely be repeated: queries, transfers, NOTIFY.

mod algorithm;
mod asked;
mod asking;
mod digest;
mod error;
mod key;
mod record;
#[cfg(test)]
mod sample;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use asked::{Rejected, Seal, verify_request};
pub use asking::{ClientStream, MAX_UNSIGNED, Verified, reject_unexpected, sign_request};
pub use error::{SealError, tsig_error};
pub use key::{Key, KeyError, KeyRing};

/// Seconds that the clocks of both ends may differ, in the signatures that we make (RFC 8945 §10 recommends 300).
pub const FUDGE: u16 = 300;
/// The most that a peer may claim as permitted difference of the clocks; a larger fudge counts as this many seconds.
pub const MAX_FUDGE: u16 = 3600;
