//! One connection, over TCP or TLS, one task: takes the requests that are there, answers them in one write; transfers run beside it and
//! their messages go out between the answers.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;
use std::time::Duration;

use secondo_answer::{Client, Outcome, Scratch, Transport};
use secondo_wire::Rcode;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};

use super::frame::{frame_into, in_time, write_whole};
use super::listener::Shared;
use super::places::{Ask, Place};
use super::sending::{self, Part};
use crate::tls::Stream;

/// Messages of transfers that wait for the client to read.
const QUEUE: usize = 16;
/// Transfers at once on one connection; what is asked beyond them waits for one to end.
const TRANSFERS: usize = 16;
/// How long who was let in may take to begin to ask: he came in order to, and that is when nothing can be told of him yet
/// (RFC 7766 §6.2.3).
const FIRST: Duration = Duration::from_secs(5);
/// How long a message may take from its first octet to its last.
const WHOLE: Duration = Duration::from_secs(5);
/// Messages one after another that ask nothing, after which nobody believes that there comes a request.
const MALFORMED: u8 = 3;
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
    let deadline = Instant::now() + shared.limits.idle.min(FIRST);
    let mut conversation = Conversation {
        stream,
        client: Client { addr: peer, transport },
        place,
        shared,
        out: Some(out),
        transfers: JoinSet::new(),
        queue,
        unread: Vec::new(),
        deadline,
        answers: Vec::new(),
        malformed: 0,
    };
    let ended = conversation.hold().await;
    let Conversation { stream, place, shared, mut transfers, queue, .. } = conversation;
    // Who comes next does not wait for what is left to do; the end of the daemon does.
    let is_last = matches!(place.ends(), Some((Ask::Stopping | Ask::Stopped, _)));
    let (_kept, given_back) = if is_last { (Some(place), None) } else { (None, Some(place)) };
    match (ended, &stream) {
        // Closing says all that there is to say.
        (Ok(Ended::ByClient), Stream::Tcp(_)) => drop((stream, given_back)),
        (Ok(_), _) => shared.farewells.part(stream, given_back).await,
        // Why it failed is of no use to anybody.
        (Err(_), _) => drop((stream, given_back)),
    }
    // The transfers see that nobody takes their messages any more, and say so.
    drop(queue);
    while transfers.join_next().await.is_some() {}
}

struct Conversation {
    stream: Stream,
    client: Client,
    place: Place,
    shared: Arc<Shared>,
    /// For messages of transfers; given up at the end, so that the queue ends with the last of them.
    out: Option<Sender<Part>>,
    /// Those under way. One that fails cannot be ended but by closing (RFC 5936 §2.2.1).
    transfers: JoinSet<Result<(), ()>>,
    queue: Receiver<Part>,
    /// What there is of messages that are not whole, or have to wait.
    unread: Vec<u8>,
    /// By when there has to be more of them, unless something is under way.
    deadline: Instant,
    /// Answers on their way, framed.
    answers: Vec<u8>,
    /// Messages that asked nothing since the last request.
    malformed: u8,
}

/// Who had enough.
enum Ended {
    ByClient,
    ByUs,
}

impl Conversation {
    /// Goes on until one side has had enough, and nothing is under way any more.
    async fn hold(&mut self) -> io::Result<Ended> {
        let mut buffer = [0; READ];
        loop {
            let taken = match self.wait(&mut buffer).await? {
                Continue(count) => self.take(buffer.get(..count).unwrap_or_default()).await?,
                Break(ended) => Break(ended),
            };
            if let Break(ended) = taken {
                return self.finish(ended).await;
            }
        }
    }

    /// Waits for octets, and for the end of a transfer, without any: what had to wait for that may be taken. Meanwhile the messages
    /// of transfers go out.
    async fn wait(&mut self, buffer: &mut [u8]) -> io::Result<ControlFlow<Ended, usize>> {
        loop {
            let is_busy = self.is_busy();
            // Nothing puts off the end of who has to leave but a transfer under way, not even octets that never end.
            match self.place.ends() {
                Some((Ask::Crowded, _)) if is_busy => {}
                Some((_, ends)) if ends <= Instant::now() => return Ok(Break(Ended::ByUs)),
                _ => {}
            }
            self.place.rest(is_busy);
            let by = self.place.bound(self.deadline, is_busy);
            tokio::select! {
                // What is not taken fills the client's window: it waits.
                read = timeout_at(by, self.stream.read(buffer)), if self.may_ask() => match read {
                    Ok(Ok(0)) => return Ok(Break(Ended::ByClient)),
                    Ok(read) => return read.map(Continue),
                    // RFC 7766 §6.2.3: idle is who has nothing under way.
                    Err(_) if self.unread.is_empty() && is_busy => self.renew(),
                    Err(_) => return Ok(Break(Ended::ByUs)),
                },
                () = self.place.asked() => {}
                // It never ends while `out` is there.
                Some(part) = self.queue.recv() => {
                    self.pass_on(part).await?;
                    self.renew();
                }
                Some(ended) = self.transfers.join_next() => return is_sent(ended).map(|()| Continue(0)),
            }
        }
    }

    /// Answers what is whole with these octets; with none, what had to wait for a transfer.
    async fn take(&mut self, fresh: &[u8]) -> io::Result<ControlFlow<Ended>> {
        let mut unread = std::mem::take(&mut self.unread);
        let began = unread.is_empty();
        // Only a message that came in parts is copied.
        if !began {
            unread.extend_from_slice(fresh);
        }
        let taken = self.answer_all(if began { fresh } else { &unread }).await?;
        self.flush().await?;
        let Some(taken) = taken else { return Ok(Break(Ended::ByUs)) };
        if began {
            unread.extend_from_slice(fresh.get(taken..).unwrap_or_default());
        } else {
            forget(&mut unread, taken);
        }
        self.unread = unread;
        if began || taken > 0 || fresh.is_empty() {
            self.renew();
        }
        Ok(Continue(()))
    }

