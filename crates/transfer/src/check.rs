//! The turnstile: a candidate that is fit to serve becomes a [`CheckedZone`]; nothing else does.
//!
//! A secondary reproduces what its primary serves (RFC 5936 §6): a version is rejected only where serving it is plainly
//! worse than serving the one before. All else is kept, and said once.

use secondo_wire::{KeyBuf, NameBuf, Reason, RecordType, Serial, SerialOrder};
use secondo_zone::{Difference, Node, Zone};

use crate::candidate::{Tally, Warning};
use crate::{Candidate, Fault, Kind};

const CNAME_AND_OTHER: &str = "a CNAME stands beside other data (RFC 1034 §3.6.2)";
const SEVERAL_CNAMES: &str = "several CNAMEs stand at one owner (RFC 2181 §10.1)";

/// What a version must have to be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The apex has NS records (RFC 1034 §4.2.1).
    pub apex_ns: bool,
    /// A version that lost all records but SOA and NS, which the one before had, is not taken.
    pub hold_emptied: bool,
    /// Take the version whatever its serial: an operator's order, or the current version has expired.
    pub forced: bool,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy { apex_ns: true, hold_emptied: true, forced: false }
    }
}

/// A version that is fit to serve. Only [`check`] makes one.
#[derive(Debug)]
pub struct CheckedZone(Candidate);

impl CheckedZone {
    /// The version.
    pub fn zone(&self) -> &Zone {
        self.0.zone()
    }

    /// What really changed; only of [`Kind::Ixfr`].
    pub fn difference(&self) -> Option<&Difference> {
        self.0.difference()
    }

    /// In what form it came.
    pub fn kind(&self) -> Kind {
        self.0.kind()
    }

    /// Serial of the version held when it was asked for.
    pub fn from(&self) -> Option<Serial> {
        self.0.from()
    }

    /// Seconds until the primary's own copy expires (RFC 7314 §4).
    pub fn expire(&self) -> Option<u32> {
        self.0.expire()
    }

    /// The primary's clock minus ours in seconds, if a seal told it.
    pub fn skew(&self) -> Option<i64> {
        self.0.skew()
    }

    /// Counts of the transfer.
    pub fn tally(&self) -> Tally {
        self.0.tally()
    }

    /// What was tolerated, in the transfer and in the version.
    pub fn warnings(&self) -> &[Warning] {
        self.0.warnings()
    }
}

/// Checks a candidate against the version that is served now, if there is one. Errors: [`Reason::NoApexNs`],
/// [`Reason::GuardEmpty`], [`Reason::SerialBehind`], [`Reason::SerialIncomparable`], [`Reason::Cancelled`] when the
/// version served is no longer the one that was asked from, [`Reason::IxfrMalformed`] when differences leave a zone
/// without NS.
pub fn check(
    mut candidate: Candidate,
    current: Option<&Zone>,
    policy: &Policy,
) -> Result<CheckedZone, Fault> {
    if let Some(current) = current {
        check_serial(&candidate, current, policy.forced)?;
    } else if candidate.kind == Kind::Ixfr {
        return Err(moved("there is no version now that the differences could lead on from"));
    }
    let apex = candidate.zone.apex_node();
    if policy.apex_ns && !apex.has(RecordType::NS) {
        let detail = format!("{} has no NS records (RFC 1034 §4.2.1)", candidate.zone.apex());
        // The copies may differ: whether the primary's zone is without NS, the whole zone will tell.
        return Err(match candidate.kind {
            Kind::Ixfr => Fault::new(Reason::IxfrMalformed, format!("{}: {detail}", Reason::NoApexNs)),
            Kind::Axfr | Kind::AxfrStyle => Fault::new(Reason::NoApexNs, detail),
        });
    }
    if let Some(current) = current
        && policy.hold_emptied
        && is_bare(&candidate.zone)
        && !is_bare(current)
    {
        let detail = format!(
            "serial {} has SOA and NS only, serial {} has {} records",
            candidate.zone.serial(),
            current.serial(),
            current.counts().records,
        );
        return Err(Fault::new(Reason::GuardEmpty, detail));
    }
    find_oddities(&mut candidate);
    Ok(CheckedZone(candidate))
}

fn check_serial(candidate: &Candidate, current: &Zone, forced: bool) -> Result<(), Fault> {
    let (new, ours) = (candidate.zone.serial(), current.serial());
    if candidate.kind == Kind::Ixfr && candidate.from != Some(ours) {
        return Err(moved("the version served is no longer the one that the differences lead on from"));
    }
    if forced {
        return Ok(());
    }
    let (reason, what) = match new.compare(ours) {
        SerialOrder::Newer => return Ok(()),
        SerialOrder::Equal => return Err(moved("the version served has this serial already")),
        SerialOrder::Older => (Reason::SerialBehind, "is older than"),
        SerialOrder::Undefined => (Reason::SerialIncomparable, "is 2^31 away from"),
    };
    Err(Fault::new(reason, format!("serial {new} {what} {ours}, which is served (RFC 1982 §3.2)")))
}

fn moved(what: &str) -> Fault {
    Fault::new(Reason::Cancelled, what)
}

/// Whether the zone has SOA and NS at its apex and nothing else.
fn is_bare(zone: &Zone) -> bool {
    zone.counts().names <= 1
        && zone.apex_node().rrsets().all(|set| matches!(set.rtype(), RecordType::SOA | RecordType::NS))
}

/// Says what is odd but served. Costs nothing where no CNAME came, and after differences only what they touched.
fn find_oddities(candidate: &mut Candidate) {
    if !candidate.has_cname && candidate.difference.is_none() {
        return;
    }
    let warnings = &mut candidate.warnings;
    let mut name = NameBuf::new();
    let mut look = |node: Node<'_>| {
        let Some(cnames) = node.rrset(RecordType::CNAME) else { return };
        node.name_into(&mut name);
        // RFC 4035 §2.5, RFC 4034 §4: these three belong beside a CNAME.
        let other = node.rrsets().find(|set| {
            !matches!(set.rtype(), RecordType::CNAME | RecordType::RRSIG | RecordType::NSEC | RecordType::KEY)
        });
        if let Some(other) = other {
            warnings.at(CNAME_AND_OTHER, name.as_ref(), other.rtype());
        }
        if cnames.len() > 1 {
            warnings.at(SEVERAL_CNAMES, name.as_ref(), RecordType::CNAME);
        }
    };
    match &candidate.difference {
        None => candidate.zone.nodes().for_each(look),
        Some(difference) => {
            let (zone, mut key, mut last) = (&candidate.zone, KeyBuf::new(), KeyBuf::new());
            for record in difference.added() {
                // Records of one owner come together: each owner is looked at once.
                if key.set(record.owner, zone.apex().as_ref()) && key.as_slice() != last.as_slice() {
                    last.set_key(key.as_slice());
                    if let Some(node) = zone.find(key.as_slice()) {
                        look(node);
                    }
                }
            }
        }
    }
}
