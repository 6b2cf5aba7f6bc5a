//! What holds for all messages and all streams.

#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use secondo_tsig::{
    Algorithm, ClientStream, Key, KeyRing, MAX_UNSIGNED, Seal, reject_unexpected, sign_request,
    verify_request,
};
use secondo_wire::{Header, Name, Reason, flags};

const NOW: u64 = 1_800_000_000;

fn algorithms() -> impl Strategy<Value = Algorithm> {
    prop::sample::select(&Algorithm::ALL[..])
}

/// A key and its secret.
fn keys_and_secrets() -> impl Strategy<Value = (Key, Vec<u8>)> {
    let names = "[a-zA-Z0-9-]{1,20}(\\.[a-zA-Z]{1,9}){0,3}";
    (names, algorithms(), vec(any::<u8>(), 1..200)).prop_map(|(name, algorithm, secret)| {
        (Key::new(Name::parse(&name).unwrap(), algorithm, &secret).unwrap(), secret)
    })
}

fn keys() -> impl Strategy<Value = Key> {
    keys_and_secrets().prop_map(|(key, _)| key)
}

/// A message of one question and some TXT records spread over the sections.
fn messages(qr: bool) -> impl Strategy<Value = Vec<u8>> {
    let records = vec(vec(any::<u8>(), 0..80), 0..6);
    (any::<u16>(), any::<u16>(), records, 0..3usize).prop_map(move |(id, word, records, section)| {
        let word = if qr { word | flags::QR } else { word & !flags::QR };
        let mut counts = [1, 0, 0, 0];
        counts[section + 1] = records.len() as u16;
        let mut out = Header { id, flags: word, counts }.to_octets().to_vec();
        out.extend_from_slice(b"\x07example\0\x00\xFC\x00\x01");
        for data in records {
            out.extend_from_slice(b"\xC0\x0C\x00\x10\x00\x01\x00\x00\x00\x3C");
            out.extend_from_slice(&(data.len() as u16).to_be_bytes());
            out.extend_from_slice(&data);
        }
        out
    })
}

/// An exchange begun: the two ends of it.
fn begin(key: &Key, mut request: Vec<u8>) -> (ClientStream, Seal) {
    let stream = sign_request(&mut request, key, NOW);
    let seal = verify_request(&request, &KeyRing::new([key.clone()]), NOW).unwrap().unwrap();
    (stream, seal)
}

/// Whether a flipped bit goes unnoticed in a message whose TSIG record stands at `start`: in the header's ID, for which
/// the Original ID stands in (RFC 8945 §4.3.2), and where it is the case of a letter in a name of the record (§4.3.3).
fn blind(message: &[u8], start: usize, at: usize, bit: u8) -> bool {
    let name_end = secondo_wire::skip_name(message, start).unwrap();
    let algorithm = name_end + 10;
    let algorithm_end = secondo_wire::skip_name(message, algorithm).unwrap();
    let in_name = (start..name_end).contains(&at) || (algorithm..algorithm_end).contains(&at);
    at < 2 || (in_name && bit == 5 && message[at].is_ascii_alphabetic())
}

