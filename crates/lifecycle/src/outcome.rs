//! Facts that a machine reports for log, status and metrics: typed, no text.

use std::net::IpAddr;
use std::time::Duration;

use secondo_wire::{Reason, Serial};

use crate::{Kind, PrimaryId, Target};

/// Something that an operator may want to read. `next_in` is the time until the machine acts again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `refresh.current`: a primary vouched for the version that we serve.
    RefreshCurrent {
        /// Who.
        target: Target,
        /// The serial, ours and theirs.
        serial: Serial,
        /// Until the next probe.
        next_in: Duration,
    },
    /// `zone.published`: a new version is served.
    Published {
        /// From whom.
        target: Target,
        /// Its serial.
        serial: Serial,
        /// The serial served before.
        from: Option<Serial>,
        /// In what form it came.
        kind: Kind,
        /// Until the next probe.
        next_in: Duration,
    },
    /// `refresh.failed`: every primary in its turn was asked in vain, or we ourselves could not.
    RefreshFailed {
        /// The last reason.
        reason: Reason,
        /// Whose it was.
        primary: PrimaryId,
        /// Until the next round.
        next_in: Duration,
    },
    /// `transfer.failed`, or at level debug a probe that failed: one attempt of a round.
    AttemptFailed {
        /// Whom it asked.
        target: Target,
        /// What it was about.
        step: Step,
        /// Why it failed.
        reason: Reason,
        /// The primary's serial, when known.
        serial: Option<Serial>,
    },
    /// `transfer.fallback`: IXFR cannot be had, AXFR is asked at the same address.
    Fallback {
        /// Where.
        target: Target,
        /// Why.
        reason: Reason,
    },
    /// `notify.accepted`.
    NotifyAccepted {
        /// Who sent it.
        from: IpAddr,
        /// The serial that it hints at.
        hint: Option<Serial>,
        /// Remembered until the running attempt ends or the pacing allows it.
        later: bool,
    },
    /// `notify.ignored`.
    NotifyIgnored {
        /// Who sent it.
        from: IpAddr,
        /// The serial that it hints at.
        hint: Option<Serial>,
        /// Why.
        why: NotifyIgnored,
    },
    /// A NOTIFY or a SOA told of a serial that no primary gave, twice: it is looked for no more out of turn.
    HintForgotten {
        /// The serial hinted at.
        hint: Serial,
        /// The serial served.
        serial: Serial,
    },
    /// `zone.expiring`: an early warning; given only when the primaries were asked in vain.
    Expiring {
        /// 50, 75 or 90: how much of the zone's life has gone since it was confirmed.
        percent: u8,
        /// Until it expires.
        expires_in: Duration,
        /// Why it could not be confirmed.
        reason: Reason,
    },
    /// The bounds override the zone owner's timers; said once for each set of timers.
    TimersBounded {
        /// REFRESH of the SOA in seconds, and what holds.
        refresh: (u32, Duration),
        /// RETRY, likewise.
        retry: (u32, Duration),
        /// EXPIRE, likewise; a lower bound does not hold against EDNS EXPIRE (RFC 7314 §4).
        expire: (u32, Duration),
    },
}

/// What an attempt was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The SOA.
    Probe,
    /// The whole zone.
    Axfr,
    /// The differences.
    Ixfr,
}

/// Why a NOTIFY leads to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotifyIgnored {
    /// RFC 1996 §3.7: the serial that it hints at is the one that we serve.
    AlreadyServed,
    /// The version was fetched a moment ago and is unfit.
    Rejected(Reason),
}
