//! The questions, and who asks them: as fast as the server answers, with a fixed number of them under way.

use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use interop::datagram;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg, sendmmsg};

use crate::message::{A, AAAA, TXT};
use crate::zone::{self, APEX, Rule};

/// How many are under way: as many as the buffers of sockets that nobody has enlarged surely hold.
const WINDOW: usize = 192;
const BATCH: usize = 64;
/// A response that has not come after this is lost.
const LOST: Duration = Duration::from_secs(1);
/// RFC 6891 §6.1.2: an OPT record that offers 1232 octets, as resolvers send it.
const OPT: [u8; 11] = [0, 0, 41, 0x04, 0xD0, 0, 0, 0, 0, 0, 0];

/// A fixed list of questions about the zone, each with how it must be answered.
#[derive(Debug)]
pub(crate) struct Questions {
    list: Vec<Question>,
}

#[derive(Debug)]
struct Question {
    message: Vec<u8>,
    rcode: u8,
    answers: bool,
}

/// What came of asking.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    /// Responses.
    pub(crate) answered: u64,
    /// Those that were not as they must be.
    pub(crate) wrong: u64,
    /// Questions without a response.
    pub(crate) lost: u64,
    pub(crate) elapsed: Duration,
}

impl Questions {
    /// 100,000 questions, spread evenly over the names: seven of ten for addresses that are there, one for an IPv6 address
    /// and one for text that may be there or not, one for a name that is not.
    pub(crate) fn about(rule: Rule) -> Self {
        let question = |number: u64| {
            let random = zone::mix(number | (1 << 40));
            let host =
                u32::try_from((random >> 8) % u64::from(rule.names)).expect("below the number of names");
            let (label, qtype, exists) = match random % 10 {
                0..=6 => (zone::host(host), A, true),
                7 => (zone::host(host), AAAA, true),
                8 => (zone::host(host), TXT, true),
                _ => (format!("n{host:08}"), A, false),
            };
            let message = resolvers(&format!("{label}.{APEX}"), qtype);
            Question { message, rcode: if exists { 0 } else { 3 }, answers: exists && zone::has(host, qtype) }
        };
        Self { list: (0..100_000).map(question).collect() }
    }

    /// As many questions as there are things, or more, each about one of them and for an address that is there; `name`
    /// is given which, and something random.
    pub(crate) fn for_addresses(things: u32, name: impl Fn(u32, u64) -> String) -> Self {
        let question = |place: u32| {
            let thing = zone::scattered(place % things, things);
            Question { message: resolvers(&name(thing, zone::mix(place.into())), A), rcode: 0, answers: true }
        };
        Self { list: (0..things.max(100_000)).map(question).collect() }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// The message of one of them, with the ID 0.
    pub(crate) fn message(&self, question: usize) -> &[u8] {
        &self.list[question].message
    }

    /// Whether a response is what the question must be answered with: by its RCODE, and by whether there are answers.
    pub(crate) fn is_answered(&self, question: usize, response: &[u8]) -> bool {
        let question = &self.list[question];
        response.get(3).is_some_and(|flags| flags & 15 == question.rcode)
            && response.get(7).is_some_and(|&answers| (answers > 0) == question.answers)
    }

    /// The mean length of a server's answers, in octets.
    pub(crate) fn mean_answer(&self, server: SocketAddr) -> usize {
        let some = self.list.iter().take(500);
        let answers = some.filter_map(|question| datagram::over_udp(server, &question.message, LOST));
        let (count, octets) =
            answers.fold((0, 0), |(count, octets), answer| (count + 1, octets + answer.len()));
        octets / count.max(1)
    }

    /// Asks for a while.
    pub(crate) fn ask(&self, server: SocketAddr, time: Duration) -> Asked {
        self.ask_while(server, |_, elapsed| elapsed < time)
    }

    /// Asks every question at least once.
    pub(crate) fn ask_each(&self, server: SocketAddr) -> Asked {
        self.ask_while(server, |asked, _| asked.answered + asked.lost < (self.len() + WINDOW) as u64)
    }

    fn ask_while(&self, server: SocketAddr, more: impl Fn(&Asked, Duration) -> bool) -> Asked {
        let mut asker = Asker::new(self, server);
        let start = Instant::now();
        while more(&asker.asked, start.elapsed()) {
            asker.send();
            asker.receive();
        }
        asker.asked.elapsed = start.elapsed();
        asker.asked
    }
}

/// A question as resolvers ask it.
fn resolvers(name: &str, qtype: u16) -> Vec<u8> {
    let mut message = datagram::question(0, name, qtype);
    message[11] = 1;
    message.extend(OPT);
    message
}

/// One question under way. Its place is the low octet of the message ID, its turn the high one.
#[derive(Clone, Copy, Debug)]
struct Slot {
    turn: u8,
    question: usize,
    sent: Option<Instant>,
}

struct Asker<'a> {
    questions: &'a Questions,
    socket: UdpSocket,
    next: usize,
    slots: Vec<Slot>,
    free: Vec<u8>,
    outgoing: Vec<Vec<u8>>,
    incoming: Vec<[u8; 1500]>,
    to: MultiHeaders<()>,
    from: MultiHeaders<()>,
    /// When lost ones were last looked for.
    looked: Instant,
    asked: Asked,
}

