//! Whether the disk takes what it is given: said when it begins to refuse, now and then while it goes on, and when it takes
//! it again. A full disk refuses a confirmation of each zone at each refresh: one line for each would bury all else.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use secondo_lifecycle::ZoneId;
use secondo_store::Recovered;
use secondo_wire::Reason;

use super::Scheduler;
use crate::control::ServerProblem;
use crate::event::Event;
use crate::table::span;

/// Between two lines about confirmations.
const QUIET: Duration = Duration::from_secs(60);

/// What the disk said last.
#[derive(Debug, Default)]
pub(super) struct Disk {
    refuses: Option<Refusal>,
}

#[derive(Debug)]
struct Refusal {
    /// On the boot clock.
    since: Duration,
    what: String,
    /// Until then no more is said of confirmations.
    quiet_until: Duration,
    /// Confirmations that nothing was said of.
    unsaid: u64,
    /// Whose versions it refused; some may be on it by now.
    unwritten: BTreeSet<ZoneId>,
}

impl Disk {
    /// It refused a zone's version, of which a line of its own tells.
    pub(super) fn refused(&mut self, id: ZoneId, what: &str, now: Duration) {
        self.refusal(what, now).unwritten.insert(id);
    }

    fn refusal(&mut self, what: &str, now: Duration) -> &mut Refusal {
        let known = self.refuses.get_or_insert_with(|| Refusal {
            since: now,
            what: String::new(),
            quiet_until: now,
            unsaid: 0,
            unwritten: BTreeSet::new(),
        });
        what.clone_into(&mut known.what);
        known
    }

    /// It refused a confirmation: what is to be said of it, if anything.
    pub(super) fn refused_confirmation(&mut self, what: &str, now: Duration) -> Option<String> {
        let known = self.refusal(what, now);
        if now < known.quiet_until {
            known.unsaid += 1;
            return None;
        }
        known.quiet_until = now.saturating_add(QUIET);
        let others = match std::mem::take(&mut known.unsaid) {
            0 => String::new(),
            unsaid => format!("; {unsaid} others since this was last said"),
        };
        Some(format!("a confirmation could not be written: {what}; the expiry is extended in memory{others}"))
    }

    /// It took something: for how long it had refused, if it had and none of the versions it refused is volatile still. A
    /// confirmation may find room where a version does not.
    pub(super) fn took(&mut self, is_volatile: impl Fn(ZoneId) -> bool, now: Duration) -> Option<Duration> {
        let unwritten = &mut self.refuses.as_mut()?.unwritten;
        // One that is found ends the search: each is dropped once, however much the disk takes.
        while let Some(id) = unwritten.pop_first() {
            if is_volatile(id) {
                unwritten.insert(id);
                return None;
            }
        }
        self.refuses.take().map(|refusal| now.saturating_sub(refusal.since))
    }

    /// What a person should know.
    pub(super) fn problem(&self, state_dir: &Path, now: Duration) -> Option<ServerProblem> {
        let refusal = self.refuses.as_ref()?;
        let detail = format!(
            "the disk under {} has refused writes for {} ({}): zones are served from memory, and what came since then would \
             be lost by a restart; see to free space, permissions and the kernel's log",
            state_dir.display(),
            span(now.saturating_sub(refusal.since).as_secs_f64()),
            refusal.what
        );
        Some(ServerProblem { code: "disk".into(), detail })
    }
}

impl Scheduler {
    /// The disk took something.
    pub(super) fn disk_took(&mut self, now: Duration) {
        let zones = &self.zones;
        let is_volatile = |id| zones.get(&id).is_some_and(|zone| zone.facts.volatile);
        if let Some(after) = self.disk.took(is_volatile, now) {
            let detail = format!("after {}", span(after.as_secs_f64()));
            let event = Event::new("store.recovered", "the disk takes writes again");
            Event { detail: Some(&detail), ..event }.info();
        }
    }

    /// Whether the disk took a confirmation; the expiry was extended in memory in any case.
    pub(super) fn confirmed(&mut self, id: ZoneId, result: Result<(), String>, now: Duration) {
        let Err(refused) = result else { return self.disk_took(now) };
        // Of a version that the disk has not got it was said already.
        let Some(zone) = self.zones.get(&id).filter(|zone| !zone.facts.volatile) else { return };
        if let Some(detail) = self.disk.refused_confirmation(&refused, now) {
            Event {
                zone: Some(&zone.config.name),
                serial: zone.machine.serial(),
                reason: Some(Reason::Disk),
                detail: Some(&detail),
                ..Event::new("zone.volatile", "the disk refused a confirmation")
            }
            .warn();
        }
    }

    /// A version that the disk had refused is on it now.
    pub(super) fn recovered(&mut self, recovered: &Recovered, now: Duration) {
        let id = self.names.get(&recovered.apex);
        if let Some(zone) = id.and_then(|id| self.zones.get_mut(id)) {
            zone.facts.volatile = false;
            zone.note_disk(None);
        }
        self.disk_took(now);
        Event {
            zone: Some(&recovered.apex),
            serial: Some(recovered.serial),
            ..Event::new("zone.durable", "the zone is on disk now")
        }
        .info();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confirmations_that_the_disk_refuses_are_said_once_a_minute_and_shown_until_it_takes_one() {
        let mut disk = Disk::default();
        let at = Duration::from_secs;
        assert!(disk.took(|_| false, at(99)).is_none() && disk.problem(Path::new("/s"), at(99)).is_none());
        let first = disk.refused_confirmation("full", at(100)).unwrap();
        assert_eq!(first, "a confirmation could not be written: full; the expiry is extended in memory");
        for second in 101..160 {
            assert_eq!(disk.refused_confirmation("full", at(second)), None);
        }
        let next = disk.refused_confirmation("full", at(160)).unwrap();
        assert!(next.ends_with("; 59 others since this was last said"), "{next}");
        let problem = disk.problem(Path::new("/s"), at(220)).unwrap().detail;
        assert!(problem.starts_with("the disk under /s has refused writes for 2m (full): "), "{problem}");
        assert_eq!(disk.took(|_| false, at(230)), Some(at(130)));
        assert!(disk.problem(Path::new("/s"), at(230)).is_none());
    }

    #[test]
    fn the_disk_takes_writes_again_only_when_it_has_every_version_that_it_refused() {
        let folder = tempfile::TempDir::new().unwrap();
        let primaries = "primaries: [{ addresses: [\"127.0.0.1:1\"] }]";
        let zones: String =
            ["a", "b", "c"].map(|name| format!("  - {{ name: {name}.test, {primaries} }}\n")).concat();
        let (mut scheduler, _) = super::super::storm::scheduler(&folder, &zones);
        scheduler.populate(Vec::new());
        let now = scheduler.now().boot;
        let ids: Vec<ZoneId> = scheduler.zones.keys().copied().collect();
        for id in &ids[..2] {
            scheduler.zones.get_mut(id).unwrap().facts.volatile = true;
            scheduler.disk.refused(*id, "full", now);
        }
        let refuses = |scheduler: &Scheduler| scheduler.disk.problem(Path::new("/s"), now).is_some();
        scheduler.confirmed(ids[2], Ok(()), now);
        assert!(refuses(&scheduler), "a confirmation is smaller than a version");
        scheduler.zones.get_mut(&ids[0]).unwrap().facts.volatile = false;
        scheduler.confirmed(ids[2], Ok(()), now);
        assert!(refuses(&scheduler));
        // A zone that is gone is not waited for.
        scheduler.zones.remove(&ids[1]);
        scheduler.confirmed(ids[2], Ok(()), now);
        assert!(!refuses(&scheduler));
    }
}
