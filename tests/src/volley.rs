//! Many questions to one server, over one socket or one connection, answers told apart by their IDs.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::message::{Question, Way};

/// Questions on their way at a time: over UDP few enough for every socket buffer, over TCP fewer than any server's limit
/// for one connection.
const AT_A_TIME: [usize; 2] = [48, 16];
/// After this an unanswered question is asked again.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks all of them; the responses are in the order of the questions.
///
/// # Errors
/// The first question that is not answered, when for `limit` nothing at all came.
///
/// # Panics
/// When something comes that was not asked for.
pub fn ask(server: SocketAddr, questions: &[Question], limit: Duration) -> Result<Vec<Vec<u8>>, String> {
    let mut responses: Vec<Option<Vec<u8>>> = vec![None; questions.len()];
    for way in [Way::Udp, Way::Tcp] {
        let chosen: Vec<usize> = (0..questions.len()).filter(|at| questions[*at].way == way).collect();
        if !chosen.is_empty() {
            let asked: Vec<&Question> = chosen.iter().map(|at| &questions[*at]).collect();
            let come = match way {
                Way::Udp => over_udp(server, &asked, limit)?,
                Way::Tcp => over_tcp(server, &asked, limit)?,
            };
            for (at, response) in chosen.into_iter().zip(come) {
                responses[at] = Some(response);
            }
        }
    }
    Ok(responses.into_iter().map(|response| response.expect("each question has one of two ways")).collect())
}

fn over_udp(server: SocketAddr, questions: &[&Question], limit: Duration) -> Result<Vec<Vec<u8>>, String> {
    let socket = UdpSocket::bind(if server.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" }).expect("a socket");
    socket.connect(server).expect("loopback can be reached");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout can be set");
    let mut book = Book::new(questions, AT_A_TIME[0], limit);
    let mut buffer = vec![0; 65_535];
    while let Some(due) = book.due() {
        for message in due {
            // A port that refuses says so at the next call: the server is then not there, and the book ends it.
            let _ = socket.send(&message);
        }
        match socket.recv(&mut buffer) {
            Ok(length) => book.enter(&buffer[..length]),
            Err(error) => {
                // With a timeout even a process that was only stopped and goes on is interrupted: signal(7).
                let waits = [
                    ErrorKind::WouldBlock,
                    ErrorKind::TimedOut,
                    ErrorKind::ConnectionRefused,
                    ErrorKind::Interrupted,
                ];
                assert!(waits.contains(&error.kind()), "{server}: {error}");
            }
        }
    }
    book.responses()
}

fn over_tcp(server: SocketAddr, questions: &[&Question], limit: Duration) -> Result<Vec<Vec<u8>>, String> {
    let mut book = Book::new(questions, AT_A_TIME[1], limit);
    let mut stream: Option<TcpStream> = None;
    while let Some(due) = book.due() {
        if stream.is_none() {
            // A server may close a connection at any time (RFC 7766 §6.2.3): what is open is asked again on the next.
            stream = TcpStream::connect(server).ok();
            book.forget_asked();
            if let Some(stream) = &stream {
                stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
                stream.set_nodelay(true).expect("it can be set");
            }
            continue;
        }
        let Some(open) = stream.as_mut() else { continue };
        let framed: Vec<u8> = due.iter().flat_map(|message| crate::datagram::framed(message)).collect();
        let exchanged = open.write_all(&framed).and_then(|()| {
            let mut length = [0; 2];
            open.read_exact(&mut length)?;
            let mut response = vec![0; usize::from(u16::from_be_bytes(length))];
            open.read_exact(&mut response)?;
            Ok(response)
        });
        match exchanged {
            Ok(response) => book.enter(&response),
            Err(_) => stream = None,
        }
    }
    book.responses()
}

/// Which question was asked when under which ID, and what has come.
struct Book<'q> {
    questions: &'q [&'q Question],
    responses: Vec<Option<Vec<u8>>>,
    asked: BTreeMap<usize, Instant>,
    next: usize,
    at_a_time: usize,
    limit: Duration,
    progress: Instant,
}

impl<'q> Book<'q> {
    fn new(questions: &'q [&'q Question], at_a_time: usize, limit: Duration) -> Self {
        assert!(questions.len() <= 60_000, "one ID each");
        Self {
            questions,
            responses: vec![None; questions.len()],
            asked: BTreeMap::new(),
            next: 0,
            at_a_time,
            limit,
            progress: Instant::now(),
        }
    }

    /// Messages to be sent now; `None` when all is answered, or nothing comes any more.
    fn due(&mut self) -> Option<Vec<Vec<u8>>> {
        let answered = self.next == self.questions.len() && self.asked.is_empty();
        if answered || self.progress.elapsed() > self.limit {
            return None;
        }
        let now = Instant::now();
        let late = self.asked.iter().filter(|(_, when)| now - **when > PATIENCE).map(|(at, _)| *at);
        let mut due: Vec<usize> = late.collect();
        while self.asked.len() + due.len() < self.at_a_time && self.next < self.questions.len() {
            due.push(self.next);
            self.next += 1;
        }
        self.asked.extend(due.iter().map(|at| (*at, now)));
        Some(due.into_iter().map(|at| self.questions[at].message(id(at))).collect())
    }

    /// What was asked so far has to be asked again.
    fn forget_asked(&mut self) {
        let past = Instant::now().checked_sub(PATIENCE * 2);
        for when in self.asked.values_mut() {
            *when = past.unwrap_or(*when);
        }
    }

    fn enter(&mut self, response: &[u8]) {
        assert!(response.len() >= 12 && response[2] & 0x80 != 0, "no response: {response:?}");
        let number = u16::from_be_bytes([response[0], response[1]]);
        let at = usize::from(number.wrapping_sub(FIRST_ID));
        // A question asked twice may be answered twice.
        if self.asked.remove(&at).is_some() {
            self.responses[at] = Some(response.to_vec());
            self.progress = Instant::now();
        } else {
            assert!(at < self.next, "an ID that was not sent: {number}");
        }
    }

    fn responses(self) -> Result<Vec<Vec<u8>>, String> {
        match self.responses.iter().position(Option::is_none) {
            Some(at) => Err(format!("{} and {} more", self.questions[at], self.asked.len())),
            None => Ok(self.responses.into_iter().flatten().collect()),
        }
    }
}

const FIRST_ID: u16 = 3000;

fn id(at: usize) -> u16 {
    FIRST_ID.wrapping_add(u16::try_from(at).expect("fewer than there are IDs"))
}
