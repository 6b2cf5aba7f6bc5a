//! Asks a primary for its SOA: over UDP, and over TCP where UDP does not tell; with TLS, over TLS alone (RFC 9103 §7.5: names of
//! zones are not to be seen).

use std::time::Duration;

use secondo_transfer::{Fault, Found, Probe, ProbeStep, Transport};
use secondo_tsig::Key;
use secondo_wire::Reason;
use tokio::time::{Instant, timeout_at};

use super::exchange::{self, Exchange, Next};
use super::line::End;
use super::lines::Wanted;
use super::{Way, connect};
use crate::clock;

/// How long each sending over UDP waits for an answer.
const UDP_WAITS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// How long connection and answer may take.
const STREAM_WAIT: Duration = Duration::from_secs(10);
/// Datagrams that are not the answer: then TCP, where nobody can inject any (RFC 5452 §9.1).
const STRANGERS: usize = 3;

/// What the primary has, or why it cannot be told.
pub(crate) async fn probe(way: &Way) -> Result<Found, Fault> {
    way.with_keys(false, |key, edns| with_key(way, key, edns)).await
}

/// One exchange's end.
enum Heard {
    Verdict(Result<Found, Fault>),
    AskStream,
    AskWithoutEdns,
}

/// With what was found, whether EDNS went along.
async fn with_key(way: &Way, key: Option<Key>, mut edns: bool) -> Result<(Found, bool), Fault> {
    let key = key.as_ref();
    let mut over_stream = way.primary.tls.is_some();
    // At most: UDP, TCP, and both without EDNS.
    for _ in 0..4 {
        let heard = if over_stream { stream(way, key, edns).await } else { datagram(way, key, edns).await };
        match heard {
            Heard::Verdict(verdict) => return verdict.map(|found| (found, edns)),
            Heard::AskStream => over_stream = true,
            Heard::AskWithoutEdns => edns = false,
        }
    }
    Err(Fault::new(Reason::BadAnswer, "the primary wants the SOA asked for otherwise again and again"))
}

async fn datagram(way: &Way, key: Option<&Key>, edns: bool) -> Heard {
    let socket = match connect::udp(way).await {
        Ok(socket) => socket,
        Err(fault) => return Heard::Verdict(Err(fault)),
    };
    let (mut probe, question) = Probe::new(&way.zone, rand::random(), key, edns, clock::unix());
    let mut buffer = [0; 4096];
    let mut strangers = 0;
    for wait in UDP_WAITS {
        // An error here is that of an earlier datagram: nobody listens. TCP will tell for sure.
        if socket.send(&question).await.is_err() {
            return Heard::AskStream;
        }
        let until = Instant::now() + wait;
        while let Ok(received) = timeout_at(until, socket.recv(&mut buffer)).await {
            let Ok(length) = received else { return Heard::AskStream };
            let message = buffer.get(..length).unwrap_or_default();
            match probe.receive(message, Transport::Udp, clock::unix()) {
                ProbeStep::Ignore if strangers < STRANGERS => strangers += 1,
                ProbeStep::Ignore | ProbeStep::RetryTcp => return Heard::AskStream,
                ProbeStep::RetryWithoutEdns => return Heard::AskWithoutEdns,
                ProbeStep::Done(verdict) => return Heard::Verdict(verdict),
            }
        }
    }
    Heard::AskStream
}

async fn stream(way: &Way, key: Option<&Key>, edns: bool) -> Heard {
    let end = Instant::now() + STREAM_WAIT;
    let asking = async |mut exchange| {
        let asked = ask(way, key, edns, &mut exchange, end).await;
        (exchange, asked)
    };
    let (exchange, asked) = exchange::ask(way, Wanted::Shared, asking).await;
    let step = match asked {
        Ok(step) => step,
        Err(fault) => return Heard::Verdict(Err(fault)),
    };
    // The answer is one message, whatever it says.
    exchange.finish();
    match step {
        ProbeStep::RetryWithoutEdns => Heard::AskWithoutEdns,
        ProbeStep::Done(verdict) => Heard::Verdict(verdict),
        ProbeStep::Ignore | ProbeStep::RetryTcp => {
            Heard::Verdict(Err(Fault::new(Reason::BadAnswer, "a truncated or foreign answer over TCP")))
        }
    }
}

async fn ask(
    way: &Way,
    key: Option<&Key>,
    edns: bool,
    exchange: &mut Exchange,
    end: Instant,
) -> Result<ProbeStep, Fault> {
    let new = if way.primary.tls.is_some() { Probe::padded } else { Probe::new };
    let (mut probe, question) = new(&way.zone, exchange.id(), key, edns, clock::unix());
    exchange.send(&question)?;
    loop {
        if let Some(message) = exchange.frames.next() {
            return Ok(probe.receive(message, Transport::Tcp, clock::unix()));
        }
        match exchange.next(STREAM_WAIT, end).await {
            Next::Messages(_) => {}
            Next::End(End::Failed(fault)) => return Err(fault),
            Next::End(End::Closed) => {
                let text = "the connection was closed before the answer";
                return Err(Fault::new(Reason::ConnectionReset, text));
            }
            Next::End(End::GivenUp(why)) => return Err(Fault::new(Reason::TruncatedStream, why)),
            Next::Silence | Next::Late => {
                if exchange.may_try_again() {
                    way.lines.stalled(way);
                }
                return Err(Fault::new(Reason::Timeout, "no answer to the SOA question, UDP and TCP"));
            }
        }
    }
}
