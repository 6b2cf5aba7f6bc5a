//! A client with questions: one answer over UDP (over TCP when it is truncated), or a whole zone.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use secondo_transfer::{Arrived, Request, Session, Step, Want};
use secondo_tsig::Key;
use secondo_wire::{
    CLASS_IN, Compressor, Header, MAX_MESSAGE, Message, Name, NameBuf, RecordType, Section, Writer,
    edns::{Opt, option},
    flags, rdata, read_name,
};
use secondo_zone::{BorderSecret, Limits, Zone};

use crate::Rr;
use crate::notify::unix_now;

/// What a server answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The response code, 12 bits.
    pub rcode: u16,
    /// AA.
    pub authoritative: bool,
    /// Records of the answer section.
    pub answers: Vec<Rr>,
    /// Records of the authority section.
    pub authority: Vec<Rr>,
    /// Extended errors, code and text (RFC 8914 §2).
    pub errors: Vec<(u16, String)>,
}

/// Asks `server`, with EDNS; waits at most `wait` for an answer.
pub fn ask(server: SocketAddr, name: &Name, rtype: RecordType, wait: Duration) -> io::Result<Answer> {
    let id = rand::random();
    let question = question(id, name, rtype);
    let answer = over_udp(server, &question, id, wait)?;
    let truncated = Header::read(&answer).is_some_and(|header| header.has(flags::TC));
    let answer = if truncated { over_tcp(server, &question, wait)? } else { answer };
    read(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is malformed"))
}

/// Fetches a whole zone (RFC 5936); each read waits at most `wait`.
pub fn fetch(server: SocketAddr, apex: &Name, key: Option<&Key>, wait: Duration) -> io::Result<Zone> {
    let (mut session, question) = Session::new(Request {
        zone: apex,
        want: Want::Axfr,
        current: None,
        secret: &BorderSecret::new(crate::master::SECRET),
        limits: Limits::default(),
        key,
        id: rand::random(),
        edns: true,
        unix_now: unix_now(),
        forced: false,
    });
    let mut stream = connect(server, wait)?;
    send(&mut stream, &question)?;
    loop {
        let message = receive(&mut stream)?;
        match session.receive(&message, unix_now()).map_err(io::Error::other)? {
            Step::More => {}
            Step::Done(Arrived::Candidate(candidate)) => return Ok(candidate.zone().clone()),
            Step::Done(Arrived::UpToDate { .. }) => return Err(io::Error::other("no zone arrived")),
        }
    }
}

fn question(id: u16, name: &Name, rtype: RecordType) -> Vec<u8> {
    let (mut out, mut compressor) = (Vec::new(), Compressor::exact());
    let mut writer = Writer::new(&mut out, &mut compressor, 512);
    writer.question(name.as_ref(), rtype, CLASS_IN).expect("a question fits");
    // RFC 6891 §6.1.2: root, OPT, payload 1232, no flags, no options.
    writer.octets(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]).expect("an empty OPT fits");
    writer.finish(Header { id, flags: 0, counts: [1, 0, 0, 1] });
    out
}

fn over_udp(server: SocketAddr, question: &[u8], id: u16, wait: Duration) -> io::Result<Vec<u8>> {
    let local: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(local)?;
    socket.connect(server)?;
    socket.send(question)?;
    let deadline = Instant::now() + wait;
    let mut buffer = vec![0; MAX_MESSAGE];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        let length = socket.recv(&mut buffer)?;
        if Header::read(&buffer[..length]).is_some_and(|h| h.id == id && h.has(flags::QR)) {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

fn over_tcp(server: SocketAddr, question: &[u8], wait: Duration) -> io::Result<Vec<u8>> {
    let mut stream = connect(server, wait)?;
    send(&mut stream, question)?;
    receive(&mut stream)
}

fn connect(server: SocketAddr, wait: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&server, wait)?;
    stream.set_read_timeout(Some(wait))?;
    stream.set_write_timeout(Some(wait))?;
    Ok(stream)
}

fn send(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    // RFC 7766 §8: length and message in one write.
    stream.write_all(&[&length.to_be_bytes(), message].concat())
}

fn receive(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(message)
}

/// Reads a message; `None` when it is malformed.
fn read(octets: &[u8]) -> Option<Answer> {
    let message = Message::new(octets).ok()?;
    let mut answer = Answer {
        rcode: message.header.rcode().0,
        authoritative: message.header.has(flags::AA),
        ..Answer::default()
    };
    let mut owner = NameBuf::new();
    for record in message.records().ok()? {
        let record = record.ok()?;
        if (record.section, record.rtype) == (Section::Additional, RecordType::OPT) {
            let opt = Opt::new(record.class, record.ttl, octets.get(record.rdata..record.end)?)?;
            answer.rcode |= u16::from(opt.extended_rcode) << 4;
            answer.errors = opt.options().filter(|o| o.0 == option::EDE).filter_map(|o| error(o.1)).collect();
            continue;
        }
        let section = match record.section {
            Section::Answer => &mut answer.answers,
            Section::Authority => &mut answer.authority,
            Section::Additional => continue,
        };
        read_name(octets, record.owner, &mut owner).ok()?;
        let mut data = Vec::new();
        rdata::expand(record.rtype, octets, record.rdata, record.end, &mut data).ok()?;
        section.push(Rr {
            owner: owner.as_ref().to_owned(),
            rtype: record.rtype,
            class: record.class,
            ttl: record.ttl,
            rdata: data,
        });
    }
    Some(answer)
}

/// An extended error: code and text (RFC 8914 §2).
fn error(option: &[u8]) -> Option<(u16, String)> {
    let (code, text) = option.split_first_chunk()?;
    Some((u16::from_be_bytes(*code), String::from_utf8_lossy(text).into_owned()))
}
