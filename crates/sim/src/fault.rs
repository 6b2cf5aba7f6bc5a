//! The catalogue of lies, and the script that says when which is told.

use std::time::Duration;

use secondo_wire::RecordType;

/// One rule broken, all others kept. Where an answer has no place for it (a record behind the closing SOA of a SOA
/// probe), the answer is honest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No answer; a TCP connection stays open.
    Silence,
    /// TCP: the connection ends behind so many octets of the answer, lengths counted. UDP: no answer.
    CloseAfter(usize),
    /// TCP: one octet in each such time. UDP: no answer.
    Drip(Duration),

    /// An error code and no records.
    Rcode(u8),
    /// TC set and no records (RFC 2181 §9).
    Truncate,
    /// AA clear (RFC 1034 §4.3.5, RFC 5936 §2.2.1).
    NotAuthoritative,
    /// Another message ID.
    WrongId,
    /// Another name in the question.
    WrongQuestion,

    /// Each SOA has this serial.
    Serial(u32),
    /// The answer does not begin with the SOA (RFC 5936 §2.2).
    NoOpeningSoa,
    /// The opening and the closing SOA belong to another owner.
    ForeignSoa,
    /// A SOA stands at a name below the apex.
    InnerSoa,
    /// The closing SOA has another serial (RFC 5936 §2.2).
    WrongSoa,
    /// The stream ends, and with it the connection, before the closing SOA (RFC 5936 §2.2).
    NoClosingSoa,
    /// A record stands behind the closing SOA (RFC 5936 §2.2).
    BehindEnd,
    /// A record of class CH.
    BadClass,
    /// A record of type ANY (RFC 6895 §3.1).
    MetaType,
    /// An address of three octets (RFC 1035 §3.4.1).
    BadRdata,
    /// A record of a name outside the zone; to be dropped, not to be refused.
    OutOfZone,

    /// A count of one record more than there are (RFC 1035 §4.1.1).
    CountTooHigh,
    /// Octets behind the last record.
    Trailing,
    /// The last octets of the message are missing.
    CutMessage,
    /// The first record's owner is a compression pointer to itself (RFC 1035 §4.1.4).
    PointerLoop,
    /// Octets that are no message at all.
    Garbage,

    /// IXFR: deletes a record that does not exist (RFC 1995 §4).
    AbsentDelete,
    /// IXFR: the first difference starts at another serial (RFC 1995 §4).
    BrokenChain,
    /// IXFR: the answer has no records.
    Empty,

    /// The seal of the last message does not verify (RFC 8945 §5.3).
    BadSignature,
    /// No message is sealed (RFC 8945 §5.4).
    Unsigned,
    /// The last of several messages is not sealed (RFC 8945 §5.3.1).
    UnsignedEnd,
    /// The seals are made by a clock so many seconds ahead (RFC 8945 §5.2.3).
    Clock(i64),
}

/// What a rule of the script applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Soa,
    Axfr,
    Ixfr,
    /// Both kinds of transfer.
    Transfer,
    /// Every question.
    Any,
}

impl Kind {
    fn covers(self, rtype: RecordType) -> bool {
        match self {
            Kind::Soa => rtype == RecordType::SOA,
            Kind::Axfr => rtype == RecordType::AXFR,
            Kind::Ixfr => rtype == RecordType::IXFR,
            Kind::Transfer => Kind::Axfr.covers(rtype) || Kind::Ixfr.covers(rtype),
            Kind::Any => true,
        }
    }
}

#[derive(Clone, Debug)]
struct Rule {
    kind: Kind,
    fault: Fault,
    /// Answers left that it spoils; `None`: all to come.
    left: Option<u32>,
}

/// When which fault is told: of the rules that cover a question, the one given first.
#[derive(Clone, Debug, Default)]
pub struct Script(Vec<Rule>);

impl Script {
    /// No rule: honest.
    pub fn honest() -> Script {
        Script::default()
    }

    /// And this fault in each answer of the kind.
    pub fn always(mut self, kind: Kind, fault: Fault) -> Script {
        self.0.push(Rule { kind, fault, left: None });
        self
    }

    /// And this fault in the next `times` answers of the kind.
    pub fn times(mut self, kind: Kind, fault: Fault, times: u32) -> Script {
        self.0.push(Rule { kind, fault, left: Some(times) });
        self
    }

    /// The fault for the next answer to a question of this type; used up by asking.
    pub(crate) fn next(&mut self, rtype: RecordType) -> Option<Fault> {
        let rule = self.0.iter_mut().find(|rule| rule.kind.covers(rtype) && rule.left != Some(0))?;
        rule.left = rule.left.map(|left| left - 1);
        Some(rule.fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_covers_a_question_is_used_up_before_the_next() {
        let mut script = Script::honest()
            .times(Kind::Axfr, Fault::Silence, 2)
            .always(Kind::Transfer, Fault::Truncate)
            .always(Kind::Soa, Fault::WrongId);
        assert_eq!(script.next(RecordType::IXFR), Some(Fault::Truncate));
        assert_eq!(script.next(RecordType::AXFR), Some(Fault::Silence));
        assert_eq!(script.next(RecordType::AXFR), Some(Fault::Silence));
        assert_eq!(script.next(RecordType::AXFR), Some(Fault::Truncate));
        assert_eq!(script.next(RecordType::SOA), Some(Fault::WrongId));
        assert_eq!(script.next(RecordType::A), None);
    }
}
