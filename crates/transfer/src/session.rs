//! One request for a zone and the messages that answer it: AXFR (RFC 5936 §2) or IXFR (RFC 1995), over TCP or TLS.
//!
//! Of each message, in this order: framing and ID, the seal, flags and response code, question, records. Nothing is
//! final before the last message is verified: until then there is no [`Candidate`].

use secondo_tsig::ClientStream;
use secondo_wire::{Header, Name, Rcode, Reason, RecordType, Section, Serial, control, flags};
use secondo_zone::Spill;

use crate::candidate::Candidate;
use crate::decoder::{Decoder, Outcome};
use crate::envelope::{self, Additional};
use crate::fault::{Question, rcode_text};
use crate::reader::Reader;
use crate::request::seal;
use crate::{Arrived, Fault, Request, Step, Want};

/// Messages without a record that are tolerated in one transfer.
pub(crate) const MAX_EMPTY_MESSAGES: u32 = 100;

/// See the module. After an error or [`Step::Done`] it takes no more messages.
pub struct Session {
    zone: Name,
    question: RecordType,
    id: u16,
    edns: bool,
    stream: Option<ClientStream>,
    reader: Reader,
    decoder: Decoder,
    from: Option<Serial>,
    expire: Option<u32>,
    /// AA was set in every message.
    authoritative: bool,
    skew: Option<i64>,
    empty: u32,
    over: bool,
}

impl Session {
    /// Asks: the session, and the message to send. Over TCP its length goes before it in the same write (RFC 7766 §8).
    pub fn new(request: Request<'_>) -> (Session, Vec<u8>) {
        Session::ask(request, false)
    }

    /// The same for a connection that nobody can read: with EDNS the message is padded (RFC 7830 §4).
    pub fn padded(request: Request<'_>) -> (Session, Vec<u8>) {
        Session::ask(request, true)
    }

    fn ask(request: Request<'_>, padded: bool) -> (Session, Vec<u8>) {
        let asked = control::Request { id: request.id, edns: request.edns };
        // RFC 1995 §3: IXFR asks from a version that we have, never from an invented one.
        let base = request.current.filter(|_| request.want == Want::Ixfr && !request.forced);
        let (question, mut message) = match base {
            Some(base) => (RecordType::IXFR, control::ixfr_query(request.zone, base.serial(), asked)),
            None => (RecordType::AXFR, control::axfr_query(request.zone, asked)),
        };
        let stream = seal(&mut message, request.key, padded, request.unix_now);
        let decoder = Decoder::new(
            request.zone.clone(),
            request.secret.clone(),
            request.limits,
            request.current.cloned(),
            base.is_some(),
            request.forced,
        );
        let session = Session {
            zone: request.zone.clone(),
            question,
            id: request.id,
            edns: request.edns,
            stream,
            reader: Reader::new(),
            decoder,
            from: request.current.map(|zone| zone.serial()),
            expire: None,
            authoritative: true,
            skew: None,
            empty: 0,
            over: false,
        };
        (session, message)
    }

    /// Gives a place for the records of a large zone that comes whole and in no order, beyond `keep` octets of them in
    /// memory ([`secondo_zone::Builder::spill_to`]). Most sessions never use it: it should be made at the first octet.
    pub fn spill_to(&mut self, place: Box<dyn Spill>, keep: usize) {
        self.decoder.spill_to(place, keep);
    }

    /// Takes the next message of the connection that carries this ID.
    pub fn receive(&mut self, message: &[u8], unix_now: u64) -> Result<Step, Fault> {
        if self.over {
            return Err(Fault::new(Reason::Internal, "a message after the end of the session"));
        }
        self.decoder.tally.messages += 1;
        self.decoder.tally.bytes += message.len() as u64;
        let step = self.message(message, unix_now);
        self.over = !matches!(step, Ok(Step::More));
        step.map_err(|mut fault| {
            fault.skew = fault.skew.or(self.skew);
            if self.decoder.in_differences() { fault.within_differences() } else { fault }
        })
    }

    /// The connection ended, or fell silent: what that means for this answer. It is never its end (RFC 5936 §2.2).
    pub fn cut(self) -> Fault {
        Fault { skew: self.skew, ..self.decoder.cut() }
    }

    /// Records received so far, for progress.
    pub fn tally(&self) -> crate::Tally {
        self.decoder.tally
    }

    fn is_first(&self) -> bool {
        self.decoder.tally.messages == 1
    }

