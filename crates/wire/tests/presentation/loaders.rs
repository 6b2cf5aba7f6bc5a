//! The servers that dumps are made for load every type in many values, and have the same octets afterwards.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use secondo_wire::text::put_record;
use secondo_wire::{Message, Name, NameBuf, NameRef, Rcode, RecordType, rdata, read_name};

use crate::common::name;
use crate::valid::{own_types, valid_rdata};

/// Values of each type that is written in its own form.
const VALUES: usize = 25;
/// The other programs are given this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Owner, type, TTL and data, names in lower case where comparison does not see it (RFC 4034 §6.2).
type Entry = (Vec<u8>, u16, u32, Vec<u8>);

/// A zone as text, and what stands in it.
struct Specimen {
    text: String,
    entries: BTreeSet<Entry>,
}

const APEX: &str = "types.test.";

impl Specimen {
    fn of(soa: &[u8]) -> Specimen {
        let mut zone = Specimen { text: String::new(), entries: BTreeSet::new() };
        zone.push(&parse(APEX), RecordType::SOA, 3600, soa);
        zone.push(&parse(APEX), RecordType::NS, 3600, parse("ns.elsewhere.test.").as_wire());
        zone
    }

    /// Every type in many values, each at a name of its own.
    fn of_all_types() -> Specimen {
        let mut runner = TestRunner::deterministic();
        let soa = valid_rdata(RecordType::SOA).unwrap().new_tree(&mut runner).unwrap().current();
        let mut zone = Specimen::of(&soa);
        for rtype in own_types().into_iter().filter(|&rtype| rtype != RecordType::SOA) {
            let values = (valid_rdata(rtype).unwrap(), name(), 0u32..1 << 31);
            for i in 0..VALUES {
                let (rdata, odd, ttl) = values.new_tree(&mut runner).unwrap().current();
                zone.push(&owner(rtype, i, &odd), rtype, ttl, &rdata);
            }
        }
        zone.push_others();
        zone
    }

    /// Types that have no form of their own, and data of others that has to be written as octets.
    fn push_others(&mut self) {
        let all: Vec<u8> = (0..=255).collect();
        let others: &[(u16, &[u8])] = &[
            (65_280, b""),
            (65_281, &all),
            (10, b"\0"),
            (11, b"\xC0\0\x02\x01\x06\0\0\0\x40"),
            (19, b"\x0c311061700956"),
            (20, b"\x0f150862028003217\x03004"),
            (22, b"\x47\0\x05"),
            (24, b"\0\x01\x0d\x02\0\0\x0e\x10\x70\0\0\0\x60\0\0\0\x12\x34\0\x07"),
            (26, b"\0\x0a\x01a\0\x01b\0"),
            (27, b"\x011\x011\x011"),
            (56, b"\x04info"),
            (66, b"\0\x3b\x01\0\x35\x01a\0"),
            (256, b"\0\x01\0\x01\xFF\n\"\\"),
            (257, b"\0\x05Issuea"),
            (64, b"\0\x01\0\0\x05\0\0"),
            (64, b"\0\x01\0\0\x01\0\x05\x01a\x02h2"),
            (64, b"\0\x01\0\0\x01\0\x05\x04a,\\\""),
            (46, b"\0\x01\x0d\x02\x80\0\0\x01\x70\0\0\0\x60\0\0\0\x12\x34\0\x07"),
            (99, b"\x01a\x01b\0"),
            (45, b"\x0a\x03\x02\x03a\\.\0\x07"),
            (45, b"\x0a\0\0\x07"),
            (50, b"\x01\0\0\0\0\x14hashhashhashhashhash"),
        ];
        for (i, &(rtype, rdata)) in others.iter().enumerate() {
            self.push(&owner(RecordType(rtype), VALUES + i, &Name::root()), RecordType(rtype), 1, rdata);
        }
    }

