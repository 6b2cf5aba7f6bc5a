//! Choices that RFCs leave open, and where a peer is known to be wrong: each has a name, is narrow, and says what decides.
//!
//! A rule is looked at only where two replies differ. It takes out of both what may differ, and leaves everything else to
//! be compared.

mod choices;
mod peers;

use std::collections::BTreeSet;

use interop::Software;
use interop::message::{Question, Reply};
use interop::name::Name;
use interop::record::{Record, rtype};

/// Response codes (RFC 1035 §4.1.1, RFC 6672 §2.2).
const NO_ERROR: u16 = 0;
const SERVER_FAILURE: u16 = 2;
const NAME_ERROR: u16 = 3;
const YXDOMAIN: u16 = 6;

/// Two replies to one question.
pub(crate) struct Case<'c> {
    pub(crate) question: &'c Question,
    /// The zones that all serve, in lower case.
    pub(crate) apexes: &'c [Name],
    /// All owner names in them, in lower case.
    pub(crate) owners: &'c BTreeSet<Name>,
    /// Names that were there once, and those between them and their zones.
    pub(crate) gone: &'c BTreeSet<Name>,
    /// Owners of NSEC3 records.
    pub(crate) hashed: &'c BTreeSet<Name>,
    /// Zone cuts within the zones, and owners of DNAME records.
    pub(crate) cuts: &'c BTreeSet<Name>,
    pub(crate) redirected: &'c BTreeSet<Name>,
    pub(crate) peer: Software,
    pub(crate) ours: Reply,
    pub(crate) theirs: Reply,
    /// The names that our answer leads through, the question's first.
    pub(crate) chain: Vec<Name>,
    /// This peer is known to answer otherwise: another has to confirm ours.
    pub(crate) waived: bool,
}

