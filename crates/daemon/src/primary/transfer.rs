//! Fetches a zone from a primary over TCP or TLS, within bounds of time and rate.

use std::path::PathBuf;
use std::time::Duration;

use secondo_lifecycle::{Accept, Judgement, Question};
use secondo_transfer::{Arrived, Candidate, Fault, Request, Session, Step, Want};
use secondo_tsig::Key;
use secondo_wire::{Class, Name, Reason};
use secondo_zone::{BorderSecret, Limits, Zone};
use tokio::time::Instant;

use super::Way;
use super::exchange::{self, Exchange, Next};
use super::frames::Frames;
use super::line::{End, LONG};
use super::lines::Wanted;
use super::overflow::Overflow;
use crate::clock;

/// The minimum rate holds from this minute of a transfer on.
const RATE_FROM_MINUTE: u32 = 6;
/// Octets of records in no order that are kept in memory, at the least; beyond them a file takes them.
const KEPT: usize = 4 << 20;
/// Work on up to so many octets is done at once: to move other tasks away would take longer.
const AT_ONCE: usize = 16 << 10;
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
    let asking = async |key: Option<Key>, edns| match with_key(job, key.as_ref(), edns).await {
        Err(fault) if fault.without_edns => Ok((with_key(job, key.as_ref(), false).await?, false)),
        verdict => Ok((verdict?, edns)),
    };
    job.way.with_keys(true, asking).await
}

