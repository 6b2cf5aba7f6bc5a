//! Denial of existence: what a reply says beyond its data when something is *not* there.
//!
//! Each such case is one value of [`Denial`], made by the lookup, and all of them come to [`Proofs::write`]. Negative
//! answers carry the zone's SOA. Those who want DNSSEC records get the proof too, from whichever chain the zone has
//! (`nsec`, `nsec3`); where a zone's chain is broken the answer goes without. Where it says that there is what is not, there is
//! no answer (RFC 5155 §7.2.9).

mod hash;
mod nsec;
mod nsec3;
mod ready;

use secondo_wire::{Full, KeyBuf, NameBuf, NameRef, Rcode, RecordType, Section};
use secondo_zone::{Node, Seek, Version};

use self::hash::Hash;
use self::ready::{Ready, Shown, place};
use crate::bounds::PROOF_RECORDS;
use crate::flaws::Flaw;
use crate::reply::Reply;

/// Something that does not exist, and where that showed. `below`: how many labels of the name stand below its closest
/// encloser (RFC 4592 §3.3.1), at least one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Denial<'z> {
    /// Neither the name nor a wildcard that would stand for it (RFC 8020 §2); where that would stand, if it was looked for.
    NameError { name: Place<'z>, below: usize, wildcard: Option<Place<'z>> },
    /// The name exists, the type does not (RFC 2308 §2.2); without a node the name exists only through names below it
    /// (RFC 4592 §2.2.2).
    NoData { name: Place<'z> },
    /// A wildcard stands for the name; the type does not exist there.
    WildcardNoData { name: Place<'z>, below: usize, wildcard: Place<'z> },
    /// A wildcard stood for the name and the type exists: only the name itself is missing.
    Expansion { name: Place<'z>, below: usize },
    /// The cut has no DS: the child is not signed, or not below our seal.
    InsecureReferral { cut: Node<'z> },
}

/// Where a name stands among those of its zone.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'z> {
    /// At this node.
    At(Node<'z>),
    /// Behind this node, the last before it in canonical order.
    Behind(Node<'z>),
}

impl<'z> From<Seek<'z>> for Place<'z> {
    fn from(sought: Seek<'z>) -> Place<'z> {
        match sought {
            Seek::Found(node) => Place::At(node),
            Seek::Missing(gap) => Place::Behind(gap.before),
        }
    }
}

impl Denial<'_> {
    /// The response code of a reply that ends here.
    pub(crate) fn rcode(&self) -> Rcode {
        match self {
            Denial::NameError { .. } => Rcode::NXDOMAIN,
            _ => Rcode::NOERROR,
        }
    }

    /// The name that its proof by NSEC3 begins with: `name` itself where that exists, else the next closer name (RFC 5155 §1.3).
    fn crucial<'n>(&self, name: NameRef<'n>) -> NameRef<'n> {
        match *self {
            Denial::NoData { .. } | Denial::InsecureReferral { .. } => name,
            Denial::NameError { below, .. }
            | Denial::WildcardNoData { below, .. }
            | Denial::Expansion { below, .. } => name.ancestor(below.saturating_sub(1)),
        }
    }

    /// Whether there is nothing to answer with.
    fn is_negative(&self) -> bool {
        match self {
            Denial::NameError { .. } | Denial::NoData { .. } | Denial::WildcardNoData { .. } => true,
            Denial::Expansion { .. } | Denial::InsecureReferral { .. } => false,
        }
    }
}

/// The denials of one reply. A record that proves several of them is written once (RFC 2181 §5).
pub(crate) struct Proofs {
    /// Most iterations of NSEC3 that are reckoned.
    iterations: u16,
    /// Where those written stand in memory: the zones are held as long as the reply is written.
    written: [usize; PROOF_RECORDS],
    count: usize,
    /// Whether a node has no record that proves.
    lacking: bool,
}

/// Why something cannot be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsaid {
    /// The reply has no room for it.
    Full,
    /// See [`Unproved::Collision`].
    Collision,
}

impl From<Full> for Unsaid {
    fn from(_: Full) -> Unsaid {
        Unsaid::Full
    }
}

