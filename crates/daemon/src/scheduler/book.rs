//! Primaries of the configuration by number, and what their zones' machines are given.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use secondo_lifecycle::{Bounds, Primary, PrimaryId, Settings, SettingsError};

use crate::config::{self, PrimaryConfig, ZoneSettings};

/// All primaries; a definition keeps its number as long as it stays the same.
#[derive(Debug, Default)]
pub(super) struct PrimaryBook {
    primaries: BTreeMap<PrimaryId, Arc<PrimaryConfig>>,
    /// The same the other way round: there may be as many as zones.
    numbers: HashMap<Arc<PrimaryConfig>, PrimaryId>,
    next: u32,
    /// Settings made for the configuration being applied, by the identity of what they were made from.
    made: HashMap<usize, Arc<Settings>>,
}

impl PrimaryBook {
    /// The primary with that number.
    pub(super) fn find(&self, id: PrimaryId) -> Option<&Arc<PrimaryConfig>> {
        self.primaries.get(&id)
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

    /// Forgets all primaries but those `in_use`. Returns the addresses that belong to none any more.
    pub(super) fn keep(&mut self, in_use: &BTreeSet<PrimaryId>) -> BTreeSet<SocketAddr> {
        let addresses = |book: &PrimaryBook| -> BTreeSet<SocketAddr> {
            book.primaries.values().flat_map(|primary| primary.addresses.iter().copied()).collect()
        };
        let before = addresses(self);
        self.primaries.retain(|id, _| in_use.contains(id));
        self.numbers.retain(|_, id| in_use.contains(id));
        &before - &addresses(self)
    }

    fn number(&mut self, config: &Arc<PrimaryConfig>) -> PrimaryId {
        if let Some(id) = self.numbers.get(config) {
            return *id;
        }
        let id = PrimaryId(self.next);
        self.next += 1;
        self.primaries.insert(id, Arc::clone(config));
        self.numbers.insert(Arc::clone(config), id);
        id
    }
}
