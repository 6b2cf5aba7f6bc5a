//! The disk space of a folder.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The blocks that are allocated to a folder's files, in octets: what is sparse does not count.
pub(crate) fn allocated(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => allocated(&entry.path()),
            Ok(metadata) => metadata.blocks() * 512,
            // Removed while we looked.
            Err(_) => 0,
        })
        .sum()
}
