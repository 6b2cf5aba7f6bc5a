//! The same zones at secondo, BIND, Knot DNS and NSD, and the same questions to all four (RFC 1034 §4.3.2, RFC 2308,
//! RFC 4035 §3.1, RFC 4592, RFC 5155 §7.2, RFC 6672, RFC 9471).

mod inquiry;
mod rules;
mod validation;
mod verdict;
mod world;

use interop::Software;
use interop::dice::Dice;
use interop::message::{Edns, Question, Reply, Way, flag};
use interop::name::Name;
use interop::record::{Record, rtype};
use interop::signer::{Denial, Tool};
use interop::volley;
use interop::wait::SOON;
use std::collections::BTreeSet;
use std::time::Duration;
use validation::Standing;
use verdict::{Unconfirmed, Verdict};
use world::{Scheme, World};

/// What a peer that answers nothing gets.
const PATIENCE: Duration = Duration::from_secs(15);

/// Asks everybody the same. A peer that hangs takes part no more; of ours that is a failure.
fn ask(world: &mut World, questions: &[Question]) -> Vec<(Reply, Vec<(Software, Reply)>)> {
    let ours = volley::ask(world.secondo.address(), questions, SOON)
        .unwrap_or_else(|open| panic!("secondo does not answer {open}\n{}", world.secondo.tail()));
    let mut theirs: Vec<(Software, Vec<Vec<u8>>)> = Vec::new();
    world.peers.retain(|peer| match volley::ask(peer.address(), questions, PATIENCE) {
        Ok(replies) => {
            theirs.push((peer.software(), replies));
            true
        }
        Err(open) => {
            eprintln!("{} does not answer {open}\n{}", peer.software(), peer.tail());
            false
        }
    });
    assert!(theirs.len() > 1, "too few peers are left");
    let read = |question: &Question, bytes: &[u8]| {
        Reply::read(bytes).unwrap_or_else(|error| panic!("{question}: {error}: {bytes:?}"))
    };
    let hidden = Name::of(world::HIDDEN);
    let asked = questions.iter().enumerate().map(|(at, question)| {
        let theirs = theirs
            .iter()
            .filter(|(peer, _)| *peer != Software::Knot || !question.name.is_at_or_below(&hidden));
        (
            read(question, &ours[at]),
            theirs.map(|(peer, replies)| (*peer, read(question, &replies[at]))).collect(),
        )
    });
    asked.collect()
}

/// A type that no zone here has.
const NO_TYPE: u16 = 64_999;

/// What is not there by one type is not there by another: a question that the validator can be asked in place of one
/// that it cannot, if our reply says the same.
fn stand_in(world: &World, question: &Question, ours: &Reply) -> Option<Question> {
    let negative = ours.authority.iter().any(|record| record.rtype == rtype::SOA);
    let behind_alias = ours.answer.iter().any(|record| record.rtype == rtype::CNAME);
    if !negative || !behind_alias && !validation::is_unusual(question.rtype) {
        return None;
    }
    let other = Question { rtype: NO_TYPE, way: Way::Tcp, ..question.clone() };
    let replies = volley::ask(world.secondo.address(), std::slice::from_ref(&other), SOON).ok()?;
    let reply = Reply::read(replies.first()?).ok()?;
    let sets = |records: &[Record]| -> BTreeSet<Record> { records.iter().cloned().collect() };
    let same = sets(&reply.answer) == sets(&ours.answer) && sets(&reply.authority) == sets(&ours.authority);
    same.then_some(other)
}

/// Validates what nobody else confirmed, and a sample of all the rest.
fn validate(world: &mut World, count: usize, dice: &mut Dice, verdict: &mut Verdict) {
    let validators = world.validators();
    let unsigned = world.unsigned();
    // In any order, or a few questions would all be about the first zones.
    let mut names = world.names();
    dice.shuffle(&mut names);
    let questions = inquiry::around(&names, count * 4, dice);
    let questions: Vec<Question> = questions
        .into_iter()
        .map(|question| Question { edns: Some(Edns { size: 1232, dnssec: true }), way: Way::Tcp, ..question })
        .collect();
    let sample = questions.iter().cloned().zip(ask(world, &questions)).map(|(question, (ours, _))| {
        Unconfirmed { question, ours, differs: String::new(), told: String::new() }
    });
    let unconfirmed = std::mem::take(&mut verdict.unconfirmed);
    let mut left = count + unconfirmed.len();
    for Unconfirmed { mut question, ours, differs, told } in unconfirmed.into_iter().chain(sample) {
        if left == 0 {
            break;
        }
        let stand_in = stand_in(world, &question, &ours);
        if let Some(other) = &stand_in {
            question = other.clone();
        }
        let chain = rules::chain(&question, &ours);
        let able = validators.iter().find_map(|validator| {
            Some((validator, validation::expected(&question, &ours, &validator.apex(), &unsigned, &chain)?))
        });
        let Some((validator, expected)) = able else {
            if !told.is_empty() {
                verdict.differs(format!("nobody confirms it: {differs}"), || told.clone());
            }
            continue;
        };
        left -= 1;
        let (standing, text) = validator.validate(world.secondo.address(), &question);
        match standing {
            Standing::Secure => verdict.validated[0] += 1,
            Standing::Insecure => verdict.validated[1] += 1,
            Standing::Bogus => {}
        }
        if !expected.contains(&standing) {
            verdict.differs(format!("validator: {standing:?} for {expected:?}"), || {
                format!("{question}\n  ours:\n{ours}{told}{text}")
            });
        }
    }
}

