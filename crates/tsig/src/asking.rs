//! The asking end: signs a request and verifies its answer, be it one message or a stream of them (RFC 8945 §5.1, §5.4,
//! §5.3.1).

use std::fmt;

use secondo_wire::{Header, Rcode, Reason, flags};

use crate::digest::{Digest, MacOctets};
use crate::error::{SealError, tsig_error};
use crate::key::Key;
use crate::record::{self, Outgoing, Tsig};
use crate::{Algorithm, FUDGE, MAX_FUDGE};

/// Messages without TSIG that may follow each other between two signed ones (RFC 8945 §5.3.1).
pub const MAX_UNSIGNED: u32 = 99;

/// Signs a request: appends the TSIG record and counts it in ARCOUNT. `message` is the whole request, with its header
/// at offset 0; `unix_now` in seconds since 1970. Returns what verifies the answer.
pub fn sign_request(message: &mut Vec<u8>, key: &Key, unix_now: u64) -> ClientStream {
    let time = record::clamp(unix_now);
    // RFC 8945 §5.1: message and TSIG variables.
    let mut digest = key.begin();
    digest.update(message);
    digest.variables(key, time, FUDGE, 0, &[]);
    let mac = digest.finish(key.algorithm());
    Outgoing {
        name: key.canonical_name(),
        algorithm: key.algorithm().as_wire(),
        time,
        fudge: FUDGE,
        mac: mac.as_slice(),
        error: 0,
        other: &[],
    }
    .append(message, 0);
    ClientStream { key: key.clone(), running: key.begin_after(&mac), heard: Heard::Nothing }
}

/// Verifies the answer to one request, message by message, in the order they came.
///
/// A message that is refused leaves no trace: over UDP the next one may be tried. The header's ID is not covered by a
/// MAC (the Original ID takes its place), so the caller compares it with the request's.
#[derive(Clone)]
pub struct ClientStream {
    key: Key,
    /// Fed with the MAC before and with the unsigned messages since.
    running: Digest,
    heard: Heard,
}

/// What came so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Nothing,
    /// The last message was signed.
    Signed,
    /// So many unsigned messages since the last signed one: `1 <= n <= MAX_UNSIGNED`.
    Unsigned(u32),
}

/// What the seal says about an accepted message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whether the message itself was signed. When not, its content is proven only by the next signed one.
    pub signed: bool,
    /// Octets of the message without its TSIG record.
    pub len: usize,
    /// The primary's clock minus ours, in seconds; `None` when unsigned.
    pub skew: Option<i64>,
}

impl ClientStream {
    /// Verifies the next message of the answer.
    pub fn verify(&mut self, message: &[u8], unix_now: u64) -> Result<Verified, SealError> {
        let found = record::find(message)?;
        // A request that comes back must not pass for its answer.
        if !Header::read(message).is_some_and(|header| header.has(flags::QR)) {
            return Err(SealError::new(Reason::BadAnswer, "a request came as answer (RFC 1035 §4.1.1)"));
        }
        match found {
            Some(tsig) => self.signed(message, &tsig, unix_now),
            None => self.unsigned(message),
        }
    }

    /// An error unless the last message was signed: without that seal, what came since is not proven (RFC 8945 §5.3.1).
    pub fn finish(&self) -> Result<(), SealError> {
        match self.heard {
            Heard::Signed => Ok(()),
            Heard::Nothing => Err(missing("nothing signed came (RFC 8945 §5.4)")),
            Heard::Unsigned(_) => Err(missing("the last message is not signed (RFC 8945 §5.3.1)")),
        }
    }

    /// The key that the request was signed with.
    pub fn key(&self) -> &Key {
        &self.key
    }

    fn unsigned(&mut self, message: &[u8]) -> Result<Verified, SealError> {
        let run = match self.heard {
            Heard::Nothing => {
                return Err(missing("the answer's first message is not signed (RFC 8945 §5.4)"));
            }
            Heard::Signed => 1,
            Heard::Unsigned(MAX_UNSIGNED) => {
                return Err(missing("more than 99 messages in a row are not signed (RFC 8945 §5.3.1)"));
            }
            Heard::Unsigned(run) => run + 1,
        };
        // RFC 8945 §5.3.1: unsigned messages are digested as they came.
        self.running.update(message);
        self.heard = Heard::Unsigned(run);
        Ok(Verified { signed: false, len: message.len(), skew: None })
    }

