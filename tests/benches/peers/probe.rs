//! What tells that a version is served: its marks are asked for, not its SOA.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use interop::datagram;

use crate::message::{A, first_address};
use crate::zone::{APEX, Rule, mark_address};

/// Asks one server for the marks of the zone.
#[derive(Debug)]
pub(crate) struct Probe {
    socket: UdpSocket,
    marks: Vec<String>,
    asked: u16,
}

impl Probe {
    /// For the server at an address.
    pub(crate) fn new(server: SocketAddr, rule: Rule) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has free ports");
        socket.connect(server).expect("a datagram socket connects at once");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("not zero");
        let marks = (0..rule.marks).map(|mark| format!("{}.{APEX}", rule.mark(mark))).collect();
        Self { socket, marks, asked: 0 }
    }

    /// Waits until a version is served whole, or any if no serial is given; how long it took since `start`.
    /// `meanwhile` is called between two looks.
    pub(crate) fn until_served(
        &mut self,
        serial: Option<u32>,
        start: Instant,
        limit: Duration,
        mut meanwhile: impl FnMut(Duration),
    ) -> Option<Duration> {
        while start.elapsed() < limit {
            let served = match serial {
                Some(serial) => self.serves(serial),
                None => self.address(0).is_some(),
            };
            let elapsed = start.elapsed();
            if served {
                return Some(elapsed);
            }
            // The looks cost the server time: their distance grows with what is measured.
            std::thread::sleep((elapsed / 20).clamp(Duration::from_micros(200), Duration::from_millis(20)));
            meanwhile(elapsed);
        }
        None
    }

    /// Whether all marks are those of a version.
    pub(crate) fn serves(&mut self, serial: u32) -> bool {
        (0..self.marks.len()).all(|mark| self.address(mark) == Some(mark_address(serial)))
    }

    fn address(&mut self, mark: usize) -> Option<[u8; 4]> {
        self.asked = self.asked.wrapping_add(1);
        let question = datagram::question(self.asked, &self.marks[mark], A);
        self.socket.send(&question).ok()?;
        let mut buffer = [0; 4096];
        loop {
            let length = self.socket.recv(&mut buffer).ok()?;
            let response = buffer.get(..length)?;
            // An older question's response may come late.
            if response.starts_with(&question[..2]) {
                return first_address(response);
            }
        }
    }
}
