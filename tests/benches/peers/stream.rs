//! A full transfer, written once: sending it costs the primary little more than the socket does.

use std::io::{self, Write};

use crate::message::{A, AXFR, Message, SOA};
use crate::zone::{self, HEAD, Rule, SERIAL_FROM_END, TAIL};

/// What goes to the socket at a time, roughly.
const BATCH: usize = 256 << 10;

/// All messages of a full transfer, with ID and serials still to be put in.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Message after message, each with its length before it.
    frames: Vec<u8>,
    /// Where the serials belong, in order.
    places: Vec<Place>,
    records: u64,
}

/// A place for the low octets of the serial.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: usize,
    octets: usize,
}

impl Stream {
    /// Makes the zone; no message is longer than `limit` octets.
    pub(crate) fn make(rule: Rule, limit: usize) -> Self {
        let mut writer = Writer {
            // More than enough: pages that are never written to cost nothing.
            stream: Self {
                frames: Vec::with_capacity(rule.names as usize * 64 + 4096),
                places: Vec::new(),
                records: 0,
            },
            message: Message::response(0, AXFR),
            limit,
        };
        let soa = zone::soa(0);
        writer.put_place("", SOA, &soa, SERIAL_FROM_END, 4);
        for (label, rtype, rdata) in HEAD {
            writer.put(label, rtype, rdata);
        }
        for number in rule.hosts() {
            let host = zone::host(number);
            zone::host_records(number, |rtype, rdata| writer.put(&host, rtype, rdata));
            if let Some(mark) = rule.mark_behind(number) {
                writer.put_place(&rule.mark(mark), A, &zone::mark_address(0), 3, 3);
            }
        }
        for (label, rtype, rdata) in TAIL {
            writer.put(label, rtype, rdata);
        }
        writer.put_place("", SOA, &soa, SERIAL_FROM_END, 4);
        writer.flush();
        writer.stream
    }

    /// The records of the zone: the SOA, which is sent twice, once.
    pub(crate) fn records(&self) -> u64 {
        self.records - 1
    }

    /// The zone's wire size: what a full transfer sends, in octets.
    pub(crate) fn octets(&self) -> usize {
        self.frames.len()
    }

    /// Sends one version as the response to an AXFR or IXFR.
    pub(crate) fn send(&self, id: u16, qtype: u16, serial: u32, to: &mut impl Write) -> io::Result<()> {
        let serial = serial.to_be_bytes();
        let qtype_place = Message::qtype_place();
        let mut places = self.places.iter().peekable();
        let mut batch = Vec::with_capacity(BATCH + (64 << 10));
        let mut at = 0;
        while let Some(length) = self.frames.get(at..).and_then(<[u8]>::first_chunk) {
            let end = at + 2 + usize::from(u16::from_be_bytes(*length));
            let from = batch.len();
            batch.extend_from_slice(&self.frames[at..end]);
            let frame = &mut batch[from..];
            frame[2..4].copy_from_slice(&id.to_be_bytes());
            frame[2 + qtype_place] = qtype.to_be_bytes()[1];
            while let Some(place) = places.next_if(|place| place.at < end) {
                let start = place.at - at;
                frame[start..start + place.octets].copy_from_slice(&serial[4 - place.octets..]);
            }
            at = end;
            if batch.len() >= BATCH {
                to.write_all(&batch)?;
                batch.clear();
            }
        }
        to.write_all(&batch)
    }
}

struct Writer {
    stream: Stream,
    message: Message,
    limit: usize,
}

impl Writer {
    fn put(&mut self, label: &str, rtype: u16, rdata: &[u8]) {
        if self.message.length_with(label, rdata) > self.limit || self.message.records() == u16::MAX {
            self.flush();
        }
        self.message.put(label, rtype, rdata);
        self.stream.records += 1;
    }

    /// Puts a record in whose RDATA has room for the serial, `from_end` octets before its end.
    fn put_place(&mut self, label: &str, rtype: u16, rdata: &[u8], from_end: usize, octets: usize) {
        self.put(label, rtype, rdata);
        let at = self.stream.frames.len() + 2 + self.message.octets().len() - from_end;
        self.stream.places.push(Place { at, octets });
    }

    fn flush(&mut self) {
        self.message.frame(&mut self.stream.frames);
        self.message.clear();
    }
}