    fn signed(&mut self, message: &[u8], tsig: &Tsig<'_>, unix_now: u64) -> Result<Verified, SealError> {
        if tsig.mac.is_empty() {
            return Err(unsigned_error(tsig));
        }
        // RFC 8945 §5.4: the same checks in the same order as for a request: key, MAC, time, truncation.
        self.check_key(tsig)?;
        check_length(tsig, self.key.algorithm())?;
        let mut digest = self.running.clone();
        digest.stripped(message, tsig);
        match self.heard {
            Heard::Nothing => digest.variables(&self.key, tsig.time, tsig.fudge, tsig.error, tsig.other),
            // RFC 8945 §5.3.1: from the second message on the timers alone.
            _ => digest.timers(tsig.time, tsig.fudge),
        }
        if !digest.verify(tsig.mac) {
            return Err(SealError::new(Reason::TsigBadSig, "the MAC does not verify (RFC 8945 §5.2.2)"));
        }
        check_error(tsig, unix_now).map_err(|error| match self.heard {
            Heard::Nothing => error,
            // With the timers alone, error and Other Data are not under the MAC.
            _ => SealError { proven: false, skew: None, ..error },
        })?;
        let skew = record::ahead(tsig.time, unix_now);
        // RFC 8945 §5.2.3, §5.4.3: now must lie within Time Signed plus and minus Fudge, in every signed message.
        if skew.unsigned_abs() > u64::from(tsig.fudge.min(MAX_FUDGE)) {
            let detail = format!("Time Signed is {skew} s from our clock, past the fudge (RFC 8945 §5.4.3)");
            return Err(SealError { skew: Some(skew), ..SealError::proven(Reason::TsigBadTime, detail) });
        }
        if tsig.mac.len() < self.key.algorithm().accepted_mac_len() {
            let detail = format!("a MAC of {} octets is shorter than 16 (RFC 8945 §5.2.4)", tsig.mac.len());
            return Err(SealError::proven(Reason::TsigBadTrunc, detail));
        }
        // The octets as sent, truncated or not, are what the next MAC builds on.
        self.running = self.key.begin_after(&MacOctets::leading(tsig.mac, tsig.mac.len()));
        self.heard = Heard::Signed;
        Ok(Verified { signed: true, len: tsig.start, skew: Some(skew) })
    }

    /// RFC 8945 §5.4: the answer bears the request's key and algorithm, in all its messages.
    fn check_key(&self, tsig: &Tsig<'_>) -> Result<(), SealError> {
        if tsig.name.as_ref() != self.key.canonical_name() {
            let detail = format!(
                "the answer is signed with key {} instead of {} (RFC 8945 §5.4)",
                tsig.name.as_ref(),
                self.key.name()
            );
            return Err(SealError::new(Reason::TsigBadKey, detail));
        }
        if Algorithm::from_name(tsig.algorithm) != Some(self.key.algorithm()) {
            let detail = format!(
                "the answer is signed with {} instead of {} (RFC 8945 §5.4)",
                tsig.algorithm,
                self.key.algorithm()
            );
            return Err(SealError::new(Reason::TsigBadKey, detail));
        }
        Ok(())
    }
}

impl fmt::Debug for ClientStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientStream({:?} {:?})", self.key, self.heard)
    }
}

/// An answer to an unsigned request must not bear a TSIG record: nobody could verify it.
pub fn reject_unexpected(message: &[u8]) -> Result<(), SealError> {
    match record::find(message) {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(SealError::new(
            Reason::TsigUnexpected,
            "the answer bears a TSIG record though the request was not signed (RFC 8945 §5.3)",
        )),
        Err(misfit) => Err(misfit.into()),
    }
}

