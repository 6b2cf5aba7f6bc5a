//! # explain: one zone's condition, for a person
//!
//! **Job**: what state a zone is in, since when and why; what was tried and how it ended; what comes next; what to do.
//! **In**: a [`Case`]: all that the scheduler knows of the zone, gathered in one look.
//! **Out**: an [`Explanation`].
//! **Never**: holds up the loop: only the case is gathered there, words are made elsewhere; shows a secret.

mod advice;
mod gather;
mod lines;
mod roll;
mod sentences;
mod silence;
#[cfg(test)]
mod tests;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secondo_lifecycle::{Cause, Question, Validity};
use secondo_wire::{Reason, Serial, Soa};

use super::trouble::{NoIxfr, Try};
use crate::config::{Limits, PrimaryConfig, ZoneSettings};
use crate::control::{Attempt, Explanation, Sentences, ZoneStatus};
use crate::primary::Roll;
use crate::table::span;

/// All that is known of a zone at one moment. Times without a word are how long ago or how far ahead.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) status: ZoneStatus,
    /// On the boot clock.
    pub(super) now: Duration,
    /// Seconds since 1970.
    pub(super) wall: u64,
    pub(super) validity: Validity,
    /// Since the version came to be served, or the zone was configured.
    pub(super) since: Duration,
    /// Of the version held.
    pub(super) soa: Option<Soa>,
    pub(super) settings: Arc<ZoneSettings>,
    pub(super) limits: Limits,
    pub(super) state_dir: PathBuf,
    pub(super) doing: Doing,
    pub(super) tries: Vec<(Arc<PrimaryConfig>, Try)>,
    pub(super) ixfr: Option<(Arc<PrimaryConfig>, NoIxfr)>,
    /// What the disk said when it refused the version served.
    pub(super) disk: Option<String>,
    pub(super) contacts: Vec<Known>,
}

impl Case {
    /// Until one of the zone's primaries is asked again, when all addresses of all of them are down.
    fn all_down(&self) -> Option<Duration> {
        let addresses = self
            .settings
            .primaries
            .iter()
            .flat_map(|primary| primary.addresses.iter().map(move |address| (&primary.name, *address)));
        let again = addresses.map(|place| {
            let known = self.contacts.iter().find(|known| (&known.primary.name, known.address) == place)?;
            known.down.as_ref().map(|down| down.again)
        });
        again.collect::<Option<Vec<Duration>>>()?.into_iter().min()
    }
}

/// What the zone does.
#[derive(Clone, Debug)]
pub(super) enum Doing {
    /// Nothing, for so long.
    Waits(Duration, Cause),
    /// The same attempt is made again after so long: we ourselves could not.
    Suspended(Duration, Reason),
    /// The question waits for admission.
    Queued(Asks),
    /// The question is under way.
    Asks(Asks),
}

/// A question to a primary.
#[derive(Clone, Debug)]
pub(super) struct Asks {
    pub(super) primary: Arc<PrimaryConfig>,
    pub(super) address: SocketAddr,
    /// `None`: the SOA.
    pub(super) question: Option<Question>,
    pub(super) since: Duration,
    pub(super) cause: Cause,
    /// Questions of all zones that wait for admission.
    pub(super) waiting: usize,
}

/// What is known of one of the primaries' addresses, where there is something to know.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) primary: Arc<PrimaryConfig>,
    pub(super) address: SocketAddr,
    /// Its clock minus ours, seconds.
    pub(super) skew: Option<i64>,
    /// What is known of its keys, when it has several.
    pub(super) roll: Option<Roll>,
    pub(super) down: Option<KnownDown>,
}

/// Why it is taken to be down.
#[derive(Clone, Debug)]
pub(super) struct KnownDown {
    pub(super) since: Duration,
    pub(super) reason: Reason,
    pub(super) detail: String,
    /// Until one zone asks again for all.
    pub(super) again: Duration,
    /// Zones that have a primary there, with the same transport, TLS settings and source addresses.
    pub(super) zones: usize,
}

/// The words for a case. Finds out from which local address a primary sees us, so it belongs outside of the loop.
pub(super) fn explain(case: &Case) -> Explanation {
    let attempts = case.tries.iter().map(|(primary, failed)| attempt(case, primary, failed)).collect();
    Explanation {
        zone: case.status.zone.clone(),
        status: case.status.clone(),
        attempts,
        sentences: Sentences {
            state: sentences::state(case),
            tried: sentences::tried(case),
            next: sentences::next(case),
            advice: advice::advice(case),
        },
    }
}

fn attempt(case: &Case, primary: &PrimaryConfig, failed: &Try) -> Attempt {
    Attempt {
        primary: primary.name.to_string(),
        address: failed.target.address.to_string(),
        asked: sentences::asked(failed.step).into(),
        keys: primary.keys.iter().map(|key| key.name().to_string()).collect(),
        transport: sentences::transport(primary, failed.step).into(),
        reason: failed.reason.code().into(),
        help: failed.reason.help().into(),
        detail: Some(failed.detail.clone()).filter(|detail| !detail.is_empty()),
        serial: failed.serial.map(|Serial(serial)| serial),
        ago: case.now.saturating_sub(failed.at).as_secs_f64().round(),
    }
}

/// A length of time in words.
fn long(time: Duration) -> String {
    span(time.as_secs_f64())
}

/// A primary by its name and the address that was asked.
fn whom(primary: &PrimaryConfig, address: SocketAddr) -> String {
    let address = address.to_string();
    if *primary.name == *address || address.strip_suffix(":53") == Some(&primary.name) {
        address
    } else {
        format!("{} ({address})", primary.name)
    }
}
