//! What the tests of this room share: requests built octet by octet, zones written as text, a world of zones to ask,
//! and replies read by hickory-proto.

// Each test takes what it needs.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod model;
pub mod signer;
pub mod validator;

use std::net::SocketAddr;
use std::sync::Arc;

use hickory_proto::op::Message as Read;
use hickory_proto::rr::{RData, Record};
use secondo_answer::{
    AccessList, Client, Clock, Entry, Outcome, Rule, Scratch, Settings, Slot, Table, Transport, respond,
};
use secondo_tsig::{Key, KeyRing};
use secondo_wire::edns::{DO, Opt};
use secondo_wire::{CLASS_IN, Message, Name, Rcode, RecordType, Section, flags};
use secondo_zone::{BorderSecret, Builder, Limits, Zone};

/// A request being built.
#[derive(Clone)]
pub struct Query(Vec<u8>);

impl Query {
    pub fn new(name: &str, rtype: RecordType) -> Query {
        let mut octets = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        octets.extend_from_slice(name.parse::<Name>().unwrap().as_wire());
        octets.extend_from_slice(&rtype.0.to_be_bytes());
        octets.extend_from_slice(&CLASS_IN.to_be_bytes());
        Query(octets)
    }

    pub fn notify(name: &str) -> Query {
        let mut query = Query::new(name, RecordType::SOA);
        query.0[2] = 0x24;
        query
    }

    pub fn class(mut self, class: u16) -> Query {
        let at = self.0.len() - 2;
        self.0[at..].copy_from_slice(&class.to_be_bytes());
        self
    }

    /// Section 1 is the answer, 2 the authority, 3 the additional section.
    pub fn record(
        mut self,
        section: usize,
        owner: &str,
        rtype: RecordType,
        class: u16,
        rdata: &[u8],
    ) -> Query {
        self.append(section, owner, rtype, class, 0, rdata);
        self
    }

    pub fn edns(mut self, payload: u16, ttl: u32, options: &[u8]) -> Query {
        self.append(3, ".", RecordType::OPT, payload, ttl, options);
        self
    }

    pub fn dnssec(self) -> Query {
        self.edns(4096, u32::from(DO), &[])
    }

    fn append(&mut self, section: usize, owner: &str, rtype: RecordType, class: u16, ttl: u32, rdata: &[u8]) {
        self.0.extend_from_slice(owner.parse::<Name>().unwrap().as_wire());
        self.0.extend_from_slice(&rtype.0.to_be_bytes());
        self.0.extend_from_slice(&class.to_be_bytes());
        self.0.extend_from_slice(&ttl.to_be_bytes());
        self.0.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
        self.0.extend_from_slice(rdata);
        self.0[5 + 2 * section] += 1;
    }

    pub fn octets(self) -> Vec<u8> {
        self.0
    }
}

/// A zone of one SOA (TTL 3600, minimum 300, serial 7) and NS at the apex, and the lines of `text`: owner, type,
/// data. Owners and names without a last dot are relative to the apex; `@` is the apex. TTL 600.
pub fn zone(apex: &str, text: &str) -> Zone {
    let apex: Name = apex.parse().unwrap();
    let mut builder = Builder::new(apex.clone(), &BorderSecret::new([5; 16]), Limits::default());
    let soa = [
        absolute("ns1", &apex).as_wire(),
        absolute("admin", &apex).as_wire(),
        &[0, 0, 0, 7, 0, 0, 0, 60, 0, 0, 0, 30, 0, 0, 14, 16, 0, 0, 1, 44],
    ]
    .concat();
    builder.push(apex.as_ref(), RecordType::SOA, 3600, &soa).unwrap();
    if !text.contains("@ NS") {
        builder.push(apex.as_ref(), RecordType::NS, 600, absolute("ns1", &apex).as_wire()).unwrap();
    }
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.split_whitespace();
        let owner = absolute(words.next().unwrap(), &apex);
        let rtype: RecordType = words.next().unwrap().parse().unwrap();
        let data: Vec<&str> = words.collect();
        builder.push(owner.as_ref(), rtype, 600, &rdata(rtype, &data, &apex)).unwrap();
    }
    builder.finish().unwrap().zone
}

fn absolute(text: &str, apex: &Name) -> Name {
    match text {
        "@" => apex.clone(),
        _ if text.ends_with('.') => text.parse().unwrap(),
        _ if apex.is_root() => format!("{text}.").parse().unwrap(),
        _ => format!("{text}.{apex}").parse().unwrap(),
    }
}

