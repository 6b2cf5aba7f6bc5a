//! The messages of a transfer and the SOAs that hold it together (RFC 5936 §2.2). What breaks a full transfer refuses the
//! version; what breaks differences leads to the full transfer, which may be in order.

use secondo_wire::{Reason, flags};

use super::{Entry, Expect, Scene, entry};
use crate::fault::{At, Fault};
use crate::script::Kind;

/// Lies in both forms: the reason of AXFR. In IXFR it is `ixfr-malformed`, and AXFR follows.
const MALFORMED: &[(&str, Fault, Reason)] = &[
    ("has another ID in the first message", Fault::IdAt(At::First), Reason::BadAnswer),
    ("has another ID in the middle", Fault::IdAt(At::Middle), Reason::BadAnswer),
    ("has another ID in the last message", Fault::IdAt(At::Last), Reason::BadAnswer),
    ("answers about another name", Fault::WrongQuestion, Reason::BadAnswer),
    ("answers about another type", Fault::QuestionType(1), Reason::BadAnswer),
    ("answers about another class", Fault::QuestionClass(3), Reason::BadAnswer),
    ("answers without the question", Fault::NoQuestion, Reason::BadAnswer),
    ("answers with two questions", Fault::TwoQuestions, Reason::BadAnswer),
    ("repeats another question later", Fault::OtherQuestionLater, Reason::BadAnswer),
    ("sends a question for an answer (QR clear)", clear(At::First, flags::QR), Reason::BadAnswer),
    ("sends a question in the middle (QR clear)", clear(At::Middle, flags::QR), Reason::BadAnswer),
    ("sends a question last (QR clear)", clear(At::Last, flags::QR), Reason::BadAnswer),
    ("has opcode NOTIFY in the middle", set(At::Middle, 4 << 11), Reason::BadAnswer),
    ("truncates without a record", Fault::Truncate, Reason::BadAnswer),
    ("sets TC in the first message", set(At::First, flags::TC), Reason::BadAnswer),
    ("sets TC in the middle", set(At::Middle, flags::TC), Reason::BadAnswer),
    ("sets TC in the last message", set(At::Last, flags::TC), Reason::BadAnswer),
    ("begins with another record", Fault::NoOpeningSoa, Reason::SoaMissing),
    ("has the SOA of another owner", Fault::ForeignSoa, Reason::SoaForeign),
    ("has a SOA below the apex", Fault::InnerSoa, Reason::SoaForeign),
    ("has a record of class CH", Fault::BadClass, Reason::WrongClass),
    ("counts a record more than there is", Fault::CountTooHigh, Reason::MalformedMessage),
    ("leaves octets behind the last record", Fault::Trailing, Reason::MalformedMessage),
    ("cuts a message", Fault::CutMessage, Reason::MalformedMessage),
    ("compresses a name into a loop", Fault::PointerLoop, Reason::MalformedMessage),
    ("compresses a name forward", Fault::PointerForward, Reason::MalformedMessage),
    ("compresses a name from beyond the message", Fault::PointerFar, Reason::MalformedMessage),
    ("uses a label of a kind that does not exist", Fault::BadLabel, Reason::MalformedMessage),
    ("sends garbage", Fault::Garbage, Reason::BadAnswer),
    ("has two OPT records", Fault::TwoOpts, Reason::MalformedMessage),
];

/// What only a zone sent whole can have.
const WHOLE: &[(&str, Fault, Reason)] = &[
    ("closes with another serial", Fault::WrongSoa, Reason::SoaMismatch),
    ("closes with the serial and other data", Fault::Says("9 @ ns 9~"), Reason::SoaMismatch),
    ("has a SOA in the middle", Fault::Says("9 @ ns 8 h3 9"), Reason::SoaMismatch),
    ("closes twice", Fault::Says("9 @ ns h3 9 9"), Reason::SoaMisplaced),
    ("sends a single SOA", Fault::Says("9"), Reason::Timeout),
    ("has an expired copy itself (EXPIRE 0)", Fault::Expire(0), Reason::PrimaryExpiring),
    ("begins with a message without a record", Fault::EmptyFirst, Reason::SoaMissing),
    ("sends 101 messages without a record", Fault::EmptyMessages(101), Reason::LimitEmptyMessages),
];

/// What is in order, in both forms.
const ODD: &[(&str, &[Fault])] = &[
    ("leaves AA clear", &[Fault::NotAuthoritative]),
    ("sets RA, RD, AD, CD and Z", &[set(At::Every, 0x01F0)]),
    ("repeats the question in each message", &[Fault::QuestionAgain]),
    ("sends one record a message", &[Fault::OneEach]),
    ("sends all in one message", &[Fault::LargeMessages]),
    ("sends 100 messages without a record", &[Fault::EmptyMessages(100)]),
];

