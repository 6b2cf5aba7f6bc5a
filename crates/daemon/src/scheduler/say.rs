//! A machine's reports, in the words of the contract.

use std::time::Duration;

use secondo_lifecycle::{Kind, NotifyIgnored, Now, Outcome, PrimaryId, Step, Target, Validity, ZoneId};
use secondo_wire::{Class, Name, Reason};

use super::Scheduler;
use super::trouble::Try;
use super::zones::Source;
use crate::event::{Event, Peer};

/// How long a zone is silent about further NOTIFYs that led to nothing.
const QUIET: Duration = Duration::from_secs(10);

impl Scheduler {
    /// Logs a report, keeps what `status` wants of it, and tells those who wait for the end of a round. `key`: what sealed
    /// the message that it follows from.
    pub(super) fn report(&mut self, id: ZoneId, outcome: Outcome, key: Option<&Name>, now: Now) {
        let address_of =
            |primary: PrimaryId| self.book.find(primary).and_then(|p| p.addresses.first().copied());
        let reach_of = |target: Target| self.book.reach(target);
        let Some(zone) = self.zones.get_mut(&id) else { return };
        let name_of_zone = zone.config.name.clone();
        let next_in = zone.next_in(now);
        let event = Event { zone: Some(&name_of_zone), serial: zone.machine.serial(), ..Event::default() };
        let at = |target: Target| Some(target.address);
        match outcome {
            Outcome::RefreshCurrent { target, serial, next_in } => {
                zone.in_order(target, true);
                zone.vouched(target, serial);
                zone.end_round();
                let (name, phrase) = ("refresh.current", "primary confirms the serial");
                let (primary, serial) = (at(target), Some(serial));
                Event { name, phrase, primary, serial, next_in: Some(next_in), ..event }.info();
                zone.tell_waiters("current", serial, None);
            }
            Outcome::Published { target, serial, from, kind, next_in } => {
                zone.vouched(target, serial);
                zone.end_round();
                if kind == Kind::Ixfr {
                    zone.ixfr_works();
                }
                let (name, phrase) = ("zone.published", "new version is served");
                let kind = match zone.facts.source {
                    Some(Source::Transfer(kind)) => Some(kind.as_str()),
                    _ => None,
                };
                let next_in = Some(next_in);
                Event {
                    name,
                    phrase,
                    kind,
                    primary: at(target),
                    serial: Some(serial),
                    from_serial: from,
                    next_in,
                    ..event
                }
                .info();
                zone.tell_waiters("updated", Some(serial), None);
            }
            Outcome::RefreshFailed { reason, primary, next_in } => {
                let validity = zone.machine.validity();
                let (name, phrase) = ("refresh.failed", unconfirmed(reason, validity));
                // What a transfer met was told with its end.
                let told = |failed: &&Try| failed.step != Step::Probe && reason.class() != Class::Serial;
                let same = zone.last_try().filter(|failed| failed.reason == reason && !told(failed));
                let known = same.map(|failed| failed.detail.as_str()).unwrap_or_default();
                let detail = with_expiry(known, validity, now.boot);
                let primary = zone.facts.primary.map(|target| target.address).or_else(|| address_of(primary));
                let (why, next_in) = (Some(reason), Some(next_in));
                let event =
                    Event { name, phrase, primary, reason: why, next_in, detail: detail.as_deref(), ..event };
                // What is known to be down was said of the primary, and its zones are summed up: one line a zone would
                // bury all else.
                let down = |failed: &Try| failed.reason == Reason::PrimaryDown;
                match zone.facts.trouble.as_ref().map(|trouble| trouble.tries()) {
                    Some(tries @ [.., last]) if tries.iter().all(down) => {
                        if let Some(reach) = reach_of(last.target) {
                            self.contacts.waits(reach, &name_of_zone, validity);
                        }
                        event.debug();
                    }
                    _ => event.warn(),
                }
                zone.end_round();
                let serial = zone.machine.serial();
                zone.tell_waiters("failed", serial, why);
            }
            Outcome::AttemptFailed { target, step, reason, serial } => {
                // Faults of jobs are logged with their detail when the job ends; what the machine itself finds
                // wrong with an answer, or a primary that is down, is kept here.
                zone.facts.primary = Some(target);
                // Its SOA told of it, and its transfer, in which no job found a fault, did not bring it.
                let ours = zone.machine.serial();
                let newer = serial.zip(ours).is_some_and(|(theirs, ours)| theirs.newer_than(ours));
                let promised = step != Step::Probe && reason == Reason::SerialBehind && newer;
                let serials = serial.map(|theirs| match promised {
                    true => format!("its SOA tells serial {theirs}, which its transfer does not bring"),
                    false => format!("the primary has serial {theirs}"),
                });
                let others = zone.has_other_addresses();
                let detail = serials.unwrap_or_default();
                let trouble = zone.trouble();
                let detail = trouble
                    .confirm(Try {
                        target,
                        step,
                        reason,
                        serial,
                        detail,
                        key: None,
                        cut_short: false,
                        at: now.boot,
                    })
                    .detail
                    .clone();
                // Where another primary may still confirm the zone, this is the only word about this one.
                let only_word = (step == Step::Probe || promised) && others && reason != Reason::PrimaryDown;
                if only_word && trouble.is_news(target, reason) {
                    let (name, phrase) = ("refresh.failed", "this primary does not confirm the zone");
                    let (reason, detail) = (Some(reason), Some(detail.as_str()).filter(|d| !d.is_empty()));
                    Event { name, phrase, primary: at(target), reason, detail, ..event }.warn();
                }
            }
            Outcome::Fallback { target, reason } => {
                let known = zone.last_try().filter(|failed| failed.reason == reason);
                let known = known.map(|failed| failed.detail.clone()).unwrap_or_default();
                zone.trouble().no_ixfr(target, reason, &known, now.boot);
                let detail = Some(known.as_str()).filter(|detail| !detail.is_empty());
                let (name, phrase) = ("transfer.fallback", "IXFR cannot be had: AXFR at the same primary");
                Event {
                    name,
                    phrase,
                    primary: at(target),
                    reason: Some(reason),
                    kind: Some("axfr"),
                    detail,
                    ..event
                }
                .info();
            }
            Outcome::NotifyAccepted { from, hint, later } => {
                let phrase =
                    if later { "NOTIFY accepted, for after the running attempt" } else { "NOTIFY accepted" };
                let (name, peer) = ("notify.accepted", Some(Peer::Host(from)));
                Event { name, phrase, serial: hint, peer, key, next_in, ..event }.info();
            }
            Outcome::NotifyIgnored { from, hint, why } => {
                let peer = Some(Peer::Host(from));
                let (phrase, reason) = match why {
                    NotifyIgnored::AlreadyServed => ("NOTIFY ignored: the serial is served already", None),
                    NotifyIgnored::Rejected(reason) => {
                        ("NOTIFY ignored: the version was found unfit", Some(reason))
                    }
                };
                let event = Event { phrase, serial: hint, reason, peer, key, next_in, ..event };
                let event = Event { name: "notify.ignored", ..event };
                // A flood of them must not fill the log.
                if now.boot < zone.facts.quiet_until {
                    event.debug();
                } else {
                    zone.facts.quiet_until = now.boot.saturating_add(QUIET);
                    event.info();
                }
            }
            Outcome::HintForgotten { hint, serial } => {
                let detail = format!("no primary has serial {hint}, of which a NOTIFY or a SOA told");
                let (name, phrase) = ("notify.ignored", "the serial that was told of is looked for no more");
                Event { name, phrase, serial: Some(serial), detail: Some(&detail), ..event }.info();
            }
            Outcome::Expiring { percent, expires_in, reason } => {
                let detail =
                    format!("{percent} % of its life are over; it expires in {} s", expires_in.as_secs());
                let (name, phrase) = ("zone.expiring", "zone is on its way to expiry");
                Event { name, phrase, reason: Some(reason), detail: Some(&detail), next_in, ..event }.warn();
            }
            Outcome::TimersBounded { refresh, retry, expire } => {
                let timers = [("REFRESH", refresh), ("RETRY", retry), ("EXPIRE", expire)];
                let overridden = timers.iter().filter(|(_, (soa, holds))| holds.as_secs() != u64::from(*soa));
                let texts: Vec<String> = overridden
                    .map(|(timer, (soa, holds))| format!("{timer} {soa} holds as {}", holds.as_secs()))
                    .collect();
                let detail = texts.join(", ");
                let (name, phrase) = ("refresh.scheduled", "bounds override the SOA's timers");
                Event { name, phrase, detail: Some(&detail), ..event }.warn();
            }
        }
    }
}

