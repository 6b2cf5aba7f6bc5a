//! Where a question belongs: the zone, the version in use, the page of the name.

use std::sync::Arc;

use secondo_wire::{KeyBuf, NameRef, RecordType};
use secondo_zone::Approach;

use crate::Clock;
use crate::lookup::approach;
use crate::request::Question;
use crate::slot::{Held, Serving};
use crate::table::{Entry, Presumed, Table};

/// Where a question belongs, found before anything of its request is judged: what the lookup will read comes from memory
/// meanwhile.
pub(crate) struct Scene<'t> {
    pub(crate) entry: &'t Arc<Entry>,
    /// Its version, or why it may not be answered from.
    pub(crate) held: Result<Held, Serving>,
}

impl<'t> Scene<'t> {
    /// The deepest zone for the question, if there is one: the one that it is presumed in, or else another.
    pub(crate) fn of(
        presumed: Presumed<'t, '_>,
        question: Question<'_>,
        table: &'t Table,
        clock: Clock,
    ) -> Option<Scene<'t>> {
        let Presumed { name, entry, slot } = presumed;
        let held = slot.hold(clock.boot_ms);
        let apex = held.as_ref().map_or(&entry.apex, |held| held.zone().apex());
        if question.rtype != RecordType::DS && apex.as_ref() == name {
            return Some(Scene { entry, held });
        }
        let entry = zone_for(table, question.name, question.rtype)?;
        Some(Scene { entry, held: entry.slot.hold(clock.boot_ms) })
    }

    /// Goes up to where the question's name is, and leaves its key in `key`.
    pub(crate) fn approach(&self, question: Question<'_>, key: &mut KeyBuf) -> Approached<'_> {
        let approach = self.held.as_ref().ok().and_then(|held| approach(held.zone(), question.name, key));
        Approached { scene: self, approach }
    }
}

/// A scene, and the way to the name in it; none where the zone is not served.
#[derive(Clone, Copy)]
pub(crate) struct Approached<'s> {
    pub(crate) scene: &'s Scene<'s>,
    pub(crate) approach: Option<Approach<'s>>,
}

/// The deepest zone for a name. A DS set stands on the parent's side, so the zone above its owner answers, if we hold
/// one (RFC 4035 §3.1.4.1).
pub(crate) fn zone_for<'t>(table: &'t Table, name: NameRef<'_>, qtype: RecordType) -> Option<&'t Arc<Entry>> {
    let entry = table.closest(name)?;
    if qtype == RecordType::DS && entry.apex.as_ref() == name {
        return table.closest_above(name).or(Some(entry));
    }
    Some(entry)
}
