//! Queries over UDP: one plain thread a socket, datagrams taken and answered in batches. All that a batch needs is there
//! before the first one comes: a datagram costs two system calls at most, and no memory.

use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike,
    recvmmsg, sendmmsg,
};
use secondo_answer::{Arrival, Client, Scratch, Transport};

use crate::event::Event;
use crate::respond::Respond;

/// Datagrams taken at once.
const BATCH: usize = 64;
/// Datagrams for which there is room when few come.
const FEW: usize = 4;
/// Octets of a request that are taken; no honest one comes near. Not a power of two: the beginnings of the buffers, which
/// are what is read, would meet in a few lines of the processor's cache.
const REQUEST: usize = 4096 + 64;

/// Errors in a row from which on a listener pauses. A signal makes one, or an ICMP error of an earlier reply; more of them
/// last.
const ERRORS: u64 = 16;
/// How long.
const PAUSE: Duration = Duration::from_millis(100);

/// A UDP listener.
pub(crate) struct UdpListener {
    /// The socket.
    pub socket: UdpSocket,
    /// The address that it listens on.
    pub address: SocketAddr,
    /// What answers.
    pub respond: Arc<Respond>,
}

/// Addresses of one family, as the kernel has them: with the scope that a link-local one needs for the way back.
trait Peer: SockaddrLike + Copy {
    /// Without its scope.
    fn plain(&self) -> SocketAddr;
    /// Space in which the kernel says which of our addresses was asked.
    fn asked_space() -> Vec<u8>;
}

impl Peer for SockaddrIn {
    fn plain(&self) -> SocketAddr {
        SocketAddr::new(self.ip().into(), self.port())
    }

    fn asked_space() -> Vec<u8> {
        cmsg_space!(in_pktinfo)
    }
}

impl Peer for SockaddrIn6 {
    fn plain(&self) -> SocketAddr {
        SocketAddr::new(self.ip().into(), self.port())
    }

    fn asked_space() -> Vec<u8> {
        cmsg_space!(in6_pktinfo)
    }
}

impl UdpListener {
    /// Answers until the daemon stops. A panic would be our bug: it costs the batch at hand, not the listener.
    pub(crate) fn run(&self) {
        while catch_unwind(AssertUnwindSafe(|| self.answer())).is_err() {
            Event::new("query.limited", "a batch of queries was dropped by an error of our own").error();
        }
    }

    fn answer(&self) {
        match self.address {
            SocketAddr::V4(_) => self.answer_family::<SockaddrIn>(),
            SocketAddr::V6(_) => self.answer_family::<SockaddrIn6>(),
        }
    }

    fn answer_family<P: Peer>(&self) {
        let wildcard = self.address.ip().is_unspecified();
        let fd = self.socket.as_raw_fd();
        let mut receiver = Receiver::<P>::new(wildcard);
        let mut scratch = Scratch::new();
        let mut sender = Sender::<P>::new(wildcard);
        let mut errors: u64 = 0;
        while !self.respond.stopping() {
            match receiver.receive(fd) {
                Ok(()) => errors = 0,
                Err(error) => {
                    errors += 1;
                    self.endure(errors, error);
                    continue;
                }
            }
            let batch = self.respond.batch();
            // An answer from another address than the one asked is none (RFC 2181 §4.1).
            let known = receiver.requests().filter(|(_, datagram)| !wildcard || datagram.asked.is_some());
            let arrivals = known.filter_map(|(request, datagram)| {
                let to = datagram.from?;
                let client = Client { addr: to.plain(), transport: Transport::Udp };
                Some(Arrival { request, client, mark: (to, datagram.asked) })
            });
            let Sender { octets, replies, .. } = &mut sender;
            batch.udp(arrivals, &mut scratch, octets, |(to, asked), octets| replies.add(octets, to, asked));
            // The zones are let go before the thread waits again.
            batch.close(&mut scratch);
            sender.send(fd);
        }
    }

    /// So many errors came in a row: the first are nothing, of those that last it is said once that they do, and they do
    /// not keep a processor busy.
    fn endure(&self, errors: u64, error: Errno) {
        if errors == ERRORS {
            let detail = format!("nothing can be received on {}: {error}", self.address);
            let event = Event::new("query.limited", "UDP queries have to wait");
            Event { transport: Some("udp"), detail: Some(&detail), ..event }.warn();
        }
        if let Some(pause) = pause_after(errors) {
            std::thread::sleep(pause);
        }
    }
}

/// How long a listener pauses after so many errors in a row.
fn pause_after(errors: u64) -> Option<Duration> {
    (errors >= ERRORS).then_some(PAUSE)
}

