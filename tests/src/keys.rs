//! TSIG keys, made by BIND's `tsig-keygen` as an operator would.

use std::path::{Path, PathBuf};

use crate::{peers, process};

/// A shared key in the forms in which each program wants it.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its name, without a final dot.
    pub name: String,
    /// `hmac-sha256` and so on, as every program here spells it.
    pub algorithm: String,
    /// The secret in base64.
    pub secret: String,
}

impl Key {
    /// A fresh key. `algorithm` is one that `tsig-keygen` knows: `hmac-md5` to `hmac-sha512`.
    pub fn make(name: &str, algorithm: &str) -> Self {
        let text = process::run(&peers::program("tsig-keygen"), &["-a", algorithm, name]);
        let quoted = |after: &str| {
            let rest = &text[text.find(after).expect("tsig-keygen prints this word") + after.len()..];
            rest.trim_start().trim_start_matches('"').split(['"', ';']).next().unwrap_or_default().to_owned()
        };
        let key = Self { name: name.to_owned(), algorithm: quoted("algorithm"), secret: quoted("secret") };
        assert!(key.secret.len() >= 20, "unexpected output of tsig-keygen: {text}");
        key
    }

    /// The same name and algorithm over another secret: what a typing error leads to.
    pub fn with_other_secret(&self) -> Self {
        Self::make(&self.name, &self.algorithm)
    }

    /// The clause in which BIND keeps it.
    pub fn clause(&self) -> String {
        format!("key \"{}\" {{ algorithm {}; secret \"{}\"; }};\n", self.name, self.algorithm, self.secret)
    }

    /// A file for `dig -k`.
    pub fn file(&self, folder: &Path) -> PathBuf {
        let path = folder.join(format!("{}.key", self.name));
        std::fs::write(&path, self.clause()).expect("our own folder is writable");
        path
    }

    /// `algorithm:name:secret`, as `dig -y` and `kdig -y` take it.
    pub fn argument(&self) -> String {
        format!("{}:{}:{}", self.algorithm, self.name, self.secret)
    }
}
