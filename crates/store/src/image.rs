//! A version of a zone as octets: header, pages with checksums, end mark. The same form serves as a file for large
//! zones and as a row for small ones.
//!
//! ```text
//! magic "secondo1" · apex length u8 · apex · crc32 of all before
//! per page: tree u8 (0 main, 1 NSEC3) · length u32 · octets · crc32 of tree, length and octets
//! end: 0xFF · pages u32 · crc32 of the sums of all pages in order
//! ```
//! A torn tail lacks the end mark; pages left out or swapped change the last sum.

use std::io::{self, Write};

use secondo_wire::{Name, NameRef};
use secondo_zone::{BorderSecret, Tree, Zone};

const MAGIC: &[u8; 8] = b"secondo1";
const END: u8 = 0xFF;

/// Why octets are not the image of a zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadImage {
    /// Not an image, or of another format.
    #[error("not a zone image of this format")]
    Header,
    /// It ends before its end mark.
    #[error("the image is cut short")]
    Torn,
    /// A checksum is wrong.
    #[error("checksum mismatch in page {0}")]
    Sum(u32),
    /// All sums are right, but the pages do not make a zone.
    #[error("pages do not make a zone: {0}")]
    Structure(String),
}

/// Writes the image of `zone`.
pub fn encode(zone: &Zone, out: &mut impl Write) -> io::Result<()> {
    let apex = zone.apex().as_wire();
    let mut header = MAGIC.to_vec();
    header.push(apex.len() as u8);
    header.extend_from_slice(apex);
    let sum = crc32fast::hash(&header);
    out.write_all(&header)?;
    out.write_all(&sum.to_be_bytes())?;
    let (mut count, mut sums) = (0u32, crc32fast::Hasher::new());
    for (tree, page) in zone.pages() {
        let mut head = [0; 5];
        head[0] = tree_octet(tree);
        let length = u32::try_from(page.len()).map_err(|_| io::Error::other("page is larger than 4 GiB"))?;
        head[1..].copy_from_slice(&length.to_be_bytes());
        let sum = page_sum(&head, page);
        out.write_all(&head)?;
        out.write_all(page)?;
        out.write_all(&sum.to_be_bytes())?;
        sums.update(&sum.to_be_bytes());
        count += 1;
    }
    out.write_all(&[END])?;
    out.write_all(&count.to_be_bytes())?;
    sums.update(&count.to_be_bytes());
    out.write_all(&sums.finalize().to_be_bytes())
}

/// Reads an image back: every checksum and the structure of every page verified.
pub fn decode(octets: &[u8], secret: &BorderSecret) -> Result<Zone, BadImage> {
    let (apex, mut rest) = decode_header(octets)?;
    let (mut pages, mut sums) = (Vec::new(), crc32fast::Hasher::new());
    loop {
        let (&mark, after) = rest.split_first().ok_or(BadImage::Torn)?;
        if mark == END {
            let (count, after) = after.split_first_chunk::<4>().ok_or(BadImage::Torn)?;
            sums.update(count);
            let number = u32::from_be_bytes(*count);
            let whole = after == sums.finalize().to_be_bytes() && number as usize == pages.len();
            if !whole {
                return Err(if after.len() < 4 { BadImage::Torn } else { BadImage::Sum(number) });
            }
            break;
        }
        let (head, after) = rest.split_first_chunk::<5>().ok_or(BadImage::Torn)?;
        let number = pages.len() as u32;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let (page, after) = after.split_at_checked(length).ok_or(BadImage::Torn)?;
        let (sum, after) = after.split_first_chunk::<4>().ok_or(BadImage::Torn)?;
        if page_sum(head, page) != u32::from_be_bytes(*sum) {
            return Err(BadImage::Sum(number));
        }
        sums.update(sum);
        let tree = match mark {
            0 => Tree::Main,
            1 => Tree::Nsec3,
            _ => return Err(BadImage::Sum(number)),
        };
        pages.push((tree, page.to_vec()));
        rest = after;
    }
    Zone::from_pages(apex, secret, pages).map_err(|damage| BadImage::Structure(damage.to_string()))
}

fn decode_header(octets: &[u8]) -> Result<(Name, &[u8]), BadImage> {
    let rest = octets.strip_prefix(MAGIC).ok_or(BadImage::Header)?;
    let (&length, rest) = rest.split_first().ok_or(BadImage::Torn)?;
    let (apex, rest) = rest.split_at_checked(length as usize).ok_or(BadImage::Torn)?;
    let (sum, rest) = rest.split_first_chunk::<4>().ok_or(BadImage::Torn)?;
    let header = &octets[..MAGIC.len() + 1 + apex.len()];
    if crc32fast::hash(header) != u32::from_be_bytes(*sum) {
        return Err(BadImage::Header);
    }
    match NameRef::split_from(apex) {
        Some((name, [])) => Ok((name.to_owned(), rest)),
        _ => Err(BadImage::Header),
    }
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
