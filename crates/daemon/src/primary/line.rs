//! One connection to a primary, and the task that reads it: questions of many jobs go out on it, answers find their
//! way back by their IDs, in whatever order they come (RFC 7766 §6.2.1.1, §7; RFC 9103 §6.1).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secondo_transfer::Fault;
use secondo_wire::Reason;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc::{Receiver, Sender, UnboundedReceiver, UnboundedSender, channel, unbounded_channel};
use tokio::time::{Instant, sleep_until, timeout};

use super::frames::Frames;
use super::{Way, connect};
use crate::tls::Stream;

/// How long a connection on which nothing is asked is kept (RFC 7766 §6.2.3: a few seconds).
const KEPT: Duration = Duration::from_secs(5);
/// How long a question may take to be written.
const WRITE: Duration = Duration::from_secs(10);
/// Runs of messages that wait for a job to take them; then the connection is not read on.
const RUNS: usize = 2;
/// An answer of so many octets is long: what is asked behind it would wait.
pub(super) const LONG: u64 = 256 << 10;
/// Octets of answers that nobody waits for any more, at most; then the connection is given up, as soon as that cuts no
/// answer in its midst.
const UNWANTED: u64 = 1 << 20;
/// Questions on one connection: the IDs of all that were asked are known, and not used again.
const QUESTIONS: usize = 4096;

/// The connection as jobs see it.
#[derive(Debug)]
pub(super) struct Line {
    state: Mutex<State>,
    outbox: UnboundedSender<Out>,
}

#[derive(Debug)]
struct State {
    /// Questions whose answers have not come to their end.
    asked: Vec<Asked>,
    /// The IDs of questions that were given up, or whose answers came to their end: nobody wants more of these...
    left: HashSet<u16>,
    /// ...and how many of them there are of whose answers something came.
    served: usize,
    /// No more questions: an answer was given up in its midst, or all that was wanted of it is done.
    retired: bool,
    /// `None` while the connection is being made.
    pulse: Option<Pulse>,
    end: Option<End>,
}

/// When a connection gave signs of life.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pulse {
    /// It was made.
    pub(super) made: Instant,
    /// Something was last heard, or it was made.
    pub(super) heard: Instant,
}

#[derive(Debug)]
struct Asked {
    id: u16,
    /// `None` when nothing more comes.
    to: Option<Sender<Vec<u8>>>,
    account: Account,
}

/// What came of one answer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    /// Octets, those of a message that is not whole yet among them.
    pub(super) octets: u64,
    /// When the last of them came.
    pub(super) heard: Option<Instant>,
}

/// Why nothing more comes.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// The primary closed it, or we did.
    Closed,
    /// It could not be made, or failed.
    Failed(Fault),
    /// We made no more sense of it, or had no more use: it says nothing about the answer to any one question, and each
    /// may be asked again.
    GivenUp(&'static str),
}

/// What jobs tell the task.
#[derive(Debug)]
enum Out {
    Question(Vec<u8>),
    /// There may be nothing left to wait for.
    Look,
}

/// What is known of a connection when it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Obituary {
    /// Questions of whose answer something came.
    pub(super) served: usize,
    /// Questions of whose answer nothing came.
    pub(super) unheard: usize,
    /// The primary ended it, as soon as it had answered.
    pub(super) by_primary: bool,
}

/// A place among those who ask on a connection.
pub(super) struct Place {
    pub(super) id: u16,
    pub(super) answer: Receiver<Vec<u8>>,
    /// Others asked before on it, or do: their answers may come first.
    pub(super) behind: bool,
}

