//! The messages of control that we send: probes, transfer requests, NOTIFY. Built with hickory-proto, which never
//! sees zone data.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::{SOA, opt::EdnsOption};
use hickory_proto::rr::{Name as ProtoName, RData, Record, RecordType as ProtoType};

use crate::edns::option;
use crate::{Name, RecordType, Serial, Soa};

/// Options of a request for a zone.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Random, unpredictable (RFC 5452 §9.2).
    pub id: u16,
    /// Send EDNS and ask for the zone's time to expiry (RFC 7314 §2).
    pub edns: bool,
}

/// The UDP payload size that we announce to primaries.
const PAYLOAD: u16 = 1232;
/// Requests are padded to a multiple of so many octets (RFC 8467 §4.1).
const BLOCK: usize = 128;

/// A SOA query: all flags clear (RFC 1034 §4.3.5).
pub fn soa_query(zone: &Name, request: Request) -> Vec<u8> {
    encode(&query(zone, ProtoType::SOA, request))
}

/// An AXFR request (RFC 5936 §2.1).
pub fn axfr_query(zone: &Name, request: Request) -> Vec<u8> {
    encode(&query(zone, ProtoType::AXFR, request))
}

/// Fills a request up to a whole number of blocks (RFC 8467 §4.1), counting the `behind` octets that its seal is to take.
/// One that does not end with an OPT record stays as it is.
pub fn pad(request: &mut Vec<u8>, behind: usize) {
    let last = crate::Message::new(request).ok().and_then(|message| message.records().ok()?.last()?.ok());
    let Some(opt) = last.filter(|last| last.rtype == RecordType::OPT && last.end == request.len()) else {
        return;
    };
    let bare = request.len() + 4 + behind;
    let padding = bare.next_multiple_of(BLOCK) - bare;
    // A request is short: all of these fit.
    request.extend_from_slice(&option::PADDING.to_be_bytes());
    request.extend_from_slice(&(padding as u16).to_be_bytes());
    request.resize(request.len() + padding, 0);
    let length = (request.len() - opt.rdata) as u16;
    request[opt.rdata - 2..opt.rdata].copy_from_slice(&length.to_be_bytes());
}

/// An IXFR request: our serial in a SOA of the authority section (RFC 1995 §3).
pub fn ixfr_query(zone: &Name, from: Serial, request: Request) -> Vec<u8> {
    let mut message = query(zone, ProtoType::IXFR, request);
    let soa = SOA::new(ProtoName::root(), ProtoName::root(), from.0, 0, 0, 0, 0);
    message.add_authority(Record::from_rdata(proto_name(zone), 0, RData::SOA(soa)));
    encode(&message)
}

/// A NOTIFY with the new SOA as hint (RFC 1996 §3.7).
pub fn notify(zone: &Name, soa: &Soa, ttl: u32, id: u16) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Notify);
    message.metadata.authoritative = true;
    message.add_query(Query::query(proto_name(zone), ProtoType::SOA));
    // RFC 2181 §8: a TTL has 31 bits; the timers are unsigned on the wire, signed in the library.
    let [refresh, retry, expire] = [soa.refresh, soa.retry, soa.expire].map(|seconds| seconds as i32);
    let (mname, rname) = (proto_name(&soa.mname), proto_name(&soa.rname));
    let data = SOA::new(mname, rname, soa.serial.0, refresh, retry, expire, soa.minimum);
    message.add_answer(Record::from_rdata(proto_name(zone), ttl, RData::SOA(data)));
    encode(&message)
}

fn query(zone: &Name, rtype: ProtoType, request: Request) -> Message {
    let mut message = Message::new(request.id, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(proto_name(zone), rtype));
    if request.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD);
        edns.options_mut().insert(EdnsOption::Unknown(option::EXPIRE, Vec::new()));
        message.set_edns(edns);
    }
    message
}

fn proto_name(name: &Name) -> ProtoName {
    let mut built =
        ProtoName::from_labels(name.as_ref().labels()).expect("the labels of a valid name make a valid name");
    built.set_fqdn(true);
    built
}

fn encode(message: &Message) -> Vec<u8> {
    message.to_vec().expect("a control message of a few short parts always fits")
}

