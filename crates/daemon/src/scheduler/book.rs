//! Primaries of the configuration by number, and what their zones' machines are given.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use secondo_lifecycle::{Bounds, Primary, PrimaryId, Settings, SettingsError, Target};

use crate::config::{self, PrimaryConfig, ZoneSettings};
use crate::tls::TlsClient;

/// Where a primary is and how it is reached: what shows that it is down shows it for all that reach it so, and for no
/// others. A certificate that it rejects, or a source address that is not ours, is no fault of those who ask without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Reach {
    pub(super) address: SocketAddr,
    pub(super) carrier: Carrier,
}

/// The number of what carries questions: TLS settings or none, and source addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Carrier(pub(super) u32);

/// All primaries; a definition keeps its number as long as it stays the same.
#[derive(Debug, Default)]
pub(super) struct PrimaryBook {
    primaries: BTreeMap<PrimaryId, (Arc<PrimaryConfig>, Carrier)>,
    /// The same the other way round: there may be as many as zones.
    numbers: HashMap<Arc<PrimaryConfig>, PrimaryId>,
    next: u32,
    carriers: HashMap<Carriage, Carrier>,
    next_carrier: u32,
    /// Settings made for the configuration being applied, by the identity of what they were made from.
    made: HashMap<usize, Arc<Settings>>,
}

/// What a carrier is: TLS settings, and the source addresses by family.
type Carriage = (Option<TlsClient>, Option<IpAddr>, Option<IpAddr>);

fn carriage(primary: &PrimaryConfig) -> Carriage {
    (primary.tls.clone(), primary.source_ipv4, primary.source_ipv6)
}

/// How all addresses of a primary are reached.
fn ways(primary: &PrimaryConfig, carrier: Carrier) -> impl Iterator<Item = Reach> {
    primary.addresses.iter().map(move |address| Reach { address: *address, carrier })
}

impl PrimaryBook {
    /// The primary with that number.
    pub(super) fn find(&self, id: PrimaryId) -> Option<&Arc<PrimaryConfig>> {
        self.primaries.get(&id).map(|(primary, _)| primary)
    }

    /// How an address of a primary is reached.
    pub(super) fn reach(&self, target: Target) -> Option<Reach> {
        let (_, carrier) = self.primaries.get(&target.primary)?;
        Some(Reach { address: target.address, carrier: *carrier })
    }

    /// The same for a definition.
    pub(super) fn reach_of(&self, primary: &Arc<PrimaryConfig>, address: SocketAddr) -> Option<Reach> {
        self.reach(Target { primary: self.number_of(primary)?, address })
    }

    /// The number of a definition.
    pub(super) fn number_of(&self, primary: &Arc<PrimaryConfig>) -> Option<PrimaryId> {
        self.numbers.get(primary).copied()
    }

    /// How the addresses of a zone's primaries are reached, in order.
    pub(super) fn reaches<'b>(&'b self, settings: &'b Settings) -> impl Iterator<Item = Reach> + 'b {
        let known = settings.primaries().iter().filter_map(|p| self.primaries.get(&p.id));
        known.flat_map(|(primary, carrier)| ways(primary, *carrier))
    }

    /// The ways in which an address may be reached, whoever's it is.
    pub(super) fn ways_to(&self, address: SocketAddr) -> impl Iterator<Item = Reach> + '_ {
        self.carriers.values().map(move |carrier| Reach { address, carrier: *carrier })
    }

    /// All addresses of all primaries.
    pub(super) fn places(&self) -> HashSet<(PrimaryId, SocketAddr)> {
        let all = self.primaries.iter();
        all.flat_map(|(id, (primary, _))| primary.addresses.iter().map(move |address| (*id, *address)))
            .collect()
    }

    /// What carries transfers there: `tcp` or `tls`.
    pub(super) fn transport(&self, reach: Reach) -> Option<&'static str> {
        let ((tls, ..), _) = self.carriers.iter().find(|(_, carrier)| **carrier == reach.carrier)?;
        Some(if tls.is_some() { "tls" } else { "tcp" })
    }

    /// What a machine is given for these settings of a zone; shared by all zones that share them.
    pub(super) fn settings(&mut self, zone: &Arc<ZoneSettings>) -> Result<Arc<Settings>, SettingsError> {
        // The configuration that the identities belong to is alive until `forget_identities`.
        let identity = Arc::as_ptr(zone) as usize;
        if let Some(made) = self.made.get(&identity) {
            return Ok(Arc::clone(made));
        }
        let bounds = |b: config::Bounds| Bounds::new(b.min, b.max);
        let primary = |primary: &Arc<PrimaryConfig>| Primary {
            id: self.number(primary),
            addresses: primary.addresses.clone(),
            ixfr: primary.ixfr,
        };
        let primaries = zone.primaries.iter().map(primary).collect();
        let settings = Settings::new(
            bounds(zone.refresh_bounds)?,
            bounds(zone.retry_bounds)?,
            bounds(zone.expire_bounds)?,
            primaries,
        )?;
        // A transfer has its own timeout; the machine's patience lies well behind the longest.
        let longest = zone.primaries.iter().map(|primary| primary.transfer_timeout).max().unwrap_or_default();
        let settings = Arc::new(settings.with_patience(Settings::PATIENCE.max(longest * 2)));
        self.made.insert(identity, Arc::clone(&settings));
        Ok(settings)
    }

    /// The configuration is applied: identities may be used again by another.
    pub(super) fn forget_identities(&mut self) {
        self.made = HashMap::new();
    }

    /// Forgets all primaries but those `in_use`. Returns how none is reached any more.
    pub(super) fn keep(&mut self, in_use: &BTreeSet<PrimaryId>) -> BTreeSet<Reach> {
        let reaches = |book: &PrimaryBook| -> BTreeSet<Reach> {
            book.primaries.values().flat_map(|(primary, carrier)| ways(primary, *carrier)).collect()
        };
        let before = reaches(self);
        self.primaries.retain(|id, _| in_use.contains(id));
        self.numbers.retain(|_, id| in_use.contains(id));
        let after = reaches(self);
        let carriers: BTreeSet<Carrier> = after.iter().map(|reach| reach.carrier).collect();
        self.carriers.retain(|_, carrier| carriers.contains(carrier));
        &before - &after
    }

    fn number(&mut self, config: &Arc<PrimaryConfig>) -> PrimaryId {
        if let Some(id) = self.numbers.get(config) {
            return *id;
        }
        let id = PrimaryId(self.next);
        self.next += 1;
        let next = Carrier(self.next_carrier);
        let carrier = *self.carriers.entry(carriage(config)).or_insert(next);
        self.next_carrier += u32::from(carrier == next);
        self.primaries.insert(id, (Arc::clone(config), carrier));
        self.numbers.insert(Arc::clone(config), id);
        id
    }
}
