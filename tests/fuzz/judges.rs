//! The judges of the rooms' tests, gathered for the engine.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

#[path = "../../crates/answer/tests/common/mod.rs"]
mod common;
#[path = "../../crates/answer/tests/fuzz/foreign.rs"]
pub mod foreign;
#[path = "../../crates/answer/tests/fuzz/seen.rs"]
mod seen;
#[path = "../../crates/answer/tests/fuzz/grown.rs"]
pub mod grown;
#[path = "../../crates/transfer/tests/fuzz/stream.rs"]
pub mod stream;
#[path = "../../crates/transfer/src/testing.rs"]
mod testing;
#[path = "../../crates/zone/tests/fuzz/stored.rs"]
pub mod stored;
