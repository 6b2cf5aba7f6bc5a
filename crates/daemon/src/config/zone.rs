//! Zones: what each one says, over its template, over `zone-defaults`, over the built-in defaults.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use secondo_answer::AccessList;
use secondo_wire::Name;

use super::access::{NotifyTarget, access_list, everyone, notify_targets, senders};
use super::keys::Keys;
use super::primary::{Primaries, PrimaryConfig};
use super::problem::{Findings, Mark, quoted};
use super::tree::Node;
use super::units::{DURATION, parse_duration};
use super::walk::{self, Fields, Words};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Earlier versions kept when nothing is said.
const KEPT: u32 = 4;
/// A journal of more is read for too long at start.
const MOST_VERSIONS: u32 = 100_000;

/// Options of zones whose feature is not built.
const LATER: &[&str] =
    &["serve-ixfr", "guard", "zonemd", "dnssec", "check", "drift-check", "catalog", "max-removal"];

macro_rules! zone_words {
    ($($own:literal),*) => {
        &[
            $($own,)*
            "primaries", "refresh-bounds", "retry-bounds", "expire-bounds", "max-size", "max-records",
            "allow-query", "allow-notify", "allow-transfer", "also-notify", "keep-versions", "purge-after",
        ]
    };
}

const DEFAULTS: Words = Words { of: "`zone-defaults`", known: zone_words!(), later: LATER, private: false };
const TEMPLATE: Words = Words { of: "a template", known: zone_words!(), later: LATER, private: false };
const ZONE: Words =
    Words { of: "a zone", known: zone_words!("name", "template", "include"), later: LATER, private: false };

/// Lower and upper bound of a timer of the SOA. Invariant: 1 s <= `min` <= `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Shorter timers are raised to this.
    pub min: Duration,
    /// Longer timers are cut to this.
    pub max: Duration,
}

impl Bounds {
    const fn of_seconds(min: u64, max: u64) -> Bounds {
        Bounds { min: Duration::from_secs(min), max: Duration::from_secs(max) }
    }

    /// The timer within the bounds.
    pub fn clamp(self, timer: Duration) -> Duration {
        timer.clamp(self.min, self.max)
    }
}

/// A zone with everything resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneConfig {
    /// Its apex.
    pub name: Name,
    /// Shared by all zones with the same settings.
    pub settings: Arc<ZoneSettings>,
}

/// All settings of a zone; equal settings mean that a reload leaves the zone alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ZoneSettings {
    /// At least one; in order.
    pub primaries: Arc<[Arc<PrimaryConfig>]>,
    /// Of the SOA's REFRESH.
    pub refresh_bounds: Bounds,
    /// Of the SOA's RETRY.
    pub retry_bounds: Bounds,
    /// Of the SOA's EXPIRE.
    pub expire_bounds: Bounds,
    /// Bytes; a larger zone is refused.
    pub max_size: u64,
    /// Records; a zone with more is refused. `None`: no limit.
    pub max_records: Option<u64>,
    /// Who gets answers.
    pub allow_query: Arc<AccessList>,
    /// Whose NOTIFY counts. When left out: the primaries' addresses, sealed or not (a NOTIFY is only a hint, and who
    /// can seal could as well send it unsigned).
    pub allow_notify: Arc<AccessList>,
    /// Who gets the zone.
    pub allow_transfer: Arc<AccessList>,
    /// Who is told of new versions.
    pub also_notify: Arc<[NotifyTarget]>,
    /// How many earlier versions are kept beside the one served.
    pub keep_versions: u32,
    /// How long the state of a removed zone is kept.
    pub purge_after: Duration,
}

