//! The asked end: verifies a request and seals its answer, be it one message or a stream of them (RFC 8945 §5.2, §5.3).

use std::borrow::Cow;
use std::fmt;

use secondo_wire::{Header, Name, Rcode, Reason, flags};

use crate::digest::MacOctets;
use crate::error::{reason_of, tsig_error};
use crate::key::{Key, KeyRing};
use crate::record::{self, Outgoing, Tsig};
use crate::{Algorithm, FUDGE, MAX_FUDGE};

/// Verifies a request; `None` when it is well-formed and not signed. `unix_now` in seconds since 1970.
///
/// A request whose seal is broken is [`Rejected`]; it must not be treated as an unsigned one.
pub fn verify_request(message: &[u8], ring: &KeyRing, unix_now: u64) -> Result<Option<Seal>, Rejected> {
    let found = record::find(message)
        .map_err(|misfit| Rejected::form_error(reason_of(misfit), misfit.to_string()))?;
    // An answer sent back must not pass for a request, whatever its seal.
    if Header::read(message).is_some_and(|header| header.has(flags::QR)) {
        return Err(Rejected::form_error(
            Reason::MalformedMessage,
            "an answer is no request (RFC 1035 §4.1.1)",
        ));
    }
    match found {
        None => Ok(None),
        Some(tsig) => signed(message, &tsig, ring, unix_now).map(Some),
    }
}

/// RFC 8945 §5.2: key, MAC, time, truncation, in this order.
fn signed(message: &[u8], tsig: &Tsig<'_>, ring: &KeyRing, unix_now: u64) -> Result<Seal, Rejected> {
    let Some(key) = Algorithm::from_name(tsig.algorithm).and_then(|a| ring.find(tsig.name.as_ref(), a))
    else {
        let detail = match ring.knows(tsig.name.as_ref()) {
            true => format!("key {} is not for {} (RFC 8945 §5.2.1)", tsig.name.as_ref(), tsig.algorithm),
            false => format!("key {} is not known (RFC 8945 §5.2.1)", tsig.name.as_ref()),
        };
        return Err(Rejected::unsigned(tsig, tsig_error::BADKEY, Reason::TsigBadKey, detail));
    };
    let algorithm = key.algorithm();
    // RFC 8945 §5.2.2.1: lengths that must not be sent. Checked before any octet is compared.
    if !(algorithm.least_mac_len()..=algorithm.mac_len()).contains(&tsig.mac.len()) {
        let detail = format!("a MAC of {} octets for {algorithm} (RFC 8945 §5.2.2.1)", tsig.mac.len());
        return Err(Rejected::form_error(Reason::TsigMalformed, detail));
    }
    let mut digest = key.begin();
    digest.stripped(message, tsig);
    digest.variables(key, tsig.time, tsig.fudge, tsig.error, tsig.other);
    if !digest.verify(tsig.mac) {
        let detail = format!("the MAC of key {} does not verify (RFC 8945 §5.2.2)", key.name());
        return Err(Rejected::unsigned(tsig, tsig_error::BADSIG, Reason::TsigBadSig, detail));
    }
    let skew = record::ahead(tsig.time, unix_now);
    if skew.unsigned_abs() > u64::from(tsig.fudge.min(MAX_FUDGE)) {
        let detail = format!("Time Signed is {skew} s from our clock, past the fudge (RFC 8945 §5.2.3)");
        let rejected = Rejected::signed(tsig, key, tsig_error::BADTIME, Reason::TsigBadTime, detail);
        return Err(Rejected { skew: Some(skew), ..rejected });
    }
    if tsig.mac.len() < algorithm.accepted_mac_len() {
        let detail = format!("a MAC of {} octets is shorter than 16 (RFC 8945 §5.2.4)", tsig.mac.len());
        return Err(Rejected::signed(tsig, key, tsig_error::BADTRUNC, Reason::TsigBadTrunc, detail));
    }
    Ok(Seal {
        key: key.clone(),
        // RFC 8945 §4.3.1: the request's MAC as it was sent, truncated or not.
        prior: MacOctets::leading(tsig.mac, tsig.mac.len()),
        first: true,
        message_len: tsig.start,
        skew,
    })
}

