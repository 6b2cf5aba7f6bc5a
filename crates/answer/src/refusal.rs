//! Errors that a request is answered with, and what explains them (RFC 8914).

use std::borrow::Cow;
use std::fmt;

use secondo_tsig::Rejected;
use secondo_wire::edns::ede;
use secondo_wire::{Opcode, Rcode, Reason, RecordType};

use crate::request::Frame;
use crate::slot::Serving;

/// Invalid Query Type (RFC 9824 §7.2 registers it): a type that stands for a name's absence was asked for.
const INVALID_QUERY_TYPE: u16 = 30;

/// A request that was not granted and that an operator may wonder about: for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What was asked for.
    pub asked: Asked,
    /// What the asker was told.
    pub rcode: Rcode,
    /// Why.
    pub cause: Cause,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To look at the primary.
    Notify,
    /// A transfer, full or incremental.
    Transfer,
    /// Anything else; told of only when its seal is broken.
    Query,
}

/// Why a request was not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No rule of the zone's access list admits the address and key.
    AccessList,
    /// No zone of that name is configured.
    NotOurs,
    /// The zone was never loaded or has expired.
    NotServed,
    /// The request is malformed or asks for what is not implemented.
    Unsupported,
    /// The seal is broken.
    Seal {
        /// The stable code.
        reason: Reason,
        /// The rule that was broken, with its RFC section.
        detail: Cow<'static, str>,
        /// The asker's clock minus ours in seconds, when that is the fault.
        skew: Option<i64>,
    },
}

impl Refused {
    pub(crate) fn by_seal(frame: &Frame<'_>, rejected: &Rejected) -> Refused {
        let (reason, detail, skew) = (rejected.reason, rejected.detail.clone(), rejected.skew);
        Refused {
            asked: Asked::of(frame),
            rcode: rejected.rcode,
            cause: Cause::Seal { reason, detail, skew },
        }
    }

    /// `None` for queries: nothing is told of each of them.
    pub(crate) fn by(frame: &Frame<'_>, refusal: &Refusal) -> Option<Refused> {
        let asked = Asked::of(frame);
        let cause = match refusal.ede.as_ref().map(|ede| ede.code) {
            Some(ede::PROHIBITED) => Cause::AccessList,
            Some(ede::NOT_AUTHORITATIVE) => Cause::NotOurs,
            Some(ede::NOT_READY | ede::INVALID_DATA) => Cause::NotServed,
            _ => Cause::Unsupported,
        };
        (asked != Asked::Query).then_some(Refused { asked, rcode: refusal.rcode, cause })
    }
}

impl Asked {
    fn of(frame: &Frame<'_>) -> Asked {
        match frame.question.map(|question| question.rtype) {
            _ if frame.header.opcode() == Opcode::NOTIFY => Asked::Notify,
            Some(RecordType::AXFR | RecordType::IXFR) => Asked::Transfer,
            _ => Asked::Query,
        }
    }
}

/// A response code in place of an answer. The extended DNS error goes to those who use EDNS, if there is room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) rcode: Rcode,
    pub(crate) ede: Option<Ede>,
}

/// An extended DNS error: its code and, perhaps, a few words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ede {
    pub(crate) code: u16,
    pub(crate) text: Cow<'static, str>,
}

impl Refusal {
    /// The request is malformed or asks for what cannot be asked for.
    pub(crate) const FORMAT: Refusal = Refusal::plain(Rcode::FORMERR);
    /// An access list says no.
    pub(crate) const PROHIBITED: Refusal = Refusal::because(Rcode::REFUSED, ede::PROHIBITED);
    /// The zone is not ours.
    pub(crate) const NOT_OURS: Refusal = Refusal::because(Rcode::REFUSED, ede::NOT_AUTHORITATIVE);
    /// The zone is not ours, said to those who may know what is.
    pub(crate) const NOT_AUTHORITATIVE: Refusal = Refusal::because(Rcode::NOTAUTH, ede::NOT_AUTHORITATIVE);
    /// RFC 5155 §7.2.9: the name is not there, and the zone's chain says that it is.
    pub(crate) const COLLISION: Refusal = Refusal {
        rcode: Rcode::SERVFAIL,
        ede: Some(Ede {
            code: ede::OTHER,
            text: Cow::Borrowed("an NSEC3 record has the hash of a name that does not exist"),
        }),
    };
    /// Only class IN is answered.
    pub(crate) const CLASS: Refusal = Refusal::because(Rcode::REFUSED, ede::NOT_SUPPORTED);
    /// NXNAME cannot be asked for.
    pub(crate) const QUERY_TYPE: Refusal = Refusal::because(Rcode::FORMERR, INVALID_QUERY_TYPE);

    pub(crate) const fn plain(rcode: Rcode) -> Refusal {
        Refusal { rcode, ede: None }
    }

    const fn because(rcode: Rcode, code: u16) -> Refusal {
        Refusal { rcode, ede: Some(Ede { code, text: Cow::Borrowed("") }) }
    }

    /// The zone is configured and there is nothing to answer from.
    pub(crate) fn unserved(serving: Serving) -> Refusal {
        match serving {
            Serving::Expired { confirmed_ago } => {
                let text = format!("zone expired, last confirmed {} ago", Ago(confirmed_ago / 1000));
                Refusal {
                    rcode: Rcode::SERVFAIL,
                    ede: Some(Ede { code: ede::INVALID_DATA, text: text.into() }),
                }
            }
            Serving::NeverLoaded | Serving::Current { .. } => {
                Refusal::because(Rcode::SERVFAIL, ede::NOT_READY)
            }
        }
    }
}

/// Seconds, in the two largest units that say something.
struct Ago(u64);

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, hours, minutes) = (self.0 / 86_400, self.0 / 3600 % 24, self.0 / 60 % 60);
        match (days, hours, minutes) {
            (0, 0, 0) => write!(f, "{}s", self.0),
            (0, 0, _) => write!(f, "{minutes}m{}s", self.0 % 60),
            (0, ..) => write!(f, "{hours}h{minutes}m"),
            _ => write!(f, "{days}d{hours}h"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_since_the_last_contact_is_short_to_read() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (61, "1m1s"),
            (7260, "2h1m"),
            (90_000, "1d1h"),
            (u64::MAX / 1000, "213503982334d14h"),
        ] {
            assert_eq!(Ago(seconds).to_string(), text);
        }
    }
}
