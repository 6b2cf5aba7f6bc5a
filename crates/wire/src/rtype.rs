//! Record types and their mnemonics (IANA registry; RFC 3597 §5 for `TYPEnnn`).

use std::fmt;
use std::str::FromStr;

/// The type of a record or of a question, any of the 65536.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordType(pub u16);

macro_rules! types {
    ($($name:ident $number:literal $text:literal),* $(,)?) => {
        #[allow(missing_docs)]
        impl RecordType {
            $(pub const $name: RecordType = RecordType($number);)*
        }
        const MNEMONICS: &[(u16, &str)] = &[$(($number, $text)),*];
    };
}

types! {
    A 1 "A", NS 2 "NS", MD 3 "MD", MF 4 "MF", CNAME 5 "CNAME", SOA 6 "SOA", MB 7 "MB", MG 8 "MG", MR 9 "MR",
    NULL 10 "NULL", WKS 11 "WKS", PTR 12 "PTR", HINFO 13 "HINFO", MINFO 14 "MINFO", MX 15 "MX", TXT 16 "TXT",
    RP 17 "RP", AFSDB 18 "AFSDB", X25 19 "X25", ISDN 20 "ISDN", RT 21 "RT", NSAP 22 "NSAP", NSAP_PTR 23 "NSAP-PTR",
    SIG 24 "SIG", KEY 25 "KEY", PX 26 "PX", GPOS 27 "GPOS", AAAA 28 "AAAA", LOC 29 "LOC", NXT 30 "NXT", EID 31 "EID",
    NIMLOC 32 "NIMLOC", SRV 33 "SRV", ATMA 34 "ATMA", NAPTR 35 "NAPTR", KX 36 "KX", CERT 37 "CERT", A6 38 "A6",
    DNAME 39 "DNAME", SINK 40 "SINK", OPT 41 "OPT", APL 42 "APL", DS 43 "DS", SSHFP 44 "SSHFP", IPSECKEY 45 "IPSECKEY",
    RRSIG 46 "RRSIG", NSEC 47 "NSEC", DNSKEY 48 "DNSKEY", DHCID 49 "DHCID", NSEC3 50 "NSEC3",
    NSEC3PARAM 51 "NSEC3PARAM", TLSA 52 "TLSA", SMIMEA 53 "SMIMEA", HIP 55 "HIP", NINFO 56 "NINFO", RKEY 57 "RKEY",
    TALINK 58 "TALINK", CDS 59 "CDS", CDNSKEY 60 "CDNSKEY", OPENPGPKEY 61 "OPENPGPKEY", CSYNC 62 "CSYNC",
    ZONEMD 63 "ZONEMD", SVCB 64 "SVCB", HTTPS 65 "HTTPS", DSYNC 66 "DSYNC", SPF 99 "SPF", NID 104 "NID",
    L32 105 "L32", L64 106 "L64", LP 107 "LP", EUI48 108 "EUI48", EUI64 109 "EUI64", NXNAME 128 "NXNAME",
    TKEY 249 "TKEY", TSIG 250 "TSIG", IXFR 251 "IXFR", AXFR 252 "AXFR", MAILB 253 "MAILB", MAILA 254 "MAILA",
    ANY 255 "ANY", URI 256 "URI", CAA 257 "CAA", AVC 258 "AVC", DOA 259 "DOA", AMTRELAY 260 "AMTRELAY",
    RESINFO 261 "RESINFO", WALLET 262 "WALLET", CLA 263 "CLA", IPN 264 "IPN", TA 32768 "TA", DLV 32769 "DLV",
}

impl RecordType {
    /// Whether the type can only stand in a question or as a pseudo record, never as zone data (RFC 6895 §3.1):
    /// 0, OPT, NXNAME (RFC 9824 §3) and the range 249 to 255.
    pub fn is_meta(self) -> bool {
        matches!(self.0, 0 | 41 | 128 | 249..=255)
    }

    /// The name that the registry gives it, `None` where that is not known here.
    pub fn mnemonic(self) -> Option<&'static str> {
        let at = MNEMONICS.binary_search_by_key(&self.0, |m| m.0).ok()?;
        Some(MNEMONICS[at].1)
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(mnemonic) => f.write_str(mnemonic),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

impl fmt::Debug for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RecordType {
    type Err = ();

    /// A mnemonic in any case, or `TYPEnnn`.
    fn from_str(text: &str) -> Result<RecordType, ()> {
        if let Some(m) = MNEMONICS.iter().find(|m| m.1.eq_ignore_ascii_case(text)) {
            return Ok(RecordType(m.0));
        }
        match text.split_at_checked(4) {
            Some((head, digits)) if head.eq_ignore_ascii_case("TYPE") => {
                digits.parse().map(RecordType).map_err(drop)
            }
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mnemonics_are_sorted_and_survive_a_round_trip() {
        assert!(MNEMONICS.windows(2).all(|w| w[0].0 < w[1].0));
        for n in 0..=u16::MAX {
            let t = RecordType(n);
            assert_eq!(t.to_string().parse(), Ok(t));
        }
        assert_eq!("type300".parse(), Ok(RecordType(300)));
        assert_eq!("nonsense".parse::<RecordType>(), Err(()));
    }
}
