//! Messages as a primary writes them: header, question, records with their names compressed.

use interop::types::wire_name;

use crate::zone::APEX;

pub(crate) const A: u16 = 1;
pub(crate) const NS: u16 = 2;
pub(crate) const SOA: u16 = 6;
pub(crate) const MX: u16 = 15;
pub(crate) const TXT: u16 = 16;
pub(crate) const AAAA: u16 = 28;
pub(crate) const IXFR: u16 = 251;
pub(crate) const AXFR: u16 = 252;

const HEADER: usize = 12;
/// A pointer to the name in the question (RFC 1035 §4.1.4).
const APEX_POINTER: [u8; 2] = [0xC0, 12];
/// What a pointer reaches.
const REACH: usize = 0x4000;

/// A response that is being written.
#[derive(Debug)]
pub(crate) struct Message {
    octets: Vec<u8>,
    question_end: usize,
    records: u16,
    /// The owner of the record before, which the next may point to, and where it stands.
    owner: (String, usize),
}

impl Message {
    /// A response without records.
    pub(crate) fn response(id: u16, qtype: u16) -> Self {
        let mut octets = id.to_be_bytes().to_vec();
        // RFC 1035 §4.1.1: QR and AA; one question.
        octets.extend([0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        octets.extend(wire_name(APEX));
        octets.extend(qtype.to_be_bytes());
        octets.extend([0, 1]);
        let question_end = octets.len();
        Self { octets, question_end, records: 0, owner: (String::new(), HEADER) }
    }

    /// Where the last octet of the QTYPE stands in every response.
    pub(crate) fn qtype_place() -> usize {
        HEADER + wire_name(APEX).len() + 1
    }

    /// Begins anew, with the same ID and question.
    pub(crate) fn clear(&mut self) {
        self.octets.truncate(self.question_end);
        self.records = 0;
        self.owner = (String::new(), HEADER);
    }

    /// Adds a record of class IN. `label` is the owner's name without the zone's, empty for the apex.
    pub(crate) fn put(&mut self, label: &str, rtype: u16, rdata: &[u8]) {
        let (last, place) = &self.owner;
        if label.is_empty() {
            self.octets.extend(APEX_POINTER);
        } else if label == last {
            let pointer = u16::try_from(*place).expect("only places within reach are kept") | 0xC000;
            self.octets.extend(pointer.to_be_bytes());
        } else {
            if self.octets.len() < REACH {
                self.owner = (label.to_owned(), self.octets.len());
            }
            self.octets.push(u8::try_from(label.len()).expect("labels have at most 63 octets"));
            self.octets.extend(label.as_bytes());
            self.octets.extend(APEX_POINTER);
        }
        self.octets.extend(rtype.to_be_bytes());
        self.octets.extend([0, 1, 0, 0, 0x0E, 0x10]);
        self.octets.extend(u16::try_from(rdata.len()).expect("RDATA is short").to_be_bytes());
        self.octets.extend(rdata);
        self.records += 1;
        let count = self.records.to_be_bytes();
        self.octets[6..8].copy_from_slice(&count);
    }

    /// How many records it has.
    pub(crate) fn records(&self) -> u16 {
        self.records
    }

    /// How long it would be at most with one more such record.
    pub(crate) fn length_with(&self, label: &str, rdata: &[u8]) -> usize {
        self.octets.len() + label.len() + rdata.len() + 13
    }

    /// The message.
    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Appends it to a stream, with its length before it (RFC 1035 §4.2.2).
    pub(crate) fn frame(&self, stream: &mut Vec<u8>) {
        let length = u16::try_from(self.octets.len()).expect("kept below the limit");
        stream.extend(length.to_be_bytes());
        stream.extend(&self.octets);
    }
}

/// What a primary reads of a message that it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) id: u16,
    pub(crate) response: bool,
    pub(crate) opcode: u8,
    pub(crate) qtype: u16,
    /// RFC 1995 §3: the serial of the version that an IXFR starts from.
    pub(crate) from: Option<u32>,
}

impl Request {
    /// Reads a message about the zone; `None` when it is about something else or broken.
    pub(crate) fn read(octets: &[u8]) -> Option<Self> {
        let header: &[u8; HEADER] = octets.first_chunk()?;
        let apex = wire_name(APEX);
        let name = octets.get(HEADER..HEADER + apex.len())?;
        if !name.eq_ignore_ascii_case(&apex) {
            return None;
        }
        let rest = octets.get(HEADER + apex.len()..)?;
        let (qtype, rest) = rest.split_first_chunk()?;
        let qtype = u16::from_be_bytes(*qtype);
        let authority = rest.get(2..)?;
        Some(Self {
            id: u16::from_be_bytes([header[0], header[1]]),
            response: header[2] & 0x80 != 0,
            opcode: (header[2] >> 3) & 15,
            qtype,
            from: if qtype == IXFR { serial_of_soa(authority) } else { None },
        })
    }
}

/// The serial of the SOA that a piece of a message begins with.
fn serial_of_soa(record: &[u8]) -> Option<u32> {
    let record = record.get(name_length(record)?..)?;
    let length = u16::from_be_bytes([*record.get(8)?, *record.get(9)?]).into();
    let rdata = record.get(10..)?.get(..length)?;
    // Five numbers of 32 bits end it, the serial first (RFC 1035 §3.3.13).
    rdata.last_chunk::<20>()?.first_chunk().copied().map(u32::from_be_bytes)
}

/// How many octets a name takes where it stands.
fn name_length(octets: &[u8]) -> Option<usize> {
    let mut length = 0;
    loop {
        match *octets.get(length)? {
            0 => return Some(length + 1),
            0xC0.. => return Some(length + 2),
            label => length += 1 + usize::from(label),
        }
    }
}

/// The RDATA of the first A record in the answer section of a response, if it has RCODE 0.
pub(crate) fn first_address(response: &[u8]) -> Option<[u8; 4]> {
    let header: &[u8; HEADER] = response.first_chunk()?;
    if header[3] & 15 != 0 {
        return None;
    }
    let mut rest = response.get(HEADER..)?;
    rest = rest.get(name_length(rest)? + 4..)?;
    for _ in 0..u16::from_be_bytes([header[6], header[7]]) {
        rest = rest.get(name_length(rest)?..)?;
        let length = usize::from(u16::from_be_bytes([*rest.get(8)?, *rest.get(9)?]));
        let rdata = rest.get(10..10 + length)?;
        if rest.starts_with(&A.to_be_bytes()) {
            return rdata.try_into().ok();
        }
        rest = rest.get(10 + length..)?;
    }
    None
}
