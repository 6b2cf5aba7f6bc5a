//! Letters without case (RFC 4343 §3), eight octets at a time.

/// Eight octets, each with its top bit.
const TOPS: u64 = u64::from_ne_bytes([0x80; 8]);
const ONES: u64 = u64::from_ne_bytes([1; 8]);

/// Eight octets in lower case.
#[inline]
pub(crate) fn lower(word: u64) -> u64 {
    // Sums of the lower seven bits: the top bit tells whether the octet reaches 'A', and whether it passes 'Z'.
    let low = word & !TOPS;
    let reaches_a = low + ONES * (0x80 - b'A' as u64);
    let passes_z = low + ONES * (0x7F - b'Z' as u64);
    word | ((reaches_a ^ passes_z) & !word & TOPS) >> 2
}

/// Whether one of eight octets is 0 or 1.
#[inline]
pub(crate) fn has_zero_or_one(word: u64) -> bool {
    word.wrapping_sub(ONES * 2) & !word & TOPS != 0
}

/// The eight octets at a place as a word.
#[inline]
pub(crate) fn word(octets: &[u8], at: usize) -> u64 {
    octets.get(at..).and_then(|octets| octets.first_chunk()).map_or(0, |eight| u64::from_le_bytes(*eight))
}

/// The places of words that cover `length` octets, at least eight; the last one overlaps the one before it where they do not
/// come out even.
#[inline]
pub(crate) fn places(length: usize) -> impl Iterator<Item = usize> {
    let last = length.saturating_sub(8);
    (0..length.div_ceil(8)).map(move |nth| (nth * 8).min(last))
}

/// Fewer than eight octets as a word, another for others; equal for octets that are equal but for what `lower` does.
#[inline]
pub(crate) fn short_word(octets: &[u8]) -> u64 {
    let four = |octets: &[u8]| octets.first_chunk().map_or(0, |four| u64::from(u32::from_le_bytes(*four)));
    match octets.len() {
        length @ 4.. => four(octets) | four(&octets[length - 4..]) << 32,
        _ => octets.iter().fold(0, |word, &octet| word << 8 | u64::from(octet)),
    }
}

/// Whether octets are equal but for case.
#[inline]
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    if a == b {
        return true;
    }
    match a.len() {
        0..8 => lower(short_word(a)) == lower(short_word(b)),
        length => places(length).all(|at| lower(word(a, at)) == lower(word(b, at))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_fold_as_octets_do() {
        for octet in 0..=255u8 {
            for at in 0..8 {
                let mut octets = *b"aZ\xFF\0@[z\xC1";
                octets[at] = octet;
                let lowered = lower(u64::from_le_bytes(octets)).to_le_bytes();
                assert_eq!(lowered, octets.map(|octet| octet.to_ascii_lowercase()));
                assert_eq!(
                    has_zero_or_one(u64::from_le_bytes(octets)),
                    octets.iter().any(|&octet| octet < 2)
                );
            }
        }
    }

    #[test]
    fn octets_of_any_length_are_equal_but_for_case() {
        let name: Vec<u8> = (0..70).map(|at| b"aB-9@["[at % 6]).collect();
        for length in 0..70 {
            let other = name[..length].to_ascii_uppercase();
            assert!(equal(&name[..length], &other));
            assert!(!equal(&name[..length], &name[..length + 1]));
            for at in 0..length {
                let mut other = other.clone();
                other[at] ^= 1;
                assert!(!equal(&name[..length], &other), "{at} of {length}");
            }
            if length >= 8 {
                let places: Vec<usize> = places(length).collect();
                assert_eq!((places[0], places[places.len() - 1]), (0, length - 8));
                assert!(places.windows(2).all(|pair| (1..=8).contains(&(pair[1] - pair[0]))));
            }
        }
    }
}
