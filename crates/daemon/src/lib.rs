//! daemon

pub mod config;
