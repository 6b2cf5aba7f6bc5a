//! A NOTIFY: answered at once, acted on by whoever called (RFC 1996).

use std::sync::Arc;

use secondo_wire::edns::ede;
use secondo_wire::{CLASS_ANY, CLASS_IN, CLASS_NONE, Rcode, RecordType, Section, Serial};

use crate::query::Asker;
use crate::reply::{Ede, Reply};
use crate::request::{Frame, Question};
use crate::table::Entry;

/// Answers; the zone and the hint, when the NOTIFY is to be acted on.
pub(crate) fn receive(
    asker: &Asker<'_>,
    frame: &Frame<'_>,
    question: Question<'_>,
    reply: &mut Reply<'_>,
) -> Option<(Arc<Entry>, Option<Serial>)> {
    let refused = match admit(asker, frame, question) {
        Ok(accepted) => {
            reply.set_authoritative();
            return Some(accepted);
        }
        Err(refused) => refused,
    };
    let (rcode, code) = refused;
    reply.fail(rcode, code.map(Ede::bare));
    None
}

fn admit(
    asker: &Asker<'_>,
    frame: &Frame<'_>,
    question: Question<'_>,
) -> Result<(Arc<Entry>, Option<Serial>), (Rcode, Option<u16>)> {
    match question.class {
        CLASS_IN => {}
        CLASS_ANY | CLASS_NONE => return Err((Rcode::FORMERR, None)),
        _ => return Err((Rcode::NOTAUTH, None)),
    }
    // RFC 1996 §3.11, §3.12: only changes of the SOA are known here. Said to those who may know what we are.
    let Some(entry) = asker.table.exact(question.name) else {
        return Err(match asker.table.any_notify_rule_admits(asker.address(), asker.key) {
            true => (Rcode::NOTAUTH, Some(ede::NOT_AUTHORITATIVE)),
            false => (Rcode::REFUSED, Some(ede::NOT_AUTHORITATIVE)),
        });
    };
    if !entry.notify.admits(asker.address(), asker.key) {
        return Err((Rcode::REFUSED, Some(ede::PROHIBITED)));
    }
    if question.rtype != RecordType::SOA {
        return Err((Rcode::NOTIMP, None));
    }
    // RFC 1996 §3.7: a hint, not more; one that cannot be parsed is a format error.
    let hint = frame.soa_serial(Section::Answer, question.name).map_err(|rcode| (rcode, None))?;
    Ok((entry.clone(), hint))
}
