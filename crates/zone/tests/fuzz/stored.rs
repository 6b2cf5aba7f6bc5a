//! Any octets where a disk should hold a version: never a panic, and what is taken is what this crate would have written.

use std::sync::OnceLock;

use secondo_wire::{KeyBuf, Name, NameBuf, RecordType, Soa};
use secondo_zone::{BorderSecret, Builder, Difference, Limits, Seek, Tree, Zone};

fn apex() -> Name {
    Name::parse("example.").unwrap()
}

fn secret() -> BorderSecret {
    BorderSecret::new(*b"sixteen octets.!")
}

/// The version whose pages and differences the first inputs were made of: capitals, escaped octets, hashed owners, many sets.
pub fn base() -> &'static Zone {
    static BASE: OnceLock<Zone> = OnceLock::new();
    BASE.get_or_init(|| grown(1, 12))
}

/// One like it of another serial and so many hosts.
pub fn grown(serial: u32, hosts: u8) -> Zone {
    let mut builder = Builder::new(apex(), &secret(), Limits::default());
    let mut push = |owner: &str, rtype: u16, ttl: u32, rdata: &[u8]| {
        let owner = Name::parse(&format!("{owner}example.")).unwrap();
        builder.push(owner.as_ref(), RecordType(rtype), ttl, rdata).unwrap();
    };
    let (mname, rname) = (apex(), Name::root());
    let soa = Soa { mname, rname, serial: serial.into(), refresh: 1, retry: 2, expire: 3, minimum: 4 };
    push("", 6, 300, &soa.to_rdata());
    push("", 2, 300, b"\x02ns\x07Example\0");
    push("", 46, 300, &[&[0, 2][..], &[0; 16], b"\0seal"].concat());
    push("A-b.", 16, 7, b"\x05hello\x00");
    push("\\001.\\000z.", 1, 300, b"abcd");
    push("sub.", 2, 3600, b"\x01N\0");
    push("*.w.", 5, 60, b"\0");
    push("t.", 65_280, 9, b"");
    for host in 0..hosts {
        push(&format!("h{host:02}."), 1, 300, &[host; 4]);
        push(&format!("h{host:02}."), 1, 300, &[host, 1, 1, 1]);
        let hashed = [&[1, 0, 0, 0, 0, 20][..], &[host; 20], &[0, 1, 0x40]].concat();
        push(&format!("{}{host:02}.", "0".repeat(30)), 50, 60, &hashed);
    }
    builder.finish().unwrap().zone
}

/// Pages, each behind an octet for its tree and two for its length.
pub fn framed(zone: &Zone) -> Vec<u8> {
    let mut octets = vec![];
    for (tree, page) in zone.pages() {
        octets.push(u8::from(tree == Tree::Nsec3));
        octets.extend((page.len() as u16).to_be_bytes());
        octets.extend(page);
    }
    octets
}

/// Pages of a disk; whether they are a version.
pub fn judge_pages(mut input: &[u8]) -> bool {
    let mut pages = vec![];
    while let Some((&[tree, high, low], rest)) = input.split_first_chunk() {
        let (page, rest) = rest.split_at(rest.len().min(usize::from(u16::from_be_bytes([high, low]))));
        pages.push((if tree == 0 { Tree::Main } else { Tree::Nsec3 }, page.to_vec()));
        input = rest;
    }
    let Ok(zone) = Zone::from_pages(apex(), &secret(), pages.clone()) else { return false };
    let mut builder = Builder::new(apex(), &secret(), Limits::default());
    let (mut name, mut key) = (NameBuf::new(), KeyBuf::new());
    let mut names = 0;
    for node in zone.nodes() {
        names += 1;
        node.name_into(&mut name);
        node.key_into(&mut key);
        match zone.seek(key.as_slice()) {
            Seek::Found(found) => assert!(found.cmp_key(key.as_slice()).is_eq(), "a node is found"),
            Seek::Missing(_) => {
                let hashed = zone.hashed_at_or_before(key.as_slice());
                assert!(hashed.is_some_and(|found| found.cmp_key(key.as_slice()).is_eq()), "or is hashed");
            }
        }
        for set in node.rrsets() {
            for rdata in set.rdatas() {
                builder.push(name.as_ref(), set.rtype(), set.ttl(), rdata).expect("a record of the zone");
            }
        }
    }
    let fresh = builder.finish().expect("what was taken can be built").zone;
    assert!(fresh == zone && fresh.digest() == zone.digest(), "the pages of a fresh build");
    assert_eq!(fresh.counts(), zone.counts());
    assert_eq!(zone.counts().names, names);
    let written: Vec<_> = zone.pages().map(|(tree, page)| (tree, page.to_vec())).collect();
    pages.sort_by_key(|(tree, _)| *tree == Tree::Nsec3);
    assert_eq!(written, pages, "what was taken is written again");
    true
}

/// A step of a journal; whether it leads on from the version.
pub fn judge_step(input: &[u8]) -> bool {
    let Ok(difference) = Difference::from_bytes(input) else { return false };
    assert_eq!(difference.to_bytes(), input, "there is one way to write it");
    assert_eq!(difference.removed().count(), difference.removed_count());
    assert_eq!(difference.added().count(), difference.added_count());
    let back = difference.reversed();
    assert_eq!(back.reversed().to_bytes(), input);
    let Ok(zone) = difference.apply(base()) else { return false };
    let net = Difference::between(base(), &zone);
    assert!(
        net.apply(base()).is_ok_and(|again| again == zone),
        "what came of it differs by what a difference tells"
    );
    true
}