/// Why there is no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unproved {
    /// No chain, or one that lacks a record.
    Broken,
    /// A name that is not there has the hash of an NSEC3 record (RFC 5155 §7.2.9): of another name, or of one that is gone and left
    /// its record behind.
    Collision,
}

/// One record of a proof.
#[derive(Clone, Copy)]
enum Witness<'z> {
    /// That of a node.
    Node(Node<'z>),
    /// One that was prepared.
    Ready(&'z Shown),
}

/// What proves something.
struct Proof<'z> {
    /// The type of record by which it does.
    rtype: RecordType,
    /// Whose: at most the closest encloser's, and two that cover.
    witnesses: [Option<Witness<'z>>; 3],
    /// Why it proves less than it should.
    flaw: Option<Flaw>,
}

impl Proofs {
    pub(crate) fn new(iterations: u16) -> Proofs {
        Proofs { iterations, written: [0; PROOF_RECORDS], count: 0, lacking: false }
    }

    /// Writes what a denial of `name` adds to the authority section. `key` is scratch space.
    ///
    /// Hashing and searching are done once, however often it is written.
    pub(crate) fn write(
        &mut self,
        denial: &Denial<'_>,
        reply: &mut Reply<'_>,
        zone: &Version,
        name: NameRef<'_>,
        key: &mut KeyBuf,
    ) -> Result<(), Unsaid> {
        let apex = apex_of(name, zone);
        let base = reply.place_of(apex);
        let ready = base.and_then(|base| Some((zone.made(Ready::of)?, base)));
        let approached =
            reply.dnssec().then(|| nsec3::approach(zone, denial, name, self.iterations)).flatten();
        let (mark, count) = (reply.mark(), self.count);
        let soa = |reply: &mut Reply<'_>, ready| match denial.is_negative() {
            true => negative_soa(reply, zone, apex, ready),
            false => Ok(()),
        };
        // What proves is on its way from memory while the SOA is written.
        let begun = soa(reply, ready);
        let made = ready.map(|(ready, _)| ready);
        let proof = reply.dnssec().then(|| prove(zone, denial, name, self.iterations, key, approached, made));
        let proof = match &proof {
            Some(Ok(proof)) => {
                if let Some(flaw) = proof.flaw {
                    reply.count(flaw, zone.apex().as_ref());
                }
                Some(proof)
            }
            Some(Err(Unproved::Collision)) => {
                reply.count(Flaw::Collided, zone.apex().as_ref());
                return Err(Unsaid::Collision);
            }
            Some(Err(Unproved::Broken)) => {
                // Of a zone that nobody signed no proof is wanted.
                if zone.apex_has(RecordType::RRSIG) {
                    reply.count(Flaw::Unproved, zone.apex().as_ref());
                }
                None
            }
            None => None,
        };
        let written = begun.and_then(|()| self.show_all(reply, zone, proof, base));
        if written.is_ok() || ready.is_none() {
            return Ok(written?);
        }
        // What is prepared may be longer than what is written here and now.
        reply.rewind(mark);
        self.count = count;
        soa(reply, None)?;
        Ok(self.show_all(reply, zone, proof, None)?)
    }

    /// Writes a proof, with what is ready where the place of the apex in the message is given.
    fn show_all(
        &mut self,
        reply: &mut Reply<'_>,
        zone: &Version,
        proof: Option<&Proof<'_>>,
        base: Option<usize>,
    ) -> Result<(), Full> {
        let Some(Proof { rtype, witnesses, .. }) = proof else { return Ok(()) };
        for witness in witnesses.iter().flatten() {
            match (witness, base) {
                (Witness::Ready(shown), Some(base)) => {
                    self.once(shown.place, || reply.prepared(Section::Authority, &shown.records, base))?;
                }
                (Witness::Ready(shown), None) => {
                    // It is searched for, never hashed again.
                    shown.node(zone).map_or(Ok(()), |node| self.show(reply, &node, *rtype))?;
                }
                (Witness::Node(node), _) => self.show(reply, node, *rtype)?,
            }
        }
        if std::mem::take(&mut self.lacking) {
            reply.count(Flaw::Unproved, zone.apex().as_ref());
        }
        Ok(())
    }

    /// Writes the record that proves, if it is there and not yet written.
    fn show(&mut self, reply: &mut Reply<'_>, node: &Node<'_>, rtype: RecordType) -> Result<(), Full> {
        // The owner's name is at hand before its records are.
        let mut name = NameBuf::new();
        node.name_into(&mut name);
        let owner = reply.stranger(name.as_ref());
        let (Some(rrset), signatures) = node.signed_rrset(rtype) else {
            self.lacking = true;
            return Ok(());
        };
        self.once(place(rrset), || reply.rrset_with_of(Section::Authority, owner, rrset, signatures, None))
    }

    /// Writes what stands at a place in memory if it was not written before.
    fn once(&mut self, place: usize, write: impl FnOnce() -> Result<(), Full>) -> Result<(), Full> {
        if self.written[..self.count].contains(&place) {
            return Ok(());
        }
        write()?;
        if let Some(free) = self.written.get_mut(self.count) {
            *free = place;
            self.count += 1;
        }
        Ok(())
    }
}

