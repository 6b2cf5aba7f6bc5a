//! # downstream: those who transfer from us
//!
//! **Job**: TCP and TLS connections, the transfers that go out on them, and NOTIFY to those who wait for new versions.
//! **In**: connections, new versions.
//! **Out**: answers in framed messages, each written whole; zones as streams of messages.
//! **Never**: lets one slow client hold another, or memory grow with what a client does not read; waits for a client without hearing
//! that somebody else wants its place.
//! **Source**: RFC 7766 §6, RFC 1122 §4.2.2.13, RFC 7858 §3, RFC 9103 §7, RFC 5936 §2.2, RFC 1996 §3.6.

mod connection;
mod farewell;
mod frame;
mod herald;
mod listener;
mod places;
mod sending;

pub(crate) use herald::{Herald, Heralds, NOTIFIES};
pub(crate) use listener::{Limits, TcpRoom, most_connections};
