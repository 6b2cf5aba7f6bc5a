//! From a record in its message to a record that may stand in a zone: class, type, owner, TTL and RDATA.
//!
//! One reader serves a whole transfer and allocates nothing per record: the owner is decompressed into a buffer, RDATA
//! with names into another, RDATA without names is only checked and passed on where it stands.

use secondo_wire::{CLASS_IN, NameBuf, NameRef, Reason, Record, RecordType, rdata, read_name};

use crate::Fault;

/// A record that may stand in a zone. Whether its owner lies in ours is not yet known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clean<'r> {
    pub(crate) owner: NameRef<'r>,
    pub(crate) rtype: RecordType,
    /// Seconds, 31 bits.
    pub(crate) ttl: u32,
    /// Uncompressed, fits its type.
    pub(crate) rdata: &'r [u8],
}

/// See the module.
pub(crate) struct Reader {
    owner: NameBuf,
    /// Where the name in `owner` begins in the current message.
    owner_at: Option<usize>,
    rdata: Vec<u8>,
}

impl Reader {
    pub(crate) fn new() -> Reader {
        Reader { owner: NameBuf::new(), owner_at: None, rdata: Vec::with_capacity(512) }
    }

    /// Another message begins: what is known of offsets ends.
    pub(crate) fn turn(&mut self) {
        self.owner_at = None;
    }

    /// Reads `record`, which must stand in `message`.
    pub(crate) fn read<'r>(&'r mut self, message: &'r [u8], record: &Record) -> Result<Clean<'r>, Fault> {
        self.read_owner(message, record.owner)?;
        let owner = self.owner.as_ref();
        let rtype = record.rtype;
        if record.class != CLASS_IN {
            let detail =
                format!("{owner} {rtype}: class {} in a zone of class IN (RFC 5936 §2.2)", record.class);
            return Err(Fault::new(Reason::WrongClass, detail));
        }
        // RFC 6895 §3.1: meta and question types are never data.
        if rtype.is_meta() {
            return Err(Fault::new(
                Reason::MetaType,
                format!("{owner} {rtype}: no type of data (RFC 6895 §3.1)"),
            ));
        }
        let bad = |bad: rdata::BadRdata| {
            Fault::new(Reason::BadRdata, format!("{owner} {rtype}: {bad} (RFC 1035 §3.2.1, RFC 3597 §4)"))
        };
        let rdata = if rdata::has_names(rtype) {
            // RFC 3597 §4: names are expanded where the type is known to hold them, and nowhere else.
            rdata::expand(rtype, message, record.rdata, record.end, &mut self.rdata).map_err(bad)?;
            // Expansion may pass what RDLENGTH can say: such a record could not be sent on.
            if self.rdata.len() > usize::from(u16::MAX) {
                let detail =
                    format!("{owner} {rtype}: longer than 65535 octets when expanded (RFC 1035 §3.2.1)");
                return Err(Fault::new(Reason::BadRdata, detail));
            }
            &self.rdata[..]
        } else {
            let plain = message.get(record.rdata..record.end).unwrap_or_default();
            rdata::validate(rtype, plain).map_err(bad)?;
            plain
        };
        // RFC 2181 §8: a TTL with its top bit set is 0.
        let ttl = if record.ttl > i32::MAX as u32 { 0 } else { record.ttl };
        Ok(Clean { owner, rtype, ttl, rdata })
    }

    fn read_owner(&mut self, message: &[u8], at: usize) -> Result<(), Fault> {
        // Senders point back to the last owner, or repeat its pointer: then the name is at hand.
        let pointer = match message.get(at..at + 2) {
            Some(&[head @ 0xC0..=0xFF, low]) => Some(usize::from(u16::from_be_bytes([head & 0x3F, low]))),
            _ => None,
        };
        if pointer.is_some() && pointer == self.owner_at {
            return Ok(());
        }
        self.owner_at = None;
        read_name(message, at, &mut self.owner).map_err(|error| {
            Fault::new(Reason::MalformedMessage, format!("owner at octet {at}: {error} (RFC 1035 §4.1.4)"))
        })?;
        self.owner_at = pointer.or(Some(at));
        Ok(())
    }
}

