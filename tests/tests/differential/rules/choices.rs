//! What RFCs leave open.

use std::collections::BTreeSet;

use interop::Software;
use interop::message::{Reply, Way, flag};
use interop::name::Name;
use interop::record::{Record, rtype};

use super::{Case, NO_ERROR, SERVER_FAILURE, cut, ends_before_nested, has_type, only_proofs_differ};

pub(super) fn nested_zones(case: &mut Case<'_>) {
    if case.peer != Software::Nsd || !ends_before_nested(case.question, &case.ours, case.apexes) {
        return;
    }
    let (ours, theirs) = (&case.ours, &mut case.theirs);
    if ours.answer.iter().any(|record| !theirs.answer.contains(record)) {
        return;
    }
    theirs.answer.retain(|record| ours.answer.contains(record));
    theirs.authority.retain(|record| ours.authority.contains(record));
    theirs.additional.clear();
    theirs.rcode = ours.rcode;
}

pub(super) fn another_zone(case: &mut Case<'_>) {
    let Some(zone) = case.zone_for(&case.question.name.lower()).cloned() else { return };
    let chain = case.chain.clone();
    let Some(outside) = case.leaves_for().filter(|_| case.peer != Software::Nsd) else { return };
    // What the first zone says must be the same.
    let limits: Vec<Name> = case.apexes.to_vec();
    let zone_of = |name: &Name| {
        limits.iter().filter(|apex| name.is_at_or_below(apex)).max_by_key(|apex| apex.labels().len()).cloned()
    };
    let before: Vec<Name> = chain.iter().take_while(|name| **name != outside).cloned().collect();
    case.ours.answer.retain(|record| {
        zone_of(&record.owner).as_ref() == Some(&zone)
            && (before.contains(&record.owner)
                || record.covers().unwrap_or(record.rtype) == rtype::DNAME
                    && before.iter().any(|name| name.is_at_or_below(&record.owner)))
    });
    // Beyond it, they show at most the cut there.
    let beyond = |record: &Record| {
        outside.is_at_or_below(&record.owner) && zone_of(&record.owner).as_ref() != Some(&zone)
    };
    case.theirs.authority.retain(|record| !beyond(record));
    if outside == zone {
        // The question is for DS: to them it is still their zone, and without one.
        case.theirs.authority.clear();
    }
    case.theirs.additional.retain(|record| !cut_covers(&outside, &record.owner, &limits));
    // Of ours only the proofs of the first zone stay (RFC 4035 §3.1.3.3).
    let proofs = [rtype::NSEC, rtype::NSEC3];
    case.ours.authority.retain(|record| {
        let proof = proofs.contains(&record.covers().unwrap_or(record.rtype));
        proof && outside != zone && zone_of(&record.owner).as_ref() == Some(&zone)
    });
    case.ours.additional.clear();
    case.ours.rcode = NO_ERROR;
}

/// Whether both names lie in the same zone below the one that was asked.
fn cut_covers(outside: &Name, glue: &Name, apexes: &[Name]) -> bool {
    let deepest = |name: &Name| {
        apexes.iter().filter(|apex| name.is_at_or_below(apex)).max_by_key(|apex| apex.labels().len())
    };
    deepest(outside) == deepest(glue)
}

pub(super) fn servers_of_the_zone(case: &mut Case<'_>) {
    if case.theirs.answer.is_empty() || case.theirs.has(flag::TC) || cut(&case.ours).is_some() {
        return;
    }
    let apexes = case.apexes.to_vec();
    case.theirs.authority.retain(|record| {
        let is_servers = record.rtype == rtype::NS || record.covers() == Some(rtype::NS);
        !(is_servers && apexes.contains(&record.owner))
    });
}

/// Addresses that only one of both shows, where they are optional. What both show must be the same, and of what our answer
/// leads to we show what they do.
pub(super) fn additional(case: &mut Case<'_>) {
    let cut = cut(&case.ours).cloned();
    let group = |record: &Record| (record.owner.clone(), record.rtype, record.covers());
    let groups = |reply: &Reply| reply.additional.iter().map(group).collect::<BTreeSet<_>>();
    let (ours, theirs) = (groups(&case.ours), groups(&case.theirs));
    let targets = |reply: &Reply| -> BTreeSet<Name> {
        let all = reply.answer.iter().chain(&reply.authority).chain(&reply.additional);
        all.filter_map(Record::target).collect()
    };
    let (own, mut all) = (targets(&case.ours), targets(&case.theirs));
    all.extend(own.iter().cloned());
    // They speak of the servers of the zone beside an answer.
    all.extend(case.apexes.iter().filter_map(|apex| apex.child(b"ns1")));
    let owed: BTreeSet<Name> = own.iter().filter(|target| owes(case, target)).cloned().collect();
    let may_differ = |record: &Record, others: &BTreeSet<_>| {
        let required = cut.as_ref().is_some_and(|cut| record.owner.is_at_or_below(cut));
        // RFC 9460 §4.1: of HTTPS also HTTPS and aliases at its target.
        let kinds = [rtype::A, rtype::AAAA, rtype::HTTPS, rtype::CNAME];
        let kind = kinds.contains(&record.covers().unwrap_or(record.rtype));
        kind && !others.contains(&group(record)) && !required
    };
    case.ours.additional.retain(|record| !(may_differ(record, &theirs) && own.contains(&record.owner)));
    let addresses = [rtype::A, rtype::AAAA];
    case.theirs.additional.retain(|record| {
        let ours_to_show = addresses.contains(&record.rtype) && owed.contains(&record.owner);
        !(may_differ(record, &ours) && all.contains(&record.owner) && !ours_to_show)
    });
}

