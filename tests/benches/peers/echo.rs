//! The limit of a machine: a bare program that takes datagrams in batches, sets QR, pads them to the size of an answer and
//! sends them back. It runs as a process of its own, so that its processor time is told like everybody's.

use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, MultiHeaders, SockFlag, SockType, SockaddrIn, bind, recvmmsg, sendmmsg,
    setsockopt, socket, sockopt,
};

/// The first word of the command line that makes this program the echo.
pub(crate) const WORD: &str = "--echo";
/// Datagrams taken at once.
const BATCH: usize = 64;
/// Octets that a datagram may have, here and there.
const ROOM: usize = 1232;
/// As secondo asks for.
const RECEIVE_BUFFER: usize = 4 << 20;

/// The words that follow [`WORD`]: where to listen, how long an answer is, and with how many threads.
pub(crate) fn words(address: SocketAddr, size: usize, threads: usize) -> Vec<String> {
    [WORD.to_owned(), address.to_string(), size.to_string(), threads.to_string()].to_vec()
}

/// Answers until it is killed.
pub(crate) fn run(words: &[String]) -> Option<()> {
    let [address, size, threads] = words else { return None };
    let address: SocketAddrV4 = address.parse().ok()?;
    let size: usize = size.parse().ok().filter(|&size| size <= ROOM)?;
    let threads: usize = threads.parse().ok()?;
    // All sockets are there before the first datagram is taken.
    let sockets: Vec<OwnedFd> =
        (0..threads).map(|_| listener(address)).collect::<nix::Result<_>>().expect("the port is ours");
    std::thread::scope(|scope| {
        for socket in sockets {
            scope.spawn(move || answer(&socket, size));
        }
    });
    Some(())
}

fn listener(address: SocketAddrV4) -> nix::Result<OwnedFd> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::empty(), None)?;
    setsockopt(&socket, sockopt::ReusePort, &true)?;
    setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER)?;
    bind(socket.as_raw_fd(), &SockaddrIn::from(address))?;
    Ok(socket)
}

fn answer(socket: &OwnedFd, size: usize) {
    let fd = socket.as_raw_fd();
    let mut buffers = Box::new([[0u8; ROOM]; BATCH]);
    let (mut from, mut to) = (MultiHeaders::preallocate(BATCH, None), MultiHeaders::preallocate(BATCH, None));
    loop {
        let mut lengths = [0; BATCH];
        let mut peers: [Option<SockaddrIn>; BATCH] = [None; BATCH];
        let mut count = 0;
        let mut slices = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        if let Ok(messages) = recvmmsg(fd, &mut from, slices.iter_mut(), MsgFlags::MSG_WAITFORONE, None) {
            for message in messages {
                lengths[count] = message.bytes.max(size);
                peers[count] = message.address;
                count += 1;
            }
        }
        for buffer in &mut buffers[..count] {
            buffer[2] |= 0x80;
        }
        let mut sent = 0;
        while sent < count {
            let slices: [_; BATCH] = std::array::from_fn(|place| {
                let place = (sent + place).min(count - 1);
                [IoSlice::new(&buffers[place][..lengths[place]])]
            });
            let slices = &slices[..count - sent];
            let outcome = sendmmsg(fd, &mut to, slices, &peers[sent..count], [], MsgFlags::empty());
            sent += outcome.map_or(0, Iterator::count).max(1);
        }
    }
}
