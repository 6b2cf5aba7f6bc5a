//! Fetches a zone from a primary over TCP or TLS, within bounds of time and rate.

use std::path::PathBuf;
use std::time::Duration;

use secondo_lifecycle::{Accept, Judgement, Question};
use secondo_transfer::{Arrived, Candidate, Fault, Request, Session, Step, Want};
use secondo_tsig::Key;
use secondo_wire::{Class, Name, Reason};
use secondo_zone::{BorderSecret, Limits, Zone};
use tokio::time::Instant;

use super::exchange::{Exchange, Next};
use super::frames::Frames;
use super::line::End;
use super::lines::Wanted;
use super::overflow::Overflow;
use super::{Judged, Way};
use crate::clock;

/// The minimum rate holds from this minute of a transfer on.
const RATE_FROM_MINUTE: u64 = 6;
/// Octets of records in no order that are kept in memory, at the least; beyond them a file takes them.
const KEPT: usize = 4 << 20;
/// Work on up to so many octets is done at once: to move other tasks away would take longer.
const AT_ONCE: usize = 16 << 10;
/// A zone of so many octets has a connection of its own: what is asked behind it would wait.
const LONG: u64 = 256 << 10;
const MINUTE: Duration = Duration::from_secs(60);

/// A transfer to be made.
#[derive(Clone, Debug)]
pub(crate) struct TransferJob {
    /// From where.
    pub way: Way,
    /// In which form.
    pub question: Question,
    /// Which version may be taken.
    pub accept: Accept,
    /// The version that we have.
    pub current: Option<Zone>,
    /// For a zone built from nothing.
    pub secret: BorderSecret,
    /// Bounds of the zone.
    pub limits: Limits,
    /// The folder for records in no order that are too many for memory.
    pub overflow: PathBuf,
}

/// How a transfer ended well.
#[derive(Debug)]
pub(crate) enum Fetched {
    /// The primary has what we have.
    UpToDate {
        /// Its EDNS EXPIRE, seconds.
        expire: Option<u32>,
        /// Whether it set AA.
        authoritative: bool,
    },
    /// A version arrived.
    Version {
        /// It.
        candidate: Box<Candidate>,
        /// The key that sealed it.
        key: Option<Name>,
        /// How long it took.
        took: Duration,
    },
}

/// Fetches the zone; the transfer arrives whole, or not at all.
pub(crate) async fn transfer(job: &TransferJob) -> Result<Fetched, Fault> {
    let mut last = None;
    let manner = job.way.manner();
    for (place, key) in manner.seals {
        let mut edns = manner.edns;
        let mut verdict = with_key(job, key.as_ref(), edns).await;
        if verdict.as_ref().is_err_and(|fault| fault.without_edns) {
            edns = false;
            verdict = with_key(job, key.as_ref(), edns).await;
        }
        if verdict.is_ok() {
            job.way.worked(key.as_ref(), edns);
        }
        match job.way.judge(place, verdict, last) {
            Judged::End(verdict) => return verdict,
            Judged::NextKey(fault) => last = Some(fault),
        }
    }
    Err(last.unwrap_or_else(|| Fault::new(Reason::Internal, "no key to ask with")))
}

async fn with_key(job: &TransferJob, key: Option<&Key>, edns: bool) -> Result<Fetched, Fault> {
    let long = job.current.as_ref().is_some_and(|zone| zone.counts().memory_bytes > LONG);
    let mut exchange = job.way.lines.begin(&job.way, if long { Wanted::Own } else { Wanted::Shared });
    let mut began = Instant::now();
    let mut arrived = ask(job, key, edns, &mut exchange, began).await;
    if arrived.is_err() && exchange.may_try_again() {
        exchange = job.way.lines.begin(&job.way, Wanted::Own);
        began = Instant::now();
        arrived = ask(job, key, edns, &mut exchange, began).await;
    }
    // Behind an answer that was taken whole, or is an error and so no more than one message, others may come.
    let refused = arrived.as_ref().is_err_and(|fault| fault.reason.class() == Class::Refused);
    if arrived.is_ok() || refused {
        exchange.finish();
    }
    match arrived? {
        Arrived::UpToDate { expire, authoritative, .. } => Ok(Fetched::UpToDate { expire, authoritative }),
        Arrived::Candidate(candidate) => {
            match job.accept.judge(candidate.zone().serial(), candidate.expire()) {
                Judgement::Publish => Ok(Fetched::Version {
                    candidate: Box::new(candidate),
                    key: key.map(|key| key.name().clone()),
                    took: began.elapsed(),
                }),
                Judgement::UpToDate => Ok(Fetched::UpToDate {
                    expire: candidate.expire(),
                    authoritative: candidate.authoritative(),
                }),
                Judgement::Refuse(reason) => {
                    let detail = format!("the transfer brought serial {}", candidate.zone().serial());
                    Err(Fault::new(reason, detail))
                }
            }
        }
    }
}

