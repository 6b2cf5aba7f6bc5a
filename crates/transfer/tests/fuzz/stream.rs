//! Any octets as a primary's answer: never a panic, and a version only of a stream that is whole.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use secondo_transfer::{Arrived, Candidate, Policy, Probe, Request, Session, Step, Transport, Want, check};
use secondo_wire::{Message, NameBuf, RecordType, Section, Soa, flags, rdata, read_name};
use secondo_zone::{Limits, Zone};

use crate::testing::{ID, NOW, content, key, name, sealed, secret};

/// Owner in lower case, type, RDATA in canonical form.
type Record = (Vec<u8>, RecordType, Vec<u8>);

fn request(want: Want, current: Option<&Zone>, signed: bool, forced: bool) -> (Session, Vec<u8>) {
    Session::new(Request {
        zone: &name("example."),
        want,
        current,
        secret: &secret(),
        limits: Limits { max_records: 2000, ..Limits::default() },
        key: signed.then(key).as_ref(),
        id: ID,
        edns: true,
        unix_now: NOW,
        forced,
    })
}

/// The version from which the recorded differences lead on.
fn base() -> &'static Zone {
    static BASE: OnceLock<Zone> = OnceLock::new();
    BASE.get_or_init(|| {
        let (mut session, _) = request(Want::Axfr, None, false, false);
        let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        for line in include_str!("../vectors/nsd-axfr-1.hex").lines().filter(|line| !line.starts_with('#')) {
            let message: Vec<u8> = line.as_bytes().chunks(2).map(octet).collect();
            if let Step::Done(Arrived::Candidate(candidate)) = session.receive(&message, NOW).unwrap() {
                return candidate.zone().clone();
            }
        }
        panic!("the recorded transfer is whole");
    })
}

/// Messages as TCP frames them: two octets of length before each.
fn framed(mut octets: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while let Some((length, rest)) = octets.split_first_chunk() {
        let (message, rest) = rest.split_at(rest.len().min(usize::from(u16::from_be_bytes(*length))));
        messages.push(message.to_vec());
        octets = rest;
    }
    messages
}

fn canonical(owner: &[u8], rtype: RecordType, octets: &[u8]) -> Record {
    let mut data = Vec::new();
    rdata::canonical(rtype, octets, &mut data);
    (owner.to_ascii_lowercase(), rtype, data)
}

/// The records of the answer sections, read without the room's own reader of transfers.
fn answers(messages: &[Vec<u8>]) -> Vec<Record> {
    let mut all = Vec::new();
    for octets in messages {
        let message = Message::new(octets).unwrap();
        for record in message.records().unwrap().map(Result::unwrap) {
            if record.section == Section::Answer {
                let (mut owner, mut data) = (NameBuf::new(), Vec::new());
                read_name(octets, record.owner, &mut owner).unwrap();
                rdata::expand(record.rtype, octets, record.rdata, record.end, &mut data).unwrap();
                all.push(canonical(owner.as_ref().as_wire(), record.rtype, &data));
            }
        }
    }
    all
}

/// A stream, of which the first octet says in which conversation it comes.
pub fn judge(input: &[u8]) {
    let Some((&octet, stream)) = input.split_first() else { return };
    let bit = |n: u8| octet >> n & 1 == 1;
    let want = if bit(0) { Want::Ixfr } else { Want::Axfr };
    let current = bit(1).then(base);
    let (mut session, asked) = request(want, current, bit(2), bit(3));
    let mut messages = framed(stream);
    messages.retain(|message| message.len() >= 12 && message[11] < u8::MAX);
    if bit(4) {
        for message in &mut messages {
            message[..2].copy_from_slice(&ID.to_be_bytes());
            message[2] |= (flags::QR >> 8) as u8;
        }
    }
    let signed = bit(2) && bit(5);
    if signed {
        messages = sealed(&asked, &messages, |at| !bit(6) || at % 2 == 0);
    }
    if let Some(message) = messages.first() {
        let over = if bit(7) { Transport::Udp } else { Transport::Tcp };
        let (mut probe, _) = Probe::new(&name("example."), ID, bit(2).then(key).as_ref(), true, NOW);
        probe.receive(message, over, NOW);
    }
    for (at, message) in messages.iter().enumerate() {
        match session.receive(message, NOW) {
            Ok(Step::More) => {}
            Ok(Step::Done(Arrived::Candidate(candidate))) => {
                assert!(!bit(2) || signed, "a version that nobody sealed");
                whole(candidate, current, &answers(&messages[..=at]));
                return;
            }
            Ok(Step::Done(Arrived::UpToDate { soa, .. })) => {
                assert!(current.is_some_and(|zone| zone.serial() == soa.serial));
                return;
            }
            Err(_) => return,
        }
    }
    session.cut();
}

/// RFC 5936 §2.2, RFC 1995 §4: it begins and ends with the SOA of the new version, and nothing is in that which neither came
/// nor was there.
fn whole(candidate: Candidate, current: Option<&Zone>, heard: &[Record]) {
    let zone = candidate.zone();
    let serial = |record: &Record| match record.1 {
        RecordType::SOA => Soa::from_rdata(&record.2).map(|soa| soa.serial),
        _ => None,
    };
    assert!(heard.len() > 1);
    for end in [heard.first(), heard.last()] {
        assert_eq!(end.and_then(serial), Some(zone.serial()));
    }
    let records = |zone: &Zone| -> BTreeSet<Record> {
        content(zone).iter().map(|rr| canonical(rr.owner.as_wire(), rr.rtype, &rr.rdata)).collect()
    };
    let mut known: BTreeSet<Record> = heard.iter().cloned().collect();
    known.extend(current.map(records).unwrap_or_default());
    assert!(records(zone).is_subset(&known), "records from nowhere");
    if let (Some(difference), Some(current)) = (candidate.difference(), current) {
        assert_eq!(content(&difference.apply(current).unwrap()), content(zone));
    }
    let _ = check(candidate, current, &Policy::default());
}
