//! Sockets as the listeners need them: many on one port, IPv6 apart from IPv4, the address asked known.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
use socket2::{Domain, Protocol, Socket, Type};

/// Connections waiting to be accepted.
const BACKLOG: i32 = 1024;
/// Octets of datagrams that the kernel is to keep for a listener: bursts of NOTIFY wait rather than get lost.
pub(crate) const RECEIVE_BUFFER: usize = 4 << 20;
/// Octets that the kernel keeps of what is written to a client beyond what is on its way to him. What is on its way grows with
/// the line, and so does not hold up who is far away; were there more beside it, a slow client would be seen to make no progress
/// for minutes, and what is answered next would stand behind megabytes of a transfer.
pub(crate) const UNSENT: u32 = 32 << 10;

/// A UDP listener, one of several on its port; on a wildcard address it is told where each datagram was sent to.
pub(crate) fn udp_listener(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = listener(address, Type::DGRAM, Protocol::UDP)?;
    // As root it is had whatever the kernel's cap is; else the cap, which is no reason not to start.
    if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    }
    // What ICMP tells of a path's MTU, which anybody can forge, is not believed: else answers of a size that every path carries
    // would leave in fragments (RFC 9715 §3.1). A kernel that knows no such option is no reason not to start.
    let _ = match address {
        SocketAddr::V4(_) => set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::OMIT),
        SocketAddr::V6(_) => set_ipv6_mtu_discover(&socket, Ipv6PathMtuDiscovery::OMIT),
    };
    if address.ip().is_unspecified() {
        match address {
            SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        }
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Octets that the kernel keeps for a listener; of what is asked for it takes twice as much for its own account (socket(7)).
pub(crate) fn receive_buffer(listener: &UdpSocket) -> usize {
    getsockopt(listener, sockopt::RcvBuf).map_or(0, |octets| octets / 2)
}

/// Whether the address is free for us alone: listeners that share a port would share it with another daemon, too.
pub(crate) fn is_free(address: SocketAddr) -> io::Result<()> {
    let socket = listener(address, Type::STREAM, Protocol::TCP)?;
    socket.set_reuse_port(false)?;
    socket.bind(&address.into())?;
    socket.listen(1)
}

/// A TCP listener for tokio, one of several on its port.
pub(crate) fn tcp_listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = listener(address, Type::STREAM, Protocol::TCP)?;
    socket.set_nonblocking(true)?;
    // What it accepts inherits both. An answer never waits for the acknowledgement of the one before.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn listener(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // So that `[::]` and `0.0.0.0` can stand side by side.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(kind == Type::STREAM)?;
    socket.set_reuse_port(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use rustix::net::sockopt::{ip_mtu_discover, ipv6_mtu_discover};

    use super::*;

    #[test]
    fn udp_listeners_do_not_believe_what_is_told_of_a_paths_mtu() {
        let ipv4 = udp_listener("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_eq!(ip_mtu_discover(&ipv4), Ok(Ipv4PathMtuDiscovery::OMIT));
        let ipv6 = udp_listener("[::1]:0".parse().unwrap()).unwrap();
        assert_eq!(ipv6_mtu_discover(&ipv6), Ok(Ipv6PathMtuDiscovery::OMIT));
    }
}
