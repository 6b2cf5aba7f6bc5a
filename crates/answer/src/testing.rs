//! What the tests of this room share: requests built octet by octet and zones written as text.

use secondo_wire::edns::DO;
use secondo_wire::{CLASS_IN, Name, RecordType};
use secondo_zone::{BorderSecret, Builder, Limits, Zone};

/// A request being built.
#[derive(Clone)]
pub(crate) struct Query(Vec<u8>);

impl Query {
    pub(crate) fn new(name: &str, rtype: RecordType) -> Query {
        let mut octets = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        octets.extend_from_slice(name.parse::<Name>().unwrap().as_wire());
        octets.extend_from_slice(&rtype.0.to_be_bytes());
        octets.extend_from_slice(&CLASS_IN.to_be_bytes());
        Query(octets)
    }

    pub(crate) fn notify(name: &str) -> Query {
        let mut query = Query::new(name, RecordType::SOA);
        query.0[2] = 0x24;
        query
    }

    pub(crate) fn class(mut self, class: u16) -> Query {
        let at = self.0.len() - 2;
        self.0[at..].copy_from_slice(&class.to_be_bytes());
        self
    }

    /// Section 1 is the answer, 2 the authority, 3 the additional section.
    pub(crate) fn record(
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

    pub(crate) fn edns(mut self, payload: u16, ttl: u32, options: &[u8]) -> Query {
        self.append(3, ".", RecordType::OPT, payload, ttl, options);
        self
    }

    pub(crate) fn dnssec(self) -> Query {
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

    pub(crate) fn octets(self) -> Vec<u8> {
        self.0
    }
}

/// A zone of one SOA (TTL 3600, minimum 300, serial 7) and NS at the apex, and the lines of `text`: owner, type,
/// data. Owners and names without a last dot are relative to the apex; `@` is the apex. TTL 600.
pub(crate) fn zone(apex: &str, text: &str) -> Zone {
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
        RecordType::SRV => [&[0; 6][..], &name(data[0])].concat(),
        RecordType::TXT => [&[data[0].len() as u8][..], data[0].as_bytes()].concat(),
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