/// Whether our answer leads to a name of the same zone whose addresses there was room for: of name servers all that there
/// are, of others those that the zone has authority over.
fn owes(case: &Case<'_>, target: &Name) -> bool {
    let zone_of = |name: &Name| {
        case.apexes.iter().filter(|apex| name.is_at_or_below(apex)).max_by_key(|apex| apex.labels().len())
    };
    let leads = |record: &&Record| {
        record.rtype == case.question.rtype
            && record.target().as_ref() == Some(target)
            && zone_of(&record.owner) == zone_of(target)
    };
    let asked = [rtype::NS, rtype::MX, rtype::SRV].contains(&case.question.rtype);
    let (ours, theirs) = (&case.ours, &case.theirs);
    let more: usize =
        theirs.additional.iter().map(|record| record.owner.size() + 10 + record.rdata.len()).sum();
    let glue = case.cuts.iter().any(|cut| target.is_at_or_below(cut));
    let hidden = case.redirected.iter().any(|above| target != above && target.is_at_or_below(above));
    asked
        && ours.answer.iter().any(|record| leads(&record))
        && ours.answer.iter().filter(|record| record.rtype == case.question.rtype).count() <= 13
        && ours.size + more <= case.question.room()
        && (!glue || case.question.rtype == rtype::NS)
        && !hidden
}

pub(super) fn any(case: &mut Case<'_>) {
    let asked = [rtype::ANY, rtype::RRSIG].contains(&case.question.rtype);
    let has_records = |name: &&Name| case.ours.answer.iter().any(|record| record.owner == **name);
    let Some(name) = case.chain.iter().rfind(has_records).filter(|_| asked) else { return };
    let at_name = |reply: &Reply| -> BTreeSet<Record> {
        reply.answer.iter().filter(|record| record.owner == *name).cloned().collect()
    };
    let (ours, theirs) = (at_name(&case.ours), at_name(&case.theirs));
    let group = |record: &Record| (record.rtype, record.covers());
    let whole = |part: &BTreeSet<Record>, all: &BTreeSet<Record>| {
        let shown: BTreeSet<_> = part.iter().map(group).collect();
        part.is_subset(all)
            && all.iter().all(|record| !shown.contains(&group(record)) || part.contains(record))
    };
    let may_differ = match (case.peer, case.question.way) {
        _ if ours.is_empty() || theirs.is_empty() => false,
        // BIND shows everything, and so do we where there is room.
        (Software::Bind, Way::Tcp) => false,
        (Software::Bind, Way::Udp) => whole(&ours, &theirs),
        (_, Way::Tcp) => whole(&theirs, &ours),
        // One each: the comparison with BIND tells whether ours is one of them.
        (_, Way::Udp) => true,
    };
    if may_differ {
        let name = name.clone();
        case.ours.answer.retain(|record| record.owner != name);
        case.theirs.answer.retain(|record| record.owner != name);
    }
}

pub(super) fn any_below_a_redirection(case: &mut Case<'_>) {
    let begins_alike = case.ours.answer.iter().all(|record| case.theirs.answer.contains(record));
    let asked = case.question.rtype == rtype::ANY && has_type(&case.ours.answer, rtype::DNAME);
    if asked && case.peer != Software::Bind && begins_alike && case.ours.rcode == NO_ERROR {
        case.waive();
    }
}

pub(super) fn long_chains(case: &mut Case<'_>) {
    let links = case.chain.len() - 1;
    let into_itself = case.ours.answer.iter().any(|record| {
        let below = |name: &Name| name.is_at_or_below(&record.owner) && *name != record.owner;
        record.rtype == rtype::DNAME && case.chain.iter().filter(|name| below(name)).count() > 1
    });
    let long = match case.peer {
        Software::Bind => links > 11,
        Software::Knot => links > 5,
        _ => into_itself,
    };
    let begins_alike = case.theirs.answer.iter().all(|record| case.ours.answer.contains(record));
    if long && begins_alike && [NO_ERROR, SERVER_FAILURE].contains(&case.theirs.rcode) {
        case.settle();
    }
}

pub(super) fn other_proofs(case: &mut Case<'_>) {
    if case.question.dnssec() && only_proofs_differ(case) {
        case.waive();
    }
}
