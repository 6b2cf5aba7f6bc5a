//! A proxy between secondo and a real primary that changes what the primary sends.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::Port;
use crate::datagram::framed;

/// RR type numbers of questions.
pub mod qtype {
    /// SOA: a probe.
    pub const SOA: u16 = 6;
    /// IXFR.
    pub const IXFR: u16 = 251;
    /// AXFR.
    pub const AXFR: u16 = 252;
}

/// A message on its way from the primary.
#[derive(Clone, Copy, Debug)]
pub struct Passing<'a> {
    /// The type that was asked for.
    pub asked: u16,
    /// Whether it goes over UDP.
    pub udp: bool,
    /// Its place among the messages that answer this question, from 0.
    pub index: usize,
    /// Its octets.
    pub bytes: &'a [u8],
}

/// What becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Goes on as it is.
    Pass,
    /// Something else goes on.
    Replace(Vec<u8>),
    /// The connection is closed instead; a datagram is lost.
    Cut,
}

type Rule = dyn FnMut(Passing<'_>) -> Act + Send;

/// The proxy. At first it changes nothing.
pub struct Proxy {
    _port: Port,
    address: SocketAddr,
    rule: Arc<Mutex<Box<Rule>>>,
    over: Arc<AtomicBool>,
}

impl Proxy {
    /// Stands in front of `primary`, on 127.0.0.1.
    pub fn before(primary: SocketAddr) -> Self {
        Self::on(Ipv4Addr::LOCALHOST.into(), primary)
    }

    /// Stands in front of `primary` on an address of this machine, of either family.
    pub fn on(address: IpAddr, primary: SocketAddr) -> Self {
        let port = Port::free();
        let address = port.at(address);
        let rule: Arc<Mutex<Box<Rule>>> = Arc::new(Mutex::new(Box::new(|_| Act::Pass)));
        let over = Arc::new(AtomicBool::new(false));
        let streams = TcpListener::bind(address).expect("the port is ours");
        let datagrams = UdpSocket::bind(address).expect("the port is ours");
        datagrams.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout can be set");
        {
            let (rule, over) = (Arc::clone(&rule), Arc::clone(&over));
            std::thread::spawn(move || {
                for stream in streams.incoming() {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    let Ok(stream) = stream else { continue };
                    let rule = Arc::clone(&rule);
                    std::thread::spawn(move || relay(stream, primary, &rule));
                }
            });
        }
        {
            let (rule, over) = (Arc::clone(&rule), Arc::clone(&over));
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let mut bytes = [0; 4096];
                    let Ok((length, client)) = datagrams.recv_from(&mut bytes) else { continue };
                    relay_datagram(&datagrams, &bytes[..length], client, primary, &rule);
                }
            });
        }
        Self { _port: port, address, rule, over }
    }

    /// Where secondo shall ask.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, this decides.
    pub fn rule(&self, rule: impl FnMut(Passing<'_>) -> Act + Send + 'static) {
        *self.rule.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(rule);
    }

    /// From now on, nothing is changed.
    pub fn honest(&self) {
        self.rule(|_| Act::Pass);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address());
    }
}

