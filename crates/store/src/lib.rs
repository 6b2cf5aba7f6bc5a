//! # store: the disk
//!
//! **Job**: what is published survives a crash: zones, and when a primary last vouched for them.
//! **In**: [`CheckedZone`](secondo_transfer::CheckedZone)s and [`Confirmation`]s, from many zones at once.
//! **Out**: [`Committed`], the only ticket to publication: [`Durability::Durable`], or [`Durability::Volatile`] when
//! the disk refuses; at start, [`Restored`] zones with their confirmations.
//! **Never**: serves or restores a byte whose checksum or structure is wrong; keeps the daemon from starting (only
//! another daemon's lock does); loses a version silently.
//! **Source**: RFC 1034 §4.3.5 (the expiry clock that must survive); ARCHITECTURE.md, "Disk".
//!
//! ```text
//! state-dir/
//!   lock            held while a daemon runs
//!   secondo.db      SQLite in WAL mode: facts, small zones whole, confirmations, journal of differences, retirements
//!   zones/*.pages   the base version of each large zone: header, pages with checksums, end mark
//!   damaged/        page files and databases found damaged, set aside for a person to look at; the newest few
//! ```
//!
//! Two threads: the writer gives all that is asked at once one transaction and one sync; the scribe writes page files
//! beside it, so that a large zone keeps no other one waiting. A page file is durable before the row that refers to it
//! is, and removed only after the row that no longer does.
//!
//! A zone's facts hold the checksum of its image, and that of the last step of its journal; each step's checksum covers
//! the one before. So a version is put together from its own pieces or not at all, even when damage has made SQLite mix
//! older pages with newer ones. A confirmation counts only together with the version it vouches for; a version without
//! one is expired until a primary vouches again.
//!
//! The store is a cache of the primaries. A damaged zone is reported, removed and fetched again; other zones are not
//! affected. When SQLite finds its own file damaged, at start or later, all rows that can still be read go into a new
//! file, and the old one is set aside. What no checksum can tell is a log cut short: it reads like one that was never
//! longer, and gives an earlier version with the confirmation of that time.

mod backlog;
mod chain;
mod committed;
mod confirmation;
mod database;
mod disk;
mod facts;
mod history;
mod image;
mod journal;
mod ledger;
mod op;
mod reader;
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
pub use disk::{Disk, Fill, Folder};
pub use history::{History, HistoryError};
pub use op::{Notice, Recovered};
pub use restore::{Damage, Restored};
pub use store::{OpenError, Opened, Store};
