//! RDATA that is valid, by type.

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use secondo_wire::RecordType;

use crate::common::name;

pub(crate) type Octets = BoxedStrategy<Vec<u8>>;

/// RDATA that every server takes for valid, of a type that is written in its own form; `None` for other types.
pub(crate) fn valid_rdata(rtype: RecordType) -> Option<Octets> {
    let parts = match rtype {
        RecordType::A => vec![any_octets(4)],
        RecordType::AAAA => vec![prop_oneof![any_octets(16), sparse(16)].boxed()],
        RecordType::NS | RecordType::CNAME | RecordType::DNAME | RecordType::PTR => vec![wire_name()],
        RecordType::MINFO | RecordType::RP => vec![wire_name(), wire_name()],
        RecordType::SOA => {
            vec![wire_name(), wire_name(), any_octets(4), period(), period(), period(), period()]
        }
        RecordType::HINFO => vec![string(0), string(0)],
        RecordType::MX | RecordType::AFSDB | RecordType::RT | RecordType::KX | RecordType::LP => {
            vec![any_octets(2), wire_name()]
        }
        RecordType::TXT => vec![joined(vec(string(0), 1..5))],
        RecordType::SPF => vec![string(0)],
        RecordType::SRV => vec![any_octets(6), wire_name()],
        RecordType::NAPTR => vec![any_octets(4), string(0), string(0), substitution(), wire_name()],
        // RFC 2535 §3.1.2: the two highest flags say that there is no key.
        RecordType::KEY => vec![(0u8..64).prop_map(|flags| vec![flags]).boxed(), any_octets(3), rest()],
        RecordType::DNSKEY | RecordType::CDNSKEY => vec![any_octets(4), rest()],
        RecordType::DS | RecordType::CDS => {
            vec![any_octets(3), digest(&[(1, 20), (2, 32), (4, 48), (99, 7)])]
        }
        RecordType::RRSIG => {
            let covered = (1u16..).prop_map(|rtype| rtype.to_be_bytes().to_vec()).boxed();
            // RFC 4034 §3.1.3: not fewer labels than the signer has.
            let labels = (any::<u8>(), 6u8..).prop_map(|(algorithm, labels)| vec![algorithm, labels]).boxed();
            vec![covered, labels, period(), any_octets(10), wire_name(), rest()]
        }
        RecordType::NSEC => vec![wire_name(), types(1)],
        RecordType::NSEC3 => {
            let hash = any_octets(20).prop_map(|hash| [&[20][..], &hash].concat()).boxed();
            vec![Just(vec![1]).boxed(), any_octets(3), string(0), hash, types(0)]
        }
        RecordType::NSEC3PARAM => vec![Just(vec![1]).boxed(), any_octets(3), string(0)],
        RecordType::CSYNC => vec![any_octets(6), types(0)],
        RecordType::ZONEMD => vec![any_octets(5), digest(&[(1, 48), (2, 64), (240, 12)])],
        RecordType::TLSA | RecordType::SMIMEA => vec![any_octets(3), rest()],
        RecordType::SSHFP => vec![any_octets(1), digest(&[(1, 20), (2, 32), (9, 5)])],
        RecordType::CERT => vec![any_octets(5), rest()],
        RecordType::OPENPGPKEY | RecordType::DHCID => vec![rest()],
        RecordType::IPSECKEY => vec![any_octets(1), gateway(), rest()],
        RecordType::LOC => vec![location()],
        RecordType::APL => vec![joined(vec(prefix(), 0..5))],
        RecordType::NID | RecordType::L64 => {
            vec![any_octets(2), prop_oneof![any_octets(8), sparse(8)].boxed()]
        }
        RecordType::L32 => vec![any_octets(6)],
        RecordType::EUI48 => vec![any_octets(6)],
        RecordType::EUI64 => vec![any_octets(8)],
        RecordType::URI => vec![any_octets(4), octets(0..400)],
        RecordType::CAA => vec![any_octets(1), tag(), octets(0..400)],
        RecordType::SVCB | RecordType::HTTPS => vec![any_octets(2), wire_name(), parameters()],
        _ => return None,
    };
    Some(parts.prop_map(|parts| parts.concat()).boxed())
}

