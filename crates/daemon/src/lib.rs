//! # daemon: the edge
//!
//! **Job**: everything that touches the world: sockets, clocks, signals, the configuration file, the control socket,
//! the log; and the one loop that drives the rooms behind it.
//! **In**: a configuration ([`config`]), packets, signals, requests of the control socket.
//! **Out**: answers, transfers, NOTIFYs, log events.
//! **Never**: decides what the rooms below decide: when to ask ([`secondo_lifecycle`]), what arrived
//! ([`secondo_transfer`]), what to say ([`secondo_answer`]); publishes what was not committed ([`secondo_store`]).
//! **Source**: RFC 7766 (TCP), RFC 1996 §3.6 (NOTIFY out), RFC 5452 §9 (ports and IDs),
//! RFC 9715 §3.1 (datagrams that nobody fragments).

mod calendar;
pub mod cli;
mod clock;
pub mod config;
pub mod control;
mod descriptors;
mod downstream;
mod event;
mod flaws;
mod floods;
mod listing;
mod losses;
mod notices;
mod primary;
mod publish;
mod refusals;
mod respond;
mod run;
mod scheduler;
mod signals;
mod socket;
mod table;
mod tally;
pub mod tls;
mod udp;
mod user;

pub use run::run;
