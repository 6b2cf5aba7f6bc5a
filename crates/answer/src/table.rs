//! The zone table: what we serve, found by name. Immutable; a reload builds a new one around the same slots.

use std::hash::Hasher;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use branches::prefetch_read_data;
use secondo_tsig::KeyRing;
use secondo_wire::{MAX_NAME, Name, NameRef};
use siphasher::sip::SipHasher13;

use crate::acl::{AccessList, Origin, RuleUnion};
use crate::cookies::Cookies;
use crate::identity::Identity;
use crate::limiter::Limiter;
use crate::slot::Slot;

/// A zone that we serve.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub apex: Name,
    /// Who may query it.
    pub query: Arc<AccessList>,
    /// Whose NOTIFY is acted on.
    pub notify: Arc<AccessList>,
    /// Who may transfer it.
    pub transfer: Arc<AccessList>,
    /// Its published version.
    pub slot: Arc<Slot>,
}

/// What holds for all zones.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Largest reply over UDP, octets; also the payload size that our OPT record announces. At least 512.
    pub udp_payload: u16,
    /// Random secret of the hash that finds zones: names come from strangers, who must not choose the cost.
    pub hash_secret: [u8; 16],
}

/// Two entries have the same apex.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("zone {0} stands twice in the zone table")]
pub struct DuplicateZone(pub Name);

/// The zones, keys and rules of one configuration.
pub struct Table {
    entries: Box<[Arc<Entry>]>,
    index: Index,
    keys: KeyRing,
    notify_rules: RuleUnion,
    transfer_rules: RuleUnion,
    udp_payload: u16,
    nsec3_iterations: u16,
    identity: Identity,
    cookies: Option<Cookies>,
    keepalive: Option<u16>,
    limiter: Option<Arc<Limiter>>,
}

impl Table {
    /// Builds the table in one go.
    pub fn new(
        entries: impl IntoIterator<Item = Entry>,
        keys: KeyRing,
        settings: &Settings,
    ) -> Result<Table, DuplicateZone> {
        let entries: Box<[Arc<Entry>]> = entries.into_iter().map(Arc::new).collect();
        let index = Index::new(&entries, &settings.hash_secret)?;
        let notify_rules = union(&entries, |entry| &entry.notify);
        let transfer_rules = union(&entries, |entry| &entry.transfer);
        let udp_payload = settings.udp_payload.max(crate::bounds::UDP_PLAIN as u16);
        Ok(Table {
            entries,
            index,
            keys,
            notify_rules,
            transfer_rules,
            udp_payload,
            nsec3_iterations: crate::bounds::NSEC3_ITERATIONS,
            identity: Identity::default(),
            cookies: None,
            keepalive: None,
            limiter: None,
        })
    }

    /// The same with another bound of the iterations of NSEC3 chains that are reckoned with.
    pub fn with_nsec3_iterations(self, nsec3_iterations: u16) -> Table {
        Table { nsec3_iterations, ..self }
    }

    /// The same, telling of itself what `identity` says; before, nothing.
    pub fn with_identity(self, identity: Identity) -> Table {
        Table { identity, ..self }
    }

    /// The same with DNS cookies; before, COOKIE options are ignored.
    pub fn with_cookies(self, cookies: Cookies) -> Table {
        Table { cookies: Some(cookies), ..self }
    }

    /// The same, telling clients over TCP that ask for it (RFC 7828) that connections may be idle for so long; before,
    /// nothing is told of it.
    pub fn with_tcp_idle(self, idle: Duration) -> Table {
        // RFC 7828 §3.1: in units of 100 milliseconds.
        let keepalive = u16::try_from(idle.as_millis() / 100).unwrap_or(u16::MAX);
        Table { keepalive: Some(keepalive), ..self }
    }

    /// The same with limited answers over UDP; before, there is no limit. A limiter may go from table to table.
    pub fn with_limiter(self, limiter: Arc<Limiter>) -> Table {
        Table { limiter: Some(limiter), ..self }
    }

    /// What limits answers over UDP, if anything does.
    pub fn limiter(&self) -> Option<&Arc<Limiter>> {
        self.limiter.as_ref()
    }

