//! What a record costs on its way out of one zone, through the messages of an AXFR, into another:
//! `cargo bench -p secondo-transfer [-- NAMES]`.

#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::Duration;

use secondo_transfer::{Arrived, Asked, Candidate, Outgoing, Request, Session, Step, Want};
use secondo_wire::{Name, NameBuf, RecordType, Serial, Soa};
use secondo_zone::{BorderSecret, Builder, Limits, Zone};

const ROUNDS: u32 = 3;

fn main() {
    let names = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(555_000);
    let zone = zone(names);
    let records = zone.counts().records;
    let (messages, out) = best(|| send(&zone));
    let bytes: usize = messages.iter().map(Vec::len).sum();
    println!("{records} records, {} messages, {bytes} octets", messages.len());
    let per = |time: Duration| time.as_nanos() / u128::from(records);
    println!("out:            {:5} ns a record", per(out));
    let (candidate, into) = best(|| receive(&messages, None));
    assert_eq!(candidate.zone().counts().records, records);
    println!("in:             {:5} ns a record", per(into));
    let (_, again) = best(|| receive(&messages, Some(&zone)));
    println!("in, over equal: {:5} ns a record", per(again));
    let (_, build) = best(|| rebuild(&zone));
    println!("builder alone:  {:5} ns a record", per(build));
}

fn best<T>(mut run: impl FnMut() -> T) -> (T, Duration) {
    let mut fastest = Duration::MAX;
    let mut last = None;
    for _ in 0..ROUNDS {
        let start = on_cpu();
        let made = black_box(run());
        fastest = fastest.min(on_cpu() - start);
        last = Some(made);
    }
    (last.expect("at least one round"), fastest)
}

/// Time that this thread has run: the machine may be busy with other things (Linux; proc_pid_schedstat).
fn on_cpu() -> Duration {
    let stat =
        std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells how long a thread ran");
    let nanoseconds =
        stat.split(' ').next().and_then(|field| field.parse().ok()).expect("its first field is a number");
    Duration::from_nanos(nanoseconds)
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name of the benchmark")
}

fn secret() -> BorderSecret {
    BorderSecret::new([9; 16])
}

/// About 1.8 records a name: NS and glue, addresses, mail exchangers, text.
fn zone(names: u32) -> Zone {
    let apex = name("example.");
    let mut builder = Builder::new(apex.clone(), &secret(), Limits::default());
    let mut push = |owner: &Name, rtype, rdata: &[u8]| {
        builder.push(owner.as_ref(), rtype, 3600, rdata).expect("a record of the benchmark");
    };
    let (mname, rname) = (name("ns1.example."), name("hostmaster.example."));
    let soa = Soa { mname, rname, serial: Serial(1), refresh: 1, retry: 1, expire: 1, minimum: 1 };
    push(&apex, RecordType::SOA, &soa.to_rdata());
    push(&apex, RecordType::NS, name("ns1.example.").as_wire());
    let exchange = [&[0, 10], name("mail.example.").as_wire()].concat();
    for i in 0..names {
        let owner = name(&format!("host-{i:07x}.example."));
        match i % 5 {
            0 => {
                push(&owner, RecordType::NS, name(&format!("ns1.host-{i:07x}.example.")).as_wire());
                push(&owner, RecordType::NS, name("ns2.example.net.").as_wire());
            }
            1 => push(&owner, RecordType::A, &i.to_be_bytes()),
            2 => {
                push(&owner, RecordType::A, &i.to_be_bytes());
                push(
                    &owner,
                    RecordType::AAAA,
                    &[&[0x20, 1, 0xd, 0xb8][..], &[0; 8], &i.to_be_bytes()].concat(),
                );
            }
            3 => {
                push(&owner, RecordType::MX, &exchange);
                push(&owner, RecordType::TXT, b"\x0Bv=spf1 -all");
            }
            _ => {
                push(&owner, RecordType::A, &i.to_be_bytes());
                push(&owner, RecordType::A, &(!i).to_be_bytes());
            }
        }
    }
    builder.finish().expect("the zone of the benchmark").zone
}

fn send(zone: &Zone) -> Vec<Vec<u8>> {
    let asked = Asked {
        id: 1,
        recursion_desired: false,
        zone: zone.apex().clone(),
        rtype: RecordType::AXFR,
        opt: None,
        seal: None,
    };
    let mut outgoing = Outgoing::axfr(zone.clone(), asked);
    let mut messages = Vec::new();
    loop {
        let mut message = Vec::with_capacity(17_000);
        if !outgoing.next_message(&mut message, 0).expect("all records fit") {
            return messages;
        }
        messages.push(message);
    }
}

fn receive(messages: &[Vec<u8>], current: Option<&Zone>) -> Candidate {
    let (mut session, _) = Session::new(Request {
        zone: &name("example."),
        want: Want::Axfr,
        current,
        secret: &secret(),
        limits: Limits::default(),
        key: None,
        id: 1,
        edns: false,
        unix_now: 0,
        forced: true,
    });
    for message in messages {
        match session.receive(message, 0).expect("our own stream is in order") {
            Step::More => {}
            Step::Done(Arrived::Candidate(candidate)) => return candidate,
            Step::Done(Arrived::UpToDate { .. }) => break,
        }
    }
    panic!("the stream did not end in a version");
}

fn rebuild(zone: &Zone) -> Zone {
    let mut builder = Builder::new(zone.apex().clone(), &secret(), Limits::default());
    let mut owner = NameBuf::new();
    for node in zone.nodes() {
        node.name_into(&mut owner);
        for set in node.rrsets() {
            for rdata in set.rdatas() {
                builder.push(owner.as_ref(), set.rtype(), set.ttl(), rdata).expect("a record of a zone");
            }
        }
    }
    builder.finish().expect("a zone of a zone").zone
}
