//! Who takes part in an entry: the zone in its versions, the primaries, their keys and their bounds.

use secondo_tsig::{Algorithm, Key};
use secondo_wire::control::{self, Request};
use secondo_wire::{Name, RecordType, Serial, Soa};
use secondo_zone::Zone;

use crate::change::Change;
use crate::diary::Over;
use crate::fault::Fault;
use crate::master;
use crate::misshape::UNKNOWN_TYPE;
use crate::notation::{below, data};
use crate::record::Rr;
use crate::script::{Kind, Script};
use crate::tidings::Tidings;
use crate::world::World;

use super::entry::Entry;

/// Octets that a zone of the catalogue may have (`max-size`).
pub const MAX_SIZE: u64 = 256 << 10;
/// Records that it may have (`max-records`).
pub const MAX_RECORDS: u64 = 4000;
/// Records that an RRset may have (`limits: rrset-records`).
pub const RRSET_RECORDS: u32 = 300;
/// Types that a name may have (`limits: name-types`).
pub const NAME_TYPES: u32 = 30;
/// Seconds of silence in a transfer (`idle-timeout`).
pub const IDLE: u64 = 3;
/// Seconds that a transfer may take (`transfer-timeout`).
pub const TRANSFER: u64 = 8;

/// How questions are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seals {
    /// Not at all.
    None,
    /// With a key.
    One,
    /// With a new key, and where that does not do, with the old one; the primary knows the old one alone.
    Roll,
}

/// The second address, or the second primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Second {
    /// There is none.
    Absent,
    /// Another address of the same primary; honest, with the new version.
    Address,
    /// Another primary; honest, with the new version.
    Honest,
    /// It stays at the old version.
    Stuck,
    /// It has the new serial with other content, which is as good.
    Other,
    /// It refuses everything.
    Refusing,
    /// Nothing listens there.
    Down,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Scene {
    /// How questions are sealed.
    pub seals: Seals,
    /// Whether the secondary asks for IXFR.
    pub ixfr: bool,
    /// The serial that is served at first.
    pub from: u32,
    /// The serials that follow at the primary: the last one is the new version.
    pub to: &'static [u32],
    /// Hosts in the zone.
    pub hosts: u16,
    /// Records that the primary puts into a message.
    pub per_message: usize,
    /// Where nobody listens at the first primary.
    pub shut: &'static [Over],
    /// The first primary ends all connections before the round, as one does that is restarted.
    pub ended: bool,
    /// Who else is asked.
    pub second: Second,
    /// The new version has a record of so many octets of RDATA, of a type that nobody knows (RFC 3597 §3); 0: it has none.
    pub large: u16,
    /// What the round begins with.
    pub begins: Begin,
}

/// What the secondary asks upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// An operator orders a refresh.
    Ordered,
    /// NOTIFYs come from the first primary, each a datagram of its own.
    Told {
        /// What they say.
        tidings: Tidings,
        /// How many come in a moment.
        times: u16,
    },
}

impl Default for Scene {
    /// Differences from 7 over 8 to 9, small messages, no keys.
    fn default() -> Scene {
        Scene {
            seals: Seals::None,
            ixfr: true,
            from: 7,
            to: &[8, 9],
            hosts: 12,
            per_message: 4,
            shut: &[],
            ended: false,
            second: Second::Absent,
            large: 0,
            begins: Begin::Ordered,
        }
    }
}

/// REFRESH, RETRY and EXPIRE of a zone, seconds.
#[derive(Clone, Copy, Debug)]
pub struct Timers {
    /// Between two probes in good health.
    pub refresh: u32,
    /// After a failure.
    pub retry: u32,
    /// The life of a version that nobody confirms.
    pub expire: u32,
}

impl Scene {
    /// The keys of the secondary, the first preferred; the primary knows the last alone.
    pub fn keys(&self) -> Vec<Key> {
        let key = |name: &str, secret: &[u8]| {
            let name = Name::parse(name).expect("a valid name");
            Key::new(name, Algorithm::HmacSha256, secret).expect("a secret of 32 octets")
        };
        let old = || key("old.", b"a secret that both sides know...");
        match self.seals {
            Seals::None => Vec::new(),
            Seals::One => vec![old()],
            Seals::Roll => vec![key("new.", b"a secret that one side knows yet"), old()],
        }
    }