async fn ask(
    job: &TransferJob,
    key: Option<&Key>,
    edns: bool,
    exchange: &mut Exchange,
    began: Instant,
) -> Result<Arrived, Fault> {
    let new = if job.way.primary.tls.is_some() { Session::padded } else { Session::new };
    let (mut session, question) = new(Request {
        zone: &job.way.zone,
        want: if matches!(job.question, Question::Ixfr { .. }) { Want::Ixfr } else { Want::Axfr },
        current: job.current.as_ref(),
        secret: &job.secret,
        limits: job.limits,
        key,
        id: exchange.id(),
        edns,
        unix_now: clock::unix(),
        forced: job.accept == Accept::Any,
    });
    let kept = job.current.as_ref().map_or(KEPT, |zone| KEPT.max(zone.counts().memory_bytes as usize / 4));
    session.spill_to(Box::new(Overflow::new(job.overflow.clone())), kept);
    exchange.send(&question)?;
    let limits = &job.way.primary;
    let end = began + limits.transfer_timeout;
    let mut rate = Rate { minute: 0, bytes: 0 };
    let (mut received, mut first) = (0, None);
    loop {
        let read = match exchange.next(limits.idle_timeout, end).await {
            Next::Messages(read) => read,
            Next::Silence if Instant::now() >= end => {
                return Err(too_slow(format!("not whole after {} s", limits.transfer_timeout.as_secs())));
            }
            Next::Silence => {
                if exchange.may_try_again() {
                    job.way.lines.stalled(&job.way);
                }
                let silence = format!("silent for {} s", limits.idle_timeout.as_secs());
                return Err(told(session.cut(), &silence, Reason::Timeout));
            }
            // Nothing of the answer was asked for yet: no stream was cut.
            Next::End(End::Failed(fault)) if !exchange.is_made() => return Err(fault),
            Next::End(End::Failed(fault)) => {
                return Err(told(session.cut(), &fault.detail, fault.reason));
            }
            Next::End(End::Closed) => return Err(session.cut()),
        };
        let since = first.get_or_insert_with(Instant::now).elapsed();
        if !rate.holds(since, read as u64, limits.minimum_rate) {
            return Err(too_slow(format!("less than {} octets in a minute", limits.minimum_rate)));
        }
        received += read;
        if let Step::Done(arrived) = aside(received, || decode(&mut session, &mut exchange.frames))? {
            return Ok(arrived);
        }
    }
}

/// Does work on so many octets: other tasks of this thread go on elsewhere meanwhile, where that is worth it.
pub(crate) fn aside<T>(octets: usize, work: impl FnOnce() -> T) -> T {
    if octets > AT_ONCE { tokio::task::block_in_place(work) } else { work() }
}

/// Takes all messages that are there.
fn decode(session: &mut Session, frames: &mut Frames) -> Result<Step, Fault> {
    while let Some(message) = frames.next() {
        match session.receive(message, clock::unix())? {
            Step::More => {}
            done => return Ok(done),
        }
    }
    Ok(Step::More)
}

fn too_slow(detail: String) -> Fault {
    Fault::new(Reason::TooSlow, detail)
}

/// The network failed before the answer was whole. A broken IXFR stream keeps its own reason, for AXFR may still do;
/// for all else the way it failed tells more.
fn told(cut: Fault, how: &str, network: Reason) -> Fault {
    let reason = if cut.reason == Reason::TruncatedStream { network } else { cut.reason };
    Fault { reason, detail: format!("{}; {how}", cut.detail), ..cut }
}

/// Octets of the running minute.
struct Rate {
    minute: u64,
    bytes: u64,
}

impl Rate {
    /// Counts what came; false when a minute before it brought less than `minimum`.
    fn holds(&mut self, elapsed: Duration, bytes: u64, minimum: u64) -> bool {
        let minute = elapsed.as_secs() / MINUTE.as_secs();
        let mut holds = true;
        if minute > self.minute {
            // Minutes are counted from one; whole minutes between the last octet and this one brought nothing.
            let empty = minute > self.minute + 1;
            let judged = minute >= RATE_FROM_MINUTE;
            holds = !judged || (self.bytes >= minimum && !(empty && minimum > 0));
            (self.minute, self.bytes) = (minute, 0);
        }
        self.bytes += bytes;
        holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_rate_holds_from_the_sixth_minute_on() {
        let mut rate = Rate { minute: 0, bytes: 0 };
        for minute in 0..6 {
            assert!(rate.holds(MINUTE * minute, 1, 100), "{minute}");
        }
        let mut slow = Rate { minute: 5, bytes: 99 };
        assert!(!slow.holds(MINUTE * 6, 1000, 100));
        let mut fast = Rate { minute: 5, bytes: 100 };
        assert!(fast.holds(MINUTE * 6, 1, 100));
        let mut silent = Rate { minute: 5, bytes: 1000 };
        assert!(!silent.holds(MINUTE * 7, 1, 100));
    }
}