    /// From now on there is time for the next message, or for the rest of one. While a client had to be waited for, it was not
    /// idle, and what it sent was not read.
    fn renew(&mut self) {
        let time = if self.unread.is_empty() { self.shared.limits.idle } else { WHOLE };
        self.deadline = Instant::now() + time;
    }

    /// Whether a transfer is under way, up to its last message.
    fn is_busy(&self) -> bool {
        !self.transfers.is_empty() || !self.queue.is_empty()
    }

    /// Whether there may be another transfer: until it is looked at, anything may be one.
    fn may_ask(&self) -> bool {
        self.transfers.len() < TRANSFERS
    }

    /// Answers all messages in `octets` that are whole, unless they have to wait until a transfer has ended; how many octets that
    /// were, or `None` when the framing is broken or garbage comes: nothing more is taken.
    async fn answer_all(&mut self, octets: &[u8]) -> io::Result<Option<usize>> {
        let mut rest = octets;
        while let Some((length, behind)) = rest.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            if length < HEADER {
                return Ok(None);
            }
            let Some((request, behind)) = behind.split_at_checked(length) else { break };
            if !self.may_ask() {
                break;
            }
            self.answer(request);
            rest = behind;
            if self.malformed >= MALFORMED {
                return Ok(None);
            }
            if self.answers.len() >= WRITE {
                self.flush().await?;
            }
        }
        Ok(Some(octets.len() - rest.len()))
    }

    /// Answers a request.
    fn answer(&mut self, request: &[u8]) {
        let client = self.client;
        let mut outcome = Outcome::Silence;
        let from = self.answers.len();
        // Table and zone are let go before the task waits.
        let batch = self.shared.respond.batch();
        SCRATCH.with_borrow_mut(|scratch| {
            frame_into(&mut self.answers, |out| outcome = batch.any(request, client, scratch, out));
        });
        let Outcome::Transfer(transfer) = outcome else {
            let asks = self.answers.get(from..).is_some_and(is_for_a_request);
            self.malformed = if asks { 0 } else { self.malformed + 1 };
            return;
        };
        self.malformed = 0;
        if !self.stream.carries_zones() {
            sending::refuse(*transfer, self.client, &mut self.answers);
        } else if let Some(out) = self.out.clone() {
            let (peer, places) = (self.client, Arc::clone(&self.shared.transfers));
            let sending = async move { sending::send(*transfer, peer, places, &out).await };
            self.transfers.spawn_on(sending, &self.shared.aside);
        }
    }

    /// Nothing more is taken; what was asked before is still answered.
    async fn finish(&mut self, ended: Ended) -> io::Result<Ended> {
        self.out = None;
        // Each of them sees to its own end.
        let until = Instant::now() + sending::LONGEST;
        while let Some(part) = in_time(self.queue.recv(), until, &mut self.place, true).await? {
            self.pass_on(part).await?;
        }
        while let Some(ended) = in_time(self.transfers.join_next(), until, &mut self.place, true).await? {
            is_sent(ended)?;
        }
        Ok(ended)
    }

    /// Writes what a transfer has made, or tells it that all of it is written.
    async fn pass_on(&mut self, part: Part) -> io::Result<()> {
        match part {
            Part::Message(message) => self.write(&message, true).await,
            // Was it ended meanwhile, it has said so.
            Part::End(written) => written.send(()).or(Ok(())),
        }
    }

    /// Writes the answers collected.
    async fn flush(&mut self) -> io::Result<()> {
        if self.answers.is_empty() {
            return Ok(());
        }
        let answers = std::mem::take(&mut self.answers);
        self.write(&answers, self.is_busy()).await
    }

    async fn write(&mut self, octets: &[u8], is_busy: bool) -> io::Result<()> {
        write_whole(&mut self.stream, octets, &mut self.place, is_busy).await
    }
}

/// Removes what was taken. The rest stays where it is, however many octets at a time it grows by; what is empty takes no memory.
fn forget(octets: &mut Vec<u8>, taken: usize) {
    octets.drain(..taken);
    if octets.is_empty() {
        *octets = Vec::new();
    }
}

/// Whether an answer, with its length before it, is one to a request, well or badly made. What has no question that can be read
/// is none, unless it is fine without; nor is a response, to which nothing is said.
fn is_for_a_request(framed: &[u8]) -> bool {
    match framed {
        [_, _, _, _, _, codes, 0, 0, ..] => Rcode(u16::from(codes & 15)) != Rcode::FORMERR,
        _ => !framed.is_empty(),
    }
}

/// What a transfer came to.
fn is_sent(ended: Result<Result<(), ()>, JoinError>) -> io::Result<()> {
    match ended {
        Ok(Ok(())) => Ok(()),
        _ => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_comes_octet_by_octet_is_not_copied_with_each() {
        let mut octets = Vec::with_capacity(8);
        for octet in 0..8 {
            octets.push(octet);
            forget(&mut octets, 0);
            assert_eq!(octets.capacity(), 8);
        }
        forget(&mut octets, 5);
        assert_eq!(octets, [5, 6, 7]);
        forget(&mut octets, 3);
        assert_eq!(octets.capacity(), 0);
    }
}
