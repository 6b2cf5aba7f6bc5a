//! The authority section of a referral with its glue, and the additional section of answers.

use std::net::IpAddr;

use secondo_wire::{Full, KeyBuf, NameRef, RecordType, Section};
use secondo_zone::{Node, Rrset, Version};

use crate::bounds::ADDITIONAL_NAMES;
use crate::denial::{Denial, Proofs, Unsaid};
use crate::lookup::{Finding, diverted};
use crate::reply::Reply;

/// How a name with addresses stands to the zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Authoritative data.
    Authoritative,
    /// At or below a cut: glue.
    Glue,
    /// Below a DNAME: not to be seen.
    Occluded,
}

/// Writes a referral (RFC 1034 §4.3.2 step 3b): NS, DS or its absence, glue. `owner` is the name of the cut; `Full`
/// when NS or DS do not fit.
pub(crate) fn refer(
    reply: &mut Reply<'_>,
    zone: &Version,
    (owner, cut, ns): (NameRef<'_>, Node<'_>, Rrset<'_>),
    client: IpAddr,
    key: &mut KeyBuf,
    proofs: &mut Proofs,
) -> Result<(), Unsaid> {
    reply.rrset(Section::Authority, owner, ns, None)?;
    if reply.dnssec() {
        // RFC 4035 §3.1.4: DS or the proof that there is none. What nobody signed is not DNSSEC's.
        match cut.rrset(RecordType::DS) {
            Some(ds) if cut.signatures(RecordType::DS).is_some() => {
                reply.signed_rrset(Section::Authority, owner, cut, ds, None)?;
            }
            Some(_) => {}
            None => proofs.write(&Denial::InsecureReferral { cut }, reply, zone, owner, key)?,
        }
    }
    let in_domain = |target: &NameRef<'_>| target.is_at_or_below(owner);
    // RFC 9471 §3.1: without its in-domain glue the referral is of no use, so its lack is told.
    for target in targets(ns).filter(in_domain) {
        if let Some(node) = node_at(zone, target, key)
            && add_addresses(reply, target, node, Standing::Glue, client).is_err()
        {
            reply.mark_truncated();
            return Ok(());
        }
    }
    // RFC 9471 §3.2: addresses of other servers in this zone are a courtesy.
    for target in targets(ns).filter(|target| !in_domain(target)).take(ADDITIONAL_NAMES) {
        let Some(node) = node_at(zone, target, key) else { continue };
        let standing = standing(zone, key, node);
        if standing != Standing::Occluded && add_addresses(reply, target, node, standing, client).is_err() {
            break;
        }
    }
    Ok(())
}

/// Adds the addresses of the names that the records of `owner`'s answer point to, as far as the same zone is
/// authoritative for them and they fit (RFC 1034 §4.3.2 step 6). Of name servers the glue too: without it those who are told of
/// all servers of a zone could reach none of them, as when resolvers begin with the root's (RFC 9609 §4.1).
pub(crate) fn add_targets(
    reply: &mut Reply<'_>,
    zone: &Version,
    (owner, rrset): (NameRef<'_>, Rrset<'_>),
    client: IpAddr,
    key: &mut KeyBuf,
) {
    let rtype = rrset.rtype();
    // RFC 9460 §2.5.2: with the root for a target the service is at the owner itself.
    let effective = |(target, rdata)| match Binding::of(rtype, rdata) {
        Some(Binding::Service) if NameRef::is_root(target) => owner,
        _ => target,
    };
    for (nth, pointer) in pointers(rrset).take(ADDITIONAL_NAMES).enumerate() {
        let target = effective(pointer);
        // RFC 2181 §5: no record twice; several MX or SRV may share a target.
        if target.is_root() || pointers(rrset).take(nth).any(|before| effective(before) == target) {
            continue;
        }
        // RFC 4592 §3.3 and RFC 1034 §3.6.2 are left alone here: neither wildcards nor aliases are followed.
        let Some(node) = node_at(zone, target, key) else { continue };
        let standing = standing(zone, key, node);
        match standing {
            Standing::Authoritative => {}
            Standing::Glue if rtype == RecordType::NS => {}
            Standing::Glue | Standing::Occluded => continue,
        }
        // RFC 9460 §4.1: where the alias leads there may be a service.
        let service = match Binding::of(rtype, pointer.1) {
            Some(Binding::Alias) => node.rrset(rtype).filter(|_| target != owner),
            _ => None,
        };
        let bound = service
            .map_or(Ok(()), |service| reply.signed_rrset(Section::Additional, target, node, service, None));
        if bound.is_err() || add_addresses(reply, target, node, standing, client).is_err() {
            break;
        }
    }
}

/// What a SVCB or HTTPS record says of its target (RFC 9460 §2.4).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Binding {
    /// Priority 0: another name for the owner.
    Alias,
    Service,
}

