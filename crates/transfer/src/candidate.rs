//! What a transfer brought: a version that arrived whole, with what was tolerated on the way.

use std::fmt;

use secondo_wire::{NameRef, RecordType, Serial};
use secondo_zone::{Difference, Zone};

/// In what form a version came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The whole zone, as asked (RFC 5936).
    Axfr,
    /// Differences (RFC 1995 §4).
    Ixfr,
    /// The whole zone though differences were asked for (RFC 1995 §4).
    AxfrStyle,
}

impl Kind {
    /// The word for it: `axfr`, `ixfr` or `axfr-style`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Axfr => "axfr",
            Kind::Ixfr => "ixfr",
            Kind::AxfrStyle => "axfr-style",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Counts of one transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Messages received.
    pub messages: u64,
    /// Their octets, without TCP framing.
    pub bytes: u64,
    /// Records of their answer sections, SOAs and dropped ones included.
    pub records: u64,
    /// Difference sequences (RFC 1995 §4); 0 for a whole zone.
    pub differences: u64,
    /// Records dropped because their owner is outside of the zone.
    pub dropped_out_of_zone: u64,
}

/// Something that was tolerated, said once per version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What, with its RFC section.
    pub what: &'static str,
    /// How often, at least once.
    pub count: u64,
    /// The first case: owner and type, or empty.
    pub first: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)?;
        match (self.count, self.first.as_str()) {
            (1, "") => Ok(()),
            (n, "") => write!(f, " ({n} times)"),
            (1, first) => write!(f, ": {first}"),
            (n, first) => write!(f, ": {first} and {} more", n - 1),
        }
    }
}

/// Collects warnings: one per kind, however often.
#[derive(Clone, Debug, Default)]
pub(crate) struct Warnings(Vec<Warning>);

impl Warnings {
    /// One more case of `what` at this owner and type.
    pub(crate) fn at(&mut self, what: &'static str, owner: NameRef<'_>, rtype: RecordType) {
        match self.0.iter_mut().find(|warning| warning.what == what) {
            Some(warning) => warning.count += 1,
            None => self.0.push(Warning { what, count: 1, first: format!("{owner} {rtype}") }),
        }
    }

    /// `count` cases of `what`; nothing for none.
    pub(crate) fn add(&mut self, what: &'static str, count: u64) {
        match self.0.iter_mut().find(|warning| warning.what == what) {
            _ if count == 0 => {}
            Some(warning) => warning.count += count,
            None => self.0.push(Warning { what, count, first: String::new() }),
        }
    }

    pub(crate) fn as_slice(&self) -> &[Warning] {
        &self.0
    }
}

/// A version that arrived whole: seal, grammar and limits verified to the last message. Only a session makes one.
#[derive(Debug)]
pub struct Candidate {
    pub(crate) zone: Zone,
    pub(crate) difference: Option<Difference>,
    pub(crate) kind: Kind,
    /// Serial of the version that the differences lead on from, or that was held when the zone was asked for.
    pub(crate) from: Option<Serial>,
    pub(crate) expire: Option<u32>,
    pub(crate) authoritative: bool,
    pub(crate) skew: Option<i64>,
    pub(crate) tally: Tally,
    pub(crate) warnings: Warnings,
    /// A CNAME was among the records that arrived.
    pub(crate) has_cname: bool,
}

impl Candidate {
    /// The version.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// What really changed; only of [`Kind::Ixfr`].
    pub fn difference(&self) -> Option<&Difference> {
        self.difference.as_ref()
    }

    /// In what form it came.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Serial of the version held when it was asked for.
    pub fn from(&self) -> Option<Serial> {
        self.from
    }

    /// Seconds until the primary's own copy expires (RFC 7314 §4), if it said so under its seal.
    pub fn expire(&self) -> Option<u32> {
        self.expire
    }

    /// Whether every message had AA set (RFC 5936 §2.2.1).
    pub fn authoritative(&self) -> bool {
        self.authoritative
    }

    /// The primary's clock minus ours in seconds, if a seal told it.
    pub fn skew(&self) -> Option<i64> {
        self.skew
    }

    /// Counts of the transfer.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// What was tolerated.
    pub fn warnings(&self) -> &[Warning] {
        self.warnings.as_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secondo_wire::Name;

    #[test]
    fn a_kind_of_warning_is_said_once_with_its_first_case() {
        let mut warnings = Warnings::default();
        for name in ["a.", "b.", "c."] {
            warnings.at("odd", Name::parse(name).unwrap().as_ref(), RecordType::A);
        }
        warnings.add("never", 0);
        warnings.add("twice", 1);
        warnings.add("twice", 1);
        let said: Vec<_> = warnings.as_slice().iter().map(Warning::to_string).collect();
        assert_eq!(said, ["odd: a. A and 2 more", "twice (2 times)"]);
    }
}
