//! The answer to the SOA question (RFC 1034 §4.3.5): whatever is no clear word of an authority is none, and neither
//! renews the zone nor starts a transfer.

use secondo_wire::{Reason, flags};

use super::{Entry, Expect, Scene, entry};
use crate::fault::{At, Fault};
use crate::script::Kind::{self, Soa, SoaTcp, SoaUdp};

/// Asked over UDP, and over TCP when that does not tell; the same lie over both: the old version stays.
const LIES: &[(&str, Fault, &str, Reason)] = &[
    ("answers with another ID", Fault::WrongId, TCP, Reason::BadAnswer),
    ("answers about another name", Fault::WrongQuestion, TCP, Reason::BadAnswer),
    ("answers about another type", Fault::QuestionType(1), TCP, Reason::BadAnswer),
    ("answers about another class", Fault::QuestionClass(3), TCP, Reason::BadAnswer),
    ("answers without the question", Fault::NoQuestion, TCP, Reason::BadAnswer),
    ("answers with two questions", Fault::TwoQuestions, TCP, Reason::BadAnswer),
    ("sends a question for an answer (QR clear)", cleared(flags::QR), TCP, Reason::BadAnswer),
    ("answers with opcode NOTIFY", set(4 << 11), TCP, Reason::BadAnswer),
    ("is not authoritative (AA clear)", Fault::NotAuthoritative, UDP, Reason::NotAuthoritative),
    ("truncates over TCP too", Fault::Truncate, TCP, Reason::BadAnswer),
    ("answers FORMERR", Fault::Rcode(1), "soa soa-edns", Reason::FormatError),
    ("answers SERVFAIL", Fault::Rcode(2), UDP, Reason::ServerFailure),
    ("answers NXDOMAIN", Fault::Rcode(3), UDP, Reason::NoSuchZone),
    ("answers NOTIMP", Fault::Rcode(4), "soa soa-edns", Reason::NotImplemented),
    ("answers REFUSED", Fault::Rcode(5), UDP, Reason::Refused),
    ("answers YXDOMAIN", Fault::Rcode(6), UDP, Reason::OtherRcode),
    ("answers YXRRSET", Fault::Rcode(7), UDP, Reason::OtherRcode),
    ("answers NXRRSET", Fault::Rcode(8), UDP, Reason::OtherRcode),
    ("answers NOTAUTH", Fault::Rcode(9), UDP, Reason::NotAuth),
    ("answers NOTZONE", Fault::Rcode(10), UDP, Reason::OtherRcode),
    ("answers DSOTYPENI", Fault::Rcode(11), UDP, Reason::OtherRcode),
    ("answers RCODE 15", Fault::Rcode(15), UDP, Reason::OtherRcode),
    ("answers BADVERS, with EDNS and without", Fault::ExtendedRcode(16), "soa soa-edns", Reason::OtherRcode),
    ("answers BADCOOKIE over TCP too", Fault::ExtendedRcode(23), TCP, Reason::OtherRcode),
    ("says nothing", Fault::Silence, TCP, Reason::Timeout),
    ("has no SOA but says so (NODATA)", Fault::NoData, UDP, Reason::NoSuchZone),
    ("refers to another server", Fault::Referral, UDP, Reason::NotAuthoritative),
    ("has a CNAME there", Fault::Alias, UDP, Reason::BadAnswer),
    ("answers with the parent's SOA", Fault::ParentSoa, UDP, Reason::BadAnswer),
    ("shows the parent's SOA as authority", Fault::ParentAuthority, UDP, Reason::NoSuchZone),
    ("answers with two SOAs", Fault::TwoSoas, UDP, Reason::BadAnswer),
    ("answers with the SOA of another owner", Fault::ForeignSoa, UDP, Reason::BadAnswer),
    ("answers in class CH", Fault::BadClass, UDP, Reason::BadAnswer),
    ("counts a record more than there is", Fault::CountTooHigh, TCP, Reason::MalformedMessage),
    ("leaves octets behind the last record", Fault::Trailing, TCP, Reason::MalformedMessage),
    ("cuts its message", Fault::CutMessage, TCP, Reason::MalformedMessage),
    ("compresses a name into a loop", Fault::PointerLoop, TCP, Reason::MalformedMessage),
    ("compresses a name forward", Fault::PointerForward, TCP, Reason::MalformedMessage),
    ("compresses a name from beyond the message", Fault::PointerFar, TCP, Reason::MalformedMessage),
    ("uses a label of a kind that does not exist", Fault::BadLabel, TCP, Reason::MalformedMessage),
    ("sends garbage", Fault::Garbage, TCP, Reason::BadAnswer),
    ("has two OPT records", Fault::TwoOpts, TCP, Reason::MalformedMessage),
    ("has an expired copy itself (EXPIRE 0)", Fault::Expire(0), UDP, Reason::PrimaryExpiring),
    ("has a copy that expires this second (EXPIRE 1)", Fault::Expire(1), UDP, Reason::PrimaryExpiring),
];