    /// Data as long as a message holds, and lists of types on both sides of the bound.
    fn of_long_data() -> Specimen {
        let all: Vec<u8> = (0..=255).collect();
        let long = |head: &[u8]| [head, &all.repeat(200)].concat();
        let windows = |count: u8| (1..=count).flat_map(|number| [&[number, 32][..], &[0xFF; 32]].concat());
        let a_thousand = [vec![0], windows(3).collect(), vec![9, 29], vec![0xFF; 29]].concat();
        let values = [
            (RecordType(65_282), all.repeat(240)),
            (RecordType::URI, long(b"\0\x01\0\x01")),
            (RecordType::CAA, long(b"\0\x05issue")),
            (RecordType::DNSKEY, long(b"\x01\x01\x03\x08")),
            (RecordType::TLSA, long(b"\x01\x01\0")),
            (RecordType::TXT, [&[255], &all[1..]].concat().repeat(200)),
            (RecordType::TXT, vec![0; 30_000]),
            (RecordType::NSEC, a_thousand),
            (RecordType::NSEC, [0].into_iter().chain(windows(200)).collect()),
        ];
        let mut zone = Specimen::of(&[0; 22]);
        for (i, (rtype, rdata)) in values.iter().enumerate() {
            zone.push(&owner(*rtype, i, &Name::root()), *rtype, 1, rdata);
        }
        zone
    }

    fn push(&mut self, owner: &Name, rtype: RecordType, ttl: u32, rdata: &[u8]) {
        let mut line = Vec::new();
        put_record(&mut line, owner.as_ref(), ttl, rtype, rdata);
        writeln!(self.text, "{}", String::from_utf8(line).unwrap()).unwrap();
        assert!(
            self.entries.insert(entry(owner.as_wire(), rtype.0, ttl, rdata)),
            "a record stands there twice"
        );
    }

    fn assert_equals(&self, found: &BTreeSet<Entry>, who: &str) {
        let show = |entry: &&Entry| format!("{}\n  {entry:02x?}\n", shown(entry));
        let lost: String = self.entries.difference(found).take(5).map(|e| show(&e)).collect();
        let new: String = found.difference(&self.entries).take(5).map(|e| show(&e)).collect();
        assert!(lost.is_empty() && new.is_empty(), "{who} lost:\n{lost}and has instead:\n{new}");
    }
}

fn parse(name: &str) -> Name {
    Name::parse(name).unwrap()
}

fn shown((owner, rtype, ttl, rdata): &Entry) -> String {
    let mut line = Vec::new();
    put_record(&mut line, Name::from_wire(owner).unwrap().as_ref(), *ttl, RecordType(*rtype), rdata);
    String::from_utf8(line).unwrap()
}

/// A name that no other record has and that has the odd one's first label, where the type permits.
fn owner(rtype: RecordType, number: usize, odd: &Name) -> Name {
    // RFC 5155 §3: hashed names.
    if rtype == RecordType::NSEC3 {
        return parse(&format!("{number:032}.{APEX}"));
    }
    let own = parse(&format!("n{number}.{rtype}.{APEX}"));
    // RFC 4592 §4.2: servers do not want delegations at wildcards.
    let first = odd.as_ref().labels().next().filter(|_| rtype != RecordType::NS);
    let mut wire = first.map(|label| [&[label.len() as u8], label].concat()).unwrap_or_default();
    wire.extend(own.as_wire());
    Name::from_wire(&wire).unwrap()
}

fn entry(owner: &[u8], rtype: u16, ttl: u32, octets: &[u8]) -> Entry {
    let mut canonical = Vec::new();
    rdata::canonical(RecordType(rtype), octets, &mut canonical);
    // RFC 6840 §5.1 keeps the case of the names in these; comparison does not see it there either.
    if let RecordType::NSEC | RecordType::LP | RecordType::SVCB | RecordType::HTTPS = RecordType(rtype) {
        let start = if rtype == RecordType::NSEC.0 { 0 } else { 2 };
        let length = NameRef::split_from(&octets[start..]).unwrap().0.as_wire().len();
        canonical[start..start + length].make_ascii_lowercase();
    }
    // RFC 4034 §3: the TTL of a signature is that of what it covers, and Knot DNS sees to that.
    let ttl = if rtype == RecordType::RRSIG.0 { 0 } else { ttl };
    (owner.to_ascii_lowercase(), rtype, ttl, canonical)
}

