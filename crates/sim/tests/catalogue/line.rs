//! One question to one address, in virtual time: what the daemon's jobs do on sockets, with the same limits.

use std::time::Duration;

use secondo_lifecycle::{Accept, Judgement, Question};
use secondo_sim::catalogue::{IDLE, MAX_RECORDS, MAX_SIZE, NAME_TYPES, RRSET_RECORDS, TRANSFER};
use secondo_sim::{Delivery, Key, Name, Over, Then, World, Zone};
use secondo_transfer::{
    Arrived, CheckedZone, Fault, Found, Policy, Probe, ProbeStep, Request, Session, Step, Transport, Want,
    check,
};
use secondo_wire::Reason;
use secondo_zone::{BorderSecret, Limits};

use crate::state::SECRET;

const UDP_WAITS: [u64; 3] = [1, 2, 4];
const TCP_WAIT: Duration = Duration::from_secs(10);
/// Between two messages of an endless stream.
const TICK: Duration = Duration::from_millis(1);

/// What a transfer brought.
pub(crate) enum Fetched {
    UpToDate { expire: Option<u32>, authoritative: bool },
    Version(Box<CheckedZone>),
}

/// One exchange, from its question on.
pub(crate) struct Line<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) apex: &'a Name,
    pub(crate) keys: &'a [Key],
    /// Seconds since 1970 at its begin.
    pub(crate) unix: u64,
    /// Time that went since.
    pub(crate) elapsed: Duration,
    /// What was learnt of the address.
    pub(crate) habit: &'a mut Habit,
}

/// How an address wants to be asked, for an hour: without EDNS; with another than the first key.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Habit {
    without_edns: bool,
    key: usize,
    /// Seconds since 1970.
    until: u64,
}

/// Seconds that a habit is remembered.
const REMEMBERED: u64 = 3600;

enum Heard {
    Verdict(Result<Found, Fault>),
    AskTcp,
    AskWithoutEdns,
}

