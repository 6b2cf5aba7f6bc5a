//! # demo: the whole story on loopback
//!
//! **Job**: starts a scripted primary and the real daemon as its secondary, in a process of its own, and tells what
//! happens between them while it happens; each line is printed only after it was seen.
//! **In**: the zone file that it ships, the daemon's answers and its log.
//! **Out**: a story on standard output; an exit code that is 0 only when every act was seen.
//! **Never**: leaves loopback, leaves a process or a file behind, says what it did not see.
//! **Source**: RFC 1995, RFC 1996, RFC 5936, RFC 7314, RFC 8914, RFC 8945: what the story shows.

mod daemon;
mod folder;
mod interrupt;
mod log;
mod numbers;
mod stage;
mod stay;
mod story;
mod voice;

pub use daemon::Daemon;
pub use folder::Folder;
pub use interrupt::Interrupt;
pub use log::{Event, Log};
pub use stage::Stage;
pub use stay::stay;
pub use story::tell;
pub use voice::Voice;
