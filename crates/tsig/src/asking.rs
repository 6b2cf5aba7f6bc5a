//! The asking end: signs a request and verifies its answer, be it one message or a stream of them (RFC 8945 §5.1, §5.4,
//! §5.3.1).

use std::fmt;

use secondo_wire::{Header, Rcode, Reason, flags};

use crate::digest::{Digest, MacOctets};
use crate::error::{SealError, tsig_error};
use crate::key::Key;
use crate::record::{self, Outgoing, Tsig};
use crate::{Algorithm, FUDGE, MAX_FUDGE};

/// Messages without TSIG that may follow each other between two signed ones (RFC 8945 §5.3.1).
pub const MAX_UNSIGNED: u32 = 99;

/// Signs a request: appends the TSIG record and counts it in ARCOUNT. `message` is the whole request, with its header
/// at offset 0; `unix_now` in seconds since 1970. Returns what verifies the answer.
pub fn sign_request(message: &mut Vec<u8>, key: &Key, unix_now: u64) -> ClientStream {
    let time = record::clamp(unix_now);
    // RFC 8945 §5.1: message and TSIG variables.
    let mut digest = key.begin();
    digest.update(message);
    digest.variables(key, time, FUDGE, 0, &[]);
    let mac = digest.finish(key.algorithm());
    Outgoing {
        name: key.canonical_name(),
        algorithm: key.algorithm().as_wire(),
        time,
        fudge: FUDGE,
        mac: mac.as_slice(),
        error: 0,
        other: &[],
    }
    .append(message, 0);
    ClientStream { key: key.clone(), running: key.begin_after(&mac), heard: Heard::Nothing }
}

/// Verifies the answer to one request, message by message, in the order they came.
///
/// A message that is refused leaves no trace: over UDP the next one may be tried. The header's ID is not covered by a
/// MAC (the Original ID takes its place), so the caller compares it with the request's.
#[derive(Clone)]
pub struct ClientStream {
    key: Key,
    /// Fed with the MAC before and with the unsigned messages since.
    running: Digest,
    heard: Heard,
}

/// What came so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Nothing,
    /// The last message was signed.
    Signed,
    /// So many unsigned messages since the last signed one: `1 <= n <= MAX_UNSIGNED`.
    Unsigned(u32),
}

/// What the seal says about an accepted message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whether the message itself was signed. When not, its content is proven only by the next signed one.
    pub signed: bool,
    /// Octets of the message without its TSIG record.
    pub len: usize,
    /// The primary's clock minus ours, in seconds; `None` when unsigned.
    pub skew: Option<i64>,
}

impl ClientStream {
    /// Verifies the next message of the answer.
    pub fn verify(&mut self, message: &[u8], unix_now: u64) -> Result<Verified, SealError> {
        let found = record::find(message)?;
        // A request that comes back must not pass for its answer.
        if !Header::read(message).is_some_and(|header| header.has(flags::QR)) {
            return Err(SealError::new(Reason::BadAnswer, "a request came as answer (RFC 1035 §4.1.1)"));
        }
        match found {
            Some(tsig) => self.signed(message, &tsig, unix_now),
            None => self.unsigned(message),
        }
    }

    /// An error unless the last message was signed: without that seal, what came since is not proven (RFC 8945 §5.3.1).
    pub fn finish(&self) -> Result<(), SealError> {
        match self.heard {
            Heard::Signed => Ok(()),
            Heard::Nothing => Err(missing("nothing signed came (RFC 8945 §5.4)")),
            Heard::Unsigned(_) => Err(missing("the last message is not signed (RFC 8945 §5.3.1)")),
        }
    }

    /// The key that the request was signed with.
    pub fn key(&self) -> &Key {
        &self.key
    }

    fn unsigned(&mut self, message: &[u8]) -> Result<Verified, SealError> {
        let run = match self.heard {
            Heard::Nothing => {
                return Err(missing("the answer's first message is not signed (RFC 8945 §5.4)"));
            }
            Heard::Signed => 1,
            Heard::Unsigned(MAX_UNSIGNED) => {
                return Err(missing("more than 99 messages in a row are not signed (RFC 8945 §5.3.1)"));
            }
            Heard::Unsigned(run) => run + 1,
        };
        // RFC 8945 §5.3.1: unsigned messages are digested as they came.
        self.running.update(message);
        self.heard = Heard::Unsigned(run);
        Ok(Verified { signed: false, len: message.len(), skew: None })
    }

    fn signed(&mut self, message: &[u8], tsig: &Tsig<'_>, unix_now: u64) -> Result<Verified, SealError> {
        if tsig.mac.is_empty() {
            return Err(unsigned_error(tsig));
        }
        // RFC 8945 §5.4: the same checks in the same order as for a request: key, MAC, time, truncation.
        self.check_key(tsig)?;
        check_length(tsig, self.key.algorithm())?;
        let mut digest = self.running.clone();
        digest.stripped(message, tsig);
        match self.heard {
            Heard::Nothing => digest.variables(&self.key, tsig.time, tsig.fudge, tsig.error, tsig.other),
            // RFC 8945 §5.3.1: from the second message on the timers alone.
            _ => digest.timers(tsig.time, tsig.fudge),
        }
        if !digest.verify(tsig.mac) {
            return Err(SealError::new(Reason::TsigBadSig, "the MAC does not verify (RFC 8945 §5.2.2)"));
        }
        check_error(tsig, unix_now)?;
        let skew = record::ahead(tsig.time, unix_now);
        // RFC 8945 §5.2.3, §5.4.3: now must lie within Time Signed plus and minus Fudge, in every signed message.
        if skew.unsigned_abs() > u64::from(tsig.fudge.min(MAX_FUDGE)) {
            let detail = format!("Time Signed is {skew} s from our clock, past the fudge (RFC 8945 §5.4.3)");
            return Err(SealError { skew: Some(skew), ..SealError::proven(Reason::TsigBadTime, detail) });
        }
        if tsig.mac.len() < self.key.algorithm().accepted_mac_len() {
            let detail = format!("a MAC of {} octets is shorter than 16 (RFC 8945 §5.2.4)", tsig.mac.len());
            return Err(SealError::proven(Reason::TsigBadTrunc, detail));
        }
        // The octets as sent, truncated or not, are what the next MAC builds on.
        self.running = self.key.begin_after(&MacOctets::leading(tsig.mac, tsig.mac.len()));
        self.heard = Heard::Signed;
        Ok(Verified { signed: true, len: tsig.start, skew: Some(skew) })
    }

