//! The lookup in one zone: RFC 1034 §4.3.2 step 3, with RFC 2181 §6, RFC 4592 §3, RFC 6672 §3.2 and RFC 4035 §3.1.4.

use secondo_wire::{KeyBuf, NameRef, RecordType, key_labels, key_parent};
use secondo_zone::{Approach, Node, Rrset, Seek, Version};

use crate::denial::{Denial, Place};

/// What a zone says of a name and type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Finding<'z> {
    /// The RRset asked for.
    Answer { node: Node<'z>, rrset: Rrset<'z>, denial: Option<Denial<'z>> },
    /// The node whose RRsets are asked for together: by ANY or RRSIG. It has at least one that matches.
    Several { node: Node<'z>, denial: Option<Denial<'z>> },
    /// The name is an alias.
    Alias { node: Node<'z>, cname: Rrset<'z>, denial: Option<Denial<'z>> },
    /// An ancestor of the name, `below` labels above it, is redirected as a whole (RFC 6672).
    Redirection { node: Node<'z>, dname: Rrset<'z>, below: usize },
    /// A zone cut at the name or `below` labels above it.
    Referral { cut: Node<'z>, ns: Rrset<'z>, below: usize },
    /// Not there.
    Negative(Denial<'z>),
}

/// Goes up to where `name` is in `zone`, and leaves its key in `key`. `None`, which is not reached where zones are chosen by
/// the name: it lies outside.
#[inline]
pub(crate) fn approach<'z>(zone: &'z Version, name: NameRef<'_>, key: &mut KeyBuf) -> Option<Approach<'z>> {
    key.set(name, zone.apex().as_ref()).then(|| zone.approach(key.as_slice()))
}

/// Looks the name up that was approached. `key` holds its key, and is scratch space from then on.
///
/// Work: one search for the name, one `find` for each of its existing ancestors, one search for the wildcard.
pub(crate) fn look_up<'z>(approach: Approach<'z>, qtype: RecordType, key: &mut KeyBuf) -> Finding<'z> {
    let zone = approach.zone();
    let whole = key.as_slice();
    let sought = approach.seek(whole);
    let reach = match &sought {
        Seek::Missing(gap) if gap.encloser < whole.len() => Some(gap.encloser),
        _ => key_parent(whole).map(<[u8]>::len),
    };
    if let Some(diversion) = reach.and_then(|reach| diverted(zone, whole, reach)) {
        return diversion;
    }
    let place = Place::from(sought);
    let encloser = match sought {
        Seek::Found(node) => {
            let sets = Sets::of(node, qtype);
            // RFC 2181 §6.1: the parent is not authoritative at a cut, but for DS (RFC 4035 §3.1.4.1).
            return match sets.ns.filter(|_| !whole.is_empty() && qtype != RecordType::DS) {
                Some(ns) => Finding::Referral { cut: node, ns, below: 0 },
                None => at_node(node, sets, qtype, Denial::NoData { name: place }, None),
            };
        }
        Seek::Missing(gap) if gap.encloser >= whole.len() => {
            return Finding::Negative(Denial::NoData { name: place });
        }
        Seek::Missing(gap) => gap.encloser,
    };
    let below = key_labels(&whole[encloser..]);
    if !zone.has_wildcards() {
        return Finding::Negative(Denial::NameError { name: place, below, wildcard: None });
    }
    // RFC 4592 §3.3.1: the source of synthesis is the wildcard at the closest encloser, and no other.
    key.truncate(encloser);
    key.push_label(b"*");
    let source = zone.seek(key.as_slice());
    let wildcard = Place::from(source);
    let no_data = Denial::WildcardNoData { name: place, below, wildcard };
    match source {
        Seek::Found(node) => at_node(
            node,
            Sets::of(node, qtype),
            qtype,
            no_data,
            Some(Denial::Expansion { name: place, below }),
        ),
        // RFC 4592 §4.9: an empty non-terminal wildcard stands for the name too, with nothing to show.
        Seek::Missing(gap) if gap.encloser == key.as_slice().len() => Finding::Negative(no_data),
        Seek::Missing(_) => {
            Finding::Negative(Denial::NameError { name: place, below, wildcard: Some(wildcard) })
        }
    }
}

