//! What holds for any zone, any split into messages and any damage on the way.

#[allow(dead_code, unreachable_pub, clippy::unwrap_used)]
#[path = "../src/testing.rs"]
mod testing;

use proptest::prelude::*;
use secondo_transfer::{Arrived, Asked, Candidate, Fault, Kind, Outgoing, Request, Session, Step, Want};
use secondo_tsig::Key;
use secondo_wire::RecordType;
use secondo_zone::{Limits, Zone};
use testing::{ID, NOW, Rr, content, name, rr};

/// Some record of `example.`, from a small world so that versions overlap.
fn record() -> impl Strategy<Value = Rr> {
    let owner = prop_oneof![
        4 => (0..6u8, 0..3u8).prop_map(|(i, j)| format!("n{i}.s{j}.example.")),
        1 => Just("example.".to_owned()),
        1 => Just("*.Wild.example.".to_owned()),
        1 => Just("\\000\\255\\.x.example.".to_owned()),
    ];
    let data = prop_oneof![
        (0..4u8).prop_map(|i| (RecordType::A, vec![192, 0, 2, i])),
        (0..3u8).prop_map(|i| (RecordType::MX, [&[0, i], name("Mail.example.").as_wire()].concat())),
        (0..3u8).prop_map(|i| (RecordType::TXT, vec![1, i])),
        (0..3u8).prop_map(|i| (RecordType::NS, name(&format!("ns{i}.example.")).as_wire().to_vec())),
        (0..9000usize).prop_map(|n| (RecordType(65_280), vec![n as u8; n])),
        (1..5u16).prop_map(|covered| {
            let rest = b"\x08\x02\0\0\0\x05\0\0\0\x09\0\0\0\x01\0\x07\x07example\0sig";
            (RecordType::RRSIG, [&covered.to_be_bytes()[..], rest].concat())
        }),
    ];
    (owner, data, 300..303u32)
        .prop_map(|(owner, (rtype, rdata), ttl)| Rr { ttl, ..rr(&owner, rtype, &rdata) })
}

fn records() -> impl Strategy<Value = Vec<Rr>> {
    prop::collection::vec(record(), 0..40)
}

/// Two to five versions with serials that lead forward, over the wrap too.
fn versions() -> impl Strategy<Value = Vec<Zone>> {
    (any::<u32>(), prop::collection::vec((1..1000u32, records()), 2..5)).prop_map(|(first, steps)| {
        let mut serial = first;
        steps
            .into_iter()
            .map(|(step, more)| {
                serial = serial.wrapping_add(step);
                testing::zone(serial, &more)
            })
            .collect()
    })
}

fn ask(want: Want, current: Option<&Zone>, key: Option<&Key>) -> (Session, Vec<u8>) {
    let (zone, secret) = (name("example."), testing::secret());
    Session::new(Request {
        zone: &zone,
        want,
        current,
        secret: &secret,
        limits: Limits::default(),
        key,
        id: ID,
        edns: true,
        unix_now: NOW,
        forced: false,
    })
}

fn hear(mut session: Session, messages: &[Vec<u8>]) -> Result<Candidate, Fault> {
    for message in messages {
        match session.receive(message, NOW)? {
            Step::More => {}
            Step::Done(Arrived::Candidate(candidate)) => return Ok(candidate),
            Step::Done(Arrived::UpToDate { soa, .. }) => panic!("up to date at {}", soa.serial),
        }
    }
    Err(session.cut())
}

