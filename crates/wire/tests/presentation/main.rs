//! Presentation format against examples of the RFCs, against an independent reader, and with any octets at all.

#![allow(clippy::unwrap_used, reason = "an unwrap in a test is an assertion")]

#[path = "../common/mod.rs"]
mod common;
mod loaders;
mod valid;

use common::name;
use domain::base::iana::Class;
use domain::base::name::ToName;
use domain::base::rdata::ComposeRecordData;
use domain::zonefile::inplace::{Entry, Zonefile};
use proptest::collection::vec;
use proptest::prelude::*;
use secondo_wire::text::{RecordText, put_record};
use secondo_wire::{Name, RecordType, rdata};
use valid::{own_types, valid_rdata};

/// Data as the RFCs of the types have it in their examples (with all that may be left out, and digits in lower case),
/// and the octets that BIND makes of it.
const EXAMPLES: &[(&str, &str)] = &[
    (r#"A 10.1.0.52"#, "0a010034"),
    (r#"NS VENERA.ISI.EDU."#, "0656454e455241034953490345445500"),
    (r#"CNAME A.ISI.EDU."#, "0141034953490345445500"),
    (
        r#"SOA VENERA.ISI.EDU. Action\.domains.ISI.EDU. 20 7200 600 3600000 60"#,
        "0656454e4552410349534903454455000e416374696f6e2e646f6d61696e730349534903454455000000001400001c20000002580036ee800000003c",
    ),
    (r#"PTR GW.LCS.MIT.EDU."#, "024757034c4353034d49540345445500"),
    (r#"HINFO "DEC-2060" "TOPS20""#, "084445432d3230363006544f50533230"),
    (r#"MINFO LARRY.example. ."#, "054c41525259076578616d706c650000"),
    (r#"MX 10 VAXA.ISI.EDU."#, "000a0456415841034953490345445500"),
    (
        r#"TXT "v=spf1 +all" "a \"quoted\" \\ \000\255""#,
        "0b763d73706631202b616c6c0f61202271756f74656422205c2000ff",
    ),
    (
        r#"RP louie.trantor.umd.edu. LAM1.people.umd.edu."#,
        "056c6f756965077472616e746f7203756d640365647500044c414d310670656f706c6503756d640365647500",
    ),
    (r#"AFSDB 1 bigbird.toaster.com."#, "0001076269676269726407746f617374657203636f6d00"),
    (r#"RT 10 NET.Prime.COM."#, "000a034e4554055072696d6503434f4d00"),
    (
        r#"KEY 256 3 5 AQPSKmynfzW4kyBv015MUG2DeIQ3Cbl+BBZH4b/0PY1kxkmvHjcZc8nokfzj31GajIQKY+5CptLr3buXA10hWqTkF7H6RfoRqXQeogmMHfpftf6zMv1LyBUgia7za6ZEzOJBOztyvhjL742iU/TpPSEDhm2SNKLijfUppn1UaNvv4w=="#,
        "010003050103d22a6ca77f35b893206fd35e4c506d8378843709b97e041647e1bff43d8d64c649af1e371973c9e891fce3df519a8c840a63ee42a6d2ebddbb97035d215aa4e417b1fa45fa11a9741ea2098c1dfa5fb5feb332fd4bc8152089aef36ba644cce2413b3b72be18cbef8da253f4e93d2103866d9234a2e28df529a67d5468dbefe3",
    ),
    (r#"AAAA 4321:0:1:2:3:4:567:89ab"#, "432100000001000200030004056789ab"),
    (
        r#"LOC 42 21 54.000 N 71 6 18.000 W -24.00m 30.00m 10000.00m 10.00m"#,
        "0033161389172dd070be15f000988d20",
    ),
    (r#"LOC 42 21 43.952 N 71 5 6.344 W -24.00m 1.00m 200.00m 10.00m"#, "001224138917069070bf2dd800988d20"),
    (r#"LOC 52 14 5.000 N 0 8 50.000 E 10.00m 1.00m 10000.00m 10.00m"#, "001216138b3556c88008165000989a68"),
    (r#"LOC 32 7 19.000 S 116 2 25.000 E 10.00m 1.00m 10000.00m 10.00m"#, "00121613791b7d2898e6486800989a68"),
    (r#"SRV 0 1 9 server.example.com."#, "00000001000906736572766572076578616d706c6503636f6d00"),
    (
        r#"NAPTR 100 10 "" "" "!^urn:cid:.+@([^\\.]+\\.)(.*)$!\\2!i" ."#,
        "0064000a000021215e75726e3a6369643a2e2b40285b5e5c2e5d2b5c2e29282e2a2924215c32216900",
    ),
    (
        r#"NAPTR 100 50 "s" "z3950+I2L+I2C" "" _z3950._tcp.gatech.edu."#,
        "0064003201730d7a333935302b49324c2b49324300065f7a33393530045f746370066761746563680365647500",
    ),
    (r#"KX 10 rt-1.example."#, "000a0472742d31076578616d706c6500"),
    (
        r#"CERT 1 60485 5 AQPSKmynfzW4kyBv015MUG2DeIQ3Cbl+BBZH4b/0PY0="#,
        "0001ec45050103d22a6ca77f35b893206fd35e4c506d8378843709b97e041647e1bff43d8d",
    ),
    (
        r#"DNAME frobozz-division.acme.example."#,
        "1066726f626f7a7a2d6469766973696f6e0461636d65076578616d706c6500",
    ),
    (r#"APL 1:192.168.32.0/21 !1:192.168.38.0/28"#, "00011503c0a82000011c83c0a826"),
    (
        r#"APL 1:192.168.42.0/26 1:192.168.42.64/26 !1:192.168.42.128/25"#,
        "00011a03c0a82a00011a04c0a82a4000011984c0a82a80",
    ),
    (r#"APL 1:224.0.0.0/4 2:ff00::/8"#, "00010401e000020801ff"),
    (
        r#"DS 60485 5 1 2bb183af5f22588179a53b0a98631fad1a292118"#,
        "ec4505012bb183af5f22588179a53b0a98631fad1a292118",
    ),
    (
        r#"DS 60485 5 2 d4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a"#,
        "ec450502d4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a",
    ),
    (r#"SSHFP 2 1 123456789abcdef67890123456789abcdef67890"#, "0201123456789abcdef67890123456789abcdef67890"),
    (
        r#"IPSECKEY 10 1 2 192.0.2.38 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ=="#,
        "0a0102c0000226010351537986ed35533b6064478eeeb27b5bd74dae149b6e81ba3a0521af82ab7801",
    ),
    (
        r#"IPSECKEY 10 0 2 . AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ=="#,
        "0a0002010351537986ed35533b6064478eeeb27b5bd74dae149b6e81ba3a0521af82ab7801",
    ),
    (
        r#"IPSECKEY 10 3 2 mygateway.example.com. AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ=="#,
        "0a0302096d7967617465776179076578616d706c6503636f6d00010351537986ed35533b6064478eeeb27b5bd74dae149b6e81ba3a0521af82ab7801",
    ),
    (
        r#"IPSECKEY 10 2 2 2001:db8:0:8002::2000:1 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ=="#,
        "0a020220010db8000080020000000020000001010351537986ed35533b6064478eeeb27b5bd74dae149b6e81ba3a0521af82ab7801",
    ),
    (
        r#"RRSIG A 5 3 86400 20030322173103 20030220173103 2642 example.com. oJB1W6WNGv+ldvQ3WDG0MQkg5IEhjRip8WTrPYGv07h108dUKGMeDPKijVCHX3DDKdfb+v6oB9wfuh3DTJXUAfI/M0zmO/zz8bW0Rznl8O3tGNazPwQKkRN20XPXV6nwwfoXmJQbsLNrLfkGJ5D6fwFm8nN+6pBzeDQfsS3Ap3o="#,
        "00010503000151803e7c9dd73e5510d70a52076578616d706c6503636f6d00a090755ba58d1affa576f4375831b4310920e481218d18a9f164eb3d81afd3b875d3c75428631e0cf2a28d50875f70c329d7dbfafea807dc1fba1dc34c95d401f23f334ce63bfcf3f1b5b44739e5f0eded18d6b33f040a911376d173d757a9f0c1fa1798941bb0b36b2df9062790fa7f0166f2737eea907378341fb12dc0a77a",
    ),
    (
        r#"NSEC host.example.com. A MX RRSIG NSEC TYPE1234"#,
        "04686f7374076578616d706c6503636f6d000006400100000003041b000000000000000000000000000000000000000000000000000020",
    ),
    (
        r#"DNSKEY 256 3 5 AQPSKmynfzW4kyBv015MUG2DeIQ3Cbl+BBZH4b/0PY1kxkmvHjcZc8nokfzj31GajIQKY+5CptLr3buXA10hWqTkF7H6RfoRqXQeogmMHfpftf6zMv1LyBUgia7za6ZEzOJBOztyvhjL742iU/TpPSEDhm2SNKLijfUppn1UaNvv4w=="#,
        "010003050103d22a6ca77f35b893206fd35e4c506d8378843709b97e041647e1bff43d8d64c649af1e371973c9e891fce3df519a8c840a63ee42a6d2ebddbb97035d215aa4e417b1fa45fa11a9741ea2098c1dfa5fb5feb332fd4bc8152089aef36ba644cce2413b3b72be18cbef8da253f4e93d2103866d9234a2e28df529a67d5468dbefe3",
    ),
    (
        r#"DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA="#,
        "000201636fc0b8271c82825bb1ac5c41cf5351aa69b4febd94e8f17cdb95000da48c40",
    ),
    (
        r#"DHCID AAEBOSD+XR3Os/0LozeXVqcNc7FwCfQdWL3b/NaiUDlW2No="#,
        "0001013920fe5d1dceb3fd0ba3379756a70d73b17009f41d58bddbfcd6a2503956d8da",
    ),
    (
        r#"NSEC3 1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr NS SOA MX RRSIG DNSKEY NSEC3PARAM"#,
        "0101000c04aabbccdd14174eb2409fe28bcb4887a1836f957f0a8425e27b000722010000000290",
    ),
    (
        r#"NSEC3 1 1 12 - b4um86eghhds6nea196smvmlo4ors995"#,
        "0101000c0014593d6419d08c5bc35dca0a4dcb7ed5c131be2525",
    ),
    (r#"NSEC3PARAM 1 0 12 aabbccdd"#, "0100000c04aabbccdd"),
    (r#"NSEC3PARAM 1 0 0 -"#, "0100000000"),
    (
        r#"TLSA 1 1 2 92003ba34942dc74152e2f2c408d29eca5a520e7f2e06bb944f4dca346baf63c1b177615d466f6c4b71c216a50292bd58c9ebdd2f74e38fe51ffd48c43326cbc"#,
        "01010292003ba34942dc74152e2f2c408d29eca5a520e7f2e06bb944f4dca346baf63c1b177615d466f6c4b71c216a50292bd58c9ebdd2f74e38fe51ffd48c43326cbc",
    ),
    (
        r#"SMIMEA 3 0 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971"#,
        "030001d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971",
    ),
    (r#"CDS 0 0 0 00"#, "0000000000"),
    (r#"CDNSKEY 0 3 0 AA=="#, "0000030000"),
    (r#"OPENPGPKEY mQENBFVHm5sBCAC5v8Qx"#, "99010d0455479b9b010800b9bfc431"),
    (r#"CSYNC 66 3 A NS AAAA"#, "000000420003000460000008"),
    (
        r#"ZONEMD 2018031900 1 1 c68090d90a7aed716bc459f9340e3d7c1370d4d24b7e2fc3a1ddc0b9a87153b9a9713b3c9ae5cc27777f98b8e730044c"#,
        "7848b91c0101c68090d90a7aed716bc459f9340e3d7c1370d4d24b7e2fc3a1ddc0b9a87153b9a9713b3c9ae5cc27777f98b8e730044c",
    ),
    (r#"SVCB 0 foo.example.com."#, "000003666f6f076578616d706c6503636f6d00"),
    (r#"SVCB 1 ."#, "000100"),
    (r#"SVCB 16 foo.example.com. port=53"#, "001003666f6f076578616d706c6503636f6d00000300020035"),
    (r#"SVCB 1 foo.example.com. key667="hello""#, "000103666f6f076578616d706c6503636f6d00029b000568656c6c6f"),
    (
        r#"SVCB 1 foo.example.com. key667="hello\210qoo""#,
        "000103666f6f076578616d706c6503636f6d00029b000968656c6c6fd2716f6f",
    ),
    (
        r#"SVCB 1 foo.example.com. ipv6hint=2001:db8::1,2001:db8::53:1"#,
        "000103666f6f076578616d706c6503636f6d000006002020010db800000000000000000000000120010db8000000000000000000530001",
    ),
    (
        r#"SVCB 1 example.com. ipv6hint=2001:db8:122:344::c000:221"#,
        "0001076578616d706c6503636f6d000006001020010db80122034400000000c0000221",
    ),
    (
        r#"SVCB 16 foo.example.org. mandatory=alpn,ipv4hint alpn="h2,h3-19" ipv4hint=192.0.2.1"#,
        "001003666f6f076578616d706c65036f7267000000000400010004000100090268320568332d313900040004c0000201",
    ),
    (
        r#"HTTPS 1 . alpn="h2" no-default-alpn ech=AQIDBA== key65000"#,
        "00010000010003026832000200000005000401020304fde80000",
    ),
    (r#"SPF "v=spf1 -all""#, "0b763d73706631202d616c6c"),
    (r#"NID 10 0014:4fff:ff20:ee64"#, "000a00144fffff20ee64"),
    (r#"L32 10 10.1.2.0"#, "000a0a010200"),
    (r#"L64 10 2001:0db8:1140:1000"#, "000a20010db811401000"),
    (r#"LP 10 l64-subnet1.example.com."#, "000a0b6c36342d7375626e657431076578616d706c6503636f6d00"),
    (r#"EUI48 00-00-5e-00-53-2a"#, "00005e00532a"),
    (r#"EUI64 00-00-5e-ef-10-00-00-2a"#, "00005eef1000002a"),
    (
        r#"URI 10 1 "ftp://ftp1.example.com/public""#,
        "000a00016674703a2f2f667470312e6578616d706c652e636f6d2f7075626c6963",
    ),
    (
        r#"CAA 0 issue "ca1.example.net; account=230123""#,
        "000569737375656361312e6578616d706c652e6e65743b206163636f756e743d323330313233",
    ),
    (r#"CAA 128 tbs "Unknown""#, "8003746273556e6b6e6f776e"),
];

fn octets_of(digits: &str) -> Vec<u8> {
    let digit = |digit: u8| (digit as char).to_digit(16).unwrap() as u8;
    digits.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn text(owner: &Name, ttl: u32, rtype: RecordType, rdata: &[u8]) -> String {
    let mut out = Vec::new();
    put_record(&mut out, owner.as_ref(), ttl, rtype, rdata);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text, RecordText { owner: owner.as_ref(), ttl, rtype, rdata }.to_string());
    text
}

/// RFC 3597 §5, written and read a second time, plainly.
fn generic(rtype: RecordType, rdata: &[u8]) -> String {
    let digits: String = rdata.iter().map(|octet| format!("{octet:02x}")).collect();
    format!("TYPE{} \\# {} {digits}", rtype.0, rdata.len()).trim_end().to_owned()
}

/// What `domain` reads from one line; `None` for a type or a form that it does not know.
fn read_by_domain(line: &str) -> Option<(Vec<u8>, u32, RecordType, Vec<u8>)> {
    let mut file = Zonefile::from(format!("{line}\n").as_str());
    file.set_default_class(Class::IN);
    let Ok(Some(Entry::Record(record))) = file.next_entry() else { return None };
    let mut rdata = Vec::new();
    record.data().compose_rdata(&mut rdata).unwrap();
    let owner = record.owner().to_vec().as_slice().to_vec();
    Some((owner, record.ttl().as_secs(), RecordType(record.rtype().to_int()), rdata))
}

#[test]
fn the_examples_of_the_rfcs_are_written_as_they_stand_there() {
    let owner = Name::parse("a.example.").unwrap();
    for (expected, digits) in EXAMPLES {
        let rtype = expected.split(' ').next().unwrap().parse().unwrap();
        let rdata = octets_of(digits);
        assert_eq!(text(&owner, 3600, rtype, &rdata), format!("a.example. 3600 IN {expected}"));
    }
    let shown = |rtype: &RecordType| EXAMPLES.iter().any(|(text, _)| text.starts_with(&format!("{rtype} ")));
    let missing: Vec<RecordType> = own_types().into_iter().filter(|rtype| !shown(rtype)).collect();
    assert!(missing.is_empty(), "no example of {missing:?}");
}

#[test]
fn what_would_come_back_as_other_octets_is_written_as_octets() {
    let cases: &[(RecordType, &str, &str)] = &[
        (RecordType::NSEC, "0161000001 00", "a window whose last octet is zero"),
        (RecordType::NSEC, "01610001 80", "type 0"),
        (RecordType::NSEC, "016100 0101 40 0001 40", "windows that go backwards"),
        (RecordType::NSEC, "016100 0000", "an empty window"),
        (RecordType::NSEC, "016100 0002 40", "a window that is cut short"),
        (RecordType::NSEC, "016100 00", "half of a window's head"),
        (RecordType::NSEC3, "01000000 00 01 ff", "a hash of another length than that of SHA-1"),
        (RecordType::NSEC3PARAM, "01000000 02 ff", "a salt that is cut short"),
        (RecordType::RRSIG, "0000 0d 02 00000e10 70000000 60000000 1234 00 07", "type 0 covered"),
        (RecordType::RRSIG, "0001 0d 02 00000e10 70000000 60000000 1234 00", "no signature"),
        (RecordType::RRSIG, "0001 0d 02 80000000 70000000 60000000 1234 00 07", "a TTL that NSD changes"),
        (RecordType::SOA, "00 00 00000001 80000000 00000001 00000001 00000001", "a timer that NSD changes"),
        (RecordType::SPF, "0161 0162", "several strings, of which NSD takes the first"),
        (RecordType::DS, "ec450501", "no digest"),
        (RecordType::KEY, "c0000300", "no key"),
        (RecordType::OPENPGPKEY, "", "no key"),
        (RecordType::IPSECKEY, "0a0000", "no key"),
        (RecordType::IPSECKEY, "0a000007", "a key without an algorithm, which Knot DNS refuses"),
        (RecordType::IPSECKEY, "0a0402 ff", "a gateway of no known kind"),
        (RecordType::IPSECKEY, "0a0302 0161 012e 00 07", "a gateway whose name needs an escape"),
        (RecordType::IPSECKEY, "0a0302 0161", "a gateway whose name has no end"),
        (RecordType::APL, "0001 18 04 c0000200", "an address with a zero at its end"),
        (RecordType::APL, "0001 21 01 c0", "a prefix longer than the address"),
        (RecordType::APL, "0001 20 05 c000020102", "more octets than an address has"),
        (RecordType::APL, "0003 00 00", "a family without a form"),
        (RecordType::APL, "0101 00 00", "a family with a high octet"),
        (RecordType::APL, "00ff 00 00", "a family with a large number"),
        (RecordType::APL, "0001", "half of an item"),
        (RecordType::LOC, "01 000000 80000000 80000000 00989680", "another version"),
        (RecordType::LOC, "00 010000 80000000 80000000 00989680", "zero, written another way"),
        (RecordType::LOC, "00 a00000 80000000 80000000 00989680", "a digit above nine"),
        (RecordType::LOC, "00 1a0000 80000000 80000000 00989680", "a power above nine"),
        (RecordType::LOC, "00 000000 ffffffff 80000000 00989680", "north of the pole"),
        (RecordType::LOC, "00 000000 80000000", "half of a location"),
        (RecordType::CAA, "00 05 4973737565 61", "a tag with a capital, which NSD refuses"),
        (RecordType::CAA, "00 00 61", "no tag"),
        (RecordType::SVCB, "0001 00 0002 0000 0002 0000", "a key twice"),
        (RecordType::SVCB, "0001 00 0003 0002 0035 0002 0000", "keys that go backwards"),
        (RecordType::SVCB, "0001 00 0003 0001 35", "half of a port"),
        (RecordType::SVCB, "0001 00 0004 0003 c00002", "a part of an address"),
        (RecordType::SVCB, "0001 00 0005 0000", "an empty ECH, which Knot DNS refuses"),
        (RecordType::SVCB, "0001 00 0001 0004 03682c32", "an identifier with a comma"),
        (RecordType::SVCB, "0001 00 0001 0004 03680032", "an identifier that is not printable"),
        (RecordType::SVCB, "0001 00 0001 0001 00", "an empty identifier"),
        (
            RecordType::SVCB,
            "0001 00 0001 0005 0161 026832",
            "a short identifier, which Knot DNS takes for none",
        ),
        (RecordType::SVCB, "0001 00 0001 0002 0261", "an identifier that is cut short"),
        (RecordType::SVCB, "0001 00 0002 0001 00", "a value of no-default-alpn"),
        (RecordType::SVCB, "0001 00 0000 0002 0001", "a mandatory key that is not there"),
        (RecordType::SVCB, "0001 00 0000 0002 0000", "mandatory as mandatory"),
        (RecordType::SVCB, "0001 00 0000 0004 00030003 0003 0002 0035", "a mandatory key twice"),
        (RecordType::SVCB, "0001 00 0003 0002", "a value that is cut short"),
        (RecordType::SVCB, "0001 00 0003", "half of a parameter's head"),
        (RecordType::EUI48, "0000", "an address that is cut short"),
        (RecordType::SIG, "0001 0d 02 00000e10 70000000 60000000 1234 00 07", "a type that Knot DNS lacks"),
    ];
    let owner = Name::parse("a.example.").unwrap();
    for (rtype, digits, what) in cases {
        let rdata = octets_of(&digits.replace(' ', ""));
        let expected = format!("a.example. 0 IN {}", generic(*rtype, &rdata));
        assert_eq!(text(&owner, 0, *rtype, &rdata), expected, "{rtype}: {what}");
    }
}

#[test]
fn long_lists_of_types_are_written_as_octets() {
    // All types but 0: readers have been seen to run out of stack.
    let windows = (0u8..=255).flat_map(|window| [&[window, 32][..], &[0xFF; 32]].concat());
    let mut rdata: Vec<u8> = [0].into_iter().chain(windows).collect();
    rdata[3] = 0x7F;
    let owner = Name::root();
    assert_eq!(
        text(&owner, 0, RecordType::NSEC, &rdata),
        format!(". 0 IN {}", generic(RecordType::NSEC, &rdata))
    );
    let some = &rdata[..1 + 34 * 3];
    assert!(text(&owner, 0, RecordType::NSEC, some).starts_with(". 0 IN NSEC . A NS TYPE3 TYPE4 CNAME SOA"));
}

#[test]
fn an_independent_reader_knows_most_types_and_reads_the_same_octets() {
    let owner = Name::parse("a.example.").unwrap();
    let mut read = 0;
    for (expected, digits) in EXAMPLES {
        if let Some(found) = read_by_domain(&format!("a.example. 3600 IN {expected}")) {
            let rtype = expected.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(found, (owner.as_wire().to_vec(), 3600, rtype, octets_of(digits)), "{expected}");
            read += 1;
        }
    }
    assert!(read > 30, "the reader knows {read} of the examples");
}

/// Any record of a type that is written in its own form, valid.
fn valid_record() -> impl Strategy<Value = (RecordType, Vec<u8>)> {
    prop::sample::select(own_types())
        .prop_flat_map(|rtype| (Just(rtype), valid_rdata(rtype).expect("one of those")))
}

/// Anything, near the valid and far from it.
fn any_record() -> impl Strategy<Value = (RecordType, Vec<u8>)> {
    let bent = (valid_record(), any::<prop::sample::Index>(), any::<u8>(), 0usize..4).prop_map(
        |((rtype, mut rdata), at, octet, how)| {
            let at = at.index(rdata.len() + 1);
            match how {
                0 => rdata.truncate(at),
                1 => rdata.insert(at, octet),
                2 if at < rdata.len() => rdata[at] = octet,
                _ => rdata.push(octet),
            }
            (rtype, rdata)
        },
    );
    let foreign = (prop_oneof![any::<u16>(), 0u16..300], vec(any::<u8>(), 0..80));
    prop_oneof![bent, foreign.prop_map(|(rtype, rdata)| (RecordType(rtype), rdata))]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_octets_make_one_line_of_printable_ascii(owner in name(), ttl: u32, (rtype, rdata) in any_record()) {
        let line = text(&owner, ttl, rtype, &rdata);
        prop_assert!(line.bytes().all(|octet| (b' '..=b'~').contains(&octet)), "{}", line);
        let data = line.strip_prefix(&format!("{owner} {ttl} IN ")).unwrap();
        // In its own form, or in the one that all have.
        if data != generic(rtype, &rdata) {
            let mnemonic = data.split(' ').next().unwrap();
            prop_assert_eq!(mnemonic.parse(), Ok(rtype));
            prop_assert!(!mnemonic.starts_with("TYPE"));
            prop_assert!(rdata::validate(rtype, &rdata).is_ok());
            prop_assert!(valid_rdata(rtype).is_some(), "{} is not tested", rtype);
        }
    }

    #[test]
    fn what_the_independent_reader_reads_it_reads_the_same((rtype, rdata) in any_record(), owner in name(), ttl: u32) {
        let line = text(&owner, ttl, rtype, &rdata);
        if let Some(found) = read_by_domain(&line) {
            prop_assert_eq!(found, (owner.as_wire().to_vec(), ttl, rtype, rdata), "{}", line);
        }
    }

    #[test]
    fn valid_data_is_written_in_its_own_form((rtype, rdata) in valid_record(), owner in name()) {
        let line = text(&owner, 1, rtype, &rdata);
        let start = format!("{owner} 1 IN {rtype}");
        prop_assert!(line.starts_with(&start), "{}", line);
    }
}
