//! Reading files within bounds, and the small patterns of `include`.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use zeroize::Zeroizing;

/// Most files that one pattern may find.
pub(super) const MAX_FILES: usize = 10_000;

/// What a file must be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Anything that can be read, also a pipe.
    Any,
    /// A plain file.
    Regular,
    /// A plain file that others can neither read nor write.
    Private,
}

/// A file as read. It may hold secrets: wiped when dropped.
pub(super) struct Contents {
    pub(super) octets: Zeroizing<Vec<u8>>,
    /// Everybody may read it.
    pub(super) world_readable: bool,
}

/// Why a file was not read. Says nothing of its name.
#[derive(Debug)]
pub(super) enum ReadError {
    Io(io::Error),
    NotRegular,
    OpenToOthers,
    TooLarge(u64),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Io(error) => write!(f, "cannot be read: {error}"),
            ReadError::NotRegular => write!(f, "is not a plain file, expected one"),
            ReadError::OpenToOthers => {
                write!(f, "may be read or written by everybody, expected mode 0600 or 0640")
            }
            ReadError::TooLarge(limit) => write!(f, "is too large, expected at most {limit} bytes"),
        }
    }
}

/// Reads at most `limit` bytes. Kind and mode are those of the file that was opened, not of the name before.
pub(super) fn read(path: &Path, limit: u64, access: Access) -> Result<Contents, ReadError> {
    let mut options = OpenOptions::new();
    options.read(true);
    if access != Access::Any {
        // A named pipe must not keep us waiting for its writer.
        options.custom_flags(OFlag::O_NONBLOCK.bits());
    }
    let file = options.open(path).map_err(ReadError::Io)?;
    let metadata = file.metadata().map_err(ReadError::Io)?;
    if access != Access::Any && !metadata.is_file() {
        return Err(ReadError::NotRegular);
    }
    let mode = metadata.permissions().mode();
    if access == Access::Private && mode & 0o006 != 0 {
        return Err(ReadError::OpenToOthers);
    }
    // Room at once: growing would leave unwiped copies of secrets behind.
    let room = usize::try_from(metadata.len().min(limit)).unwrap_or(0).saturating_add(64);
    let mut octets = Zeroizing::new(Vec::with_capacity(room));
    file.take(limit.saturating_add(1)).read_to_end(&mut octets).map_err(ReadError::Io)?;
    if octets.len() as u64 > limit {
        return Err(ReadError::TooLarge(limit));
    }
    Ok(Contents { octets, world_readable: metadata.is_file() && mode & 0o004 != 0 })
}

/// What is wrong with a pattern.
#[derive(Debug)]
pub(super) enum PatternError {
    /// `*` or `?` before the last part of the path.
    Folder,
    /// No last part.
    Empty,
    /// More than [`MAX_FILES`] files.
    TooMany,
    /// The folder cannot be read.
    Io(io::Error),
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PatternError::Folder => {
                write!(f, "a wildcard in a folder, expected it in the last part of the path")
            }
            PatternError::Empty => write!(f, "no file name, expected a path such as zones.d/*.yaml"),
            PatternError::TooMany => write!(f, "too many files, expected at most {MAX_FILES}"),
            PatternError::Io(error) => write!(f, "the folder cannot be read: {error}"),
        }
    }
}

/// The files that a pattern means, in order of their names: `*` and `?` in the last part of the path, which match no
/// leading dot. Without a wildcard the path itself, whether or not it exists.
pub(super) fn expand(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, PatternError> {
    let wild = |text: &str| text.contains(['*', '?']);
    let (parent, last) = match pattern.rsplit_once('/') {
        Some(("", last)) => ("/", last),
        Some((parent, last)) => (parent, last),
        None => ("", pattern),
    };
    if last.is_empty() {
        return Err(PatternError::Empty);
    }
    if wild(parent) {
        return Err(PatternError::Folder);
    }
    let folder = if parent.is_empty() { folder.to_owned() } else { folder.join(parent) };
    if !wild(last) {
        return Ok(vec![folder.join(last)]);
    }
    // A path without any folder is one in the current folder.
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
    let mut names = Vec::new();
    for entry in fs::read_dir(listed).map_err(PatternError::Io)? {
        let name = entry.map_err(PatternError::Io)?.file_name();
        if name.to_str().is_some_and(|name| !name.starts_with('.') && matches(last, name)) {
            if names.len() == MAX_FILES {
                return Err(PatternError::TooMany);
            }
            names.push(name);
        }
    }
    names.sort();
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

/// Whether `name` fits `pattern`: `*` any run of characters, `?` one. Time at most the product of their lengths.
fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    // Where to go on when the last `*` must swallow one character more.
    let mut star: Option<(usize, usize)> = None;
    while let Some(letter) = name.get(n) {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, n));
                p += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == letter => {
                p += 1;
                n += 1;
            }
            _ => match star {
                None => return false,
                Some((after, swallowed)) => {
                    star = Some((after, swallowed + 1));
                    p = after;
                    n = swallowed + 1;
                }
            },
        }
    }
    pattern.iter().skip(p).all(|wanted| *wanted == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions, write};

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, name, expected) in [
            ("*.yaml", "a.yaml", true),
            ("*.yaml", ".yaml", true),
            ("*.yaml", "a.yml", false),
            ("*", "", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a*b*c", "axxbyybzzc", true),
            ("a*b*c", "axxbyybzz", false),
            ("**x", "x", true),
            ("?", "ü", true),
            ("abc", "abcd", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn files_are_found_in_order_and_hidden_ones_not() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a.yaml", ".c.yaml", "d.txt"] {
            write(folder.path().join(name), "").unwrap();
        }
        let found = expand(folder.path(), "*.yaml").unwrap();
        assert_eq!(found, [folder.path().join("a.yaml"), folder.path().join("b.yaml")]);
        assert_eq!(expand(folder.path(), "x/none.yaml").unwrap(), [folder.path().join("x/none.yaml")]);
        assert!(matches!(expand(folder.path(), "*/a.yaml"), Err(PatternError::Folder)));
        assert!(matches!(expand(folder.path(), "a/"), Err(PatternError::Empty)));
        assert!(matches!(expand(folder.path(), "none/*"), Err(PatternError::Io(_))));
    }

    #[test]
    fn a_private_file_is_refused_when_others_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        write(&path, "x").unwrap();
        for (mode, refused) in [(0o600, false), (0o640, false), (0o644, true), (0o602, true)] {
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let outcome = read(&path, 10, Access::Private);
            assert_eq!(matches!(outcome, Err(ReadError::OpenToOthers)), refused, "{mode:o}");
        }
    }

    #[test]
    fn folders_pipes_and_large_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (large, pipe) = (folder.path().join("large"), folder.path().join("pipe"));
        write(&large, "12345").unwrap();
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(matches!(read(&large, 4, Access::Any), Err(ReadError::TooLarge(4))));
        assert!(read(&large, 5, Access::Regular).is_ok());
        assert!(matches!(read(&pipe, 4, Access::Private), Err(ReadError::NotRegular)));
        assert!(matches!(read(folder.path(), 4, Access::Regular), Err(ReadError::NotRegular)));
    }
}
