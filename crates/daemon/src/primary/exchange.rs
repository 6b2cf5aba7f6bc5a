//! One question on a connection that others may share, and its answer.

use std::sync::Arc;
use std::time::Duration;

use secondo_transfer::Fault;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout_at};

use super::frames::Frames;
use super::line::{End, Line, Place};

/// How long a connection may take to be made; what makes it has times of its own, which are shorter.
const MADE: Duration = Duration::from_secs(30);
/// How long a shared connection may be silent towards one who has heard nothing of its answer yet.
const STALL: Duration = Duration::from_secs(5);

/// A place on a connection. Dropped before [`Exchange::finish`], it takes the connection out of use.
pub(super) struct Exchange {
    line: Arc<Line>,
    id: u16,
    answer: Receiver<Vec<u8>>,
    shared: bool,
    began: Instant,
    /// What came and was not taken yet.
    pub(super) frames: Frames,
    heard: bool,
    finished: bool,
}

/// What came next.
pub(super) enum Next {
    /// So many octets of whole messages: they are in the frames.
    Messages(usize),
    /// Nothing more comes.
    End(End),
    /// Nothing came for too long.
    Silence,
}

impl Exchange {
    pub(super) fn new(line: Arc<Line>, Place { id, answer, shared }: Place) -> Exchange {
        let (began, frames) = (Instant::now(), Frames::default());
        Exchange { line, id, answer, shared, began, frames, heard: false, finished: false }
    }

    /// The ID that the question must have.
    pub(super) fn id(&self) -> u16 {
        self.id
    }

    /// Sends the question.
    pub(super) fn send(&self, question: &[u8]) -> Result<(), Fault> {
        self.line.send(question)
    }

    /// Waits for the next messages of the answer until `end`, and while the connection is not silent for longer than
    /// `idle`: others may be answered first.
    pub(super) async fn next(&mut self, idle: Duration, end: Instant) -> Next {
        loop {
            // A connection does not tell when it was made: from then on silence counts, so that is looked after.
            let made = self.is_made();
            let until = if made { self.patience(idle) } else { Instant::now() + idle.min(MADE) };
            match timeout_at(until.min(end), self.answer.recv()).await {
                Ok(Some(run)) => {
                    let octets = run.len();
                    (self.frames, self.heard) = (Frames::from(run), true);
                    return Next::Messages(octets);
                }
                Ok(None) => return Next::End(self.line.end().unwrap_or(End::Closed)),
                Err(_) if Instant::now() < end && self.patience(idle) > until => {}
                Err(_) => return Next::Silence,
            }
        }
    }

    fn patience(&self, idle: Duration) -> Instant {
        let Some(heard) = self.line.heard() else { return self.began + MADE };
        let silence = if self.shared && !self.heard { idle.min(STALL) } else { idle };
        heard.max(self.began) + silence
    }

    /// Whether there was a connection at all.
    pub(super) fn is_made(&self) -> bool {
        self.line.heard().is_some()
    }

    /// Whether it need not mean much that the answer did not come: others used the connection, and it ended, or fell
    /// silent, before any octet of it.
    pub(super) fn may_try_again(&self) -> bool {
        self.shared && !self.heard && self.is_made()
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
