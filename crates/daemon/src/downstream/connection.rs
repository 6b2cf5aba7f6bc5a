//! One connection, over TCP or TLS, one task: takes the requests that are there, answers them in one write; transfers run beside it and
//! their messages go out between the answers.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secondo_answer::{Client, Outcome, Scratch, Transport};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc::{Receiver, Sender, WeakSender, channel};
use tokio::time::{Instant, timeout, timeout_at};

use super::listener::Shared;
use super::places::Place;
use super::sending;
use crate::tls::Stream;

/// Messages of transfers that wait for the client to read.
const QUEUE: usize = 16;
/// Transfers at once on one connection.
const TRANSFERS: usize = 16;
/// How long a message may take from its first octet to its last.
const WHOLE: Duration = Duration::from_secs(5);
/// How long a write may make no progress.
const STALL: Duration = Duration::from_secs(10);
/// How long a client may take to read what is written at once, an octet now and then: about 100 kB at most.
const READ_BY: Duration = Duration::from_secs(60);
/// How long a connection goes on when its place is wanted: what its client has sent may be on its way.
const CROWDED: Duration = Duration::from_millis(50);
/// Octets read at once; all that an idle connection holds.
const READ: usize = 2048;
/// Answers that are collected for one write, octets.
const WRITE: usize = 32 << 10;
/// The least that is a header.
const HEADER: usize = 12;

thread_local! {
    /// No connection keeps one: an answer is made without waiting.
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new());
}

/// Serves a connection to its end.
pub(super) async fn serve(stream: Stream, peer: SocketAddr, place: Place, shared: Arc<Shared>) {
    let (out, queue) = channel(QUEUE);
    let transport = match &stream {
        Stream::Tcp(_) => Transport::Tcp,
        Stream::Tls(_) => Transport::Tls,
    };
    let conversation = Conversation {
        stream,
        client: Client { addr: peer, transport },
        place,
        shared,
        out: out.downgrade(),
        kept: Some(out),
        queue,
        answers: Vec::new(),
    };
    // Why it ended is of no use to anybody.
    let _ = conversation.hold().await;
}

struct Conversation {
    stream: Stream,
    client: Client,
    place: Place,
    shared: Arc<Shared>,
    /// Of transfers; given up at the end, so that the queue ends with the last of them.
    kept: Option<Sender<Vec<u8>>>,
    out: WeakSender<Vec<u8>>,
    queue: Receiver<Vec<u8>>,
    /// Answers on their way, framed.
    answers: Vec<u8>,
}

/// What a look at the requests found.
#[derive(PartialEq, Eq)]
enum Found {
    /// All that is whole was answered.
    Nothing,
    /// The framing is broken, or too much is asked: nothing more is taken.
    End,
}

impl Conversation {
    async fn hold(mut self) -> io::Result<()> {
        let mut unread = Vec::new();
        let mut buffer = [0; READ];
        let idle = self.shared.limits.idle;
        let mut deadline = Instant::now() + idle;
        // When the connection ends because somebody else wants its place: nothing puts that off but a transfer under way.
        let mut end: Option<Instant> = None;
        loop {
            let is_busy = self.transfers() > 0;
            if !is_busy && end.is_some_and(|end| end <= Instant::now()) {
                return self.end().await;
            }
            self.place.rest(is_busy);
            let read = tokio::select! {
                read = timeout_at(end.map_or(deadline, |end| end.min(deadline)), self.stream.read(&mut buffer)) => read,
                Ok(()) = &mut self.place.wanted, if end.is_none() => {
                    end = Some(Instant::now() + CROWDED);
                    continue;
                }
                // It never ends while `kept` is there.
                Some(message) = self.queue.recv() => {
                    self.send(&message).await?;
                    continue;
                }
            };
            let read = match read {
                Ok(read) => read?,
                // RFC 7766 §6.2.3: idle is who has nothing under way.
                Err(_) if unread.is_empty() && self.transfers() > 0 => {
                    deadline = Instant::now() + idle;
                    end = end.map(|_| Instant::now() + CROWDED);
                    continue;
                }
                Err(_) => 0,
            };
            let fresh = buffer.get(..read).unwrap_or_default();
            let began = unread.is_empty();
            // Only a message that came in parts is copied.
            let found = if began {
                let (found, rest) = self.answer_all(fresh).await?;
                unread.extend_from_slice(rest);
                found
            } else {
                unread.extend_from_slice(fresh);
                let (found, rest) = self.answer_all(&unread).await?;
                let taken = unread.len() - rest.len();
                unread.drain(..taken);
                deadline = if taken > 0 { Instant::now() + WHOLE } else { deadline };
                found
            };
            self.flush().await?;
            if read == 0 || found == Found::End {
                return self.end().await;
            }
            if unread.is_empty() {
                unread = Vec::new();
                deadline = Instant::now() + idle;
            } else if began {
                deadline = Instant::now() + WHOLE;
            }
        }
    }

