//! A zone of runs: owners out of order that were too many to be worked into the pages there are. Runs and pages are merged,
//! owners that came several times become one on the way, and all pages are written.

use super::Builder;
use crate::limits::BuildError;
use crate::nsec3;
use crate::owner::MOST_OCTETS;
use crate::page_writer::{PageWriter, Reuse};
use crate::sort::{Kept, Sorter};
use crate::tree::Tree as PageTree;
use secondo_wire::RecordType;

/// The owner at hand, which has come at least once.
#[derive(Default)]
struct Pending {
    key: Vec<u8>,
    body: Vec<u8>,
    spelled: bool,
    hashed: bool,
    /// How often it came; 0: there is none. More than once: its records are in the builder's group.
    times: u64,
}

impl Pending {
    fn owner(&self) -> Kept<'_> {
        Kept { key: &self.key, spelled: self.spelled, hashed: self.hashed, body: &self.body }
    }

    fn set(&mut self, owner: Kept<'_>) {
        self.key.clear();
        self.key.extend_from_slice(owner.key);
        self.body.clear();
        self.body.extend_from_slice(owner.body);
        (self.spelled, self.hashed, self.times) = (owner.spelled, owner.hashed, 1);
    }
}

impl Builder {
    /// Makes both trees of those there are and all runs.
    pub(super) fn merged(&mut self, main: PageTree, hashed: PageTree) -> Result<[PageTree; 2], BuildError> {
        if self.strays.len() > 0 {
            self.end_run();
        }
        self.strays = Sorter::default();
        let model =
            |of: fn(&crate::Version) -> &PageTree| self.previous.as_ref().map(|zone| Reuse::new(of(zone)));
        let mut writers = [model(crate::Version::main), model(crate::Version::hashed)]
            .map(|reuse| PageWriter::new(&self.secret, reuse));
        let mut merge = std::mem::take(&mut self.runs).merge(&main, &hashed)?;
        let mut pending = Pending::default();
        while let Some(owner) = merge.next() {
            if pending.times > 0 && pending.key == owner.key {
                if pending.times == 1 {
                    self.group.clear();
                    self.unite_one(pending.owner())?;
                }
                self.unite_one(owner)?;
                pending.times += 1;
            } else {
                self.write(&mut pending, &mut writers)?;
                pending.set(owner);
            }
            merge.advance()?;
        }
        self.write(&mut pending, &mut writers)?;
        Ok(writers.map(|mut writer| PageTree::from_pages(writer.take_pages())))
    }

    /// Adds the records of an owner that came several times to those of the others.
    fn unite_one(&mut self, owner: Kept<'_>) -> Result<(), BuildError> {
        let node = owner.node(self.apex.as_ref());
        self.summary.subtract(&self.reckoner.owner(owner.key, node.name_len(), node.rrsets()));
        self.group.pour(&node);
        if self.group.is_due() {
            self.group.settle(&self.limits, &mut self.notes)?;
            if self.group.is_too_large() {
                let owner = self.group.name.as_ref().to_owned();
                return Err(BuildError::LimitBytes {
                    owner,
                    rtype: RecordType(0),
                    limit: MOST_OCTETS as u64,
                });
            }
        }
        Ok(())
    }

