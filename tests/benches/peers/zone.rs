//! The zone by rule: what every server is fed. A hosting company's zone, about 1.8 records a name.

use crate::message::{A, AAAA, MX, Message, NS, SOA, TXT};

/// The zone's name.
pub(crate) const APEX: &str = "bench.example.";

/// The serial of its first version.
pub(crate) const FIRST_SERIAL: u32 = 1000;

/// What determines the zone, but for its serial.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// How many hosts it has.
    pub(crate) names: u32,
    /// How many records carry the serial in their address, and so change with each version; at least 1 and at most
    /// `names`. They are scattered over the whole zone.
    pub(crate) marks: u32,
    /// In which order a full transfer sends the hosts.
    pub(crate) order: Order,
}

/// An order of owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The canonical one (RFC 4034 §6.1), in which NSD, Knot DNS and BIND send.
    Canonical,
    /// None: as a primary that keeps a hash table sends.
    Random,
}

impl Rule {
    /// The hosts, in the order of a full transfer.
    pub(crate) fn hosts(self) -> impl Iterator<Item = u32> {
        (0..self.names).map(move |place| match self.order {
            Order::Canonical => place,
            Order::Random => scattered(place, self.names),
        })
    }

    /// The host behind which a mark stands.
    fn place(self, mark: u32) -> u32 {
        u32::try_from(u64::from(mark) * u64::from(self.names) / u64::from(self.marks))
            .expect("below the number of names")
    }

    /// The first label of a mark.
    pub(crate) fn mark(self, mark: u32) -> String {
        format!("{}m", host(self.place(mark)))
    }

    /// The mark that stands behind a host.
    pub(crate) fn mark_behind(self, host: u32) -> Option<u32> {
        // The place of a mark is rounded down, so its number is rounded up on the way back.
        let mark = (u64::from(host) * u64::from(self.marks)).div_ceil(u64::from(self.names));
        u32::try_from(mark).ok().filter(|&mark| mark < self.marks && self.place(mark) == host)
    }
}

/// The label of a host: as long for every host, so that the canonical order is that of the numbers.
pub(crate) fn host(number: u32) -> String {
    format!("h{number:08}")
}

/// Which of the four types a host has records of.
pub(crate) fn has(number: u32, rtype: u16) -> bool {
    let kind = mix(number.into()) % 10;
    match rtype {
        A => true,
        AAAA => kind < 5,
        TXT => (6..8).contains(&kind),
        MX => kind == 9,
        _ => false,
    }
}

/// The records of a host, one after the other: type and RDATA.
pub(crate) fn host_records(number: u32, mut each: impl FnMut(u16, &[u8])) {
    let random = mix(number.into());
    let [_, b, c, d, e, f, g, h] = random.to_be_bytes();
    each(A, &[10, b, c, d]);
    if has(number, MX) {
        each(MX, b"\x00\x0A\x04mail\xC0\x0C");
    }
    if has(number, TXT) {
        let text = format!("v=spf1 ip4:10.{b}.{c}.0/24 -all");
        let length = u8::try_from(text.len()).expect("at most 33 octets");
        each(TXT, &[&[length], text.as_bytes()].concat());
    }
    if has(number, AAAA) {
        each(AAAA, &[0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, b, c, d, e, f, g, h, 1]);
    }
}

/// What the apex has beside its SOA, and what all versions have at the end: first label, type and RDATA. A compression
/// pointer leads to the zone's name.
pub(crate) const HEAD: [(&str, u16, &[u8]); 2] = [("", NS, b"\x03ns1\xC0\x0C"), ("", NS, b"\x03ns2\xC0\x0C")];
pub(crate) const TAIL: [(&str, u16, &[u8]); 3] =
    [("mail", A, &[192, 0, 2, 1]), ("ns1", A, &[192, 0, 2, 2]), ("ns2", A, &[192, 0, 2, 3])];

/// Where the serial is in [`soa`], from its end.
pub(crate) const SERIAL_FROM_END: usize = 20;

/// The RDATA of the SOA. Its timers are long: only NOTIFY makes a secondary move while a figure is taken.
pub(crate) fn soa(serial: u32) -> Vec<u8> {
    let mut rdata = b"\x03ns1\xC0\x0C\x0Ahostmaster\xC0\x0C".to_vec();
    for number in [serial, 7200, 900, 1_209_600, 300] {
        rdata.extend(number.to_be_bytes());
    }
    rdata
}

/// The RDATA of a mark: the low 24 bits of the serial, in network 10.
pub(crate) fn mark_address(serial: u32) -> [u8; 4] {
    let [_, b, c, d] = serial.to_be_bytes();
    [10, b, c, d]
}

/// Adds the SOA of a version to a message.
pub(crate) fn put_soa(message: &mut Message, serial: u32) {
    message.put("", SOA, &soa(serial));
}

/// Scatters numbers over all 64 bits, the same for the same number (the finaliser of MurmurHash3).
pub(crate) fn mix(number: u64) -> u64 {
    let mut bits = number ^ 0x5EC0_4D05_5EC0_4D05;
    for factor in [0xFF51_AFD7_ED55_8CCD, 0xC4CE_B9FE_1A85_EC53] {
        bits = (bits ^ (bits >> 33)).wrapping_mul(factor);
    }
    bits ^ (bits >> 33)
}

/// A permutation of the numbers below `names`: a Feistel network of four rounds over the next even power of two, walked
/// until it comes back below.
pub(crate) fn scattered(place: u32, names: u32) -> u32 {
    let half = (u32::BITS - names.saturating_sub(1).leading_zeros()).div_ceil(2).max(1);
    let mask = (1 << half) - 1;
    let mut place = u64::from(place);
    loop {
        let (mut left, mut right) = (place >> half, place & mask);
        for round in 0..4 {
            (left, right) = (right, left ^ (mix(right | (round << 32)) & mask));
        }
        place = (left << half) | right;
        if place < u64::from(names) {
            return u32::try_from(place).expect("below the number of names");
        }
    }
}
