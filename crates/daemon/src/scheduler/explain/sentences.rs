//! What state, what was tried, what comes next.

use std::time::Duration;

use secondo_lifecycle::{Cause, Question, Step, Validity};
use secondo_wire::{Class, Reason, Serial};

use super::super::contacts::off_by;
use super::super::trouble::Try;
use super::{Asks, Case, Doing, Known, KnownDown, long, roll, whom};
use crate::config::PrimaryConfig;
use crate::control::Unanswered;

/// What state, since when, why.
pub(super) fn state(case: &Case) -> Vec<String> {
    let zone = &case.status.zone;
    let mut said = Vec::new();
    match case.validity {
        Validity::Empty => said.push(format!(
            "{zone} was never loaded since it was configured here, {} ago: queries get SERVFAIL (EDE 14, Not Ready).",
            long(case.since)
        )),
        Validity::Current { until, .. } if until > case.now => {
            said.push(format!(
                "{zone} is current: serial {} with {} records is answered from.",
                number(case.status.serial.map(u64::from)),
                number(case.status.records)
            ));
            said.push(whence(case));
            said.extend(case.status.newer.as_ref().map(|newer| {
                let ago = long(Duration::from_secs_f64(newer.ago));
                format!(
                    "A primary told of serial {}, which is newer, {ago} ago; it is not served yet.",
                    newer.serial
                )
            }));
            said.push(expiry(case, until.saturating_sub(case.now)));
        }
        Validity::Current { until: since, .. } | Validity::Expired { since, .. } => {
            let confirmed = match case.status.confirmed_ago {
                Some(ago) => format!("no primary has confirmed it for {}", long(Duration::from_secs_f64(ago))),
                None => "no confirmation by a primary is on record".into(),
            };
            said.push(format!(
                "{zone} has expired, {} ago: {confirmed}. Serial {} is kept but not answered from; queries get SERVFAIL \
                 (EDE 24, Invalid Data). Whatever serial a primary has now will be taken.",
                long(case.now.saturating_sub(since)),
                number(case.status.serial.map(u64::from)),
            ));
        }
    }
    if !case.status.durable {
        let why = case.disk.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        said.push(format!(
            "It is not on disk: the disk refused it{why}. It is served from memory, would be lost by a restart, and is \
             written as soon as the disk allows."
        ));
    }
    said.extend(bounds(case));
    if let Some((primary, ixfr)) = &case.ixfr {
        let times = if ixfr.times == 1 { "once".into() } else { format!("{} times in a row", ixfr.times) };
        let detail = if ixfr.detail.is_empty() { String::new() } else { format!(", {}", ixfr.detail) };
        said.push(format!(
            "IXFR from {} did not do, {times}, last {} ago ({}{detail}): whole zones are fetched there instead.",
            whom(primary, ixfr.target.address),
            long(case.now.saturating_sub(ixfr.at)),
            ixfr.reason
        ));
    }
    said.extend(case.status.unanswered.iter().map(unanswered));
    said.extend(case.contacts.iter().filter_map(|known| roll::state(case, known)));
    said.extend(case.contacts.iter().filter_map(clock));
    said
}

fn number(value: Option<u64>) -> String {
    value.map_or_else(|| "-".into(), |value| value.to_string())
}

/// Where the version served comes from.
fn whence(case: &Case) -> String {
    let ago = long(case.since);
    match case.status.source.as_deref() {
        Some("disk") => format!("It was restored from disk when the daemon started, {ago} ago."),
        Some(kind) => format!(
            "This version came by {} {ago} ago.",
            kind.to_uppercase().replace("AXFR-STYLE", "IXFR, as a whole zone,")
        ),
        None => format!("It has been here for {ago}."),
    }
}

fn expiry(case: &Case, left: Duration) -> String {
    let by = match (&case.status.primary, case.status.last_error.is_some()) {
        (Some(primary), false) => format!("{primary} confirmed it"),
        _ => "A primary last confirmed it".into(),
    };
    let late = match case.validity {
        Validity::Current { life, .. } if left < life / 2 && !case.tries.is_empty() => {
            " More than half of its life is over, and the primaries are asked in vain."
        }
        _ => "",
    };
    let ago = case.status.confirmed_ago.map_or_else(
        || "at a time that is not on record".into(),
        |ago| format!("{} ago", long(Duration::from_secs_f64(ago))),
    );
    format!("{by} {ago}; it expires in {} unless one does so before.{late}", long(left))
}

