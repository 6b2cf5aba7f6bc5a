//! The lies that a primary can tell: one rule broken each, all others kept.

use std::time::Duration;

/// Which messages of an answer; the only message of a short one is its first, and also its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum At {
    First,
    /// One with others before and behind it; in an answer of one or two messages there is none.
    Middle,
    Last,
    Every,
}

impl At {
    /// Whether it is the message at this place among so many.
    pub(crate) fn covers(self, index: usize, count: usize) -> bool {
        let middle = count / 2;
        match self {
            At::First => index == 0,
            At::Middle => count > 2 && index == middle,
            At::Last => index + 1 == count,
            At::Every => true,
        }
    }
}

/// One rule broken. Where an answer has no place for it (a record behind the closing SOA of a SOA probe), the answer is
/// honest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No answer; a TCP connection stays open.
    Silence,
    /// TCP: the connection ends behind so many octets of the answer, lengths counted. UDP: no answer.
    CloseAfter(usize),
    /// TCP: the connection is reset behind so many octets. UDP: no answer.
    Reset(usize),
    /// TCP: nothing more comes behind so many octets, and the connection stays open. UDP: no answer.
    Stall(usize),
    /// TCP: one octet in each such time. UDP: no answer.
    Drip(Duration),
    /// TCP: the connection ends behind the answer, which is whole; no rule is broken (RFC 7766 §6.2.3).
    CloseEach,
    /// UDP: so many datagrams with another ID before the answer (RFC 5452 §9.1).
    Strangers(u8),
    /// UDP: so many datagrams from another port before the answer, with our ID (RFC 5452 §9.1).
    Elsewhere(u8),

    /// An error code and no records.
    Rcode(u8),
    /// The same in these messages alone: those before are honest.
    RcodeAt(At, u8),
    /// An error code of up to twelve bits whenever the question has EDNS; without it the answer is honest. Codes above
    /// 15 come in an OPT record, others without one (RFC 6891 §7).
    WithEdns(u16),
    /// An error code above 15 (RFC 6891 §6.1.3).
    ExtendedRcode(u16),
    /// TC set and no records (RFC 2181 §9).
    Truncate,
    /// AA clear (RFC 1034 §4.3.5, RFC 5936 §2.2.1).
    NotAuthoritative,
    /// Bits of the flag word set and cleared.
    Flags {
        /// Where.
        at: At,
        /// Set.
        set: u16,
        /// Cleared.
        clear: u16,
    },
    /// Another message ID.
    WrongId,
    /// The same in these messages alone.
    IdAt(At),
    /// Another name in the question.
    WrongQuestion,
    /// Another type in the question.
    QuestionType(u16),
    /// Another class in the question.
    QuestionClass(u16),
    /// No question.
    NoQuestion,
    /// The question twice (RFC 9619).
    TwoQuestions,
    /// The question in each message; allowed (RFC 5936 §2.2.2).
    QuestionAgain,
    /// Another question from the second message on (RFC 5936 §2.2.2).
    OtherQuestionLater,
    /// Two OPT records (RFC 6891 §6.1.1).
    TwoOpts,
    /// A cookie that nobody asked for, another one each time (RFC 7873 §5.3).
    Cookie,
    /// The primary's own copy lives so many seconds (RFC 7314 §3).
    Expire(u32),
    /// An EXPIRE option of so many octets (RFC 7314 §3.2: four).
    ExpireLength(u8),

    /// The records of the answer are these: see [`crate::catalogue`] for the notation.
    Says(&'static str),
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
    /// A record of this type, which cannot be data (RFC 6895 §3.1).
    OfType(u16),
    /// An address of three octets (RFC 1035 §3.4.1).
    BadRdata,
    /// A record of a name outside the zone; to be dropped, not to be refused.
    OutOfZone,
    /// Each record but the SOAs twice; to be taken once (RFC 2181 §5).
    Twice,
    /// A record of so many octets of RDATA, of a type that nobody knows (RFC 3597 §3).
    Large(u16),
    /// An RRset of so many records.
    Rrset(u16),
    /// A name of so many types.
    Types(u16),
    /// So many more names with an address each.
    Names(u16),
    /// So many more names with 200 octets each.
    Bulk(u16),

    /// No record in the answer, and the SOA in the authority section (RFC 2308 §2.2).
    NoData,
    /// No record in the answer, and NS records in the authority section: a referral (RFC 1034 §4.3.2).
    Referral,
    /// A CNAME instead of the SOA.
    Alias,
    /// The SOA of the zone above, in the answer section.
    ParentSoa,
    /// The SOA of the zone above, in the authority section, as one who is authoritative for that alone says.
    ParentAuthority,
    /// Two SOA records.
    TwoSoas,

    /// One record a message; allowed (RFC 5936 §2.2).
    OneEach,
    /// Messages of up to 65,535 octets; allowed.
    LargeMessages,
    /// So many messages without a record before the last one.
    EmptyMessages(u16),
    /// A message without a record before the first one.
    EmptyFirst,
    /// A frame of so many octets (less than a header) at this place.
    Frame(At, u8),
    /// Messages of the zone again and again, without an end.
    Endless,
    /// Messages without records, without an end.
    EndlessEmpty,
    /// The whole answer once more behind its end.
    AnswerAgain,
    /// Octets that are no message behind the end of the answer.
    Junk,

    /// A count of one record more than there are (RFC 1035 §4.1.1).
    CountTooHigh,
    /// Octets behind the last record.
    Trailing,
    /// The last octets of the message are missing.
    CutMessage,
    /// The first record's owner is a compression pointer to itself (RFC 1035 §4.1.4).
    PointerLoop,
    /// The first record's owner is a compression pointer to what comes behind it (RFC 1035 §4.1.4).
    PointerForward,
    /// The first record's owner is a compression pointer beyond the message.
    PointerFar,
    /// The first record's owner begins with a label of a kind that does not exist (RFC 1035 §4.1.4).
    BadLabel,
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
    /// The seals of these messages are bent.
    Seal(At, Wax),
    /// Of so many messages one is sealed, and the last; up to 100 are allowed (RFC 8945 §5.3.1).
    SealEach(usize),
    /// A TSIG record though the question had none (RFC 8945 §5.3).
    Unasked,
}

