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
pub fn records(names: usize, order: Order, mut take: impl FnMut(NameRef<'_>, u16, u32, &[u8])) {
    let apex = apex();
    take(apex.as_ref(), 6, 3600, &soa(1));
    take(apex.as_ref(), 2, 3600, b"\x02ns\x05bench\x07example\0");
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
        take(owner, 1, 300, &[10, (h >> 8) as u8, (h >> 16) as u8, (h >> 24) as u8]);
        if h % 10 < 5 {
            let mut six = [0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            six[4..12].copy_from_slice(&h.to_be_bytes());
            six[12..].copy_from_slice(&(i as u32).to_be_bytes());
            take(owner, 28, 300, &six);
        }
        if h % 10 == 7 || h % 10 == 8 {
            take(owner, 16, 300, &[&b"\x1Bv=spf1 ip4:10.11.12.0/24 -al"[..28]].concat());
        }
        if h % 10 == 9 {
            take(owner, 15, 300, b"\x00\x0A\x04mail\x05bench\x07example\0");
        }
    }
}

/// Builds the zone.
pub fn build(names: usize, order: Order, previous: Option<&Zone>, spill: Option<Pool>) -> Zone {
    let mut builder = match previous {
        Some(previous) => Builder::reusing(previous, Limits::default()),
        None => Builder::new(apex(), &BorderSecret::new([42; 16]), Limits::default()),
    };
    if let Some(pool) = spill {
        let keep = previous.map_or(4 << 20, |zone| zone.counts().memory_bytes as usize / 4);
        builder.spill_to(Box::new(pool), keep);
    }
    records(names, order, |owner, rtype, ttl, rdata| {
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
