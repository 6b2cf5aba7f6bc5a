//! A hosting zone: each name has an address, half of them a second one; unsigned, or with a chain of NSEC or NSEC3 records
//! and signatures of the size of ECDSA's, which nobody verifies here.

use std::fmt;

use secondo_wire::{Name, RecordType, Soa};
use secondo_zone::{BorderSecret, Builder, Limits, Zone};
use sha1::{Digest, Sha1};

const TTL: u32 = 300;
const SIGNED: &[u16] = &[1, 28, 46, 47];

/// How a zone denies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denial {
    None,
    Nsec,
    Nsec3,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Denial::None => "unsigned",
            Denial::Nsec => "NSEC",
            Denial::Nsec3 => "NSEC3",
        })
    }
}

/// A number for a number, without any pattern.
pub(crate) fn mixed(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn apex() -> Name {
    Name::parse("bench.example.").expect("a name")
}

/// The owner of number `i`, with `tail` behind its first label.
pub(crate) fn owner(i: usize, tail: &str) -> Name {
    Name::parse(&format!("h{i:08}{tail}.bench.example.")).expect("a name")
}

/// The zone.
pub(crate) fn zone(names: usize, denial: Denial) -> Zone {
    let mut writer = Writer {
        builder: Builder::new(apex(), &BorderSecret::new([42; 16]), Limits::default()),
        signed: denial != Denial::None,
    };
    let (mname, rname) = (apex(), apex());
    let soa = Soa { mname, rname, serial: 1.into(), refresh: 3600, retry: 600, expire: 86_400, minimum: TTL };
    let owners: Vec<Name> = (0..names).map(|i| owner(i, "")).collect();
    writer.put(&apex(), 6, &soa.to_rdata());
    writer.put(&apex(), 2, b"\x02ns\x05bench\x07example\0");
    if denial == Denial::Nsec3 {
        writer.put(&apex(), 51, &[1, 0, 0, 0, 0]);
    }
    for (i, owner) in owners.iter().enumerate() {
        let random = mixed(i as u64);
        writer.put(owner, 1, &(random as u32).to_be_bytes());
        if random.is_multiple_of(2) {
            let mut six = [0x20; 16];
            six[8..].copy_from_slice(&random.to_be_bytes());
            writer.put(owner, 28, &six);
        }
    }
    let all = std::iter::once(apex()).chain(owners);
    match denial {
        Denial::None => {}
        Denial::Nsec => {
            let all: Vec<Name> = all.collect();
            for (at, owner) in all.iter().enumerate() {
                let next = &all[(at + 1) % all.len()];
                let rdata = [next.as_wire(), &bitmap(types_of(at))].concat();
                writer.put(owner, 47, &rdata);
            }
        }
        Denial::Nsec3 => {
            let mut hashes: Vec<([u8; 20], usize)> =
                all.enumerate().map(|(at, owner)| (Sha1::digest(owner.as_wire()).into(), at)).collect();
            hashes.sort_unstable();
            for (place, (hash, at)) in hashes.iter().enumerate() {
                let (next, _) = hashes[(place + 1) % hashes.len()];
                let rdata = [&[1, 0, 0, 0, 0, 20][..], &next, &bitmap(types_of(*at))].concat();
                writer.put(&hashed_owner(hash), 50, &rdata);
            }
        }
    }
    writer.builder.finish().expect("a zone").zone
}

/// The hosts of small zone `n`.
fn put_hosts(writer: &mut Writer, n: usize) {
    for host in 0..HOSTS {
        writer.put(&small_owner(n, host), 1, &(mixed((n * HOSTS + host) as u64) as u32).to_be_bytes());
    }
}

/// Hosts of a small zone.
pub(crate) const HOSTS: usize = 8;

fn small_apex(n: usize) -> Name {
    Name::parse(&format!("z{n:08}.example.")).expect("a name")
}

/// A host of small zone `n`.
pub(crate) fn small_owner(n: usize, host: usize) -> Name {
    Name::parse(&format!("h{host}.z{n:08}.example.")).expect("a name")
}

fn unsigned(apex: &Name) -> Writer {
    let builder = Builder::new(apex.clone(), &BorderSecret::new([42; 16]), Limits::default());
    let mut writer = Writer { builder, signed: false };
    let soa = Soa {
        mname: apex.clone(),
        rname: apex.clone(),
        serial: 1.into(),
        refresh: 3600,
        retry: 600,
        expire: 86_400,
        minimum: TTL,
    };
    writer.put(apex, 6, &soa.to_rdata());
    writer.put(apex, 2, b"\x02ns\x05bench\x07example\0");
    writer
}

/// A zone of ten records.
pub(crate) fn small_zone(n: usize) -> Zone {
    let mut writer = unsigned(&small_apex(n));
    put_hosts(&mut writer, n);
    writer.builder.finish().expect("a zone").zone
}

/// One zone of the same names; what is an apex there holds other records in place of SOA and NS.
pub(crate) fn joined_zone(zones: usize) -> Zone {
    let apex = Name::parse("example.").expect("a name");
    let mut writer = unsigned(&apex);
    for n in 0..zones {
        writer.put(&small_apex(n), 16, b"\x01a");
        writer.put(&small_apex(n), 13, b"\x01a\x01b");
        put_hosts(&mut writer, n);
    }
    writer.builder.finish().expect("a zone").zone
}

fn types_of(at: usize) -> &'static [u16] {
    if at == 0 { &[2, 6, 46, 47, 51] } else { SIGNED }
}

/// RFC 4034 §4.1.2, for types below 256.
fn bitmap(types: &[u16]) -> Vec<u8> {
    let length = usize::from(types.iter().max().expect("types") / 8 + 1);
    let mut map = vec![0; 2 + length];
    map[1] = length as u8;
    types.iter().for_each(|&rtype| map[2 + usize::from(rtype / 8)] |= 0x80 >> (rtype % 8));
    map
}

/// RFC 5155 §3, RFC 4648 §7.
fn hashed_owner(hash: &[u8; 20]) -> Name {
    let bits = |n: usize| (0..5).fold(0, |value, i| value << 1 | hash[(n + i) / 8] >> (7 - (n + i) % 8) & 1);
    let label: String = (0..160)
        .step_by(5)
        .map(|n| char::from(b"0123456789abcdefghijklmnopqrstuv"[usize::from(bits(n))]))
        .collect();
    Name::parse(&format!("{label}.bench.example.")).expect("a name")
}

struct Writer {
    builder: Builder,
    signed: bool,
}

impl Writer {
    /// Puts a record and, in a signed zone, its signature.
    fn put(&mut self, owner: &Name, rtype: u16, rdata: &[u8]) {
        self.builder.push(owner.as_ref(), RecordType(rtype), TTL, rdata).expect("a record of the zone");
        if self.signed {
            let head = [&rtype.to_be_bytes()[..], &[13, 3, 0, 0, 1, 44, 102, 0, 0, 0, 101, 0, 0, 0, 48, 57]];
            let signature: Vec<u8> = (0..8)
                .flat_map(|n| {
                    mixed(owner.as_wire().iter().fold(n, |h, &o| h << 5 ^ h ^ u64::from(o))).to_be_bytes()
                })
                .collect();
            let rdata = [&head.concat()[..], apex().as_wire(), &signature].concat();
            self.builder.push(owner.as_ref(), RecordType::RRSIG, TTL, &rdata).expect("a signature");
        }
    }
}