proptest! {
    #[test]
    fn what_one_end_signs_the_other_verifies(
        key in keys(),
        request in messages(false),
        answers in vec(messages(true), 1..5),
        skew in -300i64..=300,
    ) {
        let signed = {
            let mut signed = request.clone();
            sign_request(&mut signed, &key, NOW);
            signed
        };
        prop_assert_eq!(signed.len() - request.len(), key.tsig_len());
        let ring = KeyRing::new([key.clone()]);
        let theirs = NOW.checked_add_signed(skew).unwrap();
        let mut seal = verify_request(&signed, &ring, theirs).unwrap().unwrap();
        prop_assert_eq!(seal.message_len(), request.len());
        let mut stream = begin(&key, request).0;
        for answer in answers {
            let mut signed = answer.clone();
            seal.sign(&mut signed, 0, theirs);
            prop_assert!(reject_unexpected(&signed).is_err() && reject_unexpected(&answer).is_ok());
            let verified = stream.verify(&signed, NOW).unwrap();
            prop_assert_eq!((verified.len, verified.skew), (answer.len(), Some(skew)));
        }
        prop_assert!(stream.finish().is_ok());
    }

    #[test]
    fn every_flipped_bit_of_a_request_is_noticed(key in keys(), request in messages(false)) {
        let ring = KeyRing::new([key.clone()]);
        let start = request.len();
        let mut signed = request;
        sign_request(&mut signed, &key, NOW);
        for at in 0..signed.len() {
            for bit in 0..8 {
                let mut flipped = signed.clone();
                flipped[at] ^= 1 << bit;
                let verified = verify_request(&flipped, &ring, NOW);
                // A record that is none of type TSIG any more leaves an unsigned request, which proves nothing.
                let accepted = matches!(verified, Ok(Some(_)));
                prop_assert_eq!(accepted, blind(&signed, start, at, bit), "octet {} bit {}", at, bit);
            }
        }
    }

    #[test]
    fn every_flipped_bit_of_an_answer_is_noticed(
        key in keys(),
        request in messages(false),
        first in messages(true),
        second in messages(true),
    ) {
        let (mut stream, mut seal) = begin(&key, request);
        for answer in [first, second] {
            let start = answer.len();
            let mut signed = answer;
            seal.sign(&mut signed, 0, NOW);
            for at in 0..signed.len() {
                for bit in 0..8 {
                    let mut flipped = signed.clone();
                    flipped[at] ^= 1 << bit;
                    let mut stream = stream.clone();
                    let verified = stream.verify(&flipped, NOW);
                    // Behind the first message, one that lost its seal passes as part of an unsigned run: what follows
                    // then fails.
                    let accepted = match verified {
                        Ok(verified) if !verified.signed => {
                            prop_assert!(stream.finish().is_err());
                            false
                        }
                        verified => verified.is_ok(),
                    };
                    prop_assert_eq!(accepted, blind(&signed, start, at, bit), "octet {} bit {}", at, bit);
                }
            }
            prop_assert!(stream.verify(&signed, NOW).unwrap().signed);
        }
    }

    #[test]
    fn random_octets_are_answered_and_never_panic(octets in vec(any::<u8>(), 0..300), now in any::<u64>()) {
        let key = Key::new(Name::parse("k").unwrap(), Algorithm::HmacSha256, b"secret").unwrap();
        let (mut stream, _) = begin(&key, Header { id: 1, flags: 0, counts: [0; 4] }.to_octets().to_vec());
        prop_assert!(stream.verify(&octets, now).is_err());
        let _ = reject_unexpected(&octets);
        if let Err(rejected) = verify_request(&octets, &KeyRing::new([key]), now) {
            let mut response = Header { id: 1, flags: flags::QR, counts: [0; 4] }.to_octets().to_vec();
            rejected.respond(&mut response, 0, now);
            prop_assert_eq!(response.len(), Header::SIZE + rejected.tsig_len());
        }
    }

    #[test]
    fn a_random_record_behind_a_message_never_passes_nor_panics(
        rdata in vec(any::<u8>(), 0..120),
        known in algorithms(),
        use_known in any::<bool>(),
        now in any::<u64>(),
    ) {
        let key = Key::new(Name::parse("k").unwrap(), known, b"secret").unwrap();
        let rdata = if use_known { [known.as_wire(), &rdata].concat() } else { rdata };
        for flags in [0, flags::QR, flags::QR | 9] {
            let mut message = Header { id: 1, flags, counts: [0, 0, 0, 1] }.to_octets().to_vec();
            message.extend_from_slice(b"\x01k\0\x00\xFA\x00\xFF\0\0\0\0");
            message.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
            message.extend_from_slice(&rdata);
            let rejected = verify_request(&message, &KeyRing::new([key.clone()]), now).unwrap_err();
            let mut response = Header { id: 1, flags: 0x8009, counts: [0; 4] }.to_octets().to_vec();
            rejected.respond(&mut response, 0, now);
            let (mut stream, _) = begin(&key, Header { id: 1, flags: 0, counts: [0; 4] }.to_octets().to_vec());
            prop_assert!(stream.verify(&message, now).is_err());
            prop_assert!(stream.verify(&response, now).is_err());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn streams_with_unsigned_runs_verify_whole_and_only_whole(
        (key, secret) in keys_and_secrets(),
        request in messages(false),
        runs in vec((0..5usize, messages(true)), 1..6),
        spoiled in any::<prop::sample::Index>(),
    ) {
        let mut asked = request;
        let stream = sign_request(&mut asked, &key, NOW);
        let messages = by_hand::stream(&key, &secret, &asked, &runs);
        let mut whole = stream.clone();
        for (message, signed) in &messages {
            prop_assert_eq!(whole.verify(message, NOW).unwrap().signed, *signed);
            prop_assert_eq!(whole.finish().is_ok(), *signed);
        }
        prop_assert!(whole.finish().is_ok());

        // One message left out, doubled or changed: some later seal breaks, or the last one is missing.
        let at = spoiled.index(messages.len());
        let mut left_out = messages.clone();
        left_out.remove(at);
        let mut doubled = messages.clone();
        doubled.insert(at, messages[at].clone());
        let mut changed = messages.clone();
        changed[at].0[14] ^= 0x01;
        for spoiled in [left_out, doubled, changed] {
            let mut stream = stream.clone();
            let broken = spoiled.iter().any(|(message, _)| stream.verify(message, NOW).is_err());
            // Without its last signed message alone the stream is whole as far as it goes; the end of the transfer is
            // told by its content.
            let cut_at_end = spoiled.len() < messages.len() && at + 1 == messages.len();
            prop_assert!(broken || stream.finish().is_err() || cut_at_end);
        }
    }

    #[test]
    fn the_hundredth_unsigned_message_in_a_row_is_refused(key in keys(), answer in messages(true)) {
        let (mut stream, mut seal) = begin(&key, Header { id: 1, flags: 0, counts: [0; 4] }.to_octets().to_vec());
        let mut first = answer.clone();
        seal.sign(&mut first, 0, NOW);
        stream.verify(&first, NOW).unwrap();
        for _ in 0..MAX_UNSIGNED {
            prop_assert!(!stream.verify(&answer, NOW).unwrap().signed);
        }
        prop_assert_eq!(stream.verify(&answer, NOW).unwrap_err().reason, Reason::TsigMissing);
    }
}

/// A sender of unsigned runs, which ours is not: written from RFC 8945 §5.3.1 with the hashes alone.
mod by_hand {
    use super::*;
    use hmac::{Hmac, KeyInit, Mac};

    fn mac(algorithm: Algorithm, secret: &[u8], octets: &[u8]) -> Vec<u8> {
        fn whole<H: KeyInit + Mac>(secret: &[u8], octets: &[u8]) -> Vec<u8> {
            <H as KeyInit>::new_from_slice(secret)
                .unwrap()
                .chain_update(octets)
                .finalize()
                .into_bytes()
                .to_vec()
        }
        let mut mac = match algorithm.hash_len() {
            16 => whole::<Hmac<md5::Md5>>(secret, octets),
            20 => whole::<Hmac<sha1::Sha1>>(secret, octets),
            28 => whole::<Hmac<sha2::Sha224>>(secret, octets),
            32 => whole::<Hmac<sha2::Sha256>>(secret, octets),
            48 => whole::<Hmac<sha2::Sha384>>(secret, octets),
            _ => whole::<Hmac<sha2::Sha512>>(secret, octets),
        };
        mac.truncate(algorithm.mac_len());
        mac
    }

    /// For each run so many copies of its message unsigned, then the message signed. The first message is signed.
    /// Returns each with whether it is signed.
    pub(super) fn stream(
        key: &Key,
        secret: &[u8],
        asked: &[u8],
        runs: &[(usize, Vec<u8>)],
    ) -> Vec<(Vec<u8>, bool)> {
        let algorithm = key.algorithm();
        // At the end of the request: MAC, Original ID, Error, Other Len.
        let mut prior = asked[asked.len() - 6 - algorithm.mac_len()..asked.len() - 6].to_vec();
        let mut out: Vec<(Vec<u8>, bool)> = Vec::new();
        for (unsigned, message) in runs {
            let first = out.is_empty();
            let mut digested = [&(prior.len() as u16).to_be_bytes()[..], &prior].concat();
            for _ in 0..if first { 0 } else { *unsigned } {
                digested.extend_from_slice(message);
                out.push((message.clone(), false));
            }
            let timers = [&NOW.to_be_bytes()[2..], &[1, 44]].concat();
            let name = key.name().to_lower();
            digested.extend_from_slice(message);
            if first {
                digested.extend_from_slice(name.as_wire());
                digested.extend_from_slice(&[0, 255, 0, 0, 0, 0]);
                digested.extend_from_slice(algorithm.as_wire());
            }
            digested.extend_from_slice(&timers);
            if first {
                digested.extend_from_slice(&[0; 4]);
            }
            prior = mac(algorithm, secret, &digested);
            let size = (prior.len() as u16).to_be_bytes();
            let rdata = [algorithm.as_wire(), &timers, &size, &prior, &message[..2], &[0, 0, 0, 0]].concat();
            let length = (rdata.len() as u16).to_be_bytes();
            let fixed = [0, 250, 0, 255, 0, 0, 0, 0];
            let mut signed = [message, name.as_wire(), &fixed, &length, &rdata].concat();
            signed[11] += 1;
            out.push((signed, true));
        }
        out
    }
}
