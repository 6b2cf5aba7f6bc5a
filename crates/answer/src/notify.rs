//! A NOTIFY: answered at once, acted on by whoever called (RFC 1996).

use std::sync::Arc;

use secondo_wire::{CLASS_ANY, CLASS_IN, CLASS_NONE, Rcode, RecordType, Section, Serial};

use crate::query::Asker;
use crate::refusal::Refusal;
use crate::request::{Frame, Question};
use crate::table::Entry;

/// A NOTIFY that is to be acted on.
pub(crate) struct Accepted {
    pub(crate) entry: Arc<Entry>,
    /// The serial of the answer section's SOA.
    pub(crate) hint: Option<Serial>,
}

/// Judges a NOTIFY.
pub(crate) fn judge(
    asker: &Asker<'_>,
    frame: &Frame<'_>,
    question: Question<'_>,
) -> Result<Accepted, Refusal> {
    match question.class {
        CLASS_IN => {}
        CLASS_ANY | CLASS_NONE => return Err(Refusal::FORMAT),
        _ => return Err(Refusal::plain(Rcode::NOTAUTH)),
    }
    // Strangers learn nothing, not even which zones are ours.
    let Some(entry) = asker.table.exact(question.name) else {
        return Err(match asker.table.any_notify_rule_admits(asker.origin()) {
            true => Refusal::NOT_AUTHORITATIVE,
            false => Refusal::NOT_OURS,
        });
    };
    if !entry.notify.admits(asker.origin()) {
        return Err(Refusal::PROHIBITED);
    }
    // RFC 1996 §3.11: other types than SOA may be notified of; what follows from them is not implemented here.
    if question.rtype != RecordType::SOA {
        return Err(Refusal::plain(Rcode::NOTIMP));
    }
    // RFC 1996 §3.7: a hint, not more; one that cannot be parsed is a format error.
    let hint = frame.soa_serial(Section::Answer, question.name).map_err(Refusal::plain)?;
    Ok(Accepted { entry: entry.clone(), hint })
}
