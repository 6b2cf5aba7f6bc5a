//! Breaks one rule of an answer: in its records, then in the octets of its messages, then in its seal.

use secondo_wire::{CLASS_CH, Message, Name, NameBuf, RecordType, flags};

use crate::compose::Draft;
use crate::fault::Fault;
use crate::record::Rr;

/// A name in no zone of ours (RFC 6761 §6.4).
fn foreign() -> Name {
    Name::parse("foreign.invalid.").expect("a valid name")
}

fn below(label: &[u8], apex: &Name) -> Name {
    let mut name = NameBuf::new();
    match name.set_labels([label].into_iter(), apex.as_ref()) {
        Ok(()) => name.as_ref().to_owned(),
        Err(_) => apex.clone(),
    }
}

/// Bends header, question and records.
pub(crate) fn draft(draft: &mut Draft, fault: Fault) {
    let (apex, rtype, _) = draft.question.clone();
    let address = |owner: Name, rdata: &[u8]| Rr::new(owner, RecordType::A, 300, rdata);
    match fault {
        Fault::Rcode(rcode) => draft.refuse(rcode.into()),
        Fault::Truncate => {
            draft.records.clear();
            draft.flags |= flags::TC;
        }
        Fault::NotAuthoritative => draft.flags &= !flags::AA,
        Fault::WrongId => draft.id ^= 0x5555,
        Fault::WrongQuestion => draft.question.0 = foreign(),
        Fault::Empty if rtype == RecordType::IXFR => draft.records.clear(),
        _ => {}
    }
    let records = &mut draft.records;
    let count = records.len();
    if count == 0 {
        return;
    }
    let (last, inside) = (count - 1, count > 1);
    // RFC 1995 §4: differences show by a second SOA behind the first.
    let differences = count > 2 && records[1].rtype == RecordType::SOA;
    match fault {
        Fault::Serial(serial) => {
            for rr in records {
                *rr = rr.clone().with_serial(|_| serial);
            }
        }
        Fault::NoOpeningSoa => drop(records.remove(0)),
        Fault::ForeignSoa => {
            records[0].owner = foreign();
            records[last].owner = foreign();
        }
        Fault::BadClass => records[count / 2].class = CLASS_CH,
        Fault::WrongSoa if inside => {
            records[last] = records[last].clone().with_serial(|serial| serial.wrapping_add(1));
        }
        Fault::NoClosingSoa if inside => drop(records.pop()),
        Fault::BehindEnd if inside => records.push(address(below(b"behind", &apex), &[192, 0, 2, 251])),
        Fault::InnerSoa if inside => {
            records.insert(last, Rr { owner: below(b"inner", &apex), ..records[0].clone() });
        }
        Fault::MetaType if inside => {
            records.insert(last, Rr::new(below(b"meta", &apex), RecordType::ANY, 300, &[192, 0, 2, 252]));
        }
        Fault::BadRdata if inside => records.insert(last, address(below(b"short", &apex), &[192, 0, 2])),
        Fault::OutOfZone if inside => records.insert(last, address(foreign(), &[192, 0, 2, 253])),
        Fault::AbsentDelete if differences => {
            records.insert(2, address(below(b"absent", &apex), &[192, 0, 2, 254]));
        }
        Fault::BrokenChain if differences => {
            records[1] = records[1].clone().with_serial(|serial| serial.wrapping_sub(1));
        }
        _ => {}
    }
}

/// Bends the octets of messages that are not sealed yet.
pub(crate) fn octets(messages: &mut [Vec<u8>], fault: Fault) {
    if let Fault::PointerLoop = fault
        && let Some(message) = messages.first_mut()
        && let Some(at) = Message::new(message).ok().and_then(|message| message.records_start().ok())
        && let Some(owner) = message.get_mut(at..at + 2)
    {
        owner.copy_from_slice(&(0xC000 | at as u16).to_be_bytes());
    }
    let Some(message) = messages.last_mut() else { return };
    match fault {
        Fault::CountTooHigh => {
            let count = u16::from_be_bytes([message[6], message[7]]).saturating_add(1);
            message[6..8].copy_from_slice(&count.to_be_bytes());
        }
        Fault::Trailing => message.extend_from_slice(&[0, 0, 1]),
        Fault::CutMessage => message.truncate(message.len().saturating_sub(3)),
        // The ID stays, else it would only be somebody else's message.
        Fault::Garbage => message[2..].fill(0xFF),
        _ => {}
    }
}

/// Whether the message at this place of the stream goes without its seal.
pub(crate) fn unsealed(fault: Option<Fault>, index: usize, count: usize) -> bool {
    match fault {
        // A seal goes behind a message, and garbage is none.
        Some(Fault::Unsigned | Fault::Garbage) => true,
        Some(Fault::UnsignedEnd) => count > 1 && index + 1 == count,
        _ => false,
    }
}

/// Breaks the seal of a sealed message: the last octet of its MAC, behind which stand the original ID, the error and the
/// length of no other data, two octets each (RFC 8945 §4.2).
pub(crate) fn break_seal(message: &mut [u8]) {
    if let Some(at) = message.len().checked_sub(7) {
        message[at] ^= 1;
    }
}
