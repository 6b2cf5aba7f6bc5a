//! What a primary was asked, for tests to look at.

use std::collections::VecDeque;
use std::net::SocketAddr;

use secondo_wire::{Name, RecordType, Serial};

use crate::fault::Fault;

/// Entries kept.
const KEPT: usize = 10_000;

/// What a request came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Over {
    Udp,
    Tcp,
}

/// One question and how it was answered.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Who asked; `None` in a world without sockets.
    pub client: Option<SocketAddr>,
    /// Over what.
    pub over: Over,
    /// The name asked for.
    pub zone: Name,
    /// The type asked for.
    pub rtype: RecordType,
    /// The serial that an IXFR asks from.
    pub from: Option<Serial>,
    /// The key whose seal held.
    pub key: Option<Name>,
    /// Whether it was asked with EDNS.
    pub edns: bool,
    /// The response code; `None` when nothing was answered.
    pub rcode: Option<u16>,
    /// The fault of the script that the answer shows; `None` for an honest one.
    pub fault: Option<Fault>,
}

/// The last questions, the newest last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Diary(VecDeque<Asked>);

impl Diary {
    pub(crate) fn note(&mut self, asked: Asked) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(asked);
    }

    pub(crate) fn entries(&self) -> Vec<Asked> {
        self.0.iter().cloned().collect()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
