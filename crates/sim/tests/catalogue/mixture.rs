//! Lies of the catalogue in pairs and threes, at random points, one mixture after another, with new versions, NOTIFYs and
//! moments of honesty between them. Whatever is mixed: what is served is a version that a primary had, and never an older one
//! than before; every attempt ends; there is always a next deadline; and a primary that is honest at last is heard in time.
//!
//! `SECONDO_SEED=n` plays one of them again, `SECONDO_WORLDS=n` so many, from `SECONDO_FIRST=n` on.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use secondo_lifecycle::Event;
use secondo_sim::catalogue::{Entry, Expect, Scene, Seals, Second, entries};
use secondo_sim::{Chance, Change, Fault, Kind, Script, Tidings};

use crate::secondary::{RETRY, Secondary, TIMERS};
use crate::state::{Running, StateDir};
use crate::{SLACK, apex, secs};

/// Mixtures, unless told otherwise.
const MIXTURES: u64 = 3000;
/// For so long another primary may be asked first, and be believed that there is nothing new.
const REMEMBERED: u64 = 86_400;

#[test]
fn in_any_world_of_mixed_lies_the_zone_is_right_or_old_and_honesty_is_heard_in_time() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let (first, count) = match number("SECONDO_SEED") {
        Some(seed) => (seed, 1),
        None => (number("SECONDO_FIRST").unwrap_or(1), number("SECONDO_WORLDS").unwrap_or(MIXTURES)),
    };
    let (next, lies) = (AtomicU64::new(first), lies());
    let some = || {
        let state = StateDir::new(1);
        let (store, mut versions) = (state.open(), 0);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                return versions;
            }
            match catch_unwind(AssertUnwindSafe(|| play(seed, &lies, &store))) {
                Ok(seen) => versions += seen,
                Err(broken) => {
                    next.store(u64::MAX >> 1, Ordering::Relaxed);
                    eprintln!(
                        "to play this mixture again: SECONDO_SEED={seed} cargo test -p secondo-sim --test catalogue"
                    );
                    resume_unwind(broken);
                }
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(8);
    let versions: u64 = thread::scope(|scope| {
        let players: Vec<_> = (0..threads).map(|_| scope.spawn(some)).collect();
        players.into_iter().map(|player| player.join().unwrap_or_else(|broken| resume_unwind(broken))).sum()
    });
    println!("{count} mixtures, {versions} versions");
    assert!(versions >= 2 * count, "too little came to pass: {versions} versions");
}