fn rdata(rtype: RecordType, data: &[&str], apex: &Name) -> Vec<u8> {
    let name = |text: &str| absolute(text, apex).as_wire().to_vec();
    match rtype {
        RecordType::A => data[0].parse::<std::net::Ipv4Addr>().unwrap().octets().to_vec(),
        RecordType::AAAA => data[0].parse::<std::net::Ipv6Addr>().unwrap().octets().to_vec(),
        RecordType::NS | RecordType::CNAME | RecordType::DNAME | RecordType::PTR => name(data[0]),
        RecordType::MX => [&data[0].parse::<u16>().unwrap().to_be_bytes()[..], &name(data[1])].concat(),
        RecordType::SVCB | RecordType::HTTPS => {
            [&data[0].parse::<u16>().unwrap().to_be_bytes()[..], &name(data[1])].concat()
        }
        RecordType::SRV => [&[0; 6][..], &name(data[0])].concat(),
        RecordType::HINFO => {
            data.iter().flat_map(|t| [&[t.len() as u8][..], t.as_bytes()].concat()).collect()
        }
        RecordType::TXT => [&[data[0].len() as u8][..], data[0].as_bytes()].concat(),
        RecordType::DNSKEY | RecordType::KEY => vec![1, 1, 3, 8, 1, 2, 3, 4],
        RecordType::DS => vec![0, 1, 8, 2, 1, 2, 3, 4],
        RecordType::RRSIG => {
            let covered: RecordType = data[0].parse().unwrap();
            let mut out = covered.0.to_be_bytes().to_vec();
            out.extend_from_slice(&[8, 2, 0, 0, 2, 88, 0, 0, 0, 9, 0, 0, 0, 1, 0, 5]);
            out.extend_from_slice(apex.as_wire());
            out.extend_from_slice(b"signature");
            out
        }
        RecordType::NSEC => [&name(data[0])[..], &[0, 1, 0x40]].concat(),
        _ => data.concat().into_bytes(),
    }
}

/// Boot milliseconds at which the worlds of the tests are asked.
pub const NOW: u64 = 1_000_000;
/// Seconds since 1970 of the same moment.
pub const UNIX: u64 = 1_700_000_000;

/// Zones to ask: each current for an hour; everyone may query, nobody else may anything.
pub struct World {
    pub entries: Vec<Entry>,
    pub keys: Vec<Key>,
    pub client: SocketAddr,
    pub udp_payload: u16,
    /// What else the table is given.
    pub dress: fn(Table) -> Table,
}

impl World {
    pub fn new(zones: impl IntoIterator<Item = Zone>) -> World {
        let entries = zones.into_iter().map(entry).collect();
        let client = "192.0.2.1:5353".parse().unwrap();
        World { entries, keys: Vec::new(), client, udp_payload: 1232, dress: |table| table }
    }

    pub fn slot(&self, apex: &str) -> &Slot {
        &self.entries.iter().find(|entry| entry.apex.to_string() == apex).unwrap().slot
    }

    pub fn entry(&mut self, apex: &str) -> &mut Entry {
        self.entries.iter_mut().find(|entry| entry.apex.to_string() == apex).unwrap()
    }

    pub fn table(&self) -> Table {
        let settings = Settings { udp_payload: self.udp_payload, hash_secret: [3; 16] };
        let keys = KeyRing::new(self.keys.iter().cloned());
        (self.dress)(Table::new(self.entries.iter().cloned(), keys, &settings).unwrap())
    }

    /// What comes of a request; `out` begins with two octets of somebody else.
    pub fn outcome(&self, request: &[u8], transport: Transport) -> (Outcome, Vec<u8>) {
        self.outcome_in(request, transport, &mut Scratch::new())
    }

    pub fn outcome_in(
        &self,
        request: &[u8],
        transport: Transport,
        scratch: &mut Scratch,
    ) -> (Outcome, Vec<u8>) {
        let mut out = vec![0xAA, 0xBB];
        let client = Client { addr: self.client, transport };
        let clock = Clock { boot_ms: NOW, unix: UNIX };
        let outcome = respond(request, client, &self.table(), clock, scratch, &mut out);
        assert_eq!(out[..2], [0xAA, 0xBB]);
        (outcome, out.split_off(2))
    }

    /// The reply over UDP.
    pub fn ask(&self, query: Query) -> Reply {
        self.reply(query, Transport::Udp)
    }

    pub fn ask_tcp(&self, query: Query) -> Reply {
        self.reply(query, Transport::Tcp)
    }

    /// The reply to a plain query.
    pub fn get(&self, name: &str, rtype: RecordType) -> Reply {
        self.ask(Query::new(name, rtype))
    }

