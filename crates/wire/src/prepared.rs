//! Records that are written once and put into many messages: octets as they stand, but for the pointers (RFC 1035 §4.1.4).

use crate::message::Header;
use crate::name::{MAX_NAME, NameRef};
use crate::rdata::{self, Field};
use crate::rtype::RecordType;
use crate::writer::{Compressor, FARTHEST, Full, Writer};

/// Records in wire form, compressed against each other and against a name that stands in each message that they are put into:
/// their base.
#[derive(Clone, Debug)]
pub struct Prepared {
    octets: Box<[u8]>,
    pointers: Box<[Pointer]>,
    records: u16,
}

/// A pointer among the octets.
#[derive(Clone, Copy, Debug)]
struct Pointer {
    at: u16,
    /// Whither: octets from the beginning of the base, or of the records.
    to: u16,
    into_base: bool,
}

impl Prepared {
    /// What `write` writes into a message that begins with `base`; it returns the number of records. `None` when they do not
    /// fit a message whose every octet a pointer reaches.
    pub fn new(
        base: NameRef<'_>,
        write: impl FnOnce(&mut Writer<'_>) -> Result<u16, Full>,
    ) -> Option<Prepared> {
        let (mut out, mut compressor) = (Vec::new(), Compressor::folding());
        let mut writer = Writer::new(&mut out, &mut compressor, FARTHEST);
        writer.name(base).ok()?;
        let records = write(&mut writer).ok()?;
        let start = Header::SIZE + base.as_wire().len();
        let octets = out.get(start..)?;
        let mut places = Vec::new();
        let mut at = 0;
        for _ in 0..records {
            at = record_end(octets, at, &mut places)?;
        }
        let pointer = |at: usize| {
            let to = u16::from_be_bytes(*octets.get(at..)?.first_chunk()?) & FARTHEST as u16;
            let into_base = usize::from(to) < start;
            let from = if into_base { Header::SIZE } else { start };
            Some(Pointer { at: at as u16, to: to.checked_sub(from as u16)?, into_base })
        };
        let pointers = places.into_iter().map(pointer).collect::<Option<_>>()?;
        Some(Prepared { octets: octets.into(), pointers, records })
    }

    /// Number of records.
    pub fn records(&self) -> u16 {
        self.records
    }
}

impl Writer<'_> {
    /// Puts records into the message, in which their base stands `base` octets from the beginning. When they do not fit, or stand
    /// too far for pointers, nothing is written. Their names are not remembered for compression.
    pub fn prepared(&mut self, records: &Prepared, base: usize) -> Result<(), Full> {
        let here = self.len();
        if (base + MAX_NAME).max(here + records.octets.len()) > FARTHEST {
            return Err(Full);
        }
        self.octets(&records.octets)?;
        let written = self.since(here);
        for pointer in &records.pointers {
            let place = usize::from(pointer.to) + if pointer.into_base { base } else { here };
            written[usize::from(pointer.at)..][..2].copy_from_slice(&(0xC000 | place as u16).to_be_bytes());
        }
        Ok(())
    }
}

/// Where the record that begins `at` ends; notes where its pointers stand.
fn record_end(octets: &[u8], at: usize, places: &mut Vec<usize>) -> Option<usize> {
    let head = name_end(octets, at, places)?;
    let &[t0, t1, _, _, _, _, _, _, l0, l1] = octets.get(head..)?.first_chunk()?;
    let (mut at, end) = (head + 10, head + 10 + usize::from(u16::from_be_bytes([l0, l1])));
    let rtype = RecordType(u16::from_be_bytes([t0, t1]));
    let fields = rdata::layout(rtype).filter(|_| rdata::compresses(rtype)).unwrap_or_default();
    for field in fields {
        match field {
            Field::Compressible => at = name_end(octets, at, places)?,
            Field::Octets(length) => at += usize::from(*length),
            _ => break,
        }
    }
    Some(end)
}

