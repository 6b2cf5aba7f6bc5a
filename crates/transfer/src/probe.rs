//! The SOA probe: one question, and what an answer to it means (RFC 1034 §4.3.5).
//!
//! Over UDP anybody may send anything, so what does not belong to the question is ignored and waited past; after three
//! of those, and whenever the truth cannot be had over UDP, the question is repeated over TCP, where each message counts.

use secondo_tsig::{ClientStream, Key};
use secondo_wire::{
    CLASS_IN, Header, Message, Name, NameBuf, Rcode, Reason, RecordType, Section, Soa, control, flags, rdata,
    read_name,
};

use crate::Fault;
use crate::envelope::{self, Additional};
use crate::fault::Question;
use crate::request::seal;

/// Foreign messages over UDP before the question goes to TCP (RFC 5452 §9.1).
const MAX_FOREIGN: u32 = 3;

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
    /// Its seal does not hold, and nothing proves that the primary sent it.
    Unsealed(Fault),
    /// It is truncated (RFC 2181 §9).
    Truncated,
    /// It says no to a question without a cookie (RFC 7873 §5.2.3).
    WantsCookie(Fault),
    /// It says no.
    Answer(Fault),
}

impl Probe {
    /// Asks: the probe, and the message to send. `id` is random and unpredictable (RFC 5452 §9.2).
    pub fn new(zone: &Name, id: u16, key: Option<&Key>, edns: bool, unix_now: u64) -> (Probe, Vec<u8>) {
        Probe::ask(zone, id, key, (edns, false), unix_now)
    }

    /// The same for a connection that nobody can read: with EDNS the message is padded, so that its length tells little
    /// (RFC 7830 §4).
    pub fn padded(zone: &Name, id: u16, key: Option<&Key>, edns: bool, unix_now: u64) -> (Probe, Vec<u8>) {
        Probe::ask(zone, id, key, (edns, true), unix_now)
    }