impl Line<'_> {
    fn now(&self) -> u64 {
        self.unix + self.elapsed.as_secs()
    }

    /// The keys in the order in which they are tried, each with its place.
    fn seals(&mut self) -> Vec<(usize, Option<Key>)> {
        if self.habit.until <= self.now() {
            *self.habit = Habit::default();
        }
        let mut seals: Vec<_> = self.keys.iter().cloned().map(Some).enumerate().collect();
        if seals.is_empty() {
            seals.push((0, None));
        }
        seals[..=self.habit.key].rotate_right(1);
        seals
    }

    fn worked(&mut self, key: usize, edns: bool) {
        let until = match (key, edns) {
            (0, true) => 0,
            _ if self.habit.until > self.now() => self.habit.until,
            _ => self.now() + REMEMBERED,
        };
        *self.habit = Habit { without_edns: !edns, key, until };
    }

    pub(crate) fn probe(&mut self) -> Result<Found, Fault> {
        let mut verdict = Err(Fault::new(Reason::Internal, "no key"));
        for (place, key) in self.seals() {
            verdict = self.probe_with(place, key.as_ref());
            if !verdict.as_ref().is_err_and(|fault| fault.reason.may_be_the_key()) {
                break;
            }
        }
        verdict
    }

    fn probe_with(&mut self, place: usize, key: Option<&Key>) -> Result<Found, Fault> {
        let (mut edns, mut tcp) = (!self.habit.without_edns, false);
        for _ in 0..4 {
            let heard = if tcp { self.over_tcp(key, edns) } else { self.over_udp(key, edns) };
            match heard {
                Heard::Verdict(verdict) => {
                    if verdict.is_ok() {
                        self.worked(place, edns);
                    }
                    return verdict;
                }
                Heard::AskTcp => tcp = true,
                Heard::AskWithoutEdns => edns = false,
            }
        }
        Err(Fault::new(Reason::BadAnswer, "asked again and again"))
    }

    fn over_udp(&mut self, key: Option<&Key>, edns: bool) -> Heard {
        let (mut probe, question) = Probe::new(self.apex, 99, key, edns, self.now());
        for wait in UDP_WAITS {
            if !self.world.is_open(Over::Udp) {
                return Heard::AskTcp;
            }
            let delivery = self.world.respond(&question, None, Over::Udp, self.now());
            for message in &delivery.messages {
                match probe.receive(message, Transport::Udp, self.now()) {
                    ProbeStep::Ignore => {}
                    ProbeStep::RetryTcp => return Heard::AskTcp,
                    ProbeStep::RetryWithoutEdns => return Heard::AskWithoutEdns,
                    ProbeStep::Done(verdict) => return Heard::Verdict(verdict),
                }
            }
            self.elapsed += Duration::from_secs(wait);
        }
        Heard::AskTcp
    }

    fn over_tcp(&mut self, key: Option<&Key>, edns: bool) -> Heard {
        let (mut probe, question) = Probe::new(self.apex, 98, key, edns, self.now());
        let began = self.elapsed;
        let failed = |reason| Heard::Verdict(Err(Fault::new(reason, "over TCP")));
        let mut stream = match self.ask(&question) {
            Ok(stream) => stream,
            Err(fault) => return Heard::Verdict(Err(fault)),
        };
        loop {
            match stream.message() {
                Read::Message(message, at) if at < TCP_WAIT => {
                    self.elapsed = began + at;
                    return match probe.receive(&message, Transport::Tcp, self.now()) {
                        ProbeStep::RetryWithoutEdns => Heard::AskWithoutEdns,
                        ProbeStep::Done(verdict) => Heard::Verdict(verdict),
                        ProbeStep::Ignore | ProbeStep::RetryTcp => failed(Reason::BadAnswer),
                    };
                }
                Read::Part(at) if at < TCP_WAIT => {}
                Read::End(_) => return failed(Reason::ConnectionReset),
                Read::Message(..) | Read::Part(_) | Read::Silence => {
                    self.elapsed = began + TCP_WAIT;
                    return failed(Reason::Timeout);
                }
            }
        }
    }

    pub(crate) fn transfer(
        &mut self,
        question: Question,
        accept: Accept,
        current: Option<&Zone>,
    ) -> Result<Fetched, Fault> {
        let mut verdict = Err(Fault::new(Reason::Internal, "no key"));
        for (place, key) in self.seals() {
            let mut edns = !self.habit.without_edns;
            verdict = self.receive(question, accept, current, key.as_ref(), edns);
            if verdict.as_ref().is_err_and(|fault| fault.without_edns) {
                edns = false;
                verdict = self.receive(question, accept, current, key.as_ref(), edns);
            }
            if verdict.is_ok() {
                self.worked(place, edns);
            }
            if !verdict.as_ref().is_err_and(|fault| fault.reason.may_be_the_key()) {
                break;
            }
        }
        let forced = accept == Accept::Any;
        match verdict? {
            Arrived::UpToDate { expire, authoritative, .. } => {
                Ok(Fetched::UpToDate { expire, authoritative })
            }
            Arrived::Candidate(candidate) => {
                match accept.judge(candidate.zone().serial(), candidate.expire()) {
                    Judgement::UpToDate => Ok(Fetched::UpToDate {
                        expire: candidate.expire(),
                        authoritative: candidate.authoritative(),
                    }),
                    Judgement::Refuse(reason) => Err(Fault::new(reason, "judged")),
                    Judgement::Publish => {
                        let policy = Policy { forced, ..Policy::default() };
                        Ok(Fetched::Version(Box::new(check(candidate, current, &policy)?)))
                    }
                }
            }
        }
    }

    fn receive(
        &mut self,
        question: Question,
        accept: Accept,
        current: Option<&Zone>,
        key: Option<&Key>,
        edns: bool,
    ) -> Result<Arrived, Fault> {
        let (mut session, request) = Session::new(Request {
            zone: self.apex,
            want: if matches!(question, Question::Ixfr { .. }) { Want::Ixfr } else { Want::Axfr },
            current,
            secret: &BorderSecret::new(SECRET),
            limits: Limits {
                max_bytes: MAX_SIZE,
                max_records: MAX_RECORDS,
                rrset_records: RRSET_RECORDS,
                name_types: NAME_TYPES,
            },
            key,
            id: 77,
            edns,
            unix_now: self.now(),
            forced: accept == Accept::Any,
        });
        let began = self.elapsed;
        let mut stream = self.ask(&request)?;
        let (idle, whole) = (Duration::from_secs(IDLE), Duration::from_secs(TRANSFER));
        // A stream that broke off keeps its own reason where differences had begun.
        let told = |cut: Fault, network| match cut.reason {
            Reason::TruncatedStream => Fault { reason: network, ..cut },
            _ => cut,
        };
        let mut last = Duration::ZERO;
        loop {
            let read = stream.message();
            let at = match &read {
                Read::Message(_, at) | Read::Part(at) | Read::End(at) => *at,
                Read::Silence => last + idle,
            };
            let late = at >= whole;
            let silent = matches!(read, Read::Silence) || at >= last + idle;
            self.elapsed = began + at.min(whole).min(last + idle);
            last = at;
            match read {
                _ if late => return Err(Fault::new(Reason::TooSlow, "not whole in time")),
                _ if silent => return Err(told(session.cut(), Reason::Timeout)),
                Read::End(_) if stream.reset => return Err(told(session.cut(), Reason::ConnectionReset)),
                Read::End(_) => return Err(session.cut()),
                Read::Message(message, _) => {
                    if let Step::Done(arrived) = session.receive(&message, self.now())? {
                        return Ok(arrived);
                    }
                }
                Read::Part(_) | Read::Silence => {}
            }
        }
    }

    /// Connects and asks.
    fn ask(&mut self, question: &[u8]) -> Result<Stream, Fault> {
        if !self.world.is_open(Over::Tcp) {
            return Err(Fault::new(Reason::ConnectionRefused, "nobody listens"));
        }
        Ok(Stream::of(&self.world.respond(question, None, Over::Tcp, self.now())))
    }
}

