//! Messages byte by byte: what is sent here is what is meant, were it wrong.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use secondo_wire::Message;
use secondo_wire::edns::Opt;
use socket2::{Domain, Socket, Type};

/// Longer than anything here takes on a machine that has other things to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const NS: u16 = 2;
pub(crate) const SOA: u16 = 6;
pub(crate) const IXFR: u16 = 251;
pub(crate) const AXFR: u16 = 252;

/// A name in wire form.
pub(crate) fn name(text: &str) -> Vec<u8> {
    let labels = text.split('.').filter(|label| !label.is_empty());
    let mut wire: Vec<u8> =
        labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
    wire.push(0);
    wire
}

/// A query of class IN without EDNS.
pub(crate) fn query(id: u16, qname: &str, qtype: u16) -> Vec<u8> {
    let header = [&id.to_be_bytes()[..], &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    [&header[..], &name(qname), &qtype.to_be_bytes(), &[0, 1]].concat()
}

/// A query as given, with an OPT record that holds these options, and DO.
pub(crate) fn edns(mut query: Vec<u8>, options: &[u8]) -> Vec<u8> {
    query[11] += 1;
    let length = (options.len() as u16).to_be_bytes();
    [&query[..], &[0, 0, 41, 4, 208, 0, 0, 0x80, 0], &length, options].concat()
}

/// An option with its code and length before it.
pub(crate) fn option(code: u16, value: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat()
}

/// The value of an option in an answer whose last record is OPT, and the whole response code.
pub(crate) fn told(answer: &[u8], code: u16) -> (u16, Option<Vec<u8>>) {
    let message = Message::new(answer).unwrap();
    let last = message.records().unwrap().map(Result::unwrap).last().expect("no OPT record");
    let opt = Opt::new(last.class, last.ttl, &answer[last.rdata..last.end]).unwrap();
    assert_eq!(last.rtype.0, 41);
    let whole = u16::from(opt.extended_rcode) << 4 | u16::from(rcode(answer));
    (whole, opt.option(code).map(<[u8]>::to_vec))
}

/// A message with its length before it.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes()[..], message].concat()
}

pub(crate) fn id(message: &[u8]) -> u16 {
    u16::from_be_bytes([message[0], message[1]])
}

pub(crate) fn rcode(message: &[u8]) -> u8 {
    message[3] & 15
}

/// Records in the answer section.
pub(crate) fn answers(message: &[u8]) -> u16 {
    u16::from_be_bytes([message[6], message[7]])
}

/// Reads one framed message; `None` at the end of the stream.
pub(crate) fn read(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 2];
    match stream.read(&mut length[..1])? {
        0 => return Ok(None),
        _ => stream.read_exact(&mut length[1..])?,
    }
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(Some(message))
}

/// A connection with patience.
pub(crate) fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// As [`connect`], from an address of our own.
pub(crate) fn connect_from(source: IpAddr, server: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// One query over a connection of its own.
pub(crate) fn ask_tcp(server: SocketAddr, qname: &str, qtype: u16) -> Vec<u8> {
    let mut stream = connect(server);
    stream.write_all(&framed(&query(1, qname, qtype))).unwrap();
    read(&mut stream).unwrap().unwrap()
}

/// A socket that hears `server` alone.
pub(crate) fn socket(server: SocketAddr, patience: Duration) -> UdpSocket {
    let socket = UdpSocket::bind(if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(patience)).unwrap();
    socket
}

/// A message over UDP, and what answers it; a lost datagram is sent again.
pub(crate) fn exchange(server: SocketAddr, query: &[u8]) -> Vec<u8> {
    let socket = socket(server, Duration::from_secs(3));
    for _ in 0..10 {
        socket.send(query).unwrap();
        let mut answer = vec![0; 65_535];
        if let Ok(length) = socket.recv(&mut answer) {
            answer.truncate(length);
            return answer;
        }
    }
    panic!("{server} does not answer");
}

/// The same over a connection of its own.
pub(crate) fn exchange_tcp(server: SocketAddr, query: &[u8]) -> Vec<u8> {
    let mut stream = connect(server);
    stream.write_all(&framed(query)).unwrap();
    read(&mut stream).unwrap().unwrap()
}

/// One query over UDP, answered from the very address asked; a lost datagram is asked again.
pub(crate) fn ask(server: SocketAddr, qname: &str, qtype: u16) -> Vec<u8> {
    let socket = socket(server, Duration::from_secs(3));
    for id in 1..10 {
        socket.send(&query(id, qname, qtype)).unwrap();
        let mut answer = vec![0; 65_535];
        if let Ok(length) = socket.recv(&mut answer) {
            answer.truncate(length);
            return answer;
        }
    }
    panic!("{server} does not answer");
}

/// The serial of the SOA that a server answers with; `None` when it answers otherwise.
pub(crate) fn serial(server: SocketAddr, zone: &str) -> Option<u32> {
    let answer = ask(server, zone, SOA);
    if rcode(&answer) != 0 || answers(&answer) != 1 {
        return None;
    }
    let rdata = answer.len() - 20;
    Some(u32::from_be_bytes(answer[rdata..rdata + 4].try_into().unwrap()))
}