    fn ask(
        zone: &Name,
        id: u16,
        key: Option<&Key>,
        (edns, padded): (bool, bool),
        unix_now: u64,
    ) -> (Probe, Vec<u8>) {
        let mut message = control::soa_query(zone, control::Request { id, edns });
        let stream = seal(&mut message, key, padded, unix_now);
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
            // RFC 8945 §5.4: no answer, whatever it says.
            (Flaw::Unsealed(_), Transport::Udp) => ProbeStep::RetryTcp,
            (Flaw::Unsealed(fault) | Flaw::Answer(fault), _) if fault.without_edns => {
                ProbeStep::RetryWithoutEdns
            }
            // What cannot be read proves nothing about the primary, and over TCP nobody else can have sent it.
            (Flaw::Answer(Fault { reason: Reason::MalformedMessage, .. }), Transport::Udp) => {
                ProbeStep::RetryTcp
            }
            // RFC 7873 §5.3: without a cookie that it takes, a server may still be asked over TCP.
            (Flaw::WantsCookie(_), Transport::Udp) => ProbeStep::RetryTcp,
            (Flaw::Unsealed(fault) | Flaw::Answer(fault) | Flaw::WantsCookie(fault), _)
            | (Flaw::Foreign(fault), Transport::Tcp) => ProbeStep::Done(Err(fault)),
        }
    }

    fn answer(&mut self, octets: &[u8], unix_now: u64) -> Result<Found, Flaw> {
        let header = envelope::header(octets).map_err(Flaw::Foreign)?;
        envelope::identity(header, self.id).map_err(Flaw::Foreign)?;
        if header.has(flags::TC) {
            return Err(Flaw::Truncated);
        }
        let opened =
            envelope::open(octets, self.stream.as_mut(), unix_now).map_err(|unsealed| {
                match unsealed.proven {
                    true => Flaw::Answer(unsealed.fault),
                    false => Flaw::Unsealed(self.unsealed(header, unsealed.fault)),
                }
            })?;
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
                // RFC 4035 §3.1.1: signatures may stand beside it.
                (Section::Answer, RecordType::RRSIG) => {}
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
            let fault = Fault::of_rcode(rcode, Question::Soa, self.edns);
            return Err(if rcode == Rcode::BADCOOKIE {
                Flaw::WantsCookie(fault)
            } else {
                Flaw::Answer(fault)
            });
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
            fault.without_edns = self.edns;
        }
        fault
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, ANSWER, ID, NOW, Rr, a, expire, key, message, ns, rr, sealed, soa, with_opt};
    use secondo_wire::Serial;

    const SOA: RecordType = RecordType::SOA;

    fn probe(key: Option<&Key>, edns: bool) -> (Probe, Vec<u8>) {
        Probe::new(&testing::name("example."), ID, key, edns, NOW)
    }

    fn hears(over: Transport, message: &[u8]) -> ProbeStep {
        probe(None, true).0.receive(message, over, NOW)
    }

    fn reason(step: ProbeStep) -> Reason {
        match step {
            ProbeStep::Done(Err(fault)) => fault.reason,
            other => panic!("{other:?}"),
        }
    }

    /// The verdict on an answer with these flags and records; the same over both transports.
    fn verdict(flags: u16, answers: &[Rr]) -> Reason {
        let message = message(flags, Some(SOA), answers);
        let udp = reason(hears(Transport::Udp, &message));
        assert_eq!(udp, reason(hears(Transport::Tcp, &message)));
        udp
    }

    #[test]
    fn the_question_has_all_flags_clear_and_asks_for_the_time_to_expiry() {
        let header = Header::read(&probe(None, true).1).unwrap();
        assert_eq!((header.id, header.flags, header.counts), (ID, 0, [1, 0, 0, 1]));
        let header = Header::read(&probe(Some(&key()), false).1).unwrap();
        assert_eq!(header.counts, [1, 0, 0, 1]);
    }

    #[test]
    fn an_authoritative_soa_is_found_with_its_time_to_expiry() {
        let answer = with_opt(message(ANSWER, Some(SOA), &[soa(7)]), 0, &expire(900));
        for over in [Transport::Udp, Transport::Tcp] {
            let ProbeStep::Done(Ok(found)) = hears(over, &answer) else { panic!() };
            assert_eq!((found.soa.serial, found.expire, found.skew), (Serial(7), Some(900), None));
        }
        let plain = message(ANSWER, Some(SOA), &[soa(0)]);
        let ProbeStep::Done(Ok(found)) = hears(Transport::Udp, &plain) else { panic!() };
        assert_eq!((found.soa.serial, found.expire), (Serial(0), None));
    }

    #[test]
    fn signatures_beside_the_soa_are_passed_over() {
        let signature = rr("example.", RecordType::RRSIG, &[0; 20]);
        let answer = message(ANSWER, Some(SOA), &[soa(7), signature]);
        assert!(matches!(hears(Transport::Udp, &answer), ProbeStep::Done(Ok(_))));
    }

    #[test]
    fn what_does_not_match_is_ignored_over_udp_and_asked_over_tcp_the_third_time() {
        let good = message(ANSWER, Some(SOA), &[soa(7)]);
        let mut foreign = vec![vec![], good[..11].to_vec(), message(ANSWER, None, &[soa(7)])];
        for (octet, value) in [(0, 0), (1, 0), (2, 0x04), (2, 0xA4), (5, 2), (13, b'x'), (22, 1), (24, 3)] {
            let mut message = good.clone();
            message[octet] = value;
            foreign.push(message);
        }
        for message in &foreign {
            let mut probe = probe(None, false).0;
            for _ in 1..MAX_FOREIGN {
                assert_eq!(probe.receive(message, Transport::Udp, NOW), ProbeStep::Ignore, "{message:?}");
            }
            let mut patient =
                Probe { foreign: 1, ..Probe::new(&testing::name("example."), ID, None, false, NOW).0 };
            assert!(matches!(patient.receive(&good, Transport::Udp, NOW), ProbeStep::Done(Ok(_))));
            assert_eq!(probe.receive(message, Transport::Udp, NOW), ProbeStep::RetryTcp);
            assert!(matches!(
                reason(hears(Transport::Tcp, message)),
                Reason::BadAnswer | Reason::MalformedMessage
            ));
        }
        // The case of the question may be any.
        let mut shouted = good;
        shouted[13] = b'E';
        assert!(matches!(hears(Transport::Udp, &shouted), ProbeStep::Done(Ok(_))));
    }

    #[test]
    fn a_truncated_answer_is_had_over_tcp_whatever_its_seal() {
        let answer = message(ANSWER | flags::TC, Some(SOA), &[]);
        assert_eq!(hears(Transport::Udp, &answer), ProbeStep::RetryTcp);
        assert_eq!(reason(hears(Transport::Tcp, &answer)), Reason::BadAnswer);
        assert_eq!(probe(Some(&key()), true).0.receive(&answer, Transport::Udp, NOW), ProbeStep::RetryTcp);
    }

    #[test]
    fn error_codes_are_verdicts_and_a_bare_denial_is_none_of_ours() {
        for (rcode, reason) in [
            (2, Reason::ServerFailure),
            (3, Reason::NoSuchZone),
            (5, Reason::Refused),
            (9, Reason::NotAuth),
            (10, Reason::OtherRcode),
        ] {
            assert_eq!(verdict(ANSWER | rcode, &[]), reason);
        }
        let bare = message(flags::QR | 5, None, &[]);
        assert_eq!(hears(Transport::Udp, &bare), ProbeStep::Ignore);
    }

    #[test]
    fn who_does_not_know_edns_is_asked_without_once() {
        for answer in [
            message(flags::QR | 1, None, &[]),
            message(flags::QR | 4, Some(SOA), &[]),
            with_opt(message(flags::QR, Some(SOA), &[]), 1, &[]),
        ] {
            for over in [Transport::Udp, Transport::Tcp] {
                assert_eq!(hears(over, &answer), ProbeStep::RetryWithoutEdns);
                let step = probe(None, false).0.receive(&answer, over, NOW);
                assert!(matches!(
                    reason(step),
                    Reason::FormatError | Reason::NotImplemented | Reason::OtherRcode
                ));
            }
        }
    }

    #[test]
    fn only_an_authoritative_answer_with_exactly_the_apex_soa_counts() {
        assert_eq!(verdict(flags::QR, &[soa(7)]), Reason::NotAuthoritative);
        assert_eq!(verdict(flags::QR, &[]), Reason::NotAuthoritative);
        assert_eq!(verdict(ANSWER, &[]), Reason::NoSuchZone);
        assert_eq!(verdict(ANSWER, &[soa(7), soa(8)]), Reason::BadAnswer);
        assert_eq!(verdict(ANSWER, &[soa(7), a("example.", 1)]), Reason::BadAnswer);
        assert_eq!(verdict(ANSWER, &[rr("example.", RecordType::CNAME, b"\0"), soa(7)]), Reason::BadAnswer);
        assert_eq!(verdict(ANSWER, &[Rr { owner: testing::name("com."), ..soa(7) }]), Reason::BadAnswer);
        assert_eq!(verdict(ANSWER, &[Rr { class: 3, ..soa(7) }]), Reason::BadAnswer);
        assert_eq!(verdict(ANSWER, &[Rr { rdata: vec![0, 0, 1], ..soa(7) }]), Reason::BadRdata);
        // A referral, and the SOA of a parent in the authority section.
        let mut referral = message(ANSWER, Some(SOA), &[ns("example.", "ns.example.")]);
        referral.swap(7, 9);
        assert_eq!(reason(hears(Transport::Udp, &referral)), Reason::NoSuchZone);
    }

    #[test]
    fn what_cannot_be_read_or_wants_a_cookie_is_asked_again_over_tcp() {
        let trailing = [&message(ANSWER, Some(SOA), &[soa(7)])[..], &[0]].concat();
        let cookie = with_opt(message(flags::QR | 7, Some(SOA), &[]), 1, &[]);
        for (odd, expected) in [(&trailing, Reason::MalformedMessage), (&cookie, Reason::OtherRcode)] {
            assert_eq!(hears(Transport::Udp, odd), ProbeStep::RetryTcp);
            assert_eq!(reason(hears(Transport::Tcp, odd)), expected);
        }
    }

    #[test]
    fn a_primary_at_the_end_of_its_own_time_vouches_for_nothing() {
        for seconds in [0, 1] {
            let answer = with_opt(message(ANSWER, Some(SOA), &[soa(7)]), 0, &expire(seconds));
            assert_eq!(reason(hears(Transport::Udp, &answer)), Reason::PrimaryExpiring);
        }
    }

    #[test]
    fn with_a_key_only_a_sealed_answer_is_one() {
        let key = key();
        let answer = message(ANSWER, Some(SOA), &[soa(7)]);
        let hears = |over, message: &dyn Fn(&[u8]) -> Vec<u8>| {
            let (mut probe, request) = probe(Some(&key), true);
            probe.receive(&message(&request), over, NOW)
        };
        let signed = |request: &[u8]| sealed(request, std::slice::from_ref(&answer), |_| true).remove(0);
        let forged = |request: &[u8]| {
            let mut message = signed(request);
            message[40] ^= 1;
            message
        };
        for over in [Transport::Udp, Transport::Tcp] {
            let ProbeStep::Done(Ok(found)) = hears(over, &signed) else { panic!() };
            assert_eq!(found.skew, Some(0));
        }
        // Over UDP anybody may have sent it; over TCP it is the primary's word.
        for unsealed in [&(|_: &[u8]| answer.clone()) as &dyn Fn(&[u8]) -> Vec<u8>, &forged] {
            assert_eq!(hears(Transport::Udp, unsealed), ProbeStep::RetryTcp);
            assert!(matches!(
                reason(hears(Transport::Tcp, unsealed)),
                Reason::TsigMissing | Reason::TsigBadSig
            ));
        }
        let refused =
            |request: &[u8]| sealed(request, &[message(ANSWER | 5, Some(SOA), &[])], |_| true).remove(0);
        assert_eq!(reason(hears(Transport::Udp, &refused)), Reason::Refused);
        // Unsigned FORMERR: over TCP it leads to the same question without EDNS, sealed again.
        let formerr = |_: &[u8]| message(flags::QR | 1, None, &[]);
        assert_eq!(hears(Transport::Udp, &formerr), ProbeStep::RetryTcp);
        assert_eq!(hears(Transport::Tcp, &formerr), ProbeStep::RetryWithoutEdns);
        let (mut late, request) = probe(Some(&key), true);
        let step = late.receive(&signed(&request), Transport::Udp, NOW + 1000);
        assert!(matches!(step, ProbeStep::Done(Err(fault)) if fault.skew == Some(-1000)));
    }

    #[test]
    fn without_a_key_a_sealed_answer_is_refused() {
        let (_, request) = probe(Some(&key()), true);
        let answer = sealed(&request, &[message(ANSWER, Some(SOA), &[soa(7)])], |_| true).remove(0);
        assert_eq!(hears(Transport::Udp, &answer), ProbeStep::RetryTcp);
        assert_eq!(reason(hears(Transport::Tcp, &answer)), Reason::TsigUnexpected);
    }
}