/// The topmost cut or DNAME at an ancestor of `key`, down to its first `reach` octets, which are an ancestor's key.
/// A cut hides everything below it, a DNAME too; at the same node the cut is first.
pub(crate) fn diverted<'z>(zone: &'z Version, key: &[u8], reach: usize) -> Option<Finding<'z>> {
    let depths = zone.diverting_depths();
    if depths & 1 == 1
        && let node = zone.apex_node()
        && let Some(dname) = node.rrset(RecordType::DNAME)
    {
        return Some(Finding::Redirection { node, dname, below: key_labels(key) });
    }
    let (node, border) = hiding(zone, key, 0, reach)?;
    let below = key_labels(&key[border..]);
    match (node.rrset(RecordType::NS), node.rrset(RecordType::DNAME)) {
        (Some(ns), _) => Some(Finding::Referral { cut: node, ns, below }),
        (None, Some(dname)) => Some(Finding::Redirection { node, dname, below }),
        (None, None) => None,
    }
}

/// The topmost cut or DNAME among the ancestors of `key` that are longer than `from` octets and no longer than `reach`,
/// and the length of its key. Both lengths end labels.
pub(crate) fn hiding<'z>(
    zone: &'z Version,
    key: &[u8],
    from: usize,
    reach: usize,
) -> Option<(Node<'z>, usize)> {
    // Only at these depths can there be one.
    let depths = zone.diverting_depths() >> 1;
    if depths == 0 {
        return None;
    }
    let octets = key.iter().enumerate().take(reach);
    let borders = octets.filter(|(_, octet)| **octet == 0).map(|(at, _)| at + 1);
    let mut borders =
        borders.enumerate().filter(|(depth, border)| depths >> depth & 1 == 1 && *border > from);
    borders.find_map(|(_, border)| {
        let node = zone.find(&key[..border])?;
        (node.has(RecordType::NS) || node.has(RecordType::DNAME)).then_some((node, border))
    })
}

/// The RRsets of a node that decide, found in one pass.
#[derive(Clone, Copy, Default)]
struct Sets<'z> {
    ns: Option<Rrset<'z>>,
    cname: Option<Rrset<'z>>,
    /// Of the type asked for.
    asked: Option<Rrset<'z>>,
}

