//! A folder as POSIX promises it and no better: a file's content is there for all at once, and survives a power cut when
//! it was synced; so do its name, its new name and its end, when the folder was. Of what was not synced, chance decides
//! piece by piece.

use std::collections::BTreeMap;

use crate::chance::Chance;

/// What a torn write may leave beside the octets that were meant: nothing is promised of it.
const NOISE: u8 = 0xA5;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Medium {
    files: BTreeMap<u64, File>,
    /// What a running process sees.
    names: BTreeMap<String, u64>,
    /// What a power cut leaves of that at least.
    kept: BTreeMap<String, u64>,
    /// What leads from `kept` to `names`, in order.
    changes: Vec<Change>,
    next: u64,
}

#[derive(Clone, Debug, Default)]
struct File {
    octets: Vec<u8>,
    kept: Vec<u8>,
    /// Writes since the last sync: where, and how many octets.
    writes: Vec<(usize, usize)>,
}

#[derive(Clone, Debug)]
enum Change {
    Named(String, u64),
    /// In one step, as rename(2) is.
    Renamed(String, String, u64),
    Removed(String),
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Change::Named(name, file) => drop(names.insert(name.clone(), *file)),
            Change::Renamed(from, to, file) => {
                // Had the file no name before, it gets its new one all the same.
                names.remove(from);
                names.insert(to.clone(), *file);
            }
            Change::Removed(name) => drop(names.remove(name)),
        }
    }
}

impl Medium {
    /// A new empty file; one of that name is there no more.
    pub(crate) fn create(&mut self, name: &str) -> u64 {
        let file = self.next;
        self.next += 1;
        self.files.insert(file, File::default());
        self.change(Change::Named(name.into(), file));
        file
    }

    /// The file of a name.
    pub(crate) fn find(&self, name: &str) -> Option<u64> {
        self.names.get(name).copied()
    }

    /// All names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// What a process reads in a file.
    pub(crate) fn octets(&self, file: u64) -> &[u8] {
        self.files.get(&file).map_or(&[], |file| &file.octets)
    }

    /// Writes behind the end of a file.
    pub(crate) fn append(&mut self, file: u64, octets: &[u8]) {
        let file = self.file(file);
        file.writes.push((file.octets.len(), octets.len()));
        file.octets.extend_from_slice(octets);
    }

    /// Makes a file's content survive.
    pub(crate) fn sync(&mut self, file: u64) {
        let file = self.file(file);
        for (at, length) in std::mem::take(&mut file.writes) {
            file.keep(at, length, 0);
        }
    }

    /// The same, and it fails: what chance does not keep is lost although it can still be read, and no later sync knows
    /// of it.
    pub(crate) fn sync_badly(&mut self, file: u64, chance: &mut Chance) {
        self.file(file).settle(chance);
    }

    /// Gives a file another name; a file of that name is there no more.
    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        if let Some(file) = self.find(from) {
            self.change(Change::Renamed(from.into(), to.into(), file));
        }
    }

    /// Removes a name.
    pub(crate) fn remove(&mut self, name: &str) {
        if self.names.contains_key(name) {
            self.change(Change::Removed(name.into()));
        }
    }

    /// Makes all names survive.
    pub(crate) fn sync_names(&mut self) {
        for change in std::mem::take(&mut self.changes) {
            change.apply(&mut self.kept);
        }
    }

    /// The same, and it fails.
    pub(crate) fn sync_names_badly(&mut self, chance: &mut Chance) {
        let changes = std::mem::take(&mut self.changes);
        let kept = survivors(changes.len(), chance);
        for (change, _) in changes.iter().zip(kept).filter(|(_, kept)| *kept) {
            change.apply(&mut self.kept);
        }
    }

    /// What is there after a power cut now.
    pub(crate) fn after_power_cut(&self, chance: &mut Chance) -> Medium {
        let mut left = self.clone();
        left.sync_names_badly(chance);
        left.names.clone_from(&left.kept);
        for file in left.files.values_mut() {
            file.settle(chance);
            file.octets.clone_from(&file.kept);
        }
        left.files.retain(|file, _| left.names.values().any(|named| named == file));
        left
    }

    /// Damage at rest: changes what is there, synced or not.
    pub(crate) fn damage(&mut self, file: u64, damage: impl Fn(&mut Vec<u8>)) {
        let file = self.file(file);
        damage(&mut file.octets);
        damage(&mut file.kept);
    }

    /// Damage at rest: the name is gone, and was never there.
    pub(crate) fn lose(&mut self, name: &str) {
        self.names.remove(name);
        self.kept.remove(name);
        self.changes.retain(|change| match change {
            Change::Named(named, _) | Change::Renamed(_, named, _) | Change::Removed(named) => named != name,
        });
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    fn file(&mut self, file: u64) -> &mut File {
        self.files.entry(file).or_default()
    }
}

