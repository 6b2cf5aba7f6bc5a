//! Rows carry their own checksum: SQLite's pages have none, and a flipped bit in a confirmation must not extend an
//! expiry.

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
pub(crate) fn seal(kind: Kind, key: &[u8], content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 4);
    out.extend_from_slice(content);
    out.extend_from_slice(&sum(kind, key, content).to_be_bytes());
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
