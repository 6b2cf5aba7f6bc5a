//! Errors that a request is answered with, and what explains them (RFC 8914).

use std::borrow::Cow;
use std::fmt;

use secondo_wire::Rcode;
use secondo_wire::edns::ede;

use crate::slot::Serving;

/// Invalid Query Type (RFC 9824 §7.2 registers it): a type that stands for a name's absence was asked for.
const INVALID_QUERY_TYPE: u16 = 30;

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
