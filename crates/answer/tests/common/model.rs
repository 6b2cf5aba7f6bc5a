//! Small random zones, and what they answer by a plain reading of the RFCs: every step asks the whole list.

use std::collections::BTreeMap;

use proptest::prelude::*;
use secondo_wire::RecordType;

use super::signer::{Chain, signed};
use super::{Reply, World, zone};

pub const PARENT: &str = "example.";
pub const CHILD: &str = "b.example.";

/// Two zones, one below the other, to be asked and to be read; signed with as many chains as are given.
pub fn small_world(parent: &[Line], child: Option<&[Line]>, chains: &[Chain]) -> (World, Model) {
    // Two zones that both prove the same names without a cut between them contradict each other in one message: the one
    // has to delegate to the other.
    let contradicts = child.is_some() && !chains.is_empty() && !parent.iter().any(is_cut_to_child);
    let kept = parent.iter().filter(|(owner, ..)| !contradicts || owner != "b" && !owner.ends_with(".b"));
    let cut = contradicts.then(|| ("b".into(), RecordType::NS, absolute("ns.b", PARENT)));
    let parent: Vec<Line> = kept.cloned().chain(cut).collect();
    let zones = [(PARENT, Some(&*parent)), (CHILD, child)];
    let zones = zones.into_iter().filter_map(|(apex, lines)| Some((apex, lines?)));
    let text = |lines: &[Line]| -> String {
        lines.iter().map(|(owner, rtype, data)| format!("{owner} {rtype} {data}\n")).collect()
    };
    let world = World::new(zones.clone().map(|(apex, lines)| signed(&zone(apex, &text(lines)), chains)));
    (world, Model(zones.map(|(apex, lines)| (apex, read(apex, lines))).collect()))
}

/// Names of up to three labels, relative to the apex.
pub fn relative() -> impl Strategy<Value = String> {
    let label = prop::sample::select(vec!["a", "b", "c", "*"]);
    prop::collection::vec(label, 0..4)
        .prop_map(|labels| if labels.is_empty() { "@".into() } else { labels.join(".") })
}

pub fn small_types() -> impl Strategy<Value = RecordType> {
    use RecordType as T;
    prop::sample::select(vec![T::A, T::TXT, T::NS, T::CNAME, T::DNAME, T::DS, T::SOA])
}

pub type Line = (String, RecordType, String);

/// Small zones with cuts, wildcards, empty non-terminals, aliases and redirections. An owner of CNAME holds nothing
/// else (RFC 2181 §10.1), and types with one record an owner have one.
pub fn zones() -> impl Strategy<Value = Vec<Line>> {
    use RecordType as T;
    let data = prop_oneof![
        4 => Just((T::A, None)),
        2 => Just((T::TXT, None)),
        2 => relative().prop_map(|name| (T::NS, Some(name))),
        2 => relative().prop_map(|name| (T::CNAME, Some(name))),
        1 => relative().prop_map(|name| (T::DNAME, Some(name))),
        1 => Just((T::DS, None)),
    ];
    prop::collection::vec((relative(), data), 0..10).prop_map(lawful)
}

/// Owner, type and, of types that have one, target.
pub type Wish = (String, (RecordType, Option<String>));

/// Of records wished for those that may stand together in one zone.
pub fn lawful(wishes: Vec<Wish>) -> Vec<Line> {
    use RecordType as T;
    let mut kept: Vec<Line> = Vec::new();
    for (owner, (rtype, target)) in wishes {
        let here = |kept: &[Line], rtype: Option<T>| {
            kept.iter().any(|line| line.0 == owner && rtype.is_none_or(|rtype| line.1 == rtype))
        };
        let alone = owner == "@" || here(&kept, None);
        let taken = here(&kept, Some(rtype)) || here(&kept, Some(T::CNAME));
        if taken || (rtype == T::CNAME && alone) || (owner == "@" && matches!(rtype, T::NS | T::DS)) {
            continue;
        }
        let data = match (rtype, target) {
            (_, Some(name)) => absolute(&name, PARENT),
            (T::A, _) => "192.0.2.1".into(),
            _ => "t".into(),
        };
        kept.push((owner, rtype, data));
    }
    kept
}

fn is_cut_to_child((owner, rtype, _): &Line) -> bool {
    (&**owner, *rtype) == ("b", RecordType::NS)
}

/// RFC 4592 §4.2 leaves open what a wildcard with NS is; as a cut it can prove nothing but that there is no DS.
pub fn is_wild_cut(line: &Line) -> bool {
    line.1 == RecordType::NS && line.0.starts_with('*')
}

/// What is said without what only proves it.
pub fn without_dnssec((rcode, aa, answer, authority): Seen) -> Seen {
    let plain = |pairs: Vec<(String, String)>| {
        let extra = ["RRSIG", "NSEC", "NSEC3", "DS"];
        pairs.into_iter().filter(|(_, rtype)| !extra.contains(&rtype.as_str())).collect()
    };
    (rcode, aa, plain(answer), plain(authority))
}

pub fn absolute(relative: &str, apex: &str) -> String {
    if relative == "@" { apex.into() } else { format!("{relative}.{apex}") }
}

