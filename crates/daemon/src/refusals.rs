//! NOTIFYs and transfers that were refused: said once a minute for each source, so that a flood does not fill the log.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use secondo_answer::{Asked, Cause, Refused};
use secondo_wire::{Message, Name};

use crate::event::Event;

/// How long a source is not spoken of again.
const QUIET: Duration = Duration::from_secs(60);
/// Sources remembered; when there are more, the others are not spoken of at all.
const SOURCES: usize = 1024;

/// Who was spoken of when.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<HashMap<IpAddr, Instant>>);

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
