//! A version of a zone as octets: header, pages with checksums, end mark. The same form serves as a file for large
//! zones and as a row for small ones.
//!
//! ```text
//! magic "secondo1" · secret of the page borders, 16 octets · apex length u8 · apex · crc32 of all before
//! per page: tree u8 (0 main, 1 NSEC3) · length u32 · octets · crc32 of tree, length and octets
//! end: 0xFF · pages u32 · crc32 of the sums of header and pages in order, and of their number
//! ```
//! A torn tail lacks the end mark; pages left out or swapped change the last sum. An image needs nothing besides itself
//! to be read.

use std::io::{self, Read, Write};
use std::sync::Arc;

use secondo_wire::{Name, NameRef};
use secondo_zone::{BorderSecret, Tree, Zone};

use crate::facts::Stamp;

const MAGIC: &[u8; 8] = b"secondo1";
const END: u8 = 0xFF;

/// Why octets are not the image of a zone.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadImage {
    /// Not an image, or of another format.
    #[error("not a zone image of this format")]
    Header,
    /// It ends before its end mark.
    #[error("the image is cut short")]
    Torn,
    /// A checksum is wrong.
    #[error("checksum mismatch in page {0}")]
    Sum(u32),
    /// Something stands behind the end.
    #[error("the image does not end with its end mark")]
    Trailing,
    /// All sums are right, but the pages do not make a zone.
    #[error("pages do not make a zone: {0}")]
    Structure(String),
    /// It is an image, but another one.
    #[error("it is the image of another version")]
    Other,
    /// The disk did not give it.
    #[error(transparent)]
    Disk(io::Error),
}

impl From<io::Error> for BadImage {
    fn from(error: io::Error) -> BadImage {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => BadImage::Torn,
            _ => BadImage::Disk(error),
        }
    }
}

/// Writes the image of `zone`.
pub(crate) fn encode(zone: &Zone, out: &mut (impl Write + ?Sized)) -> io::Result<Stamp> {
    let apex = zone.apex().as_wire();
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(zone.secret().octets());
    header.push(apex.len() as u8);
    header.extend_from_slice(apex);
    let sum = crc32fast::hash(&header).to_be_bytes();
    header.extend_from_slice(&sum);
    out.write_all(&header)?;
    let mut size = header.len() as u64;
    let (mut count, mut sums) = (0u32, crc32fast::Hasher::new());
    sums.update(&sum);
    for (tree, page) in zone.pages() {
        let mut head = [0; 5];
        head[0] = tree_octet(tree);
        let length = u32::try_from(page.len()).map_err(|_| io::Error::other("page is larger than 4 GiB"))?;
        head[1..].copy_from_slice(&length.to_be_bytes());
        let sum = page_sum(&head, page).to_be_bytes();
        out.write_all(&head)?;
        out.write_all(page)?;
        out.write_all(&sum)?;
        sums.update(&sum);
        count += 1;
        size += 9 + u64::from(length);
    }
    let count = count.to_be_bytes();
    sums.update(&count);
    let sum = sums.finalize();
    out.write_all(&[END])?;
    out.write_all(&count)?;
    out.write_all(&sum.to_be_bytes())?;
    Ok(Stamp { size: size + 9, sum })
}

/// Reads back the image that `expected` stamps: every checksum and the structure of every page verified.
pub(crate) fn decode(mut from: impl Read, expected: Stamp) -> Result<Zone, BadImage> {
    let mut sums = crc32fast::Hasher::new();
    let (apex, secret, sum) = decode_header(&mut from)?;
    sums.update(&sum);
    let mut pages: Vec<(Tree, Arc<[u8]>)> = Vec::new();
    // One room for all: what stays of a page is the one allocation that the zone keeps.
    let mut page = Vec::new();
    loop {
        let number = pages.len() as u32;
        let [mark] = octets(&mut from)?;
        let rest: [u8; 4] = octets(&mut from)?;
        if mark == END {
            sums.update(&rest);
            let (sum, stored) = (sums.finalize(), octets(&mut from)?);
            if sum != u32::from_be_bytes(stored) || number != u32::from_be_bytes(rest) {
                return Err(BadImage::Sum(number));
            }
            if sum != expected.sum {
                return Err(BadImage::Other);
            }
            break;
        }
        let [a, b, c, d] = rest;
        let head = [mark, a, b, c, d];
        let length = u64::from(u32::from_be_bytes(rest));
        page.clear();
        if (&mut from).take(length).read_to_end(&mut page)? as u64 != length {
            return Err(BadImage::Torn);
        }
        let stored = octets(&mut from)?;
        if page_sum(&head, &page) != u32::from_be_bytes(stored) {
            return Err(BadImage::Sum(number));
        }
        sums.update(&stored);
        let tree = match mark {
            0 => Tree::Main,
            1 => Tree::Nsec3,
            _ => return Err(BadImage::Sum(number)),
        };
        pages.push((tree, page.as_slice().into()));
    }
    if from.read(&mut [0])? != 0 {
        return Err(BadImage::Trailing);
    }
    Zone::from_pages(apex, &secret, pages).map_err(|damage| BadImage::Structure(damage.to_string()))
}

