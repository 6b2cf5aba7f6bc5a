//! # store: the disk
//!
//! **Job**: what is published survives a crash: zones, and when a primary last vouched for them.
//! **In**: [`CheckedZone`](secondo_transfer::CheckedZone)s and [`Confirmation`]s, from many zones at once.
//! **Out**: [`Committed`], the only ticket to publication: [`Durability::Durable`], or [`Durability::Volatile`] when
//! the disk refuses; at start, [`Restored`] zones with their confirmations; the [`History`] of a zone.
//! **Never**: serves or restores a byte whose checksum or structure is wrong; keeps the daemon from starting (only
//! another daemon's lock does); loses a version silently.
//! **Source**: RFC 1034 §4.3.5 (the expiry clock that must survive); ARCHITECTURE.md, "Disk".
//!
//! ```text
//! state-dir/
//!   lock            held while a daemon runs
//!   secondo.db      SQLite in WAL mode: facts, small zones whole, confirmations, journal of differences, retirements
//!   zones/*.pages   the image of each large zone: header, pages with checksums, end mark
//!   damaged/        page files and databases found damaged, set aside for a person to look at; the newest few
//! ```
//!
//! Three threads: the `writer` gives all that is asked at once one `transaction` and one sync; the `scribe` writes page
//! files beside it and the `reader` reads histories and zones, so that a large zone keeps no other one waiting. A page file is
//! durable before the row that refers to it is, and removed only after the row that no longer does.
//!
//! A zone is an `image` and a `chain` of steps, in which the image stands somewhere. The steps behind it are in the
//! `journal` because they are cheaper than a new image; those before it because earlier versions are wanted. So kept
//! versions cost no memory, and on disk what changed: a version is made again, by the steps that lead back to it, when
//! somebody asks for it. At start only the image and the steps behind it are read.
//!
//! ## Invariants
//!
//! Asserted where they are made, checked of what comes from the disk, tested as properties and with damage at every offset:
//!
//! * `first ≤ image ≤ next`: the numbers of the first step kept, of the first one behind the image, of the next.
//! * Each step holds the checksum of the one before it, and the `facts` those of the image and of the last step. So a
//!   version is put together from its own pieces or not at all, even when damage has made SQLite mix older pages with
//!   newer ones.
//! * A version that comes back has the digest that was noted when it was committed.
//! * A step is written only if it leads on from the newest version on disk; whatever else comes begins a new chain.
//! * With each version at most as many steps stay as earlier ones are wanted, or as stand behind the image, 8192; at most
//!   twice the octets of the image, or 16 MiB.
//! * A confirmation counts only together with the version it vouches for; a version without one is expired until a
//!   primary vouches again.
//!
//! ## Damage
//!
//! The store is a cache of the primaries. A damaged zone is reported, removed and fetched again; other zones are not
//! affected. Damage behind an image that is met while running costs earlier versions alone: the next version has an image
//! of its own. When SQLite finds its own file damaged, at start or later, all rows that can still be read go into a new
//! file, and the old one is set aside. A log with damage before its last commit is said (`log_scan`); what no checksum can
//! tell is one cut short: it reads like one that was never longer, and gives an earlier version with the confirmation of
//! that time.

mod backlog;
mod batch;
mod bounds;
mod chain;
mod committed;
mod confirmation;
mod confirmations;
mod database;
mod disk;
mod facts;
mod handle;
mod history;
mod image;
mod images;
mod inventory;
mod journal;
mod ledger;
mod log_scan;
mod op;
mod reader;
mod renewals;
mod restore;
mod row;
mod scribe;
mod state_dir;
mod store;
mod transaction;
mod verdict;
mod writer;

pub use committed::{Committed, Durability};
pub use confirmation::Confirmation;
pub use disk::{Disk, Fill, Folder, NewFile};
pub use history::{History, HistoryError};
pub use op::{Notice, Recovered};
pub use restore::{Damage, Restored};
pub use store::{OpenError, Opened, Store};
