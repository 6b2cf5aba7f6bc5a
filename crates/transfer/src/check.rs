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

/// Octets that the difference to a whole zone may take, in wire form: in any case...
const LARGEST_DIFFERENCE: usize = 64 << 20;
/// ...and so many times what the zone takes in memory: enough for a zone of which every record changed.
const DIFFERENCE_SHARE: usize = 6;

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

    /// What really changed since the version that was served. Of a whole zone, only when that is not too much to be kept.
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
    if candidate.difference.is_none()
        && let Some(current) = current
    {
        let most = LARGEST_DIFFERENCE.max(DIFFERENCE_SHARE * candidate.zone.counts().memory_bytes as usize);
        candidate.difference = Difference::between_within(current, &candidate.zone, most);
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidate::Warnings;
    use crate::testing::{self, Rr, a, ns, rr, soa};

    fn candidate(zone: Zone, from: Option<&Zone>) -> Candidate {
        Candidate {
            zone,
            difference: None,
            kind: Kind::Axfr,
            from: from.map(|zone| zone.serial()),
            expire: None,
            authoritative: true,
            skew: None,
            tally: Tally::default(),
            warnings: Warnings::default(),
            has_cname: true,
        }
    }

    fn incremental(current: &Zone, new: &Zone) -> Candidate {
        let difference = Some(Difference::between(current, new));
        Candidate { difference, kind: Kind::Ixfr, ..candidate(new.clone(), Some(current)) }
    }

    fn reason(candidate: Candidate, current: Option<&Zone>, policy: Policy) -> Reason {
        check(candidate, current, &policy).map(|_| ()).unwrap_err().reason
    }

    #[test]
    fn a_newer_version_with_ns_passes() {
        let (old, new) = (testing::zone(u32::MAX, &[]), testing::zone(3, &[a("www.example.", 1)]));
        let checked = check(candidate(new.clone(), Some(&old)), Some(&old), &Policy::default()).unwrap();
        assert_eq!(checked.zone().serial(), Serial(3));
        assert!(checked.warnings().is_empty());
        assert!(check(incremental(&old, &new), Some(&old), &Policy::default()).is_ok());
        assert!(check(candidate(new, None), None, &Policy::default()).is_ok());
    }

    #[test]
    fn a_version_without_apex_ns_is_rejected_unless_the_policy_lets_it_pass() {
        let bare = || testing::build(&[soa(2), a("www.example.", 1)]);
        let policy = Policy::default();
        assert_eq!(reason(candidate(bare(), None), None, policy), Reason::NoApexNs);
        // Differences that lead there: the copies may differ, the whole zone will tell.
        let old = testing::zone(1, &[]);
        assert_eq!(reason(incremental(&old, &bare()), Some(&old), policy), Reason::IxfrMalformed);
        assert!(check(candidate(bare(), None), None, &Policy { apex_ns: false, ..policy }).is_ok());
    }

    #[test]
    fn a_version_that_lost_all_is_held_but_one_that_never_had_more_is_not() {
        let empty = |serial| testing::build(&[soa(serial), ns("example.", "ns.example.net.")]);
        let full = testing::zone(1, &[]);
        let policy = Policy::default();
        assert_eq!(reason(candidate(empty(2), Some(&full)), Some(&full), policy), Reason::GuardEmpty);
        assert_eq!(reason(incremental(&full, &empty(2)), Some(&full), policy), Reason::GuardEmpty);
        let lenient = Policy { hold_emptied: false, ..policy };
        assert!(check(candidate(empty(2), Some(&full)), Some(&full), &lenient).is_ok());
        assert!(check(candidate(empty(2), None), Some(&empty(1)), &policy).is_ok());
        assert!(check(candidate(empty(2), None), None, &policy).is_ok());
    }

    #[test]
    fn the_serial_is_compared_again_with_what_is_served_now() {
        let (now, policy) = (testing::zone(10, &[]), Policy::default());
        for (serial, expected) in
            [(9, Reason::SerialBehind), (10, Reason::Cancelled), (10 + (1 << 31), Reason::SerialIncomparable)]
        {
            let candidate = || candidate(testing::zone(serial, &[]), None);
            assert_eq!(reason(candidate(), Some(&now), policy), expected);
            assert!(check(candidate(), Some(&now), &Policy { forced: true, ..policy }).is_ok());
        }
    }

    #[test]
    fn of_a_whole_zone_it_is_told_what_changed() {
        let old = testing::zone(1, &[a("www.example.", 1), a("mail.example.", 1)]);
        let new = testing::zone(2, &[a("www.example.", 2), a("mail.example.", 1)]);
        let checked = check(candidate(new.clone(), Some(&old)), Some(&old), &Policy::default()).unwrap();
        assert_eq!(checked.difference(), Some(&Difference::between(&old, &new)));
        let first = check(candidate(new, None), None, &Policy::default()).unwrap();
        assert_eq!(first.difference(), None);
    }

    #[test]
    fn differences_count_only_on_the_version_they_lead_on_from() {
        let (base, new) = (testing::zone(1, &[]), testing::zone(3, &[]));
        let moved = testing::zone(2, &[]);
        let forced = Policy { forced: true, ..Policy::default() };
        assert_eq!(reason(incremental(&base, &new), Some(&moved), forced), Reason::Cancelled);
        assert_eq!(reason(incremental(&base, &new), None, forced), Reason::Cancelled);
    }

    #[test]
    fn data_added_beside_a_cname_that_was_there_is_said() {
        let cname = rr("www.example.", RecordType::CNAME, b"\0");
        let old = testing::zone(1, std::slice::from_ref(&cname));
        let new = testing::zone(2, &[cname, a("www.example.", 1)]);
        let candidate = Candidate { has_cname: false, ..incremental(&old, &new) };
        let checked = check(candidate, Some(&old), &Policy::default()).unwrap();
        assert_eq!(checked.warnings()[0].first, "www.example. A");
    }

    #[test]
    fn a_cname_beside_other_data_and_several_cnames_are_kept_and_said_once() {
        let cname = |owner: &str, target: &str| rr(owner, RecordType::CNAME, testing::name(target).as_wire());
        let odd: Vec<Rr> = vec![
            cname("both.example.", "x."),
            a("both.example.", 1),
            cname("also.example.", "x."),
            a("also.example.", 1),
            cname("twice.example.", "x."),
            cname("twice.example.", "y."),
            cname("fine.example.", "x."),
            rr("fine.example.", RecordType::NSEC, b"\0\0\x01\x40"),
        ];
        let (old, new) = (testing::zone(1, &[]), testing::zone(2, &odd));
        for candidate in [candidate(new.clone(), Some(&old)), incremental(&old, &new)] {
            let checked = check(candidate, Some(&old), &Policy::default()).unwrap();
            let said: Vec<_> = checked.warnings().iter().map(|w| (w.what, w.count)).collect();
            assert_eq!(said, [(CNAME_AND_OTHER, 2), (SEVERAL_CNAMES, 1)]);
        }
    }
}
