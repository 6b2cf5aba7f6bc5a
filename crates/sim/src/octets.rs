//! Breaks rules of an answer in the octets of its messages: some before they are sealed, some behind that.

use secondo_wire::{Header, Message};

use crate::deliver::{Delivery, Then};
use crate::diary::Over;
use crate::fault::{At, Fault};

/// Bends messages that are not sealed yet.
pub(crate) fn unsealed(messages: &mut Vec<Vec<u8>>, fault: Fault) {
    let count = messages.len();
    for (index, message) in messages.iter_mut().enumerate() {
        match fault {
            Fault::IdAt(at) if at.covers(index, count) => message[0] ^= 0x55,
            Fault::RcodeAt(at, rcode) if at.covers(index, count) => {
                message[3] = message[3] & 0xF0 | rcode & 15
            }
            Fault::Flags { at, set, clear } if at != At::Every && at.covers(index, count) => {
                let old = u16::from_be_bytes([message[2], message[3]]);
                message[2..4].copy_from_slice(&(old & !clear | set).to_be_bytes());
            }
            _ => {}
        }
    }
    if let Some(message) = messages.first_mut() {
        first_owner(message, fault);
    }
    let empty = messages.first().map(|first| [&first[..4], &[0; 8]].concat()).unwrap_or_default();
    match fault {
        Fault::EmptyMessages(times) if count > 1 => {
            let last = count - 1;
            messages.splice(last..last, std::iter::repeat_n(empty, times.into()));
        }
        Fault::EmptyFirst => {
            // With the question, which the message behind it must then not lack (RFC 5936 §2.2.2).
            let start = messages.first().and_then(|m| Message::new(m).ok()?.records_start().ok());
            let question = messages.first().zip(start).map(|(first, start)| first[12..start].to_vec());
            let head = [&empty[..4], &[0, 1, 0, 0, 0, 0, 0, 0], &question.unwrap_or_default()].concat();
            messages.insert(0, head);
        }
        Fault::EndlessEmpty => {
            messages.truncate(1);
            messages.push(empty);
        }
        _ => {}
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

/// Bends the owner of the first record, which begins with a pointer to the question.
fn first_owner(message: &mut [u8], fault: Fault) {
    let Some(at) = Message::new(message).ok().and_then(|message| message.records_start().ok()) else {
        return;
    };
    let pointer = |to: usize| (0xC000 | to.min(0x3FFF) as u16).to_be_bytes();
    let bent = match fault {
        Fault::PointerLoop => pointer(at),
        Fault::PointerForward => pointer(at + 2),
        Fault::PointerFar => pointer(0x3FFF),
        Fault::BadLabel => [0x41, 0x00],
        _ => return,
    };
    if let Some(owner) = message.get_mut(at..at + 2) {
        owner.copy_from_slice(&bent);
    }
}

/// What goes around the messages of an answer, sealed as they are.
pub(crate) fn around(delivery: &mut Delivery, fault: Fault, over: Over) {
    let messages = &mut delivery.messages;
    let count = messages.len();
    match (fault, over) {
        (Fault::Strangers(times), Over::Udp) => {
            let stranger = messages.first().cloned().map(|mut message| {
                message[0] ^= 0x55;
                message
            });
            messages.splice(0..0, stranger.into_iter().cycle().take(times.into()));
        }
        (Fault::Elsewhere(times), Over::Udp) => {
            let forged = messages.first().cloned().map(|mut message| {
                message[3] = message[3] & 0xF0 | 5;
                message
            });
            delivery.elsewhere.extend(forged.into_iter().cycle().take(times.into()));
        }
        (Fault::Frame(at, octets), Over::Tcp) => {
            if let Some(place) = (0..count).find(|&index| at.covers(index, count)) {
                messages.insert(place, vec![0; octets.into()]);
            }
        }
        (Fault::AnswerAgain, _) => {
            let again = messages.clone();
            messages.extend(again);
        }
        (Fault::Junk, Over::Tcp) => delivery.junk = b"\xFF\xFFthis is no message".to_vec(),
        (Fault::Endless | Fault::EndlessEmpty, Over::Tcp) => delivery.endless = true,
        _ => {}
    }
}

/// How the answer goes out.
pub(crate) fn pace(delivery: &mut Delivery, fault: Fault, over: Over) {
    let (close_after, then) = match (fault, over) {
        (Fault::CloseAfter(octets), Over::Tcp) => (Some(octets), Then::Closed),
        (Fault::Reset(octets), Over::Tcp) => (Some(octets), Then::Reset),
        (Fault::Stall(octets), Over::Tcp) => (Some(octets), Then::Stalled),
        (Fault::NoClosingSoa, Over::Tcp) => (Some(usize::MAX), Then::Closed),
        (Fault::CloseEach, Over::Tcp) => (None, Then::Closed),
        (Fault::Drip(pace), Over::Tcp) => return delivery.pace = Some(pace),
        (Fault::Silence, Over::Tcp) => {
            return *delivery = Delivery { then: Then::Stalled, ..Delivery::silence() };
        }
        (
            Fault::Silence | Fault::CloseAfter(_) | Fault::Reset(_) | Fault::Stall(_) | Fault::Drip(_),
            Over::Udp,
        ) => return *delivery = Delivery::silence(),
        _ => return,
    };
    (delivery.close_after, delivery.then) = (close_after, then);
}

/// Whether these octets have a header that a seal can go behind.
pub(crate) fn can_be_sealed(message: &[u8]) -> bool {
    // Garbage counts more records than one could be added to.
    Header::read(message).is_some_and(|header| header.counts[3] < u16::MAX)
}
