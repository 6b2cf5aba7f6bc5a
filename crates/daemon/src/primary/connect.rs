//! Sockets towards a primary, and what their errors mean.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use secondo_transfer::Fault;
use secondo_wire::Reason;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::timeout;

use super::Way;
use crate::tls::{self, Stream};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a connection may take to say that it ends.
const CLOSE: Duration = Duration::from_secs(1);

/// A connection as the operator wants it: plain, or after a handshake of TLS; never one for the other. With it, whether
/// the primary asked who we are and was told nothing.
pub(super) async fn open(way: &Way) -> Result<(Stream, bool), Fault> {
    let stream = tcp(way).await?;
    match &way.primary.tls {
        Some(tls) => tls.handshake(stream, way.address.ip()).await,
        None => Ok((Stream::Tcp(stream), false)),
    }
}

/// Ends a connection on which nothing more is awaited. Whether the primary hears it is of no matter.
pub(super) async fn close(mut stream: Stream) {
    let _ = timeout(CLOSE, stream.shutdown()).await;
}

/// A TCP connection, from the source address that the operator chose.
async fn tcp(way: &Way) -> Result<TcpStream, Fault> {
    let connecting = async {
        let socket = if way.address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(source) = way.source() {
            socket.bind(SocketAddr::new(source, 0))?;
        }
        let stream = socket.connect(way.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    match timeout(CONNECT, connecting).await {
        Ok(connected) => connected.map_err(|error| fault(&error, "connecting")),
        Err(_) => Err(Fault::new(Reason::Timeout, format!("no connection within {} s", CONNECT.as_secs()))),
    }
}

/// A UDP socket that hears that address alone, from a fresh port (RFC 5452 §9.2).
pub(super) async fn udp(way: &Way) -> Result<UdpSocket, Fault> {
    let any: IpAddr =
        if way.address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let opened = async {
        let socket = UdpSocket::bind(SocketAddr::new(way.source().unwrap_or(any), 0)).await?;
        socket.connect(way.address).await?;
        Ok(socket)
    };
    opened.await.map_err(|error| fault(&error, "opening a UDP socket"))
}

/// What an error of the network means. Running out of descriptors is our own fault, not the primary's.
pub(super) fn fault(error: &io::Error, doing: &str) -> Fault {
    use io::ErrorKind::*;
    if let Some(fault) = tls::fault(error) {
        return fault;
    }
    let reason = match error.kind() {
        ConnectionRefused => Reason::ConnectionRefused,
        ConnectionReset | ConnectionAborted | BrokenPipe | NotConnected => Reason::ConnectionReset,
        HostUnreachable | NetworkUnreachable | NetworkDown => Reason::Unreachable,
        TimedOut => Reason::Timeout,
        OutOfMemory => Reason::Busy,
        _ => match error.raw_os_error().map(nix::errno::Errno::from_raw) {
            Some(nix::errno::Errno::EMFILE | nix::errno::Errno::ENFILE | nix::errno::Errno::ENOBUFS) => {
                Reason::Busy
            }
            _ => Reason::NetworkError,
        },
    };
    Fault::new(reason, format!("{doing}: {error}"))
}