    /// All zones, in the order given.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Arc<Entry>> {
        self.entries.iter()
    }

    /// The zone with exactly this apex.
    pub fn exact(&self, apex: NameRef<'_>) -> Option<&Arc<Entry>> {
        self.closest(apex).filter(|entry| entry.apex.as_wire().len() == apex.as_wire().len())
    }

    /// The deepest zone at or above `name` (RFC 1034 §4.3.2 step 2).
    pub fn closest(&self, name: NameRef<'_>) -> Option<&Arc<Entry>> {
        self.index.deepest(name, usize::MAX)
    }

    /// The same by the hash of its name alone.
    #[inline]
    pub(crate) fn presumed<'t, 'n>(&'t self, name: NameRef<'n>) -> Option<Presumed<'t, 'n>> {
        self.index.presumed(name)
    }

    /// Has fetched from memory what [`Table::presumed`] will read.
    #[inline]
    pub(crate) fn expect(&self, name: NameRef<'_>) {
        self.index.expect(name);
    }

    /// The deepest zone above `name`, itself left out.
    pub fn closest_above(&self, name: NameRef<'_>) -> Option<&Arc<Entry>> {
        let depth = name.label_count().checked_sub(1)?;
        self.index.deepest(name, depth)
    }

    /// The keys that requests may be signed with.
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// Largest reply over UDP, octets.
    pub fn udp_payload(&self) -> u16 {
        self.udp_payload
    }

    /// Iterations of an NSEC3 chain above which nothing is hashed.
    pub(crate) fn nsec3_iterations(&self) -> u16 {
        self.nsec3_iterations
    }

    /// What is told of this server.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The secrets of DNS cookies, where they are in use.
    pub(crate) fn cookies(&self) -> Option<&Cookies> {
        self.cookies.as_ref()
    }

    /// How long a connection may be idle, in tenths of a second, where that is told.
    pub(crate) fn keepalive(&self) -> Option<u16> {
        self.keepalive
    }

    /// Whether some rule for NOTIFY of any zone admits: such a peer may learn that a zone is not ours.
    pub fn any_notify_rule_admits(&self, origin: Origin<'_>) -> bool {
        self.notify_rules.admits(origin)
    }

    /// Whether some rule for transfers of any zone admits: such a peer may learn that a zone is not ours.
    pub fn any_transfer_rule_admits(&self, origin: Origin<'_>) -> bool {
        self.transfer_rules.admits(origin)
    }
}

/// The rules of all zones; lists that zones share are looked at once.
fn union(entries: &[Arc<Entry>], list: impl Fn(&Entry) -> &Arc<AccessList>) -> RuleUnion {
    let mut lists: Vec<&Arc<AccessList>> = entries.iter().map(|entry| list(entry)).collect();
    lists.sort_unstable_by_key(|list| Arc::as_ptr(list));
    lists.dedup_by(|a, b| Arc::ptr_eq(a, b));
    RuleUnion::new(lists.into_iter().flat_map(|list| list.rules()))
}

/// Zones by the keyed hash of their names in lower case; open addressing, at most three quarters full.
///
/// A name is hashed from the root outwards, in pieces that end at the depths where there are apexes: one pass over it gives the
/// hashes of all its ancestors that may be an apex.
struct Index {
    cells: Box<[Option<Cell>]>,
    hasher: SipHasher13,
    /// Bit n: some apex has n labels. Only these depths are hashed and searched.
    depths: u128,
}

/// Cells that are in the processor's cache where queries come often.
const AT_HAND: usize = 256;

/// A zone's place in the index. What an answer needs stands here: of many zones each step from pointer to pointer is a wait for
/// memory.
struct Cell {
    hash: u64,
    entry: Arc<Entry>,
    slot: Arc<Slot>,
}

/// A zone that is told from others by the hash of its name alone, 64 bits with a secret; who reads the name that goes with it sees
/// whether it is `name`.
#[derive(Clone, Copy)]
pub(crate) struct Presumed<'t, 'n> {
    pub(crate) name: NameRef<'n>,
    pub(crate) entry: &'t Arc<Entry>,
    pub(crate) slot: &'t Slot,
}