    /// The zone in its first version: SOA, NS, its address, and hosts `h1`, `h2` ...
    pub fn zone(&self, apex: &Name, timers: Timers) -> Zone {
        let soa = Soa {
            mname: below(b"ns", apex),
            rname: below(b"hostmaster", apex),
            serial: Serial(self.from),
            refresh: timers.refresh,
            retry: timers.retry,
            expire: timers.expire,
            minimum: 60,
        };
        let mut records = vec![Rr::new(apex.clone(), RecordType::SOA, 300, &soa.to_rdata())];
        let hosts = (1..=self.hosts).map(|n| data(&format!("h{n}"), apex));
        records.extend([data("@", apex), data("ns", apex)].into_iter().chain(hosts));
        master::build(apex, &records).expect("these records are a zone")
    }

    /// A primary with the first version.
    pub fn world(&self, apex: &Name, timers: Timers) -> World {
        let mut world = World::new([self.zone(apex, timers)]);
        world.records_per_message(self.per_message);
        let known: Vec<Key> = self.keys().pop().into_iter().collect();
        world.require(&known);
        world
    }

    /// What it answers, without seals, to the transfer that is asked for: message by message.
    pub(crate) fn answer(&self, faults: &[Fault]) -> Vec<Vec<u8>> {
        let apex = Name::parse("c0000.example.").expect("a valid name");
        let mut world = self.world(&apex, Timers { refresh: 3600, retry: 600, expire: 86_400 });
        self.advance(&mut world, &apex);
        world.follow(Script::honest().together(Kind::Transfer, faults));
        let request = Request { id: 1, edns: true };
        let question = match self.ixfr {
            true => control::ixfr_query(&apex, Serial(self.from), request),
            false => control::axfr_query(&apex, request),
        };
        world.respond(&question, None, Over::Tcp, 0).messages
    }

    /// The versions that follow: each takes one host away (`h1`, `h2` ...) and brings another (`g1`, `g2` ...).
    pub fn advance(&self, world: &mut World, apex: &Name) {
        self.advance_with(world, apex, &[]);
    }

    /// The same; each version brings more.
    fn advance_with(&self, world: &mut World, apex: &Name, more: &[&str]) {
        for (n, serial) in (1..).zip(self.to) {
            let removed = vec![data(&format!("h{n}"), apex)];
            let more = more.iter().map(|name| data(&format!("{name}{n}"), apex));
            let large = (n == 1 && self.large > 0).then(|| {
                let rdata = vec![7; self.large.into()];
                Rr::new(below(b"large", apex), UNKNOWN_TYPE, 300, &rdata)
            });
            let added = more.chain([data(&format!("g{n}"), apex)]).chain(large).collect();
            let change = Change { removed, added, serial: Some(Serial(*serial)) };
            world.change(apex, &change).expect("the host is there");
        }
    }
}

impl Entry {
    /// The first primary begins to misbehave: it has the new version, and tells the script.
    pub fn mislead(&self, world: &mut World, apex: &Name) {
        self.scene.advance(world, apex);
        world.shut(self.scene.shut);
        world.follow(self.script());
        world.clear_asked();
    }

    /// The second one, at the same time.
    pub fn mislead_second(&self, world: &mut World, apex: &Name) {
        world.clear_asked();
        match self.scene.second {
            Second::Absent | Second::Stuck => {}
            Second::Address | Second::Honest => self.scene.advance(world, apex),
            Second::Other => self.scene.advance_with(world, apex, &["other"]),
            Second::Refusing => world.follow(Script::honest().always(Kind::Any, Fault::Rcode(5))),
            Second::Down => world.shut(&[Over::Udp, Over::Tcp]),
        }
    }

    /// The first primary is honest from now on.
    pub fn relent(&self, world: &mut World) {
        world.shut(&[]);
        world.follow(Script::honest());
    }

    /// What it tells.
    pub fn script(&self) -> Script {
        self.script.iter().fold(Script::honest(), |script, (kind, faults)| script.together(*kind, faults))
    }
}
