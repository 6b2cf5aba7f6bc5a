//! Kept versions as an operator reads them: `dump` and `diff`. Each is a task of its own: the disk, the work and the
//! client's patience are not the loop's.

use std::sync::{Arc, Weak};

use secondo_lifecycle::Now;
use secondo_store::{History, HistoryError, Store};
use secondo_wire::Serial;
use secondo_zone::{Difference, Zone};
use tokio::sync::{Semaphore, oneshot};

use super::Scheduler;
use crate::control::{Ask, Command, Gone, Health, Request, Response, Text};
use crate::listing;

/// Texts made at once. A client that reads slowly keeps a thread and a version for as long.
const AT_ONCE: usize = 4;
/// Texts under way or waiting for their turn; more are refused, so that the control socket has places left.
const AT_MOST: usize = 16;
/// Kept serials that are named where a wrong one was.
const NAMED: usize = 8;

/// The places for those who read versions.
#[derive(Clone, Debug)]
pub(super) struct Readers {
    working: Arc<Semaphore>,
    inside: Arc<Semaphore>,
}

/// Which versions a text is about.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    Dump(Option<Serial>),
    Diff(Option<Serial>, Option<Serial>),
}

impl Wanted {
    /// Tells from the serials of the versions on disk, the newest first, when all are there that the text needs: the one
    /// `served`, and of those before it what is wanted, or the `keep` that count.
    fn reach(self, served: Serial, keep: u32) -> impl FnMut(Serial) -> bool + Send + 'static {
        let (mut wanted, before) = match self {
            Wanted::Dump(serial) => (vec![serial.unwrap_or(served)], None),
            Wanted::Diff(Some(from), to) => (vec![from, to.unwrap_or(served)], None),
            Wanted::Diff(None, to) => (vec![to.unwrap_or(served)], Some(to.unwrap_or(served))),
        };
        let (mut behind, mut before_met) = (None, before.is_none());
        move |serial| {
            behind = match behind {
                None => (serial == served).then_some(0_u32),
                Some(behind) => Some(behind.saturating_add(1)),
            };
            // The one before another has another serial.
            before_met |= before.is_some_and(|before| before != serial && !wanted.contains(&before));
            wanted.retain(|wanted| *wanted != serial);
            behind.is_some_and(|behind| behind >= keep || wanted.is_empty() && before_met)
        }
    }
}

/// One text to be made.
struct Listing {
    wanted: Wanted,
    /// The version served, or last served.
    served: Zone,
    /// So many before it count. The disk may have more: those that it still needs for itself.
    keep: u32,
    store: Weak<Store>,
    note: Option<String>,
    /// Why the disk does not give what leads back.
    why: Option<String>,
}

/// Why there is none.
enum Failed {
    Refused(Box<Response>),
    /// Nobody reads it any more.
    Gone,
}

impl Readers {
    pub(super) fn new() -> Readers {
        Readers { working: Arc::new(Semaphore::new(AT_ONCE)), inside: Arc::new(Semaphore::new(AT_MOST)) }
    }
}

impl Scheduler {
    /// Starts the text that was asked for.
    pub(super) fn read_versions(&self, ask: Ask, now: Now) {
        let Ask { request, text, answer } = ask;
        let prepared = self.listing(&request, now).and_then(|listing| {
            let inside = Arc::clone(&self.readers.inside).try_acquire_owned();
            let busy = |_| Response::refused("busy", format!("{AT_MOST} others read versions already"));
            inside.map_err(busy).map(|inside| (listing, inside)).map_err(Box::new)
        });
        let working = Arc::clone(&self.readers.working);
        // One who went away needs no answer.
        match prepared {
            Err(refused) => drop(answer.send(*refused)),
            Ok((listing, inside)) => drop(tokio::spawn(async move {
                tokio::select! {
                    // It is never closed.
                    Ok(place) = working.acquire() => {
                        if let Some(response) = listing.make(text).await {
                            let _ = answer.send(response);
                        }
                        drop(place);
                    }
                    () = text.unread() => {}
                }
                drop(inside);
            })),
        }
    }