/// The type that an RRSIG covers (RFC 4034 §3.1.1); `None` for other types.
pub(crate) fn covered(record: &Clean<'_>) -> Option<RecordType> {
    match *record.rdata {
        [high, low, ..] if record.rtype == RecordType::RRSIG => {
            Some(RecordType(u16::from_be_bytes([high, low])))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::{axfr, example, reason};
    use crate::testing::{self, ANSWER, Rr, a, message};

    const AXFR: RecordType = RecordType::AXFR;

    #[test]
    fn what_cannot_be_data_refuses_the_whole_transfer() {
        let (_, records) = example();
        let with =
            |rr: Rr| vec![message(ANSWER, Some(AXFR), &[&records[..2], &[rr], &records[2..]].concat())];
        let x = || a("x.example.", 1);
        assert_eq!(reason(&with(Rr { class: 3, ..x() })), Reason::WrongClass);
        for meta in [0, 41, 128, 249, 250, 251, 252, 253, 254, 255] {
            for owner in ["x.example.", "x.test."] {
                let rr = Rr { rtype: RecordType(meta), ..a(owner, 1) };
                assert_eq!(reason(&with(rr)), Reason::MetaType, "{meta} {owner}");
            }
        }
        let fault = axfr(&with(Rr { rdata: vec![1, 2, 3], ..x() })).unwrap_err();
        assert_eq!(fault.reason, Reason::BadRdata);
        assert!(fault.detail.contains("x.example. A") && fault.detail.contains("RFC 1035"), "{fault}");
        // Opaque types carry anything, nothing too.
        assert!(axfr(&with(Rr { rtype: RecordType(65_280), rdata: vec![], ..x() })).is_ok());
    }

    #[test]
    fn a_ttl_with_its_top_bit_set_is_zero() {
        let (_, records) = example();
        let odd = Rr { ttl: 0x8000_0001, ..a("odd.example.", 1) };
        let candidate =
            axfr(&[message(ANSWER, Some(AXFR), &[&records[..2], &[odd], &records[2..]].concat())]).unwrap();
        assert!(testing::content(candidate.zone()).iter().any(|rr| rr.ttl == 0));
    }

    #[test]
    fn an_owner_at_hand_is_used_again_only_where_it_was_read() {
        // Offset 0 holds the root, 1 "ab.", 4 the root again; pointers to them stand behind.
        let message = b"\0\x02ab\0\xC0\x01\xC0\x01\xC0\x04\xC0\x01\xC0\x00";
        let other = b"\0\x02xy\0\xC0\x01";
        let mut reader = Reader::new();
        let mut at = |message: &[u8], at: usize, turn: bool| {
            if turn {
                reader.turn();
            }
            reader.read_owner(message, at).unwrap();
            reader.owner.as_ref().to_string()
        };
        for (offset, name) in
            [(1, "ab."), (13, "."), (1, "ab."), (5, "ab."), (13, "."), (7, "ab."), (9, "."), (11, "ab.")]
        {
            assert_eq!(at(message, offset, false), name, "{offset}");
        }
        assert_eq!(at(other, 5, true), "xy.");
    }

    #[test]
    fn rdata_with_compressed_names_is_expanded_and_opaque_rdata_never() {
        // Offset 0 holds "ab."; MX RDATA at 4 points to it, the same octets as an opaque type do not.
        let message = b"\x02ab\0\x00\x05\xC0\x00";
        let record = |rtype| Record {
            section: secondo_wire::Section::Answer,
            owner: 0,
            rtype,
            class: CLASS_IN,
            ttl: 1,
            rdata: 4,
            end: 8,
        };
        let mut reader = Reader::new();
        let expanded = reader.read(message, &record(RecordType::MX)).unwrap().rdata.to_vec();
        assert_eq!(expanded, b"\x00\x05\x02ab\0");
        let opaque = reader.read(message, &record(RecordType(65_280))).unwrap().rdata.to_vec();
        assert_eq!(opaque, b"\x00\x05\xC0\x00");
        assert_eq!(reader.read(message, &record(RecordType::SRV)).unwrap_err().reason, Reason::BadRdata);
    }

    #[test]
    fn rdata_that_outgrows_its_length_field_when_expanded_is_refused() {
        // A name of 66 octets, then RRSIG RDATA of 65535 octets whose signer points to it.
        let mut message = [&[63][..], &[b'x'; 63], &[0]].concat();
        let start = message.len();
        message.extend_from_slice(&[0; 18]);
        message.extend_from_slice(&[0xC0, 0]);
        message.resize(start + 65_535, 7);
        let mut record = Record {
            section: secondo_wire::Section::Answer,
            owner: 0,
            rtype: RecordType::RRSIG,
            class: CLASS_IN,
            ttl: 1,
            rdata: start,
            end: message.len(),
        };
        let mut reader = Reader::new();
        assert_eq!(reader.read(&message, &record).unwrap_err().reason, Reason::BadRdata);
        record.end -= 63;
        assert_eq!(reader.read(&message, &record).unwrap().rdata.len(), 65_535);
    }
}