/// What proves a denial. What is `ready` is used wherever it can be.
///
/// RFC 5155 §10.4, §10.5: while a zone goes from one kind of chain to the other, NSEC3PARAM says which to use.
fn prove<'z>(
    zone: &'z Version,
    denial: &Denial<'z>,
    name: NameRef<'_>,
    iterations: u16,
    key: &mut KeyBuf,
    approached: Option<Hash>,
    ready: Option<&'z Ready>,
) -> Result<Proof<'z>, Unproved> {
    match nsec3::prove(zone, denial, name, iterations, approached, ready) {
        Err(_) if zone.apex_has(RecordType::NSEC) => Ok(nsec::prove(zone, denial, name, key, ready)),
        proved => proved,
    }
}

/// Whether the proof of a denial shows the NSEC record of `owner`.
pub(crate) fn shows_nsec(
    zone: &Version,
    (denial, name): (&Denial<'_>, NameRef<'_>),
    owner: NameRef<'_>,
    iterations: u16,
    key: &mut KeyBuf,
) -> bool {
    // Nothing is hashed where only NSEC3 proves.
    if !zone.apex_has(RecordType::NSEC) {
        return false;
    }
    let Ok(proof) = prove(zone, denial, name, iterations, key, None, None) else { return false };
    let mut shown = NameBuf::new();
    proof.rtype == RecordType::NSEC
        && proof.witnesses.into_iter().flatten().any(|witness| match witness {
            Witness::Node(node) => {
                node.name_into(&mut shown);
                shown.as_ref() == owner
            }
            Witness::Ready(_) => false,
        })
}

/// The zone's apex, spelled as in `name`, which lies in the zone.
fn apex_of<'n>(name: NameRef<'n>, zone: &Version) -> NameRef<'n> {
    name.ancestor(depth(name, zone))
}

/// Labels of a name of the zone below its apex.
pub(crate) fn depth(name: NameRef<'_>, zone: &Version) -> usize {
    let apex = zone.apex().as_ref().as_wire().len();
    std::iter::successors(Some(name), |name| name.parent())
        .take_while(|name| name.as_wire().len() > apex)
        .count()
}

/// RFC 2308 §3, §5: the SOA of the zone that denies, its TTL lowered to the negative TTL; so is its signature's.
/// What is ready is used, with the place of the apex in the message.
fn negative_soa(
    reply: &mut Reply<'_>,
    zone: &Version,
    apex: NameRef<'_>,
    ready: Option<(&Ready, usize)>,
) -> Result<(), Full> {
    if let Some((soa, base)) = ready.and_then(|(ready, base)| Some((ready.soa(reply.dnssec())?, base))) {
        return reply.prepared(Section::Authority, soa, base);
    }
    let ttl = zone.soa_ttl().min(zone.soa().minimum);
    let node = zone.apex_node();
    match node.signed_rrset(RecordType::SOA) {
        (Some(soa), signatures) => reply.rrset_with(Section::Authority, apex, soa, signatures, Some(ttl)),
        (None, _) => reply.record(Section::Authority, apex, RecordType::SOA, ttl, zone.soa_rdata()),
    }
}
