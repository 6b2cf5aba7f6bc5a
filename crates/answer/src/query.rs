//! An ordinary query: the zone that answers, and the chain of aliases through all zones that we serve
//! (RFC 1034 §4.3.2).

use std::net::IpAddr;
use std::sync::Arc;

use secondo_wire::{Full, KeyBuf, Name, NameBuf, NameRef, Rcode, RecordType, Section};
use secondo_zone::{Approach, Node, Rrset, Version};

use crate::additional::{add_targets, refer};
use crate::bounds::CHAIN_LENGTH;
use crate::cookies::{Cookie, Malformed};
use crate::denial::{Denial, Proofs, Unsaid, depth, shows_nsec};
use crate::limiter::{Kind, Subject};
use crate::lookup::{Finding, approach, look_up};
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::request::{Frame, Question};
use crate::scene::{Approached, zone_for};
use crate::slot::Held;
use crate::table::{Entry, Table};
use crate::{Client, Clock, Origin, Transport};

/// What stays the same along a chain.
pub(crate) struct Asker<'r> {
    pub(crate) table: &'r Table,
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    /// The key whose seal was verified.
    pub(crate) key: Option<&'r Name>,
    /// What its DNS cookie is worth, if it sent one and they are in use.
    pub(crate) cookie: Option<Result<Cookie, Malformed>>,
}

impl<'r> Asker<'r> {
    /// Of whom nothing is known yet but the address.
    pub(crate) fn new(table: &'r Table, client: Client, clock: Clock) -> Asker<'r> {
        Asker { table, client, clock, key: None, cookie: None }
    }

    pub(crate) fn address(&self) -> IpAddr {
        self.client.addr.ip()
    }

    /// As access lists see it.
    pub(crate) fn origin(&self) -> Origin<'_> {
        Origin { address: self.address(), key: self.key, tls: self.client.transport == Transport::Tls }
    }
}

/// A link of the chain that was followed; the last points to all before it.
struct Link<'l> {
    name: NameRef<'l>,
    entry: &'l Arc<Entry>,
    zone: &'l Version,
    /// The owner of the DNAME that was answered with.
    dname: Option<NameRef<'l>>,
    /// What is still to be said of the link in the authority section, which comes after all answers.
    denial: Option<Denial<'l>>,
    before: Option<&'l Link<'l>>,
}

impl<'l> Link<'l> {
    /// This link and those before it.
    fn all(&self) -> impl Iterator<Item = &Link<'l>> {
        std::iter::successors(Some(self), |link| link.before)
    }
}

/// Opens the authority section with what the links of the chain have left to say there.
fn close(
    asker: &Asker<'_>,
    link: Option<&Link<'_>>,
    reply: &mut Reply<'_>,
    key: &mut KeyBuf,
) -> Result<Proofs, Unsaid> {
    let mut proofs = Proofs::new(asker.table.nsec3_iterations());
    for link in link.into_iter().flat_map(Link::all) {
        if let Some(denial) = &link.denial {
            proofs.write(denial, reply, link.zone, link.name, key)?;
        }
    }
    Ok(proofs)
}

/// Answers a query of class IN for an ordinary type. `key` holds the key of its name.
pub(crate) fn answer(
    asker: &Asker<'_>,
    frame: &Frame<'_>,
    question: Question<'_>,
    approached: Approached<'_>,
    reply: &mut Reply<'_>,
    key: &mut KeyBuf,
) -> Result<(), Refusal> {
    let Approached { scene, approach } = approached;
    let entry = scene.entry;
    if !may_ask(asker, entry, question) {
        return Err(Refusal::PROHIBITED);
    }
    let held = scene.held.as_ref().map_err(|serving| Refusal::unserved(*serving))?;
    let at_apex = question.name == entry.apex.as_ref();
    if question.rtype == RecordType::SOA && at_apex {
        reply.tell_expire(frame, held.expires_in);
    }
    reply.tell_version(frame, held.zone());
    // A zone for a name is at or above it.
    let approach = approach.ok_or(Refusal::NOT_OURS)?;
    let here = Here { name: question.name, entry, approach };
    match follow(asker, question.rtype, here, None, reply, key) {
        Ok(()) => Ok(()),
        Err(Unsaid::Full) => {
            reply.give_up(entry.apex.as_ref());
            Ok(())
        }
        Err(Unsaid::Collision) => Err(Refusal::COLLISION),
    }
}

/// Those who may transfer a zone may ask for its SOA: they need it to know when.
fn may_ask(asker: &Asker<'_>, entry: &Entry, question: Question<'_>) -> bool {
    let probe = question.rtype == RecordType::SOA && question.name == entry.apex.as_ref();
    entry.query.admits(asker.origin()) || (probe && entry.transfer.admits(asker.origin()))
}

/// The name looked up next, and where; its key is in the scratch space.
struct Here<'l> {
    name: NameRef<'l>,
    entry: &'l Arc<Entry>,
    approach: Approach<'l>,
}