    /// RFC 8945 §5.4: the answer bears the request's key and algorithm, in all its messages.
    fn check_key(&self, tsig: &Tsig<'_>) -> Result<(), SealError> {
        if tsig.name.as_ref() != self.key.canonical_name() {
            let detail = format!(
                "the answer is signed with key {} instead of {} (RFC 8945 §5.4)",
                tsig.name.as_ref(),
                self.key.name()
            );
            return Err(SealError::new(Reason::TsigBadKey, detail));
        }
        if Algorithm::from_name(tsig.algorithm) != Some(self.key.algorithm()) {
            let detail = format!(
                "the answer is signed with {} instead of {} (RFC 8945 §5.4)",
                tsig.algorithm,
                self.key.algorithm()
            );
            return Err(SealError::new(Reason::TsigBadKey, detail));
        }
        Ok(())
    }
}

impl fmt::Debug for ClientStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientStream({:?} {:?})", self.key, self.heard)
    }
}

/// An answer to an unsigned request must not bear a TSIG record: nobody could verify it.
pub fn reject_unexpected(message: &[u8]) -> Result<(), SealError> {
    match record::find(message) {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(SealError::new(
            Reason::TsigUnexpected,
            "the answer bears a TSIG record though the request was not signed (RFC 8945 §5.3)",
        )),
        Err(misfit) => Err(misfit.into()),
    }
}

/// RFC 8945 §5.2.2.1: lengths that must not be sent. Checked before any octet is compared.
fn check_length(tsig: &Tsig<'_>, algorithm: Algorithm) -> Result<(), SealError> {
    let (least, most) = (algorithm.least_mac_len(), algorithm.mac_len());
    if (least..=most).contains(&tsig.mac.len()) {
        return Ok(());
    }
    let detail = format!(
        "a MAC of {} octets for {algorithm}, which has {least} to {most} (RFC 8945 §5.2.2.1)",
        tsig.mac.len()
    );
    Err(SealError::new(Reason::TsigMalformed, detail))
}

/// An answer with a TSIG record but without a MAC is never accepted; with NOTAUTH it hints at the reason
/// (RFC 8945 §5.3.2, §5.4.1, §5.4.2).
fn unsigned_error(tsig: &Tsig<'_>) -> SealError {
    let (reason, word) = match tsig.error {
        _ if tsig.header.rcode() != Rcode::NOTAUTH => (Reason::TsigMalformed, ""),
        tsig_error::BADSIG => (Reason::TsigBadSig, "BADSIG"),
        tsig_error::BADKEY => (Reason::TsigBadKey, "BADKEY"),
        tsig_error::BADTIME => (Reason::TsigBadTime, "BADTIME"),
        tsig_error::BADTRUNC => (Reason::TsigBadTrunc, "BADTRUNC"),
        _ => (Reason::TsigMalformed, ""),
    };
    if word.is_empty() {
        return SealError::new(reason, "the answer's TSIG record has no MAC (RFC 8945 §5.3.2)");
    }
    SealError::new(reason, format!("the answer says NOTAUTH with {word}, unsigned (RFC 8945 §5.3.2)"))
}

/// The error field of an answer whose MAC is good (RFC 8945 §5.4.3, §5.4.4).
fn check_error(tsig: &Tsig<'_>, unix_now: u64) -> Result<(), SealError> {
    let said = |reason, word: &str| {
        SealError::proven(reason, format!("the answer says {word}, signed (RFC 8945 §5.3.2)"))
    };
    match tsig.error {
        0 => Ok(()),
        tsig_error::BADTIME => {
            // RFC 8945 §5.2.3: Other Data holds the primary's clock.
            let skew = tsig.other.first_chunk().map(|&[a, b, c, d, e, f]| {
                record::ahead(u64::from_be_bytes([0, 0, a, b, c, d, e, f]), unix_now)
            });
            Err(SealError { skew, ..said(Reason::TsigBadTime, "BADTIME") })
        }
        tsig_error::BADTRUNC => Err(said(Reason::TsigBadTrunc, "BADTRUNC")),
        tsig_error::BADSIG => Err(said(Reason::TsigBadSig, "BADSIG")),
        tsig_error::BADKEY => Err(said(Reason::TsigBadKey, "BADKEY")),
        other => Err(said(Reason::TsigMalformed, &format!("TSIG error {other}"))),
    }
}

fn missing(detail: &'static str) -> SealError {
    SealError::new(Reason::TsigMissing, detail)
}
