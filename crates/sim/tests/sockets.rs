//! A primary on its loopback port: asked over UDP and TCP, dying, coming back, notifying.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use secondo_sim::{Fault, Kind, Name, NotifyError, Primary, Script, Setup, read_zone};
use secondo_wire::{Header, Message, RecordType, control, flags};

const LONG: Duration = Duration::from_secs(20);

fn apex() -> Name {
    Name::parse("example.").unwrap()
}

fn primary(setup: Setup) -> Primary {
    let text = "$TTL 300\n@ SOA ns hostmaster 7 3600 600 86400 60\n@ NS ns\nns A 192.0.2.1\n";
    Primary::start([read_zone(text, &apex()).unwrap()], setup).unwrap()
}

fn question() -> Vec<u8> {
    control::soa_query(&apex(), control::Request { id: 9, edns: true })
}

fn over_tcp(to: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(LONG))?;
    stream.write_all(&[&(question.len() as u16).to_be_bytes(), question].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(message)
}

fn over_udp(to: SocketAddr, question: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket.send_to(question, to).unwrap();
    let mut buffer = [0; 1500];
    let length = socket.recv(&mut buffer).unwrap();
    buffer[..length].to_vec()
}

#[test]
fn udp_and_tcp_give_the_same_answer_on_one_port() {
    let primary = primary(Setup::default());
    let datagram = over_udp(primary.address(), &question());
    assert_eq!(over_tcp(primary.address(), &question()).unwrap(), datagram);
    let message = Message::new(&datagram).unwrap();
    assert_eq!(message.header.counts, [1, 1, 0, 1]);
    assert!(message.header.has(flags::QR | flags::AA));
    let first = message.records().unwrap().next().unwrap().unwrap();
    assert_eq!(first.rtype, RecordType::SOA);
}

#[test]
fn a_dead_primary_shuts_its_port_and_comes_back_on_it() {
    let primary = primary(Setup::default());
    let waiting = TcpStream::connect(primary.address()).unwrap();
    primary.die();
    assert!(TcpStream::connect(primary.address()).is_err());
    waiting.set_read_timeout(Some(LONG)).unwrap();
    assert!(matches!((&waiting).read(&mut [0; 1]), Ok(0) | Err(_)));
    primary.change(&apex(), "+ new A 192.0.2.9").unwrap();
    primary.revive().unwrap();
    assert!(over_tcp(primary.address(), &question()).is_ok());
    assert_eq!(primary.serial(&apex()).unwrap().0, 8);
}

#[test]
fn a_stream_ends_behind_the_octets_that_the_script_allows() {
    let primary = primary(Setup::default());
    primary.follow(Script::honest().times(Kind::Soa, Fault::CloseAfter(9), 1));
    let mut stream = TcpStream::connect(primary.address()).unwrap();
    let question = question();
    stream.write_all(&[&(question.len() as u16).to_be_bytes(), &question[..]].concat()).unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    assert_eq!(all.len(), 9);
    assert!(over_tcp(primary.address(), &question).is_ok());
}

#[test]
fn a_notify_is_repeated_until_it_is_answered() {
    let secondary = UdpSocket::bind("127.0.0.1:0").unwrap();
    secondary.set_read_timeout(Some(LONG)).unwrap();
    let setup = Setup {
        secondaries: vec![secondary.local_addr().unwrap()],
        notify_wait: Duration::from_millis(100),
        notify_tries: 100,
        ..Setup::default()
    };
    let primary = primary(setup);
    let answers = std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        for number in 0..3 {
            let (length, from) = secondary.recv_from(&mut buffer).unwrap();
            let header = Header::read(&buffer[..length]).unwrap();
            assert_eq!((header.flags, header.counts), (0x2400, [1, 1, 0, 0]));
            if number == 2 {
                let answer = Header { flags: header.flags | flags::QR, counts: [0; 4], ..header };
                secondary.send_to(&answer.to_octets(), from).unwrap();
            }
        }
    });
    let notified = primary.notify(&apex()).unwrap();
    answers.join().unwrap();
    assert_eq!((notified.len(), notified[0].tries, notified[0].rcode.0), (1, 3, 0));
}

#[test]
fn a_notify_that_nobody_answers_is_an_error() {
    let secondary = UdpSocket::bind("127.0.0.1:0").unwrap();
    let setup = Setup {
        secondaries: vec![secondary.local_addr().unwrap()],
        notify_wait: Duration::from_millis(10),
        notify_tries: 2,
        ..Setup::default()
    };
    assert!(matches!(primary(setup).notify(&apex()), Err(NotifyError::Unanswered(_, 2))));
}