/// The seal of a verified request, which signs all messages of the answer in the order they are sent.
#[derive(Clone)]
pub struct Seal {
    key: Key,
    /// The MAC that the next one builds on: the request's, then that of the message before.
    prior: MacOctets,
    /// Nothing was signed yet.
    first: bool,
    message_len: usize,
    skew: i64,
}

impl Seal {
    /// The key that sealed the request.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Octets that our TSIG record takes in each message of the answer.
    pub fn tsig_len(&self) -> usize {
        self.key.tsig_len()
    }

    /// Octets of the request without its TSIG record.
    pub fn message_len(&self) -> usize {
        self.message_len
    }

    /// The asker's clock minus ours, in seconds.
    pub fn skew(&self) -> i64 {
        self.skew
    }

    /// Signs the next message of the answer: the octets of `message` from `from` on, header first and ready but for the
    /// TSIG record, which is appended and counted. `unix_now` in seconds since 1970.
    pub fn sign(&mut self, message: &mut Vec<u8>, from: usize, unix_now: u64) {
        let time = record::clamp(unix_now);
        let mut digest = self.key.begin_after(&self.prior);
        digest.update(message.get(from..).unwrap_or_default());
        match self.first {
            // RFC 8945 §5.3: request MAC, message, all TSIG variables.
            true => digest.variables(&self.key, time, FUDGE, 0, &[]),
            // RFC 8945 §5.3.1: the MAC before, message, timers alone.
            false => digest.timers(time, FUDGE),
        }
        let mac = digest.finish(self.key.algorithm());
        Outgoing {
            name: self.key.canonical_name(),
            algorithm: self.key.algorithm().as_wire(),
            time,
            fudge: FUDGE,
            mac: mac.as_slice(),
            error: 0,
            other: &[],
        }
        .append(message, from);
        self.prior = mac;
        self.first = false;
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal({:?})", self.key)
    }
}

/// A request whose seal is broken, and what its sender is told.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// The error for the TSIG record (see [`crate::tsig_error`]); 0 with FORMERR.
    pub tsig_error: u16,
    /// The response code for the header: FORMERR or NOTAUTH.
    pub rcode: Rcode,
    /// The stable reason, for the log.
    pub reason: Reason,
    /// The rule that was broken, with its RFC section.
    pub detail: Cow<'static, str>,
    /// The asker's clock minus ours in seconds; with BADTIME only.
    pub skew: Option<i64>,
    reply: Box<Reply>,
}

/// The TSIG record of the error response (RFC 8945 §5.3.2).
#[derive(Clone)]
enum Reply {
    /// FORMERR goes without.
    None,
    /// No MAC: the request's is not to be built on.
    Unsigned { name: Name, algorithm: Name, time: u64, fudge: u16 },
    /// With a MAC over the request's.
    Signed { key: Key, prior: MacOctets, time: u64 },
}

