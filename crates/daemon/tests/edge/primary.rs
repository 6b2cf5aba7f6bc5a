//! A primary of a page: one content for every zone that it is asked for.

use std::collections::VecDeque;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use secondo_tsig::{Algorithm, Key, KeyRing, verify_request};

use crate::dns::{self, AXFR, IXFR, SOA};

/// A primary on a loopback port. Its threads end with the process.
#[derive(Clone)]
pub(crate) struct Primary {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

struct State {
    /// Whose requests are answered sealed; and by how many seconds its clock is ahead.
    seal: Option<(KeyRing, AtomicU64)>,
    serial: AtomicU32,
    /// The serial before: IXFR is answered with the difference from there, once there is one.
    before: AtomicU32,
    /// Records of 40 kB beside the SOA and the NS.
    bulk: usize,
    /// More records, whole; the same in every zone.
    more: Vec<Vec<u8>>,
    transfers: AtomicUsize,
    probes: AtomicUsize,
    /// Transfers stop after their first message as long as it is closed.
    gate: Mutex<bool>,
    opened: Condvar,
}

impl Primary {
    /// Answers everything with serial 1.
    pub(crate) fn start() -> Primary {
        Primary::with_bulk(0)
    }

    /// The same, with zones that are so many times 40 kB large.
    pub(crate) fn with_bulk(bulk: usize) -> Primary {
        Primary::with(sockets(ANYWHERE), bulk, None)
    }

    /// The same, with these records in every zone.
    pub(crate) fn with_records(more: Vec<Vec<u8>>) -> Primary {
        Primary::with_all(sockets(ANYWHERE), 0, more, None)
    }

    /// Where a primary may be started later.
    pub(crate) fn place() -> SocketAddr {
        let (tcp, _) = sockets(ANYWHERE);
        tcp.local_addr().unwrap()
    }

    /// Started there.
    pub(crate) fn start_at(place: SocketAddr) -> Primary {
        Primary::with(sockets(place), 0, None)
    }

    /// Sealed with the key `k.` of this secret.
    pub(crate) fn sealed(secret: &str) -> Primary {
        let key = Key::from_base64("k.".parse().unwrap(), Algorithm::HmacSha256, secret).unwrap();
        Primary::with(sockets(ANYWHERE), 0, Some(KeyRing::new([key])))
    }

    fn with(sockets: (TcpListener, UdpSocket), bulk: usize, keys: Option<KeyRing>) -> Primary {
        Primary::with_all(sockets, bulk, Vec::new(), keys)
    }

    fn with_all(
        (tcp, udp): (TcpListener, UdpSocket),
        bulk: usize,
        more: Vec<Vec<u8>>,
        keys: Option<KeyRing>,
    ) -> Primary {
        let state = Arc::new(State {
            seal: keys.map(|keys| (keys, AtomicU64::new(0))),
            serial: AtomicU32::new(1),
            before: AtomicU32::new(0),
            bulk,
            more,
            transfers: AtomicUsize::new(0),
            probes: AtomicUsize::new(0),
            gate: Mutex::new(true),
            opened: Condvar::new(),
        });
        let primary = Primary { address: tcp.local_addr().unwrap(), state };
        let (over_udp, over_tcp) = (primary.clone(), primary.clone());
        thread::spawn(move || over_udp.serve_udp(&udp));
        thread::spawn(move || {
            for stream in tcp.incoming() {
                let primary = over_tcp.clone();
                thread::spawn(move || primary.serve_tcp(stream.unwrap()));
            }
        });
        primary
    }

    /// What the zones are at from now on.
    pub(crate) fn set_serial(&self, serial: u32) {
        self.state.serial.store(serial, SeqCst);
    }

    /// The same, with a difference that leads there from where they are.
    pub(crate) fn change(&self, serial: u32) {
        self.state.before.store(self.state.serial.swap(serial, SeqCst), SeqCst);
    }

    /// Whether transfers get beyond their first message.
    pub(crate) fn set_gate(&self, open: bool) {
        *self.state.gate.lock().unwrap() = open;
        self.state.opened.notify_all();
    }

    /// Its clock is so many seconds ahead.
    pub(crate) fn set_clock(&self, ahead: u64) {
        self.state.seal.as_ref().unwrap().1.store(ahead, SeqCst);
    }

    /// Seals the answers to a request, if it should; `None` for a bad seal.
    fn seal(&self, request: &[u8], answers: &mut VecDeque<Vec<u8>>) -> Option<()> {
        let Some((keys, ahead)) = &self.state.seal else { return Some(()) };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut seal = verify_request(request, keys, now).ok()??;
        for answer in answers {
            seal.sign(answer, 0, now + ahead.load(SeqCst));
        }
        Some(())
    }