/// The types of [`valid_rdata`].
pub(crate) fn own_types() -> Vec<RecordType> {
    (0..=u16::MAX).map(RecordType).filter(|rtype| valid_rdata(*rtype).is_some()).collect()
}

fn wire_name() -> Octets {
    name().prop_map(|name| name.as_wire().to_vec()).boxed()
}

fn octets(length: std::ops::Range<usize>) -> Octets {
    let hard = prop::sample::select(b"\0\n\r\t \"\\;(),.=@$\x7f\xff".to_vec());
    vec(prop_oneof![any::<u8>(), hard], length).boxed()
}

fn any_octets(count: usize) -> Octets {
    vec(any::<u8>(), count).boxed()
}

/// RFC 2181 §8.
fn period() -> Octets {
    (0u32..1 << 31).prop_map(|seconds| seconds.to_be_bytes().to_vec()).boxed()
}

/// Mostly zeros.
fn sparse(count: usize) -> Octets {
    vec(prop_oneof![4 => Just(0), 1 => any::<u8>()], count).boxed()
}

fn rest() -> Octets {
    octets(1..70)
}

fn joined(items: impl Strategy<Value = Vec<Vec<u8>>> + 'static) -> Octets {
    items.prop_map(|items| items.concat()).boxed()
}

/// With its length in one octet before it.
fn counted(octets: Octets) -> Octets {
    octets.prop_map(|octets| [&[octets.len() as u8][..], &octets].concat()).boxed()
}

fn string(least: usize) -> Octets {
    counted(prop_oneof![9 => octets(least..12), 1 => octets(200..256)].boxed())
}

fn tag() -> Octets {
    counted(vec(prop::sample::select(b"abcxyz059".to_vec()), 1..16).boxed())
}

/// One of the kinds, and so many octets.
fn digest(kinds: &'static [(u8, usize)]) -> Octets {
    prop::sample::select(kinds)
        .prop_flat_map(|(kind, size)| {
            any_octets(size).prop_map(move |octets| [&[kind][..], &octets].concat())
        })
        .boxed()
}

/// RFC 3402 §3.2: servers look whether it is an expression.
fn substitution() -> Octets {
    let known: [&[u8]; 3] = [b"", b"!^.*$!sip:a@b!", b"!^(.*)\\.(\"x\")$!\\1 \\2!i"];
    counted(prop::sample::select(known.map(<[u8]>::to_vec).to_vec()).boxed())
}

/// RFC 4034 §4.1.2.
fn types(least: usize) -> Octets {
    btree_set(prop_oneof![3 => 1u16..300, 1 => 1u16..], least..12)
        .prop_map(|types| {
            let mut out: Vec<u8> = Vec::new();
            for window in 0..=255 {
                let mut bits = [0u8; 32];
                let mut length = 0;
                for rtype in types.iter().filter(|&&rtype| rtype >> 8 == window) {
                    let at = usize::from(rtype & 0xFF) / 8;
                    bits[at] |= 0x80 >> (rtype & 7);
                    length = at + 1;
                }
                if length > 0 {
                    out.extend([window as u8, length as u8]);
                    out.extend(&bits[..length]);
                }
            }
            out
        })
        .boxed()
}

fn gateway() -> Octets {
    let algorithm = 1u8..;
    prop_oneof![
        (Just(0), algorithm.clone(), Just(vec![])),
        (Just(1), algorithm.clone(), any_octets(4)),
        (Just(2), algorithm.clone(), any_octets(16)),
        (Just(3), algorithm.clone(), Just(b"\x01a\x02_b\x01*\0".to_vec())),
        (Just(3), algorithm, Just(vec![0])),
    ]
    .prop_map(|(kind, algorithm, gateway)| [&[kind, algorithm][..], &gateway].concat())
    .boxed()
}

