//! The SOA that a stream opens with: is it news, and does the stream close with it?

use secondo_wire::{Reason, Serial, SerialOrder, Soa};

use crate::Fault;
use crate::reader::Clean;

/// The first record of a stream.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) soa: Soa,
    /// Seconds.
    pub(crate) ttl: u32,
    /// As received, uncompressed.
    pub(crate) rdata: Vec<u8>,
    canonical: Vec<u8>,
}

impl Opening {
    /// Takes the first SOA; `canonical` is its RDATA in canonical form.
    pub(crate) fn new(soa: Soa, record: Clean<'_>, canonical: &[u8]) -> Opening {
        Opening { soa, ttl: record.ttl, rdata: record.rdata.into(), canonical: canonical.into() }
    }

    /// Whether another SOA says the same: all RDATA, names without regard to case, TTL ignored.
    pub(crate) fn equals(&self, canonical: &[u8]) -> bool {
        self.canonical == canonical
    }

    /// Whether it announces news to one who has `ours`; false when that is what the primary has.
    pub(crate) fn is_news_to(&self, ours: Serial) -> Result<bool, Fault> {
        let serial = self.soa.serial;
        // RFC 1982 §3.2: "newer" on the circle of serials.
        let (reason, how) = match serial.compare(ours) {
            SerialOrder::Newer => return Ok(true),
            SerialOrder::Equal => return Ok(false),
            SerialOrder::Older => (Reason::SerialBehind, "is older than"),
            SerialOrder::Undefined => (Reason::SerialIncomparable, "is 2^31 away from"),
        };
        Err(Fault::new(reason, format!("the primary's serial {serial} {how} our {ours} (RFC 1982 §3.2)")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::Outcome;
    use crate::decoder::tests::{decoder, feed};
    use crate::testing::{self, a, soa};

    #[test]
    fn our_serial_means_up_to_date_and_the_rest_is_ignored() {
        let current = testing::zone(7, &[]);
        for incremental in [true, false] {
            let mut decoder = decoder(Some(&current), incremental, false);
            feed(&mut decoder, &[soa(7)]).unwrap();
            assert!(decoder.has_ended() && decoder.is_up_to_date());
            feed(&mut decoder, &[a("www.example.", 1), soa(9)]).unwrap();
            assert!(matches!(decoder.finish(), Ok(Outcome::UpToDate(soa)) if soa.serial == Serial(7)));
        }
    }

    #[test]
    fn an_older_or_incomparable_serial_is_said_unless_forced() {
        let current = testing::zone(10, &[]);
        for (serial, reason) in [
            (9, Reason::SerialBehind),
            (10 + (1 << 31), Reason::SerialIncomparable),
            (11 + (1 << 31), Reason::SerialBehind),
        ] {
            for incremental in [true, false] {
                let fault =
                    feed(&mut decoder(Some(&current), incremental, false), &[soa(serial)]).unwrap_err();
                assert_eq!(fault.reason, reason, "{serial}");
            }
            feed(&mut decoder(Some(&current), false, true), &[soa(serial)]).unwrap();
        }
        feed(&mut decoder(Some(&current), false, true), &[soa(10), a("x.example.", 1)]).unwrap();
    }
}
