//! A disk for page files that fails when it is told to: at any one operation, or at all of a kind from now on. Its
//! folder keeps no more than it must; what is made of the operations is the store's own.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secondo_store::{Disk, NewFile};

use crate::chance::Chance;
use crate::medium::Medium;
use crate::trouble::{Operation, Trouble};

/// Most octets that one write or read takes: files of some size take many.
const BLOCK: usize = 4096;
/// Where files are, and where those are that were set aside.
const FILES: &str = "zones/";
const ASIDE: &str = "damaged/";
/// Longest wait for something that is bound to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is done at the moment at which the power goes.
type Witness = Box<dyn FnOnce() + Send>;

/// See the module. Shared between the store and those who watch it.
pub struct FaultyDisk {
    state: Mutex<State>,
    asked: Condvar,
}

struct State {
    medium: Medium,
    power: bool,
    operations: Vec<Operation>,
    strikes: BTreeMap<usize, Trouble>,
    refusing: Option<Trouble>,
    /// Files in which one bit is read wrong: which octet, and which bit.
    misread: BTreeMap<String, (usize, u8)>,
    witness: Option<Witness>,
    chance: Chance,
}

impl FaultyDisk {
    /// An empty disk without faults. The seed decides what becomes of what was written when a sync fails.
    pub fn new(seed: u64) -> FaultyDisk {
        FaultyDisk::with(Medium::default(), Chance::new(seed))
    }

    fn with(medium: Medium, chance: Chance) -> FaultyDisk {
        let state = State {
            medium,
            power: true,
            operations: Vec::new(),
            strikes: BTreeMap::new(),
            refusing: None,
            misread: BTreeMap::new(),
            witness: None,
            chance,
        };
        FaultyDisk { state: Mutex::new(state), asked: Condvar::new() }
    }

    /// Everything asked of the disk so far, in order.
    pub fn operations(&self) -> Vec<Operation> {
        self.state().operations.clone()
    }

    /// Number of operations so far: the number of the next one.
    pub fn count(&self) -> usize {
        self.state().operations.len()
    }

    /// Waits until what was asked of the disk so far is as wanted, or the power is gone; whether it came to that within
    /// a minute.
    pub fn wait_until(&self, wanted: impl Fn(&[Operation]) -> bool) -> bool {
        let waiting = |state: &mut State| state.power && !wanted(&state.operations);
        let waited = self.asked.wait_timeout_while(self.state(), PATIENCE, waiting);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// The operation of this number, counted from 0, meets with trouble, whatever it is; the others do not.
    pub fn strike(&self, number: usize, trouble: Trouble) {
        self.state().strikes.insert(number, trouble);
    }

    /// Calls `witness` when a strike cuts the power, in the thread that met with it and before that goes on: so that what
    /// else there is can be copied as of that moment. It must not touch this disk.
    pub fn when_power_goes(&self, witness: impl FnOnce() + Send + 'static) {
        self.state().witness = Some(Box::new(witness));
    }

    /// No operation to come meets with trouble of its own.
    pub fn spare(&self) {
        self.state().strikes.clear();
    }

    /// From now on all operations that the trouble covers meet with it; `None`: the disk is sound again.
    pub fn refuse(&self, trouble: Option<Trouble>) {
        self.state().refusing = trouble;
    }

    /// Whether there is power.
    pub fn has_power(&self) -> bool {
        self.state().power
    }

    /// What is found when the power is back; it is cut now if it was not before, and here nothing works any more. The
    /// seed decides what is left of what was not synced.
    pub fn after_power_cut(&self, seed: u64) -> FaultyDisk {
        let mut chance = Chance::new(seed);
        let medium = self.switch_off().after_power_cut(&mut chance);
        FaultyDisk::with(medium, chance)
    }

    /// What is found when the process is killed now, and started again; here nothing works any more.
    pub fn after_kill(&self) -> FaultyDisk {
        let medium = self.switch_off();
        FaultyDisk::with(medium, self.state().chance.clone())
    }

    fn switch_off(&self) -> Medium {
        let mut state = self.state();
        state.power = false;
        self.asked.notify_all();
        state.medium.clone()
    }

    /// The names of files, in order.
    pub fn files(&self) -> Vec<String> {
        self.state().names(FILES)
    }

    /// The names of what was set aside, in order.
    pub fn aside(&self) -> Vec<String> {
        self.state().names(ASIDE)
    }

    /// What is in a file.
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        state.medium.find(&format!("{FILES}{name}")).map(|file| state.medium.octets(file).to_vec())
    }

