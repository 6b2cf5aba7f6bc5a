//! Ports on loopback that nobody else uses, over UDP and TCP, for as long as the test lives.

use std::fs::{File, TryLockError};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range from which systems take the ports of outgoing connections, so that none of those is in our way.
const FIRST: u16 = 20_100;
const COUNT: u16 = 9_000;

/// A port that belongs to this test: a lock on a file in the temporary folder keeps tests of other processes away from
/// it even while the server that uses it is down.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// A free port; the search starts at a place that depends on the process, so that parallel tests seldom meet.
    pub fn free() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        // A folder for each user, who could not open another's locks.
        let locks = std::env::temp_dir().join(format!("secondo-test-ports-{}", nix::unistd::getuid()));
        std::fs::create_dir_all(&locks).expect("the temporary folder is writable");
        let start = (std::process::id().wrapping_mul(97) % u32::from(COUNT)) as u16;
        for _ in 0..COUNT {
            let number = FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT;
            let Ok(lock) = File::create(locks.join(number.to_string())) else { continue };
            match lock.try_lock() {
                Ok(()) if is_free(number) => return Self { number, _lock: lock },
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    panic!("cannot lock a file in {}: {error}", locks.display())
                }
            }
        }
        panic!("no free port between {FIRST} and {}", FIRST + COUNT);
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The port at 127.0.0.1.
    pub fn at_loopback(&self) -> SocketAddr {
        self.at(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// The port at another address of this machine.
    pub fn at(&self, address: IpAddr) -> SocketAddr {
        SocketAddr::new(address, self.number)
    }
}

/// Whether the number can be bound at every address, over UDP and TCP.
fn is_free(number: u16) -> bool {
    let everywhere = (Ipv4Addr::UNSPECIFIED, number);
    UdpSocket::bind(everywhere).is_ok() && TcpListener::bind(everywhere).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ports_held_at_the_same_time_differ() {
        let ports: Vec<Port> = (0..50).map(|_| Port::free()).collect();
        let numbers: BTreeSet<u16> = ports.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), 50);
    }

    #[test]
    fn a_port_in_use_is_not_free() {
        let port = Port::free();
        let _taken = UdpSocket::bind(port.at_loopback()).unwrap();
        assert!(!is_free(port.number()));
    }
}
