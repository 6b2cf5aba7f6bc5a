//! Zones grown from octets, and a question to them: lawful ones, answered as the naive model says and proved as a validator
//! wants it; and ones that no signer would make, answered soundly all the same.

use secondo_answer::{Client, Clock, Scratch, Transport, respond};
use secondo_wire::{Name, RecordType};
use secondo_zone::{BorderSecret, Builder, Limits, Zone};

use crate::common::model::{
    Line, PARENT, absolute, is_wild_cut, lawful, seen as summary, small_world, without_dnssec,
};
use crate::common::signer::{Chain, hashed_owner, nsec3_hash};
use crate::common::validator::fault;
use crate::common::{NOW, Query, Reply, UNIX, World};
use crate::seen::{Request, Seen, agree, is_read_by_others, sound};

/// Octets as choices. When there are no more, every choice is the first.
struct Choices<'o>(&'o [u8]);

impl<'o> Choices<'o> {
    fn octet(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn below(&mut self, count: usize) -> usize {
        usize::from(self.octet()) % count
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.octet(), self.octet()])
    }

    fn octets(&mut self, most: usize) -> &'o [u8] {
        let length = self.below(most + 1).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    /// A name of up to three labels, relative to the apex.
    fn relative(&mut self) -> String {
        let labels: Vec<&str> = (0..self.below(4)).map(|_| self.pick(&["a", "b", "c", "*"])).collect();
        if labels.is_empty() { "@".into() } else { labels.join(".") }
    }

    fn lines(&mut self) -> Vec<Line> {
        use RecordType as T;
        let wishes = (0..self.below(13)).map(|_| {
            let owner = self.relative();
            let rtype = self.pick(&[T::A, T::TXT, T::NS, T::CNAME, T::DNAME, T::DS, T::A, T::NS, T::CNAME]);
            let target = matches!(rtype, T::NS | T::CNAME | T::DNAME).then(|| self.relative());
            (owner, (rtype, target))
        });
        lawful(wishes.collect())
    }

    fn chains(&mut self) -> Vec<Chain> {
        match self.below(7) {
            0 => vec![],
            1 => vec![Chain::Nsec],
            2 => vec![Chain::nsec3(0, b"", false)],
            3 => vec![Chain::nsec3(0, b"", true)],
            4 => vec![Chain::nsec3(2, b"salt", true)],
            5 => vec![Chain::nsec3(1, b"one", false), Chain::nsec3(1, b"two", false)],
            _ => vec![Chain::nsec3(3, b"", true), Chain::Nsec],
        }
    }
}

/// The reply over TCP, after the one over UDP for a client of so many octets was found to agree with it.
fn ask(world: &World, query: impl Fn() -> Query, edns: Option<(u16, bool)>, compared: bool) -> Seen {
    let query = match edns {
        Some((payload, dnssec)) => query().edns(payload, u32::from(dnssec) << 15, &[]),
        None => query(),
    };
    let octets = query.octets();
    let table = world.table();
    let reply = |transport| {
        let (mut out, client) = (Vec::new(), Client { addr: world.client, transport });
        let clock = Clock { boot_ms: NOW, unix: UNIX };
        let outcome = respond(&octets, client, &table, clock, &mut Scratch::new(), &mut out);
        sound(&octets, transport, world.udp_payload, &outcome, out)
    };
    let whole = reply(Transport::Tcp).expect("a query is answered");
    let datagram = reply(Transport::Udp).expect("a query is answered");
    if compared {
        agree(&datagram, &whole, Request::read(&octets).unwrap().room(world.udp_payload));
    }
    whole
}

/// A lawful zone, perhaps with another below it, each signed by the same chains, and a question.
pub fn judge_lawful(input: &[u8]) {
    let mut choices = Choices(input);
    let chains = choices.chains();
    let (question, other) = (choices.relative(), choices.below(4) == 0);
    let qtype = if other { RecordType(choices.word() & 0xFF) } else { small_type(&mut choices) };
    let edns = (choices.below(3) > 0).then(|| (512 + u16::from(choices.octet()) * 4, choices.below(2) == 0));
    let with_child = choices.below(2) == 0;
    let mut grow = || {
        let mut lines = choices.lines();
        lines.retain(|line| chains.is_empty() || !is_wild_cut(line));
        lines
    };
    let (parent, child) = (grow(), with_child.then(grow));
    let (world, model) = small_world(&parent, child.as_deref(), &chains);
    let name = absolute(&question, PARENT);
    let meta = matches!(qtype, RecordType::ANY | RecordType::RRSIG | RecordType::AXFR | RecordType::IXFR);
    if matches!(qtype, RecordType::AXFR | RecordType::IXFR) {
        return;
    }
    let whole = ask(&world, || Query::new(&name, qtype), edns, !meta);
    if other {
        return;
    }
    is_read_by_others(&whole.octets);
    let reply = Reply::read(whole.octets);
    let proved = !chains.is_empty() && edns.is_some_and(|(_, dnssec)| dnssec);
    let said = without_dnssec(summary(&reply));
    let reads = |apart| without_dnssec(model.answer(&name, qtype, apart));
    // Where proofs by NSEC stand on both sides of a cut, a chain ends before it crosses.
    let apart = proved && chains == [Chain::Nsec] && said == reads(true);
    assert!(apart || said == reads(false), "{name} {qtype}: {said:?} for {:?}", reads(false));
    if proved && let Err(fault) = fault(&reply, &name, qtype) {
        panic!("{name} {qtype}: {fault}\n{reply:#?}");
    }
}

