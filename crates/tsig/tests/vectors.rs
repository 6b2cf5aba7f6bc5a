//! Octets that other programs signed: captured from BIND, Knot's kdig and dnspython, or made by hand from the RFC.
//! Where a file came from stands in its first line.

#![allow(clippy::unwrap_used)]

use secondo_tsig::{
    Algorithm, ClientStream, Key, KeyRing, MAX_UNSIGNED, Rejected, Seal, sign_request, tsig_error,
    verify_request,
};
use secondo_wire::{Header, Message, Name, Rcode, Reason, RecordType};

/// One exchange: a request and the messages of its answer.
struct Case {
    title: String,
    key: Key,
    /// Seconds since 1970.
    now: u64,
    request: Vec<u8>,
    answers: Vec<Vec<u8>>,
}

impl Case {
    /// Signs the request anew and expects the MAC that the other program made, which its answer builds on.
    fn ask(&self) -> ClientStream {
        let (time, stripped) = strip(&self.request);
        let mut request = stripped;
        let stream = sign_request(&mut request, &self.key, time);
        assert_eq!(mac(&request), mac(&self.request), "{}", self.title);
        stream
    }

    fn asked(&self) -> Result<Seal, Rejected> {
        let ring = KeyRing::new([self.key.clone()]);
        verify_request(&self.request, &ring, self.now).map(|seal| seal.expect("the request is signed"))
    }
}

fn cases(text: &str) -> Vec<Case> {
    assert!(text.starts_with("# "), "provenance is missing");
    let mut cases: Vec<Case> = Vec::new();
    let mut title = String::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (word, rest) = line.split_once(' ').unwrap();
        match word {
            "case" => title = rest.to_owned(),
            "key" => {
                let [name, algorithm, secret] = rest.split(' ').collect::<Vec<_>>().try_into().unwrap();
                let algorithm: Algorithm = algorithm.parse().unwrap();
                let key = Key::from_base64(Name::parse(name).unwrap(), algorithm, secret).unwrap();
                let title = title.clone();
                cases.push(Case { title, key, now: 0, request: Vec::new(), answers: Vec::new() });
            }
            "now" => cases.last_mut().unwrap().now = rest.parse().unwrap(),
            "request" => cases.last_mut().unwrap().request = hex(rest),
            "answer" => cases.last_mut().unwrap().answers.push(hex(rest)),
            other => panic!("{other}"),
        }
    }
    cases
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

/// Where the TSIG record, its RDATA and what follows the algorithm's name in it begin.
fn tsig_at(message: &[u8]) -> Option<(usize, usize, usize)> {
    let last = Message::new(message).unwrap().records().unwrap().last()?.unwrap();
    let behind_name = secondo_wire::skip_name(message, last.rdata).ok()?;
    (last.rtype == RecordType::TSIG).then_some((last.owner, last.rdata, behind_name))
}

/// Time Signed, and the message as it was before it was signed.
fn strip(message: &[u8]) -> (u64, Vec<u8>) {
    let (start, _, at) = tsig_at(message).unwrap();
    let mut header = Header::read(message).unwrap();
    header.counts[3] -= 1;
    let mut time = [0; 8];
    time[2..].copy_from_slice(&message[at..at + 6]);
    (u64::from_be_bytes(time), [&header.to_octets()[..], &message[12..start]].concat())
}

fn mac(message: &[u8]) -> &[u8] {
    let (_, _, at) = tsig_at(message).unwrap();
    let size = u16::from_be_bytes([message[at + 8], message[at + 9]]);
    &message[at + 10..][..size.into()]
}

/// Our record must be theirs, octet by octet, but for the spelling of the key's name.
fn assert_same(ours: &[u8], theirs: &[u8], title: &str) {
    assert_eq!(ours.to_ascii_lowercase(), theirs.to_ascii_lowercase(), "{title}");
}

#[test]
fn queries_of_dig_and_kdig_and_the_answers_of_named_verify_with_all_its_algorithms() {
    let cases = cases(include_str!("vectors/bind-soa.txt"));
    assert_eq!(cases.len(), 12);
    for case in cases {
        let mut stream = case.ask();
        let verified = stream.verify(&case.answers[0], case.now).unwrap();
        assert!(verified.signed && stream.finish().is_ok());
        assert_eq!(verified.len, tsig_at(&case.answers[0]).unwrap().0);

        // Asked the same at the same time, we answer with named's very octets.
        let mut seal = case.asked().unwrap();
        let (time, mut answer) = strip(&case.answers[0]);
        let before = answer.len();
        seal.sign(&mut answer, 0, time);
        assert_same(&answer, &case.answers[0], &case.title);
        assert_eq!(answer.len() - before, seal.tsig_len());
    }
}

