//! For tests: versions of zones as a primary would send them, and a state directory to put them in.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::mpsc::channel;

use secondo_store::{Committed, Confirmation, History, Opened, Restored, Store};
use secondo_transfer::{
    Arrived, Asked, Candidate, CheckedZone, Outgoing, Policy, Request, Session, Step, Want, check,
};
use secondo_wire::{CLASS_IN, Compressor, Header, Name, NameBuf, RecordType, Serial, Soa, Writer, flags};
use secondo_zone::{BorderSecret, Builder, Difference, Limits, Zone};

const ID: u16 = 0x1A2B;
const NOW: u64 = 1_800_000_000;

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(crate) fn secret() -> BorderSecret {
    BorderSecret::new([7; 16])
}

fn soa(serial: u32) -> Vec<u8> {
    let (mname, rname) = (name("ns.example."), name("hostmaster.example."));
    let serial = Serial(serial);
    Soa { mname, rname, serial, refresh: 3600, retry: 600, expire: 86_400, minimum: 60 }.to_rdata()
}

/// A version: numbered owners, each with a TXT of so many octets of some value.
pub(crate) fn zone(apex: &str, serial: u32, owners: &BTreeMap<u32, (u8, u8)>) -> Zone {
    let apex = name(apex);
    let mut builder = Builder::new(apex.clone(), &secret(), Limits::default());
    builder.push(apex.as_ref(), RecordType::SOA, 300, &soa(serial)).unwrap();
    builder.push(apex.as_ref(), RecordType::NS, 300, name("ns.example.").as_wire()).unwrap();
    for (number, (size, value)) in owners {
        let owner = name(&format!("n{number}.{apex}"));
        let mut rdata = vec![*size];
        rdata.resize(1 + usize::from(*size), *value);
        builder.push(owner.as_ref(), RecordType::TXT, 300, &rdata).unwrap();
    }
    builder.finish().unwrap().zone
}

/// A zone of a few records.
pub(crate) fn small(apex: &str, serial: u32) -> Zone {
    zone(apex, serial, &BTreeMap::from([(1, (4, serial as u8)), (serial, (200, 1))]))
}

/// A zone that is too large for a row; versions differ in a few records.
pub(crate) fn large(apex: &str, serial: u32) -> Zone {
    let mut owners: BTreeMap<u32, (u8, u8)> = (0..400).map(|number| (number, (250, number as u8))).collect();
    owners.insert(serial % 400, (9, serial as u8));
    owners.insert(1000 + serial, (200, 1));
    zone(apex, serial, &owners)
}

/// All records, in order: two versions are equal when these are.
pub(crate) fn content(zone: &Zone) -> Vec<(Name, u16, u32, Vec<u8>)> {
    let (mut all, mut owner) = (Vec::new(), NameBuf::new());
    for node in zone.nodes() {
        node.name_into(&mut owner);
        for set in node.rrsets() {
            let rdatas = set
                .rdatas()
                .map(|rdata| (owner.as_ref().to_owned(), set.rtype().0, set.ttl(), rdata.to_vec()));
            all.extend(rdatas);
        }
    }
    all
}

fn hear(
    want: Want,
    apex: &Name,
    current: Option<&Zone>,
    answer: impl FnOnce(&[u8]) -> Vec<Vec<u8>>,
) -> Candidate {
    let (mut session, request) = Session::new(Request {
        zone: apex,
        want,
        current,
        secret: &secret(),
        limits: Limits::default(),
        key: None,
        id: ID,
        edns: true,
        unix_now: NOW,
        forced: want == Want::Axfr,
    });
    for message in answer(&request) {
        match session.receive(&message, NOW).unwrap() {
            Step::More => {}
            Step::Done(Arrived::Candidate(candidate)) => return candidate,
            Step::Done(Arrived::UpToDate { .. }) => panic!("up to date"),
        }
    }
    panic!("{:?}", session.cut())
}

fn judge(candidate: Candidate, current: Option<&Zone>) -> CheckedZone {
    check(candidate, current, &Policy { forced: true, hold_emptied: false, ..Policy::default() }).unwrap()
}

/// What a full transfer of `new` brings.
pub(crate) fn full(new: &Zone) -> CheckedZone {
    let candidate = hear(Want::Axfr, new.apex(), None, |request| {
        let mut outgoing = Outgoing::axfr(new.clone(), Asked::read(request, None, 1000).unwrap());
        let mut messages = Vec::new();
        loop {
            let mut out = Vec::new();
            if !outgoing.next_message(&mut out, NOW).unwrap() {
                return messages;
            }
            messages.push(out);
        }
    });
    judge(candidate, None)
}

/// Owner, type, TTL and RDATA.
type Record = (Name, RecordType, u32, Vec<u8>);

