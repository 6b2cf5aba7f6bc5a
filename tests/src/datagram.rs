//! Messages byte by byte, for what no client would send.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::types::wire_name;

/// A question as a client asks it: one name, class IN, no EDNS.
pub fn question(id: u16, name: &str, qtype: u16) -> Vec<u8> {
    message(id, 0, name, qtype)
}

/// A NOTIFY of the zone without a SOA in its answer section (RFC 1996 §3.7).
pub fn notify(id: u16, zone: &str) -> Vec<u8> {
    // RFC 1996 §3.3: opcode 4; AA is set.
    message(id, 0x2400, zone, 6)
}

fn message(id: u16, flags: u16, name: &str, qtype: u16) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend(flags.to_be_bytes());
    message.extend([0, 1, 0, 0, 0, 0, 0, 0]);
    message.extend(wire_name(name));
    message.extend(qtype.to_be_bytes());
    message.extend([0, 1]);
    message
}

/// The RCODE of a response.
pub fn rcode(response: &[u8]) -> u8 {
    response[3] & 15
}

/// Sends a datagram and waits for one response.
pub fn over_udp(server: SocketAddr, bytes: &[u8], patience: Duration) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind(if server.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" }).ok()?;
    // Connected, so that only a response from the very address that was asked is taken.
    socket.connect(server).ok()?;
    socket.set_read_timeout(Some(patience)).ok()?;
    socket.send(bytes).ok()?;
    let mut response = vec![0; 65_535];
    let length = socket.recv(&mut response).ok()?;
    response.truncate(length);
    Some(response)
}

/// Sends bytes as they are over TCP and gives back all that comes until the server closes or `patience` ends.
pub fn over_tcp(server: SocketAddr, bytes: &[u8], patience: Duration) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(bytes)?;
    let mut response = Vec::new();
    let mut piece = [0; 4096];
    // An error here is the end of our patience or a reset: what came until then is the response.
    while let Ok(length) = stream.read(&mut piece) {
        if length == 0 {
            break;
        }
        response.extend_from_slice(&piece[..length]);
    }
    Ok(response)
}

/// A message with its length before it (RFC 1035 §4.2.2).
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).expect("messages have at most 65535 octets");
    [&length.to_be_bytes()[..], message].concat()
}
