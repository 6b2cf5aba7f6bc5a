//! Questions for uniformly random names.

use secondo_wire::edns::DO;
use secondo_wire::{CLASS_IN, Name, RecordType};

use crate::hosting::{Denial, HOSTS, mixed, owner, small_owner};

/// Requests of each kind: more than caches hold the names of.
const MANY: usize = 200_000;
const A: RecordType = RecordType(1);
const HINFO: RecordType = RecordType(13);

/// Requests that are answered alike.
pub(crate) struct Questions {
    octets: Vec<u8>,
    ends: Vec<usize>,
    /// The response code of all answers.
    pub(crate) rcode: u16,
}

impl Questions {
    fn new(rcode: u16, dnssec: bool, rtype: RecordType, name: impl Fn(usize) -> Name) -> Questions {
        let mut questions = Questions { octets: Vec::new(), ends: Vec::with_capacity(MANY), rcode };
        for n in 0..MANY {
            let random = mixed(n as u64);
            let id = (random >> 48) as u16;
            let octets = &mut questions.octets;
            octets.extend_from_slice(&id.to_be_bytes());
            octets.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
            octets.extend_from_slice(name(random as usize).as_wire());
            octets.extend_from_slice(&rtype.0.to_be_bytes());
            octets.extend_from_slice(&CLASS_IN.to_be_bytes());
            // OPT: the root, its type, 1232 octets, the flags, no option.
            octets.extend_from_slice(&[0, 0, 41, 0x04, 0xD0, 0, 0]);
            octets.extend_from_slice(&if dnssec { DO } else { 0 }.to_be_bytes());
            octets.extend_from_slice(&[0, 0]);
            questions.ends.push(questions.octets.len());
        }
        questions
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.octets[start..end])
    }
}

/// What is asked of many small zones.
pub(crate) fn of_small_zones(zones: usize) -> Questions {
    let name = |random: usize| small_owner(random % zones, random / zones % HOSTS);
    Questions::new(0, false, A, name)
}

/// What is asked of a zone.
pub(crate) fn kinds(names: usize, denial: Denial) -> Vec<(&'static str, Questions)> {
    let dnssec = denial != Denial::None;
    let existing = move |random: usize| owner(random % names, "");
    let missing = move |random: usize| owner(random % names, "x");
    let mut kinds = vec![
        ("an address", Questions::new(0, false, A, existing)),
        ("a name that is not there", Questions::new(3, false, A, missing)),
    ];
    if dnssec {
        kinds.push(("an address with its signature", Questions::new(0, true, A, existing)));
        kinds.push(("a name that is not there, proved", Questions::new(3, true, A, missing)));
        kinds.push(("a type that is not there, proved", Questions::new(0, true, HINFO, existing)));
    }
    kinds
}
