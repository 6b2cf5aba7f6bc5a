//! Descriptors: how many the system lets us have, and how many a configuration may need at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZero;
use std::thread;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use secondo_lifecycle::AdmissionLimits;

use crate::config::Config;
use crate::control::ServerProblem;
use crate::downstream;
use crate::event::Event;
use crate::primary;

/// What a thread waits with for its sockets.
const OF_THREAD: usize = 4;
/// The database and the files of versions, the control socket and its clients, texts on their way, the log.
const OF_REST: usize = 96;

/// The most that a configuration needs at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Descriptors {
    clients: usize,
    primaries: usize,
    notifies: usize,
    others: usize,
}

/// Takes as many as we may have: a process is born with 1024, whatever it may have.
pub(crate) fn raise() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // What comes of it is seen by who asks how many there are.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

impl Descriptors {
    /// Those that `config` needs when all that it allows happens at once.
    pub(crate) fn of(config: &Config) -> Descriptors {
        let (listen, limits) = (&config.server.listen, &config.server.limits);
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let datagrams = listen.iter().filter(|listener| !listener.tls).count() * limits.udp_threads;
        let over_tls = listen.iter().any(|listener| listener.tls);

        let zones = config.zones.iter().map(|zone| &zone.settings);
        let primaries = zones.clone().flat_map(|zone| zone.primaries.iter());
        let sources = primaries.flat_map(|primary| primary.addresses.iter().map(move |at| (*at, primary)));
        let lines = Places::of(sources.clone());
        let sources = Places::of(sources.map(|(address, _)| address));
        let targets = Places::of(zones.flat_map(|zone| zone.also_notify.iter()).map(|target| target.address));
        let probes = sources.most(limits.probes_per_primary).min(AdmissionLimits::default().probes);
        let transfers = sources.most(limits.transfers_per_primary).min(limits.transfers);
        Descriptors {
            clients: downstream::most_connections(limits.tcp_clients, over_tls),
            // A transfer may have a file beside its connection; and some connections are kept for what is asked next.
            primaries: probes + 2 * transfers + lines.most(primary::LINES),
            notifies: targets.most(downstream::NOTIFIES),
            others: datagrams + threads * (listen.len() + OF_THREAD) + OF_REST,
        }
    }

    /// Says in the log, as `event`, when we may not have as many.
    pub(crate) fn look(&self, event: &'static str) {
        if let Some(detail) = self.concern() {
            let event =
                Event::new(event, "the system allows fewer descriptors than the configuration may need");
            Event { detail: Some(&detail), ..event }.warn();
        }
    }

    /// What status tells of it.
    pub(crate) fn problem(&self) -> Option<ServerProblem> {
        Some(ServerProblem { code: "descriptors".into(), detail: self.concern()? })
    }

    fn concern(&self) -> Option<String> {
        // Where that is not known, nothing is to be said.
        let (allowed, _) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
        self.beyond(allowed)
    }

    /// What a person should know where no more than these are allowed.
    fn beyond(&self, allowed: u64) -> Option<String> {
        let Descriptors { clients, primaries, notifies, others } = *self;
        let needed = clients + primaries + notifies + others;
        let is_beyond = u64::try_from(needed).is_ok_and(|needed| needed > allowed);
        is_beyond.then(|| {
            format!(
                "{allowed} descriptors are allowed, and {needed} may be needed at once: {clients} for connections of clients \
                 (`tcp-clients`, and those that wait for a place), {primaries} for primaries, {notifies} for NOTIFYs, {others} \
                 for all else; where there are none left, clients are not heard over TCP and zones are not refreshed: raise the \
                 hard limit to {needed} (`LimitNOFILE=` of the service, else `ulimit -Hn`), or lower `limits`; both hold after a restart"
            )
        })
    }
}

/// Places, each with how many times something may be under way there: once for each zone.
struct Places<P>(HashMap<P, usize>);

impl<P: Eq + Hash> Places<P> {
    fn of(all: impl Iterator<Item = P>) -> Places<P> {
        let mut places = HashMap::new();
        all.for_each(|place| *places.entry(place).or_default() += 1);
        Places(places)
    }

    /// How many there may be in all, no more than `each` at one place.
    fn most(&self, each: usize) -> usize {
        self.0.values().map(|zones| each.min(*zones)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn needed(text: &str) -> Descriptors {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.yaml");
        std::fs::write(&path, text).unwrap();
        Descriptors::of(&config::load(&path).unwrap())
    }

    #[test]
    fn what_is_needed_follows_what_is_configured() {
        let bare = needed("listen: [\"127.0.0.1:53\"]\nlimits: { tcp-clients: 100, udp-threads: 3 }\n");
        // As many may wait as have a place, and 64 are at their end.
        assert_eq!((bare.clients, bare.primaries, bare.notifies), (264, 0, 0));
        let more = needed(
            "listen: [\"127.0.0.1:53\", \"[::1]:53\"]\nlimits: { tcp-clients: 1000000, udp-threads: 3 }\n",
        );
        assert_eq!(more.clients, 1_000_000 + 1024 + 64);
        let threads = thread::available_parallelism().unwrap().get();
        assert_eq!(more.others - bare.others, 3 + threads);

        let zone = |n: usize, primary: &str, target: &str| {
            format!(
                "  - {{ name: z{n}.test, primaries: [{{ addresses: [{primary}] }}], also-notify: [{{ address: {target} }}] }}\n"
            )
        };
        let few: String = (0..3).map(|n| zone(n, "192.0.2.1, 192.0.2.2", "192.0.2.9")).collect();
        let many: String =
            (3..100).map(|n| zone(n, "192.0.2.2", "192.0.2.9 }, { address: 192.0.2.10")).collect();
        let with = |zones: &str, limits: &str| {
            needed(&format!("listen: [\"127.0.0.1:53\"]\nlimits: {{ {limits} }}\nzones:\n{zones}"))
        };
        // Three probes at each address, three transfers; and three connections kept, by primary.
        let some = with(&few, "transfers: 4");
        assert_eq!((some.primaries, some.notifies), (6 + 2 * 4 + 6, 3));
        let all = with(&[few, many].concat(), "probes-per-primary: 10, transfers-per-primary: 5");
        assert_eq!((all.primaries, all.notifies), ((3 + 10) + 2 * (3 + 5) + (3 + 3 + 4), 64 + 64));
    }

    #[test]
    fn the_number_is_named_where_it_is_more_than_is_allowed() {
        let needed = Descriptors { clients: 500, primaries: 30, notifies: 4, others: 100 };
        assert_eq!((needed.beyond(634), needed.beyond(u64::MAX)), (None, None));
        let text = needed.beyond(633).unwrap();
        assert!(
            text.starts_with("633 descriptors are allowed, and 634 may be needed at once: 500 for"),
            "{text}"
        );
        assert!(text.contains("raise the hard limit to 634 (`LimitNOFILE=`"), "{text}");
    }
}
