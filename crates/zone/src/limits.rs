//! Bounds of a zone, what is refused and what is tolerated while one is made.

use crate::spill::SpillError;
use secondo_wire::{KeyBuf, Name, NameRef, Reason, RecordType, rdata};

/// Bounds of a zone, enforced while it is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of all records in uncompressed wire form.
    pub max_bytes: u64,
    /// Records.
    pub max_records: u64,
    /// Records of one RRset.
    pub rrset_records: u32,
    /// Types at one name; of its signatures, types that they cover.
    pub name_types: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { max_bytes: 4 << 30, max_records: u64::MAX, rrset_records: 65_535, name_types: 200 }
    }
}

/// Why records make no zone, with owner and type of the record that was one too many.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The owner is neither the apex nor below it.
    #[error("{owner} {rtype}: the owner lies outside of the zone")]
    OutOfZone {
        /// Owner.
        owner: Name,
        /// Type.
        rtype: RecordType,
    },
    /// RDATA does not fit its type, or is longer than 65,535 octets.
    #[error("{owner} {rtype}: RDATA does not fit its type")]
    BadRdata {
        /// Owner.
        owner: Name,
        /// Type.
        rtype: RecordType,
    },
    /// A type that cannot be zone data (RFC 6895 §3.1).
    #[error("{owner} {rtype}: the type cannot be zone data (RFC 6895 §3.1)")]
    MetaType {
        /// Owner.
        owner: Name,
        /// Type.
        rtype: RecordType,
    },
    /// A SOA elsewhere than at the apex (RFC 1034 §4.2.1).
    #[error("{owner} SOA: the owner is not the apex (RFC 1034 §4.2.1)")]
    SoaForeign {
        /// Owner.
        owner: Name,
    },
    /// No SOA at the apex (RFC 1034 §4.2.1).
    #[error("{apex} SOA: the zone has none (RFC 1034 §4.2.1)")]
    SoaMissing {
        /// Apex.
        apex: Name,
    },
    /// Two different SOA records at the apex (RFC 2181 §5).
    #[error("{apex} SOA: the zone has two different ones (RFC 2181 §5)")]
    SoaTwice {
        /// Apex.
        apex: Name,
    },
    /// More than [`Limits::max_bytes`].
    #[error("{owner} {rtype}: the zone is larger than {limit} octets")]
    LimitBytes {
        /// Owner.
        owner: Name,
        /// Type.
        rtype: RecordType,
        /// The limit.
        limit: u64,
    },
    /// More than [`Limits::max_records`].
    #[error("{owner} {rtype}: the zone has more than {limit} records")]
    LimitRecords {
        /// Owner.
        owner: Name,
        /// Type.
        rtype: RecordType,
        /// The limit.
        limit: u64,
    },
    /// More than [`Limits::rrset_records`].
    #[error("{owner} {rtype}: the RRset has more than {limit} records")]
    LimitRrset {
        /// Owner.
        owner: Name,
        /// Type.
        rtype: RecordType,
        /// The limit.
        limit: u32,
    },
    /// More than [`Limits::name_types`].
    #[error("{owner} {rtype}: the name has more than {limit} types")]
    LimitTypes {
        /// Owner.
        owner: Name,
        /// Type; RRSIG where it is that of the signatures which cover too many.
        rtype: RecordType,
        /// The limit.
        limit: u32,
    },
    /// The place for owners out of order failed ([`crate::Builder::spill_to`]).
    #[error("owners out of order cannot be read back: {0}")]
    Spill(#[from] SpillError),
}

impl BuildError {
    /// Its place in the one enumeration of reasons.
    pub fn reason(&self) -> Reason {
        match self {
            BuildError::OutOfZone { .. } | BuildError::BadRdata { .. } => Reason::BadRdata,
            BuildError::MetaType { .. } => Reason::MetaType,
            BuildError::SoaForeign { .. } => Reason::SoaForeign,
            BuildError::SoaMissing { .. } => Reason::SoaMissing,
            BuildError::SoaTwice { .. } => Reason::SoaMismatch,
            BuildError::LimitBytes { .. } => Reason::LimitBytes,
            BuildError::LimitRecords { .. } => Reason::LimitRecords,
            BuildError::LimitRrset { .. } => Reason::LimitRrset,
            BuildError::LimitTypes { .. } => Reason::LimitTypes,
            BuildError::Spill(_) => Reason::Disk,
        }
    }
}

/// Checks what can be told from a record alone, and makes its owner's key.
pub(crate) fn admit(
    apex: NameRef<'_>,
    owner: NameRef<'_>,
    rtype: RecordType,
    rdata: &[u8],
    key: &mut KeyBuf,
) -> Result<(), BuildError> {
    if !key.set(owner, apex) {
        return Err(BuildError::OutOfZone { owner: owner.to_owned(), rtype });
    }
    admit_data(owner, rtype, rdata, key.as_slice())
}

/// The same when the key is known.
#[inline]
pub(crate) fn admit_data(
    owner: NameRef<'_>,
    rtype: RecordType,
    rdata: &[u8],
    key: &[u8],
) -> Result<(), BuildError> {
    if rtype.is_meta() {
        return Err(BuildError::MetaType { owner: owner.to_owned(), rtype });
    }
    if rtype == RecordType::SOA && !key.is_empty() {
        return Err(BuildError::SoaForeign { owner: owner.to_owned() });
    }
    if rdata.len() > usize::from(u16::MAX) || rdata::validate(rtype, rdata).is_err() {
        return Err(BuildError::BadRdata { owner: owner.to_owned(), rtype });
    }
    Ok(())
}

/// What was tolerated while a zone was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notes {
    /// Records that were there already and were dropped (RFC 2181 §5).
    pub duplicates: u64,
    /// RRsets that came with more than one TTL (RFC 2181 §5.2).
    pub mixed_ttls: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_owner_and_type() {
        let owner = Name::parse("a.example.").unwrap();
        let error = BuildError::LimitTypes { owner: owner.clone(), rtype: RecordType::TXT, limit: 7 };
        assert_eq!(error.to_string(), "a.example. TXT: the name has more than 7 types");
        assert_eq!(error.reason(), Reason::LimitTypes);
        let error = BuildError::LimitRrset { owner, rtype: RecordType::TXT, limit: 7 };
        assert_eq!(error.to_string(), "a.example. TXT: the RRset has more than 7 records");
        assert_eq!(error.reason(), Reason::LimitRrset);
    }
}