/// Where the programs are that a test needs. A missing one is said loudly and the test skipped, or the test fails when
/// `SECONDO_TESTS_REQUIRE_PEERS` is `1`.
fn programs<const N: usize>(names: [&str; N]) -> Option<[PathBuf; N]> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    let folders: Vec<PathBuf> = std::env::split_paths(&path).chain(system).collect();
    let find = |name: &str| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file());
    let missing: Vec<&str> = names.into_iter().filter(|name| find(name).is_none()).collect();
    if missing.is_empty() {
        return Some(names.map(|name| find(name).unwrap()));
    }
    let test = std::thread::current();
    let test = test.name().unwrap_or("a test");
    let line = format!("SKIPPED: {test}: this machine has no {}\n", missing.join(", "));
    assert!(std::env::var("SECONDO_TESTS_REQUIRE_PEERS").as_deref() != Ok("1"), "{line}");
    // Written past the test runner's capture, which would hide it because the test counts as passed.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("SECONDO_TESTS_SKIPPED")
        && let Ok(mut file) = std::fs::File::options().create(true).append(true).open(path)
    {
        let _ = file.write_all(line.as_bytes());
    }
    None
}

fn run(program: &Path, arguments: &[&str]) -> String {
    let done = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let end = said.len().saturating_sub(3000);
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{}: {errors}\n{}", program.display(), &said[end..]);
    said
}

/// What BIND has after loading the text.
fn loaded_by_bind(compiler: &Path, text: &str, folder: &Path) -> BTreeSet<Entry> {
    let (zone, raw) = (folder.join("bind.zone"), folder.join("bind.raw"));
    std::fs::write(&zone, text).unwrap();
    let (zone, raw) = (zone.to_str().unwrap(), raw.to_str().unwrap());
    // Checks of the content off: it is about the form.
    let checks =
        ["-i", "none", "-k", "ignore", "-m", "ignore", "-n", "ignore", "-r", "ignore", "-T", "ignore"];
    run(compiler, &[&checks[..], &["-F", "raw=0", "-o", raw, APEX, zone]].concat());
    let raw = std::fs::read(raw).unwrap();
    // Format and version, the time of the dump; then RRsets: length, class, type, type covered, TTL, count, owner, data.
    let mut rest = &raw[12..];
    let mut entries = BTreeSet::new();
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let (set, later) = rest.split_at(length);
        let [rtype, size] = [6, 18].map(|at| u16::from_be_bytes([set[at], set[at + 1]]));
        let [ttl, count] = [10, 14].map(|at| u32::from_be_bytes(set[at..at + 4].try_into().unwrap()));
        let (owner, mut records) = set[20..].split_at(usize::from(size));
        for _ in 0..count {
            let (rdata, more) =
                records[2..].split_at(usize::from(u16::from_be_bytes([records[0], records[1]])));
            entries.insert(entry(owner, rtype, ttl, rdata));
            records = more;
        }
        rest = later;
    }
    entries
}

#[test]
fn bind_loads_every_type_as_the_same_octets() {
    let Some([compiler]) = programs(["named-compilezone"]) else { return };
    let folder = tempfile::tempdir().unwrap();

    let zone = Specimen::of_all_types();
    zone.assert_equals(&loaded_by_bind(&compiler, &zone.text, folder.path()), "BIND");
}

