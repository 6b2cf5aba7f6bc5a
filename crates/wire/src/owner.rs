//! The owner of several records of a message, which is looked for once.

use crate::name::NameRef;
use crate::writer::FARTHEST;

/// The owner of records, and where it stands in the message once it does.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'n> {
    pub(crate) name: NameRef<'n>,
    /// Octets of its first labels, those that do not stand in the message yet.
    pub(crate) own: u8,
    /// Where the rest stands, not farther than a pointer reaches; `None`: not known, or the root.
    pub(crate) place: Option<u16>,
}

impl<'n> From<NameRef<'n>> for Owner<'n> {
    fn from(name: NameRef<'n>) -> Owner<'n> {
        Owner { name, own: 0, place: None }
    }
}

impl<'n> Owner<'n> {
    /// An owner that stands in the message already: `place` octets from its beginning.
    pub fn at(name: NameRef<'n>, place: usize) -> Owner<'n> {
        Owner::below(name, 0, place)
    }

    /// An owner of which all but its first labels stands there; those take `own` octets.
    pub fn below(name: NameRef<'n>, own: usize, place: usize) -> Owner<'n> {
        let rest_is_root = own + 1 >= name.as_wire().len();
        let place =
            u16::try_from(place).ok().filter(|&place| usize::from(place) <= FARTHEST && !rest_is_root);
        Owner { name, own: if place.is_some() { own as u8 } else { 0 }, place }
    }
}