/// What matters of a reply: code, AA, the answer as (owner, type) in order, the authority as (owner, type), sorted.
pub type Seen = (u16, bool, Vec<(String, String)>, Vec<(String, String)>);

pub fn seen(reply: &Reply) -> Seen {
    let pairs = |lines: &[String]| {
        let pair = |line: &String| {
            let mut words = line.split(' ');
            (words.next().unwrap().to_string(), words.nth(1).unwrap().to_string())
        };
        lines.iter().map(pair).collect::<Vec<_>>()
    };
    let mut authority = pairs(&reply.authority);
    authority.sort();
    (reply.rcode.0, reply.aa, pairs(&reply.answer), authority)
}

/// Names to types to data.
type Map = BTreeMap<String, BTreeMap<RecordType, String>>;

fn read(apex: &str, records: &[Line]) -> Map {
    let mut map = Map::new();
    let top = map.entry(apex.to_string()).or_default();
    top.insert(RecordType::SOA, String::new());
    top.insert(RecordType::NS, String::new());
    for (owner, rtype, data) in records {
        map.entry(absolute(owner, apex)).or_default().insert(*rtype, data.clone());
    }
    map
}

/// Zones with their apexes, read by the letter: every step asks the whole map.
pub struct Model(Vec<(&'static str, Map)>);

fn is_at_or_below(name: &str, ancestor: &str) -> bool {
    name == ancestor || name.ends_with(&format!(".{ancestor}"))
}

fn pair(name: &str, rtype: &str) -> (String, String) {
    (name.to_string(), rtype.to_string())
}

impl Model {
    /// RFC 1034 §4.3.2 step 2, with RFC 4035 §3.1.4.1 for DS.
    fn zone(&self, name: &str, qtype: RecordType) -> Option<&(&'static str, Map)> {
        let above = |apex: &str| qtype != RecordType::DS || name != apex || apex == PARENT;
        let all = self.0.iter().filter(|(apex, _)| is_at_or_below(name, apex) && above(apex));
        all.max_by_key(|(apex, _)| apex.len())
    }

    /// `apart`: when a link came from a wildcard the chain does not go on to the zone above or below: proofs from NSEC of
    /// both sides of a cut may not stand in one message.
    pub fn answer(&self, question: &str, qtype: RecordType, apart: bool) -> Seen {
        let (mut answer, mut name, mut seen) = (Vec::new(), question.to_string(), Vec::new());
        let mut expanded = Vec::new();
        let mut aa = true;
        loop {
            let closed = seen.contains(&name) || seen.len() > secondo_answer::bounds::CHAIN_LENGTH - 1;
            let Some((apex, map)) = self.zone(&name, qtype).filter(|_| !closed) else {
                return (0, aa, answer, vec![]);
            };
            if apart && expanded.iter().any(|zone| zone != apex) {
                return (0, aa, answer, vec![]);
            }
            seen.push(name.clone());
            let has = |name: &str, rtype| map.get(name).is_some_and(|types| types.contains_key(&rtype));
            // RFC 4592 §2.2.2: a name exists when it, or a name below it, has records.
            let exists = |name: &str| map.keys().any(|owner| is_at_or_below(owner, name));
            let soa = || vec![pair(apex, "SOA")];
            // From the apex down: the ancestors of the name, and the name itself as a cut.
            let labels: Vec<&str> = name.strip_suffix(apex).unwrap().split_terminator('.').collect();
            let nodes = (0..=labels.len()).rev().map(|from| {
                labels[from..].iter().map(|label| format!("{label}.")).collect::<String>() + apex
            });
            let mut diverted = None;
            for node in nodes {
                let cut = node != *apex && has(&node, RecordType::NS);
                if cut && !(node == name && qtype == RecordType::DS) {
                    aa &= seen.len() > 1;
                    return (0, aa, answer, vec![pair(&node, "NS")]);
                }
                if node != name && has(&node, RecordType::DNAME) {
                    diverted = Some(node);
                    break;
                }
            }
            if let Some(owner) = diverted {
                if !answer.contains(&pair(&owner, "DNAME")) {
                    answer.push(pair(&owner, "DNAME"));
                }
                answer.push(pair(&name, "CNAME"));
                if qtype == RecordType::CNAME {
                    return (0, aa, answer, vec![]);
                }
                let head = name.strip_suffix(&owner).unwrap().to_string();
                name = head + &map[&owner][&RecordType::DNAME];
                continue;
            }
            let source = if exists(&name) {
                name.clone()
            } else {
                let mut encloser = name.clone();
                while !exists(&encloser) {
                    encloser = encloser.split_once('.').unwrap().1.to_string();
                }
                let wildcard = format!("*.{encloser}");
                if !exists(&wildcard) {
                    return (3, aa, answer, soa());
                }
                wildcard
            };
            if has(&source, qtype) {
                let last = pair(&name, &qtype.to_string());
                // RFC 2181 §5: a DNAME that led here is there already.
                if !answer.contains(&last) {
                    answer.push(last);
                }
                return (0, aa, answer, vec![]);
            }
            if !has(&source, RecordType::CNAME) {
                return (0, aa, answer, soa());
            }
            answer.push(pair(&name, "CNAME"));
            if source != name {
                expanded.push(*apex);
            }
            name = map[&source][&RecordType::CNAME].clone();
        }
    }
}
