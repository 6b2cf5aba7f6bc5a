//! # wire: the words
//!
//! **Job**: names, serials, record types and messages as they stand on the wire, read and written without surprise.
//! **In**: octets from anybody, presentation text from the configuration.
//! **Out**: typed words ([`Name`], [`Key`](KeyBuf), [`Serial`], [`Soa`], [`RecordType`], [`Reason`]), a walk over a
//! message that allocates nothing ([`Message`]), RDATA expanded or compressed by the layout of its type ([`rdata`]),
//! records in presentation format ([`text`]).
//! **Never**: opens a socket, asks the clock, panics on foreign octets, loops without a bound.
//! **Source**: RFC 1035 §3-5, RFC 1982, RFC 3597, RFC 4034 §6, RFC 4343, RFC 6891, RFC 7314, RFC 8914.

pub mod control;
pub mod edns;
mod fold;
mod key;
mod message;
mod name;
mod owner;
mod prepared;
pub mod rdata;
mod reason;
mod rtype;
mod serial;
mod soa;
pub mod text;
mod writer;

pub use key::{KeyBuf, key_common_labels, key_labels, key_parent, name_of_key};
pub use message::{Header, Malformed, Message, Opcode, Question, Rcode, Record, Records, Section, flags};
pub use name::{Labels, MAX_LABEL, MAX_NAME, Name, NameBuf, NameError, NameRef, read_name, skip_name};
pub use owner::Owner;
pub use prepared::Prepared;
pub use reason::{Class, Reason};
pub use rtype::RecordType;
pub use serial::{Serial, SerialOrder};
pub use soa::Soa;
pub use writer::{Compressor, Full, Writer};

/// DNS class IN (RFC 1035 §3.2.4).
pub const CLASS_IN: u16 = 1;
/// DNS class CH (RFC 1035 §3.2.4).
pub const CLASS_CH: u16 = 3;
/// QCLASS NONE (RFC 2136 §2.4).
pub const CLASS_NONE: u16 = 254;
/// QCLASS ANY (RFC 1035 §3.2.5), also the class of a TSIG record (RFC 8945 §4.2).
pub const CLASS_ANY: u16 = 255;
/// Largest DNS message, by the two octets of TCP framing (RFC 1035 §4.2.2).
pub const MAX_MESSAGE: usize = 65_535;
