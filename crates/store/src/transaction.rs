//! What goes into a transaction for each thing that was asked.

use std::collections::{BTreeMap, BTreeSet};

use secondo_wire::Name;

use crate::database::Database;
use crate::facts::{Facts, Journal, Place, key};
use crate::image;
use crate::op::{Commit, Confirm, Op};
use crate::restore::name_of;
use crate::scribe::{Filed, Purpose};

/// Zones up to this many octets of pages live in the database; larger ones have a file and a journal.
pub(crate) const ROW_LIMIT: u64 = 64 * 1024;
/// The journal may grow to this part of its base (1/n) before the base is written anew...
const JOURNAL_SHARE: u64 = 2;
/// ...or to this many steps, so that a restart stays quick.
const JOURNAL_STEPS: u64 = 4096;
/// A difference larger than this is worth a new base at once, and SQLite would not take much more.
const LARGEST_STEP: u64 = 64 << 20;

/// What became of one thing asked for, should the transaction be committed.
pub(crate) enum Fate {
    /// Written. With facts: the journal has outgrown the base, which is to be written anew.
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
    /// Zones that a page file is written for, in this batch.
    waiting: BTreeSet<Name>,
}

impl<'t> Transaction<'t> {
    /// Begins, with the marks that the disk does not have yet.
    pub(crate) fn begin(
        db: &'t Database,
        marks: &BTreeMap<Name, Mark>,
        settle: bool,
    ) -> rusqlite::Result<Transaction<'t>> {
        db.begin()?;
        let begun = Transaction { db, files: Files::default(), waiting: BTreeSet::new() };
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
                Purpose::Rebase(zone, facts) => {
                    let rebased = Facts::base(zone.serial(), Place::File(job.number), *stamp);
                    self.rebase(zone.apex(), facts, rebased, job.number)
                }
                Purpose::Commit(_) => Ok(Fate::Written(None)),
            },
            Op::Filed(_) | Op::Restore(_) | Op::History(_) | Op::Retire(..) | Op::End => {
                Ok(Fate::Written(None))
            }
        }
    }

    /// A small zone goes into its row; of a large one the difference into the journal, or all into a new file.
    fn commit(&mut self, commit: &Commit) -> rusqlite::Result<Fate> {
        let checked = commit.checked();
        let (zone, apex) = (checked.zone(), checked.zone().apex());
        let key = key(apex);
        let stored = self.db.facts_of(apex)?;
        let mut outgrown = None;
        let facts = if let Some((number, stamp)) = commit.file {
            self.files.created.push(number);
            Facts::base(zone.serial(), Place::File(number), stamp)
        } else if commit.octets() > ROW_LIMIT {
            let difference = checked.difference().zip(stored).filter(|(difference, facts)| {
                facts.file().is_some() && facts.last == difference.from && difference.to == zone.serial()
            });
            let octets = difference.map(|(difference, _)| difference.to_bytes());
            let Some((octets, facts)) =
                octets.zip(stored).filter(|(octets, _)| octets.len() as u64 <= LARGEST_STEP)
            else {
                self.waiting.insert(apex.clone());
                return Ok(Fate::NeedsFile);
            };
            let facts = self.append(&key, facts, &octets)?;
            let facts = Facts { last: zone.serial(), ..facts };
            let journal = &facts.journal;
            if journal.octets > facts.stamp.size / JOURNAL_SHARE || journal.steps() > JOURNAL_STEPS {
                outgrown = Some(facts);
            }
            facts
        } else {
            let mut octets = Vec::with_capacity(commit.octets() as usize + 256);
            let stamp = image::encode(zone, &mut octets).expect("a vector takes all octets");
            let place = self.db.set_image(&octets, stored.map(|stored| stored.place))?;
            Facts::base(zone.serial(), place, stamp)
        };
        self.replace(&key, stored, &facts)?;
        self.db.set_confirmation(&key, commit.confirmation)?;
        Ok(Fate::Written(outgrown))
    }

    fn append(&self, key: &[u8], facts: Facts, octets: &[u8]) -> rusqlite::Result<Facts> {
        let journal = facts.journal;
        let last = self.db.append(key, journal.next, journal.last, octets)?;
        let octets = journal.octets.saturating_add(octets.len() as u64);
        Ok(Facts { journal: Journal { next: journal.next + 1, last, octets, ..journal }, ..facts })
    }

    /// Sets the facts of a zone, and removes what they no longer refer to.
    fn replace(&mut self, key: &[u8], stored: Option<Facts>, facts: &Facts) -> rusqlite::Result<()> {
        match stored.map(|stored| stored.place).filter(|place| *place != facts.place) {
            Some(Place::File(number)) => self.files.replaced.push(number),
            Some(Place::Row(id)) => self.db.remove_image(id)?,
            None => {}
        }
        if stored
            .is_none_or(|stored| stored.journal.first != facts.journal.first || facts.journal.steps() == 0)
        {
            let first = if facts.journal.steps() == 0 { u64::MAX } else { facts.journal.first };
            self.db.drop_steps(key, first)?;
        }
        self.db.set_facts(key, facts)
    }

    /// Puts a new base in the place of one that its journal has outgrown; steps added in the meantime stay.
    fn rebase(&mut self, apex: &Name, from: &Facts, new: Facts, number: u64) -> rusqlite::Result<Fate> {
        self.files.created.push(number);
        let Some(stored) = self.db.facts_of(apex)?.filter(|stored| {
            (stored.place, stored.stamp, stored.journal.first) == (from.place, from.stamp, from.journal.first)
                && stored.journal.next >= from.journal.next
        }) else {
            self.files.replaced.push(number);
            return Ok(Fate::Refused("the base has been replaced already".into()));
        };
        let journal = Journal {
            first: from.journal.next,
            before: from.journal.last,
            octets: stored.journal.octets.saturating_sub(from.journal.octets),
            ..stored.journal
        };
        self.replace(&key(apex), Some(stored), &Facts { last: stored.last, journal, ..new })?;
        Ok(Fate::Written(None))
    }

    fn confirm(&mut self, confirm: &Confirm) -> rusqlite::Result<Fate> {
        let serial = confirm.confirmation.serial;
        match self.db.facts_of(&confirm.apex)? {
            Some(facts) if facts.last == serial => {
                self.db.set_confirmation(&key(&confirm.apex), confirm.confirmation)?;
                Ok(Fate::Written(None))
            }
            Some(facts) => {
                Ok(Fate::Refused(format!("the disk has serial {}, not {}", facts.last.0, serial.0)))
            }
            None => Ok(Fate::Refused("the disk does not have the zone".into())),
        }
    }

    fn purge(&mut self, wall: u64) -> rusqlite::Result<Fate> {
        for key in self.db.retired_before(wall)? {
            if let Some(facts) = name_of(&key).map(|apex| self.db.facts_of(&apex)).transpose()?.flatten() {
                match facts.place {
                    Place::File(number) => self.files.replaced.push(number),
                    Place::Row(id) => self.db.remove_image(id)?,
                }
            }
            self.db.remove(&key)?;
        }
        Ok(Fate::Written(None))
    }
}
