//! Rows carry their own checksum: SQLite's pages have none, and a flipped bit in a confirmation must not extend an
//! expiry.

use rusqlite::types::ValueRef;

/// What a row is, so that no row passes for one of another table.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Meta = 1,
    Zone = 2,
    Confirmation = 3,
    Journal = 4,
    Retired = 5,
}

/// The checksum of a row: over its table, its key and its content, each with its length.
fn sum(kind: Kind, key: &[u8], content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[kind as u8]);
    hasher.update(&(key.len() as u64).to_be_bytes());
    hasher.update(key);
    hasher.update(content);
    hasher.finalize()
}

/// `content` followed by its checksum.
pub(crate) fn seal(kind: Kind, key: &[u8], content: impl Into<Vec<u8>>) -> Vec<u8> {
    let mut out = content.into();
    let sum = sum(kind, key, &out);
    out.extend_from_slice(&sum.to_be_bytes());
    out
}

/// The content of a sealed row; `None` when the checksum is wrong.
pub(crate) fn open<'r>(kind: Kind, key: &[u8], sealed: &'r [u8]) -> Option<&'r [u8]> {
    let (content, stored) = sealed.split_last_chunk::<4>()?;
    (sum(kind, key, content) == u32::from_be_bytes(*stored)).then_some(content)
}

/// The checksum that a sealed row ends with; 0 for what is too short to have one.
pub(crate) fn sum_of(sealed: &[u8]) -> u32 {
    sealed.last_chunk::<4>().map_or(0, |stored| u32::from_be_bytes(*stored))
}

/// A row that may be missing, or there and damaged.
pub(crate) enum Found<T> {
    Missing,
    Damaged,
    Whole(T),
}

impl<T> Found<T> {
    /// What is whole.
    pub(crate) fn whole(self) -> Option<T> {
        match self {
            Found::Whole(found) => Some(found),
            Found::Missing | Found::Damaged => None,
        }
    }
}

/// A row that was looked for; the inner `None` is one of another type.
pub(crate) fn found<T>(sealed: Option<Option<Vec<u8>>>, open: impl FnOnce(&[u8]) -> Option<T>) -> Found<T> {
    match sealed {
        None => Found::Missing,
        Some(sealed) => sealed.and_then(|sealed| open(&sealed)).map_or(Found::Damaged, Found::Whole),
    }
}

/// The octets of a column; `None` for one that damage made something else.
pub(crate) fn blob(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Option<Vec<u8>>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Blob(octets) => Some(octets.to_vec()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_found() {
        let sealed = seal(Kind::Zone, b"key", b"content");
        assert_eq!(open(Kind::Zone, b"key", &sealed), Some(&b"content"[..]));
        assert_eq!(open(Kind::Journal, b"key", &sealed), None);
        assert_eq!(open(Kind::Zone, b"kez", &sealed), None);
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(Kind::Zone, b"key", &flipped), None);
        }
        for cut in 0..sealed.len() {
            assert_eq!(open(Kind::Zone, b"key", &sealed[..cut]), None);
        }
    }
}
