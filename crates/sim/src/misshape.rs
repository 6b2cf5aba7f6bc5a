//! Breaks rules of an answer in its header, its question and its records, before they are octets.

use secondo_wire::{CLASS_CH, Name, RecordType, edns::option, flags};

use crate::compose::Draft;
use crate::fault::{At, Fault};
use crate::notation::{self, below, foreign};
use crate::record::Rr;
use crate::request::Request;

/// A type that nobody knows (RFC 6895 §3.1: private use).
pub(crate) const UNKNOWN_TYPE: RecordType = RecordType(65_280);
/// A TTL like any other, seconds.
const TTL: u32 = 300;

/// Bends header, question and records.
pub(crate) fn draft(draft: &mut Draft, request: &Request, fault: Fault) {
    head(draft, request, fault);
    let (apex, ..) = draft.question.clone();
    if !draft.records.is_empty() {
        stand_in(draft, request, fault);
        frame(&mut draft.records, &apex, fault);
        content(&mut draft.records, &apex, fault);
    }
}

fn head(draft: &mut Draft, request: &Request, fault: Fault) {
    match fault {
        Fault::Rcode(rcode) => draft.refuse(rcode.into()),
        Fault::ExtendedRcode(rcode) => {
            draft.refuse(rcode);
            draft.edns = true;
        }
        Fault::WithEdns(rcode) if request.edns.is_some() => {
            draft.refuse(rcode);
            draft.opts = (rcode > 15).into();
        }
        Fault::Truncate => {
            draft.records.clear();
            draft.flags |= flags::TC;
        }
        Fault::NotAuthoritative => draft.flags &= !flags::AA,
        Fault::Flags { at: At::Every, set, clear } => draft.flags = draft.flags & !clear | set,
        Fault::WrongId => draft.id ^= 0x5555,
        Fault::WrongQuestion => draft.question.0 = foreign(),
        Fault::QuestionType(rtype) => draft.question.1 = RecordType(rtype),
        Fault::QuestionClass(class) => draft.question.2 = class,
        Fault::NoQuestion => draft.questions = 0,
        Fault::TwoQuestions => draft.questions = 2,
        Fault::QuestionAgain => draft.question_later = Some(draft.question.clone()),
        Fault::OtherQuestionLater => {
            let (apex, rtype, class) = draft.question.clone();
            draft.question_later = Some((below(b"other", &apex), rtype, class));
        }
        Fault::TwoOpts => draft.opts = 2,
        Fault::Cookie => {
            // RFC 7873 §4: eight octets of the client's, eight of the server's.
            let changing = request.header.id.to_be_bytes().repeat(8);
            draft.options.push((option::COOKIE, changing));
        }
        Fault::Expire(seconds) => draft.expire = Some(seconds),
        Fault::ExpireLength(octets) => {
            draft.expire = None;
            draft.options.push((option::EXPIRE, vec![1; octets.into()]));
        }
        Fault::OneEach => draft.per_message = Some(1),
        Fault::LargeMessages => {
            (draft.per_message, draft.message_size) = (Some(usize::MAX), secondo_wire::MAX_MESSAGE);
        }
        Fault::Empty if request.rtype == RecordType::IXFR => draft.records.clear(),
        _ => {}
    }
}

/// Other records in the place of all.
fn stand_in(draft: &mut Draft, request: &Request, fault: Fault) {
    let apex = &request.zone;
    let parent = || Name::parse("example.").expect("a valid name");
    let soa = draft.records[0].clone();
    let ns = |owner: Name| Rr::new(owner, RecordType::NS, TTL, foreign().as_wire());
    let mut nothing = |authority: Rr, set: u16, clear: u16| {
        draft.records.clear();
        draft.authority.push(authority);
        draft.flags = draft.flags & !clear | set;
    };
    match fault {
        Fault::Says(text) => draft.records = notation::records(text, apex, &soa),
        Fault::NoData => nothing(soa, 0, 0),
        Fault::Referral => nothing(ns(apex.clone()), 0, flags::AA),
        Fault::ParentAuthority => nothing(Rr { owner: parent(), ..soa }, 0, 0),
        Fault::ParentSoa => draft.records = vec![Rr { owner: parent(), ..soa }],
        Fault::Alias => {
            draft.records = vec![Rr::new(apex.clone(), RecordType::CNAME, TTL, foreign().as_wire())];
        }
        Fault::TwoSoas => draft.records.push(soa.with_serial(|serial| serial.wrapping_add(1))),
        _ => {}
    }
}