impl<'z> Sets<'z> {
    fn of(node: Node<'z>, qtype: RecordType) -> Sets<'z> {
        let mut sets = Sets::default();
        let last = qtype.max(RecordType::CNAME);
        for set in node.rrsets().take_while(|set| set.rtype() <= last) {
            match set.rtype() {
                RecordType::NS => sets.ns = Some(set),
                RecordType::CNAME => sets.cname = Some(set),
                _ => {}
            }
            if set.rtype() == qtype && sets.asked.is_none() {
                sets.asked = Some(set);
            }
        }
        sets
    }
}

/// RFC 1034 §4.3.2 step 3a at the node that matches, by name or by wildcard.
fn at_node<'z>(
    node: Node<'z>,
    sets: Sets<'z>,
    qtype: RecordType,
    none: Denial<'z>,
    denial: Option<Denial<'z>>,
) -> Finding<'z> {
    let several = match qtype {
        RecordType::ANY => node.rrsets().next().is_some(),
        RecordType::RRSIG => sets.asked.is_some(),
        _ => false,
    };
    if several {
        return Finding::Several { node, denial };
    }
    match (sets.asked, sets.cname) {
        // RFC 2181 §10.1: nothing else that stands beside a CNAME is answered; RFC 4035 §2.5: but NSEC and KEY, which are
        // the alias's own.
        (Some(rrset), None) => Finding::Answer { node, rrset, denial },
        (Some(rrset), _) if matches!(qtype, RecordType::CNAME | RecordType::NSEC | RecordType::KEY) => {
            Finding::Answer { node, rrset, denial }
        }
        // An alias has NSEC and RRSIG records of its own or none (RFC 4035 §2.5). Those of what it stands for are no answer.
        (_, Some(cname)) if !matches!(qtype, RecordType::NSEC | RecordType::RRSIG) => {
            Finding::Alias { node, cname, denial }
        }
        _ => Finding::Negative(none),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::zone;
    use secondo_wire::Name;

    fn kind(denial: Denial<'_>) -> &'static str {
        match denial {
            Denial::NameError { .. } => "NameError",
            Denial::NoData { name: Place::At(_) } => "NoData",
            Denial::NoData { name: Place::Behind(_) } => "EmptyNonTerminal",
            Denial::WildcardNoData { .. } => "WildcardNoData",
            Denial::Expansion { .. } => "Expansion",
            Denial::InsecureReferral { .. } => "InsecureReferral",
        }
    }

    /// The case that the lookup finds, and how many labels above the name.
    fn found(zone: &Version, name: &str, qtype: RecordType) -> String {
        let name: Name = name.parse().unwrap();
        let mut key = KeyBuf::new();
        let approach = approach(zone, name.as_ref(), &mut key).expect("a name of the zone");
        match look_up(approach, qtype, &mut key) {
            Finding::Answer { denial, .. } => format!("answer {:?}", denial.map(kind)),
            Finding::Several { denial, .. } => format!("several {:?}", denial.map(kind)),
            Finding::Alias { denial, .. } => format!("alias {:?}", denial.map(kind)),
            Finding::Redirection { below, .. } => format!("redirection {below}"),
            Finding::Referral { below, .. } => format!("referral {below}"),
            Finding::Negative(denial) => kind(denial).into(),
        }
    }

    #[test]
    fn each_case_of_the_lookup_has_its_finding() {
        let zone = zone(
            "example.",
            "a A 192.0.2.1
             c CNAME a
             n.c2 CNAME a
             k CNAME a
             k KEY key
             k TXT t
             x.y.ent A 192.0.2.1
             *.w A 192.0.2.1
             *.w RRSIG A
             *.wc CNAME a
             e.*.we A 192.0.2.1
             sub NS ns.sub
             below.sub A 192.0.2.1
             both NS ns.both
             both DNAME a
             d DNAME a
             below.d A 192.0.2.1
             lower.d DNAME a
             cut.d NS ns.sub
             under.sub NS ns.sub",
        );
        let a = RecordType::A;
        for (name, qtype, case) in [
            ("a.example.", a, "answer None"),
            ("A.EXAMPLE.", a, "answer None"),
            ("a.example.", RecordType::MX, "NoData"),
            ("a.example.", RecordType::ANY, "several None"),
            ("a.example.", RecordType::RRSIG, "NoData"),
            ("c.example.", a, "alias None"),
            ("c.example.", RecordType::RRSIG, "NoData"),
            ("c.example.", RecordType::NSEC, "NoData"),
            ("q.wc.example.", RecordType::RRSIG, "WildcardNoData"),
            ("k.example.", RecordType::KEY, "answer None"),
            ("k.example.", RecordType::TXT, "alias None"),
            ("c.example.", RecordType::KEY, "alias None"),
            ("c.example.", RecordType::CNAME, "answer None"),
            ("c2.example.", a, "EmptyNonTerminal"),
            ("y.ent.example.", a, "EmptyNonTerminal"),
            ("z.ent.example.", a, "NameError"),
            ("none.example.", a, "NameError"),
            ("q.w.example.", a, "answer Some(\"Expansion\")"),
            ("p.q.w.example.", a, "answer Some(\"Expansion\")"),
            ("q.w.example.", RecordType::RRSIG, "several Some(\"Expansion\")"),
            ("q.w.example.", RecordType::MX, "WildcardNoData"),
            ("*.w.example.", RecordType::MX, "NoData"),
            ("w.example.", a, "EmptyNonTerminal"),
            ("q.wc.example.", a, "alias Some(\"Expansion\")"),
            ("q.we.example.", a, "WildcardNoData"),
            ("example.", RecordType::NS, "answer None"),
            ("example.", RecordType::DS, "NoData"),
            ("sub.example.", a, "referral 0"),
            ("sub.example.", RecordType::DS, "NoData"),
            ("sub.example.", RecordType::NSEC, "referral 0"),
            ("below.sub.example.", a, "referral 1"),
            ("very.far.below.sub.example.", RecordType::DS, "referral 3"),
            ("x.both.example.", a, "referral 1"),
            ("d.example.", a, "NoData"),
            ("below.d.example.", a, "redirection 1"),
            ("p.q.d.example.", a, "redirection 2"),
            ("lower.d.example.", RecordType::DNAME, "redirection 1"),
            ("x.lower.d.example.", a, "redirection 2"),
            ("x.cut.d.example.", a, "redirection 2"),
            ("x.under.sub.example.", a, "referral 2"),
        ] {
            assert_eq!(found(&zone, name, qtype), case, "{name} {qtype}");
        }
    }

    #[test]
    fn a_name_of_127_labels_is_looked_up() {
        let long = "x.".repeat(122);
        let zone = zone("example.", &format!("{} A 192.0.2.1", long.trim_end_matches('.')));
        assert_eq!(found(&zone, &format!("{long}example."), RecordType::A), "answer None");
        assert_eq!(found(&zone, &format!("x.{long}example."), RecordType::A), "NameError");
        assert_eq!(found(&zone, &format!("{}example.", "x.".repeat(100)), RecordType::A), "EmptyNonTerminal");
    }
}
