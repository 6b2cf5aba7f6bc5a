//! NOTIFYs and transfers that were refused: said once a minute for each source, so that a flood does not fill the log.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use secondo_answer::{Asked, Cause, Refused};
use secondo_wire::{Message, Name};

use crate::event::Event;

/// How long the sources spoken of are remembered.
const QUIET: Duration = Duration::from_secs(60);
/// Sources spoken of in that time; when there are more, the others are not.
const SOURCES: usize = 1024;

/// Who was spoken of in this minute.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Minute>);

#[derive(Debug, Default)]
struct Minute {
    began: Option<Instant>,
    sources: HashSet<IpAddr>,
}

impl Refusals {
    /// Says that `request` was refused, unless its source was spoken of a moment ago.
    pub(crate) fn note(&self, refused: &Refused, request: &[u8], from: SocketAddr) {
        let (name, phrase) = match refused.asked {
            Asked::Notify => ("notify.refused", "NOTIFY refused"),
            Asked::Transfer => ("downstream.refused", "transfer refused"),
            // A broken seal of an ordinary query is its asker's concern; it was told.
            Asked::Query => return,
        };
        if !self.first_in_a_while(from.ip(), Instant::now()) {
            return;
        }
        let question = Message::new(request).and_then(|message| message.question()).ok().flatten();
        let zone: Option<Name> = question.map(|question| question.name.as_ref().to_owned());
        let (reason, detail) = match &refused.cause {
            Cause::AccessList => (None, "the access list does not admit it"),
            Cause::NotOurs => (None, "no such zone is configured"),
            Cause::NotServed => (None, "the zone is not served now"),
            Cause::Unsupported => (None, "malformed, or asks for what is not offered"),
            Cause::Seal { reason, detail, .. } => (Some(*reason), detail.as_ref()),
        };
        let event = Event { zone: zone.as_ref(), primary: Some(from), ..Event::new(name, phrase) };
        Event { reason, detail: Some(detail), ..event }.info();
    }

    fn first_in_a_while(&self, from: IpAddr, now: Instant) -> bool {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if minute.began.is_none_or(|began| now.duration_since(began) >= QUIET) {
            minute.began = Some(now);
            minute.sources.clear();
        }
        minute.sources.len() < SOURCES && minute.sources.insert(from)
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
