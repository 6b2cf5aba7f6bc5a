//! The objects on the line. Field names are a contract.
//!
//! Each request is answered by one line, and those of `dump` and `diff` before it by any number of lines
//! `{"text":"…"}`: whole lines of text, some 32 KiB at once. `status` of many zones comes in several lines
//! `{"zones":[…],"more":true}`. The line without `text` and without `more` is the last one; when it holds an `error`, what
//! came before is not whole.

use serde::{Deserialize, Serialize};

use super::Explanation;

/// A request: `{"command":"status","zones":["example.com"]}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What to do.
    pub command: Command,
    /// The zones it is about, in presentation format; empty with `all`, or where a command needs none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<String>,
    /// All zones.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// `status`: only zones that need a person.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub problems: bool,
    /// `refresh`, `retransfer`: answer at once, not when it is done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_wait: bool,
    /// `reload`: tell what would change, change nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// `dump`: the kept version with this serial; the one served when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// `diff`: the kept version to begin with; the last one before `to` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u32>,
    /// `diff`: the kept version to end with; the one served when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u32>,
}

/// What a request wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// The state of zones.
    Status,
    /// One zone's condition in sentences.
    Explain,
    /// Ask the primaries now.
    Refresh,
    /// Fetch whole zones now.
    Retransfer,
    /// One version of one zone as a master file.
    Dump,
    /// The difference between two versions of one zone.
    Diff,
    /// Read the configuration again.
    Reload,
    /// End the daemon.
    Stop,
}

impl Request {
    /// A request without options.
    pub fn new(command: Command, zones: Vec<String>) -> Request {
        Request {
            command,
            zones,
            all: false,
            problems: false,
            no_wait: false,
            dry_run: false,
            serial: None,
            from: None,
            to: None,
        }
    }
}

/// The answer to a request; which fields it has depends on the command.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Response {
    /// Why it could not be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Refusal>,
    /// `status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zones: Option<Vec<ZoneStatus>>,
    /// `status`: further zones follow in the next line.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// `status`: how many zones there are in each state, those that `problems` left out included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// `explain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Box<Explanation>>,
    /// `refresh`, `retransfer`: what came of it, for each zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcomes: Option<Vec<ZoneOutcome>>,
    /// `reload`: names of zones added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<Vec<String>>,
    /// `reload`: names of zones removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Vec<String>>,
    /// `reload`: names of zones whose settings changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Vec<String>>,
    /// `reload`: settings of the server that changed and hold at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<String>,
    /// `reload`: settings that hold only after a restart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after_restart: Vec<String>,
    /// `reload`: certificates of ours that are others than before, each with its file and its dates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<String>,
    /// `status`: what needs a person and is no zone's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub server: Vec<ServerProblem>,
    /// `status`: what came of `rate-limit`, where it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limited: Option<Limited>,
    /// `dump`, `diff`: a piece of the text, in lines ahead of the last one, which has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// `dump`, `diff`: the serial of the version, or of the later one of the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// `diff`: the serial of the version that it leads from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_serial: Option<u32>,
    /// `dump`, `diff`: how many records the text has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
    /// What a person should know about an answer that is good as such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Why a request could not be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// `bad-request`, `no-such-zone`, `bad-configuration`, `never-loaded`, `not-kept` (such a version), `damaged` (what the
    /// disk kept of it), `busy`, `stopping` or `internal`.
    pub code: String,
    /// For people; one line a problem.
    pub message: String,
}

impl Response {
    /// A refusal.
    pub fn refused(code: &str, message: impl Into<String>) -> Response {
        let refusal = Refusal { code: code.into(), message: message.into() };
        Response { error: Some(refusal), ..Response::default() }
    }
}

/// The state of a zone. Times are seconds from now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ZoneStatus {
    /// Its name, absolute.
    pub zone: String,
    /// What it answers.
    pub state: Health,
    /// `waiting`, `probing`, `transferring` or `queued`.
    pub activity: String,
    /// The serial served, or last served when expired.
    pub serial: Option<u32>,
    /// Since a primary last vouched for it.
    pub confirmed_ago: Option<f64>,
    /// Until the zone acts again by itself.
    pub next_in: Option<f64>,
    /// Until it expires.
    pub expires_in: Option<f64>,
    /// The primary last heard from, or last asked.
    pub primary: Option<String>,
    /// What carries transfers from there: `tcp` or `tls`.
    pub transport: Option<String>,
    /// Where the version comes from: `axfr`, `ixfr`, `axfr-style` or `disk`.
    pub source: Option<String>,
    /// The version is on disk; false: the disk refused it.
    pub durable: bool,
    /// Why it needs a person, as codes; empty: it does not. See [`Problem`].
    #[serde(default)]
    pub problems: Vec<String>,
    /// A newer version that a primary told of, and that has not come yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newer: Option<NewerVersion>,
    /// Records in it.
    pub records: Option<u64>,
    /// What failed last, unless something worked since.
    pub last_error: Option<LastError>,
    /// Servers of `also-notify` that have not answered the NOTIFY of the version served, though they had time to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<Unanswered>,
}

impl ZoneStatus {
    /// Whether a person should look at the zone.
    pub fn is_problem(&self) -> bool {
        !self.problems.is_empty()
    }
}

/// A version that a zone should have, and has not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewerVersion {
    /// Its serial.
    pub serial: u32,
    /// Seconds since a primary first told of a newer version than the one served.
    pub ago: f64,
}

