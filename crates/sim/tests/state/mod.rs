//! A state directory as the store has it: a folder of this test's for the database, and a faulty disk for page files.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use secondo_sim::{FaultyDisk, Name};
use secondo_store::{Committed, Confirmation, History, Notice, Opened, Store};
use secondo_transfer::CheckedZone;
use tempfile::TempDir;

/// The secret of page borders, as long as the directory has none.
pub(crate) const SECRET: [u8; 16] = [9; 16];

/// Files by their names.
type Files = BTreeMap<String, Vec<u8>>;

pub(crate) struct StateDir {
    folder: TempDir,
    pub(crate) disk: Arc<FaultyDisk>,
    /// The database at the moment at which the disk lost its power.
    struck: Arc<Mutex<Option<Files>>>,
}

/// A store, and what it said when it was opened and since.
pub(crate) struct Running {
    pub(crate) store: Store,
    pub(crate) opened: Opened,
    pub(crate) notices: Receiver<Notice>,
    disk: Arc<FaultyDisk>,
}

impl StateDir {
    pub(crate) fn new(seed: u64) -> StateDir {
        StateDir::with(FaultyDisk::new(seed), &Files::new())
    }

    fn with(disk: FaultyDisk, files: &Files) -> StateDir {
        // What survives is decided here and not by a true sync: where there is a disk in memory, that is quicker.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        for (name, octets) in files {
            fs::write(folder.path().join(name), octets).unwrap();
        }
        let (path, struck) = (folder.path().to_owned(), Arc::new(Mutex::new(None)));
        let at = Arc::clone(&struck);
        disk.when_power_goes(move || *at.lock().unwrap() = Some(database(&path)));
        StateDir { folder, disk: Arc::new(disk), struck }
    }

    /// Opens it for all zones; nothing may refuse that.
    pub(crate) fn open(&self) -> Running {
        let (tell, notices) = channel();
        let told = move |notice| drop(tell.send(notice));
        let (store, opened) =
            Store::open_on(self.folder.path(), Arc::clone(&self.disk) as _, SECRET, |_| true, told).unwrap();
        Running { store, opened, notices, disk: Arc::clone(&self.disk) }
    }

    /// What a kill at this moment leaves. What was asked of the store must be answered.
    pub(crate) fn after_kill(&self) -> StateDir {
        StateDir::with(self.disk.after_kill(), &database(self.folder.path()))
    }

    /// What a power cut at this moment leaves, or at the earlier one at which the disk lost its power. The database
    /// syncs all that it answers.
    pub(crate) fn after_power_cut(&self, seed: u64) -> StateDir {
        let struck = self.struck.lock().unwrap().clone();
        let files = struck.unwrap_or_else(|| database(self.folder.path()));
        StateDir::with(self.disk.after_power_cut(seed), &files)
    }
}

/// The files of the database as they are at one moment, without lock and shared memory.
fn database(folder: &Path) -> Files {
    let mut last = files(folder);
    loop {
        let again = files(folder);
        if again == last {
            return last;
        }
        last = again;
    }
}

fn files(folder: &Path) -> Files {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let named = entries.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path));
    let wanted = named.filter(|(name, _)| name.starts_with("secondo.db") && !name.ends_with("-shm"));
    wanted.filter_map(|(name, path)| Some((name, fs::read(path).ok()?))).collect()
}

impl Running {
    /// Whether what was just answered was answered by a machine with power.
    pub(crate) fn has_power(&self) -> bool {
        self.disk.has_power()
    }

    /// Commits and waits for the answer.
    pub(crate) fn commit(&self, checked: CheckedZone, confirmation: Confirmation, keep: u32) -> Committed {
        let (tell, told) = channel();
        self.store.commit(checked, confirmation, keep, move |committed| tell.send(committed).unwrap());
        told.recv().unwrap()
    }

    /// Confirms and waits for the answer.
    pub(crate) fn confirm(&self, apex: &Name, confirmation: Confirmation) -> Result<(), String> {
        let (tell, told) = channel();
        self.store.confirm(apex, confirmation, move |result| tell.send(result).unwrap());
        told.recv().unwrap()
    }

    /// Asks for the history of a zone and waits for it.
    pub(crate) fn history(&self, apex: &Name) -> Option<History> {
        let (tell, told) = channel();
        self.store.history(apex, |_| false, move |found| tell.send(found).unwrap());
        told.recv().unwrap().ok()
    }
}