impl Rejected {
    fn form_error(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Rejected {
        let detail = detail.into();
        Rejected {
            tsig_error: 0,
            rcode: Rcode::FORMERR,
            reason,
            detail,
            skew: None,
            reply: Box::new(Reply::None),
        }
    }

    fn unsigned(tsig: &Tsig<'_>, tsig_error: u16, reason: Reason, detail: String) -> Rejected {
        let reply = Reply::Unsigned {
            name: tsig.name.as_ref().to_owned(),
            algorithm: tsig.algorithm.to_owned(),
            time: tsig.time,
            fudge: tsig.fudge,
        };
        let reply = Box::new(reply);
        Rejected { tsig_error, rcode: Rcode::NOTAUTH, reason, detail: detail.into(), skew: None, reply }
    }

    fn signed(tsig: &Tsig<'_>, key: &Key, tsig_error: u16, reason: Reason, detail: String) -> Rejected {
        let prior = MacOctets::leading(tsig.mac, tsig.mac.len());
        let reply = Reply::Signed { key: key.clone(), prior, time: tsig.time };
        let reply = Box::new(reply);
        Rejected { tsig_error, rcode: Rcode::NOTAUTH, reason, detail: detail.into(), skew: None, reply }
    }

    /// Octets that [`Rejected::respond`] appends.
    pub fn tsig_len(&self) -> usize {
        match &*self.reply {
            Reply::None => 0,
            Reply::Unsigned { name, algorithm, .. } => {
                record::len(name.as_wire().len(), algorithm.as_wire().len(), 0, 0)
            }
            Reply::Signed { key, .. } => key.tsig_len() + self.other(0).len(),
        }
    }

    /// Appends the TSIG record of the error to the response that stands in `response` from `from` on, header first with
    /// [`Rejected::rcode`] in it. Without a MAC for BADKEY and BADSIG, signed for BADTIME and BADTRUNC
    /// (RFC 8945 §5.3.2); nothing for FORMERR.
    pub fn respond(&self, response: &mut Vec<u8>, from: usize, unix_now: u64) {
        match &*self.reply {
            Reply::None => {}
            Reply::Unsigned { name, algorithm, time, fudge } => Outgoing {
                name: name.as_ref(),
                algorithm: algorithm.as_wire(),
                time: *time,
                fudge: *fudge,
                mac: &[],
                error: self.tsig_error,
                other: &[],
            }
            .append(response, from),
            Reply::Signed { key, prior, time } => {
                // RFC 8945 §5.2.3: for BADTIME the asker's time, which its own check will pass, and ours beside it.
                let bad_time = self.tsig_error == tsig_error::BADTIME;
                let now = record::clamp(unix_now);
                let time = if bad_time { *time } else { now };
                let other = self.other(now);
                let mut digest = key.begin_after(prior);
                digest.update(response.get(from..).unwrap_or_default());
                digest.variables(key, time, FUDGE, self.tsig_error, &other);
                let mac = digest.finish(key.algorithm());
                Outgoing {
                    name: key.canonical_name(),
                    algorithm: key.algorithm().as_wire(),
                    time,
                    fudge: FUDGE,
                    mac: mac.as_slice(),
                    error: self.tsig_error,
                    other: &other,
                }
                .append(response, from);
            }
        }
    }

    /// Other Data: our clock in 48 bits with BADTIME, else nothing.
    fn other(&self, now: u64) -> Vec<u8> {
        if self.tsig_error == tsig_error::BADTIME { now.to_be_bytes()[2..].to_vec() } else { Vec::new() }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reply::None => "no TSIG",
            Reply::Unsigned { .. } => "unsigned",
            Reply::Signed { .. } => "signed",
        })
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Rejected {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Forgery, NOW, answer, answer_with, key, mac_of, named, question};
    use crate::sign_request;

    fn ring() -> KeyRing {
        KeyRing::new(Algorithm::ALL.map(key))
    }

    fn rejected(message: &[u8], now: u64) -> Rejected {
        verify_request(message, &ring(), now).expect_err("the request is no good")
    }

    /// What the asker makes of our error.
    fn told(rejected: &Rejected, now: u64) -> Vec<u8> {
        let mut response = vec![0xEE; 5];
        response.extend(answer_with(9));
        rejected.respond(&mut response, 5, now);
        assert_eq!(response.len() - 5 - answer().len(), rejected.tsig_len());
        response.split_off(5)
    }

    #[test]
    fn unsigned_requests_pass_as_such_and_odd_messages_do_not() {
        assert!(verify_request(&question(), &ring(), NOW).unwrap().is_none());
        for message in [&[][..], &question()[..11], &question()[..20]] {
            let rejected = rejected(message, NOW);
            assert_eq!(rejected.rcode, Rcode::FORMERR);
            assert_eq!(rejected.reason, Reason::MalformedMessage);
        }
        // An answer, signed or not, is no request: a BADTIME answer sent back once stopped a server.
        let forgery = Forgery {
            error: tsig_error::BADTIME,
            other: vec![0; 6],
            ..Forgery::new(&key(Algorithm::HmacSha256), None)
        };
        for message in [answer(), forgery.seal(&answer())] {
            assert_eq!(rejected(&message, NOW).rcode, Rcode::FORMERR);
        }
    }