/// RFC 8945 §5.2.2.1: lengths that must not be sent. Checked before any octet is compared.
fn check_length(tsig: &Tsig<'_>, algorithm: Algorithm) -> Result<(), SealError> {
    let (least, most) = (algorithm.least_mac_len(), algorithm.mac_len());
    if (least..=most).contains(&tsig.mac.len()) {
        return Ok(());
    }
    let detail = format!(
        "a MAC of {} octets for {algorithm}, which has {least} to {most} (RFC 8945 §5.2.2.1)",
        tsig.mac.len()
    );
    Err(SealError::new(Reason::TsigMalformed, detail))
}

/// An answer with a TSIG record but without a MAC is never accepted; with NOTAUTH it hints at the reason
/// (RFC 8945 §5.3.2, §5.4.1, §5.4.2).
fn unsigned_error(tsig: &Tsig<'_>) -> SealError {
    let (reason, word) = match tsig.error {
        _ if tsig.header.rcode() != Rcode::NOTAUTH => (Reason::TsigMalformed, ""),
        tsig_error::BADSIG => (Reason::TsigBadSig, "BADSIG"),
        tsig_error::BADKEY => (Reason::TsigBadKey, "BADKEY"),
        tsig_error::BADTIME => (Reason::TsigBadTime, "BADTIME"),
        tsig_error::BADTRUNC => (Reason::TsigBadTrunc, "BADTRUNC"),
        _ => (Reason::TsigMalformed, ""),
    };
    if word.is_empty() {
        return SealError::new(reason, "the answer's TSIG record has no MAC (RFC 8945 §5.3.2)");
    }
    SealError::new(reason, format!("the answer says NOTAUTH with {word}, unsigned (RFC 8945 §5.3.2)"))
}

/// The error field of an answer whose MAC is good (RFC 8945 §5.4.3, §5.4.4).
fn check_error(tsig: &Tsig<'_>, unix_now: u64) -> Result<(), SealError> {
    let said = |reason, word: &str| {
        SealError::proven(reason, format!("the answer says {word}, signed (RFC 8945 §5.3.2)"))
    };
    match tsig.error {
        0 => Ok(()),
        tsig_error::BADTIME => {
            // RFC 8945 §5.2.3: Other Data holds the primary's clock.
            let skew = tsig.other.first_chunk().map(|&[a, b, c, d, e, f]| {
                record::ahead(u64::from_be_bytes([0, 0, a, b, c, d, e, f]), unix_now)
            });
            Err(SealError { skew, ..said(Reason::TsigBadTime, "BADTIME") })
        }
        tsig_error::BADTRUNC => Err(said(Reason::TsigBadTrunc, "BADTRUNC")),
        tsig_error::BADSIG => Err(said(Reason::TsigBadSig, "BADSIG")),
        tsig_error::BADKEY => Err(said(Reason::TsigBadKey, "BADKEY")),
        other => Err(said(Reason::TsigMalformed, &format!("TSIG error {other}"))),
    }
}