/// Each question is sent on, and its answers are looked at one by one, until either side closes.
fn relay(client: TcpStream, primary: SocketAddr, rule: &Mutex<Box<Rule>>) {
    let Ok(server) = TcpStream::connect(primary) else { return };
    let asked = Arc::new(Mutex::new((0_u16, 0_usize)));
    let (Ok(mut from_client), Ok(mut to_server)) = (client.try_clone(), server.try_clone()) else { return };
    let asked_too = Arc::clone(&asked);
    std::thread::spawn(move || {
        while let Some(question) = read_message(&mut from_client) {
            *asked_too.lock().unwrap_or_else(PoisonError::into_inner) = (question_type(&question), 0);
            if to_server.write_all(&framed(&question)).is_err() {
                break;
            }
        }
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let (mut from_server, mut to_client) = (server, client);
    while let Some(message) = read_message(&mut from_server) {
        let (kind, index) = {
            let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.1 += 1;
            (asked.0, asked.1 - 1)
        };
        let passing = Passing { asked: kind, udp: false, index, bytes: &message };
        let act = rule.lock().unwrap_or_else(PoisonError::into_inner)(passing);
        let sent = match act {
            Act::Pass => to_client.write_all(&framed(&message)),
            Act::Replace(other) => to_client.write_all(&framed(&other)),
            Act::Cut => break,
        };
        if sent.is_err() {
            break;
        }
    }
    let _ = to_client.shutdown(Shutdown::Both);
    let _ = from_server.shutdown(Shutdown::Both);
}

fn relay_datagram(
    ours: &UdpSocket,
    question: &[u8],
    client: SocketAddr,
    primary: SocketAddr,
    rule: &Mutex<Box<Rule>>,
) {
    let Ok(socket) = UdpSocket::bind("127.0.0.1:0") else { return };
    let mut bytes = vec![0; 65_535];
    let answered = socket.connect(primary).is_ok()
        && socket.set_read_timeout(Some(Duration::from_secs(2))).is_ok()
        && socket.send(question).is_ok();
    let Some(length) = answered.then(|| socket.recv(&mut bytes).ok()).flatten() else { return };
    let message = &bytes[..length];
    let passing = Passing { asked: question_type(question), udp: true, index: 0, bytes: message };
    match rule.lock().unwrap_or_else(PoisonError::into_inner)(passing) {
        Act::Pass => drop(ours.send_to(message, client)),
        Act::Replace(other) => drop(ours.send_to(&other, client)),
        Act::Cut => {}
    }
}

fn read_message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

/// The type in the question section; questions are never compressed.
fn question_type(message: &[u8]) -> u16 {
    let mut at = 12;
    while let Some(&length) = message.get(at).filter(|&&length| length > 0) {
        at += 1 + usize::from(length);
    }
    message.get(at + 1..at + 3).map_or(0, |octets| u16::from_be_bytes([octets[0], octets[1]]))
}

/// The message with the first occurrence of some octets replaced by as many others.
pub fn with_first(message: &[u8], old: &[u8], new: &[u8]) -> Option<Vec<u8>> {
    let at = message.windows(old.len()).position(|window| window == old)?;
    Some(replaced(message, at, new))
}

/// The message with the last occurrence of some octets replaced by as many others.
pub fn with_last(message: &[u8], old: &[u8], new: &[u8]) -> Option<Vec<u8>> {
    let at = message.windows(old.len()).rposition(|window| window == old)?;
    Some(replaced(message, at, new))
}

/// The message with other octets at a place.
pub fn replaced(message: &[u8], at: usize, new: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    message[at..at + new.len()].copy_from_slice(new);
    message
}

/// Only the header and the question section, with this RCODE.
pub fn error(message: &[u8], rcode: u8) -> Vec<u8> {
    let mut at = 12;
    while let Some(&length) = message.get(at).filter(|&&length| length > 0) {
        at += 1 + usize::from(length);
    }
    let mut short = message[..at + 5].to_vec();
    short[3] = (short[3] & 0xf0) | rcode;
    short[6..12].fill(0);
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datagram::question;

    #[test]
    fn the_type_of_a_question_is_found() {
        assert_eq!(question_type(&question(1, "a.example.", qtype::AXFR)), qtype::AXFR);
        assert_eq!(question_type(&[0; 12]), 0);
        assert_eq!(question_type(&[]), 0);
    }

    #[test]
    fn an_error_keeps_the_question_only() {
        let mut message = question(1, "a.example.", qtype::IXFR);
        let length = message.len();
        message.extend([0xc0, 12, 0, 6]);
        message[7] = 1;
        let short = error(&message, 4);
        assert_eq!(short.len(), length);
        assert_eq!((short[3] & 15, short[5], short[7]), (4, 1, 0));
    }
}