/// Where the name that begins `at` ends; notes where its pointer stands, if it has one.
fn name_end(octets: &[u8], mut at: usize, places: &mut Vec<usize>) -> Option<usize> {
    loop {
        match *octets.get(at)? {
            0 => return Some(at + 1),
            length @ 1..0x40 => at += 1 + usize::from(length),
            _ => {
                places.push(at);
                return Some(at + 2);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CLASS_IN, Message, Name, Soa};

    fn n(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn soa(mname: &str, rname: &str) -> Vec<u8> {
        let (mname, rname) = (n(mname), n(rname));
        Soa { mname, rname, serial: 7.into(), refresh: 1, retry: 2, expire: 3, minimum: 4 }.to_rdata()
    }

    /// The records of a message, names expanded.
    fn read(octets: &[u8]) -> Vec<(String, RecordType, u32, Vec<u8>)> {
        let mut name = crate::NameBuf::new();
        let mut read = vec![];
        for record in Message::new(octets).unwrap().records().unwrap() {
            let record = record.unwrap();
            crate::read_name(octets, record.owner, &mut name).unwrap();
            let mut rdata = vec![];
            rdata::expand(record.rtype, octets, record.rdata, record.end, &mut rdata).unwrap();
            read.push((name.as_ref().to_string(), record.rtype, record.ttl, rdata));
        }
        read
    }

    #[test]
    fn prepared_records_read_as_those_written_one_by_one_wherever_their_base_stands() {
        for (apex, asked, mname, rname) in [
            ("example.", "a.EXAMPLE.", "ns.example.", "host.ns.example."),
            ("sub.example.", "sub.example.", "ns.provider.net.", "host.provider.net."),
            ("sub.example.", "x.y.sub.example.", "example.", "sub.example."),
            (".", "a.b.", "a.root-servers.net.", "nstld.root-servers.net."),
        ] {
            let (apex, asked, rdata) = (n(apex), n(asked), soa(mname, rname));
            let owner = n(&format!("own.{}", apex.as_ref()).replace("..", "."));
            let write = |writer: &mut Writer<'_>| {
                writer.record(apex.as_ref(), RecordType::SOA, CLASS_IN, 5, &rdata)?;
                writer.record(owner.as_ref(), RecordType::NSEC, CLASS_IN, 6, b"\x01a\0\0\x01\x40")?;
                Ok(2)
            };
            let prepared = Prepared::new(apex.as_ref(), write).unwrap();
            assert_eq!(prepared.records(), 2);
            let base = Header::SIZE + asked.as_wire().len() - apex.as_wire().len();
            for before in [0, 1] {
                let message = |ready: bool| {
                    let (mut out, mut compressor) = (vec![], Compressor::folding());
                    let mut writer = Writer::new(&mut out, &mut compressor, 512);
                    writer.question(asked.as_ref(), RecordType::A, CLASS_IN).unwrap();
                    (0..before).for_each(|_| {
                        writer.record(asked.as_ref(), RecordType::A, CLASS_IN, 1, &[0; 4]).unwrap();
                    });
                    match ready {
                        true => writer.prepared(&prepared, base).unwrap(),
                        false => drop(write(&mut writer).unwrap()),
                    }
                    writer.finish(Header { id: 0, flags: 0, counts: [1, before + 2, 0, 0] });
                    out
                };
                let (ready, written) = (message(true), message(false));
                let folded = |octets: &[u8]| format!("{:?}", read(octets)).to_ascii_lowercase();
                assert_eq!(folded(&ready), folded(&written), "{} {before}", asked.as_ref());
                assert_eq!(ready.len(), written.len(), "as short");
            }
        }
    }

    #[test]
    fn prepared_records_that_do_not_fit_leave_nothing() {
        let apex = n("example.");
        let write = |writer: &mut Writer<'_>| {
            writer.record(apex.as_ref(), RecordType::A, CLASS_IN, 5, &[0; 4]).map(|()| 1)
        };
        let prepared = Prepared::new(apex.as_ref(), write).unwrap();
        let (mut out, mut compressor) = (vec![], Compressor::folding());
        let mut writer = Writer::new(&mut out, &mut compressor, 12 + 9 + 2 * 16 - 1);
        writer.name(apex.as_ref()).unwrap();
        assert_eq!(writer.prepared(&prepared, FARTHEST - MAX_NAME + 1), Err(Full));
        assert_eq!(writer.prepared(&prepared, Header::SIZE), Ok(()));
        assert_eq!(writer.prepared(&prepared, Header::SIZE), Err(Full));
        assert_eq!(writer.len(), 12 + 9 + 16);
        let too_much = |writer: &mut Writer<'_>| writer.octets(&[0; FARTHEST]).map(|()| 0);
        assert!(Prepared::new(apex.as_ref(), too_much).is_none());
    }
}