fn missing(detail: &'static str) -> SealError {
    SealError::new(Reason::TsigMissing, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Forgery, NOW, answer, answer_with, key, mac_of, named, question};

    /// A request asked with `key`, and a forgery ready to answer it.
    fn asked(key: &Key) -> (ClientStream, Forgery) {
        let mut request = question();
        let stream = sign_request(&mut request, key, NOW);
        assert_eq!(request.len(), question().len() + key.tsig_len());
        (stream, Forgery::new(key, Some(&mac_of(&request))))
    }

    fn refused(stream: &mut ClientStream, message: &[u8]) -> SealError {
        stream.verify(message, NOW).expect_err("the message is no good")
    }

    #[test]
    fn a_good_answer_is_accepted_and_the_difference_of_the_clocks_told() {
        for algorithm in Algorithm::ALL {
            let (mut stream, forgery) = asked(&key(algorithm));
            assert_eq!(stream.finish().unwrap_err().reason, Reason::TsigMissing);
            let message = Forgery { time: NOW - 20, ..forgery }.seal(&answer());
            let verified = stream.verify(&message, NOW).unwrap();
            assert_eq!(verified, Verified { signed: true, len: answer().len(), skew: Some(-20) });
            assert_eq!(stream.finish(), Ok(()));
        }
    }

    #[test]
    fn what_is_refused_leaves_no_trace() {
        // RFC 8945 §5.4: over UDP one goes on waiting for the true answer.
        let key = key(Algorithm::HmacSha256);
        let (mut stream, forgery) = asked(&key);
        let good = forgery.seal(&answer());
        let mut bad = good.clone();
        bad[14] ^= 0x20;
        assert_eq!(refused(&mut stream, &answer()).reason, Reason::TsigMissing);
        assert_eq!(refused(&mut stream, &bad).reason, Reason::TsigBadSig);
        assert_eq!(refused(&mut stream, &good[..30]).reason, Reason::MalformedMessage);
        assert_eq!(refused(&mut stream, &[]).reason, Reason::MalformedMessage);
        let told = Forgery { mac_len: 0, error: tsig_error::BADSIG, ..forgery }.seal(&answer_with(9));
        assert_eq!(refused(&mut stream, &told).reason, Reason::TsigBadSig);
        assert!(stream.verify(&good, NOW).unwrap().signed);
    }

    #[test]
    fn a_request_that_comes_back_is_no_answer() {
        let key = key(Algorithm::HmacSha256);
        let (mut stream, forgery) = asked(&key);
        let mut echo = question();
        sign_request(&mut echo, &key, NOW);
        assert_eq!(refused(&mut stream, &echo).reason, Reason::BadAnswer);
        assert_eq!(refused(&mut stream, &forgery.seal(&question())).reason, Reason::BadAnswer);
    }

    #[test]
    fn another_key_algorithm_or_secret_is_told_apart() {
        let ours = key(Algorithm::HmacSha256);
        let (mut stream, forgery) = asked(&ours);
        for (theirs, reason) in [
            (named("other.example", Algorithm::HmacSha256, b"secret"), Reason::TsigBadKey),
            (key(Algorithm::HmacSha512), Reason::TsigBadKey),
            (key(Algorithm::HmacSha256_128), Reason::TsigBadKey),
            (named("transfer.key.example", Algorithm::HmacSha256, b"another"), Reason::TsigBadSig),
        ] {
            let mac_len = theirs.algorithm().mac_len();
            let message = Forgery { key: theirs, mac_len, ..forgery.clone() }.seal(&answer());
            let error = refused(&mut stream, &message);
            assert_eq!((error.reason, error.proven, error.skew), (reason, false, None), "{error}");
        }
        // The request's MAC must have gone into the answer's (RFC 8945 §4.3.1).
        for prior in [None, Some(vec![0; 32])] {
            let message = Forgery { prior, ..forgery.clone() }.seal(&answer());
            assert_eq!(refused(&mut stream, &message).reason, Reason::TsigBadSig);
        }
    }

    #[test]
    fn time_may_differ_by_the_fudge_and_not_by_a_second_more() {
        let key = key(Algorithm::HmacSha256);
        let (stream, forgery) = asked(&key);
        let top = 0xFFFF_FFFF_FFFFu64;
        for (time, fudge, now, good) in [
            (NOW - 300, 300, NOW, true),
            (NOW + 300, 300, NOW, true),
            (NOW - 301, 300, NOW, false),
            (NOW + 301, 300, NOW, false),
            (NOW, 0, NOW, true),
            (NOW, 0, NOW + 1, false),
            // A generous peer is bounded by our own cap.
            (NOW - 3600, u16::MAX, NOW, true),
            (NOW - 3601, u16::MAX, NOW, false),
            // Ends of the scale: nothing wraps.
            (0, 300, 0, true),
            (0, 300, NOW, false),
            (NOW, 300, 0, false),
            (top, u16::MAX, 0, false),
            (0, u16::MAX, u64::MAX, false),
            (top, 300, u64::MAX, true),
        ] {
            let message = Forgery { time, fudge, ..forgery.clone() }.seal(&answer());
            let verified = stream.clone().verify(&message, now);
            let skew = time as i64 - now.min(top) as i64;
            match verified {
                Ok(verified) => assert_eq!((good, verified.skew), (true, Some(skew))),
                Err(error) => {
                    assert_eq!((good, error.reason, error.skew), (false, Reason::TsigBadTime, Some(skew)));
                    assert!(error.proven);
                }
            }
        }
    }

    #[test]
    fn lengths_of_macs_are_judged_before_their_octets() {
        for algorithm in Algorithm::ALL {
            let (stream, forgery) = asked(&key(algorithm));
            for mac_len in 1..=70 {
                let message = Forgery { mac_len, ..forgery.clone() }.seal(&answer());
                let verified = stream.clone().verify(&message, NOW).map_err(|error| error.reason);
                let expected = if mac_len < algorithm.least_mac_len() || mac_len > algorithm.mac_len() {
                    Err(Reason::TsigMalformed)
                } else if mac_len < 16 {
                    Err(Reason::TsigBadTrunc)
                } else {
                    Ok(())
                };
                assert_eq!(verified.map(drop), expected, "{algorithm} {mac_len}");
            }
        }
    }

    #[test]
    fn an_unsigned_error_is_a_hint_and_never_accepted() {
        let (stream, forgery) = asked(&key(Algorithm::HmacSha256));
        for (error, reason) in [
            (tsig_error::BADSIG, Reason::TsigBadSig),
            (tsig_error::BADKEY, Reason::TsigBadKey),
            (tsig_error::BADTIME, Reason::TsigBadTime),
            (tsig_error::BADTRUNC, Reason::TsigBadTrunc),
            (0, Reason::TsigMalformed),
            (1234, Reason::TsigMalformed),
        ] {
            let forgery = Forgery { mac_len: 0, error, other: vec![0; 6], ..forgery.clone() };
            let told = refused(&mut stream.clone(), &forgery.seal(&answer_with(9)));
            assert_eq!((told.reason, told.proven, told.skew), (reason, false, None), "{told}");
            // Only NOTAUTH gives such an error its meaning.
            let told = refused(&mut stream.clone(), &forgery.seal(&answer_with(0)));
            assert_eq!((told.reason, told.proven), (Reason::TsigMalformed, false), "{told}");
        }
    }

    #[test]
    fn a_signed_error_is_proven_and_badtime_tells_their_clock() {
        let (stream, forgery) = asked(&key(Algorithm::HmacSha256));
        let clock = |seconds: u64| seconds.to_be_bytes()[2..].to_vec();
        for (error, other, reason, skew) in [
            (tsig_error::BADTIME, clock(NOW + 900), Reason::TsigBadTime, Some(900)),
            (tsig_error::BADTIME, clock(0), Reason::TsigBadTime, Some(-(NOW as i64))),
            (tsig_error::BADTIME, vec![1, 2, 3], Reason::TsigBadTime, None),
            (tsig_error::BADTRUNC, vec![], Reason::TsigBadTrunc, None),
            (tsig_error::BADSIG, vec![], Reason::TsigBadSig, None),
            (tsig_error::BADKEY, vec![], Reason::TsigBadKey, None),
            (4711, vec![], Reason::TsigMalformed, None),
        ] {
            let message = Forgery { error, other, ..forgery.clone() }.seal(&answer_with(9));
            let told = refused(&mut stream.clone(), &message);
            assert_eq!((told.reason, told.proven, told.skew), (reason, true, skew), "{told}");
            // The clock told is believed with a good MAC only.
            let mut forged = message;
            let at = forged.len() - 1;
            forged[at] ^= 1;
            let told = refused(&mut stream.clone(), &forged);
            assert!(!told.proven && told.skew.is_none(), "{told}");
        }
    }

    /// A stream after its first message, and a forgery ready to sign the next.
    fn streaming() -> (ClientStream, Forgery) {
        let (mut stream, forgery) = asked(&key(Algorithm::HmacSha256));
        let first = forgery.seal(&answer());
        stream.verify(&first, NOW).unwrap();
        (stream, Forgery { prior: Some(mac_of(&first)), timers: true, ..forgery })
    }

    #[test]
    fn later_messages_build_on_the_mac_before_with_timers_alone() {
        let (stream, forgery) = streaming();
        assert!(stream.clone().verify(&forgery.seal(&answer()), NOW).unwrap().signed);
        for wrong in [
            Forgery { timers: false, ..forgery.clone() },
            Forgery { prior: None, ..forgery.clone() },
            Forgery { prior: Some(vec![7; 32]), ..forgery.clone() },
        ] {
            assert_eq!(refused(&mut stream.clone(), &wrong.seal(&answer())).reason, Reason::TsigBadSig);
        }
        // Error and Other Data are not under the MAC here: they stop the stream, and prove nothing.
        let error = Forgery { error: tsig_error::BADTIME, other: vec![0; 6], ..forgery.clone() };
        let told = refused(&mut stream.clone(), &error.seal(&answer()));
        assert_eq!((told.reason, told.proven, told.skew), (Reason::TsigBadTime, false, None));
        // The clock is looked at in every signed message.
        let late = Forgery { time: NOW - 301, ..forgery.clone() }.seal(&answer());
        assert_eq!(refused(&mut stream.clone(), &late).reason, Reason::TsigBadTime);
        // And so are key and algorithm.
        let other = named("other.example", Algorithm::HmacSha256, b"0123456789abcdef0123456789abcdef");
        let other = Forgery { key: other, ..forgery.clone() }.seal(&answer());
        assert_eq!(refused(&mut stream.clone(), &other).reason, Reason::TsigBadKey);
    }

    #[test]
    fn ninety_nine_unsigned_messages_may_follow_each_other_and_the_last_must_be_signed() {
        let (mut stream, forgery) = streaming();
        for _ in 0..MAX_UNSIGNED {
            let verified = stream.verify(&answer(), NOW).unwrap();
            assert_eq!(verified, Verified { signed: false, len: answer().len(), skew: None });
            assert_eq!(stream.finish().unwrap_err().reason, Reason::TsigMissing);
        }
        let hundredth = refused(&mut stream.clone(), &answer());
        assert_eq!(hundredth.reason, Reason::TsigMissing);
        assert!(hundredth.detail.contains("§5.3.1"));

        // The seal covers all of the run, in order: as digested by hand.
        let mut digest = forgery.key.begin_after(&MacOctets::leading(&forgery.prior.clone().unwrap(), 32));
        for _ in 0..=MAX_UNSIGNED {
            digest.update(&answer());
        }
        digest.timers(NOW, 300);
        let mac = digest.finish(Algorithm::HmacSha256);
        let mut sealed = answer();
        let algorithm = Algorithm::HmacSha256.as_wire();
        let name = forgery.key.canonical_name();
        Outgoing { name, algorithm, time: NOW, fudge: 300, mac: mac.as_slice(), error: 0, other: &[] }
            .append(&mut sealed, 0);
        assert!(stream.verify(&sealed, NOW).unwrap().signed);
        assert_eq!(stream.finish(), Ok(()));
        // The count begins anew.
        assert!((0..MAX_UNSIGNED).all(|_| stream.verify(&answer(), NOW).is_ok()));
        assert!(stream.verify(&answer(), NOW).is_err());
    }

    #[test]
    fn badtrunc_is_understood_behind_a_truncated_request() {
        // Ours are never cut; a peer's policy may be changed under a key all the same.
        let key = key(Algorithm::HmacMd5);
        let cut = [9; 12];
        let running = key.begin_after(&MacOctets::leading(&cut, 12));
        let mut stream = ClientStream { key: key.clone(), running, heard: Heard::Nothing };
        let forgery = Forgery { error: tsig_error::BADTRUNC, ..Forgery::new(&key, Some(&cut)) };
        let told = refused(&mut stream, &forgery.seal(&answer_with(9)));
        assert_eq!((told.reason, told.proven), (Reason::TsigBadTrunc, true));
    }

    #[test]
    fn a_seal_that_nobody_asked_for_is_an_error() {
        let (_, forgery) = asked(&key(Algorithm::HmacSha256));
        assert_eq!(reject_unexpected(&answer()), Ok(()));
        let sealed = forgery.seal(&answer());
        assert_eq!(reject_unexpected(&sealed).unwrap_err().reason, Reason::TsigUnexpected);
        assert_eq!(reject_unexpected(&sealed[..40]).unwrap_err().reason, Reason::MalformedMessage);
    }
}
