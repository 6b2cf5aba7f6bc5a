//! The SOA probe: one question, and what an answer to it means (RFC 1034 §4.3.5).
//!
//! Over UDP anybody may send anything, so what does not belong to the question is ignored and waited past; after three
//! of those, and whenever the truth cannot be had over UDP, the question is repeated over TCP, where each message counts.

use secondo_tsig::{self as tsig, ClientStream, Key};
use secondo_wire::{
    CLASS_IN, Header, Message, Name, NameBuf, Rcode, Reason, RecordType, Section, Soa, control, flags, rdata,
    read_name,
};

use crate::Fault;
use crate::envelope::{self, Additional};
use crate::fault::{Question, rcode_text};

/// Foreign messages over UDP before the question goes to TCP (RFC 5452 §9.1).
const MAX_FOREIGN: u32 = 3;
/// RRSIGs beside the SOA that are skipped; an answer with more is none.
const MAX_SIGNATURES: u32 = 64;

/// What a message came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One datagram, from the address asked.
    Udp,
    /// TCP or TLS.
    Tcp,
}

/// What the primary has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its SOA.
    pub soa: Soa,
    /// Seconds until its own copy expires (RFC 7314 §4), if it said so.
    pub expire: Option<u32>,
    /// Its clock minus ours in seconds, if a seal told it.
    pub skew: Option<i64>,
}

/// What a message led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeStep {
    /// Not ours: keep waiting. Only over UDP.
    Ignore,
    /// Ask again over TCP, with a new probe. Only over UDP.
    RetryTcp,
    /// Ask again without EDNS, with a new probe and the same key.
    RetryWithoutEdns,
    /// The verdict.
    Done(Result<Found, Fault>),
}

/// One SOA question on its way. It is asked again, over UDP, by sending the same octets.
pub struct Probe {
    zone: Name,
    id: u16,
    edns: bool,
    stream: Option<ClientStream>,
    foreign: u32,
}

/// How a message fails as an answer.
enum Flaw {
    /// It does not belong to the question.
    Foreign(Fault),
    /// Its seal does not hold.
    Unsealed(Fault),
    /// It is truncated (RFC 2181 §9).
    Truncated,
    /// It says no.
    Answer(Fault),
}

impl Probe {
    /// Asks: the probe, and the message to send. `id` is random and unpredictable (RFC 5452 §9.2).
    pub fn new(zone: &Name, id: u16, key: Option<&Key>, edns: bool, unix_now: u64) -> (Probe, Vec<u8>) {
        let mut message = control::soa_query(zone, control::Request { id, edns });
        let stream = key.map(|key| tsig::sign_request(&mut message, key, unix_now));
        (Probe { zone: zone.clone(), id, edns, stream, foreign: 0 }, message)
    }

    /// Takes a message that came from the address asked.
    pub fn receive(&mut self, message: &[u8], over: Transport, unix_now: u64) -> ProbeStep {
        let flaw = match self.answer(message, unix_now) {
            Ok(found) => return ProbeStep::Done(Ok(found)),
            Err(flaw) => flaw,
        };
        match (flaw, over) {
            // RFC 5452 §9.1: an answer must match its question in all; what does not is somebody else's.
            (Flaw::Foreign(_), Transport::Udp) => {
                self.foreign += 1;
                if self.foreign < MAX_FOREIGN { ProbeStep::Ignore } else { ProbeStep::RetryTcp }
            }
            // RFC 2181 §9: a truncated answer is ignored, and had over TCP.
            (Flaw::Truncated, Transport::Udp) => ProbeStep::RetryTcp,
            (Flaw::Truncated, Transport::Tcp) => {
                ProbeStep::Done(Err(Fault::new(Reason::BadAnswer, "TC is set over TCP (RFC 2181 §9)")))
            }
            // RFC 8945 §5.4: no answer, whatever it says. A seal that holds but for the clocks is the primary's own.
            (Flaw::Unsealed(fault), Transport::Udp) if fault.reason != Reason::TsigBadTime => {
                ProbeStep::RetryTcp
            }
            (Flaw::Unsealed(fault) | Flaw::Answer(fault), _) if fault.without_edns => {
                ProbeStep::RetryWithoutEdns
            }
            (Flaw::Unsealed(fault) | Flaw::Answer(fault), _) | (Flaw::Foreign(fault), Transport::Tcp) => {
                ProbeStep::Done(Err(fault))
            }
        }
    }