/// What is wrong with a seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wax {
    /// There is none.
    Missing,
    /// Its MAC has one bit flipped (RFC 8945 §5.2.2).
    Flipped,
    /// Its MAC is that of the answer before (RFC 8945 §5.3).
    Replayed,
    /// It names another key (RFC 8945 §5.4).
    OtherKey,
    /// It names another algorithm (RFC 8945 §5.4).
    OtherAlgorithm,
    /// Its MAC has so many octets of its own (RFC 8945 §5.2.2.1).
    Length(u8),
    /// It was made so many seconds ahead of the clock (RFC 8945 §5.2.3).
    Time(i64),
    /// Its error field says this (RFC 8945 §5.3).
    Error(u16),
    /// It has no MAC, and this error: how a server says that it could not verify ours (RFC 8945 §5.3.2).
    Bare(u16),
    /// It names another Original ID (RFC 8945 §4.3.2).
    OriginalId,
    /// It stands there twice (RFC 8945 §5.2).
    Twice,
    /// A record stands behind it (RFC 8945 §5.2).
    Followed,
    /// Its class is IN (RFC 8945 §4.2).
    Class,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_messages_that_there_are() {
        let covered = |at: At, count| (0..count).filter(|&i| at.covers(i, count)).collect::<Vec<_>>();
        assert_eq!(covered(At::First, 5), [0]);
        assert_eq!(covered(At::Middle, 5), [2]);
        assert_eq!(covered(At::Middle, 2), [0_usize; 0]);
        assert_eq!(covered(At::Last, 5), [4]);
        assert_eq!((covered(At::First, 1), covered(At::Last, 1)), (vec![0], vec![0]));
        assert_eq!(covered(At::Every, 3), [0, 1, 2]);
    }
}