impl Binding {
    fn of(rtype: RecordType, rdata: &[u8]) -> Option<Binding> {
        match rtype {
            RecordType::SVCB | RecordType::HTTPS if rdata.starts_with(&[0, 0]) => Some(Binding::Alias),
            RecordType::SVCB | RecordType::HTTPS => Some(Binding::Service),
            _ => None,
        }
    }
}

/// A before AAAA for those who ask over IPv4, the other way round over IPv6. Signatures only for authoritative data:
/// glue is never signed (RFC 4035 §2.2).
fn add_addresses(
    reply: &mut Reply<'_>,
    owner: NameRef<'_>,
    node: Node<'_>,
    standing: Standing,
    client: IpAddr,
) -> Result<(), Full> {
    let order = match client.to_canonical() {
        IpAddr::V4(_) => [RecordType::A, RecordType::AAAA],
        IpAddr::V6(_) => [RecordType::AAAA, RecordType::A],
    };
    for rrset in order.into_iter().filter_map(|rtype| node.rrset(rtype)) {
        match standing {
            Standing::Authoritative => {
                reply.signed_rrset(Section::Additional, owner, node, rrset, None)?;
            }
            _ => reply.rrset(Section::Additional, owner, rrset, None)?,
        }
    }
    Ok(())
}

/// The names that records of a type point to, in uncompressed RDATA (RFC 1035 §3.3, RFC 2782, RFC 9460 §2.2).
fn targets<'z>(rrset: Rrset<'z>) -> impl Iterator<Item = NameRef<'z>> + use<'z> {
    pointers(rrset).map(|(target, _)| target)
}

/// The same with the RDATA that each stands in.
fn pointers<'z>(rrset: Rrset<'z>) -> impl Iterator<Item = (NameRef<'z>, &'z [u8])> + use<'z> {
    let offset = match rrset.rtype() {
        RecordType::NS => Some(0),
        RecordType::MX | RecordType::SVCB | RecordType::HTTPS => Some(2),
        RecordType::SRV => Some(6),
        _ => None,
    };
    let rdatas = offset.map(|offset| (offset, rrset.rdatas()));
    rdatas.into_iter().flat_map(|(offset, rdatas)| {
        rdatas.filter_map(move |rdata| Some((NameRef::split_from(rdata.get(offset..)?)?.0, rdata)))
    })
}

/// The node of exactly this name (RFC 1034 §4.3.3: never through a wildcard); leaves its key behind.
fn node_at<'z>(zone: &'z Version, name: NameRef<'_>, key: &mut KeyBuf) -> Option<Node<'z>> {
    if !key.set(name, zone.apex().as_ref()) {
        return None;
    }
    zone.find(key.as_slice())
}

fn standing(zone: &Version, key: &KeyBuf, node: Node<'_>) -> Standing {
    let key = key.as_slice();
    let above = secondo_wire::key_parent(key).and_then(|parent| diverted(zone, key, parent.len()));
    match above {
        Some(Finding::Redirection { .. }) => Standing::Occluded,
        Some(_) => Standing::Glue,
        None if !key.is_empty() && node.has(RecordType::NS) => Standing::Glue,
        None => Standing::Authoritative,
    }
}
