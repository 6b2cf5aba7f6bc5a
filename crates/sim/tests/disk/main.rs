//! The store on a disk that fails: power cuts at every operation, refusals of every kind, damage at many places. What
//! comes back is an earlier committed version or the new one, never anything else, and never lives longer.

#![allow(clippy::unwrap_used)]

mod flips;
mod power;
mod refusals;
mod scene;
#[path = "../state/mod.rs"]
mod state;
