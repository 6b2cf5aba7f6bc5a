//! How deep in a zone its cuts and DNAMEs stand: what hides names below it (RFC 1034 §4.2.1, RFC 6672 §2.3). A look-up need
//! not search for ancestors where none can be.

use crate::rrset::Rrset;
use secondo_wire::{RecordType, key_labels};

/// Depths that are counted one by one; the last stands for all that are deeper too.
const DEPTHS: usize = 16;

/// How many owners of NS (the apex left out) or DNAME records stand so many labels below the apex.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Diversions([u32; DEPTHS]);

impl Diversions {
    /// Counts a set of the owner with this key.
    #[inline]
    pub(crate) fn note(&mut self, key: &[u8], set: &Rrset<'_>) {
        let diverts = match set.rtype() {
            RecordType::NS => !key.is_empty(),
            RecordType::DNAME => true,
            _ => false,
        };
        if diverts {
            self.0[key_labels(key).min(DEPTHS - 1)] += 1;
        }
    }

    pub(crate) fn add(&mut self, other: &Diversions) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, n)| *sum = sum.wrapping_add(n));
    }

    pub(crate) fn subtract(&mut self, other: &Diversions) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, n)| *sum = sum.wrapping_sub(n));
    }

    /// Bit n: there may be one n labels below the apex.
    pub(crate) fn depths(&self) -> u128 {
        let bit = |depth: usize| match depth {
            _ if self.0[depth] == 0 => 0,
            _ if depth == DEPTHS - 1 => u128::MAX << depth,
            _ => 1 << depth,
        };
        (0..DEPTHS).fold(0, |depths, depth| depths | bit(depth))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rrset;

    fn noted(key: &[u8], rtype: RecordType) -> Diversions {
        let mut body = vec![];
        rrset::put(&mut body, rtype, 60, std::iter::once(&b"\0"[..]));
        let mut noted = Diversions::default();
        noted.note(key, &Rrset::take(&body).unwrap().0);
        noted
    }

    #[test]
    fn cuts_and_redirections_are_told_by_their_depth() {
        let deep = b"a\0".repeat(40);
        for (key, rtype, depths) in [
            (&b""[..], RecordType::NS, 0),
            (b"", RecordType::DNAME, 1),
            (b"a\0", RecordType::NS, 0b10),
            (b"a\0b\0", RecordType::DNAME, 0b100),
            (b"a\0b\0", RecordType::A, 0),
            (&deep[..], RecordType::NS, u128::MAX << 15),
        ] {
            assert_eq!(noted(key, rtype).depths(), depths, "{key:?} {rtype}");
        }
    }

    #[test]
    fn what_was_added_can_be_taken_away() {
        let (shallow, deep) = (noted(b"a\0", RecordType::NS), noted(b"a\0b\0", RecordType::NS));
        let mut sum = shallow;
        sum.add(&deep);
        sum.add(&deep);
        sum.subtract(&deep);
        assert_eq!(sum.depths(), 0b110);
        sum.subtract(&deep);
        assert_eq!(sum, shallow);
    }
}
