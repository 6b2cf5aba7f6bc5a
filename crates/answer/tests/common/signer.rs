//! Signs zones for the tests: computes chains of NSEC and NSEC3 by the letter, from the whole list of names. The
//! signatures say what they cover and verify nothing.

use std::collections::{BTreeMap, BTreeSet};

use secondo_wire::{Name, NameBuf, RecordType};
use secondo_zone::{BorderSecret, Builder, Limits, Zone};
use sha1::{Digest, Sha1};

/// How a zone denies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chain {
    Nsec,
    Nsec3 { iterations: u16, salt: Vec<u8>, opt_out: bool },
}

impl Chain {
    pub fn nsec3(iterations: u16, salt: &[u8], opt_out: bool) -> Chain {
        Chain::Nsec3 { iterations, salt: salt.to_vec(), opt_out }
    }
}

type Sets = BTreeMap<RecordType, (u32, Vec<Vec<u8>>)>;

/// A zone as a list, in canonical order.
struct Listed {
    apex: Name,
    owners: BTreeMap<Name, Sets>,
}

impl Listed {
    fn has(&self, name: &Name, rtype: RecordType) -> bool {
        self.owners.get(name).is_some_and(|sets| sets.contains_key(&rtype))
    }

    fn is_cut(&self, name: &Name) -> bool {
        *name != self.apex && self.has(name, RecordType::NS)
    }

    /// Whether something above the name hides it.
    fn is_hidden(&self, name: &Name) -> bool {
        self.above(name).iter().any(|up| self.is_cut(up) || self.has(up, RecordType::DNAME))
    }

    /// The ancestors of a name, the apex included.
    fn above(&self, name: &Name) -> Vec<Name> {
        let up = std::iter::successors(name.parent(), Name::parent);
        up.take_while(|up| up.is_at_or_below(&self.apex)).collect()
    }

    /// The types that the zone signs at a name (RFC 4035 §2.2), or at a cut those that it has a say in.
    fn seen_types(&self, name: &Name) -> BTreeSet<RecordType> {
        let cut = self.is_cut(name);
        let seen = |rtype: &RecordType| !cut || matches!(*rtype, RecordType::NS | RecordType::DS);
        self.owners.get(name).map(|sets| sets.keys().copied().filter(seen).collect()).unwrap_or_default()
    }
}

/// The zone with its chains and signatures.
pub fn signed(zone: &Zone, chains: &[Chain]) -> Zone {
    let mut listed = Listed { apex: zone.apex().clone(), owners: BTreeMap::new() };
    let mut name = NameBuf::new();
    for node in zone.nodes() {
        node.name_into(&mut name);
        let sets = listed.owners.entry(name.as_ref().to_owned()).or_default();
        for set in node.rrsets() {
            let rdatas = set.rdatas().map(<[u8]>::to_vec).collect();
            sets.insert(set.rtype(), (set.ttl(), rdatas));
        }
    }
    let parameters: Vec<Vec<u8>> = chains
        .iter()
        .filter_map(|chain| match chain {
            Chain::Nsec => None,
            Chain::Nsec3 { iterations, salt, .. } => Some(parameters(0, *iterations, salt)),
        })
        .collect();
    if !parameters.is_empty() {
        let apex = listed.owners.get_mut(zone.apex()).unwrap();
        apex.insert(RecordType::NSEC3PARAM, (0, parameters));
    }
    let mut proofs: Vec<(Name, RecordType, Vec<u8>)> = Vec::new();
    for chain in chains {
        proofs.extend(match chain {
            Chain::Nsec => nsec(&listed),
            Chain::Nsec3 { iterations, salt, opt_out } => nsec3(&listed, *iterations, salt, *opt_out),
        });
    }
    let mut builder = Builder::new(zone.apex().clone(), &BorderSecret::new([5; 16]), Limits::default());
    let mut push = |owner: &Name, rtype, ttl, rdata: &[u8]| {
        builder.push(owner.as_ref(), rtype, ttl, rdata).unwrap();
    };
    for (owner, sets) in &listed.owners {
        for (&rtype, (ttl, rdatas)) in sets {
            rdatas.iter().for_each(|rdata| push(owner, rtype, *ttl, rdata));
            let of_zone = !listed.is_hidden(owner) && (!listed.is_cut(owner) || rtype == RecordType::DS);
            if of_zone && !chains.is_empty() {
                push(owner, RecordType::RRSIG, *ttl, &signature(rtype, owner, *ttl, zone.apex()));
            }
        }
    }
    for (owner, rtype, rdata) in proofs {
        push(&owner, rtype, 300, &rdata);
        push(&owner, RecordType::RRSIG, 300, &signature(rtype, &owner, 300, zone.apex()));
    }
    builder.finish().unwrap().zone
}