    fn listing(&self, request: &Request, now: Now) -> Result<Listing, Box<Response>> {
        let refused = |code: &str, message: String| Box::new(Response::refused(code, message));
        let ids = self.chosen(request, false)?;
        let [id] = ids[..] else {
            return Err(refused("bad-request", "name one zone".into()));
        };
        let zone = self.zones.get(&id).ok_or_else(|| refused("no-such-zone", "no such zone".into()))?;
        let name = &zone.config.name;
        let served = zone.slot.published().ok_or_else(|| {
            refused("never-loaded", format!("{name} was never loaded: there is no version to show"))
        })?;
        let wanted = match request.command {
            Command::Diff => Wanted::Diff(request.from.map(Serial), request.to.map(Serial)),
            _ => Wanted::Dump(request.serial.map(Serial)),
        };
        let expired = zone.status(now).state == Health::Expired;
        let note = expired.then(|| {
            format!(
                "{name} has expired: the last version, serial {}, is not answered from",
                served.serial().0
            )
        });
        let (served, store) = (Zone::clone(&served), Arc::downgrade(&self.parts.store));
        Ok(Listing { wanted, served, keep: zone.config.settings.keep_versions, store, note, why: None })
    }
}

impl Listing {
    /// Makes the text; what is said at its end, `None` when nobody reads it any more.
    async fn make(mut self, text: Text) -> Option<Response> {
        let history = match self.wanted {
            Wanted::Dump(serial) if serial.is_none_or(|serial| serial == self.served.serial()) => None,
            _ => self.history().await.map_err(|why| self.why = Some(why)).ok(),
        };
        // What is made here may be large: it is dropped where it was made.
        let made = tokio::task::spawn_blocking(move || self.write(history.as_ref(), text)).await;
        match made {
            Ok(Ok(response)) => Some(response),
            Ok(Err(Failed::Refused(response))) => Some(*response),
            Ok(Err(Failed::Gone)) => None,
            Err(_) => Some(Response::refused("internal", "an error of our own")),
        }
    }

    /// What the disk has, as far back as it is needed; else why it gives nothing.
    async fn history(&self) -> Result<History, String> {
        let (tell, told) = oneshot::channel();
        let ended = || "the store has ended".to_string();
        let store = self.store.upgrade().ok_or_else(ended)?;
        // The receiver may be gone with its task when the daemon stops.
        let done = move |history| drop(tell.send(history));
        store.history(self.served.apex(), self.wanted.reach(self.served.serial(), self.keep), done);
        drop(store);
        told.await.unwrap_or_else(|_| Err(ended()))
    }

    fn write(self, history: Option<&History>, mut text: Text) -> Result<Response, Failed> {
        let served = &self.served;
        let (serial, from_serial, records) = match self.wanted {
            Wanted::Dump(serial) => {
                let version = self.version(history, serial.unwrap_or(served.serial()))?;
                (version.serial(), None, listing::zone(&version, &mut text)?)
            }
            Wanted::Diff(from, to) => {
                let to = to.unwrap_or(served.serial());
                let from = from.map_or_else(|| self.before(history, to), Ok)?;
                let (old, new) = (self.version(history, from)?, self.version(history, to)?);
                let difference = Difference::between(&old, &new);
                // They may be the last to hold what is only theirs.
                drop((old, new));
                (to, Some(from), listing::difference(&difference, served.apex(), &mut text)?)
            }
        };
        text.finish()?;
        Ok(Response {
            serial: Some(serial.0),
            from_serial: from_serial.map(|from| from.0),
            records: Some(records),
            note: self.note,
            ..Response::default()
        })
    }

    /// The serials of the kept versions, oldest first; empty when the disk does not have the version served.
    fn serials(&self, history: Option<&History>) -> Vec<Serial> {
        let mut serials: Vec<Serial> = history.map(|history| history.serials().collect()).unwrap_or_default();
        let at = serials.iter().rposition(|serial| *serial == self.served.serial());
        let keep = usize::try_from(self.keep).unwrap_or(usize::MAX);
        serials.drain(..at.map_or(serials.len(), |at| at.saturating_sub(keep)));
        serials
    }

