//! Every denial is proved, by whichever chain the zones have: random small zones, judged as a validator does.

// Helpers of tests are tests too.
#![allow(clippy::unwrap_used)]

mod common;

use common::Query;
use common::model::{
    Line, PARENT, absolute, is_wild_cut, relative, seen, small_types, small_world, without_dnssec, zones,
};
use common::signer::Chain;
use common::validator::fault;
use proptest::prelude::*;

fn chains() -> impl Strategy<Value = Vec<Chain>> {
    prop::sample::select(vec![
        vec![Chain::Nsec],
        vec![Chain::nsec3(0, b"", false)],
        vec![Chain::nsec3(0, b"", true)],
        vec![Chain::nsec3(2, b"salt", true)],
        vec![Chain::nsec3(1, b"one", false), Chain::nsec3(1, b"two", false)],
        vec![Chain::nsec3(3, b"", true), Chain::Nsec],
    ])
}

fn provable() -> impl Strategy<Value = Vec<Line>> {
    zones().prop_map(|lines| lines.into_iter().filter(|line| !is_wild_cut(line)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn signed_zones_say_the_same_and_prove_it(
        parent in provable(),
        child in prop::option::of(provable()),
        question in relative(),
        qtype in small_types(),
        chains in chains(),
    ) {
        let (world, model) = small_world(&parent, child.as_deref(), &chains);
        let name = absolute(&question, PARENT);
        let reply = world.ask_tcp(Query::new(&name, qtype).dnssec());
        let said = without_dnssec(seen(&reply));
        let apart = chains == [Chain::Nsec] && said == without_dnssec(model.answer(&name, qtype, true));
        if !apart {
            prop_assert_eq!(said, without_dnssec(model.answer(&name, qtype, false)), "{} {}", name, qtype);
        }
        let judged = fault(&reply, &name, qtype);
        prop_assert!(judged.is_ok(), "{} {}: {}\n{:#?}\n{:#?}\n{:#?}", name, qtype, judged.unwrap_err(), reply.rcode, reply.answer, reply.authority);
    }

    #[test]
    fn without_do_nothing_is_proved(
        parent in provable(),
        question in relative(),
        qtype in small_types(),
        chains in chains(),
    ) {
        let (world, model) = small_world(&parent, None, &chains);
        let name = absolute(&question, PARENT);
        let reply = world.ask_tcp(Query::new(&name, qtype).edns(1232, 0, &[]));
        prop_assert_eq!(seen(&reply), model.answer(&name, qtype, false), "{} {}", name, qtype);
    }

    #[test]
    fn a_proof_that_does_not_fit_a_datagram_is_told(
        parent in provable(),
        question in relative(),
        qtype in small_types(),
        chains in chains(),
        payload in 512u16..900,
    ) {
        let (world, _) = small_world(&parent, None, &chains);
        let query = Query::new(&absolute(&question, PARENT), qtype).edns(payload, 0x8000, &[]);
        let (datagram, stream) = (world.ask(query.clone()), world.ask_tcp(query));
        match datagram.tc {
            true => prop_assert!(stream.octets.len() > usize::from(payload)),
            false => prop_assert_eq!(datagram.summary(), stream.summary()),
        }
    }
}
