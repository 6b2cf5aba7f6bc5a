//! The few things the store asks of a folder of page files, and how a file is made of them that survives; a faulty disk in
//! tests answers them with errors and power cuts.

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Octets that are given to the disk at once.
const BUFFER: usize = 1 << 18;

/// What is written into a new file.
pub type Fill<'f> = &'f mut dyn FnMut(&mut dyn Write) -> io::Result<()>;

/// A file that is being written.
pub trait NewFile: Write {
    /// Makes its content survive a power cut; its name may not.
    fn sync(&mut self) -> io::Result<()>;
}

/// A folder of immutable files.
pub trait Disk: Send + Sync {
    /// Begins the file `name`; there is none of that name.
    fn begin(&self, name: &str) -> io::Result<Box<dyn NewFile + '_>>;
    /// Gives the file `from` the name `to`, in the place of one that has it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Makes all names survive a power cut.
    fn sync_names(&self) -> io::Result<()>;
    /// The content of `name`, and how many octets it should be.
    fn open(&self, name: &str) -> io::Result<(u64, Box<dyn Read + '_>)>;
    /// Removes `name`.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Takes `name` out of the way for a person to look at.
    fn set_aside(&self, name: &str) -> io::Result<()>;
    /// All names.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Creates `name` with what `fill` writes: after `Ok` the file survives a power cut, whole; after `Err` or a
    /// power cut before that, there is either no file of that name or a whole one.
    fn create(&self, name: &str, fill: Fill<'_>) -> io::Result<()> {
        let temporary = format!("{name}.new");
        // A left-over of an interrupted try is never written on: after a failed fsync its pages cannot be trusted.
        let _ = self.remove(&temporary);
        let mut written = || {
            let mut file = self.begin(&temporary)?;
            let mut out = BufWriter::with_capacity(BUFFER, &mut file);
            fill(&mut out)?;
            out.into_inner().map_err(|error| error.into_error())?.sync()?;
            drop(file);
            self.rename(&temporary, name)?;
            self.sync_names()
        };
        let created = written();
        if created.is_err() {
            let _ = self.remove(&temporary);
        }
        created
    }
}

/// A real folder, with a second one for what is set aside.
#[derive(Clone, Debug)]
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
    fn begin(&self, name: &str) -> io::Result<Box<dyn NewFile + '_>> {
        create_folder(&self.files)?;
        Ok(Box::new(File::create_new(self.files.join(name))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.files.join(from), self.files.join(to))
    }

    fn sync_names(&self) -> io::Result<()> {
        sync_folder(&self.files)
    }

    fn open(&self, name: &str) -> io::Result<(u64, Box<dyn Read + '_>)> {
        let file = File::open(self.files.join(name))?;
        Ok((file.metadata()?.len(), Box::new(file)))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.files.join(name))
    }

    fn set_aside(&self, name: &str) -> io::Result<()> {
        make_room(&self.aside)?;
        fs::rename(self.files.join(name), self.aside.join(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
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

impl NewFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// Makes names created, renamed and removed in a folder survive a power cut.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Creates a folder with all above it, each so that it survives a power cut; one that is there already is fine.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = match path.parent() {
        Some(above) if above != Path::new("") => above,
        _ => Path::new("."),
    };
    create_folder(above)?;
    // Zones need not be anybody's business.
    match DirBuilder::new().mode(0o750).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        other => other?,
    }
    sync_folder(above)
}

/// Most files that are kept for a person to look at: what nobody looks at must not fill the disk.
const KEPT_ASIDE: usize = 8;

/// Makes room for one more file in the folder of what is set aside: the oldest go.
pub(crate) fn make_room(aside: &Path) -> io::Result<()> {
    create_folder(aside)?;
    let mut found: Vec<_> = fs::read_dir(aside)?
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    found.sort_unstable();
    let surplus = (found.len() + 1).saturating_sub(KEPT_ASIDE);
    for (_, path) in found.iter().take(surplus) {
        let _ = fs::remove_file(path);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(disk: &Folder, name: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let (size, mut reader) = disk.open(name).unwrap();
        reader.read_to_end(&mut out).unwrap();
        assert_eq!(size, out.len() as u64);
        out
    }

    #[test]
    fn a_failed_write_leaves_no_file_and_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Folder::new(folder.path().join("zones"), folder.path().join("damaged"));
        assert!(disk.create("a", &mut |_| Err(io::Error::other("full"))).is_err());
        assert!(disk.list().unwrap().is_empty());
        disk.create("a", &mut |out| out.write_all(b"first")).unwrap();
        assert!(disk.create("a", &mut |_| Err(io::Error::other("full"))).is_err());
        assert_eq!(content(&disk, "a"), b"first");
        disk.set_aside("a").unwrap();
        assert!(disk.list().unwrap().is_empty());
        assert_eq!(fs::read(folder.path().join("damaged/a")).unwrap(), b"first");
    }

    #[test]
    fn what_is_set_aside_does_not_pile_up() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Folder::new(folder.path().join("zones"), folder.path().join("damaged"));
        for number in 0..20 {
            let name = format!("{number:02}");
            disk.create(&name, &mut |out| out.write_all(b"x")).unwrap();
            disk.set_aside(&name).unwrap();
        }
        assert_eq!(fs::read_dir(folder.path().join("damaged")).unwrap().count(), KEPT_ASIDE);
        assert!(folder.path().join("damaged/19").exists());
    }
}
