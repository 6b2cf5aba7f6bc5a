//! What goes into a transaction for each thing that was asked.

use std::collections::{BTreeMap, BTreeSet};

use secondo_wire::Name;

use crate::bounds::{has_outgrown, history_limit, is_large, is_worth, size, step_limit};
use crate::database::Database;
use crate::facts::{Facts, Place, Stamp, Version, key};
use crate::image;
use crate::journal::row_octets;
use crate::op::{Commit, Confirm, Op};
use crate::reader::Led;
use crate::restore::{DAMAGED_ROW, Damage, name_of};
use crate::row::Found;
use crate::scribe::{Filed, Purpose, Rebase};

/// What is said of a step that was found wrong, and is not.
const ANOTHER_CHAIN: &str = "its journal is not the one that was read: another try may give it";

/// What became of one thing asked for, should the transaction be committed.
pub(crate) enum Fate {
    /// Written. With facts: the zone needs a new image, for the steps behind the old one are too many, or damaged.
    Written(Option<Facts>),
    /// First a page file must be written.
    NeedsFile,
    /// It waits for its turn behind one that needs a file.
    Behind,
    /// It makes no sense for what is on disk; other things asked for are not affected.
    Refused(String),
}

/// What the disk does not know yet of a zone's retirement.
#[derive(Clone, Copy, Default)]
pub(crate) struct Mark {
    /// It was configured again since.
    again: bool,
    /// And then, if ever, retired until then (Unix seconds).
    due: Option<u64>,
}

impl Mark {
    /// The next thing asked. A zone that is retired already keeps its first date.
    pub(crate) fn next(&mut self, due: Option<u64>) {
        *self = match due {
            None => Mark { again: true, due: None },
            Some(_) => Mark { due: self.due.or(due), ..*self },
        };
    }

    fn write(self, db: &Database, key: &[u8]) -> rusqlite::Result<()> {
        if self.again {
            db.set_retired(key, None)?;
        }
        if self.due.is_some() { db.set_retired(key, self.due) } else { Ok(()) }
    }
}

/// Page files that a transaction is about.
#[derive(Default)]
pub(crate) struct Files {
    /// To be removed when it is committed.
    pub(crate) replaced: Vec<u64>,
    /// To be removed when it is not.
    pub(crate) created: Vec<u64>,
}

/// A transaction that has begun.
pub(crate) struct Transaction<'t> {
    pub(crate) db: &'t Database,
    pub(crate) files: Files,
    /// Rows found damaged; they are removed. What they referred to goes at the next start.
    pub(crate) damages: Vec<Damage>,
    /// Zones that a page file is written for, in this batch.
    waiting: BTreeSet<Name>,
    /// The number of the next zone.
    next_zone: &'t mut u32,
}

