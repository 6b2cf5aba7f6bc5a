//! Where a peer is known to differ from what an RFC says.

use interop::Software;
use interop::message::{Reply, Way, flag};
use interop::name::Name;
use interop::record::{Record, rtype};

use super::{
    Case, NAME_ERROR, NO_ERROR, SERVER_FAILURE, YXDOMAIN, cut, has_type, is_opt_out, only_proofs_differ,
};

pub(super) fn soa_of_no_age(case: &mut Case<'_>) {
    if case.peer != Software::Bind || case.question.rtype != rtype::SOA {
        return;
    }
    for record in case.ours.authority.iter_mut().chain(&mut case.theirs.authority) {
        if record.rtype == rtype::SOA || record.covers() == Some(rtype::SOA) {
            record.ttl = 0;
        }
    }
}

pub(super) fn loops(case: &mut Case<'_>) {
    if case.peer == Software::Bind && case.theirs.rcode == SERVER_FAILURE && case.leads_back() {
        case.theirs.rcode = NO_ERROR;
    }
}

pub(super) fn wildcard_addresses(case: &mut Case<'_>) {
    // Knot shows some by the name of the wildcard, NSD some by a name that nothing led to; BIND shows few.
    let leads: Vec<Name> =
        case.theirs.answer.iter().chain(&case.theirs.authority).filter_map(Record::target).collect();
    // BIND goes on where the alias that it made of a wildcard leads.
    let made = case.theirs.additional.iter().filter(|record| !case.owners.contains(&record.owner));
    let beyond: Vec<Name> =
        made.filter_map(Record::target).filter(|target| !leads.contains(target)).collect();
    case.theirs.additional.retain(|record| {
        let wildcard = record.owner.labels().first().is_some_and(|label| label == b"*");
        let odd = case.peer != Software::Bind && (wildcard || case.peer == Software::Nsd);
        case.owners.contains(&record.owner)
            && !beyond.contains(&record.owner)
            && (!odd || leads.contains(&record.owner))
    });
}

pub(super) fn any_from_a_wildcard(case: &mut Case<'_>) {
    let no_data = case.theirs.answer.is_empty() && has_type(&case.theirs.authority, rtype::SOA);
    if case.peer == Software::Nsd
        && case.question.rtype == rtype::ANY
        && !case.ours.answer.is_empty()
        && no_data
    {
        case.waive();
    }
}

pub(super) fn chain_of_an_alias(case: &mut Case<'_>) {
    let asked = [rtype::NSEC, rtype::RRSIG].contains(&case.question.rtype);
    let follows = asked && has_type(&case.theirs.answer, rtype::CNAME);
    if case.peer == Software::Nsd && follows && has_type(&case.ours.authority, rtype::SOA) {
        case.waive();
    }
}

pub(super) fn glue_left_out(case: &mut Case<'_>) {
    let Some(cut) = cut(&case.ours).cloned().filter(|_| case.peer != Software::Knot) else { return };
    let shown = |record: &Record| {
        case.theirs.additional.iter().any(|other| other.owner == record.owner && other.rtype == record.rtype)
    };
    let left_out: Vec<Record> =
        case.ours.additional.iter().filter(|record| !shown(record)).cloned().collect();
    // Optional addresses too, which may have stood before those that are missed; they may compress less than we do.
    let rest: usize = left_out.iter().map(|record| record.rdata.len() + 12).sum();
    let no_room = case.theirs.size + rest > case.question.room();
    // It leaves out AAAA over UDP with room to spare.
    let spared = case.peer == Software::Nsd && case.question.way == Way::Udp;
    let servers: Vec<Name> = case.ours.authority.iter().filter_map(Record::target).collect();
    let glue = |record: &Record| {
        record.owner.is_at_or_below(&cut)
            && servers.contains(&record.owner)
            && case.owners.contains(&record.owner)
    };
    if (no_room || spared) && left_out.iter().any(glue) {
        case.waived |= !no_room;
        case.ours.additional.retain(|record| !(left_out.contains(record) && glue(record)));
    }
}

pub(super) fn chain_at_a_cut(case: &mut Case<'_>) {
    let Some(end) = case.chain.last().filter(|end| cut(&case.ours) == Some(end)) else { return };
    let shows_it =
        case.theirs.answer.iter().any(|record| record.rtype == rtype::NSEC && record.owner == *end);
    if case.peer == Software::Bind
        && case.question.rtype == rtype::NSEC
        && shows_it
        && case.theirs.has(flag::AA)
    {
        case.waive();
    }
}

pub(super) fn empty_wildcard(case: &mut Case<'_>) {
    if case.peer == Software::Nsd || case.ours.rcode != NO_ERROR {
        return;
    }
    let surplus: Vec<Record> = case
        .ours
        .authority
        .iter()
        .filter(|record| !case.theirs.authority.contains(record))
        .cloned()
        .collect();
    let mut owners = surplus.iter().filter(|record| record.rtype == rtype::NSEC);
    let Some((proof, None)) = owners.next().map(|proof| (proof, owners.next())) else { return };
    let Some(next) = proof.next() else { return };
    // Its next name lies below a wildcard that has no records itself.
    let ancestors = std::iter::successors(Some(next.parent()), |name| Some(name.parent()));
    let mut wildcards = ancestors
        .take(next.labels().len())
        .filter(|name| name.labels().first().is_some_and(|label| label == b"*"));
    if wildcards.any(|wildcard| !case.owners.contains(&wildcard)) {
        case.waived = true;
        case.ours.authority.retain(|record| !surplus.contains(record));
    }
}

