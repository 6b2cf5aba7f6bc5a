//! # sim: the other side, by script
//!
//! **Job**: plays those whom the real rooms talk to. Primaries: honest ones over loopback sockets, ones that die, change
//! their key or go back in time, ones that break exactly one rule of a transfer; and worlds without sockets, where time
//! is a number. Clients: questions and whole zones. And a disk that fails when it is told to.
//! **In**: zones from master files, changes to them, keys, a [`Script`] of faults; page files, and the [`Trouble`] that is
//! to befall them.
//! **Out**: [`Primary`] on a loopback port, or [`World`], the same primary as a function from request to answer; a diary of
//! what was asked; NOTIFY with repeats until it is answered; [`ask`] and [`fetch`]; [`FaultyDisk`], which the store takes
//! for a folder, and what a power cut leaves of it.
//! **Never**: leaves loopback, shares code with the daemon or with the transfers that we send on, answers in another way
//! than its script says; keeps a file better than POSIX promises.
//! **Source**: RFC 1034 §4.3.5, RFC 1035 §5, RFC 1995, RFC 1996, RFC 5936, RFC 7314, RFC 8945.

pub mod catalogue;
mod chance;
mod change;
mod client;
mod compose;
mod deliver;
mod diary;
mod disk;
mod fault;
mod history;
mod master;
mod medium;
mod misshape;
mod notation;
mod notify;
mod octets;
mod primary;
mod record;
mod request;
mod script;
mod tidings;
mod trouble;
mod wax;
mod world;

pub use chance::Chance;
pub use change::{Change, ChangeError};
pub use client::{Answer, ask, fetch};
pub use deliver::{Delivery, Then};
pub use diary::{Asked, Over};
pub use disk::FaultyDisk;
pub use fault::{At, Fault, Wax};
pub use history::History;
pub use master::{MasterError, read_records, read_zone};
pub use notify::{Notified, NotifyError};
pub use primary::{Primary, Setup, free_port};
pub use record::Rr;
pub use script::{Kind, Script};
pub use tidings::Tidings;
pub use trouble::{Operation, Trouble};
pub use world::World;

// What a script is written in, so that those who use this room need no other.
pub use secondo_tsig::{Algorithm, Key};
pub use secondo_wire::{Name, RecordType, Serial};
pub use secondo_zone::{Difference, Zone};