impl Line {
    /// A connection to be made by the task that [`Line::run`] is.
    pub(super) fn new() -> (Arc<Line>, Outbox) {
        let (outbox, inbox) = unbounded_channel();
        let state = State {
            asked: Vec::new(),
            left: HashSet::new(),
            served: 0,
            retired: false,
            pulse: None,
            end: None,
        };
        (Arc::new(Line { state: Mutex::new(state), outbox }), Outbox(inbox))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are asking, when one more may.
    pub(super) fn load(&self, depth: usize) -> Option<usize> {
        let state = self.state();
        let long = state.asked.iter().any(|asked| asked.account.octets > LONG);
        let open = !state.retired && state.end.is_none() && !long;
        Some(state.asked.len()).filter(|load| open && *load < depth)
    }

    /// A place for one more question, with an ID that no other has; `None` when it is too late for one.
    pub(super) fn ask(&self) -> Option<Place> {
        let mut state = self.state();
        if state.retired || state.end.is_some() {
            return None;
        }
        // Far fewer ask than there are IDs.
        let id = std::iter::repeat_with(rand::random)
            .find(|id| !state.left.contains(id) && state.asked.iter().all(|asked| asked.id != *id))
            .expect("the sequence has no end");
        let (to, answer) = channel(RUNS);
        state.asked.push(Asked { id, to: Some(to), account: Account::default() });
        let behind = state.is_shared();
        state.retired |= state.left.len() + state.asked.len() >= QUESTIONS;
        Some(Place { id, answer, behind })
    }

    /// Sends a question, its length before it in the same write (RFC 7766 §8).
    pub(super) fn send(&self, question: &[u8]) -> Result<(), Fault> {
        let length =
            u16::try_from(question.len()).map_err(|_| Fault::new(Reason::Internal, "question too long"))?;
        // When the task is gone, the end of the answer tells.
        let _ = self.outbox.send(Out::Question([&length.to_be_bytes(), question].concat()));
        Ok(())
    }

    /// Gives a place up: the answer came to its end; or it did not, and the connection takes no more questions, since
    /// what comes next on it is not known.
    pub(super) fn leave(&self, id: u16, whole: bool) {
        let mut state = self.state();
        if let Some(at) = state.asked.iter().position(|asked| asked.id == id) {
            state.left.insert(id);
            state.served += usize::from(state.asked.swap_remove(at).account.octets > 0);
        }
        state.retired |= !whole;
        drop(state);
        let _ = self.outbox.send(Out::Look);
    }

    /// No more questions.
    pub(super) fn retire(&self) {
        self.state().retired = true;
    }

    /// Its signs of life; `None` while the connection is being made.
    pub(super) fn pulse(&self) -> Option<Pulse> {
        self.state().pulse
    }

    /// Whether more than one asked on it.
    pub(super) fn is_shared(&self) -> bool {
        self.state().is_shared()
    }

    /// What came for the one who asks with that ID.
    pub(super) fn account(&self, id: u16) -> Account {
        let state = self.state();
        state.asked.iter().find(|asked| asked.id == id).map(|asked| asked.account).unwrap_or_default()
    }

    /// Why nothing more comes, once that is so.
    pub(super) fn end(&self) -> Option<End> {
        self.state().end.clone()
    }

    /// Makes the connection and carries questions and answers until nobody wants it any more, or it ends.
    pub(super) async fn run(&self, way: &Way, outbox: Outbox) -> Obituary {
        let (end, stream) = match connect::open(way).await {
            Ok((mut stream, unintroduced)) => {
                let made = Instant::now();
                self.state().pulse = Some(Pulse { made, heard: made });
                let end = self.carry(&mut stream, outbox.0).await;
                let heard = self.pulse().is_some_and(|pulse| pulse.heard > made);
                (if unintroduced && !heard { unwanted(end) } else { end }, Some(stream))
            }
            Err(fault) => (Err(fault), None),
        };
        let obituary = self.finish(end);
        if let Some(stream) = stream {
            connect::close(stream).await;
        }
        obituary
    }

    /// The task is not there any more, though it was not at its end.
    pub(super) fn abandon(&self) -> Obituary {
        self.finish(Ok(Closed::GivenUp("nobody carries it on")))
    }

    fn finish(&self, end: Result<Closed, Fault>) -> Obituary {
        let mut state = self.state();
        let unheard = state.asked.iter().filter(|asked| asked.account.octets == 0).count();
        let served = state.served + state.asked.len() - unheard;
        let soon = state.pulse.is_some_and(|pulse| pulse.heard.elapsed() < Duration::from_secs(1));
        let by_primary = matches!(end, Ok(Closed::ByPrimary) | Err(_)) && (soon || unheard > 0);
        state.end = Some(match end {
            Ok(Closed::Idle | Closed::ByPrimary) => End::Closed,
            Ok(Closed::GivenUp(why)) => End::GivenUp(why),
            Err(fault) => End::Failed(fault),
        });
        // Their answers end here: dropping the senders tells the jobs.
        state.asked.iter_mut().for_each(|asked| asked.to = None);
        Obituary { served, unheard, by_primary }
    }

    async fn carry(&self, stream: &mut Stream, mut outbox: UnboundedReceiver<Out>) -> Result<Closed, Fault> {
        let (mut frames, mut ledger) = (Frames::default(), Ledger::default());
        loop {
            let until = {
                let state = self.state();
                match (state.asked.is_empty(), state.retired) {
                    (true, true) => return Ok(Closed::Idle),
                    (true, false) => Some(state.pulse.map_or_else(Instant::now, |pulse| pulse.heard) + KEPT),
                    (false, _) => None,
                }
            };
            tokio::select! {
                biased;
                out = outbox.recv() => match out {
                    Some(Out::Question(question)) => write(stream, question, &mut outbox).await?,
                    Some(Out::Look) => {}
                    None => return Ok(Closed::Idle),
                },
                read = frames.fill(stream) => {
                    match read {
                        Ok(0) => return Ok(Closed::ByPrimary),
                        Ok(_) => if let Err(why) = self.deliver(&mut frames, &mut ledger).await {
                            return Ok(Closed::GivenUp(why));
                        },
                        Err(error) => return Err(connect::fault(&error, "reading")),
                    }
                }
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                    // Under the lock, so that nobody takes a place on what is being closed.
                    let mut state = self.state();
                    state.retired |= state.asked.is_empty();
                }
            }
        }
    }