/// What our own sending side answers to `request`.
fn answer(zone: &Zone, request: &[u8], sealed: bool) -> Vec<Vec<u8>> {
    let seal = sealed.then(|| testing::seal(request));
    let asked = Asked::read(request, seal, 1000).expect("our own request can be read");
    let mut outgoing = Outgoing::axfr(zone.clone(), asked);
    let mut messages = Vec::new();
    loop {
        let mut out = Vec::new();
        if !outgoing.next_message(&mut out, NOW).expect("all records fit") {
            return messages;
        }
        messages.push(out);
        assert!(messages.len() < 1000, "it does not end");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn what_goes_out_comes_in_equal(more in records(), sealed: bool) {
        let zone = testing::zone(7, &more);
        let key = testing::key();
        let (session, request) = ask(Want::Axfr, None, sealed.then_some(&key));
        let candidate = hear(session, &answer(&zone, &request, sealed)).unwrap();
        prop_assert_eq!(content(candidate.zone()), content(&zone));
        prop_assert_eq!(candidate.zone().digest(), zone.digest());
        prop_assert_eq!(candidate.expire(), Some(1000));
        prop_assert!(candidate.warnings().is_empty(), "{:?}", candidate.warnings());
    }

    #[test]
    fn any_split_and_any_order_give_the_same_zone(
        more in records(),
        seed in prop::collection::vec(any::<prop::sample::Index>(), 40),
        per_message in 1..50usize,
    ) {
        let zone = testing::zone(7, &more);
        let mut stream = testing::axfr(&zone);
        let last = stream.len() - 1;
        // RFC 5936 §2.2: between the SOAs the order means nothing.
        for (i, index) in (1..last).zip(&seed) {
            stream.swap(i, 1 + index.index(last - 1));
        }
        let messages = testing::stream(RecordType::AXFR, &stream, per_message);
        let candidate = hear(ask(Want::Axfr, None, None).0, &messages).unwrap();
        prop_assert_eq!(content(candidate.zone()), content(&zone));
    }

    #[test]
    fn differences_lead_to_the_newest_version(versions in versions(), per_message in 1..50usize) {
        let stream = testing::ixfr(&versions);
        let messages = testing::stream(RecordType::IXFR, &stream, per_message);
        let candidate = hear(ask(Want::Ixfr, Some(&versions[0]), None).0, &messages).unwrap();
        prop_assert_eq!(candidate.kind(), Kind::Ixfr);
        let newest = versions.last().unwrap();
        prop_assert_eq!(content(candidate.zone()), content(newest));
        prop_assert_eq!(candidate.zone().digest(), newest.digest());
        let replayed = candidate.difference().unwrap().apply(&versions[0]).unwrap();
        prop_assert_eq!(content(&replayed), content(newest));
    }

    #[test]
    fn a_full_transfer_over_a_version_that_we_have_gives_the_new_one(versions in versions()) {
        let newest = versions.last().unwrap();
        for want in [Want::Axfr, Want::Ixfr] {
            let (session, request) = ask(want, Some(&versions[0]), None);
            let candidate = hear(session, &answer(newest, &request, false)).unwrap();
            prop_assert_eq!(content(candidate.zone()), content(newest));
            prop_assert_eq!(candidate.kind(), if want == Want::Axfr { Kind::Axfr } else { Kind::AxfrStyle });
        }
    }

    #[test]
    fn a_stream_cut_anywhere_is_never_a_version(versions in versions(), per_message in 1..20usize) {
        let base = &versions[0];
        let whole = testing::axfr(versions.last().unwrap());
        for (want, question, stream) in [
            (Want::Axfr, RecordType::AXFR, whole.clone()),
            (Want::Ixfr, RecordType::IXFR, whole),
            (Want::Ixfr, RecordType::IXFR, testing::ixfr(&versions)),
        ] {
            let messages = testing::stream(question, &stream, per_message);
            for end in 0..messages.len() {
                prop_assert!(hear(ask(want, Some(base), None).0, &messages[..end]).is_err());
            }
            prop_assert!(hear(ask(want, Some(base), None).0, &messages).is_ok());
        }
    }

    #[test]
    fn nothing_sealed_can_be_changed_on_the_way(
        versions in versions(),
        incremental: bool,
        per_message in 1..9usize,
        every in 1..4usize,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1..=255u8), 0..4),
        drop_one in any::<Option<prop::sample::Index>>(),
        swap in any::<Option<(prop::sample::Index, prop::sample::Index)>>(),
    ) {
        let (base, newest) = (&versions[0], versions.last().unwrap());
        let (want, question, records) = if incremental {
            (Want::Ixfr, RecordType::IXFR, testing::ixfr(&versions))
        } else {
            (Want::Axfr, RecordType::AXFR, testing::axfr(newest))
        };
        let key = testing::key();
        let (session, request) = ask(want, Some(base), Some(&key));
        let messages = testing::stream(question, &records, per_message);
        let last = messages.len() - 1;
        let mut messages = testing::sealed(&request, &messages, |i| i % every == 0 || i == last);
        for (message, octet, bits) in flips {
            let at = message.index(messages.len());
            let octet = octet.index(messages[at].len());
            messages[at][octet] ^= bits;
        }
        if let Some((a, b)) = swap {
            let (a, b) = (a.index(messages.len()), b.index(messages.len()));
            messages.swap(a, b);
        }
        if let Some(index) = drop_one {
            messages.remove(index.index(messages.len()));
        }
        // Flips and swaps may undo each other; what arrives is then what was sent.
        if let Ok(candidate) = hear(session, &messages) {
            prop_assert_eq!(content(candidate.zone()), content(newest));
        }
    }

    #[test]
    fn no_octets_at_all_make_it_panic(
        versions in versions(),
        per_message in 1..9usize,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..2),
    ) {
        for (question, stream) in [
            (RecordType::AXFR, testing::axfr(versions.last().unwrap())),
            (RecordType::IXFR, testing::ixfr(&versions)),
        ] {
            let mut messages = testing::stream(question, &stream, per_message);
            for (message, octet, value) in &edits {
                let message = message.get_mut(&mut messages);
                if !message.is_empty() {
                    *octet.get_mut(message) = *value;
                }
            }
            for (message, length) in &cuts {
                let message = message.get_mut(&mut messages);
                message.truncate(length.index(message.len() + 1));
            }
            for want in [Want::Axfr, Want::Ixfr] {
                let mut session = ask(want, Some(&versions[0]), None).0;
                for message in &messages {
                    if !matches!(session.receive(message, NOW), Ok(Step::More)) {
                        break;
                    }
                }
            }
        }
    }
}

mod probes {
    use super::*;
    use secondo_transfer::{Probe, ProbeStep, Transport};
    use testing::{ANSWER, message, soa};

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

        #[test]
        fn a_sealed_answer_that_was_changed_is_no_answer(serial: u32, octet: prop::sample::Index, bits in 1..=255u8) {
            let key = testing::key();
            let (mut probe, request) = Probe::new(&name("example."), ID, Some(&key), true, NOW);
            let answer = message(ANSWER, Some(RecordType::SOA), &[soa(serial)]);
            let mut answer = testing::sealed(&request, &[answer], |_| true).remove(0);
            *octet.get_mut(&mut answer) ^= bits;
            if let ProbeStep::Done(Ok(found)) = probe.receive(&answer, Transport::Udp, NOW) {
                // Case of the TSIG record's names is not covered by the seal, nor is it of any meaning.
                prop_assert_eq!(found.soa.serial.0, serial);
            }
        }

        #[test]
        fn any_octets_are_answered_with_a_step(octets in prop::collection::vec(any::<u8>(), 0..80), udp: bool) {
            let over = if udp { Transport::Udp } else { Transport::Tcp };
            let (mut probe, _) = Probe::new(&name("example."), ID, None, true, NOW);
            let step = probe.receive(&[&ID.to_be_bytes()[..], &octets].concat(), over, NOW);
            prop_assert!(!matches!(step, ProbeStep::Done(Ok(_))));
        }
    }
}
