//! The end of a connection that we close: what was written is to reach the client, and what it has sent meanwhile must not
//! destroy that. A close with octets unread is a reset (RFC 1122 §4.2.2.13), which the client's kernel obeys at once, answers
//! unread or not.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::places::Place;
use crate::tls::Stream;

/// How long what comes after our end is read, unless the client ends before.
pub(super) const LINGER: Duration = Duration::from_secs(1);
/// Octets that are read of it: about what a client has on its way when it stops as soon as it sees our end.
const OCTETS: usize = 256 << 10;
/// Octets read at once.
const READ: usize = 2048;
/// Connections that linger at once. They hold no place any more, but at the end of the daemon; beyond these, what is there is read
/// and that is all.
pub(super) const AT_ONCE: usize = 64;

/// Those who are being left.
pub(super) struct Farewells(Semaphore);

impl Farewells {
    pub(super) fn new() -> Farewells {
        Farewells(Semaphore::new(AT_ONCE))
    }

    /// Ends the connection. Its place, if it holds one, is free from then on, and not before [`Farewells::over`] waits for it.
    pub(super) async fn part(&self, mut stream: Stream, place: Option<Place>) {
        let lingering = self.0.try_acquire();
        drop(place);
        let time = if lingering.is_ok() { LINGER } else { Duration::ZERO };
        // Nobody is there to whom it would matter how this ended.
        let _ = timeout(time, async {
            stream.shutdown().await?;
            drain(&stream).await
        })
        .await;
    }

    /// Waits until nobody lingers. Whoever comes meanwhile does not.
    pub(super) async fn over(&self) {
        // It is never closed.
        let _ = self.0.acquire_many(AT_ONCE as u32).await;
    }
}

/// Reads what comes, to the client's end or to that of our patience.
async fn drain(stream: &Stream) -> io::Result<()> {
    let socket = stream.socket();
    let mut drained = 0;
    while drained < OCTETS {
        socket.readable().await?;
        match socket.try_read(&mut [0; READ]) {
            Ok(0) => break,
            Ok(read) => drained += read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::tls::testing::connection;

    /// What a client reads that has sent more than was read of it, and its end.
    async fn read_of(farewells: &Farewells) -> io::Result<Vec<u8>> {
        let (mut ours, mut theirs) = connection().await;
        theirs.write_all(&[7; 5000]).await.unwrap();
        ours.write_all(b"an answer").await.unwrap();
        let client = async {
            let mut read = Vec::new();
            // It goes on for a moment before it reads.
            theirs.write_all(&[8; 5000]).await?;
            theirs.read_to_end(&mut read).await?;
            drop(theirs);
            Ok(read)
        };
        let (read, ()) = tokio::join!(client, farewells.part(Stream::Tcp(ours), None));
        read
    }

    #[tokio::test]
    async fn what_was_written_reaches_a_client_that_has_sent_more_than_was_read() {
        assert_eq!(read_of(&Farewells::new()).await.unwrap(), b"an answer");
    }

    #[tokio::test]
    async fn when_many_linger_the_next_is_left_at_once() {
        let farewells = Farewells::new();
        let all = farewells.0.acquire_many(AT_ONCE as u32).await.unwrap();
        let (ours, _theirs) = connection().await;
        timeout(LINGER / 2, farewells.part(Stream::Tcp(ours), None)).await.expect("it waits for nothing");
        drop(all);
        let (ours, _theirs) = connection().await;
        let parting = farewells.part(Stream::Tcp(ours), None);
        assert!(timeout(LINGER / 2, parting).await.is_err(), "the client has not ended");
    }
}
