//! # zone: the matter
//!
//! **Job**: one immutable version of a zone as a tree of pages: built, changed, compared, looked up.
//! **In**: records (owner, type, TTL, uncompressed RDATA) in any order, differences, pages from a disk, keys to look up.
//! **Out**: [`Zone`] with its [`Node`]s and [`Rrset`]s, [`Difference`], pages for the disk.
//! **Never**: opens a file or a socket, asks the clock, changes a version, panics on foreign octets.
//! **Source**: RFC 1034 §4.3.2-3, RFC 1995 §4, RFC 2181 §5, RFC 4034 §6, RFC 4592 §2.2, RFC 5155 §3, RFC 5936 §2.2.
//!
//! From below: an RRset lies in a page as octets (`rrset`), a `page` is a run of owners and is where a search ends, a
//! `border` is where it ends, a `tree` is a sequence of pages, a `zone` is two trees. The `builder` writes trees, by
//! way of `sort` and `run` when owners are out of order; the `patch` changes them by way of `rebuild`; a `difference` is what
//! `compare` finds between them, and `dense` is how it lies in a journal; `check` takes trees from a disk, in `pieces`.
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
//! Asserted where they are made, checked of pages from a disk, tested as properties; those of a single room stand at its head:
//!
//! * After any history a zone has the pages of a fresh build of its content.
//! * A page holds at least one owner, an owner at least one RRset, an RRset at least one record; keys, RRsets and
//!   records ascend; there is one way to write each.
//! * The first owner of the main tree is the apex, which has exactly one SOA.
//! * An owner is in one of the two trees.
//! * A page holds one owner, or less than 40 KiB of keys and RRsets, whatever the names.
//! * A difference leads back as it leads on, and there is one way to write it.
//!
//! ## Streams in any order
//!
//! Owners in canonical order go straight into pages. Those that do not are sorted in runs of a mebibyte (later of a
//! sixteenth of what has come), within the cache, and merged at the end with the pages there are. The caller may give a
//! place for runs ([`Builder::spill_to`]); what is read back from there is checked by sums kept here. Blocks of a run in memory
//! are given back while the pages grow, so that even without such a place a transfer of the zone that we have, in any order,
//! needs little more than the zone once more.
//!
//! ## Starting
//!
//! [`Zone::from_pages`] believes nothing: keys, order, borders, fingerprints, RDATA are checked and the digest is reckoned.
//! Since borders are content-defined, a page behind a natural border can be checked without those before it; so pieces of
//! a thousand pages are shared out among as many threads as there are processors, eight at most, which are gone when it returns.
//!
//! ## Versions that are not kept
//!
//! A version that nobody holds is gone, pages that it alone had with it. What leads from one version to the next can be
//! reversed, so an earlier version is made again of the one at hand and the steps of a journal: [`Difference::apply_all`] collects
//! what they come to and writes each page once.
//!
//! ## Names chosen by others
//!
//! Borders hang on a keyed hash of names. Names that were ground against another secret make the pages of any names, which a
//! test shows for names that each end a page there and for names that end none. Under a secret that somebody knew all the same
//! pages are larger, and bounded: 20,000 names that would each end a page make 9 pages of up to 41 KB.
//!
//! ## Figures
//!
//! `cargo bench -p secondo-zone --bench figures [-- --ten-million]`: 1.8 records a name, best of three rounds in time of
//! the thread on two processors of an AMD EPYC (32 MiB L3) that others used too; in parentheses ratios within the run, to the
//! first row of the kind or to the hash map. What several threads do is by the clock on the wall, memory is what the system tells
//! in a process of its own.
//!
//! | records | 99,812 | 998,611 | 9,990,092 |
//! | --- | --- | --- | --- |
//! | memory, octets a record | 18.2 | 18.2 | 18.2 |
//! | on disk, octets a record | 17.5 | 17.4 | 17.4 |
//! | build, canonical order, ns a record | 97 | 107 | 107 |
//! | build, any order | 160 (1.64x) | 192 (1.80x) | 191 (1.79x) |
//! | build over the same zone, canonical order | 86 (0.88x) | 112 (1.05x) | 104 (0.97x) |
//! | build over the same zone, any order, runs in a file | 159 (1.64x) | 183 (1.71x) | 199 (1.86x) |
//! | peak memory of that in sizes of the zone, canonical order | 1.06 | 1.06 | 1.07 |
//! | peak memory of that in sizes of the zone, any order, runs in a file | 1.72 | 1.39 | 1.37 |
//! | peak memory of that in sizes of the zone, any order, runs in memory | 2.41 | 2.30 | 2.30 |
//! | build over a zone of which every record changed, canonical order \* | 103 (0.84x) | 120 (1.04x) | 126 (1.03x) |
//! | peak memory of that in sizes of the zone, canonical order | 1.81 | 2.01 | 2.05 |
//! | what is left of it when the version before is gone | 1.29 | 1.12 | 1.02 |
//! | peak memory of that in sizes of the zone, any order, runs in a file | 2.33 | 2.09 | 2.08 |
//! | from pages, ms on the wall | 7.5 | 47.4 | 449.4 |
//! | from pages, ns a record | 75 | 47 | 45 |
//! | the same of a zone with NSEC3 and signatures for all names \* | 415 (1.58x) | 241 (1.15x) | 334 (2.81x) |
//! | a random dependent read of 32 MiB, ns | 72 | 76 | 76 |
//! | a lookup in a standard hash map of the same names, ns | 26 | 133 | 214 |
//! | lookup of a random existing name, ns | 76 (2.87x map) | 159 (1.20x map) | 477 (2.23x map) |
//! | the same with its RRset, ns | 83 | 159 | 583 |
//! | lookup of a missing name with its neighbours, ns | 193 (7.29x map) | 242 (1.83x map) | 841 (3.94x map) |
//! | change of 20 random names, µs | 183 | 227 | 323 |
//! | 1,000 versions kept, 20 changes each, KiB a version | 79 | 103 | 120 |
//! | MiB of the process before them, with them, without them again | 5, 82, 12 | 22, 124, 30 | 194, 320, 203 |
//! | difference over those 1,000, ms | 6.3 | 31.0 | 83.1 |
//! | the same, ns a record of the difference | 189 | 788 | 2081 |
//! | chain of 1,000 differences on one RRset, ms | 1.30 | 1.33 | 1.30 |
//! | of 2,000 | 2.49 (1.91x) | 2.83 (2.12x) | 2.55 (1.97x) |
//! | the steps between those 1,000 versions in a journal, octets a record (in an IXFR) | 11.4 (40.7) | 11.4 (40.7) | 11.4 (40.7) |
//! | the same, written, ns a record \* | 50 | 47 | 48 |
//! | read and checked, ns a record \* | 63 | 60 | 49 |
//! | applied one by one, ms \* | 371 | 278 | 321 |
//! | applied at once, ms \* | 203 (0.55x) | 155 (0.56x) | 210 (0.65x) |
//! | applied at once backwards, ms \* | 189 | 215 | 215 |
//!
//! \* of another run, with more else at work on the machine (build in canonical order 115 to 123, from pages 262, 210,
//! 119): to be read as ratios.
//!
//! Memory and disk are as they were before keys of a page stood together at its front, for which an owner takes one octet more:
//! some 0.6 octets a record here. Lookups are as they were before pages were fetched ahead.

mod border;
mod branch;
mod builder;
mod check;
mod compare;
mod dense;
mod difference;
mod digest;
mod diversions;
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
mod seek;
mod sort;
mod spill;
mod tree;
mod varint;
mod work;
mod zone;

pub use border::BorderSecret;
pub use builder::{Builder, Built};
pub use check::Damage;
pub use dense::VERSION as DIFFERENCE_VERSION;
pub use difference::{BadDifference, Difference};
pub use limits::{BuildError, Limits, Notes};
pub use node::{Node, Rrsets};
pub use page::VERSION as PAGE_VERSION;
pub use patch::{Patch, PatchError, Patched};
pub use record::{Record, Records};
pub use rrset::{Rdatas, Rrset};
pub use seek::{Approach, Gap, Seek};
pub use spill::{Spill, SpillError};
#[cfg(debug_assertions)]
#[doc(hidden)]
pub use work::take_searches;
pub use zone::{Counts, Nodes, Tree, Version, Zone};