    /// Changes a file behind everybody's back; whether it is there.
    pub fn damage(&self, name: &str, damage: impl Fn(&mut Vec<u8>)) -> bool {
        let mut state = self.state();
        let file = state.medium.find(&format!("{FILES}{name}"));
        file.inspect(|file| state.medium.damage(*file, damage)).is_some()
    }

    /// Flips one bit of a file where it lies; whether the file has that octet.
    pub fn flip(&self, name: &str, octet: usize, bit: u8) -> bool {
        let is_there = self.content(name).is_some_and(|content| octet < content.len());
        is_there
            && self.damage(name, |octets| {
                if let Some(octet) = octets.get_mut(octet) {
                    *octet ^= 1 << (bit % 8);
                }
            })
    }

    /// One bit of a file is read wrong from now on, while the file itself is sound; `None`: no longer.
    pub fn misread(&self, name: &str, flip: Option<(usize, u8)>) {
        match flip {
            Some(flip) => drop(self.state().misread.insert(name.into(), flip)),
            None => drop(self.state().misread.remove(name)),
        }
    }

    /// Loses a file.
    pub fn lose(&self, name: &str) {
        self.state().medium.lose(&format!("{FILES}{name}"));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what one operation does to the folder, if no trouble comes in between; with a power cut chance will decide
    /// whether it was done.
    fn ask<T>(&self, operation: Operation, act: impl FnOnce(&mut Medium) -> T) -> io::Result<T> {
        let mut state = self.state();
        let trouble = state.ask(operation);
        self.asked.notify_all();
        match trouble {
            None => Ok(act(&mut state.medium)),
            Some((trouble, now)) => {
                if trouble == Trouble::PowerCut && now {
                    act(&mut state.medium);
                }
                Err(trouble.error())
            }
        }
    }

    fn sync(
        &self,
        operation: Operation,
        well: impl FnOnce(&mut Medium),
        badly: impl FnOnce(&mut Medium, &mut Chance),
    ) -> io::Result<()> {
        let mut state = self.state();
        let trouble = state.ask(operation);
        self.asked.notify_all();
        let State { medium, chance, .. } = &mut *state;
        match trouble {
            None => well(medium),
            Some((Trouble::PowerCut, _)) => {}
            Some(_) => badly(medium, chance),
        }
        trouble.map_or(Ok(()), |(trouble, _)| Err(trouble.error()))
    }
}

impl State {
    /// The trouble that an operation meets with, and whether that begins now.
    fn ask(&mut self, operation: Operation) -> Option<(Trouble, bool)> {
        if !self.power {
            return Some((Trouble::PowerCut, false));
        }
        let number = self.operations.len();
        self.operations.push(operation);
        let refused = self.refusing.filter(|trouble| trouble.covers(operation));
        let trouble = self.strikes.remove(&number).or(refused)?;
        self.power = trouble != Trouble::PowerCut;
        if let Some(witness) = self.witness.take_if(|_| !self.power) {
            witness();
        }
        Some((trouble, true))
    }

    fn names(&self, folder: &str) -> Vec<String> {
        self.medium.names().filter_map(|name| name.strip_prefix(folder)).map(String::from).collect()
    }
}

impl Disk for FaultyDisk {
    fn begin(&self, name: &str) -> io::Result<Box<dyn NewFile + '_>> {
        let file = self.ask(Operation::Create, |medium| medium.create(&format!("{FILES}{name}")))?;
        Ok(Box::new(Ink { disk: self, file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (format!("{FILES}{from}"), format!("{FILES}{to}"));
        self.ask(Operation::Rename, |medium| medium.rename(&from, &to))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.sync(Operation::SyncFolder, Medium::sync_names, Medium::sync_names_badly)
    }

    fn open(&self, name: &str) -> io::Result<(u64, Box<dyn Read + '_>)> {
        let path = format!("{FILES}{name}");
        let found =
            self.ask(Operation::Open, |medium| medium.find(&path).map(|file| medium.octets(file).to_vec()));
        let mut octets = found?.ok_or(io::ErrorKind::NotFound)?;
        if let Some(&(octet, bit)) = self.state().misread.get(name)
            && let Some(octet) = octets.get_mut(octet)
        {
            *octet ^= 1 << (bit % 8);
        }
        Ok((octets.len() as u64, Box::new(Eye { disk: self, octets: io::Cursor::new(octets) })))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let path = format!("{FILES}{name}");
        if self.state().medium.find(&path).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.ask(Operation::Remove, |medium| medium.remove(&path))
    }

    fn set_aside(&self, name: &str) -> io::Result<()> {
        let (from, to) = (format!("{FILES}{name}"), format!("{ASIDE}{name}"));
        self.ask(Operation::SetAside, |medium| medium.rename(&from, &to))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.ask(Operation::List, |_| ())?;
        Ok(self.files())
    }
}

impl fmt::Debug for FaultyDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("FaultyDisk")
            .field("files", &state.names(FILES))
            .field("aside", &state.names(ASIDE))
            .field("power", &state.power)
            .field("refusing", &state.refusing)
            .field("operations", &state.operations.len())
            .finish()
    }
}

/// Writes into a new file, block by block.
struct Ink<'d> {
    disk: &'d FaultyDisk,
    file: u64,
}

