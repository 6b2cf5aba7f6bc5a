//! Whether four servers say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use interop::Software;
use interop::message::{Question, Reply, Way, flag};
use interop::name::Name;
use interop::record::{Record, rtype};

use crate::rules::{Case, RULES, chain, cut, ends_before_nested};

/// What all serve, in lower case.
pub(crate) struct Served {
    /// The zones.
    pub(crate) apexes: Vec<Name>,
    /// All owner names.
    pub(crate) owners: BTreeSet<Name>,
    /// Names that were there once, and those above them.
    pub(crate) gone: BTreeSet<Name>,
    /// Owners of NSEC3 records.
    pub(crate) hashed: BTreeSet<Name>,
    /// Zone cuts within the zones.
    pub(crate) cuts: BTreeSet<Name>,
    /// Owners of DNAME records.
    pub(crate) redirected: BTreeSet<Name>,
}

/// A reply that nobody else gives, though a rule speaks for each difference.
pub(crate) struct Unconfirmed {
    pub(crate) question: Question,
    pub(crate) ours: Reply,
    /// In what it differs from the first peer's.
    pub(crate) differs: String,
    /// What everybody says.
    pub(crate) told: String,
}

/// What was found out over all questions.
#[derive(Default)]
pub(crate) struct Verdict {
    pub(crate) questions: usize,
    /// Those in which all peers say the same as we, none of them waived.
    pub(crate) unanimous: usize,
    /// Questions over UDP with truncated replies; they were asked again over TCP.
    pub(crate) truncated: usize,
    /// What was asked, said in reports.
    pub(crate) stage: String,
    /// What a validator has to confirm.
    pub(crate) unconfirmed: Vec<Unconfirmed>,
    /// How many replies the validator found to be secure, and how many insecure.
    pub(crate) validated: [usize; 2],
    /// How often each rule was needed, by peer.
    pub(crate) needed: BTreeMap<(&'static str, &'static str), usize>,
    /// By what differs: how often, and the first few in full.
    pub(crate) differences: BTreeMap<String, (usize, Vec<String>)>,
}

impl Verdict {
    /// Compares our reply with those of all others. Gives the name in another zone at which our answer goes on.
    pub(crate) fn judge(
        &mut self,
        question: &Question,
        served: &Served,
        ours: &Reply,
        theirs: &[(Software, Reply)],
    ) -> Option<Name> {
        self.questions += 1;
        self.alone(question, ours);
        let (mut confirmed, mut unanimous) = (false, true);
        let mut beyond = None;
        for (peer, reply) in theirs {
            let mut case = Case {
                question,
                apexes: &served.apexes,
                owners: &served.owners,
                gone: &served.gone,
                hashed: &served.hashed,
                cuts: &served.cuts,
                redirected: &served.redirected,
                peer: *peer,
                chain: chain(question, ours),
                ours: ours.clone(),
                theirs: reply.clone(),
                waived: false,
            };
            // Of several RRSIGs each answer may show others.
            beyond = case.leaves_for().filter(|_| question.rtype != rtype::RRSIG);
            beyond = beyond.filter(|_| !ends_before_nested(question, ours, &served.apexes));
            let mut differs = differing(&case.ours, &case.theirs);
            for rule in RULES {
                if differs.is_empty() {
                    break;
                }
                (rule.apply)(&mut case);
                let now = differing(&case.ours, &case.theirs);
                if now != differs {
                    *self.needed.entry((rule.name, short(*peer))).or_default() += 1;
                }
                differs = now;
            }
            let agrees = differs.is_empty() && !case.waived;
            confirmed |= agrees;
            unanimous &= agrees;
            if !differs.is_empty() {
                self.differs(format!("{}: {}", short(*peer), differs.join(", ")), || {
                    told(question, ours, theirs)
                });
            }
        }
        self.unanimous += usize::from(unanimous);
        if !confirmed {
            let differs = theirs.first().map(|(_, first)| differing(ours, first).join(", "));
            self.unconfirmed.push(Unconfirmed {
                question: question.clone(),
                ours: ours.clone(),
                differs: differs.unwrap_or_default(),
                told: told(question, ours, theirs),
            });
        }
        beyond
    }

