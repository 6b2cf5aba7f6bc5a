//! One record of every type, and which of them a primary can load.

use std::path::Path;

use crate::{Software, Zone, bind, knot, nsd, pdns, zonefile};

/// One record in the spellings that a primary may take: in its own presentation form, and as bytes (RFC 3597 §5).
#[derive(Clone, Debug)]
pub struct Specimen {
    /// What it shows, for messages: a type's mnemonic or a name.
    pub label: String,
    spellings: Vec<String>,
}

/// The RR types of the registry that may stand in a zone, and some of no registry.
///
/// Types come as `(number, mnemonic, presentation form, RDATA)`: a server that does not know the mnemonic takes the bytes.
pub fn every_type() -> Vec<Specimen> {
    let n = wire_name;
    let address = [192, 0, 2, 1];
    let mut digest = vec![0xab; 32];
    digest[0] = 0x01;
    let digits = "ab".repeat(32);
    let signature = |covered: u16| {
        let mut rdata = covered.to_be_bytes().to_vec();
        rdata.extend([13, 2, 0, 0, 14, 16, 0x7f, 0, 0, 0, 0x60, 0, 0, 0, 0x12, 0x34]);
        rdata.extend(n("types.test."));
        rdata.extend([7; 64]);
        rdata
    };
    let table: Vec<(u16, &str, String, Vec<u8>)> = vec![
        (1, "A", "192.0.2.1".into(), address.into()),
        (2, "NS", "ns.elsewhere.test.".into(), n("ns.elsewhere.test.")),
        (3, "MD", "old.types.test.".into(), n("old.types.test.")),
        (4, "MF", "old.types.test.".into(), n("old.types.test.")),
        (5, "CNAME", "Target.Types.test.".into(), n("Target.Types.test.")),
        (7, "MB", "old.types.test.".into(), n("old.types.test.")),
        (8, "MG", "old.types.test.".into(), n("old.types.test.")),
        (9, "MR", "old.types.test.".into(), n("old.types.test.")),
        (10, "NULL", "\\# 3 010203".into(), vec![1, 2, 3]),
        (11, "WKS", "192.0.2.1 6 25 53".into(), [&address[..], &[6, 0, 0, 0, 0x40, 0, 0, 4]].concat()),
        (12, "PTR", "Host.types.test.".into(), n("Host.types.test.")),
        (13, "HINFO", "\"PDP-11\" \"UNIX\"".into(), b"\x06PDP-11\x04UNIX".to_vec()),
        (
            14,
            "MINFO",
            "a.types.test. b.types.test.".into(),
            [n("a.types.test."), n("b.types.test.")].concat(),
        ),
        (15, "MX", "10 Mail.types.test.".into(), [vec![0, 10], n("Mail.types.test.")].concat()),
        (16, "TXT", "\"a \\\"quoted\\\" \\000\\255 text\" \"\"".into(), b"\x01a\x00".to_vec()),
        (17, "RP", "a.types.test. .".into(), [n("a.types.test."), vec![0]].concat()),
        (18, "AFSDB", "1 afs.types.test.".into(), [vec![0, 1], n("afs.types.test.")].concat()),
        (19, "X25", "\"311061700956\"".into(), b"\x0c311061700956".to_vec()),
        (20, "ISDN", "\"150862028003217\" \"004\"".into(), b"\x0f150862028003217\x03004".to_vec()),
        (21, "RT", "10 relay.types.test.".into(), [vec![0, 10], n("relay.types.test.")].concat()),
        (22, "NSAP", "0x47000580005a0000000001e133ffffff000161".into(), vec![0x47, 0, 5, 0x80]),
        (23, "NSAP-PTR", "foo.types.test.".into(), n("foo.types.test.")),
        (24, "SIG", String::new(), signature(1)),
        (25, "KEY", "256 3 13 AAAA".into(), vec![1, 0, 3, 13, 0, 0, 0]),
        (
            26,
            "PX",
            "10 a.types.test. b.types.test.".into(),
            [vec![0, 10], n("a.types.test."), n("b.types.test.")].concat(),
        ),
        (27, "GPOS", "-32.6882 116.8652 10.0".into(), b"\x08-32.6882\x08116.8652\x0410.0".to_vec()),
        (28, "AAAA", "2001:db8::1".into(), vec![0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        (
            29,
            "LOC",
            "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m".into(),
            vec![0, 0x00, 0x16, 0x13, 0x8b, 0x3d, 0xac, 0x58, 0x81, 0x0d, 0x73, 0x60, 0, 0x98, 0x95, 0xb8],
        ),
        (30, "NXT", String::new(), [n("a.types.test."), vec![0x40, 0, 0, 2]].concat()),
        (31, "EID", "\\# 4 01020304".into(), vec![1, 2, 3, 4]),
        (32, "NIMLOC", "\\# 4 01020304".into(), vec![1, 2, 3, 4]),
        (
            33,
            "SRV",
            "1 2 5060 Sip.types.test.".into(),
            [vec![0, 1, 0, 2, 0x13, 0xc4], n("Sip.types.test.")].concat(),
        ),
        (34, "ATMA", "+61200000000".into(), b"\x01311".to_vec()),
        (
            35,
            "NAPTR",
            "10 20 \"u\" \"E2U+sip\" \"!^.*$!sip:a@b!\" Repl.types.test.".into(),
            [b"\0\x0a\0\x14\x01u\x07E2U+sip\0".to_vec(), n("Repl.types.test.")].concat(),
        ),
        (36, "KX", "10 kx.types.test.".into(), [vec![0, 10], n("kx.types.test.")].concat()),
        (37, "CERT", "1 2 3 AQIDBA==".into(), vec![0, 1, 0, 2, 3, 1, 2, 3, 4]),
        (
            38,
            "A6",
            "64 ::1 a6.types.test.".into(),
            [vec![64, 0, 0, 0, 0, 0, 0, 0, 1], n("a6.types.test.")].concat(),
        ),
        (39, "DNAME", "Target.types.test.".into(), n("Target.types.test.")),
        (40, "SINK", "\\# 3 010203".into(), vec![1, 2, 3]),
        (42, "APL", "1:192.0.2.0/24 !2:2001:db8::/32".into(), vec![0, 1, 24, 3, 192, 0, 2]),
        (43, "DS", format!("4660 13 2 {digits}"), [vec![0x12, 0x34, 13, 2], digest.clone()].concat()),
        (44, "SSHFP", format!("4 2 {digits}"), [vec![4, 2], digest.clone()].concat()),
        (
            45,
            "IPSECKEY",
            "10 3 2 Gate.types.test. AQIDBA==".into(),
            [vec![10, 3, 2], n("Gate.types.test."), vec![1, 2, 3, 4]].concat(),
        ),
        (
            46,
            "RRSIG",
            format!(
                "A 13 2 3600 20370101000000 20210101000000 4660 types.test. {}=",
                "BwcH".repeat(21) + "Bwc"
            ),
            signature(1),
        ),
        (
            47,
            "NSEC",
            "Next.types.test. A RRSIG NSEC TYPE1234".into(),
            [n("Next.types.test."), vec![0, 1, 0x40]].concat(),
        ),
        (
            48,
            "DNSKEY",
            format!("257 3 13 {}==", "BwcH".repeat(21) + "Bw"),
            [vec![1, 1, 3, 13], vec![7; 64]].concat(),
        ),
        (49, "DHCID", "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=".into(), vec![0, 2, 1, 1, 2, 3]),
        (
            50,
            "NSEC3",
            "1 1 5 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr A RRSIG".into(),
            [vec![1, 1, 0, 5, 4, 0xaa, 0xbb, 0xcc, 0xdd, 20], vec![9; 20], vec![0, 1, 0x40]].concat(),
        ),
        (51, "NSEC3PARAM", "1 0 5 aabbccdd".into(), vec![1, 0, 0, 5, 4, 0xaa, 0xbb, 0xcc, 0xdd]),
        (52, "TLSA", format!("3 1 1 {digits}"), [vec![3, 1, 1], digest.clone()].concat()),
        (53, "SMIMEA", format!("3 1 1 {digits}"), [vec![3, 1, 1], digest.clone()].concat()),
        (
            55,
            "HIP",
            "2 200100107b1a74df365639cc39f1d578 AwEAAbdxyhNuSutc rvs.types.test.".into(),
            [vec![2, 2, 0, 3, 0x20, 1, 1, 2, 3], n("rvs.types.test.")].concat(),
        ),
        (56, "NINFO", "\"zone status\"".into(), b"\x04info".to_vec()),
        (57, "RKEY", "0 255 1 AQID".into(), vec![0, 0, 255, 1, 1, 2, 3]),
        (
            58,
            "TALINK",
            "a.types.test. b.types.test.".into(),
            [n("a.types.test."), n("b.types.test.")].concat(),
        ),
        (59, "CDS", format!("4660 13 2 {digits}"), [vec![0x12, 0x34, 13, 2], digest.clone()].concat()),
        (60, "CDNSKEY", "0 3 0 AA==".into(), vec![0, 0, 3, 0, 0]),
        (61, "OPENPGPKEY", "AQIDBA==".into(), vec![1, 2, 3, 4]),
        (62, "CSYNC", "66 3 A NS AAAA".into(), vec![0, 0, 0, 66, 0, 3, 0, 4, 0x60, 0, 0, 8]),
        (
            63,
            "ZONEMD",
            format!("2024 1 241 {}", "ab".repeat(48)),
            [vec![0, 0, 7, 0xe8, 1, 241], vec![0xab; 48]].concat(),
        ),
        (
            64,
            "SVCB",
            "1 Svc.types.test. alpn=\"h2,h3\" port=8443 ipv4hint=192.0.2.1 key65333=x".into(),
            [vec![0, 1], n("Svc.types.test."), vec![0, 3, 0, 2, 0x20, 0xfb]].concat(),
        ),
        (65, "HTTPS", "0 Alias.types.test.".into(), [vec![0, 0], n("Alias.types.test.")].concat()),
        (66, "DSYNC", String::new(), [vec![0, 59, 1, 0, 53], n("notify.types.test.")].concat()),
        (67, "HHIT", String::new(), vec![1, 2, 3, 4]),
        (68, "BRID", String::new(), vec![1, 2, 3, 4]),
        (99, "SPF", "\"v=spf1 -all\"".into(), b"\x0bv=spf1 -all".to_vec()),
        (100, "UINFO", String::new(), vec![1, 2]),
        (101, "UID", String::new(), vec![1, 2, 3, 4]),
        (102, "GID", String::new(), vec![1, 2, 3, 4]),
        (103, "UNSPEC", String::new(), vec![1, 2, 3, 4]),
        (104, "NID", "10 14:4fff:ff20:ee64".into(), vec![0, 10, 0, 0x14, 0x4f, 0xff, 0xff, 0x20, 0xee, 0x64]),
        (105, "L32", "10 10.1.2.0".into(), vec![0, 10, 10, 1, 2, 0]),
        (106, "L64", "10 2001:db8:1140:1000".into(), vec![0, 10, 0x20, 1, 0xd, 0xb8, 0x11, 0x40, 0x10, 0]),
        (107, "LP", "10 L64.types.test.".into(), [vec![0, 10], n("L64.types.test.")].concat()),
        (108, "EUI48", "00-00-5e-00-53-2a".into(), vec![0, 0, 0x5e, 0, 0x53, 0x2a]),
        (109, "EUI64", "00-00-5e-ef-10-00-00-2a".into(), vec![0, 0, 0x5e, 0xef, 0x10, 0, 0, 0x2a]),
        (256, "URI", "10 1 \"https://example.net/%20\"".into(), b"\0\x0a\0\x01ftp://x/".to_vec()),
        (257, "CAA", "128 issue \"ca.example; policy=ev\"".into(), b"\x80\x05issueca.example".to_vec()),
        (258, "AVC", "\"app-name:X\"".into(), b"\x03avc".to_vec()),
        (259, "DOA", "1 2 3 \"text/plain\" AQID".into(), vec![0, 0, 0, 1, 0, 0, 0, 2, 3, 0, 1, 2, 3]),
        (260, "AMTRELAY", "10 0 3 Relay.types.test.".into(), [vec![10, 3], n("Relay.types.test.")].concat()),
        (261, "RESINFO", String::new(), b"\x08qnamemin".to_vec()),
        (262, "WALLET", String::new(), b"\x03ETH\x040x42".to_vec()),
        (263, "CLA", String::new(), b"\x03TPC".to_vec()),
        (264, "IPN", String::new(), vec![0, 0, 0, 0, 0, 0, 3, 78]),
        (32768, "TA", format!("4660 13 2 {digits}"), [vec![0x12, 0x34, 13, 2], digest.clone()].concat()),
        (32769, "DLV", format!("4660 13 2 {digits}"), [vec![0x12, 0x34, 13, 2], digest].concat()),
        (731, "TYPE731", String::new(), vec![0xab, 0xcd, 0xef, 1, 2, 3, 4, 5]),
        (65280, "TYPE65280", String::new(), vec![]),
        (65281, "TYPE65281", String::new(), vec![0xff; 4]),
        (65282, "TYPE65282", String::new(), vec![0xc0, 0x0c]),
        (65533, "TYPE65533", String::new(), (0..=255).collect()),
        (65534, "TYPE65534", String::new(), vec![0x5a; 8_000]),
    ];
    table
        .into_iter()
        .map(|(number, mnemonic, text, rdata)| specimen(number, mnemonic, &text, &rdata))
        .collect()
}

fn specimen(number: u16, mnemonic: &str, text: &str, rdata: &[u8]) -> Specimen {
    // An NSEC3 stands at a hash; every other type has a name of its own, so that none forbids another.
    let owner = match mnemonic {
        "NSEC3" => "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom".to_owned(),
        _ => format!("type-{number}"),
    };
    let digits: String = rdata.iter().map(|octet| format!("{octet:02x}")).collect();
    let bytes = format!("{owner} 300 IN TYPE{number} \\# {} {digits}", rdata.len());
    let mut spellings = vec![bytes];
    if !text.is_empty() {
        spellings.insert(0, format!("{owner} 300 IN {mnemonic} {text}"));
    }
    Specimen { label: mnemonic.to_owned(), spellings }
}

/// A record at each odd name.
pub fn odd_names(apex_length: usize) -> Vec<Specimen> {
    let names = zonefile::odd_names(apex_length);
    names
        .into_iter()
        .enumerate()
        .map(|(i, name)| {
            let record = |name: &str| format!("{name} 300 IN TXT \"{i}\"");
            let mut spellings = vec![record(&name)];
            // A primary whose master files admit fewer plain characters takes them by their number.
            if !name.contains('\\') {
                spellings.push(record(&escaped(&name)));
            }
            Specimen { spellings, label: name }
        })
        .collect()
}

/// The name with everything but letters, digits, hyphens and dots by number (RFC 1035 §5.1).
fn escaped(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    name.chars().map(|c| if plain(c) { c.to_string() } else { format!("\\{:03}", u32::from(c)) }).collect()
}

/// The zone with those specimens that the primary can load, each in the first spelling that it takes, and the labels of
/// those that it cannot load at all.
pub fn loadable(
    software: Software,
    zone: &Zone,
    specimens: &[Specimen],
    folder: &Path,
) -> (Zone, Vec<String>) {
    let loads = |lines: &[String]| {
        let mut trial = zone.clone();
        trial.records.extend_from_slice(lines);
        match software {
            Software::Bind => bind::loads(folder, &trial),
            Software::Knot => knot::loads(folder, &trial),
            Software::Nsd => nsd::loads(folder, &trial),
            Software::Pdns => pdns::loads(folder, &trial),
        }
    };
    assert!(loads(&[]), "{software} does not load the zone as such");
    let mut accepted = Vec::new();
    let mut open: Vec<(&Specimen, usize)> = specimens.iter().map(|s| (s, 0)).collect();
    let mut refused = Vec::new();
    while !open.is_empty() {
        let lines: Vec<String> = open.iter().map(|(s, i)| s.spellings[*i].clone()).collect();
        let bad = offenders(&lines, &loads);
        let mut again = Vec::new();
        for (position, (specimen, spelling)) in open.into_iter().enumerate() {
            if !bad.contains(&position) {
                accepted.push(specimen.spellings[spelling].clone());
            } else if spelling + 1 < specimen.spellings.len() {
                again.push((specimen, spelling + 1));
            } else {
                refused.push(specimen.label.clone());
            }
        }
        open = again;
    }
    let mut whole = zone.clone();
    whole.records.extend(accepted);
    (whole, refused)
}

/// The positions of the lines that cannot be loaded, by halving what fails.
fn offenders(lines: &[String], loads: &impl Fn(&[String]) -> bool) -> Vec<usize> {
    if lines.is_empty() || loads(lines) {
        return Vec::new();
    }
    if lines.len() == 1 {
        return vec![0];
    }
    let (left, right) = lines.split_at(lines.len() / 2);
    let mut bad = offenders(left, loads);
    bad.extend(offenders(right, loads).into_iter().map(|i| i + left.len()));
    bad
}

/// A plain name, uncompressed (RFC 1035 §3.1).
pub fn wire_name(name: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.split('.').filter(|l| !l.is_empty()) {
        wire.push(u8::try_from(label.len()).expect("labels have at most 63 octets"));
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_finds_exactly_the_bad_lines() {
        let lines: Vec<String> = (0..20).map(|i| i.to_string()).collect();
        let loads = |lines: &[String]| lines.iter().all(|l| l != "3" && l != "4" && l != "19");
        assert_eq!(offenders(&lines, &loads), [3, 4, 19]);
    }

    #[test]
    fn a_name_ends_with_the_root_label() {
        assert_eq!(wire_name("ab.c."), [2, b'a', b'b', 1, b'c', 0]);
    }
}