impl Write for Ink<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let block = octets.get(..BLOCK).unwrap_or(octets);
        let written = self.disk.ask(Operation::Write, |medium| medium.append(self.file, block));
        if written.is_err() && self.disk.has_power() {
            // It failed halfway.
            let half = block.get(..block.len() / 2).unwrap_or_default();
            self.disk.state().medium.append(self.file, half);
        }
        written.map(|()| block.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl NewFile for Ink<'_> {
    fn sync(&mut self) -> io::Result<()> {
        let file = self.file;
        self.disk.sync(
            Operation::Sync,
            |medium| medium.sync(file),
            |medium, chance| medium.sync_badly(file, chance),
        )
    }
}

/// Reads an open file, block by block.
struct Eye<'d> {
    disk: &'d FaultyDisk,
    octets: io::Cursor<Vec<u8>>,
}

impl Read for Eye<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.disk.ask(Operation::Read, |_| ())?;
        let room = into.len().min(BLOCK);
        self.octets.read(into.get_mut(..room).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(disk: &FaultyDisk, name: &str, octets: &[u8]) -> io::Result<()> {
        disk.create(name, &mut |out| out.write_all(octets))
    }

    #[test]
    fn a_file_that_was_created_survives_and_each_step_on_the_way_can_fail() {
        let disk = FaultyDisk::new(1);
        write(&disk, "a", &[7; 2 * BLOCK + 1]).unwrap();
        use Operation::{Create, Rename, Sync, SyncFolder, Write};
        assert_eq!(disk.operations(), [Create, Write, Write, Write, Sync, Rename, SyncFolder]);
        for (number, seed) in (0..7).zip(0..) {
            let disk = disk.after_kill();
            disk.strike(number, Trouble::PowerCut);
            assert!(write(&disk, "b", &[8; 2 * BLOCK + 1]).is_err(), "operation {number}");
            assert!(!disk.has_power() && write(&disk, "c", b"c").is_err() && disk.list().is_err());
            let after = disk.after_power_cut(seed);
            assert_eq!(after.content("a"), Some(vec![7; 2 * BLOCK + 1]));
            if let Some(content) = after.content("b") {
                assert_eq!(content, [8; 2 * BLOCK + 1], "a file of that name is whole");
            }
        }
    }

    #[test]
    fn a_refusal_says_what_the_kernel_would_and_lasts_until_it_is_lifted() {
        let disk = FaultyDisk::new(1);
        write(&disk, "a", b"a").unwrap();
        for (trouble, kind) in [
            (Trouble::Full, io::ErrorKind::StorageFull),
            (Trouble::ReadOnly, io::ErrorKind::ReadOnlyFilesystem),
            (Trouble::BadWrite, io::ErrorKind::Other),
            (Trouble::BadSync, io::ErrorKind::Other),
        ] {
            disk.refuse(Some(trouble));
            assert_eq!(write(&disk, "b", b"b").unwrap_err().kind(), kind);
            assert_eq!(disk.files(), ["a"], "{trouble:?}");
            assert_eq!(disk.remove("a").is_err(), trouble == Trouble::ReadOnly);
            disk.refuse(None);
            write(&disk, "a", b"a").unwrap();
        }
        disk.refuse(Some(Trouble::BadRead));
        assert!(disk.open("a").is_err() && disk.list().is_err());
    }

    #[test]
    fn damage_is_read_and_so_is_what_only_the_reading_damages() {
        let disk = FaultyDisk::new(1);
        write(&disk, "a", b"abc").unwrap();
        let read = || {
            let mut octets = Vec::new();
            disk.open("a").and_then(|(_, mut from)| from.read_to_end(&mut octets)).map(|_| octets)
        };
        disk.misread("a", Some((1, 0)));
        assert_eq!(read().unwrap(), b"acc");
        disk.misread("a", None);
        assert_eq!(read().unwrap(), b"abc");
        assert!(disk.flip("a", 2, 1) && !disk.flip("a", 3, 0) && !disk.flip("b", 0, 0));
        assert_eq!(read().unwrap(), b"aba");
        disk.lose("a");
        assert_eq!(read().unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(disk.after_power_cut(1).files().is_empty());
    }
}
