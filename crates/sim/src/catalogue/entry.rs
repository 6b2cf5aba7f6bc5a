//! What an entry of the catalogue is made of.

use std::fmt;

use secondo_wire::{Class, Reason};

use crate::fault::Fault;
use crate::script::Kind;

use super::scene::{Begin, Scene};

/// One way to misbehave, and what must come of it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The chapter.
    pub group: &'static str,
    /// What the primary does; unique in the catalogue.
    pub name: String,
    /// Who takes part.
    pub scene: Scene,
    /// What the first primary tells, to which questions, until it is honest again.
    pub script: Vec<(Kind, Vec<Fault>)>,
    /// What is written to come of it.
    pub expect: Expect,
}

/// What must come of a script: of the round that is ordered while it is told, and of the time behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// What is served when the round is over.
    pub served: Served,
    /// The questions of the round in the order in which the primaries read them: `soa`, `axfr`, `ixfr`; `soa/tcp` is a SOA
    /// asked for over TCP; `-edns` behind it: without EDNS; `2:` before it: at the second address; `+old` behind it: with
    /// the key that is on its way out. Datagrams sent again count once.
    pub asks: String,
    /// Why the attempts of the round failed, in their order.
    pub reasons: Vec<Reason>,
    /// How long it takes from the end of the round until the new version is served, if the primary is honest from then on.
    pub back: Back,
    /// With which code NOTIFYs are answered that the round begins with; `None`: not at all, or there are none.
    pub rcode: Option<u16>,
    /// The questions where the first of them goes out on a connection that was kept and shared, if they differ: what cannot
    /// be told to be the answer to any question ends the connection, and what was asked is asked once more on a fresh one.
    pub kept: Option<&'static str>,
}

/// One of the two versions that there may ever be: there is no third.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Served {
    Old,
    New,
}

/// A bound of the time until a zone is in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    /// It is already.
    Now,
    /// The network failed: a quarter of the retry interval.
    QuarterRetry,
    /// The retry interval.
    Retry,
    /// The refresh interval: asking sooner would bring the same.
    Refresh,
}

impl Back {
    /// What follows a failure of this reason (ARCHITECTURE.md, "The lifecycle").
    pub fn after(reason: Reason) -> Back {
        match reason.class() {
            Class::Network => Back::QuarterRetry,
            Class::Serial | Class::Rejected => Back::Refresh,
            Class::IxfrUnavailable | Class::Refused | Class::Seal | Class::Malformed | Class::Local => {
                Back::Retry
            }
        }
    }
}

impl Expect {
    /// The old version stays, for this reason.
    pub fn fails(asks: &str, reason: Reason) -> Expect {
        Expect {
            served: Served::Old,
            asks: asks.into(),
            reasons: vec![reason],
            back: Back::after(reason),
            rcode: None,
            kept: None,
        }
    }

    /// The new version is there when the round is over, whatever failed on the way.
    pub fn succeeds(asks: &str, reasons: &[Reason]) -> Expect {
        Expect {
            served: Served::New,
            asks: asks.into(),
            reasons: reasons.to_vec(),
            back: Back::Now,
            rcode: None,
            kept: None,
        }
    }
}

impl fmt::Display for Entry {
    /// A row of the table: name, what is told, what is served, what is asked, why, how long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Expect { served, asks, reasons, back, kept, .. } = &self.expect;
        let reasons: Vec<_> = reasons.iter().map(Reason::to_string).collect();
        let served = match served {
            Served::Old => "old",
            Served::New => "new",
        };
        let back = match back {
            Back::Now => "at once",
            Back::QuarterRetry => "¼ retry",
            Back::Retry => "retry",
            Back::Refresh => "refresh",
        };
        let answered = match (self.scene.begins, self.expect.rcode) {
            (Begin::Ordered, _) | (_, Some(0)) => String::new(),
            (Begin::Told { .. }, Some(rcode)) => format!(", which is answered {}", mnemonic(rcode)),
            (Begin::Told { .. }, None) => ", which is not answered".into(),
        };
        let kept = kept.map(|kept| format!("; on a kept connection {kept}")).unwrap_or_default();
        write!(f, "| {}{answered} | {served} | {asks}{kept} | {} | {back} |", self.name, reasons.join(", "))
    }
}

/// The name of a response code (RFC 1035 §4.1.1, RFC 2136 §2.2).
fn mnemonic(rcode: u16) -> &'static str {
    match rcode {
        1 => "FORMERR",
        4 => "NOTIMP",
        5 => "REFUSED",
        9 => "NOTAUTH",
        _ => "otherwise",
    }
}

impl Expect {
    /// The words of [`Expect::asks`] that one address must have read, in their order.
    pub fn asks_of(&self, address: usize) -> Vec<&str> {
        let second = |word: &&str| word.starts_with("2:");
        self.asks.split_whitespace().filter(|word| second(word) == (address == 2)).collect()
    }
}