/// Timers of the SOA that do not hold as they stand there.
fn bounds(case: &Case) -> Vec<String> {
    let Some(soa) = &case.soa else { return Vec::new() };
    let settings = &case.settings;
    let timers = [
        ("REFRESH", soa.refresh, settings.refresh_bounds, "refresh-bounds"),
        ("RETRY", soa.retry, settings.retry_bounds, "retry-bounds"),
        ("EXPIRE", soa.expire, settings.expire_bounds, "expire-bounds"),
    ];
    timers
        .into_iter()
        .filter_map(|(timer, seconds, bounds, key)| {
            let wanted = Duration::from_secs(u64::from(seconds));
            let holds = bounds.clamp(wanted);
            if key == "expire-bounds" && holds > wanted && told_less(case, holds) {
                return Some(format!(
                    "The SOA's EXPIRE of {} is less than `expire-bounds` allow and is not raised: the primary tells how long its \
                     own copy lives (EDNS EXPIRE), which no bound lengthens (RFC 7314 §4).",
                    long(wanted)
                ));
            }
            (holds != wanted).then(|| {
                format!(
                    "The SOA's {timer} of {} holds as {}: `{key}: [{}, {}]`.",
                    long(wanted),
                    long(holds),
                    compact(bounds.min),
                    compact(bounds.max)
                )
            })
        })
        .collect()
}

/// Whether a primary told a shorter life than the lower bound of EXPIRE would give.
fn told_less(case: &Case, bound: Duration) -> bool {
    matches!(case.validity, Validity::Current { life, .. } if life < bound)
}

/// A duration as the configuration writes it.
fn compact(time: Duration) -> String {
    long(time).replace(' ', "")
}

/// A server downstream that was told and did not answer.
fn unanswered(told: &Unanswered) -> String {
    let times = if told.sent == 1 { "once".into() } else { format!("{} times", told.sent) };
    format!(
        "The NOTIFY of serial {} to {} (`also-notify`) was sent {times} in {} and is not answered ({}): it is repeated until \
         it is, or until a newer version.",
        told.serial,
        told.address,
        long(Duration::from_secs_f64(told.ago)),
        told.detail
    )
}

fn clock(known: &Known) -> Option<String> {
    let skew = known.skew?;
    Some(format!(
        "The clock of {} is {}; seals fail beyond 300 s.",
        whom(&known.primary, known.address),
        off_by(skew)
    ))
}

/// What was tried in the running or the last round, and how it ended.
pub(super) fn tried(case: &Case) -> Vec<String> {
    let mut said: Vec<String> =
        case.tries.iter().map(|(primary, failed)| one_try(case, primary, failed)).collect();
    let down = case.contacts.iter().filter_map(|known| known.down.as_ref().map(|down| (known, down)));
    said.extend(down.map(|(known, down)| is_down(known, down)));
    if said.is_empty() {
        said.push(match case.validity {
            Validity::Empty => "No primary has answered yet, and none has failed.".into(),
            _ => "Nothing has failed since a primary last confirmed the zone.".into(),
        });
    }
    said
}

fn one_try(case: &Case, primary: &PrimaryConfig, failed: &Try) -> String {
    let ago = long(case.now.saturating_sub(failed.at));
    let whom = whom(primary, failed.target.address);
    if failed.reason == Reason::PrimaryDown {
        return format!("{ago} ago {whom} was not asked, since it is down.");
    }
    let detail = if failed.detail.is_empty() { String::new() } else { format!(", {}", failed.detail) };
    let asked = match failed.step {
        Step::Probe => "for the SOA",
        Step::Axfr => "for the whole zone",
        Step::Ixfr => "for the differences",
    };
    let brought = match (failed.reason.class(), failed.serial) {
        (Class::Rejected, Some(Serial(serial))) => {
            format!(" Serial {serial} arrived whole and is not fit to serve.")
        }
        _ => String::new(),
    };
    format!(
        "{ago} ago {whom} was asked {asked}, {}, {}: {}{detail}.{brought}",
        transport(primary, failed.step),
        keys(primary),
        failed.reason
    )
}

fn is_down(known: &Known, down: &KnownDown) -> String {
    let detail = if down.detail.is_empty() { String::new() } else { format!(", {}", down.detail) };
    let zones = match down.zones {
        1 => "No other zone asks there in the same way (transport, TLS settings, source address)".to_string(),
        zones => format!("{zones} zones ask there in the same way, and one of them asks for all"),
    };
    format!(
        "{} has given no sign of life for {} ({}{detail}). {zones}: again in {}.",
        whom(&known.primary, known.address),
        long(down.since),
        down.reason,
        long(down.again)
    )
}