    #[test]
    fn a_signed_request_is_verified_and_its_answers_sealed() {
        for algorithm in Algorithm::ALL {
            let mut request = question();
            let mut stream = sign_request(&mut request, &key(algorithm), NOW);
            let mut seal = verify_request(&request, &ring(), NOW + 7).unwrap().unwrap();
            assert_eq!((seal.key(), seal.skew()), (&key(algorithm), -7));
            assert_eq!(seal.message_len(), question().len());
            for round in 0..5 {
                let mut message = vec![0xEE; round];
                message.extend(answer());
                seal.sign(&mut message, round, NOW + 7);
                assert_eq!(message.len(), round + answer().len() + seal.tsig_len());
                let verified = stream.verify(&message[round..], NOW).unwrap();
                assert_eq!((verified.len, verified.skew), (answer().len(), Some(7)));
            }
        }
    }

    #[test]
    fn an_unknown_key_or_algorithm_is_badkey_unsigned() {
        let stranger = named("stranger.example", Algorithm::HmacSha256, b"secret");
        let mut unknown = question();
        sign_request(&mut unknown, &stranger, NOW);
        let mut other_algorithm = question();
        sign_request(&mut other_algorithm, &key(Algorithm::HmacSha256), NOW);
        let at = other_algorithm.windows(11).position(|w| w == b"hmac-sha256").unwrap();
        other_algorithm[at + 8..at + 11].copy_from_slice(b"999");
        for request in [unknown, other_algorithm] {
            let rejected = rejected(&request, NOW);
            assert_eq!((rejected.rcode, rejected.tsig_error), (Rcode::NOTAUTH, tsig_error::BADKEY));
            assert_eq!(rejected.reason, Reason::TsigBadKey);
            let response = told(&rejected, NOW);
            let (sent, echo) =
                (record::find(&request).unwrap().unwrap(), record::find(&response).unwrap().unwrap());
            assert!(echo.mac.is_empty() && echo.other.is_empty());
            assert_eq!(echo.error, tsig_error::BADKEY);
            assert_eq!((echo.name.as_ref(), echo.algorithm), (sent.name.as_ref(), sent.algorithm));
            assert_eq!((echo.time, echo.fudge), (sent.time, sent.fudge));
            assert_eq!(echo.original_id, 0x1234);
        }
        // A known name with another algorithm is an unknown key, and the log tells them apart.
        let ring = KeyRing::new([key(Algorithm::HmacSha512)]);
        let mut request = question();
        sign_request(&mut request, &key(Algorithm::HmacSha256), NOW);
        let rejected = verify_request(&request, &ring, NOW).unwrap_err();
        assert_eq!(rejected.tsig_error, tsig_error::BADKEY);
        assert!(rejected.to_string().contains("is not for hmac-sha256"), "{rejected}");
    }

    #[test]
    fn a_wrong_mac_is_badsig_unsigned_even_when_the_time_is_wrong_too() {
        let false_key = named("transfer.key.example", Algorithm::HmacSha256, b"another secret");
        let mut request = question();
        let mut stream = sign_request(&mut request, &false_key, NOW - 9999);
        let rejected = rejected(&request, NOW);
        assert_eq!((rejected.rcode, rejected.tsig_error), (Rcode::NOTAUTH, tsig_error::BADSIG));
        let error = stream.verify(&told(&rejected, NOW), NOW).unwrap_err();
        assert_eq!((error.reason, error.proven), (Reason::TsigBadSig, false));
    }

