//! # zone: the matter
//!
//! **Job**: one immutable version of a zone as a tree of pages: built, changed, compared, looked up.
//! **In**: records (owner, type, TTL, uncompressed RDATA) in any order, differences, pages from a disk, keys to look up.
//! **Out**: [`Zone`] with its [`Node`]s and [`Rrset`]s, [`Difference`], pages for the disk.
//! **Never**: opens a file or a socket, asks the clock, changes a version, panics on foreign octets.
//! **Source**: RFC 1034 §4.3.2-3, RFC 1995 §4, RFC 2181 §5, RFC 4034 §6, RFC 4592 §2.2, RFC 5155 §3, RFC 5936 §2.2.

mod naive;
pub use naive::*;