    fn asked(&self) -> Question {
        if self.question == RecordType::IXFR { Question::Ixfr } else { Question::Axfr }
    }

    fn message(&mut self, octets: &[u8], unix_now: u64) -> Result<Step, Fault> {
        let header = envelope::header(octets)?;
        envelope::identity(header, self.id)?;
        let opened = match envelope::open(octets, self.stream.as_mut(), unix_now) {
            Ok(opened) => opened,
            Err(unsealed) => return Err(self.unsealed(header, unsealed.fault)),
        };
        self.skew = opened.skew.or(self.skew);
        let message = opened.message;
        // RFC 5936 §2.2.1: TC is never set in a transfer.
        if header.has(flags::TC) {
            return Err(Fault::new(Reason::BadAnswer, "TC is set (RFC 5936 §2.2.1)"));
        }
        // RFC 5936 §2.2.1: an error code in any message ends the transfer.
        if header.rcode() != Rcode::NOERROR {
            return Err(self.refused(header.rcode()));
        }
        let start = envelope::question(&message, &self.zone, self.question, self.is_first())?;
        // RFC 5936 §2.2.1 wants AA set; Knot DNS leaves it clear. A version that comes whole is taken either way; that ours
        // is still the one has the worth of a probe only with AA, and who asked without a probe has to know.
        self.authoritative &= header.has(flags::AA);

        self.reader.turn();
        let mut additional = Additional::default();
        let mut records = message.records_from(start);
        let mut at = start;
        for record in records.by_ref() {
            let record = record?;
            match record.section {
                // After "up to date" the rest of the answer section is of no interest.
                Section::Answer if self.decoder.is_up_to_date() => {}
                Section::Answer => {
                    let clean = self.reader.read(message.octets(), &record)?;
                    self.decoder.take(clean, record.end - at)?;
                }
                // RFC 5936 §2.2.4: the authority section is empty; whatever is in it is never loaded.
                Section::Authority => {}
                // RFC 5936 §2.2.5: OPT and TSIG, nothing else.
                Section::Additional => additional.record(&message, &record)?,
            }
            at = record.end;
        }
        records.finish()?;
        let rcode = additional.rcode(header);
        if rcode != Rcode::NOERROR {
            return Err(self.refused(rcode));
        }
        if header.counts[1] == 0 {
            self.empty_message()?;
        }
        if self.is_first() {
            self.expire = additional.expire;
        }
        if self.decoder.has_ended() {
            self.arrive(header.counts[1] == 1).map(Step::Done)
        } else {
            Ok(Step::More)
        }
    }

    /// A message without records: no answer when it is the first, else tolerated a while.
    fn empty_message(&mut self) -> Result<(), Fault> {
        if self.is_first() {
            let reason = if self.asked() == Question::Ixfr { Reason::IxfrEmpty } else { Reason::SoaMissing };
            return Err(Fault::new(reason, "the first message has no record (RFC 5936 §2.2)"));
        }
        self.empty += 1;
        if self.empty > MAX_EMPTY_MESSAGES {
            let detail = format!("more than {MAX_EMPTY_MESSAGES} messages without a record");
            return Err(Fault::new(Reason::LimitEmptyMessages, detail));
        }
        Ok(())
    }

    fn refused(&self, rcode: Rcode) -> Fault {
        let mut fault = Fault::of_rcode(rcode, self.asked(), self.edns && self.is_first());
        if !self.is_first() {
            let n = self.decoder.tally.messages;
            fault.detail = format!("{} in message {n} of the transfer (RFC 5936 §2.2.1)", rcode_text(rcode));
        }
        fault
    }

    /// The seal failed. One thing may be told from a first message without one: that the primary does not know EDNS or
    /// IXFR. The next question carries the same key, and nothing is remembered.
    fn unsealed(&self, header: Header, mut fault: Fault) -> Fault {
        let unsigned = fault.reason == Reason::TsigMissing && self.is_first();
        if !unsigned || !matches!(header.rcode(), Rcode::FORMERR | Rcode::NOTIMP) {
            return fault;
        }
        fault.without_edns = self.edns;
        if !self.edns && self.asked() == Question::Ixfr {
            fault.reason = Reason::IxfrServerFailure;
        }
        fault
    }

