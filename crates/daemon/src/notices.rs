//! NOTIFYs on their way from the query threads to the scheduler: coalesced by zone and sender, so that a flood takes
//! no more memory than there are zones, and none is lost.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use secondo_wire::{Name, Serial};
use tokio::sync::Notify;

/// Senders remembered for a zone until the scheduler takes them; further ones only wake it.
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
}

/// Who sent NOTIFY for a zone, each with its latest hint.
type Senders = Vec<(IpAddr, Option<Serial>)>;

/// The board: query threads pin, the scheduler takes all.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    pinned: Mutex<HashMap<Name, Senders>>,
    /// Rung when the empty board gets its first notice.
    bell: Notify,
}

impl Notices {
    /// Pins a notice; the latest hint of a sender counts.
    pub(crate) fn pin(&self, notice: Notice) {
        let mut pinned = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        let first = pinned.is_empty();
        let senders = pinned.entry(notice.apex).or_default();
        if let Some((_, hint)) = senders.iter_mut().find(|(from, _)| *from == notice.from) {
            *hint = notice.hint;
        } else if senders.len() < SENDERS {
            senders.push((notice.from, notice.hint));
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
                senders.into_iter().map(move |(from, hint)| Notice { apex: apex.clone(), from, hint })
            })
            .collect();
        // The order of a hash map is nobody's business.
        notices.sort_by(|a, b| a.apex.as_wire().cmp(b.apex.as_wire()));
        notices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(apex: &str, from: u8, hint: u32) -> Notice {
        Notice { apex: apex.parse().unwrap(), from: [192, 0, 2, from].into(), hint: Some(Serial(hint)) }
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
        notices.pin(notice("c.example.", 1, 7));
        notices.rung().await;
        assert_eq!(notices.take().len(), 1);
    }
}
