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
//!   secondo.db      SQLite in WAL mode: meta, zones (small ones whole), confirmations, journal of differences
//!   zones/*.pages   one image per version of a large zone: header, pages with checksums, end mark
//!   damaged/        what was found damaged, set aside for a person to look at
//! ```
//!
//! The store is a cache of the primaries: damage is reported, set aside and fetched again. A confirmation counts only
//! together with the version it vouches for; a version without one is expired until a primary vouches again.

mod committed;
mod confirmation;
mod database;
mod disk;
mod facts;
mod image;
mod ledger;
mod op;
mod restore;
mod row;
mod scribe;
mod state_dir;
mod store;
mod transaction;
mod writer;

pub use committed::{Committed, Durability};
pub use confirmation::Confirmation;
pub use disk::{Disk, Fill, Folder};
pub use op::{Notice, Recovered};
pub use restore::{Damage, Restored};
pub use store::{OpenError, Opened, Store};
