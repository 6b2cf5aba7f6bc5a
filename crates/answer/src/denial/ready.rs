//! What most denials of a version have in common, ready for messages: its SOA, and what speaks of the names right below its
//! apex. Made when the version is first asked for something that is not there, so that zones nobody asks cost nothing, by the
//! thread that was asked; what others are asked meanwhile they answer without.

use secondo_wire::{CLASS_IN, Full, KeyBuf, NameBuf, Prepared, RecordType, Writer};
use secondo_zone::{Node, Rrset, Seek, Version};

use super::{nsec, nsec3};
use crate::reply::ttl_of;

/// Of one version of a zone; the base of its records is the apex.
pub(super) struct Ready {
    /// RFC 2308 §3, §5: the SOA with the TTL of negative answers.
    soa: Option<Prepared>,
    /// The same with its signatures, where it has any.
    signed_soa: Option<Option<Prepared>>,
    /// NSEC: that there is no wildcard right below the apex.
    pub(super) nsec: Option<Shown>,
    /// NSEC3, of the first chain: the apex, and that there is no wildcard right below it.
    pub(super) nsec3: Option<(Shown, Option<Shown>)>,
}

/// A record that proves something, with its signatures.
pub(super) struct Shown {
    pub(super) records: Prepared,
    /// See [`place`].
    pub(super) place: usize,
    /// By which its node is found again.
    key: Box<[u8]>,
}

impl Ready {
    pub(super) fn of(zone: &Version) -> Ready {
        let ttl = zone.soa_ttl().min(zone.soa().minimum);
        let (soa, signatures) = zone.apex_node().signed_rrset(RecordType::SOA);
        let soa = |signatures: Option<Rrset<'_>>| {
            let sets = soa.into_iter().chain(signatures);
            prepared(zone, zone.apex_node(), sets.map(|set| (set, ttl)))
        };
        let nsec3 = nsec3::at_apex(zone);
        let shown = |node: Node<'_>| Shown::of(zone, node, RecordType::NSEC3);
        Ready {
            soa: soa(None),
            signed_soa: signatures.map(|signatures| soa(Some(signatures))),
            nsec: no_wildcard(zone).and_then(|node| Shown::of(zone, node, RecordType::NSEC)),
            nsec3: nsec3.and_then(|(apex, wildcard)| Some((shown(apex)?, wildcard.and_then(shown)))),
        }
    }

    /// The SOA of a negative answer, with its signatures or without.
    pub(super) fn soa(&self, signed: bool) -> Option<&Prepared> {
        match &self.signed_soa {
            Some(soa) if signed => soa.as_ref(),
            _ => self.soa.as_ref(),
        }
    }
}

impl Shown {
    fn of(zone: &Version, node: Node<'_>, rtype: RecordType) -> Option<Shown> {
        let (rrset, signatures) = node.signed_rrset(rtype);
        let sets = rrset.into_iter().chain(signatures).map(|set| (set, set.ttl()));
        let mut key = KeyBuf::new();
        node.key_into(&mut key);
        Some(Shown { place: place(rrset?), records: prepared(zone, node, sets)?, key: key.as_slice().into() })
    }

    /// The node that shows it.
    pub(super) fn node<'z>(&self, zone: &'z Version) -> Option<Node<'z>> {
        let hashed = || zone.hashed_at_or_before(&self.key).filter(|node| node.cmp_key(&self.key).is_eq());
        zone.find(&self.key).or_else(hashed)
    }
}

/// Where a set stands in memory, by which it is known again as long as its version is held.
pub(super) fn place(rrset: Rrset<'_>) -> usize {
    rrset.rdatas().next().map_or(0, |rdata| rdata.as_ptr().addr())
}

/// The node whose NSEC shows that there is no wildcard right below the apex.
fn no_wildcard(zone: &Version) -> Option<Node<'_>> {
    let mut key = KeyBuf::new();
    key.push_label(b"*");
    match zone.seek(key.as_slice()) {
        Seek::Missing(gap) if zone.apex_has(RecordType::NSEC) => {
            Some(nsec::witness(zone, Seek::Missing(gap).into(), || key.as_slice()))
        }
        _ => None,
    }
}

/// Sets of a node, with the TTLs given.
fn prepared<'z>(
    zone: &Version,
    node: Node<'_>,
    sets: impl Iterator<Item = (Rrset<'z>, u32)> + Clone,
) -> Option<Prepared> {
    let mut owner = NameBuf::new();
    node.name_into(&mut owner);
    let write = |writer: &mut Writer<'_>| {
        let mut records = 0;
        for (set, ttl) in sets {
            for rdata in set.rdatas() {
                writer.record(owner.as_ref(), set.rtype(), CLASS_IN, ttl_of(ttl), rdata)?;
                records += 1;
            }
        }
        Ok::<u16, Full>(records)
    };
    Prepared::new(zone.apex().as_ref(), write).filter(|prepared| prepared.records() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::signer::{Chain, signed};
    use crate::testing::zone;

    #[test]
    fn the_soa_is_prepared_with_signatures_where_it_has_some_and_else_once() {
        let plain = zone("example.", "a A 192.0.2.1");
        let ready = Ready::of(&plain);
        assert!(ready.signed_soa.is_none());
        assert!([true, false].iter().all(|&wanted| ready.soa(wanted).unwrap().records() == 1));
        let ready = Ready::of(&signed(&plain, &[Chain::Nsec]));
        assert_eq!([true, false].map(|wanted| ready.soa(wanted).unwrap().records()), [2, 1]);
    }
}
