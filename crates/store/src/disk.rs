//! The few things the store asks of a folder of page files; the simulation answers them with faults and power cuts.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A folder of immutable files.
pub trait Disk: Send {
    /// Creates `name` with what `fill` writes: after `Ok` the file survives a power cut, whole; after `Err` or a
    /// power cut before that, there is either no file of that name or a whole one.
    fn create(&mut self, name: &str, fill: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<u64>;
    /// The content of `name`.
    fn read(&mut self, name: &str) -> io::Result<Vec<u8>>;
    /// Removes `name`.
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// Takes `name` out of the way for a person to look at.
    fn set_aside(&mut self, name: &str) -> io::Result<()>;
    /// All names.
    fn list(&mut self) -> io::Result<Vec<String>>;
}

/// A real folder, with a second one for what is set aside.
#[derive(Debug)]
pub struct Folder {
    files: PathBuf,
    aside: PathBuf,
}

impl Folder {
    /// The folder `files`; damaged files are moved to `aside`. Both are created when first written to.
    pub fn new(files: PathBuf, aside: PathBuf) -> Folder {
        Folder { files, aside }
    }
}

impl Disk for Folder {
    fn create(&mut self, name: &str, fill: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<u64> {
        fs::create_dir_all(&self.files)?;
        let temporary = self.files.join(format!("{name}.new"));
        // A left-over of an interrupted try is never written on: after a failed fsync its pages cannot be trusted.
        let _ = fs::remove_file(&temporary);
        let written = write_synced(&temporary, fill);
        let renamed = written.and_then(|size| {
            fs::rename(&temporary, self.files.join(name))?;
            sync_folder(&self.files)?;
            Ok(size)
        });
        if renamed.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        renamed
    }

    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.files.join(name))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        fs::remove_file(self.files.join(name))
    }

    fn set_aside(&mut self, name: &str) -> io::Result<()> {
        fs::create_dir_all(&self.aside)?;
        fs::rename(self.files.join(name), self.aside.join(name))
    }

    fn list(&mut self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.files) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        Ok(names)
    }
}

fn write_synced(path: &Path, fill: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<u64> {
    let mut out = BufWriter::with_capacity(1 << 18, File::create_new(path)?);
    fill(&mut out)?;
    let file = out.into_inner().map_err(|error| error.into_error())?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = Folder::new(folder.path().join("zones"), folder.path().join("damaged"));
        assert!(disk.create("a", &mut |_| Err(io::Error::other("full"))).is_err());
        assert!(disk.list().unwrap().is_empty());
        disk.create("a", &mut |out| out.write_all(b"first")).unwrap();
        assert!(disk.create("a", &mut |_| Err(io::Error::other("full"))).is_err());
        assert_eq!(disk.read("a").unwrap(), b"first");
        disk.set_aside("a").unwrap();
        assert!(disk.list().unwrap().is_empty());
        assert_eq!(fs::read(folder.path().join("damaged/a")).unwrap(), b"first");
    }
}
