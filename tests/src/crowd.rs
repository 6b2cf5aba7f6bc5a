//! A primary of many small zones, and of one zone with all their names: answers SOA and AXFR. All of them change at once.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use crate::Port;
use crate::types::wire_name;

const A: u16 = 1;
const NS: u16 = 2;
const SOA: u16 = 6;
const IXFR: u16 = 251;
const AXFR: u16 = 252;

/// The serial of the first version of all zones.
pub const FIRST_SERIAL: u32 = 1;

/// The one zone; the many are below it.
pub const APEX: &str = "many.example.";
/// Hosts of each of the many zones, which have a SOA and an NS record, too.
pub const HOSTS: u32 = 8;
/// Records of each of the many zones, and as many hosts in the one zone instead.
pub const RECORDS: u32 = HOSTS + 2;

/// Octets after which a message of a transfer is sent.
const MESSAGE: usize = 16 << 10;
const HEADER: usize = 12;
/// A pointer to the name in the question (RFC 1035 §4.1.4).
const APEX_POINTER: [u8; 2] = [0xC0, 12];

/// The name of one of the many zones.
pub fn apex(number: u32) -> String {
    format!("{}{APEX}", below(number))
}

fn below(number: u32) -> String {
    format!("z{number:07}.")
}

/// It runs, in threads of this process, until the process ends.
#[derive(Debug)]
pub struct Crowd {
    port: Port,
    serial: Arc<AtomicU32>,
}

impl Crowd {
    /// Starts it; `zones` are the small ones.
    ///
    /// # Errors
    /// Those of sockets.
    pub fn start(zones: u32) -> io::Result<Self> {
        let (port, serial) = (Port::free(), Arc::new(AtomicU32::new(FIRST_SERIAL)));
        let udp = UdpSocket::bind(port.at_loopback())?;
        let tcp = TcpListener::bind(port.at_loopback())?;
        let current = Arc::clone(&serial);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                // An error is a port that is closed at the other end: somebody else's affair.
                let Ok((length, from)) = udp.recv_from(&mut buffer) else { continue };
                let question = buffer.get(..length).and_then(|octets| Question::read(octets, &current));
                if let Some(question) = question.filter(|question| question.qtype != AXFR) {
                    let mut answer = question.head();
                    question.put_soa(&mut answer);
                    let _ = udp.send_to(&answer, from);
                }
            }
        });
        let current = Arc::clone(&serial);
        thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                let current = Arc::clone(&current);
                // A secondary that goes away ends its connection and nothing else.
                thread::spawn(move || connection(stream, zones, &current));
            }
        });
        Ok(Self { port, serial })
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.port.at_loopback()
    }

    /// All zones have a new version; its serial.
    pub fn change(&self) -> u32 {
        self.serial.fetch_add(1, Ordering::SeqCst) + 1
    }
}

fn connection(mut stream: TcpStream, zones: u32, serial: &AtomicU32) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut octets = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut octets)?;
        let Some(question) = Question::read(&octets, serial) else { return Ok(()) };
        let mut answer = question.head();
        question.put_soa(&mut answer);
        if question.qtype == AXFR || question.qtype == IXFR {
            question.put_zone(&mut answer, zones, &mut stream)?;
        }
        send(&answer, &mut stream)?;
    }
}

fn send(message: &[u8], stream: &mut TcpStream) -> io::Result<()> {
    let length = u16::try_from(message.len()).expect("messages are sent long before they are full");
    stream.write_all(&[&length.to_be_bytes(), message].concat())
}

/// What is asked: the header's ID, a name as it stands, and a type; and of which version the answer tells.
#[derive(Debug)]
struct Question {
    id: [u8; 2],
    serial: u32,
    name: Vec<u8>,
    qtype: u16,
    whole: bool,
}

impl Question {
    /// `None` for what is none, such as the response to a NOTIFY.
    fn read(octets: &[u8], serial: &AtomicU32) -> Option<Self> {
        if octets.get(2)? & 0x80 != 0 {
            return None;
        }
        let serial = serial.load(Ordering::SeqCst);
        let from = octets.get(HEADER..)?;
        let mut length = 0;
        while *from.get(length)? != 0 {
            length += 1 + usize::from(from[length]);
        }
        let (name, rest) = from.split_at_checked(length + 1)?;
        let qtype = u16::from_be_bytes(*rest.first_chunk()?);
        let whole = name.eq_ignore_ascii_case(&wire_name(APEX));
        Some(Self { id: *octets.first_chunk()?, serial, name: name.to_vec(), qtype, whole })
    }

    /// A response to it without records.
    fn head(&self) -> Vec<u8> {
        let mut message = self.id.to_vec();
        // RFC 1035 §4.1.1: QR and AA; one question.
        message.extend([0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        message.extend(&self.name);
        message.extend(self.qtype.to_be_bytes());
        message.extend([0, 1]);
        message
    }

    fn put_soa(&self, message: &mut Vec<u8>) {
        // Timers so long that only a NOTIFY makes a secondary move.
        let mut rdata = b"\x03ns1\xC0\x0C\x0Ahostmaster\xC0\x0C".to_vec();
        for number in [self.serial, 7200, 900, 1_209_600, 300] {
            rdata.extend(number.to_be_bytes());
        }
        put(message, "", SOA, &rdata);
    }

    /// All that stands between the SOA, which is there, and the one that closes a transfer (RFC 5936 §2.2). What does
    /// not fit into the message at hand is sent in others.
    fn put_zone(&self, message: &mut Vec<u8>, zones: u32, stream: &mut TcpStream) -> io::Result<()> {
        put(message, "", NS, b"\x03ns1\xC0\x0C");
        if self.whole {
            for zone in 0..zones {
                for host in 0..RECORDS {
                    put_host(message, host, &below(zone));
                }
                if message.len() > MESSAGE {
                    send(message, stream)?;
                    *message = self.head();
                }
            }
        } else {
            (0..HOSTS).for_each(|host| put_host(message, host, ""));
        }
        self.put_soa(message);
        Ok(())
    }
}

fn put_host(message: &mut Vec<u8>, host: u32, below: &str) {
    let [.., number] = host.to_be_bytes();
    put(message, &format!("h{host}.{below}"), A, &[192, 0, 2, number]);
}

/// Adds a record; `owner` is relative to the zone, each label with its dot.
fn put(message: &mut Vec<u8>, owner: &str, rtype: u16, rdata: &[u8]) {
    for label in owner.split_terminator('.') {
        message.push(u8::try_from(label.len()).expect("labels have at most 63 octets"));
        message.extend(label.as_bytes());
    }
    message.extend(APEX_POINTER);
    message.extend(rtype.to_be_bytes());
    message.extend([0, 1, 0, 0, 0x0E, 0x10]);
    message.extend(u16::try_from(rdata.len()).expect("RDATA is short").to_be_bytes());
    message.extend(rdata);
    let count = u16::from_be_bytes([message[6], message[7]]) + 1;
    message[6..8].copy_from_slice(&count.to_be_bytes());
}