/// All rules of the catalogue, but for those that make another zone of it, which is as good as any and would be served.
fn lies() -> Vec<(Kind, Vec<Fault>)> {
    let another = |kind: Kind, fault: &Fault| match fault {
        Fault::Names(_) | Fault::Rrset(_) | Fault::Types(_) | Fault::Bulk(_) => true,
        Fault::Serial(_) => !matches!(kind, Kind::Soa | Kind::SoaUdp | Kind::SoaTcp),
        // What does not go on with the SOA of an older version is a zone of its own.
        Fault::Says(text) => {
            !text.split(' ').nth(1).is_some_and(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        }
        _ => false,
    };
    let rules = entries().into_iter().filter(|entry| entry.group != "octets").flat_map(|entry| entry.script);
    rules.filter(|(kind, faults)| !faults.iter().any(|fault| another(*kind, fault))).collect()
}

/// A script of one to three rules, of one to three lies each, told for ever or a few times.
fn script(lies: &[(Kind, Vec<Fault>)], chance: &mut Chance) -> Vec<(Kind, Vec<Fault>, Option<u32>)> {
    let rules = 1 + chance.below(3);
    let mut rule = || {
        let (kind, mut faults) = lies[chance.below(lies.len() as u64) as usize].clone();
        let serial =
            |faults: &[Fault]| faults.iter().any(|fault| matches!(fault, Fault::Serial(_) | Fault::Says(_)));
        for _ in 0..chance.below(3) {
            let (other, more) = &lies[chance.below(lies.len() as u64) as usize];
            // What is told of serials and records stays with the questions that it was written for.
            if *other == kind || !serial(more) {
                faults.extend(more);
            }
        }
        let octets = chance.below(700) as usize;
        if chance.one_in(6) {
            faults.push(chance.of(&[Fault::CloseAfter(octets), Fault::Reset(octets), Fault::Stall(octets)]));
        }
        let wide = !serial(&faults) && chance.one_in(3);
        let kind = if wide { chance.of(&[Kind::Any, Kind::Transfer, Kind::Soa]) } else { kind };
        let times = (!chance.one_in(3)).then(|| 1 + chance.below(5) as u32);
        (kind, faults, times)
    };
    (0..rules).map(|_| rule()).collect()
}

/// Plays one mixture; how many versions were served in it.
fn play(seed: u64, lies: &[(Kind, Vec<Fault>)], store: &Running) -> u64 {
    let mut chance = Chance::new(seed);
    let scene = Scene {
        seals: chance.of(&[Seals::None, Seals::One, Seals::One, Seals::Roll]),
        ixfr: !chance.one_in(4),
        per_message: chance.of(&[1, 4, 50]),
        second: chance.of(&[
            Second::Absent,
            Second::Absent,
            Second::Address,
            Second::Honest,
            Second::Stuck,
            Second::Refusing,
            Second::Down,
        ]),
        ..Scene::default()
    };
    let name = format!("mixture {seed}");
    let expect = Expect::succeeds("", &[]);
    let entry = Entry { group: "mixture", name, scene, script: vec![], expect };
    let apex = apex(seed as usize);
    let mut secondary = Secondary::new(&entry, &apex, store, seed);
    secondary.worlds[1].records_per_message(7);
    secondary.mislead();
    for act in 0..1 + chance.below(5) {
        match chance.below(8) {
            0..4 => {
                let rules = script(lies, &mut chance);
                if std::env::var("SECONDO_SEED").is_ok() {
                    eprintln!("{:?}: {rules:?}", secondary.now.boot);
                }
                let script = rules.iter().fold(Script::honest(), |script, (kind, faults, times)| {
                    script.mixed(*kind, faults, *times)
                });
                secondary.worlds[0].follow(script);
                secondary.tell(Event::Refresh);
            }
            4 => secondary.relent(),
            5 | 6 => {
                let lines = format!("+ new{act} 300 A 192.0.2.77\n");
                secondary.worlds[0].change(&apex, &Change::parse(&lines, &apex).unwrap()).unwrap();
                if matches!(entry.scene.second, Second::Honest | Second::Address) && chance.one_in(2) {
                    let zone = secondary.worlds[0].zone(&apex).unwrap().clone();
                    secondary.worlds[1].publish(zone);
                }
                secondary.allow();
            }
            _ => {
                let tidings = chance.of(&[
                    Tidings::Newest,
                    Tidings::Bare,
                    Tidings::Of(6),
                    Tidings::Of(2_000_000_000),
                    Tidings::Stranger,
                ]);
                for id in 0..chance.of(&[1, 1, 30]) {
                    secondary.notify(tidings, id);
                }
            }
        }
        let longest = chance.of(&[10, 600, 7200, 2 * 86_400]);
        secondary.pass(secs(chance.below(longest)));
    }
    secondary.relent();
    if std::env::var("SECONDO_SEED").is_ok() {
        eprintln!("{:?}: honest\n{:?}", secondary.now.boot, secondary.machine);
    }
    let new = secondary.newest();
    let longest = match entry.scene.second {
        Second::Absent | Second::Refusing | Second::Down => 0,
        _ => REMEMBERED,
    };
    let bound = secs(longest + RETRY.1.max(TIMERS.refresh.into())) + SLACK;
    let heard = secondary.until(bound, |secondary| secondary.serves(new));
    assert!(
        heard.is_some(),
        "serial {new} is not served {bound:?} after all is honest: {:?}",
        secondary.machine
    );
    secondary.versions
}