/// What the differences from `old` to `new` bring.
pub(crate) fn incremental(old: &Zone, new: &Zone) -> CheckedZone {
    let difference = Difference::between(old, new);
    let apex = new.apex();
    let mut records: Vec<Record> =
        vec![(apex.clone(), RecordType::SOA, new.soa_ttl(), new.soa_rdata().to_vec())];
    for record in difference.removed().chain(difference.added()) {
        records.push((record.owner.to_owned(), record.rtype, record.ttl, record.rdata.to_vec()));
    }
    records.push(records[0].clone());
    let candidate = hear(Want::Ixfr, apex, Some(old), |_| {
        let message = |(index, chunk): (usize, &[Record])| {
            let (mut out, mut compressor) = (Vec::new(), Compressor::exact());
            let mut writer = Writer::new(&mut out, &mut compressor, 65_535);
            if index == 0 {
                writer.question(apex.as_ref(), RecordType::IXFR, CLASS_IN).unwrap();
            }
            for (owner, rtype, ttl, rdata) in chunk {
                writer.record(owner.as_ref(), *rtype, CLASS_IN, *ttl, rdata).unwrap();
            }
            let counts = [u16::from(index == 0), chunk.len() as u16, 0, 0];
            writer.finish(Header { id: ID, flags: flags::QR | flags::AA, counts });
            out
        };
        records.chunks(100).enumerate().map(message).collect()
    });
    judge(candidate, Some(old))
}

/// A confirmation; `wall` tells them apart.
pub(crate) fn confirmation(serial: Serial, wall: u64) -> Confirmation {
    Confirmation { serial, wall, boot_ms: wall * 1000, boot_id: [3; 16], expire_in: 86_400 }
}

/// Opens for all zones.
pub(crate) fn open(folder: &Path) -> (Store, Opened) {
    Store::open(folder, [7; 16], |_| true, |_| {}).unwrap()
}

/// How many earlier versions are kept when a test does not say.
pub(crate) const KEEP: u32 = 4;

/// Commits and waits for the answer.
pub(crate) fn commit(store: &Store, checked: CheckedZone, wall: u64) -> Committed {
    commit_keeping(store, checked, wall, KEEP)
}

/// Commits with so many earlier versions and waits for the answer.
pub(crate) fn commit_keeping(store: &Store, checked: CheckedZone, wall: u64, keep: u32) -> Committed {
    let (tell, told) = channel();
    let confirmation = confirmation(checked.zone().serial(), wall);
    store.commit(checked, confirmation, keep, move |committed| tell.send(committed).unwrap());
    told.recv().unwrap()
}

/// Asks for what leads back from a zone and waits for it.
pub(crate) fn history(store: &Store, apex: &str) -> Option<History> {
    history_until(store, apex, |_| false).ok()
}

/// The same, as far back as is enough.
pub(crate) fn history_until(
    store: &Store,
    apex: &str,
    enough: impl FnMut(Serial) -> bool + Send + 'static,
) -> Result<History, String> {
    let (tell, told) = channel();
    store.history(&name(apex), enough, move |found| tell.send(found).unwrap());
    told.recv().unwrap()
}

/// The serials kept of a zone, oldest first.
pub(crate) fn serials(store: &Store, apex: &str) -> Vec<u32> {
    history(store, apex).map(|history| history.serials().map(|serial| serial.0).collect()).unwrap_or_default()
}

/// Confirms and waits for the answer.
pub(crate) fn confirm(store: &Store, apex: &str, confirmation: Confirmation) -> Result<(), String> {
    let (tell, told) = channel();
    store.confirm(&name(apex), confirmation, move |result| tell.send(result).unwrap());
    told.recv().unwrap()
}

/// Asks for a zone and waits for it.
pub(crate) fn restore(store: &Store, apex: &str) -> Option<Restored> {
    let (tell, told) = channel();
    store.restore(&name(apex), move |found| tell.send(found).unwrap());
    told.recv().unwrap()
}

/// All files below `folder`, by their path in it.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![folder.to_path_buf()];
    while let Some(next) = todo.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else if let Ok(octets) = fs::read(&path) {
                found.insert(path.strip_prefix(folder).unwrap().to_str().unwrap().into(), octets);
            }
        }
    }
    found
}

/// Writes such files into an empty folder: the state directory as a crash leaves it, without lock and shared memory.
pub(crate) fn lay(folder: &Path, files: &BTreeMap<String, Vec<u8>>) {
    for (path, octets) in files.iter().filter(|(path, _)| *path != "lock" && !path.ends_with("-shm")) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, octets).unwrap();
    }
}

/// The files as they are at one moment, while the store is open.
pub(crate) fn snapshot(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut last = files(folder);
    loop {
        let again = files(folder);
        if again == last {
            return last;
        }
        last = again;
    }
}
