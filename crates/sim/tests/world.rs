//! What an honest world answers where the RFCs leave no choice, in octets.

#![allow(clippy::unwrap_used)]

use secondo_sim::{Algorithm, Change, Key, Name, Over, World, read_zone};
use secondo_tsig::sign_request;
use secondo_wire::control::{Request, axfr_query, ixfr_query, soa_query};
use secondo_wire::edns::Opt;
use secondo_wire::{Message, RecordType, Section, Serial, flags};

const NOW: u64 = 1_800_000_000;
const PLAIN: Request = Request { id: 5, edns: false };
const EDNS: Request = Request { id: 5, edns: true };

fn apex() -> Name {
    Name::parse("example.").unwrap()
}

fn world() -> World {
    let text = "$TTL 300\n@ SOA ns hostmaster 7 3600 600 86400 60\n@ NS ns\nns A 192.0.2.1\n";
    World::new([read_zone(text, &apex()).unwrap()])
}

/// The first message's flags, response code, and the types of its answers.
fn answer(world: &mut World, question: &[u8], over: Over) -> (u16, u16, Vec<RecordType>) {
    let delivery = world.respond(question, None, over, NOW);
    let message = Message::new(&delivery.messages[0]).unwrap();
    let records = message.records().unwrap().map(Result::unwrap);
    let types = records.filter(|r| r.section == Section::Answer).map(|r| r.rtype).collect();
    (message.header.flags, message.header.rcode().0, types)
}

#[test]
fn differences_that_do_not_fit_a_datagram_are_the_soa_alone() {
    let mut world = world();
    let text: String = (0..60).map(|n| format!("+ host{n} 300 A 192.0.2.{n}\n")).collect();
    world.change(&apex(), &Change::parse(&text, &apex()).unwrap()).unwrap();
    let question = ixfr_query(&apex(), Serial(7), EDNS);
    assert_eq!(answer(&mut world, &question, Over::Udp).2, [RecordType::SOA]);
    let all = answer(&mut world, &question, Over::Tcp).2;
    assert_eq!(
        (all[0], all[1], all[2], all[3]),
        (RecordType::SOA, RecordType::SOA, RecordType::SOA, RecordType::A)
    );
    // One difference of one record fits.
    world.change(&apex(), &Change::parse("- host0 A 192.0.2.0", &apex()).unwrap()).unwrap();
    let question = ixfr_query(&apex(), Serial(8), PLAIN);
    use RecordType as T;
    assert_eq!(answer(&mut world, &question, Over::Udp).2, [T::SOA, T::SOA, T::A, T::SOA, T::SOA]);
}

#[test]
fn what_is_not_defined_and_what_is_not_here_is_refused() {
    let mut world = world();
    assert_eq!(answer(&mut world, &axfr_query(&apex(), PLAIN), Over::Udp).1, 1);
    let other = Name::parse("other.").unwrap();
    assert_eq!(answer(&mut world, &soa_query(&other, PLAIN), Over::Udp).1, 5);
    assert_eq!(answer(&mut world, &axfr_query(&other, PLAIN), Over::Tcp).1, 9);
    let (flags_, _, _) = answer(&mut world, &soa_query(&apex(), PLAIN), Over::Udp);
    assert_eq!(flags_ & (flags::AA | flags::TC | flags::RA), flags::AA);
    // Not a request, and not a message.
    assert!(world.respond(&[0x12, 0x34, 0x84, 0], None, Over::Udp, NOW).messages.is_empty());
    let mut reply = soa_query(&apex(), PLAIN);
    reply[2] |= 0x80;
    assert!(world.respond(&reply, None, Over::Udp, NOW).messages.is_empty());
}

#[test]
fn the_time_to_expiry_is_told_to_those_who_ask() {
    let mut world = world();
    let mut told = |request| {
        let delivery = world.respond(&soa_query(&apex(), request), None, Over::Udp, NOW);
        let message = Message::new(&delivery.messages[0]).unwrap();
        let mut records = message.records().unwrap().map(Result::unwrap);
        let opt = records.find(|r| r.rtype == RecordType::OPT)?;
        Opt::new(opt.class, opt.ttl, &message.octets()[opt.rdata..opt.end]).unwrap().expire()
    };
    assert_eq!(told(PLAIN), None);
    assert_eq!(told(EDNS), Some(86_400));
    world.tell_expire(Some(12));
    let delivery = world.respond(&soa_query(&apex(), EDNS), None, Over::Udp, NOW);
    assert!(delivery.messages[0].ends_with(&[0, 9, 0, 4, 0, 0, 0, 12]));
}

#[test]
fn a_key_is_asked_of_transfers_and_its_loss_is_told_as_the_rfc_says() {
    let mut world = world();
    let key = |secret: &[u8]| Key::new(Name::parse("k.").unwrap(), Algorithm::HmacSha512, secret).unwrap();
    world.require(&[key(b"right")]);
    assert_eq!(answer(&mut world, &soa_query(&apex(), PLAIN), Over::Udp).1, 0);
    assert_eq!(answer(&mut world, &axfr_query(&apex(), PLAIN), Over::Tcp).1, 5);
    let sealed = |secret: &[u8]| {
        let mut question = axfr_query(&apex(), PLAIN);
        sign_request(&mut question, &key(secret), NOW);
        question
    };
    assert_eq!(answer(&mut world, &sealed(b"right"), Over::Tcp).1, 0);
    // RFC 8945 §5.2.2: NOTAUTH, with BADSIG in an unsigned TSIG record.
    assert_eq!(answer(&mut world, &sealed(b"wrong"), Over::Tcp), (flags::QR | 9, 9, vec![]));
    let asked = world.asked();
    assert_eq!(asked[2].key.as_ref().map(ToString::to_string), Some("k.".into()));
    assert_eq!((asked[3].key.as_ref(), asked[3].rcode), (None, Some(9)));
}
