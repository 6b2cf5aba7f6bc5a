//! NOTIFYs on their way from the query threads to the scheduler: coalesced by zone and sender, so that a flood takes
//! no more memory than there are zones, and none is lost.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use secondo_wire::{Name, Serial, SerialOrder};
use tokio::sync::Notify;

/// Senders remembered for a zone until the scheduler takes them; further ones count as the last of these, without a hint.
const SENDERS: usize = 8;

/// A NOTIFY that an access list admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// The zone.
    pub apex: Name,
    /// Who sent it.
    pub from: IpAddr,
    /// The serial that it hints at.
    pub hint: Option<Serial>,
    /// The key that sealed it.
    pub key: Option<Name>,
}

/// Who sent NOTIFY for a zone, each with the newest hint, and the key of the last.
type Senders = Vec<(IpAddr, Option<Serial>, Option<Name>)>;

/// The board: query threads pin, the scheduler takes all.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    pinned: Mutex<HashMap<Name, Senders>>,
    /// Rung when the empty board gets its first notice.
    bell: Notify,
}

impl Notices {
    /// Pins a notice. Datagrams come in any order, and anybody may forge one: of a sender's hints the newest counts, and
    /// none at all where that cannot be told.
    pub(crate) fn pin(&self, notice: Notice) {
        let mut pinned = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        let first = pinned.is_empty();
        let senders = pinned.entry(notice.apex).or_default();
        match senders.iter().position(|(from, ..)| *from == notice.from) {
            Some(at) => senders[at] = (notice.from, newest(senders[at].1, notice.hint), notice.key),
            None if senders.len() < SENDERS => senders.push((notice.from, notice.hint, notice.key)),
            None => {
                if let Some((_, hint, _)) = senders.last_mut() {
                    *hint = None;
                }
            }
        }
        drop(pinned);
        if first {
            self.bell.notify_one();
        }
    }

    /// Waits until something was pinned since the last look; then all of it is to be taken.
    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// Takes all.
    pub(crate) fn take(&self) -> Vec<Notice> {
        let pinned = std::mem::take(&mut *self.pinned.lock().unwrap_or_else(PoisonError::into_inner));
        let mut notices: Vec<Notice> = pinned
            .into_iter()
            .flat_map(|(apex, senders)| {
                let apex = move || apex.clone();
                senders.into_iter().map(move |(from, hint, key)| Notice { apex: apex(), from, hint, key })
            })
            .collect();
        // The order of a hash map is nobody's business.
        notices.sort_by(|a, b| a.apex.as_wire().cmp(b.apex.as_wire()));
        notices
    }
}

/// The newer of two hints (RFC 1982 §3.2); none where neither is, which makes the zone look for itself.
fn newest(a: Option<Serial>, b: Option<Serial>) -> Option<Serial> {
    let (a, b) = (a?, b?);
    match a.compare(b) {
        SerialOrder::Equal | SerialOrder::Newer => Some(a),
        SerialOrder::Older => Some(b),
        SerialOrder::Undefined => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(apex: &str, from: u8, hint: u32) -> Notice {
        let from = [192, 0, 2, from].into();
        Notice { apex: apex.parse().unwrap(), from, hint: Some(Serial(hint)), key: None }
    }

    #[tokio::test]
    async fn a_flood_is_one_notice_a_sender_and_none_is_lost() {
        let notices = Notices::default();
        for hint in 0..1000 {
            notices.pin(notice("b.example.", 1, hint));
        }
        notices.pin(notice("b.example.", 2, 5));
        notices.pin(notice("a.example.", 1, 6));
        notices.rung().await;
        let expected = [notice("a.example.", 1, 6), notice("b.example.", 1, 999), notice("b.example.", 2, 5)];
        assert_eq!(notices.take(), expected);
        assert!(notices.take().is_empty());
        for key in [None, Some("k.".parse().unwrap())] {
            notices.pin(Notice { key, ..notice("c.example.", 1, 7) });
        }
        notices.rung().await;
        let taken = notices.take();
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0].key.as_ref().map(ToString::to_string), Some("k.".into()));
    }

    #[test]
    fn an_old_or_forged_hint_does_not_hide_a_newer_one_and_a_crowd_hides_nobody() {
        let notices = Notices::default();
        for hint in [5, 7, 6] {
            notices.pin(notice("a.example.", 1, hint));
        }
        assert_eq!(notices.take(), [notice("a.example.", 1, 7)]);
        notices.pin(notice("a.example.", 1, 5));
        notices.pin(notice("a.example.", 1, 5 + (1 << 31)));
        assert_eq!(notices.take()[0].hint, None);
        for from in 0..=SENDERS as u8 {
            notices.pin(notice("a.example.", from, 5));
        }
        let taken = notices.take();
        assert_eq!(taken.len(), SENDERS);
        assert_eq!(taken[SENDERS - 1].hint, None);
    }
}
