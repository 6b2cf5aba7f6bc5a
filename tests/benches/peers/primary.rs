//! The primary's socket side: answers SOA, AXFR and IXFR, sends NOTIFY, and can play dead.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use interop::{Port, datagram};

use crate::message::{A, AXFR, IXFR, Message, Request, SOA};
use crate::stream::Stream;
use crate::zone::{self, APEX, FIRST_SERIAL, Rule};

const NOTIFY: u8 = 4;
/// A connection on which nothing is asked for so long is closed.
const IDLE: Duration = Duration::from_secs(30);
/// Nobody has acknowledged the last NOTIFY.
const NOBODY: u32 = u32::MAX;

/// A primary of one zone, in threads of this process.
#[derive(Debug)]
pub(crate) struct Primary {
    state: Arc<State>,
    udp: UdpSocket,
    port: Port,
}

#[derive(Debug)]
struct State {
    rule: Rule,
    stream: Stream,
    limit: usize,
    serial: AtomicU32,
    whole: AtomicBool,
    dead: AtomicBool,
    acknowledged: AtomicU32,
}

impl Primary {
    /// Starts it; messages of transfers have at most `limit` octets.
    ///
    /// # Errors
    /// Those of sockets.
    pub(crate) fn start(rule: Rule, limit: usize) -> io::Result<Self> {
        let stream = Stream::make(rule, limit);
        let port = Port::free();
        let state = Arc::new(State {
            rule,
            stream,
            limit,
            serial: AtomicU32::new(FIRST_SERIAL),
            whole: AtomicBool::new(false),
            dead: AtomicBool::new(false),
            acknowledged: AtomicU32::new(NOBODY),
        });
        let udp = UdpSocket::bind(port.at_loopback())?;
        let listener = TcpListener::bind(port.at_loopback())?;
        let (asked, answering) = (udp.try_clone()?, Arc::clone(&state));
        thread::spawn(move || answering.over_udp(&asked));
        let answering = Arc::clone(&state);
        thread::spawn(move || answering.over_tcp(&listener));
        Ok(Self { state, udp, port })
    }

    /// Where it answers.
    pub(crate) fn address(&self) -> SocketAddr {
        self.port.at_loopback()
    }

    /// The zone, as a full transfer.
    pub(crate) fn stream(&self) -> &Stream {
        &self.state.stream
    }

    /// The serial of the current version.
    pub(crate) fn serial(&self) -> u32 {
        self.state.serial.load(Ordering::SeqCst)
    }

    /// Makes the next version, in which all marks have changed, and tells its serial.
    pub(crate) fn change(&self) -> u32 {
        self.state.serial.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// From now on answers every IXFR with the whole zone (RFC 1995 §4), or with differences again.
    pub(crate) fn whole_only(&self, whole: bool) {
        self.state.whole.store(whole, Ordering::SeqCst);
    }

    /// Plays dead: no answer over UDP, and connections are closed at once. Or lives again.
    pub(crate) fn dead(&self, dead: bool) {
        self.state.dead.store(dead, Ordering::SeqCst);
    }

    /// Sends a NOTIFY; whether it arrived is told by [`Primary::acknowledged`].
    pub(crate) fn notify(&self, to: SocketAddr) {
        self.state.acknowledged.store(NOBODY, Ordering::SeqCst);
        let serial = self.serial();
        let id = serial.to_be_bytes();
        // A datagram that is lost is sent again when nobody acknowledges it.
        let _ = self.udp.send_to(&datagram::notify(u16::from_be_bytes([id[2], id[3]]), APEX), to);
    }

    /// Whether the last NOTIFY was acknowledged.
    pub(crate) fn acknowledged(&self) -> bool {
        self.state.acknowledged.load(Ordering::SeqCst) == self.serial() & 0xFFFF
    }
}

impl State {
    fn over_udp(&self, socket: &UdpSocket) {
        let mut buffer = [0; 4096];
        loop {
            // An error is a port that is closed at the other end: somebody else's affair.
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
            if let Some(answer) = buffer.get(..length).and_then(|octets| self.answer(octets)) {
                let _ = socket.send_to(&answer, from);
            }
        }
    }

    fn answer(&self, octets: &[u8]) -> Option<Vec<u8>> {
        let request = Request::read(octets)?;
        if request.response {
            if request.opcode == NOTIFY {
                self.acknowledged.store(request.id.into(), Ordering::SeqCst);
            }
            return None;
        }
        // RFC 1995 §2: over UDP the SOA alone sends an IXFR to TCP.
        let known = request.opcode == 0 && [SOA, IXFR].contains(&request.qtype);
        (known && !self.dead.load(Ordering::SeqCst)).then(|| self.current(request).octets().to_vec())
    }

    fn over_tcp(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming().flatten() {
            if self.dead.load(Ordering::SeqCst) {
                continue;
            }
            let state = Arc::clone(self);
            // A secondary that goes away in the middle ends its connection and nothing else.
            thread::spawn(move || state.connection(stream));
        }
    }

    fn connection(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(IDLE))?;
        loop {
            let mut length = [0; 2];
            stream.read_exact(&mut length)?;
            let mut octets = vec![0; u16::from_be_bytes(length).into()];
            stream.read_exact(&mut octets)?;
            let Some(request) = Request::read(&octets).filter(|request| !request.response) else {
                return Ok(());
            };
            let serial = self.serial.load(Ordering::SeqCst);
            match (request.qtype, request.from) {
                (SOA, _) => self.send(&self.current(request), &mut stream)?,
                (IXFR, Some(from)) if from == serial => self.send(&self.current(request), &mut stream)?,
                (IXFR, Some(from))
                    if (FIRST_SERIAL..serial).contains(&from) && !self.whole.load(Ordering::SeqCst) =>
                {
                    stream.write_all(&self.differences(request.id, from, serial))?;
                }
                (IXFR | AXFR, _) => self.stream.send(request.id, request.qtype, serial, &mut stream)?,
                _ => return Ok(()),
            }
        }
    }

    /// The SOA of the current version.
    fn current(&self, request: Request) -> Message {
        let mut message = Message::response(request.id, request.qtype);
        zone::put_soa(&mut message, self.serial.load(Ordering::SeqCst));
        message
    }

    fn send(&self, message: &Message, stream: &mut TcpStream) -> io::Result<()> {
        let mut frame = Vec::new();
        message.frame(&mut frame);
        stream.write_all(&frame)
    }

    /// RFC 1995 §4: the differences from one version to the next, one after the other.
    fn differences(&self, id: u16, from: u32, to: u32) -> Vec<u8> {
        let mut frames = Vec::new();
        let mut message = Message::response(id, IXFR);
        let mut put = |message: &mut Message, label: &str, rtype, rdata: &[u8]| {
            if message.length_with(label, rdata) > self.limit {
                message.frame(&mut frames);
                message.clear();
            }
            message.put(label, rtype, rdata);
        };
        put(&mut message, "", SOA, &zone::soa(to));
        // What is taken away at the old serial, what is added at the new one.
        for version in (from..to).flat_map(|version| [version, version + 1]) {
            put(&mut message, "", SOA, &zone::soa(version));
            for mark in 0..self.rule.marks {
                put(&mut message, &self.rule.mark(mark), A, &zone::mark_address(version));
            }
        }
        put(&mut message, "", SOA, &zone::soa(to));
        message.frame(&mut frames);
        frames
    }
}