impl Scheduler {
    /// Sums up the zones that could not ask a primary which is down.
    pub(super) fn say_who_waits(&mut self, now: Now) {
        for (reach, waiting) in self.contacts.due(now.boot) {
            let detail = waiting.words(now.boot);
            let until = self.health.down_until(reach);
            Event {
                primary: Some(reach.address),
                reason: Some(Reason::PrimaryDown),
                detail: Some(&detail),
                next_in: until.map(|until| until.saturating_sub(now.boot)),
                ..Event::new("refresh.failed", "zones wait for a primary that is down")
            }
            .warn();
        }
    }
}

/// The detail of a failure, and when the zone expires if it goes on like this.
fn with_expiry(detail: &str, validity: Validity, now: Duration) -> Option<String> {
    let Validity::Current { until, .. } = validity else {
        return Some(detail.to_string()).filter(|detail| !detail.is_empty());
    };
    let left = format!("expires in {} s", until.saturating_sub(now).as_secs());
    Some(if detail.is_empty() { left } else { format!("{detail}; {left}") })
}

/// What it means that no primary vouches for a zone.
fn unconfirmed(reason: Reason, validity: Validity) -> &'static str {
    if reason.class() == Class::Local {
        return "we ourselves could not ask: the same again soon";
    }
    match validity {
        Validity::Empty => "no primary gives the zone: it is not served yet",
        Validity::Current { .. } => "no primary confirms the zone: it is served until it expires",
        Validity::Expired { .. } => "no primary confirms the zone: it has expired and is not served",
    }
}
