//! One connection, over TCP or TLS, one task: takes the requests that are there, answers them in one write; transfers run beside it and
//! their messages go out between the answers.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secondo_answer::{Client, Outcome, Scratch, Transport};
use secondo_wire::Rcode;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};

use super::frame::{frame_into, wait, write_whole};
use super::listener::Shared;
use super::places::{Ask, Place};
use super::sending;
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
    let mut conversation = Conversation {
        stream,
        client: Client { addr: peer, transport },
        place,
        shared,
        out: Some(out),
        transfers: JoinSet::new(),
        queue,
        answers: Vec::new(),
        malformed: 0,
    };
    let ended = conversation.hold().await;
    let Conversation { stream, place, shared, mut transfers, queue, .. } = conversation;
    // Who comes next does not wait for what is left to do; the end of the daemon does.
    let is_last = matches!(place.ends(), Some((Ask::Stopping | Ask::Stopped, _)));
    let _place = is_last.then_some(place);
    match (ended, &stream) {
        // Closing says all that there is to say.
        (Ok(Ended::ByClient), Stream::Tcp(_)) => drop(stream),
        (Ok(_), _) => shared.farewells.part(stream).await,
        // Why it failed is of no use to anybody.
        (Err(_), _) => drop(stream),
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
    out: Option<Sender<Vec<u8>>>,
    /// Those under way. One that fails cannot be ended but by closing (RFC 5936 §2.2.1).
    transfers: JoinSet<Result<(), ()>>,
    queue: Receiver<Vec<u8>>,
    /// Answers on their way, framed.
    answers: Vec<u8>,
    /// Messages that asked nothing since the last request.
    malformed: u8,
}

/// What a look at the requests found.
#[derive(PartialEq, Eq)]
enum Found {
    /// All that is whole was answered, or has to wait until a transfer has ended.
    Nothing,
    /// The framing is broken, or what comes is garbage: nothing more is taken.
    End,
}

/// Who had enough.
#[derive(PartialEq, Eq)]
enum Ended {
    ByClient,
    ByUs,
}

impl Conversation {
    /// Goes on until one side has had enough, and nothing is under way any more.
    async fn hold(&mut self) -> io::Result<Ended> {
        let mut unread = Vec::new();
        let mut buffer = [0; READ];
        let idle = self.shared.limits.idle;
        let mut deadline = Instant::now() + idle.min(FIRST);
        loop {
            let is_busy = self.is_busy();
            // Nothing puts off the end of who has to leave but a transfer under way, not even octets that never end.
            let by = match self.place.ends() {
                Some((Ask::Stopping | Ask::Stopped, _)) => return self.finish(Ended::ByUs).await,
                Some((Ask::Crowded, ends)) if !is_busy => match ends <= Instant::now() {
                    true => return self.finish(Ended::ByUs).await,
                    false => ends.min(deadline),
                },
                _ => deadline,
            };
            self.place.rest(is_busy);
            let read = tokio::select! {
                // What is not taken fills the client's window: it waits.
                read = timeout_at(by, self.stream.read(&mut buffer)), if self.may_ask() => match read {
                    Ok(read) => Some(read?),
                    // RFC 7766 §6.2.3: idle is who has nothing under way.
                    Err(_) if unread.is_empty() && is_busy => {
                        deadline = Instant::now() + idle;
                        continue;
                    }
                    Err(_) => return self.finish(Ended::ByUs).await,
                },
                () = self.place.asked() => continue,
                // It never ends while `out` is there.
                Some(message) = self.queue.recv() => {
                    self.write(&message, true).await?;
                    // Who had to be waited for is not idle, and what he sent meanwhile was not read.
                    deadline = Instant::now() + if unread.is_empty() { idle } else { WHOLE };
                    continue;
                }
                Some(ended) = self.transfers.join_next() => {
                    is_sent(ended)?;
                    None
                }
            };
            let fresh = buffer.get(..read.unwrap_or_default()).unwrap_or_default();
            let began = unread.is_empty();
            let found;
            let mut taken = 0;
            // Only a message that came in parts is copied.
            if began {
                let rest;
                (found, rest) = self.answer_all(fresh).await?;
                unread.extend_from_slice(rest);
            } else {
                unread.extend_from_slice(fresh);
                let rest;
                (found, rest) = self.answer_all(&unread).await?;
                taken = unread.len() - rest.len();
                unread.drain(..taken);
            }
            self.flush().await?;
            match read {
                Some(0) => return self.finish(Ended::ByClient).await,
                _ if found == Found::End => return self.finish(Ended::ByUs).await,
                // While a transfer had to be waited for, nothing of a message could come.
                _ if began || taken > 0 || read.is_none() => {
                    deadline = Instant::now() + if unread.is_empty() { idle } else { WHOLE };
                }
                _ => {}
            }
            if unread.is_empty() {
                unread = Vec::new();
            }
        }
    }

    /// Whether a transfer is under way, up to its last message.
    fn is_busy(&self) -> bool {
        !self.transfers.is_empty() || !self.queue.is_empty()
    }

    /// Whether there may be another transfer: until it is looked at, anything may be one.
    fn may_ask(&self) -> bool {
        self.transfers.len() < TRANSFERS
    }

    /// Answers all messages in `octets` that are whole; what is left of them.
    async fn answer_all<'o>(&mut self, mut octets: &'o [u8]) -> io::Result<(Found, &'o [u8])> {
        while let Some((length, behind)) = octets.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            if length < HEADER {
                return Ok((Found::End, octets));
            }
            let Some((request, rest)) = behind.split_at_checked(length) else { break };
            if !self.may_ask() {
                break;
            }
            self.answer(request);
            octets = rest;
            if self.malformed >= MALFORMED {
                return Ok((Found::End, octets));
            }
            if self.answers.len() >= WRITE {
                self.flush().await?;
            }
        }
        Ok((Found::Nothing, octets))
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
        while let Some(message) = wait(self.queue.recv(), until, &mut self.place, true).await? {
            self.write(&message, true).await?;
        }
        while let Some(ended) = wait(self.transfers.join_next(), until, &mut self.place, true).await? {
            is_sent(ended)?;
        }
        Ok(ended)
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
