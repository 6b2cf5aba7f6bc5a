//! A hosting zone: every name has an address, some a second one, a text, a mail exchange; 1.8 records a name.

use secondo_wire::{KeyBuf, Name, NameRef, RecordType, Soa};
use secondo_zone::{BorderSecret, Builder, Limits, Spill, SpillError, Zone};

/// A number for a number, without any pattern.
pub fn mixed(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

pub fn apex() -> Name {
    Name::parse("bench.example.").expect("a name")
}

pub fn soa(serial: u32) -> Vec<u8> {
    let (mname, rname) = (apex(), apex());
    Soa { mname, rname, serial: serial.into(), refresh: 3600, retry: 600, expire: 86_400, minimum: 300 }
        .to_rdata()
}

/// The owner of number `i`.
pub fn owner(i: usize) -> Name {
    Name::parse(&format!("h{i:08}.bench.example.")).expect("a name")
}

/// The key of the owner of number `i`, with `tail` behind its first label.
pub fn key(i: usize, tail: &str) -> Vec<u8> {
    let mut key = KeyBuf::new();
    let owner = Name::parse(&format!("h{i:08}{tail}.bench.example.")).expect("a name");
    assert!(key.set(owner.as_ref(), apex().as_ref()));
    key.as_slice().to_vec()
}

/// In what order owners come.
#[derive(Clone, Copy, PartialEq)]
pub enum Order {
    Canonical,
    Any,
}

/// All records of a zone with so many names below the apex.
pub fn records(names: usize, order: Order, take: impl FnMut(NameRef<'_>, u16, u32, &[u8])) {
    records_of(1, names, order, take);
}

/// All records of a version of the zone; each differs from that of any other version.
pub fn records_of(
    version: u8,
    names: usize,
    order: Order,
    mut take: impl FnMut(NameRef<'_>, u16, u32, &[u8]),
) {
    let apex = apex();
    take(apex.as_ref(), 6, 3600, &soa(u32::from(version)));
    take(apex.as_ref(), 2, 3600, &[b"\x03ns", &[b'0' + version][..], b"\x05bench\x07example\0"].concat());
    let mut wire = *b"\x09h00000000\x05bench\x07example\0";
    for n in 0..names {
        let i = if order == Order::Canonical { n } else { (n as u64 * 1_000_003 % names as u64) as usize };
        let mut digits = i;
        for digit in wire[2..10].iter_mut().rev() {
            *digit = b'0' + (digits % 10) as u8;
            digits /= 10;
        }
        let Some((owner, _)) = NameRef::split_from(&wire) else { continue };
        let h = mixed(i as u64);
        take(owner, 1, 300, &[9 + version, (h >> 8) as u8, (h >> 16) as u8, (h >> 24) as u8]);
        if h % 10 < 5 {
            let mut six = [0x20, version, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            six[4..12].copy_from_slice(&h.to_be_bytes());
            six[12..].copy_from_slice(&(i as u32).to_be_bytes());
            take(owner, 28, 300, &six);
        }
        if h % 10 == 7 || h % 10 == 8 {
            let mut text = *b"\x1Bv=spf1 ip4:10.11.12.0/24 -a";
            text[27] = b'`' + version;
            take(owner, 16, 300, &text);
        }
        if h % 10 == 9 {
            let mut exchange = *b"\x00\x0A\x04mail\x05bench\x07example\0";
            exchange[1] = 9 + version;
            take(owner, 15, 300, &exchange);
        }
    }
}

/// A zone whose names, too, are hashed: an NSEC3 and its signature for each, beside the records of the hosting zone.
pub fn hashed(names: usize) -> Zone {
    let mut builder = Builder::new(apex(), &BorderSecret::new([42; 16]), Limits::default());
    let mut put = |owner: NameRef<'_>, rtype: u16, rdata: &[u8]| {
        builder.push(owner, RecordType(rtype), 300, rdata).expect("a record of the zone");
    };
    records(names, Order::Canonical, |owner, rtype, _, rdata| put(owner, rtype, rdata));
    // Hashes ascend, and are else without any pattern.
    let hash = |n: u64| {
        let mut hash = [0; 20];
        hash[..8].copy_from_slice(&((u128::from(n) << 64) / (names as u128 + 1)).to_be_bytes()[8..]);
        hash[8..16].copy_from_slice(&mixed(n).to_be_bytes());
        hash
    };
    let mut wire = *b"\x2000000000000000000000000000000000\x05bench\x07example\0";
    // RFC 5155 §3.2: SHA-1, no flags, no iterations, no salt; A and RRSIG. RFC 4034 §3.1: ECDSA P-256.
    let mut next = [&[1, 0, 0, 0, 0, 20][..], &[0; 20], &[0, 6, 0x40, 0, 0, 0, 0, 2]].concat();
    let mut signature =
        [&[0, 50, 13, 3, 0, 0, 1, 44, 102, 0, 0, 0, 101, 0, 0, 0, 48, 57][..], apex().as_wire(), &[0; 64]]
            .concat();
    for n in 0..names as u64 {
        // RFC 4648 §7.
        let bits = hash(n).iter().fold(Vec::new(), |mut bits, octet| {
            bits.extend((0..8).rev().map(|bit| octet >> bit & 1));
            bits
        });
        for (digit, bits) in wire[1..33].iter_mut().zip(bits.chunks(5)) {
            let value = bits.iter().fold(0, |value, bit| value << 1 | bit);
            *digit = b"0123456789abcdefghijklmnopqrstuv"[usize::from(value)];
        }
        next[6..26].copy_from_slice(&hash((n + 1) % names as u64));
        signature
            .iter_mut()
            .rev()
            .take(64)
            .zip(0..)
            .for_each(|(octet, at)| *octet = mixed(n << 6 | at) as u8);
        let Some((owner, _)) = NameRef::split_from(&wire) else { continue };
        put(owner, 50, &next);
        put(owner, 46, &signature);
    }
    builder.finish().expect("a zone").zone
}

/// Builds the zone.
pub fn build(names: usize, order: Order, previous: Option<&Zone>, spill: Option<Pool>) -> Zone {
    build_version(1, names, order, previous, spill)
}

/// Builds a version of the zone.
pub fn build_version(
    version: u8,
    names: usize,
    order: Order,
    previous: Option<&Zone>,
    spill: Option<Pool>,
) -> Zone {
    let mut builder = match previous {
        Some(previous) => Builder::reusing(previous, Limits::default()),
        None => Builder::new(apex(), &BorderSecret::new([42; 16]), Limits::default()),
    };
    if let Some(pool) = spill {
        let keep = previous.map_or(4 << 20, |zone| zone.counts().memory_bytes as usize / 4);
        builder.spill_to(Box::new(pool), keep);
    }
    records_of(version, names, order, |owner, rtype, ttl, rdata| {
        builder.push(owner, RecordType(rtype), ttl, rdata).expect("a record of the zone");
    });
    builder.finish().expect("a zone").zone
}

/// A file out of memory.
pub struct Pool(std::fs::File);

impl Pool {
    pub fn new() -> Pool {
        let path = std::env::temp_dir().join(format!("secondo-zone-figures-{}", std::process::id()));
        let open = std::fs::File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let file = open.expect("a file for the bench");
        std::fs::remove_file(path).expect("the file is there");
        Pool(file)
    }
}

impl Spill for Pool {
    fn append(&mut self, octets: &[u8]) -> Result<(), SpillError> {
        std::io::Write::write_all(&mut self.0, octets).map_err(|error| SpillError(error.to_string()))
    }

    fn read(&mut self, at: u64, octets: &mut [u8]) -> Result<(), SpillError> {
        std::os::unix::fs::FileExt::read_exact_at(&self.0, octets, at)
            .map_err(|error| SpillError(error.to_string()))
    }
}
