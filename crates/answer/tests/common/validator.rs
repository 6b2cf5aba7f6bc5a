//! Judges replies as a validator does (RFC 4035 §5.4, RFC 5155 §8), from nothing but their records: signatures are where
//! they belong, each denial is proved, and no record stands there that proves nothing.

use std::cell::RefCell;
use std::collections::BTreeSet;

use secondo_wire::{Message, Name, NameBuf, NameRef, Rcode, RecordType, Section, read_name};

use super::Reply;
use super::signer::{hashed_owner, nsec3_hash};

/// A record as it stands in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub section: Section,
    pub owner: Name,
    pub rtype: RecordType,
    pub rdata: Vec<u8>,
    /// The name that RDATA begins with, where it does.
    pub target: Option<Name>,
}

fn name_at(octets: &[u8], at: usize) -> Option<Name> {
    let mut name = NameBuf::new();
    read_name(octets, at, &mut name).ok()?;
    Some(name.as_ref().to_owned())
}

pub fn records(reply: &Reply) -> Vec<Seen> {
    let octets = &reply.octets;
    let records = Message::new(octets).unwrap().records().unwrap().map(Result::unwrap);
    let seen = |record: secondo_wire::Record| Seen {
        section: record.section,
        owner: name_at(octets, record.owner).unwrap(),
        rtype: record.rtype,
        rdata: octets[record.rdata..record.end].to_vec(),
        target: name_at(octets, record.rdata),
    };
    records.filter(|record| record.rtype != RecordType::OPT).map(seen).collect()
}

/// What a reply shows: the authority section without signatures, as owner and type, sorted; with NSEC the next name.
pub fn shown(reply: &Reply) -> Vec<String> {
    let line = |seen: &Seen| {
        let next = seen.target.as_ref().filter(|_| seen.rtype == RecordType::NSEC);
        let next = next.map(|next| format!(" {next}")).unwrap_or_default();
        format!("{} {}{next}", seen.owner, seen.rtype)
    };
    let of_interest = |seen: &&Seen| seen.section == Section::Authority && seen.rtype != RecordType::RRSIG;
    let mut lines: Vec<String> = records(reply).iter().filter(of_interest).map(line).collect();
    lines.sort_unstable();
    lines
}

impl Seen {
    /// The types of a bitmap of one window.
    fn types(bitmap: &[u8]) -> BTreeSet<RecordType> {
        let bits = bitmap.get(2..).unwrap_or_default();
        let set = |n: &u16| bits.get(usize::from(n / 8)).is_some_and(|octet| octet << (n % 8) & 0x80 != 0);
        (0..256).filter(set).map(RecordType).collect()
    }

    fn nsec(&self) -> Option<(&Name, BTreeSet<RecordType>)> {
        let next = self.target.as_ref().filter(|_| self.rtype == RecordType::NSEC)?;
        Some((next, Seen::types(&self.rdata[next.as_wire().len()..])))
    }

    fn nsec3(&self) -> Option<Nsec3> {
        let salted = self.rdata.get(5..).filter(|_| self.rtype == RecordType::NSEC3)?;
        let (salt, rest) = salted.split_at(usize::from(self.rdata[4]));
        let iterations = u16::from_be_bytes([self.rdata[2], self.rdata[3]]);
        Some(Nsec3 {
            opt_out: self.rdata[1] & 1 == 1,
            iterations,
            salt: salt.to_vec(),
            next: rest[1..21].to_vec(),
            types: Seen::types(&rest[21..]),
        })
    }
}

struct Nsec3 {
    opt_out: bool,
    iterations: u16,
    salt: Vec<u8>,
    next: Vec<u8>,
    types: BTreeSet<RecordType>,
}

/// A reply being judged.
struct Judged {
    records: Vec<Seen>,
    /// The records that proved something.
    used: RefCell<BTreeSet<usize>>,
}

