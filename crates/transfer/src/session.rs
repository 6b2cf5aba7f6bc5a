//! One request for a zone and the messages that answer it: AXFR (RFC 5936 §2) or IXFR (RFC 1995), over TCP or TLS.
//!
//! Of each message, in this order: framing and ID, the seal, flags and response code, question, records. Nothing is
//! final before the last message is verified: until then there is no [`Candidate`].

use secondo_tsig::{self as tsig, ClientStream, Key};
use secondo_wire::{Header, Name, Rcode, Reason, RecordType, Section, Soa, control, flags};
use secondo_zone::{BorderSecret, Limits, Zone};

use crate::Fault;
use crate::candidate::Candidate;
use crate::decoder::{Decoder, Outcome};
use crate::envelope::{self, Additional};
use crate::fault::{Question, rcode_text};
use crate::reader::Reader;

/// Messages without a record that are tolerated in one transfer.
pub(crate) const MAX_EMPTY_MESSAGES: u32 = 100;

const AA_CLEAR: &str = "transfer messages have AA clear (RFC 5936 §2.2.1)";

/// In what form a zone is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Whole.
    Axfr,
    /// As differences from the version that we have. Without one, or when forced, the whole zone is asked for.
    Ixfr,
}

/// What is asked, and by which measure the answer is taken.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Apex of the zone.
    pub zone: &'a Name,
    /// The form.
    pub want: Want,
    /// The version that we have: base of differences, measure of "newer", source of equal pages.
    pub current: Option<&'a Zone>,
    /// For a zone built from nothing.
    pub secret: &'a BorderSecret,
    /// Bounds of the zone, enforced while it is received.
    pub limits: Limits,
    /// Seals the question; every answer must then be sealed (RFC 8945 §5.3.1).
    pub key: Option<&'a Key>,
    /// Random, unique among the questions outstanding on the connection (RFC 5936 §2.2.1).
    pub id: u16,
    /// Ask with EDNS, and for the time to expiry (RFC 7314 §2).
    pub edns: bool,
    /// Seconds since 1970, for the seal.
    pub unix_now: u64,
    /// Take the zone whatever its serial: an operator's order, or our own version has expired.
    pub forced: bool,
}

/// What a message led to.
#[derive(Debug)]
pub enum Step {
    /// More messages are awaited.
    More,
    /// The answer is complete; messages that follow are not part of it.
    Done(Arrived),
}

/// A complete answer.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)]
pub enum Arrived {
    /// The primary has the serial that we have: a confirmation.
    UpToDate {
        /// The primary's SOA.
        soa: Soa,
        /// Seconds until the primary's own copy expires (RFC 7314 §4).
        expire: Option<u32>,
    },
    /// Another version.
    Candidate(Candidate),
}

/// See the module. After an error or [`Step::Done`] it takes no more messages.
pub struct Session {
    zone: Name,
    question: RecordType,
    id: u16,
    edns: bool,
    stream: Option<ClientStream>,
    reader: Reader,
    decoder: Decoder,
    from: Option<secondo_wire::Serial>,
    expire: Option<u32>,
    skew: Option<i64>,
    empty: u32,
    over: bool,
}

impl Session {
    /// Asks: the session, and the message to send. Over TCP its length goes before it in the same write (RFC 7766 §8).
    pub fn new(request: Request<'_>) -> (Session, Vec<u8>) {
        let asked = control::Request { id: request.id, edns: request.edns };
        // RFC 1995 §3: IXFR asks from a version that we have, never from an invented one.
        let base = request.current.filter(|_| request.want == Want::Ixfr && !request.forced);
        let (question, mut message) = match base {
            Some(base) => (RecordType::IXFR, control::ixfr_query(request.zone, base.serial(), asked)),
            None => (RecordType::AXFR, control::axfr_query(request.zone, asked)),
        };
        let stream = request.key.map(|key| tsig::sign_request(&mut message, key, request.unix_now));
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
            from: request.current.map(Zone::serial),
            expire: None,
            skew: None,
            empty: 0,
            over: false,
        };
        (session, message)
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
            Err(fault) => return Err(self.unsealed(header, fault)),
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
        if !header.has(flags::AA) {
            self.decoder.warnings.add(AA_CLEAR, 1);
        }

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
        if self.decoder.has_ended() { self.arrive().map(Step::Done) } else { Ok(Step::More) }
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
        fault.detail = format!("{}; the answer was {}", fault.detail, rcode_text(header.rcode()));
        fault.without_edns = self.edns;
        if !self.edns && self.asked() == Question::Ixfr {
            fault.reason = Reason::IxfrServerFailure;
        }
        fault
    }

    fn arrive(&mut self) -> Result<Arrived, Fault> {
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
            Outcome::UpToDate(soa) => Arrived::UpToDate { soa, expire: self.expire },
            Outcome::Version { zone, difference, kind } => Arrived::Candidate(Candidate {
                zone,
                difference,
                kind,
                from: self.from,
                expire: self.expire,
                skew: self.skew,
                tally: self.decoder.tally,
                warnings: std::mem::take(&mut self.decoder.warnings),
                has_cname: self.decoder.has_cname,
            }),
        })
    }
}
