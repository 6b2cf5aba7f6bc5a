//! # zone: the matter
//!
//! **Job**: one immutable version of a zone as a tree of pages: built, changed, compared, looked up.
//! **In**: records (owner, type, TTL, uncompressed RDATA) in any order, differences, pages from a disk, keys to look up.
//! **Out**: [`Zone`] with its [`Node`]s and [`Rrset`]s, [`Difference`], pages for the disk.
//! **Never**: opens a file or a socket, asks the clock, changes a version, panics on foreign octets.
//! **Source**: RFC 1034 §4.3.2-3, RFC 1995 §4, RFC 2181 §5, RFC 4034 §6, RFC 4592 §2.2, RFC 5155 §3, RFC 5936 §2.2.
//!
//! From below: an RRset lies in a page as octets (`rrset`), a `page` is a run of owners and is where a search ends, a
//! `border` is where it ends, a `tree` is a sequence of pages, a `zone` is two trees. The `builder` writes trees, the
//! `patch` changes them by way of `rebuild`, the `difference` compares them, `check` takes them from a disk.
//!
//! ## Why pages, and why their borders are content-defined
//!
//! An object on the heap for each name costs several times the records themselves, and parsing them again at each
//! start costs seconds. A page is one allocation for some forty names: it goes to disk and comes back as it stands, and
//! two versions share it by sharing a pointer. For that to work whatever way a version came about (a full transfer, a
//! thousand small changes, a full transfer on top of those), borders must depend on what is in the zone and on
//! nothing else. So a hash of the key says where a page ends, and bounds are counted from where the hash last said so:
//! a change moves borders up to the next such place and no farther. Hence equality of versions is equality of pages, a full
//! transfer of a zone that we have shares every page that did not change, and a difference is found by passing over
//! shared pages.
//!
//! ## Invariants
//!
//! Asserted where they are made, checked of pages from a disk, tested as properties:
//!
//! * After any history a zone has the pages of a fresh build of its content.
//! * A page holds at least one owner, an owner at least one RRset, an RRset at least one record; keys, RRsets and
//!   records ascend; there is one way to write each.
//! * The first owner of the main tree is the apex, which has exactly one SOA.
//! * An owner is in one of the two trees.
//!
//! ## Figures
//!
//! `cargo run --release -p secondo-zone --example figures`, a zone of 555,001 names and 998,611 records (46.3 MB
//! as uncompressed records), best runs on one core of an AMD EPYC (32 MiB L3) that others used too, beside 60 ns for a random
//! dependent read of 32 MiB and 150 ns for a lookup in a standard hash map of the same names:
//!
//! | | |
//! | --- | --- |
//! | memory, inner nodes and allocator included | 18.6 octets a record |
//! | build from canonical order, digest included | 124 ns a record |
//! | build from any order | 330 ns a record |
//! | lookup of a random existing name | 165 ns |
//! | of a missing one, with its neighbours | 260 ns |
//! | change of 20 names | 250 µs, 40-60 KiB a version |
//! | difference of two versions 4,000 changes apart | 12 ms |
//! | from pages, everything checked, digest reckoned | 78 ns a record |

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
mod pieces;
mod rebuild;
mod record;
mod rrset;
mod run;
mod sort;
mod spill;
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
pub use spill::{Spill, SpillError};
pub use zone::{Counts, Gap, Nodes, Seek, Tree, Zone};
