//! What a machine wants done.

use std::time::Duration;

use secondo_wire::Serial;

use crate::{Accept, Confirmation, Outcome, Target};

/// Names one attempt of one machine, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(pub u32);

/// Something to do, in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask for the SOA, with an empty EDNS EXPIRE option (RFC 7314 §2).
    Probe {
        /// To be named in the answer.
        attempt: AttemptId,
        /// Whom.
        target: Target,
        /// How it stands in the queue.
        urgency: Urgency,
    },
    /// Fetch the zone.
    Transfer {
        /// To be named in the answer.
        attempt: AttemptId,
        /// From whom.
        target: Target,
        /// What to ask.
        question: Question,
        /// What may be published; the job asks it before it commits.
        accept: Accept,
        /// How it stands in the queue.
        urgency: Urgency,
    },
    /// The attempt is no longer wanted: stop it, or complete a commit that has begun and report it.
    Cancel {
        /// Which.
        attempt: AttemptId,
    },
    /// A primary vouched for the version served: write it down, extend the published expiry.
    Confirm(Confirmation),
    /// Stop answering from the zone.
    Expire {
        /// How long ago the zone was last confirmed.
        confirmed_ago: Duration,
    },
    /// The zone expired and is valid again; always followed by the `Confirm` that says until when.
    Revive {
        /// The serial that is valid.
        serial: Serial,
    },
    /// A fact for log, status and metrics.
    Report(Outcome),
}

/// What a transfer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// The whole zone (RFC 5936).
    Axfr,
    /// The differences since the version served (RFC 1995 §3).
    Ixfr {
        /// Its serial.
        from: Serial,
    },
}

/// The order in which attempts are admitted: the lesser first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// An operator or a NOTIFY wants it.
    Asked,
    /// More than half of the zone's life has gone since it was confirmed; expires at this moment (boot clock).
    Expiring(Duration),
    /// Nothing is served: never loaded, or expired.
    NotServed,
    /// In the ordinary course of things; expires at this moment (boot clock).
    Routine(Duration),
}