/// What is wrong with a reply to `name` and `qtype` from zones that are all signed; nothing: it validates.
pub fn fault(reply: &Reply, name: &str, qtype: RecordType) -> Result<(), String> {
    let judged = Judged { records: records(reply), used: RefCell::default() };
    judged.signatures()?;
    judged.chain(name.parse().unwrap(), qtype, reply.rcode)?;
    judged.nothing_idle()
}

fn is(condition: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(otherwise()) }
}

impl Judged {
    fn of(&self, section: Section, owner: &Name, rtype: RecordType) -> Option<&Seen> {
        self.records
            .iter()
            .find(|seen| seen.section == section && seen.owner == *owner && seen.rtype == rtype)
    }

    fn signature(&self, of: &Seen) -> Option<&Seen> {
        self.records.iter().find(|seen| {
            let covers = seen.rdata.first_chunk().map(|first| RecordType(u16::from_be_bytes(*first)));
            seen.rtype == RecordType::RRSIG
                && (seen.section, &seen.owner, covers) == (of.section, &of.owner, Some(of.rtype))
        })
    }

    /// RFC 4035 §3.1.1: what is signed comes with its signature. Not signed: the NS of a referral, glue, the CNAME that a
    /// DNAME makes (RFC 6672 §5.3.1).
    fn signatures(&self) -> Result<(), String> {
        for (at, seen) in self.records.iter().enumerate() {
            is(!self.records[..at].contains(seen), || format!("twice: {seen:?}"))?;
            let synthetic = seen.rtype == RecordType::CNAME
                && self.records.iter().any(|dname| {
                    dname.rtype == RecordType::DNAME
                        && seen.owner != dname.owner
                        && seen.owner.is_at_or_below(&dname.owner)
                });
            let free = seen.section == Section::Additional
                || seen.rtype == RecordType::RRSIG
                || (seen.section == Section::Authority && seen.rtype == RecordType::NS);
            is(free || synthetic || self.signature(seen).is_some(), || format!("unsigned: {seen:?}"))?;
        }
        Ok(())
    }

    fn nothing_idle(&self) -> Result<(), String> {
        let used = self.used.borrow();
        let idle = self.records.iter().enumerate().find(|(at, seen)| {
            seen.section == Section::Authority
                && matches!(seen.rtype, RecordType::NSEC | RecordType::NSEC3)
                && !used.contains(at)
        });
        is(idle.is_none(), || format!("proves nothing: {idle:?}"))
    }

    /// Follows the answer from the name asked for, and judges its end.
    fn chain(&self, mut name: Name, qtype: RecordType, rcode: Rcode) -> Result<(), String> {
        let mut seen_names = Vec::new();
        while !seen_names.contains(&name) {
            seen_names.push(name.clone());
            self.expansion(&name)?;
            let at = |rtype| self.of(Section::Answer, &name, rtype);
            if at(qtype).is_some()
                || (qtype == RecordType::ANY && seen_names.len() == 1 && self.answers(&name))
            {
                return Ok(());
            }
            match at(RecordType::CNAME) {
                Some(alias) => name = alias.target.clone().unwrap(),
                None => return self.end(&name, qtype, rcode),
            }
        }
        Ok(())
    }

    fn answers(&self, name: &Name) -> bool {
        self.records.iter().any(|seen| seen.section == Section::Answer && seen.owner == *name)
    }

    /// RFC 4035 §5.3.4: a signature of fewer labels than its owner came from a wildcard.
    fn expansion(&self, name: &Name) -> Result<(), String> {
        let of_name = |seen: &&Seen| {
            seen.section == Section::Answer && seen.owner == *name && seen.rtype == RecordType::RRSIG
        };
        let labels = self.records.iter().filter(of_name).map(|seen| usize::from(seen.rdata[3])).min();
        let own = name.label_count() - usize::from(name.as_ref().is_wildcard());
        let Some(labels) = labels.filter(|&labels| labels < own) else { return Ok(()) };
        let next_closer = name.as_ref().ancestor(name.label_count() - labels - 1).to_owned();
        is(self.covered_by_nsec(name).is_some() || self.covered_by_nsec3(&next_closer).is_some(), || {
            format!("nothing says that {name} is not there for itself")
        })
    }