    /// Answers all messages in `octets` that are whole; what is left of them.
    async fn answer_all<'o>(&mut self, mut octets: &'o [u8]) -> io::Result<(Found, &'o [u8])> {
        while let Some((length, behind)) = octets.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            if length < HEADER {
                return Ok((Found::End, octets));
            }
            let Some((request, rest)) = behind.split_at_checked(length) else { break };
            if !self.answer(request) {
                return Ok((Found::End, rest));
            }
            octets = rest;
            if self.answers.len() >= WRITE {
                self.flush().await?;
            }
        }
        Ok((Found::Nothing, octets))
    }

    /// Answers a request; false when it asks too much.
    fn answer(&mut self, request: &[u8]) -> bool {
        let client = self.client;
        let mut outcome = Outcome::Silence;
        // Table and zone are let go before the task waits.
        let batch = self.shared.respond.batch();
        SCRATCH.with_borrow_mut(|scratch| {
            frame_into(&mut self.answers, |out| outcome = batch.any(request, client, scratch, out));
        });
        let Outcome::Transfer(transfer) = outcome else { return true };
        if !self.stream.carries_zones() {
            sending::refuse(*transfer, self.client, &mut self.answers);
            return true;
        }
        if self.transfers() >= TRANSFERS {
            return false;
        }
        if let Some(out) = self.kept.clone() {
            let (peer, places) = (self.client, Arc::clone(&self.shared.transfers));
            self.shared.aside.spawn(async move {
                if sending::send(*transfer, peer, places, &out).await.is_err() {
                    // RFC 5936 §2.2.1: a transfer that cannot go on is ended by closing.
                    let _ = out.send(Vec::new()).await;
                }
            });
        }
        true
    }

    /// Transfers under way.
    fn transfers(&self) -> usize {
        self.out.strong_count().saturating_sub(usize::from(self.kept.is_some()))
    }

    /// Nothing more is taken; what was asked before is still answered.
    async fn end(mut self) -> io::Result<()> {
        self.kept = None;
        while let Some(message) = self.queue.recv().await {
            self.send(&message).await?;
        }
        match &mut self.stream {
            // Closing says all that there is to say.
            Stream::Tcp(_) => Ok(()),
            Stream::Tls(stream) => timeout(STALL, stream.shutdown()).await?,
        }
    }

    /// Writes the answers collected.
    async fn flush(&mut self) -> io::Result<()> {
        let answers = std::mem::take(&mut self.answers);
        write_whole(&mut self.stream, &answers, Instant::now() + READ_BY).await
    }

    /// Writes a message of a transfer; the empty one says that it cannot go on.
    async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        if message.is_empty() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        write_whole(&mut self.stream, message, Instant::now() + READ_BY).await
    }
}

/// Appends a message with its length before it (RFC 1035 §4.2.2), or nothing when nothing was written.
pub(super) fn frame_into(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let from = out.len();
    out.extend_from_slice(&[0, 0]);
    write(out);
    match u16::try_from(out.len() - from - 2) {
        Ok(length) if length > 0 => out[from..from + 2].copy_from_slice(&length.to_be_bytes()),
        _ => out.truncate(from),
    }
}

/// A message with its length before it; empty when nothing was written.
pub(super) fn frame(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut message = Vec::with_capacity(514);
    frame_into(&mut message, write);
    message
}

/// Writes all of it, unless the client does not read, or so slowly that it is not through at `until`.
async fn write_whole(
    stream: &mut (impl AsyncWrite + Unpin),
    mut rest: &[u8],
    until: Instant,
) -> io::Result<()> {
    while !rest.is_empty() {
        let now = Instant::now();
        if now >= until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match timeout_at(until.min(now + STALL), stream.write(rest)).await?? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => rest = rest.get(written..).unwrap_or_default(),
        }
    }
    timeout(STALL, stream.flush()).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_its_length_before_it() {
        assert_eq!(frame(|message| message.extend_from_slice(b"abc")), b"\x00\x03abc");
        assert!(frame(|_| {}).is_empty());
        let mut two = frame(|message| message.push(1));
        frame_into(&mut two, |_| {});
        frame_into(&mut two, |message| message.push(2));
        assert_eq!(two, [0, 1, 1, 0, 1, 2]);
    }

    #[tokio::test]
    async fn who_reads_an_octet_now_and_then_is_not_waited_for_for_ever() {
        for (until, whole) in [(Duration::ZERO, false), (READ_BY, true)] {
            let (mut here, mut there) = tokio::io::duplex(1);
            let client = tokio::spawn(async move { while there.read_u8().await.is_ok() {} });
            let written = write_whole(&mut here, &[7; 100], Instant::now() + until).await;
            assert_eq!(written.is_ok(), whole, "{written:?}");
            drop(here);
            client.await.unwrap();
        }
    }
}