pub(super) fn proofs_beside(case: &mut Case<'_>) {
    if case.peer == Software::Knot {
        let proofs = [rtype::NSEC, rtype::NSEC3];
        case.theirs.additional.retain(|record| !proofs.contains(&record.covers().unwrap_or(record.rtype)));
    }
}

pub(super) fn zero_octet(case: &mut Case<'_>) {
    let zero = case.chain.iter().any(|name| name.labels().iter().any(|label| label.contains(&0)));
    if case.peer == Software::Knot && zero && case.question.dnssec() && only_proofs_differ(case) {
        case.waive();
    }
}

pub(super) fn asked_with_asterisk(case: &mut Case<'_>) {
    let asterisk = case.chain.iter().any(|name| name.labels().iter().any(|label| label == b"*"));
    if case.peer == Software::Knot && asterisk && case.question.dnssec() && only_proofs_differ(case) {
        case.waive();
    }
}

pub(super) fn stale_names(case: &mut Case<'_>) {
    let stale = case.chain.iter().any(|name| case.gone.contains(name) && !case.owners.contains(name));
    if case.peer == Software::Nsd
        && stale
        && (only_proofs_differ(case) || has_type(&case.theirs.authority, rtype::SOA))
    {
        case.waive();
    }
}

pub(super) fn hashed_owners(case: &mut Case<'_>) {
    let below = |name: &Name| {
        let depth = name.labels().len();
        let mut ancestors = std::iter::successors(Some(name.clone()), |name| Some(name.parent())).take(depth);
        ancestors.any(|name| case.hashed.contains(&name))
    };
    if case.peer == Software::Nsd && case.chain.iter().any(below) {
        case.waive();
    }
}

pub(super) fn given_up(case: &mut Case<'_>) {
    let theirs = &case.theirs;
    let empty = theirs.answer.is_empty() && theirs.authority.is_empty() && theirs.additional.is_empty();
    let opt_out = case.ours.authority.iter().any(is_opt_out);
    if case.peer == Software::Knot && empty && !theirs.has(flag::AA) && theirs.rcode == NAME_ERROR && opt_out
    {
        case.waive();
    }
}

pub(super) fn one_tree(case: &mut Case<'_>) {
    let within_child = case.chain.iter().any(|name| {
        let zone = case.zone_of(name);
        zone.is_some_and(|zone| case.zone_of(&zone.parent()).is_some())
    });
    let negative =
        has_type(&case.theirs.authority, rtype::SOA) && [NO_ERROR, NAME_ERROR].contains(&case.theirs.rcode);
    let proof_of_another =
        has_type(&case.theirs.authority, rtype::NSEC) || has_type(&case.theirs.authority, rtype::NSEC3);
    if case.peer == Software::Nsd && within_child && (negative || proof_of_another) {
        case.waive();
    }
}

pub(super) fn hashes_at_an_alias(case: &mut Case<'_>) {
    let asked = case.question.rtype == rtype::NSEC3 && case.chain.len() > 1;
    let no_data = case.theirs.rcode == NO_ERROR && has_type(&case.theirs.authority, rtype::SOA);
    let ends_early = case.theirs.answer.len() < case.ours.answer.len();
    if case.peer == Software::Nsd && asked && no_data && ends_early {
        case.waive();
    }
}

pub(super) fn too_long(case: &mut Case<'_>) {
    if case.ours.rcode != YXDOMAIN {
        return;
    }
    let goes_on = case.ours.answer.iter().all(|record| case.theirs.answer.contains(record));
    if case.theirs.rcode == YXDOMAIN && case.theirs.answer.len() == case.ours.answer.len() {
        case.theirs.authority.clear();
        case.theirs.additional.clear();
    } else if case.peer == Software::Knot && goes_on {
        case.waive();
    }
}

pub(super) fn lower_redirection(case: &mut Case<'_>) {
    let owners = |reply: &Reply| -> Vec<Name> {
        reply.answer.iter().filter(|r| r.rtype == rtype::DNAME).map(|r| r.owner.clone()).collect()
    };
    let (upper, lower) = (owners(&case.ours), owners(&case.theirs));
    let below = |name: &Name, above: &Name| name != above && name.is_at_or_below(above);
    let hidden = lower.iter().any(|lower| {
        upper.iter().any(|upper| below(lower, upper)) && case.chain.iter().any(|name| below(name, lower))
    });
    if case.peer == Software::Nsd && hidden {
        case.waive();
    }
}

pub(super) fn negative_without_soa(case: &mut Case<'_>) {
    let negative = |record: &Record| record.rtype == rtype::SOA;
    let Some(soa) = case.ours.authority.iter().find(|record| negative(record)) else { return };
    let no_room = case.theirs.size + soa.rdata.len() + 12 > case.question.room();
    // With proofs it does set TC.
    let plain = !has_type(&case.ours.authority, rtype::RRSIG) && case.theirs.authority.is_empty();
    if case.peer == Software::Knot && plain && no_room {
        case.waived = true;
        case.ours.authority.retain(|record| !negative(record));
    }
}

pub(super) fn referral_failed(case: &mut Case<'_>) {
    let theirs = &case.theirs;
    let empty = theirs.answer.is_empty() && theirs.authority.is_empty() && theirs.additional.is_empty();
    let refers = cut(&case.ours).is_some_and(|cut| case.cuts.contains(cut));
    if case.peer == Software::Knot && theirs.rcode == SERVER_FAILURE && empty && refers {
        case.waive();
    }
}
