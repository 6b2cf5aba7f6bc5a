//! What holds for any zone and any history.

#![allow(clippy::unwrap_used)]

mod world;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use secondo_store::{Confirmation, Durability, Restored, Store};
use secondo_wire::Serial;
use secondo_zone::Zone;
use world::*;

const APEXES: [&str; 3] = ["example.", "Sub.example.", "other.test."];

/// Something asked of the store, or done to it.
#[derive(Clone, Debug)]
enum Step {
    /// A version of that zone: with so many large owners, of which some are other ones (from where, how many, value); by
    /// its difference if that can be.
    Commit {
        zone: usize,
        size: u32,
        changed: (u32, u32, u8),
        incremental: bool,
        keep: u32,
    },
    Confirm {
        zone: usize,
    },
    Retire {
        zone: usize,
    },
    Unretire {
        zone: usize,
    },
    Purge,
    /// Earlier versions of that zone are asked for.
    History {
        zone: usize,
    },
    /// Ended cleanly and opened again.
    Reopen,
    /// Killed and opened again; what was asked was answered before, or not.
    Kill {
        answered: bool,
    },
}

fn keep() -> impl Strategy<Value = u32> {
    prop_oneof![1 => Just(0), 4 => 1..8u32, 1 => Just(100_000)]
}

fn step() -> impl Strategy<Value = Step> {
    let zone = 0..APEXES.len();
    let size = prop_oneof![3 => 0..20u32, 2 => 300..320u32];
    let changed = (0..40u32, prop_oneof![3 => Just(1), 1 => 1..160u32], any::<u8>());
    prop_oneof![
        9 => (zone.clone(), size, changed, prop::bool::weighted(0.8), keep())
            .prop_map(|(zone, size, changed, incremental, keep)| {
                Step::Commit { zone, size, changed, incremental, keep }
            }),
        2 => zone.clone().prop_map(|zone| Step::History { zone }),
        3 => zone.clone().prop_map(|zone| Step::Confirm { zone }),
        1 => zone.clone().prop_map(|zone| Step::Retire { zone }),
        1 => zone.prop_map(|zone| Step::Unretire { zone }),
        1 => Just(Step::Purge),
        1 => Just(Step::Reopen),
        2 => any::<bool>().prop_map(|answered| Step::Kill { answered }),
    ]
}

/// What may come back of a zone.
#[derive(Default)]
struct Model {
    /// All versions asked for, oldest first.
    versions: Vec<Zone>,
    /// Of each, how many before it must be there beside it, and how many were wanted at most.
    kept: Vec<(usize, u32)>,
    /// Confirmations asked for.
    confirmations: Vec<Confirmation>,
    /// How many versions and confirmations were answered as durable: nothing older may come back.
    durable: Arc<Mutex<(usize, usize)>>,
    retired: bool,
    /// It may be gone: it was purged, perhaps before what waits for a page file and was asked earlier.
    purged: Arc<AtomicBool>,
}

impl Model {
    fn is_purged(&self) -> bool {
        self.purged.load(SeqCst)
    }

    fn check(&self, restored: Option<&Restored>) -> Result<(), TestCaseError> {
        let (versions, confirmations) = *self.durable.lock().unwrap();
        let Some(restored) = restored else {
            prop_assert!(versions == 0 || self.is_purged(), "a durable version is gone");
            return Ok(());
        };
        let zone = restored.committed.zone();
        let at = self.versions.iter().position(|version| version.serial() == zone.serial());
        let at = at.expect("only what was asked for comes back");
        prop_assert!(at + 1 >= versions, "version {} came back, {versions} were durable", at + 1);
        prop_assert_eq!(content(zone), content(&self.versions[at]));
        let confirmation =
            restored.confirmation.expect("no version is written without a confirmation of its own");
        prop_assert_eq!(confirmation.serial, zone.serial());
        let at = self.confirmations.iter().position(|asked| *asked == confirmation);
        let at = at.expect("only what was asked for comes back");
        prop_assert!(
            at + 1 >= confirmations,
            "confirmation {} came back, {confirmations} were durable",
            at + 1
        );
        Ok(())
    }

    /// Whether the versions before the newest are what they were, and as many as should be.
    fn check_history(&self, store: &Store, apex: &str, purged: bool) -> Result<(), TestCaseError> {
        let (Some(current), Some(&(least, keep))) = (self.versions.last(), self.kept.last()) else {
            return Ok(());
        };
        let Some(history) = history(store, apex) else {
            prop_assert!(purged, "the history is gone");
            return Ok(());
        };
        let serials: Vec<Serial> = history.serials().collect();
        let versions = &self.versions[self.versions.len().saturating_sub(serials.len())..];
        prop_assert!(serials.iter().eq(versions.iter().map(|zone| zone.serial()).collect::<Vec<_>>().iter()));
        prop_assert!(
            serials.len() > if purged { 0 } else { least },
            "{} kept, not {least}",
            serials.len() - 1
        );
        if current.counts().wire_bytes < 50_000 {
            prop_assert!(serials.len() - 1 <= keep as usize, "{} kept, {keep} wanted", serials.len() - 1);
        }
        for version in versions {
            let made = history.version(current, version.serial()).unwrap();
            prop_assert!(made == *version, "another version comes back");
            prop_assert_eq!(content(&made), content(version));
        }
        Ok(())
    }

