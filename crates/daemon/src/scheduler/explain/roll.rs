//! A roll of keys: which of them a primary accepts, and how it comes to its end.

use super::lines::bare;
use super::{Case, Known, long, whom};
use crate::primary::Did;

/// Which key does, in a sentence.
pub(super) fn state(case: &Case, known: &Known) -> Option<String> {
    let roll = known.roll.as_ref()?;
    let who = whom(&known.primary, known.address);
    let first = known.primary.keys.first()?.name();
    let ago = |did: &Did| format!("{} ago", long(case.now.saturating_sub(did.at)));
    let for_what = |did: &Did| {
        let what = if did.transfer { "a transfer" } else { "the SOA" };
        format!("for {what} of {}", bare(&did.zone.to_string()))
    };
    let more = match roll.others.len() {
        _ if roll.more => "; it was for more zones than are kept".into(),
        0 | 1 => String::new(),
        2 => " and for another zone".into(),
        several => format!(" and for {} other zones", several - 1),
    };
    Some(match (&roll.first, roll.other()) {
        (Some(did), None) if roll.more => {
            format!("{who} accepts key {first}, last {}; another was needed for many zones.", ago(did))
        }
        (Some(did), None) => {
            format!("{who} accepts key {first}, last {}; no other was needed since.", ago(did))
        }
        (Some(did), Some(other)) if roll.is_over() => format!(
            "{who} accepts key {first}, last {}; key {} was last needed {}, {}{more}.",
            ago(did),
            other.key,
            ago(other),
            for_what(other)
        ),
        (_, other) => {
            let other = other?;
            let until = match roll.until.checked_sub(case.now) {
                Some(left) if !left.is_zero() => format!("goes first for {} more", long(left)),
                _ => "comes after it again the next time".into(),
            };
            format!(
                "{who} accepted key {} and not key {first}, {}, {}: it {until}.",
                other.key,
                for_what(other),
                ago(other)
            )
        }
    })
}

/// What leads to the end of the roll.
pub(super) fn advice(case: &Case, known: &Known) -> Option<String> {
    let roll = known.roll.as_ref()?;
    let keys: Vec<String> =
        known.primary.keys.iter().map(|key| bare(&key.name().to_string()).into()).collect();
    let (first, others) = keys.split_first()?;
    let (who, zone, name) =
        (whom(&known.primary, known.address), bare(&case.status.zone), &known.primary.name);
    let leave_out =
        format!("leave {} out of `primaries: {name}: keys`, then `secondo reload`", others.join(", "));
    Some(match (&roll.first, roll.other()) {
        (None | Some(_), Some(_)) if !roll.is_over() => format!(
            "Add key {first} at {who}, and let it transfer there; `secondo retransfer {zone}` tries it at once. As soon as this \
             page says that it is accepted and no other was needed since, the roll is at its end: {leave_out}."
        ),
        (Some(_), Some(other)) => format!(
            "Whether {} still needs key {}, `secondo retransfer {}` shows. As soon as no zone does, {leave_out}.",
            bare(&other.zone.to_string()),
            bare(&other.key.to_string()),
            bare(&other.zone.to_string())
        ),
        (Some(_), None) if roll.more => format!(
            "More zones needed another key than are kept here: whether one still does, the log of {who} tells. As soon as none \
             does, {leave_out}."
        ),
        (Some(did), None) if !did.transfer => format!(
            "Key {first} does for the SOA; whether it may transfer, too, `secondo retransfer {zone}` shows. If so, {leave_out}."
        ),
        (Some(_), None) => format!(
            "As far as zones transferred since the start, or since this primary was last changed, the roll is at its end at \
             {who}: {leave_out}."
        ),
        (None, _) => return None,
    })
}