/// Where a datagram came from, and which of our addresses it asked.
#[derive(Clone, Copy)]
struct Arrived<P> {
    bytes: usize,
    from: Option<P>,
    asked: Option<IpAddr>,
}

/// Takes batches.
struct Receiver<P> {
    wildcard: bool,
    headers: MultiHeaders<P>,
    buffers: Box<[[u8; REQUEST]; BATCH]>,
    arrived: Vec<Arrived<P>>,
    /// For how many datagrams there is room the next time: headers are prepared for each of them, whether it comes or not.
    room: usize,
}

impl<P: Peer> Receiver<P> {
    fn new(wildcard: bool) -> Self {
        let buffers: Box<[_]> = vec![[0; REQUEST]; BATCH].into();
        Self {
            wildcard,
            headers: headers(wildcard),
            buffers: buffers.try_into().unwrap_or_else(|_| unreachable!("there are as many")),
            arrived: Vec::with_capacity(BATCH),
            room: FEW,
        }
    }

    /// Takes what is there, at least one datagram.
    fn receive(&mut self, fd: i32) -> Result<(), Errno> {
        if self.wildcard && self.arrived.iter().any(|datagram| datagram.asked.is_none()) {
            // The kernel has shortened a control buffer to what it wrote: begin with fresh ones.
            self.headers = headers(true);
        }
        self.arrived.clear();
        let mut slices = self.buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        let some = slices.iter_mut().take(self.room);
        let messages = recvmmsg(fd, &mut self.headers, some, MsgFlags::MSG_WAITFORONE, None)?;
        // Every datagram keeps the place of its buffer, even one whose sender cannot be told.
        self.arrived.extend(messages.map(|message| {
            let asked = message.cmsgs().ok().and_then(|mut all| all.find_map(asked_address));
            Arrived { bytes: message.bytes, from: message.address, asked }
        }));
        self.room = (2 * self.arrived.len()).clamp(FEW, BATCH);
        Ok(())
    }

    /// The batch at hand.
    fn requests(&self) -> impl Iterator<Item = (&[u8], &Arrived<P>)> {
        self.arrived
            .iter()
            .zip(self.buffers.iter())
            .filter_map(|(datagram, buffer)| Some((buffer.get(..datagram.bytes)?, datagram)))
    }
}

fn headers<P: Peer>(wildcard: bool) -> MultiHeaders<P> {
    MultiHeaders::preallocate(BATCH, wildcard.then(P::asked_space))
}

fn asked_address(message: ControlMessageOwned) -> Option<IpAddr> {
    match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => Some(IpAddr::from(info.ipi_addr.s_addr.to_ne_bytes())),
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(IpAddr::from(info.ipi6_addr.s6_addr)),
        _ => None,
    }
}

/// A reply that waits to be sent.
struct Reply {
    octets: Range<usize>,
    /// Source address; `None`: the socket's own.
    from: Option<IpAddr>,
}

/// Sends batches; grouped by source address where the socket has none of its own.
struct Sender<P> {
    headers: MultiHeaders<P>,
    /// Of all replies, one behind the other.
    octets: Vec<u8>,
    replies: Replies<P>,
}

/// Those that wait.
struct Replies<P> {
    all: Vec<Reply>,
    /// To whom, reply by reply.
    to: Vec<Option<P>>,
}

impl<P> Replies<P> {
    fn add(&mut self, octets: Range<usize>, to: P, from: Option<IpAddr>) {
        self.all.push(Reply { octets, from });
        self.to.push(Some(to));
    }
}

impl<P: Peer> Sender<P> {
    fn new(wildcard: bool) -> Self {
        Self {
            headers: headers(wildcard),
            octets: Vec::with_capacity(BATCH * 512),
            replies: Replies { all: Vec::with_capacity(BATCH), to: Vec::with_capacity(BATCH) },
        }
    }

    /// Sends all, and is empty again.
    fn send(&mut self, fd: i32) {
        let mut at = 0;
        while let Some(first) = self.replies.all.get(at) {
            let run = self.replies.all[at..].iter().take_while(|reply| reply.from == first.from).count();
            // What cannot be sent is dropped, one at a time: the client asks again.
            at += self.send_some(fd, at..at + run).unwrap_or(0).max(1);
        }
        self.octets.clear();
        self.replies.all.clear();
        self.replies.to.clear();
    }