fn decode_header(from: &mut impl Read) -> Result<(Name, BorderSecret, [u8; 4]), BadImage> {
    let head: [u8; MAGIC.len() + 17] = octets(from)?;
    let (magic, rest) = head.split_first_chunk::<8>().ok_or(BadImage::Header)?;
    let (secret, rest) = rest.split_first_chunk::<16>().ok_or(BadImage::Header)?;
    let &[length] = rest else { return Err(BadImage::Header) };
    let mut apex = vec![0; length.into()];
    from.read_exact(&mut apex)?;
    let sum: [u8; 4] = octets(from)?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&head);
    hasher.update(&apex);
    if magic != MAGIC || hasher.finalize() != u32::from_be_bytes(sum) {
        return Err(BadImage::Header);
    }
    match NameRef::split_from(&apex) {
        Some((name, [])) => Ok((name.to_owned(), BorderSecret::new(*secret), sum)),
        _ => Err(BadImage::Header),
    }
}

fn octets<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut out = [0; N];
    from.read_exact(&mut out)?;
    Ok(out)
}

fn tree_octet(tree: Tree) -> u8 {
    match tree {
        Tree::Main => 0,
        Tree::Nsec3 => 1,
    }
}

fn page_sum(head: &[u8; 5], page: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(page);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use secondo_wire::{RecordType, Serial, Soa};
    use secondo_zone::{Builder, Limits};

    fn zone() -> Zone {
        let apex = Name::parse("Example.").unwrap();
        let (mname, rname) = (apex.clone(), apex.clone());
        let soa = Soa { mname, rname, serial: Serial(7), refresh: 1, retry: 2, expire: 3, minimum: 4 };
        let mut builder = Builder::new(apex.clone(), &BorderSecret::new([9; 16]), Limits::default());
        builder.push(apex.as_ref(), RecordType::SOA, 300, &soa.to_rdata()).unwrap();
        for i in 0..20 {
            let owner = Name::parse(&format!("n{i}.example.")).unwrap();
            builder.push(owner.as_ref(), RecordType::A, 300, &[192, 0, 2, i]).unwrap();
        }
        builder.finish().unwrap().zone
    }

    #[test]
    fn an_image_is_read_back_whole_or_not_at_all() {
        let zone = zone();
        let mut image = Vec::new();
        let stamp = encode(&zone, &mut image).unwrap();
        assert_eq!(stamp.size, image.len() as u64);
        let back = decode(&image[..], stamp).unwrap();
        assert_eq!((back.apex(), back.serial()), (zone.apex(), zone.serial()));
        assert_eq!(back.secret().octets(), zone.secret().octets());
        assert!(back.pages().eq(zone.pages()));
        for cut in 0..image.len() {
            assert!(matches!(decode(&image[..cut], stamp), Err(BadImage::Torn)), "cut at {cut}");
        }
        for bit in 0..image.len() * 8 {
            let mut flipped = image.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&flipped[..], stamp).is_err(), "bit {bit}");
        }
        let longer = [&image[..], &[0]].concat();
        assert!(matches!(decode(&longer[..], stamp), Err(BadImage::Trailing)));
        let other = Stamp { sum: !stamp.sum, ..stamp };
        assert!(matches!(decode(&image[..], other), Err(BadImage::Other)));
    }
}
