//! A primary for the tests of this folder.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secondo_lifecycle::PrimaryId;

use super::{Lines, Way};
use crate::config::PrimaryConfig;

/// The way to an unsigned primary without TLS, whose limits of time are so long that no test comes upon them unawares.
pub(super) fn way(address: SocketAddr) -> Way {
    let primary = PrimaryConfig {
        name: "p".into(),
        addresses: vec![address],
        keys: Vec::new(),
        tls: None,
        source_ipv4: None,
        source_ipv6: None,
        ixfr: true,
        transfer_timeout: Duration::from_secs(7200),
        idle_timeout: Duration::from_secs(60),
        minimum_rate: 10240,
    };
    Way {
        zone: "example.".parse().unwrap(),
        address,
        id: PrimaryId(0),
        primary: Arc::new(primary),
        lines: Lines::default(),
        habits: Arc::default(),
    }
}