/// A NOTIFY downstream that was not answered yet, and is sent again and again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unanswered {
    /// To whom.
    pub address: String,
    /// Of the version that it tells.
    pub serial: u32,
    /// So often until now.
    pub sent: u32,
    /// Seconds since it was first sent.
    pub ago: f64,
    /// What became of it last.
    pub detail: String,
}

/// Why a zone needs a person. Beside these codes stand those of reasons that do not go away by themselves, such as
/// `refused`, `tsig-badkey`, `serial-behind`, `guard-empty`; a primary that is down is none of them, as long as the zone is
/// far from expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Nothing was ever received: SERVFAIL.
    NeverLoaded,
    /// No primary vouched for it in time: SERVFAIL.
    Expired,
    /// The primaries are asked in vain, and half of its life since the last confirmation is over.
    Expiring,
    /// A primary has had a newer version for five minutes, and it cannot be had.
    Behind,
    /// The disk refused the version served.
    NotDurable,
    /// IXFR is asked for and failed more than once in a row, though the primary offers it.
    IxfrBroken,
    /// The clock of a primary is more than a minute from ours: beyond 300 s seals fail.
    ClockSkewed,
}

impl Problem {
    /// All of them.
    pub const ALL: &'static [Problem] = &[
        Problem::NeverLoaded,
        Problem::Expired,
        Problem::Expiring,
        Problem::Behind,
        Problem::NotDurable,
        Problem::IxfrBroken,
        Problem::ClockSkewed,
    ];

    /// What it means, and what to do.
    pub fn help(self) -> &'static str {
        match self {
            Problem::NeverLoaded => {
                "nothing was ever received, so queries get SERVFAIL: mend what the last error says, it is tried again by itself"
            }
            Problem::Expired => {
                "no primary confirmed the zone in time, so queries get SERVFAIL until one does: mend what the last error says"
            }
            Problem::Expiring => {
                "the primaries are asked in vain and half of the zone's life is over; it is served until it expires: mend what \
                 the last error says"
            }
            Problem::Behind => {
                "a primary has had a newer version for five minutes, and it cannot be had; the older one is served: mend what the \
                 last error says"
            }
            Problem::NotDurable => {
                "the disk refused the version, it is served from memory and a restart would lose it: look at space (`df`), \
                 permissions and the kernel's log"
            }
            Problem::IxfrBroken => {
                "differences fail again and again, whole zones are fetched instead: purge the primary's journal, or set \
                 `ixfr: false` there"
            }
            Problem::ClockSkewed => {
                "a primary's clock is more than a minute from ours, and beyond 300 s seals fail: see that NTP runs on both"
            }
        }
    }

    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Problem::NeverLoaded => "never-loaded",
            Problem::Expired => "expired",
            Problem::Expiring => "expiring",
            Problem::Behind => "behind",
            Problem::NotDurable => "not-durable",
            Problem::IxfrBroken => "ixfr-broken",
            Problem::ClockSkewed => "clock-skewed",
        }
    }
}

/// What needs a person, of the daemon as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerProblem {
    /// `certificate-expiring`, `certificate-expired` (or its time has not begun), `disk` (it refuses writes),
    /// `datagrams-lost` (they came faster than they were read), `answers-flawed` (they were not whole by fault of what a
    /// zone holds, or because it has more iterations of NSEC3 than `nsec3-iterations`), or `descriptors` (the system allows
    /// fewer than the configuration may need).
    pub code: String,
    /// What, when, and what to do.
    pub detail: String,
}

/// Answers over UDP that `rate-limit` held back since the start. A flood needs nobody: it is what the limit is for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limited {
    /// How many were not sent.
    pub dropped: u64,
    /// How many were cut short, to be asked for over TCP or with the cookie that they bring (`slip`). Errors that slip are
    /// sent as they are, and are not counted.
    pub slipped: u64,
    /// Seconds since the last of them; `None`: there was none.
    pub last_ago: Option<f64>,
    /// Seconds since it began, if it goes on: no minute since then was without one.
    pub began_ago: Option<f64>,
}

/// How many zones there are, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// All that were asked about.
    pub zones: usize,
    /// Answered from.
    pub current: usize,
    /// Not answered from any more.
    pub expired: usize,
    /// Not answered from yet.
    pub never_loaded: usize,
    /// In need of a person, whatever their state.
    pub problems: usize,
}

/// What a zone answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// Its content.
    Current,
    /// SERVFAIL: no primary vouched for it in time.
    Expired,
    /// SERVFAIL: nothing was ever received.
    NeverLoaded,
}

impl Health {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Health::Current => "current",
            Health::Expired => "expired",
            Health::NeverLoaded => "never-loaded",
        }
    }
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastError {
    /// The stable code.
    pub reason: String,
    /// What it means and what to do.
    pub help: String,
    /// More about this one.
    pub detail: Option<String>,
    /// Seconds ago.
    pub ago: f64,
}

/// What came of asking the primaries of a zone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ZoneOutcome {
    /// Its name, absolute.
    pub zone: String,
    /// `current` (a primary vouched for what we have), `updated`, `failed` or `started` (not waited for).
    pub outcome: String,
    /// The serial served now.
    pub serial: Option<u32>,
    /// Why it failed.
    pub reason: Option<String>,
}
