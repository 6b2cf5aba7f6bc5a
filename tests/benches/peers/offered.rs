//! A load that does not wait for the server: so many questions a second, evenly spaced, whatever becomes of them.

use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg, sendmmsg};

use crate::questions::Questions;

const BATCH: usize = 64;
/// How long the last responses are waited for.
const LATE: Duration = Duration::from_millis(200);
/// Octets that the socket keeps until we look; the kernel caps what it does not permit.
const RECEIVE_BUFFER: usize = 4 << 20;

/// How questions are offered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Questions a second.
    pub(crate) rate: f64,
    /// How many are sent at once.
    pub(crate) burst: usize,
    /// From how many sockets, in turn.
    pub(crate) sockets: usize,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offered {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    /// Responses that were not as they must be.
    pub(crate) wrong: u64,
    /// Between question and response, nanoseconds, in order.
    waits: Vec<u32>,
}

impl Offered {
    /// Questions without a response, of a thousand.
    pub(crate) fn lost(&self) -> f64 {
        (self.sent - self.answered.min(self.sent)) as f64 * 1e3 / self.sent.max(1) as f64
    }

    /// How long at most that part of all responses took, in microseconds.
    pub(crate) fn wait(&self, part: f64) -> f64 {
        let place = (self.waits.len() as f64 * part) as usize;
        self.waits.get(place).or(self.waits.last()).map_or(f64::NAN, |&wait| f64::from(wait) / 1e3)
    }
}

impl Load {
    /// Offers it for a while. `checked`: responses are compared with what they must be.
    pub(crate) fn offer(
        self,
        questions: &Questions,
        server: SocketAddr,
        time: Duration,
        checked: bool,
    ) -> Offered {
        let mut client = Client::new(self, questions, server, checked);
        client.run(time);
        client.offered.waits.sort_unstable();
        client.offered
    }
}

/// A question under way; the message ID is its place.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    question: usize,
    /// Since the start; 0: nothing is under way.
    sent: u64,
}

struct Client<'a> {
    load: Load,
    questions: &'a Questions,
    checked: bool,
    sockets: Vec<UdpSocket>,
    slots: Vec<Slot>,
    outgoing: Vec<Vec<u8>>,
    incoming: Vec<[u8; 1500]>,
    to: MultiHeaders<()>,
    from: MultiHeaders<()>,
    start: Instant,
    offered: Offered,
}

impl<'a> Client<'a> {
    fn new(load: Load, questions: &'a Questions, server: SocketAddr, checked: bool) -> Self {
        let socket = |_| {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has free ports");
            // Smaller ones lose what comes while we are not looking, and that is counted.
            let _ = nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBuf, &RECEIVE_BUFFER);
            socket.connect(server).expect("a datagram socket connects at once");
            socket
        };
        Self {
            load,
            questions,
            checked,
            sockets: (0..load.sockets).map(socket).collect(),
            slots: vec![Slot::default(); 1 << 16],
            outgoing: vec![Vec::new(); BATCH],
            incoming: vec![[0; 1500]; BATCH],
            to: MultiHeaders::preallocate(BATCH, None),
            from: MultiHeaders::preallocate(BATCH, None),
            start: Instant::now(),
            offered: Offered::default(),
        }
    }

    fn run(&mut self, time: Duration) {
        let burst = self.load.burst.clamp(1, BATCH) as u64;
        let mut turn = 0;
        loop {
            let elapsed = self.start.elapsed();
            if elapsed >= time {
                break;
            }
            let due = ((self.load.rate * elapsed.as_secs_f64()) as u64).saturating_sub(self.offered.sent);
            if due >= burst {
                // Who was kept from sending for a while catches up batch by batch.
                self.send(turn % self.sockets.len(), due.min(BATCH as u64) as usize, elapsed);
                turn += 1;
            }
            for socket in 0..self.sockets.len() {
                self.receive(socket);
            }
        }
        while self.offered.answered < self.offered.sent && self.start.elapsed() < time + LATE {
            for socket in 0..self.sockets.len() {
                self.receive(socket);
            }
        }
    }

    fn send(&mut self, socket: usize, count: usize, elapsed: Duration) {
        let now = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX).max(1);
        for buffer in &mut self.outgoing[..count] {
            let number = self.offered.sent;
            let place = number as u16;
            let question = usize::try_from(number).unwrap_or(0) % self.questions.len();
            self.slots[usize::from(place)] = Slot { question, sent: now };
            buffer.clear();
            buffer.extend_from_slice(self.questions.message(question));
            buffer[..2].copy_from_slice(&place.to_be_bytes());
            self.offered.sent += 1;
        }
        let slices: Vec<[IoSlice<'_>; 1]> =
            self.outgoing[..count].iter().map(|buffer| [IoSlice::new(buffer)]).collect();
        // What is not sent is lost, and counted so.
        let fd = self.sockets[socket].as_raw_fd();
        let _ = sendmmsg(fd, &mut self.to, &slices, vec![None; count], [], MsgFlags::empty());
    }

    /// Takes the responses that are there.
    fn receive(&mut self, socket: usize) {
        let fd = self.sockets[socket].as_raw_fd();
        let mut lengths = [0; BATCH];
        let mut count = 0;
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            self.incoming.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        if let Ok(messages) = recvmmsg(fd, &mut self.from, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None) {
            for message in messages {
                lengths[count] = message.bytes;
                count += 1;
            }
        }
        if count == 0 {
            return;
        }
        let now = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        for (response, length) in self.incoming.iter().zip(lengths).take(count) {
            let Some(&[high, low, ..]) = response.get(..length).and_then(<[u8]>::first_chunk::<12>) else {
                continue;
            };
            let slot = &mut self.slots[usize::from(u16::from_be_bytes([high, low]))];
            let sent = std::mem::take(&mut slot.sent);
            if sent == 0 {
                continue;
            }
            self.offered.answered += 1;
            self.offered.waits.push(u32::try_from(now.saturating_sub(sent)).unwrap_or(u32::MAX));
            if self.checked && !self.questions.is_answered(slot.question, &response[..length]) {
                self.offered.wrong += 1;
            }
        }
    }
}
