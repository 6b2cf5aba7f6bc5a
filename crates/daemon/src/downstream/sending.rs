//! One transfer out: a version as a stream of messages, at the pace at which the client reads.

use std::sync::Arc;
use std::time::Duration;

use secondo_answer::{Client, TransferRequest, Transport, Wanted};
use secondo_transfer::{Asked, Outgoing};
use secondo_wire::{Name, Rcode, Reason, RecordType, Serial};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use super::frame::{STALL, frame, frame_into};
use crate::clock;
use crate::event::{Event, Peer};

/// How long a transfer waits for a free place before it is declined: longer than who takes nothing holds one, so that nobody is
/// declined for clients that are gone.
const PLACE: Duration = STALL.saturating_add(Duration::from_secs(5));
/// Longest whole transfer; then its place is free, however slowly the client reads.
const TOTAL: Duration = Duration::from_secs(2 * 3600);
/// After that, it has ended in one way or another.
pub(super) const LONGEST: Duration = PLACE.saturating_add(TOTAL);

/// What a transfer gives its connection, one after another.
pub(super) enum Part {
    /// A message, framed.
    Message(Vec<u8>),
    /// The end; answered once all that came before it is written.
    End(oneshot::Sender<()>),
}

/// Sends what `request` asks for into `out`, until it is written; ends early when the connection does. Over the limit of
/// transfers at once the client is told SERVFAIL, so that it comes again.
pub(super) async fn send(
    request: TransferRequest,
    peer: Client,
    places: Arc<Semaphore>,
    out: &Sender<Part>,
) -> Result<(), ()> {
    let place = timeout(PLACE, places.acquire()).await;
    let Ok(Ok(_place)) = place else {
        let detail = match place {
            Ok(_) => String::from("the daemon is about to end"),
            Err(_) => format!("no place within {} s: `transfers-out` is reached", PLACE.as_secs()),
        };
        say_declined(&request, peer, Reason::Busy, &detail);
        let message = frame(|message| request.decline(Rcode::SERVFAIL, clock::unix(), message));
        return out.send(Part::Message(message)).await.map_err(drop);
    };
    let told = Told::of(&request);
    let mut outgoing = outgoing(request);
    let began = Instant::now();
    let result = stream(&mut outgoing, began + TOTAL, out).await;
    told.say(peer, &outgoing, began, result.as_ref().err());
    result.map_err(drop)
}

/// Answers a request over TLS whose client did not choose the token: RFC 9103 §7.1 has no transfer without.
pub(super) fn refuse(request: TransferRequest, peer: Client, answers: &mut Vec<u8>) {
    say_declined(&request, peer, Reason::TlsAlpn, "the client did not offer the ALPN token `dot`");
    frame_into(answers, |message| request.decline(Rcode::REFUSED, clock::unix(), message));
}

fn say_declined(request: &TransferRequest, peer: Client, reason: Reason, detail: &str) {
    Event {
        zone: Some(&request.entry.apex),
        peer: Some(Peer::Socket(peer.addr)),
        transport: Some(word(peer.transport)),
        reason: Some(reason),
        detail: Some(detail),
        ..Event::new("downstream.refused", "transfer declined")
    }
    .warn();
}

fn word(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::Tls => "tls",
    }
}

async fn stream(outgoing: &mut Outgoing, until: Instant, out: &Sender<Part>) -> Result<(), String> {
    loop {
        let mut more = Ok(false);
        let message = frame(|message| more = outgoing.next_message(message, clock::unix()));
        match more {
            Ok(true) => taken(until, out.send(Part::Message(message))).await?,
            Ok(false) => break,
            Err(fault) => return Err(fault.to_string()),
        }
    }
    // What is queued is not sent.
    let (written, told) = oneshot::channel();
    taken(until, out.send(Part::End(written))).await?;
    taken(until, told).await
}

/// Waits for the connection, which takes the next part as soon as it has room for it.
async fn taken<E>(until: Instant, step: impl Future<Output = Result<(), E>>) -> Result<(), String> {
    match timeout_at(until, step).await {
        Ok(Ok(())) if Instant::now() < until => Ok(()),
        Ok(Err(_)) => Err(format!(
            "the connection ended before: its client left or took nothing for {} s, or we stop",
            STALL.as_secs()
        )),
        Ok(Ok(())) | Err(_) => Err(format!("not taken within {} s", TOTAL.as_secs())),
    }
}

fn outgoing(request: TransferRequest) -> Outgoing {
    let asked = Asked {
        id: request.id,
        recursion_desired: request.recursion_desired,
        zone: request.name,
        rtype: request.rtype,
        opt: request.opt.map(|opt| opt.sent),
        seal: request.seal,
    };
    match request.wanted {
        Wanted::UpToDate => Outgoing::single_soa(request.zone, asked),
        // RFC 1995 §4: without differences, the whole zone.
        Wanted::Full | Wanted::Incremental { .. } => Outgoing::axfr(request.zone, asked),
    }
}

/// What is told of a transfer when it is over.
struct Told {
    zone: Name,
    serial: Serial,
    from: Option<Serial>,
    key: Option<Name>,
    kind: &'static str,
}

impl Told {
    fn of(request: &TransferRequest) -> Told {
        let kind = match (request.rtype, request.wanted) {
            (_, Wanted::UpToDate) => "ixfr",
            (RecordType::IXFR, _) => "axfr-style",
            _ => "axfr",
        };
        let from = match request.wanted {
            Wanted::Incremental { from } => Some(from),
            Wanted::Full | Wanted::UpToDate => None,
        };
        Told {
            zone: request.entry.apex.clone(),
            serial: request.zone.serial(),
            from,
            key: request.seal.as_ref().map(|seal| seal.key().name().clone()),
            kind,
        }
    }

    fn say(&self, peer: Client, outgoing: &Outgoing, began: Instant, failed: Option<&String>) {
        let (_, records, bytes) = outgoing.sent();
        let event = Event {
            zone: Some(&self.zone),
            serial: Some(self.serial),
            from_serial: self.from,
            peer: Some(Peer::Socket(peer.addr)),
            key: self.key.as_ref(),
            transport: Some(word(peer.transport)),
            kind: Some(self.kind),
            bytes: Some(bytes),
            records: Some(records),
            ms: Some(clock::millis(began.elapsed())),
            detail: failed.map(String::as_str),
            ..Event::default()
        };
        match failed {
            None => Event { name: "downstream.transfer", phrase: "zone was sent", ..event }.info(),
            Some(_) => {
                Event { name: "downstream.transfer", phrase: "zone was not sent whole", ..event }.warn()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc::channel;

    #[tokio::test]
    async fn a_client_that_does_not_read_keeps_no_place_beyond_the_end() {
        let (out, mut queue) = channel(1);
        let later = Instant::now() + TOTAL;
        assert_eq!(taken(later, out.send(1)).await, Ok(()));
        // The queue is full, and nobody reads.
        let verdict = timeout(Duration::from_secs(60), taken(Instant::now(), out.send(2))).await;
        assert!(verdict.unwrap().unwrap_err().contains("not taken"));
        // It reads, too late.
        assert_eq!(queue.recv().await, Some(1));
        assert!(taken(Instant::now(), out.send(3)).await.is_err());
        drop(queue);
        assert!(taken(later, out.send(4)).await.unwrap_err().contains("its client left"));
    }
}