async fn with_key(job: &TransferJob, key: Option<&Key>, edns: bool) -> Result<Fetched, Fault> {
    // A zone that comes whole.
    let long = job.question == Question::Axfr
        && job.current.as_ref().is_some_and(|zone| zone.counts().memory_bytes > LONG);
    let wanted = if long { Wanted::Own } else { Wanted::Shared };
    let asking = async |mut exchange| {
        let began = Instant::now();
        let asked = ask(job, key, edns, &mut exchange, began).await;
        (exchange, asked.map(|arrived| (arrived, began)))
    };
    let (exchange, arrived) = exchange::ask(&job.way, wanted, asking).await;
    // Behind an answer that was taken whole, or is an error and so no more than one message, others may come.
    let whole = match &arrived {
        Ok((Arrived::Candidate(_), _)) => true,
        Ok((Arrived::UpToDate { whole, .. }, _)) => *whole,
        Err(fault) => fault.reason.class() == Class::Refused,
    };
    if whole {
        exchange.finish();
    }
    let (arrived, began) = arrived?;
    match arrived {
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
    let mut rate = Rate { minute: 0, octets: 0 };
    let mut received = 0;
    loop {
        // A message that comes slowly is looked after, too.
        let minute = began + MINUTE * rate.minute.saturating_add(1);
        let read = match exchange.next(limits.idle_timeout, end.min(minute)).await {
            Next::Messages(read) => read,
            Next::Late if Instant::now() < end => 0,
            Next::Late => {
                return Err(too_slow(format!("not whole after {} s", limits.transfer_timeout.as_secs())));
            }
            Next::Silence => {
                if exchange.may_try_again() {
                    job.way.lines.stalled(&job.way);
                }
                let silence = format!("silent for {} s", exchange.silent_for().as_secs());
                let fault = told(session.cut(), &silence, Reason::Timeout);
                return Err(Fault { cut_short: exchange.is_made(), ..fault });
            }
            // Nothing of the answer was asked for yet: no stream was cut.
            Next::End(End::Failed(fault)) if !exchange.is_made() => return Err(fault),
            Next::End(End::Failed(fault)) => {
                return Err(told(session.cut(), &fault.detail, fault.reason));
            }
            Next::End(End::GivenUp(why)) => return Err(Fault::new(Reason::TruncatedStream, why)),
            Next::End(End::Closed) => return Err(session.cut()),
        };
        if !rate.holds(began.elapsed(), exchange.octets(), limits.minimum_rate) {
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

/// What had come of the answer when the running minute began.
struct Rate {
    minute: u32,
    octets: u64,
}

impl Rate {
    /// Looks at the minute that is over, if one is, when `octets` came so far; false when it brought less than `minimum`.
    fn holds(&mut self, elapsed: Duration, octets: u64, minimum: u64) -> bool {
        let minute = u32::try_from(elapsed.as_secs() / MINUTE.as_secs()).unwrap_or(u32::MAX);
        if minute <= self.minute {
            return true;
        }
        let brought = octets.saturating_sub(self.octets);
        *self = Rate { minute, octets };
        // Minutes are counted from one.
        minute < RATE_FROM_MINUTE || brought >= minimum
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::primary::testing;
    use crate::tls::testing::Authority;
    use crate::tls::{self, TlsClient, Trust};

    #[test]
    fn the_minimum_rate_holds_from_the_sixth_minute_on() {
        let mut rate = Rate { minute: 0, octets: 0 };
        for minute in 0..6 {
            assert!(rate.holds(MINUTE * minute, 1, 100), "{minute}");
        }
        // One octet came before the sixth minute.
        for (octets, holds) in [(1, false), (100, false), (101, true)] {
            let mut rate = Rate { minute: 5, octets: 1 };
            assert!(rate.holds(MINUTE * 6 - Duration::from_millis(1), 0, 100));
            assert_eq!(rate.holds(MINUTE * 6, octets, 100), holds, "{octets}");
            assert!(!rate.holds(MINUTE * 7, octets + 99, 100), "what came before does not count again");
        }
    }

    fn job(address: std::net::SocketAddr) -> TransferJob {
        let way = testing::way(address);
        let secret = BorderSecret::new([1; 16]);
        let (limits, overflow) = (Limits::default(), "/nowhere".into());
        TransferJob {
            way,
            question: Question::Axfr,
            accept: Accept::Any,
            current: None,
            secret,
            limits,
            overflow,
        }
    }

    const SOA: &[u8] =
        b"\xC0\x0C\0\x06\0\x01\0\0\0\x3C\0\x16\0\0\0\0\0\x01\0\0\0\x3C\0\0\0\x3C\0\0\0\x3C\0\0\0\x3C";
    const NS: &[u8] = b"\xC0\x0C\0\x02\0\x01\0\0\0\x3C\0\x05\x02ns\xC0\x0C";

    /// A primary of one version, one record a message, `texts` of them large; an IXFR it answers with the SOA alone.
    /// With it, how many connections were made.
    async fn primary(texts: u16) -> (TransferJob, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let job = job(listener.local_addr().unwrap());
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    while let Ok(length) = stream.read_u16().await {
                        let mut question = vec![0; length.into()];
                        stream.read_exact(&mut question).await.unwrap();
                        let qtype = question.get(22).copied().unwrap_or_default();
                        let text = |n: u16| {
                            let rdata = [&[255][..], &[b'x'; 253], &n.to_be_bytes()].concat();
                            [b"\xC0\x0C\0\x10\0\x01\0\0\0\x3C\x01\0", &rdata[..]].concat()
                        };
                        let whole = [SOA.to_vec(), NS.to_vec()].into_iter().chain((0..texts).map(text));
                        let whole = whole.chain([SOA.to_vec()]);
                        for record in whole.take(if qtype == 0xFB { 1 } else { usize::MAX }) {
                            let mut message = vec![question[0], question[1], 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0];
                            message.extend_from_slice(b"\x07example\0\0");
                            message.extend_from_slice(&[qtype, 0, 1]);
                            message.extend_from_slice(&record);
                            let framed = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
                            if stream.write_all(&framed).await.is_err() {
                                return;
                            }
                            // So that each is a piece of its own to the other side.
                            if texts == 0 {
                                tokio::time::sleep(Duration::from_millis(50)).await;
                            }
                        }
                    }
                });
            }
        });
        (job, count)
    }

    /// Has the job fetch its first version; from now on it asks for newer ones.
    async fn first_version(job: &mut TransferJob) {
        let Ok(Fetched::Version { candidate, .. }) = with_key(job, None, false).await else { panic!("none") };
        job.current = Some(candidate.zone().clone());
        job.accept = Accept::NewerThan(candidate.zone().serial());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_transfer_that_stops_is_told_from_one_that_cannot_begin() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut job = job(listener.local_addr().unwrap());
        Arc::get_mut(&mut job.way.primary).unwrap().idle_timeout = Duration::from_millis(100);
        // Taken by the system; nobody answers.
        let stopped = with_key(&job, None, false).await.unwrap_err();
        assert_eq!((stopped.reason, stopped.cut_short), (Reason::Timeout, true), "{stopped}");
        drop(listener);
        let none = with_key(&job, None, false).await.unwrap_err();
        assert_eq!((none.reason, none.cut_short), (Reason::ConnectionRefused, false), "{none}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_primary_that_asks_who_we_are_and_goes_without_an_answer_does_not_want_us() {
        for (asks, notice, expected) in [
            (true, true, Reason::TlsClientRefused),
            (true, false, Reason::TlsClientRefused),
            (false, true, Reason::TruncatedStream),
            (false, false, Reason::ConnectionReset),
        ] {
            let authority = Authority::new();
            let config = tls::testing::curious(&authority.issue("ns.example"), asks.then_some(&authority));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut job = job(listener.local_addr().unwrap());
            let client = TlsClient::new(&Trust::Anybody, None, None).unwrap();
            Arc::get_mut(&mut job.way.primary).unwrap().tls = Some(client);
            let serving = tokio::spawn(async move {
                let (stream, _) = listener.accept().await.unwrap();
                let mut stream = tokio_rustls::TlsAcceptor::from(config).accept(stream).await.unwrap();
                let length = stream.read_u16().await.unwrap();
                stream.read_exact(&mut vec![0; length.into()]).await.unwrap();
                match notice {
                    true => stream.shutdown().await.unwrap(),
                    false => stream.get_mut().0.shutdown().await.unwrap(),
                }
                let _ = stream.get_mut().0.read_to_end(&mut Vec::new()).await;
            });
            let fault = with_key(&job, None, false).await.unwrap_err();
            assert_eq!(fault.reason, expected, "{asks} {notice}: {fault}");
            assert_eq!(fault.detail.contains("asked for a client certificate"), asks, "{fault}");
            drop(job);
            serving.await.unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_follows_an_axfr_of_our_serial_ends_no_other_question() {
        let (mut job, connections) = primary(0).await;
        first_version(&mut job).await;
        let mut other = job.way.lines.begin(&job.way, Wanted::Shared);
        assert!(matches!(with_key(&job, None, false).await, Ok(Fetched::UpToDate { .. })));
        // The rest of it is still to come on the one connection, so that one is not used again.
        let mut another = job.way.lines.begin(&job.way, Wanted::Shared);
        for other in [&mut other, &mut another] {
            other
                .send(
                    &[&other.id().to_be_bytes()[..], b"\0\0\0\x01\0\0\0\0\0\0\x07example\0\0\xFB\0\x01"]
                        .concat(),
                )
                .unwrap();
            let next = other.next(MINUTE, Instant::now() + MINUTE).await;
            assert!(matches!(next, Next::Messages(_)));
        }
        assert_eq!(connections.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_large_zone_has_a_connection_of_its_own_when_it_comes_whole_and_not_for_its_differences() {
        let (mut job, connections) = primary(2000).await;
        first_version(&mut job).await;
        assert!(job.current.as_ref().unwrap().counts().memory_bytes > LONG);
        let serial = job.current.as_ref().unwrap().serial();
        job.question = Question::Ixfr { from: serial };
        let before = connections.load(Ordering::Relaxed);
        for _ in 0..5 {
            assert!(matches!(with_key(&job, None, false).await, Ok(Fetched::UpToDate { .. })));
        }
        assert_eq!(connections.load(Ordering::Relaxed), before);
        (job.question, job.accept) = (Question::Axfr, Accept::Any);
        assert!(with_key(&job, None, false).await.is_ok());
        assert_eq!(connections.load(Ordering::Relaxed), before + 1);
    }
}