/// What comes out of a connection next, and when, from its begin.
enum Read {
    Message(Vec<u8>, Duration),
    /// An octet that completes nothing.
    Part(Duration),
    End(Duration),
    /// Nothing more.
    Silence,
}

/// What a primary sends over one connection.
struct Stream {
    octets: Vec<u8>,
    /// Taken so far, and seen so far.
    taken: usize,
    seen: usize,
    pace: Option<Duration>,
    refrain: Option<Vec<u8>>,
    ends: bool,
    reset: bool,
    at: Duration,
}

impl Stream {
    fn of(delivery: &Delivery) -> Stream {
        Stream {
            octets: delivery.frames(),
            taken: 0,
            seen: 0,
            pace: delivery.pace,
            refrain: delivery.refrain(),
            ends: matches!(delivery.then, Then::Closed | Then::Reset),
            reset: delivery.then == Then::Reset,
            at: Duration::ZERO,
        }
    }

    fn message(&mut self) -> Read {
        if self.pace.is_none() {
            self.seen = self.octets.len();
        } else if self.seen < self.octets.len() {
            self.seen += 1;
            self.at += self.pace.unwrap_or_default();
        }
        let there = &self.octets[self.taken..self.seen];
        if let Some((length, rest)) = there.split_first_chunk::<2>()
            && let Some(message) = rest.get(..usize::from(u16::from_be_bytes(*length)))
        {
            let message = message.to_vec();
            self.taken += 2 + message.len();
            return Read::Message(message, self.at);
        }
        match &self.refrain {
            _ if self.seen < self.octets.len() => Read::Part(self.at),
            Some(refrain) => {
                (self.octets, self.taken) = (refrain.clone(), 0);
                self.at += TICK;
                Read::Part(self.at)
            }
            None if self.ends => Read::End(self.at),
            None => Read::Silence,
        }
    }
}