    /// Writes the owner at hand, if there is one.
    fn write(&mut self, pending: &mut Pending, writers: &mut [PageWriter; 2]) -> Result<(), BuildError> {
        if pending.times > 1 {
            self.group.settle(&self.limits, &mut self.notes)?;
            pending.body.clear();
            pending.spelled = self.group.write(self.apex.as_ref(), &mut pending.body);
            let node = pending.owner().node(self.apex.as_ref());
            self.summary.add(&self.reckoner.owner(&pending.key, node.name_len(), node.rrsets()));
            pending.hashed = nsec3::belongs(&pending.key, node.rrsets());
        }
        if pending.times > 0 {
            writers[usize::from(pending.hashed)].push(&pending.key, pending.spelled, &pending.body);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::spill::tests::Pool;
    use crate::{BorderSecret, BuildError, Builder, Limits, Notes, Zone};
    use secondo_wire::{Name, Reason, RecordType, Soa};

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    type Rr = (Name, u16, u32, Vec<u8>);

    /// Numbers by the rule of Knuth's linear generator.
    fn chance(state: &mut u64, below: u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) % below
    }

    /// Records of few owners in no order: duplicates, other spellings and TTLs, owners that are hashed ones at first.
    fn records(seed: u64, many: u64, owners: u64) -> Vec<Rr> {
        let mut seed = seed;
        let soa = Soa {
            mname: name("ns.example."),
            rname: name("host.example."),
            serial: 1.into(),
            refresh: 1,
            retry: 2,
            expire: 3,
            minimum: 4,
        };
        let mut all = vec![(name("example."), 6, 300, soa.to_rdata())];
        for _ in 0..many {
            let n = chance(&mut seed, owners);
            let prefix = ["h", "H", "h"][chance(&mut seed, 3) as usize];
            let owner = if n % 9 == 8 {
                format!("sub.{prefix}{n}.example.")
            } else {
                format!("{prefix}{n}.example.")
            };
            let (rtype, rdata) = match chance(&mut seed, 8) {
                _ if n.is_multiple_of(5) && chance(&mut seed, 20) > 0 => (50, vec![1, 0, 0, 0, 0, 1, 7]),
                0 => (2, [b"\x01n\0", b"\x01N\0"][chance(&mut seed, 2) as usize].to_vec()),
                1 => (65_280, vec![7; chance(&mut seed, 2000) as usize]),
                _ => (1, vec![10, 0, 0, chance(&mut seed, 4) as u8]),
            };
            let ttl = [300, 60][usize::from(chance(&mut seed, 50) == 0)];
            all.push((name(&owner), rtype, ttl, rdata));
        }
        let at = chance(&mut seed, all.len() as u64) as usize;
        all.swap(0, at);
        all
    }

    fn build(records: &[Rr], mut builder: Builder) -> Result<(Zone, Notes), BuildError> {
        for (owner, rtype, ttl, rdata) in records {
            builder.push(owner.as_ref(), RecordType(*rtype), *ttl, rdata)?;
        }
        builder.finish().map(|built| (built.zone, built.notes))
    }

    fn fresh() -> Builder {
        Builder::new(name("example."), &BorderSecret::new([1; 16]), Limits::default())
    }

    /// With runs of so many octets.
    fn in_runs(mut builder: Builder, run: usize) -> Builder {
        builder.run = run;
        builder
    }

    fn facts(zone: &Zone) -> ([u8; 32], u64, u64, u64) {
        let counts = zone.counts();
        (zone.digest(), counts.names, counts.records, counts.wire_bytes)
    }

    #[test]
    fn runs_in_memory_or_out_of_it_give_the_zone_that_is_built_without() {
        for seed in 0..24 {
            let owners = [20, 300, 3000][seed as usize % 3];
            let mut records = records(seed, 1500, owners);
            if seed.is_multiple_of(4) {
                // A good part in order, so that there are pages when the merge begins.
                records[..1000].sort_by_key(|rr| rr.0.to_string().to_lowercase());
            }
            let (expected, _) = build(&records, in_runs(fresh(), usize::MAX)).unwrap();
            for run in [1, 300, 20_000] {
                let (zone, _) = build(&records, in_runs(fresh(), run)).unwrap();
                assert!(zone == expected && facts(&zone) == facts(&expected), "seed {seed}, runs of {run}");
                for (keep, room) in [(0, None), (5000, None), (0, Some(20_000))] {
                    let pool = Pool { room, ..Pool::default() };
                    let mut builder = in_runs(fresh(), run);
                    builder.spill_to(Box::new(pool.clone()), keep);
                    let (zone, _) = build(&records, builder).unwrap();
                    assert!(
                        zone == expected && facts(&zone) == facts(&expected),
                        "seed {seed}, runs of {run}"
                    );
                    assert!(run == 20_000 || !pool.octets.lock().unwrap().is_empty());
                }
            }
        }
    }

    #[test]
    fn pages_that_did_not_change_are_shared_though_all_came_in_runs() {
        let records = records(1, 4000, 3000);
        let (old, _) = build(&records, fresh()).unwrap();
        let backwards: Vec<Rr> = records.iter().rev().cloned().collect();
        let (new, _) = build(&backwards, in_runs(Builder::reusing(&old, Limits::default()), 500)).unwrap();
        assert!(old.pages().zip(new.pages()).all(|(old, new)| old.1.as_ptr() == new.1.as_ptr()));
        assert_eq!(facts(&old), facts(&new));
    }

    #[test]
    fn what_cannot_be_read_back_spoils_the_build_and_nothing_else() {
        let records = records(2, 1500, 900);
        let faults = [
            (Pool { unreadable: true, ..Pool::default() }, "unreadable"),
            (Pool { flips: true, ..Pool::default() }, "what is read is not what was written"),
        ];
        for (pool, what) in faults {
            let mut builder = in_runs(fresh(), 300);
            builder.spill_to(Box::new(pool), 0);
            let error = build(&records, builder).unwrap_err();
            assert!(error.reason() == Reason::Disk && error.to_string().contains(what), "{error}");
        }
    }

    #[test]
    fn limits_hold_for_owners_that_meet_in_the_merge() {
        let mut records = records(3, 300, 200);
        for n in 0..50u8 {
            records.push((name("x.example."), 1, 300, vec![1, 1, 1, n]));
            records.push((name(&format!("y{n}.example.")), 1, 300, vec![1, 1, 1, n]));
        }
        let limits = Limits { rrset_records: 49, ..Limits::default() };
        let builder = Builder::new(name("example."), &BorderSecret::new([1; 16]), limits);
        let error = build(&records, in_runs(builder, 200)).unwrap_err();
        assert_eq!(error.reason(), Reason::LimitRrset);
    }
}
