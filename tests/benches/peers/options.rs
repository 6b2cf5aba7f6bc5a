//! The command line.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::server::Server;
use crate::zone::{Order, Rule};

/// What is said when asked for help.
pub(crate) const HELP: &str = "\
secondo beside its peers, end to end: one large zone, fed to every server by a primary of our own.

    cargo bench -p interop --bench peers -- [PART] [OPTION VALUE]...

Without a part every server goes through a life of its own, one after the other. A part takes a minute or two, in which the
servers run side by side and are measured in turn:

    cost                       CPU of a query over UDP, beside that of a bare echo, at half of the maximum and at the maximum
    churn                      the same while the zone changes five times a second, and at rest
    threads                    the same with one thread and with two
    zones                      the same with one zone and with many zones of ten records
    tcp                        queries a second of CPU over TCP: connections that stay, and one for each query
    idle                       memory of connections on which nothing happens
    dead                       from NOTIFY to served: a zone alone, and beside thousands whose primaries are dead

    --names 555000             hosts in the zone, about 1.8 records each
    --order canonical          of the owners in a full transfer: canonical | random
    --rounds 3                 how often every server is measured (parts: 7, idle: once); the table shows medians
    --servers secondo,nsd,knot,bind
    --seconds 5                that each run of queries takes (parts: 1)
    --limit 120                seconds that are waited for anything

Of a part:

    --rate 0                   questions a second that are the maximum; 0: what the echo answers
    --burst 1                  questions that are sent at once, 1 to 64
    --zones 100000             of ten records each
    --connections 10000        that are idle

Of the whole:

    --phases ixfr,full,queries,churn,restart
                               beside the first transfer, which all of them need
    --changes 20               records that an IXFR takes away or adds
    --ixfrs 20                 IXFRs that are measured
    --message 16384            octets of a message in a full transfer, 512 to 65535

SECONDO_BIN names another secondo than the workspace's own, SECONDO_TESTS_KEEP=1 keeps all folders.
";

/// A part that is measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// CPU of a query, beside the echo's.
    Cost,
    /// While the zone changes.
    Churn,
    /// With one thread and with two.
    Threads,
    /// Many zones.
    Zones,
    /// Over TCP.
    Tcp,
    /// Idle connections.
    Idle,
    /// A living zone beside dead ones.
    Dead,
}

const PARTS: [(&str, Part); 7] = [
    ("cost", Part::Cost),
    ("churn", Part::Churn),
    ("threads", Part::Threads),
    ("zones", Part::Zones),
    ("tcp", Part::Tcp),
    ("idle", Part::Idle),
    ("dead", Part::Dead),
];

/// A phase of the whole measurement that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Differences after NOTIFY.
    Ixfr,
    /// A full transfer of a zone that is there.
    Full,
    /// Queries at rest.
    Queries,
    /// Queries while the zone changes.
    Churn,
    /// Stops and starts with the primary dead.
    Restart,
}

const PHASES: [(&str, Phase); 5] = [
    ("ixfr", Phase::Ixfr),
    ("full", Phase::Full),
    ("queries", Phase::Queries),
    ("churn", Phase::Churn),
    ("restart", Phase::Restart),
];

/// What shall be measured, and how.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) part: Option<Part>,
    pub(crate) names: u32,
    pub(crate) order: Order,
    pub(crate) rounds: u32,
    pub(crate) servers: Vec<Server>,
    pub(crate) phases: BTreeSet<Phase>,
    pub(crate) changes: u32,
    pub(crate) ixfrs: u32,
    pub(crate) seconds: u64,
    pub(crate) message: usize,
    pub(crate) limit: Duration,
    pub(crate) rate: Option<u32>,
    pub(crate) burst: usize,
    pub(crate) zones: u32,
    pub(crate) idle: usize,
}

impl Options {
    /// Reads them.
    ///
    /// # Errors
    /// Says what is wrong.
    pub(crate) fn read(words: &[String]) -> Result<Self, String> {
        let (part, words) = match words.split_first() {
            Some((word, rest)) if !word.starts_with('-') => (Some(one_of(word, &PARTS)?), rest),
            _ => (None, words),
        };
        let (rounds, seconds) = match part {
            None => (3, 5),
            Some(Part::Idle) => (1, 1),
            Some(_) => (7, 1),
        };
        let mut options = Self {
            part,
            names: 555_000,
            order: Order::Canonical,
            rounds,
            servers: Server::ALL.to_vec(),
            phases: PHASES.map(|(_, phase)| phase).into(),
            changes: 20,
            ixfrs: 20,
            seconds,
            message: 16_384,
            limit: Duration::from_secs(120),
            rate: None,
            burst: 1,
            zones: 100_000,
            idle: 10_000,
        };
        let mut words = words.iter();
        while let Some(option) = words.next() {
            let value = words.next().ok_or_else(|| format!("{option} needs a value"))?;
            let number = |low: u32, high: u32| {
                let number = value.replace(['_', ','], "").parse().ok();
                number
                    .filter(|number| (low..=high).contains(number))
                    .ok_or_else(|| format!("{option} is a number from {low} to {high}, not {value}"))
            };
            match option.as_str() {
                "--names" => options.names = number(1, 50_000_000)?,
                "--order" => options.order = one_of(value, &ORDERS)?,
                "--rounds" => options.rounds = number(1, 1000)?,
                "--servers" => {
                    options.servers = list(value, &Server::ALL.map(|server| (server.word(), server)))?
                }
                "--phases" => options.phases = list(value, &PHASES)?.into_iter().collect(),
                "--changes" => options.changes = number(2, 2000)?,
                "--ixfrs" => options.ixfrs = number(1, 100_000)?,
                "--seconds" => options.seconds = number(1, 3600)?.into(),
                "--message" => options.message = number(512, 65_535)? as usize,
                "--rate" => options.rate = Some(number(0, 100_000_000)?).filter(|&rate| rate > 0),
                "--burst" => options.burst = number(1, 64)? as usize,
                "--zones" => options.zones = number(1, 1_000_000)?,
                "--connections" => options.idle = number(1, 1_000_000)? as usize,
                "--limit" => options.limit = Duration::from_secs(number(1, 86_400)?.into()),
                _ => return Err(format!("there is no option {option}")),
            }
        }
        if options.rule().marks > options.names {
            return Err("--changes wants more names than --names gives".to_owned());
        }
        Ok(options)
    }

    /// TCP connections at once that servers are to allow.
    pub(crate) fn connections(&self) -> usize {
        // NSD closes idle connections early as soon as half of what it allows is there.
        if self.part == Some(Part::Idle) { 2 * self.idle + 100 } else { 1000 }
    }

    /// What determines the zone. A changed record is one that is taken away and one that is added.
    pub(crate) fn rule(&self) -> Rule {
        Rule { names: self.names, marks: self.changes / 2, order: self.order }
    }
}

const ORDERS: [(&str, Order); 2] = [("canonical", Order::Canonical), ("random", Order::Random)];

fn one_of<T: Copy>(word: &str, known: &[(&str, T)]) -> Result<T, String> {
    let found = known.iter().find(|(name, _)| *name == word);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        format!("{word} is none of {}", names.join(", "))
    })
}

fn list<T: Copy>(words: &str, known: &[(&str, T)]) -> Result<Vec<T>, String> {
    words.split(',').filter(|word| !word.is_empty()).map(|word| one_of(word.trim(), known)).collect()
}
