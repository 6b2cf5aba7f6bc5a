//! One question on a connection that others may share, and its answer.

use std::sync::Arc;
use std::time::Duration;

use secondo_transfer::Fault;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout_at};

use super::Way;
use super::frames::Frames;
use super::line::{Account, End, Line, Place};
use super::lines::Wanted;

/// How long a connection may take to be made; what makes it has times of its own, which are shorter.
const MADE: Duration = Duration::from_secs(30);
/// How long a connection may be silent when one asked behind others and has heard nothing of its answer yet.
const STALL: Duration = Duration::from_secs(5);
/// How long nothing at all of an answer may come where nobody else waits on the connection: a primary begins its answer
/// soon, if it does, and meanwhile another may have the zone. Between messages it may have more to do.
const FIRST: Duration = Duration::from_secs(15);

/// A place on a connection. Dropped before [`Exchange::finish`], it takes the connection out of use.
pub(super) struct Exchange {
    line: Arc<Line>,
    id: u16,
    answer: Receiver<Vec<u8>>,
    behind: bool,
    began: Instant,
    /// What came and was not taken yet.
    pub(super) frames: Frames,
    finished: bool,
}

/// What came next.
pub(super) enum Next {
    /// So many octets of whole messages: they are in the frames.
    Messages(usize),
    /// Nothing more comes.
    End(End),
    /// Nothing of the answer came for too long.
    Silence,
    /// The moment is there until which was to be waited.
    Late,
}

/// Asks on a connection as `wanted`; and once more on one of its own, where it may mean little that no answer came. With
/// what came of it, the place on the connection, to be finished.
pub(super) async fn ask<T, F>(
    way: &Way,
    wanted: Wanted,
    ask: impl Fn(Exchange) -> F,
) -> (Exchange, Result<T, Fault>)
where
    F: Future<Output = (Exchange, Result<T, Fault>)>,
{
    let (exchange, asked) = ask(way.lines.begin(way, wanted)).await;
    if asked.is_err() && exchange.may_try_again() {
        drop(exchange);
        return ask(way.lines.begin(way, Wanted::Own)).await;
    }
    (exchange, asked)
}

impl Exchange {
    pub(super) fn new(line: Arc<Line>, Place { id, answer, behind }: Place) -> Exchange {
        let (began, frames) = (Instant::now(), Frames::default());
        Exchange { line, id, answer, behind, began, frames, finished: false }
    }

    /// The ID that the question must have.
    pub(super) fn id(&self) -> u16 {
        self.id
    }

    /// Sends the question.
    pub(super) fn send(&self, question: &[u8]) -> Result<(), Fault> {
        self.line.send(question)
    }

    /// Waits for the next messages of the answer until `end`, and while nothing of it, not even of a message, fails to come
    /// for longer than `idle`, whatever others hear.
    pub(super) async fn next(&mut self, idle: Duration, end: Instant) -> Next {
        loop {
            // A connection does not tell when it was made: from then on silence counts, so that is looked after.
            let made = self.is_made();
            let until = if made { self.patience(idle) } else { Instant::now() + idle.min(MADE) };
            match timeout_at(until.min(end), self.answer.recv()).await {
                Ok(Some(run)) => {
                    let octets = run.len();
                    self.frames = Frames::from(run);
                    return Next::Messages(octets);
                }
                Ok(None) => return Next::End(self.line.end().unwrap_or(End::Closed)),
                Err(_) if Instant::now() >= end => return Next::Late,
                Err(_) if self.patience(idle) > until => {}
                Err(_) => return Next::Silence,
            }
        }
    }

    fn patience(&self, idle: Duration) -> Instant {
        let Some(pulse) = self.line.pulse() else { return self.began + MADE };
        if let Some(heard) = self.account().heard {
            return heard + idle;
        }
        let asked = self.began.max(pulse.made);
        if self.behind {
            (asked + idle).min(self.began.max(pulse.heard) + STALL)
        } else {
            asked + idle.min(FIRST)
        }
    }

    /// How long nothing of the answer has come: since its last octet, or since it was asked for on a connection.
    pub(super) fn silent_for(&self) -> Duration {
        let asked = self.line.pulse().map_or(self.began, |pulse| self.began.max(pulse.made));
        self.account().heard.unwrap_or(asked).elapsed()
    }

    fn account(&self) -> Account {
        self.line.account(self.id)
    }

    /// Octets of the answer that came, those of a message that is not whole yet among them.
    pub(super) fn octets(&self) -> u64 {
        self.account().octets
    }

    /// Whether there was a connection at all.
    pub(super) fn is_made(&self) -> bool {
        self.line.pulse().is_some()
    }

    /// Whether it need not mean much that the answer did not come: others used the connection, and it ended, or fell
    /// silent, before any octet of it; or the connection was given up, whatever came.
    pub(super) fn may_try_again(&self) -> bool {
        let given_up = matches!(self.line.end(), Some(End::GivenUp(_)));
        given_up || self.line.is_shared() && self.octets() == 0 && self.is_made()
    }

    /// Whether both ask on one connection.
    #[cfg(test)]
    pub(super) fn is_with(&self, other: &Exchange) -> bool {
        Arc::ptr_eq(&self.line, &other.line)
    }

    /// The answer came to its end: the connection may be used by others.
    pub(super) fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // Messages behind the end belong to nothing.
        let whole = self.finished && self.frames.is_empty() && self.answer.is_empty();
        self.line.leave(self.id, whole);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::primary::testing;

    #[tokio::test]
    async fn the_first_octet_is_waited_for_no_longer_than_is_meet_and_the_next_as_long_as_the_settings_say() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let way = testing::way(listener.local_addr().unwrap());
        let exchange = way.lines.begin(&way, Wanted::Own);
        exchange.send(&[&exchange.id().to_be_bytes()[..], &[0; 10]].concat()).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let question = stream.read_u16().await.unwrap();
        let mut octets = vec![0; question.into()];
        stream.read_exact(&mut octets).await.unwrap();
        let asked = exchange.began.max(exchange.line.pulse().unwrap().made);
        let (long, short) = (Duration::from_secs(60), Duration::from_secs(3));
        assert_eq!((exchange.patience(long), exchange.patience(short)), (asked + FIRST, asked + short));
        stream.write_all(&[&20_u16.to_be_bytes()[..], &octets[..2], &[0; 4]].concat()).await.unwrap();
        while exchange.octets() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let heard = exchange.account().heard.unwrap();
        assert_eq!((exchange.patience(long), exchange.patience(short)), (heard + long, heard + short));
    }
}
