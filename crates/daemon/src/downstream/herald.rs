//! NOTIFY to one server: repeated until it is answered (RFC 1996 §3.6).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secondo_wire::{Header, Message, Name, Opcode, Serial, Soa, control, flags};
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use crate::clock;
use crate::config::NotifyTarget;
use crate::control::Unanswered;
use crate::event::{Event, Peer};

/// How long each sending waits for an answer; then it is said that there was none.
const WAITS: [Duration; 5] = [
    Duration::from_secs(3),
    Duration::from_secs(6),
    Duration::from_secs(12),
    Duration::from_secs(24),
    Duration::from_secs(48),
];

/// Between the sendings after those: RFC 1996 §3.6 leaves the end to us, and a server that was away for a day should
/// still be told.
const SLOWLY: Duration = Duration::from_secs(900);

/// NOTIFYs at one server that wait for their answer at once: each has a socket of its own, and a server that is dead
/// must not use up all that there are.
pub(crate) const NOTIFIES: usize = 64;

/// One server on its way to know of one version. Dropped, it goes on.
#[derive(Debug)]
pub(crate) struct Herald {
    task: AbortHandle,
    errand: Arc<Errand>,
}

/// What becomes of it.
#[derive(Debug)]
struct Errand {
    address: SocketAddr,
    serial: Serial,
    /// On the boot clock.
    since: Duration,
    /// How often it was sent, and what became of that; `None`: it was answered, or had no time to be.
    failed: Mutex<Option<(u32, String)>>,
}

impl Herald {
    /// The version is not worth telling any more.
    pub(crate) fn abort(&self) {
        self.task.abort();
    }

    /// What there is to know while the server has not answered.
    pub(crate) fn unanswered(&self, now: Duration) -> Option<Unanswered> {
        let Errand { address, serial, since, failed } = &*self.errand;
        let (sent, detail) = failed.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        Some(Unanswered {
            address: address.to_string(),
            serial: serial.0,
            sent,
            ago: now.saturating_sub(*since).as_secs_f64().round(),
            detail,
        })
    }
}

/// The servers that are told of new versions.
#[derive(Debug, Default)]
pub(crate) struct Heralds {
    places: HashMap<SocketAddr, Arc<Semaphore>>,
}

impl Heralds {
    /// Tells `target` of the version that `soa` belongs to, beside the caller.
    pub(crate) fn send(&mut self, zone: &Name, soa: &Soa, ttl: u32, target: &NotifyTarget) -> Herald {
        let places = self.places.entry(target.address).or_insert_with(|| Arc::new(Semaphore::new(NOTIFIES)));
        let places = Arc::clone(places);
        let (zone, soa, target) = (zone.clone(), soa.clone(), target.clone());
        let failed = Mutex::new(None);
        let errand = Errand { address: target.address, serial: soa.serial, since: clock::boot(), failed };
        let errand = Arc::new(errand);
        let told = Arc::clone(&errand);
        let task = tokio::spawn(async move { notify(zone, soa, ttl, target, &places, &told).await });
        Herald { task: task.abort_handle(), errand }
    }
}

async fn notify(zone: Name, soa: Soa, ttl: u32, target: NotifyTarget, places: &Semaphore, errand: &Errand) {
    let event = Event {
        zone: Some(&zone),
        serial: Some(soa.serial),
        peer: Some(Peer::Socket(target.address)),
        key: target.key.as_ref().map(secondo_tsig::Key::name),
        transport: Some("udp"),
        ..Event::default()
    };
    let note = |failed| *errand.failed.lock().unwrap_or_else(PoisonError::into_inner) = failed;
    for attempt in 0_usize.. {
        let wait = WAITS.get(attempt).copied();
        let Ok(place) = places.acquire().await else { return };
        let until = Instant::now() + wait.unwrap_or(WAITS[0]);
        let sent = once(&zone, &soa, ttl, &target, until).await;
        drop(place);
        let Err(why) = sent else {
            note(None);
            return Event { name: "downstream.notified", phrase: "NOTIFY was answered", ..event }.info();
        };
        note(Some((u32::try_from(attempt + 1).unwrap_or(u32::MAX), why.clone())));
        if attempt + 1 == WAITS.len() {
            let (name, phrase) =
                ("downstream.notify_failed", "NOTIFY was not answered: repeated slowly from here");
            Event { name, phrase, detail: Some(&why), next_in: Some(SLOWLY), ..event }.warn();
        }
        tokio::time::sleep_until(if attempt + 1 < WAITS.len() { until } else { Instant::now() + SLOWLY })
            .await;
    }
}

/// One sending, and its answer if it comes in time.
async fn once(zone: &Name, soa: &Soa, ttl: u32, target: &NotifyTarget, until: Instant) -> Result<(), String> {
    let any: IpAddr =
        if target.address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let text = |error: std::io::Error| error.to_string();
    // A fresh port and ID for each sending (RFC 5452 §9.2).
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await.map_err(text)?;
    socket.connect(target.address).await.map_err(text)?;
    let id: u16 = rand::random();
    let mut question = control::notify(zone, soa, ttl, id);
    let mut seal =
        target.key.as_ref().map(|key| secondo_tsig::sign_request(&mut question, key, clock::unix()));
    socket.send(&question).await.map_err(text)?;
    let mut buffer = [0; 4096];
    loop {
        let received =
            timeout_at(until, socket.recv(&mut buffer)).await.map_err(|_| String::from("no answer"))?;
        let answer = buffer.get(..received.map_err(text)?).unwrap_or_default();
        if !is_answer(answer, zone, id) {
            continue;
        }
        if let Some(stream) = &mut seal
            && let Err(error) = stream.verify(answer, clock::unix())
        {
            // RFC 8945 §5.4: what does not verify is no answer; the true one may still come.
            if error.proven {
                return Err(error.to_string());
            }
            continue;
        }
        return match Header::read(answer).map(|header| header.rcode().0) {
            // RFC 1996 §3.12: NOTIMP ends it as well, for asking again would not help.
            Some(0 | 4) => Ok(()),
            Some(rcode) => Err(match rcode {
                5 => "answered REFUSED".into(),
                9 => "answered NOTAUTH".into(),
                rcode => format!("answered with RCODE {rcode}"),
            }),
            None => Err("a malformed answer".into()),
        };
    }
}

fn is_answer(answer: &[u8], zone: &Name, id: u16) -> bool {
    let Ok(message) = Message::new(answer) else { return false };
    let header = message.header;
    let question = message.question().ok().flatten();
    header.id == id
        && header.has(flags::QR)
        && header.opcode() == Opcode::NOTIFY
        && question.is_none_or(|question| question.name.as_ref() == zone.as_ref())
}
