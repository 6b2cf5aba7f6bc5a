//! All zones of an earlier run at once: what a start waits for.
//!
//! Looking up each row by its key would climb its tree once for each zone. Threads take pieces instead: neighbours among the
//! keys for confirmations, neighbours among the images for versions, each read in one go. What cannot be had so is looked
//! up by itself, and says what is wrong with it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use secondo_wire::Name;
use secondo_zone::Zone;

use crate::confirmations::Vouched;
use crate::database::Database;
use crate::disk::Disk;
use crate::facts::{Facts, Held};
use crate::restore::{
    Broken, DAMAGED_ROW, Damage, Restored, decode_row, name_of, newest, restore_version, vouched,
};
use crate::row::Found;
use crate::verdict::is_damage;

/// Zones that a thread takes at once.
const PIECE: usize = 256;
/// Threads that restore together, at most.
const MOST_THREADS: usize = 8;
/// Images are read in one go while at most so many of them are passed for each that is wanted.
const PASSED: usize = 4;

/// What a walk over the whole database found.
#[derive(Default)]
pub(crate) struct Inventory {
    pub(crate) restored: Vec<Restored>,
    /// Names of zones that are there and not wanted.
    pub(crate) others: Vec<Name>,
    pub(crate) damages: Vec<Damage>,
    pub(crate) kept: Kept,
}

/// What of the disk's is in use, and what is of no use.
#[derive(Default)]
pub(crate) struct Kept {
    /// Images and journals that rows refer to.
    pub(crate) held: Vec<Held>,
    /// Keys whose rows are of no use.
    pub(crate) unusable: Vec<Vec<u8>>,
}

/// A zone that is wanted, and what became of it.
struct Row {
    apex: Name,
    key: Vec<u8>,
    facts: Facts,
    version: OnceLock<Result<Zone, Broken>>,
    confirmation: OnceLock<rusqlite::Result<Found<Vouched>>>,
}

impl Row {
    fn new(apex: Name, key: Vec<u8>, facts: Facts) -> Row {
        Row { apex, key, facts, version: OnceLock::new(), confirmation: OnceLock::new() }
    }

    /// What became of it, and what is wrong with its confirmation.
    fn outcome(&mut self) -> Result<(Restored, Option<&'static str>), Broken> {
        let every = "each row is restored before this";
        let version = self.version.take().expect(every)?;
        Ok(vouched(version, &self.facts, self.confirmation.take().expect(every)?))
    }
}

impl Inventory {
    /// Restores the zones that `wanted` wants. The error, beside what was found all the same, says that SQLite's file
    /// itself is damaged. `beside` opens the database once more, for each thread that helps.
    pub(crate) fn take(
        db: &Database,
        beside: &(dyn Fn() -> rusqlite::Result<Database> + Sync),
        disk: &dyn Disk,
        wanted: &dyn Fn(&Name) -> bool,
    ) -> (Inventory, Option<rusqlite::Error>) {
        let mut found = Inventory::default();
        let (mut failed, mut seen, mut rows) = (None, 0, Vec::new());
        let walked = db.walk(|key, facts| {
            seen += 1;
            let name = name_of(&key);
            match (facts, name) {
                (Some(facts), Some(apex)) if wanted(&apex) => rows.push(Row::new(apex, key, facts)),
                (Some(facts), Some(apex)) => {
                    found.kept.held.push(facts.held());
                    found.others.push(apex);
                }
                (_, zone) => {
                    found.damages.push(Damage { zone, what: DAMAGED_ROW.into() });
                    found.kept.unusable.push(key);
                }
            }
        });
        let checked = restore_all(db, beside, disk, &rows);
        found.restored.reserve(rows.len());
        for mut row in rows {
            let outcome = row.outcome();
            let Row { apex, key, facts, .. } = row;
            let damage = |what: &str| Damage { zone: Some(apex.clone()), what: what.into() };
            match outcome {
                Ok((restored, lost)) => {
                    if let Some(lost) = lost {
                        found.damages.push(damage(&format!("{lost}: expired until a primary vouches")));
                    }
                    found.kept.held.push(facts.held());
                    found.restored.push(restored);
                }
                Err(broken) => {
                    found.damages.push(damage(&broken.to_string()));
                    if broken.is_lost(disk) {
                        found.kept.unusable.push(key);
                        continue;
                    }
                    found.kept.held.push(facts.held());
                    if let Broken::Database(error) = broken
                        && is_damage(&error)
                    {
                        failed.get_or_insert(error);
                    }
                }
            }
        }
        let mut error = walked.err().or(failed).or(checked.err());
        if error.is_none() {
            match db.confirmations() {
                Ok(confirmed) if confirmed > seen => {
                    let what = format!(
                        "{} zones have a confirmation and no version: their rows are gone",
                        confirmed - seen
                    );
                    found.damages.push(Damage { zone: None, what });
                }
                Ok(_) => {}
                Err(uncounted) => error = Some(uncounted),
            }
        }
        if let Some(error) = &error {
            found.damages.push(Damage { zone: None, what: format!("secondo.db: {error}") });
        }
        (found, error)
    }
}