    /// What must be true of our reply whatever the others say.
    fn alone(&mut self, question: &Question, ours: &Reply) {
        let mut faults = Vec::new();
        let sections = [&ours.answer, &ours.authority, &ours.additional];
        let all: Vec<&Record> = sections.into_iter().flatten().collect();
        // RFC 2181 §5: no record twice; its TTL is its RRset's.
        if all.iter().map(|r| (&r.owner, r.rtype, &r.rdata)).collect::<BTreeSet<_>>().len() < all.len() {
            faults.push("a record twice");
        }
        for section in sections {
            let sets: BTreeSet<_> = section.iter().map(|r| (&r.owner, r.rtype, r.covers())).collect();
            let ttls: BTreeSet<_> = section.iter().map(|r| (&r.owner, r.rtype, r.covers(), r.ttl)).collect();
            let runs =
                section.chunk_by(|a, b| a.owner == b.owner && a.rtype == b.rtype && a.covers() == b.covers());
            if ttls.len() > sets.len() {
                faults.push("an RRset with two TTLs");
            }
            if runs.count() > sets.len() {
                faults.push("an RRset in pieces");
            }
        }
        if ours.question != question.entry() {
            faults.push("another question than was asked");
        }
        if ours.size > question.room() {
            faults.push("larger than the client takes");
        }
        // RFC 6891 §6.1.1 and §7; RFC 3225 §3.
        match (&ours.opt, question.edns) {
            (None, None) => {}
            (Some(opt), Some(edns)) => {
                let flags = if edns.dnssec { 0x8000 } else { 0 };
                if opt.version != 0 || opt.flags != flags {
                    faults.push("an OPT with wrong flags");
                }
            }
            _ => faults.push("OPT without cause, or none"),
        }
        if !ours.compressed.is_empty() {
            faults.push("compression where RFC 3597 §4 forbids it");
        }
        if ours.has(flag::TC) && question.way == Way::Tcp {
            faults.push("truncated over TCP");
        }
        for fault in faults {
            self.differs(format!("secondo alone: {fault}"), || format!("{question}\n{ours}"));
        }
    }

    /// A reply over UDP that is truncated here or there, beside ours to the same question over TCP.
    pub(crate) fn judge_truncation(&mut self, question: &Question, over_udp: &Reply, over_tcp: &Reply) {
        self.truncated += 1;
        self.alone(question, over_udp);
        let sets = |records: &[Record]| -> BTreeSet<Record> { records.iter().cloned().collect() };
        let mut faults = Vec::new();
        let referral = cut(over_tcp);
        let optional = |record: &&Record| !referral.is_some_and(|cut| record.owner.is_at_or_below(cut));
        if over_udp.has(flag::TC) {
            // What is optional never truncates (RFC 2181 §9): without it the whole would not have had room.
            let spare: usize = over_tcp.additional.iter().filter(optional).map(|r| r.rdata.len() + 12).sum();
            if over_tcp.size.saturating_sub(spare) <= question.room() {
                faults.push("truncated without need");
            }
            for (part, whole) in [
                (&over_udp.answer, &over_tcp.answer),
                (&over_udp.authority, &over_tcp.authority),
                (&over_udp.additional, &over_tcp.additional),
            ] {
                let shown: BTreeSet<_> = part.iter().map(|r| (&r.owner, r.rtype, r.covers())).collect();
                let cut_off = whole
                    .iter()
                    .any(|r| shown.contains(&(&r.owner, r.rtype, r.covers())) && !part.contains(r));
                if cut_off || part.iter().any(|r| !whole.contains(r)) {
                    faults.push("part of an RRset");
                }
            }
        } else if ![rtype::ANY, rtype::RRSIG].contains(&question.rtype) {
            let lacks = sets(&over_tcp.answer) != sets(&over_udp.answer)
                || sets(&over_tcp.authority) != sets(&over_udp.authority)
                || over_tcp.additional.iter().any(|r| !optional(&r) && !over_udp.additional.contains(r));
            if lacks || over_tcp.rcode != over_udp.rcode {
                faults.push("incomplete without TC");
            }
        }
        for fault in faults {
            self.differs(format!("secondo alone: {fault}"), || {
                format!("{question}\n  over UDP:\n{over_udp}  over TCP:\n{over_tcp}")
            });
        }
    }