impl<'t> Transaction<'t> {
    /// Begins, with the marks that the disk does not have yet.
    pub(crate) fn begin(
        db: &'t Database,
        marks: &BTreeMap<Name, Mark>,
        settle: bool,
        next_zone: &'t mut u32,
    ) -> rusqlite::Result<Transaction<'t>> {
        db.begin()?;
        let begun = Transaction {
            db,
            files: Files::default(),
            damages: Vec::new(),
            waiting: BTreeSet::new(),
            next_zone,
        };
        if settle {
            db.settle()?;
        }
        for (apex, mark) in marks {
            mark.write(db, &key(apex))?;
        }
        Ok(begun)
    }

    /// Writes one thing.
    pub(crate) fn put(&mut self, op: &Op) -> rusqlite::Result<Fate> {
        if op.apex().is_some_and(|apex| self.waiting.contains(apex)) {
            return Ok(Fate::Behind);
        }
        match op {
            Op::Commit(commit) => self.commit(commit),
            Op::Confirm(confirm) => self.confirm(confirm),
            Op::Purge(wall) => self.purge(*wall),
            Op::Filed(Filed { job, result: Ok(stamp) }) => match &job.purpose {
                Purpose::Rebase(rebase) => self.rebase(rebase, job.number, *stamp),
                Purpose::Commit(_) => Ok(Fate::Written(None)),
            },
            Op::Led(led) => self.cut(led),
            Op::Filed(_) | Op::Restore(_) | Op::Brought(_) | Op::History(_) | Op::Retire(..) | Op::End => {
                Ok(Fate::Written(None))
            }
        }
    }

    /// The row of a zone.
    fn stored(&mut self, apex: &Name) -> rusqlite::Result<Option<Facts>> {
        let key = key(apex);
        let found = self.db.facts(&key)?;
        if let Found::Damaged = found {
            self.damages.push(Damage { zone: Some(apex.clone()), what: DAMAGED_ROW.into() });
            self.db.remove_facts(&key)?;
        }
        Ok(found.whole())
    }

    /// Of a large zone the difference goes into the journal, if that is worth it; else there is a new image: a small
    /// zone's in its row, a large one's in a file. The difference is a step of the chain in any case, if it leads on
    /// from what the disk has.
    fn commit(&mut self, commit: &Commit) -> rusqlite::Result<Fate> {
        let (zone, key) = (commit.zone(), key(commit.apex()));
        let stored = self.stored(commit.apex())?;
        let step = commit.incoming().step.as_ref().zip(stored);
        let step = step.filter(|((from, _), stored)| *from == stored.last.serial && stored.chain.has_room());
        let step = step.map(|((_, difference), stored)| (stored, difference.as_slice()));
        let last = Version::of(zone);
        let facts = match step.filter(|(stored, difference)| {
            let journaled =
                stored.file().is_some() && is_large(zone) && commit.file.is_none() && !commit.renew;
            journaled && is_worth(stored, row_octets(difference.len()))
        }) {
            Some((stored, difference)) => self.append(stored, difference)?,
            None => {
                let Some((place, stamp)) = self.image(commit, stored)? else {
                    self.waiting.insert(commit.apex().clone());
                    return Ok(Fate::NeedsFile);
                };
                let kept = step.filter(|(_, difference)| {
                    commit.incoming().keep > 0 && row_octets(difference.len()) <= step_limit(stamp)
                });
                match kept {
                    Some((stored, difference)) => {
                        let facts = self.append(stored, difference)?;
                        Facts { image: last, place, stamp, chain: facts.chain.rebased(&facts.chain), ..facts }
                    }
                    None => self.begin_anew(stored, last, place, stamp)?,
                }
            }
        };
        let facts = self.trim(Facts { last, ..facts }, commit.incoming().keep)?;
        self.replace(&key, stored, &facts)?;
        self.db.set_confirmation(&key, last, commit.confirmation)?;
        Ok(Fate::Written(Some(facts).filter(has_outgrown)))
    }

    /// A new image; `None`: it must be written into a file first.
    fn image(&mut self, commit: &Commit, stored: Option<Facts>) -> rusqlite::Result<Option<(Place, Stamp)>> {
        if let Some((number, stamp)) = commit.file {
            self.files.created.push(number);
            return Ok(Some((Place::File(number), stamp)));
        }
        let zone = commit.zone();
        if is_large(zone) {
            return Ok(None);
        }
        let mut octets = Vec::with_capacity(size(zone) as usize + 512);
        let stamp = image::encode(zone, &mut octets).expect("a vector takes all octets");
        let place = self.db.set_image(&octets, stored.map(|stored| stored.place))?;
        Ok(Some((place, stamp)))
    }

    /// Facts with one more step, which leads on from the newest version.
    fn append(&self, facts: Facts, difference: &[u8]) -> rusqlite::Result<Facts> {
        let Facts { zone, last, chain, .. } = facts;
        let sum = self.db.append(zone, chain.next, chain.last_sum, last, difference)?;
        Ok(Facts { chain: chain.appended(sum, row_octets(difference.len())), ..facts })
    }

    /// Facts of a zone whose new version has nothing to do with what the disk has.
    fn begin_anew(
        &mut self,
        stored: Option<Facts>,
        last: Version,
        place: Place,
        stamp: Stamp,
    ) -> rusqlite::Result<Facts> {
        if let Some(stored) = stored {
            self.db.drop_steps(stored.zone, u32::MAX)?;
        }
        // A chain that had steps leaves its number behind: what was found out about them must not hit others.
        let zone = match stored {
            Some(stored) if stored.chain.next == 0 || *self.next_zone == u32::MAX => stored.zone,
            _ => {
                let zone = *self.next_zone;
                *self.next_zone = zone.saturating_add(1);
                zone
            }
        };
        Ok(Facts::new(zone, last, place, stamp))
    }

    /// Removes the oldest steps that are not wanted, or too many in octets. Those behind the image are needed.
    fn trim(&self, facts: Facts, keep: u32) -> rusqlite::Result<Facts> {
        let (mut chain, limit) = (facts.chain, history_limit(facts.stamp));
        while chain.first < chain.image && (chain.steps() > keep || chain.octets() > limit) {
            chain = chain.shortened(self.db.drop_step(facts.zone, chain.first)?);
        }
        Ok(Facts { chain, ..facts })
    }

    /// Sets the facts of a zone, and removes the image that they no longer refer to.
    fn replace(&mut self, key: &[u8], stored: Option<Facts>, facts: &Facts) -> rusqlite::Result<()> {
        let replaced = stored.map(|stored| stored.place).filter(|place| *place != facts.place);
        self.files.replaced.extend(replaced.and_then(Place::file));
        replaced.and_then(Place::row).map_or(Ok(()), |id| self.db.remove_image(id))?;
        self.db.set_facts(key, facts)
    }

    /// Puts a new image in the place of one that the journal has outgrown; steps added in the meantime stay behind it.
    /// Those that it passes stay too: how many are wanted by now, the next version tells.
    fn rebase(&mut self, rebase: &Rebase, number: u64, stamp: Stamp) -> rusqlite::Result<Fate> {
        self.files.created.push(number);
        let then = &rebase.facts;
        let Some(stored) = self.stored(rebase.zone.apex())?.filter(|stored| {
            let same_image = stored.stamp == then.stamp && stored.chain.image == then.chain.image;
            same_image && stored.held() == then.held() && stored.chain.next >= then.chain.next
        }) else {
            self.files.replaced.push(number);
            return Ok(Fate::Refused("the image has been replaced already".into()));
        };
        let facts = Facts {
            image: then.last,
            place: Place::File(number),
            stamp,
            chain: stored.chain.rebased(&then.chain),
            ..stored
        };
        self.replace(&key(rebase.zone.apex()), Some(stored), &facts)?;
        Ok(Fate::Written(None))
    }

    /// Gives up what is left of a history before a step that cannot be had, if it cannot be had here either. One behind
    /// the image stays: with it goes the zone at the next start, unless there is a new image before.
    fn cut(&mut self, led: &Led) -> rusqlite::Result<Fate> {
        let Some(cut) = &led.cut else { return Ok(Fate::Written(None)) };
        let apex = &led.ask.apex;
        let facts = self.stored(apex)?.filter(|facts| {
            facts.zone == cut.zone && (facts.chain.first..facts.chain.next).contains(&cut.step)
        });
        // Damage of the file itself is for those who can save it.
        let Some(facts) = facts else { return Ok(Fate::Refused(ANOTHER_CHAIN.into())) };
        match self.db.step(cut.zone, cut.step)? {
            Found::Whole((_, sum)) if sum == cut.sum => return Ok(Fate::Refused(ANOTHER_CHAIN.into())),
            _ => {}
        }
        if cut.step >= facts.chain.image {
            return Ok(Fate::Written(Some(facts)));
        }
        let first = cut.step + 1;
        let back = self.db.octets_of_steps(facts.zone, first, facts.chain.image)?;
        self.db.drop_steps(facts.zone, first)?;
        self.db.set_facts(&key(apex), &Facts { chain: facts.chain.cut(first, back), ..facts })?;
        Ok(Fate::Written(None))
    }

    fn confirm(&mut self, confirm: &Confirm) -> rusqlite::Result<Fate> {
        let serial = confirm.confirmation.serial;
        match self.stored(&confirm.apex)? {
            Some(facts) if facts.last.serial == serial => {
                self.db.set_confirmation(&key(&confirm.apex), facts.last, confirm.confirmation)?;
                Ok(Fate::Written(None))
            }
            Some(facts) => {
                Ok(Fate::Refused(format!("the disk has serial {}, not {}", facts.last.serial.0, serial.0)))
            }
            None => Ok(Fate::Refused("the disk does not have the zone".into())),
        }
    }

    fn purge(&mut self, wall: u64) -> rusqlite::Result<Fate> {
        for key in self.db.retired_before(wall)? {
            if let Some(facts) = name_of(&key).map(|apex| self.stored(&apex)).transpose()?.flatten() {
                self.files.replaced.extend(facts.file());
                self.db.remove_beside(&facts)?;
            }
            self.db.remove(&key)?;
        }
        Ok(Fate::Written(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Cut, lead_back};
    use crate::op::Ask;
    use secondo_wire::Serial;

    fn apex() -> Name {
        Name::parse("example.").unwrap()
    }

    fn version(serial: u32) -> Version {
        Version { serial: Serial(serial), digest: [serial as u8; 8] }
    }

    /// A chain of three steps before its image, and what a reader would say of the middle one.
    fn chain(db: &Database, zone: u32) -> (Facts, Cut) {
        let mut facts = Facts::new(zone, version(1), Place::File(1), Stamp { size: 1 << 20, sum: 7 });
        let mut sums = Vec::new();
        for step in 0..3 {
            let sum = db.append(zone, step, facts.chain.last_sum, facts.last, b"step").unwrap();
            facts =
                Facts { last: version(step + 2), chain: facts.chain.appended(sum, row_octets(4)), ..facts };
            sums.push(sum);
        }
        let facts = Facts { chain: facts.chain.rebased(&facts.chain), ..facts };
        db.set_facts(&key(&apex()), &facts).unwrap();
        (facts, Cut { zone, step: 1, sum: sums[1], what: "was found wrong".into() })
    }

    fn put(db: &Database, cut: Cut) -> Fate {
        let led =
            Led { ask: Ask::new(apex(), Box::new(|_| {})), history: Err(String::new()), cut: Some(cut) };
        let (marks, mut next) = (BTreeMap::new(), 9);
        let mut transaction = Transaction::begin(db, &marks, false, &mut next).unwrap();
        let fate = transaction.put(&Op::Led(led)).unwrap();
        db.commit().unwrap();
        fate
    }

    #[test]
    fn a_history_is_cut_only_where_the_writer_finds_it_wrong_too() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::open(&folder.path().join("secondo.db")).unwrap();
        let kept = || {
            let found = lead_back(&db, &apex(), &mut |_| false, || false).unwrap();
            db.rollback();
            found.0.serials().count()
        };
        let (_, cut) = chain(&db, 1);
        assert!(matches!(put(&db, cut), Fate::Refused(_)));
        assert_eq!(kept(), 4);
        // The zone has begun anew since.
        let ((_, mut old), (_, cut)) = (chain(&db, 1), chain(&db, 2));
        old.sum = !old.sum;
        assert!(matches!(put(&db, old), Fate::Refused(_)));
        assert_eq!(kept(), 4);
        db.drop_step(2, 1).unwrap();
        assert!(matches!(put(&db, cut), Fate::Written(None)));
        assert_eq!(kept(), 2);
        assert!(matches!(db.step(2, 0).unwrap(), Found::Missing));
    }
}