/// What looks odd and is in order: the round goes on to the transfer.
const ODD: &[(&str, Kind, &[Fault], &str)] = &[
    ("truncates over UDP", SoaUdp, &[Fault::Truncate], "soa soa/tcp ixfr"),
    ("says nothing over UDP", SoaUdp, &[Fault::Silence], "soa soa/tcp ixfr"),
    ("lets two strangers answer before it", SoaUdp, &[Fault::Strangers(2)], "soa ixfr"),
    ("lets three strangers answer before it", SoaUdp, &[Fault::Strangers(3)], "soa soa/tcp ixfr"),
    ("is beaten by datagrams from another port", SoaUdp, &[Fault::Elsewhere(5)], "soa ixfr"),
    ("answers FORMERR to EDNS", Soa, &[Fault::WithEdns(1)], "soa soa-edns ixfr-edns"),
    ("answers NOTIMP to EDNS", Soa, &[Fault::WithEdns(4)], "soa soa-edns ixfr-edns"),
    ("answers BADVERS to EDNS", Soa, &[Fault::WithEdns(16)], "soa soa-edns ixfr-edns"),
    ("wants a cookie over UDP (BADCOOKIE)", SoaUdp, &[Fault::ExtendedRcode(23)], "soa soa/tcp ixfr"),
    ("gives a cookie, another one each time", Kind::Any, &[Fault::Cookie], "soa ixfr"),
    ("gives an EXPIRE of three octets", Kind::Any, &[Fault::ExpireLength(3)], "soa ixfr"),
    ("gives an EXPIRE without octets", Kind::Any, &[Fault::ExpireLength(0)], "soa ixfr"),
    ("sets RA, RD, AD, CD and Z", Kind::Any, &[set(0x01F0)], "soa ixfr"),
    ("answers twice", SoaUdp, &[Fault::AnswerAgain], "soa ixfr"),
];

/// Lies over TCP, where UDP told nothing.
const OVER_TCP: &[(&str, Fault, Reason)] = &[
    ("refuses", Fault::Rcode(5), Reason::Refused),
    ("fails", Fault::Rcode(2), Reason::ServerFailure),
    ("is not authoritative", Fault::NotAuthoritative, Reason::NotAuthoritative),
    ("says nothing", Fault::Silence, Reason::Timeout),
    ("sends an octet a second", Fault::Drip(std::time::Duration::from_secs(1)), Reason::Timeout),
    ("stops in the middle", Fault::Stall(20), Reason::Timeout),
    ("closes at once", Fault::CloseAfter(0), Reason::ConnectionReset),
    ("closes inside the length", Fault::CloseAfter(1), Reason::ConnectionReset),
    ("closes behind the length", Fault::CloseAfter(2), Reason::ConnectionReset),
    ("closes inside the header", Fault::CloseAfter(9), Reason::ConnectionReset),
    ("closes inside the message", Fault::CloseAfter(30), Reason::ConnectionReset),
    ("resets the connection", Fault::Reset(30), Reason::ConnectionReset),
    ("sends a frame without octets", Fault::Frame(At::First, 0), Reason::MalformedMessage),
    ("sends a frame of eleven octets", Fault::Frame(At::First, 11), Reason::MalformedMessage),
    ("cuts its message", Fault::CutMessage, Reason::MalformedMessage),
];

const UDP: &str = "soa";
const TCP: &str = "soa soa/tcp";

const fn set(set: u16) -> Fault {
    Fault::Flags { at: At::Every, set, clear: 0 }
}

const fn cleared(clear: u16) -> Fault {
    Fault::Flags { at: At::Every, set: 0, clear }
}

/// The entries of this chapter.
pub fn entries() -> Vec<Entry> {
    let new = |name: &str, kind, faults: &[Fault], expect| {
        entry("probe", name, Scene::default(), kind, faults, expect)
    };
    let lies = LIES
        .iter()
        .map(|(name, fault, asks, reason)| new(name, Soa, &[*fault], Expect::fails(asks, *reason)));
    let odd =
        ODD.iter().map(|(name, kind, faults, asks)| new(name, *kind, faults, Expect::succeeds(asks, &[])));
    let over_tcp = OVER_TCP.iter().map(|(name, fault, reason)| {
        let name = format!("truncates over UDP and {name} over TCP");
        let mut entry = new(&name, SoaUdp, &[Fault::Truncate], Expect::fails(TCP, *reason));
        entry.script.push((SoaTcp, vec![*fault]));
        entry
    });
    lies.chain(odd).chain(over_tcp).collect()
}