#[test]
fn streams_of_named_verify_and_are_signed_by_us_to_the_octet() {
    let cases = cases(include_str!("vectors/bind-axfr.txt"));
    assert_eq!(cases.len(), 2);
    for case in cases {
        assert!(case.answers.len() > 3);
        let mut stream = case.ask();
        let mut seal = case.asked().unwrap();
        let mut out = vec![0xAA; 7]; // Others' octets stand before ours.
        for theirs in &case.answers {
            let verified = stream.verify(theirs, case.now).unwrap();
            assert!(verified.signed && stream.finish().is_ok());
            out.truncate(7);
            let (time, stripped) = strip(theirs);
            out.extend_from_slice(&stripped);
            seal.sign(&mut out, 7, time);
            assert_same(&out[7..], theirs, &case.title);
        }
        // No message may be left out, come twice or come out of order.
        let mut stream = case.ask();
        stream.verify(&case.answers[0], case.now).unwrap();
        for wrong in [0, 2] {
            let refused = stream.verify(&case.answers[wrong], case.now).unwrap_err();
            assert_eq!(refused.reason, Reason::TsigBadSig);
        }
        stream.verify(&case.answers[1], case.now).unwrap();
    }
}

#[test]
fn truncated_macs_of_dig_and_named_verify() {
    let cases = cases(include_str!("vectors/bind-truncated.txt"));
    let case = &cases[0];
    assert_eq!((mac(&case.request).len(), mac(&case.answers[0]).len()), (16, 16));
    assert!(case.asked().is_ok());
    // dig's query was cut, ours is not: only the stream behind the whole request can be followed.
    let case = &cases[1];
    let mut stream = case.ask();
    for answer in &case.answers {
        assert!(stream.verify(answer, case.now).unwrap().signed);
    }
}

#[test]
fn errors_of_named_are_understood_and_ours_are_the_same() {
    let cases = cases(include_str!("vectors/bind-errors.txt"));
    assert_eq!(cases.len(), 8);
    for case in cases {
        let asked = match case.title.as_str() {
            // There named knew the key by other facts.
            "badkey" => verify_request(&case.request, &KeyRing::default(), case.now).map(drop),
            "badkey-algorithm" | "badsig" => {
                let ours = Key::new(case.key.name().clone(), Algorithm::HmacSha256, b"another").unwrap();
                verify_request(&case.request, &KeyRing::new([ours]), case.now).map(drop)
            }
            _ => case.asked().map(drop),
        };
        let (reason, error, proven) = match case.title.as_str() {
            "none" => {
                assert!(asked.is_ok());
                assert!(case.ask().verify(&case.answers[0], case.now).is_ok());
                continue;
            }
            "badkey" | "badkey-algorithm" => (Reason::TsigBadKey, tsig_error::BADKEY, false),
            "badsig" => (Reason::TsigBadSig, tsig_error::BADSIG, false),
            "badtime" | "badtime-epoch" => (Reason::TsigBadTime, tsig_error::BADTIME, true),
            "badtrunc" => (Reason::TsigBadTrunc, tsig_error::BADTRUNC, true),
            "formerr-short" => (Reason::TsigMalformed, 0, false),
            other => panic!("{other}"),
        };
        let title = case.title.as_str();
        if title == "badtrunc" {
            // 16 octets of SHA-256 are enough for us, named's key wanted all; the answer builds on the cut MAC, which
            // our own requests never have.
            assert!(asked.is_ok());
            continue;
        }
        let rejected = asked.unwrap_err();
        assert_eq!((rejected.reason, rejected.tsig_error), (reason, error), "{title}");
        if title == "formerr-short" {
            assert_eq!(rejected.rcode, Rcode::FORMERR);
            continue;
        }
        assert_eq!(rejected.rcode, Rcode::NOTAUTH, "{title}");
        let mut stream = case.ask();
        let told = stream.verify(&case.answers[0], case.now).unwrap_err();
        assert_eq!((told.reason, told.proven), (reason, proven), "{title}: {told}");
        assert_eq!(told.skew, (error == tsig_error::BADTIME).then_some(0), "{title}");
        assert!(stream.finish().is_err());
        let (_, mut answer) = strip(&case.answers[0]);
        let before = answer.len();
        rejected.respond(&mut answer, 0, case.now);
        assert_same(&answer, &case.answers[0], title);
        assert_eq!(answer.len() - before, rejected.tsig_len(), "{title}");
    }
}

#[test]
fn streams_with_unsigned_runs_made_by_hand_verify_with_every_algorithm() {
    let cases = cases(include_str!("vectors/by-hand.txt"));
    assert_eq!(cases.len(), 13);
    for case in cases {
        assert_eq!(case.asked().unwrap().key(), &case.key);
        let mut stream = case.ask();
        let mut run = 0;
        for answer in &case.answers {
            let signed = tsig_at(answer).is_some();
            run = if signed { 0 } else { run + 1 };
            let verified = stream.verify(answer, case.now);
            if run > MAX_UNSIGNED {
                assert_eq!(case.title, "100 unsigned");
                assert_eq!(verified.unwrap_err().reason, Reason::TsigMissing);
                break;
            }
            let verified = verified.unwrap();
            assert_eq!((verified.signed, verified.skew.is_some()), (signed, signed));
            assert_eq!(stream.finish().is_ok(), signed);
        }
        assert_eq!(stream.finish().is_ok(), case.title != "100 unsigned", "{}", case.title);
    }
}