impl<'l> Here<'l> {
    /// `None` for a zone that the name does not lie in.
    fn new(
        name: NameRef<'l>,
        entry: &'l Arc<Entry>,
        zone: &'l Version,
        key: &mut KeyBuf,
    ) -> Option<Here<'l>> {
        approach(zone, name, key).map(|approach| Here { name, entry, approach })
    }
}

/// Looks one name up, writes what is found, and goes on to the next name of the chain. Each step keeps its zone and
/// name in its own frame; the bound of the chain bounds the depth.
fn follow(
    asker: &Asker<'_>,
    qtype: RecordType,
    here: Here<'_>,
    before: Option<&Link<'_>>,
    reply: &mut Reply<'_>,
    key: &mut KeyBuf,
) -> Result<(), Unsaid> {
    let Here { name, entry, approach } = here;
    let zone = approach.zone();
    let finding = look_up(approach, qtype, key);
    if qtype == RecordType::DS
        && let Finding::Referral { below: 1.., .. } = finding
        && let Some(child) = asker.table.exact(name)
        && let Some(held) = held_for(asker, child)
        && let Some(here) = Here::new(name, child, held.zone(), key)
    {
        // RFC 4035 §3.1.4.1: the zone above that we hold is not the parent, so the child tells that it has no DS.
        return follow(asker, qtype, here, before, reply, key);
    }
    if before.is_none() && asker.table.limiter().is_some() {
        reply.set_subject(subject(&finding, name, zone));
    }
    // RFC 6604 §2: AA belongs to the first name; a chain begins with one that we have authority over.
    if !matches!(finding, Finding::Referral { .. }) {
        reply.set_authoritative();
    }
    // RFC 2181 §5: the same record stands once in a message, however often it is used.
    let has_dname = |owner: NameRef<'_>| {
        let same = |link: &Link<'_>| Arc::ptr_eq(link.entry, entry) && link.dname == Some(owner);
        before.is_some_and(|link| link.all().any(same))
    };
    let (target, denial, dname) = match finding {
        Finding::Answer { node, rrset, denial } => {
            if rrset.rtype() != RecordType::DNAME || !has_dname(name) {
                reply.signed_rrset(Section::Answer, name, node, rrset, None)?;
            }
            let mut proofs = close(asker, before, reply, key)?;
            if let Some(denial) = &denial {
                proofs.write(denial, reply, zone, name, key)?;
            }
            add_targets(reply, zone, (name, rrset), asker.address(), key);
            return Ok(());
        }
        Finding::Several { node, denial } => {
            let written = reply.dnssec() && has_dname(name);
            several(reply, name, node, |rrset| match qtype {
                RecordType::ANY => true,
                _ => rrset.rtype() == qtype && !(written && rrset.covered() == Some(RecordType::DNAME)),
            })?;
            let mut proofs = close(asker, before, reply, key)?;
            return denial.map_or(Ok(()), |denial| proofs.write(&denial, reply, zone, name, key));
        }
        Finding::Negative(denial) => {
            // RFC 6604 §3: the response code belongs to the last name.
            reply.set_rcode(denial.rcode());
            return close(asker, before, reply, key)?.write(&denial, reply, zone, name, key);
        }
        Finding::Referral { cut, ns, below } => {
            let mut proofs = close(asker, before, reply, key)?;
            let cut = (name.ancestor(below), cut, ns);
            return refer(reply, zone, cut, asker.address(), key, &mut proofs);
        }
        Finding::Alias { node, cname, denial } => {
            reply.signed_rrset(Section::Answer, name, node, cname, None)?;
            let mut target = NameBuf::new();
            let rdata = cname.rdatas().next().and_then(NameRef::split_from);
            let Some((first, _)) = rdata else { return close(asker, before, reply, key).map(drop) };
            target.set(first);
            (target, denial, None)
        }
        Finding::Redirection { node, dname, below } => {
            let owner = name.ancestor(below);
            if !has_dname(owner) {
                reply.signed_rrset(Section::Answer, owner, node, dname, None)?;
            }
            match redirect(reply, name, dname, below)? {
                // RFC 6672 §3.2: whoever asks for the alias itself, or for anything, has it now.
                Some(target) if !matches!(qtype, RecordType::CNAME | RecordType::ANY) => {
                    (target, None, Some(owner))
                }
                _ => return close(asker, before, reply, key).map(drop),
            }
        }
    };
    let link = Link { name, entry, zone, dname, denial, before };
    next(asker, qtype, target.as_ref(), &link, reply, key)
}

/// What the reply is counted as where answers are limited: by what is found of the first name. Whoever makes up names
/// must not find a new count for each.
fn subject(finding: &Finding<'_>, name: NameRef<'_>, zone: &Version) -> Subject {
    let (kind, below) = match finding {
        Finding::Answer { denial, .. } | Finding::Several { denial, .. } | Finding::Alias { denial, .. } => {
            match denial {
                Some(Denial::Expansion { below, .. }) => (Kind::Synthesis, *below),
                _ => (Kind::Answer, 0),
            }
        }
        Finding::Redirection { below, .. } => (Kind::Synthesis, *below),
        Finding::Referral { below, .. } => (Kind::Referral, *below),
        Finding::Negative(Denial::NameError { .. }) => (Kind::NameError, depth(name, zone)),
        Finding::Negative(Denial::WildcardNoData { below, .. }) => (Kind::NoData, *below),
        Finding::Negative(_) => (Kind::NoData, 0),
    };
    Subject { kind, below }
}

