//! # zone: the matter
//!
//! **Job**: one immutable version of a zone as a tree of pages: built, changed, compared, looked up.
//! **In**: records (owner, type, TTL, uncompressed RDATA) in any order, differences, pages from a disk, keys to look up.
//! **Out**: [`Zone`] with its [`Node`]s and [`Rrset`]s, [`Difference`], pages for the disk.
//! **Never**: opens a file or a socket, asks the clock, changes a version, panics on foreign octets.
//! **Source**: RFC 1034 §4.3.2-3, RFC 1995 §4, RFC 2181 §5, RFC 4034 §6, RFC 4592 §2.2, RFC 5155 §3, RFC 5936 §2.2.
//!
//! From below: a `border` is where a page ends, an `rrset` lies in a page as octets, a `page` is a run of owners, a
//! `tree` is a sequence of pages, a `zone` is two trees. The `builder` writes trees, the `patch`
//! changes them, the `difference` compares them, `check` takes them from a disk.
//!
//! Invariants, checked in debug builds and by the property tests:
//!
//! * After any history a zone has the pages of a fresh build of its content.
//! * A page holds at least one owner, an owner at least one RRset, an RRset at least one record; keys, RRsets and records ascend.
//! * The first owner of the main tree is the apex, which has exactly one SOA.
//! * An owner is in one of the two trees.

mod border;
mod branch;
mod builder;
mod check;
mod difference;
mod digest;
mod edit;
mod limits;
mod node;
mod nsec3;
mod owner;
mod page;
mod page_writer;
mod patch;
mod rebuild;
mod record;
mod rrset;
mod sort;
mod tree;
mod varint;
mod zone;

pub use border::BorderSecret;
pub use builder::{Builder, Built};
pub use check::Damage;
pub use difference::{BadDifference, Difference};
pub use limits::{BuildError, Limits, Notes};
pub use node::{Node, Rrsets};
pub use patch::{Patch, PatchError, Patched};
pub use record::{Record, Records};
pub use rrset::{Rdatas, Rrset};
pub use zone::{Counts, Gap, Nodes, Seek, Tree, Zone};