    /// Transfers asked for so far.
    pub(crate) fn transfers(&self) -> usize {
        self.state.transfers.load(SeqCst)
    }

    /// SOA queries so far.
    pub(crate) fn probes(&self) -> usize {
        self.state.probes.load(SeqCst)
    }

    fn serve_udp(&self, socket: &UdpSocket) {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            self.state.probes.fetch_add(1, SeqCst);
            let (opening, zone, _) = question(&buffer[..length]);
            let mut answers = VecDeque::from([answer(&opening, &[self.soa(&zone)])]);
            if self.seal(&buffer[..length], &mut answers).is_some() {
                let _ = socket.send_to(&answers[0], from);
            }
        }
    }

    fn serve_tcp(&self, mut stream: TcpStream) {
        while let Ok(Some(request)) = dns::read(&mut stream) {
            let (opening, zone, qtype) = question(&request);
            let mut messages = VecDeque::from([answer(&opening, &[self.soa(&zone)])]);
            let before = self.state.before.load(SeqCst);
            if qtype == SOA {
                self.state.probes.fetch_add(1, SeqCst);
            } else if qtype == IXFR && before > 0 {
                self.state.transfers.fetch_add(1, SeqCst);
                // RFC 1995 §4: nothing but the serial changed.
                let step = [soa(&zone, before), self.soa(&zone), self.soa(&zone)];
                messages.push_back(answer(&opening, &step));
            } else {
                self.state.transfers.fetch_add(1, SeqCst);
                messages.push_back(answer(&opening, &[record(&zone, 2, &dns::name("ns.test."))]));
                let text = [&[250_u8][..], &[b'x'; 250]].concat().repeat(160);
                for n in 0..self.state.bulk {
                    let label = format!("n{n}");
                    let owner = [&[label.len() as u8], label.as_bytes(), &zone].concat();
                    messages.push_back(answer(&opening, &[record(&owner, 16, &text)]));
                }
                messages.extend(
                    self.state.more.iter().map(|record| answer(&opening, std::slice::from_ref(record))),
                );
                messages.push_back(answer(&opening, &[self.soa(&zone)]));
            }
            if self.seal(&request, &mut messages).is_none() {
                return;
            }
            for (n, message) in messages.into_iter().enumerate() {
                if n > 0 {
                    let gate = self.state.gate.lock().unwrap();
                    drop(self.state.opened.wait_while(gate, |open| !*open).unwrap());
                }
                if stream.write_all(&dns::framed(&message)).is_err() {
                    return;
                }
            }
        }
    }

    fn soa(&self, zone: &[u8]) -> Vec<u8> {
        soa(zone, self.state.serial.load(SeqCst))
    }
}

/// The SOA of every zone, at a serial.
pub(crate) fn soa(zone: &[u8], serial: u32) -> Vec<u8> {
    let mut rdata = [dns::name("ns.test."), dns::name("mail.test.")].concat();
    // REFRESH, RETRY, EXPIRE, MINIMUM.
    for number in [serial, 3600, 600, 86_400, 60] {
        rdata.extend(number.to_be_bytes());
    }
    record(zone, SOA, &rdata)
}

const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// TCP and UDP on one port.
fn sockets(place: SocketAddr) -> (TcpListener, UdpSocket) {
    loop {
        let tcp = TcpListener::bind(place).unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
            return (tcp, udp);
        }
    }
}

/// Header and question of a request as its answer has them, and the zone and type asked for.
fn question(request: &[u8]) -> (Vec<u8>, Vec<u8>, u16) {
    let end = 12 + request[12..].iter().position(|&octet| octet == 0).unwrap() + 1;
    let qtype = u16::from_be_bytes([request[end], request[end + 1]]);
    // AA; one question.
    let mut opening = [&request[..2], &[0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    opening.extend(&request[12..end + 4]);
    assert!([SOA, AXFR, IXFR].contains(&qtype));
    (opening, request[12..end].to_vec(), qtype)
}

fn answer(opening: &[u8], records: &[Vec<u8>]) -> Vec<u8> {
    let mut message = opening.to_vec();
    message[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
    message.extend(records.concat());
    message
}

pub(crate) fn record(owner: &[u8], rtype: u16, rdata: &[u8]) -> Vec<u8> {
    let fixed =
        [&rtype.to_be_bytes()[..], &[0, 1, 0, 0, 0, 60], &(rdata.len() as u16).to_be_bytes()].concat();
    [owner, &fixed, rdata].concat()
}
