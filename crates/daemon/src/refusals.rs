//! NOTIFYs and transfers that were refused: said once a minute for each source, so that a flood does not fill the log.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use secondo_wire::{Header, Message, Name, Opcode, Rcode, RecordType};

use crate::event::Event;

/// How long a source is not spoken of again.
const QUIET: Duration = Duration::from_secs(60);
/// Sources remembered; when there are more, the others are not spoken of at all.
const SOURCES: usize = 1024;

/// Who was spoken of when.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<HashMap<IpAddr, Instant>>);

impl Refusals {
    /// Looks whether `reply` refuses a NOTIFY or a transfer. Costs a glance at two headers for all other requests.
    pub(crate) fn note(&self, request: &[u8], from: SocketAddr, reply: &[u8]) {
        let (Some(asked), Some(told)) = (Header::read(request), Header::read(reply)) else { return };
        if told.rcode() == Rcode::NOERROR {
            return;
        }
        let question = || Message::new(request).ok()?.question().ok()?;
        let (name, phrase) = match asked.opcode() {
            Opcode::NOTIFY => ("notify.refused", "NOTIFY refused"),
            Opcode::QUERY => match question().map(|question| question.rtype) {
                Some(RecordType::AXFR | RecordType::IXFR) => ("downstream.refused", "transfer refused"),
                _ => return,
            },
            _ => return,
        };
        if !self.first_in_a_while(from.ip(), Instant::now()) {
            return;
        }
        let zone: Option<Name> = question().map(|question| question.name.as_ref().to_owned());
        let detail = format!("answered with RCODE {}", told.rcode().0);
        let detail = Some(detail.as_str());
        Event { zone: zone.as_ref(), primary: Some(from), detail, ..Event::new(name, phrase) }.info();
    }

    fn first_in_a_while(&self, from: IpAddr, now: Instant) -> bool {
        let mut sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.get(&from).is_some_and(|said| now.duration_since(*said) < QUIET) {
            return false;
        }
        if sources.len() >= SOURCES {
            sources.retain(|_, said| now.duration_since(*said) < QUIET);
        }
        let room = sources.len() < SOURCES;
        if room {
            sources.insert(from, now);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_spoken_of_once_a_minute_and_a_crowd_not_at_all() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let source = |n: u32| IpAddr::from(n.to_be_bytes());
        assert!(refusals.first_in_a_while(source(1), now));
        assert!(!refusals.first_in_a_while(source(1), now + Duration::from_secs(59)));
        assert!(refusals.first_in_a_while(source(1), now + QUIET));
        for n in 2..=SOURCES as u32 {
            assert!(refusals.first_in_a_while(source(n), now + QUIET));
        }
        assert!(!refusals.first_in_a_while(source(99_999), now + QUIET));
        assert!(refusals.first_in_a_while(source(99_999), now + QUIET * 3));
    }
}