/// What was asked for, as a word of the contract.
pub(super) fn asked(step: Step) -> &'static str {
    match step {
        Step::Probe => "soa",
        Step::Axfr => "axfr",
        Step::Ixfr => "ixfr",
    }
}

/// How a primary is asked.
pub(super) fn transport(primary: &PrimaryConfig, step: Step) -> &'static str {
    match step {
        _ if primary.tls.is_some() => "over TLS",
        Step::Probe => "over UDP and, where that does not tell, TCP",
        Step::Axfr | Step::Ixfr => "over TCP",
    }
}

fn keys(primary: &PrimaryConfig) -> String {
    let names: Vec<String> =
        primary.keys.iter().map(|key| format!("{} ({})", key.name(), key.algorithm())).collect();
    match &names[..] {
        [] => "unsigned".into(),
        [one] => format!("with key {one}"),
        [first, others @ ..] => {
            format!("with key {first}, and where that does not do with {}", others.join(", then "))
        }
    }
}

/// What happens next, and when.
pub(super) fn next(case: &Case) -> Vec<String> {
    let mut said = vec![match &case.doing {
        Doing::Waits(left, why) => waits(case, *left, *why),
        Doing::Suspended(left, reason) => format!(
            "In {} the same is tried again: we ourselves could not ({reason}), so another primary would not help.",
            long(*left)
        ),
        Doing::Queued(asks) => queued(case, asks),
        Doing::Asks(asks) => format!(
            "{} is being asked {}, since {}{}.",
            whom(&asks.primary, asks.address),
            wanted(asks),
            long(asks.since),
            because(asks.cause)
        ),
    }];
    if let Validity::Current { until, .. } = case.validity
        && !case.tries.is_empty()
        && until > case.now
    {
        said.push(format!("Until it expires, in {}, the zone is answered from.", long(until - case.now)));
    }
    said
}

fn waits(case: &Case, left: Duration, why: Cause) -> String {
    // While all are down, nobody is asked before one of them is worth it.
    let left = long(case.all_down().map_or(left, |again| left.max(again)));
    match why {
        Cause::Hint(Serial(hint)) => format!(
            "A NOTIFY spoke of serial {hint}, which no primary had when it was asked: they are asked once more in {left}."
        ),
        Cause::Retry => format!("In {left} the primaries are asked again."),
        _ => {
            let seconds = case.soa.as_ref().map(|soa| soa.refresh);
            let refresh = seconds.map_or_else(String::new, |seconds| {
                let holds = case.settings.refresh_bounds.clamp(Duration::from_secs(u64::from(seconds)));
                format!(
                    " (REFRESH is {}; up to a quarter is taken off, so that zones do not all ask at once)",
                    long(holds)
                )
            });
            format!(
                "In {left} a primary is asked whether it has a newer version{refresh}, or as soon as a NOTIFY comes."
            )
        }
    }
}

fn queued(case: &Case, asks: &Asks) -> String {
    let limits = &case.limits;
    let limit = match asks.question {
        None => format!(
            "`limits: probes-per-primary: {}` lets no more be unanswered at once",
            limits.probes_per_primary
        ),
        Some(_) => format!(
            "`limits: transfers: {}` and `transfers-per-primary: {}` let no more run at once",
            limits.transfers, limits.transfers_per_primary
        ),
    };
    format!(
        "The question to {} {} has been waiting for admission for {}{}: {} such questions wait, and {limit}. Those of zones \
         that an operator or a NOTIFY asks for go first, then those nearest to expiry.",
        whom(&asks.primary, asks.address),
        wanted(asks),
        long(asks.since),
        because(asks.cause),
        asks.waiting
    )
}

fn wanted(asks: &Asks) -> String {
    match asks.question {
        None => "for the SOA".into(),
        Some(Question::Axfr) => "for the whole zone".into(),
        Some(Question::Ixfr { from: Serial(from) }) => format!("for the differences since serial {from}"),
    }
}

fn because(cause: Cause) -> String {
    match cause {
        Cause::Start => ", for the first time".into(),
        Cause::Refresh => ", since REFRESH ran out".into(),
        Cause::Retry => ", since the last round failed".into(),
        Cause::Notify => ", since a NOTIFY came".into(),
        Cause::Hint(Serial(hint)) => format!(", since a NOTIFY spoke of serial {hint}"),
        Cause::Operator => ", since an operator asked".into(),
        Cause::Expired => ", since the zone has just expired".into(),
        Cause::Reconfigured => ", since its primaries were changed".into(),
        Cause::PrimaryUp => ", since it answers again".into(),
    }
}
