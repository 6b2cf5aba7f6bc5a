//! A folder of one's own for each test; kept when the test fails, so that its logs can be read.

use std::path::{Path, PathBuf};

/// A temporary folder, removed when the test passes and kept when it fails or when `SECONDO_TESTS_KEEP` is set.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// A fresh, empty folder. The path is short, because control sockets live below it (a unix socket's path has at
    /// most 107 octets).
    pub fn fresh() -> Self {
        let path = tempfile::Builder::new()
            .prefix("secondo-")
            .tempdir()
            .expect("the temporary folder is writable")
            .keep();
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A new folder inside this one.
    pub fn inner(&self, name: &str) -> PathBuf {
        let path = self.path.join(name);
        std::fs::create_dir_all(&path).expect("a folder of our own is writable");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() || std::env::var_os("SECONDO_TESTS_KEEP").is_some() {
            eprintln!("logs and files of this test are kept in {}", self.path.display());
        } else {
            // Left behind when a server still writes there: harmless, and no reason to fail a test that passed.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