    /// Sends some of the replies, all of which have the same source address; how many were.
    fn send_some(&mut self, fd: i32, some: Range<usize>) -> Result<usize, Errno> {
        let Some(from) = self.replies.all.get(some.start).map(|first| first.from) else { return Ok(0) };
        match from {
            None => self.send_with(fd, some, &[]),
            Some(IpAddr::V4(address)) => {
                let octets = in_addr { s_addr: u32::from_ne_bytes(address.octets()) };
                let info =
                    in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: octets, ipi_addr: in_addr { s_addr: 0 } };
                self.send_with(fd, some, &[ControlMessage::Ipv4PacketInfo(&info)])
            }
            Some(IpAddr::V6(address)) => {
                let info = in6_pktinfo { ipi6_addr: in6_addr { s6_addr: address.octets() }, ipi6_ifindex: 0 };
                self.send_with(fd, some, &[ControlMessage::Ipv6PacketInfo(&info)])
            }
        }
    }

    fn send_with(
        &mut self,
        fd: i32,
        some: Range<usize>,
        control: &[ControlMessage<'_>],
    ) -> Result<usize, Errno> {
        let Self { headers, octets, replies: Replies { all, to } } = self;
        let mut slices = [[IoSlice::new(&[])]; BATCH];
        for (slice, reply) in slices.iter_mut().zip(&all[some.clone()]) {
            *slice = [IoSlice::new(octets.get(reply.octets.clone()).unwrap_or_default())];
        }
        let (slices, to) = (slices.iter().take(some.len()), &to[some]);
        sendmmsg(fd, headers, slices, to, control, MsgFlags::empty()).map(Iterator::count)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::config;
    use crate::scheduler::{Secrets, table};
    use crate::socket::udp_listener;

    #[test]
    fn a_socket_that_keeps_failing_keeps_no_processor_busy_and_single_errors_delay_nothing() {
        let pauses: Vec<bool> = (0..ERRORS + 2).map(|errors| pause_after(errors).is_some()).collect();
        assert_eq!(pauses.iter().position(|pauses| *pauses), Some(ERRORS as usize));
        assert_eq!(pauses.iter().filter(|pauses| **pauses).count(), 2, "as long as it fails");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.yaml");
        std::fs::write(&path, "listen: [\"127.0.0.1:53\"]\n").unwrap();
        let table = table([], &config::load(&path).unwrap(), &Secrets::random(), None);
        let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let socket = udp_listener(address).unwrap();
        let listener = UdpListener { socket, address, respond: Arc::new(Respond::new(table, None)) };
        let began = Instant::now();
        listener.endure(ERRORS, Errno::EIO);
        listener.endure(ERRORS + 1, Errno::EIO);
        assert!(began.elapsed() >= PAUSE * 2);
    }

    /// Sends so many datagrams that room for them has to grow, and sends each back; on a wildcard address from where each
    /// was asked.
    fn all_come_back<P: Peer>(listen: &str, ask: &str) {
        // Six batches: room for 4, 8, 16, 32, 64 and 64.
        const MANY: u8 = 188;
        let listen: SocketAddr = listen.parse().unwrap();
        let socket = udp_listener(listen).unwrap();
        let wildcard = listen.ip().is_unspecified();
        let to = SocketAddr::new(ask.parse().unwrap(), socket.local_addr().unwrap().port());
        let client = UdpSocket::bind((to.ip(), 0)).unwrap();
        // Connected: what comes from another address than the one asked is not received.
        client.connect(to).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        for number in 0..MANY {
            client.send(&[number; 40]).unwrap();
        }
        let (mut receiver, mut sender) = (Receiver::<P>::new(wildcard), Sender::<P>::new(wildcard));
        let mut taken = Vec::new();
        while taken.len() < usize::from(MANY) {
            receiver.receive(socket.as_raw_fd()).unwrap();
            for (request, datagram) in receiver.requests() {
                assert_eq!(datagram.from.unwrap().plain(), client.local_addr().unwrap());
                assert_eq!(datagram.asked, wildcard.then_some(to.ip()));
                let start = sender.octets.len();
                sender.octets.extend_from_slice(request);
                sender.octets.push(0xFF);
                let octets = start..sender.octets.len();
                sender.replies.add(octets, datagram.from.unwrap(), datagram.asked);
                taken.push(request[0]);
            }
            sender.send(socket.as_raw_fd());
        }
        assert_eq!(receiver.room, BATCH, "room has grown");
        let mut buffer = [0; 100];
        for number in 0..MANY {
            assert_eq!(client.recv(&mut buffer).unwrap(), 41);
            assert_eq!((buffer[0], buffer[39], buffer[40]), (number, number, 0xFF));
        }
        assert!(taken.into_iter().eq(0..MANY));
    }

    #[test]
    fn every_datagram_of_a_burst_comes_back_whole_in_order_and_from_where_it_was_asked() {
        all_come_back::<SockaddrIn>("127.0.0.1:0", "127.0.0.1");
        all_come_back::<SockaddrIn>("0.0.0.0:0", "127.0.0.2");
        all_come_back::<SockaddrIn6>("[::1]:0", "::1");
        all_come_back::<SockaddrIn6>("[::]:0", "::1");
    }
}
