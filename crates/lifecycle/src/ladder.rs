//! The ladder within a round: from IXFR to AXFR to the next address to the next primary.

use secondo_wire::Class;

use crate::outcome::Step;

/// What follows a failed attempt within its round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The same address, the whole zone.
    Axfr,
    /// The next address of the primary, else the next primary.
    Address,
    /// The next primary.
    Primary,
    /// Nothing: the same again, later.
    Later,
}

/// The second column of the failure table, in the one place where it is decided.
pub(crate) fn next(class: Class, step: Step) -> Next {
    match (class, step) {
        // RFC 1995 §4: a broken difference is no reason to doubt the primary, only the difference. Once for a change:
        // the primary is not asked for IXFR again before another version is served.
        (Class::IxfrUnavailable | Class::Malformed, Step::Ixfr) => Next::Axfr,
        (Class::IxfrUnavailable | Class::Refused | Class::Seal | Class::Network, _) => Next::Address,
        // Behind one address there may be several servers: what one told of, another may send.
        (Class::Serial, Step::Axfr | Step::Ixfr) => Next::Address,
        (Class::Malformed | Class::Serial | Class::Rejected, _) => Next::Primary,
        (Class::Local, _) => Next::Later,
    }
}