    /// Our reply that leads on into another of our zones, beside our reply to the question for the name there, which
    /// has been compared with what others say: the second must be the end of the first (RFC 1034 §4.3.2).
    pub(crate) fn judge_end(&mut self, question: &Question, whole: &Reply, beyond: &Reply) {
        let missing = |of: &[Record], inside: &[Record]| of.iter().any(|record| !inside.contains(record));
        if whole.rcode != beyond.rcode
            || missing(&beyond.answer, &whole.answer)
            || missing(&beyond.authority, &whole.authority)
        {
            self.differs("secondo alone: the end of a chain".to_owned(), || {
                format!("{question}\n  whole:\n{whole}  its end:\n{beyond}")
            });
        }
    }

    pub(crate) fn differs(&mut self, what: String, show: impl Fn() -> String) {
        let entry = self.differences.entry(what).or_default();
        entry.0 += 1;
        if entry.1.len() < 3 {
            entry.1.push(format!("({}) {}", self.stage, show()));
        }
    }

    pub(crate) fn report(&self) -> String {
        let mut text = format!(
            "{} questions, in {} all three peers agree with secondo, {} more that had no room over UDP\n",
            self.questions, self.unanimous, self.truncated
        );
        let [secure, insecure] = self.validated;
        let _ = writeln!(text, "{secure} replies validated as secure, {insecure} as insecure");
        for ((rule, peer), count) in &self.needed {
            let _ = writeln!(text, "{count:6} times {peer}: {rule}");
        }
        for (what, (count, shown)) in &self.differences {
            let _ = writeln!(text, "DIFFERENCE {count} times {what}");
            for case in shown {
                let _ = writeln!(text, "  {case}");
            }
        }
        text
    }
}

fn short(peer: Software) -> &'static str {
    match peer {
        Software::Bind => "BIND",
        Software::Knot => "Knot",
        Software::Nsd => "NSD",
        Software::Pdns => "PowerDNS",
    }
}

fn told(question: &Question, ours: &Reply, theirs: &[(Software, Reply)]) -> String {
    let mut text = format!("{question}\n  ours:\n{ours}");
    for (peer, reply) in theirs {
        let _ = write!(text, "  {}:\n{reply}", short(*peer));
    }
    text
}

/// What differs between two replies.
fn differing(ours: &Reply, theirs: &Reply) -> Vec<String> {
    let mut differing = Vec::new();
    if ours.rcode != theirs.rcode {
        differing.push(format!("rcode {} for {}", ours.rcode, theirs.rcode));
    }
    for (bit, name) in [
        (flag::AA, "AA"),
        (flag::TC, "TC"),
        (flag::RD, "RD"),
        (0x80, "RA"),
        (0x40, "Z"),
        (0x20, "AD"),
        (0x10, "CD"),
    ] {
        if ours.has(bit) != theirs.has(bit) {
            differing.push(format!("{name} {} for {}", ours.has(bit), theirs.has(bit)));
        }
    }
    if ours.question != theirs.question {
        differing.push("question".to_owned());
    }
    for (name, ours, theirs) in [
        ("answer", &ours.answer, &theirs.answer),
        ("authority", &ours.authority, &theirs.authority),
        ("additional", &ours.additional, &theirs.additional),
    ] {
        let (ours, theirs): (BTreeSet<&Record>, BTreeSet<&Record>) =
            (ours.iter().collect(), theirs.iter().collect());
        let types = |some: BTreeSet<&&Record>| {
            let types: BTreeSet<String> = some.iter().map(|r| interop::record::mnemonic(r.rtype)).collect();
            types.into_iter().collect::<Vec<_>>().join(" ")
        };
        let lacking = types(theirs.difference(&ours).collect());
        let surplus = types(ours.difference(&theirs).collect());
        if !lacking.is_empty() {
            differing.push(format!("{name} lacks {lacking}"));
        }
        if !surplus.is_empty() {
            differing.push(format!("{name} has {surplus}"));
        }
    }
    differing
}