    /// `alone`: the last message had one record.
    fn arrive(&mut self, alone: bool) -> Result<Arrived, Fault> {
        // RFC 8945 §5.3.1: the last message of a stream is signed.
        if let Some(stream) = &self.stream {
            stream.finish()?;
        }
        // RFC 7314 §4: a primary whose copy is at its end cannot vouch for the zone.
        if let Some(expire @ 0..=1) = self.expire {
            let detail = format!("the primary's copy expires in {expire} s (RFC 7314 §4)");
            return Err(Fault::new(Reason::PrimaryExpiring, detail));
        }
        Ok(match self.decoder.finish()? {
            Outcome::UpToDate(soa) => {
                let whole = alone && self.is_first() && self.asked() == Question::Ixfr;
                Arrived::UpToDate { soa, expire: self.expire, authoritative: self.authoritative, whole }
            }
            Outcome::Version { zone, difference, kind } => Arrived::Candidate(Candidate {
                zone,
                difference,
                kind,
                from: self.from,
                expire: self.expire,
                authoritative: self.authoritative,
                skew: self.skew,
                tally: self.decoder.tally,
                warnings: std::mem::take(&mut self.decoder.warnings),
                has_cname: self.decoder.has_cname,
            }),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Kind;
    use crate::testing::{self, ANSWER, ID, NOW, Rr, a, expire, message, soa, stream, with_opt};
    use secondo_tsig::Key;
    use secondo_zone::Limits;
    use secondo_zone::Zone;

    const AXFR: RecordType = RecordType::AXFR;
    const IXFR: RecordType = RecordType::IXFR;

    pub(crate) fn ask(want: Want, current: Option<&Zone>, key: Option<&Key>) -> (Session, Vec<u8>) {
        Session::new(Request {
            zone: &testing::name("example."),
            want,
            current,
            secret: &testing::secret(),
            limits: Limits::default(),
            key,
            id: ID,
            edns: true,
            unix_now: NOW,
            forced: false,
        })
    }

    /// Feeds all messages; a stream that does not end is cut.
    pub(crate) fn hear(mut session: Session, messages: &[Vec<u8>]) -> Result<Arrived, Fault> {
        for message in messages {
            if let Step::Done(arrived) = session.receive(message, NOW)? {
                return Ok(arrived);
            }
        }
        Err(session.cut())
    }

    pub(crate) fn axfr(messages: &[Vec<u8>]) -> Result<Candidate, Fault> {
        match hear(ask(Want::Axfr, None, None).0, messages)? {
            Arrived::Candidate(candidate) => Ok(candidate),
            Arrived::UpToDate { soa, .. } => panic!("up to date at {}", soa.serial),
        }
    }

    pub(crate) fn reason(messages: &[Vec<u8>]) -> Reason {
        axfr(messages).map(|candidate| candidate.zone().serial()).unwrap_err().reason
    }

    fn ixfr_reason(messages: &[Vec<u8>]) -> Reason {
        let current = testing::zone(1, &[]);
        hear(ask(Want::Ixfr, Some(&current), None).0, messages).map(|_| ()).unwrap_err().reason
    }

    pub(crate) fn example() -> (Zone, Vec<Rr>) {
        let zone = testing::zone(2, &[a("www.example.", 1), a("www.example.", 2), a("Ftp.example.", 3)]);
        let records = testing::axfr(&zone);
        (zone, records)
    }

    #[test]
    fn the_question_is_an_ixfr_only_from_a_version_that_we_have() {
        let current = testing::zone(7, &[]);
        let asks = |want, current, forced| {
            let (zone, secret) = (testing::name("example."), testing::secret());
            let request = Request {
                zone: &zone,
                want,
                current,
                secret: &secret,
                limits: Limits::default(),
                key: None,
                id: ID,
                edns: false,
                unix_now: NOW,
                forced,
            };
            let (_, message) = Session::new(request);
            let header = Header::read(&message).unwrap();
            assert_eq!((header.id, header.flags), (ID, 0));
            (secondo_wire::Message::new(&message).unwrap().question().unwrap().unwrap().rtype, header.counts)
        };
        assert_eq!(asks(Want::Ixfr, Some(&current), false), (IXFR, [1, 0, 1, 0]));
        assert_eq!(asks(Want::Ixfr, None, false), (AXFR, [1, 0, 0, 0]));
        assert_eq!(asks(Want::Ixfr, Some(&current), true), (AXFR, [1, 0, 0, 0]));
        assert_eq!(asks(Want::Axfr, Some(&current), false), (AXFR, [1, 0, 0, 0]));
    }

    #[test]
    fn one_record_a_message_and_all_in_one_give_the_same_zone() {
        let (zone, records) = example();
        for per_message in 1..=records.len() {
            let candidate = axfr(&stream(AXFR, &records, per_message)).unwrap();
            assert_eq!(testing::content(candidate.zone()), testing::content(&zone));
            assert_eq!((candidate.kind(), candidate.from()), (Kind::Axfr, None));
            let tally = candidate.tally();
            assert_eq!(tally.records, records.len() as u64);
            assert_eq!(tally.messages, records.len().div_ceil(per_message) as u64);
            assert!(candidate.warnings().is_empty());
        }
    }

    #[test]
    fn differences_arrive_at_any_split_of_messages() {
        let more = [a("a.example.", 1), a("b.example.", 1), a("c.example.", 1)];
        let versions = [1, 2, 3].map(|serial| testing::zone(serial, &more[serial as usize - 1..][..1]));
        let records = testing::ixfr(&versions);
        for per_message in 1..=records.len() {
            let messages = stream(IXFR, &records, per_message);
            let session = ask(Want::Ixfr, Some(&versions[0]), None).0;
            let Ok(Arrived::Candidate(candidate)) = hear(session, &messages) else { panic!() };
            assert_eq!(testing::content(candidate.zone()), testing::content(&versions[2]));
            assert_eq!((candidate.kind(), candidate.from()), (Kind::Ixfr, Some(Serial(1))));
            let difference = candidate.difference().unwrap();
            assert_eq!((difference.from, difference.to), (Serial(1), Serial(3)));
            assert_eq!(candidate.tally().differences, 2);
        }
    }

    #[test]
    fn a_clear_aa_is_tolerated() {
        let (_, records) = example();
        let messages: Vec<_> = stream(AXFR, &records, 2)
            .into_iter()
            .map(|mut message| {
                message[2] &= !4;
                message
            })
            .collect();
        let candidate = axfr(&messages).unwrap();
        assert!(candidate.warnings().is_empty() && !candidate.authoritative());
    }

    #[test]
    fn the_first_message_must_have_records_and_later_empty_ones_are_bounded() {
        let (_, records) = example();
        assert_eq!(reason(&[message(ANSWER, Some(AXFR), &[])]), Reason::SoaMissing);
        assert_eq!(ixfr_reason(&[message(ANSWER, Some(IXFR), &[])]), Reason::IxfrEmpty);
        for (empty, fine) in [(MAX_EMPTY_MESSAGES, true), (MAX_EMPTY_MESSAGES + 1, false)] {
            let mut messages = vec![message(ANSWER, Some(AXFR), &records[..2])];
            messages.extend((0..empty).map(|_| message(ANSWER, None, &[])));
            messages.push(message(ANSWER, None, &records[2..]));
            match axfr(&messages) {
                Ok(_) => assert!(fine),
                Err(fault) => assert_eq!((fault.reason, fine), (Reason::LimitEmptyMessages, false)),
            }
        }
    }

    #[test]
    fn authority_and_additional_are_never_loaded() {
        let (zone, records) = example();
        for section in [8, 10] {
            let mut whole =
                message(ANSWER, Some(AXFR), &[&records[..], &[a("smuggled.example.", 1)]].concat());
            let answers = u16::from_be_bytes([whole[6], whole[7]]) - 1;
            whole[6..8].copy_from_slice(&answers.to_be_bytes());
            whole[section + 1] = 1;
            let candidate = axfr(&[whole]).unwrap();
            assert_eq!(testing::content(candidate.zone()), testing::content(&zone));
        }
    }

    #[test]
    fn the_time_to_expiry_is_taken_from_the_first_message_alone() {
        let (_, records) = example();
        let mut messages = stream(AXFR, &records, 3);
        messages[1] = with_opt(messages[1].clone(), 0, &expire(99));
        assert_eq!(axfr(&messages).unwrap().expire(), None);
        messages[0] = with_opt(messages[0].clone(), 0, &expire(7200));
        assert_eq!(axfr(&messages).unwrap().expire(), Some(7200));
        messages[0] = with_opt(stream(AXFR, &records, 3)[0].clone(), 0, &[0, 9, 0, 2, 1, 1]);
        assert_eq!(axfr(&messages).unwrap().expire(), None);
        messages[0] = with_opt(stream(AXFR, &records, 3)[0].clone(), 0, &expire(1));
        assert_eq!(reason(&messages), Reason::PrimaryExpiring);
    }

    #[test]
    fn an_error_code_to_an_ixfr_leaves_axfr_open_and_edns_is_dropped_first() {
        for (rcode, expected, without_edns) in [
            (1, Reason::IxfrFormatError, true),
            (2, Reason::IxfrServerFailure, false),
            (4, Reason::IxfrNotImplemented, true),
            (5, Reason::Refused, false),
            (9, Reason::NotAuth, false),
        ] {
            let current = testing::zone(1, &[]);
            // Servers that do not understand need not repeat the question.
            for question in [Some(IXFR), None] {
                let session = ask(Want::Ixfr, Some(&current), None).0;
                let fault =
                    hear(session, &[message(flags::QR | rcode, question, &[])]).map(|_| ()).unwrap_err();
                assert_eq!((fault.reason, fault.without_edns), (expected, without_edns), "{rcode}");
            }
        }
    }

    #[test]
    fn malformed_differences_leave_axfr_open_but_a_whole_zone_keeps_its_reason() {
        let bad = Rr { rdata: vec![1], ..a("bad.example.", 1) };
        let ixfr = |rrs: &[Rr]| ixfr_reason(&[message(ANSWER, Some(IXFR), rrs)]);
        assert_eq!(ixfr(&[soa(2), soa(1), bad.clone()]), Reason::IxfrMalformed);
        assert_eq!(ixfr(&[soa(2), a("www.example.", 1), bad]), Reason::BadRdata);
        assert_eq!(ixfr(&[a("www.example.", 1)]), Reason::IxfrMalformed);
    }

    #[test]
    fn our_serial_is_a_confirmation_with_the_time_to_expiry_and_whether_aa_is_set() {
        let current = testing::zone(7, &[]);
        // What follows the SOA is not even looked at.
        let bad = Rr { rdata: vec![1], ..a("more.example.", 1) };
        let answer = with_opt(message(ANSWER, Some(IXFR), &[soa(7), bad]), 0, &expire(500));
        for aa in [0, 4] {
            let mut answer = answer.clone();
            answer[2] = answer[2] & !4 | aa;
            let session = ask(Want::Ixfr, Some(&current), None).0;
            let Ok(Arrived::UpToDate { soa, expire, authoritative, whole }) = hear(session, &[answer]) else {
                panic!()
            };
            assert!(!whole, "more may follow");
            assert_eq!((soa.serial, expire, authoritative), (Serial(7), Some(500), aa != 0));
        }
    }

    #[test]
    fn a_lone_newer_soa_is_no_answer_until_more_comes() {
        let (zone, records) = example();
        let current = testing::zone(1, &[]);
        let mut session = ask(Want::Ixfr, Some(&current), None).0;
        let first = message(ANSWER, Some(IXFR), &records[..1]);
        assert!(matches!(session.receive(&first, NOW), Ok(Step::More)));
        let rest = message(ANSWER, None, &records[1..]);
        let Ok(Step::Done(Arrived::Candidate(candidate))) = session.receive(&rest, NOW) else { panic!() };
        assert_eq!(testing::content(candidate.zone()), testing::content(&zone));
        assert_eq!(candidate.kind(), Kind::AxfrStyle);
        assert_eq!(ixfr_reason(&[first]), Reason::IxfrCut);
    }

    #[test]
    fn a_session_that_is_over_takes_nothing_more() {
        let (_, records) = example();
        let whole = message(ANSWER, Some(AXFR), &records);
        let mut session = ask(Want::Axfr, None, None).0;
        assert!(matches!(session.receive(&whole, NOW), Ok(Step::Done(_))));
        assert_eq!(session.receive(&whole, NOW).map(|_| ()).unwrap_err().reason, Reason::Internal);
        let mut session = ask(Want::Axfr, None, None).0;
        assert!(session.receive(&[], NOW).is_err());
        assert_eq!(session.receive(&whole, NOW).map(|_| ()).unwrap_err().reason, Reason::Internal);
    }

    #[test]
    fn all_of_it_may_move_to_another_thread() {
        fn moves<T: Send>() {}
        moves::<Session>();
        moves::<Arrived>();
        moves::<crate::Probe>();
        moves::<crate::Outgoing>();
        moves::<crate::CheckedZone>();
    }
}
