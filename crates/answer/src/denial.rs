//! Denial of existence: what a reply says beyond its data when something is *not* there.
//!
//! Each such case is one value of [`Denial`], made by the lookup, and all of them come to [`Denial::write`]. Negative
//! answers carry the zone's SOA; zones are answered without NSEC and NSEC3 proofs.

use secondo_wire::{Full, NameRef, Rcode, RecordType, Section};
use secondo_zone::Zone;

use crate::reply::Reply;

/// Something that does not exist, and where that showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    /// Neither the name nor a wildcard that would stand for it (RFC 8020 §2).
    NameError,
    /// The name exists, the type does not (RFC 2308 §2.2).
    NoData,
    /// The name exists only through names below it (RFC 4592 §2.2.2).
    EmptyNonTerminal,
    /// A wildcard stands for the name; the type does not exist there.
    WildcardNoData,
    /// A wildcard stood for the name and the type exists: only the name itself is missing.
    Expansion,
    /// The cut has no DS: the child is not signed, or not below our seal.
    InsecureReferral,
}

impl Denial {
    /// The response code of a reply that ends here.
    pub(crate) fn rcode(self) -> Rcode {
        match self {
            Denial::NameError => Rcode::NXDOMAIN,
            _ => Rcode::NOERROR,
        }
    }

    /// Writes what the denial adds to the authority section. `apex` is the zone's name, spelled as it should appear.
    pub(crate) fn write(self, reply: &mut Reply<'_>, zone: &Zone, apex: NameRef<'_>) -> Result<(), Full> {
        match self {
            Denial::NameError | Denial::NoData | Denial::EmptyNonTerminal | Denial::WildcardNoData => {
                negative_soa(reply, zone, apex)
            }
            Denial::Expansion | Denial::InsecureReferral => Ok(()),
        }
    }
}

/// RFC 2308 §3, §5: the SOA of the zone that denies, its TTL lowered to the negative TTL; so is its signature's.
fn negative_soa(reply: &mut Reply<'_>, zone: &Zone, apex: NameRef<'_>) -> Result<(), Full> {
    let ttl = zone.soa_ttl().min(zone.soa().minimum);
    let node = zone.apex_node();
    match node.rrset(RecordType::SOA) {
        Some(soa) => reply.signed_rrset(Section::Authority, apex, node, soa, Some(ttl)),
        None => reply.record(Section::Authority, apex, RecordType::SOA, ttl, zone.soa_rdata()),
    }
}
