//! What holds for every message of a primary, whatever it carries: framing, identity, seal, question, EDNS.

use secondo_tsig::{self as tsig, ClientStream, SealError};
use secondo_wire::{
    CLASS_IN, Header, Malformed, Message, Name, Opcode, Rcode, Reason, Record, RecordType, edns::Opt, flags,
};

use crate::Fault;
use crate::fault::rcode_text;

/// Reads the header; a message shorter than that is none.
pub(crate) fn header(octets: &[u8]) -> Result<Header, Fault> {
    Header::read(octets).ok_or_else(|| {
        Fault::new(
            Reason::MalformedMessage,
            format!("a message of {} octets (RFC 1035 §4.1.1)", octets.len()),
        )
    })
}

/// Whether the message answers ours: ID, QR, opcode. The only checks that come before the seal.
pub(crate) fn identity(header: Header, id: u16) -> Result<(), Fault> {
    let wrong = |what: &str| Err(Fault::new(Reason::BadAnswer, format!("{what} (RFC 5936 §2.2.1)")));
    if header.id != id {
        return wrong("another message ID");
    }
    if !header.has(flags::QR) {
        return wrong("QR is clear: a question, no answer");
    }
    if header.opcode() != Opcode::QUERY {
        return wrong("another opcode");
    }
    Ok(())
}

/// A message whose seal, if one was asked for, holds so far.
pub(crate) struct Opened<'m> {
    /// The message without its TSIG record.
    pub(crate) message: Message<'m>,
    /// The primary's clock minus ours, seconds.
    pub(crate) skew: Option<i64>,
}

/// A message whose seal does not hold.
pub(crate) struct Unsealed {
    pub(crate) fault: Fault,
    /// Whether a MAC proved that the primary itself said so.
    pub(crate) proven: bool,
}

impl Unsealed {
    /// What an unsigned answer says is not believed; but an operator who reads NOTAUTH need not look for a lost key.
    fn new(error: SealError, octets: &[u8]) -> Unsealed {
        let (proven, mut fault) = (error.proven, Fault::from(error));
        let rcode = Header::read(octets).map_or(Rcode::NOERROR, Header::rcode);
        if fault.reason == Reason::TsigMissing && rcode != Rcode::NOERROR {
            fault.detail =
                format!("{}; the answer, not to be believed, says {}", fault.detail, rcode_text(rcode));
        }
        Unsealed { proven, fault }
    }
}

impl From<SealError> for Unsealed {
    fn from(error: SealError) -> Unsealed {
        Unsealed { proven: error.proven, fault: error.into() }
    }
}

impl From<Malformed> for Unsealed {
    fn from(error: Malformed) -> Unsealed {
        Unsealed { fault: error.into(), proven: false }
    }
}

/// Verifies the seal and takes it off. With a key each message goes through here in its order, once.
pub(crate) fn open<'m>(
    octets: &'m [u8],
    seal: Option<&mut ClientStream>,
    unix_now: u64,
) -> Result<Opened<'m>, Unsealed> {
    let Some(stream) = seal else {
        let message = Message::new(octets)?;
        if message.header.counts[3] > 0 {
            tsig::reject_unexpected(octets)?;
        }
        return Ok(Opened { message, skew: None });
    };
    let verified = stream.verify(octets, unix_now).map_err(|error| Unsealed::new(error, octets))?;
    let mut message = Message::new(octets.get(..verified.len).unwrap_or(octets))?;
    if verified.signed {
        message.header.counts[3] = message.header.counts[3].saturating_sub(1);
    }
    Ok(Opened { message, skew: verified.skew })
}

/// Checks the question against ours and tells where the records begin. `required`: it must be there.
pub(crate) fn question(
    message: &Message<'_>,
    zone: &Name,
    rtype: RecordType,
    required: bool,
) -> Result<usize, Fault> {
    let wrong = |what: String| Err(Fault::new(Reason::BadAnswer, format!("{what} (RFC 5936 §2.2.2)")));
    match message.header.counts[0] {
        0 if required => return wrong("the first message has no question".into()),
        0 => return Ok(Header::SIZE),
        1 => {}
        n => return wrong(format!("{n} questions in a message")),
    }
    let Some(question) = message.question()? else { return Ok(Header::SIZE) };
    // RFC 4343 §3: the case of the name is not significant.
    if question.name.as_ref() != zone.as_ref() || question.rtype != rtype || question.class != CLASS_IN {
        return wrong(format!(
            "the answer is to another question: {} {}",
            question.name.as_ref(),
            question.rtype
        ));
    }
    Ok(question.end)
}