impl Index {
    fn new(entries: &[Arc<Entry>], secret: &[u8; 16]) -> Result<Index, DuplicateZone> {
        let size = (entries.len() * 4 / 3 + 1).next_power_of_two();
        let hasher = SipHasher13::new_with_key(secret);
        let depths = entries.iter().fold(0, |depths, entry| depths | 1 << entry.apex.label_count());
        let cells = std::iter::repeat_with(|| None).take(size).collect();
        let mut index = Index { cells, hasher, depths };
        for entry in entries {
            let apex = entry.apex.as_ref();
            let mut hash = 0;
            index.ancestors(apex, usize::MAX, |_, whole| hash = whole);
            if index.probe(hash, |cell| cell.entry.apex.as_ref() == apex).is_some() {
                return Err(DuplicateZone(entry.apex.clone()));
            }
            let mut at = hash as usize & (size - 1);
            while index.cells[at].is_some() {
                at = (at + 1) & (size - 1);
            }
            index.cells[at] = Some(Cell { hash, entry: entry.clone(), slot: entry.slot.clone() });
        }
        Ok(index)
    }

    /// Tells the ancestors of `name`, itself included, that have the depth of an apex, at most `depth`, with their hashes,
    /// the shallowest first.
    #[inline]
    fn ancestors<'n>(&self, name: NameRef<'n>, depth: usize, mut tell: impl FnMut(NameRef<'n>, u64)) {
        let count = name.label_count();
        // A name has at most 127 labels: the shifts are in range.
        let within = u128::MAX >> (127 - count.min(depth));
        let mut depths = self.depths & within;
        if depths == 0 {
            return;
        }
        let deepest = name.ancestor(count - (127 - depths.leading_zeros() as usize));
        let mut octets = [0; MAX_NAME];
        let lower = &mut octets[..deepest.as_wire().len()];
        lower.copy_from_slice(deepest.as_wire());
        // Length octets stand below 'A' (RFC 4343 §3).
        lower.make_ascii_lowercase();
        let (mut hasher, mut end) = (self.hasher, lower.len());
        while depths != 0 {
            let ancestor = name.ancestor(count - depths.trailing_zeros() as usize);
            let start = lower.len() - ancestor.as_wire().len();
            hasher.write(&lower[start..end]);
            tell(ancestor, hasher.finish());
            end = start;
            depths &= depths - 1;
        }
    }

    /// The zone at or above `name` with the most labels, at most `depth`.
    fn deepest(&self, name: NameRef<'_>, depth: usize) -> Option<&Arc<Entry>> {
        let mut found = None;
        self.ancestors(name, depth, |ancestor, hash| {
            found = self.probe(hash, |cell| cell.entry.apex.as_ref() == ancestor).or(found);
        });
        found.map(|cell| &cell.entry)
    }

    /// Has the cells fetched where the zones for a name are looked for, unless they are so few that they are at hand.
    #[inline]
    fn expect(&self, name: NameRef<'_>) {
        if self.cells.len() > AT_HAND {
            let mask = self.cells.len() - 1;
            let fetch = |_, hash| prefetch_read_data::<_, 0>(&raw const self.cells[hash as usize & mask]);
            self.ancestors(name, usize::MAX, fetch);
        }
    }

    /// The same by hash alone: without it there is none.
    #[inline]
    fn presumed<'t, 'n>(&'t self, name: NameRef<'n>) -> Option<Presumed<'t, 'n>> {
        let mut found = None;
        self.ancestors(name, usize::MAX, |ancestor, hash| {
            found = self.probe(hash, |_| true).map(|cell| (ancestor, cell)).or(found);
        });
        let (name, Cell { entry, slot, .. }) = found?;
        prefetch_read_data::<_, 0>(Arc::as_ptr(entry));
        prefetch_read_data::<_, 0>(Arc::as_ptr(slot));
        Some(Presumed { name, entry, slot })
    }

    /// The cell of this hash that is the right one.
    #[inline]
    fn probe(&self, hash: u64, is_right: impl Fn(&Cell) -> bool) -> Option<&Cell> {
        let mask = self.cells.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let cell = self.cells[at].as_ref()?;
            if cell.hash == hash && is_right(cell) {
                return Some(cell);
            }
            at = (at + 1) & mask;
        }
    }
}

/// The table in use. Query threads load it once for each batch of requests; a reload swaps it.
pub struct TableCell(ArcSwap<Table>);

impl TableCell {
    /// Begins with `table`.
    pub fn new(table: Table) -> TableCell {
        TableCell(ArcSwap::from_pointee(table))
    }

    /// The table, held without touching a shared counter. Hold it for a batch, not while waiting.
    pub fn load(&self) -> Guard<Arc<Table>> {
        self.0.load()
    }