/// What one place says of a zone. `None`: nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer {
    /// Inner `None`: said, but wrong; no second error for it.
    primaries: Option<Option<Arc<[Arc<PrimaryConfig>]>>>,
    refresh_bounds: Option<Bounds>,
    retry_bounds: Option<Bounds>,
    expire_bounds: Option<Bounds>,
    max_size: Option<u64>,
    max_records: Option<u64>,
    allow_query: Option<Arc<AccessList>>,
    allow_notify: Option<Arc<AccessList>>,
    allow_transfer: Option<Arc<AccessList>>,
    also_notify: Option<Arc<[NotifyTarget]>>,
    keep_versions: Option<u32>,
    purge_after: Option<Duration>,
}

impl Layer {
    fn read(fields: &Fields<'_>, keys: &Keys, primaries: &Primaries, findings: &mut Findings) -> Layer {
        let second = Duration::from_secs(1);
        let of = |word| fields.of(word);
        Layer {
            primaries: of("primaries").map(|node| primaries.of_zone(node, keys, findings)),
            refresh_bounds: of("refresh-bounds").and_then(|node| bounds(node, findings)),
            retry_bounds: of("retry-bounds").and_then(|node| bounds(node, findings)),
            expire_bounds: of("expire-bounds").and_then(|node| bounds(node, findings)),
            max_size: of("max-size").and_then(|node| walk::size(node, 1, findings)),
            max_records: of("max-records").and_then(|node| walk::number(node, 1, u64::MAX, findings)),
            allow_query: of("allow-query").and_then(|node| access_list(node, keys, findings)),
            allow_notify: of("allow-notify").and_then(|node| access_list(node, keys, findings)),
            allow_transfer: of("allow-transfer").and_then(|node| access_list(node, keys, findings)),
            also_notify: of("also-notify").and_then(|node| notify_targets(node, keys, findings)),
            keep_versions: of("keep-versions")
                .and_then(|node| walk::number(node, 0, MOST_VERSIONS.into(), findings))
                .and_then(|versions| u32::try_from(versions).ok()),
            purge_after: of("purge-after").and_then(|node| walk::duration(node, second, findings)),
        }
    }

    /// This layer with its gaps filled from the one below; lists are replaced, not joined.
    fn over(self, below: &Layer) -> Layer {
        Layer {
            primaries: self.primaries.or_else(|| below.primaries.clone()),
            refresh_bounds: self.refresh_bounds.or(below.refresh_bounds),
            retry_bounds: self.retry_bounds.or(below.retry_bounds),
            expire_bounds: self.expire_bounds.or(below.expire_bounds),
            max_size: self.max_size.or(below.max_size),
            max_records: self.max_records.or(below.max_records),
            allow_query: self.allow_query.or_else(|| below.allow_query.clone()),
            allow_notify: self.allow_notify.or_else(|| below.allow_notify.clone()),
            allow_transfer: self.allow_transfer.or_else(|| below.allow_transfer.clone()),
            also_notify: self.also_notify.or_else(|| below.also_notify.clone()),
            keep_versions: self.keep_versions.or(below.keep_versions),
            purge_after: self.purge_after.or(below.purge_after),
        }
    }

    /// The built-in defaults below everything.
    fn settings(self, primaries: Arc<[Arc<PrimaryConfig>]>) -> ZoneSettings {
        ZoneSettings {
            refresh_bounds: self.refresh_bounds.unwrap_or(Bounds::of_seconds(MINUTE, DAY)),
            retry_bounds: self.retry_bounds.unwrap_or(Bounds::of_seconds(10, HOUR)),
            expire_bounds: self.expire_bounds.unwrap_or(Bounds::of_seconds(HOUR, 60 * DAY)),
            max_size: self.max_size.unwrap_or(4 << 30),
            max_records: self.max_records,
            allow_query: self.allow_query.unwrap_or_else(everyone),
            allow_notify: self.allow_notify.unwrap_or_else(|| addresses_of(&primaries)),
            primaries,
            allow_transfer: self.allow_transfer.unwrap_or_default(),
            also_notify: self.also_notify.unwrap_or_default(),
            keep_versions: self.keep_versions.unwrap_or(KEPT),
            purge_after: self.purge_after.unwrap_or(Duration::from_secs(7 * DAY)),
        }
    }
}

