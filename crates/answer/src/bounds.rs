//! The bounds of the work that one request may cause. Few of them are configurable, and say so; those set by a protocol field are
//! named beside it.
//!
//! A name has at most 127 labels (255 octets, RFC 1035 §2.3.4). To find its zone costs one pass over it and one look into the
//! table for each depth at which there are zones. In a zone it costs at most one search, one `find` for each of its ancestors
//! at a depth where there is a cut or a DNAME, and one search for the wildcard where there are any. A search reads a
//! node for each level of the tree (mostly 64 children a node) and one page, whose owners it parts by eight at each step. Of a name
//! that is found the RRsets are passed over one by one up to the one wanted, at most twice the types that a name may have
//! (`secondo_zone::Limits::name_types`, 200 unless the configuration says otherwise: a zone beyond is not taken; one that was kept
//! from before is answered from until another version takes its place, and costs what it has). In-domain glue
//! has no bound of its own: its names stand in an NS RRset that fits the message, and each costs one `find`.
//!
//! A chain of aliases has [`CHAIN_LENGTH`] links, a request [`REQUEST_RECORDS`] records, the additional section addresses of
//! [`ADDITIONAL_NAMES`] names that nobody depends on. A name that is written costs four looks into a table for each label.
//!
//! A proof with NSEC costs at most one `find` for each label of two names. One with NSEC3 hashes at most the name, its
//! ancestors in the zone and one wildcard; mostly three names, right below the apex one, whose page is looked for twice: to have
//! it fetched, and to read it. Each is hashed once, whether the proof fits the message or not, and as many times more as the chain
//! has iterations ([`NSEC3_ITERATIONS`]); each link of a chain of aliases that came from a wildcard hashes one, and one more for each
//! link behind it that leads to a zone above or below, where the zone has both kinds of chain. `tests/bounds.rs` counts both.
//!
//! EDNS options are read once, and of each kind one is answered. A cookie costs one hash for each secret that is
//! configured and one for the answer. Where answers are limited, one costs one hash and eight numbers of a table that
//! never grows.

/// CNAME and DNAME links followed for one question; the answer ends there without an error (RFC 1034 §3.6.2 asks for
/// a bound, peers use 5 to 18).
pub const CHAIN_LENGTH: usize = 16;
/// Names whose addresses are looked up for the additional section where nobody depends on them.
pub const ADDITIONAL_NAMES: usize = 13;
/// Records of a request that are looked at; one with more is a format error.
pub const REQUEST_RECORDS: usize = 32;
/// Largest reply over UDP to a client without EDNS (RFC 1035 §4.2.1), and the least that an EDNS client can ask for
/// (RFC 6891 §6.2.3).
pub const UDP_PLAIN: usize = 512;
/// Iterations of an NSEC3 chain above which nothing is hashed, unless the configuration says otherwise.
pub const NSEC3_ITERATIONS: u16 = 150;
/// Records of other chains that are passed over, and records that a chain is followed along, for one hash.
pub(crate) const CHAIN_STEPS: usize = 64;
/// Records that prove something: one for each link of a chain, three for its end.
pub(crate) const PROOF_RECORDS: usize = CHAIN_LENGTH + 3;

#[cfg(debug_assertions)]
thread_local! {
    static HASHES: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Notes that NSEC3 hashes were reckoned, those of a chain's iterations too: in builds with assertions alone.
#[inline]
pub(crate) fn hash(count: u64) {
    #[cfg(debug_assertions)]
    HASHES.set(HASHES.get() + count);
    #[cfg(not(debug_assertions))]
    let _ = count;
}

/// How many NSEC3 hashes this thread has reckoned since it was last asked: by this the bounds are tested.
#[cfg(debug_assertions)]
#[doc(hidden)]
pub fn take_hashes() -> u64 {
    HASHES.replace(0)
}
