//! The state of many zones, a page at a time: between two pages the loop does what else there is to do, and no more than
//! one page waits for a slow client.

use std::ops::Bound;
use std::time::Duration;

use secondo_lifecycle::{Now, ZoneId};
use secondo_wire::Name;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use super::{Message, Scheduler};
use crate::control::{Ask, Health, Response, Summary, ZoneStatus};
use crate::event::Event;

/// Zones of a page: about a millisecond of the loop's time.
const PAGE: usize = 256;
/// Between two pages of the log: whoever reads it must keep up.
const BREATH: Duration = Duration::from_millis(10);

/// A page that is wanted of the loop.
#[derive(Debug)]
pub(crate) enum Page {
    /// Names of the zones behind this one.
    Names(Option<ZoneId>, oneshot::Sender<Vec<(Name, ZoneId)>>),
    /// The states of these; those that are gone meanwhile are left out.
    States(Vec<ZoneId>, oneshot::Sender<Vec<ZoneStatus>>),
}

/// The asking end of the pages.
struct Survey {
    sender: UnboundedSender<Message>,
}

impl Scheduler {
    /// Answers `status`: for more than a page of zones in several lines.
    pub(super) fn survey(&self, ask: Ask) {
        let Ask { request, text, answer } = ask;
        let named = match &request.zones[..] {
            [] => None,
            _ => match self.chosen(&request, true) {
                Ok(chosen) => Some(chosen),
                Err(refused) => return drop(answer.send(*refused)),
            },
        };
        let survey = Survey { sender: self.parts.sender.clone() };
        let (server, limited) = (self.server_problems(self.now()), self.limited());
        tokio::spawn(async move {
            // Without an answer the daemon is stopping, or the one who asked is gone.
            let chosen = match named {
                Some(chosen) => chosen,
                None => survey.all().await?,
            };
            let mut summary = Summary::default();
            let mut last = Vec::new();
            for page in chosen.chunks(PAGE) {
                let mut zones = survey.states(page).await?;
                zones.iter().for_each(|zone| summary.count(zone));
                zones.retain(|zone| !request.problems || zone.is_problem());
                last.extend(zones);
                if last.len() >= PAGE && summary.zones < chosen.len() {
                    text.zones(std::mem::take(&mut last)).await.ok()?;
                }
            }
            // It has nothing more to say ahead.
            drop(text);
            let zones = Some(last);
            let summary = Some(summary);
            answer.send(Response { zones, summary, server, limited, ..Response::default() }).ok()
        });
    }

    /// Gives a page.
    pub(super) fn page(&self, page: Page, now: Now) {
        // One who went away needs none.
        match page {
            Page::Names(behind, to) => {
                let from = behind.map_or(Bound::Unbounded, Bound::Excluded);
                let zones = self.zones.range((from, Bound::Unbounded)).take(PAGE);
                drop(to.send(zones.map(|(&id, zone)| (zone.config.name.clone(), id)).collect()));
            }
            Page::States(ids, to) => {
                let zones = ids.iter().filter_map(|id| self.zones.get(id));
                drop(to.send(zones.map(|zone| self.status_of(zone, now)).collect()));
            }
        }
    }

    /// SIGUSR1: one line a zone, in the order of their names.
    pub(super) fn dump(&self) {
        let survey = Survey { sender: self.parts.sender.clone() };
        tokio::spawn(async move {
            for page in survey.all().await?.chunks(PAGE) {
                survey.states(page).await?.iter().for_each(say);
                tokio::time::sleep(BREATH).await;
            }
            Some(())
        });
    }
}

impl Survey {
    /// All zones in the order of their names; `None` when the daemon stops.
    async fn all(&self) -> Option<Vec<ZoneId>> {
        let mut all: Vec<(Name, ZoneId)> = Vec::new();
        loop {
            let (tell, told) = oneshot::channel();
            let behind = all.last().map(|(_, id)| *id);
            self.sender.send(Message::Page(Page::Names(behind, tell))).ok()?;
            let page = told.await.ok()?;
            if page.is_empty() {
                break;
            }
            all.extend(page);
        }
        let sorted = tokio::task::spawn_blocking(move || {
            all.sort_unstable();
            all.into_iter().map(|(_, id)| id).collect()
        });
        sorted.await.ok()
    }

    async fn states(&self, ids: &[ZoneId]) -> Option<Vec<ZoneStatus>> {
        let (tell, told) = oneshot::channel();
        self.sender.send(Message::Page(Page::States(ids.to_vec(), tell))).ok()?;
        told.await.ok()
    }
}

impl Summary {
    fn count(&mut self, zone: &ZoneStatus) {
        self.zones += 1;
        *match zone.state {
            Health::Current => &mut self.current,
            Health::Expired => &mut self.expired,
            Health::NeverLoaded => &mut self.never_loaded,
        } += 1;
        self.problems += usize::from(zone.is_problem());
    }
}

/// `zone.state`, with all that `status` has as its detail.
fn say(status: &ZoneStatus) {
    let (zone, detail) =
        (status.zone.parse::<Name>().ok(), serde_json::to_string(status).unwrap_or_default());
    Event {
        zone: zone.as_ref(),
        serial: status.serial.map(secondo_wire::Serial),
        primary: status.primary.as_ref().and_then(|address| address.parse().ok()),
        detail: Some(&detail),
        next_in: status.next_in.map(Duration::from_secs_f64),
        ..Event::new("zone.state", status.state.word())
    }
    .info();
}
