//! The configuration of `secondo`, written as an operator would write it.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use crate::Key;

/// What the file will say.
#[derive(Clone, Debug, Default)]
pub struct Config {
    listen: Vec<String>,
    keys: Vec<Key>,
    primaries: Vec<String>,
    zones: Vec<String>,
    more: Vec<String>,
}

/// Lines of a zone that let its SOA's timers rule down to one second.
pub const SHORT_BOUNDS: &[&str] =
    &["refresh-bounds: [1s, 1d]", "retry-bounds: [1s, 1h]", "expire-bounds: [1s, 60d]"];

impl Config {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Listens at another address than 127.0.0.1 and the daemon's port.
    pub fn listen(mut self, address: &str) -> Self {
        self.listen.push(address.to_owned());
        self
    }

    /// Knows a key.
    pub fn key(mut self, key: &Key) -> Self {
        self.keys.push(key.clone());
        self
    }

    /// Knows a primary, and its key if it has one.
    pub fn primary(self, name: &str, address: SocketAddr, key: Option<&Key>) -> Self {
        self.primary_with(name, &[address], key, &[])
    }

    /// Knows a primary with several addresses and more lines.
    pub fn primary_with(mut self, name: &str, at: &[SocketAddr], key: Option<&Key>, lines: &[&str]) -> Self {
        let addresses: Vec<String> = at.iter().map(|a| format!("\"{a}\"")).collect();
        let mut text = format!("  {name}:\n    addresses: [{}]\n", addresses.join(", "));
        if let Some(key) = key {
            let _ = writeln!(text, "    key: {}", key.name);
            if self.keys.iter().all(|known| known.name != key.name) {
                self.keys.push(key.clone());
            }
        }
        for line in lines {
            let _ = writeln!(text, "    {line}");
        }
        self.primaries.push(text);
        self
    }

    /// Serves a zone from the primaries named; `lines` are further keys of the zone.
    pub fn zone(mut self, apex: &str, primaries: &str, lines: &[&str]) -> Self {
        let name = apex.strip_suffix('.').filter(|name| !name.is_empty()).unwrap_or(apex);
        let mut text = format!("  - name: '{}'\n    primaries: [{primaries}]\n", name.replace('\'', "''"));
        for line in lines {
            let _ = writeln!(text, "    {line}");
        }
        self.zones.push(text);
        self
    }

    /// Takes further zones from files.
    pub fn include(mut self, files: &str) -> Self {
        self.zones.push(format!("  - include: {files}\n"));
        self
    }

    /// Lines at the top level.
    pub fn more(mut self, lines: &str) -> Self {
        self.more.push(lines.to_owned());
        self
    }

    /// The file, for a daemon whose files are in `folder` and that listens at `address` unless told otherwise.
    pub fn text(&self, folder: &Path, address: SocketAddr) -> String {
        let listen = if self.listen.is_empty() { vec![address.to_string()] } else { self.listen.clone() };
        let listen: Vec<String> = listen.iter().map(|a| format!("\"{a}\"")).collect();
        let level = std::env::var("SECONDO_TESTS_LOG").unwrap_or_else(|_| "info".to_owned());
        let mut text = format!(
            "listen: [{}]\nstate-dir: {folder}/state\ncontrol: {folder}/control.sock\nlog: {{ format: json, level: {level} }}\n",
            listen.join(", "),
            folder = folder.display(),
        );
        for lines in &self.more {
            let _ = writeln!(text, "{lines}");
        }
        if !self.keys.is_empty() {
            text.push_str("keys:\n");
        }
        for key in &self.keys {
            let _ = writeln!(
                text,
                "  {}: {{ algorithm: {}, secret: \"{}\" }}",
                key.name, key.algorithm, key.secret
            );
        }
        if !self.primaries.is_empty() {
            text.push_str("primaries:\n");
        }
        text.extend(self.primaries.iter().map(String::as_str));
        if !self.zones.is_empty() {
            text.push_str("zones:\n");
        }
        text.extend(self.zones.iter().map(String::as_str));
        text
    }
}