/// One rule.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) apply: fn(&mut Case<'_>),
}

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "an answer with proofs ends where an alias leads into a zone above or below, whose proofs would mix with them (RFC 4035 §5.3), NSD goes on",
        apply: choices::nested_zones,
    },
    Rule {
        name: "an alias is followed into another zone that is served (RFC 1034 §4.3.2, step 3a: back to step 1)",
        apply: choices::another_zone,
    },
    Rule {
        name: "a negative answer to a question for SOA carries the negative TTL too (RFC 2308 §3), BIND says 0",
        apply: peers::soa_of_no_age,
    },
    Rule {
        name: "an alias that leads to itself is no failure of the server (RFC 1034 §3.6.2), BIND says SERVFAIL",
        apply: peers::loops,
    },
    Rule {
        name: "the NS records of the apex beside an answer (RFC 2181 §9 calls such data extra)",
        apply: choices::servers_of_the_zone,
    },
    Rule {
        name: "a wildcard gives no addresses for additional data and glue (RFC 4592 §3.3.1 speaks of QNAME), peers take them",
        apply: peers::wildcard_addresses,
    },
    Rule {
        name: "in-domain glue is complete, or TC is set (RFC 9471 §3.1), BIND and NSD leave some out",
        apply: peers::glue_left_out,
    },
    Rule {
        name: "addresses of names in an answer, and sibling glue, are optional (RFC 1034 §4.3.2 step 6, RFC 9471 §3.2); ours are those of the zone that answers, all for which there is room",
        apply: choices::additional,
    },
    Rule {
        name: "ANY for a name below a DNAME ends at the synthesised CNAME, or goes on (RFC 6672 §3.2, RFC 8482 §4)",
        apply: choices::any_below_a_redirection,
    },
    Rule {
        name: "ANY and RRSIG show all or some RRsets of the name (RFC 8482 §4.1, §7)",
        apply: choices::any,
    },
    Rule {
        name: "ANY is answered from a wildcard as any type (RFC 4592 §3.3.1), NSD says there is no data",
        apply: peers::any_from_a_wildcard,
    },
    Rule {
        name: "an alias asked for NSEC or RRSIG has its own or none (RFC 4035 §2.5), NSD follows it",
        apply: peers::chain_of_an_alias,
    },
    Rule {
        name: "a chain of aliases is followed until it is long (RFC 1034 §3.6.2 sets no number): BIND 11 times, Knot 5, NSD each DNAME once",
        apply: choices::long_chains,
    },
    Rule {
        name: "a question for NSEC at a cut is referred, as only DS is not (RFC 4035 §3.1.4.1), BIND answers it",
        apply: peers::chain_at_a_cut,
    },
    Rule {
        name: "a wildcard that is an empty non-terminal needs its proof too (RFC 4035 §3.1.3.4, RFC 4592 §4.9), BIND and Knot leave it out",
        apply: peers::empty_wildcard,
    },
    Rule {
        name: "NSEC records say in the additional section that there are no addresses: more than anybody asks for, Knot does it",
        apply: peers::proofs_beside,
    },
    Rule {
        name: "\\000 sorts before every other octet and is one of a label (RFC 4034 §6.1), Knot takes it for its end",
        apply: peers::zero_octet,
    },
    Rule {
        name: "a name that begins with an asterisk is expanded as any other (RFC 4592 §3.3.1), Knot takes it for the wildcard",
        apply: peers::asked_with_asterisk,
    },
    Rule {
        name: "names that are gone do not exist (RFC 4592 §2.2.2), NSD keeps some after IXFR",
        apply: peers::stale_names,
    },
    Rule {
        name: "owners of NSEC3 records are no names of the zone (RFC 5155 §7.2.8), NSD finds them",
        apply: peers::hashed_owners,
    },
    Rule {
        name: "a name error without its own proof is still one (RFC 5155 §7.2.2), Knot gives up where opt-out left out an ancestor",
        apply: peers::given_up,
    },
    Rule {
        name: "what exists, exists in its zone (RFC 4592 §2.2.2), NSD confuses a zone with its parent's names",
        apply: peers::one_tree,
    },
    Rule {
        name: "an alias asked for NSEC3 is followed (RFC 1034 §4.3.2 step 3a; RFC 5155 §7.2.8 has no such data there), NSD says no data",
        apply: peers::hashes_at_an_alias,
    },
    Rule {
        name: "YXDOMAIN is no negative answer, it needs no SOA and ends the answer (RFC 6672 §2.2), Knot looks up the DNAME's target",
        apply: peers::too_long,
    },
    Rule {
        name: "below a DNAME there is nothing, no other DNAME either (RFC 6672 §2.4), NSD takes the lower one",
        apply: peers::lower_redirection,
    },
    Rule {
        name: "a negative answer has its SOA, or TC is set (RFC 2308 §3, RFC 2181 §9), Knot leaves it out where there is no room",
        apply: peers::negative_without_soa,
    },
    Rule {
        name: "at a cut there is a referral (RFC 1034 §4.3.2 step 3b), Knot says SERVFAIL at some after IXFR",
        apply: peers::referral_failed,
    },
    Rule {
        name: "any set of proofs that proves it (RFC 4035 §3.1.3, RFC 5155 §7.2): somebody else, or a validator, has to confirm ours",
        apply: choices::other_proofs,
    },
];