    fn end(&self, name: &Name, qtype: RecordType, rcode: Rcode) -> Result<(), String> {
        let authority = |rtype| {
            self.records.iter().find(|seen| seen.section == Section::Authority && seen.rtype == rtype)
        };
        if let Some(ns) = authority(RecordType::NS) {
            let cut = &ns.owner;
            let ds = self.of(Section::Authority, cut, RecordType::DS).is_some();
            return is(ds || self.no_data(cut, RecordType::DS), || format!("DS of {cut} is not denied"));
        }
        if authority(RecordType::SOA).is_none() {
            return is(rcode != Rcode::NXDOMAIN, || "name error without SOA".into());
        }
        match rcode {
            Rcode::NXDOMAIN => is(self.name_error(name), || format!("{name} is not denied")),
            _ => is(self.no_data(name, qtype), || format!("{qtype} of {name} is not denied")),
        }
    }

    /// The records that may prove something, those of the deepest zone first: a zone above may seem to speak of names in
    /// the zone below.
    fn proofs(&self) -> Vec<(usize, &Seen)> {
        let may = |(_, seen): &(usize, &Seen)| {
            seen.section == Section::Authority && matches!(seen.rtype, RecordType::NSEC | RecordType::NSEC3)
        };
        let mut all: Vec<_> = self.records.iter().enumerate().filter(may).collect();
        all.sort_by_key(|(_, seen)| std::cmp::Reverse(self.signer(seen).label_count()));
        all
    }

    fn take(&self, at: usize) {
        self.used.borrow_mut().insert(at);
    }

    /// The common ancestor of the name with the owner or the next name of the record that covers it, whichever is longer:
    /// the closest encloser. RFC 4035 §5.4 with RFC 6840 §4.1: the record of a cut or DNAME above says nothing.
    fn covered_by_nsec(&self, name: &Name) -> Option<Name> {
        let covering = self.proofs().into_iter().find_map(|(at, seen)| {
            let (next, types) = seen.nsec()?;
            let above = *name != seen.owner && name.is_at_or_below(&seen.owner);
            let hides = types.contains(&RecordType::DNAME)
                || (types.contains(&RecordType::NS) && !types.contains(&RecordType::SOA));
            let apex = self.signer(seen);
            let inside = seen.owner < *name && (name < next || *next == apex) && name.is_at_or_below(&apex);
            (inside && !(above && hides) && !next.is_at_or_below(name)).then_some((at, &seen.owner, next))
        });
        let (at, owner, next) = covering?;
        self.take(at);
        let common = |other: &Name| {
            std::iter::successors(Some(name.clone()), Name::parent)
                .find(|up| other.is_at_or_below(up))
                .unwrap()
        };
        Some([common(owner), common(next)].into_iter().max_by_key(Name::label_count).unwrap())
    }

    fn signer(&self, seen: &Seen) -> Name {
        let signature = self.signature(seen).expect("signatures were judged before");
        NameRef::split_from(&signature.rdata[18..]).unwrap().0.to_owned()
    }

    fn nsec_without(&self, name: &Name, qtype: RecordType) -> bool {
        let found = self.proofs().into_iter().find_map(|(at, seen)| {
            let (next, types) = seen.nsec()?;
            let lacks = seen.owner == *name && lacks(&types, qtype);
            // RFC 4592 §2.2.2: an empty non-terminal stands between a name and one below itself.
            let empty = seen.owner < *name && next != name && next.is_at_or_below(name);
            (lacks || empty).then_some(at)
        });
        found.inspect(|&at| self.take(at)).is_some()
    }

    fn name_error(&self, name: &Name) -> bool {
        if let Some(encloser) = self.covered_by_nsec(name) {
            return self.covered_by_nsec(&wildcard(&encloser)).is_some();
        }
        // RFC 5155 §8.4; under opt-out the wildcard need not be denied where the name may be an unsigned cut's.
        self.encloser_by_nsec3(name).is_some_and(|(encloser, opt_out)| {
            self.covered_by_nsec3(&wildcard(&encloser)).is_some() || opt_out
        })
    }