    #[test]
    fn a_wrong_time_is_badtime_signed_and_the_asker_learns_the_difference() {
        for (time, now, skew) in
            [(NOW - 301, NOW, -301), (NOW + 301, NOW, 301), (0, NOW, -(NOW as i64)), (NOW, 0, NOW as i64)]
        {
            let mut request = question();
            let mut stream = sign_request(&mut request, &key(Algorithm::HmacSha1), time);
            let rejected = rejected(&request, now);
            assert_eq!((rejected.rcode, rejected.tsig_error), (Rcode::NOTAUTH, tsig_error::BADTIME));
            assert_eq!(rejected.skew, Some(skew));
            let error = stream.verify(&told(&rejected, now), time).unwrap_err();
            assert_eq!((error.reason, error.proven, error.skew), (Reason::TsigBadTime, true, Some(-skew)));
        }
        let mut request = question();
        sign_request(&mut request, &key(Algorithm::HmacSha1), NOW);
        assert!(verify_request(&request, &ring(), NOW + 300).is_ok());
        assert!(verify_request(&request, &ring(), NOW - 300).is_ok());
        // An asker who would sign for a day is bounded by our own cap.
        let generous = Forgery { fudge: u16::MAX, ..Forgery::new(&key(Algorithm::HmacSha1), None) };
        let request = generous.seal(&question());
        assert!(verify_request(&request, &ring(), NOW + 3600).is_ok());
        assert_eq!(rejected(&request, NOW + 3601).tsig_error, tsig_error::BADTIME);
    }

    #[test]
    fn lengths_of_macs_give_formerr_badtrunc_or_pass() {
        for algorithm in Algorithm::ALL {
            let key = key(algorithm);
            for mac_len in 0..=70 {
                let request = Forgery { mac_len, ..Forgery::new(&key, None) }.seal(&question());
                let verified = verify_request(&request, &ring(), NOW);
                if mac_len < algorithm.least_mac_len() || mac_len > algorithm.mac_len() {
                    let rejected = verified.unwrap_err();
                    assert_eq!((rejected.rcode, rejected.tsig_error), (Rcode::FORMERR, 0));
                    assert_eq!((rejected.reason, rejected.tsig_len()), (Reason::TsigMalformed, 0));
                    assert_eq!(told(&rejected, NOW), answer_with(9));
                } else if mac_len < 16 {
                    let rejected = verified.unwrap_err();
                    assert_eq!((rejected.rcode, rejected.tsig_error), (Rcode::NOTAUTH, tsig_error::BADTRUNC));
                    let response = told(&rejected, NOW + 5);
                    let tsig = record::find(&response).unwrap().unwrap();
                    assert_eq!((tsig.mac.len(), tsig.time), (algorithm.mac_len(), NOW + 5));
                    let mut digest = key.begin_after(&MacOctets::leading(&mac_of(&request), mac_len));
                    digest.stripped(&response, &tsig);
                    digest.variables(&key, tsig.time, tsig.fudge, tsig.error, tsig.other);
                    assert!(digest.verify(tsig.mac));
                } else {
                    // The answer builds on the MAC as it was cut (RFC 8945 §5.3).
                    let mut seal = verified.unwrap().unwrap();
                    let mut response = answer();
                    seal.sign(&mut response, 0, NOW);
                    let expected = Forgery::new(&key, Some(&mac_of(&request))).seal(&answer());
                    assert_eq!(response, expected);
                }
            }
        }
    }

    #[test]
    fn a_forwarded_request_is_verified_with_its_original_id_and_answered_with_its_own() {
        // RFC 8945 §5.5: a forwarder changes the header's ID.
        let mut request = question();
        sign_request(&mut request, &key(Algorithm::HmacSha256), NOW);
        request[..2].copy_from_slice(&[0xAB, 0xCD]);
        assert!(verify_request(&request, &ring(), NOW).is_ok());
        let mut seal = verify_request(&request, &ring(), NOW).unwrap().unwrap();
        let mut response = answer();
        response[..2].copy_from_slice(&[0xAB, 0xCD]);
        seal.sign(&mut response, 0, NOW);
        assert_eq!(record::find(&response).unwrap().unwrap().original_id, 0xABCD);
    }

    #[test]
    fn nothing_printed_tells_a_secret() {
        let mut request = question();
        let stream = sign_request(&mut request, &key(Algorithm::HmacSha256), NOW);
        let seal = verify_request(&request, &ring(), NOW).unwrap().unwrap();
        let late = rejected(&request, 0);
        let printed = format!("{stream:?} {seal:?} {late:?} {late} {:?}", ring());
        assert!(printed.contains("Transfer.Key.example. hmac-sha256"));
        assert!(!printed.contains("0123456789") && !printed.contains("48, 49"), "{printed}");
    }
}
