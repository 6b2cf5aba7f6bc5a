//! For tests: records, messages and zones in few words. Knows nothing of the crate it tests.

use secondo_tsig::{self as tsig, Algorithm, Key, KeyRing, Seal};
use secondo_wire::{CLASS_IN, Compressor, Header, Name, RecordType, Serial, Soa, Writer, flags};
use secondo_zone::{BorderSecret, Builder, Limits, Zone};

/// The message ID of all tests.
pub(crate) const ID: u16 = 0x1A2B;
/// The time of all tests, seconds since 1970.
pub(crate) const NOW: u64 = 1_800_000_000;
/// Flags of an ordinary answer.
pub(crate) const ANSWER: u16 = flags::QR | flags::AA;

/// A record on its way into a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rr {
    pub(crate) owner: Name,
    pub(crate) rtype: RecordType,
    pub(crate) class: u16,
    pub(crate) ttl: u32,
    pub(crate) rdata: Vec<u8>,
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(crate) fn rr(owner: &str, rtype: RecordType, rdata: &[u8]) -> Rr {
    Rr { owner: name(owner), rtype, class: CLASS_IN, ttl: 300, rdata: rdata.into() }
}

pub(crate) fn a(owner: &str, last: u8) -> Rr {
    rr(owner, RecordType::A, &[192, 0, 2, last])
}

pub(crate) fn ns(owner: &str, target: &str) -> Rr {
    rr(owner, RecordType::NS, name(target).as_wire())
}

pub(crate) fn soa(serial: u32) -> Rr {
    let soa = Soa {
        mname: name("ns.example."),
        rname: name("hostmaster.example."),
        serial: Serial(serial),
        refresh: 3600,
        retry: 600,
        expire: 86_400,
        minimum: 60,
    };
    rr("example.", RecordType::SOA, &soa.to_rdata())
}

/// `example.` in a version with its NS and some more.
pub(crate) fn zone(serial: u32, more: &[Rr]) -> Zone {
    build(&[&[soa(serial), ns("example.", "ns.example."), a("ns.example.", 1)], more].concat())
}

pub(crate) fn build(rrs: &[Rr]) -> Zone {
    let mut builder = Builder::new(name("example."), &secret(), Limits::default());
    for rr in rrs {
        builder.push(rr.owner.as_ref(), rr.rtype, rr.ttl, &rr.rdata).unwrap();
    }
    builder.finish().unwrap().zone
}

pub(crate) fn secret() -> BorderSecret {
    BorderSecret::new([7; 16])
}

/// All records of a zone, the SOA first, in canonical order: two zones are equal when these are.
pub(crate) fn content(zone: &Zone) -> Vec<Rr> {
    let mut all = Vec::new();
    let mut owner = secondo_wire::NameBuf::new();
    for node in zone.nodes() {
        node.name_into(&mut owner);
        for set in node.rrsets() {
            for rdata in set.rdatas() {
                let owner = owner.as_ref().to_owned();
                all.push(Rr {
                    owner,
                    rtype: set.rtype(),
                    class: CLASS_IN,
                    ttl: set.ttl(),
                    rdata: rdata.into(),
                });
            }
        }
    }
    all.sort_by_key(|rr| rr.rtype != RecordType::SOA);
    all
}

/// A message with these answers; the question too, when its type is given.
pub(crate) fn message(flags: u16, question: Option<RecordType>, answers: &[Rr]) -> Vec<u8> {
    let (mut out, mut compressor) = (Vec::new(), Compressor::exact());
    let mut writer = Writer::new(&mut out, &mut compressor, 65_535);
    if let Some(rtype) = question {
        writer.question(name("example.").as_ref(), rtype, CLASS_IN).unwrap();
    }
    for rr in answers {
        writer.record(rr.owner.as_ref(), rr.rtype, rr.class, rr.ttl, &rr.rdata).unwrap();
    }
    let counts = [question.is_some().into(), answers.len() as u16, 0, 0];
    writer.finish(Header { id: ID, flags, counts });
    out
}

/// Appends an OPT record with these options (already in wire form) and this extended code.
pub(crate) fn with_opt(mut message: Vec<u8>, extended_rcode: u8, options: &[u8]) -> Vec<u8> {
    message.extend_from_slice(&[0, 0, 41, 4, 208, extended_rcode, 0, 0, 0]);
    message.extend_from_slice(&(options.len() as u16).to_be_bytes());
    message.extend_from_slice(options);
    message[11] += 1;
    message
}

/// An EXPIRE option (RFC 7314 §2).
pub(crate) fn expire(seconds: u32) -> Vec<u8> {
    [&[0, 9, 0, 4][..], &seconds.to_be_bytes()].concat()
}

/// A stream of messages of so many records each, or as many as fit; the question in the first.
pub(crate) fn stream(question: RecordType, rrs: &[Rr], per_message: usize) -> Vec<Vec<u8>> {
    let mut chunks: Vec<Vec<Rr>> = Vec::new();
    let (mut count, mut size) = (per_message, 0);
    for rr in rrs {
        let octets = rr.owner.as_wire().len() + 10 + rr.rdata.len();
        if count == per_message || size + octets > 60_000 {
            chunks.push(Vec::new());
            (count, size) = (0, 0);
        }
        (count, size) = (count + 1, size + octets);
        chunks.last_mut().unwrap().push(rr.clone());
    }
    let questions = std::iter::once(Some(question)).chain(std::iter::repeat(None));
    questions.zip(&chunks).map(|(question, chunk)| message(ANSWER, question, chunk)).collect()
}

/// The records of an AXFR: the SOA again at the end.
pub(crate) fn axfr(zone: &Zone) -> Vec<Rr> {
    let mut all = content(zone);
    all.push(all[0].clone());
    all
}

/// The records of an IXFR that leads through these versions, the first of which the client has.
pub(crate) fn ixfr(versions: &[Zone]) -> Vec<Rr> {
    let newest = content(versions.last().unwrap()).remove(0);
    let mut all = vec![newest.clone()];
    for pair in versions.windows(2) {
        let (old, new) = (content(&pair[0]), content(&pair[1]));
        all.push(old[0].clone());
        all.extend(old[1..].iter().filter(|rr| !new.contains(rr)).cloned());
        all.push(new[0].clone());
        all.extend(new[1..].iter().filter(|rr| !old.contains(rr)).cloned());
    }
    all.push(newest);
    all
}

/// A key that both ends know.
pub(crate) fn key() -> Key {
    Key::new(name("transfer-key."), Algorithm::HmacSha256, &[5; 32]).unwrap()
}

/// The primary's end of a sealed conversation.
pub(crate) fn seal(request: &[u8]) -> Seal {
    tsig::verify_request(request, &KeyRing::new([key()]), NOW).unwrap().unwrap()
}

/// Seals each message whose index `signed` admits; the others are covered by the next that is (RFC 8945 §5.3.1).
pub(crate) fn sealed(request: &[u8], messages: &[Vec<u8>], signed: impl Fn(usize) -> bool) -> Vec<Vec<u8>> {
    let (mut seal, mut run) = (seal(request), Vec::new());
    let mut out = Vec::new();
    for (i, message) in messages.iter().enumerate() {
        run.extend_from_slice(message);
        let mut message = message.clone();
        if signed(i) {
            // The digest runs over the unsigned messages before and this one; its record then belongs to this one.
            let plain = run.len();
            seal.sign(&mut run, 0, NOW);
            message.extend_from_slice(&run[plain..]);
            message[11] += 1;
            run.clear();
        }
        out.push(message);
    }
    out
}