/// Error codes, and what they mean for AXFR and for IXFR.
const RCODES: &[(&str, u8, Reason, Reason)] = &[
    ("FORMERR", 1, Reason::FormatError, Reason::IxfrFormatError),
    ("SERVFAIL", 2, Reason::ServerFailure, Reason::IxfrServerFailure),
    ("NXDOMAIN", 3, Reason::NoSuchZone, Reason::IxfrServerFailure),
    ("NOTIMP", 4, Reason::NotImplemented, Reason::IxfrNotImplemented),
    ("REFUSED", 5, Reason::Refused, Reason::Refused),
    ("YXDOMAIN", 6, Reason::OtherRcode, Reason::IxfrServerFailure),
    ("NOTAUTH", 9, Reason::NotAuth, Reason::NotAuth),
    ("RCODE 15", 15, Reason::OtherRcode, Reason::IxfrServerFailure),
];

const fn set(at: At, set: u16) -> Fault {
    Fault::Flags { at, set, clear: 0 }
}

const fn clear(at: At, clear: u16) -> Fault {
    Fault::Flags { at, set: 0, clear }
}

/// The entries of this chapter.
pub fn entries() -> Vec<Entry> {
    let mut all = Vec::new();
    let mut add = |form: Kind, name: &str, faults: &[Fault], expect: Expect| {
        let (form_name, scene) = match form {
            Kind::Axfr => ("AXFR", Scene { ixfr: false, ..Scene::default() }),
            _ => ("IXFR", Scene::default()),
        };
        all.push(entry("stream", &format!("{form_name}: {name}"), scene, form, faults, expect));
    };
    for (name, fault, reason) in MALFORMED {
        add(Kind::Axfr, name, &[*fault], Expect::fails("soa axfr", *reason));
        // Behind a missing opening SOA, the SOA that differences start from says that we are up to date.
        if *fault != Fault::NoOpeningSoa {
            let kept = matches!(fault, Fault::IdAt(_)).then_some("soa ixfr ixfr axfr");
            let expect = Expect { kept, ..Expect::succeeds("soa ixfr axfr", &[Reason::IxfrMalformed]) };
            add(Kind::Ixfr, name, &[*fault], expect);
        }
    }
    let behind = [Fault::BehindEnd, Fault::LargeMessages];
    let name = "sends a record behind the closing SOA";
    add(Kind::Axfr, name, &behind, Expect::fails("soa axfr", Reason::SoaMisplaced));
    add(Kind::Ixfr, name, &behind, Expect::succeeds("soa ixfr axfr", &[Reason::IxfrMalformed]));
    for (name, fault, reason) in WHOLE {
        add(Kind::Axfr, name, &[*fault], Expect::fails("soa axfr", *reason));
    }
    for (name, faults) in ODD {
        add(Kind::Axfr, name, faults, Expect::succeeds("soa axfr", &[]));
        add(Kind::Ixfr, name, faults, Expect::succeeds("soa ixfr", &[]));
    }
    for (name, rcode, axfr, ixfr) in RCODES {
        let edns = matches!(rcode, 1 | 4);
        let asks = if edns { "soa axfr axfr-edns" } else { "soa axfr" };
        add(Kind::Axfr, &format!("answers {name}"), &[Fault::Rcode(*rcode)], Expect::fails(asks, *axfr));
        let later = Fault::RcodeAt(At::Last, *rcode);
        let told = format!("answers {name} in the last message");
        add(Kind::Axfr, &told, &[later], Expect::fails("soa axfr", *axfr));
        let refused = matches!(ixfr, Reason::Refused | Reason::NotAuth);
        let expect = |asks, failing| match refused {
            true => Expect::fails(failing, *ixfr),
            false => Expect::succeeds(asks, &[*ixfr]),
        };
        let asks = if edns { "soa ixfr ixfr-edns axfr" } else { "soa ixfr axfr" };
        add(Kind::Ixfr, &format!("answers {name}"), &[Fault::Rcode(*rcode)], expect(asks, "soa ixfr"));
        add(Kind::Ixfr, &told, &[later], expect("soa ixfr axfr", "soa ixfr"));
    }
    for (name, rcode) in [("FORMERR", 1), ("NOTIMP", 4), ("BADVERS", 16)] {
        let name = format!("answers {name} to EDNS");
        let fault = [Fault::WithEdns(rcode)];
        add(Kind::Axfr, &name, &fault, Expect::succeeds("soa axfr axfr-edns", &[]));
        add(Kind::Ixfr, &name, &fault, Expect::succeeds("soa ixfr ixfr-edns", &[]));
    }
    all
}
