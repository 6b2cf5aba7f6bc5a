//! Any octets as a request, to zones that are always the same.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use secondo_answer::{
    AccessList, Client, Clock, Cookies, Identity, Limiter, Outcome, RateLimit, Scratch, Table, Transport,
    respond,
};
use secondo_tsig::{Algorithm, ClientStream, Key, sign_request};
use secondo_wire::edns::option;
use secondo_wire::{Header, Opcode, Rcode, RecordType, flags};

use crate::common::signer::{Chain, signed};
use crate::common::{NOW, UNIX, World, only, zone};
use crate::seen::{Request, Seen, agree, is_read_by_others, sound};

const MIXED: &str = "a A 192.0.2.1
    a AAAA 2001:db8::1
    * MX 10 a
    c CNAME a
    loop CNAME loop
    d DNAME t
    x.t TXT text
    k DNAME k.k
    sub NS ns.sub
    sub NS ns.other.
    ns.sub A 192.0.2.2
    sub DS -
    in NS ns.in
    ns.in A 192.0.2.3
    deep.er.ent SRV a
    e.*.we A 192.0.2.1
    s HTTPS 0 svc
    svc HTTPS 1 .
    svc AAAA 2001:db8::2
    kid NS ns.kid
    ns.kid A 192.0.2.4
    o CNAME *.other.
    h HINFO cpu os";

const OTHER: &str = "b CNAME a.example.
    * CNAME z.d.example.
    v CNAME w.third.
    u NS ns.u
    ns.u A 192.0.2.5
    u.w NS ns.example.
    m MX 1 a.example.";

const THIRD: &str = "*.w CNAME p.q.w
    q.w A 192.0.2.6
    x DNAME y
    y.y TXT t
    r DNAME third.
    l CNAME x.x";

/// More of everything than fits a datagram.
fn crowded() -> String {
    let many = (0..40).map(|n| {
        format!("a A 10.0.0.{n}\nm MX {n} h{n}\nh{n} A 10.0.1.{n}\ncut NS n{n}.cut\nn{n}.cut A 10.0.2.{n}\n")
    });
    let long = "0123456789".repeat(20);
    let texts = (0..12).map(|n| format!("t TXT {n:02}{long}\n"));
    let too_many = (0..330).map(|n| format!("tt TXT {n:03}{long}\n"));
    let chain = (0..20).map(|n| format!("c{n} CNAME c{}\n", n + 1));
    many.chain(texts).chain(too_many).chain(chain).collect()
}

pub fn key() -> Key {
    Key::new("k.".parse().unwrap(), Algorithm::HmacSha256, b"0123456789abcdef").unwrap()
}

fn world() -> World {
    let salted = Chain::nsec3(5, b"salt", false);
    let mut world = World::new([
        signed(&zone("example.", MIXED), &[Chain::Nsec]),
        signed(&zone("kid.example.", "a A 192.0.2.7\nc CNAME a.example.\n*.b TXT t"), &[Chain::Nsec]),
        signed(&zone("other.", OTHER), &[Chain::nsec3(0, b"", true)]),
        signed(&zone("third.", THIRD), &[salted.clone(), Chain::Nsec]),
        signed(&zone("1.2.3.ip6.arpa.", "*.4 PTR a.example."), &[salted]),
        zone("crowded.", &crowded()),
        zone("dname.", "@ DNAME example.\na A 192.0.2.8"),
        zone("closed.", "a A 192.0.2.9"),
        zone("expired.", ""),
        zone("empty.", ""),
    ]);
    for apex in ["example.", "third.", "crowded."] {
        world.entry(apex).transfer = only(Some("192.0.2.0/24"), None);
        world.entry(apex).notify = only(Some("192.0.2.0/24"), None);
    }
    world.entry("other.").transfer = only(None, Some("k."));
    world.entry("other.").notify = only(None, Some("k."));
    world.entry("closed.").query = only(Some("2001:db8::/32"), Some("k."));
    world.entry("kid.example.").query = Arc::new(AccessList::everyone());
    world.slot("expired.").renew(1, 1);
    world.slot("empty.").withdraw();
    world.keys = vec![key()];
    world
}