fn addresses_of(primaries: &[Arc<PrimaryConfig>]) -> Arc<AccessList> {
    senders(primaries.iter().flat_map(|primary| &primary.addresses).map(|address| address.ip()))
}

/// `[min, max]`
fn bounds(node: &Node, findings: &mut Findings) -> Option<Bounds> {
    let items = walk::list(node, "[min, max], two durations such as [1m, 1d]", findings)?;
    let [min, max] = items else {
        findings.error(node.mark, format!("{} values, expected [min, max]", items.len()));
        return None;
    };
    let least = Duration::from_secs(1);
    let low = walk::duration(min, least, findings);
    let high = walk::parsed(max, DURATION, parse_duration, findings);
    let (low, high) = (low?, high?);
    if high < low {
        findings.error(max.mark, "the upper bound is below the lower one, expected [min, max]");
        return None;
    }
    Some(Bounds { min: low, max: high })
}

/// Settings so far: one allocation for all zones with equal ones.
#[derive(Default)]
struct Shared(HashSet<Arc<ZoneSettings>>);

impl Shared {
    fn share(&mut self, settings: ZoneSettings) -> Arc<ZoneSettings> {
        if let Some(known) = self.0.get(&settings) {
            return Arc::clone(known);
        }
        let settings = Arc::new(settings);
        self.0.insert(Arc::clone(&settings));
        settings
    }
}

/// What zones build upon.
struct Base {
    layer: Layer,
    /// The settings of those that add nothing to it; `None`: primaries are missing.
    plain: Option<Arc<ZoneSettings>>,
}

/// What a zone may say and add nothing to what it builds upon.
const PLAIN: [&str; 2] = ["name", "template"];

/// The zones being collected, with what they build upon.
pub(super) struct Zones<'k> {
    keys: &'k Keys,
    primaries: &'k Primaries,
    defaults: Base,
    /// Each template laid over the defaults.
    templates: HashMap<String, Base>,
    marks: HashMap<Name, Mark>,
    shared: Shared,
    zones: Vec<ZoneConfig>,
}

/// An entry that stands for other files.
pub(super) struct Include<'n> {
    pub(super) pattern: &'n str,
    pub(super) mark: Mark,
}

