//! One TCP connection: requests are answered as they come, transfers run beside them, all write through one queue.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use secondo_answer::{Client, Outcome, Scratch, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::timeout;

use super::listener::Shared;
use super::sending;

/// Messages that wait for the client to read; then we stop reading from it.
const QUEUE: usize = 16;
/// Transfers at once on one connection.
const TRANSFERS: usize = 16;
/// How long a message may take from its first octet to its last.
const WHOLE: Duration = Duration::from_secs(5);
/// How long a write may make no progress.
const STALL: Duration = Duration::from_secs(10);
/// Octets read at once.
const READ: usize = 4096;
/// The least that is a header.
const HEADER: usize = 12;

/// Serves a connection to its end.
pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    // Only latency suffers where the option is not to be had.
    let _ = stream.set_nodelay(true);
    let (reading, writing) = stream.into_split();
    let (out, queue) = channel(QUEUE);
    let mut writer = tokio::spawn(write(writing, queue));
    let conversation = Conversation { peer, shared, out, busy: Arc::default() };
    tokio::select! {
        // Whatever ended it, what was asked before is still answered.
        _ = conversation.read(BufReader::with_capacity(READ, reading)) => drop(writer.await),
        // A client that does not take its answers has nothing more to ask.
        _ = &mut writer => {}
    }
}

struct Conversation {
    peer: SocketAddr,
    shared: Arc<Shared>,
    out: Sender<Vec<u8>>,
    /// Transfers running.
    busy: Arc<AtomicUsize>,
}

impl Conversation {
    /// Takes requests until the client ends, falls silent or breaks the framing.
    async fn read(self, mut stream: BufReader<OwnedReadHalf>) -> io::Result<()> {
        let mut scratch = Scratch::new();
        let mut request = Vec::new();
        while let Some(length) = self.next_length(&mut stream).await? {
            if length < HEADER {
                return Ok(());
            }
            // Grows with what arrives, not with what is announced.
            request.clear();
            let mut whole = (&mut stream).take(length as u64);
            let read = timeout(WHOLE, whole.read_to_end(&mut request)).await??;
            if read < length {
                return Ok(());
            }
            if self.answer(&request, &mut scratch).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The length of the next message; `None` when the client ends or falls silent with nothing under way.
    async fn next_length(&self, stream: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<usize>> {
        let first = loop {
            match timeout(self.shared.limits.idle, stream.read_u8()).await {
                Ok(Ok(octet)) => break octet,
                Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                Ok(Err(error)) => return Err(error),
                // RFC 7766 §6.2.3: idle is who has nothing under way.
                Err(_) if self.busy.load(Ordering::Relaxed) > 0 => {}
                Err(_) => return Ok(None),
            }
        };
        let second = timeout(WHOLE, stream.read_u8()).await??;
        Ok(Some(usize::from(u16::from_be_bytes([first, second]))))
    }

    /// Answers a request; an error when the client does not take answers any more.
    async fn answer(&self, request: &[u8], scratch: &mut Scratch) -> Result<(), ()> {
        let client = Client { addr: self.peer, transport: Transport::Tcp };
        let mut outcome = Outcome::Silence;
        let message = {
            // The table is let go before the task waits.
            let batch = self.shared.respond.batch();
            frame(|message| outcome = batch.any(request, client, scratch, message))
        };
        match outcome {
            Outcome::Silence => Ok(()),
            Outcome::Transfer(transfer) => {
                if self.busy.load(Ordering::Relaxed) >= TRANSFERS {
                    return Err(());
                }
                let (busy, out) = (Busy::with(&self.busy), self.out.clone());
                let (peer, places) = (self.peer, Arc::clone(&self.shared.transfers));
                tokio::spawn(async move {
                    if sending::send(*transfer, peer, places, out.clone()).await.is_err() {
                        // RFC 5936 §2.2.1: a transfer that cannot go on is ended by closing.
                        let _ = out.send(Vec::new()).await;
                    }
                    drop(busy);
                });
                Ok(())
            }
            Outcome::Reply | Outcome::Notify { .. } => self.out.send(message).await.map_err(drop),
        }
    }
}

/// Something is under way, however it ends.
struct Busy(Arc<AtomicUsize>);

impl Busy {
    fn with(count: &Arc<AtomicUsize>) -> Busy {
        count.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(count))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A message with its length before it (RFC 1035 §4.2.2); empty when nothing was written.
pub(super) fn frame(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut message = Vec::with_capacity(514);
    message.extend_from_slice(&[0, 0]);
    write(&mut message);
    match u16::try_from(message.len() - 2) {
        Ok(length) if length > 0 => message[..2].copy_from_slice(&length.to_be_bytes()),
        _ => message.clear(),
    }
    message
}

/// Writes messages whole, in the order of the queue; an empty one, or a client that does not read, ends it.
async fn write(mut stream: OwnedWriteHalf, mut queue: Receiver<Vec<u8>>) {
    while let Some(message) = queue.recv().await {
        if message.is_empty() || !write_whole(&mut stream, &message).await {
            return;
        }
    }
    // Nobody waits for the outcome of a polite end.
    let _ = stream.shutdown().await;
}

async fn write_whole(stream: &mut OwnedWriteHalf, mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        match timeout(STALL, stream.write(rest)).await {
            Ok(Ok(written)) if written > 0 => rest = rest.get(written..).unwrap_or_default(),
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_its_length_before_it() {
        assert_eq!(frame(|message| message.extend_from_slice(b"abc")), b"\x00\x03abc");
        assert!(frame(|_| {}).is_empty());
    }
}