impl Case<'_> {
    /// The deepest zone that holds a name.
    fn zone_of(&self, name: &Name) -> Option<&Name> {
        let holding = self.apexes.iter().filter(|apex| name.is_at_or_below(apex));
        holding.max_by_key(|apex| apex.labels().len())
    }

    /// The zone that answers the question's type for a name.
    fn zone_for(&self, name: &Name) -> Option<&Name> {
        let zone = self.zone_of(name)?;
        // RFC 4035 §3.1.4.1: a DS is at the parent's side.
        if self.question.rtype == rtype::DS && zone == name {
            return self.zone_of(&name.parent()).or(Some(zone));
        }
        Some(zone)
    }

    /// The first name in our answer that lies in another zone that we serve.
    pub(crate) fn leaves_for(&self) -> Option<Name> {
        // The alias itself answers these.
        if [rtype::CNAME, rtype::ANY].contains(&self.question.rtype) {
            return None;
        }
        let zone = self.zone_for(&self.question.name.lower())?;
        let beyond = self.chain.iter().skip(1).find(|name| self.zone_for(name) != Some(zone))?;
        self.zone_of(beyond).map(|_| beyond.clone())
    }

    fn leads_back(&self) -> bool {
        self.chain.iter().collect::<BTreeSet<_>>().len() < self.chain.len()
    }

    /// Both are right.
    fn settle(&mut self) {
        self.theirs = self.ours.clone();
    }

    /// What they say counts no more.
    fn waive(&mut self) {
        self.waived = true;
        self.theirs = self.ours.clone();
    }
}

/// The names that a reply leads through, the question's first.
pub(crate) fn chain(question: &Question, reply: &Reply) -> Vec<Name> {
    let mut chain = vec![question.name.lower()];
    while let Some(alias) = chain.last().and_then(|last| alias_at(reply, last)) {
        let known = chain.contains(&alias);
        chain.push(alias);
        if known {
            break;
        }
    }
    chain
}

fn alias_at(reply: &Reply, owner: &Name) -> Option<Name> {
    reply.answer.iter().find(|record| record.rtype == rtype::CNAME && record.owner == *owner)?.target()
}

fn has_type(records: &[Record], rtype: u16) -> bool {
    records.iter().any(|record| record.rtype == rtype)
}

/// Whether an NSEC3 record leaves insecure delegations out (RFC 5155 §3.1.2.1).
pub(crate) fn is_opt_out(record: &Record) -> bool {
    record.rtype == rtype::NSEC3 && record.rdata.get(1).is_some_and(|flags| flags & 1 != 0)
}

/// The cut that a reply refers to.
pub(crate) fn cut(reply: &Reply) -> Option<&Name> {
    let servers = reply.authority.iter().find(|record| record.rtype == rtype::NS)?;
    (!has_type(&reply.authority, rtype::SOA)).then_some(&servers.owner)
}

/// Whether our answer ends with an alias that leads into another zone of ours above or below one that has given proofs.
pub(crate) fn ends_before_nested(question: &Question, ours: &Reply, apexes: &[Name]) -> bool {
    let zone_of = |name: &Name| {
        apexes.iter().filter(|apex| name.is_at_or_below(apex)).max_by_key(|apex| apex.labels().len())
    };
    let chain = chain(question, ours);
    let proofs = has_type(&ours.authority, rtype::NSEC) || has_type(&ours.authority, rtype::NSEC3);
    let end = chain.last().and_then(zone_of);
    let nested =
        |one: &Name, other: &Name| one != other && (one.is_at_or_below(other) || other.is_at_or_below(one));
    let says_nothing =
        chain.last().is_some_and(|last| !ours.answer.iter().any(|record| record.owner == *last))
            && !has_type(&ours.authority, rtype::SOA)
            && cut(ours).is_none();
    let met = end.is_some_and(|end| chain.iter().filter_map(zone_of).any(|zone| nested(zone, end)));
    chain.len() > 1 && proofs && question.dnssec() && says_nothing && met
}

/// Whether all is the same but NSEC and NSEC3 records and their signatures.
fn only_proofs_differ(case: &Case<'_>) -> bool {
    let others = |records: &[Record]| -> BTreeSet<Record> {
        let proofs = [rtype::NSEC, rtype::NSEC3];
        records
            .iter()
            .filter(|record| !proofs.contains(&record.covers().unwrap_or(record.rtype)))
            .cloned()
            .collect()
    };
    case.ours.rcode == case.theirs.rcode
        && others(&case.ours.answer) == others(&case.theirs.answer)
        && others(&case.ours.authority) == others(&case.theirs.authority)
}