fn small_type(choices: &mut Choices<'_>) -> RecordType {
    use RecordType as T;
    choices.pick(&[T::A, T::TXT, T::NS, T::CNAME, T::DNAME, T::DS, T::SOA])
}

/// Any records that a zone takes at all: chains that are broken, closed on themselves or of no name's hash, signatures of
/// nothing, aliases beside data, cuts below cuts.
fn lawless(choices: &mut Choices<'_>) -> Option<Zone> {
    let apex: Name = PARENT.parse().unwrap();
    let mut builder = Builder::new(apex.clone(), &BorderSecret::new([5; 16]), Limits::default());
    let numbers = [0, 0, 0, 7, 0, 0, 0, 60, 0, 0, 0, 30, 0, 0, 14, 16, 0, 0, 1, 44];
    let soa = [apex.as_wire(), apex.as_wire(), &numbers].concat();
    builder.push(apex.as_ref(), RecordType::SOA, 3600, &soa).unwrap();
    for _ in 0..choices.below(25) {
        let owner = owner(choices);
        let rtype = rtype(choices);
        let rdata = rdata(choices, rtype);
        let ttl = u32::from(choices.octet()) << 24;
        // What no zone takes is none of ours.
        let _ = builder.push(owner.as_ref(), rtype, ttl, &rdata);
    }
    builder.finish().ok().map(|built| built.zone)
}

fn owner(choices: &mut Choices<'_>) -> Name {
    let name: Name = absolute(&choices.relative(), PARENT).parse().unwrap();
    match choices.below(4) {
        0 => hashed_owner(&hashed(choices, &name), &PARENT.parse().unwrap()),
        _ => name,
    }
}

/// The hash of a name, or its neighbour's.
fn hashed(choices: &mut Choices<'_>, name: &Name) -> Vec<u8> {
    let mut hash = nsec3_hash(name, b"", 0);
    hash[19] = hash[19].wrapping_add(choices.pick(&[0, 0, 1, 255]));
    hash
}

fn rtype(choices: &mut Choices<'_>) -> RecordType {
    use RecordType as T;
    let known = [
        T::A,
        T::NS,
        T::CNAME,
        T::DNAME,
        T::MX,
        T::SRV,
        T::SVCB,
        T::HTTPS,
        T::TXT,
        T::DS,
        T::DNSKEY,
        T::RRSIG,
        T::NSEC,
        T::NSEC3,
        T::NSEC3PARAM,
        T::NSEC3,
        T::NSEC3PARAM,
        T::AAAA,
    ];
    match choices.below(16) {
        0 => RecordType(choices.word()),
        _ => choices.pick(&known),
    }
}

fn rdata(choices: &mut Choices<'_>, rtype: RecordType) -> Vec<u8> {
    use RecordType as T;
    if choices.below(8) == 0 {
        return choices.octets(60).to_vec();
    }
    let name: Name = absolute(&choices.relative(), PARENT).parse().unwrap();
    let wire = name.as_wire();
    let parameters = |choices: &mut Choices<'_>| {
        let iterations = choices.pick(&[0u16, 0, 1, 150, 151, u16::MAX]).to_be_bytes();
        [choices.pick(&[1, 1, 1, 2]), choices.pick(&[0, 0, 1]), iterations[0], iterations[1], 0].to_vec()
    };
    match rtype {
        T::A => vec![192, 0, 2, choices.octet()],
        T::AAAA => vec![0x20; 16],
        T::NS | T::CNAME | T::DNAME => wire.to_vec(),
        T::MX | T::SVCB | T::HTTPS => [&[0, choices.octet() & 1], wire].concat(),
        T::SRV => [&[0; 6], wire].concat(),
        T::TXT => [&[9][..], &[choices.octet(); 9]].concat(),
        T::RRSIG => {
            let covered = self::rtype(choices).0.to_be_bytes();
            [&covered[..], &[8, 2, 0, 0, 2, 88, 0, 0, 0, 9, 0, 0, 0, 1, 0, 5], PARENT_WIRE, b"seal"].concat()
        }
        T::NSEC => [wire, &[0, 1, choices.octet() | 1]].concat(),
        T::NSEC3PARAM => parameters(choices),
        T::NSEC3 => {
            let next = hashed(choices, &name);
            [&parameters(choices)[..], &[20], &next, &[0, 1, choices.octet() | 1]].concat()
        }
        _ => choices.octets(40).to_vec(),
    }
}

const PARENT_WIRE: &[u8] = b"\x07example\0";

/// A zone that no signer would make, and a question.
pub fn judge_lawless(input: &[u8]) {
    let mut choices = Choices(input);
    let name = absolute(&choices.relative(), PARENT);
    let qtype = rtype(&mut choices);
    let edns = (choices.below(3) > 0).then(|| (512 + u16::from(choices.octet()) * 4, choices.below(4) > 0));
    let Some(zone) = lawless(&mut choices) else { return };
    let world = World::new([zone]);
    if matches!(qtype, RecordType::AXFR | RecordType::IXFR) {
        return;
    }
    let meta = matches!(qtype, RecordType::ANY | RecordType::RRSIG);
    ask(&world, || Query::new(&name, qtype), edns, !meta);
}
