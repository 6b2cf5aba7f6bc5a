//! The machine in random worlds, in virtual time, against a reference model of a page: which version is served and
//! until when follows from the contacts alone.

mod world;

use std::time::Duration;

use proptest::prelude::*;
use secondo_lifecycle::Wheel;
use secondo_lifecycle::ZoneId;
use world::{Manner, Step, World, seconds};

fn manner() -> impl Strategy<Value = Manner> {
    prop_oneof![
        4 => Just(Manner::Honest),
        1 => Just(Manner::NoIxfr),
        1 => Just(Manner::BrokenIxfr),
        2 => Just(Manner::Dead),
        1 => Just(Manner::Refusing),
        1 => Just(Manner::BadSeal),
        1 => (1_u32..=0x8000_0000).prop_map(Manner::Behind),
        1 => Just(Manner::Malformed),
        1 => Just(Manner::Unfit),
        1 => Just(Manner::WeAreBusy),
        1 => (0_u32..3000).prop_map(Manner::Expiring),
        1 => Just(Manner::Silent),
    ]
}

fn serial_step() -> impl Strategy<Value = u32> {
    prop_oneof![
        8 => 1_u32..5,
        1 => Just(0x7fff_ffff_u32),
        1 => Just(0x8000_0000_u32),
        1 => Just(0x8000_0001_u32),
        1 => Just(u32::MAX),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let primary = 0_usize..3;
    prop_oneof![
        6 => (1_u64..4000).prop_map(Step::Pass),
        3 => (1_u64..100).prop_map(Step::Pass),
        1 => (10_000_u64..60_000).prop_map(Step::Pass),
        4 => (primary.clone(), manner()).prop_map(|(p, m)| Step::Change(p, m)),
        4 => serial_step().prop_map(Step::NewSerial),
        4 => (primary.clone(), prop::option::of(0_u32..4)).prop_map(|(p, ahead)| Step::Notify(p, ahead)),
        1 => Just(Step::Refresh),
        1 => Just(Step::Retransfer),
        1 => primary.prop_map(Step::PrimaryUp),
        1 => (1_u8..4).prop_map(Step::Reconfigure),
        1 => Just(Step::Restart),
        1 => (-100_000_i64..100_000).prop_map(Step::Reboot),
        1 => any::<u64>().prop_map(Step::WallClock),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Never current after the deadline that the contacts give, never renewed by anything else, never two attempts in
    /// flight, never idle without a deadline, never faster than the bounds: all asserted at every step of the world.
    #[test]
    fn validity_follows_from_contacts_alone(
        seed in any::<u64>(),
        serial in any::<u32>(),
        timers in prop::array::uniform3(prop_oneof![Just(0), 1_u32..30_000, Just(u32::MAX)]),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new(seed, serial, timers, 3);
        for step in steps {
            world.play(step);
        }
    }

    /// Whatever happened before: once a primary is honest and reachable, the zone is what the primary has, within the
    /// longest wait that the bounds allow.
    #[test]
    fn an_honest_primary_that_can_be_reached_makes_the_zone_fresh(
        seed in any::<u64>(),
        serial in any::<u32>(),
        steps in prop::collection::vec(step(), 1..60),
        honest in 0_usize..3,
    ) {
        let mut world = World::new(seed, serial, [600, 60, 9000], 3);
        for step in steps {
            world.play(step);
        }
        world.leave_only(honest);
        world.play(Step::Pass(world.longest_wait().as_secs()));
        prop_assert_eq!(world.served(), Some(world.true_serial()));
    }

    /// A burst of changes, each with its NOTIFY: within seconds the last is served, though REFRESH is a day away.
    #[test]
    fn a_notify_is_never_lost(
        seed in any::<u64>(),
        serial in any::<u32>(),
        gaps in prop::collection::vec((0_u64..3, any::<bool>()), 1..200),
    ) {
        let mut world = World::new(seed, serial, [7200, 600, 20_000], 2);
        world.play(Step::Pass(100));
        for (gap, hinted) in gaps {
            world.play(Step::NewSerial(1));
            world.play(Step::Notify(0, hinted.then_some(0)));
            world.play(Step::Pass(gap));
        }
        world.play(Step::Pass(60));
        prop_assert_eq!(world.served(), Some(world.true_serial()));
    }

    /// A month beside a primary that never recovers costs no more attempts than its class allows.
    #[test]
    fn a_primary_that_fails_for_ever_is_not_hammered(seed in any::<u64>(), which in 0_usize..7) {
        let (manner, longest) = [
            (Manner::Dead, 100),
            (Manner::Refusing, 600),
            (Manner::BadSeal, 600),
            (Manner::Malformed, 600),
            (Manner::Behind(7), 7200),
            (Manner::Unfit, 7200),
            (Manner::WeAreBusy, 60),
        ][which];
        let mut world = World::new(seed, 1, [7200, 100, u32::MAX], 1);
        world.play(Step::Pass(100));
        world.play(Step::NewSerial(9));
        world.play(Step::Change(0, manner));
        let before = world.asked();
        let month = 86_400 * 30;
        // The bound of EXPIRE is out of the way of this: an expired zone may ask more often.
        for _ in 0..30 {
            world.play(Step::Pass(month / 30));
        }
        // Doubling from a quarter of RETRY, jitter of a quarter, and at most three questions a round.
        let rounds = 12 + month * 4 / 3 / longest;
        prop_assert!(world.asked() - before <= rounds * 3, "{} attempts", world.asked() - before);
        prop_assert!(world.asked() - before >= month / 7200, "it gave up");
    }

    /// The wheel against a plain list.
    #[test]
    fn the_wheel_agrees_with_a_plain_list(
        steps in prop::collection::vec((0_u32..40, prop::option::of(0_u64..1000), 0_u64..60), 1..400),
    ) {
        let mut wheel = Wheel::new();
        let mut list = std::collections::BTreeMap::new();
        let mut now = 0;
        for (zone, at, pass) in steps {
            match at {
                Some(at) => {
                    wheel.schedule(ZoneId(zone), Duration::from_millis(now + at));
                    list.insert(zone, now + at);
                }
                None => {
                    wheel.remove(ZoneId(zone));
                    list.remove(&zone);
                }
            }
            now += pass;
            prop_assert_eq!(wheel.next(), list.values().min().map(|at| Duration::from_millis(*at)));
            let mut last = 0;
            while let Some(zone) = wheel.pop_due(Duration::from_millis(now)) {
                let at = list.remove(&zone.0).expect("the wheel gave a zone that has no deadline");
                prop_assert!(at <= now && at >= last);
                last = at;
            }
            prop_assert!(list.values().all(|at| *at > now));
            prop_assert_eq!(wheel.len(), list.len());
        }
    }
}

#[test]
fn a_year_of_quiet_costs_a_probe_a_refresh() {
    let mut world = World::new(1, 1, [7200, 600, 20_000], 1);
    for _ in 0..365 {
        world.play(Step::Pass(86_400));
    }
    let rounds = 365 * 86_400 / 7200;
    assert!((rounds..=rounds * 4 / 3 + 2).contains(&world.asked()), "{}", world.asked());
    assert!(world.left() > seconds(20_000 - 7200 - 60));
}
