//! # sim: the other side, by script
//!
//! **Job**: plays those whom the real rooms talk to. Primaries: honest ones over loopback sockets, ones that die, change
//! their key or go back in time, ones that break exactly one rule of a transfer; and worlds without sockets, where time
//! is a number. Clients: questions and whole zones.
//! **In**: zones from master files, changes to them, keys, a [`Script`] of faults.
//! **Out**: [`Primary`] on a loopback port, or [`World`], the same primary as a function from request to answer; a diary of
//! what was asked; NOTIFY with repeats until it is answered; [`ask`] and [`fetch`].
//! **Never**: leaves loopback, shares code with the daemon or with the transfers that we send on, answers in another way
//! than its script says.
//! **Source**: RFC 1034 §4.3.5, RFC 1035 §5, RFC 1995, RFC 1996, RFC 5936, RFC 7314, RFC 8945.

mod change;
mod client;
mod compose;
mod deliver;
mod diary;
mod fault;
mod history;
mod master;
mod misshape;
mod notify;
mod primary;
mod record;
mod request;
mod world;

pub use change::{Change, ChangeError};
pub use client::{Answer, ask, fetch};
pub use deliver::Delivery;
pub use diary::{Asked, Over};
pub use fault::{Fault, Kind, Script};
pub use history::History;
pub use master::{MasterError, read_records, read_zone};
pub use notify::{Notified, NotifyError};
pub use primary::{Primary, Setup, free_port};
pub use record::Rr;
pub use world::World;

// What a script is written in, so that those who use this room need no other.
pub use secondo_tsig::{Algorithm, Key};
pub use secondo_wire::{Name, RecordType, Serial};
pub use secondo_zone::{Difference, Zone};