fn compare(world: &mut World, stage: &str, count: usize, dice: &mut Dice, verdict: &mut Verdict) {
    stage.clone_into(&mut verdict.stage);
    let served = world.served();
    let questions = inquiry::around(&world.names(), count * world::scale(), dice);
    let mut short = Vec::new();
    let mut onward = Vec::new();
    let mut judge =
        |verdict: &mut Verdict, question: &Question, ours: Reply, theirs: &[(Software, Reply)]| {
            if let Some(name) = verdict.judge(question, &served, &ours, theirs) {
                onward.push((question.clone(), ours, Question { name, way: Way::Tcp, ..question.clone() }));
            }
        };
    for (question, (ours, theirs)) in questions.iter().zip(ask(world, &questions)) {
        if ours.has(flag::TC) || theirs.iter().any(|(_, reply)| reply.has(flag::TC)) {
            short.push((question, ours));
        } else {
            judge(verdict, question, ours, &theirs);
        }
    }
    let again: Vec<Question> =
        short.iter().map(|(question, _)| Question { way: Way::Tcp, ..(*question).clone() }).collect();
    for ((question, (ours, theirs)), (over_udp, in_short)) in again.iter().zip(ask(world, &again)).zip(short)
    {
        verdict.judge_truncation(over_udp, &in_short, &ours);
        judge(verdict, question, ours, &theirs);
    }
    let ends: Vec<Question> = onward.iter().map(|(_, _, end)| end.clone()).collect();
    for ((question, whole, end), (ours, theirs)) in onward.iter().zip(ask(world, &ends)) {
        verdict.judge(end, &served, &ours, &theirs);
        verdict.judge_end(question, whole, &ours);
    }
}

fn servers_agree(scheme: Scheme) {
    if !world::ready(scheme) {
        return;
    }
    let (mut dice, _) = Dice::seeded();
    let mut world = World::create(scheme, &mut dice);
    let mut verdict = Verdict::default();
    compare(&mut world, "first", 2500, &mut dice, &mut verdict);
    validate(&mut world, 60, &mut dice, &mut verdict);
    for round in 1..=3 {
        world.change(&mut dice);
        let stage = format!("after {round} changes");
        compare(&mut world, &stage, 500, &mut dice, &mut verdict);
        validate(&mut world, 20, &mut dice, &mut verdict);
    }
    let report = verdict.report();
    eprintln!("{report}");
    assert!(verdict.differences.is_empty(), "see above");
    // Rules that explain too much would hide what they should not.
    assert!(verdict.unanimous * 10 > verdict.questions * 7, "{report}");
    assert!(scheme.is_none() || verdict.validated[0] > 60 && verdict.validated[1] > 0, "{report}");
}

#[test]
fn unsigned_zones_are_answered_alike() {
    servers_agree(None);
}

#[test]
fn zones_signed_with_nsec_are_answered_alike() {
    servers_agree(Some((Tool::Bind, Denial::Nsec)));
}

#[test]
fn zones_signed_with_nsec3_are_answered_alike() {
    servers_agree(Some((Tool::Bind, Denial::Nsec3With { iterations: 0, opt_out: false })));
}

#[test]
fn zones_signed_with_nsec3_and_iterations_are_answered_alike() {
    servers_agree(Some((Tool::Bind, Denial::Nsec3With { iterations: 7, opt_out: false })));
}

#[test]
fn zones_signed_with_opt_out_are_answered_alike() {
    servers_agree(Some((Tool::Bind, Denial::Nsec3With { iterations: 0, opt_out: true })));
}

#[test]
fn zones_signed_by_knot_are_answered_alike() {
    servers_agree(Some((Tool::Knot, Denial::Nsec3With { iterations: 1, opt_out: true })));
}
