//! What a record costs to write in presentation format: `cargo bench -p secondo-wire`.

#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::Duration;

use secondo_wire::text::put_record;
use secondo_wire::{Name, RecordType};

const RECORDS: u32 = 1_000_000;
const ROUNDS: u32 = 5;

fn main() {
    let signature =
        [&[0, 1, 13, 3, 0, 0, 14, 16][..], &[0x70; 10], b"\x07example\x03net\0", &[7; 64]].concat();
    let kinds: [(&str, RecordType, &[u8]); 8] = [
        ("A", RecordType::A, &[192, 0, 2, 255]),
        ("AAAA", RecordType::AAAA, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34]),
        ("NS", RecordType::NS, b"\x03ns1\x07example\x03net\0"),
        ("MX", RecordType::MX, b"\0\x0a\x04mail\x07example\x03net\0"),
        ("TXT", RecordType::TXT, b"\x24v=spf1 include:_spf.example.net ~all"),
        ("DS", RecordType::DS, &[9; 36]),
        ("RRSIG", RecordType::RRSIG, &signature),
        ("unknown", RecordType(65_280), &[9; 36]),
    ];
    for (what, rtype, rdata) in kinds {
        let owner = Name::parse("www-00042.example.net").expect("a name of the benchmark");
        let mut out = Vec::with_capacity(1 << 20);
        let mut octets = 0;
        let mut fastest = Duration::MAX;
        for _ in 0..ROUNDS {
            let start = on_cpu();
            octets = 0;
            for ttl in 0..RECORDS {
                put_record(&mut out, black_box(owner.as_ref()), 3600 + ttl % 2, rtype, black_box(rdata));
                out.push(b'\n');
                // As a dump does: handed on in pieces.
                if out.len() > 1 << 19 {
                    octets += black_box(&out).len();
                    out.clear();
                }
            }
            fastest = fastest.min(on_cpu() - start);
        }
        let (rate, line) = (f64::from(RECORDS) / fastest.as_secs_f64() / 1e6, octets / RECORDS as usize);
        println!("{what:8} {rate:6.1} million records a second, {line:4} octets each");
    }
}

/// Time that this thread has run: the machine may be busy with other things (Linux; proc_pid_schedstat).
fn on_cpu() -> Duration {
    let stat =
        std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells how long a thread ran");
    let nanoseconds =
        stat.split(' ').next().and_then(|field| field.parse().ok()).expect("its first field is a number");
    Duration::from_nanos(nanoseconds)
}