impl File {
    /// Some of what was written and not synced survives, whole or torn; the rest never will.
    fn settle(&mut self, chance: &mut Chance) {
        let writes = std::mem::take(&mut self.writes);
        let kept = survivors(writes.len(), chance);
        for ((at, length), _) in writes.into_iter().zip(kept).filter(|(_, kept)| *kept) {
            let whole = !chance.one_in(4);
            let length = if whole { length } else { chance.below(length as u64 + 1) as usize };
            self.keep(at, length, if chance.one_in(2) { 0 } else { NOISE });
        }
    }

    /// Makes a write survive; a file may have grown over `hole`s that no write reached.
    fn keep(&mut self, at: usize, length: usize, hole: u8) {
        let end = at + length;
        if self.kept.len() < end {
            self.kept.resize(end, hole);
        }
        // Damage may have shortened the file since.
        if let (Some(kept), Some(octets)) = (self.kept.get_mut(at..end), self.octets.get(at..end)) {
            kept.copy_from_slice(octets);
        }
    }
}

/// Which of so many things done and not synced survive: none, all, the first few, or any.
fn survivors(count: usize, chance: &mut Chance) -> Vec<bool> {
    let first = chance.below(count as u64 + 1) as usize;
    match chance.below(5) {
        0 => vec![false; count],
        1 => vec![true; count],
        2 => (0..count).map(|number| number < first).collect(),
        _ => (0..count).map(|_| chance.one_in(2)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// All that a power cut may leave under a name.
    fn fates(medium: &Medium, name: &str) -> BTreeSet<Option<Vec<u8>>> {
        let after = |seed| medium.after_power_cut(&mut Chance::new(seed));
        (0..4000).map(after).map(|left| left.find(name).map(|file| left.octets(file).to_vec())).collect()
    }

    #[test]
    fn what_was_synced_survives_and_of_the_rest_any_part() {
        let mut medium = Medium::default();
        let file = medium.create("a");
        for part in [b"one", b"two", b"six"] {
            medium.append(file, part);
        }
        let found = fates(&medium, "a");
        assert!(found.contains(&None) && found.contains(&Some(b"onetwosix".to_vec())));
        assert!(found.contains(&Some(b"onetwo".to_vec())), "a prefix");
        assert!(found.contains(&Some(b"one\0\0\0six".to_vec())), "a hole");
        assert!(found.contains(&Some(b"onetwos".to_vec())), "torn");
        medium.sync(file);
        let found = fates(&medium, "a");
        assert_eq!(found, BTreeSet::from([None, Some(b"onetwosix".to_vec())]), "its name was not synced");
        medium.sync_names();
        assert_eq!(fates(&medium, "a"), BTreeSet::from([Some(b"onetwosix".to_vec())]));
    }

    #[test]
    fn a_rename_happens_or_does_not() {
        let mut medium = Medium::default();
        for (name, octets) in [("old", b"old"), ("new", b"new")] {
            let file = medium.create(name);
            medium.append(file, octets);
            medium.sync(file);
        }
        medium.sync_names();
        medium.rename("new", "old");
        assert_eq!(medium.names().collect::<Vec<_>>(), ["old"]);
        assert_eq!(fates(&medium, "old"), BTreeSet::from([Some(b"old".to_vec()), Some(b"new".to_vec())]));
        medium.remove("old");
        assert_eq!(fates(&medium, "old").len(), 3);
        medium.sync_names();
        assert_eq!(fates(&medium, "old"), BTreeSet::from([None]));
    }

    #[test]
    fn after_a_sync_that_failed_no_other_one_saves_what_was_lost() {
        let mut lost = 0;
        for seed in 0..50 {
            let mut medium = Medium::default();
            let file = medium.create("a");
            medium.sync_names();
            medium.append(file, b"data");
            medium.sync_badly(file, &mut Chance::new(seed));
            assert_eq!(medium.octets(file), b"data", "it can still be read");
            medium.append(file, b"more");
            medium.sync(file);
            lost += usize::from(!fates(&medium, "a").contains(&Some(b"datamore".to_vec())));
        }
        assert!((10..50).contains(&lost), "{lost}");
    }
}