impl<'a> Asker<'a> {
    fn new(questions: &'a Questions, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has free ports");
        socket.connect(server).expect("a datagram socket connects at once");
        socket.set_read_timeout(Some(LOST)).expect("not zero");
        Self {
            questions,
            socket,
            next: 0,
            slots: vec![Slot { turn: 0, question: 0, sent: None }; WINDOW],
            free: (0..WINDOW).map(|place| u8::try_from(place).expect("at most 256")).collect(),
            outgoing: vec![Vec::new(); BATCH],
            incoming: vec![[0; 1500]; BATCH],
            to: MultiHeaders::preallocate(BATCH, None),
            from: MultiHeaders::preallocate(BATCH, None),
            looked: Instant::now(),
            asked: Asked::default(),
        }
    }

    /// Sends questions for all free places.
    fn send(&mut self) {
        while !self.free.is_empty() {
            let now = Instant::now();
            let count = self.free.len().min(BATCH);
            let places = self.free.split_off(self.free.len() - count);
            for (buffer, &place) in self.outgoing.iter_mut().zip(&places) {
                let slot = &mut self.slots[usize::from(place)];
                *slot = Slot { turn: slot.turn.wrapping_add(1), question: self.next, sent: Some(now) };
                buffer.clear();
                buffer.extend_from_slice(&self.questions.list[self.next].message);
                buffer[..2].copy_from_slice(&[slot.turn, place]);
                self.next = (self.next + 1) % self.questions.list.len();
            }
            let slices: Vec<[IoSlice<'_>; 1]> =
                self.outgoing[..count].iter().map(|buffer| [IoSlice::new(buffer)]).collect();
            let unaddressed = vec![None; count];
            let socket = self.socket.as_raw_fd();
            // What is not sent is lost, and counted so.
            let _ = sendmmsg(socket, &mut self.to, &slices, unaddressed, [], MsgFlags::empty());
        }
    }

    /// Takes the responses that are there, at least one unless all are lost.
    fn receive(&mut self) {
        let lengths = match lengths(self.socket.as_raw_fd(), &mut self.from, &mut self.incoming) {
            Ok(lengths) => lengths,
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNREFUSED) => Vec::new(),
            Err(error) => panic!("cannot receive: {error}"),
        };
        for (place, length) in lengths.into_iter().enumerate() {
            self.take(place, length);
        }
        if self.looked.elapsed() > LOST {
            self.give_up();
        }
    }

    fn take(&mut self, place: usize, length: usize) {
        let Some(response) = self.incoming[place].get(..length) else { return };
        let Some(&[turn, slot]) = response.first_chunk() else { return };
        let Some(under_way) = self.slots.get_mut(usize::from(slot)) else { return };
        if under_way.turn != turn || under_way.sent.take().is_none() {
            return;
        }
        self.free.push(slot);
        self.asked.answered += 1;
        self.asked.wrong += u64::from(!self.questions.is_answered(under_way.question, response));
    }

    /// Frees the places of questions whose response is lost.
    fn give_up(&mut self) {
        self.looked = Instant::now();
        for (place, slot) in (0..).zip(&mut self.slots) {
            if slot.sent.is_some_and(|sent| sent.elapsed() > LOST) {
                slot.sent = None;
                self.free.push(place);
                self.asked.lost += 1;
            }
        }
    }
}

/// Receives as many datagrams as there are, at least one, and tells how long each is.
fn lengths(
    socket: i32,
    headers: &mut MultiHeaders<()>,
    buffers: &mut [[u8; 1500]],
) -> Result<Vec<usize>, Errno> {
    let mut slices: Vec<[IoSliceMut<'_>; 1]> =
        buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
    let messages = recvmmsg(socket, headers, slices.iter_mut(), MsgFlags::MSG_WAITFORONE, None)?;
    Ok(messages.map(|message| message.bytes).collect())
}
