//! What `explain` says of a zone. Field names are a contract; the sentences are for people and may change.

use serde::{Deserialize, Serialize};

use super::ZoneStatus;

/// A zone's condition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// Its name, absolute.
    pub zone: String,
    /// As `status` has it.
    pub status: ZoneStatus,
    /// Attempts of the running round, or of the last one, that failed, oldest first; at most 16.
    pub attempts: Vec<Attempt>,
    /// The same in words.
    pub sentences: Sentences,
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// The primary's name in the configuration.
    pub primary: String,
    /// The address that was asked.
    pub address: String,
    /// `soa`, `axfr` or `ixfr`.
    pub asked: String,
    /// The keys that it was asked with, one after another until one did; none: unsigned.
    pub keys: Vec<String>,
    /// How it was asked, in words.
    pub transport: String,
    /// The stable code.
    pub reason: String,
    /// What it means and what to do.
    pub help: String,
    /// More about this one.
    pub detail: Option<String>,
    /// The serial of the version that was refused.
    pub serial: Option<u32>,
    /// Seconds ago.
    pub ago: f64,
}

/// Sentences, each for itself; in `advice` the lines that begin with two spaces are to be copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentences {
    /// What state, since when, why.
    pub state: Vec<String>,
    /// What was tried with which primary, key and transport, and how it ended.
    pub tried: Vec<String>,
    /// What happens next and when.
    pub next: Vec<String>,
    /// What a person should do.
    pub advice: Vec<String>,
}

impl Explanation {
    /// As a person reads it.
    pub fn text(&self) -> String {
        let Sentences { state, tried, next, advice } = &self.sentences;
        let mut text = state.join("\n");
        for (head, lines) in [("Tried", tried), ("Next", next), ("To do", advice)] {
            text += &format!("\n\n{head}\n  {}", lines.join("\n  "));
        }
        text
    }
}