/// RFC 1876 §2.
fn location() -> Octets {
    let size = || prop_oneof![Just(0), (1u8..=9, 0u8..=9).prop_map(|(digit, power)| digit << 4 | power)];
    let angle = |degrees: u32| {
        let (middle, most) = (1u32 << 31, degrees * 3_600_000);
        prop_oneof![Just(middle - most), Just(middle), Just(middle + most), middle - most..middle + most]
    };
    let altitude = prop_oneof![any::<u32>(), 9_900_000u32..10_100_000];
    (size(), size(), size(), angle(90), angle(180), altitude)
        .prop_map(|(size, across, up, latitude, longitude, altitude)| {
            let words = [latitude, longitude, altitude].map(u32::to_be_bytes);
            [&[0, size, across, up][..], words.as_flattened()].concat()
        })
        .boxed()
}

/// RFC 3123 §4.
fn prefix() -> Octets {
    let family = prop_oneof![Just((1u8, 4usize)), Just((2, 16))];
    (family, any::<bool>())
        .prop_flat_map(|((family, size), negated)| {
            (octets(0..size + 1), 0..=(size * 8) as u8).prop_map(move |(mut address, prefix)| {
                // Zeros at the end are left out; so are the bits behind the prefix.
                address.truncate(usize::from(prefix).div_ceil(8));
                if let (Some(last), bits @ 1..) = (address.get_mut(usize::from(prefix) / 8), prefix % 8) {
                    *last &= 0xFF << (8 - bits);
                }
                while address.last() == Some(&0) {
                    address.pop();
                }
                let length = address.len() as u8 | u8::from(negated) << 7;
                [&[0, family, prefix, length][..], &address].concat()
            })
        })
        .boxed()
}

/// RFC 7301 §6: graphic, without a comma, a quote and a backslash.
fn identifier() -> Octets {
    let graphic = (b'!'..=b'~').filter(|octet| !b",\"\\".contains(octet)).collect::<Vec<u8>>();
    vec(prop::sample::select(graphic), 2..9).boxed()
}

/// RFC 9460 §2.2, §7.
fn parameters() -> Octets {
    let some = |values: Octets| prop_oneof![Just(None), values.prop_map(Some)];
    let known = (
        some(joined(vec(counted(identifier()), 1..4))),
        some(any_octets(2)),
        some(vec(any_octets(4), 1..4).prop_map(|a| a.concat()).boxed()),
        some(rest()),
        some(vec(sparse(16), 1..4).prop_map(|a| a.concat()).boxed()),
        some(Just(b"/dns{?dns}".to_vec()).boxed()),
    );
    let unknown = prop::collection::btree_map(prop_oneof![8u16..20, 100u16..], octets(0..20), 0..3);
    (known, unknown, any::<[bool; 3]>())
        .prop_map(|((alpn, port, v4, ech, v6, path), unknown, [no_default, mandatory, all])| {
            let no_default = (no_default && alpn.is_some()).then(Vec::new);
            let known = [alpn, no_default, port, v4, ech, v6, path];
            let known = (1u16..).zip(known).filter_map(|(key, value)| Some((key, value?)));
            let mut all_of_them: Vec<(u16, Vec<u8>)> = known.chain(unknown).collect();
            if mandatory && !all_of_them.is_empty() {
                let keys = all_of_them.iter().map(|(key, _)| key.to_be_bytes());
                let named: Vec<[u8; 2]> = keys.take(if all { usize::MAX } else { 1 }).collect();
                all_of_them.insert(0, (0, named.concat()));
            }
            let one = |(key, value): (u16, Vec<u8>)| {
                [&key.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), &value].concat()
            };
            all_of_them.into_iter().flat_map(one).collect()
        })
        .boxed()
}
