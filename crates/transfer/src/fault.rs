//! Why a probe or a transfer failed: the reason, and the rule that was broken.

use secondo_tsig::SealError;
use secondo_wire::{Class, Malformed, Name, Rcode, Reason};
use secondo_zone::{BuildError, PatchError};

/// A probe, a transfer or a version failed. Nothing of it is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Fault {
    /// Decides the next step.
    pub reason: Reason,
    /// Which rule was broken, with its RFC section, owner and type where known. One line, without secrets.
    pub detail: String,
    /// The primary's clock minus ours in seconds, where a seal told it.
    pub skew: Option<i64>,
    /// The primary may understand the same question without EDNS: ask it once more so, at once (RFC 6891 §7). Never set
    /// when the question had no EDNS.
    pub without_edns: bool,
    /// The key that the question was sealed with; filled in by the one who asked.
    pub key: Option<Name>,
    /// There was a connection, and the answer did not come to its end on it; filled in by the one who asked.
    pub cut_short: bool,
}

/// What was asked, as far as the meaning of a response code depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Soa,
    Axfr,
    Ixfr,
}

impl Fault {
    /// A fault of this reason.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Fault {
        Fault { reason, detail: detail.into(), skew: None, without_edns: false, key: None, cut_short: false }
    }

    /// What an error code means for this question. `edns`: the question had EDNS, and this is the first answer.
    pub(crate) fn of_rcode(rcode: Rcode, question: Question, edns: bool) -> Fault {
        let reason = match (question, rcode) {
            (_, Rcode::REFUSED) => Reason::Refused,
            (_, Rcode::NOTAUTH) => Reason::NotAuth,
            // RFC 1995 §4, RFC 5936 §7: who does not know IXFR says so; the zone may still be had as a whole.
            (Question::Ixfr, Rcode::NOTIMP) => Reason::IxfrNotImplemented,
            (Question::Ixfr, Rcode::FORMERR) => Reason::IxfrFormatError,
            // No RFC tells what else may be wrong with the history of a zone: one AXFR finds out.
            (Question::Ixfr, _) => Reason::IxfrServerFailure,
            (_, Rcode::SERVFAIL) => Reason::ServerFailure,
            (_, Rcode::NXDOMAIN) => Reason::NoSuchZone,
            (_, Rcode::FORMERR) => Reason::FormatError,
            (_, Rcode::NOTIMP) => Reason::NotImplemented,
            _ => Reason::OtherRcode,
        };
        let what = match question {
            Question::Soa => "SOA",
            Question::Axfr => "AXFR",
            Question::Ixfr => "IXFR",
        };
        let mut fault = Fault::new(reason, format!("{} to the {what} question", rcode_text(rcode)));
        // RFC 6891 §7: an old server answers EDNS with FORMERR or NOTIMP; §6.1.3: a newer one with BADVERS.
        fault.without_edns = edns && matches!(rcode, Rcode::FORMERR | Rcode::NOTIMP | Rcode::BADVERS);
        fault
    }

    /// The same fault while differences are awaited: what is malformed here may be in order as a whole zone.
    ///
    /// The limits of a zone hold for both forms, so they keep their own reason.
    pub(crate) fn within_differences(mut self) -> Fault {
        let limit = matches!(
            self.reason,
            Reason::LimitBytes
                | Reason::LimitRecords
                | Reason::LimitRrset
                | Reason::LimitTypes
                | Reason::LimitEmptyMessages
        );
        if self.reason.class() == Class::Malformed && !limit {
            self.detail = format!("{}: {}", self.reason, self.detail);
            self.reason = Reason::IxfrMalformed;
        }
        self
    }
}

/// The mnemonic of a response code (IANA registry).
pub(crate) fn rcode_text(rcode: Rcode) -> String {
    match rcode {
        Rcode::FORMERR => "FORMERR".into(),
        Rcode::SERVFAIL => "SERVFAIL".into(),
        Rcode::NXDOMAIN => "NXDOMAIN".into(),
        Rcode::NOTIMP => "NOTIMP".into(),
        Rcode::REFUSED => "REFUSED".into(),
        Rcode::NOTAUTH => "NOTAUTH".into(),
        Rcode::BADVERS => "BADVERS".into(),
        Rcode(other) => format!("RCODE {other}"),
    }
}

impl From<SealError> for Fault {
    fn from(error: SealError) -> Fault {
        Fault { skew: error.skew, ..Fault::new(error.reason, error.to_string()) }
    }
}

impl From<BuildError> for Fault {
    fn from(error: BuildError) -> Fault {
        Fault::new(error.reason(), error.to_string())
    }
}

impl From<PatchError> for Fault {
    fn from(error: PatchError) -> Fault {
        Fault::new(error.reason(), error.to_string())
    }
}

impl From<Malformed> for Fault {
    fn from(error: Malformed) -> Fault {
        Fault::new(Reason::MalformedMessage, format!("{error} (RFC 1035 §4.1)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_code_means_what_the_question_makes_of_it() {
        use Question::*;
        for (question, rcode, reason) in [
            (Ixfr, Rcode::NOTIMP, Reason::IxfrNotImplemented),
            (Ixfr, Rcode::FORMERR, Reason::IxfrFormatError),
            (Ixfr, Rcode::SERVFAIL, Reason::IxfrServerFailure),
            (Ixfr, Rcode::NXDOMAIN, Reason::IxfrServerFailure),
            (Ixfr, Rcode(11), Reason::IxfrServerFailure),
            (Ixfr, Rcode::REFUSED, Reason::Refused),
            (Ixfr, Rcode::NOTAUTH, Reason::NotAuth),
            (Axfr, Rcode::NOTIMP, Reason::NotImplemented),
            (Axfr, Rcode::FORMERR, Reason::FormatError),
            (Axfr, Rcode::SERVFAIL, Reason::ServerFailure),
            (Axfr, Rcode::NXDOMAIN, Reason::NoSuchZone),
            (Soa, Rcode::REFUSED, Reason::Refused),
            (Soa, Rcode(11), Reason::OtherRcode),
        ] {
            let fault = Fault::of_rcode(rcode, question, false);
            assert_eq!((fault.reason, fault.without_edns), (reason, false), "{question:?} {rcode:?}");
        }
    }

    #[test]
    fn only_a_question_with_edns_is_repeated_without() {
        for rcode in [Rcode::FORMERR, Rcode::NOTIMP, Rcode::BADVERS] {
            assert!(Fault::of_rcode(rcode, Question::Axfr, true).without_edns);
            assert!(!Fault::of_rcode(rcode, Question::Axfr, false).without_edns);
        }
        assert!(!Fault::of_rcode(Rcode::SERVFAIL, Question::Axfr, true).without_edns);
    }

    #[test]
    fn malformed_differences_leave_axfr_open_and_limits_stay_limits() {
        let within = |reason| Fault::new(reason, "x").within_differences().reason;
        assert_eq!(within(Reason::WrongClass), Reason::IxfrMalformed);
        assert_eq!(within(Reason::LimitBytes), Reason::LimitBytes);
        assert_eq!(within(Reason::TsigBadSig), Reason::TsigBadSig);
        assert_eq!(within(Reason::Refused), Reason::Refused);
    }
}