/// The question type of a transfer request.
pub const fn transfer_type(incremental: bool) -> RecordType {
    if incremental { RecordType::IXFR } else { RecordType::AXFR }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CLASS_IN, Opcode, edns, flags};

    fn odd() -> Name {
        Name::parse("0/25.\\000A b\\.c.-x-.Example.").unwrap()
    }

    #[test]
    fn an_ixfr_request_carries_the_serial_and_every_odd_name() {
        let octets = ixfr_query(&odd(), Serial(7), Request { id: 9, edns: true });
        let message = crate::Message::new(&octets).unwrap();
        assert_eq!((message.header.id, message.header.flags), (9, 0));
        let question = message.question().unwrap().unwrap();
        assert_eq!((question.rtype, question.class), (RecordType::IXFR, CLASS_IN));
        assert_eq!(question.name.as_ref().as_wire(), odd().as_wire());
        let records: Vec<_> = message.records().unwrap().map(Result::unwrap).collect();
        assert_eq!(records.len(), 2);
        let mut rdata = vec![];
        crate::rdata::expand(RecordType::SOA, &octets, records[0].rdata, records[0].end, &mut rdata).unwrap();
        assert_eq!(Soa::serial_of(&rdata), Some(Serial(7)));
        let opt = &records[1];
        let opt = edns::Opt::new(opt.class, opt.ttl, &octets[opt.rdata..opt.end]).unwrap();
        assert_eq!(opt.option(edns::option::EXPIRE), Some(&[][..]));
    }

    #[test]
    fn a_padded_request_has_whole_blocks_with_its_seal() {
        for (behind, name) in
            [(0, "a."), (0, "long.name.example."), (85, "a."), (85, "long.name.example."), (128, "a.")]
        {
            let name = Name::parse(name).unwrap();
            for plain in [
                soa_query(&name, Request { id: 1, edns: true }),
                ixfr_query(&name, Serial(7), Request { id: 1, edns: true }),
            ] {
                let mut padded = plain.clone();
                pad(&mut padded, behind);
                assert_eq!((padded.len() + behind) % 128, 0, "{name} {behind}");
                let message = crate::Message::new(&padded).unwrap();
                let opt = message.records().unwrap().last().unwrap().unwrap();
                assert_eq!(opt.end, padded.len());
                let read = edns::Opt::new(opt.class, opt.ttl, &padded[opt.rdata..opt.end]).unwrap();
                assert!(read.option(option::EXPIRE).is_some());
                assert!(read.option(option::PADDING).unwrap().iter().all(|&octet| octet == 0));
            }
            let mut without = soa_query(&name, Request { id: 1, edns: false });
            let before = without.clone();
            pad(&mut without, behind);
            assert_eq!(without, before);
        }
    }

    #[test]
    fn the_longest_name_can_be_asked_for() {
        let label = "y".repeat(63);
        let name = Name::parse(&format!("{label}.{label}.{label}.{}.", "z".repeat(61))).unwrap();
        let octets = soa_query(&name, Request { id: 1, edns: false });
        assert_eq!(
            crate::Message::new(&octets).unwrap().question().unwrap().unwrap().name.as_ref(),
            name.as_ref()
        );
        let root = axfr_query(&Name::root(), Request { id: 1, edns: false });
        assert_eq!(&root[12..], [0, 0, 252, 0, 1]);
    }

    #[test]
    fn a_notify_is_authoritative_and_hints_at_the_serial() {
        let soa = Soa {
            mname: odd(),
            rname: odd(),
            serial: Serial(u32::MAX),
            refresh: u32::MAX,
            retry: 2,
            expire: 3,
            minimum: 4,
        };
        let octets = notify(&odd(), &soa, 60, 3);
        let message = crate::Message::new(&octets).unwrap();
        assert_eq!(message.header.opcode(), Opcode::NOTIFY);
        assert!(message.header.has(flags::AA) && !message.header.has(flags::QR));
        let record = message.records().unwrap().next().unwrap().unwrap();
        let mut rdata = vec![];
        crate::rdata::expand(RecordType::SOA, &octets, record.rdata, record.end, &mut rdata).unwrap();
        assert_eq!(Soa::from_rdata(&rdata).unwrap(), soa);
    }
}
