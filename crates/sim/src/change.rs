//! A change to a zone, written as `-` and `+` lines in master-file format.

use secondo_wire::{Name, Serial};

use crate::master::{MasterError, read_records};
use crate::record::Rr;

/// Records that go and records that come.
///
/// ```text
/// - www 300 A 192.0.2.10
/// + www 300 A 192.0.2.11
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Records to delete; their TTL does not matter.
    pub removed: Vec<Rr>,
    /// Records to add.
    pub added: Vec<Rr>,
    /// The serial of the new version; the next one when left out.
    pub serial: Option<Serial>,
}

/// Why a change cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// A line that begins with neither `-` nor `+`.
    #[error("a line of a change begins with - or +: {0}")]
    Sign(String),
    /// A line is no record.
    #[error(transparent)]
    Master(#[from] MasterError),
    /// The zone does not take it.
    #[error(transparent)]
    Patch(#[from] secondo_zone::PatchError),
    /// The new version is no zone.
    #[error(transparent)]
    Build(#[from] secondo_zone::BuildError),
    /// The primary does not have the zone.
    #[error("there is no zone {0} here")]
    NoZone(Name),
}

impl Change {
    /// Reads lines; empty ones and those of white space are skipped. Names are relative to `apex`.
    pub fn parse(text: &str, apex: &Name) -> Result<Change, ChangeError> {
        let mut change = Change::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let half = match line.as_bytes()[0] {
                b'-' => &mut change.removed,
                b'+' => &mut change.added,
                _ => return Err(ChangeError::Sign(line.into())),
            };
            half.extend(read_records(&format!("{}\n", line[1..].trim_start()), apex)?);
        }
        Ok(change)
    }

    /// The same change to another serial.
    pub fn to_serial(self, serial: u32) -> Change {
        Change { serial: Some(Serial(serial)), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_signs_are_a_change() {
        let apex = Name::parse("example.").unwrap();
        let change = Change::parse("- a A 192.0.2.1\n\n + b 60 A 192.0.2.2\n+ c TXT \"; x\"", &apex).unwrap();
        assert_eq!((change.removed.len(), change.added.len()), (1, 2));
        assert_eq!(change.added[0].owner.to_string(), "b.example.");
        assert_eq!(change.added[0].ttl, 60);
        assert!(matches!(Change::parse("a A 192.0.2.1", &apex), Err(ChangeError::Sign(_))));
        assert!(matches!(Change::parse("+ a A 1.2", &apex), Err(ChangeError::Master(_))));
    }
}
