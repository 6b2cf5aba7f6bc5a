//! What is asked of a primary, and what may come of it.

use secondo_tsig::{ClientStream, Key, sign_request};
use secondo_wire::{Name, Soa, control};
use secondo_zone::{BorderSecret, Limits, Zone};

use crate::Candidate;

/// In what form a zone is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Whole.
    Axfr,
    /// As differences from the version that we have. Without one, or when forced, the whole zone is asked for.
    Ixfr,
}

/// What is asked, and by which measure the answer is taken.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Apex of the zone.
    pub zone: &'a Name,
    /// The form.
    pub want: Want,
    /// The version that we have: base of differences, measure of "newer", source of equal pages.
    pub current: Option<&'a Zone>,
    /// For a zone built from nothing.
    pub secret: &'a BorderSecret,
    /// Bounds of the zone, enforced while it is received.
    pub limits: Limits,
    /// Seals the question; every answer must then be sealed (RFC 8945 §5.3.1).
    pub key: Option<&'a Key>,
    /// Random, unique among the questions outstanding on the connection (RFC 5936 §2.2.1).
    pub id: u16,
    /// Ask with EDNS, and for the time to expiry (RFC 7314 §2).
    pub edns: bool,
    /// Seconds since 1970, for the seal.
    pub unix_now: u64,
    /// Take the zone whatever its serial: an operator's order, or our own version has expired.
    pub forced: bool,
}

/// Seals a request, padded first where nobody shall read it.
pub(crate) fn seal(
    message: &mut Vec<u8>,
    key: Option<&Key>,
    padded: bool,
    unix_now: u64,
) -> Option<ClientStream> {
    if padded {
        let mut sealed = message.clone();
        let _ = key.map(|key| sign_request(&mut sealed, key, unix_now));
        control::pad(message, sealed.len() - message.len());
    }
    key.map(|key| sign_request(message, key, unix_now))
}

/// What a message led to.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "the large one is made once a transfer")]
pub enum Step {
    /// More messages are awaited.
    More,
    /// The answer is complete; messages that follow are not part of it.
    Done(Arrived),
}

/// A complete answer.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)]
pub enum Arrived {
    /// The primary has the serial that we have: a confirmation, if it is authoritative.
    UpToDate {
        /// The primary's SOA.
        soa: Soa,
        /// Seconds until the primary's own copy expires (RFC 7314 §4).
        expire: Option<u32>,
        /// Whether the message has AA set (RFC 5936 §2.2.1). Clear, it says nothing of the zone's standing there: a SOA
        /// probe, before or behind it, does.
        authoritative: bool,
        /// Nothing follows: the SOA stood alone in the answer to an IXFR (RFC 1995 §2). Behind any other one the rest of
        /// the zone may come, in further messages.
        whole: bool,
    },
    /// Another version.
    Candidate(Candidate),
}