    /// The table, to be kept.
    pub fn full(&self) -> Arc<Table> {
        self.0.load_full()
    }

    /// Puts another table in its place; requests that began with the former end with it. Returns the former: hold it
    /// until nobody else does, so that no query thread is the one to drop a million zones.
    pub fn replace(&self, table: Table) -> Arc<Table> {
        self.0.swap(Arc::new(table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(apex: &str) -> Entry {
        let nobody = Arc::new(AccessList::nobody());
        Entry {
            apex: apex.parse().unwrap(),
            query: Arc::new(AccessList::everyone()),
            notify: nobody.clone(),
            transfer: nobody,
            slot: Arc::default(),
        }
    }

    fn table(apexes: &[&str]) -> Table {
        let settings = Settings { udp_payload: 1232, hash_secret: [7; 16] };
        Table::new(apexes.iter().map(|apex| entry(apex)), KeyRing::new([]), &settings).unwrap()
    }

    fn closest(table: &Table, name: &str) -> Option<String> {
        table.closest(name.parse::<Name>().unwrap().as_ref()).map(|entry| entry.apex.to_string())
    }

    #[test]
    fn the_deepest_zone_wins_without_regard_to_case() {
        let table = table(&["Example.com.", "sub.example.com.", "a.b.c.d.sub.example.com.", "org."]);
        for (name, zone) in [
            ("example.com.", Some("Example.com.")),
            ("WWW.EXAMPLE.COM.", Some("Example.com.")),
            ("x.Sub.example.com.", Some("sub.example.com.")),
            ("c.d.sub.example.com.", Some("sub.example.com.")),
            ("a.b.c.d.sub.example.com.", Some("a.b.c.d.sub.example.com.")),
            ("com.", None),
            (".", None),
            ("notexample.com.", None),
            ("a.org.", Some("org.")),
        ] {
            assert_eq!(closest(&table, name).as_deref(), zone, "{name}");
        }
        let above = |name: &str| {
            table.closest_above(name.parse::<Name>().unwrap().as_ref()).map(|entry| entry.apex.to_string())
        };
        assert_eq!(above("sub.example.com.").as_deref(), Some("Example.com."));
        assert_eq!(above("example.com."), None);
        assert_eq!(above("."), None);
        assert!(table.exact("SUB.example.com.".parse::<Name>().unwrap().as_ref()).is_some());
        assert!(table.exact("www.example.com.".parse::<Name>().unwrap().as_ref()).is_none());
    }

    #[test]
    fn the_root_is_a_zone_like_any_other() {
        let table = table(&[".", "com."]);
        assert_eq!(closest(&table, ".").as_deref(), Some("."));
        assert_eq!(closest(&table, "a.b.").as_deref(), Some("."));
        assert_eq!(closest(&table, "a.com.").as_deref(), Some("com."));
    }

    #[test]
    fn a_zone_of_127_labels_is_found() {
        let longest = "a.".repeat(127);
        let table = table(&["a.", &longest]);
        assert_eq!(closest(&table, &longest).as_deref(), Some(&*longest));
        assert_eq!(closest(&table, &"a.".repeat(126)).as_deref(), Some("a."));
    }

    #[test]
    fn an_empty_table_and_a_large_one_answer() {
        assert_eq!(closest(&table(&[]), "example."), None);
        let names: Vec<String> = (0..5000).map(|n| format!("zone{n}.example.")).collect();
        let table = table(&names.iter().map(|name| &**name).collect::<Vec<_>>());
        for name in &names {
            assert_eq!(closest(&table, &format!("www.{name}")).as_deref(), Some(&**name));
        }
        assert_eq!(closest(&table, "zone5000.example."), None);
    }

    #[test]
    fn requests_end_with_the_table_that_they_began_with() {
        let cell = TableCell::new(table(&["a."]));
        let held = cell.load();
        let former = cell.replace(table(&["b."]));
        assert_eq!(closest(&held, "a.").as_deref(), Some("a."));
        assert!(closest(&cell.load(), "a.").is_none() && closest(&former, "a.").is_some());
    }

    #[test]
    fn the_same_zone_twice_is_an_error() {
        let settings = Settings { udp_payload: 1232, hash_secret: [7; 16] };
        let twice = Table::new([entry("a."), entry("A.")], KeyRing::new([]), &settings);
        assert_eq!(twice.err(), Some(DuplicateZone("a.".parse().unwrap())));
    }
}