fn dressed(table: Table) -> Table {
    let text = |text: &str| Some(text.into());
    let identity = Identity { id: text("ns2.example"), version: text("two"), nsid: text("ns2") };
    let table = table.with_identity(identity).with_cookies(Cookies::new([7; 16], [[8; 16]]));
    table.with_tcp_idle(Duration::from_secs(10))
}

/// Without anything; with everything but a limit; with a limit.
fn tables() -> &'static [Table; 3] {
    static TABLES: OnceLock<[Table; 3]> = OnceLock::new();
    TABLES.get_or_init(|| {
        let world = world();
        let limit = RateLimit {
            responses_per_second: 1,
            slip: 2,
            ipv4_prefix: 24,
            ipv6_prefix: 56,
            exempt: vec!["203.0.113.0/24".parse().unwrap()],
        };
        let limiter = Arc::new(Limiter::new(limit, &[9; 16]));
        [world.table(), dressed(world.table()), dressed(world.table()).with_limiter(limiter)]
    })
}

const CLIENTS: [&str; 4] = ["192.0.2.1:5353", "198.51.100.7:53", "[2001:db8::1]:53", "[::ffff:192.0.2.1]:53"];

thread_local! {
    /// One for all requests, as a thread has it; and the moment at which the limited table is asked next.
    static SCRATCH: RefCell<(Scratch, u64)> = RefCell::new((Scratch::new(), NOW));
}

/// What the first octet of an input says of how the rest of it is sent.
struct Situation {
    table: &'static Table,
    client: Client,
    limited: bool,
    sealed: bool,
    known: bool,
}

impl Situation {
    fn of(octet: u8) -> Situation {
        let bit = |n: u8| octet >> n & 1 == 1;
        let transport = match (bit(0), bit(7)) {
            (false, _) => Transport::Udp,
            (true, false) => Transport::Tcp,
            (true, true) => Transport::Tls,
        };
        let addr: SocketAddr = CLIENTS[usize::from(octet >> 1 & 3)].parse().unwrap();
        let (limited, bare) = (bit(4), bit(5));
        let table = &tables()[if limited { 2 } else { usize::from(!bare) }];
        Situation { table, client: Client { addr, transport }, limited, sealed: bit(3), known: bit(6) }
    }

    fn send(&self, request: &[u8], boot_ms: u64, scratch: &mut Scratch) -> (Outcome, Vec<u8>) {
        let mut out = vec![0xAA, 0xBB];
        let outcome =
            respond(request, self.client, self.table, Clock { boot_ms, unix: UNIX }, scratch, &mut out);
        assert_eq!(out[..2], [0xAA, 0xBB], "octets of somebody else");
        (outcome, out.split_off(2))
    }

    fn reply(&self, request: &[u8], boot_ms: u64, scratch: &mut Scratch) -> (Outcome, Option<Seen>) {
        let (outcome, out) = self.send(request, boot_ms, scratch);
        let seen = sound(request, self.client.transport, self.table.udp_payload(), &outcome, out);
        seen.iter().for_each(|seen| is_read_by_others(&seen.octets));
        (outcome, seen)
    }

    /// The request with an OPT record behind it that shows a good cookie and asks for all that can be told.
    fn introduce(&self, request: &mut Vec<u8>) {
        let ends = Header::read(request).is_some_and(|header| header.counts[1..] == [0, 0, 0]);
        if !ends {
            return;
        }
        let opt = |cookie: &[u8]| {
            let cookie = [&[0, 10, 0, cookie.len() as u8], cookie].concat();
            let rdata = [&[0, 3, 0, 0, 0, 9, 0, 0, 0, 12, 0, 0, 0, 19, 0, 0][..], &cookie].concat();
            [&[0, 0, 41, 16, 0, 0, 0, 0x80, 0, 0, rdata.len() as u8][..], &rdata].concat()
        };
        // Nothing but a cookie (RFC 7873 §5.4), so that one is given.
        let asks = [&[0; 11][..], &[1], &opt(b"clientck")].concat();
        let (_, told) = self.reply(&asks, NOW, &mut Scratch::new());
        let good = told.and_then(|seen| seen.option(option::COOKIE).map(<[u8]>::to_vec));
        request.extend_from_slice(&opt(good.as_deref().unwrap_or(b"clientck")));
        request[11] = 1;
    }
}