/// The SOAs that hold an answer together.
fn frame(records: &mut Vec<Rr>, apex: &Name, fault: Fault) {
    let Some(last) = records.len().checked_sub(1) else { return };
    let inside = last > 0;
    // RFC 1995 §4: differences show by a second SOA behind the first.
    let differences = last > 1 && records[1].rtype == RecordType::SOA;
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
        Fault::WrongSoa if inside => {
            records[last] = records[last].clone().with_serial(|serial| serial.wrapping_add(1));
        }
        Fault::NoClosingSoa | Fault::Endless if inside => drop(records.pop()),
        Fault::BehindEnd if inside => {
            let behind = below(b"behind", apex);
            records.push(Rr::new(behind, RecordType::A, TTL, &[192, 0, 2, 251]));
        }
        Fault::InnerSoa if inside => {
            records.insert(last, Rr { owner: below(b"inner", apex), ..records[0].clone() });
        }
        Fault::AbsentDelete if differences => {
            let absent = below(b"absent", apex);
            records.insert(2, Rr::new(absent, RecordType::A, TTL, &[192, 0, 2, 254]));
        }
        Fault::BrokenChain if differences => {
            records[1] = records[1].clone().with_serial(|serial| serial.wrapping_sub(1));
        }
        _ => {}
    }
}

/// Records that should not be there.
fn content(records: &mut Vec<Rr>, apex: &Name, fault: Fault) {
    let Some(last) = records.len().checked_sub(1) else { return };
    let (inside, middle) = (last > 0, records.len() / 2);
    let mut more = |label: &str, rtype: RecordType, rdata: &[u8]| {
        let rr = Rr::new(below(label.as_bytes(), apex), rtype, TTL, rdata);
        records.insert(records.len() - 1, rr);
    };
    match fault {
        Fault::BadClass => records[middle].class = CLASS_CH,
        Fault::MetaType if inside => more("meta", RecordType::ANY, &[192, 0, 2, 252]),
        Fault::OfType(rtype) if inside => more("meta", RecordType(rtype), &[192, 0, 2, 252]),
        Fault::BadRdata if inside => more("short", RecordType::A, &[192, 0, 2]),
        Fault::OutOfZone if inside => {
            records.insert(last, Rr::new(foreign(), RecordType::A, TTL, &[192, 0, 2, 253]));
        }
        Fault::Twice if inside => {
            *records = records
                .iter()
                .flat_map(|rr| {
                    let times = if rr.rtype == RecordType::SOA { 1 } else { 2 };
                    std::iter::repeat_n(rr.clone(), times)
                })
                .collect();
        }
        Fault::Large(octets) if inside => more("large", UNKNOWN_TYPE, &vec![7; octets.into()]),
        Fault::Rrset(count) if inside => {
            for n in 0..count {
                let [high, low] = n.to_be_bytes();
                more("rrset", RecordType::A, &[10, 0, high, low]);
            }
        }
        Fault::Types(count) if inside => {
            for n in 0..count {
                more("types", RecordType(UNKNOWN_TYPE.0 - n), &[7]);
            }
        }
        Fault::Names(count) if inside => {
            for n in 0..count {
                more(&format!("n{n}"), RecordType::A, &[192, 0, 2, 250]);
            }
        }
        Fault::Bulk(count) if inside => {
            for n in 0..count {
                more(&format!("bulk{n}"), UNKNOWN_TYPE, &[7; 200]);
            }
        }
        _ => {}
    }
}
