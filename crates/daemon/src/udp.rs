//! Queries over UDP: one plain thread a socket, datagrams taken and answered in batches.

use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg,
};
use secondo_answer::{Client, Scratch, Transport};

use crate::event::Event;
use crate::respond::Respond;

/// Datagrams taken at once.
const BATCH: usize = 64;
/// Octets of a request that are taken; no honest one comes near.
const REQUEST: usize = 4096;

/// A UDP listener.
pub(crate) struct UdpListener {
    /// The socket.
    pub socket: UdpSocket,
    /// The address that it listens on.
    pub address: SocketAddr,
    /// What answers.
    pub respond: Arc<Respond>,
}

/// Where a datagram came from, and which of our addresses it asked.
#[derive(Clone, Copy)]
struct Arrived {
    bytes: usize,
    /// With its scope, which a link-local address needs for the way back.
    from: Option<SockaddrStorage>,
    asked: Option<IpAddr>,
}

/// A reply that waits to be sent.
struct Reply {
    octets: Vec<u8>,
    to: SockaddrStorage,
    /// Source address; `None`: the socket's own.
    from: Option<IpAddr>,
}

impl UdpListener {
    /// Answers until the daemon stops. A panic would be our bug: it costs the batch at hand, not the listener.
    pub(crate) fn run(&self) {
        while catch_unwind(AssertUnwindSafe(|| self.answer())).is_err() {
            Event::new("query.limited", "a batch of queries was dropped by an error of our own").error();
        }
    }

    fn answer(&self) {
        let wildcard = self.address.ip().is_unspecified();
        let fd = self.socket.as_raw_fd();
        let mut buffers = vec![[0u8; REQUEST]; BATCH];
        let mut headers = receiving_headers(self.address, wildcard);
        let mut arrived: Vec<Arrived> = Vec::with_capacity(BATCH);
        let mut outs: Vec<Vec<u8>> = (0..BATCH).map(|_| Vec::with_capacity(2048)).collect();
        let mut replies: Vec<Reply> = Vec::with_capacity(BATCH);
        let mut scratch = Scratch::new();
        let mut sender = Sender::new(self.address, wildcard);
        while !self.respond.stopping() {
            arrived.clear();
            if receive(fd, &mut headers, &mut buffers, &mut arrived).is_err() {
                // The time to look up has come, or a signal, or an ICMP error of an earlier reply.
                continue;
            }
            let batch = self.respond.batch();
            for (datagram, buffer) in arrived.iter().zip(&buffers) {
                if wildcard && datagram.asked.is_none() {
                    // An answer from another address than the one asked is none (RFC 2181 §4.1).
                    continue;
                }
                let Some(to) = datagram.from else { continue };
                let Some(peer) = socket_addr(&to) else { continue };
                let Some(request) = buffer.get(..datagram.bytes) else { continue };
                let mut octets = outs.pop().unwrap_or_default();
                octets.clear();
                let client = Client { addr: peer, transport: Transport::Udp };
                if batch.udp(request, client, &mut scratch, &mut octets) {
                    replies.push(Reply { octets, to, from: datagram.asked });
                } else {
                    outs.push(octets);
                }
            }
            // The zones are let go before the thread waits again.
            batch.close(&mut scratch);
            sender.send(fd, &replies);
            outs.extend(replies.drain(..).map(|reply| reply.octets));
            if wildcard && arrived.iter().any(|datagram| datagram.asked.is_none()) {
                // The kernel has shortened a control buffer to what it wrote: begin with fresh ones.
                headers = receiving_headers(self.address, wildcard);
            }
        }
    }
}

/// Takes what is there, at least one datagram.
fn receive(
    fd: i32,
    headers: &mut MultiHeaders<SockaddrStorage>,
    buffers: &mut [[u8; REQUEST]],
    arrived: &mut Vec<Arrived>,
) -> Result<(), Errno> {
    let mut slices: Vec<[IoSliceMut<'_>; 1]> =
        buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
    let messages = recvmmsg(fd, headers, slices.iter_mut(), MsgFlags::MSG_WAITFORONE, None)?;
    // Every datagram keeps the place of its buffer, even one whose sender cannot be told.
    arrived.extend(messages.map(|message| {
        let asked = message.cmsgs().ok().and_then(|mut all| all.find_map(asked_address));
        Arrived { bytes: message.bytes, from: message.address, asked }
    }));
    Ok(())
}

fn receiving_headers(address: SocketAddr, wildcard: bool) -> MultiHeaders<SockaddrStorage> {
    let space = match address {
        _ if !wildcard => None,
        SocketAddr::V4(_) => Some(cmsg_space!(in_pktinfo)),
        SocketAddr::V6(_) => Some(cmsg_space!(in6_pktinfo)),
    };
    MultiHeaders::preallocate(BATCH, space)
}

fn asked_address(message: ControlMessageOwned) -> Option<IpAddr> {
    match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => Some(IpAddr::from(info.ipi_addr.s_addr.to_ne_bytes())),
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(IpAddr::from(info.ipi6_addr.s6_addr)),
        _ => None,
    }
}

fn socket_addr(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|a| SocketAddr::new(a.ip().into(), a.port()));
    v4.or_else(|| address.as_sockaddr_in6().map(|a| SocketAddr::new(a.ip().into(), a.port())))
}

/// Sends batches; grouped by source address where the socket has none of its own.
struct Sender {
    headers: MultiHeaders<SockaddrStorage>,
    to: Vec<Option<SockaddrStorage>>,
}

impl Sender {
    fn new(address: SocketAddr, wildcard: bool) -> Sender {
        Sender { headers: receiving_headers(address, wildcard), to: Vec::with_capacity(BATCH) }
    }

    fn send(&mut self, fd: i32, replies: &[Reply]) {
        let mut rest = replies;
        while let Some(first) = rest.first() {
            let run = rest.iter().take_while(|reply| reply.from == first.from).count();
            let (group, later) = rest.split_at(run);
            self.send_group(fd, group, first.from);
            rest = later;
        }
    }

    fn send_group(&mut self, fd: i32, group: &[Reply], from: Option<IpAddr>) {
        let mut rest = group;
        while !rest.is_empty() {
            let slices: Vec<[IoSlice<'_>; 1]> =
                rest.iter().map(|reply| [IoSlice::new(&reply.octets)]).collect();
            self.to.clear();
            self.to.extend(rest.iter().map(|reply| Some(reply.to)));
            let sent = match from {
                None => self.send_with(fd, &slices, &[]),
                Some(IpAddr::V4(address)) => {
                    let octets = in_addr { s_addr: u32::from_ne_bytes(address.octets()) };
                    let info =
                        in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: octets, ipi_addr: in_addr { s_addr: 0 } };
                    self.send_with(fd, &slices, &[ControlMessage::Ipv4PacketInfo(&info)])
                }
                Some(IpAddr::V6(address)) => {
                    let info =
                        in6_pktinfo { ipi6_addr: in6_addr { s6_addr: address.octets() }, ipi6_ifindex: 0 };
                    self.send_with(fd, &slices, &[ControlMessage::Ipv6PacketInfo(&info)])
                }
            };
            // What cannot be sent is dropped, one at a time: the client asks again.
            rest = rest.get(sent.unwrap_or(0).max(1)..).unwrap_or_default();
        }
    }

    fn send_with(
        &mut self,
        fd: i32,
        slices: &[[IoSlice<'_>; 1]],
        control: &[ControlMessage<'_>],
    ) -> Result<usize, Errno> {
        sendmmsg(fd, &mut self.headers, slices, &self.to, control, MsgFlags::empty()).map(Iterator::count)
    }
}