/// Sends an input, of which the first octet says how, and judges what comes of it.
pub fn judge(input: &[u8]) {
    let Some((&octet, request)) = input.split_first() else { return };
    if request.len() > 65_535 {
        return;
    }
    let situation = Situation::of(octet);
    let mut request = request.to_vec();
    if situation.known {
        situation.introduce(&mut request);
    }
    let stream = (situation.sealed && request.len() >= Header::SIZE && request[10..12] != [0xFF, 0xFF])
        .then(|| sign_request(&mut request, &key(), UNIX));
    SCRATCH.with_borrow_mut(|(scratch, boot_ms)| match situation.limited {
        true => {
            // Nobody was here for long, and nobody's answers expire meanwhile.
            *boot_ms = NOW + (*boot_ms + 2_000 - NOW) % 3_000_000;
            limited(&situation, &request, *boot_ms, scratch);
        }
        false => alone(&situation, &request, stream, scratch),
    });
}

fn alone(situation: &Situation, request: &[u8], stream: Option<ClientStream>, scratch: &mut Scratch) {
    let (outcome, seen) = situation.reply(request, NOW, scratch);
    if let Outcome::Transfer(transfer) = outcome {
        let mut out = Vec::new();
        transfer.decline(Rcode::SERVFAIL, UNIX, &mut out);
        assert_eq!(Seen::read(out).rcode, Rcode::SERVFAIL);
        return;
    }
    let Some(asked) = Request::read(request) else { return };
    let seen = seen.expect("what is not limited is answered");
    // What another request left behind changes nothing.
    let (_, again) = situation.send(request, NOW, &mut Scratch::new());
    assert_eq!(again, seen.octets);
    if let Some(mut stream) = stream
        && seen.tsig > 0
    {
        // RFC 8945 §5.3: whoever signs gets a signature, unless the request could not be verified.
        let verified = stream.verify(&seen.octets, UNIX);
        assert!(verified.is_ok() || matches!(seen.rcode, Rcode::FORMERR | Rcode::NOTAUTH));
    }
    let same = asked.header.opcode() == Opcode::QUERY
        && seen.tsig == 0
        && !asked.asks(option::KEEPALIVE)
        && !matches!(
            asked.qtype(),
            Some(RecordType::ANY | RecordType::RRSIG | RecordType::AXFR | RecordType::IXFR)
        );
    if same && situation.client.transport == Transport::Udp {
        let client = Client { transport: Transport::Tcp, ..situation.client };
        let (_, whole) = Situation { client, ..*situation }.reply(request, NOW, scratch);
        let room = asked.room(situation.table.udp_payload());
        agree(&seen, &whole.expect("a query is answered"), room);
    }
}

/// The first answer comes whole; of those that follow at once every second comes without data, if there is one.
fn limited(situation: &Situation, request: &[u8], boot_ms: u64, scratch: &mut Scratch) {
    scratch.take_limited();
    let (_, first) = situation.reply(request, boot_ms, scratch);
    for _ in 0..2 {
        let (_, seen) = situation.reply(request, boot_ms, scratch);
        if let (Some(first), Some(seen)) = (&first, seen)
            && seen.octets != first.octets
        {
            let bare = seen.records.is_empty();
            assert!(bare && (seen.has(flags::TC) || seen.rcode == Rcode::BADCOOKIE), "{seen:?}");
        }
    }
    assert!(situation.client.transport == Transport::Udp || scratch.take_limited().is_none());
}