/// Goes on with `name`, where `link` led; ends the chain without an error where it leaves what we may answer from,
/// where it closes on itself, and at the bound.
fn next(
    asker: &Asker<'_>,
    qtype: RecordType,
    name: NameRef<'_>,
    link: &Link<'_>,
    reply: &mut Reply<'_>,
    key: &mut KeyBuf,
) -> Result<(), Unsaid> {
    let end = |reply: &mut Reply<'_>, key: &mut KeyBuf| close(asker, Some(link), reply, key).map(drop);
    if link.all().any(|link| link.name == name) || link.all().count() >= CHAIN_LENGTH {
        return end(reply, key);
    }
    let Some(entry) = zone_for(asker.table, name, qtype) else { return end(reply, key) };
    if reply.dnssec() && link.all().any(|link| meets_at_cut(asker, link, entry, key)) {
        return end(reply, key);
    }
    // One answer shows one version of each zone.
    let held;
    let zone = match link.all().find(|link| Arc::ptr_eq(link.entry, entry)) {
        Some(seen) => seen.zone,
        None => {
            held = held_for(asker, entry);
            let Some(held) = &held else { return end(reply, key) };
            held.zone()
        }
    };
    match Here::new(name, entry, zone, key) {
        Some(here) => follow(asker, qtype, here, Some(link), reply, key),
        None => end(reply, key),
    }
}

/// Whether what is left to say of a link would stand beside the records of a zone as if both were one. The zones on the
/// two sides of a cut have one NSEC record each for it, and a validator takes records of one owner and type for one RRset
/// (RFC 4035 §5.3). When a link shows one of the two, the chain does not go on to the zone of the other.
fn meets_at_cut(asker: &Asker<'_>, link: &Link<'_>, entry: &Arc<Entry>, key: &mut KeyBuf) -> bool {
    let Some(denial) = &link.denial else { return false };
    let lower =
        match (entry.apex.is_at_or_below(&link.entry.apex), link.entry.apex.is_at_or_below(&entry.apex)) {
            (true, false) => entry,
            (false, true) => link.entry,
            // The same zone, or neither above the other.
            _ => return false,
        };
    let iterations = asker.table.nsec3_iterations();
    shows_nsec(link.zone, (denial, link.name), lower.apex.as_ref(), iterations, key)
}

/// The version of a zone other than the first, if it is served, and to the asker.
fn held_for(asker: &Asker<'_>, entry: &Entry) -> Option<Held> {
    entry.query.admits(asker.origin()).then(|| entry.slot.hold(asker.clock.boot_ms).ok())?
}

/// Writes the CNAME that a DNAME amounts to (RFC 6672 §3.1, §5.3.1: never signed, TTL of the DNAME) and returns its
/// target; `None` with YXDOMAIN when that is too long (§2.2).
fn redirect(
    reply: &mut Reply<'_>,
    name: NameRef<'_>,
    dname: Rrset<'_>,
    below: usize,
) -> Result<Option<NameBuf>, Full> {
    let rdata = dname.rdatas().next().and_then(NameRef::split_from);
    let Some((suffix, _)) = rdata else { return Ok(None) };
    let mut target = NameBuf::new();
    if target.set_labels(name.labels().take(below), suffix).is_err() {
        reply.set_rcode(Rcode::YXDOMAIN);
        return Ok(None);
    }
    let wire = target.as_ref().as_wire();
    reply.record(Section::Answer, name, RecordType::CNAME, dname.ttl(), wire)?;
    Ok(Some(target))
}

/// ANY and RRSIG. Over TCP all RRsets that match, over UDP one (RFC 8482 §4.1): the lowest type, those that only prove
/// something last.
fn several(
    reply: &mut Reply<'_>,
    name: NameRef<'_>,
    node: Node<'_>,
    matches: impl Fn(&Rrset<'_>) -> bool,
) -> Result<(), Full> {
    let matching = || node.rrsets().filter(|rrset| matches(rrset));
    match reply.transport {
        Transport::Tcp | Transport::Tls => {
            matching().try_for_each(|rrset| reply.rrset(Section::Answer, name, rrset, None))
        }
        Transport::Udp => {
            let rank = |rrset: &Rrset<'_>| {
                let last = match rrset.rtype() {
                    RecordType::RRSIG => 2,
                    RecordType::NSEC | RecordType::NSEC3 => 1,
                    _ => 0,
                };
                (last, rrset.rtype(), rrset.covered())
            };
            match matching().min_by_key(rank) {
                Some(rrset) if rrset.rtype() == RecordType::RRSIG => {
                    reply.rrset(Section::Answer, name, rrset, None)
                }
                Some(rrset) => reply.signed_rrset(Section::Answer, name, node, rrset, None),
                None => Ok(()),
            }
        }
    }
}