    /// The kept version with this serial.
    fn version(&self, history: Option<&History>, serial: Serial) -> Result<Zone, Failed> {
        if serial == self.served.serial() {
            return Ok(self.served.clone());
        }
        let serials = self.serials(history);
        let Some(history) = history.filter(|_| !serials.is_empty()) else { return Err(self.not_on_disk()) };
        if !serials.contains(&serial) {
            return Err(self.not_kept(serial, &serials));
        }
        history.version(&self.served, serial).map_err(|error| match error {
            HistoryError::NotKept(_) => self.not_kept(serial, &serials),
            HistoryError::Unrelated(_) => self.not_on_disk(),
            damaged => {
                let apex = self.served.apex();
                Response::refused("damaged", format!("{apex} serial {}: {damaged}", serial.0)).into()
            }
        })
    }

    /// The serial of the last version before that with the serial `to`.
    fn before(&self, history: Option<&History>, to: Serial) -> Result<Serial, Failed> {
        let serials = self.serials(history);
        if serials.is_empty() {
            return Err(self.not_on_disk());
        }
        let at =
            serials.iter().rposition(|serial| *serial == to).ok_or_else(|| self.not_kept(to, &serials))?;
        // One with the same serial cannot be told from it.
        let earlier = serials.iter().take(at).rfind(|serial| **serial != to);
        earlier.copied().ok_or_else(|| {
            let apex = self.served.apex();
            let message = format!("no version of {apex} before serial {} is kept; {}", to.0, kept(&serials));
            Response::refused("not-kept", message).into()
        })
    }

    fn not_kept(&self, serial: Serial, serials: &[Serial]) -> Failed {
        let apex = self.served.apex();
        let message = format!("serial {} of {apex} is not kept; {}", serial.0, kept(serials));
        Response::refused("not-kept", message).into()
    }

    fn not_on_disk(&self) -> Failed {
        let (apex, serial) = (self.served.apex(), self.served.serial().0);
        let because = self.why.as_ref().map_or(String::new(), |why| format!(" ({why})"));
        let message = format!(
            "the version of {apex} that is served, serial {serial}, is not on disk{because}: earlier ones can be \
             shown again when it is"
        );
        Response::refused("not-kept", message).into()
    }
}

/// The kept serials, the newest few of them by name.
fn kept(serials: &[Serial]) -> String {
    let shown = serials.iter().rev().take(NAMED);
    let shown: Vec<String> = shown.map(|serial| serial.0.to_string()).collect();
    let more = match serials.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} earlier"),
    };
    format!("kept: {}{more}", shown.join(", "))
}

impl From<Gone> for Failed {
    fn from(_: Gone) -> Failed {
        Failed::Gone
    }
}

impl From<Response> for Failed {
    fn from(refusal: Response) -> Failed {
        Failed::Refused(Box::new(refusal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The versions that are read of those on disk, the newest first.
    fn read(wanted: Wanted, served: u32, keep: u32, on_disk: &[u32]) -> Vec<u32> {
        let mut enough = wanted.reach(Serial(served), keep);
        let end = on_disk.iter().position(|serial| enough(Serial(*serial)));
        on_disk[..end.map_or(on_disk.len(), |end| end + 1)].to_vec()
    }

    #[test]
    fn no_more_is_read_than_the_text_needs() {
        let serial = |serial| Some(Serial(serial));
        let all = [9, 8, 7, 7, 6, 5, 4];
        assert_eq!(read(Wanted::Dump(serial(8)), 9, 100, &all), [9, 8]);
        assert_eq!(read(Wanted::Diff(None, None), 9, 100, &all), [9, 8]);
        assert_eq!(read(Wanted::Diff(None, serial(7)), 9, 100, &all), [9, 8, 7, 7, 6]);
        assert_eq!(read(Wanted::Diff(serial(8), serial(7)), 9, 100, &all), [9, 8, 7]);
        assert_eq!(read(Wanted::Diff(serial(6), None), 9, 100, &all), [9, 8, 7, 7, 6]);
        // The disk is ahead of what is served, which is needed too.
        assert_eq!(read(Wanted::Diff(serial(9), serial(8)), 7, 100, &all), [9, 8, 7]);
        // What is not there is looked for as far as versions count.
        assert_eq!(read(Wanted::Dump(serial(1)), 8, 3, &all), [9, 8, 7, 7, 6]);
        assert_eq!(read(Wanted::Dump(serial(1)), 8, 100, &all), all);
        assert_eq!(read(Wanted::Diff(None, None), 9, 0, &all), [9]);
        assert_eq!(read(Wanted::Diff(None, None), 3, 100, &all), all);
    }
}
