//! A reply and what must hold of every one, whatever was asked.

use std::collections::{BTreeMap, BTreeSet};

use secondo_answer::bounds::{ADDITIONAL_NAMES, CHAIN_LENGTH};
use secondo_answer::{Outcome, Transport};
use secondo_wire::edns::{DO, OPT_SIZE, Opt, option};
use secondo_wire::{
    CLASS_IN, Header, Message, NameBuf, NameRef, Opcode, Rcode, Record, RecordType, Section, flags, rdata,
    read_name,
};

/// Octets that a COOKIE option of a reply takes (RFC 9018 §4).
const COOKIE_SIZE: usize = 4 + 24;

/// What is one record beside others: owner in lower case, type, class, RDATA without compression.
pub type Key = (Vec<u8>, RecordType, u16, Vec<u8>);

/// What makes records one RRset: section, owner, type and, of a signature, the type that it covers.
pub type Group = (u8, Vec<u8>, RecordType, Vec<u8>);

/// A reply, read.
#[derive(Debug)]
pub struct Seen {
    pub octets: Vec<u8>,
    pub header: Header,
    pub rcode: Rcode,
    /// Octets of the question.
    pub question: Vec<u8>,
    /// All records but OPT and TSIG, with section and TTL.
    pub records: Vec<(Section, Key, u32)>,
    /// Options of the OPT record.
    pub options: Option<Vec<(u16, Vec<u8>)>>,
    /// Octets of the TSIG record.
    pub tsig: usize,
}

fn record_key(octets: &[u8], record: &Record) -> Key {
    let mut owner = NameBuf::new();
    read_name(octets, record.owner, &mut owner).unwrap();
    let mut data = Vec::new();
    rdata::expand(record.rtype, octets, record.rdata, record.end, &mut data).unwrap();
    (owner.as_ref().as_wire().to_ascii_lowercase(), record.rtype, record.class, data)
}

impl Seen {
    /// Reads a reply that ends with its last record.
    pub fn read(octets: Vec<u8>) -> Seen {
        let message = Message::new(&octets).unwrap();
        let header = message.header;
        let start = message.records_start().unwrap();
        let (mut rcode, mut options, mut tsig) = (header.rcode(), None, 0);
        let mut found = Vec::new();
        let mut records = message.records().unwrap();
        for record in records.by_ref().map(Result::unwrap) {
            match record.rtype {
                RecordType::OPT => {
                    assert_eq!((record.section, octets[record.owner]), (Section::Additional, 0));
                    let opt = Opt::new(record.class, record.ttl, &octets[record.rdata..record.end]).unwrap();
                    assert!(opt.version == 0 && opt.flags & !DO == 0);
                    rcode.0 |= u16::from(opt.extended_rcode) << 4;
                    let all = opt.options().map(|(code, value)| (code, value.to_vec())).collect();
                    assert!(options.replace(all).is_none(), "two OPT records");
                }
                RecordType::TSIG => {
                    assert_eq!(record.end, octets.len(), "TSIG is the last record (RFC 8945 §5.1)");
                    tsig = record.end - record.owner;
                }
                _ => found.push((record.section, record_key(&octets, &record), record.ttl)),
            }
        }
        records.finish().unwrap();
        assert_eq!(records.position(), octets.len(), "octets behind the last record");
        let question = octets[Header::SIZE..start].to_vec();
        Seen { header, rcode, question, records: found, options, tsig, octets }
    }

    pub fn has(&self, flag: u16) -> bool {
        self.header.has(flag)
    }

    pub fn option(&self, code: u16) -> Option<&[u8]> {
        let found = self.options.as_ref()?.iter().find(|option| option.0 == code);
        found.map(|option| &option.1[..])
    }

    /// The records of a section, without TTL.
    pub fn of(&self, section: Section) -> BTreeSet<&Key> {
        self.records.iter().filter(|record| record.0 == section).map(|record| &record.1).collect()
    }

    /// The RRsets.
    pub fn groups(&self) -> BTreeMap<Group, BTreeSet<(&Key, u32)>> {
        let mut groups: BTreeMap<Group, BTreeSet<_>> = BTreeMap::new();
        for (section, key, ttl) in &self.records {
            let covered = match key.1 {
                RecordType::RRSIG => key.3.get(..2).unwrap_or_default().to_vec(),
                _ => Vec::new(),
            };
            groups.entry((*section as u8, key.0.clone(), key.1, covered)).or_default().insert((key, *ttl));
        }
        groups
    }

