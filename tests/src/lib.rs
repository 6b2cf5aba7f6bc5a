//! **Job**: the harness of the end-to-end tests: real primaries (BIND, Knot DNS, NSD, PowerDNS), the real `secondo`, and
//! `dig` and `kdig` as clients, all on loopback.
//! **In**: zones as text, keys made by `tsig-keygen`. **Out**: running servers and what they answer, record by record.
//! **Never**: sleeps in place of waiting for a condition; touches a port, folder or process that it did not make.
//! **Source**: the manual of each server. The tests themselves cite the RFCs.
//!
//! Each noun has its file. A test reads as a story: write a zone, start a primary, start secondo as its secondary, do
//! something to the primary, wait for what the log must say, compare what both serve.

pub mod bind;
pub mod config;
pub mod crowd;
pub mod datagram;
pub mod dice;
pub mod dig;
pub mod events;
pub mod folder;
pub mod keys;
pub mod knot;
pub mod leaf;
pub mod message;
pub mod name;
pub mod nsd;
pub mod pair;
pub mod pdns;
pub mod peers;
pub mod port;
pub mod primary;
pub mod process;
pub mod proxy;
pub mod record;
pub mod secondo;
pub mod signer;
pub mod tls;
pub mod tree;
pub mod types;
pub mod volley;
pub mod wait;
pub mod zonefile;

pub use config::Config;
pub use folder::Folder;
pub use keys::Key;
pub use pair::Pair;
pub use peers::Software;
pub use port::Port;
pub use primary::{Plan, Primary};
pub use secondo::Secondo;
pub use zonefile::Zone;