    fn answer(&mut self, octets: &[u8], unix_now: u64) -> Result<Found, Flaw> {
        let header = envelope::header(octets).map_err(Flaw::Foreign)?;
        envelope::identity(header, self.id).map_err(Flaw::Foreign)?;
        if header.has(flags::TC) {
            return Err(Flaw::Truncated);
        }
        let opened = envelope::open(octets, self.stream.as_mut(), unix_now)
            .map_err(|fault| Flaw::Unsealed(self.unsealed(header, fault)))?;
        self.sealed_answer(header, &opened.message, opened.skew).map_err(|flaw| match flaw {
            Flaw::Answer(fault) => Flaw::Answer(Fault { skew: opened.skew, ..fault }),
            other => other,
        })
    }

    fn sealed_answer(&self, header: Header, message: &Message<'_>, skew: Option<i64>) -> Result<Found, Flaw> {
        let malformed = |fault: Fault| Flaw::Answer(fault);
        let rcode = header.rcode();
        // An old server's FORMERR need not have the question.
        let required = !matches!(rcode, Rcode::FORMERR | Rcode::NOTIMP);
        let start =
            envelope::question(message, &self.zone, RecordType::SOA, required).map_err(Flaw::Foreign)?;
        let mut additional = Additional::default();
        let mut soa = None;
        let mut strange = None;
        let mut signatures = 0;
        let mut records = message.records_from(start);
        let mut owner = NameBuf::new();
        for record in records.by_ref() {
            let record = record.map_err(|error| malformed(error.into()))?;
            match (record.section, record.rtype) {
                (Section::Answer, RecordType::SOA) if soa.is_none() => {
                    read_name(message.octets(), record.owner, &mut owner)
                        .map_err(|error| malformed(secondo_wire::Malformed::Name(error).into()))?;
                    if owner.as_ref() != self.zone.as_ref() || record.class != CLASS_IN {
                        strange = Some(format!("a SOA of {} in class {}", owner.as_ref(), record.class));
                    }
                    let mut plain = Vec::new();
                    rdata::expand(RecordType::SOA, message.octets(), record.rdata, record.end, &mut plain)
                        .map_err(|bad| {
                            malformed(Fault::new(Reason::BadRdata, format!("SOA: {bad} (RFC 1035 §3.3.13)")))
                        })?;
                    soa = Soa::from_rdata(&plain);
                }
                (Section::Answer, RecordType::RRSIG) if signatures < MAX_SIGNATURES => signatures += 1,
                (Section::Answer, rtype) => {
                    strange = Some(format!("{rtype} in the answer to a SOA question"))
                }
                (Section::Authority, _) => {}
                (Section::Additional, _) => additional.record(message, &record).map_err(malformed)?,
            }
        }
        records.finish().map_err(|error| malformed(error.into()))?;
        let rcode = additional.rcode(header);
        if rcode != Rcode::NOERROR {
            return Err(Flaw::Answer(Fault::of_rcode(rcode, Question::Soa, self.edns)));
        }
        let says = |reason, detail: &str| Err(Flaw::Answer(Fault::new(reason, detail)));
        // RFC 1034 §4.3.5: only an authoritative answer tells the zone's serial.
        if !header.has(flags::AA) {
            return says(Reason::NotAuthoritative, "AA is clear (RFC 1035 §4.1.1)");
        }
        if let Some(strange) = strange {
            return says(Reason::BadAnswer, &format!("{strange} (RFC 1034 §4.3.5)"));
        }
        let Some(soa) = soa else {
            return says(Reason::NoSuchZone, "no SOA in the answer (RFC 2308 §2.2)");
        };
        // RFC 7314 §4: a primary whose copy is at its end cannot vouch for the zone.
        if let Some(expire @ 0..=1) = additional.expire {
            let detail = format!("the primary's copy expires in {expire} s (RFC 7314 §4)");
            return says(Reason::PrimaryExpiring, &detail);
        }
        Ok(Found { soa, expire: additional.expire, skew })
    }

    /// One thing may be told from an unsigned answer over TCP: that the primary does not know EDNS. The next question
    /// carries the same key, and nothing is remembered.
    fn unsealed(&self, header: Header, mut fault: Fault) -> Fault {
        if fault.reason == Reason::TsigMissing && matches!(header.rcode(), Rcode::FORMERR | Rcode::NOTIMP) {
            fault.detail = format!("{}; the answer was {}", fault.detail, rcode_text(header.rcode()));
            fault.without_edns = self.edns;
        }
        fault
    }
}
