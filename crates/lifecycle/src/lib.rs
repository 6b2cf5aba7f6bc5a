//! # lifecycle: when
//!
//! **Job**: decides for each zone when to ask which primary for what, what follows a failure, and until when the zone
//! is answered from; and keeps what all zones share: the timer wheel, admission, the primaries' health.
//! **In**: [`Event`]s with the time they are handled at ([`Now`]), the zone's [`Settings`], the [`Confirmation`] kept
//! on disk.
//! **Out**: [`Action`]s (probe, transfer, confirm, expire …) and the next deadline.
//! **Never**: reads a clock, opens a socket or a file, waits, logs, allocates for a zone that is at rest.
//! **Source**: RFC 1034 §4.3.5, RFC 1995 §2 and §4, RFC 1996 §3 and §4, RFC 1982 §3, RFC 7314 §2-4, RFC 5936 §6.
//!
//! The grammar of the caller, for every zone:
//!
//! 1. [`Machine::new`], then put [`Machine::next_deadline`] into the [`Wheel`];
//! 2. when something happens or the wheel says so: [`Machine::handle`] one event;
//! 3. drain [`Machine::poll_action`] and do what it says;
//! 4. put the new [`Machine::next_deadline`] into the wheel, wait, go to 2.
//!
//! A [`Action::Probe`] or [`Action::Transfer`] goes through [`Admission`] and, once admitted, [`Health::ask`]; with a
//! permit the caller tells [`Event::Sent`] and sends. Each is answered by exactly one [`Event::Probed`] or
//! [`Event::Transferred`], unless [`Action::Cancel`] took it back. An accepted NOTIFY goes to [`Health::notified`]
//! first, then to the machine. `tests/many.rs` is such a caller in a page.

mod accept;
mod action;
mod admission;
mod attempts;
mod backoff;
mod confirmation;
mod event;
mod expiry;
mod health;
mod ladder;
mod machine;
mod memory;
mod notify;
mod now;
mod outcome;
mod reconfigure;
mod round;
mod settings;
mod timers;
mod wheel;

pub use accept::{Accept, Judgement};
pub use action::{Action, AttemptId, Question, Urgency};
pub use admission::{Admission, AdmissionLimits, Errand, Ticket};
pub use backoff::HoldDown;
pub use confirmation::{Confirmation, Standing};
pub use event::{Event, Failure, Kind, ProbeAnswer, Restored, Transferred};
pub use expiry::Validity;
pub use health::{Health, Permit, Turn};
pub use machine::{Activity, Attempt, Machine, Suspended};
pub use notify::{BURST, REFILL};
pub use now::{BootId, Now};
pub use outcome::{NotifyIgnored, Outcome, Step};
pub use round::Cause;
pub use settings::{
    Bounds, MAX_ADDRESSES, MAX_PRIMARIES, Primary, PrimaryId, Settings, SettingsError, Target,
};
pub use wheel::{Wheel, ZoneId};