    /// Gives each whole message to the one who asked for it. An error says why the connection is of no more use.
    async fn deliver(&self, frames: &mut Frames, ledger: &mut Ledger) -> Result<(), &'static str> {
        while let Some((id, run)) = frames.take_run() {
            let length = run.len() as u64;
            let to = self.recipient(id, length - ledger.part)?;
            ledger.part = 0;
            // One who left does not hear any more.
            let heard = match to {
                Some(to) => to.send(run).await.is_ok(),
                None => false,
            };
            if !heard {
                ledger.unwanted += length;
            }
        }
        let (id, part) = (frames.part().0, frames.part().1 as u64);
        // Before its ID is there, it can be told whose it is where only one asks.
        if part > 0 && (id.is_some() || !self.is_shared()) {
            self.recipient(id, part - ledger.part)?;
            ledger.part = part;
        }
        let mut state = self.state();
        // Part of a message is a sign of life, too.
        if let Some(pulse) = &mut state.pulse {
            pulse.heard = Instant::now();
        }
        if ledger.unwanted > UNWANTED {
            state.retired = true;
            if state.asked.iter().all(|asked| asked.account.octets == 0) {
                return Err("too much came that nobody waits for any more");
            }
        }
        Ok(())
    }

    /// Who asked with that ID, and hears so many octets more of the answer. What nobody asked for is given to the only one
    /// who ever asked here, to be judged; where several did, nobody can tell any more what belongs to whom. `None` for
    /// what is left over from one who went away.
    fn recipient(&self, id: Option<u16>, octets: u64) -> Result<Option<Sender<Vec<u8>>>, &'static str> {
        let mut state = self.state();
        let at = match state.asked.iter().position(|asked| Some(asked.id) == id) {
            Some(at) => at,
            None if !state.is_shared() => 0,
            None if id.is_some_and(|id| state.left.contains(&id)) => return Ok(None),
            None => return Err("an answer came that nobody asked for"),
        };
        let Some(asked) = state.asked.get_mut(at) else { return Ok(None) };
        asked.account = Account { octets: asked.account.octets + octets, heard: Some(Instant::now()) };
        Ok(asked.to.clone())
    }
}

impl State {
    fn is_shared(&self) -> bool {
        self.asked.len() + self.left.len() > 1
    }
}

/// The end of a connection on which nothing was heard, by a primary that asked who we are and was told nothing.
fn unwanted(end: Result<Closed, Fault>) -> Result<Closed, Fault> {
    let how = match &end {
        Ok(Closed::ByPrimary) => "it closed the connection",
        Err(fault) if fault.reason.is_silence() && fault.reason != Reason::Timeout => &fault.detail,
        _ => return end,
    };
    let detail = format!("the primary asked for a client certificate, and none is configured; then: {how}");
    Err(Fault::new(Reason::TlsClientRefused, detail))
}

/// What the task notes of what it reads.
#[derive(Default)]
struct Ledger {
    /// Octets that nobody waited for.
    unwanted: u64,
    /// Octets of a message that was not whole yet that its recipient's account holds already.
    part: u64,
}

/// The end of a connection that is no failure.
enum Closed {
    Idle,
    ByPrimary,
    GivenUp(&'static str),
}

/// The task's end of what jobs send.
pub(super) struct Outbox(UnboundedReceiver<Out>);

/// Writes a question, and those that wait behind it, at once.
async fn write(
    stream: &mut Stream,
    mut octets: Vec<u8>,
    outbox: &mut UnboundedReceiver<Out>,
) -> Result<(), Fault> {
    while let Ok(more) = outbox.try_recv() {
        if let Out::Question(question) = more {
            octets.extend_from_slice(&question);
        }
    }
    let written = timeout(WRITE, async {
        stream.write_all(&octets).await?;
        stream.flush().await
    });
    match written.await {
        Ok(written) => written.map_err(|error| connect::fault(&error, "sending")),
        Err(_) => Err(Fault::new(Reason::Timeout, "the question could not be sent")),
    }
}
