//! The SOA record (RFC 1035 §3.3.13).

use crate::{Name, NameRef, Serial};

/// The data of a SOA record; the spelling of its names is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soa {
    /// The primary that the zone names itself.
    pub mname: Name,
    /// The mailbox of the person responsible, as a name.
    pub rname: Name,
    /// The version.
    pub serial: Serial,
    /// Seconds between probes.
    pub refresh: u32,
    /// Seconds between probes after a failed one.
    pub retry: u32,
    /// Seconds after the last contact until the zone is no longer answered from.
    pub expire: u32,
    /// TTL of negative answers, seconds (RFC 2308 §4).
    pub minimum: u32,
}

impl Soa {
    /// Reads uncompressed RDATA, whole; `None` when it is not exactly a SOA.
    pub fn from_rdata(rdata: &[u8]) -> Option<Soa> {
        let (mname, rest) = NameRef::split_from(rdata)?;
        let (rname, rest) = NameRef::split_from(rest)?;
        let n: &[u8; 20] = rest.try_into().ok()?;
        let word = |i: usize| u32::from_be_bytes([n[i], n[i + 1], n[i + 2], n[i + 3]]);
        Some(Soa {
            mname: mname.to_owned(),
            rname: rname.to_owned(),
            serial: Serial(word(0)),
            refresh: word(4),
            retry: word(8),
            expire: word(12),
            minimum: word(16),
        })
    }

    /// Uncompressed RDATA.
    pub fn to_rdata(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.extend_from_slice(self.mname.as_wire());
        out.extend_from_slice(self.rname.as_wire());
        for word in [self.serial.0, self.refresh, self.retry, self.expire, self.minimum] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        out
    }

    /// The serial alone, out of uncompressed SOA RDATA.
    pub fn serial_of(rdata: &[u8]) -> Option<Serial> {
        let at = rdata.len().checked_sub(20)?;
        let four = rdata.get(at..at + 4)?;
        Some(Serial(u32::from_be_bytes(four.try_into().ok()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rdata_survives_a_round_trip_and_nothing_else_is_a_soa() {
        let soa = Soa {
            mname: Name::parse("Ns.example.").unwrap(),
            rname: Name::parse("host\\.master.example.").unwrap(),
            serial: Serial(u32::MAX),
            refresh: 1,
            retry: 2,
            expire: 3,
            minimum: 4,
        };
        let rdata = soa.to_rdata();
        assert_eq!(Soa::from_rdata(&rdata).unwrap(), soa);
        assert_eq!(Soa::serial_of(&rdata), Some(Serial(u32::MAX)));
        for cut in 0..rdata.len() {
            assert_eq!(Soa::from_rdata(&rdata[..cut]), None);
        }
        assert_eq!(Soa::from_rdata(&[&rdata[..], &[0]].concat()), None);
    }
}
