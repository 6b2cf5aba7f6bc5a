//! NOTIFYs and transfers that were refused: each source, zone and cause is said once a minute, so that a flood does not
//! fill the log, and how many were left out is said with the next.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use secondo_answer::{Asked, Cause, Client, Refused, Rule, Table, Transport};
use secondo_wire::{Message, Name};

use crate::event::{Event, Peer};

/// How long what was said is remembered.
const QUIET: Duration = Duration::from_secs(60);
/// Lines in that time; what comes beyond is counted.
const LINES: usize = 256;

/// What was said in this minute.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Minute>);

#[derive(Debug, Default)]
struct Minute {
    began: Option<Instant>,
    said: HashSet<Matter>,
    /// Refusals left out since a line was written.
    unsaid: u64,
}

/// Who, which zone, what about it.
type Matter = (IpAddr, Option<Name>, &'static str);

impl Refusals {
    /// Says that `request` was refused, unless the same was said a moment ago.
    pub(crate) fn note(&self, refused: &Refused, request: &[u8], client: Client, table: &Table) {
        let from = client.addr;
        let (name, phrase) = match refused.asked {
            Asked::Notify => ("notify.refused", "NOTIFY refused"),
            Asked::Transfer => ("downstream.refused", "transfer refused"),
            // A broken seal of an ordinary query is its asker's concern; it was told.
            Asked::Query => return,
        };
        let question = Message::new(request).and_then(|message| message.question()).ok().flatten();
        let zone: Option<Name> = question.map(|question| question.name.as_ref().to_owned());
        let (reason, why) = match &refused.cause {
            Cause::AccessList
                if refused.asked == Asked::Transfer && lacks_tls(client, zone.as_ref(), table) =>
            {
                (None, "the access list does not admit it: a rule for its address asks for TLS")
            }
            Cause::AccessList => (None, "the access list does not admit it"),
            Cause::NotOurs => (None, "no such zone is configured"),
            Cause::NotServed => (None, "the zone is not served now"),
            Cause::Unsupported => (None, "malformed, or asks for what is not offered"),
            Cause::Seal { reason, .. } => (Some(*reason), reason.code()),
        };
        let Some(unsaid) = self.is_news((from.ip(), zone.clone(), why), Instant::now()) else { return };
        let mut detail = match &refused.cause {
            Cause::Seal { detail, .. } => detail.to_string(),
            _ => why.to_string(),
        };
        if unsaid > 0 {
            detail += &format!("; {unsaid} refusals before it were not told");
        }
        let event = Event { zone: zone.as_ref(), peer: Some(Peer::Socket(from)), ..Event::new(name, phrase) };
        Event { reason, detail: Some(&detail), ..event }.info();
    }

    /// Whether it is worth a line, and how many were left out before it.
    fn is_news(&self, matter: Matter, now: Instant) -> Option<u64> {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if minute.began.is_none_or(|began| now.duration_since(began) >= QUIET) {
            minute.began = Some(now);
            minute.said.clear();
        }
        if minute.said.len() < LINES && minute.said.insert(matter) {
            return Some(std::mem::take(&mut minute.unsaid));
        }
        minute.unsaid += 1;
        None
    }
}

/// Whether it came without TLS though a rule of the zone for that address asks for it.
fn lacks_tls(client: Client, zone: Option<&Name>, table: &Table) -> bool {
    let Some(entry) = zone.and_then(|zone| table.exact(zone.as_ref())) else { return false };
    let is_for =
        |rule: &Rule| rule.prefix.is_none_or(|prefix| prefix.contains(client.addr.ip().to_canonical()));
    client.transport != Transport::Tls && entry.transfer.rules().iter().any(|rule| rule.tls && is_for(rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_once_a_minute_another_matter_at_once_and_what_was_left_out_is_counted() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let matter = |n: u32, why| (IpAddr::from(n.to_be_bytes()), None, why);
        assert_eq!(refusals.is_news(matter(1, "a"), now), Some(0));
        assert_eq!(refusals.is_news(matter(1, "a"), now + Duration::from_secs(59)), None);
        assert_eq!(refusals.is_news(matter(1, "b"), now + Duration::from_secs(59)), Some(1));
        assert_eq!(refusals.is_news(matter(1, "a"), now + QUIET), Some(0));
        for n in 2..=LINES as u32 {
            assert_eq!(refusals.is_news(matter(n, "a"), now + QUIET), Some(0));
        }
        assert_eq!(refusals.is_news(matter(99_999, "a"), now + QUIET), None);
        assert_eq!(refusals.is_news(matter(99_999, "a"), now + QUIET * 3), Some(1));
    }
}
