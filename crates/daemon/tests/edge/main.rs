//! The real binary on loopback: its sockets, its control socket, reloads, starts and ends, against a primary of a page.

#![allow(clippy::unwrap_used, reason = "an unwrap in a test is an assertion")]

mod answers;
mod control;
mod daemon;
mod descriptors;
mod dns;
mod explain;
mod life;
mod places;
mod primary;
mod reload;
mod tcp;
mod transfers;
mod udp;
mod versions;
