//! What a disk is asked, and what can go wrong with it.

use std::io::{Error, ErrorKind};

/// One thing done to the disk, as the kernel would be asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Operation {
    Create,
    Write,
    Sync,
    Rename,
    SyncFolder,
    Remove,
    SetAside,
    List,
    Open,
    Read,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The power is cut: whether what was just asked for still happened, chance decides, as of all that was not synced.
    PowerCut,
    /// No space is left: nothing is created, and writes end halfway.
    Full,
    /// Writes fail halfway.
    BadWrite,
    /// Syncs fail, and nobody knows what became of what was written before.
    BadSync,
    /// Nothing may be changed.
    ReadOnly,
    /// Nothing can be read.
    BadRead,
}

impl Trouble {
    /// Whether a disk with this trouble refuses such an operation.
    pub fn covers(self, operation: Operation) -> bool {
        use Operation::{Create, List, Open, Read, Remove, Rename, SetAside, Sync, SyncFolder, Write};
        match self {
            Trouble::PowerCut => true,
            Trouble::Full => matches!(operation, Create | Write),
            Trouble::BadWrite => operation == Write,
            Trouble::BadSync => matches!(operation, Sync | SyncFolder),
            Trouble::ReadOnly => matches!(operation, Create | Write | Rename | Remove | SetAside),
            Trouble::BadRead => matches!(operation, Open | Read | List),
        }
    }

    /// What the kernel says.
    pub(crate) fn error(self) -> Error {
        match self {
            Trouble::PowerCut => Error::other("the power is cut"),
            Trouble::Full => ErrorKind::StorageFull.into(),
            Trouble::ReadOnly => ErrorKind::ReadOnlyFilesystem.into(),
            Trouble::BadWrite | Trouble::BadSync | Trouble::BadRead => Error::other("input/output error"),
        }
    }
}
