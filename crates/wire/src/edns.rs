//! EDNS: the OPT pseudo record and its options (RFC 6891 §6.1).

/// EDNS option codes.
pub mod option {
    /// NSID (RFC 5001 §2.3).
    pub const NSID: u16 = 3;
    /// EXPIRE (RFC 7314 §2).
    pub const EXPIRE: u16 = 9;
    /// COOKIE (RFC 7873 §4).
    pub const COOKIE: u16 = 10;
    /// edns-tcp-keepalive (RFC 7828 §3.1).
    pub const KEEPALIVE: u16 = 11;
    /// Padding (RFC 7830 §3).
    pub const PADDING: u16 = 12;
    /// Extended DNS error (RFC 8914 §2).
    pub const EDE: u16 = 15;
    /// ZONEVERSION (RFC 9660 §2).
    pub const ZONEVERSION: u16 = 19;
}

/// Extended DNS error codes (RFC 8914 §4).
pub mod ede {
    /// Other Error (§4.1).
    pub const OTHER: u16 = 0;
    /// Stale Answer (§4.4).
    pub const STALE_ANSWER: u16 = 3;
    /// Not Ready (§4.15).
    pub const NOT_READY: u16 = 14;
    /// Prohibited (§4.19).
    pub const PROHIBITED: u16 = 18;
    /// Not Authoritative (§4.21).
    pub const NOT_AUTHORITATIVE: u16 = 20;
    /// Not Supported (§4.22).
    pub const NOT_SUPPORTED: u16 = 21;
    /// Invalid Data (§4.25).
    pub const INVALID_DATA: u16 = 24;
}

/// The DO bit of the OPT record's flags (RFC 3225 §3).
pub const DO: u16 = 0x8000;
/// Octets of an OPT record without options.
pub const OPT_SIZE: usize = 11;

/// A received OPT record.
#[derive(Clone, Copy, Debug)]
pub struct Opt<'a> {
    /// The largest UDP payload the sender takes.
    pub payload: u16,
    /// The upper eight bits of the response code.
    pub extended_rcode: u8,
    /// The EDNS version.
    pub version: u8,
    /// The flag word.
    pub flags: u16,
    /// The options, whole.
    options: &'a [u8],
}

impl<'a> Opt<'a> {
    /// Takes class, TTL and RDATA of an OPT record; `None` when an option's length passes the RDATA.
    pub fn new(class: u16, ttl: u32, rdata: &'a [u8]) -> Option<Opt<'a>> {
        let [extended_rcode, version, high, low] = ttl.to_be_bytes();
        let flags = u16::from_be_bytes([high, low]);
        let mut rest = rdata;
        while !rest.is_empty() {
            let head: &[u8; 4] = rest.first_chunk()?;
            rest = rest.get(4 + usize::from(u16::from_be_bytes([head[2], head[3]]))..)?;
        }
        Some(Opt { payload: class, extended_rcode, version, flags, options: rdata })
    }

    /// The options as (code, value), in the order received.
    pub fn options(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let mut rest = self.options;
        std::iter::from_fn(move || {
            let head: &[u8; 4] = rest.first_chunk()?;
            let end = 4 + usize::from(u16::from_be_bytes([head[2], head[3]]));
            let value = rest.get(4..end)?;
            rest = &rest[end..];
            Some((u16::from_be_bytes([head[0], head[1]]), value))
        })
    }

    /// The first option with `code`.
    pub fn option(&self, code: u16) -> Option<&'a [u8]> {
        self.options().find(|o| o.0 == code).map(|o| o.1)
    }

    /// The seconds of an EXPIRE option in a response; any length but 4 is ignored (RFC 7314 §3).
    pub fn expire(&self) -> Option<u32> {
        Some(u32::from_be_bytes(self.option(option::EXPIRE)?.try_into().ok()?))
    }

    /// Whether DNSSEC records are wanted.
    pub fn wants_dnssec(&self) -> bool {
        self.flags & DO != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_bounded_by_the_rdata() {
        let rdata = [0, 9, 0, 4, 0, 0, 0, 60, 0, 3, 0, 0];
        let opt = Opt::new(1232, 0x0000_8000, &rdata).unwrap();
        assert_eq!((opt.payload, opt.version, opt.wants_dnssec()), (1232, 0, true));
        assert_eq!(opt.expire(), Some(60));
        assert_eq!(opt.option(option::NSID), Some(&[][..]));
        assert_eq!(opt.options().count(), 2);
        for cut in [1, 2, 3, 5, 7, 9] {
            assert!(Opt::new(0, 0, &rdata[..cut]).is_none(), "{cut}");
        }
        assert_eq!(Opt::new(0, 0, &[0, 9, 0, 1, 5]).unwrap().expire(), None);
    }
}
