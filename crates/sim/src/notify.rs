//! NOTIFY: sent again until it is answered (RFC 1996 §3.6).

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use secondo_tsig::{Key, sign_request};
use secondo_wire::{Header, Opcode, Rcode, control, flags};
use secondo_zone::Zone;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// An answered NOTIFY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notified {
    /// Who was notified.
    pub secondary: SocketAddr,
    /// Its answer.
    pub rcode: Rcode,
    /// How often it was sent.
    pub tries: u32,
    /// From the first sending to the answer.
    pub took: Duration,
}

/// A NOTIFY that was not answered.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// All tries went unanswered.
    #[error("{0} did not answer {1} NOTIFY messages")]
    Unanswered(SocketAddr, u32),
    /// There is no such zone.
    #[error("there is no such zone here")]
    NoZone,
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Sends until an answer comes that is sealed when we are: `tries` times, `wait` apart.
pub(crate) async fn notify(
    zone: Zone,
    key: Option<Key>,
    secondary: SocketAddr,
    tries: u32,
    wait: Duration,
) -> Result<Notified, NotifyError> {
    let local: SocketAddr = if secondary.is_ipv4() {
        (std::net::Ipv4Addr::LOCALHOST, 0).into()
    } else {
        (std::net::Ipv6Addr::LOCALHOST, 0).into()
    };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(secondary).await?;
    let start = Instant::now();
    for number in 1..=tries {
        let id = rand::random();
        let mut message = control::notify(zone.apex(), zone.soa(), zone.soa_ttl(), id);
        let mut stream = key.as_ref().map(|key| sign_request(&mut message, key, unix_now()));
        // A closed port shows as an error of the next call: one more reason to try again.
        let _ = socket.send(&message).await;
        let answer = async {
            let mut buffer = [0; 1500];
            loop {
                let Ok(length) = socket.recv(&mut buffer).await else {
                    tokio::time::sleep(wait).await;
                    continue;
                };
                let Some(header) = Header::read(&buffer[..length]) else { continue };
                let ours = header.id == id && header.has(flags::QR) && header.opcode() == Opcode::NOTIFY;
                let sealed =
                    stream.as_mut().is_none_or(|stream| stream.verify(&buffer[..length], unix_now()).is_ok());
                if ours && sealed {
                    return header.rcode();
                }
            }
        };
        if let Ok(rcode) = timeout(wait, answer).await {
            return Ok(Notified { secondary, rcode, tries: number, took: start.elapsed() });
        }
    }
    Err(NotifyError::Unanswered(secondary, tries))
}

/// Seconds since 1970.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