/// What the additional section of a message says about it.
#[derive(Default)]
pub(crate) struct Additional {
    /// Upper bits of the response code, in place.
    extended_rcode: u16,
    /// The EXPIRE option (RFC 7314 §3), seconds.
    pub(crate) expire: Option<u32>,
    opts: u8,
}

impl Additional {
    /// Looks at one record of the section: only OPT matters.
    pub(crate) fn record(&mut self, message: &Message<'_>, record: &Record) -> Result<(), Fault> {
        if record.rtype != RecordType::OPT {
            return Ok(());
        }
        // RFC 6891 §6.1.1: one OPT at most.
        self.opts = self.opts.saturating_add(1);
        let rdata = message.octets().get(record.rdata..record.end).unwrap_or_default();
        match Opt::new(record.class, record.ttl, rdata) {
            Some(opt) if self.opts == 1 => {
                self.extended_rcode = u16::from(opt.extended_rcode) << 4;
                self.expire = opt.expire();
                Ok(())
            }
            _ => Err(Fault::new(
                Reason::MalformedMessage,
                "two OPT records, or a broken one (RFC 6891 §6.1.1)",
            )),
        }
    }

    /// The whole response code (RFC 6891 §6.1.3).
    pub(crate) fn rcode(&self, header: Header) -> Rcode {
        Rcode(self.extended_rcode | header.rcode().0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::{ask, axfr, example, hear, reason};
    use crate::testing::{self, ANSWER, ID, NOW, message, stream, with_opt};
    use crate::{Arrived, Request, Session, Want};
    use secondo_tsig::{Algorithm, Key};
    use secondo_zone::Limits;

    const AXFR: RecordType = RecordType::AXFR;
    const IXFR: RecordType = RecordType::IXFR;

    #[test]
    fn every_message_must_carry_our_id_be_an_answer_and_have_no_error() {
        let (_, records) = example();
        let messages = stream(AXFR, &records, 2);
        for at in [0, 1, messages.len() - 1] {
            for (octet, value, expected) in [
                (0, 0xFF, Reason::BadAnswer),
                (2, 0x04, Reason::BadAnswer),
                (2, 0xA4, Reason::BadAnswer),
                (2, 0x86, Reason::BadAnswer),
                (3, 2, Reason::ServerFailure),
                (3, 5, Reason::Refused),
            ] {
                let mut messages = messages.clone();
                messages[at][octet] = value;
                assert_eq!(reason(&messages), expected, "message {at}, octet {octet}");
            }
        }
    }

    #[test]
    fn the_question_must_be_ours_and_stand_in_the_first_message() {
        let (_, records) = example();
        let first = |question| vec![message(ANSWER, question, &records)];
        assert!(axfr(&first(Some(AXFR))).is_ok());
        assert_eq!(reason(&first(None)), Reason::BadAnswer);
        assert_eq!(reason(&first(Some(IXFR))), Reason::BadAnswer);
        assert_eq!(reason(&first(Some(RecordType::SOA))), Reason::BadAnswer);
        let mut shouted = first(Some(AXFR));
        shouted[0][13] = b'E';
        assert!(axfr(&shouted).is_ok());
        shouted[0][13] = b'x';
        assert_eq!(reason(&shouted), Reason::BadAnswer);
        let later = |question| {
            vec![message(ANSWER, Some(AXFR), &records[..2]), message(ANSWER, question, &records[2..])]
        };
        assert!(axfr(&later(Some(AXFR))).is_ok());
        assert_eq!(reason(&later(Some(RecordType::A))), Reason::BadAnswer);
    }

    #[test]
    fn octets_behind_the_last_record_and_short_messages_are_refused() {
        let (_, records) = example();
        let whole = message(ANSWER, Some(AXFR), &records);
        assert_eq!(reason(&[[&whole[..], &[0]].concat()]), Reason::MalformedMessage);
        for length in 0..whole.len() {
            let cut = vec![whole[..length].to_vec()];
            assert!(axfr(&cut).is_err(), "{length}");
        }
    }

    #[test]
    fn an_extended_error_code_is_seen_and_two_opts_are_refused() {
        let badvers = with_opt(message(ANSWER, Some(AXFR), &[]), 1, &[]);
        let fault = axfr(&[badvers]).unwrap_err();
        assert_eq!((fault.reason, fault.without_edns), (Reason::OtherRcode, true));
        let (_, records) = example();
        let twice = with_opt(with_opt(message(ANSWER, Some(AXFR), &records), 0, &[]), 0, &[]);
        assert_eq!(reason(&[twice]), Reason::MalformedMessage);
    }

    #[test]
    fn sealed_streams_with_unsigned_runs_arrive_when_their_last_message_is_signed() {
        let (zone, records) = example();
        let key = testing::key();
        let messages = stream(AXFR, &records, 1);
        let last = messages.len() - 1;
        let hear = |signed: &dyn Fn(usize) -> bool| {
            let (session, request) = ask(Want::Axfr, None, Some(&key));
            hear(session, &testing::sealed(&request, &messages, signed))
        };
        for signed in
            [&(|_| true) as &dyn Fn(usize) -> bool, &|i| i == 0 || i == last, &|i| i == last || i % 2 == 0]
        {
            let Ok(Arrived::Candidate(candidate)) = hear(signed) else { panic!() };
            assert_eq!(testing::content(candidate.zone()), testing::content(&zone));
            assert_eq!(candidate.skew(), Some(0));
        }
        for signed in [&(|i| i != last) as &dyn Fn(usize) -> bool, &|i| i == 0, &|_| false] {
            assert_eq!(hear(signed).map(|_| ()).unwrap_err().reason, Reason::TsigMissing);
        }
    }

    #[test]
    fn a_broken_or_foreign_seal_comes_before_all_meaning() {
        let (_, records) = example();
        let key = testing::key();
        let mut refusal = message(ANSWER | 5, Some(AXFR), &[]);
        let (session, request) = ask(Want::Axfr, None, Some(&key));
        // The seal holds: the refusal is the primary's own.
        let signed = testing::sealed(&request, &[refusal.clone()], |_| true);
        assert_eq!(hear(session, &signed).map(|_| ()).unwrap_err().reason, Reason::Refused);
        // It does not: nobody knows whose it is.
        refusal[11] = 0;
        let session = ask(Want::Axfr, None, Some(&key)).0;
        assert_eq!(hear(session, &[refusal]).map(|_| ()).unwrap_err().reason, Reason::TsigMissing);
        let other = Key::new(testing::name("transfer-key."), Algorithm::HmacSha256, &[6; 32]).unwrap();
        let (session, _) = ask(Want::Axfr, None, Some(&other));
        let messages = testing::sealed(&request, &stream(AXFR, &records, 9), |_| true);
        assert_eq!(hear(session, &messages).map(|_| ()).unwrap_err().reason, Reason::TsigBadSig);
        let session = ask(Want::Axfr, None, None).0;
        assert_eq!(hear(session, &messages).map(|_| ()).unwrap_err().reason, Reason::TsigUnexpected);
        let (mut session, request) = ask(Want::Axfr, None, Some(&key));
        let messages = testing::sealed(&request, &stream(AXFR, &records, 9), |_| true);
        let fault = session.receive(&messages[0], NOW + 1000).map(|_| ()).unwrap_err();
        assert_eq!((fault.reason, fault.skew), (Reason::TsigBadTime, Some(-1000)));
    }

    #[test]
    fn an_error_in_the_middle_keeps_the_clock_that_was_seen_and_does_not_blame_edns() {
        let (_, records) = example();
        let key = testing::key();
        let (mut session, request) = ask(Want::Axfr, None, Some(&key));
        let messages = [message(ANSWER, Some(AXFR), &records[..2]), message(ANSWER | 1, None, &[])];
        let messages = testing::sealed(&request, &messages, |i| i == 0);
        assert!(matches!(session.receive(&messages[0], NOW + 7), Ok(crate::Step::More)));
        let fault = session.receive(&messages[1], NOW + 7).map(|_| ()).unwrap_err();
        assert_eq!((fault.reason, fault.skew, fault.without_edns), (Reason::FormatError, Some(-7), false));
    }

    #[test]
    fn an_unsigned_refusal_of_edns_or_ixfr_is_followed_up_under_the_same_key_only() {
        let (key, current) = (testing::key(), testing::zone(1, &[]));
        let answer = |rcode: u16| [message(flags::QR | rcode, None, &[])];
        let session = ask(Want::Ixfr, Some(&current), Some(&key)).0;
        let fault = hear(session, &answer(4)).map(|_| ()).unwrap_err();
        assert_eq!((fault.reason, fault.without_edns), (Reason::TsigMissing, true));
        let session = Session::new(Request {
            zone: &testing::name("example."),
            want: Want::Ixfr,
            current: Some(&current),
            secret: &testing::secret(),
            limits: Limits::default(),
            key: Some(&key),
            id: ID,
            edns: false,
            unix_now: NOW,
            forced: false,
        });
        let fault = hear(session.0, &answer(4)).map(|_| ()).unwrap_err();
        assert_eq!((fault.reason, fault.without_edns), (Reason::IxfrServerFailure, false));
    }
}
