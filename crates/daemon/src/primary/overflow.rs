//! Room on disk for the records of a large zone that come in no order.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use secondo_zone::{Spill, SpillError};

/// A file that loses its name as soon as it has one, so that nothing of it outlives the transfer. Made at the first octet,
/// which most transfers never have.
#[derive(Debug)]
pub(super) struct Overflow {
    folder: PathBuf,
    file: Option<File>,
    /// Octets in it.
    length: u64,
}

impl Overflow {
    /// In `folder`, whose left-overs named `*.new` the store removes at the next start.
    pub(super) fn new(folder: PathBuf) -> Overflow {
        Overflow { folder, file: None, length: 0 }
    }

    fn file(&mut self) -> io::Result<&File> {
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                fs::create_dir_all(&self.folder)?;
                let path = self.folder.join(format!("{:016x}.new", rand::random::<u64>()));
                let file = File::options().read(true).write(true).create_new(true).open(&path)?;
                fs::remove_file(&path)?;
                file
            }
        };
        Ok(self.file.insert(file))
    }
}

impl Spill for Overflow {
    fn append(&mut self, octets: &[u8]) -> Result<(), SpillError> {
        let at = self.length;
        self.file().and_then(|file| file.write_all_at(octets, at)).map_err(told)?;
        self.length += octets.len() as u64;
        Ok(())
    }

    fn read(&mut self, at: u64, octets: &mut [u8]) -> Result<(), SpillError> {
        self.file().and_then(|file| file.read_exact_at(octets, at)).map_err(told)
    }
}

fn told(error: io::Error) -> SpillError {
    SpillError(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_appended_is_read_back_and_leaves_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut overflow = Overflow::new(folder.path().join("zones"));
        assert!(!folder.path().join("zones").exists(), "nothing is made before it is needed");
        overflow.append(b"first").unwrap();
        overflow.append(b"second").unwrap();
        let mut octets = [0; 8];
        overflow.read(3, &mut octets).unwrap();
        assert_eq!(&octets, b"stsecond");
        assert!(overflow.read(4, &mut octets).is_err());
        assert_eq!(fs::read_dir(folder.path().join("zones")).unwrap().count(), 0);
        let mut nowhere = Overflow::new("/proc/nowhere".into());
        assert!(nowhere.append(b"x").is_err());
    }
}