    fn count(&self, section: Section, types: &[RecordType]) -> usize {
        self.of(section).iter().filter(|key| types.contains(&key.1)).count()
    }
}

/// A request as far as a reply depends on it, read without the room's own reader of requests.
pub struct Request<'r> {
    pub header: Header,
    /// Name, type and class, when there is one question that can be read.
    pub question: Option<(NameRef<'r>, RecordType, &'r [u8])>,
    /// Every OPT record met on the way.
    pub opts: Vec<Opt<'r>>,
}

impl<'r> Request<'r> {
    /// `None`: too short to be one, or a response.
    pub fn read(octets: &'r [u8]) -> Option<Request<'r>> {
        let header = Header::read(octets).filter(|header| !header.has(flags::QR))?;
        let question = (header.counts[0] == 1).then(|| question(octets)).flatten();
        let start = Header::SIZE + question.map_or(0, |question| question.2.len());
        let message = Message::new(octets).ok()?;
        let opts = message.records_from(start).map_while(Result::ok).filter_map(|record| {
            let rdata = octets.get(record.rdata..record.end)?;
            let later = || Opt::new(record.class, record.ttl, &[]).filter(|opt| opt.version > 0);
            let read = || Opt::new(record.class, record.ttl, rdata).or_else(later);
            (record.rtype == RecordType::OPT).then(read)?
        });
        Some(Request { header, question, opts: opts.collect() })
    }

    pub fn qtype(&self) -> Option<RecordType> {
        self.question.map(|question| question.1)
    }

    pub fn asks(&self, code: u16) -> bool {
        self.opts.iter().any(|opt| opt.option(code).is_some())
    }

    /// Octets that a datagram in reply may have; `largest` is our own bound.
    pub fn room(&self, largest: u16) -> usize {
        let asked = self.opts.iter().map(|opt| opt.payload).max();
        asked.map_or(512, |payload| usize::from(payload.min(largest)).max(512))
    }
}

fn question(octets: &[u8]) -> Option<(NameRef<'_>, RecordType, &[u8])> {
    let rest = octets.get(Header::SIZE..)?;
    let (name, _) = NameRef::split_from(rest)?;
    let whole = rest.get(..name.as_wire().len() + 4)?;
    let [high, low, _, _] = whole.last_chunk()?;
    Some((name, RecordType(u16::from_be_bytes([*high, *low])), whole))
}

/// Somebody else can read it too. They refuse RDATA that some types allow and a primary may send, such as none at all, so
/// this is not asked of every zone.
pub fn is_read_by_others(octets: &[u8]) {
    hickory_proto::op::Message::from_vec(octets).unwrap_or_else(|error| panic!("{error}: {octets:?}"));
}

/// What must hold of an outcome whatever is asked of whatever zones; the reply, if there is one.
pub fn sound(
    request: &[u8],
    transport: Transport,
    largest: u16,
    outcome: &Outcome,
    out: Vec<u8>,
) -> Option<Seen> {
    let Some(request) = Request::read(request) else {
        // A response is never answered, nor what is too short to be anything.
        assert!(matches!(outcome, Outcome::Silence) && out.is_empty());
        return None;
    };
    match outcome {
        Outcome::Silence => {
            assert!(out.is_empty());
            return None;
        }
        Outcome::Transfer(transfer) => {
            assert!(out.is_empty() && transport != Transport::Udp && transfer.id == request.header.id);
            assert!(matches!(transfer.rtype, RecordType::AXFR | RecordType::IXFR));
            return None;
        }
        Outcome::Notify { .. } => assert_eq!(request.header.opcode(), Opcode::NOTIFY),
        Outcome::Reply => {}
    }
    let seen = Seen::read(out);
    header(&request, &seen);
    size(&request, transport, largest, &seen);
    options(&request, transport, &seen);
    records(&request, &seen);
    Some(seen)
}

fn header(request: &Request<'_>, seen: &Seen) {
    let (theirs, ours) = (request.header, seen.header);
    assert_eq!((ours.id, ours.opcode()), (theirs.id, theirs.opcode()));
    assert!(ours.has(flags::QR));
    // RFC 4035 §3.1.6: CD and AD are clear; so are RA and Z.
    assert_eq!(ours.flags & 0x00F0, 0);
    let copied = theirs.opcode() != Opcode::NOTIFY && theirs.has(flags::RD);
    assert_eq!(ours.has(flags::RD), copied, "RFC 1035 §4.1.1, RFC 1996 §3.4");
    // The question comes back octet for octet, where there was one that could be read, of an opcode that is known.
    let known = matches!(theirs.opcode(), Opcode::QUERY | Opcode::NOTIFY);
    match request.question.filter(|_| known) {
        Some((_, _, octets)) => assert_eq!((&seen.question[..], ours.counts[0]), (octets, 1)),
        None => assert_eq!((seen.question.len(), ours.counts[0]), (0, 0)),
    }
    if !known {
        // A seal is judged before what it covers (RFC 8945 §5.2).
        assert!(matches!(seen.rcode, Rcode::NOTIMP | Rcode::FORMERR | Rcode::NOTAUTH | Rcode::BADVERS));
    }
    // RFC 6891 §6.1.3: of a later version of EDNS nothing is answered; nor is one that we know called unknown.
    match request.opts[..] {
        [opt] if opt.version > 0 => {
            let unreadable = matches!(seen.rcode, Rcode::FORMERR | Rcode::NOTAUTH);
            assert!(seen.rcode == Rcode::BADVERS || unreadable || !known && seen.rcode == Rcode::NOTIMP);
        }
        _ => assert_ne!(seen.rcode, Rcode::BADVERS),
    }
}

fn size(request: &Request<'_>, transport: Transport, largest: u16, seen: &Seen) {
    let least = Header::SIZE + seen.question.len() + OPT_SIZE + COOKIE_SIZE + seen.tsig;
    let room = match transport {
        Transport::Udp => request.room(largest),
        Transport::Tcp | Transport::Tls => 65_535,
    };
    // What repeats the request and says no more may be as large as that is.
    let limit = if seen.records.is_empty() { room.max(least) } else { room };
    assert!(seen.octets.len() <= limit, "{} octets for {limit}", seen.octets.len());
    if seen.has(flags::TC) {
        assert_eq!(transport, Transport::Udp, "TC over TCP");
    }
}

fn options(request: &Request<'_>, transport: Transport, seen: &Seen) {
    let Some(options) = &seen.options else {
        // RFC 6891 §6.1.1: EDNS is answered by EDNS, unless nothing could be made of it.
        let broken = matches!(seen.rcode, Rcode::FORMERR | Rcode::NOTIMP);
        assert!(request.opts.is_empty() || broken || seen.tsig > 0, "no OPT record in the reply");
        return;
    };
    assert!(!request.opts.is_empty(), "RFC 6891 §7: no OPT record for who sent none");
    let codes: BTreeSet<u16> = options.iter().map(|option| option.0).collect();
    assert_eq!(codes.len(), options.len(), "an option twice");
    for (code, value) in options {
        let length = match *code {
            option::EDE => value.len().max(2),
            option::NSID => value.len(),
            option::COOKIE => 24,
            option::EXPIRE => 4,
            option::KEEPALIVE => 2,
            option::ZONEVERSION => 6,
            // RFC 8467 §4.1: whole blocks, the seal included.
            option::PADDING => {
                let size = seen.octets.len();
                assert!(transport == Transport::Tls && (size.is_multiple_of(468) || size > 65_000), "{size}");
                value.len()
            }
            _ => panic!("option {code}"),
        };
        assert_eq!(value.len(), length, "option {code}");
        assert!(*code == option::EDE || request.asks(*code), "option {code} was not asked for");
    }
    // RFC 9660 §3.2.1: whoever asks twice is told of none.
    let wants =
        request.opts.iter().flat_map(|opt| opt.options().filter(|(code, _)| *code == option::ZONEVERSION));
    assert!(wants.count() < 2 || !codes.contains(&option::ZONEVERSION));
    assert!(transport != Transport::Udp || !codes.contains(&option::KEEPALIVE), "RFC 7828 §3.3.2");
    if let Some(cookie) = seen.option(option::COOKIE) {
        let theirs = request.opts.iter().find_map(|opt| opt.option(option::COOKIE)).unwrap();
        assert_eq!(cookie[..8], theirs[..8]);
    }
}

fn records(request: &Request<'_>, seen: &Seen) {
    let fault = !matches!(seen.rcode, Rcode::NOERROR | Rcode::NXDOMAIN | Rcode::YXDOMAIN);
    if fault {
        assert!(seen.records.is_empty(), "records beside an error");
        assert!(!seen.has(flags::AA) && !seen.has(flags::TC));
    }
    let class = match request.question.and_then(|question| question.2.last_chunk()) {
        Some(class) if !seen.records.is_empty() => u16::from_be_bytes(*class),
        _ => CLASS_IN,
    };
    let mut once = BTreeSet::new();
    for (_, key, ttl) in &seen.records {
        assert!(once.insert(key), "RFC 2181 §5: twice {key:?}");
        assert_eq!(key.2, class);
        assert!(*ttl <= i32::MAX as u32, "RFC 2181 §8");
    }
    // The bounds of what one request may cost.
    use RecordType as T;
    assert!(seen.count(Section::Answer, &[T::DNAME]) <= CHAIN_LENGTH);
    let asked = request.qtype();
    let chain: BTreeSet<_> = seen.of(Section::Answer).iter().map(|key| key.0.clone()).collect();
    assert!(chain.len() <= 2 * CHAIN_LENGTH + 1, "{} owners in the answer", chain.len());
    let proofs: BTreeSet<_> = seen.of(Section::Authority).iter().map(|key| (key.0.clone(), key.1)).collect();
    let proofs = proofs.iter().filter(|(_, rtype)| matches!(*rtype, T::NSEC | T::NSEC3)).count();
    assert!(proofs <= CHAIN_LENGTH + 3, "{proofs} proofs");
    assert!(seen.count(Section::Authority, &[T::SOA]) <= 1, "RFC 2308 §2: one SOA");
    let refers = seen.count(Section::Authority, &[T::NS]) > 0;
    let beside: BTreeSet<_> = seen.of(Section::Additional).iter().map(|key| key.0.clone()).collect();
    assert!(refers || beside.len() <= ADDITIONAL_NAMES, "{} names beside", beside.len());
    // RFC 8482 §4, RFC 4035 §3.1: nothing of DNSSEC for who did not ask.
    let wants = request.opts.iter().any(Opt::wants_dnssec);
    let unasked = [T::RRSIG, T::NSEC, T::NSEC3].into_iter().filter(|rtype| Some(*rtype) != asked);
    if !wants && asked != Some(T::ANY) {
        for rtype in unasked {
            assert!(seen.records.iter().all(|record| record.1.1 != rtype), "{rtype} without DO");
        }
    }
}

/// The same question over UDP and over TCP: the datagram says the same, or tells that something is missing.
pub fn agree(datagram: &Seen, stream: &Seen, room: usize) {
    if stream.rcode == Rcode::SERVFAIL {
        // Too large for any message; or there is nothing to answer from.
        assert!(datagram.has(flags::TC) || datagram.rcode == Rcode::SERVFAIL);
        return;
    }
    assert_eq!(datagram.has(flags::AA), stream.has(flags::AA));
    // Where a chain was cut its end is not known.
    let cut = datagram.has(flags::TC) && datagram.records.is_empty() && datagram.rcode == Rcode::NOERROR;
    assert!(datagram.rcode == stream.rcode || cut, "{:?} for {:?}", datagram.rcode, stream.rcode);
    let whole = stream.groups();
    for (group, records) in datagram.groups() {
        assert_eq!(Some(&records), whole.get(&group), "part of an RRset, or of another: {group:?}");
    }
    if datagram.has(flags::TC) {
        assert!(stream.octets.len() > room, "TC for {} octets in {room}", stream.octets.len());
    } else {
        assert_eq!(datagram.of(Section::Answer), stream.of(Section::Answer));
        assert_eq!(datagram.of(Section::Authority), stream.of(Section::Authority));
    }
}