/// RFC 4034 §3.1, with a signature that is none.
fn signature(covered: RecordType, owner: &Name, ttl: u32, signer: &Name) -> Vec<u8> {
    // RFC 4034 §3.1.3: the asterisk is not counted.
    let labels = owner.label_count() - usize::from(owner.as_ref().is_wildcard());
    let mut out = covered.0.to_be_bytes().to_vec();
    out.extend_from_slice(&[8, labels as u8]);
    out.extend_from_slice(&ttl.to_be_bytes());
    out.extend_from_slice(&[0, 0, 0, 9, 0, 0, 0, 1, 0, 5]);
    out.extend_from_slice(signer.as_wire());
    out.extend_from_slice(b"signature");
    out
}

/// RFC 4034 §4.1.2: windows 0 only hold the types of the tests.
fn bitmap(types: &BTreeSet<RecordType>) -> Vec<u8> {
    let Some(last) = types.last() else { return Vec::new() };
    let mut bits = vec![0; usize::from(last.0 / 8) + 1];
    types.iter().for_each(|rtype| bits[usize::from(rtype.0 / 8)] |= 0x80 >> (rtype.0 % 8));
    [&[0, bits.len() as u8][..], &bits].concat()
}

/// RFC 4035 §2.3: every name that is not hidden.
fn nsec(listed: &Listed) -> Vec<(Name, RecordType, Vec<u8>)> {
    let names: Vec<&Name> = listed.owners.keys().filter(|name| !listed.is_hidden(name)).collect();
    let next = names.iter().skip(1).chain(&names[..1]);
    let record = |(name, next): (&&Name, &&Name)| {
        let mut types = listed.seen_types(name);
        types.extend([RecordType::NSEC, RecordType::RRSIG]);
        ((*name).clone(), RecordType::NSEC, [next.to_lower().as_wire(), &bitmap(&types)].concat())
    };
    names.iter().zip(next).map(record).collect()
}

fn parameters(flags: u8, iterations: u16, salt: &[u8]) -> Vec<u8> {
    [&[1, flags][..], &iterations.to_be_bytes(), &[salt.len() as u8], salt].concat()
}

/// RFC 5155 §7.1: every name that is not hidden and those between it and the apex; with opt-out without cuts that have
/// no DS and without what exists only by them.
fn nsec3(listed: &Listed, iterations: u16, salt: &[u8], opt_out: bool) -> Vec<(Name, RecordType, Vec<u8>)> {
    let mut names = BTreeSet::new();
    for name in listed.owners.keys().filter(|name| !listed.is_hidden(name)) {
        if !(opt_out && listed.is_cut(name) && !listed.has(name, RecordType::DS)) {
            names.insert(name.clone());
            names.extend(listed.above(name));
        }
    }
    let mut hashed: Vec<(Vec<u8>, &Name)> =
        names.iter().map(|name| (nsec3_hash(name, salt, iterations), name)).collect();
    hashed.sort();
    let next = hashed.iter().skip(1).chain(&hashed[..1]);
    let records = hashed.iter().zip(next).map(|((hash, name), (next, _))| {
        let mut types = listed.seen_types(name);
        if types.iter().any(|rtype| !listed.is_cut(name) || *rtype == RecordType::DS) {
            types.insert(RecordType::RRSIG);
        }
        let head = parameters(u8::from(opt_out), iterations, salt);
        let rdata = [&head[..], &[20], next, &bitmap(&types)].concat();
        (hashed_owner(hash, &listed.apex), RecordType::NSEC3, rdata)
    });
    records.collect()
}

/// RFC 5155 §5.
pub fn nsec3_hash(name: &Name, salt: &[u8], iterations: u16) -> Vec<u8> {
    let mut digest = name.to_lower().as_wire().to_vec();
    for _ in 0..=iterations {
        digest = Sha1::digest([&digest[..], salt].concat()).to_vec();
    }
    digest
}

/// RFC 5155 §3.3, RFC 4648 §7.
pub fn hashed_owner(hash: &[u8], apex: &Name) -> Name {
    let bits: String = hash.iter().map(|octet| format!("{octet:08b}")).collect();
    let digit = |at: usize| {
        let value = u32::from_str_radix(&bits[at..at + 5], 2).unwrap();
        std::char::from_digit(value, 32).unwrap()
    };
    let label: String = (0..bits.len()).step_by(5).map(digit).collect();
    match apex.is_root() {
        true => format!("{label}.").parse().unwrap(),
        false => format!("{label}.{apex}").parse().unwrap(),
    }
}
