//! # control: the operator's side door
//!
//! **Job**: a unix socket on which programs and the `secondo` command ask and order, one JSON object a line each way.
//! **In**: [`Request`]s, at most [`MAX_LINE`] octets each.
//! **Out**: a [`Response`] to each, in order; ahead of it, for some, a [`Text`] of any length in pieces.
//! **Never**: blocks the scheduler on a slow client; shows a secret; holds a long text whole.

mod client;
mod explanation;
mod protocol;
mod server;
mod text;

pub use client::{ClientError, ask, read};
pub use explanation::{Attempt, Explanation, Sentences};
pub use protocol::{
    Command, Health, LastError, Limited, NewerVersion, Problem, Refusal, Request, Response, ServerProblem,
    Summary, Unanswered, ZoneOutcome, ZoneStatus,
};
pub use server::{Ask, listen, serve};
pub use text::{Gone, Text};

/// Longest line in either direction that is read of a request, octets.
pub const MAX_LINE: usize = 1 << 20;