    /// The store took up what came back: older things are of no account now.
    fn resume(&mut self, restored: Option<&Restored>) {
        let Some(restored) = restored else {
            *self = Model::default();
            return;
        };
        let serial = restored.committed.zone().serial();
        let known = self.versions.iter().position(|version| version.serial() == serial).unwrap();
        self.versions.truncate(known + 1);
        self.kept.truncate(known + 1);
        let known =
            self.confirmations.iter().position(|asked| Some(*asked) == restored.confirmation).unwrap();
        self.confirmations.truncate(known + 1);
        self.durable = Arc::new(Mutex::new((self.versions.len(), self.confirmations.len())));
        (self.retired, self.purged) = (false, Arc::default());
    }
}

/// Waits until all that was asked before is answered.
fn wait(store: &Store) {
    for apex in APEXES {
        restore(store, apex);
    }
}

fn live(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path()).0;
    let mut models: [Model; 3] = Default::default();
    let (mut clock, mut serial) = (1000, 0xFFFF_FFF0_u32);
    for step in steps {
        clock += 1;
        match step {
            Step::Commit { zone: index, size, changed: (owner, count, value), incremental: asked, keep } => {
                serial = serial.wrapping_add(1);
                let model = &mut models[index];
                let mut owners: BTreeMap<u32, (u8, u8)> =
                    (0..size).map(|number| (number, (250, 1))).collect();
                owners.extend((owner..owner + count).map(|number| (number, (value, value))));
                let new = zone(APEXES[index], serial, &owners);
                let (checked, before) = match model.versions.last().filter(|_| asked) {
                    Some(old) => {
                        let before = model.kept.last().filter(|_| !model.is_purged());
                        (incremental(old, &new), before.map_or(0, |kept| kept.0 + 1))
                    }
                    None => (full(&new), 0),
                };
                model.kept.push((before.min(keep as usize), keep));
                let confirmation = confirmation(Serial(serial), clock);
                model.versions.push(new);
                model.confirmations.push(confirmation);
                let counts = (model.versions.len(), model.confirmations.len());
                let durable = Arc::clone(&model.durable);
                store.commit(checked, confirmation, keep, move |committed| {
                    assert_eq!(*committed.durability(), Durability::Durable);
                    *durable.lock().unwrap() = counts;
                });
            }
            Step::Confirm { zone } => {
                let model = &mut models[zone];
                let Some(version) = model.versions.last() else { continue };
                let confirmation = confirmation(version.serial(), clock);
                model.confirmations.push(confirmation);
                let (durable, count) = (Arc::clone(&model.durable), model.confirmations.len());
                let purged = Arc::clone(&model.purged);
                store.confirm(&name(APEXES[zone]), confirmation, move |result| {
                    assert!(result.is_ok() || purged.load(SeqCst), "{result:?}");
                    durable.lock().unwrap().1 = count;
                });
            }
            Step::Retire { zone } => {
                models[zone].retired = true;
                store.retire(vec![name(APEXES[zone])], clock);
            }
            Step::Unretire { zone } => {
                models[zone].retired = false;
                store.unretire(vec![name(APEXES[zone])]);
            }
            Step::Purge => {
                for model in models.iter_mut().filter(|model| model.retired) {
                    // From here on a difference may lead on from nothing, even one that still waits for a page file.
                    model.purged.store(true, SeqCst);
                    model.kept.iter_mut().for_each(|kept| kept.0 = 0);
                }
                store.purge(clock);
            }
            Step::History { zone } => {
                let model = &models[zone];
                model.check_history(&store, APEXES[zone], model.is_purged())?;
            }
            Step::Reopen | Step::Kill { .. } => {
                if let Step::Kill { answered } = step {
                    if answered {
                        wait(&store);
                    }
                    // What is answered from here on may or may not be in the copy.
                    let durable: Vec<_> = models.iter().map(|model| *model.durable.lock().unwrap()).collect();
                    let files = snapshot(folder.path());
                    drop(store);
                    for (model, durable) in models.iter_mut().zip(durable) {
                        model.durable = Arc::new(Mutex::new(durable));
                    }
                    folder = tempfile::tempdir().unwrap();
                    lay(folder.path(), &files);
                } else {
                    drop(store);
                    for model in &models {
                        let durable = *model.durable.lock().unwrap();
                        prop_assert_eq!(durable, (model.versions.len(), model.confirmations.len()));
                    }
                }
                let (next, opened) = open(folder.path());
                prop_assert!(opened.damages.is_empty(), "{:?}", opened.damages);
                prop_assert!(opened.refused.is_none());
                store = next;
                for (model, apex) in models.iter_mut().zip(APEXES) {
                    let apex = name(apex);
                    let restored =
                        opened.restored.iter().find(|restored| *restored.committed.zone().apex() == apex);
                    model.check(restored)?;
                    model.resume(restored);
                    model.check_history(&store, &apex.to_string(), false)?;
                }
                store.unretire(APEXES.map(name).into());
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_history_comes_back_as_it_was(mut steps in prop::collection::vec(step(), 1..40)) {
        steps.push(Step::Reopen);
        live(steps)?;
    }

    #[test]
    fn any_zone_survives(
        owners in prop::collection::btree_map(0..2000u32, any::<(u8, u8)>(), 0..600),
        serial: u32,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let zone = zone("example.", serial, &owners);
        let (store, _) = open(folder.path());
        commit(&store, full(&zone), 5);
        drop(store);
        let (_store, opened) = open(folder.path());
        let restored = opened.restored[0].committed.zone();
        prop_assert_eq!(content(restored), content(&zone));
        prop_assert!(restored.pages().eq(zone.pages()));
        prop_assert_eq!(restored.digest(), zone.digest());
    }
}