/// A server that is ended with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // With what it forked.
        let _ = killpg(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

/// What a server serves after loading the text. `configuration` is made of the address and the folder, in which the
/// zone file is named `zone`.
fn served(
    program: &Path,
    options: &[&str],
    text: &str,
    configuration: impl Fn(SocketAddr, &str) -> String,
) -> BTreeSet<Entry> {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("zone"), text).unwrap();
    // A port at an address that nobody else takes, so that it stays free until the server binds it.
    let [.., high, low] = std::process::id().to_be_bytes();
    let free = TcpListener::bind((format!("127.{}.{low}.53", high.max(1)), 0)).unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    std::fs::write(at("configuration"), configuration(address, folder.path().to_str().unwrap())).unwrap();
    // Run from our folder: where programs are confined by their path, the installed one may not write here.
    std::fs::copy(program, at("server")).unwrap();
    let log = std::fs::File::create(at("log")).unwrap();
    let mut command = Command::new(at("server"));
    command.args(options).arg("-c").arg(at("configuration")).stdin(Stdio::null()).process_group(0);
    let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    let mut server = Server(child);
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = TcpStream::connect(address).ok().and_then(transferred) {
            return found;
        }
        let runs = matches!(server.0.try_wait(), Ok(None));
        let said = std::fs::read_to_string(at("log")).unwrap();
        assert!(runs && Instant::now() < until && !said.contains("error:"), "{said}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn nsd_loads_every_type_as_the_same_octets() {
    let Some([server]) = programs(["nsd"]) else { return };
    let zone = Specimen::of_all_types();
    let configuration = |address: SocketAddr, folder: &str| {
        format!(
            "server:\n  ip-address: {}@{}\n  server-count: 1\n  username: \"\"\n  zonesdir: \"{folder}\"\n  \
             database: \"\"\n  zonelistfile: \"{folder}/zone.list\"\n  xfrdfile: \"{folder}/xfrd.state\"\n  \
             xfrdir: \"{folder}\"\n  pidfile: \"{folder}/nsd.pid\"\nremote-control:\n  control-enable: no\n\
             zone:\n  name: {APEX}\n  zonefile: zone\n  provide-xfr: 127.0.0.0/8 NOKEY\n",
            address.ip(),
            address.port(),
        )
    };
    zone.assert_equals(&served(&server, &["-d"], &zone.text, configuration), "NSD");
}

#[test]
fn nsd_loads_long_data_as_the_same_octets() {
    let Some([checker, compiler]) = programs(["nsd-checkzone", "named-compilezone"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let zone = Specimen::of_long_data();
    let file = folder.path().join("zone");
    std::fs::write(&file, &zone.text).unwrap();
    // NSD transfers no record of more than 16 KiB. It prints what it has loaded, and BIND says which octets that is.
    let printed = run(&checker, &["-p", APEX, file.to_str().unwrap()]);
    zone.assert_equals(&loaded_by_bind(&compiler, &printed, folder.path()), "NSD");
}

#[test]
fn knot_loads_every_type_as_the_same_octets() {
    let Some([server]) = programs(["knotd"]) else { return };
    let configuration = |address: SocketAddr, folder: &str| {
        format!(
            "server:\n  listen: {}@{}\n  rundir: \"{folder}\"\ncontrol:\n  listen: \"{folder}/knot.sock\"\n\
             log:\n  - target: stderr\n    any: info\n\
             database:\n  storage: \"{folder}\"\n  journal-db-max-size: 10M\n  kasp-db-max-size: 10M\n  \
             timer-db-max-size: 10M\n  catalog-db-max-size: 10M\nacl:\n  - id: all\n    action: transfer\n\
             zone:\n  - domain: {APEX}\n    storage: \"{folder}\"\n    file: zone\n    acl: all\n    \
             zonefile-sync: -1\n    journal-content: none\n    semantic-checks: off\n",
            address.ip(),
            address.port(),
        )
    };
    for zone in [Specimen::of_all_types(), Specimen::of_long_data()] {
        zone.assert_equals(&served(&server, &[], &zone.text, configuration), "Knot DNS");
    }
}

/// All records of the zone, by AXFR (RFC 5936); `None` while the server does not have it.
fn transferred(mut stream: TcpStream) -> Option<BTreeSet<Entry>> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let question = [parse(APEX).as_wire(), &RecordType::AXFR.0.to_be_bytes(), &1u16.to_be_bytes()].concat();
    let query = [&[0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &question].concat();
    stream.write_all(&[&(query.len() as u16).to_be_bytes()[..], &query].concat()).unwrap();
    let (mut entries, mut soas) = (BTreeSet::new(), 0);
    while soas < 2 {
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut octets).unwrap();
        let message = Message::new(&octets).unwrap();
        if message.header.rcode() != Rcode::NOERROR {
            assert!(entries.is_empty(), "the transfer breaks off");
            return None;
        }
        for record in message.records().unwrap() {
            let record = record.unwrap();
            let (mut owner, mut rdata) = (NameBuf::new(), Vec::new());
            read_name(&octets, record.owner, &mut owner).unwrap();
            rdata::expand(record.rtype, &octets, record.rdata, record.end, &mut rdata).unwrap();
            soas += usize::from(record.rtype == RecordType::SOA);
            entries.insert(entry(owner.as_ref().as_wire(), record.rtype.0, record.ttl, &rdata));
        }
    }
    Some(entries)
}