impl<'k> Zones<'k> {
    /// Reads `zone-defaults` and `templates`.
    pub(super) fn new(
        keys: &'k Keys,
        primaries: &'k Primaries,
        defaults: Option<&Node>,
        templates: Option<&Node>,
        findings: &mut Findings,
    ) -> Zones<'k> {
        let layer = |node: &Node, words: &Words, findings: &mut Findings| {
            let fields = walk::fields(node, words, findings)?;
            Some(Layer::read(&fields, keys, primaries, findings))
        };
        let defaults = defaults
            .filter(|node| !node.is_null())
            .and_then(|node| layer(node, &DEFAULTS, findings))
            .unwrap_or_default();
        let (mut read, mut shared) = (HashMap::new(), Shared::default());
        let mut base = |layer: Layer| {
            let primaries = layer.primaries.clone().flatten();
            let plain = primaries.map(|primaries| shared.share(layer.clone().settings(primaries)));
            Base { layer, plain }
        };
        for (name, mark, node) in
            templates.map_or(Vec::new(), |node| walk::named(node, "templates", false, findings))
        {
            if !walk::is_label(name) {
                findings.error(mark, format!("bad name {}, expected {}", quoted(name), walk::LABEL));
                continue;
            }
            let own = if node.is_null() { None } else { layer(node, &TEMPLATE, findings) };
            read.insert(name.to_owned(), base(own.unwrap_or_default().over(&defaults)));
        }
        let defaults = base(defaults);
        Zones { keys, primaries, defaults, templates: read, marks: HashMap::new(), shared, zones: Vec::new() }
    }

    /// Reads a list of zones; gives back the entries that include other files.
    pub(super) fn read<'n>(&mut self, node: &'n Node, findings: &mut Findings) -> Vec<Include<'n>> {
        if node.is_null() {
            return Vec::new();
        }
        let Some(items) = walk::list(node, "a list of zones such as `- name: example.com`", findings) else {
            return Vec::new();
        };
        self.zones.reserve(items.len());
        self.marks.reserve(items.len());
        items.iter().filter_map(|item| self.entry(item, findings)).collect()
    }

    fn entry<'n>(&mut self, node: &'n Node, findings: &mut Findings) -> Option<Include<'n>> {
        let fields = walk::fields(node, &ZONE, findings)?;
        if let Some(include) = fields.of("include") {
            if let Some((other, mark)) = fields.other_than("include") {
                findings.error(mark, format!("`{other}` beside `include`, expected `include` alone"));
            }
            let pattern = walk::text(include, "the path of files such as zones.d/*.yaml", findings)?;
            return Some(Include { pattern, mark: include.mark });
        }
        self.zone(&fields, node, findings);
        None
    }

    fn zone(&mut self, fields: &Fields<'_>, node: &Node, findings: &mut Findings) {
        let is_plain = fields.are_all_of(&PLAIN);
        let own = (!is_plain).then(|| Layer::read(fields, self.keys, self.primaries, findings));
        let base = match fields.of("template") {
            Some(node) => self.template(node, findings),
            None => Some(&self.defaults),
        };
        let Some(name_node) = fields.of("name") else {
            // `catalog` stands in the place of a name, and has its own error.
            if !is_catalog(node) {
                findings
                    .error(fields.mark, "`name` is missing, expected a zone such as `- name: example.com`");
            }
            return;
        };
        let Some(name) = walk::name(name_node, findings) else { return };
        let Some(base) = base else { return };
        let layer = own.map(|own| own.over(&base.layer));
        let primaries = layer.as_ref().unwrap_or(&base.layer).primaries.clone();
        let plain = base.plain.clone();
        if let Some(first) = self.marks.get(&name) {
            let first = findings.place(*first);
            let message = format!(
                "zone {} is defined twice, expected once (first at {first})",
                quoted(&name.to_string())
            );
            findings.error(name_node.mark, message);
            return;
        }
        self.marks.insert(name.clone(), name_node.mark);
        match primaries {
            Some(Some(primaries)) => {
                let own = layer.map(|layer| self.shared.share(layer.settings(primaries)));
                let settings = own.or(plain).expect("whoever has primaries has settings");
                self.zones.push(ZoneConfig { name, settings });
            }
            Some(None) => {}
            None => {
                let message = "the zone has no primaries, expected `primaries` here, in its template or in `zone-defaults`";
                findings.error(name_node.mark, message);
            }
        }
    }

    /// A template; `None` (and an error) when it is not defined.
    fn template(&self, node: &Node, findings: &mut Findings) -> Option<&Base> {
        let expected = "a name defined under `templates`";
        let text = walk::text(node, expected, findings)?;
        let found = self.templates.get(text);
        if found.is_none() {
            let names = self.templates.keys().map(String::as_str);
            let what = format!("template {}", quoted(text));
            let message = walk::undefined(&what, text, names, expected, findings);
            findings.error(node.mark, message);
        }
        found
    }

    /// The zones in the order of the files.
    pub(super) fn into_zones(self) -> Vec<ZoneConfig> {
        self.zones
    }
}

fn is_catalog(node: &Node) -> bool {
    let super::tree::Value::Map(entries) = &node.value else { return false };
    entries.iter().any(
        |(key, _)| matches!(&key.value, super::tree::Value::Scalar(scalar) if scalar.text() == "catalog"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_timers_on_both_sides() {
        let bounds = Bounds::of_seconds(10, 20);
        assert_eq!(bounds.clamp(Duration::from_secs(1)), Duration::from_secs(10));
        assert_eq!(bounds.clamp(Duration::from_secs(15)), Duration::from_secs(15));
        assert_eq!(bounds.clamp(Duration::from_secs(99)), Duration::from_secs(20));
    }
}