    fn no_data(&self, name: &Name, qtype: RecordType) -> bool {
        if self.nsec_without(name, qtype) || self.nsec3_without(name, qtype) {
            return true;
        }
        if let Some(encloser) = self.covered_by_nsec(name) {
            return self.nsec_without(&wildcard(&encloser), qtype);
        }
        // RFC 5155 §8.6, §8.7; RFC 6840 §4.? leaves empty non-terminals out of opt-out chains.
        self.encloser_by_nsec3(name)
            .is_some_and(|(encloser, opt_out)| self.nsec3_without(&wildcard(&encloser), qtype) || opt_out)
    }

    fn nsec3_of(&self, name: &Name) -> Vec<(usize, &Seen, Nsec3, Name)> {
        let hashed = |(at, seen): (usize, &'_ Seen)| {
            let nsec3 = self.records[at].nsec3()?;
            let apex = seen.owner.parent()?;
            let owner = hashed_owner(&nsec3_hash(name, &nsec3.salt, nsec3.iterations), &apex);
            name.is_at_or_below(&apex).then_some((at, &self.records[at], nsec3, owner))
        };
        self.proofs().into_iter().filter_map(hashed).collect()
    }

    fn nsec3_without(&self, name: &Name, qtype: RecordType) -> bool {
        let all = self.nsec3_of(name);
        let lacking =
            all.iter().filter(|(_, seen, nsec3, own)| seen.owner == *own && lacks(&nsec3.types, qtype));
        // RFC 5155 §8.6: of a DS the zone above the cut speaks, where it does.
        let found = lacking.min_by_key(|(.., nsec3, _)| nsec3.types.contains(&RecordType::SOA));
        found.inspect(|found| self.take(found.0)).is_some()
    }

    /// Whether a hash is covered, and by a record that says opt-out.
    fn covered_by_nsec3(&self, name: &Name) -> Option<bool> {
        let all = self.nsec3_of(name);
        let found = all.iter().find(|(_, seen, nsec3, own)| {
            let next = hashed_owner(&nsec3.next, &seen.owner.parent().unwrap());
            match seen.owner < next {
                true => seen.owner < *own && *own < next,
                false => seen.owner < *own || *own < next,
            }
        });
        let (at, _, nsec3, _) = found?;
        self.take(*at);
        Some(nsec3.opt_out)
    }

    /// RFC 5155 §8.3: the closest ancestor that a record matches, whose next closer name is covered; and whether that
    /// says opt-out.
    fn encloser_by_nsec3(&self, name: &Name) -> Option<(Name, bool)> {
        let mut next_closer = name.clone();
        for up in std::iter::successors(name.parent(), Name::parent) {
            let all = self.nsec3_of(&up);
            let matching = all.iter().find(|(_, seen, nsec3, own)| {
                // RFC 5155 §8.3: neither a DNAME nor a cut encloses.
                seen.owner == *own
                    && !nsec3.types.contains(&RecordType::DNAME)
                    && (!nsec3.types.contains(&RecordType::NS) || nsec3.types.contains(&RecordType::SOA))
            });
            if let Some((at, ..)) = matching {
                self.take(*at);
                return Some((up, self.covered_by_nsec3(&next_closer)?));
            }
            next_closer = up;
        }
        None
    }
}

fn wildcard(encloser: &Name) -> Name {
    match encloser.is_root() {
        true => "*.".parse().unwrap(),
        false => format!("*.{encloser}").parse().unwrap(),
    }
}

/// RFC 6840 §4.3: neither the type nor a CNAME; §4.4: at a cut only DS is denied.
fn lacks(types: &BTreeSet<RecordType>, qtype: RecordType) -> bool {
    let cut = types.contains(&RecordType::NS) && !types.contains(&RecordType::SOA);
    !types.contains(&qtype) && !types.contains(&RecordType::CNAME) && (!cut || qtype == RecordType::DS)
}