/// Restores all `rows` and checks the structure of SQLite's file, on as many threads as there are processors, eight at
/// most, which are gone when it returns. One who cannot open the database helps nobody: the others do its work.
fn restore_all(
    db: &Database,
    beside: &(dyn Fn() -> rusqlite::Result<Database> + Sync),
    disk: &dyn Disk,
    rows: &[Row],
) -> rusqlite::Result<()> {
    let mut by_place: Vec<&Row> = rows.iter().collect();
    by_place.sort_unstable_by_key(|row| (row.facts.place.file(), row.facts.place.row()));
    let (by_key, pieces) = (rows.chunks(PIECE), rows.len().div_ceil(PIECE));
    let next = AtomicUsize::new(0);
    let work = |db: &Database| {
        // One transaction for all of it: else each statement would lock the file anew.
        let begun = db.begin_reading();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if let Some(piece) = by_place.chunks(PIECE).nth(at) {
                read_versions(db, disk, piece);
            } else if let Some(piece) = by_key.clone().nth(at - pieces) {
                read_confirmations(db, piece);
            } else {
                break;
            }
        }
        if begun.is_ok() {
            db.rollback();
        }
    };
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let helpers = pieces.min(processors).min(MOST_THREADS).saturating_sub(1);
    thread::scope(|scope| {
        for _ in 0..helpers {
            let help = || beside().map_or((), |own| work(&own));
            // Without a thread the work is done here.
            let _ = thread::Builder::new().name("store-reads".into()).spawn_scoped(scope, help);
        }
        let checked = db.check();
        work(db);
        checked
    })
}

/// Reads the versions of zones whose images are neighbours.
fn read_versions(db: &Database, disk: &dyn Disk, piece: &[&Row]) {
    let mut wanted = piece.iter().filter_map(|row| Some((row.facts.place.row()?, row))).peekable();
    let mut ids = piece.iter().filter_map(|row| row.facts.place.row());
    if let (Some((first, _)), Some(last)) = (wanted.peek().copied(), ids.next_back())
        && last.abs_diff(first) <= (PASSED * piece.len()) as u64
    {
        // What this does not give is asked for below.
        let _ = db.images(first, last, |id, octets| {
            while let Some((own, row)) = wanted.next_if(|(own, _)| *own <= id) {
                if own == id {
                    let version = decode_row(octets, &row.facts)
                        .and_then(|image| newest(db, &row.key, &row.facts, image));
                    // Each piece is taken once, so nobody was here before.
                    let _ = row.version.set(version);
                }
            }
        });
    }
    for row in piece {
        row.version.get_or_init(|| restore_version(db, disk, &row.key, &row.facts));
    }
}

/// Reads the confirmations of zones whose keys are neighbours.
fn read_confirmations(db: &Database, piece: &[Row]) {
    let mut wanted = piece.iter().peekable();
    if let (Some(first), Some(last)) = (piece.first(), piece.last()) {
        // What this does not give is asked for below.
        let _ = db.confirmations_between(&first.key, &last.key, |key, found| {
            while wanted.next_if(|row| *row.key < *key).is_some() {}
            if let Some(row) = wanted.next_if(|row| *row.key == *key) {
                let _ = row.confirmation.set(Ok(found));
            }
        });
    }
    for row in piece {
        row.confirmation.get_or_init(|| db.confirmation(&row.key));
    }
}