    fn reply(&self, query: Query, transport: Transport) -> Reply {
        let (outcome, octets) = self.outcome(&query.octets(), transport);
        assert!(matches!(outcome, Outcome::Reply), "{outcome:?}");
        Reply::read(octets)
    }
}

fn entry(zone: Zone) -> Entry {
    let nobody = Arc::new(AccessList::nobody());
    let slot = Arc::new(Slot::new());
    let apex = zone.apex().clone();
    slot.publish(zone);
    slot.renew(NOW + 3_600_000, NOW);
    let query = Arc::new(AccessList::everyone());
    Entry { apex, query, notify: nobody.clone(), transfer: nobody, slot }
}

/// An access list of one rule.
pub fn only(prefix: Option<&str>, key: Option<&str>) -> Arc<AccessList> {
    let (prefix, key) = (prefix.map(|p| p.parse().unwrap()), key.map(|k| k.parse().unwrap()));
    Arc::new(AccessList::new([Rule { prefix, key, tls: false }]))
}

fn line(record: &Record) -> String {
    let data = match &record.data {
        // The library does not know the type; its name is never compressed (RFC 6672 §2.5).
        RData::Unknown { code, rdata } if u16::from(*code) == RecordType::DNAME.0 => {
            Name::from_wire(&rdata.anything).unwrap().to_string()
        }
        data => data.to_string(),
    };
    let rtype = RecordType(u16::from(record.record_type()));
    format!("{} {} {rtype} {data}", record.name, record.ttl)
}

/// The OPT record of a reply.
#[derive(Debug)]
pub struct SeenOpt {
    pub payload: u16,
    pub flags: u16,
    /// Code and value.
    pub options: Vec<(u16, Vec<u8>)>,
}

/// A reply, read by hickory-proto; records as lines of owner, TTL, type and data.
#[derive(Debug)]
pub struct Reply {
    pub octets: Vec<u8>,
    pub rcode: Rcode,
    pub aa: bool,
    pub tc: bool,
    pub answer: Vec<String>,
    pub authority: Vec<String>,
    pub additional: Vec<String>,
    pub opt: Option<SeenOpt>,
}

impl Reply {
    pub fn read(octets: Vec<u8>) -> Reply {
        let message = Message::new(&octets).unwrap();
        let header = message.header;
        let mut rcode = header.rcode();
        let mut opt = None;
        let mut records = message.records().unwrap();
        for record in records.by_ref().map(Result::unwrap).filter(|record| record.rtype == RecordType::OPT) {
            assert_eq!((record.section, octets[record.owner]), (Section::Additional, 0));
            let read = Opt::new(record.class, record.ttl, &octets[record.rdata..record.end]).unwrap();
            rcode.0 |= u16::from(read.extended_rcode) << 4;
            assert_eq!(read.version, 0);
            let options = read.options().map(|(code, value)| (code, value.to_vec())).collect();
            let seen = SeenOpt { payload: read.payload, flags: read.flags, options };
            assert!(opt.replace(seen).is_none(), "two OPT records");
        }
        records.finish().unwrap();
        let read = Read::from_vec(&octets).unwrap();
        let lines = |records: &[Record]| {
            let data = records.iter().filter(|r| u16::from(r.record_type()) != RecordType::TSIG.0);
            data.map(line).collect::<Vec<_>>()
        };
        let reply = Reply {
            rcode,
            aa: header.has(flags::AA),
            tc: header.has(flags::TC),
            answer: lines(&read.answers),
            authority: lines(&read.authorities),
            additional: lines(&read.additionals),
            opt,
            octets,
        };
        assert!(header.has(flags::QR) && header.flags & 0x00F0 == 0, "RA, Z, AD and CD are clear");
        reply
    }

    /// The response code, AA as `aa` or nothing, and the sections, each sorted.
    pub fn summary(&self) -> (u16, bool, Vec<String>, Vec<String>) {
        let sorted = |lines: &Vec<String>| {
            let mut lines = lines.clone();
            lines.sort_unstable();
            lines
        };
        (self.rcode.0, self.aa, sorted(&self.answer), sorted(&self.authority))
    }

    /// The value of an option of the OPT record.
    pub fn option(&self, code: u16) -> Option<&[u8]> {
        let opt = self.opt.as_ref()?;
        opt.options.iter().find(|option| option.0 == code).map(|option| &option.1[..])
    }

    /// The code of the extended DNS error.
    pub fn ede(&self) -> Option<u16> {
        self.option(15).map(|value| u16::from_be_bytes([value[0], value[1]]))
    }

    /// No records at all but OPT.
    pub fn is_bare(&self) -> bool {
        self.answer.is_empty() && self.authority.is_empty() && self.additional.is_empty()
    }
}
