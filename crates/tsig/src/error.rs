//! What a broken seal is called: to the operator ([`SealError`]) and on the wire ([`tsig_error`]).

use std::borrow::Cow;
use std::fmt;

use secondo_wire::Reason;

use crate::record::Misfit;

/// Values of the TSIG record's error field (RFC 8945 §3). They share numbers with other codes (16 is BADVERS in EDNS)
/// and never stand in a header, whose RCODE is NOTAUTH then.
pub mod tsig_error {
    /// The MAC does not verify.
    pub const BADSIG: u16 = 16;
    /// The key or the algorithm is not known.
    pub const BADKEY: u16 = 17;
    /// The clocks differ by more than the fudge.
    pub const BADTIME: u16 = 18;
    /// The MAC is shorter than local policy permits.
    pub const BADTRUNC: u16 = 22;
}

/// Why an answer is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealError {
    /// The stable reason.
    pub reason: Reason,
    /// The rule that was broken, with its RFC section.
    pub detail: Cow<'static, str>,
    /// The primary's clock minus ours in seconds, where its MAC proved what it says; told with `TsigBadTime` only.
    pub skew: Option<i64>,
    /// Whether a MAC proved that the primary itself said so. When not, anybody may have sent it: over UDP such an
    /// answer is ignored and waiting goes on (RFC 8945 §5.4).
    pub proven: bool,
}

impl SealError {
    /// An error that nothing proves.
    pub(crate) fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> SealError {
        SealError { reason, detail: detail.into(), skew: None, proven: false }
    }

    /// An error in a message whose MAC is good.
    pub(crate) fn proven(reason: Reason, detail: impl Into<Cow<'static, str>>) -> SealError {
        SealError { proven: true, ..SealError::new(reason, detail) }
    }
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for SealError {}

impl From<Misfit> for SealError {
    fn from(misfit: Misfit) -> SealError {
        SealError::new(reason_of(misfit), misfit.to_string())
    }
}

/// A message that cannot be walked tells nothing about its seal; all else is the seal's fault.
pub(crate) fn reason_of(misfit: Misfit) -> Reason {
    match misfit {
        Misfit::Message(_) => Reason::MalformedMessage,
        _ => Reason::TsigMalformed,
    }
}
